"""
Title: Image super-resolution with RCAN
Author: The maintainers of this repository
Date created: 2026/11/22
Last modified: 2026/12/01
Description: Training RCAN, a very deep network with channel attention.
Accelerator: GPU
"""

"""
## Introduction

*Image Super-Resolution Using Very Deep Residual Channel Attention Networks*
([Zhang et al. 2018](https://arxiv.org/abs/1807.02758)) took EDSR's block and asked how to
make use of hundreds of them. Its two answers:

- **Residual in residual** (section 3.2). Blocks form groups, and each group, as well as
  the whole body, adds to its own input. Most of a small picture is fine as it is: it
  passes through these skips, and the layers work on what is missing.
- **Channel attention** (section 3.3). A block weights its channels by what is in the
  picture: each channel's mean goes through two small layers that end in a sigmoid, and
  the channel is multiplied by the result.

The network learns from pairs of pictures: HR, the original at high resolution, and LR,
the same shrunk to low resolution.

The paper's network has 10 groups of 20 blocks, 15.6 million parameters and more than 400
layers. That is too much for two CPU cores, so this script trains 4 groups of 4 blocks by
default, about as large as EDSR's baseline. It also differs from the paper in how the
network starts: what the layers give is added to the input, with each pixel repeated, and
is zero at first. Set `IMAGE_SKIP = False` for the plain network of the paper.
"""

"""
## Setup
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import settings

settings.check_command_line()  # before the imports that take seconds

import keras
from keras import layers

import callbacks
import data
import drawings
import hardware
import metrics
import optimizers
import results
import training

"""
## Hyperparameters

Edit these, or set them for one run: `python rcan.py SCALE=2 DATASET=div2k`. A run that
was stopped resumes. If you change the pictures, the layers below or any setting other
than `EPOCHS`, the results so far are moved aside and a new run starts. Other edits
are not always noticed: see docs/resume.md.
"""

DATASET = "leaves"  # drawn; or "div2k" (paper), "bsds500", "flowers", a folder
DEGRADATION = "bicubic"  # makes LR; or "area", "aliased", "realistic", "web", several
SCALE = 4  # 2, 3, 4 or 8; or 1, to remove noise and blur
GROUPS = 4  # paper: 10
BLOCKS = 4  # in each group; paper: 20
FILTERS = 64  # paper: 64
REDUCTION = 16  # squeeze ratio of the attention; paper: 16
IMAGE_SKIP = True  # add the input, each of its pixels repeated; paper: False
PATCH_SIZE = 48  # LR pixels; paper: 48
BATCH_SIZE = 4  # paper: 16
NOISE = 0.0  # grey levels of Gaussian noise added to LR; paper: none
EPOCHS = 10  # paper's code: 1,000 of 1,000 steps
STEPS_PER_EPOCH = 200  # batches between validations
OPTIMIZER = "muon"  # gets further in few steps; or "adam" (paper)
LEARNING_RATE = 1e-3  # paper: 1e-4, halved every 200,000 steps
WARMUP_STEPS = 200  # steps of rising learning rate, at most a tenth of all; paper: none
INITIAL_WEIGHTS = None  # a .keras file to train further, or that of x2 for x3 and x4
PRECISION = "auto"  # the fastest here; or "float32", "mixed_bfloat16", "mixed_float16"
SEED = 0  # of all random choices
RESULTS = "results"  # folder for everything a run makes

SETTINGS = settings.collect(globals())  # applies NAME=value of the command line

"""
## The network

The kernels start uniform within 1/sqrt(fan_in), as in the authors' PyTorch code. With the
image skip the output convolution starts at zero.
"""


def convolution(filters, name, kernel_size=3, **kwargs):
    # Uniform within +-a has the variance a^2 / 3.
    start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    kwargs = {"kernel_initializer": start, **kwargs}
    return layers.Conv2D(filters, kernel_size, padding="same", name=name, **kwargs)


def channel_attention(x, reduction, name):
    """Multiplies each channel by a number between 0 and 1 (section 3.3)."""
    filters = x.shape[-1]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    weight = convolution(
        max(1, filters // reduction), f"{name}_squeeze", 1, activation="relu"
    )(weight)
    weight = convolution(filters, f"{name}_weigh", 1, activation="sigmoid")(weight)
    return x * weight


def attention_block(x, filters, reduction, name):
    residual = convolution(filters, f"{name}_conv1", activation="relu")(x)
    residual = convolution(filters, f"{name}_conv2")(residual)
    return x + channel_attention(residual, reduction, f"{name}_attention")


def residual_group(x, blocks, filters, reduction, name):
    residual = x
    for number in range(blocks):
        residual = attention_block(
            residual, filters, reduction, f"{name}_block{number + 1}"
        )
    return x + convolution(filters, f"{name}_end")(residual)


# For each scale, the factors by which `upsample` enlarges in a row.
FACTORS = {1: [], 2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}


def upsample(x, scale, filters):
    """Sub-pixel convolutions (pixel shuffle), one for each factor."""
    for number, factor in enumerate(FACTORS[scale]):
        x = convolution(filters * factor**2, f"upsample{number + 1}_x{factor}")(x)
        x = keras.ops.depth_to_space(x, factor)
    return x


def repeat(x, scale):
    """Each pixel repeated. Not by `UpSampling2D`, which some phones do not know."""
    x = keras.ops.concatenate([x] * scale**2, axis=-1)
    return keras.ops.depth_to_space(x, scale) if scale > 1 else x


def build_rcan(
    scale=4, groups=10, blocks=20, filters=64, reduction=16, image_skip=True
):
    """Builds RCAN (Zhang et al. 2018, section 3). The defaults are the paper's; those of
    the script take a tenth of the time.

    Args:
        scale: 2, 3, 4 or 8; 1 keeps the size.
        groups: residual groups.
        blocks: blocks with channel attention in each group.
        filters: channels of the body.
        reduction: squeeze ratio of the attention.
        image_skip: adds the input, each pixel repeated, to what the layers give, which is
            zero in a new network.

    Returns:
        `keras.Model` from RGB [batch, h, w, 3], 0 to 255, uint8 or float, to float32 RGB
        [batch, h*scale, w*scale, 3].

    Raises:
        ValueError: for any other scale.
    """
    if scale not in FACTORS:
        raise ValueError(f"SCALE = {scale!r}: RCAN takes 1, 2, 3, 4 or 8.")
    scale = int(scale)  # files cannot hold NumPy's numbers
    inputs = keras.Input((None, None, 3), name="lr")
    x = layers.Rescaling(1 / 255, offset=-0.5, dtype="float32", name="scale_in")(inputs)
    x = head = convolution(filters, "head")(x)
    for number in range(groups):
        x = residual_group(x, blocks, filters, reduction, f"group{number + 1}")
    x = convolution(filters, "body_end")(x) + head
    x = upsample(x, scale, filters)
    if not image_skip:
        x = convolution(3, "tail", dtype="float32")(x)
        outputs = layers.Rescaling(255, offset=127.5, dtype="float32", name="sr")(x)
        return keras.Model(inputs, outputs, name=f"rcan_x{scale}")
    x = convolution(3, "tail", dtype="float32", kernel_initializer="zeros")(x)
    x = layers.Rescaling(255, dtype="float32", name="scale_out")(x)
    skip = repeat(inputs, scale)
    outputs = layers.Add(dtype="float32", name="sr")([x, skip])
    return keras.Model(inputs, outputs, name=f"rcan_x{scale}")


"""
## Training

The paper's recipe: patches of 48x48 pixels, rotated and flipped; the mean absolute error.
The training is shorter. In few steps, Muon
([Jordan 2024](https://kellerjordan.github.io/posts/muon/)) gets further than Adam, and so
does a higher learning rate that warms up and then falls to zero along a cosine.

PSNR, the peak signal-to-noise ratio in dB, is measured as in the papers: on Y, the luma
of the picture, without a border of `SCALE` pixels. During training it is measured on the
centres of the validation pictures, and the best network is kept. The table at the end
scores whole test pictures, which do not influence the training; datasets without test
pictures are scored on those of validation. For RCAN+ in the table the picture is enlarged
in its eight rotations and flips, and the results are averaged.

The attention averages over its whole input: a patch in training; in the table and in
`upscale.py` the whole small picture, or a tile of 1024 pixels if it is larger.
"""


def main():
    chosen = settings.check_values(globals(), SETTINGS)
    print(f"RCAN x{SCALE} on {DATASET!r}, {EPOCHS} epochs of {STEPS_PER_EPOCH} steps.")
    if DATASET == "leaves":
        print(
            "Leaves are drawn pictures, so that this runs anywhere. The paper's run: "
            "DATASET=div2k GROUPS=10 BLOCKS=20 BATCH_SIZE=16 EPOCHS=1000 "
            "STEPS_PER_EPOCH=1000 OPTIMIZER=adam LEARNING_RATE=1e-4 IMAGE_SKIP=False"
        )
    hardware.start(SEED)
    hardware.set_precision(PRECISION)
    learning_rate = optimizers.warmup_cosine(
        LEARNING_RATE, EPOCHS * STEPS_PER_EPOCH, WARMUP_STEPS
    )
    with hardware.devices(BATCH_SIZE):
        model = build_rcan(SCALE, GROUPS, BLOCKS, FILTERS, REDUCTION, IMAGE_SKIP)
        model.compile(
            optimizer=optimizers.make_optimizer(OPTIMIZER, learning_rate),
            loss="mae",
            metrics=[metrics.PSNR(shave=SCALE, luma=True)],
        )
    train, validation, test = data.load_splits(
        DATASET, SCALE, DEGRADATION, PATCH_SIZE, NOISE
    )
    initial = [(model, INITIAL_WEIGHTS)]
    run = training.open_run(
        model, RESULTS, "rcan", chosen, pictures=[train, validation], initial=initial
    )
    batches = data.training_batches(
        train, SCALE, PATCH_SIZE, BATCH_SIZE, NOISE, SEED, first_step=run.step
    )
    crops = data.validation_batches(validation, SCALE, PATCH_SIZE)
    drawings.draw_samples(next(iter(batches)), run.folder / "samples.png")
    preview = callbacks.Preview(model, next(iter(test)), run.folder / "preview")
    with run.interruptible():
        run.score_start(crops)
        model.fit(
            batches,
            initial_epoch=run.epoch,
            epochs=run.epochs,
            steps_per_epoch=STEPS_PER_EPOCH,
            shuffle=False,  # the batches are random already
            validation_data=crops,
            callbacks=[*run.callbacks, preview],
        )
    results.report(run, "RCAN", test)


if __name__ == "__main__":
    main()

"""
## What to try next

- More groups and blocks: `GROUPS` and `BLOCKS` set the depth, and with it the time a step
  takes.
- Another scale: `SCALE = 2`, and `INITIAL_WEIGHTS` to start x4 from the x2 network.
- `python compare.py` compares all trained networks, RCAN beside EDSR.
"""

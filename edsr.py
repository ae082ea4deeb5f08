"""
Title: Image super-resolution with EDSR
Author: The maintainers of this repository
Date created: 2026/11/22
Last modified: 2026/12/01
Description: Training EDSR to enlarge photographs, scored exactly as in the papers.
Accelerator: GPU
"""

"""
## Introduction

*Enhanced Deep Residual Networks for Single Image Super-Resolution*
([Lim et al. 2017](https://arxiv.org/abs/1707.02921)) took SRResNet, a residual network of
2016, removed what classification needs and super-resolution does not, and won the NTIRE
2017 challenge:

- no batch normalisation, which normalises away the range of the pixels and takes 40% of
  the memory (section 3.1);
- the mean absolute error instead of the mean squared error (section 4.2);
- in its full size, 32 blocks of 256 filters, with each block's output scaled by 0.1,
  since training is unstable otherwise (section 3.2).

The network learns from pairs of pictures: HR, the original at high resolution, and LR,
the same shrunk to low resolution. It works at low resolution and enlarges at its very
end, with sub-pixel convolutions, whose channels are rearranged into pixels (pixel
shuffle, [Shi et al. 2016](https://arxiv.org/abs/1609.05158)).

This script trains the paper's baseline of 16 blocks of 64 filters, for minutes instead of
days. The start decides how far a short run gets, so one thing is added to the network: a
skip with a bilinear enlargement of the input. The rest of the network starts at zero
output, so training begins from that enlargement. Set `IMAGE_SKIP = False` for the plain
network of the paper.
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
import numpy as np
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

Edit these, or set them for one run: `python edsr.py SCALE=2 DATASET=div2k`. A run that
was stopped resumes. If you change the pictures, the layers below or any setting other
than `EPOCHS`, the results so far are moved aside and a new run starts. Other edits
are not always noticed: see docs/resume.md.
"""

DATASET = "leaves"  # drawn; or "div2k" (paper), "bsds500", "flowers", a folder
DEGRADATION = "bicubic"  # makes LR; or "area", "aliased", "realistic", "web", several
SCALE = 4  # 2, 3, 4 or 8; or 1, to remove noise and blur
FILTERS = 64  # the paper's large network: 256
BLOCKS = 16  # the paper's large network: 32
RESIDUAL_SCALING = 1.0  # the paper's large network: 0.1
IMAGE_SKIP = True  # add a bilinear enlargement of the input; paper: False
PATCH_SIZE = 48  # LR pixels; paper: 48
BATCH_SIZE = 4  # paper: 16
NOISE = 0.0  # grey levels of Gaussian noise added to LR; paper: none
EPOCHS = 10  # paper: 300 of 1,000 steps
STEPS_PER_EPOCH = 200  # batches between validations
OPTIMIZER = "muon"  # gets further in few steps; or "adam" (paper)
LEARNING_RATE = 1e-3  # to train further: 1e-4; paper: 1e-4, halved every 200,000 steps
WARMUP_STEPS = 200  # steps of rising learning rate, at most a tenth of all; paper: none
INITIAL_WEIGHTS = None  # a .keras file to train further; paper: x2 for x3 and x4
PRECISION = "auto"  # the fastest here; or "float32", "mixed_bfloat16", "mixed_float16"
SEED = 0  # of all random choices
RESULTS = "results"  # folder for everything a run makes

SETTINGS = settings.collect(globals())  # applies NAME=value of the command line

"""
## The network

A residual block is two convolutions and nothing else: no batch normalisation, and no
activation after the addition.

The kernels start uniform within 1/sqrt(fan_in), as in the authors' PyTorch code; Keras'
default is larger in all layers but the first. With the image skip the output convolution
starts at zero, so that the first step begins at the bilinear enlargement.
"""


def convolution(filters, name, **kwargs):
    # Uniform within +-a has the variance a^2 / 3.
    start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    kwargs = {"kernel_initializer": start, **kwargs}
    return layers.Conv2D(filters, 3, padding="same", name=name, **kwargs)


def residual_block(x, filters, scaling, name):
    residual = convolution(filters, f"{name}_conv1", activation="relu")(x)
    residual = convolution(filters, f"{name}_conv2")(residual)
    if scaling != 1:
        residual = residual * scaling
    return x + residual


# For each scale, the factors by which `upsample` enlarges in a row.
FACTORS = {1: [], 2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}


def upsample(x, scale, filters):
    """Sub-pixel convolutions (pixel shuffle), one for each factor."""
    for number, factor in enumerate(FACTORS[scale]):
        # filters channels for each of the factor x factor sub-pixels
        x = convolution(filters * factor**2, f"upsample{number + 1}_x{factor}")(x)
        x = keras.ops.depth_to_space(x, factor)
    return x


def bilinear(x, scale, channels):
    """Bilinear enlargement as a fixed sub-pixel convolution, for any picture size."""
    # Where the sub-pixels lie, measured from the centre of their pixel, and how much each
    # takes from the pixel before, its own and the one after.
    place = (np.arange(scale) + 0.5) / scale - 0.5
    taps = np.maximum(0, 1 - np.abs(place[:, None] - [-1, 0, 1]))
    # y, x: row and column of the 3x3 kernel; a: channel of the input; i, j, b: row,
    # column and channel of the sub-pixel, in the order that depth_to_space takes.
    kernel = np.einsum("iy,jx,ab->yxaijb", taps, taps, np.eye(channels))
    enlarge = layers.Conv2D(
        channels * scale**2,
        kernel_size=3,
        use_bias=False,
        trainable=False,
        dtype="float32",
        name="image_skip",
    )
    # Repeats the edge pixels, without `pad`, which some runtimes do not support.
    x = keras.ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
    x = keras.ops.concatenate([x[:, :, :1], x, x[:, :, -1:]], axis=2)
    x = enlarge(x)  # which makes its weights
    enlarge.set_weights([kernel.reshape(3, 3, channels, -1)])
    return keras.ops.depth_to_space(x, scale) if scale > 1 else x


def build_edsr(
    scale=4, filters=64, blocks=16, residual_scaling=1.0, image_skip=True, channels=3
):
    """Builds EDSR (Lim et al. 2017, section 3 and table 1).

    Args:
        scale: 2, 3, 4 or 8; 1 keeps the size.
        filters: channels of the body; 64 for the baseline, 256 for the full size.
        blocks: residual blocks; 16 for the baseline, 32 for the full size.
        residual_scaling: factor on each block's output; 0.1 for the full size.
        image_skip: adds a bilinear enlargement of the input to what the layers give,
            which is zero in a new network.
        channels: 3 for RGB, 1 for luma.

    Returns:
        `keras.Model` from pixels [batch, h, w, channels], 0 to 255, uint8 or float, to
        float32 pixels [batch, h*scale, w*scale, channels].

    Raises:
        ValueError: for any other scale.
    """
    if scale not in FACTORS:
        raise ValueError(f"SCALE = {scale!r}: EDSR takes 1, 2, 3, 4 or 8.")
    scale = int(scale)  # files cannot hold NumPy's numbers
    inputs = keras.Input((None, None, channels), name="lr")
    x = layers.Rescaling(1 / 255, offset=-0.5, dtype="float32", name="scale_in")(inputs)
    x = head = convolution(filters, "head")(x)
    for number in range(blocks):
        x = residual_block(x, filters, residual_scaling, f"block{number + 1}")
    x = convolution(filters, "body_end")(x) + head
    x = upsample(x, scale, filters)
    if not image_skip:
        x = convolution(channels, "tail", dtype="float32")(x)
        outputs = layers.Rescaling(255, offset=127.5, dtype="float32", name="sr")(x)
        return keras.Model(inputs, outputs, name=f"edsr_x{scale}")
    x = convolution(channels, "tail", dtype="float32", kernel_initializer="zeros")(x)
    x = layers.Rescaling(255, dtype="float32", name="scale_out")(x)
    skip = bilinear(inputs, scale, channels)
    outputs = layers.Add(dtype="float32", name="sr")([x, skip])
    return keras.Model(inputs, outputs, name=f"edsr_x{scale}")


"""
## Training

The paper's recipe: patches of 48x48 pixels, rotated and flipped; the mean absolute error.
The training is shorter, since the paper's 300,000 steps take days. A few thousand steps
get further with smaller batches, with a learning rate ten times as high that warms up and
then falls to zero along a cosine, and with Muon
([Jordan 2024](https://kellerjordan.github.io/posts/muon/)) instead of Adam. Muon makes
the step of each kernel between the first and the last, seen as a matrix, orthogonal, so
that it learns in all directions alike.

PSNR, the peak signal-to-noise ratio in dB, is measured as in the papers: on Y, the luma
of the picture, without a border of `SCALE` pixels. During training it is measured on the
centres of the validation pictures, and the best network is kept. The table at the end
scores whole test pictures, which do not influence the training; datasets without test
pictures are scored on those of validation. For EDSR+ in the table the picture is enlarged
in its eight rotations and flips, and the results are averaged (section 4.3).

For the training alone, without resuming and reports, see docs/python.md.
"""


def main():
    chosen = settings.check_values(globals(), SETTINGS)
    print(f"EDSR x{SCALE} on {DATASET!r}, {EPOCHS} epochs of {STEPS_PER_EPOCH} steps.")
    if DATASET == "leaves":
        print(
            "Leaves are drawn pictures, so that this runs anywhere. The paper's run: "
            "DATASET=div2k BATCH_SIZE=16 EPOCHS=300 STEPS_PER_EPOCH=1000 "
            "OPTIMIZER=adam LEARNING_RATE=1e-4 IMAGE_SKIP=False"
        )
    hardware.start(SEED)
    hardware.set_precision(PRECISION)
    learning_rate = optimizers.warmup_cosine(
        LEARNING_RATE, EPOCHS * STEPS_PER_EPOCH, WARMUP_STEPS
    )
    with hardware.devices(BATCH_SIZE):
        model = build_edsr(SCALE, FILTERS, BLOCKS, RESIDUAL_SCALING, IMAGE_SKIP)
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
        model, RESULTS, "edsr", chosen, pictures=[train, validation], initial=initial
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
    results.report(run, "EDSR", test)


if __name__ == "__main__":
    main()

"""
## What to try next

- Another scale: `SCALE = 2`, or `INITIAL_WEIGHTS = "weights/edsr_x2.keras"` to start x3
  or x4 from x2, as in the paper.
- Your own photographs: `DATASET = "path/to/folder"`; or an included network trained
  further on them, `INITIAL_WEIGHTS = "weights/edsr_x4.keras"` and `LEARNING_RATE = 1e-4`.
- Noise, blur and JPEG removed, at the same size: `SCALE = 1` and
  `DEGRADATION = "realistic"`.
- `python upscale.py photo.jpg --model results/edsr_x4_leaves/model.keras` enlarges your
  pictures with the trained network, and `python compare.py` compares what you trained.
"""

"""
Title: Multi-scale image super-resolution with MDSR
Author: The maintainers of this repository
Date created: 2026/11/22
Last modified: 2026/12/01
Description: Training one network to enlarge photographs two, three and four times.
Accelerator: GPU
"""

"""
## Introduction

*Enhanced Deep Residual Networks for Single Image Super-Resolution*
([Lim et al. 2017](https://arxiv.org/abs/1707.02921)) has a second network in section 3.3.
What a network learns for one scale helps it with the others, and most of what it does
is the same for all. MDSR therefore shares its body between the scales, and gives each
scale only

- pre-processing at the head: two residual blocks with kernels of 5x5, which make pictures
  of different scales more alike;
- a sub-pixel convolution at the end.

In its full size it has 80 blocks and 8.0 million parameters for three scales, where EDSR
has 43 million for each.

The network learns from pairs of pictures: HR, the original at high resolution, and LR,
the same shrunk to low resolution. The paper draws one of the scales at random for every
step. Here **every step trains every scale**, with an input and an output for each and the
sum of their losses. So plain `fit` is enough, all shapes stay the same from step to step,
and the shared body follows the gradient of all scales rather than that of a random one. A
step takes about three times as long and does the work of three.

This script trains the paper's baseline of 16 blocks. It differs from the paper in how the
network starts, as `edsr.py` does: what the layers give is added to an enlargement of the
input, here with each pixel repeated, and is zero at first.
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
import tensorflow as tf
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

Edit these, or set them for one run: `python mdsr.py SCALES=2,4 DATASET=div2k`. A run that
was stopped resumes. If you change the pictures, the layers below or any setting other
than `EPOCHS`, the results so far are moved aside and a new run starts. Other edits
are not always noticed: see docs/resume.md.
"""

DATASET = "leaves"  # drawn; or "div2k" (paper), "bsds500", "flowers", a folder
DEGRADATION = "bicubic"  # makes LR; or "area", "aliased", "realistic", "web", several
SCALES = (2, 3, 4)  # two or more of 1, 2, 3, 4 and 8; paper: 2, 3, 4
FILTERS = 64  # paper: 64
BLOCKS = 16  # the paper's large network: 80
IMAGE_SKIP = True  # add the input, each of its pixels repeated; paper: False
PATCH_SIZE = 48  # LR pixels, at every scale; paper: 48
BATCH_SIZE = 2  # patches of each scale; paper: 16 of one scale
NOISE = 0.0  # grey levels of Gaussian noise added to LR; paper: none
EPOCHS = 20  # paper's code: 650 of 1,000 steps, each of one scale; here of all
STEPS_PER_EPOCH = 100  # batches between validations
OPTIMIZER = "muon"  # gets further in few steps; or "adam" (paper)
LEARNING_RATE = 1e-3  # paper: 1e-4, halved every 200,000 steps
WARMUP_STEPS = 200  # steps of rising learning rate, at most a tenth of all; paper: none
INITIAL_WEIGHTS = None  # the folder of an MDSR run to train its networks further
PRECISION = "auto"  # the fastest here; or "float32", "mixed_bfloat16", "mixed_float16"
SEED = 0  # of all random choices
RESULTS = "results"  # folder for everything a run makes

SETTINGS = settings.collect(globals())  # applies NAME=value of the command line

"""
## The network

A residual block is a pair of convolutions. Here it is a function, because all scales call
the same body: its layers are made once and applied to each scale.

The kernels start uniform within 1/sqrt(fan_in), as in the authors' PyTorch code. With the
image skip the output convolution, also shared, starts at zero.
"""


def convolution(filters, name, kernel_size=3, **kwargs):
    # Uniform within +-a has the variance a^2 / 3.
    start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    kwargs = {"kernel_initializer": start, **kwargs}
    return layers.Conv2D(filters, kernel_size, padding="same", name=name, **kwargs)


def residual_block(filters, name, kernel_size=3):
    """Makes the layers of a block, and returns a function that applies them."""
    first = convolution(filters, f"{name}_conv1", kernel_size, activation="relu")
    second = convolution(filters, f"{name}_conv2", kernel_size)
    return lambda x: x + second(first(x))


# For each scale, the factors by which `upsample` enlarges in a row.
FACTORS = {1: [], 2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}


def upsample(x, scale, filters):
    """Sub-pixel convolutions (pixel shuffle), one for each factor."""
    for number, factor in enumerate(FACTORS[scale]):
        name = f"x{scale}_upsample{number + 1}_x{factor}"
        x = convolution(filters * factor**2, name)(x)
        x = keras.ops.depth_to_space(x, factor)
    return x


def repeat(x, scale):
    """Each pixel repeated. Not by `UpSampling2D`, which some phones do not know."""
    x = keras.ops.concatenate([x] * scale**2, axis=-1)
    return keras.ops.depth_to_space(x, scale) if scale > 1 else x


def build_mdsr(scales=(2, 3, 4), filters=64, blocks=16, image_skip=True):
    """Builds MDSR (Lim et al. 2017, section 3.3 and table 1).

    Args:
        scales: two or more of 2, 3, 4 and 8, and of 1, which keeps the size.
        filters: channels of the body.
        blocks: residual blocks of the body; 16 for the baseline, 80 for the full size.
        image_skip: adds the input, each pixel repeated, to what the layers give, which is
            zero in a new network.

    Returns:
        `keras.Model` with an input and an output for each scale: from RGB
        [batch, h, w, 3], 0 to 255, uint8 or float, to float32 RGB
        [batch, h*scale, w*scale, 3]. The inputs are named "lr_x2", ..., the outputs "x2",
        ...; the pictures of each scale may have a size of their own.

    Raises:
        ValueError: for any other scale, one that is given twice, or a single one.
    """
    if not set(scales) <= FACTORS.keys() or len(set(scales)) < max(2, len(scales)):
        raise ValueError(
            f"SCALES = {scales}: MDSR takes two or more of 2, 3, 4, 8 and 1."
        )
    head = convolution(filters, "head")
    body = [residual_block(filters, f"block{number + 1}") for number in range(blocks)]
    body_end = convolution(filters, "body_end")
    start = {"kernel_initializer": "zeros"} if image_skip else {}
    tail = convolution(3, "tail", dtype="float32", **start)
    inputs, outputs = [], []
    for scale in scales:
        lr = keras.Input((None, None, 3), name=f"lr_x{scale}")
        options = dict(dtype="float32", name=f"x{scale}_scale_in")
        x = head(layers.Rescaling(1 / 255, offset=-0.5, **options)(lr))
        for number in (1, 2):
            x = residual_block(filters, f"x{scale}_pre{number}", kernel_size=5)(x)
        skip = x
        for block in body:
            x = block(x)
        x = tail(upsample(body_end(x) + skip, scale, filters))
        if image_skip:
            x = layers.Rescaling(255, dtype="float32", name=f"x{scale}_scale_out")(x)
            repeated = repeat(lr, scale)
            x = layers.Add(dtype="float32", name=f"x{scale}")([x, repeated])
        else:
            options = dict(offset=127.5, dtype="float32", name=f"x{scale}")
            x = layers.Rescaling(255, **options)(x)
        inputs.append(lr)
        outputs.append(x)
    return keras.Model(inputs, outputs, name="mdsr")


def single_scale(model, scale):
    """The part of MDSR that enlarges by one scale, with the same weights.

    Args:
        model: `keras.Model` from `build_mdsr`.
        scale: one of its scales.

    Returns:
        `keras.Model` with one input and one output, like any other network here.
    """
    number = model.output_names.index(f"x{scale}")
    return keras.Model(
        model.inputs[number], model.outputs[number], name=f"mdsr_x{scale}"
    )


"""
## Training

Everything else is as for EDSR: patches of 48x48 pixels at every scale, rotated and
flipped; the mean absolute error. The training is shorter than the paper's. In few steps,
Muon ([Jordan 2024](https://kellerjordan.github.io/posts/muon/)) gets further than Adam,
and so does a higher learning rate that warms up and then falls to zero along a cosine.

PSNR, the peak signal-to-noise ratio in dB, is measured as in the papers: on Y, the luma
of the picture, without a border of `scale` pixels. During training it is measured on the
centres of the validation pictures, and the network with the best mean over the scales is
kept. Each scale is saved as a separate network. The table at the end scores whole test
pictures, which do not influence the training; datasets without test pictures are scored
on those of validation. For MDSR+ the picture is enlarged in its eight rotations and
flips, and the results are averaged.
"""


def together(datasets):
    """Zips the batches of several scales, for `fit`: ((LR, LR, ...), (HR, HR, ...))."""
    return tf.data.Dataset.zip(*datasets).map(lambda *pairs: tuple(zip(*pairs)))


def data_of_each_scale(run, train, validation, test):
    """Makes what `fit` takes, and draws samples.

    Args:
        run: `training.Run`.
        train, validation, test: the pairs of each scale, as from `data.load_splits`.

    Returns:
        Batches to train on, crops to validate on, and a list of callbacks that draw
        previews.
    """
    batches, crops, previews = [], [], []
    for scale, learned, held_out, scored in zip(SCALES, train, validation, test):
        seed = SEED + scale
        batches.append(
            data.training_batches(
                learned, scale, PATCH_SIZE, BATCH_SIZE, NOISE, seed, run.step
            )
        )
        # One by one, since zip ends with the shortest: flowers has fewer pictures that
        # are large enough for x4 than for x2.
        crops.append(data.validation_batches(held_out, scale, PATCH_SIZE, batch_size=1))
        samples = run.folder / f"samples_x{scale}.png"
        drawings.draw_samples(next(iter(batches[-1])), samples)
        network = run.networks[f"model_x{scale}"]
        folder = run.folder / f"preview_x{scale}"
        previews.append(callbacks.Preview(network, next(iter(scored)), folder))
    return together(batches), together(crops), previews


def main():
    chosen = settings.check_values(globals(), SETTINGS)
    names = ", ".join(f"x{scale}" for scale in SCALES)
    print(f"MDSR {names} on {DATASET!r}, {EPOCHS} epochs of {STEPS_PER_EPOCH} steps.")
    if DATASET == "leaves":
        print(
            "Leaves are drawn pictures, so that this runs anywhere. The paper's run: "
            "DATASET=div2k BLOCKS=80 BATCH_SIZE=16 EPOCHS=217 STEPS_PER_EPOCH=1000 "
            "OPTIMIZER=adam LEARNING_RATE=1e-4 IMAGE_SKIP=False"
        )
    hardware.start(SEED)
    hardware.set_precision(PRECISION)
    learning_rate = optimizers.warmup_cosine(
        LEARNING_RATE, EPOCHS * STEPS_PER_EPOCH, WARMUP_STEPS
    )
    with hardware.devices(BATCH_SIZE):
        model = build_mdsr(SCALES, FILTERS, BLOCKS, IMAGE_SKIP)
        model.compile(
            optimizer=optimizers.make_optimizer(OPTIMIZER, learning_rate),
            loss=["mae" for _ in SCALES],
            metrics=[[metrics.PSNR(shave=scale, luma=True)] for scale in SCALES],
        )
    networks = {f"model_x{scale}": single_scale(model, scale) for scale in SCALES}
    train, validation, test = zip(
        *(
            data.load_splits(DATASET, scale, DEGRADATION, PATCH_SIZE, NOISE)
            for scale in SCALES
        )
    )
    initial = [
        (network, INITIAL_WEIGHTS and f"{INITIAL_WEIGHTS}/{name}.keras")
        for name, network in networks.items()
    ]
    pictures = [*train, *validation]
    run = training.open_run(
        model, RESULTS, "mdsr", chosen, networks, pictures=pictures, initial=initial
    )
    batches, crops, previews = data_of_each_scale(run, train, validation, test)
    with run.interruptible():
        run.score_start(crops)
        model.fit(
            batches,
            initial_epoch=run.epoch,
            epochs=run.epochs,
            steps_per_epoch=STEPS_PER_EPOCH,
            shuffle=False,  # the batches are random already
            validation_data=crops,
            callbacks=[*run.callbacks, *previews],
        )
    results.report(run, "MDSR", dict(zip(networks, test)))


if __name__ == "__main__":
    main()

"""
## What to try next

- Other scales: `SCALES = (2, 4, 8)`.
- `python upscale.py photo.jpg --model results/mdsr_x2x3x4_leaves/model_x3.keras` enlarges
  your pictures with the network of one scale.
- `python compare.py --scale 3` compares it with other networks of that scale.
"""

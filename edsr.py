"""
Title: Image super-resolution with EDSR
Author: The maintainers of this repository
Date created: 2026/11/22
Last modified: 2026/11/25
Description: Training EDSR to enlarge photographs, scored exactly as in the papers.
Accelerator: GPU
"""

"""
## Introduction

*Enhanced Deep Residual Networks for Single Image Super-Resolution*
([Lim et al. 2017](https://arxiv.org/abs/1707.02921)) took SRResNet, removed what
classification needs and super-resolution does not, and won the NTIRE 2017 challenge:

- no batch normalisation, which normalises away the range of the pixels and takes 40% of
  the memory (section 3.1);
- the mean absolute error instead of the mean squared error (section 4.2);
- in its full size 32 blocks of 256 filters, with each block's output scaled by 0.1, since
  training is not stable without (section 3.2).

The network works at low resolution, and enlarges at its very end by a convolution whose
channels are rearranged into pixels ([Shi et al. 2016](https://arxiv.org/abs/1609.05158)).

This script trains the paper's baseline of 16 blocks of 64 filters. It differs from the
paper in how the network starts, because that decides what a short training reaches: the
network adds to a bilinear enlargement of its input and starts from exactly that. Set
`IMAGE_SKIP = False` for the plain network of the paper.
"""

"""
## Setup
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import keras
import numpy as np
from keras import layers

import data
import hardware
import metrics
import pictures
import training

"""
## Hyperparameters

Edit these. A run goes on where it was stopped; when any of them but `EPOCHS` has changed,
the results so far are moved aside and a new run starts.
"""

DATASET = "leaves"  # drawn; "div2k" (paper), "bsds500", "flowers", a folder
DEGRADATION = "bicubic"  # or "area", "realistic", DIV2K's own; several: a tuple
SCALE = 4  # 2, 3, 4 or 8
FILTERS = 64  # full size: 256
BLOCKS = 16  # full size: 32
RESIDUAL_SCALING = 1.0  # full size: 0.1
IMAGE_SKIP = True  # add to a bilinear enlargement of the input; paper: False
PATCH_SIZE = 48  # LR pixels; paper: 48
BATCH_SIZE = 4  # paper: 16
NOISE = 0.0  # grey levels of Gaussian noise on LR, an augmentation; paper: none
EPOCHS = 20  # paper: 300 of 1,000 steps
STEPS_PER_EPOCH = 200  # batches between two validations
LEARNING_RATE = 8e-4  # paper: 1e-4, halved every 200,000 steps; Keras example: at 5,000
WARMUP_STEPS = 200  # steps of rising learning rate; paper: none
INITIAL_WEIGHTS = None  # a .keras file to start from; paper: the x2 network for x3, x4
PRECISION = "auto"  # or "float32", "mixed_bfloat16", "mixed_float16"
SEED = 0  # another number, another run
RESULTS = "results"  # folder for everything a run makes

"""
## The network

A residual block is two convolutions and nothing else: no batch normalisation, and no
activation after the addition.

The kernels start uniform within 1/sqrt(fan_in), as they do in the authors' PyTorch code,
which is a smaller start than Keras' default. The output convolution starts at zero when
there is an image skip, so that the first step begins at the bilinear enlargement.
"""


def convolution(filters, name, **kwargs):
    start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    kwargs = {"kernel_initializer": start, **kwargs}
    return layers.Conv2D(filters, 3, padding="same", name=name, **kwargs)


def residual_block(x, filters, scaling, name):
    residual = convolution(filters, f"{name}_conv1", activation="relu")(x)
    residual = convolution(filters, f"{name}_conv2")(residual)
    if scaling != 1:
        residual = residual * scaling
    return x + residual


def upsample(x, scale, filters):
    """Sub-pixel convolutions: one for x3, one for each factor of two otherwise."""
    for number, factor in enumerate({2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]):
        x = convolution(filters * factor**2, f"upsample{number + 1}_x{factor}")(x)
        x = keras.ops.depth_to_space(x, factor)
    return x


def bilinear(x, scale, channels):
    """Bilinear enlargement as a fixed sub-pixel convolution, for any picture size."""
    # Of the sub-pixels, from the centre of their pixel.
    place = (np.arange(scale) + 0.5) / scale - 0.5
    taps = np.maximum(0, 1 - np.abs(place[:, None] - [-1, 0, 1]))
    kernel = np.einsum("iy,jx,ab->yxaijb", taps, taps, np.eye(channels))
    enlarge = layers.Conv2D(
        channels * scale**2,
        kernel_size=3,
        use_bias=False,
        trainable=False,
        dtype="float32",
        name="image_skip",
    )
    x = keras.ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric")
    x = enlarge(x)
    enlarge.set_weights([kernel.reshape(3, 3, channels, -1)])
    return keras.ops.depth_to_space(x, scale)


def build_edsr(
    scale=4, filters=64, blocks=16, residual_scaling=1.0, image_skip=True, channels=3
):
    """Builds EDSR (Lim et al. 2017, section 3 and table 1).

    Args:
        scale: 2, 3, 4 or 8.
        filters: channels of the body; 64 for the baseline, 256 for the full size.
        blocks: residual blocks; 16 for the baseline, 32 for the full size.
        residual_scaling: factor on each block's output; 0.1 for the full size.
        image_skip: adds to a bilinear enlargement of the input, and starts there.
        channels: 3 for RGB, 1 for luma.

    Returns:
        `keras.Model` from pixels [batch, h, w, channels], 0 to 255, uint8 or float, to
        float32 pixels [batch, h*scale, w*scale, channels].

    Raises:
        ValueError: for any other scale.
    """
    if scale not in (2, 3, 4, 8):
        raise ValueError(f"SCALE = {scale}: EDSR enlarges by 2, 3, 4 or 8.")
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

Patches of 48x48 pixels, turned and mirrored, the mean absolute error, Adam: the paper's
recipe. What differs is the length, and with it the learning rate: the paper's 300,000
steps take days, and for a few thousand steps an eight times higher rate that warms up
and then falls to zero along a cosine reaches more.

PSNR is measured as in the papers, on the Y channel without a border of `SCALE` pixels.
While training it is that of the centres of the validation pictures; the table at the end
has whole pictures, which have no influence on the training. EDSR+ in the table is the
mean over the eight turns and mirrorings of the picture (section 4.3).
"""


def main():
    settings = {name: value for name, value in globals().items() if name.isupper()}
    print(f"EDSR x{SCALE} on {DATASET!r}, {EPOCHS} epochs of {STEPS_PER_EPOCH} steps.")
    if DATASET == "leaves":
        print(
            "Leaves are drawn pictures, so that this runs anywhere. For the paper set "
            'DATASET = "div2k", BATCH_SIZE = 16, EPOCHS = 300, STEPS_PER_EPOCH = 1000, '
            "LEARNING_RATE = 1e-4 and IMAGE_SKIP = False."
        )
    hardware.set_seed(SEED)
    hardware.set_precision(PRECISION)
    steps = EPOCHS * STEPS_PER_EPOCH
    warmup = min(WARMUP_STEPS, steps // 10)
    learning_rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    with hardware.devices(BATCH_SIZE):
        model = build_edsr(SCALE, FILTERS, BLOCKS, RESIDUAL_SCALING, IMAGE_SKIP)
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate),
            loss="mae",
            metrics=[metrics.PSNR(shave=SCALE, luma=True)],
        )
    train = data.load(DATASET, "train", SCALE, DEGRADATION, PATCH_SIZE)
    validation = data.load(DATASET, "validation", SCALE, DEGRADATION, PATCH_SIZE)
    test = data.load(DATASET, data.scored_split(DATASET), SCALE, DEGRADATION)
    print(
        f"Pictures: train {len(train)}, validate {len(validation)}, score {len(test)}"
    )
    initial = {model: INITIAL_WEIGHTS}
    run = training.open_run(model, RESULTS, "edsr", settings, initial=initial)
    batches = data.training_batches(
        train, SCALE, PATCH_SIZE, BATCH_SIZE, NOISE, SEED, first_step=run.step
    )
    pictures.draw_samples(batches, run.folder / "samples.png")
    preview = pictures.Preview(model, next(iter(test)), run.folder / "preview")
    with run.interruptible():
        model.fit(
            batches,
            initial_epoch=run.epoch,
            epochs=EPOCHS,
            steps_per_epoch=STEPS_PER_EPOCH,
            shuffle=False,  # the batches are random already
            validation_data=data.validation_batches(validation, SCALE, PATCH_SIZE),
            callbacks=[*run.callbacks, preview],
        )
    training.report(run, "EDSR", test)


if __name__ == "__main__":
    main()

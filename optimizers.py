"""Optimisers that a training script can name, and how their learning rate changes."""

import math

import keras
from keras import ops

FEW = 4  # channels, as many as a picture has at most


class Muon(keras.optimizers.Muon):
    """Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon; learning rates as for
    Adam by Liu et al. 2025, arXiv:2502.16982, section 2.2), for convolutions as well.

    Where Adam chooses the size of each weight's step, Muon makes the step of a whole
    matrix orthogonal, so that it learns in all directions alike. Keras' Muon takes
    matrices and leaves all other weights to Adam. Here a kernel is a matrix, too, with a
    column for each output channel. Biases are left to Adam, and so are kernels with at
    most four input or output channels, such as those that read or write RGB.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) < 2 or min(variable.shape[-2:]) <= FEW

    def zeropower_via_newtonschulz5(self, x, steps):
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        matrix = super().zeropower_via_newtonschulz5(matrix, steps)
        return ops.reshape(matrix, x.shape)

    def lr_adjust(self, x):
        longer = max(math.prod(x.shape[:-1]), x.shape[-1])
        return x * (self.rms_rate * math.sqrt(longer))


def muon(learning_rate):
    """`Muon` without weight decay, as in the papers of these networks."""
    return Muon(learning_rate, weight_decay=None, adam_weight_decay=None)


OPTIMIZERS = {"muon": muon, "adam": keras.optimizers.Adam}


def make_optimizer(name, learning_rate):
    """Makes an optimiser by its name.

    Args:
        name: "muon" or "adam" (Kingma and Ba 2015, arXiv:1412.6980).
        learning_rate: number or `keras.optimizers.schedules.LearningRateSchedule`.

    Returns:
        `keras.optimizers.Optimizer`.

    Raises:
        ValueError: for any other name.
    """
    if name not in OPTIMIZERS:
        raise ValueError(
            f"OPTIMIZER = {name!r} is unknown: it must be one of {', '.join(OPTIMIZERS)}."
        )
    return OPTIMIZERS[name](learning_rate)


def warmup_cosine(learning_rate, steps, warmup_steps):
    """A learning rate that rises from zero and then falls to zero along a cosine.

    Args:
        learning_rate: the highest.
        steps: of the whole training.
        warmup_steps: of the rise, at most a tenth of all.

    Returns:
        `keras.optimizers.schedules.CosineDecay` (Loshchilov and Hutter 2017, "SGDR").
    """
    warmup_steps = min(warmup_steps, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps - warmup_steps),
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )

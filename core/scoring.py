"""Which pictures can be compared, and which count in a mean.

The rules are the same for arrays and for tensors: where a function has the argument `xp`,
that is `numpy`, or `keras.ops` for tensors of any backend.
"""

import numpy as np

from core import pixels

# The most that a picture adds to a mean of PSNR, in dB: one value of 15 is off by one level.
# Beyond that, PSNR depends on how the last levels were rounded; without error it is infinite.
HIGHEST = 60.0
# The standard deviation in grey levels below which a picture is flat. If it were filled
# with its mean colour, PSNR would be 48 dB or more: it says nothing about enlarging.
FLAT = 1.0

RANGE_WAY_OUT = "rescale them, or pass the value of white as max_val, such as 1.0"


def check_max_val(max_val):
    """Refuses a value of white that cannot be one: zero, or what is not finite."""
    if not isinstance(max_val, (int, float, np.number)) or not 0 < max_val < np.inf:
        raise ValueError(f"max_val = {max_val!r} must be a number, finite and above 0.")


def check_shapes(hr, sr, shave, luma, window):
    """Refuses pictures that cannot be compared.

    Args:
        hr, sr: shapes (..., H, W, C); None for what is not known yet.
        shave: pixels to be left out on each side.
        luma: whether Y is to be compared.
        window: side in pixels of the smallest picture that has a score.

    Raises:
        ValueError: if the shapes differ, the channels are not those of RGB or Y, `shave` is
            negative, or too few pixels are left.
    """
    if not isinstance(shave, (int, np.integer)) or shave < 0:
        raise ValueError(f"shave = {shave!r} must be a whole number, 0 or more.")
    shave = int(shave)  # NumPy's uint8 has no 256
    hr, sr = tuple(hr), tuple(sr)
    both = list(zip(hr, sr))
    if len(hr) != len(sr) or any(a != b for a, b in both if None not in (a, b)):
        raise ValueError(f"HR and SR differ in shape: {hr} and {sr}.")
    height, width, channels = (b if a is None else a for a, b in both[-3:])
    if luma and channels is None:
        raise ValueError(
            "luma=True has to know the number of channels: set it, such as with "
            "tf.io.decode_png(file, channels=3)."
        )
    if channels not in (1, 3, None):
        raise ValueError(
            f"Pictures to compare have RGB or one channel, not {channels}: leave out alpha."
        )
    if None in (height, width):
        return
    if min(height, width) <= 2 * shave:
        raise ValueError(
            f"Nothing is left of {width}x{height} pixels after shaving {shave}."
        )
    width, height = width - 2 * shave, height - 2 * shave
    if min(height, width) < window:
        raise ValueError(f"SSIM needs {window}x{window} pixels, {width}x{height} left.")


def shaved(images, shave):
    """Leaves out pixels on each side of an array or tensor [..., H, W, C]."""
    end = -int(shave) or None  # the sides may be unknown yet
    return images[..., shave:end, shave:end, :]


def to_luma(images):
    """Y of RGB images [..., 3]; a single channel is taken to be Y already."""
    return pixels.luma(images) if images.shape[-1] == 3 else images


def is_flat(hr, xp=np):
    """Whether pictures [..., H, W, C], 0 to 255, are of one colour, or almost: [...].

    Such a picture counts in no mean. HR alone decides, so all networks are scored on the
    same pictures.
    """
    return xp.max(xp.var(hr, axis=(-3, -2)), axis=-1) < FLAT**2


def capped(psnr, xp=np):
    """What PSNR in dB adds to a mean."""
    return xp.minimum(psnr, HIGHEST)

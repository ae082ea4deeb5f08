"""Arithmetic on pixels: MATLAB's bicubic and luma, rounding, the range of values."""

import math
import operator

import numpy as np

# Rows that are made in one multiplication of matrices. Of each matrix only a band is not
# zero: the smaller the blocks, the less is multiplied by zero, in more steps.
BLOCK = 24


def bicubic_resize(image, height, width):
    """Resizes as MATLAB's `imresize(image, [height width], "bicubic")`.

    Cubic convolution with a = -0.5 (Keys 1981), widened when shrinking (antialiasing),
    mirrored edges. `tf.image.resize` differs on 4 to 5% of the pixels.

    Args:
        image: array or tensor [H, W, C], uint8, uint16 or float.
        height: rows of the result.
        width: columns of the result.

    Returns:
        Array [height, width, C] of the same type: whole numbers are rounded half up and
        clipped, floats are not.

    Raises:
        ValueError: for an array of another shape or type, or sizes below 1.
        TypeError: for sizes that are not whole numbers.
    """
    image = np.asarray(image)
    if image.ndim != 3 or not image.size:
        raise ValueError(f"image must be [H, W, C], not of shape {image.shape}.")
    kind = image.dtype.kind
    if kind != "f" and image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"image must be uint8, uint16 or float, not {image.dtype}.")
    height, width = operator.index(height), operator.index(width)
    if min(height, width) < 1:
        raise ValueError(f"Nothing can be resized to {width}x{height} pixels.")
    # float64 throughout: float32 flips the ties that scales 2 and 4 are full of.
    resized = _resize_rows(image.astype(np.float64), height)
    resized = _resize_rows(resized.swapaxes(0, 1), width).swapaxes(0, 1)
    if kind == "u":
        resized = rounded(resized, image.dtype)
    return np.ascontiguousarray(resized, dtype=image.dtype)


def _resize_rows(image, rows):
    """Resizes the first axis of a float64 array."""
    old = image.shape[0]
    ratio = old / rows
    stretch = max(1.0, ratio)
    centre = (np.arange(rows) + 0.5) * ratio - 0.5
    first = np.ceil(centre - 2 * stretch).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(4 * stretch)) + 1)
    weights = cubic((centre[:, None] - taps) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    taps %= 2 * old  # mirrored edges, the edge pixel repeated
    taps = np.where(taps < old, taps, 2 * old - 1 - taps)
    return weigh_rows(image, taps, weights)


def weigh_rows(image, taps, weights):
    """Sums of the rows of an array.

    Args:
        image: float64 [H, ...].
        taps: int [rows, n], the rows of `image` that each row of the result is made of.
        weights: float [rows, n], their factors.

    Returns:
        float64 [rows, ...].
    """
    flat = np.ascontiguousarray(image).reshape(len(image), -1)
    result = np.empty((len(taps), flat.shape[1]))
    for start in range(0, len(taps), BLOCK):
        near, weight = taps[start : start + BLOCK], weights[start : start + BLOCK]
        low = near.min()
        matrix = np.zeros((len(near), near.max() + 1 - low))
        np.add.at(matrix, (np.arange(len(near))[:, None], near - low), weight)
        result[start : start + BLOCK] = matrix @ flat[low : low + matrix.shape[1]]
    return result.reshape(len(taps), *image.shape[1:])


def cubic(x):
    """The cubic convolution kernel with a = -0.5 (Keys 1981), at an array of distances."""
    x = np.abs(x)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0))


def luma(image):
    """The Y channel of MATLAB's `rgb2ycbcr` (ITU-R BT.601), unrounded.

    Args:
        image: RGB [..., 3], 0 to 255: any array, or a float tensor of any backend.

    Returns:
        Float [..., 1], 16 to 235.

    Raises:
        ValueError: for an image of another shape.
    """
    if image.shape[-1] != 3:
        raise ValueError(f"image must be RGB [..., 3], not of shape {image.shape}.")
    red, green, blue = image[..., 0:1], image[..., 1:2], image[..., 2:3]
    return 16 + red * (65.481 / 255) + green * (128.553 / 255) + blue * (24.966 / 255)


def rounded(values, dtype):
    """Clips to the range of uint8 or uint16 and rounds half up."""
    return (np.clip(values, 0, np.iinfo(dtype).max) + 0.5).astype(dtype)


def to_uint8(image):
    """Clips to 0 to 255 and rounds half up: float array to uint8 array."""
    return rounded(image, np.uint8)


def to_samples(image, dtype):
    """Clips to 0 to 255 and rounds half up to the whole range of uint8 or uint16."""
    white = np.iinfo(dtype).max
    samples = image * (white / 255)  # from here on in place, which takes half the time
    np.clip(samples, 0, white, out=samples)
    samples += 0.5
    return samples.astype(dtype)


# Modes of Pillow's images whose numbers are neither RGB nor grey.
OTHER_MODES = "P", "PA", "CMYK", "YCbCr", "LAB", "HSV"


def as_array(image, name):
    """A picture as an array of numbers.

    Args:
        image: array, tensor or Pillow image.
        name: what the error calls it.

    Raises:
        ValueError: for a Pillow image that is neither RGB nor grey, or for no numbers.
    """
    mode = getattr(image, "mode", None)
    if mode in OTHER_MODES:
        raise ValueError(
            f'{name} is a Pillow image of mode {mode}: pass its .convert("RGB").'
        )
    image = np.asarray(image)
    if image.dtype.kind in "OSUc":
        raise ValueError(
            f"{name} must be an array of numbers, as data.read_image makes it from a file."
        )
    return image


def rgb_as_uint8(image, name):
    """A picture as uint8 RGB [H, W, 3], rounded.

    Raises:
        ValueError: as `as_array` and `check_range`, or for another shape.
    """
    image = as_array(image, name)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(f"{name} must be RGB [H, W, 3], not of shape {image.shape}.")
    if image.dtype == np.uint8:
        return image
    check_range(image, name)
    return to_uint8(image)


BEYOND = 1.3  # more than interpolation overshoots white


def check_range(image, name, way_out=None, max_val=255):
    """Refuses a picture whose pixels are plainly not from 0 to `max_val`.

    Args:
        image: array, not empty.
        name: what the error calls it.
        way_out: what the error tells people to do; by default, how to get to 0 to 255.
        max_val: the value of white.

    Raises:
        ValueError: with the range that was found.
    """
    low, high = float(image.min()), float(image.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name} has pixels that are not finite numbers.")
    if not seems_out_of_range(low, high, image.dtype, max_val):
        return
    if not way_out:
        way_out = "multiply pixels from 0 to 1 by 255"
        if low >= 0 and high > BEYOND * 255:
            way_out = "divide 16-bit pixels by 257"
        elif image.dtype.kind == "i":
            way_out = "make them uint8"
        elif low < 1 - BEYOND and high <= BEYOND:
            way_out = "turn pixels x from -1 to 1 into (x + 1) * 127.5"
    if low >= 0 and high <= BEYOND:
        way_out += "; if it is almost black, pass it as uint8"
    raise ValueError(
        f"{name} has pixels from {low:.4g} to {high:.4g}, not from 0 to {max_val:g}: "
        f"{way_out}."
    )


def seems_out_of_range(low, high, dtype, max_val=255):
    """Whether pixels are plainly not from 0 to `max_val`.

    Interpolation overshoots a little, so only what is far beyond either end is plain. So
    are floating-point pixels that differ, but hardly go beyond 1, boolean pixels, and
    uint8 where white is more than 255. A constant picture may be black.

    Args:
        low, high: the smallest and the largest pixel: floats, or for several pictures
            float tensors of any backend.
        dtype: that of the picture.
        max_val: the value of white.

    Returns:
        bool, or tensor of bool.
    """
    beyond = (low < -high / 4) | (high > BEYOND * max_val)
    beyond = beyond | (max_val > 255 and "uint8" in str(dtype))
    if max_val > 1 and any(kind in str(dtype) for kind in ("float", "bool")):
        return beyond | ((low < high) & (high <= BEYOND))
    return beyond


def scale_between(lr, hr):
    """The whole factor between the arrays of a pair.

    Raises:
        ValueError: if there is none.
    """
    scale = hr.shape[0] // lr.shape[0]
    if not scale or hr.shape[:2] != (scale * lr.shape[0], scale * lr.shape[1]):
        raise ValueError(
            f"HR must be the same whole number of times as high and as wide as LR, but HR "
            f"is {hr.shape} and LR {lr.shape}."
        )
    return scale

"""Arithmetic of pixels: MATLAB's bicubic and luma, and ways to make LR pictures."""

import io
import os
import zlib

import numpy as np
from PIL import Image, ImageFilter


def bicubic_resize(image, height, width):
    """Resizes as MATLAB's `imresize(image, [height width], "bicubic")`.

    Cubic convolution with a = -0.5 (Keys 1981), widened when shrinking (antialiasing),
    mirrored edges. `tf.image.resize` differs on 4 to 5% of the pixels.

    Args:
        image: array [H, W, C], uint8 or float.
        height: rows of the result.
        width: columns of the result.

    Returns:
        Array [height, width, C]. From uint8: uint8, rounded half up and clipped.
        From float: the same float type, neither rounded nor clipped.

    Raises:
        ValueError: for an array of another shape.
    """
    if image.ndim != 3:
        raise ValueError(f"image must be [H, W, C], not of shape {image.shape}.")
    # float64 throughout: float32 flips the ties that scales 2 and 4 are full of.
    resized = _resize_rows(image.astype(np.float64), height)
    resized = _resize_rows(resized.swapaxes(0, 1), width).swapaxes(0, 1)
    if image.dtype == np.uint8:
        resized = np.clip(np.floor(resized + 0.5), 0, 255)
    return np.ascontiguousarray(resized, dtype=image.dtype)


def _resize_rows(image, rows):
    """Resizes the first axis of a float64 array."""
    old = image.shape[0]
    ratio = old / rows
    stretch = max(1.0, ratio)
    centre = (np.arange(rows) + 0.5) * ratio - 0.5
    first = np.ceil(centre - 2 * stretch).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(4 * stretch)) + 1)
    weights = _cubic((centre[:, None] - taps) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    taps %= 2 * old  # mirrored edges, the edge pixel repeated
    taps = np.where(taps < old, taps, 2 * old - 1 - taps)
    flat = np.ascontiguousarray(image).reshape(old, -1)
    resized = np.zeros((rows, flat.shape[1]))
    for tap, weight in zip(taps.T, weights.T):
        if weight.any():
            resized += weight[:, None] * flat[tap]
    return resized.reshape(rows, *image.shape[1:])


def _cubic(x):
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
    """
    red, green, blue = image[..., 0:1], image[..., 1:2], image[..., 2:3]
    return 16 + red * (65.481 / 255) + green * (128.553 / 255) + blue * (24.966 / 255)


DEGRADATIONS = ("bicubic", "area", "realistic")


# --- How LR pictures are made ----------------------------------------------------------


def degrade(hr, scale, degradation="bicubic", name=""):
    """Makes the LR picture of an HR picture.

    Args:
        hr: uint8 array [h*scale, w*scale, 3].
        scale: integer factor.
        degradation: `"bicubic"`, MATLAB's; `"area"`, the mean of scale x scale pixels,
            as in Keras' ESPCN example; `"realistic"`, a camera's and a web page's
            faults: blur, bicubic, noise and JPEG in random strengths.
        name: decides the random strengths, so that a picture always gets the same.

    Returns:
        uint8 array [h, w, 3].

    Raises:
        ValueError: for another degradation.
    """
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if degradation == "area":
        blocks = hr.reshape(height, scale, width, scale, 3)
        return (blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    if degradation == "bicubic":
        return bicubic_resize(hr, height, width)
    if degradation != "realistic":
        raise ValueError(
            f"DEGRADATION = {degradation!r} is DIV2K's own, and {name} has no LR picture."
        )
    rng = np.random.default_rng(zlib.crc32(os.fsencode(name)))
    blur = ImageFilter.GaussianBlur(rng.uniform(0, 0.5 * scale))
    blurred = np.asarray(Image.fromarray(hr).filter(blur))
    lr = bicubic_resize(blurred, height, width)
    lr = lr + rng.normal(0, rng.uniform(0, 8), lr.shape)
    lr = (np.clip(lr, 0, 255) + 0.5).astype(np.uint8)
    return as_jpeg(lr, int(rng.integers(40, 96)))


def as_jpeg(image, quality):
    """What is left of a picture that was saved as JPEG.

    Args:
        image: uint8 array [H, W, 3].
        quality: 1 to 100, as libjpeg counts it.

    Returns:
        uint8 array [H, W, 3].
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="jpeg", quality=quality)
    return np.asarray(Image.open(file))

"""How LR pictures are made from HR pictures."""

import io
import os
import zlib

import numpy as np
from PIL import Image, ImageFilter

from core.pixels import bicubic_resize, to_uint8

DEGRADATIONS = ("bicubic", "area", "realistic")
SHRINKING = ("bicubic", "area")  # do nothing else, and so nothing at scale 1


def degrade(hr, scale, degradation="bicubic", name=""):
    """Makes the LR picture of an HR picture.

    Args:
        hr: uint8 array [h*scale, w*scale, 3].
        scale: integer factor; 1 keeps the size, and "realistic" then leaves its faults.
        degradation: `"bicubic"`, MATLAB's; `"area"`, the mean of scale x scale pixels,
            as in Keras' ESPCN example; `"realistic"`, the faults of cameras and web
            pages: blur, bicubic, noise and JPEG, each of random strength.
        name: seeds the random strengths, so that a picture always gets the same.

    Returns:
        uint8 array [h, w, 3].

    Raises:
        ValueError: for another degradation.
    """
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if degradation == "area":
        blocks = hr.reshape(height, scale, width, scale, 3)
        return to_uint8(blocks.mean(axis=(1, 3)))
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
    return as_jpeg(to_uint8(lr), int(rng.integers(40, 96)))


def as_jpeg(image, quality):
    """Saves a picture as JPEG in memory and reads it back.

    Args:
        image: uint8 array [H, W, 3].
        quality: 1 to 100, as libjpeg counts it.

    Returns:
        uint8 array [H, W, 3].
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="jpeg", quality=quality)
    return np.asarray(Image.open(file))

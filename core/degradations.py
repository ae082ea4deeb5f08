"""How LR pictures are made from HR pictures."""

import io
import os
import zlib

import numpy as np
from PIL import Image, ImageFilter

from core.pixels import bicubic_resize, to_uint8

ALIASING = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.NEAREST,
)


def degrade(hr, scale, degradation="bicubic", name=""):
    """Makes the LR picture of an HR picture.

    Args:
        hr: uint8 array [h*scale, w*scale, 3].
        scale: integer factor; 1 keeps the size, and "realistic" then leaves its faults.
        degradation: `"bicubic"`, MATLAB's; `"area"`, the mean of scale x scale pixels,
            as in Keras' ESPCN example; `"aliased"`, bicubic, bilinear or nearest without
            antialiasing; `"realistic"`, the faults of cameras and web pages: blur, bicubic,
            noise and JPEG, each of random strength; `"web"`, one or two rounds of them, of
            sharpening and of other ways of making pictures smaller (after Wang et al.
            2021, "Real-ESRGAN", section 3.2).
        name: seeds the random choices, so that a picture always gets the same.

    Returns:
        uint8 array [h, w, 3].

    Raises:
        ValueError: for another degradation.
    """
    if degradation not in DEGRADATIONS:
        raise ValueError(
            f"DEGRADATION = {degradation!r} is none of {', '.join(DEGRADATIONS)}."
        )
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    rng = np.random.default_rng(zlib.crc32(os.fsencode(name)))
    return DEGRADATIONS[degradation](hr, width, height, rng)


# Each takes a uint8 array [H, W, 3], the width and height of the result, and the
# `numpy.random.Generator` that makes all random choices. Each returns a uint8 array.


def _bicubic(hr, width, height, rng):
    return bicubic_resize(hr, height, width)


def _area(hr, width, height, rng):
    blocks = hr.reshape(height, hr.shape[0] // height, width, hr.shape[1] // width, 3)
    return to_uint8(blocks.mean(axis=(1, 3)))


def _aliased(hr, width, height, rng):
    kind = Image.Resampling(rng.choice(ALIASING))
    picture = without_antialiasing(Image.fromarray(hr), (width, height), kind)
    return np.asarray(picture)


def _realistic(hr, width, height, rng):
    blur = ImageFilter.GaussianBlur(rng.uniform(0, 0.5 * hr.shape[1] / width))
    blurred = np.asarray(Image.fromarray(hr).filter(blur))
    lr = bicubic_resize(blurred, height, width)
    lr = lr + rng.normal(0, rng.uniform(0, 8), lr.shape)
    return as_jpeg(to_uint8(lr), int(rng.integers(40, 96)))


def as_on_the_web(hr, width, height, rng):
    """Makes a picture smaller in one or two rounds, each with faults of its own.

    Args:
        hr: uint8 array [H, W, 3].
        width, height: of the result.
        rng: `numpy.random.Generator`, which makes all choices.

    Returns:
        uint8 array [height, width, 3].
    """
    picture = Image.fromarray(hr)
    rounds = [(width, height)]
    if rng.random() < 0.5:
        between = rng.uniform(width / hr.shape[1], 1)
        rounds.insert(0, [max(8, round(side * between)) for side in picture.size])
    for size in rounds:
        shrink = picture.width / size[0]
        if rng.random() < 0.7:
            blur = ImageFilter.GaussianBlur(rng.uniform(0, 0.5 * shrink))
            picture = picture.filter(blur)
        picture = _shrink(picture, size, rng)
        if rng.random() < 0.7:
            picture = _with_grain(picture, rng)
        if rng.random() < 0.4:
            picture = _sharpen(picture, rng)
        if rng.random() < 0.8:
            quality = int(rng.integers(40, 96))
            picture = Image.fromarray(as_jpeg(np.asarray(picture), quality))
    return np.asarray(picture)


def _shrink(picture, size, rng):
    """Makes a picture smaller in one of the ways that programs do."""
    kinds = Image.Resampling
    if rng.random() < 0.8:
        kind = rng.choice([kinds.BICUBIC, kinds.BOX, kinds.BILINEAR, kinds.LANCZOS])
        return picture.resize(size, Image.Resampling(kind))
    kind = rng.choice([kinds.BICUBIC, kinds.BILINEAR])
    return without_antialiasing(picture, size, Image.Resampling(kind))


def without_antialiasing(picture, size, kind):
    """Makes a picture smaller as OpenCV does by default, and most browsers' canvas.

    Args:
        picture: `PIL.Image.Image`.
        size: (width, height) of the result.
        kind: `Image.Resampling.BICUBIC`, `BILINEAR` or `NEAREST`.

    Returns:
        `PIL.Image.Image` in which only the pixels next to each place count.
    """
    step = [before / after for before, after in zip(picture.size, size)]
    matrix = (step[0], 0, 0, 0, step[1], 0)
    return picture.transform(tuple(size), Image.Transform.AFFINE, matrix, kind)


def _with_grain(picture, rng):
    """Adds noise, grey or of any colour, as fine as the pixels or coarser."""
    image = np.asarray(picture, np.float64)
    channels = 3 if rng.random() < 0.6 else 1
    grain = rng.normal(0, 1, (*image.shape[:2], channels))
    share = rng.uniform(0, 0.5)  # of its neighbours' noise that a pixel gets as well
    for axis in (0, 1):
        grain += share * (np.roll(grain, 1, axis) + np.roll(grain, -1, axis))
    strength = rng.uniform(0, 10) / (1 + 2 * share**2)  # which keeps the deviation
    return Image.fromarray(to_uint8(image + strength * grain))


def _sharpen(picture, rng):
    """Sharpens a picture, as most cameras do: light and dark lines beside the edges."""
    radius, percent = rng.uniform(0.5, 2), int(rng.integers(20, 120))
    return picture.filter(ImageFilter.UnsharpMask(radius, percent, threshold=0))


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


DEGRADATIONS = {
    "bicubic": _bicubic,
    "area": _area,
    "aliased": _aliased,
    "realistic": _realistic,
    "web": as_on_the_web,
}
SHRINKING = ("bicubic", "area", "aliased")  # do nothing else, so nothing at scale 1
EXACT = ("bicubic", "area")  # always make the same of a picture
REDRAWN = ("web",)  # while training, anew for every patch, by `data.training_batches`

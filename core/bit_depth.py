"""Pictures of more than 8 bits per channel: what their numbers mean, and reading them
from files that Pillow cuts to 8 bits or misreads."""

import functools
import logging

import imagecodecs
import numpy as np
import tifffile

from core.pixels import to_uint8

# A sample that has 16 bits or more often holds values of fewer.
BITS = 8, 10, 12, 16
# How far floating-point pixels of 0 to 255 reach at least. Those that end between 1 and
# this may be of 0 to 1, and overshoot, as resizing and sharpening make them.
DARKEST = 16

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its messages name no file


def to_levels(values, bits=None, guess=True):
    """Turns the numbers of a picture file into levels.

    Whole numbers run from black, 0, to the largest number of their bits. Those of 16 bits
    or more that reach only as far as 8, 10, 12 or 16 bits are taken to be of so many: a
    camera's 12 bits lie in a file of 16. Floating-point numbers run from 0 to 1 if none
    is above 1, and from 0 to 255 if the largest is at least `DARKEST`.

    Args:
        values: array of whole or floating-point numbers.
        bits: per number, if it is not that of the array's type.
        guess: whether 16 bits or more may be taken to be fewer.

    Returns:
        (levels, note): float32 array of the same shape, 0 to 255; and a sentence on what
        was assumed, or None where nothing had to be.

    Raises:
        ValueError: if there are negative numbers, some that are not finite, or
            floating-point ones of which the largest is above 255, or between 1 and
            `DARKEST`.
    """
    if values.dtype.kind not in "uif":
        raise ValueError(f"its pixels are {values.dtype}, which cannot be shown.")
    if not np.isfinite(values).all():
        raise ValueError("some of its pixels are not finite numbers.")
    low, high = values.min(), values.max()
    if low < 0:
        raise ValueError(f"its pixels go down to {low:g}, but black is 0.")
    if values.dtype.kind == "f":
        if 1 < high < DARKEST or high > 255:
            raise ValueError(  # !s shows 1.0000001 as it is
                f"its floating-point pixels go up to {high!s}, which is neither in 0 to 1 "
                "nor plainly in 0 to 255."
            )
        white, kind = 1 if high <= 1 else 255, "floating-point"
    else:
        signed = values.dtype.kind == "i"
        own = (bits or 8 * values.dtype.itemsize) - signed
        used = own
        if guess and own >= 15:
            used = min(b for b in (*BITS, own) if high < 2**b)
        white = 2**used - 1
        kind = f"{'signed ' if signed else ''}{own + signed}-bit"
        if used == own and not signed:
            kind = None
    levels = values.astype(np.float64) * (255 / white)
    note = kind and f"Its {kind} pixels were taken to run from 0 to {white}."
    return levels.astype(np.float32), note


# --- PNG, JPEG 2000, AVIF and JPEG XL ---------------------------------------------------

# By Pillow's names of the formats.
DECODERS = {
    "PNG": imagecodecs.png_decode,
    "JPEG2000": imagecodecs.jpeg2k_decode,
    "AVIF": functools.partial(imagecodecs.avif_decode, index=0),  # of an animation
    "JXL": functools.partial(imagecodecs.jpegxl_decode, index=0),
}


def bits_of(data, format):
    """Bits per channel of a file in one of the formats in `DECODERS`, of its bytes."""
    if format == "PNG":
        return data[24]  # in IHDR
    if format == "JPEG2000":
        siz = data.index(b"\xff\x4f\xff\x51")  # in ISO 15444-1, A.5.1
        return (data[siz + 42] & 127) + 1
    if format == "AVIF":
        flags = data[data.index(b"av1C") + 6]  # in AV1-ISOBMFF, 2.3.3
        return 8 + 2 * (flags >> 6 & 1) + 2 * (flags >> 5 & 1)
    return 8 * DECODERS[format](data).itemsize  # JPEG XL packs its header tightly


def read_samples(data, format, bits, transparent=None):
    """The pixels of a file of more than 8 bits per channel, not turned.

    Args:
        data: the bytes of the file.
        format: one of `DECODERS`.
        bits: per channel, as from `bits_of`.
        transparent: the value, or the three values, of pixels that are transparent.

    Returns:
        As `read_tiff`.
    """
    samples = DECODERS[format](data)
    samples = samples.reshape(*samples.shape[:2], -1)
    channels = samples.shape[-1] - 1 | 1  # 1 or 3, with or without alpha
    extra = samples[..., channels] if samples.shape[-1] > channels else None
    levels, alpha, note = _with_alpha(samples[..., :channels], extra, bits)
    if alpha is None and transparent is not None:
        visible = (samples != np.array(transparent)).any(axis=-1)
        alpha = np.where(visible, np.float32(255), np.float32(0))
    return levels, alpha, note


def _with_alpha(colours, alpha, bits, guess=True):
    """`to_levels` of colours [H, W, C] and of alpha [H, W] or None: (levels, alpha, note).

    Whole numbers have one range for both. Of floating-point pixels, alpha may run from 0
    to 1 beside colours from 0 to 255.
    """
    if alpha is None:
        levels, note = to_levels(colours, bits, guess)
        return levels, None, note
    if colours.dtype.kind == "f":
        levels, note = to_levels(colours, bits, guess)
        return levels, to_levels(alpha, bits, guess)[0], note
    both = np.concatenate([colours, alpha[..., None]], axis=-1)
    levels, note = to_levels(both, bits, guess)
    return levels[..., :-1], levels[..., -1], note


# --- TIFF -----------------------------------------------------------------------------

ALPHA = tifffile.EXTRASAMPLE.UNASSALPHA
PREMULTIPLIED = tifffile.EXTRASAMPLE.ASSOCALPHA
GREY = tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK
SUB_PICTURES, DNG_VERSION = 330, 50706  # tags


def is_tiff(path):
    """Whether a file begins as TIFF files do."""
    with open(path, "rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_raw(page):
    """Whether the first page of a TIFF file is the thumbnail of a raw file of a camera."""
    smaller = page.subfiletype & 1 and SUB_PICTURES in page.tags
    return bool(smaller or DNG_VERSION in page.tags)


def check_bands(file):
    """Refuses a TIFF file whose first picture is grey by its tags and has several bands, in
    one page or, as microscopes write them, in as many pages.

    They may be red, green and blue, as GDAL marks 16 bits, but also blue, green and red,
    or infrared, of a satellite.

    Raises:
        ValueError: with the number of bands.
    """
    page = file.pages.first
    bands = 1
    if page.photometric in GREY:
        bands = page.samplesperpixel - (_alpha_of(page)[0] is not None)
    if page.is_imagej or page.is_ome:
        series = file.series[0]
        bands *= dict(zip(series.axes, series.shape)).get("C", 1)
    if bands > 1:
        raise ValueError(
            f"it has {bands} bands, and does not say which colours they are: save it as RGB."
        )


def _alpha_of(page):
    """The number of the sample of a grey or RGB page that is alpha, and its kind; or None
    for both."""
    colours = 3 if page.photometric == tifffile.PHOTOMETRIC.RGB else 1
    extras = page.extrasamples
    if colours == 3 and page.samplesperpixel == 4:
        extras = extras or (ALPHA,)  # OpenCV leaves the tag out
    for number, kind in enumerate(extras, colours):
        if kind in (ALPHA, PREMULTIPLIED):
            return number, kind
    return None, None


def needs_tifffile(page):
    """Whether `read_tiff` is to read a TIFF page: grey or RGB of other than 8 unsigned bits
    or less, and grey with alpha. Pillow is right about all others."""
    grey = page.photometric in GREY
    unsigned = page.sampleformat == tifffile.SAMPLEFORMAT.UINT
    if grey and page.samplesperpixel > 1:
        return True
    plain = grey or page.photometric == tifffile.PHOTOMETRIC.RGB
    return plain and (page.bitspersample > 8 or not unsigned)


def read_tiff(page):
    """The pixels of a TIFF page, not turned.

    Args:
        page: `tifffile.TiffPage` that `needs_tifffile`, of a file that passed
            `check_bands`.

    Returns:
        (levels, alpha, note): [H, W, 1 or 3], 0 to 255; [H, W] of the same type or None;
        and a sentence on what was assumed, or None. The type is float32, or uint8 where
        the file has no more.

    Raises:
        ValueError: for pixels without a meaning, see `to_levels`.
    """
    samples = page.asarray()
    if page.axes.startswith("S"):  # planes, one after the other
        samples = np.moveaxis(samples, 0, -1)
    if page.axes.strip("S") != "YX":
        raise ValueError(f"its axes are {page.axes}, not rows and columns.")
    samples = samples.reshape(*samples.shape[:2], -1)
    inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    channels = 3 if page.photometric == tifffile.PHOTOMETRIC.RGB else 1
    bits = None if samples.dtype.kind != "u" else page.bitspersample
    number, kind = _alpha_of(page)
    alpha = None if number is None else samples[..., number]
    # Values that count down from white say nothing about the range they come from.
    guess = not inverted
    levels, alpha, note = _with_alpha(samples[..., :channels], alpha, bits, guess)
    if inverted:
        levels = 255 - levels
    if kind == PREMULTIPLIED:
        visible = np.maximum(alpha, 1e-6)[..., None] / 255
        levels = np.minimum(levels / visible, 255)
    if samples.dtype == np.uint8:
        levels = to_uint8(levels)
        alpha = None if alpha is None else to_uint8(alpha)
    return levels, alpha, note

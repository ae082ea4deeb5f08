"""Picture files: any format and mode that Pillow reads, as upright 8-bit RGB."""

import contextlib

import numpy as np
from PIL import Image, ImageOps

from core.pixels import to_uint8

# Formats that Pillow recognises but cannot read without help.
ONLY_IDENTIFIED = ("BUFR", "GRIB", "HDF5", "MPEG")


def read_image(path):
    """Reads a picture as upright 8-bit RGB.

    Args:
        path: a file in any format that Pillow reads.

    Returns:
        uint8 array [H, W, 3]. Grey, palette and CMYK are converted, an alpha channel is
        dropped, 16-bit grey is scaled to 8 bits, EXIF orientation is applied, and an
        animation gives its first frame.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    with open_image(path) as image:
        return to_rgb(upright(image))


@contextlib.contextmanager
def open_image(path):
    """Opens a picture; errors while it is read become a ValueError that names it."""
    try:
        with Image.open(path) as image:
            yield image
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow raise anything
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def upright(image):
    """Turns a Pillow image as its EXIF data says, or not if that is damaged."""
    image.load()  # Pillow reports damaged pixels once and is silent from then on
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged files make Pillow raise anything
        return image


def to_rgb(image):
    """Turns a Pillow image of any mode into 8-bit RGB: uint8 array [H, W, 3]."""
    if image.mode.startswith("I"):  # 16-bit grey
        image = Image.fromarray(to_uint8(np.asarray(image) / 257))
    return np.asarray(image.convert("RGB"))


def format_of(path):
    """The format that a file's suffix stands for, as Pillow names it, or None."""
    return Image.registered_extensions().get(path.suffix.lower())


def is_named_as_picture(path):
    """Whether a path has a suffix of a format that Pillow reads, and is not hidden."""
    format = format_of(path)
    readable = format in Image.OPEN and format not in ONLY_IDENTIFIED
    return readable and not path.name.startswith(".")

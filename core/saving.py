"""Enlarged pictures into files: PNG, TIFF, JPEG and WebP, 8 or 16 bits per channel, with
what belonged to the picture."""

import dataclasses
import fractions
import io
import math
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import ExifTags, Image

from core.metadata import EXIF, GPS, TIFF_TAGS


@dataclasses.dataclass(frozen=True)
class Format:
    """What a format can hold."""

    dtype: type = np.uint8  # type of the samples
    largest: float = math.inf  # side in pixels
    alpha: bool = True
    profile: float = math.inf  # bytes of a colour profile
    exif: float = math.inf  # bytes of EXIF data
    density: float = math.inf  # dots per inch


FORMATS = {
    "JPEG": Format(
        largest=65500, alpha=False, profile=255 * 65519, exif=65533, density=65535
    ),
    # Larger profiles can be written, but Pillow would not open the file.
    "PNG": Format(dtype=np.uint16, profile=2**20, density=2**31 * 0.0254),
    "TIFF": Format(dtype=np.uint16, density=2**31),
    "WEBP": Format(largest=16383, density=0),
}


PNG_LEVEL = 4  # in less than half the time of zlib's own 6, files are 2% larger


def write(path, format, samples, metadata):
    """Writes a picture.

    Args:
        path: `pathlib.Path` of the file.
        format: a key of `FORMATS`.
        samples: uint8 or, where the format can hold it, uint16 array [H, W, C]: grey, grey
            and alpha, RGB, or RGB and alpha.
        metadata: `Metadata`, of which all that `fitting` leaves is written.
    """
    if format == "PNG":
        _write_png(path, samples, metadata)
    elif format == "TIFF":
        _write_tiff(path, samples, metadata)
    else:
        x, y = metadata.density or (0, 0)
        dpi = {"dpi": (round(x), round(y))} if x and format == "JPEG" else {}
        subsampling = {"subsampling": 0} if format == "JPEG" else {}
        hidden = {"exact": True} if format == "WEBP" else {}  # colours under alpha 0
        buffer = io.BytesIO()  # where a disk is full, Pillow cuts a JPEG off silently
        _image(samples).save(
            buffer,
            format=format,
            quality=95,
            exif=metadata.exif,
            icc_profile=metadata.profile,
            **subsampling,
            **hidden,
            **dpi,
        )
        path.write_bytes(buffer.getbuffer())


def fitting(metadata, format):
    """What of a picture's metadata a format can hold.

    Returns:
        (`Metadata`, notes): what is left, and what was left out, in sentences.
    """
    left, notes = dataclasses.replace(metadata), []
    able = FORMATS[format]
    if left.profile and len(left.profile) > able.profile:
        megabytes = len(left.profile) / 1e6
        notes.append(
            f"Its colour profile of {megabytes:.1f} MB was left out, since {format} files "
            "with it do not open everywhere: colours may look different."
        )
        left.profile = None
    if left.profile and format == "WEBP" and left.profile[16:20] == b"GRAY":
        notes.append(
            "Its colour profile is for grey, and was left out, since WebP has RGB alone: "
            "it may look lighter or darker."
        )
        left.profile = None
    if len(left.exif) and len(left.exif.tobytes()) > able.exif:
        notes.append(f"Its EXIF data was left out: {format} cannot hold that much.")
        left.exif = Image.Exif()
    if format != "PNG" and left.chunks.keys() - {b"sRGB"}:
        names = ", ".join(name.decode() for name in left.chunks)
        notes.append(f"What it says about its colours ({names}) was left out.")
    if format == "TIFF" and any(left.exif.get_ifd(part) for part in (EXIF, GPS)):
        notes.append("Of its EXIF data only what describes the picture was kept.")
    without_shape = left.aspect and format == "JPEG"
    if left.density and (without_shape or max(left.density) > able.density):
        notes.append(f"Its density was left out, which {format} cannot hold.")
        left.density = None
    return left, notes


def _grey_flat(samples):
    """Samples as encoders take them: [H, W] where they are grey."""
    return samples[..., 0] if samples.shape[-1] == 1 else samples


def _image(samples):
    """A Pillow image of uint8 samples."""
    return Image.fromarray(_grey_flat(samples))


def _write_png(path, samples, metadata):
    # Pillow writes no 16-bit colours, and leaves out some of the chunks.
    if samples.dtype == np.uint16:
        png = imagecodecs.png_encode(_grey_flat(samples), level=PNG_LEVEL)
    else:
        buffer = io.BytesIO()
        _image(samples).save(buffer, "PNG", compress_level=PNG_LEVEL)
        png = buffer.getvalue()
    chunks = dict(metadata.chunks)
    if metadata.profile:
        chunks[b"iCCP"] = b"icc\0\0" + zlib.compress(metadata.profile)
    if metadata.density:
        x, y = (max(1, round(value / 0.0254)) for value in metadata.density)
        if metadata.aspect:  # in whole numbers
            ratio = fractions.Fraction(metadata.density[0] / metadata.density[1])
            x, y = ratio.limit_denominator(10**4).as_integer_ratio()
        chunks[b"pHYs"] = struct.pack(">IIB", x, y, not metadata.aspect)
    if len(metadata.exif):
        chunks[b"eXIf"] = metadata.exif.tobytes().removeprefix(b"Exif\0\0")
    with open(path, "wb") as file:
        file.write(png[:33])  # the signature and IHDR, which come first
        for name, data in chunks.items():
            file.write(struct.pack(">I", len(data)) + name + data)
            file.write(struct.pack(">I", zlib.crc32(name + data)))
        file.write(memoryview(png)[33:])


def _write_tiff(path, samples, metadata):
    numbers = [ExifTags.Base[name].value for name in TIFF_TAGS]
    texts = {n: metadata.exif[n] for n in numbers if metadata.exif.get(n)}
    tags = [
        (number, "s", 0, text if isinstance(text, bytes) else str(text), True)
        for number, text in texts.items()
    ]
    channels = samples.shape[-1]
    unit = tifffile.RESUNIT.NONE if metadata.aspect else tifffile.RESUNIT.INCH
    tifffile.imwrite(
        path,
        _grey_flat(samples),
        photometric="rgb" if channels > 2 else "minisblack",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        predictor=True,
        iccprofile=metadata.profile,
        resolution=metadata.density,
        resolutionunit=unit if metadata.density else None,
        extratags=tags,
        metadata=None,
        software=False,
        bigtiff=samples.nbytes > 4e9,
    )

"""Picture files: any format and mode becomes upright RGB.

Pillow reads most of them, bit_depth.py those of more than 8 bits per channel.
"""

import contextlib
import dataclasses
import os
import pathlib

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from core import bit_depth, metadata
from core.files import files_below
from core.metadata import Metadata
from core.pixels import to_uint8

with contextlib.suppress(ImportError):
    import pillow_heif

    pillow_heif.register_heif_opener()
with contextlib.suppress(ImportError):
    import pillow_jxl  # noqa: F401: it registers itself

# Formats that Pillow recognises but cannot read without help. It does read FITS, but only
# the first plane, and the numbers as they are stored, without BZERO and BSCALE.
NOT_READ = "BUFR", "FITS", "GRIB", "HDF5", "MPEG"
# What else people keep pictures in, and what to do about it.
RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw "
    ".orf .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
DEVELOP = "develop raw files and save them as TIFF"
OTHERS = {
    **dict.fromkeys(
        [".heic", ".heif", ".hif", ".heics", ".heifs"], "pip install pillow-heif"
    ),
    ".jxl": "pip install pillow-jxl-plugin",
    **dict.fromkeys(RAW.split(), DEVELOP),
    **dict.fromkeys(
        ".exr .fit .fits .hdr .jxr .kra .psb .svg .wdp .xcf".split(),
        "save them as TIFF or PNG",
    ),
}

NOT_A_PICTURE = "it is not a picture, or its format is not supported"
TRANSPOSED = 5, 6, 7, 8  # EXIF's orientations that exchange width and height


@dataclasses.dataclass
class Picture:
    """A picture file as it is seen, upright, and what belongs to it."""

    rgb: np.ndarray  # [H, W, 3]: uint8; float32, 0 to 255, of more than 8 bits
    alpha: np.ndarray  # [H, W] of the same type, or None
    grey: bool
    metadata: Metadata
    notes: list  # what was assumed or lost, in sentences
    assumed: str = None  # that of `notes` which says over what range the pixels run

    @property
    def high_bit_depth(self):
        """Whether the file has more than 8 bits per channel."""
        return self.rgb.dtype != np.uint8


def read_image(path):
    """Reads a picture as upright 8-bit RGB.

    Args:
        path: a file in any format that Pillow reads but FITS, or TIFF of any depth.

    Returns:
        uint8 array [H, W, 3]. Grey, palette and CMYK are converted, an alpha channel is
        dropped, EXIF orientation is applied, and an animation gives its first frame. More
        than 8 bits are brought to 8 as `bit_depth.to_levels` says; what it assumes is
        printed, once for all files.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    return to_8_bits(read(path), path)


def to_8_bits(picture, path):
    """The pixels of a `Picture` as uint8, as `read_image` returns them."""
    if not picture.high_bit_depth:
        return picture.rgb
    if picture.assumed and picture.assumed not in _printed:
        _printed.add(picture.assumed)
        print(f"{path}: {picture.assumed} (Printed once, for the first of such files.)")
    return to_uint8(picture.rgb)


_printed = set()


def read(path, large=False):
    """Reads a picture with all that belongs to it.

    Args:
        path: as for `read_image`.
        large: allows more pixels than Pillow takes for harmless, 179 million.

    Returns:
        `Picture`.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    path = pathlib.Path(path)
    with _named_errors(path, large):
        if way_out := _way_out(path):
            raise ValueError(f"{path.suffix} files are not read here: {way_out}.")
        with _open(path) as opened:
            if isinstance(opened, Image.Image):
                picture = _of_pillow(opened, path)
            else:
                picture = _of_tiff(opened)
    picture.notes += picture.metadata.notes
    orientation = picture.metadata.orientation
    picture.rgb = _turned(picture.rgb, orientation)
    if picture.alpha is not None:
        picture.alpha = _turned(picture.alpha, orientation)
    if orientation in TRANSPOSED:
        picture.metadata.turn_density()
    return picture


def size_and_frames(path):
    """Looks at the header of a picture file.

    Returns:
        (width, height, number of pictures in it), before it is turned upright.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    with _named_errors(path), _open(pathlib.Path(path)) as opened:
        if isinstance(opened, Image.Image):
            return *opened.size, getattr(opened, "n_frames", 1)
        page = opened.pages.first
        return page.imagewidth, page.imagelength, len(opened.pages)


@contextlib.contextmanager
def _open(path):
    """Opens a file as a Pillow image or, as bit_depth.py wants it, a `tifffile.TiffFile`."""
    if bit_depth.is_tiff(path):
        with tifffile.TiffFile(path) as file:
            if bit_depth.is_raw(file.pages.first):
                raise ValueError(f"it is a raw file: {DEVELOP}.")
            bit_depth.check_bands(file)
            if bit_depth.needs_tifffile(file.pages.first):
                yield file
                return
    # Not by its path: Pillow would map uncompressed TIFF files into memory, and cut the
    # rows of those that are to be turned at the wrong places.
    with open(path, "rb") as file, Image.open(file) as image:
        if image.format in NOT_READ:
            raise ValueError(
                f"{image.format} is not read here: save it as TIFF or PNG."
            )
        yield image


@contextlib.contextmanager
def _named_errors(path, large=False):
    """Makes each error a ValueError that names the file, and lifts Pillow's limit."""
    limit = Image.MAX_IMAGE_PIXELS
    if large:
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path} cannot be read as a picture: it has more than {2 * limit / 1e6:.0f} "
            "megapixels, or is damaged. (upscale.py takes it by its name, or with --large.)"
        ) from error
    except Exception as error:  # damaged files make Pillow raise anything
        reason = str(getattr(error, "strerror", None) or error)  # of the disk
        reason = " ".join(reason.split())  # some have several lines
        if "truncated" in reason.lower() or "data stream" in reason:  # Pillow's words
            reason = f"it is damaged or incomplete ({reason})"
        if isinstance(error, UnidentifiedImageError):
            reason = "it is empty" if not path.stat().st_size else NOT_A_PICTURE
        raise ValueError(f"{path} cannot be read as a picture: {reason}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _turned(pixels, orientation):
    """Turns pixels [H, W, ...] upright, as EXIF's orientation 1 to 8 says."""
    if orientation in TRANSPOSED:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


# --- From Pillow's image, or tifffile's file, to a picture ------------------------------


def _of_tiff(file):
    """The `Picture` in a TIFF file that Pillow does not read, not turned."""
    page = file.pages.first
    limit = Image.MAX_IMAGE_PIXELS
    if limit and page.imagewidth * page.imagelength > 2 * limit:
        raise Image.DecompressionBombError
    levels, alpha, note = bit_depth.read_tiff(page)
    return _of_levels(levels, alpha, metadata.of_tiff(page), note, len(file.pages))


def _of_pillow(image, path):
    """The `Picture` in a Pillow image, not turned."""
    decoder, *_, arguments = image.tile[0] if image.tile else ("", "")
    frames = getattr(image, "n_frames", 1)
    tags = image.tag_v2 if image.format == "TIFF" else {}
    turns_itself = tags.get(metadata.ORIENTATION) in TRANSPOSED  # and drops the tag
    image.load()  # Pillow reports damaged pixels once and is silent from then on
    extras = metadata.of_pillow(image, path)
    if turns_itself:
        extras.turn_density()
    data = path.read_bytes() if image.format in bit_depth.DECODERS else b""
    bits = bit_depth.bits_of(data, image.format) if data else 8
    converted = image.mode in ("CMYK", "LAB")  # by Pillow, in 8 bits
    if bits > 8 and not converted:
        transparent = image.info.get("transparency")
        levels, alpha, note = bit_depth.read_samples(
            data, image.format, bits, transparent
        )
        return _of_levels(levels, alpha, extras, note, frames)
    if image.mode[0] in "IF":
        values = np.asarray(image)[..., None]
        states_range = image.format == "PPM"
        if states_range and image.mode == "I":  # Pillow spreads it over 16 bits
            values = values.astype(np.uint16)
        levels, note = bit_depth.to_levels(values, guess=not states_range)
        return _of_levels(levels, None, extras, note, frames)
    notes = _several(frames)
    if bits > 8 or _has_lost_bits(image, decoder, arguments):
        notes.append("It has more than 8 bits per channel, of which 8 were used.")
    if converted:
        notes.append(
            f"Its {image.mode} colours became RGB, without the colour profile."
        )
    rgb, alpha = _rgb_and_alpha(image, arguments)
    grey = image.mode[0] in "1LP" and bool((rgb == rgb[..., :1]).all())
    grey = grey and _fits_grey(extras.profile)
    return Picture(rgb, alpha, grey, extras, notes)


def _has_lost_bits(image, decoder, arguments):
    """Whether Pillow brought more than 8 bits per channel to 8, by what it decodes with."""
    if (image.info.get("bit_depth") or 8) > 8:  # of HEIC
        return True
    if image.format == "BMP":  # whose 16 bits are those of three channels together
        return False
    if image.format == "PPM" and isinstance(arguments, tuple):
        return arguments[-1] > 255
    return ";16" in str(arguments) or decoder == "SGI16"


def _rgb_and_alpha(image, arguments):
    """uint8 [H, W, 3] and [H, W], or None, of an image of 8 bits per channel."""
    alpha = None
    if image.mode in ("1", "L") and "transparency" in image.info:
        value = image.info["transparency"]
        if image.mode == "1":
            value = 255 * bool(value)  # 1 or 255, by the version of Pillow
        elif arguments in ("L;2", "L;4"):  # Pillow spreads the pixels, but not this
            value *= 255 // (2 ** int(arguments[-1]) - 1)
        visible = np.asarray(image.convert("L")) != value
        alpha = 255 * visible.astype(np.uint8)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
    return np.asarray(image.convert("RGB")), alpha


def _of_levels(levels, alpha, extras, note, frames):
    """The `Picture` of float32 levels [H, W, 1 or 3]."""
    grey = levels.shape[-1] == 1
    rgb = np.repeat(levels, 3, axis=-1) if grey else levels
    grey = grey and _fits_grey(extras.profile)
    notes = _several(frames) + ([note] if note else [])
    return Picture(rgb, alpha, grey, extras, notes, note)


def _fits_grey(profile):
    """Whether a file of one channel can hold a colour profile: not one of RGB (ICC.1,
    section 7.2.6)."""
    return not profile or profile[16:20] != b"RGB "


def _several(frames):
    return ["It holds several pictures; this is the first."] * (frames > 1)


# --- Names ----------------------------------------------------------------------------


def format_of(path):
    """The format that a file's suffix stands for, as Pillow names it, or None."""
    return Image.registered_extensions().get(path.suffix.lower())


def is_named_as_picture(path):
    """Whether a path has a suffix of a format that Pillow reads, and is not hidden."""
    return _is_read(path) and not path.name.startswith(".")


def _is_read(path):
    """Whether a path has a suffix of a format that Pillow reads, of a plugin if need be."""
    format = format_of(path)
    return format in Image.OPEN and format not in NOT_READ


def _way_out(path):
    """What to do about a picture of a kind that is not read, or None."""
    if _is_read(path):
        return None
    return OTHERS.get(path.suffix.lower())


def find_pictures(folder):
    """Lists the pictures in a folder and the folders in it.

    Args:
        folder: `pathlib.Path`.

    Returns:
        Sorted list of `pathlib.Path`s.

    Raises:
        ValueError: if there is no such folder, no picture in it, or one of the folders
            cannot be opened.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder.")
    found = []
    for path in files_below(folder):
        if os.path.isdir(path):
            raise ValueError(f"{path} cannot be opened: change its permissions.")
        if is_named_as_picture(path):
            found.append(path)
    if not found:
        raise ValueError(f"{folder} contains no pictures.")
    return found


def describe_unread(paths):
    """Counts the files that are pictures of kinds that are not read.

    Args:
        paths: `pathlib.Path`s.

    Returns:
        A sentence that says how many of each kind there are and what to do, or "".
    """
    counts = {}
    for path in paths:
        if _way_out(path) and not path.name.startswith("."):
            kinds = counts.setdefault(_way_out(path), {})
            suffix = path.suffix.lower()
            kinds[suffix] = kinds.get(suffix, 0) + 1
    found = [
        f"{' and '.join(f'{n} {suffix}' for suffix, n in kinds.items())} ({way_out})"
        for way_out, kinds in counts.items()
    ]
    return f"Left out: {', '.join(found)}." if found else ""

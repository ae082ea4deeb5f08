"""Enlarging a picture file, with all that it holds besides its colours."""

import os
import pathlib

import numpy as np
from PIL import ExifTags, Image

from core import images
from core.files import atomic_write
from core.networks import scale_and_channels
from core.pixels import BEYOND, rounded, to_samples, to_uint8
from core.saving import FORMATS, fitting, write
from core.tiles import upscale


def upscale_file(
    model,
    source,
    target,
    scale=None,
    self_ensemble=False,
    progress=None,
    large=False,
    keep_hidden=False,
    tile=None,
    precision="auto",
):
    """Enlarges a picture file and writes it, whole or not at all.

    The picture is turned upright as its EXIF data says. That data (of TIFF files the
    description, camera, date, author and copyright), the colour profile and the density
    are kept. Grey stays grey, and more than 8 bits per channel become 16 in PNG and TIFF.
    An alpha channel is enlarged beside the colours, with bicubic interpolation.

    Args:
        model: a network, as for `upscale`.
        source: path of a picture in any format and mode that `read_image` takes.
        target: path of the file to write: .png, .jpg, .tif or .webp.
        scale: how much larger to make it, above 0 and below 100: the network enlarges, and
            bicubic interpolation resizes from there. None for the network's own.
        self_ensemble, progress, tile, precision: as for `upscale`.
        large: allows more than 179 million pixels.
        keep_hidden: enlarges the colours of fully transparent pixels as they are, in
            place of colours from around them: in games' textures they carry data.

    Returns:
        Sentences on what was assumed, and on what was lost; or an empty string.

    Raises:
        ValueError: as `upscale`, or if the picture cannot be read, if the target is the
            source or has another suffix, or if the result is too large for its format or
            transparent in JPEG.
        OSError: if the result cannot be written.
        MemoryError: if there is not enough memory.
    """
    source, target = pathlib.Path(source), pathlib.Path(target)
    if os.path.realpath(target) == os.path.realpath(source):
        raise ValueError(f"{source} would be overwritten: choose another target.")
    format = images.format_of(target)
    if format not in FORMATS:
        raise ValueError(
            f"{target} is none of {', '.join(FORMATS)}: use another file name suffix."
        )
    picture = images.read(source, large)
    if not FORMATS[format].alpha and _is_opaque(picture):
        picture.alpha = None
    if scale is None:
        scale = scale_and_channels(model)[0]
    if not 0 < scale < 100:
        raise ValueError(f"scale must be more than 0 and less than 100, not {scale}.")
    height, width = picture.rgb.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    _check_target(format, picture, source, target, size)  # before the long work
    metadata, lost = fitting(picture.metadata, format)
    dtype = FORMATS[format].dtype if picture.high_bit_depth else np.uint8
    notes = picture.notes + lost
    if picture.high_bit_depth and dtype == np.uint8:
        notes.append(f"It has more than 8 bits per channel, of which {format} holds 8.")
    rgb, changed = _pixels_to_enlarge(picture, keep_hidden)
    samples = upscale(model, rgb, self_ensemble, tile, progress, dtype, precision)
    if picture.grey:
        samples = _to_grey(samples)
    samples = _resize(samples, size)
    if picture.alpha is not None:
        alpha = to_samples(_resize(picture.alpha[..., None], size), dtype)
        samples = np.concatenate([samples, alpha], axis=-1)
    _note_size(metadata.exif, size)
    with atomic_write(target) as part:
        write(part, format, samples, metadata)
    return " ".join(notes + changed)


def _pixels_to_enlarge(picture, keep_hidden):
    """The pixels to enlarge, and sentences on what was changed in them."""
    rgb, changed = picture.rgb, []
    if picture.alpha is not None and not keep_hidden:
        rgb, changed = _fill_hidden(rgb, picture.alpha)
    if picture.high_bit_depth and rgb.max() <= BEYOND:
        rgb = to_uint8(rgb)  # or it would look like pixels from 0 to 1
        changed.append("It is almost black: 8 of its bits were used.")
    return rgb, changed


def _is_opaque(picture):
    return picture.alpha is not None and picture.alpha.min() == 255


def _check_target(format, picture, source, target, size):
    """Refuses what the file of the result cannot hold, or be called."""
    if picture.alpha is not None and not FORMATS[format].alpha:
        raise ValueError(
            f"{source} is transparent, which {target.name} cannot be: leave out --format."
        )
    if max(size) > FORMATS[format].largest:
        raise ValueError(
            f"{source} would become {size[0]}x{size[1]} pixels, but {format} allows at "
            f"most {FORMATS[format].largest}: leave out --format."
        )
    if len(os.fsencode(target.name)) > 255:
        raise ValueError(
            f"{source} would become {target.name}, a longer name than disks allow: rename "
            "it, or use a shorter --suffix."
        )


def _fill_hidden(rgb, alpha):
    """Gives fully transparent pixels the colours around them, since what is hidden under
    them would reach into the visible edges. Returns also what was lost, in a list."""
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return rgb, []
    size = alpha.shape[::-1]
    coarse = tuple(max(1, side // 8) for side in size)

    def blur(values):
        return _resize(_resize(values, coarse, Image.BILINEAR), size, Image.BILINEAR)

    weights = alpha[..., None].astype(np.float32)
    mean = np.average(rgb[~hidden], axis=0, weights=alpha[~hidden]).astype(np.float32)
    least = 1e-6  # so that far from everything visible, the colour is the mean
    nearby = (blur(rgb * weights) + least * mean) / (blur(weights) + least)
    if rgb.dtype == np.uint8:
        nearby = to_uint8(nearby)
    filled = np.where(hidden[..., None], nearby, rgb)
    changed = (rgb[hidden] != rgb[hidden][0]).any() and (filled != rgb).any()
    note = "Colours under fully transparent pixels were changed: see --keep-hidden."
    return filled, [note] * bool(changed)


def _to_grey(samples):
    """One channel of three that are nearly equal, weighted as Pillow does."""
    weights = np.array([[19595], [38470], [7471]], np.uint32)
    grey = (samples.astype(np.uint32) @ weights + 0x8000) >> 16
    return grey.astype(samples.dtype)


def _resize(samples, size, filter=Image.BICUBIC):
    """Resizes [H, W, C] to (width, height)."""
    if samples.shape[1::-1] == size:
        return samples
    channels = [
        Image.fromarray(channel.astype(np.float32)).resize(size, filter)
        for channel in np.moveaxis(samples, -1, 0)
    ]
    resized = np.stack(channels, axis=-1)
    if samples.dtype == np.float32:
        return resized
    return rounded(resized, samples.dtype)


def _note_size(exif, size):
    """Brings the size that EXIF data states up to date."""
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    for part, names in (
        (exif, ("ImageWidth", "ImageLength")),
        (inner, ("ExifImageWidth", "ExifImageHeight")),
    ):
        for name, side in zip(names, size):
            if ExifTags.Base[name].value in part:
                part[ExifTags.Base[name].value] = side

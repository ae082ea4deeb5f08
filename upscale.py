"""Images out: run a trained network on pictures of any size, in tiles.

As a command, for files and folders:

    python upscale.py photo.jpg holiday/

From Python:

    model = upscale.load_network("weights/edsr_x4.keras")
    sr = upscale.upscale(model, lr)      # uint8 RGB [H, W, 3] -> uint8 [H*4, W*4, 3]
"""

import argparse
import dataclasses
import functools
import math
import os
import pathlib
import sys
import warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import keras
import numpy as np
from PIL import ExifTags, Image, ImageFilter

import hardware
from core import images
from core.files import named_errors, whole_file
from core.networks import load_network, scale_and_channels
from core.tiles import upscale

__all__ = ["upscale", "upscale_file", "load_network", "scale_and_channels"]

WEIGHTS = pathlib.Path(__file__).parent / "weights"


# --- Files ----------------------------------------------------------------------------

# Formats that results can have; all others become PNG.
FORMATS = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "TIFF": {"compression": "tiff_deflate"},
    "WEBP": {"quality": 95},
}
# What is kept of a TIFF file's tags.
TIFF_TAGS = "ImageDescription", "Make", "Model", "DateTime", "Artist", "Copyright"
# The longest side in pixels that a format can hold.
LARGEST = {"JPEG": 65500, "WEBP": 16383}


def upscale_file(model, source, target, scale=None, self_ensemble=False, progress=None):
    """Enlarges a picture file and writes it, whole or not at all.

    The picture is turned upright as its EXIF data says. That data (of TIFF files the
    description, camera, date, author and copyright) and the colour profile are kept.
    Grey stays grey. An alpha channel is enlarged beside the colours, with bicubic
    interpolation.

    Args:
        model: a network, as for `upscale`.
        source: `pathlib.Path` of a picture in any format and mode that Pillow reads.
        target: `pathlib.Path` of the file to write: .png, .jpg, .tif or .webp.
        scale: how much larger to make it, any positive number: the network enlarges, and
            bicubic interpolation resizes from there. None for the network's own.
        self_ensemble, progress: as for `upscale`.

    Returns:
        What was lost on the way, in sentences, or an empty string.

    Raises:
        ValueError: if the picture cannot be read, or if the target has another suffix,
            or the result would be larger than its format can hold, or transparent and
            that JPEG.
        OSError: if the result cannot be written.
        MemoryError: if there is not enough memory.
    """
    format = images.format_of(target)
    if format not in FORMATS:
        raise ValueError(
            f"{target} is none of {', '.join(FORMATS)}: use another file name suffix."
        )
    picture = _read(source)
    scale = scale or scale_and_channels(model)[0]
    height, width = picture.rgb.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    _check_format(format, picture, source, target, size)  # before the long work
    result = Image.fromarray(
        upscale(model, picture.rgb, self_ensemble, progress=progress)
    )
    if picture.grey:
        result = result.convert("L")
    if picture.alpha:
        result.putalpha(picture.alpha.resize(result.size, Image.Resampling.BICUBIC))
    if result.size != size:
        result = result.resize(size, Image.Resampling.BICUBIC)
    with whole_file(target) as part:
        result.save(
            part,
            exif=picture.exif or Image.Exif(),
            icc_profile=picture.profile,
            **FORMATS[format],
        )
    return " ".join(picture.notes)


@dataclasses.dataclass
class _Picture:
    """A picture file as it was read, and what goes with it into the result."""

    rgb: np.ndarray  # uint8 [H, W, 3], upright
    grey: bool
    alpha: Image.Image  # or None
    exif: Image.Exif  # or None if it is damaged
    profile: bytes  # of colours, or None
    notes: list  # what was lost, in sentences


def _read(source):
    """Reads a picture file: `_Picture`."""
    with images.open_image(source) as image:
        notes = _notes(image)
        upright = images.upright(image)
        exif = _exif(image, upright)
        if exif is None:
            notes.append("Its EXIF data is damaged and was left out.")
        alpha = None
        if upright.has_transparency_data:
            rgba = _to_rgba(upright)
            alpha = rgba.getchannel("A")
            upright = _fill_transparent(rgba)
        rgb = images.to_rgb(upright)
        grey = image.mode[0] in "1LIFP" and (rgb == rgb[..., :1]).all()
        if image.mode[0] == "P" and "icc_profile" in image.info:
            grey = False  # since the profile is one of RGB
        # Profiles of other colours than RGB and grey say nothing about the result.
        other = image.mode in ("CMYK", "LAB")
        profile = None if other else image.info.get("icc_profile")
    return _Picture(rgb, grey, alpha, exif, profile, notes)


def _check_format(format, picture, source, target, size):
    """Refuses what the format of the result cannot hold."""
    if picture.alpha and format == "JPEG":  # a PNG file that is called .jpg
        raise ValueError(
            f"{source} is transparent, which {target.name} cannot be: leave out --format."
        )
    if max(size) > LARGEST.get(format, math.inf):
        raise ValueError(
            f"{source} would become {size[0]}x{size[1]} pixels, but {format} allows at "
            f"most {LARGEST[format]}: leave out --format."
        )


def _to_rgba(image):
    if not image.mode.startswith("I"):
        return image.convert("RGBA")
    # 16-bit grey, one value of which is transparent. Pillow would turn most to white.
    rgba = Image.fromarray(images.to_rgb(image)).convert("RGBA")
    visible = np.asarray(image) != image.info["transparency"]
    rgba.putalpha(Image.fromarray(visible).convert("L"))
    return rgba


def _fill_transparent(rgba):
    """Gives fully transparent pixels the colours around them, since what is hidden under
    them would reach into the visible edges."""
    nearby = rgba.convert("RGBa").filter(ImageFilter.GaussianBlur(8)).convert("RGBA")
    visible = rgba.getchannel("A").point(lambda value: 255 * (value > 0))
    return Image.composite(rgba, nearby, visible).convert("RGB")


def _notes(image):
    """What is lost when a picture is read as 8-bit RGB, a list of sentences."""
    notes = []
    if image.mode == "F":
        notes.append("Its floating-point pixels were assumed to be from 0 to 255.")
    elif image.mode[0] == "I" or ";16" in str([tile[3] for tile in image.tile]):
        notes.append("It has more than 8 bits per channel, of which 8 were used.")
    if getattr(image, "n_frames", 1) > 1:
        notes.append("It holds several pictures; this is the first.")
    if image.mode in ("CMYK", "LAB"):
        notes.append(
            f"Its {image.mode} colours became RGB, without the colour profile."
        )
    return notes


def _exif(image, upright):
    """EXIF data of a picture that has been turned upright, or None if it is damaged."""
    try:
        Image.Exif().load(image.info.get("exif"))  # raises what upright() passed over
        exif = upright.getexif()
        if image.format == "TIFF":  # where most tags describe the file's own storage
            of_file, exif = image.getexif(), Image.Exif()
            for tag in TIFF_TAGS:
                number = ExifTags.Base[tag].value
                if number in of_file:
                    exif[number] = of_file[number]
        exif.tobytes()
    except Exception:  # as many kinds as there are ways to be damaged
        return None
    return exif


def find_pictures(paths, output):
    """Lists pictures, and those in folders and the folders in them.

    Args:
        paths: files and folders.
        output: folder for the results; left out where it lies in one of the folders.

    Returns:
        List of (path, path relative to the folder it was found in).
    """
    pictures = []
    for path in paths:
        if not path.is_dir():
            pictures.append((path, pathlib.Path(path.name)))
            continue
        own = _lies_in(output, path)
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            known = images.is_named_as_picture(file)
            hidden = any(part.startswith(".") for part in relative.parts)
            result = own and _lies_in(file, output)
            there = file.is_file() or file.is_symlink()  # a broken link fails later
            if known and not hidden and not result and there:
                pictures.append((file, relative))
    return pictures


def _lies_in(path, folder):
    # Not Path.resolve, which raises an error over links in a circle.
    path, folder = (pathlib.Path(os.path.realpath(p)) for p in (path, folder))
    return folder in path.parents


def plan(pictures, output, suffix, same_format):
    """Decides for each picture where its result goes: dict from source to target.

    Raises:
        ValueError: if a result would take the place of an input or of another result.
    """
    # By target in lower case, since A.png and a.png are one file on many disks.
    jobs = {}
    for source, relative in pictures:
        extension = ".png"
        if same_format and images.format_of(source) in FORMATS:
            extension = source.suffix
        target = output / relative.with_name(f"{relative.stem}{suffix}{extension}")
        other, _ = jobs.get(str(target).casefold(), (None, None))
        if other and other != source and other.parent == source.parent:
            # As a.jpg beside a.png
            target = target.with_name(f"{relative.name}{suffix}{extension}")
        other, _ = jobs.setdefault(str(target).casefold(), (source, target))
        if os.path.realpath(other) != os.path.realpath(source):
            raise ValueError(
                f"{source} and {other} would both become {target}: enlarge one of them on "
                "its own, with another --output."
            )
    inputs = {os.path.realpath(source): source for source, _ in jobs.values()}
    for _, target in jobs.values():
        if source := inputs.get(os.path.realpath(target)):
            raise ValueError(
                f"{source} would be overwritten: choose another --output or --suffix."
            )
    return dict(jobs.values())


# --- As a command ---------------------------------------------------------------------


def included_network(scale, source):
    """The included network for a picture: the smallest EDSR that reaches the size.

    JPEG files get a network that was trained on them. The others were not, and sharpen
    blocks and noise as if they were detail.

    Args:
        scale: how much larger the picture is to be.
        source: `pathlib.Path` of the picture.

    Returns:
        `pathlib.Path` of a `.keras` file.
    """
    if images.format_of(source) == "JPEG":
        return WEIGHTS / "edsr_realistic_x4.keras"
    return WEIGHTS / f"edsr_x{min(max(2, math.ceil(scale)), 4)}.keras"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Enlarges pictures with a trained network."
    )
    add = parser.add_argument
    add("pictures", nargs="+", type=pathlib.Path, help="files and folders")
    add(
        "--model",
        type=pathlib.Path,
        help="a .keras file that a script here saved; by default weights/edsr_x4.keras, "
        "edsr_x2.keras or edsr_x3.keras where they reach --scale, and for JPEG files "
        "edsr_realistic_x4.keras",
    )
    add(
        "--output",
        type=pathlib.Path,
        default="upscaled",
        help="folder for results (upscaled)",
    )
    add("--scale", type=float, help="any factor (that of the network, or 4)")
    add("--self-ensemble", action="store_true", help="better, in eight times the time")
    add("--suffix", help="added to file names; by default such as _x4")
    add(
        "--format",
        choices=["png", "same"],
        default="png",
        help="same: JPEG, PNG, TIFF or WebP as the input",
    )
    return parser.parse_args()


def main():
    options = parse_arguments()
    if options.scale is not None and not 0 < options.scale < 100:
        sys.exit("upscale.py: --scale must be more than 0 and less than 100.")
    if options.suffix and pathlib.Path(options.suffix).name != options.suffix:
        sys.exit("upscale.py: --suffix is a part of file names, without slashes.")
    hardware.show_any_name()
    warnings.filterwarnings("ignore", module="PIL")  # whose warnings name no file
    load = functools.cache(load_network)
    try:
        own_scale = scale_and_channels(load(options.model))[0] if options.model else 4
        scale = options.scale or own_scale
        suffix = f"_x{scale:g}" if options.suffix is None else options.suffix
        pictures = find_pictures(options.pictures, options.output)
        targets = plan(pictures, options.output, suffix, options.format == "same")
        with named_errors(f"--output {options.output}"):
            options.output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        sys.exit(f"upscale.py: {error}")
    if not targets:
        sys.exit("upscale.py: there are no pictures in these folders.")
    failures = []
    for number, (source, target) in enumerate(targets.items()):
        network = options.model or included_network(scale, source)
        print(f"{number + 1} of {len(targets)}: {source} -> {target} ({network.stem})")
        bar = keras.utils.Progbar(100, unit_name="percent")
        try:
            notes = upscale_file(
                load(network),
                source,
                target,
                scale=options.scale,
                self_ensemble=options.self_ensemble,
                progress=lambda part: bar.update(round(100 * part)),
            )
            if notes:
                print(notes)
        except Exception as error:  # the other pictures are still to be done
            named = str(source) in str(error)
            failures.append(str(error) if named else f"{source}: {error}")
            print(f"Failed: {failures[-1]}")
        except KeyboardInterrupt:
            sys.exit(
                f"\nInterrupted: {number} of {len(targets)} pictures were finished."
            )
    if failures:
        sys.exit("\n".join([f"{len(failures)} of {len(targets)} failed:", *failures]))


if __name__ == "__main__":
    main()

"""Images out: run a trained network on pictures of any size, in tiles.

As a command, for files and folders:

    python upscale.py photo.jpg holiday/

From Python:

    model = upscale.load_network("weights/edsr_x4.keras")
    sr = upscale.upscale(model, lr)      # uint8 RGB [H, W, 3] -> uint8 [H*4, W*4, 3]
"""

import argparse
import contextlib
import functools
import math
import os
import pathlib
import sys
import warnings
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import keras
import numpy as np
from PIL import ExifTags, Image, ImageFilter

import data
import sources

WEIGHTS = pathlib.Path(__file__).parent / "weights"
SMALLEST_TILE = 32


# --- In memory ------------------------------------------------------------------------


def upscale(model, image, self_ensemble=False, tile=512, progress=None):
    """Enlarges a picture with a trained network.

    The picture goes through the network in overlapping tiles of one size, so that only
    the result grows with it. The overlap covers the network's receptive field, at most a
    quarter of a tile: up to there the result is that of the whole. A network that looks
    at the whole picture (RCAN's pooling) sees only the tile.

    Where a tile does not fit into the memory of the device, smaller ones are tried.

    Args:
        model: a network with one input and one output whose pixels are 0 to 255, RGB
            or luma. A luma network enlarges Y; Cb and Cr are enlarged by bicubic.
        image: RGB array [H, W, 3], 0 to 255, uint8 or float.
        self_ensemble: averages the network's answers to the eight turns and mirrorings
            of each tile ("EDSR+", Lim et al. 2017, section 4.3), for eight times the
            work.
        tile: largest side of a tile in pixels of `image`. Smaller tiles need less
            memory, and more time: of each, the network works on the overlaps for nothing.
        progress: function called after every tile with the part that is done, 0 to 1.

    Returns:
        uint8 RGB array [H*scale, W*scale, 3].

    Raises:
        ValueError: if `image` is not RGB, or the model is not such a network, or answers
            with what are no numbers.
        MemoryError: if not even the smallest tile fits.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"image must be RGB [H, W, 3], not of shape {image.shape}.")
    scale, channels = scale_and_channels(model)
    height, width = image.shape[:2]
    result = np.empty((height * scale, width * scale, 3), np.uint8)
    radius = receptive_radius(model)

    def enlarge(window):
        if channels == 3:
            return to_uint8(_predict(model, window, self_ensemble))
        return _enlarge_luma(model, window, scale, self_ensemble)

    while True:
        try:
            _in_tiles(enlarge, image, result, tile, radius, progress)
            return result
        except Exception as error:  # each backend has its own
            short = ("RESOURCE_EXHAUSTED", "OOM when allocating")
            if not any(words in str(error) for words in short):
                raise
            tile = min(tile, max(height, width)) // 2
            if tile < SMALLEST_TILE:
                raise MemoryError(
                    f"{model.name} does not fit into the device's memory, even in tiles "
                    f"of {2 * tile} pixels. Close other programs, or hide the GPU with "
                    "CUDA_VISIBLE_DEVICES=-1."
                ) from error
            print(f"Out of memory: going on with tiles of {tile} pixels")


def _in_tiles(enlarge, image, result, tile, radius, progress):
    """Fills the result with what `enlarge` makes of overlapping windows."""
    height, width = image.shape[:2]
    scale = result.shape[0] // height
    overlap = min(max(radius, 2), tile // 4)  # bicubic looks at 2 pixels
    windows = [
        (*rows, *columns)
        for rows in _windows(height, tile, overlap)
        for columns in _windows(width, tile, overlap)
    ]
    for number, window in enumerate(windows):
        y, y_end, top, bottom, x, x_end, left, right = window
        enlarged = enlarge(image[y:y_end, x:x_end])
        result[top * scale : bottom * scale, left * scale : right * scale] = enlarged[
            (top - y) * scale : (bottom - y) * scale,
            (left - x) * scale : (right - x) * scale,
        ]
        if progress:
            progress((number + 1) / len(windows))


def _windows(length, tile, overlap):
    """Covers a side: for each window its start and end, and the part of it to keep.

    The windows are as few as can be, and all of one size, as small as can be. What lies
    closer than `overlap` to a cut is left to the neighbour.
    """
    count = max(1, -(-(length - 2 * overlap) // (tile - 2 * overlap)))
    size = -(-(length + 2 * overlap * (count - 1)) // count)
    starts = [number * (length - size) // max(1, count - 1) for number in range(count)]
    cuts = [start + overlap for start in starts[1:]]
    ends = [start + size for start in starts]
    return list(zip(starts, ends, [0, *cuts], [*cuts, length]))


def _enlarge_luma(model, image, scale, self_ensemble):
    image = image.astype(np.float64)
    y = _predict(model, data.luma(image).astype(np.float32), self_ensemble)
    # Cb and Cr are differences to Y: enlarging RGB and replacing its Y enlarges them.
    height, width = (side * scale for side in image.shape[:2])
    rgb = data.bicubic_resize(image, height, width)
    return to_uint8(rgb + (y - data.luma(rgb)) * (255 / 219))


def _predict(model, image, self_ensemble):
    """The network's answer, or the mean of those to the eight symmetries of a square."""
    turns = [(turn, mirror) for turn in range(4) for mirror in (1, -1)]
    total = 0.0
    for turn, mirror in turns if self_ensemble else turns[:1]:
        turned = np.ascontiguousarray(np.rot90(image, turn)[:, ::mirror])
        with _whole_batches():
            enlarged = np.asarray(model.predict_on_batch(turned[None]))[0]
        total = total + np.rot90(enlarged[:, ::mirror], -turn)
    if not np.isfinite(total).all():
        raise ValueError(
            f"{model.name} answers with NaN or infinity: its file is damaged, or its "
            "training failed."
        )
    return total / (8 if self_ensemble else 1)


@contextlib.contextmanager
def _whole_batches():
    """Keeps JAX from sharing a batch of one picture among several devices."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def scale_and_channels(model):
    """Reads off a network how much it enlarges, and whether it takes RGB or luma.

    Args:
        model: `keras.Model`.

    Returns:
        (scale, channels): the factor, and 3 (RGB) or 1 (luma).

    Raises:
        ValueError: if the model is not a super-resolution network.
    """
    try:
        _, _, _, channels = model.input_shape
        _, height, width, out = model.compute_output_shape((1, 32, 32, channels))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{model.name} does not take a picture of any size and give one."
        ) from error
    if channels not in (1, 3) or out != channels:
        raise ValueError(f"{model.name} does not take and give RGB or luma.")
    if height != width or height % 32:
        raise ValueError(
            f"{model.name} makes {width}x{height} pixels of 32x32: "
            "not a whole multiple of its input."
        )
    return height // 32, channels


def to_uint8(image):
    """Clips to 0 to 255 and rounds half up: float array to uint8 array."""
    return (np.clip(image, 0, 255) + 0.5).astype(np.uint8)


def receptive_radius(model):
    """How far, in input pixels, an output pixel looks at most: the sum of the radii of
    all kernels. An upper bound, since some work on enlarged pixels or side by side, for
    networks without strides and pooling."""
    layers = [x for x in model._flatten_layers() if hasattr(x, "kernel_size")]
    return sum(
        max(size // 2 * dilation for size, dilation in zip(*sizes))
        for sizes in ((layer.kernel_size, layer.dilation_rate) for layer in layers)
    )


def load_network(path):
    """Loads a super-resolution network.

    Args:
        path: a `.keras` file that a script here saved, or one like it.

    Returns:
        `keras.Model`, not compiled, for `upscale` and `metrics.evaluate`.

    Raises:
        ValueError: in one sentence that names the file, if it does not load, or is not a
            network that enlarges RGB or luma by a whole factor.
    """
    model = load_model(path)
    try:
        scale_and_channels(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model


def load_model(path):
    """Loads a `.keras` file in Keras' safe mode.

    Args:
        path: the file. Nothing in it is executed: no Lambda layers, no code.

    Returns:
        `keras.Model`, not compiled.

    Raises:
        ValueError: in one sentence, if it does not load.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        problem = "this is a folder" if path.is_dir() else "there is no such file"
        raise ValueError(f"{path}: {problem}.")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is not a model that Keras saved as .keras, or damaged."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # as many kinds as there are ways to be broken
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} is damaged, or has Lambda layers or code of others in it, which are "
            f"never run: {reason.split('. ')[0]}"
        ) from error


# --- Files ----------------------------------------------------------------------------

# What is written in the format of the input; all else becomes PNG.
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

    The picture is turned upright as its EXIF data says. That data (of TIFF files what it
    shows, who made it, when and with what) and its colour profile are kept. Grey stays
    grey. An alpha channel is enlarged beside the colours, by bicubic.

    Args:
        model: a network, as for `upscale`.
        source: `pathlib.Path` of a picture in any format and mode that Pillow reads.
        target: `pathlib.Path` of the file to write: .png, .jpg, .tif or .webp.
        scale: how much larger to make it, any positive number: by the network, and from
            there by bicubic. None for the network's own.
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
    name = Image.registered_extensions().get(target.suffix.lower())
    if name not in FORMATS:
        raise ValueError(
            f"{target} is none of {', '.join(FORMATS)}: give it another ending."
        )
    with sources.open_image(source) as image:
        notes = _notes(image)
        upright = sources.upright(image)
        exif = _exif(image, upright)
        if exif is None:
            notes.append("Its EXIF data is damaged and was left out.")
        alpha = None
        if upright.has_transparency_data:
            rgba = _to_rgba(upright)
            alpha = rgba.getchannel("A")
            upright = _fill_transparent(rgba)
        rgb = sources.to_rgb(upright)
        grey = image.mode[0] in "1LIFP" and (rgb == rgb[..., :1]).all()
        if image.mode[0] == "P" and "icc_profile" in image.info:
            grey = False  # since the profile is one of RGB
        # Other profiles than those of RGB and grey say nothing about the result.
        other = image.mode in ("CMYK", "LAB")
        profile = None if other else image.info.get("icc_profile")
    scale = scale or scale_and_channels(model)[0]
    size = tuple(max(1, round(side * scale)) for side in reversed(rgb.shape[:2]))
    # Before the long work.
    if alpha and name == "JPEG":  # a PNG file that is called .jpg
        raise ValueError(
            f"{source} is transparent, which {target.name} cannot be: leave out --format."
        )
    if max(size) > LARGEST.get(name, math.inf):
        raise ValueError(
            f"{source} would become {size[0]}x{size[1]} pixels, where {name} ends at "
            f"{LARGEST[name]}: leave out --format."
        )
    result = Image.fromarray(upscale(model, rgb, self_ensemble, progress=progress))
    if grey:
        result = result.convert("L")
    if alpha:
        result.putalpha(alpha.resize(result.size, Image.Resampling.BICUBIC))
    if result.size != size:
        result = result.resize(size, Image.Resampling.BICUBIC)
    with data.whole_file(target) as part:
        result.save(
            part, exif=exif or Image.Exif(), icc_profile=profile, **FORMATS[name]
        )
    return " ".join(notes)


def _to_rgba(image):
    if not image.mode.startswith("I"):
        return image.convert("RGBA")
    # 16-bit grey, one of which is transparent. Pillow would make white of most.
    rgba = Image.fromarray(sources.to_rgb(image)).convert("RGBA")
    visible = np.asarray(image) != image.info["transparency"]
    rgba.putalpha(Image.fromarray(visible).convert("L"))
    return rgba


def _fill_transparent(rgba):
    """Gives fully transparent pixels the colours around them: what is hidden under them
    would reach into the visible edges."""
    nearby = rgba.convert("RGBa").filter(ImageFilter.GaussianBlur(8)).convert("RGBA")
    visible = rgba.getchannel("A").point(lambda value: 255 * (value > 0))
    return Image.composite(rgba, nearby, visible).convert("RGB")


def _notes(image):
    """What of a picture is lost when it is read as 8-bit RGB, a list of sentences."""
    notes = []
    if image.mode == "F":
        notes.append("Its floating-point pixels were taken to be from 0 to 255.")
    elif image.mode[0] == "I" or ";16" in str([tile[3] for tile in image.tile]):
        notes.append("It has more than 8 bits a channel, of which 8 were used.")
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
        if image.format == "TIFF":  # where most of it is about the file's own storage
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
            known = sources.is_named_as_picture(file)
            hidden = any(part.startswith(".") for part in relative.parts)
            result = own and _lies_in(file, output)
            there = file.is_file() or file.is_symlink()  # a broken link is named later
            if known and not hidden and not result and there:
                pictures.append((file, relative))
    return pictures


def _lies_in(path, folder):
    # Not Path.resolve, which raises an error over links in a circle.
    path, folder = (pathlib.Path(os.path.realpath(p)) for p in (path, folder))
    return folder in path.parents


def plan(pictures, output, suffix, same_format):
    """Says for each picture where its result goes: dict from source to target.

    Raises:
        ValueError: if a result would take the place of an input or of another result.
    """
    # By target in lower case, since A.png and a.png are one file on many disks.
    jobs = {}
    for source, relative in pictures:
        extension = ".png"
        known = Image.registered_extensions().get(source.suffix.lower())
        if same_format and known in FORMATS:
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


def shipped_network(scale, source):
    """The network that ships for a picture: the smallest EDSR that reaches the size.

    For JPEG files that is one that has learned from such. The others have not, and
    sharpen blocks and noise as if they were detail.

    Args:
        scale: how much larger the picture is to be.
        source: `pathlib.Path` of the picture.

    Returns:
        `pathlib.Path` of a `.keras` file.
    """
    if Image.registered_extensions().get(source.suffix.lower()) == "JPEG":
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
        help="a .keras file that a script here saved (weights/edsr_x4.keras, or "
        "edsr_x2.keras or edsr_x3.keras where that is enough for --scale; for JPEG "
        "files edsr_realistic_x4.keras)",
    )
    add(
        "--output",
        type=pathlib.Path,
        default="upscaled",
        help="folder for results (upscaled)",
    )
    add("--scale", type=float, help="any final size (that of the network, or 4)")
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
    warnings.filterwarnings("ignore", module="PIL")  # which name no file
    load = functools.cache(load_network)
    try:
        own_scale = scale_and_channels(load(options.model))[0] if options.model else 4
        scale = options.scale or own_scale
        suffix = f"_x{scale:g}" if options.suffix is None else options.suffix
        pictures = find_pictures(options.pictures, options.output)
        targets = plan(pictures, options.output, suffix, options.format == "same")
        with data.named_errors(f"--output {options.output}"):
            options.output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        sys.exit(f"upscale.py: {error}")
    if not targets:
        sys.exit("upscale.py: there are no pictures in these folders.")
    failures = []
    for number, (source, target) in enumerate(targets.items()):
        network = options.model or shipped_network(scale, source)
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
        except Exception as error:  # the others are still to be done
            named = str(source) in str(error)
            failures.append(str(error) if named else f"{source}: {error}")
            print(f"Failed: {failures[-1]}")
        except KeyboardInterrupt:
            sys.exit(f"\nInterrupted: {number} of {len(targets)} were done before.")
    if failures:
        sys.exit("\n".join([f"{len(failures)} of {len(targets)} failed:", *failures]))


if __name__ == "__main__":
    main()

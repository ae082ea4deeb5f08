"""Enlarges pictures of any size with a trained network, in tiles.

As a command, for files and folders:

    python upscale.py photo.jpg holiday/

From Python:

    model = upscale.load_network("weights/edsr_x4.keras")
    sr = upscale.upscale(model, lr)      # uint8 RGB [H, W, 3] -> uint8 [H*4, W*4, 3]
"""

import argparse
import contextlib
import functools
import itertools
import os
import pathlib
import sys
import tempfile
import warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import settings


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Enlarges pictures with a trained network."
    )
    add = parser.add_argument
    add(
        "pictures",
        nargs="+",
        type=settings.path,
        help="files and folders; write ./-a.png for -a.png",
    )
    add(
        "--model",
        type=settings.path,
        help="a .keras file of a network that enlarges; by default weights/edsr_x4.keras, "
        "edsr_x2.keras or edsr_x3.keras where they reach --scale, and for JPEG files "
        "edsr_realistic_x4.keras or edsr_realistic_x2.keras",
    )
    add(
        "--output",
        type=settings.path,
        default="upscaled",
        help="folder for results (upscaled)",
    )
    add("--scale", type=float, help="factor, below 100; default: the network's, or 4")
    add(
        "--sharpness",
        type=float,
        default=0.0,
        help="from 0, faithful, the default, to 1, sharpest, with detail that the "
        "network makes up",
    )
    add("--self-ensemble", action="store_true", help="better, in eight times the time")
    add("--tile", type=int, help="largest side of a tile: smaller takes less memory")
    add(
        "--precision",
        default="auto",
        help="auto, the fastest here, or float32, mixed_bfloat16, mixed_float16",
    )
    add("--suffix", help="added to file names; by default such as _x4 or _x4_sharp0.5")
    add(
        "--format",
        default="png",
        help="png, jpg, tif or webp; same: that of the input, where it is one of these",
    )
    add(
        "--large",
        action="store_true",
        help="also enlarge pictures of more than 179 megapixels found in folders; damaged "
        "files often claim such sizes. Files you name are always enlarged",
    )
    add(
        "--keep-hidden",
        action="store_true",
        help="keep the colours of fully transparent pixels, as game textures need",
    )
    options = parser.parse_args()
    options.format = options.format.removeprefix(".")
    named = itertools.chain.from_iterable(map(match_wildcards, options.pictures))
    options.pictures = [*named]
    if not any(map(os.path.lexists, options.pictures)):  # otherwise the others are done
        sys.exit(f"upscale.py: {options.pictures[0]}: there is no such file or folder.")
    return options


def match_wildcards(path):
    """List of the path, or of what it stands for where the shell leaves wildcards to the
    programs, as on Windows."""
    try:
        if path.exists() or not any(character in path.name for character in "*?["):
            return [path]
        return sorted(path.parent.glob(path.name)) or [path]
    except (OSError, ValueError):  # no name that a file can have, or no pattern
        return [path]


if __name__ == "__main__":  # before the imports that take seconds
    settings.start_command()
    parse_arguments()

import keras
from PIL import Image

from core import images
from core.files import files_below, named_errors
from core.networks import interpolate_weights, load_network, scale_and_channels
from core.precision import choose
from core.saving import FORMATS
from core.tiles import SMALLEST_TILE, upscale
from core.upscale_file import upscale_file

__all__ = ["upscale", "upscale_file", "load_network", "scale_and_channels"]

WEIGHTS = pathlib.Path(__file__).parent / "weights"


# --- What to enlarge ------------------------------------------------------------------


def find_pictures(paths, output):
    """Lists pictures, and those in folders and the folders in them.

    Args:
        paths: files and folders.
        output: folder for the results; left out where it lies in one of the folders.

    Returns:
        List of (path, path relative to the folder it was found in); and a sentence on
        the files in the folders that are pictures of kinds that are not read, or "".
    """
    pictures, others = [], []
    for path in paths:
        if not os.path.isdir(path):  # unlike Path's, of any name
            pictures.append((path, pathlib.Path(path.name)))
            continue
        for file, relative in _visible_files(path, output):
            if images.is_named_as_picture(file) or os.path.isdir(file):  # fails later
                pictures.append((file, relative))
            else:
                others.append(file)
    return pictures, images.describe_unread(others)


def _visible_files(folder, output):
    """Yields (path, path relative to the folder) of all files in it that are neither
    hidden nor results, and of broken links and folders that cannot be opened, which fail
    later."""
    own = _lies_in(output, folder)
    for file in files_below(folder):
        if not (own and _lies_in(file, output)):
            inside = file != folder
            yield file, file.relative_to(folder) if inside else pathlib.Path(file.name)


def _lies_in(path, folder):
    # Not Path.resolve, which raises an error over links in a circle.
    path, folder = (pathlib.Path(os.path.realpath(p)) for p in (path, folder))
    return folder in path.parents


def plan(pictures, output, suffix, format):
    """Decides for each picture where its result goes: dict from source to target.

    Args:
        pictures: as `find_pictures` lists them.
        output: folder for the results.
        suffix: added to the names.
        format: "png", or another suffix of file names; "same" for that of each
            picture, and PNG where it is none of `FORMATS`.

    Raises:
        ValueError: if a result would take the place of an input or of another result.
    """
    # By target in lower case, since A.png and a.png are one file on many disks.
    jobs = {}
    for source, relative in pictures:
        extension = f".{format}"
        if format == "same":
            known = images.format_of(source) in FORMATS
            extension = source.suffix if known else ".png"
        target = output / relative.with_name(f"{relative.stem}{suffix}{extension}")
        other, _ = jobs.get(str(target).casefold(), (None, None))
        if other and other != source and other.parent == source.parent:
            # As a.jpg beside a.png
            target = target.with_name(f"{relative.name}{suffix}{extension}")
        other, _ = jobs.setdefault(str(target).casefold(), (source, target))
        if os.path.realpath(other) != os.path.realpath(source):
            raise ValueError(
                f"{source} and {other} would both become {target}: enlarge one of them on "
                "its own, with another --output, or name the folder that both are in."
            )
    inputs = {os.path.realpath(s).casefold(): s for s, _ in jobs.values()}
    for _, target in jobs.values():
        if source := inputs.get(os.path.realpath(target).casefold()):
            raise ValueError(
                f"{source} would be overwritten: choose another --output or --suffix."
            )
    return dict(jobs.values())


# --- As a command ---------------------------------------------------------------------


def included_network(scale, source, sharper=False):
    """The included network for a picture: the smallest EDSR that reaches the size.

    JPEG files get a network that was trained on them, for x2 or x4. The others were not,
    and sharpen blocks and noise as if they were detail.

    Args:
        scale: how much larger the picture is to be.
        source: `pathlib.Path` of the picture.
        sharper: takes one from which an SRGAN was trained, at every size.

    Returns:
        `pathlib.Path` of a `.keras` file.
    """
    jpeg = images.format_of(source) in ("JPEG", "MPO")  # MPO: several JPEG in one file
    scales = (4,) if sharper else (2, 4) if jpeg else (2, 3, 4)
    reach = next((each for each in scales if each >= scale), 4)
    return WEIGHTS / f"edsr_{'realistic_' if jpeg else ''}x{reach}.keras"


def srgan_of(path):
    """The file of the SRGAN beside that of the EDSR it was trained from, such as
    srgan_x4.keras beside edsr_x4.keras; None if there is none."""
    other = path.with_name(path.name.replace("edsr", "srgan"))
    return other if other != path and other.exists() else None


def load_with_sharpness(path, sharpness=0.0):
    """Loads an EDSR, or its mean with the SRGAN that was trained from it.

    Args:
        path: `pathlib.Path` of its file, with that of the SRGAN beside it.
        sharpness: share of SRGAN's weights, from 0 to 1 (Wang et al. 2018, "ESRGAN",
            section 3.4).

    Returns:
        `keras.Model`.
    """
    edsr = load_network(path)
    return (
        interpolate_weights(edsr, load_network(srgan_of(path)), sharpness)
        if sharpness
        else edsr
    )


def _percent_bar():
    """A function that draws the share that it is given, 0 to 1, as a progress bar."""
    bar, drawn = keras.utils.Progbar(100, unit_name="percent"), 0

    def draw(share):
        nonlocal drawn
        if round(100 * share) > drawn:
            drawn = round(100 * share)
            bar.update(drawn)

    return draw


def check(options):
    """Refuses options that cannot be meant."""
    if options.scale is not None and not 0 < options.scale < 100:
        raise ValueError("--scale must be more than 0 and less than 100.")
    if options.tile is not None and options.tile < SMALLEST_TILE:
        raise ValueError(f"--tile must be at least {SMALLEST_TILE} pixels.")
    format = Image.registered_extensions().get(f".{options.format}".lower())
    if options.format != "same" and format not in FORMATS:
        raise ValueError(
            f"--format must be same, or a file name suffix of {', '.join(FORMATS)}, such "
            f"as jpg, not {options.format or 'nothing'}."
        )
    name = f"a{options.suffix}"
    if pathlib.Path(name).name != name:
        raise ValueError("--suffix is a part of file names, without slashes.")
    if not 0 <= options.sharpness <= 1:
        raise ValueError("--sharpness must be from 0 to 1.")
    if options.sharpness and options.model and not srgan_of(options.model):
        raise ValueError(
            f"--sharpness needs an SRGAN that was trained from {options.model}, in the same "
            'folder, with "srgan" in place of "edsr" in its name: there is none. Leave out '
            "--model for the included networks."
        )
    choose(options.precision, "--precision")


def prepare(options, scale):
    """Finds the pictures, plans where their results go, and tries the output folder.

    Returns:
        dict from source to target; and a sentence on files that are not read, or "".
    """
    suffix = options.suffix
    if suffix is None:
        sharp = f"_sharp{options.sharpness:g}" if options.sharpness else ""
        suffix = f"_x{scale:g}{sharp}"
    pictures, left_out = find_pictures(options.pictures, options.output)
    targets = plan(pictures, options.output, suffix, options.format)
    if not targets:
        sentence = "there are no pictures in these folders."
        raise ValueError(f"{sentence} {left_out}".strip())
    with named_errors(f"--output {options.output}"):
        options.output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=options.output).close()  # before any work
    return targets, left_out


def _describe_failure(source, error):
    """What went wrong with a picture, in a sentence that names it."""
    sentence = str(error)
    if isinstance(error, MemoryError) and not sentence:
        sentence = "there is not enough memory."
    return sentence if sentence.startswith(str(source)) else f"{source}: {sentence}"


def upscale_all(options, targets, scale, load):
    """Enlarges the pictures one by one: list of what failed, in sentences."""
    failures = []
    for number, (source, target) in enumerate(targets.items()):
        network = options.model or included_network(scale, source, options.sharpness)
        by = network.stem
        if options.sharpness:
            by += f", sharpness {options.sharpness:g}"
        print(f"{number + 1} of {len(targets)}: {source} -> {target} ({by})")
        try:
            notes = upscale_file(
                load(network, options.sharpness),
                source,
                target,
                scale=options.scale,
                self_ensemble=options.self_ensemble,
                progress=_percent_bar(),
                large=options.large or source in options.pictures,
                keep_hidden=options.keep_hidden,
                tile=options.tile,
                precision=options.precision,
            )
            if notes:
                print(notes)
        except Exception as error:  # the other pictures are still to be done
            failures.append(_describe_failure(source, error))
            if len(targets) > 1:
                print(f"Failed: {failures[-1]}")
        except KeyboardInterrupt:
            finished = f"{number - len(failures)} of {len(targets)} pictures"
            sentence = f"\nInterrupted: {finished} were finished."
            sys.exit("\n".join([sentence, *failures]))
    return failures


def main():
    options = parse_arguments()
    warnings.filterwarnings("ignore", module="PIL")  # whose warnings name no file
    load = functools.cache(load_with_sharpness)
    try:
        check(options)
        scale = options.scale or 4
        if options.model:
            own_scale, _ = scale_and_channels(load(options.model, options.sharpness))
            scale = options.scale or own_scale
        folders = (options.output, *options.output.parents)
        new = [folder for folder in folders if not folder.exists()]
        targets, left_out = prepare(options, scale)
    except (ValueError, OSError) as error:
        sys.exit(f"upscale.py: {error}")
    try:
        failures = upscale_all(options, targets, scale, load)
    finally:
        with contextlib.suppress(OSError):  # which have something in them
            for folder in new:
                folder.rmdir()
    if failures and len(targets) > 1:
        failures.insert(0, f"{len(failures)} of {len(targets)} failed:")
    if failures or left_out:
        sys.exit("\n".join([*failures, left_out]).strip())


if __name__ == "__main__":
    main()

"""Where pictures come from: drawn, fetched, or in a folder of your own."""

import collections
import concurrent.futures
import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
import uuid
import zlib

import keras
import matplotlib.cbook
import numpy as np
from PIL import Image, ImageOps

from leaves import draw_leaves
from pixels import DEGRADATIONS

# Drawn pictures: how many for each split, and the side of each in pixels.
LEAVES = {"train": 300, "validation": 20}
LEAVES_SIZE = 512

BSDS500_URL = (
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/"
    "BSR_bsds500.tgz"
)

# Formats that Pillow tells by name, but does not read without help.
ONLY_IDENTIFIED = ("BUFR", "GRIB", "HDF5", "MPEG")

# The subfolders of a folder of pictures, and the split that each holds.
FOLDERS = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
}

# DIV2K's own ways of making LR, and what their folders and files are called, after
# DIV2K_train_LR_ and the number and scale of a picture.
TRACKS = {
    "bicubic": ("bicubic/X{scale}", ""),
    "unknown": ("unknown/X{scale}", ""),
    "realistic_mild": ("mild", "m"),
    "realistic_difficult": ("difficult", "d"),
    "realistic_wild": ("wild", "w*"),
}

# The pictures of one split. `pictures()` gives, for each, its name and a function that
# reads (HR, LR or None, degradation for a missing LR); there are `count` at most. `key`
# changes with the content, `size` is about how many bytes the decoded HR pictures take.
Source = collections.namedtuple("Source", "pictures count key size")


def find_splits(dataset, scale, degradations):
    """Finds what there is of a dataset.

    Args:
        dataset, scale: as for `data.load`.
        degradations: tuple of names, which take turns from picture to picture.

    Returns:
        dict from the name of each split to a function that gives its `Source`.

    Raises:
        ValueError: as `data.load`.
    """
    if dataset == "leaves":
        return _leaves(degradations)
    elif dataset == "bsds500":
        # Its official val is what the super-resolution papers call BSD100.
        official = {"train": "train", "validation": "test", "test": "val"}
        folder = _fetch_bsds500()
        splits = {split: _pair_files(folder / name) for split, name in official.items()}
    elif dataset == "div2k":
        return _div2k(scale, degradations)
    elif dataset == "flowers":
        return _flowers(degradations)
    else:
        folder = pathlib.Path(dataset).expanduser()
        if not folder.is_dir():
            raise ValueError(
                f"DATASET = {dataset!r} is neither a folder nor one of the built-in "
                'datasets, "leaves", "div2k", "bsds500" and "flowers".'
            )
        if any(folder.glob("DIV2K_*_HR")):
            return _div2k_folder(folder, scale, degradations)
        splits = {**_folder_splits(folder), **_test_folder(folder)}
    return {
        split: functools.partial(_files, _take_turns(pairs, degradations))
        for split, pairs in splits.items()
    }


# --- Pictures in files -----------------------------------------------------------------


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


def upright(image):
    """Turns a Pillow image as its EXIF data says, or not if that is damaged."""
    image.load()  # Pillow finds damaged pixels once, and is silent from then on
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged files make Pillow raise anything
        return image


def to_rgb(image):
    """Turns a Pillow image of any mode into 8-bit RGB: uint8 array [H, W, 3]."""
    if image.mode.startswith("I"):  # 16-bit grey
        grey = np.clip(np.asarray(image) / 257, 0, 255)
        image = Image.fromarray((grey + 0.5).astype(np.uint8))
    return np.asarray(image.convert("RGB"))


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


def _take_turns(pairs, degradations):
    """Adds to each (HR path, LR path or None) how LR is to be made."""
    turns = []
    for number, (hr, lr) in enumerate(pairs):
        degradation = degradations[number % len(degradations)]
        if lr is None and degradation not in DEGRADATIONS:
            raise ValueError(
                f"DEGRADATION = {degradation!r} is DIV2K's own, and {hr} has no LR picture."
            )
        turns.append((hr, lr, degradation))
    return turns


def _files(pairs):
    """The `Source` of a list of (HR path, LR path or None, degradation)."""
    pictures = [(str(pair[0]), functools.partial(_read_files, *pair)) for pair in pairs]
    files = [path for hr, lr, _ in pairs for path in (hr, lr) if path]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        headers = list(pool.map(_read_header, files))
    keys, sizes, animated = zip(*headers)
    if any(animated):
        print(f"{sum(animated)} animated pictures: their first frames are taken.")
    key = (keys, [degradation for _, _, degradation in pairs])
    return Source(lambda: pictures, len(pictures), key, sum(sizes))


def _read_files(hr, lr, degradation):
    return read_image(hr), lr and read_image(lr), degradation


def _read_header(path):
    """What tells a file from others, how many bytes the picture takes as RGB, and
    whether it is animated. What cannot be read is found out when it is decoded."""
    try:
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
        with open_image(path) as image:
            size = 3 * image.width * image.height
            return key, size, getattr(image, "is_animated", False)
    except (OSError, ValueError):
        return None, 0, False


def _folder_splits(folder):
    if (folder / "train").is_dir():
        return {
            split: _pair_files(folder / name)
            for name, split in FOLDERS.items()
            if (folder / name).is_dir()
        }
    files = _pair_files(folder)
    if len(files) < 2:
        return {"all": files}
    # Held out by a hash of the name rather than by the order, so that a series of
    # similar pictures is not all on one side.
    by_hash = sorted(files, key=lambda pair: zlib.crc32(os.fsencode(pair[0].name)))
    held_out = set(by_hash[: max(1, len(files) // 10)])
    train = [pair for pair in files if pair not in held_out]
    return {"train": train, "validation": sorted(held_out), "all": files}


def _test_folder(folder):
    """The split that may lie beside others: a dict, empty if there is no `test/`."""
    if not (folder / "test").is_dir():
        return {}
    return {"test": _pair_files(folder / "test")}


def _pair_files(folder):
    """Pairs the pictures of one folder: a list of (HR path, LR path or None)."""
    if (folder / "HR").is_dir() and (folder / "LR").is_dir():
        hr = {path.stem: path for path in _list_pictures(folder / "HR")}
        lr = {path.stem: path for path in _list_pictures(folder / "LR")}
    else:
        files = _list_pictures(folder / "HR" if (folder / "HR").is_dir() else folder)
        hr = {path.stem[:-3]: path for path in files if path.stem.endswith("_HR")}
        lr = {path.stem[:-3]: path for path in files if path.stem.endswith("_LR")}
        if not hr or not lr:
            return [(path, None) for path in files]
    alone = [hr.get(name) or lr[name] for name in sorted(hr.keys() ^ lr.keys())]
    if alone:
        raise ValueError(
            f"{alone[0]} has no partner: every HR picture in {folder} needs its LR "
            "picture and the other way round."
        )
    return [(hr[name], lr[name]) for name in sorted(hr)]


def is_named_as_picture(path):
    """Whether a path has a suffix of a format that Pillow reads, and is not hidden."""
    format = Image.registered_extensions().get(path.suffix.lower())
    readable = format in Image.OPEN and format not in ONLY_IDENTIFIED
    return readable and not path.name.startswith(".")


def _list_pictures(folder):
    """The files of a folder that are named as pictures, sorted."""
    files = sorted(path for path in folder.iterdir() if is_named_as_picture(path))
    if not files:
        raise ValueError(
            f"{folder} holds no pictures (those in folders below are not looked for), nor "
            "folders train and validation with pictures."
        )
    return files


# --- DIV2K and flowers -----------------------------------------------------------------


def _div2k_folder(folder, scale, degradations):
    """DIV2K's zips, unpacked under their official names."""
    splits = {}
    for split, part in {"train": "train", "validation": "valid"}.items():
        if not (folder / f"DIV2K_{part}_HR").is_dir():
            continue
        pairs = []
        for number, hr in enumerate(_list_pictures(folder / f"DIV2K_{part}_HR")):
            degradation = degradations[number % len(degradations)]
            files = _official_lr(hr, part, scale, degradation)
            pairs += [(hr, lr, degradation) for lr in files]
        splits[split] = functools.partial(_files, pairs)
    for split, pairs in _test_folder(folder).items():
        splits[split] = functools.partial(_files, _take_turns(pairs, degradations))
    return splits


def _official_lr(hr, part, scale, degradation):
    """The LR files of a picture of DIV2K, or [None] for one that is to be made."""
    if degradation not in TRACKS:
        return [None]
    name, mark = TRACKS[degradation]
    name = "x8" if (degradation, scale) == ("bicubic", 8) else name.format(scale=scale)
    folder = hr.parent.parent / f"DIV2K_{part}_LR_{name}"
    files = sorted(folder.glob(f"{hr.stem}x{scale}{mark}.png"))
    if not files and degradation != "bicubic":
        raise ValueError(
            f"{folder / hr.stem}x{scale}{mark}.png is missing: unpack the LR zip of "
            f"DEGRADATION = {degradation!r} and SCALE = {scale} beside DIV2K_{part}_HR."
        )
    return files or [None]


def _div2k(scale, degradations):
    """DIV2K through TFDS, with its own LR pictures."""
    known = [
        *(f"bicubic_x{x}" for x in (2, 3, 4, 8)),
        *(f"unknown_x{x}" for x in (2, 3, 4)),
        *(f"{track}_x4" for track in TRACKS if track.startswith("realistic_")),
    ]
    builders = {}
    for degradation in degradations:
        track = degradation if degradation in TRACKS else "bicubic"
        config = f"{track}_x{scale}"
        if config not in known:
            raise ValueError(
                f"DIV2K has no {config} (DEGRADATION = {degradation!r}, SCALE = {scale}), "
                f"only {', '.join(known)}."
            )
        arguments = f"div2k --scale {scale} --degradation {degradation}"
        builders[degradation] = _prepare(f"div2k/{config}", arguments)
    return {
        split: functools.partial(_div2k_source, builders, split, degradations)
        for split in ("train", "validation")
    }


def _div2k_source(builders, split, degradations):
    def pictures():
        for turn, degradation in enumerate(degradations):
            examples = _examples(builders[degradation], split)
            for number, example in enumerate(examples):
                # By content, since TFDS orders each configuration its own way.
                if zlib.crc32(example["hr"]) % len(degradations) == turn:
                    lr = example["lr"] if degradation in TRACKS else None
                    name = f"div2k/{degradation} {split} {number}"
                    yield name, functools.partial(
                        tuple, (example["hr"], lr, degradation)
                    )

    infos = [builders[degradation].info for degradation in degradations]
    size = sum(info.splits[split].num_bytes for info in infos) // len(infos)
    key = [(info.full_name, split, degradations) for info in infos]
    count = infos[0].splits[split].num_examples
    return Source(pictures, count, key, 2 * size)  # PNG halves photographs


def _flowers(degradations):
    """TFDS' tf_flowers, its first 600 held out."""
    # Refuses DIV2K's own degradations before the download.
    _take_turns([("flowers", None)] * len(degradations), degradations)
    builder = _prepare("tf_flowers", "flowers")
    splits = {"train": "train[600:]", "validation": "train[:600]"}
    return {
        name: functools.partial(_flowers_source, builder, split, degradations)
        for name, split in splits.items()
    }


def _flowers_source(builder, split, degradations):
    def pictures():
        for number, example in enumerate(_examples(builder, split)):
            degradation = degradations[number % len(degradations)]
            parts = (example["image"], None, degradation)
            yield f"tf_flowers {split} {number}", functools.partial(tuple, parts)

    count = builder.info.splits[split].num_examples
    every = builder.info.splits["train"]  # a part of it does not know its bytes
    size = 4 * every.num_bytes * count // every.num_examples
    key = (builder.info.full_name, split, degradations)
    return Source(pictures, count, key, size)


def tfds_builder(name, **kwargs):
    """TFDS' own builder of a dataset."""
    import tensorflow_datasets as tfds  # takes seconds, so only where it is used

    return tfds.builder(name, **kwargs)


def _prepare(name, arguments):
    """Downloads and prepares a TFDS dataset, once; data.py does with these arguments."""
    try:
        builder = tfds_builder(name)
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its downloader does
        raise ValueError(
            f"{name} could not be fetched ({error}). Fetch it where there is a network "
            f"by `python data.py {arguments}`, set DATASET to a folder with the "
            "pictures (DIV2K: the unpacked zips of https://data.vision.ee.ethz.ch/cvl/DIV2K/)"
            ', or set DATASET = "leaves".'
        ) from error
    return builder


def _examples(builder, split):
    return builder.as_dataset(split=split, shuffle_files=False).as_numpy_iterator()


# --- Fetched and drawn into the Keras cache --------------------------------------------


def _fetch_bsds500():
    """Downloads and unpacks BSDS500, once, and again if the archive is broken off."""
    folder = cache_folder() / "BSDS500"
    for again in (False, True):
        if folder.is_dir():
            break
        try:
            archive = keras.utils.get_file(
                "BSR_bsds500.tgz",
                BSDS500_URL,
                cache_dir=cache_folder().parent,
                force_download=again,
            )
            with tempfile.TemporaryDirectory(dir=cache_folder()) as part:
                shutil.unpack_archive(archive, part, filter="data")
                os.rename(pathlib.Path(part) / "BSR", folder)
        except Exception as error:  # get_file raises nothing more specific
            if again:
                raise ValueError(
                    f"BSDS500 could not be fetched ({error}). Put BSR_bsds500.tgz from "
                    f"{BSDS500_URL} into {cache_folder()} yourself, or set "
                    'DATASET = "leaves".'
                ) from error
    return folder / "BSDS500/data/images"


def _leaves(degradations):
    name = "grace_hopper.jpg"
    photograph = matplotlib.cbook.get_sample_data(name, asfileobj=False)
    test = [(pathlib.Path(photograph), None)]

    def drawn(split):
        return _files(
            _take_turns(_pair_files(_draw_leaves_folder(split)), degradations)
        )

    return {
        **{split: functools.partial(drawn, split) for split in LEAVES},
        "test": functools.partial(_files, _take_turns(test, degradations)),
    }


def _draw_leaves_folder(split):
    """Draws what is still missing of a split of the leaves into the Keras cache."""
    # A change to the drawing takes a new number, so that nobody trains on old pictures.
    folder = cache_folder() / f"leaves_v3_{LEAVES_SIZE}" / split
    numbers = range(1, LEAVES[split] + 1)
    paths = {number: folder / f"{number:04}.png" for number in numbers}
    missing = {number: path for number, path in paths.items() if not path.exists()}
    if missing:
        print(f"Drawing {len(missing)} pictures of dead leaves into {folder}")
        progress = keras.utils.Progbar(len(missing), unit_name="picture")
    for number, path in missing.items():
        # A second number, so that no picture of validation is one of training.
        seed = [number, list(LEAVES).index(split)]
        image = Image.fromarray(draw_leaves(LEAVES_SIZE, seed))
        with whole_file(path) as part:
            image.save(part, compress_level=1)
        progress.add(1)
    return folder


def cache_folder():
    """The folder for datasets, `~/.keras/datasets` or below `KERAS_HOME`. Makes it."""
    home = os.environ.get("KERAS_HOME", "~/.keras")
    folder = pathlib.Path(home).expanduser() / "datasets"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{folder} cannot be made ({error.strerror}): set the environment variable "
            "KERAS_HOME to a folder for datasets."
        ) from None
    return folder


@contextlib.contextmanager
def whole_file(path):
    """Writes a file whole or not at all.

    Args:
        path: `pathlib.Path` of the file; its folder is made if it is missing.

    Yields:
        A path beside it, with the same suffix, to write to. It takes the place of
        `path` at the end, and is removed if the writing fails.

    Raises:
        OSError: naming the file, if it cannot be written.
    """
    # Not by the process id, which machines that share a folder may have in common.
    part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    with named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            with open(part, "r+b") as file:
                os.fsync(file.fileno())  # before the name, lest power fails in between
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def named_errors(path):
    """Makes an error of the disk name the file or folder that cannot be written."""
    try:
        yield
    except FileExistsError:
        message = f"{path} cannot be written: a file stands where a folder is to be."
        raise OSError(message) from None
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{path} cannot be written: {reason}") from None

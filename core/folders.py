"""Folders of pictures: their splits, HR and LR in pairs, DIV2K's official names."""

import collections
import concurrent.futures
import functools
import os
import zlib

from core.images import is_named_as_picture, read_image, size_and_frames
from core.degradations import DEGRADATIONS

# The subfolders of a folder of pictures, and the split that each holds.
FOLDERS = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
}

# DIV2K's own ways of making LR: how their folders continue after DIV2K_train_LR_, and
# their file names after the number and scale of a picture.
TRACKS = {
    "bicubic": ("bicubic/X{scale}", ""),
    "unknown": ("unknown/X{scale}", ""),
    "realistic_mild": ("mild", "m"),
    "realistic_difficult": ("difficult", "d"),
    "realistic_wild": ("wild", "w*"),
}

# One picture: `read()` gives (HR, LR or None); `degradation` says how to make LR then.
Example = collections.namedtuple("Example", "name read degradation")

# The pictures of one split. `examples()` gives an `Example` for each, `count` at most.
# `key` changes with the content; `size` is about how many bytes the decoded HR pictures
# take. With `leave_out_small`, pictures smaller than a patch are left out; without, they
# are an error.
Source = collections.namedtuple(
    "Source", "examples count key size leave_out_small", defaults=[False]
)


def find_splits(folder, scale, degradations):
    """Finds the splits of a folder.

    Args:
        folder: `pathlib.Path`.
        scale, degradations: as for `datasets.find_splits`.

    Returns:
        dict from the name of each split to a function that gives its `Source`.

    Raises:
        ValueError: as `data.load`.
    """
    if any(folder.glob("DIV2K_*_HR")):
        return _div2k_splits(folder, scale, degradations)
    splits = {**_own_splits(folder), **_test_split(folder)}
    return splits_of_files(splits, degradations)


def splits_of_files(splits, degradations):
    """From lists of (HR path, LR path or None) to functions that give a `Source`."""
    return {
        split: functools.partial(source_of_files, take_turns(pairs, degradations))
        for split, pairs in splits.items()
    }


def take_turns(pairs, degradations):
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


def source_of_files(pairs):
    """The `Source` of a list of (HR path, LR path or None, degradation)."""
    examples = [
        Example(str(hr), functools.partial(_read_files, hr, lr), degradation)
        for hr, lr, degradation in pairs
    ]
    files = [path for hr, lr, _ in pairs for path in (hr, lr) if path]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        headers = list(pool.map(_read_header, files))
    keys, sizes, animated = zip(*headers)
    if any(animated):
        print(f"{sum(animated)} animated pictures: only their first frames are used.")
    key = (keys, [degradation for _, _, degradation in pairs])
    return Source(lambda: examples, len(examples), key, sum(sizes))


def _read_files(hr, lr):
    return read_image(hr), lr and read_image(lr)


def _read_header(path):
    """Identifies the file for the cache, counts the bytes of the picture as RGB, and says
    whether it is animated. Whatever cannot be read is reported when it is decoded."""
    try:
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
        width, height, frames = size_and_frames(path)
        return key, 3 * width * height, frames > 1
    except (OSError, ValueError):
        return None, 0, False


def _own_splits(folder):
    if (folder / "train").is_dir():
        return {
            split: pair_files(folder / name)
            for name, split in FOLDERS.items()
            if (folder / name).is_dir()
        }
    files = pair_files(folder)
    if len(files) < 2:
        return {"all": files}
    # Held out by a hash of the name rather than by the order, so that a series of
    # similar pictures is not all on one side.
    by_hash = sorted(files, key=lambda pair: zlib.crc32(os.fsencode(pair[0].name)))
    held_out = set(by_hash[: max(1, len(files) // 10)])
    train = [pair for pair in files if pair not in held_out]
    return {"train": train, "validation": sorted(held_out), "all": files}


def _test_split(folder):
    """The split that may lie beside any others: a dict, empty if there is no `test/`."""
    if not (folder / "test").is_dir():
        return {}
    return {"test": pair_files(folder / "test")}


def pair_files(folder):
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


def _list_pictures(folder):
    """The files of a folder that are named as pictures, sorted."""
    files = sorted(path for path in folder.iterdir() if is_named_as_picture(path))
    if not files:
        raise ValueError(
            f"{folder} contains no pictures (subfolders are not searched), nor folders "
            "train and validation with pictures."
        )
    return files


# --- DIV2K's zips ----------------------------------------------------------------------


def _div2k_splits(folder, scale, degradations):
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
        splits[split] = functools.partial(source_of_files, pairs)
    for split, pairs in _test_split(folder).items():
        splits[split] = functools.partial(
            source_of_files, take_turns(pairs, degradations)
        )
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

"""The pictures of one split, before they are read: which, how many, how LR is made."""

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Sequence

from core.degradations import DEGRADATIONS
from core.images import read, size_and_frames, to_8_bits

# One picture: `read()` gives (HR, LR or None); `degradation` says how to make LR then.
Example = collections.namedtuple("Example", "name read degradation")


@dataclasses.dataclass(frozen=True)
class Source:
    """The pictures of one split."""

    examples: Callable  # gives an `Example` for each picture
    count: int  # of pictures, or more than there are
    key: object  # changes with the content
    size: int  # about how many bytes the decoded HR pictures take
    found: str = ""  # what this is, in words; "" for files
    pairs: Sequence = ()  # the files, each a `Pair`
    notes: Sequence = ()  # sentences about how they were found
    leave_out_small: bool = False  # or a picture smaller than a patch is an error


def splits_of_files(splits, degradations, notes=()):
    """From lists of `Pair` to functions that give a `Source`."""
    return {
        split: functools.partial(
            source_of_files, assign_degradations(pairs, degradations), notes
        )
        for split, pairs in splits.items()
    }


def assign_degradations(pairs, degradations):
    """Says of each `Pair` how LR is made: by one degradation after the other."""
    turns = []
    for pair, degradation in zip(pairs, itertools.cycle(degradations)):
        if pair.lr is None and degradation not in DEGRADATIONS:
            raise ValueError(
                f"DEGRADATION = {degradation!r} is DIV2K's own, and {pair.hr} has no LR "
                "picture."
            )
        turns.append(pair._replace(degradation=degradation))
    return turns


def source_of_files(pairs, notes=()):
    """The `Source` of a list of `Pair`."""
    examples = [
        Example(str(p.hr), functools.partial(_read_files, p.hr, p.lr), p.degradation)
        for p in pairs
    ]
    files = [path for pair in pairs for path in (pair.hr, pair.lr) if path]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        headers = list(pool.map(_read_header, files))
    keys, sizes, animated = zip(*headers)
    if moving := [*filter(None, animated)]:
        print(f"{_count(moving, 'animated picture')}: only the first frame is used.")
    key = (keys, [pair.degradation for pair in pairs])
    return Source(
        lambda: examples, len(examples), key, sum(sizes), pairs=pairs, notes=notes
    )


def _read_files(*paths):
    """Reads HR, and LR if there is one."""
    pictures = [path and read(path) for path in paths]
    hr, lr = pictures
    if lr and hr.high_bit_depth and lr.high_bit_depth and hr.assumed != lr.assumed:
        ranges = [
            picture.assumed or "Its pixels use the full range." for picture in pictures
        ]
        raise ValueError(
            f"{paths[0]} and {paths[1]} would be read over different ranges (HR: "
            f"{ranges[0]} LR: {ranges[1]}), as one is darker: save both with 8 bits."
        )
    pixels = [
        picture and to_8_bits(picture, path) for picture, path in zip(pictures, paths)
    ]
    if lr and hr.high_bit_depth != lr.high_bit_depth:
        _refuse_other_brightness(pixels, paths, hr.assumed or lr.assumed)
    return pixels


def _refuse_other_brightness(pixels, paths, assumed):
    """Refuses a pair of which one file has 8 bits and the other has more, over a range that
    was assumed and does not agree."""
    darker, brighter = sorted(array.mean() for array in pixels)
    if assumed and brighter > 2 * darker + 2:
        raise ValueError(
            f"{paths[0]} and {paths[1]} differ in brightness. {assumed} Save both with 8 "
            "bits."
        )


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


# --- In words ---------------------------------------------------------------------------


def describe(dataset, sources):
    """Says what was found: pairs or HR alone, how many, where.

    Args:
        dataset: its name, or the path of its folder.
        sources: dict from splits to `Source`.

    Returns:
        List of lines: one for all splits, or one for each where they are not alike.
    """
    everything = list(sources.values())
    if len({_kind(source) for source in everything}) == 1:
        lines = [f"{dataset}: {_found(everything)}."]
    else:
        lines = [
            f"{dataset}, {split}: {_found([source])}."
            for split, source in sources.items()
        ]
    return [
        *lines,
        *dict.fromkeys(note for source in everything for note in source.notes),
    ]


def _kind(source):
    return source.found or frozenset(
        "LR" if pair.lr else pair.degradation for pair in source.pairs
    )


def _found(sources):
    if sources[0].found:
        return f"{sum(source.count for source in sources)} {sources[0].found}"
    everything = [pair for source in sources for pair in source.pairs]
    pairs = [pair for pair in everything if pair.lr]
    alone = [pair for pair in everything if not pair.lr]
    found = []
    if pairs:
        first = pairs[0].hr, pairs[0].lr
        above = os.path.commonpath([path.parent for path in first])
        hr, lr = (os.path.relpath(path, above) for path in first)
        found.append(f"{_count(pairs, 'pair')}, such as {hr} and {lr}")
    if alone:
        folders = {pair.hr.parent for pair in alone}
        where = f" in {len(folders)} folders" if len(folders) > 1 else ""
        ways = dict.fromkeys(pair.degradation for pair in alone)
        made = f"LR made with {' and '.join(ways)}"
        found.append(f"{_count(alone, 'picture')}{where}, {made}")
    return ", and ".join(found)


def _count(items, name):
    return f"{len(items)} {name}{'s' if len(items) > 1 else ''}"

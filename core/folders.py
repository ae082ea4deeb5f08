"""Folders of pictures: their splits, what is held out, DIV2K's official names."""

import collections
import functools
import glob
import os
import pathlib
import re
import zlib

from core import state
from core.files import can_be_opened, expand_home
from core.images import describe_unread, is_named_as_picture
from core.pairs import (
    group_by_role,
    left_out,
    pair_up,
    read_file,
    read_path,
    refuse_two_names,
    split_hinted_at,
)
from core.sources import source_of_files, splits_of_files

# Folders that are not part of a dataset: where scripts write unless told otherwise, and
# others with a file that they write.
RESULT_FOLDERS = ("results", "upscaled")
RESULT_FILES = (state.FILE, "scores.csv")

# DIV2K's own ways of making LR: how their folders continue after DIV2K_train_LR_, and
# their file names after the number and scale of a picture.
TRACKS = {
    "bicubic": ("bicubic/X{scale}", ""),
    "unknown": ("unknown/X{scale}", ""),
    "realistic_mild": ("mild", "m"),
    "realistic_difficult": ("difficult", "d"),
    "realistic_wild": ("wild", "w*"),
}


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
    files, notes = _find_files(folder)
    by_split = collections.defaultdict(list)
    for path, place in files:
        by_split[place.split].append((path, place))
    outside = by_split.pop(None, [])
    if "train" in by_split:
        notes += left_out([path for path, _ in outside], "in none of the splits")
    elif "validation" in by_split or (by_split and not outside):
        raise ValueError(
            f"{folder} has folders of {' and '.join(by_split)} pictures, and no folder train "
            "with pictures to learn from."
        )
    elif not outside:
        raise ValueError(
            f"{folder} contains no pictures, and neither do the folders in it."
        )
    else:
        _refuse_splits_not_read(folder, [path for path, _ in outside])
    found = {}
    groups = by_split if "train" in by_split else {"all": outside, **by_split}
    for split, members in groups.items():
        found[split], others = pair_up(members, folder, scale)
        notes += others
    if found.get("all"):
        train, validation, held_out = hold_out(found["all"])
        if train:
            found |= {"train": train, "validation": validation}
            notes += held_out
    return splits_of_files(found, degradations, notes)


def _refuse_splits_not_read(folder, pictures):
    """Refuses folders side by side, such as train_images and test_images, whose names mean
    splits but are not read as such: test pictures would be learned from."""
    hinted = {}
    for picture in pictures:
        for path in picture.relative_to(folder).parents:
            if split := split_hinted_at(path.name):
                other = hinted.setdefault((path.parent, split), path)
                hinted[path.parent, split] = min(other, path)
    for parent in {parent for parent, _ in hinted}:
        paths = [path for place, path in sorted(hinted.items()) if place[0] == parent]
        if len(paths) > 1:
            names = ", ".join(str(folder / path) for path in paths)
            raise ValueError(
                f"{names}: by their names these seem to be splits of a dataset. Call them "
                "train, validation and test, or move those away that are not to be learned "
                "from."
            )


def find_originals(folder):
    """The pictures of a folder and the folders in it: sorted list of `pathlib.Path`.

    Raises:
        ValueError: if there are none, or some are LR by their names.
    """
    files, _ = _find_files(folder)
    if not files:
        raise ValueError(f"{folder} contains no pictures.")
    if lr := group_by_role(files)["LR"]:
        raise ValueError(
            f"{lr[0][0]} is an LR picture by its name: name a folder of HR alone."
        )
    return sorted(path for path, _ in files)


def pair_files(folder, scale):
    """Finds the pictures of a folder and the folders in it: list of `Pair`, sorted."""
    return _pair_files(folder, scale)[0]


def _pair_files(folder, scale):
    """The same, and a list of sentences on what is left out."""
    files, notes = _find_files(folder)
    if not files:
        raise ValueError(f"{folder} contains no pictures.")
    pairs, others = pair_up(files, folder, scale)
    return pairs, notes + others


def has_pictures(folder):
    """Whether there are pictures in a folder or the folders in it, other than results."""
    return any(pictures for _, _, pictures in _walk(folder, (), [], set()))


def refuse_output_among(dataset, pictures, output):
    """Refuses to write results into the folder of a dataset, or beside its pictures: the
    next run would take them for more of these.

    Args:
        dataset: its name or folder, as for `data.load`.
        pictures: the files that are read.
        output: `pathlib.Path` of the folder for results.

    Raises:
        ValueError: naming the folder.
    """
    places = {path.resolve().parent for path in map(pathlib.Path, pictures)}
    if output.resolve() in {*places, expand_home(dataset).resolve()}:
        raise ValueError(
            f"--output {output} has the pictures that are read, and the results would be "
            "taken for more of them: choose another folder."
        )


def hold_out(pairs):
    """Holds out about a tenth of the pictures.

    By a hash of the name rather than by the order, so that a series of similar pictures is
    not all on one side. For the same reason a subfolder stays whole, and a.jpg stays with
    a.png.

    Args:
        pairs: list of `Pair`, one or more.

    Returns:
        Two lists of `Pair`, to train with and for validation, of which the first is empty
        where all share a name; and a list of sentences on what is held out.
    """
    groups, first_of_stem = collections.defaultdict(list), {}
    one_folder = len({pair.group for pair in pairs}) == 1
    for pair in pairs:
        alone = one_folder or not pair.group
        name = first_of_stem.setdefault(pair.hr.stem.casefold(), pair.hr.name)
        groups[name if alone else "/".join(pair.group)].append(pair)
    by_hash = sorted(groups, key=lambda name: zlib.crc32(os.fsencode(name)))
    wanted, chosen, count = max(1, len(pairs) // 10), [], 0
    for name in by_hash:
        if abs(count + len(groups[name]) - wanted) < abs(count - wanted):
            chosen.append(name)
            count += len(groups[name])
    chosen = chosen or [min(by_hash, key=lambda name: len(groups[name]))]
    held_out = sorted(pair for name in chosen for pair in groups[name])
    held = set(held_out)
    train = [pair for pair in pairs if pair not in held]
    whole = [name for name in chosen if groups[name][0].group and not one_folder]
    if not whole:
        return train, held_out, []
    note = (
        f"Held out for validation: {len(held_out)} of {len(pairs)} pictures, those of "
        f"{_some(whole)}. A folder's pictures stay together."
    )
    return train, held_out, [note]


def _find_files(folder, names=()):
    """Finds the pictures in a folder and the folders in it: a list of (path, `Place`), and
    a list of sentences on what is left out. `names`: of the folder, and those above it,
    that say something."""
    files, places, filled, notes = [], {}, set(), []
    for path, on_the_way, pictures in _walk(folder, names, notes, set()):
        place = places[path] = read_path(on_the_way)
        files += [(picture, place) for picture in pictures]
        if pictures:
            filled |= {path, *path.parents}
    refuse_two_names(places)
    for path, place in places.items():
        around = places.get(path.parent, place)
        # Nobody wants to hear that LR is made while "LR" is empty.
        if path not in filled and place[:2] != around[:2]:
            raise ValueError(f"{path} contains no pictures, or cannot be opened.")
    return files, notes


def _walk(folder, names, notes, above):
    """Goes through a folder and the folders in it: yields (path, names of the folders on
    the way, pictures). Hidden folders, those of results and those that cannot be opened
    are left out."""
    if not can_be_opened(folder):
        raise ValueError(f"{folder} cannot be opened: change its permissions.")
    above = above | {os.path.realpath(folder)}
    # Pipes and the like are left out: reading one would not end. Broken links are not.
    paths = {
        path: os.path.isdir(path)
        for path in folder.iterdir()
        if os.path.isdir(path) or os.path.isfile(path) or not os.path.exists(path)
    }
    pictures = sorted(
        path for path in paths if not paths[path] and is_named_as_picture(path)
    )
    if unread := describe_unread(path for path in paths if not paths[path]):
        notes.append(f"{folder}: {unread}")
    yield folder, names, pictures
    for path in sorted(path for path in paths if paths[path]):
        if path.name.startswith(".") or os.path.realpath(path) in above:
            continue  # the latter is a link in a circle
        of_results = path.name in RESULT_FOLDERS
        if not can_be_opened(path):
            notes.append(f"Left out: {path}, which cannot be opened.")
            yield path, (*names, path.name), []
        elif of_results or any((path / name).is_file() for name in RESULT_FILES):
            notes.append(f"Left out: {path}, which holds results.")
        else:
            yield from _walk(path, (*names, path.name), notes, above)


def _some(names):
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


# --- DIV2K's zips ----------------------------------------------------------------------


def _div2k_splits(folder, scale, degradations):
    """DIV2K's zips, unpacked under their official names, or pictures of your own there."""
    tests, notes = _tests_in_div2k(folder, scale)
    splits, notes = {}, _others_in_div2k(folder) + notes
    for split, part in {"train": "train", "validation": "valid"}.items():
        if not (folder / f"DIV2K_{part}_HR").is_dir():
            continue
        pairs, others = _pair_files(folder / f"DIV2K_{part}_HR", scale)
        turns, notes = [], notes + others
        for number, pair in enumerate(pairs):
            degradation = degradations[number % len(degradations)]
            files = _lr_in_div2k(folder, pair.hr, part, scale, degradation)
            turns += [pair._replace(lr=lr, degradation=degradation) for lr in files]
        made = [
            pair for pair in turns if pair.lr is None and pair.degradation == "bicubic"
        ]
        if made:
            _refuse_other_lr(folder, part, scale, made[0].hr)
        splits[split] = functools.partial(source_of_files, turns, notes)
    found = {"test": tests} if tests else {}
    return splits | splits_of_files(found, degradations, notes)


def _tests_in_div2k(folder, scale):
    """The pictures of test/, DIV2K_test_HR/ and so on: list of `Pair`, and of sentences on
    what is left out, as DIV2K's own LR, for which there is no HR."""
    places = {path: read_path([path.name]) for path in sorted(folder.iterdir())}
    tests = {
        path: place
        for path, place in places.items()
        if place.split == "test" and path.is_dir()
    }
    notes = []
    if "HR" not in {place.role for place in tests.values()}:
        alone = [path for path, place in tests.items() if place.role == "LR"]
        notes = left_out(alone, "LR without HR")
        tests = {path: tests[path] for path in tests if path not in alone}
    if not tests:
        return [], notes
    refuse_two_names(tests)
    files = []
    for path in tests:
        found, others = _find_files(path, (path.name,))
        files, notes = files + found, notes + others
    if not files:
        raise ValueError(f"{min(tests)} contains no pictures.")
    pairs, others = pair_up(files, folder, scale)
    return pairs, notes + others


def _others_in_div2k(folder):
    """Sentences on pictures that lie beside DIV2K's folders, and are left out."""
    others = [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith((".", "DIV2K_"))
        and path.name not in RESULT_FOLDERS
        and read_path([path.name]).split != "test"
        and (
            can_be_opened(path) and has_pictures(path)
            if path.is_dir()
            else is_named_as_picture(path)
        )
    ]
    return left_out(others, f"not in one of DIV2K's folders in {folder}")


def _lr_in_div2k(folder, hr, part, scale, degradation):
    """The LR files of a picture, or [None] for one that is to be made."""
    if degradation not in TRACKS:
        return [None]
    name, mark = TRACKS[degradation]
    name = "x8" if (degradation, scale) == ("bicubic", 8) else name.format(scale=scale)
    where = folder / f"DIV2K_{part}_LR_{name}"
    if where.is_dir() and not can_be_opened(where):
        raise ValueError(f"{where} cannot be opened: change its permissions.")
    files = sorted(where.glob(f"{glob.escape(hr.stem)}x{scale}{mark}.png"))
    if not files and where.is_dir():
        files = [
            path for path in sorted(where.iterdir()) if _is_own_lr(path, hr, scale)
        ]
    if len(files) > 1 and mark != "w*":
        raise ValueError(
            f"{files[0]} and {files[1]} are both LR of {hr}: keep one of them."
        )
    if not files and degradation != "bicubic":
        raise ValueError(
            f"{where / hr.stem}x{scale}{mark}.png is missing: unpack the LR zip of "
            f"DEGRADATION = {degradation!r} and SCALE = {scale} beside DIV2K_{part}_HR."
        )
    return files or [None]


def _is_own_lr(path, hr, scale):
    """Whether a file is the LR picture of an HR one by a name that is not DIV2K's."""
    stem, own_scale = read_file(path, "LR", 3)
    same = path.stem == hr.stem or (stem == hr.stem and own_scale in (None, scale))
    return same and is_named_as_picture(path)


def _refuse_other_lr(folder, part, scale, hr):
    """Refuses LR of your own in other places than DIV2K's, where LR would be made."""
    start = f"DIV2K_{part}_LR"
    tracks = {f"{start}_{name.split('/')[0]}" for name, _ in TRACKS.values()}
    bicubic = {f"{start}_bicubic", f"{start}_x8"}
    for place in sorted(folder.glob(f"{start}*")):
        if place.name in tracks - bicubic:
            continue
        for path in sorted(place.rglob("*")):
            official = place.name in bicubic and re.search(r"x\d$", path.stem)
            if is_named_as_picture(path) and not official:
                raise ValueError(
                    f"{hr} has no LR picture for SCALE = {scale}, but {path} is there: LR "
                    f"pictures of your own are expected in {folder / start}_bicubic/"
                    f"X{scale}, under the names of HR."
                )

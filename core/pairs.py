"""Which pictures of a folder are HR, which are LR, and which belong together, by name."""

import collections
import itertools
import re
import unicodedata

import numpy as np
from PIL import Image

from core.images import read_image, size_and_frames

SPLITS = {
    **dict.fromkeys(["train", "training"], "train"),
    **dict.fromkeys(["val", "valid", "validation"], "validation"),
    **dict.fromkeys(["test", "testing"], "test"),
}
ROLES = {"hr": "HR", "gt": "HR", "high": "HR", "lr": "LR", "lq": "LR", "low": "LR"}

# The words of a folder's name. One may be a role, as in "train_HR", "LR_bicubic", "LRx4",
# "LRbicx4" and "GTmod12", or a scale, as in "X4" and "image_SRF_4".
WORD = re.compile(r"srf[ _.-]?\d+|[^ _.-]+")
ROLE = re.compile(r"(hr|gt|high|lr|lq|low)(?:res|bic|mod\d+)?(?:x(\d+))?")
SCALE = re.compile(r"(?:x|srf[ _.-]?)(\d+)")
# Words that are a role only where no other words stand beside them: a folder "low light"
# or "Mustang GT" holds photographs.
WEAK, BESIDE_WEAK = ("gt", "lq", "high", "low"), {"res", "resolution"}

# A file's name: its stem, and then perhaps a scale and a role, in either order.
FILE = re.compile(
    r"(?P<stem>.+?)(?:[ _.-]?x(?P<before>\d\d?))?"
    r"(?:[ _.-](?P<role>hr|gt|lr|lq)(?:(?:[ _.-]?x)?(?P<after>\d\d?))?)?",
    re.IGNORECASE | re.DOTALL,
)

# The words and numbers of a file's name, as in "lr_0001", "beachHR" and "LowRes-2", and
# the words in which the name of a copy may differ from that of its original.
NAME_WORD = re.compile(r"HR|LR|GT|LQ|[A-Z]?[^\W\dA-Z_]+|[A-Z]+|\d+")
COPY_WORDS = {*ROLES} | {
    *"hires lores highres lowres hq sr res resolution quality original orig source "
    "target input output large big full small tiny mini half quarter size thumb "
    "thumbnail preview resized scaled downscaled downsampled reduced degraded bicubic "
    "bilinear nearest blur blurred blurry sharp noise noisy clean".split()
}

# The ways to compare the names of files, of which the first that pairs all is taken: as
# they stand (0); without "_HR" and "_LR" (1); without the scale behind these, or at the end
# of LR (2); without any scale (3). So "fox2_HR" and "fox2_LR_x4" are a pair.
DEPTHS = range(4)

# What the names of folders say. `split` is "train", "validation", "test" or None; `role`
# is "HR", "LR" or None; `scale` is an int or None; `rest` is a tuple of the other names.
Place = collections.namedtuple("Place", "split role scale rest")

# HR path, LR path or None, the names of the folders that it is kept together with, and how
# LR is made (see `core.sources.assign_degradations`).
Pair = collections.namedtuple("Pair", "hr lr group degradation", defaults=[(), None])

EXPECTED = (
    "pairs are expected in folders HR and LR (or GT and LQ, high and low), with the same "
    "names in both, or as *_HR and *_LR in one folder"
)


# --- Folders --------------------------------------------------------------------------


def read_path(names):
    """What the names of folders say, from the outermost to the innermost: `Place`."""
    place = Place(None, None, None, ())
    for name in names:
        inner = _read_folder(name)
        if inner.split and place.split:  # a class called "train"
            inner = Place(None, *inner[1:3], (inner.split, *inner.rest))
        place = Place(
            place.split or inner.split,
            inner.role or place.role,
            inner.scale or place.scale,
            place.rest + inner.rest,
        )
    return place


def _read_folder(name):
    """What the name of one folder says: `Place`."""
    split = role = scale = None
    before, others = [], []
    words = WORD.findall(name.casefold())
    for word in words:
        if not role and (match := ROLE.fullmatch(word)):
            role, scale, before = match[1], match[2] or scale, others
            others = []
        elif match := SCALE.fullmatch(word):
            scale = match[1]
        elif word in SPLITS:
            split = SPLITS[word]
        else:
            others.append(word)
    strong = role not in WEAK or {*before, *others} <= BESIDE_WEAK
    if role and strong:
        return Place(split, ROLES[role], scale and int(scale), tuple(before))
    if len(words) == 1 and split:
        return Place(split, None, None, ())
    if words and SCALE.fullmatch(words[-1]) and not (role or split):
        return Place(None, None, int(scale), tuple(others))
    return Place(None, None, None, (name,))


def split_hinted_at(name):
    """The split that a folder's name seems to mean in a form that `read_path` does not take,
    as in "train_images", "TestSet" and "val2017"; or None."""
    for word in NAME_WORD.findall(name):
        word = re.sub("(set|data|images)$", "", word.casefold())
        if word in SPLITS:
            return SPLITS[word]
    return None


def refuse_two_names(folders):
    """Refuses folders side by side that say the same, as val and validation.

    Args:
        folders: dict from the path of each folder to its `Place`.
    """
    known = {}
    for path, place in folders.items():
        other = known.setdefault((path.parent, place), path)
        if other != path:
            raise ValueError(
                f"{other} and {path} have names that mean the same: put the pictures into "
                "one of them, or move one elsewhere."
            )


# --- Pairs -----------------------------------------------------------------------------


def pair_up(files, folder, scale):
    """Pairs pictures by their names.

    Args:
        files: list of (path, `Place`).
        folder: what to call where they are, in errors.
        scale: where there is LR for several scales by name, that of this one is taken.

    Returns:
        List of `Pair`, sorted by name, and of sentences on what is left out.

    Raises:
        ValueError: where pictures look like pairs and cannot be read as pairs.
    """
    by_role = group_by_role(files)
    hr, lr, neither = by_role["HR"], by_role["LR"], by_role[None]
    if lr and not hr:
        raise ValueError(
            f"{lr[0][0]} is an LR picture by its name, and {folder} has no HR pictures by "
            f"theirs: {EXPECTED}. If it is not an LR picture, rename it."
        )
    if lr:
        pairs = _match(hr, lr, folder, scale)
        used = {pair.hr for pair in pairs}
        others = [path for path, _ in hr if path not in used]
        notes = left_out([path for path, _ in neither], "neither HR nor LR")
        return pairs, notes + left_out(others, "for another SCALE by their names")
    # HR alone: what lies in folders of that name, or else everything.
    taken = [(path, place) for path, place in files if place.role] or files
    neither = [] if taken is files else neither
    _refuse_namesakes(taken, neither)
    _refuse_copies([path for path, _ in taken], scale)
    found = [Pair(path, None, place.rest) for path, place in sorted(taken)]
    return found, left_out([path for path, _ in neither], "neither HR nor LR")


def left_out(paths, reason):
    """A list of a sentence on what is left out, or of none."""
    if not paths:
        return []
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return [f"Left out: {paths[0]}{others}, {reason}."]


def group_by_role(files):
    """Groups (path, `Place`) by "HR", "LR" and None. Folders decide where there are both
    of HR and of LR, otherwise names of files do first."""
    folders_decide = {"HR", "LR"} <= {place.role for _, place in files}
    by_role = collections.defaultdict(list)
    for path, place in files:
        word = FILE.fullmatch(path.stem)["role"]
        of_file = ROLES[word.casefold()] if word and not folders_decide else None
        by_role[of_file or place.role].append((path, place))
    return by_role


def _match(hr, lr, folder, scale):
    """Finds the LR picture of each HR picture: list of `Pair`."""
    for depth in DEPTHS:
        of_hr, of_lr = (
            _index(*side, scale, depth) for side in ((hr, "HR"), (lr, "LR"))
        )
        if of_hr.keys() == of_lr.keys():
            break
    if not of_hr or not of_lr:
        named = {read_file(path, "LR", 3)[1] or place.scale for path, place in hr + lr}
        named = " and ".join(str(own) for own in sorted(named - {None}))
        raise ValueError(
            f"The pairs in {folder} are for SCALE = {named} by their names, not for SCALE = "
            f"{scale}."
        )
    for role, index in {"HR": of_hr, "LR": of_lr}.items():
        for (path, _), *others in index.values():
            if others:
                raise ValueError(
                    f"{path} and {others[0][0]} would both be the {role} picture of one "
                    "pair: keep one of them."
                )
    if alone := sorted(of_hr.keys() ^ of_lr.keys()):
        ((path, _),) = of_hr.get(alone[0]) or of_lr[alone[0]]
        raise ValueError(
            f"{path} has no partner for SCALE = {scale}: every HR picture in {folder} needs "
            "its LR picture, with the same name, and the other way round."
        )
    pairs = {}
    for key, ((path, place),) in of_hr.items():
        spelled = (place.rest, read_file(path, "HR", depth)[0])
        pairs[spelled] = Pair(path, of_lr[key][0][0], place.rest)
    return [pairs[spelled] for spelled in sorted(pairs)]


def _index(files, role, scale, depth):
    """The files of a role, but those for another scale, by what both files of a pair have
    in common: dict to lists of (path, `Place`)."""
    index = collections.defaultdict(list)
    for path, place in files:
        stem, own_scale = read_file(path, role, depth)
        if (own_scale or place.scale) in (None, scale):
            parts = (*place.rest, stem)
            key = tuple(map(_plain, parts)) if depth > 1 else parts
            index[key].append((path, place))
    return index


def read_file(path, role, depth):
    """What a file has in common with its partner by name, one of `DEPTHS`, and the scale in
    what is left out of the name, or None."""
    match = FILE.fullmatch(path.stem)
    before, after = match["before"], match["after"]
    if depth == 3 and (role == "LR" or match["role"]):
        return match["stem"], int(before or after or 0) or None
    if depth == 2 and role == "LR" and before and not after:
        return match["stem"], int(before)
    if match["role"] and (depth == 2 or depth == 1 and not after):
        return path.stem[: match.start("role") - 1], int(after or 0) or None
    return path.stem, None


def _plain(name):
    """A name without what disks may spell differently: case, composed letters."""
    return unicodedata.normalize("NFC", name.casefold())


# --- LR that is not named as such -----------------------------------------------------


def _refuse_namesakes(hr, neither):
    """Refuses pictures beside a folder HR that are called like those in it."""
    known = {_plain(FILE.fullmatch(path.stem)["stem"]): path for path, _ in hr}
    for path, _ in neither:
        if other := known.get(_plain(FILE.fullmatch(path.stem)["stem"])):
            raise ValueError(
                f"{path} is called like {other}, but not as its LR picture: {EXPECTED}. If "
                "it is something else, move its folder elsewhere."
            )


def _refuse_copies(paths, scale):
    """Refuses pictures that are copies of others with much the same name, as LR is.

    Those are small ones, and where the scale is 1 also those of the same size, as noisy
    or blurred ones are.
    """
    by_name = collections.defaultdict(list)
    for path in paths:
        by_name[_without_copy_words(path)].append(path)
    namesakes = [paths for paths in by_name.values() if len(paths) > 1]
    runs = [run for paths in spread(namesakes, 5) for run in _neighbours(paths)]
    least = 2 if scale > 1 else 1
    candidates = []
    for paths in runs:
        sizes = {path: size for path in paths if (size := _size_of(path))}
        candidates += [
            (small, large)
            for small, large in itertools.permutations(sizes, 2)
            if (times := round(sizes[large][0] / sizes[small][0])) >= least
            # Where the sides cannot be divided, some round down and some up.
            and all(
                abs(side - times * part) < times
                for side, part in zip(sizes[large], sizes[small])
            )
        ]
    for small, large in spread(candidates, 10):
        if _is_copy(small, large):
            raise ValueError(
                f"{small} is a copy of {large}, as LR is of HR: {EXPECTED}. If it is not an LR "
                "picture, move it elsewhere."
            )


def _neighbours(paths):
    """Some of many paths, in short lists of those in folders of the same name, as the
    frames of one clip are."""
    paths = sorted(paths, key=lambda path: (path.parts[-2::-1], path.name))
    return spread([paths[start : start + 4] for start in range(0, len(paths), 4)], 5)


def _without_copy_words(path):
    """What a picture and its copies have in common by name. Other pictures may, too."""
    name = re.sub(r"(?i)x\d+", " ", unicodedata.normalize("NFC", path.stem))
    words = [_plain(word) for word in NAME_WORD.findall(name)]
    return tuple(word for word in words if word not in COPY_WORDS)


def spread(items, count):
    """At most so many of the items, spread evenly over them."""
    numbers = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[number] for number in numbers]


def _size_of(path):
    """Width and height, or None where decoding will report what is wrong."""
    try:
        return size_and_frames(path)[:2]
    except ValueError:
        return None


def _is_copy(small, large):
    """Whether one looks like the other and is not the same."""
    try:
        pictures = [read_image(path) for path in (small, large)]
    except ValueError:
        return False
    if np.array_equal(*pictures):
        return False
    images = [Image.fromarray(pixels).convert("L") for pixels in pictures]
    size = [min(32, side) for side in images[0].size]
    tiny = [np.float64(image.resize(size, Image.Resampling.BOX)) for image in images]
    one, other = (pixels - pixels.mean() for pixels in tiny)
    energy = np.sqrt(np.mean(one**2) * np.mean(other**2))
    return np.mean(one * other) > 0.9 * energy > 0

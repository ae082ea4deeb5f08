"""Where pictures come from: a registry of datasets, or a folder of your own.

A new dataset is one function that gives its splits, and one line in `DATASETS`.
"""

import functools
import os
import pathlib
import shutil
import tempfile
import zlib

import keras
import matplotlib.cbook

from core import folders
from core.files import cache_folder, expand_home
from core.folders import TRACKS, pair_files
from core.leaves import draw_files
from core.pairs import Pair
from core.sources import (
    Example,
    Source,
    assign_degradations,
    source_of_files,
    splits_of_files,
)

# Drawn pictures: how many for each split, and the side of each in pixels.
LEAVES = {"train": 300, "validation": 20}
LEAVES_SIZE = 512

BSDS500_URL = (
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/"
    "BSR_bsds500.tgz"
)


def find_splits(dataset, scale, degradations):
    """Finds the splits of a dataset.

    Args:
        dataset, scale: as for `data.load`.
        degradations: tuple of names, which take turns from picture to picture.

    Returns:
        dict from the name of each split to a function that gives its `Source`.

    Raises:
        ValueError: as `data.load`.
    """
    if not dataset:
        raise ValueError(
            'DATASET is empty: set it to a built-in dataset or to a folder, which is "." '
            "if you mean the one you are in."
        )
    if dataset in DATASETS:
        _refuse_two_meanings(dataset)
        return DATASETS[dataset](scale, degradations)
    folder = expand_home(dataset)
    if not os.path.isdir(folder):  # unlike Path's, of any name
        if folder.is_file():
            raise ValueError(
                f"DATASET = {dataset!r} is a file: name the folder that it lies in, or if "
                "it is an archive, unpack it and name that folder."
            )
        known = ", ".join(f'"{name}"' for name in DATASETS)
        raise ValueError(
            f"DATASET = {dataset!r} is neither a folder nor one of the built-in "
            f"datasets {known}: docs/datasets.md says where to get others."
        )
    return folders.find_splits(folder, scale, degradations)


def _refuse_two_meanings(dataset):
    """Refuses the name of a built-in dataset where a folder of pictures here has it, too.

    TFDS' own folder div2k, if it is here, has no pictures in it. Names are compared as
    the disk spells them: where upper and lower case are the same, BSDS500 is not "bsds500".
    """
    here = [path for path in pathlib.Path().glob("*") if path.name == dataset]
    if any(path.is_dir() and folders.has_pictures(path) for path in here):
        raise ValueError(
            f"DATASET = {dataset!r} is a built-in dataset, and {dataset} is a folder of "
            f'pictures here, too: set DATASET = "./{dataset}" for the folder, or give it '
            "another name for the built-in dataset."
        )


def _refuse_tracks(dataset, degradations):
    """Refuses DIV2K's own degradations, before anything is fetched or drawn."""
    assign_degradations([Pair(dataset, None)] * len(degradations), degradations)


def is_same(dataset, other):
    """Whether two values of DATASET mean the same: "photos", "photos/" and "./photos" do;
    the built-in "leaves" and the folder "./leaves" do not."""
    places = [
        name if name in DATASETS else expand_home(name).resolve()
        for name in (dataset, other)
    ]
    return places[0] == places[1]


def scored_split(splits):
    """The split to report scores on: test pictures, otherwise those held out.

    Args:
        splits: dict as `find_splits` gives.

    Returns:
        `"test"` or `"validation"`.
    """
    return "test" if "test" in splits else "validation"


# --- DIV2K and flowers, through TFDS ----------------------------------------------------


def _open_div2k(scale, degradations):
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
    def examples():
        for turn, degradation in enumerate(degradations):
            pictures = _tfds_pictures(builders[degradation], split)
            for number, picture in enumerate(pictures):
                # By content, since TFDS orders each configuration its own way.
                if zlib.crc32(picture["hr"]) % len(degradations) == turn:
                    lr = picture["lr"] if degradation in TRACKS else None
                    name = f"div2k/{degradation} {split} {number}"
                    read = functools.partial(tuple, (picture["hr"], lr))
                    yield Example(name, read, degradation)

    infos = [builders[degradation].info for degradation in degradations]
    size = sum(info.splits[split].num_bytes for info in infos) // len(infos)
    key = [(info.full_name, split, degradations) for info in infos]
    count = infos[0].splits[split].num_examples
    ways = " and ".join(degradations)
    found = f"pictures from TFDS' div2k, LR: {ways}"
    return Source(examples, count, key, 2 * size, found)  # PNG halves photographs


def _open_flowers(scale, degradations):
    """TFDS' tf_flowers, its first 600 held out."""
    _refuse_tracks("flowers", degradations)
    builder = _prepare("tf_flowers", "flowers")
    splits = {"train": "train[600:]", "validation": "train[:600]"}
    return {
        name: functools.partial(_flowers_source, builder, split, degradations)
        for name, split in splits.items()
    }


def _flowers_source(builder, split, degradations):
    def examples():
        for number, picture in enumerate(_tfds_pictures(builder, split)):
            degradation = degradations[number % len(degradations)]
            read = functools.partial(tuple, (picture["image"], None))
            yield Example(f"tf_flowers {split} {number}", read, degradation)

    count = builder.info.splits[split].num_examples
    every = builder.info.splits["train"]  # a part of it does not know its bytes
    size = 4 * every.num_bytes * count // every.num_examples
    key = (builder.info.full_name, split, degradations)
    found = f"pictures from TFDS' tf_flowers, LR made with {' and '.join(degradations)}"
    return Source(examples, count, key, size, found, leave_out_small=True)


def tfds_builder(name, **kwargs):
    """TFDS' own builder of a dataset."""
    import tensorflow_datasets as tfds  # takes seconds, so only where it is used

    return tfds.builder(name, **kwargs)


def _prepare(name, arguments):
    """Downloads and prepares a TFDS dataset once, as data.py does with `arguments`."""
    try:
        builder = tfds_builder(name)
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its downloader does
        raise ValueError(
            f"{name} could not be fetched ({error}). Fetch it where there is a network, "
            f"with `python data.py {arguments}`; or set DATASET to a folder with the "
            "pictures (DIV2K: the unpacked zips of https://data.vision.ee.ethz.ch/cvl/DIV2K/)"
            ', or DATASET = "leaves".'
        ) from error
    return builder


def _tfds_pictures(builder, split):
    """The features of each picture, as TFDS gives them: dicts of arrays."""
    try:
        dataset = builder.as_dataset(split=split, shuffle_files=False)
        yield from dataset.as_numpy_iterator()
    except Exception as error:  # of TensorFlow, of TFDS, or of the disk
        name = f"{builder.info.full_name} {split}"
        raise ValueError(f"{name} cannot be read: {error}") from error


# --- BSDS500, fetched, and leaves, drawn into the Keras cache --------------------------


def _open_bsds500(scale, degradations):
    """BSDS500. Its official val is what the super-resolution papers call BSD100."""
    _refuse_tracks("bsds500", degradations)
    official = {"train": "train", "validation": "test", "test": "val"}
    folder = _fetch_bsds500()
    splits = {
        split: pair_files(folder / name, scale) for split, name in official.items()
    }
    return splits_of_files(splits, degradations)


def _fetch_bsds500():
    """Downloads and unpacks BSDS500 once, and again if the archive is incomplete."""
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


def _open_leaves(scale, degradations):
    _refuse_tracks("leaves", degradations)
    name = "grace_hopper.jpg"
    photograph = matplotlib.cbook.get_sample_data(name, asfileobj=False)
    test = {"test": [Pair(pathlib.Path(photograph), None)]}

    def drawn(split):
        pairs = pair_files(_draw_leaves_folder(split), scale)
        return source_of_files(assign_degradations(pairs, degradations))

    splits = {split: functools.partial(drawn, split) for split in LEAVES}
    return {**splits, **splits_of_files(test, degradations)}


def _draw_leaves_folder(split):
    """Draws the pictures of a split that are missing in the Keras cache."""
    # A change to the drawing needs a new number, so that nobody trains on old pictures.
    folder = cache_folder() / f"leaves_v3_{LEAVES_SIZE}" / split
    # A second number, so that no picture of validation is one of training.
    seeds = {
        folder / f"{number:04}.png": [number, list(LEAVES).index(split)]
        for number in range(1, LEAVES[split] + 1)
    }
    missing = {path: seed for path, seed in seeds.items() if not path.exists()}
    if missing:
        print(f"Drawing {len(missing)} pictures of dead leaves into {folder}")
        progress = keras.utils.Progbar(len(missing), unit_name="picture")
    for _ in draw_files(missing, LEAVES_SIZE):
        progress.add(1)
    return folder


DATASETS = {
    "leaves": _open_leaves,
    "div2k": _open_div2k,
    "bsds500": _open_bsds500,
    "flowers": _open_flowers,
}

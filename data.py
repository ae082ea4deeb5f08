"""Datasets of (LR, HR) pairs, and endless batches of patches cut from them.

Pictures are uint8 RGB, 0 to 255. The low-resolution picture (LR) of a pair is made from
the high-resolution one (HR), by default with MATLAB's bicubic as in the papers, or comes
with the dataset.

    pairs = data.load("leaves", "train", scale=4)      # tf.data.Dataset of whole pictures
    batches = data.training_batches(pairs, scale=4)    # endless tf.data.Dataset of patches

As a command, `python data.py div2k` fetches and prepares a dataset, and draws some of it.
"""

import argparse
import os
import sys
import warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import settings

if __name__ == "__main__":
    settings.start_command()  # before the imports that take seconds

import numpy as np
import tensorflow as tf

import drawings
import hardware
from core import datasets, decoded, folders, sources
from core.alignment import find_oddities
from core.degradations import DEGRADATIONS, SHRINKING, as_on_the_web
from core.files import expand_home
from core.images import read_image
from core.leaves import draw_leaves
from core.pixels import bicubic_resize, luma

__all__ = [
    "load",
    "load_splits",
    "training_batches",
    "validation_batches",
    # For notebooks:
    "bicubic_resize",
    "draw_leaves",
    "luma",
    "read_image",
]

SPLITS = "train", "validation", "test", "scored", "all"


# --- Datasets -------------------------------------------------------------------------


def load(dataset, split, scale, degradation="bicubic", smallest=1):
    """Loads whole pictures as (LR, HR) pairs.

    Large datasets are decoded once into the Keras cache, and read from there by this and
    all later runs (`decoded.MEMORY_LIMIT`).

    Args:
        dataset: a name or the path of a folder of pictures.
            - `"leaves"`: drawn on first use into the Keras cache; their test picture
              is the photograph that comes with matplotlib.
            - `"div2k"` (Agustsson and Timofte 2017): train and validation, through TFDS.
            - `"bsds500"` (Arbelaez et al. 2011): the official train, test and val as
              train, validation and test, so that "test" is the literature's BSD100.
            - `"flowers"`: TFDS' tf_flowers, its first 600 held out for validation.
            - A folder with `train/` and `validation/` (or `val/`, `valid/`) inside, or with
              the folders of DIV2K's zips, or with neither: then a tenth of it, chosen by
              name, is held out for validation, and a subfolder is kept together. `test/`
              may lie beside any of these. LR pictures are taken from the folder where
              there are folders such as `HR/` and `LR/` in it, or files named `*_HR.*` and
              `*_LR.*`.
        split: `"train"`, `"validation"`, `"test"` where there is one; `"scored"`, the
            pictures to report scores on: test pictures where there are some, otherwise
            those of validation; or `"all"`, every picture of a flat folder, to score a
            network on a benchmark.
        scale: integer factor between LR and HR. HR is cropped to a multiple of it.
        degradation: how LR is made where the dataset does not bring it: one of
            `DEGRADATIONS`; for DIV2K one of `core.folders.TRACKS`, its own; or several,
            as a tuple or "bicubic,web", which take turns from picture to picture.
        smallest: side in pixels that all LR pictures must have, such as that of the
            patches. Smaller ones are left out of `"flowers"`, and an error elsewhere.

    Returns:
        A `tf.data.Dataset` of uint8 RGB pairs (LR [h, w, 3], HR [h*scale, w*scale, 3]),
        in the order of their file names, or of TFDS, with known cardinality.

    Raises:
        ValueError: for an unknown name, a built-in name that is also a folder here, a
            folder that is missing or empty, a split that is not there, a picture that
            cannot be read or is too small, to be scored or for `smallest`, or a pair that
            does not fit, naming it; or for a download that fails, naming the way out.
        OSError: if drawn or decoded pictures cannot be written into the Keras cache.
    """
    if split not in SPLITS:
        raise ValueError(f"split = {split!r} is not one of {', '.join(SPLITS)}.")
    splits = _find_splits(dataset, scale, degradation)
    asked = split
    if asked == "scored":
        split = datasets.scored_split(splits)
    (source,) = _open(splits, dataset, scale, [split]).values()
    if (asked, split) == ("scored", "validation") and "all" in splits:
        print(
            "Only the pictures that training on this folder holds out are scored. To "
            'score all of them: split "all" (--split all).'
        )
    return _load(splits, source, dataset, split, scale, smallest)


def load_splits(dataset, scale, degradation="bicubic", patch_size=1, noise=0.0):
    """Loads what a training needs, and prints what there is.

    Args:
        dataset, scale, degradation: as for `load`.
        patch_size: side in pixels that LR pictures to train on and to validate must have.
        noise: as for `training_batches`. At scale 1, where LR would equal HR, pictures to
            validate and to score get this noise, too.

    Returns:
        Three datasets as from `load`: to train on, to pick the best network, to report
        scores on.

    Raises:
        ValueError, OSError: as `load`; ValueError if LR would equal HR.
    """
    splits = _find_splits(dataset, scale, degradation)
    scored = datasets.scored_split(splits)
    unchanged = scale == 1 and {*_tuple_of(degradation)} <= {*SHRINKING}
    if unchanged and not noise:
        # Before any pictures are drawn; the scored ones first, as those never are.
        _check_that_lr_is_there(splits, (scored, "validation", "train"), degradation)
    opened = _open(splits, dataset, scale, ["train", "validation", scored])
    train, validation = (
        _load(splits, opened[split], dataset, split, scale, patch_size)
        for split in ("train", "validation")
    )
    test = validation
    # Of flowers, pictures smaller than a patch are scored, too.
    if scored == "test" or opened[scored].leave_out_small:
        test = _load(splits, opened[scored], dataset, scored, scale, 1)
    print(
        f"Pictures for x{scale}: train {len(train)}, validate {len(validation)}, score "
        f"{len(test)}"
    )
    if scored != "test":
        print(f"{dataset} has no test pictures: those to validate on are scored.")
    _warn_of_scores(train, validation, test)
    if unchanged and noise:
        validation, test = (
            pairs if _brings_lr(opened[split]) else decoded.with_noise(pairs, noise)
            for split, pairs in (("validation", validation), (scored, test))
        )
    return train, validation, test


def _warn_of_scores(train, validation, test):
    """Says where the scores will mean little: few pictures, or known ones."""
    if len(validation) < 4:
        print(
            "With so few pictures to validate on, it is partly chance which epoch counts as "
            "the best. Ten or more are better, in a folder validation/ beside train/."
        )
    duplicates = {
        scored: trained
        for pairs in (validation, test)
        for scored, trained in decoded.find_duplicates(pairs, train).items()
    }
    if duplicates:
        scored, trained = next(iter(duplicates.items()))
        print(
            f"Warning: {len(duplicates)} of the pictures to score are also trained on, such as "
            f"{scored}, which equals {trained}, so their scores will be too good: remove "
            "them on one side."
        )


def _check_that_lr_is_there(splits, names, degradation):
    """Refuses, at scale 1, splits whose LR would equal HR."""
    for name in names:
        if name in splits and not _brings_lr(splits[name]()):
            raise ValueError(
                f"SCALE = 1 and DEGRADATION = {degradation!r} make LR equal to HR: set "
                'DEGRADATION = "realistic" or NOISE, or DATASET to a folder with LR '
                "pictures of its own."
            )


def _brings_lr(source):
    """Whether pictures come with LR of their own, by the first of them."""
    _, lr = next(iter(source.examples())).read()
    return lr is not None


def _tuple_of(degradation):
    if not isinstance(degradation, (tuple, list)):
        degradation = str(degradation).split(",")
    return tuple(str(name).strip() for name in degradation)


def _find_splits(dataset, scale, degradation):
    degradations = _tuple_of(degradation)
    for name in degradations or [degradation]:
        if name not in (*DEGRADATIONS, *datasets.TRACKS):
            own = [track for track in datasets.TRACKS if track not in DEGRADATIONS]
            raise ValueError(
                f"DEGRADATION = {name!r} is not one of {', '.join(DEGRADATIONS)}, nor, for "
                f"DIV2K, of {', '.join(own)}."
            )
    if not isinstance(scale, (int, np.integer)) or scale < 1:
        raise ValueError(f"SCALE = {scale!r} is not a whole number above 0.")
    hardware.keep_tensorflow_off_gpu()
    splits = datasets.find_splits(str(dataset), scale, degradations)
    changing = tuple(name for name in degradations if name not in SHRINKING)
    if scale == 1 and 0 < len(changing) < len(degradations):
        # LR that equals HR teaches to leave clean pictures alone, but scores nothing.
        scored = datasets.find_splits(str(dataset), scale, changing)
        splits |= {name: scored[name] for name in scored if name != "train"}
    return splits


def _open(splits, dataset, scale, names):
    """Opens splits that were found: dict from their names to `sources.Source`.

    Prints what they are, and what is odd about a few of their pairs.
    """
    for split in names:
        if split in splits:
            continue
        if list(splits) == ["all"]:
            raise ValueError(
                f"{dataset} needs two pictures or more, of different names, since one is "
                "held out: add some, or score networks on all there are with compare.py "
                "--split all."
            )
        known = ", ".join(f'"{name}"' for name in splits)
        way_out = (
            f"a folder of pictures needs {split}/ beside them (DIV2K's zips: "
            "DIV2K_train_HR/ and DIV2K_valid_HR/)"
        )
        if split == "all":
            way_out = "it is for a folder that is not split, such as a benchmark"
        raise ValueError(
            f'{dataset} has no "{split}" pictures, only {known}: {way_out}.'
        )
    opened = {split: splits[split]() for split in dict.fromkeys(names)}
    label = f"{dataset}, {names[0]}" if len(names) == 1 else dataset
    print(*sources.describe(label, opened), sep="\n")
    pairs = [pair for source in opened.values() for pair in source.pairs]
    for sentence in find_oddities(pairs, scale):
        print(f"Warning: {sentence}")
    return opened


def _load(splits, source, dataset, split, scale, smallest):
    """Decodes one of the splits that were opened."""
    needed = 1 if source.leave_out_small else smallest
    pictures, problems = decoded.decode(source, scale, needed)
    if problems and split != "all":
        problems += _problems_elsewhere(splits, split, scale, needed)
    decoded.refuse(problems)
    if source.leave_out_small:
        pictures = decoded.leave_out_small(pictures, smallest, dataset)
    else:
        decoded.check_sizes(pictures, smallest)
    if split in (datasets.scored_split(splits), "all"):
        decoded.check_scorable(pictures, scale)
    return decoded.as_dataset(pictures)


def _problems_elsewhere(splits, split, scale, smallest):
    """What is wrong with pictures of the other splits, so that all is found at once."""
    return [
        problem
        for name in splits.keys() - {split, "all"}
        for problem in decoded.find_problems(
            splits[name](), scale, 1 if name == "test" else smallest
        )
    ]


# --- Batches --------------------------------------------------------------------------


def training_batches(
    pairs, scale, patch_size=48, batch_size=16, noise=0.0, seed=0, first_step=0
):
    """Cuts random patches: an endless stream of training batches.

    Each patch comes from a random place of a random picture, in one of the eight
    rotations and flips of the square, the same for LR and HR. What a step gets depends
    only on `seed` and its number, so a resumed run gets the batches that it would have
    seen. Where `load` made LR with the degradation "web", each patch is degraded anew, but
    not where a method such as `take` made another dataset of the pairs.

    Args:
        pairs: `tf.data.Dataset` from `load`, or any of uint8 (LR, HR) pictures.
        scale: integer factor between LR and HR.
        patch_size: side of the LR patches in pixels.
        batch_size: patches in a batch.
        noise: standard deviation, in grey levels, of Gaussian noise put on LR.
        seed: int.
        first_step: number of the first batch.

    Returns:
        An endless `tf.data.Dataset` of uint8 (LR [batch, patch, patch, 3],
        HR [batch, patch*scale, patch*scale, 3]).

    Raises:
        ValueError: for a picture smaller than a patch, naming it, pairs that do not fit
            the scale, or other arguments that are impossible.
    """
    _check_whole(scale=scale, patch_size=patch_size, batch_size=batch_size)
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise = {noise} must be finite, 0 or more.")
    hardware.keep_tensorflow_off_gpu()
    pictures = decoded.pictures_of(pairs, scale)
    decoded.check_sizes(pictures, patch_size)
    # Patches that are degraded anew are cut larger and trimmed at a random place, so that
    # the 8x8 blocks of JPEG do not always start in their corner.
    margin = 0
    if np.any(pictures.redrawn):
        margin = min(8, int(tf.reduce_min(pictures.sizes)) - patch_size)

    def batch(step):
        seeds = tf.random.split([tf.constant(seed, tf.int64), step], 4)
        draw = tf.random.stateless_uniform
        number = draw([batch_size], seeds[0], 0, len(pictures.names), tf.int64)
        size = tf.gather(pictures.sizes, number)
        side = patch_size + margin
        room = tf.cast(size - side + 1, tf.float64)
        corner = draw([batch_size, 2], seeds[1], dtype=tf.float64) * room
        corner = tf.cast(corner, tf.int64)
        turn = draw([3, batch_size, 1], seeds[2], 0, 2, tf.int32) == 1
        first, width = tf.gather(pictures.first_lr, number), size[:, 1]
        first_hr = tf.gather(pictures.first_hr, number)
        lr = _cut(pictures.lr, first, width, corner, side, turn)
        hr = _cut(
            pictures.hr, first_hr, scale * width, scale * corner, scale * side, turn
        )
        if np.any(pictures.redrawn):
            redrawn = tf.gather(pictures.redrawn, number)
            lr, hr = _degrade_anew(lr, hr, redrawn, patch_size, [seed, step])
        if noise:
            lr = decoded.add_noise(lr, noise, seeds[3])
        return lr, hr

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    batches = steps.map(batch, tf.data.AUTOTUNE)
    return hardware.own_share(batches).prefetch(tf.data.AUTOTUNE)


def _check_whole(**values):
    for name, value in values.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} = {value!r} must be a whole number, 1 or more.")


def _degrade_anew(lr, hr, redrawn, patch_size, seed):
    """Makes new LR patches of those that are marked, and cuts away the margin: patches
    [batch, patch + margin, ...] become [batch, patch, ...]."""
    scale = hr.shape[1] // lr.shape[1]

    def degrade(lr, hr, redrawn, seed):
        small, large = [], []
        for number, again in enumerate(redrawn):
            # A seed may be negative, which TensorFlow takes and NumPy does not.
            rng = np.random.default_rng(np.uint64([*seed.view(np.uint64), number]))
            part, side = lr[number], lr.shape[1]
            if again:
                part = as_on_the_web(hr[number], side, side, rng)
            y, x = rng.integers(0, side - patch_size, 2, endpoint=True)
            small.append(part[y:, x:][:patch_size, :patch_size])
            y, x, size = scale * y, scale * x, scale * patch_size
            large.append(hr[number, y:, x:][:size, :size])
        return np.stack(small), np.stack(large)

    arguments = [lr, hr, redrawn, tf.stack(seed)]
    lr, hr = tf.numpy_function(degrade, arguments, [tf.uint8, tf.uint8])
    shape = [redrawn.shape[0], patch_size, patch_size, 3]
    hr_shape = [redrawn.shape[0], scale * patch_size, scale * patch_size, 3]
    return tf.ensure_shape(lr, shape), tf.ensure_shape(hr, hr_shape)


def _cut(pixels, first, width, corner, size, turn):
    """Gathers squares out of the pixels of many pictures: uint8 [batch, size, size, 3].

    The turns happen on the way: `turn` says for each square whether its rows are
    reversed, its columns are reversed, and the two exchanged.
    """
    along = tf.range(size, dtype=tf.int64)
    down = tf.where(turn[0], along[::-1], along) * width[:, None]
    right = tf.where(turn[1], along[::-1], along)
    rows, columns = tf.where(turn[2], right, down), tf.where(turn[2], down, right)
    start = first + corner[:, 0] * width + corner[:, 1]
    index = start[:, None, None] + rows[:, :, None] + columns[:, None, :]
    return tf.gather(pixels, index)


def validation_batches(pairs, scale, patch_size=48, batch_size=16):
    """Cuts the centre of every picture, all of one size, so that nothing recompiles.

    Args:
        pairs: `tf.data.Dataset` from `load`, or any of uint8 (LR, HR) pictures.
        scale: integer factor between LR and HR.
        patch_size: side of the LR crops in pixels; less if a picture is smaller.
        batch_size: crops in a batch at most. All batches are equal and no picture is
            dropped, unless several devices share them: then the last few are, if the
            number of pictures is not a multiple of that of the devices.

    Returns:
        A `tf.data.Dataset`, one pass over the pictures, as from `training_batches`.

    Raises:
        ValueError: if there are fewer pictures than devices, pairs do not fit the scale,
            or another argument is not a whole number.
    """
    _check_whole(scale=scale, patch_size=patch_size, batch_size=batch_size)
    hardware.keep_tensorflow_off_gpu()
    pictures = decoded.pictures_of(pairs, scale)
    size = min(patch_size, int(tf.reduce_min(pictures.sizes)))

    def centre(lr, hr):
        corner = (tf.shape(lr)[:2] - size) // 2
        lr = tf.image.crop_to_bounding_box(lr, *tf.unstack(corner), size, size)
        y, x = tf.unstack(corner * scale)
        hr = tf.image.crop_to_bounding_box(hr, y, x, size * scale, size * scale)
        return lr, hr

    replicas = hardware.num_replicas()
    per_device = len(pictures.names) // replicas
    if not per_device:
        raise ValueError(
            f"{replicas} devices need as many validation pictures, not "
            f"{len(pictures.names)}: add some, or train on fewer devices."
        )
    largest = max(1, batch_size // replicas)
    at_once = max(n for n in range(1, largest + 1) if per_device % n == 0)
    crops = decoded.as_dataset(pictures).map(centre, tf.data.AUTOTUNE)
    crops = crops.take(per_device * replicas)
    batches = crops.batch(at_once * replicas, drop_remainder=True)
    return hardware.own_share(batches).cache()


# --- As a command ----------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(
        description="Fetches and prepares a dataset, and draws some of its pairs."
    )
    parser.add_argument("dataset", help="leaves, div2k, bsds500, flowers, or a folder")
    parser.add_argument(
        "--scale", type=int, default=4, help="how many times larger HR is than LR (4)"
    )
    parser.add_argument(
        "--degradation",
        default="bicubic",
        help="how LR is made; several alternate: a,b",
    )
    parser.add_argument(
        "--output", type=settings.path, default="results", help="folder for the picture"
    )
    options = parser.parse_args()
    name = expand_home(options.dataset).resolve().name
    picture = options.output / f"pairs_{name}_x{options.scale}.png"
    warnings.filterwarnings("ignore", module="PIL")  # whose warnings name no file
    try:
        splits = _find_splits(options.dataset, options.scale, options.degradation)
        names = ["train", "validation", *(["test"] if "test" in splits else [])]
        if "test" in splits and "train" not in splits:  # a benchmark
            names = ["test"]
        opened = _open(splits, options.dataset, options.scale, names)
        files = [pair.hr for source in opened.values() for pair in source.pairs]
        folders.refuse_output_among(options.dataset, files, options.output)
        for split, source in opened.items():
            pairs = _load(splits, source, options.dataset, split, options.scale, 1)
            print(f"{split}: {len(pairs)} pictures")
            if split == names[0]:
                first = list(pairs.take(9).as_numpy_iterator())
                drawings.draw_pairs(first, picture)
    except (ValueError, OSError) as error:
        sys.exit(f"data.py: {error}")
    print(f"{options.dataset} is ready; some of its pairs are in {picture}")


if __name__ == "__main__":
    main()

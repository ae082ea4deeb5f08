"""Images in: datasets of (LR, HR) pairs, and endless batches of patches cut from them.

Pictures are uint8 RGB, 0 to 255. The low-resolution picture of a pair is made with
MATLAB's bicubic, as in the papers, or comes with the dataset.

    pairs = data.load("leaves", "train", scale=4)      # tf.data.Dataset of whole pictures
    batches = data.training_batches(pairs, scale=4)    # endless tf.data.Dataset of patches

As a command, `python data.py div2k` fetches and prepares a dataset, and draws some of it.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import io
import os
import pathlib
import shutil
import sys
import tempfile
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import hardware
import sources

# Some of these are here for those who import data: draw_leaves, luma, read_image.
from leaves import draw_leaves
from pixels import DEGRADATIONS, bicubic_resize, degrade, luma
from sources import TRACKS, named_errors, read_image, whole_file

# More decoded pixels than this many bytes are kept in a file instead of in memory.
MEMORY_LIMIT = 5e8
# A change to how LR pictures are made takes a new number, lest files of before are used.
DECODING = 1

# Names that the terminal cannot show are printed as escapes, instead of ending a run.
if hasattr(sys.stdout, "reconfigure"):  # Jupyter's is different
    sys.stdout.reconfigure(errors="backslashreplace")

if keras.backend.backend() == "jax":  # which has the GPU; tf.data needs none
    tf.config.set_visible_devices([], "GPU")

# Decoded pictures, one after the other: names and LR sizes [n, 2] of each, the numbers
# of its first LR and HR pixel, and all pixels as uint8 tensors [pixels, 3].
Pictures = collections.namedtuple("Pictures", "names sizes first_lr first_hr lr hr")


# --- Datasets -------------------------------------------------------------------------


def load(dataset, split, scale, degradation="bicubic", smallest=1):
    """Loads whole pictures as (LR, HR) pairs.

    What is more than `MEMORY_LIMIT` bytes when decoded is decoded once into the Keras
    cache, and read from there by this and all later runs.

    Args:
        dataset: a name or the path of a folder of pictures.
            - `"leaves"`: drawn on first use into the Keras cache; their test picture
              is the photograph that comes with matplotlib.
            - `"div2k"` (Agustsson and Timofte 2017): train and validation, through TFDS.
            - `"bsds500"` (Arbelaez et al. 2011): the official train, test and val as
              train, validation and test, so that "test" is the literature's BSD100.
            - `"flowers"`: TFDS' tf_flowers, its first 600 held out for validation.
            - A folder with `train/` and `validation/` (or `val/`) inside, or with the
              folders of DIV2K's zips, or flat: then a tenth of it, chosen by file name,
              is held out for validation. `test/` may lie beside any of these. LR
              pictures are taken from the folder where there are `HR/` and `LR/` folders
              in it, or files named `*_HR.*` and `*_LR.*`.
        split: `"train"`, `"validation"`, `"test"` where there is one, or `"all"`, every
            picture of a flat folder, to score a network on a benchmark.
        scale: integer factor between LR and HR. HR is cropped to a multiple of it.
        degradation: how LR is made where the dataset does not bring it: one of
            `DEGRADATIONS`; for DIV2K one of `TRACKS`, its own; or a tuple of several,
            which take turns from picture to picture.
        smallest: side in pixels that all LR pictures must have, for instance that of
            the patches; what is smaller is left out of `"flowers"`, else an error.

    Returns:
        A `tf.data.Dataset` of uint8 RGB pairs (LR [h, w, 3], HR [h*scale, w*scale, 3]),
        in the order of their file names, with known cardinality.

    Raises:
        ValueError: for an unknown name, a folder that is missing or empty, a split that
            is not there, a picture that cannot be read or is too small, to be scored
            or for `smallest`, or a pair that does not fit, naming it; or for a download
            that fails, naming the way out.
        OSError: if drawn or decoded pictures cannot be written into the Keras cache.
    """
    several = isinstance(degradation, (tuple, list))
    degradations = tuple(degradation) if several else (degradation,)
    for name in degradations:
        if name not in (*DEGRADATIONS, *TRACKS):
            known = ", ".join(dict.fromkeys((*DEGRADATIONS, *TRACKS)))
            raise ValueError(f"DEGRADATION = {name!r} is not one of {known}.")
    if not isinstance(scale, (int, np.integer)) or scale < 1:
        raise ValueError(f"SCALE = {scale!r} is not a whole number above 0.")
    splits = sources.find_splits(str(dataset), scale, degradations)
    if split not in splits:
        if list(splits) == ["all"]:
            raise ValueError(f"{dataset} needs two pictures or more: one is held out.")
        known = ", ".join(f'"{name}"' for name in splits)
        raise ValueError(
            f'{dataset} has no "{split}" pictures, only {known}: a folder of pictures '
            f"needs {split}/ beside them (DIV2K's zips: DIV2K_train_HR/ and "
            "DIV2K_valid_HR/)."
        )
    source, bad = splits.pop(split)(), []
    needed = 1 if dataset == "flowers" else smallest
    if source.size <= MEMORY_LIMIT:
        pictures = _write_to_memory(_decode(source, scale, needed, bad))
    else:
        pictures = _write_to_cache(source, scale, needed, bad)
    if bad and split != "all":  # so that all of them are found at once
        for name in splits.keys() - {"all"}:
            side = 1 if name == "test" else needed
            collections.deque(_decode(splits[name](), scale, side, bad), maxlen=0)
    _refuse(bad)
    if dataset == "flowers":
        pictures = _leave_out_small(pictures, smallest)
    else:
        _check_sizes(pictures, smallest)
    if split in ("test" if _has_test(dataset) else "validation", "all"):
        _check_scorable(pictures, scale)
    return _as_dataset(pictures, scale)


def _leave_out_small(pictures, smallest):
    """The pictures whose LR picture is not smaller than a patch."""
    large = np.flatnonzero(np.min(pictures.sizes, axis=1) >= smallest)
    if not large.size:
        raise ValueError(
            f"No picture of flowers has {smallest}x{smallest} pixels in low resolution: "
            "lower PATCH_SIZE or SCALE."
        )
    if left_out := len(pictures.names) - large.size:
        print(f"{left_out} pictures are smaller than a patch and left out.")
    with tf.device("CPU:0"):
        numbers = [tf.gather(column, large) for column in pictures[1:4]]
    return Pictures([pictures.names[n] for n in large], *numbers, *pictures[4:])


def _check_scorable(pictures, scale):
    """Refuses pictures in which the window of SSIM has no place, before hours are spent."""
    side = 11 + 2 * scale
    sizes = zip(pictures.names, scale * pictures.sizes.numpy())
    _refuse(
        [
            f"{name} is {width}x{height} pixels, too small to be scored with SCALE = "
            f"{scale}, which takes {side}x{side}: remove it."
            for name, (height, width) in sizes
            if min(height, width) < side
        ]
    )


def _check_sizes(pictures, smallest):
    pairs = zip(pictures.names, pictures.sizes.numpy())
    too_small = [_too_small(name, *size, smallest) for name, size in pairs]
    _refuse([sentence for sentence in too_small if sentence])


def _too_small(name, height, width, smallest):
    """What is to be said of an LR picture, if it is smaller than a patch."""
    if min(height, width) < smallest:
        return (
            f"{name} is {width}x{height} pixels in low resolution, less than PATCH_SIZE "
            f"= {smallest}: remove it or lower PATCH_SIZE."
        )


def _refuse(bad):
    """Raises a ValueError of all that was said about bad pictures, if anything was."""
    if len(bad) > 1:
        bad = [f"{len(bad)} pictures cannot be used:", *sorted(bad)]
    if bad:
        raise ValueError("\n".join(bad))


def scored_split(dataset):
    """The split to report scores on.

    Args:
        dataset: as for `load`.

    Returns:
        `"test"`, or `"validation"` for a dataset without test pictures, which is said.
    """
    if _has_test(dataset):
        return "test"
    print(f"{dataset} has no test pictures: the scores are those of the validation.")
    return "validation"


def _has_test(dataset):
    built_in = {"leaves": True, "bsds500": True, "div2k": False, "flowers": False}
    folder = pathlib.Path(dataset).expanduser()
    return built_in.get(str(dataset), (folder / "test").is_dir())


def _as_dataset(pictures, scale):
    def pair(number):
        h, w = tf.unstack(pictures.sizes[number])
        first_lr, first_hr = pictures.first_lr[number], pictures.first_hr[number]
        lr = pictures.lr[first_lr : first_lr + h * w]
        h_hr, w_hr = h * scale, w * scale
        hr = pictures.hr[first_hr : first_hr + h_hr * w_hr]
        return tf.reshape(lr, [h, w, 3]), tf.reshape(hr, [h_hr, w_hr, 3])

    pairs = tf.data.Dataset.range(len(pictures.names)).map(pair)
    pairs.pictures = pictures  # spares training_batches() a second copy
    return pairs


# --- Decoded pictures, in memory or in a file ------------------------------------------


def _write_to_memory(pairs):
    lr, hr = io.BytesIO(), io.BytesIO()
    index = _write(pairs, lr, hr)
    with tf.device("CPU:0"):  # where tf.data works
        pixels = [tf.constant(np.frombuffer(f.getbuffer(), np.uint8)) for f in (lr, hr)]
    return _as_pictures(index, pixels)


def _write_to_cache(source, scale, smallest, bad):
    """Decodes into a folder of the Keras cache, unless a run before has done so; returns
    None, and leaves no folder, if there are bad pictures."""
    content = repr((DECODING, source.key, scale))
    key = hashlib.sha256(content.encode()).hexdigest()[:16]
    folder = sources.cache_folder() / "decoded" / key
    if not folder.exists():
        print(f"Decoding about {source.size / 1e9:.1f} GB of pictures into {folder}")
        progress = keras.utils.Progbar(source.count, unit_name="picture")
        pairs = _decode(source, scale, smallest, bad, progress)
        with named_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            for left in folder.parent.glob("tmp*"):  # by a run that was killed
                if left.stat().st_mtime < time.time() - 24 * 3600:
                    shutil.rmtree(left, ignore_errors=True)
            # Two runs that start at once both write; the first to end is used by both.
            with tempfile.TemporaryDirectory(dir=folder.parent) as part:
                part = pathlib.Path(part) / key
                part.mkdir()
                with open(part / "lr", "wb") as lr, open(part / "hr", "wb") as hr:
                    index = _write(pairs, lr, hr)
                np.savez(part / "index.npz", **index)
                if bad:
                    return None
                try:
                    os.rename(part, folder)
                except OSError:
                    if not folder.exists():
                        raise
    # DLPack spares a copy in memory. Copy on write, since it takes no read-only arrays.
    maps = [np.memmap(folder / name, np.uint8, "c") for name in ("lr", "hr")]
    pixels = [tf.experimental.dlpack.from_dlpack(p.__dlpack__()) for p in maps]
    return _as_pictures(np.load(folder / "index.npz"), pixels)


def _as_pictures(index, pixels):
    with tf.device("CPU:0"):
        lr, hr = (tf.reshape(p, [-1, 3]) for p in pixels)
        numbers = [tf.constant(index[key]) for key in ("sizes", "first_lr", "first_hr")]
    return Pictures([str(name) for name in index["names"]], *numbers, lr, hr)


def _write(pairs, lr_file, hr_file):
    """Writes the pixels of (name, LR, HR) one after the other, and returns the index.

    An HR picture with several LR pictures, as in DIV2K's wild track, is written once.
    """
    names, sizes, first_lr, first_hr, known = [], [], [], [], {}
    for name, lr, hr in pairs:
        names.append(name)
        sizes.append(lr.shape[:2])
        first_lr.append(lr_file.tell() // 3)
        lr_file.write(np.ascontiguousarray(lr))
        hr = np.ascontiguousarray(hr)
        checksum = hashlib.sha256(hr).digest()
        if checksum not in known:
            known[checksum] = hr_file.tell() // 3
            hr_file.write(hr)
        first_hr.append(known[checksum])
    numbers = {"sizes": sizes, "first_lr": first_lr, "first_hr": first_hr}
    return {"names": names, **{k: np.array(v, np.int64) for k, v in numbers.items()}}


def _decode(source, scale, smallest, bad, progress=None):
    """Reads the pictures of a source in several threads: yields (name, LR, HR). What
    there is to say against a picture is added to the list `bad`."""

    def decode(name, read):
        return name, *_make_pair(name, *read(), scale, smallest)

    def finish(task):
        if progress:
            progress.add(1)
        try:
            yield task.result()
        except ValueError as error:
            bad.append(str(error))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = collections.deque()
        for name, read in source.pictures():
            pending.append(pool.submit(decode, name, read))
            if len(pending) > 2 * os.cpu_count():
                yield from finish(pending.popleft())
        while pending:
            yield from finish(pending.popleft())


def _make_pair(name, hr, lr, degradation, scale, smallest):
    """Crops HR to a multiple of the scale, and makes LR where there is none."""
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if not height or not width:
        raise ValueError(f"{name} is smaller than SCALE = {scale} pixels.")
    if sentence := _too_small(name, height, width, smallest):
        raise ValueError(sentence)
    hr = hr[: height * scale, : width * scale]
    if lr is None:
        lr = degrade(hr, scale, degradation, pathlib.Path(name).name)
    if lr.shape[:2] != (height, width):
        raise ValueError(
            f"The LR picture of {name} is {lr.shape[1]}x{lr.shape[0]} pixels, but HR "
            f"divided by SCALE = {scale} is {width}x{height}."
        )
    return lr, hr


# --- Batches --------------------------------------------------------------------------


def training_batches(
    pairs, scale, patch_size=48, batch_size=16, noise=0.0, seed=0, first_step=0
):
    """Cuts random patches: an endless stream of training batches.

    Each patch comes from a random place of a random picture, in one of the eight
    turns and mirrorings of the square, the same for LR and HR. What a step gets depends
    on `seed` and its number alone, so a run that was stopped goes on with the batches
    it would have seen.

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
        ValueError: for a picture smaller than a patch, naming it.
    """
    pictures = _collect(pairs)
    _check_sizes(pictures, patch_size)

    def batch(step):
        seeds = tf.random.split([tf.constant(seed, tf.int64), step], 4)
        draw = tf.random.stateless_uniform
        number = draw([batch_size], seeds[0], 0, len(pictures.names), tf.int64)
        size = tf.gather(pictures.sizes, number)
        room = tf.cast(size - patch_size + 1, tf.float64)
        corner = tf.cast(
            draw([batch_size, 2], seeds[1], dtype=tf.float64) * room, tf.int64
        )
        turn = draw([3, batch_size, 1], seeds[2], 0, 2, tf.int32) == 1
        first = tf.gather(pictures.first_lr, number)
        lr = _cut(pictures.lr, first, size[:, 1], corner, patch_size, turn)
        first = tf.gather(pictures.first_hr, number)
        width, corner = size[:, 1] * scale, corner * scale
        hr = _cut(pictures.hr, first, width, corner, patch_size * scale, turn)
        if noise:
            grain = noise * tf.random.stateless_normal(lr.shape, seeds[3])
            noisy = tf.round(tf.cast(lr, tf.float32) + grain)
            lr = tf.cast(tf.clip_by_value(noisy, 0, 255), tf.uint8)
        return lr, hr

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    batches = steps.map(batch, tf.data.AUTOTUNE)
    return hardware.own_share(batches).prefetch(tf.data.AUTOTUNE)


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
        batch_size: crops in a batch at most; all batches are equal and none is dropped,
            unless several devices share them: then the last few pictures are
            left out where they do not share out evenly.

    Returns:
        A `tf.data.Dataset`, one pass over the pictures, as from `training_batches`.

    Raises:
        ValueError: if there are fewer pictures than devices.
    """
    pictures = _collect(pairs)
    size = min(patch_size, int(tf.reduce_min(pictures.sizes)))

    def centre(lr, hr):
        corner = (tf.shape(lr)[:2] - size) // 2
        lr = tf.image.crop_to_bounding_box(lr, *tf.unstack(corner), size, size)
        y, x = tf.unstack(corner * scale)
        hr = tf.image.crop_to_bounding_box(hr, y, x, size * scale, size * scale)
        return lr, hr

    sharers = hardware.sharers()
    count = len(pictures.names) // sharers
    if not count:
        raise ValueError(
            f"{sharers} devices need as many validation pictures, not "
            f"{len(pictures.names)}: add some, or train on fewer devices."
        )
    equal = max(
        n for n in range(1, max(2, batch_size // sharers + 1)) if count % n == 0
    )
    crops = _as_dataset(pictures, scale).map(centre).take(count * sharers)
    batches = crops.batch(equal * sharers, drop_remainder=True)
    return hardware.own_share(batches).cache()


def _collect(pairs):
    """The pictures of any dataset of pairs, decoded."""
    if hasattr(pairs, "pictures"):
        return pairs.pictures
    pairs = enumerate(pairs.as_numpy_iterator())
    return _write_to_memory((f"picture {n}", lr, hr) for n, (lr, hr) in pairs)


# --- As a command ----------------------------------------------------------------------


def draw_pairs(pairs, path):
    """Draws the first nine pairs, LR beside HR: squares from the middle of pictures.

    Args:
        pairs: dataset from `load`.
        path: `pathlib.Path` of the PNG file.
    """
    figure = Figure((13, 7), layout="constrained")
    panels = figure.subplots(3, 6).ravel()
    for axes in panels:
        axes.set_axis_off()
    for number, (lr, hr) in enumerate(pairs.take(9).as_numpy_iterator()):
        scale, size = hr.shape[0] // lr.shape[0], min(64, *lr.shape[:2])
        y, x = (side // 2 - size // 2 for side in lr.shape[:2])
        hr = hr[y * scale :, x * scale :][: size * scale, : size * scale]
        for axes, image in zip(panels[2 * number :], (lr[y:, x:][:size, :size], hr)):
            axes.imshow(image, interpolation="nearest")
            axes.set_title(f"{image.shape[1]}x{image.shape[0]}", fontsize=9)
    with whole_file(path) as part:
        figure.savefig(part, dpi=100)


def main():
    parser = argparse.ArgumentParser(
        description="Fetches and prepares a dataset, and draws some of its pairs."
    )
    parser.add_argument("dataset", help="a name as for DATASET, or a folder")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--degradation", default="bicubic", help="one, or several: a,b")
    parser.add_argument("--output", default="results", help="folder for the picture")
    options = parser.parse_args()
    degradation = tuple(options.degradation.split(","))
    path = pathlib.Path(options.dataset).expanduser()
    picture = pathlib.Path(options.output) / f"pairs_{path.name}_x{options.scale}.png"
    splits = ["train", "validation"] + ["test"] * _has_test(options.dataset)
    warnings.filterwarnings("ignore", module="PIL")  # which name no file
    try:
        for split in splits:
            pairs = load(options.dataset, split, options.scale, degradation)
            print(f"{split}: {len(pairs)} pictures")
            if split == "train":
                draw_pairs(pairs, picture)
    except (ValueError, OSError) as error:
        sys.exit(f"data.py: {error}")
    print(f"{options.dataset} is ready; some of its pairs are in {picture}")


if __name__ == "__main__":
    main()

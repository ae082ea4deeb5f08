"""Decoded pictures, one after the other, in memory or mapped from a file."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import shutil
import tempfile
import time
import zipfile

import joblib
import keras
import numpy as np
import tensorflow as tf

from core.degradations import REDRAWN, degrade
from core.files import cache_folder, named_errors

# More decoded pixels than this many bytes are kept in a file instead of in memory.
MEMORY_LIMIT = 5e8
# Decoded at a time, at most: each picture takes about 31 bytes per pixel meanwhile.
MOST_THREADS = 8
# A change to how pictures are read, or LR ones made, needs a new number, so old files are
# not reused.
DECODING = 5

INDEX = "index.npz"  # the file beside the pixels
NUMBERS = "sizes", "first_lr", "first_hr", "redrawn"  # what is kept of each picture


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Decoded pictures, with the pixels of all in one tensor."""

    scale: int  # factor between LR and HR
    names: list
    digests: np.ndarray  # hashes of the pixels, as text: [pictures, (HR, LR)]
    sizes: tf.Tensor  # of LR: [pictures, 2]
    first_lr: tf.Tensor  # number of a picture's first pixel in `lr`
    first_hr: tf.Tensor  # and in `hr`
    redrawn: tf.Tensor  # whether LR is made anew for every patch
    lr: tf.Tensor  # uint8 [pixels, 3]
    hr: tf.Tensor
    noise: float = 0.0  # what `as_dataset` puts on LR


def decode(source, scale, smallest=1):
    """Decodes the pictures of a source.

    What takes more than `MEMORY_LIMIT` bytes is decoded once into the Keras cache, and
    read from there by this and all later runs.

    Args:
        source: `sources.Source`.
        scale: integer factor between LR and HR.
        smallest: side in pixels that all LR pictures must have.

    Returns:
        (`Pictures`, problems): what is wrong with pictures, in sentences. Where there are
        any, the pictures must not be used.
    """
    problems = []
    if source.size <= MEMORY_LIMIT:
        pairs = _read_all(source, scale, smallest, problems)
        return to_memory(pairs, scale), problems
    return _to_cache(source, scale, smallest, problems), problems


def find_problems(source, scale, smallest=1):
    """Reads the pictures of a source only to find what is wrong with them: sentences."""
    problems = []
    pairs = _read_all(source, scale, smallest, problems)
    collections.deque(pairs, maxlen=0)
    return problems


def as_dataset(pictures):
    """A `tf.data.Dataset` of the (LR, HR) pairs, which `pictures_of` takes back."""

    def pair(number):
        h, w = tf.unstack(pictures.sizes[number])
        first_lr, first_hr = pictures.first_lr[number], pictures.first_hr[number]
        lr = pictures.lr[first_lr : first_lr + h * w]
        h_hr, w_hr = h * pictures.scale, w * pictures.scale
        hr = pictures.hr[first_hr : first_hr + h_hr * w_hr]
        if pictures.noise:
            lr = add_noise(lr, pictures.noise, [0, number])
        return tf.reshape(lr, [h, w, 3]), tf.reshape(hr, [h_hr, w_hr, 3])

    numbers = tf.data.Dataset.range(len(pictures.names))
    pairs = numbers.map(pair, tf.data.AUTOTUNE)
    pairs.pictures = pictures  # which saves `pictures_of` a second copy in memory
    return pairs


def with_noise(pairs, noise):
    """The same dataset, from `as_dataset` at scale 1, with noise on each LR picture."""
    return as_dataset(dataclasses.replace(pairs.pictures, noise=noise))


def add_noise(lr, noise, seed):
    """Adds Gaussian noise to a uint8 tensor, the same for the same seed.

    Args:
        lr: uint8 tensor of any shape.
        noise: standard deviation in grey levels.
        seed: two integers.

    Returns:
        uint8 tensor.
    """
    grain = noise * tf.random.stateless_normal(tf.shape(lr), seed)
    noisy = tf.round(tf.cast(lr, tf.float32) + grain)
    return tf.cast(tf.clip_by_value(noisy, 0, 255), tf.uint8)


def pictures_of(pairs, scale):
    """The decoded pictures of a dataset of (LR, HR) pairs, from `as_dataset` or not.

    Raises:
        ValueError: if this is no dataset, an empty or an endless one, the pairs are not
            uint8 RGB, or HR is not LR times the scale.
    """
    if hasattr(pairs, "pictures"):
        if pairs.pictures.scale != scale:
            raise ValueError(
                f"These pairs were loaded for scale {pairs.pictures.scale}, not {scale}."
            )
        return pairs.pictures
    if not isinstance(pairs, tf.data.Dataset):
        raise ValueError(
            "Pairs must be a tf.data.Dataset, as data.load makes it, not a "
            f"{type(pairs).__name__}."
        )
    spec = pairs.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(f"Pairs must be (LR, HR), not {spec}.")
    if pairs.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("These pairs never end: leave out repeat().")
    pictures = to_memory(_checked(pairs.as_numpy_iterator(), scale), scale)
    if not pictures.names:
        raise ValueError("There are no pairs in this dataset.")
    return pictures


def _checked(pairs, scale):
    """Pairs of somebody's own, as `to_memory` takes them."""
    for number, (lr, hr) in enumerate(pairs):
        if lr.dtype != np.uint8 or hr.dtype != np.uint8:
            raise ValueError(f"Pairs must be uint8, not {lr.dtype} and {hr.dtype}.")
        height, width = lr.shape[:2]
        if lr.shape[2:] != (3,) or hr.shape != (height * scale, width * scale, 3):
            raise ValueError(
                "Pairs must be RGB [h, w, 3], HR as large as LR times the scale: LR "
                f"{lr.shape} and HR {hr.shape} do not fit scale {scale}."
            )
        yield f"picture {number}", lr, hr, False


def fingerprint(datasets):
    """Identifies the pixels of several datasets from `as_dataset`, and their order."""
    if not all(hasattr(pairs, "pictures") for pairs in datasets):
        raise ValueError(
            "open_run takes datasets as data.load gives them, not take() or map() of one."
        )
    content = [
        (pairs.pictures.digests.tolist(), pairs.pictures.sizes.numpy().tolist())
        for pairs in datasets
    ]
    return _digest(repr(content).encode())


def find_duplicates(pairs, others):
    """The pictures of one dataset from `as_dataset` that are in another as well: dict from
    their names to those in the other."""
    names = dict(zip(others.pictures.digests[:, 0], others.pictures.names))
    both = zip(pairs.pictures.digests[:, 0], pairs.pictures.names)
    return {name: names[digest] for digest, name in both if digest in names}


def _digest(content):
    return hashlib.sha256(content).hexdigest()[:32]


# --- Checks ---------------------------------------------------------------------------


def leave_out_small(pictures, smallest, dataset):
    """The pictures of a dataset whose LR picture is not smaller than a patch."""
    large = np.flatnonzero(np.min(pictures.sizes, axis=1) >= smallest)
    if not large.size:
        raise ValueError(
            f"No picture of {dataset} has {smallest}x{smallest} pixels in low "
            "resolution: lower PATCH_SIZE or SCALE."
        )
    if left_out := len(pictures.names) - large.size:
        count = f"{left_out} of {len(pictures.names)} pictures"
        print(f"Smaller than a patch, and left out: {count}.")
    with tf.device("CPU:0"):
        numbers = {key: tf.gather(getattr(pictures, key), large) for key in NUMBERS}
    names = [pictures.names[number] for number in large]
    digests = pictures.digests[large]
    return dataclasses.replace(pictures, names=names, digests=digests, **numbers)


def check_scorable(pictures, scale):
    """Refuses pictures too small for the SSIM window, before training starts."""
    side = 11 + 2 * scale
    sizes = zip(pictures.names, scale * pictures.sizes.numpy())
    refuse(
        [
            f"{name} is {width}x{height} pixels, too small to be scored with SCALE = "
            f"{scale}, which takes {side}x{side}: remove it."
            for name, (height, width) in sizes
            if min(height, width) < side
        ]
    )


def check_sizes(pictures, smallest):
    """Refuses pictures whose LR has fewer than `smallest` pixels on a side.

    Raises:
        ValueError: naming them.
    """
    pairs = zip(pictures.names, pictures.sizes.numpy())
    sentences = [_too_small(name, *size, smallest) for name, size in pairs]
    refuse([sentence for sentence in sentences if sentence])


def refuse(problems):
    """Raises a ValueError of the problems with pictures, if there are any."""
    if len(problems) > 1:
        count = f"{len(problems)} pictures cannot be used:"
        problems = [count, *sorted(problems)]
    if problems:
        raise ValueError("\n".join(problems))


def _too_small(name, height, width, smallest):
    """The sentence about an LR picture that is smaller than a patch, or None."""
    if min(height, width) < smallest:
        return (
            f"{name} is {width}x{height} pixels in low resolution, less than PATCH_SIZE "
            f"= {smallest}: remove it or lower PATCH_SIZE."
        )


# --- Reading and keeping ---------------------------------------------------------------


def to_memory(pairs, scale):
    """Collects (name, LR, HR, whether LR is redrawn): `Pictures`."""
    lr, hr = io.BytesIO(), io.BytesIO()
    index = _write(pairs, lr, hr)
    with tf.device("CPU:0"):  # where tf.data works
        pixels = [tf.constant(np.frombuffer(f.getbuffer(), np.uint8)) for f in (lr, hr)]
    return _as_pictures(index, pixels, scale)


def _to_cache(source, scale, smallest, problems):
    """Decodes into a folder of the Keras cache, unless an earlier run has done so; returns
    None, and leaves no folder, if there are problems."""
    key = _digest(repr((DECODING, source.key, scale)).encode())
    folder = cache_folder() / "decoded" / key
    if folder.exists() and not _is_whole(folder, scale):
        print(f"{folder} is damaged: decoding again")
        shutil.rmtree(folder)
    if not folder.exists():
        print(f"Decoding about {source.size / 1e9:.1f} GB of pictures into {folder}")
        progress = keras.utils.Progbar(source.count, unit_name="picture")
        with named_errors(folder):
            _fill(
                folder, _read_all(source, scale, smallest, problems, progress), problems
            )
        if problems:
            return None
    # DLPack saves a copy in memory. It refuses read-only arrays, hence copy on write.
    maps = [np.memmap(folder / name, np.uint8, "c") for name in ("lr", "hr")]
    pixels = [tf.experimental.dlpack.from_dlpack(p.__dlpack__()) for p in maps]
    index = dict(np.load(folder / INDEX))
    if source.pairs:  # as this run spells the names, maybe from another working folder
        index["names"] = [pair.hr for pair in source.pairs]
    return _as_pictures(index, pixels, scale)


def _fill(folder, pairs, problems):
    """Writes pairs into a cache folder, which appears whole, or not at all if there are
    problems. Two runs that start at once both write; the first to finish is used by both.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob("tmp*"):  # by a run that was killed
        if left.stat().st_mtime < time.time() - 24 * 3600:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        part = pathlib.Path(part) / folder.name
        part.mkdir()
        with contextlib.ExitStack() as stack:
            files = [
                stack.enter_context(open(part / name, "wb"))
                for name in ("lr", "hr", INDEX)
            ]
            np.savez(files[2], **_write(pairs, *files[:2]))
            for file in files:  # before the rename, in case the power fails
                file.flush()
                os.fsync(file.fileno())
        if problems:
            return
        try:
            os.rename(part, folder)
        except OSError:
            if not folder.exists():
                raise


def _is_whole(folder, scale):
    """Whether the files of a cache folder have their sizes, and the last picture its
    pixels. What is left of them after a power cut or a clean-up may not."""
    try:
        index = dict(np.load(folder / INDEX))
        for column, (name, factor) in enumerate((("hr", scale**2), ("lr", 1))):
            starts = index[f"first_{name}"]
            ends = starts + factor * index["sizes"].prod(axis=1)
            pixels = np.memmap(folder / name, np.uint8, "r").reshape(-1, 3)
            last = _digest(pixels[starts[-1] : ends[-1]])
            if len(pixels) != ends.max() or last != index["digests"][-1, column]:
                return False
        return True
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def _as_pictures(index, pixels, scale):
    with tf.device("CPU:0"):
        lr, hr = (tf.reshape(p, [-1, 3]) for p in pixels)
        columns = [tf.constant(index[key]) for key in NUMBERS]
    names = [str(name) for name in index["names"]]
    return Pictures(scale, names, index["digests"], *columns, lr, hr)


def _write(pairs, lr_file, hr_file):
    """Writes the pixels of (name, LR, HR, whether LR is redrawn) one after the other, and
    returns the index.

    An HR picture with several LR pictures, as in DIV2K's wild track, is written once.
    """
    names, digests, sizes, first_lr, first_hr, redrawn = [], [], [], [], [], []
    known = {}
    for name, lr, hr, again in pairs:
        names.append(name)
        sizes.append(lr.shape[:2])
        redrawn.append(again)
        first_lr.append(lr_file.tell() // 3)
        hr, lr = np.ascontiguousarray(hr), np.ascontiguousarray(lr)
        digests.append([_digest(hr), _digest(lr)])
        lr_file.write(lr)
        if (of_hr := digests[-1][0]) not in known:
            known[of_hr] = hr_file.tell() // 3
            hr_file.write(hr)
        first_hr.append(known[of_hr])
    numbers = {"sizes": sizes, "first_lr": first_lr, "first_hr": first_hr}
    numbers = {k: np.array(v, np.int64) for k, v in numbers.items()}
    texts = {"names": names, "digests": np.array(digests)}
    return {**texts, **numbers, "redrawn": np.array(redrawn, bool)}


def _read_all(source, scale, smallest, problems, progress=None):
    """Reads the pictures of a source in several threads: yields (name, LR, HR, whether LR
    is redrawn). What is wrong with a picture is added to the list `problems`."""

    def read(example):
        return example.name, *_make_pair(example, scale, smallest)

    def finish(task):
        if progress:
            progress.add(1)
        try:
            yield task.result()
        except ValueError as error:
            problems.append(str(error))

    threads = min(MOST_THREADS, joblib.cpu_count())
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        pending = collections.deque()
        for example in source.examples():
            pending.append(pool.submit(read, example))
            if len(pending) > 2 * threads:
                yield from finish(pending.popleft())
        while pending:
            yield from finish(pending.popleft())


def _make_pair(example, scale, smallest):
    """Crops HR to a multiple of the scale, and makes LR where there is none."""
    name, (hr, lr) = example.name, example.read()
    whole = hr.shape[:2]
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if not height or not width:
        raise ValueError(f"{name} is smaller than SCALE = {scale} pixels.")
    if lr is None or lr.shape[:2] == (height, width):
        if sentence := _too_small(name, height, width, smallest):
            raise ValueError(sentence)
    hr = hr[: height * scale, : width * scale]
    redrawn = lr is None and example.degradation in REDRAWN
    if lr is None:
        lr = degrade(hr, scale, example.degradation, pathlib.Path(name).name)
    if lr.shape[:2] != (height, width):
        fits = whole[0] // lr.shape[0]
        as_fits = fits and (whole[0] // fits, whole[1] // fits)
        hint = f" It would fit SCALE = {fits}." if lr.shape[:2] == as_fits else ""
        raise ValueError(
            f"The LR picture of {name} is {lr.shape[1]}x{lr.shape[0]} pixels, but HR "
            f"divided by SCALE = {scale} is {width}x{height}.{hint}"
        )
    return lr, hr, redrawn

"""Images in: datasets of (LR, HR) pairs, and endless batches of patches cut from them.

Pictures are uint8 RGB, 0 to 255. The low-resolution picture of a pair is made with
MATLAB's bicubic, as in the papers.

    pairs = data.load("leaves", "train", scale=4)      # tf.data.Dataset of whole pictures
    batches = data.training_batches(pairs, scale=4)    # endless tf.data.Dataset of patches
"""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import zlib

import keras
import matplotlib.cbook
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from leaves import draw_leaves

# Drawn pictures: how many for each split, and the side of each in pixels.
LEAVES = {"train": 300, "validation": 20}
LEAVES_SIZE = 512

BSDS500_URL = (
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/"
    "BSR_bsds500.tgz"
)

# The subfolders of a folder of pictures, and the split that each holds.
FOLDERS = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}

# Decoded pictures, one after the other: names and LR sizes [n, 2] of each, the number of
# its first LR pixel, and all pixels as uint8 tensors [pixels, 3]. The HR pixels of a
# picture start at first * scale^2.
Pictures = collections.namedtuple("Pictures", "names sizes first lr hr")


# --- Datasets -------------------------------------------------------------------------


def load(dataset, split, scale, degradation="bicubic"):
    """Loads whole pictures as (LR, HR) pairs.

    Args:
        dataset: `"leaves"` (drawn on first use into the Keras cache; their test picture
            is the photograph that comes with matplotlib), `"bsds500"` (Arbelaez et al.
            2011: official train, test and val as train, validation and test, so that
            "test" is the literature's BSD100), or the path of a folder of pictures.
            A folder has `train/`, `validation/` (or `val/`) and perhaps `test/` inside;
            or it is flat, and a tenth of it, chosen by file name, is held out for
            validation. Files named `*_HR.*` and `*_LR.*` are taken as pairs.
        split: `"train"`, `"validation"`, `"test"` where there is one, or `"all"`, every
            picture of a flat folder, to score a network on a benchmark.
        scale: integer factor between LR and HR. HR is cropped to a multiple of it.
        degradation: `"bicubic"`, MATLAB's.

    Returns:
        A `tf.data.Dataset` of uint8 RGB pairs (LR [h, w, 3], HR [h*scale, w*scale, 3]),
        in the order of their file names, with known cardinality.

    Raises:
        ValueError: for an unknown name, a folder that is missing or empty, a split that
            is not there or a picture that cannot be read, naming it.
    """
    if degradation != "bicubic":
        raise ValueError(f'DEGRADATION = {degradation!r} is not known: use "bicubic".')
    splits = _find_splits(str(dataset))
    if split not in splits:
        raise ValueError(
            f'{dataset} has no "{split}" pictures, only {", ".join(splits)}. A folder '
            "needs two pictures or more, or subfolders train, validation and perhaps test."
        )
    files = splits[split]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = list(pool.map(lambda pair: _read_pair(*pair, scale), files))
    pictures = _pack([str(hr) for hr, _ in files], decoded)

    def pair(number):
        first, (h, w) = pictures.first[number], tf.unstack(pictures.sizes[number])
        last, area = first + h * w, scale**2
        lr = tf.reshape(pictures.lr[first:last], [h, w, 3])
        hr = pictures.hr[first * area : last * area]
        return lr, tf.reshape(hr, [h * scale, w * scale, 3])

    pairs = tf.data.Dataset.range(len(files)).map(pair)
    pairs.pictures = pictures  # spares training_batches() a second copy
    return pairs


def scored_split(dataset):
    """The split to report scores on.

    Args:
        dataset: as for `load`.

    Returns:
        `"test"`, or `"validation"` for a dataset without test pictures, which is said.
    """
    if "test" in _find_splits(str(dataset)):
        return "test"
    print(f"{dataset} has no test pictures: the scores are those of the validation.")
    return "validation"


def read_image(path):
    """Reads a picture as upright 8-bit RGB.

    Args:
        path: a file in any format that Pillow reads.

    Returns:
        uint8 array [H, W, 3]. Grey, palette and CMYK are converted, an alpha channel is
        dropped, 16-bit grey is scaled to 8 bits, EXIF orientation is applied.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16-bit grey
                grey = np.clip(np.asarray(image) / 257, 0, 255)
                image = Image.fromarray((grey + 0.5).astype(np.uint8))
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def _find_splits(dataset):
    """The files of each split: a dict of lists of (HR path, LR path or None)."""
    if dataset == "leaves":
        folder = _draw_leaves_folder()
        splits = {split: _pair_files(folder / split) for split in LEAVES}
        name = "grace_hopper.jpg"
        photograph = matplotlib.cbook.get_sample_data(name, asfileobj=False)
        return {**splits, "test": [(pathlib.Path(photograph), None)]}
    if dataset == "bsds500":
        # Its official val is what the super-resolution papers call BSD100.
        official = {"train": "train", "validation": "test", "test": "val"}
        folder = _fetch_bsds500()
        return {split: _pair_files(folder / name) for split, name in official.items()}
    folder = pathlib.Path(dataset).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"DATASET = {dataset!r} is neither a folder nor one of the built-in "
            'datasets, "leaves" and "bsds500".'
        )
    if not (folder / "train").is_dir():
        return _split_flat(_pair_files(folder))
    return {
        split: _pair_files(folder / name)
        for name, split in FOLDERS.items()
        if (folder / name).is_dir()
    }


def _split_flat(files):
    """Holds out a tenth of the files, by a hash of the name rather than by the order,
    so that a series of similar pictures is not all on one side."""
    if len(files) < 2:
        return {"all": files}
    by_hash = sorted(files, key=lambda pair: zlib.crc32(pair[0].name.encode()))
    held_out = by_hash[: max(1, len(files) // 10)]
    train = [pair for pair in files if pair not in held_out]
    return {"train": train, "validation": sorted(held_out), "all": files}


def _pair_files(folder):
    """Pairs the pictures of one folder: a list of (HR path, LR path or None)."""
    extensions = Image.registered_extensions()
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in extensions and not path.name.startswith(".")
    )
    if not files:
        raise ValueError(f"{folder} holds no pictures.")
    if not any(path.stem.endswith("_HR") for path in files):
        return [(path, None) for path in files]
    pairs = [(path, path.with_stem(path.stem[:-3] + "_LR")) for path in files]
    pairs = [pair for pair in pairs if pair[0].stem.endswith("_HR")]
    for hr, lr in pairs:
        if not lr.exists():
            raise ValueError(f"{lr} is missing: it should stand beside {hr.name}.")
    return pairs


def _read_pair(hr_path, lr_path, scale):
    hr = read_image(hr_path)
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if not height or not width:
        raise ValueError(f"{hr_path} is smaller than SCALE = {scale} pixels.")
    hr = hr[: height * scale, : width * scale]
    if lr_path is None:
        lr = bicubic_resize(hr, height, width)
    else:
        lr = read_image(lr_path)
    if lr.shape[:2] != (height, width):
        raise ValueError(
            f"{lr_path} is {lr.shape[1]}x{lr.shape[0]} pixels, but {hr_path.name} "
            f"divided by SCALE = {scale} is {width}x{height}."
        )
    return lr, hr


def _pack(names, decoded):
    sizes = np.array([lr.shape[:2] for lr, _ in decoded])
    first = np.cumsum([0, *sizes.prod(axis=1)])[:-1]
    pixels = [
        np.concatenate([x.reshape(-1, 3) for x in side]) for side in zip(*decoded)
    ]
    return Pictures(names, *map(tf.convert_to_tensor, (sizes, first, *pixels)))


@contextlib.contextmanager
def whole_file(path):
    """Writes a file whole or not at all.

    Args:
        path: `pathlib.Path` of the file; its folder is made if it is missing.

    Yields:
        A path beside it, with the same suffix, to write to. It takes the place of
        `path` at the end, and is removed if the writing fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _cache_folder():
    home = os.environ.get("KERAS_HOME", "~/.keras")
    return pathlib.Path(home).expanduser() / "datasets"


def _fetch_bsds500():
    try:
        folder = keras.utils.get_file(
            "BSR_bsds500.tgz",
            BSDS500_URL,
            extract=True,
            cache_dir=_cache_folder().parent,
        )
    except Exception as error:  # get_file raises nothing more specific
        raise ValueError(
            f"BSDS500 could not be fetched ({error}). Unpack BSR_bsds500.tgz yourself "
            'and set DATASET to its "images" folder, or set DATASET = "leaves".'
        ) from error
    return pathlib.Path(folder) / "BSR/BSDS500/data/images"


def _draw_leaves_folder():
    """Draws what is still missing of the leaves into the Keras cache."""
    # A change to the drawing takes a new number, so that nobody trains on old pictures.
    folder = _cache_folder() / f"leaves_v1_{LEAVES_SIZE}"
    wanted = [
        (folder / split / f"{number:04}.png", number if split == "train" else -number)
        for split, count in LEAVES.items()
        for number in range(1, count + 1)
    ]
    missing = [(path, number) for path, number in wanted if not path.exists()]
    if missing:
        print(f"Drawing {len(missing)} pictures of dead leaves into {folder}")
        progress = keras.utils.Progbar(len(missing), unit_name="picture")
    for path, number in missing:
        # Seeds are not negative: a second number tells validation from training.
        image = Image.fromarray(draw_leaves(LEAVES_SIZE, [abs(number), number < 0]))
        with whole_file(path) as part:
            image.save(part, compress_level=1)
        progress.add(1)
    return folder


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
    for name, (h, w) in zip(pictures.names, pictures.sizes.numpy()):
        if min(h, w) < patch_size:
            raise ValueError(
                f"{name} is {w}x{h} pixels in low resolution, less than "
                f"PATCH_SIZE = {patch_size}: remove it or lower PATCH_SIZE."
            )

    def batch(step):
        seeds = tf.random.split([tf.constant(seed, tf.int64), step], 4)
        draw = tf.random.stateless_uniform
        number = draw([batch_size], seeds[0], 0, len(pictures.names), tf.int64)
        first = tf.gather(pictures.first, number)
        size = tf.gather(pictures.sizes, number)
        room = tf.cast(size - patch_size + 1, tf.float64)
        corner = tf.cast(
            draw([batch_size, 2], seeds[1], dtype=tf.float64) * room, tf.int64
        )
        turn = draw([3, batch_size, 1], seeds[2], 0, 2, tf.int32) == 1
        lr = _cut(pictures.lr, first, size[:, 1], corner, patch_size, turn)
        first, width, corner = first * scale**2, size[:, 1] * scale, corner * scale
        hr = _cut(pictures.hr, first, width, corner, patch_size * scale, turn)
        if noise:
            grain = noise * tf.random.stateless_normal(lr.shape, seeds[3])
            noisy = tf.round(tf.cast(lr, tf.float32) + grain)
            lr = tf.cast(tf.clip_by_value(noisy, 0, 255), tf.uint8)
        return lr, hr

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    return steps.map(batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


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
        batch_size: crops in a batch at most; all batches are equal and none is dropped.

    Returns:
        A `tf.data.Dataset`, one pass over the pictures, as from `training_batches`.
    """
    smallest = _collect(pairs).sizes.numpy().min()
    size = min(patch_size, int(smallest))

    def centre(lr, hr):
        corner = (tf.shape(lr)[:2] - size) // 2
        lr = tf.image.crop_to_bounding_box(lr, *tf.unstack(corner), size, size)
        y, x = tf.unstack(corner * scale)
        hr = tf.image.crop_to_bounding_box(hr, y, x, size * scale, size * scale)
        return lr, hr

    count = len(pairs)
    equal = max(n for n in range(1, batch_size + 1) if count % n == 0)
    return pairs.map(centre).batch(equal, drop_remainder=True).cache()


def _collect(pairs):
    """The pictures of any dataset of pairs, decoded."""
    if not hasattr(pairs, "pictures"):
        decoded = list(pairs.as_numpy_iterator())
        return _pack([f"picture {n}" for n in range(len(decoded))], decoded)
    return pairs.pictures


# --- Pixels ---------------------------------------------------------------------------


def bicubic_resize(image, height, width):
    """Resizes as MATLAB's `imresize(image, [height width], "bicubic")`.

    Cubic convolution with a = -0.5 (Keys 1981), widened when shrinking (antialiasing),
    mirrored edges. `tf.image.resize` differs on 4 to 5% of the pixels.

    Args:
        image: array [H, W, C], uint8 or float.
        height: rows of the result.
        width: columns of the result.

    Returns:
        Array [height, width, C]. From uint8: uint8, rounded half up and clipped.
        From float: the same float type, neither rounded nor clipped.
    """
    if image.ndim != 3:
        raise ValueError(f"image must be [H, W, C], not of shape {image.shape}.")
    # float64 throughout: float32 flips the ties that scales 2 and 4 are full of.
    resized = _resize_rows(image.astype(np.float64), height)
    resized = _resize_rows(resized.swapaxes(0, 1), width).swapaxes(0, 1)
    if image.dtype == np.uint8:
        resized = np.clip(np.floor(resized + 0.5), 0, 255)
    return np.ascontiguousarray(resized, dtype=image.dtype)


def _resize_rows(image, rows):
    """Resizes the first axis of a float64 array."""
    old = image.shape[0]
    ratio = old / rows
    stretch = max(1.0, ratio)
    centre = (np.arange(rows) + 0.5) * ratio - 0.5
    first = np.ceil(centre - 2 * stretch).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(4 * stretch)) + 1)
    weights = _cubic((centre[:, None] - taps) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    taps %= 2 * old  # mirrored edges, the edge pixel repeated
    taps = np.where(taps < old, taps, 2 * old - 1 - taps)
    resized = np.zeros((rows, *image.shape[1:]))
    for tap, weight in zip(taps.T, weights.T):
        if weight.any():
            resized += weight[:, None, None] * image[tap]
    return resized


def _cubic(x):
    x = np.abs(x)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0))


def luma(image):
    """The Y channel of MATLAB's `rgb2ycbcr` (ITU-R BT.601), unrounded.

    Args:
        image: RGB [..., 3], 0 to 255: any array, or a float tensor of any backend.

    Returns:
        Float [..., 1], 16 to 235.
    """
    red, green, blue = image[..., 0:1], image[..., 1:2], image[..., 2:3]
    return 16 + red * (65.481 / 255) + green * (128.553 / 255) + blue * (24.966 / 255)

"""Enlarges a picture in memory, in tiles."""

import contextlib
import itertools
import math
import numbers

import keras
import numpy as np

from core import precision as precisions
from core.colours import for_rgb
from core.graphs import receptive_radius, split_at_upsampling
from core.networks import as_network, in_precision, scale_and_channels
from core.pixels import (
    as_array,
    bicubic_resize,
    check_range,
    luma,
    to_samples,
    to_uint8,
)

# Sides of tiles in pixels of the picture. Each pixel takes about 1 kB in the first half of
# an EDSR, before its upsampling, and 12 kB in the second, or where nothing was cut.
TILE = 1024
TILE_OF_WHOLE = 512
TILE_OF_SECOND_HALF = 256
SMALLEST_TILE = 32
SHORT_OF_MEMORY = (  # in the errors of JAX and TensorFlow, and of PyTorch
    "RESOURCE_EXHAUSTED",
    "OOM when allocating",
    "out of memory",
    "can't allocate memory",
)


def enlarge(model, lr, scale, self_ensemble=False):
    """Enlarges a picture with a network, or with MATLAB's bicubic if `model` is None.

    Args:
        model, self_ensemble: as for `upscale`.
        lr: uint8 array [h, w, 3].
        scale: factor of the bicubic; a network has its own.

    Returns:
        uint8 array [h*scale, w*scale, 3], in float32 on all machines.
    """
    if model is None:
        return bicubic_resize(lr, lr.shape[0] * scale, lr.shape[1] * scale)
    return upscale(model, lr, self_ensemble, precision="float32")


def upscale(
    model,
    image,
    self_ensemble=False,
    tile=None,
    progress=None,
    dtype=np.uint8,
    precision="auto",
):
    """Enlarges a picture with a trained network.

    The picture goes through the network in overlapping tiles of one size, so that only
    the result grows with it. Tiles overlap by the radius of the network's receptive
    field, at most by a quarter of a tile. Where that is enough, the result is the same as
    from the whole picture at once. A network that looks at the whole picture (RCAN's
    pooling) sees only the tile. What a network does on enlarged pixels, it does in
    smaller tiles, with a smaller overlap (see `core.graphs.split_at_upsampling`).

    Where a tile does not fit into the memory of the device, smaller ones are tried.

    Args:
        model: a network with one input and one output (lists and dicts of one, too) whose
            pixels are 0 to 255, RGB or luma. A luma network enlarges Y; Cb and Cr are
            enlarged with bicubic interpolation.
        image: RGB array [H, W, 3], 0 to 255, uint8 or float.
        self_ensemble: averages the network's answers to the eight rotations and flips
            of each tile ("EDSR+", Lim et al. 2017, section 4.3), for eight times the
            work.
        tile: largest side of a tile in pixels of `image`; None for 1024, or 512 where the
            network is not cut in halves. Smaller tiles, of 32 at least, need less memory
            and more time: the network computes the overlaps twice.
        progress: function called after every tile with the share that is done, 0 to 1.
        dtype: type of the result, uint8 or uint16.
        precision: "float32", "mixed_bfloat16", "mixed_float16", or "auto": the fastest
            here (see `core.precision.choose`), and float32 for uint16. The first and
            the last layer are in float32 in any of them.

    Returns:
        RGB array [H*scale, W*scale, 3]: uint8, 0 to 255, or uint16, 0 to 65535.

    Raises:
        ValueError: if `image` is not RGB or plainly has another range (0 to 1, 16 bits),
            the model is not such a network, its output is not finite or does not go beyond
            1, or there is no such tile, type or precision.
        MemoryError: if not even the smallest tile fits.
    """
    dtype = np.dtype(dtype)
    _check_arguments(model, tile, dtype)
    model = as_network(model)
    image = _as_pixels(image, model, dtype)
    scale, channels = scale_and_channels(model)
    model = for_rgb(model)
    if precision == "auto" and dtype == np.uint16:
        precision = "float32"
    model = in_precision(model, precisions.choose(precision, "precision")[0])
    height, width = image.shape[:2]
    result = np.empty((height * scale, width * scale, 3), dtype)
    tile = tile or (TILE if split_at_upsampling(model) else TILE_OF_WHOLE)
    brightest = 0

    def enlarge_window(rows, columns, progress):
        nonlocal brightest
        window, size = image[rows, columns], min(tile, TILE_OF_SECOND_HALF)
        enlarged = _predict(model, window, scale, size, self_ensemble, progress)
        answer = luma(enlarged) if channels == 1 else enlarged
        brightest = max(brightest, answer.max())
        return to_samples(enlarged, dtype)

    radius = receptive_radius(model)
    while True:
        try:
            _in_tiles(enlarge_window, result, scale, tile, radius, progress)
            _check_brightness(model, image, brightest)
            return result
        except Exception as error:  # each backend has its own
            if not any(words in str(error) for words in SHORT_OF_MEMORY):
                raise
            tile = _smaller(min(tile, max(height, width)), model, error)


def _smaller(tile, model, error):
    """Half a tile that did not fit into memory; MemoryError if that is too small."""
    if tile // 2 < SMALLEST_TILE:
        raise MemoryError(
            f"{model.name} does not fit into the device's memory, even in tiles of {tile} "
            "pixels. Close other programs, or hide the GPU with CUDA_VISIBLE_DEVICES=-1."
        ) from error
    print(f"Out of memory: continuing with tiles of {tile // 2} pixels")
    return tile // 2


def _check_arguments(model, tile, dtype):
    """Refuses what is no network, and tiles and types that cannot be meant."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"model must be a network, not {model!r}: load its file with load_network."
        )
    whole = isinstance(tile, numbers.Integral)
    if tile is not None and not (whole and tile >= SMALLEST_TILE):
        raise ValueError(
            f"tile must be a whole number of pixels, {SMALLEST_TILE} at least, not {tile!r}."
        )
    if dtype not in (np.uint8, np.uint16):
        raise ValueError(f"dtype must be uint8 or uint16, not {dtype}.")


def _as_pixels(image, model, dtype):
    """The picture as an array that the network takes; refuses what is not RGB, and 16 bits
    for a network of 8."""
    image = as_array(image, "image")
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        alpha = image.ndim == 3 and image.shape[-1] in (2, 4)
        way_out = ": leave out alpha" if alpha else ""
        raise ValueError(
            f"image must be RGB [H, W, 3], not of shape {image.shape}{way_out}."
        )
    check_range(image, "image")
    inputs = getattr(model, "inputs", None) or []  # none in a class of somebody's own
    if image.dtype != np.uint8 and any("int" in each.dtype for each in inputs):
        if dtype == np.uint16:
            raise ValueError(
                f"{model.name} takes whole grey levels, so it cannot enlarge 16 bits: "
                "build it on a float32 Input, or save the picture with 8 bits."
            )
        return to_uint8(image)
    return image.astype(image.dtype.newbyteorder("="), copy=False)


def _check_brightness(model, image, brightest):
    """Refuses a network that turns a picture black although it is not."""
    if brightest < 1.5 and image.mean() > 2:
        raise ValueError(
            f"The picture becomes black, since the output of {model.name} does not go "
            "beyond 1: its last layer must be keras.layers.Rescaling(255), or its training "
            "failed."
        )


def _in_tiles(enlarge, result, scale, tile, radius, progress):
    """Fills an array [H*scale, W*scale, C] with the enlargements of overlapping windows.

    Args:
        enlarge: function of the rows and the columns of a window, slices of [H, W], and of
            a function to report its own progress to.
    """
    height, width = (side // scale for side in result.shape[:2])
    overlap = min(max(radius, 2), tile // 4)  # bicubic looks at 2 pixels
    windows = [
        (*rows, *columns)
        for rows in _windows(height, tile, overlap)
        for columns in _windows(width, tile, overlap)
    ]
    for number, window in enumerate(windows):
        y, y_end, top, bottom, x, x_end, left, right = window
        part = _part(progress, number, len(windows))
        enlarged = enlarge(slice(y, y_end), slice(x, x_end), part)
        result[top * scale : bottom * scale, left * scale : right * scale] = enlarged[
            (top - y) * scale : (bottom - y) * scale,
            (left - x) * scale : (right - x) * scale,
        ]
        part(1)


def _part(progress, number, count):
    """What reports the share of one of `count` equal parts as a share of them all."""
    return lambda share: progress and progress((number + share) / count)


def _windows(length, tile, overlap):
    """Covers a side: for each window its start and end, and the part of it to keep.

    The windows are as few as can be, and all of one size, as small as can be. What lies
    closer than `overlap` to a cut is left to the neighbour.
    """
    count = max(1, math.ceil((length - 2 * overlap) / (tile - 2 * overlap)))
    size = math.ceil((length + 2 * overlap * (count - 1)) / count)
    starts = [number * (length - size) // max(1, count - 1) for number in range(count)]
    cuts = [start + overlap for start in starts[1:]]
    ends = [start + size for start in starts]
    return list(zip(starts, ends, [0, *cuts], [*cuts, length]))


def _predict(model, image, scale, tile, self_ensemble, progress):
    """The network's output for an array [h, w, C], or its mean over rotations and flips.

    Args:
        tile: largest side of the tiles of its second half.
    """
    if self_ensemble:
        parts = (_part(progress, number, 8) for number in itertools.count())
        enlarged = mean_of_turns(
            lambda turned: _run_halves(model, turned, scale, tile, next(parts)), image
        )
    else:
        enlarged = _run_halves(model, image, scale, tile, progress)
    if not np.isfinite(enlarged).all():
        raise ValueError(
            f"The output of {model.name} is not finite: its file is damaged, its training "
            "failed, or it needs the precision float32."
        )
    return enlarged


def mean_of_turns(enlarge, image):
    """Enlarges a picture in its eight rotations and flips, and averages the results.

    Lim et al. 2017 (EDSR), section 4.3; rows marked "+" in tables.

    Args:
        enlarge: function from an array [h, w, C] to one of [h*scale, w*scale, C].
        image: array [h, w, C].

    Returns:
        Array [h*scale, w*scale, C].
    """
    total = 0.0
    for turn in range(4):
        for mirror in (1, -1):
            turned = np.ascontiguousarray(np.rot90(image, turn)[:, ::mirror])
            total = total + np.rot90(enlarge(turned)[:, ::mirror], -turn)
    return total / 8


def _run_halves(model, image, scale, tile, progress):
    """The first half at once, the second in tiles."""
    if not split_at_upsampling(model):
        return _run(model, image)
    first, second = split_at_upsampling(model)
    features = _run(first, image)
    height, width, channels = image.shape
    result = np.empty((height * scale, width * scale, channels), np.float32)

    def enlarge_features(rows, columns, progress):
        return _run(second, image[rows, columns], features[rows, columns])

    radius = receptive_radius(second)
    _in_tiles(enlarge_features, result, scale, tile, radius, progress)
    return result


def _run(model, *arrays):
    """The output of a network for one picture, or a picture and its features."""
    batches = [array[None] for array in arrays]
    with _whole_batches():
        inputs = batches if len(batches) > 1 else batches[0]
        try:
            outputs = model.predict_on_batch(inputs)
        except TypeError:
            # TensorFlow cannot compile UpSampling2D with interpolation for any size.
            outputs = model(inputs, training=False)
        return np.asarray(outputs, np.float32)[0]  # of any precision


@contextlib.contextmanager
def _whole_batches():
    """Keeps JAX from sharing a batch of one picture among several devices."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)

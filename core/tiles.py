"""Enlarges a picture in memory, in tiles; of luma networks Y alone."""

import contextlib

import keras
import numpy as np

from core.networks import as_network, receptive_radius, scale_and_channels
from core.pixels import bicubic_resize, check_range, luma, to_samples
from core.self_ensemble import mean_of_turns

SMALLEST_TILE = 32


def enlarge(model, lr, scale, self_ensemble=False):
    """Enlarges a picture with a network, or with MATLAB's bicubic if `model` is None.

    Args:
        model, self_ensemble: as for `upscale`.
        lr: uint8 array [h, w, 3].
        scale: that of the network.

    Returns:
        uint8 array [h*scale, w*scale, 3].
    """
    if model is None:
        return bicubic_resize(lr, lr.shape[0] * scale, lr.shape[1] * scale)
    return upscale(model, lr, self_ensemble)


def upscale(model, image, self_ensemble=False, tile=512, progress=None, dtype=np.uint8):
    """Enlarges a picture with a trained network.

    The picture goes through the network in overlapping tiles of one size, so that only
    the result grows with it. The overlap covers the network's receptive field, at most a
    quarter of a tile: up to there the result is that of the whole. A network that looks
    at the whole picture (RCAN's pooling) sees only the tile.

    Where a tile does not fit into the memory of the device, smaller ones are tried.

    Args:
        model: a network with one input and one output (lists and dicts of one, too) whose
            pixels are 0 to 255, RGB or luma. A luma network enlarges Y; Cb and Cr are
            enlarged with bicubic interpolation.
        image: RGB array [H, W, 3], 0 to 255, uint8 or float.
        self_ensemble: averages the network's answers to the eight turns and mirrorings
            of each tile ("EDSR+", Lim et al. 2017, section 4.3), for eight times the
            work.
        tile: largest side of a tile in pixels of `image`. Smaller tiles need less
            memory and more time: the network computes the overlaps twice.
        progress: function called after every tile with the share that is done, 0 to 1.
        dtype: type of the result, uint8 or uint16.

    Returns:
        RGB array [H*scale, W*scale, 3]: uint8, 0 to 255, or uint16, 0 to 65535.

    Raises:
        ValueError: if `image` is not RGB or plainly has another range (0 to 1, 16 bits),
            the model is not such a network, or its output is not finite.
        MemoryError: if not even the smallest tile fits.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(f"image must be RGB [H, W, 3], not of shape {image.shape}.")
    check_range(image, "image", "multiply pixels from 0 to 1 by 255")
    model = as_network(model)
    scale, channels = scale_and_channels(model)
    height, width = image.shape[:2]
    result = np.empty((height * scale, width * scale, 3), dtype)
    radius = receptive_radius(model)

    def enlarge_window(window):
        if channels == 3:
            enlarged = _predict(model, window, self_ensemble)
        else:
            enlarged = _enlarge_luma(model, window, scale, self_ensemble)
        return to_samples(enlarged, dtype)

    while True:
        try:
            _in_tiles(enlarge_window, image, result, tile, radius, progress)
            return result
        except Exception as error:  # each backend has its own
            short = ("RESOURCE_EXHAUSTED", "OOM when allocating")
            if not any(words in str(error) for words in short):
                raise
            tile = min(tile, max(height, width)) // 2
            if tile < SMALLEST_TILE:
                raise MemoryError(
                    f"{model.name} does not fit into the device's memory, even in tiles "
                    f"of {2 * tile} pixels. Close other programs, or hide the GPU with "
                    "CUDA_VISIBLE_DEVICES=-1."
                ) from error
            print(f"Out of memory: continuing with tiles of {tile} pixels")


def _in_tiles(enlarge, image, result, tile, radius, progress):
    """Fills the result with the enlargements of overlapping windows."""
    height, width = image.shape[:2]
    scale = result.shape[0] // height
    overlap = min(max(radius, 2), tile // 4)  # bicubic looks at 2 pixels
    windows = [
        (*rows, *columns)
        for rows in _windows(height, tile, overlap)
        for columns in _windows(width, tile, overlap)
    ]
    for number, window in enumerate(windows):
        y, y_end, top, bottom, x, x_end, left, right = window
        enlarged = enlarge(image[y:y_end, x:x_end])
        result[top * scale : bottom * scale, left * scale : right * scale] = enlarged[
            (top - y) * scale : (bottom - y) * scale,
            (left - x) * scale : (right - x) * scale,
        ]
        if progress:
            progress((number + 1) / len(windows))


def _windows(length, tile, overlap):
    """Covers a side: for each window its start and end, and the part of it to keep.

    The windows are as few as can be, and all of one size, as small as can be. What lies
    closer than `overlap` to a cut is left to the neighbour.
    """
    count = max(1, -(-(length - 2 * overlap) // (tile - 2 * overlap)))
    size = -(-(length + 2 * overlap * (count - 1)) // count)
    starts = [number * (length - size) // max(1, count - 1) for number in range(count)]
    cuts = [start + overlap for start in starts[1:]]
    ends = [start + size for start in starts]
    return list(zip(starts, ends, [0, *cuts], [*cuts, length]))


def _enlarge_luma(model, image, scale, self_ensemble):
    """A float array, not clipped."""
    image = image.astype(np.float64)
    y = _predict(model, luma(image).astype(np.float32), self_ensemble)
    # Cb and Cr are differences to Y: enlarging RGB and replacing its Y enlarges them.
    height, width = (side * scale for side in image.shape[:2])
    rgb = bicubic_resize(image, height, width)
    return rgb + (y - luma(rgb)) * (255 / 219)


def _predict(model, image, eight_turns):
    """The network's output for an array [h, w, C], or the mean over its eight turns."""

    def predict(image):
        with _whole_batches():
            return np.asarray(model.predict_on_batch(image[None]))[0]

    enlarged = mean_of_turns(predict, image) if eight_turns else predict(image)
    if not np.isfinite(enlarged).all():
        raise ValueError(
            f"The output of {model.name} is not finite: its file is damaged, or its "
            "training failed."
        )
    return enlarged


@contextlib.contextmanager
def _whole_batches():
    """Keeps JAX from sharing a batch of one picture among several devices."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)

"""Images out: run a trained network on pictures of any size, in tiles.

model = keras.saving.load_model("results/edsr_x4_leaves/model.keras")
sr = upscale.upscale(model, lr)      # uint8 RGB [H, W, 3] -> uint8 [H*4, W*4, 3]
"""

import keras
import numpy as np

import data


def upscale(model, image, self_ensemble=False, tile=512):
    """Enlarges a picture with a trained network.

    The picture goes through the network in overlapping tiles of one size, so that only
    the memory of the result grows with it. The overlap covers the network's receptive
    field, at most a quarter of a tile: up to there the result is that of the whole.

    Args:
        model: a network with one input and one output whose pixels are 0 to 255, RGB
            or luma. A luma network enlarges Y; Cb and Cr are enlarged by bicubic.
        image: RGB array [H, W, 3], 0 to 255, uint8 or float.
        self_ensemble: averages the network's answers to the eight turns and mirrorings
            of the picture ("EDSR+", Lim et al. 2017, section 4.3), for eight times the
            work.
        tile: largest side of a tile in pixels of `image`.

    Returns:
        uint8 RGB array [H*scale, W*scale, 3].

    Raises:
        ValueError: if `image` is not RGB, or the model is not such a network.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"image must be RGB [H, W, 3], not of shape {image.shape}.")
    scale, channels = scale_and_channels(model)
    run = _average_of_turns if self_ensemble else _in_tiles
    if channels == 3:
        return to_uint8(run(model, image, scale, tile))
    height, width = image.shape[0] * scale, image.shape[1] * scale
    image = image.astype(np.float64)
    y = run(model, data.luma(image).astype(np.float32), scale, tile)
    # Cb and Cr are differences to Y: enlarging RGB and replacing its Y enlarges them.
    rgb = data.bicubic_resize(image, height, width)
    return to_uint8(rgb + (y - data.luma(rgb)) * (255 / 219))


def scale_and_channels(model):
    """Reads off a network how much it enlarges, and whether it takes RGB or luma.

    Args:
        model: `keras.Model`.

    Returns:
        (scale, channels): the factor, and 3 (RGB) or 1 (luma).

    Raises:
        ValueError: if the model is not a super-resolution network.
    """
    try:
        _, _, _, channels = model.input_shape
        _, height, width, out = model.compute_output_shape((1, 32, 32, channels))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{model.name} does not take and give one picture.") from error
    if channels not in (1, 3) or out != channels:
        raise ValueError(f"{model.name} does not take and give RGB or luma.")
    if height != width or height % 32:
        raise ValueError(
            f"{model.name} makes {width}x{height} pixels of 32x32: "
            "not a whole multiple of its input."
        )
    return height // 32, channels


def to_uint8(image):
    """Clips to 0 to 255 and rounds half up: float array to uint8 array."""
    return (np.clip(image, 0, 255) + 0.5).astype(np.uint8)


def _average_of_turns(model, image, scale, tile):
    """The mean over the eight symmetries of the square, before rounding."""
    total = 0.0
    for turn in range(4):
        for mirror in (1, -1):
            turned = np.rot90(image, turn)[:, ::mirror]
            enlarged = _in_tiles(model, turned, scale, tile)
            total = total + np.rot90(enlarged[:, ::mirror], -turn)
    return total / 8


def _in_tiles(model, image, scale, tile):
    """Runs the network over the picture: float32 [H*scale, W*scale, channels]."""
    height, width, channels = image.shape
    overlap = min(receptive_radius(model), tile // 4)
    result = np.empty((height * scale, width * scale, channels), np.float32)
    for y, top, bottom in _windows(height, tile, overlap):
        for x, left, right in _windows(width, tile, overlap):
            window = np.ascontiguousarray(image[y : y + tile, x : x + tile])
            enlarged = np.asarray(model.predict_on_batch(window[None]))[0]
            result[top * scale : bottom * scale, left * scale : right * scale] = (
                enlarged[
                    (top - y) * scale : (bottom - y) * scale,
                    (left - x) * scale : (right - x) * scale,
                ]
            )
    return result


def _windows(length, tile, overlap):
    """Covers a side: for each window its start, and from where to where to keep it.

    All windows are of one size, the last ones shifted inward. What lies closer than
    `overlap` to a cut is left to the neighbour.
    """
    if length <= tile:
        return [(0, 0, length)]
    starts = [*range(0, length - tile, tile - 2 * overlap), length - tile]
    cuts = [start + overlap for start in starts[1:]]
    return list(zip(starts, [0, *cuts], [*cuts, length]))


def receptive_radius(model):
    """How far, in input pixels, an output pixel looks at most: the sum of the radii of
    all kernels. An upper bound, since some work on enlarged pixels or side by side."""
    convolutions = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
    ]
    return sum(
        max((kernel - 1) // 2 * dilation for kernel, dilation in zip(*sizes))
        for sizes in ((c.kernel_size, c.dilation_rate) for c in convolutions)
    )

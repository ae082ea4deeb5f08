"""Networks for luma made into networks for RGB."""

import keras
import numpy as np

from core.graphs import cached_per_model, call_layers
from core.networks import scale_and_channels
from core.pixels import cubic, luma


def for_rgb(model):
    """A network for luma as a network for RGB, which enlarges the colours with bicubic
    interpolation.

    Args:
        model: `keras.Model` from RGB [batch, h, w, 3] or Y [batch, h, w, 1].

    Returns:
        `keras.Model` from RGB [batch, h, w, 3] to RGB [batch, h*scale, w*scale, 3], 0 to
        255, not clipped: `model` itself, or one with its layers.
    """
    scale, channels = scale_and_channels(model)
    return model if channels == 3 else _with_colours(model, scale)


@cached_per_model
def _with_colours(model, scale):
    rgb, y = (keras.Input((None, None, channels)) for channels in (3, 1))
    # Cb and Cr are differences to Y. So RGB without its Y is enlarged, and gets the new one.
    colours = _bicubic(rgb - _grey(luma(rgb)), scale)
    # Networks in the network, since names of operations must differ in each.
    to_y = keras.Model(rgb, luma(rgb), name="rgb_to_y")
    to_rgb = keras.Model([rgb, y], colours + _grey(y), name="y_to_rgb")
    enlarged_y, _ = call_layers(model, to_y(rgb))
    return keras.Model(rgb, to_rgb([rgb, enlarged_y]), name=model.name)


def _grey(y):
    """Y, 16 to 235, as the value that R, G and B have without colour, 0 to 255."""
    return (y - 16) * (255 / 219)


def _bicubic(x, scale):
    """`bicubic_resize` by a whole factor, in float32, as a fixed sub-pixel convolution."""
    # Where the sub-pixels lie, measured from the centre of their pixel.
    place = (np.arange(scale) + 0.5) / scale - 0.5
    taps = cubic(place[:, None] - np.arange(-2, 3))
    # i, j: row and column of the sub-pixel; y, x: those of the 5x5 kernel; a, b: channel
    # of the input and of the output.
    kernel = np.einsum("iy,jx,ab->yxaijb", taps, taps, np.eye(3))
    enlarge = keras.layers.Conv2D(
        3 * scale**2,
        kernel_size=5,
        use_bias=False,
        trainable=False,
        dtype="float32",
        name="bicubic",
    )
    # Mirrored edges: the edge pixel repeated, then the one beside it.
    for near, far in ((slice(0, 1), slice(-1, None)), (slice(2, 3), slice(-3, -2))):
        x = keras.ops.concatenate([x[:, near], x, x[:, far]], axis=1)
        x = keras.ops.concatenate([x[:, :, near], x, x[:, :, far]], axis=2)
    x = enlarge(x)  # which makes its weights
    enlarge.set_weights([kernel.reshape(5, 5, 3, -1)])
    return keras.ops.depth_to_space(x, scale) if scale > 1 else x

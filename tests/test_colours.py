"""Networks for luma made into networks for RGB."""

import keras
import numpy as np
import pytest
import skimage.color

import data
import espcn
import upscale
from core import colours
from helpers import noise, random_weights


def test_luma_network_enlarges_y_and_takes_colour_from_bicubic():
    # A network that only repeats pixels, so that the result can be said beforehand.
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.UpSampling2D(2)(inputs))
    image = 80 + noise(10, 12, 3) // 4  # far from the ends of the range: no clipping
    result = skimage.color.rgb2ycbcr(upscale.upscale(model, image))
    y = skimage.color.rgb2ycbcr(image)[..., 0].repeat(2, axis=0).repeat(2, axis=1)
    colour = data.bicubic_resize(skimage.color.rgb2ycbcr(image), 20, 24)[..., 1:]
    assert np.abs(result[..., 0] - y).max() < 1
    assert np.abs(result[..., 1:] - colour).max() < 1


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 2), (9, 14)])
def test_colours_are_those_of_matlab(scale, size):
    """The network gives 16, black: what is left are the colours."""
    inputs = keras.Input((None, None, 1))
    black = keras.layers.UpSampling2D(scale)(0 * inputs + 16)
    model = colours.for_rgb(keras.Model(inputs, black))
    rgb = noise(*size, 3).astype(np.float64)
    enlarged = data.bicubic_resize(rgb, *(side * scale for side in size))
    expected = enlarged + (16 - data.luma(enlarged)) * (255 / 219)
    result = model.predict_on_batch(rgb[None])[0]
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_network_itself_is_not_changed():
    model = random_weights(espcn.build_espcn(3, filters=(8, 4)))
    y = noise(1, 9, 12, 1).astype(np.float32)
    before = model.predict_on_batch(y)
    rgb = colours.for_rgb(model)
    assert rgb.trainable_weights == model.trainable_weights
    np.testing.assert_array_equal(model.predict_on_batch(y), before)

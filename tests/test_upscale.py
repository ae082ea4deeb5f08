import keras
import numpy as np
import pytest
import skimage.color

import data
import upscale


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def untiled(model, image):
    return upscale.to_uint8(model.predict_on_batch(image[None])[0])


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (7, 500), (32, 32), (33, 31), (61, 90)])
def test_tiles_give_what_the_whole_gives(tiny_network, scale, size):
    model = tiny_network(scale)
    image = noise(*size, 3)
    result = upscale.upscale(model, image, tile=32)
    assert result.shape == (size[0] * scale, size[1] * scale, 3)
    assert result.dtype == np.uint8
    difference = np.abs(result.astype(int) - untiled(model, image))
    assert difference.max() <= 1


def test_tiles_without_overlap_would_be_seen(tiny_network, monkeypatch):
    model, image = tiny_network(2), noise(61, 90, 3)
    monkeypatch.setattr(upscale, "receptive_radius", lambda model: 0)
    result = upscale.upscale(model, image, tile=32)
    assert np.abs(result.astype(int) - untiled(model, image)).max() > 10


@pytest.mark.parametrize("length", [1, 31, 32, 33, 47, 48, 49, 64, 100, 1000])
def test_windows_cover_every_pixel_once(length):
    windows = upscale._windows(length, 32, 8)
    kept = [pixel for *_, first, last in windows for pixel in range(first, last)]
    assert kept == list(range(length))
    (size,) = {end - start for start, end, _, _ in windows}
    assert size <= 32 and len(windows) * size < length + 16 * len(windows)
    for start, end, first, last in windows:
        assert start >= 0 and end <= length
        assert first - start >= 8 or first == 0
        assert end - last >= 8 or last == length


def test_radius_is_the_sum_of_the_kernels(tiny_network):
    # head, 2 blocks of 2, body end, two upsampling stages, tail, and the image skip
    assert upscale.receptive_radius(tiny_network(4)) == 1 + 4 + 1 + 2 + 1 + 1


def test_self_ensemble_is_the_mean_of_eight_turns(tiny_network):
    model, image = tiny_network(2), noise(13, 21, 3)
    total = 0
    for mirrored in (False, True):
        for turn in range(4):
            x = np.rot90(image[::-1] if mirrored else image, turn)
            y = np.rot90(model(x[None]).numpy()[0], -turn)
            total += y[::-1] if mirrored else y
    result = upscale.upscale(model, image, self_ensemble=True)
    expected = upscale.to_uint8(total / 8)
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert (result == expected).mean() > 0.99


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


def test_float_and_uint8_pictures_give_the_same(tiny_network):
    model, image = tiny_network(2), noise(9, 9, 3)
    np.testing.assert_array_equal(
        upscale.upscale(model, image), upscale.upscale(model, image.astype(np.float64))
    )


def test_errors_say_what_is_wrong(tiny_network):
    with pytest.raises(ValueError, match="image must be RGB"):
        upscale.upscale(tiny_network(2), noise(9, 9, 1))
    inputs = keras.Input((None, None, 3))
    smaller = keras.Model(inputs, keras.layers.AveragePooling2D(2)(inputs), name="half")
    classes = keras.Model(
        inputs, keras.layers.GlobalAveragePooling2D()(inputs), name="classes"
    )
    colours = keras.Model(inputs, keras.layers.Conv2D(5, 1)(inputs), name="five")
    for model, message in [
        (smaller, "half makes 16x16 pixels of 32x32"),
        (classes, "classes does not take a picture of any size"),
        (colours, "five does not take and give RGB or luma"),
    ]:
        with pytest.raises(ValueError, match=message):
            upscale.upscale(model, noise(9, 9, 3))

"""Pictures enlarged in memory: in tiles, by self-ensemble, luma alone."""

import keras
import numpy as np
import pytest

import data
import metrics
import upscale
from core import precision, tiles
from core.pixels import to_uint8
from helpers import PROJECT, drawn_pair, model_of, noise


def untiled(model, image):
    return to_uint8(model.predict_on_batch(image[None])[0])


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (7, 500), (32, 32), (33, 31), (61, 90)])
def test_tiles_give_what_the_whole_gives(tiny_network, scale, size):
    model = tiny_network(scale)
    image = noise(*size, 3)
    result = upscale.upscale(model, image, tile=32, precision="float32")
    assert result.shape == (size[0] * scale, size[1] * scale, 3)
    assert result.dtype == np.uint8
    difference = np.abs(result.astype(int) - untiled(model, image))
    assert difference.max() <= 1


def test_tiles_without_overlap_would_be_seen(tiny_network, monkeypatch):
    model, image = tiny_network(2), noise(61, 90, 3)
    monkeypatch.setattr(tiles, "receptive_radius", lambda model: 0)
    result = upscale.upscale(model, image, tile=32, precision="float32")
    assert np.abs(result.astype(int) - untiled(model, image)).max() > 10


@pytest.mark.parametrize("length", [1, 31, 32, 33, 47, 48, 49, 64, 100, 1000])
def test_windows_cover_every_pixel_once(length):
    windows = tiles._windows(length, 32, 8)
    kept = [pixel for *_, first, last in windows for pixel in range(first, last)]
    assert kept == list(range(length))
    (size,) = {end - start for start, end, _, _ in windows}
    assert size <= 32 and len(windows) * size < length + 16 * len(windows)
    for start, end, first, last in windows:
        assert start >= 0 and end <= length
        assert first - start >= 8 or first == 0
        assert end - last >= 8 or last == length


def test_self_ensemble_is_the_mean_of_eight_turns(tiny_network):
    model, image = tiny_network(2), noise(13, 21, 3)
    total = 0
    for mirrored in (False, True):
        for turn in range(4):
            x = np.rot90(image[::-1] if mirrored else image, turn)
            y = np.rot90(model(x[None]).numpy()[0], -turn)
            total += y[::-1] if mirrored else y
    result = upscale.upscale(model, image, self_ensemble=True, precision="float32")
    expected = to_uint8(total / 8)
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert (result == expected).mean() > 0.99


def test_float_and_uint8_pictures_give_the_same(tiny_network):
    model, image = tiny_network(2), noise(9, 9, 3)
    np.testing.assert_array_equal(
        upscale.upscale(model, image), upscale.upscale(model, image.astype(np.float64))
    )


@pytest.mark.parametrize("dtype", [">f4", ">u2"])
def test_network_gets_the_byte_order_of_the_machine(dtype, tiny_network, monkeypatch):
    """JAX and PyTorch know no other."""
    model, image, run, given = tiny_network(2), noise(9, 9, 3), tiles._run, []
    expected = upscale.upscale(model, image)
    monkeypatch.setattr(tiles, "_run", lambda *args: given.extend(args) or run(*args))
    result = upscale.upscale(model, image.astype(dtype))
    np.testing.assert_array_equal(result, expected)
    assert given[1].dtype.isnative


def test_pixels_of_another_range_are_refused(tiny_network):
    model, image = tiny_network(2), noise(9, 9, 3)
    whole = image.astype(np.uint16) * 257
    overshoot = np.clip(image / 255 * 1.3 - 0.1, -0.1, 1.15)
    for other, way_out in (
        (image / 255, "multiply pixels from 0 to 1 by 255"),
        (overshoot, "multiply pixels from 0 to 1 by 255"),
        (image > 99, "multiply pixels from 0 to 1 by 255"),
        ((image - 128.0).astype(np.int8), "make them uint8"),
        (image / 127.5 - 1, r"turn pixels x from -1 to 1 into \(x \+ 1\) \* 127.5"),
        (whole, "divide 16-bit pixels by 257"),
    ):
        low = f"{float(other.min()):.4g}"
        message = f"image has pixels from {low} to .* not from 0 to 255: {way_out}"
        with pytest.raises(ValueError, match=message):
            upscale.upscale(model, other)
    dark = image // 128
    with pytest.raises(
        ValueError, match="by 255; if it is almost black, pass it as uint8"
    ):
        upscale.upscale(model, dark.astype(np.float32))
    result = upscale.upscale(model, dark, precision="float32")
    np.testing.assert_array_equal(result, untiled(model, dark))
    upscale.upscale(model, np.zeros((9, 9, 3)))


def test_network_of_whole_levels_gets_them_rounded_and_no_16_bits():
    inputs = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Rescaling(1.0)(inputs)
    model = keras.Model(inputs, keras.layers.UpSampling2D(2)(x), name="whole")
    image = np.full((5, 6, 3), 100.9, np.float32)
    assert (upscale.upscale(model, image) == 101).all()
    with pytest.raises(ValueError, match="whole takes whole grey levels, so it cannot"):
        upscale.upscale(model, image, dtype=np.uint16)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("low", [0, -1])
def test_network_of_another_range_is_refused(channels, low):
    to_range = keras.layers.Rescaling((1 - low) / 255, low)
    model = model_of(to_range, keras.layers.UpSampling2D(2), channels=channels)
    image = noise(9, 9, 3)
    for enlarge in (
        lambda: upscale.upscale(model, image),
        lambda: metrics.evaluate(model, [(image, noise(18, 18, 3))], verbose=0),
    ):
        with pytest.raises(
            ValueError, match="does not go beyond 1: its last layer must"
        ):
            enlarge()
    upscale.upscale(model, image // 200)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", ["edsr_x4", "srgan_x4", "espcn_x4"])
def test_half_precision_shows_in_no_picture(name, policy):
    model = upscale.load_network(PROJECT / f"weights/{name}.keras")
    lr, _ = drawn_pair(4)
    exact, ours = (
        upscale.upscale(model, lr, precision=policy).astype(int)
        for policy in ("float32", policy)
    )
    difference = np.abs(exact - ours)
    assert difference.max() > 0  # it was another precision
    assert (difference <= 1).mean() > 0.999


def test_16_bits_are_computed_in_float32(tiny_network, monkeypatch):
    fastest = "mixed_bfloat16", "on this machine"
    monkeypatch.setattr(precision, "_fastest", lambda: fastest)
    model, lr = tiny_network(2), noise(9, 9, 3)
    for dtype, policy in ("uint16", "float32"), (np.uint8, "mixed_bfloat16"):
        np.testing.assert_array_equal(
            upscale.upscale(model, lr, dtype=dtype),
            upscale.upscale(model, lr, dtype=dtype, precision=policy),
        )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_interpolating_layers_enlarge_every_size(interpolation):
    upsampling = keras.layers.UpSampling2D(2, interpolation=interpolation)
    model = model_of(keras.layers.Conv2D(3, 3, padding="same"), upsampling)
    for size in (8, 9, 10):
        image = noise(size, size, 3)
        expected = to_uint8(model(image[None].astype(np.float32)).numpy()[0])
        result = upscale.upscale(model, image, precision="float32")
        np.testing.assert_array_equal(result, expected)


def test_progress_ends_at_one(tiny_network):
    shares = []
    upscale.upscale(tiny_network(2), noise(61, 90, 3), tile=32, progress=shares.append)
    assert len(shares) > 4 and shares == sorted(shares) and shares[-1] == 1


def test_without_a_network_it_is_bicubic():
    lr = noise(7, 9, 3)
    expected = data.bicubic_resize(lr, 21, 27)
    np.testing.assert_array_equal(tiles.enlarge(None, lr, 3), expected)


@pytest.mark.parametrize(
    "message",
    [
        "RESOURCE_EXHAUSTED: Out of memory",  # JAX's
        "OOM when allocating tensor with shape[1,64,64,3]",  # TensorFlow's
        "CUDA out of memory. Tried to allocate 2.00 GiB.",  # PyTorch's, as is the next
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.",
    ],
)
def test_smaller_tiles_when_memory_is_short(message, tiny_network, monkeypatch, capsys):
    model, image, run = tiny_network(2), noise(70, 80, 3), tiles._run
    expected = upscale.upscale(model, image, precision="float32")

    def short_of_memory(model, *arrays):
        if any(array.shape[0] * array.shape[1] > 40 * 40 for array in arrays):
            raise RuntimeError(message)
        return run(model, *arrays)

    monkeypatch.setattr(tiles, "_run", short_of_memory)
    result = upscale.upscale(model, image, precision="float32")
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert "continuing with tiles of 40 pixels" in capsys.readouterr().out


def test_not_even_the_smallest_tile_fits(tiny_network, monkeypatch):
    def short_of_memory(model, *arrays):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(tiles, "_run", short_of_memory)
    with pytest.raises(MemoryError, match="does not fit into the device's memory"):
        upscale.upscale(tiny_network(2), noise(70, 80, 3))


def test_other_errors_are_not_taken_for_a_lack_of_memory(tiny_network, monkeypatch):
    def broken(model, *arrays):
        raise RuntimeError("INVALID_ARGUMENT")

    monkeypatch.setattr(tiles, "_run", broken)
    with pytest.raises(RuntimeError, match="INVALID_ARGUMENT"):
        upscale.upscale(tiny_network(2), noise(70, 80, 3))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"model": "a.keras"}, "not 'a.keras': load its file with load_network"),
        ({"tile": 31}, "tile must be a whole number of pixels, 32 at least, not 31"),
        ({"tile": 0}, "32 at least, not 0"),
        ({"tile": "64"}, "tile must be a whole number of pixels, .*, not '64'"),
        ({"tile": 64.5}, "tile must be a whole number of pixels, .*, not 64.5"),
        ({"dtype": np.float32}, "dtype must be uint8 or uint16, not float32"),
        ({"dtype": int}, "dtype must be uint8 or uint16, not int64"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments, message, tiny_network):
    with pytest.raises(ValueError, match=message):
        upscale.upscale(
            **{"model": tiny_network(2), "image": noise(9, 9, 3), **arguments}
        )


def test_errors_say_what_is_wrong(tiny_network):
    with pytest.raises(ValueError, match="image must be RGB"):
        upscale.upscale(tiny_network(2), noise(9, 9, 1))
    with pytest.raises(ValueError, match=r"not of shape \(9, 9, 4\): leave out alpha"):
        upscale.upscale(tiny_network(2), noise(9, 9, 4))
    with pytest.raises(ValueError, match="an array of numbers, as data.read_image"):
        upscale.upscale(tiny_network(2), "photo.jpg")
    with pytest.raises(ValueError, match=r"not of shape \(0, 9, 3\)"):
        upscale.upscale(tiny_network(2), noise(0, 9, 3))
    with pytest.raises(
        ValueError, match="image has pixels that are not finite numbers"
    ):
        upscale.upscale(tiny_network(2), np.full((9, 9, 3), np.nan))
    inputs = keras.Input((None, None, 3))
    smaller = keras.Model(inputs, keras.layers.AveragePooling2D(2)(inputs), name="half")
    with pytest.raises(ValueError, match="half makes 16x16 pixels of 32x32"):
        upscale.upscale(smaller, noise(9, 9, 3))


# --- Self-ensemble ---


def test_all_eight_turns_are_enlarged_once():
    image = noise(3, 5, 2)
    seen = []

    def enlarge(turned):
        seen.append(turned)
        return turned.repeat(2, axis=0).repeat(2, axis=1)

    # Repeated pixels are the same however the picture is turned.
    expected = image.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(tiles.mean_of_turns(enlarge, image), expected)
    turns = [np.rot90(m, k) for m in (image, image[:, ::-1]) for k in range(4)]
    assert len(seen) == 8
    assert {x.tobytes() for x in seen} == {
        np.ascontiguousarray(t).tobytes() for t in turns
    }


def test_result_is_the_mean_of_what_is_turned_back():
    """With an enlargement that brightens the first row alone, wherever that is turned."""

    def brighten_first_row(turned):
        result = turned.astype(float)
        result[0] += 8
        return result

    added = tiles.mean_of_turns(brighten_first_row, np.zeros((4, 4, 1)))[..., 0]
    expected = np.zeros((4, 4))
    for edge in (expected[0], expected[-1], expected[:, 0], expected[:, -1]):
        edge += 2  # two of the eight turns have this edge at the top
    np.testing.assert_array_equal(added, expected)

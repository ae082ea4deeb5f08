"""MATLAB's bicubic and luma, and rounding to 8 bits."""

import json

import numpy as np
import pytest
import skimage.color
import tensorflow as tf

import data
import reference
from core import pixels
from helpers import noise


def slow_bicubic(signal, length):
    """MATLAB's imresize of a 1-D signal, straight from its definition."""
    ratio = len(signal) / length
    stretch = max(1, ratio)
    mirrored = [*signal, *signal[::-1]]
    result = []
    for i in range(length):
        centre = (i + 0.5) * ratio - 0.5
        total = weights = 0.0
        for j in range(int(centre - 3 * stretch) - 1, int(centre + 3 * stretch) + 2):
            x = abs(centre - j) / stretch
            if x < 1:
                weight = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x < 2:
                weight = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            else:
                weight = 0
            total += weight * mirrored[j % len(mirrored)]
            weights += weight
        result.append(total / weights)
    return result


@pytest.mark.parametrize(
    "old, new", [(12, 3), (13, 4), (5, 17), (1, 4), (30, 1), (9, 9)]
)
def test_bicubic_follows_the_definition(old, new):
    signal = noise(old).astype(float)
    rows = data.bicubic_resize(signal[:, None, None], new, 1)
    columns = data.bicubic_resize(signal[None, :, None], 1, new)
    np.testing.assert_allclose(rows[:, 0, 0], slow_bicubic(signal, new), atol=1e-9)
    np.testing.assert_array_equal(rows[:, 0, 0], columns[0, :, 0])


def test_bicubic_rounds_and_clips_only_uint8():
    checks = np.kron([[0, 255], [255, 0]], np.ones((4, 4)))[..., None]
    as_float = data.bicubic_resize(checks, 31, 31)
    assert as_float.dtype == np.float64
    assert as_float.min() < 0 and as_float.max() > 255
    as_uint8 = data.bicubic_resize(checks.astype(np.uint8), 31, 31)
    assert as_uint8.dtype == np.uint8
    np.testing.assert_array_equal(as_uint8, np.clip(np.floor(as_float + 0.5), 0, 255))
    assert data.bicubic_resize(checks.astype(np.float32), 3, 3).dtype == np.float32


def test_bicubic_is_identical_to_matlab(photographs):
    hr = data.read_image(photographs("matlab_bicubic/baboon_HR.png"))
    lr = data.read_image(photographs("matlab_bicubic/baboon_LR_x4.png"))
    ours = data.bicubic_resize(hr, hr.shape[0] // 4, hr.shape[1] // 4)
    np.testing.assert_array_equal(ours, lr)


# --- The drawn picture: files that tests/reference.py made by the plain definition ---


def drawn(scale):
    """HR and its LR by the plain definition."""
    hr = data.read_image(reference.DATA / "drawn.png")
    height, width = (side // scale * scale for side in hr.shape[:2])
    return hr[:height, :width], data.read_image(
        reference.DATA / f"drawn_LR_x{scale}.png"
    )


@pytest.mark.parametrize("scale", reference.SCALES)
def test_bicubic_of_the_drawn_picture_is_exact(scale):
    hr, lr = drawn(scale)
    assert hr.shape[0] != hr.shape[1]
    np.testing.assert_array_equal(data.bicubic_resize(hr, *lr.shape[:2]), lr)


@pytest.mark.parametrize("scale", reference.SCALES)
def test_drawn_files_are_those_of_the_plain_definition(scale):
    """In some places; all of them take a minute, see below."""
    hr, lr = drawn(scale)
    places = np.random.default_rng(scale).integers(0, lr.shape[:2], (20, 2)).tolist()
    for row, column in [[0, 0], [lr.shape[0] - 1, lr.shape[1] - 1], *places]:
        pixel = reference.resized_pixel(hr.tolist(), *lr.shape[:2], row, column)
        assert pixel == lr[row, column].tolist()


@pytest.mark.slow
def test_plain_definition_makes_the_drawn_files_again(tmp_path):
    (tmp_path / "drawn.png").write_bytes((reference.DATA / "drawn.png").read_bytes())
    reference.main(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(list(reference.DATA.iterdir())) == 5
    for scale in reference.SCALES:
        name = f"drawn_LR_x{scale}.png"
        ours, kept = (data.read_image(f / name) for f in (tmp_path, reference.DATA))
        np.testing.assert_array_equal(ours, kept)
    ours, kept = (
        json.loads((folder / "drawn.json").read_text())
        for folder in (tmp_path, reference.DATA)
    )
    assert ours == kept


def test_plain_definition_gives_the_pixels_of_matlab(photographs):
    """Where the window of 24x16 pixels lies at the edge, and in the middle."""
    hr = data.read_image(photographs("matlab_bicubic/baboon_HR.png"))
    lr = data.read_image(photographs("matlab_bicubic/baboon_LR_x4.png"))
    lines = hr.tolist()
    for top, left in [(0, 0), (60, 50), (lr.shape[0] - 12, lr.shape[1] - 8)]:
        window = [
            [
                reference.resized_pixel(lines, *lr.shape[:2], row, column)
                for column in range(left, left + 8)
            ]
            for row in range(top, top + 12)
        ]
        expected = lr[top : top + 12, left : left + 8]
        np.testing.assert_array_equal(window, expected)


def test_bicubic_wants_channels():
    with pytest.raises(ValueError, match=r"\[H, W, C\]"):
        data.bicubic_resize(noise(4, 4), 2, 2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_bicubic_of_an_edge_overshoots_in_floats_alone(dtype):
    white = 65535 if dtype == "uint16" else 255
    edge = np.repeat([0, white], 6)[None, :, None] * np.ones((6, 1, 3))
    expected = data.bicubic_resize(edge, 24, 48)
    assert expected.min() < 0 and expected.max() > white
    if dtype != "float32":
        expected = np.floor(np.clip(expected, 0, white) + 0.5)
    ours = data.bicubic_resize(edge.astype(dtype), 24, 48)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_bicubic_and_luma_refuse_other_types_and_shapes():
    for dtype in (bool, np.int32, np.complex64):
        with pytest.raises(ValueError, match="must be uint8, uint16 or float, not "):
            data.bicubic_resize(np.ones((4, 4, 3), dtype), 2, 2)
    with pytest.raises(TypeError):
        data.bicubic_resize(noise(4, 4, 3), 2.5, 2)
    for height, width in ((-4, 16), (16, 0)):
        with pytest.raises(ValueError, match=f"resized to {width}x{height} pixels"):
            data.bicubic_resize(noise(4, 4, 3), height, width)
    with pytest.raises(ValueError, match=r"not of shape \(0, 4, 3\)"):
        data.bicubic_resize(noise(0, 4, 3), 2, 2)
    with pytest.raises(ValueError, match="must be uint8, uint16 or float, not int64"):
        data.bicubic_resize(noise(4, 4, 3).tolist(), 2, 2)
    for shape in ((4, 3, 1), (4, 3, 4), (4, 4)):
        with pytest.raises(ValueError, match=r"RGB \[..., 3\], not of shape"):
            data.luma(noise(*shape))


def test_bicubic_takes_tensors():
    image = noise(8, 9, 3)
    expected = data.bicubic_resize(image, 4, 5)
    resized = data.bicubic_resize(tf.constant(image), 4, 5)
    np.testing.assert_array_equal(resized, expected)


def test_luma_is_that_of_scikit_image():
    image = noise(7, 5, 3)
    expected = skimage.color.rgb2ycbcr(image)[..., :1]
    np.testing.assert_allclose(data.luma(image), expected, atol=1e-9)
    tensor = data.luma(tf.constant(image, tf.float32))
    np.testing.assert_allclose(tensor, expected, atol=1e-4)


def test_pixels_are_clipped_and_rounded_half_up():
    image = np.array([-3.0, 0.49, 0.5, 1.5, 2.5, 254.5, 300.0])
    assert pixels.to_uint8(image).tolist() == [0, 0, 1, 2, 3, 255, 255]

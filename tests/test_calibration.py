"""The pictures that int8 networks are calibrated on."""

import numpy as np
import pytest

import data
from core import calibration, images
from helpers import noise, save


def test_drawn_pictures_are_all_different():
    shown, checked = calibration.samples(None, 3)
    pictures = [*shown, *checked]
    assert len(shown) == len(checked) == 8
    assert {picture.shape for picture in pictures} == {(1, 96, 96, 3)}
    assert {str(picture.dtype) for picture in pictures} == {"float32"}
    assert len({picture.tobytes() for picture in pictures}) == 16
    assert np.min(pictures) < 20 and np.max(pictures) > 235


@pytest.mark.parametrize("size, count", [((10, 14), 32), ((200, 300), 1)])
def test_small_pictures_are_more(size, count):
    shown, checked = calibration.samples(size, 1)
    assert len(shown) == len(checked) == count
    assert shown[0].shape == (1, *size, 1)


def test_luma_is_that_of_the_drawn_pictures():
    (rgb,), (luma,) = (calibration.samples((300, 260), n)[0] for n in (3, 1))
    np.testing.assert_allclose(luma[0], data.luma(rgb[0].astype(float)), atol=1e-4)


def test_folder_is_cut_into_pieces_and_small_pictures_are_mirrored(tmp_path):
    large, small = noise(250, 300, 3), noise(60, 20, 3, seed=1)
    save(large, tmp_path / "a.png")
    save(small, tmp_path / "deeper" / "b.png")
    save(small, tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").touch()
    assert len(images.find_pictures(tmp_path)) == 2
    pieces = sum(calibration.samples((100, 100), 3, tmp_path), [])
    squares = [large[y : y + 100, x : x + 100] for y in (0, 100) for x in (0, 100, 200)]
    mirrored = np.concatenate([small, small[::-1]])[:100]
    mirrored = np.concatenate([mirrored, mirrored[:, ::-1]] * 3, axis=1)[:, :100]
    expected = {np.float32(piece).tobytes() for piece in [*squares, mirrored]}
    assert {piece.tobytes() for piece in pieces} == expected and len(pieces) == 7


def test_single_piece_calibrates_and_checks(tmp_path):
    save(noise(50, 40, 3), tmp_path / "a.png")
    shown, checked = calibration.samples((50, 40), 3, tmp_path)
    np.testing.assert_array_equal(shown, checked)
    assert len(shown) == 1


def test_pictures_of_one_colour_are_refused(tmp_path):
    """An int8 network gives them right, and nothing else."""
    save(noise(1, 1, 3), tmp_path / "a.png")
    save(np.full((300, 200, 3), 200, np.uint8), tmp_path / "b.png")
    with pytest.raises(ValueError, match="contains only pictures of one colour"):
        calibration.samples(None, 1, tmp_path)
    save(noise(9, 9, 3), tmp_path / "c.png")
    calibration.samples(None, 1, tmp_path)


def test_many_pictures_are_taken_from_all_over_the_folder(tmp_path, make_pictures):
    make_pictures(tmp_path, [f"{number:03}.png" for number in range(100)], size=(5, 4))
    firsts = [noise(4, 5, 3, seed=[0, number]) for number in range(100)]
    shown, checked = calibration.samples((96, 96), 3, tmp_path)
    taken = {piece[0, :4, :5].tobytes() for piece in [*shown, *checked]}
    assert len(taken) == 16
    assert {np.float32(firsts[number]).tobytes() for number in (0, 99)} <= taken

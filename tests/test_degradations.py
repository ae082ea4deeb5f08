"""How LR pictures are made."""

import cv2
import numpy as np
import pytest
from PIL import Image

import data
from core import degradations
from helpers import noise


def test_area_is_the_mean_of_squares():
    hr = noise(12, 20, 3)
    blocks = hr.reshape(3, 4, 5, 4, 3).mean((1, 3))
    lr = degradations.degrade(hr, 4, "area")
    assert lr.dtype == np.uint8 and np.abs(lr - blocks).max() <= 0.5


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_without_antialiasing_is_opencvs(scale):
    """OpenCV's own bilinear and Pillow's take the same pixels; they round differently."""
    hr = noise(24 * scale, 24 * scale, 3)
    kind = Image.Resampling.BILINEAR
    lr = degradations.without_antialiasing(Image.fromarray(hr), (24, 24), kind)
    theirs = cv2.resize(hr, (24, 24), interpolation=cv2.INTER_LINEAR)
    assert np.abs(np.asarray(lr, int) - theirs).max() <= 1


def test_aliased_takes_one_of_three_ways_for_each_picture():
    hr = noise(48, 64, 3)
    ways = [
        np.asarray(
            degradations.without_antialiasing(Image.fromarray(hr), (16, 12), kind)
        )
        for kind in degradations.ALIASING
    ]
    taken = [
        degradations.degrade(hr, 4, "aliased", f"{name}.png") for name in range(20)
    ]
    found = [[np.array_equal(lr, way) for way in ways] for lr in taken]
    assert np.sum(found, axis=1).tolist() == [1] * 20 and np.all(np.any(found, axis=0))
    np.testing.assert_array_equal(
        degradations.degrade(hr, 4, "aliased", "3.png"), taken[3]
    )
    np.testing.assert_array_equal(degradations.degrade(hr, 1, "aliased", "a.png"), hr)


def test_bicubic_is_the_default():
    hr = noise(12, 20, 3)
    expected = data.bicubic_resize(hr, 6, 10)
    np.testing.assert_array_equal(degradations.degrade(hr, 2), expected)


def test_unknown_degradation_is_named():
    with pytest.raises(ValueError, match="'unknown' is none of bicubic, area, aliased"):
        degradations.degrade(noise(8, 8, 3), 2, "unknown", "a.png")


def test_jpeg_of_less_quality_is_farther_from_the_picture():
    image = np.asarray(Image.fromarray(noise(6, 6, 3)).resize((48, 48)))
    errors = [
        np.abs(degradations.as_jpeg(image, q).astype(int) - image).mean()
        for q in (95, 20)
    ]
    assert 0 < errors[0] < errors[1]


def test_realistic_is_random_by_picture_and_the_same_every_time(
    tmp_path, make_pictures
):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 64), (120, 90, 60)).save(tmp_path / name)
    first, again = (
        list(data.load(tmp_path, "all", 4, "realistic").as_numpy_iterator())
        for _ in range(2)
    )
    np.testing.assert_array_equal(first[0][0], again[0][0])
    assert (first[0][0] != first[1][0]).any()  # same HR, other noise
    for lr, hr in first:
        assert lr.shape == (16, 16, 3)
        assert np.abs(lr.astype(float).mean((0, 1)) - (120, 90, 60)).max() < 8


def test_several_take_turns_from_picture_to_picture(tmp_path, make_pictures):
    make_pictures(tmp_path, [f"{n}.png" for n in range(4)])
    kinds = ("bicubic", "area")
    mixed = data.load(tmp_path, "all", 4, "bicubic, area").as_numpy_iterator()
    plain = [data.load(tmp_path, "all", 4, kind).as_numpy_iterator() for kind in kinds]
    for number, (lr, *both) in enumerate(zip(mixed, *plain)):
        np.testing.assert_array_equal(lr[0], both[number % 2][0])
        assert (both[0][0] != both[1][0]).any()


def test_web_is_drawn_anew_for_every_patch_and_the_same_every_time(tmp_path):
    picture = np.asarray(Image.fromarray(noise(20, 20, 3)).resize((160, 160)))
    for name in ("a.png", "b.png"):
        Image.fromarray(picture).save(tmp_path / name)
    pairs = data.load(tmp_path, "all", 4, ("bicubic", "web"))
    whole = [lr for lr, _ in pairs.as_numpy_iterator()]
    np.testing.assert_array_equal(whole[0], data.bicubic_resize(picture, 40, 40))
    assert (whole[0] != whole[1]).any()

    def batches(first_step, count):
        stream = data.training_batches(
            pairs, 4, patch_size=16, batch_size=4, seed=-1, first_step=first_step
        )
        return list(stream.take(count).as_numpy_iterator())

    straight, resumed = batches(0, 4), batches(2, 2)
    for batch, again in zip(straight[2:], resumed, strict=True):
        np.testing.assert_array_equal(batch[0], again[0])
        np.testing.assert_array_equal(batch[1], again[1])
    assert straight[0][0].shape == (4, 16, 16, 3)
    assert straight[0][1].shape == (4, 64, 64, 3)
    errors = [
        np.abs(data.bicubic_resize(hr, 16, 16).astype(int) - lr)[2:-2, 2:-2].max()
        for lrs, hrs in straight
        for lr, hr in zip(lrs, hrs)
    ]
    exact = np.array(errors) <= 1  # half of the pictures are shrunk with bicubic
    assert exact.any() and not exact.all()


@pytest.mark.parametrize("seed", range(40))
def test_web_keeps_the_colours_and_the_place(seed):
    """However a picture is made smaller, it does not move."""
    rows, columns = np.mgrid[:64, :96]
    hr = np.stack([4 * rows, 2 * columns, np.full((64, 96), 90)], axis=-1)
    lr = degradations.as_on_the_web(
        np.uint8(np.minimum(hr, 255)), 24, 16, np.random.default_rng(seed)
    )
    assert lr.shape == (16, 24, 3) and lr.dtype == np.uint8
    expected = data.bicubic_resize(np.minimum(hr, 255.0), 16, 24)
    difference = (lr - expected)[2:-2, 2:-2]
    assert np.abs(difference.mean((0, 1))).max() < 6  # a pixel further: 8 or 16


def test_grain_is_as_strong_where_it_is_coarser():
    grey = Image.fromarray(np.full((128, 128, 3), 128, np.uint8))
    strengths, likenesses = [], []
    for seed in range(40):
        noisy = degradations._with_grain(grey, np.random.default_rng(seed))
        grain = np.asarray(noisy, float) - 128
        strengths.append(grain.std())
        likenesses.append((grain[1:] * grain[:-1]).mean() / grain.var())
    assert 8 < max(strengths) < 10.2  # rounding adds a little
    assert min(likenesses) < 0.2 and max(likenesses) > 0.6
    assert abs(np.corrcoef(strengths, likenesses)[0, 1]) < 0.5

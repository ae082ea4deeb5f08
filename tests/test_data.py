"""Datasets of pairs, what is wrong with them, and batches of patches."""

import os
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
import results
from core import sources
from helpers import names

# --- Datasets ---


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("nowhere", "train", 4), "DATASET = 'nowhere' is neither a folder"),
        (
            (__file__, "train", 4),
            "test_data.py' is a file: name the folder that it lies",
        ),
        (("empty", "train", 4), "empty contains no pictures, and neither do"),
        (("one", "train", 4), "one needs two pictures or more.* --split all"),
        (
            ("formats", "train", 4),
            "formats needs two pictures or more, of different na",
        ),
        (
            ("split", "validation", 4),
            'split has no "validation" pictures, only "train"',
        ),
        (
            ("two", "all", 50),
            "2 pictures .*\n.*a.png is smaller than SCALE = 50 .*\n.*",
        ),
        (
            ("two", "all", 2, "bicubic", 21),
            "2 pictures cannot be used:\n.*a.png is 24x20 .* = 21: .*\n.*b.png",
        ),
        (("two", "all", 0), "SCALE = 0 is not a whole number above 0"),
        (("two", "all", 2.0), "SCALE = 2.0 is not a whole number above 0"),
        (
            ("two", "all", 2, "unknown"),
            "'unknown' is DIV2K's own, and two/a.png has no",
        ),
        (
            ("split", "all", 4),
            'no "all" pictures, only "train": it is for a folder that',
        ),
        (("split", "val", 4), "split = 'val' is not one of train, validation, test, s"),
        (("two", "all", 4, ()), r"DEGRADATION = \(\) is not one of bicubic, area"),
        (("two", "all", 4, "blur"), "DEGRADATION = 'blur' is not one of bicubic, area"),
        (
            ("two", "all", 4, "bicubic,blur"),
            "DEGRADATION = 'blur' is not one of bicubic",
        ),
    ],
)
def test_errors_say_what_and_where(
    tmp_path, monkeypatch, make_pictures, arguments, message
):
    (tmp_path / "empty").mkdir()
    make_pictures(tmp_path / "one", ["a.png"])
    make_pictures(tmp_path / "formats", ["a.png", "a.bmp"])
    make_pictures(tmp_path / "two", ["a.png", "b.png"])
    make_pictures(tmp_path / "split/train", ["a.png"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        data.load(*arguments)
    assert str(error.value).count("\n") == message.count("\n")


def test_scores_are_those_of_the_validation_where_there_is_no_test(
    tmp_path, make_pictures, capsys
):
    make_pictures(tmp_path / "flat", ["a.png", "b.png"])
    assert names(tmp_path / "flat", "scored") == names(tmp_path / "flat", "validation")
    *_, scored = data.load_splits(tmp_path / "flat", 2)
    assert set(scored.pictures.names) == names(tmp_path / "flat", "validation")
    assert "flat has no test pictures" in capsys.readouterr().out
    for split in ("train", "val", "test"):
        make_pictures(tmp_path / "split" / split, ["a.png"])
    make_pictures(tmp_path / "flat" / "test", ["c.png"])
    for name, file in {"split": "a.png", "flat": "c.png"}.items():
        expected = {str(tmp_path / name / "test" / file)}
        assert names(tmp_path / name, "test") == expected
        assert names(tmp_path / name, "scored") == expected
        train, validation, scored = data.load_splits(tmp_path / name, 2)
        assert set(scored.pictures.names) == expected
        assert not expected & {*train.pictures.names, *validation.pictures.names}
    assert "no test pictures" not in capsys.readouterr().out


def test_splits_are_found_once(tmp_path, make_pictures, monkeypatch, capsys):
    for split in ("train", "val", "test"):
        make_pictures(tmp_path / split, [f"{split}{n}.png" for n in range(3)])
    listed = []
    iterdir = pathlib.Path.iterdir
    monkeypatch.setattr(
        pathlib.Path, "iterdir", lambda path: listed.append(path) or iterdir(path)
    )
    data.load_splits(tmp_path, 2)
    places = [".", "test", "train", "val"]
    assert sorted(listed) == [tmp_path / place for place in places]
    assert "Pictures for x2: train 3, validate 3, score 3" in capsys.readouterr().out


def test_pictures_are_read_once(tmp_path, make_pictures, monkeypatch):
    """Those to validate on, too, where they are also scored."""
    make_pictures(tmp_path / "flat", [f"{number}.png" for number in range(8)])
    read, read_pair = [], sources._read_files
    monkeypatch.setattr(
        sources, "_read_files", lambda *paths: read.append(paths) or read_pair(*paths)
    )
    data.load_splits(tmp_path / "flat", 2)
    assert len(read) == len({*read}) == 8


def test_pictures_to_train_and_to_validate_must_hold_a_patch(tmp_path, make_pictures):
    for split in ("train", "val", "test"):
        make_pictures(tmp_path / split, [f"{split}.png"])
    make_pictures(tmp_path / "test", ["small.png"], size=(30, 30))
    assert len(data.load_splits(tmp_path, 2, patch_size=20)[2]) == 2
    with pytest.raises(ValueError, match=r"2 pictures(.*\n)+.*val\.png .*SIZE = 21"):
        data.load_splits(tmp_path, 2, patch_size=21)


def test_names_are_those_of_files_or_numbers(tmp_path, make_pictures):
    make_pictures(tmp_path, ["b.png", "a é.png"])
    pairs = data.load(tmp_path, "all", 2)
    assert [pathlib.Path(n).name for n in pairs.pictures.names] == ["a é.png", "b.png"]
    plain = pairs.take(2)  # of which no names are known
    _, first = results.compare({}, plain)
    assert len(first["bicubic"]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_utf8(tmp_path, make_pictures, tiny_network, capsys):
    names = [os.fsdecode(b"caf\xe9.png"), "a.png"]
    make_pictures(tmp_path, names)
    loaded = [data.load(tmp_path, "all", 2, "realistic") for _ in range(2)]
    for pair, same in zip(*(pairs.as_numpy_iterator() for pairs in loaded)):
        np.testing.assert_array_equal(pair[0], same[0])
    results.compare({"EDSR": tiny_network(2)}, loaded[0])
    assert "caf\ufffd.png" in capsys.readouterr().out


# --- Batches ---


@pytest.fixture
def pairs(tmp_path, make_pictures):
    make_pictures(tmp_path / "wide", ["a.png", "b.png"], size=(90, 60))
    make_pictures(tmp_path / "wide", ["c.png"], size=(50, 80), seed=3)
    return data.load(tmp_path / "wide", "all", 2)


def as_arrays(batches, count):
    return [(lr.numpy(), hr.numpy()) for lr, hr in batches.take(count)]


def test_patches_are_aligned_and_of_static_shape(pairs):
    batches = data.training_batches(pairs, 2, patch_size=20, batch_size=5)
    lr_spec, hr_spec = batches.element_spec
    assert lr_spec.shape == (5, 20, 20, 3) and hr_spec.shape == (5, 40, 40, 3)
    assert lr_spec.dtype == hr_spec.dtype == tf.uint8
    for lr, hr in as_arrays(batches, 6):
        for lr_patch, hr_patch in zip(lr, hr):
            # Away from the border, where the patch lacks its neighbours.
            again = data.bicubic_resize(hr_patch, 20, 20)
            np.testing.assert_array_equal(again[2:-2, 2:-2], lr_patch[2:-2, 2:-2])


def test_patches_come_in_all_eight_turns_with_channels_untouched():
    rng = np.random.default_rng(0)
    hr = rng.permutation(16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)
    pairs = tf.data.Dataset.from_tensors((hr[::2, ::2], hr))
    turns = [np.rot90(m, k) for m in (hr, hr[:, ::-1]) for k in range(4)]
    seen = set()
    for lr, hr_batch in as_arrays(data.training_batches(pairs, 2, 8, 16), 8):
        for lr_patch, patch in zip(lr, hr_batch):
            number = [np.array_equal(patch, turn) for turn in turns].index(True)
            seen.add(number)
            # LR is turned alike: every second pixel of the unturned picture.
            m = hr[::2, ::2] if number < 4 else hr[::2, ::2][:, ::-1]
            np.testing.assert_array_equal(lr_patch, np.rot90(m, number % 4))
    assert seen == set(range(8))


def test_patches_reach_every_pixel_of_every_picture():
    # The number of each pixel is its colour, so a patch tells where it comes from.
    sizes = [(9, 7), (5, 12)]
    pictures = []
    for number, (height, width) in enumerate(sizes):
        y, x = np.mgrid[:height, :width]
        lr = np.stack([y, x, np.full_like(y, number)], axis=-1).astype(np.uint8)
        pictures.append((lr, lr.repeat(2, axis=0).repeat(2, axis=1)))
    pairs = tf.data.Dataset.from_generator(
        lambda: iter(pictures), output_types=(tf.uint8, tf.uint8)
    )
    seen = set()
    for lr, hr in as_arrays(data.training_batches(pairs, 2, 4, 16), 40):
        np.testing.assert_array_equal(lr, hr[:, ::2, ::2])
        seen |= {tuple(pixel) for pixel in lr.reshape(-1, 3).tolist()}
    assert seen == {
        (y, x, number)
        for number, (height, width) in enumerate(sizes)
        for y in range(height)
        for x in range(width)
    }


def test_batches_depend_on_seed_and_step_alone(pairs):
    def batches(**kwargs):
        return data.training_batches(pairs, 2, 16, 4, noise=5.0, **kwargs)

    whole = as_arrays(batches(seed=1), 6)
    resumed = as_arrays(batches(seed=1, first_step=4), 2)
    for (lr, hr), (lr_again, hr_again) in zip(whole[4:], resumed):
        np.testing.assert_array_equal(lr, lr_again)
        np.testing.assert_array_equal(hr, hr_again)
    other = as_arrays(batches(seed=2), 1)
    assert (other[0][1] != whole[0][1]).any()
    assert (whole[1][1] != whole[0][1]).any()


def test_noise_is_on_lr_alone():
    grey = np.full((64, 64, 3), 128, np.uint8)
    pairs = tf.data.Dataset.from_tensors((grey[::2, ::2], grey))
    ((lr, hr),) = as_arrays(data.training_batches(pairs, 2, 32, 8, noise=6.0), 1)
    assert (hr == 128).all()
    assert abs(lr.astype(float).std() - 6) < 0.2 and abs(lr.mean() - 128) < 0.3


def test_picture_smaller_than_patch_is_named(pairs):
    with pytest.raises(ValueError, match=r"c\.png is 25x40 .* PATCH_SIZE = 26"):
        data.training_batches(pairs, 2, patch_size=26)


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise": np.nan},
        {"noise": -3},
        {"patch_size": 0},
        {"patch_size": 8.0},
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"scale": 2.0},
    ],
)
def test_impossible_batches_are_refused(wrong, pairs):
    ((name, value),) = wrong.items()
    wrong = {"scale": 2, **wrong}
    with pytest.raises(ValueError, match=f"{name} = {value} .*or more"):
        data.training_batches(pairs, **wrong)
    if name != "noise":
        with pytest.raises(ValueError, match=f"{name} = {value} .*or more"):
            data.validation_batches(pairs, **wrong)


def test_numbers_of_numpy_are_taken(pairs):
    two = np.int64(2)
    (batch,) = as_arrays(data.training_batches(pairs, two, 4 * two, two), 1)
    assert batch[0].shape == (2, 8, 8, 3)


@pytest.mark.parametrize("cut", [data.training_batches, data.validation_batches])
def test_what_is_no_dataset_with_pairs_in_it_is_refused(cut, pairs):
    with pytest.raises(ValueError, match="as data.load makes it, not a list"):
        cut([*pairs.as_numpy_iterator()], 2)
    with pytest.raises(ValueError, match="There are no pairs in this dataset"):
        cut(pairs.take(0), 2)
    with pytest.raises(ValueError, match="These pairs never end"):
        cut(pairs.repeat(), 2)
    with pytest.raises(ValueError, match=r"Pairs must be \(LR, HR\), not .*'lr'"):
        cut(pairs.map(lambda lr, hr: {"lr": lr, "hr": hr}), 2)


def test_validation_batches_are_equal_and_complete(pairs):
    batches = data.validation_batches(pairs, 2, patch_size=30, batch_size=2)
    lr_spec, hr_spec = batches.element_spec
    assert lr_spec.shape == (1, 25, 25, 3) and hr_spec.shape == (1, 50, 50, 3)
    for (lr, hr), (whole_lr, whole_hr) in zip(batches, pairs):
        y, x = (whole_lr.shape[0] - 25) // 2, (whole_lr.shape[1] - 25) // 2
        np.testing.assert_array_equal(lr[0], whole_lr[y : y + 25, x : x + 25])
        np.testing.assert_array_equal(
            hr[0], whole_hr[2 * y : 2 * y + 50, 2 * x : 2 * x + 50]
        )
    assert len(list(batches)) == 3


# --- The command ---


def test_command_prepares_and_draws(tmp_path, make_pictures, monkeypatch, run_command):
    folder = make_pictures(tmp_path / "my pictures", ["a.png", "b.png", "c.png"])
    arguments = [folder, "--scale", "2", "--output", tmp_path / "out"]
    status, out = run_command(data, *arguments)
    assert status == 0 and "train: 2 pictures" in out
    assert Image.open(tmp_path / "out/pairs_my pictures_x2.png").size[0] > 1000
    (tmp_path / "out").rename(tmp_path / "before")
    monkeypatch.chdir(folder)
    run_command(data, ".", *arguments[1:])
    assert (tmp_path / "out/pairs_my pictures_x2.png").exists()
    status, _ = run_command(data, folder, "--scale", "2", "--output", folder)
    assert status.startswith(
        f"data.py: --output {folder} has the pictures that are read"
    )
    assert len([*folder.iterdir()]) == 3
    status, _ = run_command(data, "nowhere")
    assert status.startswith("data.py: DATASET = 'nowhere' is neither")

"""Decoded pictures: in memory, in the cache, and what is refused."""

import os
import pathlib

import joblib
import numpy as np
import pytest
import tensorflow as tf

import data
from core import decoded, sources
from helpers import noise


def test_cache_on_disk_gives_the_same_and_is_reused(
    tmp_path, make_pictures, monkeypatch, keras_home
):
    make_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    memory = list(data.load(tmp_path / "pictures", "all", 2).as_numpy_iterator())
    monkeypatch.setattr(decoded, "MEMORY_LIMIT", 0)
    from_disk = data.load(tmp_path / "pictures", "all", 2)
    for ours, theirs in zip(from_disk.as_numpy_iterator(), memory):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    (folder,) = (keras_home / "datasets/decoded").iterdir()
    lr, hr = next(iter(data.training_batches(from_disk, 2, 16, 4)))
    again = data.bicubic_resize(hr.numpy()[0], 16, 16)
    np.testing.assert_array_equal(again[2:-2, 2:-2], lr[0].numpy()[2:-2, 2:-2])

    def read_again(path):
        raise AssertionError(f"{path} was decoded a second time")

    with monkeypatch.context() as patch:
        patch.setattr(sources, "read", read_again)
        assert len(data.load(tmp_path / "pictures", "all", 2)) == 3
        patch.chdir(tmp_path)  # where the files go by other names
        names = data.load("pictures", "all", 2).pictures.names
        assert [pathlib.Path(name) for name in names] == [
            pathlib.Path("pictures", name) for name in ("a.png", "b.png", "c.png")
        ]
    # A changed picture, another scale: another cache.
    make_pictures(tmp_path / "pictures", ["c.png"], seed=5)
    changed = data.load(tmp_path / "pictures", "all", 2)
    assert (list(changed.as_numpy_iterator())[2][1] != memory[2][1]).any()
    assert len(list(folder.parent.iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "hr").unlink(),
        lambda folder: (folder / "index.npz").unlink(),
        lambda folder: (folder / "lr").write_bytes(b""),
        lambda folder: os.truncate(folder / "hr", 3 * 48),
        lambda folder: os.truncate(folder / "index.npz", 99),
        lambda folder: (folder / "lr").write_bytes(
            bytes((folder / "lr").stat().st_size)
        ),
    ],
)
def test_damaged_cache_is_decoded_again(
    damage, tmp_path, make_pictures, monkeypatch, keras_home, capsys
):
    """As a power cut leaves it, or a clean-up of old files."""
    make_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    monkeypatch.setattr(decoded, "MEMORY_LIMIT", 0)
    first = list(data.load(tmp_path / "pictures", "all", 2).as_numpy_iterator())
    (folder,) = (keras_home / "datasets/decoded").iterdir()
    damage(folder)
    again = list(data.load(tmp_path / "pictures", "all", 2).as_numpy_iterator())
    assert f"{folder} is damaged: decoding again" in capsys.readouterr().out
    for ours, theirs in zip(again, first, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("cores, ahead", [(1, 3), (64, 17)])
def test_few_pictures_are_decoded_ahead(cores, ahead, monkeypatch):
    """Of many cores, or of the few that this process may use of many."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    taken, picture = [], (noise(8, 8, 3), None)

    def examples():
        for number in range(200):
            taken.append(number)
            yield sources.Example(str(number), lambda: picture, "bicubic")

    pairs = decoded._read_all(sources.Source(examples, 200, "", 0), 2, 1, [])
    next(pairs)
    assert len(taken) == ahead
    assert len(list(pairs)) == 199


def test_broken_off_decoding_leaves_no_cache(
    tmp_path, make_pictures, monkeypatch, keras_home
):
    make_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    monkeypatch.setattr(decoded, "MEMORY_LIMIT", 0)

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoded, "_make_pair", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.load(tmp_path / "pictures", "all", 2)
    assert list((keras_home / "datasets/decoded").iterdir()) == []
    assert len(data.load(tmp_path / "pictures", "all", 2)) == 3


def test_two_runs_that_start_at_once_use_one_cache(
    tmp_path, make_pictures, monkeypatch, keras_home
):
    folder = make_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    monkeypatch.setattr(decoded, "MEMORY_LIMIT", 0)
    make_pair = decoded._make_pair
    others = []

    def while_another_run_finishes(*args):
        if not others:
            others.append(None)
            others.append(data.load(folder, "all", 2))
        return make_pair(*args)

    monkeypatch.setattr(decoded, "_make_pair", while_another_run_finishes)
    ours = data.load(folder, "all", 2)
    for a, b in zip(ours.as_numpy_iterator(), others[1].as_numpy_iterator()):
        np.testing.assert_array_equal(a[1], b[1])
    assert len(list((keras_home / "datasets/decoded").iterdir())) == 1


def test_bad_pictures_leave_no_cache(tmp_path, make_pictures, monkeypatch, keras_home):
    make_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    (tmp_path / "pictures/b.png").write_text("no picture")
    monkeypatch.setattr(decoded, "MEMORY_LIMIT", 0)
    for _ in range(2):
        with pytest.raises(ValueError, match="b.png cannot be read as a picture"):
            data.load(tmp_path / "pictures", "all", 2)
    assert list((keras_home / "datasets/decoded").iterdir()) == []


def test_datasets_of_others_are_collected_in_memory():
    pictures = [(noise(4, 5, 3, seed=n), noise(8, 10, 3, seed=n)) for n in range(3)]
    pairs = tf.data.Dataset.from_generator(
        lambda: iter(pictures), output_types=(tf.uint8, tf.uint8)
    )
    again = decoded.as_dataset(decoded.pictures_of(pairs, 2))
    assert len(again) == 3 and decoded.pictures_of(again, 2) is again.pictures
    for ours, theirs in zip(again.as_numpy_iterator(), pictures):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def dataset_of(lr, hr):
    return tf.data.Dataset.from_tensors((lr, hr))


@pytest.mark.parametrize(
    "lr, hr, message",
    [
        (noise(8, 9, 3), noise(19, 18, 3), "do not fit scale 2"),
        (noise(8, 9, 3), noise(32, 36, 3), "do not fit scale 2"),
        (noise(8, 9, 1), noise(16, 18, 1), "must be RGB"),
        (noise(8, 9, 4), noise(16, 18, 4), "must be RGB"),
        (noise(8, 9), noise(16, 18), "must be RGB"),
        (noise(8, 9, 3) / 255, noise(16, 18, 3), "uint8, not float64 and uint8"),
        (noise(8, 9, 3), np.float32(noise(16, 18, 3)), "uint8, not uint8 and float32"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(lr, hr, message):
    for batches in data.training_batches, data.validation_batches:
        with pytest.raises(ValueError, match=message):
            batches(dataset_of(lr, hr), 2, patch_size=8)


def test_pairs_of_another_scale_are_refused(tmp_path, make_pictures):
    make_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    pairs = data.load(tmp_path / "pictures", "all", 4)
    for batches in data.training_batches, data.validation_batches:
        with pytest.raises(ValueError, match="loaded for scale 4, not 2"):
            batches(pairs, 2, patch_size=8)


def test_picture_too_small_to_be_scored_is_named_before_training(
    tmp_path, make_pictures
):
    for split in ("train", "validation", "test"):
        make_pictures(tmp_path / split, ["a.png"])
    make_pictures(tmp_path / "test", ["icon.png", "small.png"], size=(19, 18))
    assert len(data.load(tmp_path, "test", 3)) == 3
    with pytest.raises(ValueError, match=r"2 pictures.*\n.*icon\.png is 16x16 .*19x19"):
        data.load(tmp_path, "test", 4)
    make_pictures(tmp_path / "flat", ["icon.png", "small.png"], size=(19, 18))
    assert len(data.load(tmp_path / "flat", "train", 4)) == 1
    for split in ("validation", "all"):  # which are scored where there is no test
        with pytest.raises(ValueError, match=r"\.png is 16x16 .*19x19"):
            data.load(tmp_path / "flat", split, 4)


def test_long_thin_picture_is_named_when_patches_are_cut(tmp_path, make_pictures):
    make_pictures(tmp_path, ["thin.png"], size=(5000, 20))
    pairs = data.load(tmp_path, "all", 1)
    with pytest.raises(ValueError, match=r"thin\.png is 5000x20 .* PATCH_SIZE = 48"):
        data.training_batches(pairs, 1)

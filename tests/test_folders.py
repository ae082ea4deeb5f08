"""Folders of pictures: every form they may have."""

import os
import pathlib
import shutil
import zlib

import numpy as np
import pytest

import data
import training
from core import folders, images
from core.files import files_below
from core.leaves import draw_leaves
from core.pairs import Pair
from helpers import names, noise, save


def test_pipes_are_left_out(tmp_path, make_pictures):
    """Of which reading would not end."""
    make_pictures(tmp_path, ["a.png", "b.png"])
    os.mkfifo(tmp_path / "c.png")
    assert len(data.load(tmp_path, "all", 2)) == 2
    assert len(images.find_pictures(tmp_path)) == 2


def test_link_behind_a_folder_that_cannot_be_entered_is_a_broken_one(
    tmp_path, make_pictures, monkeypatch
):
    """Of which Path.is_dir and its like raise an error. (Root may enter all.)"""
    make_pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "c.png").symlink_to(tmp_path / "secret" / "c.png")
    stat = pathlib.Path.stat

    def refuse(path, **kwargs):
        if path.name == "c.png":
            raise PermissionError(13, "Permission denied")
        return stat(path, **kwargs)

    monkeypatch.setattr(pathlib.Path, "stat", refuse)
    assert len(images.find_pictures(tmp_path)) == 3
    with pytest.raises(ValueError, match="c.png cannot be read"):
        data.load(tmp_path, "all", 2)


@pytest.mark.parametrize(
    "train, validation, test",
    [
        ("train", "validation", "test"),
        ("train", "val", "test"),
        ("Train", "Val", "Test"),
        ("training", "valid", "testing"),
        ("TRAINING", "Validation", "TESTING"),
    ],
)
def test_folder_with_splits(tmp_path, make_pictures, train, validation, test):
    folders = {"train": train, "validation": validation, "test": test}
    for number, name in enumerate(folders.values()):
        make_pictures(tmp_path / name, [f"{name} é.png"], seed=number)
    for split, name in folders.items():
        assert names(tmp_path, split) == {str(tmp_path / name / f"{name} é.png")}


@pytest.mark.parametrize(
    "form",
    [
        "{split}/{role}",
        "{role}/{split}",
        "{split}_{role}",
        "{role}_{split}",
        "archive/data/{split}/{role}",
        "beach/{role}/{split}",
    ],
)
def test_pairs_in_splits(tmp_path, make_pictures, form):
    for split in ("train", "valid", "test"):
        for role, side in {"HR": 40, "LR": 10}.items():
            folder = tmp_path / form.format(split=split, role=role)
            make_pictures(folder, [f"{split} é.png"], size=(side, side))
    for split, name in {
        "train": "train",
        "validation": "valid",
        "test": "test",
    }.items():
        folder = tmp_path / form.format(split=name, role="HR")
        assert names(tmp_path, split, scale=4) == {str(folder / f"{name} é.png")}
        (pair,) = data.load(tmp_path, split, 4).as_numpy_iterator()
        folder = tmp_path / form.format(split=name, role="LR")
        np.testing.assert_array_equal(
            pair[0], data.read_image(folder / f"{name} é.png")
        )


@pytest.mark.parametrize(
    "files, message",
    [
        (
            "train/a.png val/b.png validation/c.png",
            "/val and .*/validation have names that mean",
        ),
        (
            "train/a.png Train/b.png val/b.png",
            "/Train and .*/train have names that mean",
        ),
        (
            "train/HR/a.png train/hr/b.png val/c.png",
            "train/HR and .*train/hr have names",
        ),
        ("val/a.png", "has folders of validation pictures, and no folder train"),
        (
            "a.png b.png val/c.png",
            "has folders of validation pictures, and no folder train",
        ),
        ("test/a.png", "has folders of test pictures, and no folder train"),
        ("train/a.png val/notes.txt", "/val contains no pictures"),
        ("a.png b.png test/notes.txt", "/test contains no pictures"),
        ("HR/a.png LR/a.npy", "/LR contains no pictures"),
        (
            "train_images/a.png val_images/b.png",
            "/train_images, .*/val_images: by their",
        ),
        (
            "TrainSet/a.png TestSet/b.png",
            "seem to be splits of a dataset. Call them train",
        ),
        (
            "jpg/train2017/x/a.png jpg/val2017/b.png",
            "jpg/train2017, .*/jpg/val2017: by",
        ),
        (
            "DIV2K_train/a.png DIV2K_val/b.png",
            "DIV2K_train, .*/DIV2K_val: by their names",
        ),
        ("clip/HR/a.png clip/LR/deep/a.npy", "/LR contains no pictures"),
    ],
)
def test_splits_that_cannot_be_told_are_refused(tmp_path, files, message):
    for file in files.split():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(ValueError, match=message) as error:
        data.load(tmp_path, "train", 2)
    assert "\n" not in str(error.value)


# --- What is held out ---


def test_flat_folder_holds_out_a_tenth_by_name(tmp_path, make_pictures):
    files = [f"{number:02}.png" for number in range(30)]
    make_pictures(tmp_path, files)
    (tmp_path / "notes.txt").write_text("not a picture, nor named as one")
    (tmp_path / "clip.mpg").write_text("not a picture, though Pillow knows its ending")
    train, validation = names(tmp_path, "train"), names(tmp_path, "validation")
    assert len(validation) == 3 and not train & validation
    assert train | validation == names(tmp_path, "all")
    assert names(tmp_path, "validation") == validation


def test_pairs_by_name(tmp_path, make_pictures):
    make_pictures(tmp_path, ["a_HR.png", "b_HR.png"], size=(40, 24))
    make_pictures(tmp_path, ["a_LR.png", "b_LR.png"], size=(20, 12), seed=1)
    pairs = list(data.load(tmp_path, "all", 2))
    assert len(pairs) == 2
    np.testing.assert_array_equal(pairs[0][0], data.read_image(tmp_path / "a_LR.png"))
    np.testing.assert_array_equal(pairs[0][1], data.read_image(tmp_path / "a_HR.png"))
    with pytest.raises(
        ValueError, match=r"a_HR\.png .* = 4 is 10x6. It would fit SCALE = 2"
    ):
        data.load(tmp_path, "all", 4)
    (tmp_path / "b_LR.png").unlink()
    with pytest.raises(ValueError, match=r"b_HR\.png has no partner"):
        data.load(tmp_path, "all", 2)


def test_hr_and_lr_folders_side_by_side(tmp_path, make_pictures):
    make_pictures(tmp_path / "HR", ["a é.png", "b.png"], size=(40, 24))
    make_pictures(tmp_path / "LR", ["a é.png", "b.png"], size=(10, 6), seed=1)
    pairs = list(data.load(tmp_path, "all", 4).as_numpy_iterator())
    np.testing.assert_array_equal(pairs[1][0], data.read_image(tmp_path / "LR/b.png"))
    np.testing.assert_array_equal(pairs[1][1], data.read_image(tmp_path / "HR/b.png"))
    (tmp_path / "LR/b.png").unlink()
    with pytest.raises(ValueError, match=r"HR/b\.png has no partner"):
        data.load(tmp_path, "all", 4)


def test_test_pictures_lie_beside_any_others(tmp_path, make_pictures):
    make_pictures(tmp_path / "flat", ["a.png", "b.png"])
    make_pictures(tmp_path / "flat" / "test", ["c.png"])
    for part in ("train", "valid"):
        make_pictures(tmp_path / f"official/DIV2K_{part}_HR", ["0001.png"])
    make_pictures(tmp_path / "official/test", ["c.png"])
    for name in ("flat", "official"):
        test = tmp_path / name / "test/c.png"
        assert names(tmp_path / name, "test") == {str(test)}
        assert str(test) not in names(tmp_path / name, "train")


def test_the_same_pictures_are_held_out_wherever_the_folder_lies(
    tmp_path, make_pictures
):
    files = [f"{number}.png" for number in range(20)]
    held_out = [
        {name.split("/")[-1] for name in names(folder, "validation")}
        for folder in (
            make_pictures(tmp_path / "here", files),
            make_pictures(tmp_path / "there", files, seed=1),
        )
    ]
    assert held_out[0] == held_out[1] and len(held_out[0]) == 2


def held_out(folder):
    train, validation = names(folder, "train"), names(folder, "validation")
    assert not train & validation and train | validation == names(folder, "all")
    return sorted(os.path.relpath(name, folder) for name in validation)


def test_flat_folder_is_split_as_ever(tmp_path, make_pictures):
    """Saved runs resume with the same pictures."""
    make_pictures(tmp_path, [f"{number:03}.png" for number in range(40)], size=(16, 16))
    by_hash = sorted(range(40), key=lambda n: zlib.crc32(f"{n:03}.png".encode()))
    assert held_out(tmp_path) == [f"{number:03}.png" for number in sorted(by_hash[:4])]
    # The same in one subfolder.
    make_pictures(
        tmp_path / "in/one/pictures", [p.name for p in tmp_path.glob("*.png")]
    )
    assert held_out(tmp_path / "in") == [
        f"one/pictures/{number:03}.png" for number in sorted(by_hash[:4])
    ]


def test_one_picture_in_two_formats_is_on_one_side(tmp_path, make_pictures):
    names = [f"{number}.{ending}" for number in range(20) for ending in ("PNG", "jpg")]
    make_pictures(tmp_path, names)
    train, validation, _ = folders.hold_out(folders.pair_files(tmp_path, 2))
    stems = [{pair.hr.stem for pair in side} for side in (train, validation)]
    assert len(validation) == 4 and not stems[0] & stems[1]


def test_pictures_that_are_trained_on_and_scored_are_said(
    smooth_pictures, capsys, make_pictures
):
    data.load_splits(smooth_pictures, 2)
    out = capsys.readouterr().out
    assert "Warning" not in out and "With so few pictures to validate on" in out
    shutil.copy(smooth_pictures / "train/b.png", smooth_pictures / "test/c.png")
    data.load_splits(smooth_pictures, 2)
    out = capsys.readouterr().out
    paths = smooth_pictures / "test/c.png", smooth_pictures / "train/b.png"
    assert "Warning: 1 of the pictures to score are also trained on" in out
    assert "such as {}, which equals {}, so".format(*paths) in out


@pytest.mark.parametrize(
    "sizes, shares",
    [
        ([3] * 20, [6]),
        ([1, 2, 3, 4] * 10, [10]),
        ([50, 50], [50]),
        ([30, 1, 1, 1], [3]),
        ([100, 2, 2, 2, 2], [10 - 2]),
        ([1] * 5, [1]),
        ([7, 8], [7]),
    ],
)
def test_subfolders_are_held_out_as_a_whole(tmp_path, sizes, shares):
    pairs = [
        Pair(tmp_path / f"clip{clip}/{number}.png", None, (f"clip{clip}",))
        for clip, size in enumerate(sizes)
        for number in range(size)
    ]
    train, validation, notes = folders.hold_out(pairs)
    assert train == [pair for pair in pairs if pair not in validation]
    assert validation == sorted(validation) and len(validation) in shares
    assert not {pair.group for pair in train} & {pair.group for pair in validation}
    assert f"{len(validation)} of {len(pairs)} pictures, those of clip" in notes[0]


@pytest.mark.parametrize("form", ["{clip}", "{role}/{clip}", "{clip}/{role}"])
def test_frames_of_a_clip_stay_together(tmp_path, make_pictures, capsys, form):
    roles = {"HR": 40, "LR": 20} if "role" in form else {"HR": 40}
    for clip in range(12):
        for role, side in roles.items():
            folder = tmp_path / form.format(clip=f"clip{clip}", role=role)
            files = ["1.png", "2.png", "3.png"]
            make_pictures(folder, files, size=(side, side), seed=clip)
    make_pictures(tmp_path / ".thumbnails/clip1", ["1.png"])
    make_pictures(tmp_path / "results/edsr_x2/preview", ["1.png"])
    make_pictures(tmp_path / "upscaled", ["1_x2.png"])
    make_pictures(tmp_path / "out", ["curves.png"])
    (tmp_path / "out/state.npz").touch()
    validation = held_out(tmp_path)
    assert len(validation) == 3
    assert len({os.path.dirname(name) for name in validation}) == 1
    assert len(names(tmp_path, "all")) == 36
    capsys.readouterr()
    data.load_splits(tmp_path, 2)
    out = capsys.readouterr().out
    for name in ("out", "results", "upscaled"):
        assert f"Left out: {tmp_path / name}, which holds results.\n" in out
    assert "Held out for validation: 3 of 36 pictures, those of clip" in out


def test_pictures_beside_subfolders_are_taken_one_by_one(tmp_path, make_pictures):
    make_pictures(tmp_path, [f"{number}.png" for number in range(30)])
    make_pictures(
        tmp_path / "more/still more", [f"{number}.png" for number in range(9)]
    )
    assert len(names(tmp_path, "all")) == 39
    assert len(held_out(tmp_path)) == 3


def test_links_are_followed_but_not_in_circles(tmp_path, make_pictures):
    make_pictures(tmp_path / "elsewhere", ["a.png", "b.png"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/train").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine/val").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/itself").symlink_to("itself")
    assert len(names(tmp_path / "mine", "train")) == 2


def test_folder_that_cannot_be_opened_is_left_out(
    tmp_path, make_pictures, lock, capsys
):
    lock("lost+found")
    make_pictures(tmp_path, ["a.png", "b.png", "lost+found/c.png"])
    assert len(names(tmp_path, "all")) == 2
    note = f"Left out: {tmp_path / 'lost+found'}, which cannot be opened.\n"
    assert note in capsys.readouterr().out
    found = [path.name for path in files_below(tmp_path)]
    assert found == ["a.png", "b.png", "lost+found"]
    with pytest.raises(
        ValueError, match="lost.found cannot be opened: change its perm"
    ):
        images.find_pictures(tmp_path)


@pytest.mark.parametrize("locked", ["LR", "val", "test"])
def test_part_of_a_dataset_that_cannot_be_opened_is_refused(
    tmp_path, make_pictures, lock, locked
):
    lock(locked)
    make_pictures(tmp_path, ["train/HR/a.png", "val/HR/b.png", "test/HR/c.png"])
    make_pictures(tmp_path, [f"{part}/LR/a.png" for part in ("train", "val", "test")])
    with pytest.raises(ValueError, match=f"/{locked} contains no .*, or cannot be op"):
        data.load(tmp_path, "train", 2)


def test_dataset_that_cannot_be_opened_is_refused(tmp_path, make_pictures, lock):
    lock("photos")
    make_pictures(tmp_path / "photos", ["a.png", "b.png"])
    with pytest.raises(ValueError, match="photos cannot be opened: change its permi"):
        data.load(tmp_path / "photos", "train", 2)


# --- What is said ---


def test_what_was_found_is_said_once(tmp_path, make_pictures, capsys):
    make_pictures(tmp_path / "flat", [f"{number}.png" for number in range(20)])
    for seed, split in enumerate(("train", "val", "test")):
        make_pictures(tmp_path / "alone" / split, ["a.png", "b.png"], seed=seed)
        folder = tmp_path / f"pairs/{split}/HR"
        make_pictures(folder, ["a.png", "b.png"], (40, 40), seed=seed)
        make_pictures(tmp_path / f"pairs/{split}/LR", ["ax2.png", "bx2.png"], (20, 20))
    make_pictures(tmp_path / "pairs/train/HR/../notes", ["c.png", "d.png"])
    make_pictures(tmp_path / "pairs/others", ["e.png"])
    shutil.copytree(tmp_path / "pairs", tmp_path / "mixed")
    shutil.rmtree(tmp_path / "mixed/test/LR")
    lines = {}
    for name in ("flat", "alone", "pairs", "mixed"):
        data.load_splits(tmp_path / name, 2, ("bicubic", "area"))
        lines[name] = capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines()
    assert lines["flat"][0] == "flat: 20 pictures, LR made with bicubic and area."
    made = "LR made with bicubic and area."
    assert lines["alone"][0] == f"alone: 6 pictures in 3 folders, {made}"
    assert lines["pairs"][:3] == [
        "pairs: 6 pairs, such as HR/a.png and LR/ax2.png.",
        "Left out: pairs/others/e.png, in none of the splits.",
        "Left out: pairs/train/notes/c.png and 1 more, neither HR nor LR.",
    ]
    assert lines["mixed"][:3] == [
        "mixed, train: 2 pairs, such as HR/a.png and LR/ax2.png.",
        "mixed, validation: 2 pairs, such as HR/a.png and LR/ax2.png.",
        f"mixed, test: 2 pictures, {made}",
    ]
    for name, found in lines.items():
        assert sum(name in line and "such as" in line for line in found) <= 2
        assert f"Pictures for x2: train {18 if name == 'flat' else 2}" in str(found)


def test_shifted_pairs_are_said(tmp_path, capsys):
    for number in range(4):
        hr = draw_leaves(160, number)
        lr = np.roll(data.bicubic_resize(hr, 80, 80), 1, axis=1)
        save(hr, tmp_path / f"{number}_HR.png")
        save(lr, tmp_path / f"{number}_LR.png")
    data.load_splits(tmp_path, 2)
    out = capsys.readouterr().out
    assert out.count("Warning: ") == 1
    assert "_LR.png is shifted by (0.0, 2.0) HR pixels, down and to the right" in out
    assert "(4 of 4 checked)" in out


def test_home_is_found(tmp_path, make_pictures, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_pictures(tmp_path / "mine", ["a.png", "b.png"])
    assert names("~/mine", "all") == {str(tmp_path / f"mine/{n}.png") for n in "ab"}


def test_folder_whose_name_begins_with_a_tilde_is_found(
    tmp_path, make_pictures, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path / "~draft", ["a.png", "b.png"])
    assert names("~draft", "all") == {"~draft/a.png", "~draft/b.png"}
    folder = training.folder_of("~tests", "edsr", {"DATASET": "~draft", "SCALE": 2})
    assert str(folder) == "~tests/edsr_x2_~draft"


def test_animations_are_reported(tmp_path, capsys):
    from PIL import Image

    frames = [Image.fromarray(noise(20, 20, 3, seed=n)) for n in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    save(noise(20, 20, 3), tmp_path / "b.png")
    names(tmp_path, "all")
    assert "1 animated picture: only the first frame" in capsys.readouterr().out


def test_kinds_that_are_not_read_are_counted(tmp_path, make_pictures, capsys):
    make_pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "c.dng").write_bytes(b"raw")
    data.load_splits(tmp_path, 2)
    assert "Left out: 1 .dng (develop raw files" in capsys.readouterr().out

"""Folders of pictures: every form they may have."""

import numpy as np
import pytest

import data
from helpers import names, noise, save


@pytest.mark.parametrize("validation", ["validation", "val"])
def test_folder_with_splits(tmp_path, make_pictures, validation):
    for number, split in enumerate(["train", validation, "test"]):
        make_pictures(tmp_path / split, [f"{split} é.png"], seed=number)
    for role, split in [
        ("train", "train"),
        ("validation", validation),
        ("test", "test"),
    ]:
        assert names(tmp_path, role) == {str(tmp_path / split / f"{split} é.png")}


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
    with pytest.raises(ValueError, match=r"a_HR\.png is 20x12 .* SCALE = 4 is 10x6"):
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


def test_home_is_found(tmp_path, make_pictures, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_pictures(tmp_path / "mine", ["a.png", "b.png"])
    assert names("~/mine", "all") == {str(tmp_path / f"mine/{n}.png") for n in "ab"}


def test_animations_are_reported(tmp_path, capsys):
    from PIL import Image

    frames = [Image.fromarray(noise(20, 20, 3, seed=n)) for n in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    save(noise(20, 20, 3), tmp_path / "b.png")
    names(tmp_path, "all")
    assert "1 animated pictures: only their first frames" in capsys.readouterr().out

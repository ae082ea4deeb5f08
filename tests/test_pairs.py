"""Names of folders and files: which picture is HR, which LR, which belong together."""

import os

import numpy as np
import pytest

from core import folders, pairs
from core.leaves import draw_leaves
from core.pixels import bicubic_resize
from helpers import noise, save


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Makes empty files, which is enough for names; runs in their folder."""
    monkeypatch.chdir(tmp_path)

    def touch(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return touch


def found(folder, scale=4):
    """The pairs of a folder as relative names."""
    return [
        tuple(path and os.path.relpath(path, folder) for path in (pair.hr, pair.lr))
        for pair in folders.pair_files(folder, scale)
    ]


# --- What is read ---


@pytest.mark.parametrize(
    "hr, lr, others",
    [
        ("HR/one.png", "LR/one.png", ""),
        ("hr/one.png", "lr/one.jpg", ""),
        ("Hr/one.png", "lR/one.png", ""),
        ("GT/one.png", "LQ/one.png", ""),
        ("GT/one.png", "LR/one.png", ""),
        ("gt/one.png", "lq/one.png", ""),
        ("high/one.png", "low/one.png", ""),
        ("high_res/one.png", "low_res/one.png", ""),
        ("HighRes/one.png", "LowRes/one.png", ""),
        ("high resolution/one.png", "low resolution/one.png", ""),
        ("HR/oNe.PNG", "LR/one.png", ""),
        ("HR/e\u0301one.png", "LR/\xe9one.png", ""),  # as macOS and as others write it
        # With the scale in the name of LR
        ("HR/one.png", "LR/onex4.png", ""),
        ("HR/one.png", "LR/oneX4.png", ""),
        ("HR/one.png", "LR/one_x4.png", ""),
        ("HR/one.png", "LR/onex4.png", "LR/onex2.png LR/onex3.png LR/onex8.png"),
        ("HR/onex2.png", "LR/onex2.png", ""),
        ("HR/onex2.png", "LR/onex2x4.png", ""),
        ("HR/onex4.png", "LR/onex4.png", ""),
        # With the role in the name
        ("one_HR.png", "one_LR.png", ""),
        ("one_hr.png", "one_lr.png", ""),
        ("one-gt.png", "one-lq.png", ""),
        ("one_HR.png", "one_LR_x4.png", "one_LR_x2.png"),
        ("one_HR.png", "one_LR4.png", "one_LR2.png"),
        ("one_x4_HR.png", "one_x4_LR.png", ""),
        ("one_SRF_4_HR.png", "one_SRF_4_LR.png", ""),
        ("fox1_one_x9_HR.png", "fox1_one_x9_LR_x4.png", "fox1_one_x9_LR_x2.png"),
        ("HR/onefox1.png", "LR/onefox1_LRx4.png", ""),
        ("HR/onefox1_HR.png", "LR/onefox1x4.png", ""),
        ("HR/one_hr.png", "LR/one_lr.png", ""),
        ("HR/one_HR.png", "LR/one_LRx4.png", ""),
        ("HR/one_hr.png", "HR/one_lr.png", ""),
        ("HR/one.png", "one_lr.png", ""),
        ("HR/one_gt.png", "LR/one_gt.png", ""),
        # With the scale or the kind of LR in the name of the folder
        ("HR/one.png", "LR/X4/one.png", "LR/X2/one.png"),
        ("HR/one.png", "LR_bicubic/X4/onex4.png", "LR_bicubic/X3/onex3.png"),
        ("HR/one.png", "LR_x4/one.png", "LR_x2/one.png"),
        ("GTmod12/one.png", "LRbicx4/one.png", "LRbicx2/one.png"),
        ("HR/X4/one.png", "LR/X4/one.png", "HR/X2/one.png LR/X2/one.png"),
        (
            "image_SRF_4/one_SRF_4_HR.png",
            "image_SRF_4/one_SRF_4_LR.png",
            "image_SRF_2/one_SRF_2_HR.png image_SRF_2/one_SRF_2_LR.png",
        ),
        # In subfolders
        ("HR/clip 1/one.png", "LR/clip 1/one.png", ""),
        ("clip 1/HR/one.png", "clip 1/LR/one.png", ""),
        ("clip_1_HR/one.png", "clip_1_LR/one.png", ""),
        ("HR/a/b/c/one.png", "LR/a/b/c/onex4.png", ""),
        # Beside others
        ("HR/one.png", "LR/one.png", "one.png thumbnails/one.png"),
        ("one_HR.png", "one_LR.png", "one.png one_bicubic.png"),
    ],
)
def test_pairs_under_all_their_names(place, hr, lr, others):
    names = [hr, lr, *others.split()]
    more = [name.replace("one", "two").replace("oNe", "tWo") for name in names]
    folder = place(*names, *more)
    assert found(folder) == [(hr, lr), tuple(more[:2])]


def test_numbers_that_look_like_scales_are_kept_apart(place):
    names = ["box2_HR.png", "box2_LR_x4.png", "box3_HR.png", "box3_LR_x4.png"]
    assert found(place(*names)) == [tuple(names[:2]), tuple(names[2:])]


def test_pairs_for_another_scale_are_said_to_be_left_out(tmp_path):
    """Two magnifications of a microscope, for example."""
    names = ["HR/2.png", "LR/2.png", "x20/HR/1.png", "x20/LR/1.png", "x40/HR/1.png"]
    files = [(tmp_path / name, pairs.read_path(name.split("/")[:-1])) for name in names]
    (pair,), notes = pairs.pair_up(files, tmp_path, 4)
    assert (pair.hr, pair.lr) == (tmp_path / names[0], tmp_path / names[1])
    assert notes == [
        f"Left out: {tmp_path / names[2]} and 1 more, for another SCALE by their names."
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["0001x2.png", "0002x2.png"],
        ["matri.png", "matrix2.png"],  # other pictures
        ["0001_HR.png", "0002_HR.png"],
        ["beetle.jpg", "mustang_gt.jpg"],
        ["Mustang GT/2.png", "high street/1.png", "low light/1.png"],
        ["Mi x2/1.png", "X-T2/1.png", "x4/1.png"],
        ["cats/1.png", "dogs/1.png"],
        ["chroma/a.png", "lrx/c.png", "three/hr2/b.png"],
        ["dog.png", "small_dog.png"],
        ["high tide.jpg", "low tide.jpg", "tide.jpg"],
    ],
)
def test_photographs_are_not_taken_for_pairs(tmp_path, make_pictures, names):
    for number, name in enumerate(names):
        path, size = tmp_path / name, 48 // (number + 1)  # by a whole factor smaller
        make_pictures(path.parent, [path.name], size=(size, size), seed=number)
    assert found(tmp_path) == [(name, None) for name in names]


def test_hr_alone_is_read_from_its_folder(place):
    folder = place("HR/b.png", "HR/a.png", "drafts/c.png")
    assert found(folder) == [("HR/a.png", None), ("HR/b.png", None)]


# --- What is refused ---


@pytest.mark.parametrize(
    "names, message",
    [
        (
            "HR/1.png HR/2.png LR/1.png",
            "HR/2.png has no partner for SCALE = 4: every HR",
        ),
        ("HR/1.png LR/1.png LR/2.png", "LR/2.png has no partner"),
        ("HR/1.png LR/2.png", "HR/1.png has no partner"),
        ("HR/1.png HR/2.png LR/1x4.png LR/2x2.png", "HR/2.png has no partner for SC"),
        ("a_HR.png b_HR.png a_LR.png", "b_HR.png has no partner"),
        ("HR/c/1.png LR/1.png", "LR/1.png has no partner"),
        # LR for another scale
        (
            "HR/1.png LR/1x2.png LR/1x3.png",
            "are for SCALE = 2 and 3 .*not for SCALE = 4",
        ),
        ("HR/1.png LR/X2/1.png", "are for SCALE = 2 by their names, not for SCALE = 4"),
        ("HR/X2/1.png LR/X4/1.png", "are for SCALE = 2 and 4 by their names"),
        ("a_HR.png a_LR_x8.png", "are for SCALE = 8 by their names, not for SCALE = 4"),
        # LR whose HR is not named so, and the other way round
        ("LR/1.png 1.png", "LR/1.png is an LR picture .* no HR pictures .*expected in"),
        ("low/1.png big/1.png", "low/1.png is an LR picture by its name"),
        ("a_LR.png b_LR.png", "a_LR.png is an LR picture by its name"),
        (
            "HR/1.png small/1.png",
            "small/1.png is called like .*HR/1.png, but .*expected",
        ),
        ("HR/1.png 1x4.png", "/1x4.png is called like .*HR/1.png"),
        (
            "train_GT/1.png input/1x4.png",
            "input/1x4.png is called like .*train_GT/1.png",
        ),
        # Twice
        (
            "HR/1.png HR/1.jpg LR/1.png",
            "HR/1.jpg and .*HR/1.png would both be the HR p",
        ),
        (
            "HR/1.png LR/1.png LR/1.jpg",
            "LR/1.jpg and .*LR/1.png would both be the LR p",
        ),
        ("HR/1.png LR/1x4.png LR/1_x4.png", "would both be the LR picture of one pair"),
        ("a_HR.png a_LR.png a_LR.jpg", "a_LR.jpg and .*a_LR.png would both be the LR"),
        ("HR/1.png LR/1.png lr/2.png", "/LR and .*/lr have names that mean the same"),
        ("HR/1.png GT/2.png LR/1.png", "/GT and .*/HR have names that mean"),
        ("HR/1.png LR/1.png LQ/1.png", "/LQ and .*/LR have names that mean"),
        ("HR/1.png LR_bicubic/1.png LR_blur/1.png", "LR_bicubic and .*LR_blur have"),
        ("HR/1.png LR/X4/1.png LR/x4/1.png", "LR/X4 and .*LR/x4 have names that mean"),
    ],
)
def test_what_looks_like_pairs_and_is_none_is_refused(place, names, message):
    with pytest.raises(ValueError, match=message) as error:
        folders.pair_files(place(*names.split()), 4)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "names",
    [
        "a.png ax4.png",
        "big/a.png small/a.png",
        "original/a.png small/a_small.png",
        "a.png a_small.png",
        "a.png small-a.png",
        "hr_0000.png lr_0000.png",
        "hr0000.png lr0000.png",
        "GT_x4_0.png LQ_x4_0.png",
        "img_hr_1.png img_lr_1.png",
        "aHR.png aLR.png",
        "HRa.png LRa.png",
        "a-hires.png a-lores.png",
        "aHighRes.png aLowRes.png",
        "h\xe9.png he\u0301_low_res.png",
    ],
)
def test_small_copies_are_not_taken_for_hr(tmp_path, names):
    """Whatever they are called. Those in pairs of their own are."""
    large, small = (tmp_path / name for name in names.split())
    picture = draw_leaves(64, 0)
    save(picture, large)
    save(bicubic_resize(picture, 16, 16), small)
    message = f"{small} is a copy of {large}, as LR is of HR: pairs are expected in"
    with pytest.raises(ValueError, match=message):
        folders.pair_files(tmp_path, 4)
    save(picture, small)
    assert len(folders.pair_files(tmp_path, 4)) == 2
    save(bicubic_resize(picture[::-1], 16, 16), small)
    assert len(folders.pair_files(tmp_path, 4)) == 2


def test_small_copies_are_found_however_their_size_is_rounded(tmp_path):
    save(picture := draw_leaves(67, 0), tmp_path / "a.png")
    for side in (16, 17):  # 67 / 4 = 16.75
        save(bicubic_resize(picture, side, side), tmp_path / "a_small.png")
        with pytest.raises(ValueError, match="a_small.png is a copy of .*a.png"):
            folders.pair_files(tmp_path, 4)


def test_noisy_copies_are_not_taken_for_hr_where_the_scale_is_1(tmp_path):
    clean, noisy = tmp_path / "clean/a.png", tmp_path / "noisy/a.png"
    picture = draw_leaves(64, 0)
    save(picture, clean)
    save(np.clip(picture + noise(64, 64, 3) / 4.0 - 32, 0, 255).astype(np.uint8), noisy)
    with pytest.raises(
        ValueError, match="is a copy of .*as LR is of HR: pairs are exp"
    ):
        folders.pair_files(tmp_path, 1)
    assert len(folders.pair_files(tmp_path, 2)) == 2
    for other in (picture, picture[::-1]):
        save(other, noisy)
        assert len(folders.pair_files(tmp_path, 1)) == 2


def test_small_copies_are_looked_for_among_many(tmp_path, make_pictures):
    for clip in range(30):
        make_pictures(tmp_path / f"clip{clip}", ["1.png", "2.png"], seed=clip)
    assert len(folders.pair_files(tmp_path, 4)) == 60


@pytest.mark.parametrize("scale", [1, 4])
def test_copies_are_found_in_clips_whose_frames_have_the_same_names(tmp_path, scale):
    """As in REDS: train_sharp/000/00000000.png, and with X4/ the LR pictures."""
    for clip in range(40):
        for frame in range(2):
            picture = draw_leaves(64, [clip, frame])
            name = f"{clip:03}/{frame:08}.png"
            save(picture, tmp_path / "train_sharp" / name)
            copy = bicubic_resize(picture, 16, 16)
            if scale == 1:
                copy = np.clip(picture + noise(64, 64, 3) / 4.0 - 32, 0, 255)
            save(copy.astype(np.uint8), tmp_path / "train_sharp_bicubic/X4" / name)
    with pytest.raises(ValueError, match="is a copy of "):
        folders.pair_files(tmp_path, scale)


# --- Names ---


@pytest.mark.parametrize(
    "names, place",
    [
        ("train/HR", ("train", "HR", None, ())),
        ("HR/train", ("train", "HR", None, ())),
        ("Training", ("train", None, None, ())),
        ("valid_LR_bicubic/X4", ("validation", "LR", 4, ())),
        ("DIV2K_valid_HR", ("validation", "HR", None, ("div2k",))),
        ("LRx3", (None, "LR", 3, ())),
        ("test/cats", ("test", None, None, ("cats",))),
        ("cats/test", ("test", None, None, ("cats",))),
        ("train/train", ("train", None, None, ("train",))),
        ("train station", (None, None, None, ("train station",))),
        ("low tide/HR", (None, "HR", None, ("low tide",))),
    ],
)
def test_what_names_of_folders_say(names, place):
    assert pairs.read_path(names.split("/")) == place

"""Every dataset, from small replicas of its archives."""

import io
import os
import pathlib
import shutil
import tarfile

import matplotlib.cbook
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import data
import edsr
from core import datasets, decoded, folders, leaves, sources
from helpers import TINY, names, read_csv, save

CONFIGS = [
    ("bicubic", 2),
    ("bicubic", 3),
    ("bicubic", 4),
    ("bicubic", 8),
    ("unknown", 2),
    ("unknown", 3),
    ("unknown", 4),
    ("realistic_mild", 4),
    ("realistic_difficult", 4),
    ("realistic_wild", 4),
]


@pytest.fixture(scope="module")
def div2k_folder(tmp_path_factory):
    """DIV2K's zips unpacked, with three pictures to train and two to validate.

    LR of the tracks other than bicubic is bicubic made darker, so that a pair can be
    told from a mismatch, and the tracks from each other.
    """
    root = tmp_path_factory.mktemp("div2k")
    darker = {"unknown": 10, "realistic_mild": 20, "realistic_difficult": 30}
    for part, numbers in {"train": (1, 2, 3), "valid": (801, 802)}.items():
        for number in numbers:
            size = (72, 96) if number % 2 else (96, 48)
            rng = np.random.default_rng(number)
            hr = rng.integers(60, 200, (*size, 3), dtype=np.uint8)
            save(hr, root / f"DIV2K_{part}_HR/{number:04}.png")
            for track, scale in CONFIGS:
                lr = data.bicubic_resize(hr, size[0] // scale, size[1] // scale)
                name, mark = {
                    "bicubic": (f"bicubic/X{scale}", ""),
                    "unknown": (f"unknown/X{scale}", ""),
                    "realistic_mild": ("mild", "m"),
                    "realistic_difficult": ("difficult", "d"),
                    "realistic_wild": ("wild", "w"),
                }[track]
                name = "x8" if scale == 8 else name
                folder = root / f"DIV2K_{part}_LR_{name}"
                shots = range(1, 5) if (mark, part) == ("w", "train") else [""]
                for shot in shots:
                    dark = darker.get(track, 40 + (shot or 0) if mark == "w" else 0)
                    file = f"{number:04}x{scale}{mark}{shot}.png"
                    save(np.maximum(lr, dark) - np.uint8(dark), folder / file)
    return root


@pytest.fixture
def tfds_downloads(monkeypatch, tmp_path, div2k_folder):
    """TFDS' real builders, only their downloads replaced."""
    prepare = datasets.tfds_builder
    monkeypatch.setattr(
        datasets, "tfds_builder", lambda name: prepare(name, data_dir=tmp_path / "tfds")
    )

    def extract(self, urls):
        folders = {}
        for key, url in urls.items():
            zipped = pathlib.Path(url).stem
            folder = zipped.replace("_X", "/X")  # one folder holds several scales
            folders[key] = str(tmp_path / "extracted" / zipped)
            if not os.path.exists(folders[key]):
                target = pathlib.Path(folders[key]) / folder
                shutil.copytree(div2k_folder / folder, target)
        return folders

    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "download_and_extract", extract)


def dark_of(lr, hr, scale):
    """By how much LR is darker than MATLAB's bicubic of HR: one number if aligned."""
    own = data.bicubic_resize(hr, *lr.shape[:2])
    assert hr.shape[0] == lr.shape[0] * scale
    (dark,) = set(np.unique(own.astype(int) - lr))
    return dark


DARK = {"bicubic": 0, "unknown": 10, "realistic_mild": 20, "realistic_difficult": 30}


@pytest.mark.parametrize("track, scale", CONFIGS)
@pytest.mark.parametrize("through", ["tfds", "folder"])
def test_div2k_pairs_are_aligned_in_every_configuration(
    request, div2k_folder, track, scale, through
):
    if through == "tfds":
        request.getfixturevalue("tfds_downloads")
    dataset = "div2k" if through == "tfds" else div2k_folder
    for split, count in {"train": 3, "validation": 2}.items():
        pairs = list(data.load(dataset, split, scale, track).as_numpy_iterator())
        dark = [dark_of(lr, hr, scale) for lr, hr in pairs]
        if track == "realistic_wild" and split == "train":
            assert sorted(dark) == sorted([41, 42, 43, 44] * count)
        else:
            assert dark == [DARK.get(track, 40)] * count


def test_div2k_with_degradations_of_ours_and_mixed(tfds_downloads):
    for lr, hr in data.load("div2k", "train", 4, "area").as_numpy_iterator():
        blocks = hr.reshape(lr.shape[0], 4, lr.shape[1], 4, 3).mean((1, 3))
        assert np.abs(lr - blocks).max() <= 0.5
    mixed = data.load("div2k", "train", 4, ("unknown", "realistic_mild"))
    mixed = list(mixed.as_numpy_iterator())
    assert {dark_of(lr, hr, 4) for lr, hr in mixed} <= {10, 20}
    plain = data.load("div2k", "train", 4).as_numpy_iterator()
    # Each picture once, though every configuration has its own order.
    assert sorted(hr.tobytes() for _, hr in mixed) == sorted(
        hr.tobytes() for _, hr in plain
    )


def test_wild_mixes_with_degradations_of_ours(div2k_folder):
    mixed = data.load(div2k_folder, "train", 4, ("realistic_wild", "area"))
    pairs = list(mixed.as_numpy_iterator())
    assert [dark_of(lr, hr, 4) for lr, hr in pairs[:4]] == [41, 42, 43, 44]
    lr, hr = pairs[4]
    blocks = hr.reshape(lr.shape[0], 4, lr.shape[1], 4, 3).mean((1, 3))
    assert np.abs(lr - blocks).max() <= 0.5
    assert len(pairs) == 4 + 1 + 4


def test_wild_shares_its_hr_pictures(div2k_folder):
    pictures = data.load(div2k_folder, "train", 4, "realistic_wild").pictures
    assert len(pictures.names) == 12
    assert len(set(pictures.first_hr.numpy().tolist())) == 3


def test_div2k_configurations_that_do_not_exist():
    for degradation, scale in [("bicubic", 5), ("unknown", 8), ("realistic_wild", 2)]:
        with pytest.raises(ValueError, match=f"DIV2K has no {degradation}_x{scale}"):
            data.load("div2k", "train", scale, degradation)


def test_no_picture_of_div2k_has_two_roles(tfds_downloads, div2k_folder):
    for dataset in ("div2k", div2k_folder):
        pictures = [
            hr.tobytes()
            for split in ("train", "validation")
            for _, hr in data.load(dataset, split, 4).as_numpy_iterator()
        ]
        assert len(set(pictures)) == len(pictures) == 5


def test_missing_track_in_a_folder_is_named(div2k_folder, tmp_path):
    shutil.copytree(div2k_folder / "DIV2K_train_HR", tmp_path / "DIV2K_train_HR")
    with pytest.raises(
        ValueError, match=r"DIV2K_train_LR_mild/0001x4m\.png is missing"
    ):
        data.load(tmp_path, "train", 4, "realistic_mild")
    # Bicubic is what we make as well as they.
    assert len(data.load(tmp_path, "train", 4)) == 3


@pytest.fixture
def own_pairs(div2k_folder, tmp_path):
    """Own pairs in DIV2K's folders: LR is darker than bicubic by 7, so neither theirs nor
    ours."""

    def build(lr_name):
        for part in ("train", "valid"):
            for hr in (div2k_folder / f"DIV2K_{part}_HR").iterdir():
                picture = data.read_image(hr)
                save(picture, tmp_path / f"DIV2K_{part}_HR" / hr.name)
                size = [side // 2 for side in picture.shape[:2]]
                lr = data.bicubic_resize(picture, *size) - np.uint8(7)
                save(lr, tmp_path / lr_name.format(part=part, number=hr.stem))
        return tmp_path

    return build


@pytest.mark.parametrize("name", ["{number}.png", "{number}_x2.png", "{number}X2.bmp"])
def test_own_pairs_in_the_folders_of_div2k(own_pairs, name):
    folder = own_pairs(f"DIV2K_{{part}}_LR_bicubic/X2/{name}")
    for split, count in {"train": 3, "validation": 2}.items():
        pairs = list(data.load(folder, split, 2).as_numpy_iterator())
        assert [dark_of(lr, hr, 2) for lr, hr in pairs] == [7] * count


@pytest.mark.parametrize(
    "name, hint",
    [
        ("DIV2K_{part}_LR/{number}.png", "DIV2K_train_LR/0001.png is there"),
        (
            "DIV2K_{part}_LR_mine/{number}x2.png",
            "DIV2K_train_LR_mine/0001x2.png is there",
        ),
        ("DIV2K_{part}_LR_bicubic/{number}.png", "DIV2K_train_LR_bicubic/0001.png is"),
        ("DIV2K_{part}_LR_bicubic/X4/{number}.png", "LR_bicubic/X4/0001.png is there"),
        (
            "DIV2K_{part}_LR_bicubic_X2/DIV2K_{part}_LR_bicubic/X2/{number}x2.png",
            "LR_bicubic_X2/DIV2K_train_LR_bicubic/X2/0001x2.png is there",
        ),
    ],
)
def test_own_lr_elsewhere_is_not_passed_over(own_pairs, name, hint):
    folder = own_pairs(name)
    message = (
        f"0001.png has no LR picture for SCALE = 2, but .*{hint}.*_bicubic/X2, under"
    )
    with pytest.raises(ValueError, match=message):
        data.load(folder, "train", 2)


def test_brackets_in_the_names_of_own_pairs_are_no_pattern(tmp_path, make_pictures):
    stems = ["a1", "a[1]"]
    make_pictures(tmp_path / "DIV2K_train_HR", [f"{stem}.png" for stem in stems])
    lr = tmp_path / "DIV2K_train_LR_bicubic/X2"
    make_pictures(lr, [f"{stem}x2.png" for stem in stems], size=(24, 20))
    pairs = datasets.find_splits(tmp_path, 2, ("bicubic",))["train"]().pairs
    assert [(p.hr.stem, p.lr.stem) for p in pairs] == [(s, f"{s}x2") for s in stems]


def test_tests_beside_the_folders_of_div2k(tmp_path, make_pictures, capsys):
    """In pairs where there are some. DIV2K's own has LR alone."""
    make_pictures(tmp_path / "DIV2K_train_HR", ["1.png", "2.png"])
    lr = make_pictures(tmp_path / "DIV2K_test_LR_bicubic/X2", ["3x2.png"], (24, 20))
    (tmp_path / "DIV2K_test_LR_bicubic_X2.zip").touch()
    assert len(data.load(tmp_path, "train", 2)) == 2
    assert f"Left out: {lr.parent}, LR without HR." in capsys.readouterr().out
    with pytest.raises(ValueError, match='has no "test" pictures'):
        data.load(tmp_path, "test", 2)
    make_pictures(tmp_path / "DIV2K_test_LR_unknown/X2", ["3x2.png"], (24, 20))
    own = make_pictures(tmp_path / "test", ["own.png"])
    (pair,) = datasets.find_splits(tmp_path, 2, ("bicubic",))["test"]().pairs
    assert (pair.hr, pair.lr) == (own / "own.png", None)
    shutil.rmtree(own)
    shutil.rmtree(tmp_path / "DIV2K_test_LR_unknown")
    make_pictures(tmp_path / "DIV2K_test_HR", ["3.png"])
    (pair,) = datasets.find_splits(tmp_path, 2, ("bicubic",))["test"]().pairs
    assert (pair.hr.name, pair.lr.name) == ("3.png", "3x2.png")


def test_what_lies_beside_the_folders_of_div2k_is_named(
    tmp_path, make_pictures, capsys
):
    make_pictures(tmp_path / "DIV2K_train_HR", ["1.png", "2.png"])
    (tmp_path / "DIV2K_train_HR/raw.dng").touch()
    make_pictures(tmp_path / "Flickr2K_HR", ["3.png"])
    make_pictures(tmp_path, ["4.png"])
    assert len(data.load(tmp_path, "train", 2)) == 2
    out = capsys.readouterr().out
    assert f"Left out: {tmp_path / '4.png'} and 1 more, not in one of DIV2K's" in out
    assert "1 .dng" in out


def test_own_lr_in_the_folders_of_div2k_that_is_odd(own_pairs):
    folder = own_pairs("DIV2K_{part}_LR_bicubic/X2/{number}.png")
    lr = folder / "DIV2K_train_LR_bicubic/X2/0001.png"
    shutil.copy(lr, lr.with_suffix(".bmp"))
    with pytest.raises(
        ValueError, match="0001.bmp and .*0001.png are both LR of .*HR/00"
    ):
        data.load(folder, "train", 2)
    lr.unlink()
    lr.with_suffix(".bmp").unlink()
    with pytest.raises(ValueError, match="0001.png has no LR .*X2/0002.png is there"):
        data.load(folder, "train", 2)


def test_div2k_of_which_other_scales_are_there(div2k_folder, tmp_path):
    """Their own LR of x2 says nothing about x3: it is made as they made it."""
    for name in (
        "DIV2K_train_HR",
        "DIV2K_train_LR_bicubic/X2",
        "DIV2K_train_LR_unknown",
    ):
        shutil.copytree(div2k_folder / name, tmp_path / name)
    pairs = data.load(tmp_path, "train", 3).as_numpy_iterator()
    assert [dark_of(lr, hr, 3) for lr, hr in pairs] == [0, 0, 0]


def test_an_empty_dataset_is_not_the_current_folder(
    tmp_path, make_pictures, monkeypatch
):
    monkeypatch.chdir(make_pictures(tmp_path, ["a.png", "b.png"]))
    with pytest.raises(ValueError, match="DATASET is empty: set it to .*folder, which"):
        data.load("", "all", 2)
    for here in (".", pathlib.Path()):
        assert len(data.load(here, "all", 2)) == 2


@pytest.mark.parametrize("name", ["leaves", "div2k", "bsds500", "flowers"])
def test_folder_with_the_name_of_a_built_in_dataset(
    tmp_path, make_pictures, monkeypatch, name
):
    """Neither is taken silently. TFDS' own folder, and one of results, are not meant."""
    monkeypatch.chdir(tmp_path)
    opened = {"train": "the built-in dataset"}
    monkeypatch.setitem(datasets.DATASETS, name, lambda *arguments: opened)
    (tmp_path / name / "bicubic_x4/2.0.0").mkdir(parents=True)
    (tmp_path / name / "bicubic_x4/2.0.0/div2k-train.tfrecord-00000-of-00001").touch()
    make_pictures(tmp_path / name / "edsr_x2_leaves", ["curves.png"])
    (tmp_path / name / "edsr_x2_leaves/state.npz").touch()
    make_pictures(tmp_path / name.upper(), ["a.png", "b.png"])
    assert datasets.find_splits(name, 2, ("bicubic",)) is opened
    make_pictures(tmp_path / name / "deep", ["a.png", "b.png"])
    message = (
        f"'{name}' is a built-in dataset, and .*set DATASET = \"./{name}\" for the fo"
    )
    with pytest.raises(ValueError, match=message):
        data.load(name, "all", 2)
    assert len(data.load(f"./{name}", "all", 2)) == 2


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("photos", "photos/", True),
        ("photos", "./photos", True),
        ("photos", "a/../photos//", True),
        ("~/photos", "{home}/photos", True),
        ("photos", "{here}/photos", True),
        ("~draft", "./~draft", True),
        ("photos", "photo", False),
        ("photos", "a/photos", False),
        ("leaves", "leaves", True),
        ("leaves", "./leaves", False),
        ("leaves", "leaves/", False),
        ("leaves/", "./leaves", True),
    ],
)
def test_one_folder_has_many_names(tmp_path, monkeypatch, one, other, same):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    other = other.format(home=tmp_path / "home", here=tmp_path)
    assert datasets.is_same(one, other) is datasets.is_same(other, one) is same


def test_unreachable_dataset_says_what_to_do(monkeypatch):
    def unreachable(name):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "tfds_builder", unreachable)
    commands = {
        ("div2k", "unknown"): "div2k --scale 2 --degradation unknown",
        ("flowers", "area"): "flowers",
    }
    for (dataset, degradation), command in commands.items():
        message = rf"could not be fetched .no network.*with `python data\.py {command}`"
        with pytest.raises(ValueError, match=message):
            data.load(dataset, "train", 2, degradation)


def test_flowers_hold_out_the_first_600(tfds_downloads, monkeypatch, tmp_path, capsys):
    archive = tmp_path / "flower_photos.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for number in range(605):
            size = (60, 50) if number % 5 else (40, 30)  # a fifth is too small for x1
            color = (number // 256, number % 256, 99)
            file = io.BytesIO()
            Image.new("RGB", size, color).save(file, format="png")
            info = tarfile.TarInfo(f"flower_photos/daisy/{number}.jpg")
            info.size = file.tell()
            file.seek(0)
            tar.addfile(info, file)
    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "download", lambda self, url: str(archive))
    seen = []
    for split in ("train", "validation"):
        source = datasets.find_splits("flowers", 1, ("bicubic",))[split]()
        assert source.size > 100 * source.count  # else all would go to memory
        pairs = data.load("flowers", split, 1, smallest=48)
        for lr, hr in pairs.as_numpy_iterator():
            assert hr.shape == (50, 60, 3)
            seen.append((split, tuple(hr[0, 0])))
    assert len(seen) == 605 - 121
    assert len({color for _, color in seen}) == len(seen)  # none has two roles
    out = capsys.readouterr().out
    assert "Smaller than a patch, and left out: " in out
    with pytest.raises(ValueError, match="flowers has 51x51 pixels in low resolution"):
        data.load("flowers", "train", 1, smallest=51)


def test_tracks_of_div2k_need_its_pictures(tmp_path, make_pictures):
    make_pictures(tmp_path, ["a.png", "b.png"])
    with pytest.raises(ValueError, match="'unknown' is DIV2K's own, and .*a.png"):
        data.load(tmp_path, "train", 4, "unknown")
    with pytest.raises(ValueError, match="own, and flowers has no LR picture"):
        data.load("flowers", "train", 4, ("bicubic", "unknown"))


def test_one_opening_gives_all_splits(tfds_downloads, monkeypatch):
    opened = []
    prepare = datasets.tfds_builder
    monkeypatch.setattr(
        datasets, "tfds_builder", lambda name: opened.append(name) or prepare(name)
    )
    train, validation, scored = data.load_splits("div2k", 4)
    assert opened == ["div2k/bicubic_x4"]
    assert [len(pairs) for pairs in (train, validation, scored)] == [3, 2, 2]


def test_command_prepares_what_scripts_use(tfds_downloads, keras_home, monkeypatch):
    monkeypatch.setattr(decoded, "MEMORY_LIMIT", 0)
    data.load("div2k", "train", 4, ("bicubic",))  # as the command does
    data.load("div2k", "train", 4)
    assert len(list((keras_home / "datasets" / "decoded").iterdir())) == 1


# --- Leaves ---


def test_leaves_are_drawn_once_into_the_cache(small_leaves, keras_home):
    data.load("leaves", "test", 4)
    assert not list(keras_home.rglob("*.png"))  # a photograph
    data.load("leaves", "validation", 4)
    pairs = data.load("leaves", "train", 4)
    drawn = sorted(keras_home.rglob("*.png"))
    assert len(drawn) == 5 and len(pairs) == 3
    times = [path.stat().st_mtime_ns for path in drawn]
    drawn[0].unlink()
    data.load("leaves", "train", 4)
    assert [p.stat().st_mtime_ns for p in drawn[1:]] == times[1:]
    lr, hr = next(iter(pairs))
    np.testing.assert_array_equal(hr, data.read_image(drawn[0]))
    np.testing.assert_array_equal(lr, data.bicubic_resize(hr.numpy(), 16, 16))
    assert len({path.read_bytes() for path in drawn}) == 5


@pytest.mark.parametrize("dataset", ["leaves", "bsds500"])
def test_degradations_of_div2k_are_refused_at_once(dataset, keras_home):
    with pytest.raises(
        ValueError, match=f"'unknown' is DIV2K's own, and {dataset} has"
    ):
        data.load(dataset, "train", 4, ("bicubic", "unknown"))
    assert not [*keras_home.rglob("*.png")]


def test_leaves_that_cannot_be_written_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "folder").touch()
    for count in (2, 20):  # in this process, and in others
        seeds = {tmp_path / "folder" / f"{n}.png": n for n in range(count)}
        with pytest.raises(OSError, match="png cannot be written: ") as caught:
            list(leaves.draw_files(seeds, 64))
        error = caught.value
        assert error.__cause__ is None and error.__suppress_context__


def test_leaves_are_tested_on_a_photograph(small_leaves):
    (photograph,) = names("leaves", "test")
    assert photograph == matplotlib.cbook.get_sample_data(
        "grace_hopper.jpg", asfileobj=False
    )


# --- BSDS500 ---


@pytest.fixture
def bsds500(keras_home, tmp_path, make_pictures):
    """A small replica of the archive, where get_file looks before it downloads."""
    for number, split in enumerate(["train", "test", "val"]):
        make_pictures(tmp_path / split, [f"{split}.jpg"], seed=number)
    (keras_home / "datasets").mkdir()
    with tarfile.open(keras_home / "datasets/BSR_bsds500.tgz", "w:gz") as archive:
        for split in ("train", "test", "val"):
            archive.add(tmp_path / split, f"BSR/BSDS500/data/images/{split}")


def test_bsds500_that_broke_off_is_fetched_again(bsds500, keras_home, monkeypatch):
    archive = keras_home / "datasets/BSR_bsds500.tgz"
    whole = archive.rename(keras_home / "elsewhere.tgz")
    archive.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    monkeypatch.setattr(datasets, "BSDS500_URL", whole.as_uri())
    assert len(names("bsds500", "train")) == 1
    assert archive.read_bytes() == whole.read_bytes()
    assert not list((keras_home / "datasets").glob("tmp*"))


def test_bsds500_tests_on_the_official_val(bsds500):
    roles = {
        role: {name.split("/")[-1] for name in names("bsds500", role)}
        for role in ("train", "validation", "test")
    }
    assert roles == {
        "train": {"train.jpg"},
        "validation": {"test.jpg"},
        "test": {"val.jpg"},
    }


def test_bsds500_out_of_reach_says_what_to_do(monkeypatch):
    def unreachable(*args, **kwargs):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(datasets.keras.utils, "get_file", unreachable)
    with pytest.raises(
        ValueError, match="BSDS500 could not be fetched.*Put BSR_bsds500.tgz"
    ):
        data.load("bsds500", "train", 4)


# --- All of them ---


def test_no_picture_has_two_roles(bsds500, small_leaves, tmp_path, make_pictures):
    make_pictures(tmp_path / "flat", [f"{number}.png" for number in range(12)])
    for split in ("train", "validation", "test"):
        make_pictures(tmp_path / "split" / split, [f"{split}.png"])
    for dataset in ("bsds500", "leaves", tmp_path / "flat", tmp_path / "split"):
        roles = ["train", "validation", "test"]
        if dataset == tmp_path / "flat":
            roles.remove("test")
        pictures = [names(dataset, role) for role in roles]
        assert all(pictures)
        assert len(set.union(*pictures)) == sum(map(len, pictures))


def test_scored_are_test_pictures_or_else_those_held_out():
    assert datasets.scored_split(["train", "validation", "test"]) == "test"
    assert datasets.scored_split(["train", "validation"]) == "validation"
    assert datasets.scored_split(["train", "validation", "all"]) == "validation"


def test_dataset_of_test_pictures_alone_is_prepared(
    tmp_path, make_pictures, monkeypatch, capsys
):
    make_pictures(tmp_path / "set", ["a.png", "b.png"])

    def open_set(scale, degradations):
        pairs = {"test": folders.pair_files(tmp_path / "set", scale)}
        return sources.splits_of_files(pairs, degradations)

    monkeypatch.setitem(datasets.DATASETS, "set14", open_set)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["data.py", "set14", "--scale", "2"])
    data.main()
    assert "test: 2 pictures" in capsys.readouterr().out
    assert (tmp_path / "results/pairs_set14_x2.png").exists()
    with pytest.raises(ValueError, match='set14 has no "train" pictures, only "test"'):
        data.load_splits("set14", 2, "bicubic", 8, 0.0)


def test_a_new_dataset_is_one_entry(tmp_path, make_pictures, run_script, monkeypatch):
    """From which a script then trains, and whose test pictures it scores."""
    for number, split in enumerate(("train", "validation", "test")):
        make_pictures(tmp_path / "lab" / split, [f"{split}.png"], seed=number)

    def open_lab(scale, degradations):
        assert (scale, degradations) == (2, ("bicubic",))
        pairs = {
            split: folders.pair_files(tmp_path / "lab" / split, scale)
            for split in ("train", "validation", "test")
        }
        return sources.splits_of_files(pairs, degradations)

    monkeypatch.setitem(datasets.DATASETS, "lab", open_lab)
    folder, out = run_script(edsr, **TINY["edsr"], DATASET="lab")
    assert folder.name == "edsr_x2_lab"
    assert "train 1, validate 1, score 1" in out and "\ntest.png " in out
    assert [row["name"] for row in read_csv(folder / "scores.csv")][1] == "EDSR"
    with pytest.raises(ValueError, match='datasets .*"flowers", "lab"'):
        data.load("nowhere", "train", 2)

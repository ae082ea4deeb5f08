"""Every dataset, from small replicas of its archives, and every form of a folder."""

import io
import os
import pathlib
import shutil
import sys
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import data
import sources
import training

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


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def tfds_downloads(monkeypatch, tmp_path, div2k_folder):
    """TFDS' real builders, only their downloads replaced."""
    prepare = sources.tfds_builder
    monkeypatch.setattr(
        sources, "tfds_builder", lambda name: prepare(name, data_dir=tmp_path / "tfds")
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


def test_unreachable_dataset_says_what_to_do(monkeypatch):
    def unreachable(name):
        raise ConnectionError("no network")

    monkeypatch.setattr(sources, "tfds_builder", unreachable)
    commands = {
        ("div2k", "unknown"): "div2k --scale 2 --degradation unknown",
        ("flowers", "area"): "flowers",
    }
    for (dataset, degradation), command in commands.items():
        message = rf"could not be fetched .no network.*by `python data\.py {command}`"
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
        source = sources.find_splits("flowers", 1, ("bicubic",))[split]()
        assert source.size > 100 * source.count  # else all would go to memory
        pairs = data.load("flowers", split, 1, smallest=48)
        for lr, hr in pairs.as_numpy_iterator():
            assert hr.shape == (50, 60, 3)
            seen.append((split, tuple(hr[0, 0])))
    assert len(seen) == 605 - 121
    assert len({color for _, color in seen}) == len(seen)  # none has two roles
    out = capsys.readouterr().out
    assert "pictures are smaller than a patch and left out" in out
    with pytest.raises(ValueError, match="flowers has 51x51 pixels in low resolution"):
        data.load("flowers", "train", 1, smallest=51)


# --- Folders ---


def test_hr_and_lr_folders_side_by_side(tmp_path, make_pictures):
    make_pictures(tmp_path / "HR", ["a é.png", "b.png"], size=(40, 24))
    make_pictures(tmp_path / "LR", ["a é.png", "b.png"], size=(10, 6), seed=1)
    pairs = list(data.load(tmp_path, "all", 4).as_numpy_iterator())
    np.testing.assert_array_equal(pairs[1][0], data.read_image(tmp_path / "LR/b.png"))
    np.testing.assert_array_equal(pairs[1][1], data.read_image(tmp_path / "HR/b.png"))
    (tmp_path / "LR/b.png").unlink()
    with pytest.raises(ValueError, match=r"HR/b\.png has no partner"):
        data.load(tmp_path, "all", 4)


def test_long_thin_picture_is_named_when_patches_are_cut(tmp_path, make_pictures):
    make_pictures(tmp_path, ["thin.png"], size=(5000, 20))
    pairs = data.load(tmp_path, "all", 1)
    with pytest.raises(ValueError, match=r"thin\.png is 5000x20 .* PATCH_SIZE = 48"):
        data.training_batches(pairs, 1)


# --- Degradations ---


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


def test_tuple_takes_turns_from_picture_to_picture(tmp_path, make_pictures):
    make_pictures(tmp_path, [f"{n}.png" for n in range(4)])
    kinds = ("bicubic", "area")
    mixed = data.load(tmp_path, "all", 4, kinds).as_numpy_iterator()
    plain = [data.load(tmp_path, "all", 4, kind).as_numpy_iterator() for kind in kinds]
    for number, (lr, *both) in enumerate(zip(mixed, *plain)):
        np.testing.assert_array_equal(lr[0], both[number % 2][0])
        assert (both[0][0] != both[1][0]).any()


def test_tracks_of_div2k_need_its_pictures(tmp_path, make_pictures):
    make_pictures(tmp_path, ["a.png", "b.png"])
    with pytest.raises(ValueError, match="'unknown' is DIV2K's own, and .*a.png"):
        data.load(tmp_path, "train", 4, "unknown")
    with pytest.raises(ValueError, match="own, and flowers has no LR picture"):
        data.load("flowers", "train", 4, ("bicubic", "unknown"))


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_utf8(tmp_path, make_pictures, tiny_network, capsys):
    names = [os.fsdecode(b"caf\xe9.png"), "a.png"]
    make_pictures(tmp_path, names)
    loaded = [data.load(tmp_path, "all", 2, "realistic") for _ in range(2)]
    for pair, same in zip(*(pairs.as_numpy_iterator() for pairs in loaded)):
        np.testing.assert_array_equal(pair[0], same[0])
    path = tmp_path / "drawn/comparison.png"
    training.compare({"EDSR": tiny_network(2)}, loaded[0], path)
    assert "caf\ufffd.png" in capsys.readouterr().out


# --- The cache of decoded pictures ---


def test_cache_on_disk_gives_the_same_and_is_reused(
    tmp_path, make_pictures, monkeypatch, keras_home
):
    make_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    memory = list(data.load(tmp_path / "pictures", "all", 2).as_numpy_iterator())
    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)
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
        patch.setattr(sources, "read_image", read_again)
        assert len(data.load(tmp_path / "pictures", "all", 2)) == 3
    # A changed picture, another scale: another cache.
    make_pictures(tmp_path / "pictures", ["c.png"], seed=5)
    changed = data.load(tmp_path / "pictures", "all", 2)
    assert (list(changed.as_numpy_iterator())[2][1] != memory[2][1]).any()
    assert len(list(folder.parent.iterdir())) == 2


def test_broken_off_decoding_leaves_no_cache(
    tmp_path, make_pictures, monkeypatch, keras_home
):
    make_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(data, "_make_pair", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.load(tmp_path / "pictures", "all", 2)
    assert list((keras_home / "datasets/decoded").iterdir()) == []
    assert len(data.load(tmp_path / "pictures", "all", 2)) == 3


def test_two_runs_that_start_at_once_use_one_cache(
    tmp_path, make_pictures, monkeypatch, keras_home
):
    folder = make_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)
    make_pair = data._make_pair
    others = []

    def while_another_run_finishes(*args):
        if not others:
            others.append(None)
            others.append(data.load(folder, "all", 2))
        return make_pair(*args)

    monkeypatch.setattr(data, "_make_pair", while_another_run_finishes)
    ours = data.load(folder, "all", 2)
    for a, b in zip(ours.as_numpy_iterator(), others[1].as_numpy_iterator()):
        np.testing.assert_array_equal(a[1], b[1])
    assert len(list((keras_home / "datasets/decoded").iterdir())) == 1


# --- The command ---


def test_command_prepares_what_scripts_use(tfds_downloads, keras_home, monkeypatch):
    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)
    data.load("div2k", "train", 4, ("bicubic",))  # as the command does
    data.load("div2k", "train", 4)
    assert len(list((keras_home / "datasets" / "decoded").iterdir())) == 1


def test_command_prepares_and_draws(tmp_path, make_pictures, monkeypatch, capsys):
    make_pictures(tmp_path / "my pictures", ["a.png", "b.png", "c.png"])
    arguments = ["data.py", str(tmp_path / "my pictures"), "--scale", "2"]
    arguments += ["--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    data.main()
    assert Image.open(tmp_path / "out/pairs_my pictures_x2.png").size[0] > 1000
    assert "train: 2 pictures" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["data.py", "nowhere"])
    with pytest.raises(SystemExit, match="data.py: DATASET = 'nowhere' is neither"):
        data.main()

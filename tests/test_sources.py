"""What a split holds, before its pictures are read, and what is said of it."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from core import sources
from core.pairs import Pair
from core.sources import Source


def source(*pairs, notes=()):
    """A source of files that nobody reads."""
    pairs = [
        Pair(pathlib.Path(hr), lr and pathlib.Path(lr), degradation=degradation)
        for hr, lr, degradation in pairs
    ]
    return Source(lambda: [], len(pairs), None, 0, pairs=pairs, notes=notes)


def test_degradations_take_turns():
    pairs = [Pair(f"{number}.png", None, ()) for number in range(3)]
    turns = sources.assign_degradations(pairs, ("bicubic", "area"))
    assert [pair.degradation for pair in turns] == ["bicubic", "area", "bicubic"]
    with pytest.raises(
        ValueError, match="'unknown' is DIV2K's own, and 1.png has no LR"
    ):
        sources.assign_degradations(pairs, ("bicubic", "unknown"))
    own = [Pair("a.png", "b.png", ())]
    assert sources.assign_degradations(own, ("unknown",)) == [
        ("a.png", "b.png", (), "unknown")
    ]


@pytest.mark.parametrize(
    "opened, lines",
    [
        (
            {"all": source(("x/a.png", None, "bicubic"))},
            ["x: 1 picture, LR made with bicubic."],
        ),
        (
            {
                "train": source(
                    ("x/a.png", None, "bicubic"), ("x/b.png", None, "area")
                ),
                "test": source(
                    ("x/c/a.png", None, "area"), ("x/d.png", None, "bicubic")
                ),
            },
            ["x: 4 pictures in 2 folders, LR made with bicubic and area."],
        ),
        (
            {
                "train": source(("x/HR/a.png", "x/LR/a.png", "area"), notes=["Note."]),
                "test": source(("x/HR/b.png", "x/LR/b.png", "area"), notes=["Note."]),
            },
            ["x: 2 pairs, such as HR/a.png and LR/a.png.", "Note."],
        ),
        (
            {
                "train": source(("x/t/a_HR.png", "x/t/a_LR.png", "bicubic")),
                "test": source(("x/a.png", None, "area")),
            },
            [
                "x, train: 1 pair, such as a_HR.png and a_LR.png.",
                "x, test: 1 picture, LR made with area.",
            ],
        ),
        (
            {"all": source(("a", None, "area"), ("b", "c", "unknown"))},
            ["x: 1 pair, such as b and c, and 1 picture, LR made with area."],
        ),
        (
            {
                "train": Source(None, 800, None, 0, "pictures from TFDS' div2k"),
                "test": Source(None, 100, None, 0, "pictures from TFDS' div2k"),
            },
            ["x: 900 pictures from TFDS' div2k."],
        ),
    ],
)
def test_what_was_found_in_words(opened, lines):
    assert sources.describe("x", opened) == lines


@pytest.mark.parametrize("deep", ["hr", "lr"])
def test_dark_picture_of_16_bits_beside_one_of_8_is_refused(tmp_path, deep):
    """If its range is assumed wrongly, so that it would become brighter than the other."""
    rng = np.random.default_rng(0)
    for white, right in ((65535, False), (4095, True)):
        values = rng.integers(0, 4096, (16, 16)) / white
        both = {"hr": values, "lr": values[::2, ::2]}
        for name, part in both.items():
            dtype, factor = (np.uint16, white) if name == deep else (np.uint8, 255)
            samples = np.round(part * factor).astype(dtype)
            Image.fromarray(samples).save(tmp_path / f"{name}.png")
        pair = [Pair(tmp_path / "hr.png", tmp_path / "lr.png")]
        (example,) = sources.source_of_files(pair).examples()
        if right:
            assert all(picture.dtype == np.uint8 for picture in example.read())
        else:
            with pytest.raises(
                ValueError, match="differ in brightness. Its 16-bit pix"
            ):
                example.read()


def test_pairs_of_16_bits_are_read_over_one_range(tmp_path):
    hr = np.random.default_rng(0).integers(0, 4096, (16, 16), np.uint16)
    hr[0, 0] = 4095
    lr = hr[::2, ::2]
    pictures = {"hr": hr, "lr": lr, "dark": lr // 5, "bright": lr * 16}
    for name, picture in pictures.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    for name, right in [("lr", True), ("dark", False), ("bright", False)]:
        pair = [Pair(tmp_path / "hr.png", tmp_path / f"{name}.png")]
        (example,) = sources.source_of_files(pair).examples()
        if right:
            hr, lr = example.read()
            assert hr.max() == lr.max() == 255 and hr.dtype == lr.dtype == np.uint8
        else:
            with pytest.raises(ValueError, match="read over different ranges .HR: Its"):
                example.read()

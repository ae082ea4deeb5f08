"""tools/detail.py: the squares it cuts out of photographs."""

import re
import shutil

import numpy as np
from PIL import Image

from helpers import noise, save
from tools import detail


def test_squares_cover_a_picture_once():
    covered = np.zeros((640, 1000), int)
    sides = []
    for top, bottom, left, right in detail.squares(*covered.shape):
        covered[top:bottom, left:right] += 1
        sides += [bottom - top, right - left]
    assert (covered == 1).all()
    assert 200 < min(sides) and max(sides) < 450


def test_squares_with_detail_are_cut_out_unchanged(tmp_path, run_command):
    flat = np.full((300, 300, 3), 90, np.uint8)
    rough = [noise(300, 300, 3, seed=seed) for seed in range(2)]
    for folder, image in zip(("here", "there"), rough):
        path = tmp_path / "photos" / folder
        path.mkdir(parents=True)
        save(np.hstack([image, flat]), path / f"{'same' * 60}.png")
    hidden = tmp_path / "photos" / ".Trash"
    hidden.mkdir()
    save(rough[0], hidden / "thrown_away.png")
    status, out = run_command(detail, tmp_path / "photos", tmp_path / "out")
    assert status == 0 and "2 of 4 squares" in out
    written = [
        np.asarray(Image.open(path)) for path in sorted((tmp_path / "out").iterdir())
    ]
    for square, image in zip(written, rough, strict=True):
        np.testing.assert_array_equal(square, image)


def test_pictures_that_are_missing_or_damaged_are_named(tmp_path, run_command):
    status, _ = run_command(detail, tmp_path, tmp_path / "out")
    assert status == f"detail.py: {tmp_path} contains no pictures."
    for name in ("HR", "LR"):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        save(noise(8, 8, 3), tmp_path / "pairs" / name / "a.png")
    status, _ = run_command(detail, tmp_path / "pairs", tmp_path / "out")
    assert re.search("LR.a.png is an LR picture by its name: name a folder", status)
    shutil.rmtree(tmp_path / "pairs")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    status, _ = run_command(detail, tmp_path, tmp_path / "out")
    assert status.startswith("detail.py:") and "bad.png" in status
    assert not (tmp_path / "out").exists()
    status, _ = run_command(detail, tmp_path, tmp_path)
    assert status == f"detail.py: {tmp_path} exists already: name a new folder."

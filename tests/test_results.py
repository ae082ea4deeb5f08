"""The report of a run: each picture enlarged once for each row, table and drawings."""

import numpy as np
import pytest

import compare
import data
import drawings
import edsr
import metrics
import results
from core import pixels, tiles
from helpers import TINY, read_csv


@pytest.fixture
def enlargements(monkeypatch):
    """Counts how often pictures are enlarged by networks and in bicubic rows: a dict.

    The tiny pictures aside with which `metrics.evaluate_each` warms up.
    """
    counts = {"network": 0, "bicubic": 0}
    predict, resize = tiles._run_halves, pixels._resize_rows

    def count_predictions(model, image, *options):
        counts["network"] += min(image.shape[:2]) > 16
        return predict(model, image, *options)

    def count_resizing(image, rows):
        counts["bicubic"] += rows > image.shape[0] > 16  # of one axis
        return resize(image, rows)

    monkeypatch.setattr(tiles, "_run_halves", count_predictions)
    monkeypatch.setattr(pixels, "_resize_rows", count_resizing)
    return counts


def test_report_enlarges_each_picture_once_for_each_row(
    run_script, enlargements, smooth_pictures
):
    folder, _ = run_script(edsr, report=False, **TINY["edsr"])
    for name in ("history.csv", "curves.png"):
        (folder / name).unlink()  # as if it ended before
    enlargements.update(network=0, bicubic=0)
    folder, out = run_script(edsr, **TINY["edsr"])  # straight to the report
    rows = [row["name"] for row in read_csv(folder / "scores.csv")]
    assert "trained for all" in out and rows == ["bicubic", "EDSR", "EDSR+"]
    assert (folder / "curves.png").exists()
    assert len(read_csv(folder / "history.csv")) == 2
    pictures = len(list((smooth_pictures / "test").iterdir()))
    assert pictures == 2
    assert enlargements == {"network": pictures * (1 + 8), "bicubic": 2 * pictures}


def test_comparison_enlarges_each_picture_once_for_each_network(
    tiny_network, enlargements, tmp_path, make_pictures
):
    make_pictures(tmp_path / "in", ["a.png", "b.png", "c.png", "d.png"], size=(60, 50))
    pairs = data.load(tmp_path / "in", "all", 2)
    networks = {f"net{seed}": tiny_network(2, seed=seed) for seed in range(3)}
    enlargements.update(network=0, bicubic=0)
    path = tmp_path / "out" / "comparison.png"
    table, first = results.compare(networks, pairs, ["net1"])
    results.draw_first(first, pairs, path, drawings.draw_details)
    assert list(table) == ["bicubic", "net0", "net1", "net1+", "net2"]
    assert enlargements == {"network": 4 * (3 + 8), "bicubic": 2 * 4}
    names = sorted(path.name for path in path.parent.iterdir())
    assert names == ["comparison.png", "comparison_2.png", "comparison_3.png"]


def test_table_drawings_and_lines_say_the_same(
    tiny_network, tmp_path, make_pictures, capsys
):
    files = [f"{number}.png" for number in range(7)]
    make_pictures(tmp_path / "in", files)
    pairs = data.load(tmp_path / "in", "all", 2)
    drawn = []
    model = tiny_network(2)

    def draw(lr, hr, enlarged, path):
        drawn.append((lr, hr, enlarged, path))

    path = tmp_path / "comparison.png"
    table, first = results.compare({"net": model}, pairs)
    results.draw_first(first, pairs, path, draw)
    for name, network in {"bicubic": None, "net": model}.items():
        expected = metrics.evaluate(network, pairs, verbose=0)
        for key in ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "detail", "parameters"):
            assert table[name][key] == expected[key]
    assert [path.name for *_, path in drawn] == [
        "comparison.png",
        "comparison_2.png",
        "comparison_3.png",
    ]
    lines = capsys.readouterr().out.splitlines()
    for number, (pair, (lr, hr, enlarged, _)) in enumerate(zip(pairs, drawn)):
        np.testing.assert_array_equal(lr, pair[0])
        np.testing.assert_array_equal(hr, pair[1])
        (line,) = [line for line in lines if line.startswith(f"{number}.png ")]
        scores = [metrics.psnr(hr, sr, 2, luma=True) for sr in enlarged.values()]
        assert line.split()[1:] == [f"{score:.2f}" for score in scores]
        captions = [caption.rpartition(" dB")[0] for caption in enlarged]
        assert captions == [f"{n}\n{s:.2f}" for n, s in zip(table, scores)]
    printed = [line for line in lines if ".png " in line]
    assert len(printed) == results.PRINTED == 5


def test_more_pictures_can_be_drawn_than_printed(
    tiny_network, tmp_path, make_pictures, monkeypatch, capsys
):
    make_pictures(tmp_path / "in", ["a.png", "b.png", "c.png"])
    pairs = data.load(tmp_path / "in", "all", 2)
    monkeypatch.setattr(results, "PRINTED", 1)
    _, first = results.compare({"net": tiny_network(2)}, pairs)
    results.draw_first(first, pairs, tmp_path / "comparison.png")
    assert len(list(tmp_path.glob("comparison*.png"))) == 3
    # None of an earlier report stays.
    results.draw_first(first, pairs.take(1), tmp_path / "comparison.png")
    assert len(list(tmp_path.glob("comparison*.png"))) == 1
    assert capsys.readouterr().out.count(".png ") == 1


def broken(*_):
    raise RuntimeError("no fonts")


def test_drawing_that_fails_costs_no_epoch(run_script, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(drawings, "draw_curves", broken)
        with pytest.raises(RuntimeError, match="no fonts"):
            run_script(edsr, **{**TINY["edsr"], "EPOCHS": 1})
    folder, out = run_script(edsr, report=False, **{**TINY["edsr"], "EPOCHS": 1})
    assert "trained for all of its 1 epochs" in out
    assert len(read_csv(folder / "history.csv")) == 1


def test_drawing_that_fails_costs_no_table(
    run_script, run_command, smooth_pictures, tmp_path, monkeypatch, capsys
):
    constants = {**TINY["edsr"], "EPOCHS": 1}
    folder, _ = run_script(edsr, report=False, **constants)
    (folder / "curves.png").unlink()
    for drawing in folder / "curves.png", folder / "comparison.png":
        drawing.mkdir()  # nothing can be put in its place
    with pytest.raises(OSError, match=".png"):
        run_script(edsr, **constants)
    assert "\nEDSR+ " in capsys.readouterr().out
    assert len(read_csv(folder / "scores.csv")) == 3
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drawings, "draw_details", broken)
    with pytest.raises(RuntimeError, match="no fonts"):
        run_command(compare, folder / "model.keras", "--data", smooth_pictures)
    assert "\nbicubic " in capsys.readouterr().out
    assert len(read_csv(tmp_path / "results/compared/scores.csv")) == 2

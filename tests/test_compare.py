import csv
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import compare
import data
import metrics
import training

PROJECT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def results(tmp_path, tiny_network):
    """Networks as the scripts save them, and the picture folder's name."""
    for name, network in {
        "edsr_x2_here/model.keras": tiny_network(2),
        "mdsr_x2x3_here/model_x2.keras": tiny_network(2, seed=1),
        "mdsr_x2x3_here/model_x3.keras": tiny_network(3),
        "mine/luma.keras": tiny_network(2, channels=1),
    }.items():
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        training.save_model(network, path)
    return tmp_path


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, PROJECT / "compare.py", *arguments],
        cwd=folder,
        env={**os.environ},
        capture_output=True,
        text=True,
    )


def test_all_in_results_are_compared(results, smooth_pictures):
    arguments = "--scale 2 --self-ensemble edsr_x2_here --data".split()
    old = results / "results/compared/comparison_3.png"
    not_ours = old.with_stem("comparison_lenses")
    old.parent.mkdir()
    old.touch()
    not_ours.touch()
    done = run(results, *arguments, smooth_pictures)
    assert done.returncode == 0, done.stderr
    assert "model_x3.keras enlarges by 3, not by --scale 2" in done.stdout
    assert " cores, " in done.stdout
    assert not old.exists() and not_ours.exists()
    folder = results / "results/compared"
    with open(folder / "scores.csv") as file:
        rows = {row.pop("name"): row for row in csv.DictReader(file)}
    names = ["bicubic", "edsr_x2_here", "edsr_x2_here+", "mdsr_x2x3_here"]
    assert list(rows) == names
    pairs = data.load(str(smooth_pictures), "test", 2)
    model = keras.saving.load_model(results / "results/mdsr_x2x3_here/model_x2.keras")
    expected = metrics.evaluate(model, pairs)
    for key in ("psnr_y", "ssim_rgb", "parameters"):
        np.testing.assert_allclose(float(rows["mdsr_x2x3_here"][key]), expected[key])
    for name in ("comparison.png", "comparison_2.png"):
        assert Image.open(folder / name).size[0] > 500


def test_names_that_the_terminal_cannot_show(
    results, tiny_network, smooth_pictures, monkeypatch
):
    training.save_model(tiny_network(2), results / "сеть.keras")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    (smooth_pictures / "test/a.png").rename(smooth_pictures / "test/а.png")
    done = run(results, "сеть.keras", "--data", smooth_pictures)
    assert done.returncode == 0, done.stderr
    assert "\\u0441\\u0435\\u0442\\u044c" in done.stdout
    with open(results / "results/compared/scores.csv", encoding="utf-8") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["bicubic", "сеть"]


def test_network_of_the_current_folder_has_its_name(results, monkeypatch):
    monkeypatch.chdir(results / "results/edsr_x2_here")
    assert compare.name_of(pathlib.Path("model.keras")) == "edsr_x2_here"


def test_networks_can_be_named_by_file(results, capsys):
    networks = compare.load_networks([results / "results/mine/luma.keras"], 2)
    assert list(networks) == ["luma"]
    assert compare.scale_of([results / "results/mine/luma.keras"]) == 2
    assert compare.scale_of([]) == 4
    assert not compare.load_networks([results / "results/mine/luma.keras"], 4)
    path = results / "results/edsr_x2_here/model.keras"
    with pytest.raises(ValueError, match="would be the second edsr_x2_here"):
        compare.load_networks([path, path], 2)


def test_networks_that_ship_are_compared_where_none_was_trained(
    results, smooth_pictures, tiny_network, monkeypatch, capsys
):
    monkeypatch.chdir(results)
    monkeypatch.setattr(compare.upscale, "WEIGHTS", results / "weights")
    (results / "weights").mkdir()
    training.save_model(tiny_network(4), results / "weights" / "edsr_x4.keras")
    monkeypatch.setattr(sys, "argv", ["compare.py", "--data", str(smooth_pictures)])
    compare.main()
    out = capsys.readouterr().out
    assert "model_x3.keras enlarges by 3" in out and "\nedsr_x4 " in out


@pytest.mark.parametrize("name", ["test", "all", "validation"])
def test_scored_pictures_are_those_held_out(name, smooth_pictures, make_pictures):
    folder = smooth_pictures
    if name == "all":
        folder = smooth_pictures / "test"
    if name == "validation":
        for path in (folder / "test").iterdir():
            path.unlink()
        (folder / "test").rmdir()
    pairs = compare.load_pairs(str(folder), 2)
    expected = folder if name == "all" else folder / name
    paths = [pathlib.Path(path) for path in pairs.pictures.names]
    assert {path.parent for path in paths} == {expected}


def test_errors_are_one_line(results, smooth_pictures, monkeypatch):
    monkeypatch.chdir(results)
    alone = results / "alone/train"
    alone.parent.mkdir()
    (smooth_pictures / "train").rename(alone)
    (results / "results/run").mkdir()
    (results / "results/run/state.npz").touch()
    for arguments, message in {
        ("--scale", "5"): "compare.py: No network for --scale 5: train one",
        ("--self-ensemble", "x", "--scale", "2"): "--self-ensemble x: not one of",
        ("nowhere.keras",): "compare.py: nowhere.keras: there is no such file",
        ("--scale", "2", "--data", "nowhere"): "'nowhere' is neither a folder nor",
        ("--scale", "2", "--data", "alone"): "alone has neither test nor validation",
        (
            "--scale",
            "2",
            "--output",
            "results/run",
        ): "results/run belongs to a training",
    }.items():
        monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
        with pytest.raises(SystemExit) as stop:
            compare.main()
        assert message in stop.value.code and "\n" not in stop.value.code


def test_pictures_stay_until_others_are_drawn(results):
    drawn = results / "results/compared/comparison.png"
    drawn.parent.mkdir()
    drawn.touch()
    done = run(results, "--scale", "2", "--data", "nowhere")
    assert done.returncode == 1 and drawn.exists()

"""Those benchmarks whose figures do not depend on the machine."""

import functools
import importlib.util
import pathlib
import re
import sys

import keras
import numpy as np
import pytest

import data
import metrics
import training

BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_protocols_start_with_that_of_the_papers(
    tmp_path, tiny_network, make_pictures, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(BENCHMARKS)
    training.save_model(tiny_network(2), tmp_path / "network.keras")
    folder = make_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    arguments = ["protocols.py", tmp_path / "network.keras", folder]
    monkeypatch.setattr(sys, "argv", [*map(str, arguments)])
    load("protocols").main()
    lines = capsys.readouterr().out.splitlines()
    rows = [re.fullmatch(r"(.+?) +([\d.]+) +([\d.]+)", line) for line in lines]
    bicubic = {row[1]: float(row[2]) for row in rows if row}
    pairs = data.load(folder, "all", 2)
    paper = metrics.evaluate(None, pairs)["psnr_y"]
    assert abs(bicubic["as the papers"] - paper) < 0.006
    # The luma of JPEG has 255 grey levels where that of the papers has 219.
    wider = bicubic["luma of 0 to 255, as of JPEG"] - paper
    assert abs(wider - 20 * np.log10(219 / 255)) < 0.1
    assert bicubic["LR by data.bicubic_resize"] == bicubic["as the papers"]
    assert abs(bicubic["Y rounded to whole levels"] - paper) < 0.05
    assert bicubic["LR by slicing, as hr[::scale]"] < paper
    assert len(bicubic) == 11


def test_blend_goes_from_one_network_to_the_other(
    tmp_path, tiny_network, smooth_pictures, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(BENCHMARKS)
    start, trained = tmp_path / "start.keras", tmp_path / "trained.keras"
    for seed, path in enumerate((start, trained)):
        training.save_model(tiny_network(2, seed=seed), path)
    arguments = ["blend.py", start, trained, "--validation", smooth_pictures]
    test = smooth_pictures / "test"
    monkeypatch.setattr(sys, "argv", [*map(str, arguments), "--test", str(test)])
    load("blend").main()
    lines = capsys.readouterr().out.splitlines()
    rows = [list(map(float, line.split())) for line in lines if line[:4] == "  0."]
    rows += [list(map(float, line.split())) for line in lines if line[:4] == "  1."]
    assert [row[0] for row in rows] == [0, 0.5, 0.6, 0.7, 0.8, 1]
    assert rows[2] != rows[0] and rows[2] != rows[-1]
    splits = data.load(smooth_pictures, "validation", 2), data.load(test, "all", 2)
    for path, row in ((start, rows[0]), (trained, rows[-1])):
        network = keras.saving.load_model(path)
        scores = [metrics.evaluate(network, pairs)["psnr_y"] for pairs in splits]
        np.testing.assert_allclose(row[1:], scores, atol=0.006)


def test_jpeg_of_less_quality_scores_less(
    tmp_path, tiny_network, smooth_pictures, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(BENCHMARKS)
    training.save_model(tiny_network(2), tmp_path / "network.keras")
    folder = smooth_pictures / "test"
    arguments = ["jpeg.py", folder, tmp_path / "network.keras"]
    monkeypatch.setattr(sys, "argv", [*map(str, arguments)])
    load("jpeg").main()
    _, bicubic, network = capsys.readouterr().out.splitlines()
    clean, *saved = map(float, bicubic.split()[1:])
    expected = metrics.evaluate(None, data.load(folder, "all", 2))["psnr_y"]
    assert abs(clean - expected) < 0.006
    assert clean > saved[0] > saved[-1] and len(saved) == 6
    assert len(network.split()) == 8


def test_scores_are_kept(tmp_path, make_pictures, capsys):
    shared = load("shared")
    a, b = (
        data.load(make_pictures(tmp_path / name, ["1.png"], seed=seed), "all", 2)
        for seed, name in enumerate("ab")
    )
    path = tmp_path / "results" / "scores.csv"
    first = shared.score(path, "bicubic", lambda: None, {"a": a})
    assert first == [metrics.evaluate(None, a)["psnr_y"]]

    def train():
        raise AssertionError("trained twice")

    assert shared.score(path, "bicubic", train, {"a": a}) == first
    other = shared.score(path, "bicubic", lambda: None, {"b": b})
    assert other == [metrics.evaluate(None, b)["psnr_y"]] != first


def test_recipes_go_on_and_each_trains_for_its_steps(
    tmp_path, small_leaves, make_pictures, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.chdir(tmp_path)
    recipes = load("recipes")
    build = functools.partial(recipes.edsr.build_edsr, filters=4, blocks=1)
    monkeypatch.setattr(recipes.edsr, "build_edsr", build)
    monkeypatch.setattr(recipes, "EPOCH", 2)
    monkeypatch.setattr(recipes, "seconds_per_step", lambda recipe: [0.6])
    recipes.HERE["patch_size"] = 8
    folder = str(make_pictures(tmp_path / "pictures", ["a.png"]))
    constant = "constant, averaged weights"
    arguments = ["recipes.py", folder, "--minutes", "0.02", "--recipes"]
    monkeypatch.setattr(sys, "argv", [*arguments, "edsr.py", constant])
    recipes.main()
    out = capsys.readouterr().out
    # Once when it starts, once in the table.
    assert out.count("edsr.py, 0.02 minutes, 2 steps") == 2
    assert out.count("New run") == 2
    arguments = ["recipes.py", folder, "--minutes", "0.02", "0.04", "--recipes"]
    monkeypatch.setattr(sys, "argv", [*arguments, constant])
    recipes.main()
    out = capsys.readouterr().out
    assert "New run" not in out and out.count("Going on") == 1
    assert out.count(f"{constant}, 0.04 minutes, 4 steps") == 2
    pathlib.Path("results/recipes.csv").unlink()
    monkeypatch.setattr(sys, "argv", [*arguments[:3], "0.02", "--recipes", constant])
    with pytest.raises(ValueError, match="x4_leaves was trained for longer"):
        recipes.main()


def test_recipes_start_as_keras_does_where_they_say_so(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    recipes = load("recipes")
    example = recipes.RECIPES["the Keras example"]
    model = recipes.build({**recipes.HERE, **example}, 10)
    first, second = (
        np.asarray(model.get_layer(f"block{number}_conv1").kernel) for number in (1, 2)
    )
    bound = np.sqrt(6 / (9 * 64 + 9 * 64))  # Glorot's; the authors' is 1 / sqrt(9 * 64)
    assert 0.95 * bound < np.abs(first).max() <= bound
    assert np.abs(first - second).max() > 0


def test_drawn_variants_change_the_pictures_and_are_put_back(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    drawn = load("drawn")
    monkeypatch.setattr(drawn, "PICTURES", 1)
    before = dict(vars(drawn.leaves))
    pictures = {}
    for name, constants in drawn.VARIANTS.items():
        drawn.draw(tmp_path, constants)
        pictures[name] = (tmp_path / "0_drawn_0001.png").read_bytes()
        assert vars(drawn.leaves) == before
    assert len(set(pictures.values())) == len(pictures)

"""Those benchmarks whose figures do not depend on the machine."""

import pathlib
import re

import keras
import numpy as np
import pytest

import data
import metrics
import training
import upscale
from benchmarks import blend, dial, drawn, kinds, protocols, recipes, shared
from helpers import PROJECT

NAMES = (
    "backends blend browser dial drawn frames kinds phones pipeline precision protocols "
    "recipes runtimes steps upscaling waiting"
).split()


def test_all_are_modules_that_the_documentation_names():
    pages = [path.read_text(encoding="utf-8") for path in PROJECT.glob("docs/*.md")]
    for name in NAMES:
        path = PROJECT / "benchmarks" / f"{name}.py"
        source = path.read_text(encoding="utf-8")
        assert f"    python -m benchmarks.{name}" in source.split('"""')[1]
        assert any(f"python -m benchmarks.{name}" in page for page in pages)
        assert "sys.path" not in source
    library = {"__init__", "memory", "shared", "torch_edsr"}
    files = {path.stem for path in (PROJECT / "benchmarks").glob("*.py")}
    assert files == library | set(NAMES)


def test_dial_goes_from_one_network_to_the_other(
    tmp_path, tiny_network, make_pictures, run_command, real_weights
):
    folder = make_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    paths = tmp_path / "faithful.keras", tmp_path / "sharp.keras"
    for seed, path in enumerate(paths):
        training.save_model(tiny_network(2, seed=seed), path)
    drawn = tmp_path / "dial.png"
    status, out = run_command(dial, folder, *paths, "--draw", drawn)
    assert status == 0 and drawn.exists()
    rows = [line.split() for line in out.splitlines() if line.startswith("    ")]
    rows = {row[0]: [float(value) for value in row[1:]] for row in rows}
    pairs = data.load(folder, "all", 2)
    for stop, path in zip(("0", "1"), paths):
        scores = metrics.evaluate(keras.saving.load_model(path), pairs)
        for value, key in zip(rows[stop], ("psnr_y", "psnr_rgb", "lpips")):
            assert abs(value - scores[key]) < 0.006
    assert rows["0.5"] not in (rows["0"], rows["1"])


def test_protocols_start_with_that_of_the_papers(
    tmp_path, model_file, make_pictures, run_command
):
    folder = make_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    status, out = run_command(protocols, model_file, folder)
    assert status == 0
    rows = [re.fullmatch(r"(.+?) +([\d.]+) +([\d.]+)", x) for x in out.splitlines()]
    bicubic = {row[1]: float(row[2]) for row in rows if row}
    network = {row[1]: float(row[3]) for row in rows if row}
    pairs = data.load(folder, "all", 2)
    paper = metrics.evaluate(None, pairs)["psnr_y"]
    assert abs(bicubic["as in the papers"] - paper) < 0.006
    # The luma of JPEG has 255 grey levels where that of the papers has 219.
    wider = bicubic["luma of 0 to 255, as in JPEG"] - paper
    assert abs(wider - 20 * np.log10(219 / 255)) < 0.1
    assert bicubic["LR: data.bicubic_resize"] == bicubic["as in the papers"]
    assert abs(bicubic["Y rounded to whole levels"] - paper) < 0.05
    assert bicubic["LR: slicing, hr[::scale, ::scale]"] < paper
    assert len(bicubic) == 11
    ours = metrics.evaluate(keras.saving.load_model(model_file), pairs)
    assert abs(network["as in the papers"] - ours["psnr_y"]) < 0.006
    assert abs(network["all of RGB"] - ours["psnr_rgb"]) < 0.006


@pytest.mark.slow
def test_blend_goes_from_one_network_to_the_other(
    tmp_path, tiny_network, smooth_pictures, run_command
):
    start, trained = tmp_path / "start.keras", tmp_path / "trained.keras"
    for seed, path in enumerate((start, trained)):
        training.save_model(tiny_network(2, seed=seed), path)
    test = smooth_pictures / "test"
    arguments = (start, trained, "--validation", smooth_pictures, "--test", test)
    status, out = run_command(blend, *arguments)
    assert status == 0
    lines = out.splitlines()
    rows = [list(map(float, line.split())) for line in lines if line[:4] == "  0."]
    rows += [list(map(float, line.split())) for line in lines if line[:4] == "  1."]
    assert [row[0] for row in rows] == [0, 0.5, 0.6, 0.7, 0.8, 1]
    assert rows[2] != rows[0] and rows[2] != rows[-1]
    splits = data.load(smooth_pictures, "validation", 2), data.load(test, "all", 2)
    for path, row in ((start, rows[0]), (trained, rows[-1])):
        network = keras.saving.load_model(path)
        scores = [metrics.evaluate(network, pairs)["psnr_y"] for pairs in splits]
        np.testing.assert_allclose(row[1:], scores, atol=0.006)


def test_kinds_of_lr_are_scored_apart(model_file, smooth_pictures, run_command):
    folder = smooth_pictures / "test"
    status, out = run_command(kinds, folder, model_file)
    assert status == 0
    table = out.split("PSNR Y\n")[1].split("\n\n")[0]
    rows = {
        row[:32].strip(): [*map(float, row[32:].split())] for row in table.splitlines()
    }
    pairs = data.load(folder, "all", 2)
    for column, network in enumerate((None, upscale.load_network(model_file))):
        expected = metrics.evaluate(network, pairs, verbose=0)["psnr_y"]
        assert abs(rows["bicubic, as in the papers"][column] - expected) < 0.006
    by_quality = [rows[f"bicubic, JPEG {quality}"][0] for quality in kinds.QUALITIES]
    assert by_quality[0] > by_quality[-1]
    assert {"area", "nearest, no antialiasing", "realistic", "web"} < rows.keys()
    _, out = run_command(kinds, folder, model_file, "--kinds", "web", "realistic")
    chosen = out.split("PSNR Y\n")[1].split("\n\n")[0].splitlines()
    assert chosen == [
        line
        for name in ("web", "realistic")
        for line in table.splitlines()
        if line.startswith(f"{name} ")
    ]
    status, _ = run_command(kinds, folder, model_file, "--kinds", "webb")
    assert "--kinds 'webb' is not one of" in status


def test_scores_are_kept(tmp_path, make_pictures, capsys):
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


@pytest.mark.slow
def test_recipes_resume_and_each_trains_for_its_steps(
    tmp_path, small_leaves, make_pictures, monkeypatch, run_command
):
    monkeypatch.chdir(tmp_path)
    for name, value in {"PATCH_SIZE": 8, "FILTERS": 4, "BLOCKS": 1}.items():
        monkeypatch.setitem(recipes.HERE, name, value)
    monkeypatch.setattr(recipes, "EPOCH", 2)
    monkeypatch.setattr(recipes, "seconds_per_step", lambda recipe: [0.6])
    folder = make_pictures(tmp_path / "pictures", ["a.png"])
    constant = "constant, averaged weights"
    arguments = (folder, "--recipes", "edsr.py", constant, "--minutes", 0.02)
    _, out = run_command(recipes, *arguments)
    # Once when it starts, once in the table.
    assert out.count("edsr.py, 0.02 minutes, 2 steps") == 2
    assert out.count("New run") == 2
    arguments = (folder, "--recipes", constant, "--minutes", 0.02)
    _, out = run_command(recipes, *arguments, 0.04)
    assert "New run" not in out and out.count("Resuming") == 1
    assert out.count(f"{constant}, 0.04 minutes, 4 steps") == 2
    pathlib.Path("results/recipes.csv").unlink()
    with pytest.raises(ValueError, match="x4_leaves was trained for longer"):
        run_command(recipes, *arguments)


def test_recipes_start_as_keras_does_where_they_say_so():
    example = recipes.RECIPES["the Keras example"]
    model = recipes.build({**recipes.HERE, **example}, 10)
    first, second = (
        np.asarray(model.get_layer(f"block{number}_conv1").kernel) for number in (1, 2)
    )
    bound = np.sqrt(6 / (9 * 64 + 9 * 64))  # Glorot's; the authors' is 1 / sqrt(9 * 64)
    assert 0.95 * bound < np.abs(first).max() <= bound
    assert np.abs(first - second).max() > 0


def test_recipe_puts_the_output_layer_alone_into_bfloat16():
    recipe = {**recipes.HERE, "PRECISION": "float32", "FILTERS": 4, "BLOCKS": 1}
    lr = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    outputs = []
    for policy in ("float32", "mixed_bfloat16"):
        model = recipes.build({**recipe, "tail": policy}, 10)
        assert all(
            layer.dtype_policy.name == (policy if layer.name == "tail" else "float32")
            for layer in model.layers
        )
        tail = model.get_layer("tail")
        tail.kernel.assign(np.random.default_rng(0).normal(0, 0.1, tail.kernel.shape))
        outputs.append(model.predict_on_batch(lr))
    assert outputs[1].dtype == np.float32
    assert 0 < np.abs(outputs[0] - outputs[1]).max() < 1  # of a grey level


def test_drawn_variants_change_the_pictures_and_are_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "PICTURES", 1)
    before = dict(vars(drawn.leaves))
    pictures = {}
    for name, constants in drawn.VARIANTS.items():
        drawn.draw(tmp_path, constants)
        pictures[name] = (tmp_path / "0_drawn_0001.png").read_bytes()
        assert vars(drawn.leaves) == before
    assert len(set(pictures.values())) == len(pictures)

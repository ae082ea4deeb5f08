"""The command that scores networks side by side."""

import pathlib
import re
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import compare
import data
import drawings
import metrics
import training
from core import networks
from helpers import names, read_csv, run_process, save_blank


@pytest.fixture
def results(tmp_path, tiny_network):
    """A folder with networks as the scripts save them."""
    for name, network in {
        "edsr_x2_here/model.keras": tiny_network(2),
        "mdsr_x2x3_here/model_x2.keras": tiny_network(2, seed=1),
        "mdsr_x2x3_here/model_x3.keras": tiny_network(3),
        "mine/luma.keras": tiny_network(2, channels=1),
    }.items():
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        networks.save_model(network, path)
    return tmp_path


def run(folder, *arguments):
    return run_process(folder, "compare.py", *arguments)[:2]


def test_all_in_results_are_compared(
    results, smooth_pictures, monkeypatch, run_command
):
    arguments = "--scale 2 --self-ensemble edsr_x2_here --data".split()
    old = results / "results/compared/comparison_3.png"
    not_ours = old.with_stem("comparison_lenses")
    old.parent.mkdir()
    old.touch()
    not_ours.touch()
    monkeypatch.chdir(results)
    status, out = run_command(compare, *arguments, smooth_pictures)
    assert status == 0, out
    assert "model_x3.keras enlarges by 3, not by --scale 2" in out
    assert " cores, " in out
    assert not old.exists() and not_ours.exists()
    folder = results / "results/compared"
    rows = {row.pop("name"): row for row in read_csv(folder / "scores.csv")}
    names = ["bicubic", "edsr_x2_here", "edsr_x2_here+", "mdsr_x2x3_here"]
    assert list(rows) == names
    pairs = data.load(str(smooth_pictures), "test", 2)
    model = keras.saving.load_model(results / "results/mdsr_x2x3_here/model_x2.keras")
    expected = metrics.evaluate(model, pairs)
    for key in ("psnr_y", "ssim_rgb", "parameters"):
        np.testing.assert_allclose(float(rows["mdsr_x2x3_here"][key]), expected[key])
    for name in ("comparison.png", "comparison_2.png"):
        assert Image.open(folder / name).size[0] > 500


def test_network_of_the_current_folder_has_its_name(results, monkeypatch):
    monkeypatch.chdir(results / "results/edsr_x2_here")
    assert compare.name_of(pathlib.Path("model.keras")) == "edsr_x2_here"


def test_networks_can_be_named_by_file(results, capsys):
    networks = compare.load_networks([results / "results/mine/luma.keras"], 2)
    assert list(networks) == ["luma"]
    assert compare.scale_of([results / "results/mine/luma.keras"]) == 2
    assert compare.scale_of([]) == 4
    assert not compare.load_networks([results / "results/mine/luma.keras"], 4)
    paths = [
        results / f"results/mdsr_x2x3_here/model{end}.keras" for end in ("_x2", "")
    ]
    shutil.copy(*paths)
    with pytest.raises(ValueError, match="would be the second mdsr_x2x3_here"):
        compare.load_networks(paths, 2)


def test_files_named_twice_are_loaded_once(results, monkeypatch):
    """Under whatever spelling; and "model" in a name is not yet a run's."""
    monkeypatch.chdir(results / "results/mine")
    for name in ("model_a.keras", "models.keras"):
        shutil.copy("luma.keras", name)
    named = "luma.keras", "model_a.keras", "models.keras", "../mine/luma.keras"
    networks = compare.choose_networks([*map(pathlib.Path, named)], 2)
    assert list(networks) == ["luma", "model_a", "models"]


@pytest.mark.parametrize("name", ["bicubic", "luma+"])
def test_names_of_other_rows_are_refused(name, results):
    path = results / "results/mine/luma.keras"
    path = shutil.copy(path, path.with_name(f"{name}.keras"))
    with pytest.raises(ValueError, match=f"would be called {re.escape(name)}, as rows"):
        compare.load_networks([path], 2)


def test_included_networks_are_compared_where_none_was_trained(
    results, smooth_pictures, tiny_network, monkeypatch, run_command
):
    monkeypatch.chdir(results)
    monkeypatch.setattr(compare.upscale, "WEIGHTS", results / "weights")
    (results / "weights").mkdir()
    for scale in (2, 4):
        path = results / "weights" / f"edsr_x{scale}.keras"
        networks.save_model(tiny_network(scale), path)
    status, out = run_command(compare, "--data", smooth_pictures)
    assert status == 0
    assert "model_x3.keras enlarges by 3" in out and "\nedsr_x4 " in out
    assert "edsr_x2.keras" not in out  # which nobody named


@pytest.fixture
def scored(monkeypatch, results, run_command):
    """Runs compare.py; gives the files of the pictures it scores, and its output."""
    monkeypatch.chdir(results)

    def run(folder, *arguments, networks=()):
        loaded = []
        with monkeypatch.context() as patch:
            load = data.load
            patch.setattr(
                data, "load", lambda *args: loaded.append(load(*args)) or loaded[-1]
            )
            patch.setattr(drawings, "_save", save_blank)
            status, out = run_command(
                compare, *networks, "--scale", "2", "--data", folder, *arguments
            )
        assert status == 0, (status, out)
        (pairs,) = loaded
        return {pathlib.Path(name) for name in pairs.pictures.names}, out

    return run


def test_scored_are_test_pictures_or_else_those_held_out(scored, smooth_pictures):
    folder = smooth_pictures
    assert scored(folder)[0] == set((folder / "test").iterdir())
    for path in (folder / "test").iterdir():
        path.unlink()
    (folder / "test").rmdir()
    assert scored(folder)[0] == set((folder / "validation").iterdir())


def test_flat_folder_is_scored_on_what_is_held_out(scored, tmp_path, make_pictures):
    """Or, as the user says that it is a benchmark, on everything."""
    folder = make_pictures(tmp_path / "flat", [f"{number}.png" for number in range(12)])
    held_out = {pathlib.Path(name) for name in names(folder, "validation")}
    pictures, out = scored(folder)
    assert pictures == held_out and len(held_out) == 1
    assert "flat, validation: 1 picture, LR made with bicubic." in out
    assert 'To score all of them: split "all" (--split all).' in out
    pictures, out = scored(folder, "--split", "all")
    assert pictures == set(folder.iterdir()) and len(pictures) == 12
    assert "flat, all: 12 pictures, LR made with bicubic." in out and "(--s" not in out


def test_network_that_learned_from_the_pictures_is_reported(
    results, tmp_path, make_pictures, tiny_network, scored, monkeypatch
):
    """A run on a flat folder, scored on what it held out, on all, and on others."""
    files = [f"{number}.png" for number in range(12)]
    folder = make_pictures(tmp_path / "flat", files, size=(32, 30))
    model = tiny_network(2, seed=2)
    model.compile("sgd", "mae")
    settings = {"SCALE": 2, "DATASET": folder, "EPOCHS": 1, "STEPS_PER_EPOCH": 1}
    run = training.open_run(model, tmp_path / "results", "edsr", settings)
    run.save()
    learned = run.folder / "model.keras"
    networks = [learned, results / "results/mine/luma.keras"]  # the other is of no run
    assert "was trained on" not in scored(folder, networks=networks)[1]
    out = scored(folder, "--split", "all", networks=networks)[1]
    (line,) = [line for line in out.splitlines() if "was trained on" in line]
    assert line.startswith(f"{learned} was trained on 11 of these 12 pictures")
    # Only of those that are scored.
    third = tiny_network(3)
    third.compile("sgd", "mae")
    other = training.open_run(
        third, tmp_path / "results", "edsr", {**settings, "SCALE": 3}
    )
    other.save()
    networks.append(other.folder / "model.keras")
    out = scored(folder, "--split", "all", networks=networks)[1]
    assert "enlarges by 3" in out and out.count("was trained on") == 1
    # Under whatever name the folder goes.
    (tmp_path / "link").symlink_to(folder)
    out = scored(tmp_path / "link", "--split", "all", networks=[learned])[1]
    assert "was trained on 11 of these 12 pictures" in out
    # And wherever the command is run.
    monkeypatch.chdir(tmp_path)
    settings = {**settings, "DATASET": "flat"}
    relative = training.open_run(model, tmp_path / "here", "edsr", settings)
    relative.save()
    monkeypatch.chdir(folder)
    here = relative.folder / "model.keras"
    out = scored(folder, "--split", "all", networks=[here])[1]
    assert f"{here} was trained on 11 of these 12 pictures" in out
    elsewhere = make_pictures(tmp_path / "elsewhere", ["a.png", "b.png"])
    out = scored(elsewhere, "--split", "all", networks=[learned])[1]
    assert "was trained on" not in out
    # Nor is a run in the way whose pictures are gone.
    folder.rename(tmp_path / "moved")
    out = scored(elsewhere, "--split", "all", networks=[learned])[1]
    assert "was trained on" not in out


def test_results_do_not_lie_among_the_pictures(results, make_pictures, run_command):
    folder = make_pictures(results / "photos", ["b/a.png", "b/c.png"], size=(32, 30))
    command = compare, results / "results/mine/luma.keras", "--data", folder
    for output in (folder, folder / "b"):
        status, _ = run_command(*command, "--split", "all", "--output", output)
        assert status.startswith(f"compare.py: --output {output} has the pictures that")
    assert len([*folder.rglob("*.*")]) == 2


def test_paths_in_errors_stay_as_they_are():
    sentence = "DATASET = 'a': /x/DATASET/a.png and DATASET/SCALE"
    assert compare._with_options(sentence) == (
        "--data 'a': /x/DATASET/a.png and DATASET/SCALE"
    )


def test_errors_are_one_line(results, smooth_pictures, monkeypatch, run_command):
    monkeypatch.chdir(results)
    alone = results / "alone/train"
    alone.parent.mkdir()
    (smooth_pictures / "train").rename(alone)
    (results / "results/run").mkdir()
    (results / "results/run/state.npz").touch()
    for arguments, message in {
        ("--scale", "5"): "compare.py: No network for --scale 5: train one",
        ("--scale", "0"): "compare.py: No network for --scale 0: train one",
        (
            "--scale",
            "2",
            "--degradation",
            "web, blur",
        ): "compare.py: --degradation 'blur' is not one of bicubic",
        ("--self-ensemble", "x", "--scale", "2"): "--self-ensemble x: not one of",
        ("nowhere.keras",): "compare.py: nowhere.keras: there is no such file",
        (
            "--scale",
            "2",
            "--data",
            "nowhere",
        ): "compare.py: --data 'nowhere' is neither",
        ("--scale", "2", "--data", "alone"): 'alone has no "validation" pictures',
        ("--scale", "2", "--data", "leaves", "--split", "all"): 'leaves has no "all"',
        (
            "--scale",
            "2",
            "--output",
            "results/run",
        ): "results/run is a training run's folder",
    }.items():
        message_of_all, _ = run_command(compare, *arguments)
        assert message in message_of_all and "\n" not in message_of_all
    assert run_command(compare, "--self-ensemble")[0] == 2  # without a name


def test_pictures_stay_until_others_are_drawn(results, monkeypatch, run_command):
    monkeypatch.chdir(results)
    drawn = results / "results/compared/comparison.png"
    drawn.parent.mkdir()
    drawn.touch()
    status, _ = run_command(compare, "--scale", 2, "--data", "nowhere")
    assert "nowhere" in status and drawn.exists()

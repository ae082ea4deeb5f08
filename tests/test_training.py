"""Whole runs of edsr.py with a tiny network: results, stops, and going on."""

import csv
import functools
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import edsr
import training

PROJECT = pathlib.Path(__file__).parent.parent

TINY = {
    "SCALE": 2,
    "FILTERS": 4,
    "BLOCKS": 1,
    "PATCH_SIZE": 12,
    "EPOCHS": 2,
    "STEPS_PER_EPOCH": 3,
    "WARMUP_STEPS": 2,
    "LEARNING_RATE": 1e-2,
    "PRECISION": "float32",
}


@pytest.fixture
def run_edsr(run_script):
    def run(**constants):
        return run_script(edsr, **{**TINY, **constants})

    return run


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def state_of(folder):
    """The state file: its arrays, and its meta data."""
    state = np.load(folder / "state.npz")
    meta = json.loads(str(state["meta"]))
    return {name: state[name] for name in state.files if name != "meta"}, meta


def assert_same_state(folder, other):
    (arrays, meta), (other_arrays, other_meta) = state_of(folder), state_of(other)
    assert arrays.keys() == other_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])
    assert meta["history"] == other_meta["history"]
    assert meta["best"] == other_meta["best"]


# --- A run and its results ---


def test_run_leaves_everything_the_readme_promises(run_edsr):
    folder, out = run_edsr()
    for name in ("samples.png", "curves.png", "comparison.png"):
        assert Image.open(folder / name).size[0] > 150
    previews = sorted(path.name for path in (folder / "preview").iterdir())
    assert previews == ["epoch_0001.png", "epoch_0002.png"]
    history = read_csv(folder / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert set(history[0]) == {"epoch", "loss", "psnr", "val_loss", "val_psnr"}
    scores = read_csv(folder / "scores.csv")
    assert [row["name"] for row in scores] == ["bicubic", "EDSR", "EDSR+"]
    for row in scores:
        assert f"{float(row['psnr_y']):.2f}" in out
    assert not list(folder.rglob(".*"))
    assert f"EDSR x2 on '{edsr.DATASET}'" in out.splitlines()[0]


@pytest.mark.parametrize("steps", [1, 3])
def test_short_runs_need_no_other_warm_up(run_edsr, steps):
    folder, _ = run_edsr(EPOCHS=1, STEPS_PER_EPOCH=steps, WARMUP_STEPS=200)
    assert (folder / "model.keras").exists()


def test_mistaken_setting_leaves_the_old_run_in_place(run_edsr):
    folder, _ = run_edsr(EPOCHS=1)
    with pytest.raises(ValueError, match="PATCH_SIZE = 200"):
        run_edsr(EPOCHS=1, PATCH_SIZE=200)
    assert list(folder.parent.glob("[!.]*")) == [folder]


def test_saved_file_loads_anywhere_with_keras_alone(run_edsr, tmp_path):
    folder, _ = run_edsr(PRECISION="mixed_bfloat16")
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 7, 3), dtype=np.uint8)
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1], safe_mode=True)\n"
        "assert not model.compiled\n"
        "assert {layer.dtype for layer in model.layers} == {'float32'}\n"
        "np.save(sys.argv[3], model(np.load(sys.argv[2])))\n"
    )
    # -I keeps the project and its environment out of reach.
    files = [folder / "model.keras", tmp_path / "image.npy", tmp_path / "result.npy"]
    subprocess.run([sys.executable, "-I", "-c", code, *files], cwd=tmp_path, check=True)
    expected = keras.saving.load_model(files[0])(image)
    np.testing.assert_allclose(np.load(files[2]), expected, atol=1e-4)


def test_model_is_the_best_of_the_validation(run_edsr):
    folder, _ = run_edsr(EPOCHS=3, LEARNING_RATE=0.5)  # gets worse after the start
    history = read_csv(folder / "history.csv")
    scores = [float(row["val_psnr"]) for row in history]
    assert scores[-1] < max(scores)
    best = keras.saving.load_model(folder / "model.keras")
    last = state_of(folder)[0]["arr_0"]
    assert not np.array_equal(best.get_weights()[0], last)
    assert state_of(folder)[1]["best"] == max(scores)


def test_float32_copy_keeps_the_network(tiny_network):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_network(2)
    finally:
        keras.config.set_dtype_policy("float32")
    reference = tiny_network(2)
    copy = training.float32_copy(model)
    image = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3))
    np.testing.assert_array_equal(copy(image), reference(image))


# --- Going on ---


def test_finished_run_goes_straight_to_the_report(run_edsr):
    folder, _ = run_edsr()
    before = state_of(folder)
    model = (folder / "model.keras").stat().st_mtime_ns
    (folder / "scores.csv").unlink()
    folder, out = run_edsr()
    assert "trained for all of its" in out and "PSNR Y" in out
    assert (folder / "scores.csv").exists()
    assert (folder / "model.keras").stat().st_mtime_ns == model
    assert state_of(folder)[1] == before[1]


def test_raised_epochs_go_on(run_edsr):
    folder, _ = run_edsr()
    folder, out = run_edsr(EPOCHS=3)
    assert "Going on in" in out and "after epoch 2" in out
    assert [row["epoch"] for row in read_csv(folder / "history.csv")] == ["1", "2", "3"]


def test_changed_setting_moves_the_old_run_aside(run_edsr):
    folder, _ = run_edsr(EPOCHS=1)
    old = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    for number, seed in ((1, 7), (2, 8)):
        aside = folder.with_name(f"{folder.name}.{number}")
        folder, out = run_edsr(EPOCHS=1, SEED=seed)
        assert "SEED changed from " in out and str(aside) in out
        assert "New run in" in out and (aside / "model.keras").exists()
    first = folder.with_name(f"{folder.name}.1")
    assert old == {p.name: p.read_bytes() for p in first.iterdir() if p.is_file()}
    assert (folder / "model.keras").exists()


def test_changed_network_moves_the_old_run_aside(run_edsr, monkeypatch):
    run_edsr(EPOCHS=1)
    build = edsr.build_edsr
    monkeypatch.setattr(edsr, "build_edsr", lambda *a: build(*a[:2], 2, *a[3:]))
    _, out = run_edsr(EPOCHS=1)
    assert "The network changed: kept the previous run as" in out


def test_run_without_a_finished_epoch_is_replaced(run_edsr):
    folder, out = run_edsr(EPOCHS=0)
    assert "No epoch was finished" in out and "PSNR Y" in out
    folder, out = run_edsr(EPOCHS=1, SEED=1)
    assert "New run in" in out and "changed" not in out
    assert list(folder.parent.glob("[!.]*")) == [folder]


def test_folder_without_state_is_not_overwritten(run_edsr, tmp_path):
    folder = tmp_path / "results/edsr_x2_pictures"
    folder.mkdir(parents=True)
    (folder / "model.keras").write_text("somebody's")
    _, out = run_edsr(EPOCHS=1)
    assert "No state.npz" in out
    aside = folder.with_name(f"{folder.name}.1")
    assert (aside / "model.keras").read_text() == "somebody's"


def test_same_seed_same_weights_other_seed_others(run_edsr, tmp_path):
    first, _ = run_edsr(RESULTS=str(tmp_path / "results"))
    first = first.rename(tmp_path / "first")
    second, _ = run_edsr()
    assert_same_state(first, second)
    third, _ = run_edsr(SEED=1)
    assert not np.array_equal(state_of(first)[0]["arr_0"], state_of(third)[0]["arr_0"])


# --- Initial weights ---


def test_initial_weights_take_over_all_but_the_upsampling(run_edsr, tmp_path, capsys):
    folder, _ = run_edsr(SCALE=2)
    source = keras.saving.load_model(folder / "model.keras")
    model = edsr.build_edsr(4, filters=4, blocks=1)
    training.load_initial_weights(model, folder / "model.keras")
    assert "taken over" in capsys.readouterr().out
    for name in ("head", "block1_conv1", "body_end", "tail"):
        for ours, theirs in zip(
            model.get_layer(name).get_weights(), source.get_layer(name).get_weights()
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_initial_weights_that_cannot_serve_are_named(tmp_path):
    model = edsr.build_edsr(2, filters=4, blocks=1)
    with pytest.raises(
        ValueError, match="cannot be loaded: .*nowhere.keras: there is no"
    ):
        training.load_initial_weights(model, str(tmp_path / "nowhere.keras"))
    inputs = keras.Input((None, None, 3))
    other = keras.Model(inputs, keras.layers.Conv2D(3, 1, name="other")(inputs))
    training.save_model(other, tmp_path / "other.keras")
    with pytest.raises(ValueError, match="share no layer"):
        training.load_initial_weights(model, str(tmp_path / "other.keras"))


def test_initial_weights_are_needed_at_the_start_alone(run_edsr, tmp_path):
    folder, _ = run_edsr()
    # Of the same folder, which is moved aside since the learning rate changes.
    further = {"INITIAL_WEIGHTS": str(folder / "model.keras"), "LEARNING_RATE": 1e-5}
    _, out = run_edsr(**further)
    assert "Starting from" in out and "LEARNING_RATE changed" in out
    (folder / "model.keras").unlink()
    _, out = run_edsr(**further, EPOCHS=9)
    assert "Going on in" in out and "Starting from" not in out


def test_importing_the_script_trains_nothing(tmp_path):
    code = "import edsr, sys; assert edsr.build_edsr"
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    assert list(tmp_path.iterdir()) == []


# --- A loss that is no number ---


class Breaks(keras.callbacks.Callback):
    """Spoils a weight in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch + 1 == self.epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.now and batch == 1:
            bias = self.model.get_layer("head").bias
            bias.assign(bias * np.nan)


@pytest.fixture
def run_broken(run_edsr, monkeypatch):
    """Runs edsr.py with a weight that is spoilt in some epoch."""

    def run(epoch, **constants):
        fit = keras.Model.fit

        def broken_fit(*args, callbacks, **settings):
            return fit(*args, callbacks=[Breaks(epoch), *callbacks], **settings)

        with monkeypatch.context() as patch:
            patch.setattr(keras.Model, "fit", broken_fit)
            return run_edsr(**constants)

    return run


def test_not_a_number_ends_training_and_the_last_good_state_is_kept(
    run_edsr, run_broken, tmp_path
):
    straight, _ = run_edsr(EPOCHS=3)
    straight = straight.rename(tmp_path / "straight")
    folder, out = run_broken(epoch=2, EPOCHS=3)
    assert "loss became nan in step 2 of epoch 2" in out and "PSNR Y" in out
    assert state_of(folder)[1]["epoch"] == 1
    for weight in keras.saving.load_model(folder / "model.keras").get_weights():
        assert np.isfinite(weight).all()
    folder, out = run_edsr(EPOCHS=3)
    assert "Going on" in out
    assert_same_state(straight, folder)


@pytest.mark.slow
def test_averaged_weights_survive_a_stop(run_edsr, run_broken, monkeypatch, tmp_path):
    adam = functools.partial(keras.optimizers.Adam, use_ema=True, ema_momentum=0.9)
    monkeypatch.setattr(keras.optimizers, "Adam", adam)
    straight, _ = run_edsr(EPOCHS=3)
    straight = straight.rename(tmp_path / "straight")
    folder, _ = run_broken(epoch=2, EPOCHS=3)
    run_edsr(EPOCHS=3)
    assert_same_state(straight, folder)
    parameters = len(edsr.build_edsr(2, 4, 1).trainable_weights)
    # Weights, two moments, the averages; the kernel of the skip, and the counter.
    assert len(state_of(folder)[0]) == 4 * parameters + 2


def test_damaged_state_is_moved_aside(run_edsr):
    folder, _ = run_edsr(EPOCHS=1)
    state = (folder / "state.npz").read_bytes()
    (folder / "state.npz").write_bytes(state[: len(state) // 2])
    folder, out = run_edsr(EPOCHS=1)
    assert "state.npz is damaged: kept the previous run as" in out
    assert (folder.with_name(f"{folder.name}.1") / "model.keras").exists()


def test_results_that_cannot_be_written_are_named(run_edsr, tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(OSError, match="RESULTS = .*results. cannot be written: a file"):
        run_edsr()


def test_not_a_number_in_the_first_epoch_is_an_error(run_broken):
    with pytest.raises(ValueError, match="loss became nan in step 2 of epoch 1"):
        run_broken(epoch=1)

"""Whole runs of edsr.py with a tiny network: results, stops, and resuming."""

import functools
import pathlib
import subprocess
import sys

import filelock
import keras
import numpy as np
import pytest
import tensorflow as tf

import data
import drawings
import edsr
import hardware
import metrics
import optimizers
import training
import upscale
from core import networks
from helpers import TINY, assert_same_state, noise, read_csv, save, state_of


@pytest.fixture
def run_edsr(run_script):
    def run(**constants):
        return run_script(edsr, **{**TINY["edsr"], **constants})

    return run


@pytest.fixture
def train_edsr(run_edsr):
    return functools.partial(run_edsr, report=False)


# --- A run and its results ---


def test_run_leaves_everything_the_docs_promise(run_edsr, smooth_pictures):
    folder, out = run_edsr()
    for name in ("samples.png", "curves.png", "comparison.png"):
        assert (folder / name).exists()
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
    assert f"EDSR x2 on '{smooth_pictures}'" in out.splitlines()[0]
    assert edsr.DATASET == "leaves"  # the block is as it was
    # Another process may train here now.
    lock = str(folder.with_name(f".{folder.name}.lock"))
    code = f"import filelock; filelock.FileLock({lock!r}).acquire(blocking=False)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_mistaken_setting_leaves_the_old_run_in_place(train_edsr):
    folder, _ = train_edsr(EPOCHS=1)
    with pytest.raises(ValueError, match="PATCH_SIZE = 200"):
        train_edsr(EPOCHS=1, PATCH_SIZE=200)
    assert list(folder.parent.glob("[!.]*")) == [folder]


def test_saved_file_loads_anywhere_with_keras_alone(tiny_network, tmp_path):
    hardware.set_precision("mixed_bfloat16")
    training.save_model(tiny_network(2), tmp_path / "model.keras")
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
    files = [tmp_path / name for name in ("model.keras", "image.npy", "result.npy")]
    subprocess.run([sys.executable, "-I", "-c", code, *files], cwd=tmp_path, check=True)
    expected = keras.saving.load_model(files[0])(image)
    np.testing.assert_allclose(np.load(files[2]), expected, atol=1e-4)


def test_model_is_the_best_of_the_validation(run_edsr):
    folder, out = run_edsr(EPOCHS=3, LEARNING_RATE=0.5)  # gets worse after the start
    history = read_csv(folder / "history.csv")
    scores = [float(row["val_psnr"]) for row in history]
    assert scores[-1] < max(scores)
    best = keras.saving.load_model(folder / "model.keras")
    last = state_of(folder)[0]["arr_0"]
    assert not np.array_equal(best.get_weights()[0], last)
    assert state_of(folder)[1]["best"] == max(scores)
    best_epoch = 1 + scores.index(max(scores))
    assert f"The network is that of epoch {best_epoch} of 3, the best on the" in out


# --- Resuming ---


def test_finished_run_goes_straight_to_the_report(run_edsr, monkeypatch):
    """Whatever other variables there are: only those of the block are settings."""
    folder, _ = run_edsr(report=False)
    settings = state_of(folder)[1]["settings"]
    assert settings.keys() == {*edsr.SETTINGS} - {"RESULTS"}
    monkeypatch.setattr(edsr, "HR", 3, raising=False)
    monkeypatch.setattr(edsr, "MY_NOTE", "some text", raising=False)
    before = state_of(folder)
    model = (folder / "model.keras").stat().st_mtime_ns
    folder, out = run_edsr()
    assert "trained for all of its" in out and "PSNR Y" in out
    assert (folder / "scores.csv").exists()
    assert (folder / "model.keras").stat().st_mtime_ns == model
    assert state_of(folder)[1] == before[1]
    assert list(folder.parent.glob("[!.]*")) == [folder]


def test_raised_epochs_resume(train_edsr):
    folder, _ = train_edsr()
    folder, out = train_edsr(EPOCHS=3)
    assert "Resuming " in out and "after epoch 2" in out
    assert [row["epoch"] for row in read_csv(folder / "history.csv")] == ["1", "2", "3"]


@pytest.fixture
def reopen(tmp_path, tiny_network, capsys):
    """Opens the folder of a run after so many epochs, with something changed; gives the
    folder and what is printed."""
    settings = {"SCALE": 2, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}

    def open_run(model, pictures, settings, loss="mae", optimizer="sgd"):
        model.compile(optimizer, loss)
        return training.open_run(model, tmp_path, "edsr", settings, pictures=pictures)

    def reopen(
        before=(),
        now=(),
        model=None,
        epochs=1,
        meanwhile=lambda folder: None,
        compiled=(),
        **changed,
    ):
        run = open_run(tiny_network(2), before, settings)
        run.callbacks[0].set_model(run.model)
        for epoch in range(epochs):
            run.callbacks[0].on_epoch_end(epoch, {"loss": 1.0, "val_loss": 1.0})
        meanwhile(run.folder)
        capsys.readouterr()
        open_run(model or tiny_network(2), now, {**settings, **changed}, *compiled)
        return run.folder, capsys.readouterr().out

    return reopen


def test_other_spelling_of_the_same_folder_resumes(reopen):
    folder, out = reopen(DATASET="./some/")
    assert out == f"Resuming {folder} after epoch 1\n"


def test_setting_that_cannot_be_written_is_named(reopen):
    with pytest.raises(ValueError, match="ACTIVATION = <built-in .* number or text"):
        reopen(ACTIVATION=abs)


def test_seeds_of_layers_are_resumed(tmp_path):
    def open_run():
        inputs = keras.Input((None, None, 3))
        x = keras.layers.Dropout(0.5, seed=1)(inputs)
        outputs = keras.layers.Conv2D(3, 3, padding="same")(x)
        model = keras.Model(inputs, outputs)
        model.compile("sgd", "mae")
        settings = {"SCALE": 1, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
        return training.open_run(model, tmp_path, "edsr", settings)

    run = open_run()
    masks = [run.model(np.ones((1, 8, 8, 3)), training=True) for _ in range(3)]
    run.callbacks[0].set_model(run.model)
    run.callbacks[0].on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    (then,) = [v for v in run.model.variables if "seed" in v.path]
    (now,) = [v for v in open_run().model.variables if "seed" in v.path]
    np.testing.assert_array_equal(now, then)
    assert not np.array_equal(masks[0], masks[1])


def test_changed_setting_moves_the_old_run_aside(reopen):
    old = {}

    def meanwhile(folder):
        folder.with_name(f"{folder.name}.1").mkdir()  # of an earlier change
        old.update({path.name: path.read_bytes() for path in folder.iterdir()})

    folder, out = reopen(STEPS_PER_EPOCH=7, meanwhile=meanwhile)
    aside = folder.with_name(f"{folder.name}.2")
    assert out == (
        f"STEPS_PER_EPOCH changed from 1 to 7: kept the previous run as {aside}\n"
        f"New run in {folder}\n"
    )
    assert {"model.keras", "state.npz", "history.csv", "curves.png"} == old.keys()
    assert old == {path.name: path.read_bytes() for path in aside.iterdir()}


def test_run_without_a_finished_epoch_is_replaced(reopen):
    folder, out = reopen(STEPS_PER_EPOCH=7, epochs=0)
    assert out == f"New run in {folder}\n"
    assert [*folder.parent.glob("edsr*")] == [folder]


def test_damaged_state_is_moved_aside(reopen):
    def damage(folder):
        state = (folder / "state.npz").read_bytes()
        (folder / "state.npz").write_bytes(state[: len(state) // 2])

    folder, out = reopen(meanwhile=damage)
    assert "state.npz is damaged: kept the previous run as" in out
    assert (folder.with_name(f"{folder.name}.1") / "model.keras").exists()


def test_state_that_cannot_be_read_is_left_in_place(reopen, tmp_path):
    def put_folder_there(folder):
        (folder / "state.npz").rename(folder / "away.npz")
        (folder / "state.npz").mkdir()

    with pytest.raises(OSError, match="state.npz cannot be read"):
        reopen(meanwhile=put_folder_there)
    assert len([*tmp_path.glob("edsr*")]) == 1


def test_folder_without_state_is_not_overwritten(reopen):
    folder, out = reopen(meanwhile=lambda folder: (folder / "state.npz").unlink())
    assert "No state.npz" in out and "New run in" in out
    assert (folder.with_name(f"{folder.name}.1") / "model.keras").exists()


def remove(folder):
    (folder / "train/b.png").unlink()


def hold_out(folder):
    (folder / "train/b.png").rename(folder / "validation/c.png")


def replace(folder):
    """By a picture of the same name and size."""
    save(noise(40, 48, 3, seed=9), folder / "train/b.png")


def add_lr(folder):
    """Beside pictures that were HR alone."""
    for path in [*folder.rglob("*.png")]:
        for role in ("HR", "LR"):
            (path.parent / role).mkdir(exist_ok=True)
        save(noise(20, 24, 3, seed=9), path.parent / "LR" / path.name)
        path.rename(path.parent / "HR" / path.name)


@pytest.mark.parametrize("change", [remove, hold_out, replace, add_lr])
def test_other_pictures_move_the_old_run_aside(change, reopen, smooth_pictures):
    def load():
        return [
            data.load(smooth_pictures, split, 2) for split in ("train", "validation")
        ]

    before = load()
    change(smooth_pictures)
    _, out = reopen(before, load())
    assert "The pictures of some changed: kept the previous run as" in out
    assert "New run in" in out


def test_same_pictures_in_another_place_resume(reopen, smooth_pictures):
    before = [data.load(smooth_pictures, "train", 2)]
    moved = smooth_pictures.rename(smooth_pictures.with_name("moved"))
    _, out = reopen(before, [data.load(moved, "train", 2)])
    assert out.startswith("Resuming")


@pytest.mark.parametrize(
    "other, same",
    [({}, True), ({"blocks": 3}, False), ({"residual_scaling": 0.1}, False)],
)
def test_other_layers_move_the_old_run_aside(other, same, reopen):
    """Of equal shapes, too."""
    _, out = reopen(
        model=edsr.build_edsr(**{"scale": 2, "filters": 4, "blocks": 2, **other})
    )
    assert out.startswith("Resuming" if same else "The network changed: kept the prev")


def charbonnier(hr, sr):
    return keras.ops.mean(keras.ops.sqrt(keras.ops.square(hr - sr) + 1e-6))


@pytest.mark.parametrize(
    "compiled, names",
    [
        (["mse"], "mse, SGD"),
        ([charbonnier], "charbonnier, SGD"),
        ([keras.losses.Huber()], "Huber, SGD"),
        (["mae", "lion"], "mae, Lion"),
        (["mae"], None),
    ],
)
def test_other_loss_or_optimizer_moves_the_old_run_aside(compiled, names, reopen):
    _, out = reopen(compiled=compiled)
    if names:
        change = (
            f"The loss and optimiser changed from mae, SGD to {names}: kept the prev"
        )
        assert out.startswith(change) and "New run in" in out
    else:
        assert out.startswith("Resuming")


def test_other_frozen_layers_move_the_old_run_aside(reopen, tiny_network):
    model = tiny_network(2)
    model.get_layer("head").trainable = False
    assert reopen(model=model)[1].startswith(
        "The layers that are trained changed: kept"
    )


def own_activation(x):
    return x


@pytest.mark.parametrize(
    "layer, name",
    [
        (keras.layers.Conv2D(3, 3, activation=own_activation), "own_activation"),
        (keras.layers.Conv2D(3, 3, activation=lambda x: x), "a lambda"),
        (keras.layers.Lambda(lambda x: x), "a lambda"),
        (type("Gate", (keras.layers.Layer,), {"call": lambda self, x: x})(), "Gate"),
    ],
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_network_that_could_not_be_loaded_is_refused_before_training(
    layer, name, tmp_path
):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mae")
    settings = {"SCALE": 1, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
    with pytest.raises(ValueError, match=f"model.keras could not be .* has {name}"):
        training.open_run(model, tmp_path, "own", settings)
    assert not any(tmp_path.iterdir())


def test_model_of_a_class_of_its_own_is_refused_before_training(tmp_path):
    class Own(keras.Model):
        def call(self, x):
            return x

    model = Own()
    model.compile("sgd", "mae")
    settings = {"SCALE": 1, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
    with pytest.raises(ValueError, match="the network has Own: use Keras' own"):
        training.open_run(model, tmp_path, "own", settings)


def test_steps_that_would_not_resume_are_refused(tmp_path, tiny_network):
    model = tiny_network(2)
    model.compile("sgd", "mae", steps_per_execution=2)
    settings = {"SCALE": 2, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 3}
    with pytest.raises(ValueError, match="= 3 must be a multiple of steps_per_exec"):
        training.open_run(model, tmp_path, "edsr", settings)


def test_weights_in_bfloat16_resume(tmp_path):
    def open_run(seed):
        inputs = keras.Input((None, None, 3))
        layer = keras.layers.Conv2D(3, 3, dtype="bfloat16", padding="same")
        model = keras.Model(inputs, layer(inputs))
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
        model.compile("sgd", "mae")
        settings = {"SCALE": 1, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
        run = training.open_run(model, tmp_path, "own", settings)
        run.callbacks[0].set_model(model)
        return run

    run = open_run(0)
    run.callbacks[0].on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    for ours, theirs in zip(open_run(1).model.get_weights(), run.model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_loss_of_several_outputs_keeps_their_weights(tmp_path):
    """Without weights it is added up again from theirs, since Keras' last digit varies."""
    inputs = keras.Input((1,))
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in "ab"}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"a": "mae", "b": "mae"}, loss_weights={"a": 1, "b": 10})
    settings = {"SCALE": 1, "DATASET": "some", "EPOCHS": 1, "STEPS_PER_EPOCH": 1}
    run = training.open_run(model, tmp_path, "own", settings)
    x, y = np.ones((2, 1)), {"a": np.zeros((2, 1)), "b": np.full((2, 1), 9.0)}
    fitted = model.fit(x, y, callbacks=run.callbacks, verbose=0)
    assert run.history[0]["loss"] == fitted.history["loss"][0]


def test_epochs_without_validation_do_not_replace_the_best(tiny_network, tmp_path):
    """As with validation_freq=2."""
    model = tiny_network(2)
    model.compile("sgd", "mae")
    settings = {"SCALE": 2, "DATASET": "some", "EPOCHS": 3, "STEPS_PER_EPOCH": 1}
    run = training.open_run(model, tmp_path, "edsr", settings)
    run.callbacks[0].set_model(model)
    for epoch, scores in enumerate([{}, {"val_psnr": 30.0}, {}]):
        model.get_layer("tail").bias.assign([epoch] * 3)
        run.callbacks[0].on_epoch_end(epoch, {"loss": 1.0, **scores})
    kept = networks.load_network(run.folder / "model.keras")
    assert run.best_epoch == 2
    np.testing.assert_array_equal(kept.get_layer("tail").bias, [1, 1, 1])


@pytest.mark.slow
def test_same_seed_same_weights_other_seed_others(run_edsr, tmp_path):
    first, _ = run_edsr(RESULTS=str(tmp_path / "results"))
    first = first.rename(tmp_path / "first")
    second, _ = run_edsr()
    assert_same_state(first, second)
    third, _ = run_edsr(SEED=1)
    assert not np.array_equal(state_of(first)[0]["arr_0"], state_of(third)[0]["arr_0"])


# --- Initial weights ---


@pytest.mark.slow
def test_initial_weights_are_needed_at_the_start_alone(run_edsr, tmp_path):
    folder, _ = run_edsr()
    # Of the same folder, which is moved aside since the learning rate changes.
    further = {"INITIAL_WEIGHTS": str(folder / "model.keras"), "LEARNING_RATE": 1e-5}
    _, out = run_edsr(**further)
    assert "Starting from" in out and "LEARNING_RATE changed" in out
    # Even where it is another network now.
    networks.save_model(edsr.build_edsr(2, 8, 1), folder / "model.keras")
    _, out = run_edsr(**further, EPOCHS=3)
    assert "Resuming " in out and "Starting from" not in out


def weights_in(path):
    return keras.saving.load_model(path).get_weights()


def assert_same_weights(path, other):
    for ours, theirs in zip(weights_in(path), weights_in(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def further(run_edsr, tmp_path):
    """Trains a network further; gives that network's file, the folder and the output."""
    start = tmp_path / "start.keras"
    networks.save_model(edsr.build_edsr(2, filters=8, blocks=1), start)

    def run(run_edsr=run_edsr, **constants):
        constants = {"LEARNING_RATE": 1e-3, **constants}
        return start, *run_edsr(**constants, INITIAL_WEIGHTS=str(start))

    return run


def test_start_stands_in_history_curve_and_table(further, smooth_pictures, monkeypatch):
    drawn = []
    monkeypatch.setattr(drawings, "draw_curves", lambda *args: drawn.append(args))
    start, folder, out = further()
    assert "Starting from" in out and "No epoch was better" not in out
    first, *epochs = read_csv(folder / "history.csv")
    assert list(first) == ["epoch", "loss", "psnr", "val_loss", "val_psnr"]
    assert (first["epoch"], first["loss"], first["psnr"]) == ("0", "", "")
    assert [row["epoch"] for row in epochs] == ["1", "2"]
    # The score, in another way: validation crops one by one, of which each pixel that is
    # rounded the other way changes the score by a hundredth.
    network = upscale.load_network(start)
    scores = []
    for lr, hr in data.load(str(smooth_pictures), "validation", 2):
        y, x = ((side - 12) // 2 for side in lr.shape[:2])
        lr, hr = lr[y : y + 12, x : x + 12], hr[2 * y : 2 * y + 24, 2 * x : 2 * x + 24]
        sr = upscale.upscale(network, lr.numpy())
        scores.append(metrics.psnr(hr.numpy(), sr, shave=2, luma=True))
    np.testing.assert_allclose(float(first["val_psnr"]), np.mean(scores), atol=0.02)
    assert max(float(row["val_psnr"]) for row in epochs) > float(first["val_psnr"])
    assert [row["epoch"] for row in drawn[0][0]][:1] == [0]
    assert_same_weights(folder / "start.keras", start)
    rows = {row.pop("name"): row for row in read_csv(folder / "scores.csv")}
    assert list(rows) == ["bicubic", "start", "EDSR", "EDSR+"]
    pairs = data.load(str(smooth_pictures), "test", 2)
    expected = metrics.evaluate(network, pairs, verbose=0)["psnr_y"]
    np.testing.assert_allclose(float(rows["start"]["psnr_y"]), expected)
    assert rows["EDSR"]["psnr_y"] != rows["start"]["psnr_y"]


@pytest.mark.slow
def test_start_is_kept_where_no_epoch_is_better(further):
    start, folder, out = further(LEARNING_RATE=0.5)
    assert "PSNR was not measured" not in out
    (line,) = [line for line in out.splitlines() if "No epoch was better" in line]
    first, *epochs = [float(r["val_psnr"]) for r in read_csv(folder / "history.csv")]
    assert f"start: {first:.2f} dB, best epoch: {max(epochs):.2f} dB" in line
    assert "A lower LEARNING_RATE may help." in line
    assert_same_weights(folder / "model.keras", start)
    _, _, out = further(LEARNING_RATE=0.5)  # straight to the report
    assert "No epoch was better" in out
    _, folder, _ = further(LEARNING_RATE=0.5, EPOCHS=3)
    assert_same_weights(folder / "model.keras", start)


@pytest.mark.slow
def test_scoring_the_start_changes_no_weight(further, monkeypatch, tmp_path):
    _, folder, _ = further()
    scored = folder.rename(tmp_path / "scored")
    monkeypatch.setattr(training.Run, "score_start", lambda *_: None)
    _, folder, _ = further()
    (arrays, scored), (others, plain) = state_of(scored), state_of(folder)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name])
    assert scored["history"][1:] == plain["history"]


@pytest.mark.slow
def test_further_training_that_is_stopped_resumes_to_the_very_same(
    further, run_broken, tmp_path
):
    start, straight, _ = further(EPOCHS=3)
    straight = straight.rename(tmp_path / "straight")
    broken = functools.partial(run_broken, 1)
    with pytest.raises(ValueError, match="loss became nan in step 2 of epoch 1"):
        further(broken, EPOCHS=3)  # after the start was scored
    _, folder, out = further(functools.partial(run_broken, 2), EPOCHS=3)
    assert out.count("New run") == 2 and out.count("Starting from") == 1  # of both runs
    _, folder, out = further(EPOCHS=3)
    assert "after epoch 1" in out
    assert_same_state(straight, folder)
    for name in ("history.csv", "scores.csv"):
        ours, theirs = (read_csv(place / name) for place in (straight, folder))
        for row in [*ours, *theirs]:  # speeds
            row.pop("images_per_s", None), row.pop("megapixels_per_s", None)
        assert ours == theirs
    for name in ("model.keras", "start.keras"):
        assert_same_weights(straight / name, folder / name)


def test_no_epoch_but_the_start(further):
    start, folder, out = further(EPOCHS=0)
    assert_same_weights(folder / "model.keras", start)
    assert [row["epoch"] for row in read_csv(folder / "history.csv")] == ["0"]
    assert "start" in out and (folder / "curves.png").exists()


def test_network_with_new_layers_has_no_start_to_compare_with(further):
    _, folder, out = further(SCALE=3, EPOCHS=1)
    assert "5 of 6 layers taken over" in out
    assert [row["epoch"] for row in read_csv(folder / "history.csv")] == ["1"]
    rows = [row["name"] for row in read_csv(folder / "scores.csv")]
    assert rows == ["bicubic", "EDSR", "EDSR+"]
    assert not (folder / "start.keras").exists()


def test_start_that_gives_no_numbers_is_refused(further, tmp_path):
    network = keras.saving.load_model(tmp_path / "start.keras")
    network.set_weights([weight * np.nan for weight in network.get_weights()])
    network.save(tmp_path / "start.keras")
    with pytest.raises(ValueError, match="INITIAL_WEIGHTS cannot be .*: its .* is nan"):
        further()


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
    train_edsr, run_broken, tmp_path
):
    straight, _ = train_edsr(EPOCHS=3)
    straight = straight.rename(tmp_path / "straight")
    folder, out = run_broken(epoch=2, EPOCHS=3)
    assert "loss became nan in step 2 of epoch 2" in out and "PSNR Y" in out
    assert state_of(folder)[1]["epoch"] == 1
    for weight in keras.saving.load_model(folder / "model.keras").get_weights():
        assert np.isfinite(weight).all()
    folder, out = train_edsr(EPOCHS=3)
    assert "Resuming " in out
    assert_same_state(straight, folder)


@pytest.mark.slow
def test_averaged_weights_survive_a_stop(run_edsr, run_broken, monkeypatch, tmp_path):
    adam = functools.partial(keras.optimizers.Adam, use_ema=True, ema_momentum=0.9)
    monkeypatch.setitem(optimizers.OPTIMIZERS, "adam", adam)
    monkeypatch.setattr(edsr, "OPTIMIZER", "adam")
    straight, _ = run_edsr(EPOCHS=3)
    straight = straight.rename(tmp_path / "straight")
    folder, _ = run_broken(epoch=2, EPOCHS=3)
    run_edsr(EPOCHS=3)
    assert_same_state(straight, folder)
    parameters = len(edsr.build_edsr(2, 4, 1).trainable_weights)
    # Weights, two moments, the averages; the kernel of the skip, and the counter.
    assert len(state_of(folder)[0]) == 4 * parameters + 2


def test_history_that_cannot_be_written_costs_no_epoch(tmp_path, tiny_network):
    """As one that is open in a program for tables, on Windows."""
    model = tiny_network(2)
    model.compile("sgd", "mae")
    settings = {"SCALE": 2, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
    run = training.open_run(model, tmp_path, "edsr", settings)
    run.callbacks[0].set_model(model)
    (run.folder / "history.csv").mkdir()
    with pytest.raises(OSError, match="history.csv cannot be written: "):
        run.callbacks[0].on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    assert training.open_run(model, tmp_path, "edsr", settings).epoch == 1


def test_folder_that_cannot_be_moved_aside_is_named(reopen, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    def keep_open(folder):
        monkeypatch.setattr(pathlib.Path, "rename", refuse)

    with pytest.raises(OSError, match="edsr_x2_some cannot be written: Permission de"):
        reopen(meanwhile=keep_open, STEPS_PER_EPOCH=7)


def test_folder_opened_twice_is_free_once_the_run_is_closed(tmp_path, tiny_network):
    """As in a notebook where `main()` was interrupted before its report."""
    model = tiny_network(2)
    model.compile("sgd", "mae")
    settings = {"SCALE": 2, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
    for _ in range(2):
        run = training.open_run(model, tmp_path, "edsr", settings)
    other = filelock.FileLock(tmp_path / ".edsr_x2_some.lock")  # as another process has
    with pytest.raises(filelock.Timeout):
        other.acquire(blocking=False)
    run.close()
    other.acquire(blocking=False)


@pytest.mark.parametrize("file", ["model.keras", "start.keras"])
def test_missing_network_is_named_before_the_training(file, tmp_path, tiny_network):
    model = tiny_network(2)
    model.compile("sgd", "mae")
    settings = {"SCALE": 2, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
    run = training.open_run(model, tmp_path, "edsr", settings)
    run.state.further = True
    crops = noise(2, 16, 16, 3), noise(2, 32, 32, 3)
    run.score_start(tf.data.Dataset.from_tensors(crops))
    training.open_run(model, tmp_path, "edsr", settings)
    (run.folder / file).unlink()
    with pytest.raises(ValueError, match=f"{file} is missing: put it back, or move "):
        training.open_run(model, tmp_path, "edsr", settings)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_network_is_named_before_the_training(damage, reopen):
    def spoil(folder):
        content = bytearray((folder / "model.keras").read_bytes())
        place = content.index(b"config.json") + 40
        content[place] ^= 1
        content = content[: len(content) // 2] if damage == "cut" else content
        (folder / "model.keras").write_bytes(content)

    _, out = reopen(meanwhile=spoil, STEPS_PER_EPOCH=7)  # an edit is never refused
    assert out.startswith("STEPS_PER_EPOCH changed from 1 to 7: kept the previous run")
    with pytest.raises(
        ValueError, match="model.keras is damaged.* Put back a whole copy"
    ):
        reopen(meanwhile=spoil)


def test_results_that_cannot_be_written_are_named(run_edsr, tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(OSError, match="RESULTS = .*results. cannot be written: a file"):
        run_edsr()


def test_not_a_number_in_the_first_epoch_is_an_error(run_broken):
    with pytest.raises(ValueError, match="loss became nan in step 2 of epoch 1"):
        run_broken(epoch=1)


# --- What is set ---


class Seen(Exception):
    """Ends a run as soon as the test has seen enough."""


@pytest.fixture
def first_batch(run_edsr, monkeypatch):
    """Starts a run of edsr.py; gives the first batch (LR, HR) of its training."""

    def run(**constants):
        def look(batch, path):
            raise Seen([side.numpy() for side in batch])

        with monkeypatch.context() as patch:
            patch.setattr(drawings, "draw_samples", look)
            with pytest.raises(Seen) as seen:
                run_edsr(**constants)
        return seen.value.args[0]

    return run


def test_noise_is_put_on_what_the_network_sees(first_batch):
    clean, hr = first_batch(BATCH_SIZE=16)
    noisy, same_hr = first_batch(BATCH_SIZE=16, NOISE=30.0)
    np.testing.assert_array_equal(hr, same_hr)
    inside = (clean > 100) & (clean < 155)  # where hardly anything is clipped
    assert inside.sum() > 500
    grain = (noisy.astype(float) - clean)[inside]
    assert abs(grain.std() - 30) < 2 and abs(grain.mean()) < 3


@pytest.mark.parametrize("degradation", ["area", ("bicubic", "area"), "realistic"])
def test_lr_is_made_as_set(first_batch, degradation):
    lr, hr = first_batch(DEGRADATION=degradation, BATCH_SIZE=32)
    means = hr.reshape(32, 12, 2, 12, 2, 3).mean((2, 4))
    by_area = np.abs(lr - means).max(axis=(1, 2, 3)) <= 0.5
    # Away from the border, where a patch lacks its neighbours.
    bicubic = np.stack([data.bicubic_resize(patch, 12, 12) for patch in hr])
    by_bicubic = (lr == bicubic)[:, 2:-2, 2:-2].all(axis=(1, 2, 3))
    if degradation == "area":
        assert by_area.all() and not by_bicubic.any()
    elif degradation == "realistic":
        assert not by_area.any() and not by_bicubic.any()
    else:  # in turns: b.png by area
        assert by_area.any() and by_bicubic.any() and (by_area ^ by_bicubic).all()


# --- Callbacks ---


def without_metrics(monkeypatch):
    """Makes scripts compile their networks without any metric."""
    compiled = keras.Model.compile
    monkeypatch.setattr(
        keras.Model,
        "compile",
        lambda self, *args, metrics=None, **kwargs: compiled(self, *args, **kwargs),
    )


def test_black_crop_does_not_decide_which_epoch_is_kept(tmp_path, tiny_network):
    """Exact in the first epoch, while the other three crops are better in the second."""
    model = tiny_network(2)
    model.compile("sgd", "mae")
    settings = {"SCALE": 2, "DATASET": "some", "EPOCHS": 2, "STEPS_PER_EPOCH": 1}
    run = training.open_run(model, tmp_path, "edsr", settings)
    (checkpoint,) = run.callbacks
    checkpoint.set_model(model)
    crops = noise(4, 16, 16, 3)
    crops[0] = 0
    metric = metrics.PSNR()
    for epoch, (error, black) in enumerate([(5, 0), (4, 1)]):
        made = np.abs(crops - np.float32(error))
        made[0] = black
        metric.reset_state()
        metric.update_state(crops, made)
        score = float(metric.result())
        checkpoint.on_epoch_end(
            epoch, {"loss": 1.0, "val_loss": 1.0, "val_psnr": score}
        )
        assert run.state.best == score
    assert 34 < run.history[0]["val_psnr"] < run.history[1]["val_psnr"] < 37


def test_validation_on_flat_pictures_alone_keeps_the_last_network(
    run_edsr, smooth_pictures, recwarn
):
    """And goes on: a score that nothing decides is no failure."""
    for path in (smooth_pictures / "validation").iterdir():
        save(np.full((60, 60, 3), 7, np.uint8), path)
    folder, out = run_edsr(EPOCHS=2)
    history = read_csv(folder / "history.csv")
    assert [row["val_psnr"] for row in history] == ["nan", "nan"]
    assert "psnr is NaN: all" in " ".join(str(w.message) for w in recwarn)
    weights = keras.saving.load_model(folder / "model.keras").get_weights()
    arrays = [*state_of(folder)[0].values()][: len(weights)]
    for ours, theirs in zip(weights, arrays, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert "PSNR Y" in out and "PSNR was not measured on the validation" in out


def test_run_without_a_measured_psnr_keeps_the_last_network(train_edsr, monkeypatch):
    without_metrics(monkeypatch)
    networks = []
    for epochs in (1, 2):
        folder, out = train_edsr(EPOCHS=epochs)
        history = read_csv(folder / "history.csv")
        assert len(history) == epochs
        assert history[0].keys() == {"epoch", "loss", "val_loss"}
        weights = keras.saving.load_model(folder / "model.keras").get_weights()
        arrays = [*state_of(folder)[0].values()][: len(weights)]
        for ours, theirs in zip(weights, arrays, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        networks.append(weights)
    assert "Resuming " in out
    assert any((a != b).any() for a, b in zip(*networks))

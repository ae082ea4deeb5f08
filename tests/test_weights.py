"""The included networks: that they are what their names and their cards say."""

import functools
import importlib
import pathlib

import keras
import numpy as np
import pytest
from PIL import Image

import data
import drawings
import edsr
import espcn
import metrics
import results
import settings
import training
import upscale
from core.degradations import as_jpeg, without_antialiasing
from core.tiles import enlarge
from helpers import PROJECT, TINY, edits, noise, save, save_blank
from weights import train

FILES = sorted((PROJECT / "weights").glob("*.keras"))
# Which others were trained from.
NOT_INCLUDED = {
    *("edsr_leaves_x2", "edsr_leaves_x4", "edsr_web_x4"),
    *("edsr_first_x2", "edsr_first_x3", "edsr_first_x4"),
    *("edsr_first_realistic_x2", "edsr_first_realistic_x4", "edsr_second_realistic_x4"),
    *("espcn_first_x2", "espcn_first_x3", "espcn_first_x4"),
    *(
        "espcn_second_x2",
        "espcn_second_x3",
        "espcn_leaves_x3",
        "espcn_leaves_x4",
        "srgan_first_x4",
    ),
}


@pytest.fixture
def run_train(monkeypatch, run_command, tmp_path):
    """Runs train.py with one recipe, its results in a temporary folder, and without the
    script's report; gives its exit status and all it printed."""

    def run(name, script, constants, photographs=()):
        for setting in script.SETTINGS:  # restored when the test ends
            monkeypatch.setattr(script, setting, getattr(script, setting))
        monkeypatch.setattr(train, "PROJECT", tmp_path)
        monkeypatch.setattr(train, "RECIPES", {name: (script.__name__, constants)})
        monkeypatch.setattr(drawings, "_save", save_blank)
        monkeypatch.setattr(results, "report", lambda *args: None)
        return run_command(train, name, *photographs)

    return run


def test_default_networks_are_included_and_all_are_small():
    scales = {0.5: 2, 2: 2, 2.1: 3, 3: 3, 3.4: 4, 4: 4, 8: 4}
    for final, scale in scales.items():
        path = upscale.included_network(final, pathlib.Path("photo.png"))
        assert path.stem == f"edsr_x{scale}" and path in FILES
        scale = 4 if scale == 3 else scale
        for name in ("photo.JPG", "photo.mpo"):
            path = upscale.included_network(final, pathlib.Path(name))
            assert path.stem == f"edsr_realistic_x{scale}" and path in FILES
    assert sum(path.stat().st_size for path in FILES) <= 32e6


@functools.cache
def included(name):
    """Loaded once for all tests, which traces its graphs once."""
    path = PROJECT / "weights" / f"{name}.keras"
    return keras.saving.load_model(path, safe_mode=True)


@pytest.fixture
def photograph(small_leaves):
    """The middle of the one that comes with matplotlib, as a pair (LR, HR)."""

    def load(scale):
        ((lr, hr),) = data.load("leaves", "test", scale).as_numpy_iterator()
        return lr[8:72, 32:96], hr[8 * scale : 72 * scale, 32 * scale : 96 * scale]

    return load


def psnr(network, lr, hr):
    """Of Y, in dB."""
    scale = len(hr) // len(lr)
    return metrics.psnr(hr, enlarge(network, lr, scale), shave=scale, luma=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_network_enlarges_a_photograph_better_than_bicubic(path, photograph):
    model = included(path.stem)
    assert not model.compiled
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    scale, channels = upscale.scale_and_channels(model)
    assert path.stem.endswith(f"_x{scale}")
    assert channels == (1 if "espcn" in path.stem else 3)
    ours, bicubic = (psnr(net, *photograph(scale)) for net in (model, None))
    gain = 1 if "srgan" in path.stem else 2  # in dB; an SRGAN is not made for PSNR
    assert ours > bicubic + gain


@pytest.mark.parametrize("scale, cost", [(2, 1.2), (4, 0.4)])  # in dB
def test_realistic_network_is_better_on_jpeg_and_close_without(scale, cost, photograph):
    realistic, clean = (
        included(f"{name}_x{scale}") for name in ("edsr_realistic", "edsr")
    )
    lr, hr = photograph(scale)
    for lr, least in ((as_jpeg(lr, 75), 0.15), (lr, -cost)):
        assert psnr(realistic, lr, hr) - psnr(clean, lr, hr) > least


@pytest.mark.parametrize(
    "kind, scale", [("bicubic", 4), ("bilinear", 4), ("nearest", 4), ("bilinear", 2)]
)
def test_realistic_network_is_better_than_bicubic_without_antialiasing(
    kind, scale, photograph
):
    lr, hr = photograph(scale)
    resampling = Image.Resampling[kind.upper()]
    lr = without_antialiasing(Image.fromarray(hr), lr.shape[1::-1], resampling)
    ours = psnr(included(f"edsr_realistic_x{scale}"), np.asarray(lr), hr)
    assert ours > psnr(None, np.asarray(lr), hr) + 0.3


@pytest.mark.parametrize("kind", ["x4", "realistic_x4"])
def test_srgan_looks_better_for_less_psnr(kind, photograph, real_weights):
    lr, hr = photograph(4)
    pairs = [(as_jpeg(lr, 75) if kind == "realistic_x4" else lr, hr)]
    srgan, edsr = (
        metrics.evaluate(included(f"{name}_{kind}"), pairs)
        for name in ("srgan", "edsr")
    )
    assert srgan["detail"] > edsr["detail"]
    assert srgan["psnr_y"] < edsr["psnr_y"]
    assert srgan["lpips"] < 0.8 * edsr["lpips"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_card_says_what_the_recipe_does(path):
    text = (PROJECT / "weights" / "README.md").read_text(encoding="utf-8")
    (card,) = [x for x in text.splitlines() if x.startswith(f"| `{path.name}`")]
    start, steps = (card.split(" | ")[column].strip("`") for column in (2, 4))
    script, changes = train.RECIPES[path.stem]
    chosen = {**vars(importlib.import_module(script)), **changes}
    epochs = chosen["EPOCHS"] or chosen["GAN_EPOCHS"]
    assert int(steps.replace(",", "")) == epochs * chosen["STEPS_PER_EPOCH"]
    files = train.result_of(start), PROJECT / "weights" / f"{start}.keras"
    assert chosen["INITIAL_WEIGHTS"] in files
    assert text.count(f"`{start}`") > 1  # it has a row of its own


def test_all_recipes_but_those_of_starts_are_included():
    assert {path.stem for path in FILES} == train.RECIPES.keys() - NOT_INCLUDED


@pytest.mark.parametrize("name", train.RECIPES)
def test_recipe_changes_settings_that_the_script_has(name):
    script, changes = train.RECIPES[name]
    script = importlib.import_module(script)
    namespace = dict(vars(script))
    settings.change(namespace, script.SETTINGS, edits(changes))
    assert name.split("_")[0] == script.__name__
    assert name.split("_")[-1] == f"x{namespace['SCALE']}"
    assert namespace["DATASET"] in ("leaves", "photographs")
    start = namespace.get("INITIAL_WEIGHTS")
    known = [*FILES, *map(train.result_of, NOT_INCLUDED)]
    assert start is None or pathlib.Path(start) in known


def test_train_runs_the_script_with_its_settings(run_train, tmp_path, smooth_pictures):
    constants = {**TINY["espcn"], "DATASET": str(smooth_pictures), "SCALE": 3}
    arguments = ("espcn_x3", espcn, constants)
    status, out = run_train(*arguments)
    assert status == 0 and "New run" in out
    folder = tmp_path / "results" / "weights" / "espcn_x3"
    paths = folder / "espcn_x3_pictures" / "model.keras", folder / "espcn_x3.keras"
    trained, packed = (keras.saving.load_model(path, safe_mode=True) for path in paths)
    assert upscale.scale_and_channels(packed) == (3, 1)
    for exact, rounded in zip(trained.get_weights(), packed.get_weights()):
        np.testing.assert_allclose(rounded, exact, rtol=2**-11, atol=2**-25)
    assert paths[1].stat().st_size < 0.7 * paths[0].stat().st_size
    _, out = run_train(*arguments)
    assert "has been trained for all of its 2 epochs" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["edsr_x4"], "edsr_x4 learns from photographs. Name a folder"),
        (
            ["espcn_leaves_x4", "my_photos"],
            "espcn_leaves_x4 learns from drawn pictures: name no folder.",
        ),
    ],
)
def test_recipe_says_whether_it_needs_photographs(arguments, message, run_command):
    status, _ = run_command(train, *arguments)
    assert message in status


def test_unknown_recipe_is_refused(run_command):
    assert run_command(train, "nothing")[0] == 2  # argparse's


def test_photographs_are_those_of_the_named_folder(
    run_train, smooth_pictures, tmp_path
):
    constants = {**TINY["espcn"], "DATASET": "photographs", "SCALE": 3}
    status, out = run_train("espcn_x3", espcn, constants, photographs=[smooth_pictures])
    assert status == 0 and f"{smooth_pictures}: " in out
    folder = tmp_path / "results" / "weights" / "espcn_x3"
    assert (folder / "espcn_x3.keras").exists()
    assert (folder / f"espcn_x3_{smooth_pictures.name}" / "model.keras").exists()
    status, _ = run_train("espcn_x3", espcn, constants, photographs=["nowhere"])
    assert status.startswith("weights/train.py: DATASET = 'nowhere' is neither")


def test_run_that_was_stopped_is_not_packed(
    run_train, monkeypatch, tmp_path, smooth_pictures
):
    constants = {**TINY["espcn"], "DATASET": str(smooth_pictures), "SCALE": 3}
    finish = training.Checkpoint.on_epoch_end

    def stop(self, epoch, logs=None):
        finish(self, epoch, logs)
        self.run.stop.set()  # as Ctrl-C in the next step

    with monkeypatch.context() as patch:
        patch.setattr(training.Checkpoint, "on_epoch_end", stop)
        status, _ = run_train("espcn_x3", espcn, constants)
    assert "espcn_x3 has been trained for 1 of 2 epochs: run the command" in status
    assert not list((tmp_path / "results/weights/espcn_x3").glob("*.keras"))


def test_start_is_kept_for_a_mean_and_refused_once_it_has_changed(
    run_train, tmp_path, smooth_pictures, tiny_network, monkeypatch
):
    start = tmp_path / "start.keras"
    training.save_model(tiny_network(2), start)
    monkeypatch.setattr(train, "SHARES", {"tiny": 0.25})
    constants = dict(SCALE=2, FILTERS=4, BLOCKS=2, PATCH_SIZE=12, BATCH_SIZE=2)
    constants |= dict(EPOCHS=1, STEPS_PER_EPOCH=3, INITIAL_WEIGHTS=start)
    constants["DATASET"] = str(smooth_pictures)
    assert run_train("tiny", edsr, constants)[0] == 0
    folder = tmp_path / "results" / "weights" / "tiny"
    paths = start, folder / "edsr_x2_pictures" / "model.keras", folder / "tiny.keras"
    networks = [keras.saving.load_model(path).get_weights() for path in paths]
    for a, b, packed in zip(*networks, strict=True):
        mean = 0.75 * a + 0.25 * b
        np.testing.assert_allclose(packed, mean, rtol=2**-11, atol=2**-25)
    training.save_model(tiny_network(2, seed=1), start)
    status, _ = run_train("tiny", edsr, constants)
    assert "start.keras has changed since the run" in status


def test_pictures_are_enlarged_right_after_cloning(tmp_path, run_command, monkeypatch):
    for name in ("photo.jpg", "drawing.png"):
        save(noise(12, 16, 3), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    status, out = run_command(upscale, "photo.jpg", "drawing.png")
    assert status == 0
    for name, network in {"photo": "edsr_realistic_x4", "drawing": "edsr_x4"}.items():
        assert f"{name}_x4.png ({network})" in out
        with Image.open(tmp_path / "upscaled" / f"{name}_x4.png") as enlarged:
            assert enlarged.size == (64, 48)


@pytest.mark.parametrize(
    "path", [path for path in FILES if "espcn" not in path.stem], ids=lambda p: p.stem
)
def test_colours_do_not_change_in_squares(path, photograph):
    """A network that adds to repeated pixels leaves such squares, which Y hardly shows."""
    model = included(path.stem)
    scale, _ = upscale.scale_and_channels(model)
    sr = enlarge(model, photograph(scale)[0], scale).astype(float)
    colour = sr[..., [0, 2]] - data.luma(sr)
    for axis in (0, 1):
        steps = np.abs(np.diff(colour, axis=axis)).mean(axis=(1 - axis, 2))
        on_grid = np.arange(1, len(steps) + 1) % scale == 0
        assert steps[on_grid].mean() < 1.5 * steps[~on_grid].mean()

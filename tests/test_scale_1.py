"""Networks that keep the size: they remove noise, blur and the traces of JPEG."""

import importlib

import keras
import numpy as np
import pytest
from PIL import Image

import compare
import data
import edsr
import espcn
import export
import mdsr
import metrics
import rcan
import srgan
import upscale
from core import networks
from helpers import SCRIPTS, TINY, noise, random_weights, read_csv, save

BUILDERS = {
    "edsr": lambda **skip: edsr.build_edsr(1, 4, 1, **skip),
    "espcn": lambda **skip: espcn.build_espcn(1, filters=(4,), **skip),
    "srgan": lambda **skip: srgan.build_srresnet(1, 4, 1, **skip),
    "mdsr": lambda **skip: mdsr.single_scale(mdsr.build_mdsr((1, 2), 4, 1, **skip), 1),
    "rcan": lambda **skip: rcan.build_rcan(1, 1, 1, 4, 2, **skip),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_training_starts_at_the_input(name):
    model = BUILDERS[name]()
    channels = model.input_shape[-1]
    assert networks.scale_and_channels(model) == (1, channels)
    image = noise(2, 9, 7, channels)
    np.testing.assert_allclose(model(image), image, atol=1e-3)
    plain = BUILDERS[name](image_skip=False)
    assert plain(image).shape == image.shape


# --- Pictures ---


def pairs_of(folder, noise_level, degradation="bicubic"):
    return data.load_splits(folder, 1, degradation, 8, noise_level)


def test_lr_has_the_faults_that_are_set(tmp_path, make_pictures):
    folder = make_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    for split in pairs_of(folder, 0.0, "realistic"):
        for lr, hr in split.as_numpy_iterator():
            assert lr.shape == hr.shape and (lr != hr).any()


def test_clean_pictures_teach_and_are_not_scored(tmp_path, make_pictures):
    """Some are to stay clean: their LR equals HR, which says nothing about a network."""
    names = [f"{split}/{n}.png" for split in ("train", "val", "test") for n in range(4)]
    folder = make_pictures(tmp_path / "pictures", names)
    splits = pairs_of(folder, 0.0, ("bicubic", "realistic"))
    equal = [
        [bool((lr == hr).all()) for lr, hr in split.as_numpy_iterator()]
        for split in splits
    ]
    assert equal == [[True, False] * 2, [False] * 4, [False] * 4]
    everything = data.load(folder, "test", 1, ("bicubic", "realistic"))
    assert not any((lr == hr).all() for lr, hr in everything.as_numpy_iterator())


def test_noise_is_on_what_is_validated_and_scored(tmp_path):
    folder = tmp_path / "pictures"
    for name in ("train/a", "train/b", "val/a", "test/a", "test/b"):
        save(np.full((96, 80, 3), 100, np.uint8), folder / f"{name}.png")
    train, validation, test = pairs_of(folder, 10.0)
    assert all((lr == hr).all() for lr, hr in train.as_numpy_iterator())
    ((crop, hr),) = data.validation_batches(validation, 1, 64).as_numpy_iterator()
    seen = [crop[0], *(lr for lr, _ in test.as_numpy_iterator())]
    for lr in seen:
        assert lr.dtype == np.uint8
        error = lr - 100.0
        assert abs(error.mean()) < 0.5 and 9.5 < error.std() < 10.5
    assert (hr == 100).all() and (seen[1] != seen[2]).any()
    for lr, again in zip(seen[1:], test.as_numpy_iterator()):
        np.testing.assert_array_equal(lr, again[0])
    assert len(test) == 2
    batches = data.training_batches(train, 1, 32, 2, noise=10.0)
    lr, hr = next(batches.as_numpy_iterator())
    assert 9 < (lr - 100.0).std() < 11 and (hr == 100).all()


def test_own_lr_is_taken_as_it_is(tmp_path, make_pictures):
    for split in ("train", "val"):
        for side, seed in (("HR", 0), ("LR", 1)):
            make_pictures(tmp_path / split / side, ["a.png", "b.png"], seed=seed)
    for noise_level in (0.0, 10.0):
        for pairs, split in zip(
            pairs_of(tmp_path, noise_level), ("train", "val", "val")
        ):
            lr, hr = next(pairs.as_numpy_iterator())
            for side, image in (("LR", lr), ("HR", hr)):
                file = Image.open(tmp_path / split / side / "a.png")
                np.testing.assert_array_equal(image, file)


@pytest.mark.parametrize("degradation", ["bicubic", "area", ("area", "bicubic")])
@pytest.mark.parametrize("lacking", ["train", "val", "test"])
def test_lr_that_equals_hr_is_refused(degradation, lacking, tmp_path, make_pictures):
    for split in ("train", "val", "test"):
        for side in ("HR",) if split == lacking else ("HR", "LR"):
            make_pictures(tmp_path / split / side, ["a.png", "b.png"])
    with pytest.raises(ValueError, match="SCALE = 1 and DEGRADATION = .* equal to HR"):
        pairs_of(tmp_path, 0.0, degradation)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_refuse_it_before_they_draw_pictures(name, run_script, keras_home):
    script = importlib.import_module(name)
    scale = {"SCALES": (1, 2)} if name == "mdsr" else {"SCALE": 1}
    with pytest.raises(ValueError, match='set DEGRADATION = "realistic" or NOISE, or'):
        run_script(script, **{**TINY[name], **scale, "DATASET": "leaves"})
    assert not list(keras_home.rglob("*.png"))


# --- Whole runs ---


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_run_trains_resumes_and_reports(name, run_script, tmp_path):
    script = importlib.import_module(name)
    scale = {"SCALES": (1, 2)} if name == "mdsr" else {"SCALE": 1}
    constants = {**TINY[name], **scale, "DEGRADATION": "realistic"}
    run_script(script, report=False, **{**constants, "EPOCHS": 1})
    folder, out = run_script(script, **constants)
    assert "Resuming" in out or name == "srgan"  # which is in its second stage
    scores = {row["name"]: row for row in read_csv(folder / "scores.csv")}
    ending = " x1" if name == "mdsr" else ""
    assert 10 < float(scores[f"bicubic{ending}"]["psnr_y"]) < 60  # LR as it is
    model = networks.load_network(
        folder / ("model_x1.keras" if name == "mdsr" else "model.keras")
    )
    assert networks.scale_and_channels(model)[0] == 1


def test_network_learns_to_remove_noise(run_script):
    constants = {**TINY["espcn"], "SCALE": 1, "NOISE": 20.0, "PATCH_SIZE": 24}
    folder, _ = run_script(espcn, **{**constants, "STEPS_PER_EPOCH": 40})
    scores = {row["name"]: row for row in read_csv(folder / "scores.csv")}
    before, after = (float(scores[name]["psnr_y"]) for name in ("bicubic", "ESPCN"))
    # Y is a weighted sum of three channels, whose noise is independent.
    on_y = 20 * np.linalg.norm([65.481, 128.553, 24.966]) / 255
    np.testing.assert_allclose(before, 20 * np.log10(255 / on_y), atol=0.5)
    assert after > before + 1


# --- Commands ---


def brighten(channels=3):
    """An x1 network that adds ten grey levels, so that the right picture is known."""
    inputs = keras.Input((None, None, channels))
    return keras.Model(inputs, keras.layers.Rescaling(1, offset=10)(inputs))


@pytest.mark.parametrize("self_ensemble", [False, True])
def test_pictures_keep_their_size(self_ensemble):
    image = noise(80, 60, 3) // 2
    result = upscale.upscale(brighten(), image, self_ensemble, tile=32)
    np.testing.assert_array_equal(result, image + 10)
    result = upscale.upscale(brighten(channels=1), image, self_ensemble, tile=32)
    expected = np.floor(image + 10 * 255 / 219 + 0.5)
    np.testing.assert_array_equal(result, expected)


def test_commands_take_them(tmp_path, monkeypatch, run_command, make_pictures):
    monkeypatch.chdir(tmp_path)
    image = noise(24, 30, 3) // 2
    save(image, tmp_path / "photo.png")
    networks.save_model(brighten(), tmp_path / "brighten.keras")
    status, _ = run_command(upscale, "photo.png", "--model", "brighten.keras")
    assert status == 0
    np.testing.assert_array_equal(Image.open("upscaled/photo_x1.png"), image + 10)
    command = ("photo.png", "--model", "brighten.keras", "--scale", "2")
    assert run_command(upscale, *command)[0] == 0
    assert Image.open("upscaled/photo_x2.png").size == (60, 48)
    output = tmp_path / "exported"
    status, _ = run_command(export, "brighten.keras", "saved_model", output)
    assert status == 0
    make_pictures(tmp_path / "set", ["a.png", "b.png"])
    command = ("brighten.keras", "--data", "set", "--split", "all")
    status, _ = run_command(compare, *command)
    assert status.startswith("compare.py: --data set: LR equals HR, so that there is")
    assert len(status.splitlines()) == 1
    status, out = run_command(compare, *command, "--degradation", "realistic")
    assert status == 0, status
    _, row = read_csv(tmp_path / "results/compared/scores.csv")
    pairs = data.load("set", "all", 1, "realistic")
    expected = metrics.evaluate(brighten(), pairs, verbose=0)
    np.testing.assert_allclose(float(row["psnr_y"]), expected["psnr_y"])


def test_scores_leave_out_a_border_of_one_pixel():
    hr = noise(20, 20, 3)
    sr = hr ^ 16
    sr[0], sr[:, -1] = 0, 0
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Identity()])
    scores = metrics.evaluate(model, [(sr, hr)], verbose=0)
    assert scores["psnr_rgb"] == metrics.psnr(hr, sr, shave=1)


def test_self_ensemble_of_a_network_with_weights():
    model = random_weights(BUILDERS["espcn"]())
    image = noise(20, 14, 3)
    assert upscale.upscale(model, image, self_ensemble=True).shape == image.shape

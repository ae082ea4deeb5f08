import keras
import numpy as np
import pytest

import rcan
from helpers import TINY, noise, parameters, read_csv


@pytest.mark.slow
def test_parameter_count_of_the_paper():
    assert round(parameters(rcan.build_rcan()), -5) == 15_600_000


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_training_starts_at_the_repeated_input(scale):
    model = rcan.build_rcan(scale, groups=1, blocks=1, filters=4, reduction=2)
    image = noise(2, 5, 7, 3)
    result = model(image)
    expected = image.repeat(scale, axis=1).repeat(scale, axis=2)
    np.testing.assert_allclose(result, expected, atol=1e-3)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"


def test_plain_network_has_no_skip():
    model = rcan.build_rcan(2, 1, 1, 4, 2, image_skip=False)
    kernel, bias = model.get_layer("tail").get_weights()
    model.get_layer("tail").set_weights([0 * kernel, 0 * bias])
    np.testing.assert_allclose(model(noise(1, 5, 7, 3)), 127.5)


def test_unknown_scale_is_named():
    with pytest.raises(ValueError, match="SCALE = 5: RCAN takes 1, 2, 3, 4 or 8"):
        rcan.build_rcan(5)


def test_channel_attention_against_a_plain_calculation():
    inputs = keras.Input((None, None, 6))
    model = keras.Model(inputs, rcan.channel_attention(inputs, 3, "attention"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 7, 6)).astype(np.float32)
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    squeeze, squeeze_bias, weigh, weigh_bias = weights
    assert squeeze.shape == (1, 1, 6, 2) and weigh.shape == (1, 1, 2, 6)
    hidden = np.maximum(x.mean(axis=(1, 2)) @ squeeze[0, 0] + squeeze_bias, 0)
    factor = 1 / (1 + np.exp(-(hidden @ weigh[0, 0] + weigh_bias)))
    np.testing.assert_allclose(model(x), x * factor[:, None, None], rtol=1e-4)


def test_groups_and_body_pass_on_what_they_are_given():
    """Residual in residual: where the last convolutions are silent, only skips are left."""
    inputs = keras.Input((None, None, 4))
    group = keras.Model(inputs, rcan.residual_group(inputs, 2, 4, 2, "group1"))
    last = group.get_layer("group1_end")
    last.set_weights([0 * w for w in last.get_weights()])
    x = noise(1, 6, 6, 4)
    np.testing.assert_array_equal(group(x), x)
    names = [layer.name for layer in group.layers if layer.name.endswith("conv1")]
    assert names == ["group1_block1_conv1", "group1_block2_conv1"]


def test_run_leaves_everything_the_docs_promise(run_script):
    folder, out = run_script(rcan, **TINY["rcan"])
    assert "RCAN x2 on" in out.splitlines()[0]
    files = {path.name for path in folder.iterdir()}
    assert files >= {"model.keras", "samples.png", "curves.png", "comparison.png"}
    rows = [row["name"] for row in read_csv(folder / "scores.csv")]
    assert rows == ["bicubic", "RCAN", "RCAN+"]


@pytest.mark.slow
def test_start_of_further_training_is_scored(run_script, tmp_path):
    start, _ = run_script(rcan, **TINY["rcan"], RESULTS=str(tmp_path / "first"))
    further = {"INITIAL_WEIGHTS": str(start / "model.keras"), "LEARNING_RATE": 1e-3}
    folder, _ = run_script(rcan, **{**TINY["rcan"], **further})
    assert [row["epoch"] for row in read_csv(folder / "history.csv")] == list("012")
    rows = [row["name"] for row in read_csv(folder / "scores.csv")]
    assert rows == ["bicubic", "start", "RCAN", "RCAN+"]

"""EDSR's network. Whole runs of edsr.py are in test_training.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edsr
import optimizers
from helpers import TINY, noise, parameters


def test_parameter_counts_of_the_paper():
    assert round(parameters(edsr.build_edsr()), -3) == 1_518_000
    full = edsr.build_edsr(filters=256, blocks=32, residual_scaling=0.1)
    assert round(parameters(full), -5) == 43_100_000
    plain = edsr.build_edsr(image_skip=False)
    assert parameters(plain) == plain.count_params() == parameters(edsr.build_edsr())


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_training_starts_at_the_bilinear_enlargement(scale):
    model = edsr.build_edsr(scale, filters=4, blocks=1)
    image = noise(2, 5, 9, 3)
    expected = tf.image.resize(image, (5 * scale, 9 * scale), "bilinear")
    result = model(image)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(result, expected, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_plain_network_has_no_skip(channels):
    model = edsr.build_edsr(2, 4, 1, image_skip=False, channels=channels)
    assert model(np.zeros((1, 6, 5, channels), np.uint8)).shape == (1, 12, 10, channels)
    assert not any(layer.name == "image_skip" for layer in model.layers)


def test_residual_scaling_is_a_factor_on_each_block():
    image = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3))
    half, whole = (
        edsr.build_edsr(2, 4, 1, scaling, image_skip=False) for scaling in (0.5, 1.0)
    )
    half.set_weights(whole.get_weights())
    conv = half.get_layer("block1_conv2")
    conv.set_weights([2 * weight for weight in conv.get_weights()])
    np.testing.assert_allclose(half(image), whole(image), rtol=1e-4)


def test_layers_start_apart_and_within_the_bound():
    model = edsr.build_edsr(blocks=2)
    first, second = (model.get_layer(f"block{n}_conv1").kernel for n in (1, 2))
    assert np.abs(np.asarray(first) - np.asarray(second)).max() > 0
    bound = 1 / np.sqrt(9 * 64)
    assert 0.95 * bound < np.abs(np.asarray(first)).max() <= bound * 1.000001


def test_image_skip_and_output_are_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = edsr.build_edsr(2, 4, 1)
    assert model.get_layer("block1_conv1").compute_dtype == "bfloat16"
    image = np.arange(0, 243, dtype=np.float32).reshape(1, 9, 9, 3)
    result = model(image)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    expected = tf.image.resize(image, (18, 18), "bilinear")
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_unknown_scale_is_named():
    with pytest.raises(ValueError, match="SCALE = 5: EDSR takes 1, 2, 3, 4 or 8"):
        edsr.build_edsr(5)


def test_tiny_settings_of_the_tests_leave_kernels_to_muon():
    model = edsr.build_edsr(2, TINY["edsr"]["FILTERS"], TINY["edsr"]["BLOCKS"])
    optimizer = optimizers.make_optimizer(edsr.OPTIMIZER, 1e-3)
    adams = [optimizer._should_use_adamw(v) for v in model.trainable_variables]
    assert not all(adams) and any(adams)

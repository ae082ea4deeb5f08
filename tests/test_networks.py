"""Networks as files and objects, what can be read off them, weights to start from."""

import keras
import numpy as np
import pytest

import edsr
import espcn
import srgan
from core import networks
from helpers import noise, parameters, random_weights

# --- Files ---


def test_float32_copy_keeps_the_network(tiny_network):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_network(2)
    finally:
        keras.config.set_dtype_policy("float32")
    reference = tiny_network(2)
    copy = networks.float32_copy(model)
    assert {layer.dtype for layer in copy.layers} == {"float32"}
    image = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3))
    np.testing.assert_array_equal(copy(image), reference(image))


@pytest.mark.parametrize(
    "build",
    [
        lambda: edsr.build_edsr(2, 4, 1, residual_scaling=0.1),
        lambda: espcn.build_espcn(2, filters=(4,)),
        lambda: srgan.build_srresnet(4, 4, 1),
        lambda: srgan.build_discriminator(16, 4, 8),
    ],
)
def test_saved_networks_are_the_same_in_float32(build, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = build()
    rng = np.random.default_rng(0)
    weights = [np.abs(rng.normal(0, 0.1, w.shape)) for w in model.get_weights()]
    model.set_weights(weights)
    keras.config.set_dtype_policy("float32")
    networks.save_model(model, tmp_path / "new" / "model.keras")
    loaded = networks.load_model(tmp_path / "new" / "model.keras")
    assert not loaded.compiled
    assert {layer.dtype_policy.name for layer in loaded.layers} == {"float32"}
    assert [layer.name for layer in loaded.layers] == [x.name for x in model.layers]
    for ours, theirs in zip(loaded.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    norms = [x for x in loaded.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert not any(norm.synchronized for norm in norms)
    reference = build()
    reference.set_weights(weights)
    image = noise(1, 16, 16, model.input_shape[-1])
    np.testing.assert_array_equal(loaded(image), reference(image))


def test_files_in_the_home_folder_are_found(model_file, monkeypatch):
    monkeypatch.setenv("HOME", str(model_file.parent))
    assert networks.load_network("~/model.keras").name == "edsr_x2"


def test_what_is_no_file_of_a_network_is_refused(tmp_path, model_file):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "text.keras").write_text("no model")
    model_file.rename(tmp_path / "model.h5")
    for name, reason in {
        "nowhere.keras": "there is no such file",
        "folder.keras": "this is a folder",
        "text.keras": "is damaged, or not a model saved as .keras",
        "model.h5": "is damaged, or not a model saved as .keras",
    }.items():
        with pytest.raises(ValueError, match=f"{name}:? {reason}") as error:
            networks.load_model(tmp_path / name)
        assert "\n" not in str(error.value)


# --- What can be read off a network ---


def model_of(*layers, channels=3, name="some"):
    inputs = outputs = keras.Input((None, None, channels))
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs, name=name)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_scale_and_channels_are_read_off_the_shapes(scale, channels):
    model = model_of(keras.layers.UpSampling2D(scale), channels=channels)
    assert networks.scale_and_channels(model) == (scale, channels)


def test_models_that_do_not_enlarge_are_named():
    keras_layers = keras.layers
    for model, message in [
        (
            model_of(keras_layers.AveragePooling2D(2), name="half"),
            "half makes 16x16 pixels of 32x32: not a whole multiple of its input",
        ),
        (
            model_of(keras_layers.GlobalAveragePooling2D(), name="classes"),
            "classes does not take a picture of any size",
        ),
        (
            model_of(keras_layers.Conv2D(5, 1), name="five"),
            "five does not take and give RGB or luma",
        ),
        (
            model_of(keras_layers.UpSampling2D((2, 3)), name="wide"),
            "wide makes 96x64 pixels of 32x32",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            networks.scale_and_channels(model)


def test_radius_is_the_sum_of_the_kernels(tiny_network):
    # head, 2 blocks of 2, body end, two upsampling stages, tail, and the image skip
    assert networks.receptive_radius(tiny_network(4)) == 1 + 4 + 1 + 2 + 1 + 1


def test_parameters_are_counted(tiny_network):
    model = tiny_network(2)
    assert networks.count_parameters(model) == parameters(model)
    assert networks.count_parameters(None) == 0  # bicubic


# --- Weights to start from ---


def test_initial_weights_take_over_all_but_the_upsampling(tmp_path, capsys):
    source = random_weights(edsr.build_edsr(2, filters=4, blocks=1))
    networks.save_model(source, tmp_path / "model.keras")
    model = edsr.build_edsr(4, filters=4, blocks=1)
    networks.load_initial_weights(model, tmp_path / "model.keras")
    assert "6 of 7 layers taken over" in capsys.readouterr().out
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
        networks.load_initial_weights(model, str(tmp_path / "nowhere.keras"))
    inputs = keras.Input((None, None, 3))
    other = keras.Model(inputs, keras.layers.Conv2D(3, 1, name="other")(inputs))
    networks.save_model(other, tmp_path / "other.keras")
    with pytest.raises(ValueError, match="share no layer"):
        networks.load_initial_weights(model, str(tmp_path / "other.keras"))


def test_vgg19_ends_with_the_layer_and_is_not_trained(vgg_weights):
    vgg = networks.load_vgg19("block2_conv2", str(vgg_weights))
    assert vgg.layers[-1].name == "block2_conv2" and not vgg.trainable_weights
    assert vgg(np.zeros((1, 9, 8, 3))).shape == (1, 4, 4, 128)

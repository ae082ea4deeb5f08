"""Networks as files and objects, what can be read off them, weights to start from."""

import functools
import gc
import json
import os
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest

import edsr
import espcn
import export
import mdsr
import metrics
import srgan
import upscale
from core import graphs, networks
from helpers import PROJECT, model_of, noise, parameters, random_weights

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


def policies(model):
    return {layer.name: layer.dtype_policy.name for layer in model.layers}


def test_operations_keep_the_dtype_that_they_were_given():
    inputs = keras.Input((None, None, 3))
    x = keras.ops.cast(keras.ops.cast(inputs * 0.05, "int32"), "float32")
    x = keras.ops.cumsum(x, axis=-1, dtype="float32")
    model = keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same")(x))
    image = noise(6, 8, 3).astype(np.float32)[None]
    expected = model(image)
    np.testing.assert_allclose(networks.float32_copy(model)(image), expected, atol=1e-4)
    result = networks.in_precision(model, "mixed_bfloat16")(image)
    np.testing.assert_allclose(result, expected, atol=0.5)


@pytest.mark.parametrize("image_skip", [True, False])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_first_and_last_layer_keep_the_precision_of_the_picture(image_skip, policy):
    model = edsr.build_edsr(2, 4, 1, image_skip=image_skip)
    model.compile("adam", lambda y_true, y_pred: y_pred - y_true)  # nowhere registered
    kept = {"lr", "scale_in", "head", "tail", "scale_out", "image_skip", "sr"}
    expected = dict.fromkeys(policies(model), policy)
    expected |= {name: "float32" for name in kept & set(expected)}
    other = networks.in_precision(model, policy)
    assert policies(other) == expected
    assert set(policies(model).values()) == {"float32"}


def test_precision_can_be_raised_again():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = edsr.build_edsr(2, 4, 1)
    keras.config.set_dtype_policy("float32")
    raised = networks.in_precision(model, "float32")
    assert set(policies(raised).values()) == {"float32"}
    assert networks.in_precision(raised, "float32") is raised
    np.testing.assert_array_equal(raised.get_weights()[0], model.get_weights()[0])


def test_weights_in_another_precision_are_those_of_now(tiny_network):
    model = tiny_network(2)
    networks.in_precision(model, "mixed_bfloat16")
    model.set_weights(tiny_network(2, seed=1).get_weights())
    now = networks.in_precision(model, "mixed_bfloat16")
    assert now is networks.in_precision(model, "mixed_bfloat16")
    for ours, weights in zip(now.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, weights)


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


@pytest.mark.parametrize("own", [Doubled(), keras.layers.Lambda(lambda x: 2 * x)])
def test_networks_with_layers_of_somebodys_own_keep_their_precision(own):
    convolutions = [keras.layers.Conv2D(3, 3, padding="same") for _ in range(3)]
    model = model_of(*convolutions[:2], own, convolutions[2])
    assert networks.in_precision(model, "mixed_bfloat16") is model


@pytest.mark.parametrize(
    "build",
    [
        lambda: edsr.build_edsr(2, 4, 1, residual_scaling=0.1),
        lambda: espcn.build_espcn(2, filters=(4,)),
        lambda: srgan.build_srresnet(np.int64(4), 4, 1),
        lambda: srgan.build_discriminator(16, 4, 8, norm="spectral"),
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
    parts = [*loaded.layers, *(x.layer for x in loaded.layers if hasattr(x, "layer"))]
    assert {layer.dtype_policy.name for layer in parts} == {"float32"}
    assert [layer.name for layer in loaded.layers] == [x.name for x in model.layers]
    for ours, theirs in zip(loaded.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    norms = [x for x in loaded.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert not any(norm.synchronized for norm in norms)
    reference = build()
    reference.set_weights(weights)
    image = noise(1, 16, 16, model.input_shape[-1])
    np.testing.assert_array_equal(loaded(image), reference(image))


def test_network_to_train_further_takes_the_precision_that_is_set(model_file):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = networks.load_network_of(2, model_file)
    assert model.get_layer("block1_conv1").dtype_policy.name == "mixed_bfloat16"
    for ours, theirs in zip(model.weights, networks.load_network(model_file).weights):
        np.testing.assert_array_equal(ours, theirs)


def test_files_in_the_home_folder_are_found(model_file, monkeypatch):
    monkeypatch.setenv("HOME", str(model_file.parent))
    assert networks.load_network("~/model.keras").name == "edsr_x2"


def test_files_whose_names_begin_with_a_tilde_are_found(model_file, monkeypatch):
    monkeypatch.chdir(model_file.parent)
    model_file.rename("~old.keras")
    assert networks.load_network("~old.keras").name == "edsr_x2"


# --- One tensor in, one out ---


def repeat_twice(way):
    """An x2 network that repeats pixels, so that the right picture is known; put together
    in one of these ways."""
    inputs = keras.Input((None, None, 3), name="lr")
    same = keras.layers.Conv2D(3, 1, name="same")
    outputs = keras.layers.UpSampling2D(2, name="sr")(same(inputs))
    same.set_weights([np.eye(3).reshape(1, 1, 3, 3), np.zeros(3)])
    return WAYS[way](inputs, outputs)


def model_in_model(inputs, outputs):
    again = keras.Input((None, None, 3))
    return keras.Model(again, keras.Model([inputs], [outputs])([again]))


def inputs_of_another(inputs, outputs):
    other = keras.Model(inputs, outputs)
    return keras.Model(other.inputs, other.outputs)


WAYS = {
    "tensors": keras.Model,
    "lists": lambda inputs, outputs: keras.Model([inputs], [outputs]),
    "lists in lists": lambda inputs, outputs: keras.Model([[inputs]], [[outputs]]),
    "dicts": lambda inputs, outputs: keras.Model({"lr": inputs}, {"sr": outputs}),
    "dict of a list": lambda inputs, outputs: keras.Model(inputs, {"sr": [outputs]}),
    "inputs of another": inputs_of_another,
    "model in a model": model_in_model,
    "sequential": lambda inputs, outputs: keras.Sequential(
        [keras.Input((None, None, 3)), keras.Model(inputs, outputs)]
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("error:The structure of `inputs`")
def test_lists_and_dicts_of_one_are_that_one(way, tmp_path):
    model = repeat_twice(way)
    lr = noise(9, 8, 3)
    expected = lr.repeat(2, axis=0).repeat(2, axis=1)
    model.save(tmp_path / "model.keras")
    networks.save_model(model, tmp_path / "saved.keras")
    for network in (
        model,
        networks.float32_copy(model),
        networks.load_network(tmp_path / "model.keras"),
        keras.saving.load_model(tmp_path / "saved.keras"),
    ):
        assert networks.scale_and_channels(network) == (2, 3)
        assert networks.count_parameters(network) == 12
        np.testing.assert_array_equal(upscale.upscale(network, lr), expected)
    scores = metrics.evaluate(model, [(noise(12, 12, 3), noise(24, 24, 3))], verbose=0)
    assert scores["psnr_y"] < 20
    if way in ("lists", "dicts"):
        export.export(model, "saved_model", tmp_path / "exported")
    for network in networks.as_network(model), keras.Model(model.inputs, model.outputs):
        one = networks.as_network(network)
        assert networks.as_network(one) is one
        np.testing.assert_array_equal(one(lr[None])[0], expected)


@pytest.mark.parametrize("name", ["EDSR (mine)", "_sr"])
def test_a_name_that_tensorflow_refuses_does_not_matter(name, tmp_path):
    """Networks made with another backend may have one."""
    model = repeat_twice("tensors")
    keras.Model(model.input, model.output, name=name).save(tmp_path / "a.keras")
    lr = noise(8, 8, 3)
    sr = upscale.upscale(networks.load_network(tmp_path / "a.keras"), lr)
    np.testing.assert_array_equal(sr, upscale.upscale(model, lr))


@pytest.mark.parametrize("way", WAYS)
def test_initial_weights_come_from_any_of_these(way, tmp_path, capsys):
    repeat_twice(way).save(tmp_path / "model.keras")
    model = repeat_twice("tensors")
    model.get_layer("same").set_weights([np.zeros((1, 1, 3, 3)), np.ones(3)])
    assert networks.load_initial_weights(model, tmp_path / "model.keras")
    assert "1 of 1 layers taken over\n" in capsys.readouterr().out
    kernel, bias = model.get_layer("same").get_weights()
    np.testing.assert_array_equal(kernel[0, 0], np.eye(3))
    assert not bias.any()


def test_same_network_is_made_once_and_not_kept():
    model = repeat_twice("lists")
    first, gone = networks.as_network(model), weakref.ref(model)
    assert networks.as_network(model) is first is not model
    graphs.receptive_radius(model), networks.scale_and_channels(model)
    graphs.split_at_upsampling(first), networks.in_precision(first, "mixed_bfloat16")
    del model
    gc.collect()
    assert gone() is None


def normalising(seed=0):
    """A network with a layer that computes with what it made of its weights before."""
    keras.utils.set_random_seed(seed)
    normalisation = keras.layers.Normalization(name="normalisation")
    normalisation.adapt(noise(4, 8, 8, 3, seed=seed) * 0.5)
    same, last = (
        keras.layers.Conv2D(3, 3, padding="same", name=name)
        for name in ("same", "last")
    )
    rescale = keras.layers.Rescaling(20, 128)
    return model_of(normalisation, same, keras.layers.UpSampling2D(2), last, rescale)


def test_copies_of_networks_that_normalise(tmp_path):
    model, lr = normalising(), noise(8, 9, 3)
    expected = model(lr[None])
    networks.save_model(model, tmp_path / "model.keras")
    for copy in (
        networks.float32_copy(model),
        networks.interpolate_weights(model, model, 0.5),
        networks.load_network(tmp_path / "model.keras"),
    ):
        np.testing.assert_allclose(copy(lr[None]), expected, atol=1e-3)
    half = networks.in_precision(model, "mixed_bfloat16")
    assert half is not model
    np.testing.assert_allclose(half(lr[None]), expected, atol=2)
    other = normalising(seed=1)
    assert networks.load_initial_weights(other, tmp_path / "model.keras")
    np.testing.assert_allclose(other(lr[None]), expected, atol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", ["sequential", "nested", "frozen"])
def test_networks_saved_in_half_precision_are_scored_in_float32(kind, policy):
    """Those, too, of which it is not known what lies between the layers that learned."""
    keras.config.set_dtype_policy(policy)
    layers = keras.layers.Conv2D(3, 1), keras.layers.UpSampling2D(2)
    model = keras.Sequential([keras.Input((None, None, 3)), *layers])
    layers[0].set_weights([np.eye(3)[None, None], np.zeros(3)])
    if kind == "nested":
        inputs = keras.Input((None, None, 3))
        model = keras.Model(inputs, model(inputs))
    elif kind == "frozen":
        model = model_of(*layers)
        model.trainable = False
    keras.config.set_dtype_policy("float32")
    lr = noise(8, 9, 3).astype(np.uint16) * 257
    sr = upscale.upscale(model, lr / 257, dtype=np.uint16, precision="float32")
    np.testing.assert_array_equal(sr, lr.repeat(2, axis=0).repeat(2, axis=1))


def test_quantized_networks_are_left_as_they_are_or_refused(tmp_path):
    first = keras.layers.Conv2D(8, 3, padding="same")
    model = model_of(first, keras.layers.Dense(12), keras.layers.Conv2D(3, 1))
    model.quantize("int8")
    assert networks.in_precision(model, "mixed_bfloat16") is model
    with pytest.raises(
        ValueError, match=r"is quantized \(int8\): use the network that"
    ):
        networks.save_model(model, tmp_path / "model.keras")


def test_output_of_unknown_size_is_named():
    dense = keras.layers.EinsumDense("bhwc,cd->bhwd", (None, None, 3))
    with pytest.raises(ValueError, match="does not say how large its output is"):
        networks.scale_and_channels(model_of(dense))


def test_initial_weights_of_networks_in_a_network(tmp_path, capsys):
    def build(seed):
        keras.utils.set_random_seed(seed)
        inner = model_of(keras.layers.Conv2D(3, 3, padding="same", name="inner"))
        return model_of(keras.layers.Conv2D(3, 1, name="outer"), inner)

    networks.save_model(build(0), tmp_path / "model.keras")
    assert networks.load_initial_weights(build(1), tmp_path / "model.keras")
    assert "2 of 2 layers taken over" in capsys.readouterr().out


def test_several_inputs_or_outputs_are_counted(tmp_path):
    model = mdsr.build_mdsr((2, 3), filters=4, blocks=1)
    model.save(tmp_path / "model.keras")
    message = "mdsr must have one input and one output, not 2 and 2: make a network"
    for function, given in (
        (networks.as_network, model),
        (networks.scale_and_channels, model),
        (networks.load_network, tmp_path / "model.keras"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            function(given)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=message):
        upscale.upscale(model, noise(8, 8, 3))
    one = keras.Model(model.inputs[0], model.outputs[0])  # as the message says
    assert networks.scale_and_channels(one) == (2, 3)
    copy = networks.float32_copy(model)
    assert len(copy.inputs) == len(copy.outputs) == 2


def test_compiled_networks_load_without_what_they_were_compiled_with(tmp_path):
    model = repeat_twice("tensors")
    model.compile("adam", "mae", metrics=[metrics.PSNR(shave=2, luma=True)])
    model.fit(noise(2, 8, 8, 3), noise(2, 16, 16, 3), verbose=0)
    model.save(tmp_path / "model.keras")
    assert not networks.load_network(tmp_path / "model.keras").compiled
    done = subprocess.run(  # where nobody has imported metrics.py
        [
            sys.executable,
            "-c",
            "from core.networks import load_network; "
            f"print(load_network({str(tmp_path / 'model.keras')!r}).compiled)",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False" and "Warning" not in done.stderr


# --- What can be read off a network ---


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_scale_and_channels_are_read_off_the_shapes(scale, channels):
    model = model_of(keras.layers.UpSampling2D(scale), channels=channels)
    assert networks.scale_and_channels(model) == (scale, channels)


def own_class():
    class Own(keras.Model):
        def call(self, x):
            return x

    return Own(name="own")


def skipped():
    """A network that halves its input, and adds what it makes of that to it."""
    inputs = keras.Input((None, None, 3))
    half = keras.layers.MaxPooling2D(2)(inputs)
    outputs = keras.layers.Add()([inputs, keras.layers.UpSampling2D(2)(half)])
    return keras.Model(inputs, outputs, name="skipped")


def from_shape(*shape, batch=None):
    inputs = keras.Input(shape, batch_size=batch)
    return keras.Model(inputs, keras.layers.Activation("relu")(inputs), name="some")


@pytest.mark.parametrize(
    "model, message",
    [
        (
            model_of(keras.layers.AveragePooling2D(2)),
            "some makes 16x16 pixels of 32x32: not a whole multiple of its input",
        ),
        (
            model_of(keras.layers.AveragePooling2D(2), keras.layers.UpSampling2D(2)),
            "some makes 34x32 pixels of 35x33: not a whole multiple of its input",
        ),
        (
            model_of(keras.layers.UpSampling2D((2, 3))),
            "some makes 96x64 pixels of 32x32: not a whole multiple of its input",
        ),
        (
            model_of(keras.layers.Conv2D(3, 40)),
            "some does not take pictures of any size, such as 32x32 pixels: ",
        ),
        (
            skipped(),
            "skipped does not take pictures of any size, such as 35x33 pixels: ",
        ),
        (
            model_of(keras.layers.GlobalAveragePooling2D()),
            r"some gives \(3,\) for a picture of \(32, 32, 3\), not a picture of as many",
        ),
        (
            model_of(keras.layers.Conv2D(5, 1)),
            r"some gives \(32, 32, 5\) for a picture of \(32, 32, 3\), not a picture of as",
        ),
        (from_shape(64, 64, 3), r"takes only 64x64 pixels: .*\(\(None, None, 3\)\)"),
        (from_shape(64, None, 1), "some takes only anyx64 pixels: build it for any"),
        (
            from_shape(None, None, 4),
            r"some takes 4 channels, not 3 \(RGB\) or 1 \(luma\)",
        ),
        (from_shape(None, None, 2), "some takes 2 channels, not 3"),
        (from_shape(3, None, None), "some takes channels first, not last"),
        (from_shape(1, 64, 64), "some takes channels first, not last"),
        (
            from_shape(None, None, 3, batch=16),
            "some takes 16 pictures at a time, not one",
        ),
        (
            from_shape(None, 3),
            r"some takes \(None, None, 3\), not \(batch, height, width",
        ),
        (own_class(), "own does not say what it takes: build it from keras.Input"),
    ],
)
def test_models_that_do_not_enlarge_are_refused_with_the_reason(model, message):
    with pytest.raises(ValueError, match=message) as error:
        networks.scale_and_channels(model)
    assert "\n" not in str(error.value)


def test_batches_of_one_are_networks():
    assert networks.scale_and_channels(from_shape(None, None, 3, batch=1)) == (1, 3)


def test_parameters_are_counted(tiny_network):
    model = tiny_network(2)
    assert networks.count_parameters(model) == parameters(model)
    assert networks.count_parameters(None) == 0  # bicubic


# --- Weights to start from ---


def test_frozen_layers_are_taken_over(tiny_network, tmp_path, capsys):
    source = tiny_network(2)
    networks.save_model(source, tmp_path / "model.keras")
    model = edsr.build_edsr(2, filters=4, blocks=2)
    for name in ("head", "block1_conv1"):
        model.get_layer(name).trainable = False
    assert networks.load_initial_weights(model, tmp_path / "model.keras")
    assert "8 of 8 layers taken over\n" in capsys.readouterr().out
    for ours, theirs in zip(model.get_weights(), source.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_initial_weights_take_over_all_but_the_upsampling(
    tiny_network, tmp_path, capsys
):
    source = tiny_network(2)
    networks.save_model(source, tmp_path / "model.keras")
    model = edsr.build_edsr(4, filters=4, blocks=2)
    whole = networks.load_initial_weights(model, tmp_path / "model.keras")
    assert not whole and "8 of 9 layers taken over" in capsys.readouterr().out
    other = edsr.build_edsr(2, filters=4, blocks=2)
    assert networks.load_initial_weights(other, tmp_path / "model.keras")
    for name in ("head", "block1_conv1", "body_end", "tail"):
        for ours, theirs in zip(
            model.get_layer(name).get_weights(), source.get_layer(name).get_weights()
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "settings",
    [{"scale": 2}, {"blocks": 1}, {"image_skip": False}, {"residual_scaling": 0.1}],
)
def test_network_of_other_settings_is_not_the_saved_one(
    settings, tiny_network, tmp_path, capsys
):
    """Though it has no layer that the saved one lacks."""
    networks.save_model(tiny_network(4), tmp_path / "model.keras")
    for other, whole in ({}, True), (settings, False):
        model = edsr.build_edsr(**{"scale": 4, "filters": 4, "blocks": 2, **other})
        assert networks.load_initial_weights(model, tmp_path / "model.keras") == whole
        out = capsys.readouterr().out
        assert ("differs from the saved one" in out) != whole
        if not whole:
            count = len([layer for layer in model.layers if layer.trainable_weights])
            assert f"{count} of {count} layers taken over" in out


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_discriminator_for_other_patches_is_not_the_saved_one(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    build = functools.partial(srgan.build_discriminator, filters=4, units=8)
    networks.save_model(random_weights(build(32)), tmp_path / "discriminator.keras")
    for side, whole in (32, True), (31, False):
        path = tmp_path / "discriminator.keras"
        assert networks.load_initial_weights(build(side), path) == whole


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


def test_interpolation_lies_between_two_networks(tiny_network):
    first, second = tiny_network(2), tiny_network(2, seed=1)
    mixed = networks.interpolate_weights(first, second, 0.25)
    for a, b, m in zip(*(x.get_weights() for x in (first, second, mixed))):
        np.testing.assert_allclose(m, 0.75 * a + 0.25 * b, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        first.get_weights()[0], tiny_network(2).get_weights()[0]
    )
    with pytest.raises(ValueError, match="differ in their layers"):
        networks.interpolate_weights(first, tiny_network(3), 0.5)


# --- Keras' own settings ---


def test_networks_and_scores_are_the_same_whatever_keras_json_says(tmp_path):
    """As another project may have left it. Importing the script trains nothing."""
    theirs = {"image_data_format": "channels_first", "floatx": "float16"}
    theirs |= {"backend": "torch", "epsilon": 1e-7}
    (tmp_path / "keras.json").write_text(json.dumps(theirs))
    code = (
        "import edsr, keras, metrics, numpy as np\n"
        "assert keras.backend.backend() == 'tensorflow'\n"
        "model = edsr.build_edsr(2, filters=4, blocks=1)\n"
        "assert {layer.dtype for layer in model.layers} == {'float32'}\n"
        "sr = model(np.full((1, 6, 5, 3), 100, np.uint8))\n"
        "assert sr.shape == (1, 12, 10, 3)\n"
        "psnr = metrics.PSNR()\n"
        "hr = np.arange(243).reshape(1, 9, 9, 3)\n"
        "psnr.update_state(hr, hr + 10)\n"
        "print(float(psnr.result()))\n"
    )
    environment = {"PYTHONPATH": str(PROJECT), "KERAS_HOME": str(tmp_path)}
    environment = {**os.environ, **environment}
    environment.pop("KERAS_BACKEND", None)
    command = [sys.executable, "-c", code]
    out = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE
    )
    assert [path.name for path in tmp_path.iterdir()] == ["keras.json"]
    np.testing.assert_allclose(float(out.stdout), 20 * np.log10(25.5), rtol=1e-6)

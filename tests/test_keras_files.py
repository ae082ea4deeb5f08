"""`.keras` files that do not load and why, other versions of Keras, what is left out."""

import json
import pathlib
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import edsr
import srgan
import upscale
from core import keras_files, networks
from helpers import PROJECT, noise, random_weights

OLDEST = "3.14.0"  # which opens the included files
OLD = "3.3.3"  # whose files open here

# --- Files that do not load ---


def save(path, *between, **changes):
    """Saves an x2 network with these layers in between; then changes parts of its file."""
    inputs = outputs = keras.Input((None, None, 3))
    for layer in (
        *between,
        layers.Conv2D(3, 3, padding="same"),
        layers.UpSampling2D(2),
    ):
        outputs = layer(outputs)
    model = keras.Model(inputs, outputs)
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode("latin-1") for name in MEMBERS}
    for name, (old, new) in changes.items():
        (member,) = [member for member in MEMBERS if member.startswith(name)]
        assert old in members[member]
        members[member] = members[member].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.encode("latin-1"))
    return model


MEMBERS = "metadata.json", "config.json", "model.weights.h5"
NEWER = keras.__version__, "9.1.2"


class Own(layers.Layer):
    def call(self, x):
        return x


def own(x):
    return keras.ops.relu(x)


@pytest.mark.parametrize(
    "between, changes, reason",
    [
        (
            [Own()],
            {},
            "needs Own, a class that is not part of Keras: code of others is",
        ),
        (
            [layers.Activation(own)],
            {},
            "needs own, a function that is not part of Keras",
        ),
        ([layers.Lambda(own)], {}, "needs own, a function that is not part of Keras"),
        (
            [layers.Lambda(lambda x: 2 * x)],
            {},
            "contains a Lambda layer, whose Python code is never run",
        ),
        (
            [],
            {"metadata": NEWER, "config": ('"filters": 3', '"fresh": 1, "filters": 3')},
            f"was saved by Keras 9.1.2, and this is {keras.__version__}: update Keras .* "
            r"Unrecognized keyword arguments passed to Conv2D: {'fresh': 1}\.$",
        ),
        (
            [],
            {"metadata": NEWER, "config": ('"Conv2D"', '"Conv2DPlus"')},
            "was saved by Keras 9.1.2, .*'keras.layers.Conv2DPlus' because",
        ),
        (
            [],
            {"config": ('"filters": 3', '"fresh": 1, "filters": 3')},
            f"does not load in Keras {keras.__version__}: Unrecognized keyword .*'fresh'",
        ),
        (
            [],
            {"config": ('"filters": 3', '"filters": 5')},
            f"does not load in Keras {keras.__version__}: the weights in it do not fit its",
        ),
        (
            [],
            {
                "metadata": (keras.__version__, "2.15.0"),
                "config": (
                    "keras.src.models.functional",
                    "keras.src.engine.functional",
                ),
            },
            "was saved by Keras 2.15.0, and Keras 3 does not load .keras files of Keras 2",
        ),
        ([], {"config": ('"layers": [', '"layers": [[')}, "is damaged: Expecting"),
        ([], {"metadata": ("keras_version", "version")}, "is damaged: 'keras_version'"),
        ([], {"model": ("\x89HDF", "\x89HDG")}, "does not load in Keras .*: "),
    ],
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_reason_is_the_true_one(between, changes, reason, tmp_path):
    path = tmp_path / "model.keras"
    if "metadata" in changes and "config" not in changes:  # it is read when others fail
        changes = {**changes, "config": ('"filters": 3', '"filters": 5')}
    save(path, *between, **changes)
    with pytest.raises(ValueError, match=f"model.keras {reason}") as error:
        keras_files.load_model(path)
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_newer_versions_are_no_reason_where_a_file_loads(tmp_path):
    model = save(tmp_path / "model.keras", metadata=NEWER)
    loaded = networks.load_network(tmp_path / "model.keras")
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_no_keras_file_is_refused_with_the_way_out(tmp_path):
    model = save(tmp_path / "good.keras")
    good = (tmp_path / "good.keras").read_bytes()
    model.save(tmp_path / "old.h5")
    model.save_weights(tmp_path / "model.weights.h5")
    model.export(tmp_path / "saved_model", verbose=False)
    for name in ("old.h5", "model.weights.h5"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.keras").write_bytes(content)
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "empty.keras").touch()
    (tmp_path / "cut.keras").write_bytes(good[: len(good) // 2])
    (tmp_path / "model.zip").write_bytes(good)
    flipped = bytearray(good)
    flipped[good.index(b"\x89HDF") + 3000] ^= 255
    (tmp_path / "flipped.keras").write_bytes(flipped)
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("a.txt", "no model")
    for name, reason in {
        "nowhere.keras": ": there is no such file",
        "espcn_x4": ": there is no such file. Did you mean /.*/weights/espcn_x4.keras",
        "folder.keras": ": this is a folder",
        "saved_model": " is a SavedModel, which does not hold the layers: save the Keras",
        "text.keras": " is not a model saved as .keras",
        "empty.keras": " is empty",
        "cut.keras": " is damaged: its end is missing",
        "cut.h5": " is damaged: ",
        "flipped.keras": " is damaged: model.weights.h5 in it is not what was saved",
        "other.keras": " is a zip archive, but not a model saved as .keras",
        "model.zip": " is a .keras file with another name: rename it to end with .keras",
        "old.h5": " is in Keras' old HDF5 format: convert it in Python",
        "old.h5.keras": " is in Keras' old HDF5 format: rename it to old.h5, and convert",
        "model.weights.h5": " holds weights alone, without the layers: build the network",
        "model.weights.h5.keras": " holds weights alone, without the layers: build the",
    }.items():
        with pytest.raises(ValueError, match=f"/{name}{reason}") as error:
            networks.load_network(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["good.keras", "old.h5"])
def test_damage_anywhere_is_one_sentence(name, tmp_path):
    model = save(tmp_path / "good.keras")
    model.save(tmp_path / "old.h5")
    whole = np.fromfile(tmp_path / name, np.uint8)
    path = (tmp_path / "damaged").with_suffix(pathlib.Path(name).suffix)
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(60):
        content = whole.copy()
        first = rng.integers([len(whole), 400])[number % 2]  # of all, or of the end
        content[-first : len(whole) - first + 3] = rng.integers(256)
        content.tofile(path)
        try:
            loaded = networks.load_network(path).get_weights()
            for ours, theirs in zip(loaded, model.get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs)
        except ValueError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert refused >= 30


def test_old_hdf5_files_are_converted_as_the_message_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = save(tmp_path / "good.keras")
    model.save("old.h5")
    with pytest.raises(ValueError) as error:
        networks.load_network("old.h5")
    eval(str(error.value).partition("in Python, with ")[2].rstrip("."))
    lr = noise(9, 8, 3)
    expected = upscale.upscale(model, lr)
    result = upscale.upscale(networks.load_network("new.keras"), lr)
    np.testing.assert_array_equal(result, expected)


# --- What only training needs ---


@pytest.mark.parametrize(
    "build",
    [
        lambda: edsr.build_edsr(2, 4, 1),
        lambda: srgan.build_srresnet(2, 4, 1),
        lambda: srgan.build_discriminator(16, 4, 8),
    ],
)
def test_initialisers_are_not_saved(build, tmp_path):
    model = random_weights(build())
    path = tmp_path / "model.keras"
    networks.save_model(model, path)
    with zipfile.ZipFile(path) as archive:
        assert "initializer" not in archive.read("config.json").decode()
        assert archive.testzip() is None
    loaded = keras.saving.load_model(path)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    layer, *_ = [x for x in loaded.layers if isinstance(x, layers.Conv2D)]
    assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)


def test_layers_of_others_keep_all_they_were_made_with(tmp_path):
    """Since they may not have a default for it."""

    @keras.saving.register_keras_serializable(package="tests")
    class Needy(layers.Layer):
        def __init__(self, kernel_initializer, **kwargs):
            super().__init__(**kwargs)
            self.kernel_initializer = kernel_initializer

        def call(self, x):
            return x

        def get_config(self):
            return {**super().get_config(), "kernel_initializer": "ones"}

    save(tmp_path / "model.keras", Needy("ones"))
    keras_files.leave_out_initializers(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    kept = [
        layer["class_name"]
        for layer in config["config"]["layers"]
        if any("initializer" in key for key in layer["config"])
    ]
    assert kept == ["Needy"]
    assert networks.load_network(tmp_path / "model.keras").layers


# --- Other versions of Keras ---

# What runs in the other environment: enlarges LR with each included network; saves a
# network in each way, with what it makes of LR.
ENLARGE = """
import pathlib, sys
import keras, numpy as np
assert keras.__version__ == sys.argv[1]
for path in sorted(pathlib.Path(sys.argv[2]).glob("*.keras")):
    network = keras.saving.load_model(path)
    lr = np.load("lr.npy")[..., : network.input_shape[-1]]
    np.save(path.stem + ".npy", network.predict(lr, verbose=0))
"""
SAVE = """
import sys
import keras, numpy as np
from keras import layers
assert keras.__version__ == sys.argv[1]
keras.utils.set_random_seed(0)
lr = np.load("lr.npy")
def network():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same")(layers.Rescaling(1 / 255)(inputs))
    x = layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(3, 4, strides=2, padding="same")(x)
    return inputs, keras.ops.clip(255 * x, 0, 255)
one = keras.Model(*network())
again = keras.Input((None, None, 3))
models = {
    "tensors": one,
    "lists": keras.Model(*([end] for end in network())),
    "inputs_of_another": keras.Model(one.inputs, one.outputs),
    "model_in_model": keras.Model(again, one(again)),
    "sequential": keras.Sequential([keras.Input((None, None, 3)), one]),
    "compiled": keras.Model(*network()),
}
models["compiled"].compile("adam", "mae", metrics=["mse"])
for name, model in models.items():
    model.save(name + ".keras")
    np.save(name + ".npy", model.predict(lr, verbose=0))
"""


@pytest.fixture(scope="module")
def other_keras(tmp_path_factory):
    """Runs Python code with another version of Keras, on JAX alone, in an environment and
    a folder of their own: gives that folder, with LR in it."""
    folder = tmp_path_factory.mktemp("other")
    python = folder / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([*pip, f"keras=={OLDEST}", "jax"], check=True)
    target = ["--no-deps", "--target", folder / OLD]
    subprocess.run([*pip, *target, f"keras=={OLD}"], check=True)
    lr = tf.image.resize(noise(1, 8, 9, 3), (32, 36), "bicubic")
    np.save(folder / "lr.npy", np.clip(lr, 0, 255))

    def run(version, code, *arguments):
        path = "" if version == OLDEST else str(folder / version)
        environment = {"KERAS_BACKEND": "jax", "PYTHONPATH": path, "HOME": str(folder)}
        command = [python, "-c", code, version, *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True)
        return folder

    return run


@pytest.mark.slow
def test_oldest_keras_opens_the_included_networks(other_keras):
    folder = other_keras(OLDEST, ENLARGE, PROJECT / "weights")
    files = sorted((PROJECT / "weights").glob("*.keras"))
    assert files
    for path in files:
        network = networks.load_network(path)
        lr = np.load(folder / "lr.npy")[..., : network.input_shape[-1]]
        theirs = np.load(folder / f"{path.stem}.npy")
        np.testing.assert_allclose(theirs, network.predict(lr, verbose=0), atol=1e-3)
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert f"Keras {OLDEST.rpartition('.')[0]} or newer" in text


@pytest.mark.slow
def test_files_of_old_keras_are_networks(other_keras):
    folder = other_keras(OLD, SAVE)
    files = sorted(folder.glob("[a-z]*.keras"))
    assert len(files) == 6
    for path in files:
        network = networks.load_network(path)
        assert networks.scale_and_channels(network) == (2, 3)
        result = network.predict(np.load(folder / "lr.npy"), verbose=0)
        theirs = np.load(folder / f"{path.stem}.npy")
        assert theirs.std() > 1
        np.testing.assert_allclose(result, theirs, atol=1e-3)

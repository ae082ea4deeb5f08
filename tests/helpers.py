"""What several test modules use: places, tiny settings, pictures, looks into results."""

import csv
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import keras
import numpy as np
from PIL import Image

import data
import reference

PROJECT = pathlib.Path(__file__).parent.parent
SCRIPTS = ["edsr", "espcn", "srgan", "mdsr", "rcan"]

# Settings of each script for runs of seconds.
TINY = {
    "edsr": {
        "SCALE": 2,
        "FILTERS": 8,  # with fewer, Muon leaves all to Adam
        "BLOCKS": 1,
        "PATCH_SIZE": 12,
        "EPOCHS": 2,
        "STEPS_PER_EPOCH": 3,
        "WARMUP_STEPS": 2,
        "LEARNING_RATE": 1e-2,
        "PRECISION": "float32",
    },
    "espcn": {
        "LAYER_FILTERS": (4, 4),
        "PATCH_SIZE": 12,
        "EPOCHS": 2,
        "STEPS_PER_EPOCH": 3,
        "LEARNING_RATE": 1e-2,
        "PRECISION": "float32",
    },
    "srgan": {
        "SCALE": 2,
        "FILTERS": 4,
        "BLOCKS": 1,
        "PATCH_SIZE": 8,
        "BATCH_SIZE": 2,
        "EPOCHS": 2,
        "GAN_EPOCHS": 2,
        "CONTENT_LOSS": "mse",
        "DISCRIMINATOR_FILTERS": 4,
        "STEPS_PER_EPOCH": 2,
        "LEARNING_RATE": 1e-3,
        "PRECISION": "float32",
    },
    "mdsr": {
        "SCALES": (2, 3),
        "FILTERS": 4,
        "BLOCKS": 1,
        "PATCH_SIZE": 12,
        "BATCH_SIZE": 2,
        "EPOCHS": 2,
        "STEPS_PER_EPOCH": 3,
        "LEARNING_RATE": 1e-2,
        "PRECISION": "float32",
    },
    "rcan": {
        "SCALE": 2,
        "GROUPS": 2,
        "BLOCKS": 1,
        "FILTERS": 4,
        "REDUCTION": 2,
        "PATCH_SIZE": 12,
        "EPOCHS": 2,
        "STEPS_PER_EPOCH": 3,
        "LEARNING_RATE": 1e-2,
        "PRECISION": "float32",
    },
}


# --- Running things ---


def edits(constants):
    """Constants as the command line takes them: ["SCALE=2", "DATASET=div2k", ...]."""
    return [f"{name}={value}" for name, value in constants.items()]


def edited(name, constants):
    """The text of a script whose constants somebody has edited, as in a notebook."""
    source = (PROJECT / f"{name}.py").read_text()
    for constant, value in constants.items():
        source, count = re.subn(
            rf"^{constant} = .*$", f"{constant} = {value!r}", source, flags=re.M
        )
        assert count == 1
    return source


def usual_ctrl_c():
    """For a new process: jobs in the background of a shell inherit to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run_process(folder, script, *arguments, seconds=120, **environment):
    """Runs a command in a folder, in a process of its own.

    Returns:
        Its exit status, all it printed, and its peak memory in bytes.
    """
    log = folder / f"{pathlib.Path(script).stem}.log"
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, PROJECT / script, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    out = log.read_text()
    log.unlink()
    assert "Traceback" not in out, out
    return process.returncode, out, 1024 * usage.ru_maxrss


# --- Pictures and networks ---


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def noisy_pair(seed=0, shape=(40, 52, 3)):
    """Noise, and the same with more noise: uint8 (HR, SR)."""
    rng = np.random.default_rng(seed)
    hr = rng.integers(0, 256, shape, dtype=np.uint8)
    return hr, np.clip(hr + rng.normal(0, 25, shape), 0, 255).astype(np.uint8)


def drawn_pair(scale):
    """The drawn picture and its LR: uint8 (LR, HR)."""
    hr = data.read_image(reference.DATA / "drawn.png")
    height, width = (side // scale * scale for side in hr.shape[:2])
    lr = data.read_image(reference.DATA / f"drawn_LR_x{scale}.png")
    return lr, hr[:height, :width]


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_blank(figure, path):
    """In place of rendering a drawing, which would take a sixth of all the time."""
    save(np.zeros((1, 1, 3), np.uint8), path)


def names(dataset, split, scale=2):
    """The files of a split."""
    return set(data.load(dataset, split, scale).pictures.names)


def model_of(*layers, channels=3, name="some"):
    inputs = outputs = keras.Input((None, None, channels))
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs, name=name)


def random_weights(model, seed=0):
    """Gives a network random weights everywhere, biases too."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
    return model


def parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# For each convolution its name, the side of the pooling before it and its own stride.
ALEXNET = [
    ("{}1", 0, 4),
    ("{}2", 3, 1),
    ("{}3", 3, 1),
    ("{}4", 0, 1),
    ("{}5", 0, 1),
]


def vgg_layers(counts):
    return [
        (f"block{block}_{{}}{number}", 2 if block > 1 and number == 1 else 0, 1)
        for block, count in enumerate(counts, 1)
        for number in range(1, count + 1)
    ]


LAYERS = {
    "alexnet": ALEXNET,
    "vgg16": vgg_layers((2, 2, 3, 3, 3)),
    "vgg19": vgg_layers((2, 2, 4, 4, 4)),
}


def network_features(network, arrays, x, last):
    """A network of ImageNet in NumPy, layer by layer.

    Args:
        network: a key of `LAYERS`.
        arrays: kernels and biases in turn.
        x: array [h, w, 3], as the network wants it.
        last: name of the layer whose features are returned, such as "block2_relu1".
    """
    for (name, pool, stride), kernel, bias in zip(
        LAYERS[network], arrays[::2], arrays[1::2]
    ):
        if pool:
            x = windows(x, pool, 2).max(axis=(-2, -1))
        size = len(kernel)
        around = 2 if size == 11 else size // 2
        x = np.pad(x, ((around, around), (around, around), (0, 0)))
        x = np.einsum(
            "hwiyx,yxio->hwo", windows(x, size, stride), kernel, optimize=True
        )
        x = x + bias
        if name.format("conv") == last:
            return x
        x = np.maximum(x, 0)
        if name.format("relu") == last:
            return x


def windows(x, size, stride):
    """[h, w, C] to [h', w', C, size, size]."""
    all_of_them = np.lib.stride_tricks.sliding_window_view(x, (size, size), (0, 1))
    return all_of_them[::stride, ::stride]


# --- Results ---


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def state_of(folder):
    """The state file: its arrays, and its meta data."""
    state = np.load(folder / "state.npz")
    meta = json.loads(str(state["meta"]))
    return {name: state[name] for name in state.files if name != "meta"}, meta


def assert_same_state(folder, other):
    (arrays, meta), (other_arrays, other_meta) = state_of(folder), state_of(other)
    assert arrays.keys() == other_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])
    assert meta["history"] == other_meta["history"]
    assert meta["best"] == other_meta["best"]

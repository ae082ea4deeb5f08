"""Training on JAX and PyTorch, on several devices, in several processes. Each runs on its
own, since backend and devices are chosen once for a process."""

import functools
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from core import networks
from helpers import (
    PROJECT,
    TINY,
    assert_same_state,
    edits,
    noise,
    run_process,
    state_of,
)

# Runs scripts as from the command line, one after the other, perhaps only up to some epoch.
RUN = """
import json, runpy, sys
import keras
fit = keras.Model.fit
for script, edits, until in json.loads(sys.argv[1]):
    if until:
        keras.Model.fit = lambda *args, **kw: fit(*args, **{**kw, "epochs": until})
    sys.argv = [script, *edits]
    runpy.run_path(script, run_name="__main__")
    keras.Model.fit = fit
"""


# Put before RUN: two virtual devices of TensorFlow in place of two GPUs.
TWO_DEVICES = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
from core import precision
precision.gpus = lambda: [("GPU", (8, 0))] * 2
"""


def start(runs, before="", **environment):
    """Starts a process for a list of (name, constants, last epoch or None)."""
    runs = [
        (str(PROJECT / f"{name}.py"), edits(constants), until)
        for name, constants, until in runs
    ]
    return subprocess.Popen(
        [sys.executable, "-c", before + RUN, json.dumps(runs)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    try:
        out, _ = process.communicate(timeout=400)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, out
    return out


def settings(name, dataset, results):
    few = {
        "PATCH_SIZE": 12,
        "BATCH_SIZE": 4,
        "LEARNING_RATE": 1e-3,
        "STEPS_PER_EPOCH": 3,
    }
    if name == "espcn":
        few["SCALE"] = 2
    return {**TINY[name], **few, "DATASET": str(dataset), "RESULTS": str(results)}


def assert_close(folder, other):
    (arrays, meta), (other_arrays, other_meta) = state_of(folder), state_of(other)
    for name, array in arrays.items():
        np.testing.assert_allclose(array, other_arrays[name], rtol=1e-2, atol=1e-5)
    for row, other_row in zip(meta["history"], other_meta["history"]):
        np.testing.assert_allclose(
            list(row.values()), list(other_row.values()), rtol=1e-4
        )


def only_folder(results):
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    return folder


@pytest.fixture(params=["jax", "torch"])
def backend(request):
    """Those that are not the default, as far as they are installed."""
    if not importlib.util.find_spec(request.param):
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.mark.slow
def test_what_others_train_loads_on_tensorflow(backend, tmp_path, smooth_pictures):
    results = tmp_path / "results"
    constants = settings("edsr", smooth_pictures, results)
    out = finish(start([("edsr", constants, 1)], KERAS_BACKEND=backend))
    assert f"({backend})" in out
    assert keras.backend.backend() == "tensorflow"
    model = keras.saving.load_model(only_folder(results) / "model.keras")
    assert model(np.zeros((1, 6, 6, 3))).shape == (1, 12, 12, 3)


@pytest.mark.slow
def test_others_resume_to_the_very_same_weights(backend, tmp_path, smooth_pictures):
    straight = settings("edsr", smooth_pictures, tmp_path / "straight")
    stopped = settings("edsr", smooth_pictures, tmp_path / "stopped")
    runs = [("edsr", straight, None), ("edsr", stopped, 1), ("edsr", stopped, None)]
    assert "Resuming" in finish(start(runs, KERAS_BACKEND=backend))
    folders = [only_folder(tmp_path / name) for name in ("straight", "stopped")]
    assert_same_state(*folders)


PREDICT = """
import sys
import numpy as np
from core import networks
path, lr, sr = sys.argv[1:]
np.save(sr, networks.load_network(path).predict_on_batch(np.load(lr)))
"""


@pytest.mark.parametrize(
    "backend", ["jax", pytest.param("torch", marks=pytest.mark.slow)], indirect=True
)
def test_a_file_gives_the_same_picture_on_others(backend, tmp_path):
    """The same to within 0.01 grey levels, before it is rounded."""
    path = PROJECT / "weights" / "edsr_x2.keras"
    lr, sr = tmp_path / "lr.npy", tmp_path / "sr.npy"
    np.save(lr, noise(1, 20, 24, 3))
    subprocess.run(
        [sys.executable, "-c", PREDICT, path, lr, sr],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "KERAS_BACKEND": backend},
        check=True,
        timeout=200,
    )
    expected = networks.load_network(path).predict_on_batch(np.load(lr))
    np.testing.assert_allclose(np.load(sr), expected, rtol=0, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["espcn", "mdsr", "rcan"])
def test_all_other_scripts_train_on_others(name, backend, tmp_path, smooth_pictures):
    constants = settings(name, smooth_pictures, tmp_path / "results")
    runs = [(name, constants, 1), (name, constants, None)]
    out = finish(start(runs, KERAS_BACKEND=backend))
    assert "Resuming" in out and "PSNR Y" in out
    path, *_ = only_folder(tmp_path / "results").glob("model*.keras")
    keras.saving.load_model(path)


@pytest.mark.slow
def test_resumes_in_bfloat16_on_torch(tmp_path, smooth_pictures):
    pytest.importorskip("torch")
    folders = []
    for end, untils in (("straight", [None]), ("stopped", [1, None])):
        constants = settings("edsr", smooth_pictures, tmp_path / end)
        constants["PRECISION"] = "mixed_bfloat16"
        runs = [("edsr", constants, until) for until in untils]
        finish(start(runs, KERAS_BACKEND="torch"))
        folders.append(only_folder(tmp_path / end))
    assert_same_state(*folders)


@pytest.mark.slow
def test_commands_run_on_others(backend, tmp_path, smooth_pictures, model_file):
    run = functools.partial(run_process, tmp_path, KERAS_BACKEND=backend)
    picture = smooth_pictures / "test" / "a.png"
    status, _, _ = run("upscale.py", picture, "--model", model_file)
    assert status == 0 and (tmp_path / "upscaled" / "a_x2.png").exists()
    status, out, _ = run("compare.py", model_file, "--data", smooth_pictures)
    assert status == 0 and "SSIM RGB" in out
    exported = tmp_path / "exported"
    status, out, _ = run("export.py", model_file, "saved_model", exported)
    assert status == 0 and exported.exists()
    assert "The exporters are TensorFlow's" in out
    status, out, _ = run("srgan.py", f"DATASET={smooth_pictures}")
    assert status == 1 and "set KERAS_BACKEND=tensorflow" in out


@pytest.mark.slow
def test_two_devices_of_jax_train_as_one(tmp_path, smooth_pictures):
    for count in (1, 2):
        constants = settings("edsr", smooth_pictures, tmp_path / str(count))
        flags = f"--xla_force_host_platform_device_count={count}"
        run = start([("edsr", constants, None)], KERAS_BACKEND="jax", XLA_FLAGS=flags)
        assert f"cpu:{count - 1} (jax)" in finish(run)
    assert_close(*(only_folder(tmp_path / count) for count in "12"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edsr", "mdsr"])
def test_two_processes_train_as_one(name, tmp_path, smooth_pictures):
    one = settings(name, smooth_pictures, tmp_path / "one")
    finish(start([(name, one, None)], KERAS_BACKEND="jax"))
    outputs = []
    two = settings(name, smooth_pictures, tmp_path / "two")
    for until in (1, None, None):  # at first both resume, then to the report
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        processes = [
            start(
                [(name, two, until)],
                KERAS_BACKEND="jax",
                KERAS_DISTRIBUTION_JOB_ADDRESSES=f"localhost:{port}",
                KERAS_DISTRIBUTION_NUM_PROCESSES="2",
                KERAS_DISTRIBUTION_PROCESS_ID=str(number),
            )
            for number in range(2)
        ]
        first, second = map(finish, processes)
        outputs.append(first)
    assert "Resuming" in outputs[1] and "trained for all of its" in outputs[2]
    assert "PSNR Y" in first
    assert "Process 1 of 2" in second and "PSNR Y" not in second
    assert_close(only_folder(tmp_path / "one"), only_folder(tmp_path / "two"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edsr", "espcn", "mdsr", "rcan", "srgan"])
def test_scripts_run_and_resume_on_two_devices_of_tensorflow(
    name, tmp_path, smooth_pictures
):
    """With a number of validation pictures that they cannot share evenly."""
    folder = smooth_pictures / "validation"
    shutil.copy(folder / "b.png", folder / "c.png")
    straight, stopped = (
        settings(name, smooth_pictures, tmp_path / end)
        for end in ("straight", "stopped")
    )
    runs = [(name, straight, None), (name, stopped, 1), (name, stopped, None)]
    out = finish(start(runs, TWO_DEVICES))
    assert "Resuming" in out and "PSNR Y" in out
    folders = sorted(
        path for path in (tmp_path / "straight").iterdir() if path.is_dir()
    )
    assert len(folders) == (2 if name == "srgan" else 1)
    for folder in folders:
        assert_close(folder, tmp_path / "stopped" / folder.name)


# Trains EDSR and SRGAN on one and on two virtual devices of TensorFlow, on the same
# batches, and prints how much the losses differ, and the changes of the weights.
MIRRORED = TWO_DEVICES + """
import contextlib, edsr, keras, metrics, numpy as np, srgan
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rng = np.random.default_rng(0)
lr, hr = (rng.integers(0, 256, (8, side, side, 3), np.uint8) for side in (8, 16))
batches = tf.data.Dataset.from_tensor_slices((lr, hr)).batch(4, drop_remainder=True)

def train_edsr():
    model = edsr.build_edsr(2, 4, 1)
    metric = metrics.PSNR(shave=2, luma=True)
    model.compile(keras.optimizers.SGD(1e-3), "mae", metrics=[metric])
    return model, [model]

def train_srgan():
    generator = srgan.build_srresnet(2, 4, 1, image_skip=False)
    discriminator = srgan.build_discriminator(16, filters=4, units=8)
    model = srgan.SRGAN(generator, discriminator)
    optimizers = [keras.optimizers.SGD(0.01) for _ in range(2)]
    model.compile(*optimizers, srgan.make_content_loss("mse"), 0.1, shave=2)
    return model, [generator, discriminator]

def all_weights(networks):
    return np.concatenate([w.ravel() for n in networks for w in n.get_weights()])

for make in (train_edsr, train_srgan):
    ends = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        keras.utils.set_random_seed(0)
        with scope:
            model, networks = make()
        start = all_weights(networks)
        history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
        change = all_weights(networks) - start
        ends.append((np.ravel(list(history.values())), change))
    for one, two in zip(*ends):
        print(np.abs(one - two).max() / np.abs(one).max())
"""


@pytest.mark.slow
def test_two_devices_of_tensorflow_train_as_one():
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    differences = [float(line) for line in done.stdout.split()]
    assert len(differences) == 4
    assert max(differences) < 1e-3, differences

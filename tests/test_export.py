import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

import espcn
import export
import srgan
from core import networks
from helpers import PROJECT, noise

NAMES = {"saved_model": "network", "litert": "network.tflite", "onnx": "network.onnx"}


@pytest.mark.parametrize("format", NAMES)
@pytest.mark.parametrize("network", ["edsr", "espcn", "srresnet"])
def test_exported_networks_equal_those_of_keras(
    format, network, tiny_network, tmp_path
):
    """At two sizes that neither was exported for."""
    model = {
        "edsr": lambda: tiny_network(2),
        "espcn": lambda: espcn.build_espcn(3, filters=(4,), image_skip=False),
        "srresnet": lambda: srgan.build_srresnet(
            2, filters=4, blocks=1, image_skip=False
        ),
    }[network]()
    output = tmp_path / "exported" / NAMES[format]
    assert export.export(networks.float32_copy(model), format, output) < 0.05
    assert output.exists() and [p.name for p in output.parent.iterdir()] == [
        output.name
    ]


@pytest.mark.parametrize("format", NAMES)
def test_fixed_size(format, tiny_network, tmp_path, run_command):
    networks.save_model(tiny_network(2), tmp_path / "model.keras")
    output = tmp_path / NAMES[format]
    command = (tmp_path / "model.keras", format, output, "--size", "10x14")
    status, out = run_command(export, *command)
    assert status == 0 and "the same picture as Keras'" in out
    status, _ = run_command(export, *command)
    assert f"{output} exists" in status
    status, _ = run_command(export, *command[:3], "--size", "10")
    assert "--size must look like 360x640, not 10" in status


@pytest.mark.parametrize("name", ["edsr_x2", "espcn_x4", "srgan_x4"])
def test_opencv_reads_onnx_of_one_size(name, tmp_path):
    """Of the included networks, so that their files are held to it, too."""
    model = networks.load_network(PROJECT / f"weights/{name}.keras")
    output, lr = tmp_path / NAMES["onnx"], noise(1, 12, 16, model.input_shape[-1])
    export.export(model, "onnx", output, size=(12, 16))
    opencv = cv2.dnn.readNetFromONNX(str(output))
    opencv.setInput(lr.astype(np.float32))
    expected = model.predict_on_batch(lr)
    sr = opencv.forward().reshape(expected.shape)
    np.testing.assert_allclose(sr, expected, atol=0.01)


@pytest.mark.parametrize("off, said", [(1, "1.00"), (np.nan, "nan")])
def test_another_picture_is_not_kept(off, said, tiny_network, tmp_path, monkeypatch):
    monkeypatch.setitem(
        export.RUNTIMES,
        "saved_model",
        lambda model, path, signature: path.mkdir() or (lambda lr: model(lr) + off),
    )
    with pytest.raises(ValueError, match=f"differs by {said} grey levels"):
        export.export(tiny_network(2), "saved_model", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_missing_package_is_named(tiny_network, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="onnxruntime.*requirements-export.txt"):
        export.export(tiny_network(2), "onnx", tmp_path / "out.onnx")


def test_mistakes_are_named(tiny_network, tmp_path, run_command):
    with pytest.raises(ValueError, match="must end with .onnx"):
        export.export(tiny_network(2), "onnx", tmp_path / "out.tflite")
    status, _ = run_command(
        export, tmp_path / "nowhere.keras", "onnx", tmp_path / "out.onnx"
    )
    assert status.startswith("export.py: ") and "there is no such file" in status


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("nowhere.keras onnx out.onnx", "nowhere.keras: there is no such file."),
        ("model.keras onnx out.tflite", "out.tflite must end with .onnx."),
        ("model.keras onnx model.keras", "model.keras exists: remove it, or choose .*"),
        (
            "model.keras onnx model.keras/a.onnx",
            "a.onnx cannot be written: a file is .*",
        ),
        (
            "model.keras onnx a.onnx --size 0x3",
            "--size must look like 360x640, not 0x3.",
        ),
    ],
)
def test_mistakes_are_refused_at_once(arguments, message, tmp_path):
    """Before Keras is imported, which cannot be had here. Nothing is left behind."""
    (tmp_path / "model.keras").touch()
    (tmp_path / "keras.py").write_text("raise ImportError('was imported')")
    done = subprocess.run(
        [sys.executable, PROJECT / "export.py", *arguments.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(f"export.py: (model.keras/)?{message}\n", done.stderr)
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"model.keras", "keras.py"}


def test_export_that_fails_halfway_leaves_nothing(tiny_network, tmp_path, monkeypatch):
    def fail(model, path, signature):
        path.mkdir()
        (path / "half").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export.RUNTIMES, "saved_model", fail)
    with pytest.raises(OSError, match="out cannot be written: No space left on device"):
        export.export(tiny_network(2), "saved_model", tmp_path / "new" / "out")
    assert not list((tmp_path / "new").iterdir())


def test_saved_model_is_called_as_the_docs_say(tiny_network, tmp_path):
    import tensorflow as tf

    model = tiny_network(2)
    export.export(model, "saved_model", tmp_path / "out")
    lr = np.random.default_rng(0).uniform(0, 255, (1, 9, 8, 3)).astype(np.float32)
    signature = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    (result,) = signature(tf.constant(lr)).values()
    np.testing.assert_allclose(result, model(lr), atol=1e-2)

import os
import re
import subprocess
import sys

import cv2
import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import data
import edsr
import espcn
import export
import mdsr
import rcan
import srgan
from core import networks
from helpers import PROJECT, model_of, noise, save

NAMES = {"saved_model": "network", "litert": "network.tflite", "onnx": "network.onnx"}
# As each script builds them, but small; with the image skip and without.
BUILDERS = {
    "EDSR": lambda skip: edsr.build_edsr(2, 4, 1, image_skip=skip),
    "ESPCN": lambda skip: espcn.build_espcn(3, 1, (4,), image_skip=skip),
    "ESPCN for RGB": lambda skip: espcn.build_espcn(3, 3, (4,), image_skip=skip),
    "SRResNet": lambda skip: srgan.build_srresnet(4, 4, 1, image_skip=skip),
    "MDSR": lambda skip: mdsr.single_scale(
        mdsr.build_mdsr((2, 4), 4, 1, image_skip=skip), 4
    ),
    "RCAN": lambda skip: rcan.build_rcan(2, 1, 1, 4, 2, image_skip=skip),
}


def included(name):
    return networks.load_network(PROJECT / "weights" / f"{name}.keras")


def random_weights(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.trainable:
            weight.assign(rng.uniform(-0.1, 0.1, weight.shape))
    return networks.float32_copy(model)


def open_litert(path):
    """The file as it is: without XNNPACK, whose operation stands for many."""
    without = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(str(path), experimental_op_resolver_type=without)


def operations(path):
    return {op["op_name"] for op in open_litert(path)._get_ops_details()}


def listed_operations():
    """The table in docs/export.md: dict from network to two sets, without and with the
    image skip."""
    page = (PROJECT / "docs" / "export.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w.*?) \| (.*?) \| (.*?) \|$", page, flags=re.M)
    of_row = {
        name: [set(re.findall("[A-Z_0-9]{3,}", cell)) for cell in cells]
        for name, *cells in rows
    }
    return {name: (plain, plain | more) for name, (plain, more) in of_row.items()}


@pytest.mark.parametrize(
    "format, network",
    [("saved_model", name) for name in ("edsr", "espcn", "srresnet")]
    + [("onnx", "edsr")],
)
def test_exported_networks_equal_those_of_keras(
    format, network, tiny_network, tmp_path
):
    """At two sizes that neither was exported for. All networks are exported for LiteRT
    and ONNX below."""
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


def test_layers_that_need_a_fixed_size_are_named(tmp_path):
    upsampling = keras.layers.UpSampling2D(2, interpolation="bilinear", name="up")
    model = model_of(keras.Sequential([upsampling]))
    with pytest.raises(ValueError, match="layer up of .* one size alone: set --size"):
        export.export(model, "saved_model", tmp_path / "any")
    assert export.export(model, "saved_model", tmp_path / "fixed", (8, 9)) < 1e-3


def test_layers_that_a_format_does_not_have_are_named(tmp_path):
    upsampling = keras.layers.UpSampling2D(2, interpolation="bicubic")
    model = model_of(keras.Sequential([upsampling]))
    with pytest.raises(
        ValueError, match=f"{model.name} cannot be exported for litert:"
    ):
        export.export(model, "litert", tmp_path / "a.tflite", (8, 9))
    assert not list(tmp_path.iterdir())


def test_layers_that_onnx_runtime_does_not_have_are_named(tmp_path):
    model = model_of(keras.layers.Activation("gelu"))
    with pytest.raises(ValueError, match=f"{model.name} cannot be exported for onnx: "):
        export.export(model, "onnx", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
    model = model_of(lambda lr: keras.ops.gelu(lr, approximate=True))  # as the docs say
    export.export(model, "onnx", tmp_path / "a.onnx")


@pytest.mark.parametrize(
    "precision", ["float32", pytest.param("int8", marks=pytest.mark.slow)]
)
def test_a_layer_that_litert_needs_a_size_for_says_so(precision, tmp_path):
    """Here for the convolution: the converter loses the number of channels."""
    convolution = keras.layers.Conv2D(3, 3, padding="same")
    model = model_of(keras.layers.UpSampling2D(2), convolution)
    output = tmp_path / "a.tflite"
    with pytest.raises(ValueError, match=r"for litert of any size \(try --size\): "):
        export.export(model, "litert", output, precision=precision)
    export.export(model, "litert", output, (12, 12), precision)


def test_normalisation_goes_to_onnx(tmp_path):
    model = model_of(keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]))
    assert export.export(model, "onnx", tmp_path / "a.onnx") < 0.05


@pytest.mark.parametrize("format", NAMES)
def test_fixed_size(format, tiny_network, tmp_path, run_command):
    networks.save_model(tiny_network(2), tmp_path / "model.keras")
    output = tmp_path / NAMES[format]
    command = (tmp_path / "model.keras", format, output, "--size", "10x14")
    status, out = run_command(export, *command)
    assert status == 0 and "the same picture as Keras'" in out


# --- OpenCV ---


def in_opencv(path, lr):
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(np.ascontiguousarray(lr, np.float32))
    return network.forward()


CASES = [
    (name, *case) for name in BUILDERS for case in (((12, 16), "nhwc"), (None, "nchw"))
]
CASES += [(name, None, "nchw") for name in ("edsr_x2", "espcn_x4")]
CASES += [pytest.param("srgan_x4", None, "nchw", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name, size, layout", CASES)
def test_opencv_reads_onnx(name, size, layout, tmp_path):
    """Of the included networks, so that their files are held to it, too."""
    model = random_weights(BUILDERS[name](True)) if name in BUILDERS else included(name)
    output, lr = tmp_path / NAMES["onnx"], noise(1, 12, 16, model.input_shape[-1])
    export.export(model, "onnx", output, size, layout=layout)
    expected = model.predict_on_batch(lr)
    if layout == "nchw":
        assert_channels_first(output, model.input_shape[-1])
        sr = np.moveaxis(in_opencv(output, np.moveaxis(lr, -1, 1)), 1, -1)
    else:
        sr = in_opencv(output, lr)
    np.testing.assert_allclose(sr.reshape(expected.shape), expected, atol=0.01)


def assert_channels_first(path, channels):
    """Without a transposition, which would cost time."""
    graph = onnx.load(path).graph
    assert "Transpose" not in {node.op_type for node in graph.node}
    for tensor in (*graph.input, *graph.output):
        assert tensor.type.tensor_type.shape.dim[1].dim_value == channels


# --- LiteRT ---


@pytest.mark.parametrize(
    "name, skip, size",
    [(name, True, None) for name in BUILDERS]
    + [pytest.param(name, False, None, marks=pytest.mark.slow) for name in BUILDERS]
    + [("EDSR", True, (12, 16)), ("ESPCN", True, (12, 16))],
)
def test_litert_files_have_the_operations_that_the_docs_list(
    name, skip, size, tmp_path
):
    output = tmp_path / NAMES["litert"]
    export.export(random_weights(BUILDERS[name](skip)), "litert", output, size)
    assert operations(output) == listed_operations()[name.split()[0]][skip]


@pytest.mark.parametrize(
    "name",
    ["edsr_x2", "espcn_x4", pytest.param("srgan_x4", marks=pytest.mark.slow)],
)
def test_included_networks_have_the_operations_that_the_docs_list(name, tmp_path):
    output = tmp_path / NAMES["litert"]
    model = included(name)
    export.export(model, "litert", output)
    listed = listed_operations()["ESPCN" if "espcn" in name else "EDSR"]
    assert operations(output) <= listed[1]


@pytest.mark.parametrize("size", [None, pytest.param((40, 32), marks=pytest.mark.slow)])
@pytest.mark.parametrize("precision, least", [("float16", 85), ("int8", 45)])
def test_precision(precision, least, size, tmp_path, run_command, photograph):
    model = PROJECT / "weights" / "espcn_x4.keras"
    paths = [tmp_path / f"{name}.tflite" for name in ("float32", precision)]
    of_size = ["--size", f"{size[0]}x{size[1]}"] if size else []
    assert run_command(export, model, "litert", paths[0], *of_size)[0] == 0
    command = (model, "litert", paths[1], "--precision", precision, *of_size)
    status, out = run_command(export, *command)
    assert status == 0
    assert float(re.search(r"PSNR of ([\d.]+) dB", out)[1]) > least
    large, small = (path.stat().st_size for path in paths)
    assert small < (0.35 if precision == "int8" else 0.55) * large
    whole, rounded = (run_litert(path, photograph) for path in paths)
    error = np.mean(np.square(whole - rounded))
    assert error > 0 and 10 * np.log10(255**2 / error) > least
    if precision == "int8":
        assert_integers_alone(paths[1])


def assert_integers_alone(path):
    added = operations(path) - listed_operations()["ESPCN"][1]
    assert added == {"QUANTIZE", "DEQUANTIZE"}
    details = open_litert(path).get_tensor_details()
    floats = [tensor["index"] for tensor in details if tensor["dtype"] == np.float32]
    assert len(floats) == 2  # input and output


def run_litert(path, lr):
    """What the file makes of a picture, computed without XNNPACK."""
    interpreter = open_litert(path)
    (source,), (result,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    assert source["dtype"] == result["dtype"] == np.float32
    interpreter.resize_tensor_input(source["index"], lr.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], lr)
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])


@pytest.fixture
def photograph(small_leaves):
    """Luma of the one that comes with matplotlib: [1, 40, 32, 1]."""
    ((lr, _),) = data.load("leaves", "test", 4).as_numpy_iterator()
    return data.luma(lr[20:60, 40:72].astype(np.float32))[None].astype(np.float32)


def test_int8_covers_the_range_of_the_pictures_in_the_folder(tmp_path):
    """Calibrated on dark pictures, it knows nothing brighter."""
    model = espcn.build_espcn(2, filters=())
    for number in range(3):
        save(noise(96, 96, 3, seed=number) // 5, tmp_path / "dark" / f"{number}.png")
    white = np.full((1, 8, 8, 1), 235, np.float32)
    results = {}
    for folder in (None, tmp_path / "dark"):
        output = tmp_path / f"{folder and 'dark'}.tflite"
        export.export(model, "litert", output, precision="int8", calibrate=folder)
        results[folder] = run_litert(output, white).mean()
    drawn, dark = results.values()
    assert abs(drawn - 235) < 2
    assert dark < 16 + 219 / 255 * 60


def test_whole_grey_levels_become_float32(tmp_path):
    """As the docs promise of every file, also of a network that rounds by itself."""
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.ops.cast(inputs, "uint8"))
    export.export(model, "litert", tmp_path / "a.tflite")
    sr = export.run_litert(tmp_path / "a.tflite")(np.full((1, 8, 8, 3), 99, np.float32))
    assert sr.dtype == np.float32 and (sr == 99).all()


@pytest.mark.parametrize("precision", export.LEAST_PSNR)
def test_too_low_a_psnr_is_not_kept(precision, tmp_path, monkeypatch):
    """With a converter that makes all pixels wrong by three grey levels: 38.6 dB."""
    model = espcn.build_espcn(2, filters=())
    monkeypatch.setitem(
        export.RUNTIMES,
        "litert",
        lambda model, path, *args, **kwargs: path.touch() or (lambda lr: model(lr) + 3),
    )
    with pytest.raises(ValueError, match=f"{precision} .* PSNR of 38.6 dB .*not kept"):
        export.export(model, "litert", tmp_path / "a.tflite", precision=precision)
    assert not list(tmp_path.iterdir())


def test_picture_that_cannot_be_read_is_named(tmp_path, tiny_network):
    (tmp_path / "a.png").touch()
    output = tmp_path / "a.tflite"
    with pytest.raises(ValueError, match="a.png cannot be read"):
        export.export(
            tiny_network(2), "litert", output, precision="int8", calibrate=tmp_path
        )
    assert not output.exists()


# --- What is refused ---


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


def test_another_backend_is_refused(tiny_network, tmp_path, monkeypatch):
    model = tiny_network(2)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="set KERAS_BACKEND=tensorflow, or save"):
        export.export(model, "onnx", tmp_path / "out.onnx")


def test_mistakes_are_named(tiny_network, tmp_path):
    with pytest.raises(ValueError, match="'fp16' is none of float32, float16, int8"):
        export.export(tiny_network(2), "litert", tmp_path / "a", precision="fp16")
    with pytest.raises(
        ValueError, match="'pb' is none of saved_model, litert, onnx, web"
    ):
        export.export(tiny_network(2), "pb", tmp_path / "a")
    with pytest.raises(ValueError, match="'hwc' is none of nhwc, nchw"):
        export.export(tiny_network(2), "onnx", tmp_path / "a", layout="hwc")


MISTAKES = [
    ("nowhere.keras onnx out.onnx", "nowhere.keras: there is no such file."),
    ("model.keras onnx out.tflite", "out.tflite must end with .onnx."),
    (
        "model.keras onnx a.onnx --precision int8",
        "--precision int8 is for litert alone: leave it out for onnx.",
    ),
    ("model.keras onnx model.keras", "model.keras exists: remove it, or choose .*"),
    ("model.keras onnx model.keras/a.onnx", "a.onnx cannot be written: a file is .*"),
    ("model.keras onnx a.onnx --size 0x3", "--size must look like 360x640, not 0x3."),
    ("model.keras onnx a.onnx --size 3", "--size must look like 360x640, not 3."),
    ("model.keras onnx a.onnx --size=-1x3", "--size must look like 360x640, not -1x3."),
    (
        "model.keras saved_model a --layout nchw",
        "--layout nchw is for onnx alone: leave it out for saved_model.",
    ),
    (
        "model.keras litert a.tflite --precision float16 --calibrate .",
        "--calibrate goes with --precision int8 alone.",
    ),
    (
        "model.keras litert a.tflite --precision int8 --calibrate nowhere",
        "nowhere: there is no such folder.",
    ),
    (
        "model.keras litert a.tflite --precision int8 --calibrate .",
        ". contains no pictures.",
    ),
]


@pytest.mark.parametrize("arguments, message", MISTAKES)
def test_mistakes_in_the_command_are_refused(
    arguments, message, tmp_path, monkeypatch, run_command
):
    """Nothing is left behind."""
    (tmp_path / "model.keras").touch()
    monkeypatch.chdir(tmp_path)
    status, _ = run_command(export, *arguments.split())
    assert re.fullmatch(f"export.py: (model.keras/)?{message}", status)
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("arguments, message", MISTAKES[:3])
def test_mistakes_are_refused_at_once(arguments, message, tmp_path):
    """Before Keras is imported, which cannot be had here."""
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
    assert re.fullmatch(f"export.py: {message}\n", done.stderr)


FULL = "No space left on device"


@pytest.mark.parametrize(
    "error",
    [OSError(28, FULL), tf.errors.ResourceExhaustedError(None, None, FULL)],
    ids=["Python", "TensorFlow"],
)
def test_export_that_fails_halfway_leaves_nothing(
    error, tiny_network, tmp_path, monkeypatch
):
    def fail(model, path, signature):
        path.mkdir()
        (path / "half").touch()
        raise error

    monkeypatch.setitem(export.RUNTIMES, "saved_model", fail)
    with pytest.raises(OSError, match=f"out cannot be written: {FULL}"):
        export.export(tiny_network(2), "saved_model", tmp_path / "new" / "out")
    assert not list(tmp_path.iterdir())


def test_saved_model_is_called_as_the_docs_say(tiny_network, tmp_path):
    model = tiny_network(2)
    export.export(model, "saved_model", tmp_path / "out")
    lr = np.random.default_rng(0).uniform(0, 255, (1, 9, 8, 3)).astype(np.float32)
    signature = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    (result,) = signature(tf.constant(lr)).values()
    np.testing.assert_allclose(result, model(lr), atol=1e-2)

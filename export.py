"""Exports a trained network as a SavedModel, for LiteRT or ONNX, or as a web page.

    python export.py results/edsr_x4_leaves/model.keras onnx edsr_x4.onnx
    python export.py weights/espcn_x4.keras litert espcn_x4.tflite --precision int8
    python export.py weights/espcn_x4.keras web demo

The exported network takes and gives float32 pixels [batch, h, w, channels], 0 to 255, of
any height and width unless `--size` fixes them; for LiteRT the batch is one picture, and
`--layout nchw` puts the channels before the height. It is first run in the format's own
runtime, and kept only if it gives the same picture as the Keras network: within 0.05 grey
levels, or in float16 and int8 with a PSNR of at least 70 and 40 dB.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import textwrap

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import settings

if __name__ == "__main__":
    settings.start_command()  # before the imports that take seconds
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        print("The exporters are TensorFlow's, so the network is loaded in TensorFlow.")
        os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np

from core import calibration, images, web
from core.files import atomic_write, named_errors, no_such_network

SUFFIXES = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx", "web": ""}
TOLERANCE = 0.05  # grey levels
LEAST_PSNR = {"float16": 70, "int8": 40}  # dB, relative to the Keras network
PRECISIONS = ("float32", *LEAST_PSNR)
LAYOUTS = "nhwc", "nchw"


def export(
    model,
    format,
    output,
    size=None,
    precision="float32",
    calibrate=None,
    layout="nhwc",
):
    """Exports a network and compares it with the original.

    Args:
        model: `keras.Model` from LR to SR, float32.
        format: "saved_model", "litert", "onnx" or "web": a page that enlarges pictures in
            the browser (see `core.web`), where a network for luma becomes one for RGB.
        output: `pathlib.Path` to write, which must not exist: a folder for a SavedModel
            or a page, a .tflite or .onnx file for the others.
        size: fixed (height, width) in LR pixels; None for any.
        precision: "float32"; for LiteRT also "float16" (of the weights) or "int8" (of
            the weights and all that is computed).
        calibrate: `pathlib.Path` of a folder with LR pictures, which show int8 what
            ranges it has to cover; None for drawn ones.
        layout: "nhwc"; for ONNX also "nchw", [batch, channels, h, w].

    Returns:
        The largest difference from the Keras network in grey levels; in float16 and int8
        the PSNR relative to it, in dB.

    Raises:
        ValueError: if the output exists or has the wrong suffix, if an option does not go
            with the format, if the network has several inputs or outputs, or layers that
            need a fixed size, if there are no pictures to calibrate on, if a package or
            npm is missing (naming it), if the backend is not TensorFlow, or if the
            exported network gives a different picture.
        OSError: if the output cannot be written.
    """
    # Here, so that the command finds mistakes before that takes seconds.
    import keras
    import tensorflow as tf

    from core.colours import for_rgb
    from core.networks import as_network, in_precision

    check_options(format, size, precision, calibrate, layout)
    check_output(format, output)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "The exporters are TensorFlow's: set KERAS_BACKEND=tensorflow, or save the "
            "network and run export.py."
        )
    model = in_precision(as_network(model), "float32")
    _check_layers(model, size)
    if format == "web":
        model = for_rgb(model)
    if model.output.dtype != "float32":
        sr = keras.ops.cast(model.output, "float32")
        model = keras.Model(model.input, sr, name=model.name)
    shape = (None, *(size or (None, None)), model.input_shape[-1])
    if format == "litert":
        shape = (1, *shape[1:])  # phones enlarge one picture at a time
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="lr")]
    options, pictures = {}, []
    if precision != "float32":
        shown, pictures = calibration.samples(size, shape[-1], calibrate)
        options["converter"] = _converter_settings(precision, shown)
    if layout == "nchw":
        options["channels_first"] = True
    with atomic_write(output) as part, _errors_of_runtimes(model, format, size):
        try:
            run = RUNTIMES[format](model, part, signature, **options)
        except ImportError as error:
            raise ValueError(
                f"{format} needs a package that is not installed ({error.name}): "
                "pip install -r requirements-export.txt"
            ) from error
        except tf.errors.OpError as error:  # as of a full disk
            raise OSError(error.message) from error
        if precision == "float32":
            return _check_difference(model, run, format, size)
        if not size:  # another than that of the calibration
            pictures = [lr[:, :, : lr.shape[2] * 2 // 3] for lr in pictures]
        return _check_psnr(model, run, precision, pictures)


@contextlib.contextmanager
def _errors_of_runtimes(model, format, size):
    """Makes the error of an exporter, or of what runs the result, name the network."""
    try:
        yield
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:  # TensorFlow and ONNX Runtime have many kinds
        reason = textwrap.shorten(str(error).strip().partition("\n")[0], 300)
        way_out = "" if size or format != "litert" else " of any size (try --size)"
        raise ValueError(
            f"{model.name} cannot be exported for {format}{way_out}: {reason}"
        ) from error


def check_options(format, size, precision, calibrate, layout):
    """Refuses options that do not go together, a folder without pictures, and a page
    without npm."""
    known_ones = (format, SUFFIXES), (precision, PRECISIONS), (layout, LAYOUTS)
    for value, known in known_ones:
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)}.")
    if precision != "float32" and format != "litert":
        raise ValueError(
            f"--precision {precision} is for litert alone: leave it out for {format}."
        )
    if layout != "nhwc" and format != "onnx":
        raise ValueError(
            f"--layout {layout} is for onnx alone: leave it out for {format}."
        )
    if format == "web":
        if size:
            raise ValueError(
                "A page takes pictures of any size: leave --size out for web."
            )
        web.find_npm()
    if calibrate:
        if precision != "int8":
            raise ValueError("--calibrate goes with --precision int8 alone.")
        images.find_pictures(calibrate)


def _check_layers(model, size):
    """Refuses layers of Keras that TensorFlow exports for one size alone."""
    from keras.layers import UpSampling2D

    from core.networks import innermost_layers

    for layer in [] if size else innermost_layers(model):
        if isinstance(layer, UpSampling2D) and layer.interpolation != "nearest":
            raise ValueError(
                f"The layer {layer.name} of {model.name} uses {layer.interpolation} "
                "interpolation, which can be exported for one size alone: set --size, or "
                'build the layer with interpolation="nearest".'
            )


def check_output(format, output):
    """Refuses an output that exists, has the wrong suffix or cannot be written."""
    if output.exists():
        raise ValueError(f"{output} exists: remove it, or choose another name.")
    if output.suffix != SUFFIXES[format] and SUFFIXES[format]:
        raise ValueError(f"{output} must end with {SUFFIXES[format]}.")
    there = next(folder for folder in output.parents if folder.exists())
    with named_errors(output):
        tempfile.TemporaryFile(dir=there).close()


def _check_difference(model, run, format, size):
    """The largest difference in grey levels, on noise; refuses more than `TOLERANCE`."""
    rng = np.random.default_rng(0)
    differences = []
    for shape in [size] if size else [(24, 32), (33, 17)]:
        lr = rng.uniform(0, 255, (1, *shape, model.input_shape[-1]))
        lr = lr.astype(np.float32)
        differences.append(np.abs(run(lr) - np.asarray(model(lr))).max())
    difference = float(np.max(differences))  # NaN if one of them is
    if not difference <= TOLERANCE:
        raise ValueError(
            f"The {format} network differs by {difference:.2f} grey levels from the "
            "Keras network and was not kept."
        )
    return difference


def _check_psnr(model, run, precision, pictures):
    """The PSNR in dB, over all the pictures; refuses less than `LEAST_PSNR`."""
    errors = [run(lr) - np.asarray(model(lr)) for lr in pictures]
    with np.errstate(divide="ignore"):
        psnr = float(10 * np.log10(255**2 / np.mean(np.square(errors))))
    if not psnr >= LEAST_PSNR[precision]:  # or NaN
        raise ValueError(
            f"The {precision} network has a PSNR of {psnr:.1f} dB relative to the Keras "
            f"network, less than {LEAST_PSNR[precision]}, and was not kept: choose another "
            "--precision or, for int8, other pictures with --calibrate."
        )
    return psnr


# Each exports the network and returns a function that runs what was written.


def _saved_model(model, path, signature):
    import tensorflow as tf

    model.export(path, "tf_saved_model", input_signature=signature, verbose=False)
    loaded = tf.saved_model.load(str(path))
    return lambda lr: loaded.serve(lr)


def _litert(model, path, signature, converter=None):
    import ai_edge_litert  # to miss it before the export, not after

    chosen = converter or {}
    model.export(path, "litert", input_signature=signature, verbose=False, **chosen)
    return run_litert(path)


def run_litert(path, threads=None):
    """A function that runs a LiteRT file, on float32 [1, h, w, channels]."""
    from ai_edge_litert.interpreter import Interpreter

    # Which has built-in operations only.
    interpreter = Interpreter(str(path), num_threads=threads)

    def run(lr):
        source = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(source, lr.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, lr)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


def _converter_settings(precision, pictures):
    """What TensorFlow's converter is told, for all but float32."""
    import tensorflow as tf

    chosen = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if precision == "float16":
        return {**chosen, "target_spec": {"supported_types": [tf.float16]}}
    integers_only = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]}
    return {
        **chosen,
        "target_spec": integers_only,
        "representative_dataset": lambda: ([lr] for lr in pictures),
    }


def _onnx(model, path, signature, channels_first=False):
    import onnx  # Keras uses this and tf2onnx
    import onnxruntime
    import tf2onnx

    from keras.layers import Normalization

    from core.networks import innermost_layers

    for layer in innermost_layers(model):
        if isinstance(layer, Normalization):  # whose tensors would be inputs
            layer.mean, layer.variance = map(np.asarray, (layer.mean, layer.variance))
    # Keras' ONNX export needs a network that has been called.
    model(np.zeros((1, 8, 8, model.input_shape[-1]), np.float32))
    if channels_first:
        model, signature = _with_channels_first(model, signature)
    model.export(path, "onnx", input_signature=signature, verbose=False)
    session = onnxruntime.InferenceSession(path)

    def run(lr):
        lr = np.moveaxis(lr, -1, 1) if channels_first else lr
        (sr,) = session.run(None, {session.get_inputs()[0].name: lr})
        return np.moveaxis(sr, 1, -1) if channels_first else sr

    return run


def _with_channels_first(model, signature):
    """The network between two transpositions, which tf2onnx removes, and its signature."""
    import keras

    batch, height, width, channels = signature[0].shape
    lr = keras.Input((channels, height, width), name="lr")
    sr = keras.ops.transpose(model(keras.ops.transpose(lr, (0, 2, 3, 1))), (0, 3, 1, 2))
    shape = (batch, channels, height, width)
    return keras.Model(lr, sr), [
        keras.InputSpec(shape=shape, dtype="float32", name="lr")
    ]


def _web(model, path, signature):
    from core.graphs import receptive_radius
    from core.networks import scale_and_channels

    path.mkdir()
    web.write_page(path, scale_and_channels(model)[0], receptive_radius(model))
    return _onnx(model, path / "network.onnx", signature)


RUNTIMES = {
    "saved_model": _saved_model,
    "litert": _litert,
    "onnx": _onnx,
    "web": _web,
}


# --- As a command ---------------------------------------------------------------------


def parse_size(text):
    """(height, width) of text such as "360x640"; ValueError for other text."""
    sides = [int(side) if side.isdecimal() else 0 for side in text.split("x")]
    if len(sides) != 2 or not all(sides):
        raise ValueError(f"--size must look like 360x640, not {text}.")
    return tuple(sides)


def main():
    parser = argparse.ArgumentParser(description="Exports a trained network.")
    parser.add_argument("model", type=settings.path, help="a .keras file")
    parser.add_argument("format", choices=SUFFIXES)
    parser.add_argument("output", type=settings.path, help="file or folder to write")
    parser.add_argument("--size", help="fixed height x width of LR, such as 360x640")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument(
        "--calibrate",
        type=settings.path,
        metavar="FOLDER",
        help="pictures that int8 is calibrated on, such as will be enlarged; default: "
        "drawn ones",
    )
    parser.add_argument(
        "--layout", choices=LAYOUTS, default="nhwc", help="nchw for ONNX alone"
    )
    options = parser.parse_args()
    choices = dict(
        precision=options.precision, calibrate=options.calibrate, layout=options.layout
    )
    try:
        size = None if options.size is None else parse_size(options.size)
        if not options.model.is_file():
            raise ValueError(no_such_network(options.model))
        check_options(options.format, size, **choices)
        check_output(options.format, options.output)
        from core.networks import load_network  # now, as Keras above

        model = load_network(options.model)
        result = export(model, options.format, options.output, size, **choices)
    except (ValueError, OSError) as error:
        sys.exit(f"export.py: {error}")
    except MemoryError:
        sys.exit("export.py: there is not enough memory. A smaller --size needs less.")
    if options.precision == "float32":
        close = f"to within {result:.5f} grey levels"
    else:
        close = f"up to a PSNR of {result:.1f} dB"
    print(f"{options.output} gives the same picture as Keras' network {close}")


if __name__ == "__main__":
    main()

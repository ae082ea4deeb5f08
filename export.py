"""Exports a trained network as a SavedModel, or for LiteRT or ONNX.

    python export.py results/edsr_x4_leaves/model.keras onnx edsr_x4.onnx

The exported network takes and gives float32 pixels [batch, h, w, channels], 0 to 255, of
any height and width unless `--size` fixes them. It is first run in the format's own
runtime, and kept only if it gives the same picture as the Keras network.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import settings

if __name__ == "__main__":
    settings.start_command()  # before the imports that take seconds

import numpy as np

from core.files import named_errors, whole_file

SUFFIXES = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
TOLERANCE = 0.05  # grey levels


def export(model, format, output, size=None):
    """Exports a network and compares it with the original.

    Args:
        model: `keras.Model` from LR to SR, float32.
        format: "saved_model", "litert" or "onnx".
        output: `pathlib.Path` to write, which must not exist: a folder for a SavedModel,
            a .tflite or .onnx file for the others.
        size: fixed (height, width) in LR pixels; None for any.

    Returns:
        The largest difference from the Keras network in grey levels.

    Raises:
        ValueError: if the output exists or has the wrong suffix, if the network has
            several inputs or outputs, if a package is missing (naming it), or if the
            exported network gives a different picture.
        OSError: if the output cannot be written.
    """
    import keras  # here, so that the command finds mistakes before that takes seconds

    from core.networks import as_network

    check_output(format, output)
    model = as_network(model)
    shape = (None, *(size or (None, None)), model.input_shape[-1])
    if format == "litert":
        shape = (1, *shape[1:])  # phones enlarge one picture at a time
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="lr")]
    with whole_file(output) as part:
        try:
            run = RUNTIMES[format](model, part, signature)
        except ImportError as error:
            raise ValueError(
                f"{format} needs a package that is not installed ({error.name}): "
                "pip install -r requirements-export.txt"
            ) from error
        difference = max(
            _difference(model, run, height, width)
            for height, width in ([size] if size else [(24, 32), (33, 17)])
        )
        if not difference <= TOLERANCE:  # or NaN
            raise ValueError(
                f"The {format} network differs by {difference:.2f} grey levels from the "
                "Keras network and was not kept."
            )
    return difference


def check_output(format, output):
    """Refuses an output that exists, has the wrong suffix or cannot be written."""
    if output.exists():
        raise ValueError(f"{output} exists: remove it, or choose another name.")
    if output.suffix != SUFFIXES[format] and SUFFIXES[format]:
        raise ValueError(f"{output} must end with {SUFFIXES[format]}.")
    with named_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)


def _difference(model, run, height, width):
    rng = np.random.default_rng(0)
    lr = rng.uniform(0, 255, (1, height, width, model.input_shape[-1]))
    lr = lr.astype(np.float32)
    return float(np.abs(np.asarray(run(lr)) - np.asarray(model(lr))).max())


# Each exports the network and returns a function that runs what was written.


def _saved_model(model, path, signature):
    import tensorflow as tf

    model.export(path, "tf_saved_model", input_signature=signature, verbose=False)
    loaded = tf.saved_model.load(str(path))
    return lambda lr: loaded.serve(lr)


def _litert(model, path, signature):
    from ai_edge_litert.interpreter import Interpreter

    model.export(path, "litert", input_signature=signature, verbose=False)
    interpreter = Interpreter(str(path))  # which has built-in operations only

    def run(lr):
        source = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(source, lr.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, lr)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


def _onnx(model, path, signature):
    import onnx  # Keras uses this and tf2onnx
    import onnxruntime
    import tf2onnx

    # Keras' ONNX export needs a network that has been called.
    model(np.zeros((1, 8, 8, model.input_shape[-1]), np.float32))
    model.export(path, "onnx", input_signature=signature, verbose=False)
    session = onnxruntime.InferenceSession(path)
    return lambda lr: session.run(None, {session.get_inputs()[0].name: lr})[0]


RUNTIMES = {"saved_model": _saved_model, "litert": _litert, "onnx": _onnx}


# --- As a command ---------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description="Exports a trained network.")
    parser.add_argument("model", type=pathlib.Path, help="a .keras file")
    parser.add_argument("format", choices=SUFFIXES)
    parser.add_argument("output", type=pathlib.Path, help="file or folder to write")
    parser.add_argument("--size", help="fixed height x width of LR, such as 360x640")
    options = parser.parse_args()
    try:
        size = options.size and tuple(int(side) for side in options.size.split("x"))
        if size and (len(size) != 2 or min(size) < 1):
            raise ValueError
    except ValueError:
        sys.exit(f"export.py: --size must look like 360x640, not {options.size}.")
    try:
        if not options.model.is_file():
            raise ValueError(f"{options.model}: there is no such file.")
        check_output(options.format, options.output)
        from core.networks import load_network  # now, as Keras above

        model = load_network(options.model)
        difference = export(model, options.format, options.output, size)
    except (ValueError, OSError) as error:
        sys.exit(f"export.py: {error}")
    print(
        f"{options.output} gives the same picture as Keras' network to within "
        f"{difference:.5f} grey levels"
    )


if __name__ == "__main__":
    main()

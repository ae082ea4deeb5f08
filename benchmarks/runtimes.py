"""The included networks in other runtimes for CPUs, beside Keras with TensorFlow.

    pip install -r requirements-export.txt openvino scipy    # optional
    python -m benchmarks.runtimes

Milliseconds for one picture of 256x256 pixels, in turns, the median of the rounds. ONNX
Runtime and OpenVINO run the file that export.py writes with --layout nchw. OpenVINO's
figures in bfloat16 are for CPUs that have it. Keras' own OpenVINO backend runs the .keras
file, in a process of its own. A runtime would be worth a way through upscale.py if it were
1.3 times as fast as the faster of the first two figures.
"""

import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np

WEIGHTS = pathlib.Path(__file__).parent.parent / "weights"
NETWORKS = "edsr_x4", "espcn_x4"
SIDE = 256
ROUNDS = 9


def in_keras(network, lr):
    """Functions that run it with TensorFlow, by name."""
    from core.networks import in_precision
    from core.precision import choose

    policies = dict.fromkeys(["float32", choose("auto", "precision")[0]])
    return {
        f"Keras, {policy}": functools.partial(
            in_precision(network, policy).predict_on_batch, lr
        )
        for policy in policies
    }


def in_onnx_runtime(path, lr):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    inputs = {session.get_inputs()[0].name: lr}
    return {"ONNX Runtime": lambda: session.run(None, inputs)}


def in_openvino(path, lr):
    import openvino

    core = openvino.Core()
    network = core.read_model(path)
    network.reshape(lr.shape)
    runs = {}
    for name, hint in (("float32", "f32"), ("bfloat16", "bf16")):
        settings = {"INFERENCE_PRECISION_HINT": hint}
        request = core.compile_model(network, "CPU", settings).create_infer_request()
        runs[f"OpenVINO, {name}"] = functools.partial(request.infer, [lr])
    return runs


def measure(runs):
    """Prints the milliseconds of functions by name."""
    times = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    for name, seconds in times.items():
        print(f"  {name:<28}{1000 * np.median(seconds[1:]):8.0f} ms", flush=True)


def main():
    channels = {name: 1 if name.startswith("espcn") else 3 for name in NETWORKS}
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    if keras.backend.backend() == "openvino":  # started by the lines below
        name = sys.argv[1]
        network = keras.saving.load_model(WEIGHTS / f"{name}.keras", compile=False)
        lr = picture[..., : channels[name]]
        measure({"Keras, openvino": lambda: network.predict_on_batch(lr)})
        return
    import export
    import hardware
    from core.networks import load_network

    print(hardware.describe())
    for name in NETWORKS:
        print(name)
        network = load_network(WEIGHTS / f"{name}.keras")
        lr = picture[..., : channels[name]]
        runs = in_keras(network, lr)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "network.onnx"
            for add in (in_onnx_runtime, in_openvino):
                try:
                    if not path.exists():
                        export.export(network, "onnx", path, layout="nchw")
                    runs |= add(path, np.ascontiguousarray(np.moveaxis(lr, -1, 1)))
                except (ImportError, ValueError) as error:
                    print(f"  not measured: {error}")
            measure(runs)
        module = [sys.executable, "-m", "benchmarks.runtimes", name]
        environment = {**os.environ, "KERAS_BACKEND": "openvino"}
        done = subprocess.run(module, env=environment, capture_output=True, text=True)
        print(done.stdout.rstrip() or f"  not measured: {done.stderr.splitlines()[-1]}")


if __name__ == "__main__":
    main()

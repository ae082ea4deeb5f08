"""Frames per second from 640x360 to 1920x1080, for ESPCN with several layers.

    python -m benchmarks.frames

The networks are untrained, which does not change their speed. They take turns of ten
frames, so that other work of the machine slows all of them alike. The figures are
medians: "network" is luma alone, "upscale" is `upscale.upscale`, RGB to RGB, which
enlarges the colours with bicubic interpolation. "Colours" is the time that they add,
relative to the network's; the goal is a third.
"""

import functools
import time

import numpy as np

import espcn
import hardware
from core.networks import in_precision
from core.precision import choose
from core.tiles import upscale

# The default, the paper's, and the paper's with ReLU.
NETWORKS = ((64, 64, 32), "relu"), ((64, 32), "tanh"), ((64, 32), "relu")
ROUNDS = 8
FRAMES = 10


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    frame = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    luma = frame[None, ..., :1].astype(np.float32)
    tasks = {}
    for policy in dict.fromkeys(["float32", choose("auto", "precision")[0]]):
        for filters, activation in NETWORKS:
            model = espcn.build_espcn(3, filters=filters, activation=activation)
            row = f"{filters!s:<13} {activation:<5} {policy:<15}"
            alone = in_precision(model, policy)
            tasks[row, "network"] = functools.partial(alone.predict_on_batch, luma)
            tasks[row, "upscale"] = functools.partial(
                upscale, model, frame, precision=policy
            )
    for function in tasks.values():
        function()  # the first call compiles
    rounds = [
        [[seconds(function) for _ in range(FRAMES)] for function in tasks.values()]
        for _ in range(ROUNDS)
    ]
    rates = dict(zip(tasks, 1 / np.median(rounds, axis=(0, 2))))
    print(hardware.describe())
    print(f"{'frames/s':<36}{'network':>10}{'upscale':>10}{'colours':>10}")
    for row in dict.fromkeys(row for row, _ in tasks):
        alone, whole = rates[row, "network"], rates[row, "upscale"]
        print(f"{row:<36}{alone:10.1f}{whole:10.1f}{alone / whole - 1:10.0%}")
    print(f"{'goal':<56}{1 / 3:10.0%}")


if __name__ == "__main__":
    main()

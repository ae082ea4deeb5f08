"""A training step of EDSR baseline x4 on each backend, in float32 and bfloat16.

    python -m benchmarks.backends

Backends that are not installed are left out; docs/devices.md says how to install them.
A step is that of edsr.py on a batch of 4 patches of 48x48. Each backend and precision has
a process of its own, and they take turns, so that other work of the machine slows all of
them alike. The figures are medians: of the time, of the processor time on all cores,
which other work changes less, and of its ratio within a round.
"""

import concurrent.futures
import functools
import importlib.util
import multiprocessing
import os
import time

import numpy as np

import settings

BATCH_SIZE, PATCH_SIZE = 4, 48
ROUNDS = 11


def prepare(backend, policy):
    """Builds the network, in a new process."""
    os.environ["KERAS_BACKEND"] = backend
    settings.start_command()
    import keras  # now, since the backend is chosen for a process

    import edsr
    import hardware
    import metrics

    hardware.start(0)
    keras.config.set_dtype_policy(policy)
    model = edsr.build_edsr()
    metric = metrics.PSNR(shave=4, luma=True)
    model.compile(keras.optimizers.Adam(1e-4), "mae", metrics=[metric])
    rng = np.random.default_rng(0)
    lr, hr = (
        rng.integers(0, 256, (BATCH_SIZE, side, side, 3), dtype=np.uint8)
        for side in (PATCH_SIZE, 4 * PATCH_SIZE)
    )
    global step
    step = functools.partial(model.train_on_batch, lr, hr)


def measure():
    """Does a step in that process. Returns its time and its processor time in seconds."""
    before = np.array([time.perf_counter(), time.process_time()])
    step()
    return [time.perf_counter(), time.process_time()] - before


def main():
    import hardware  # not above, where the other processes would import Keras, too

    print(hardware.describe())
    context = multiprocessing.get_context("spawn")
    processes = {
        f"{backend}, {policy}": concurrent.futures.ProcessPoolExecutor(
            1, context, prepare, (backend, policy)
        )
        for policy in ("float32", "mixed_bfloat16")
        for backend in settings.BACKENDS
        if importlib.util.find_spec(backend)
    }
    seconds = {name: [] for name in processes}
    for _ in range(ROUNDS + 2):  # the first two compile
        for name, process in processes.items():
            seconds[name].append(process.submit(measure).result())
    seconds = {name: np.array(times[2:]) for name, times in seconds.items()}
    _, first = next(iter(seconds.values())).T
    print(f"{'':<28}{'step':>11}{'processor':>11}{'ratio':>9}")
    for name, times in seconds.items():
        wall, processor = 1000 * np.median(times, axis=0)
        ratio = np.median(times[:, 1] / first)
        print(f"{name:<28}{wall:8.0f} ms{processor:8.0f} ms{ratio:9.2f}")


if __name__ == "__main__":
    main()

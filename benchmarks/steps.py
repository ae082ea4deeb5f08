"""A training step of EDSR baseline x4: this project, the Keras example, PyTorch.

    pip install torch        # optional
    python -m benchmarks.steps

The published example's settings are Keras' defaults: float32, no image skip, and
otherwise the same network. PyTorch runs that network in its fastest form on a CPU,
bfloat16 and channels-last, both compiled and not. Losses, optimisers and batches of 16
are the same. All take turns, so that other work of the machine slows all of them alike.
The figures are the median times, and the median ratios within a round. The goal is that
no other is faster: no ratio below 1.

The last lines compare whole epochs: `fit` on patches cut from pictures, relative to `fit`
on one batch over and over, the fastest of each.
"""

import time

import keras
import numpy as np
import tensorflow as tf

import data
import edsr
import hardware
import metrics

BATCH_SIZE = 16
ROUNDS = 21


def keras_step(policy, image_skip):
    """Makes a function that does one step on (lr, hr)."""
    keras.config.set_dtype_policy(policy)
    model = edsr.build_edsr(image_skip=image_skip)
    metric = metrics.PSNR(shave=4, luma=True)
    model.compile(keras.optimizers.Adam(1e-4), "mae", metrics=[metric])
    return model.train_on_batch


def torch_step(compiled):
    """The same network and step in PyTorch."""
    import torch

    from benchmarks import torch_edsr

    model = torch_edsr.EDSR().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    network = torch.compile(model) if compiled else model

    def step(lr, hr):
        lr, hr = (torch.from_numpy(x).permute(0, 3, 1, 2).float() for x in (lr, hr))
        with torch.autocast("cpu", torch.bfloat16):
            loss = (network(lr).float() - hr).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def make_steps():
    best = hardware.set_precision("auto")
    steps = {
        f"this project, {best}": keras_step(best, image_skip=True),
        "the example, float32": keras_step("float32", image_skip=False),
    }
    for name, compiled in (("not compiled", False), ("compiled", True)):
        try:
            steps[f"PyTorch, bfloat16, {name}"] = torch_step(compiled)
        except ImportError:
            print("PyTorch is not installed and was left out")
            break
    return steps


def compare_steps(steps, patch_size):
    rng = np.random.default_rng(0)
    lr, hr = (
        rng.integers(0, 256, (BATCH_SIZE, side, side, 3), dtype=np.uint8)
        for side in (patch_size, 4 * patch_size)
    )
    seconds = {name: [] for name in steps}
    for _ in range(ROUNDS + 2):  # the first two compile
        for name, step in steps.items():
            start = time.perf_counter()
            step(lr, hr)
            seconds[name].append(time.perf_counter() - start)
    seconds = {name: np.array(times[2:]) for name, times in seconds.items()}
    ours = next(iter(seconds.values()))
    print(f"Patches of {patch_size}x{patch_size}, batches of {BATCH_SIZE}")
    for name, times in seconds.items():
        ratio = np.median(times / ours)
        print(f"  {name:<32}{1000 * np.median(times):8.0f} ms {ratio:8.2f}")


def compare_epochs(patch_size, steps=10):
    hardware.set_precision("auto")
    model = edsr.build_edsr()
    metric = metrics.PSNR(shave=4, luma=True)
    model.compile(keras.optimizers.Adam(1e-4), "mae", metrics=[metric])
    pairs = data.load("leaves", "train", 4)
    patches = data.training_batches(pairs, 4, patch_size, BATCH_SIZE)
    one = tf.data.Dataset.from_tensors(next(iter(patches))).repeat()
    datasets = {"patches": patches, "one batch": one}
    seconds = {name: [] for name in datasets}
    for _ in range(ROUNDS // 3):
        for name, dataset in datasets.items():
            start = time.perf_counter()
            model.fit(dataset, steps_per_epoch=steps, shuffle=False, verbose=0)
            seconds[name].append(time.perf_counter() - start)
    whole, bare = (min(times) for times in seconds.values())
    print(
        f"An epoch on {patch_size}x{patch_size} patches takes {whole / bare:.3f} times "
        "as long as the bare steps"
    )


def main():
    print(hardware.describe())
    steps = make_steps()
    for patch_size in (24, 48):
        compare_steps(steps, patch_size)
    for patch_size in (24, 48):
        compare_epochs(patch_size)


if __name__ == "__main__":
    main()

"""Patches per second, and the time to the first batch.

    python -m benchmarks.pipeline             # a minute
    python -m benchmarks.pipeline --div2k     # also a replica of DIV2K: 13 GB, minutes

The pipeline of the published Keras example has the same pictures in memory, cuts one
patch from each in turn, and rotates and flips it. Both pipelines take turns; the figures
are medians. For the cold start, 200 drawn pictures are written as JPEG files and dropped
from the system's cache before they are read (Linux only).

The replica of DIV2K is 900 pictures of 2040x1356 pixels, pieced together from drawn ones,
in the folders of DIV2K's zips. The time to the first batch and the memory are measured
once with the pictures in memory and twice with the cache file, each in its own process
(Linux only).
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf
from PIL import Image

import data
import hardware
from benchmarks import memory
from core import decoded

SCALE = 4
BATCH_SIZE = 16
ROUNDS = 5
BATCHES = 100


def example_batches(pairs, patch_size):
    """The pipeline of Keras' EDSR example: crop, turn and mirror picture by picture."""

    def crop(lr, hr):
        room = tf.shape(lr)[:2] - patch_size + 1
        y = tf.random.uniform((), maxval=room[0], dtype=tf.int32)
        x = tf.random.uniform((), maxval=room[1], dtype=tf.int32)
        lr = lr[y : y + patch_size, x : x + patch_size]
        side, y, x = patch_size * SCALE, y * SCALE, x * SCALE
        return lr, hr[y : y + side, x : x + side]

    def turn(lr, hr):
        quarters = tf.random.uniform((), maxval=4, dtype=tf.int32)
        return tf.image.rot90(lr, quarters), tf.image.rot90(hr, quarters)

    def mirror(lr, hr):
        return tf.cond(
            tf.random.uniform(()) < 0.5,
            lambda: (lr, hr),
            lambda: (tf.image.flip_left_right(lr), tf.image.flip_left_right(hr)),
        )

    patches = pairs.cache().repeat()
    for change in (crop, turn, mirror):
        patches = patches.map(change, tf.data.AUTOTUNE)
    return patches.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


def compare_pipelines(patch_size):
    pairs = data.load("leaves", "train", SCALE)
    pipelines = {
        "this project": data.training_batches(pairs, SCALE, patch_size, BATCH_SIZE),
        "the example": example_batches(pairs, patch_size),
    }
    iterators = {name: iter(batches) for name, batches in pipelines.items()}
    seconds = {name: [] for name in iterators}
    for _ in range(ROUNDS + 1):  # the first fills the example's cache
        for name, iterator in iterators.items():
            start = time.perf_counter()
            for _ in range(BATCHES):
                next(iterator)
            seconds[name].append(time.perf_counter() - start)
    rates = {
        name: BATCHES * BATCH_SIZE / np.median(times[1:])
        for name, times in seconds.items()
    }
    ours, example = rates.values()
    print(
        f"{patch_size}x{patch_size} patches/s: this project {ours:,.0f}, "
        f"the example {example:,.0f}, ratio {ours / example:.2f}"
    )


def forget(folder):
    """Drops the files of a folder from the system's cache, where that is possible."""
    for path in folder.rglob("*.*"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def first_batch(folder):
    """Seconds until the first batch."""
    start = time.perf_counter()
    pairs = data.load(str(folder), "train", SCALE)
    next(iter(data.training_batches(pairs, SCALE, batch_size=BATCH_SIZE)))
    return time.perf_counter() - start


def in_its_own_process(folder, memory_limit):
    """Seconds until the first batch, and bytes of memory it took."""
    module = [sys.executable, "-m", "benchmarks.pipeline"]
    task = ["--first-batch", folder, str(memory_limit)]
    done = subprocess.run([*module, *task], check=True, capture_output=True, text=True)
    return map(float, done.stdout.split()[-2:])


def write_photographs(folder, count):
    """Drawn pictures of 480x320 pixels as JPEG files."""
    pictures = data.load("leaves", "train", SCALE).take(count)
    for split, pairs in (("train", pictures), ("validation", pictures.take(1))):
        (folder / split).mkdir(parents=True)
        for number, (_, hr) in enumerate(pairs.as_numpy_iterator()):
            path = folder / split / f"{number:04}.jpg"
            Image.fromarray(hr[:320, :480]).save(path, quality=95)


def write_div2k(folder):
    """The replica of DIV2K, LR pictures included."""
    drawn = [hr for _, hr in data.load("leaves", "train", SCALE).as_numpy_iterator()]
    for split in ("train", "valid"):
        (folder / f"DIV2K_{split}_HR").mkdir(parents=True)
        (folder / f"DIV2K_{split}_LR_bicubic/X{SCALE}").mkdir(parents=True)

    def write(number):
        tiles = np.random.default_rng(number).choice(len(drawn), (3, 4))
        rows = [np.hstack([drawn[tile] for tile in row]) for row in tiles]
        hr = np.vstack(rows)[:1356, :2040]
        lr = data.bicubic_resize(hr, 1356 // SCALE, 2040 // SCALE)
        prefix = f"{folder}/DIV2K_{'train' if number <= 800 else 'valid'}"
        Image.fromarray(hr).save(f"{prefix}_HR/{number:04}.png", compress_level=1)
        name = f"{prefix}_LR_bicubic/X{SCALE}/{number:04}x{SCALE}.png"
        Image.fromarray(lr).save(name)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(1, 901)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--div2k", action="store_true", help="also a replica of DIV2K")
    parser.add_argument("--first-batch", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.first_batch:
        folder, limit = options.first_batch
        decoded.MEMORY_LIMIT = float(limit)
        before = memory.peak()
        print(first_batch(folder), memory.peak() - before)
        return
    print(hardware.describe())
    for patch_size in (24, 48):
        compare_pipelines(patch_size)
    with tempfile.TemporaryDirectory() as folder:
        photographs = pathlib.Path(folder) / "photographs"
        write_photographs(photographs, 200)
        forget(photographs)
        seconds = first_batch(photographs)
        print(f"200 cold photographs: first batch after {seconds:.2f} s")
    if options.div2k:
        with tempfile.TemporaryDirectory() as folder:
            replica = pathlib.Path(folder) / "DIV2K"
            write_div2k(replica)
            os.environ["KERAS_HOME"] = f"{folder}/keras"  # the cache file goes there
            for name, limit in (("in memory", 1e11), ("cache file", 0), ("again", 0)):
                forget(replica)
                seconds, size = in_its_own_process(replica, limit)
                print(
                    f"DIV2K, {name}: {seconds:.1f} s, {size / 1e9:.1f} GB more memory"
                )


if __name__ == "__main__":
    main()

"""Seconds that people wait for: starting, drawing, bicubic interpolation, scoring.

    python -m benchmarks.waiting BSDS500/images/val

The commands are run as a user runs them. The scores are those of compare.py, for 30 pictures
of the folder that ESPCN enlarges: with LPIPS and NIQE, if what these need is installed, and
without. The leaves are drawn once. Each other figure is a median; a first run does not
count. The goals are a second for help, and half of what an older version took, on the machine
of docs/speed.md.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

import data
import hardware
import metrics
from core import datasets, imagenet, leaves, networks, niqe

PROJECT = pathlib.Path(__file__).parent.parent
COMMANDS = (
    "upscale.py --help",
    "compare.py --help",
    "export.py --help",
    "edsr.py --help",
)
SIZES = {  # old and new size, and the goal in milliseconds
    "640x360 to 1920x1080": ((360, 640), (1080, 1920), 78),
    "1356x1020 to 339x255": ((1020, 1356), (255, 339), 18),
}
PICTURES = 30


def seconds(function, rounds=5):
    """The median over rounds after a first, which prepares things."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return np.median(times[1:])


def show(name, took, goal, unit="s"):
    places = 2 if unit == "s" else 0
    print(f"{name:<44}{took:8.{places}f} {unit:<4}goal: {goal} {unit}", flush=True)


def run(*arguments):
    """Runs one of our commands."""
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)


def start():
    for command in COMMANDS:
        show(command, seconds(lambda: run(*command.split())), goal=1)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "photo.png"
        Image.fromarray(leaves.draw_leaves(300, seed=0)[:256]).save(path)
        took = seconds(lambda: run("upscale.py", str(path), "--output", folder))
        show("upscale.py, 300x256 pixels", took, goal=3.4)


def draw():
    """The training pictures of "leaves", as a first run draws them."""
    count, size = datasets.LEAVES["train"], datasets.LEAVES_SIZE
    with tempfile.TemporaryDirectory() as folder:
        seeds = {pathlib.Path(folder) / f"{n}.png": n for n in range(count)}
        start = time.perf_counter()
        for _ in leaves.draw_files(seeds, size):
            pass
        took = time.perf_counter() - start
    show(f"{count} dead leaves drawn", took, goal=24)


def resize():
    rng = np.random.default_rng(0)
    for name, (old, new, goal) in SIZES.items():
        image = rng.integers(0, 256, (*old, 3), dtype=np.uint8)
        took = seconds(lambda: data.bicubic_resize(image, *new))
        show(f"bicubic_resize, {name}", 1000 * took, goal, "ms")


def score(folder):
    network = networks.load_network(PROJECT / "weights/espcn_x4.keras")
    pairs = list(data.load(folder, "all", 4).take(PICTURES).as_numpy_iterator())
    for name, goal in (("with", 4.4), ("without", 2.4)):
        if name == "without":
            imagenet.has_weights = niqe.has_parameters = lambda *names: False
        elif not (imagenet.has_weights("alexnet") and niqe.has_parameters()):
            continue
        took = seconds(lambda: metrics.evaluate(network, pairs, verbose=0), rounds=3)
        show(f"{len(pairs)} pictures scored, {name} LPIPS and NIQE", took, goal)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="pictures to score, such as BSDS500/images/val")
    options = parser.parse_args()
    print(hardware.describe())
    start()
    draw()
    resize()
    score(options.folder)


if __name__ == "__main__":
    main()

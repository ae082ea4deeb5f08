"""What each part of the drawn pictures is worth, and how they compare to photographs.

    python benchmarks/drawn.py Set5/image_SRF_4 BSDS500/images/val \\
        --photographs BSDS500/images/train

Trains an EDSR of eight blocks for 2,000 steps on 120 pictures of each kind and prints its
Y-PSNR on the folders, the mean of the seeds; that takes five minutes each on two cores.
What is done is kept in results/drawn.csv: a run that was stopped goes on, and `--seeds 3`
or `--scale 2` (with folders of that scale) adds to it. After an edit to leaves.py or
edsr.py, delete the file.
"""

import argparse
import functools
import os
import pathlib
import shutil
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import keras
import numpy as np
from PIL import Image

import data
import edsr
import hardware
import leaves
import shared

STEPS = 2000
LEARNING_RATE = 4e-4  # not edsr.py's: the table in the README was made with this one
PICTURES = 120

VARIANTS = {
    "as they are": {},
    "nothing but leaves and roughness": dict(
        CONTRAST=(1, 1), DEPTHS=(1, 1), BLADES=0, SHARP=1, LIGHT=0, LENS=(0, 0), GRAIN=0
    ),
    "full contrast": dict(CONTRAST=(1, 1)),
    "one depth": dict(DEPTHS=(1, 1)),
    "no blades": dict(BLADES=0),
    "all in focus": dict(SHARP=1),
    "twice the blur": dict(BLUR=2 * leaves.BLUR),
    "no roughness": dict(ROUGHNESS=0),
    "no light": dict(LIGHT=0),
    "no lens": dict(LENS=(0, 0)),
    "a softer lens": dict(LENS=(0.5, 1)),
    "no grain": dict(GRAIN=0),
    "full contrast, no blades, light or grain": dict(
        CONTRAST=(1, 1), BLADES=0, LIGHT=0, GRAIN=0
    ),
}


def draw(folder, constants):
    """Draws pictures with other constants into a folder."""
    before = {name: getattr(leaves, name) for name in constants}
    vars(leaves).update(constants)
    for number in range(1, PICTURES + 1):
        image = Image.fromarray(leaves.draw_leaves(512, [number, 0]))
        image.save(folder / f"0_drawn_{number:04}.png", compress_level=1)
    vars(leaves).update(before)


def train(folder, scale, seed):
    """Trains a small EDSR on a folder, much as `edsr.py` trains the baseline."""
    hardware.set_seed(seed)
    hardware.set_precision("auto")
    model = edsr.build_edsr(scale, filters=64, blocks=8)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        STEPS - edsr.WARMUP_STEPS,
        warmup_target=LEARNING_RATE,
        warmup_steps=edsr.WARMUP_STEPS,
    )
    model.compile(keras.optimizers.Adam(schedule), "mae")
    pairs = data.load(folder, "all", scale)
    sizes = edsr.PATCH_SIZE, edsr.BATCH_SIZE
    batches = data.training_batches(pairs, scale, *sizes, seed=seed)
    model.fit(batches, steps_per_epoch=STEPS, shuffle=False)
    return model


def train_on(constants, photographs, scale, seed):
    """Trains on pictures drawn with these constants, on a folder, or on both."""
    with tempfile.TemporaryDirectory() as folder:
        if constants is not None:
            draw(pathlib.Path(folder), constants)
        if photographs:
            shutil.copytree(photographs, folder, dirs_exist_ok=True)
        return train(folder, scale, seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="+", help="folders to score on")
    parser.add_argument("--photographs", help="folder to train on, to compare with")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    tests = {name: data.load(name, "all", options.scale) for name in options.tests}
    path = pathlib.Path("results/drawn.csv")
    pictures = {name: (constants, None) for name, constants in VARIANTS.items()}
    if options.photographs:
        pictures[options.photographs] = (None, options.photographs)
        pictures[f"as they are, and {options.photographs}"] = ({}, options.photographs)
    scores = {name: [] for name in pictures}
    for seed in range(options.seeds):
        for name, of_these in pictures.items():
            row = f"{name}, x{options.scale}, seed {seed}"
            training = functools.partial(train_on, *of_these, options.scale, seed)
            scores[name].append(shared.score(path, row, training, tests))
    means = {name: np.mean(rows, axis=0) for name, rows in scores.items()}
    shared.print_table(means, tests)


if __name__ == "__main__":
    main()

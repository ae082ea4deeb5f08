"""What each part of the drawn pictures is worth, and how they compare with photographs.

    python -m benchmarks.drawn Set5/image_SRF_4 BSDS500/images/val \\
        --photographs BSDS500/images/train

Trains an EDSR of eight blocks for 2,000 steps on 120 pictures of each kind, which takes
five minutes each on two cores, and prints its Y-PSNR on the folders, the mean over the
seeds. Finished rows are kept in results/drawn.csv, so a stopped run resumes, and
`--seeds 3` or `--scale 2` (with folders of that scale) adds to them. After an edit to
core/leaves.py or edsr.py, delete that file.
"""

import argparse
import functools
import pathlib
import shutil
import tempfile

import keras
import numpy as np
from PIL import Image

import data
import edsr
import hardware
import optimizers
from benchmarks import shared
from core import leaves

STEPS = 2000
LEARNING_RATE = 4e-4  # of Adam
PICTURES = 120

VARIANTS = {
    "everything, the default": {},
    "only leaves and roughness": dict(
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
    """Trains a small EDSR on all pictures of a folder, much as edsr.py does."""
    hardware.set_seed(seed)
    hardware.set_precision("auto")
    model = edsr.build_edsr(scale, filters=64, blocks=8)
    learning_rate = optimizers.warmup_cosine(LEARNING_RATE, STEPS, edsr.WARMUP_STEPS)
    model.compile(keras.optimizers.Adam(learning_rate), "mae")
    pairs = data.load(folder, "all", scale)
    sizes = edsr.PATCH_SIZE, edsr.BATCH_SIZE
    batches = data.training_batches(pairs, scale, *sizes, seed=seed)
    model.fit(batches, steps_per_epoch=STEPS, shuffle=False)
    return model


def train_on(constants, photographs, scale, seed):
    """Trains on pictures drawn with these constants (None: none), a folder, or both."""
    with tempfile.TemporaryDirectory() as folder:
        if constants is not None:
            draw(pathlib.Path(folder), constants)
        if photographs:
            shutil.copytree(photographs, folder, dirs_exist_ok=True)
        return train(folder, scale, seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="+", help="folders to score on")
    parser.add_argument("--photographs", help="folder to train on instead")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    tests = {name: data.load(name, "all", options.scale) for name in options.tests}
    path = pathlib.Path("results/drawn.csv")
    pictures = {name: (constants, None) for name, constants in VARIANTS.items()}
    if options.photographs:
        pictures[options.photographs] = (None, options.photographs)
        pictures[f"everything, and {options.photographs}"] = ({}, options.photographs)
    scores = {name: [] for name in pictures}
    for seed in range(options.seeds):
        for name, (constants, photographs) in pictures.items():
            row = f"{name}, x{options.scale}, seed {seed}"
            run = functools.partial(
                train_on, constants, photographs, options.scale, seed
            )
            scores[name].append(shared.score(path, row, run, tests))
    means = {name: np.mean(rows, axis=0) for name, rows in scores.items()}
    shared.print_table(means, tests)


if __name__ == "__main__":
    main()

"""What EDSR baseline x4 reaches in some minutes, by its recipe here and by others.

    python benchmarks/recipes.py Set5/image_SRF_4 --minutes 10

Each recipe gets as many steps as fit into the minutes, counted from the median time of its
own steps, on the same drawn pictures; a cosine falls over all of them. Prints the Y-PSNR on
the folders. What is done is kept in results/recipes.csv: a run that was stopped goes on with
the next recipe. `--recipes` picks some of them.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import keras
import numpy as np

import data
import edsr
import hardware
import kept

SCALE = 4


def cosine(rate, steps):
    warmup = min(200, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup
    )


def constant(rate, steps):
    return rate


def example(rate, steps):
    return keras.optimizers.schedules.PiecewiseConstantDecay([5000], [rate, rate / 2])


HERE = dict(
    patch_size=48,
    batch_size=4,
    rate=4e-4,
    schedule=cosine,
    average=None,
    loss="mae",
    image_skip=True,
    precision="auto",
)
RECIPES = {
    "edsr.py": {},
    "the Keras example": dict(
        patch_size=24,
        batch_size=16,
        rate=1e-4,
        schedule=example,
        image_skip=False,
        precision="float32",
    ),
    "no image skip": dict(image_skip=False),
    "float32": dict(precision="float32"),
    "16 patches of 24x24": dict(patch_size=24, batch_size=16),
    "1 patch of 96x96": dict(patch_size=96, batch_size=1),
    "16 patches of 48x48": dict(batch_size=16),
    "half the learning rate": dict(rate=2e-4),
    "twice the learning rate": dict(rate=8e-4),
    "constant learning rate": dict(schedule=constant),
    "constant, averaged weights": dict(schedule=constant, average=0.999),
    "averaged weights": dict(average=0.999),
    "mean squared error": dict(loss="mse"),
}


def prepare(recipe, steps):
    """A compiled network and its batches."""
    hardware.set_seed(0)
    hardware.set_precision(recipe["precision"])
    model = edsr.build_edsr(SCALE, image_skip=recipe["image_skip"])
    optimizer = keras.optimizers.Adam(
        recipe["schedule"](recipe["rate"], steps),
        use_ema=bool(recipe["average"]),
        ema_momentum=recipe["average"] or 0.99,
    )
    model.compile(optimizer, recipe["loss"])
    pairs = data.load("leaves", "train", SCALE)
    batches = data.training_batches(
        pairs, SCALE, recipe["patch_size"], recipe["batch_size"]
    )
    return model, batches


def seconds_per_step(recipe):
    model, batches = prepare(recipe, 1000)
    seconds = []
    for _, (lr, hr) in zip(range(30), batches):
        start = time.perf_counter()
        model.train_on_batch(lr, hr)
        seconds.append(time.perf_counter() - start)
    return np.median(seconds[5:])


def train(recipe, minutes):
    steps = round(60 * minutes / seconds_per_step(recipe))
    model, batches = prepare(recipe, steps)
    model.fit(batches, steps_per_epoch=steps, shuffle=False)
    if recipe["average"]:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="+", help="folders to score on")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10])
    parser.add_argument("--recipes", nargs="+", default=[*RECIPES], choices=RECIPES)
    options = parser.parse_args()
    print(hardware.name())
    tests = [data.load(folder, "all", SCALE) for folder in options.tests]
    path = pathlib.Path("results/recipes.csv")
    scores = {}
    for minutes in options.minutes:
        for name in options.recipes:
            recipe = {**HERE, **RECIPES[name]}
            row = f"{name}, {minutes:g} minutes"
            scores[row] = kept.score(path, row, lambda: train(recipe, minutes), tests)
    kept.print_table(scores)


if __name__ == "__main__":
    main()

"""What EDSR baseline x4 reaches in some minutes, by its recipe here and by others.

    python benchmarks/recipes.py Set5/image_SRF_4 --minutes 10

First the time of a step is measured for each recipe (let nothing else run for these four
minutes), then each trains for as many steps as fit, on the same drawn pictures. Prints the
Y-PSNR on the folders. A run that was stopped goes on: what is done is kept in
results/recipes.csv and results/recipes/. After an edit to edsr.py or leaves.py, delete both.
"""

import argparse
import functools
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
import metrics
import shared
import training

SCALE = 4
EPOCH = 250  # steps between two states to go on from


def cosine(rate, steps):
    warmup = min(edsr.WARMUP_STEPS, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup
    )


def constant(rate, steps):
    return rate


def example(rate, steps):
    return keras.optimizers.schedules.PiecewiseConstantDecay([5000], [rate, rate / 2])


HERE = dict(
    patch_size=edsr.PATCH_SIZE,
    batch_size=edsr.BATCH_SIZE,
    rate=edsr.LEARNING_RATE,
    schedule=cosine,
    average=None,
    loss="mae",
    start=None,
    image_skip=edsr.IMAGE_SKIP,
    precision=edsr.PRECISION,
)
RECIPES = {
    "edsr.py": {},
    "the Keras example": dict(
        patch_size=24,
        batch_size=16,
        rate=1e-4,
        schedule=example,
        start="glorot_uniform",
        image_skip=False,
        precision="float32",
    ),
    "no image skip": dict(image_skip=False),
    "no image skip, Keras' start": dict(image_skip=False, start="glorot_uniform"),
    "float32": dict(precision="float32"),
    "16 patches of 24x24": dict(patch_size=24, batch_size=16),
    "1 patch of 96x96": dict(patch_size=96, batch_size=1),
    "16 patches of 48x48": dict(batch_size=16),
    "a quarter of the learning rate": dict(rate=edsr.LEARNING_RATE / 4),
    "half the learning rate": dict(rate=edsr.LEARNING_RATE / 2),
    "twice the learning rate": dict(rate=edsr.LEARNING_RATE * 2),
    "four times the learning rate": dict(rate=edsr.LEARNING_RATE * 4),
    "constant learning rate": dict(schedule=constant),
    "constant, averaged weights": dict(schedule=constant, average=0.999),
    "mean squared error": dict(loss="mse"),
}
# What the time of a step depends on.
COSTS = ["patch_size", "batch_size", "precision", "image_skip", "average"]


def build(recipe, steps):
    hardware.set_seed(0)
    hardware.set_precision(recipe["precision"])
    model = edsr.build_edsr(SCALE, image_skip=recipe["image_skip"])
    for layer in model.layers:
        if recipe["start"] and layer.name != "image_skip" and layer.weights:
            # A new initializer for each: called again, one gives the same values.
            start = keras.initializers.get(recipe["start"])
            layer.kernel.assign(start(layer.kernel.shape))
    optimizer = keras.optimizers.Adam(
        recipe["schedule"](recipe["rate"], steps),
        use_ema=bool(recipe["average"]),
        ema_momentum=recipe["average"] or 0.99,
    )
    model.compile(optimizer, recipe["loss"], metrics=[metrics.PSNR(SCALE, luma=True)])
    return model


def batches(recipe, first_step=0):
    pairs = data.load("leaves", "train", SCALE)
    sizes = recipe["patch_size"], recipe["batch_size"]
    return data.training_batches(pairs, SCALE, *sizes, first_step=first_step)


def seconds_per_step(recipe):
    model = build(recipe, 1000)
    seconds = []
    for _, (lr, hr) in zip(range(50), batches(recipe)):
        start = time.perf_counter()
        model.train_on_batch(lr, hr)
        seconds.append(time.perf_counter() - start)
    return [np.quantile(seconds[5:], 0.1)]  # of a machine that nothing disturbs


def train(name, recipe, epochs):
    """Trains as the scripts do, so that a run that was stopped goes on."""
    model = build(recipe, epochs * EPOCH)
    settings = {**recipe, "schedule": recipe["schedule"].__name__}
    settings |= dict(SCALE=SCALE, DATASET="leaves")
    settings |= dict(EPOCHS=epochs, STEPS_PER_EPOCH=EPOCH)
    run = training.open_run(model, "results/recipes", name, settings, keep="last")
    if run.epoch > epochs:
        raise ValueError(f"{run.folder} was trained for longer: move it away.")
    crops = data.validation_batches(data.load("leaves", "validation", SCALE), SCALE)
    model.fit(
        batches(recipe, run.step),
        initial_epoch=run.epoch,
        epochs=epochs,
        steps_per_epoch=EPOCH,
        shuffle=False,
        validation_data=crops,
        callbacks=run.callbacks,
    )
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="+", help="folders to score on")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10])
    parser.add_argument("--recipes", nargs="+", default=[*RECIPES], choices=RECIPES)
    options = parser.parse_args()
    print(hardware.name())
    tests = {name: data.load(name, "all", SCALE) for name in options.tests}
    path = pathlib.Path("results/recipes.csv")
    recipes = {name: {**HERE, **RECIPES[name]} for name in options.recipes}
    seconds = {}
    for name, recipe in recipes.items():
        row = "seconds a step: " + ", ".join(str(recipe[key]) for key in COSTS)
        measure = functools.partial(seconds_per_step, recipe)
        seconds[name] = shared.keep(path, row, measure)[0]
    scores = {}
    for minutes in sorted(options.minutes):
        for name, recipe in recipes.items():
            epochs = max(1, round(60 * minutes / seconds[name] / EPOCH))
            row = f"{name}, {minutes:g} minutes, {epochs * EPOCH} steps"
            # Where the learning rate does not fall to zero, a longer run goes on from a
            # shorter one.
            ends = recipe["schedule"] is cosine
            folder = f"{name}, {minutes:g} minutes" if ends else name
            training_run = functools.partial(train, folder, recipe, epochs)
            scores[row] = shared.score(path, row, training_run, tests)
    shared.print_table(scores, tests)


if __name__ == "__main__":
    main()

"""What EDSR baseline x4 reaches in some minutes, with edsr.py's recipe and with others.

    python -m benchmarks.recipes Set5/image_SRF_4 --minutes 10

First measures how long a step of each recipe takes (let nothing else run during these
four minutes). Then each recipe trains on the same drawn pictures for as many steps as fit
in the time. Prints the Y-PSNR on the folders. A stopped run resumes from results/recipes/
and results/recipes.csv. After an edit to edsr.py or core/leaves.py, delete both.
"""

import argparse
import functools
import pathlib
import time

import keras
import numpy as np

import data
import edsr
import hardware
import metrics
import optimizers
import training
from benchmarks import shared

EPOCH = 250  # steps between two states to resume from


def cosine(rate, steps):
    return optimizers.warmup_cosine(rate, steps, edsr.WARMUP_STEPS)


def constant(rate, steps):
    return rate


def example(rate, steps):
    return keras.optimizers.schedules.PiecewiseConstantDecay([5000], [rate, rate / 2])


# The settings of edsr.py with Adam, and what else varies. `start` is a Keras initializer;
# `average` is the momentum of averaged weights; `tail` is the dtype policy of the output
# layer.
RATE = 8e-4
HERE = {name: getattr(edsr, name) for name in edsr.SETTINGS}
HERE |= dict(OPTIMIZER="adam", LEARNING_RATE=RATE)
HERE |= dict(schedule=cosine, loss="mae", start=None, average=None, tail="float32")
RECIPES = {
    "edsr.py": dict(OPTIMIZER=edsr.OPTIMIZER, LEARNING_RATE=edsr.LEARNING_RATE),
    "Adam": {},
    "the Keras example": dict(
        PATCH_SIZE=24,
        BATCH_SIZE=16,
        LEARNING_RATE=1e-4,
        IMAGE_SKIP=False,
        PRECISION="float32",
        schedule=example,
        start="glorot_uniform",
    ),
    "no image skip": dict(IMAGE_SKIP=False),
    "no image skip, Keras' start": dict(IMAGE_SKIP=False, start="glorot_uniform"),
    "float32": dict(PRECISION="float32"),
    "bfloat16 to the end": dict(tail="mixed_bfloat16"),
    "16 patches of 24x24": dict(PATCH_SIZE=24, BATCH_SIZE=16),
    "1 patch of 96x96": dict(PATCH_SIZE=96, BATCH_SIZE=1),
    "16 patches of 48x48": dict(BATCH_SIZE=16),
    "a quarter of the learning rate": dict(LEARNING_RATE=RATE / 4),
    "half the learning rate": dict(LEARNING_RATE=RATE / 2),
    "twice the learning rate": dict(LEARNING_RATE=RATE * 2),
    "four times the learning rate": dict(LEARNING_RATE=RATE * 4),
    "constant learning rate": dict(schedule=constant),
    "constant, averaged weights": dict(schedule=constant, average=0.999),
    "mean squared error": dict(loss="mse"),
}
# What the time of a step depends on.
COSTS = ["PATCH_SIZE", "BATCH_SIZE", "PRECISION", "IMAGE_SKIP", "OPTIMIZER"]
COSTS += ["average", "tail"]


def build(recipe, steps):
    hardware.set_seed(recipe["SEED"])
    hardware.set_precision(recipe["PRECISION"])
    names = "SCALE", "FILTERS", "BLOCKS", "RESIDUAL_SCALING", "IMAGE_SKIP"
    model = edsr.build_edsr(*(recipe[name] for name in names))
    for layer in model.layers:
        if recipe["start"] and layer.name != "image_skip" and layer.weights:
            # A new initializer for each: called again, one gives the same values.
            start = keras.initializers.get(recipe["start"])
            layer.kernel.assign(start(layer.kernel.shape))
    model.get_layer("tail").dtype_policy = keras.DTypePolicy(recipe["tail"])
    rate = recipe["schedule"](recipe["LEARNING_RATE"], steps)
    optimizer = optimizers.make_optimizer(recipe["OPTIMIZER"], rate)
    if recipe["average"]:
        optimizer.use_ema = True
        optimizer.ema_momentum = recipe["average"]
    psnr = metrics.PSNR(recipe["SCALE"], luma=True)
    model.compile(optimizer, recipe["loss"], metrics=[psnr])
    return model


def load(recipe, split):
    return data.load(recipe["DATASET"], split, recipe["SCALE"], recipe["DEGRADATION"])


def batches(recipe, first_step=0):
    return data.training_batches(
        load(recipe, "train"),
        recipe["SCALE"],
        recipe["PATCH_SIZE"],
        recipe["BATCH_SIZE"],
        recipe["NOISE"],
        recipe["SEED"],
        first_step,
    )


def seconds_per_step(recipe):
    model = build(recipe, 1000)
    seconds = []
    for _, (lr, hr) in zip(range(50), batches(recipe)):
        start = time.perf_counter()
        model.train_on_batch(lr, hr)
        seconds.append(time.perf_counter() - start)
    return [np.quantile(seconds[5:], 0.1)]  # of a machine that nothing disturbs


def train(name, recipe, epochs):
    """Trains in a run's folder, as the scripts do, so that a stopped run resumes."""
    model = build(recipe, epochs * EPOCH)
    settings = {**recipe, "schedule": recipe["schedule"].__name__}
    settings |= dict(EPOCHS=epochs, STEPS_PER_EPOCH=EPOCH)
    run = training.open_run(model, "results/recipes", name, settings, keep="last")
    if run.epoch > epochs:
        raise ValueError(f"{run.folder} was trained for longer: move it away.")
    crops = data.validation_batches(load(recipe, "validation"), recipe["SCALE"])
    model.fit(
        batches(recipe, run.step),
        initial_epoch=run.epoch,
        epochs=run.epochs,
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
    print(hardware.describe())
    scale = HERE["SCALE"]
    tests = {name: data.load(name, "all", scale) for name in options.tests}
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
            # Where the learning rate does not fall to zero, a longer run resumes a
            # shorter one.
            ends = recipe["schedule"] is cosine
            folder = f"{name}, {minutes:g} minutes" if ends else name
            training_run = functools.partial(train, folder, recipe, epochs)
            scores[row] = shared.score(path, row, training_run, tests)
    shared.print_table(scores, tests)


if __name__ == "__main__":
    main()

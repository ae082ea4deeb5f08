"""Trains an included network again: runs its script with other settings.

    python weights/train.py edsr_leaves_x2
    python weights/train.py edsr_first_x2 detailed
    python weights/train.py edsr_x2 detailed

Networks that learn from photographs take a folder of them; weights/README.md says which,
and which network each starts from. The results go to results/weights/edsr_x2/, with the
network as it is included in edsr_x2.keras. A stopped run resumes.
"""

import argparse
import importlib
import os
import pathlib
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import numpy as np

PROJECT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

import settings

if __name__ == "__main__":
    settings.start_command()

import training
from core import state
from core.files import atomic_write
from core.keras_files import leave_out_initializers
from core.networks import interpolate_weights, load_network

# Stands for the folder that is named when the recipe is run.
PHOTOGRAPHS = "photographs"


def result_of(name):
    """The file that the recipe of this name makes, of a network that is not included."""
    return PROJECT / f"results/weights/{name}/{name}.keras"


ADAM = dict(OPTIMIZER="adam", LEARNING_RATE=4e-4)
MUON = dict(OPTIMIZER="muon", LEARNING_RATE=5e-4)
REALISTIC = dict(DEGRADATION=("bicubic", "web", "aliased"))


def edsr(start, scale=4, epochs=16, **others):
    """The recipe of an EDSR: that of the recipe `start`, trained further on photographs."""
    return "edsr", dict(
        ADAM,
        DATASET=PHOTOGRAPHS,
        SCALE=scale,
        EPOCHS=epochs,
        STEPS_PER_EPOCH=250,
        INITIAL_WEIGHTS=result_of(start),
        **others,
    )


def espcn(start, scale, **others):
    """The same for an ESPCN."""
    return "espcn", dict(
        DATASET=PHOTOGRAPHS,
        SCALE=scale,
        OPTIMIZER="adam",
        LEARNING_RATE=1e-3,
        INITIAL_WEIGHTS=result_of(start),
        **others,
    )


LEAVES = dict(EPOCHS=36, STEPS_PER_EPOCH=500, **ADAM)
SRGAN = dict(DATASET=PHOTOGRAPHS, EPOCHS=0, STEPS_PER_EPOCH=100)
# The script and the settings that differ from its own.
RECIPES = {
    "edsr_leaves_x2": ("edsr", dict(LEAVES, SCALE=2)),
    "edsr_leaves_x4": (
        "edsr",
        dict(LEAVES, INITIAL_WEIGHTS=result_of("edsr_leaves_x2")),
    ),
    "edsr_first_x2": edsr("edsr_leaves_x2", 2, epochs=24),
    "edsr_x2": edsr("edsr_first_x2", 2, epochs=80),
    "edsr_first_x3": edsr("edsr_first_x2", 3),
    "edsr_x3": edsr("edsr_first_x3", 3, epochs=32),
    "edsr_first_x4": edsr("edsr_leaves_x4"),
    "edsr_x4": edsr("edsr_first_x4", epochs=48),
    "edsr_web_x4": edsr("edsr_first_x4", DEGRADATION=("bicubic", "web")),
    "edsr_first_realistic_x4": edsr("edsr_web_x4", **REALISTIC),
    "edsr_second_realistic_x4": edsr("edsr_first_realistic_x4", epochs=44, **REALISTIC),
    "edsr_realistic_x4": edsr(
        "edsr_second_realistic_x4", epochs=14, **MUON, **REALISTIC
    ),
    "edsr_first_realistic_x2": edsr("edsr_first_x2", 2, epochs=32, **REALISTIC),
    "edsr_realistic_x2": edsr(
        "edsr_first_realistic_x2", 2, epochs=6, **MUON, **REALISTIC
    ),
    "espcn_first_x2": (
        "espcn",
        dict(SCALE=2, DATASET=PHOTOGRAPHS, OPTIMIZER="adam"),
    ),
    "espcn_leaves_x3": ("espcn", dict(SCALE=3, OPTIMIZER="adam")),
    "espcn_leaves_x4": ("espcn", dict(SCALE=4, OPTIMIZER="adam")),
    "espcn_second_x2": espcn("espcn_first_x2", 2),
    "espcn_x2": espcn("espcn_second_x2", 2, EPOCHS=40, PATIENCE=1000),
    "espcn_first_x3": espcn("espcn_leaves_x3", 3),
    "espcn_second_x3": espcn("espcn_first_x3", 3, EPOCHS=40, PATIENCE=1000),
    "espcn_x3": espcn("espcn_second_x3", 3, EPOCHS=40, PATIENCE=1000),
    "espcn_first_x4": espcn("espcn_leaves_x4", 4),
    "espcn_x4": espcn("espcn_first_x4", 4, EPOCHS=40, PATIENCE=1000),
    "srgan_first_x4": (
        "srgan",
        dict(SRGAN, GAN_EPOCHS=33, INITIAL_WEIGHTS=PROJECT / "weights/edsr_x4.keras"),
    ),
    "srgan_x4": (
        "srgan",
        dict(
            SRGAN,
            PATCH_SIZE=32,
            BATCH_SIZE=6,
            GAN_EPOCHS=46,
            INITIAL_WEIGHTS=result_of("srgan_first_x4"),
        ),
    ),
    "srgan_realistic_x4": (
        "srgan",
        dict(
            SRGAN,
            DEGRADATION="web",
            PATCH_SIZE=32,
            BATCH_SIZE=6,
            GAN_EPOCHS=48,
            INITIAL_WEIGHTS=PROJECT / "weights/edsr_realistic_x4.keras",
        ),
    ),
}


# These are means with the network they started from: the share of the trained one.
SHARES = {
    "edsr_x4": 0.75,
    "edsr_first_realistic_x4": 0.7,
    "edsr_second_realistic_x4": 0.8,
    "edsr_realistic_x4": 0.5,
    "edsr_first_realistic_x2": 0.85,
    "edsr_realistic_x2": 0.5,
}


def pack(model, path):
    """Saves a network in a small file: rounded to float16's precision, compressed.

    Args:
        model: `keras.Model` under the float32 policy; changed in place.
        path: `pathlib.Path` of a `.keras` file, which loads like any other.
    """
    # Stored as float32, since Keras saves the weights of a layer in its dtype.
    rounded = [w.astype(np.float16).astype(np.float32) for w in model.get_weights()]
    model.set_weights(rounded)
    with atomic_write(path) as part:
        model.save(part)
        leave_out_initializers(part, zipfile.ZIP_DEFLATED)


def keep_start(path, results):
    """Keeps the network at `path`, from which a run starts; refuses another one later."""
    kept = results / "start.keras"
    if not path.exists():
        raise ValueError(
            f"first run weights/train.py {path.stem}. weights/README.md says which "
            "pictures it learned from."
        )
    start = path.read_bytes()
    if not kept.exists():
        with atomic_write(kept) as part:
            part.write_bytes(start)
    if kept.read_bytes() != start:
        raise ValueError(
            f"{path} has changed since the run in {results} started: move that folder away."
        )


def recipe_of(name, photographs):
    """The script of a network and its settings, with the folder of photographs in them.

    Raises a ValueError where such a folder is needed and not named, or named and not
    needed.
    """
    script, chosen = RECIPES[name]
    needed = chosen.get("DATASET") == PHOTOGRAPHS
    if needed and not photographs:
        raise ValueError(
            f"{name} learns from photographs. Name a folder with train/ and validation/ in "
            "it: see docs/datasets.md."
        )
    if photographs and not needed:
        raise ValueError(f"{name} learns from drawn pictures: name no folder.")
    return script, dict(chosen, DATASET=photographs) if needed else chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "name", choices=RECIPES, help=", ".join(RECIPES), metavar="NAME"
    )
    parser.add_argument(
        "photographs", nargs="?", help="folder, for some of the networks"
    )
    options = parser.parse_args()
    try:
        train(options.name, options.photographs)
    except (ValueError, OSError) as error:
        sys.exit(f"weights/train.py: {error}")


def train(name, photographs):
    """Trains a network by its recipe, and writes it as it is included."""
    name_of_script, chosen = recipe_of(name, photographs)
    script = importlib.import_module(name_of_script)
    results = PROJECT / "results" / "weights" / name
    edits = [f"{constant}={value}" for constant, value in chosen.items()]
    settings.change(vars(script), script.SETTINGS, [*edits, f"RESULTS={results}"])
    if script.INITIAL_WEIGHTS:
        keep_start(pathlib.Path(script.INITIAL_WEIGHTS), results)
    script.main()
    folder = training.folder_of(results, script.__name__, vars(script))
    facts = state.read_facts(folder / state.FILE)
    if facts["epoch"] < facts["settings"]["EPOCHS"] and not facts["stopped"]:
        raise ValueError(
            f"{name} has been trained for {facts['epoch']} of "
            f"{facts['settings']['EPOCHS']} epochs: run the command again."
        )
    network = load_network(folder / "model.keras")
    if name in SHARES:
        network = interpolate_weights(
            load_network(results / "start.keras"), network, SHARES[name]
        )
    pack(network, results / f"{name}.keras")
    print(f"The network as it is included: {results / name}.keras")


if __name__ == "__main__":
    main()

"""Trains an included network again: runs its script with other settings.

    python weights/train.py edsr_x2
    python weights/train.py edsr_x4 my_photographs

Networks that learn from photographs take a folder of them. The results go to
results/weights/edsr_x2/, with the network as it is included in edsr_x2.keras. A stopped
run resumes.
"""

import argparse
import importlib
import os
import pathlib
import shutil
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import numpy as np

PROJECT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

import settings
import training
from core.files import whole_file
from core.keras_files import leave_out_initializers
from core.networks import load_network, mix

FROM_X2 = f"INITIAL_WEIGHTS={PROJECT / 'weights' / 'edsr_x2.keras'}"
FROM_X4 = f"INITIAL_WEIGHTS={PROJECT / 'weights' / 'edsr_x4.keras'}"
# Not included: the network for x4 that has seen no photographs.
LEAVES = PROJECT / "results" / "weights" / "edsr_leaves_x4" / "edsr_leaves_x4.keras"
FROM_LEAVES = f"INITIAL_WEIGHTS={LEAVES}"
PHOTOGRAPHS = "DATASET=photographs"  # the folder is named when the recipe is run
# The learning rate is half of what edsr.py has now.
EDSR = ["STEPS_PER_EPOCH=500", "LEARNING_RATE=4e-4"]
SRGAN = [PHOTOGRAPHS, "EPOCHS=0", "STEPS_PER_EPOCH=100"]
# The script and the settings that differ from its own.
RECIPES = {
    "edsr_x2": ("edsr", [*EDSR, "SCALE=2", "EPOCHS=36"]),
    "edsr_x3": ("edsr", [*EDSR, "SCALE=3", "EPOCHS=20", FROM_X2]),
    "edsr_leaves_x4": ("edsr", [*EDSR, "EPOCHS=36", FROM_X2]),
    "edsr_x4": (
        "edsr",
        [*EDSR, PHOTOGRAPHS, "STEPS_PER_EPOCH=250", "EPOCHS=16", FROM_LEAVES],
    ),
    "edsr_realistic_x4": (
        "edsr",
        [*EDSR, "DEGRADATION=('bicubic', 'realistic')", "EPOCHS=12", FROM_LEAVES],
    ),
    "espcn_x3": ("espcn", ["SCALE=3"]),
    "espcn_x4": ("espcn", ["SCALE=4"]),
    "srgan_x4": ("srgan", [*SRGAN, "GAN_EPOCHS=7", FROM_X4]),
}

# Where the included network is the mean of the trained one and the one it started from:
# the share of the trained one (Wang et al. 2018, "ESRGAN", section 3.4). It was chosen on
# validation pictures, with benchmarks/blend.py.
SHARE = {"edsr_realistic_x4": 0.7}


def pack(model, path):
    """Saves a network in a small file: rounded to float16's precision, compressed.

    Args:
        model: `keras.Model` under the float32 policy; changed in place.
        path: `pathlib.Path` of a `.keras` file, which loads like any other.
    """
    # Stored as float32, since Keras saves the weights of a layer in its dtype.
    rounded = [w.astype(np.float16).astype(np.float32) for w in model.get_weights()]
    model.set_weights(rounded)
    with whole_file(path) as part:
        model.save(part)
        leave_out_initializers(part, zipfile.ZIP_DEFLATED)


def keep_start(path, results):
    """Exits if a run started from another network than the file at `path` holds now."""
    kept = results / "start.keras"
    if not path.exists():
        sys.exit(f"weights/train.py: first run weights/train.py {path.stem}")
    if not kept.exists():
        with whole_file(kept) as part:
            shutil.copyfile(path, part)
    if kept.read_bytes() != path.read_bytes():
        sys.exit(
            f"weights/train.py: {path} has changed since the run in {results} started: "
            "move that folder away."
        )


def recipe_of(name, photographs):
    """The script of a network, and its settings, with the folder of photographs in them.

    Exits where such a folder is needed and not named, or the other way round.
    """
    script, edits = RECIPES[name]
    if PHOTOGRAPHS in edits and not photographs:
        sys.exit(
            f"weights/train.py: {name} learns from photographs. Name a folder with "
            "train/ and validation/ in it: see docs/datasets.md."
        )
    if photographs and PHOTOGRAPHS not in edits:
        sys.exit(
            f"weights/train.py: {name} learns from drawn pictures: name no folder."
        )
    named = {PHOTOGRAPHS: f"DATASET={photographs}"}
    return script, [named.get(edit, edit) for edit in edits]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "name", choices=RECIPES, help=", ".join(RECIPES), metavar="NAME"
    )
    parser.add_argument(
        "photographs", nargs="?", help="folder, for some of the networks"
    )
    options = parser.parse_args()
    name = options.name
    script, edits = recipe_of(name, options.photographs)
    script = importlib.import_module(script)
    results = PROJECT / "results" / "weights" / name
    settings.change(vars(script), script.SETTINGS, [*edits, f"RESULTS={results}"])
    start = getattr(script, "INITIAL_WEIGHTS", None)
    if start:
        keep_start(pathlib.Path(start), results)
    script.main()
    folder = training.folder_of(results, script.__name__, vars(script))
    model = load_network(folder / "model.keras")
    if name in SHARE:
        model = mix(load_network(start), model, SHARE[name])
    pack(model, results / f"{name}.keras")
    print(f"The network as it is included: {results / name}.keras")


if __name__ == "__main__":
    main()

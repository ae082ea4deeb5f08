"""Trains a network of this folder, as the script of its name does with other constants.

    python weights/train.py edsr_x2

makes what the script makes in results/weights/edsr_x2/, and of the network there the file
that stands here, results/weights/edsr_x2/edsr_x2.keras. A run that was stopped goes on where
it was.
"""

import importlib
import os
import pathlib
import shutil
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # as the scripts do

import numpy as np

PROJECT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

import sources
import upscale

X2 = str(PROJECT / "weights" / "edsr_x2.keras")
X4 = str(PROJECT / "weights" / "edsr_x4.keras")
# What ships was trained at half the learning rate that edsr.py has now.
EDSR = dict(STEPS_PER_EPOCH=500, LEARNING_RATE=4e-4)
# The script, the folder of its results, and the constants that differ from its own.
RECIPES = {
    "edsr_x2": (
        "edsr",
        "edsr_x2_leaves",
        EDSR | dict(SCALE=2, EPOCHS=36),
    ),
    "edsr_x3": (
        "edsr",
        "edsr_x3_leaves",
        EDSR | dict(SCALE=3, EPOCHS=20, INITIAL_WEIGHTS=X2),
    ),
    "edsr_x4": (
        "edsr",
        "edsr_x4_leaves",
        EDSR | dict(SCALE=4, EPOCHS=36, INITIAL_WEIGHTS=X2),
    ),
    "edsr_realistic_x4": (
        "edsr",
        "edsr_x4_leaves",
        EDSR
        | dict(
            DEGRADATION=("bicubic", "realistic"),
            EPOCHS=12,
            INITIAL_WEIGHTS=X4,
        ),
    ),
    "edsr_photographs_x4": (
        "edsr",
        "edsr_x4_bsds500",
        EDSR | dict(DATASET="bsds500", EPOCHS=18, INITIAL_WEIGHTS=X4),
    ),
    "espcn_x3": ("espcn", "espcn_x3_leaves", dict(SCALE=3)),
    "espcn_x4": ("espcn", "espcn_x4_leaves", dict(SCALE=4)),
    "srresnet_x4": (
        "srgan",
        "srresnet_x4_leaves",
        dict(EPOCHS=16, STEPS_PER_EPOCH=500, ADVERSARIAL=False),
    ),
    "srgan_x4": (
        "srgan",
        "srgan_x4_leaves",
        dict(EPOCHS=16, GAN_EPOCHS=2, STEPS_PER_EPOCH=500),
    ),
}


# Where this is less than 1, the weights that ship are a mean of the trained network, with
# this share, and of the one it started from (Wang et al. 2018, ESRGAN, section 3.4). The
# shares were picked on validation pictures, by benchmarks/blend.py.
SHARE = {"edsr_realistic_x4": 0.7, "edsr_photographs_x4": 0.7}


def blend(start, trained, share):
    """The mean of two networks' weights: a list of arrays, `share` of it `trained`."""
    pairs = zip(start.get_weights(), trained.get_weights())
    return [(1 - share) * before + share * after for before, after in pairs]


def pack(model, path):
    """Saves a network as a small file: rounded to the precision of float16, compressed.

    Args:
        model: `keras.Model` under the float32 policy; changed in place.
        path: `pathlib.Path` of a `.keras` file, which loads as any other.
    """
    # As float32 all the same, since Keras saves the weights of a layer in its dtype.
    rounded = [w.astype(np.float16).astype(np.float32) for w in model.get_weights()]
    model.set_weights(rounded)
    with sources.whole_file(path) as part:
        model.save(part)
        with zipfile.ZipFile(part) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(
            part, "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as archive:
            for name, content in members.items():
                archive.writestr(name, content)


def keep_start(path, results):
    """Ends the program if a run began with another network than a file holds now."""
    kept = results / "start.keras"
    if not kept.exists():
        with sources.whole_file(kept) as part:
            shutil.copyfile(path, part)
    if kept.read_bytes() != path.read_bytes():
        sys.exit(
            f"weights/train.py: {path} has changed since the run in {results} began: "
            "move that folder away."
        )


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RECIPES:
        sys.exit(f"weights/train.py: name one of {', '.join(RECIPES)}.")
    name = sys.argv[1]
    script, folder, constants = RECIPES[name]
    script = importlib.import_module(script)
    results = PROJECT / "results" / "weights" / name
    if "INITIAL_WEIGHTS" in constants:
        keep_start(pathlib.Path(constants["INITIAL_WEIGHTS"]), results)
    vars(script).update(constants, RESULTS=str(results))
    script.main()
    model = upscale.load_network(results / folder / "model.keras")
    if name in SHARE:
        start = upscale.load_network(constants["INITIAL_WEIGHTS"])
        model.set_weights(blend(start, model, SHARE[name]))
    pack(model, results / f"{name}.keras")
    print(f"As it ships: {results / name}.keras")


if __name__ == "__main__":
    main()

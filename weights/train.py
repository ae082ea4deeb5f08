"""Trains a network of this folder, as the script of its name does with other constants.

    python weights/train.py edsr_x2

makes results/weights/edsr_x2_leaves/model.keras, which is edsr_x2.keras here. A run that
was stopped goes on where it was.
"""

import importlib
import pathlib
import sys

PROJECT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

X2 = str(PROJECT / "weights" / "edsr_x2.keras")
# The script, and the constants that differ from those at its top.
RECIPES = {
    "edsr_x2": ("edsr", dict(SCALE=2, EPOCHS=36, STEPS_PER_EPOCH=500)),
    "edsr_x3": (
        "edsr",
        dict(SCALE=3, EPOCHS=20, STEPS_PER_EPOCH=500, INITIAL_WEIGHTS=X2),
    ),
    "edsr_x4": (
        "edsr",
        dict(SCALE=4, EPOCHS=36, STEPS_PER_EPOCH=500, INITIAL_WEIGHTS=X2),
    ),
    "espcn_x3": ("espcn", dict(SCALE=3)),
    "espcn_x4": ("espcn", dict(SCALE=4)),
    "srresnet_x4": ("srgan", dict(EPOCHS=16, STEPS_PER_EPOCH=500, ADVERSARIAL=False)),
    "srgan_x4": ("srgan", dict(EPOCHS=16, GAN_EPOCHS=2, STEPS_PER_EPOCH=500)),
}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RECIPES:
        sys.exit(f"weights/train.py: name one of {', '.join(RECIPES)}.")
    script, constants = RECIPES[sys.argv[1]]
    script = importlib.import_module(script)
    vars(script).update(constants, RESULTS=str(PROJECT / "results" / "weights"))
    script.main()


if __name__ == "__main__":
    main()

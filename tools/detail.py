"""Cuts the squares with the most detail out of photographs, to train on them alone.

    python tools/detail.py my_photos detailed/train

Skies and blurred backgrounds fill much of most photographs, and a network learns little
from them. The more detailed half of all squares is written, as PNG files.
"""

import argparse
import math
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

PROJECT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

import settings

if __name__ == "__main__":
    settings.start_command()  # before the imports that take seconds

import keras
import numpy as np
from PIL import Image

from core import folders, images
from core.files import atomic_write
from core.pixels import luma

SIDE = 300  # pixels, roughly: the sides of a picture are divided evenly
SHARE = 0.5  # of the squares


def squares(height, width):
    """Yields the (top, bottom, left, right) of squares that cover a picture."""
    rows, columns = (
        np.linspace(0, side, max(1, round(side / SIDE)) + 1).astype(int)
        for side in (height, width)
    )
    for top, bottom in zip(rows, rows[1:]):
        for left, right in zip(columns, columns[1:]):
            yield int(top), int(bottom), int(left), int(right)


def detail(image):
    """How much neighbouring pixels of RGB [H, W, 3] differ: mean slope of the luma."""
    if min(image.shape[:2]) < 2:
        return 0.0
    y = luma(image)[..., 0]
    return np.hypot(np.diff(y, axis=0)[:, :-1], np.diff(y, axis=1)[:-1]).mean()


def rank(files):
    """All squares of some pictures: list of (file, place), those with most detail first."""
    found = []
    print("Looking for detail")
    progress = keras.utils.Progbar(len(files), unit_name="picture")
    for file in files:
        rgb = images.read_image(file)
        for place in squares(*rgb.shape[:2]):
            top, bottom, left, right = place
            found.append((detail(rgb[top:bottom, left:right]), file, place))
        progress.add(1)
    found.sort(key=lambda square: -square[0])
    return [square[1:] for square in found]


def cut(kept, output):
    """Writes squares into a folder, numbered by picture, since names may be the same."""
    places = {}
    for file, place in kept:
        places.setdefault(file, []).append(place)
    print("Writing squares")
    progress = keras.utils.Progbar(len(places), unit_name="picture")
    for number, file in enumerate(sorted(places)):
        rgb = images.read_image(file)
        for top, bottom, left, right in places[file]:
            name = f"{number:05}_{file.stem[:50]}_{top}_{left}.png"  # of any length
            Image.fromarray(rgb[top:bottom, left:right]).save(output / name)
        progress.add(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=settings.path, help="folder of photographs")
    parser.add_argument(
        "output", type=settings.path, help="a new folder for the squares"
    )
    options = parser.parse_args()
    if options.output.exists():
        sys.exit(f"detail.py: {options.output} exists already: name a new folder.")
    try:
        found = rank(folders.find_originals(options.pictures))
        kept = found[: math.ceil(SHARE * len(found))]
        with atomic_write(options.output) as part:
            part.mkdir()
            cut(kept, part)
    except (ValueError, OSError) as error:
        sys.exit(f"detail.py: {error}")
    print(f"{len(kept)} of {len(found)} squares are in {options.output}")


if __name__ == "__main__":
    main()

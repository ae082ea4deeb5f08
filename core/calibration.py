"""The pictures that int8 networks are calibrated on, and checked with."""

import math
import pathlib

import numpy as np

from core.images import find_pictures, read_image
from core.leaves import draw_leaves
from core.pairs import spread
from core.pixels import bicubic_resize, luma
from core.scoring import is_flat

SIDE = 96  # of the pictures, unless their size is fixed
PIXELS = 75_000  # to calibrate on; more take longer and change little
MOST = 32  # pictures


def samples(size, channels, folder=None):
    """Pictures as the network will get them: half of them to calibrate on, half to check.

    Args:
        size: (height, width) of all of them; None for squares.
        channels: 3 for RGB, 1 for luma.
        folder: `pathlib.Path` of a folder with pictures to cut them from; None draws them.

    Returns:
        Two lists of float32 arrays [1, h, w, channels], 0 to 255. Where the folder has
        room for one alone, it is in both.

    Raises:
        ValueError: as `find_pictures`, if a picture cannot be read, or if all are of one
            colour, which would hide how far int8 is from the network.
    """
    height, width = size or (SIDE, SIDE)
    count = 2 * int(np.clip(PIXELS // (height * width), 1, MOST))
    if folder:
        paths = spread(find_pictures(pathlib.Path(folder)), count)
        pictures = _cut_from(paths, height, width, math.ceil(count / len(paths)))
        if all(map(is_flat, pictures)):
            raise ValueError(
                f"{folder} contains only pictures of one colour: calibrate on photographs."
            )
    else:
        pictures = [_draw(height, width, seed) for seed in range(count)]
    if channels == 1:
        pictures = [luma(picture.astype(np.float64)) for picture in pictures]
    pictures = [picture.astype(np.float32)[None] for picture in pictures]
    return pictures[::2], pictures[1::2] or pictures


def _draw(height, width, seed):
    """Drawn at twice the size: as sharp as LR pictures are."""
    side = max(height, width)
    leaves = draw_leaves(2 * side, seed)
    return bicubic_resize(leaves, side, side)[:height, :width]


def _cut_from(paths, height, width, each):
    """At most `each` pieces of every picture, spread over it."""
    pieces = []
    for path in paths:
        image = read_image(path)
        missing = [max(0, a - b) for a, b in zip((height, width), image.shape)]
        image = np.pad(image, [(0, side) for side in missing] + [(0, 0)], "symmetric")
        corners = [
            (y, x)
            for y in range(0, image.shape[0] - height + 1, height)
            for x in range(0, image.shape[1] - width + 1, width)
        ]
        pieces += [
            image[y : y + height, x : x + width] for y, x in spread(corners, each)
        ]
    return pieces

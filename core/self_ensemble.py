"""Geometric self-ensemble: the mean over the eight rotations and flips of a picture."""

import numpy as np


def mean_of_turns(enlarge, image):
    """Enlarges a picture in its eight rotations and flips, and averages the results.

    Lim et al. 2017 (EDSR), section 4.3; rows marked "+" in tables.

    Args:
        enlarge: function from an array [h, w, C] to one of [h*scale, w*scale, C].
        image: array [h, w, C].

    Returns:
        Array [h*scale, w*scale, C].
    """
    total = 0.0
    for turn in range(4):
        for mirror in (1, -1):
            turned = np.ascontiguousarray(np.rot90(image, turn)[:, ::mirror])
            total = total + np.rot90(enlarge(turned)[:, ::mirror], -turn)
    return total / 8

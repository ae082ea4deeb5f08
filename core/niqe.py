"""NIQE, which tells from a picture alone how natural it looks.

Mittal, Soundararajan and Bovik 2013, "Making a 'Completely Blind' Image Quality
Analyzer", with the authors' parameters.
"""

import functools
import math

import numpy as np

from core.files import packaged_file
from core.imagenet import GET_WEIGHTS
from core.pixels import bicubic_resize

BLOCK = 96  # pixels; the authors' figure
SMALLEST = 2 * BLOCK  # so that there are blocks to compare with each other
SHAPES = np.arange(0.2, 10.001, 0.001)  # of distributions; the one that fits is taken
NEIGHBOURS = (0, 1), (1, 0), (1, 1), (1, -1)  # rows down, columns to the right


def niqe(y):
    """How far a picture is from photographs in the statistics of its pixels.

    Args:
        y: float array [H, W], the luma, rounded, at least 192 pixels on a side. What
            remains beyond multiples of 96 is left out.

    Returns:
        float: about 3 for a good photograph, more for blurred, noisy or odd ones.

    Raises:
        ValueError: if the parameters are not available.
    """
    mean, covariance = load_parameters()
    rows, columns = (side // BLOCK for side in y.shape)
    y = y[: rows * BLOCK, : columns * BLOCK]
    features = []
    for side in (BLOCK, BLOCK // 2):
        blocks = _normalised(y).reshape(rows, side, columns, side).swapaxes(1, 2)
        features.append([_features(b) for b in blocks.reshape(-1, side, side)])
        y = bicubic_resize(y[..., None], y.shape[0] // 2, y.shape[1] // 2)[..., 0]
    features = np.concatenate(features, axis=1)
    # Blocks of one colour have none.
    features = features[np.isfinite(features).all(axis=1)]
    if len(features) < 2:
        return math.nan
    difference = mean - features.mean(axis=0)
    both = (covariance + np.cov(features, rowvar=False)) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(both) @ difference))  # equation 10


def _normalised(y):
    """What is left without the local mean and contrast (equations 1 to 3)."""
    mean = _blur(y)
    deviation = np.sqrt(np.abs(_blur(y * y) - mean * mean))
    difference = y - mean
    # In flat areas this is zero but for rounding, whose sign would count below.
    difference[np.abs(difference) < 1e-9] = 0
    return difference / (deviation + 1)


def _blur(image):
    """A Gaussian window of 7x7 pixels; the edge pixels are repeated."""
    window = np.exp(-0.5 * (np.arange(-3, 4) * 6 / 7) ** 2)
    window /= window.sum()
    for axis in (0, 1):
        widths = [(3, 3) if axis == other else (0, 0) for other in (0, 1)]
        padded = np.pad(image, widths, mode="edge")
        image = np.lib.stride_tricks.sliding_window_view(padded, 7, axis) @ window
    return image


def _features(block):
    """The 18 figures of a block (section 3.2): of its pixels, and of their products with
    neighbours in four directions."""
    shape, left, right = _fit(block)
    features = [shape, (left + right) / 2]
    for step in NEIGHBOURS:
        shape, left, right = _fit(block * np.roll(block, step, axis=(0, 1)))
        mean = (right - left) * _gamma(2 / shape) / _gamma(1 / shape)
        features += [shape, mean, left, right]
    return features


def _fit(x):
    """Fits an asymmetric generalised Gaussian: its shape, and its width to either side
    (equations 4 to 8, by moments). NaN for values of one sign alone."""
    if not ((x < 0).any() and (x > 0).any()):
        return math.nan, math.nan, math.nan
    left, right = (np.sqrt(np.mean(x[side] ** 2)) for side in (x < 0, x > 0))
    ratio = left / right
    peak = np.mean(np.abs(x)) ** 2 / np.mean(x**2)
    peak *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = SHAPES[np.argmin(np.abs(_peaks() - peak))]
    width = np.sqrt(_gamma(1 / shape) / _gamma(3 / shape))
    return shape, left * width, right * width


@functools.cache
def _peaks():
    """For each of `SHAPES`, the square of the mean absolute value over the variance."""
    one, two, three = (_gamma(n / SHAPES) for n in (1, 2, 3))
    return two**2 / (one * three)


_gamma = np.vectorize(math.gamma, otypes=[float])


def has_parameters():
    """Whether `load_parameters` has a file to read."""
    return _packaged() is not None


@functools.cache
def load_parameters():
    """Loads the mean [36] and covariance [36, 36] of the features of sharp photographs.

    They are the authors', from the PyPI package mmagic, of which nothing is imported.

    Raises:
        ValueError: if it is not installed.
    """
    path = _packaged()
    if path is None:
        raise ValueError(
            f"NIQE's parameters are not at hand: get them with `{GET_WEIGHTS}`."
        )
    with np.load(path) as arrays:  # without pickles
        return arrays["mu_pris_param"][0], arrays["cov_pris_param"]


def _packaged():
    return packaged_file("mmagic", "evaluation/metrics/niqe_pris_params.npz")

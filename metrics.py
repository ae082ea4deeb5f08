"""PSNR and SSIM as the super-resolution papers measure them, and the table of results.

The protocol of the literature: pixels rounded to 8 bits, the Y channel of MATLAB's
`rgb2ycbcr`, as many pixels shaved off each side as the scale.
"""

import time

import keras
import numpy as np

import hardware
from core import pixels
from core.networks import count_parameters
from core.tiles import enlarge

__all__ = ["psnr", "ssim", "detail", "PSNR", "SSIM", "evaluate", "print_table"]

COLUMNS = {
    "psnr_y": "PSNR Y",
    "ssim_y": "SSIM Y",
    "psnr_rgb": "PSNR RGB",
    "ssim_rgb": "SSIM RGB",
    "detail": "detail Y",
    "images_per_s": "images/s",
    "megapixels_per_s": "megapixels/s",
    "parameters": "parameters",
}


# --- One picture, in NumPy and double precision ----------------------------------------


def psnr(hr, sr, shave=0, luma=False):
    """Peak signal-to-noise ratio of a picture, in dB.

    Args:
        hr, sr: arrays [H, W, 3] or [H, W, 1], 0 to 255, taken as they are: round to
            uint8 first to agree with the papers.
        shave: pixels left out on each side.
        luma: compares Y, 16 to 235. A single channel is taken to be Y already.

    Returns:
        float; infinite for equal pictures.

    Raises:
        ValueError: if the shapes differ or nothing is left after shaving.
    """
    hr, sr = _prepare(hr, sr, shave, luma)
    error = np.mean((hr - sr) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(hr, sr, shave=0, luma=False):
    """Structural similarity of a picture (Wang et al. 2004).

    11x11 Gaussian window of standard deviation 1.5, K = (0.01, 0.03), only where the
    window lies inside the picture. For RGB the mean over the channels.

    Args:
        hr, sr, shave, luma: as for `psnr`.

    Returns:
        float, at most 1.

    Raises:
        ValueError: if the shapes differ or less than 11x11 pixels are left.
    """
    hr, sr = _prepare(hr, sr, shave, luma)
    if min(hr.shape[:2]) < 11:
        raise ValueError(f"SSIM needs 11x11 pixels, {hr.shape[1]}x{hr.shape[0]} left.")
    mean_hr, mean_sr = _blur(hr), _blur(sr)
    variance_hr = _blur(hr * hr) - mean_hr**2
    variance_sr = _blur(sr * sr) - mean_sr**2
    covariance = _blur(hr * sr) - mean_hr * mean_sr
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    brightness = (2 * mean_hr * mean_sr + c1) / (mean_hr**2 + mean_sr**2 + c1)
    structure = (2 * covariance + c2) / (variance_hr + variance_sr + c2)
    return float(np.mean(brightness * structure))


def detail(hr, sr, scale):
    """How much fine detail a picture has, relative to the original.

    The power of the spectrum beyond the Nyquist frequency of LR, relative to that of HR:
    detail that LR cannot hold and the network has to invent. A network trained for PSNR
    leaves much of it out, which is why its pictures look smooth; the spectrum shows it
    (Fuoli et al. 2021, "Fourier Space Losses"). It does not say whether the detail is
    right: noise has a lot.

    Args:
        hr, sr: arrays [H, W, 3] or [H, W, 1], 0 to 255.
        scale: factor between LR and HR.

    Returns:
        float, 0 or more; 1 where both have as much.

    Raises:
        ValueError: if the pictures differ in shape.
    """
    power = []
    for image in _prepare(hr, sr, 0, luma=True):
        window = np.outer(*(np.hanning(side) for side in image.shape[:2]))
        spectrum = np.fft.fft2((image[..., 0] - image.mean()) * window)
        down, right = (np.abs(np.fft.fftfreq(side)) for side in spectrum.shape)
        beyond = np.maximum(down[:, None], right) > 0.5 / scale
        power.append(np.square(np.abs(spectrum[beyond])).sum())
    return float((power[1] + 1e-9) / (power[0] + 1e-9))


def _prepare(hr, sr, shave, luma):
    hr, sr = np.asarray(hr, np.float64), np.asarray(sr, np.float64)
    if hr.shape != sr.shape:
        raise ValueError(f"The pictures differ in shape: {hr.shape} and {sr.shape}.")
    if min(hr.shape[:2]) <= 2 * shave:
        raise ValueError(
            f"Nothing is left of {hr.shape[1]}x{hr.shape[0]} pixels after shaving {shave}."
        )
    return [_shave_and_luma(image[None], shave, luma)[0] for image in (hr, sr)]


def _shave_and_luma(images, shave, luma):
    end = -shave or None  # the sides may be unknown yet
    images = images[:, shave:end, shave:end]
    return pixels.luma(images) if luma and images.shape[-1] == 3 else images


def _blur(image):
    """The Gaussian window of SSIM, at valid positions only."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()
    for axis in (0, 1):
        slices = np.lib.stride_tricks.sliding_window_view(image, 11, axis)
        image = slices @ window
    return image


# --- Keras metrics, for compile() ------------------------------------------------------


class _PerImage(keras.metrics.MeanMetricWrapper):
    """Mean of a score per image, on pixels clipped and rounded as in a saved file."""

    def __init__(self, score, shave, luma, name, dtype):
        def scores(y_true, y_pred):
            rounded = keras.ops.cast(y_pred, "float32")
            rounded = keras.ops.floor(keras.ops.clip(rounded, 0, 255) + 0.5)
            y_true = keras.ops.cast(y_true, "float32")
            return score(
                _shave_and_luma(y_true, shave, luma),
                _shave_and_luma(rounded, shave, luma),
            )

        super().__init__(scores, name=name, dtype=dtype)
        self.shave, self.luma = shave, luma

    def get_config(self):
        return {
            "shave": self.shave,
            "luma": self.luma,
            "name": self.name,
            "dtype": self.dtype,
        }


class PSNR(_PerImage):
    """`psnr` as a Keras metric: the mean over all images seen.

    (`keras.ops.psnr` pools the error of a batch, which gives a different number.) An
    image without any error counts as 148 dB, so that the mean stays finite.

    Args:
        shave: pixels left out on each side.
        luma: compares Y; a single channel is taken to be Y already.
    """

    def __init__(self, shave=0, luma=False, name="psnr", dtype=None):
        def score(hr, sr):
            error = keras.ops.mean(keras.ops.square(hr - sr), axis=(1, 2, 3))
            ratio = 255.0**2 / keras.ops.maximum(error, 1e-10)
            return 10 * keras.ops.log10(ratio)

        super().__init__(score, shave, luma, name, dtype)


class SSIM(_PerImage):
    """`ssim` as a Keras metric: the mean over all images seen.

    Args:
        shave: pixels left out on each side.
        luma: compares Y; a single channel is taken to be Y already.
    """

    def __init__(self, shave=0, luma=False, name="ssim", dtype=None):
        def score(hr, sr):
            return keras.ops.image.ssim(hr, sr, max_val=255.0)

        super().__init__(score, shave, luma, name, dtype)


# --- Whole datasets --------------------------------------------------------------------


def evaluate(model, pairs, self_ensemble=False, name="Evaluating", verbose=1):
    """Scores a network on whole pictures by the protocol of the literature.

    Args:
        model: a network, or None for MATLAB's bicubic.
        pairs: dataset from `data.load`, or any sequence of uint8 (LR, HR) pictures.
        self_ensemble: as in `upscale.upscale`.
        name: title of the progress bar.
        verbose: 0 prints nothing, 1 a progress bar.

    Returns:
        dict of means over the pictures: `psnr_y`, `ssim_y`, `psnr_rgb`, `ssim_rgb` (the
        scale shaved off each side), `detail`; median speeds: `images_per_s`,
        `megapixels_per_s` (of the result); and the number of trained `parameters`.

    Raises:
        ValueError: as `psnr` and `ssim`, or as `upscale.upscale`.
    """
    pictures = evaluate_each(model, pairs, self_ensemble, name, verbose)
    return mean_scores(model, [row for *_, row in pictures])


def evaluate_each(model, pairs, self_ensemble=False, name="Evaluating", verbose=1):
    """Enlarges and scores the pictures one by one, each once.

    Args:
        model, pairs, self_ensemble, name, verbose: as for `evaluate`.

    Yields:
        (LR, HR, SR, dict of scores as in `evaluate`), uint8 arrays. Speeds are NaN where
        the time went into compiling for a new size.
    """
    each_size = hardware.compiles_for_each_size()
    compiled = set()
    if verbose:
        print(name)
        progress = keras.utils.Progbar(len(pairs), unit_name="picture")
    for lr, hr in pairs:
        lr, hr = np.asarray(lr), np.asarray(hr)
        scale = pixels.scale_between(lr, hr)
        if not compiled:  # so that one picture is enough to measure a speed
            # TensorFlow on a CPU compiles for any size once it has seen two.
            for blank in [lr] if each_size else [lr[:16, :16], lr[:15, :15]]:
                enlarge(model, np.zeros_like(blank), scale, self_ensemble)
            compiled.add(lr.shape)
        start = time.perf_counter()
        sr = enlarge(model, lr, scale, self_ensemble)
        seconds = time.perf_counter() - start
        if each_size and lr.shape not in compiled:
            seconds = np.nan
            compiled.add(lr.shape)
        yield lr, hr, sr, {
            "psnr_y": psnr(hr, sr, scale, luma=True),
            "ssim_y": ssim(hr, sr, scale, luma=True),
            "psnr_rgb": psnr(hr, sr, scale),
            "ssim_rgb": ssim(hr, sr, scale),
            "detail": detail(hr, sr, scale),
            "images_per_s": 1 / seconds,
            "megapixels_per_s": hr.shape[0] * hr.shape[1] / 1e6 / seconds,
        }
        if verbose:
            progress.add(1)


def mean_scores(model, rows):
    """What `evaluate` returns, from the scores of each picture, a list of dicts."""
    scores = {}
    for key in rows[0]:
        mean = np.nanmedian if key.endswith("_s") else np.mean
        scores[key] = float(mean([row[key] for row in rows]))
    return {**scores, "parameters": count_parameters(model)}


def print_table(scores):
    """Prints a table of results.

    Args:
        scores: dict from the name of each row to what `evaluate` returned.
    """
    print("Pixels rounded to 8 bits, borders shaved by the scale; Y is MATLAB's luma.")
    width = max(len(name) for name in scores)
    print(" " * width, *(f"{title:>12}" for title in COLUMNS.values()))
    for name, row in scores.items():
        digits = {"ssim_y": 4, "ssim_rgb": 4, "parameters": 0}
        cells = (f"{row[key]:12,.{digits.get(key, 2)}f}" for key in COLUMNS)
        print(f"{name:<{width}}", *cells)

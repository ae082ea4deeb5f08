"""PSNR and SSIM as the super-resolution papers measure them, and the table of results.

The protocol of the literature: pixels rounded to 8 bits, the Y channel of MATLAB's
`rgb2ycbcr`, as many pixels shaved off each side as the scale.
"""

import time

import keras
import numpy as np

import data
import upscale

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
    """How much fine detail a picture has, as a part of the original's.

    The power of the spectrum beyond the Nyquist frequency of LR, in relation to that of
    HR: detail that LR cannot hold, and the network has to invent. A network trained for
    PSNR leaves much of it out, which is what makes its pictures look smooth; the spectrum
    shows it (Fuoli et al. 2021, "Fourier Space Losses"). Whether the detail is right it
    does not tell: noise has much.

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
    return data.luma(images) if luma and images.shape[-1] == 3 else images


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
            pixels = keras.ops.cast(y_pred, "float32")
            pixels = keras.ops.floor(keras.ops.clip(pixels, 0, 255) + 0.5)
            y_true = keras.ops.cast(y_true, "float32")
            return score(
                _shave_and_luma(y_true, shave, luma),
                _shave_and_luma(pixels, shave, luma),
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

    (`keras.ops.psnr` pools the error of a batch, which gives another number.) An image
    without any error counts 148 dB, so that one does not make the mean infinite.

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


def enlarge(model, lr, scale, self_ensemble=False):
    """Enlarges a picture with a network, or with MATLAB's bicubic if `model` is None.

    Args:
        model, self_ensemble: as for `evaluate`.
        lr: uint8 array [h, w, 3].
        scale: that of the network.

    Returns:
        uint8 array [h*scale, w*scale, 3].
    """
    if model is None:
        return data.bicubic_resize(lr, lr.shape[0] * scale, lr.shape[1] * scale)
    return upscale.upscale(model, lr, self_ensemble)


def evaluate(model, pairs, self_ensemble=False, name="Evaluating"):
    """Scores a network on whole pictures by the protocol of the literature.

    Args:
        model: a network, or None for MATLAB's bicubic.
        pairs: dataset from `data.load`, or any sequence of uint8 (LR, HR) pictures.
        self_ensemble: as in `upscale.upscale`.
        name: what stands before the progress bar.

    Returns:
        dict of means over the pictures: `psnr_y`, `ssim_y`, `psnr_rgb`, `ssim_rgb` (the
        scale shaved off each side), `detail`; median speeds, where the size was not a
        new one: `images_per_s`, `megapixels_per_s` (of the result); and the number of
        trained `parameters`.

    Raises:
        ValueError: as `psnr` and `ssim`, or as `upscale.upscale`.
    """
    rows, compiled = [], set()
    progress = keras.utils.Progbar(len(pairs), unit_name="picture")
    print(name)
    for lr, hr in pairs:
        lr, hr = np.asarray(lr), np.asarray(hr)
        scale = hr.shape[0] // lr.shape[0]
        if not rows:
            enlarge(model, lr, scale, self_ensemble)
            compiled.add(lr.shape)
        start = time.perf_counter()
        sr = enlarge(model, lr, scale, self_ensemble)
        seconds = time.perf_counter() - start
        if lr.shape not in compiled:  # for each size once, on GPUs and by JAX
            seconds = np.nan
            compiled.add(lr.shape)
        row = {
            "psnr_y": psnr(hr, sr, scale, luma=True),
            "ssim_y": ssim(hr, sr, scale, luma=True),
            "psnr_rgb": psnr(hr, sr, scale),
            "ssim_rgb": ssim(hr, sr, scale),
            "detail": detail(hr, sr, scale),
            "images_per_s": 1 / seconds,
            "megapixels_per_s": hr.shape[0] * hr.shape[1] / 1e6 / seconds,
        }
        rows.append(row)
        progress.add(1)
    scores = {
        key: float(
            (np.nanmedian if key.endswith("_s") else np.mean)([r[key] for r in rows])
        )
        for key in rows[0]
    }
    weights = model.trainable_weights if model else []
    return {**scores, "parameters": sum(int(np.prod(w.shape)) for w in weights)}


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

"""Scores networks on LR pictures that were made in different ways.

    python -m benchmarks.kinds Set5/image_SRF_4 weights/edsr_x4.keras \\
        weights/edsr_realistic_x4.keras

Prints a table of the Y-PSNR on the folder, with bicubic in the first column, and one of
LPIPS where its weights are installed. `--kinds "blur, noise and JPEG 75" web` measures only
these.
"""

import argparse
import sys

import numpy as np
from PIL import Image, ImageFilter

import data
import metrics
from core.degradations import as_jpeg, degrade, without_antialiasing
from core.networks import load_network, scale_and_channels
from core.pixels import to_uint8

QUALITIES = (98, 95, 90, 85, 75, 50)


def blurred(hr, scale, radius):
    picture = Image.fromarray(hr).filter(ImageFilter.GaussianBlur(radius))
    return degrade(np.asarray(picture), scale)


def noisy(lr, levels):
    rng = np.random.default_rng(0)
    return to_uint8(lr + rng.normal(0, levels, lr.shape))


def kinds_of_lr(lr, hr, scale, name):
    """Yields (title, LR) for a pair of pictures, uint8 [h, w, 3] and [H, W, 3].

    Args:
        lr, hr: a pair, LR by MATLAB's bicubic.
        scale: int.
        name: seeds the random degradations.
    """
    yield "bicubic, as in the papers", lr
    for quality in QUALITIES:
        yield f"bicubic, JPEG {quality}", as_jpeg(lr, quality)
    yield "bicubic, noise of 5 grey levels", noisy(lr, 5)
    yield "area", degrade(hr, scale, "area")
    for title in ("bicubic", "bilinear", "nearest"):
        kind = Image.Resampling[title.upper()]
        made = without_antialiasing(Image.fromarray(hr), lr.shape[1::-1], kind)
        yield f"{title}, no antialiasing", np.asarray(made)
    yield "blur of 2 pixels, bicubic", blurred(hr, scale, 2)
    faults = as_jpeg(noisy(blurred(hr, scale, 1.5), 5), 75)
    yield "blur, noise and JPEG 75", faults
    for title in ("realistic", "web"):
        yield title, degrade(hr, scale, title, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", help="folder to score on")
    parser.add_argument("networks", nargs="+", help=".keras files of one scale")
    parser.add_argument("--kinds", nargs="+", help="rows of the table; default: all")
    options = parser.parse_args()
    try:
        models = {path: load_network(path) for path in options.networks}
        scale, _ = scale_and_channels(models[options.networks[0]])
        pairs = data.load(options.pictures, "all", scale)
    except ValueError as error:
        sys.exit(f"kinds.py: {error}")
    columns = {}  # title -> list of pairs
    for number, (lr, hr) in enumerate(pairs.as_numpy_iterator()):
        for title, made in kinds_of_lr(lr, hr, scale, str(number)):
            columns.setdefault(title, []).append((made, hr))
    if unknown := set(options.kinds or ()) - set(columns):
        sys.exit(f"kinds.py: --kinds {unknown.pop()!r} is not one of {[*columns]}.")
    columns = {title: columns[title] for title in options.kinds or columns}
    scores = {}
    for title, made in columns.items():
        print(title, file=sys.stderr)
        scores[title] = [
            metrics.evaluate(model, made, verbose=0)
            for model in (None, *models.values())
        ]
    print("Columns:", ", ".join(["bicubic", *models]))
    for key, digits in {"psnr_y": 2, "lpips": 3}.items():
        bicubic = [row[0][key] for row in scores.values()]
        if np.isnan(bicubic).any():  # the weights of LPIPS are missing
            continue
        print(f"\n{metrics.COLUMNS[key]}")
        for title, row in scores.items():
            cells = (f"{each[key]:8.{digits}f}" for each in row)
            print(f"{title:32}", *cells)


if __name__ == "__main__":
    main()

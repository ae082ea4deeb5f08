"""What networks make of pictures that were saved as JPEG before they are enlarged.

    python benchmarks/jpeg.py Set5/image_SRF_4 weights/edsr_x4.keras \\
        weights/edsr_realistic_x4.keras

Prints the Y-PSNR on the folder, whose LR pictures are saved by Pillow in falling quality;
bicubic is in the first row.
"""

import argparse
import io
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import numpy as np
from PIL import Image

import data
import metrics
import upscale

QUALITIES = (98, 95, 90, 85, 75, 50)


def as_jpeg(lr, quality):
    file = io.BytesIO()
    Image.fromarray(lr).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def score(model, pairs, quality, scale):
    """Mean Y-PSNR, with the LR pictures as JPEG of this quality, or as they are."""
    values = []
    for lr, hr in pairs:
        lr = as_jpeg(lr, quality) if quality else lr
        sr = metrics.enlarge(model, lr, scale)
        values.append(metrics.psnr(hr, sr, scale, luma=True))
    return np.mean(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", help="folder to score on")
    parser.add_argument("networks", nargs="+", help=".keras files of one scale")
    options = parser.parse_args()
    try:
        models = {path: upscale.load_network(path) for path in options.networks}
        scale, _ = upscale.scale_and_channels(models[options.networks[0]])
        pairs = list(data.load(options.pictures, "all", scale).as_numpy_iterator())
    except ValueError as error:
        sys.exit(f"jpeg.py: {error}")
    columns = ["as it is", *(f"JPEG {quality}" for quality in QUALITIES)]
    print(f"{'Y-PSNR':34}", *(f"{column:>9}" for column in columns))
    for name, model in {"bicubic": None, **models}.items():
        print(f"{name:34}", end="", flush=True)
        for quality in (None, *QUALITIES):
            print(f"{score(model, pairs, quality, scale):10.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()

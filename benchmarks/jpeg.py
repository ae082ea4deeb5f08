"""Scores networks when LR is saved as JPEG before it is enlarged.

    python -m benchmarks.jpeg Set5/image_SRF_4 weights/edsr_x4.keras \\
        weights/edsr_realistic_x4.keras

Prints the Y-PSNR on the folder for several JPEG qualities, with bicubic in the first row.
"""

import argparse
import sys

import data
import metrics
from core.networks import load_network, scale_and_channels
from core.degradations import as_jpeg

QUALITIES = (98, 95, 90, 85, 75, 50)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", help="folder to score on")
    parser.add_argument("networks", nargs="+", help=".keras files of one scale")
    options = parser.parse_args()
    try:
        models = {path: load_network(path) for path in options.networks}
        scale, _ = scale_and_channels(models[options.networks[0]])
        pairs = list(data.load(options.pictures, "all", scale).as_numpy_iterator())
    except ValueError as error:
        sys.exit(f"jpeg.py: {error}")
    columns = {"unchanged": pairs}
    for quality in QUALITIES:
        saved = [(as_jpeg(lr, quality), hr) for lr, hr in pairs]
        columns[f"JPEG {quality}"] = saved
    print(f"{'Y-PSNR':34}", *(f"{column:>9}" for column in columns))
    for name, model in {"bicubic": None, **models}.items():
        print(f"{name:34}", end="", flush=True)
        for saved in columns.values():
            scores = metrics.evaluate(model, saved, verbose=0)
            print(f"{scores['psnr_y']:10.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()

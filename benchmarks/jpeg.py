"""What networks make of pictures that were saved as JPEG before they are enlarged.

    python benchmarks/jpeg.py Set5/image_SRF_4 weights/edsr_x4.keras \\
        weights/edsr_realistic_x4.keras

Prints the Y-PSNR on the folder, whose LR pictures are saved by Pillow in falling quality;
bicubic is in the first row.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import data
import pixels
import shared
import upscale

QUALITIES = (98, 95, 90, 85, 75, 50)


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
    columns = {"as it is": pairs}
    for quality in QUALITIES:
        saved = [(pixels.as_jpeg(lr, quality), hr) for lr, hr in pairs]
        columns[f"JPEG {quality}"] = saved
    print(f"{'Y-PSNR':34}", *(f"{column:>9}" for column in columns))
    for name, model in {"bicubic": None, **models}.items():
        print(f"{name:34}", end="", flush=True)
        for saved in columns.values():
            print(f"{shared.mean_psnr(model, saved):10.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()

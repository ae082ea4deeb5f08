"""What the mean of two networks is worth: one, and what a training from there made of it.

    python benchmarks/blend.py weights/edsr_x4.keras \\
        results/weights/edsr_photographs_x4/edsr_x4_bsds500/model.keras \\
        --validation bsds500 --test Set5/image_SRF_4 BSDS500/images/val

Prints the Y-PSNR for each share of the second network in the weights. The validation
pictures say which share to take, since those of the test must not decide anything. For
edsr_realistic_x4 name results/weights/edsr_realistic_x4/edsr_x4_leaves/model.keras, and
`--degradation realistic`, by which the validation's LR pictures are made then.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
PROJECT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "weights")]

import data
import shared
import upscale
from train import blend

SHARES = (0, 0.5, 0.6, 0.7, 0.8, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("start", help=".keras file")
    parser.add_argument("trained", help=".keras file of the same network")
    parser.add_argument("--validation", required=True, help="dataset, as DATASET")
    parser.add_argument(
        "--degradation", default="bicubic", help="of the validation's LR"
    )
    parser.add_argument("--test", nargs="+", default=[], help="folders")
    options = parser.parse_args()
    try:
        start, trained, mean = map(
            upscale.load_network, (options.start, options.trained, options.start)
        )
        scale, _ = upscale.scale_and_channels(start)
        validation = data.load(
            options.validation, "validation", scale, options.degradation
        )
        tests = {folder: data.load(folder, "all", scale) for folder in options.test}
    except ValueError as error:
        sys.exit(f"blend.py: {error}")
    print("Y-PSNR on", ", ".join([f"{options.validation} validation", *tests]))
    for share in SHARES:
        mean.set_weights(blend(start, trained, share))
        print(f"{share:5.1f}", end="", flush=True)
        for pairs in (validation, *tests.values()):
            psnr = shared.mean_psnr(mean, pairs.as_numpy_iterator())
            print(f"{psnr:8.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()

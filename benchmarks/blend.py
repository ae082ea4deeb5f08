"""Scores the mean of two networks' weights, for several shares of the second.

    python -m benchmarks.blend weights/edsr_x4.keras \\
        results/edsr_x4_bsds500/model.keras \\
        --validation bsds500 --test Set5/image_SRF_4 BSDS500/images/val

The second network was trained from the first. Choose the share by the validation
pictures, since test pictures must not decide anything.
"""

import argparse
import sys

import data
import metrics
from core.networks import interpolate_weights, load_network, scale_and_channels

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
        start, trained = map(load_network, (options.start, options.trained))
        scale, _ = scale_and_channels(start)
        validation = data.load(
            options.validation, "validation", scale, options.degradation
        )
        tests = {folder: data.load(folder, "all", scale) for folder in options.test}
    except ValueError as error:
        sys.exit(f"blend.py: {error}")
    print("Y-PSNR on", ", ".join([f"{options.validation} validation", *tests]))
    for share in SHARES:
        mean = interpolate_weights(start, trained, share)
        print(f"{share:5.1f}", end="", flush=True)
        for pairs in (validation, *tests.values()):
            scores = metrics.evaluate(mean, pairs, verbose=0)
            print(f"{scores['psnr_y']:8.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()

"""What bfloat16 changes in enlarged pictures: their scores, and single pixels.

    python -m benchmarks.precision Set5/image_SRF_4

Columns: PSNR of Y in float32 and in bfloat16, which is to be at most 0.01 dB lower; the
smallest share of values in a picture that differ by at most one grey level, at least
0.999; the largest difference.
"""

import argparse
import pathlib

import numpy as np

import data
import metrics
from core.networks import load_network
from core.tiles import upscale

WEIGHTS = pathlib.Path(__file__).parent.parent / "weights"
NETWORKS = "edsr_x4", "srgan_x4", "espcn_x4"
POLICIES = "float32", "mixed_bfloat16"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="pictures for x4, such as Set5/image_SRF_4")
    pairs = data.load(parser.parse_args().folder, "all", 4)
    for name in NETWORKS:
        model = load_network(WEIGHTS / f"{name}.keras")
        scores, shares, largest = [], [], 0
        for lr, hr in pairs.as_numpy_iterator():
            exact, fast = (upscale(model, lr, precision=policy) for policy in POLICIES)
            scores.append([metrics.psnr(hr, sr, 4, luma=True) for sr in (exact, fast)])
            difference = np.abs(exact.astype(int) - fast)
            shares.append((difference <= 1).mean())
            largest = max(largest, difference.max())
        float32, bfloat16 = np.mean(scores, axis=0)
        print(f"{name:<12}{float32:9.4f}{bfloat16:9.4f}{min(shares):9.5f}{largest:3}")


if __name__ == "__main__":
    main()

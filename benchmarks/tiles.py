"""What tiles cost: a picture through a network in one piece, and in tiles.

    python benchmarks/tiles.py

The network is an untrained EDSR baseline x4, which does not change its speed. Both ways
take turns; the medians and their ratio are printed.
"""

import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import numpy as np

import edsr
import upscale

ROUNDS = 3
SIDE = 1384  # pixels of the square picture
TILE = 512


def main():
    model = edsr.build_edsr()
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    seconds = {SIDE: [], TILE: []}
    for _ in range(ROUNDS + 1):  # the first round compiles
        for tile, times in seconds.items():
            start = time.perf_counter()
            upscale.upscale(model, picture, tile=tile)
            times.append(time.perf_counter() - start)
    whole, tiles = (np.median(times[1:]) for times in seconds.values())
    radius = upscale.receptive_radius(model)
    print(f"radius {radius}: whole {whole:.1f} s, tiles of {TILE} {tiles:.1f} s,")
    print(
        f"{whole / tiles:.2f} of the speed; in a very large picture it would be "
        f"{(1 - 2 * radius / TILE) ** 2:.2f}"
    )


if __name__ == "__main__":
    main()

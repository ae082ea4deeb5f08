"""What tiles cost: a picture through a network in one piece, and in tiles.

    python benchmarks/tiles.py [MODEL.keras] [SIDE]

Without a model, an untrained EDSR baseline x4; SIDE is that of the square picture, 1384
pixels by default. Both ways take turns; the medians and their ratio are printed.
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
TILE = 512


def main():
    arguments = sys.argv[1:]
    model = upscale.load_network(arguments[0]) if arguments else edsr.build_edsr()
    side = int(arguments[1]) if len(arguments) > 1 else 1384
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    seconds = {side: [], TILE: []}
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

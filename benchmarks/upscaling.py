"""Megapixels per second and peak memory of each network, in tiles and in one piece.

    pip install torch        # optional
    python -m benchmarks.upscaling                      # pictures of 0.1 and 1 megapixels
    python -m benchmarks.upscaling --megapixels 24      # takes over an hour

The networks have their scripts' default sizes and enlarge four times. They are untrained,
which does not change their speed. Megapixels are those of the small picture. Each figure
comes from its own process, which has its own peak memory, and from the second of two
pictures of one size, since the first call compiles. PyTorch runs EDSR in float32, as
Keras does here, channels-last and in one piece. Pictures of more than one megapixel are
only enlarged in tiles: in one piece they take 13 GB per megapixel.
"""

import argparse
import subprocess
import sys
import time

import numpy as np

from benchmarks import memory

TILE = 512


def build(name):
    """A function that enlarges a uint8 picture [h, w, 3], in tiles of a given size."""
    if name == "PyTorch EDSR":
        return build_torch()
    import edsr
    import espcn
    import mdsr
    import rcan
    import srgan
    from core.tiles import upscale

    networks = {
        "ESPCN": lambda: espcn.build_espcn(4),
        "EDSR": lambda: edsr.build_edsr(4),
        "MDSR": lambda: mdsr.single_scale(mdsr.build_mdsr(), 4),
        "RCAN": lambda: rcan.build_rcan(4, rcan.GROUPS, rcan.BLOCKS),
        "SRResNet": lambda: srgan.build_srresnet(4),
    }
    model = networks[name]()
    return lambda image, tile: upscale(model, image, tile=tile)


def build_torch():
    import torch

    from benchmarks import torch_edsr

    model = torch_edsr.EDSR().to(memory_format=torch.channels_last)

    def enlarge(image, tile):
        with torch.inference_mode():
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
            x = x.to(memory_format=torch.channels_last)
            return model(x)[0].clamp(0, 255).round().byte().permute(1, 2, 0).numpy()

    return enlarge


def measure(name, megapixels, tile):
    """Seconds for a picture, and peak memory in gigabytes."""
    side = round((1e6 * megapixels) ** 0.5)
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    enlarge = build(name)
    for _ in range(2):
        start = time.perf_counter()
        enlarge(image, tile or side)
        seconds = time.perf_counter() - start
    return seconds, memory.peak() / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.1, 1])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, megapixels, tile = options.one
        print(*measure(name, float(megapixels), int(tile)))
        return
    import hardware

    print(f"{hardware.describe()}, float32, tiles of {TILE} pixels")
    print(f"{'megapixels/s and peak memory':<32}{'in tiles':>20}{'in one piece':>20}")
    for name in ("ESPCN", "EDSR", "MDSR", "RCAN", "SRResNet", "PyTorch EDSR"):
        for megapixels in options.megapixels:
            cells = []
            for tile in (TILE, 0):
                torch_in_tiles = name.startswith("PyTorch") and tile
                if torch_in_tiles or (not tile and megapixels > 1):
                    cells.append("")
                    continue
                module = [sys.executable, "-m", "benchmarks.upscaling"]
                task = ["--one", name, str(megapixels), str(tile)]
                done = subprocess.run([*module, *task], capture_output=True, text=True)
                if done.returncode:
                    absent = "No module named" in done.stderr
                    cells.append("not installed" if absent else "failed")
                    continue
                seconds, gigabytes = map(float, done.stdout.split()[-2:])
                cells.append(f"{megapixels / seconds:.3f}  {gigabytes:.1f} GB")
            print(f"{name:<16}{megapixels:>10g} in    {cells[0]:>20}{cells[1]:>20}")


if __name__ == "__main__":
    main()

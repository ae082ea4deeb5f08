"""Megapixels per second and peak memory of each network, in tiles and in one piece.

    pip install torch        # optional
    python benchmarks/upscaling.py                      # pictures of 0.1 and 1 megapixels
    python benchmarks/upscaling.py --megapixels 24      # takes an hour and more

The networks have their scripts' default sizes and enlarge four times; they are untrained,
which does not change their speed. Megapixels are those of the small picture. Every figure
comes from a process of its own, so that its peak of memory is its own, and from the second
of two pictures of one size, since the first call compiles. PyTorch has EDSR in float32, as
the others are here, channels-last and in one piece. More than one megapixel is enlarged in
tiles alone: in one piece it takes 13 GB a megapixel.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import memory
import numpy as np

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
    import upscale

    networks = {
        "ESPCN": lambda: espcn.build_espcn(4),
        "EDSR": lambda: edsr.build_edsr(4),
        "MDSR": lambda: mdsr.single_scale(mdsr.build_mdsr(), 4),
        "RCAN": lambda: rcan.build_rcan(4, rcan.GROUPS, rcan.BLOCKS),
        "SRResNet": lambda: srgan.build_srresnet(4),
    }
    model = networks[name]()
    return lambda image, tile: upscale.upscale(model, image, tile=tile)


def build_torch():
    import torch
    import torch_edsr

    model = torch_edsr.EDSR().to(memory_format=torch.channels_last)

    def enlarge(image, tile):
        with torch.inference_mode():
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
            x = x.to(memory_format=torch.channels_last)
            return model(x)[0].clamp(0, 255).round().byte().permute(1, 2, 0).numpy()

    return enlarge


def measure(name, megapixels, tile):
    """Seconds for a picture, and the peak of memory in gigabytes."""
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

    print(f"{hardware.name()}, float32, tiles of {TILE} pixels")
    print(f"{'megapixels/s and peak memory':<32}{'in tiles':>20}{'in one piece':>20}")
    for name in ("ESPCN", "EDSR", "MDSR", "RCAN", "SRResNet", "PyTorch EDSR"):
        for megapixels in options.megapixels:
            cells = []
            for tile in (TILE, 0):
                torch_in_tiles = name.startswith("PyTorch") and tile
                if torch_in_tiles or (not tile and megapixels > 1):
                    cells.append("")
                    continue
                command = [sys.executable, __file__, "--one", name]
                command += [str(megapixels), str(tile)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    absent = "No module named" in done.stderr
                    cells.append("not installed" if absent else "failed")
                    continue
                seconds, memory = map(float, done.stdout.split()[-2:])
                cells.append(f"{megapixels / seconds:.3f}  {memory:.1f} GB")
            print(f"{name:<16}{megapixels:>10g} in    {cells[0]:>20}{cells[1]:>20}")


if __name__ == "__main__":
    main()

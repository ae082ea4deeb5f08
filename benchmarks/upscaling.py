"""Megapixels per second and peak memory of each network, in tiles and in one piece.

    pip install torch        # optional
    python -m benchmarks.upscaling                      # pictures of 0.1 and 1 megapixels
    python -m benchmarks.upscaling --megapixels 24      # takes an hour

The networks have their scripts' default sizes and enlarge four times. They are untrained,
which does not change their speed. Megapixels are those of the small picture. Each figure
comes from its own process, which has its own peak memory, and from the second of two
pictures of one size, since the first call compiles. In one piece the network runs in the
fastest precision, and PyTorch in float32, channels-last. Pictures of more than one
megapixel are only enlarged in tiles: in one piece they take 11 GB per megapixel.
"""

import argparse
import subprocess
import sys
import time

import numpy as np

from benchmarks import memory
from core.pixels import to_uint8

WAYS = "float32", "auto", "in one piece"


def build(name, way):
    """A function that enlarges a uint8 picture [h, w, 3]: in tiles, in one of two
    precisions, or in one piece."""
    if name == "PyTorch EDSR":
        return build_torch()
    import edsr
    import espcn
    import mdsr
    import rcan
    import srgan
    from core.colours import for_rgb
    from core.networks import in_precision
    from core.precision import choose
    from core.tiles import upscale

    networks = {
        "ESPCN": lambda: espcn.build_espcn(4),
        "EDSR": lambda: edsr.build_edsr(4),
        "MDSR": lambda: mdsr.single_scale(mdsr.build_mdsr(), 4),
        "RCAN": lambda: rcan.build_rcan(4, rcan.GROUPS, rcan.BLOCKS),
        "SRResNet": lambda: srgan.build_srresnet(4),
    }
    model = networks[name]()
    if way != "in one piece":
        return lambda image: upscale(model, image, precision=way)
    if model.input_shape[-1] == 1:
        model = for_rgb(model, 4)
    model = in_precision(model, choose("auto", "precision")[0])
    return lambda image: to_uint8(model.predict_on_batch(image[None])[0])


def build_torch():
    import torch

    from benchmarks import torch_edsr

    model = torch_edsr.EDSR().to(memory_format=torch.channels_last)

    def enlarge(image):
        with torch.inference_mode():
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
            x = x.to(memory_format=torch.channels_last)
            return model(x)[0].clamp(0, 255).round().byte().permute(1, 2, 0).numpy()

    return enlarge


def measure(name, megapixels, way):
    """Seconds for a picture, and peak memory in gigabytes."""
    side = round((1e6 * megapixels) ** 0.5)
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    enlarge = build(name, way)
    for _ in range(2):
        start = time.perf_counter()
        enlarge(image)
        seconds = time.perf_counter() - start
    return seconds, memory.peak() / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.1, 1])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, megapixels, way = options.one
        print(*measure(name, float(megapixels), way))
        return
    import hardware

    print(hardware.describe())
    print(f"{'megapixels/s, peak memory':<30}", *(f"{way:>17}" for way in WAYS))
    for name in ("ESPCN", "EDSR", "MDSR", "RCAN", "SRResNet", "PyTorch EDSR"):
        for megapixels in options.megapixels:
            cells = []
            for way in WAYS:
                whole = way == WAYS[-1]
                if name.startswith("PyTorch") > whole or whole and megapixels > 1:
                    cells.append("")
                    continue
                module = [sys.executable, "-m", "benchmarks.upscaling"]
                task = ["--one", name, str(megapixels), way]
                done = subprocess.run([*module, *task], capture_output=True, text=True)
                if done.returncode:
                    absent = "No module named" in done.stderr
                    cells.append("not installed" if absent else "failed")
                    continue
                seconds, gigabytes = map(float, done.stdout.split()[-2:])
                cells.append(f"{megapixels / seconds:.3f}  {gigabytes:.1f} GB")
            cells = (f"{cell:>17}" for cell in cells)
            print(f"{name:<16}{megapixels:>10g} in ", *cells, flush=True)


if __name__ == "__main__":
    main()

"""Megapixels per second and peak memory of each network, in tiles and in one piece.

    pip install torch        # optional
    python -m benchmarks.upscaling                      # pictures of 0.1 and 1 megapixels
    python -m benchmarks.upscaling --networks EDSR --megapixels 24    # half an hour

The networks have their scripts' default sizes and enlarge four times. They are untrained,
which does not change their speed. Megapixels are those of the small picture. Each figure
comes from its own process, which has its own peak memory, and from the second of two
pictures of one size, since the first call compiles. In one piece the network runs in the
fastest precision, and PyTorch in float32, channels-last. Pictures of more than one
megapixel are only enlarged in tiles: in one piece they take 11 GB per megapixel.

The last columns are ratios of speed: of the two precisions, and of tiles to one piece.
"""

import argparse
import subprocess
import sys
import time

import numpy as np

from benchmarks import memory
from core.pixels import to_uint8

WAYS = "float32", "auto", "in one piece"
RATIOS = {"auto/float32": ("auto", "float32"), "auto/one": ("auto", "in one piece")}
GOALS = "1.5, with AMX 2.5", "0.9"  # for EDSR and one megapixel
NETWORKS = "ESPCN", "EDSR", "MDSR", "RCAN", "SRResNet", "PyTorch EDSR"


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
    model = in_precision(for_rgb(model), choose("auto", "precision")[0])
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


def measure_apart(name, megapixels, way):
    """As `measure`, in a process of its own; or why there are no figures, as a string."""
    whole = way == "in one piece"
    if name.startswith("PyTorch") > whole or whole and megapixels > 1:
        return ""
    module = [sys.executable, "-m", "benchmarks.upscaling"]
    task = ["--one", name, str(megapixels), way]
    done = subprocess.run([*module, *task], capture_output=True, text=True)
    if done.returncode:
        return "not installed" if "No module named" in done.stderr else "failed"
    return tuple(map(float, done.stdout.split()[-2:]))


def row(name, megapixels):
    """The cells of a row: speed and memory of each way, and the ratios of speeds."""
    found = {way: measure_apart(name, megapixels, way) for way in WAYS}
    cells = [
        f"{megapixels / cell[0]:.3f}  {cell[1]:.1f} GB" if type(cell) is tuple else cell
        for cell in found.values()
    ]
    for ways in RATIOS.values():
        fast, slow = (found[way] for way in ways)
        both = type(fast) is type(slow) is tuple
        cells.append(f"{slow[0] / fast[0]:.2f}" if both else "")
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.1, 1])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, megapixels, way = options.one
        print(*measure(name, float(megapixels), way))
        return
    import hardware

    print(hardware.describe())
    header = "".join(f"{cell:>19}" for cell in (*WAYS, *RATIOS))
    print(f"{'megapixels/s, peak memory':<30}{header}")
    for name in options.networks:
        for megapixels in options.megapixels:
            cells = "".join(f"{cell:>19}" for cell in row(name, megapixels))
            print(f"{name:<16}{megapixels:>10g} in {cells}", flush=True)
    goals = "".join(f"{cell:>19}" for cell in (*[""] * len(WAYS), *GOALS))
    print(f"{'goals, EDSR, 1 megapixel':<30}{goals}")


if __name__ == "__main__":
    main()

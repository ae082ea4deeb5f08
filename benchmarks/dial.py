"""Scores the mean of a faithful and a sharp network: what `upscale.py --sharpness` gives.

    python -m benchmarks.dial Set5/image_SRF_4 weights/edsr_x4.keras \\
        weights/srgan_x4.keras --draw dial.png

Prints PSNR of Y, PSNR of RGB and LPIPS on the folder, with bicubic in the first row, and
draws LPIPS against PSNR.
"""

import argparse
import pathlib
import sys

from matplotlib.figure import Figure

import data
import metrics
from core import imagenet
from core.files import atomic_write
from core.networks import interpolate_weights, load_network, scale_and_channels

STOPS = (0, 0.25, 0.5, 0.75, 1)


def draw(rows, path):
    """Draws LPIPS against PSNR: dict from bicubic and each stop to their scores."""
    figure = Figure((6, 4.5), layout="constrained")
    axes = figure.subplots()
    points = {name: (row["psnr_y"], row["lpips"]) for name, row in rows.items()}
    axes.plot(*points["bicubic"], "s", color="grey")
    axes.plot(*zip(*[points[stop] for stop in STOPS]), "o-")
    for number, (name, point) in enumerate(points.items()):
        label = name if name == "bicubic" else f"{name:g}"
        # On both sides in turn, since some points lie close together.
        place, side = ((-8, "right"), (8, "left"))[(number or 1) % 2]
        axes.annotate(
            label, point, (place, 0), textcoords="offset points", ha=side, va="center"
        )
    axes.set(
        xlabel="PSNR of Y [dB] (higher is better)", ylabel="LPIPS (lower is better)"
    )
    axes.set(title="bicubic, and --sharpness 0 to 1")
    axes.margins(0.1)
    axes.grid(alpha=0.3)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", help="folder to score on")
    parser.add_argument("faithful", help=".keras file")
    parser.add_argument("sharp", help=".keras file of a network trained from it")
    parser.add_argument("--draw", type=pathlib.Path, help="PNG file")
    options = parser.parse_args()
    try:
        if not imagenet.has_weights("alexnet"):
            raise ValueError(f"LPIPS needs weights: {imagenet.GET_WEIGHTS}")
        faithful, sharp = map(load_network, (options.faithful, options.sharp))
        scale, _ = scale_and_channels(faithful)
        pairs = data.load(options.pictures, "all", scale)
        networks = {stop: interpolate_weights(faithful, sharp, stop) for stop in STOPS}
    except ValueError as error:
        sys.exit(f"dial.py: {error}")
    rows = {}
    print(f"{'sharpness':>9} {'PSNR Y':>8} {'PSNR RGB':>8} {'LPIPS':>8}")
    for name, network in {"bicubic": None, **networks}.items():
        rows[name] = row = metrics.evaluate(network, pairs, verbose=0)
        scores = f"{row['psnr_y']:8.2f} {row['psnr_rgb']:8.2f} {row['lpips']:8.4f}"
        print(f"{name:>9} {scores}", flush=True)
    if options.draw:
        draw(rows, options.draw)


if __name__ == "__main__":
    main()

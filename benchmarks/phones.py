"""Size, score and speed of the LiteRT files that export.py writes, in each precision.

    python -m benchmarks.phones Set5/image_SRF_4

The score is that of the papers: PSNR of Y on the pictures of the folder. "Keras" is the
PSNR relative to the Keras network on drawn pictures; of float32 it is the largest
difference in grey levels. The milliseconds are for 160x90 to 640x360, by XNNPACK on two
threads. All files take turns; the figure is that of the best round, since other work of
the machine only makes a round slower.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np

import data
import export
import hardware
import metrics
from core import pixels
from core.networks import load_network

WEIGHTS = pathlib.Path(__file__).parent.parent / "weights"
NETWORKS = "espcn_x4", "edsr_x4", "srgan_x4"
SIZE = 90, 160
ROUNDS = 15


def enlarge(run, lr, channels):
    """As `upscale.upscale`: uint8 to uint8, and bicubic colours for luma networks."""
    lr = np.asarray(lr, np.float64)
    if channels == 3:
        return pixels.to_uint8(run(np.float32(lr[None]))[0])
    y = run(np.float32(pixels.luma(lr)[None]))[0]
    rgb = pixels.bicubic_resize(lr, *y.shape[:2])
    return pixels.to_uint8(rgb + (y - pixels.luma(rgb)) * (255 / 219))


def seconds(run, lr):
    start = time.perf_counter()
    run(lr)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="pictures to score on, such as Set5/image_SRF_4")
    options = parser.parse_args()
    rows, tasks = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            network = load_network(WEIGHTS / f"{name}.keras")
            channels = network.input_shape[-1]
            blank = np.zeros((1, *SIZE, channels), np.float32)
            for precision in ("float32", *export.LEAST_PSNR):
                path = pathlib.Path(folder) / f"{name}_{precision}.tflite"
                keras = export.export(network, "litert", path, precision=precision)
                run = export.run_litert(path, threads=2)
                scores = [
                    metrics.psnr(hr, enlarge(run, lr, channels), 4, luma=True)
                    for lr, hr in data.load(options.folder, "all", 4)
                ]
                size = path.stat().st_size / 1e6
                rows[name, precision] = size, keras, np.mean(scores)
                tasks[name, precision] = run, blank
        times = [[seconds(*task) for task in tasks.values()] for _ in range(ROUNDS)]
    print(hardware.describe())
    print(f"{'':<22}{'MB':>8}{'Keras':>10}{'PSNR':>8}{'ms':>8}")
    for (name, precision), took in zip(rows, np.min(times, axis=0)):
        size, keras, psnr = rows[name, precision]
        print(
            f"{name:<12}{precision:<10}{size:8.2f}{keras:10.4g}{psnr:8.2f}"
            f"{1000 * took:8.0f}"
        )


if __name__ == "__main__":
    main()

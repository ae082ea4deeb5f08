"""What a network scores when one step of the papers' protocol is done differently.

    python -m benchmarks.protocols weights/edsr_x4.keras Set5/image_SRF_4

Answers "why is my PSNR lower than the paper's?" for any network and folder. The first
rows change how pictures are compared, the others how LR is made. Where bicubic changes as
much as the network, the difference comes from the scoring and not from the network.
"""

import sys

import numpy as np
import tensorflow as tf
from PIL import Image

import data
import metrics
from core import scoring
from core.degradations import as_jpeg
from core.networks import load_network, scale_and_channels
from core.pixels import bicubic_resize, luma, to_uint8
from core.tiles import enlarge


def as_in_the_papers(hr, sr, scale):
    return metrics.psnr(hr, sr, scale, luma=True)


def rounded(hr, sr, scale):
    return metrics.psnr(to_uint8(luma(hr)), to_uint8(luma(sr)), scale)


def grey(hr, sr, scale):
    hr, sr = (np.asarray(Image.fromarray(image).convert("L")) for image in (hr, sr))
    return metrics.psnr(hr[..., None], sr[..., None], scale)


COMPARISONS = {
    "as in the papers": as_in_the_papers,
    "Y rounded to whole levels": rounded,
    "all of RGB": metrics.psnr,
    "luma of 0 to 255, as in JPEG": grey,
    "borders included": lambda hr, sr, scale: metrics.psnr(hr, sr, 0, luma=True),
}


def pillow(hr, height, width):
    return np.asarray(
        Image.fromarray(hr).resize((width, height), Image.Resampling.BICUBIC)
    )


def tensorflow(hr, height, width, antialias):
    lr = tf.image.resize(hr, (height, width), "bicubic", antialias=antialias)
    return to_uint8(lr.numpy())


def slicing(hr, height, width):
    return hr[:: hr.shape[0] // height, :: hr.shape[1] // width]


def jpeg(hr, height, width):
    return as_jpeg(bicubic_resize(hr, height, width), 95)


DEGRADATIONS = {
    "data.bicubic_resize": bicubic_resize,
    "Pillow's bicubic": pillow,
    "tf.image.resize, antialias=True": lambda *args: tensorflow(*args, True),
    "tf.image.resize": lambda *args: tensorflow(*args, False),
    "slicing, hr[::scale, ::scale]": slicing,
    "saved as JPEG, quality 95": jpeg,
}


def enlarge_all(model, pairs, scale):
    """Enlarges LR of all pairs: a list of (HR, SR, scale), for a comparison."""
    return [(hr, enlarge(model, lr, scale), scale) for lr, hr in pairs]


def print_row(name, results, compare):
    """Prints the mean of a comparison, for the results of bicubic and of the network."""
    scores = [[compare(*picture) for picture in each] for each in results]
    means = [np.mean(scoring.capped(each)) for each in scores]
    print(f"{name:36}{means[0]:10.2f}{means[1]:10.2f}", flush=True)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        model = load_network(sys.argv[1])
        scale, _ = scale_and_channels(model)
        pairs = list(data.load(sys.argv[2], "all", scale).as_numpy_iterator())
        pairs = [p for p in pairs if not scoring.is_flat(scoring.shaved(p[1], scale))]
        if not pairs:
            raise ValueError(f"{sys.argv[2]}: all pictures are flat.")
    except ValueError as error:
        sys.exit(f"protocols.py: {error}")
    title = f"PSNR of {len(pairs)} pictures"
    print(f"{title:36}{'bicubic':>10}{'network':>10}")
    results = [enlarge_all(network, pairs, scale) for network in (None, model)]
    for name, compare in COMPARISONS.items():
        print_row(name, results, compare)
    for name, degrade in DEGRADATIONS.items():
        degraded = [(degrade(hr, *lr.shape[:2]), hr) for lr, hr in pairs]
        results = [enlarge_all(network, degraded, scale) for network in (None, model)]
        print_row(f"LR: {name}", results, as_in_the_papers)


if __name__ == "__main__":
    main()

"""What a network scores when one step of the papers' protocol is done differently.

    python benchmarks/protocols.py weights/edsr_x4.keras Set5/image_SRF_4

Answers "why is my PSNR lower than the paper's?", for any network and pictures. The first
rows differ in how a picture is compared, the others in how LR was made; bicubic beside
the network tells whether it is the scoring that differs or the network.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import numpy as np
import tensorflow as tf
from PIL import Image

import data
import metrics
import pixels
import shared
import upscale


def rounded_psnr(hr, sr, scale):
    hr, sr = (np.floor(data.luma(image) + 0.5) for image in (hr, sr))
    return metrics.psnr(hr, sr, scale)


COMPARISONS = {
    "as the papers": shared.y_psnr,
    "Y rounded to whole levels": rounded_psnr,
    "all of RGB": metrics.psnr,
    "luma of 0 to 255, as of JPEG": lambda hr, sr, scale: metrics.psnr(
        grey(hr), grey(sr), scale
    ),
    "borders included": lambda hr, sr, scale: metrics.psnr(hr, sr, 0, luma=True),
}


def grey(image):
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


def pillow(hr, height, width):
    return np.asarray(
        Image.fromarray(hr).resize((width, height), Image.Resampling.BICUBIC)
    )


def tensorflow(hr, height, width, antialias):
    lr = tf.image.resize(hr, (height, width), "bicubic", antialias=antialias)
    return upscale.to_uint8(lr.numpy())


def slicing(hr, height, width):
    return hr[:: hr.shape[0] // height, :: hr.shape[1] // width]


def jpeg(hr, height, width):
    return pixels.as_jpeg(data.bicubic_resize(hr, height, width), 95)


DEGRADATIONS = {
    "LR by data.bicubic_resize": data.bicubic_resize,
    "LR by Pillow's bicubic": pillow,
    "LR by tf.image.resize, antialias": lambda *args: tensorflow(*args, True),
    "LR by tf.image.resize": lambda *args: tensorflow(*args, False),
    "LR by slicing, as hr[::scale]": slicing,
    "LR saved as JPEG, quality 95": jpeg,
}


def print_row(name, model, pairs, compare):
    scores = [shared.mean_psnr(net, pairs, compare) for net in (None, model)]
    print(f"{name:34}{scores[0]:10.2f}{scores[1]:10.2f}", flush=True)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        model = upscale.load_network(sys.argv[1])
        scale, _ = upscale.scale_and_channels(model)
        pairs = list(data.load(sys.argv[2], "all", scale).as_numpy_iterator())
    except ValueError as error:
        sys.exit(f"protocols.py: {error}")
    print(
        f"{'PSNR of ' + str(len(pairs)) + ' pictures':34}{'bicubic':>10}{'network':>10}"
    )

    for name, compare in COMPARISONS.items():
        print_row(name, model, pairs, compare)
    for name, degrade in DEGRADATIONS.items():
        degraded = [(degrade(hr, *lr.shape[:2]), hr) for lr, hr in pairs]
        print_row(name, model, degraded, shared.y_psnr)


if __name__ == "__main__":
    main()

"""What a network scores when one step of the papers' protocol is done differently.

    python benchmarks/protocols.py weights/edsr_x4.keras Set5/image_SRF_4

Answers "why is my PSNR lower than the paper's?", for any network and pictures. The first
rows differ in how a picture is compared, the others in how LR was made; bicubic beside
the network tells whether it is the scoring that differs or the network.
"""

import io
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
import upscale


def paper(hr, sr, scale):
    return metrics.psnr(hr, sr, scale, luma=True)


COMPARISONS = {
    "as the papers": paper,
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
    buffer = io.BytesIO()
    lr = data.bicubic_resize(hr, height, width)
    Image.fromarray(lr).save(buffer, "JPEG", quality=95)
    return np.asarray(Image.open(buffer))


DEGRADATIONS = {
    "LR by Pillow's bicubic": pillow,
    "LR by tf.image.resize, antialias": lambda *args: tensorflow(*args, True),
    "LR by tf.image.resize": lambda *args: tensorflow(*args, False),
    "LR by slicing, as hr[::scale]": slicing,
    "LR saved as JPEG, quality 95": jpeg,
}


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

    def row(name, lrs, compare):
        scores = [
            np.mean(
                [
                    compare(hr, metrics.enlarge(net, lr, scale), scale)
                    for lr, (_, hr) in zip(lrs, pairs)
                ]
            )
            for net in (None, model)
        ]
        print(f"{name:34}{scores[0]:10.2f}{scores[1]:10.2f}", flush=True)

    for name, compare in COMPARISONS.items():
        row(name, [lr for lr, _ in pairs], compare)
    for name, degrade in DEGRADATIONS.items():
        row(name, [degrade(hr, *lr.shape[:2]) for lr, hr in pairs], paper)


if __name__ == "__main__":
    main()

"""What the losses of the training scripts are made of.

ImageNet's networks, whose features say how alike two pictures look, and a check that the
patches are large enough for them.
"""

import keras

from core.imagenet import GET_WEIGHTS, has_weights, load_features
from core.lpips import load_lpips

__all__ = [
    "GET_WEIGHTS",
    "has_weights",
    "load_features",
    "load_lpips",
    "check_patch_size",
]


def check_patch_size(loss, patch_size, scale, channels=3):
    """Refuses patches that a loss cannot take, such as those that VGG halves to nothing.

    Args:
        loss: function of (HR, SR).
        patch_size: side of the patches in LR pixels.
        scale: integer factor between LR and HR.
        channels: of the patches.

    Raises:
        ValueError: if they are too small.
    """
    side = patch_size * scale
    patch = keras.KerasTensor((1, side, side, channels))  # a shape without pixels
    try:
        loss(patch, patch)
    except ValueError as error:
        raise ValueError(
            f"PATCH_SIZE = {patch_size} with SCALE = {scale} makes patches too small for "
            "this loss: raise PATCH_SIZE."
        ) from error

"""The check of the patches. The networks themselves are in test_imagenet.py."""

import keras
import pytest

import losses


def test_patches_that_a_loss_halves_to_nothing_are_refused():
    def loss(hr, sr):
        for _ in range(5):
            hr, sr = (keras.ops.max_pool(x, 2) for x in (hr, sr))
        return keras.ops.abs(hr - sr)

    losses.check_patch_size(loss, patch_size=8, scale=4)
    with pytest.raises(
        ValueError, match="PATCH_SIZE = 7 with SCALE = 4 makes .* raise"
    ):
        losses.check_patch_size(loss, patch_size=7, scale=4)

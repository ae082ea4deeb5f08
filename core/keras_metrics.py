"""PSNR and SSIM of batches, as Keras metrics: `metrics.PSNR` and `metrics.SSIM`."""

import warnings

import keras

from core import pixels, scoring

PACKAGE = "super_resolution"  # in saved files


class _PerImage(keras.metrics.Mean):
    """Mean of a score over the images, on pixels clipped and rounded as in a saved file.

    Flat images have no weight. A graph cannot raise an error that depends on pixel values:
    such images are counted, and `result`, which fit() and evaluate() call after an epoch,
    refuses them.
    """

    window = 1  # side in pixels of the smallest image that has a score
    _direction = "up"  # more is better: for Keras' callbacks

    def __init__(self, shave, luma, max_val, name, dtype):
        scoring.check_max_val(max_val)
        super().__init__(name=name, dtype=dtype)
        self.shave, self.luma, self.max_val = shave, luma, max_val
        # Of all images, of those in another range than 0 to max_val, of those too small.
        self.counts = self.add_variable((3,), "zeros", name="counts")

    def update_state(self, y_true, y_pred, sample_weight=None):
        ops = keras.ops
        hr, sr, dtype = self._as_one_shape(y_true, y_pred)
        low, high = ops.min(hr, axis=(1, 2, 3)), ops.max(hr, axis=(1, 2, 3))
        other_range = pixels.seems_out_of_range(low, high, dtype, self.max_val)
        too_small = ops.minimum(*ops.shape(hr)[1:3]) < 2 * self.shave + self.window
        every = ops.ones_like(low)
        kinds = [every, every * ops.cast(other_range, "float32")]
        kinds.append(every * ops.cast(too_small, "float32"))
        self.counts.assign_add(ops.sum(ops.stack(kinds), axis=1))

        if self.max_val != 255:
            hr, sr = hr * (255 / self.max_val), sr * (255 / self.max_val)
        sr = ops.floor(ops.clip(sr, 0, 255) + 0.5)
        hr, sr = (scoring.shaved(images, self.shave) for images in (hr, sr))
        weights = every if sample_weight is None else _one_per_image(sample_weight)
        weights = ops.where(scoring.is_flat(hr, ops), 0.0, weights)
        if self.luma:
            hr, sr = scoring.to_luma(hr), scoring.to_luma(sr)
        super().update_state(self.score(hr, sr), weights)

    def _as_one_shape(self, y_true, y_pred):
        """HR and SR in float32, and the original type of HR."""
        ops = keras.ops
        hr, sr = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(hr.shape) != 4:
            raise ValueError(f"HR must be a batch [B, H, W, C], not {hr.shape}.")
        scoring.check_shapes(hr.shape, sr.shape, self.shave, self.luma, self.window)
        # A shape may be unknown until the graph runs. stack() then refuses what subtraction
        # would broadcast, and gives both the sides that are known of either.
        stacked = ops.stack([ops.cast(images, "float32") for images in (hr, sr)])
        return *ops.unstack(stacked, 2), hr.dtype

    def reset_state(self):
        super().reset_state()
        self.counts.assign([0, 0, 0])

    def result(self):
        """The mean; NaN where no image counts.

        Raises:
            ValueError: if the pixels of most HR images are plainly not from 0 to `max_val`,
                or if images are too small. Not in a graph, where the mean is NaN.
        """
        try:
            seen, other_range, too_small = keras.ops.convert_to_numpy(self.counts)
            counting = float(keras.ops.convert_to_numpy(self.count))
        except (NotImplementedError, TypeError):  # in a graph of TensorFlow, of JAX
            return self.total / self.count
        if 2 * other_range > seen:
            raise ValueError(
                f"{self.name}: HR has pixels that are not from 0 to {self.max_val:g}: "
                f"{scoring.RANGE_WAY_OUT}."
            )
        if too_small:
            side = 2 * self.shave + self.window
            raise ValueError(
                f"{self.name} needs images of {side}x{side} pixels or more."
            )
        if seen and not counting:
            warnings.warn(f"{self.name} is NaN: all {seen:.0f} images are flat.")
        return self.total / self.count

    def get_config(self):
        own = {"shave": self.shave, "luma": self.luma, "max_val": self.max_val}
        return {**super().get_config(), **own}


def _one_per_image(weights):
    """Weights [B], or [B, 1, ...], as [B]."""
    weights = keras.ops.convert_to_tensor(weights)
    if any(side not in (1, None) for side in weights.shape[1:]):
        raise ValueError(
            f"sample_weight must be one number for each image, not of shape {weights.shape}."
        )
    return keras.ops.reshape(weights, (-1,))


@keras.saving.register_keras_serializable(PACKAGE)
class PSNR(_PerImage):
    """`psnr` as a Keras metric: the mean over all images seen.

    (`keras.ops.psnr` pools the error of a batch, which gives a different number.) Flat
    images are left out, and an image adds at most 60 dB: docs/protocol.md says why.

    Args:
        shave: pixels left out on each side.
        luma: compares Y; a single channel is taken to be Y already.
        max_val: the value of white, such as 1.0. Pixels are rounded to 8 bits.
    """

    def __init__(self, shave=0, luma=False, max_val=255, name="psnr", dtype=None):
        super().__init__(shave, luma, max_val, name, dtype)

    def score(self, hr, sr):
        error = keras.ops.mean(keras.ops.square(hr - sr), axis=(1, 2, 3))
        return scoring.capped(10 * keras.ops.log10(255.0**2 / error), keras.ops)


@keras.saving.register_keras_serializable(PACKAGE)
class SSIM(_PerImage):
    """`ssim` as a Keras metric: the mean over all images seen but the flat ones.

    Args:
        shave, luma, max_val: as for `PSNR`.
    """

    window = 11

    def __init__(self, shave=0, luma=False, max_val=255, name="ssim", dtype=None):
        super().__init__(shave, luma, max_val, name, dtype)

    def score(self, hr, sr):
        return keras.ops.image.ssim(hr, sr, 255.0, data_format="channels_last")

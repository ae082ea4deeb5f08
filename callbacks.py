"""Callbacks for fit(): previews while a network learns, and early stopping.

The callback that keeps the folder of a run is `training.Checkpoint`.
"""

import pathlib

import keras

import drawings
import metrics
from core.networks import scale_and_channels
from core.pixels import bicubic_resize, rgb_as_uint8, scale_between
from core.tiles import upscale


class Preview(keras.callbacks.Callback):
    """Draws one photograph while the network learns: bicubic, network, original.

    Args:
        network: `keras.Model` from LR to SR.
        pair: arrays (LR [h, w, 3], HR [h*scale, w*scale, 3]), uint8 or float, 0 to 255.
        folder: path of the folder for the pictures.

    Raises:
        ValueError: if they are not such arrays, or of another scale than the network's.
    """

    def __init__(self, network, pair, folder):
        super().__init__()
        lr, hr = map(rgb_as_uint8, pair, ("LR", "HR"))
        scale = scale_between(lr, hr)
        own_scale, _ = scale_and_channels(network)
        if own_scale != scale:
            raise ValueError(
                f"{network.name} enlarges by {own_scale}, and HR is LR times {scale}."
            )
        # The middle of a large picture will do: this is done after every epoch.
        y, x = (max(0, side - 192) // 2 for side in lr.shape[:2])
        self.lr = lr[y:, x:][:192, :192]
        self.hr = hr[y * scale :, x * scale :][: 192 * scale, : 192 * scale]
        self.network, self.scale = network, scale
        self.folder = pathlib.Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        panels = {
            "bicubic": bicubic_resize(self.lr, *self.hr.shape[:2]),
            f"network after epoch {epoch + 1}": upscale(self.network, self.lr),
        }
        captions = {
            f"{name}: {metrics.psnr(self.hr, sr, self.scale, luma=True):.2f} dB": sr
            for name, sr in panels.items()
        }
        path = self.folder / f"epoch_{epoch + 1:04}.png"
        drawings.draw_preview({**captions, "original": self.hr}, path)


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping, which continues its count when a run resumes.

    Must come before the callbacks of the run, which record that it stopped.

    Args:
        run: `training.Run`.
        monitor: name in the history: a loss, or a PSNR or SSIM, such as "val_psnr".
        patience: epochs without improvement after which training ends.
    """

    def __init__(self, run, monitor, patience):
        # Keras would find out from the metrics, which are not built yet on resuming.
        mode = "max" if monitor.endswith(("psnr", "ssim")) else "min"
        super().__init__(monitor, patience=patience, verbose=1, mode=mode)
        self.run = run

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for row in self.run.history:
            if row["epoch"]:
                self.on_epoch_end(row["epoch"] - 1, row)
        self.model.stop_training = False  # the past epochs may have set it

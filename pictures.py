"""Pictures of a run: patches, curves, previews while it trains, the comparison."""

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import data
import metrics
import upscale

DPI = 100  # of all pictures but data.py's


def draw_curves(history, path):
    """Draws losses and scores over the epochs, a panel each.

    Args:
        history: list with a dict for each epoch, as in `Run.history`.
        path: `pathlib.Path` of the PNG file.
    """
    names = [key for key in history[0] if f"val_{key}" in history[0]]
    epochs = [row["epoch"] for row in history]
    columns, rows = min(3, len(names)), -(-len(names) // 3)
    figure = Figure((5 * columns, 4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.remove()
    for axes, name in zip(panels, names):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axes.plot(epochs, [row[key] for row in history], ".-", label=label)
        title = name.replace("_", " ").replace("psnr", "PSNR [dB]")
        axes.set(xlabel="epoch", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def draw_samples(batches, path):
    """Draws LR and HR patches as the network sees them, up to eight pairs of a batch.

    Args:
        batches: dataset from `data.training_batches`.
        path: `pathlib.Path` of the PNG file.
    """
    lr, hr = (np.asarray(side)[:8] for side in next(iter(batches)))
    figure = Figure((2 * len(lr), 4.3), layout="constrained")
    panels = figure.subplots(2, len(lr), squeeze=False)
    for row, title, images in zip(panels, ("LR", "HR"), (lr, hr)):
        for axes, image in zip(row, images):
            show(axes, image, f"{title} {image.shape[1]}x{image.shape[0]}")
    _save(figure, path)


class Preview(keras.callbacks.Callback):
    """Draws one photograph while the network learns: bicubic, network, original.

    Args:
        network: `keras.Model` from LR to SR.
        pair: uint8 arrays (LR [h, w, 3], HR [h*scale, w*scale, 3]).
        folder: `pathlib.Path` of the folder for the pictures.
        every: epochs between two pictures, the first of which is after the first epoch;
            0 for that one alone.
    """

    def __init__(self, network, pair, folder, every=1):
        super().__init__()
        lr, hr = (np.asarray(image) for image in pair)
        scale = hr.shape[0] // lr.shape[0]
        # The middle of a large picture will do: this is done after every epoch.
        y, x = (max(0, side - 192) // 2 for side in lr.shape[:2])
        self.lr = lr[y:, x:][:192, :192]
        self.hr = hr[y * scale :, x * scale :][: 192 * scale, : 192 * scale]
        self.network, self.folder, self.every = network, folder, every

    def on_epoch_end(self, epoch, logs=None):
        if epoch and (not self.every or (epoch + 1) % self.every):
            return
        scale = self.hr.shape[0] // self.lr.shape[0]
        bicubic = data.bicubic_resize(self.lr, *self.hr.shape[:2])
        sr = upscale.upscale(self.network, self.lr)
        detail = find_detail(self.hr, bicubic, fraction=1 / 6)
        figure = Figure((18, 6.3), layout="constrained")
        panels = [
            ("bicubic", bicubic),
            (f"network after epoch {epoch + 1}", sr),
            ("original", self.hr),
        ]
        for axes, (title, image) in zip(figure.subplots(1, 3), panels):
            if image is not self.hr:
                title += f": {metrics.psnr(self.hr, image, scale, luma=True):.2f} dB"
            show(axes, image, title)
            show_inset(axes, image, detail)
        _save(figure, self.folder / f"epoch_{epoch + 1:04}.png")


def draw_comparison(pair, enlarged, path):
    """Draws one photograph: LR, each enlargement and HR, and a detail below each.

    Args:
        pair: uint8 arrays (LR, HR).
        enlarged: dict from a name to a uint8 array of HR's shape, bicubic first.
        path: `pathlib.Path` of the PNG file.
    """
    lr, hr = (np.asarray(image) for image in pair)
    scale = hr.shape[0] // lr.shape[0]
    detail = find_detail(hr, next(iter(enlarged.values())))
    pixels = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    panels = {f"LR, {lr.shape[1]}x{lr.shape[0]}": pixels}
    for name, image in enlarged.items():
        scores = [f(hr, image, scale, luma=True) for f in (metrics.psnr, metrics.ssim)]
        panels["{}: {:.2f} dB, {:.4f}".format(name, *scores)] = image
    panels[f"HR, {hr.shape[1]}x{hr.shape[0]}"] = hr
    height = 4 * hr.shape[0] / hr.shape[1] + 4.4
    figure = Figure((4 * len(panels), height), layout="constrained")
    rows = figure.subplots(2, len(panels), height_ratios=[hr.shape[0] / hr.shape[1], 1])
    for above, below, (title, image) in zip(*rows, panels.items()):
        show(above, image, title)
        show(below, image[detail])
        mark(above, detail)
    _save(figure, path)


def draw_details(pair, enlarged, path):
    """Draws one photograph, and beside it a detail of it from each enlargement and HR.

    Args:
        pair, enlarged, path: as for `draw_comparison`.
    """
    hr = np.asarray(pair[1])
    scale = hr.shape[0] // pair[0].shape[0]
    detail = find_detail(hr, next(iter(enlarged.values())), fraction=1 / 4)
    columns = -(-(len(enlarged) + 1) // 2)
    wide = 6 * hr.shape[1] / hr.shape[0]
    figure = Figure((wide + 3 * columns, 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[wide, 3 * columns])
    axes = left.subplots()
    show(axes, hr, f"HR, {hr.shape[1]}x{hr.shape[0]}")
    mark(axes, detail)
    panels = right.subplots(2, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, image) in zip(panels, {**enlarged, "HR": hr}.items()):
        if image is not hr:
            name += f": {metrics.psnr(hr, image, scale, luma=True):.2f} dB"
        show(axes, image[detail], name)
    _save(figure, path)


def find_detail(hr, bicubic, fraction=1 / 3):
    """The square where bicubic misses most of the picture.

    Args:
        hr, bicubic: arrays [H, W, 3].
        fraction: side of the square as part of the shorter side.

    Returns:
        A pair of slices for the first two axes.
    """
    error = np.square(hr.astype(float) - bicubic).sum(axis=-1)
    size = max(1, int(min(error.shape) * fraction))
    # Sums over all squares, as differences of sums over all rectangles from the corner.
    total = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[size:, size:] - total[:-size, size:] - total[size:, :-size]
    y, x = np.unravel_index(np.argmax(sums + total[:-size, :-size]), sums.shape)
    return slice(int(y), int(y) + size), slice(int(x), int(x) + size)


def show(axes, image, title=""):
    """Shows a picture, RGB or luma, without ticks, its pixels as they are."""
    axes.imshow(image, "gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def show_inset(axes, image, detail):
    """Shows a detail enlarged in the corner of the picture that is farthest from it."""
    middle = [(part.start + part.stop) / 2 for part in detail]
    above, left = (m < side / 2 for m, side in zip(middle, image.shape))
    inset = axes.inset_axes((0.5 * left, 0.5 * (not above), 0.5, 0.5), anchor="SW")
    show(inset, image[detail])
    mark(axes, detail)


def mark(axes, detail):
    """Draws a frame around a detail."""
    y, x = (part.start for part in detail)
    size = detail[0].stop - y
    axes.add_patch(Rectangle((x, y), size, size, fill=False, color="yellow"))


def _save(figure, path):
    with data.whole_file(path) as part:
        figure.savefig(part, dpi=DPI)

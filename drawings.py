"""Drawings of arrays with captions: patches, curves, previews, comparisons."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from core.files import atomic_write
from core.pixels import scale_between

DPI = 100


def draw_curves(history, path):
    """Draws losses and scores over the epochs, a panel each: those that are measured on
    validation pictures as well, or where there are none, all.

    Args:
        history: list with a dict for each epoch, as `training.Run.history`; in that of
            the start, epoch 0, None stands for what only training measures.
        path: `pathlib.Path` of the PNG file.
    """
    keys = dict.fromkeys(key for row in history for key in row if key != "epoch")
    names = [key for key in keys if f"val_{key}" in keys] or [*keys]
    columns, rows = min(3, len(names)), math.ceil(len(names) / 3)
    figure = Figure((5 * columns, 4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.remove()
    for axes, name in zip(panels, names):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key not in keys:
                continue
            measured = [row for row in history if row.get(key) is not None]
            x, y = [row["epoch"] for row in measured], [row[key] for row in measured]
            axes.plot(x, y, ".-", label=label)
        title = name.replace("_", " ").replace("psnr", "PSNR [dB]")
        first, last = history[0]["epoch"], history[-1]["epoch"]
        axes.set(xlabel="epoch", title=title, xlim=(min(0, first - 0.5), last + 1))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def draw_samples(batch, path):
    """Draws LR and HR patches as the network sees them, up to eight pairs of a batch.

    Args:
        batch: arrays (LR [batch, h, w, C], HR [batch, h*scale, w*scale, C]), 0 to 255.
        path: `pathlib.Path` of the PNG file.
    """
    lr, hr = (np.asarray(side)[:8] for side in batch)
    figure = Figure((2 * len(lr), 4.3), layout="constrained")
    panels = figure.subplots(2, len(lr), squeeze=False)
    for row, title, images in zip(panels, ("LR", "HR"), (lr, hr)):
        for axes, image in zip(row, images):
            show(axes, image, f"{title} {image.shape[1]}x{image.shape[0]}")
    _save(figure, path)


def draw_pairs(pairs, path):
    """Draws up to nine pairs, LR beside HR: squares from the middle of pictures.

    Args:
        pairs: list of uint8 arrays (LR, HR).
        path: `pathlib.Path` of the PNG file.
    """
    figure = Figure((13, 7), layout="constrained")
    panels = figure.subplots(3, 6).ravel()
    for axes in panels:
        axes.set_axis_off()
    for number, (lr, hr) in enumerate(pairs[:9]):
        scale, size = scale_between(lr, hr), min(64, *lr.shape[:2])
        y, x = (side // 2 - size // 2 for side in lr.shape[:2])
        hr = hr[y * scale :, x * scale :][: size * scale, : size * scale]
        for axes, image in zip(panels[2 * number :], (lr[y:, x:][:size, :size], hr)):
            show(axes, image, f"{image.shape[1]}x{image.shape[0]}")
    _save(figure, path)


def draw_preview(panels, path):
    """Draws versions of one picture side by side, with a detail enlarged in a corner.

    Args:
        panels: dict from caption to uint8 array [H, W, 3]; bicubic first, HR last.
        path: `pathlib.Path` of the PNG file.
    """
    bicubic, *_, hr = panels.values()
    detail = find_detail(hr, bicubic, fraction=1 / 6)
    figure = Figure((6 * len(panels), 6.3), layout="constrained")
    for axes, (caption, image) in zip(figure.subplots(1, len(panels)), panels.items()):
        show(axes, image, caption)
        show_inset(axes, image, detail)
    _save(figure, path)


def draw_comparison(lr, hr, enlarged, path):
    """Draws one photograph: LR, each enlargement and HR, and a detail below each.

    Args:
        lr, hr: uint8 arrays [h, w, 3] and [h*scale, w*scale, 3].
        enlarged: dict from caption to a uint8 array of HR's shape, bicubic first.
        path: `pathlib.Path` of the PNG file.
    """
    detail = find_detail(hr, next(iter(enlarged.values())))
    scale = scale_between(lr, hr)
    pixels = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    panels = {
        f"LR, {lr.shape[1]}x{lr.shape[0]}": pixels,
        **enlarged,
        f"HR, {hr.shape[1]}x{hr.shape[0]}": hr,
    }
    height = 4 * hr.shape[0] / hr.shape[1] + 4.7
    figure = Figure((4 * len(panels), height), layout="constrained")
    rows = figure.subplots(2, len(panels), height_ratios=[hr.shape[0] / hr.shape[1], 1])
    for above, below, (caption, image) in zip(*rows, panels.items()):
        show(above, image, caption)
        show(below, image[detail])
        mark(above, detail)
    _save(figure, path)


def draw_details(lr, hr, enlarged, path):
    """Draws one photograph, and beside it a detail of it from each enlargement and HR.

    Args:
        lr, hr, enlarged, path: as for `draw_comparison`.
    """
    detail = find_detail(hr, next(iter(enlarged.values())), fraction=1 / 4)
    columns = math.ceil((len(enlarged) + 1) / 2)
    wide = 6 * hr.shape[1] / hr.shape[0]
    figure = Figure((wide + 3 * columns, 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[wide, 3 * columns])
    axes = left.subplots()
    show(axes, hr, f"HR, {hr.shape[1]}x{hr.shape[0]}")
    mark(axes, detail)
    panels = right.subplots(2, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (caption, image) in zip(panels, {**enlarged, "HR": hr}.items()):
        show(axes, image[detail], caption)
    _save(figure, path)


def find_detail(hr, bicubic, fraction=1 / 3):
    """The square where bicubic misses most of the picture.

    Args:
        hr, bicubic: arrays [H, W, 3].
        fraction: side of the square relative to the shorter side.

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
    axes.set_title(title, fontsize=12, parse_math=False)  # a file's name may have a $
    axes.set_axis_off()


def show_inset(axes, image, detail):
    """Shows a detail, enlarged, in the corner farthest from it."""
    middle = [(part.start + part.stop) / 2 for part in detail]
    above, left = (m < side / 2 for m, side in zip(middle, image.shape))
    inset = axes.inset_axes((0.5 * left, 0.5 * (not above), 0.5, 0.5), anchor="SW")
    show(inset, image[detail])
    mark(axes, detail)


def mark(axes, detail):
    """Draws a frame around a detail."""
    y, x = (part.start for part in detail)
    size = detail[0].stop - y
    corner = x - 0.5, y - 0.5  # of a pixel, whose centre is at x and y
    style = dict(fill=False, color="yellow", clip_on=False, in_layout=False)
    axes.add_patch(Rectangle(corner, size, size, **style))


def _save(figure, path):
    with atomic_write(path) as part:
        figure.savefig(part, dpi=DPI)

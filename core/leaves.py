"""Pictures to train on without any download: dead leaves, drawn with matplotlib."""

import joblib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from PIL import Image, ImageFilter

from core.files import atomic_write
from core.pixels import to_uint8

# benchmarks/drawn.py varies these. Two numbers are a range.
CONTRAST = (0.25, 1)  # of a picture's colours
DEPTHS = (2, 4)
BLADES = 0.15  # share of very thin leaves
SHARP = 0.4  # share of depths in focus
BLUR = 1.5  # pixels, mean standard deviation of the others
ROUGHNESS = 8  # grey levels, mean
LIGHT = 20  # grey levels, mean
LENS = (0.3, 0.8)  # pixels, standard deviation of the blur of the whole picture
GRAIN = 2  # grey levels, mean


def draw_files(seeds, size):
    """Draws pictures into PNG files, on all cores.

    Args:
        seeds: dict from the `pathlib.Path` of each file to its seed.
        size: as for `draw_leaves`.

    Yields:
        Each path once its file is written, in any order.

    Raises:
        OSError: naming a file that cannot be written.
    """
    # A process takes as long to start as to draw three pictures: no more than pay off.
    processes = min(joblib.cpu_count(), 1 + len(seeds) // 10)
    parallel = joblib.Parallel(processes, return_as="generator_unordered")
    draw = joblib.delayed(_draw_file)
    try:
        yield from parallel(draw(path, size, seed) for path, seed in seeds.items())
    except OSError as error:
        raise OSError(str(error)) from None  # without the traceback of another process


def _draw_file(path, size, seed):
    image = Image.fromarray(draw_leaves(size, seed))
    with atomic_write(path) as part:
        image.save(part, compress_level=1)
    return path


def draw_leaves(size, seed):
    """Draws a picture of dead leaves: random shapes that occlude each other.

    The occlusion model of natural images (Lee, Mumford and Huang 2001), used to train
    restoration networks by Achddou, Gousseau and Ladjal (2021): sizes follow a power
    law, colours come from small palettes. Photographs have more: two to four depths lie
    over each other here, each in or out of focus, with a roughness and a light of its
    own; a lens makes edges a little soft, and grain lies over it all.

    Args:
        size: side in pixels.
        seed: int or list of int; the same seed draws the same picture.

    Returns:
        uint8 array [size, size, 3].

    Raises:
        ValueError: for a side below 2.
    """
    if size < 2:
        raise ValueError(f"size = {size} is impossible: it must be 2 pixels or more.")
    rng = np.random.default_rng(seed)
    contrast = rng.uniform(*CONTRAST)
    depths = rng.integers(*DEPTHS, endpoint=True)
    picture = Image.new("RGBA", (size, size))
    for depth in range(depths):
        share = rng.uniform(0.04, 0.8) / depths if depth else 0.6
        count = int(share * size * size / 87) + 1
        leaves = _draw_depth(rng, size, count, contrast, background=depth == 0)
        picture = Image.alpha_composite(picture, _focus(rng, leaves))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(*LENS)))
    grain = rng.exponential(GRAIN) * rng.standard_normal((size, size, 1))
    image = np.asarray(picture)[..., :3] + grain
    return to_uint8(image)


def _draw_depth(rng, size, count, contrast, background):
    """The leaves of one depth, RGBA; those of the background cover everything."""
    largest, smallest = 0.4 * size, np.full(count, rng.uniform(1.5, 4))
    if background:
        smallest[: count // 8] = size / 32  # large ones first, to leave no gaps
    # Density r^-3, so that every octave of sizes covers the same area.
    radius = (smallest**-2 + rng.random(count) * (largest**-2 - smallest**-2)) ** -0.5
    centre = rng.uniform(0, size, (count, 1, 2))
    outlines = _leaf_outlines(rng, count) * radius[:, None, None] + centre
    colours = _leaf_colours(rng, count)
    mean = colours.mean(axis=0)
    colours = np.clip(mean + contrast * (colours - mean), 0, 1)

    figure = Figure((size / 100, size / 100), dpi=100, facecolor="none")
    if background:
        figure.set_facecolor(colours[0])
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size), ylim=(0, size))
    axes.axis("off")
    axes.add_collection(PolyCollection(outlines, facecolors=colours, linewidths=0))
    canvas.draw()
    leaves = np.array(canvas.buffer_rgba(), np.float32)
    roughness = rng.exponential(ROUGHNESS) * _noise(rng, size, rng.uniform(0, 1.2))
    light = rng.exponential(LIGHT) * _noise(rng, size, 2)
    leaves[..., :3] += (roughness + light)[..., None]
    return Image.fromarray(to_uint8(leaves))


def _focus(rng, leaves):
    """Blurs most depths, a little or much: RGBA to RGBA."""
    blur = 0 if rng.random() < SHARP else rng.exponential(BLUR)
    # In RGBa colours weigh as much as they cover: what is hidden does not bleed out.
    blurred = leaves.convert("RGBa").filter(ImageFilter.GaussianBlur(blur))
    return blurred.convert("RGBA")


def _leaf_outlines(rng, count):
    """Ellipses, polygons, bars and blades of about unit radius: [count, 36, 2]."""
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    sides = rng.choice([3, 4, 5, 40, 40, 40, 40], (count, 1))  # 40: round
    sector = np.pi / sides
    radius = np.cos(sector) / np.cos(angle % (2 * sector) - sector)
    for harmonic in range(2, 6):
        wobble = rng.normal(0, 0.25 / harmonic, (count, 1))
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        radius += wobble * np.cos(harmonic * angle + phase)
    blades = rng.random((count, 1)) < BLADES
    thin, thick = rng.uniform(0.01, 0.1, (count, 1)), rng.uniform(0.1, 1, (count, 1))
    flatness = np.where(blades, thin, thick)
    x, y = radius * np.cos(angle), radius * np.sin(angle) * flatness
    turn = rng.uniform(0, 2 * np.pi, (count, 1))
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _leaf_colours(rng, count):
    """RGB in [0, 1] around a palette of three to eight colours: [count, 3]."""
    shades = rng.integers(3, 9)
    palette = rng.beta(0.8, 0.8, (shades, 1)) + rng.normal(0, 0.12, (shades, 3))
    brightness = rng.normal(0, 0.06, (count, 1))
    tint = rng.normal(0, 0.02, (count, 3))
    return np.clip(palette[rng.integers(0, shades, count)] + brightness + tint, 0, 1)


def _noise(rng, size, power):
    """Noise with a 1/f^power amplitude spectrum and unit variance: [size, size]."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    frequency = np.maximum(np.hypot(rows, columns), 1 / size)
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / frequency**power
    noise = np.fft.irfft2(spectrum, (size, size))
    return noise / noise.std()

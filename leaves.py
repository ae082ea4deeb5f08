"""Pictures to train on without any download: dead leaves, drawn with matplotlib."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure


def draw_leaves(size, seed):
    """Draws a picture of dead leaves: random shapes that occlude each other.

    The occlusion model of natural images (Lee, Mumford and Huang 2001), used to train
    restoration networks by Achddou, Gousseau and Ladjal (2021): sizes follow a power
    law, colours come from a small palette, a 1/f texture lies on top.

    Args:
        size: side in pixels.
        seed: int; the same seed draws the same picture.

    Returns:
        uint8 array [size, size, 3].
    """
    rng = np.random.default_rng(seed)
    count = size * size // 87 + 1
    # Density r^-3, so that every octave of sizes covers the same area. The first eighth
    # are large and cover the background.
    largest = 0.4 * size
    smallest = np.full(count, rng.uniform(1.5, 4))
    smallest[: count // 8] = size / 32
    radius = (smallest**-2 + rng.random(count) * (largest**-2 - smallest**-2)) ** -0.5
    centre = rng.uniform(0, size, (count, 1, 2))
    points = _leaf_outlines(rng, count) * radius[:, None, None] + centre
    colours = _leaf_colours(rng, count)

    figure = Figure((size / 100, size / 100), dpi=100, facecolor=colours[0])
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size), ylim=(0, size))
    axes.axis("off")
    axes.add_collection(PolyCollection(points, facecolors=colours, linewidths=0))
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[..., :3]
    texture = rng.uniform(2, 12) * _texture(rng, size)
    return np.clip(image + texture[..., None] + 0.5, 0, 255).astype(np.uint8)


def _leaf_outlines(rng, count):
    """Ellipses, polygons and bars of about unit radius: [count, 36, 2]."""
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    sides = rng.choice([3, 4, 5, 40, 40, 40, 40], (count, 1))  # 40: round
    sector = np.pi / sides
    radius = np.cos(sector) / np.cos(angle % (2 * sector) - sector)
    for harmonic in range(2, 6):
        wobble = rng.normal(0, 0.25 / harmonic, (count, 1))
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        radius += wobble * np.cos(harmonic * angle + phase)
    flatness = rng.uniform(0.1, 1, (count, 1))
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


def _texture(rng, size):
    """Noise with a 1/f amplitude spectrum and unit variance: [size, size]."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    frequency = np.maximum(np.hypot(rows, columns), 4 / size)
    noise = np.fft.rfft2(rng.standard_normal((size, size)))
    texture = np.fft.irfft2(noise / frequency, (size, size))
    return texture / texture.std()

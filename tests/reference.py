"""The papers' protocol by its plain definition: slow, obvious, sharing no code.

    python tests/reference.py

draws tests/data/drawn.png if it is missing, and makes from it what the tests compare the
project with: `drawn_LR_x2.png`, `_x3` and `_x4`, as MATLAB's imresize makes them, and
`drawn.json`, the PSNR and SSIM of their bicubic enlargements on Y without borders.

Pictures are nested lists of whole numbers, [row][column][channel]; imresize is computed
in fractions, so that nothing is rounded before the end.
"""

import functools
import json
import math
import pathlib
import sys
from fractions import Fraction

import numpy as np
from PIL import Image

DATA = pathlib.Path(__file__).parent / "data"
SCALES = (2, 3, 4)


def cubic(x):
    """The kernel of Keys (1981), a = -1/2."""
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    if x <= 2:
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2
    return Fraction(0)


@functools.cache
def weights(old, new, position):
    """Which of `old` pixels in a row make pixel `position` of `new`, and by how much."""
    stretch = max(Fraction(1), Fraction(old, new))  # antialiasing: widened to shrink
    centre = (position + Fraction(1, 2)) * Fraction(old, new) - Fraction(1, 2)
    share = {}
    first, last = math.ceil(centre - 2 * stretch), math.floor(centre + 2 * stretch)
    for tap in range(first, last + 1):
        weight = cubic((centre - tap) / stretch)
        pixel = tap
        while not 0 <= pixel < old:  # mirrored at the edge, the edge pixel repeated
            pixel = -1 - pixel if pixel < 0 else 2 * old - 1 - pixel
        share[pixel] = share.get(pixel, 0) + weight
    total = sum(share.values())
    return {pixel: weight / total for pixel, weight in share.items() if weight}


def resized_pixel(image, height, width, row, column):
    """One pixel of MATLAB's imresize(image, [height width], "bicubic"), of uint8."""
    pixel = []
    for channel in range(3):
        total = Fraction(0)
        for y, down in weights(len(image), height, row).items():
            line = image[y]
            across = Fraction(0)
            for x, right in weights(len(line), width, column).items():
                across += right * line[x][channel]
            total += down * across
        rounded = math.floor(total + Fraction(1, 2))
        pixel.append(min(255, max(0, rounded)))
    return pixel


def resize(image, height, width):
    return [
        [resized_pixel(image, height, width, row, column) for column in range(width)]
        for row in range(height)
    ]


def luma(pixel):
    """Y of MATLAB's rgb2ycbcr, of one pixel."""
    red, green, blue = (value / 255 for value in pixel)
    return 16 + 65.481 * red + 128.553 * green + 24.966 * blue


def luma_without_border(image, border):
    return [
        [luma(pixel) for pixel in row[border:-border]] for row in image[border:-border]
    ]


def psnr(a, b):
    """Of two pictures of one channel, [row][column]."""
    total = count = 0
    for row_a, row_b in zip(a, b):
        for x, y in zip(row_a, row_b):
            total += (x - y) ** 2
            count += 1
    return 10 * math.log10(255**2 / (total / count))


def ssim(a, b):
    """Of two pictures of one channel (Wang et al. 2004, section III.C)."""
    window = {
        (y, x): math.exp(-((y - 5) ** 2 + (x - 5) ** 2) / (2 * 1.5**2))
        for y in range(11)
        for x in range(11)
    }
    total = sum(window.values())
    window = {place: weight / total for place, weight in window.items()}
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for top in range(len(a) - 10):
        for left in range(len(a[0]) - 10):
            mean_a = mean_b = 0
            for (y, x), weight in window.items():
                mean_a += weight * a[top + y][left + x]
                mean_b += weight * b[top + y][left + x]
            var_a = var_b = covariance = 0
            for (y, x), weight in window.items():
                from_a = a[top + y][left + x] - mean_a
                from_b = b[top + y][left + x] - mean_b
                var_a += weight * from_a**2
                var_b += weight * from_b**2
                covariance += weight * from_a * from_b
            brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            values.append(brightness * (2 * covariance + c2) / (var_a + var_b + c2))
    return sum(values) / len(values)


def cropped(image, scale):
    """A picture whose sides are multiples of the scale."""
    height, width = len(image) // scale * scale, len(image[0]) // scale * scale
    return [row[:width] for row in image[:height]]


def read(path):
    return np.asarray(Image.open(path).convert("RGB")).tolist()


def write(image, path):
    Image.fromarray(np.array(image, np.uint8)).save(path, optimize=True)


def draw(path):
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
    from core.leaves import draw_leaves

    write(draw_leaves(100, 5)[:, :84], path)


def main(folder=DATA):
    """Writes all that belongs to drawn.png in a folder."""
    if not (folder / "drawn.png").exists():
        folder.mkdir(exist_ok=True)
        draw(folder / "drawn.png")
    figures = {}
    for scale in SCALES:
        hr = cropped(read(folder / "drawn.png"), scale)
        lr = resize(hr, len(hr) // scale, len(hr[0]) // scale)
        write(lr, folder / f"drawn_LR_x{scale}.png")
        sr = resize(lr, len(hr), len(hr[0]))
        pair = [luma_without_border(image, scale) for image in (hr, sr)]
        figures[scale] = {"psnr": psnr(*pair), "ssim": ssim(*pair)}
    text = json.dumps(figures, indent=4) + "\n"
    (folder / "drawn.json").write_text(text)


if __name__ == "__main__":
    main()

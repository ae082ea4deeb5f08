"""The colours that transparency hides. Whole files are enlarged in test_upscale.py."""

import numpy as np
import pytest
from PIL import Image

from core import upscale_file
from helpers import noise


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", ["dots", "line", "faint", "disc"])
def test_small_and_faint_parts_keep_their_colour(shape, dtype):
    y, x = np.indices((64, 70))
    alpha = {
        "dots": 255 * (x * y % 97 == 1),
        "line": 255 * (y == 63),
        "faint": x == y,
        "disc": np.clip(30 - np.hypot(x - 32, y - 32), 0, 4) * 50,
    }[shape].astype(dtype)
    hidden = alpha == 0
    rgb = np.full((64, 70, 3), (128, 3, 255), dtype)
    assert upscale_file._fill_hidden(rgb, alpha)[1] == []
    noisy = np.where(hidden[..., None], noise(64, 70, 3), rgb).astype(dtype)
    filled, notes = upscale_file._fill_hidden(noisy, alpha)
    np.testing.assert_allclose(filled, rgb, atol=1e-3)
    assert filled.dtype == dtype and len(notes) == 1


def test_source_is_never_overwritten(tiny_network, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(noise(9, 9, 3)).save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="a.png would be overwritten: choose another"):
        upscale_file.upscale_file(tiny_network(2), str(path), path)
    assert path.read_bytes() == before


def test_picture_that_is_all_hidden_stays_as_it_is():
    rgb = noise(16, 16, 3)
    filled, notes = upscale_file._fill_hidden(rgb, np.zeros((16, 16), np.uint8))
    np.testing.assert_array_equal(filled, rgb)
    assert notes == []

import numpy as np
import pytest

import data


def test_draw_leaves_is_seeded_and_covers_the_picture():
    image = data.draw_leaves(96, 5)
    assert image.shape == (96, 96, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, data.draw_leaves(96, 5))
    assert (image != data.draw_leaves(96, 6)).mean() > 0.5
    # Occlusion leaves edges everywhere: no quarter of the picture is of one colour.
    for quarter in (image[:48, :48], image[48:, :48], image[:48, 48:], image[48:, 48:]):
        assert quarter.std() > 10


def test_smallest_picture():
    assert data.draw_leaves(2, 0).shape == (2, 2, 3)
    with pytest.raises(ValueError, match="size = 1 is impossible"):
        data.draw_leaves(1, 0)

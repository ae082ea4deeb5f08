"""The mean over the eight rotations and flips of a picture."""

import numpy as np

from core.self_ensemble import mean_of_turns
from helpers import noise


def test_all_eight_turns_are_enlarged_once():
    image = noise(3, 5, 2)
    seen = []

    def enlarge(turned):
        seen.append(turned)
        return turned.repeat(2, axis=0).repeat(2, axis=1)

    # Repeated pixels are the same however the picture is turned.
    expected = image.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(mean_of_turns(enlarge, image), expected)
    turns = [np.rot90(m, k) for m in (image, image[:, ::-1]) for k in range(4)]
    assert len(seen) == 8
    assert {x.tobytes() for x in seen} == {
        np.ascontiguousarray(t).tobytes() for t in turns
    }


def test_result_is_the_mean_of_what_is_turned_back():
    """With an enlargement that brightens the first row alone, wherever that is turned."""

    def brighten_first_row(turned):
        result = turned.astype(float)
        result[0] += 8
        return result

    added = mean_of_turns(brighten_first_row, np.zeros((4, 4, 1)))[..., 0]
    expected = np.zeros((4, 4))
    for edge in (expected[0], expected[-1], expected[:, 0], expected[:, -1]):
        edge += 2  # two of the eight turns have this edge at the top
    np.testing.assert_array_equal(added, expected)

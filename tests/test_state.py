"""The file from which a run resumes."""

import numpy as np
import pytest

from core import state

ARRAYS = [np.arange(6.0).reshape(2, 3), np.array(7, np.int64), np.zeros((0,))]
FACTS = {"epoch": 3, "best": -np.inf, "settings": {"DATASET": "é", "SCALES": [2, 3]}}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "run" / "state.npz"
    state.write(path, ARRAYS, FACTS)
    arrays, facts = state.read(path)
    for ours, theirs in zip(arrays, ARRAYS, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert facts == FACTS == state.read_facts(path)
    assert list(path.parent.iterdir()) == [path]


def test_many_arrays_keep_their_order(tmp_path):
    arrays = [np.array(number) for number in range(120)]
    state.write(tmp_path / "state.npz", arrays, {})
    assert state.read(tmp_path / "state.npz")[0] == arrays


@pytest.mark.parametrize("damage", ["half", "empty", "text", "other"])
@pytest.mark.parametrize("read", [state.read, state.read_facts])
def test_damage_is_named(read, damage, tmp_path):
    path = tmp_path / "state.npz"
    state.write(path, ARRAYS, FACTS)
    content = path.read_bytes()
    if damage == "other":
        np.savez(path, ARRAYS[0])
    else:
        damaged = {"half": content[: len(content) // 2], "empty": b"", "text": b"text"}
        path.write_bytes(damaged[damage])
    with pytest.raises(ValueError, match="state.npz is damaged"):
        read(path)

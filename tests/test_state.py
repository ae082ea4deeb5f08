"""The file from which a run resumes."""

import errno
import os

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


@pytest.mark.parametrize("damage", ["half", "empty", "text", "other", "method"])
@pytest.mark.parametrize("read", [state.read, state.read_facts])
def test_damage_is_named(read, damage, tmp_path):
    path = tmp_path / "state.npz"
    state.write(path, ARRAYS, FACTS)
    content = path.read_bytes()
    if damage == "other":
        np.savez(path, ARRAYS[0])
    else:
        damaged = {"half": content[: len(content) // 2], "empty": b"", "text": b"text"}
        place = content.index(b"PK\1\2") + 10  # the compression of the first array
        damaged["method"] = content[:place] + b"\7" + content[place + 1 :]
        path.write_bytes(damaged[damage])
    with pytest.raises(ValueError, match="state.npz is damaged"):
        read(path)


@pytest.mark.parametrize("read", [state.read, state.read_facts])
def test_file_that_cannot_be_read_is_not_called_damaged(read, tmp_path, monkeypatch):
    path = tmp_path / "edsr_x4_leaves" / "state.npz"
    state.write(path, ARRAYS, FACTS)

    def refuse(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(OSError, match="state.npz cannot be read .*x4_leaves away to"):
        read(path)

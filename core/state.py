"""The file from which a run resumes: arrays and facts, written whole or not at all."""

import contextlib
import json
import zipfile

import numpy as np

from core.files import atomic_write

FILE = "state.npz"  # its name in the folder of a run


def write(path, arrays, facts):
    """Writes a state.

    Args:
        path: `pathlib.Path` of the .npz file.
        arrays: list of arrays.
        facts: dict that JSON can hold.
    """
    with atomic_write(path) as part:
        np.savez(part, *arrays, meta=json.dumps(facts))


def read(path):
    """Reads a state: (list of arrays, dict of facts).

    Raises:
        ValueError: naming the file, if it is damaged.
        OSError: naming the file, if it cannot be read.
    """
    with _named_errors(path), np.load(path) as state:
        arrays = [state[name] for name in state.files if name != "meta"]
        return arrays, json.loads(str(state["meta"]))


def read_facts(path):
    """Reads the facts alone, which takes no time; raises as `read`."""
    with _named_errors(path), np.load(path) as state:
        return json.loads(str(state["meta"]))


@contextlib.contextmanager
def _named_errors(path):
    """Makes whatever a damaged file raises a ValueError that names it, and an error of the
    disk an OSError: the file itself may be whole then."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{path} cannot be read ({error.strerror or error}): make it readable, or "
            f"move {path.parent} away to start over."
        ) from error
    except (EOFError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged") from error

"""Files on disk: written whole or not at all, with errors that name them."""

import contextlib
import csv
import importlib.util
import os
import pathlib
import shutil
import uuid


@contextlib.contextmanager
def atomic_write(path):
    """Writes a file whole or not at all, or a folder that is new.

    Args:
        path: `pathlib.Path` of the file; folders on the way to it that are missing are made,
            and removed again if the writing fails.

    Yields:
        A path beside it, with the same suffix, to write to. It replaces `path` at the
        end, and is removed if the writing fails.

    Raises:
        OSError: naming the file, if it cannot be written.
    """
    # Not the process id: machines that share a folder may use the same one. Nor the file's
    # own name, which may already be as long as the disk allows.
    part = path.with_name(f".{uuid.uuid4().hex[:16]}.part{path.suffix}")
    with named_errors(path):
        new = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if not part.is_dir():
                with open(part, "r+b") as file:
                    # Before the rename, in case the power fails.
                    os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            if part.is_dir():
                shutil.rmtree(part)
            part.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # which have something in them
                for folder in new:
                    folder.rmdir()


def remove_partial_files(folder):
    """Removes what `atomic_write` left in a folder when its process was killed."""
    for left in folder.rglob(".*.part.*"):
        left.unlink()


def no_such_network(path):
    """A sentence on a network's file that is not there, with the included one that may be
    meant."""
    weights = pathlib.Path(__file__).parent.parent / "weights"
    included = weights / f"{path.stem}.keras"
    hint = f" Did you mean {included}?" if included.is_file() else ""
    return f"{path}: there is no such file.{hint}"


@contextlib.contextmanager
def named_errors(path):
    """Makes an error of the disk name the file or folder that cannot be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            reason = "a file is in the way of the folder."
        named = OSError(f"{path} cannot be written: {reason}")
        named.errno = error.errno
        raise named from None


def write_csv(path, rows):
    """Writes a table with a header line.

    Args:
        path: `pathlib.Path` of the file.
        rows: list of dicts. What is None or missing in one becomes an empty cell.
    """
    with (
        atomic_write(path) as part,
        # Names of files may not be UTF-8.
        open(part, "w", newline="", encoding="utf-8", errors="replace") as file,
    ):
        writer = csv.DictWriter(file, dict.fromkeys(key for row in rows for key in row))
        writer.writeheader()
        writer.writerows(rows)


def can_be_opened(folder):
    """Whether the files in a folder can be listed and opened."""
    with contextlib.suppress(OSError), os.scandir(folder):
        return os.access(folder, os.X_OK)
    return False


def files_below(folder, above=frozenset()):
    """Yields all files in a folder and the folders in it, behind links too, and broken
    links, but nothing that is hidden, and no pipes and the like: reading one would not end.
    A folder that cannot be opened is yielded itself.

    Args:
        folder: `pathlib.Path`.
        above: real paths of the folders on the way, to which a link is not followed.
    """
    if not can_be_opened(folder):
        yield folder
        return
    above = above | {os.path.realpath(folder)}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        # Not Path.is_dir, which raises an error behind a folder that cannot be entered.
        if os.path.isfile(path) or not os.path.exists(path):
            yield path
        elif os.path.isdir(path) and os.path.realpath(path) not in above:
            yield from files_below(path, above)


def expand_home(path):
    """A path without the ~ that stands for a home folder, where there is such a folder."""
    # Unlike pathlib's, this expanduser leaves ~ as it is where there is none.
    return pathlib.Path(os.path.expanduser(path))


def cache_folder():
    """The folder for datasets, `~/.keras/datasets` or below `KERAS_HOME`. Makes it."""
    home = expand_home(os.environ.get("KERAS_HOME", "~/.keras"))
    folder = home / "datasets"
    way_out = "set the environment variable KERAS_HOME to a folder for datasets."
    if str(home).startswith("~"):
        raise OSError(f"There is no home folder for datasets: {way_out}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{folder} cannot be made ({error.strerror}): {way_out}"
        ) from None
    return folder


def packaged_file(package, name):
    """The path of a file in an installed package, which is not imported; None if there is
    none."""
    found = importlib.util.find_spec(package)
    for folder in found.submodule_search_locations if found else []:
        if (path := pathlib.Path(folder) / name).exists():
            return path
    return None


def printable(name):
    """A file's name without its folder, as text for a terminal: not all are UTF-8."""
    return os.path.basename(os.fsencode(name)).decode(errors="replace")

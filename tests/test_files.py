"""Files that are written whole or not at all, and errors that name them."""

import os
import pwd

import pytest

from core import files
from helpers import read_csv


def test_atomic_write_leaves_nothing_behind_on_failure(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with files.atomic_write(path) as part:
        part.write_text("first")
    with pytest.raises(RuntimeError):
        with files.atomic_write(path) as part:
            part.write_text("second")
            raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(RuntimeError):
        with files.atomic_write(path.parent / "a" / "b" / "file.txt") as part:
            part.write_text("third")
            raise RuntimeError
    assert list(path.parent.iterdir()) == [path]


def test_file_that_cannot_be_written_is_named_and_stays_whole(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("whole")
    with pytest.raises(OSError, match="file.txt cannot be written: No space left"):
        with files.atomic_write(path) as part:
            part.write_text("half")
            raise OSError(28, "No space left on device")
    assert path.read_text() == "whole" and list(tmp_path.iterdir()) == [path]


def test_errors_keep_their_number_and_name_the_path():
    with pytest.raises(OSError, match="results cannot be written: Permission") as error:
        with files.named_errors("results"):
            raise PermissionError(13, "Permission denied")
    assert error.value.errno == 13


def test_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    for name in ("taken/file.txt", "taken/deeper/file.txt"):
        with pytest.raises(
            OSError, match="txt cannot be written: a file is in the way"
        ):
            with files.atomic_write(tmp_path / name):
                pass
    assert (tmp_path / "taken").read_text() == "a file"


def test_parts_left_by_a_kill_are_removed(tmp_path):
    for name in ("model.keras", "preview/epoch_0001.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("whole")
        writing = files.atomic_write(path)
        part = writing.__enter__()
        part.write_text("half")
    files.remove_partial_files(tmp_path)
    left = {path.name for path in tmp_path.rglob("*.*")}
    assert left == {"model.keras", "epoch_0001.png"}


def test_csv_has_a_header_and_a_line_for_each_row(tmp_path):
    rows = [{"name": "с, ть", "psnr": 30.5}, {"name": "b", "psnr": 31}]
    files.write_csv(tmp_path / "new" / "table.csv", rows)
    expected = [{key: str(value) for key, value in row.items()} for row in rows]
    assert read_csv(tmp_path / "new" / "table.csv") == expected


def test_csv_has_empty_cells_for_what_is_not_there(tmp_path):
    rows = [{"a": 1, "b": None}, {"a": 2, "b": 3, "c": 4}]
    files.write_csv(tmp_path / "table.csv", rows)
    assert (tmp_path / "table.csv").read_text().split() == ["a,b,c", "1,,", "2,3,4"]


def test_files_behind_links_are_found_once_and_hidden_ones_never(tmp_path, capsys):
    for name in ("in/b.png", "in/more/a.png", "in/.hidden/c.png", "else/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in/linked").symlink_to("../else")
    (tmp_path / "else/circle").symlink_to("../in")
    found = [str(p.relative_to(tmp_path)) for p in files.files_below(tmp_path / "in")]
    assert found == ["in/b.png", "in/linked/d.png", "in/more/a.png"]
    assert capsys.readouterr().out == ""


def test_cache_is_where_keras_keeps_datasets(keras_home, monkeypatch):
    assert files.cache_folder() == keras_home / "datasets"
    assert files.cache_folder().is_dir()
    (keras_home / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(keras_home / "file"))
    with pytest.raises(OSError, match="file/datasets cannot be made .*KERAS_HOME"):
        files.cache_folder()


def test_cache_needs_a_home_or_keras_home(monkeypatch):
    def unknown(_):
        raise KeyError("uid not found")  # as in a container of another user

    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(OSError, match="There is no home folder .* KERAS_HOME to a"):
        files.cache_folder()


def test_new_folder_is_written_whole_or_not_at_all(tmp_path):
    with files.atomic_write(tmp_path / "new" / "folder") as part:
        part.mkdir()
        (part / "file").write_text("whole")
    assert (tmp_path / "new/folder/file").read_text() == "whole"
    with pytest.raises(RuntimeError):
        with files.atomic_write(tmp_path / "new" / "other") as part:
            part.mkdir()
            (part / "file").write_text("half")
            raise RuntimeError
    assert os.listdir(tmp_path / "new") == ["folder"]


def test_names_can_be_printed_whatever_their_bytes():
    assert files.printable("folder/naïve.png") == "naïve.png"
    assert files.printable(os.fsdecode(b"folder/caf\xe9.png")) == "caf\ufffd.png"

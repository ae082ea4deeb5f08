"""The scripts as notebooks, and as keras.io's converter wants them."""

import os
import re
import shutil
import subprocess
import sys

import nbclient
import nbformat
import pytest

from helpers import PROJECT, SCRIPTS, TINY, edited
from tools import notebook

ADDRESS = "https://example.org/super-resolution.git"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_what_keras_io_converts(name):
    lines = (PROJECT / f"{name}.py").read_text(encoding="utf-8").split("\n")
    names = "Title Authors? Date_created Last_modified Description Accelerator".split()
    assert lines[0] == '"""' and lines[7] == '"""'
    for line, field in zip(lines[1:], names):
        assert re.match(f"{field}: .".replace("_", " "), line)
    description = lines[5].removeprefix("Description: ")
    assert description[0].isupper() and description[-1] == "."
    assert len(description) <= 100
    for line in lines:
        assert line == line.rstrip() and len(line) <= 90
        assert not line.startswith('"""') or line == '"""'
    assert lines.count('"""') % 2 == 0


@pytest.mark.parametrize("name", SCRIPTS)
def test_notebook_has_all_prose_and_code(name, tmp_path, run_command):
    source = (PROJECT / f"{name}.py").read_text(encoding="utf-8")
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    command = notebook, tmp_path / f"{name}.py", "--clone", ADDRESS
    assert run_command(*command)[0] == 0
    book = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    first, fetch, *cells, show = book.cells
    assert show.source == notebook.SHOW.strip() and repr(ADDRESS) in fetch.source
    assert first.source.startswith("# ") and "**Description:** " in first.source
    kinds = {cell.cell_type: [] for cell in cells}
    for cell in cells:
        kinds[cell.cell_type].append(cell.source)
    code = "\n".join(kinds["code"])
    assert [line for line in code.splitlines() if line] == [
        line
        for piece in source.split('\n"""\n')[1::2]
        for line in piece.splitlines()
        if line
    ]
    assert "## Hyperparameters" in "\n".join(kinds["markdown"])
    assert "exists already" in run_command(*command)[0]


def test_what_is_no_script_is_refused(run_command):
    status, _ = run_command(notebook, PROJECT / "data.py", "--clone", ADDRESS)
    assert "data.py cannot be made into a notebook" in status


def test_text_stays_as_it_is_where_utf_8_is_not_the_default(tmp_path):
    source = (PROJECT / "edsr.py").read_text(encoding="utf-8")
    source = source.replace("## Introduction", "## Einführung")
    (tmp_path / "edsr.py").write_text(source, encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, PROJECT / "tools/notebook.py", "edsr.py"]
    command += ["--clone", ADDRESS]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, **ascii_only}, check=True)
    book = nbformat.read(tmp_path / "edsr.ipynb", as_version=4)
    assert "## Einführung" in "\n".join(cell.source for cell in book.cells)


@pytest.mark.parametrize(
    "origin",
    [ADDRESS, ADDRESS.replace("//", "//me:secret@"), None],
)
def test_address_is_that_of_the_clone(origin, tmp_path, monkeypatch, run_command):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if origin:
        command = ["git", "-C", tmp_path, "remote", "add", "origin", origin]
        subprocess.run(command, check=True)
    monkeypatch.setattr(notebook, "PROJECT", tmp_path)
    (tmp_path / "edsr.py").write_bytes((PROJECT / "edsr.py").read_bytes())
    status, out = run_command(notebook, tmp_path / "edsr.py")
    if origin:
        assert status == 0 and f"fetches the project from {ADDRESS}" in out
    else:
        assert "name the address with --clone" in status


def test_copy_inside_another_repository_has_no_address(tmp_path, monkeypatch):
    for command in (["init", "-q"], ["remote", "add", "origin", ADDRESS]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    (tmp_path / "copy").mkdir()
    monkeypatch.setattr(notebook, "PROJECT", tmp_path / "copy")
    assert notebook.own_address() is None
    monkeypatch.setattr(notebook, "PROJECT", tmp_path)
    assert notebook.own_address() == ADDRESS


def test_fields_of_several_lines_are_one():
    source = (
        '"""\nTitle: Any\nAuthor: Us\nDescription: Two\n    lines.\n"""\n\nHR = 1\n'
    )
    first = notebook.to_notebook(source, ADDRESS).cells[0].source
    assert first.splitlines()[2:] == [
        "**Author:** Us<br>",
        "**Description:** Two lines.<br>",
    ]


@pytest.mark.slow
def test_notebook_runs_from_nothing(tmp_path, smooth_pictures):
    origin, empty = tmp_path / "origin", tmp_path / "empty"
    ignored = shutil.ignore_patterns(".git", "weights", "docs", "tests", "results")
    shutil.copytree(PROJECT, origin, ignore=ignored)
    git = ["git", "-C", origin, "-c", "user.name=us", "-c", "user.email=us@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    empty.mkdir()
    constants = {**TINY["edsr"], "DATASET": str(smooth_pictures)}
    book = notebook.to_notebook(edited("edsr", constants), str(origin))
    for _ in range(2):  # the second time, the project is there
        nbclient.NotebookClient(
            book,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(empty)}},
        ).execute()
        assert list(empty.glob("project/results/*/model.keras"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_notebook_runs_cell_by_cell(name, tmp_path, smooth_pictures, monkeypatch):
    """At the end with a variable of the user's, and the constants and main() again."""
    constants = {**TINY[name], "DATASET": str(smooth_pictures)}
    constants |= {"RESULTS": str(tmp_path / "results")}
    book = notebook.to_notebook(edited(name, constants), ADDRESS)
    (block,) = [
        cell.source for cell in book.cells if "settings.collect(" in cell.source
    ]
    again = ["HR = 3", block, "main()"]
    book.cells += [nbformat.v4.new_code_cell(source) for source in again]
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    *cells, shown, _, _, last = book.cells
    out, out_again = (
        "".join(
            output.get("text", "")
            for cell in some
            for output in cell.get("outputs", [])
        )
        for some in (cells, [last])
    )
    assert "PSNR Y" in out and "New run" in out
    assert "image/png" in shown.outputs[0]["data"]
    assert "has been trained for all of its 2 epochs" in out_again
    assert len({path.parent for path in tmp_path.glob("results/*/model*.keras")}) == (
        2 if name == "srgan" else 1
    )

"""The scripts as notebooks, and as keras.io's converter wants them."""

import os
import re
import subprocess
import sys

import nbclient
import nbformat
import pytest

from helpers import PROJECT, SCRIPTS, TINY, edited
from tools import notebook


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
    assert run_command(notebook, tmp_path / f"{name}.py")[0] == 0
    book = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    first, *cells, show = book.cells
    assert show.source == notebook.SHOW.strip()
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
    assert "exists already" in run_command(notebook, tmp_path / f"{name}.py")[0]


def test_what_is_no_script_is_refused(run_command):
    status, _ = run_command(notebook, PROJECT / "data.py")
    assert "data.py cannot be made into a notebook" in status


def test_text_stays_as_it_is_where_utf_8_is_not_the_default(tmp_path):
    source = (PROJECT / "edsr.py").read_text(encoding="utf-8")
    source = source.replace("## Introduction", "## Einführung")
    (tmp_path / "edsr.py").write_text(source, encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, PROJECT / "tools" / "notebook.py", "edsr.py"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, **ascii_only}, check=True)
    book = nbformat.read(tmp_path / "edsr.ipynb", as_version=4)
    assert "## Einführung" in "\n".join(cell.source for cell in book.cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_notebook_runs_cell_by_cell(name, tmp_path, smooth_pictures, monkeypatch):
    """At the end with a variable of the user's, and the constants and main() again."""
    constants = {**TINY[name], "DATASET": str(smooth_pictures)}
    constants |= {"RESULTS": str(tmp_path / "results")}
    book = notebook.to_notebook(edited(name, constants))
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

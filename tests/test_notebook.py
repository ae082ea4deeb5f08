"""The scripts as notebooks, and as keras.io's converter wants them."""

import re
import sys

import nbclient
import nbformat
import pytest

import notebook
from test_devices import SCRIPTS as SMALL
from test_devices import TINY
from test_kills import edited
from test_srgan import TINY as TINY_SRGAN
from test_style import PROJECT, SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_what_keras_io_converts(name):
    lines = (PROJECT / name).read_text().split("\n")
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
def test_notebook_has_all_prose_and_code(name, tmp_path, monkeypatch):
    source = (PROJECT / name).read_text()
    (tmp_path / name).write_text(source)
    monkeypatch.setattr(sys, "argv", ["notebook.py", str(tmp_path / name)])
    notebook.main()
    book = nbformat.read(tmp_path / name.replace(".py", ".ipynb"), as_version=4)
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
    with pytest.raises(SystemExit, match="exists already; move it"):
        notebook.main()


def test_what_is_no_script_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["notebook.py", str(PROJECT / "data.py")])
    with pytest.raises(SystemExit, match=r"data\.py does not become a notebook"):
        notebook.main()


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_notebook_runs_cell_by_cell(name, tmp_path, smooth_pictures, monkeypatch):
    """With hyperparameters that somebody has edited."""
    constants = {**TINY, **SMALL.get(name[:-3], TINY_SRGAN)}
    constants |= {"DATASET": str(smooth_pictures), "RESULTS": str(tmp_path)}
    book = notebook.to_notebook(edited(name, constants))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    out = "".join(
        output.get("text", "")
        for cell in book.cells
        for output in cell.get("outputs", [])
    )
    assert "PSNR Y" in out
    assert list(tmp_path.glob("*/model*.keras"))
    assert "image/png" in book.cells[-1].outputs[0]["data"]

"""Turns a training script into a notebook.

    pip install nbformat
    python tools/notebook.py edsr.py        # writes edsr.ipynb beside edsr.py

The notebook imports the project's modules, so leave it beside them. The scripts have the
form of keras.io's tutobooks: prose stands between lines of three double quotes, and code
between the pieces of prose. keras.io's own converter takes them, too.
"""

import argparse
import pathlib
import re
import sys

# The last cell, which shows the newest comparison.
SHOW = """
import glob
from IPython.display import Image

drawn = glob.glob(os.path.expanduser(f"{RESULTS}/*/comparison*.png"))
Image(max(drawn, key=os.path.getmtime))
"""


def to_notebook(source):
    """Makes a notebook of a script.

    Args:
        source: text of the script, which begins with a piece of prose that has a line
            each for Title, Author, Date created and so on.

    Returns:
        A notebook of nbformat 4, not run. Its last cell shows the newest comparison.

    Raises:
        ValueError: if the source begins in another way.
    """
    from nbformat import v4

    before, *pieces = re.split(r'^"""\n', source, flags=re.MULTILINE)
    if before or not pieces or not pieces[0].startswith("Title: "):
        raise ValueError('it does not begin with """ and a line Title: ...')
    header, *pieces = pieces
    title, *fields = (line.split(": ", 1) for line in header.splitlines())
    lines = [f"# {title[1]}", "", *(f"**{name}:** {text}<br>" for name, text in fields)]
    cells = [v4.new_markdown_cell("\n".join(lines))]
    for number, piece in enumerate(pieces):
        new_cell = v4.new_markdown_cell if number % 2 else v4.new_code_cell
        if piece.strip():
            cells.append(new_cell(piece.strip()))
    cells.append(v4.new_code_cell(SHOW.strip()))
    return v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", type=pathlib.Path, help="such as edsr.py")
    script = parser.parse_args().script
    sys.stdout.reconfigure(errors="backslashreplace")  # names it cannot show
    try:
        import nbformat
    except ImportError:
        sys.exit("notebook.py: nbformat is not installed: pip install nbformat")
    target = script.with_suffix(".ipynb")
    if target.exists():
        sys.exit(f"notebook.py: {target} exists already: move it first.")
    try:
        notebook = to_notebook(script.read_text(encoding="utf-8"))
        target.write_text(nbformat.writes(notebook), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"notebook.py: {script} cannot be made into a notebook: {error}")
    print(f"Wrote {target}")


if __name__ == "__main__":
    main()

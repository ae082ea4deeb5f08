"""Turns a training script into a notebook.

    pip install nbformat
    python tools/notebook.py edsr.py        # writes edsr.ipynb beside edsr.py

The notebook imports the project's modules. Where they are not beside it, as on Colab and
Kaggle, its first cell fetches them from the address that this clone came from, or from
--clone, and installs what they need. The scripts have the form of keras.io's tutobooks:
prose stands between lines of three double quotes, and code between the pieces of prose.
keras.io's own converter takes them, too.
"""

import argparse
import pathlib
import re
import subprocess
import sys

PROJECT = pathlib.Path(__file__).parent.parent

# The first cell.
FETCH = """
# Fetches the project if its other files are not here, and installs what they need.
import os
import subprocess
import sys

if not os.path.exists("core/tiles.py"):
    if not os.path.exists("project/core/tiles.py"):
        clone = ["git", "clone", "--depth", "1", {address!r}, "project"]
        subprocess.run(clone, check=True)
    os.chdir("project")
    install = [sys.executable, "-m", "pip", "install", "-q", "-r", "requirements.txt"]
    subprocess.run(install, check=True)
"""

# The last cell, which shows the newest comparison.
SHOW = """
import glob
from IPython.display import Image

drawn = glob.glob(os.path.expanduser(f"{RESULTS}/*/comparison*.png"))
Image(max(drawn, key=os.path.getmtime))
"""


def to_notebook(source, address):
    """Makes a notebook of a script.

    Args:
        source: text of the script, which begins with a piece of prose that has a line
            each for Title, Author, Date created and so on.
        address: what git clones the project from.

    Returns:
        A notebook of nbformat 4, not run. Its first cell fetches the project, its last
        shows the newest comparison.

    Raises:
        ValueError: if the source begins in another way.
    """
    from nbformat import v4

    before, *pieces = re.split(r'^"""\n', source, flags=re.MULTILINE)
    if before or not pieces or not pieces[0].startswith("Title: "):
        raise ValueError('it does not begin with """ and a line Title: ...')
    header, *pieces = pieces
    # A line that begins with a space goes on with the field before it.
    header = re.sub(r"\n\s+", " ", header.strip())
    title, *fields = (line.partition(": ") for line in header.splitlines())
    lines = [
        f"# {title[2]}",
        "",
        *(f"**{name}:** {text}<br>" for name, _, text in fields),
    ]
    fetch = FETCH.format(address=address)
    cells = [v4.new_markdown_cell("\n".join(lines)), v4.new_code_cell(fetch.strip())]
    for number, piece in enumerate(pieces):
        new_cell = v4.new_markdown_cell if number % 2 else v4.new_code_cell
        if piece.strip():
            cells.append(new_cell(piece.strip()))
    cells.append(v4.new_code_cell(SHOW.strip()))
    return v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


def own_address():
    """What this clone of the project came from, without a password in it, or None."""
    try:
        # Another repository may lie around a copy.
        if pathlib.Path(_git("rev-parse", "--show-toplevel")) != PROJECT.resolve():
            return None
        address = _git("remote", "get-url", "origin")
    except (OSError, subprocess.CalledProcessError):  # no git, repository or origin
        return None
    return re.sub(r"^(https?://)[^/@]*@", r"\1", address)


def _git(*command):
    command = ["git", "-C", str(PROJECT), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", type=pathlib.Path, help="such as edsr.py")
    parser.add_argument(
        "--clone", metavar="ADDRESS", help="of the project, for git clone"
    )
    options = parser.parse_args()
    script, address = options.script, options.clone or own_address()
    sys.stdout.reconfigure(errors="backslashreplace")  # names it cannot show
    try:
        import nbformat
    except ImportError:
        sys.exit("notebook.py: nbformat is not installed: pip install nbformat")
    if not address:
        sys.exit(
            "notebook.py: this copy of the project does not say where it came from: name "
            "the address with --clone."
        )
    target = script.with_suffix(".ipynb")
    if target.exists():
        sys.exit(f"notebook.py: {target} exists already: move it first.")
    try:
        notebook = to_notebook(script.read_text(encoding="utf-8"), address)
        target.write_text(nbformat.writes(notebook), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"notebook.py: {script} cannot be made into a notebook: {error}")
    print(f"Wrote {target}, which fetches the project from {address}")


if __name__ == "__main__":
    main()

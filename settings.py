"""The settings of a training script: its block of constants, and the command line.

    python edsr.py SCALE=2 DATASET=div2k    # changes constants for this run
    python edsr.py --help                   # prints them with their comments

A script calls `check_command_line` before the imports that take seconds, and `collect`
right below its block.
"""

import ast
import pathlib
import re
import sys

CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*) = .*$", re.MULTILINE)


def check_command_line():
    """Answers --help, and refuses unknown settings, before the imports that take seconds.

    Does nothing in a notebook, or where another script imports this one.
    """
    script = pathlib.Path(sys.argv[0])
    if script.suffix != ".py" or not script.is_file():
        return
    block = _block(script.read_text(encoding="utf-8"))
    if block is None:
        return
    if {"--help", "-h"} & {*sys.argv[1:]}:
        print(f"usage: python {script.name} [NAME=value ...]\n")
        print(
            "Trains a network. The settings, at the top of the file, and their defaults:"
        )
        print("\n".join(["", *(match.group() for match in CONSTANT.finditer(block))]))
        sys.exit()
    try:
        _split(sys.argv[1:], CONSTANT.findall(block))
    except ValueError as error:
        sys.exit(f"{script.name}: {error}")


def collect(namespace):
    """Applies the command line to the block of constants above, and lists their names.

    Args:
        namespace: `globals()` of the script or notebook.

    Returns:
        List of names. Other upper-case variables, such as a notebook's, are not settings.
    """
    if "__file__" in namespace:
        source = pathlib.Path(namespace["__file__"]).read_text(encoding="utf-8")
    else:
        source = namespace.get("In", [""])[-1]  # the running cell of a notebook
    block = _block(source)
    if block is None:
        raise ValueError("settings.collect belongs in the cell with the constants.")
    names = CONSTANT.findall(block)
    if namespace["__name__"] == "__main__" and "__file__" in namespace:
        try:
            change(namespace, names, sys.argv[1:])
        except ValueError as error:
            sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {error}")
    return names


def change(namespace, names, edits):
    """Changes constants, as the command line does.

    Args:
        namespace: dict of the script's variables, changed in place.
        names: the constants, as from `collect`.
        edits: list of str such as "SCALE=2": Python literals or plain words.

    Raises:
        ValueError: for an unknown name or a value of the wrong kind.
    """
    for name, text in _split(edits, names):
        try:
            namespace[name] = _parse(name, text, namespace[name], namespace)
        except ValueError as error:
            raise ValueError(f"{error} (settings: {', '.join(names)}).") from None


def _block(source):
    """The constants' part of the cell that calls `collect`, in a script or notebook."""
    for cell in re.split(r'^"""$', source, flags=re.MULTILINE):
        before, call, _ = cell.partition("\nSETTINGS = settings.collect(")
        if call:
            return before
    return None


def _split(edits, names):
    """Splits "NAME=value" into pairs of str; refuses unknown names."""
    pairs = []
    for edit in edits:
        name, equals, text = edit.partition("=")
        if not equals or name not in names:
            raise ValueError(f"{edit} is not NAME=value for one of {', '.join(names)}.")
        pairs.append((name, text))
    return pairs


def _parse(name, text, default, namespace):
    """The value that a text stands for: of the same kind as the default."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        value = text
    if isinstance(default, dict) and text.isupper():  # NETWORK=PAPER
        value = namespace.get(text)
    if isinstance(default, str) or default is None:  # a word, or a tuple of words
        words = value if isinstance(value, tuple) else [value]
        plain = words and all(isinstance(word, str) for word in words)
        return value if plain or value is default else text
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        kinds = {bool: "True or False", int: "a whole number", float: "a number"}
        kind = kinds.get(type(default), f"like {default}")
        raise ValueError(f"{name} must be {kind}, not {text!r}")
    return value

"""The settings of a training script: its block of constants, and the command line.

    python edsr.py SCALE=2 DATASET=div2k    # changes constants for this run
    python edsr.py --help                   # prints them with their comments

A script calls `check_command_line` before the imports that take seconds, and `collect`
right below its block. The other commands call `start_command`.
"""

import argparse
import ast
import difflib
import importlib.util
import linecache
import logging
import math
import os
import pathlib
import re
import sys
import traceback

PROJECT = pathlib.Path(__file__).resolve().parent
BACKENDS = "tensorflow", "jax", "torch"
CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*) *(?::[^=\n]*)?=(?!=).*$", re.MULTILINE)


# --- As a command ---------------------------------------------------------------------


def start_command():
    """Prepares the process of a command, before the imports that take seconds.

    Names that the terminal cannot show are printed as escapes, and our own errors as one
    line. In a notebook, or where a script is imported, they stay exceptions.

    Raises:
        ValueError: if KERAS_BACKEND is not supported or not installed.
    """
    if sys.stdout is None:  # closed
        sys.stdout = open(os.devnull, "w")
    if hasattr(sys.stdout, "reconfigure"):  # Jupyter's, in %run, is different
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.excepthook = _print_error
    # TensorFlow would warn about retracing for each new picture size.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Only the environment variable counts; keras.json often belongs to another project.
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    os.environ["KERAS_BACKEND"] = backend
    if backend not in BACKENDS:
        raise ValueError(
            f"KERAS_BACKEND = {backend!r} is not supported: set it to one of "
            f"{', '.join(BACKENDS)}."
        )
    if not importlib.util.find_spec(backend):
        raise ValueError(f"{backend} is not installed: docs/devices.md says how.")
    # PyTorch's threads would spin while they wait, which slows all if cores are few.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def path(text):
    """A path of the command line; the type for `argparse`, which refuses an empty one."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return pathlib.Path(os.path.expanduser(text))


def _print_error(kind, error, trace):
    """Prints an error: without its traceback, if it is Ctrl-C or was raised here on
    purpose."""
    if issubclass(kind, KeyboardInterrupt):
        print("\nInterrupted.", file=sys.stderr)
        return
    if issubclass(kind, BrokenPipeError):  # nobody reads on, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest
        return
    frame, number = list(traceback.walk_tb(trace))[-1]
    file = frame.f_code.co_filename
    # Not in subfolders: a virtual environment may be there.
    ours = pathlib.Path(file).resolve().parent in (PROJECT, PROJECT / "core")
    on_purpose = linecache.getline(file, number).lstrip().startswith("raise ")
    if ours and on_purpose and issubclass(kind, (ValueError, OSError)):
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def check_command_line():
    """Starts the command, answers --help, and refuses unknown settings.

    Does nothing in a notebook, or where another script imports this one.

    Raises:
        ValueError: for an unknown setting, or as `start_command`.
    """
    script = pathlib.Path(sys.argv[0])
    if script.suffix != ".py" or not script.is_file():
        return
    # A program that imports a training script may be in another encoding.
    block = _block(script.read_text(encoding="utf-8", errors="replace"))
    if block is None:
        return
    start_command()
    if {"--help", "-h"} & {*sys.argv[1:]}:
        print(f"usage: python {script.name} [NAME=value ...]\n")
        print(
            "Trains a network. The settings, at the top of the file, and their defaults:"
        )
        print("\n".join(["", *(match.group() for match in CONSTANT.finditer(block))]))
        sys.exit()
    _split(sys.argv[1:], CONSTANT.findall(block))


# --- The block of constants -----------------------------------------------------------


def collect(namespace):
    """Applies the command line to the block of constants above, and lists their names.

    Args:
        namespace: `globals()` of the script or notebook.

    Returns:
        List of names. Other upper-case variables, such as a notebook's, are not settings.

    Raises:
        ValueError: as `change` and `check_values`, or in a notebook if the constants are
            in another cell.
    """
    if "__file__" in namespace:
        source = pathlib.Path(namespace["__file__"]).read_text(encoding="utf-8")
    else:
        source = namespace.get("In", [""])[-1]  # the running cell of a notebook
    block = _block(source)
    if block is None:
        raise ValueError("settings.collect belongs in the cell with the constants.")
    names = CONSTANT.findall(block)
    _refuse_hidden_names(block, names)
    if namespace["__name__"] == "__main__" and "__file__" in namespace:
        change(namespace, names, sys.argv[1:])
    check_values(namespace, names)
    return names


def _refuse_hidden_names(block, names):
    """Refuses settings that are not on a line of their own, as in `SCALE, SEED = 2, 0`: the
    command line could not set them, nor a resumed run notice that they changed."""
    try:
        nodes = ast.walk(ast.parse(block))
    except SyntaxError:  # a notebook's own commands, such as %matplotlib
        return
    for node in nodes:
        stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if stored and node.id in {*KINDS, "DEGRADATION"} - {*names}:
            raise ValueError(
                f"{node.id} must stand at the start of a line of its own: {node.id} = ..."
            )


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
            namespace[name] = _parse(name, text, namespace[name])
        except ValueError as error:
            raise ValueError(f"{error} (settings: {', '.join(names)}).") from None


# --- What the constants may be --------------------------------------------------------


def _whole(least, most=math.inf):
    values = f"{least} or more" if most == math.inf else f"from {least} to {most}"
    return (
        f"a whole number (int), {values}",
        lambda value: type(value) is int and least <= value <= most,
    )


def _number(least, values):
    return (
        f"a finite number, {values}",
        lambda value: type(value) in (int, float) and least <= value < math.inf,
    )


def _is_text(value):
    return isinstance(value, (str, os.PathLike)) and str(value) != ""


def _are_positive(values):
    return isinstance(values, (tuple, list)) and all(map(_whole(1)[1], values))


TEXT = "text in quotes, not empty", _is_text
# What settings may be, in words and as a test. DEGRADATION is checked in data.py.
ROWS = {
    "IMAGE_SKIP ADVERSARIAL RELATIVISTIC": ("True or False", lambda x: type(x) is bool),
    "EPOCHS GAN_EPOCHS BLOCKS WARMUP_STEPS PATIENCE": _whole(0),
    "SCALE FILTERS GROUPS REDUCTION BATCH_SIZE STEPS_PER_EPOCH": _whole(1),
    "DISCRIMINATOR_FILTERS": _whole(1),
    "PATCH_SIZE": _whole(3),  # PSNR leaves out an LR pixel on each side
    "SEED": _whole(0, 2**32 - 1),  # NumPy's
    "NOISE RESIDUAL_SCALING GRID_WEIGHT": _number(0, "0 or more"),
    "LEARNING_RATE GAN_LEARNING_RATE": _number(math.ulp(0), "above 0"),
    "ADVERSARIAL_WEIGHT": _number(
        math.ulp(0), "above 0 (for none: ADVERSARIAL = False)"
    ),
    "DATASET RESULTS PRECISION OPTIMIZER LOSS CONTENT_LOSS": TEXT,
    "ACTIVATION DISCRIMINATOR_NORM": TEXT,
    "INITIAL_WEIGHTS INITIAL_DISCRIMINATOR VGG_WEIGHTS": (
        "a path in quotes, or None",
        lambda x: x is None or _is_text(x),
    ),
    "SCALES": ("whole numbers (int) such as (2, 3)", _are_positive),
    "LAYER_FILTERS": ("whole numbers (int) such as (64, 32)", _are_positive),
    "CHANNELS": ("1 or 3", lambda value: type(value) is int and value in (1, 3)),
}
KINDS = {name: kind for names, kind in ROWS.items() for name in names.split()}


def check_values(namespace, names):
    """Refuses constants that no training can have, in the file as on the command line.
    NumPy's numbers, as a notebook may set them, become Python's.

    Args:
        namespace: dict of the script's variables, `globals()`.
        names: the constants, as from `collect`.

    Returns:
        dict of the constants.

    Raises:
        ValueError: that names the first impossible one.
    """
    for name in names:
        if name not in KINDS or name not in namespace:
            continue
        if getattr(namespace[name], "ndim", None) == 0:
            namespace[name] = namespace[name].item()
        value, (kind, fits) = namespace[name], KINDS[name]
        if not fits(value):
            raise ValueError(f"{name} = {value!r} is impossible: it must be {kind}.")
    return {name: namespace[name] for name in names if name in namespace}


# --- Reading the block and the command line -------------------------------------------


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
            meant = name.strip("- ").upper()
            near = (
                [meant] if meant in names else difflib.get_close_matches(meant, names)
            )
            hint = (
                f" Did you mean {near[0]}={text or '..., without spaces'}?"
                if near
                else ""
            )
            raise ValueError(
                f"{edit} is not NAME=value for any setting.{hint} All "
                f"settings: {', '.join(names)}."
            )
        pairs.append((name, text))
    return pairs


def _parse(name, text, default):
    """The value that a text stands for: of the same kind as the default."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        value = text
    _, fits = KINDS.get(name, (None, None))
    if value is None and fits and fits(None):  # INITIAL_WEIGHTS=None
        return None
    if name == "DEGRADATION" and value == text and "," in text:  # bicubic,web
        return tuple(word.strip() for word in text.split(","))
    if isinstance(default, str) or default is None:  # a word, or a tuple of words
        words = value if isinstance(value, tuple) else [value]
        plain = words and all(isinstance(word, str) for word in words)
        return value if plain or value is default else text
    if isinstance(default, float) and type(value) is int:
        return float(value)
    # The file may have NOISE = 25, which says nothing against NOISE=2.5.
    if type(value) is not type(default) and not (fits and fits(value)):
        kinds = {bool: "True or False", int: "a whole number", float: "a number"}
        kind = kinds.get(type(default), f"like {default}")
        raise ValueError(f"{name} must be {kind}, not {text!r}")
    return value

"""What every script promises its readers."""

import ast
import pathlib
import subprocess
import sys

PROJECT = pathlib.Path(__file__).parent.parent
SCRIPTS = ["edsr.py", "espcn.py", "srgan.py", "mdsr.py", "rcan.py"]
CONSTANTS = (
    "DATASET DEGRADATION PATCH_SIZE BATCH_SIZE EPOCHS STEPS_PER_EPOCH "
    "LEARNING_RATE PRECISION SEED RESULTS"
).split()


def test_code_is_formatted_with_black():
    command = [sys.executable, "-m", "black", "--check", "--quiet", "."]
    assert subprocess.run(command, cwd=PROJECT).returncode == 0


def test_hyperparameters_stand_in_a_line_each():
    for name in SCRIPTS:
        lines = (PROJECT / name).read_text().splitlines()
        assert lines.index("## Hyperparameters")
        constants = {}
        for number, line in enumerate(lines):
            if line[:1].isupper() and " = " in line and "#" in line:
                constants[line.split(" = ")[0]] = line
        assert set(CONSTANTS) <= constants.keys()
        assert ("SCALES" if name == "mdsr.py" else "SCALE") in constants


def test_constants_are_used_in_main_alone():
    for name in SCRIPTS:
        tree = ast.parse((PROJECT / name).read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name != "main":
                names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                assert not {n for n in names if n.isupper()}, node.name


def test_imports_run_one_way():
    order = [
        "hardware",
        "leaves",
        "pixels",
        "sources",
        "data",
        "upscale",
        "metrics",
        "pictures",
        "training",
    ]
    for name in [*order, *(script[:-3] for script in SCRIPTS)]:
        tree = ast.parse((PROJECT / f"{name}.py").read_text())
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        allowed = order[: order.index(name)] if name in order else order
        ours = {path.stem for path in PROJECT.glob("*.py")}
        assert imported & ours <= set(allowed), name

"""The block of constants: what counts as a setting, and how the command line changes it."""

import importlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys

import nbclient
import nbformat
import numpy as np
import pytest

import edsr
import settings
from helpers import PROJECT, SCRIPTS, TINY, edited, edits, run_process
from tools import notebook

COMMANDS = ["upscale", "compare", "export", "data"]


# --- Values ---


@pytest.mark.parametrize(
    "edit, value",
    [
        ("SCALE=2", 2),
        ("EPOCHS=0", 0),
        ("DATASET=div2k", "div2k"),
        ("DATASET='div2k'", "div2k"),
        ("DATASET=my photos/é", "my photos/é"),
        ("DATASET=2024", "2024"),  # a folder
        ("DATASET=None", "None"),
        ("DATASET=a=b", "a=b"),
        ("DATASET={[]: 1}", "{[]: 1}"),
        ("DATASET=", ""),
        ("DEGRADATION=area", "area"),
        ("DEGRADATION=('bicubic', 'realistic')", ("bicubic", "realistic")),
        ("DEGRADATION=bicubic,web", ("bicubic", "web")),
        ("DATASET=a,b", "a,b"),
        ("IMAGE_SKIP=False", False),
        ("LEARNING_RATE=1e-4", 1e-4),
        ("LEARNING_RATE=1", 1.0),
        ("NOISE=-2.5", -2.5),
        ("INITIAL_WEIGHTS=weights/edsr_x2.keras", "weights/edsr_x2.keras"),
        ("INITIAL_WEIGHTS=None", None),
    ],
)
def test_values_are_literals_or_plain_words(edit, value):
    namespace = dict(vars(edsr))
    settings.change(namespace, edsr.SETTINGS, [edit])
    changed = namespace[edit.partition("=")[0]]
    assert changed == value and type(changed) is type(value)


def test_none_takes_the_place_of_a_file_that_the_script_names():
    namespace = {"INITIAL_WEIGHTS": "a.keras", "DATASET": "a"}
    settings.change(namespace, [*namespace], ["INITIAL_WEIGHTS=None", "DATASET=None"])
    assert namespace == {"INITIAL_WEIGHTS": None, "DATASET": "None"}


@pytest.mark.parametrize("text", ["(2, 4)", "2,4"])
def test_tuples_of_numbers(text):
    namespace = {"SCALES": (2, 3, 4)}
    settings.change(namespace, ["SCALES"], [f"SCALES={text}"])
    assert namespace == {"SCALES": (2, 4)}


def test_whole_number_in_the_file_does_not_refuse_others():
    namespace = {"NOISE": 25, "LEARNING_RATE": 1, "SCALE": 4}
    settings.change(namespace, [*namespace], ["NOISE=2.5", "LEARNING_RATE=1e-4"])
    assert namespace == {"NOISE": 2.5, "LEARNING_RATE": 1e-4, "SCALE": 4}
    with pytest.raises(ValueError, match="SCALE must be a whole number, not '2.5'"):
        settings.change(namespace, [*namespace], ["SCALE=2.5"])


def test_later_edits_win_and_others_stay():
    namespace = dict(vars(edsr))
    settings.change(namespace, edsr.SETTINGS, ["SCALE=2", "SEED=7", "SCALE=3"])
    for name in edsr.SETTINGS:
        expected = {"SCALE": 3, "SEED": 7}.get(name, getattr(edsr, name))
        assert namespace[name] == expected


# --- Mistakes ---


@pytest.mark.parametrize(
    "edit, hint",
    [
        ("SCALES=2", " Did you mean SCALE=2?"),
        ("scale=2", " Did you mean SCALE=2?"),
        ("LEARNINGRATE=1", " Did you mean LEARNING_RATE=1?"),
        ("SCALE", " Did you mean SCALE=..., without spaces?"),
        ("--scale", " Did you mean SCALE=..., without spaces?"),
        ("=2", ""),
        ("LOUDNESS=3", ""),
        ("os=2", ""),
        ("", ""),
    ],
)
def test_unknown_settings_are_refused_with_all_names(edit, hint):
    namespace = dict(vars(edsr))
    with pytest.raises(ValueError) as error:
        settings.change(namespace, edsr.SETTINGS, ["SEED=1", edit])
    names = ", ".join(edsr.SETTINGS)
    assert str(error.value) == (
        f"{edit} is not NAME=value for any setting.{hint} All settings: {names}."
    )
    assert namespace == vars(edsr)


@pytest.mark.parametrize(
    "edit, kind",
    [
        ("SCALE=two", "a whole number"),
        ("SCALE=2.0", "a whole number"),
        ("SCALE=True", "a whole number"),
        ("SCALE=", "a whole number"),
        ("SCALE=None", "a whole number"),
        ("SCALE={[]: 1}", "a whole number"),
        ("IMAGE_SKIP=1", "True or False"),
        ("IMAGE_SKIP=false", "True or False"),
        ("LEARNING_RATE=high", "a number"),
        ("LEARNING_RATE=True", "a number"),
        ("LEARNING_RATE=1e-4,", "a number"),
    ],
)
def test_values_of_the_wrong_kind_are_refused_with_all_names(edit, kind):
    namespace = dict(vars(edsr))
    name, _, text = edit.partition("=")
    with pytest.raises(ValueError) as error:
        settings.change(namespace, edsr.SETTINGS, [edit])
    names = ", ".join(edsr.SETTINGS)
    expected = f"{name} must be {kind}, not {text!r} (settings: {names})."
    assert str(error.value) == expected
    assert namespace == vars(edsr)


def test_tuple_of_scales_does_not_take_one():
    namespace = {"SCALES": (2, 3, 4)}
    with pytest.raises(ValueError, match=r"SCALES must be like \(2, 3, 4\), not '2'"):
        settings.change(namespace, ["SCALES"], ["SCALES=2"])


@pytest.mark.parametrize(
    "name, value, kind",
    [
        ("BATCH_SIZE", 0, "a whole number (int), 1 or more"),
        ("BATCH_SIZE", 2.0, "a whole number (int), 1 or more"),
        ("SCALE", 4.0, "a whole number (int), 1 or more"),
        ("SCALE", "4", "a whole number (int), 1 or more"),
        ("FILTERS", 0, "a whole number (int), 1 or more"),
        ("FILTERS", True, "a whole number (int), 1 or more"),
        ("STEPS_PER_EPOCH", 1e3, "a whole number (int), 1 or more"),
        ("BLOCKS", -1, "a whole number (int), 0 or more"),
        ("EPOCHS", 1.0, "a whole number (int), 0 or more"),
        ("EPOCHS", None, "a whole number (int), 0 or more"),
        ("PATCH_SIZE", 2, "a whole number (int), 3 or more"),
        ("SEED", -1, "a whole number (int), from 0 to 4294967295"),
        ("SEED", 2**33, "a whole number (int), from 0 to 4294967295"),
        ("NOISE", -0.1, "a finite number, 0 or more"),
        ("NOISE", float("nan"), "a finite number, 0 or more"),
        ("NOISE", "5", "a finite number, 0 or more"),
        ("NOISE", None, "a finite number, 0 or more"),
        ("LEARNING_RATE", 0.0, "a finite number, above 0"),
        (
            "ADVERSARIAL_WEIGHT",
            0.0,
            "a finite number, above 0 (for none: ADVERSARIAL = ",
        ),
        ("LEARNING_RATE", "1e-4", "a finite number, above 0"),
        ("LEARNING_RATE", float("inf"), "a finite number, above 0"),
        ("GAN_LEARNING_RATE", -1e-4, "a finite number, above 0"),
        ("IMAGE_SKIP", "False", "True or False"),
        ("IMAGE_SKIP", 0, "True or False"),
        ("RESULTS", None, "text in quotes, not empty"),
        ("CONTENT_LOSS", ["mse"], "text in quotes, not empty"),
        ("INITIAL_WEIGHTS", True, "a path in quotes, or None"),
        ("INITIAL_WEIGHTS", "", "a path in quotes, or None"),
        ("RESULTS", "", "text in quotes, not empty"),
        ("SCALES", 2, "whole numbers (int) such as (2, 3)"),
        ("SCALES", np.array([2, 3]), "whole numbers (int) such as (2, 3)"),
        ("SCALES", (2.0, 3), "whole numbers (int) such as (2, 3)"),
        ("LAYER_FILTERS", 8, "whole numbers (int) such as (64, 32)"),
        ("LAYER_FILTERS", (8, 0), "whole numbers (int) such as (64, 32)"),
        ("CHANNELS", 2, "1 or 3"),
        ("CHANNELS", True, "1 or 3"),
    ],
)
def test_impossible_values_are_named(name, value, kind):
    """In the file as on the command line."""
    with pytest.raises(ValueError) as error:
        settings.check_values({name: value}, ["OTHER", name])
    expected = f"{name} = {value!r} is impossible: it must be {kind}"
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize(
    "name, value",
    [
        ("NOISE", 25),
        ("LEARNING_RATE", 1),
        ("SEED", 2**32 - 1),
        ("PATCH_SIZE", 3),
        ("SCALES", [2, 4]),
        ("LAYER_FILTERS", ()),
        ("CHANNELS", 3),
        ("DATASET", PROJECT),
        ("INITIAL_WEIGHTS", None),
    ],
)
def test_possible_values_are_taken(name, value):
    settings.check_values({name: value}, [name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_setting_has_a_kind(name):
    """Save one, which `data.load` checks."""
    script = importlib.import_module(name)
    assert {*script.SETTINGS} - settings.KINDS.keys() == {"DEGRADATION"}
    settings.check_values(vars(script), script.SETTINGS)


# --- The block of a script ---


def block_of(name):
    """The lines of constants, as they stand in the file."""
    source = (PROJECT / f"{name}.py").read_text()
    cell = source.partition("## Hyperparameters")[2].split('\n"""\n')[1]
    *lines, collected = [line for line in cell.splitlines() if " = " in line]
    assert collected.startswith("SETTINGS = settings.collect(globals())")
    return lines


@pytest.mark.parametrize("name", SCRIPTS)
def test_settings_are_the_constants_of_the_block(name):
    script = importlib.import_module(name)
    names = [line.split(" = ")[0] for line in block_of(name)]
    assert script.SETTINGS == names and len(names) >= 12
    for constant in names:
        assert constant.isupper() and hasattr(script, constant)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_prints_the_block_at_once(name, tmp_path):
    """Without the libraries that take seconds, of which none can be had here."""
    for library in ("keras", "tensorflow", "numpy", "matplotlib", "jax"):
        (tmp_path / f"{library}.py").write_text("raise ImportError('was imported')")
    done = subprocess.run(
        [sys.executable, PROJECT / f"{name}.py", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: python {name}.py [NAME=value ...]" in done.stdout
    lines = done.stdout.splitlines()
    for line in block_of(name):
        assert line in lines and "  # " in line


@pytest.mark.parametrize("edit", ["SCLAE=2", "--scale"])
def test_unknown_settings_are_refused_at_once(edit, tmp_path):
    """Before the libraries that take seconds."""
    (tmp_path / "keras.py").write_text("raise ImportError('was imported')")
    done = subprocess.run(
        [sys.executable, PROJECT / "edsr.py", "EPOCHS=1", edit],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(
        f"edsr.py: {edit} is not NAME=value for any setting. Did you mean "
    )
    assert done.stderr.count("\n") == 1


def test_command_line_of_another_command_is_left_to_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # restored after the test
    for script in ("weights/train.py", "data.py", "upscale.py", "nowhere.py"):
        for argument in ("--help", "NAME"):
            monkeypatch.setattr(sys, "argv", [str(PROJECT / script), argument])
            settings.check_command_line()
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    settings.check_command_line()
    assert capsys.readouterr().out == ""
    for arguments in (["--help"], ["SCALE=2", "-h"]):
        monkeypatch.setattr(sys, "argv", [str(PROJECT / "edsr.py"), *arguments])
        with pytest.raises(SystemExit) as end:
            settings.check_command_line()
        assert not end.value.code and "DATASET = " in capsys.readouterr().out


def test_program_in_another_encoding_imports_a_script(tmp_path, monkeypatch):
    program = tmp_path / "mine.py"
    program.write_text("# coding: latin-1\n# für mich\n", encoding="latin-1")
    monkeypatch.setattr(sys, "argv", [str(program)])
    settings.check_command_line()


# A script of the same form as the training scripts, which imports nothing that takes time.
SMALL = '''"""
## Setup
"""

import settings

settings.check_command_line()

"""
## Hyperparameters
"""

LAYERS = (4, 8)  # filters of each
SCALE = 4  # 2, 3, 4 or 8
RATE = 1e-3  # paper: 1e-4
RESULTS = "results"  # a folder

SETTINGS = settings.collect(globals())

"""
## Training
"""

LATER = 3


def main():
    HR = 5
    print(SETTINGS, LAYERS, SCALE, RATE, RESULTS, HR)


if __name__ == "__main__":
    main()
'''


def run_small(tmp_path, *arguments, text=SMALL):
    (tmp_path / "small.py").write_text(text)
    return subprocess.run(
        [sys.executable, "small.py", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )


def test_command_line_changes_one_run(tmp_path):
    names = "['LAYERS', 'SCALE', 'RATE', 'RESULTS']"
    done = run_small(tmp_path, "SCALE=2", "LAYERS=8,16", "RESULTS=a b")
    assert done.stdout == f"{names} (8, 16) 2 0.001 a b 5\n"
    done = run_small(tmp_path)
    assert done.stdout == f"{names} (4, 8) 4 0.001 results 5\n"
    assert (tmp_path / "small.py").read_text() == SMALL


@pytest.mark.parametrize("name", SCRIPTS)
def test_impossible_value_that_a_notebook_sets_is_named(name, monkeypatch):
    script = importlib.import_module(name)
    monkeypatch.setattr(script, "STEPS_PER_EPOCH", 5.0)
    with pytest.raises(ValueError, match="STEPS_PER_EPOCH = 5.0 is impossible"):
        script.main()


def test_numbers_of_numpy_become_those_of_python():
    rate = np.float32(0.5)
    namespace = {"SCALE": np.int64(2), "LEARNING_RATE": rate, "IMAGE_SKIP": np.True_}
    settings.check_values(namespace, [*namespace])
    assert namespace == {"SCALE": 2, "LEARNING_RATE": 0.5, "IMAGE_SKIP": True}
    assert [*map(type, namespace.values())] == [int, float, bool]


def test_impossible_value_in_the_file_is_one_line(tmp_path):
    text = SMALL.replace("SCALE = 4 ", "SCALE = 4.0 ")
    done = run_small(tmp_path, text=text)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        "small.py: SCALE = 4.0 is impossible: it must be a whole number (int), 1 or "
        "more.\n"
    )


@pytest.mark.parametrize(
    "edit, message",
    [
        (
            "RATES=1",
            "RATES=1 is not NAME=value for any setting. Did you mean RATE=1? All "
            "settings: LAYERS, SCALE, RATE, RESULTS.",
        ),
        (
            "RATE=x",
            "RATE must be a number, not 'x' (settings: LAYERS, SCALE, RATE, RESULTS).",
        ),
    ],
)
def test_mistake_on_the_command_line_is_one_line(tmp_path, edit, message):
    done = run_small(tmp_path, "SCALE=2", edit)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"small.py: {message}\n"


def test_setting_that_is_refused_later_is_one_line(tmp_path):
    status, out, _ = run_process(tmp_path, "espcn.py", "DATASET=nowhere")
    assert status == 1
    assert out.splitlines()[-1].startswith("espcn.py: DATASET = 'nowhere' is neither")


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_refuses_in_one_line(name, tmp_path, smooth_pictures):
    scale = "SCALES=2,5" if name == "mdsr" else "SCALE=-5"
    (tmp_path / "file").touch()
    for edit, message in {
        scale: rf"{scale[:5]}S? = .*5.*\.",
        "DEGRADATION=fog": "DEGRADATION = 'fog' is not one of .*",
        "PRECISION=float8": "PRECISION = 'float8' is not one of .*",
        "RESULTS=file": "RESULTS = 'file' cannot be written: a file is in the way.*",
        "INITIAL_WEIGHTS=nowhere.keras": "The initial weights cannot be loaded: .*",
    }.items():
        constants = edits({**TINY[name], "DATASET": str(smooth_pictures)})
        status, out, _ = run_process(tmp_path, f"{name}.py", *constants, edit)
        assert status == 1
        assert re.fullmatch(f"{name}.py: {message}", out.splitlines()[-1])


@pytest.mark.parametrize(
    "code, last",
    [
        ("raise ValueError('SCALE = 5: no.')", "small.py: SCALE = 5: no."),
        ("raise ValueError(\n        'SCALE: no.'\n    )", "small.py: SCALE: no."),
        (
            "raise OSError('a cannot be written') from None",
            "small.py: a cannot be written",
        ),
        ("raise TypeError('a mistake')", "TypeError: a mistake"),
        ("import library", "ValueError: an error of a library"),
        ("int('five')", "ValueError: invalid literal for int() with base 10: 'five'"),
        (
            "open('nowhere')",
            "FileNotFoundError: [Errno 2] No such file or directory: 'nowhere'",
        ),
        (
            "import json; json.loads('')",
            "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        ),
    ],
)
def test_only_errors_raised_here_on_purpose_are_one_line(code, last, tmp_path):
    """Others are mistakes in the code, or of libraries: they keep their traceback."""
    shutil.copy(PROJECT / "settings.py", tmp_path)  # a project of its own
    small = SMALL.replace("    HR = 5\n", f"    {code}\n")
    assert small != SMALL
    (tmp_path / "small.py").write_text(small)
    (tmp_path / "venv").mkdir()
    library = "raise ValueError('an error of a library')"
    (tmp_path / "venv" / "library.py").write_text(library)
    done = subprocess.run(
        [sys.executable, "small.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
    )
    *before, line = done.stderr.splitlines()
    assert done.returncode == 1 and line == last
    assert ("Traceback (most recent call last):" in before) != last.startswith("small")
    assert not last.startswith("small") or not before


def test_ctrl_c_is_one_line(tmp_path, ctrl_c):
    """As during the imports, before anything of ours takes it."""
    (tmp_path / "keras.py").write_text("import signal; signal.raise_signal(2)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, PROJECT / "upscale.py", tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "\nInterrupted.\n")


@pytest.mark.parametrize(
    "backend, script",
    [("Jax", f"{name}.py") for name in [*SCRIPTS, *COMMANDS]]
    + [("openvino", "edsr.py"), ("nothing", "edsr.py")],
)
def test_backend_that_is_not_supported_is_refused_at_once(backend, script, tmp_path):
    (tmp_path / "keras.py").write_text("raise ImportError('was imported')")
    done = subprocess.run(
        [sys.executable, PROJECT / script, "x"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        f"{script}: KERAS_BACKEND = '{backend}' is not supported: set it to one of "
        "tensorflow, jax, torch.\n"
    )


def test_backend_is_tensorflow_unless_the_environment_names_another(monkeypatch):
    """Whatever keras.json says. A backend that is not installed is named."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for given, backend in {None: "tensorflow", "": "tensorflow", "jax": "jax"}.items():
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        if given is not None:
            monkeypatch.setenv("KERAS_BACKEND", given)
        settings.start_command()
        assert os.environ["KERAS_BACKEND"] == backend
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="jax is not installed: docs/devices.md"):
        settings.start_command()


def test_cell_without_the_constants_is_named():
    namespace = {"__name__": "__main__", "In": ["SCALE = 4", "print(1)"]}
    with pytest.raises(ValueError, match="belongs in the cell with the constants"):
        settings.collect(namespace)


@pytest.mark.parametrize(
    "line", ["SCALE=4", "SCALE  =  4", "SCALE: int = 4", "SCALE : int=4  # x"]
)
def test_constant_is_a_setting_however_it_is_spaced(line):
    cell = (
        f"{line}\nNOISE = 0.0\nSCALE == NOISE\nSETTINGS = settings.collect(globals())"
    )
    namespace = {"__name__": "__main__", "In": [cell], "SCALE": 4, "NOISE": 0.0}
    assert settings.collect(namespace) == ["SCALE", "NOISE"]


@pytest.mark.parametrize(
    "line", ["SCALE, SEED = 4, 0", "NOISE = SCALE = 4", "if True:\n    SCALE = 4"]
)
def test_setting_that_shares_a_line_is_refused(line):
    """Neither the command line nor a resumed run would notice it."""
    cell = f"SEED = 1\n{line}\nSETTINGS = settings.collect(globals())"
    namespace = {"__name__": "__main__", "In": [cell], "SCALE": 4}
    with pytest.raises(
        ValueError, match="SCALE must stand at the start of a line of its"
    ):
        settings.collect(namespace)
    namespace["In"] = [cell.replace(line, f"%matplotlib inline\n{line}")]  # no Python
    assert "SCALE" not in settings.collect(namespace)


def test_importing_a_script_takes_nothing_from_the_command_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "SCALE=2", "--whatever"])
    namespace = {"__name__": "edsr", "__file__": edsr.__file__, "SCALE": 4}
    assert settings.collect(namespace) == edsr.SETTINGS
    assert namespace["SCALE"] == 4


# --- Notebooks ---


def execute(codes, monkeypatch):
    """Runs cells of code in a kernel; gives what each printed."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    cells = [nbformat.v4.new_code_cell(code) for code in codes]
    book = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    return [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in book.cells
    ]


def test_stray_variable_is_no_setting_when_the_cell_runs_again():
    source = (PROJECT / "edsr.py").read_text()
    (cell,) = [c for c in source.split('"""\n') if "settings.collect(" in c]
    namespace = {"__name__": "__main__", "In": ["HR = 3", cell], "HR": 3}
    assert settings.collect(namespace) == edsr.SETTINGS


@pytest.mark.slow
def test_variables_of_a_notebook_are_no_settings(
    tmp_path, smooth_pictures, monkeypatch
):
    """Neither a stray one, nor when the cell with the constants runs again."""
    constants = {**TINY["edsr"], "EPOCHS": 1}
    constants |= {"DATASET": str(smooth_pictures), "RESULTS": str(tmp_path / "results")}
    cells = notebook.to_notebook(edited("edsr", constants), "").cells
    codes = [cell.source for cell in cells[:-1] if cell.cell_type == "code"]
    (block,) = [code for code in codes if "SETTINGS = " in code]
    more = block.replace("EPOCHS = 1", "EPOCHS = 2")
    assert more != block
    stray = "HR = 3\nMY_NOTE = 'text'"
    steps = [stray, block, "main()", more, "main()"]
    printed = execute([*codes, *steps], monkeypatch)[len(codes) - 1 :]
    first, _, _, again, _, raised = printed
    assert "New run in" in first and "PSNR Y" in first
    assert "trained for all of its 1 epochs" in again
    assert "Resuming" in raised and "after epoch 1" in raised
    folders = [path.name for path in (tmp_path / "results").glob("[!.]*")]
    assert folders == ["edsr_x2_pictures"]


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("upscale", [""]),
        ("upscale", ["a.png", "--output", ""]),
        ("compare", ["--output", ""]),
        ("export", ["a.keras", "onnx", ""]),
    ],
)
def test_empty_path_is_refused(name, arguments, monkeypatch, capsys):
    command = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    with pytest.raises(SystemExit):
        command.main()
    assert "the path is empty" in capsys.readouterr().err


def test_names_that_the_terminal_cannot_show_are_written_with_escapes():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import settings; settings.start_command(); print('сеть')",
        ],
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == r"\u0441\u0435\u0442\u044c", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no such pipes")
@pytest.mark.parametrize("output", ["| true", ">&-"])
def test_output_that_nobody_reads_is_no_error(output):
    code = (
        "import sys, settings; settings.start_command(); "
        "sys.stdout.write('x' * 10**6)"
    )
    command = f"'{sys.executable}' -c \"{code}\" {output}"
    run = subprocess.run(
        command, shell=True, cwd=PROJECT, capture_output=True, text=True
    )
    assert "Traceback" not in run.stderr and "Error" not in run.stderr

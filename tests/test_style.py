"""What the code promises its readers: where things are, and who may use what."""

import ast
import graphlib
import importlib
import re
import subprocess
import sys

import pytest

from helpers import PROJECT, SCRIPTS

CONSTANTS = (
    "DATASET DEGRADATION PATCH_SIZE BATCH_SIZE EPOCHS STEPS_PER_EPOCH "
    "LEARNING_RATE PRECISION SEED RESULTS"
).split()
COMMANDS = ["upscale", "compare", "export"]
SHARED = (
    "data losses metrics optimizers training callbacks results drawings hardware settings"
).split()
CORE = sorted(path.stem for path in PROJECT.glob("core/[a-z]*.py"))
# Parts of main() that are functions of their own.
STAGES = {
    "srgan": {"train_srresnet", "train_srgan", "compile_networks"},
    "mdsr": {"data_of_each_scale"},
}

# Every module of ours by its name: "edsr", "core.files", "tools.notebook", ...
MODULES = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts): path
    for pattern in (
        "*.py",
        "core/*.py",
        "tools/*.py",
        "benchmarks/*.py",
        "weights/*.py",
    )
    for path in PROJECT.glob(pattern)
    if path.stem != "__init__"
}


def tree_of(name):
    return ast.parse(MODULES[name].read_text())


def imports_of(name):
    """The modules of ours that a module imports, wherever it does."""
    imported = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {node.module}
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    return imported & MODULES.keys()


# --- Files ---


def test_code_is_formatted_with_black():
    command = [sys.executable, "-m", "black", "--check", "--quiet", "."]
    assert subprocess.run(command, cwd=PROJECT).returncode == 0


def test_everything_is_where_the_design_puts_it():
    root = {name for name in MODULES if "." not in name}
    assert root == {*SCRIPTS, *COMMANDS, *SHARED}
    for path in (
        "README.md",
        "LICENSE",
        "requirements.txt",
        "pyproject.toml",
        ".ci/run",
        "docs",
        "benchmarks",
        "weights/README.md",
    ):
        assert (PROJECT / path).exists()


def test_each_module_has_a_test_file_of_its_name():
    tested = {path.stem for path in (PROJECT / "tests").glob("test_*.py")}
    modules = [*SCRIPTS, *COMMANDS, *SHARED, *CORE, "notebook", "weights", "benchmarks"]
    assert {f"test_{name}" for name in modules} <= tested


def test_test_modules_share_by_helpers_alone():
    for path in (PROJECT / "tests").glob("*.py"):
        tree = ast.parse(path.read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        imported = {node.module for node in nodes}
        imported |= {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert not {name for name in imported if name.startswith("test_")}, path


# --- Imports ---


def test_imports_are_read_as_they_stand():
    assert {"settings", "data", "training", "results"} <= imports_of("edsr")
    assert {"core.decoded", "core.datasets", "core.images"} <= imports_of("data")
    assert imports_of("core.pixels") == set()


@pytest.mark.parametrize("name", CORE)
def test_core_never_imports_the_root(name):
    assert {other.split(".")[0] for other in imports_of(f"core.{name}")} <= {"core"}


def test_imports_run_without_circles():
    graph = {name: imports_of(name) for name in MODULES}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert {*order} == {*MODULES}


@pytest.mark.parametrize("name", [*SCRIPTS, *COMMANDS, *SHARED])
def test_no_script_is_imported(name):
    """By another, a command, or a module that scripts share."""
    assert not imports_of(name) & {*SCRIPTS}


def test_root_holds_what_is_run_and_what_scripts_import():
    named = set.union(*(imports_of(name) for name in SCRIPTS))
    assert {name for name in named if "." not in name} == {*SHARED}
    assert not [name for name in named if name.startswith("core.")]
    for name in (*SCRIPTS, *COMMANDS):
        assert 'if __name__ == "__main__":\n    main()' in MODULES[name].read_text()


@pytest.mark.parametrize("name", MODULES)
def test_private_names_stay_where_they_are(name):
    """Those of other modules and of libraries."""
    for node in ast.walk(tree_of(name)):
        private = []
        if isinstance(node, ast.ImportFrom):
            private = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            private = [] if own else [node.attr]
        private = [p for p in private if p[0] == "_" and not p.endswith("__")]
        private = [p for p in private if p != "_replace"]  # a named tuple's is public
        assert not private, f"{name}, line {node.lineno}: {private}"


def test_public_names_are_where_notebooks_look_for_them():
    for name in (
        "data.load data.training_batches data.bicubic_resize data.luma data.draw_leaves "
        "data.read_image metrics.psnr metrics.ssim metrics.lpips metrics.niqe "
        "metrics.PSNR metrics.SSIM "
        "metrics.evaluate upscale.upscale upscale.load_network edsr.build_edsr "
        "espcn.build_espcn srgan.build_srresnet srgan.build_discriminator "
        "mdsr.build_mdsr rcan.build_rcan hardware.set_precision"
    ).split():
        module, _, attribute = name.partition(".")
        module = importlib.import_module(module)
        assert callable(getattr(module, attribute))
        assert attribute in getattr(module, "__all__", [attribute])


# --- Training scripts ---


@pytest.mark.parametrize("name", SCRIPTS)
def test_hyperparameters_come_first_and_each_has_a_comment(name):
    source = MODULES[name].read_text()
    headings = re.findall(r"^## (.*)$", source, flags=re.M)
    first = ["Introduction", "Setup", "Hyperparameters"]
    assert headings[:3] == first
    script = importlib.import_module(name)
    scale = "SCALES" if name == "mdsr" else "SCALE"
    assert {*CONSTANTS, scale} <= {*script.SETTINGS}
    for constant in script.SETTINGS:
        (line,) = re.findall(rf"^{constant} = .*$", source, flags=re.M)
        assert re.fullmatch(r"[A-Z_]+ = .+  # .{3,}", line), line


@pytest.mark.parametrize("name", SCRIPTS)
def test_constants_are_used_in_main_alone(name):
    """And each of them is."""
    allowed = {"main"} | STAGES.get(name, set())
    settings, used = {*importlib.import_module(name).SETTINGS}, set()
    for node in tree_of(name).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        upper = {
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id.isupper()
        }
        if node.name in allowed:
            used |= upper
        else:
            assert not upper & {*settings, "SETTINGS"}, node.name
    assert settings <= used and "SETTINGS" in used
    assert allowed <= {getattr(node, "name", None) for node in tree_of(name).body}


@pytest.mark.parametrize("name", SCRIPTS)
def test_command_line_is_checked_before_libraries_are_imported(name):
    before = set()
    for node in tree_of(name).body:
        if isinstance(node, ast.Import):
            before |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            before.add(node.module)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if ast.unparse(node.value) == "settings.check_command_line()":
                break
    else:
        pytest.fail("settings.check_command_line() is not called")
    assert before == {"os", "settings"}
    assert not imports_of("settings")

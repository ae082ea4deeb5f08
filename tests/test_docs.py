"""The pages: their code runs, their links lead somewhere, their commands exist."""

import importlib
import importlib.util
import re
import shlex

import pytest
from PIL import Image

import data
import export
import settings
from helpers import PROJECT, SCRIPTS, noise, save

PAGES = [
    PROJECT / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    PROJECT / "weights" / "README.md",
]
IDS = [str(page.relative_to(PROJECT)) for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.M | re.S)


def blocks(page, language):
    """The fenced blocks of a language, "" for those without."""
    found = FENCE.findall(page.read_text())
    return [text for name, text in found if name == language]


def commands(page):
    """Every command that begins with python, as a list of words."""
    lines = "\n".join(blocks(page, "")).replace("\\\n", " ").splitlines()
    rest = FENCE.sub("", page.read_text())
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)]
    for line in [*lines, *spans]:
        for command in line.split("&&"):
            # Perhaps after variables of the environment.
            if match := re.match(r"\s*(?:[A-Z_]+=\S+ )*python (.+)", command):
                yield shlex.split(match[1], comments=True)


# --- Code ---


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the pages take to be there."""
    save(noise(24, 30, 3), tmp_path / "photo.jpg")
    for scale in (2, 3, 4):
        for number in range(2):
            hr = noise(48, 60, 3, seed=number)
            folder = tmp_path / f"Set5/image_SRF_{scale}"
            save(hr, folder / f"{number}_HR.png")
            lr = data.bicubic_resize(hr, 48 // scale, 60 // scale)
            save(lr, folder / f"{number}_LR.png")
    for seed, name in enumerate(("originals", "enlarged")):
        save(noise(48, 60, 3, seed=seed), tmp_path / name / "photo.png")
    (tmp_path / "weights").symlink_to(PROJECT / "weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(PROJECT)
    return tmp_path


def with_code(page, name):
    exports = any(words[0] == "export.py" for words in commands(page))
    return pytest.param(page, marks=[pytest.mark.slow] if exports else [], id=name)


def test_some_pages_have_code():
    assert sum(len(blocks(page, "python")) for page in PAGES) >= 5


@pytest.mark.parametrize(
    "page",
    [with_code(*page) for page in zip(PAGES, IDS) if blocks(page[0], "python")],
)
def test_code_runs_from_top_to_bottom(page, place, run_command):
    """After the page's own commands that export what it uses."""
    for words in commands(page):
        # A web page, which needs npm, is used by no code.
        if words[0] == "export.py" and len(words) > 3 and words[2] != "web":
            assert run_command(export, *words[1:])[0] == 0
    namespace = {"__name__": "page"}
    for number, text in enumerate(blocks(page, "python")):
        code = compile(text, f"{page.name}, block {number + 1}", "exec")
        exec(code, namespace)
        for name in re.findall(r"\.save\(\"([^\"]+)\"\)", text):
            assert (place / name).exists()
            if name == "photo_x4.png":
                assert Image.open(name).size == (120, 96)


# --- Links ---


def anchors(page):
    """What its headings are called in links, as GitHub makes it."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h).lower() for h in headings]
    return {re.sub(r"[^\w\- ]", "", h).strip().replace(" ", "-") for h in plain}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text())
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    links += re.findall(r"^\[[^\]]+\]: (\S+)$", text, flags=re.M)
    for link in links:
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists() and PROJECT.resolve() in target.parents, link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme():
    text = (PROJECT / "README.md").read_text()
    for name in IDS[1:]:
        assert f"]({name}" in text


def test_readme_is_short():
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 200


@pytest.mark.parametrize(
    "page, modules", [("README.md", "*.py"), ("docs/code.md", "core/[a-z]*.py")]
)
def test_maps_name_every_module(page, modules):
    listed = "\n".join(blocks(PROJECT / page, ""))
    for path in PROJECT.glob(modules):
        assert re.search(rf"(^|\W){path.name}\b", listed), path.name


# --- Commands ---


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_exist_and_take_these_options(page):
    for words in commands(page):
        if words[0] == "-m" and words[1].split(".")[0] != "benchmarks":
            assert importlib.util.find_spec(words[1]), words  # pytest, pip
            continue
        path, options = words[0], words[1:]
        if path == "-m":
            path, options = words[1].replace(".", "/") + ".py", words[2:]
        assert (PROJECT / path).is_file(), words
        if path.removesuffix(".py") in SCRIPTS:
            script = importlib.import_module(path.removesuffix(".py"))
            edits = [word for word in options if word not in ("--help", "-h")]
            settings.change(dict(vars(script)), script.SETTINGS, edits)
            continue
        source = (PROJECT / path).read_text()
        for option in options:
            if option.startswith("-"):
                assert f'"{option}"' in source, words


def test_commands_are_found_where_they_stand(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Run `python edsr.py SCALE=2` or `KERAS_BACKEND=jax\npython rcan.py`.\n\n"
        "```\npip install x && python -m pytest\npython a.py \\\n    b  # comment\n```\n\n"
        "```python\nimport keras\n```\n"
    )
    assert sorted(commands(page)) == [
        ["-m", "pytest"],
        ["a.py", "b"],
        ["edsr.py", "SCALE=2"],
        ["rcan.py"],
    ]
    assert blocks(page, "python") == ["import keras\n"]

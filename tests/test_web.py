"""The page in web/: its folder, what it refuses, and a picture in Chromium."""

import functools
import http.server
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image

import export
import upscale
from core import web
from helpers import PROJECT, noise, save

NPM = f"""#!{sys.executable}
import shutil, sys
assert sys.argv[1:3] == ["pack", "{web.RUNTIME}"]
shutil.copy("PACKAGE", "package.tgz")
"""


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """An npm whose package holds the names of its files; gives its path."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    with tarfile.open(tmp_path / "bin" / "package.tgz", "w:gz") as package:
        for name in web.RUNTIME_FILES:
            file = tarfile.TarInfo(f"package/dist/{name}")
            file.size = len(name)
            package.addfile(file, io.BytesIO(name.encode()))
    npm.write_text(NPM.replace("PACKAGE", str(tmp_path / "bin" / "package.tgz")))
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    return npm


# --- The folder ---


@pytest.mark.parametrize("channels, overlap", [(3, 9), (1, 11)])
def test_folder_is_complete(channels, overlap, tiny_network, fake_npm, tmp_path):
    """With a network for RGB, also if it is for luma, where bicubic adds to the radius."""
    import onnxruntime

    model, folder = tiny_network(2, channels), tmp_path / "new" / "demo"
    assert export.export(model, "web", folder) < 0.05
    page = {path.name for path in web.PAGE.iterdir()}
    runtime = {*web.RUNTIME_FILES.values()}
    assert {path.name for path in folder.iterdir()} == (
        {"network.onnx", "network.json"} | page | runtime
    )
    for name, ours in web.RUNTIME_FILES.items():
        assert (folder / ours).read_text() == name
    facts = json.loads((folder / "network.json").read_text())
    assert facts == {"scale": 2, "overlap": overlap, "tile": web.TILE}
    network = onnxruntime.InferenceSession(folder / "network.onnx")
    lr = noise(1, 12, 16, 3)
    (sr,) = network.run(None, {network.get_inputs()[0].name: lr.astype(np.float32)})
    expected = upscale.upscale(model, lr[0], precision="float32")
    assert np.abs(sr[0].clip(0, 255) - expected).max() < 0.51
    assert [path.name for path in folder.parent.iterdir()] == ["demo"]


def test_page_loads_its_own_files_alone():
    """Each by a relative path, so that the folder may lie anywhere."""
    text = {path.name: path.read_text() for path in web.PAGE.iterdir()}
    assert {*text} == {"index.html", "main.js", "worker.js"}
    for source in text.values():
        assert not re.search(r"https?:|//\w+\.|@import|url\(", source)
    loaded = re.findall(
        r"""(?:src=|href=|from |import\(|Worker\(|fetch\(|create\(|: )["']([^"']+\.\w+)["']""",
        "\n".join(text.values()),
    )
    ours = {*text, *web.RUNTIME_FILES.values(), "network.onnx", "network.json"}
    assert {name.removeprefix("./") for name in loaded} <= ours
    assert len(loaded) == 6


# --- What is refused ---


def test_missing_npm_is_named(tiny_network, model_file, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="npm is missing.*install Node.js"):
        export.export(tiny_network(2), "web", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_package_that_cannot_be_fetched(tiny_network, fake_npm, tmp_path):
    fake_npm.write_text(
        f"#!{sys.executable}\nraise SystemExit('npm error code ENOTFOUND\\nmore')"
    )
    message = (
        r"npm cannot fetch onnxruntime-web@\S+ \(npm error code ENOTFOUND\): check"
    )
    with pytest.raises(ValueError, match=message):
        export.export(tiny_network(2), "web", tmp_path / "new" / "demo")
    assert not (tmp_path / "new").exists()


def test_fixed_size_is_refused(model_file, fake_npm, tmp_path, run_command):
    command = (model_file, "web", tmp_path / "demo", "--size", "8x8")
    assert "leave --size out for web" in run_command(export, *command)[0]


# --- In a browser ---

BROWSE = """
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { chromium } from 'playwright-core';
const [url, executablePath, folder, ...pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const page = await browser.newPage();
const seen = { requests: [], errors: [], statuses: [] };
page.on('request', (request) => seen.requests.push(request.url()));
page.on('pageerror', (error) => seen.errors.push(error.message));
await page.goto(url);
seen.statuses.push(await page.textContent('#status'));
async function drop(path) {
  const file = [basename(path), [...await readFile(path)]];
  const dataTransfer = await page.evaluateHandle(([name, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name));
    return transfer;
  }, file);
  await page.dispatchEvent('#drop', 'drop', { dataTransfer });
}
for (const picture of pictures) {
  if (basename(picture).startsWith('dropped')) await drop(picture);
  else await page.setInputFiles('#choose', picture);
  await page.waitForSelector('#progress', { state: 'hidden' });
  seen.statuses.push(await page.textContent('#status'));
  if (await page.isHidden('#save')) continue;
  const [download] = await Promise.all([page.waitForEvent('download'),
    page.click('#save')]);
  await download.saveAs(`${folder}/${download.suggestedFilename()}`);
}
await browser.close();
console.log(JSON.stringify(seen));
"""


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Opens a page in Chromium and gives it pictures: what it said and asked for."""
    chromium, npm, node = map(shutil.which, ("chromium", "npm", "node"))
    if not (chromium and npm and node):
        pytest.skip("needs chromium, npm and node")
    folder = tmp_path_factory.mktemp("playwright")
    (folder / "browse.mjs").write_text(BROWSE)
    install = [npm, "install", "--silent", "--prefix", folder, "playwright-core@1.65.1"]
    if subprocess.run(install).returncode:
        pytest.skip("npm cannot fetch playwright-core")

    def run(url, downloads, *pictures):
        command = [node, folder / "browse.mjs", url, chromium, downloads, *pictures]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
        return json.loads(done.stdout)

    return run


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path):
    """The address at which a server shows `tmp_path`."""
    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["espcn_x4", "edsr_x2"])
def test_page_gives_what_upscale_gives(name, browse, served, tmp_path):
    """In several tiles, in one, of a single pixel, dropped, and turned by EXIF. A file that
    is no picture and one that is too large are named."""
    model = upscale.load_network(PROJECT / "weights" / f"{name}.keras")
    export.export(model, "web", tmp_path / "sub" / "demo")
    hr = noise(300, 280, 3) // 2 + 60
    pictures = {
        "tiles": hr,
        "tile": hr[:40, :200],
        "dot": hr[:1, :1],
        "dropped": hr[:30, :50],
    }
    for key, pixels in pictures.items():
        save(pixels, tmp_path / f"{key}.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # lying on its left side
    Image.open(tmp_path / "dropped.png").rotate(90, expand=True).save(
        tmp_path / "turned.png", exif=turned
    )
    pictures["turned"] = pictures["dropped"]
    (tmp_path / "text.png").write_text("This is no picture.")
    Image.new("1", (30_000, 4_000)).save(tmp_path / "large.png")
    paths = [tmp_path / f"{key}.png" for key in (*pictures, "text", "large")]
    seen = browse(f"{served}/sub/demo/", tmp_path / "saved", *paths)
    assert not seen["errors"]
    for url in seen["requests"]:
        assert url.removeprefix("blob:").startswith(served), url
    assert "text.png is not a picture that" in seen["statuses"][-2]
    assert "large.png could not be enlarged to" in seen["statuses"][-1]
    for key, pixels in pictures.items():
        (saved,) = (tmp_path / "saved").glob(f"{key}_x?.png")
        sr = np.asarray(Image.open(saved).convert("RGB"), int)
        expected = upscale.upscale(model, pixels, precision="float32")
        assert np.abs(sr - expected).max() <= 1, seen["statuses"]


@pytest.mark.slow
def test_page_without_a_server_says_so(browse, tmp_path):
    url = (web.PAGE / "index.html").as_uri()
    (status,) = browse(url, tmp_path)["statuses"]
    assert "from a web server only" in status

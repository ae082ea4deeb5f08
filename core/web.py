"""A folder with a web page that enlarges pictures with a network, see web/."""

import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

PAGE = pathlib.Path(__file__).parent.parent / "web"
RUNTIME = "onnxruntime-web@1.30.0"  # a package of npm
# Its files and their names here: not every server takes .mjs for JavaScript. Without
# WebGPU, the second pair is half the download, and faster.
RUNTIME_FILES = {
    "ort.webgpu.bundle.min.mjs": "ort.webgpu.js",
    "ort-wasm-simd-threaded.asyncify.wasm": "ort-wasm-simd-threaded.asyncify.wasm",
    "ort.wasm.bundle.min.mjs": "ort.wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}
TILE = 256  # side in pixels of LR; an EDSR x4 takes about 1 GB for it


def find_npm():
    """The path of npm.

    Raises:
        ValueError: if it is not installed.
    """
    if npm := shutil.which("npm"):
        return npm
    raise ValueError(
        f"npm is missing, which fetches {RUNTIME} for the page: install Node.js, which "
        "contains it."
    )


def write_page(folder, scale, overlap):
    """Writes all of the page but the network, which becomes `folder / "network.onnx"`.

    Args:
        folder: `pathlib.Path` of a folder that is there.
        scale: that of the network.
        overlap: of the tiles, in pixels of LR.

    Raises:
        ValueError: if npm is missing or cannot fetch the runtime.
    """
    _write_runtime(folder)
    for path in PAGE.iterdir():
        shutil.copyfile(path, folder / path.name)
    facts = {"scale": scale, "overlap": overlap, "tile": TILE}
    (folder / "network.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


def _write_runtime(folder):
    with tempfile.TemporaryDirectory() as temporary:
        # npm keeps packages, so that the next page needs no network.
        pack = [find_npm(), "pack", RUNTIME, "--prefer-offline", "--fetch-retries=1"]
        done = subprocess.run(pack, cwd=temporary, capture_output=True, text=True)
        if done.returncode:
            reason = [*done.stderr.strip().splitlines(), "no reason given"][0]
            raise ValueError(
                f"npm cannot fetch {RUNTIME} ({reason}): check the connection, then run "
                "the command again."
            )
        (package,) = pathlib.Path(temporary).glob("*.tgz")
        with tarfile.open(package) as files:
            for name, ours in RUNTIME_FILES.items():
                with open(folder / ours, "wb") as copy:
                    shutil.copyfileobj(files.extractfile(f"package/dist/{name}"), copy)

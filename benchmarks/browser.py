"""The page of export.py in Chromium, beside UpscalerJS in the same browser.

    python -m benchmarks.browser Set5/image_SRF_4

Needs npm and Debian's chromium. PSNR of Y on the pictures of the folder, and megapixels of
the result per second for a picture of 256x256 pixels: of the best round, since other work
of the machine only makes a round slower. All run in WebAssembly, for which UpscalerJS gets
the backend of TensorFlow.js for it; pages without isolation have one thread. The times
include the PNG that each writes.
"""

import argparse
import base64
import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading

import numpy as np
from PIL import Image

import data
import export
import hardware
import metrics
from core.networks import load_network

WEIGHTS = pathlib.Path(__file__).parent.parent / "weights"
NETWORKS = "espcn_x4", "edsr_x4"
MODELS = {"esrgan-slim": "ESRGANSlim4x", "esrgan-medium": "ESRGANMedium4x"}
PACKAGES = [
    "playwright-core@1.65.1",
    "upscaler@1.0.0",
    *(f"@upscalerjs/{model}@1.0.0" for model in MODELS),
    "@tensorflow/tfjs@4.11.0",
    "@tensorflow/tfjs-backend-wasm@4.11.0",
]
SIDE = 256
ROUNDS = 5
UPSCALERJS = """<!doctype html>
<script src="../node_modules/@tensorflow/tfjs/dist/tf.min.js"></script>
<script src="../node_modules/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js">
</script>
<script src="../node_modules/@upscalerjs/default-model/dist/umd/index.min.js"></script>
<script src="../node_modules/@upscalerjs/MODEL/dist/umd/models/MODEL/src/x4/index.min.js">
</script>
<script src="../node_modules/upscaler/dist/browser/umd/upscaler.min.js"></script>
<script>
  async function start() {
    tf.wasm.setWasmPaths('../node_modules/@tensorflow/tfjs-backend-wasm/dist/');
    await tf.setBackend('wasm');
    const path = '../node_modules/@upscalerjs/MODEL/models/x4/model.json';
    return new Upscaler({ model: { ...GLOBAL, path } });
  }
  const starting = start();
  async function measure(source) {
    const upscaler = await starting;
    const picture = new Image();
    picture.src = source;
    await picture.decode();
    const start = performance.now();
    const result = await upscaler.upscale(picture, { output: 'base64' });
    return { png: result.split(',')[1], seconds: (performance.now() - start) / 1000 };
  }
</script>
"""
BROWSE = """
import fs from 'node:fs';
import { chromium } from 'playwright-core';
const [url, executablePath, ...pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const page = await browser.newPage();
await page.goto(url);
for (const picture of pictures) {
  const source = `data:image/png;base64,${fs.readFileSync(picture, 'base64')}`;
  const result = await page.evaluate(async (source) => {
    if (window.measure) return measure(source); // UpscalerJS
    const blob = await (await fetch(source)).blob();
    const shown = document.getElementById('result');
    const start = performance.now();
    enlarge(new File([blob], 'picture.png'));
    while (shown.hidden) await new Promise((resolve) => setTimeout(resolve, 5));
    const seconds = (performance.now() - start) / 1000;
    const saved = await (await fetch(document.getElementById('save').href)).blob();
    const reader = new FileReader();
    await new Promise((done) => { reader.onload = done; reader.readAsDataURL(saved); });
    return { png: reader.result.split(',')[1], seconds };
  }, source);
  console.log(JSON.stringify(result));
}
await browser.close();
"""


class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def set_up(folder):
    """Fills a folder with a page for each network and model; gives their names."""
    command = ["npm", "install", "--silent", "--legacy-peer-deps", *PACKAGES]
    subprocess.run(command, cwd=folder, check=True)
    (folder / "browse.mjs").write_text(BROWSE)
    for name in NETWORKS:
        export.export(load_network(WEIGHTS / f"{name}.keras"), "web", folder / name)
    for name, model in MODELS.items():
        page = UPSCALERJS.replace("MODEL", name).replace("GLOBAL", model)
        (folder / name).mkdir()
        (folder / name / "index.html").write_text(page)
    return [*NETWORKS, *MODELS]


def browse(folder, url, pictures):
    """Enlarges PNG files: yields pixels and seconds."""
    command = ["node", folder / "browse.mjs", url, shutil.which("chromium"), *pictures]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    for line in done.stdout.splitlines():
        result = json.loads(line)
        path = folder / "result.png"
        path.write_bytes(base64.b64decode(result["png"]))
        yield np.asarray(Image.open(path).convert("RGB")), result["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="pictures to score on, such as Set5/image_SRF_4")
    options = parser.parse_args()
    pairs = [
        (np.asarray(lr), np.asarray(hr))
        for lr, hr in data.load(options.folder, "all", 4)
    ]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        names = set_up(folder)
        blank = np.full((SIDE, SIDE, 3), 128, np.uint8)
        pictures = []
        for number, lr in enumerate([*(lr for lr, _ in pairs), blank]):
            pictures.append(folder / f"{number}.png")
            Image.fromarray(lr).save(pictures[-1])
        pictures += [pictures[-1]] * (ROUNDS - 1)
        handler = functools.partial(Server, directory=folder)
        print(hardware.describe())
        print(f"{'':<16}{'PSNR':>8}{'megapixels/s':>14}")
        with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://localhost:{server.server_port}"
            for name in names:
                results = list(browse(folder, f"{url}/{name}/", pictures))
                scores = [
                    metrics.psnr(hr, sr, 4, luma=True)
                    for (_, hr), (sr, _) in zip(pairs, results)
                ]
                fastest = min(seconds for _, seconds in results[len(pairs) :])
                speed = (4 * SIDE) ** 2 / 1e6 / fastest
                print(f"{name:<16}{np.mean(scores):8.2f}{speed:14.3f}", flush=True)
            server.shutdown()


if __name__ == "__main__":
    main()

"""Odd, bad and damaged pictures and networks, through training and upscale.py."""

import io
import json
import os
import pathlib
import random
import resource
import struct
import zipfile
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import data
from core import networks
from helpers import noise, run_process


def odd_pictures(folder):
    """Files of every odd kind that can be read, and what they should be read as."""
    pixels = noise(30, 40, 3)
    grey = np.repeat(pixels[..., :1], 3, axis=-1)
    rgb = Image.fromarray(pixels)
    files = {}

    def add(name, image, expected, **kwargs):
        image.save(folder / name, **kwargs)
        files[name] = expected

    add("plain name é 漢字.png", rgb, pixels)
    add("grey.png", rgb.getchannel(0), grey)
    wide = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    add("16 bit.png", wide, grey)
    add("16 bit.tif", wide, grey)
    black = Image.fromarray(pixels[..., 0] // 128 * 255).convert("1", dither=0)
    add("1 bit.png", black, grey // 128 * 255)
    alpha = rgb.copy()
    alpha.putalpha(rgb.getchannel(1))
    add("alpha.png", alpha, pixels)
    add("grey alpha.png", Image.merge("LA", rgb.split()[:2]), grey)
    palette = rgb.quantize(16)
    colours = np.asarray(palette.convert("RGB"))
    add("palette with alpha.png", palette, colours, transparency=3)
    add("palette.gif", palette, colours)
    frames = [palette, palette.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    add("animated.gif", palette, colours, save_all=True, append_images=frames[1:])
    cmyk = rgb.convert("CMYK")
    add(
        "animated.webp",
        rgb,
        pixels,
        save_all=True,
        append_images=[black],
        lossless=True,
    )
    add("cmyk.tif", cmyk, np.asarray(cmyk.convert("RGB")))
    exif = Image.Exif()
    exif[0x0112] = 6
    add("turned.png", Image.fromarray(np.rot90(pixels)), pixels, exif=exif)
    add("UPPER CASE.PNG", rgb, pixels)
    add("wrong name.jpg", rgb, pixels, format="png")
    return files


def test_odd_pictures_are_read_rightly(tmp_path, capsys):
    expected = odd_pictures(tmp_path)
    pairs = data.load(tmp_path, "all", 2)
    assert len(pairs) == len(expected)
    for name, (_, hr) in zip(pairs.pictures.names, pairs.as_numpy_iterator()):
        np.testing.assert_array_equal(hr, expected[pathlib.Path(name).name], name)
    assert "2 animated pictures" in capsys.readouterr().out


def bad_pictures(folder):
    """Files that cannot be read or used, and what is said about each."""
    others = set(folder.iterdir())
    buffer = io.BytesIO()
    Image.fromarray(noise(40, 40, 3)).save(buffer, format="png")
    good = buffer.getvalue()
    (folder / "text.jpg").write_text("a text with the name of a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "truncated.png").write_bytes(good[: len(good) // 2])
    (folder / "header.png").write_bytes(good[:20])
    (folder / "damaged.png").write_bytes(good[:200] + b"damage" + good[206:])
    # The header of a picture of 900 megapixels, in front of one of 40x40.
    header = b"IHDR" + struct.pack(">II", 30000, 30000) + good[24:29]
    bomb = good[:12] + header + struct.pack(">I", zlib.crc32(header)) + good[33:]
    (folder / "bomb.png").write_bytes(bomb)
    (folder / "folder.png").mkdir()
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "nowhere to be found é.png").symlink_to(folder / "nowhere")
    unreadable = "cannot be read as a picture"
    messages = {path.name: unreadable for path in {*folder.iterdir()} - others}
    Image.new("RGB", (1, 1)).save(folder / "1x1.png")
    Image.new("RGB", (1, 5000)).save(folder / "1x5000.png")
    if os.getuid():  # root may read everything
        (folder / "secret.png").write_bytes(good)
        (folder / "secret.png").chmod(0)
        messages["secret.png"] = unreadable
    too_small = dict.fromkeys(["1x1.png", "1x5000.png"], "is smaller than SCALE = 2")
    return {**messages, **too_small}


def test_training_names_all_bad_pictures_of_all_splits_at_once(tmp_path, make_pictures):
    make_pictures(tmp_path / "pictures/train", ["good é.png"])
    make_pictures(tmp_path / "pictures/val", ["good.png"])
    messages = bad_pictures(tmp_path / "pictures/train")
    del messages["folder.png"]  # is a folder, and may hold pictures
    (tmp_path / "pictures/val/bad.png").write_text("in validation")
    with pytest.raises(ValueError) as error:
        data.load(tmp_path / "pictures", "train", 2)
    first, *lines = str(error.value).splitlines()
    assert first == f"{len(messages) + 1} pictures cannot be used:"
    messages["bad.png"] = "cannot be read as a picture"
    for line in lines:
        (name,) = (name for name in messages if f"/{name} " in line)
        assert f"/{name} {messages.pop(name)}" in line
    assert not messages


def test_upscale_does_the_good_ones_and_names_the_others(tmp_path, model_file):
    (tmp_path / "in").mkdir()
    good = odd_pictures(tmp_path / "in")
    bad = bad_pictures(tmp_path / "in")
    # Small pictures can be enlarged, and a folder is none.
    good |= {name: bad.pop(name) for name in ("1x1.png", "1x5000.png")}
    del bad["folder.png"]
    command = ["upscale.py", "in", "--format", "same", "--model", model_file]
    status, out, _ = run_process(tmp_path, *command)
    assert status == 1
    failed = out[out.index(" failed:\n") :].splitlines()[1:]
    for name, line in zip(sorted(bad), sorted(failed), strict=True):
        assert line.startswith(f"in/{name} cannot be read as a picture: ")
    results = {path.name for path in (tmp_path / "upscaled").iterdir()}
    results_of_good = {
        name.replace(".", "_x2.").replace(".gif", ".png") for name in good
    }
    assert results == results_of_good


# --- Mutations ---


def whole_files():
    """A small picture in every format that Pillow both writes and reads, by extension."""
    pixels = noise(20, 24, 3)
    picture = Image.fromarray(pixels).resize((48, 40))
    Image.init()
    files = {}
    for extension, form in sorted(Image.registered_extensions().items()):
        for mode in ("RGB", "P", "L", "1") if form in Image.OPEN else ():
            file = io.BytesIO()
            try:
                picture.convert(mode).save(file, form)
                np.asarray(Image.open(io.BytesIO(file.getvalue())))
            except Exception:  # each format has its own way to refuse
                continue
            files.setdefault(extension, []).append(file.getvalue())
    for options in DEEP:
        file = io.BytesIO()
        deep = np.moveaxis(np.uint16(257) * np.asarray(picture), -1, 0)
        if options.get("planarconfig") != "separate":
            deep = np.moveaxis(deep, 0, -1)
        tifffile.imwrite(file, deep, photometric="rgb", **options)
        files[".tif"].append(file.getvalue())
    files[".png"].append(imagecodecs.png_encode(np.uint16(257) * np.asarray(picture)))
    return files


# How tifffile writes pictures of 16 bits.
DEEP = [
    {"planarconfig": "separate"},
    {"compression": "zlib", "predictor": True},
    {"compression": "lzw", "tile": (16, 16)},
    {"bigtiff": True, "byteorder": ">"},
]


def mutate(content, other, rng):
    """Flips bytes, cuts off the end, or splices in a part of another file."""
    content = bytearray(content)
    kind = rng.choice(["flip", "flip", "head", "cut", "splice"])
    if kind in ("flip", "head"):
        reach = len(content) if kind == "flip" else min(64, len(content))
        for _ in range(rng.choice([1, 2, 8, 32])):
            content[rng.randrange(reach)] = rng.randrange(256)
    elif kind == "cut":
        del content[rng.randrange(len(content)) :]
    else:
        start = rng.randrange(len(other))
        part = other[start : start + rng.choice([4, 64, 1024])]
        place = rng.randrange(len(content))
        content[place : place + rng.choice([0, len(part)])] = part
    return bytes(content)


@pytest.mark.parametrize("count", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_pictures_crash_nothing(count, tmp_path, model_file):
    files = whole_files()
    assert {".png", ".jpg", ".gif", ".tif", ".webp", ".bmp"} <= files.keys()
    rng = random.Random(count)
    (tmp_path / "in").mkdir()
    for number in range(count):
        extension = list(files)[number % len(files)]
        whole = rng.choice(files[extension])
        other = rng.choice(rng.choice(list(files.values())))
        mutated = mutate(whole, other, rng)
        (tmp_path / f"in/{number:04}{extension}").write_bytes(mutated)
    command = ["upscale.py", "in", "--model", model_file]
    status, out, memory = run_process(tmp_path, *command, seconds=300)
    done = len(list((tmp_path / "upscaled").iterdir()))
    assert status == 1 and memory < 3e9
    failed = out[out.index(f"{count - done} of {count} failed:") :].splitlines()[1:]
    assert len(failed) == count - done and done > count / 10, out
    print(f"{len(files)} kinds of files, {done} of {count} enlarged, {memory / 1e9} GB")

    with pytest.raises(ValueError) as error:
        data.load(tmp_path / "in", "all", 2)
    for line in str(error.value).splitlines()[1:]:
        pathlib.Path(line.split(" ")[0]).unlink()
    left = len(data.load(tmp_path / "in", "all", 2))
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert left > count / 10 and memory < 3e9
    print(f"training takes {left} of them, {memory / 1e9} GB")


def test_mutated_networks_are_loaded_whole_or_refused(tmp_path, model_file):
    whole, rng = model_file.read_bytes(), random.Random(0)
    weights = networks.load_model(model_file).get_weights()
    refused = 0
    for _ in range(100):
        path = tmp_path / "mutated.keras"
        path.write_bytes(mutate(whole, whole, rng))
        try:
            model = networks.load_model(path)
        except ValueError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused += 1
        else:
            for a, b in zip(model.get_weights(), weights, strict=True):
                np.testing.assert_array_equal(a, b)
    assert refused > 50


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "builtins", "class_name": "exec"},
        {"module": "os", "class_name": "system"},
        {"module": "keras.utils", "class_name": "get_file"},
        {"module": "subprocess", "class_name": "Popen"},
    ],
)
def test_networks_name_no_code(layer, tmp_path, model_file):
    """What a file calls a layer is loaded only if it is one of Keras'."""
    hostile, ran = tmp_path / "hostile.keras", tmp_path / "ran"
    with zipfile.ZipFile(model_file) as old, zipfile.ZipFile(hostile, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                argument = f"open({str(ran)!r}, 'w')"
                if layer["module"] != "builtins":
                    argument = f"touch {ran}"
                hostile_layer = config["config"]["layers"][1]
                hostile_layer |= {**layer, "registered_name": layer["class_name"]}
                hostile_layer["config"] = {"args": [argument], "name": argument}
                content = json.dumps(config)
            new.writestr(name, content)
    refused = "code of others is never run|because it is not a modeling function"
    with pytest.raises(ValueError, match=refused):
        networks.load_model(hostile)
    assert not ran.exists()

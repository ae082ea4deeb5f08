"""Results as files: every format and depth, and what goes into them beside pixels."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from core import images, saving
from core.metadata import Metadata
from core.saving import FORMATS
from helpers import PROJECT, noise

SUFFIXES = {"PNG": "png", "TIFF": "tif", "JPEG": "jpg", "WEBP": "webp"}


def written(folder, format, samples, metadata=None):
    path = folder / f"a.{SUFFIXES[format]}"
    saving.write(path, format, samples, metadata or Metadata())
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_samples_come_back(tmp_path, format, dtype, channels):
    samples = noise(9, 12, channels).astype(dtype)
    if dtype == np.uint16:
        samples = samples * 257 - np.arange(12, dtype=np.uint16)[:, None] % 7
    picture = images.read(written(tmp_path, format, samples))
    levels = samples / (1 if dtype == np.uint8 else 257)
    colours = channels if channels % 2 else channels - 1
    rgb = np.broadcast_to(levels[..., :colours], (9, 12, 3))
    np.testing.assert_allclose(picture.rgb, rgb, atol=1e-4)
    assert picture.high_bit_depth == (dtype == np.uint16) and picture.grey == (
        colours == 1
    )
    if channels % 2 == 0:
        np.testing.assert_allclose(picture.alpha, levels[..., -1], atol=1e-4)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_colours_under_transparent_pixels_are_kept(tmp_path, format):
    across, down = np.meshgrid(np.linspace(0, 200, 32), np.linspace(0, 200, 32))
    samples = np.stack([across, down, 200 - across, 0 * across], -1).astype(np.uint8)
    read = np.asarray(Image.open(written(tmp_path, format, samples)).convert("RGBA"))
    assert np.abs(read[..., :3].astype(int) - samples[..., :3]).mean() < 4


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 1), (3, 3), (4, 2)])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_pictures_of_few_pixels_keep_their_axes(tmp_path, format, size, channels):
    for dtype in (np.uint8, np.uint16):
        samples = noise(*size, channels).astype(dtype)
        samples[0, 0] = np.iinfo(dtype).max
        picture = images.read(written(tmp_path, format, samples))
        levels = samples * (255 / np.iinfo(dtype).max)
        rgb = np.broadcast_to(levels[..., : channels - 1 | 1], (*size, 3))
        np.testing.assert_allclose(picture.rgb, rgb, atol=1e-4)
        if channels % 2 == 0:
            np.testing.assert_allclose(picture.alpha, levels[..., -1], atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_what_belongs_to_a_picture_comes_back(tmp_path, format, dtype):
    exif = Image.Exif()
    exif[271] = "a camera"
    metadata = Metadata(exif=exif, profile=b"profile " * 100, density=(300.0, 150.0))
    path = written(tmp_path, format, noise(9, 12, 3).astype(dtype), metadata)
    back = images.read(path).metadata
    assert back.profile == metadata.profile and back.exif[271] == "a camera"
    assert back.density == pytest.approx(metadata.density, rel=1e-4)
    with Image.open(path) as image:  # as others read it
        assert image.info["icc_profile"] == metadata.profile
        assert image.info["dpi"] == pytest.approx((300, 150), rel=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_chunks_and_shape_of_pixels_in_png(tmp_path, dtype):
    chunks = {
        b"gAMA": struct.pack(">I", 100000),
        b"cHRM": struct.pack(">8I", *range(31270, 31278)),
        b"cICP": bytes([9, 16, 0, 1]),
    }
    metadata = Metadata(chunks=chunks, density=(2.0, 1.0), aspect=True)
    path = written(tmp_path, "PNG", noise(9, 12, 3).astype(dtype), metadata)
    with Image.open(path) as image:
        image.load()
        assert image.info["gamma"] == 1.0 and image.info["aspect"] == (2, 1)
    back = images.read(path).metadata
    assert back.chunks == chunks and back.density == (2, 1) and back.aspect


def test_jpeg_and_webp(tmp_path):
    metadata = Metadata(profile=b"profile", density=(300.0, 300.0))
    for format in ("JPEG", "WEBP"):
        left, notes = saving.fitting(metadata, format)
        with Image.open(written(tmp_path, format, noise(9, 12, 3), left)) as image:
            assert image.format == format and image.info["icc_profile"] == b"profile"
            if format == "JPEG":
                assert image.info["dpi"] == (300, 300) and not notes
            else:
                assert notes == ["Its density was left out, which WEBP cannot hold."]


def test_large_profiles_are_left_out_where_pillow_would_not_read_them(tmp_path):
    profile = np.random.default_rng(0).bytes(2**20 + 1)
    for format in ("PNG", "TIFF", "JPEG"):
        left, notes = saving.fitting(Metadata(profile=profile), format)
        path = written(tmp_path, format, noise(9, 12, 3), left)
        kept = images.read(path).metadata.profile == profile
        assert kept == (format != "PNG") == (not notes)
    grey = bytes(16) + b"GRAY" + bytes(100)  # WebP is always RGB
    left, notes = saving.fitting(Metadata(profile=grey), "WEBP")
    assert left.profile is None and "profile is for grey" in notes[0]
    assert saving.fitting(Metadata(profile=profile), "PNG")[1] == [
        "Its colour profile of 1.0 MB was left out, since PNG files with it do not open "
        "everywhere: colours may look different."
    ]


def test_what_a_format_cannot_hold_is_said(tmp_path):
    exif = Image.Exif()
    exif[270] = "long " * 20000
    chunks = {b"gAMA": struct.pack(">I", 100000), b"sRGB": b"\0"}
    metadata = Metadata(exif=exif, chunks=chunks, density=(2.0, 1.0), aspect=True)
    left, notes = saving.fitting(metadata, "JPEG")
    assert notes == [
        "Its EXIF data was left out: JPEG cannot hold that much.",
        "What it says about its colours (gAMA, sRGB) was left out.",
        "Its density was left out, which JPEG cannot hold.",
    ]
    written(tmp_path, "JPEG", noise(9, 12, 3), left)
    assert saving.fitting(metadata, "PNG") == (metadata, [])


@pytest.mark.parametrize("ratio", [(59, 54), (3, 2), (2, 5)])
def test_shape_of_pixels_is_a_ratio_of_whole_numbers_in_png(tmp_path, ratio):
    metadata = Metadata(density=(ratio[0] / ratio[1], 1.0), aspect=True)
    path = written(tmp_path, "PNG", noise(9, 12, 3), metadata)
    assert images.read(path).metadata.density == ratio


@pytest.mark.parametrize("format, density", [("JPEG", 254000), ("PNG", 2.54e8)])
def test_density_that_a_format_cannot_count_is_left_out(tmp_path, format, density):
    left, notes = saving.fitting(Metadata(density=(density, density)), format)
    assert notes == [f"Its density was left out, which {format} cannot hold."]
    written(tmp_path, format, noise(9, 12, 3), left)
    assert saving.fitting(Metadata(density=(600.0, 600.0)), format)[1] == []


def test_exif_that_tiff_does_not_keep_is_said():
    exif = Image.Exif()
    exif[271] = "a camera"
    assert saving.fitting(Metadata(exif=exif), "TIFF")[1] == []
    exif.get_ifd(0x8769)[36867] = "2026:11:30 12:00:00"
    (note,) = saving.fitting(Metadata(exif=exif), "TIFF")[1]
    assert note == "Of its EXIF data only what describes the picture was kept."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs limits on files")
@pytest.mark.parametrize("format", FORMATS)
def test_full_disk_is_an_error_in_every_format(tmp_path, format):
    """A limit on the size of files stands for it."""
    code = (
        "import pathlib, resource, signal, sys; import numpy as np; "
        "from core import files, saving; from core.metadata import Metadata; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); "
        "samples = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8); "
        "path = pathlib.Path(sys.argv[1])\n"
        "with files.atomic_write(path) as part: "
        f"saving.write(part, {format!r}, samples, Metadata())"
    )
    path = tmp_path / f"a.{SUFFIXES[format]}"
    path.write_bytes(b"older")
    command = [sys.executable, "-c", code, path]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert f"{path} cannot be written" in run.stderr
    assert path.read_bytes() == b"older" and len(list(tmp_path.iterdir())) == 1

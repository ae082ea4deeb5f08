"""The command: files and folders, every mode, and what goes wrong."""

import dataclasses
import math
import os
import pathlib
import struct
import sys

import keras
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import data
import upscale
from core import images, networks, saving
from core.metadata import Metadata
from helpers import model_of, noise, run_process, save

FORMATS = {"png": "PNG", "tif": "TIFF"}
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"]


@pytest.fixture
def run(model_file, tmp_path, monkeypatch, run_command):
    """Runs the command in a folder; gives its exit status and all it printed."""

    def run(*arguments, model=model_file):
        return run_command(upscale, *arguments, "--model", model)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(upscale, "load_network", load_once)
    return run


LOADED = {}  # by the bytes of the file


def load_once(path):
    """As `load_network`, but traces the graphs of a network once for all tests."""
    content = path.read_bytes() if path.is_file() else None
    if content not in LOADED:
        network = networks.load_network(path)  # which may raise
        LOADED[content] = network
    return LOADED[content]


def draw(path, mode="RGB", size=(9, 7), **options):
    pixels = noise(size[1], size[0], 4)
    image = Image.fromarray(pixels).convert("RGB")
    if mode == "RGBA":
        image = Image.fromarray(pixels)
    elif mode in ("LA", "PA"):
        image = Image.fromarray(pixels).convert("LA").convert(mode)
    else:
        image = image.convert(mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return image


def test_files_and_folders(run, tmp_path):
    draw(tmp_path / "one.jpg")
    draw(tmp_path / "holiday/two.png")
    draw(tmp_path / "holiday/day 2/três.webp", size=(5, 4))
    (tmp_path / "holiday/notes.txt").write_text("no picture")
    status, out = run("one.jpg", "holiday")
    assert status == 0 and "3 of 3" in out
    sizes = {
        str(path.relative_to(tmp_path / "upscaled")): Image.open(path).size
        for path in (tmp_path / "upscaled").rglob("*.*")
    }
    expected = {"one_x2.png": (18, 14), "two_x2.png": (18, 14)}
    assert sizes == {**expected, "day 2/três_x2.png": (10, 8)}


def test_result_is_that_of_the_network(run, model_file, tmp_path):
    draw(tmp_path / "a.png")
    model = keras.saving.load_model(model_file)
    image = data.read_image(tmp_path / "a.png")
    for arguments, ensemble in [((), False), (("--self-ensemble",), True)]:
        assert run("a.png", *arguments)[0] == 0
        result = np.asarray(Image.open(tmp_path / "upscaled/a_x2.png"))
        np.testing.assert_array_equal(result, upscale.upscale(model, image, ensemble))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode(mode, run, tmp_path):
    name = "a.tiff"
    draw(tmp_path / name, mode)
    status, out = run(name, "--format", "same")
    assert status == 0, out
    opened = Image.open(tmp_path / name)
    result = Image.open(tmp_path / "upscaled/a_x2.tiff")
    assert result.size == (18, 14)
    grey = mode[0] in "1LIF" or mode == "PA"  # which is made of grey
    transparent = mode in ("LA", "RGBA", "PA") and opened.has_transparency_data
    deep = mode[0] in "IF"
    expected = ("L" if grey else "RGB") + ("A" if transparent else "")
    assert result.mode == ("I;16" if deep else expected)
    assert ("were taken to run from 0 to 255" in out) == deep


@pytest.fixture(scope="module")
def repeat(tmp_path_factory):
    """A file of a network that repeats pixels, of which every result is known."""
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.UpSampling2D(2)(inputs))
    path = tmp_path_factory.mktemp("networks") / "repeat.keras"
    model.save(path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("same", [False, True])
def test_16_bits_in_and_16_bits_out(run, tmp_path, repeat, channels, ending, same):
    values = np.random.default_rng(0).integers(0, 65536, (7, 9, channels), np.uint16)
    saving.write(tmp_path / f"a.{ending}", FORMATS[ending], values, Metadata())
    arguments = ["--format", "same"] if same else []
    status, out = run(f"a.{ending}", *arguments, model=repeat)
    assert status == 0 and "taken" not in out
    result = tmp_path / f"upscaled/a_x2.{ending if same else 'png'}"
    picture = images.read(result)
    assert picture.high_bit_depth and picture.grey == (channels == 1)
    samples = np.rint(picture.rgb * 257).astype(int)
    np.testing.assert_array_equal(
        samples[::2, 1::2], np.broadcast_to(values, (7, 9, 3))
    )


def test_16_bits_are_within_half_a_step_of_the_network(run, tmp_path, tiny_network):
    model = tiny_network(2)
    networks.save_model(model, tmp_path / "model.keras")
    values = np.random.default_rng(0).integers(9000, 40000, (9, 12, 3), np.uint16)
    saving.write(tmp_path / "a.png", "PNG", values, Metadata())
    assert run("a.png")[0] == 0
    floats = model.predict_on_batch((values / np.float32(257))[None])[0]
    expected = np.clip(np.asarray(floats, np.float64), 0, 255) * 257
    samples = images.read(tmp_path / "upscaled/a_x2.png").rgb * 257
    np.testing.assert_allclose(np.rint(samples), expected, atol=0.51)


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "tiff", "webp"])
def test_format_can_be_chosen(run, tmp_path, repeat, ending):
    draw(tmp_path / "a.png")
    assert run("a.png", "--format", ending, model=repeat)[0] == 0
    with Image.open(tmp_path / f"upscaled/a_x2.{ending}") as result:
        assert result.format == images.format_of(tmp_path / f"a.{ending}")


def test_deep_picture_called_jpeg_becomes_8_bits_and_says_so(run, tmp_path, repeat):
    saving.write(
        tmp_path / "a.jpg", "PNG", noise(7, 9, 3).astype(np.uint16) * 257, Metadata()
    )
    status, out = run("a.jpg", "--format", "same", model=repeat)
    assert status == 0 and "more than 8 bits per channel, of which JPEG holds 8" in out
    assert run("a.jpg", model=repeat)[0] == 0
    assert images.read(tmp_path / "upscaled/a_x2.png").high_bit_depth


def test_transparent_value_of_16_bit_grey(run, tmp_path, repeat):
    pixels = np.linspace(0, 65535, 63).astype(np.uint16).reshape(7, 9)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=int(pixels[3, 4]))
    assert run("a.png", model=repeat)[0] == 0
    result = images.read(tmp_path / "upscaled/a_x2.png")
    opaque = pixels != pixels[3, 4]
    levels = result.rgb[::2, ::2, 0][opaque]
    np.testing.assert_allclose(levels, (pixels / 257)[opaque], atol=1e-3)
    assert result.alpha[0, 0] == 255 and result.alpha[6, 8] < 255


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_density_is_that_of_the_picture(run, tmp_path, repeat, ending):
    draw(tmp_path / f"a.{ending}", dpi=(300, 300))
    assert run(f"a.{ending}", "--format", "same", model=repeat)[0] == 0
    with Image.open(tmp_path / f"upscaled/a_x2.{ending}") as result:
        assert result.info["dpi"] == pytest.approx((300, 300), rel=1e-4)


def test_linear_light_stays_linear_light(run, tmp_path, repeat):
    gamma = struct.pack(">I", 100000)
    samples = noise(7, 9, 3)
    saving.write(tmp_path / "a.png", "PNG", samples, Metadata(chunks={b"gAMA": gamma}))
    assert run("a.png", model=repeat)[0] == 0
    result = images.read(tmp_path / "upscaled/a_x2.png")
    assert result.metadata.chunks == {b"gAMA": gamma}
    np.testing.assert_array_equal(result.rgb[::2, ::2], samples)


def test_hidden_colours_are_changed_with_a_line_or_kept(run, tmp_path, repeat):
    texture = noise(16, 16, 4)
    texture[..., 3] = np.where(np.indices((16, 16))[0] < 8, 0, 255)
    Image.fromarray(texture).save(tmp_path / "tex.tga")
    status, out = run("tex.tga", model=repeat)
    assert status == 0 and "transparent pixels were changed: see --keep-hidden" in out
    status, out = run("tex.tga", "--keep-hidden", "--output", "kept", model=repeat)
    assert status == 0 and "changed" not in out
    for folder, rows in [("upscaled", slice(8, 16)), ("kept", slice(0, 16))]:
        pixels = np.asarray(Image.open(tmp_path / folder / "tex_x2.png"))[::2, ::2]
        np.testing.assert_array_equal(pixels[rows, :, :3], texture[rows, :, :3])


def test_hidden_colours_that_are_all_one_are_not_worth_a_line(run, tmp_path, repeat):
    logo = np.zeros((16, 16, 4), np.uint8)
    logo[4:8] = 255, 0, 0, 255
    Image.fromarray(logo).save(tmp_path / "logo.png")
    assert "changed" not in run("logo.png", model=repeat)[1]


def test_stated_size_in_exif_is_that_of_the_result(run, tmp_path, repeat):
    exif = Image.Exif()
    exif[0x0100], exif[0x0101] = 9, 7
    exif.get_ifd(0x8769).update({0xA002: 9, 0xA003: 7, 0x9003: "2026:11:26 12:00:00"})
    draw(tmp_path / "a.jpg", exif=exif)
    assert run("a.jpg", "--format", "same", model=repeat)[0] == 0
    with Image.open(tmp_path / "upscaled/a_x2.jpg") as result:
        exif = result.getexif()
        inner = exif.get_ifd(0x8769)
    assert exif[0x0100] == 18 and exif[0x0101] == 14
    assert inner[0xA002] == 18 and inner[0xA003] == 14
    assert inner[0x9003] == "2026:11:26 12:00:00"


def test_kinds_that_are_not_read_are_counted(run, tmp_path, repeat):
    draw(tmp_path / "in/a.png")
    for name in ("b.dng", "c.DNG", "d.cr2", "e.exr", "notes.txt", ".hidden.dng"):
        (tmp_path / "in" / name).write_bytes(b"II*\0")
    status, out = run("in", model=repeat)
    assert "1 of 1" in out and [*(tmp_path / "upscaled").iterdir()]
    assert status == (
        "Left out: 2 .dng and 1 .cr2 (develop raw files and save them as TIFF), 1 .exr "
        "(save them as TIFF or PNG)."
    )
    (tmp_path / "in/a.png").unlink()
    status, _ = run("in", model=repeat)
    assert status.startswith("upscale.py: there are no pictures in these folders. Left")
    status, _ = run("in/b.dng", model=repeat)
    assert "b.dng cannot be read as a picture: .dng files are not read here: " in status


def test_many_pixels_are_taken_where_they_are_meant(run, tmp_path, repeat, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)  # and twice that is the limit
    draw(tmp_path / "in/a.png")
    status, _ = run("in", model=repeat)
    assert "a.png cannot be read as a picture: it has more than" in status
    assert "--large" in status
    for arguments in (["in/a.png"], ["in/[a].png"], ["in", "--large"]):
        assert run(*arguments, model=repeat)[0] == 0
    result = np.asarray(images.read(tmp_path / "upscaled/a_x2.png", large=True).rgb)
    assert result.shape == (14, 18, 3)


def test_names_as_long_as_disks_allow(run, tmp_path, repeat):
    draw(tmp_path / "a.png")
    for length, allowed in [(240, True), (248, True), (249, False)]:
        name = "n" * length + ".png"
        (tmp_path / "a.png").rename(tmp_path / name)
        status, _ = run(name, model=repeat)
        assert status == 0 if allowed else "a longer name than disks allow" in status
        (tmp_path / name).rename(tmp_path / "a.png")


def test_alpha_is_enlarged_beside_the_colours(run, tmp_path):
    image = draw(tmp_path / "a.png", "RGBA")
    run("a.png")
    result = Image.open(tmp_path / "upscaled/a_x2.png")
    alpha = np.asarray(image.getchannel("A"), np.float64)[..., None]
    expected = np.clip(data.bicubic_resize(alpha, 14, 18), 0, 255)[3:-3, 3:-3, 0]
    inner = np.asarray(result.getchannel("A"))[3:-3, 3:-3]  # edges are not mirrored
    np.testing.assert_allclose(inner, expected, atol=0.51)


def test_opaque_alpha_is_left_out_of_jpeg(run, tmp_path):
    image = draw(tmp_path / "a.png", "RGBA")
    image.putalpha(255)
    image.save(tmp_path / "a.png")
    assert run("a.png", "--format", "jpg")[0] == 0
    assert Image.open(tmp_path / "upscaled/a_x2.jpg").mode == "RGB"
    assert run("a.png")[0] == 0
    assert Image.open(tmp_path / "upscaled/a_x2.png").mode == "RGBA"


def test_transparent_picture_called_jpeg_is_named(run, tmp_path):
    draw(tmp_path / "a.png", "RGBA").save(tmp_path / "b.jpg", format="png")
    status, _ = run("b.jpg", "--format", "same")
    assert "b.jpg is transparent, which b_x2.jpg cannot be: leave out --fo" in status
    assert "which a_x2.jpg cannot be" in run("a.png", "--format", "jpg")[0]
    assert run("b.jpg")[0] == 0


def test_result_too_large_for_its_format_is_named_before_the_work(
    run, tmp_path, monkeypatch
):
    sides = {name: able.largest for name, able in saving.FORMATS.items()}
    for name, largest in sides.items():  # Pillow says the same
        if largest == math.inf:
            continue
        Image.new("L", (largest, 1)).save(tmp_path / "b.jpg", format=name)
        with pytest.raises((OSError, ValueError)):
            Image.new("L", (largest + 1, 1)).save(tmp_path / "b.jpg", format=name)
    draw(tmp_path / "a.jpg")
    small = dataclasses.replace(saving.FORMATS["JPEG"], largest=17)
    monkeypatch.setitem(saving.FORMATS, "JPEG", small)
    arguments = ["a.jpg", "--format", "same"]
    with monkeypatch.context() as patch:
        patch.setattr("core.upscale_file.upscale", None)
        status, _ = run(*arguments)
    assert (
        "a.jpg would become 18x14 pixels, but JPEG allows at most 17: leave out"
        in status
    )
    assert run("a.jpg")[0] == 0 and run(*arguments, "--scale", 1.5)[0] == 0


def test_what_transparency_hides_stays_hidden(tmp_path):
    """A white square on transparent black, and a network that looks at its neighbours."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.AveragePooling2D(3, strides=1, padding="same")(inputs)
    model = keras.Model(inputs, keras.layers.UpSampling2D(2)(x))
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[5:15, 5:15] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    upscale.upscale_file(model, tmp_path / "a.png", tmp_path / "b.png")
    result = np.asarray(Image.open(tmp_path / "b.png"))
    visible = result[result[..., 3] > 0]
    assert len(visible) and visible[:, :3].min() >= 250


def test_orientation_profile_and_exif_are_kept(run, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "on the beach"  # turned by 90 degrees
    draw(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    for arguments, name in [((), "a_x2.png"), (("--format", "same"), "a_x2.jpg")]:
        assert run("a.jpg", *arguments)[0] == 0
        result = Image.open(tmp_path / "upscaled" / name)
        assert result.size == (14, 18)
        assert result.info["icc_profile"] == profile
        assert result.getexif().get(0x010E) == "on the beach"
        assert result.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("source", ["a.jpg", "a.tiff"])
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
def test_text_in_exif_that_is_not_ascii_is_kept(source, ending, run, tmp_path):
    exif = Image.Exif()
    exif[0x8298] = "© José, 東京".encode()
    draw(tmp_path / source, exif=exif)
    assert run(source, "--format", ending)[0] == 0
    text = Image.open(tmp_path / f"upscaled/a_x2.{ending}").getexif()[0x8298]
    assert text.encode("latin-1").decode() == "© José, 東京"


@pytest.mark.parametrize("mode", ["P", "L", "I;16"])
def test_grey_picture_with_a_profile_of_colours_becomes_rgb(mode, run, tmp_path):
    """PNG allows such a profile in files of three channels alone."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.new("L", (9, 7), 90).convert(mode.replace("I;16", "I"))
    grey.convert(mode).save(tmp_path / "a.png", icc_profile=profile)
    run("a.png")
    result = Image.open(tmp_path / "upscaled/a_x2.png")
    assert result.mode == "RGB" and result.info["icc_profile"] == profile


@pytest.mark.parametrize("scale", [0, -2, 100, math.nan])
def test_scale_that_cannot_be_meant_is_refused(scale, tmp_path, tiny_network):
    draw(tmp_path / "a.png")
    with pytest.raises(ValueError, match="scale must be more than 0 and less than 100"):
        upscale.upscale_file(
            tiny_network(2), tmp_path / "a.png", tmp_path / "b.png", scale
        )


@pytest.mark.parametrize(
    "scale, size", [(3.4, (31, 24)), (1.5, (14, 10)), (0.1, (1, 1))]
)
def test_any_final_size(scale, size, run, tmp_path):
    draw(tmp_path / "a.png")
    assert run("a.png", "--scale", scale)[0] == 0
    assert Image.open(tmp_path / f"upscaled/a_x{scale:g}.png").size == size


def test_bad_pictures_are_named_and_the_others_done(run, tmp_path):
    draw(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    reasons = {
        "half.png": "it is damaged or incomplete (image file is truncated",
        "nowhere.png": "No such file or directory",
        "text.png": "it is not a picture, or its format is not supported",
        "empty.png": "it is empty",
    }
    status, out = run(*reasons, "good.png")
    first, *lines = status.splitlines()
    assert first == "4 of 5 failed:"
    for (name, reason), line in zip(reasons.items(), lines, strict=True):
        assert line.startswith(f"{name} cannot be read as a picture: {reason}")
    assert [p.name for p in (tmp_path / "upscaled").iterdir()] == ["good_x2.png"]


def test_results_of_other_formats_are_refused_before_the_work(tmp_path):
    with pytest.raises(ValueError, match="b.gif is none of JPEG, PNG, TIFF, WEBP"):
        upscale.upscale_file(None, tmp_path / "a.png", tmp_path / "b.gif")


def test_no_input_is_overwritten(run, tmp_path):
    draw(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    status, _ = run("a.png", "--output", ".", "--suffix", "")
    assert "a.png would be overwritten" in status
    (tmp_path / "b.PNG").write_bytes(before)  # on many disks, b.png is the same file
    status, _ = run("b.PNG", "--output", ".", "--suffix", "")
    assert "b.PNG would be overwritten" in status
    assert (tmp_path / "a.png").read_bytes() == before


def test_pictures_that_differ_in_their_ending_alone(run, tmp_path):
    for name in ("in/a.png", "in/a.jpg", "other/a.jpg"):
        draw(tmp_path / name)
    assert run("in")[0] == 0
    results = {path.name for path in (tmp_path / "upscaled").iterdir()}
    assert results == {"a_x2.png", "a.png_x2.png"}
    jobs = upscale.plan(
        [(pathlib.Path(name), pathlib.Path(name)) for name in ("a.png", "A.jpg")],
        pathlib.Path("out"),
        "_x2",
        format="png",
    )  # which are two files on any disk, unlike a_x2.png and A_x2.png
    assert [path.name for path in jobs.values()] == ["a_x2.png", "A.jpg_x2.png"]
    status, _ = run("in/a.jpg", "other/a.jpg", "--output", "new")
    assert "would both become" in status
    assert not (tmp_path / "new").exists()


def test_results_beside_the_pictures(run, tmp_path):
    draw(tmp_path / "in/a.png")
    for arguments in (("in", "--output", "."), ("in", "--output", "in")):
        assert "1 of 1" in run(*arguments)[1]
    assert (tmp_path / "a_x2.png").exists() and (tmp_path / "in/a_x2.png").exists()


def test_damaged_exif_costs_no_picture(run, tmp_path, monkeypatch):
    draw(tmp_path / "a.png")

    def broken(self, *arguments):
        raise TypeError("required argument is not an integer")

    monkeypatch.setattr(Image.Exif, "tobytes", broken)
    status, out = run("a.png")
    assert status == 0 and "EXIF data is damaged and was left out" in out


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_exif_that_cannot_be_read_is_left_out(run, tmp_path, ending):
    name = f"a.{ending}"
    draw(tmp_path / name, exif=b"Exif\0\0garbage, not a TIFF header")
    status, out = run(name)
    assert status == 0 and "EXIF data is damaged and was left out" in out
    with Image.open(tmp_path / "upscaled" / "a_x2.png") as result:
        assert result.size == (18, 14)


def test_exif_of_tiff_is_kept_and_its_structure_is_not(run, tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    draw(tmp_path / "a.tiff", exif=exif)
    for arguments, name in [((), "a_x2.png"), (("--format", "same"), "a_x2.tiff")]:
        assert run("a.tiff", *arguments)[0] == 0
        result = Image.open(tmp_path / "upscaled" / name)
        assert result.size == (14, 18) and result.getexif()[0x010F] == "a camera"


def test_output_that_is_no_folder_is_named_before_the_work(run, tmp_path):
    draw(tmp_path / "a.png")
    status, out = run("a.png", "--output", "a.png")
    assert (
        "--output a.png cannot be written: a file is in the way" in status
        and "1 of 1" not in out
    )


def test_output_that_takes_no_file_is_named_before_the_work(run, tmp_path, monkeypatch):
    draw(tmp_path / "a.png")

    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(upscale.tempfile, "TemporaryFile", refuse)
    status, out = run("a.png")
    assert "--output upscaled cannot be written: Permission denied" in status
    assert "1 of 1" not in out


def test_folder_behind_a_link_is_enlarged(run, tmp_path):
    for name in ("holiday/a.png", "elsewhere/b.png"):
        (tmp_path / name).parent.mkdir()
        draw(tmp_path / name)
    (tmp_path / "holiday/2023").symlink_to(tmp_path / "elsewhere")
    status, out = run("holiday")
    assert status == 0 and "2 of 2" in out
    assert (tmp_path / "upscaled/2023/b_x2.png").exists()


def test_own_results_are_not_enlarged_again(run, tmp_path):
    draw(tmp_path / "a.png")
    for _ in range(2):
        status, out = run(".")
        assert "1 of 1" in out


def test_full_disk_leaves_nothing_half_written(run, tmp_path, monkeypatch):
    draw(tmp_path / "a.png")

    def write(path, *arguments):
        pathlib.Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.upscale_file.write", write)
    status, _ = run("a.png")
    assert "a_x2.png cannot be written: No space left on device" in status
    assert not (tmp_path / "upscaled").exists()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_network_that_answers_from_0_to_1_is_named(run, tmp_path, activation, dtype):
    pixels = noise(7, 9, 3).astype(dtype) * (np.iinfo(dtype).max // 255)
    saving.write(tmp_path / "a.png", "PNG", pixels, Metadata())
    layers = (
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2DTranspose(3, 2, 2, activation=activation),
    )
    networks.save_model(model_of(*layers), tmp_path / "dark.keras")
    status, _ = run("a.png", model="dark.keras")
    assert "a.png: The picture becomes black, since the output of some" in status
    networks.save_model(
        model_of(*layers, keras.layers.Rescaling(255)), tmp_path / "light.keras"
    )
    assert run("a.png", model="light.keras")[0] == 0


def test_network_that_answers_with_nan_is_named(run, tmp_path, tiny_network):
    draw(tmp_path / "a.png")
    model = tiny_network(2)
    model.set_weights([np.nan * weight for weight in model.get_weights()])
    networks.save_model(model, tmp_path / "nan.keras")
    status, _ = run("a.png", model=tmp_path / "nan.keras")
    assert "a.png: The output of edsr_x2 is not finite" in status
    assert not (tmp_path / "upscaled").exists()


def test_what_is_no_network_is_refused(run, tmp_path):
    draw(tmp_path / "a.png")
    ran = tmp_path / "ran"
    inputs = keras.Input((None, None, 3))
    code = f"lambda x: (open({str(ran)!r}, 'w'), x)[1]"
    doubled = keras.layers.UpSampling2D(2)(keras.layers.Lambda(eval(code))(inputs))
    keras.Model(inputs, doubled).save(tmp_path / "lambda.keras")
    ran.unlink(missing_ok=True)

    class Custom(keras.layers.Layer):
        def call(self, x):
            return x

    custom = keras.layers.UpSampling2D(2)(Custom()(inputs))
    keras.Model(inputs, custom).save(tmp_path / "custom.keras")
    half = keras.layers.AveragePooling2D(2)(inputs)
    keras.Model(inputs, half, name="half").save(tmp_path / "half.keras")
    (tmp_path / "text.keras").write_text("no model")
    whole = (tmp_path / "half.keras").read_bytes()
    (tmp_path / "broken.keras").write_bytes(whole[: len(whole) // 2])
    for name, reason in {
        "nowhere.keras": "there is no such file",
        "text.keras": "is not a model saved as .keras",
        "broken.keras": "is damaged: its end is missing",
        "a.png": "is not a model saved as .keras",
        "lambda.keras": "contains a Lambda layer, whose Python code is never run",
        "custom.keras": "needs Custom, a class that is not part of Keras",
        "half.keras": "half.keras: half makes 16x16 pixels of 32x32: not a whole multiple of its input",
    }.items():
        status, _ = run("a.png", model=tmp_path / name)
        assert status.startswith("upscale.py: ") and reason in status
        assert len(status.splitlines()) == 1
    assert not ran.exists() and not (tmp_path / "upscaled").exists()


def test_networks_of_others_that_only_one_size_fits_are_named(run, tmp_path):
    draw(tmp_path / "a.png")
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, keras.layers.UpSampling2D(2)(inputs), name="fixed").save(
        tmp_path / "fixed.keras"
    )
    status, _ = run("a.png", model=tmp_path / "fixed.keras")
    assert "fixed.keras: fixed takes only 8x8 pixels: build it for any" in status


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--scale", "0"), "--scale must be more than 0 and less than 100"),
        (("--scale", "100"), "--scale must be more than 0 and less than 100"),
        (("--suffix", "a/b"), "--suffix is a part of file names, without slashes"),
        (("--format", "gif"), "suffix of JPEG, PNG, TIFF, WEBP, such as jpg, not gif"),
        (("--format", "..jpg"), "such as jpg, not .jpg"),
        (("--tile", "31"), "--tile must be at least 32 pixels"),
    ],
)
def test_mistaken_options_are_named(run, tmp_path, arguments, message):
    draw(tmp_path / "a.png")
    assert message in run("a.png", *arguments)[0]
    assert not (tmp_path / "upscaled").exists()


def test_folders_without_pictures_are_named(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "there are no pictures in these folders" in run("empty")[0]


def test_command_as_a_user_runs_it(model_file, tmp_path):
    """On Linux also with a name that is no UTF-8."""
    name = os.fsdecode(b"caf\xe9") if sys.platform == "linux" else "café"
    draw(tmp_path / f"in/{name}.png")
    draw(tmp_path / "photo.jpg")
    arguments = ["in", "photo.jpg", "nowhere.jpg", "--model", model_file]
    status, out, _ = run_process(tmp_path, "upscale.py", *arguments)
    assert status == 1
    assert "1 of 3 failed:\nnowhere.jpg cannot be read" in out
    for result in (f"{name}_x2.png", "photo_x2.png"):
        assert Image.open(tmp_path / "upscaled" / result).size == (18, 14)


def test_folders_that_cannot_be_opened_are_failures(run, tmp_path, lock):
    for name in ("holiday/a.png", "holiday/locked/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        draw(tmp_path / name)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "holiday/pipe.png")
    lock("locked")
    status, out = run("holiday")
    assert "1 of 2" in out and "holiday/locked cannot be read" in status
    status, _ = run("holiday/locked")
    assert "holiday/locked cannot be read" in status


def test_wildcards_that_no_shell_expands(tmp_path):
    """As on Windows. Names that contain such a character come first."""
    for name in ("b.png", "a.png", "c.txt", "[d].png"):
        (tmp_path / name).touch()
    for pattern, names in {
        "*.png": ["[d].png", "a.png", "b.png"],
        "?.txt": ["c.txt"],
        "[d].png": ["[d].png"],
        "*.gif": ["*.gif"],
    }.items():
        found = upscale.match_wildcards(tmp_path / pattern)
        assert [path.name for path in found] == names


def test_tiles_and_precision_can_be_chosen(
    run, tmp_path, tiny_network, monkeypatch, run_command
):
    model, lr = tiny_network(2), noise(40, 50, 3)
    networks.save_model(model, tmp_path / "noisy.keras")
    save(lr, tmp_path / "a.png")
    for policy in ("float32", "mixed_bfloat16"):
        arguments = "--model", tmp_path / "noisy.keras", "--tile", 32
        arguments += "--precision", policy, "--output", tmp_path / policy
        assert run_command(upscale, tmp_path / "a.png", *arguments)[0] == 0
        expected = upscale.upscale(model, lr, tile=32, precision=policy)
        with Image.open(tmp_path / policy / "a_x2.png") as result:
            np.testing.assert_array_equal(result, expected)
    exact = upscale.upscale(model, lr, precision="float32")
    assert (expected != exact).any()


# --- Sharpness ---


def test_sharpness_mixes_the_included_networks(
    tiny_network, tmp_path, monkeypatch, run_command
):
    monkeypatch.setattr(upscale, "WEIGHTS", tmp_path)
    names = "edsr_x4", "srgan_x4", "edsr_realistic_x4", "srgan_realistic_x4"
    nets = {name: tiny_network(4, seed=seed) for seed, name in enumerate(names)}
    edsr, srgan, *realistic = nets.values()
    for name, network in nets.items():
        networks.save_model(network, tmp_path / f"{name}.keras")
    lr = tmp_path / "a.png"
    save(noise(12, 16, 3), lr)
    output = tmp_path / "out"
    for sharpness in (0, 0.25, 1):
        arguments = lr, "--sharpness", sharpness, "--output", output
        assert run_command(upscale, *arguments)[0] == 0
        network = networks.interpolate_weights(edsr, srgan, sharpness)
        expected = upscale.upscale(network, noise(12, 16, 3))
        sharp = f"_sharp{sharpness}" if sharpness else ""
        with Image.open(output / f"a_x4{sharp}.png") as result:
            np.testing.assert_array_equal(result, expected)
    assert len(list(output.iterdir())) == 3  # none took the place of another
    # At every scale, since there are no others; JPEG files with those that know them.
    save(noise(12, 16, 3), tmp_path / "b.jpg")
    for path, used in (lr, "edsr_x4"), (tmp_path / "b.jpg", "edsr_realistic_x4"):
        arguments = path, "--sharpness", 0.5, "--scale", 2, "--output", tmp_path / "x2"
        status, out = run_command(upscale, *arguments)
        assert status == 0 and f"({used}, sharpness 0.5)" in out
    # Any pair of files with such names will do.
    model = tmp_path / "edsr_realistic_x4.keras"
    arguments = lr, "--model", model, "--sharpness", 0.5, "--output", tmp_path / "own"
    assert run_command(upscale, *arguments)[0] == 0
    expected = upscale.upscale(
        networks.interpolate_weights(*realistic, 0.5), noise(12, 16, 3)
    )
    with Image.open(tmp_path / "own" / "a_x4_sharp0.5.png") as result:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--sharpness", "1.5"], "--sharpness must be from 0 to 1"),
        (["--sharpness", "nan"], "--sharpness must be from 0 to 1"),
        (
            ["--sharpness", "1", "--model", "a.keras"],
            "--sharpness needs an SRGAN that was trained from",
        ),
    ],
)
def test_sharpness_that_makes_no_sense_is_refused(
    arguments, reason, run_command, tmp_path
):
    draw(tmp_path / "a.png")
    status, _ = run_command(upscale, tmp_path / "a.png", *arguments)
    assert reason in status


def test_only_new_folders_are_removed_where_all_pictures_fail(run, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "mine").mkdir()
    assert run("a.png", "--output", "mine")[0] != 0
    assert run("a.png", "--output", "x/y/z")[0] != 0
    assert (tmp_path / "mine").is_dir() and not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["nowhere.png", "*.png", f"{300 * 'x'}.png", "a/"])
def test_a_missing_picture_is_named_before_the_network_is_loaded(run, name):
    status, out = run(name, "--model", "nowhere.keras")
    assert out == "" and status == (
        f"upscale.py: {name.rstrip('/')}: there is no such file or folder."
    )


def test_format_may_be_written_with_its_dot(run, tmp_path):
    draw(tmp_path / "a.png")
    assert run("a.png", "--format", ".jpg")[0] == 0
    assert (tmp_path / "upscaled/a_x2.jpg").exists()


def test_names_that_no_file_can_have_cost_the_others_nothing(run, tmp_path):
    draw(tmp_path / "a.png")
    for name in (f"{300 * 'x'}.png", "**.png"):
        status, _ = run(name, "a.png")
        assert name in status and (tmp_path / "upscaled/a_x2.png").exists()


def test_failed_pictures_do_not_count_as_finished(run, tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    draw(tmp_path / "c.png")
    upscale_file = upscale.upscale_file

    def interrupted(model, source, *args, **kwargs):
        if source.name == "c.png":
            raise KeyboardInterrupt
        return upscale_file(model, source, *args, **kwargs)

    monkeypatch.setattr(upscale, "upscale_file", interrupted)
    status, _ = run("a.png", "b.png", "c.png")
    assert "Interrupted: 0 of 3 pictures were finished." in status
    assert "a.png cannot be read" in status and "b.png cannot be read" in status


def test_short_of_memory_has_a_reason(run, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    draw(tmp_path / "a.png")
    monkeypatch.setattr(upscale, "upscale_file", fail)
    assert run("a.png")[0].endswith("a.png: there is not enough memory.")


def test_almost_black_picture_of_16_bits_is_enlarged(run, tmp_path):
    levels = np.float32(noise(8, 10, 1)[..., 0] / 65535)
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="minisblack")
    status, out = run("a.tif")
    assert status == 0 and "It is almost black: 8 of its bits were used." in out
    assert np.asarray(Image.open(tmp_path / "upscaled/a_x2.png")).dtype == np.uint16

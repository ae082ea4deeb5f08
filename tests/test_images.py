"""Any picture file becomes upright 8-bit RGB, or is refused by name."""

import pathlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import data
from core import images
from helpers import noise


def test_read_image_makes_upright_rgb(tmp_path):
    pixels = noise(6, 9, 3)
    turned = Image.fromarray(np.rot90(pixels))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held so that the picture is to be turned back
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(data.read_image(tmp_path / "turned.png"), pixels)

    grey = pixels[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16 bit é.png")
    for name in ("grey.png", "16 bit é.png"):
        np.testing.assert_array_equal(
            data.read_image(tmp_path / name), np.repeat(grey[..., None], 3, axis=2)
        )


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_damaged_exif_costs_no_picture_and_hides_no_damage(tmp_path, ending):
    path = tmp_path / f"photo.{ending}"
    picture = Image.fromarray(noise(60, 90, 3))
    picture.save(path, exif=b"Exif\0\0garbage, not a TIFF header")
    assert data.read_image(path).shape == (60, 90, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="photo.* cannot be read as a picture"):
        data.read_image(path)


def fits(values, **cards):
    """A FITS file by the standard; `values` are [H, W], as they are stored."""
    height, width = values.shape
    bits = 8 * values.itemsize * (-1 if values.dtype.kind == "f" else 1)
    cards = {"BITPIX": bits, "NAXIS": 2, "NAXIS1": width, "NAXIS2": height, **cards}
    lines = [f"{'SIMPLE':8}= {'T':>20}"]
    lines += [f"{name:8}= {value:>20}" for name, value in cards.items()] + ["END"]
    header = "".join(line.ljust(80) for line in lines).encode().ljust(2880)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("kind", ["u1", "i2", "f4"])
def test_fits_is_refused_under_any_name(tmp_path, kind):
    """Unsigned 16 bits are stored less BZERO, which Pillow does not add."""
    content = fits(noise(8, 12).astype(kind), BZERO=32768)
    for name in ("a.fits", "a.FIT", "a.png"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=f"{name} .* (files are|is) not read here: save"
        ):
            images.read(path)
    assert not images.is_named_as_picture(tmp_path / "a.fits")
    assert images.describe_unread([tmp_path / "a.fits"]) == (
        "Left out: 1 .fits (save them as TIFF or PNG)."
    )


@pytest.mark.parametrize("content", [b"", b"not a picture", "truncated"])
def test_unreadable_picture_is_named_before_training(tmp_path, make_pictures, content):
    make_pictures(tmp_path, ["a.png", "b.png"])
    broken = tmp_path / "c.png"
    if content == "truncated":
        content = (tmp_path / "a.png").read_bytes()[:2000]
    broken.write_bytes(content)
    with pytest.raises(ValueError, match=r"c\.png cannot be read as a picture"):
        data.load(tmp_path, "all", 2)


@pytest.mark.parametrize(
    "name, format, readable",
    [
        ("a.JPG", "JPEG", True),
        ("a.png", "PNG", True),
        (".a.png", "PNG", False),  # hidden
        ("a.mpg", "MPEG", False),  # which Pillow knows by name alone
        ("a.pdf", "PDF", False),  # which Pillow only writes
        ("a.txt", None, False),
    ],
)
def test_pictures_are_known_by_their_suffix(name, format, readable):
    assert images.format_of(pathlib.Path(name)) == format
    assert images.is_named_as_picture(pathlib.Path(name)) == readable


@pytest.mark.parametrize("ending", ["heic", "jxl", "avif"])
def test_formats_of_plugins_are_read_where_these_are_installed(tmp_path, ending):
    pixels = np.kron(noise(3, 4, 3), np.ones((16, 16, 1), np.uint8))  # flat blocks
    path = tmp_path / f"a.{ending}"
    Image.fromarray(pixels).save(path, quality=95)
    assert images.is_named_as_picture(path)
    error = data.read_image(path).astype(float) - pixels
    assert np.abs(error).mean() < 6
    assert not images.describe_unread([path])


def test_formats_of_plugins_are_named_where_these_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "format_of", {}.get)
    files = [tmp_path / name for name in ("a.heic", "b.HEIC", "c.jxl", "d.txt")]
    assert images.describe_unread(files) == (
        "Left out: 2 .heic (pip install pillow-heif), 1 .jxl (pip install "
        "pillow-jxl-plugin)."
    )
    with pytest.raises(ValueError, match="a.heic .* pip install pillow-heif"):
        images.read(files[0])


def test_cmyk_of_16_bits_is_no_rgb_with_alpha(tmp_path):
    levels = noise(40, 56, 4).astype(np.uint16) * 257
    data = imagecodecs.jpeg2k_encode(levels, level=0, colorspace="CMYK")
    (tmp_path / "a.jp2").write_bytes(data)
    with Image.open(tmp_path / "a.jp2") as opened:
        assert opened.mode == "CMYK"
        expected = np.asarray(opened.convert("RGB"))
    picture = images.read(tmp_path / "a.jp2")
    assert picture.alpha is None and len(picture.notes) == 2
    np.testing.assert_array_equal(picture.rgb, expected)


@pytest.mark.parametrize("name", ["b.tif", "b"])
def test_thumbnail_of_a_raw_file_is_not_taken_for_the_picture(tmp_path, name):
    with tifffile.TiffWriter(tmp_path / name) as file:
        file.write(noise(6, 8, 3), photometric="rgb", subfiletype=1, subifds=1)
        file.write(noise(60, 80, 1)[..., 0].astype(np.uint16), photometric="minisblack")
    with pytest.raises(
        ValueError, match=f"{name} cannot be .* it is a raw file: devel"
    ):
        images.read(tmp_path / name)
    assert "1 .iiq (develop raw" in images.describe_unread([tmp_path / "c.iiq"])


def test_smaller_copies_beside_a_tiff_picture_do_not_make_it_a_raw_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(60, 80, 3), photometric="rgb", subifds=1)
        file.write(noise(6, 8, 3), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").rgb, noise(60, 80, 3))

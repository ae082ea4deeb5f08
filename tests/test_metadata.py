"""What belongs to a picture besides its pixels, as its file states it."""

import types

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from core import images, metadata, saving
from helpers import noise, save


def metadata_of(path):
    return images.read(path).metadata


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp"])
def test_density_in_dots_per_inch(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(noise(8, 8, 3)).save(path, dpi=(300, 150))
    metadata = metadata_of(path)
    assert metadata.density == pytest.approx((300, 150), rel=1e-4)
    assert not metadata.aspect


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_density_of_tiff_per_centimetre(tmp_path, dtype):
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(8, 8).astype(dtype),
        resolution=(100, 50),
        resolutionunit="CENTIMETER",
    )
    density = metadata_of(tmp_path / "a.tif").density
    assert density == pytest.approx((254, 127))


@pytest.mark.parametrize("values", [(300, 150.0), ((600, 2), (150, 1))])
def test_density_of_tiff_is_a_pair_or_a_number(values):
    """Which tifffile reads, and does not write."""
    tags = dict(zip((282, 283), values)) | {296: 2}
    tags = [types.SimpleNamespace(code=code, value=tags[code]) for code in tags]
    assert metadata.of_tiff(types.SimpleNamespace(tags=tags)).density == (300, 150)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_density_without_a_unit_is_the_shape_of_a_pixel(tmp_path, dtype):
    for number, (resolution, expected) in enumerate(
        [((2, 1), (2, 1)), ((1, 1), None), ((72, 72), None), ((0, 0), None)]
    ):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(
            path,
            noise(8, 8).astype(dtype),
            resolution=resolution,
            resolutionunit="NONE",
        )
        assert metadata_of(path).density == expected


def test_tiff_that_says_nothing_of_density_has_none(tmp_path):
    save(noise(8, 8, 3), tmp_path / "a.tif")
    assert metadata_of(tmp_path / "a.tif").density is None


def test_shape_of_a_pixel_in_a_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(noise(8, 8, 3)).save(path, dpi=(2, 1))
    content = bytearray(path.read_bytes())
    assert content[13] == 1  # the unit in the JFIF header
    content[13] = 0
    path.write_bytes(content)
    metadata = metadata_of(path)
    assert metadata.density == (2, 1) and metadata.aspect


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_tiff_is_turned_as_pillow_turns(tmp_path, orientation):
    pixels = noise(5, 8, 3)
    deep = tmp_path / "deep.tif"
    tifffile.imwrite(
        deep,
        pixels.astype(np.uint16) * 257,
        photometric="rgb",
        extratags=[(274, "H", 1, orientation, True)],
    )
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("a.png", "a.tif", "a.webp"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif, lossless=True)
        upright = images.read(tmp_path / name).rgb
        np.testing.assert_allclose(images.read(deep).rgb, upright, atol=1e-3)
    expected = {6: np.rot90(pixels, -1), 3: pixels[::-1, ::-1], 8: np.rot90(pixels)}
    if orientation in expected:
        np.testing.assert_array_equal(upright, expected[orientation])


@pytest.mark.parametrize("recompressed", [False, True])
def test_jpeg_xl_is_turned_once(tmp_path, recompressed):
    pytest.importorskip("pillow_jxl")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(noise(8, 12, 3)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        settings = {"lossless_jpeg": recompressed, "exif": exif.tobytes()}
        image.save(tmp_path / "a.jxl", **settings)
    ours = images.read(tmp_path / "a.jxl")
    others = imagecodecs.jpegxl_decode((tmp_path / "a.jxl").read_bytes())
    assert (
        ours.rgb.shape == others.shape == ((12, 8, 3) if recompressed else (8, 12, 3))
    )
    assert 274 not in ours.metadata.exif


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profile_and_description_of_tiff(tmp_path, dtype):
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(8, 8, 3).astype(dtype),
        photometric="rgb",
        iccprofile=b"a profile",
        description="a meadow",
        metadata=None,
    )
    metadata = metadata_of(tmp_path / "a.tif")
    assert metadata.profile == b"a profile"
    assert metadata.exif[270] == "a meadow"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_georeference_is_said_to_be_lost(tmp_path, dtype):
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(8, 8).astype(dtype),
        extratags=[(33550, "d", 3, (10.0, 10.0, 0.0), True)],
    )
    assert images.read(tmp_path / "a.tif").notes[-1] == (
        "Its georeference (GeoTIFF) was left out."
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "kinds, alpha, lost",
    [
        (["UNASSALPHA"], True, False),
        (["UNSPECIFIED"], False, True),
        (["UNASSALPHA", "UNSPECIFIED"], True, True),
    ],
)
def test_channel_without_meaning_is_said_to_be_lost(
    tmp_path, dtype, kinds, alpha, lost
):
    pixels = noise(8, 8, 3 + len(kinds)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=kinds)
    picture = images.read(tmp_path / "a.tif")
    sentence = "A channel that is not marked as transparency was left out."
    assert (picture.alpha is not None) == alpha
    assert (sentence in picture.notes) == lost


@pytest.mark.parametrize("ending", ["avif", "heic"])
@pytest.mark.parametrize(
    "primaries, transfer, kept",
    [
        (9, 16, True),  # BT.2020 PQ, of HDR
        (12, 13, True),  # Display P3
        (1, 13, False),  # sRGB
        (1, 1, False),
        (1, 6, False),
        (2, 2, False),  # unspecified
    ],
)
def test_colour_space_of_avif_and_heic(tmp_path, ending, primaries, transfer, kept):
    path, pixels = tmp_path / f"a.{ending}", noise(16, 16, 3)
    if ending == "avif":
        codes = {"primaries": primaries, "transfer": transfer, "matrix": 6}
        path.write_bytes(imagecodecs.avif_encode(pixels, level=100, **codes))
    else:
        pytest.importorskip("pillow_heif")
        codes = {"color_primaries": primaries, "transfer_characteristics": transfer}
        codes |= {"matrix_coefficients": 6, "full_range_flag": 1}
        Image.fromarray(pixels).save(path, "HEIF", nclx_profile=codes)
    metadata = metadata_of(path)
    expected = {b"cICP": bytes([primaries, transfer, 0, 1])} if kept else {}
    assert metadata.chunks == expected
    _, notes = saving.fitting(metadata, "JPEG")
    said = ["What it says about its colours (cICP) was left out."]
    assert notes == said * kept


def test_profile_comes_before_the_colour_space_of_avif(tmp_path):
    path = tmp_path / "a.avif"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(noise(16, 16, 3)).save(path, icc_profile=profile)
    data = path.read_bytes().replace(b"colrnclx\0\1\0\r", b"colrnclx\0\x0c\0\r")
    path.write_bytes(data)
    metadata = metadata_of(path)
    assert metadata.profile == profile and metadata.chunks == {}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_uncompressed_tiff_of_any_mode_is_turned(tmp_path, mode, orientation):
    """Pillow would map some of them into memory, and turn those wrongly."""
    values = noise(6, 9, 4)
    image = Image.fromarray(values).convert("RGB").convert(mode.replace("I;16", "L"))
    if mode == "I;16":
        image = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "plain.tif")
    image.save(tmp_path / "lying.tif", exif=exif)
    turned = images._turned(images.read(tmp_path / "plain.tif").rgb, orientation)
    np.testing.assert_array_equal(images.read(tmp_path / "lying.tif").rgb, turned)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_density_is_turned_with_the_picture(tmp_path, dtype):
    for orientation, expected in ((1, (204, 98)), (3, (204, 98)), (6, (98, 204))):
        path = tmp_path / f"{orientation}.tif"
        tifffile.imwrite(
            path,
            noise(6, 9, 3).astype(dtype),
            photometric="rgb",
            resolution=(204, 98),
            resolutionunit="INCH",
            extratags=[(274, "H", 1, orientation, True)],
        )
        assert metadata_of(path).density == expected
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(noise(6, 9, 3)).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 150))
    assert metadata_of(tmp_path / "a.jpg").density == (150, 300)


def test_profile_of_jpeg_2000_is_kept(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.jp2"
    Image.fromarray(noise(16, 16, 3)).save(path, irreversible=False)
    data = path.read_bytes()
    start = data.index(b"colr") - 4
    length = int.from_bytes(data[start : start + 4])
    box = b"colr\2\0\0" + profile
    box = (len(box) + 4).to_bytes(4) + box
    header = data.index(b"jp2h") - 4
    size = int.from_bytes(data[header : header + 4]) + len(box) - length
    data = data[:start] + box + data[start + length :]
    path.write_bytes(data[:header] + size.to_bytes(4) + data[header + 4 :])
    np.testing.assert_array_equal(images.read(path).rgb, noise(16, 16, 3))
    assert metadata_of(path).profile == profile


def test_tags_of_odd_types_cost_no_picture(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(6, 9, 3).astype(np.uint16) * 257,
        photometric="rgb",
        extratags=[(270, "d", 1, 1.5, True), (34675, "H", 2, (1, 2), True)],
        metadata=None,
    )
    metadata = metadata_of(tmp_path / "a.tif")
    assert metadata.profile is None and 270 not in metadata.exif

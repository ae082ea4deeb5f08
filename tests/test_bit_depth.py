"""What the numbers of a picture file mean, at every depth, in the formats that have them."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from core import bit_depth, images
from helpers import noise

EIGHT_USED = "It has more than 8 bits per channel, of which 8 were used."

RAMP = np.arange(256).reshape(16, 16)


def tiff(samples, photometric, order, planar=False, marked=True):
    """A TIFF file by the specification, uncompressed; `samples` are [H, W, C]. Alpha is
    `marked` as such or, as OpenCV writes it, is not."""
    height, width, channels = samples.shape
    kinds = {"u": 1, "i": 2, "f": 3}
    planes = np.moveaxis(samples, -1, 0) if planar else samples[None]
    data = planes.astype(samples.dtype.newbyteorder(order)).tobytes()
    strips = channels if planar else 1

    def several(value, code="H"):
        return struct.pack(f"{order}{len(value)}{code}", *value)

    strip = len(data) // strips
    values = {
        256: (4, several([width], "I")),
        257: (4, several([height], "I")),
        258: (3, several([8 * samples.itemsize] * channels)),
        259: (3, several([1])),
        262: (3, several([photometric])),
        273: (4, several([8 + strip * number for number in range(strips)], "I")),
        277: (3, several([channels])),
        278: (4, several([height], "I")),
        279: (4, several([strip] * strips, "I")),
        284: (3, several([2 if planar else 1])),
        339: (3, several([kinds[samples.dtype.kind]] * channels)),
    }
    if channels in (2, 4) and marked:
        values[338] = (3, several([2]))  # alpha, not premultiplied
    start = 8 + len(data)
    after = start + 2 + 12 * len(values) + 4
    entries, more = b"", b""
    for tag, (kind, content) in sorted(values.items()):
        count = len(content) // {3: 2, 4: 4}[kind]
        field = content.ljust(4, b"\0")
        if len(content) > 4:
            field = struct.pack(f"{order}I", after + len(more))
            more += content
        entries += struct.pack(f"{order}HHI", tag, kind, count) + field
    magic = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(values)) + entries + bytes(4)
    return magic + struct.pack(f"{order}I", start) + data + directory + more


def png(values, bits, colour, *chunks):
    """A PNG file by the specification; `values` are [H, W] or [H, W, C]."""
    rows = values.reshape(len(values), -1)
    packed = (rows[..., None] >> np.arange(bits)[::-1]) & 1
    packed = np.packbits(packed.reshape(len(rows), -1).astype(np.uint8), axis=1)
    lines = np.pad(packed, [(0, 0), (1, 0)])  # no filter
    header = struct.pack(">IIBBBBB", *values.shape[1::-1], bits, colour, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    chunks = [
        (b"IHDR", header),
        *chunks,
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    return content


def values_of(shape, bits, seed=0):
    values = np.random.default_rng(seed).integers(0, 2**bits, shape)
    values.flat[:2] = 0, 2**bits - 1
    return values


# --- What numbers mean ---


@pytest.mark.parametrize(
    "values, white, said",
    [
        (RAMP.astype(np.uint8), 255, None),
        (RAMP.astype(np.uint16) * 257, 65535, None),
        (RAMP.astype(np.uint16) * 16, 4095, "16-bit pixels were taken to run from 0 to 4095"),
        (RAMP.astype(np.uint16) * 4, 1023, "0 to 1023"),
        (RAMP.astype(np.uint32), 255, "32-bit pixels were taken to run from 0 to 255"),
        (RAMP.astype(np.uint32) * 257, 65535, "0 to 65535"),
        (RAMP.astype(np.uint32) * 16843009, 2**32 - 1, None),
        (RAMP.astype(np.int16) * 128, 32767, "signed 16-bit pixels"),
        (RAMP.astype(np.int32), 255, "signed 32-bit pixels"),
        (RAMP / 255, 1, "floating-point pixels were taken to run from 0 to 1."),
        (RAMP.astype(np.float32), 255, "floating-point pixels were taken to run from 0 to 255"),
        ((RAMP / 255).astype(np.float16), 1, "0 to 1."),
        (RAMP * (16 / 255), 255, "0 to 255"),
    ],
)  # fmt: skip
def test_numbers_have_a_white(values, white, said):
    levels, note = bit_depth.to_levels(values)
    assert levels.dtype == np.float32
    np.testing.assert_allclose(levels, values.astype(float) * 255 / white, rtol=1e-6)
    assert said in note if said else note is None


def test_sign_of_a_file_that_names_its_bits_is_none_of_its_range():
    levels, note = bit_depth.to_levels(np.array([0, 32767], np.int16), bits=16)
    assert levels.tolist() == [0, 255] and "signed 16-bit" in note


@pytest.mark.parametrize(
    "values, problem",
    [
        (RAMP - 1.0, "go down to -1"),
        ((RAMP - 99).astype(np.int16), "go down to -99"),
        (RAMP * 1.01, "go up to 257.55"),
        (
            (RAMP / 255 * 1.01).astype(np.float32),
            "go up to 1.01, .* nor plainly in 0 to 255",
        ),
        (RAMP / np.float32(255) * np.float32(1.0000001), "go up to 1.0000001"),
        (RAMP / 16.0, "go up to 15.9375"),
        (np.where(RAMP > 9, np.nan, 0.5), "not finite"),
        (np.where(RAMP > 9, np.inf, 0.5), "not finite"),
        (RAMP.astype(np.complex64), "complex64"),
    ],
)
def test_numbers_without_a_meaning_are_refused(values, problem):
    with pytest.raises(ValueError, match=problem):
        bit_depth.to_levels(values)


# --- TIFF ---


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize(
    "photometric, channels", [(0, 1), (1, 1), (1, 2), (2, 3), (2, 4)]
)
@pytest.mark.parametrize("planar", [False, True])
def test_whole_numbers_in_tiff(tmp_path, order, bits, photometric, channels, planar):
    values = values_of((16, 16, channels), bits).astype(f"u{bits // 8}")
    values[1, 1] = 2**bits - 1
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(values, photometric, order, planar))
    picture = images.read(path)
    expected = values.astype(float) * 255 / (2**bits - 1)
    colours = 3 if photometric == 2 else 1
    rgb = np.broadcast_to(expected[..., :colours], (16, 16, 3))
    rgb = 255 - rgb if photometric == 0 else rgb
    np.testing.assert_allclose(picture.rgb, rgb, atol=1e-4)
    assert picture.grey == (colours == 1) and picture.high_bit_depth
    if channels in (2, 4):
        np.testing.assert_allclose(picture.alpha, expected[..., -1], atol=1e-4)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("kind", ["f4", "f8", "f2"])
def test_floating_point_numbers_in_tiff(tmp_path, order, photometric, kind):
    (tmp_path / "a.tif").write_bytes(
        tiff((RAMP[..., None] / 255).astype(kind), photometric, order)
    )
    picture = images.read(tmp_path / "a.tif")
    expected = 255 - RAMP if photometric == 0 else RAMP
    np.testing.assert_allclose(picture.rgb[..., 1], expected, atol=0.1)
    assert picture.notes == ["Its floating-point pixels were taken to run from 0 to 1."]


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_and_alpha_of_8_bits_in_tiff(tmp_path, planar, photometric):
    """Which Pillow refuses, or reads wrong where they lie in planes."""
    values = values_of((16, 16, 2), 8).astype(np.uint8)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(values, photometric, "<", planar))
    picture = images.read(path)
    assert picture.rgb.dtype == np.uint8 and picture.grey
    grey = 255 - values[..., 0] if photometric == 0 else values[..., 0]
    np.testing.assert_array_equal(picture.rgb[..., 2], grey)
    np.testing.assert_array_equal(picture.alpha, values[..., 1])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f4"])
def test_a_fourth_channel_of_rgb_without_a_mark_is_alpha(tmp_path, order, kind):
    values = values_of((16, 16, 4), 8)
    white = 1 if kind == "f4" else 2 ** (8 * int(kind[1])) - 1
    samples = (values * (white / 255)).astype(kind)
    (tmp_path / "a.tif").write_bytes(tiff(samples, 2, order, marked=False))
    picture = images.read(tmp_path / "a.tif")
    np.testing.assert_allclose(picture.rgb, values[..., :3], atol=1e-4)
    np.testing.assert_allclose(picture.alpha, values[..., 3], atol=1e-4)


def test_alpha_after_another_channel(tmp_path):
    values = values_of((16, 16, 5), 16).astype(np.uint16)
    extras = ["unspecified", "unassalpha"]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=extras)
    picture = images.read(tmp_path / "a.tif")
    np.testing.assert_allclose(picture.rgb, values[..., :3] / 257, atol=1e-4)
    np.testing.assert_allclose(picture.alpha, values[..., 4] / 257, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "bands, options",
    [
        (2, {"planarconfig": "contig"}),
        (3, {"planarconfig": "contig"}),
        (4, {"planarconfig": "contig"}),
        (3, {"planarconfig": "separate"}),
        (3, {"imagej": True, "metadata": {"axes": "CYX"}}),
        (2, {"imagej": True, "metadata": {"axes": "ZCYX"}}),
        (3, {"ome": True, "metadata": {"axes": "CYX"}}),
    ],
)
def test_bands_of_unknown_colours_are_refused(tmp_path, bands, options, dtype):
    samples = noise(16, 20, bands).astype(dtype)
    if options.get("planarconfig") != "contig":
        samples = np.moveaxis(samples, -1, 0)
    if options.get("metadata") == {"axes": "ZCYX"}:
        samples = np.stack([samples, samples])
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, samples, photometric="minisblack", **options)
    said = f"a.tif .* it has {bands} bands, and does not say which colours they are"
    with pytest.raises(ValueError, match=said):
        images.read(path)


def test_two_bands_and_alpha_are_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(16, 20, 3),
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unspecified", "unassalpha"],
    )
    with pytest.raises(ValueError, match="it has 2 bands"):
        images.read(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_pictures_of_microscopes_in_one_band_or_rgb(tmp_path, kind):
    grey, rgb = noise(3, 16, 20), noise(16, 20, 3)
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZYX"}
    tifffile.imwrite(
        path, grey, photometric="minisblack", metadata=metadata, **{kind: True}
    )
    np.testing.assert_array_equal(images.read(path).rgb[..., 1], grey[0])
    tifffile.imwrite(
        path, rgb, photometric="rgb", metadata={"axes": "YXS"}, **{kind: True}
    )
    np.testing.assert_array_equal(images.read(path).rgb, rgb)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "lzma", "zstd"])
@pytest.mark.parametrize("predictor", [False, True])
def test_compressed_tiff(tmp_path, compression, predictor):
    values = values_of((33, 20, 3), 16).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="rgb",
        compression=compression,
        predictor=predictor,
        tile=(16, 16),
    )
    picture = images.read(tmp_path / "a.tif")
    np.testing.assert_allclose(picture.rgb, values / 257, atol=1e-4)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_packed_bits_in_tiff_are_no_guess(tmp_path, bits, photometric):
    values = values_of((16, 16), bits) // 2  # half as bright as it could be
    tifffile.imwrite(
        tmp_path / "a.tif",
        values.astype(np.uint16),
        photometric=photometric,
        bitspersample=bits,
    )
    picture = images.read(tmp_path / "a.tif")
    expected = values * 255 / (2**bits - 1)
    if photometric == "miniswhite":
        expected = 255 - expected
    np.testing.assert_allclose(picture.rgb[..., 0], expected, atol=1e-4)
    assert not picture.notes


def test_premultiplied_alpha_is_divided_out(tmp_path):
    values = values_of((16, 16, 4), 16)
    stored = values.copy()
    stored[..., :3] = values[..., :3] * (values[..., 3:] / 65535)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored.astype(np.uint16),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    picture = images.read(tmp_path / "a.tif")
    seen = values[..., 3] > 6000
    np.testing.assert_allclose(picture.rgb[seen], values[..., :3][seen] / 257, atol=0.1)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_half_a_tiff_is_refused(tmp_path, compression):
    path = tmp_path / "a.tif"
    values = values_of((40, 40, 3), 16).astype(np.uint16)
    tifffile.imwrite(path, values, photometric="rgb", compression=compression)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="a.tif cannot be read as a picture: "):
        images.read(path)


def test_a_stack_of_slices_gives_its_first(tmp_path):
    values = values_of((3, 16, 16), 16).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    picture = images.read(tmp_path / "a.tif")
    np.testing.assert_allclose(picture.rgb[..., 0], values[0] / 257, atol=1e-4)
    assert picture.notes == ["It holds several pictures; this is the first."]


# --- JPEG 2000, AVIF, HEIC, JPEG XL ---


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("ending", ["jp2", "avif"])
def test_deep_jpeg_2000_and_avif(tmp_path, ending, bits, channels):
    """Over the range of their own bits, though dark: 255 of 1023 is not white."""
    if ending == "avif" and bits == 16:
        pytest.skip("AVIF has at most 12 bits")
    values = values_of((32, 48, channels), bits).astype(f"u{1 if bits == 8 else 2}")
    if bits in (10, 12):
        values //= 4
    if ending == "jp2":
        data = imagecodecs.jpeg2k_encode(
            values.squeeze(), level=0, bitspersample=bits, codecformat="jp2"
        )
    else:
        data = imagecodecs.avif_encode(
            values.squeeze(), level=100, bitspersample=bits, speed=8
        )
    (tmp_path / f"a.{ending}").write_bytes(data)
    picture = images.read(tmp_path / f"a.{ending}")
    levels = values * (255.0 / (2**bits - 1))
    rgb = np.broadcast_to(levels[..., : channels - 1 | 1], (32, 48, 3))
    assert picture.high_bit_depth == (bits > 8) and not picture.notes
    np.testing.assert_allclose(picture.rgb, rgb, atol=1e-4)
    if channels in (2, 4):
        np.testing.assert_allclose(picture.alpha, levels[..., -1], atol=1e-4)
    else:
        assert picture.alpha is None


def test_half_a_deep_file_is_refused(tmp_path):
    values = values_of((64, 64, 3), 12).astype(np.uint16)
    data = {
        "a.jp2": imagecodecs.jpeg2k_encode(values, level=0, bitspersample=12),
        "a.avif": imagecodecs.avif_encode(values, level=100, bitspersample=12),
    }
    for name, content in data.items():
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=f"{name} cannot be read as a picture: "):
            images.read(tmp_path / name)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("frames", [1, 5])
def test_deep_jpeg_xl(tmp_path, frames, channels):
    pytest.importorskip("pillow_jxl")
    values = values_of((frames, 32, 48, channels), 16).astype(np.uint16)
    data = imagecodecs.jpegxl_encode(values.squeeze(), lossless=True)
    (tmp_path / "a.jxl").write_bytes(data)
    picture = images.read(tmp_path / "a.jxl")
    rgb = np.broadcast_to(values[0] / 257, (32, 48, 3))
    np.testing.assert_allclose(picture.rgb, rgb, atol=1e-4)


@pytest.mark.parametrize("bytes_per_channel", [1, 2])
def test_deep_sgi_says_so(tmp_path, bytes_per_channel):
    path = tmp_path / "a.sgi"
    Image.fromarray(noise(8, 9, 3)).save(path, bpc=bytes_per_channel)
    deep = bytes_per_channel == 2
    assert images.read(path).notes == [EIGHT_USED] * deep


def test_deep_heic_says_so(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    values = values_of((64, 64, 3), 16).astype(np.uint16)
    with open(tmp_path / "a.heic", "wb") as file:
        heif.encode("RGB;16", (64, 64), values.tobytes(), file, quality=90)
    picture = images.read(tmp_path / "a.heic")
    assert EIGHT_USED in picture.notes and not picture.high_bit_depth


# --- PNG ---


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("which", ["black", "white", "between"])
def test_grey_png_of_which_one_value_is_transparent(tmp_path, bits, which):
    values = values_of((16, 24), bits)
    white = 2**bits - 1
    value = {"black": 0, "white": white, "between": int(values[3, 4])}[which]
    transparent = (b"tRNS", struct.pack(">H", value))
    (tmp_path / "a.png").write_bytes(png(values, bits, 0, transparent))
    picture = images.read(tmp_path / "a.png")
    assert picture.grey and picture.high_bit_depth == (bits == 16)
    np.testing.assert_allclose(picture.rgb[..., 0], values * 255 / white, atol=1e-4)
    np.testing.assert_array_equal(picture.alpha, 255 * (values != value))


@pytest.mark.parametrize("bits", [8, 16])
def test_colour_png_of_which_one_value_is_transparent(tmp_path, bits):
    values = values_of((16, 24, 3), bits)
    transparent = (b"tRNS", struct.pack(">HHH", *values[3, 4]))
    (tmp_path / "a.png").write_bytes(png(values, bits, 2, transparent))
    picture = images.read(tmp_path / "a.png")
    np.testing.assert_allclose(picture.rgb, values * 255 / (2**bits - 1), atol=1e-4)
    visible = (values != values[3, 4]).any(axis=-1)
    np.testing.assert_array_equal(picture.alpha, 255 * visible)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour, channels", [(4, 2), (6, 4)])
def test_png_with_alpha(tmp_path, bits, colour, channels):
    values = values_of((16, 24, channels), bits)
    (tmp_path / "a.png").write_bytes(png(values, bits, colour))
    picture = images.read(tmp_path / "a.png")
    levels = values * 255 / (2**bits - 1)
    rgb = np.broadcast_to(levels[..., :-1], (16, 24, 3))
    np.testing.assert_allclose(picture.rgb, rgb, atol=1e-4)
    np.testing.assert_allclose(picture.alpha, levels[..., -1], atol=1e-4)


def test_palette_png_of_which_one_colour_is_transparent(tmp_path):
    values, palette = values_of((16, 24), 2), values_of((4, 3), 8).astype(np.uint8)
    chunks = (b"PLTE", palette.tobytes()), (b"tRNS", b"\xff\x80")
    (tmp_path / "a.png").write_bytes(png(values, 2, 3, *chunks))
    picture = images.read(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.rgb, palette[values])
    np.testing.assert_array_equal(picture.alpha, np.where(values == 1, 128, 255))


def test_12_bits_in_a_png_are_used_over_their_own_range(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(images, "_printed", set())
    values = values_of((16, 24, 3), 12)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(values, 16, 2))
        pixels = images.read_image(tmp_path / name)
        np.testing.assert_array_equal(pixels, np.floor(values * 255 / 4095 + 0.5))
    out = capsys.readouterr().out  # once, not for every picture of a dataset
    assert out.count("were taken to run from 0 to 4095") == 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    "colours, alpha, white",
    [(4000, 65535, 65535), (4095, 4095, 4095), (255, 255, 255), (60000, 255, 65535)],
)
def test_colours_and_alpha_have_one_range(tmp_path, suffix, colours, alpha, white):
    samples = np.full((6, 9, 4), colours, np.uint16)
    samples[..., 3] = alpha
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(imagecodecs.png_encode(samples))
    else:
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=["unassalpha"])
    picture = images.read(path)
    np.testing.assert_allclose(picture.rgb, colours * 255 / white, rtol=1e-5)
    np.testing.assert_allclose(picture.alpha, alpha * 255 / white, rtol=1e-5)


@pytest.mark.parametrize("kind", [b"P2", b"P5", b"P3", b"P6"])
@pytest.mark.parametrize("white", [4095, 65535])
def test_netpbm_states_its_range(tmp_path, kind, white):
    values = np.arange(54 if kind in (b"P2", b"P5") else 162) * 20
    data = b" ".join(b"%d" % value for value in values)
    if kind in (b"P5", b"P6"):
        data = values.astype(">u2").tobytes()
    path = tmp_path / "a.ppm"
    path.write_bytes(b"%s 9 6 %d\n" % (kind, white) + data)
    picture = images.read(path)
    levels = values.reshape(6, 9, -1) * (255 / white)
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(levels, (6, 9, 3)), atol=1)
    assert (EIGHT_USED in picture.notes) == (kind in (b"P3", b"P6"))


def test_bmp_of_16_bits_per_pixel_has_no_deep_channels(tmp_path):
    pixels = bytes(2 * 8 * 8)
    header = b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54)
    header += struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 16, 0, len(pixels), 0, 0, 0, 0)
    (tmp_path / "a.bmp").write_bytes(header + pixels)
    assert images.read(tmp_path / "a.bmp").notes == []

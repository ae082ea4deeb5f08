"""Whether LR fits HR: shifts against those made with Fourier's theorem, kinds of LR."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

import data
from core import alignment
from core.degradations import as_jpeg, degrade
from core.leaves import draw_leaves
from core.pairs import Pair
from helpers import noise, save


@pytest.fixture(scope="module")
def leaves():
    return draw_leaves(512, 3)


def moved(picture, down, right):
    """A picture moved by parts of pixels, by turning the phases of its spectrum."""
    y, x = (np.fft.fftfreq(side) for side in picture.shape[:2])
    phases = np.exp(-2j * np.pi * (y[:, None] * down + x * right))[..., None]
    spectrum = np.fft.fft2(picture, axes=(0, 1))
    return np.fft.ifft2(spectrum * phases, axes=(0, 1)).real


def pair_of(picture, scale, down, right, side=400):
    """LR [side/scale, side/scale, 3] that lies lower and further right than HR."""
    hr = picture[:side, :side]
    shifted = moved(picture.astype(float), down, right)[:side, :side]
    lr = data.bicubic_resize(shifted, side // scale, side // scale)
    return np.clip(lr.round(), 0, 255).astype(np.uint8), hr


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0.5, -0.5), (-2.25, 1.5), (4, -6)])
def test_shift_is_measured(leaves, scale, shift):
    side = 384
    lr, hr = pair_of(leaves, scale, *shift, side)
    found, gain, correlation = alignment.measure(lr, hr, scale)
    np.testing.assert_allclose(found, shift, atol=0.15)
    assert correlation > 0.5
    assert (gain > 3) == (shift != (0, 0))


def test_shift_is_that_of_plain_subsampling(leaves):
    """Every fourth pixel lies by 1.5 HR pixels beside the middle of its square."""
    lr = leaves[::4, ::4]
    found, gain, _ = alignment.measure(lr, leaves, 4)
    np.testing.assert_allclose(found, [1.5, 1.5], atol=0.15)
    kind, sentence = alignment.judge(lr, leaves, 4, "bicubic")
    assert kind == "shifted" and "by (1.5, 1.5) HR pixels" in sentence


def test_brightness_and_contrast_are_no_shift(leaves):
    lr, hr = pair_of(leaves, 4, 0, 0)
    lr = (0.6 * lr + 50).astype(np.uint8)
    np.testing.assert_allclose(alignment.measure(lr, hr, 4).shift, [0, 0], atol=0.1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_kinds_of_lr_are_told_apart(leaves, scale):
    hr = leaves[:480, :480]
    side = 480 // scale
    own = data.bicubic_resize(hr, side, side)
    blurred = Image.fromarray(hr).filter(ImageFilter.GaussianBlur(scale / 2))
    grain = np.random.default_rng(0).normal(0, 8, own.shape)
    of_pillow = Image.fromarray(hr).resize((side, side), Image.Resampling.BICUBIC)
    expected = {
        None: [own, np.asarray(of_pillow)],
        "made": [
            data.bicubic_resize(np.asarray(blurred), side, side),
            (own + grain).clip(0, 255).astype(np.uint8),
            as_jpeg(own, 80),
            degrade(hr, scale, "realistic", "a.png"),
        ],
        "shifted": [hr[::scale, ::scale], as_jpeg(np.roll(own, 1, axis=0), 80)],
        "unlike": [own[::-1, ::-1], noise(side, side, 3)],
    }
    for kind, pictures in expected.items():
        for lr in pictures:
            assert alignment.judge(lr, hr, scale, "bicubic")[0] == kind
    area = degrade(hr, scale, "area")
    assert alignment.judge(area, hr, scale, "area") == (None, None)
    if scale > 2:  # at x2 the two are alike on a smooth picture
        assert alignment.judge(area, hr, scale, "bicubic")[0] == "made"
        assert alignment.judge(own, hr, scale, "area")[0] == "made"
    # Whatever the camera did.
    for lr in expected["made"]:
        assert alignment.judge(lr, hr, scale, "realistic") == (None, None)
    assert alignment.judge(hr[::scale, ::scale], hr, scale, "realistic")[0] == "shifted"


def test_at_x1_lr_is_what_is_to_be_restored(leaves):
    lr = as_jpeg(leaves, 50)
    assert alignment.judge(lr, leaves, 1, "bicubic") == (None, None)
    assert alignment.judge(np.roll(lr, 2, 0), leaves, 1, "bicubic")[0] == "shifted"


def test_psnr_is_that_of_the_definition(leaves):
    lr, hr = as_jpeg(data.bicubic_resize(leaves, 128, 128), 80), leaves
    own = data.bicubic_resize(hr, 128, 128)[4:-4, 4:-4].astype(float)
    psnr = 10 * np.log10(255**2 / np.mean((own - lr[4:-4, 4:-4]) ** 2))
    assert f"to {psnr:.1f} dB" in alignment.judge(lr, hr, 4, "bicubic")[1]


@pytest.mark.parametrize("value", [0, 99, 255])
def test_pictures_that_say_nothing(value):
    """Flat ones and small ones."""
    flat = np.full((256, 256, 3), value, np.uint8)
    assert alignment.judge(flat[:64, :64], flat, 4, "bicubic") == (None, None)
    assert (
        alignment.judge(noise(31, 64, 3), noise(124, 256, 3), 4, "bicubic")[0] is None
    )


def test_five_pairs_are_checked_wherever_they_lie(tmp_path, leaves):
    pairs = []
    for number in range(9):
        lr, hr = pair_of(leaves, 4, 0, 0)
        if number in (0, 8):
            lr = np.roll(lr, (1, -1), (0, 1))
        if number == 4:
            lr = as_jpeg(lr, 30)
        paths = (tmp_path / f"{role}/{number}.png" for role in ("HR", "LR"))
        pairs.append(Pair(*paths, degradation="bicubic"))
        save(hr, pairs[-1][0])
        save(lr, pairs[-1][1])
    shifted, made = alignment.find_oddities(pairs, 4)
    assert shifted.startswith(
        f"The LR picture {tmp_path}/LR/0.png is shifted by (4.0, -4"
    )
    assert shifted.endswith("(2 of 5 checked)")
    assert "LR/4.png was made in another way than DEGRADATION = 'bicubic'" in made
    assert alignment.find_oddities(pairs[1:8:2], 4) == []
    # What cannot be read or does not fit is reported with all others later.
    pairs[0][1].write_text("no picture")
    save(lr[1:], pairs[4][1])
    assert len(alignment.find_oddities(pairs, 4)) == 1
    # DIV2K's own are shifted by design; where there is no LR there is nothing to check.
    assert (
        alignment.find_oddities([p._replace(degradation="unknown") for p in pairs], 4)
        == []
    )
    assert alignment.find_oddities([p._replace(lr=None) for p in pairs], 4) == []
    # Of ours, those that differ from time to time cannot be checked.
    fine = [p._replace(degradation="web") for p in pairs[1:4]]
    (ignored,) = alignment.find_oddities(fine, 4)
    assert ignored.startswith(
        "DEGRADATION = 'web' is ignored for pictures that come with"
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_official_lr_is_not_odd(photographs, scale):
    folder = photographs(f"Set5/image_SRF_{scale}")
    hr = sorted(folder.glob("*_HR.png"))
    lr = [path.with_stem(path.stem[:-2] + "LR") for path in hr]
    pairs = [Pair(*paths, degradation="bicubic") for paths in zip(hr, lr)]
    assert len(pairs) == 5
    for pair in pairs:
        assert alignment.find_oddities([pair], scale) == []


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4])
def test_photographs_give_no_false_alarm(photographs, scale):
    for path in sorted((photographs("BSDS500/images/val")).iterdir())[::5]:
        hr = data.read_image(path)
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        size = hr.shape[0] // scale, hr.shape[1] // scale
        for lr in (
            degrade(hr, scale, "realistic", path.name),
            as_jpeg(data.bicubic_resize(hr, *size), 40),
        ):
            assert alignment.judge(lr, hr, scale, "realistic") == (None, None), path
        lr = data.bicubic_resize(np.roll(hr, 1, 1), *size)
        assert alignment.judge(lr, hr, scale, "realistic")[0] == "shifted", path

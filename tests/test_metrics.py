"""Every fact of the literature's protocol, and agreement with scikit-image."""

import json
import math
import tracemalloc

import keras
import numpy as np
import pytest
import skimage.metrics
from PIL import Image

import data
import metrics
import reference
import upscale
from helpers import drawn_pair, noise, noisy_pair

# --- Facts ---


def test_matlab_figures_of_baboon(photographs):
    hr = data.read_image(photographs("matlab_bicubic/baboon_HR.png"))
    lr = data.read_image(photographs("matlab_bicubic/baboon_LR_x4.png"))
    sr = data.bicubic_resize(lr, *hr.shape[:2])
    assert round(metrics.psnr(hr, sr, shave=4), 6) == 20.419710
    assert round(metrics.ssim(hr, sr, shave=4), 6) == 0.391853
    # On Y the figures in circulation are 22.441898 and 0.453097, cut off, not rounded.
    assert abs(metrics.psnr(hr, sr, shave=4, luma=True) - 22.441899) < 5e-7
    assert abs(metrics.ssim(hr, sr, shave=4, luma=True) - 0.4530975) < 5e-7


@pytest.mark.parametrize(
    "scale, psnr, ssim",
    [(2, 33.679, 0.9304), (3, 30.406, 0.8690), (4, 28.432, 0.8113)],
)
def test_bicubic_on_set5(photographs, scale, psnr, ssim):
    pairs = data.load(photographs(f"Set5/image_SRF_{scale}"), "all", scale)
    scores = metrics.evaluate(None, pairs)
    assert round(scores["psnr_y"], 3) == psnr
    assert round(scores["ssim_y"], 4) == ssim


def score_bicubic_of_y_alone(folder, scale):
    """PSNR and SSIM as the code of SRCNN makes them, which is older than networks for RGB:
    Y is rounded, made smaller and larger without rounding in between, and rounded."""
    scores = []
    for _, hr in data.load(folder, "all", scale).as_numpy_iterator():
        height, width = hr.shape[:2]
        y = np.floor(data.luma(hr.astype(np.float64)) + 0.5)
        lr = data.bicubic_resize(y, height // scale, width // scale)
        sr = np.clip(np.floor(data.bicubic_resize(lr, height, width) + 0.5), 0, 255)
        scores.append([score(y, sr, scale) for score in (metrics.psnr, metrics.ssim)])
    return np.mean(scores, axis=0)


@pytest.mark.parametrize(
    "scale, psnr, ssim",
    [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)],
)
def test_papers_figures_of_bicubic_on_set5(photographs, scale, psnr, ssim):
    ours = score_bicubic_of_y_alone(photographs(f"Set5/image_SRF_{scale}"), scale)
    assert round(ours[0], 2) == psnr and round(ours[1], 4) == ssim


@pytest.mark.slow
@pytest.mark.parametrize(
    "scale, psnr, ssim",
    [(2, 29.56, 0.8431), (3, 27.21, 0.7385), (4, 25.96, 0.6675)],
)
def test_papers_figures_of_bicubic_on_bsd100(photographs, scale, psnr, ssim):
    ours = score_bicubic_of_y_alone(photographs("BSDS500/images/val"), scale)
    assert round(ours[0], 2) == psnr and abs(ours[1] - ssim) < 0.00015


@pytest.mark.slow
@pytest.mark.parametrize(
    "scale, psnr, ssim",
    [
        (2, 29.565, 0.8436),
        (3, 27.211, 0.7392),
        (4, 25.963, 0.6682),
    ],
)
def test_bicubic_on_bsd100(photographs, scale, psnr, ssim):
    scores = []
    for lr, hr in data.load(photographs("BSDS500/images/val"), "all", scale):
        sr = data.bicubic_resize(lr.numpy(), *hr.shape[:2])
        both = (metrics.psnr, metrics.ssim)
        scores.append([score(hr, sr, scale, luma=True) for score in both])
    assert len(scores) == 100
    assert round(np.mean(scores, axis=0)[0], 3) == psnr
    assert round(np.mean(scores, axis=0)[1], 4) == ssim


# --- The drawn picture: figures that tests/reference.py made by the plain definition ---


@pytest.mark.parametrize("scale", reference.SCALES)
def test_scores_of_the_drawn_picture_are_exact(scale):
    figures = json.loads((reference.DATA / "drawn.json").read_text())[str(scale)]
    lr, hr = drawn_pair(scale)
    sr = data.bicubic_resize(lr, *hr.shape[:2])
    psnr = metrics.psnr(hr, sr, shave=scale, luma=True)
    ssim = metrics.ssim(hr, sr, shave=scale, luma=True)
    assert math.isclose(psnr, figures["psnr"], rel_tol=1e-12)
    assert math.isclose(ssim, figures["ssim"], rel_tol=1e-12)
    scores = metrics.evaluate(None, [(lr, hr)], verbose=0)
    assert (scores["psnr_y"], scores["ssim_y"]) == (psnr, ssim)


def test_plain_definition_of_ssim_is_that_of_scikit_image():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (14, 17), dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 25, a.shape), 0, 255).astype(np.uint8)
    expected = skimage.metrics.structural_similarity(
        a, b, gaussian_weights=True, use_sample_covariance=False, data_range=255
    )
    a, b = (image.tolist() for image in (a, b))
    assert math.isclose(reference.ssim(a, b), expected, rel_tol=1e-9)


# --- Agreement with scikit-image ---


@pytest.mark.parametrize("luma", [False, True])
@pytest.mark.parametrize("shave", [0, 3])
@pytest.mark.parametrize("height", [40, metrics.STRIP + 11, 2 * metrics.STRIP + 16])
def test_scores_agree_with_scikit_image(luma, shave, height):
    hr, sr = noisy_pair(shape=(height, 52, 3))
    ours = [score(hr, sr, shave, luma) for score in (metrics.psnr, metrics.ssim)]
    if shave:
        hr, sr = hr[shave:-shave, shave:-shave], sr[shave:-shave, shave:-shave]
    if luma:
        hr, sr = data.luma(hr), data.luma(sr)
    psnr = skimage.metrics.peak_signal_noise_ratio(hr, sr, data_range=255)
    ssim = skimage.metrics.structural_similarity(
        hr,
        sr,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
    )
    np.testing.assert_allclose(ours, [psnr, ssim], rtol=1e-9)


@pytest.mark.parametrize("score", [metrics.ssim, metrics._scores])
def test_large_pictures_are_scored_in_little_memory(score, monkeypatch):
    """At 24 megapixels, the limit of 200 bytes per pixel is 5 GB, what TensorFlow takes
    for LPIPS aside."""
    monkeypatch.setattr(metrics, "AT_ONCE", 1)  # as if this was a large one
    hr, sr = noisy_pair(shape=(600, 400, 3))
    score(hr, sr, 2)  # loads what is loaded once
    tracemalloc.start()
    score(hr, sr, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * 600 * 400


def test_a_single_channel_is_taken_as_luma():
    hr, sr = noisy_pair()
    y_hr, y_sr = data.luma(hr), data.luma(sr)
    for score in (metrics.psnr, metrics.ssim):
        assert score(y_hr, y_sr, luma=True) == score(y_hr, y_sr)
        assert math.isclose(score(hr, sr, luma=True), score(y_hr, y_sr))


def test_equal_pictures():
    hr, _ = noisy_pair()
    assert metrics.psnr(hr, hr) == float("inf")
    assert metrics.ssim(hr, hr) == 1
    for metric in (metrics.PSNR(), metrics.SSIM()):
        metric.update_state(hr[None], hr[None])
        assert np.isfinite(float(metric.result()))


def test_errors_say_what_is_wrong():
    hr, sr = noisy_pair()
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.psnr(hr, sr[1:])
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.psnr(hr, sr[..., :1])
    with pytest.raises(ValueError, match="Nothing is left of 52x40 .* shaving 20"):
        metrics.psnr(hr, sr, shave=20)
    for score in (metrics.psnr, metrics.ssim):
        with pytest.raises(ValueError, match="shave = -1 must be a whole number"):
            score(hr, sr, shave=-1)
    with pytest.raises(ValueError, match="SSIM needs 11x11 pixels, 22x10 left"):
        metrics.ssim(hr, sr, shave=15)
    with pytest.raises(ValueError, match=r"one picture .* \(1, 40, 52, 3\)"):
        metrics.psnr(hr[None], sr[None])
    hr, sr = noisy_pair(shape=(40, 52, 4))
    for score in (metrics.psnr, metrics.ssim):
        for luma in (False, True):
            with pytest.raises(ValueError, match="not 4: leave out alpha"):
                score(hr, sr, luma=luma)


def test_grey_pictures_need_no_axis_of_channels():
    hr, sr = noisy_pair(shape=(40, 52, 1))
    for score in (metrics.psnr, metrics.ssim):
        assert score(hr[..., 0], sr[..., 0], 4, True) == score(hr, sr, 4, True)


# --- The range of pixels ---


SCORES = {
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "detail": lambda hr, sr, **arguments: metrics.detail(hr, sr, 2, **arguments),
}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_other_ranges_are_refused_or_meant(score):
    hr, sr = (image.astype(np.float64) for image in noisy_pair())
    expected = score(hr, sr)
    for white in (1.0, 65535):
        hr_of, sr_of = hr * (white / 255), sr * (white / 255)
        assert math.isclose(score(hr_of, sr_of, max_val=white), expected, rel_tol=1e-9)
        with pytest.raises(ValueError, match="not from 0 to 255: .*max_val"):
            score(hr_of, sr_of)
    with pytest.raises(
        ValueError, match="hr has pixels from 0 to 255, not from 0 to 1:"
    ):
        score(hr, sr, max_val=1.0)
    for low in (-1, -128):
        hr_of, sr_of = (low + image * (-2 * low / 255) for image in (hr, sr))
        with pytest.raises(ValueError, match=f"hr has pixels from {low} to "):
            score(hr_of, sr_of)
    with pytest.raises(ValueError, match="hr has pixels from 0 to 1, not from 0 to 2"):
        score(hr > 99, sr > 99)
    # As tf.image.resize makes them of pixels from 0 to 1.
    overshoot = [np.clip(image / 255 * 1.3 - 0.1, -0.1, 1.15) for image in (hr, sr)]
    with pytest.raises(ValueError, match="hr has pixels from -0.1 to 1.15, not from 0"):
        score(*overshoot)
    with pytest.raises(
        ValueError, match="sr has pixels from 0 to 1, not from 0 to 255"
    ):
        score(hr, sr / 255)
    with pytest.raises(
        ValueError, match="sr has pixels from 0 to 255, not from 0 to 1"
    ):
        score(hr / 255, sr, max_val=1.0)


def test_luma_of_pixels_from_0_to_1():
    hr, sr = noisy_pair()
    for score in (metrics.psnr, metrics.ssim):
        expected = score(hr, sr, 4, luma=True)
        ours = score(hr / 255, sr / 255, 4, luma=True, max_val=1)
        assert math.isclose(ours, expected, rel_tol=1e-9)


def test_dark_pictures_and_overshoot_are_not_another_range():
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 2, (20, 20, 3))
    assert metrics.psnr(dark.astype(np.uint8), 1 - dark) == 10 * np.log10(255**2)
    black = np.zeros((20, 20, 3))
    assert metrics.psnr(black, black) == float("inf")
    with pytest.raises(ValueError, match="if it is almost black, pass it as uint8"):
        metrics.psnr(dark.astype(np.float32), dark)
    # What interpolation adds at an edge between black and white.
    edge = np.repeat([0.0, 255.0], 10)[:, None, None] * np.ones((1, 20, 3))
    overshooting = data.bicubic_resize(edge, 40, 40)
    assert overshooting.min() < -5 and overshooting.max() > 260
    assert np.isfinite(metrics.psnr(overshooting, overshooting + 1))


def test_evaluate_takes_whole_levels_of_any_type_and_refuses_other_ranges(tiny_network):
    model, pairs = tiny_network(2), [drawn_pair(2)]
    floats = [tuple(image.astype(np.float32) for image in pairs[0])]
    fractions = [tuple(image / 255 for image in pairs[0])]
    for network in (None, model):
        expected = metrics.evaluate(network, pairs, verbose=0)
        ours = metrics.evaluate(network, floats, verbose=0)
        for key in ("psnr_y", "ssim_rgb", "detail"):
            assert ours[key] == expected[key]
        with pytest.raises(
            ValueError, match="LR has pixels from .* multiply .* by 255"
        ):
            metrics.evaluate(network, fractions, verbose=0)


# --- Whole datasets ---


def test_evaluate_is_the_mean_over_pictures(tiny_network):
    model = tiny_network(2)
    pairs = []
    for seed, shape in enumerate([(40, 52, 3), (30, 36, 3)]):
        hr, _ = noisy_pair(seed, shape)
        pairs.append((data.bicubic_resize(hr, shape[0] // 2, shape[1] // 2), hr))
    scores = metrics.evaluate(model, pairs)
    sr = [upscale.upscale(model, lr, precision="float32") for lr, _ in pairs]
    for key, score, luma in [
        ("psnr_y", metrics.psnr, True),
        ("ssim_y", metrics.ssim, True),
        ("psnr_rgb", metrics.psnr, False),
        ("ssim_rgb", metrics.ssim, False),
    ]:
        expected = np.mean([score(hr, s, 2, luma) for (_, hr), s in zip(pairs, sr)])
        assert math.isclose(scores[key], expected)
    assert scores["images_per_s"] > 0 and scores["megapixels_per_s"] > 0


def test_evaluate_prints_a_bar_or_nothing(tiny_network, capfd):
    pairs = [(np.zeros((20, 20, 3), np.uint8), np.zeros((40, 40, 3), np.uint8))]
    for model in (None, tiny_network(2)):
        metrics.evaluate(model, pairs, name="Some network")
        assert "Some network\n" in capfd.readouterr().out
        metrics.evaluate(model, pairs, verbose=0)
        assert capfd.readouterr().out == ""
    metrics.evaluate(None, iter(pairs))  # of unknown length


def test_pairs_that_cannot_be_scored_are_refused():
    with pytest.raises(ValueError, match="There are no pictures to score"):
        metrics.evaluate(None, [])
    with pytest.raises(ValueError, match=r"a dataset: data.load\('my_photos', ...\)"):
        metrics.evaluate(None, "my_photos")


def test_network_and_pairs_of_different_scales_are_named(tiny_network):
    pairs = [(noise(16, 16, 3), noise(64, 64, 3))]
    with pytest.raises(
        ValueError, match="enlarges by 2, and HR is LR times 4: load the"
    ):
        metrics.evaluate(tiny_network(2), pairs)
    with pytest.raises(ValueError, match="HR must be the same whole number of times"):
        metrics.evaluate(None, [drawn_pair(2)[::-1]])
    with pytest.raises(ValueError, match=r"is \(101, 100, 3\) and LR \(25, 25, 3\)"):
        metrics.evaluate(None, [(noise(25, 25, 3), noise(101, 100, 3))])


def test_each_picture_is_given_with_what_became_of_it(tiny_network):
    model = tiny_network(2)
    pairs = [drawn_pair(2), tuple(image[:40, :60] for image in drawn_pair(2))]
    pairs[1] = (pairs[1][0][:20, :30], pairs[1][1])
    rows = list(metrics.evaluate_each(model, pairs, verbose=0))
    for (lr, hr), (row_lr, row_hr, sr, row) in zip(pairs, rows, strict=True):
        np.testing.assert_array_equal(row_lr, lr)
        np.testing.assert_array_equal(row_hr, hr)
        expected = upscale.upscale(model, lr, precision="float32")
        np.testing.assert_array_equal(sr, expected)
        assert row["psnr_y"] == metrics.psnr(hr, sr, 2, luma=True)
        assert row["detail"] == metrics.detail(hr, sr, 2)
    scores = metrics.mean_scores(model, [row for *_, row in rows])
    expected = np.mean([row["psnr_y"] for *_, row in rows])
    assert math.isclose(scores["psnr_y"], expected)


def test_speeds_are_those_of_sizes_that_are_not_new(monkeypatch):
    sizes = [(20, 30), (20, 30), (30, 20), (20, 30), (30, 20)]
    pairs = [(np.zeros((*size, 3), np.uint8),) * 2 for size in sizes]
    clock, compiled = [0.0], set()

    def enlarge(model, lr, scale, self_ensemble=False):
        clock[0] += 0.5 if lr.shape in compiled else 9
        compiled.add(lr.shape)
        return lr

    monkeypatch.setattr(metrics, "enlarge", enlarge)
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: clock[0])
    scores = metrics.evaluate(None, pairs)
    assert scores["images_per_s"] == 2 and scores["megapixels_per_s"] == 0.0012


def test_table_has_a_line_for_each_row(capsys):
    scores = dict.fromkeys(metrics.COLUMNS, 1.23456)
    metrics.print_table({"bicubic": scores, "EDSR+": scores})
    note, head, *rows = capsys.readouterr().out.splitlines()
    assert "MATLAB" in note and "PSNR Y" in head
    assert [row.split() for row in rows] == [
        [name, *"1.23 1.2346 1.23 1.2346 1.2346 1.23 1.23 1.23 1.23 1".split()]
        for name in ("bicubic", "EDSR+")
    ]


def test_detail_counts_what_lies_beyond_the_nyquist_frequency_of_lr():
    """Waves of 2 and of 20 pixels; LR of x4 holds none shorter than 8."""
    x = np.arange(80)
    coarse, fine = (40 * np.cos(2 * np.pi * x / length) for length in (20, 2))
    hr, half, smooth = (
        np.tile(128 + coarse + part * fine, (80, 1))[..., None] for part in (1, 0.5, 0)
    )
    assert metrics.detail(hr, hr, 4) == 1
    np.testing.assert_allclose(metrics.detail(hr, half, 4), 0.25, rtol=1e-3)
    assert metrics.detail(hr, smooth, 4) < 1e-5
    assert np.isnan(metrics.detail(smooth, hr, 4))
    for turned in (hr.swapaxes(0, 1), half.swapaxes(0, 1)):
        assert metrics.detail(turned, turned, 4) == 1
    assert np.isnan(metrics.detail(np.zeros((20, 20, 3)), np.zeros((20, 20, 3)), 2))


@pytest.mark.parametrize("max_val", [0, -1, np.nan, np.inf, None, "255"])
def test_value_of_white_that_cannot_be_is_refused(max_val):
    with pytest.raises(ValueError, match="max_val = .* must be a number, finite"):
        metrics.psnr(noise(12, 12, 3), noise(12, 12, 3), max_val=max_val)
    with pytest.raises(ValueError, match="max_val = .* must be a number, finite"):
        metrics.PSNR(max_val=max_val)


def test_8_bits_have_no_white_of_16():
    """As where 16-bit files are decoded to 8 bits: PSNR would be 48 dB too high."""
    hr, sr = noisy_pair()
    for image in hr, keras.ops.convert_to_tensor(hr):
        with pytest.raises(ValueError, match="from 0 to 255, not from 0 to 65535: "):
            metrics.psnr(image, sr, max_val=65535)
    score = metrics.PSNR(max_val=65535)
    score.update_state(hr[None], sr[None])
    with pytest.raises(ValueError, match="HR has pixels that are not from 0 to 65535"):
        score.result()


@pytest.mark.parametrize("mode", ["P", "YCbCr", "HSV", "LAB", "CMYK"])
def test_images_of_pillow_in_other_colours_are_refused(mode, tiny_network):
    """Their numbers are no RGB, though some have three of them."""
    rgb, image = Image.fromarray(noise(24, 24, 3)), Image.new(mode, (24, 24))
    way_out = f'is a Pillow image of mode {mode}: pass its .convert\\("RGB"\\)'
    with pytest.raises(ValueError, match=f"hr {way_out}"):
        metrics.psnr(image, rgb)
    with pytest.raises(ValueError, match=f"image {way_out}"):
        upscale.upscale(tiny_network(2), image)
    with pytest.raises(ValueError, match=f"LR {way_out}"):
        metrics.evaluate(None, [(image, rgb)], verbose=0)
    assert metrics.psnr(rgb, rgb) == np.inf


def test_numbers_of_numpy_are_shaved():
    hr, sr = noisy_pair()
    assert metrics.psnr(hr, sr, np.uint8(4)) == metrics.psnr(hr, sr, 4)
    with pytest.raises(ValueError, match="shave = '4' must be a whole number"):
        metrics.psnr(hr, sr, "4")
    for scale in (0, "4"):
        with pytest.raises(ValueError, match=f"scale = {scale!r} must be a number"):
            metrics.detail(hr, sr, scale)
    with pytest.raises(ValueError, match="^image must be one picture"):
        metrics.niqe(hr[None])


def test_more_is_better_to_callbacks_of_keras(tiny_network):
    stopping = keras.callbacks.EarlyStopping("psnr")
    model = tiny_network(2)
    model.compile("sgd", "mae", metrics=[metrics.PSNR(shave=2)])
    lr, hr = noise(1, 12, 12, 3), noise(1, 24, 24, 3)
    model.fit(lr, hr, callbacks=[stopping], verbose=0)
    assert stopping.monitor_op(1.0, 0.0)

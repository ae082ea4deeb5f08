"""Which pictures count in a mean: not the flat ones, and none for more than 60 dB."""

import math

import keras
import numpy as np

import data
import metrics
from core import scoring
from helpers import drawn_pair


def flat_and_other_pairs():
    """Pairs of x2, LR of a flat picture being one level off; names say what they are."""
    hr = drawn_pair(2)[1][:60, :80]
    colour = np.full_like(hr, (200, 30, 90))
    grain = np.random.default_rng(0).integers(0, 2, hr.shape, dtype=np.uint8)
    pictures = {
        "black": 0 * hr,
        "white": 255 + 0 * hr,
        "colour": colour,
        "grain": colour + grain,
        "drawn": hr,
        "other": hr[::-1].copy(),
    }
    return {name: (data.bicubic_resize(p, 30, 40), p) for name, p in pictures.items()}


def test_flat_pictures_count_in_no_mean(capsys):
    pairs = flat_and_other_pairs()
    names = [name for name, (_, hr) in pairs.items() if scoring.is_flat(hr)]
    assert names == ["black", "white", "colour", "grain"]
    expected = metrics.evaluate(None, [pairs["drawn"], pairs["other"]], verbose=0)
    scores = metrics.evaluate(None, [*pairs.values()], verbose=0)
    assert expected["flat"] == 0 and scores["flat"] == 4
    for key in ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "detail"):
        assert scores[key] == expected[key]
    metrics.print_table({"bicubic": scores})
    assert "which count in no mean: 4\n" in capsys.readouterr().out
    metrics.print_table({"bicubic": expected})
    assert "count" not in capsys.readouterr().out


def test_border_may_be_all_that_a_picture_shows():
    """What is shaved off is not scored."""
    hr = np.full((40, 40, 3), 9, np.uint8)
    hr[:2] = 255
    lr = data.bicubic_resize(hr, 20, 20)
    (row,) = [row for *_, row in metrics.evaluate_each(None, [(lr, hr)], verbose=0)]
    assert row["flat"]


def test_means_of_no_picture_are_nan(capsys, recwarn):
    pairs = flat_and_other_pairs()
    scores = metrics.evaluate(None, [pairs["black"], pairs["white"]], verbose=0)
    assert scores["flat"] == 2 and scores["images_per_s"] > 0
    assert all(np.isnan(scores[key]) for key in ("psnr_y", "ssim_rgb", "detail"))
    metrics.print_table({"bicubic": scores})
    out = capsys.readouterr().out
    assert "count in no mean: 2" in out and out.count(" nan ") == 5
    assert not [w for w in recwarn if "slice" in str(w.message)]


def test_picture_without_error_adds_60_db():
    hr = drawn_pair(2)[1][:60, :80]
    repeated = hr[::2, ::2].repeat(2, 0).repeat(2, 1)
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.UpSampling2D(2)(inputs))
    pairs = [(hr[::2, ::2], repeated), (hr[::2, ::2], hr)]
    exact, other = [row for *_, row in metrics.evaluate_each(model, pairs, verbose=0)]
    assert exact["psnr_y"] == exact["psnr_rgb"] == float("inf")
    scores = metrics.evaluate(model, pairs, verbose=0)
    for key in ("psnr_y", "psnr_rgb"):
        assert scores[key] == (60 + other[key]) / 2
    assert scores["ssim_y"] == (1 + other["ssim_y"]) / 2


def test_picture_without_detail_is_in_no_mean_of_detail():
    """A gradient, whose fine detail is the error of rounding alone."""
    rows, columns = np.mgrid[0:60, 0:80]
    gradient = np.stack([2 * rows, 3 * columns, rows + columns], axis=-1)
    gradient = gradient.astype(np.uint8)
    pairs = [drawn_pair(2), (data.bicubic_resize(gradient, 30, 40), gradient)]
    one, none = [row for *_, row in metrics.evaluate_each(None, pairs, verbose=0)]
    assert not none["flat"] and np.isnan(none["detail"])
    scores = metrics.evaluate(None, pairs, verbose=0)
    assert scores["detail"] == one["detail"]
    assert scores["psnr_y"] == np.mean([one["psnr_y"], none["psnr_y"]])


def test_keras_metrics_follow_the_same_rule_as_evaluate():
    pairs = flat_and_other_pairs()
    hr = np.stack([hr for _, hr in pairs.values()])
    sr = np.stack([data.bicubic_resize(lr, 60, 80) for lr, _ in pairs.values()])
    sr[-1] = hr[-1]  # without error
    rows = [
        {
            "psnr": metrics.psnr(*pair, 2, luma=True),
            "ssim": metrics.ssim(*pair, 2, luma=True),
            "flat": scoring.is_flat(scoring.shaved(pair[0], 2)),
        }
        for pair in zip(hr, sr)
    ]
    expected = metrics.mean_scores(None, rows)
    for metric in (metrics.PSNR(2, luma=True), metrics.SSIM(2, luma=True)):
        metric.update_state(hr, sr)
        score = float(metric.result())
        assert math.isclose(score, expected[metric.name], rel_tol=1e-5)

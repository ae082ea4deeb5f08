"""Drawings show the arrays they are given, as they are."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import drawings
from helpers import noise


def test_find_detail_is_where_bicubic_fails_most():
    hr = np.zeros((90, 120, 3), np.uint8)
    bicubic = hr.copy()
    bicubic[50:70, 80:100] = 200
    rows, columns = drawings.find_detail(hr, bicubic)
    assert rows.stop - rows.start == columns.stop - columns.start == 30
    assert rows.start <= 50 and rows.stop >= 70
    assert columns.start <= 80 and columns.stop >= 100


def test_frame_lies_around_the_pixels_of_a_detail():
    axes = Figure().subplots()
    drawings.mark(axes, (slice(4, 7), slice(0, 3)))
    (frame,) = axes.patches
    assert frame.get_bbox().extents.tolist() == [-0.5, 3.5, 2.5, 6.5]
    assert not frame.get_clip_on()


def test_curves_begin_with_the_start(tmp_path, monkeypatch):
    """Of which there is no training loss."""
    figures = []
    monkeypatch.setattr(drawings, "_save", lambda figure, path: figures.append(figure))
    start = {"epoch": 0, "loss": None, "val_loss": 5.0}
    epochs = [{"epoch": n, "loss": 4.0 - n, "val_loss": 5.0 - n} for n in (1, 2)]
    for history in ([start, *epochs], [start], epochs):
        drawings.draw_curves(history, tmp_path / "curves.png")
        (axes,) = figures[-1].axes
        training, validation = (line.get_xydata().tolist() for line in axes.lines)
        assert training == [[r["epoch"], r["loss"]] for r in history if r["epoch"]]
        assert validation == [[row["epoch"], row["val_loss"]] for row in history]
        left, right = axes.get_xlim()
        assert left < history[0]["epoch"] and right > history[-1]["epoch"]


def test_curves_without_validation_or_after_every_other_epoch(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(drawings, "_save", lambda figure, path: figures.append(figure))
    rows = [{"epoch": n, "loss": 4.0 - n, "psnr": 30.0 + n} for n in (1, 2)]
    drawings.draw_curves(rows, tmp_path / "curves.png")
    drawings.draw_curves(
        [rows[0], {**rows[1], "val_psnr": 31}], tmp_path / "curves.png"
    )
    panels = [
        (axes.get_title(), [line.get_label() for line in axes.lines])
        for figure in figures
        for axes in figure.axes
    ]
    assert panels == [
        ("loss", ["training"]),
        ("PSNR [dB]", ["training"]),
        ("PSNR [dB]", ["training", "validation"]),
    ]
    assert figures[1].axes[0].lines[1].get_xydata().tolist() == [[2, 31]]


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_show_luma_and_rgb(channels, tmp_path):
    lr = np.full((2, 4, 4, channels), 128, np.float32)
    hr = np.full((2, 8, 8, channels), 128, np.uint8)
    drawings.draw_samples((lr.astype(np.uint8), hr), tmp_path / "samples.png")
    drawn = np.asarray(Image.open(tmp_path / "samples.png").convert("RGB"))
    middle = drawn[drawn.shape[0] // 4, drawn.shape[1] // 4]
    assert middle.tolist() == [128, 128, 128]  # neither stretched nor coloured


@pytest.mark.parametrize("count", [1, 2, 5])
def test_details_show_each_network_and_the_original(count, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    hr = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    enlarged = {
        f"network{n}": rng.integers(0, 256, hr.shape, dtype=np.uint8)
        for n in range(count)
    }
    shown = {}
    monkeypatch.setattr(
        drawings, "show", lambda axes, image, title: shown.update({title: image})
    )
    drawings.draw_details(hr[::2, ::2], hr, enlarged, tmp_path / "details.png")
    detail = drawings.find_detail(hr, enlarged["network0"], 1 / 4)
    whole, *others, original = shown.values()
    np.testing.assert_array_equal(whole, hr)
    np.testing.assert_array_equal(original, hr[detail])
    assert len(others) == count
    for (name, image), crop in zip(enlarged.items(), others):
        np.testing.assert_array_equal(crop, image[detail])
    assert Image.open(tmp_path / "details.png").size[0] > 500


def shown_by(monkeypatch):
    """Lists what is shown: (caption, picture)."""
    shown = []
    monkeypatch.setattr(
        drawings, "show", lambda axes, image, title="": shown.append((title, image))
    )
    return shown


def test_comparison_shows_all_versions_and_the_same_detail(tmp_path, monkeypatch):
    shown = shown_by(monkeypatch)
    hr = noise(40, 60, 3)
    lr = hr[::2, ::2]
    enlarged = {f"network{n}": noise(40, 60, 3, seed=n) for n in (1, 2)}
    drawings.draw_comparison(lr, hr, enlarged, tmp_path / "new" / "comparison.png")
    above, below = shown[::2], shown[1::2]
    captions = ["LR, 30x20", "network1", "network2", "HR, 60x40"]
    assert [caption for caption, _ in above] == captions
    versions = [lr.repeat(2, axis=0).repeat(2, axis=1), *enlarged.values(), hr]
    detail = drawings.find_detail(hr, enlarged["network1"])
    for (_, whole), (_, crop), version in zip(above, below, versions, strict=True):
        np.testing.assert_array_equal(whole, version)
        np.testing.assert_array_equal(crop, version[detail])
    assert Image.open(tmp_path / "new" / "comparison.png").size[0] > 1000


def test_pairs_show_the_same_square_of_lr_and_hr(tmp_path, monkeypatch):
    shown = shown_by(monkeypatch)
    pairs = [(hr[::2, ::2], hr) for hr in (noise(40, 60, 3), noise(200, 300, 3))]
    drawings.draw_pairs(pairs, tmp_path / "pairs.png")
    assert [caption for caption, _ in shown] == ["20x20", "40x40", "64x64", "128x128"]
    for (_, lr), (_, hr) in zip(shown[::2], shown[1::2]):
        np.testing.assert_array_equal(hr[::2, ::2], lr)


def test_curves_have_a_panel_for_each_score(tmp_path, monkeypatch):
    titles, drawn = [], drawings.Figure.savefig

    def titles_of(figure, path, **options):
        titles.append([axes.get_title() for axes in figure.axes])
        labels = figure.axes[0].get_legend_handles_labels()[1]
        assert labels == ["training", "validation"]
        drawn(figure, path, **options)

    monkeypatch.setattr(drawings.Figure, "savefig", titles_of)
    row = {"epoch": 1, "loss": 1.0, "psnr": 30.0, "val_loss": 1.0, "val_psnr": 31.0}
    rows = [row, {**row, "epoch": 2}]
    drawings.draw_curves(rows, tmp_path / "curves.png")
    row = {"epoch": 1, "only_training": 3.0, "loss": 1.0, "val_loss": 1.0}
    drawings.draw_curves([row], tmp_path / "curves.png")
    assert titles == [["loss", "PSNR [dB]"], ["loss"]]


def test_inset_lies_in_the_corner_farthest_from_the_detail():
    image = noise(100, 100, 3)
    for y, x in ((5, 5), (5, 85), (85, 5), (85, 85)):
        figure = drawings.Figure((4, 4))
        axes = figure.subplots()
        drawings.show(axes, image)
        detail = slice(y, y + 10), slice(x, x + 10)
        drawings.show_inset(axes, image, detail)
        figure.draw_without_rendering()
        (inset,) = axes.child_axes
        middle = inset.get_window_extent().get_points().mean(axis=0)
        right, down = axes.transData.inverted().transform(middle)
        assert (down > 50) == (y < 50) and (right > 50) == (x < 50)
        np.testing.assert_array_equal(inset.get_images()[0].get_array(), image[detail])

import numpy as np
import pytest
from PIL import Image

import data
import pictures
import upscale


def test_find_detail_is_where_bicubic_fails_most():
    hr = np.zeros((90, 120, 3), np.uint8)
    bicubic = hr.copy()
    bicubic[50:70, 80:100] = 200
    rows, columns = pictures.find_detail(hr, bicubic)
    assert rows.stop - rows.start == columns.stop - columns.start == 30
    assert rows.start <= 50 and rows.stop >= 70
    assert columns.start <= 80 and columns.stop >= 100


@pytest.fixture
def preview(tiny_network, tmp_path):
    """A preview of a random picture, of size 60x40, with a random network."""
    hr = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    pair = data.bicubic_resize(hr, 20, 30), hr
    return pictures.Preview(tiny_network(2), pair, tmp_path / "preview", every=5)


def test_preview_shows_the_network_as_it_is(preview, monkeypatch):
    shown = {}
    monkeypatch.setattr(
        pictures,
        "show",
        lambda axes, image, title="inset": shown.setdefault(title, []).append(image),
    )
    preview.on_epoch_end(9)
    (title,) = [title for title in shown if "epoch 10" in title]
    sr = upscale.upscale(preview.network, preview.lr)
    np.testing.assert_array_equal(shown[title][0], sr)
    bicubic = data.bicubic_resize(preview.lr, 40, 60)
    detail = pictures.find_detail(preview.hr, bicubic, 1 / 6)
    np.testing.assert_array_equal(shown["inset"][1], sr[detail])


def test_preview_is_drawn_after_the_first_epoch_and_every_so_many(preview):
    for epoch in range(11):
        preview.on_epoch_end(epoch)
    names = sorted(path.stem for path in preview.folder.iterdir())
    assert names == ["epoch_0001", "epoch_0005", "epoch_0010"]


def test_preview_of_the_first_epoch_alone(preview):
    preview.every = 0
    for epoch in range(3):
        preview.on_epoch_end(epoch)
    assert [path.stem for path in preview.folder.iterdir()] == ["epoch_0001"]


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_show_luma_and_rgb(channels, tmp_path):
    lr = np.full((2, 4, 4, channels), 128, np.float32)
    hr = np.full((2, 8, 8, channels), 128, np.uint8)
    pictures.draw_samples([(lr.astype(np.uint8), hr)], tmp_path / "samples.png")
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
        pictures, "show", lambda axes, image, title: shown.update({title: image})
    )
    pictures.draw_details((hr[::2, ::2], hr), enlarged, tmp_path / "details.png")
    detail = pictures.find_detail(hr, enlarged["network0"], 1 / 4)
    whole, *others, original = shown.values()
    np.testing.assert_array_equal(whole, hr)
    np.testing.assert_array_equal(original, hr[detail])
    assert len(others) == count
    for (name, image), crop in zip(enlarged.items(), others):
        np.testing.assert_array_equal(crop, image[detail])
    assert Image.open(tmp_path / "details.png").size[0] > 500

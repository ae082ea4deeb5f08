"""Early stopping that counts on after a stop, and the preview."""

import types

import numpy as np
import pytest

import callbacks
import data
import drawings
import upscale
from helpers import noise


@pytest.mark.parametrize("start", [[], [{"epoch": 0, "loss": None}]])
def test_early_stopping_counts_on_from_the_history(start):
    """A gain, then two epochs without; the third without ends it, here or after a stop."""
    losses = [5.0, 4.0, 4.5, 4.0, 4.1]
    for before in range(len(losses)):
        epochs = [{"epoch": n + 1, "loss": x} for n, x in enumerate(losses[:before])]
        history = [*start, *epochs]
        run = types.SimpleNamespace(history=history)
        callback = callbacks.EarlyStopping(run, "loss", patience=3)
        model = types.SimpleNamespace(stop_training=False)
        callback.set_model(model)
        callback.on_train_begin()
        for number in range(before, len(losses)):
            assert not model.stop_training
            callback.on_epoch_end(number, {"loss": losses[number]})
        assert model.stop_training
    callback.on_train_begin()  # EPOCHS was raised
    assert not model.stop_training


def test_early_stopping_on_psnr_counts_on():
    """Before the metrics are built, from which Keras tells that more is better."""
    history = [
        {"epoch": n + 1, "val_psnr": x} for n, x in enumerate([30.0, 31.0, 30.5])
    ]
    run = types.SimpleNamespace(history=history)
    callback = callbacks.EarlyStopping(run, "val_psnr", patience=2)
    model = types.SimpleNamespace(stop_training=False)
    callback.set_model(model)
    callback.on_train_begin()
    assert not model.stop_training
    callback.on_epoch_end(3, {"val_psnr": 30.9})
    assert model.stop_training


@pytest.fixture
def preview(tiny_network, tmp_path):
    """A preview of a random picture, of size 60x40, with a random network."""
    hr = noise(40, 60, 3)
    pair = data.bicubic_resize(hr, 20, 30), hr
    return callbacks.Preview(tiny_network(2), pair, tmp_path / "preview")


def test_preview_shows_the_network_as_it_is(preview, monkeypatch):
    shown = {}
    monkeypatch.setattr(
        drawings,
        "show",
        lambda axes, image, title="inset": shown.setdefault(title, []).append(image),
    )
    preview.on_epoch_end(9)
    (title,) = [title for title in shown if "epoch 10" in title]
    sr = upscale.upscale(preview.network, preview.lr)
    np.testing.assert_array_equal(shown[title][0], sr)
    bicubic = data.bicubic_resize(preview.lr, 40, 60)
    detail = drawings.find_detail(preview.hr, bicubic, 1 / 6)
    np.testing.assert_array_equal(shown["inset"][1], sr[detail])


def test_preview_of_a_large_picture_is_its_middle(tiny_network, tmp_path):
    lr, hr = noise(200, 300, 3), noise(400, 600, 3)
    preview = callbacks.Preview(tiny_network(2), (lr, hr), tmp_path)
    np.testing.assert_array_equal(preview.lr, lr[4:196, 54:246])
    np.testing.assert_array_equal(preview.hr, hr[8:392, 108:492])


def test_preview_takes_float_pixels_and_text(preview):
    pair = preview.lr.astype("float32"), preview.hr.astype("float32")
    other = callbacks.Preview(preview.network, pair, str(preview.folder))
    assert other.lr.dtype == other.hr.dtype == np.uint8
    np.testing.assert_array_equal(other.hr, preview.hr)
    other.on_epoch_end(0)
    assert (preview.folder / "epoch_0001.png").exists()


def test_preview_of_another_scale_is_refused(preview, tiny_network):
    with pytest.raises(ValueError, match="enlarges by 3, and HR is LR times 2"):
        callbacks.Preview(tiny_network(3), (preview.lr, preview.hr), preview.folder)

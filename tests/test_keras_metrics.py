"""The Keras metrics: in compile(), on the backends, and what they refuse."""

import json
import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import metrics
from core import scoring
from helpers import PROJECT, noisy_pair


@pytest.mark.parametrize("shave, luma", [(0, False), (4, True)])
def test_keras_metrics_are_the_mean_over_images(shave, luma):
    # Two images of very different quality, and pixels that need clipping and rounding.
    hr, sr = noisy_pair()
    batch_hr = np.stack([hr, hr])
    batch_sr = np.stack([sr + 0.4, hr * 1.02]).astype(np.float32)
    rounded = np.floor(np.clip(batch_sr, 0, 255) + 0.5)
    for metric, score in ((metrics.PSNR, metrics.psnr), (metrics.SSIM, metrics.ssim)):
        metric = metric(shave=shave, luma=luma)
        for _ in range(2):
            metric.update_state(batch_hr, batch_sr)
        expected = np.mean([score(*p, shave, luma) for p in zip(batch_hr, rounded)])
        assert math.isclose(float(metric.result()), expected, rel_tol=1e-5)
        assert metric.name == metric.__class__.__name__.lower()
    pooled = float(keras.ops.psnr(batch_hr.astype("float32"), rounded, 255.0))
    single = np.mean([metrics.psnr(*p) for p in zip(batch_hr, rounded)])
    assert abs(pooled - single) > 0.5  # Keras' own pools the error of the batch


def test_keras_metrics_work_in_compile_and_config(tiny_network):
    model = tiny_network(2)
    model.compile(
        loss="mae", metrics=[metrics.PSNR(shave=2, luma=True), metrics.SSIM()]
    )
    rng = np.random.default_rng(0)
    lr, hr = (rng.integers(0, 256, (2, n, n, 3), dtype=np.uint8) for n in (16, 32))
    logs = model.evaluate(lr, hr, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "psnr", "ssim"}
    copy = metrics.PSNR.from_config(model.metrics[1].metrics[0].get_config())
    assert (copy.shave, copy.luma, copy.name) == (2, True, "psnr")


# Runs in a process of its own for each backend, and prints what came of it.
IN_COMPILE = """
import json, sys, warnings
import keras, numpy as np
import metrics

out, rng = {}, np.random.default_rng(0)
lr = rng.integers(0, 256, (4, 8, 8, 3)).astype("float32")
hr = rng.integers(0, 256, (4, 16, 16, 3)).astype("float32")
inputs = keras.Input((None, None, 3))
model = keras.Sequential([inputs, keras.layers.UpSampling2D(2), keras.layers.Conv2D(3, 1)])
epochs = []
count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))

def error_of(function, *args, **kwargs):
    try:
        return function(*args, verbose=0, **kwargs)
    except ValueError as error:
        return str(error)

# Ranges, and shapes.
model.compile("sgd", "mae", metrics=[metrics.PSNR(), metrics.SSIM()])
out["fit"] = error_of(model.fit, lr, hr / 255, epochs=2, callbacks=[count])
out["epochs"] = len(epochs)
out["evaluate"] = error_of(model.evaluate, lr, hr / 127.5 - 1)
model.compile("sgd", "mae", metrics=[metrics.PSNR()])
out["grey"] = error_of(model.evaluate, lr, hr[..., :1])

# One black crop of four, exact after one epoch; after another, the others are better.
crops = np.round(hr * (150 / 255) + 50)
crops[0] = 0
metric = metrics.PSNR()
for name, black, errors in (("exact", 0, [6] * 49 + [5] * 719),
                            ("better", 1, [5] * 443 + [4] * 325)):
    made = crops + np.reshape(errors, (16, 16, 3))
    made[0] = black
    metric.reset_state()
    metric.update_state(crops, made)
    out[name] = float(metric.result())
metric.reset_state()
metric.update_state(crops, crops)
out["no error"] = float(metric.result())
metric.reset_state()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    metric.update_state(crops[:1], crops[:1])
    out["flat"] = [float(metric.result()), *(str(w.message) for w in caught)]

# Saved and loaded.
scores = [metrics.PSNR(2, luma=True, max_val=65535.0), metrics.SSIM(1, max_val=65535)]
model.compile("sgd", "mae", metrics=scores)
first = model.evaluate(lr * 257, hr * 257, verbose=0)
model.save(sys.argv[1])
loaded = keras.saving.load_model(sys.argv[1])
out["same"] = loaded.evaluate(lr * 257, hr * 257, verbose=0) == first
configs = [[m.get_config() for m in x.metrics[1].metrics] for x in (model, loaded)]
out["configs"] = [configs[0][0], configs[0] == configs[1]]
print("RESULT" + json.dumps(out))
"""


BACKENDS = [
    "tensorflow",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "torch")),
]


@pytest.fixture(scope="module", params=BACKENDS)
def in_compile(request, tmp_path_factory):
    """What came of the cases above on a backend: a dict."""
    pytest.importorskip(request.param)
    done = subprocess.run(
        [sys.executable, "-c", IN_COMPILE, tmp_path_factory.mktemp("it") / "m.keras"],
        env={
            **os.environ,
            "KERAS_BACKEND": request.param,
            "PYTHONPATH": str(PROJECT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("RESULT")[2])


def test_what_compile_refuses(in_compile):
    for name in ("fit", "evaluate"):
        message = (
            "psnr: HR has pixels that are not from 0 to 255: rescale them, or pass"
        )
        assert in_compile[name].startswith(message)
    assert in_compile["epochs"] == 0
    assert "HR and SR differ in shape" in in_compile["grey"]


def test_black_crop_decides_no_epoch(in_compile):
    """Its 148 dB made the mean 62.5 dB for the worse network, 38.2 for the better one."""
    np.testing.assert_allclose(in_compile["exact"], 34.03, atol=0.005)
    np.testing.assert_allclose(in_compile["better"], 34.87, atol=0.005)
    np.testing.assert_allclose(in_compile["no error"], scoring.HIGHEST)
    score, *warnings = in_compile["flat"]
    assert np.isnan(score) and "psnr is NaN: all 1 images are flat." in warnings


def test_model_compiled_with_them_is_saved_and_loaded(in_compile):
    config, equal = in_compile["configs"]
    assert equal and in_compile["same"]
    assert config == {
        "name": "psnr",
        "dtype": "float32",
        "shave": 2,
        "luma": True,
        "max_val": 65535.0,
    }


def test_keras_metrics_refuse_what_cannot_be_compared():
    hr, sr = (np.stack([image] * 2) for image in noisy_pair(shape=(16, 16, 4)))
    alpha, (hr, sr) = (hr, sr), (hr[..., :3], sr[..., :3])
    for arguments, pictures, message in [
        ({}, (hr[..., :1], sr[..., :3]), "HR and SR differ in shape"),
        ({}, (hr[:1], sr), "HR and SR differ in shape"),
        ({}, (hr[:, :1], sr), "HR and SR differ in shape"),
        ({}, (hr[0], sr[0]), "HR must be a batch"),
        ({}, alpha, "RGB or one channel, not 4: leave out alpha"),
        ({"luma": True}, alpha, "RGB or one channel, not 4: leave out alpha"),
        ({"shave": 8}, (hr, sr), "Nothing is left of 16x16 pixels after shaving 8"),
    ]:
        for metric in (metrics.PSNR, metrics.SSIM):
            with pytest.raises(ValueError, match=message):
                metric(**arguments).update_state(*pictures)
    with pytest.raises(ValueError, match="SSIM needs 11x11 pixels, 10x10 left"):
        metrics.SSIM(shave=3).update_state(hr, sr)


@pytest.mark.parametrize("white", [1.0, 65535])
def test_keras_metrics_of_other_ranges(white):
    hr, sr = (np.stack([image] * 2).astype("float32") for image in noisy_pair())
    for metric in (metrics.PSNR, metrics.SSIM):
        usual, other = metric(2, luma=True), metric(2, luma=True, max_val=white)
        usual.update_state(hr, sr)
        other.update_state(hr * (white / 255), sr * (white / 255))
        assert math.isclose(float(usual.result()), float(other.result()), rel_tol=1e-5)
        usual.update_state(hr * (white / 255), sr * (white / 255))
        usual.update_state(hr * (white / 255), sr * (white / 255))
        with pytest.raises(
            ValueError, match="HR has pixels that are not from 0 to 255"
        ):
            usual.result()
        usual.reset_state()
        assert not usual.counts.numpy().any()


def test_channels_and_sides_that_are_unknown_in_the_graph():
    """As of tf.io.decode_png without channels."""
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.UpSampling2D(2)(inputs))
    rng = np.random.default_rng(0)

    def pngs(*shape, channels=0):
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        files = [tf.io.encode_png(image).numpy() for image in images]
        files = tf.data.Dataset.from_tensor_slices(files)
        return images, files.map(lambda file: tf.io.decode_png(file, channels))

    def evaluate(side, hr, *list_of_metrics):
        lr, lrs = pngs(4, side, side, 3, channels=3)
        pairs = tf.data.Dataset.zip(lrs, hr).batch(2)
        assert pairs.element_spec[1].shape.as_list() == [None] * 4
        model.compile("sgd", "mae", metrics=list_of_metrics)
        return lr.repeat(2, 1).repeat(2, 2), model.evaluate(
            pairs, verbose=0, return_dict=True
        )

    images, hr = pngs(4, 16, 16, 3)
    sr, logs = evaluate(8, hr, metrics.PSNR(2, luma=True), metrics.SSIM(2))
    expected = [metrics.psnr(*pair, 2, luma=True) for pair in zip(images, sr)]
    assert math.isclose(logs["psnr"], np.mean(expected), rel_tol=1e-5)
    expected = [metrics.ssim(*pair, 2) for pair in zip(images, sr)]
    assert math.isclose(logs["ssim"], np.mean(expected), rel_tol=1e-4)
    for channels in (1, 4):
        with pytest.raises(Exception, match="[Ss]hapes"):
            evaluate(8, pngs(4, 16, 16, channels)[1], metrics.PSNR(luma=True))
    with pytest.raises(ValueError, match="ssim needs images of 19x19 pixels or more"):
        evaluate(9, pngs(4, 18, 18, 3)[1], metrics.SSIM(4))
    with pytest.raises(ValueError, match="psnr needs images of 9x9 pixels or more"):
        evaluate(4, pngs(4, 8, 8, 3)[1], metrics.PSNR(4, luma=True))


def test_channels_that_nobody_knows_are_refused():
    spec = tf.TensorSpec([None, None, None, None], tf.uint8)
    update = tf.function(metrics.PSNR(luma=True).update_state)
    with pytest.raises(ValueError, match="has to know the number of channels"):
        update.get_concrete_function(spec, spec)


def test_weights_of_images():
    hr, sr = noisy_pair()
    metric = metrics.PSNR()
    weights = np.array([1, 3])
    metric.update_state(np.stack([hr, hr]), np.stack([sr, hr + 2.0]), weights)
    scores = [metrics.psnr(hr, sr), metrics.psnr(hr, np.clip(hr + 2.0, 0, 255))]
    assert math.isclose(
        float(metric.result()), np.average(scores, weights=weights), rel_tol=1e-5
    )


def test_weights_of_pixels_are_refused():
    hr, sr = noisy_pair()
    with pytest.raises(ValueError, match="one number for each image, not of shape"):
        metrics.PSNR()(hr[None], sr[None], np.ones((1, *hr.shape[:2])))


def test_keras_metrics_take_batches_of_several_sizes_in_turn(tiny_network):
    model = tiny_network(2)
    model.compile("sgd", "mae", metrics=[metrics.PSNR(shave=2, luma=True)])
    for side in (8, 10, 12):
        lr, _ = noisy_pair(shape=(2, side, side, 3))
        hr, _ = noisy_pair(shape=(2, 2 * side, 2 * side, 3))
        logs = model.test_on_batch(lr, hr, return_dict=True)
        assert np.isfinite(logs["psnr"])

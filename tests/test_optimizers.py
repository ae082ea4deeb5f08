"""Muon against the singular value decomposition, what it leaves to Adam, and the rate."""

import keras
import numpy as np
import pytest

import optimizers


def step(optimizer, shape, seed=0):
    """(gradient, change) of one step of a weight that begins at zero."""
    weight = keras.Variable(np.zeros(shape, np.float32))
    gradient = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return gradient, keras.ops.convert_to_numpy(weight)


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (1, 1, 16, 8), (5, 5, 8, 64), (9, 7)])
def test_step_of_a_kernel_is_the_orthogonal_matrix_nearest_to_its_gradient(shape):
    gradient, change = step(optimizers.make_optimizer("muon", 0.01), shape)
    gradient, change = (x.reshape(-1, shape[-1]) for x in (gradient, change))
    left, _, right = np.linalg.svd(gradient, full_matrices=False)
    # In the gradient's own directions the step is diagonal. Its five Newton-Schulz steps
    # leave singular values of 0.7 to 1.2 (Jordan 2024), for a root mean square of 0.2.
    scale = -0.01 * 0.2 * np.sqrt(max(gradient.shape))
    diagonal = left.T @ change @ right.T / scale
    values = np.diag(diagonal)
    assert (values > 0.6).all() and (values < 1.3).all()
    np.testing.assert_allclose(diagonal - np.diag(values), 0, atol=1e-4)


@pytest.mark.parametrize("shape", [(8,), (3, 3, 3, 16), (3, 3, 16, 3), (1, 1, 16, 1)])
def test_biases_and_kernels_of_pixels_take_steps_of_adam(shape):
    _, change = step(optimizers.make_optimizer("muon", 0.01), shape)
    _, expected = step(optimizers.make_optimizer("adam", 0.01), shape)
    np.testing.assert_allclose(change, expected, rtol=1e-5)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_weights_do_not_decay(name):
    weight = keras.Variable(np.ones((3, 3, 8, 8), np.float32))
    optimizer = optimizers.make_optimizer(name, 0.01)
    optimizer.build([weight])
    optimizer.apply([keras.ops.zeros(weight.shape)])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), 1)


def test_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="OPTIMIZER = 'sgd' is unknown: .*muon, adam"):
        optimizers.make_optimizer("sgd", 0.01)


@pytest.mark.parametrize("steps, warmup", [(1, 0), (3, 0), (40, 4), (5000, 200)])
def test_warm_up_takes_a_tenth_of_short_runs_at_most(steps, warmup):
    schedule = optimizers.warmup_cosine(8e-4, steps, 200)
    places = sorted({0, 1, warmup // 2, warmup, warmup + 1, steps // 2, steps})
    rates = [float(schedule(step)) for step in places]
    for step, rate in zip(places, rates):
        if step < warmup:
            expected = 8e-4 * step / warmup
        else:
            angle = np.pi * (step - warmup) / (steps - warmup)
            expected = 8e-4 * (1 + np.cos(angle)) / 2
        np.testing.assert_allclose(rate, expected, rtol=1e-3, atol=1e-9)

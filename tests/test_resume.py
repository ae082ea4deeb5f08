"""What a run remembers. Whole runs that resume, or do not, are in test_training.py."""

import pathlib
import types

import keras
import pytest

from core import resume, state

FACTS = {"settings": {"DATASET": "some"}, "epoch": 2, "best": 30.0, "history": []}


def test_state_comes_back(tmp_path):
    state.write(tmp_path / state.FILE, [], FACTS)
    arrays, settings, found = resume.read_state(tmp_path / state.FILE)
    assert arrays == [] and settings == {"DATASET": "some"}
    assert (found.epoch, found.best, found.stopped) == (2, 30.0, False)


@pytest.mark.parametrize(
    "facts",
    [
        {**FACTS, "later": 1},  # as a later version may write it
        {**FACTS, "settings": {}},
        {**FACTS, "settings": []},
        {"settings": FACTS["settings"]},
        {"epoch": 1},
        [FACTS],
        1,
    ],
)
def test_state_of_another_form_is_refused(facts, tmp_path):
    state.write(tmp_path / state.FILE, [], facts)
    with pytest.raises(ValueError, match="state.npz is damaged or of another version"):
        resume.read_state(tmp_path / state.FILE)


def squared(hr, sr):
    return keras.ops.square(hr - sr)


@pytest.mark.parametrize(
    "loss, names",
    [
        ("mae", "mae, Adam"),
        (squared, "squared, Adam"),
        (["mae", "mse"], "mae, mse, Adam"),
    ],
)
def test_losses_and_optimisers_have_names(loss, names, tiny_network):
    model = tiny_network(2)
    model.compile("adam", loss)
    assert resume.describe_compiled(model) == names
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    model.compile(scaled, loss)
    assert resume.describe_compiled(model) == names


@pytest.mark.parametrize(
    "before, now, changes",
    [
        ("mixed_float16", "float32", 1),
        ("float32", "mixed_float16", 1),
        ("float32", "mixed_bfloat16", 0),
        ("mixed_float16", "mixed_float16", 0),
    ],
)
def test_float16_resumes_in_float16_alone(before, now, changes, tiny_network):
    model = tiny_network(2)
    model.compile("sgd", "mae")
    values = [v.numpy() for v in resume.variables_of(model)]
    run = types.SimpleNamespace(
        model=model,
        settings={"DATASET": "some"},
        networks={"model": model},
        folder=pathlib.Path("nowhere"),
        state=resume.State(precision=now),
    )
    found = resume.State(precision=before)
    sentences = resume.find_changes(run, values, {"DATASET": "some"}, found)
    expected = [f"The precision changed from {before} to {now}"]
    assert sentences == expected * changes

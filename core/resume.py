"""What a training run remembers, and whether the last one in its folder can be resumed."""

import dataclasses

import keras
import numpy as np

from core import datasets, state
from core.keras_files import has_layers_of


@dataclasses.dataclass
class State:
    """What a run remembers besides weights and optimisers; saved in `state.npz`."""

    epoch: int = 0  # epochs finished
    best: float = -np.inf  # best validation PSNR so far, the mean over all outputs
    history: list = dataclasses.field(default_factory=list)  # see `Run.history`
    further: bool = False  # the run began with a whole network, of INITIAL_WEIGHTS
    stopped: bool = False  # ended before EPOCHS, by early stopping
    pixels: str = ""  # a hash of those of DATASET
    compiled: str = ""  # the names of the losses and optimisers
    trainable: list = dataclasses.field(default_factory=list)  # a bool for each weight
    precision: str = ""  # Keras' policy
    working_folder: str = ""  # that a relative DATASET is found from


def read_state(path):
    """Reads `state.npz`: (list of arrays, settings, `State`).

    Raises:
        ValueError: naming the file, if it is damaged or of another version.
    """
    values, facts = state.read(path)
    try:
        settings = facts.pop("settings")
        settings["DATASET"], facts["epoch"]  # of every version
        return values, settings, State(**facts)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged or of another version") from error


def find_changes(run, values, old, found):
    """What makes this another run than the last one in its folder: sentences.

    Args:
        run: `Run`, as it begins.
        values, old, found: what `read_state` gives.
    """
    if datasets.is_same(old["DATASET"], run.settings["DATASET"]):
        old["DATASET"] = run.settings["DATASET"]  # perhaps spelled as "photos/" before
    changes = [
        f"{key} changed from {old.get(key)!r} to {run.settings.get(key)!r}"
        for key in sorted(old.keys() | run.settings.keys())
        if key != "EPOCHS" and old.get(key) != run.settings.get(key)
    ]
    if changes:
        return changes
    if found.pixels != run.state.pixels:
        return [f"The pictures of {run.settings['DATASET']} changed"]
    before, now = found.precision, run.state.precision
    # In float16 the losses are scaled, and how much is part of the state.
    if "mixed_float16" in (before, now) and before != now:
        return [f"The precision changed from {before} to {now}"]
    before, now = found.compiled, run.state.compiled
    if before != now:
        return [f"The loss and optimiser changed from {before} to {now}"]
    same_shapes = [v.shape for v in values] == [
        tuple(v.shape) for v in variables_of(run.model)
    ]
    if not same_shapes or not all(
        has_layers_of(network, path)
        for name, network in run.networks.items()
        if (path := run.folder / f"{name}.keras").exists()
    ):
        return ["The network changed"]
    if found.trainable != run.state.trainable:
        return ["The layers that are trained changed"]
    return []


def optimizers_of(model):
    """Each optimiser of a model with the variables it changes."""
    one = [(model.optimizer, model.trainable_variables)]
    return getattr(model, "optimizers", one)


def describe_compiled(model):
    """The names of the losses and optimisers of a model, as text."""
    parts = keras.tree.flatten(getattr(model, "loss", None) or [])
    for optimizer, _ in optimizers_of(model):
        # In float16 it lies in one that scales losses.
        parts.append(getattr(optimizer, "inner_optimizer", optimizer))
    return ", ".join(
        part if isinstance(part, str) else _name_of(part) for part in parts
    )


def _name_of(part):
    """The name of a function, or of the class of an object."""
    return getattr(part, "__name__", type(part).__name__)


def variables_of(model):
    variables = [*model.variables]  # with the seeds of layers such as Dropout
    for optimizer, _ in optimizers_of(model):
        variables += optimizer.variables
    return variables

"""Around fit(): the results folder, and resuming after a stop.

run = training.open_run(model, "results", "edsr", settings)    # new or resumed
with run.interruptible():
    run.score_start(crops)                                     # if trained further
    model.fit(batches, initial_epoch=run.epoch, callbacks=run.callbacks, ...)
results.report(run, "EDSR", test_pairs)
"""

import atexit
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import shutil
import tempfile
import threading

import filelock
import keras
import numpy as np

import drawings
import hardware
from core import decoded, interrupts, state
from core.files import expand_home, named_errors, remove_partial_files, write_csv
from core.keras_files import unserializable_part
from core.networks import (
    finalize_states,
    float32_copy,
    load_initial_weights,
    load_model,
    load_network_of,
    save_model,
)
from core.resume import (
    State,
    describe_compiled,
    find_changes,
    optimizers_of,
    read_state,
    variables_of,
)

__all__ = [
    "open_run",
    "Run",
    "Checkpoint",
    # For training scripts:
    "float32_copy",
    "load_model",
    "load_network_of",
    "save_model",
]

# Metrics that are NaN while all pictures so far are flat. A training that diverges shows
# in its loss.
SCORES = "psnr", "ssim"

START_OVER = "To start over, rename this folder."


# --- A run and its folder --------------------------------------------------------------


@dataclasses.dataclass
class Run:
    """A training run: what `open_run` found, kept up to date by `Checkpoint`."""

    model: keras.Model
    settings: dict
    networks: dict  # the networks that are saved, by the names of their files
    keep: str  # "best" or "last"
    folder: pathlib.Path  # what this process writes to
    results: pathlib.Path  # where the first process writes: `folder` in that one
    state: State = dataclasses.field(default_factory=State)
    callbacks: list = dataclasses.field(default_factory=list)
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)
    lock: filelock.FileLock = None  # keeps other runs out of the folder

    @property
    def epoch(self):
        """Epochs finished."""
        return self.state.epoch

    @property
    def history(self):
        """A dict for each epoch, and before them one for the start, if it is scored."""
        return self.state.history

    @property
    def start(self):
        """The scores of the network that is trained further, as epoch 0; or None."""
        return next((row for row in self.history if not row["epoch"]), None)

    @property
    def best_epoch(self):
        """The epoch that the saved networks come from, 0 for the start; None if each epoch
        saves them, or no PSNR was measured."""
        if self.keep == "last" or self.state.best == -np.inf:
            return None
        return next(r["epoch"] for r in self.history if _psnr(r) == self.state.best)

    def start_of(self, name):
        """{"start": file of a network as the training began}; {} if it is not scored."""
        return {"start": self.results / _start_file(name)} if self.start else {}

    @property
    def step(self):
        """Number of the first step that is still to do."""
        return self.epoch * self.settings["STEPS_PER_EPOCH"]

    @property
    def epochs(self):
        """Number of epochs after which the training ends."""
        return self.epoch if self.state.stopped else self.settings["EPOCHS"]

    @property
    def scored(self):
        """Those of the networks that enlarge: all but discriminators."""
        return {k: v for k, v in self.networks.items() if k.startswith("model")}

    def close(self):
        """Lets other processes train in the folder."""
        if self.lock:
            self.lock.release(force=True)  # however often this process opened it

    def save(self):
        """Saves the networks as they are."""
        for name, network in self.networks.items():
            save_model(network, self.folder / f"{name}.keras")

    def score_start(self, crops):
        """Scores the network that is trained further, which is the best so far.

        Does nothing in other runs: a network with new layers is not comparable.

        Args:
            crops: dataset to validate on, as for fit.

        Raises:
            ValueError: if a score is not finite.
        """
        if self.history or not self.state.further:
            return
        scores = self.model.evaluate(crops, return_dict=True, verbose=0)
        for name, value in scores.items():
            if not np.isfinite(value) and not name.endswith(SCORES):
                raise ValueError(
                    f"The network in INITIAL_WEIGHTS cannot be trained further: its {name} "
                    f"on the validation pictures is {value}."
                )
        row = dict.fromkeys(scores)  # None: what only training measures
        scores = _plain(scores, self.model)
        row |= {f"val_{name}": value for name, value in scores.items()}
        self.history.append({"epoch": 0, **dict(sorted(row.items()))})  # as fit does
        self.state.best = _psnr(self.start)
        for name, network in self.scored.items():
            save_model(network, self.folder / _start_file(name))
        self.save()
        _write(self)

    @property
    def interrupted(self):
        """Whether Ctrl-C ended the training."""
        return self.stop.is_set()

    @contextlib.contextmanager
    def interruptible(self):
        """Lets Ctrl-C, or a non-finite loss, end the training but not the script, which
        then reports on the best network so far."""
        with interrupts.after_this_step(self.stop):
            try:
                yield
            except FloatingPointError as error:
                print()  # the progress bar ends
                if not self.epoch:
                    raise ValueError(str(error)) from error
                print(error)
            except KeyboardInterrupt:
                self.stop.set()
                print(
                    f"\nInterrupted after {self.epoch} of {self.settings['EPOCHS']} epochs."
                    " Run the same command again to resume. Ctrl-C again skips the report."
                )
            except Exception:
                print(flush=True)  # the progress bar ends
                raise
        if self.start and self.epoch and self.keep == "best":
            _warn_of_no_gain(self.history)


def open_run(
    model,
    results,
    name,
    settings,
    networks=None,
    keep="best",
    pictures=(),
    initial=None,
):
    """Opens the folder of a run, and resumes where its last run stopped.

    After every epoch all state (weights, optimisers, history, best score, whether the
    training was stopped early) is written to `state.npz` in the folder. The same settings
    resume from it; so does a larger EPOCHS. If another setting, the pictures, the layers of
    the network or which of them are trained, or the name of a loss or optimiser has
    changed, or the precision to or from float16, the old folder is moved aside. Other
    changes to the code are not noticed.

    Args:
        model: compiled `keras.Model`; its state is restored in place. Where several
            optimisers train it, its property `optimizers` lists each with its variables.
        results: folder for all results.
        name: name of the network, with which the name of the folder begins.
        settings: dict of the script's constants, SCALE or SCALES, DATASET, EPOCHS and
            STEPS_PER_EPOCH among them.
        networks: dict from names of files to the networks to save in them; by default
            the model is saved as "model".
        keep: when they are saved.
            - "best": when the validation PSNR is at its best, for several outputs the
              mean; after every epoch if it is not measured. A network that is trained
              further counts, too: where no epoch is better, it is kept.
            - "last": after every epoch.
        pictures: list of the datasets from `data.load_splits` that the run depends on.
        initial: list of pairs of a network and the `.keras` file, or None, that it starts
            from if the run is new; see `networks.load_initial_weights`. If all networks
            called "model..." were loaded whole, this is fine-tuning, and
            `Run.score_start` scores them.

    Returns:
        `Run`, with `folder`, `epoch`, `step` and `callbacks` for fit.

    Raises:
        ValueError: if another process trains in this folder, a network is missing from
            it, or initial weights cannot be loaded.
        OSError: naming the folder, if it cannot be written or its state cannot be read.
    """
    settings = {
        key: _as_written(key, value)
        for key, value in settings.items()
        if key != "RESULTS"
    }
    folder = folder_of(results, name, settings)
    networks = networks or {"model": model}
    _refuse_what_cannot_resume(model, settings["STEPS_PER_EPOCH"], networks)
    run = Run(model, settings, networks, keep, folder=folder, results=folder)
    run.state.pixels = decoded.fingerprint(pictures) if pictures else ""
    run.state.compiled = describe_compiled(model)
    run.state.trainable = [bool(v.trainable) for v in model.variables]
    run.state.precision = keras.config.dtype_policy().name
    run.state.working_folder = os.getcwd()
    _build_optimizers(model)
    if hardware.is_first():
        run.lock = _lock(folder)
        remove_partial_files(folder)
    restored, changes = _restore(run)
    if not restored:  # before the folder is moved aside: the files may lie in it
        given = [(network, path) for network, path in initial or [] if path]
        whole = [
            network for network, path in given if load_initial_weights(network, path)
        ]
        run.state.further = all(network in whole for network in run.scored.values())
    hardware.wait_for_all()  # nobody may still be reading when the first one writes
    if changes and hardware.is_first():
        aside = _move_aside(folder)
        print(f"{', '.join(changes)}: kept the previous run as {aside}")
    if not hardware.is_first():  # what other processes write is of no use
        run.folder = pathlib.Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, run.folder)
    if not run.epoch:
        _write_state(run)
    print(_describe(run))
    run.callbacks = [Checkpoint(run)]
    return run


def _refuse_what_cannot_resume(model, steps, networks):
    """Refuses what could not be saved, or not be resumed."""
    for name, network in networks.items():
        if part := unserializable_part(network):
            raise ValueError(
                f"{name}.keras could not be loaded again, since the network has {part}: "
                "use Keras' own layers and functions, or keras.ops, in its place."
            )
    at_once = getattr(model, "steps_per_execution", None) or 1
    if steps % at_once:
        raise ValueError(
            f"STEPS_PER_EPOCH = {steps} must be a multiple of steps_per_execution = "
            f"{at_once}, or else a resumed run would get other batches."
        )


def _as_written(name, value):
    """A setting as the state has it: tuples become lists, and paths text."""
    try:
        return json.loads(json.dumps(value, default=os.fspath))
    except TypeError as error:
        raise ValueError(
            f"{name} = {value!r} cannot be written to the state of a run: make it a "
            "number or text, or set it below the block."
        ) from error


def folder_of(results, name, settings):
    """The folder of a run, such as results/edsr_x4_leaves: arguments of `open_run`."""
    dataset = expand_home(settings["DATASET"]).resolve().name
    scales = settings["SCALES"] if "SCALES" in settings else [settings["SCALE"]]
    scales = "".join(f"x{scale}" for scale in scales)
    return expand_home(results) / f"{name}_{scales}_{dataset}"


def _describe(run):
    """What `open_run` found, in a sentence."""
    if not run.epoch:
        return f"New run in {run.results}"
    if run.epoch < run.epochs:
        return f"Resuming {run.results} after epoch {run.epoch}"
    if run.state.stopped:
        return (
            f"{run.results} stopped early after epoch {run.epoch}: straight to the "
            f"report. {START_OVER}"
        )
    return (
        f"{run.results} has been trained for all of its {run.epoch} epochs. Raise EPOCHS "
        f"(in stage two of srgan.py, GAN_EPOCHS) to continue. {START_OVER}"
    )


def _start_file(name):
    return f"{name.replace('model', 'start')}.keras"


def _lock(folder):
    """Keeps other processes out of a folder until this one ends, whichever way."""
    path = folder.with_name(f".{folder.name}.lock")
    with named_errors(f"RESULTS = {str(folder.parent)!r}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        # In a notebook the same process may open its folder again.
        lock = filelock.FileLock(path, is_singleton=True, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise ValueError(
                f"Another process is training in {folder}: stop it or wait for it, or set "
                "RESULTS to another folder."
            ) from error
    return lock


def _move_aside(folder):
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    with named_errors(folder):
        folder.rename(aside)
    return aside


# --- The state of a run ----------------------------------------------------------------


def _build_optimizers(model):
    with hardware.scope_of(model):
        for optimizer, variables in optimizers_of(model):
            if not optimizer.built:
                optimizer.build(variables)


def _write_state(run):
    values = [keras.ops.convert_to_numpy(v) for v in variables_of(run.model)]
    # NumPy's files know no bfloat16, each value of which is one of float32.
    values = [v.astype("float32") if v.dtype.name == "bfloat16" else v for v in values]
    facts = {"settings": run.settings, **dataclasses.asdict(run.state)}
    state.write(run.folder / state.FILE, values, facts)


def _write(run):
    """Writes history and state, then the curves: neither a history that another program
    keeps open nor a drawing that fails costs an epoch."""
    try:
        write_csv(run.folder / "history.csv", run.history)
    finally:
        _write_state(run)
    drawings.draw_curves(run.history, run.folder / "curves.png")


def _plain(logs, model):
    """Logs as floats. For several outputs, `loss` is added up again from their losses,
    unless there is more in it, such as weights of the losses or a regulariser.

    Keras' own sum differs in its last digit from process to process, since TensorFlow
    changes the order in which it adds up.
    """
    logs = {name: float(value) for name, value in logs.items()}
    for prefix in ("", "val_"):
        outputs = getattr(model, "output_names", [])
        parts = [f"{prefix}{output}_loss" for output in outputs]
        if parts and logs.keys() >= {*parts}:
            total = sum(logs[part] for part in parts)
            if math.isclose(total, logs[f"{prefix}loss"], rel_tol=1e-4):
                logs[f"{prefix}loss"] = total
    return logs


def _psnr(row):
    """The validation PSNR of an epoch, the mean over all outputs; -inf: not measured."""
    scores = [row[k] for k in row if k[:4] == "val_" and k.endswith("psnr")]
    scores = [score for score in scores if np.isfinite(score)]  # NaN: all are flat
    return float(np.mean(scores)) if scores else -np.inf


def _warn_of_no_gain(history):
    """Prints a sentence if no epoch was better than the start, epoch 0."""
    start, *epochs = map(_psnr, history)
    if -np.inf < max(epochs) <= start:
        print(
            f"\nNo epoch was better than the start on the validation pictures (start: "
            f"{start:.2f} dB, best epoch: {max(epochs):.2f} dB), so the start is kept. A "
            "lower LEARNING_RATE may help."
        )


def _restore(run):
    """Reads the state back. Returns whether it did; if not, also the reasons to move the
    folder aside, none where nothing in it is worth keeping."""
    if not run.folder.is_dir() or not any(run.folder.iterdir()):
        return False, []
    if not (run.folder / state.FILE).exists():
        return False, [f"No {state.FILE} in {run.folder}"]
    try:
        values, old, found = read_state(run.folder / state.FILE)
    except ValueError as error:
        return False, [str(error)]
    try:
        changes = find_changes(run, values, old, found)
    except ValueError as error:  # a damaged network
        raise ValueError(
            f"{error} Put back a whole copy, or move {run.folder} away to start over."
        ) from error
    if changes:
        return False, (changes if found.epoch else [])  # nothing to keep in epoch 0
    for variable, value in zip(variables_of(run.model), values):
        variable.assign(value)
    finalize_states(run.model)
    now = run.state
    run.state = dataclasses.replace(
        found,
        compiled=now.compiled,
        trainable=now.trainable,
        precision=now.precision,
        working_folder=now.working_folder,
    )
    _check_files(run)
    return True, []


def _check_files(run):
    """Refuses a folder from which a network that the report needs was taken away."""
    files = [f"{name}.keras" for name in run.networks if run.history]
    files += [_start_file(name) for name in run.scored if run.start]
    for path in [run.folder / file for file in files]:
        if not path.exists():
            raise ValueError(
                f"{path} is missing: put it back, or move {run.folder} away to start over."
            )


# --- The callback ----------------------------------------------------------------------


class Checkpoint(keras.callbacks.Callback):
    """Keeps the folder of a run up to date: networks, history, state, then curves.

    It takes the place of Keras' ModelCheckpoint, BackupAndRestore, CSVLogger and
    TerminateOnNaN, since these cannot be resumed together: BackupAndRestore forgets the
    order of the data, writes in place, deletes itself when a NaN stops the training, and
    leaves out optimisers that are not built yet. Here the state is written after what
    belongs to it, since a run resumes from it. Drawings come last, here and in the
    scripts: one that fails costs no epoch.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs, f"in step {batch + 1} of epoch {self.run.epoch + 1}")
        if self.run.interrupted:
            raise KeyboardInterrupt

    def _check(self, logs, when):
        for name, value in logs.items():
            if name.endswith(SCORES):
                continue
            if not np.isfinite(float(value)):
                kept = f" What was saved after epoch {self.run.epoch} is kept."
                raise FloatingPointError(
                    f"{name} became {float(value)} {when}, so the training has stopped."
                    f"{kept if self.run.epoch else ''} A lower LEARNING_RATE may help, or "
                    'PRECISION = "float32" if you use another precision.'
                )

    def on_epoch_end(self, epoch, logs=None):
        run, now = self.run, self.run.state
        logs = _plain(logs, self.model)
        self._check(logs, f"at the end of epoch {epoch + 1}")
        now.history.append({"epoch": epoch + 1, **logs})
        score = _psnr(logs)
        if run.keep == "last" or score > now.best or now.best == -np.inf:
            now.best = max(score, now.best)
            run.save()
        now.epoch = epoch + 1
        now.stopped = self.model.stop_training and now.epoch < run.settings["EPOCHS"]
        _write(run)

"""Around fit(): the results folder, going on after a stop, the report.

run = training.open_run(model, "results", "edsr", settings)    # new or resumed
with run.interruptible():
    model.fit(batches, initial_epoch=run.epoch, callbacks=run.callbacks, ...)
training.report(run, "EDSR", test_pairs)
"""

import _thread
import atexit
import contextlib
import csv
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import zipfile

import filelock
import keras
import numpy as np

import data
import hardware
import metrics
import pictures
import upscale

STOPPED = "\nStopped. What was saved is whole; run the script again for the report."

# --- The results folder ----------------------------------------------------------------


@dataclasses.dataclass
class Run:
    """A training run and its folder: what `open_run` found, brought up to date by fit."""

    folder: pathlib.Path
    model: keras.Model
    settings: dict
    epoch: int = 0  # epochs finished
    best: float = -np.inf  # best validation PSNR so far, the mean over all outputs
    history: list = dataclasses.field(default_factory=list)  # a dict for each epoch
    stopped: bool = False  # ended before EPOCHS, by early stopping
    networks: dict = dataclasses.field(default_factory=dict)  # what is saved, by file
    keep: str = "best"  # or "last"
    saved: pathlib.Path = None  # where the networks are; `folder`, in the first process
    lock: filelock.FileLock = None  # keeps other runs out of the folder
    interrupted: bool = False  # by Ctrl-C
    callbacks: list = dataclasses.field(default_factory=list)

    @property
    def step(self):
        """Number of the first step that is still to do."""
        return self.epoch * self.settings["STEPS_PER_EPOCH"]

    @property
    def epochs(self):
        """Number of epochs after which the training ends."""
        return self.epoch if self.stopped else self.settings["EPOCHS"]

    def save(self):
        """Saves the networks as they are."""
        for name, network in self.networks.items():
            save_model(network, self.folder / f"{name}.keras")

    @contextlib.contextmanager
    def interruptible(self):
        """Lets Ctrl-C, or a loss that is no number any more, end the training but not the
        script, which goes on to report on the best network so far."""

        def interrupt(*_):
            # An exception raised here might be swallowed by a destructor that happens to
            # run, as TensorFlow has many. So it is raised after the step, by Checkpoint.
            if self.interrupted:
                sys.exit(STOPPED)
            self.interrupted = True
            os.write(2, b"\nStopping after this step.\n")  # print is not for handlers

        with _at_ctrl_c(interrupt):
            try:
                yield
            except FloatingPointError as error:
                if not self.epoch:
                    raise ValueError(str(error)) from error
                print(f"\n{error}")
            except KeyboardInterrupt:
                print(
                    f"\nInterrupted after {self.epoch} of {self.settings['EPOCHS']} epochs."
                    " Run the script again to go on from there. Ctrl-C again skips the "
                    "report."
                )


@contextlib.contextmanager
def _at_ctrl_c(handler):
    """Sets a handler for Ctrl-C, as far as it is ours to set."""
    usual = signal.default_int_handler
    # Another handler is somebody's wish, and other threads may set none.
    ours = signal.getsignal(signal.SIGINT) is usual
    ours = ours and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, usual)


def open_run(model, results, name, settings, networks=None, keep="best", initial=None):
    """Opens the folder of a run, and goes on where the last run of it stopped.

    After every epoch all state (weights, optimisers, history, best score, whether the
    training was stopped early) is written to `state.npz` in the folder. The same settings
    go on from it; so does a larger EPOCHS. If another setting or the shape of the network
    was changed, the old folder is moved aside. Other changes to the code are not noticed.

    Args:
        model: compiled `keras.Model`; its state is restored in place.
        results: folder for all results.
        name: name of the network, as it begins the name of the folder.
        settings: dict of the script's constants, SCALE or SCALES, DATASET, EPOCHS and
            STEPS_PER_EPOCH among them.
        networks: dict from names of files to the networks to save in them; in its
            absence the model is saved as "model".
        keep: "best" saves them when the validation PSNR is at its best (the mean, if
            the model has several outputs), "last" after every epoch.
        initial: dict from networks to the `.keras` files, or None, that they start from
            if the run is new; see `load_initial_weights`.

    Returns:
        `Run`, with `folder`, `epoch`, `step` and `callbacks` for fit.

    Raises:
        ValueError: if another process trains in this folder, or initial weights cannot
            be loaded.
        OSError: naming the folder, if it cannot be written.
    """
    settings = {key: value for key, value in settings.items() if key != "RESULTS"}
    settings = json.loads(json.dumps(settings, default=str))
    dataset = pathlib.Path(settings["DATASET"]).expanduser().resolve().name
    scales = settings["SCALES"] if "SCALES" in settings else [settings["SCALE"]]
    scales = "".join(f"x{scale}" for scale in scales)
    folder = pathlib.Path(results).expanduser() / f"{name}_{scales}_{dataset}"
    with hardware.scope_of(model):
        for optimizer, variables in _optimizers(model):
            if not optimizer.built:
                optimizer.build(variables)
    networks = networks or {"model": model}
    run = Run(folder, model, settings, networks=networks, keep=keep, saved=folder)
    if hardware.is_first():
        run.lock = _lock(folder)
        for left in folder.rglob(".*.part.*"):  # by a run that was killed
            left.unlink()
    old = folder.is_dir() and any(folder.iterdir())
    restored, changes = _restore(run) if old else (False, [])
    if not restored:  # while the files are where they were
        for network, path in (initial or {}).items():
            if path:
                load_initial_weights(network, path)
    hardware.wait_for_all()  # all have read what the first will now write over
    if changes and hardware.is_first():
        aside = _move_aside(folder)
        print(f"{', '.join(changes)}: kept the previous run as {aside}")
    if not hardware.is_first():  # what other processes write is of no use
        run.folder = pathlib.Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, run.folder)
    if not run.epoch:
        _write_state(run)
        print(f"New run in {folder}")
    elif run.epoch < run.epochs:
        print(f"Going on in {folder} after epoch {run.epoch}")
    elif run.stopped:
        print(
            f"{folder} stopped early after epoch {run.epoch}: straight to the report. "
            "Change any setting but EPOCHS to start anew."
        )
    else:
        print(
            f"{folder} has been trained for all of its {run.epoch} epochs. Raise their "
            "number to go on, or change any other setting to start anew."
        )
    run.callbacks = [Checkpoint(run)]
    return run


def _lock(folder):
    """Keeps other processes out of a folder until this one ends, whichever way."""
    path = folder.with_name(f".{folder.name}.lock")
    with data.named_errors(f"RESULTS = {str(folder.parent)!r}"):
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


def load_initial_weights(model, path):
    """Starts a network from a saved one: takes over the layers of equal name and shape.

    So x3 and x4 start from x2 (Lim et al. 2017, section 3.2), all but the upsampling
    layers that differ.

    Args:
        model: `keras.Model` to change in place.
        path: `.keras` file.

    Raises:
        ValueError: if there is no such file or it has nothing to take over.
    """
    try:
        source = upscale.load_model(pathlib.Path(path).expanduser())
    except ValueError as error:
        raise ValueError(f"The initial weights cannot be loaded: {error}") from error
    theirs = {layer.name: layer.get_weights() for layer in source.layers}
    ours = [layer for layer in model.layers if layer.trainable_weights]
    taken = 0
    for layer in ours:
        weights = theirs.get(layer.name, [])
        if [w.shape for w in weights] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(weights)
            taken += 1
    if not taken:
        raise ValueError(
            f"The initial weights in {path} share no layer with {model.name}."
        )
    print(f"Starting from {path}: {taken} of {len(ours)} layers taken over")


def load_vgg19(layer, weights="imagenet"):
    """Loads VGG19 (Simonyan and Zisserman 2015) up to a layer, for losses on features.

    Args:
        layer: name of the last layer, such as "block5_conv4"; its ReLU is part of it.
        weights: "imagenet", downloaded once into the Keras cache (80 MB), or a file with
            the weights of the convolutions.

    Returns:
        `keras.Model` from RGB [batch, h, w, 3], which the caller has preprocessed, to
        features [batch, h', w', channels]. Not trainable.

    Raises:
        ValueError: if the weights cannot be had.
    """
    try:
        vgg = keras.applications.VGG19(include_top=False, weights=weights)
    except Exception as error:  # get_file raises nothing more precise
        raise ValueError(
            f"VGG_WEIGHTS = {weights!r} cannot be loaded ({error}). Fetch "
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 from "
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/ on "
            "another machine and name the file in VGG_WEIGHTS, or choose a loss without "
            "VGG19."
        ) from error
    vgg.trainable = False
    return keras.Model(vgg.inputs, vgg.get_layer(layer).output, name=f"vgg19_{layer}")


def _optimizers(model):
    """Each optimiser of a model with the variables it changes."""
    one = [(model.optimizer, model.trainable_variables)]
    return getattr(model, "optimizers", one)


def _variables(model):
    variables = [*model.weights]
    for optimizer, _ in _optimizers(model):
        variables += optimizer.variables
    return variables


def _write_state(run):
    meta = {
        "settings": run.settings,
        "epoch": run.epoch,
        "best": run.best,
        "history": run.history,
        "stopped": run.stopped,
    }
    values = [keras.ops.convert_to_numpy(v) for v in _variables(run.model)]
    with data.whole_file(run.folder / "state.npz") as part:
        np.savez(part, *values, meta=json.dumps(meta))


def _restore(run):
    """Reads the state back: whether it did, and a list of the changes against it, if
    there is anything to keep."""
    state_file = run.folder / "state.npz"
    if not state_file.exists():
        return False, [f"No state.npz in {run.folder}"]
    try:
        with np.load(state_file) as state:
            meta = json.loads(str(state["meta"]))
            values = [state[name] for name in state.files if name != "meta"]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return False, [f"{state_file} is damaged"]
    changes = [
        f"{key} changed from {meta['settings'].get(key)!r} to {run.settings.get(key)!r}"
        for key in sorted(meta["settings"].keys() | run.settings.keys())
        if key != "EPOCHS" and meta["settings"].get(key) != run.settings.get(key)
    ]
    variables = _variables(run.model)
    if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
        changes = changes or ["The network changed"]
    if changes:
        return False, changes if meta["epoch"] else []
    for variable, value in zip(variables, values):
        variable.assign(value)
    for key in ("epoch", "best", "history", "stopped"):
        setattr(run, key, meta.get(key, getattr(run, key)))
    return True, []


def _move_aside(folder):
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside


def float32_copy(model):
    """The same network under the float32 policy, to be saved for any machine.

    Args:
        model: functional `keras.Model`, trained under any policy.

    Returns:
        An uncompiled `keras.Model` with the same weights.
    """

    config = model.get_config()
    for layer in config["layers"]:
        if "dtype" in layer["config"]:
            layer["config"]["dtype"] = "float32"
        if "synchronized" in layer["config"]:  # between devices, by TensorFlow alone
            layer["config"]["synchronized"] = False
    twin = model.__class__.from_config(config)
    twin.set_weights(model.get_weights())
    return twin


def save_model(model, path):
    """Saves a network as a `.keras` file that loads anywhere, with nothing but Keras.

    Args:
        model: functional `keras.Model`.
        path: `pathlib.Path` of the file.
    """
    with data.whole_file(path) as part:
        float32_copy(model).save(part)


class Checkpoint(keras.callbacks.Callback):
    """Keeps the folder of a run up to date: networks, history, state, then curves.

    The state follows what belongs to it, since a run goes on from there. Drawings come
    last, here and in the scripts: one that fails costs no epoch.
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
            if not np.isfinite(float(value)):
                kept = f" What was saved after epoch {self.run.epoch} is kept."
                raise FloatingPointError(
                    f"{name} became {float(value)} {when}, which ends the training."
                    f"{kept if self.run.epoch else ''} A lower LEARNING_RATE may help, or "
                    'PRECISION = "float32" where it is another.'
                )

    def on_epoch_end(self, epoch, logs=None):
        run = self.run
        logs = {key: float(value) for key, value in logs.items()}
        self._check(logs, f"at the end of epoch {epoch + 1}")
        run.history.append({"epoch": epoch + 1, **logs})
        scores = [logs[k] for k in logs if k[:4] == "val_" and k.endswith("psnr")]
        score = float(np.mean(scores))
        if run.keep == "last" or score > run.best or run.epoch == 0:
            run.best = max(score, run.best)
            run.save()
        write_csv(run.folder / "history.csv", run.history)
        run.epoch = epoch + 1
        run.stopped = self.model.stop_training and run.epoch < run.settings["EPOCHS"]
        _write_state(run)
        pictures.draw_curves(run.history, run.folder / "curves.png")


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping, which after a stop counts on where the run was.

    Must come before the callbacks of the run, which write down that it stopped.

    Args:
        run: `Run`.
        monitor: name in the history, such as "loss".
        patience: epochs without improvement after which training ends.
    """

    def __init__(self, run, monitor, patience):
        super().__init__(monitor, patience=patience, verbose=1)
        self.run = run

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for row in self.run.history:
            self.on_epoch_end(row["epoch"] - 1, row)
        self.model.stop_training = False  # EPOCHS was raised


def write_csv(path, rows):
    """Writes a table with a header line.

    Args:
        path: `pathlib.Path` of the file.
        rows: list of dicts with the same keys.
    """
    with (
        data.whole_file(path) as part,
        open(part, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


# --- The report ------------------------------------------------------------------------


@contextlib.contextmanager
def _stoppable():
    """Lets Ctrl-C end the script in one sentence, whatever it meets."""
    pressed = False

    def interrupt(*_):
        nonlocal pressed
        pressed = True  # compiled code may turn the exception into another one
        raise KeyboardInterrupt

    def press_again(unraisable):
        # A destructor swallows what is raised in it, so again when it has ended.
        if unraisable.exc_type is KeyboardInterrupt:
            threading.Timer(0.01, _thread.interrupt_main).start()
        else:
            usual(unraisable)

    usual, sys.unraisablehook = sys.unraisablehook, press_again
    try:
        with _at_ctrl_c(interrupt):
            yield
    except BaseException as error:
        if pressed or isinstance(error, KeyboardInterrupt):
            sys.exit(STOPPED)
        raise
    finally:
        sys.unraisablehook = usual


@_stoppable()
def report(run, name, pairs, beside=None, self_ensemble=True):
    """Scores the networks of a run, prints the table, draws comparisons.

    Before the table come the scores of single pictures. Writes `scores.csv` and, of the
    first pictures, `comparison.png`, `comparison_2.png` and `comparison_3.png` into the
    folder.

    Args:
        run: `Run`, trained.
        name: name of the network in the table.
        pairs: dataset of (LR, HR) from `data.load`; or, where the run saves several
            networks to be scored, a dict from their names to one dataset each. What
            their names have after "model" then ends the names of rows and pictures.
        beside: dict from names to `.keras` files of networks to be compared with it.
        self_ensemble: adds a row for the network with self-ensemble, "+".

    Returns:
        dict from the names of the rows to what `metrics.evaluate` gives.
    """
    if not run.epoch:
        print("No epoch was finished: reporting on the network as it is.")
        run.save()
    else:  # again, in case the run was killed while it drew
        pictures.draw_curves(run.history, run.folder / "curves.png")
    hardware.wait_for_all()  # until the first has saved its networks
    scores = {}
    for file, dataset in (
        pairs if isinstance(pairs, dict) else {"model": pairs}
    ).items():
        files = {**(beside or {}), name: run.saved / f"{file}.keras"}
        models = {row: keras.saving.load_model(path) for row, path in files.items()}
        ending = file.removeprefix("model")
        rows = compare(
            {"bicubic": None, **models},
            dataset,
            run.folder / f"comparison{ending}.png",
            [name] if self_ensemble else [],
        )
        scores |= {f"{row}{ending.replace('_', ' ')}": rows[row] for row in rows}
    metrics.print_table(scores)
    write_scores(run.folder / "scores.csv", scores)
    print(f"Model, table and pictures are in {run.folder}")
    return scores


def write_scores(path, scores):
    """Writes the table of scores as CSV: dict from names to dicts, as `compare` gives."""
    write_csv(path, [{"name": name, **values} for name, values in scores.items()])


def compare(models, pairs, path, self_ensemble=(), draw=pictures.draw_comparison):
    """Scores networks side by side, prints the PSNR of the first five pictures, and draws
    the first three.

    Args:
        models: dict from names to networks of one scale, or None for bicubic.
        pairs: dataset of (LR, HR) from `data.load`.
        path: `pathlib.Path` of the first drawing; the others end in _2 and _3.
        self_ensemble: names of the networks to score with self-ensemble as well.
        draw: `pictures.draw_comparison`, or `pictures.draw_details` for many networks.

    Returns:
        dict from names to what `metrics.evaluate` gives, "+" after them for self-ensemble.
    """
    scores = {}
    for name, model in models.items():
        title = f"Scoring {name}"
        scores[name] = metrics.evaluate(model, pairs, name=title)
        if name in self_ensemble:
            title = f"Scoring {name}+ (mean of 8 turns)"
            scores[f"{name}+"] = metrics.evaluate(model, pairs, True, title)
    print("\n{:<30}".format("PSNR Y [dB]"), *(f"{name:>12}" for name in models))
    names = [os.path.basename(os.fsencode(name)) for name in pairs.pictures.names]
    names = [name.decode(errors="replace") for name in names]  # not all are UTF-8
    for number, pair in enumerate(pairs.take(5).as_numpy_iterator()):
        lr, hr = pair
        scale = hr.shape[0] // lr.shape[0]
        enlarged = {
            name: metrics.enlarge(model, lr, scale) for name, model in models.items()
        }
        values = [metrics.psnr(hr, sr, scale, luma=True) for sr in enlarged.values()]
        print(f"{names[number]:<30}", *(f"{value:12.2f}" for value in values))
        if number < 3:
            suffix = f"_{number + 1}" if number else ""
            draw(pair, enlarged, path.with_stem(f"{path.stem}{suffix}"))
    print()
    return scores

"""Around fit(): the results folder and going on after a stop, previews, curves, report.

run = training.open_run(model, "results", "edsr", settings)    # new or resumed
with run.interruptible():
    model.fit(batches, initial_epoch=run.epoch, callbacks=run.callbacks, ...)
training.report(run, "EDSR", test_pairs)
"""

import contextlib
import csv
import dataclasses
import json
import pathlib

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import data
import metrics
import upscale

# --- The results folder ----------------------------------------------------------------


@dataclasses.dataclass
class Run:
    """A training run and its folder: what `open_run` found, brought up to date by fit."""

    folder: pathlib.Path
    model: keras.Model
    settings: dict
    epoch: int = 0  # epochs finished
    best: float = -np.inf  # best validation PSNR so far
    history: list = dataclasses.field(default_factory=list)  # a dict for each epoch
    callbacks: list = dataclasses.field(default_factory=list)

    @property
    def step(self):
        """Number of the first step that is still to do."""
        return self.epoch * self.settings["STEPS_PER_EPOCH"]

    @contextlib.contextmanager
    def interruptible(self):
        """Lets Ctrl-C end the training but not the script, which goes on to report."""
        try:
            yield
        except KeyboardInterrupt:
            print(
                f"\nInterrupted after {self.epoch} of {self.settings['EPOCHS']} epochs. "
                "Run the script again to go on from there. Ctrl-C again skips the report."
            )


def open_run(model, results, name, settings):
    """Opens the folder of a run, and goes on where the last run of it stopped.

    After every epoch all state (weights, optimiser, history, best score) is written to
    `state.npz` in the folder. The same settings go on from it; so does a larger EPOCHS.
    If another setting or the shape of the network was changed, the old folder is moved
    aside. Other changes to the code are not noticed.

    Args:
        model: compiled `keras.Model`; its state is restored in place.
        results: folder for all results.
        name: name of the network, as it begins the name of the folder.
        settings: dict of the script's constants, SCALE, DATASET, EPOCHS and
            STEPS_PER_EPOCH among them.

    Returns:
        `Run`, with `folder`, `epoch`, `step` and `callbacks` for fit.
    """
    settings = {key: value for key, value in settings.items() if key != "RESULTS"}
    settings = json.loads(json.dumps(settings, default=str))
    dataset = pathlib.Path(settings["DATASET"]).expanduser().resolve().name
    folder = pathlib.Path(results) / f"{name}_x{settings['SCALE']}_{dataset}"
    model.optimizer.build(model.trainable_variables)
    run = Run(folder, model, settings)
    if folder.is_dir() and any(folder.iterdir()):
        changes = _restore(run)
        if changes:
            aside = _move_aside(folder)
            print(f"{', '.join(changes)}: kept the previous run as {aside}")
    if not run.epoch:
        _write_state(run)
        print(f"New run in {folder}")
    elif run.epoch < settings["EPOCHS"]:
        print(f"Going on in {folder} after epoch {run.epoch}")
    else:
        print(
            f"{folder} has been trained for {run.epoch} epochs already: straight to the "
            "report. Raise EPOCHS to go on, or change any other setting to start anew."
        )
    run.callbacks = [Checkpoint(run)]
    return run


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
        source = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"INITIAL_WEIGHTS = {path!r} cannot be loaded: {error}"
        ) from error
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
            f"INITIAL_WEIGHTS = {path!r} shares no layer with {model.name}."
        )
    print(f"Starting from {path}: {taken} of {len(ours)} layers taken over")


def _variables(model):
    return [*model.weights, *model.optimizer.variables]


def _write_state(run):
    meta = {
        "settings": run.settings,
        "epoch": run.epoch,
        "best": run.best,
        "history": run.history,
    }
    values = [keras.ops.convert_to_numpy(v) for v in _variables(run.model)]
    with data.whole_file(run.folder / "state.npz") as part:
        np.savez(part, *values, meta=json.dumps(meta))


def _restore(run):
    """Reads the state back, or says what stands against it: a list of changes."""
    state_file = run.folder / "state.npz"
    if not state_file.exists():
        return [f"No state.npz in {run.folder}"]
    state = np.load(state_file)
    meta = json.loads(str(state["meta"]))
    changes = [
        f"{key} changed from {meta['settings'].get(key)!r} to {run.settings.get(key)!r}"
        for key in sorted(meta["settings"].keys() | run.settings.keys())
        if key != "EPOCHS" and meta["settings"].get(key) != run.settings.get(key)
    ]
    variables = _variables(run.model)
    values = [state[name] for name in state.files if name != "meta"]
    if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
        changes = changes or ["The network changed"]
    if not changes:
        for variable, value in zip(variables, values):
            variable.assign(value)
        run.epoch, run.best, run.history = meta["epoch"], meta["best"], meta["history"]
    return changes


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
    """Keeps the folder of a run up to date: best model, history, curves, then state.

    The state comes last, since a run goes on from it as if all before it was done.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch, logs=None):
        run = self.run
        logs = {key: float(value) for key, value in logs.items()}
        run.history.append({"epoch": epoch + 1, **logs})
        if logs["val_psnr"] > run.best or run.epoch == 0:
            run.best = logs["val_psnr"]
            save_model(self.model, run.folder / "model.keras")
        write_csv(run.folder / "history.csv", run.history)
        draw_curves(run.history, run.folder / "curves.png")
        run.epoch = epoch + 1
        _write_state(run)


def write_csv(path, rows):
    """Writes a table with a header line.

    Args:
        path: `pathlib.Path` of the file.
        rows: list of dicts with the same keys.
    """
    with data.whole_file(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


# --- Pictures --------------------------------------------------------------------------


def draw_curves(history, path):
    """Draws loss and PSNR over the epochs.

    Args:
        history: list with a dict for each epoch, as in `Run.history`.
        path: `pathlib.Path` of the PNG file.
    """
    epochs = [row["epoch"] for row in history]
    figure = Figure((10, 4), layout="constrained")
    titles = {"loss": "loss", "psnr": "PSNR [dB]"}
    for axes, (name, title) in zip(figure.subplots(1, 2), titles.items()):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axes.plot(epochs, [row[key] for row in history], ".-", label=label)
        axes.set(xlabel="epoch", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def draw_samples(batches, path):
    """Draws LR and HR patches as the network sees them, up to eight pairs of a batch.

    Args:
        batches: dataset from `data.training_batches`.
        path: `pathlib.Path` of the PNG file.
    """
    lr, hr = (np.asarray(side)[:8] for side in next(iter(batches)))
    figure = Figure((2 * len(lr), 4.3), layout="constrained")
    panels = figure.subplots(2, len(lr), squeeze=False)
    for row, title, images in zip(panels, ("LR", "HR"), (lr, hr)):
        for axes, image in zip(row, images):
            show(axes, image, f"{title} {image.shape[1]}x{image.shape[0]}")
    _save(figure, path)


class Preview(keras.callbacks.Callback):
    """Draws a detail of one photograph after every epoch: bicubic, network, original.

    Args:
        pair: uint8 arrays (LR [h, w, 3], HR [h*scale, w*scale, 3]).
        folder: `pathlib.Path` of the folder for the pictures.
    """

    def __init__(self, pair, folder):
        super().__init__()
        lr, hr = (np.asarray(image) for image in pair)
        scale = hr.shape[0] // lr.shape[0]
        # The middle of a large picture will do: this is done after every epoch.
        y, x = (max(0, side - 192) // 2 for side in lr.shape[:2])
        self.lr = lr[y:, x:][:192, :192]
        self.hr = hr[y * scale :, x * scale :][: 192 * scale, : 192 * scale]
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        scale = self.hr.shape[0] // self.lr.shape[0]
        bicubic = data.bicubic_resize(self.lr, *self.hr.shape[:2])
        sr = upscale.upscale(self.model, self.lr)
        detail = find_detail(self.hr, bicubic)
        figure = Figure((12, 4.25), layout="constrained")
        panels = [
            ("bicubic", bicubic),
            (f"network after epoch {epoch + 1}", sr),
            ("original", self.hr),
        ]
        for axes, (title, image) in zip(figure.subplots(1, 3), panels):
            if image is not self.hr:
                title += f": {metrics.psnr(self.hr, image, scale, luma=True):.2f} dB"
            show(axes, image[detail], title)
        _save(figure, self.folder / f"epoch_{epoch + 1:04}.png")


def draw_comparison(pair, enlarged, path):
    """Draws one photograph: LR, each enlargement and HR, and a detail below each.

    Args:
        pair: uint8 arrays (LR, HR).
        enlarged: dict from a name to a uint8 array of HR's shape, bicubic first.
        path: `pathlib.Path` of the PNG file.
    """
    lr, hr = (np.asarray(image) for image in pair)
    scale = hr.shape[0] // lr.shape[0]
    detail = find_detail(hr, next(iter(enlarged.values())))
    pixels = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    panels = {f"LR, {lr.shape[1]}x{lr.shape[0]}": pixels}
    for name, image in enlarged.items():
        scores = [f(hr, image, scale, luma=True) for f in (metrics.psnr, metrics.ssim)]
        panels["{}: {:.2f} dB, {:.4f}".format(name, *scores)] = image
    panels[f"HR, {hr.shape[1]}x{hr.shape[0]}"] = hr
    height = 4 * hr.shape[0] / hr.shape[1] + 4.4
    figure = Figure((4 * len(panels), height), layout="constrained")
    rows = figure.subplots(2, len(panels), height_ratios=[hr.shape[0] / hr.shape[1], 1])
    for above, below, (title, image) in zip(*rows, panels.items()):
        show(above, image, title)
        show(below, image[detail])
        y, x = (part.start for part in detail)
        size = detail[0].stop - y
        above.add_patch(Rectangle((x, y), size, size, fill=False, color="yellow"))
    _save(figure, path)


def find_detail(hr, bicubic):
    """The square, a third of the shorter side, where bicubic misses most of the picture.

    Args:
        hr, bicubic: arrays [H, W, 3].

    Returns:
        A pair of slices for the first two axes.
    """
    error = np.square(hr.astype(float) - bicubic).sum(axis=-1)
    size = max(1, min(error.shape) // 3)
    # Sums over all squares, as differences of sums over all rectangles from the corner.
    total = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[size:, size:] - total[:-size, size:] - total[size:, :-size]
    y, x = np.unravel_index(np.argmax(sums + total[:-size, :-size]), sums.shape)
    return slice(int(y), int(y) + size), slice(int(x), int(x) + size)


def show(axes, image, title=""):
    """Shows a picture without ticks, its pixels as they are."""
    axes.imshow(image, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def _save(figure, path):
    with data.whole_file(path) as part:
        figure.savefig(part, dpi=100)


# --- The report ------------------------------------------------------------------------


def report(run, name, pairs):
    """Scores the best network of a run, prints the table, draws the comparison.

    Writes `scores.csv` and `comparison.png` (of the first picture) into the folder.

    Args:
        run: `Run`, trained.
        name: name of the network in the table.
        pairs: dataset of (LR, HR) from `data.load`.

    Returns:
        dict from row names (bicubic, the network, the network with self-ensemble, "+")
        to what `metrics.evaluate` gives.
    """
    best = run.folder / "model.keras"
    if run.epoch == 0:
        print("No epoch was finished: reporting on the network as it is.")
        save_model(run.model, best)
    model = keras.saving.load_model(best)
    scores = {
        "bicubic": metrics.evaluate(None, pairs, name="Scoring bicubic"),
        name: metrics.evaluate(model, pairs, name=f"Scoring {name}"),
        f"{name}+": metrics.evaluate(
            model, pairs, self_ensemble=True, name=f"Scoring {name}+ (mean of 8 turns)"
        ),
    }
    print()
    metrics.print_table(scores)
    rows = [{"name": row, **values} for row, values in scores.items()]
    write_csv(run.folder / "scores.csv", rows)
    lr, hr = (np.asarray(image) for image in next(iter(pairs)))
    enlarged = {
        "bicubic": data.bicubic_resize(lr, *hr.shape[:2]),
        name: upscale.upscale(model, lr),
    }
    draw_comparison((lr, hr), enlarged, run.folder / "comparison.png")
    print(f"Model, table and pictures are in {run.folder}")
    return scores

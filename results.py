"""The report of a run: the table of scores, the first pictures, the comparisons drawn."""

import drawings
import hardware
import metrics
from core import interrupts
from core.files import printable, write_csv
from core.networks import load_model

PRINTED = 5  # pictures whose own scores are printed
DRAWN = 3  # pictures that are drawn


@interrupts.at_once()
def report(run, name, pairs, beside=None, self_ensemble=True):
    """Scores the networks of a run, prints the table, draws comparisons.

    Before the table come the scores of single pictures. Writes `scores.csv` into the
    folder, and last, of the first pictures, `comparison.png`, `comparison_2.png` and so on.

    Args:
        run: `training.Run`, trained.
        name: name of the network in the table.
        pairs: dataset of (LR, HR) from `data.load`; or, where the run saves several
            networks to be scored, a dict from their names to one dataset each. Of
            "model_x2" the row is then called "MDSR x2", the picture comparison_x2.png.
        beside: dict from names to `.keras` files of networks to be compared with it.
        self_ensemble: adds a row for the network with self-ensemble, "+".

    Returns:
        dict from the names of the rows to what `metrics.evaluate` gives.
    """
    if not run.history:
        print("No epoch was finished: reporting on the network as it is.")
        run.save()
    hardware.wait_for_all()  # until the first has saved its networks
    scores, enlarged = {}, {}
    datasets = pairs if isinstance(pairs, dict) else {"model": pairs}
    for file, dataset in datasets.items():
        own = {**run.start_of(file), name: run.results / f"{file}.keras"}
        files = {**(beside or {}), **own}
        networks = {row: load_model(path) for row, path in files.items()}
        ending = file.removeprefix("model")
        scale = ending.replace("_", " ")  # such as " x2"; "" where a run has one scale
        if scale:
            print(f"{name}{scale}:")
        ensembles = [name] if self_ensemble else []
        rows, enlarged[ending] = compare(networks, dataset, ensembles)
        scores |= {f"{row}{scale}": rows[row] for row in rows}
    metrics.print_table(scores)
    write_scores(run.folder / "scores.csv", scores)
    if run.best_epoch:
        print(
            f"The network is that of epoch {run.best_epoch} of {run.epoch}, the best on the "
            "validation pictures."
        )
    elif run.best_epoch is None and run.keep == "best" and run.epoch:
        print(
            "PSNR was not measured on the validation pictures, so the network is that of "
            "the last epoch."
        )
    if run.history:  # again, in case the run ended while it wrote them
        write_csv(run.folder / "history.csv", run.history)
        drawings.draw_curves(run.history, run.folder / "curves.png")
    for (ending, first), dataset in zip(enlarged.items(), datasets.values()):
        draw_first(first, dataset, run.folder / f"comparison{ending}.png")
    print(f"Model, table and pictures are in {run.folder}")
    run.close()
    return scores


def compare(networks, pairs, self_ensemble=()):
    """Scores networks beside bicubic, and prints the scores of the first pictures. Each
    network enlarges each picture once.

    Args:
        networks: dict from names to networks of one scale.
        pairs: dataset of (LR, HR) from `data.load`.
        self_ensemble: names of the networks to score with self-ensemble as well.

    Returns:
        dict from names to what `metrics.evaluate` gives, "+" after them for self-ensemble;
        and what `draw_first` takes.
    """
    table, first = {}, {}
    for name, model in {"bicubic": None, **networks}.items():
        table[name], first[name] = _score(model, pairs, name)
        if name in self_ensemble:
            title = f"{name}+ (mean of 8 rotations and flips)"
            table[f"{name}+"], _ = _score(model, pairs, title, self_ensemble=True)
    # Of `take` of a dataset no names are known.
    numbers = [f"picture {number}" for number in range(PRINTED)]
    known = getattr(pairs, "pictures", None)
    _print_first(first, known.names if known else numbers)
    return table, first


def draw_first(first, pairs, path, draw=drawings.draw_comparison):
    """Draws the first pictures, with their scores.

    Args:
        first: dict from names to a list of (SR, scores), as `compare` gives.
        pairs: the dataset that was compared on.
        path: `pathlib.Path` of the first drawing; the others end in _2 and _3.
        draw: `drawings.draw_comparison`, or `drawings.draw_details` for many networks.
    """
    for number in range(1, DRAWN):  # of an earlier report
        path.with_stem(f"{path.stem}_{number + 1}").unlink(missing_ok=True)
    for number, (lr, hr) in enumerate(pairs.take(DRAWN).as_numpy_iterator()):
        captions = {}
        for name, pictures in first.items():
            sr, row = pictures[number]
            scores = f"{row['psnr_y']:.2f} dB, SSIM {row['ssim_y']:.4f}"
            captions[f"{name}\n{scores}"] = sr
        suffix = f"_{number + 1}" if number else ""
        draw(lr, hr, captions, path.with_stem(f"{path.stem}{suffix}"))


def _score(model, pairs, name, self_ensemble=False):
    """The mean scores of a network, and (SR, scores) of each of the first pictures."""
    rows, first = [], []
    title = f"Scoring {name}"
    for _, _, sr, row in metrics.evaluate_each(model, pairs, self_ensemble, title):
        rows.append(row)
        if len(first) < max(PRINTED, DRAWN):
            first.append((sr, row))
    return metrics.mean_scores(model, rows), first


def _print_first(first, file_names):
    """Prints the PSNR of the first pictures, a line each."""
    print("\n{:<30}".format("PSNR Y [dB]"), *(f"{name:>12}" for name in first))
    for file_name, *pictures in zip(file_names[:PRINTED], *first.values()):
        values = (f"{row['psnr_y']:12.2f}" for _, row in pictures)
        print(f"{printable(file_name):<30}", *values)
    print()


def write_scores(path, scores):
    """Writes the table of scores as CSV: dict from names to dicts, as `compare` gives."""
    write_csv(path, [{"name": name, **values} for name, values in scores.items()])

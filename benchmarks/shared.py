"""Figures kept in a file, so that none is measured twice, and a table of them."""

import csv

import metrics


def keep(path, name, measure):
    """Measures something, unless an earlier run has measured it.

    Args:
        path: `pathlib.Path` of a CSV file with a row for each measurement.
        name: of the row.
        measure: function that returns a list of floats.

    Returns:
        The list.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open(newline="", encoding="utf-8") as file:
        rows = {row[0]: row[1:] for row in csv.reader(file)}
    if name not in rows:
        print(name)
        rows[name] = measure()
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([name, *rows[name]])
    return [float(value) for value in rows[name]]


def score(path, name, train, tests):
    """Trains a network and scores it, unless an earlier run has done so.

    Args:
        path, name: as for `keep`.
        train: function that returns a trained network.
        tests: dict from folder to dataset of (LR, HR).

    Returns:
        List of the mean Y-PSNR on each dataset.
    """

    def measure():
        model = train()
        scores = [metrics.evaluate(model, test, verbose=0) for test in tests.values()]
        return [score["psnr_y"] for score in scores]

    return keep(path, f"{name} on {', '.join(tests)}", measure)


def print_table(rows, tests):
    """Prints names and scores: dict from name to list of floats, one for each folder."""
    print(f"Y-PSNR on {', '.join(tests)}")
    for name, scores in rows.items():
        print(f"{name:<44}", *(f"{value:8.2f}" for value in scores))

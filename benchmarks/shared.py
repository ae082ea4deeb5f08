"""What the benchmarks share: figures kept in a file so that none is lost, and measures."""

import csv

import numpy as np

import metrics


def keep(path, name, measure):
    """Measures something, if that has not been done before.

    Args:
        path: `pathlib.Path` of a CSV file with a row for each measurement.
        name: of the row.
        measure: function that returns a list of floats.

    Returns:
        The list.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    rows = {row[0]: row[1:] for row in csv.reader(path.read_text().splitlines())}
    if name not in rows:
        print(name)
        rows[name] = measure()
        with path.open("a") as file:
            csv.writer(file).writerow([name, *rows[name]])
    return [float(value) for value in rows[name]]


def score(path, name, train, tests):
    """Trains a network and scores it, if that has not been done before.

    Args:
        path, name: as for `keep`.
        train: function that returns a trained network.
        tests: dict from folder to dataset of (LR, HR).

    Returns:
        List of the mean Y-PSNR on each dataset.
    """

    def measure():
        model = train()
        return [metrics.evaluate(model, pairs)["psnr_y"] for pairs in tests.values()]

    return keep(path, f"{name} on {', '.join(tests)}", measure)


def y_psnr(hr, sr, scale):
    """PSNR in dB as in the papers."""
    return metrics.psnr(hr, sr, scale, luma=True)


def mean_psnr(model, pairs, compare=y_psnr):
    """What `metrics.evaluate` gives for PSNR, without all else that takes time.

    Args:
        model: a network, or None for bicubic.
        pairs: iterable of uint8 arrays (LR, HR).
        compare: function of (HR, enlarged LR, scale) that gives dB.

    Returns:
        The mean over the pairs, in dB.
    """
    values = []
    for lr, hr in pairs:
        scale = hr.shape[0] // lr.shape[0]
        values.append(compare(hr, metrics.enlarge(model, lr, scale), scale))
    return np.mean(values)


def print_table(rows, tests):
    """Prints names and scores: dict from name to list of floats, one for each folder."""
    print(f"Y-PSNR on {', '.join(tests)}")
    for name, scores in rows.items():
        print(f"{name:<44}", *(f"{value:8.2f}" for value in scores))

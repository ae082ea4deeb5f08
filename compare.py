"""Compares trained networks: a table of scores and speeds, and pictures side by side.

    python compare.py        # all in results/ that enlarge four times, or those in weights/
    python compare.py weights/edsr_x4.keras other.keras --data Set5/ --split all

The scores are those of the papers, see metrics.py.
"""

import argparse
import os
import pathlib
import re
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import settings


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "networks",
        nargs="*",
        type=settings.path,
        help=".keras files; default: all in results/, or if none has the scale, in weights/",
    )
    add(
        "--data",
        default="leaves",
        help="pictures to score: a folder, leaves (the default), div2k, bsds500 or flowers",
    )
    add(
        "--split",
        default="scored",
        choices=["scored", "all"],
        help="scored: test pictures or, where there are none, those held out for "
        "validation; all: every picture of a folder that is a benchmark, such as Set5",
    )
    add(
        "--scale",
        type=int,
        help="default: the scale of the first network named, or 4",
    )
    add(
        "--degradation",
        default="bicubic",
        help="how LR is made where the data brings none: bicubic (the default), area, "
        "aliased, realistic, web, or several, as in bicubic,web",
    )
    add(
        "--self-ensemble",
        nargs="+",
        default=[],
        metavar="NAME",
        help="networks, by their names in the table, to score with self-ensemble as well",
    )
    add(
        "--output",
        default="results/compared",
        type=settings.path,
        help="folder for the table and the pictures (results/compared)",
    )
    return parser.parse_args()


if __name__ == "__main__":  # before the imports that take seconds
    settings.start_command()
    parse_arguments()

import data
import drawings
import hardware
import metrics
import results
import upscale
from core import folders, state
from core.files import expand_home, named_errors

OPTIONS = {"DATASET": "--data", "DEGRADATION": "--degradation", "SCALE": "--scale"}


def name_of(path):
    """The name in the table: that of the run's folder, or that of the file."""
    of_run = re.fullmatch(r"model(_x\d+)?", path.stem)
    return path.resolve().parent.name if of_run else path.stem


def scale_of(paths):
    """The scale of the first of some `.keras` files, or 4 if there are none."""
    return upscale.scale_and_channels(upscale.load_network(paths[0]))[0] if paths else 4


def load_networks(paths, scale):
    """Loads the networks that enlarge by a scale, and says which others there are.

    Args:
        paths: list of `pathlib.Path` of `.keras` files.
        scale: int.

    Returns:
        dict from name to (path, `keras.Model`).

    Raises:
        ValueError: if a file has no network, two have the same name, or one has the name
            of another row.
    """
    networks = {}
    for path in paths:
        network = upscale.load_network(path)
        its_scale, _ = upscale.scale_and_channels(network)
        name = name_of(path)
        if its_scale != scale:
            print(f"Left out: {path} enlarges by {its_scale}, not by --scale {scale}")
        elif name == "bicubic" or name.endswith("+"):
            raise ValueError(
                f"{path} would be called {name}, as rows of bicubic or self-ensemble are: "
                "rename it."
            )
        elif name in networks:
            raise ValueError(f"{path} would be the second {name}: rename one of them.")
        else:
            networks[name] = path, network
    return networks


def warn_of_learned(paths, pairs):
    """Prints a line for each network that has learned from pictures it is scored on.

    Args:
        paths: list of `pathlib.Path` of `.keras` files. What a network has learned from
            is known if it lies in the folder of its run and that trained on a folder.
        pairs: dataset from `data.load`.
    """
    scored = {os.path.realpath(name) for name in pairs.pictures.names}
    for path in paths:
        if count := len(scored & _learned_pictures(path)):
            print(
                f"{path} was trained on {count} of these {len(scored)} pictures: its "
                "scores say little about other pictures."
            )


def _learned_pictures(path):
    """The files that a network was trained on, as far as they are known: set of str."""
    try:
        facts = state.read_facts(path.parent / state.FILE)
        chosen = facts["settings"]
        folder = facts.get("working_folder", "") / expand_home(chosen["DATASET"])
        scale = chosen["SCALE"] if "SCALE" in chosen else chosen["SCALES"][0]
        train = folders.find_splits(folder, scale, ("bicubic",))["train"]()
    except (ValueError, OSError, KeyError):  # no run, or its pictures are gone
        return set()
    return {os.path.realpath(example.name) for example in train.examples()}


def choose_networks(named, scale):
    """The networks to compare: those named, or else those in results/, or in weights/.

    Returns:
        dict as from `load_networks`.
    """
    paths = named or sorted(pathlib.Path("results").glob("*/model*.keras"))
    paths = [*{path.resolve(): path for path in paths}.values()]  # each once
    networks = load_networks(paths, scale)
    if not (networks or named):
        paths = sorted(upscale.WEIGHTS.glob(f"*_x{scale}.keras"))
        networks = load_networks(paths, scale)
    if not networks:
        raise ValueError(
            f"No network for --scale {scale}: train one, or name its file."
        )
    return networks


def _with_options(sentence):
    """The sentence with the options of this command for the constants of scripts."""
    for constant, option in OPTIONS.items():
        sentence = re.sub(rf"(?<![\w/\\]){constant}(?![\w/\\])( =)?", option, sentence)
    return sentence


def main():
    options = parse_arguments()
    try:
        scale = options.scale
        if scale is None:
            scale = scale_of(options.networks)
        networks = choose_networks(options.networks, scale)
        if (options.output / state.FILE).exists():
            raise ValueError(
                f"--output {options.output} is a training run's folder: choose another."
            )
        unknown = set(options.self_ensemble) - set(networks)
        if unknown:
            raise ValueError(
                f"--self-ensemble {unknown.pop()}: not one of {[*networks]}. Files come "
                "before this option, names after it."
            )
        pairs = data.load(options.data, options.split, scale, options.degradation)
        if scale == 1 and all((lr == hr).all() for lr, hr in pairs.as_numpy_iterator()):
            raise ValueError(
                f"--data {options.data}: LR equals HR, so that there is nothing to compare. "
                "Set --degradation realistic, or --data to a folder with LR pictures of "
                "its own."
            )
        folders.refuse_output_among(options.data, pairs.pictures.names, options.output)
        warn_of_learned([path for path, _ in networks.values()], pairs)
        with named_errors(f"--output {options.output}"):
            options.output.mkdir(parents=True, exist_ok=True)
        models = {name: model for name, (_, model) in networks.items()}
        scores, first = results.compare(models, pairs, options.self_ensemble)
        print(f"{hardware.describe()}, networks in float32")
        metrics.print_table(scores)
        results.write_scores(options.output / "scores.csv", scores)
        path = options.output / "comparison.png"
        results.draw_first(first, pairs, path, drawings.draw_details)
    except (ValueError, OSError) as error:
        sys.exit(f"compare.py: {_with_options(str(error))}")
    print(f"Table and pictures are in {options.output}")


if __name__ == "__main__":
    main()

"""Compares trained networks: a table of scores and speeds, and pictures side by side.

    python compare.py                      # all in results/ that enlarge four times;
                                           # if there are none, those in weights/
    python compare.py weights/edsr_x4.keras other.keras --data photos/

The scores are those of the papers, see metrics.py.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes

import data
import hardware
import metrics
import pictures
import sources
import training
import upscale


def name_of(path):
    """What a file is called in the table: its folder's name, if it is a script's."""
    return path.resolve().parent.name if path.stem.startswith("model") else path.stem


def scale_of(paths):
    """The scale of the first of some `.keras` files, or 4 if there are none."""
    return upscale.scale_and_channels(upscale.load_network(paths[0]))[0] if paths else 4


def load_networks(paths, scale):
    """Loads the networks that enlarge by a scale, and says which others there are.

    Args:
        paths: list of `pathlib.Path` of `.keras` files.
        scale: int.

    Returns:
        dict from name to `keras.Model`.

    Raises:
        ValueError: if a file has no network, or two have the same name.
    """
    networks = {}
    for path in paths:
        network = upscale.load_network(path)
        its_scale, _ = upscale.scale_and_channels(network)
        name = name_of(path)
        if its_scale != scale:
            print(f"Left out: {path} enlarges by {its_scale}, not by --scale {scale}")
        elif name in networks:
            raise ValueError(f"{path} would be the second {name}: rename one of them.")
        else:
            networks[name] = network
    return networks


def load_pairs(dataset, scale):
    """Loads the pictures of a dataset that scores are reported on.

    Args:
        dataset, scale: as for `data.load`.

    Returns:
        dataset of (LR, HR): the test pictures; of a flat folder, all; where there are
        neither, the validation pictures.

    Raises:
        ValueError: as `data.load`, or if there is none of these.
    """
    splits = sources.find_splits(dataset, scale, ("bicubic",))
    scored = [name for name in ("test", "all", "validation") if name in splits]
    if not scored:
        raise ValueError(f"--data {dataset} has neither test nor validation pictures.")
    split = scored[0]
    pairs = data.load(dataset, split, scale)
    print(f"{dataset}, {split}: {len(pairs)} pictures")
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "networks",
        nargs="*",
        type=pathlib.Path,
        help=".keras files; all in results/, or if none has the scale, in weights/",
    )
    add("--data", default="leaves", help='as DATASET: "bsds500", a folder, ...')
    add("--scale", type=int, help="that of the first network named, or else 4")
    add(
        "--self-ensemble",
        nargs="*",
        default=[],
        metavar="NAME",
        help="names in the table of networks to score with self-ensemble as well",
    )
    add("--output", default="results/compared", type=pathlib.Path, help="folder")
    options = parser.parse_args()
    trained = sorted(pathlib.Path("results").glob("*/model*.keras"))
    shipped = sorted(upscale.WEIGHTS.glob("*.keras"))
    try:
        scale = options.scale or scale_of(options.networks)
        networks = load_networks(options.networks or trained, scale)
        if not (networks or options.networks):
            networks = load_networks(shipped, scale)
        if not networks:
            raise ValueError(
                f"No network for --scale {scale}: train one, or name its file."
            )
        if (options.output / "state.npz").exists():
            raise ValueError(
                f"--output {options.output} belongs to a training: choose another folder."
            )
        unknown = set(options.self_ensemble) - set(networks)
        if unknown:
            raise ValueError(
                f"--self-ensemble {unknown.pop()}: not one of {[*networks]}."
            )
        pairs = load_pairs(options.data, scale)
        with data.named_errors(f"--output {options.output}"):
            options.output.mkdir(parents=True, exist_ok=True)
            for ending in ("", "_2", "_3"):  # there may be fewer this time
                drawn = options.output / f"comparison{ending}.png"
                drawn.unlink(missing_ok=True)
        scores = training.compare(
            {"bicubic": None, **networks},
            pairs,
            options.output / "comparison.png",
            options.self_ensemble,
            pictures.draw_details,
        )
        print(f"{hardware.name()}, networks in float32")
        metrics.print_table(scores)
        training.write_scores(options.output / "scores.csv", scores)
    except (ValueError, OSError) as error:
        sys.exit(f"compare.py: {error}")
    print(f"Table and pictures are in {options.output}")


if __name__ == "__main__":
    main()

"""`.keras` files: loading them, and why one does not load; leaving initialisers out.

Such a file is a zip archive: `config.json` names the layers, `metadata.json` the version
of Keras, and the weights are in HDF5.
"""

import json
import os
import re
import warnings
import zipfile

import h5py  # which Keras brings, for the weights
import keras

from core.files import expand_home, no_such_network

HDF5 = b"\x89HDF\r\n\x1a\n"  # how such files start


def load_model(path):
    """Loads a `.keras` file in Keras' safe mode.

    Args:
        path: the file. Nothing in it is executed: no Lambda layers, no code.

    Returns:
        `keras.Model`, not compiled.

    Raises:
        ValueError: in one sentence with the reason, if it does not load.
    """
    path = expand_home(path)
    if problem := _problem_of(path):
        raise ValueError(problem)
    try:
        with warnings.catch_warnings():
            # Keras would leave these layers untrained and go on.
            warnings.filterwarnings("error", "Skipping nested container")
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # as many kinds as there are ways to be broken
        raise ValueError(_why_not(path, error)) from error


def _problem_of(path):
    """What keeps a file from being a `.keras` file, in a sentence; or None."""
    if os.path.isdir(path):
        if (path / "saved_model.pb").exists():
            return (
                f"{path} is a SavedModel, which does not hold the layers: save the Keras "
                "model that it was exported from as .keras."
            )
        inside = path / "model.keras"
        hint = f" Did you mean {inside}?" if inside.is_file() else ""
        return f"{path}: this is a folder.{hint}"
    try:
        with open(path, "rb") as file:
            start = file.read(len(HDF5))
    except FileNotFoundError:
        return no_such_network(path)
    except NotADirectoryError:  # as INITIAL_WEIGHTS of mdsr.py
        return f"{path.parent} is a file, where a folder with {path.name} is needed."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    if start == HDF5:
        return _problem_of_hdf5(path)
    if not zipfile.is_zipfile(path):
        if not start:
            return f"{path} is empty."
        if start[:2] == b"PK":
            return f"{path} is damaged: its end is missing."
        return f"{path} is not a model saved as .keras."
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except Exception as error:  # as many kinds as there are ways to be broken
        return f"{path} is damaged: {error}."
    if "config.json" not in members:
        return f"{path} is a zip archive, but not a model saved as .keras."
    if path.suffix != ".keras":
        return (
            f"{path} is a .keras file with another name: rename it to end with .keras."
        )
    return None


def _problem_of_hdf5(path):
    try:
        with h5py.File(path) as file:
            whole = "model_config" in file.attrs
    except Exception as error:  # of HDF5, as many again
        return f"{path} is damaged: {error}."
    if whole:
        rename = "" if path.suffix in (".h5", ".hdf5") else "rename it to old.h5, and "
        return (
            f"{path} is in Keras' old HDF5 format: {rename}convert it in Python, with "
            "keras.saving.load_model('old.h5', compile=False).save('new.keras')."
        )
    return (
        f"{path} holds weights alone, without the layers: build the network in Python, "
        "then use its load_weights(...) and save('new.keras')."
    )


def _why_not(path, error):
    """Why Keras did not load a `.keras` file, in a sentence, from what it raised."""
    try:
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                return f"{path} is damaged: {broken} in it is not what was saved."
            config = archive.read("config.json").decode()
            json.loads(config)
            saved_by = json.loads(archive.read("metadata.json"))["keras_version"]
            saved_version, version = map(_numbers, (saved_by, keras.__version__))
    except Exception as broken:  # as many kinds as there are ways to be broken
        return f"{path} is damaged: {broken}."
    # Keras puts the innermost error last, and a page of configuration around it.
    reason = str(error).split("Exception encountered: ")[-1].strip()
    reason = re.split(r"\. |\n", reason or type(error).__name__)[0].rstrip(".")
    if reason.startswith(("A total of ", "Skipping nested container")):
        reason = "the weights in it do not fit its layers"
    if '"__lambda__"' in config:
        return (
            f"{path} contains a Lambda layer, whose Python code is never run: build the "
            "network again with keras.ops or keras.layers in its place."
        )
    if custom := re.match(r"Could not locate (class|function) '(.+)'", reason):
        return (
            f"{path} needs {custom[2]}, a {custom[1]} that is not part of Keras: code of "
            "others is never run. Build the network with Keras' own layers."
        )
    if saved_version < (3,):
        return (
            f"{path} was saved by Keras {saved_by}, and Keras 3 does not load .keras files "
            "of Keras 2: save it there as .h5, and convert that."
        )
    if saved_version > version:
        return (
            f"{path} was saved by Keras {saved_by}, and this is {keras.__version__}: "
            f"update Keras (pip install --upgrade keras). It says: {reason}."
        )
    return f"{path} does not load in Keras {keras.__version__}: {reason}."


def _numbers(version):
    """A version as numbers that compare: "3.15.1" to (3, 15, 1)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def has_layers_of(model, path):
    """Whether the layers in a `.keras` file are those of a network, joined in the same way.

    Args:
        model: functional `keras.Model`. Weights, names and precision do not matter.
        path: `pathlib.Path` of the file.

    Returns:
        bool; True also if another version of Keras saved the file, since it may describe
        the same layers in other words.

    Raises:
        ValueError: as `load_model`, if there is no such file or it is damaged.
    """
    if problem := _problem_of(path):
        raise ValueError(problem)
    try:
        with zipfile.ZipFile(path) as archive:
            saved = json.loads(archive.read("config.json"))
            saved_by = json.loads(archive.read("metadata.json"))["keras_version"]
    except Exception as error:  # as many kinds as there are ways to be broken
        raise ValueError(f"{path} is damaged: {error}.") from error
    ours = json.loads(model.to_json())
    return saved_by != keras.__version__ or _layers_in(saved) == _layers_in(ours)


def _layers_in(config):
    """The layers in the configuration of a network, without what makes no difference."""
    left_out = "dtype", "synchronized", "build_config", "trainable"
    numbers = {}  # for names: Keras' own go on counting within a process

    def plain(value, key=None):
        if isinstance(value, dict):
            return {
                key: plain(value[key], key)
                for key in value
                if key not in left_out and not key.endswith("_initializer")
            }
        if isinstance(value, list):
            return [plain(part) for part in value]
        if key == "name":
            numbers.setdefault(value, len(numbers))
        return numbers.get(value, value) if isinstance(value, str) else value

    return plain(config["config"]["layers"])


def unserializable_part(model):
    """What `load_model` would not load of a network, once that is saved: a Lambda layer, or
    the name of a class or function that is neither Keras' nor registered; or None."""
    if not type(model).__module__.startswith("keras"):
        return type(model).__name__  # a class of somebody's own
    stack = [model.get_config()]
    while stack:
        part = stack.pop()
        if isinstance(part, (list, tuple)):
            stack += part
        if not isinstance(part, dict):
            continue
        stack += part.values()
        lambda_of_activation = part.keys() == {"value"}
        if part.get("class_name") in ("Lambda", "__lambda__") or lambda_of_activation:
            return "a lambda, whose code is never run"
        function = part.get("class_name") == "function"
        name = part.get("config" if function else "registered_name")
        own = name and not (part.get("module") or "").startswith("keras")
        if own and not keras.saving.get_registered_object(name):
            return name
    return None


def leave_out_initializers(path, compression=zipfile.ZIP_STORED):
    """Takes the initialisers of Keras' own layers out of a `.keras` file.

    Only a new network needs them, and older versions of Keras do not know all of their
    arguments. A network that is loaded has Keras' default ones, and the saved weights.

    Args:
        path: `pathlib.Path` of the file, which is changed in place.
        compression: of the archive, as for `zipfile.ZipFile`.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"], object_hook=_without_initializers)
    members["config.json"] = json.dumps(config)
    with zipfile.ZipFile(path, "w", compression, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _without_initializers(part):
    """Of a part of config.json: dict to dict."""
    if (part.get("module") or "").startswith("keras.layers"):
        config = part["config"]
        names = [name for name in config if name.endswith("_initializer")]
        part = {**part, "config": {k: config[k] for k in config if k not in names}}
    return part

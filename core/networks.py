"""Networks as objects and files: loading, saving, what can be read off them, weights to
start from."""

import math
import re

import keras
import numpy as np

from core.files import atomic_write
from core.graphs import cached_per_model, hidden_layers
from core.keras_files import leave_out_initializers, load_model

# Whatever keras.json says, which often stems from another project.
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")

# --- Files -----------------------------------------------------------------------------


def load_network(path):
    """Loads a super-resolution network.

    Args:
        path: a `.keras` file that a script here saved, or one like it.

    Returns:
        `keras.Model`, not compiled, for `upscale` and `metrics.evaluate`.

    Raises:
        ValueError: in one sentence that names the file, if it does not load, or is not a
            network that enlarges RGB or luma by a whole factor.
    """
    model = load_model(path)
    try:
        model = as_network(model)
        scale_and_channels(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model


def load_network_of(scale, path):
    """Loads a network for RGB that is to be trained further.

    Args:
        scale: what it has to enlarge by.
        path: a `.keras` file.

    Returns:
        `keras.Model`, not compiled, under the dtype policy that is set, as `in_precision`.

    Raises:
        ValueError: as `load_network`, or if it enlarges by another factor, or luma.
    """
    model = load_network(path)
    theirs, channels = scale_and_channels(model)
    if (theirs, channels) != (scale, 3):
        raise ValueError(
            f"{path} enlarges {'RGB' if channels == 3 else 'luma'} by {theirs}, not RGB by "
            f"SCALE = {scale}."
        )
    return in_precision(model, keras.config.dtype_policy().name)


def save_model(model, path):
    """Saves a network as a `.keras` file that loads anywhere, with nothing but Keras.

    Args:
        model: functional `keras.Model`.
        path: `pathlib.Path` of the file.
    """
    with atomic_write(path) as part:
        float32_copy(model).save(part)
        leave_out_initializers(part)


def float32_copy(model):
    """The same network under the float32 policy, to be saved for any machine.

    Args:
        model: functional `keras.Model` under any policy.

    Returns:
        An uncompiled `keras.Model` with the same weights. Lists and dicts of one input or
        output become that one.
    """
    copy = _clone(model, lambda layer: "float32")
    set_weights(copy, model.get_weights())
    return copy


def set_weights(model, weights):
    """Sets the weights of a network, those of layers such as Normalization, too, which
    computes with what it made of its weights before."""
    model.set_weights(weights)
    finalize_states(model)


def finalize_states(model):
    """Makes layers such as Normalization compute with the weights that they have now."""
    for layer in innermost_layers(model):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def in_precision(model, policy):
    """The same network under another dtype policy, to enlarge in.

    The policy holds between the first layer that was trained and the last. These two, and
    what passes the picture on beside them, stay in float32: bfloat16 has only 8 bits of
    precision, and the picture 8. So do networks whose graph is not known, as that of a
    `keras.Sequential`. Those with layers of somebody's own, or quantized ones, stay as they
    are.

    Args:
        model: `keras.Model`.
        policy: name of a dtype policy of Keras.

    Returns:
        `keras.Model` with the weights that `model` has now; `model` itself if there is
        nothing to change.
    """
    if copy := _in_precision(model, policy):
        set_weights(copy, model.get_weights())
        return copy
    return model


@cached_per_model
def _in_precision(model, policy):
    """None where nothing is to be changed."""
    part = hidden_layers(model)
    layers = [*innermost_layers(model)]

    def wanted(layer):
        return policy if layer.name in part else "float32"

    if all(layer.dtype_policy.name == wanted(layer) for layer in layers):
        return None
    known = all(
        type(layer).__module__.startswith("keras.")
        and not isinstance(layer, keras.layers.Lambda)
        and not getattr(layer, "quantization_mode", None)
        for layer in layers
    )
    return _clone(model, wanted) if known else None


def _clone(model, policy_of):
    """A copy of a network with new weights, not compiled, each layer under the policy that
    a function of it names."""

    def clone(layer):
        if mode := getattr(layer, "quantization_mode", None):
            raise ValueError(
                f"{model.name} is quantized ({mode}): use the network that it was made of."
            )
        config = layer.get_config()
        if "dtype" in config and isinstance(layer, keras.Layer):  # not of an operation
            config["dtype"] = policy_of(layer)
        if isinstance(layer, keras.layers.Wrapper):
            config["layer"]["config"]["dtype"] = policy_of(layer)
        if "synchronized" in config:  # between devices, which TensorFlow alone can
            config["synchronized"] = False
        return layer.__class__.from_config(config)

    uncompiled = _simplified(model)
    return keras.models.clone_model(uncompiled, clone_function=clone, recursive=True)


def interpolate_weights(first, second, share):
    """The weighted mean of the weights of two networks, a network between them.

    It works where the second was trained from the first (Wang et al. 2018, "ESRGAN",
    section 3.4).

    Args:
        first, second: `keras.Model` of the same layers.
        share: of the second, from 0 to 1.

    Returns:
        `keras.Model`, not compiled.

    Raises:
        ValueError: if their weights differ in shape.
    """
    pairs = list(zip(first.get_weights(), second.get_weights()))
    if len(first.weights) != len(second.weights) or any(
        a.shape != b.shape for a, b in pairs
    ):
        raise ValueError(f"{first.name} and {second.name} differ in their layers.")
    mixed = float32_copy(first)
    set_weights(mixed, [(1 - share) * a + share * b for a, b in pairs])
    return mixed


# --- What can be read off a network ----------------------------------------------------


def as_network(model):
    """The same network with one tensor in and one out.

    `keras.Model([inputs], [outputs])` takes and gives lists of one, and so does every
    network in a file of Keras 3.10 or older; others have dicts of one. A network whose
    name TensorFlow refuses, such as "EDSR (mine)", is called "network".

    Args:
        model: `keras.Model`.

    Returns:
        `keras.Model` of the same layers, or `model` if it is like that already.

    Raises:
        ValueError: if it has several inputs or outputs.
    """
    inputs, outputs = (getattr(model, name, None) for name in ("inputs", "outputs"))
    if not inputs or not outputs:  # a class of somebody's own
        return model
    if len(inputs) > 1 or len(outputs) > 1:
        way_out = (
            "make a network of a pair, keras.Model(model.inputs[0], model.outputs[0])"
        )
        if len(inputs) > len(outputs):  # of which each may need several inputs
            way_out = "a network that enlarges takes a picture alone"
        raise ValueError(
            f"{model.name} must have one input and one output, not {len(inputs)} and "
            f"{len(outputs)}: {way_out}."
        )
    ends = (getattr(model, name, None) for name in ("input", "output"))
    simple = all(isinstance(end, keras.KerasTensor) for end in ends)
    return model if simple and _name_of(model) == model.name else _simplified(model)


@cached_per_model
def _simplified(model):
    return keras.Model(_only(model.inputs), _only(model.outputs), name=_name_of(model))


def _name_of(model):
    """Its name, or one that TensorFlow takes."""
    allowed = re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*", model.name)
    return model.name if allowed else "network"


def _only(tensors):
    return tensors[0] if len(tensors) == 1 else tensors


@cached_per_model
def scale_and_channels(model):
    """Reads off a network how much it enlarges, and whether it takes RGB or luma.

    Args:
        model: `keras.Model`.

    Returns:
        (scale, channels): the factor, and 3 (RGB) or 1 (luma).

    Raises:
        ValueError: with the reason, if the model is not a super-resolution network.
    """
    model = as_network(model)
    channels = _channels(model)
    scale = _scale_at(model, 32, 32, channels)
    _scale_at(model, 33, 35, channels)  # where a network that halves its input fails
    return scale, channels


def _scale_at(model, height, width, channels):
    """How much a network enlarges pictures of one size."""
    try:
        shape = tuple(model.compute_output_shape((1, height, width, channels)))
    except Exception as error:  # of any of its layers
        raise ValueError(
            f"{model.name} does not take pictures of any size, such as {width}x{height} "
            f"pixels: {str(error).strip().splitlines()[0]}"
        ) from error
    if len(shape) != 4 or shape[-1] != channels:
        raise ValueError(
            f"{model.name} gives {shape[1:]} for a picture of {(height, width, channels)}, "
            "not a picture of as many channels."
        )
    if None in shape[1:3]:
        raise ValueError(
            f"{model.name} does not say how large its output is: use layers of Keras that "
            "keep the size of a picture, or enlarge it, in place of those that do not."
        )
    scale = shape[1] // height
    if not scale or shape[1:3] != (height * scale, width * scale):
        raise ValueError(
            f"{model.name} makes {shape[2]}x{shape[1]} pixels of {width}x{height}: not a "
            "whole multiple of its input."
        )
    return scale


def _channels(model):
    """The channels of the pictures that a network takes; refuses what takes none."""
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple):
        raise ValueError(
            f"{model.name} does not say what it takes: build it from keras.Input, with "
            "keras.Model(inputs, outputs)."
        )
    if len(shape) != 4:
        raise ValueError(
            f"{model.name} takes {shape}, not (batch, height, width, 1 or 3)."
        )
    batch, height, width, channels = shape
    size = f"{width or 'any'}x{height or 'any'}"
    reasons = {
        "takes channels first, not last": height in (1, 3) and channels not in (1, 3),
        f"takes {channels} channels, not 3 (RGB) or 1 (luma)": channels not in (1, 3),
        f"takes only {size} pixels: build it for any, with keras.Input((None, None, "
        f"{channels}))": (height or width),
        f"takes {batch} pictures at a time, not one": batch not in (None, 1),
    }
    for reason, applies in reasons.items():
        if applies:
            raise ValueError(f"{model.name} {reason}.")
    return channels


def count_parameters(model):
    """The number of trained parameters of a network; 0 for None, which is bicubic."""
    return sum(math.prod(w.shape) for w in model.trainable_weights) if model else 0


# --- Weights to start from -------------------------------------------------------------


def load_initial_weights(model, path):
    """Starts a network from a saved one: takes over the layers of equal name and shape.

    So x3 and x4 start from x2 (Lim et al. 2017, section 3.2), all but the upsampling
    layers that differ.

    Args:
        model: `keras.Model` to change in place.
        path: `.keras` file.

    Returns:
        Whether this is now the saved network: not if only some layers were taken over, or
        if the two differ in anything else, such as a skip.

    Raises:
        ValueError: if there is no such file or it has nothing to take over.
    """
    try:
        source = load_model(path)
    except ValueError as error:
        raise ValueError(f"The initial weights cannot be loaded: {error}") from error
    theirs = {layer.name: layer for layer in innermost_layers(source)}
    learned = {name for name, layer in theirs.items() if layer.trainable_weights}
    # Of layers that are frozen, those that the file learned count, too.
    layers = [*innermost_layers(model)]
    ours = [x for x in layers if x.trainable_weights or x.name in learned]
    taken = 0
    for layer in layers:
        weights = theirs[layer.name].get_weights() if layer.name in theirs else []
        shapes = [tuple(w.shape) for w in layer.weights]
        if weights and [w.shape for w in weights] == shapes:
            layer.set_weights(weights)
            taken += layer in ours
    if not taken:
        raise ValueError(
            f"The initial weights in {path} share no layer with {model.name}: it is another "
            "kind of network, or has other numbers of channels (FILTERS)."
        )
    finalize_states(model)
    whole = taken == len(ours) and _give_the_same(model, source)
    print(f"Starting from {path}: {taken} of {len(ours)} layers taken over")
    if not whole:
        print(
            "This network differs from the saved one: if you did not mean that, set SCALE, "
            "BLOCKS, IMAGE_SKIP and so on as in its training."
        )
    return whole


def _give_the_same(model, other):
    """Whether two networks make the same of a picture of noise."""
    sides = [side or 16 for side in model.input_shape[1:]]
    picture = np.random.default_rng(0).uniform(0, 255, (1, *sides))
    try:
        made, others = (
            keras.ops.convert_to_numpy(float32_copy(as_network(network))(picture))
            for network in (model, other)
        )
    except ValueError:  # the other takes no such picture
        return False
    return made.shape == others.shape and np.allclose(
        made, others, atol=0.1, equal_nan=True
    )


def innermost_layers(model):
    """The layers of a network and of the networks that are layers in it."""
    for layer in model.layers:
        yield from innermost_layers(layer) if hasattr(layer, "layers") else [layer]

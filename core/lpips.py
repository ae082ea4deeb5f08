"""LPIPS, the distance between pictures that agrees best with people's eyes.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual
Metric", version 0.1 of the authors' weights.
"""

import keras

from core import imagenet

LAYERS = {
    "alexnet": ("relu1", "relu2", "relu3", "relu4", "relu5"),
    "vgg16": (
        "block1_relu2",
        "block2_relu2",
        "block3_relu3",
        "block4_relu3",
        "block5_relu3",
    ),
}
SMALLEST = 32  # pixels; AlexNet halves a picture four times


def load_lpips(network="alexnet", weights=None, dtype=None):
    """Loads the distance (section 3.2 and equation 1).

    Args:
        network: "alexnet", with which pictures are scored, or "vgg16", which is better as
            a loss.
        weights: as for `imagenet.load_weights`.
        dtype: of the network's layers; by default Keras' policy.

    Returns:
        A function of two batches of RGB [batch, H, W, 3], 0 to 255, giving float32
        [batch]: 0 for equal pictures, about 1 for very different ones.

    Raises:
        ValueError: for another network, or if its weights are not available.
    """
    if network not in LAYERS:
        raise ValueError(f"LPIPS takes {' or '.join(LAYERS)}, not {network!r}.")
    features = imagenet.load_features(network, LAYERS[network], weights, dtype)
    heads = imagenet.load_weights(network, weights)[-5:]
    heads = [head.reshape(-1, 1) for head in heads]  # a weight for each channel

    def distance(a, b):
        a, b = features(a), features(b)
        layers = zip(LAYERS[network], heads)
        distances = (
            keras.ops.matmul(_difference(a[name], b[name]), head)
            for name, head in layers
        )
        return sum(distances)[:, 0]

    return distance


def _difference(a, b):
    """For each channel, the mean square of what unit vectors differ by: [batch, C]."""
    difference = _unit_vectors(a) - _unit_vectors(b)
    return keras.ops.mean(keras.ops.square(difference), axis=(1, 2))


def _unit_vectors(x):
    """Features [batch, h, w, C] over their length along the channels."""
    x = keras.ops.cast(x, "float32")
    # The root has no slope at zero: where a ReLU leaves nothing, 1e-20 gives it one.
    squares = keras.ops.sum(keras.ops.square(x), axis=-1, keepdims=True)
    return x / (keras.ops.sqrt(squares + 1e-20) + 1e-10)

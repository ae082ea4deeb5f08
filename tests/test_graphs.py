"""What can be read off the graph of a network."""

import keras
import numpy as np
import pytest

import edsr
import espcn
import mdsr
import rcan
import srgan
from core import graphs, networks
from core.colours import for_rgb
from core.tiles import upscale
from helpers import model_of, noise, random_weights


def test_radius_is_the_sum_of_the_kernels(tiny_network):
    # head, 2 blocks of 2, body end, two upsampling stages, tail, and the image skip
    assert graphs.receptive_radius(tiny_network(4)) == 1 + 4 + 1 + 2 + 1 + 1


def farthest(model):
    """How far the input is from the outputs that it changes, as measured."""
    image = np.zeros((1, 41, 41, 3), np.float32)
    spot = image.copy()
    spot[0, 20, 20] = 1
    changed = np.any(model(spot) != model(image), axis=-1)[0]
    return max(np.abs(np.argwhere(changed) - 20).max(axis=0))


def test_radius_counts_layers_as_often_as_they_are_applied():
    layer = keras.layers.Conv2D(3, 3, padding="same", dilation_rate=2)
    inner = model_of(layer, layer, layer)
    inputs = keras.Input((None, None, 3))
    outputs = inner(keras.layers.Conv2D(3, 5, padding="same")(inner(inputs)))
    model = keras.Model(inputs, outputs)
    assert graphs.receptive_radius(inner) == farthest(inner) == 6
    assert graphs.receptive_radius(model) == farthest(model) == 6 + 2 + 6
    for wrapped in (
        keras.Model([inputs], [outputs]),
        keras.Sequential([keras.Input((None, None, 3)), model]),
    ):
        assert graphs.receptive_radius(wrapped) == 14
        assert graphs.receptive_radius(networks.as_network(wrapped)) == 14


def test_radius_counts_pools():
    pools = keras.layers.AveragePooling2D(7, 1, "same"), keras.layers.MaxPooling2D(
        (3, 5), 1, "same"
    )
    model = model_of(conv(), *pools)
    assert graphs.receptive_radius(model) == farthest(model) == 1 + 3 + 2


def test_radius_counts_wrapped_kernels_and_pools_of_keras_ops():
    inputs = keras.Input((None, None, 3))
    wrapped = keras.layers.SpectralNormalization(conv(3, 5, kernel_initializer="ones"))
    x = keras.ops.max_pool(wrapped(inputs), 5, strides=1, padding="same")
    outputs = keras.ops.average_pool(x, (3, 7), strides=1, padding="same")
    model = keras.Model(inputs, outputs)
    assert graphs.receptive_radius(model) == farthest(model) == 2 + 2 + 3


def test_radius_counts_kernels_that_keras_ops_take():
    inputs = keras.Input((None, None, 3))
    x = keras.ops.conv(inputs, np.ones((9, 5, 3, 3), np.float32), padding="same")
    kernel = keras.ops.ones((5, 5, 3, 1))
    x = keras.ops.depthwise_conv(x, kernel, padding="same", dilation_rate=2)
    point = np.ones((1, 1, 3, 3), np.float32)
    kernel = np.ones((3, 3, 3, 1), np.float32)
    x = keras.ops.separable_conv(x, kernel, point, padding="same")
    outputs = keras.ops.image.gaussian_blur(x, (5, 5))
    model = keras.Model(inputs, outputs)
    assert graphs.receptive_radius(model) == farthest(model) == 4 + 4 + 1 + 2


def test_radius_that_cannot_be_read_off_is_refused():
    inputs = keras.Input((None, None, 3))
    outputs = keras.ops.image.extract_patches(inputs, 3, strides=1, padding="same")
    model = keras.Model(inputs, outputs)
    with pytest.raises(
        ValueError, match="The receptive field of the layer .* is unknown: use lay"
    ):
        graphs.receptive_radius(model)


class Block(keras.layers.Layer):
    """As people write residual blocks."""

    def __init__(self):
        super().__init__()
        self.first, self.second = conv(), keras.layers.SpectralNormalization(conv())

    def call(self, x):
        return x + self.second(self.first(x))


class Opaque(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight((3, 3, 3, 3), "ones")

    def call(self, x):
        return keras.ops.conv(x, self.kernel, padding="same")


class Mixed(Opaque):
    """With a kernel of its own beside a layer."""

    def build(self, shape):
        super().build(shape)
        self.layer_of_keras = conv()

    def call(self, x):
        return self.layer_of_keras(super().call(x))


class Scaled(Block):
    """With factors of its own, which look nowhere."""

    def build(self, shape):
        self.scale = self.add_weight((3,), "ones")

    def call(self, x):
        return self.scale * super().call(x)


def test_radius_counts_what_is_in_layers_of_ones_own():
    assert graphs.receptive_radius(model_of(Scaled())) == 2
    with pytest.raises(
        ValueError, match="The receptive field of the layer mixed is unknown"
    ):
        graphs.receptive_radius(model_of(Mixed()))
    model = model_of(Block(), keras.layers.Rescaling(2), Block())
    assert graphs.receptive_radius(model) == farthest(model) == 4
    with pytest.raises(
        ValueError, match="The receptive field of the layer opaque is unknown"
    ):
        graphs.receptive_radius(model_of(Opaque()))


@pytest.mark.parametrize(
    "operation, radius",
    [
        (lambda x: keras.ops.roll(x, 3, axis=1), 3),
        (lambda x: keras.ops.roll(x, (-2, 1), axis=(1, 2)), 2),
        (
            lambda x: keras.layers.Cropping2D(((4, 0), (0, 0)))(
                keras.layers.ZeroPadding2D(((0, 4), (0, 0)))(x)
            ),
            4,
        ),
        (keras.layers.UpSampling2D(2, interpolation="bilinear"), 1),
        (keras.layers.UpSampling2D(2, interpolation="bicubic"), 2),
    ],
)
def test_radius_counts_what_moves_or_mixes_pixels(operation, radius):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, operation(inputs))
    assert graphs.receptive_radius(model) >= radius
    image = noise(1, 30, 30, 3).astype(np.float32)
    changed = image.copy()
    changed[0, 15, 15] += 100
    results = [np.asarray(model(x))[0] for x in (image, changed)]
    scale = len(results[0]) // 30
    places = np.argwhere((results[0] != results[1]).any(axis=-1)) // scale
    assert np.abs(places - 15).max() == radius


def conv(filters=3, size=3, **settings):
    return keras.layers.Conv2D(filters, size, padding="same", **settings)


BUILDERS = {
    "edsr": lambda: edsr.build_edsr(4, 4, 2),
    "edsr without skip": lambda: edsr.build_edsr(3, 4, 1, image_skip=False),
    "mdsr": lambda: mdsr.single_scale(mdsr.build_mdsr((2, 3), 4, 1), 3),
    "rcan": lambda: rcan.build_rcan(2, 1, 1, 4, 2),
    "srresnet": lambda: srgan.build_srresnet(4, 4, 1),
}


@pytest.mark.parametrize(
    "layer, cut",
    [
        (keras.layers.LayerNormalization(), True),
        (keras.layers.GroupNormalization(1), False),
        (lambda x: x * keras.ops.mean(x, axis=(1, 2), keepdims=True), False),
        (lambda x: x * keras.ops.max(x, axis=-1, keepdims=True), True),
        (lambda x: x * keras.layers.GlobalAveragePooling2D(keepdims=True)(x), False),
        (keras.layers.Softmax(), True),
        (keras.layers.Softmax(axis=(1, 2)), False),
        (keras.layers.UnitNormalization(axis=(1, 2)), False),
        (lambda x: keras.ops.softmax(x, axis=2), False),
        (lambda x: keras.ops.flip(x, axis=1), False),
        (lambda x: keras.ops.repeat(x, 2, axis=1), True),
    ],
)
def test_no_cut_before_what_looks_at_the_whole_picture(layer, cut):
    inputs = keras.Input((None, None, 3))
    x = conv(12)(conv(8)(inputs))
    x = layer(keras.ops.depth_to_space(x, 2))
    model = keras.Model(inputs, conv()(x))
    assert bool(graphs.split_at_upsampling(model)) == cut


def test_no_cut_between_exchanges_of_rows_and_columns():
    """In tiles of the second half, they would be taken from the wrong place."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Permute((2, 1, 3))(conv(8)(inputs))
    x = conv(8)(conv(4)(x))  # the smallest, where a cut would be
    x = conv(32)(keras.layers.Permute((2, 1, 3))(x))
    model = random_weights(keras.Model(inputs, conv()(keras.ops.depth_to_space(x, 2))))
    image = noise(100, 70, 3)
    expected = model(image[None].astype(np.float32))[0]
    expected = np.clip(np.round(expected), 0, 255)
    result = upscale(model, image, tile=32, precision="float32")
    assert np.abs(result - expected).max() <= 1


@pytest.mark.parametrize("name", BUILDERS)
def test_halves_make_the_whole(name):
    model = random_weights(BUILDERS[name]())
    first, second = graphs.split_at_upsampling(model)
    image = noise(2, 9, 12, model.input_shape[-1]).astype(np.float32)
    features = first(image)
    assert features.shape[:3] == image.shape[:3]
    np.testing.assert_array_equal(
        second([keras.ops.convert_to_tensor(image), features]), model(image)
    )
    counts = [len(half.trainable_weights) for half in (first, second)]
    assert sum(counts) == len(model.trainable_weights) and min(counts) > 0
    assert graphs.receptive_radius(second) <= 7  # SRResNet's last kernel is 9x9


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [keras.layers.UpSampling2D(2)],  # nothing was learned
        [
            keras.layers.UpSampling2D(2),
            conv(),
            conv(),
        ],  # all work is on enlarged pixels
        [3 * [conv()]],  # one layer, three times
    ],
)
def test_networks_without_halves_stay_whole(layers):
    layers = layers[0] if layers and isinstance(layers[0], list) else layers
    assert graphs.split_at_upsampling(model_of(*layers)) is None


@pytest.mark.parametrize("of_colours", [False, True])
def test_network_that_enlarges_at_its_end_stays_whole(of_colours):
    model = espcn.build_espcn(3, filters=(8, 4))
    assert graphs.split_at_upsampling(for_rgb(model) if of_colours else model) is None


def test_a_skip_past_the_cut_moves_the_cut():
    """After the second convolution the first would have to be computed again."""
    inputs = keras.Input((None, None, 3))
    first = conv(8, name="first")(inputs)
    inner = conv(2, name="inner")(first)
    joined = conv(8, name="outer")(inner) + first
    model = keras.Model(inputs, conv(name="last")(joined))
    cut = {layer.name for layer in graphs.split_at_upsampling(model)[0].layers}
    assert {"first", "inner", "outer"} <= cut and "last" not in cut


class Own(keras.Model):
    def call(self, x):
        return x


def test_a_class_of_somebodys_own_has_no_graph():
    model = Own()
    model(np.zeros((1, 8, 8, 3)))
    assert graphs.hidden_layers(model) == set()
    assert networks.in_precision(model, "mixed_bfloat16") is model

"""Ordinary Keras models train: as Keras has them, but for the rule by which moving variances move."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers

from medaug_keras import classifiers
from medaug_keras.networks import fuse
from medaug_keras.training import name_streams

NORM = {"momentum": 0.9, "epsilon": 1e-3}


def chain(*steps: Any) -> Callable[[Any], Any]:
    def body(x: Any) -> Any:
        for step in steps:
            x = type(step).from_config(step.get_config())(x)  # a layer of its own for every model
        return x

    return body


def excited(x: Any) -> Any:
    """Squeeze and excitation, by broadcasting."""
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    share = layers.GlobalAveragePooling2D(keepdims=True)(x)
    share = layers.Conv2D(8, 1, activation="hard_sigmoid")(layers.Conv2D(2, 1, activation="swish")(share))
    return layers.Multiply()([x, share])


def merged(x: Any) -> Any:
    one, other = layers.Conv2D(6, 3, strides=2, padding="same")(x), layers.Conv2D(6, 5, strides=2, padding="same")(x)
    parts = [layers.Add(), layers.Subtract(), layers.Average(), layers.Maximum(), layers.Minimum(), layers.Multiply()]
    return layers.Concatenate()(
        [*(part([one, other]) for part in parts), layers.Concatenate(axis=1)([one, other])[:, 4:12]]
    )


def attended(x: Any) -> Any:
    tokens = layers.Reshape((-1, 8))(layers.Conv2D(8, 4, 4)(x))
    seen = layers.MultiHeadAttention(2, 4)(query=tokens, value=tokens)
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(layers.Add()([tokens, seen])))


def attended_maps(x: Any) -> Any:
    """Over all places of a map: by itself, and by another map."""
    one, other = layers.Conv2D(6, 4, 4)(x), layers.Conv2D(4, 4, 4, activation="tanh")(x)
    by_itself = layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(one, one)
    by_another = layers.MultiHeadAttention(2, 3, value_dim=5, attention_axes=(1, 2))(one, other, one)
    by_rows = layers.MultiHeadAttention(2, 3, attention_axes=(1,))(one, one)
    return layers.Add()([by_itself, by_another, by_rows])


def operations(x: Any) -> Any:
    x = layers.Conv2D(4, 3)(x)
    return keras.ops.concatenate([2 * x + 1, keras.ops.sin(x)], axis=-1)


def shared(x: Any) -> Any:
    """Views of a tensor that others use, before operations that work in place elsewhere."""
    x = layers.Conv2D(4, 3)(x)
    flat = layers.Flatten()(x)
    rectified = layers.ReLU()(flat)
    silent = layers.ReLU()(layers.Activation("linear")(x))
    both = layers.LeakyReLU(0.1)(layers.Activation("sigmoid")(x))
    return layers.Concatenate()([flat, rectified, layers.Flatten()(silent), layers.Flatten()(both)])


def residual(x: Any) -> Any:
    """Sums that may take the place of a summand, and sums that may not, because something else looks at it."""

    def convolved(y: Any) -> Any:
        return layers.Conv2D(4, 3, padding="same")(y)

    one, other = convolved(x), layers.BatchNormalization(**NORM)(convolved(x))
    y = layers.ReLU()(layers.Add()([layers.Activation("sigmoid")(one), other]))
    y = layers.Add()([y, convolved(y)])
    y = layers.Add()([convolved(y), y, layers.BatchNormalization(**NORM)(y)])
    small = convolved(layers.GlobalAveragePooling2D(keepdims=True)(y))
    return layers.Concatenate()([layers.Add()([small, convolved(y)]), layers.Add()([y, y]), one])


ACTIVATIONS = [
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "log_softmax",
    "mish",
    "relu6",
    "selu",
    "silu",
]
ACTIVATIONS += ["softmax", "softplus", "softsign", "tanh"]
MODELS: dict[str, Callable[[Any], Any]] = {
    "grouped": chain(layers.Conv2D(8, 1), layers.Conv2D(8, 3, 2, "same", groups=4)),
    "depthwise": chain(
        layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
    ),
    "deep": chain(
        layers.Conv2D(320, 4, 4, activation="relu"),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.Conv2D(4, 3, padding="same"),
    ),
    "dilated": chain(layers.Conv2D(4, 3, dilation_rate=2), layers.Conv2D(4, 3, padding="same", dilation_rate=(1, 2))),
    "separable": chain(layers.SeparableConv2D(6, 3, 2, "same", activation="gelu"), layers.SeparableConv2D(4, 3)),
    "strided, padded": chain(layers.ZeroPadding2D(1), layers.Conv2D(4, 3, strides=2, padding="same")),
    "pooling": chain(
        layers.Conv2D(4, 2),
        layers.MaxPooling2D(3, 2, "same"),
        layers.AveragePooling2D(3, 2, "same"),
        layers.AveragePooling2D(2),
    ),
    "global maximum": chain(layers.Conv2D(4, 3), layers.GlobalMaxPooling2D()),
    "transposed": chain(
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.Conv2DTranspose(3, 1, strides=2, activation="relu"),
        layers.Conv2DTranspose(3, 6, strides=2, padding="same"),
        layers.Conv2DTranspose(3, 3, padding="same"),
        layers.Conv2DTranspose(2, (2, 5), strides=(2, 1), padding="same"),
    ),
    "norms": chain(
        layers.Conv2D(8, 3),
        layers.GroupNormalization(4),
        layers.LayerNormalization(),
        layers.BatchNormalization(**NORM),
        layers.UnitNormalization(),
    ),
    "channels by number": chain(layers.BatchNormalization(axis=3, **NORM), layers.LayerNormalization(axis=3)),
    "batch renormalization": chain(layers.Conv2D(4, 3), layers.BatchNormalization(renorm=True)),
    "batch norm of rows": chain(layers.BatchNormalization(axis=1, **NORM)),
    "frozen batch norm": chain(layers.Conv2D(4, 3), layers.BatchNormalization(trainable=False)),
    "activations": chain(*(layers.Conv2D(5, 1, activation=name) for name in ACTIVATIONS)),
    "activation layers": chain(layers.Conv2D(5, 1), layers.PReLU(), layers.ReLU(6), layers.ReLU(negative_slope=0.1)),
    "dense of maps": chain(layers.Dense(7, activation="relu"), layers.Permute((2, 1, 3)), layers.UpSampling2D((2, 3))),
    "enlarged": chain(layers.UpSampling2D(2), layers.UpSampling2D(2, interpolation="bilinear"), layers.Dense(2)),
    "scaled": chain(
        layers.Rescaling([0.5, 2.0, 1.0], offset=[0.0, 1.0, -1.0]),
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 4.0, 0.0]),
        layers.Normalization(axis=-1),
        layers.Rescaling(2.0, offset=-1),
        layers.Dense(2),
    ),
    "resized": chain(
        layers.Resizing(23, 19, "nearest"),
        layers.Resizing(29, 11),
        layers.Resizing(13, 9, antialias=True),
        layers.Resizing(7, 8, "bicubic"),
        layers.Dense(2),
    ),
    "resized to another aspect": chain(
        layers.Resizing(9, 14, pad_to_aspect_ratio=True),
        layers.Resizing(12, 7, crop_to_aspect_ratio=True),
        layers.Dense(2),
    ),
    "rectified otherwise": chain(
        layers.Conv2D(5, 1), layers.ReLU(max_value=1.0), layers.Conv2D(5, 1), layers.ReLU(threshold=0.2)
    ),
    "normalized back": chain(
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 4.0, 2.0], invert=True), layers.Dense(2)
    ),
    "nested": chain(
        keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, activation="gelu"), layers.PReLU()])
    ),
    "excited": excited,
    "merged": merged,
    "attended": attended,
    "attended maps": attended_maps,
    "operations": operations,
    "residual": residual,
    "shared": shared,
}
APPLICATIONS = {
    "ConvNeXtTiny": keras.applications.ConvNeXtTiny,
    "DenseNet121": keras.applications.DenseNet121,
    "EfficientNetB0": keras.applications.EfficientNetB0,
    "MobileNetV2": keras.applications.MobileNetV2,
    "MobileNetV3Small": keras.applications.MobileNetV3Small,
    "ResNet50": keras.applications.ResNet50,
}


@contextmanager
def in_double_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many batch norms of maps of few pixels multiply how sums are rounded."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    # Keras's batch norm asks for the common type of its inputs and float32, which it holds to be float32
    monkeypatch.setattr(keras.src.backend, "result_type", lambda *types: "float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.fixture
def double(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if name == "ConvNeXtTiny":  # has no batch norm; its normalization gives float32 whatever it is given
        yield
        return
    with in_double_precision(monkeypatch):
        yield


def small(name: str) -> keras.Model:
    inputs = keras.Input((16, 16, 3))
    return keras.Model(inputs, MODELS[name](inputs))


def compare(model: keras.Model, x: torch.Tensor, training: bool) -> None:
    """Output, gradients and moving means by `fuse` against the model's own, relative to the largest."""
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    for one in (model, twin):
        name_streams(one, 3)
    network = fuse(model)
    outputs = network(x.clone(), training=training), twin(x, training=training)
    close(*outputs)
    ahead = torch.randn(outputs[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for output in outputs:
        (output * ahead).mean().backward()
    grads = [[weight.value.grad for weight in one.trainable_weights] for one in (model, twin)]
    assert any(grad is not None and grad.any() for grad in grads[1]) or not grads[1]
    scale = max((float(grad.abs().max()) for grad in grads[1]), default=1.0)
    for ours, theirs in zip(*grads, strict=True):
        assert float((ours - theirs).abs().max()) <= 1e-4 * max(scale, 1e-3)
    for ours, theirs in zip(model.non_trainable_weights, twin.non_trainable_weights, strict=True):
        if "variance" not in ours.name:  # PyTorch's rule: another test
            close(ours.value, theirs.value)


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert float((ours - theirs).abs().max()) <= 1e-4 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_keras_s_output_gradients_and_moving_means(name: str, training: bool) -> None:
    keras.utils.set_random_seed(0)
    compare(small(name), torch.randn(6, 16, 16, 3), training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", APPLICATIONS)
@pytest.mark.usefixtures("double")
def test_an_application_has_keras_s_output_gradients_and_moving_means(name: str, training: bool) -> None:
    keras.utils.set_random_seed(0)
    model = APPLICATIONS[name](weights=None, input_shape=(32, 32, 3), classes=4, classifier_activation=None)
    compare(model, 255 * torch.rand(8, 32, 32, 3, dtype=model.trainable_weights[0].value.dtype), training)


@pytest.mark.parametrize("name", ["DenseNet121", "MobileNetV2", "ResNet50"])
def test_every_layer_of_a_plain_application_is_fused(name: str) -> None:
    model = APPLICATIONS[name](weights=None, input_shape=(32, 32, 3), classes=4, classifier_activation=None)
    assert fuse(model).unfused == []


def with_dropout(name: str = "dropping") -> keras.Model:
    inputs = keras.Input((28, 28, 3))
    x = layers.SpatialDropout2D(0.2)(layers.Conv2D(4, 3, 2, "same", activation="gelu")(inputs))
    x = layers.Dropout(0.5)(layers.GaussianNoise(0.1)(layers.GlobalAveragePooling2D()(x)))
    return keras.Model(inputs, layers.Dense(2, name="logits")(x), name=name)


def test_what_layers_draw_depends_on_the_seed_alone() -> None:
    keras.utils.set_random_seed(0)
    model, x = with_dropout(), torch.randn(4, 28, 28, 3)
    network = fuse(model)

    def drawn(seed: int, elsewhere: int) -> np.ndarray:
        name_streams(model, seed)
        torch.manual_seed(elsewhere)
        return torch.stack([network(x, training=True) for _ in range(3)]).detach().numpy()

    first = drawn(1, 0)
    np.testing.assert_array_equal(first, drawn(1, 5))
    assert not np.array_equal(first, drawn(2, 0))
    assert not np.array_equal(first[0], first[1])


class Subclassed(keras.Model):
    def call(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize("frozen", [False, True])
def test_only_a_trained_bias_that_a_batch_norm_cancels_is_idle(frozen: bool) -> None:
    x = inputs = keras.Input((8, 8, 1))
    for bias, activation in ((True, "linear"), (False, "linear"), (True, "relu")):
        x = layers.BatchNormalization()(layers.Conv2D(2, 3, use_bias=bias, activation=activation)(x))
    model = keras.Model(inputs, x)
    model.trainable = not frozen
    idle = classifiers._idle_biases(model)
    assert [id(bias) for bias in idle] == ([] if frozen else [id(model.layers[1].bias.value)])


def test_a_model_that_is_no_graph_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'mine' is a Subclassed.*expected keras\.Model"):
        fuse(Subclassed(name="mine"))


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 1), (1, 2)])
def test_a_classifier_of_several_inputs_or_outputs_is_refused(inputs: int, outputs: int) -> None:
    entries = [keras.Input((8, 8, 1)) for _ in range(inputs)]
    x = layers.Flatten()(layers.Concatenate()(entries) if inputs > 1 else entries[0])
    model = keras.Model(entries, [layers.Dense(2)(x) for _ in range(outputs)], name="mine")
    with pytest.raises(ValueError, match=f"'mine' has {inputs} inputs and {outputs} outputs"):
        classifiers._one_image_to_one_vector(model)


def test_dropout_draws_from_the_random_numbers_that_are_handed_in():
    inputs = keras.Input((8, 8, 40))
    nested = keras.Sequential([keras.Input((8, 8, 40)), layers.Dropout(0.2)])
    model = keras.Model(inputs, layers.Add()([layers.Dropout(0.2)(inputs), nested(inputs)]))
    x = torch.ones(50, 8, 8, 40)

    def made(seed: int) -> torch.Tensor:
        network = fuse(model, torch.Generator().manual_seed(seed))
        assert not network.unfused
        assert torch.equal(network(x, training=False), 2 * x)
        return network(x, training=True)

    before = torch.get_rng_state()
    first = made(0)
    assert torch.equal(first, made(0))
    assert not torch.equal(first, made(1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.unique(first.round(decimals=4)).tolist() == pytest.approx([0.0, 1.25, 2.5])
    assert (first == 0).float().mean().item() == pytest.approx(0.04, abs=0.005)  # 128,000 draws of both

"""The shared layers against PyTorch, and the laws they must keep."""

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from medaug_keras import networks
from medaug_keras.networks import fuse
from medaug_keras.training import arithmetic


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def torch_kernel(layer: keras.Layer) -> torch.Tensor:
    """Conv2D and Conv2DTranspose kernels in PyTorch's order."""
    return torch.tensor(layer.kernel.numpy().transpose(3, 2, 0, 1))


def spectral_layers() -> dict[str, tuple[keras.Layer, torch.Tensor]]:
    """Each kind of layer, with an input for it."""
    made = {
        "conv": (networks.SpectralConv2D(5, 4, 2, "same"), numbers(2, 8, 8, 3)),
        "transposed": (networks.SpectralConv2DTranspose(3, 4, 2, "same"), numbers(2, 4, 4, 5)),
        "transposed of one pixel": (networks.SpectralConv2DTranspose(3, 4), numbers(2, 1, 1, 7)),
        "dense": (networks.SpectralDense(4), numbers(2, 6)),
        "dense without bias": (networks.SpectralDense(4, use_bias=False), numbers(2, 6)),
        "embedding": (networks.SpectralEmbedding(3, 6), torch.tensor([2, 0])),
    }
    for layer, x in made.values():
        layer.build(tuple(x.shape))
    return made


SPECTRAL = list(spectral_layers())


def as_matrix(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Output channels x the rest, written out for each kind."""
    if name == "conv":
        return weight.permute(3, 0, 1, 2).flatten(1)
    if name.startswith("transposed"):
        return weight.permute(2, 0, 1, 3).flatten(1)
    return weight.t() if name.startswith("dense") else weight


# --- initial weights and padding -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (lambda **init: keras.layers.Conv2D(64, 3, **init), (8, 8, 32), 9 * 32),
        (lambda **init: keras.layers.Conv2DTranspose(64, 3, **init), (8, 8, 32), 9 * 64),
        (lambda **init: keras.layers.Dense(500, **init), (400,), 400),
    ],
)
def test_initial_weights_are_spread_as_pytorch_spreads_them(layer, shape, fan_in):
    made = layer(**networks.torch_init(fan_in))
    made.build((None, *shape))
    for weight in (made.kernel.numpy(), made.bias.numpy()):
        assert np.abs(weight).max() <= 1 / fan_in**0.5
        assert np.abs(weight).max() > 0.9 / fan_in**0.5
    assert made.kernel.numpy().std() == pytest.approx((1 / 3 / fan_in) ** 0.5, rel=0.02)


@pytest.mark.parametrize("training", [False, True])
def test_the_encoder_is_pytorchs_padded_strided_convolutions(training):
    encoder = networks.vae_encoder(2)
    modules: list[nn.Module] = []
    for conv, norm in zip(
        [layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D)],
        [layer for layer in encoder.layers if isinstance(layer, keras.layers.BatchNormalization)],
        strict=True,
    ):
        there = nn.Conv2d(conv.kernel.shape[2], conv.filters, 3, stride=2, padding=1)
        there.weight.data, there.bias.data = torch_kernel(conv), torch.tensor(conv.bias.numpy())
        after = nn.BatchNorm2d(conv.filters)
        norm.gamma.assign(numbers(conv.filters, seed=1))
        norm.beta.assign(numbers(conv.filters, seed=2))
        after.weight.data, after.bias.data = torch.tensor(norm.gamma.numpy()), torch.tensor(norm.beta.numpy())
        modules += [there, after, nn.LeakyReLU(0.01)]
    reference = nn.Sequential(*modules).train(training)
    x = numbers(4, 28, 28, 2)
    with torch.no_grad():
        expected = reference(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        assert torch.allclose(fuse(encoder)(x, training=training), expected, atol=1e-4)
    moved = [m.running_var for m in modules if isinstance(m, nn.BatchNorm2d)]
    ours = [layer for layer in encoder.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for mine, theirs in zip(ours, moved, strict=True):
        assert np.allclose(mine.moving_variance.numpy(), theirs.numpy(), atol=1e-5)


def test_the_decoder_is_pytorchs_transposed_convolutions():
    parts = networks.vae_decoder(3, 7)
    x = numbers(3, 7)
    y = fuse(parts[0])(x, training=False)
    with torch.no_grad():
        expected = y.permute(0, 3, 1, 2)
        for part in parts[1:]:
            for layer in part.layers:
                if isinstance(layer, keras.layers.Conv2DTranspose):
                    # padding 1 and output padding 1, but 2 and 0 for 32 -> 61 (Figs. 19 and 22)
                    padding, extra = (1, 1) if part.name == "decoder_hidden" else (2, 0)
                    bias = layer.bias.value
                    expected = F.conv_transpose2d(expected, torch_kernel(layer), bias, 2, padding, extra)
                elif isinstance(layer, keras.layers.Conv2D):
                    expected = F.conv2d(expected, torch_kernel(layer), layer.bias.value, layer.strides)
                elif isinstance(layer, keras.layers.BatchNormalization):
                    expected = expected / (1 + 1e-5) ** 0.5
                elif isinstance(layer, keras.layers.LeakyReLU):
                    expected = F.leaky_relu(expected, 0.01)
            y = fuse(part)(y, training=False)
        assert torch.allclose(y, torch.tanh(expected).permute(0, 2, 3, 1), atol=1e-5)


# --- spectral normalization ------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_norm_gives_largest_singular_value_one(name):
    layer, x = spectral_layers()[name]
    for _ in range(300):
        layer(x, training=True)
    values = torch.linalg.svdvals(as_matrix(name, layer.normalized(False)))
    assert values[0].item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_norm_moves_with_training_only(name):
    layer, x = spectral_layers()[name]
    layer(x, training=True)
    before = layer.u.numpy().copy()
    first, second = layer(x, training=False), layer(x, training=False)
    assert torch.equal(first, second)
    assert np.array_equal(layer.u.numpy(), before)
    layer(x, training=True)
    assert not np.array_equal(layer.u.numpy(), before)


@pytest.mark.parametrize("name", ["conv", "transposed", "dense", "embedding"])
def test_spectral_norm_is_pytorchs_with_its_gradient(name):
    layer, x = spectral_layers()[name]
    theirs: nn.Module
    if name == "conv":
        theirs = nn.Conv2d(3, 5, 4, 2, 1)
        theirs.weight.data = torch_kernel(layer)
    elif name == "transposed":
        theirs = nn.ConvTranspose2d(5, 3, 4, 2, 1)
        theirs.weight.data = torch_kernel(layer)
    elif name == "dense":
        theirs = nn.Linear(6, 4)
        theirs.weight.data = torch.tensor(layer.kernel.numpy().T.copy())
    else:
        theirs = nn.Embedding(3, 6)
        theirs.weight.data = torch.tensor(layer.embeddings.numpy())
    if name != "embedding":
        theirs.bias.data.zero_()
    torch.nn.utils.spectral_norm(theirs)
    theirs.weight_u.data = torch.tensor(layer.u.numpy())

    def forward() -> torch.Tensor:
        if x.ndim < 4:
            return theirs(x)
        return theirs(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    for _ in range(3):
        ours, expected = layer(x, training=True), forward()
        assert torch.allclose(ours, expected, atol=1e-5)
    weight = layer.embeddings if name == "embedding" else layer.kernel
    ours.square().sum().backward()
    expected.square().sum().backward()
    gradient = theirs.weight_orig.grad
    if x.ndim == 4:
        gradient = gradient.permute(2, 3, 1, 0)
    elif name == "dense":
        gradient = gradient.t()
    assert torch.allclose(weight.value.grad, gradient, atol=1e-4, rtol=1e-4)


# --- attention and conditional batch norm ----------------------------------------------------------


def attention_inputs() -> list[torch.Tensor]:
    return [numbers(2, 4, 4, 6), numbers(2, 4, 4, 3, seed=1), numbers(2, 4, 4, 3, seed=2), numbers(2, 4, 4, 6, seed=3)]


def test_attention_is_the_identity_at_scale_zero():
    inputs = attention_inputs()
    assert torch.equal(networks.SelfAttention()(inputs), inputs[0])


def test_attention_adds_what_positions_see_of_each_other():
    x, query, key, value = attention_inputs()
    layer = networks.SelfAttention()
    layer.build([part.shape for part in (x, query, key, value)])
    layer.gamma.assign(0.5)
    positions = [(row, column) for row in range(4) for column in range(4)]
    for b in range(2):
        for i in positions:
            scores = torch.stack([query[b][i] @ key[b][j] for j in positions])
            seen = sum(p * value[b][j] for p, j in zip(scores.softmax(0), positions, strict=True))
            assert torch.allclose(layer([x, query, key, value])[b][i], x[b][i] + 0.5 * seen, atol=1e-5)


def conditional() -> keras.Model:
    image, label = keras.Input((4, 4, 6)), keras.Input((), dtype="int32")
    return keras.Model([image, label], networks.conditional_batch_norm(image, label, num_classes=3, name="norm"))


@pytest.mark.parametrize("training", [False, True])
def test_conditional_batch_norm_starts_as_plain_batch_norm(training):
    x, labels = 3 * numbers(5, 4, 4, 6) + 1, torch.tensor([0, 1, 2, 1, 0])
    plain = networks.batch_norm("plain")(x, training=training)
    assert torch.allclose(conditional()([x, labels], training=training), plain, atol=1e-5)


def test_conditional_batch_norm_takes_scale_and_shift_of_the_label():
    model = conditional()
    gamma, beta = numbers(3, 6, seed=1), numbers(3, 6, seed=2)
    model.get_layer("norm_gamma").set_weights([gamma.numpy()])
    model.get_layer("norm_beta").set_weights([beta.numpy()])
    x = numbers(3, 4, 4, 6)
    for label in range(3):
        expected = gamma[label] * x / (1 + 1e-5) ** 0.5 + beta[label]
        assert torch.allclose(model([x, torch.full((3,), label)]), expected, atol=1e-5)


# --- all of our own layers -------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", [*SPECTRAL, "attention"])
def test_the_fused_operation_of_a_layer_is_the_layer(name, training):
    if name == "attention":
        layer, inputs = networks.SelfAttention(), attention_inputs()
        layer.build([part.shape for part in inputs])
        layer.gamma.assign(0.5)
        expected = layer(inputs)
    else:
        layer, x = spectral_layers()[name]
        inputs = [x]
        for _ in range(300):  # near the end of the power iteration one more step changes nothing
            layer(x, training=True)
        expected = layer(x, training=training)
    images = [x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in inputs]
    ours = layer.fused(True)(training, *images)
    assert torch.allclose(ours.permute(0, 2, 3, 1) if ours.ndim == 4 else ours, expected, atol=1e-4)


@pytest.mark.parametrize("name", [*SPECTRAL, "attention"])
def test_a_layer_is_rebuilt_from_its_config(name):
    layer = networks.SelfAttention(name="a") if name == "attention" else spectral_layers()[name][0]
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_outputs_are_not_rounded_where_a_step_computes_in_bfloat16():
    """Losses and probabilities are made of them."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    network = fuse(keras.Model(inputs, [keras.layers.Dense(2)(keras.layers.Flatten()(x)), x]))
    with arithmetic("bfloat16"):
        outputs = network(numbers(2, 8, 8, 3), training=True)
    assert [output.dtype for output in outputs] == [torch.float32, torch.float32]


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 5, "padding": "same"},
        {"kernel_size": 3},
        {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2, "bias_initializer": "random_normal"},
        {"kernel_size": 3, "dilation_rate": 2, "bias_initializer": "random_normal"},
    ],
)
def test_on_a_cpu_depthwise_convolutions_are_computed_in_float32_and_rounded_after(settings):
    network = fuse(keras.Sequential([keras.Input((8, 8, 4)), keras.layers.DepthwiseConv2D(**settings)]))
    exact = network(numbers(2, 8, 8, 4), training=True)
    with arithmetic("bfloat16"):
        rough = network(numbers(2, 8, 8, 4), training=True)
    assert torch.equal(rough, exact.to(torch.bfloat16).float())


@pytest.mark.parametrize(
    ("settings", "crop"),
    [
        ({"kernel_size": 3, "strides": 2}, 2),  # as the VAEs' last one: an odd side
        ({"kernel_size": 3, "strides": 2}, ((1, 0), (1, 0))),  # even
        ({"kernel_size": 3, "strides": 2, "use_bias": False}, 0),
        ({"kernel_size": (4, 2), "strides": (3, 1)}, 0),  # no multiple of the stride one way, any the other
        ({"kernel_size": 4, "strides": 2, "padding": "same"}, 0),
    ],
)
def test_a_transposed_convolution_in_bfloat16_is_that_of_rounded_numbers_and_so_are_its_gradients(settings, crop):
    keras.utils.set_random_seed(3)
    layer = keras.layers.Conv2DTranspose(5, bias_initializer="random_normal", **settings)
    network = fuse(keras.Sequential([keras.Input((6, 6, 7)), layer, keras.layers.Cropping2D(crop)]))
    x = numbers(3, 6, 6, 7).requires_grad_()
    with arithmetic("bfloat16"):
        found = network(x, training=True)
    weights = [variable.value for variable in layer.trainable_variables]
    upstream = numbers(*found.shape).bfloat16().float()
    ours = torch.autograd.grad(found, [x, *weights], upstream)

    rounded = [some.detach().bfloat16().double().requires_grad_() for some in (x, *weights)]
    kernel, bias = rounded[1].permute(3, 2, 0, 1), rounded[2] if layer.use_bias else None
    padding = (1, 1) if layer.padding == "same" else (0, 0)
    whole = F.conv_transpose2d(rounded[0].permute(0, 3, 1, 2), kernel, bias, layer.strides, padding)
    expected = keras.layers.Cropping2D(crop, dtype="float64")(whole.permute(0, 2, 3, 1))
    theirs = torch.autograd.grad(expected, rounded, upstream.double())
    assert found.shape == expected.shape
    for mine, other in zip((found, *ours), (expected, *theirs), strict=True):
        assert float((mine - other).abs().max()) <= 2**-7 * float(other.abs().max())


@pytest.mark.parametrize(("before", "after"), [(28, 32), (40, 64), (64, 40), (32, 28), (32, 16)])
def test_images_are_resized_bilinearly_without_antialiasing(before, after):
    images = numbers(2, before, before, 3)
    resized = networks.resized(images, after, "resize")
    expected = F.interpolate(images.permute(0, 3, 1, 2), (after, after), mode="bilinear", align_corners=False)
    assert torch.allclose(resized, expected.permute(0, 2, 3, 1), atol=1e-5)
    assert networks.resized(images, before, "resize") is images


def test_latent_variables_are_drawn_with_the_deviation_that_the_log_of_their_variance_says():
    mean, log_variance, noise = (numbers(3, 4) for _ in range(3))
    drawn = networks.reparameterized(mean, log_variance, noise)
    assert torch.allclose(drawn, mean + (log_variance / 2).exp() * noise, atol=1e-6)


@pytest.mark.parametrize(("side", "made"), [(28, 28), (16, 32), (32, 32), (40, 64)])
def test_a_vaes_decoder_is_pytorchs_transposed_convolutions_and_ends_at_the_side_that_it_works_at(side, made):
    entrance, hidden, output = networks.vae_decoder(3, 5, side)
    assert networks.vae_side(side) == made
    assert output(hidden(entrance(numbers(1, 5)))).shape == (1, made, made, 3)
    x = numbers(2, *hidden.input_shape[1:])
    step = hidden.get_layer("transposed1")
    kernel, bias = (weight.value for weight in step.weights)
    expected = F.conv_transpose2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, 2, 1, output_padding=1)
    found = hidden.get_layer("crop1")(step(x))
    assert torch.allclose(found, expected.permute(0, 2, 3, 1), atol=1e-5)


def test_weights_come_back_from_their_copies_into_the_memory_where_they_are_and_statistics_too():
    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, use_bias=False)(x))
    assert [part.data_ptr() for part in networks.parameters(model)] == [
        weight.value.data_ptr() for weight in model.trainable_weights
    ]
    assert len(networks.parameters(model)) == 5 < len(model.weights) == 7
    before, copies = [weight.numpy().copy() for weight in model.weights], networks.copy_weights(model)
    places = [weight.value.data_ptr() for weight in model.weights]
    with torch.no_grad():
        for weight in model.weights:
            weight.value.add_(1.0)
    networks.assign_weights(model, copies)
    for weight, expected in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), expected)
    assert [weight.value.data_ptr() for weight in model.weights] == places
    with pytest.raises(ValueError, match="shorter"):
        networks.assign_weights(model, copies[:-1])
    assert networks.device_of(model) == networks.device_of(keras.Sequential([keras.Input((2,))]))

"""Layers, blocks and initial weights that the models share.

Padding, cropping, batch norm and initial weights are PyTorch's, because the paper's models are PyTorch models:
`Conv(3, stride 2, padding 1)` is ZeroPadding2D and a "valid" Conv2D ("same" pads the other side of an even image), a
transposed convolution with padding p and output padding q is a "valid" one, cropped by p on top and left and by p - q
on the other sides.

Shapes: B batch, H x W x C image, K classes, Z latent_dim.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import torch
import torch.nn.functional as F
from keras import layers, ops

from medaug_keras.networks.fused import make_channels_last

VAE_WIDTHS = (32, 64, 128, 256, 512)  # 28 -> 14 -> 7 -> 4 -> 2 -> 1
VAE_FIRST = 16  # before them, for each doubling of 32 pixels
VAE_SLOPE = 0.01
GAN_SLOPE = 0.2


# --- blocks of stock layers ------------------------------------------------------------------------


def torch_init(fan_in: int) -> dict[str, Any]:
    """PyTorch's default initial weights: kernel and bias uniform in +-1/sqrt(fan_in).

    `fan_in` is kH * kW * channels in; for a transposed convolution, as in PyTorch, kH * kW * channels out.
    """
    limit = 1 / math.sqrt(fan_in)
    return {
        "kernel_initializer": keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
        "bias_initializer": keras.initializers.RandomUniform(-limit, limit),
    }


def batch_norm(name: str, *, affine: bool = True) -> layers.BatchNormalization:
    """PyTorch's batch norm: its momentum 0.1 is Keras's 0.9, its epsilon 1e-5; gamma and beta unless not `affine`."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=affine, scale=affine, name=name)


def chain(name: str, shape: tuple[int, ...], steps: Sequence[keras.Layer]) -> keras.Model:
    """A network that applies `steps` one after the other to an input of `shape` (without the batch)."""
    inputs = keras.Input(shape, name="input")
    x = inputs
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x, name=name)


def grid_side(side: int) -> int:
    """The smallest 32 x 2^k that images of so many pixels a side fit in: the side that the networks below work at."""
    return max(32, 1 << (side - 1).bit_length())


def doublings(side: int) -> int:
    """How often 32 is doubled for it: by so many blocks the networks below are deeper than the printed ones."""
    return (grid_side(side) // 32).bit_length() - 1


def vae_side(side: int) -> int:
    """The side that the VAEs' networks work at: 28, for which they are printed, or `grid_side`."""
    return 28 if side == 28 else grid_side(side)


def vae_widths(side: int) -> tuple[int, ...]:
    """Channels of the encoder's convolutions: a first one of 16 for each doubling of 32."""
    return (VAE_FIRST,) * doublings(side) + VAE_WIDTHS


def vae_encoder(channels: int, side: int = 28) -> keras.Model:
    """Figs. 20 and 23: (B, S, S, channels) -> (B, 1, 1, 512), S the `vae_side`; 1,570,848 parameters from 4 channels at
    28 and 32 pixels."""
    side, steps = vae_side(side), list[keras.Layer]()
    for number, (before, after) in enumerate(pairwise((channels, *vae_widths(side))), 1):
        steps += [
            layers.ZeroPadding2D(1, name=f"pad{number}"),
            layers.Conv2D(after, 3, 2, name=f"conv{number}", **torch_init(9 * before)),
            batch_norm(f"norm{number}"),
            layers.LeakyReLU(VAE_SLOPE, name=f"leaky{number}"),
        ]
    return chain("encoder", (side, side, channels), steps)


def vae_decoder(channels: int, latent: int, side: int = 28) -> tuple[keras.Model, keras.Model, keras.Model]:
    """Figs. 19 and 22: (B, latent) -> (B, S, S, channels) in [-1, 1], S the `vae_side`, as the three networks that are
    printed there.

    At 28 and 32 pixels 1,568,160 parameters in the hidden part, 19,491 in the output part for color. The 2048 numbers
    of the first part are read as 2 x 2 x 512 where PyTorch reads 512 x 2 x 2: the same network with its units in
    another order. The output part is printed for 28 x 28, to which it comes by convolutions without padding; at other
    sizes they pad.
    """
    side = vae_side(side)
    dense = layers.Dense(2048, name="dense", **torch_init(latent))
    entrance = chain("decoder_input", (latent,), [dense, layers.Reshape((2, 2, 512), name="reshape")])
    steps: list[keras.Layer] = []
    for number, after in enumerate(vae_widths(side)[-2::-1], 1):  # 2 -> 4 -> 8 -> 16 -> 32 ...
        steps += [
            layers.Conv2DTranspose(after, 3, 2, name=f"transposed{number}", **torch_init(9 * after)),
            layers.Cropping2D(((1, 0), (1, 0)), name=f"crop{number}"),
            batch_norm(f"norm{number}"),
            layers.LeakyReLU(VAE_SLOPE, name=f"leaky{number}"),
        ]
    hidden = chain("decoder_hidden", (2, 2, 512), steps)
    grid, width = hidden.output_shape[1], hidden.output_shape[-1]
    printed = side == 28
    steps = [
        layers.Conv2DTranspose(width, 3, 2, name="transposed1", **torch_init(9 * width)),
        layers.Cropping2D(2 if printed else ((1, 0), (1, 0)), name="crop1"),  # 65 -> 61 where printed, 64 elsewhere
        batch_norm("norm1"),
        layers.LeakyReLU(VAE_SLOPE, name="leaky1"),
        *([] if printed else [layers.ZeroPadding2D(1, name="pad2")]),
        layers.Conv2D(width, 3, 2, name="conv2", **torch_init(9 * width)),  # -> 30, or 32
        batch_norm("norm2"),
        layers.LeakyReLU(VAE_SLOPE, name="leaky2"),
        *([] if printed else [layers.ZeroPadding2D(1, name="pad3")]),
        layers.Conv2D(channels, 3, name="conv3", **torch_init(9 * width)),  # -> 28, or 32
        layers.Activation("tanh", name="tanh"),
    ]
    output = chain("decoder_output", (grid, grid, width), steps)
    return entrance, hidden, output


def resized(x: Any, side: int, name: str) -> Any:
    """(B, H, W, C) -> (B, side, side, C), bilinear and without antialiasing; the same where it is of that side."""
    if x.shape[1] == side:
        return x
    return layers.Resizing(side, side, interpolation="bilinear", antialias=False, name=name)(x)


def reparameterized(mean: Any, log_variance: Any, noise: Any) -> Any:
    """(B, Z) each -> mean + exp(log_variance / 2) * noise: Kingma & Welling 2014, https://arxiv.org/abs/1312.6114."""
    half = layers.Rescaling(0.5, name="half_log_variance")(log_variance)
    deviation = layers.Activation("exponential", name="deviation")(half)
    return layers.Add(name="latent")([mean, layers.Multiply(name="scaled_noise")([deviation, noise])])


def label_input(num_classes: int, *, several: bool) -> tuple[Any, Any]:
    """The input of labels (B,), and what layers take of it: the labels themselves; with `several` findings an image,
    (B, K) of 0 and 1, and the same numbers as floats."""
    label = keras.Input((num_classes,) if several else (), dtype="int32", name="label")
    return label, layers.Rescaling(1.0, name="findings")(label) if several else label


def conditional_batch_norm(x: Any, label: Any, *, num_classes: int, name: str) -> Any:
    """(B, H, W, C), (B,) labels -> gamma[label] * norm(x) + beta[label]; gamma starts at 1, beta at 0.

    De Vries et al. 2017, https://arxiv.org/abs/1707.00683, as in TorchFusion: plain batch norm without gamma and beta
    of its own, and one embedding for each of them. Of findings (B, K), gamma and beta are those without a finding plus
    what each finding adds.
    """
    width = x.shape[-1]

    def embedding(start: str, what: str) -> Any:
        if len(label.shape) == 2:
            layer = layers.Dense(width, kernel_initializer="zeros", bias_initializer=start, name=f"{name}_{what}")
        else:
            layer = layers.Embedding(num_classes, width, start, name=f"{name}_{what}")
        return layer(label)

    gamma, beta = embedding("ones", "gamma"), embedding("zeros", "beta")
    gamma = layers.Reshape((1, 1, width), name=f"{name}_gamma_map")(gamma)
    beta = layers.Reshape((1, 1, width), name=f"{name}_beta_map")(beta)
    scaled = layers.Multiply(name=f"{name}_scaled")([batch_norm(name, affine=False)(x), gamma])
    return layers.Add(name=f"{name}_shifted")([scaled, beta])


# --- spectral normalization ------------------------------------------------------------------------


def _unit(vector: Any) -> Any:
    return F.normalize(vector, dim=0)  # Keras's maximum(norm, 1e-12) would copy its number to the device every time


class _Spectral(keras.Layer):
    """Divides a layer's weight W by its largest singular value sigma: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.

    W is folded to a matrix, output channels by the rest. Every call in training makes one step of the power iteration,
    v <- W'u / |W'u|, u <- Wv / |Wv|, without gradient; sigma = u'Wv, whose gradient flows through W alone. Outside
    training the last u and v are used. Keras's own SpectralNormalization instead overwrites the weight at every step
    (no gradient through sigma) and folds a transposed convolution by its input channels.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        rest, out = self._folded(self._raw()).shape
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.u = self.add_weight(name="u", shape=(out,), initializer=normal, trainable=False)
        self.v = self.add_weight(name="v", shape=(rest,), initializer=normal, trainable=False)
        self.u.assign(_unit(self.u))
        self.v.assign(_unit(self.v))

    def normalized(self, training: bool | None) -> Any:
        """W / sigma in the shape of the weight."""
        raw = self._raw()
        transposed = self._folded(raw)  # W': (rest, out)
        u, v = ops.convert_to_tensor(self.u), ops.convert_to_tensor(self.v)
        if training:
            fixed = ops.stop_gradient(transposed)
            v = _unit(ops.matmul(fixed, u))
            u = _unit(ops.matmul(v, fixed))
            self.u.assign(u)
            self.v.assign(v)
        return raw / ops.sum(v * ops.matmul(transposed, u))

    def _raw(self) -> Any:
        return ops.convert_to_tensor(self.kernel)

    def _folded(self, weight: Any) -> Any:
        return ops.reshape(weight, (-1, weight.shape[-1]))


class SpectralConv2D(_Spectral, layers.Conv2D):
    """Conv2D with "same" padding, its kernel divided by its largest singular value."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """(B, H, W, C) -> (B, H / stride, W / stride, filters)."""
        return ops.conv(inputs, self.normalized(training), self.strides, self.padding) + self.bias

    def fused(self, alone: bool) -> Any:
        """The same as a Torch operation on (B, C, H, W), for H and W that the stride divides; see networks.fuse."""
        side = (self.kernel_size[0] - self.strides[0]) // 2
        make_channels_last(self.kernel)

        def run(training: bool, x: torch.Tensor) -> torch.Tensor:
            kernel = self.normalized(training).permute(3, 2, 0, 1)
            return F.conv2d(x, kernel, self.bias.value, self.strides, side)

        return run


class SpectralConv2DTranspose(_Spectral, layers.Conv2DTranspose):
    """Conv2DTranspose, its kernel (kH, kW, out, in) divided by its largest singular value."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """(B, H, W, C) -> (B, stride * H, stride * W, filters) with "same" padding."""
        images = ops.conv_transpose(inputs, self.normalized(training), self.strides, self.padding)
        return images + self.bias

    def fused(self, alone: bool) -> Any:
        """The same as a Torch operation on (B, C, H, W); see networks.fuse."""
        side = (self.kernel_size[0] - self.strides[0]) // 2 if self.padding == "same" else 0
        make_channels_last(self.kernel)

        def run(training: bool, x: torch.Tensor) -> torch.Tensor:
            kernel = self.normalized(training).permute(3, 2, 0, 1)
            return F.conv_transpose2d(x, kernel, self.bias.value, self.strides, side)

        return run

    def _folded(self, weight: Any) -> Any:
        return ops.reshape(ops.transpose(weight, (0, 1, 3, 2)), (-1, weight.shape[2]))


class SpectralDense(_Spectral, layers.Dense):
    """Dense, its kernel divided by its largest singular value."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """(B, in) -> (B, units)."""
        x = ops.matmul(inputs, self.normalized(training))
        return x + self.bias if self.use_bias else x

    def fused(self, alone: bool) -> Any:
        """The same as a Torch operation; see networks.fuse."""
        if not self.use_bias:
            return lambda training, x: x @ self.normalized(training)
        return lambda training, x: torch.addmm(self.bias.value, x, self.normalized(training))


class SpectralEmbedding(_Spectral, layers.Embedding):
    """Embedding, its table (K, width) divided by its largest singular value."""

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """That of a plain embedding, which knows no `training`."""
        return super().compute_output_spec(inputs)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """(B,) labels -> (B, width)."""
        return ops.take(self.normalized(training), inputs, axis=0)

    def fused(self, alone: bool) -> Any:
        """The same as a Torch operation; see networks.fuse."""
        return lambda training, labels: self.normalized(training)[labels]

    def _raw(self) -> Any:
        return ops.convert_to_tensor(self.embeddings)

    def _folded(self, weight: Any) -> Any:
        return ops.transpose(weight)


# --- self-attention --------------------------------------------------------------------------------


class SelfAttention(keras.Layer):
    """Every position looks at every other: Zhang et al. 2019, https://arxiv.org/abs/1805.08318.

    Takes [x, query, key, value], all (B, H, W, .), and gives x + gamma * sum_j softmax_j(query_i . key_j) value_j,
    without a 1/sqrt(d); gamma is one number that starts at 0. The 1 x 1 convolutions that make query, key and value are
    layers of the model, as in Fig. 25.
    """

    def build(self, input_shape: Any) -> None:
        """Makes gamma."""
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of x."""
        return input_shape[0]

    def call(self, inputs: Any) -> Any:
        """[(B, H, W, C), (B, H, W, D), (B, H, W, D), (B, H, W, C)] -> (B, H, W, C)."""
        x, query, key, value = inputs
        rows, columns, width = x.shape[1:]
        flat = [ops.reshape(part, (-1, rows * columns, part.shape[-1])) for part in (query, key, value)]
        weights = ops.softmax(ops.matmul(flat[0], ops.transpose(flat[1], (0, 2, 1))), axis=-1)  # (B, HW, HW)
        seen = ops.reshape(ops.matmul(weights, flat[2]), (-1, rows, columns, width))
        return x + self.gamma * seen

    def fused(self, alone: bool) -> Any:
        """The same as a Torch operation on (B, C, H, W); see networks.fuse."""

        def run(training: bool, x: torch.Tensor, *parts: torch.Tensor) -> torch.Tensor:
            # (B, D, H, W) in channels-last memory -> (B, HW, D) without a copy
            query, key, value = (part.permute(0, 2, 3, 1).flatten(1, 2) for part in parts)
            weights = torch.softmax(query @ key.transpose(1, 2), dim=-1)
            seen = (weights @ value).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
            return torch.addcmul(x, self.gamma.value, seen)

        return run

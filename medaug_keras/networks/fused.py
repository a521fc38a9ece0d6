"""A Keras model as a function of fused Torch operations.

A model is built, counted, shown and saved as a plain Keras model; it is *trained* through `fuse`, a function made from
it that calls the fused Torch kernels in channels-last memory. Why: Keras's batch normalization on Torch is a chain of
small operations and its layers change the memory layout; `benchmarks/training.py` prints what that costs.

Shapes: B batch, H x W x C image.
"""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch
import torch.nn.functional as F
from torch import Tensor


def fuse(model: keras.Model) -> Callable[..., Any]:
    """The function `call(*inputs, training)` that computes `model(inputs, training=training)`.

    Inputs and outputs are laid out as Keras has them (channels last); in between, images are (B, C, H, W) in
    channels-last memory. Gradients reach the model's own weights; with `training=True` the moving statistics move, by
    PyTorch's rule (unbiased variance), which is what the paper's code did.

    Layers of our own have their operation as a method `fused`; models inside the model are followed. Torch uses a
    convolution's kernel in another order than Keras, so its memory is laid out, once, in the order of its use.

    Raises TypeError for a layer that has no entry in `FUSED`.
    """
    nodes = [n for depth in sorted(model._nodes_by_depth, reverse=True) for n in model._nodes_by_depth[depth]]
    producers = {id(node.outputs[0]): node.operation for node in nodes}
    uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    uses.update(id(tensor) for tensor in model.outputs)
    steps: dict[int, tuple[Callable[..., Tensor], list[int]]] = {}
    for node in nodes:
        layer = node.operation
        if isinstance(layer, keras.layers.InputLayer):
            continue
        sources = [id(tensor) for tensor in node.input_tensors]
        # a layer works in place or merges with the one before only where its input is ours and has no other consumer
        alone = all(uses[source] == 1 and source in steps for source in sources)
        merge = MERGED.get((type(producers[sources[0]]), type(layer))) if alone else None
        if merge:
            operation = merge(producers[sources[0]], layer)
            sources = steps.pop(sources[0])[1]
        else:
            operation = _operation(layer, alone)
        steps[id(node.outputs[0])] = operation, sources
    entries = [(id(tensor), len(tensor.shape)) for tensor in model.inputs]
    exits = [(id(tensor), len(tensor.shape)) for tensor in model.outputs]
    single = not isinstance(model._outputs_struct, (list, tuple, dict))

    def call(*inputs: Tensor, training: bool) -> Any:
        values = {}
        for (name, rank), value in zip(entries, inputs, strict=True):
            values[name] = value.permute(0, 3, 1, 2) if rank == 4 else value
        for target, (operation, sources) in steps.items():
            values[target] = operation(training, *(values[source] for source in sources))
        # float32 also where `arithmetic` computes in bfloat16, so that losses and probabilities are not rounded
        found = [(values[name].float(), rank) for name, rank in exits]
        outputs = [value.permute(0, 2, 3, 1) if rank == 4 else value for value, rank in found]
        return outputs[0] if single else outputs

    return call


def _operation(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if isinstance(layer, keras.Model):
        return _nested(layer)
    make = FUSED.get(type(layer), getattr(type(layer), "fused", None))
    if make is None:
        raise TypeError(f"{layer.name}: no fused operation for {type(layer).__name__}; add it to FUSED")
    return make(layer, alone)


def _nested(model: keras.Model) -> Callable[..., Tensor]:
    call = fuse(model)

    def run(training: bool, *inputs: Tensor) -> Tensor:
        output = call(*(x.permute(0, 2, 3, 1) if x.ndim == 4 else x for x in inputs), training=training)
        return output.permute(0, 3, 1, 2) if output.ndim == 4 else output

    return run


def _activation(function: Any, alone: bool) -> Callable[[Tensor], Tensor]:
    name = function.__name__
    if name == "linear":
        return lambda x: x
    if name == "relu":
        return F.relu_ if alone else F.relu
    table: dict[str, Callable[[Tensor], Tensor]] = {
        "exponential": torch.exp,
        "sigmoid": torch.sigmoid,
        "softmax": lambda x: F.softmax(x, dim=1),
        "tanh": torch.tanh,
    }
    return table[name]


def make_channels_last(kernel: Any) -> Any:
    """Lay out a kernel's memory so that `permute(3, 2, 0, 1)` is channels last; returns the kernel's variable.

    Its shape and values stay. For a VAE's largest kernels it makes forward and backward 25 % faster than a copy a step.
    Call it once, before the model is used.
    """
    parameter = kernel.value
    used = parameter.data.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    parameter.data = used.permute(2, 3, 1, 0)
    return kernel


def _conv(layer: Any, alone: bool, padding: Any = None) -> Callable[..., Tensor]:
    if layer.padding not in ("valid", "same") or layer.groups != 1:
        raise TypeError(f"{layer.name}: padding {layer.padding!r} with {layer.groups} groups has no fused operation")
    if layer.padding == "same" and set(layer.strides) != {1}:
        raise TypeError(f"{layer.name}: 'same' padding with strides differs from PyTorch's; pad with ZeroPadding2D")
    padding = layer.padding if padding is None else padding
    weight, bias = make_channels_last(layer.kernel), layer.bias if layer.use_bias else None
    after = _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        kernel = weight.value.permute(3, 2, 0, 1)  # (kH, kW, in, out) -> (out, in, kH, kW)
        offset = None if bias is None else bias.value
        return after(F.conv2d(x, kernel, offset, layer.strides, padding, layer.dilation_rate))

    return run


def _conv_transpose(
    layer: Any, alone: bool, padding: Sequence[int] = (0, 0), extra: Sequence[int] = (0, 0)
) -> Callable[..., Tensor]:
    # Keras's "same" with kernel 4 and stride 2 is PyTorch's padding 1; other "same" cases differ, so they are refused.
    if layer.padding == "same":
        if set(layer.kernel_size) != {4} or set(layer.strides) != {2}:
            raise TypeError(f"{layer.name}: 'same' has a fused operation only for kernel 4, stride 2")
        padding = (1, 1)
    weight, bias = make_channels_last(layer.kernel), layer.bias if layer.use_bias else None
    after = _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        kernel = weight.value.permute(3, 2, 0, 1)  # (kH, kW, out, in) -> (in, out, kH, kW)
        offset = None if bias is None else bias.value
        return after(F.conv_transpose2d(x, kernel, offset, layer.strides, padding, extra))

    return run


def _padded_conv(pad: Any, layer: Any) -> Callable[..., Tensor]:
    """ZeroPadding2D, then Conv2D: the convolution pads by itself."""
    (top, bottom), (left, right) = pad.padding
    if top == bottom and left == right and layer.padding == "valid":
        return _conv(layer, True, (top, left))
    first, second = _zero_padding(pad, True), _conv(layer, True)
    return lambda training, x: second(training, first(training, x))


def _cropped_transpose(layer: Any, crop: Any) -> Callable[..., Tensor]:
    """Conv2DTranspose, then Cropping2D: what is cropped is not computed."""
    (top, bottom), (left, right) = crop.cropping
    extra = (top - bottom, left - right)  # PyTorch's output padding gives back what its padding takes at the end
    if layer.padding == "valid" and all(0 <= e < stride for e, stride in zip(extra, layer.strides, strict=True)):
        return _conv_transpose(layer, True, (top, left), extra)
    first, second = _conv_transpose(layer, True), _cropping(crop, True)
    return lambda training, x: second(training, first(training, x))


def _batch_norm(layer: Any, alone: bool) -> Callable[..., Tensor]:
    gamma = layer.gamma if layer.scale else None
    beta = layer.beta if layer.center else None

    def run(training: bool, x: Tensor) -> Tensor:
        return F.batch_norm(
            x,
            layer.moving_mean.value,
            layer.moving_variance.value,
            None if gamma is None else gamma.value,
            None if beta is None else beta.value,
            training,
            1.0 - layer.momentum,
            layer.epsilon,
        )

    return run


def _max_pool(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if layer.padding != "valid":
        raise TypeError(f"{layer.name}: only 'valid' pooling has a fused operation")
    return lambda training, x: F.max_pool2d(x, layer.pool_size, layer.strides)


def _dense(layer: Any, alone: bool) -> Callable[..., Tensor]:
    bias = layer.bias if layer.use_bias else None
    after = _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        return after(F.linear(x, layer.kernel.value.t(), None if bias is None else bias.value))

    return run


def _flatten(layer: Any, alone: bool) -> Callable[..., Tensor]:
    def run(training: bool, x: Tensor) -> Tensor:
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)

    return run


def _reshape(layer: Any, alone: bool) -> Callable[..., Tensor]:
    def run(training: bool, x: Tensor) -> Tensor:
        flat = (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).reshape(len(x), *layer.target_shape)
        return flat.permute(0, 3, 1, 2) if flat.ndim == 4 else flat

    return run


def _zero_padding(layer: Any, alone: bool) -> Callable[..., Tensor]:
    (top, bottom), (left, right) = layer.padding
    return lambda training, x: F.pad(x, (left, right, top, bottom))


def _cropping(layer: Any, alone: bool) -> Callable[..., Tensor]:
    (top, bottom), (left, right) = layer.cropping

    def run(training: bool, x: Tensor) -> Tensor:
        return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]

    return run


def _leaky_relu(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, x: F.leaky_relu(x, layer.negative_slope, inplace=alone)


def _relu(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if layer.negative_slope or layer.threshold or layer.max_value is not None:
        raise TypeError(f"{layer.name}: only a plain ReLU has a fused operation")
    return lambda training, x: F.relu(x, inplace=alone)


def _activate(layer: Any, alone: bool) -> Callable[..., Tensor]:
    after = _activation(layer.activation, alone)
    return lambda training, x: after(x)


def _concatenate(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if layer.axis != -1:
        raise TypeError(f"{layer.name}: only concatenation of the last axis has a fused operation")
    return lambda training, *x: torch.cat(x, dim=1)


def _rescaling(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, x: x * layer.scale + layer.offset


def _add(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, *x: functools.reduce(torch.add, x)


def _multiply(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, *x: functools.reduce(torch.mul, x)


def _dot(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if layer.axes != 1 or layer.normalize:
        raise TypeError(f"{layer.name}: only the dot product of two vectors an image has a fused operation")
    return lambda training, x, y: (x * y).sum(dim=1, keepdim=True)


def _resizing(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if layer.interpolation != "bilinear" or layer.antialias or layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio:
        raise TypeError(f"{layer.name}: only plain bilinear resizing has a fused operation")
    return lambda training, x: F.interpolate(x, (layer.height, layer.width), mode="bilinear", align_corners=False)


def _embedding(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, labels: F.embedding(labels, layer.embeddings.value)


def _category_encoding(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if layer.output_mode != "one_hot":
        raise TypeError(f"{layer.name}: only output mode 'one_hot' has a fused operation")

    def run(training: bool, labels: Tensor) -> Tensor:
        return (labels[:, None] == torch.arange(layer.num_tokens, device=labels.device)).float()

    return run


# Layer -> the maker of its operation. It takes the layer, and whether nothing else uses the layer's input, which the
# operation may then overwrite; the operation takes `training` and tensors, images as (B, C, H, W).
FUSED: dict[type, Callable[[Any, bool], Callable[..., Tensor]]] = {
    keras.layers.Activation: _activate,
    keras.layers.Add: _add,
    keras.layers.BatchNormalization: _batch_norm,
    keras.layers.CategoryEncoding: _category_encoding,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Conv2D: _conv,
    keras.layers.Conv2DTranspose: _conv_transpose,
    keras.layers.Cropping2D: _cropping,
    keras.layers.Dense: _dense,
    keras.layers.Dot: _dot,
    keras.layers.Embedding: _embedding,
    keras.layers.Flatten: _flatten,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.MaxPooling2D: _max_pool,
    keras.layers.Multiply: _multiply,
    keras.layers.ReLU: _relu,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    keras.layers.Resizing: _resizing,
    keras.layers.ZeroPadding2D: _zero_padding,
}

# Pairs of layers that are one operation.
MERGED: dict[tuple[type, type], Callable[[Any, Any], Callable[..., Tensor]]] = {
    (keras.layers.ZeroPadding2D, keras.layers.Conv2D): _padded_conv,
    (keras.layers.Conv2DTranspose, keras.layers.Cropping2D): _cropped_transpose,
}

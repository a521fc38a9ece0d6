"""A Keras model as a function of fused Torch operations.

A model is built, counted, shown and saved as a plain Keras model; it is *trained* through `fuse`, a function made from
it that calls the fused Torch kernels in channels-last memory. Why: Keras's batch normalization on Torch is a chain of
small operations and its layers change the memory layout; `benchmarks/training.py` prints what that costs.

Shapes: B batch, H x W x C image.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input

CHANNELS = (-1, 3)  # the axis of the channels: the last of vectors, the last or the fourth of images


class Fused:
    """The function `fused(*inputs, training=...)` that computes `model(inputs, training=training)`; see `fuse`."""

    def __init__(self, model: keras.Model, rng: torch.Generator | None = None) -> None:
        graph = _graph(model)
        nodes = [n for depth in sorted(graph._nodes_by_depth, reverse=True) for n in graph._nodes_by_depth[depth]]
        nodes = [node for node in nodes if not isinstance(node.operation, keras.layers.InputLayer)]
        producers = {id(tensor): node.operation for node in nodes for tensor in node.outputs}
        uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
        uses.update(id(tensor) for tensor in graph.outputs)
        steps: dict[int, tuple[Callable[..., Any], list[int], list[int]]] = {}  # by the first output
        ours: set[int] = set()  # tensors that nothing else looks at, now or in the backward pass
        unfused: list[str] = []
        for node in nodes:
            layer = node.operation
            sources, targets = [id(tensor) for tensor in node.input_tensors], [id(tensor) for tensor in node.outputs]
            # a layer merges with the one before where that has no other consumer, and works in place if that allows it
            alone = all(uses[source] == 1 and source in steps for source in sources)
            in_place = alone and ours.issuperset(sources)
            if isinstance(layer, keras.layers.Add):  # the sum may take the place of any summand of its size
                sources.sort(key=lambda source: not (uses[source] == 1 and source in ours))
                in_place = uses[sources[0]] == 1 and sources[0] in ours and _of_one_shape(node)
            operation, plain = None, _is_plain(node)
            merge = MERGED.get((type(producers.get(sources[0])), type(layer))) if alone and plain else None
            if merge and producers[sources[0]].name not in unfused:
                operation = merge(producers[sources[0]], layer)
                if operation is not None:
                    sources = steps.pop(sources[0])[1]
            if operation is None and plain:
                if isinstance(layer, keras.Model):
                    operation = self._nested(layer, unfused, rng)
                elif isinstance(layer, keras.layers.Dropout) and rng is not None:
                    operation = _dropout(layer, rng)
                else:
                    operation = _made(layer, in_place)
            if operation is None:
                operation = _as_keras(node)
                unfused.append(layer.name)
            elif _leaves_its_output(layer) or (in_place and isinstance(layer, VIEWS)):
                ours.update(targets)
            steps[targets[0]] = operation, sources, targets
        self.unfused = list(dict.fromkeys(unfused))
        """Names of the layers that run as Keras has them, in their order."""
        self._steps = list(steps.values())
        self._entries = [(id(tensor), len(tensor.shape)) for tensor in graph.inputs]
        self._exits = [id(tensor) for tensor in graph.outputs]
        self._single = not isinstance(graph._outputs_struct, (list, tuple, dict))

    def __call__(self, *inputs: Tensor, training: bool) -> Any:
        """One tensor, or a list of them where the model has several outputs."""
        values = {}
        for (name, rank), value in zip(self._entries, inputs, strict=True):
            values[name] = _first(value) if rank == 4 else value
        for operation, sources, targets in self._steps:
            found = operation(training, *(values[source] for source in sources))
            values.update(zip(targets, [found] if len(targets) == 1 else found, strict=True))
        # float32 also where `arithmetic` computes in bfloat16, so that losses and probabilities are not rounded
        outputs = [_last(values[name].float()) for name in self._exits]
        return outputs[0] if self._single else outputs

    @staticmethod
    def _nested(model: keras.Model, unfused: list[str], rng: torch.Generator | None) -> Callable[..., Any] | None:
        try:
            call = Fused(model, rng)
        except ValueError:  # without a graph: called as it is
            return None
        if not call._single:
            return None
        unfused += call.unfused
        return lambda training, *inputs: _first(call(*map(_last, inputs), training=training))


def fuse(model: keras.Model, rng: torch.Generator | None = None) -> Fused:
    """The function `call(*inputs, training)` that computes `model(inputs, training=training)`.

    Inputs and outputs are laid out as Keras has them (channels last); in between, images are (B, C, H, W) in
    channels-last memory. Gradients reach the model's own weights; with `training=True` the moving statistics move, by
    PyTorch's rule (unbiased variance), which is what the paper's code did.

    Layers of our own have their operation as a method `fused`; models inside the model are followed. A layer that has
    no entry in `FUSED`, or not with its settings, runs as Keras has it; `unfused` names these layers. Torch uses a
    convolution's kernel in another order than Keras, so its memory is laid out, once, in the order of its use.

    With `rng`, layers of Keras's Dropout draw from it in place of streams of their own, which takes less time and lets
    a step be recorded.

    Raises ValueError for a model that is no graph of layers.
    """
    return Fused(model, rng)


def _graph(model: keras.Model) -> Any:
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if hasattr(graph, "_nodes_by_depth"):
        return graph
    what = "a Sequential without an Input" if isinstance(model, keras.Sequential) else f"a {type(model).__name__}"
    raise ValueError(
        f"model {model.name!r} is {what}, whose layers cannot be listed; "
        "expected keras.Model(inputs, outputs), or a keras.Sequential that begins with keras.Input"
    )


def _first(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), without a copy; other tensors as they are."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), without a copy; other tensors as they are."""
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _is_plain(node: Any) -> bool:
    """Whether a layer is called with images, vectors or labels alone: what fused operations are written for."""
    arguments = keras.tree.flatten(node.arguments.args)
    tensors = [*node.input_tensors, *node.outputs]
    ranks = {len(tensor.shape) for tensor in tensors}
    return (
        len(arguments) == len(node.input_tensors)  # no constant among them
        and all(value is None or isinstance(value, bool) for value in node.arguments.kwargs.values())
        and len(node.outputs) == 1
        and ranks <= {0, 1, 2, 4}
        and (not isinstance(node.operation, MERGING) or len(ranks) == 1)
        and getattr(node.operation, "data_format", None) in (None, "channels_last")
    )


def _made(layer: Any, in_place: bool) -> Callable[..., Any] | None:
    make = FUSED.get(type(layer), getattr(type(layer), "fused", None))
    return make(layer, in_place) if make else None


def _as_keras(node: Any) -> Callable[..., Any]:
    """The layer itself, on channels-last tensors, with the arguments that the model calls it with."""
    layer, names = node.operation, [id(tensor) for tensor in node.input_tensors]
    mode = "training" in getattr(layer, "_call_context_args", ()) or getattr(layer, "_call_has_training_arg", False)
    given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    there = {id(value): keras.ops.convert_to_tensor(value) for value in given if isinstance(value, np.ndarray)}

    def run(training: bool, *inputs: Tensor) -> Any:
        args, kwargs = node.arguments.fill_in(dict(zip(names, map(_last, inputs), strict=True)))
        if there:  # Keras would bring a constant to the device in every step
            args, kwargs = keras.tree.map_structure(lambda value: there.get(id(value), value), (args, kwargs))
        outputs = [
            _first(x) for x in keras.tree.flatten(layer(*args, **kwargs | ({"training": training} if mode else {})))
        ]
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def _leaves_its_output(layer: Any) -> bool:
    """Whether an operation's output is new memory that its own backward pass does not look at."""
    linear = getattr(layer, "activation", keras.activations.linear) is keras.activations.linear
    return linear and (isinstance(layer, NEW) or hasattr(type(layer), "fused"))


def _of_one_shape(node: Any) -> bool:
    return len({tuple(tensor.shape) for tensor in node.input_tensors}) == 1


def _activation(function: Any, alone: bool) -> Callable[[Tensor], Tensor]:
    table: dict[Any, Callable[[Tensor], Tensor]] = {
        keras.activations.exponential: torch.exp,
        keras.activations.linear: lambda x: x,
        keras.activations.relu: F.relu_ if alone else F.relu,
        keras.activations.sigmoid: torch.sigmoid,
        keras.activations.silu: F.silu,
        keras.activations.softmax: lambda x: F.softmax(x, dim=1),
        keras.activations.tanh: torch.tanh,
    }
    try:
        return table[function]
    except (KeyError, TypeError):  # TypeError: it cannot be hashed
        return lambda x: _first(function(_last(x)))


def make_channels_last(kernel: Any) -> Any:
    """Lay out a kernel's memory so that `permute(3, 2, 0, 1)` is channels last; returns the kernel's variable.

    Its shape and values stay. For a VAE's largest kernels it makes forward and backward 25 % faster than a copy a step.
    Call it once, before the model is used.
    """
    return _laid_out(kernel, torch.channels_last)


def _laid_out(kernel: Any, order: torch.memory_format) -> Any:
    parameter = kernel.value
    used = parameter.data.permute(3, 2, 0, 1).contiguous(memory_format=order)
    parameter.data = used.permute(2, 3, 1, 0)
    return kernel


def _same(x: Tensor, window: Sequence[int], strides: Sequence[int], value: float = 0.0) -> Tensor:
    """TensorFlow's "same" padding: with strides, the odd pixel goes to the bottom and the right."""
    needed = [
        max((-(-size // stride) - 1) * stride + side - size, 0)
        for size, side, stride in zip(x.shape[2:], window, strides, strict=True)
    ]
    top, left = (total // 2 for total in needed)
    return F.pad(x, (left, needed[1] - left, top, needed[0] - top), value=value) if any(needed) else x


def _conv(layer: Any, alone: bool, padding: Any = None) -> Callable[..., Tensor] | None:
    if layer.padding not in ("valid", "same"):
        return None
    padding = layer.padding if padding is None else padding
    pads = padding == "same" and set(layer.strides) != {1}
    order = torch.contiguous_format if _is_deep(layer) else torch.channels_last
    weight, bias = _laid_out(layer.kernel, order), layer.bias if layer.use_bias else None
    after = _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        kernel = weight.value.permute(3, 2, 0, 1)  # (kH, kW, in, out) -> (out, in, kH, kW)
        offset = None if bias is None else bias.value
        if pads:
            x = _same(x, layer.kernel_size, layer.strides)
        if order is torch.contiguous_format:
            x = x.contiguous()
        around = 0 if pads else padding
        return after(F.conv2d(x, kernel, offset, layer.strides, around, layer.dilation_rate, layer.groups))

    return run


def _is_deep(layer: Any) -> bool:
    """Whether maps are so small, and channels so many, that a CPU convolves faster with the channels first.

    Of 512 channels, 4 x 4 pixels take 0.65 of the time, 7 x 7 pixels 0.86, 8 x 8 pixels 0.98; of 256, 4 x 4 take 0.80.
    """
    height, width, _ = layer._inbound_nodes[0].outputs[0].shape[1:]
    dense = set(layer.strides) == {1} and max(layer.kernel_size) > 1 and layer.groups == 1
    return dense and None not in (height, width) and 10 * height * width <= layer.kernel.shape[2] and not _on_gpu(layer)


def _on_gpu(layer: Any) -> bool:
    return bool(layer.kernel.value.is_cuda)


def _rounds_on_cpu(x: Tensor) -> bool:
    """Whether a CPU multiplies in bfloat16, for which some of its kernels are slower than for float32."""
    return not x.is_cuda and torch.is_autocast_enabled("cpu")


def _depthwise(x: Tensor, kernel: Tensor, offset: Tensor | None, layer: Any) -> Tensor:
    height, width, channels, multiplier = kernel.shape
    weight = kernel.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    padding = layer.padding
    if padding == "same" and set(layer.strides) != {1}:
        x, padding = _same(x, (height, width), layer.strides), 0
    if not _rounds_on_cpu(x):
        return F.conv2d(x, weight, offset, layer.strides, padding, layer.dilation_rate, channels)
    with torch.autocast("cpu", enabled=False):  # backward, a CPU's kernels for bfloat16 take up to six times as long
        y = F.conv2d(x.float(), weight, offset, layer.strides, padding, layer.dilation_rate, channels)
    return y.to(torch.bfloat16)


def _depthwise_conv(layer: Any, alone: bool) -> Callable[..., Tensor]:
    bias, after = layer.bias if layer.use_bias else None, _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        return after(_depthwise(x, layer.kernel.value, None if bias is None else bias.value, layer))

    return run


def _separable_conv(layer: Any, alone: bool) -> Callable[..., Tensor]:
    bias, after = layer.bias if layer.use_bias else None, _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        x = _depthwise(x, layer.depthwise_kernel.value, None, layer)
        return after(
            F.conv2d(x, layer.pointwise_kernel.value.permute(3, 2, 0, 1), None if bias is None else bias.value)
        )

    return run


def _conv_transpose(
    layer: Any, alone: bool, padding: Sequence[int] = (0, 0), extra: Sequence[int] = (0, 0)
) -> Callable[..., Tensor] | None:
    short = any(side < stride for side, stride in zip(layer.kernel_size, layer.strides, strict=True))
    if short or layer.output_padding is not None or set(layer.dilation_rate) != {1}:
        return None
    if layer.padding == "same":  # PyTorch's padding takes as much from either side, which needs an even difference
        overlaps = [side - stride for side, stride in zip(layer.kernel_size, layer.strides, strict=True)]
        if any(overlap % 2 for overlap in overlaps):
            return None
        padding = [overlap // 2 for overlap in overlaps]
    weight, bias = make_channels_last(layer.kernel), layer.bias if layer.use_bias else None
    after = _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        kernel = weight.value.permute(3, 2, 0, 1)  # (kH, kW, out, in) -> (in, out, kH, kW)
        offset = None if bias is None else bias.value
        if _rounds_on_cpu(x):
            return after(_transposed_in_bfloat16(x, kernel, offset, layer.strides, padding, extra))
        return after(F.conv_transpose2d(x, kernel, offset, layer.strides, padding, extra))

    return run


def _transposed_in_bfloat16(
    x: Tensor, kernel: Tensor, offset: Tensor | None, strides: Any, padding: Any, extra: Any
) -> Tensor:
    """A transposed convolution on a CPU. Where a side of the maps is no multiple of the stride, its kernel for bfloat16
    takes up to four times as long as in float32 (AMD EPYC: 175 ms for the VAEs' 61 x 61 pixels of 32 channels, batch
    64); the gradient of a convolution by its input is the same product, and takes 19."""
    around = zip(x.shape[2:], strides, padding, kernel.shape[2:], extra, strict=True)
    sides = [(side - 1) * stride - 2 * pad + width + more for side, stride, pad, width, more in around]
    if not any(side % stride for side, stride in zip(sides, strides, strict=True)):
        return F.conv_transpose2d(x, kernel, offset, strides, padding, extra)
    shape = (len(x), kernel.shape[1], *sides)
    y = conv2d_input(shape, kernel.to(torch.bfloat16), x.to(torch.bfloat16), strides, padding)
    return y if offset is None else y.add_(offset.to(torch.bfloat16)[:, None, None])


def _padded_conv(pad: Any, layer: Any) -> Callable[..., Tensor] | None:
    """ZeroPadding2D, then Conv2D: the convolution pads by itself."""
    (top, bottom), (left, right) = pad.padding
    if top == bottom and left == right and layer.padding == "valid":
        return _conv(layer, True, (top, left))
    return None


def _cropped_transpose(layer: Any, crop: Any) -> Callable[..., Tensor] | None:
    """Conv2DTranspose, then Cropping2D: what is cropped is not computed."""
    (top, bottom), (left, right) = crop.cropping
    extra = (top - bottom, left - right)  # PyTorch's output padding gives back what its padding takes at the end
    if layer.padding == "valid" and all(0 <= e < stride for e, stride in zip(extra, layer.strides, strict=True)):
        return _conv_transpose(layer, True, (top, left), extra)
    return None


def _batch_norm(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.axis not in CHANNELS or getattr(layer, "renorm", False):
        return None
    gamma = layer.gamma if layer.scale else None
    beta = layer.beta if layer.center else None

    def run(training: bool, x: Tensor) -> Tensor:
        return F.batch_norm(
            x,
            layer.moving_mean.value,
            layer.moving_variance.value,
            None if gamma is None else gamma.value,
            None if beta is None else beta.value,
            training and layer.trainable,
            1.0 - layer.momentum,
            layer.epsilon,
        )

    return run


def _dropout(layer: Any, rng: torch.Generator) -> Callable[..., Tensor] | None:
    if layer.noise_shape is not None or layer.rate == 1:
        return None
    kept = 1.0 - layer.rate

    def run(training: bool, x: Tensor) -> Tensor:
        if not training or not layer.rate:
            return x
        draws = torch.rand(_last(x).shape, generator=rng, device=x.device)
        return x * _first(draws.add_(kept).floor_().div_(kept))

    return run


def _max_pool(layer: Any, alone: bool) -> Callable[..., Tensor]:
    if layer.padding == "valid":
        return lambda training, x: F.max_pool2d(x, layer.pool_size, layer.strides)

    def run(training: bool, x: Tensor) -> Tensor:
        return F.max_pool2d(_same(x, layer.pool_size, layer.strides, -math.inf), layer.pool_size, layer.strides)

    return run


def _average_pool(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.padding != "valid":
        return None
    return lambda training, x: F.avg_pool2d(x, layer.pool_size, layer.strides)


def _upsampling(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.interpolation != "nearest":
        return None
    return lambda training, x: F.interpolate(x, scale_factor=tuple(map(float, layer.size)), mode="nearest")


def _global_mean(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, x: x.mean((2, 3), keepdim=layer.keepdims)


def _global_max(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, x: x.amax((2, 3), keepdim=layer.keepdims)


def _layer_norm(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.axis not in (-1, [-1], [3]) or getattr(layer, "rms_scaling", False):
        return None
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)

    def run(training: bool, x: Tensor) -> Tensor:
        x = _last(x)
        scale, shift = None if gamma is None else gamma.value, None if beta is None else beta.value
        return _first(F.layer_norm(x, x.shape[-1:], scale, shift, layer.epsilon))

    return run


def _group_norm(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.axis not in CHANNELS:
        return None
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)

    def run(training: bool, x: Tensor) -> Tensor:
        scale, shift = None if gamma is None else gamma.value, None if beta is None else beta.value
        return F.group_norm(x, layer.groups, scale, shift, layer.epsilon)

    return run


def _dense(layer: Any, alone: bool) -> Callable[..., Tensor]:
    bias = layer.bias if layer.use_bias else None
    after = _activation(layer.activation, True)

    def run(training: bool, x: Tensor) -> Tensor:
        return after(_first(F.linear(_last(x), layer.kernel.value.t(), None if bias is None else bias.value)))

    return run


def _attention(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    """Of maps, over all their places."""
    settings = layer.get_config()
    usual = {"attention_axes": (1, 2), "dropout": 0.0, "use_bias": True, "use_gate": False, "sliding_window": None}
    settings["attention_axes"] = tuple(settings["attention_axes"] or ())  # a loaded layer has a list
    if any(settings.get(name, value) != value for name, value in usual.items()):
        return None
    projections = [layer.query_dense, layer.key_dense, layer.value_dense]

    def projected(dense: Any, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, heads, H W, channels of a head)."""
        kernel, bias = dense.kernel.value, dense.bias.value
        flat = F.linear(_last(x).flatten(1, 2), kernel.flatten(1).t(), bias.flatten())
        return flat.unflatten(-1, bias.shape).transpose(1, 2)

    def run(training: bool, query: Tensor, value: Tensor, key: Tensor | None = None) -> Tensor:
        inputs = (query, value if key is None else key, value)
        seen = F.scaled_dot_product_attention(*map(projected, projections, inputs)).transpose(1, 2).flatten(2)
        out = F.linear(seen, layer.output_dense.kernel.value.flatten(0, 1).t(), layer.output_dense.bias.value)
        return _first(out.unflatten(1, query.shape[2:]))

    return run


def _flatten(layer: Any, alone: bool) -> Callable[..., Tensor]:
    def run(training: bool, x: Tensor) -> Tensor:
        return _last(x).flatten(1)

    return run


def _reshape(layer: Any, alone: bool) -> Callable[..., Tensor]:
    def run(training: bool, x: Tensor) -> Tensor:
        return _first(_last(x).reshape(len(x), *layer.target_shape))

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
    return lambda training, x: F.leaky_relu(x, layer.negative_slope, inplace=alone and layer.negative_slope > 0)


def _relu(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6):
        return None
    if layer.max_value == 6:
        return lambda training, x: F.relu6(x)
    return lambda training, x: F.relu(x, inplace=alone)


def _activate(layer: Any, alone: bool) -> Callable[..., Tensor]:
    after = _activation(layer.activation, alone)
    return lambda training, x: after(x)


def _concatenate(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.axis not in CHANNELS:
        return None
    return lambda training, *x: torch.cat(x, dim=1)


def _rescaling(layer: Any, alone: bool) -> Callable[..., Tensor]:
    scale, offset = (_each(value, layer.compute_dtype) for value in (layer.scale, layer.offset))
    return lambda training, x: x * scale + offset


def _each(value: Any, dtype: str) -> Any:
    """A number, or numbers of channels, so that images (B, C, H, W) can be multiplied by them."""
    numbers = keras.ops.convert_to_tensor(value, dtype=dtype)
    return value if numbers.ndim == 0 else numbers.reshape(-1, 1, 1)


def _normalization(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.invert or layer.axis not in ((-1,), (3,)):
        return None

    def run(training: bool, x: Tensor) -> Tensor:
        mean, variance = _first(layer.mean), _first(layer.variance)
        return (x - mean) / variance.sqrt().clamp(min=keras.backend.epsilon())

    return run


def _add(layer: Any, alone: bool) -> Callable[..., Tensor]:
    add = Tensor.add_ if alone else torch.add
    return lambda training, *x: functools.reduce(add, x)


def _subtract(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, x, y: x - y


def _average(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, *x: functools.reduce(torch.add, x) / len(x)


def _maximum(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, *x: functools.reduce(torch.maximum, x)


def _multiply(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, *x: functools.reduce(torch.mul, x)


def _dot(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.axes != 1 or layer.normalize:
        return None
    return lambda training, x, y: (x * y).sum(dim=1, keepdim=True)


def _resizing(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    size = layer.height, layer.width
    if layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio:
        return None
    if layer.interpolation == "bilinear":
        return lambda training, x: F.interpolate(
            x, size, mode="bilinear", align_corners=False, antialias=layer.antialias
        )
    if layer.interpolation == "nearest":
        return lambda training, x: F.interpolate(x, size, mode="nearest-exact")
    return None


def _embedding(layer: Any, alone: bool) -> Callable[..., Tensor]:
    return lambda training, labels: F.embedding(labels, layer.embeddings.value)


def _category_encoding(layer: Any, alone: bool) -> Callable[..., Tensor] | None:
    if layer.output_mode != "one_hot":
        return None

    def run(training: bool, labels: Tensor) -> Tensor:
        return (labels.reshape(-1, 1) == torch.arange(layer.num_tokens, device=labels.device)).float()

    return run


# Layer -> the maker of its operation. It takes the layer, and whether nothing else uses the layer's first input, which
# the operation may then overwrite; it returns None for settings that Torch computes otherwise. The operation takes
# `training` and tensors, images as (B, C, H, W).
FUSED: dict[type, Callable[[Any, bool], Callable[..., Tensor] | None]] = {
    keras.layers.Activation: _activate,
    keras.layers.Add: _add,
    keras.layers.Average: _average,
    keras.layers.AveragePooling2D: _average_pool,
    keras.layers.BatchNormalization: _batch_norm,
    keras.layers.CategoryEncoding: _category_encoding,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Conv2D: _conv,
    keras.layers.Conv2DTranspose: _conv_transpose,
    keras.layers.Cropping2D: _cropping,
    keras.layers.Dense: _dense,
    keras.layers.DepthwiseConv2D: _depthwise_conv,
    keras.layers.Dot: _dot,
    keras.layers.Embedding: _embedding,
    keras.layers.Flatten: _flatten,
    keras.layers.GlobalAveragePooling2D: _global_mean,
    keras.layers.GlobalMaxPooling2D: _global_max,
    keras.layers.GroupNormalization: _group_norm,
    keras.layers.LayerNormalization: _layer_norm,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.MaxPooling2D: _max_pool,
    keras.layers.Maximum: _maximum,
    keras.layers.MultiHeadAttention: _attention,
    keras.layers.Multiply: _multiply,
    keras.layers.Normalization: _normalization,
    keras.layers.ReLU: _relu,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    keras.layers.Resizing: _resizing,
    keras.layers.SeparableConv2D: _separable_conv,
    keras.layers.Subtract: _subtract,
    keras.layers.UpSampling2D: _upsampling,
    keras.layers.ZeroPadding2D: _zero_padding,
}

# Pairs of layers that are one operation.
MERGED: dict[tuple[type, type], Callable[[Any, Any], Callable[..., Tensor] | None]] = {
    (keras.layers.ZeroPadding2D, keras.layers.Conv2D): _padded_conv,
    (keras.layers.Conv2DTranspose, keras.layers.Cropping2D): _cropped_transpose,
}

# Layers of several inputs, which Keras first brings to one rank.
MERGING = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Maximum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
# Layers whose output is new memory, which their backward pass does not need.
NEW = (
    keras.layers.Add,
    keras.layers.BatchNormalization,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
# Layers whose output is their input's memory.
VIEWS = (keras.layers.Cropping2D, keras.layers.Flatten, keras.layers.Reshape)

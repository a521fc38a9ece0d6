"""Residual networks: He et al. 2016, https://arxiv.org/abs/1512.03385, with 18 or 50 layers.

The stem is the paper's (a 7 x 7 convolution and pooling, each of stride 2), or the small one that is usual below 96
pixels: a 3 x 3 convolution that keeps the size, and no pooling. Differs from the paper as torchvision does: the stride
of a bottleneck is in its 3 x 3 convolution, shortcuts that change the shape are 1 x 1 convolutions.

Shapes: B batch, H x W x C image.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from medaug_keras.architectures.arithmetic import stem_for
from medaug_keras.networks import batch_norm, torch_init

WIDTHS = (64, 128, 256, 512)
EXPANSION = 4  # of a bottleneck: channels that go out, for each of its 3 x 3 convolution


def resnet18(image: Any, *, num_outputs: int, stem: str | None) -> Any:
    """(B, H, W, C) -> (B, num_outputs) logits; 11.17 million parameters with the small stem, for 3 channels.

    `stem` is "small" or "standard"; None decides by the size.
    """
    return _resnet(image, _basic, (2, 2, 2, 2), num_outputs, stem)


def resnet50(image: Any, *, num_outputs: int, stem: str | None) -> Any:
    """The same with 50 layers; 23.52 million parameters."""
    return _resnet(image, _bottleneck, (3, 4, 6, 3), num_outputs, stem)


def _resnet(x: Any, block: Callable[..., Any], blocks: tuple[int, ...], num_outputs: int, stem: str | None) -> Any:
    if (stem or stem_for(x.shape[1])) == "standard":
        x = layers.ReLU(name="stem_relu")(_convolution(x, 64, 7, 2, "stem"))
        x = layers.MaxPooling2D(3, 2, name="stem_pool")(layers.ZeroPadding2D(1, name="stem_pool_pad")(x))
    else:
        x = layers.ReLU(name="stem_relu")(_convolution(x, 64, 3, 1, "stem"))
    for stage, (width, count) in enumerate(zip(WIDTHS, blocks, strict=True), 1):
        for number in range(1, count + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            x = block(x, width, stride, f"stage{stage}_block{number}")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return layers.Dense(num_outputs, **torch_init(x.shape[-1]), name="logits")(x)


def _basic(x: Any, width: int, stride: int, name: str) -> Any:
    """Two 3 x 3 convolutions: (B, H, W, C) -> (B, H / stride, W / stride, width)."""
    y = layers.ReLU(name=f"{name}_relu1")(_convolution(x, width, 3, stride, f"{name}_conv1"))
    y = _convolution(y, width, 3, 1, f"{name}_conv2")
    return _joined(x, y, stride, name)


def _bottleneck(x: Any, width: int, stride: int, name: str) -> Any:
    """1 x 1, 3 x 3 and 1 x 1: (B, H, W, C) -> (B, H / stride, W / stride, 4 width)."""
    y = layers.ReLU(name=f"{name}_relu1")(_convolution(x, width, 1, 1, f"{name}_conv1"))
    y = layers.ReLU(name=f"{name}_relu2")(_convolution(y, width, 3, stride, f"{name}_conv2"))
    y = _convolution(y, EXPANSION * width, 1, 1, f"{name}_conv3")
    return _joined(x, y, stride, name)


def _joined(x: Any, y: Any, stride: int, name: str) -> Any:
    if x.shape != y.shape:
        x = _convolution(x, y.shape[-1], 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _convolution(x: Any, filters: int, side: int, stride: int, name: str) -> Any:
    """Convolution without bias and batch norm, padded on all sides alike, as PyTorch does.

    Initial weights are normal with variance 2 / (side² filters): He et al. 2015, https://arxiv.org/abs/1502.01852.
    """
    if side > 1 and stride > 1:  # "same" would pad even images only at the bottom and the right
        x = layers.ZeroPadding2D(side // 2, name=f"{name}_pad")(x)
    padding = "same" if side > 1 and stride == 1 else "valid"
    he = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    x = layers.Conv2D(filters, side, stride, padding, use_bias=False, kernel_initializer=he, name=name)(x)
    return batch_norm(f"{name}_norm")(x)

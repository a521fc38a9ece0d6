"""What becomes of images before a network sees them, as stock layers of the network: size, channels, range of values.

Shapes: B batch, S x S x C image with values in [-1, 1].
"""

from collections.abc import Sequence
from typing import Any

from keras import layers

# Of ImageNet's training images with values in [0, 1]: what torchvision's and many of Keras's weights were trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def prepared(image: Any, *, size: int | None, resize: str, channels: str = "as_is", normalise: str = "half") -> Any:
    """(B, S, S, C) in [-1, 1] -> (B, size, size, C or 3), as a network's first layers want it.

    `resize` is `nearest` (which enlarges as Pillow does), `bilinear` (which averages where it shrinks), or `pad`: the
    image in the middle of zeros. `channels` is `as_is`, or `rgb`: the one channel of gray images three times.
    `normalise` is `half` (as it comes), `imagenet` (less ImageNet's mean, by its standard deviation; of a gray image,
    their means over the colors), or `none` (0 to 255). Zeros are added after it.

    Raises ValueError where an image is to be padded to less than it has.
    """
    side = image.shape[1]
    size = size or side
    if resize == "pad" and size < side:
        raise ValueError(f"images of {side} x {side} pixels cannot be padded to {size} x {size}")
    if resize != "pad" and size != side:
        shrinks = resize == "bilinear" and size < side
        image = layers.Resizing(size, size, resize, antialias=shrinks, name="resized")(image)
    if channels == "rgb" and image.shape[-1] == 1:
        image = layers.Concatenate(name="rgb")([image, image, image])
    if normalise == "none":
        image = layers.Rescaling(127.5, offset=127.5, name="bytes")(image)
    if normalise == "imagenet":
        image = _imagenet(image)
    if resize == "pad" and size > side:
        before = (size - side) // 2
        after = size - side - before
        image = layers.ZeroPadding2D(((before, after), (before, after)), name="padded")(image)
    return image


def _imagenet(image: Any) -> Any:
    mean: Sequence[float] = IMAGENET_MEAN
    deviation: Sequence[float] = IMAGENET_DEVIATION
    if image.shape[-1] != 3:
        mean, deviation = (sum(mean) / 3,), (sum(deviation) / 3,)
    scale = [0.5 / spread for spread in deviation]
    offset = [(0.5 - middle) / spread for middle, spread in zip(mean, deviation, strict=True)]
    return layers.Rescaling(scale, offset=offset, name="imagenet")(image)

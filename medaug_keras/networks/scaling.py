"""How images are scaled: pixels are bytes in 0..255; networks see, and make, values in [-1, 1]."""

import keras
import torch
from torch import Tensor


def to_unit(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [0, 1]."""
    return images.float().div_(255)


def center(images: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1], in place. Of bytes it is exactly their 127.5th, less 1."""
    return images.sub_(0.5).div_(0.5)


def to_bytes(pixels: Tensor) -> Tensor:
    """Floats around 0..255 -> the nearest uint8."""
    return pixels.clamp(0, 255).round().to(torch.uint8)


def from_pixels_layer() -> keras.Layer:
    """0..255 -> [-1, 1], as a layer of a saved sampler.

    A stock layer can only multiply: for 111 of the 256 bytes its last bit differs from that of `center`.
    """
    return keras.layers.Rescaling(1 / 127.5, offset=-1, name="in_range")


def to_pixels_layer() -> keras.Layer:
    """[-1, 1] -> 0..255, as the last layer of a saved sampler."""
    return keras.layers.Rescaling(127.5, offset=127.5, name="pixels")

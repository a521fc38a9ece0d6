"""Test images made worse, as images from another device or a bad transfer may be.

Kinds and severities are those of Hendrycks and Dietterich, "Benchmarking neural network robustness to common
corruptions and perturbations" (ICLR 2019), as their CIFAR-10-C has them for images of 32 x 32 pixels; MedMNIST-C (Di
Salvo et al., 2024) does the like to medical images. The width of the blur grows with the side of the image; the rest
does not depend on its size.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[np.float64]
_BLOCK = 1024  # images at once


def _noise(x: Values, sd: float, rng: np.random.Generator) -> Values:
    return x + sd * rng.standard_normal(x.shape)


def _shot_noise(x: Values, photons: float, rng: np.random.Generator) -> Values:
    return rng.poisson(x * photons) / photons


def _impulse_noise(x: Values, share: float, rng: np.random.Generator) -> Values:
    """Each value is black with half the share, white with the other half."""
    drawn = rng.random(x.shape)
    return np.where(drawn < share / 2, 0.0, np.where(drawn > 1 - share / 2, 1.0, x))


def _blur(x: Values, sd: float, rng: np.random.Generator) -> Values:
    """`sd` in pixels of an image of 32 x 32."""
    from scipy.ndimage import gaussian_filter  # 0.3 s to import, which no page needs

    sigma = sd * x.shape[1] / 32
    blurred: Values = gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest")
    return blurred


def _brightness(x: Values, more: float, rng: np.random.Generator) -> Values:
    """The largest channel of every pixel, its value in HSV, is raised; hue and saturation stay."""
    value = x.max(axis=-1, keepdims=True)
    raised = np.minimum(value + more, 1.0)
    brighter: Values = np.where(value > 0, x * (raised / np.where(value > 0, value, 1.0)), raised)
    return brighter


def _contrast(x: Values, factor: float, rng: np.random.Generator) -> Values:
    mean: Values = x.mean(axis=(1, 2), keepdims=True)
    return (x - mean) * factor + mean


def _jpeg(x: Values, quality: float, rng: np.random.Generator) -> Values:
    return np.stack([_through_jpeg(np.rint(one * 255).astype(np.uint8), int(quality)) for one in x]) / 255


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "JPEG", quality=quality)
    with Image.open(file) as read:
        return np.asarray(read).reshape(image.shape)


_Corrupt = Callable[[Values, float, np.random.Generator], Values]
CORRUPTIONS: dict[str, tuple[_Corrupt, tuple[float, ...]]] = {
    "noise": (_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": (_shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "blur": (_blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    "brightness": (_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "jpeg": (_jpeg, (80, 65, 58, 50, 40)),
}
"""Kind → what it does to values (n, H, W, C) in 0..1, and how strongly at severities 1 to 5."""


def corrupted(images: NDArray[np.uint8], kind: str, *, severity: int, seed: int) -> NDArray[np.uint8]:
    """Images (N, H, W, C) uint8 with one corruption at severity 1 to 5; at 0 they are as they were.

    What is drawn depends on the seed and the place of the image alone. Raises ValueError for another severity.
    """
    corrupt, strengths = CORRUPTIONS[kind]
    if not 0 <= severity <= len(strengths):
        raise ValueError(f"severity is {severity}; it is 0 to {len(strengths)}")
    if severity == 0:
        return images
    rng, made = np.random.default_rng(seed), np.empty_like(images)
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK] / 255
        changed = np.clip(corrupt(block, strengths[severity - 1], rng), 0, 1)
        made[start : start + _BLOCK] = np.rint(255 * changed)
    return made


def pixels_changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two arrays of images (N, H, W, C) uint8, of 255."""
    blocks = range(0, len(before), _BLOCK)
    sums = [np.abs(np.subtract(before[i : i + _BLOCK], after[i : i + _BLOCK], dtype=np.int16)).sum() for i in blocks]
    return float(np.sum(sums) / before.size)

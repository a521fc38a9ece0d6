"""What changes a training set: transformations of batches, and how many images of which class are added.

The four geometric steps do what torchvision's RandomAdjustSharpness, RandomAutocontrast, ColorJitter(hue) and
RandomHorizontalFlip do, but on whole batches, each image with its own draws.

Shapes: B batch, H x W x C image with values in [0, 1], K classes.
"""

import inspect
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

from medaug_keras.own_code import OwnCodeError, called, place_of, wrong
from medaug_keras.policies import augmix, trivial_augment
from medaug_keras.training import name_streams, numpy_rng, subseed, torch_rng
from medaug_keras.transformations import (
    autocontrast,
    blurred,
    brightened,
    contrasted,
    displaced,
    mapped,
    sharpen,
    shift_hue,
    shifted,
    turned,
)

Batch = tuple[Tensor, Tensor]
"""Images (B, H, W, C) in [0, 1] and targets (B, K), each row summing to 1."""


@dataclass(frozen=True)
class Augmentation:
    """Steps that are applied in order to each batch: (images, targets) -> (images, targets)."""

    steps: Sequence[Callable[[Tensor, Tensor], Batch]]
    rng: torch.Generator
    """What our own steps draw from."""
    counters: Sequence[Tensor]
    """Those of the draws of Keras's layers, which depend on nothing else."""
    recordable: bool
    """Whether a GPU can record it: Keras's layers ask the device for their seeds, and own code may ask for anything."""

    def __call__(self, images: Tensor, targets: Tensor) -> Batch:
        """A changed batch; where there are no steps, the batch itself."""
        for step in self.steps:
            images, targets = step(images, targets)
        return images, targets


def augmentation(steps: Sequence[Mapping[str, Any]], *, seed: int, device: torch.device | str = "cpu") -> Augmentation:
    """The augmentation of which a study names the `steps`.

    They are mappings with a `layer` and its settings: one of our own, such as `sharpness`, or a Keras layer by its
    class name. Every image has its own draws, from a random number generator of `seed`.
    """
    rng = torch_rng(seed, "augmentation", device)
    functions = [_step(dict(step), rng, subseed(seed, f"augmentation {n}")) for n, step in enumerate(steps)]
    counters = []
    for function in functions:
        if isinstance(function, _KerasStep):
            counters += [counter.value for counter in function.layer.variables]
        elif isinstance(function, _OwnStep):
            counters += function.counters
    others = any(isinstance(function, _KerasStep | _OwnStep) for function in functions)
    return Augmentation(functions, rng, counters, not others)


def tried(step: Mapping[str, Any], image_shape: tuple[int, ...], *, seed: int) -> None:
    """Apply a step once, to images of noise. Raises OwnCodeError where the user's own is wrong."""
    images = torch.rand(4, *image_shape, generator=torch_rng(seed, "trial", "cpu"))
    augmentation([step], seed=seed)(images, torch.zeros(4, 2))


def _step(step: dict[str, Any], rng: torch.Generator, seed: int) -> Callable[[Tensor, Tensor], Batch]:
    layer = step.pop("layer")
    if layer == "python":
        return _OwnStep(rng, seed, **step)
    if layer in _OURS:
        ours: Callable[[Tensor, Tensor], Batch] = _OURS[layer](rng, **step)
        return ours
    return _KerasStep(layer, seed, **step)


def _sometimes(rng: torch.Generator, probability: float, change: Callable[[Tensor], Tensor]) -> Any:
    """Change each image of a batch with this probability.

    Transforms every image; selecting the chosen ones first would force a GPU synchronization.
    """

    def run(images: Tensor, targets: Tensor) -> Batch:
        chosen = torch.rand(len(images), generator=rng, device=images.device) < probability
        return torch.where(chosen[:, None, None, None], change(images), images), targets

    return run


def _sharpness(rng: torch.Generator, *, factor: float, probability: float) -> Any:
    return _sometimes(rng, probability, lambda images: sharpen(images, factor))


def _autocontrast(rng: torch.Generator, *, probability: float) -> Any:
    return _sometimes(rng, probability, autocontrast)


def _horizontal_flip(rng: torch.Generator, *, probability: float) -> Any:
    return _sometimes(rng, probability, lambda images: images.flip(2))


def _hue(rng: torch.Generator, *, delta: float) -> Any:
    def run(images: Tensor, targets: Tensor) -> Batch:
        if images.shape[-1] != 3:
            return images, targets
        turns = torch.rand(len(images), generator=rng, device=images.device) * (2 * delta) - delta
        return shift_hue(images, turns), targets

    return run


def _uniform(rng: torch.Generator, images: Tensor, low: float, high: float) -> Tensor:
    """A number (B,) for each image."""
    return low + (high - low) * torch.rand(len(images), generator=rng, device=images.device)


def _crop(rng: torch.Generator, *, padding: int) -> Any:
    def run(images: Tensor, targets: Tensor) -> Batch:
        by = torch.randint(-padding, padding + 1, (2, len(images)), generator=rng, device=images.device)
        return shifted(images, by[0], by[1]), targets

    return run


def _quarter_turn(rng: torch.Generator) -> Any:
    def run(images: Tensor, targets: Tensor) -> Batch:
        return turned(images, torch.randint(4, (len(images),), generator=rng, device=images.device)), targets

    return run


def _brightness(rng: torch.Generator, *, delta: float) -> Any:
    def run(images: Tensor, targets: Tensor) -> Batch:
        return brightened(images, _uniform(rng, images, 1 - delta, 1 + delta)), targets

    return run


def _contrast(rng: torch.Generator, *, delta: float) -> Any:
    return lambda images, targets: (contrasted(images, _uniform(rng, images, 1 - delta, 1 + delta)), targets)


def _noise(rng: torch.Generator, *, deviation: float, probability: float) -> Any:
    def change(images: Tensor) -> Tensor:
        drawn = torch.randn(images.shape, generator=rng, device=images.device)
        return (images + deviation * drawn).clamp(0, 1)

    return _sometimes(rng, probability, change)


def _blur(rng: torch.Generator, *, sigma: float, probability: float) -> Any:
    # from a sigma that changes nothing; at 3 sigma the Gaussian is 1 % of its peak
    reach = math.ceil(3 * sigma)
    return _sometimes(rng, probability, lambda images: blurred(images, _uniform(rng, images, 0.1, sigma), reach))


def _elastic(rng: torch.Generator, *, strength: float, smoothness: float, probability: float) -> Any:
    # Simard et al. 2003 smooth uniform draws at every pixel, which are nearly normal afterwards
    def change(images: Tensor) -> Tensor:
        side = images.shape[1]
        knots = _knots(side, smoothness, images.device)  # (H, K)
        drawn = torch.randn(len(images), 2, knots.shape[1], knots.shape[1], generator=rng, device=images.device)
        fields = strength * side * (knots @ drawn @ knots.T)  # (B, 2, H, W)
        return displaced(images, fields.permute(0, 2, 3, 1))

    return _sometimes(rng, probability, change)


def _knots(side: int, smoothness: float, device: torch.device) -> Tensor:
    """(H, K) weights of K draws for each row of pixels: Gaussians about knots that are one sigma apart.

    Draws of variance 1, weighted along both axes, make a field of variance 1 everywhere, in which pixels d sigma apart
    have the correlation exp(-d^2 / 4): as noise at every pixel, smoothed by that Gaussian, at a fraction of its draws.
    """
    pixels = (torch.arange(side, device=device) + 0.5) / (side * smoothness)  # in sigmas
    places = torch.arange(-4, math.ceil(1 / smoothness) + 5, device=device)
    weights = torch.exp(-((pixels[:, None] - places) ** 2) / 2)
    return weights / weights.square().sum(dim=1, keepdim=True).sqrt()


def _augmix(rng: torch.Generator, **settings: Any) -> Any:
    return lambda images, targets: (augmix(images, rng, **settings), targets)


def _trivial_augment(rng: torch.Generator) -> Any:
    return lambda images, targets: (trivial_augment(images, rng), targets)


_OURS: dict[str, Callable[..., Any]] = {
    "sharpness": _sharpness,
    "autocontrast": _autocontrast,
    "hue": _hue,
    "horizontal_flip": _horizontal_flip,
    "crop": _crop,
    "quarter_turn": _quarter_turn,
    "brightness": _brightness,
    "contrast": _contrast,
    "noise": _noise,
    "blur": _blur,
    "elastic": _elastic,
    "augmix": _augmix,
    "trivial_augment": _trivial_augment,
}


class _Over:
    """An object with some attributes replaced."""

    def __init__(self, under: Any, **over: Any) -> None:
        self._under = under
        self.__dict__.update(over)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._under, name)


class _KerasStep:
    def __init__(self, name: str, seed: int, **settings: Any) -> None:
        settings = {name: value for name, value in settings.items() if value is not None}
        if name in ("RandomTranslation", "RandomZoom") and "factor" in settings:
            factor = settings.pop("factor")
            settings |= {"height_factor": factor} | ({"width_factor": factor} if name == "RandomTranslation" else {})
        layer = getattr(keras.layers, name)
        ours = {"value_range": (0, 1), "data_format": "channels_last"}
        taken = inspect.signature(layer).parameters
        self.layer = layer(**settings, **{name: ours[name] for name in ours if name in taken}, seed=seed)
        for each in self.layer._flatten_layers():  # those that RandAugment is made of, too
            each.backend = _Over(each.backend, image=_Over(each.backend.image, affine_transform=mapped))
        self.mixes = name in ("MixUp", "CutMix")
        self.colours = name == "RandomHue"  # fails on grey images

    def __call__(self, images: Tensor, targets: Tensor) -> Batch:
        if self.mixes:
            mixed = self.layer({"images": images, "labels": targets}, training=True)
            return mixed["images"], mixed["labels"]
        if self.colours and images.shape[-1] != 3:
            return images, targets
        # RandomBrightness writes into what it is given, and RandAugment leaves the range it is told
        return self.layer(images.clone(), training=True).clamp(0, 1), targets


class _OwnStep:
    """What a function of the user's own returns: a Keras layer, or a function of images and rng."""

    def __init__(
        self, rng: torch.Generator, seed: int, *, builder: str, arguments: Mapping[str, Any], source: str | None = None
    ) -> None:
        self.rng, self.builder, self.checked = rng, builder, False
        self.change = called(builder, source, **arguments)
        self.is_layer = isinstance(self.change, keras.Layer)
        if not callable(self.change) or isinstance(self.change, type | Tensor):
            what = type(self.change).__name__
            raise OwnCodeError(
                f"{place_of(builder)}: returned {what}; it must return a Keras layer, or a function of images and rng"
            )
        self.counters = name_streams(self.change, seed) if self.is_layer else []

    def __call__(self, images: Tensor, targets: Tensor) -> Batch:
        if not self.checked:
            self._check_draws(images)
            self.checked = True
        return self._changed(images), targets

    def _changed(self, images: Tensor) -> Tensor:
        given = images.clone()
        try:
            with torch.no_grad():
                found = self.change(given, training=True) if self.is_layer else self.change(given, self.rng)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
            raise wrong(self.builder, error) from None
        if not isinstance(found, Tensor) or found.shape != images.shape:
            what = f"images of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise OwnCodeError(
                f"{place_of(self.builder)}: made {what} of images of shape {tuple(images.shape)}; it must make a "
                "tensor of the same shape"
            )
        return found.to(images).clamp(0, 1)

    def _check_draws(self, images: Tensor) -> None:
        """Apply it twice from the same state. Raises OwnCodeError where what comes out depends on anything else."""
        state, counts = self.rng.get_state(), [counter.clone() for counter in self.counters]
        found = []
        outside = random.getstate(), np.random.get_state()
        with torch.random.fork_rng():
            for number in range(2):
                random.seed(number)
                np.random.seed(number)
                torch.manual_seed(number)
                found.append(self._changed(images))
                self.rng.set_state(state)
                for counter, count in zip(self.counters, counts, strict=True):
                    counter.copy_(count)
        random.setstate(outside[0])
        np.random.set_state(outside[1])
        if not torch.equal(*found):
            source = "a keras.random.SeedGenerator that the layer keeps" if self.is_layer else "rng"
            raise OwnCodeError(
                f"{place_of(self.builder)}: gives other images when it is called again with the same images and "
                f"random numbers, so a run could not be repeated: let it draw from {source} alone, and keep nothing "
                "between calls"
            )


# --- images added to a training set ----------------------------------------------------------------


def class_counts(
    total: int, class_sizes: np.ndarray, *, shares: str, class_order: np.ndarray | None = None
) -> np.ndarray:
    """How many of `total` images each class gets, (K,) integers that sum to `total`.

    The shares are those of `class_weights`, rounded by largest remainder (ties to the lower class).
    """
    exact = total * class_weights(total, class_sizes, shares=shares, class_order=class_order)
    counts: np.ndarray = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def class_weights(
    total: int, class_sizes: np.ndarray, *, shares: str, class_order: np.ndarray | None = None
) -> np.ndarray:
    """Share of each class among the added images, (K,) summing to 1.

    `deficit`: N_max - N_c + 100 (the published code's formula). `inverse_frequency`: 1 / N_c. `proportional`: N_c.
    `uniform`: equal. `water_fill`: the rarest classes are filled up to a common level.

    `class_order` (K,) gives class c the weight of class class_order[c]: the published code lists its weights in the
    order in which the classes first appear, and hands them to the classes 0 .. K - 1
    (finding F5 in docs/explanation/methods.md).
    """
    sizes: np.ndarray = class_sizes.astype(np.float64)
    weights: np.ndarray
    if shares == "deficit":
        weights = sizes.max() - sizes + 100
    elif shares == "inverse_frequency":
        weights = 1 / sizes
    elif shares == "proportional":
        weights = sizes
    elif shares == "uniform":
        weights = np.ones_like(sizes)
    elif shares == "water_fill":
        weights = _water_fill(max(total, 1), sizes)  # of no image the shares are those of the first
    else:
        raise ValueError(f"shares is {shares!r}, which is no rule")
    if class_order is not None:
        weights = weights[class_order]
    return np.asarray(weights / weights.sum())


def _water_fill(total: int, sizes: np.ndarray) -> np.ndarray:
    ranked = np.sort(sizes)
    for filled in range(1, len(ranked) + 1):  # the level when only the `filled` rarest classes get any
        level = (total + ranked[:filled].sum()) / filled
        if filled == len(ranked) or level <= ranked[filled]:
            break
    added: np.ndarray = np.maximum(0, level - sizes)
    return added


def first_appearance(labels: np.ndarray) -> np.ndarray:
    """The classes in the order in which they first appear in `labels`."""
    classes, positions = np.unique(labels, return_index=True)
    return classes[np.argsort(positions)]


def labels_to_make(
    labels: np.ndarray, num_classes: int, *, total: int, shares: str, class_order: str, draw: str, seed: int
) -> np.ndarray:
    """Labels (total,) of the images to add to a training set with these labels, sorted by class.

    `draw` is `largest_remainder` (exact shares) or `multinomial` (every label drawn for itself).
    """
    sizes = np.bincount(labels, minlength=num_classes)
    order = first_appearance(labels) if class_order == "first_appearance" else None
    if draw == "largest_remainder":
        counts = class_counts(total, sizes, shares=shares, class_order=order)
    else:
        weights = class_weights(total, sizes, shares=shares, class_order=order)
        counts = numpy_rng(seed, "class choice").multinomial(total, weights)
    return np.repeat(np.arange(num_classes), counts)


def copies(labels: np.ndarray, wanted: np.ndarray, *, seed: int) -> np.ndarray:
    """Indices of training images to copy, one for each label in `wanted`: none twice before all of its class were."""
    rng = numpy_rng(seed, "copies")
    chosen = np.empty(len(wanted), dtype=np.int64)
    for label in np.unique(wanted):
        places = np.flatnonzero(wanted == label)
        members = np.flatnonzero(labels == label)
        rounds = -(-len(places) // len(members))
        chosen[places] = np.concatenate([rng.permutation(members) for _ in range(rounds)])[: len(places)]
    return chosen

"""Operations of which each image draws its own: AugMix and TrivialAugment.

AugMix: Hendrycks et al. 2020, https://arxiv.org/abs/1912.02781. Differs from the paper: no consistency loss.

TrivialAugment: Mueller & Hutter 2021, https://arxiv.org/abs/2103.10158, with its wide ranges. Differs from its code:
linear between pixels, not the nearest.

Shapes: B batch, H x W x C image with values in [0, 1].
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from medaug_keras import transformations as transform

Operation = Callable[[Tensor, Tensor], Tensor]
"""Images and an amount (B,) of each -> changed images."""

OPERATIONS: Mapping[str, Operation] = {
    "identity": lambda images, _: images,
    "autocontrast": lambda images, _: transform.autocontrast(images),
    "equalize": lambda images, _: transform.equalized(images),
    "posterize": transform.posterized,
    "solarize": transform.solarized,
    "rotate": transform.rotated,
    "shear_x": lambda images, factor: transform.sheared(images, factor, torch.zeros_like(factor)),
    "shear_y": lambda images, factor: transform.sheared(images, torch.zeros_like(factor), factor),
    "translate_x": lambda images, pixels: transform.translated(images, pixels, torch.zeros_like(pixels)),
    "translate_y": lambda images, pixels: transform.translated(images, torch.zeros_like(pixels), pixels),
    "brightness": transform.brightened,
    "contrast": transform.contrasted,
    "color": transform.colored,
    "sharpness": transform.sharpen,
}

Amounts = Mapping[str, Callable[[Tensor, Tensor, int], Tensor]]
"""Operation -> strengths (B,) in [0, 1], signs (B,) and pixels a side -> the operation's amounts (B,)."""


def _unused(strength: Tensor, sign: Tensor, side: int) -> Tensor:
    return strength


def _around_one(strength: Tensor, sign: Tensor, side: int) -> Tensor:
    return 1 + 0.99 * sign * strength


AUGMIX: Amounts = {
    "autocontrast": _unused,
    "equalize": _unused,
    "posterize": lambda strength, sign, side: 4 - (4 * strength).trunc(),
    "solarize": lambda strength, sign, side: 256 - (256 * strength).trunc(),
    "rotate": lambda strength, sign, side: sign * (30 * strength).trunc(),
    "shear_x": lambda strength, sign, side: sign * 0.3 * strength,
    "shear_y": lambda strength, sign, side: sign * 0.3 * strength,
    "translate_x": lambda strength, sign, side: sign * (side / 3 * strength).trunc(),
    "translate_y": lambda strength, sign, side: sign * (side / 3 * strength).trunc(),
}
"""As in its published code. Contrast, color, brightness and sharpness are left out, as there: ImageNet-C tests them."""

TRIVIAL: Amounts = {
    "identity": _unused,
    "autocontrast": _unused,
    "equalize": _unused,
    "posterize": lambda strength, sign, side: 8 - (6 * strength).round(),
    "solarize": lambda strength, sign, side: 256 - (256 * strength).trunc(),
    "rotate": lambda strength, sign, side: sign * 135 * strength,
    "shear_x": lambda strength, sign, side: sign * 0.99 * strength,
    "shear_y": lambda strength, sign, side: sign * 0.99 * strength,
    "translate_x": lambda strength, sign, side: sign * (32 * strength).trunc(),
    "translate_y": lambda strength, sign, side: sign * (32 * strength).trunc(),
    "brightness": _around_one,
    "contrast": _around_one,
    "color": _around_one,
    "sharpness": _around_one,
}
"""The wide ranges; at strength 0 an operation that has a strength changes nothing."""
LEVELS = 30
"""Steps between TrivialAugment's least and greatest strength."""


def augmix(images: Tensor, rng: torch.Generator, *, width: int, depth: int, severity: float) -> Tensor:
    """Each image mixed with a mixture of `width` chains of 1 to `depth` operations.

    The weights of the chains are drawn from a Dirichlet distribution and that of the mixture from a beta distribution,
    all of whose parameters are 1. An operation's strength is between 0.01 and a tenth of the severity, 0.1 to 10.
    """
    count, device = len(images), images.device
    chains = images.repeat(width, 1, 1, 1)
    depths = torch.randint(1, depth + 1, (len(chains),), generator=rng, device=device)
    for number in range(depth):
        choice = torch.randint(len(AUGMIX), (len(chains),), generator=rng, device=device)
        strength = 0.01 + (severity / 10 - 0.01) * torch.rand(len(chains), generator=rng, device=device)
        choice = torch.where(number < depths, choice, -1)
        chains = operated(chains, AUGMIX, choice, strength, _signs(chains, rng))
    # numbers of an exponential distribution, divided by their sum, have a Dirichlet distribution with parameters 1
    weights = torch.empty(width, count, 1, 1, 1, device=device).exponential_(generator=rng)
    mixture = (chains.reshape(width, *images.shape) * (weights / weights.sum(dim=0))).sum(dim=0)
    share = torch.rand(count, 1, 1, 1, generator=rng, device=device)
    return torch.lerp(images, mixture, share).clamp(0, 1)


def trivial_augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """Each image changed by one operation, each as likely, of a strength from none to all, each as likely."""
    choice = torch.randint(len(TRIVIAL), (len(images),), generator=rng, device=images.device)
    strength = torch.randint(LEVELS + 1, (len(images),), generator=rng, device=images.device) / LEVELS
    return operated(images, TRIVIAL, choice, strength, _signs(images, rng))


def operated(images: Tensor, amounts: Amounts, choice: Tensor, strength: Tensor, signs: Tensor) -> Tensor:
    """Each image changed by the operation of its number among `amounts`, or not at all where that is -1."""
    result = images.clone()
    for number, (name, amount) in enumerate(amounts.items()):
        chosen = choice == number
        if _finds_chosen(images):
            (places,) = chosen.nonzero(as_tuple=True)
            if len(places):
                changed = amount(strength[places], signs[places], images.shape[1])
                result[places] = OPERATIONS[name](images[places], changed)
        else:
            changed = OPERATIONS[name](images, amount(strength, signs, images.shape[1]))
            result = torch.where(chosen[:, None, None, None], changed, result)
    return result


def _finds_chosen(images: Tensor) -> bool:
    """Whether to change the chosen images alone; on a GPU, to find out which they are would force a synchronization."""
    return bool(images.device.type == "cpu")


def _signs(images: Tensor, rng: torch.Generator) -> Tensor:
    """-1 or 1 (B,), each as likely."""
    return 2.0 * torch.randint(2, (len(images),), generator=rng, device=images.device) - 1

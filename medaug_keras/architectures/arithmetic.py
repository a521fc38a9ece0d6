"""How many multiplications one image takes, told without building a network: what a larger image costs.

Of the convolutions and the first dense layer, for images of three channels; the rest is less than a hundredth.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

STANDARD_FROM = 96  # pixels a side from which a residual network's stem is the paper's, where a study does not say


def cnn(side: int, settings: Mapping[str, Any]) -> float:
    """Of `cnn`."""
    total = 0
    for before, filters, border, pooled in (
        (3, 16, 2, 1),
        (16, 16, 2, 2),
        (16, 64, 2, 1),
        (64, 64, 2, 1),
        (64, 64, 0, 2),
    ):
        side -= border
        total += 9 * before * filters * side**2
        before, side = filters, side // pooled
    return total + 64 * side**2 * 128


def resnet(blocks: Sequence[int], *, bottleneck: bool) -> Callable[[int, Mapping[str, Any]], float]:
    """Of a residual network with so many blocks in each stage; `stem` is among its settings."""

    def multiply_adds(side: int, settings: Mapping[str, Any]) -> float:
        standard = (settings.get("stem") or stem_for(side)) == "standard"
        side = _halved(side) if standard else side
        total, before = (49 if standard else 9) * 3 * 64 * side**2, 64
        side = _halved(side) if standard else side
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            after = 4 * width if bottleneck else width
            for number in range(count):
                entering, side = side, _halved(side) if stage and not number else side
                if bottleneck:
                    total += before * width * entering**2 + (9 * width + after) * width * side**2
                else:
                    total += 9 * (before + width) * width * side**2
                total += before * after * side**2 if before != after else 0  # the shortcut
                before = after
        return total

    return multiply_adds


def stem_for(side: int) -> str:
    """The stem of a residual network for images of so many pixels a side, where a study does not say."""
    return "standard" if side >= STANDARD_FROM else "small"


def _halved(side: int) -> int:
    return -(-side // 2)

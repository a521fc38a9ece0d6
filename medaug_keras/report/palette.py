"""Colors and marks, decided once for every figure and table of the report.

A color is a CSS custom property `--ma-<name>` with one value for light pages and one for dark ones. The series colors
start from Okabe & Ito's (2008) set, moved until each has a contrast of 3 to the page and any two are at least 20 CIELAB
units apart, also for readers with protanopia, deuteranopia or tritanopia (tests check it). An arm has a color and a
shape, so neither is needed alone; sampling is the filling: hollow for shuffled batches, filled for weighted ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Shape = Literal["circle", "square", "triangle", "diamond", "down", "pentagon", "hexagon"]

# name: (on light pages, on dark pages)
COLORS: Mapping[str, tuple[str, str]] = {
    "page": ("#ffffff", "#1e2129"),
    "panel": ("#f3f5f7", "#2a2e38"),  # fill of boxes and bands
    "ink": ("#1f2328", "#e8eaed"),
    "muted": ("#57606a", "#aeb6c0"),  # labels of axes, remarks
    "rule": ("#d5dae0", "#444b57"),  # grid lines; never carries a value
    "grey": ("#635a68", "#d5dcc4"),
    "blue": ("#0950cd", "#2b89ea"),
    "vermilion": ("#c15d15", "#dd6325"),
    "green": ("#107941", "#2be77f"),
    "purple": ("#90469e", "#ea85ba"),
    "ochre": ("#5a3700", "#ead03f"),
    "cyan": ("#1293e2", "#a7daff"),
    "heat": (
        "#62a8e5",
        "#27629c",
    ),  # full end of a heat map; its empty end is the page, and ink is readable on all of it
}

_SERIES = ("grey", "blue", "vermilion", "green", "purple", "ochre", "cyan")
_SHAPES: tuple[Shape, ...] = ("circle", "square", "triangle", "diamond", "down", "pentagon", "hexagon")

SPLITS = {"train": "blue", "validation": "ochre", "test": "vermilion"}
STATES = {  # in the order in which a bar shows them
    "done": "green",
    "running": "blue",
    "pending": "rule",
    "blocked": "ochre",
    "failed": "vermilion",
    "damaged": "purple",
}


@dataclass(frozen=True)
class ArmStyle:
    """How an arm looks: `color` is a name in COLORS."""

    color: str
    shape: Shape


def arm_styles(arms: Iterable[str]) -> dict[str, ArmStyle]:
    """Arm → its look, by its place in the order given. Color and shape are a pair of their own for up to 49 arms."""
    looks = [ArmStyle(_SERIES[i % 7], _SHAPES[(i + i // 7) % 7]) for i in range(49)]
    return {arm: looks[i % len(looks)] for i, arm in enumerate(dict.fromkeys(arms))}


def css() -> str:
    """The custom properties as a style sheet: light, but dark on a screen where Material's slate scheme is on."""
    return _colors(":root", 0) + f"@media screen{{{_colors('[data-md-color-scheme=slate]', 1)}}}\n"


def css_by_system() -> str:
    """The same for a page without a switch: dark on a screen where the system is."""
    return _colors(":root", 0) + f"@media screen and (prefers-color-scheme:dark){{{_colors(':root', 1)}}}\n"


def _colors(where: str, which: int) -> str:
    return f"{where}{{{';'.join(f'--ma-{name}:{pair[which]}' for name, pair in COLORS.items())}}}"


def shades(names: Sequence[str]) -> list[str]:
    """Colors for series other than arms (losses, components), by position: the grey of the baseline comes last."""
    turn = ("blue", "vermilion", "green", "purple", "ochre", "cyan", "grey")
    return [turn[i % len(turn)] for i in range(len(names))]

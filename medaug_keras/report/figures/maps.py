"""Images as points of a plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from medaug_keras.report.figures.svg import WIDTH, Board, Figure, Scale, figure, num
from medaug_keras.report.format import count, percent

_PLOT = 300  # height of the plot


@dataclass(frozen=True)
class Origin:
    """The images of one origin: where they lie, and their class by number."""

    x: Sequence[float]
    y: Sequence[float]
    classes: Sequence[int]


# Origin: its name, its color, its sign as a path from its middle, the width of its lines. Signs have no filling but
# the dot, which lies below, so that many can be told apart; the shapes differ as much as the colors.
_LOOKS: Mapping[str, tuple[str, tuple[str, str, float]]] = {
    "train": ("training", ("blue", "h0", 4.5)),
    "test": ("test", ("vermilion", "m0-3.8l3.4 6h-6.8z", 1.25)),
    "synthetic": ("synthetic", ("green", "m-3-3l6 6m0-6l-6 6", 1.5)),
}


def feature_map(
    origins: Mapping[str, Origin], *, variance: Sequence[float], classes: Sequence[str], what: str
) -> Figure:
    """Training, test and synthetic images by two principal components of their features; a panel for each class.

    All panels have the same axes. `variance` is the share of the training images' variance that each component
    explains, `classes` the names by number, `what` says what images they are.
    """
    xs = [x for origin in origins.values() for x in origin.x]
    ys = [y for origin in origins.values() for y in origin.y]
    across, up = _scale(xs, 4, WIDTH - 4), _scale(ys, _PLOT - 4, 4)
    boards = [_panel(origins, k, name, across, up, variance) for k, name in enumerate(classes)]
    alt = (
        f"Map of {what} by the first two principal components of a classifier's features, which explain "
        f"{_shares(variance)} of the training images' variance. "
    )
    return figure(feature_map, boards, alt + " ".join(board.alt for board in boards))


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(values, default=0.0), max(values, default=0.0)
    pad = 0.03 * (high - low) or 1.0  # all in one place: in the middle
    return Scale(low - pad, high + pad, start, end)


def _panel(
    origins: Mapping[str, Origin], k: int, name: str, across: Scale, up: Scale, variance: Sequence[float]
) -> Board:
    board = Board()
    top = board.heading(name) + 2
    board.rect(0.5, top + 0.5, WIDTH - 1, _PLOT - 1, None, stroke="rule")
    keys, said = [], []
    for origin, (word, look) in _LOOKS.items():
        images = origins[origin]
        mine = [(x, y) for x, y, its in zip(images.x, images.y, images.classes, strict=True) if its == k]
        keys.append((f"{word} ({count(len(mine))})", partial(_key, board, look)))
        if mine:
            _signs(board, [(across(x), top + up(y)) for x, y in mine], *look)
            means = ", ".join(f"{sum(values) / len(mine):.2f}" for values in zip(*mine, strict=True)).replace("-", "−")
            said.append(f"{count(len(mine))} {word} images, on average at {means}")
        else:
            said.append(f"no {word} image")
    board.text(0, top + _PLOT + 14, f"right: component 1 ({percent(variance[0], 0)} % of the variance)", fill="muted")
    board.text(0, top + _PLOT + 28, f"up: component 2 ({percent(variance[1], 0)} %)", fill="muted")
    board.height = board.legend(top + _PLOT + 32, keys) + 2
    board.alt = f"{name}: {'; '.join(said)}."
    return board


def _signs(board: Board, places: Sequence[tuple[float, float]], color: str, sign: str, width: float) -> None:
    """One path for all of them; a tenth of a unit is fine enough."""
    d = "".join(f"M{num(round(x, 1))} {num(round(y, 1))}{sign}" for x, y in places)
    look = f' fill="none" stroke-width="{num(width)}" stroke-linecap="round" stroke-linejoin="round"'
    board.add("path", f' d="{d}"{look}{board.paint(stroke=color)}')


def _key(board: Board, look: tuple[str, str, float], x: float, y: float) -> None:
    _signs(board, [(x + 8, y)], *look)


def _shares(variance: Sequence[float]) -> str:
    return " and ".join(f"{percent(share, 0)} %" for share in variance)

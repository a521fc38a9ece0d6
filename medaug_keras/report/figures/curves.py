"""Values for each epoch: how classifiers and generators learned."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medaug_keras.report.figures.svg import (
    SMALL,
    WIDTH,
    Board,
    Figure,
    Scale,
    figure,
    num,
    text_width,
    tick_decimals,
    ticks,
)
from medaug_keras.report.format import percent
from medaug_keras.report.palette import ArmStyle, shades


@dataclass(frozen=True)
class LossPanel:
    """The losses of one generator, each a value per epoch; `chosen` is the epoch (from 1) whose weights were kept."""

    title: str
    losses: Mapping[str, Sequence[float | None]]
    chosen: int | None = None
    reason: str = "not run"
    """Shown where there are no values."""


# --- curves ----------------------------------------------------------------------------------------


def learning_curves(
    history: Mapping[str, Sequence[float | None]], *, best_epoch: int | None, title: str = ""
) -> Figure:
    """Accuracy and AUC an epoch, training and validation; the chosen epoch (from 1) is marked."""
    boards = []
    for name, word in (("accuracy", "Accuracy"), ("auc", "AUC")):
        lines = {
            "training": list(history.get(name) or ()),
            "validation": list(history.get(f"val_{name}") or ()),
        }
        heading = f"{title}: {word}" if title else word
        boards.append(_curves(heading, lines, best_epoch, percent, "no values", ("blue", "vermilion"), ends=(0, 1)))
    alt = "Values in percent for each epoch. " + " ".join(board.alt for board in boards)
    return figure(learning_curves, boards, alt)


def loss_curves(panels: Sequence[LossPanel]) -> Figure:
    """Losses an epoch, one panel a generator; a logarithmic axis where they lie far apart."""
    boards = []
    for panel in panels:
        lines = {name: list(values) for name, values in panel.losses.items()}
        boards.append(_curves(panel.title, lines, panel.chosen, short, panel.reason, shades(list(lines))))
    return figure(loss_curves, boards, "Losses for each epoch. " + " ".join(board.alt for board in boards), columns=3)


_DASHES = ("", "6 3", "2 3", "9 3 2 3", "4 2", "1 2", "7 2 1 2 1 2")


def _curves(
    title: str,
    lines: Mapping[str, Sequence[float | None]],
    chosen: int | None,
    text: Callable[[float], str],
    reason: str,
    colours: Sequence[str],
    ends: tuple[float, float] | None = None,
) -> Board:
    board = Board()
    y = board.heading(title)
    values = [v for line in lines.values() for v in line if v is not None]
    if not values:
        board.rect(0, y + 4, WIDTH, 60, "panel", radius=4)
        board.text(WIDTH / 2, y + 38, reason, anchor="middle", fill="muted", italic=True)
        board.height = y + 68
        board.alt = f"{title}: {reason}."
        return board
    said = {name: _at(line, chosen, text) for name, line in lines.items()}
    items = [(f"{name} {said[name]}", _line_sign(board, colours[i], _DASHES[i % 7])) for i, name in enumerate(lines)]
    top = board.legend(y, items) + 18
    bottom = top + 150
    epochs = max(len(line) for line in lines.values())
    logarithmic = ends is None and min(values) > 0 and max(values) > 12 * min(values)
    bend: Callable[[float], float] = math.log10 if logarithmic else float
    low, high = bend(min(values)), bend(max(values))
    pad = max(0.05 * (high - low), 0.005 if ends else 1e-9 + 0.05 * abs(high))
    low, high = low - pad, high + pad
    if ends:
        low, high = max(low, ends[0]), min(high, ends[1])
    marks = [10**v for v in range(math.ceil(low), math.floor(high) + 1)] if logarithmic else ticks(low, high, 4)
    if logarithmic and len(marks) < 3:
        marks = [m * 10**p for p in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
        marks = [m for m in marks if low <= math.log10(m) <= high]
    decimals = tick_decimals(marks)
    names = [text(m) if not ends else percent(m, decimals) for m in marks]
    left = max(text_width(name, SMALL) for name in names) + 6
    across = Scale(1, max(epochs, 2), left + 6, WIDTH - 8)
    up = Scale(low, high, bottom, top)
    for mark, name in zip(marks, names, strict=True):
        board.line(left, up(bend(mark)), WIDTH, up(bend(mark)), "rule")
        board.text(left - 4, up(bend(mark)) + 4, name, anchor="end", fill="muted")
    for epoch in sorted({1, *(int(t) for t in ticks(1, max(epochs, 2), 4) if t == int(t) and t > 1)}):
        if epoch <= epochs:
            half = text_width(str(epoch), SMALL) / 2
            board.text(min(across(epoch), WIDTH - half), bottom + 15, str(epoch), anchor="middle", fill="muted")
    board.text(WIDTH, bottom + 30, "epoch", anchor="end", fill="muted")
    if chosen is not None:
        x = across(chosen)
        board.line(x, top - 4, x, bottom, "ink", dash="3 3")
        kept = f"kept: epoch {chosen}"
        half = text_width(kept, SMALL) / 2
        board.text(min(max(x, left + half), WIDTH - half), top - 8, kept, anchor="middle")
    for i, line in enumerate(lines.values()):
        points = [(across(e), up(bend(v))) for e, v in enumerate(line, 1) if v is not None]
        if len(points) > 1:
            board.polyline(points, colours[i], width=2, dash=_DASHES[i % 7])
        elif points:
            board.mark(*points[0], ArmStyle(colours[i], "circle"), filled=i % 2 == 0, radius=3.5)
    width = (across.end - across.start) / max(epochs - 1, 1)
    for epoch in range(1, epochs + 1):
        x = min(max(across(epoch) - width / 2, left), WIDTH)
        here = ", ".join(f"{name} {_at(line, epoch, text)}" for name, line in lines.items())
        look = f' x="{num(x)}" y="{num(top)}" width="{num(min(width, WIDTH - x))}" height="{num(bottom - top)}"'
        board.add("rect", look + ' fill="none" pointer-events="all"', f"epoch {epoch}: {here}")
    board.height = bottom + 34
    where = "no epoch was chosen; last values" if chosen is None else f"epoch {chosen} was kept"
    scale = ", logarithmic axis" if logarithmic else ""
    ranges = "; ".join(
        f"{name} from {_at(line, 1, text)} at epoch 1 to {_at(line, None, text)} at epoch {len(line)}"
        + ("" if chosen is None else f", {_at(line, chosen, text)} at the kept one")
        for name, line in lines.items()
    )
    board.alt = f"{title}: {epochs} epochs, {where}{scale}; {ranges}."
    return board


def _at(line: Sequence[float | None], epoch: int | None, text: Callable[[float], str]) -> str:
    """The value at an epoch (from 1), or the last one."""
    at = len(line) if epoch is None else epoch
    value = line[at - 1] if 1 <= at <= len(line) else None
    return "–" if value is None else text(value)


def _line_sign(board: Board, colour: str, dash: str) -> Callable[[float, float], None]:
    return lambda x, y: board.line(x, y, x + 16, y, colour, width=2, dash=dash)


def short(value: float) -> str:
    """A loss in four characters or so: 1,234, 56.7, 0.0123."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 0.001 or value == 0:
        return f"{value:.3g}"
    return f"{value:.1e}"

"""Values for each epoch: how classifiers and generators learned."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from statistics import fmean
from typing import Any

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
    wrap,
)
from medaug_keras.report.format import loss, number, percent
from medaug_keras.report.palette import ArmStyle, arm_styles, shades


@dataclass(frozen=True)
class LossPanel:
    """The losses of one generator, each a value per epoch; `chosen` is the epoch (from 1) whose weights were kept."""

    title: str
    losses: Mapping[str, Sequence[float | None]]
    chosen: int | None = None
    reason: str = "not run"
    """Shown where there are no values."""


@dataclass(frozen=True)
class _Panel:
    """Lines over epochs, and how they are written."""

    title: str
    lines: Mapping[str, Sequence[float | None]]
    colors: Sequence[str]
    chosen: int | None
    """The epoch, from 1, whose weights were kept."""
    text: Callable[[float], str]
    """A value → its text."""
    reason: str
    """Shown where there are no values."""
    ends: tuple[float, float] | None = None
    """Values cannot leave these, and are percentages."""
    linear: bool = False
    """Never a logarithmic axis."""
    pretraining: int = 0
    """Epochs at first, on generated images."""

    @property
    def values(self) -> list[float]:
        return [value for line in self.lines.values() for value in line if value is not None]

    @property
    def epochs(self) -> int:
        return max(len(line) for line in self.lines.values())

    def at(self, line: Sequence[float | None], epoch: int | None) -> str:
        """The value of a line at an epoch, or its last one, as text."""
        place = len(line) if epoch is None else epoch
        value = line[place - 1] if 1 <= place <= len(line) else None
        return "–" if value is None else self.text(value)


def learning_curves(
    histories: Sequence[Mapping[str, Sequence[float | None]]],
    *,
    best_epoch: int | None,
    title: str = "",
    pretraining: int = 0,
) -> Figure:
    """Accuracy and AUC an epoch, training and validation; the chosen epoch (from 1) is marked, and so are the first
    ones where they were trained on generated images. Where the learning rate changes, it has a panel of its own.

    Of the histories of several folds, their mean, and the lowest and the highest validation value of each epoch.
    """
    boards = []
    for name, word in (("accuracy", "Accuracy"), ("auc", "AUC")):
        lines = {"training": _over(histories, name, fmean), "validation": _over(histories, f"val_{name}", fmean)}
        if len(histories) > 1:
            lines |= {"lowest": _over(histories, f"val_{name}", min), "highest": _over(histories, f"val_{name}", max)}
        heading = f"{title}: {word}" if title else word
        colors = ("blue", *["vermilion"] * 3)
        panel = _Panel(heading, lines, colors, best_epoch, percent, "no values", ends=(0, 1), pretraining=pretraining)
        boards.append(_drawn(panel))
    if "learning_rate" in histories[0]:
        heading = f"{title}: Learning rate" if title else "Learning rate"
        lines = {"last step": _over(histories, "learning_rate", fmean)}
        text = partial(number, digits=2)
        boards.append(
            _drawn(
                _Panel(heading, lines, ("green",), best_epoch, text, "no values", linear=True, pretraining=pretraining)
            )
        )
    alt = "Values in percent for each epoch. " + " ".join(board.alt for board in boards)
    return figure(learning_curves, boards, alt)


def _over(
    histories: Sequence[Mapping[str, Sequence[float | None]]], name: str, of: Callable[[list[float]], float]
) -> list[float | None]:
    """For each epoch, the mean, lowest or highest value of the histories that have one."""
    rows = zip_longest(*(history.get(name) or () for history in histories))
    return [of(there) if (there := [value for value in row if value is not None]) else None for row in rows]


def loss_curves(panels: Sequence[LossPanel]) -> Figure:
    """Losses an epoch, one panel a generator; a logarithmic axis where they lie far apart."""
    boards = []
    for panel in panels:
        lines = {name: list(values) for name, values in panel.losses.items()}
        boards.append(_drawn(_Panel(panel.title, lines, shades(list(lines)), panel.chosen, loss, panel.reason)))
    return figure(loss_curves, boards, "Losses for each epoch. " + " ".join(board.alt for board in boards), columns=3)


@dataclass(frozen=True)
class ArmCurves:
    """The histories of one arm: of its replicates, or of all folds of them."""

    arm: str
    sampling: str
    label: str
    histories: Sequence[Mapping[str, Sequence[float | None]]]
    pretraining: int = 0
    """Epochs at first, on generated images."""


def arms_curves(found: Sequence[ArmCurves], *, arms: Sequence[str] = ()) -> Figure:
    """Accuracy and AUC an epoch of every arm, validation and training: the mean, and from lowest to highest.

    An arm has the color and mark that it has everywhere; marks are hollow for shuffled batches, and dashes tell arms
    of equal marks apart, so no two series look alike without color. The first panel names them all.
    """
    styles = arm_styles([*arms, *(one.arm for one in found)])
    places = {arm: place for place, arm in enumerate(styles)}
    boards = [names_of_arms(found, styles, places)] if found else []
    epochs = max((len(values) for one in found for h in one.histories for values in h.values()), default=0)
    for key, title in (
        ("val_accuracy", "Validation accuracy"),
        ("accuracy", "Training accuracy"),
        ("val_auc", "Validation AUC"),
        ("auc", "Training AUC"),
    ):
        lines = []
        for one in found:
            mean, low, high = (_over(one.histories, key, of) for of in (fmean, min, max))
            lines.append(_Band(one, mean, low, high, styles[one.arm], places[one.arm]))
        if any(value is not None for line in lines for value in line.mean):
            boards.append(_together(title, lines, epochs))
    alt = "Mean over the training runs for each epoch, in percent. " + " ".join(b.alt for b in boards if b.alt)
    return figure(arms_curves, boards, alt)


@dataclass(frozen=True)
class _Band:
    """One arm in one panel: for each epoch the mean, the lowest and the highest of its runs."""

    of: ArmCurves
    mean: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]
    style: ArmStyle
    place: int

    @property
    def dash(self) -> str:
        return DASHES[self.place // 7 % 7]

    @property
    def filled(self) -> bool:
        return self.of.sampling == "weighted"


def names_of_arms(found: Sequence[Any], styles: Mapping[str, ArmStyle], places: Mapping[str, int]) -> Board:
    """The legend: every name whole, in as many lines as it takes; of anything with arm, sampling and label."""
    board, y = Board(), 0.0
    y = board.heading("Arms")
    for one in found:
        style, lines = styles[one.arm], wrap(one.label, WIDTH - 44, SMALL, 99)
        board.open(board.of_arm(one.arm, one.sampling))
        board.line(0, y + 8, 34, y + 8, style.color, width=1.5, dash=DASHES[places[one.arm] // 7 % 7])
        board.mark(17, y + 8, style, filled=one.sampling == "weighted", radius=4)
        for line in lines:
            board.text(42, y + 12, line)
            y += 15
        board.close()
        y += 2
    board.height = y
    board.alt = "Arms: " + ", ".join(one.label for one in found) + "."
    return board


_MARKS = 6  # on each line, at other epochs than those of the next arm
_POINTS = 120  # of a line at most


def _together(title: str, lines: Sequence[_Band], epochs: int) -> Board:
    board = Board()
    top = board.heading(title) + 8
    every = [value for line in lines for values in (line.low, line.high) for value in values if value is not None]
    panel = _Panel(title, {"": every}, (), None, percent, "no values", ends=(0, 1))
    axis = _axis(panel)
    left = max(text_width(name, SMALL) for name in axis.names) + 6
    across = Scale(1, max(epochs, 2), left + 6, WIDTH - 8)
    plot = _Plot(left, top, top + 190, across, Scale(axis.low, axis.high, top + 190, top), axis)
    _grid(board, panel, plot, epochs)
    for line in lines:
        there = [(epoch, value) for epoch, value in enumerate(line.mean, 1) if value is not None]
        thin = there[:: max(1, -(-len(there) // _POINTS))]
        points = [(across(epoch), plot.y(value)) for epoch, value in dict.fromkeys([*thin, *there[-1:]])]
        board.open(board.of_arm(line.of.arm, line.of.sampling))
        if first := line.of.pretraining:
            x, words = across(first + 0.5), f"{line.of.label}: real images from epoch {first + 1} on"
            board.line(x, plot.top, x, plot.bottom, line.style.color, width=1.5, dash=line.dash, title=words)
        if len(points) > 1:
            board.polyline(points, line.style.color, width=1.5, dash=line.dash)
        board.close()
    for place, line in enumerate(lines):  # marks over all lines
        board.open(board.of_arm(line.of.arm, line.of.sampling))
        for epoch in _marked(place, len(lines), sum(value is not None for value in line.mean)):
            value, low, high = (values[epoch - 1] for values in (line.mean, line.low, line.high))
            if value is None or low is None or high is None:
                continue
            x, words = across(epoch), f"{line.of.label}, epoch {epoch}: {percent(value)}"
            if len(line.of.histories) > 1:
                words += f", from {percent(low)} to {percent(high)} in {len(line.of.histories)} runs"
                board.line(x, plot.y(low), x, plot.y(high), line.style.color, width=1.25, title=words)
            board.mark(x, plot.y(value), line.style, filled=line.filled, radius=3.25, title=words)
        board.close()
    board.height = plot.bottom + 34
    board.alt = f"{title}: " + "; ".join(_curve_words(line) for line in lines) + "."
    return board


def _marked(place: int, of: int, epochs: int) -> list[int]:
    """Epochs, from 1, at which a line has a mark: evenly spread, those of the lines beside it in between."""
    marks = min(_MARKS, epochs)
    return sorted({1 + int((i + (place + 0.5) / of) * epochs / marks) for i in range(marks)}) if marks else []


def _curve_words(line: _Band) -> str:
    there = [(epoch, value) for epoch, value in enumerate(line.mean, 1) if value is not None]
    if not there:
        return f"{line.of.label} no values"
    (first, begin), (last, end) = there[0], there[-1]
    best, most = max(there, key=lambda pair: pair[1])
    real = line.of.pretraining + 1
    return (
        f"{line.of.label} from {percent(begin)} at epoch {first} to {percent(end)} at epoch {last}, "
        f"highest {percent(most)} at epoch {best}" + (f", real images from epoch {real} on" if real > 1 else "")
    )


# --- one panel -------------------------------------------------------------------------------------

DASHES = ("", "6 3", "2 3", "9 3 2 3", "4 2", "1 2", "7 2 1 2 1 2")


@dataclass(frozen=True)
class _Axis:
    """The vertical axis: its range, its marks, and whether it is logarithmic."""

    low: float
    high: float
    marks: Sequence[float]
    names: Sequence[str]
    """Of the marks."""
    logarithmic: bool

    def bend(self, value: float) -> float:
        """A value as the axis measures it; `low` and `high` are measured so."""
        return math.log10(value) if self.logarithmic else value


def _axis(panel: _Panel) -> _Axis:
    values, ends = panel.values, panel.ends
    logarithmic = ends is None and not panel.linear and min(values) > 0 and max(values) > 12 * min(values)
    low, high = (math.log10(v) if logarithmic else v for v in (min(values), max(values)))
    pad = max(0.05 * (high - low), 0.005 if ends else 1e-9 + 0.05 * abs(high))
    low, high = low - pad, high + pad
    if ends:
        low, high = max(low, ends[0]), min(high, ends[1])
    marks = _powers(low, high) if logarithmic else ticks(low, high, 4)
    decimals = tick_decimals(marks)
    names = [percent(mark, decimals) if ends else panel.text(mark) for mark in marks]
    return _Axis(low, high, marks, names, logarithmic)


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten between two logarithms; with 2 and 5 times as much where there are too few."""
    marks = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
    if len(marks) >= 3:
        return marks
    more = [m * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
    return [mark for mark in more if low <= math.log10(mark) <= high]


@dataclass(frozen=True)
class _Plot:
    """Where a panel is drawn."""

    left: float
    top: float
    bottom: float
    across: Scale
    up: Scale
    axis: _Axis

    def y(self, value: float) -> float:
        """The height of a value."""
        return self.up(self.axis.bend(value))


def _drawn(panel: _Panel) -> Board:
    board = Board()
    y = board.heading(panel.title)
    if not panel.values:
        return _nothing(board, y, panel)
    chosen = {name: panel.at(line, panel.chosen) for name, line in panel.lines.items()}
    signs = [_line_sign(board, panel.colors[i], DASHES[i % 7]) for i in range(len(chosen))]
    keys = [(f"{name} {value}", sign) for (name, value), sign in zip(chosen.items(), signs, strict=True)]
    top = board.legend(y, keys) + 18
    axis = _axis(panel)
    left = max(text_width(name, SMALL) for name in axis.names) + 6
    across = Scale(1, max(panel.epochs, 2), left + 6, WIDTH - 8)
    plot = _Plot(left, top, top + 150, across, Scale(axis.low, axis.high, top + 150, top), axis)
    if panel.pretraining:
        _shade_first(board, panel.pretraining, plot)
    _grid(board, panel, plot, panel.epochs)
    if panel.chosen is not None:
        _mark_chosen(board, panel.chosen, plot)
    _lines(board, panel, plot)
    _hover(board, panel, plot)
    board.height = plot.bottom + 34
    board.alt = _words(panel, axis)
    return board


def _nothing(board: Board, y: float, panel: _Panel) -> Board:
    board.rect(0, y + 4, WIDTH, 60, "panel", radius=4)
    board.text(WIDTH / 2, y + 38, panel.reason, anchor="middle", fill="muted", italic=True)
    board.height = y + 68
    board.alt = f"{panel.title}: {panel.reason}."
    return board


def _grid(board: Board, panel: _Panel, plot: _Plot, epochs: int) -> None:
    """Lines and numbers of both axes."""
    for mark, name in zip(plot.axis.marks, plot.axis.names, strict=True):
        board.line(plot.left, plot.y(mark), WIDTH, plot.y(mark), "rule")
        board.text(plot.left - 4, plot.y(mark) + 4, name, anchor="end", fill="muted")
    for epoch in sorted({1, *(int(t) for t in ticks(1, max(epochs, 2), 4) if t == int(t) and t > 1)}):
        if epoch <= epochs:
            half = text_width(str(epoch), SMALL) / 2
            x = min(plot.across(epoch), WIDTH - half)
            board.text(x, plot.bottom + 15, str(epoch), anchor="middle", fill="muted")
    board.text(WIDTH, plot.bottom + 30, "epoch", anchor="end", fill="muted")


def _shade_first(board: Board, epochs: int, plot: _Plot) -> None:
    """A shade behind the epochs on generated images; what is right of it is named, or it, where there is no room."""
    end, real = plot.across(epochs + 0.5), "real images"
    board.rect(plot.left, plot.top, end - plot.left, plot.bottom - plot.top, "panel")
    board.line(end, plot.top, end, plot.bottom, "muted")
    if WIDTH - end > text_width(real, SMALL) + 8:
        board.text(end + 4, plot.bottom - 6, real, fill="muted")
    else:
        board.text(end - 4, plot.bottom - 6, "generated images", anchor="end", fill="muted")


def _mark_chosen(board: Board, chosen: int, plot: _Plot) -> None:
    x = plot.across(chosen)
    board.line(x, plot.top - 4, x, plot.bottom, "ink", dash="3 3")
    words = f"kept: epoch {chosen}"
    half = text_width(words, SMALL) / 2
    board.text(min(max(x, plot.left + half), WIDTH - half), plot.top - 8, words, anchor="middle")


def _lines(board: Board, panel: _Panel, plot: _Plot) -> None:
    """One line each; a single value is a mark."""
    for i, line in enumerate(panel.lines.values()):
        points = [(plot.across(epoch), plot.y(value)) for epoch, value in enumerate(line, 1) if value is not None]
        if len(points) > 1:
            board.polyline(points, panel.colors[i], width=2, dash=DASHES[i % 7])
        elif points:
            board.mark(*points[0], ArmStyle(panel.colors[i], "circle"), filled=i % 2 == 0, radius=3.5)


def _hover(board: Board, panel: _Panel, plot: _Plot) -> None:
    """Invisible columns, one an epoch, that say its values."""
    width = (plot.across.end - plot.across.start) / max(panel.epochs - 1, 1)
    for epoch in range(1, panel.epochs + 1):
        x = min(max(plot.across(epoch) - width / 2, plot.left), WIDTH)
        values = ", ".join(f"{name} {panel.at(line, epoch)}" for name, line in panel.lines.items())
        place = f' x="{num(x)}" y="{num(plot.top)}" width="{num(min(width, WIDTH - x))}"'
        place += f' height="{num(plot.bottom - plot.top)}"'
        board.add("rect", place + ' fill="none" pointer-events="all"', f"epoch {epoch}: {values}")


def _words(panel: _Panel, axis: _Axis) -> str:
    """The panel for those who do not see it."""
    where = "no epoch is marked; last values" if panel.chosen is None else f"epoch {panel.chosen} was kept"
    scale = ", logarithmic axis" if axis.logarithmic else ""
    ranges = "; ".join(
        f"{name} from {panel.at(line, 1)} at epoch 1 to {panel.at(line, None)} at epoch {len(line)}"
        + ("" if panel.chosen is None else f", {panel.at(line, panel.chosen)} at the kept one")
        for name, line in panel.lines.items()
    )
    first = f", the first {panel.pretraining} on generated images" if panel.pretraining else ""
    return f"{panel.title}: {panel.epochs} epochs{first}, {where}{scale}; {ranges}."


def _line_sign(board: Board, color: str, dash: str) -> Callable[[float, float], None]:
    return lambda x, y: board.line(x, y, x + 16, y, color, width=2, dash=dash)

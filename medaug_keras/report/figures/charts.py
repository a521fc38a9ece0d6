"""What was measured: arms by data set, classes, curves of training, and how far a study is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medaug_keras.report.figures.svg import (
    BODY,
    SMALL,
    WIDTH,
    Board,
    Figure,
    Scale,
    count,
    figure,
    num,
    percent,
    text_width,
    ticks,
    wrap,
)
from medaug_keras.report.palette import SPLITS, STATES, ArmStyle, arm_styles, shades


@dataclass(frozen=True)
class Cell:
    """One arm with one sampling on one data set. Metrics in [0, 1]; `mean` is None where there is no value."""

    arm: str
    sampling: str
    label: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Replicates behind the mean."""
    reason: str = "not run"
    """Shown instead of a value."""
    baseline: bool = False
    """The others are compared with this one."""


@dataclass(frozen=True)
class ArmsPanel:
    """One data set of `arms_by_dataset`."""

    title: str
    cells: Sequence[Cell]
    note: str = ""


@dataclass(frozen=True)
class LossPanel:
    """The losses of one generator, each a value per epoch; `chosen` is the epoch (from 1) whose weights were kept."""

    title: str
    losses: Mapping[str, Sequence[float]]
    chosen: int | None = None
    reason: str = "not run"


# --- arms by data set ------------------------------------------------------------------------------

_LABELS, _PLOT_END, _MEANS = 116, 246, 288  # where labels end, the plot ends, and means end


def arms_by_dataset(panels: Sequence[ArmsPanel], *, metric: str = "Accuracy", arms: Sequence[str] = ()) -> Figure:
    """Every cell's mean over replicates with its 95 % interval, one panel a data set; a line marks the baseline.

    A cell with one replicate is a mark without an interval; a cell without a value says why in its row. `arms` are all
    arms of the study, so that an arm looks the same in every figure.
    """
    styles = arm_styles([*arms, *(cell.arm for panel in panels for cell in panel.cells)])
    boards = [_arms_panel(panel, metric, styles) for panel in panels]
    alt = f"Test {metric} of each arm, in percent, mean over replicates. " + " ".join(board.alt for board in boards)
    return figure(arms_by_dataset, boards, alt)


def _arms_panel(panel: ArmsPanel, metric: str, styles: Mapping[str, ArmStyle]) -> Board:
    board = Board(alt=_arms_alt(panel))
    top = board.heading(panel.title, panel.note) + 2
    rows, y = [], top + 6
    for cell in panel.cells:
        label = wrap(cell.label, _LABELS - 4, SMALL, 2)
        height = 20 if len(label) == 1 else 30
        rows.append((cell, label, y + height / 2))
        y += height
    low, high = plot_range([(c.mean, c.low, c.high) for c in panel.cells], least=0.02, ends=(0, 1))
    scale = Scale(low, high, _LABELS + 24, _PLOT_END)
    axis(board, scale, top, y + 2, lambda v: percent(v, 0 if high - low >= 0.03 else 1), 3)
    board.text(_MEANS, y + 16, "mean", anchor="end", fill="muted")
    board.text(WIDTH, y + 16, "95 % interval", anchor="end", fill="muted")
    board.text(_LABELS, y + 16, metric, anchor="end", fill="muted")
    for cell, _, _ in rows:
        if cell.baseline and cell.mean is not None:
            x = scale(cell.mean)
            board.line(x, top, x, y + 2, "muted", dash="4 3", title=f"{cell.label} {percent(cell.mean)}")
    for cell, label, middle in rows:
        board.lines(_LABELS, middle, label, anchor="end", bold=cell.baseline, title=cell.label)
        style, filled = styles[cell.arm], cell.sampling == "weighted"
        if cell.mean is None:
            board.lines(scale.start, middle, wrap(cell.reason, WIDTH - scale.start, SMALL, 2), fill="muted", italic=True)
            continue
        title = _cell_title(cell)
        if cell.low is not None and cell.high is not None:
            interval(board, scale, cell.low, cell.high, middle, style.colour)
            spread = f"{percent(cell.low, 1)} to {percent(cell.high, 1)}"
        else:
            spread = "one run" if cell.n == 1 else "no interval"
        board.mark(scale(cell.mean), middle, style, filled=filled, title=title)
        board.text(_MEANS, middle + 4, percent(cell.mean), anchor="end", bold=cell.baseline)
        board.text(WIDTH, middle + 4, spread, anchor="end", fill="muted")
    board.height = y + 22
    return board


def _cell_title(cell: Cell) -> str:
    if cell.mean is None:
        return f"{cell.label}: {cell.reason}"
    text = f"{cell.label}: {percent(cell.mean)}"
    if cell.low is not None and cell.high is not None:
        text += f", 95 % interval {percent(cell.low)} to {percent(cell.high)}"
    return text + f", {cell.n} {'replicate' if cell.n == 1 else 'replicates'}"


def _arms_alt(panel: ArmsPanel) -> str:
    return f"{panel.title}: " + "; ".join(_cell_title(cell) for cell in panel.cells) + "."


def plot_range(
    values: Sequence[tuple[float | None, float | None, float | None]],
    *,
    least: float,
    ends: tuple[float, float] | None = None,
    zero: bool = False,
) -> tuple[float, float]:
    """Ends of an axis for (mean, low, high): all means, and intervals as far as they do not flatten the rest.

    Intervals of two or three replicates can be ten times wider than all means lie apart; they are cut by the plot,
    which then ends them with an arrow.
    """
    means = [mean for mean, _, _ in values if mean is not None] + ([0.0] if zero else [])
    if not means:
        return ends or (-least, least)
    reach = max(3 * (max(means) - min(means)), 2.5 * least)
    lowest = max(min([*means, *(low for _, low, _ in values if low is not None)]), min(means) - reach)
    highest = min(max([*means, *(high for _, _, high in values if high is not None)]), max(means) + reach)
    pad = max(0.06 * (highest - lowest), (least - (highest - lowest)) / 2)
    lowest, highest = lowest - pad, highest + pad
    return (max(lowest, ends[0]), min(highest, ends[1])) if ends else (lowest, highest)


def axis(board: Board, scale: Scale, top: float, bottom: float, text: Callable[[float], str], about: int) -> None:
    """Grid lines from top to bottom and their values below; the first and last stay inside the plot."""
    for value in scale.ticks(about):
        x = scale(value)
        board.line(x, top, x, bottom, "rule")
        board.text(x, bottom + 14, text(value), anchor="middle", fill="muted")


def interval(board: Board, scale: Scale, low: float, high: float, y: float, colour: str, *, width: float = 2) -> None:
    """A line from low to high; an end that lies outside the plot is an arrow head."""
    x1, x2 = scale(low), scale(high)
    board.line(x1, y, x2, y, colour, width=width)
    if low < scale.low:
        board.path(f"M{num(x1 + 5)} {num(y - 4)}L{num(x1)} {num(y)}L{num(x1 + 5)} {num(y + 4)}", stroke=colour, width=width)
    if high > scale.high:
        board.path(f"M{num(x2 - 5)} {num(y - 4)}L{num(x2)} {num(y)}L{num(x2 - 5)} {num(y + 4)}", stroke=colour, width=width)


# --- classes ---------------------------------------------------------------------------------------


def class_distribution(classes: Sequence[str], counts: Mapping[str, Sequence[int]], *, title: str = "") -> Figure:
    """Figs. 10-17. Images of each class in each split: bars show the share of the split, numbers the images."""
    board = Board()
    y = board.heading(title)
    colours = {split: SPLITS.get(split, "grey") for split in counts}
    items = [(f"{split} ({count(sum(n))})", _swatch(board, colours[split])) for split, n in counts.items()]
    y = board.legend(y, items) + 8
    totals = {split: max(sum(n), 1) for split, n in counts.items()}
    largest = max((n / totals[split] for split, ns in counts.items() for n in ns), default=0) or 1
    label_width = min(max([text_width(name, SMALL) for name in classes] + [40]) + 2, 128)
    room = max(text_width(count(n), SMALL) for ns in counts.values() for n in [*ns, 0]) + 46
    scale = Scale(0, largest, label_width + 8, WIDTH - room)
    for i, name in enumerate(classes):
        label = wrap(name, label_width, SMALL, 3)
        height = max(13 * len(counts), 13 * len(label)) + 9
        board.lines(label_width, y + height / 2 - 4, label, anchor="end", title=name)
        for j, (split, numbers) in enumerate(counts.items()):
            share, middle = numbers[i] / totals[split], y + 13 * (j + 0.5)
            said = f"{name}, {split}: {count(numbers[i])} images, {percent(share, 1)} % of the split"
            board.rect(scale.start, middle - 5, max(scale(share) - scale.start, 0.75), 10, colours[split], title=said)
            board.text(scale(share) + 5, middle + 4, f"{count(numbers[i])} · {percent(share, 0)} %", fill="muted")
        y += height
    board.line(scale.start - 0.5, board_top(y, classes, counts), scale.start - 0.5, y - 9, "muted")
    board.height = y - 5
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{count(numbers[i])} {split}" for split, numbers in counts.items())
        for i, name in enumerate(classes)
    )
    return figure(class_distribution, [board], f"{title or 'Class distribution'}. Images of each class. {listed}.")


def _swatch(board: Board, colour: str) -> Callable[[float, float], None]:
    return lambda x, y: board.rect(x, y - 5, 14, 10, colour)


# --- curves ----------------------------------------------------------------------------------------


def learning_curves(history: Mapping[str, Sequence[float]], *, best_epoch: int | None, title: str = "") -> Figure:
    """Figs. 30, 32, ... 44. Accuracy and AUC an epoch, training and validation; the chosen epoch (from 1) is marked."""
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
    """Fig. 27. Losses an epoch, one panel a generator; a logarithmic axis where they lie far apart."""
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
    items = [(name, _line_sign(board, colours[i], _DASHES[i % 7])) for i, name in enumerate(lines)]
    top = board.legend(y, items) + 18
    bottom = top + 150
    epochs = max(len(line) for line in lines.values())
    logarithmic = ends is None and min(values) > 0 and max(values) > 30 * min(values)
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
    decimals = 0 if not ends or high - low >= 0.03 else 1
    names = [text(m) if not ends else percent(m, decimals) for m in marks]
    left = max(text_width(name, SMALL) for name in names) + 6
    across = Scale(1, max(epochs, 2), left + 6, WIDTH - 8)
    up = Scale(low, high, bottom, top)
    for mark, name in zip(marks, names, strict=True):
        board.line(left, up(bend(mark)), WIDTH, up(bend(mark)), "rule")
        board.text(left - 4, up(bend(mark)) + 4, name, anchor="end", fill="muted")
    for epoch in sorted({1, *(int(t) for t in ticks(1, max(epochs, 2), 4) if t == int(t) and t > 1)}):
        if epoch <= epochs:
            board.text(across(epoch), bottom + 15, str(epoch), anchor="middle", fill="muted")
    board.text(WIDTH, bottom + 30, "epoch", anchor="end", fill="muted")
    if chosen is not None:
        x = across(chosen)
        board.line(x, top - 4, x, bottom, "ink", dash="3 3")
        said = f"kept: epoch {chosen}"
        half = text_width(said, SMALL) / 2
        board.text(min(max(x, left + half), WIDTH - half), top - 7, said, anchor="middle")
    for i, (name, line) in enumerate(lines.items()):
        points = [(across(e), up(bend(v))) for e, v in enumerate(line, 1) if v is not None]
        if len(points) > 1:
            board.polyline(points, colours[i], width=2, dash=_DASHES[i % 7])
        elif points:
            board.mark(*points[0], ArmStyle(colours[i], "circle"), filled=i % 2 == 0, radius=3.5)
    _hover(board, lines, across, top, bottom, text)
    board.height = bottom + 34
    board.alt = _curves_alt(title, lines, chosen, text, logarithmic)
    return board

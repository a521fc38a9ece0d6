"""What was measured: arms by data set, classes, and how far a study is."""

import statistics
from collections.abc import Mapping, Sequence
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
    wrap,
)
from medaug_keras.report.format import count, percent, points
from medaug_keras.report.palette import SPLITS, STATES, ArmStyle, arm_styles


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


# --- arms by data set ------------------------------------------------------------------------------

_LABELS, _PLOT_END, _MEANS = 116, 230, 276  # where labels end, the plot ends, and means end


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
    if any(cell.mean is not None for cell in panel.cells):
        axis(board, scale, top, y + 2)
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
            reason = wrap(cell.reason, WIDTH - _PLOT_END - 8, SMALL, 2)
            board.lines(WIDTH, middle, reason, anchor="end", fill="muted", italic=True, title=_cell_title(cell))
            continue
        title = _cell_title(cell)
        if cell.low is not None and cell.high is not None:
            interval(board, scale, cell.low, cell.high, middle, style.color)
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
    halves = [(high - low) / 2 for _, low, high in values if low is not None and high is not None]
    reach = max(0.5 * (max(means) - min(means)), 2.5 * statistics.median_low(halves or [0.0]), 1.5 * least)
    lowest = max(min([*means, *(low for _, low, _ in values if low is not None)]), min(means) - reach)
    highest = min(max([*means, *(high for _, _, high in values if high is not None)]), max(means) + reach)
    pad = max(0.06 * (highest - lowest), (least - (highest - lowest)) / 2)
    lowest, highest = lowest - pad, highest + pad
    return (max(lowest, ends[0]), min(highest, ends[1])) if ends else (lowest, highest)


def axis(board: Board, scale: Scale, top: float, bottom: float, *, signed: bool = False, about: int = 2) -> None:
    """Grid lines from top to bottom with their values, times 100, below; `signed` values are differences."""
    values = scale.ticks(about)
    decimals = tick_decimals(values)
    for value in values:
        x = scale(value)
        board.line(x, top, x, bottom, "rule")
        text = points(value, decimals) if signed else percent(value, decimals)
        board.text(x, bottom + 14, text, anchor="middle", fill="muted")


def interval(board: Board, scale: Scale, low: float, high: float, y: float, color: str, *, width: float = 2) -> None:
    """A line from low to high; an end that lies outside the plot is an arrow head."""
    x1, x2 = scale(low), scale(high)
    board.line(x1, y, x2, y, color, width=width)
    if low < scale.low:
        board.path(
            f"M{num(x1 + 5)} {num(y - 4)}L{num(x1)} {num(y)}L{num(x1 + 5)} {num(y + 4)}", stroke=color, width=width
        )
    if high > scale.high:
        board.path(
            f"M{num(x2 - 5)} {num(y - 4)}L{num(x2)} {num(y)}L{num(x2 - 5)} {num(y + 4)}", stroke=color, width=width
        )


# --- classes ---------------------------------------------------------------------------------------


def class_distribution(classes: Sequence[str], counts: Mapping[str, Sequence[int]], *, title: str = "") -> Figure:
    """Images of each class in each split: bars show the share of the split, numbers the images."""
    board = Board()
    y = board.heading(title)
    colors = {split: SPLITS.get(split, "grey") for split in counts}
    items = [(f"{split} ({count(sum(n))})", board.swatch(colors[split])) for split, n in counts.items()]
    y = top = board.legend(y, items) + 8
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
            text = f"{name}, {split}: {count(numbers[i])} images, {percent(share, 1)} % of the split"
            board.rect(scale.start, middle - 5, max(scale(share) - scale.start, 0.75), 10, colors[split], title=text)
            board.text(scale(share) + 5, middle + 4, f"{count(numbers[i])} · {percent(share, 0)} %", fill="muted")
        y += height
    board.line(scale.start - 0.5, top, scale.start - 0.5, y - 9, "muted")
    board.height = y - 5
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{count(numbers[i])} {split}" for split, numbers in counts.items())
        for i, name in enumerate(classes)
    )
    return figure(class_distribution, [board], f"{title or 'Class distribution'}. Images of each class. {listed}.")


# --- progress --------------------------------------------------------------------------------------


def progress(counts: Mapping[str, int], *, what: str = "runs", head: str = "") -> Figure:
    """How many runs are done, running, pending, blocked, failed or damaged: one bar, and the numbers below.

    `head` stands before them: of what they are.
    """
    states = [state for state in STATES if counts.get(state)]
    unknown = set(counts) - set(STATES)
    if unknown:
        raise ValueError(f"not a state: {', '.join(sorted(unknown))}; a state is one of {', '.join(STATES)}")
    board = Board()
    total = sum(counts.values())
    board.text(0, 13, f"{head}{count(counts.get('done', 0))} of {count(total)} {what} done", size=13, bold=True)
    board.rect(0, 22, WIDTH, 16, "panel", radius=3)
    x = 0.0
    for i, state in enumerate(states):
        # Every state is seen, however rare: at least 3 wide, and the widest gives the room.
        width = _bar_widths([counts[s] for s in states])[i]
        board.rect(
            x,
            22,
            max(width - (1 if i + 1 < len(states) else 0), 1),
            16,
            STATES[state],
            title=f"{counts[state]} {state}",
        )
        x += width
    keys = [(f"{count(counts[state])} {state}", board.swatch(STATES[state])) for state in states]
    board.height = board.legend(46, keys) + 2 if keys else 40
    listed = ", ".join(f"{count(counts[state])} {state}" for state in states) or "nothing planned"
    return figure(progress, [board], f"{head}{'of' if head else 'Of'} {count(total)} {what}: {listed}.")


def _bar_widths(numbers: Sequence[int], least: float = 4) -> list[float]:
    total = sum(numbers)
    widths = [max(n / total * WIDTH, least) for n in numbers]
    widths[widths.index(max(widths))] -= sum(widths) - WIDTH
    return widths

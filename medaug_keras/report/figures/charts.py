"""Axes and intervals of every chart; classes; and how far a study is."""

import math
import statistics
from collections.abc import Mapping, Sequence

from medaug_keras.report.figures.svg import (
    SMALL,
    WIDTH,
    Board,
    Figure,
    Scale,
    figure,
    label_width,
    num,
    text_width,
    tick_decimals,
    wrap,
)
from medaug_keras.report.format import count, percent, points
from medaug_keras.report.palette import SPLITS, STATES

# --- axes ------------------------------------------------------------------------------------------


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
    for value, text in axis_values(scale, signed=signed, about=about):
        x = scale(value)
        board.line(x, top, x, bottom, "rule")
        if text:
            board.text(x, bottom + 14, text, anchor="middle", fill="muted")


def axis_values(scale: Scale, *, signed: bool = False, about: int = 2) -> list[tuple[float, str]]:
    """Where the grid lines of an axis are, and what stands below each: nothing where numbers would touch."""
    values = scale.ticks(about)
    decimals = tick_decimals(values)
    texts = [points(value, decimals) if signed else percent(value, decimals) for value in values]
    apart = scale(values[1]) - scale(values[0]) if len(values) > 1 else math.inf
    every = math.ceil((max(text_width(text, SMALL) for text in texts) + 4) / apart)
    start = values.index(0) % every if 0 in values else 0
    shown = set(range(start, len(values), every))
    if len(shown) < 2:  # 0 alone says no scale: the outermost that do not touch it, or one another
        for i in sorted(range(len(values)), key=lambda i: -abs(i - start)):
            room = {j: (text_width(texts[i], SMALL) + text_width(texts[j], SMALL)) / 2 + 4 for j in shown}
            if all(abs(scale(values[i]) - scale(values[j])) >= room[j] for j in shown):
                shown.add(i)
    return [(value, text if i in shown else "") for i, (value, text) in enumerate(zip(values, texts, strict=True))]


MARGIN, DOTTED = "muted", "2 2"


def with_margin(ends: tuple[float, float], margin: float | None) -> tuple[float, float]:
    """The ends of an axis, so far that both lines of the margin stand within."""
    return ends if margin is None else (min(ends[0], -1.08 * margin), max(ends[1], 1.08 * margin))


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


def class_distribution(
    classes: Sequence[str],
    counts: Mapping[str, Sequence[int]],
    *,
    images: Mapping[str, int] | None = None,
    title: str = "",
) -> Figure:
    """Images of each class in each split: bars show the share of the split, numbers the images.

    `images` of each split must be given where one can be counted several times, or never.
    """
    board = Board()
    y = board.heading(title)
    colors = {split: SPLITS.get(split, "grey") for split in counts}
    whole = {split: sum(n) for split, n in counts.items()} if images is None else images
    items = [(f"{split} ({count(whole[split])})", board.swatch(colors[split])) for split in counts]
    y = top = board.legend(y, items) + 8
    totals = {split: max(whole[split], 1) for split in counts}
    largest = max((n / totals[split] for split, ns in counts.items() for n in ns), default=0) or 1
    labels = label_width(classes, most=128)
    room = max(text_width(count(n), SMALL) for ns in counts.values() for n in [*ns, 0]) + 46
    scale = Scale(0, largest, labels + 8, WIDTH - room)
    for i, name in enumerate(classes):
        label = wrap(name, labels, SMALL, 3)
        height = max(13 * len(counts), 13 * len(label)) + 9
        board.lines(labels, y + height / 2 - 4, label, anchor="end", title=name)
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

"""What differs: average ranks, where variance comes from, and printed values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from medaug_keras.report.figures.charts import axis, plot_range
from medaug_keras.report.figures.svg import (
    SMALL,
    WIDTH,
    Board,
    Figure,
    Scale,
    figure,
    label_width,
    sampling_keys,
    text_width,
    wrap,
)
from medaug_keras.report.format import percent
from medaug_keras.report.palette import ArmStyle, arm_styles


@dataclass(frozen=True)
class Ranked:
    """An arm's average rank over data sets; 1 is best."""

    arm: str
    sampling: str
    label: str
    rank: float


@dataclass(frozen=True)
class VarianceRow:
    """Variances of the single differences (metric squared) between replicates, between images, and the rest."""

    label: str
    replicate: float | None = None
    image: float | None = None
    residual: float | None = None
    reason: str = "not run"


@dataclass(frozen=True)
class PrintedRow:
    """One cell: the printed value and our replicates, as fractions."""

    arm: str
    sampling: str
    label: str
    printed: float | None
    ours: Sequence[float] = ()
    reason: str = "not run"


@dataclass(frozen=True)
class PrintedPanel:
    """One data set of `printed_vs_ours`."""

    title: str
    rows: Sequence[PrintedRow]


# --- average ranks ---------------------------------------------------------------------------------


def critical_difference(
    ranked: Sequence[Ranked],
    *,
    difference: float | None,
    groups: Sequence[Sequence[int]] = (),
    datasets: int,
    note: str = "",
    arms: Sequence[str] = (),
) -> Figure:
    """Average ranks over data sets, best on top; a bar joins the arms of a group, by their places in `ranked`.

    Groups are those that differ by less than the critical difference. Demšar's diagram (2006, JMLR 7:1-30) turned by 90
    degrees, so that long names and many bars do not overlap. `difference` None: no test.
    """
    styles = arm_styles([*arms, *(item.arm for item in ranked)])
    order = sorted(range(len(ranked)), key=lambda place: ranked[place].rank)
    bars = [(order.index(group[0]), order.index(group[-1])) for group in groups]  # a group is in the same order
    ranked = [ranked[place] for place in order]
    board = Board()
    over = "one data set" if datasets == 1 else f"{datasets} data sets"
    top = board.heading(f"Average ranks over {over}", note)
    labels_end, bars_end = max(label_width(item.label for item in ranked), 100.0), WIDTH
    bars_start = bars_end - 9 * len(bars)
    scale = Scale(1, max(len(ranked), 2), labels_end + 14, bars_start - 44)
    y = top + 4
    if difference is not None:
        text = f"critical difference {difference:.2f}"
        x2 = scale(min(1 + difference, scale.high))
        board.polyline(
            [(scale(1), y + 14), (scale(1), y + 22), (scale(1), y + 18), (x2, y + 18), (x2, y + 14), (x2, y + 22)],
            "ink",
        )
        board.text(scale(1), y + 9, text + (" (longer than the axis)" if 1 + difference > scale.high else ""))
        y += 28
    first = y
    named = [wrap(item.label, labels_end, SMALL, 2) for item in ranked]
    step = 20 if all(len(lines) == 1 for lines in named) else 28
    bottom = y + step * len(ranked) + 4
    for value in range(1, len(ranked) + 1, 1 if len(ranked) < 7 else 2 if len(ranked) < 13 else 5):
        board.line(scale(value), first, scale(value), bottom, "rule")
        board.text(scale(value), bottom + 14, str(value), anchor="middle", fill="muted")
    board.text(labels_end, bottom + 14, "rank (1 is best)", anchor="end", fill="muted")
    for i, item in enumerate(ranked):
        middle = first + step * i + step / 2 + 2
        board.open(board.of_arm(item.arm, item.sampling))
        for j, line in enumerate(named[i]):
            there = middle + 4 + 12 * (j - (len(named[i]) - 1) / 2)
            board.text(labels_end, there, line, anchor="end", title=item.label)
        board.line(labels_end + 6, middle, scale(item.rank), middle, "rule")
        text = f"{item.label}: average rank {item.rank:.2f}"
        board.mark(scale(item.rank), middle, styles[item.arm], filled=item.sampling == "weighted", title=text)
        board.text(bars_start - 6, middle + 4, f"{item.rank:.2f}", anchor="end")
        board.close()
    for i, (a, b) in enumerate(bars):
        x = bars_start + 9 * i + 4
        text = "not distinguishable: " + ", ".join(item.label for item in ranked[a : b + 1])
        board.line(x, first + step * a + 5, x, first + step * (b + 1) - 1, "ink", width=4, title=text)
    keys = [(f"average rank{words}", sign) for words, sign in sampling_keys(board, (one.sampling for one in ranked))]
    if bars:
        keys.append(("joins what cannot be distinguished", partial(_bar_sign, board)))
    board.height = board.legend(bottom + 20, keys) + 2
    ranks = "; ".join(f"{item.label} {item.rank:.2f}" for item in ranked)
    if difference is None:
        tail = "No test was made."
    else:
        alike = [", ".join(item.label for item in ranked[a : b + 1]) for a, b in bars]
        tail = f"Critical difference {difference:.2f}. Not distinguishable: " + (" | ".join(alike) or "no pair") + "."
    return figure(
        critical_difference,
        [board],
        f"Average ranks over {over}, 1 is best: {ranks}. {tail} {note}".strip(),
    )


def _bar_sign(board: Board, x: float, y: float) -> None:
    board.line(x + 8, y - 6, x + 8, y + 6, "ink", width=4)


# --- variance --------------------------------------------------------------------------------------

_COMPONENTS = (("replicate", "vermilion"), ("image", "blue"), ("residual", "grey"))
_COMPONENT_WORDS = {"replicate": "between replicates", "image": "between images", "residual": "residual"}


def variance_components(rows: Sequence[VarianceRow]) -> Figure:
    """Shares of the variance of one image's difference: between replicates, between images, and residual."""
    board = Board()
    y = board.legend(0, [(_COMPONENT_WORDS[word], board.swatch(color)) for word, color in _COMPONENTS])
    board.text(0, y + 12, "share of the variance, and standard deviation (SD) in points", fill="muted")
    y += 24
    listed = []
    for row in rows:
        parts = {word: getattr(row, word) for word, _ in _COMPONENTS}
        for line in wrap(row.label, WIDTH, SMALL, 2):
            board.text(0, y + 10, line, title=row.label)
            y += 14
        if any(value is None for value in parts.values()):
            board.text(8, y + 12, row.reason, fill="muted", italic=True)
            listed.append(f"{row.label}: {row.reason}")
            y += 26
            continue
        total = sum(parts.values()) or 1.0
        x = 0.0
        for word, color in _COMPONENTS:
            share = parts[word] / total
            spread = f"{percent(share, 1)} %, SD {percent(parts[word] ** 0.5, 1)} points"
            text = f"{row.label}, {_COMPONENT_WORDS[word]}: {spread}"
            if share > 0:
                gap = 1 if x + share * WIDTH < WIDTH - 1 else 0
                board.rect(x, y, max(share * WIDTH - gap, 0.25), 14, color, title=text)
            x += share * WIDTH
        shares = " · ".join(
            f"{percent(parts[w] / total, 1)} % (SD {percent(parts[w] ** 0.5, 1)})" for w, _ in _COMPONENTS
        )
        board.text(0, y + 27, shares, fill="muted")
        listed.append(
            f"{row.label}: "
            + ", ".join(f"{percent(parts[w] / total, 1)} % {_COMPONENT_WORDS[w]}" for w, _ in _COMPONENTS)
        )
        y += 42
    board.height = y
    return figure(variance_components, [board], "Shares of variance. " + "; ".join(listed) + ".")


# --- printed values --------------------------------------------------------------------------------


def printed_vs_ours(
    panels: Sequence[PrintedPanel], *, short: str, metric: str = "Accuracy", arms: Sequence[str] = ()
) -> Figure:
    """The printed value (a cross) beside ours: the replicates' range as a line, their mean as a mark.

    `short` says who printed it, in a word.
    """
    styles = arm_styles([*arms, *(row.arm for panel in panels for row in panel.rows)])
    boards = [_printed_panel(panel, metric, short, styles) for panel in panels]
    alt = f"Test {metric} in percent, printed ({short}) and ours. " + " ".join(board.alt for board in boards)
    return figure(printed_vs_ours, [*boards, *_printed_legend(panels, short)], alt)


def _printed_legend(panels: Sequence[PrintedPanel], short: str) -> list[Board]:
    board, rows = Board(), [row for panel in panels for row in panel.rows]
    measured = [row for row in rows if row.ours]
    keys = [
        (f"ours, mean over replicates{more}", sign)
        for more, sign in sampling_keys(board, (r.sampling for r in measured))
    ]
    if any(len(row.ours) > 1 for row in measured):
        keys.append(("from our lowest to our highest", lambda x, y: board.line(x, y, x + 16, y, "muted", width=2)))
    if any(row.printed is not None for row in rows):
        keys.append((f"printed by {short}", lambda x, y: _cross(board, x + 8, y)))
    board.height = board.legend(0, keys) + 2
    board.alt = "Legend: " + ", ".join(words for words, _ in keys) + "."
    return [board] if keys else []


def _cross(board: Board, x: float, y: float, title: str = "") -> None:
    for a, b in ((-4, 4), (4, -4)):
        board.line(x - 4, y + a, x + 4, y + b, "ink", width=2, title=title)


def _printed_panel(panel: PrintedPanel, metric: str, short: str, styles: Mapping[str, ArmStyle]) -> Board:
    board = Board(alt=f"{panel.title}: " + "; ".join(_printed_words(row, short) for row in panel.rows) + ".")
    top = board.heading(panel.title) + 2
    labels_end = max(label_width(row.label for row in panel.rows), text_width(metric, SMALL))
    values = [v for row in panel.rows for v in (*row.ours, row.printed) if v is not None]
    scale = Scale(*plot_range([(v, None, None) for v in values], least=0.02, ends=(0, 1)), labels_end + 12, 268)
    rows, y = [], top + 6
    for row in panel.rows:
        label = wrap(row.label, labels_end, SMALL, 3)
        height = 20 + 12 * (len(label) - 1)
        rows.append((row, label, y + height / 2))
        y += height
    axis(board, scale, top, y + 2)
    board.text(labels_end, y + 16, metric, anchor="end", fill="muted")
    board.text(WIDTH - 48, y + 16, f"× {short}", anchor="end", fill="muted")
    board.text(WIDTH, y + 16, "ours", anchor="end", fill="muted")
    for row, label, middle in rows:
        style, text = styles[row.arm], _printed_words(row, short)
        board.open(board.of_arm(row.arm, row.sampling))
        board.lines(labels_end, middle, label, anchor="end", title=row.label)
        if row.ours:
            mean = sum(row.ours) / len(row.ours)
            board.line(scale(min(row.ours)), middle, scale(max(row.ours)), middle, style.color, width=2)
            board.mark(scale(mean), middle, style, filled=row.sampling == "weighted", title=text)
            board.text(WIDTH, middle + 4, percent(mean), anchor="end")
        else:
            board.text(WIDTH, middle + 4, "–", anchor="end", fill="muted", title=text)  # no room for the reason
        if row.printed is not None:
            _cross(board, scale(row.printed), middle, text)
        board.text(WIDTH - 48, middle + 4, "–" if row.printed is None else percent(row.printed), anchor="end")
        board.close()
    board.height = y + 22
    return board


def _printed_words(row: PrintedRow, short: str) -> str:
    printed = f"no value in {short}" if row.printed is None else f"{short} {percent(row.printed)}"
    if not row.ours:
        return f"{row.label}: {printed}, ours {row.reason}"
    mean = percent(sum(row.ours) / len(row.ours))
    spread = f"{percent(min(row.ours))} to {percent(max(row.ours))} in {len(row.ours)} replicates"
    return f"{row.label}: {printed}, ours {mean}" + (f" ({spread})" if len(row.ours) > 1 else " (one replicate)")

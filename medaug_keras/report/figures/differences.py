"""Differences to the baseline with their intervals and verdicts, and every run as a dot: a forest plot."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medaug_keras.report.figures.charts import DOTTED, MARGIN, axis, interval, plot_range, with_margin
from medaug_keras.report.figures.svg import (
    BOLD,
    SMALL,
    WIDTH,
    Board,
    Figure,
    Scale,
    figure,
    label_width,
    num,
    outline,
    sampling_keys,
    text_width,
    wrap,
)
from medaug_keras.report.format import MARKS, of_points, plural, points, replicates_words
from medaug_keras.report.palette import ArmStyle, arm_styles

_GAP = 7  # between columns at least
_COPIES = "control: copies"
_BELOW = 13  # the line below a label
_UNIT = "points"
CONTROL, MAJORITY = "copies of real images", "always naming the largest class"


@dataclass(frozen=True)
class Difference:
    """An arm less the baseline (fractions of 1) with its 95 % interval, and its runs; None where there is none."""

    label: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = "not run"
    arm: str = ""
    sampling: str = ""
    runs: Sequence[float] = ()
    """Of every replicate that both arms have."""
    verdict: str = ""
    """What a corrected test says: better and worse are marked."""
    control: bool = False
    """Whether the arm adds copies of real images, as a control for arms that add generated ones."""
    mean: bool = False
    """Whether it is the mean of the rows above it."""


@dataclass(frozen=True)
class DifferencesPanel:
    """Some of the rows of `differences` below a title of their own."""

    title: str
    rows: Sequence[Difference]
    note: str = ""
    majority: float | None = None
    """Always naming the largest class, less the baseline."""


@dataclass(frozen=True)
class Line:
    """A line across a panel: a value to compare the arms with."""

    words: str
    at: float
    color: str
    dash: str


def differences(
    panels: Sequence[DifferencesPanel],
    *,
    metric: str = "Accuracy",
    arms: Sequence[str] = (),
    test: str = "corrected test",
    margin: float | None = None,
) -> Figure:
    """Every difference to the baseline with its 95 % interval, its verdict and those of its runs; then the legend.

    All panels have the same axis, around 0, with dotted lines at -margin and +margin where there is one. Intervals
    that leave it end in an arrow; the numbers beside are whole.
    `test` says in the legend what verdicts follow.
    """
    styles = arm_styles([*arms, *(row.arm for panel in panels for row in panel.rows)])
    rows = [row for panel in panels for row in panel.rows]
    place = layout(rows, column_of_labels(rows), margin)
    boards = [_panel(panel, styles, place, margin, most_runs(rows)) for panel in panels]
    alt = f"Difference in test {metric} to the baseline in points, with 95 % intervals. "
    alt += " ".join(board.alt for board in boards)
    return figure(differences, [*boards, *_legend(panels, place.scale, test, margin)], alt)


@dataclass(frozen=True)
class Layout:
    """Where the columns of a panel are: labels end at `labels`, values at `values`; the axis lies between."""

    scale: Scale
    labels: float
    values: float


def layout(rows: Sequence[Difference], labels: float, margin: float | None) -> Layout:
    """One layout for all panels that have these rows, with labels as wide as `labels`."""
    ends = plot_range([(row.effect, row.low, row.high) for row in rows], least=0.02, zero=True)
    low, high = with_margin(ends, margin)
    dots = [dot for row in rows for dot in row.runs]
    values, plot_end = _columns(rows)
    return Layout(Scale(min([low, *dots]), max([high, *dots]), labels + 14, plot_end), labels, values)


def column_of_labels(rows: Sequence[Difference]) -> float:
    """How wide the column of labels is."""
    most = most_runs(rows)
    width = label_width([row.label for row in rows] + [text for row in rows if (text := _below(row, most))] + [_UNIT])
    return width * (BOLD if any(row.mean for row in rows) else 1)


def most_runs(rows: Iterable[Difference]) -> int:
    """Of the rows, the most replicates that one rests on: a row of fewer says of how many."""
    return max((len(row.runs) for row in rows), default=0)


def _below(row: Difference, most: int) -> str:
    """What stands below a row's label: that it is a control, and its replicates where others have more."""
    if not 0 < len(row.runs) < most:
        return _COPIES if row.control else ""
    return f"{'control, ' if row.control else ''}{replicates_words(len(row.runs))}"


def row_looks(rows: Sequence[Difference], arms: Sequence[str], labels: float) -> list[dict[str, Any]]:
    """How a page's script draws each row: the lines of its label, and its mark around (0, 0) in its color."""
    styles = arm_styles([*arms, *(row.arm for row in rows)])
    return [
        {
            "label": row.label,
            "lines": wrap(row.label, labels, SMALL, 3),
            "control": row.control,
            "color": styles[row.arm].color,
            "mark": outline(styles[row.arm].shape, 0, 0, 4.5),
        }
        for row in rows
    ]


def _columns(rows: Sequence[Difference]) -> tuple[float, float]:
    """Where values end, and the plot: columns are as wide as their widest text, so that none touch in any font."""
    spreads = [text_width(text, SMALL) for text in ("95 % interval", *map(_spread, rows))]
    values = [BOLD * text_width(_value(row), SMALL) for row in rows if row.effect is not None]
    value_end = WIDTH - max(spreads) - _GAP
    return value_end, value_end - max(values, default=0) - 1.5 * _GAP


def _value(row: Difference) -> str:
    assert row.effect is not None
    return f"{MARKS.get(row.verdict, '')} {points(row.effect)}".strip()


def _spread(row: Difference) -> str:
    """The interval of a row in words; empty where there is no effect."""
    if row.effect is None:
        return ""
    return "no interval" if row.low is None or row.high is None else f"{points(row.low)} to {points(row.high)}"


def _panel(
    panel: DifferencesPanel,
    styles: Mapping[str, ArmStyle],
    place: Layout,
    margin: float | None,
    most: int,
) -> Board:
    scale, labels = place.scale, place.labels
    board = Board(alt=f"{panel.title}: {panel.note} " + "; ".join(map(difference_words, panel.rows)) + ".")
    top = board.heading(panel.title, panel.note) + 2
    rows, y = [], top + 6
    for before, row in zip([None, *panel.rows], panel.rows, strict=False):
        label = wrap(row.label, labels, SMALL, 3)
        apart = row.mean and before is not None and not before.mean
        y += 6 * apart  # a line above it
        below = _below(row, most)
        height = 22 + 13 * (len(label) - 1) + _BELOW * bool(below)
        rows.append((row, label, below, apart, y + height / 2))
        y += height
    bottom = y + 2
    axis(board, scale, top, bottom, signed=True)
    board.line(scale(0), top, scale(0), bottom, "ink")
    board.text(0, bottom + 14, _UNIT, fill="muted")  # where the first number of the axis does not reach
    board.text(WIDTH, bottom + 14, "95 % interval", anchor="end", fill="muted")
    for line in _lines(panel, scale, margin):
        x = scale(line.at)
        title = f"{line.words}: {points(line.at)}"
        board.line(x, top, x, bottom, line.color, dash=line.dash, width=1.5, title=title)
    for row, label, below, apart, middle in rows:
        board.open(board.of_arm(row.arm, row.sampling))
        if apart:
            over = middle - (22 + 13 * (len(label) - 1)) / 2 - 3
            board.line(0, over, WIDTH, over, "rule")
        up = _BELOW / 2 * bool(below)  # room for a line below
        board.lines(labels, middle - up, label, anchor="end", bold=apart, title=_name(row))
        if below:
            at = middle + _BELOW / 2 * len(label) + 4
            board.text(labels, at, below, anchor="end", fill="muted", italic=True, title=_name(row))
        _row(board, row, scale, middle, styles[row.arm], place.values)
        board.close()
    board.height = bottom + 20
    return board


def _lines(panel: DifferencesPanel, scale: Scale, margin: float | None) -> list[Line]:
    at = () if margin is None else (-margin, margin)
    found = [Line(f"the margin, ±{of_points(abs(one))}", one, MARGIN, DOTTED) for one in at]
    if panel.majority is not None and scale.low <= panel.majority <= scale.high:
        found.append(Line(MAJORITY, panel.majority, "ink", "1 3"))
    copies = [row.effect for row in panel.rows if row.control and row.effect is not None]
    if len(copies) == 1:
        found.append(Line(f"the mean of {CONTROL}", copies[0], "muted", "5 3"))
    return found


def _row(board: Board, row: Difference, scale: Scale, y: float, style: ArmStyle, value_end: float) -> None:
    if row.effect is None:
        reason = wrap(row.reason, WIDTH - scale.start, SMALL, 2)
        board.lines(WIDTH, y, reason, anchor="end", fill="muted", italic=True, title=difference_words(row))
        return
    if row.runs:
        board.dots(map(scale, row.runs), y + 7, style.color)
    ends = None if row.low is None or row.high is None else (row.low, row.high)
    if row.mean and ends:
        low, high = map(scale, ends)
        _diamond(board, low, scale(row.effect), high, y, style.color, title=difference_words(row))
    else:
        if ends:
            interval(board, scale, *ends, y - 1, style.color)
        board.mark(scale(row.effect), y - 1, style, filled=row.sampling == "weighted", title=difference_words(row))
    board.text(value_end, y + 4, _value(row), anchor="end", bold=True)
    board.text(WIDTH, y + 4, _spread(row), anchor="end", fill="muted")


def _diamond(board: Board, low: float, x: float, high: float, y: float, color: str, *, title: str = "") -> None:
    d = f"M{num(low)} {num(y)}L{num(x)} {num(y - 6)}L{num(high)} {num(y)}L{num(x)} {num(y + 6)}Z"
    board.path(d, fill=color, stroke=color, title=title)


def _legend(panels: Sequence[DifferencesPanel], scale: Scale, test: str, margin: float | None) -> list[Board]:
    """A board that explains every mark that the panels have."""
    board = Board()
    rows = [row for panel in panels for row in panel.rows if row.effect is not None]
    spans = [(row.low, row.high) for row in rows if row.low is not None and row.high is not None and not row.mean]
    keys: list[tuple[str, Callable[[float, float], None]]] = []
    marked = [row.sampling for row in rows if not (row.mean and row.low is not None)]
    keys += [(f"mean over replicates{more}", sign) for more, sign in sampling_keys(board, marked)]
    if spans:
        keys.append(("its 95 % interval", lambda x, y: board.line(x, y, x + 16, y, "muted", width=2)))
    if any(low < scale.low or high > scale.high for low, high in spans):
        keys.append(("goes on beyond the axis", lambda x, y: interval(board, Scale(0, 1, x, x + 16), 0, 2, y, "muted")))
    if any(row.runs for row in rows):
        keys.append(("one replicate", lambda x, y: board.dots([x + 8], y, "muted")))
    if any(row.mean and row.low is not None for row in rows):
        words = "mean over data sets, as wide as its 95 % interval"
        keys.append((words, lambda x, y: _diamond(board, x, x + 8, x + 16, y, "muted")))
    for line in {line.words: line for panel in panels for line in _lines(panel, scale, margin)}.values():
        keys.append((line.words, _sign_of(board, line)))
    found = {row.verdict for row in rows}
    for word, mark in MARKS.items():
        if word in found:
            keys.append((f"{word}, by the {test}", _glyph(board, mark)))
    if not keys:
        return []
    board.height = board.legend(0, keys) + 2
    board.alt = "Legend: " + ", ".join(words for words, _ in keys) + "."
    return [board]


def _sign_of(board: Board, line: Line) -> Callable[[float, float], None]:
    return lambda x, y: board.line(x, y, x + 15, y, line.color, dash=line.dash, width=1.5)


def _glyph(board: Board, mark: str) -> Callable[[float, float], None]:
    return lambda x, y: board.text(x + 8, y + 4, mark, anchor="middle", bold=True)


def _name(row: Difference) -> str:
    return f"{row.label} (control: {CONTROL})" if row.control else row.label


def difference_words(row: Difference) -> str:
    """A row in words, with its runs."""
    if row.effect is None:
        return f"{_name(row)}: {row.reason}"
    text = f"{_name(row)}: {points(row.effect)}"
    if row.low is None or row.high is None:
        text += ", no interval"
    else:
        text += f", 95 % interval {points(row.low)} to {points(row.high)}"
    text += f", {row.verdict}" if row.verdict in MARKS else ""
    return text + (
        f"; {plural(len(row.runs), 'run')}: {', '.join(points(run) for run in row.runs)}" if row.runs else ""
    )

"""The first page's figure: how far every arm is from the baseline, with every run as a dot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from medaug_keras.report.figures.charts import axis, interval, plot_range
from medaug_keras.report.figures.comparisons import Effect, columns, effect_spread, effect_words
from medaug_keras.report.figures.svg import SMALL, WIDTH, Board, Figure, Scale, figure, text_width, wrap
from medaug_keras.report.format import plural, points
from medaug_keras.report.palette import ArmStyle, arm_styles

_LABELS = 112  # width of labels at most
_COPIES = "control: copies"
CONTROL, MAJORITY = "copies of real images", "always naming the largest class"


@dataclass(frozen=True)
class Difference(Effect):
    """One arm less the baseline, and its runs."""

    arm: str = ""
    sampling: str = ""
    runs: Sequence[float] = ()
    """Of every replicate that both arms have."""
    control: bool = False
    """Whether the arm adds copies of real images, as a control for arms that add generated ones."""


@dataclass(frozen=True)
class DifferencesPanel:
    """One data set of `differences`."""

    title: str
    rows: Sequence[Difference]
    note: str = ""
    majority: float | None = None
    """Always naming the largest class, less the baseline."""


@dataclass(frozen=True)
class Line:
    """A line across a panel: a value to compare the arms with."""

    at: float
    color: str
    dash: str


def differences(panels: Sequence[DifferencesPanel], *, metric: str = "Accuracy", arms: Sequence[str] = ()) -> Figure:
    """Every arm's difference to the baseline with its 95 % interval, and those of its runs; one panel a data set.

    All panels have the same axis, around 0. Intervals that leave it end in an arrow; the numbers beside are whole.
    """
    styles = arm_styles([*arms, *(row.arm for panel in panels for row in panel.rows)])
    rows = [row for panel in panels for row in panel.rows]
    low, high = plot_range([(row.effect, row.low, row.high) for row in rows], least=0.02, zero=True)
    dots = [dot for row in rows for dot in row.runs]
    low, high = min([low, *dots]), max([high, *dots])
    labels = min(max([text_width(row.label, SMALL) for row in rows] + [text_width(_COPIES, SMALL)]) + 2, _LABELS)
    value_end, plot_end = columns(rows)
    scale = Scale(low, high, labels + 14, plot_end)
    boards = [_panel(panel, styles, scale, labels, value_end) for panel in panels]
    alt = f"Difference in test {metric} to the baseline in points, with 95 % intervals. "
    return figure(differences, boards, alt + " ".join(board.alt for board in boards))


def _panel(
    panel: DifferencesPanel, styles: Mapping[str, ArmStyle], scale: Scale, labels: float, value_end: float
) -> Board:
    board = Board(alt=f"{panel.title}: {panel.note} " + "; ".join(map(_words, panel.rows)) + ".")
    top = board.heading(panel.title, panel.note) + 2
    rows, y = [], top + 6
    for row in panel.rows:
        label = wrap(row.label, labels, SMALL, 3)
        height = 22 + 13 * (len(label) - 1) + 13 * row.control
        rows.append((row, label, y + height / 2))
        y += height
    bottom = y + 2
    axis(board, scale, top, bottom, signed=True)
    board.line(scale(0), top, scale(0), bottom, "ink")
    board.text(labels, bottom + 14, "points", anchor="end", fill="muted")
    board.text(WIDTH, bottom + 14, "95 % interval", anchor="end", fill="muted")
    keys: list[tuple[str, Line]] = []
    if panel.majority is not None and scale.low <= panel.majority <= scale.high:
        keys.append((MAJORITY, Line(panel.majority, "ink", "1 3")))
    copies = [row.effect for row in panel.rows if row.control and row.effect is not None]
    if len(copies) == 1:
        keys.append((f"the mean of {CONTROL}", Line(copies[0], "muted", "5 3")))
    for words, one in keys:
        x = scale(one.at)
        board.line(x, top, x, bottom, one.color, dash=one.dash, width=1.5, title=f"{words}: {points(one.at)}")
    for row, label, middle in rows:
        up = 6.5 * row.control  # room for a line below
        board.lines(labels, middle - up, label, anchor="end", title=_name(row))
        if row.control:
            below = middle + 6.5 * len(label) + 4
            board.text(labels, below, _COPIES, anchor="end", fill="muted", italic=True, title=_name(row))
        _row(board, row, scale, middle, styles[row.arm], value_end)
    board.height = board.legend(bottom + 20, [(words, partial(_key, board, one)) for words, one in keys]) + 2
    return board


def _key(board: Board, line: Line, x: float, y: float) -> None:
    board.line(x, y, x + 15, y, line.color, dash=line.dash, width=1.5)


def _row(board: Board, row: Difference, scale: Scale, y: float, style: ArmStyle, value_end: float) -> None:
    if row.effect is None:
        reason = wrap(row.reason, WIDTH - scale.start, SMALL, 2)
        board.lines(WIDTH, y, reason, anchor="end", fill="muted", italic=True, title=_words(row))
        return
    if row.runs:
        board.dots(map(scale, row.runs), y + 7, style.color)
    if row.low is not None and row.high is not None:
        interval(board, scale, row.low, row.high, y - 1, style.color)
    board.mark(scale(row.effect), y - 1, style, filled=row.sampling == "weighted", title=_words(row))
    board.text(value_end, y + 4, points(row.effect, 1), anchor="end", bold=True)
    board.text(WIDTH, y + 4, effect_spread(row), anchor="end", fill="muted")


def _name(row: Difference) -> str:
    return f"{row.label} (control: {CONTROL})" if row.control else row.label


def _words(row: Difference) -> str:
    runs = f"; {plural(len(row.runs), 'run')}: {', '.join(points(run) for run in row.runs)}" if row.runs else ""
    return effect_words(replace(row, label=_name(row))) + runs

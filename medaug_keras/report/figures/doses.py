"""Dose and response: the difference to the baseline against the value of one setting."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from medaug_keras.report.figures.charts import DOTTED, MARGIN, plot_range, with_margin
from medaug_keras.report.figures.differences import Difference, difference_words
from medaug_keras.report.figures.svg import SMALL, WIDTH, Board, Figure, Scale, figure, num, text_width, tick_decimals
from medaug_keras.report.format import points, setting_value
from medaug_keras.report.palette import ArmStyle, arm_styles

_PLOT = 220  # height of the plot
_APART = 9.0  # between series at one value


@dataclass(frozen=True)
class Dose(Difference):
    """The difference of one arm, and its value of the setting."""

    value: float = 0.0


@dataclass(frozen=True)
class DoseSeries:
    """Arms that differ in one setting, trained with one sampling."""

    name: str
    sampling: str
    label: str
    doses: Sequence[Dose]


@dataclass(frozen=True)
class DosePanel:
    """One data set of `dose_response`."""

    title: str
    series: Sequence[DoseSeries]


def dose_response(
    panels: Sequence[DosePanel], *, setting: str, metric: str = "Accuracy", margin: float | None = None
) -> Figure:
    """Differences to the baseline with their 95 % intervals against a setting's values; one panel a data set.

    All panels have the same axes. Values that span a factor of ten or more have a logarithmic axis. Series stand beside
    one another at each value. Intervals that leave the plot end in an arrow. Dotted lines are at -margin and +margin.
    """
    every = [dose for panel in panels for series in panel.series for dose in series.doses]
    styles = arm_styles(["", *(series.name for panel in panels for series in panel.series)])  # grey is the baseline's
    ends = plot_range([(dose.effect, dose.low, dose.high) for dose in every], least=0.02, zero=True)
    low, high = with_margin(ends, margin)
    up = Scale(low, high, _PLOT, 0)
    across = _Across([dose.value for dose in every], _left(up))
    boards = [_panel(panel, styles, across, up, setting, margin) for panel in panels]
    alt = f"Difference in test {metric} to the baseline in points, with 95 % intervals, against {setting}. "
    return figure(dose_response, boards, alt + " ".join(board.alt for board in boards))


class _Across:
    """The axis of the setting: pixels of its values."""

    def __init__(self, values: Sequence[float], left: float) -> None:
        self.values = sorted(set(values))
        self.logarithmic = self.values[0] > 0 and self.values[-1] >= 10 * self.values[0]
        ends = self._at(self.values[0]), self._at(self.values[-1])
        pad = 0 if ends[0] < ends[1] else 1.0  # a single value: in the middle
        self.left = left
        self.scale = Scale(ends[0] - pad, ends[1] + pad, left + 24, WIDTH - 24)

    def _at(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value

    def __call__(self, value: float) -> float:
        return self.scale(self._at(value))


def _left(up: Scale) -> float:
    """Where the plot begins: beside the widest number of the axis of differences."""
    values = up.ticks(4)
    return max(text_width(points(value, tick_decimals(values)), SMALL) for value in values) + 6


def _panel(
    panel: DosePanel,
    styles: Mapping[str, ArmStyle],
    across: _Across,
    up: Scale,
    setting: str,
    margin: float | None,
) -> Board:
    board = Board()
    top = board.heading(panel.title) + 16
    up = replace(up, start=top + _PLOT, end=top)
    board.text(0, top - 6, "difference, points", fill="muted")
    values = up.ticks(4)
    for value in values:
        y = up(value)
        board.line(across.left, y, WIDTH, y, "rule")
        board.text(across.left - 5, y + 4, points(value, tick_decimals(values)), anchor="end", fill="muted")
    board.line(across.left, up(0), WIDTH, up(0), "ink", title="the baseline")
    for at in () if margin is None else (-margin, margin):
        y = up(at)
        board.line(across.left, y, WIDTH, y, MARGIN, dash=DOTTED, width=1.5, title=f"margin: {points(at)}")
    end = -math.inf
    for value in across.values:
        x, text = across(value), setting_value(value)
        half = text_width(text, SMALL) / 2
        board.line(x, top + _PLOT, x, top + _PLOT + 4, "muted")
        if x - half > end + 4:  # numbers do not touch
            board.text(x, top + _PLOT + 16, text, anchor="middle", fill="muted")
            end = x + half
    how = f"{setting} (logarithmic)" if across.logarithmic else setting
    board.text(WIDTH, top + _PLOT + 30, how, anchor="end", fill="muted")
    keys = []
    for place, series in enumerate(panel.series):
        aside = _APART * (place - (len(panel.series) - 1) / 2)
        _series(board, series, styles[series.name], partial(_moved, across, aside), up)
        keys.append((series.label, partial(_key, board, series, styles[series.name])))
    board.height = board.legend(top + _PLOT + 36, keys) + 2
    told = (f"{series.label}: " + "; ".join(map(_words, series.doses)) for series in panel.series)
    board.alt = f"{panel.title}: " + " ".join(f"{words}." for words in told)
    return board


def _moved(across: _Across, aside: float, value: float) -> float:
    return across(value) + aside


def _series(board: Board, series: DoseSeries, style: ArmStyle, across: partial[float], up: Scale) -> None:
    there = [(across(dose.value), dose.effect, dose) for dose in series.doses if dose.effect is not None]
    if len(there) > 1:
        dash = "4 3" if series.sampling == "weighted" else ""
        board.polyline([(x, up(effect)) for x, effect, _ in there], style.color, width=1, dash=dash)
    for x, effect, dose in there:
        if dose.low is not None and dose.high is not None:
            _interval(board, up, dose.low, dose.high, x, style.color)
        board.mark(x, up(effect), style, filled=series.sampling == "weighted", title=f"{series.label}, {_words(dose)}")


def _interval(board: Board, up: Scale, low: float, high: float, x: float, color: str) -> None:
    """An upright line from low to high; an end that lies outside the plot is an arrow head."""
    board.line(x, up(low), x, up(high), color, width=2)
    for outside, y, way in ((low < up.low, up(low), -5), (high > up.high, up(high), 5)):
        if outside:
            wings = f"M{num(x - 4)} {num(y + way)}L{num(x)} {num(y)}L{num(x + 4)} {num(y + way)}"
            board.path(wings, stroke=color, width=2)


def _key(board: Board, series: DoseSeries, style: ArmStyle, x: float, y: float) -> None:
    board.mark(x + 8, y, style, filled=series.sampling == "weighted")


def _words(dose: Dose) -> str:
    return difference_words(replace(dose, label=setting_value(dose.value)))

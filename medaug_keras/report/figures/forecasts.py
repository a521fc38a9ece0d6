"""ROC, precision and recall, and reliability: the arms of a data set overlaid, each a mean over its replicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medaug_keras.report.figures.curves import DASHES, names_of_arms
from medaug_keras.report.figures.svg import SMALL, WIDTH, Board, Figure, Scale, figure, text_width
from medaug_keras.report.format import percent
from medaug_keras.report.palette import ArmStyle, arm_styles

Point = tuple[float, float, float, float]
"""Across, up, and the lowest and the highest of the replicates, fractions of 1."""


@dataclass(frozen=True)
class ForecastMark:
    """A point beside a line, with a ring around it: across, up, and what it is."""

    across: float
    up: float
    words: str


@dataclass(frozen=True)
class ArmLines:
    """One arm in all panels: panel → the points of its line. `replicates` are how many it is the mean of."""

    arm: str
    sampling: str
    label: str
    lines: Mapping[str, Sequence[Point]]
    replicates: int = 1
    marks: Mapping[str, Sequence[ForecastMark]] = field(default_factory=dict)
    """Panel → its points of note."""


@dataclass(frozen=True)
class ForecastPanel:
    """What one panel shows: its name in `ArmLines.lines`, and its axes in words."""

    name: str
    title: str
    across: str
    up: str
    diagonal: bool = False
    """Whether a line on the diagonal stands for something to compare with."""


_MARKS, _HEIGHT = 5, 210


def forecasts(found: Sequence[ArmLines], panels: Sequence[ForecastPanel], *, arms: Sequence[str] = ()) -> Figure:
    """Lines from 0 to 1 on both axes, in percent; marks have a bar from the lowest to the highest replicate."""
    styles = arm_styles([*arms, *(one.arm for one in found)])
    places = {arm: place for place, arm in enumerate(styles)}
    boards = [names_of_arms(found, styles, places)] if found else []
    boards += [
        _panel(panel, found, styles, places) for panel in panels if any(one.lines.get(panel.name) for one in found)
    ]
    return figure(forecasts, boards, "Means over replicates, in percent. " + " ".join(board.alt for board in boards))


def _panel(
    panel: ForecastPanel, found: Sequence[ArmLines], styles: dict[str, ArmStyle], places: dict[str, int]
) -> Board:
    board = Board()
    top = board.heading(panel.title) + 22
    left, bottom = text_width("100", SMALL) + 6, top + _HEIGHT
    across, up = Scale(0, 1, left + 4, WIDTH - 12), Scale(0, 1, bottom, top)
    board.text(0, top - 12, f"{panel.up}, %", fill="muted")
    for value in (0, 0.25, 0.5, 0.75, 1):
        board.line(left, up(value), WIDTH, up(value), "rule")
        board.text(left - 4, up(value) + 4, percent(value, 0), anchor="end", fill="muted")
        board.text(across(value), bottom + 15, percent(value, 0), anchor="middle", fill="muted")
    board.text(WIDTH, bottom + 30, f"{panel.across}, %", anchor="end", fill="muted")
    if panel.diagonal:
        board.line(across(0), up(0), across(1), up(1), "muted", dash="1 3")
    there = [(one, one.lines[panel.name]) for one in found if one.lines.get(panel.name)]
    for one, points in there:
        board.open(board.of_arm(one.arm, one.sampling))
        style, dash = styles[one.arm], DASHES[places[one.arm] // 7 % 7]
        board.polyline([(across(x), up(y)) for x, y, _, _ in points], style.color, width=1.5, dash=dash)
        board.close()
    for place, (one, points) in enumerate(there):  # marks over all lines
        board.open(board.of_arm(one.arm, one.sampling))
        marks = min(_MARKS, len(points))
        for i in sorted({int((i + (place + 0.5) / len(there)) * len(points) / marks) for i in range(marks)}):
            x, y, low, high = points[i]
            words = f"{one.label}, {panel.across} {percent(x)}: {panel.up} {percent(y)}"
            if one.replicates > 1:
                words += f", from {percent(low)} to {percent(high)} in {one.replicates} replicates"
                board.line(across(x), up(low), across(x), up(high), styles[one.arm].color, width=1.25, title=words)
            filled = one.sampling == "weighted"
            board.mark(across(x), up(y), styles[one.arm], filled=filled, radius=3.25, title=words)
        for mark in one.marks.get(panel.name, ()):
            x, y, style = across(mark.across), up(mark.up), styles[one.arm]
            words = f"{one.label}, {mark.words}: {panel.across} {percent(mark.across)}, {panel.up} {percent(mark.up)}"
            board.mark(x, y, ArmStyle(style.color, "circle"), filled=False, radius=6, title=words)
            board.mark(x, y, style, filled=one.sampling == "weighted", radius=3.25, title=words)
        board.close()
    board.height = bottom + 34
    board.alt = f"{panel.title}: " + "; ".join(_words(panel, one.label, points) for one, points in there) + "."
    return board


def _words(panel: ForecastPanel, label: str, points: Sequence[Point]) -> str:
    middle = points[len(points) // 2]
    return f"{label} {percent(middle[1])} at {percent(middle[0])}"

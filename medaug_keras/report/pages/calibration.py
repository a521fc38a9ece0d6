"""Calibration: whether probabilities are what they say, and the curves behind AUC and PR-AUC."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from medaug_keras.evaluation.calibration import BINS
from medaug_keras.report import figures
from medaug_keras.report.figures.forecasts import Point
from medaug_keras.report.numbers.calibration import AT, Array, Judged, Scaled, judged
from medaug_keras.report.numbers.inference import Cell
from medaug_keras.report.numbers.thresholds import point_words
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.tables.calibration import calibration as table_of
from medaug_keras.report.tables.calibration import temperature

MANY = 4
"""With more data sets than this, each has a page of its own."""
SEVERAL = "not looked at where images have several findings"
_PANELS = (
    figures.ForecastPanel("reliability", "Reliability", "probability of the class named", "right", diagonal=True),
    figures.ForecastPanel("roc", "ROC", "false positive rate", "sensitivity", diagonal=True),
    figures.ForecastPanel("precision", "Precision and recall", "recall", "precision"),
)


def calibration(book: Book) -> dict[str, Any]:
    """A figure for each data set with a run, and all numbers as a table."""
    results, found, after = book.results, judged(book.inference), book.scaled
    sections = []
    for dataset in results.datasets:
        here = [one for cell, one in found.items() if cell[0] == dataset]
        same = [one for cell, one in after.items() if cell[0] == dataset]
        why = SEVERAL if results.several(dataset) else "no run of this data set is done yet"
        sections.append(
            {
                "name": dataset,
                "title": results.title(dataset),
                "figure": _curves(book, dataset, here),
                "after": _after(book, dataset, same),
                "reason": why,
            }
        )
    return {
        "apart": len(sections) > MANY,
        "sections": sections,
        "table": book.table(table_of(results, found)),
        "temperature": book.table(temperature(results, found, after)),
    }


def _curves(book: Book, dataset: str, found: Sequence[Judged]) -> Shown | None:
    if not found:
        return None
    results = book.results
    pairs = {(one.group.arm, one.group.sampling): one for one in found}
    lines = []
    for pair in sorted(pairs, key=lambda pair: pair != results.reference):
        one = pairs[pair]
        drawn = {
            "reliability": _points([r[1] for r in one.reliability], np.mean([r[0] for r in one.reliability], axis=0))
        }
        if one.roc:
            drawn |= {"roc": _points(one.roc, AT), "precision": _points(one.precision, AT)}
        marks = _marks(book, (dataset, *pair)) if one.roc else {}
        lines.append(figures.ArmLines(*pair, results.variant(*pair), drawn, len(one.reliability), marks))
    more, classes = " ROC and precision are means over classes, each against the rest.", results.classes(dataset)
    if len(classes) == 2:
        positive = results.positive(dataset)
        more = f" ROC and precision: {classes[1 if positive is None else positive]} is positive."
    if any(line.marks for line in lines):
        more += " Marks in a ring: the operating points."
    return book.figure(
        f"calibration-{dataset}",
        figures.forecasts(lines, _PANELS, arms=results.by_look),
        f"{results.title(dataset)}, test images: means over replicates; bars on marks go from the lowest replicate to "
        f"the highest. Reliability: {BINS} bins of equal size; on the dotted line, probabilities are what they say."
        f"{more}",
    )


def _after(book: Book, dataset: str, found: Sequence[Scaled]) -> Shown | None:
    """Reliability after temperature scaling; None without a run whose temperature is known."""
    results, lines = book.results, []
    for one in sorted(found, key=lambda one: (one.group.arm, one.group.sampling) != results.reference):
        if one.reliability:
            pair = one.group.arm, one.group.sampling
            across = np.mean([r[0] for r in one.reliability], axis=0)
            drawn = {"reliability": _points([r[1] for r in one.reliability], across)}
            lines.append(figures.ArmLines(*pair, results.variant(*pair), drawn, len(one.reliability), {}))
    if not lines:
        return None
    return book.figure(
        f"temperature-{dataset}",
        figures.forecasts(lines, _PANELS[:1], arms=results.by_look),
        f"{results.title(dataset)}, test images after temperature scaling: reliability as above, each run with the "
        "temperature that its validation images give.",
    )


def _points(runs: Sequence[Array], across: Array) -> list[Point]:
    """Mean, lowest and highest of the runs at each place."""
    stacked = np.stack(runs)
    columns = (across, stacked.mean(0), stacked.min(0), stacked.max(0))
    return [(float(x), float(y), float(low), float(high)) for x, y, low, high in zip(*columns, strict=True)]


def _marks(book: Book, cell: Cell) -> dict[str, list[figures.ForecastMark]]:
    """Panel → an arm's operating points, means over its runs."""
    found: dict[str, list[figures.ForecastMark]] = {}
    for place in range(len(book.results.study.operating_points)):
        one = book.operating_points.get((cell, place))
        if one is None:
            continue
        sensitivity, specificity, ppv = (one.estimate(name).mean for name in ("sensitivity", "specificity", "ppv"))
        words = f"threshold for {point_words(one.point)}"
        if sensitivity is not None and specificity is not None:
            found.setdefault("roc", []).append(figures.ForecastMark(1 - specificity, sensitivity, words))
        if sensitivity is not None and ppv is not None:
            found.setdefault("precision", []).append(figures.ForecastMark(sensitivity, ppv, words))
    return found

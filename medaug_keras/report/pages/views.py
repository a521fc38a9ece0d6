"""What the first page shows on demand in place of the study's own tests: another metric, or another baseline.

The page's script draws it, so this is what it needs in numbers. They are few: what every run scored, and the interval
of every two arms. Differences to any arm follow from that. All are in points, as a figure shows them.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from medaug_keras.report.figures import Difference
from medaug_keras.report.figures.charts import axis_values
from medaug_keras.report.figures.differences import column_of_labels, layout, row_looks
from medaug_keras.report.format import plain
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import Comparison, Pair
from medaug_keras.report.numbers.results import METRICS
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.compare import MOST_ARMS
from medaug_keras.report.pages.differences import short_reason

_Two = tuple[Pair, Pair]
"""An arm, and the arm that it is compared with."""


def views(book: Book, datasets: Sequence[str]) -> dict[str, Any] | None:
    """The numbers of these data sets; None where no two arms are compared. Arms stand for themselves by their place."""
    results, base = book.results, book.results.reference
    arms = results.variants()
    if len(arms) < 2 or base not in arms or not datasets:
        return None
    every = 2 < len(arms) <= MOST_ARMS
    twos = [(arm, base) for arm in arms if arm != base]
    twos += [two for two in combinations(arms, 2) if every and base not in two]
    rows = [Difference(plain(results.variant(*arm)), arm=arm[0], control=results.is_copies(arm[0])) for arm in arms]
    labels = column_of_labels(rows)
    primary = results.study.primary
    return {
        "arms": [
            {"name": ".".join(arm), "hollow": arm[1] != "weighted", **look}
            for arm, look in zip(arms, row_looks(rows, results.by_look, labels), strict=True)
        ],
        "base": arms.index(base),
        "bases": [i for i, arm in enumerate(arms) if every or arm == base],
        "sets": [{"title": plain(results.title(d)), "page": book.tests_page(d)} for d in datasets],
        "of": len(results.datasets),
        "labels": round(labels, 1),
        "metrics": [
            _metric(book, metric, datasets, arms, twos, labels)
            for metric in (primary, *(metric for metric in METRICS if metric != primary))
        ],
    }


def _metric(
    book: Book, metric: str, datasets: Sequence[str], arms: Sequence[Pair], twos: Sequence[_Two], labels: float
) -> dict[str, Any]:
    results, inference = book.results, book.inference
    primary = metric == results.study.primary
    margin = inference.margin if primary else None
    found = {d: _compared(book, d, metric, twos) for d in datasets}
    places = {two: f"{arms.index(two[0])}.{arms.index(two[1])}" for two in twos}
    means = {two: inference.mean_over({d: of[two] for d, of in found.items() if two in of}) for two in twos}
    runs, levels = [], []
    for dataset in datasets:
        groups = [results.groups.get((dataset, *arm)) for arm in arms]
        scores = [inference.of_runs(group, metric) if group else {} for group in groups]
        runs.append([[_points(one.get(s)) for s in range(results.replicates)] for one in scores])
        known = [group.estimate(results.select, "test", metric).mean if group else None for group in groups]
        levels.append(list(map(_points, known)))
    bases = {other for _, other in twos} | {arm for arm, _ in twos if len(twos) >= len(arms)}
    return {
        "key": metric,
        "name": METRICS[metric],
        "words": metric_name(metric),
        "margin": _points(margin),
        "majority": [_points(results.majority(d, metric)) for d in datasets],
        "levels": levels,
        "runs": runs,
        "tests": [{places[two]: _test(c, primary) for two, c in found[d].items()} for d in datasets],
        "means": {
            places[two]: [_points(mean.effect), _points(mean.low), _points(mean.high), mean.datasets]
            for two, mean in means.items()
            if mean.effect is not None
        },
        "axes": {arms.index(base): _axis(book, found, base, labels, margin) for base in arms if base in bases},
    }


def _compared(book: Book, dataset: str, metric: str, twos: Sequence[_Two]) -> dict[_Two, Comparison]:
    """Two arms of a data set → how they compare: in the primary metric as the study's tests and *Compare* have it."""
    results, inference = book.results, book.inference
    primary = metric == results.study.primary
    own = inference.tests if primary else inference.exploratory[metric]
    groups = {arm: results.groups[dataset, *arm] for arm in results.variants(dataset)}
    found = {}
    for arm, other in twos:
        if arm not in groups or other not in groups:
            continue
        if other == results.reference:
            found[arm, other] = own[dataset, *arm]
        elif primary:
            found[arm, other] = inference.pairs(dataset)[arm, other]
        else:
            found[arm, other] = inference.compare(groups[arm], groups[other], metric)
    return found


def _test(c: Comparison, primary: bool) -> list[float | str | None]:
    """Ends of the interval and verdict, which other metrics have not; of what cannot be compared the reason."""
    if c.result.effect is None:
        return [short_reason(c)]
    return [_points(c.result.low), _points(c.result.high), *([c.word] if primary else [])]


def _axis(
    book: Book, found: Mapping[str, Mapping[_Two, Comparison]], base: Pair, labels: float, margin: float | None
) -> dict[str, Any]:
    """The axis of all panels with this baseline, and where the values beside it end."""
    rows = []
    for comparisons in found.values():
        for two, c in comparisons.items():
            if base in two and c.result.effect is not None:
                sign = 1 if two[1] == base else -1
                ends = [None if end is None else sign * end for end in (c.result.low, c.result.high)]
                low, high = ends if sign == 1 else reversed(ends)
                runs = [sign * run for run in book.inference.by_replicate(c).values()]
                rows.append(Difference("", sign * c.result.effect, low, high, runs=runs, verdict=c.word))
    place = layout(rows, labels, margin)
    scale = place.scale
    return {
        "low": _points(scale.low),
        "high": _points(scale.high),
        "start": round(scale.start, 1),
        "end": round(scale.end, 1),
        "values": round(place.values, 1),
        "ticks": [[_points(value), text] for value, text in axis_values(scale, signed=True)],
    }


def _points(value: float | None) -> float | None:
    """A fraction in points, as exact as a page with thousands of them can have it."""
    if value is None:
        return None
    rounded = round(100 * value, 3)
    return rounded if rounded or abs(value) < 1e-12 else math.copysign(0.001, value)  # its sign is to be seen

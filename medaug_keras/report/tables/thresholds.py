"""What every arm does at the operating points of a study, beside the baseline."""

from collections.abc import Mapping

from medaug_keras.report.numbers.inference import Cell
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.numbers.thresholds import DRAWS, MEASURES, AtPoint, point_words
from medaug_keras.report.tables.table import (
    DATASET,
    Column,
    Entry,
    Row,
    Table,
    dataset_entry,
    epoch_words,
    variant_entry,
)
from medaug_keras.stats import FEW, Crossed, estimate

_ON_DEMAND = ("ppv", "npv")


def operating_points(results: Results, found: Mapping[tuple[Cell, int], AtPoint]) -> Table:
    """A row for every point and arm of every data set with one, by data set and point."""
    columns = [DATASET, Column("point", "Threshold for"), Column("arm", "Arm", parts=("name",))]
    columns.append(Column("threshold", "Threshold", "number", parts=("sd",)))
    for measure, title in MEASURES.items():
        extra = measure in _ON_DEMAND
        columns += [
            Column(measure, "value", "percent", title, ("low", "high", "n"), extra=extra),
            Column(f"{measure}_difference", "difference", "points", title, ("low", "high", "p"), extra=extra),
        ]
    rows = []
    order = {name: place for place, name in enumerate(results.datasets)}
    for (cell, _), one in sorted(found.items(), key=lambda item: (order[item[0][0][0]], item[0][1])):
        dataset, *pair = cell
        words, arm = point_words(one.point), results.variant(*pair)
        at = estimate([t for t in one.thresholds if t != float("inf")], planned=len(one.thresholds))
        nothing = one.why or "no threshold calls few enough images positive"
        entries = [
            dataset_entry(results, dataset),
            Entry(words),
            variant_entry(results, *pair),
            Entry(at.mean, at.sd, missing=nothing if at.mean is None else ""),
        ]
        for measure in MEASURES:
            entries += [_value(one, measure), _difference(one, measure)]
        rows.append(Row(tuple(entries), {"data set": results.title(dataset), "threshold for": words, "arm": arm}))
    base = results.variant(*results.reference)
    return Table(
        "operating-points",
        f"Operating points on test images, {epoch_words(results)}.",
        tuple(columns),
        tuple(rows),
        "tables.thresholds.operating_points",
        (
            "Every run chooses its thresholds on its validation images: the highest with at least the sensitivity, the "
            "lowest with at least the specificity, or the one with the largest sum of both (Youden’s index). A test "
            "image is called positive where the probability of the positive class is the threshold or more.",
            f"Below a value, its 95 % interval over runs, validation and test images (Korn and Graubard). Differences "
            f"are to “{base}”, with the interval of a crossed analysis to which the variance of the choice of "
            f"validation images is added ({DRAWS} bootstrap draws); p is corrected over all points, measures, arms and "
            "data sets (Benjamini and Hochberg). All of this is exploratory.",
            "Predictive values are those at the share of positive images that the test set has.",
            *(
                ["Few images: so few test images account for the difference that its interval is too narrow."]
                if any(_few(r) for one in found.values() for r in one.differences.values())
                else []
            ),
        ),
        ("data set", "threshold for", "arm"),
        empty="No run of a data set with a positive class is done yet.",
    )


def _value(one: AtPoint, measure: str) -> Entry:
    mean, between = one.estimate(measure), one.intervals.get(measure)
    low, high = between or (None, None)
    return Entry(mean.mean, None, mean.n, mean.planned, low=low, high=high, missing=one.reason(measure))


def _difference(one: AtPoint, measure: str) -> Entry:
    r = one.differences.get(measure)
    if r is None:
        return Entry(missing=one.why or "the baseline itself, or no baseline")
    tags = ("few images",) if _few(r) else ()
    return Entry(r.effect, low=r.low, high=r.high, p=one.rates[measure], missing=r.reason or "", tags=tags)


def _few(r: Crossed) -> bool:
    return r.carried_by is not None and r.carried_by < FEW

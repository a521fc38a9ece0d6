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
    difference_entry,
    epoch_words,
    variant_entry,
)
from medaug_keras.stats import estimate

_ON_DEMAND = ("ppv", "npv")


Points = Mapping[tuple[Cell, int], AtPoint]


def operating_points(results: Results, found: Points) -> Table:
    """A row for every point and arm of every data set with one, by data set and point."""
    return _table(
        results,
        {"": found},
        "operating-points",
        "Operating points on test images",
        "operating_points",
        "Every run chooses its thresholds on its validation images: the highest with at least the sensitivity, the "
        "lowest with at least the specificity, or the one with the largest sum of both (Youden’s index). A test "
        "image is called positive where the probability of the positive class is the threshold or more.",
        "all points, measures, arms and data sets",
    )


def points_elsewhere(results: Results, found: Mapping[str, Points]) -> Table:
    """The same on test sets from elsewhere, by their names in the plan."""
    return _table(
        results,
        found,
        "operating-points-elsewhere",
        "Operating points on images from elsewhere",
        "points_elsewhere",
        "The thresholds are those that every run chose on the validation images of its own data set: whether they hold "
        "elsewhere is what this table shows.",
        "all points, measures, arms and test sets from elsewhere",
    )


def _table(
    results: Results, found: Mapping[str, Points], name: str, caption: str, made_by: str, chosen: str, family: str
) -> Table:
    """A row for every point and arm on the test images of a data set, or on each of its test sets from elsewhere.

    `found`: of each test set, by its name in the plan; "" is the data set's own.
    """
    own = "" in found
    columns = [DATASET] if own else [DATASET, Column("test_set", "Test set")]
    columns += [Column("point", "Threshold for"), Column("arm", "Arm", parts=("name",))]
    columns.append(Column("threshold", "Threshold", "number", parts=("sd",)))
    for measure, title in MEASURES.items():
        extra = measure in _ON_DEMAND
        columns += [
            Column(measure, "value", "percent", title, ("low", "high", "n"), extra=extra),
            Column(f"{measure}_difference", "difference", "points", title, ("low", "high", "p"), extra=extra),
        ]
    rows = []
    order = {name: place for place, name in enumerate(results.datasets)}
    every = [
        (order[cell[0]], at, place, test.rpartition(".")[2], cell, one)
        for at, (test, points) in enumerate(found.items())
        for (cell, place), one in points.items()
    ]
    for *_, test, cell, one in sorted(every, key=lambda item: item[:3]):
        dataset, *pair = cell
        words, arm = point_words(one.point), results.variant(*pair)
        at = estimate([t for t in one.thresholds if t != float("inf")], planned=len(one.thresholds))
        nothing = one.why or "no threshold calls few enough images positive"
        entries = [
            dataset_entry(results, dataset),
            *([] if own else [Entry(test)]),
            Entry(words),
            variant_entry(results, *pair),
            Entry(at.mean, at.sd, missing=nothing if at.mean is None else ""),
        ]
        for measure in MEASURES:
            entries += [_value(one, measure), _difference(one, measure)]
        factors = {"data set": results.title(dataset), **({} if own else {"test set": test})}
        rows.append(Row(tuple(entries), factors | {"threshold for": words, "arm": arm}))
    base = results.variant(*results.reference)
    return Table(
        name,
        f"{caption}, {epoch_words(results)}.",
        tuple(columns),
        tuple(rows),
        f"tables.thresholds.{made_by}",
        (
            chosen,
            f"Below a value, its 95 % interval over runs, validation and test images (Korn and Graubard). Differences "
            f"are to “{base}”, with the interval of a crossed analysis to which the variance of the choice of "
            f"validation images is added ({DRAWS} bootstrap draws); p is corrected over {family} (Benjamini and "
            "Hochberg). All of this is exploratory.",
            "In simulations, intervals of differences in specificity at a threshold for sensitivity are a little too "
            "narrow and leave out 0 too often; p allows for how little few replicates say, and is not too small.",
            "Predictive values are those at the share of positive images that the test set has.",
        ),
        ("data set", *(() if own else ("test set",)), "threshold for", "arm"),
        empty="No run of a data set with a positive class is done yet.",
    )


def _value(one: AtPoint, measure: str) -> Entry:
    mean, between = one.estimate(measure), one.intervals.get(measure)
    low, high = between or (None, None)
    return Entry(mean.mean, None, mean.n, mean.planned, low=low, high=high, missing=one.reason(measure))


def _difference(one: AtPoint, measure: str) -> Entry:
    r = one.differences.get(measure)
    return difference_entry(r, one.rates.get(measure), one.why or "the baseline itself, or no baseline")

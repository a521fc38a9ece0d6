"""Calibration and PR-AUC of every arm, beside the baseline's."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from medaug_keras.evaluation.calibration import BINS, TEMPERATURES
from medaug_keras.report.numbers.calibration import MEASURES, SCALED, Judged, Scaled
from medaug_keras.report.numbers.inference import Cell
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables.table import (
    DATASET,
    Column,
    Entry,
    Row,
    Table,
    dataset_entry,
    epoch_words,
    less_baseline,
    measured,
    variant_entry,
)

_KINDS = {"ece": ("percent", "points"), "pr_auc": ("percent", "points")}
_ELSEWHERE = (DATASET, Column("test_set", "Test set"), Column("arm", "Arm", parts=("name",)))
"""Measure → how its value and its difference are written; the others are numbers from 0 on."""


def calibration(results: Results, found: Mapping[Cell, Judged]) -> Table:
    """A row for every arm of every data set with a result."""
    columns = [DATASET, Column("arm", "Arm", parts=("name",)), Column("auc", "AUC", "percent", parts=("sd", "n"))]
    columns += _columns()
    rows = []
    for (dataset, arm, sampling), one in found.items():
        entries = [dataset_entry(results, dataset), variant_entry(results, arm, sampling)]
        entries += [measured(one.group, results.select, "auc"), *_measures(one)]
        factors = {"data set": results.title(dataset), "arm": results.variant(arm, sampling)}
        rows.append(Row(tuple(entries), factors))
    base = results.variant(*results.reference)
    return Table(
        "calibration",
        f"Calibration and PR-AUC on test images, {epoch_words(results)}.",
        tuple(columns),
        tuple(rows),
        "tables.calibration.calibration",
        (
            f"Differences are to “{base}”, with the 95 % interval over runs and test images of a crossed analysis; p "
            "is corrected over all measures, arms and data sets (Benjamini and Hochberg). All of this is exploratory. "
            "Less is better for the first three, more for PR-AUC.",
            f"Calibration error: the test images in {BINS} bins of equal size by the probability of the class that is "
            "named; the mean over bins, weighted by their images, of the gap between that probability and the share "
            "that is right. It is above 0 by chance alone, the more so the fewer images there are. Brier score: the "
            "squared error of the probabilities, of one class where there are two, else summed over classes. PR-AUC: "
            "average precision, of the positive class where there are two (the second, where the study names none), "
            "else the mean over classes, each against the rest.",
        ),
        ("data set", "arm"),
        empty="No run is done yet.",
    )


def elsewhere(results: Results, found: Mapping[str, Mapping[Cell, Judged]]) -> Table:
    """A row for every arm on every test set from elsewhere, by their names in the plan."""
    return Table(
        "calibration-elsewhere",
        f"Calibration and PR-AUC on images from elsewhere, {epoch_words(results)}.",
        (*_ELSEWHERE, *_columns()),
        _rows_elsewhere(results, found, lambda place, cell: _measures(found[place][cell])),
        "tables.calibration.elsewhere",
        (
            "The networks are those of the page Calibration, which says what the measures are; their probabilities are "
            "taken as they are. PR-AUC depends on the share of positive images of a test "
            f"set. Differences are to “{results.variant(*results.reference)}”; p is corrected over all measures, "
            "arms and test sets from elsewhere (Benjamini and Hochberg). All of this is exploratory.",
        ),
        ("data set", "test set", "arm"),
        empty="No run was tried on images from elsewhere yet.",
    )


def _columns() -> list[Column]:
    """The columns of the measures."""
    columns = []
    for measure, title in MEASURES.items():
        value, difference = _KINDS.get(measure, ("number", "change"))
        columns += [
            Column(measure, "value", value, title, ("sd", "n")),  # type: ignore[arg-type]
            Column(f"{measure}_difference", "difference", difference, title, ("low", "high", "p")),  # type: ignore[arg-type]
        ]
    return columns


def _measures(one: Judged) -> list[Entry]:
    """The measures of an arm, each with its difference to the baseline."""
    entries = []
    for measure in MEASURES:
        mean, why = one.estimate(measure), one.reasons.get(measure, "")
        entries += [Entry(mean.mean, mean.sd, mean.n, mean.planned, missing=why), less_baseline(one, measure)]
    return entries


def temperature(results: Results, found: Mapping[Cell, Judged], after: Mapping[Cell, Scaled]) -> Table:
    """A row for every arm of every data set with a result: its temperature, and the measures before and after."""
    rows = []
    for (dataset, arm, sampling), one in after.items():
        entries = [dataset_entry(results, dataset), variant_entry(results, arm, sampling)]
        factors = {"data set": results.title(dataset), "arm": results.variant(arm, sampling)}
        rows.append(Row((*entries, *_after(found[dataset, arm, sampling], one)), factors))
    return Table(
        "temperature-scaling",
        f"Calibration on test images before and after temperature scaling, {epoch_words(results)}.",
        (DATASET, Column("arm", "Arm", parts=("name",)), *_columns_after()),
        tuple(rows),
        "tables.calibration.temperature",
        (
            "Temperature scaling divides the logarithms of a run's probabilities by one number, the temperature, and "
            "makes them add up to 1 again. Of each run (of each fold, where there are folds) it is the number by which "
            "the log loss on its validation images is least. Above 1, the run was too sure of itself. No other class "
            "is named, so accuracy stays what it is.",
            f"Differences are those after scaling to “{results.variant(*results.reference)}”, scaled too, with the 95 "
            "% interval over runs and test images of a crossed analysis; that temperatures were fitted on few "
            "validation images is not in it. p is corrected over all measures, arms and data sets (Benjamini and "
            "Hochberg). All of this is exploratory. Less is better.",
            *_limits(after.values()),
        ),
        ("data set", "arm"),
        empty="No run is done yet.",
    )


def temperature_elsewhere(
    results: Results, found: Mapping[str, Mapping[Cell, Judged]], after: Mapping[str, Mapping[Cell, Scaled]]
) -> Table:
    """A row for every arm on every test set from elsewhere, by their names in the plan."""
    return Table(
        "temperature-scaling-elsewhere",
        f"Calibration on images from elsewhere before and after temperature scaling, {epoch_words(results)}.",
        (*_ELSEWHERE, *_columns_after()),
        _rows_elsewhere(results, after, lambda place, cell: _after(found[place][cell], after[place][cell])),
        "tables.calibration.temperature_elsewhere",
        (
            "The temperatures are those that every run has from the validation images of its own data set, as the page "
            "Calibration has them: whether they hold elsewhere is what this table shows. No image from elsewhere is "
            "used to fit one.",
            f"Differences are those after scaling to “{results.variant(*results.reference)}”, scaled too; p is "
            "corrected over all measures, arms and test sets from elsewhere (Benjamini and Hochberg). All of this is "
            "exploratory. Less is better.",
            *_limits(one for here in after.values() for one in here.values()),
        ),
        ("data set", "test set", "arm"),
        empty="No run was tried on images from elsewhere yet.",
    )


def _rows_elsewhere(
    results: Results, found: Mapping[str, Collection[Cell]], measured: Callable[[str, Cell], Sequence[Entry]]
) -> tuple[Row, ...]:
    """A row for every arm of `found` on every test set from elsewhere; `measured` follows the columns `_ELSEWHERE`."""
    rows = []
    for place, here in found.items():
        test = place.rpartition(".")[2]
        for cell in here:
            dataset, *pair = cell
            entries = (dataset_entry(results, dataset), Entry(test), variant_entry(results, *pair))
            factors = {"data set": results.title(dataset), "test set": test, "arm": results.variant(*pair)}
            rows.append(Row((*entries, *measured(place, cell)), factors))
    return tuple(rows)


def _limits(found: Iterable[Scaled]) -> tuple[str, ...]:
    """What the tag of a temperature at a limit means, where one has it."""
    if not any(one.at_limit for one in found):
        return ()
    low, high = TEMPERATURES
    return (
        f"At a limit: temperatures are looked for from {low:g} to {high:g}. In so many runs the log loss falls further "
        "beyond that, so the least was not found: on their validation images probabilities tell little (at "
        f"{high:g}), or hardly an image is wrong (at {low:g}).",
    )


def _columns_after() -> list[Column]:
    """The columns of a temperature, and of the measures before and after scaling."""
    columns = [Column("temperature", "Temperature", "number", parts=("sd", "n"))]
    for measure in SCALED:
        value, difference = _KINDS.get(measure, ("number", "change"))
        title = MEASURES[measure]
        columns += [
            Column(f"{measure}_before", "before", value, title),  # type: ignore[arg-type]
            Column(f"{measure}_after", "after", value, title, ("sd", "n")),  # type: ignore[arg-type]
            Column(f"{measure}_difference", "difference, after", difference, title, ("low", "high", "p")),  # type: ignore[arg-type]
        ]
    return columns


def _after(before: Judged, after: Scaled) -> list[Entry]:
    """What an arm has in these columns."""
    t = after.temperature
    ends = (f"at a limit {after.at_limit}/{len(after.fitted)}",) if after.at_limit else ()
    entries = [Entry(t.mean, t.sd, t.n, t.planned, missing=after.reason, tags=ends)]
    for measure in SCALED:
        mean = after.estimate(measure)
        entries.append(Entry(before.estimate(measure).mean))
        entries.append(Entry(mean.mean, mean.sd, mean.n, mean.planned, missing=after.reason))
        entries.append(less_baseline(after, measure))
    return entries

"""Error in grades and quadratic-weighted kappa of every arm, beside accuracy."""

from collections.abc import Mapping

from medaug_keras.report.numbers.grades import MEASURES, Graded
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


def grades(results: Results, found: Mapping[Cell, Graded]) -> Table:
    """A row for every arm with a result of every data set whose classes are grades."""
    columns = [
        DATASET,
        Column("arm", "Arm", parts=("name",)),
        Column("accuracy", "Accuracy", "percent", parts=("sd", "n")),
    ]
    for measure, title in MEASURES.items():
        columns += [
            Column(measure, "value", "number", title, ("sd", "n")),
            Column(f"{measure}_difference", "difference", "change", title, ("low", "high", "p")),
        ]
    rows = []
    for (dataset, arm, sampling), one in found.items():
        entries = [dataset_entry(results, dataset), variant_entry(results, arm, sampling)]
        entries.append(measured(one.group, results.select, "accuracy"))
        for measure in MEASURES:
            mean = one.estimate(measure)
            entries.append(Entry(mean.mean, mean.sd, mean.n, mean.planned, missing=one.reasons.get(measure, "")))
            entries.append(less_baseline(one, measure))
        factors = {"data set": results.title(dataset), "arm": results.variant(arm, sampling)}
        rows.append(Row(tuple(entries), factors))
    return Table(
        "grades",
        f"Errors in grades on test images, {epoch_words(results)}.",
        tuple(columns),
        tuple(rows),
        "tables.grades.grades",
        (
            "Classes are taken as grades in the order in which they stand. Error in grades: by how many grades the "
            "class that is named is off, on average; less is better. Quadratic-weighted kappa: 1 less the mean "
            "squared number of grades off, relative to what it would be if classes were named as often, but by "
            "chance; more is better, 1 is perfect.",
            f"Differences are to “{results.variant(*results.reference)}”, with the 95 % interval over runs and test "
            "images of a crossed analysis; p is corrected over both measures, all arms and data sets (Benjamini and "
            "Hochberg). All of this is exploratory.",
        ),
        ("data set", "arm"),
        empty="No run is done yet.",
    )

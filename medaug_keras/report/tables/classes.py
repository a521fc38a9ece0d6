"""Recall and precision of each class by arm, or AUC of each of several findings, beside the baseline's."""

from collections.abc import Iterable
from typing import TypeVar

from medaug_keras.report.format import together
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import Inference, OfClass, OfFinding
from medaug_keras.report.numbers.results import Results
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
from medaug_keras.stats import Estimate

One = TypeVar("One", OfClass, OfFinding)


def classes(results: Results, inference: Inference) -> Table:
    """Every class of every data set, arm by arm, the baseline first."""
    columns = (
        DATASET,
        Column("class", "Class"),
        Column("images", "Test images", "count"),
        Column("arm", "Arm", parts=("name",)),
        Column("recall", "Recall", "percent", parts=("sd", "n")),
        Column(
            "difference",
            "Difference in recall (points)",
            "points",
            parts=("low", "high", "p"),
            help="To the baseline, with its 95 % interval and p corrected by Benjamini and Hochberg",
        ),
        Column("precision", "Precision", "percent", parts=("sd",)),
        Column("precision_difference", "Difference in precision (points)", "points"),
    )
    rows = [
        Row(
            (
                dataset_entry(results, one.group.dataset),
                Entry(name := results.classes(one.group.dataset)[one.number]),
                Entry(one.images),
                variant_entry(results, one.group.arm, one.group.sampling),
                *_numbers(one),
            ),
            {
                "data set": results.title(one.group.dataset),
                "class": name,
                "arm": results.variant(one.group.arm, one.group.sampling),
            },
        )
        for one in ordered(results, inference.by_class.values())
    ]
    base = results.variant(*results.reference)
    return Table(
        "class-by-class",
        f"Recall and precision of each class, {epoch_words(results)}.",
        columns,
        tuple(rows),
        "tables.classes.classes",
        (
            f"Exploratory: the study's own question is test {metric_name(results.study.primary)}. Differences are to "
            f"{base}, over the replicates that both have. Recall has the crossed analysis of the main test, on the "
            "images of the class; its interval is that of the single comparison, and p is corrected over all cells of "
            "this table (Benjamini and Hochberg).",
            "Precision has no interval: which images count in it differs from run to run. A replicate that never "
            "predicts a class has no precision there.",
        ),
        ("data set", "class", "arm"),
        empty="No run is done yet.",
    )


def ordered(results: Results, found: Iterable[One], dataset: str | None = None) -> list[One]:
    """By data set (or those of one), class or finding, and arm, the baseline first."""
    place = {pair: (pair != results.reference, i) for i, pair in enumerate(results.variants())}
    return sorted(
        (one for one in found if dataset in (None, one.group.dataset)),
        key=lambda one: (
            results.datasets.index(one.group.dataset),
            one.number,
            place[one.group.arm, one.group.sampling],
        ),
    )


def findings(results: Results, inference: Inference) -> Table:
    """Every finding of the data sets whose images have several, arm by arm, the baseline first."""
    splits = {"train": "Training", "validation": "Validation", "test": "Test"}
    columns = (
        DATASET,
        Column("finding", "Finding"),
        *(Column(f"{split}_share", title, "percent", "Images with it (%)") for split, title in splits.items()),
        Column("images", "Test images with it", "count"),
        Column("arm", "Arm", parts=("name",)),
        Column("auc", "AUC", "percent", parts=("sd", "n")),
        Column(
            "difference",
            "Difference in AUC (points)",
            "points",
            parts=("low", "high", "p"),
            help="To the baseline, with its 95 % interval and p corrected over findings and arms (Holm)",
        ),
    )
    rows = []
    for one in ordered(results, inference.by_finding.values()):
        dataset, pair = one.group.dataset, (one.group.arm, one.group.sampling)
        record = results.data(dataset).record
        counts = record.values["splits"] if record is not None else {}
        there = [counts[s]["per_class"][one.number] / counts[s]["images"] if counts else None for s in splits]
        head = (dataset_entry(results, dataset), Entry(name := results.classes(dataset)[one.number]))
        rows.append(
            Row(
                (
                    *head,
                    *(Entry(share, missing="" if counts else "the data were not read yet") for share in there),
                    Entry(counts["test"]["per_class"][one.number] if counts else None),
                    variant_entry(results, *pair),
                    _entry(
                        one.auc,
                        one.group.reason or "it needs test images with the finding, and without",
                        one.group.page,
                    ),
                    difference_entry(one.result, one.holm),
                ),
                {"data set": results.title(dataset), "finding": name, "arm": results.variant(*pair)},
            )
        )
    out = {d: [results.classes(d)[k] for k in left] for d, left in inference.left_out.items() if left}
    return Table(
        "finding-by-finding",
        f"AUC of each finding, {epoch_words(results)}.",
        columns,
        tuple(rows),
        "tables.classes.findings",
        (
            f"Exploratory: the study's own question is test {metric_name(results.study.primary)}. Differences are to "
            f"{results.variant(*results.reference)}, over the replicates that both have, by the crossed analysis of "
            "the main test; the interval is that of the single comparison, and p is corrected over all findings and "
            "arms of the data set (Holm).",
            *(
                f"{results.title(d)}: no test of a mean over findings has {together(names)}."
                for d, names in out.items()
            ),
        ),
        ("data set", "finding", "arm"),
        empty="No run is done yet.",
    )


def found_together(results: Results, dataset: str) -> Table:
    """How many images of a data set have both of two findings."""
    record = results.data(dataset).record
    names = results.classes(dataset)
    counts = record.values.get("together", []) if record is not None else []
    return Table(
        f"together-{dataset}",
        f"Images of {results.title(dataset)} that have both findings, of all splits.",
        (Column("finding", "Finding"), *(Column(f"with.{k}", name, "count") for k, name in enumerate(names))),
        tuple(Row((Entry(name), *map(Entry, row))) for name, row in zip(names, counts, strict=True)),
        "tables.classes.found_together",
        ("On the diagonal, all images with the finding.",),
    )


def _numbers(one: OfClass) -> tuple[Entry, ...]:
    if one.result is None:
        difference = precision = difference_entry(None, None)
    else:
        difference = difference_entry(one.result, one.fdr)
        precision = Entry(
            one.precision_difference,
            missing="" if one.precision_difference is not None else "no replicate in which both predict the class",
        )
    none = "no test image of this class" if not one.images else one.group.reason
    return (
        _entry(one.recall, none, one.group.page),
        difference,
        _entry(one.precision, one.group.reason or "no run predicts this class", ""),
        precision,
    )


def _entry(found: Estimate, missing: str, page: str) -> Entry:
    return Entry(found.mean, found.sd, found.n, found.planned, missing=missing if found.mean is None else "", href=page)

"""Recall and precision of each class by arm, beside the baseline's."""

from collections.abc import Sequence

from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import Inference, OfClass
from medaug_keras.report.numbers.results import Results
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
from medaug_keras.stats import FEW, Estimate


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
        for one in ordered(results, inference)
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
            *(
                ["Few images: so few test images account for the difference that its interval is too narrow."]
                if any(_few(one) for one in inference.by_class.values())
                else []
            ),
        ),
        ("data set", "class", "arm"),
        empty="No run is done yet.",
    )


def ordered(results: Results, inference: Inference, dataset: str | None = None) -> Sequence[OfClass]:
    """By data set (or those of one), class and arm, the baseline first."""
    place = {pair: (pair != results.reference, i) for i, pair in enumerate(results.variants())}
    there = [one for one in inference.by_class.values() if dataset in (None, one.group.dataset)]
    return sorted(
        there,
        key=lambda one: (
            results.datasets.index(one.group.dataset),
            one.number,
            place[one.group.arm, one.group.sampling],
        ),
    )


def _numbers(one: OfClass) -> tuple[Entry, ...]:
    if one.result is None:
        difference = precision = Entry(missing="the baseline itself, or no baseline")
    else:
        r = one.result
        tags = ("few images",) if _few(one) else ()
        difference = Entry(r.effect, low=r.low, high=r.high, p=one.fdr, missing=r.reason or "", tags=tags)
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


def _few(one: OfClass) -> bool:
    r = one.result
    return r is not None and r.carried_by is not None and r.carried_by < FEW

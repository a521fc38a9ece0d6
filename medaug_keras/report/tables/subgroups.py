"""The primary metric and recall of every arm on some of the test images, beside the baseline's."""

from collections.abc import Mapping, Sequence

from medaug_keras.data import FEW_IMAGES
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.report.numbers.subgroups import OfSubgroup
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

SMALL = "small subgroup"


def subgroups(results: Results, found: Sequence[OfSubgroup]) -> Table:
    """Every subgroup of every data set, arm by arm, the baseline first."""
    return _table(results, {"": found}, "subgroups", "the test images", "subgroups", "data set", "data sets")


def subgroups_elsewhere(results: Results, found: Mapping[str, Sequence[OfSubgroup]]) -> Table:
    """The same of test sets from elsewhere, by their names in the plan."""
    return _table(
        results,
        found,
        "subgroups-elsewhere",
        "images from elsewhere",
        "subgroups_elsewhere",
        "test set",
        "test sets from elsewhere",
    )


def _table(
    results: Results,
    found: Mapping[str, Sequence[OfSubgroup]],
    name: str,
    of_images: str,
    made_by: str,
    source: str,
    family: str,
) -> Table:
    """`found`: of each test set, by its name in the plan; "" is every data set's own."""
    own = "" in found
    primary = results.study.primary
    change = f"Difference in {metric_name(primary)} (points)"
    columns = (
        DATASET,
        *(() if own else (Column("test_set", "Test set"),)),
        Column("column", "Column"),
        Column("subgroup", "Subgroup"),
        Column("images", "Test images", "count"),
        Column("groups", "Groups", "count", help="Of test images that belong together, such as a patient's"),
        Column("arm", "Arm", parts=("name",)),
        Column(primary, METRICS[primary], "percent", parts=("sd", "n")),
        Column("recall", "Recall", "percent", parts=("sd", "n")),
        Column("difference", "to the baseline", "points", change, ("low", "high", "p")),
        Column("apart", "less that of the other subgroups", "points", change, ("low", "high", "p")),
    )
    rows = []
    for place, one in ((place, one) for place, here in found.items() for one in here):
        of, pair, dataset = one.subgroup, (one.group.arm, one.group.sampling), one.group.dataset
        test, why = place.rpartition(".")[2], one.reason or one.group.reason
        no_recall = "images have several findings" if results.several(dataset) else why or "no image of the class"
        rows.append(
            Row(
                (
                    dataset_entry(results, dataset),
                    *(() if own else (Entry(test),)),
                    Entry(of.column),
                    Entry(of.name, tags=(SMALL,) if of.small else ()),
                    Entry(of.images),
                    Entry(of.groups, missing="" if of.groups is not None else f"the {source} names no groups"),
                    variant_entry(results, *pair),
                    _value(one.value, why),
                    _value(one.recall, no_recall),
                    difference_entry(one.result, one.fdr),
                    difference_entry(one.apart, one.apart_fdr),
                ),
                {
                    "data set": results.title(dataset),
                    **({} if own else {"test set": test}),
                    "column": of.column,
                    "subgroup": of.name,
                    "arm": results.variant(*pair),
                },
            )
        )
    return Table(
        name,
        f"{METRICS[primary]} and recall in subgroups of {of_images}, {epoch_words(results)}.",
        columns,
        tuple(rows),
        f"tables.subgroups.{made_by}",
        (
            f"Exploratory: the study's own question is test {metric_name(primary)} of all images. Differences are to "
            f"{results.variant(*results.reference)}, over the replicates that both have, by the crossed analysis of "
            "the main test on the images of the subgroup; the interval is that of the single comparison.",
            "Less that of the other subgroups: the difference in the subgroup less the difference on the test images "
            "with another value of the column, with the interval of the same analysis. Only this column compares "
            "subgroups: that an arm is better in one and not distinguishable in another does not say that it helps "
            "them differently. Each of the two columns is a family of its own over all subgroups, arms and "
            f"{family} (Benjamini and Hochberg).",
            "Recall: of the positive class where the study names one, else the mean over the classes that the "
            "subgroup has. Subgroups stand in the order of their values, and are never ranked. "
            f"Small subgroup: fewer than {FEW_IMAGES} test images, or groups of them.",
        ),
        ("data set", *(() if own else ("test set",)), "column", "subgroup", "arm"),
        empty="No run is done yet." if own else "No run was tried on images from elsewhere yet.",
    )


def _value(found: Estimate, why: str) -> Entry:
    return Entry(found.mean, found.sd, found.n, found.planned, missing=why if found.mean is None else "")

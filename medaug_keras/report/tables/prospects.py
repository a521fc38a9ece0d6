"""What a study could show, before it has shown it."""

from collections.abc import Mapping, Sequence

from medaug_keras.report.format import of_points, plural
from medaug_keras.report.numbers.findings import DETECTABLE, metric_name
from medaug_keras.report.numbers.prospects import Prospect
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables.table import DATASET, Column, Entry, Row, Table, dataset_entry

NEVER = "no number of replicates suffices: there are too few test images"


def _size(size: float | None, why: str) -> Entry:
    if size is None:
        return Entry(missing=why)
    return Entry(missing="no difference, however large, would be found") if size >= 1 else Entry(size)


def prospects(results: Results, found: Sequence[Prospect], seconds: Mapping[str, float | None]) -> Table:
    """A row a data set; `seconds` has what one replicate of it takes, where that is known."""
    wanted = of_points(found[0].difference) if found else "1 point"
    with_these = f"{DETECTABLE} (points)"
    columns = (
        DATASET,
        Column("images", "Test images", "count"),
        Column("low", "from", "size", with_these),
        Column("high", "to", "size", with_these),
        Column("fewest", "from", "count", f"Replicates to see {wanted}"),
        Column("most", "to", "count", f"Replicates to see {wanted}"),
        Column("time_low", "from", "seconds", "Time of these, one process"),
        Column("time_high", "to", "seconds", "Time of these, one process"),
        Column("source", "Variances of", "sentence"),
    )
    rows = []
    for one in found:
        each, sizes = seconds.get(one.dataset), one.detectable
        why = "one replicate: there is no test" if one.replicates < 2 else "nothing is known of the variances"
        ends = (None, None) if sizes is None else (sizes.low, sizes.high)
        unknown = "no task of each kind is done, so times are not known"
        rows.append(
            Row(
                (
                    dataset_entry(results, one.dataset),
                    Entry(one.images),
                    *(_size(size, why) for size in ends),
                    *(Entry(n, missing="" if n else NEVER) for n in (one.fewest, one.most)),
                    *(
                        Entry(None if n is None or each is None else n * each, missing=NEVER if n is None else unknown)
                        for n in (one.fewest, one.most)
                    ),
                    Entry(one.source) if one.precedents else Entry(missing="nothing is known"),
                )
            )
        )
    return Table(
        "prospects",
        f"What all {plural(results.replicates, 'replicate')} could show in test {metric_name(results.study.primary)}.",
        columns,
        tuple(rows),
        "tables.prospects.prospects",
        (
            f"{DETECTABLE}: the smallest true difference to the baseline that is found with 80 % power, with p "
            f"corrected for all arms of the data set and {plural(results.replicates, 'replicate')} done. From the "
            "lower to the upper 90 % limits of the variances named. Those shipped with the program are of a small CNN "
            "and 28 x 28 pixels, so they are a first guess: two replicates of the study itself say more.",
            "Variances of the study's own runs are means over arms here. The sentence and the tests on "
            "Significance are of each arm's own variances, and of the replicates so far, so their numbers are others.",
        ),
    )

"""Two arms, or two studies, side by side."""

from collections.abc import Mapping, Sequence

from medaug_keras.report.format import together, verdict_words, within
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import Cell, Comparison, Pair, Theirs
from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.report.tables.table import (
    DATASET,
    Column,
    Entry,
    Row,
    Table,
    dataset_entry,
    epoch_words,
    few_tags,
    interval_note,
    measured,
    notes_of,
    variant_entry,
)
from medaug_keras.stats import estimate

_DIFFERENCE = (
    Column("effect", "Difference (points)", "points", parts=("low", "high")),
    Column("verdict", "Verdict", parts=("p",)),
)


def _difference(c: Comparison, words: Mapping[str, str]) -> tuple[Entry, Entry]:
    r, why = c.result, c.result.reason or ""
    said = words.get(c.word) or verdict_words(c.word)
    if c.margin and c.word == "equivalent":
        said = f"equivalent ({within(c.margin)})"
    return Entry(r.effect, low=r.low, high=r.high, missing=why, tags=few_tags(r)), Entry(said, p=c.p)


def pairs(results: Results, found: Mapping[str, Mapping[tuple[Pair, Pair], Comparison]]) -> Table:
    """Every arm against every other, data set by data set."""
    metric = results.study.primary
    columns = (
        DATASET,
        Column("first", "First arm", parts=("name",)),
        Column("second", "Second arm", parts=("name",)),
        Column("first_score", "first", "percent", METRICS[metric], ("sd", "n")),
        Column("second_score", "second", "percent", METRICS[metric], ("sd", "n")),
        *_DIFFERENCE,
    )
    words = {"better": "the first is better", "worse": "the second is better"}
    rows = []
    for dataset, here in found.items():
        for (one, other), c in here.items():
            scores = (measured(group, results.select, metric) for group in (c.group, c.base))
            names = (variant_entry(results, *pair) for pair in (one, other))
            difference = _difference(c, words)
            factors = {"data set": results.title(dataset), "verdict": str(difference[1].value)}
            rows.append(Row((dataset_entry(results, dataset), *names, *scores, *difference), factors))
    return Table(
        "pairs",
        f"Test {metric_name(metric)} of every two arms, {epoch_words(results)}: the first less the second.",
        columns,
        tuple(rows),
        "tables.compare.pairs",
        (
            "Verdict and p of a pair with the baseline, or of an arm with as many copies, are those of the study's own "
            "test on Significance. Every other pair is exploratory, and its p is corrected over all pairs of the data "
            "set (Holm, 5 %). The 95 % interval is that of the pair alone.",
            *interval_note(c for here in found.values() for c in here.values()),
            *notes_of(rows),
        ),
        ("data set", "verdict"),
        empty="A data set needs two arms.",
    )


def theirs(results: Results, name: str, found: Sequence[Theirs]) -> Table:
    """The study's baseline beside what networks of others, of this name, say of the same test images."""
    metric = results.study.primary
    columns = (
        DATASET,
        Column("ours", "Ours", "percent", METRICS[metric], ("sd", "n")),
        Column("theirs", "Theirs", "percent", METRICS[metric], ("sd", "n")),
        *_DIFFERENCE,
    )
    words = {"better": "ours is better", "worse": "theirs is better"}
    rows = []
    for one in found:
        c, scores = one.comparison, one.scores
        spread = estimate(scores, planned=len(one.runs))
        head = dataset_entry(results, one.dataset), measured(c.group, results.select, metric)
        missing = "" if scores else c.result.reason or ""
        there = Entry(spread.mean, spread.sd, spread.n, spread.planned, missing=missing)
        rows.append(Row((*head, there, *_difference(c, words)), {"data set": results.title(one.dataset)}))
    notes = [
        "Theirs is computed here from the probabilities in their prediction files, one file a run; ours is shown "
        f"{epoch_words(results)}. The difference is over all runs of both, by the crossed analysis of runs and test "
        "images for runs that share nothing; p is corrected over all lines (Holm, 5 %).",
        "Their files do not tell with which images and settings these networks were trained, nor how their epoch was "
        "chosen. Their runs share no seed with ours, so no two are paired: only images are, and the order of the files "
        "decides nothing. A difference may come of anything that is not the same.",
    ]
    data = {one.dataset: results.data(one.dataset).record for one in found}
    copies = [results.title(name) for name, record in data.items() if record and record.values["source"] != "official"]
    if copies:
        notes.append(f"{together(copies)}: our file is an unverified copy; its test images are taken for theirs.")
    return Table(
        f"theirs-{name}",
        f"Test {metric_name(metric)} of {results.variant(*results.reference)}, less that of their networks.",
        columns,
        tuple(rows),
        "tables.compare.theirs",
        (
            *notes,
            *interval_note(one.comparison for one in found),
            *notes_of(rows),
        ),
        ("data set",),
        empty="No data set of this study has prediction files.",
    )


def studies(results: Results, other: Results, found: Mapping[Cell, Comparison]) -> Table:
    """What both studies have: scores, and the difference where they tested the same images."""
    metric = results.study.primary
    columns = (
        DATASET,
        Column("arm", "Arm", parts=("name",)),
        Column("here", "This study", "percent", METRICS[metric], ("sd", "n")),
        Column("beside", f"Study {other.study.name}", "percent", METRICS[metric], ("sd", "n")),
        *_DIFFERENCE,
    )
    words = {"better": "this study is better", "worse": f"{other.study.name} is better"}
    which = "the replicates that both have"
    if any(c.result.unpaired for c in found.values()):
        which = "all replicates of both, of which no two are paired: the studies have other seeds"
    rows = tuple(
        Row(
            (
                dataset_entry(results, cell[0]),
                variant_entry(results, *cell[1:]),
                measured(c.group, results.select, metric),
                Entry(**{**vars(measured(c.base, other.select, metric)), "href": ""}),
                *_difference(c, words),
            ),
            {"data set": results.title(cell[0])},
        )
        for cell, c in found.items()
    )
    return Table(
        "studies",
        f"Test {metric_name(metric)} of what both studies have, each {epoch_words(results)}: this one less the other.",
        columns,
        rows,
        "tables.compare.studies",
        (
            f"The difference is that of {which}. It is tested where both studies tested the same "
            "images; p is corrected over all lines that are (Holm, 5 %). "
            "What else differs between the studies is in the table of settings.",
            *interval_note(found.values()),
            *notes_of(rows),
        ),
        empty="The two studies have no data set and arm in common.",
    )

"""Tests → tables: effects with intervals and corrected p, and what the design could have shown."""

from collections.abc import Mapping

from .inference import Cell, Comparison, Inference
from .results import METRICS, SAMPLINGS, Results
from .table import Column, Entry, Row, Table, dataset_entry

_EFFECT = (
    Column("effect", "Effect", "points", "Difference (points)"),
    Column("low", "95 % low", "points", "Difference (points)"),
    Column("high", "95 % high", "points", "Difference (points)"),
)


def _head(results: Results, cell: Cell) -> tuple[Entry, ...]:
    dataset, arm, sampling = cell
    return dataset_entry(results, dataset), Entry(results.label(arm)), Entry(SAMPLINGS[sampling])


def _factors(results: Results, cell: Cell) -> dict[str, str]:
    return {"data set": results.title(cell[0]), "arm": results.label(cell[1]), "sampling": SAMPLINGS[cell[2]]}


def _effect(c: Comparison) -> tuple[Entry, ...]:
    r = c.result
    why = r.reason or c.group.reason
    return Entry(r.effect, missing=why, href=c.group.page), Entry(r.low, missing=why), Entry(r.high, missing=why)


_HEAD = (Column("dataset", "Data set"), Column("arm", "Arm"), Column("sampling", "Sampling"))


def tests(results: Results, inference: Inference) -> Table:
    """Every arm against the baseline on the primary metric, corrected: the confirmatory tests."""
    columns = (
        *_HEAD,
        Column("verdict", "Verdict"),
        *_EFFECT,
        Column("p", "p", "p"),
        Column("holm", "p, Holm", "p", help="Corrected over the arms of the data set"),
        Column("fdr", "p, BH", "p", help="Corrected over all cells by Benjamini and Hochberg, exploratory"),
        Column("detectable", "Detectable", "percent", help="Smallest true difference found with 80 % power"),
        Column("chance", "P(beats)", "percent", help="Chance that a run of the arm scores above a run of the baseline"),
        Column("boot_low", "low", "points", "Bootstrap check"),
        Column("boot_high", "high", "points", "Bootstrap check"),
        Column("replicates", "n", "count"),
    )
    rows = []
    for cell, c in inference.tests.items():
        why = c.result.reason or ""
        future = c.outlook
        low, high = c.bootstrap or (None, None)
        entries = (
            *_head(results, cell),
            Entry(c.word, href=c.group.page),
            *_effect(c),
            Entry(c.result.p, missing=why),
            Entry(c.holm, missing=why),
            Entry(c.fdr, missing=why),
            Entry(None if future is None else future.detectable, missing=why or "not known"),
            Entry(c.chance, missing=why),
            Entry(low, missing=why),
            Entry(high, missing=why),
            Entry(c.result.replicates),
        )
        rows.append(Row(entries, {**_factors(results, cell), "verdict": c.word}))
    return Table(
        "tests",
        f"Test {METRICS[results.study.primary]} of every arm against {results.variant(*results.reference)}.",
        columns,
        tuple(rows),
        "evidence_tables.tests",
        (
            "Crossed replicates × images analysis (as in multi-reader multi-case studies). The verdict "
            "follows the p that "
            "Holm's method corrects over the arms of a data set, at 5 %; the interval is that of the single "
            "comparison. "
            "The bootstrap over replicates and images is a check, not a test. n: replicates that both arms have.",
        ),
        ("data set", "arm", "sampling", "verdict"),
        empty="The study has no arm beside its baseline.",
    )


def exploratory(results: Results, inference: Inference) -> Table:
    """The same on the other metrics: exploratory."""
    columns = (*_HEAD, Column("metric", "Metric"), *_EFFECT, Column("p", "p", "p"), Column("fdr", "p, BH", "p"))
    rows = []
    for metric, found in inference.exploratory.items():
        for cell, c in found.items():
            why = c.result.reason or ""
            entries = (
                *_head(results, cell),
                Entry(METRICS[metric]),
                *_effect(c),
                Entry(c.result.p, missing=why),
                Entry(c.fdr, missing=why),
            )
            rows.append(Row(entries, {**_factors(results, cell), "metric": METRICS[metric]}))
    return Table(
        "exploratory",
        "The other metrics: exploratory.",
        columns,
        tuple(rows),
        "evidence_tables.exploratory",
        ("For AUC, balanced accuracy and F1 the analysis takes jackknife pseudo-values over the test images.",),
        ("data set", "arm", "sampling", "metric"),
        empty="The study has no arm beside its baseline.",
    )


def controls(results: Results, inference: Inference) -> Table:
    """Generated images against as many copies of real ones: is it new images or more steps?"""
    return _simple(
        results,
        inference.controls,
        "controls",
        "Generated images against copies of real images, same sampling.",
        "evidence_tables.controls",
        "The study has no control arm with copies of real images.",
    )


def _simple(
    results: Results, found: Mapping[Cell, Comparison], name: str, caption: str, made_by: str, empty: str
) -> Table:
    columns = (
        *_HEAD,
        Column("verdict", "Verdict"),
        *_EFFECT,
        Column("p", "p", "p"),
        Column("holm", "p, Holm", "p"),
        Column("replicates", "n", "count"),
    )
    rows = []
    for cell, c in found.items():
        why = c.result.reason or ""
        entries = (
            *_head(results, cell),
            Entry(c.word, href=c.group.page),
            *_effect(c),
            Entry(c.result.p, missing=why),
            Entry(c.holm, missing=why),
            Entry(c.result.replicates),
        )
        rows.append(Row(entries, {**_factors(results, cell), "verdict": c.word}))
    return Table(name, caption, columns, tuple(rows), made_by, (), ("data set", "arm", "sampling"), empty)


def across(results: Results, inference: Inference) -> Table:
    """Every arm over all data sets: random-effects mean with Hartung and Knapp's interval."""
    columns = (
        Column("arm", "Arm"),
        *_EFFECT,
        Column("p", "p", "p"),
        Column("holm", "p, Holm", "p"),
        Column("tau", "Between data sets, SD", "percent"),
        Column("prediction_low", "low", "points", "On one more data set"),
        Column("prediction_high", "high", "points", "On one more data set"),
        Column("datasets", "Data sets", "count"),
    )
    rows = []
    for one in inference.across:
        m, why = one.meta, one.meta.reason or ""
        few = why or "needs three data sets"
        rows.append(
            Row(
                (
                    Entry(results.variant(one.arm, one.sampling)),
                    Entry(m.effect, missing=why),
                    Entry(m.low, missing=why),
                    Entry(m.high, missing=why),
                    Entry(m.p, missing=why),
                    Entry(one.holm, missing=why),
                    Entry(m.tau, missing=why),
                    Entry(m.prediction_low, missing=few),
                    Entry(m.prediction_high, missing=few),
                    Entry(m.datasets),
                )
            )
        )
    return Table(
        "across",
        f"Mean difference over data sets in test {METRICS[results.study.primary]}.",
        columns,
        tuple(rows),
        "evidence_tables.across",
        ("Random effects, interval by Hartung and Knapp. The last interval is where one more data set would lie.",),
        empty="The study has no arm beside its baseline.",
    )


def planning(results: Results, inference: Inference) -> Table:
    """What another replicate would buy, per data set and arm, and how many are needed to see one point."""
    columns = (
        *_HEAD,
        Column("detectable", "now", "percent", "Detectable difference (points)"),
        Column("with_one_more", "one replicate more", "percent", "Detectable difference (points)"),
        Column("floor", "any number", "percent", "Detectable difference (points)"),
        Column("needed", "Replicates to see 1 point", "count"),
    )
    rows = []
    for cell, c in inference.tests.items():
        future = c.outlook
        if future is None:
            rest = [Entry(missing=c.result.reason or "not known")] * 4
        else:
            never = "no number of replicates will do: there are too few test images"
            rest = [
                Entry(future.detectable),
                Entry(future.with_one_more),
                Entry(future.floor),
                Entry(future.replicates_needed, missing=never if future.replicates_needed is None else ""),
            ]
        rows.append(Row((*_head(results, cell), *rest), _factors(results, cell)))
    return Table(
        "planning",
        "What this many replicates could have shown.",
        columns,
        tuple(rows),
        "evidence_tables.planning",
        ("At 80 % power and 5 %, for a single comparison; corrected for many it is more.",),
        ("data set", "arm", "sampling"),
        empty="The study has no arm beside its baseline.",
    )

"""Tests → tables: effects with intervals and corrected p, and what the design could have shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from medaug_keras.report.format import of_points, plural, verdict_words
from medaug_keras.report.numbers import printed
from medaug_keras.report.numbers.circumstances import moment
from medaug_keras.report.numbers.findings import (
    DETECTABLE,
    can_be_said,
    cannot_be_said,
    caution,
    metric_name,
    room,
)
from medaug_keras.report.numbers.inference import Cell, Comparison, Inference
from medaug_keras.report.numbers.results import METRICS, SAMPLINGS, SELECT_WORDS, Results
from medaug_keras.report.tables.table import (
    ARM,
    DATASET,
    Column,
    Entry,
    Row,
    Table,
    comparison_tags,
    dataset_entry,
    epoch_words,
    few_tags,
    interval_note,
    margin_note,
    measured,
    not_begun,
    variant_entry,
)
from medaug_keras.stats import Range

_EFFECT = (
    Column("effect", "Effect", "points", "Difference (points)"),
    Column("low", "95 % low", "points", "Difference (points)"),
    Column("high", "95 % high", "points", "Difference (points)"),
)


def _head(results: Results, cell: Cell) -> tuple[Entry, ...]:
    dataset, arm, sampling = cell
    return dataset_entry(results, dataset), variant_entry(results, arm, sampling)


def _factors(results: Results, cell: Cell) -> dict[str, str]:
    return {"data set": results.title(cell[0]), "arm": results.label(cell[1]), "sampling": SAMPLINGS[cell[2]]}


def _effect(c: Comparison) -> tuple[Entry, ...]:
    r = c.result
    why = r.reason or c.group.reason
    effect = Entry(r.effect, missing=why, href=c.group.page, tags=few_tags(r))
    return effect, Entry(r.low, missing=why), Entry(r.high, missing=why)


_DETECTABLE = f"{DETECTABLE}, corrected"
NOT_KNOWN = "not known: nothing varied between runs"
_HEAD = (DATASET, ARM)
_REPLICATES = (
    Column("replicates", "compared", "count", "Replicates", help="Replicates that both arms have"),
    Column("planned", "planned", "count", "Replicates"),
)


_EVER = Column("holm_ever", "p, Holm, ever", "p", help="Corrected over all arms that the log has for the data set")


def _equivalence(margin: float | None) -> tuple[Column, ...]:
    """The column with p of equivalence, where there is a margin."""
    if margin is None:
        return ()
    return (Column("equivalence", "p, equivalence", "p", help=f"{_of_equivalence(margin)}; corrected as p is"),)


def _of_equivalence(margin: float) -> str:
    return f"Two one-sided tests: that the true difference is {of_points(margin)} or more"


def _equivalent(c: Comparison) -> tuple[Entry, ...]:
    """Its entry."""
    why = c.result.reason or ("few images carry the difference" if c.few else "")
    return () if c.margin is None else (Entry(c.p_equivalence, missing=why),)


def _replicates(c: Comparison) -> tuple[Entry, Entry]:
    return Entry(c.result.replicates), Entry(len(c.group.runs))


def _rows(
    results: Results,
    found: Mapping[Cell, Comparison],
    columns: Sequence[Column],
    factors: Sequence[str],
    row: Callable[[Cell, Comparison], Row],
) -> tuple[Row, ...]:
    """A row for every comparison, and one for a data set of which nothing was run yet."""
    rows = []
    for dataset in results.datasets:
        here = {cell: c for cell, c in found.items() if cell[0] == dataset}
        if here and dataset not in results.begun:
            rows.append(not_begun(results, dataset, columns, factors))
        else:
            rows += [row(cell, c) for cell, c in here.items()]
    return tuple(rows)


def test_anchor(dataset: str, arm: str, sampling: str) -> str:
    """Anchor of a comparison's row in the table of tests."""
    return f"test.{dataset}.{arm}.{sampling}"


def claims(results: Results, inference: Inference) -> Table:
    """What can and cannot be said of every arm, beside what references printed."""
    metric = results.study.primary
    columns = [DATASET, ARM]
    arms = [pair for pair in results.variants() if pair != results.reference]
    cited = [reference for reference in results.references if any(reference.words(*pair) for pair in arms)]
    for reference in cited:
        title = f"{reference.called[:1].upper()}{reference.called[1:]}"
        columns.append(Column(reference.name, title, "points", help="Difference of its printed values"))
    columns += [
        Column("verdict", "Verdict", "verdict", parts=("p",)),
        Column("effect", "Difference (points)", "points", parts=("low", "high", "n")),
        Column("can", "What can be said", "sentence"),
        Column("cannot", "What cannot be said", "sentence"),
    ]
    factors = ("data set", "arm", "verdict")

    def row(cell: Cell, c: Comparison) -> Row:
        dataset, arm, sampling = cell
        label, r = results.variant(arm, sampling), c.result
        why = r.reason or ""
        first: list[Entry] = [dataset_entry(results, dataset), variant_entry(results, arm, sampling)]
        theirs = printed.differences(results, cited, *cell)
        for reference, value in zip(cited, theirs, strict=True):
            best = reference.best(dataset, metric)
            tags = ("its best model",) if best and best.cell == reference.word(arm, sampling) else ()
            missing = "" if value is not None else f"{reference.called} has no such cell"
            first.append(Entry(value, missing=missing, tags=tags))
        named = [(r.called, value) for r, value in zip(cited, theirs, strict=True) if value is not None]
        entries = (
            *first,
            Entry(c.word, p=c.p, href=c.group.page, tags=comparison_tags(c, results.select)),
            Entry(r.effect, low=r.low, high=r.high, n=r.replicates, planned=len(c.group.runs), missing=why),
            Entry(can_be_said(c, inference.controls.get(cell), caution(results, inference, c), room(results, c))),
            Entry(cannot_be_said(c, inference.controls.get(cell), named, generated=results.study.arms[arm].mixes)),
        )
        return Row(entries, {"data set": results.title(dataset), "arm": label, "verdict": verdict_words(c.word)})

    notes = [
        f"Test {metric_name(metric)} against {results.variant(*results.reference)}. The verdict follows p, which is "
        "corrected over all arms of the data set (Holm, 5 %); the 95 % interval is that of the comparison alone; n "
        "counts the replicates that both arms have.",
        *margin_note(inference.margin),
    ]
    notes += [
        f"{r.called[:1].upper()}{r.called[1:]}: difference of its printed values. {r.caution}".strip() for r in cited
    ]
    return Table(
        "claims",
        "What can and cannot be said of every arm.",
        tuple(columns),
        _rows(results, inference.tests, columns, factors, row),
        "tables.evidence.claims",
        tuple(notes),
        factors,
        empty="The study has no arm beside its baseline.",
    )


def in_column(results: Results, inference: Inference, dataset: str) -> Table:
    """The arms of one data set as a paper prints them in a column: score, difference to the baseline, p; and p of
    equivalence where there is a margin."""
    metric, margin = results.study.primary, inference.margin
    columns = (
        Column("arm", "Arm"),
        Column("score", "Mean", "percent", parts=("sd",)),
        Column("effect", "Difference [95 %]", "effect", parts=("low", "high")),
        Column("p", "p", "p"),
        *_equivalence(margin),
    )
    rows = []
    for arm, sampling in results.variants(dataset):
        group, c = results.groups[dataset, arm, sampling], inference.tests.get((dataset, arm, sampling))
        entries: list[Entry] = [variant_entry(results, arm, sampling), measured(group, results.select, metric)]
        if c is None:
            entries += [Entry(missing="the baseline")] * (len(columns) - 2)
        else:
            why = c.result.reason or ""
            entries += [
                Entry(c.result.effect, low=c.result.low, high=c.result.high, missing=why),
                Entry(c.p_difference, missing=why),
                *_equivalent(c),
            ]
        rows.append(Row(tuple(entries)))
    return Table(
        f"column-{dataset}",
        f"Test {metric_name(metric)} (%) on {results.title(dataset)}.",
        columns,
        tuple(rows),
        "tables.evidence.in_column",
        (
            f"Mean ± standard deviation of {plural(results.replicates, 'replicate')}, {epoch_words(results)}; "
            f"difference to {results.variant(*results.reference)} in points, with the 95 % interval of the comparison "
            "alone; p of a difference, corrected over the arms by Holm's method.",
            *([] if margin is None else [f"{_of_equivalence(margin)}; corrected likewise."]),
        ),
    )


def tests(results: Results, inference: Inference) -> Table:
    """Every arm against the baseline on the primary metric, corrected: the confirmatory tests."""
    larger = any(c.family_ever > c.family for c in inference.tests.values())
    columns = (
        *_HEAD,
        Column("verdict", "Verdict", "verdict"),
        *_EFFECT,
        Column("p", "p", "p", help="Before correction"),
        Column("holm", "p, Holm", "p", help="Corrected over all arms of the data set, tested or not"),
        *_equivalence(inference.margin),
        *[_EVER] * larger,
        Column("detectable_low", "from", "size", _DETECTABLE, help="By the verdict, if runs and images vary little"),
        Column("detectable_high", "to", "size", _DETECTABLE, help="By the verdict, if runs and images vary much"),
        Column(
            "fdr",
            "p, BH",
            "p",
            extra=True,
            help="Corrected over all tested cells (Benjamini and Hochberg), exploratory",
        ),
        Column(
            "chance",
            "Pairs of runs it wins",
            "percent",
            extra=True,
            help="Of all pairs of a run of the arm and one of the baseline, those in which the arm scores higher; a "
            "draw counts half",
        ),
        Column("boot_low", "low", "points", "Bootstrap check", extra=True),
        Column("boot_high", "high", "points", "Bootstrap check", extra=True),
        *_REPLICATES,
    )
    factors = ("data set", "arm", "sampling", "verdict")

    def row(cell: Cell, c: Comparison) -> Row:
        why = c.result.reason or ""
        low, high = c.bootstrap or (None, None)
        entries = (
            *_head(results, cell),
            Entry(c.word, href=c.group.page, tags=comparison_tags(c, results.select)),
            *_effect(c),
            Entry(c.result.p_family, missing=why),
            Entry(c.holm, missing=why),
            *_equivalent(c),
            *[Entry(c.holm_ever, missing=why)] * larger,
            *_detectable(c.detectable, why),
            Entry(c.fdr, missing=why),
            Entry(c.chance, missing=why),
            Entry(low, missing=why),
            Entry(high, missing=why),
            *_replicates(c),
        )
        return Row(entries, {**_factors(results, cell), "verdict": verdict_words(c.word)}, test_anchor(*cell))

    return Table(
        "tests",
        f"Test {metric_name(results.study.primary)} of every arm against {results.variant(*results.reference)}.",
        columns,
        _rows(results, inference.tests, columns, factors, row),
        "tables.evidence.tests",
        (
            "Crossed replicates × images analysis (as in multi-reader multi-case studies). The verdict follows the p "
            "that Holm's method corrects over the arms of a data set, at 5 %. p allows for how little so few "
            "replicates say about the spread between runs. From three replicates on the interval of the single "
            f"comparison does not, so it can exclude 0 where p is above 5 %. {DETECTABLE}: the smallest true one, in "
            "points, that the verdict finds with 80 % power, at the replicates compared and with p corrected as here; "
            "from the lower to the upper 90 % limit of the variances. The bootstrap over replicates and images is a "
            "check, not a test.",
            *(
                [
                    "p, Holm, ever: more arms were compared with this baseline before. Each of them could have been "
                    "the one that looked better, so the verdict follows the larger of the two p."
                ]
                if larger
                else []
            ),
            *margin_note(inference.margin),
        ),
        factors,
        empty="The study has no arm beside its baseline.",
    )


def overview(results: Results, inference: Inference) -> Table:
    """One row for each data set: progress, best arm, and verdicts of its arms."""
    metric = results.study.primary
    verdicts = {
        "better": "better",
        "worse": "worse",
        **({} if inference.margin is None else {"equivalent": "equivalent"}),
        "not distinguishable": "inconclusive",
        "not tested": "not tested",
    }
    against = f"Arms against {results.variant(*results.reference)}"
    columns = (
        DATASET,
        Column("done", "done", "count", "Runs"),
        Column("planned", "planned", "count", "Runs"),
        Column("best", "Arm", "text", "Best on validation data", ("name",)),
        Column(metric, f"Test {metric_name(metric)}", "percent", "Best on validation data", ("sd", "n")),
        *(Column(word.replace(" ", "_"), title, "count", against) for word, title in verdicts.items()),
    )
    rows = []
    for dataset in results.datasets:
        runs = [run for run in results.runs if run.dataset == dataset]
        group = results.best.get(dataset)
        words = [c.word for cell, c in inference.tests.items() if cell[0] == dataset]
        best = Entry(missing="no run is done")
        if group is not None:
            best = replace(variant_entry(results, group.arm, group.sampling), href=f"best-models.html#best-{dataset}")
        rows.append(
            Row(
                (
                    Entry(
                        results.title(dataset),
                        href=f"significance/{dataset}.html",
                        tags=tuple(results.marks(dataset)),
                        name=dataset,
                    ),
                    Entry(sum(run.done for run in runs)),
                    Entry(len(runs)),
                    best,
                    measured(group, results.select, metric) if group else Entry(missing="no run is done"),
                    *(Entry(words.count(word)) for word in verdicts),  # type: ignore[arg-type]
                )
            )
        )
    return Table(
        "overview",
        "Every data set, its best arm, and how many arms a corrected test distinguishes from the baseline.",
        columns,
        tuple(rows),
        "tables.evidence.overview",
        (
            "Each data set leads to its page of tests. Verdicts are corrected over the arms of a data set (Holm, 5 %).",
            *margin_note(inference.margin),
        ),
    )


def exploratory(results: Results, inference: Inference) -> Table:
    """The same on the other metrics: exploratory."""
    corrected = Column("fdr", "p, BH", "p", help="Corrected over all cells of this table by Benjamini and Hochberg")
    columns = (*_HEAD, Column("metric", "Metric"), *_EFFECT, corrected)
    factors = ("data set", "arm", "sampling", "metric")
    rows: list[Row] = []
    for metric, found in inference.exploratory.items():

        def row(cell: Cell, c: Comparison, title: str = METRICS[metric]) -> Row:
            why = c.result.reason or ""
            tail = (*_effect(c), Entry(c.fdr, missing=why))
            return Row((*_head(results, cell), Entry(title), *tail), {**_factors(results, cell), "metric": title})

        rows += _rows(results, {k: c for k, c in found.items() if k[0] in results.begun}, columns, factors, row)
    waiting = {cell[0] for cell in inference.tests} - results.begun
    rows += [not_begun(results, dataset, columns, factors) for dataset in results.datasets if dataset in waiting]
    return Table(
        "exploratory",
        "The other metrics: exploratory.",
        columns,
        tuple(rows),
        "tables.evidence.exploratory",
        (
            "For AUC, balanced accuracy and F1 the analysis takes jackknife pseudo-values over the test images. p is "
            "corrected over all cells of this table, of all metrics and data sets (Benjamini and Hochberg).",
        ),
        factors,
        empty="The study has no arm beside its baseline.",
    )


def controls(results: Results, inference: Inference) -> Table:
    """Generated images against as many copies of real ones: is it new images or more steps?"""
    return _simple(
        results,
        inference.margin,
        inference.controls,
        "controls",
        "Generated images against copies of real images, same sampling.",
        "tables.evidence.controls",
        _no_control(results),
    )


def _no_control(results: Results) -> str:
    """Why nothing is compared with copies."""
    if not any(results.generator(arm) for arm in results.arms):
        return "No arm of the study adds generated images."
    return "The study has no control arm with copies of real images."


def unfiltered(results: Results, inference: Inference) -> Table:
    """Filtered images against as many that the filter did not choose: what does the choice itself do?"""
    return _simple(
        results,
        inference.margin,
        inference.unfiltered,
        "unfiltered",
        "Filtered images against as many of the same generator as they come, same sampling.",
        "tables.evidence.unfiltered",
        "The study filters no images.",
    )


def _simple(
    results: Results,
    margin: float | None,
    found: Mapping[Cell, Comparison],
    name: str,
    caption: str,
    made_by: str,
    empty: str,
) -> Table:
    columns = (
        *_HEAD,
        Column("verdict", "Verdict", "verdict"),
        *_EFFECT,
        Column("p", "p", "p"),
        Column("holm", "p, Holm", "p"),
        *_equivalence(margin),
        *_REPLICATES,
    )
    factors = ("data set", "arm", "sampling")

    def row(cell: Cell, c: Comparison) -> Row:
        why = c.result.reason or ""
        entries = (
            *_head(results, cell),
            Entry(c.word, href=c.group.page, tags=comparison_tags(c, results.select)),
            *_effect(c),
            Entry(c.result.p_family, missing=why),
            Entry(c.holm, missing=why),
            *_equivalent(c),
            *_replicates(c),
        )
        return Row(entries, {**_factors(results, cell), "verdict": verdict_words(c.word)})

    rows = _rows(results, found, columns, factors, row)
    notes = (*interval_note(found.values()), *margin_note(margin))
    return Table(name, caption, columns, rows, made_by, notes, factors, empty)


def across(results: Results, inference: Inference) -> Table:
    """Every arm over all data sets: the mean of its differences, by a crossed analysis of replicates and data sets."""
    columns = (
        ARM,
        *_EFFECT,
        Column("p", "p", "p"),
        Column("holm", "p, Holm", "p"),
        *_equivalence(inference.margin),
        Column("tau", "Between data sets, SD", "size"),
        Column("prediction_low", "low", "points", "On one more data set"),
        Column("prediction_high", "high", "points", "On one more data set"),
        Column("datasets", "tested", "count", "Data sets"),
        Column("planned", "planned", "count", "Data sets"),
    )
    rows = []
    for one in inference.across:
        m, why = one.meta, one.meta.reason or ""
        few = why or ("needs three data sets" if m.datasets < 3 else "needs a standard error on every data set")
        rows.append(
            Row(
                (
                    variant_entry(results, one.arm, one.sampling),
                    Entry(m.effect, missing=why),
                    Entry(m.low, missing=why),
                    Entry(m.high, missing=why),
                    Entry(m.p, missing=why),
                    Entry(one.p_difference, missing=why),
                    *([] if inference.margin is None else [Entry(one.p_equivalence, missing=why)]),
                    Entry(m.tau, missing=few),
                    Entry(m.prediction_low, missing=few),
                    Entry(m.prediction_high, missing=few),
                    Entry(m.datasets),
                    Entry(m.planned),
                )
            )
        )
    return Table(
        "across",
        f"Mean difference over data sets in test {metric_name(results.study.primary)}.",
        columns,
        tuple(rows),
        "tables.evidence.across",
        (
            "Every data set counts the same. Interval and p come from a crossed replicates × data sets analysis, "
            "because all data sets share a replicate's initial weights, which can move them together. p, Holm is "
            "corrected over the arms. Here, too, the interval can exclude 0 where p is above 5 %. The last interval is "
            "where one more data set would lie.",
        ),
        empty="The study has no arm beside its baseline.",
    )


def _detectable(sizes: Range | None, why: str = "") -> tuple[Entry, Entry]:
    """The range of the smallest detectable difference; empty where even 100 points would not be detected."""
    if sizes is None:
        return Entry(missing=why or NOT_KNOWN), Entry(missing=why or NOT_KNOWN)
    nothing, alike = "no difference, however large, would be found", "not known: the test images may differ in nothing"
    low, high = (
        Entry(missing=nothing if size >= 1 else alike) if size >= 1 or size == 0 else Entry(size)
        for size in (sizes.low, sizes.high)
    )
    return low, high


def planning(results: Results, inference: Inference) -> Table:
    """What one more replicate would gain, per data set and arm, and how many detect one point."""
    columns = (
        *_HEAD,
        Column("detectable_low", "from", "size", f"{DETECTABLE} (points)"),
        Column("detectable_high", "to", "size", f"{DETECTABLE} (points)"),
        Column("with_one_more_low", "from", "size", "One replicate more"),
        Column("with_one_more_high", "to", "size", "One replicate more"),
        Column("floor_low", "from", "size", "Any number of replicates"),
        Column("floor_high", "to", "size", "Any number of replicates"),
        Column("fewest", "from", "count", "Replicates to see 1 point"),
        Column("most", "to", "count", "Replicates to see 1 point"),
    )
    factors = ("data set", "arm", "sampling")

    def row(cell: Cell, c: Comparison) -> Row:
        future = c.outlook
        if future is None:
            rest = [Entry(missing=c.result.reason or NOT_KNOWN)] * 8
        else:
            never = "no number of replicates suffices: there are too few test images"
            rest = [
                *_detectable(future.detectable),
                *_detectable(future.with_one_more),
                *_detectable(future.floor),
                *(Entry(n, missing=never if n is None else "") for n in (future.fewest, future.most)),
            ]
        return Row((*_head(results, cell), *rest), _factors(results, cell))

    return Table(
        "planning",
        f"{DETECTABLE} without correction: with the replicates so far, and with more.",
        columns,
        _rows(results, inference.tests, columns, factors, row),
        "tables.evidence.planning",
        (
            "At 80 % power and 5 %, by the p of the single comparison; the verdict, corrected for all arms, needs "
            "larger ones, which are in the table of tests. Few replicates say little of how much runs vary, so every "
            "number is a range: from the lower to the upper 90 % limit of the variances. The true value lies below "
            "the upper end in nine of ten studies. A dash for the number of replicates: no number suffices with so "
            "few test images.",
        ),
        factors,
        empty="The study has no arm beside its baseline.",
    )


def looks(results: Results) -> Table:
    """Every logged look at these results, this one last."""
    columns = (
        Column("when", "When"),
        Column("study", "Study"),
        Column("primary", "Primary metric"),
        Column("epoch", "Epoch shown"),
        Column("arms", "Arms compared on a data set, at most", "count"),
        Column("done", "with a result", "count", "Runs"),
        Column("runs", "planned", "count", "Runs"),
    )
    rows = tuple(
        Row(
            (
                Entry("this look" if one is results.looks.now else moment(one.time)),
                Entry(one.name),
                Entry(METRICS[one.primary]),
                Entry(SELECT_WORDS[one.select]),
                Entry(max((len(family.arms) for family in one.families), default=0)),
                Entry(one.done),
                Entry(one.runs),
            )
        )
        for one in (*results.looks.before, results.looks.now)
    )
    return Table(
        "looks",
        "Looks at these results.",
        columns,
        rows,
        "tables.evidence.looks",
        (
            "From the log in the results folder, looks.jsonl, which only grows. A look with no new result does not "
            "count again, nor do pages that were made while a study ran.",
        ),
    )

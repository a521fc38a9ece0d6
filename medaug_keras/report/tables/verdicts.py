"""The first page's table: what every arm does to the primary metric, on every data set and on average."""

from collections.abc import Callable
from dataclasses import replace

from medaug_keras.report.format import together, within
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import ArmResult, Cell, Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables.evidence import test_anchor
from medaug_keras.report.tables.table import (
    Column,
    Entry,
    Part,
    Row,
    Table,
    dataset_entry,
    interval_note,
    margin_note,
    measured,
    variant_entry,
    verdict_tags,
)

MOST_ACROSS = 9
"""Data sets that fit side by side on a page; with more, arms stand across if those are fewer."""
MOST_WITH_INTERVALS = 4
"""Data sets that fit side by side with an interval in each cell."""

_INTERVALS = "95 % intervals (uncorrected; verdicts are corrected)"


def verdicts(results: Results, inference: Inference, page: Callable[[str], str]) -> Table:
    """Differences to the baseline with their verdicts, sorted by effect: arms down and data sets across, or turned.

    `page` names the page with a data set's tests, to which every difference leads. A study of one data set has a list
    with intervals and scores instead.
    """
    base, name = results.variant(*results.reference), metric_name(results.study.primary)
    caption = f"Test {name}: difference to “{base}” in points"
    arms = inference.by_effect

    def entry(dataset: str, one: ArmResult) -> Entry:
        return _entry(results, inference, (dataset, one.arm, one.sampling), page)

    if len(results.datasets) == 1:
        return _listed(results, inference, caption, entry)
    shown = [d for d in results.datasets if d in results.begun] or results.datasets  # the page names the others
    means = [_mean(results, one) for one in arms]
    over = f"Mean of {len(results.datasets)} data sets"
    few = len(shown) <= MOST_WITH_INTERVALS
    caption += f"{', with' if few else ', means with'} {_INTERVALS}."
    if len(shown) <= MOST_ACROSS or len(shown) <= len(arms):
        columns = [Column("arm", "Arm", parts=("name",)), Column("mean", over, "effect", parts=_MEAN, marked=True)]
        beside: tuple[Part, ...] = _MEAN if few else ("verdict", "n")
        columns += [Column(d, results.title(d), "effect", parts=beside, marked=True) for d in shown]
        rows = [
            Row((_arm(results, one), mean, *(entry(d, one) for d in shown)))
            for one, mean in zip(arms, means, strict=True)
        ]
    else:
        columns = [Column("dataset", "Data set", parts=("name",))]
        columns += [
            Column(
                f"{one.arm}.{one.sampling}",
                results.variant(one.arm, one.sampling),
                "effect",
                parts=_MEAN,
                marked=True,
            )
            for one in arms
        ]
        rows = [Row((Entry(over, name="mean"), *means))]
        rows += [Row((dataset_entry(results, d), *(entry(d, one) for one in arms))) for d in shown]
    order = f"The largest mean first{_controls_last(results, inference)}."
    notes = (_BOTH, order, _OF_MEANS, *_control(results), *_odd(inference), *margin_note(inference.margin))
    return _table(caption, columns, rows, notes)


_MEAN: tuple[Part, ...] = ("low", "high", "verdict", "n")
_BOTH = "Differences are over the replicates that the arm and the baseline both have."
_OF_MEANS = (
    "In a mean each data set counts the same; its interval follows from how the differences vary between data sets and "
    "between replicates. Verdicts are corrected over the arms of a data set, and those on the mean over the arms "
    "(Holm, 5 %); intervals are not."
)


def _arm(results: Results, one: ArmResult) -> Entry:
    """An arm's name; a control is called one where its own label does not say so."""
    found = variant_entry(results, one.arm, one.sampling)
    unsaid = results.is_copies(one.arm) and "control" not in str(found.value).casefold()
    return replace(found, tags=("control",)) if unsaid else found


def _controls_last(results: Results, inference: Inference) -> str:
    """The end of the note on the order of the arms where those that are asked about stand before controls."""
    return ", controls last" if len({results.is_copies(one.arm) for one in inference.by_effect}) > 1 else ""


def _table(caption: str, columns: list[Column], rows: list[Row], notes: tuple[str, ...]) -> Table:
    empty = "The study has no arm beside its baseline."
    made_by = "tables.verdicts.verdicts"
    return Table("verdicts", caption, tuple(columns), tuple(rows), made_by, notes, empty=empty, look="grid")


def _mean(results: Results, one: ArmResult) -> Entry:
    """The mean over data sets, and over how many where not all have a value."""
    fewer = 0 < one.datasets < len(results.datasets)
    tags = (f"{one.datasets} of {len(results.datasets)}",) if fewer else ()
    href = "significance.html#across" if one.effect is not None else ""
    return Entry(
        one.effect,
        low=one.low,
        high=one.high,
        verdict=one.word,
        n=one.replicates if one.effect is not None else None,
        planned=one.planned,
        missing=one.reason,
        href=href,
        tags=tags,
    )


def _control(results: Results) -> tuple[str, ...]:
    """What the arm of copies is for, where one is the control of arms that add generated images."""
    found = list(dict.fromkeys(control for arm in results.arms if (control := results.control(arm))))
    if not found:
        return ()
    named, several = together(results.label(arm) for arm in found), len(found) > 1
    return (
        f"{named}: {'controls' if several else 'a control'}, with as many more training images as arms that add "
        "generated ones, but copied from the training set. Generated images are worth their making only where they do "
        "better.",
    )


def _odd(inference: Inference) -> tuple[str, ...]:
    """Why an interval that is shown can exclude 0 where the verdict is inconclusive, if one does."""
    if len(inference.results.datasets) == 1:
        return interval_note(inference.tests.values())
    means = [one for one in inference.by_effect if one.word == "not distinguishable"]
    if not any(one.low is not None and one.high is not None and (one.low > 0 or one.high < 0) for one in means):
        return ()
    return (
        "So the interval of a mean can exclude 0 beside an inconclusive verdict, which also allows for how little so "
        "few replicates say of the spread between runs.",
    )


def _entry(results: Results, inference: Inference, cell: Cell, page: Callable[[str], str]) -> Entry:
    c = inference.tests.get(cell)
    if c is None:
        return Entry(missing="not part of this study")
    href = f"{page(cell[0])}#{test_anchor(*cell)}" if cell[0] in results.begun else ""
    r, why = c.result, c.result.reason or c.group.reason
    n = r.replicates if r.effect is not None else None
    return Entry(
        r.effect,
        low=r.low,
        high=r.high,
        p=c.p,
        verdict=c.word,
        n=n,
        planned=len(c.group.runs),
        missing=why,
        href=href,
    )


def _listed(results: Results, inference: Inference, caption: str, entry: Callable[[str, ArmResult], Entry]) -> Table:
    """One data set: arms down; difference with interval, verdict in words, and score."""
    (dataset,), metric = results.datasets, results.study.primary
    columns = [
        Column("arm", "Arm", parts=("name",)),
        Column("effect", "Difference, 95 % interval", "effect", parts=("low", "high", "verdict", "n"), marked=True),
        Column("verdict", "Verdict", "verdict", parts=("p",)),
        Column(metric, f"Test {metric_name(metric)} (%)", "percent", parts=("sd", "n")),
    ]
    rows = []
    for one in inference.by_effect:
        found = entry(dataset, one)
        tags = verdict_tags(metric, (results.groups[dataset, one.arm, one.sampling],), results.select)
        if one.word == "equivalent" and inference.margin:
            tags = within(inference.margin), *tags
        rows.append(
            Row(
                (
                    _arm(results, one),
                    found,
                    Entry(one.word, p=found.p, tags=tags, missing=one.reason),
                    measured(results.groups[dataset, one.arm, one.sampling], results.select, metric),
                )
            )
        )
    first = Row(
        (
            variant_entry(results, *results.reference),
            Entry(missing="the arm that the others are compared with"),
            Entry("baseline"),
            measured(results.baseline(dataset), results.select, metric),
        )
    )
    order = f"The largest difference first{_controls_last(results, inference)}."
    note = "Verdict and p are corrected for the number of arms (Holm, 5 %); intervals are not."
    return _table(
        f"{caption}, with {_INTERVALS}.",
        columns,
        [first, *rows] if rows else [],
        (_BOTH, order, note, *_control(results), *_odd(inference), *margin_note(inference.margin)),
    )

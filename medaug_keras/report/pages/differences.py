"""The forest plots: differences to the baseline by data set, by arm, and as means over data sets."""

from collections.abc import Sequence

from medaug_keras.report import figures
from medaug_keras.report.figures import Difference, DifferencesPanel
from medaug_keras.report.figures.differences import MAJORITY, most_runs
from medaug_keras.report.format import percent, plural
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import Comparison, Pair
from medaug_keras.report.numbers.results import METRICS, STATE_WORDS
from medaug_keras.report.pages.book import Book, Shown

_RUNS = "Dots: each replicate, less the baseline's run with the same seed."


def runs_words(panels: Sequence[DifferencesPanel]) -> str:
    """What the dots of these panels are, and what n is where rows rest on different numbers of replicates."""
    rows = [row for panel in panels for row in panel.rows]
    most = most_runs(rows)
    if not any(0 < len(row.runs) < most for row in rows):
        return _RUNS
    return f"{_RUNS} n: the replicates that both have, where they are fewer than {most}."


def by_data_set(book: Book, datasets: Sequence[str], name: str) -> Shown | None:
    """A panel for each of these data sets, with every arm."""
    if not book.inference.by_effect:
        return None
    panels = [_of_data_set(book, dataset) for dataset in datasets]
    return _figure(book, name, panels, runs_words(panels))


def by_arm(book: Book, datasets: Sequence[str]) -> Shown | None:
    """A panel for each arm, with these data sets and their mean."""
    results, inference, panels = book.results, book.inference, []
    for one in inference.across:
        pair, m = (one.arm, one.sampling), one.meta
        rows = [difference(book, d, pair, results.title(d)) for d in datasets]
        if m.effect is not None:
            rows.append(Difference("All data sets", m.effect, m.low, m.high, "", *pair, verdict=one.word, mean=True))
        panels.append(DifferencesPanel(results.variant(*pair), rows))
    return _figure(book, "forest", panels, runs_words(panels)) if panels else None


def over_data_sets(book: Book) -> Shown | None:
    """The mean difference of every arm over the data sets, in one panel."""
    results = book.results
    rows = [
        Difference(
            results.variant(one.arm, one.sampling),
            one.effect,
            one.low,
            one.high,
            "not run yet",
            one.arm,
            one.sampling,
            verdict=one.word,
            control=results.is_copies(one.arm),
            mean=True,
        )
        for one in book.inference.by_effect
    ]
    if not rows:
        return None
    panel = DifferencesPanel(f"Mean over {plural(len(results.datasets), 'data set')}", rows)
    return _figure(book, "forest", [panel], "Means over data sets.")


def short_reason(c: Comparison) -> str:
    """Why a comparison has no effect, in a few words."""
    states = {run.outcome.state for group in (c.group, c.base) for run in group.runs if not run.done}
    return next((STATE_WORDS[state] for state in ("failed", "damaged", "blocked") if state in states), "not run yet")


def _figure(book: Book, name: str, panels: Sequence[DifferencesPanel], more: str) -> Shown:
    results, metric = book.results, book.results.study.primary
    drawn = figures.differences(panels, metric=METRICS[metric], arms=results.by_look, margin=book.inference.margin)
    base = results.variant(*results.reference)
    return book.figure(name, drawn, f"Difference to “{base}” in test {metric_name(metric)}, points. {more}")


def _of_data_set(book: Book, dataset: str) -> DifferencesPanel:
    results, inference, metric = book.results, book.inference, book.results.study.primary
    base, majority = results.baseline(dataset), results.majority(dataset, metric)
    level = base.estimate(results.select, "test", metric).mean if base else None
    notes = []
    if level is not None:
        notes.append(f"{METRICS[metric]} of {results.variant(*results.reference)} {percent(level, 1)} %")
    if majority is not None:
        always = "saying the same of every image" if results.several(dataset) else MAJORITY
        notes.append(f"of {always} {percent(majority, 1)} %")
    pairs = [(one.arm, one.sampling) for one in inference.by_effect]
    rows = [
        difference(book, dataset, pair, results.variant(*pair), control=results.is_copies(pair[0]))
        for pair in pairs
        if (dataset, *pair) in inference.tests
    ]
    against = None if level is None or majority is None else majority - level
    return DifferencesPanel(results.title(dataset), rows, "; ".join(notes), against)


def difference(book: Book, dataset: str, pair: Pair, label: str, *, control: bool = False) -> Difference:
    """An arm on a data set, below this label."""
    c = book.inference.tests.get((dataset, *pair))
    if c is None:
        return Difference(label, reason="not part of this study")
    return Difference(
        label,
        c.result.effect,
        c.result.low,
        c.result.high,
        short_reason(c),
        *pair,
        runs=list(book.inference.by_replicate(c).values()),
        verdict=c.word,
        control=control,
    )

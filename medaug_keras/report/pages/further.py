"""Other test sets: what every arm does on images that differ from those of its data set."""

from typing import Any

from medaug_keras.data import KINDS, check_known
from medaug_keras.report import figures
from medaug_keras.report.format import percent, plural, points, together
from medaug_keras.report.numbers.calibration import judged_elsewhere, scaled_elsewhere
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.further import Tried, corruption_words
from medaug_keras.report.numbers.results import METRICS
from medaug_keras.report.numbers.subgroups import missing_subgroups, subgroups_elsewhere
from medaug_keras.report.numbers.thresholds import has_points_elsewhere
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.pages.differences import difference, runs_words
from medaug_keras.report.tables.calibration import elsewhere as calibration_there
from medaug_keras.report.tables.calibration import temperature_elsewhere
from medaug_keras.report.tables.further import by_corruption, corrupted_sets, from_elsewhere
from medaug_keras.report.tables.further import other_test_sets as table_of
from medaug_keras.report.tables.subgroups import subgroups_elsewhere as table_of_subgroups
from medaug_keras.report.tables.thresholds import points_elsewhere as table_of_points
from medaug_keras.spec import Corruptions, Data, place_of_test

MANY = 4
"""With more data sets than this, each has a page of its own."""


def other_test_sets(book: Book) -> dict[str, Any]:
    """A figure for each data set with further test sets, what these are, and all numbers as tables."""
    results, found = book.results, book.further_tests
    sections = []
    for dataset in dict.fromkeys(dataset for dataset, _ in results.further_tests):
        section = {"name": dataset, "title": results.title(dataset), "said": _said(book, dataset)}
        sections.append({**section, "figure": _forest(book, dataset)})
    calibration, temperature, away = None, None, missing_subgroups(results)
    if any(dataset in results.of_classes for dataset, *_ in results.outside):
        there = judged_elsewhere(book.inference)
        calibration = book.table(calibration_there(results, there))
        temperature = book.table(temperature_elsewhere(results, there, scaled_elsewhere(book.inference, book.scaled)))
    parted = [place for *_, place in results.outside if place in results.plan.subgroups]
    return {
        "apart": len(sections) > MANY,
        "sections": sections,
        "table": book.table(table_of(results, book.inference, found)),
        "corruptions": book.table(by_corruption(results, found)) if corrupted_sets(results) else None,
        "elsewhere": book.table(from_elsewhere(results)) if results.outside else None,
        "calibration": calibration,
        "temperature": temperature,
        "points": book.table(table_of_points(results, book.points_elsewhere))
        if has_points_elsewhere(results)
        else None,
        "subgroups": book.table(table_of_subgroups(results, subgroups_elsewhere(book.inference))) if parted else None,
        "unknown": [f"{place.rpartition('.')[2]}: {away[place]}" for place in parted if place in away],
    }


def _of(book: Book, dataset: str, name: str) -> dict[tuple[str, str], Tried]:
    found = book.further_tests.items()
    return {(cell[1], cell[2]): one for (cell, other), one in found if (cell[0], other) == (dataset, name)}


def _said(book: Book, dataset: str) -> list[str]:
    """What each of the test sets is, on how many images, and what becomes of the baseline there."""
    results, said = book.results, []
    base = results.variant(*results.reference)
    for name, part in results.study.datasets[dataset].tests.items():
        if isinstance(part, Corruptions):
            text = f"{name}: the test images at severity {part.severity} of {together(corruption_words(part))}"
        else:
            text = f"{name}: {_elsewhere(book, place_of_test(dataset, name), part)}"
        one = _of(book, dataset, name).get(results.reference)
        if one is not None and one.images:
            groups = "" if one.units is None else f" of {plural(one.units, 'group')}"
            text += f", {plural(one.images, 'image')}{groups}{' each' if isinstance(part, Corruptions) else ''}"
        if one is not None and one.change is not None and one.change.effect is not None:
            text += (
                f". The {metric_name(results.study.primary)} of “{base}” changes by {points(one.change.effect)} points "
                "from the test images to these"
            )
        more = [] if isinstance(part, Corruptions) else _known(book, place_of_test(dataset, name))
        said.append(" ".join([f"{text}.", *more]))
    return said


def _elsewhere(book: Book, place: str, part: Data) -> str:
    """What images from elsewhere are, after the name of their test set."""
    record, test = book.results.data(place).record, place.rpartition(".")[2]
    unverified = record is not None and record.values["source"] == "unverified copy"
    kind = "simulated images" if KINDS[part.kind].simulated else "images from elsewhere"
    called = getattr(part, "name", None) or test
    title = book.results.title_of(called) if part.published() else getattr(part, "title", None)
    return "".join([kind, f" ({title})" if title else "", ", an unverified copy" if unverified else ""])


def _known(book: Book, place: str) -> list[str]:
    """What must be known of a test set from elsewhere: that networks learned from its images, or that it is away."""
    away, record = book.results.plan.sources[place].away, book.results.overlap(place).record
    if record is None:
        return []
    said = [one.text for one in check_known(record.values).found if one.level in ("fail", "warn")]
    if away:
        said.append("It cannot be read now, and what is shown was made before.")
    return said


def _forest(book: Book, dataset: str) -> Shown | None:
    """A panel for the test images and one for each further test set; None without an arm beside its baseline."""
    results, inference = book.results, book.inference
    pairs = [
        (one.arm, one.sampling) for one in inference.by_effect if (dataset, one.arm, one.sampling) in inference.tests
    ]
    if not pairs:
        return None
    base = results.baseline(dataset)
    own = base.estimate(results.select, "test", results.study.primary).mean if base else None
    rows = [
        difference(book, dataset, pair, results.variant(*pair), control=results.is_copies(pair[0])) for pair in pairs
    ]
    panels = [figures.DifferencesPanel("Test images", rows, _level(book, own))]
    for name in results.study.datasets[dataset].tests:
        here = _of(book, dataset, name)
        rows = [_effect(book, here[pair]) for pair in pairs]
        tried = here.get(results.reference)
        panels.append(figures.DifferencesPanel(name, rows, _level(book, tried.score.mean if tried else None)))
    metric, words = METRICS[results.study.primary], metric_name(results.study.primary)
    return book.figure(
        f"other-test-sets-{dataset}",
        figures.differences(panels, metric=metric, arms=results.by_look, margin=inference.margin),
        f"{results.title(dataset)}: difference to “{results.variant(*results.reference)}” in {words}, points, on the "
        f"test images and on other test sets. {runs_words(panels)}",
    )


def _level(book: Book, value: float | None) -> str:
    if value is None:
        return ""
    name = book.results.variant(*book.results.reference)
    return f"{METRICS[book.results.study.primary]} of {name} {percent(value, 1)} %"


def _effect(book: Book, one: Tried) -> figures.Difference:
    c, pair = one.difference, (one.group.arm, one.group.sampling)
    label = book.results.variant(*pair)
    if c is None:
        return figures.Difference(label, reason="no baseline", arm=pair[0], sampling=pair[1])
    return figures.Difference(
        label,
        c.result.effect,
        c.result.low,
        c.result.high,
        "not run yet",
        *pair,
        runs=one.less_baseline,
        verdict=c.word,
        control=book.results.is_copies(pair[0]),
    )

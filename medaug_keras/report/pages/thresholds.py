"""Operating points: thresholds chosen on validation images, and how every arm fares there on test images."""

from typing import Any

from medaug_keras.report import figures
from medaug_keras.report.format import count, percent, plural, span, together
from medaug_keras.report.numbers.inference import ALPHA
from medaug_keras.report.numbers.thresholds import MEASURES, AtPoint, point_words, prevalence
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.pages.differences import runs_words
from medaug_keras.report.tables.thresholds import operating_points as table_of
from medaug_keras.stats import verdict

_DRAWN = ("sensitivity", "specificity")
MANY = 4
"""With more data sets than this, each has a page of its own."""


def operating_points(book: Book) -> dict[str, Any]:
    """A figure for each data set with a positive class, what was chosen on which images, and all numbers as a table."""
    results = book.results
    sections = []
    for dataset in results.datasets:
        if results.positive(dataset) is None:
            continue
        said, warning = _said(book, dataset)
        said = " ".join(filter(None, [said, _reached(book, dataset)]))
        figure = _forest(book, dataset)
        sections.append(
            {"name": dataset, "title": results.title(dataset), "said": said, "warning": warning, "figure": figure}
        )
    other = {d: len(results.classes(d)) for d in results.of_classes if results.positive(d) is None}
    more = [results.title(d) for d, classes in other.items() if classes > 2]
    unsaid = [results.title(d) for d, classes in other.items() if classes == 2]
    without = [f"{together(more)}, of more than two classes"] if more else []
    several = [results.title(d) for d in results.of_findings]
    without += [f"{together(several)}, of several findings an image"] if several else []
    without += [f"{together(unsaid)}, where the study does not say which class is positive"] if unsaid else []
    return {
        "apart": len(sections) > MANY,
        "sections": sections,
        "without": "; ".join(without),
        "table": book.table(table_of(results, book.operating_points)),
    }


def _said(book: Book, dataset: str) -> tuple[str, str]:
    """On which images thresholds were chosen and applied; and a warning where those differ clearly."""
    results = book.results
    positive = results.positive(dataset)
    assert positive is not None
    said = f"Positive: {results.classes(dataset)[positive]}."
    if results.folds(dataset):
        return f"{said} Every fold chooses its thresholds on its own validation images.", ""
    found = prevalence(book.inference, dataset)
    if found is None:
        return said, ""
    (ours, held), (theirs, tested) = found.validation, found.test
    shares = [f"{percent(a / b, 1)} %" for a, b in (found.validation, found.test)]
    said += (
        f" Thresholds were chosen on {plural(held, 'validation image')}, {count(ours)} of them positive ({shares[0]}); "
        f"of {plural(tested, 'test image')} {count(theirs)} are ({shares[1]})."
    )
    if not found.differ:
        return said, ""
    return said, (
        f"The share of positive images differs between validation ({shares[0]}) and test images ({shares[1]}) by more "
        "than chance would make it in 99 of 100 draws. They may differ in other ways, too: then a threshold does not "
        "keep on test images what it had on validation images. Predictive values depend on that share."
    )


def _reached(book: Book, dataset: str) -> str:
    """What became on test images of the sensitivity or specificity that thresholds were chosen for; empty where they
    were chosen for neither, or there is no result."""
    found = []
    for place, point in enumerate(book.results.study.operating_points):
        if point == "youden":
            continue
        sought = "specificity" if point.sensitivity is None else "sensitivity"
        arms = [one for (cell, at), one in book.operating_points.items() if cell[0] == dataset and at == place]
        means = [mean for one in arms if (mean := one.estimate(sought).mean) is not None]
        if means:
            reached = span(means, lambda mean: f"{percent(mean, 1)} %")
            found.append(f"{reached} where {point_words(point)} was sought")
    return f"On test images, thresholds reach {together(found)}: read sensitivity and specificity together." * bool(
        found
    )


def _forest(book: Book, dataset: str) -> Shown | None:
    """Panels of the differences in sensitivity and specificity at every point; None without an arm and its baseline."""
    results = book.results
    base = results.variant(*results.reference)
    panels = []
    for place, point in enumerate(results.study.operating_points):
        found = book.operating_points.items()
        here = {cell[1:]: one for (cell, at), one in found if cell[0] == dataset and at == place}
        of_base = here.get(results.reference)
        for measure in _DRAWN:
            rows = [_effect(book, one, measure) for one in here.values() if measure in one.differences]
            if not rows:
                continue
            mean = of_base.estimate(measure).mean if of_base is not None else None
            note = "" if mean is None else f"{base}: {percent(mean, 1)} %"
            title = f"{MEASURES[measure]}, threshold for {point_words(point)}"
            panels.append(figures.DifferencesPanel(title, rows, note))
    if not panels:
        return None
    return book.figure(
        f"operating-points-{dataset}",
        figures.differences(
            panels, metric="sensitivity or specificity", arms=results.by_look, test="p, BH (exploratory)"
        ),
        f"{results.title(dataset)}, test images: difference to “{base}” at thresholds chosen on validation images, "
        f"points. Exploratory. Intervals are over runs, validation and test images. {runs_words(panels)}",
    )


def _effect(book: Book, one: AtPoint, measure: str) -> figures.Difference:
    r, pair = one.differences[measure], (one.group.arm, one.group.sampling)
    return figures.Difference(
        book.results.variant(*pair),
        r.effect,
        r.low,
        r.high,
        "not run yet",
        *pair,
        runs=one.runs[measure],
        verdict=verdict(r.effect, one.rates[measure], alpha=ALPHA),
    )

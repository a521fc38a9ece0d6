"""Class by class: which classes (or findings) an arm finds more or less often than the baseline; and subgroups."""

from collections.abc import Sequence
from typing import Any

from medaug_keras.report import figures
from medaug_keras.report.format import percent, plural, together
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.grades import graded
from medaug_keras.report.numbers.inference import ALPHA, OfClass, OfFinding
from medaug_keras.report.numbers.subgroups import OfSubgroup, has_subgroups, missing_subgroups, of_subgroups
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.pages.differences import runs_words
from medaug_keras.report.tables import classes as class_tables
from medaug_keras.report.tables import grades as grade_tables
from medaug_keras.report.tables import subgroups as subgroup_tables
from medaug_keras.report.tables.table import Table
from medaug_keras.stats import verdict

MANY = 100
"""With more rows than this, each data set has a page of its own."""


def class_by_class(book: Book) -> dict[str, Any]:
    """The differences in recall of each data set as a figure, and all of them as a table; of several findings an image,
    those in AUC. Where classes are grades, errors in grades; where a data set names subgroups, the differences in each.
    """
    results = book.results
    found: dict[str, Table | None] = {"table": None, "findings": None, "grades": None, "subgroups": None}
    parted, away = of_subgroups(book.inference), missing_subgroups(results)
    if any(map(results.grades, results.datasets)):
        found["grades"] = grade_tables.grades(results, graded(book.inference))
    if has_subgroups(results):
        found["subgroups"] = subgroup_tables.subgroups(results, parted)
    if results.of_classes:
        found["table"] = class_tables.classes(results, book.inference)
    if results.of_findings:
        found["findings"] = class_tables.findings(results, book.inference)
    return {
        "apart": any(table is not None and len(table.rows) > MANY for table in found.values()),
        "sections": [
            {
                "name": d,
                "title": results.title(d),
                "figure": _forest_of_findings(book, d) if results.several(d) else _forest(book, d),
                "parted": d in results.plan.subgroups,
                "subgroups": _forest_of_subgroups(book, d, parted),
                "away": away.get(d, ""),
            }
            for d in results.datasets
        ],
        **{name: book.table(table) if table is not None else None for name, table in found.items()},
    }


def _forest(book: Book, dataset: str) -> Shown | None:
    """A panel for each class: the differences in recall of all arms; None without a run of an arm and the baseline."""
    results = book.results
    found = class_tables.ordered(results, book.inference.by_class.values(), dataset)
    panels, title, base_label = [], results.title(dataset), results.variant(*results.reference)
    for number, name in enumerate(results.classes(dataset)):
        here = [one for one in found if one.number == number]
        rows = [
            _effect(book, one, one.fdr, "not run yet" if one.images else "no test image")
            for one in here
            if one.result is not None
        ]
        base = next((one.recall.mean for one in here if one.result is None), None)
        if rows:
            recall = "no recall yet" if base is None else f"{percent(base, 1)} % of {plural(here[0].images, 'image')}"
            panels.append(figures.DifferencesPanel(name, rows, f"{base_label}: {recall}"))
    if not panels:
        return None
    return book.figure(
        f"recall-{dataset}",
        figures.differences(panels, metric="recall", arms=results.by_look, test="p, BH (exploratory)"),
        f"{title}: difference to “{base_label}” in the recall of each class, points. Exploratory. Below a class, how "
        f"many of its test images the baseline finds. {runs_words(panels)}",
    )


def _forest_of_findings(book: Book, dataset: str) -> Shown | None:
    """A panel for each finding: the differences in AUC of all arms; None without a run of an arm and the baseline."""
    results = book.results
    found = class_tables.ordered(results, book.inference.by_finding.values(), dataset)
    panels, title, base_label = [], results.title(dataset), results.variant(*results.reference)
    record = results.data(dataset).record
    there = record.values["splits"]["test"]["per_class"] if record is not None else []
    for number, name in enumerate(results.classes(dataset)):
        here = [one for one in found if one.number == number]
        rows = [_effect(book, one, one.holm) for one in here if one.result and one.result.effect is not None]
        base = next((one.auc.mean for one in here if one.result is None), None)
        if rows and base is not None:
            known = f"{base_label}: {percent(base, 1)} %; {plural(there[number], 'image')} with it"
            panels.append(figures.DifferencesPanel(name, rows, known))
    if not panels:
        return None
    return book.figure(
        f"auc-{dataset}",
        figures.differences(panels, metric="AUC", arms=results.by_look, test="p, Holm (exploratory)"),
        f"{title}: difference to “{base_label}” in the AUC of each finding, points. Exploratory. Below a finding, the "
        "baseline's AUC, and how many test images have it. Findings that too few test images have, or are without, are "
        f"left out. {runs_words(panels)}",
    )


def _forest_of_subgroups(book: Book, dataset: str, parted: Sequence[OfSubgroup]) -> Shown | None:
    """A panel for each subgroup: the differences in the primary metric of all arms; None without one."""
    results = book.results
    panels, without, title = list[figures.DifferencesPanel](), list[str](), results.title(dataset)
    metric, base_label = metric_name(results.study.primary), results.variant(*results.reference)
    for subgroup in dict.fromkeys(one.subgroup for one in parted if one.subgroup.place == dataset):
        here = [one for one in parted if one.subgroup == subgroup]
        rows = [
            _effect(book, one, one.fdr, one.reason or "not run yet")
            for one in here
            if one.result is not None and one.result.effect is not None
        ]
        base = next((one.value.mean for one in here if one.result is None), None)
        if rows and base is not None:
            known = f"{base_label}: {percent(base, 1)} %; {plural(subgroup.images, 'image')}"
            small = f", {subgroup_tables.SMALL}" if subgroup.small else ""
            panels.append(figures.DifferencesPanel(f"{subgroup.column}: {subgroup.name}", rows, known + small))
        elif any(one.reason for one in here):
            without.append(f"{subgroup.column}: {subgroup.name}")
    if not panels:
        return None
    undrawn = f"Not drawn, for {metric} has no value there: {together(without)}. " if without else ""
    return book.figure(
        f"subgroups-{dataset}",
        figures.differences(panels, metric=metric, arms=results.by_look, test="p, BH (exploratory)"),
        f"{title}: difference to “{base_label}” in {metric} in each subgroup of the test images, points. Exploratory. "
        f"Below a subgroup, the baseline's {metric} there. Whether an arm's differences are other ones in one subgroup "
        f"than in the others, only the table says. {undrawn}{runs_words(panels)}",
    )


def _effect(
    book: Book, one: OfClass | OfFinding | OfSubgroup, p: float | None, missing: str = "not run yet"
) -> figures.Difference:
    r, pair = one.result, (one.group.arm, one.group.sampling)
    assert r is not None
    return figures.Difference(
        book.results.variant(*pair),
        r.effect,
        r.low,
        r.high,
        missing,
        *pair,
        runs=one.runs,
        verdict=verdict(r.effect, p, alpha=ALPHA),
    )

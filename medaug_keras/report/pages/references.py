"""The pages of a reference: every printed value beside ours, and where its tables and figures are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from medaug_keras.references import PrintedFigure, Reference, load
from medaug_keras.report import figures
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.models import title_of
from medaug_keras.report.tables import compare as compare_tables
from medaug_keras.report.tables import runs as run_tables
from medaug_keras.report.tables.table import Table


def against(book: Book, reference: Reference) -> dict[str, Any]:
    """How our numbers stand beside the printed ones."""
    results, metric = book.results, book.results.study.primary
    table = book.table(run_tables.against(results, reference, book.beside))
    differing = run_tables.differing_settings(results, book.beside) if book.beside else None
    begun, waiting = book.begun()
    shown = [d for d in begun if d in reference.datasets]
    panels = [figures.PrintedPanel(results.title(d), _rows(results, reference, d)) for d in shown]
    known, disagreements = set(results.datasets), reference.inconsistencies
    inside, compared = held(table)
    whole = load(reference.name)
    several = any(cell.label for cell in whole.cells.values())
    drawn = figures.printed_vs_ours(panels, short=reference.short, metric=METRICS[metric], arms=results.by_look)
    caption = f"Test {metric_name(metric)}: every replicate of ours, and the value that {reference.called} printed."
    return {
        "reference": reference,
        "table": table,
        "figure": book.figure(f"{reference.name}-and-ours", drawn, caption) if panels else None,
        "waiting": waiting,
        **(theirs(book, reference.name) if reference.name in results.predictions else {"theirs": None}),
        "printed": book.table(run_tables.printed_scores(results, whole)) if several else None,
        "inside": inside,
        "compared": compared,
        "cells": len(table.rows),
        "replicates": results.replicates,
        "beside": book.beside and book.beside.study.title,
        "differing": differing and book.table(differing),
        "notes": [e.text for e in disagreements.found if not e.datasets or known & set(e.datasets)]
        if disagreements
        else [],
        "notes_source": disagreements.source if disagreements else "",
    }


def held(table: Table) -> tuple[int, int]:
    """How many of the printed values of `tables.runs.against` lie within our range, and how many can be compared."""
    within = [row.entries[-1].value for row in table.rows]
    return within.count("yes"), within.count("yes") + within.count("no")


def theirs(book: Book, name: str) -> dict[str, Any]:
    """How our baseline stands beside networks of others of which there are prediction files."""
    return {"theirs": book.table(compare_tables.theirs(book.results, name, book.inference.theirs(name)))}


def _rows(results: Results, reference: Reference, dataset: str) -> list[figures.PrintedRow]:
    metric, rows = results.study.primary, []
    for (name, arm, sampling), group in results.groups.items():
        if name == dataset:
            printed = reference.score(dataset, arm, sampling, metric)
            ours = group.values(results.select, "test", metric)
            label = results.variant(arm, sampling)
            rows.append(figures.PrintedRow(arm, sampling, label, printed, ours, group.reason or "not defined"))
    return rows


# --- where its tables and figures are --------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """One line of the index."""

    name: str
    content: str
    href: str
    note: str = ""


_TABLES = {
    "data-set-sizes": ("data-sets.html", "Data sets and their sizes"),
    "without-added-images": ("results.html", "Test AUC and accuracy without added images"),
    "with-added-images": ("results.html", "Test AUC and accuracy with added images, shuffled"),
    "with-added-images-weighted": ("results.html", "Test AUC and accuracy with added images, weighted"),
    "best-models": ("results.html", "Best model of each data set"),
    "all-arms": ("results.html", "All metrics of every arm"),
}
_FIGURES = {
    "montage": ("data-sets.html#montage-{}", "Montage of training images"),
    "classes": ("data-sets.html#classes-{}", "Class distribution"),
    "losses": ("generators.html#{}", "Training losses of the generators"),
    "images": ("generators.html#{}", "Generated images"),
    "confusion": ("best-models.html#confusion-{}", "Confusion matrix of the best model"),
    "curves": ("best-models.html#curves-{}", "Accuracy and AUC per epoch of the best model"),
}
"""What a figure of one data set shows → where such figures are, and its words."""


def index(book: Book, reference: Reference) -> dict[str, Any]:
    """The tables and figures of a reference, each with its place in this study's pages."""
    return {
        "reference": reference,
        "the_tables": [
            Place(table.number, _TABLES[table.shows][1], f"{_TABLES[table.shows][0]}#{table.shows}")
            for table in reference.tables
        ],
        "the_figures": list(_places(book.results, reference)),
    }


def _places(results: Results, reference: Reference) -> Iterator[Place]:
    for figure in reference.figures:
        if figure.shows in _FIGURES:
            href, words = _FIGURES[figure.shows]
            dataset = figure.dataset or ""
            title = results.title_of(dataset)
            note = "" if dataset in results.datasets else f"{title} is not part of this study"
            place = href.partition("#")[0] if note else href.format(dataset)
            if figure.shows in ("losses", "images") and not any(map(results.generator, results.arms)):
                note, place = "no arm of this study uses a generator", "arms.html"
            yield Place(figure.number, f"{words}, {title}", place, note)
        else:
            yield _model_place(results, figure)


def _model_place(results: Results, figure: PrintedFigure) -> Place:
    """The place of a diagram or of layers."""
    study = results.study
    if figure.classifier is not None:
        known = figure.classifier == study.classifier.kind
        words, anchor = "Layers of the classifier", "classifier"
    else:
        known = any(spec.kind == figure.generator for spec in study.generators.values())
        part = "Diagram" if figure.shows == "diagram" else (figure.network or "layers").capitalize()
        words, anchor = f"{part} of the {title_of(figure.generator or '')}", figure.generator or ""
    if not known:
        return Place(figure.number, words, "models.html", "not part of this study")
    return Place(figure.number, words, f"models.html#{anchor}")

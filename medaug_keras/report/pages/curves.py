"""Learning curves: how the arms of a data set learned, in one figure."""

from typing import Any

from medaug_keras.report import figures
from medaug_keras.report.numbers.results import histories
from medaug_keras.report.pages.book import Book, Shown

MANY = 4
"""With more data sets than this, each has a page of its own."""


def learning_curves(book: Book) -> dict[str, Any]:
    """A figure for each data set with a run."""
    results = book.results
    sections = [{"name": d, "title": results.title(d), "figure": _curves(book, d)} for d in results.datasets]
    return {"apart": len(sections) > MANY, "sections": sections}


def _curves(book: Book, dataset: str) -> Shown | None:
    results, found = book.results, []
    for arm, sampling in sorted(results.variants(dataset), key=lambda pair: pair != results.reference):
        group = results.groups[dataset, arm, sampling]
        learned = [history for run in group.done for history in histories(run)]
        if learned:
            first = results.pretraining(group.runs[0].task)
            found.append(figures.ArmCurves(arm, sampling, results.variant(arm, sampling), learned, first))
    if not found:
        return None
    pretrained = any(one.pretraining for one in found)
    real = " Left of an upright line in its color, an arm trains on generated images; right of it, on real ones."
    runs = "folds of all replicates" if results.folds(dataset) else "replicates"
    return book.figure(
        f"learning-{dataset}",
        figures.arms_curves(found, arms=results.by_look),
        f"Accuracy and AUC per epoch of every arm on {results.title(dataset)}, validation and training images: lines "
        f"are means over the {runs} that still train, bars at the marks go from the lowest to the highest. Marks are "
        f"hollow where batches are shuffled, filled where they are weighted.{real if pretrained else ''}",
    )

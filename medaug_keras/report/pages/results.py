"""The pages of results and of the best models."""

from collections.abc import Callable
from typing import Any

from medaug_keras.references import TableName
from medaug_keras.report import figures
from medaug_keras.report.numbers.findings import recipes
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.printed import figure_numbers, table_numbers
from medaug_keras.report.numbers.results import Results, Run, typical
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.pages.differences import by_data_set
from medaug_keras.report.tables import arms as arm_tables
from medaug_keras.report.tables import runs as run_tables
from medaug_keras.report.tables.table import Table


def scores(book: Book) -> dict[str, Any]:
    """Which arm scored what: the tables of arms, and the long table behind them."""
    sections: list[tuple[TableName, str, Callable[[Results, Inference], Table]]] = [
        ("without-added-images", "Without added images", arm_tables.without_added_images),
        ("with-added-images", "With added images, shuffled", arm_tables.with_added_images),
        ("with-added-images-weighted", "With added images, weighted", arm_tables.with_added_images_weighted),
        ("best-models", "Best models", arm_tables.best_models),
    ]
    return {
        "recipes": recipes(book.results),
        "sections": [
            (book.table(make(book.results, book.inference)), title, table_numbers(book.results, name))
            for name, title, make in sections
        ],
        "all_arms": book.table(run_tables.all_arms(book.results)),
        "ensembles": book.table(run_tables.ensembles(book.results)) if book.results.study.ensemble else None,
        "rates": book.table(run_tables.learning_rates(book.results)) if book.results.study.classifier.tune else None,
        "apart": book.many,
        "differences": {d: by_data_set(book, [d], f"differences-{d}") for d in book.results.datasets}
        if book.many
        else {},
    }


def best_models(book: Book) -> dict[str, Any]:
    """The best arm of each data set: the curves of a typical run, and its confusion matrix where there is one."""
    results = book.results
    shown = []
    for name in results.datasets:
        group = results.best.get(name)
        entry: dict[str, Any] = {
            "name": name,
            "title": results.title(name),
            "reason": "" if group else "no run of this data set is done yet",
            "missing": [f"confusion-{name}", f"curves-{name}"],
            "figures": [],
        }
        if group is not None:
            run = typical(group, results)
            label = results.variant(group.arm, group.sampling)
            entry |= {
                "label": label,
                "page": group.page,
                "run": run,
                "others": len(group.done) - 1,
                "figures": _best_figures(book, name, label, run),
            }
        shown.append(entry)
    return {"apart": book.apart, "sections": shown}


def _best_figures(book: Book, name: str, label: str, run: Run) -> list[Shown]:
    results, title = book.results, book.results.title(name)
    matrix = run.confusion(results.select)
    curves = book.figure(
        f"curves-{name}",
        book.curves(run),
        f"Accuracy and AUC per epoch on {title}: {label}, replicate {run.replicate}{book.of_folds(run)}.",
        figure_numbers(results, "curves", dataset=name),
    )
    if matrix is None:
        return [curves]
    confusion = book.figure(
        f"confusion-{name}",
        figures.confusion_matrix(matrix, results.classes(name)),
        f"Confusion matrix on the test images of {title}: {label}, replicate {run.replicate}.",
        figure_numbers(results, "confusion", dataset=name),
    )
    return [confusion, curves]

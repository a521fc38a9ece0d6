"""The page of all runs, and the page of each."""

from typing import Any

import yaml

from medaug_keras.report import figures, format
from medaug_keras.report.numbers.circumstances import environment
from medaug_keras.report.numbers.results import METRICS, SELECT_WORDS, STATE_WORDS, Run, read_json, select_words
from medaug_keras.report.pages.book import Book
from medaug_keras.report.tables import runs as run_tables


def runs(book: Book) -> dict[str, Any]:
    """Every run, done or not."""
    make = run_tables.groups if book.results.shared else run_tables.runs
    return {"table": book.table(make(book.results)), "apart": book.results.runs_apart}


def run_page(book: Book, run: Run) -> dict[str, Any]:
    """What one run measured, its settings, and how to make it again."""
    results = book.results
    task = results.plan.tasks[run.task]
    content: dict[str, Any] = {
        "datasets": [run.dataset],
        "run": run,
        "dataset_title": results.title(run.dataset),
        "label": results.variant(run.arm, run.sampling),
        "state": STATE_WORDS[run.outcome.state],
        "task": task,
        "needs": [(word, results.plan.tasks[need].title, need) for word, need in task.needs.items()],
        "settings": yaml.safe_dump(dict(task.params), sort_keys=False),
        "command": book.command(run),
        "run_table": results.runs_page(run.dataset),
        "neighbours": [r for r in results.groups[run.dataset, run.arm, run.sampling].runs if r is not run and r.tried],
        "details": format.last_lines(run.outcome.failure.details) if run.outcome.failure else "",
        "figures": [],
        "scores": [],
        "files": [],
        "environment": [],
    }
    if run.done:
        record = run.record
        matrix = run.scores(results.select, "test")["confusion"]
        curves = figures.learning_curves(read_json(record, "history.json"), best_epoch=run.selected(results.select))
        content |= {
            "figures": [
                book.drawn("curves", curves, f"Accuracy and AUC per epoch; marked is {select_words(results.select)}."),
                book.drawn("confusion", figures.confusion_matrix(matrix, results.classes(run.dataset)), "Test images."),
            ],
            "scores": _scores(run, results.select),
            "files": sorted(record.run.get("files", {}).items()),
            "environment": environment(record, show_host=book.show_host),
        }
    return content


def _scores(run: Run, select: str) -> list[tuple[str, list[tuple[str, float | None]]]]:
    """Rows of a run's table of metrics: (what, [(column, value)]); the epoch that tables show comes first."""
    rules: dict[int, list[str]] = {}
    for rule in (select, *run.record.values["selected"]):
        named = rules.setdefault(run.selected(rule), [])
        if rule not in named:
            named.append(rule)
    found = []
    for epoch, chosen in rules.items():
        for split in ("test", "validation"):
            values = run.record.values["scores"][str(epoch)][split]
            why = format.together(SELECT_WORDS[rule] for rule in chosen)
            found.append((f"{split}, epoch {epoch} ({why})", [(METRICS[m], values[m]) for m in METRICS]))
    return found

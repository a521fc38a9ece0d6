"""The page of all runs, and the page of each."""

from typing import Any

import yaml

from medaug_keras.measures import MEASURES
from medaug_keras.report import figures, format
from medaug_keras.report.numbers import published
from medaug_keras.report.numbers.circumstances import environment
from medaug_keras.report.numbers.results import (
    METRICS,
    SELECT_WORDS,
    STATE_WORDS,
    Results,
    Run,
    least_recall,
    select_words,
    tuning_measure,
)
from medaug_keras.report.pages.book import Book, Shown
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
        "settings": yaml.safe_dump(settings(results, run), sort_keys=False),
        "command": book.command(run),
        "run_table": results.runs_page(run.dataset),
        "neighbours": [r for r in results.groups[run.dataset, run.arm, run.sampling].runs if r is not run and r.tried],
        "details": format.last_lines(run.outcome.failure.details) if run.outcome.failure else "",
        "figures": [],
        "scores": [],
        "folds": [],
        "files": [],
        "environment": [],
        "unfused": [],
        "tuned": None,
    }
    if run.done:
        record = run.record
        shown = book.of_folds(run) or f"; marked is {select_words(results.select)}"
        first = results.pretraining(run.task)
        shown += f". The first {format.plural(first, 'epoch')} trained on generated images" if first else ""
        content |= {
            "figures": [
                book.drawn("curves", book.curves(run), f"Accuracy and AUC per epoch{shown}."),
                *_confusion(book, run),
            ],
            "scores": _scores(run, results.select),
            "folds": _folds(run, results.select),
            "metrics": list(METRICS.values()),
            "files": sorted(record.run.get("files", {}).items()),
            "environment": environment(run, show_host=book.show_host),
            "unfused": record.values.get("unfused", []),
            "tuned": _tuned(run),
        }
    return content


def _confusion(book: Book, run: Run) -> list[Shown]:
    """The confusion matrix, where images have one class each."""
    matrix = run.confusion(book.results.select)
    if matrix is None:
        return []
    drawn = figures.confusion_matrix(matrix, book.results.classes(run.dataset))
    return [book.drawn("confusion", drawn, "Test images.")]


def _scores(run: Run, select: str) -> list[tuple[str, list[tuple[str, float | None]]]]:
    """Rows of a run's table of metrics: (what, [(column, value)]); the epoch that tables show comes first."""
    rules: dict[str, list[str]] = {}
    for rule in (select, *run.record.values["selected"]):
        named = rules.setdefault(run.selected(rule), [])
        if rule not in named:
            named.append(rule)
    found = []
    for epoch, chosen in rules.items():
        for split in ("test", "validation"):
            values = run.record.values["scores"][epoch][split]
            why = format.together(SELECT_WORDS[rule] for rule in chosen)
            what = f"{split}, {why}" if run.folds else f"{split}, epoch {epoch} ({why})"
            least = MEASURES["least_recall"].label, least_recall(values)
            found.append((what, [*((METRICS[m], values[m]) for m in METRICS), least]))
    return found


def _tuned(run: Run) -> dict[str, Any] | None:
    """How the learning rate was chosen: a row for each value, of each fold."""
    if not run.tuned:
        return None
    rows = []
    for fold, one in enumerate(run.tuned):
        for value in one["tried"]:
            defined = [score for score in value["validation"] if score is not None]
            rows.append(
                {
                    "fold": fold,
                    "learning_rate": f"{value['learning_rate']:g}",
                    "chosen": value["learning_rate"] == one["learning_rate"],
                    "diverged": value["diverged"],
                    "scores": value["validation"],
                    "mean": sum(defined) / len(defined) if len(defined) == len(value["validation"]) else None,
                }
            )
    by = run.tuned[0]["by"]
    return {
        "rows": rows,
        "by": tuning_measure(by),
        "kind": "number" if by == "best_validation_loss" else "percent",
        "seeds": range(len(rows[0]["scores"])),
        "number": len(run.tuned[0]["tried"]),
        "ends": _ends(run),
    }


def _ends(run: Run) -> list[tuple[str, str]]:
    """Ends of the list at which a learning rate was chosen, and where a better one may lie."""
    rates = [value["learning_rate"] for value in run.tuned[0]["tried"]]
    chosen = {one["learning_rate"] for one in run.tuned}
    ends = {max(rates): ("largest", "higher"), min(rates): ("smallest", "lower")}
    return [words for end, words in ends.items() if end in chosen]


def settings(results: Results, run: Run) -> dict[str, Any]:
    """All that decides the result of a run; where it has folds, of its classifiers."""
    task = results.plan.tasks[run.task]
    first = task.needs.get("fold 0")
    trained = results.plan.tasks[first] if first else task
    found = dict(trained.params)
    found.pop("fold", None)
    found["settings"] = published.settings(found["settings"])
    if "source" in found["settings"]:  # the code itself is on the page of models
        found["settings"] = {**found["settings"], "source": trained.keyed["settings"]["source"]}
    pairs = zip(found["augment"], trained.keyed["augment"], strict=True)
    found["augment"] = [{**step, "source": keyed["source"]} if "source" in keyed else step for step, keyed in pairs]
    return found


def _folds(run: Run, select: str) -> list[dict[str, Any]]:
    """What each fold of a run learned from and measured."""
    return [
        {
            **{split: one[f"{split}_images"] for split in ("training", "validation", "test")},
            "epoch": one["selected"][select],
            "scores": [one["scores"][str(one["selected"][select])]["test"][metric] for metric in METRICS],
        }
        for one in run.folds
    ]

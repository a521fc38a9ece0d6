"""The page that the replicates of an arm share in a study with too many runs for a page each."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from medaug_keras.report import figures, format
from medaug_keras.report.numbers.circumstances import environment
from medaug_keras.report.numbers.results import (
    METRICS,
    STATE_WORDS,
    Group,
    Results,
    Run,
    select_words,
    typical,
)
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.runs import settings
from medaug_keras.report.tables.table import epoch_words

_OWN = ("Started", "Took")
"""What differs between replicates that ran on one machine."""


def shared_page(book: Book, group: Group) -> dict[str, Any]:
    """What every replicate measured, the curves of a typical one, the settings of all, and where each came from."""
    results = book.results
    around = {run.replicate: environment(run, show_host=book.show_host) for run in group.done}
    rest = {tuple(fact for fact in facts if fact[0] not in _OWN) for facts in around.values()}
    everywhere = next(iter(rest)) if len(rest) == 1 else ()
    task = results.plan.tasks[group.runs[0].task]
    needs = tuple(
        (f"Needs {word}", results.plan.tasks[need].title) for word, need in task.needs.items() if word == "data"
    )
    return {
        "datasets": [group.dataset],
        "group": group,
        "dataset_title": results.title(group.dataset),
        "label": results.variant(group.arm, group.sampling),
        "epoch_words": epoch_words(results),
        "metrics": list(METRICS.values()),
        "figures": _figures(book, group),
        "settings": _settings(settings(results, group.runs[0])),
        "everywhere": (*needs, *everywhere),
        "runs": [
            _run(book, run, [f for f in around.get(run.replicate, ()) if f not in everywhere]) for run in group.runs
        ],
    }


def _run(book: Book, run: Run, facts: list[tuple[str, str]]) -> dict[str, Any]:
    results = book.results
    task = results.plan.tasks[run.task]
    failure = run.outcome.failure
    return {
        "replicate": run.replicate,
        "anchor": run.anchor,
        "tried": run.tried,
        "state": STATE_WORDS[run.outcome.state],
        "reason": run.outcome.reason,
        "scores": _scores(results, run) if run.done else [],
        "command": book.command(run),
        "task": task.id,
        "key": task.key,
        "seed": task.params["seed"],
        "facts": [*_rates(run), *facts, *((f"Needs {w}", need) for w, need in task.needs.items())],
        "details": format.last_lines(failure.details) if failure else "",
        "files": _files(run) if run.done else "",
    }


def _rates(run: Run) -> list[tuple[str, str]]:
    """The learning rate that was chosen, of each fold."""
    rates = [f"{one['learning_rate']:g}" for one in run.tuned] if run.done else []
    return [("Learning rate", ", ".join(rates))] if rates else []


def _scores(results: Results, run: Run) -> list[str]:
    return [
        format.shown(run.metric(results.select, split, metric), "percent")
        for split in ("test", "validation")
        for metric in METRICS
    ]


def _files(run: Run) -> str:
    """As sha256sum writes and reads them."""
    return "\n".join(f"{checksum}  {name}" for name, checksum in sorted(run.record.run.get("files", {}).items()))


def _figures(book: Book, group: Group) -> list[Any]:
    results = book.results
    if not group.done:
        return []
    run = typical(group, results)
    which = f"replicate {run.replicate}, whose test score is nearest to the mean"
    shown = book.of_folds(run) or f"; marked is {select_words(results.select)}"
    curves = book.drawn("curves", book.curves(run), f"Accuracy and AUC per epoch of {which}{shown}.")
    matrix = run.confusion(results.select)
    if matrix is None:
        return [curves]
    confusion = figures.confusion_matrix(matrix, results.classes(group.dataset))
    return [curves, book.drawn("confusion", confusion, f"Test images, {which}.")]


def _settings(params: Mapping[str, Any]) -> str:
    """All that decides the results of these runs, but the seed."""
    return _yaml(json.dumps({word: value for word, value in params.items() if word != "seed"}))


@cache
def _yaml(text: str) -> str:
    """JSON → YAML, which takes long, and is the same on every data set."""
    return yaml.safe_dump(json.loads(text), sort_keys=False)

"""The first page: what the study asked and what it found, on one screen."""

from typing import Any

from medaug_keras.counts import plural
from medaug_keras.data import check_known
from medaug_keras.report import figures, format
from medaug_keras.report.numbers.circumstances import circumstances, standing
from medaug_keras.report.numbers.findings import (
    caveats,
    conclusion,
    known_images,
    positives_found,
    recalls,
    sizes,
    terms,
)
from medaug_keras.report.numbers.prospects import prospects
from medaug_keras.report.numbers.subgroups import has_subgroups
from medaug_keras.report.numbers.thresholds import point_words
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.differences import by_data_set, over_data_sets
from medaug_keras.report.pages.references import held
from medaug_keras.report.pages.views import views
from medaug_keras.report.tables.evidence import overview
from medaug_keras.report.tables.prospects import prospects as prospect_table
from medaug_keras.report.tables.runs import against
from medaug_keras.report.tables.table import Table
from medaug_keras.report.tables.verdicts import verdicts


def findings(book: Book) -> dict[str, Any]:
    """The answer, the arms as dots, how far the study is, and what ran."""
    results = book.results
    begun, waiting = book.begun()
    now = standing(results, book.asked, book.expected)
    shown = book.grid and any(run.done for run in results.runs)
    content: dict[str, Any] = {"differences": None, "views": None, "overview": None, "arms_over_data_sets": None}
    if book.many:
        content["overview"] = book.table(overview(results, book.inference))
        content["arms_over_data_sets"] = over_data_sets(book)
    else:
        content["differences"] = by_data_set(book, begun, "differences")
        content["views"] = views(book, begun) if shown else None
    return content | {
        "conclusion": conclusion(results, book.inference),
        "known_images": known_images(results),
        "known": [],  # the conclusion says it here
        "terms": terms(results),
        "sizes": sizes(results, book.inference),
        "several": len(results.datasets) > 1,
        "caveats": caveats(results, book.inference),
        "recalls": [*positives_found(results, book.inference), *recalls(results, book.inference)],
        "printed": [
            (reference, *found) for reference in results.references if (found := held(against(results, reference)))[1]
        ],
        "points": format.together(map(point_words, results.study.operating_points)),
        "subgroups": has_subgroups(results),
        "verdicts": book.table(verdicts(results, book.inference, book.tests_page)) if shown else None,
        "odd": _odd(book),
        "waiting": [] if now.partial else waiting,  # they are the rest of the study, which has its line
        "progress": figures.progress(now.states, what="tasks", head="This run: " if now.partial else ""),
        "standing": now.sentences,
        "prospects": _prospects(book),
        "troubles": _troubles(book),
        "circumstances": circumstances(results, book.asked),
    }


def _prospects(book: Book) -> Table | None:
    """What could be shown on the data sets that were asked for and are not done; None where nothing is compared."""
    results = book.results
    waiting = {run.dataset for run in results.runs if not run.done and run.dataset in book.asked.data}
    if not waiting or len(results.variants()) < 2:
        return None
    seconds: dict[str, float | None] = {}
    for dataset in waiting:
        tasks = {n: t for n, t in results.plan.tasks.items() if t.dataset == dataset and t.replicate == 0}
        seconds[dataset] = book.expected(tasks, results.outcomes) if book.expected else None
    found = [one for one in prospects(results, book.inference) if one.dataset in waiting]
    return book.table(prospect_table(results, found, seconds))


def _odd(book: Book) -> list[tuple[str, str, str]]:
    """Data set, its title, and what the audit found, besides what stands on top of every page."""
    results = book.results
    found = []
    for name in results.datasets:
        remarks = [text for text in results.odd(name) or () if text not in results.leaks(name).values()]
        more = f" ({plural(len(remarks) - 1, 'more remark')})" if len(remarks) > 1 else ""
        if remarks:
            found.append((name, results.title(name), remarks[0] + more))
    for dataset, test, place in results.outside:
        record = results.overlap(place).record
        known = check_known(record.values) if record is not None else None
        if known is not None and known.level == "fail":
            found.append((dataset, f"{results.title(dataset)}, test set {test}", known.found[0].text))
    return found


def _troubles(book: Book) -> list[dict[str, str]]:
    """Tasks that failed or cannot be read, and why."""
    found = []
    for task, outcome in book.results.outcomes.items():
        if outcome.state in ("failed", "damaged"):
            details = outcome.failure.details if outcome.failure else ""
            title = book.results.plan.tasks[task].title
            found.append(
                {
                    "title": title,
                    "state": outcome.state,
                    "reason": outcome.reason,
                    "details": format.last_lines(details),
                }
            )
    return found

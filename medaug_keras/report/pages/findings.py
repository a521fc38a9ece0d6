"""The first page: what the study asked and what it found, on one screen."""

from collections.abc import Sequence
from typing import Any

from medaug_keras.report import figures, format
from medaug_keras.report.figures import Figure
from medaug_keras.report.numbers.circumstances import circumstances, standing
from medaug_keras.report.numbers.findings import caveats, conclusion, metric_name
from medaug_keras.report.numbers.results import METRICS, STATE_WORDS, Group
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.evidence import arms_over_data_sets
from medaug_keras.report.tables.evidence import overview
from medaug_keras.report.tables.verdicts import verdicts


def findings(book: Book) -> dict[str, Any]:
    """The answer, the arms as dots, how far the study is, and what ran."""
    results = book.results
    metric = results.study.primary
    begun, waiting = book.begun()
    now = standing(results, book.asked, book.expected)
    caption = (
        f"Test {metric_name(metric)} of every arm: mean over replicates with its 95 % interval (Student's t; "
        "training runs vary, the test images stay). The line is the baseline."
    )
    shown = book.grid and any(run.done for run in results.runs)
    content: dict[str, Any] = {"dots": None, "overview": None, "arms_over_data_sets": None}
    if book.many:
        content["overview"] = book.table(overview(results, book.inference))
        content["arms_over_data_sets"] = arms_over_data_sets(book)
    else:
        content["dots"] = book.figure("arms", dots(book, begun), caption)
    return content | {
        "conclusion": conclusion(results, book.inference),
        "caveats": caveats(results, book.inference),
        "verdicts": book.table(verdicts(results, book.inference, book.tests_page)) if shown else None,
        "odd": _odd(book),
        "waiting": [] if now.partial else waiting,  # they are the rest of the study, which has its line
        "progress": figures.progress(now.states, what="tasks", head="This run: " if now.partial else ""),
        "standing": now.sentences,
        "troubles": _troubles(book),
        "circumstances": circumstances(results, book.asked),
    }


def _odd(book: Book) -> list[tuple[str, str, str]]:
    """Data set, its title, and what the audit found, besides what stands on top of every page."""
    results = book.results
    found = []
    for name in results.datasets:
        remarks = [text for text in results.odd(name) or () if text not in results.leaks(name).values()]
        more = f" And {format.plural(len(remarks) - 1, 'more remark')}." if len(remarks) > 1 else ""
        if remarks:
            found.append((name, results.title(name), remarks[0] + more))
    return found


def dots(book: Book, datasets: Sequence[str]) -> Figure:
    """Every arm of these data sets: its mean with its interval."""
    results = book.results
    cells = {d: [_cell(book, g) for (name, *_), g in results.groups.items() if name == d] for d in datasets}
    panels = [figures.ArmsPanel(results.title(d), cells[d]) for d in datasets]
    return figures.arms_by_dataset(panels, metric=METRICS[results.study.primary], arms=results.by_look)


def _cell(book: Book, group: Group) -> figures.Cell:
    found = group.estimate(book.results.select, "test", book.results.study.primary)
    half = found.half_width
    return figures.Cell(
        group.arm,
        group.sampling,
        book.results.variant(group.arm, group.sampling),
        mean=found.mean,
        # A metric cannot leave [0, 1], though Student's t with few replicates can.
        low=None if found.mean is None or half is None else max(0.0, found.mean - half),
        high=None if found.mean is None or half is None else min(1.0, found.mean + half),
        n=found.n,
        reason=STATE_WORDS[group.runs[0].outcome.state] if not group.done else "not defined",
        baseline=(group.arm, group.sampling) == book.results.reference,
    )


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

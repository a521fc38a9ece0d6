"""The first page: what the study asked and what it found, on one screen."""

from collections.abc import Sequence
from typing import Any

from medaug_keras.report import figures, format
from medaug_keras.report.figures.differences import MAJORITY
from medaug_keras.report.numbers.circumstances import circumstances, standing
from medaug_keras.report.numbers.findings import caveats, conclusion, metric_name
from medaug_keras.report.numbers.results import METRICS
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.pages.evidence import arms_over_data_sets, short_reason
from medaug_keras.report.tables.evidence import overview
from medaug_keras.report.tables.verdicts import verdicts


def findings(book: Book) -> dict[str, Any]:
    """The answer, the arms as dots, how far the study is, and what ran."""
    results = book.results
    begun, waiting = book.begun()
    now = standing(results, book.asked, book.expected)
    shown = book.grid and any(run.done for run in results.runs)
    content: dict[str, Any] = {"differences": None, "overview": None, "arms_over_data_sets": None}
    if book.many:
        content["overview"] = book.table(overview(results, book.inference))
        content["arms_over_data_sets"] = arms_over_data_sets(book)
    else:
        content["differences"] = differences(book, begun, "differences")
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


def differences(book: Book, datasets: Sequence[str], name: str) -> Shown | None:
    """Every arm of these data sets: its difference to the baseline, and those of its runs."""
    results, inference = book.results, book.inference
    if not inference.by_effect:
        return None
    metric, base = results.study.primary, results.variant(*results.reference)
    panels = [_panel(book, dataset) for dataset in datasets]
    drawn = figures.differences(panels, metric=METRICS[metric], arms=results.by_look)
    caption = (
        f"Difference to “{base}” in test {metric_name(metric)}, points. Marks: mean over replicates, hollow for "
        "shuffled and filled for weighted batches; lines: its 95 % interval; small dots: each replicate, less the "
        "baseline's run with the same seed."
    )
    return book.figure(name, drawn, caption)


def _panel(book: Book, dataset: str) -> figures.DifferencesPanel:
    results, inference, metric = book.results, book.inference, book.results.study.primary
    base, majority = results.baseline(dataset), results.majority(dataset)
    level = base.estimate(results.select, "test", metric).mean if base else None
    notes = []
    if level is not None:
        notes.append(f"{results.variant(*results.reference)} {format.percent(level, 1)} %")
    if majority is not None:
        notes.append(f"{MAJORITY} {format.percent(majority, 1)} %")
    rows = []
    for one in inference.by_effect:
        c = inference.tests.get((dataset, one.arm, one.sampling))
        if c is None:
            continue  # not part of the study
        r, pair = c.result, (one.arm, one.sampling)
        rows.append(
            figures.Difference(
                results.variant(*pair),
                r.effect,
                r.low,
                r.high,
                arm=one.arm,
                sampling=one.sampling,
                runs=list(inference.by_replicate(dataset, pair).values()),
                control=results.study.arms[one.arm].duplicate is not None,
                reason=short_reason(c),
            )
        )
    against = None if level is None or majority is None else majority - level
    return figures.DifferencesPanel(results.title(dataset), rows, "; ".join(notes), against)


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

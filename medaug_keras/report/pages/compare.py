"""The page that compares: every two arms, this study and the one beside it, and this look and the one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medaug_keras.looks import CLAIMS
from medaug_keras.report.format import MARKS, part, plural, points, together, within
from medaug_keras.report.numbers.circumstances import changed, moment
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import Comparison, Inference, Pair
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.tables import compare as tables
from medaug_keras.report.tables import runs as run_tables

MOST_ARMS, MOST_ACROSS = 24, 12
"""More arms are not compared with each other, since a correction for so many pairs leaves no power; more do not fit
side by side."""
_WORDS = {
    "better": "the row's arm is better",
    "worse": "the row's arm is worse",
    "equivalent": "equivalent",
    "not distinguishable": "inconclusive",
    "not tested": "not tested",
}


@dataclass(frozen=True)
class Square:
    """A cell of the grid: the arm of its row less that of its column."""

    text: str = ""
    mark: str = ""
    words: str = ""
    """For the screen reader, and on hover."""
    verdict: str = ""


@dataclass(frozen=True)
class Grid:
    """Every arm of a data set against every other. `reason` says why there is none."""

    dataset: str
    title: str
    labels: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    """Their names, with the sampling."""
    rows: tuple[tuple[Square, ...], ...] = ()
    reason: str = ""


def compare(book: Book) -> dict[str, Any]:
    """What the page lays out."""
    results, inference, other = book.results, book.inference, book.beside
    found = {d: inference.pairs(d) for d in results.datasets if _few(results, d)}
    differing = run_tables.differing_settings(results, other) if other else None
    studies = tables.studies(results, other, inference.beside(Inference(other))) if other else None
    return {
        "metric": metric_name(results.study.primary),
        "equivalent": f"{MARKS['equivalent']} equivalent ({within(inference.margin)})" if inference.margin else "",
        "changes": changes(results, inference),
        "grids": [_grid(results, d, found.get(d, {})) for d in results.datasets],
        "pairs": book.table(tables.pairs(results, found)),
        "beside": other and other.study.title,
        "studies": studies and book.table(studies),
        "differing": differing and book.table(differing),
    }


def _few(results: Results, dataset: str) -> bool:
    return 2 < len(results.variants(dataset)) <= MOST_ARMS and dataset in results.begun


def _grid(results: Results, dataset: str, found: Mapping[tuple[Pair, Pair], Comparison]) -> Grid:
    title, pairs = results.title(dataset), results.variants(dataset)
    if dataset not in results.begun:
        return Grid(dataset, title, reason="nothing of this data set was run yet")
    if len(pairs) <= 2:
        return Grid(dataset, title, reason="there are no two arms beside the baseline; Significance has the comparison")
    if not found:
        return Grid(dataset, title, reason=f"{len(pairs)} arms are too many to compare each with each")
    if len(pairs) > MOST_ACROSS:
        return Grid(dataset, title, reason=f"{len(pairs)} arms do not fit side by side; the list of pairs has them")
    rows = tuple(tuple(_square(found, one, other) for other in pairs) for one in pairs)
    labels, names = (tuple(results.variant(*pair) for pair in pairs), tuple(".".join(pair) for pair in pairs))
    return Grid(dataset, title, labels, names, rows)


def _square(found: Mapping[tuple[Pair, Pair], Comparison], one: Pair, other: Pair) -> Square:
    if one == other:
        return Square()
    c = found.get((one, other))
    sign, c = (1, c) if c is not None else (-1, found[other, one])
    word = c.word if sign == 1 else {"better": "worse", "worse": "better"}.get(c.word, c.word)
    r = c.result
    if r.effect is None:
        return Square("–", "", r.reason or "", word)
    low, high = (r.low, r.high) if sign == 1 else (r.high, r.low)
    between = "" if low is None or high is None else f", 95 % interval {points(sign * low)} to {points(sign * high)}"
    return Square(points(sign * r.effect), MARKS.get(word, ""), f"{_WORDS[word]}{between}", word)


def changes(results: Results, inference: Inference) -> list[str]:
    """What is new since the look before this one, in sentences; empty for a first look."""
    last, now = results.looks.last, results.looks.now
    if last is None or not now.done:
        return []
    more = now.done - last.done
    have = "has" if now.done == 1 else "have"
    of_runs = f"{part(last.done, last.runs, 'run')} had a result then, {now.done:,} of {now.runs:,} {have} one now"
    found = [f"The report before this one is of {moment(last.time)}. {of_runs}{_sign(more)}."]
    if last.study != now.study:
        found.append(f"The study was changed in between: {'; '.join(changed(last, now))}.")
    if last.verdicts is None:
        return [*found, "Its verdicts are not known: an earlier version made it."]
    claims = inference.claims
    turned = []
    for word in CLAIMS:
        new = [cell for cell, was in claims.items() if was == word != last.verdicts.get(cell)]
        old = [cell for cell, was in last.verdicts.items() if was == word != claims.get(cell)]
        than = "to" if word == "equivalent" else "than"
        turned += [f"Now {word} {than} the baseline: {_called(results, new)}."] * bool(new)
        turned += [f"No longer {word}: {_called(results, old)}."] * bool(old)
    return [*found, *(turned or ["No verdict has changed."])]


def _sign(more: int) -> str:
    return f": {plural(more, 'more', 'more')}" if more > 0 else f": {plural(-more, 'fewer', 'fewer')}" if more else ""


def _called(results: Results, cells: list[str], most: int = 8) -> str:
    """Flips on BreastMNIST and 3 more; a cell that the study no longer has by the study's own name."""
    names = []
    for cell in cells[:most]:
        dataset, arm, sampling = cell.split("/")
        known = (dataset, arm, sampling) in results.groups
        names.append(f"{results.variant(arm, sampling)} on {results.title(dataset)}" if known else cell)
    rest = len(cells) - most
    return together([*names, f"{rest} more"] if rest > 0 else names)

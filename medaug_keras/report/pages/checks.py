"""The page of checks: what was looked for in each data set, and the images that are related."""

from typing import Any

import numpy as np

from medaug_keras.data import Check, checks_outside
from medaug_keras.data import checks as checks_of
from medaug_keras.data.dataset import SPLITS
from medaug_keras.report import figures, format
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.tables import checks as check_tables
from medaug_keras.store import Outcome, Record

FILE = "audit.npz"
_CAPTIONS = {
    "identical": "identical images in two splits",
    "near": "images of two splits that are nearly the same",
    "groups": "images of one group in two splits",
    "labels": "the same image, or nearly, in two classes",
    "repeats": "images that are there twice, or nearly",
}
_LEVELS = {"fail": "fails", "warn": "warnings", "pass": "passes"}


def checks(book: Book) -> dict[str, Any]:
    """A table for each data set, and its pairs of related images."""
    results, shown = book.results, []
    for name in results.datasets:
        entry = _entry(book, name, results.title(name), results.data(name))
        entry["outside"] = [
            _entry(book, place, f"{results.title(name)}, test set {test}", results.overlap(place))
            for dataset, test, place in results.outside
            if dataset == name
        ]
        shown.append(entry)
    return {"sections": shown}


def _entry(book: Book, name: str, title: str, outcome: Outcome) -> dict[str, Any]:
    """What was looked for in a data set, or in a test set from elsewhere beside its data set."""
    outside = name not in book.results.datasets
    entry: dict[str, Any] = {"name": name, "title": title, "reason": outcome.reason, "table": None, "figures": []}
    record, called = outcome.record, name.replace(".", "-")
    if record is not None and "audit" in record.values:
        found = checks_outside(record.values) if outside else checks_of(record.values)
        entry["counts"] = _counts(found)
        entry["table"] = book.table(check_tables.checks(called, title, found))
        odd = any(check.name == "labels" and check.level in ("fail", "warn") for check in found)
        entry["differ"] = ("findings" if book.results.several(name.partition(".")[0]) else "classes") if odd else ""
        entry["leaks"] = any(
            check.name in ("identical", "near", "groups") and check.level in ("fail", "warn") for check in found
        )
        entry["figures"] = _figures(book, called, title, record)
    elif record is not None:
        entry["reason"] = "not looked for: made by an earlier version; check looks"
    return entry


def _counts(found: list[Check]) -> str:
    """How many checks there are of each level and, where a check found several things, how many things are odd: that
    is what `check` counts, and the first page."""
    levels = [check.level for check in found]
    said = ", ".join(
        f"{levels.count(level)} {word if levels.count(level) != 1 else _one(word)}"
        for level, word in _LEVELS.items()
        if level in levels
    )
    odd = [check for check in found if check.level in ("fail", "warn")]
    things = sum(one.level in ("fail", "warn") for check in odd for one in check.found)
    return f"{said}: {things} things are odd" if things > len(odd) else said


def _one(word: str) -> str:
    return {"fails": "fail", "warnings": "warning", "passes": "pass"}[word]


def _figures(book: Book, name: str, title: str, record: Record) -> list[Shown]:
    """The pairs that a task kept of each check; none where an earlier version made it."""
    if not (record.folder / FILE).is_file():
        return []
    shown, classes = [], list(record.values["classes"])
    with np.load(record.folder / FILE, allow_pickle=False) as kept:
        for check, words in _CAPTIONS.items():
            if f"{check}_images" not in kept:
                continue
            images, splits, labels, flips = (
                kept[f"{check}_{what}"] for what in ("images", "splits", "labels", "mirrored")
            )
            said = (
                kept[f"{check}_words"].tolist()
                if f"{check}_words" in kept
                else [[classes[k] for k in p] for p in labels]
            )
            folds = not record.values["splits"]["test"]["images"]  # then no image is of a split
            twins = [
                figures.Twins(one, other, *_lines([] if folds else split, words_of, bool(flip)))
                for (one, other), split, words_of, flip in zip(images, splits.tolist(), said, flips, strict=True)
            ]
            drawn = figures.twins(twins, what=f"{title}, {words}")
            many, order = format.plural(len(twins), "pair"), ", the worst first" if len(twins) > 1 else ""
            shown.append(book.figure(f"checks-{name}-{check}", drawn, f"{title}: {words}, {many}{order}."))
    return shown


def _lines(splits: list[int], classes: list[str], flip: bool) -> tuple[str, str]:
    """`training and test`; the class, or both. Of folds a class in each line, where there are two."""
    words = {"train": "training"}
    there = list(dict.fromkeys(words.get(SPLITS[split], SPLITS[split]) for split in splits))
    both = [*([" and ".join(there)] if there else []), *["mirrored"] * flip]
    different = list(dict.fromkeys(classes))
    if not both and len(different) == 2:
        return different[0], different[1]
    return ", ".join(both), " | ".join(different)

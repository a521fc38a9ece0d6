"""The page of data sets: which images, how many of which class, under which license."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from medaug_keras.data.medmnist import BELONGING
from medaug_keras.report import figures, format
from medaug_keras.report.numbers.printed import figure_numbers, table_numbers
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.tables import arms as arm_tables
from medaug_keras.report.tables import classes as class_tables
from medaug_keras.spec import MedMnistData
from medaug_keras.store import Record


def data_sets(book: Book) -> dict[str, Any]:
    """Sizes of all data sets, and what each is."""
    results = book.results
    shown = []
    for name in results.datasets:
        outcome, asked = results.data(name), results.study.datasets[name]
        entry: dict[str, Any] = {
            "name": name,
            "title": results.title(name),
            "reason": outcome.reason,
            "marks": results.marks(name),
            "record": outcome.record,
            "odd": results.odd(name),
            "belonging": BELONGING.get(asked.name or name, "") if isinstance(asked, MedMnistData) else "",
            "figures": [],
            "together": None,
            "missing": [
                (f"{shows}-{name}", figure_numbers(results, shows, dataset=name), content)
                for shows, content in (("montage", "Montage of training images"), ("classes", "Class distribution"))
            ],
        }
        if outcome.record is not None:
            entry["figures"] = _data_figures(book, name, outcome.record)
            if results.several(name):
                entry["together"] = book.table(class_tables.found_together(results, name))
            entry |= _facts(outcome.record.values) | {"folds": _folds(book, name)}
        shown.append(entry)
    return {
        "apart": book.apart,
        "sizes": book.table(arm_tables.dataset_sizes(results)),
        "sizes_number": table_numbers(results, "data-set-sizes"),
        "sections": shown,
    }


def _facts(values: Mapping[str, Any]) -> dict[str, str]:
    """What was left out of a data set, its groups and its rarest class, in words."""
    splits, audit = values["splits"], values.get("audit") or {}
    words = {"train": "training", "validation": "validation", "test": "test"}
    if not splits["test"]["images"]:  # cut into folds
        words = {"train": ""}
    counts = {split: splits[split]["per_class"] for split in words}
    rarest = min(range(len(values["classes"])), key=lambda k: counts["train"][k])
    found = {split: audit[split] for split in words if "groups" in audit.get(split, {})}
    images = format.together([f"{format.count(counts[split][rarest])} {word}".strip() for split, word in words.items()])
    none = [f"{format.count(splits[s]['none'])} {word}".strip() for s, word in words.items() if "none" in splits[s]]
    return {
        "none": f"{format.together(none)} images" if none else "",
        "left_out": ", ".join(format.counted(values.get("left_out", {}))),
        "groups": "; ".join(
            f"{words[split]} {format.count(groups['groups'])}, the largest of ".lstrip()
            + format.plural(groups["largest_group"], "image")
            for split, groups in found.items()
        ),
        "rarest": f"{values['classes'][rarest]}: {images} images",
    }


def _folds(book: Book, name: str) -> str:
    """How a data set is cut into folds, in words; empty where it is not."""
    split, sizes = book.results.study.datasets[name].folds, book.results.plan.sources[name]
    if split is None:
        return ""
    parts = [f"{format.count(n)} {word}" for n, word in ((sizes.train, "training"), (sizes.validation, "validation"))]
    return (
        f"{split.folds}, cut anew in each replicate; every image is tested once in each. On average a fold has "
        f"{format.together([*parts, f'{format.count(sizes.test)} test'])} images"
    )


def _data_figures(book: Book, name: str, record: Record) -> list[Shown]:
    results, title = book.results, book.results.title(name)
    with np.load(record.folder / "examples.npz", allow_pickle=False) as examples:
        images = examples["montage"]
    what = "images" if results.folds(name) else "training images"
    made = figures.montage(images, columns=20, what=f"{what} of {title}")
    splits = ("train",) if results.folds(name) else arm_tables.SPLITS
    counts = {"all" if len(splits) == 1 else split: record.values["splits"][split]["per_class"] for split in splits}
    by = "finding; an image can have several, or none" if results.several(name) else "class"
    sizes = {"all" if len(splits) == 1 else split: record.values["splits"][split]["images"] for split in splits}
    bars = figures.class_distribution(results.classes(name), counts, images=sizes)
    return [
        book.figure(
            f"montage-{name}",
            made,
            f"{len(images)} {what} of {title}, drawn at random.",
            figure_numbers(results, "montage", dataset=name),
        ),
        book.figure(
            f"classes-{name}",
            bars,
            f"Images of {title} by {by}.",
            figure_numbers(results, "classes", dataset=name),
        ),
    ]

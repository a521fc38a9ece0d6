"""Images: which test images an arm repairs or breaks, and which are the hardest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.data import kept_images
from medaug_keras.report import figures
from medaug_keras.report.format import part, percent
from medaug_keras.report.numbers.changes import Changes, changes, hardest, strongest
from medaug_keras.report.pages.book import Book
from medaug_keras.report.tables import images as image_tables
from medaug_keras.report.tables.export import write_csv

MOST_HARD, MOST_CHANGED, FEWER_CHANGED = 24, 12, 6
"""Pictures of the hardest images, and of those that an arm repairs and that it breaks; fewer with many arms."""
MANY_ARMS = 60
"""Pairs of arm and data set beyond which fewer pictures are shown of each."""
MANY = 3
"""With more data sets than this, each has a page of its own."""


@dataclass(frozen=True)
class Card:
    """A test image with a few words; `label` is the number of its class."""

    file: str
    label: int
    alt: str
    lines: tuple[str, ...]


def images(book: Book) -> dict[str, Any]:
    """The table of changes, and the images of each data set where they are still unpacked."""
    results = book.results
    most = MOST_CHANGED if len(results.groups) <= MANY_ARMS else FEWER_CHANGED
    return {
        "apart": len(results.datasets) > MANY,
        "table": book.table(image_tables.changed(results, book.inference)),
        "sections": [_section(book, dataset, most) for dataset in results.datasets],
    }


def _section(book: Book, dataset: str, most: int) -> dict[str, Any]:
    results = book.results
    content: dict[str, Any] = {"name": dataset, "title": results.title(dataset), "reason": "", "hard": [], "arms": []}
    content["csv"] = ""
    if results.several(dataset):
        return content | {"reason": "an image with several findings is not right or wrong as a whole"}
    difficult = hardest(book.inference, dataset)
    if difficult is None:
        return content | {"reason": "no run of this data set is done yet"}
    content["csv"] = f"data/images-of-{dataset}.csv"
    book.file(
        content["csv"],
        write_csv(image_tables.CHANGED_CSV, image_tables.changed_images(results, book.inference, dataset)),
    )
    folder = results.root / "unpacked" / results.plan.data[dataset]
    pixels = kept_images(folder, "train" if results.folds(dataset) else "test")
    labels, classes = book.inference.labels[dataset], results.classes(dataset)
    if pixels is None or len(pixels) != len(labels):
        return content | {"reason": "the images are no longer unpacked in the results folder; check unpacks them again"}
    shown = _Pictures(book, dataset, pixels, labels)
    hard = strongest(difficult.wrong, 1 - difficult.likely, np.zeros_like(labels), MOST_HARD)
    wrong = {
        i: (
            f"wrong in {part(difficult.wrong[i], difficult.of, 'run')}",
            f"mostly called {classes[difficult.taken_for[i]]}",
            f"{percent(float(difficult.likely[i]), 0)} % for the true class",
        )
        for i in hard
    }
    arms = []
    for arm, sampling in results.variants(dataset):
        found = None if (arm, sampling) == results.reference else changes(book.inference, (dataset, arm, sampling))
        if found:
            gain = found.after - found.before
            repaired = strongest(found.repaired - found.broken, gain, labels, most)
            broken = strongest(found.broken - found.repaired, -gain, labels, most)
            arms.append(
                {
                    "label": results.variant(arm, sampling),
                    "repaired": shown.cards(repaired, {i: _words(found, i, "repaired") for i in repaired}),
                    "broken": shown.cards(broken, {i: _words(found, i, "broken") for i in broken}),
                }
            )
    return content | {
        "hard": shown.cards(hard, wrong),
        "arms": arms,
        "classes": [(k, classes[k]) for k in sorted(shown.classes)],
    }


def _words(found: Changes, i: int, word: str) -> tuple[str, ...]:
    there, other = (found.repaired, found.broken) if word == "repaired" else (found.broken, found.repaired)
    back = {"repaired": "broken", "broken": "repaired"}[word]
    return (
        f"{word} in {there[i]} of {found.of}" + (f", {back} in {other[i]}" if other[i] else ""),
        f"{percent(float(found.before[i]), 0)} → {percent(float(found.after[i]), 0)} % for the true class",
    )


class _Pictures:
    """Test images of a data set as files, each written once."""

    def __init__(self, book: Book, dataset: str, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self.book, self.dataset, self.pixels, self.labels = book, dataset, pixels, labels
        self.made: set[int] = set()
        self.classes: set[int] = set()

    def cards(self, chosen: Iterable[int], words: Mapping[int, tuple[str, ...]]) -> list[Card]:
        """A card for each image, with its class and these words."""
        return [self._card(i, words[i]) for i in chosen]

    def _card(self, i: int, words: tuple[str, ...]) -> Card:
        file, label = f"figures/test-{self.dataset}-{i}.png", int(self.labels[i])
        if i not in self.made:
            self.book.file(file, figures.small_picture(np.asarray(self.pixels[i])))
            self.made.add(i)
            self.classes.add(label)
        name = self.book.results.classes(self.dataset)[label]
        return Card(file, label, f"Test image {i + 1}, {name}: {', '.join(words)}", (name, *words))

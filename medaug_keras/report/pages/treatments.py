"""The page *Arms*: what every arm does to the training set."""

from typing import Any

from medaug_keras.report.pages.book import Book
from medaug_keras.report.tables import treatments


def arms(book: Book) -> dict[str, Any]:
    """Every arm in words, and how much its runs train."""
    return {
        "apart": book.apart,
        "arms": book.table(treatments.treatments(book.results)),
        "sizes": book.table(treatments.sizes(book.results)),
    }

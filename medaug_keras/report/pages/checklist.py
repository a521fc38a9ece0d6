"""The page *Checklist*: items of CLAIM and TRIPOD+AI, and what the records say to each."""

from typing import Any

from medaug_keras.report.numbers.checklist import CHECKLISTS, answers
from medaug_keras.report.pages.book import Book
from medaug_keras.report.tables.checklist import checklist


def checklists(book: Book) -> dict[str, Any]:
    """A table for each list."""
    found = answers(book.results, book.inference)
    return {"lists": [(one, book.table(checklist(one, found, book.pages))) for one in CHECKLISTS]}

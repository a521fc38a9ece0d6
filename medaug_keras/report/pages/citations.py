"""BibTeX of the methods that a study uses and of this software. Data sets bring their own with their records."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from medaug_keras.generators import GENERATORS
from medaug_keras.report.numbers.methods import methods_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.tables.evidence import in_column
from medaug_keras.report.tables.export import table_latex
from medaug_keras.report.tables.further import corrupted_sets

BIBTEX = {
    entry.partition("{")[2].partition(",")[0]: entry.strip()
    for entry in re.split(r"\n(?=@)", Path(__file__).with_name("methods.bib").read_text("utf-8"))
    if entry.startswith("@")
}
"""Key → entry, of everything in methods.bib."""
_STATISTICS = ("obuchowski1995", "tsui1989", "holm1979")


def methods(
    generators: Collection[str], *, statistics: bool, margin: bool = False, corruptions: bool = False
) -> list[tuple[str, str]]:
    """(what, BibTeX) of the study's generators by kind, and of the tests where any were made, of equivalence too
    where there is a `margin`; of corrupted test images where there are any."""
    found = [
        (kind.title, _entries(kind.citations))
        for name, kind in GENERATORS.items()
        if name in generators and kind.citations
    ]
    if statistics:
        found.append(
            (
                "Crossed replicates × images analysis, its p for families of tests, and the correction for many tests",
                _entries(_STATISTICS),
            )
        )
    if margin:
        found.append(("Two one-sided tests of equivalence", _entries(["schuirmann1987"])))
    if corruptions:
        found.append(("Corrupted test images", _entries(["hendrycks2019"])))
    return found


def _entries(keys: Collection[str]) -> str:
    return "\n\n".join(BIBTEX[key] for key in keys)


def software(versions: Collection[str]) -> str:
    """This software, in the versions that made the study's records."""
    version = f",\n  version = {{{', '.join(sorted(versions))}}}" if versions else ""
    title = "medaug-keras: does this data augmentation help, by how much, and how sure can I be?"
    authors = "{The medaug-keras authors}"  # in braces: a name that is not to be parted
    return f"@software{{medaug_keras,\n  author = {{{authors}}},\n  title = {{{title}}}{version}\n}}"


def _titled(results: Results) -> dict[str, str]:
    """Everything that was read, by its name in the plan: data sets, and their test sets from elsewhere."""
    own = {name: results.title(name) for name in results.datasets}
    return own | {place: f"{results.title(dataset)}, test set {name}" for dataset, name, place in results.outside}


def cite(book: Book) -> dict[str, Any]:
    """The methods to paste, what to cite, and under which license the data are."""
    entries: dict[str, list[str]] = {}
    for name, title in _titled(book.results).items():
        record = book.results.data(name).record
        for entry in (record.values.get("citation") or "").split("\n\n") if record else ():
            if entry.strip():
                entries.setdefault(entry.strip(), []).append(title)
    kinds = {spec.kind for spec in book.results.study.generators.values()}
    records = [outcome.record for outcome in book.results.outcomes.values() if outcome.record is not None]
    content: dict[str, Any] = {
        "text": methods_text(book.results, book.inference),
        "data": list(entries.items()),
        "licences": [
            (title, record.values.get("licence") or "not stated")
            for n, title in _titled(book.results).items()
            if (record := book.results.data(n).record) is not None
        ],
        "methods": [
            *((f"What this study repeats or extends: {r.title}", r.citation) for r in book.results.references),
            *methods(
                kinds,
                statistics=book.results.replicates > 1,
                margin=book.results.study.margin is not None,
                corruptions=bool(corrupted_sets(book.results)),
            ),
        ],
        "software": software(
            {r.run["packages"]["medaug-keras"] for r in records if "medaug-keras" in r.run.get("packages", {})}
        ),
    }
    content["columns"] = []
    for name in book.results.datasets:
        table = in_column(book.results, book.inference, name)
        book.file(f"data/{table.name}.tex", table_latex(table, narrow=True))
        content["columns"].append((f"data/{table.name}.tex", book.results.title(name)))
    every = [*entries, *(entry for _, entry in content["methods"]), content["software"]]
    book.file("data/references.bib", "\n\n".join(dict.fromkeys(entry.strip() for entry in every)) + "\n")
    return content

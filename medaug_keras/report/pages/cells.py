"""The HTML of the cells of tables: in Python, as a large report has 100,000, and Jinja's macro took thrice as long."""

from collections.abc import Container
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from medaug_keras.report.format import DASH, MARKS, html, p_text, plain, replicates_words, shown, spread, verdict_words
from medaug_keras.report.tables.table import Column, Entry, Row, Table

_TIED = '<span class="ma-tied" title="not significantly different from the best of the row (corrected)"> ≈</span>'


def cells(row: Row, table: Table, starts: Container[int], root: str, usual: tuple[int, int] | None) -> Markup:
    """A row's cells, on one line. `starts` are the places of columns that begin a group; `usual` are the replicates,
    and those planned, that are not said."""
    return Markup(
        "".join(
            _cell(entry, column, head=place == 0, first=place in starts, root=root, usual=usual, wordy=table.wordy)
            for place, (entry, column) in enumerate(zip(row.entries, table.columns, strict=True))
        )
    )


def _cell(
    entry: Entry, column: Column, *, head: bool, first: bool, root: str, usual: tuple[int, int] | None, wordy: bool
) -> str:
    verdict = entry.verdict
    classes = _classes(
        column.kind, first, entry.best, column.extra, verdict if column.marked and verdict is not None else ""
    )
    value = verdict_words(str(entry.value)) if column.kind == "verdict" and entry.value else entry.value
    tag = "th" if head else "td"
    parts = [f"<{tag}", ' scope="row"' if head else ""]
    if wordy:
        parts.append(f' role="{"rowheader" if head else "cell"}" data-label="{_attribute(column.title)}"')
    parts.append(f' class="{classes}" data-value="{"" if value is None else _attribute(value)}"')
    if entry.name is not None:
        parts.append(f' data-name="{escape(entry.name)}"')
    if entry.missing and entry.value is not None:
        parts.append(f' title="{_attribute(entry.missing)}"')
    parts.append(">")
    link = f'<a href="{escape(root)}{escape(entry.href)}">' if entry.href else ""
    parts.extend(_missing(entry, link) if entry.value is None else _value(entry, column, link))
    beside = column.parts
    if beside:
        if "low" in beside and entry.low is not None:
            ends = f"{shown(entry.low, column.kind)} to {shown(entry.high, column.kind)}"
            parts.append(f"<small>{escape(ends)}</small>")
        if not column.marked and "verdict" in beside and verdict:
            parts.append(f"<small>{escape(verdict_words(verdict))}</small>")
        if "p" in beside and entry.p is not None:
            parts.append(f"<small>{escape(p_text(entry.p))}</small>")
        if "n" in beside and entry.n is not None and (entry.n, entry.planned) != usual:
            parts.append(f'<small class="ma-n">{replicates_words(entry.n, entry.planned)}</small>')
    if column.printed:
        parts.extend(
            f'<small class="ma-printed">{escape(short)} {_text(value, column.kind)}</small>'
            for short, value in entry.printed
        )
    parts.append(f"</{tag}>")
    return "".join(parts)


@lru_cache(4096)
def _classes(kind: str, first: bool, best: bool, extra: bool, verdict: str) -> str:
    words = [f"ma-{kind}", "ma-first" * first, "ma-best" * best, "ma-extra" * extra]
    return " ".join(filter(None, [*words, f"ma-v-{verdict.replace(' ', '-')}" if verdict else ""]))


@lru_cache(4096, typed=True)
def _attribute(value: Any) -> str:
    """A value as the page's script sorts by it: numbers unrounded."""
    return repr(value) if isinstance(value, int | float) else str(escape(plain(value)))


def _text(value: Any, kind: str) -> str:
    return html(value) if isinstance(value, str) else escape(shown(value, kind))


def _missing(entry: Entry, link: str) -> tuple[str, ...]:
    dash, why = (f"{link}{DASH}</a>" if link else DASH), _attribute(entry.missing)
    return (f'<span class="ma-missing" title="{why}">{dash}<span class="ma-hidden"> {why}</span></span>',)


def _value(entry: Entry, column: Column, link: str) -> list[str]:
    verdict, text = entry.verdict, shown(entry.value, column.kind)
    mark = MARKS.get((verdict if column.marked else str(entry.value) if column.kind == "verdict" else None) or "")
    parts = [f'<span class="ma-mark" aria-hidden="true">{mark}</span> '] if mark else []
    text = html(text) if isinstance(entry.value, str) else escape(text)
    text = f"<strong>{text}</strong>" if entry.best else text
    parts.append(f"{link}{text}</a>" if link else text)
    if column.marked and verdict:
        parts.append(f'<span class="ma-hidden"> {escape(verdict_words(verdict))}</span>')
    tied = _TIED if entry.tied else ""
    if "sd" in column.parts and entry.sd is not None:
        parts.append(f'<span class="ma-sd"> ± {escape(spread(entry.sd, column.kind))}{tied}</span>')
    else:
        parts.append(tied)
    if column.reasons and entry.missing:
        parts.append(f'<small class="ma-why">{html(entry.missing)}</small>')
    parts.extend(f' <span class="ma-tag">{escape(word)}</span>' for word in entry.tags)
    return parts

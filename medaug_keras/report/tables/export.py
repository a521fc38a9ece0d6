"""Tables → CSV, JSON and LaTeX files. They hold what the page shows, the numbers unrounded."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medaug_keras.report.format import csv_text, json_text, latex, p_text, plain, shown, spread, verdict_words
from medaug_keras.report.tables.table import Column, Entry, Part, Table

_SCALED = {"percent": "percent", "points": "points", "effect": "points", "size": "points"}
"""Kinds of columns that files have times 100 → the unit that their headings name."""
_UNITLESS = ("name", "n", "verdict", "p")


def table_csv(table: Table) -> str:
    """The table as CSV. Headings of shares and of their differences end in the unit, as accuracy_percent and
    effect_points; sd, ends of intervals, n and printed values have columns of their own."""
    header = [key for column in table.columns for key in _keys(column)]
    rows = [
        [text for column, entry in zip(table.columns, row.entries, strict=True) for text in _fields(column, entry)]
        for row in table.rows
    ]
    return write_csv(header, rows)


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV text; None is an empty field and text that a spreadsheet would run is defused."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([csv_text(v) if isinstance(v, str) else "" if v is None else v for v in row] for row in rows)
    return file.getvalue()


def records_csv(header: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Records with these keys as CSV."""
    return write_csv(header, ([record[key] for key in header] for record in records))


def _keys(column: Column) -> list[str]:
    unit = f"_{_SCALED[column.kind]}" if column.kind in _SCALED else ""
    more = (f"{column.key}_{part}{'' if part in _UNITLESS else unit}" for part in column.parts)
    return [f"{column.key}{unit}", *more, *(f"{column.key}_{_name(short)}{unit}" for short in column.printed)]


def _name(short: str) -> str:
    """A reference's short name in files."""
    return "_".join(short.lower().split())


def number(value: Any, kind: str) -> Any:
    """A value as files have it: percentages and points in percent, with the rounding of binary fractions removed, and
    verdicts in the words of the pages."""
    if kind == "verdict" and isinstance(value, str):
        return verdict_words(value)
    return float(f"{100 * value:.12g}") if kind in _SCALED and isinstance(value, float) else value


def _fields(column: Column, entry: Entry) -> list[Any]:
    printed = dict(entry.printed)
    return [
        number(entry.value, column.kind),
        *(_part(column, entry, part) for part in column.parts),
        *(number(printed.get(short), column.kind) for short in column.printed),
    ]


def _part(column: Column, entry: Entry, part: Part) -> Any:
    value = getattr(entry, part)
    return value if part == "p" else number(value, "verdict" if part == "verdict" else column.kind)


def table_json(table: Table) -> str:
    """The table as JSON, with the reason for every missing value."""
    columns = [
        {
            "key": c.key,
            "title": plain(c.title),
            "group": plain(c.group),
            "kind": c.kind,
            "parts": [*c.parts, *map(_name, c.printed)],
        }
        for c in table.columns
    ]
    rows = [
        {column.key: _object(column, entry) for column, entry in zip(table.columns, row.entries, strict=True)}
        for row in table.rows
    ]
    return json_text(
        {
            "name": table.name,
            "caption": plain(table.caption),
            "made_by": table.made_by,
            "notes": [plain(note) for note in table.explained],
            "columns": columns,
            "rows": rows,
        }
    )


def _object(column: Column, entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"value": _clean(number(entry.value, column.kind))}
    found.update({part: _clean(_part(column, entry, part)) for part in column.parts})
    printed = dict(entry.printed)
    found.update({_name(short): _clean(number(printed.get(short), column.kind)) for short in column.printed})
    if entry.best:
        found["best"] = True
    if entry.tied:
        found["not distinguishable from the best"] = True
    if entry.missing:
        found["missing"] = plain(entry.missing)
    if entry.href:
        found["page"] = entry.href
    if entry.tags:
        found["tags"] = list(entry.tags)
    return found


def _clean(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


def table_latex(table: Table, *, narrow: bool = False) -> str:
    """The table as LaTeX with its caption, label and notes, as the page shows it. It needs the package booktabs.

    `narrow` sets it for one column of a page in two.
    """
    letters = "".join("l" if column.kind in ("text", "sentence") else "r" for column in table.columns)
    lines = [
        r"% \usepackage{booktabs}" + ("" if narrow else "; for a table over both columns: table* in place of table"),
        r"\begin{table}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}" if narrow else r"\centering\footnotesize",
        rf"\caption{{{latex(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{letters}}}",
        r"\toprule",
    ]
    if any(title for title, _ in table.groups):
        titles, rules, at = [], [], 1
        for title, width in table.groups:
            titles.append(rf"\multicolumn{{{width}}}{{c}}{{{latex(title)}}}")
            if title:
                rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
            at += width
        lines += [" & ".join(titles) + r" \\", " ".join(rules)]
    lines += [" & ".join(latex(column.title) for column in table.columns) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = (_latex_cell(c, e) for c, e in zip(table.columns, row.entries, strict=True))
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip {latex(note)}" for note in table.explained]
    lines += [r"\end{table}", ""]
    return "\n".join(lines)


def _latex_cell(column: Column, entry: Entry) -> str:
    text = latex(shown(entry.value, column.kind))
    if entry.best:
        text = rf"\textbf{{{text}}}"
    if "sd" in column.parts and entry.sd is not None:
        text += rf" $\pm$ {latex(spread(entry.sd, column.kind))}"
    if entry.tied:
        text += r" $\approx$"
    if "low" in column.parts and entry.low is not None:
        text += f" [{latex(shown(entry.low, column.kind))}, {latex(shown(entry.high, column.kind))}]"
    if "verdict" in column.parts and entry.verdict:
        text += f", {latex(verdict_words(entry.verdict))}"
    if "p" in column.parts and entry.p is not None:
        text += f", {latex(p_text(entry.p))}"
    for short, value in entry.printed if column.printed else ():
        text += f" ({latex(short)} {latex(value if isinstance(value, str) else shown(value, column.kind))})"
    return text

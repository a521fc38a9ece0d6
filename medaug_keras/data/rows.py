"""Tables of text as people's programs write them: CSV and TSV, Excel's too.

Rows are counted as a spreadsheet shows them: the names of the columns stand in row 1, and blank rows count.
"""

import csv
import difflib
import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medaug_keras.counts import first_of
from medaug_keras.data import filetype
from medaug_keras.data.dataset import DataError, lookable

MISSING = frozenset({"", "na", "n/a", "nan", "#n/a", "null", "?"})
"""What stands for a value that is not there, in small letters."""
_MAX_BYTES = 2**28
_SHOWN = 5  # rows of a message
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class Rows:
    """A table's rows, blank ones left out; values are text without spaces around it."""

    name: str
    """Of the file, for messages."""
    columns: tuple[str, ...]
    values: Sequence[tuple[str, ...]]
    numbers: Sequence[int]
    """Of each row, as a spreadsheet counts."""

    def column(self, name: str, setting: str) -> list[str]:
        """The values of a column. Raises DataError, which names the setting that asks for it."""
        places = [i for i, known in enumerate(self.columns) if known == name]
        if len(places) == 1:
            return [row[places[0]] for row in self.values]
        if places:
            raise DataError(
                f"{self.name}: {len(places)} columns are called {name}, so `{setting}` names no single one."
            )
        known = [column for column in self.columns if column]
        raise DataError(
            f"{self.name}: there is no column {name!r}, which `{setting}` names; the columns are {first_of(known, 12)}"
            f"{did_you_mean(name, known) or '.'}"
        )

    def told(self, which: Iterable[int]) -> str:
        """`row 3`, `rows 3, 8 and 12`, or the first of many; of places in `values`, in any order."""
        return told(sorted(self.numbers[i] for i in which))


def told(numbers: Sequence[int]) -> str:
    """`row 3`, `rows 3, 8 and 12`, or the first of many; of rising numbers."""
    shown = [f"{number}" for number in numbers]
    if len(numbers) > _SHOWN:
        return f"rows {first_of(shown, _SHOWN)}"
    return f"row {shown[0]}" if len(shown) == 1 else f"rows {', '.join(shown[:-1])} and {shown[-1]}"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean image_id?` or nothing."""
    by_folded = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(word.strip().casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[found[0]]}?" if found else ""


def is_missing(value: str) -> bool:
    """Whether a value stands for none."""
    return value.casefold() in MISSING


def read_rows(path: Path, *, encoding: str | None = None) -> Rows:
    """A CSV or TSV file with the columns' names in its first row.

    Separated by commas, semicolons, tabs or bars, whichever gives the first row most columns. UTF-8 with or without a
    mark at the beginning, UTF-16 with one, or `encoding`. Raises DataError.
    """
    text = _text(_content(path), path.name, encoding)
    hint = re.match(r"sep=(.)\r?\n?", text)
    delimiter = hint[1] if hint else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: tuple[str, ...] = ()
    values, numbers, ragged = [], [], []
    number = 0
    try:
        for number, fields in enumerate(reader, 1):
            row = tuple(field.strip() for field in fields)
            if not any(row) or (hint and number == 1):
                continue
            if not columns:
                columns = row
                continue
            while len(row) > len(columns) and not row[-1]:  # a separator at the end of the line
                row = row[:-1]
            if len(row) != len(columns):
                ragged.append((number, len(row)))
                continue
            values.append(row)
            numbers.append(number)
    except csv.Error as error:
        raise DataError(
            f"{path.name}, row {number + 1}: is not what a CSV file may hold ({error}). Often a quotation mark is not "
            "closed, or stands inside a value without being doubled."
        ) from None
    if not any(columns):
        raise DataError(f"{path.name} is empty; expected is a row with the columns' names, and a row for each image.")
    if ragged:
        found = sorted({count for _, count in ragged})
        raise DataError(
            f"{path.name}: {told([number for number, _ in ragged])} should have {len(columns)} values, as many as "
            f"there are columns, but {'has' if len(ragged) == 1 else 'have'} {' or '.join(map(str, found[:3]))}. A "
            "value that holds the separator itself stands in quotation marks."
        )
    if not values:
        raise DataError(f"{path.name} has its columns' names ({', '.join(columns[:12])}), but no row below them.")
    return Rows(path.name, columns, values, numbers)


def _content(path: Path) -> bytes:
    lookable(path)
    try:
        if os.path.isdir(path):
            raise DataError(f"{path} is a folder, but a CSV or TSV file is expected.")
        if not os.path.lexists(path):
            raise DataError(f"{path} is not there; a CSV or TSV file is expected.")
        if not os.path.isfile(path):
            what = "a link that leads nowhere" if os.path.islink(path) else "no file"
            raise DataError(f"{path} is {what}, but a CSV or TSV file is expected.")
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} has more than {_MAX_BYTES:,} bytes: is it the table?")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error
    except ValueError:  # a NUL in its name
        raise DataError(f"{str(path)!r} cannot be the name of a file.") from None


def _text(content: bytes, name: str, encoding: str | None) -> str:
    if not content.strip():
        raise DataError(f"{name} is empty; expected is a row with the columns' names, and a row for each image.")
    if content.startswith(b"PK"):
        raise DataError(
            f"{name} is a packed file, such as a workbook of Excel. Save the sheet as CSV (in Excel: CSV UTF-8)."
        )
    marked = next((codec for bom, codec in _BOMS if content.startswith(bom)), None)
    found = None if marked else filetype.what(content[: filetype.HEAD])
    if found not in (None, "a text file"):
        raise DataError(f"{name} is {found}, but a CSV or TSV file is expected.")
    codec = marked or encoding or "utf-8"
    try:
        text = content.decode(codec)
    except LookupError:
        raise DataError(
            f"{name}: {codec!r} is not the name of an encoding. Such are utf-8, cp1252 and latin-1."
        ) from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = len(re.findall(rb"\r\n?|\n", content[:start])) + 1
        raise DataError(
            f"{name}, line {line}: cannot be read as {codec} (byte 0x{content[start : start + 1].hex()}). Save the "
            "table as UTF-8, or say how it is stored: `encoding: cp1252` is what Excel writes in western Europe."
        ) from None
    if "\0" in text:
        raise DataError(f"{name} holds bytes that no text has (0x00). Save it as CSV in UTF-8.")
    return text


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")

    def columns(delimiter: str) -> int:
        try:
            return len(next(csv.reader([first], delimiter=delimiter)))
        except csv.Error:
            return 0

    return max("\t;,|", key=columns)

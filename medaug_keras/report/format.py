"""Values → text. The only place where a number of the report becomes characters.

Numbers are fractions, counts and seconds until they come here; pages and LaTeX all take their text from here.

One rule of precision: shares have two decimals, as publications print them, and differences of shares one, wherever
they stand. Halves are rounded away from 0. What is not 0 is never written as 0, so that the sign of an interval's end
is always seen. `signed` in `assets/report.js` writes differences in the same way.
"""

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import yaml
from markupsafe import Markup, escape

from medaug_keras.counts import part as part
from medaug_keras.counts import plural as plural

_Number = TypeVar("_Number", int, float)

DASH = "–"
MARKS = {
    "better": "\N{BLACK UP-POINTING TRIANGLE}",
    "worse": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "equivalent": "\N{BLACK DIAMOND}",
}
"""Verdict → its mark; others have none."""

MINUS = "\N{MINUS SIGN}"
_EXACT = 1e-12  # what is this near to 0 or 1 is that, but for rounding in sums
_FINEST = 2  # decimals of a difference that would round to 0 with fewer


def percent(fraction: float, decimals: int = 2) -> str:
    """0.8269 → 82.69. 0 and 100 are written only where they are exact: 0.99996 → 99.99."""
    text, step = _rounded(100 * fraction, decimals), 10.0**-decimals
    if float(text) == 0 and abs(fraction) > _EXACT:
        return f"{step:.{decimals}f}"
    if float(text) == 100 and fraction < 1 - _EXACT:
        return f"{100 - step:.{decimals}f}"
    return text


def points(fraction: float, decimals: int = 1) -> str:
    """0.0128 → +1.3; a difference of percentages, in percentage points.

    0 and 100 are written only where they are exact: what would round to 0 has two decimals, -0.0004 → -0.04, and is
    0.01 at least.
    """
    size = abs(fraction)
    if size <= _EXACT:
        return f"{0:.{decimals}f}"
    text = _rounded(100 * size, decimals)
    if float(text) == 0:
        text = percent(size, max(decimals, _FINEST))
    elif float(text) == 100 and size < 1 - _EXACT:
        text = f"{100 - 10.0**-decimals:.{decimals}f}"
    return f"{'+' if fraction > 0 else MINUS}{text}"


def unsigned(fraction: float) -> str:
    """0.0128 → 1.3; how large a difference is, in points, without a sign."""
    return points(abs(fraction)).lstrip("+")


def _rounded(value: float, decimals: int) -> str:
    """Halves go away from 0, also those that binary fractions miss by a little: 3.75 → 3.8, and 0.35 → 0.4."""
    if not math.isfinite(value):
        return str(value)
    scale = 10.0**decimals
    return f"{math.copysign(math.floor(abs(value) * scale + 0.5 + 1e-9) / scale, value):.{decimals}f}"


def count(number: int) -> str:
    """34561 → 34,561."""
    return f"{number:,}"


def number(value: float, digits: int = 3) -> str:
    """A plain number with `digits` significant digits, never in scientific notation between 0.0001 and a million."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}".replace("-", MINUS)


def change(value: float) -> str:
    """A difference of two plain numbers, with its sign and four decimals; what rounds to 0 has no sign."""
    text = f"{value:+.4f}"
    return "0.0000" if float(text) == 0 else text.replace("-", MINUS)


def distance(value: float) -> str:
    """A kernel distance, which is about 0 where nothing differs: three decimals; what rounds to 0 has no sign."""
    text = f"{value:,.3f}"
    return "0.000" if float(text.replace(",", "")) == 0 else text.replace("-", MINUS)


def setting_value(value: float) -> str:
    """A number as a study says it: 0.1, 20."""
    return f"{value:g}".replace("-", MINUS)


def p_value(p: float) -> str:
    """0.0312 → 0.031; very small ones as < 0.001, because further digits would claim more than the test can."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_text(p: float) -> str:
    """0.0312 → p = 0.031, and p < 0.001."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def loss(value: float) -> str:
    """A loss in four characters or so: 1,234, 56.7, 0.0123."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 0.001 or value == 0:
        return f"{value:.3g}"
    return f"{value:.1e}"


def seconds(value: float) -> str:
    """75.2 → 1 min 15 s."""
    whole = round(value)
    if whole < 60:
        return f"{value:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def bytes_(value: int) -> str:
    """1536 → 1.5 kB."""
    size, unit = float(value), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


FORMATS: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "sentence": str,
    "verdict": lambda word: verdict_words(word),
    "count": count,
    "percent": percent,
    "points": points,
    "effect": points,
    "size": unsigned,
    "number": number,
    "change": change,
    "distance": distance,
    "p": p_value,
    "seconds": seconds,
}
"""Kind of a column → how its numbers are written."""


def verdict_words(word: str) -> str:
    """A verdict's words on pages: not distinguishable → inconclusive."""
    return "inconclusive" if word == "not distinguishable" else word


def within(margin: float) -> str:
    """A margin (a fraction) in words: 0.01 → within 1 point."""
    return f"within {of_points(margin)}"


def of_points(margin: float) -> str:
    """0.01 → 1 point; 0.005 → 0.5 points."""
    size = f"{100 * margin:g}"
    return f"{size} point{'' if size == '1' else 's'}"


def shown(value: Any, kind: str) -> str:
    """A value of a column of this kind as text; a dash for no value."""
    return DASH if value is None else FORMATS[kind](value)


def spread(value: float, kind: str) -> str:
    """A standard deviation beside a value of a column of this kind: it has no sign; of plain numbers two digits do."""
    if kind in ("number", "distance"):
        return number(value, 2)
    return unsigned(value) if kind in ("points", "effect") else FORMATS[kind](value)


def together(words: Iterable[str]) -> str:
    """["a", "b", "c"] → a, b and c."""
    listed = list(words)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}" if listed else ""


def span(values: Iterable[_Number], write: Callable[[_Number], str]) -> str:
    """From the least value to the largest: 3 to 5; 4 where both are written alike."""
    there = list(values)
    return " to ".join(dict.fromkeys(map(write, (min(there), max(there)))))


def counted(numbers: Mapping[str, int]) -> list[str]:
    """{"images without a class": 1200} → 1,200 images without a class."""
    return [f"{count(number)} {what}" for what, number in numbers.items()]


def of_classes(classes: Iterable[str], images: Iterable[int]) -> str:
    """Images of each class: malignant 127; normal, benign 36. A number as a name is a class's: class 4: 91."""
    named = zip(classes, images, strict=True)
    return "; ".join(f"{class_name(name)}{':' * name.isdecimal()} {count(n)}" for name, n in named)


def class_name(name: str) -> str:
    """A class within a sentence; a number as its name says that it is one: 4 → class 4."""
    return f"class {name}" if name.isdecimal() else name


def class_in_list(name: str) -> str:
    """The same where others stand beside it: one with a comma is in quotes."""
    return f"“{name}”" if "," in name else class_name(name)


def replicates_words(n: int, planned: int | None = None) -> str:
    """On how many replicates a number rests: n = 5, or n = 3 of 5 where more are planned."""
    return f"n = {n}" + (f" of {planned}" if planned is not None and n != planned else "")


def in_words(number_of: int) -> str:
    """2 → two; from ten on in digits."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number_of] if number_of < len(words) else count(number_of)


def in_sentence(label: str) -> str:
    """Macro F1 → macro F1, as it is written within a sentence; AUC stays."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def distinct(labels: Mapping[Any, str], name: Callable[[Any], str] = str) -> dict[Any, str]:
    """The same labels; where several look alike, each is followed by its own name, as "Flip (flip-2)"."""
    found = dict(labels)
    while True:
        looks = {key: _looks(text) for key, text in found.items()}
        alike = Counter(looks.values())
        if len(alike) == len(found):
            return found
        found = {key: f"{plain(text)} ({name(key)})" if alike[looks[key]] > 1 else text for key, text in found.items()}


def _looks(text: str) -> str:
    """The same for texts that a reader might not tell apart."""
    return " ".join(unicodedata.normalize("NFKC", plain(text)).casefold().split())


def last_lines(text: str, lines: int = 12) -> str:
    """The end of a long message, which says what went wrong."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


# --- text of users, kept as text -------------------------------------------------------------------

_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+\-.!|~=:^$&\"'@/]")


def plain(text: Any) -> str:
    """Text without control characters and without marks that turn the writing direction of what follows."""
    return _INVISIBLE.sub(" ", str(text)).strip()


@lru_cache(4096, typed=True)
def html(text: Any) -> Markup:
    """Text for HTML, whatever is in it; isolated, so that right-to-left text does not turn its neighbours."""
    return Markup(f"<bdi>{escape(plain(text))}</bdi>")


def markdown(text: Any) -> Markup:
    """Text for a line of Markdown, whatever is in it: every mark of Markdown or HTML becomes a character entity."""
    return Markup(_MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", plain(text)))


def latex(text: Any) -> str:
    """Text for LaTeX, whatever is in it."""
    return plain(text).translate(_LATEX)


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "\N{MINUS SIGN}": "$-$",
        DASH: "--",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        **{mark: "\\" + mark for mark in "&%$#_{}"},
    }
)


@lru_cache(4096)  # names of arms, sets and classes stand in thousands of rows
def csv_text(text: str) -> str:
    """Text for a CSV field: a spreadsheet must not take it for a formula, so those get a leading apostrophe.

    Some spreadsheets take the full-width forms of the marks (U+FF1D for =) for the marks.
    """
    clean = plain(text)
    return "'" + clean if unicodedata.normalize("NFKC", clean[:1]) in ("=", "+", "-", "@") else clean


def json_text(value: Any) -> str:
    """JSON for a file, an entry or a row a line; the same value always gives the same text.

    Python's encoder is fast only without its own `indent`: a fifth of the time for large tables.
    """
    if isinstance(value, dict):
        entries = [f" {_json(str(key))}: {_json_rows(entry)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(entries) + "\n}\n"
    return _json_rows(value) + "\n"


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _json_rows(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(map(_json, value)) + "\n]"
    return _json(value)


def yaml_text(text: Any) -> Markup:
    """A quoted YAML value of one line, for the front matter of a page."""
    quoted = yaml.safe_dump(str(escape(plain(text))), default_style='"', allow_unicode=True, width=math.inf)
    return Markup(quoted.rstrip("\n"))

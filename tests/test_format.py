"""Values as text: what is written says the value, to the digits that are shown, and text of users stays text."""

import html
import json
import math
import re
import unicodedata

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from medaug_keras.report import format

MINUS = "\N{MINUS SIGN}"
fractions = st.floats(0, 1)
differences = st.floats(-1, 1)
texts = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "a < b & c",
        "50 % of $x_1$",
        "{x} ~ y^2 #1",
        "a\\b",
        "x ± y \N{MINUS SIGN} – z",
        "<script>",
        '"quoted"',
        "*a* _b_",
    ]
)


def back(text: str) -> float:
    """The number that a text says."""
    return float(text.replace(MINUS, "-").replace(",", ""))


@given(fractions)
def test_a_percentage_has_two_decimals_and_is_the_fraction_to_the_last_of_them(value):
    text = format.percent(value)
    assert re.fullmatch(r"\d+\.\d\d", text)
    assert back(text) == pytest.approx(100 * value, abs=0.0101)


@given(differences | st.floats(-2e-3, 2e-3))
def test_points_have_a_sign_unless_they_are_0_and_turning_the_difference_turns_only_that(value):
    text, other = format.points(value), format.points(-value)
    assert re.fullmatch(rf"0\.0|[+{MINUS}](\d+\.\d|0\.0\d)", text)
    assert (text == "0.0") == (abs(value) <= 1e-12)
    small = re.fullmatch(rf"[+{MINUS}]0\.0[1-9]", text)
    assert bool(small) == (1e-12 < abs(value) < 0.0005 - 1e-11)
    assert back(text) == pytest.approx(100 * value, abs=0.0101 if small else 0.1001 if abs(value) > 0.999 else 0.0501)
    assert back(text) == -back(other)
    assert text.strip(f"+{MINUS}") == other.strip(f"+{MINUS}")
    assert text == "0.0" or (text[0] == "+") == (value > 0)
    assert format.unsigned(value) == text.strip(f"+{MINUS}")


def test_halves_go_away_from_0_also_where_binary_fractions_miss_them():
    assert [format.points(x) for x in (-0.0375, 0.0035, 0.0025, 0.00349)] == [f"{MINUS}3.8", "+0.4", "+0.3", "+0.3"]
    assert [format.percent(x) for x in (0.03125, 0.031249, 0.00005)] == ["3.13", "3.12", "0.01"]


@given(differences)
def test_a_change_has_a_sign_unless_it_rounds_to_0_and_turning_it_turns_only_that(value):
    text, other = format.change(value), format.change(-value)
    assert re.fullmatch(rf"0\.0000|[+{MINUS}]\d+\.\d{{4}}", text)
    assert back(text) == pytest.approx(value, abs=0.000051)
    assert back(text) == -back(other)
    assert (text == "0.0000") == (back(text) == 0)


@given(st.one_of(fractions, st.floats(0, 1e-4), st.floats(0, 1e-4).map(lambda tiny: 1 - tiny)), st.integers(0, 3))
def test_0_and_100_are_said_only_where_they_are_true(value, decimals):
    """But for what sums leave of rounding, and within one of the last decimal."""
    text = format.percent(value, decimals)
    assert (back(text) == 0) == (value <= 1e-12)
    assert (back(text) == 100) == (value >= 1 - 1e-12)
    assert back(text) == pytest.approx(100 * value, abs=1.01 * 10.0**-decimals)
    for sign in (1, -1):
        text = format.points(sign * value, decimals)
        assert (text[0] == "0") == (back(text) == 0) == (value <= 1e-12)
        assert (abs(back(text)) == 100) == (value >= 1 - 1e-12)
        assert back(text) == pytest.approx(100 * sign * value, abs=1.01 * 10.0**-decimals)


def test_what_is_nearly_all_or_nothing_says_so():
    assert [format.percent(x) for x in (0, 4e-5, 0.99996, 1)] == ["0.00", "0.01", "99.99", "100.00"]
    assert [format.percent(x, 0) for x in (0, 0.004, 0.996, 1)] == ["0", "1", "99", "100"]
    assert [format.points(x) for x in (0, 1e-17, 4e-5, -4e-5, 0.99999)] == [
        "0.0",
        "0.0",
        "+0.01",
        f"{MINUS}0.01",
        "+99.9",
    ]


@given(st.integers(0, 10**9))
def test_counts_are_whole_and_grouped_by_thousands(value):
    text = format.count(value)
    assert re.fullmatch(r"\d{1,3}(,\d{3})*", text)
    assert back(text) == value


@given(st.floats(1e-8, 1e9), st.integers(2, 5), st.sampled_from([1, -1]))
def test_a_plain_number_has_its_significant_digits_and_an_exponent_only_where_it_is_very_small_or_large(
    value, digits, sign
):
    text = format.number(sign * value, digits)
    assert back(text) == pytest.approx(sign * value, rel=0.51 * 10 ** (1 - digits))
    assert ("e" in text) == (not 1e-4 <= value < 1e6)
    assert text.startswith(MINUS) == (sign < 0)
    shown = re.sub(r"e.*", "", text).strip(MINUS).replace(",", "").replace(".", "").lstrip("0")
    if "." in text:
        assert digits <= len(shown) <= digits + 1  # 0.9996 is 1.000
    assert "." in text or value >= 0.99 * 10 ** (digits - 1)


def test_just_at_its_limits_a_number_is_written_as_those_within():
    said = ["0.000100", f"9.99e{MINUS}05", "999,999", "1.00e+06"]
    assert [format.number(x) for x in (1e-4, 9.99e-5, 999_999, 1e6)] == said
    assert [format.p_value(p) for p in (0.000999, 0.001, 0.0012, 0.0016)] == ["< 0.001", "0.001", "0.001", "0.002"]


def test_numbers_that_are_none_are_words_and_zero_is_0():
    assert [format.number(x) for x in (0.0, math.inf, math.nan)] == ["0", "inf", "nan"]


@given(fractions)
def test_a_p_has_three_decimals_and_what_is_below_the_last_of_them_says_only_that(value):
    text = format.p_value(value)
    assert (text == "< 0.001") == (value < 0.001)
    assert text == "< 0.001" or back(text) == pytest.approx(value, abs=0.00051)
    assert format.p_text(value) == (f"p {text}" if value < 0.001 else f"p = {text}")


@example(60.0)
@example(3600.0)
@given(st.floats(0, 10**6))
def test_times_say_how_long_it_took_in_the_two_largest_units(value):
    text = format.seconds(value)
    form = re.fullmatch(r"(?:(?P<h>\d+) h (?P<hm>\d\d) min|(?P<m>\d+) min (?P<ms>\d\d) s|(?P<s>\d+\.\d) s)", text)
    assert form is not None
    said = {name: float(part) for name, part in form.groupdict().items() if part}
    worth = {"h": 3600, "hm": 60, "m": 60, "ms": 1, "s": 1}
    total = sum(number * worth[name] for name, number in said.items())
    assert abs(total - value) <= (60 if "h" in said else 0.51 if "m" in said else 0.051)
    assert max(said.get("hm", 0), said.get("ms", 0), said.get("s", 0)) < 60
    assert said.get("m", 0) < 60
    assert ("h" in said, "m" in said) == (round(value) >= 3600, 60 <= round(value) < 3600)


@given(st.integers(0, 10**13))
def test_sizes_are_in_the_unit_that_leaves_three_digits_before_the_point(value):
    number, unit = format.bytes_(value).split()
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}[unit]
    assert float(number) * factor == pytest.approx(value, abs=0.051 * factor)
    assert float(number) <= 1000 or unit == "GB"
    assert float(number) >= 1 or unit == "B"
    assert ("." in number) == (unit != "B")


def test_every_kind_of_column_writes_its_numbers_and_a_dash_where_there_is_none():
    value = {
        "text": "a",
        "sentence": "A.",
        "count": 0,
        "percent": 0.0,
        "points": 0.015,
        "size": 0.015,
        "number": 0,
        "change": 0.2,
        "p": 0.0,
    }
    shown = {kind: format.shown(v, kind) for kind, v in (value | {"seconds": 0.0}).items()}
    assert shown == {
        "text": "a",
        "sentence": "A.",
        "count": "0",
        "percent": "0.00",
        "points": "+1.5",
        "size": "1.5",
        "number": "0",
        "change": "+0.2000",
        "p": "< 0.001",
        "seconds": "0.0 s",
    }
    assert {format.shown(None, kind) for kind in format.FORMATS} == {format.DASH}


def test_a_spread_is_written_as_its_value_but_for_plain_numbers_of_which_two_digits_say_enough():
    assert format.spread(0.01234, "percent") == format.percent(0.01234)
    assert format.spread(0.01234, "number") == "0.012"


def test_labels_that_look_alike_get_their_names_behind_them_and_others_stay():
    labels = {"flip": "Flip", "flip-2": " flip", "crop": "Crop", "gda": "GDA"}
    assert format.distinct(labels) == {"flip": "Flip (flip)", "flip-2": "flip (flip-2)", "crop": "Crop", "gda": "GDA"}
    assert format.distinct({key: labels[key] for key in ("flip", "crop")}) == {"flip": "Flip", "crop": "Crop"}


def test_lists_and_plurals_are_those_of_a_sentence():
    assert [format.together("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [format.plural(n, "run") for n in (0, 1, 2, 1000)] == ["0 runs", "1 run", "2 runs", "1,000 runs"]
    assert [format.plural(n, "analysis", "analyses") for n in (1, 2)] == ["1 analysis", "2 analyses"]


def test_a_span_is_from_the_least_to_the_largest_and_one_word_where_both_are_written_alike():
    assert format.span([5, 3, 4], format.count) == "3 to 5"
    assert format.span(iter([0.1204, 0.1196]), format.unsigned) == "12.0"


# --- text of users -----------------------------------------------------------------------------------


@given(texts)
def test_text_keeps_its_letters_and_loses_what_cannot_be_seen(text):
    plain = format.plain(text)
    hidden = {c for c in plain if unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in BIDIRECTIONAL}
    assert not hidden
    assert "".join(plain.split()) == "".join(c for c in text if not format._INVISIBLE.match(c) and not c.isspace())


BIDIRECTIONAL = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    "mark", [chr(c) for c in range(0x110000) if unicodedata.bidirectional(chr(c)) in BIDIRECTIONAL]
)
def test_marks_that_turn_the_writing_direction_are_taken_out(mark):
    assert format.plain(f"a{mark}b") == "a b"


@given(texts)
def test_text_for_html_is_the_text_when_a_browser_has_read_it(text):
    written = str(format.html(text))
    inner = written.removeprefix("<bdi>").removesuffix("</bdi>")
    assert written == f"<bdi>{inner}</bdi>"
    assert not set("<>\"'") & set(inner)
    assert html.unescape(inner) == format.plain(text)


@given(texts)
def test_text_for_markdown_has_no_mark_left_and_is_the_text_when_a_browser_has_read_it(text):
    written = str(format.markdown(text))
    assert not set("\\`*_{}[]()<>+-.!|~=:^$\"'@/") & set(re.sub(r"&#\d+;", "", written))
    assert html.unescape(written) == format.plain(text)


LATEX = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"$\pm$": "±",
    "$-$": MINUS,
    "--": "–",
    **{"\\" + mark: mark for mark in "&%$#_{}"},
}
COMMAND = re.compile("|".join(map(re.escape, sorted(LATEX, key=len, reverse=True))))


@given(texts.filter(lambda text: "--" not in text))
def test_text_for_latex_has_no_command_but_those_that_stand_for_its_characters(text):
    written = format.latex(text)
    assert not set("\\~^&%$#_{}<>±–" + MINUS) & set(COMMAND.sub("", written))
    assert COMMAND.sub(lambda found: LATEX[found[0]], written) == format.plain(text)


@given(texts)
def test_text_for_a_csv_field_is_the_text_or_the_text_after_an_apostrophe(text):
    written, plain = format.csv_text(text), format.plain(text)
    formula = unicodedata.normalize("NFKC", plain[:1]) in ("=", "+", "-", "@")
    assert written == ("'" + plain if formula else plain)


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{SMALL PLUS SIGN}"])
def test_a_formula_is_no_formula(mark):
    assert format.csv_text(f"{mark}1") == f"'{mark}1"


@given(texts)
def test_text_for_front_matter_is_one_line_of_yaml_that_says_the_text_as_html(text):
    written = str(format.yaml_text(text))
    assert "\n" not in written
    found = yaml.safe_load(f"title: {written}")["title"]
    assert html.unescape(found) == format.plain(text)
    assert not set("<>\"'") & set(found)


def test_a_file_of_json_never_says_that_something_is_no_number():
    assert format.json_text({"b": "ä", "a": [1, None]}) == '{\n "b": "ä",\n "a": [1, null]\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        format.json_text({"a": math.nan})


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(plain_json)
def test_a_file_of_json_says_what_it_was_given(value):
    assert json.loads(format.json_text(value)) == value


def test_a_file_of_json_has_a_line_for_each_row():
    rows = [{"name": name, "parts": [{"a": 1}]} for name in "xyz"]
    assert [json.loads(line.rstrip(",")) for line in format.json_text({"rows": rows}).splitlines()[2:-2]] == rows


@pytest.mark.parametrize(
    ("value", "text"),
    [(-7.67e-05, "0.000"), (-0.0913, "\N{MINUS SIGN}0.091"), (8.02203, "8.022"), (1234.5, "1,234.500"), (0.0, "0.000")],
)
def test_a_kernel_distance_has_three_decimals_and_no_exponent_or_sign_of_nothing(value, text):
    assert format.distance(value) == text
    assert format.shown(value, "distance") == text

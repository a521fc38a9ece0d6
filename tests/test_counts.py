"""Numbers of things in words."""

import re
from pathlib import Path

import pytest

import medaug_keras
from medaug_keras.counts import first_of, part, plural


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (21, "21 runs"), (1234, "1,234 runs")]
)
def test_only_one_is_singular(number, said):
    assert plural(number, "run") == said
    assert plural(number, "class", "classes") == said.replace("runs", "classes").replace("run", "class")


def test_a_part_is_of_several_also_where_they_are_one():
    assert [part(0, 1, "run"), part(1, 1, "run"), part(1000, 2000, "run")] == [
        "0 of 1 runs",
        "1 of 1 runs",
        "1,000 of 2,000 runs",
    ]


@pytest.mark.parametrize("names", [0, 1, 4, 5, 6, 2000])
def test_names_that_are_not_shown_are_counted(names):
    shown = first_of([f"n{i}" for i in range(names)], 5)
    assert shown.count("n") - shown.count("and") == min(names, 5)
    rest = re.findall(r"n4 and ([\d,]+) more$", shown)
    assert sum(int(number.replace(",", "")) for number in rest) == max(0, names - 5)
    assert bool(rest) == (names > 5)


def test_no_message_makes_a_plural_of_its_own():
    """Such as `worker{'s' if n > 1 else ''}`, which one place forgets."""
    root = Path(medaug_keras.__file__).parent
    own = re.compile(r"""\{'?'s' (if|\*)|\{''? if [^}]+ == 1 else 's'\}""")
    found = [p.name for p in root.rglob("*.py") if own.search(p.read_text("utf-8"))]
    assert not found, f"{found}: say it with medaug_keras.counts.plural"

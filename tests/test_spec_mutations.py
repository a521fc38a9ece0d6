"""Wrong studies, made from right ones by code: each is refused with file and line, and none with a traceback."""

import copy
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medaug_keras.reading import StudyError, read, schema
from medaug_keras.reading.strict_yaml import compose_file, plain

SCHEMA = jsonschema.Draft7Validator(schema())
ROOT = Path(__file__).parent.parent
SHIPPED = [ROOT / "study.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]
PLACED = re.compile(r"^  \S.*?\.yaml:[1-9][0-9]*: \S", re.MULTILINE)

Mutation = tuple[str, bytes]
"""What was done, and the file that it makes."""


def outcome(path: Path) -> str:
    """`read`, `refused` or how the law was broken."""
    try:
        read(path)
    except StudyError as error:
        lines = str(error).splitlines()
        if not re.fullmatch(r".* is not a study \([0-9,]+ mistakes?\):", lines[0]):
            return f"no heading: {lines[0]}"
        unplaced = [
            line for line in lines[1:] if not PLACED.match(line) and not re.fullmatch(r"  and [0-9,]+ more", line)
        ]
        if unplaced or len(lines) < 2:
            return f"a mistake without its place: {unplaced}"
        too_long = [line for line in lines if len(line) > 700]
        return f"a line that nobody reads: {too_long[0][:200]}" if too_long else "refused"
    except BaseException as error:
        return f"traceback: {type(error).__name__}: {str(error)[:200]}"
    return "read"


# --- the corpus ------------------------------------------------------------------------------------


def whole_studies() -> list[dict[str, Any]]:
    """As plain values: the paper's, and the demo with every augmentation and kind of data."""
    paper: Any = plain(compose_file(ROOT / "study.yaml", ""))
    every: Any = plain(compose_file(ROOT / "studies/demo.yaml", ""))
    every["datasets"]["own"] = {"kind": "npz", "path": "a.npz", "classes": ["a", "b"], "title": "Own", "size": 28}
    every["datasets"]["slides"] = {"kind": "folder", "path": "b", "licence": "none", "citation": "us"}
    every["datasets"]["lesions"] = {
        "kind": "table",
        "path": "c.csv",
        "image": "images/{id}.png",
        "label": "dx",
        "group": "patient",
        "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 1},
        "classes": ["a", "b"],
        "missing": "drop",
    }
    every["arms"]["every"] = {
        "augment": [
            *({"layer": name, "factor": 0.1} for name in ("RandomErasing", "RandomRotation", "RandomZoom")),
            {"layer": "RandomShear", "x_factor": 0.1, "fill_mode": "wrap", "fill_value": 0.5},
            {"layer": "RandAugment", "num_ops": 2, "factor": 0.5},
            {"layer": "MixUp", "alpha": 0.2},
            {"layer": "CutMix", "factor": 1.0},
            {"layer": "elastic", "strength": 0.05, "smoothness": 0.2, "probability": 0.5},
            {"layer": "augmix", "width": 2, "depth": 2, "severity": 3.0},
        ],
        "samplings": ["shuffle"],
    }
    return [paper, every]


def dumped(study: Any) -> bytes:
    """As YAML with one key a line, so that a line says something."""
    return json.dumps(study, indent=1).encode()


def places(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to every value in it."""
    yield keys
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(child, (*keys, key))


def changed(study: Any, keys: tuple[Any, ...], value: Any) -> Any:
    """The study with another value at a place; `...` takes it out."""
    other = copy.deepcopy(study)
    around = other
    for key in keys[:-1]:
        around = around[key]
    if value is ...:
        del around[keys[-1]]
    else:
        around[keys[-1]] = value
    return other


def of_values() -> Iterator[Mutation]:
    """At every place, values of every other type and out of every range, unknown keys and keys taken out."""
    for number, study in enumerate(whole_studies()):
        for keys in places(study):
            if not keys:
                continue
            where = f"study {number}, {'.'.join(map(str, keys))}"
            value: Any = study
            for key in keys:
                value = value[key]
            wrong: list[Any]
            if isinstance(value, dict):
                wrong = [[], "text", 3, True, {**value, "epohcs": 1}, {**value, "<x>": {}}, {**value, "": {}}]
            elif isinstance(value, list):
                wrong = ["text", 3, {}, {"a": 1}, [[]], [{}], [None], [*value, "text"]]
            elif isinstance(value, bool):
                wrong = ["yes", 1, 0, [], {}, None]
            elif isinstance(value, int | float):
                wrong = ["ten", -1, True, [], {}, -1e300, 1e300, str(value), 0.5 + 2**40]
            elif isinstance(value, str):
                wrong = [3, True, [value], {value: 1}, "", "x" * 600, 1.5]
            else:
                wrong = ["text", [], {}, True, -1]
            for other in wrong:
                yield f"{where} = {str(other)[:40]}", dumped(changed(study, keys, other))
            if keys in REQUIRED or (keys[-1] in ("kind", "layer") and "optimizer" not in keys):
                yield f"{where} taken out", dumped(changed(study, keys, ...))
            if keys[-1] == "generator":
                for other in ("nothing", "", "CVAE", "../x"):
                    yield f"{where} = {other}", dumped(changed(study, keys, other))


REQUIRED = {("name",), ("title",), ("question",), ("datasets",), ("arms",), ("arms", "baseline")}
NAMES = [
    "A",
    "a b",
    "a/b",
    "..",
    "a.b",
    "é",
    "a" * 41,
    "-a",
    "_a",
    "a\n",
    "<b>",
    "=1+1",
    "a:b",
    "",
    " ",
    "\u202ea",
    "[key]",
]


def of_names() -> Iterator[Mutation]:
    study: Any = whole_studies()[1]
    for name in NAMES:
        yield f"name {name!r}", dumped({**study, "name": name})
        for section in ("datasets", "generators", "arms"):
            entry = next(iter(study[section].values()))
            yield f"{section}.{name!r}", dumped(changed(study, (section, name), entry))


def of_syntax() -> Iterator[Mutation]:
    """Breaks the text: at every line of the paper's study, and in ways that have names."""
    text = (ROOT / "study.yaml").read_text()
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if ":" not in line or line.lstrip().startswith("#"):
            continue
        key, _, rest = line.partition(":")
        indent = line[: len(line) - len(line.lstrip())]
        breaks = {
            "a tab": f"{indent}\t{line.lstrip()}",
            "no colon": f"{key}{rest}",
            "an open bracket": f"{key}: [{rest.strip()}\n",
            "an open quote": f'{key}: "{rest.strip()}\n',
            "a tag": f"{key}: !!python/object/apply:os.system [echo]\n",
            "an unknown alias": f"{key}: *nowhere\n",
            "twice": f"{line.rstrip()}\n{indent}{key.strip()}: 1\n",
            "a control character": line.rstrip() + " # \x01\n",
            "an unknown escape": f'{key}: "\\q"\n',
        }
        for what, broken in breaks.items():
            yield f"{what} on line {number + 1}", "".join([*lines[:number], broken, *lines[number + 1 :]]).encode()
    raw = text.encode()
    yield from (
        ("nothing", b""),
        ("white space", b" \n\n  \n"),
        ("a comment", b"# name: x\n"),
        ("a list", b"- name: x\n"),
        ("text", b"name\n"),
        ("a number", b"3\n"),
        ("null", b"null\n"),
        ("two documents", raw + b"\n---\n" + raw),
        ("a document's end inside", raw.replace(b"classifier:", b"...\nclassifier:")),
        ("UTF-16", text.encode("utf-16")),
        ("UTF-16 without its mark", text.encode("utf-16-be")),
        ("UTF-32", text.encode("utf-32")),
        ("Latin-1", raw.replace(b"# the", "# thé".encode("latin-1"))),
        ("half a character", raw + b"# \xe2\x82"),
        ("NUL", raw + b"\x00"),
        ("binary", bytes(range(256)) * 10),
        ("zip", b"PK\x03\x04" + bytes(range(255, 0, -1)) * 8),
        ("HTML", b"<!DOCTYPE html><html><head><title>503</title></head></html>\n"),
        ("JSON that is cut", json.dumps(whole_studies()[0]).encode()[:-40]),
        ("a wrong directive", b"%YAML 9.9\n---\n" + raw),
        ("an own tag", b"%TAG ! tag:x,2000:\n---\n" + raw.replace(b"name: paper", b"name: !x paper")),
        ("a merge of text", raw.replace(b"seed: 0", b"<<: text")),
        ("a merge of a list of text", raw.replace(b"seed: 0", b"<<: [a, b]")),
        ("two merges", raw.replace(b"seed: 0", b"<<: {}\n<<: {}")),
        ("a mapping as key", raw.replace(b"seed: 0", b"? {a: b}\n: c")),
        ("an alias as key", raw + b"? *amount\n: 1\n"),
    )


def of_size() -> Iterator[Mutation]:
    """What grows without end: aliases, lines, depth, numbers, keys."""
    study = (ROOT / "study.yaml").read_text().encode()
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for i in range(1, 12):
        bomb += b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10))
    merges = b"a: &a {" + b", ".join(b"k%d: 1" % i for i in range(20_000)) + b"}\nb: ["
    yield from (
        ("ten levels of aliases", study + bomb),
        ("aliases of mappings", study + bomb.replace(b"[", b"{x: [").replace(b"]", b"]}")),
        ("an alias of itself", study + b"x: &x [*x]\n"),
        ("aliases of each other", study + b"x: &x [*y]\ny: &y [*x]\n"),
        ("a large mapping merged often", study + merges + b", ".join([b"{<<: *a}"] * 20_000) + b"]\n"),
        ("a merge of many aliases", study + merges.replace(b"b: [", b"b: {<<: [") + b"*a, " * 5000 + b"*a]}\n"),
        ("a line of 900 kB", study + b"x: " + b"y" * 900_000),
        ("a quoted line of 900 kB", study + b'x: "' + b"y " * 450_000 + b'"'),
        ("a key of 900 kB", study + b"k" * 900_000 + b": 1"),
        ("a quoted key of 900 kB", study + b'"' + b"k" * 900_000 + b'": 1'),
        ("a comment of 2 MB", study + b"# " + b"c" * 2_000_000),
        ("a title of 900 kB", study.replace(b"title: Does", b"title: Does " + b"y" * 900_000)),
        ("an anchor of 900 kB", study.replace(b"&amount", b"&" + b"y" * 900_000)),
        ("a tag of 100 kB", study.replace(b"seed: 0", b"seed: !" + b"y" * 100_000 + b" 0")),
        ("200,000 entries", study + b"x: [" + b"1, " * 200_000 + b"1]"),
        ("30,000 keys", study + b"".join(b"k%d: 1\n" % i for i in range(30_000))),
        ("30,000 equal keys", study + b"k: 1\n" * 30_000),
        *(
            (f"depth {n} of {o!r}", study + b"x: " + o * n)
            for o in (b"[", b"{a: ", b"[{a: ")
            for n in (31, 1000, 100_000)
        ),
        *((f"closed depth {n}", study + b"x: " + b"[" * n + b"]" * n) for n in (31, 900, 100_000)),
        ("depth of dashes", study + b"x:\n " + b"- " * 100_000 + b"a\n"),
        ("depth of question marks", study + b"? " * 100_000 + b"a\n"),
        ("depth of keys", study + b"x: " + b"a: " * 1000 + b"\n"),
        ("depth of block mappings", study + b"".join(b" " * i + b"a:\n" for i in range(1, 1200))),
        *(
            (f"replicates: {number[:12]!r}", study.replace(b"replicates: 5", b"replicates: " + number))
            for number in (b"9" * 30, b"9" * 5000, b"9" * 100_000, b"-" + b"9" * 5000, b"1e400", b"0x" + b"f" * 5000)
        ),
        ("a number of many digits", study.replace(b"0.001", b"0." + b"1" * 100_000 + b"x")),
        ("a number of ten thousand underscores", study.replace(b"epochs: 20\n", b"epochs: 2" + b"_" * 10_000 + b"0\n")),
    )


def of_extends() -> Iterator[Mutation]:
    """Written as study.yaml, beside a base.yaml that is whole, a loop.yaml and a folder."""
    for target in (
        *(
            "study.yaml",
            "./study.yaml",
            "loop.yaml",
            "nowhere.yaml",
            "folder",
            ".",
            "..",
            "/",
            "/dev/null",
            "/dev/zero",
        ),
        *("broken.yaml", "binary.yaml", "a" * 300, "a" * 5000 + ".yaml", "~nobody/x.yaml", "http://example.org/a.yaml"),
    ):
        yield f"extends {target[:30]}", json.dumps({"extends": target}).encode()
    for value in (b"3", b"null", b"[base.yaml]", b"{}", b"true", b"''", b"' '", b'"a\\0b"', b"*x", b"!x base.yaml"):
        yield f"extends: {value.decode()}", b"extends: " + value + b"\n"
    for change in (
        b"arms: null",
        b"datasets: null",
        b"classifier: null",
        b"name: null",
        b"arms: {nothing: null}",
        b"arms: {baseline: null}",
        b"generators: {cvae: null}",
        b"generators: null",
        b"generators: {cvae: {kind: cgan, latnt_dim: 3}}",
        b"arms: {gda: {augment: null}}",
        b"arms: {cvae: {duplicate: {}}}",
        b"extends: base.yaml",
        b"datasets: {phantom-ultrasound: {kind: npz}}",
    ):
        yield f"extends and {change.decode()}", b"extends: base.yaml\n" + change + b"\n"


SOURCES = {"values": of_values, "names": of_names, "syntax": of_syntax, "size": of_size, "extends": of_extends}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an extending file may find beside itself."""
    made = tmp_path_factory.mktemp("studies")
    (made / "base.yaml").write_bytes((ROOT / "studies/demo.yaml").read_bytes())
    (made / "loop.yaml").write_text("extends: study.yaml\n")
    (made / "broken.yaml").write_text("name: [\n")
    (made / "binary.yaml").write_bytes(b"\xff\x00\x80")
    (made / "folder").mkdir()
    return made


def still_right(raw: bytes) -> bool:
    """Some changes of a value leave a study that is right: the published schema is a second opinion on which."""
    return SCHEMA.is_valid(json.loads(raw))


@pytest.mark.parametrize("source", SOURCES)
def test_every_wrong_study_is_refused_with_file_and_line(
    source: str, folder: Path, counted: Callable[..., None]
) -> None:
    path = folder / "study.yaml"
    outcomes: Counter[str] = Counter()
    broken = []
    for what, raw in SOURCES[source]():
        path.write_bytes(raw)
        result = outcome(path)
        outcomes[result.partition(":")[0]] += 1
        if result != "refused" and not (result == "read" and source == "values" and still_right(raw)):
            broken.append(f"{what}: {result}")
    counted("studies", sum(outcomes.values()), outcomes["traceback"])
    assert not broken, "\n".join(broken[:20])
    assert outcomes["refused"] > 0.75 * sum(outcomes.values())


def test_the_line_named_is_the_line_that_was_changed(folder: Path) -> None:
    path = folder / "study.yaml"
    for study in whole_studies():
        right = dumped(study).splitlines()
        for keys in list(places(study))[1:]:
            wrong = dumped(changed(study, keys, [[None]])).splitlines()
            path.write_bytes(b"\n".join(wrong))
            with pytest.raises(StudyError, match="is not a study") as caught:
                read(path)
            first = next(i for i, (a, b) in enumerate(zip(right, wrong, strict=False), 1) if a != b)
            named = [place.line for place, _ in caught.value.mistakes]
            assert any(line is not None and first <= line <= first + 2 for line in named), (keys, first, named)


def test_the_corpus_has_hundreds_of_studies() -> None:
    assert sum(1 for _ in of_names()) + sum(1 for _ in of_syntax()) + sum(1 for _ in of_extends()) > 400


# --- chance ----------------------------------------------------------------------------------------

TEXTS = [path.read_text() for path in SHIPPED]
PIECES = [
    *(
        "\t",
        ":",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "!x ",
        "<<: ",
        "'",
        '"',
        "|",
        ">",
        "#",
        "%",
        "@",
        "~",
        "? ",
    ),
    *(
        "\n",
        "\n ",
        "\n---\n",
        "null",
        "true",
        "no",
        "010",
        "1e3",
        ".nan",
        "9" * 50,
        "\x07",
        "\ufeff",
        "é",
        "\U0001f600",
    ),
]


@st.composite
def spliced(draw: st.DrawFn) -> str:
    """A shipped study with pieces of YAML put in, and stretches moved or taken out."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = draw(st.integers(at, min(len(text), at + 40)))
        put = draw(st.sampled_from(PIECES) | st.text(max_size=5) | st.just(text[end : end + 30]))
        text = text[:at] + put + text[end:]
    return text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def revalued(draw: st.DrawFn) -> str:
    """A whole study with any value at any place."""
    study = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 3))):
        keys = draw(st.sampled_from(list(places(study))[1:]))
        study = changed(study, keys, draw(JSON))
    return json.dumps(study, ensure_ascii=draw(st.booleans()))


WHOLE = whole_studies()


def law(text: str | bytes, folder: Path) -> None:
    path = folder / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    assert outcome(path) in ("read", "refused")


def law_of_overrides(key: str, value: str) -> None:
    try:
        read(ROOT / "study.yaml", overrides=[f"{key}={value}"])
    except StudyError as error:
        unplaced = [line for line in str(error).splitlines()[1:] if not line.startswith("  --set ")]
        # What an override takes away is missing in the file.
        assert all(PLACED.match(line) and "is missing" in line for line in unplaced), unplaced


OVERRIDE = {
    "key": st.sampled_from(["classifier.epochs", "arms", "arms.x", "arms.gda.add", "a.b.c"]) | st.text(max_size=9),
    "value": st.text(max_size=20) | st.sampled_from(["null", "{}", "[]", "[[", "{a: 1}", "&a [*a]", "!x 1"]),
}


def laws(budget: settings) -> type:
    """The same four laws on a budget."""

    class Laws:
        @budget
        @example(raw=b"\xef\xbb\xbf")
        @example(raw=b"? ")
        @example(raw=b"- - - :")
        @given(raw=st.binary(max_size=200))
        def test_any_bytes_are_read_or_refused(self, raw: bytes, folder: Path) -> None:
            law(raw, folder)

        @budget
        @given(text=spliced())
        def test_any_text_near_a_study_is_read_or_refused(self, text: str, folder: Path) -> None:
            law(text, folder)

        @budget
        @given(text=revalued())
        def test_any_values_in_a_study_are_read_or_refused(self, text: str, folder: Path) -> None:
            law(text, folder)

        @budget
        @given(**OVERRIDE)
        def test_any_override_is_applied_or_refused(self, key: str, value: str) -> None:
            law_of_overrides(key, value)

    return Laws


TestQuickly = laws(settings(max_examples=100))
TestAtLength = pytest.mark.slow(laws(settings(max_examples=10_000)))

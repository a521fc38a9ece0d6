"""YAML → nodes that know their file and line; what YAML would guess is an error or stays text.

Plain PyYAML reads `no` as false, `010` as 8, `10:30` as 630, `1e-3` as text, and lets the last of two equal keys win.
Here `true`, `false`, `null`, `~` and decimal numbers mean what they look like, and everything else is text.
"""

import difflib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias

import yaml

MAX_BYTES = 1_000_000
MAX_NODES = 100_000  # after aliases are written out: ten lines of them can stand for billions
MAX_DEPTH = 30  # a study needs 8
MAX_INTEGER = 2**53  # the largest up to which every reader of JSON agrees

Scalar: TypeAlias = bool | int | float | str | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"
Keys: TypeAlias = tuple[str | int, ...]


class Place(NamedTuple):
    """A file and a line (from 1), or a command-line option, which has no line number."""

    name: str
    line: int | None = None

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


class Node(NamedTuple):
    """A value and its place; of an entry of a mapping, the place of its key."""

    place: Place
    value: "Scalar | list[Node] | dict[str, Node]"
    size: int = 1
    """Nodes in it, aliases written out."""


class YamlError(Exception):
    """Not YAML, or YAML that could mean something else than it seems to: (place, what and how to mend)."""

    def __init__(self, mistakes: list[tuple[Place, str]]) -> None:
        super().__init__("\n".join(f"{place}: {message}" for place, message in mistakes))
        self.mistakes = mistakes


def compose_file(path: Path, name: str) -> Node:
    """The one document of a file; `name` is the file's name in error messages."""
    start = Place(name, 1)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlError([(start, f"cannot be read: {error.strerror}{_instead(path, error)}")]) from error
    found = _no_text(raw)
    if found:
        raise YamlError([(start, f"is {found}: a study is a text file (YAML)")])
    if len(raw) > MAX_BYTES:
        raise YamlError([(start, f"is larger than {MAX_BYTES:,} bytes: this is not a study")])
    node = _Composer(_decode(raw, name), lambda line: Place(name, line)).document()
    if node is None:
        raise YamlError([(start, "is empty; studies/demo.yaml is a short study to start from")])
    if not isinstance(node.value, dict):
        raise YamlError([(node.place, "a study is a mapping (name: ..., datasets: ...)")])
    return node


def near(path: Path) -> str:
    """The study file that is meant by a name under which there is none: beside it, or in `studies`. Or nothing."""
    files = {file.name: file for place in (path.parent / "studies", path.parent) for file in place.glob("*.y*ml")}
    close = difflib.get_close_matches(path.name, files, n=1, cutoff=0.7)
    same = [name for name in files if Path(name).stem == path.stem]
    return str(files[(same or close)[0]]) if same or close else ""


def _instead(path: Path, error: OSError) -> str:
    """What is there in place of a study's file."""
    if isinstance(error, IsADirectoryError):
        inside = sorted(str(file) for file in path.glob("*.y*ml"))
        return "; name a file in this folder" + (f", as {inside[0]}" if inside else "; no .yaml file is in it")
    if not isinstance(error, FileNotFoundError):
        return ""
    if path.is_symlink():
        return f"; it is a link to {os.readlink(path)}, which is not there"
    meant = near(path)
    return f"; did you mean {meant}?" if meant else ""


def _no_text(raw: bytes) -> str | None:
    """What a file is that is no text of the user's; None where it may be."""
    head = raw[:1024]
    strange = b"\0" in head or head.startswith((b"version https://git-lfs", b"%PDF")) or head.lstrip()[:1] == b"<"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        strange = strange or error.start < 4
    if not strange:
        return None
    from medaug_keras.data.filetype import what  # only now: it brings NumPy

    found = what(head)
    return None if found in ("a text file", "an empty file") else found


def compose_value(text: str, place: Place) -> Node:
    """The value of an option, all of it at `place`; nothing is null."""
    _refuse_unprintable(text, lambda _: place)
    return _Composer(text, lambda _: place).document() or Node(place, None)


def node_of(content: object, place: Place, keys: Keys = ()) -> Node:
    """A dictionary of Python's as the tree of a file that says the same, all of it at `place`.

    Raises YamlError for what no file can say.
    """
    what = f"{'.'.join(map(str, keys))}: " if keys else ""
    if len(keys) > MAX_DEPTH:
        raise YamlError([(place, f"{what}more than {MAX_DEPTH} levels")])
    if isinstance(content, Mapping):
        for key in content:
            if not isinstance(key, str):
                raise YamlError([(place, f"{what}a key is text, not {key!r}")])
        return Node(place, {key: node_of(value, place, (*keys, key)) for key, value in content.items()})
    if isinstance(content, list | tuple):
        return Node(place, [node_of(value, place, (*keys, number)) for number, value in enumerate(content)])
    if isinstance(content, os.PathLike):
        return Node(place, os.fspath(content))
    if content is None or isinstance(content, bool | int | str) or (isinstance(content, float) and isfinite(content)):
        return Node(place, content)
    raise YamlError([(place, f"{what}{content!r:.80} is no text, number, list or dictionary")])


def plain(node: Node) -> Plain:
    """The values without their places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def place_of(tree: Node, path: Keys) -> Place:
    """The place of the value at `path`, or of the innermost section around it that exists."""
    node = tree
    for key in path:
        if isinstance(node.value, dict) and key in node.value:
            node = node.value[str(key)]
        elif isinstance(node.value, list) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
        else:
            break
    return node.place


def scalar(text: str) -> Scalar:
    """What a plain (unquoted) scalar means; a number too large for JSON stays text."""
    if text in {"", "~", "null"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if not _NUMBER.fullmatch(text):
        return text
    if text.lstrip("+-").isdecimal():
        short = len(text) <= len(str(MAX_INTEGER)) + 1
        return int(text) if short and abs(int(text)) <= MAX_INTEGER else text
    number = float(text) + 0.0  # -0.0 becomes 0.0: the same number must not make another task
    return number if abs(number) < float("inf") else text


_NUMBER = re.compile(r"[-+]? (?: (?:0|[1-9][0-9]*) (?:\.[0-9]*)? | \.[0-9]+ ) (?:[eE][-+]?[0-9]+)?", re.VERBOSE)
# Control characters, halves of surrogate pairs, and line breaks that YAML counts but editors do not.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
# What looks like a space, or like nothing.
INVISIBLE = re.compile("[\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000]")
# Marks that look like those of YAML, and are not.
_LIKE_MARKS = str.maketrans("\uff1a\ufe55\ua789\uff0c\uff3b\uff3d\uff5b\uff5d\u2013\u2014\u2212", ":::,[]{}---")
# `name:y`, which is text; a web address is meant to be.
_NO_SPACE = re.compile(r"(?:^|[{,]\s*|- +)([\w.-]+):[^\s/]")
_BREAK = re.compile("\r\n|\r|\n")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is 20 times faster, and is not always there
_ESCAPES = r"a backslash in double quotes begins an escape: use single quotes, as in 'C:\Users\me', or write \\ for it"
_HINTS = {  # a part of the parser's message → how to mend it
    "mapping values are not allowed": "put text with ': ' in it in quotes, or mend the indentation",
    "could not find expected ':'": "put a colon and a space after the key",
    "did not find expected key": "mend the indentation, or a quote, bracket or comma before it",
    "expected <block end>": "mend the indentation, or a quote, bracket or comma before it",
    "did not find expected '-'": "begin every entry of the list with '- ' at the same indentation",
    "expected ',' or": "close the bracket, or put a comma between the entries",
    "unexpected end of stream": "close the quote",
    "cannot start any token": "indent with spaces, not tabs; put text that begins with @, ` or % in quotes",
    "unknown escape character": _ESCAPES,
    "hexdecimal number": _ESCAPES,  # libyaml's spelling
    "hexadecimal numbers": _ESCAPES,
    "expected <document start>": "one file holds one study, and begins with its first key",
}


def _decode(raw: bytes, name: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        raise YamlError([(Place(name, 1), "is UTF-16 or UTF-32: save it as UTF-8")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + len(_BREAK.findall(raw[: error.start].decode("utf-8", "replace")))
        found = f"byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise YamlError([(Place(name, line), found)]) from error
    _refuse_unprintable(text, lambda line: Place(name, line))
    return text


def _refuse_unprintable(text: str, place: Callable[[int], Place]) -> None:
    found = _UNPRINTABLE.search(text)
    if found:
        line = 1 + len(_BREAK.findall(text[: found.start()]))
        message = f"the character U+{ord(found.group()):04X} cannot be printed: take it out"
        raise YamlError([(place(line), message)])


class _Composer:
    """Turns the parser's events into nodes."""

    def __init__(self, text: str, place: Callable[[int], Place]) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self.lines = _BREAK.split(text)
        self.place = place
        self.anchors: dict[str, Node | None] = {}  # None while what it names is still being read
        self.mistakes: list[tuple[Place, str]] = []
        self.nodes = 0

    def document(self) -> Node | None:
        node = None
        try:
            for event in self.events:
                if isinstance(event, yaml.NodeEvent):
                    node = self._node(event, 1)
                elif isinstance(event, yaml.DocumentStartEvent) and node is not None:
                    self._stop(event, "begins a second document; one file holds one study")
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        if self.mistakes:
            raise YamlError(self.mistakes)
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # the parser puts nothing else here
        if event.tag is not None:
            self._stop(event, f"the tag {event.tag} is not allowed: a study is plain data")
        self._count(event, 1)
        if depth > MAX_DEPTH:
            self._stop(event, f"is nested more than {MAX_DEPTH} deep")
        place = self._at(event)
        if event.anchor is not None:
            if event.anchor in self.anchors:
                self._stop(event, f"&{event.anchor} names something above already")
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = Node(place, event.value if event.style else scalar(event.value))
            self._printable(event)
            self._as_it_looks(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self._node(inner, depth + 1))
            node = Node(place, items, 1 + sum(item.size for item in items))
        else:
            entries = self._entries(depth)
            node = Node(place, entries, 1 + sum(child.size for child in entries.values()))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _entries(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: list[Node] | None = None
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                self._stop(event, "a key is plain text")
            self._printable(event)
            key, place = event.value, self._at(event)
            strange = _strange(key, whole=True) if not event.style else None
            if strange:
                self.mistakes.append((place, strange))
            child = self._node(next(self.events), depth + 1)._replace(place=place)
            if key == "<<" and not event.style:
                if merged is not None:
                    self._stop(event, "a second <<; write one: <<: [*a, *b]")
                merged = child.value if isinstance(child.value, list) else [child]
                if not all(isinstance(source.value, dict) for source in merged):
                    self._stop(event, "<< takes a mapping, or a list of mappings")
            elif key in entries:
                first = entries[key].place
                self.mistakes.append((place, f"{key[:60]}: a key that stands in {first} too; keep one"))
            else:
                entries[key] = child
        for source in merged or []:  # an earlier one wins over a later one, and the mapping's own keys over all
            entries = {**source.value, **entries}  # type: ignore[dict-item]
        return entries

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = str(event.anchor)
        node = self.anchors.get(name)
        if node is None:
            open_ = name in self.anchors
            self._stop(event, f"*{name} stands inside what &{name} names" if open_ else f"there is no &{name} above")
        self._count(event, node.size)
        return node._replace(place=self._at(event))

    def _count(self, event: yaml.Event, more: int) -> None:
        self.nodes += more
        if self.nodes > MAX_NODES:
            self._stop(event, f"the file holds more than {MAX_NODES:,} values once its aliases are written out")

    def _printable(self, event: yaml.ScalarEvent) -> None:
        found = _UNPRINTABLE.search(event.value)  # written as an escape in double quotes
        if found:
            self._stop(event, f"holds U+{ord(found.group()):04X}, which cannot be printed: take it out")

    def _as_it_looks(self, event: yaml.ScalarEvent) -> None:
        """Refuse a value that does not mean what it looks like."""
        text = event.value
        visible = INVISIBLE.sub("", text)
        if not event.style and (
            visible.strip() != visible or not isinstance(scalar(visible.strip()), str) or _at_an_end(text)
        ):
            strange = _strange(text, whole=False)
            if strange:
                self.mistakes.append((self._at(event), strange))
        if event.style == '"' and re.match(r"[A-Za-z]:", text) and re.search("[\t\r\n]", text):  # "C:\temp"
            self.mistakes.append((self._at(event), _ESCAPES))

    def _at(self, event: yaml.Event) -> Place:
        assert event.start_mark is not None  # only events that no parser made have none
        return self.place(event.start_mark.line + 1)

    def _stop(self, event: yaml.Event, message: str) -> NoReturn:
        raise YamlError([*self.mistakes, (self._at(event), message)])

    def _syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        mark, begun = error.problem_mark, error.context_mark
        line = mark.line + 1 if mark else 1
        for number in range(line, max(0, (begun.line if begun else line) - 2), -1):  # the parser notices it later
            text = self.lines[number - 1].strip() if number <= len(self.lines) else ""
            strange = _strange(text, whole=True) if not text.startswith("#") else None
            if strange:
                raise YamlError([*self.mistakes, (self.place(number), f"is not YAML: {strange}")]) from error
        began = ""
        if error.context and begun and begun.line + 1 < line:
            began = f" {error.context} that began in {self.place(begun.line + 1)}"
        hint = next((f"; {hint}" for part, hint in _HINTS.items() if part in str(error.problem)), "")
        message = f"is not YAML: {error.problem}{began}{hint}"
        raise YamlError([*self.mistakes, (self.place(line), message)]) from error


def _at_an_end(text: str) -> bool:
    return bool(text and (INVISIBLE.match(text[0]) or INVISIBLE.match(text[-1])))


def _strange(text: str, *, whole: bool) -> str | None:
    """Which character of a key or line, or end of a value, is not what it looks like, and what to write."""
    found = INVISIBLE.search(text)
    if found:
        number, name = f"U+{ord(found.group()):04X}", unicodedata.name(found.group(), "").lower()
        return f"holds {number} ({name}), which looks like a space or like nothing: take it out, or write a plain space"
    if not whole:
        return None
    mark = next((letter for letter in text if ord(letter) in _LIKE_MARKS), None)
    if mark:
        name, right = unicodedata.name(mark).lower(), mark.translate(_LIKE_MARKS)
        return f"holds U+{ord(mark):04X} ({name}), which is not a mark of YAML: write {right} for it"
    glued = _NO_SPACE.search(text)
    return f"put a space after the colon: {glued[1]}: ..." if glued else None

"""Your own images as a table lists them: a row for each image, with its file, class, group and split."""

import os
import posixpath
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medaug_keras.counts import first_of, plural
from medaug_keras.data import files
from medaug_keras.data.dataset import (
    MAX_BYTES,
    SPLITS,
    DataError,
    Dataset,
    Filter,
    Fit,
    Problems,
    Sizes,
    check_classes,
    check_names,
    check_not_one_hot,
)
from medaug_keras.data.files import File, Listing
from medaug_keras.data.folders import bare, difference
from medaug_keras.data.folds import check_folds
from medaug_keras.data.identifiers import identifies
from medaug_keras.data.ids import LEFT_OUT
from medaug_keras.data.pixels import SUFFIXES, Colour, Conversion
from medaug_keras.data.room import Room
from medaug_keras.data.rows import Rows, did_you_mean, is_missing, read_rows
from medaug_keras.data.splits import Parts, by_words, dropped, placed, repeated
from medaug_keras.data.subgroups import By, Subgroups, subgroups_of

_MOST_CLASSES = 100  # beyond, the column of the label is taken for a wrong one
_SHOWN = 6  # values of a message
_LOOKED_INTO = 1000  # folders of images in which others are counted


@dataclass(frozen=True, kw_only=True)
class Table:
    """Where a table is, and what its columns are."""

    path: Path
    image: str
    """A column with each image's file, or a pattern over columns such as "images/{image_id}.jpg"; files are named as
    seen from the table's folder."""
    label: str | None
    """The column with the class; or `labels`, one for each finding, of 1 where the image has it, else 0."""
    split: Parts
    labels: Sequence[str] | None = None
    group: str | None = None
    classes: Sequence[str] | None = None
    """In the wanted order; None takes the values as they are, by number or alphabet."""
    missing: Literal["drop"] | None = None
    """drop leaves rows with a missing value or without a file out, and counts them; None refuses them."""
    encoding: str | None = None
    drop: Path | None = None
    """A table whose column `image` names images to leave out."""
    frame: int | str | None = None
    """Which image of each file is meant, from 1, or the column that says it, which is then part of the images' names
    (`scan.dcm#3`); None takes files of one image only."""
    subgroups: Sequence[By] = ()
    """The columns by which results are shown for some of the images; a value may be missing."""


def table_sizes(
    table: Table,
    *,
    size: int | None,
    colour: Colour | None,
    fit: Fit | None = None,
    window: Mapping[str, Any] | None = None,
) -> Sizes:
    """Sizes of a table's images from its rows and the first image's header."""
    return files.sizes(listed(table), Conversion(size=size, fit=fit, filter="bilinear", colour=colour), window)


def table_class_counts(table: Table) -> list[int]:
    """Training images of each class; none of several findings, which are no parts of a whole. Raises DataError."""
    if table.labels is not None:
        return []
    return [int(n) for n in np.bincount(listed(table).labels("train"))]


def table_fingerprint(table: Table, *, cache: Path | None) -> str:
    """MD5 over the images that would be used, their classes (or findings), groups and splits: not over the rest of the
    table."""
    return files.fingerprint(listed(table), cache=cache)


def table_subgroups(table: Table) -> Subgroups | None:
    """The subgroups of a table's images; None where it names none. Raises DataError."""
    if not table.subgroups:
        return None
    found = listed(table)
    return subgroups_of(
        {
            split: {by.column: [file.values[c] for file in files] for c, by in enumerate(table.subgroups)}
            for split, files in found.files.items()
        },
        {split: [file.relative for file in files] for split, files in found.files.items()},
        {split: [file.group for file in files if file.group] for split, files in found.files.items()},
        table.subgroups,
        where=table.path.name,
        all_tested=table.split.uncut,
    )


def table_forgotten_group(table: Table) -> str:
    """A sentence on a column that may say what images are of, where a table without `group` has one, and its values are
    in two splits or would be in two folds; else empty. Raises DataError.

    Which columns may is said in `identifiers`; of several the likeliest is named first: the one that parts least.
    """
    if table.group is not None or table.split.whole:
        return ""
    rows = read_rows(table.path, encoding=table.encoding)
    used = {table.label, *(table.labels or ()), table.split.column, table.frame, *(by.column for by in table.subgroups)}
    if isinstance(table.frame, str):  # images of one file are a group already
        used |= set(_fields(table.image, rows))
    free = [name for name, times in Counter(rows.columns).items() if name and times == 1 and name not in used]
    found = listed(replace(table, subgroups=[By(name) for name in free]))
    suspects: dict[str, tuple[int, int, int]] = {}
    for at, name in enumerate(free):
        splits = {split: _known(file.values[at] for file in found.files[split]) for split in SPLITS}
        values = [value for some in splits.values() for value in some]
        there = {split: set(some) for split, some in splits.items()}
        parted = len(set().union(*there.values())) < sum(map(len, there.values()))
        if (parted or table.split.uncut) and identifies(name, values, classes=len(found.classes)):
            shared = sum(value in there["train"] for value in splits["test"])
            suspects[name] = (len(set(values)), len(values), shared)
    if not suspects:
        return ""
    first, *others = sorted(suspects, key=lambda name: suspects[name][0])
    number, of, shared = suspects[first]
    images = len(found.files["test"])
    share = f", and {shared:,} of {images:,} test images have one that training images have too" if shared else ""
    besides = f" (so may {', '.join(others)})" if others else ""
    drawn = table.split.fractions is not None or table.split.folds is not None
    then = "no patient's or lesion's images are in two splits" if drawn else "`check` counts those that the split parts"
    return (
        f"no group is given, and the column {first} has {number:,} values in {of:,} rows{share}. If it says which "
        f"patient or lesion an image is of{besides}, set group: {first}, so that {then}"
    )


def _known(values: Iterable[str]) -> list[str]:
    return [value for value in values if not is_missing(value)]


def load_table(
    table: Table,
    *,
    name: str,
    title: str,
    size: int | None,
    colour: Colour | None,
    fit: Fit | None = None,
    filter: Filter = "bilinear",
    window: Mapping[str, Any] | None = None,
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
    room: Room | None = None,
    report: Callable[[str], None] | None = None,
) -> Dataset:
    """Own images that a table lists; in each split sorted by their names, whatever the order of the rows.

    Images, `room` and `report` are as `load_folder` takes them. Raises one DataError that names everything that is
    wrong; a class may be absent from validation and test.
    """
    how = Conversion(size=size, fit=fit, filter=filter, colour=colour)
    said = {"name": name, "title": title, "licence": licence, "citation": citation}
    return files.load(listed(table), how, window=window, **said, max_bytes=max_bytes, room=room, report=report)


def listed(table: Table) -> Listing:
    """The images of each split, sorted by their names. Raises one DataError."""
    path, image, group, split = table.path, table.image, table.group, table.split
    rows = read_rows(path, encoding=table.encoding)
    problems = Problems()
    columns: dict[str, list[str]] = {}
    asked = {"label": table.label, "group": group, "split.column": split.column}
    asked |= {f"labels.{name}": name for name in table.labels or ()}
    asked |= {"frame": table.frame} if isinstance(table.frame, str) else {}
    for setting, name in asked.items():
        if name is not None:
            with problems.collected():
                columns[setting] = rows.column(name, "labels" if setting.startswith("labels.") else setting)
    more: list[list[str]] = []
    for by in table.subgroups:
        with problems.collected():
            more.append(rows.column(by.column, "subgroups"))
    with problems.collected():
        columns |= {f"image {name}": rows.column(name, "image") for name in _fields(image, rows)}
    problems.check()
    in_files = _names(image, rows, columns, path.parent)
    keep, notes = _kept(rows, in_files, columns, path.parent, table.missing, problems)
    frames = _frames(rows, columns, table.frame, keep, problems)
    names = [f"{name}#{frames[i]}" if "frame" in columns else name for i, name in enumerate(in_files)]
    drawn = list(keep)  # images that fractions are drawn of: those left out too, so that the others stay in their split
    if table.drop is not None:
        with problems.collected():
            gone = dropped(table.drop, [names[i] for i in keep])
            notes[LEFT_OUT] = sum(names[i] in gone for i in keep)
            keep = [i for i in keep if names[i] not in gone]
    twice = [keep[i] for i in repeated([names[i] for i in keep])]
    if twice:
        problems.found.append(
            f"{rows.name}: {rows.told(twice)} {'names a file' if len(twice) == 1 else 'name files'} that an earlier "
            f"row names too (the first is {names[twice[0]]}). Keep one row for each image."
        )
    problems.check()
    if not keep:
        raise DataError(f"{rows.name}: no row is left: {_noted(notes) or 'there was none'}.")
    keep.sort(key=lambda i: os.fsencode(names[i]))
    found, labels = _labels(table, columns, rows, keep)
    ids = [names[i] for i in keep]
    groups = [columns["group"][i] for i in keep] if group is not None else []
    if group is None and "frame" in columns:  # what was taken at once belongs together
        groups = [in_files[i] for i in keep]
    if split.fractions is not None and table.drop is not None:
        drawn.sort(key=lambda i: os.fsencode(names[i]))
        if table.labels is not None:
            all_labels = _findings(table.labels, columns, rows, drawn)
        else:
            gone_too = sorted({columns["label"][i] for i in drawn} - set(found))  # classes of which nothing stays
            all_labels = np.array([[*found, *gone_too].index(columns["label"][i]) for i in drawn], np.int64)
        known = columns["group"] if group is not None else in_files
        all_groups = [known[i] for i in drawn] if groups else []
        of_all = dict(zip(drawn, placed(split, [names[i] for i in drawn], all_labels, all_groups), strict=True))
        places = np.array([of_all[i] for i in keep])
    elif split.column is not None:
        words = columns["split.column"]
        places = by_words(_part(rows, keep), [words[i] for i in keep], split.column)
    else:
        places = placed(split, ids, labels, groups)
    there: dict[str, list[File]] = {name: [] for name in SPLITS}
    for i, k, place, of in zip(keep, labels.tolist(), places.tolist(), groups or [""] * len(keep), strict=True):
        said = tuple(k) if table.labels is not None else k
        there[SPLITS[place]].append(
            File(path.parent / in_files[i], names[i], said, of, frames[i], tuple(column[i] for column in more))
        )
    empty = [name for name, some in there.items() if not some]
    if split.folds is not None:
        check_folds(ids, labels, groups, split.folds, classes=found, where=rows.name)
    elif empty and not split.whole:
        raise DataError(f"{rows.name}: no image is in {' and '.join(empty)}. Every split needs at least one.")
    check_classes(np.array([file.label for file in there["train"]]), found, where=rows.name)
    others = _without_a_row(path.parent, set(in_files))
    notes |= {"files without a row": others} if others else {}
    return Listing(path, found, there, described=True, notes=notes, several=table.labels is not None)


def _part(rows: Rows, keep: Sequence[int]) -> Rows:
    return Rows(rows.name, rows.columns, [rows.values[i] for i in keep], [rows.numbers[i] for i in keep])


def _noted(notes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in notes.items())


# --- the file of a row -------------------------------------------------------------------------------


def _fields(image: str, rows: Rows) -> list[str]:
    """The columns that `image` names: a column, or the braces of a pattern. Raises DataError."""
    if "{" not in image and "}" not in image:
        if image in rows.columns:
            return [image]
        known = [column for column in rows.columns if column]
        raise DataError(
            f"{rows.name}: `image` is {image!r}, but there is no such column"
            f"{did_you_mean(image, known) or '.'} Give the column "
            'with the file of each image, or a pattern over columns, such as "images/{'
            + (known or ["name"])[0]
            + '}.jpg".'
        )
    try:
        parts = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(image) if name is not None]
    except ValueError as error:
        raise DataError(f"`image` is {image!r}, which is no pattern ({error}).") from None
    odd = [name for name, spec, how in parts if spec or how or not name]
    if odd:
        raise DataError(f"`image` is {image!r}: between braces stands the name of a column and nothing else.")
    return list(dict.fromkeys(name for name, _, _ in parts))


def _names(image: str, rows: Rows, columns: Mapping[str, Sequence[str]], root: Path) -> list[str]:
    """Each row's file as seen from the table's folder `root`; empty where a value is missing."""
    values = {name.removeprefix("image "): column for name, column in columns.items() if name.startswith("image ")}
    plain = "{" not in image and "}" not in image
    parts = [("", image)] if plain else [(text, name) for text, name, _, _ in string.Formatter().parse(image)]
    made, inside = [], f"{Path(os.path.abspath(root)).as_posix()}/"
    for i in range(len(rows.values)):
        if any(is_missing(column[i]) for column in values.values()):
            made.append("")
            continue
        name = "".join(text + (values[field][i] if field is not None else "") for text, field in parts)
        made.append(posixpath.normpath(name).removeprefix(inside))
    return made


def _frames(
    rows: Rows, columns: Mapping[str, Sequence[str]], frame: int | str | None, keep: list[int], problems: Problems
) -> list[int | None]:
    """Which image of its file each row means; odd words of rows that are kept are problems."""
    if not isinstance(frame, str):
        return [frame] * len(rows.values)
    values = columns["frame"]
    made = [int(value) if re.fullmatch(r"0*[1-9]\d{0,6}", value) else None for value in values]
    odd = [i for i in keep if made[i] is None]
    if odd:
        problems.found.append(
            f"{rows.name}: {frame} of {rows.told(odd)} is no whole number from 1 (the first is {values[odd[0]]!r}), "
            "but `frame` names it as the column with the number of the image in its file."
        )
    return made


def _kept(
    rows: Rows,
    names: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    root: Path,
    missing: str | None,
    problems: Problems,
) -> tuple[list[int], dict[str, int]]:
    """Places of the rows with all values and a file, and how many others `missing` drops."""
    lacking: dict[str, list[int]] = {}
    absent: list[int] = []
    keep = []
    for i in range(len(rows.values)):
        empty = [setting for setting, column in columns.items() if is_missing(column[i])]
        for setting in empty:
            lacking.setdefault(setting, []).append(i)
        if empty:
            continue
        if files.is_there(root / names[i]):
            keep.append(i)
        else:
            absent.append(i)
    if missing == "drop":
        without = len({i for some in lacking.values() for i in some})
        notes = {"rows with a missing value": without, "rows without a file": len(absent)}
        if not keep and absent:
            raise DataError(_mostly_absent(rows, names, absent, len(absent), root))
        return keep, {what: count for what, count in notes.items() if count}
    for setting, some in lacking.items():
        said = "of its file" if setting.startswith("image") else f"of `{setting}`"
        problems.found.append(
            f"{rows.name}: {rows.told(some)} {'has' if len(some) == 1 else 'have'} no value {said}. Fill it in, or set "
            "`missing: drop` to leave such rows out."
        )
    if 1 < len(absent) > len(keep):
        problems.found.append(_mostly_absent(rows, names, absent, len(absent) + len(keep), root))
    elif absent:
        first, near = names[absent[0]], _near_any(root, names, absent)
        problems.found.append(
            f"{rows.name}: the file of {rows.told(absent)} is not there (the first is {first}, in {root}{near}). Mend "
            "`image`, or set `missing: drop` to leave rows without a file out."
        )
    return keep, {}


def _mostly_absent(rows: Rows, names: Sequence[str], absent: Sequence[int], number: int, root: Path) -> str:
    """Of most files: nobody wants to leave so many rows out."""
    if number == 1:
        many = "the file of its one row is not there"
    elif len(absent) == number:
        many = f"none of the {number:,} files is there"
    else:
        many = f"{len(absent):,} of the {number:,} files are not there"
    first, near = names[absent[0]], _near_any(root, names, absent)
    mend = "Is the folder of the images beside the table? Put it there, or mend `image`."
    if near and "no folder" not in near:  # the folder is there, and what is meant was seen
        mend = "Mend `image`."
    return f"{rows.name}: {many} (the first is {first}, in {root}{near}). {mend}"


def _near_any(root: Path, names: Sequence[str], absent: Sequence[int]) -> str:
    """What may be meant by the first of these files of which anything is seen."""
    return next(filter(None, (_near(root, names[i]) for i in absent[:50])), "")


def _near(root: Path, name: str) -> str:
    """What may be meant by a file that is not there."""
    folder = root / posixpath.dirname(name)
    last = posixpath.basename(name)
    if "\\" in name and files.is_there(root / name.replace("\\", "/")):
        return "; write / in place of \\"
    try:
        there = sorted(os.listdir(folder))
    except (OSError, ValueError):
        return f"; there is no folder {posixpath.dirname(name)}" if posixpath.dirname(name) else ""
    near = [found for found in there if found.casefold() == last.casefold()]
    near += [found for found in there if os.path.splitext(found)[0].casefold() == os.path.splitext(last)[0].casefold()]
    near += [found for found in there if os.path.splitext(found)[0] == last]
    return f"; there is {near[0]}" if near else ""


def _without_a_row(root: Path, names: set[str]) -> int:
    """Image files that no row names, in the folders where named ones are."""
    count = 0
    for folder in sorted({posixpath.dirname(name) for name in names if name})[:_LOOKED_INTO]:
        try:
            there = os.listdir(root / folder)
        except (OSError, ValueError):
            continue
        images = [name for name in there if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        count += sum(posixpath.normpath(posixpath.join(folder, name)) not in names for name in images)
    return count


# --- findings -----------------------------------------------------------------------------------------


def _labels(
    table: Table, columns: Mapping[str, list[str]], rows: Rows, keep: Sequence[int]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes, and the class (N,) of each row that is kept; or the findings, and which of them (N, K) each has."""
    if table.labels is not None:
        labels = _findings(table.labels, columns, rows, keep)
        check_not_one_hot([labels], where=rows.name, mend="Write the class into one column, and name it with `label`.")
        return tuple(table.labels), labels
    assert table.label is not None, "a table says label or labels"
    values = [columns["label"][i] for i in keep]
    classes = _classes(values, table.classes, rows, keep, table.label)
    return classes, np.array([classes.index(value) for value in values], np.int64)


def _findings(names: Sequence[str], columns: Mapping[str, list[str]], rows: Rows, keep: Sequence[int]) -> np.ndarray:
    """Which findings (N, K) each row that is kept has. Raises one DataError for all values but 0 and 1."""
    found = np.array([[_THERE.get(columns[f"labels.{name}"][i], -1) for name in names] for i in keep], np.int64)
    problems = Problems()
    for name, of in zip(names, found.T, strict=True):
        odd = sorted(keep[at] for at in np.flatnonzero(of < 0).tolist())
        if odd:
            first = columns[f"labels.{name}"][odd[0]]
            problems.found.append(
                f"{rows.name}: {name} of {rows.told(odd)} is neither 0 nor 1 (the first is {first!r}). Each column "
                "of `labels` is 1 where the image has the finding, else 0: decide what an uncertain one is to be."
            )
    problems.check()
    return found


_THERE = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
"""How a table writes that a finding is there, or not."""


# --- classes -------------------------------------------------------------------------------------------


def _classes(
    values: Sequence[str], wanted: Sequence[str] | None, rows: Rows, keep: Sequence[int], label: str
) -> tuple[str, ...]:
    """The names of the classes in their order: the wanted one, or by number, or by alphabet. Raises DataError."""
    counts = Counter(values)
    if wanted is not None:
        check_names(wanted, where="`classes`")
        unused = [name for name in wanted if name not in counts]
        if strangers := [i for i, value in zip(keep, values, strict=True) if value not in wanted]:
            by_rows = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
            others = {value: n for value, n in by_rows if value not in wanted}
            raise DataError(
                f"{rows.name}: {label} of {rows.told(strangers)} is not among `classes`: "
                f"{_unlike(others, unused, wanted)} {_mend(others, unused, wanted)}"
            )
        if unused:
            raise DataError(f"{rows.name}: {_nowhere(unused, counts)} {label} has {_shown(counts)}.")
        return tuple(wanted)
    if len(counts) > _MOST_CLASSES or len(counts) > max(2, len(values) / 2):
        raise DataError(
            f"{rows.name}: {label} has {len(counts):,} different values in {len(values):,} rows, too many for classes "
            f"({_shown(counts)}). Is `label` the right column?"
        )
    names = tuple(sorted(counts, key=_number if all(re.fullmatch(r"[+-]?\d+", name) for name in counts) else str))
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(_folded(name), name)
        if other != name:
            how = (
                difference(other, name)
                if bare(other).casefold() == bare(name).casefold()
                else "only in how they are written"
            )
            raise DataError(
                f"{rows.name}: {label} has {other!a} ({counts[other]:,} rows) and {name!a} ({counts[name]:,} rows), "
                f"which differ {how}. Write one of them everywhere, or name both under `classes` if they are two."
            )
    check_names(names, where=f"{rows.name}, {label}")
    return names


def _unlike(others: Mapping[str, int], unused: Sequence[str], wanted: Sequence[str]) -> str:
    """The values that `wanted` does not name, with their rows, and which names no row has, in a sentence or two.

    What may be meant is a value, as those are there; where all names have rows, the value may be a slip.
    """
    near = {value: "" if unused else did_you_mean(value, wanted) for value in others}
    told = [f"{value!r} ({plural(n, 'row')}{near[value]})" for value, n in others.items()]
    return f"{first_of(told, _SHOWN)}." + (f" {_nowhere(unused, others)}" if unused else "")


def _nowhere(unused: Sequence[str], values: Mapping[str, int]) -> str:
    """The names of classes that no row has, and which of the values may be meant: of one name and one value, that."""
    alone = f"; did you mean {next(iter(values))}?" if len(unused) == len(values) == 1 else ""
    said = ", ".join(f"{name!r}{alone or did_you_mean(name, values)}" for name in unused)
    return f"`classes` names what no row has: {said}" + ("" if said.endswith("?") else ".")


def _mend(others: Mapping[str, int], unused: Sequence[str], wanted: Sequence[str]) -> str:
    if len(wanted) == 2 and len(unused) == 1 and len(others) > 1:
        (one,) = set(wanted) - set(unused)
        return (
            f"For {one} against all others, give the table a column that says {one} or {unused[0]}, and name that with "
            "`label`. Otherwise name every class."
        )
    return "Name every class as the column has it, or take such rows out of the table."


def _number(name: str) -> tuple[int, str]:
    return int(name), name


def _folded(name: str) -> str:
    """What a reader would take for the same class: 1 and 1.0 too."""
    try:
        return repr(float(name))
    except ValueError:
        return bare(name).casefold()


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(list(counts)[:_SHOWN]) + (", ..." if len(counts) > _SHOWN else "")

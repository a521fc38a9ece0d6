"""Names and groups of the images of an .npz file, which has none: a table beside it says them. Images to leave out."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from medaug_keras.data.dataset import SPLITS, DataError, Dataset, Problems, both_md5, check_classes
from medaug_keras.data.rows import Rows, is_missing, read_rows
from medaug_keras.data.splits import by_words, dropped, repeated, to_drop
from medaug_keras.data.subgroups import By, Subgroups, subgroups_of


@dataclass(frozen=True, kw_only=True)
class Ids:
    """A table with a row for each image, and its columns."""

    path: Path
    group: str
    """What the image belongs to, such as a patient."""
    image: str | None = None
    """The image's name; None names it by its split and index."""
    split: str = "split"
    index: str = "index"
    """Place in the split's arrays, from 0."""


LEFT_OUT = "images of the file that `drop` names"
"""What of the source is not among the images, in words."""


class Named(NamedTuple):
    """What the table says of an image."""

    name: str
    group: str
    values: tuple[str, ...]
    """Of further columns."""


Names = Mapping[str, Mapping[int, Named]]
"""Split → place → what is said of the image."""


def named(dataset: Dataset, ids: Ids) -> Dataset:
    """The data set with names and groups. Raises DataError where the table does not fit it."""
    names, problems, splits = _read(ids), Problems(), {}
    for split in SPLITS:
        some, there = getattr(dataset, split), names[split]
        missing = [i for i in range(len(some.labels)) if i not in there]
        beyond = [i for i in there if i >= len(some.labels)]
        if missing or beyond:
            what = f"none of index {missing[0]}" if missing else f"one of index {max(beyond)}"
            problems.found.append(
                f"{ids.path.name}: the {split} split has {len(some.labels):,} images, and the table {len(there):,} "
                f"rows of it, {what}. Expected is a row for each, with indices from 0: is it the table of this file?"
            )
            continue
        rows = [there[i] for i in range(len(some.labels))]
        splits[split] = replace(some, ids=tuple(row.name for row in rows), groups=tuple(row.group for row in rows))
    problems.check()
    return replace(dataset, names_md5=_digest(names), **splits)


def without(dataset: Dataset, drop: Path) -> Dataset:
    """The data set without the images that a table names. Raises DataError where it names others, or nothing stays."""
    names = {split: dataset.names(split) for split in SPLITS}
    gone = _places(drop, names)
    problems = Problems()
    for split in SPLITS:
        if len(gone[split]) == len(names[split]):
            problems.found.append(f"{drop.name}: no image is left in {split}. Every split needs at least one.")
    problems.check()
    left = dataset.without(gone)
    with problems.collected():
        check_classes(left.train.labels, left.classes, where=drop.name)
    problems.check()
    count = sum(map(len, gone.values()))
    return replace(
        left,
        left_out={**left.left_out, LEFT_OUT: count},
        names_md5=both_md5(dataset.names_md5, _digest_of_drop(drop)),
    )


def left_out(drop: Path, ids: Ids | None, counts: Mapping[str, int]) -> dict[str, set[int]]:
    """Split → places of the images that a table says to leave out, of splits with these numbers of images. Raises
    DataError where it names others."""
    if ids is None:
        return _places(drop, {split: [f"{split}/{place}" for place in range(counts[split])] for split in SPLITS})
    known, nameless = _read(ids), Named("", "", ())
    return _places(
        drop, {split: [known[split].get(i, nameless).name for i in range(counts[split])] for split in SPLITS}
    )


def ids_subgroups(ids: Ids, by: Sequence[By], drop: Path | None) -> Subgroups:
    """The subgroups of the images by further columns of their table. Raises DataError."""
    known = _read(ids, [one.column for one in by])
    rows = {split: [row for _, row in sorted(known[split].items())] for split in SPLITS}
    names = [row.name for split in SPLITS for row in rows[split]]
    if twice := repeated(names):
        raise DataError(
            f"{ids.path.name}: two images have the same name ({names[twice[0]]}), so it is not known which is in which "
            "subgroup. Give each a name of its own, or leave `subgroups` out."
        )
    gone = dropped(drop, names) if drop is not None else set()
    left = {split: [row for row in rows[split] if row.name not in gone] for split in SPLITS}
    return subgroups_of(
        {split: {one.column: [row.values[c] for row in left[split]] for c, one in enumerate(by)} for split in SPLITS},
        {split: [row.name for row in left[split]] for split in SPLITS},
        {split: [row.group for row in left[split]] for split in SPLITS},
        by,
        where=ids.path.name,
        all_tested=False,
    )


def _places(drop: Path, names: Mapping[str, Sequence[str]]) -> dict[str, set[int]]:
    gone = dropped(drop, [name for split in SPLITS for name in names[split]])
    return {split: {place for place, name in enumerate(names[split]) if name in gone} for split in SPLITS}


def fingerprint_with(md5: str, ids: Ids | None, drop: Path | None) -> str:
    """The fingerprint of a file of this MD5 with a table's names, without the images that another names. Raises
    DataError."""
    said = _digest(_read(ids)) if ids is not None else ""
    if drop is not None:
        said = both_md5(said, _digest_of_drop(drop))
    return both_md5(md5, said) if said else md5


def _digest_of_drop(drop: Path) -> str:
    return hashlib.md5(
        "\n".join(sorted(set(to_drop(drop)))).encode("utf-8", "surrogateescape"), usedforsecurity=False
    ).hexdigest()


def _digest(names: Names) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for split in SPLITS:
        for i, row in sorted(names[split].items()):
            digest.update(f"{split}\0{i}\0{row.name}\0{row.group}\n".encode())
    return digest.hexdigest()


def _read(ids: Ids, more: Sequence[str] = ()) -> Names:
    """`more`: further columns, in which a value may be missing."""
    rows = read_rows(ids.path)
    problems, columns, values = Problems(), {}, list[list[str]]()
    for setting in ("split", "index", "group", "image"):
        column = getattr(ids, setting)
        if column is not None:
            with problems.collected():
                columns[setting] = rows.column(column, f"ids.{setting}")
    for column in more:
        with problems.collected():
            values.append(rows.column(column, "subgroups"))
    problems.check()
    for setting, found in columns.items():
        missing = [i for i, value in enumerate(found) if is_missing(value)]
        if missing:
            problems.found.append(f"{rows.name}: {rows.told(missing)} without a value of `ids.{setting}`.")
    problems.check()
    places = by_words(rows, columns["split"], ids.split)
    indices = _indices(rows, columns["index"])
    names: dict[str, dict[int, Named]] = {split: {} for split in SPLITS}
    twice = []
    for row, (place, index) in enumerate(zip(places.tolist(), indices, strict=True)):
        known = names[SPLITS[place]]
        if index in known:
            twice.append(row)
        name = columns["image"][row] if "image" in columns else f"{SPLITS[place]}/{index}"
        known[index] = Named(name, columns["group"][row], tuple(column[row] for column in values))
    if twice:
        raise DataError(f"{rows.name}: {rows.told(twice)} with a split and index that an earlier row has.")
    return names


def _indices(rows: Rows, values: list[str]) -> list[int]:
    wrong = [i for i, value in enumerate(values) if not (value.isascii() and value.isdigit() and len(value) < 10)]
    if wrong:
        raise DataError(
            f"{rows.name}: {rows.told(wrong)} with an index that is no whole number from 0 (the first is "
            f"{values[wrong[0]]!r})."
        )
    return [int(value) for value in values]

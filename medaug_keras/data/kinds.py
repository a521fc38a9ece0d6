"""The kinds of data sets that a study can name, each with the same few functions of a section.

A section is a data set's part of a study with all its settings, and besides them `dataset` (its key in the study),
`name` (that key, unless the section has another) and `root` (the folder of published files). With `outside` it is
of a further test set: of its test images, or of all where neither its kind, nor its folders, nor `split` part them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medaug_keras.data import folders, medmnist, own, phantoms, table
from medaug_keras.data.balance import folder_class_counts, npz_class_counts
from medaug_keras.data.dataset import SPLITS, Dataset, Sizes
from medaug_keras.data.ids import Ids, fingerprint_with, ids_subgroups, left_out, named, without
from medaug_keras.data.room import Room
from medaug_keras.data.splits import Folds, Parts
from medaug_keras.data.subgroups import By, Subgroups

Section = Mapping[str, Any]


def _unknown(section: Section) -> Any:
    return None


@dataclass(frozen=True)
class Kind:
    """What the program asks of a kind of data sets."""

    load: Callable[[Section, Callable[[str], None] | None, Room | None], Dataset]
    """Reads and checks the images; the second argument is told how a download and the reading go, the third has places
    for the images (None: in memory). Raises DataError."""
    sizes: Callable[[Section], Sizes]
    """Shape, classes and numbers of images, of a fold where there are folds, without reading images. Raises
    DataError."""
    fingerprint: Callable[[Section, Path | None], str]
    """MD5 of what would be read; the second argument is a file that keeps checksums. Raises DataError."""
    place: Callable[[Section], Path | None] = _unknown
    """The file or folder with the images; None where they are made from a seed."""
    official: Callable[[Section], str | None] = _unknown
    """MD5 of the published file, which is downloaded where `place` is not there; None where there is none."""
    subgroups: Callable[[Section], Subgroups | None] = _unknown
    """Subgroups of the images, told without reading one; None where the section names none. Raises DataError."""
    forgotten_group: Callable[[Section], str] = lambda section: ""
    """A sentence on what may say which images belong together, where the section does not name it; else empty. No image
    is read. Raises DataError."""
    class_counts: Callable[[Section], Sequence[int]] = lambda section: []
    """Training images of each class, told without reading an image; empty where that cannot be. Raises DataError."""

    @property
    def simulated(self) -> bool:
        """Whether its images are made from a seed."""
        return self.place is _unknown


def _path(section: Section) -> Path:
    return Path(section["path"])


def _file(section: Section) -> Path:
    return Path(section["root"]) / medmnist.medmnist_file(section["name"], section["size"])


def _drawn(section: Section) -> dict[str, int]:
    return {word: section[word] for word in (*SPLITS, "size")}


def _described(section: Section) -> dict[str, Any]:
    key = section["dataset"]
    words = {word: section[word] or "" for word in ("licence", "citation")}
    return {"name": key, "title": section["title"] or key, **_resized(section), **words}


def _resized(section: Section) -> dict[str, Any]:
    return {word: section[word] for word in ("size", "fit", "filter")}


def _parts(section: Section) -> Parts | None:
    split = section["split"]
    if split is None:
        return _WHOLE if section.get("outside") and not _in_splits(section) else None
    fractions = {name: split[name] for name in SPLITS} if split["train"] is not None else None
    file = Path(split["file"]) if split["file"] is not None else None
    cut = folds_of(section)
    return Parts(fractions=fractions, seed=split["seed"], folds=cut, column=split["column"], file=file)


_WHOLE = Parts(whole=True)


def _in_splits(section: Section) -> bool:
    """Whether a folder without `split` has its images in folders of splits."""
    return section["kind"] == "folder" and os.path.isdir(_path(section)) and folders.is_split(_path(section))


def folds_of(section: Section) -> Folds | None:
    """How a section's images are cut into folds; None where they are in splits."""
    split = section.get("split")
    if split is None or split["folds"] is None:
        return None
    return Folds(number=split["folds"], validation=split["validation"], seed=split["seed"])


def _of_a_fold(section: Section, sizes: Sizes) -> Sizes:
    """Sizes of all images → those of a fold, on average."""
    cut = folds_of(section)
    if cut is None:
        return sizes
    test, validation = (round(part * sizes.train) for part in (1 / cut.number, cut.validation))
    return replace(sizes, train=sizes.train - test - validation, validation=validation, test=test)


def _drop(section: Section) -> Path | None:
    return Path(section["drop"]) if section["drop"] is not None else None


def _division(section: Section) -> folders.Division:
    return folders.Division(split=_parts(section), group=section["group"], drop=_drop(section), frame=section["frame"])


def _table(section: Section) -> table.Table:
    split = _parts(section)
    assert split is not None, "a table's section has one"
    words = ("image", "label", "labels", "group", "frame", "classes", "missing", "encoding")
    said = {word: section[word] for word in words}
    return table.Table(path=_path(section), split=split, drop=_drop(section), subgroups=_by(section), **said)


def _by(section: Section) -> list[By]:
    return [By(one) if isinstance(one, str) else By(one["column"], tuple(one["at"])) for one in section["subgroups"]]


def _ids(section: Section) -> Ids | None:
    said = section["ids"]
    return Ids(**said | {"path": Path(said["path"])}) if said is not None else None


def _of_ids(section: Section) -> Subgroups | None:
    ids, by = _ids(section), _by(section)
    return ids_subgroups(ids, by, _drop(section)) if ids is not None and by else None


def _named(section: Section, dataset: Dataset) -> Dataset:
    """Arrays with the names that a table gives them, without the images that another names."""
    ids, drop = _ids(section), _drop(section)
    known = named(dataset, ids) if ids is not None else dataset
    return without(known, drop) if drop is not None else known


def _with_names(section: Section, md5: str) -> str:
    return fingerprint_with(md5, _ids(section), _drop(section))


def _fewer(section: Section, sizes: Sizes) -> Sizes:
    """The sizes without the images that are left out."""
    drop = _drop(section)
    if drop is None:
        return sizes
    counts = {split: getattr(sizes, split) for split in SPLITS}
    gone = left_out(drop, _ids(section), counts)
    return replace(sizes, **{split: count - len(gone[split]) for split, count in counts.items()})


def _npz_class_counts(section: Section, path: Path, sizes: Sizes) -> Sequence[int]:
    drop = _drop(section)
    counts = {split: getattr(sizes, split) for split in SPLITS}
    return npz_class_counts(path, left_out(drop, _ids(section), counts)["train"] if drop is not None else ())


def _npz_sizes(section: Section) -> Sizes:
    return own.npz_sizes(
        _path(section),
        classes=section["classes"],
        size=section["size"],
        fit=section["fit"],
        window=section["window"],
    )


KINDS: dict[str, Kind] = {
    "medmnist": Kind(
        load=lambda section, tell, room: _named(
            section,
            medmnist.load_medmnist(
                section["name"],
                size=section["size"],
                root=Path(section["root"]),
                accept_unverified=section["accept_unverified"],
                report=tell,
                room=room,
            ),
        ),
        sizes=lambda section: _fewer(section, medmnist.medmnist_sizes(section["name"], size=section["size"])),
        fingerprint=lambda section, cache: _with_names(
            section,
            medmnist.medmnist_fingerprint(
                section["name"], size=section["size"], root=Path(section["root"]), cache=cache
            ),
        ),
        place=_file,
        official=lambda section: medmnist.medmnist_md5(section["name"], section["size"]),
        subgroups=_of_ids,
        class_counts=lambda section: (
            _npz_class_counts(section, _file(section), medmnist.medmnist_sizes(section["name"], size=section["size"]))
            if os.path.exists(_file(section))
            else []
        ),
    ),
    "phantom": Kind(
        load=lambda section, _, room: phantoms.load_phantom(
            section["name"], seed=section["seed"], room=room, **_drawn(section)
        ),
        sizes=lambda section: phantoms.phantom_sizes(section["name"], **_drawn(section)),
        fingerprint=lambda section, _: phantoms.phantom_fingerprint(
            section["name"], seed=section["seed"], **_drawn(section)
        ),
    ),
    "npz": Kind(
        load=lambda section, tell, room: _named(
            section,
            own.load_npz(
                _path(section),
                classes=section["classes"],
                window=section["window"],
                room=room,
                report=tell,
                **_described(section),
            ),
        ),
        sizes=lambda section: _fewer(section, _npz_sizes(section)),
        fingerprint=lambda section, cache: _with_names(section, own.npz_fingerprint(_path(section), cache=cache)),
        place=_path,
        subgroups=_of_ids,
        class_counts=lambda section: _npz_class_counts(section, _path(section), _npz_sizes(section)),
    ),
    "folder": Kind(
        load=lambda section, tell, room: folders.load_folder(
            _path(section),
            division=_division(section),
            colour=section["colour"],
            window=section["window"],
            room=room,
            report=tell,
            **_described(section),
        ),
        sizes=lambda section: _of_a_fold(
            section,
            folders.folder_sizes(
                _path(section),
                division=_division(section),
                size=section["size"],
                fit=section["fit"],
                colour=section["colour"],
                window=section["window"],
            ),
        ),
        fingerprint=lambda section, cache: folders.folder_fingerprint(
            _path(section), division=_division(section), cache=cache
        ),
        place=_path,
        class_counts=lambda section: folder_class_counts(_path(section), _division(section)),
    ),
    "table": Kind(
        load=lambda section, tell, room: table.load_table(
            _table(section),
            colour=section["colour"],
            window=section["window"],
            room=room,
            report=tell,
            **_described(section),
        ),
        sizes=lambda section: _of_a_fold(
            section,
            table.table_sizes(
                _table(section),
                size=section["size"],
                fit=section["fit"],
                colour=section["colour"],
                window=section["window"],
            ),
        ),
        fingerprint=lambda section, cache: table.table_fingerprint(_table(section), cache=cache),
        place=_path,
        subgroups=lambda section: table.table_subgroups(_table(section)),
        forgotten_group=lambda section: table.table_forgotten_group(_table(section)),
        class_counts=lambda section: table.table_class_counts(_table(section)),
    ),
}


def load(section: Section, report: Callable[[str], None] | None, room: Room | None = None) -> Dataset:
    """The data set of a section; `report` is told how a download and the reading go. The images go where `room` has
    places for them, without it into memory. Raises DataError.
    """
    return KINDS[section["kind"]].load(section, report, room)

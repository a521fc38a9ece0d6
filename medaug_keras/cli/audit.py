"""Lists of images: which to leave out of a data set, so that no split knows another, and which are of two classes."""

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medaug_keras import data
from medaug_keras.data.audit import LeftOut, Relations
from medaug_keras.data.dataset import SPLITS
from medaug_keras.data.splits import to_drop

from .mistakes import RequestError

COLUMNS = ("image", "split", "class", "reason", "of", "of_split", "of_class")
PAIR_COLUMNS = (*COLUMNS[:3], "how", *COLUMNS[4:], "same_group")
_UNRELATED = "no image of a split is related to one of another"


def write_audit(relations: Relations, section: Mapping[str, Any], *, name: str, folder: Path, study: Path) -> list[str]:
    """Write FOLDER/NAME.csv, which images of a data set or a further test set to leave out, with the line for the
    study, and FOLDER/NAME.classes.csv, which pairs of images are the same, or nearly, and of different classes.

    Returns what to say of them. What the study leaves out already is in the first too. Raises RequestError where
    another file stands there.
    """
    gone = data.known_to_training(relations) if section.get("outside") else data.heal(relations)
    return [
        _write_drop(relations, gone, section, name=name, folder=folder, study=study),
        *_write_classes(relations, gone, section, name=name, folder=folder),
    ]


def _write_drop(
    relations: Relations, gone: Sequence[LeftOut], section: Mapping[str, Any], *, name: str, folder: Path, study: Path
) -> str:
    outside = bool(section.get("outside"))
    if not gone:
        of = "no image is, or nearly, a training or validation image" if outside else _UNRELATED
        return f"{of}, so there is none to leave out"
    before = section.get("drop")
    rows = (
        [[image, "", "", "left out before", "", "", ""] for image in to_drop(Path(before))]
        if before is not None
        else []
    )
    for one in gone:
        reason = f"{one.reason}, found later" if one.later else one.reason
        rows.append([*_image(relations, one.place), reason, *_image(relations, one.of)])
    path = folder / f"{name}.csv"
    _write(path, COLUMNS, rows)
    counts = Counter(relations.within(one.place)[0] for one in gone)
    told = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
    if later := sum(one.later for one in gone):
        told += f"; {later:,} of them found later, when the others were gone: look at those above all"
    line = os.path.relpath(path, study.parent)
    why = "no image of it is known from training" if outside else "no split knows another"
    return (
        f"{path} names what to leave out so that {why}: {told}. Look at it, and write under "
        f"datasets.{name}:  drop: {line}"
    )


def _write_classes(
    relations: Relations, gone: Sequence[LeftOut], section: Mapping[str, Any], *, name: str, folder: Path
) -> list[str]:
    """The second list, and a sentence; none of both where no two images are of different classes."""
    pairs = data.of_two_classes(relations, gone)
    if section.get("outside"):
        pairs = [one for one in pairs if "test" in (relations.within(place)[0] for place in (one.place, one.of))]
    if not pairs:
        return []
    words = {True: "yes", False: "no", None: "not known"}
    path = folder / f"{name}.classes.csv"
    rows = [
        [*_image(relations, one.place), one.how, *_image(relations, one.of), words[one.same_group]] for one in pairs
    ]
    _write(path, PAIR_COLUMNS, rows)
    what = "different findings" if relations.dataset.several else "different classes"
    here = sum(one.same_group is True for one in pairs)
    known = any(one.same_group is not None for one in pairs)
    of_groups = f", {here:,} of them of one group (a patient, a lesion ...)" if known else ""
    many = f"the pair of images that is the same, or nearly, and has {what}"
    if len(pairs) > 1:
        many = f"{len(pairs):,} pairs of images that are the same, or nearly, and have {what}"
    return [f"{path} names {many}{of_groups}. Look at them, and correct what is wrong where it was read from"]


def _image(relations: Relations, place: int) -> list[str]:
    """Name, split and class of an image."""
    split, at = relations.within(place)
    return [relations.dataset.names(split)[at], split, relations.words[relations.label[place]]]


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Raises RequestError where another file stands there, or none can be written."""
    _check_ours(path, columns)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([columns, *rows])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.getvalue(), encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise RequestError(f"--audit {path.parent}: {path} cannot be written ({error.strerror})") from None


def _check_ours(path: Path, columns: Sequence[str]) -> None:
    """Raises RequestError where a file stands there that is no such list."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            first = file.readline().rstrip("\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise RequestError(f"--audit: {path} cannot be read ({error.strerror})") from None
    if first != ",".join(columns):
        raise RequestError(f"--audit: {path} is there and no list of this kind; it stays. Name another folder.")

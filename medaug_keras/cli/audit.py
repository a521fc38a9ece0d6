"""The list of images to leave out of a data set, so that no split knows another."""

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medaug_keras import data
from medaug_keras.data.audit import Relations
from medaug_keras.data.dataset import SPLITS
from medaug_keras.data.splits import to_drop

from .mistakes import RequestError

COLUMNS = ("image", "split", "class", "reason", "of", "of_split", "of_class")
_UNRELATED = "no image of a split is related to one of another"


def write_audit(relations: Relations, section: Mapping[str, Any], *, name: str, folder: Path, study: Path) -> str:
    """Write FOLDER/NAME.csv, which images of a data set or a further test set to leave out, and say so with the line
    for the study.

    What the study leaves out already is in it too. Raises RequestError where another file stands there.
    """
    outside = bool(section.get("outside"))
    gone = data.known_to_training(relations) if outside else data.heal(relations)
    if not gone:
        of = "no image is, or nearly, a training or validation image" if outside else _UNRELATED
        return f"{of}, so there is none to leave out"
    before = section.get("drop")
    rows = (
        [[image, "", "", "left out before", "", "", ""] for image in to_drop(Path(before))]
        if before is not None
        else []
    )
    dataset = relations.dataset
    for one in gone:
        (split, at), (of_split, of_at) = relations.within(one.place), relations.within(one.of)
        here = dataset.names(split)[at], split, relations.words[relations.label[one.place]]
        there = dataset.names(of_split)[of_at], of_split, relations.words[relations.label[one.of]]
        rows.append([*here, one.reason, *there])
    path = folder / f"{name}.csv"
    _check_ours(path)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([COLUMNS, *rows])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(file.getvalue(), encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise RequestError(f"--audit {folder}: {path} cannot be written ({error.strerror})") from None
    counts = Counter(relations.within(one.place)[0] for one in gone)
    told = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
    line = os.path.relpath(path, study.parent)
    why = "no image of it is known from training" if outside else "no split knows another"
    return (
        f"{path} names what to leave out so that {why}: {told}. Look at it, and write under "
        f"datasets.{name}:  drop: {line}"
    )


def _check_ours(path: Path) -> None:
    """Raises RequestError where a file stands there that is no such list."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            first = file.readline().rstrip("\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise RequestError(f"--audit: {path} cannot be read ({error.strerror})") from None
    if first != ",".join(COLUMNS):
        raise RequestError(f"--audit: {path} is there and no list of this kind; it stays. Name another folder.")

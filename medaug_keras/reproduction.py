"""Compares a task that was made again with the one that is kept: its record, and every number in its files.

Not compared is what has to differ: when and where a task was made, and the times inside Keras's archives, of which the
weights are compared.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medaug_keras.store import Store, StoreError

_MAP = "values.spaces.features.map."
_COMPARED = ("kind", "version", "key", "params", "needs", "values")  # of a record; `run` says when and where


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same."""

    where: str
    """File, and the name of the value or array in it."""
    said: str
    """What is kept, and what was made again."""
    amount: float | None = None
    """The largest absolute difference, where both are numbers."""


def differences(task: str, kept: Store, again: Store) -> list[Difference]:
    """What differs between a task that is kept and the same task made again; empty where they are identical."""
    found = []
    try:
        kept.verify(task)
    except StoreError as error:
        found.append(Difference(f"{task}", str(error).partition(" To make ")[0].rstrip(".")))
    old, new = kept.folder(task), again.folder(task)
    names = [{p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} for folder in (old, new)]
    for name in sorted(names[0] | names[1], key=lambda name: (name != "record.json", name)):
        if name not in names[0]:
            found.append(Difference(f"{task}/{name}", "is not there, and was made again"))
        elif name not in names[1]:
            found.append(Difference(f"{task}/{name}", "is kept, and was not made again"))
        else:
            found += _of_files(f"{task}/{name}", old / name, new / name)
    return found


def _of_files(where: str, old: Path, new: Path) -> Iterator[Difference]:
    if old.read_bytes() == new.read_bytes():
        return
    try:
        before = _contents(old)
    except Exception as error:  # noqa: BLE001 - whatever someone did to it: it is not what was made again
        yield Difference(where, f"cannot be read ({type(error).__name__}: {error})")
        return
    after = _contents(new)
    if before is None or after is None:
        yield Difference(where, "other bytes")
        return
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            if _names(before.get(name, after.get(name))) or _MAP in name:  # earlier versions did not keep them
                continue
            word = "is kept, and was not made again" if name in before else "is not there, and was made again"
            yield Difference(f"{where}, {name}", word)
        else:
            different = _of_values(before[name], after[name])
            if different is not None:
                yield Difference(f"{where}, {name}", *different)


def _contents(path: Path) -> dict[str, Any] | None:
    """Name → value or array of a file that is compared number by number; None for one that is compared as bytes."""
    if path.suffix == ".json":
        content = json.loads(path.read_bytes())
        if path.name == "record.json":
            content = {word: content[word] for word in _COMPARED}
        return dict(_leaves(content))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    if path.suffix == ".keras":
        return _weights(path)
    return None


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of what is not a mapping; a list of numbers is one value."""
    if isinstance(value, dict):
        for word, inner in value.items():
            yield from _leaves(inner, f"{name}.{word}" if name else word)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{place}]")
    else:
        yield name, value


def _weights(path: Path) -> dict[str, Any]:
    """Every weight of a Keras archive."""
    import h5py

    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _of_values(old: Any, new: Any) -> tuple[str, float | None] | None:
    """What differs between two values, in words, and by how much; None where nothing does."""
    before, after = _array(old), _array(new)
    if before is None or after is None:
        old, new = (value.tolist() if isinstance(value, np.ndarray) else value for value in (old, new))
        return None if old == new else (f"{_short(old)} kept, {_short(new)} made again", None)
    if before.shape != after.shape:
        return f"numbers of shape {before.shape} kept, {after.shape} made again", None
    same = (before == after) | ((before != before) & (after != after))  # NaN is the same as NaN
    if same.all():
        return None if before.dtype == after.dtype else (f"{before.dtype} kept, {after.dtype} made again", None)
    apart = np.where(same, 0.0, np.abs(before.astype(float) - after.astype(float)))
    worst = np.unravel_index(np.argmax(np.where(np.isnan(apart), np.inf, apart)), apart.shape)
    amount = float(apart[worst])
    said = f"{_short(before[worst].item())} kept, {_short(after[worst].item())} made again"
    if before.size > 1:
        place = ", ".join(str(int(i)) for i in worst)
        said += f" at [{place}], the largest difference; {int((~same).sum()):,} of {before.size:,} numbers differ"
    return said, amount


def _names(value: Any) -> bool:
    """Whether a value is an array of words, such as names of images."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "U"


def _array(value: Any) -> np.ndarray | None:
    """A number, or numbers, as an array, a truth value among them; None for what is no number."""
    try:
        found = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        return None
    return found if found.dtype.kind in "biuf" else None


def _short(value: Any) -> str:
    said = f"{value:.9g}" if isinstance(value, float) else str(value)
    return said if len(said) <= 80 else said[:77] + "..."

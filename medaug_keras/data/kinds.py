"""A data set as a study's section describes it, whatever its kind."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medaug_keras.data.dataset import Dataset
from medaug_keras.data.folders import load_folder
from medaug_keras.data.medmnist import load_medmnist
from medaug_keras.data.own import load_npz
from medaug_keras.data.phantoms import load_phantom


def load(section: Mapping[str, Any], report: Callable[[str], None] | None) -> Dataset:
    """The data set of a section with all its settings, and besides them `dataset` (its key in the study) and `root`.

    `report` is told how a download goes. Raises DataError.
    """
    kind, name = section["kind"], section["name"]
    if kind == "medmnist":
        return load_medmnist(
            name, root=Path(section["root"]), accept_unverified=section["accept_unverified"], report=report
        )
    if kind == "phantom":
        sizes = {split: section[split] for split in ("train", "validation", "test")}
        return load_phantom(name, seed=section["seed"], **sizes)
    shown = {word: section[word] or "" for word in ("licence", "citation")}
    key = section["dataset"]
    own = {"name": key, "title": section["title"] or key, "size": section["size"], **shown}
    if kind == "npz":
        return load_npz(Path(section["path"]), classes=section["classes"], **own)
    return load_folder(Path(section["path"]), colour=section["colour"], **own)

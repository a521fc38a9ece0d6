"""What a results folder remembers of a study besides its results: its settings and where its data were, as last used.

    results/studies/NAME.json    the study with every setting and full paths, and the fingerprints of its data

With it a study can be named without its file, and finished results are found while their data cannot be read. Nothing
of it is published.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medaug_keras.plan import Plan, Source
from medaug_keras.spec import Study, dump

FORMAT = 1


@dataclass(frozen=True)
class Known:
    """A study as it was last run or reported."""

    study: Study
    data_root: str
    """--data, in full."""
    sources: dict[str, Source]

    def source(self, study: Study, name: str) -> Source | None:
        """What was known last of a data set of `study`; None where it was not there, or another place was meant."""
        if name not in self.sources or _place(self.study, name) != _place(study, name):
            return None
        return self.sources[name]


def _place(study: Study, name: str) -> tuple[Any, ...] | None:
    """Which file, folder or published set a study means by a data set's name."""
    if name not in study.sets:
        return None
    spec = dump(study.sets[name])
    return (
        spec["kind"],
        spec.get("name") or name.rpartition(".")[2],
        spec.get("path"),
        spec.get("size"),
    )  # MedMNIST has a file for each size


def remember(results: Path, study: Study, plan: Plan, *, data_root: str) -> None:
    """Keep what `recall` finds. Best effort: a folder that cannot be written to is left as it is."""
    known = {name: asdict(source) for name, source in plan.sources.items() if source.fingerprint}
    for entry in known.values():
        del entry["away"]
    content = {"format": FORMAT, "study": dump(study), "data_root": data_root, "sources": known}
    if study.code:
        content["code"] = dict(study.code)
    if study.sums:
        content["weights"] = dict(study.sums)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    path = _file(results, study.name)
    with contextlib.suppress(OSError):
        if path.exists() and path.read_text("utf-8") == text:
            return
        if os.path.lexists(path) and not _is_ours(path):
            return
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
        try:
            part.write_text(text, encoding="utf-8")
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    try:
        return bool({"format", "study", "data_root"} <= json.loads(path.read_bytes()).keys())
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def recall(results: Path, name: str) -> Known | None:
    """A study by its name; None where the folder does not know it, or what it knows cannot be read."""
    try:
        content = json.loads(_file(results, name).read_bytes())
        if content["format"] != FORMAT:
            return None
        study = Study.model_validate_json(json.dumps(content["study"])).with_code(dict(content.get("code", {})))
        study = study.with_sums({str(path): str(sum_) for path, sum_ in content.get("weights", {}).items()})
        return Known(
            study,
            str(content["data_root"]),
            {
                name: Source(**{**entry, "class_names": tuple(entry.get("class_names", ()))})
                for name, entry in content["sources"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def names(results: Path) -> list[str]:
    """The studies that the folder knows."""
    return sorted(path.stem for path in (results / "studies").glob("[!.]*.json"))


def _file(results: Path, name: str) -> Path:
    return results / "studies" / f"{name}.json"

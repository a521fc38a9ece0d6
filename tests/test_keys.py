"""Results stay valid as the program grows: the keys of every study that is shipped, and what may move them."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from medaug_keras.plan import VERSIONS, Source, plan
from medaug_keras.reading import read
from medaug_keras.spec import Birth, born, dump

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "keys.json"
STUDIES = ["study.yaml", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "studies").glob("*.yaml"))]
SIZES = {"train": 1000, "validation": 100, "test": 200}


def keys(path: Path) -> dict[str, dict[str, Any]]:
    """Kind of task → version, number of tasks, a hash of all their keys, and the first of them.

    Sizes and fingerprints of the data are made up: they stand for bytes that stay as they are.
    """
    study = read(path)
    tasks = plan(study, {name: Source(f"bytes of {name}", **SIZES) for name in study.datasets}).tasks.values()
    found = defaultdict(list)
    for task in tasks:
        found[task.kind].append(task.key)
    return {
        kind: {
            "version": VERSIONS[kind],
            "tasks": len(some),
            "keys": sha256("\n".join(sorted(some)).encode()).hexdigest(),
            "first": some[0],
        }
        for kind, some in found.items()
    }


def moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Kinds whose keys are others, though neither their version nor that of anything they may need was raised."""
    order = list(VERSIONS)
    return [
        kind
        for kind in new
        if new[kind] != old.get(kind)
        and all(new[k]["version"] == old[k]["version"] for k in order[: order.index(kind) + 1] if k in new and k in old)
    ]


@pytest.mark.parametrize("study", STUDIES)
def test_the_keys_of_a_shipped_study_are_those_of_the_release_before(study: str):
    golden, new = json.loads(GOLDEN.read_text("utf-8")), keys(ROOT / study)
    old = golden.get(study, new)
    assert moved(old, new) == [], (
        "These results would not be found again. Give a new setting its birth value (spec.Birth); where a result means "
        "something else than before, raise the version of its kind (plan.VERSIONS)."
    )
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps({**golden, study: new}, indent=1) + "\n", encoding="utf-8")
        return
    assert new == old, "A version was raised, or the study was changed; UPDATE_GOLDEN=1 pytest tests/test_keys.py"


def test_golden_keys_are_kept_of_every_shipped_study_and_no_other():
    assert sorted(json.loads(GOLDEN.read_text("utf-8"))) == sorted(STUDIES)


SETTING = "    newborn: Annotated[{type}, Birth({birth!r})] = {default!r}\n"
"""A setting that a later version of the program might bring."""

ASK = """
import json, sys
from pathlib import Path
from medaug_keras.plan import Source, plan
from medaug_keras.reading import read
found = {}
for path in sys.argv[1:]:
    study = read(Path(path))
    sources = {name: Source(f"bytes of {name}", %d, %d, %d) for name in study.datasets}
    found[path] = {name: task.kind for name, task in plan(study, sources).tasks.items()}
print(json.dumps(found))
"""


def grown(folder: Path, setting: str) -> tuple[Path, int]:
    """A copy of the program in which every section of a study has one setting more, and how many sections that is."""
    package = folder / "medaug_keras"
    shutil.copytree(ROOT / "medaug_keras", package, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    spec = package / "spec.py"
    text = spec.read_text("utf-8")
    body = r".*?(?=^(?:class|[A-Za-z@#\"]))"
    section = re.compile(rf"^class (?!_Part)\w+\((?:_\w+|Adam)\):\n{body}", re.MULTILINE | re.DOTALL)
    field = re.compile(r"^    \w+: ", re.MULTILINE)
    parts = section.findall(text)
    for part in parts:
        first = field.search(part)
        at = first.start() if first else len(part.rstrip()) + 1
        spec_text = part[:at] + setting + part[at:]
        text = text.replace(part, spec_text, 1)
    spec.write_text(text, encoding="utf-8")
    return folder, len(parts)


def kinds(folder: Path) -> dict[str, dict[str, str]]:
    """Study → task → kind, as the program in the folder plans them."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK % tuple(SIZES.values()), *(str(ROOT / study) for study in STUDIES)],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_a_setting_that_is_new_in_every_section_changes_no_key_at_its_birth_value(tmp_path: Path):
    newborn, sections = grown(tmp_path / "new", SETTING.format(type="int", birth=3, default=3))
    assert sections > 25
    assert kinds(newborn) == kinds(ROOT)


def test_a_setting_away_from_its_birth_value_changes_every_key(tmp_path: Path):
    """Also where the default is another by now than at its birth."""
    before = kinds(ROOT)
    for study, tasks in kinds(grown(tmp_path / "new", SETTING.format(type="int", birth=3, default=4))[0]).items():
        assert not tasks.keys() & before[study].keys()


class Inner(BaseModel):
    old: int = 1
    newborn: Annotated[bool, Birth(False)] = True


class Outer(BaseModel):
    one: Inner = Inner()
    many: tuple[Inner, ...] = (Inner(), Inner(newborn=False))
    named: dict[str, Inner] = {"a": Inner(newborn=False)}
    late: Annotated[int | None, Birth(None)] = None


def test_a_key_leaves_out_just_the_settings_at_their_birth_value_however_deep_they_are():
    part, old, new = Outer(), {"old": 1}, {"old": 1, "newborn": True}
    assert born(part, dump(part)) == {"one": new, "many": [new, old], "named": {"a": old}}


def test_a_birth_value_is_told_from_one_that_is_only_equal_to_it():
    """0 and False are equal in Python, and other words in a key."""
    assert born(Inner(newborn=False), {"newborn": 0}) == {"newborn": 0}

"""Tiny studies of phantoms, their plans, results made up without training, and the command line in a process."""

import html
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from pydantic import TypeAdapter

from medaug_keras import engine
from medaug_keras.cli import main
from medaug_keras.plan import Plan, Source, Task, plan
from medaug_keras.spec import Classifier, Study, deciding
from medaug_keras.store import Store

PROJECT = Path(__file__).parent.parent
PHANTOM = {"kind": "phantom", "name": "phantom-ultrasound", "train": 48, "validation": 16, "test": 16}


def recipe(**changes: Any) -> dict[str, Any]:
    """How a classifier is trained: the arguments of `classifiers.fit` that a study gives, its defaults included."""
    settings = deciding(TypeAdapter(Classifier).validate_json(json.dumps(changes)))
    shared = {name: value for name, value in settings.items() if name not in ("kind", "input", "weights", "train")}
    return {"select": None, **shared}


def sgd(learning_rate: float, momentum: float = 0.9, **others: Any) -> dict[str, Any]:
    """The settings of an optimizer, whole."""
    return recipe(optimizer={"learning_rate": learning_rate, "momentum": momentum, **others})["optimizer"]


def tiny(**changes: Any) -> dict[str, Any]:
    """Three tasks: the data, and two classifiers of one epoch."""
    study = {
        "name": "tiny",
        "title": "A tiny study",
        "question": "Does it run?",
        "samplings": ["shuffle"],
        "datasets": {"grey": PHANTOM},
        "classifier": {"epochs": 1, "batch_size": 16},
        "arms": {"baseline": {}, "flip": {"augment": [{"layer": "horizontal_flip"}]}},
    }
    return study | changes


def whole(**changes: Any) -> dict[str, Any]:
    """Every kind of task and arm, on two data sets, in two replicates."""
    study = {
        "name": "whole",
        "title": "Every kind of task",
        "question": "Is it planned well?",
        "replicates": 2,
        "datasets": {"large": {**PHANTOM, "train": 100}, "small": PHANTOM},
        "generators": {
            "cvae": {"kind": "cvae", "epochs": 3},
            "jvae": {"kind": "joint_vae", "epochs": 3},
            "cgan": {"kind": "cgan", "epochs": 3},
        },
        "arms": {
            "baseline": {"label": "None"},
            "gda": {"augment": [{"layer": "horizontal_flip"}]},
            "cvae": {"add": {"generator": "cvae"}},
            "jvae": {"interleave": {"generator": "jvae"}},
            "cgan": {"add": {"generator": "cgan"}},
            "duplicate": {"duplicate": {}},
        },
    }
    return study | changes


def changed(study: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a study with one setting changed, named by its dotted path."""
    first, _, rest = path.partition(".")
    return study | {first: changed(study.get(first, {}), rest, value) if rest else value}


def planned(study: dict[str, Any], fingerprints: Mapping[str, str] | None = None, **options: Any) -> Plan:
    """The plan of a study, each data set with other bytes unless `fingerprints` says them."""
    checked = Study.model_validate_json(json.dumps(study))
    sources = {
        name: Source((fingerprints or {}).get(name, name), part["train"], part["validation"], part["test"])
        for name, part in study["datasets"].items()
    }
    return plan(checked, sources, **options)


def written(folder: Path, study: dict[str, Any]) -> Path:
    """The study as a file."""
    path = folder / f"{study['name']}.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return path


def make_up(store: Store, task: Task, *, seconds: float = 1.0, files: Mapping[str, bytes] | None = None) -> None:
    """Finish a task without doing it."""
    with store.claim(task.id) as folder:
        assert folder is not None
        for name, content in (files or {"made.bin": task.id.encode()}).items():
            (folder / name).write_bytes(content)
        store.commit(task, folder, {"number": len(task.id)}, {"started": 0.0, "seconds": seconds})


def cli(*words: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    options = {"timeout": 300} | options
    return subprocess.run(command(*words), cwd=cwd, env=environment(), capture_output=True, text=True, **options)


def cli_here(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line and its tasks in this process: for what a study makes, where it does not matter who makes it.

    A process of the command line and a worker need some ten seconds until they have imported Torch.
    """
    out, said = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(said):
        patch.chdir(cwd)
        patch.setenv("COLUMNS", "120")
        patch.delenv("MEDMNIST_ROOT", raising=False)
        tasks_here(patch)
        code = main([*map(str, words)])
    return subprocess.CompletedProcess(words, code, out.getvalue(), said.getvalue())


def tasks_here(patch: pytest.MonkeyPatch) -> None:
    """Let this process make the tasks of runs that it begins."""
    patch.setattr(engine, "run", lambda *plan, workers, gpus, **options: _DispatcherHere(*plan, **options).run())


class _DispatcherHere(engine.Dispatcher):
    """Runs one task after the other in this process."""

    def __init__(self, plan: Plan, store: Store, *, listen: engine.Listener, command: str = "") -> None:
        super().__init__(plan, store, listen, command)
        self.ended: list[tuple[Task, str, Any]] = []

    def _assign_ready(self) -> None:
        for task in self._ready()[:1]:
            del self.waiting[task.id]
            self.listen(engine.Event("start", task))
            self.ended.append((task, *engine.attempt(task, self.store, partial(self._handle, task))))

    def _busy(self) -> bool:
        return bool(self.ended)

    def _receive(self, seconds: float | None) -> None:
        while self.ended:
            self._handle(*self.ended.pop())

    def _end_all(self) -> None:
        pass


def start(*words: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """Start the command line; what it says can be read from stderr line by line."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command(*words), cwd=cwd, env=environment(), text=True, **streams)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "medaug_keras", *map(str, words)]


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "MEDMNIST_ROOT"}
    return inherited | {"PYTHONPATH": str(PROJECT), "COLUMNS": "120"}


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What every finished task measured, with the checksums of its files: all that must not depend on luck.

    Keras's own archives are left out: they keep the time at which they were written.
    """
    store = Store(folder)
    found = {}
    for path in sorted(folder.glob("*-*/record.json")):
        store.verify(path.parent.name)
        record = store.record(path.parent.name)
        files = {name: sum_ for name, sum_ in record.run["files"].items() if not name.endswith(".keras")}
        found[path.parent.name] = {
            "key": record.key,
            "params": record.params,
            "needs": record.needs,
            "values": record.values,
            "files": files,
        }
    return found


def dead_links(site: Path) -> list[str]:
    """Links of a site's pages, images, styles and scripts that lead to no file, or to no place in it."""
    ids: dict[Path, set[str]] = {}
    links = []
    for page in sorted(site.rglob("*.html")):
        text = page.read_text("utf-8")
        ids[page.resolve()] = set(re.findall(r'\sid="?([^\s">]+)', text))
        if page.name != "404.html":  # its links begin at the server's root
            links += [(page, link) for link in re.findall(r'\s(?:href|src)="?([^\s">]+)', text)]
    dead = []
    for page, link in links:
        address, _, anchor = html.unescape(link).partition("#")
        if re.match(r"[a-z]+:", address):
            continue
        target = (page.parent / unquote(address)).resolve() if address else page.resolve()
        if not target.is_file() or (anchor and target in ids and unquote(anchor) not in ids[target] | {"__top"}):
            dead.append(f"{page.relative_to(site)}: {link}")
    return dead


def children(process: int) -> list[int]:
    """Processes that a process has started, at any depth, and that still run."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if _lives(fields):
            parents[int(status.parent.name)] = int(fields[1])
    found, new = [], [process]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def _lives(fields: list[str]) -> bool:
    """Whether a process has not ended; one whose first thread has may still hold files open by another."""
    return fields[0] != "Z" or int(fields[17]) > 1


def alive(processes: Iterable[int]) -> list[int]:
    """Those of the processes that still run."""
    running = []
    for process in processes:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if _lives(fields):
            running.append(process)
    return running

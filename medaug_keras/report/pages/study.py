"""A study's results → the files of its pages. Templates lay out what is gathered here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import yaml

from medaug_keras.references import Reference
from medaug_keras.report import format
from medaug_keras.report.format import json_text
from medaug_keras.report.numbers.circumstances import latest
from medaug_keras.report.numbers.findings import answer
from medaug_keras.report.numbers.results import AWAY, Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.calibration import calibration
from medaug_keras.report.pages.checklist import checklists
from medaug_keras.report.pages.checks import checks
from medaug_keras.report.pages.citations import cite
from medaug_keras.report.pages.classes import class_by_class
from medaug_keras.report.pages.compare import compare
from medaug_keras.report.pages.curves import learning_curves
from medaug_keras.report.pages.data_sets import data_sets
from medaug_keras.report.pages.evidence import significance, synthetic_images
from medaug_keras.report.pages.findings import findings
from medaug_keras.report.pages.further import other_test_sets
from medaug_keras.report.pages.images import images
from medaug_keras.report.pages.models import generators, models
from medaug_keras.report.pages.references import against, index, theirs
from medaug_keras.report.pages.replicates import shared_page
from medaug_keras.report.pages.results import best_models, scores
from medaug_keras.report.pages.runs import run_page, runs
from medaug_keras.report.pages.templates import environment_of_templates
from medaug_keras.report.pages.thresholds import operating_points
from medaug_keras.report.pages.treatments import arms
from medaug_keras.report.tables import runs as run_tables
from medaug_keras.report.tables.export import records_csv, write_csv
from medaug_keras.spec import MedMnistData, dump


@dataclass(frozen=True)
class Page:
    """A page that a study has; *Operating points* and *Other test sets* only where it asks for some."""

    title: str
    make: Callable[[Book], dict[str, Any]]
    """What its template lays out."""
    by_dataset: bool = False
    """Whether it can be split into one page for each data set."""


PAGES = {
    "index": Page("Findings", findings),
    "data-sets": Page("Data sets", data_sets, by_dataset=True),
    "arms": Page("Arms", arms, by_dataset=True),
    "checks": Page("Checks", checks, by_dataset=True),
    "models": Page("Models", models),
    "generators": Page("Generators", generators, by_dataset=True),
    "results": Page("Results", scores, by_dataset=True),
    "class-by-class": Page("Class by class", class_by_class, by_dataset=True),
    "calibration": Page("Calibration", calibration, by_dataset=True),
    "operating-points": Page("Operating points", operating_points, by_dataset=True),
    "other-test-sets": Page("Other test sets", other_test_sets, by_dataset=True),
    "learning-curves": Page("Learning curves", learning_curves, by_dataset=True),
    "images": Page("Images", images, by_dataset=True),
    "best-models": Page("Best models", best_models, by_dataset=True),
    "significance": Page("Significance", significance, by_dataset=True),
    "compare": Page("Compare", compare, by_dataset=True),
    "synthetic-images": Page("Synthetic images", synthetic_images, by_dataset=True),
    "runs": Page("Runs", runs, by_dataset=True),
    "cite": Page("Methods and citations", cite),
    "checklist": Page("Checklist", checklists),
}
"""By name, which is its template's, in the order of the study's navigation. Each reference has two pages
more, and prediction files of others one."""
ROOM = 900_000
"""Bytes beyond which a page is split: browsers are slow with larger ones."""

SOURCES = {
    "simulated": "simulated images, made by this program; they show no patient",
    "unverified copy": (
        "unverified copy (its MD5 is not the official file's), so scores need not agree with published ones"
    ),
}


class Pages(Book):
    """All files of a study's report, as bytes by path from the study's folder."""

    @cached_property
    def against(self) -> dict[str, Reference]:
        """Page → the reference whose printed numbers it compares with ours."""
        return {f"against-{r.name}": r for r in self.results.references}

    @cached_property
    def predicted(self) -> dict[str, str]:
        """Page → the name of others whose prediction files are compared with ours, and who are no reference."""
        cited = {r.name for r in self.results.references}
        return {f"against-{name}": name for name in self.results.predictions if name not in cited}

    @cached_property
    def indices(self) -> dict[str, Reference]:
        """Page → the reference whose tables and figures it lists."""
        return {f"index-{r.name}": r for r in self.results.references}

    @cached_property
    def pages(self) -> dict[str, str]:
        """Page → its title, in the order of the study's navigation."""
        found: dict[str, str] = {}
        real_alone = all(self.results.study.arms[arm].source is None for arm in self.results.arms)
        for name, page in PAGES.items():
            if name in ("generators", "synthetic-images") and real_alone:
                continue
            if name == "operating-points" and not self.results.study.operating_points:
                continue
            if name == "other-test-sets" and not self.results.further_tests:
                continue
            if name == "runs":
                found |= {against: f"Against {r.called}" for against, r in self.against.items()}
                found |= {against: f"Against {name}" for against, name in self.predicted.items()}
            found[name] = page.title
        return found | {name: f"Index of {r.called}" for name, r in self.indices.items()}

    @cached_property
    def latest(self) -> str:
        """The day of the newest result."""
        return latest(self.results)

    @cached_property
    def written(self) -> dict[str, str]:
        """Page → its title, of all pages written so far but those of runs: what a reader needs in one file."""
        return {}

    def each(self) -> Iterator[tuple[str, bytes]]:
        """Yield every page and every file that it links to, one at a time: together they can be a gigabyte."""
        for name, title in self.pages.items():
            if name in PAGES:
                self._whole_or_apart(name, PAGES[name].make(self))
            elif name in self.against:
                marks = [*self._marks(self.results.datasets), *self._marks_beside()]
                content = against(self, self.against[name]) | {"marks": marks}
                self._page(name, title, content, template="against")
            elif name in self.predicted:
                self._page(name, title, theirs(self, self.predicted[name]), template="against-networks")
            else:
                self._page(name, title, index(self, self.indices[name]), template="reference-index")
            yield from self.made()
        if self.results.shared:
            for group in self.results.groups.values():
                if group.tried:
                    self._page(
                        f"runs/{group.name}", group.name, shared_page(self, group), template="group", current="runs"
                    )
                    yield from self.made()
        else:
            for run in self.results.runs:
                if run.tried:
                    self._page(
                        f"runs/{run.name}", f"Run {run.name}", run_page(self, run), template="run", current="runs"
                    )
                    yield from self.made()
        records = run_tables.run_records(self.results)
        self.file("data/runs.csv", records_csv(run_tables.RUNS_CSV, records))
        self.file("data/runs.json", json_text(records))
        for name, split in self._splits():
            self.file(f"data/splits/{name}.csv", split)
        self.file("data/study.yaml", self._study_file())
        for name, text in self.own_files.items():
            self.file(f"data/{name}", text)
        self.file("data/study.json", json_text(self._summary()))
        yield from self.made()

    def _splits(self) -> Iterator[tuple[str, str]]:
        """Data set, and which of its images is in which split as CSV, where the study asks for it: it names images."""
        for name, spec in self.results.study.datasets.items():
            record = self.results.data(name).record
            if not getattr(spec, "publish_split", False):
                continue
            if self.results.folds(name):
                folds = self._folds(name)
                if folds:
                    yield name, folds
            elif record is not None:
                path = record.folder / "split.csv"
                if path.is_file():
                    yield name, path.read_text("utf-8", "surrogateescape")

    def _folds(self, dataset: str) -> str:
        """Image, group, class, and the fold that tests it in every replicate with a finished run; empty without one."""
        found: dict[str, list[str]] = {}
        for run in self.results.runs:
            column = f"fold_of_replicate_{run.replicate}"
            if run.dataset != dataset or not run.done or column in found:
                continue
            with np.load(run.record.folder / "predictions.npz", allow_pickle=False) as file:
                if not found:
                    found["image"] = file["test_ids"].tolist()
                    found["group"] = list(file.get("test_groups", [""] * len(found["image"])))
                    found["class"] = [self.results.classes(dataset)[k] for k in file["test_labels"]]
                found[column] = file["test_folds"].tolist()
        return write_csv(list(found), zip(*found.values(), strict=True)) if found else ""

    def all(self) -> dict[str, bytes]:
        """The same, all at once."""
        return dict(self.each())

    # --- writing ---

    def _whole_or_apart(self, name: str, content: Mapping[str, Any]) -> None:
        """A page of the study. If it is too long, each data set gets a page with its part.

        What concerns all data sets stays on the page itself, which links to the parts.
        """
        results, title = self.results, self.pages[name]
        several = PAGES[name].by_dataset and len(results.datasets) > 1
        if not (several and content.get("apart")):
            text = self._text(name, title, content, current=name)
            if not several or len(text.encode()) <= ROOM:
                self._write(name, title, text)
                return
        titled = [(dataset, results.title(dataset)) for dataset in results.datasets]
        self._page(name, title, {**content, "parts": titled})
        for part in titled:
            own = {**content, "part": part, "datasets": [part[0]]}
            self._page(f"{name}/{part[0]}", f"{title}: {part[1]}", own, template=name, current=name)

    def _page(
        self, name: str, title: str, content: Mapping[str, Any], *, template: str = "", current: str = ""
    ) -> None:
        self._write(name, title, self._text(template or name, title, content, "../" * name.count("/"), current or name))

    def _write(self, name: str, title: str, text: str) -> None:
        self.file(f"{name}.md", text)
        if not name.startswith("runs/"):
            self.written[name] = format.plain(title)

    def _text(self, template: str, title: str, content: Mapping[str, Any], root: str = "", current: str = "") -> str:
        shared = {
            "study": self.results.study,
            "title": title,
            "latest": self.latest,
            "root": root,
            "current": current,
            "pages": self.pages,
            "known": self._known(content.get("datasets", self.results.datasets)),
            "marks": self._marks(content.get("datasets", self.results.datasets)),
            "variants": [(".".join(pair), self.results.variant(*pair)) for pair in self.results.variants()],
            "own_files": list(self.own_files),
            "parts": [],
            "part": None,
            "medmnist": self._medmnist,
        }
        templates = environment_of_templates()
        assert not templates.globals.keys() & {*shared, *content}, "a page would hide what its templates call"
        return templates.get_template(f"{template}.md.j2").render({**shared, **content})

    @property
    def _medmnist(self) -> bool:
        """Whether an image of the study is MedMNIST's, which asks for a sentence at the foot of each page."""
        return any(isinstance(part, MedMnistData) for part in self.results.study.sets.values())

    def _marks(self, datasets: Sequence[str]) -> list[tuple[str, str]]:
        """(data set, warning), of all but test images that training knows."""
        results = self.results
        return [
            (results.title(d), _mark_words(results, d, mark))
            for d in datasets
            for mark in results.marks(d)
            if mark not in results.leaks(d)
        ]

    def _known(self, datasets: Sequence[str]) -> list[tuple[str, str, str]]:
        """(data set, how many of its test images training knows, and how)."""
        found = []
        for dataset in datasets:
            if self.results.leaks(dataset):
                known, size, how = self.results.known(dataset)
                found.append((self.results.title(dataset), f"{format.count(known)} of {format.count(size)}", how))
        return found

    def _marks_beside(self) -> list[tuple[str, str]]:
        """The same for the study beside this one: data sets that cannot be read now."""
        other = self.beside
        away = [d for d in other.datasets if AWAY in other.marks(d)] if other else []
        return [(f"{other.title(d)} of {other.study.name}", _mark_words(other, d, AWAY)) for d in away if other]

    # --- files beside the pages ---

    def _study_file(self) -> str:
        """The study with every setting, to be run by others."""
        content = dump(self.results.study)
        own = [f"datasets.{name}.path" for name, part in self.results.study.sets.items() if hasattr(part, "path")]
        own += [f"generators.{name}.path" for name, part in content["generators"].items() if "path" in part]
        own += ["classifier.weights"] if self.results.study.classifier.weights_file else []
        where = [f"#   --set {setting}=WHERE" for setting in own]
        head = ["# Paths of your own files are relative to this file. Set them to where the files are:", *where, ""]
        return ("\n".join(head) if own else "") + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    def _summary(self) -> dict[str, Any]:
        """What the page of all studies, and the command line at the end of a run, say about this one."""
        study = self.results.study
        return {
            "name": study.name,
            "title": format.plain(study.title),
            "question": format.plain(study.question),
            "answer": [format.plain(sentence) for sentence in answer(self.results, self.inference)],
            "datasets": [format.plain(self.results.title(name)) for name in self.results.datasets],
            "medmnist": self._medmnist,
            "simulated": any("simulated" in self.results.marks(name) for name in self.results.datasets),
            "states": dict(self.results.states),
            "runs": len(self.results.runs),
            "latest": self.latest,
            "pages": self.written,
        }


def _mark_words(results: Results, dataset: str, mark: str) -> str:
    """What a mark of a data set means there."""
    if mark != AWAY:
        return f"{SOURCES[mark]}."
    finished = sum(run.done for run in results.runs if run.dataset == dataset)
    if not finished:
        return f"{AWAY}, and no finished result of it is known."
    shown = "its finished result is" if finished == 1 else f"its {format.count(finished)} finished results are"
    return f"{AWAY}; {shown} shown from the last known fingerprint."

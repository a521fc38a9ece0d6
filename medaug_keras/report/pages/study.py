"""A study's results → the files of its pages. Templates lay out what is gathered here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from medaug_keras.data.medmnist import BELONGING
from medaug_keras.plan import Plan
from medaug_keras.references import TableName
from medaug_keras.report import figures, format
from medaug_keras.report.figures import Figure
from medaug_keras.report.format import json_text
from medaug_keras.report.numbers.circumstances import Expected, circumstances, environment, standing
from medaug_keras.report.numbers.findings import answer, metric_name
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.printed import figure_numbers, table_numbers
from medaug_keras.report.numbers.results import (
    AWAY,
    LEAK,
    METRICS,
    SELECT_WORDS,
    STATE_WORDS,
    Group,
    Results,
    Run,
    read_json,
    select_words,
    typical,
)
from medaug_keras.report.pages import citations
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.pages.evidence import arms_over_data_sets, significance, synthetic_images
from medaug_keras.report.pages.models import generators, models
from medaug_keras.report.pages.references import against, index
from medaug_keras.report.pages.runs import shared_page
from medaug_keras.report.tables import arms as arm_tables
from medaug_keras.report.tables import runs as run_tables
from medaug_keras.report.tables.evidence import overview
from medaug_keras.report.tables.export import records_csv
from medaug_keras.report.tables.table import Table
from medaug_keras.spec import MedMnistData, dump
from medaug_keras.store import Record

PAGES = {
    "index": "Findings",
    "data-sets": "Data sets",
    "models": "Models",
    "generators": "Generators",
    "results": "Results",
    "best-models": "Best models",
    "significance": "Significance",
    "synthetic-images": "Synthetic images",
    "runs": "Runs",
    "cite": "How to cite",
}
"""Name of a page → its title, in the order of the study's navigation. Each reference has two pages more."""

BY_DATASET = (
    "data-sets",
    "generators",
    "results",
    "best-models",
    "significance",
    "synthetic-images",
    "runs",
)
"""Pages that can be parted: into one for each data set."""
ROOM = 900_000
"""Bytes of a page beyond which it is parted: browsers and readers are slow with more."""

SOURCES = {
    "simulated": "simulated images, made from a seed; they show no patient",
    "unverified copy": "unverified copy: the MD5 of the file is not the official one",
}


class Pages(Book):
    """All files of a study's report, as bytes by path from the study's folder."""

    def __init__(
        self,
        results: Results,
        *,
        beside: Results | None = None,
        asked: Plan | None = None,
        expected: Expected | None = None,
        show_host: bool = False,
    ) -> None:
        super().__init__(results, beside=beside, asked=asked, expected=expected, show_host=show_host)
        self.templates = environment_of_templates()
        self.against = {f"against-{r.name}": r for r in results.references}
        self.indices = {f"index-{r.name}": r for r in results.references}
        self.pages: dict[str, str] = {}
        for name, title in PAGES.items():
            if name == "runs":
                self.pages |= {page: f"Against {r.called}" for page, r in self.against.items()}
            self.pages[name] = title
        self.pages |= {page: f"Index of {r.called}" for page, r in self.indices.items()}

    def each(self) -> Iterator[tuple[str, bytes]]:
        """Make every page and every file that it links to, one after the other: together they can be a gigabyte."""
        make: dict[str, Callable[[], dict[str, Any]]] = {
            "index": self._findings,
            "data-sets": self._data_sets,
            "models": lambda: models(self),
            "generators": lambda: generators(self),
            "results": self._results,
            "best-models": self._best_models,
            "significance": lambda: significance(self),
            "synthetic-images": lambda: synthetic_images(self),
            "runs": self._runs,
            "cite": self._cite,
        }
        for name, title in self.pages.items():
            if name in make:
                self._whole_or_apart(name, make[name]())
            elif name in self.against:
                marks = [*self._marks(self.results.datasets), *self._marks_beside()]
                content = against(self, self.against[name]) | {"marks": marks}
                self._page(name, title, content, template="against")
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
                    self._page(f"runs/{run.name}", f"Run {run.name}", self._run(run), template="run", current="runs")
                    yield from self.made()
        records = run_tables.run_records(self.results)
        self.file("data/runs.csv", records_csv(run_tables.RUNS_CSV, records))
        self.file("data/runs.json", json_text(records))
        self.file("data/study.yaml", self._study_file())
        self.file("data/study.json", json_text(self._summary()))
        yield from self.made()

    def all(self) -> dict[str, bytes]:
        """The same, all at once."""
        return dict(self.each())

    # --- writing ---

    def _whole_or_apart(self, name: str, content: Mapping[str, Any]) -> None:
        """A page of the study. Where it is too long, each data set has the same page with its part of it.

        What is about all data sets stays on the page itself, which leads to the parts.
        """
        results, title = self.results, self.pages[name]
        several = name in BY_DATASET and len(results.datasets) > 1
        if not (several and content.get("apart")):
            text = self._text(name, title, content, current=name)
            if not several or len(text.encode()) <= ROOM:
                self.file(f"{name}.md", text)
                return
        titled = [(dataset, results.title(dataset)) for dataset in results.datasets]
        self._page(name, title, {**content, "parts": titled})
        for part in titled:
            own = {**content, "part": part, "datasets": [part[0]]}
            self._page(f"{name}/{part[0]}", f"{title}: {part[1]}", own, template=name, current=name)

    def _page(
        self, name: str, title: str, content: Mapping[str, Any], *, template: str = "", current: str = ""
    ) -> None:
        self.file(f"{name}.md", self._text(template or name, title, content, "../" * name.count("/"), current or name))

    def _text(self, template: str, title: str, content: Mapping[str, Any], root: str = "", current: str = "") -> str:
        shared = {
            "study": self.results.study,
            "title": title,
            "root": root,
            "current": current,
            "pages": self.pages,
            "marks": self._marks(content.get("datasets", self.results.datasets)),
            "parts": [],
            "part": None,
        }
        return self.templates.get_template(f"{template}.md.j2").render({**shared, **content})

    def _marks(self, datasets: Sequence[str]) -> list[tuple[str, str]]:
        """(data set, what a reader must know of it)."""
        results = self.results
        return [(results.title(d), _mark_words(results, d, mark)) for d in datasets for mark in results.marks(d)]

    def _odd(self) -> list[tuple[str, str, str]]:
        """Data set, its title, and what was found odd about its images besides what stands on top of every page."""
        results = self.results
        found = []
        for name in results.datasets:
            said = [text for text in results.odd(name) or () if text != results.leak(name)]
            more = f" And {format.plural(len(said) - 1, 'more remark')}." if len(said) > 1 else ""
            if said:
                found.append((name, results.title(name), said[0] + more))
        return found

    def _marks_beside(self) -> list[tuple[str, str]]:
        """The same of the study beside this one, as far as its data cannot be read now."""
        other = self.beside
        away = [d for d in other.datasets if AWAY in other.marks(d)] if other else []
        return [(f"{other.title(d)} of {other.study.name}", _mark_words(other, d, AWAY)) for d in away if other]

    # --- the pages ---

    def _findings(self) -> dict[str, Any]:
        results = self.results
        metric = results.study.primary
        begun, waiting = self.begun()
        now = standing(results, self.asked, self.expected)
        caption = (
            f"Test {metric_name(metric)} of every arm: mean over replicates with its 95 % interval (Student's t; "
            "training runs vary, the test images stay). The line is the baseline."
        )
        content: dict[str, Any] = {"dots": None, "overview": None, "arms_over_data_sets": None}
        if self.many:
            content["overview"] = self.table(overview(results, self.inference))
            content["arms_over_data_sets"] = arms_over_data_sets(self)
        else:
            content["dots"] = self.figure("arms", self._dots(begun), caption)
        return content | {
            "answer": answer(results, self.inference),
            "odd": self._odd(),
            "waiting": [] if now.partial else waiting,  # they are the rest of the study, which has its line
            "progress": figures.progress(now.states, what="tasks", head="This run: " if now.partial else ""),
            "standing": now.sentences,
            "troubles": self._troubles(),
            "circumstances": circumstances(results, self.asked),
        }

    def _dots(self, datasets: Sequence[str]) -> Figure:
        results = self.results
        cells = {d: [self._cell(g) for (name, *_), g in results.groups.items() if name == d] for d in datasets}
        panels = [figures.ArmsPanel(results.title(d), cells[d]) for d in datasets]
        return figures.arms_by_dataset(panels, metric=METRICS[results.study.primary], arms=results.by_look)

    def _cell(self, group: Group) -> figures.Cell:
        found = group.estimate(self.results.select, "test", self.results.study.primary)
        half = found.half_width
        return figures.Cell(
            group.arm,
            group.sampling,
            self.results.variant(group.arm, group.sampling),
            mean=found.mean,
            # A metric cannot leave [0, 1], though Student's t with few replicates can.
            low=None if found.mean is None or half is None else max(0.0, found.mean - half),
            high=None if found.mean is None or half is None else min(1.0, found.mean + half),
            n=found.n,
            reason=STATE_WORDS[group.runs[0].outcome.state] if not group.done else "not defined",
            baseline=(group.arm, group.sampling) == self.results.reference,
        )

    def _troubles(self) -> list[dict[str, str]]:
        """Tasks that failed or cannot be read, with what is known of why."""
        found = []
        for task, outcome in self.results.outcomes.items():
            if outcome.state in ("failed", "damaged"):
                details = outcome.failure.details if outcome.failure else ""
                title = self.results.plan.tasks[task].title
                found.append(
                    {
                        "title": title,
                        "state": outcome.state,
                        "reason": outcome.reason,
                        "details": format.last_lines(details),
                    }
                )
        return found

    def _data_sets(self) -> dict[str, Any]:
        results = self.results
        shown = []
        for name in results.datasets:
            outcome, asked = results.data(name), results.study.datasets[name]
            entry: dict[str, Any] = {
                "name": name,
                "title": results.title(name),
                "reason": outcome.reason,
                "marks": results.marks(name),
                "record": outcome.record,
                "odd": results.odd(name),
                "belonging": BELONGING.get(asked.name or name, "") if isinstance(asked, MedMnistData) else "",
                "figures": [],
                "missing": [
                    (f"{shows}-{name}", figure_numbers(results, shows, dataset=name), content)
                    for shows, content in (("montage", "Montage of training images"), ("classes", "Class distribution"))
                ],
            }
            if outcome.record is not None:
                entry["figures"] = self._data_figures(name, outcome.record)
            shown.append(entry)
        return {
            "sizes": self.table(arm_tables.dataset_sizes(results)),
            "sizes_number": table_numbers(results, "data-set-sizes"),
            "sections": shown,
        }

    def _data_figures(self, name: str, record: Record) -> list[Shown]:
        results, title = self.results, self.results.title(name)
        with np.load(record.folder / "examples.npz", allow_pickle=False) as examples:
            images = examples["montage"]
        made = figures.montage(images, columns=20, what=f"training images of {title}")
        counts = {split: record.values["splits"][split]["per_class"] for split in arm_tables.SPLITS}
        bars = figures.class_distribution(results.classes(name), counts)
        return [
            self.figure(
                f"montage-{name}",
                made,
                f"{len(images)} training images of {title}, drawn at random.",
                figure_numbers(results, "montage", dataset=name),
            ),
            self.figure(
                f"classes-{name}",
                bars,
                f"Images of {title} by class.",
                figure_numbers(results, "classes", dataset=name),
            ),
        ]

    def _results(self) -> dict[str, Any]:
        sections: list[tuple[TableName, str, Callable[[Results, Inference], Table]]] = [
            ("without-added-images", "Without added images", arm_tables.without_added_images),
            ("with-added-images", "With added images, shuffled", arm_tables.with_added_images),
            ("with-added-images-weighted", "With added images, weighted", arm_tables.with_added_images_weighted),
            ("best-models", "Best models", arm_tables.best_models),
        ]
        return {
            "sections": [
                (self.table(make(self.results, self.inference)), title, table_numbers(self.results, name))
                for name, title, make in sections
            ],
            "all_arms": self.table(run_tables.all_arms(self.results)),
            "apart": self.many,
            "dots": {d: self._dots_of(d) for d in self.results.datasets} if self.many else {},
        }

    def _dots_of(self, dataset: str) -> Shown:
        title = self.results.title(dataset)
        caption = f"Test {metric_name(self.results.study.primary)} of every arm on {title}, with its 95 % interval."
        return self.figure(f"arms-{dataset}", self._dots([dataset]), caption)

    def _best_models(self) -> dict[str, Any]:
        results = self.results
        shown = []
        for name in results.datasets:
            group = results.best.get(name)
            entry: dict[str, Any] = {
                "name": name,
                "title": results.title(name),
                "reason": "" if group else "no run of this data set is done yet",
                "missing": [f"confusion-{name}", f"curves-{name}"],
                "figures": [],
            }
            if group is not None:
                run = typical(group, results)
                label = results.variant(group.arm, group.sampling)
                entry |= {
                    "label": label,
                    "page": group.page,
                    "run": run,
                    "others": len(group.done) - 1,
                    "figures": self._best_figures(name, label, run),
                }
            shown.append(entry)
        return {"sections": shown}

    def _best_figures(self, name: str, label: str, run: Run) -> list[Shown]:
        results, title = self.results, self.results.title(name)
        matrix = run.scores(results.select, "test")["confusion"]
        return [
            self.figure(
                f"confusion-{name}",
                figures.confusion_matrix(matrix, results.classes(name)),
                f"Confusion matrix on the test images of {title}: {label}, replicate {run.replicate}.",
                figure_numbers(results, "confusion", dataset=name),
            ),
            self.figure(
                f"curves-{name}",
                figures.learning_curves(read_json(run.record, "history.json"), best_epoch=run.selected(results.select)),
                f"Accuracy and AUC per epoch on {title}: {label}, replicate {run.replicate}.",
                figure_numbers(results, "curves", dataset=name),
            ),
        ]

    def _runs(self) -> dict[str, Any]:
        make = run_tables.groups if self.results.shared else run_tables.runs
        return {"table": self.table(make(self.results)), "apart": self.results.runs_apart}

    def _run(self, run: Run) -> dict[str, Any]:
        results = self.results
        task = results.plan.tasks[run.task]
        content: dict[str, Any] = {
            "datasets": [run.dataset],
            "run": run,
            "dataset_title": results.title(run.dataset),
            "label": results.variant(run.arm, run.sampling),
            "state": STATE_WORDS[run.outcome.state],
            "task": task,
            "needs": [(word, results.plan.tasks[need].title, need) for word, need in task.needs.items()],
            "settings": yaml.safe_dump(dict(task.params), sort_keys=False),
            "command": self.command(run),
            "run_table": results.runs_page(run.dataset),
            "neighbours": [
                r for r in results.groups[run.dataset, run.arm, run.sampling].runs if r is not run and r.tried
            ],
            "details": format.last_lines(run.outcome.failure.details) if run.outcome.failure else "",
            "figures": [],
            "scores": [],
            "files": [],
            "environment": [],
        }
        if run.done:
            record = run.record
            matrix = run.scores(results.select, "test")["confusion"]
            curves = figures.learning_curves(read_json(record, "history.json"), best_epoch=run.selected(results.select))
            content |= {
                "figures": [
                    Shown("curves", curves, f"Accuracy and AUC per epoch; marked is {select_words(results.select)}."),
                    Shown("confusion", figures.confusion_matrix(matrix, results.classes(run.dataset)), "Test images."),
                ],
                "scores": _scores(run, results.select),
                "files": sorted(record.run.get("files", {}).items()),
                "environment": environment(record, show_host=self.show_host),
            }
        return content

    def _cite(self) -> dict[str, Any]:
        entries: dict[str, list[str]] = {}
        for name in self.results.datasets:
            record = self.results.data(name).record
            for entry in (record.values.get("citation") or "").split("\n\n") if record else ():
                if entry.strip():
                    entries.setdefault(entry.strip(), []).append(self.results.title(name))
        kinds = {spec.kind for spec in self.results.study.generators.values()}
        records = [outcome.record for outcome in self.results.outcomes.values() if outcome.record is not None]
        return {
            "data": list(entries.items()),
            "licences": [
                (self.results.title(n), record.values.get("licence") or "not stated")
                for n in self.results.datasets
                if (record := self.results.data(n).record) is not None
            ],
            "methods": [
                *((f"What this study repeats or extends: {r.title}", r.citation) for r in self.results.references),
                *citations.methods(kinds, statistics=self.results.replicates > 1),
            ],
            "software": citations.software(
                {r.run["packages"]["medaug-keras"] for r in records if "medaug-keras" in r.run.get("packages", {})}
            ),
        }

    def _study_file(self) -> str:
        """The study with every setting, to be run by others."""
        content = dump(self.results.study)
        own = [name for name, part in content["datasets"].items() if "path" in part]
        where = [f"#   --set datasets.{name}.path=WHERE" for name in own]
        head = ["# Images of your own are named as if they lay beside this file. Say where they are:", *where, ""]
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
            "simulated": any("simulated" in self.results.marks(name) for name in self.results.datasets),
            "states": dict(self.results.states),
            "runs": len(self.results.runs),
        }


def environment_of_templates() -> Environment:
    """Jinja with our filters: a misspelt name is an error, and what is not marked as safe is escaped for HTML."""
    templates = Environment(
        loader=PackageLoader("medaug_keras.report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        "md": format.markdown,
        "text": format.html,
        "yaml": format.yaml_text,
        "count": format.count,
        "percent": format.percent,
        "points": format.points,
        "seconds": format.seconds,
        "bytes": format.bytes_,
        "together": format.together,
        "raw": Markup,
        "plain": format.plain,
        "attribute": table_attribute,
    }
    templates.globals |= {
        "shown": format.shown,
        "spread": format.spread,
        "p_text": format.p_text,
        "plural": format.plural,
        "DASH": format.DASH,
    }
    return templates


def table_attribute(value: Any) -> str:
    """A value as the page's script sorts by it: numbers unrounded."""
    return "" if value is None else repr(value) if isinstance(value, int | float) else format.plain(value)


def _mark_words(results: Results, dataset: str, mark: str) -> str:
    """What a mark of a data set means there."""
    if mark != AWAY:
        return results.leak(dataset) if mark == LEAK else f"{SOURCES[mark]}."
    finished = sum(run.done for run in results.runs if run.dataset == dataset)
    if not finished:
        return f"{AWAY}, and no finished result of it is known."
    shown = "its finished result is" if finished == 1 else f"its {format.count(finished)} finished results are"
    return f"{AWAY}; {shown} shown from the last known fingerprint."


def _scores(run: Run, select: str) -> list[tuple[str, list[tuple[str, float | None]]]]:
    """Rows of a run's table of metrics: (what, [(column, value)]); the epoch that tables show comes first."""
    rules: dict[int, list[str]] = {}
    for rule in (select, *run.record.values["selected"]):
        named = rules.setdefault(run.selected(rule), [])
        if rule not in named:
            named.append(rule)
    found = []
    for epoch, chosen in rules.items():
        for split in ("test", "validation"):
            values = run.record.values["scores"][str(epoch)][split]
            why = format.together(SELECT_WORDS[rule] for rule in chosen)
            found.append((f"{split}, epoch {epoch} ({why})", [(METRICS[m], values[m]) for m in METRICS]))
    return found

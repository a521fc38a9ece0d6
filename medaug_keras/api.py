"""Studies in a notebook: `import medaug_keras as ma`, then `ma.run(...)` or `ma.open(...)`.

Nothing is worked out here: numbers are those of the study's pages, and words are their sentences.
"""

import argparse
import base64
import html
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.cli import pages, verbs
from medaug_keras.cli.check import Remark, before_training, conclusion, examine
from medaug_keras.cli.memory import remember
from medaug_keras.cli.mistakes import RequestError
from medaug_keras.cli.options import parser
from medaug_keras.cli.request import check_results, narrowed, planned, read_study, study_beside, study_by_name
from medaug_keras.data import load_plain
from medaug_keras.durations import Durations
from medaug_keras.labels import several
from medaug_keras.places import site_of
from medaug_keras.plan import Plan
from medaug_keras.reading import DICTIONARY, StudyError, read
from medaug_keras.report import format
from medaug_keras.report.figures import Figure
from medaug_keras.report.numbers.findings import answer, can_be_said, cannot_be_said, caution, metric_name, room
from medaug_keras.report.numbers.further import Tried, further_tests
from medaug_keras.report.numbers.inference import Comparison, Inference
from medaug_keras.report.numbers.results import Results, Run, note_look
from medaug_keras.report.pages.book import Shown
from medaug_keras.report.pages.study import PAGES, Pages
from medaug_keras.report.tables import evidence
from medaug_keras.report.tables.export import table_csv
from medaug_keras.report.tables.further import other_test_sets
from medaug_keras.report.tables.runs import RUNS_CSV, run_records
from medaug_keras.spec import Study, deciding
from medaug_keras.store import Record, Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Checked",
    "Difference",
    "Drawing",
    "OpenStudy",
    "Remark",
    "RequestError",
    "StudyError",
    "check",
    "open",
    "run",
    "settings",
]

Asked = str | Path | Mapping[str, Any]
"""A study: its file, a dictionary that says what a file would, or, to open, a name that the results folder knows."""

_UNSAID = {"name": "study", "title": "A study in a notebook", "question": "Does augmentation help?"}
"""What a dictionary may leave out, because it only heads the pages."""


def run(
    study: Asked,
    *,
    results: str | Path = "results",
    data: str | Path | None = None,
    only: str | Sequence[str] = (),
    workers: int | None = None,
    allow_code: bool = False,
    unverified_data: bool = False,
    quiet: bool = False,
) -> "OpenStudy":
    """Make all of a study that is not made yet, or a part of it, in processes of this machine, and open it.

    `study` is a file, or a dictionary that says what a file would; `name`, `title` and `question` may be left out
    of it, and its relative paths start at the working directory. `results` is the folder where results are kept,
    `data` that of MedMNIST's files (by default $MEDMNIST_ROOT or ~/.medmnist). `only` narrows what is made, as on the
    command line: "dataset=breastmnist", or several such filters; the whole study is opened. `workers` is how many tasks
    are made at once, by default one a core. `allow_code` runs Python code of the study's own, `unverified_data` takes
    MedMNIST files whose checksum is not the official one, and `quiet` prints errors alone.

    What fails is printed, and is missing from what is returned. What is finished stays when this is interrupted.

    Raises StudyError where the study has mistakes, RequestError where it cannot be run, and DataError where data
    cannot be read.
    """
    options = _options(study, results, data, allow_code=allow_code, unverified_data=unverified_data)
    options.workers, options.quiet = workers, quiet
    options.only = [only] if isinstance(only, str) else list(only)
    with _said_in_python():
        asked, whole, beside = _read(study, options)
        chosen, store = narrowed(whole, options.only), Store(options.results)
        outcomes = store.outcomes(whole, values=False)
        done = {name for name in chosen.tasks if outcomes[name].state == "done"}
        if len(done) < len(chosen.tasks):
            for warning in before_training(asked, options) if not quiet else ():
                print(warning, file=sys.stderr)
            _make(options, chosen, store, done, Durations.of(whole, outcomes))
        if not pages.fewer_than_shown(options, asked, whole):
            remember(options.results, asked, whole, data_root=str(options.data.resolve()))
    return OpenStudy(asked, whole, beside, options)


def open(
    study: Asked,
    *,
    results: str | Path = "results",
    data: str | Path | None = None,
    unverified_data: bool = False,
) -> "OpenStudy":
    """What is made of a study so far; nothing is run, no code of the study's own either. The arguments are those of
    `run`; `study` may also be the name of a study that the results folder knows.

    Raises StudyError, RequestError and DataError as `run` does.
    """
    options = _options(study, results, data, unverified_data=unverified_data)
    options.verb = "report"  # which reads code of the study's own and runs none
    with _said_in_python():
        return OpenStudy(*_read(study, options), options)


def check(
    study: Asked,
    *,
    results: str | Path = "results",
    data: str | Path | None = None,
    audit: str | Path | None = None,
    allow_code: bool = False,
    unverified_data: bool = False,
) -> "Checked":
    """What is wrong or odd with a study and its data, before anything is trained, as the verb `check` says it.

    Images of your own are read whole. The arguments are those of `run`; `audit` is a folder where, for each data set, a
    list of images to leave out is written, so that no split knows another, and one of those that are the same, or
    nearly, and of two classes. Code of the study's own is tried where `allow_code` is given.

    Raises StudyError and RequestError as `run` does; what is wrong with data is in what is returned.
    """
    options = _options(study, results, data, allow_code=allow_code, unverified_data=unverified_data)
    options.audit = None if audit is None else Path(audit).expanduser()
    found: list[Remark] = []
    with _said_in_python():
        asked = _asked(study, options)
        whole = examine(asked, options, found.append)
    remarks = tuple(replace(one, what=_in_python(one.what), mend=_in_python(one.mend)) for one in found)
    return Checked(remarks, conclusion(asked, found, whole), whole is not None)


def settings(section: str, **given: Any) -> dict[str, Any]:
    """All settings of a section of a study, as the science takes them: those that are given, and the study's defaults.

    `section` is "classifier" (what `classifiers.split` parts), "generator" (what `Recipe.split` parts) or "step" (an
    entry of `augment`).

    Raises StudyError for what a study may not say there.
    """
    study: dict[str, Any] = {**_UNSAID, "datasets": {"phantom-ultrasound": {"kind": "phantom"}}}
    arms: dict[str, Any] = {"baseline": {}}
    if section == "classifier":
        study[section] = given
    elif section == "generator":
        study["generators"] = {section: given}
    elif section == "step":
        arms[section] = {"augment": [given]}
    else:
        raise ValueError(f"section is classifier, generator or step, not {section!r}")
    found = read({**study, "arms": arms})
    if section == "generator":
        return deciding(found.generators[section])
    if section == "step":
        return deciding(found.arms[section].augment[0])
    return {"select": found.classifier.select, **deciding(found.classifier)}


@dataclass(frozen=True)
class Checked:
    """What is wrong or odd with a study and its data, which a notebook shows as a table."""

    remarks: tuple[Remark, ...]
    words: str
    """What comes of them."""
    ok: bool
    """Whether a run would make all of the study."""

    def frame(self) -> "pd.DataFrame":
        """One row for each remark: where, severity, what, mend."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.remarks], columns=[one.name for one in fields(Remark)])

    def __str__(self) -> str:
        return "\n".join([*map(str, self.remarks), self.words])

    def _repr_html_(self) -> str:
        if not self.remarks:
            return f"<p>{html.escape(self.words)}</p>"
        names = "".join(f"<th>{one.name}</th>" for one in fields(Remark))
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in asdict(one).values())}</tr>"
            for one in self.remarks
        )
        return f"<table><tr>{names}</tr>{rows}</table><p>{html.escape(self.words)}</p>"


@dataclass(frozen=True)
class Difference:
    """An arm less another on one data set. Metrics and differences are fractions; words and tables have points."""

    dataset: str
    arm: str
    sampling: str
    against: str
    metric: str
    effect: float | None
    """None where they cannot be compared: `words` say why."""
    low: float | None
    """The 95 % interval of this comparison alone."""
    high: float | None
    p: float | None
    """Corrected over the arms that are compared with `against` on the data set (Holm)."""
    verdict: str
    """better, worse, equivalent, inconclusive or not tested."""
    replicates: int
    """That both arms have."""
    words: str
    """What can be said, and what cannot."""

    def __str__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.words)}</p>"


@dataclass(frozen=True)
class Drawing:
    """A figure of a page. A notebook shows it; `svg` is the whole file, None where it is a picture (`png`)."""

    caption: str
    svg: str | None
    png: bytes | None
    alt: str

    def save(self, path: str | Path) -> Path:
        """Write the figure as a file, .svg or .png as it is, and return its path."""
        path = Path(path)
        ending = ".png" if self.png else ".svg"
        if path.suffix != ending:
            raise ValueError(f"{path}: this figure is {ending[1:].upper()}; give a path that ends in {ending}")
        path.write_bytes(self.png or (self.svg or "").encode())
        return path

    def _repr_html_(self) -> str:
        drawn = self.svg
        if self.png:
            data = base64.b64encode(self.png).decode()
            drawn = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{data}">'
        # white, as its colors are those of light pages
        style = "margin:0;padding:8px;background:#fff;color:#000"
        return f'<figure style="{style}">{drawn}<figcaption>{html.escape(self.caption)}</figcaption></figure>'


class OpenStudy:
    """What is made of a study so far; `run` and `open` return it.

    An arm is named as in the study. `dataset` may be left out where the study has one, and `sampling` where the arm has
    one, or the baseline's. Replicates count from 0.
    """

    def __init__(
        self, study: Study, plan: Plan, beside: tuple[Study, Plan] | None, options: argparse.Namespace
    ) -> None:
        self.study, self._plan, self._beside, self._options = study, plan, beside, options
        self._store = Store(options.results)

    @property
    def answer(self) -> list[str]:
        """What the study found, then what must be known to judge it: sentences, the first of which answers."""
        return [format.plain(sentence) for sentence in answer(self._results, self._inference)]

    def __repr__(self) -> str:
        return "\n".join([format.plain(self.study.title), *self.answer])

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.answer)
        return f"<p><strong>{html.escape(format.plain(self.study.title))}</strong></p>{said}"

    def runs(self) -> "pd.DataFrame":
        """All runs, one row each, done or not: the columns of data/runs.csv. Metrics are fractions."""
        import pandas as pd

        return pd.DataFrame(run_records(self._results), columns=list(RUNS_CSV))

    def tests(self, *, on: str | None = None) -> "pd.DataFrame":
        """Every arm against the baseline on the primary metric: the rows of data/tests.csv, differences in points.

        `on` names a further test set: then the rows of data/other-test-sets.csv that are of it, the baseline's too.
        dataset, arm and sampling are the study's own names. Raises RequestError where there is no such test set.
        """
        import pandas as pd

        if on is None:
            table = evidence.tests(self._results, self._inference)
        else:
            _one("further test set", on, list(dict.fromkeys(name for _, name in self._results.further_tests)))
            found = {key: one for key, one in self._further.items() if key[1] == on}
            table = other_test_sets(self._results, self._inference, found)
        frame = pd.read_csv(io.StringIO(table_csv(table)))
        pairs = [str(name).rpartition(".") for name in frame.pop("arm_name")]
        frame["dataset"], frame["arm"] = frame.pop("dataset_name"), [arm for arm, _, _ in pairs]
        frame["sampling"] = [sampling for _, _, sampling in pairs]
        first = ["dataset", "arm", "sampling"]
        return frame[[*first, *(name for name in frame.columns if name not in first)]]

    def compare(
        self,
        arm: str,
        *,
        dataset: str | None = None,
        sampling: str | None = None,
        against: str | None = None,
        on: str | None = None,
    ) -> Difference:
        """An arm less the baseline on the primary metric, or less another arm of the same sampling, `against`; less the
        baseline on the further test set `on` of the data set.

        Its p is the one behind its verdict: of equivalence where it says so, else of a difference. It is corrected for
        all arms of the data set, and that of `against` for all pairs of them, as on the page Compare.
        """
        results, inference = self._results, self._inference
        dataset, arm, sampling = self._cell(arm, dataset, sampling)
        if on is not None:
            return self._on((dataset, arm, sampling), against, on)
        base = results.reference if against is None else self._cell(against, dataset, sampling)[1:]
        if (arm, sampling) == base:
            raise RequestError(f"{arm} cannot be compared with itself; name another arm, or another with against=")
        c = inference.between(dataset, (arm, sampling), base)
        if c is None:
            raise RequestError(f"{dataset} has no {'.'.join(base)} to compare {arm} with")
        return _difference(c, self._words(c))

    def _on(self, cell: tuple[str, str, str], against: str | None, on: str) -> Difference:
        """An arm less the baseline on a further test set."""
        results, (dataset, arm, _) = self._results, cell
        if against is not None:
            raise RequestError("on a further test set arms are compared with the baseline alone; leave against= out")
        _one("further test set", on, [name for of, name in results.further_tests if of == dataset])
        c = self._further[cell, on].difference
        if c is None:
            raise RequestError(f"{arm} cannot be compared with itself; name another arm")
        place = f"{results.title(dataset)}, further test set {on}, {metric_name(c.metric)}"
        why = f" ({c.result.reason})" if c.result.reason else ""
        return _difference(c, format.plain(f"{self._measured(c, place)}{why}."))

    def _measured(self, c: Comparison, place: str) -> str:
        """An arm against its baseline on `place`: verdict, difference, interval, p and replicates."""
        variant, low, high = self._results.variant, c.result.low, c.result.high
        interval = (
            "" if low is None or high is None else f", 95 % interval {format.points(low)} to {format.points(high)}"
        )
        size = "" if c.result.effect is None else f": {format.points(c.result.effect)} points{interval}"
        p = "" if c.p is None else f", corrected {format.p_text(c.p)}"
        return (
            f"{variant(c.group.arm, c.group.sampling)} against “{variant(c.base.arm, c.base.sampling)}” on {place}: "
            f"{format.verdict_words(c.word)}{size}{p}, {format.plural(c.result.replicates, 'replicate')}"
        )

    def _words(self, c: Comparison) -> str:
        results, inference = self._results, self._inference
        cell = (c.group.dataset, c.group.arm, c.group.sampling)
        control = inference.controls.get(cell)
        can = can_be_said(c, control, caution(results, inference, c), room(results, c))
        cannot = cannot_be_said(c, control, [], generated=results.study.arms[c.group.arm].mixes)
        measured = self._measured(c, f"{results.title(cell[0])}, test {metric_name(c.metric)}")
        return format.plain(f"{measured}. Can be said: {can} Cannot be said: {cannot}")

    def predictions(
        self,
        arm: str,
        *,
        replicate: int = 0,
        dataset: str | None = None,
        sampling: str | None = None,
        split: str = "test",
    ) -> "pd.DataFrame":
        """What a run says of each image of `split` (test or validation), at the epoch that the study shows.

        Columns: `image`, its id, or its place from 0 where images have no names; `group`, where images belong to
        groups; `fold`, after cross-validation; `true` and `predicted`, names of classes; and the probability of each
        class, as `p_` and its name. Of several findings an image, `true_` and the name of each is 1 where the image has
        it, else 0, and there is no `predicted`. Rows are in the order of the data set.
        """
        import pandas as pd

        found = self._done(arm, replicate, dataset, sampling)
        classes = np.array(self._results.classes(found.dataset), dtype=object)
        with np.load(found.record.folder / "predictions.npz", allow_pickle=False) as file:
            name = f"{split}_{found.selected(self._results.select)}"
            if name not in file:
                there = sorted({key.partition("_")[0] for key in file})
                raise RequestError(f"{found.name} has no predictions of {split!r}; it has those of {', '.join(there)}")
            probabilities, labels = file[name], file[f"{split}_labels"]
            more = {key: file.get(f"{split}_{key}s") for key in ("id", "group", "fold")}
        ids = more.pop("id")
        columns: dict[str, Any] = {"image": np.arange(len(labels)) if ids is None else ids}
        columns |= {key: values for key, values in more.items() if values is not None}
        if several(labels):
            columns |= {f"true_{name}": there for name, there in zip(classes, labels.T, strict=True)}
        else:
            columns |= {"true": classes[labels], "predicted": classes[probabilities.argmax(axis=1)]}
        return pd.DataFrame(columns | {f"p_{name}": p for name, p in zip(classes, probabilities.T, strict=True)})

    def model(
        self,
        arm: str,
        *,
        replicate: int = 0,
        dataset: str | None = None,
        sampling: str | None = None,
        fold: int | None = None,
    ) -> Any:
        """The trained Keras model of a run, with the weights of the epoch that the study shows; of a run with folds,
        that of one `fold`.

        It takes images (N, H, W, C) scaled to [-1, 1], x / 127.5 - 1, and gives logits (N, K); one of K = 1 where the
        head is `sigmoid`.
        """
        found = self._done(arm, replicate, dataset, sampling)
        record = self._record(self._task(found, fold), f"The model of {found.name}")
        import keras

        epoch = record.values["selected"][self._results.select]
        return keras.models.load_model(record.folder / f"classifier-{epoch}.keras")

    def images(
        self,
        arm: str,
        *,
        replicate: int = 0,
        dataset: str | None = None,
        sampling: str | None = None,
        fold: int | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The images that an arm adds in a replicate, (N, H, W, C) uint8, and their classes (N,), from 0.

        Of several findings an image, (N, K) of 0 and 1 in place of the classes.
        """
        found = self._run(arm, replicate, dataset, sampling)
        needs = self._plan.tasks[self._task(found, fold)].needs
        if "synthesis" not in needs:
            others = [name for name in self._results.arms if self._results.generative(name)]
            which = f"; those that do: {', '.join(others)}" if others else ""
            raise RequestError(f"{arm} adds no images{which}")
        record = self._record(needs["synthesis"], f"The images of {found.name}")
        made = load_plain(record.folder / "synthetic.npz")
        return made["images"], made["labels"]

    def figure(self, page: str = "findings", number: int = 0) -> Drawing:
        """A figure of one of the study's pages, which a notebook shows. `number` counts the page's figures from 0."""
        names = {"findings": "index", **{name: name for name in PAGES if name != "index"}}
        if page not in names:
            raise RequestError(f"there is no page {page!r}; pages are {', '.join(names)}")
        book = _Figures(self._results, inference=self._inference, beside=self._other)
        PAGES[names[page]].make(book)
        if not 0 <= number < len(book.shown):
            there = " ".join(f"{place}: {format.plain(one.caption)}" for place, one in enumerate(book.shown))
            raise RequestError(f"the page {page} has no figure {number}; it has {there or 'none'}")
        one = book.shown[number]
        return Drawing(format.plain(one.caption), one.figure.svg, one.figure.png, one.figure.alt)

    def report(self, docs: str | Path = "docs", *, site: str | Path | None = None) -> Path:
        """Write the study's pages into `docs`, build the site (in `site`, beside `docs` unless it is said), and return
        its first page, which opens by double-click.

        Raises NotOursError where a folder holds what this program did not make, RequestError where the pages that are
        there show more results than there are now.
        """
        options = argparse.Namespace(**vars(self._options))
        options.docs, options.site = Path(docs), None if site is None else Path(site)
        with _said_in_python():
            pages.check_report(options, self.study)
            fuller = pages.fewer_than_shown(options, self.study, self._plan)
            if fuller:
                raise RequestError(f"{fuller} They are left as they are; name another folder, or delete them.")
            pages.render(options, self.study, self._plan, self._plan, self._store, self._beside, anew=False)
        return site_of(options.docs, options.site) / "studies" / self.study.name / "index.html"

    # --- what is behind it ---

    @cached_property
    def _results(self) -> Results:
        results = Results(self.study, self._plan, self._store)
        note_look(results, lambda: Inference(results).claims)
        return results

    @cached_property
    def _inference(self) -> Inference:
        return Inference(self._results)

    @cached_property
    def _further(self) -> Mapping[tuple[tuple[str, str, str], str], Tried]:
        return further_tests(self._inference)

    @cached_property
    def _other(self) -> Results | None:
        return None if self._beside is None else Results(*self._beside, self._store)

    def _cell(self, arm: str, dataset: str | None, sampling: str | None) -> tuple[str, str, str]:
        """Data set, arm and sampling, what was left out filled in. Raises RequestError."""
        results = self._results
        dataset = _one("dataset", dataset, results.datasets)
        _one("arm", arm, results.arms)
        there = [s for d, a, s in results.groups if (d, a) == (dataset, arm)]
        if sampling is None and results.reference[1] in there:
            sampling = results.reference[1]
        return dataset, arm, _one("sampling", sampling, there)

    def _run(self, arm: str, replicate: int, dataset: str | None, sampling: str | None) -> Run:
        group = self._results.groups[self._cell(arm, dataset, sampling)]
        for one in group.runs:
            if one.replicate == replicate:
                return one
        raise RequestError(f"{group.name} has no replicate {replicate}; it has 0 to {len(group.runs) - 1}")

    def _done(self, arm: str, replicate: int, dataset: str | None, sampling: str | None) -> Run:
        found = self._run(arm, replicate, dataset, sampling)
        if not found.done:
            raise RequestError(f"{found.name} has no result: {found.outcome.reason}")
        return found

    def _task(self, found: Run, fold: int | None) -> str:
        """The task that trains a run's network, or that of one of its folds. Raises RequestError."""
        folds = len(found.parts)
        if not folds and fold is not None:
            raise RequestError(f"{found.name} has no folds; leave fold= out")
        if not folds:
            return found.task
        if fold is None or not 0 <= fold < folds:
            raise RequestError(f"{found.name} has {format.plural(folds, 'fold')}; name one with fold=, from 0")
        return self._plan.tasks[found.task].needs[f"fold {fold}"]

    def _record(self, task: str, what: str) -> Record:
        outcome = self._results.outcomes[task]
        if outcome.record is None:
            raise RequestError(f"{what} cannot be had: {outcome.reason}")
        return outcome.record


class _Figures(Pages):
    """The figures of a page, in the order in which they are drawn."""

    @cached_property
    def shown(self) -> list[Shown]:
        return []

    def figure(self, name: str, figure: Figure, caption: str, number: str = "") -> Shown:
        self.shown.append(super().figure(name, figure, caption, number))
        return self.shown[-1]

    def drawn(self, name: str, figure: Figure, caption: str) -> Shown:
        self.shown.append(super().drawn(name, figure, caption))
        return self.shown[-1]


def _difference(c: Comparison, words: str) -> Difference:
    """A comparison as it is given to a caller."""
    return Difference(
        c.group.dataset,
        c.group.arm,
        c.group.sampling,
        c.base.arm,
        c.metric,
        c.result.effect,
        c.result.low,
        c.result.high,
        c.p,
        format.verdict_words(c.word),
        c.result.replicates,
        words,
    )


def _one(what: str, word: str | None, choices: Sequence[str]) -> str:
    """The word, or the only choice. Raises RequestError."""
    if word is None and len(choices) == 1:
        return choices[0]
    if word is None:
        raise RequestError(f"say which {what} with {what}=; the study has {', '.join(choices)}")
    if word not in choices:
        raise RequestError(f"there is no {what} {word!r} here; there are {', '.join(choices)}")
    return word


def _options(study: Asked, results: str | Path, data: str | Path | None, **flags: bool) -> argparse.Namespace:
    """The options of the command line that mean the same."""
    options = parser().parse_args(["run", "study"])
    options.study = Path(DICTIONARY) if isinstance(study, Mapping) else Path(study).expanduser()
    options.results = Path(results).expanduser().absolute()  # it stays, whatever becomes of the working directory
    if data is not None:
        options.data = Path(data).expanduser()
    for name, value in flags.items():
        setattr(options, name, value)
    return options


def _asked(study: Asked, options: argparse.Namespace) -> Study:
    if isinstance(study, Mapping):
        unsaid = {} if "extends" in study else _UNSAID  # a file that is extended says it
        return read({**unsaid, **study}, accept_unverified=options.unverified_data)
    return study_by_name(options) or read_study(options)


def _read(study: Asked, options: argparse.Namespace) -> tuple[Study, Plan, tuple[Study, Plan] | None]:
    asked, whole, _ = planned(options, _asked(study, options))
    return asked, whole, study_beside(asked, options)


def _make(options: argparse.Namespace, whole: Plan, store: Store, done: set[str], durations: Durations) -> None:
    """Make the tasks that are not done, and print what failed."""
    from medaug_keras.progress import Progress

    check_results(options.results)
    execute, workers = verbs.executor(options, work=True)
    if not options.quiet:
        print(f"{format.plural(len(whole.tasks), 'task')}, {len(done):,} done already", file=sys.stderr)
    with Progress(
        whole, done=done, durations=durations, workers=workers, quiet=options.quiet, out=sys.stderr
    ) as progress:
        summary = execute(whole, store, listen=progress)
    if summary.interrupted:
        raise KeyboardInterrupt("what is finished stays; the same call goes on")
    if summary.stopped:
        raise RequestError(f"Stopped: {summary.stopped}. What is finished stays; mend this, and the same call goes on.")
    for note in [*summary.notes, *summary.failed.values()]:
        print(note, file=sys.stderr)
    if summary.failed or summary.blocked:
        print(
            f"{format.plural(len(summary.failed), 'task')} failed and {len(summary.blocked)} could not run; the same "
            f"call tries them again. The last lines of each are in {options.results / 'failures'}.",
            file=sys.stderr,
        )


@contextmanager
def _said_in_python() -> Iterator[None]:
    """Messages name the arguments of a function in place of the command line's options."""
    try:
        yield
    except RequestError as error:
        raise RequestError(_in_python(str(error))) from None


def _in_python(text: str) -> str:
    return re.sub(r"--([a-z][a-z-]*)", lambda found: f"`{found[1].replace('-', '_')}`", text)

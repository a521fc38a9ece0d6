"""Records → tables. Numbers stay numbers; `format.py` writes them.

Every function makes one table, and the page names it. A cell without a number says why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from medaug_keras.stats import Estimate, selection

from .format import percent
from .results import METRICS, PAPER_TABLES, SAMPLINGS, Group, Results, Run, printed_value

Kind = Literal["text", "count", "percent", "points", "number", "p", "seconds"]
Part = Literal["sd", "n", "paper"]

STATES = {
    "done": "done",
    "running": "being made",
    "pending": "not run yet",
    "failed": "failed",
    "blocked": "blocked",
    "damaged": "damaged",
}


@dataclass(frozen=True)
class Column:
    """One column. `parts` says what stands beside the number and becomes columns of its own in CSV."""

    key: str
    title: str
    kind: Kind = "text"
    group: str = ""
    parts: tuple[Part, ...] = ()
    help: str = ""


@dataclass(frozen=True)
class Entry:
    """One cell: a number or text, what stands beside it, and where it leads."""

    value: float | int | str | None = None
    sd: float | None = None
    n: int | None = None
    planned: int | None = None
    paper: float | str | None = None
    best: bool = False
    missing: str = ""
    """Why there is no value, or why there are fewer replicates than planned."""
    href: str = ""
    tags: tuple[str, ...] = ()
    """Words set beside the value: simulated, unverified copy, a state."""


@dataclass(frozen=True)
class Row:
    """One row; `factors` are what the page filters by."""

    entries: tuple[Entry, ...]
    factors: Mapping[str, str] = field(default_factory=dict)
    anchor: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page. `name` is its address and the name of its files."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    made_by: str
    notes: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    empty: str = "Nothing to show yet."

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Titles above neighbouring columns, with how many columns each spans."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found

    @property
    def options(self) -> dict[str, list[str]]:
        """Factor → its values, in the order in which they appear."""
        return {name: list(dict.fromkeys(row.factors[name] for row in self.rows)) for name in self.factors}


# --- the paper's tables ----------------------------------------------------------------------------


def dataset_sizes(results: Results, paper: Mapping[str, Any] | None) -> Table:
    """Table 1. The data sets: task, classes and images per split, the paper's printed sizes beside ours."""
    columns = [
        Column("dataset", "Data set"),
        Column("type", "Images"),
        Column("task", "Task"),
        Column("classes", "Classes", "count"),
        Column("channels", "Channels", "count"),
    ]
    part: tuple[Part, ...] = ("paper",) if paper else ()
    columns += [Column(split, split.capitalize(), "count", "Images per split", part) for split in SPLITS]
    rows = []
    for name in results.datasets:
        outcome = results.data(name)
        printed = paper["table1"].get(name) if paper else None
        first = dataset_entry(results, name)
        if outcome.record is None:
            missing = Entry(missing=outcome.reason)
            sizes = tuple(Entry(missing=outcome.reason, paper=_size(printed, split)) for split in SPLITS)
            rows.append(Row((first, Entry(printed["type"] if printed else ""), missing, missing, missing, *sizes)))
            continue
        values = outcome.record.values
        kind = printed["type"] if printed else ("simulated" if values["source"] == "simulated" else "")
        sizes = tuple(Entry(values["splits"][split]["images"], paper=_size(printed, split)) for split in SPLITS)
        described = (
            Entry(kind),
            Entry(values["task"]),
            Entry(len(values["classes"])),
            Entry(values["image_shape"][-1]),
        )
        rows.append(Row((first, *described, *sizes)))
    notes = []
    if any(
        entry.paper is not None and entry.value is not None and entry.paper != entry.value
        for row in rows
        for entry in row.entries
    ):
        notes.append(
            "Where a size differs, the paper's is beside it: MedMNIST removed blank images from the Organ data sets "
            "in version 2.2.4."
        )
    return Table(
        "table-1", "Data sets and their sizes.", tuple(columns), tuple(rows), "tables.dataset_sizes", tuple(notes)
    )


SPLITS = ("train", "validation", "test")


def _size(printed: Mapping[str, Any] | None, split: str) -> int | None:
    return None if printed is None else int(printed["val" if split == "validation" else split])


def geometric(results: Results, paper: Mapping[str, Any] | None) -> Table:
    """Table 2. Test AUC and accuracy of the arms that add no images, for each sampling."""
    pairs = [(arm, sampling) for arm, sampling in results.variants() if not results.generative(arm)]
    titles = {
        ("baseline", "shuffle"): "no GDA or WRS",
        ("baseline", "weighted"): "WRS, no GDA",
        ("gda", "shuffle"): "no WRS, GDA",
        ("gda", "weighted"): "WRS & GDA",
    }
    named = {pair: titles.get(pair, results.variant(*pair)) if paper else results.variant(*pair) for pair in pairs}
    caption = "Test AUC and accuracy (%) without added images."
    return _grid(results, paper, "table-2", caption, "tables.geometric", named)


def generative(results: Results, paper: Mapping[str, Any] | None) -> Table:
    """Table 3. Test AUC and accuracy of the arms that add images, trained on shuffled batches."""
    return _generative(results, paper, "table-3", "shuffle", "tables.generative")


def generative_weighted(results: Results, paper: Mapping[str, Any] | None) -> Table:
    """Table 4. Test AUC and accuracy of the arms that add images, trained with weighted random sampling."""
    return _generative(results, paper, "table-4", "weighted", "tables.generative_weighted")


def _generative(results: Results, paper: Mapping[str, Any] | None, name: str, sampling: str, made_by: str) -> Table:
    pairs = [(arm, s) for arm, s in results.variants() if results.generative(arm) and s == sampling]
    how = "on shuffled batches" if sampling == "shuffle" else "with weighted random sampling"
    caption = f"Test AUC and accuracy (%) with added images, trained {how}."
    table = _grid(results, paper, name, caption, made_by, {pair: results.label(pair[0]) for pair in pairs})
    gda = ("gda", sampling)
    against = [p for p in ((results.reference[0], sampling), gda) if p in results.variants()]
    if not pairs or not against:
        return table
    columns, rows = list(table.columns), []
    part: tuple[Part, ...] = ("paper",) if paper else ()
    for arm, _ in against:
        title = results.label(arm)
        columns.append(Column(f"improved_over.{arm}", title, "points", "Best accuracy here, over", part))
    words = {"shuffle": ("no_gda", "gda"), "weighted": ("wrs_no_gda", "wrs_gda")}[sampling]
    for dataset, row in zip(results.datasets, table.rows, strict=True):
        printed = (paper or {}).get(name.replace("-", ""), {}).get(dataset, {}).get("improved_over", {})
        here = [_mean(results, dataset, pair) for pair in pairs]
        best = max((mean for mean in here if mean is not None), default=None)
        extra = []
        for arm, s in against:
            base = _mean(results, dataset, (arm, s))
            said = printed.get(words[1] if (arm, s) == gda else words[0])
            if best is None or base is None:
                extra.append(Entry(missing="needs results of both", paper=said))
            else:
                extra.append(Entry(best - base, paper=said))
        rows.append(Row((*row.entries, *extra), row.factors))
    note = (
        "The last columns are the difference, in points, between the highest mean accuracy of this table and the arm "
        "named: no test was made of it, and the highest of several is too high by what choosing gains."
    )
    said_note = ("Beside it, whether the paper says that it improved.",) if paper else ()
    return Table(
        name, caption, tuple(columns), tuple(rows), made_by, (*table.notes, note, *said_note), empty=table.empty
    )


def _mean(results: Results, dataset: str, pair: tuple[str, str]) -> float | None:
    group = results.groups.get((dataset, *pair))
    return group.estimate(results.epoch, "test", "accuracy").mean if group else None


def _grid(
    results: Results,
    paper: Mapping[str, Any] | None,
    name: str,
    caption: str,
    made_by: str,
    named: Mapping[tuple[str, str], str],
) -> Table:
    """Data sets down, arms across, AUC and accuracy of each; the best of a row in bold."""
    parts: tuple[Part, ...] = ("sd", "n", "paper") if paper else ("sd", "n")
    columns = [Column("dataset", "Data set")]
    for (arm, sampling), title in named.items():
        for metric, short in (("auc", "AUC"), ("accuracy", "Acc.")):
            columns.append(Column(f"{arm}.{sampling}.{metric}", short, "percent", title, parts))
    rows = []
    for dataset in results.datasets if named else ():
        entries = {}
        for metric in ("auc", "accuracy"):
            found = {p: results.groups.get((dataset, *p)) for p in named}
            entries[metric] = dict(
                zip(found, _row(results, found.values(), metric, paper, dataset, list(named)), strict=True)
            )
        cells = [entries[metric][pair] for pair in named for metric in ("auc", "accuracy")]
        rows.append(Row((dataset_entry(results, dataset), *cells), {"data set": results.title(dataset)}))
    notes = [f"Mean ± standard deviation over n replicates, {_epoch(results)}. Bold: highest mean of a row."]
    if paper:
        notes.append("Small print: the value printed in the paper, from one run.")
    return Table(
        name,
        caption,
        tuple(columns),
        tuple(rows),
        made_by,
        tuple(notes),
        empty="This study has no such arms.",
    )


def _row(
    results: Results,
    groups: Iterable[Group | None],
    metric: str,
    paper: Mapping[str, Any] | None,
    dataset: str,
    pairs: list[tuple[str, str]],
) -> list[Entry]:
    entries = []
    for group, pair in zip(groups, pairs, strict=True):
        said = printed_value(paper, dataset, *pair, metric) if paper else None
        entries.append(measured(group, results.epoch, metric, said))
    texts = [percent(e.value) for e in entries if isinstance(e.value, float)]
    top = max(texts, key=float, default=None) if len(texts) > 1 else None
    return [
        Entry(e.value, e.sd, e.n, e.planned, e.paper, percent(e.value) == top, e.missing, e.href)
        if isinstance(e.value, float)
        else e
        for e in entries
    ]


def measured(group: Group | None, epoch: str, metric: str, paper: float | None = None, split: str = "test") -> Entry:
    """A group's mean with its spread; a dash with the reason where there is none."""
    if group is None:
        return Entry(paper=paper, missing="not part of this study")
    found: Estimate = group.estimate(epoch, split, metric)
    if found.mean is None:
        reason = group.reason or f"{METRICS[metric]} is not defined on this test set"
        return Entry(paper=paper, missing=reason, href=group.page, planned=found.planned)
    return Entry(found.mean, found.sd, found.n, found.planned, paper, missing=group.reason, href=group.page)


def dataset_entry(results: Results, dataset: str) -> Entry:
    """A data set's name with what must be known of it."""
    return Entry(results.title(dataset), href=f"data-sets.html#{dataset}", tags=tuple(results.marks(dataset)))


def _epoch(results: Results) -> str:
    if results.epoch == "last":
        return "of the last epoch"
    return "of the epoch with the best validation accuracy"


def best_models(results: Results, paper: Mapping[str, Any] | None) -> Table:
    """Table 5. The best arm of each data set, chosen on validation data and, as in the paper, on test data."""
    base, weighted = results.reference, (results.reference[0], "weighted")
    both = weighted in results.variants() and weighted != base
    metric, short = results.study.primary, METRICS[results.study.primary]
    part: tuple[Part, ...] = ("paper",) if paper and metric == "accuracy" else ()
    spread: tuple[Part, ...] = ("sd", "n")
    columns = [Column("dataset", "Data set")]
    for choice, title in (
        ("validation", "Chosen on validation data"),
        ("test", "Chosen on test data, as in the paper"),
    ):
        beside = part if choice == "test" else ()
        columns.append(Column(f"{choice}.model", "Model", "text", title, beside))
        columns.append(Column(f"{choice}.{metric}", f"Test {short}", "percent", title, spread))
        columns.append(Column(f"{choice}.gain", f"Over {results.variant(*base)}", "points", title, beside))
        if both:
            columns.append(
                Column(f"{choice}.gain_weighted", f"Over {results.variant(*weighted)}", "points", title, beside)
            )
    columns.append(
        Column("optimism", "Optimism", "points", help="Score chosen on test minus score chosen on validation")
    )
    rows = []
    for dataset in results.datasets:
        said = (paper or {}).get("table5", {}).get(dataset, {}) if part else {}
        entries = [dataset_entry(results, dataset)]
        for choice, chosen in (("validation", results.best), ("test", results.best_on_test)):
            beside = said if choice == "test" else {}
            group = chosen.get(dataset)
            if group is None:
                entries.append(Entry(missing="no run is done", paper=beside.get("model")))
            else:
                entries.append(
                    Entry(
                        results.variant(group.arm, group.sampling),
                        paper=beside.get("model"),
                        href=f"best-models.html#best-{dataset}",
                    )
                )
            entries.append(measured(group, results.epoch, metric) if group else Entry(missing="no run is done"))
            for pair, word in (
                ((base, "gain_over_baseline"), (weighted, "gain_over_wrs")) if both else ((base, "gain_over_baseline"),)
            ):
                entries.append(_gain(results, dataset, group, pair, beside.get(word)))
        entries.append(_optimism(results, dataset))
        rows.append(Row(tuple(entries), {"data set": results.title(dataset)}))
    notes = [
        "Gains are differences of means in points, without a test. Optimism is what choosing the best arm on the test "
        "set, as the paper did, adds to its score compared with choosing it on validation data.",
    ]
    return Table(
        "table-5", "Best model of each data set.", tuple(columns), tuple(rows), "tables.best_models", tuple(notes)
    )


def _gain(results: Results, dataset: str, group: Group | None, pair: tuple[str, str], said: str | None) -> Entry:
    base = results.groups.get((dataset, *pair))
    metric = results.study.primary
    if group is None or base is None:
        return Entry(missing="no run is done", paper=said)
    a = group.estimate(results.epoch, "test", metric).mean
    b = base.estimate(results.epoch, "test", metric).mean
    if a is None or b is None:
        return Entry(missing=base.reason or group.reason, paper=said, href=base.page)
    return Entry(a - b, paper=said, href=base.page)


def _optimism(results: Results, dataset: str) -> Entry:
    metric, nan = results.study.primary, float("nan")
    groups = [group for (name, *_), group in results.groups.items() if name == dataset]

    def scores(split: str) -> list[list[float]]:
        replicates = sorted({run.replicate for group in groups for run in group.runs})
        rows = []
        for group in groups:
            found = {run.replicate: run.metric(results.epoch, split, metric) for run in group.done}
            rows.append([nan if (value := found.get(r)) is None else value for r in replicates])
        return rows

    chosen = selection(scores("validation"), scores("test")) if groups else None
    return Entry(missing="no run is done") if chosen is None else Entry(chosen.optimism)


# --- our own ---------------------------------------------------------------------------------------


def all_arms(results: Results) -> Table:
    """Every data set, arm and sampling with all metrics: the long table behind Tables 2 to 5."""
    columns = [Column("dataset", "Data set"), Column("arm", "Arm"), Column("sampling", "Sampling")]
    columns += [Column(metric, title, "percent", "Test (%)", ("sd", "n")) for metric, title in METRICS.items()]
    columns.append(Column("validation", "Accuracy", "percent", "Validation (%)", ("sd",)))
    columns.append(Column("training_images", "Training images", "count"))
    rows = []
    for (dataset, arm, sampling), group in results.groups.items():
        factors = _factors(results, dataset, arm, sampling)
        images = group.done[0].record.values["training_images"] if group.done else None
        rows.append(
            Row(
                (
                    dataset_entry(results, dataset),
                    Entry(results.label(arm)),
                    Entry(SAMPLINGS[sampling]),
                    *(measured(group, results.epoch, metric) for metric in METRICS),
                    measured(group, results.epoch, "accuracy", split="validation"),
                    Entry(images, missing="" if images else group.reason),
                ),
                factors,
            )
        )
    return Table(
        "all-arms",
        "All metrics of every arm.",
        tuple(columns),
        tuple(rows),
        "tables.all_arms",
        (f"Mean ± standard deviation over n replicates, {_epoch(results)}.",),
        ("data set", "arm", "sampling"),
    )


def _factors(results: Results, dataset: str, arm: str, sampling: str) -> dict[str, str]:
    return {"data set": results.title(dataset), "arm": results.label(arm), "sampling": SAMPLINGS[sampling]}


def runs(results: Results) -> Table:
    """Every run of the study, done or not."""
    columns = (
        Column("run", "Run"),
        Column("arm", "Arm"),
        Column("sampling", "Sampling"),
        Column("replicate", "Replicate", "count"),
        Column("status", "Status"),
        Column("test_accuracy", "Accuracy", "percent", "Test (%)"),
        Column("test_auc", "AUC", "percent", "Test (%)"),
        Column("val_accuracy", "Accuracy", "percent", "Validation (%)"),
        Column("best_epoch", "Best epoch", "count"),
        Column("seconds", "Time", "seconds"),
    )
    rows = []
    seen: set[str] = set()
    for run in results.runs:
        name = f"{run.dataset}.{run.arm}.{run.sampling}"
        anchor = "" if name in seen else name
        seen.add(name)
        head = (
            Entry(results.title(run.dataset), href=run.page, tags=tuple(results.marks(run.dataset))),
            Entry(results.label(run.arm)),
            Entry(SAMPLINGS[run.sampling]),
            Entry(run.replicate),
            Entry(STATES[run.outcome.state], missing="" if run.done else run.outcome.reason),
        )
        rows.append(
            Row(
                (*head, *_run_numbers(results, run)),
                {**_factors(results, run.dataset, run.arm, run.sampling), "status": STATES[run.outcome.state]},
                anchor,
            )
        )
    return Table(
        "runs",
        "All runs.",
        columns,
        tuple(rows),
        "tables.runs",
        (f"Metrics {_epoch(results)}.",),
        ("data set", "arm", "sampling", "status"),
    )


def _run_numbers(results: Results, run: Run) -> list[Entry]:
    if not run.done:
        return [Entry(missing=run.outcome.reason)] * 5
    metrics = (("test", "accuracy"), ("test", "auc"), ("validation", "accuracy"))
    found = [run.metric(results.epoch, split, metric) for split, metric in metrics]
    return [
        *(Entry(value, missing="" if value is not None else "not defined on this split") for value in found),
        Entry(run.record.values["best_epoch"]),
        Entry(seconds(run)),
    ]


def seconds(run: Run) -> float | None:
    """How long a done run took, by the clock of its machine."""
    value = run.record.run.get("seconds")
    return None if value is None else float(value)


RUNS_CSV = (
    "dataset",
    "arm",
    "sampling",
    "replicate",
    "status",
    "test_auc",
    "test_accuracy",
    "val_auc",
    "val_accuracy",
    "best_epoch",
    "last_test_auc",
    "last_test_accuracy",
    "seconds",
    "key",
)


def run_records(results: Results) -> list[dict[str, Any]]:
    """Every run with the columns of data/runs.csv; metrics as fractions, None where there is no value."""
    found = []
    for run in results.runs:
        row: dict[str, Any] = dict.fromkeys(RUNS_CSV)
        row.update(dataset=run.dataset, arm=run.arm, sampling=run.sampling, replicate=run.replicate)
        row.update(status=run.outcome.state, key=results.plan.tasks[run.task].key)
        if run.done:
            row.update(
                test_auc=run.metric("best", "test", "auc"),
                test_accuracy=run.metric("best", "test", "accuracy"),
                val_auc=run.metric("best", "validation", "auc"),
                val_accuracy=run.metric("best", "validation", "accuracy"),
                best_epoch=run.record.values["best_epoch"],
                last_test_auc=run.metric("last", "test", "auc"),
                last_test_accuracy=run.metric("last", "test", "accuracy"),
                seconds=seconds(run),
            )
        found.append(row)
    return found


def against_the_paper(results: Results, paper: Mapping[str, Any]) -> Table:
    """Every printed test metric of the paper's Tables 2 to 4 beside ours."""
    columns = (
        Column("dataset", "Data set"),
        Column("table", "Table"),
        Column("arm", "Arm"),
        Column("sampling", "Sampling"),
        Column("metric", "Metric"),
        Column("printed", "Printed", "percent"),
        Column("ours", "Ours", "percent", "", ("sd", "n")),
        Column("low", "Lowest", "percent", "Our replicates"),
        Column("high", "Highest", "percent", "Our replicates"),
        Column("difference", "Ours − printed", "points"),
        Column("within", "Within our range?"),
    )
    rows = []
    for dataset in results.datasets:
        for number, (table, cells) in enumerate(PAPER_TABLES.items(), 2):
            if dataset not in paper[table]:
                continue
            for arm, sampling in cells.values():
                for metric in ("auc", "accuracy"):
                    said = printed_value(paper, dataset, arm, sampling, metric)
                    group = results.groups.get((dataset, arm, sampling))
                    label = results.label(arm) if group else arm
                    ours = measured(group, results.epoch, metric)
                    values = group.values(results.epoch, "test", metric) if group else []
                    factors = {
                        "data set": results.title(dataset),
                        "arm": label,
                        "sampling": SAMPLINGS[sampling],
                        "metric": METRICS[metric],
                    }
                    head = (
                        dataset_entry(results, dataset),
                        Entry(f"Table {number}", href=f"results.html#table-{number}"),
                        Entry(label),
                        Entry(SAMPLINGS[sampling]),
                        Entry(METRICS[metric]),
                        Entry(said),
                        ours,
                    )
                    rows.append(Row((*head, *_beside(said, values, ours)), factors))
    return Table(
        "against-the-paper",
        "Every printed test AUC and accuracy beside ours.",
        columns,
        tuple(rows),
        "tables.against_the_paper",
        (
            f"Ours is the mean ± standard deviation over n replicates, {_epoch(results)}. A printed value comes from one "
            "run: that it lies outside the range of a few replicates of ours does not show that it is wrong, nor that "
            "it lies inside that it is right.",
        ),
        ("data set", "arm", "sampling", "metric"),
        empty="This study has no data set of the paper.",
    )


def _beside(said: float | None, values: list[float], ours: Entry) -> list[Entry]:
    if not values or said is None or not isinstance(ours.value, float):
        return [Entry(missing=ours.missing)] * 4
    low, high = min(values), max(values)
    if len(values) == 1:
        word = Entry(missing="one replicate has no range")
    else:
        # Printed values are rounded to two decimals of a percent; so is the range they are held against.
        word = Entry("yes" if percent(low) <= percent(said) <= percent(high) or low <= said <= high else "no")
    return [Entry(low), Entry(high), Entry(ours.value - said), word]

"""All metrics, all runs, and every printed value beside ours."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medaug_keras.evaluation import scores
from medaug_keras.measures import MEASURES
from medaug_keras.plan import trained_images
from medaug_keras.references import PrintedTable, Reference
from medaug_keras.report.format import together
from medaug_keras.report.numbers.results import (
    DEGENERATE,
    METRICS,
    SAMPLINGS,
    STATE_WORDS,
    Group,
    Results,
    Run,
    least_recall,
    tuning_measure,
)
from medaug_keras.report.tables.table import (
    ARM,
    DATASET,
    LARGEST_CLASS,
    Column,
    Entry,
    Kind,
    Part,
    Row,
    Table,
    dataset_entry,
    epoch_words,
    largest_class,
    measured,
    notes_of,
    variant_entry,
)
from medaug_keras.spec import differences, dump


def all_arms(results: Results) -> Table:
    """Every data set, arm and sampling with all metrics: the long table behind the others."""
    columns = [DATASET, ARM, LARGEST_CLASS]
    metrics = [*METRICS, "least_recall"]
    columns += [Column(metric, MEASURES[metric].label, "percent", "Test (%)", ("sd", "n")) for metric in metrics]
    columns.append(Column("validation", "Accuracy", "percent", "Validation (%)", ("sd",), extra=True))
    columns.append(Column("training_images", "Training images", "count", extra=True))
    seen = "Images that passed in training, each as often as it did; mean of the replicates"
    columns.append(Column("images_seen", "Passed", "count", help=seen, extra=True))
    rows = []
    for (dataset, arm, sampling), group in results.groups.items():
        factors = _factors(results, dataset, arm, sampling)
        images = group.done[0].record.values["training_images"] if group.done else None
        rows.append(
            Row(
                (
                    dataset_entry(results, dataset),
                    variant_entry(results, arm, sampling),
                    largest_class(results, dataset),
                    *(measured(group, results.select, metric) for metric in metrics),
                    measured(group, results.select, "accuracy", split="validation"),
                    Entry(images, missing="" if images else group.reason),
                    Entry(_passed(results, group), missing="" if images else group.reason),
                ),
                factors,
            )
        )
    return Table(
        "all-arms",
        "All metrics of every arm.",
        tuple(columns),
        tuple(rows),
        "tables.runs.all_arms",
        (f"Mean ± standard deviation over n replicates, {epoch_words(results)}.", *notes_of(rows)),
        ("data set", "arm", "sampling"),
    )


def _passed(results: Results, group: Group) -> int | None:
    """Images that passed in training, mean of the replicates and their folds; None of none."""
    records = [part.record or run.record for run in group.done for part in run.parts or (run.outcome,)]
    params = results.training(group.runs[0].task).params
    first = results.pretraining(group.runs[0].task)
    passed = [
        trained_images(
            params["settings"],
            one.values["training_images"],
            one.values["epochs"],
            (first, one.values.get("pretraining_images", 0)),
        )
        for one in records
    ]
    return round(sum(passed) / len(passed)) if passed else None


def learning_rates(results: Results) -> Table:
    """The learning rate that tuning chose for every arm, and what each value scored on the validation images."""
    tune = results.study.classifier.tune
    values = tune.learning_rate if tune is not None else ()
    kind: Kind = "number" if results.study.tuned_by == "best_validation_loss" else "percent"
    by = f"Mean {tuning_measure(results.study.tuned_by)}" + (" (%)" if kind == "percent" else "")
    columns = [DATASET, ARM, Column("chosen", "Chosen")]
    columns += [Column(f"learning_rate_{value:g}", f"{value:g}", kind, by) for value in values]
    rows = []
    for (dataset, arm, sampling), group in results.groups.items():
        tuned = [one for run in group.done for one in run.tuned]
        if not results.folds(dataset):
            tuned = tuned[:1]  # all replicates have the same
        chosen = Counter(one["learning_rate"] for one in tuned)
        said = ", ".join(
            f"{value:g}" + (f" ({chosen[value]} of {len(tuned)} folds)" if len(tuned) > 1 else "")
            for value in values
            if chosen[value]
        )
        ends = {max(values): "largest tried", min(values): "smallest tried"} if values else {}
        tags = tuple(word for end, word in ends.items() if chosen[end])
        rows.append(
            Row(
                (
                    dataset_entry(results, dataset),
                    variant_entry(results, arm, sampling),
                    Entry(said or None, missing="" if said else group.reason, tags=tags),
                    *(_tried(tuned, place, len(chosen) == 1, group.reason) for place in range(len(values))),
                ),
                _factors(results, dataset, arm, sampling),
            )
        )
    tagged = any(row.entries[2].tags for row in rows)
    beyond = " “largest tried” and “smallest tried”: beyond it, a better one may lie." if tagged else ""
    notes = (f"No test image is used.{beyond}",)
    return Table(
        "learning-rates",
        "Learning rates: what each value scored on the validation images, and which was chosen.",
        tuple(columns),
        tuple(rows),
        "tables.runs.learning_rates",
        notes,
        ("data set", "arm", "sampling"),
    )


def _tried(tuned: Sequence[Mapping[str, Any]], place: int, same: bool, reason: str) -> Entry:
    """What one of the learning rates scored; `same`: whether all folds chose one value, which is then marked."""
    runs = [one["tried"][place] for one in tuned]
    scores = [score for one in runs for score in one["validation"] if score is not None]
    if any(one["diverged"] for one in runs):
        return Entry(missing="training diverged")
    if not scores:
        return Entry(missing=reason or "not defined on these images")
    best = same and runs[0]["learning_rate"] == tuned[0]["learning_rate"]
    return Entry(sum(scores) / len(scores), best=best)


def ensembles(results: Results) -> Table:
    """What the mean of the replicates' probabilities scores on the test images, where at least two are done."""
    metrics = [*METRICS, "least_recall"]
    columns = [DATASET, ARM, Column("networks", "Networks", "count")]
    columns += [Column(metric, MEASURES[metric].label, "percent", "Test (%)") for metric in metrics]
    rows = []
    for (dataset, arm, sampling), group in results.groups.items():
        found = _scores_together(results, group) if len(group.done) > 1 else {}
        why = group.reason or "it takes two replicates"
        if found:
            found["least_recall"] = least_recall(found)
            why = "not defined on this test set"
        rows.append(
            Row(
                (
                    dataset_entry(results, dataset),
                    variant_entry(results, arm, sampling),
                    Entry(len(group.done)),
                    *(
                        Entry(found.get(metric), missing="" if found.get(metric) is not None else why)
                        for metric in metrics
                    ),
                ),
                _factors(results, dataset, arm, sampling),
            )
        )
    return Table(
        "ensembles",
        "Ensembles: the mean of the replicates' probabilities.",
        tuple(columns),
        tuple(rows),
        "tables.runs.ensembles",
        (
            f"Test images, {epoch_words(results)} of each network. An ensemble is one classifier: it has no spread "
            "over replicates and no interval, and says nothing of how a single training comes out.",
        ),
        ("data set", "arm", "sampling"),
    )


def _scores_together(results: Results, group: Group) -> dict[str, Any]:
    """The metrics of the mean probabilities of a group's runs."""
    total: Any = 0
    for run in group.done:
        with np.load(run.record.folder / "predictions.npz", allow_pickle=False) as file:
            total = total + file[f"test_{run.selected(results.select)}"].astype(np.float64)
            labels, folds = file["test_labels"], file.get("test_folds")
    return scores(labels, total / len(group.done), folds)


def _factors(results: Results, dataset: str, arm: str, sampling: str) -> dict[str, str]:
    return {"data set": results.title(dataset), "arm": results.label(arm), "sampling": SAMPLINGS[sampling]}


def runs(results: Results) -> Table:
    """Every run of the study, done or not."""
    columns = (
        Column("run", "Run", parts=("name",)),
        ARM,
        Column("replicate", "Replicate", "count"),
        Column("status", "Status", reasons=True),
        Column("test_accuracy", "Accuracy", "percent", "Test (%)"),
        Column("test_auc", "AUC", "percent", "Test (%)"),
        Column("val_accuracy", "Accuracy", "percent", "Validation (%)"),
        Column("epoch", "Epoch", "count", help="Of these metrics, from 1"),
        Column("degenerate", "Degenerate", "sentence"),
        Column("seconds", "Time", "seconds"),
    )
    rows = []
    seen: set[str] = set()
    for run in results.runs:
        name = f"{run.dataset}.{run.arm}.{run.sampling}"
        anchor = "" if name in seen else name
        seen.add(name)
        head = (
            replace(dataset_entry(results, run.dataset), href=run.page),
            variant_entry(results, run.arm, run.sampling),
            Entry(run.replicate),
            Entry(STATE_WORDS[run.outcome.state], missing="" if run.done else run.outcome.reason),
        )
        rows.append(
            Row(
                (*head, *_run_numbers(results, run)),
                {**_factors(results, run.dataset, run.arm, run.sampling), "status": STATE_WORDS[run.outcome.state]},
                anchor,
            )
        )
    return Table(
        "all-runs",  # data/runs.csv is the file that scripts rely on, with names instead of titles
        "All runs.",
        columns,
        tuple(rows),
        "tables.runs.runs",
        (
            f"Metrics {epoch_words(results)}."
            + (" Where there are folds, each has its own epoch." if any(map(results.folds, results.datasets)) else ""),
        ),
        ("data set", "arm", "sampling", "status"),
    )


def groups(results: Results) -> Table:
    """The replicates of an arm in one row each, where the study has too many runs for a row of their own."""
    columns = (
        Column("run", "Runs of", parts=("name",)),
        ARM,
        Column("done", "done", "count", "Replicates", reasons=True),
        Column("planned", "planned", "count", "Replicates"),
        Column("test_accuracy", "Accuracy", "percent", "Test (%)", ("sd",)),
        Column("test_auc", "AUC", "percent", "Test (%)", ("sd",)),
        Column("val_accuracy", "Accuracy", "percent", "Validation (%)", ("sd",)),
        Column("seconds", "Time", "seconds"),
    )
    rows = []
    for (dataset, arm, sampling), group in results.groups.items():
        times = [seconds(run) for run in group.done]
        spent = None if not times or None in times else sum(time for time in times if time is not None)
        rows.append(
            Row(
                (
                    Entry(
                        results.title(dataset),
                        href=group.page if group.tried else "",
                        tags=tuple(results.marks(dataset)),
                        name=dataset,
                    ),
                    variant_entry(results, arm, sampling),
                    Entry(len(group.done), missing=group.reason),
                    Entry(len(group.runs)),
                    *(replace(measured(group, results.select, metric), href="") for metric in ("accuracy", "auc")),
                    replace(measured(group, results.select, "accuracy", split="validation"), href=""),
                    Entry(spent, missing="" if spent is not None else group.reason or "not known"),
                ),
                _factors(results, dataset, arm, sampling),
                group.name,
            )
        )
    return Table(
        "runs-by-arm",
        "All runs, the replicates of an arm in one row.",
        columns,
        tuple(rows),
        "tables.runs.groups",
        (f"Mean ± standard deviation over the replicates done, {epoch_words(results)}; time of all together.",),
        ("data set", "arm", "sampling"),
    )


def _run_numbers(results: Results, run: Run) -> list[Entry]:
    if not run.done:
        return [Entry(missing=run.outcome.reason)] * 6
    metrics = (("test", "accuracy"), ("test", "auc"), ("validation", "accuracy"))
    found = [run.metric(results.select, split, metric) for split, metric in metrics]
    return [
        *(Entry(value, missing="" if value is not None else "not defined on this split") for value in found),
        Entry(run.epoch(results.select), missing="each fold has its own" if run.folds else ""),
        Entry("; ".join(DEGENERATE[sign] for sign in run.degenerate(results.select)) or "no"),
        Entry(seconds(run)),
    ]


def seconds(run: Run) -> float | None:
    """How long a done run took, its folds together, by the clock of its machine."""
    times = run.times(lambda record: record.spent)
    return sum(times) if times else None


RUNS_CSV = (
    "dataset",
    "arm",
    "sampling",
    "replicate",
    "status",
    "test_auc",
    "test_accuracy",
    "test_balanced_accuracy",
    "val_auc",
    "val_accuracy",
    "epoch",
    "degenerate",
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
                test_auc=run.metric(results.select, "test", "auc"),
                test_accuracy=run.metric(results.select, "test", "accuracy"),
                test_balanced_accuracy=run.metric(results.select, "test", "balanced_accuracy"),
                val_auc=run.metric(results.select, "validation", "auc"),
                val_accuracy=run.metric(results.select, "validation", "accuracy"),
                epoch=run.epoch(results.select),
                degenerate="; ".join(run.degenerate(results.select)),
                last_test_auc=run.metric("last", "test", "auc"),
                last_test_accuracy=run.metric("last", "test", "accuracy"),
                seconds=seconds(run),
            )
        found.append(row)
    return found


def against(results: Results, reference: Reference, other: Results | None = None) -> Table:
    """Every printed test metric of a reference that stands beside ours, and beside another study's.

    Rows in which we have a number come first.
    """
    columns = (
        DATASET,
        Column("table", "Table"),
        ARM,
        Column("metric", "Metric"),
        Column(
            "printed", "Printed", "percent", "", ("sd",) if any(table.spreads for table in reference.tables) else ()
        ),
        *([Column("beside", f"Study {other.study.name}", "percent", "", ("sd", "n"))] if other else []),
        Column("ours", "This study" if other else "Ours", "percent", "", ("sd", "n")),
        Column("low", "Lowest", "percent", "Our replicates"),
        Column("high", "Highest", "percent", "Our replicates"),
        Column("difference", "Ours − printed", "points"),
        Column("within", "Within our range?"),
    )
    rows = []
    for dataset in results.datasets:
        for table in reference.tables:
            for word, values in table.scores.get(dataset, {}).items():
                for metric in values:
                    rows.append(_against(results, reference, table, dataset, word, metric, other))
    ours = [column.key for column in columns].index("ours")
    rows.sort(key=lambda row: row.entries[ours].value is None)  # stable: otherwise in the order of the reference
    return Table(
        f"against-{reference.name}",
        "Every printed test metric beside ours.",
        columns,
        tuple(rows),
        "tables.runs.against",
        (
            f"Ours is the mean ± standard deviation over n replicates, {epoch_words(results)}. That a printed value "
            "lies outside the range of a few replicates does not show that it is wrong, nor that it lies inside that "
            f"it is right. {reference.caution}".strip(),
        ),
        ("data set", "arm", "sampling", "metric"),
        empty=f"{reference.called[:1].upper()}{reference.called[1:]} printed no score of a data set of this study, "
        "with its network and images of its size.",
    )


def printed_scores(results: Results, reference: Reference) -> Table:
    """Every test metric that a reference printed of several networks or sizes, on this study's data sets.

    `reference` is the whole one, not what of it stands beside the study.
    """
    tables = [table for table in reference.tables if table.scores]
    there = [dataset for dataset in results.datasets if any(dataset in table.scores for table in tables)]
    metrics = dict.fromkeys(m for t in tables for row in t.scores.values() for values in row.values() for m in values)
    parts: tuple[Part, ...] = ("sd",) if any(table.spreads for table in tables) else ()
    columns = [DATASET, *([Column("table", "Table")] if len(tables) > 1 else [])]
    columns += [
        Column(f"{word}.{metric}", METRICS[metric], "percent", cell.label, parts)
        for word, cell in reference.cells.items()
        for metric in metrics
    ]
    rows = []
    for dataset in there:
        for table in tables:
            scores, spreads = (of.get(dataset, {}) for of in (table.scores, table.spreads))
            cells = [
                Entry(
                    _fraction(scores.get(word, {}).get(metric)),
                    sd=_fraction(spreads.get(word, {}).get(metric)),
                    missing=table.absent,
                )
                for word in reference.cells
                for metric in metrics
            ]
            head = [dataset_entry(results, dataset), *([Entry(table.number)] if len(tables) > 1 else [])]
            rows.append(Row((*head, *cells), {"data set": results.title(dataset)}))
    notes = [f"A dash: {together(dict.fromkeys(table.absent for table in tables))}.", reference.caution]
    spread = "Mean ± standard deviation, as printed." if parts else ""
    return Table(
        f"printed-{reference.name}",
        f"What {reference.called} printed (%).",
        tuple(columns),
        tuple(rows),
        "tables.runs.printed_scores",
        tuple(filter(None, [spread, *notes])),
        empty=f"{reference.called[:1].upper()}{reference.called[1:]} printed no score of a data set of this study.",
    )


def _fraction(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _against(
    results: Results,
    reference: Reference,
    table: PrintedTable,
    dataset: str,
    word: str,
    metric: str,
    other: Results | None,
) -> Row:
    cell = reference.cells[word]
    arm, sampling = cell.arm or "", cell.sampling  # a cell without an arm has no score here
    value = reference.score(dataset, arm, sampling, metric)
    group = results.groups.get((dataset, arm, sampling))
    known, name = arm in results.study.arms, f"{arm}.{sampling}"
    ours = measured(group, results.select, metric)
    values = group.values(results.select, "test", metric) if group else []
    factors = {
        "data set": results.title(dataset),
        "arm": results.label(arm) if known else arm,
        "sampling": SAMPLINGS[sampling],
        "metric": METRICS[metric],
    }
    head = (
        dataset_entry(results, dataset),
        Entry(table.number, href=f"results.html#{table.shows}"),
        variant_entry(results, arm, sampling) if known else Entry(name, name=name),
        Entry(METRICS[metric]),
        Entry(value, sd=_fraction(table.spreads.get(dataset, {}).get(word, {}).get(metric))),
        *([_elsewhere(other, dataset, arm, sampling, metric)] if other else []),
        ours,
    )
    return Row((*head, *_beside(value, values, ours)), factors)


def _elsewhere(other: Results, dataset: str, arm: str, sampling: str, metric: str) -> Entry:
    """The number of another study, whose pages may not be there to link to."""
    return replace(measured(other.groups.get((dataset, arm, sampling)), other.select, metric), href="")


def differing_settings(results: Results, other: Results) -> Table:
    """The settings in which this study differs from the one shown beside it."""
    here, there = (dump(r.study) for r in (results, other))
    for study in (here, there):  # what is only shown, and data sets that one of them leaves out
        for word in ("name", "title", "question", "beside", "paper", "references", "predictions", "datasets"):
            del study[word]
    for section in ("arms", "generators"):  # an arm that only one has is one line, not one for each setting
        for name in here[section].keys() ^ there[section].keys():
            for study in (here, there):
                study[section][name] = "there" if name in study[section] else None
    rows = [
        Row((Entry(name), Entry(_setting(old)), Entry(_setting(new))))
        for name, (old, new) in differences(there, here).items()
        if not name.endswith(".label")
    ]
    return Table(
        "differing-settings",
        f"Settings in which this study differs from “{other.study.title}”.",
        (Column("setting", "Setting"), Column("beside", f"Study {other.study.name}"), Column("here", "This study")),
        tuple(rows),
        "tables.runs.differing_settings",
        empty="The two studies differ in their data sets only.",
    )


def _setting(value: Any) -> str:
    return "not there" if value is None else str(value)


def _beside(value: float | None, values: list[float], ours: Entry) -> list[Entry]:
    if not values or value is None or not isinstance(ours.value, float):
        return [Entry(missing=ours.missing)] * 4
    low, high = min(values), max(values)
    if len(values) == 1:
        word = Entry(missing="one replicate has no range")
    else:
        # Printed values are rounded to two decimals of a percent; so is the range they are held against.
        printed = [round(100 * value, 2) for value in (low, value, high)]
        word = Entry("yes" if printed == sorted(printed) or low <= value <= high else "no")
    return [Entry(low), Entry(high), Entry(ours.value - value), word]

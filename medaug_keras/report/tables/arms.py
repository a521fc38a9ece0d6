"""Data sets down, arms across: sizes, scores and the best arm, with what references printed beside.

Every function makes one table, and the page names it. A cell without a number says why.
"""

from collections.abc import Mapping
from dataclasses import replace

from medaug_keras.references import Best, Reference, TableName
from medaug_keras.report.format import in_sentence, percent, together
from medaug_keras.report.numbers import printed
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.printed import Printed
from medaug_keras.report.numbers.results import METRICS, Group, Results
from medaug_keras.report.tables.table import (
    DATASET,
    LARGEST_CLASS,
    Column,
    Entry,
    Part,
    Row,
    Table,
    comparison_tags,
    dataset_entry,
    epoch_words,
    largest_class,
    measured,
    notes_of,
    variant_entry,
)
from medaug_keras.stats import selection

SPLITS = ("train", "validation", "test")


def dataset_sizes(results: Results) -> Table:
    """The data sets: task, classes and images per split, printed sizes beside ours."""
    columns = [
        DATASET,
        Column("type", "Images"),
        Column("task", "Task"),
        Column("classes", "Classes", "count"),
        Column("channels", "Channels", "count"),
    ]
    beside = _beside(results, "data-set-sizes")
    columns += [Column(split, split.capitalize(), "count", "Images per split", printed=beside) for split in SPLITS]
    rows = []
    for name in results.datasets:
        outcome = results.data(name)
        kind = next((found.type for r in results.references if (found := r.sizes(name)) is not None), "")
        first = dataset_entry(results, name)
        if outcome.record is None:
            missing = Entry(missing=outcome.reason)
            sizes = tuple(Entry(missing=outcome.reason, printed=_sizes(results, name, split)) for split in SPLITS)
            rows.append(Row((first, Entry(kind), missing, missing, missing, *sizes)))
            continue
        values = outcome.record.values
        sizes = tuple(
            Entry(
                getattr(results.plan.sources[name], split)
                if results.folds(name)
                else values["splits"][split]["images"],
                printed=_sizes(results, name, split),
            )
            for split in SPLITS
        )
        described = (
            Entry(kind or ("simulated" if values["source"] == "simulated" else "")),
            Entry(values["task"]),
            Entry(len(values["classes"])),
            Entry(values["image_shape"][-1]),
        )
        rows.append(Row((first, *described, *sizes)))
    if not any(row.entries[1].value for row in rows):  # nobody says what kind of images they are
        columns.pop(1)
        rows = [Row((row.entries[0], *row.entries[2:])) for row in rows]
    notes = []
    folded = [f"{results.title(name)} ({results.folds(name)})" for name in results.datasets if results.folds(name)]
    if folded:
        notes.append(f"With folds: {together(folded)}. Sizes are those of one fold, on average.")
    if any(
        value != entry.value
        for row in rows
        for entry in row.entries
        for _, value in entry.printed
        if entry.value is not None
    ):
        notes += ["Where a size differs, the printed one is beside it.", *_table_notes(results, "data-set-sizes")]
    caption = "Data sets and their sizes."
    return Table("data-set-sizes", caption, tuple(columns), tuple(rows), "tables.arms.dataset_sizes", tuple(notes))


def _sizes(results: Results, dataset: str, split: str) -> Printed:
    found = ((reference.short, reference.sizes(dataset)) for reference in results.references)
    return tuple((short, getattr(sizes, split)) for short, sizes in found if sizes is not None)


def _beside(results: Results, name: TableName) -> tuple[str, ...]:
    """Short names of the references that have this table."""
    return tuple(reference.short for reference in results.references if reference.table(name) is not None)


def _table_notes(results: Results, name: TableName) -> list[str]:
    """What the references that have this table say of theirs."""
    tables = [reference.table(name) for reference in results.references]
    return [table.note for table in tables if table is not None and table.note]


def without_added_images(results: Results, inference: Inference) -> Table:
    """Test AUC and accuracy of the arms that add no images, for each sampling."""
    pairs = [(arm, sampling) for arm, sampling in results.variants() if not results.generative(arm)]
    named = {pair: results.variant(*pair) for pair in pairs}
    caption = "Test AUC and accuracy (%) without added images."
    return _grid(results, inference, "without-added-images", caption, "tables.arms.without_added_images", named)


def with_added_images(results: Results, inference: Inference) -> Table:
    """Test AUC and accuracy of the arms that add images, trained on shuffled batches."""
    return _added(results, inference, "with-added-images", "shuffle", "tables.arms.with_added_images")


def with_added_images_weighted(results: Results, inference: Inference) -> Table:
    """Test AUC and accuracy of the arms that add images, trained on weighted batches."""
    return _added(
        results, inference, "with-added-images-weighted", "weighted", "tables.arms.with_added_images_weighted"
    )


def _added(results: Results, inference: Inference, name: TableName, sampling: str, made_by: str) -> Table:
    pairs = [(arm, s) for arm, s in results.variants() if results.generative(arm) and s == sampling]
    how = "on shuffled batches" if sampling == "shuffle" else "on weighted batches"
    caption = f"Test AUC and accuracy (%) with added images, trained {how}."
    table = _grid(results, inference, name, caption, made_by, {pair: results.variant(*pair) for pair in pairs})
    alone = [results.variant(*pair) for pair in pairs if results.study.arms[pair[0]].replace is not None]
    if alone:
        note = f"{together(alone)}: trained on generated images alone."
        table = replace(table, notes=(*table.notes, note))
    against = _compared(results, name, sampling)
    judged = [pair for pair in pairs if results.generator(pair[0])]  # copies of real images are a control
    if not judged or not against:
        return table
    beside = tuple(r.short for r in results.references if (table_ := r.table(name)) and table_.improved_over)
    group = f"Best by {in_sentence(METRICS[results.study.primary])}, against"
    columns = [
        Column(f"over.{arm}", results.variant(arm, s), "verdict", group, ("p",), printed=beside) for arm, s in against
    ]
    rows = []
    for dataset, row in zip(results.datasets, table.rows, strict=True):
        extra = []
        for pair in against:
            theirs = _improved(results, name, dataset, pair)
            found = inference.best_over(dataset, judged, pair)
            if found is None:
                extra.append(Entry(missing="no result of one of the two", printed=theirs))
            else:
                why = found.result.reason or ""
                tags = comparison_tags(found, results.select)
                href = found.group.page
                extra.append(Entry(found.word, p=found.p, printed=theirs, missing=why, href=href, tags=tags))
        rows.append(Row((*row.entries, *extra), row.factors))
    notes = [
        *table.notes,
        "Last columns: the generator's arm with the highest mean of this table against the arm named. "
        + _OF_TESTS.format(baseline=results.variant(*results.reference)),
    ]
    if beside:
        notes.append("Below it, whether it is printed that the best improved. " + " ".join(_table_notes(results, name)))
    return replace(table, columns=(*table.columns, *columns), rows=tuple(rows), notes=tuple(notes))


_OF_TESTS = (
    "Against {baseline}, verdict and p are those of the study's own test, corrected over all arms of the data set "
    "(Holm, 5 %). Against another arm they are exploratory: corrected likewise, but not declared beforehand."
)


def _compared(results: Results, name: TableName, sampling: str) -> list[tuple[str, str]]:
    """What the best arm is compared with: the baseline, and the cells that a reference compares its best with."""
    found = [(results.reference[0], sampling)]
    for reference in results.references:
        table = reference.table(name)
        words = dict.fromkeys(word for row in table.improved_over.values() for word in row) if table else {}
        found += [(reference.cells[word].arm or "", reference.cells[word].sampling) for word in words]
    return [pair for pair in dict.fromkeys(found) if pair in results.variants() and not results.generative(pair[0])]


def _improved(results: Results, name: TableName, dataset: str, over: tuple[str, str]) -> Printed:
    found = []
    for reference in results.references:
        table = reference.table(name)
        theirs = table.improved_over.get(dataset, {}).get(reference.word(*over) or "") if table else None
        if theirs is not None:
            found.append((reference.short, theirs))
    return tuple(found)


MOST_PAIRS, MOST_ARMS = 7, 12
"""Arms that fit side by side with both metrics, and with one; the page shows the others on demand."""


def _grid(
    results: Results,
    inference: Inference,
    name: TableName,
    caption: str,
    made_by: str,
    named: Mapping[tuple[str, str], str],
) -> Table:
    """Data sets down, arms across, AUC and accuracy of each; the best of a row in bold."""
    parts: tuple[Part, ...] = ("sd", "n")
    beside = tuple(r.short for r in results.references if any(table.scores for table in r.tables))
    metrics = {"auc": "AUC", "accuracy": "Acc."}
    columns = [DATASET, LARGEST_CLASS]
    first = "accuracy" if results.study.primary == "accuracy" else "auc"
    for place, ((arm, sampling), title) in enumerate(named.items()):
        columns += [
            Column(
                f"{arm}.{sampling}.{metric}",
                short,
                "percent",
                title,
                parts,
                printed=beside,
                extra=len(named) > MOST_PAIRS and (metric != first or place >= MOST_ARMS),
            )
            for metric, short in metrics.items()
        ]
    rows = []
    for dataset in results.datasets if named else ():
        found = {metric: _row(results, inference, dataset, list(named), metric) for metric in metrics}
        cells = [found[metric][place] for place in range(len(named)) for metric in metrics]
        head = dataset_entry(results, dataset), largest_class(results, dataset)
        rows.append(Row((*head, *cells), {"data set": results.title(dataset)}))
    notes = [
        f"Mean ± standard deviation over n replicates, {epoch_words(results)}. Bold: the highest mean of a row; "
        "≈: not significantly different from the best (corrected)."
    ]
    notes += [
        f"Small print: the value that {r.called} printed. {r.caution}" for r in results.references if r.short in beside
    ]
    notes += notes_of(rows)
    empty = "This study has no such arms."
    return Table(name, caption, tuple(columns), tuple(rows), made_by, tuple(notes), empty=empty)


def _row(
    results: Results,
    inference: Inference,
    dataset: str,
    pairs: list[tuple[str, str]],
    metric: str,
) -> list[Entry]:
    """One metric of several arms; the best by what the reader sees, so that equal numbers are both bold."""
    entries = []
    for pair in pairs:
        theirs = printed.scores(results, dataset, *pair, metric)
        entries.append(measured(results.groups.get((dataset, *pair)), results.select, metric, theirs))
    texts = [percent(e.value) if isinstance(e.value, float) else None for e in entries]
    there = [(entry.value, text) for entry, text in zip(entries, texts, strict=True) if text]
    top = max(there)[1] if len(there) > 1 else None
    tied = inference.leaders(dataset, pairs, metric)
    return [
        replace(entry, best=bool(text) and text == top, tied=bool(text) and text != top and pair in tied)
        for entry, text, pair in zip(entries, texts, pairs, strict=True)
    ]


def best_models(results: Results, inference: Inference) -> Table:
    """The best arm of each data set, chosen on validation data and, to show what that costs, on test data."""
    base, weighted = results.reference, (results.reference[0], "weighted")
    over = {"gain": base}
    if weighted in results.variants() and weighted != base:
        over["gain_weighted"] = weighted
    metric, short = results.study.primary, METRICS[results.study.primary]
    theirs = {r.short: r for r in results.references if any(r.best(d, metric) for d in results.datasets)}
    spread: tuple[Part, ...] = ("sd", "n")
    columns = [DATASET]
    for choice, title in _CHOICES.items():
        printed_by = tuple(theirs) if choice == "test" else ()
        columns.append(Column(f"{choice}.model", "Model", "text", title, ("name",), printed=printed_by))
        columns.append(Column(f"{choice}.{metric}", f"Test {in_sentence(short)}", "percent", title, spread))
        for key, pair in over.items():
            named = f"Over {results.variant(*pair)}"
            columns.append(
                Column(f"{choice}.{key}", named, "points", title, ("verdict", "p"), printed=printed_by, marked=True)
            )
    columns.append(Column("optimism", "of the means", "points", "Optimism", help="Chosen on test less on validation"))
    columns.append(Column("optimism_single", "of a single run", "points", "Optimism", spread))
    rows = []
    for dataset in results.datasets:
        entries = [dataset_entry(results, dataset)]
        for choice, chosen in (("validation", results.best), ("test", results.best_on_test)):
            beside = theirs if choice == "test" else {}
            best = tuple(
                (short, _called(results, r, b)) for short, r in beside.items() if (b := r.best(dataset, metric))
            )
            group = chosen.get(dataset)
            model = Entry() if group is None else variant_entry(results, group.arm, group.sampling)
            missing, page = ("no run is done", "") if group is None else ("", f"best-models.html#best-{dataset}")
            entries.append(replace(model, printed=best, missing=missing, href=page))
            entries.append(measured(group, results.select, metric) if group else Entry(missing=missing))
            for pair in over.values():
                gains = tuple((s, g) for s, r in beside.items() if (g := r.gain(dataset, metric, pair)) is not None)
                entries.append(_gain(results, inference, dataset, group, pair, gains))
        rows.append(Row((*entries, *_optimism(results, dataset)), {"data set": results.title(dataset)}))
    notes = [
        "Gains are differences over the replicates that both arms have. "
        + _OF_TESTS.format(baseline=results.variant(*results.reference)),
        "Optimism is what choosing the best arm on the test set adds to its score: first in the means over "
        "replicates, compared with choosing on validation data; then for a study of a single run, compared with what "
        "the chosen arm scores in the other replicates (mean ± standard deviation over n replicates). That can be "
        "below 0 by chance.",
        *_table_notes(results, "best-models"),
    ]
    caption = "Best model of each data set."
    return Table("best-models", caption, tuple(columns), tuple(rows), "tables.arms.best_models", tuple(notes))


def _called(results: Results, reference: Reference, best: Best) -> str:
    """A reference's best model, by our name of the arm where the study has it."""
    cell = reference.cells.get(best.cell)
    pair = (cell.arm or "", cell.sampling) if cell else ("", "")
    return results.variant(*pair) if pair in results.variants() else best.model


_CHOICES = {"validation": "Chosen on validation data", "test": "Chosen on test data"}


def _gain(
    results: Results, inference: Inference, dataset: str, group: Group | None, pair: tuple[str, str], theirs: Printed
) -> Entry:
    base = results.groups.get((dataset, *pair))
    if group is None or base is None:
        return Entry(missing="no run is done", printed=theirs)
    if group is base:
        return Entry(0.0, printed=theirs, missing="this is the arm itself", href=base.page)
    c = inference.against(dataset, pair)[group.arm, group.sampling]
    tags = comparison_tags(c, results.select)
    why = c.result.reason or ""
    return Entry(c.result.effect, verdict=c.word, p=c.p, printed=theirs, missing=why, href=base.page, tags=tags)


def _optimism(results: Results, dataset: str) -> tuple[Entry, Entry]:
    metric, nan = results.study.primary, float("nan")
    groups = [group for (name, *_), group in results.groups.items() if name == dataset]

    def scores(split: str) -> list[list[float]]:
        replicates = sorted({run.replicate for group in groups for run in group.runs})
        rows = []
        for group in groups:
            found = {run.replicate: run.metric(results.select, split, metric) for run in group.done}
            rows.append([nan if (value := found.get(r)) is None else value for r in replicates])
        return rows

    chosen = selection(scores("validation"), scores("test")) if groups else None
    if chosen is None:
        return Entry(missing="no run is done"), Entry(missing="no run is done")
    one = chosen.single_run
    few = "" if one.n else "needs two replicates of an arm"
    return Entry(chosen.optimism), Entry(one.mean, one.sd, one.n, one.planned, missing=few)

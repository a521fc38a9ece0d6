"""The paper's Tables 1 to 5, ours beside: records in, numbers out; `format.py` writes them.

Every function makes one table, and the page names it. A cell without a number says why.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from medaug_keras.report.format import distinct, percent
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import METRICS, Group, Results, printed_value
from medaug_keras.report.tables.table import (
    DATASET,
    LARGEST_CLASS,
    Column,
    Entry,
    Part,
    Row,
    Table,
    dataset_entry,
    epoch_words,
    largest_class,
    measured,
    notes_of,
    variant_entry,
    verdict_tags,
)
from medaug_keras.stats import selection

SPLITS = ("train", "validation", "test")


def dataset_sizes(results: Results, paper: Mapping[str, Any] | None) -> Table:
    """Table 1. The data sets: task, classes and images per split, the paper's printed sizes beside ours."""
    columns = [
        DATASET,
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
        "table-1", "Data sets and their sizes.", tuple(columns), tuple(rows), "tables.arms.dataset_sizes", tuple(notes)
    )


def _size(printed: Mapping[str, Any] | None, split: str) -> int | None:
    return None if printed is None else int(printed["val" if split == "validation" else split])


def geometric(results: Results, inference: Inference, paper: Mapping[str, Any] | None) -> Table:
    """Table 2. Test AUC and accuracy of the arms that add no images, for each sampling."""
    pairs = [(arm, sampling) for arm, sampling in results.variants() if not results.generative(arm)]
    titles = {
        ("baseline", "shuffle"): "no GDA or WRS",
        ("baseline", "weighted"): "WRS, no GDA",
        ("gda", "shuffle"): "no WRS, GDA",
        ("gda", "weighted"): "WRS & GDA",
    }
    named = {pair: titles.get(pair, results.variant(*pair)) if paper else results.variant(*pair) for pair in pairs}
    named = distinct(named, lambda pair: pair[0])
    caption = "Test AUC and accuracy (%) without added images."
    return _grid(results, inference, paper, "table-2", caption, "tables.arms.geometric", named)


def generative(results: Results, inference: Inference, paper: Mapping[str, Any] | None) -> Table:
    """Table 3. Test AUC and accuracy of the arms that add images, trained on shuffled batches."""
    return _generative(results, inference, paper, "table-3", "shuffle", "tables.arms.generative")


def generative_weighted(results: Results, inference: Inference, paper: Mapping[str, Any] | None) -> Table:
    """Table 4. Test AUC and accuracy of the arms that add images, trained with weighted random sampling."""
    return _generative(results, inference, paper, "table-4", "weighted", "tables.arms.generative_weighted")


def _generative(
    results: Results,
    inference: Inference,
    paper: Mapping[str, Any] | None,
    name: str,
    sampling: str,
    made_by: str,
) -> Table:
    pairs = [(arm, s) for arm, s in results.variants() if results.generative(arm) and s == sampling]
    how = "on shuffled batches" if sampling == "shuffle" else "with weighted random sampling"
    caption = f"Test AUC and accuracy (%) with added images, trained {how}."
    named = {pair: results.label(pair[0]) for pair in pairs}
    table = _grid(results, inference, paper, name, caption, made_by, named)
    gda = ("gda", sampling)
    against = [p for p in ((results.reference[0], sampling), gda) if p in results.variants()]
    judged = [pair for pair in pairs if results.generator(pair[0])]  # copies of real images are a control
    if not judged or not against:
        return table
    part: tuple[Part, ...] = ("p", "paper") if paper else ("p",)
    group = f"Best by {METRICS[results.study.primary].lower()}, over"
    columns = [Column(f"over.{arm}", results.label(arm), "text", group, part) for arm, _ in against]
    words = {"shuffle": ("no_gda", "gda"), "weighted": ("wrs_no_gda", "wrs_gda")}[sampling]
    rows = []
    for dataset, row in zip(results.datasets, table.rows, strict=True):
        printed = (paper or {}).get(name.replace("-", ""), {}).get(dataset, {}).get("improved_over", {})
        extra = []
        for pair in against:
            said = printed.get(words[1] if pair == gda else words[0])
            found = inference.best_over(dataset, judged, pair)
            if found is None:
                extra.append(Entry(missing="no result of one of the two", paper=said))
            else:
                why = found.result.reason or ""
                tags = verdict_tags(found.metric, (found.group, found.base), results.select)
                extra.append(Entry(found.word, p=found.holm, paper=said, missing=why, href=found.group.page, tags=tags))
        rows.append(Row((*row.entries, *extra), row.factors))
    notes = [
        *table.notes,
        "Last columns: the generator's arm with the highest mean of this table against the arm named; the verdict "
        "follows p, which is corrected for having been chosen (Holm, 5 %).",
    ]
    if paper:
        notes.append("Below it, whether the paper says that it improved (id.: the same), which it did not test.")
    return replace(table, columns=(*table.columns, *columns), rows=tuple(rows), notes=tuple(notes))


def _grid(
    results: Results,
    inference: Inference,
    paper: Mapping[str, Any] | None,
    name: str,
    caption: str,
    made_by: str,
    named: Mapping[tuple[str, str], str],
) -> Table:
    """Data sets down, arms across, AUC and accuracy of each; the best of a row in bold."""
    parts: tuple[Part, ...] = ("sd", "n", "paper") if paper else ("sd", "n")
    metrics = {"auc": "AUC", "accuracy": "Acc."}
    columns = [DATASET, LARGEST_CLASS]
    for (arm, sampling), title in named.items():
        columns += [
            Column(f"{arm}.{sampling}.{metric}", short, "percent", title, parts) for metric, short in metrics.items()
        ]
    rows = []
    for dataset in results.datasets if named else ():
        found = {metric: _row(results, inference, dataset, list(named), metric, paper) for metric in metrics}
        cells = [found[metric][place] for place in range(len(named)) for metric in metrics]
        head = dataset_entry(results, dataset), largest_class(results, dataset)
        rows.append(Row((*head, *cells), {"data set": results.title(dataset)}))
    notes = [
        f"Mean ± standard deviation over n replicates, {epoch_words(results)}. Bold: the highest mean of a row; "
        "≈: a corrected test does not tell it from that one."
    ]
    if paper:
        notes.append("Small print: the value printed in the paper, from one run.")
    notes += notes_of(rows)
    empty = "This study has no such arms."
    return Table(name, caption, tuple(columns), tuple(rows), made_by, tuple(notes), empty=empty)


def _row(
    results: Results,
    inference: Inference,
    dataset: str,
    pairs: list[tuple[str, str]],
    metric: str,
    paper: Mapping[str, Any] | None,
) -> list[Entry]:
    """One metric of several arms; the best by what the reader sees, so that equal numbers are both bold."""
    entries = []
    for pair in pairs:
        said = printed_value(paper, dataset, *pair, metric) if paper else None
        entries.append(measured(results.groups.get((dataset, *pair)), results.select, metric, said))
    texts = [percent(e.value) if isinstance(e.value, float) else None for e in entries]
    there = [(entry.value, text) for entry, text in zip(entries, texts, strict=True) if text]
    top = max(there)[1] if len(there) > 1 else None
    tied = inference.leaders(dataset, pairs, metric)
    return [
        replace(entry, best=bool(text) and text == top, tied=bool(text) and text != top and pair in tied)
        for entry, text, pair in zip(entries, texts, pairs, strict=True)
    ]


def best_models(results: Results, inference: Inference, paper: Mapping[str, Any] | None) -> Table:
    """Table 5. The best arm of each data set, chosen on validation data and, as in the paper, on test data."""
    base, weighted = results.reference, (results.reference[0], "weighted")
    over = {"gain": (base, "gain_over_baseline")}
    if weighted in results.variants() and weighted != base:
        over["gain_weighted"] = (weighted, "gain_over_wrs")
    metric, short = results.study.primary, METRICS[results.study.primary]
    part: tuple[Part, ...] = ("paper",) if paper and metric == "accuracy" else ()
    spread: tuple[Part, ...] = ("sd", "n")
    columns = [DATASET]
    for choice, title in _CHOICES.items():
        beside = part if choice == "test" else ()
        columns.append(Column(f"{choice}.model", "Model", "text", title, ("name", *beside)))
        columns.append(Column(f"{choice}.{metric}", f"Test {short}", "percent", title, spread))
        for key, (pair, _) in over.items():
            parts: tuple[Part, ...] = ("verdict", "p", *beside)
            columns.append(Column(f"{choice}.{key}", f"Over {results.variant(*pair)}", "points", title, parts))
    columns.append(Column("optimism", "of the means", "points", "Optimism", help="Chosen on test less on validation"))
    columns.append(Column("optimism_single", "of a single run", "points", "Optimism", spread))
    rows = []
    for dataset in results.datasets:
        said = (paper or {}).get("table5", {}).get(dataset, {}) if part else {}
        entries = [dataset_entry(results, dataset)]
        for choice, chosen in (("validation", results.best), ("test", results.best_on_test)):
            printed = said if choice == "test" else {}
            group = chosen.get(dataset)
            model = Entry() if group is None else variant_entry(results, group.arm, group.sampling)
            missing, page = ("no run is done", "") if group is None else ("", f"best-models.html#best-{dataset}")
            entries.append(replace(model, paper=printed.get("model"), missing=missing, href=page))
            entries.append(measured(group, results.select, metric) if group else Entry(missing=missing))
            for pair, word in over.values():
                entries.append(_gain(results, inference, dataset, group, pair, printed.get(word)))
        rows.append(Row((*entries, *_optimism(results, dataset)), {"data set": results.title(dataset)}))
    notes = [
        "Gains are differences over the replicates that both arms have, with the verdict of a test and its p, "
        "corrected for all arms that could have been chosen (Holm, 5 %). Optimism is what choosing the best arm on "
        "the test set, as the paper did, adds to its score: first in the means over replicates, compared with choosing "
        "on validation data; then for a study of a single run, as the paper's, compared with what the chosen arm "
        "scores in the other replicates (mean ± standard deviation over n replicates).",
    ]
    return Table(
        "table-5", "Best model of each data set.", tuple(columns), tuple(rows), "tables.arms.best_models", tuple(notes)
    )


_CHOICES = {"validation": "Chosen on validation data", "test": "Chosen on test data, as in the paper"}


def _gain(
    results: Results, inference: Inference, dataset: str, group: Group | None, pair: tuple[str, str], said: str | None
) -> Entry:
    base = results.groups.get((dataset, *pair))
    if group is None or base is None:
        return Entry(missing="no run is done", paper=said)
    if group is base:
        return Entry(0.0, paper=said, missing="this is the arm itself", href=base.page)
    c = inference.against(dataset, pair)[group.arm, group.sampling]
    tags = verdict_tags(c.metric, (c.group, c.base), results.select)
    why = c.result.reason or ""
    return Entry(c.result.effect, verdict=c.word, p=c.holm, paper=said, missing=why, href=base.page, tags=tags)


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

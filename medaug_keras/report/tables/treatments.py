"""What every arm does to the training set, and on how many images and in how many steps its runs train."""

from collections.abc import Mapping
from typing import Any

from medaug_keras.report.format import of_classes, plural, together
from medaug_keras.report.numbers.methods import what_it_does
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables.table import ARM, DATASET, Column, Entry, Row, Table, dataset_entry, variant_entry


def treatments(results: Results) -> Table:
    """Every arm in words."""
    columns = (
        ARM,
        Column("study_name", "In the study file"),
        Column("does", "What it does to the training set", "sentence"),
        Column("generator", "Generator"),
    )
    rows = []
    for arm, sampling in results.variants():
        words = together(what_it_does(results, arm, sampling)) or "nothing"
        generator = results.generator(arm)
        entries = (
            variant_entry(results, arm, sampling),
            Entry(f"{arm}, {sampling}"),
            Entry(words[0].upper() + words[1:]),
            Entry(
                generator, missing="" if generator else "its images are real", href="generators.html" * bool(generator)
            ),
        )
        rows.append(Row(entries))
    both = " One that is trained on shuffled and on weighted batches counts as two." * (len(results.samplings) > 1)
    notes = (
        f"The others are compared with {results.variant(*results.reference)}.",
        f"{plural(len(rows), 'arm')}.{both}",
    )
    return Table("arms", "What every arm does.", columns, tuple(rows), "tables.treatments.treatments", notes)


def sizes(results: Results) -> Table:
    """Every arm on every data set: images of its training set, and steps of the optimizer."""
    columns = (
        DATASET,
        ARM,
        Column("real", "Real", "count", "Training images"),
        Column("added", "added", "count", "Training images"),
        Column("per_class", "of each class" if results.of_classes else "with each finding", "text", "Training images"),
        Column("updates", "Updates", "count", help="Steps of the optimizer in all epochs, at most"),
    )
    rows = []
    for (dataset, arm, sampling), group in results.groups.items():
        real, added = results.training_set(group.runs[0].task)
        away = "" if results.plan.sources[dataset].train else "the data set cannot be read now"
        entries = (
            dataset_entry(results, dataset),
            variant_entry(results, arm, sampling),
            Entry(None if away else real, missing=away),
            Entry(added),
            _added_of_each_class(results, dataset, arm) if added else Entry(missing="this arm adds no image"),
            Entry(None if away else results.updates(group.runs[0].task), missing=away),
        )
        factors = {"data set": results.title(dataset), "arm": results.variant(arm, sampling)}
        rows.append(Row(entries, factors))
    notes = (
        "Updates are the optimizer's steps in all epochs, at most: patience can end a run before. More updates can "
        "help by themselves; copies of real images show by how much, and the setting budget gives all arms as many.",
        *_instead(results),
    )
    return Table(
        "arms-sizes",
        "Training images and updates of one run.",
        columns,
        tuple(rows),
        "tables.treatments.sizes",
        notes,
        ("data set", "arm"),
    )


def _instead(results: Results) -> list[str]:
    """What arms are compared with whose images replace the real ones, or come before them."""
    base, found = results.variant(*results.reference), []
    named = {
        "replace": "generated images take the place of all training images. The control is “{base}”, which trains on "
        "the real ones; copies of these would be no other training set.",
        "pretrain": "generated images are trained on before the real ones, not beside them. The control is “{base}”, "
        "which trains on the real ones in all epochs; with the setting budget, in as many steps.",
    }
    for how, words in named.items():
        arms = [results.label(arm) for arm in results.arms if results.study.arms[arm].how == how]
        if arms:
            found.append(f"{together(arms)}: {words.format(base=base)}")
    return found


def _added_of_each_class(results: Results, dataset: str, arm: str) -> Entry:
    """How the images of the first replicate that has some are spread over the classes."""
    made = [outcome for _, outcome in results.makings("synthesis", dataset, arm)]
    there = next((outcome.record for outcome in made if outcome.record is not None), None)
    if there is None:
        return Entry(missing=next((outcome.reason for outcome in made), "not run yet"))
    return Entry(of_made(results, dataset, there.values))


def of_made(results: Results, dataset: str, values: Mapping[str, Any]) -> str:
    """How many images of each class were made, by the record; of several findings, with each and without any."""
    none = [values["none"]] if "none" in values else []
    return of_classes(results.row_names(dataset)[: len(values["per_class"]) + len(none)], [*values["per_class"], *none])

"""How many test images each arm repairs and breaks."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from medaug_keras.report.numbers.changes import Changes, between_runs, changes
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables.table import (
    ARM,
    DATASET,
    Column,
    Entry,
    Row,
    Table,
    dataset_entry,
    epoch_words,
    variant_entry,
)

SEVERAL = "Not shown: an image with several findings is not right or wrong as a whole."
CHANGED_CSV = (
    "dataset",
    "test_image",
    "class",
    "arm",
    "sampling",
    "replicates",
    "repaired",
    "broken",
    "baseline_true_class_percent",
    "arm_true_class_percent",
)
"""Columns of the file of all images that an arm repairs or breaks in a replicate; images are counted from 0."""


def changed_images(results: Results, inference: Inference, dataset: str) -> Iterator[tuple[Any, ...]]:
    """A row for each arm and image that it changes in at least one replicate."""
    classes = results.classes(dataset)
    for arm, sampling in results.variants(dataset):
        found = None if (arm, sampling) == results.reference else changes(inference, (dataset, arm, sampling))
        if found is None:
            continue
        there = np.flatnonzero(found.repaired + found.broken)
        numbers = (
            there,
            inference.labels[dataset][there],
            found.repaired[there],
            found.broken[there],
            np.round(100 * found.before[there], 4),
            np.round(100 * found.after[there], 4),
        )
        for i, label, repaired, broken, before, after in zip(*(part.tolist() for part in numbers), strict=True):
            yield dataset, i, classes[label], arm, sampling, found.of, repaired, broken, before, after


def changed(results: Results, inference: Inference) -> Table:
    """Arm by arm, after what two runs of the baseline differ by."""
    each = "Images, mean over replicates"
    always = "In every replicate"
    columns = (
        DATASET,
        ARM,
        Column("repaired", "Repaired", "number", each, help="The baseline is wrong, the arm is right"),
        Column("broken", "Broken", "number", each, help="The baseline is right, the arm is wrong"),
        Column("repaired_always", "Repaired", "count", always),
        Column("broken_always", "Broken", "count", always),
        Column("replicates", "Replicates", "count"),
    )
    rows = []
    base = results.variant(*results.reference)
    for dataset in results.of_classes:
        head, title = dataset_entry(results, dataset), results.title(dataset)
        chance = between_runs(inference, dataset)
        why = "fewer than two runs of the baseline are done"
        rows.append(
            Row(
                (
                    head,
                    Entry(f"{base}, another run", name=".".join(results.reference)),
                    *[Entry(chance, missing=why if chance is None else "")] * 2,
                    *[Entry(missing="of pairs of runs, not of replicates")] * 3,
                ),
                {"data set": title, "arm": base},
            )
        )
        for arm, sampling in results.variants(dataset):
            if (arm, sampling) != results.reference:
                found = changes(inference, (dataset, arm, sampling))
                entries = _numbers(found) if found else [Entry(missing="not run beside the baseline yet")] * 5
                label = results.variant(arm, sampling)
                rows.append(
                    Row((head, variant_entry(results, arm, sampling), *entries), {"data set": title, "arm": label})
                )
    return Table(
        "images-changed",
        f"Test images that an arm repairs or breaks, {epoch_words(results)}.",
        columns,
        tuple(rows),
        "tables.images.changed",
        (
            "Repaired: the baseline’s run is wrong and the arm’s run of the same replicate is right. Broken: the other "
            "way round. Two runs of the baseline differ too; the row “another run” says by how many images, mean over "
            "all pairs of them. Not a test: Significance has those.",
        ),
        ("data set", "arm"),
        empty=SEVERAL if results.of_findings and not results.of_classes else "No run is done yet.",
    )


def _numbers(found: Changes) -> list[Entry]:
    one = found.of == 1
    return [
        Entry(float(found.repaired.sum() / found.of)),
        Entry(float(found.broken.sum() / found.of)),
        *(
            Entry(None if one else int(np.sum(counts == found.of)), missing="one replicate" if one else "")
            for counts in (found.repaired, found.broken)
        ),
        Entry(found.of),
    ]

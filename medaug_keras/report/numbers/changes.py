"""Which test images an arm repairs or breaks, image by image and replicate by replicate.

An image is *repaired* in a replicate where the baseline's run is wrong on it and the arm's is right, and *broken* where
it is the other way round. Two runs of one arm differ in that way too, by chance alone: `between_runs` says by how much.

Letters: n test images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.report.numbers.inference import Cell, Inference

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Changes:
    """What an arm does to each test image, beside the baseline of the same replicate."""

    of: int
    """Replicates that both have."""
    repaired: Counts
    """(n,) replicates in which the image is repaired."""
    broken: Counts
    """(n,) replicates in which it is broken."""
    before: NDArray[np.float64]
    """(n,) mean probability of the true class, by the baseline."""
    after: NDArray[np.float64]
    """(n,) the same, by the arm."""


@dataclass(frozen=True)
class Hardest:
    """How often each test image is named wrongly, over all runs of the data set."""

    of: int
    """Runs."""
    wrong: Counts
    """(n,) runs that are wrong on it."""
    likely: NDArray[np.float64]
    """(n,) mean probability of the true class."""
    taken_for: Counts
    """(n,) the class that wrong runs name most often, the first on ties; the true class where none is wrong."""


def changes(inference: Inference, cell: Cell) -> Changes | None:
    """The cell's runs against the baseline's of the same replicates; None where they have none in common."""
    dataset = cell[0]
    ours, theirs = inference.tested.get(cell, {}), inference.tested.get((dataset, *inference.results.reference), {})
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return None
    labels = inference.labels[dataset]
    right, was = (np.stack([runs[s].predicted == labels for s in both]) for runs in (ours, theirs))
    return Changes(
        len(both),
        (right & ~was).sum(0),
        (was & ~right).sum(0),
        np.mean([theirs[s].likely for s in both], axis=0, dtype=np.float64),
        np.mean([ours[s].likely for s in both], axis=0, dtype=np.float64),
    )


def between_runs(inference: Inference, dataset: str) -> float | None:
    """Images that one run of the baseline has wrong and another right: the mean over all pairs of its replicates.

    None with fewer than two.
    """
    runs = inference.tested.get((dataset, *inference.results.reference), {})
    if len(runs) < 2:
        return None
    right = [run.predicted == inference.labels[dataset] for run in runs.values()]
    return float(np.mean([np.sum(a & ~b) for a, b in permutations(right, 2)]))


def hardest(inference: Inference, dataset: str) -> Hardest | None:
    """Over every done run of the data set, of all arms; None where none is done."""
    runs = [run for cell, found in inference.tested.items() if cell[0] == dataset for run in found.values()]
    if not runs:
        return None
    labels = inference.labels[dataset]
    named = np.stack([run.predicted for run in runs])
    classes = len(inference.results.classes(dataset))
    votes = np.stack([((named == k) & (labels != k)).sum(0) for k in range(classes)])  # (classes, n)
    return Hardest(
        len(runs),
        (named != labels).sum(0),
        np.mean([run.likely for run in runs], axis=0, dtype=np.float64),
        np.where(votes.any(0), votes.argmax(0), labels),
    )


def strongest(amount: Counts, by: NDArray[np.float64], labels: NDArray[Any], most: int) -> list[int]:
    """Up to `most` images with an amount above 0: of each class its strongest, then of each its second, and so on.

    Those of a larger amount are stronger, of equal ones that of larger `by`, of those the first. Shown strongest first.
    """
    there: Sequence[int] = [int(i) for i in np.lexsort((np.arange(len(by)), -by, -amount)) if amount[i] > 0]
    taken: dict[int, int] = {}
    turn = {}
    for i in there:
        turn[i] = taken[int(labels[i])] = taken.get(int(labels[i]), 0) + 1
    chosen = set(sorted(there, key=lambda i: turn[i])[:most])
    return [i for i in there if i in chosen]

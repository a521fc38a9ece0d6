"""Significance: which differences the study can claim. Synthetic images: are they any good, and are they copies?"""

from typing import TYPE_CHECKING, Any

import numpy as np

from medaug_keras.plan import Making
from medaug_keras.store import Record

from . import evidence_tables, figures, quality_tables
from .findings import claims, units
from .inference import Comparison
from .results import METRICS
from .table import STATES

if TYPE_CHECKING:
    from .pages import Pages


def significance(book: "Pages") -> dict[str, Any]:
    """Forest plot, critical-difference diagram, tests, variance components, and what can be claimed."""
    results, inference = book.results, book.inference
    metric = METRICS[results.study.primary]
    forest = []
    begun = [dataset for dataset in results.datasets if dataset in results.begun]
    for one in inference.across:
        rows = []
        for dataset in begun or results.datasets:
            c = inference.tests.get((dataset, one.arm, one.sampling))
            why = "not part of this study" if c is None else _short(c)
            r = c.result if c is not None else None
            ends = (r.effect, r.low, r.high) if r is not None else (None, None, None)
            rows.append(figures.Effect(results.title(dataset), *ends, reason=why))
        m = one.meta
        whole = figures.Effect("All data sets", m.effect, m.low, m.high) if m.effect is not None else None
        forest.append(figures.ArmEffects(one.arm, one.sampling, results.variant(one.arm, one.sampling), rows, whole))
    variants, ranks = inference.ranks
    content: dict[str, Any] = {
        "claims": claims(results, inference),
        "claims_table": book.table(evidence_tables.claims(results, inference, book.paper)),
        "waiting": [results.title(d) for d in results.datasets if begun and d not in results.begun],
        "forest": None,
        "ranks": None,
        "ranks_reason": ranks.reason or "",
        "friedman": ranks,
        "units": units(results, inference),
        "tests": book.table(evidence_tables.tests(results, inference)),
        "exploratory": book.table(evidence_tables.exploratory(results, inference)),
        "controls": book.table(evidence_tables.controls(results, inference)),
        "across": book.table(evidence_tables.across(results, inference)),
        "planning": book.table(evidence_tables.planning(results, inference)),
        "variances": None,
    }
    if forest:
        content["forest"] = book.figure(
            "forest",
            figures.forest_plot(forest, metric=metric, arms=results.arms),
            f"Difference to {results.variant(*results.reference)} in test {metric}, points, with the 95 % "
            "interval of the "
            "single comparison; the diamond is the mean over data sets.",
        )
    if ranks.average_ranks is not None:
        ranked = [
            figures.Ranked(arm, sampling, results.variant(arm, sampling), rank)
            for (arm, sampling), rank in zip(variants, ranks.average_ranks, strict=True)
        ]
        note = "" if ranks.reachable else "no two arms could differ by that much"
        content["ranks"] = book.figure(
            "ranks",
            figures.critical_difference(
                ranked, difference=ranks.critical_difference, datasets=ranks.datasets, note=note, arms=results.arms
            ),
            "Average rank of every arm over the data sets, 1 is best; a bar joins arms that this picture does not tell "
            "apart. It is a picture beside the tests above, not one of them.",
        )
    parts = [(dataset, inference.variances(dataset)) for dataset in begun]
    if any(components for _, components in parts):
        rows_ = [
            figures.VarianceRow(
                results.title(dataset),
                components.replicate if components else None,
                components.image if components else None,
                components.residual if components else None,
                "" if components else "nothing varied, or no two replicates",
            )
            for dataset, components in parts
        ]
        content["variances"] = book.figure(
            "variances",
            figures.variance_components(rows_),
            "Where the differences to the baseline vary: between training runs, between test images, and the "
            "rest; mean "
            "over the arms of a data set.",
        )
    return content


def _short(c: Comparison) -> str:
    """Why a comparison has no effect, in the few words that a figure has room for."""
    states = {run.outcome.state for group in (c.group, c.base) for run in group.runs if not run.done}
    return next((STATES[state] for state in ("failed", "damaged", "blocked") if state in states), "not run yet")


def synthetic_images(book: "Pages") -> dict[str, Any]:
    """Measures of the synthetic images, and the pairs of a synthetic and a training image that are closest."""
    results = book.results
    pairs: list[dict[str, Any]] = []
    for dataset in results.datasets:
        if all(o.state == "pending" for arm in results.arms for _, o in results.makings("quality", dataset, arm)):
            continue  # the tables say so
        for arm in results.arms:
            made = results.makings("quality", dataset, arm)
            done = next(((m, o.record) for m, o in made if o.record is not None), None)
            if made and done is None:
                pairs.append({"label": f"{results.title(dataset)}, {results.label(arm)}", "reason": made[0][1].reason})
            elif done is not None and results.generator(arm):
                pairs.append(_pairs(book, dataset, arm, *done))
    return {
        "similarity": book.table(quality_tables.similarity(results)),
        "usefulness": book.table(quality_tables.usefulness(results)),
        "classes": book.table(quality_tables.classes(results)),
        "copying": book.table(quality_tables.copying(results)),
        "legend": book.table(quality_tables.legend()),
        "pairs": pairs,
        "judged": bool(results.plan.quality),
    }


def _pairs(book: "Pages", dataset: str, arm: str, making: Making, record: Record) -> dict[str, Any]:
    results = book.results
    label = f"{results.title(dataset)}, {results.label(arm)}"
    with np.load(record.folder / "neighbours.npz", allow_pickle=False) as file:
        near = {kind: (file[f"pixels_{kind}"], file[f"pixels_{kind}_mirrored"]) for kind in ("train", "test")}
        synthetic = file["pixels_synthetic"]
        distances = np.stack([file["pixels_train_distance"], file["pixels_test_distance"]], axis=-1)
    train, test = (
        [image[:, ::-1] if flip else image for image, flip in zip(*near[kind], strict=True)]
        for kind in ("train", "test")
    )
    shown = [
        figures.Pair(a, image, b, f"{to_train:.1f} and {to_test:.1f}")
        for a, image, b, (to_train, to_test) in zip(train, synthetic, test, distances, strict=True)
    ]
    drawn = figures.pairs(shown, what=f"images of {results.title(dataset)} and of {results.label(arm)}")
    caption = (
        f"{label}, replicate {making.replicate}: the synthetic images (middle) that are closest to a training image "
        "(left), and the test image that is nearest to each (right), with both distances in grey levels (root mean "
        "square)."
    )
    return {"label": label, "reason": "", "figure": book.figure(f"pairs-{dataset}-{arm}", drawn, caption)}

"""Significance: which differences the study can claim. Synthetic images: are they any good, and are they copies?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from medaug_keras.evaluation.maps import MOST
from medaug_keras.plan import Making
from medaug_keras.report import figures
from medaug_keras.report.format import of_points, percent
from medaug_keras.report.numbers.findings import claims, log_words, metric_name, power, shortcuts, units
from medaug_keras.report.numbers.results import METRICS, Results, which
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.pages.differences import by_arm, by_data_set, difference, over_data_sets
from medaug_keras.report.tables import evidence as evidence_tables
from medaug_keras.report.tables import quality as quality_tables
from medaug_keras.store import Record


def significance(book: Book) -> dict[str, Any]:
    """Effects, ranks, tests, variance components, and what can be claimed."""
    results, inference = book.results, book.inference
    _, ranks = inference.ranks
    begun = [dataset for dataset in results.datasets if dataset in results.begun]
    return {
        "apart": book.apart,
        "claims": claims(results, inference),
        "claims_table": book.table(evidence_tables.claims(results, inference)),
        "waiting": [results.title(d) for d in results.datasets if begun and d not in results.begun],
        "forest": _forest(book, begun or results.datasets),
        "folded": not book.apart and len(results.datasets) > 1 and len(inference.across) > _UNFOLDED,
        "forests": {d: by_data_set(book, [d], f"forest-{d}") for d in results.datasets} if book.apart else {},
        "doses": {dataset: _doses(book, dataset) for dataset in begun or results.datasets},
        "ranks": _ranks(book),
        "ranks_reason": ranks.reason or "",
        "friedman": ranks,
        "units": units(results, inference),
        "tests": book.table(evidence_tables.tests(results, inference)),
        "exploratory": book.table(evidence_tables.exploratory(results, inference)),
        "controls": book.table(evidence_tables.controls(results, inference)),
        "unfiltered": book.table(evidence_tables.unfiltered(results, inference)) if inference.unfiltered else None,
        "across": book.table(evidence_tables.across(results, inference)) if len(results.datasets) > 1 else None,
        "power": power(results, [c for c in inference.tests.values() if c.word != "not tested"]),
        "planning": book.table(evidence_tables.planning(results, inference)),
        "variances": _variances(book, begun),
        "log": log_words(results),
        "looks": book.table(evidence_tables.looks(results)) if results.looks.count > 1 else None,
    }


_UNFOLDED = 4
"""With more arms than this, the panels of each arm unfold; the first page draws the same by data set."""


def _forest(book: Book, datasets: Sequence[str]) -> Shown | None:
    """A panel for each arm with the data sets; of one data set, a panel with the arms."""
    if book.apart:
        return over_data_sets(book)
    if len(book.results.datasets) == 1:
        return by_data_set(book, datasets, "forest")
    return by_arm(book, datasets)


def _ranks(book: Book) -> Shown | None:
    """Average ranks over the data sets, where they can be computed."""
    results, (variants, ranks) = book.results, book.inference.ranks
    if ranks.average_ranks is None:
        return None
    ranked = [
        figures.Ranked(arm, sampling, results.variant(arm, sampling), rank)
        for (arm, sampling), rank in zip(variants, ranks.average_ranks, strict=True)
    ]
    drawn = figures.critical_difference(
        ranked,
        difference=ranks.critical_difference,
        groups=ranks.groups,
        datasets=ranks.datasets,
        note="" if ranks.reachable else "no two arms could differ by that much",
        arms=results.by_look,
    )
    caption = (
        "Average rank of every arm over the data sets, 1 is best; a bar joins arms that cannot be "
        "distinguished here. It illustrates the tests above; it is not one of them."
    )
    return book.figure("ranks", drawn, caption)


def _variances(book: Book, datasets: Sequence[str]) -> Shown | None:
    """Where the differences of each data set vary, if that is known of any."""
    parts = [(dataset, book.inference.variances(dataset)) for dataset in datasets]
    if not any(components for _, components in parts):
        return None
    rows = []
    for dataset, components in parts:
        title = book.results.title(dataset)
        if components:
            row = figures.VarianceRow(title, components.replicate, components.image, components.residual)
        else:
            row = figures.VarianceRow(title, reason="nothing varied, or no two replicates")
        rows.append(row)
    caption = (
        "Where the differences to the baseline vary: between training runs, between test images, and the rest; mean "
        "over the arms of a data set."
    )
    return book.figure("variances", figures.variance_components(rows), caption)


def _doses(book: Book, dataset: str) -> list[Shown]:
    """The differences of arms that differ in the value of one setting, against the value: a figure for each setting."""
    results, shown = book.results, []
    for setting, names in results.doses.items():
        series = []
        for name in names:
            values = results.study.series[name].arms
            for sampling in results.samplings:
                doses = [
                    figures.Dose(
                        **vars(difference(book, dataset, (arm, sampling), results.label(arm))), value=float(value)
                    )
                    for arm, value in values.items()
                    if (dataset, arm, sampling) in book.inference.tests
                    and dataset not in results.own_fractions(arm, setting)
                ]
                if doses:
                    label = results.series_label(name) + (" (weighted)" if sampling == "weighted" else "")
                    series.append(figures.DoseSeries(name, sampling, label, doses))
        if series:
            panel = figures.DosePanel(results.title(dataset), series)
            metric = results.study.primary
            margin = book.inference.margin
            drawn = figures.dose_response(
                [panel], setting=_DOSES.get(setting, setting), metric=METRICS[metric], margin=margin
            )
            dotted = f" Dotted: the margin, {of_points(margin)} either way." if margin else ""
            caption = (
                f"Difference to “{results.variant(*results.reference)}” in test {metric_name(metric)} on "
                f"{results.title(dataset)}, points, against {_DOSES.get(setting, setting)}; lines: 95 % interval of "
                "the single comparison. Each value is an arm of its own, so the tests below are corrected for all of "
                "them." + dotted
            )
            shown.append(book.figure(f"doses-{dataset}-{setting.replace('.', '-')}", drawn, caption))
    return shown


_DOSES = {
    "amount.fraction": "images added, as a part of the training images",
    "amount.images": "images added",
}
"""Setting → what it is in words."""


def synthetic_images(book: Book) -> dict[str, Any]:
    """Measures of the synthetic images, and the pairs of a synthetic and a training image that are closest."""
    results = book.results
    pairs: list[dict[str, Any]] = []
    maps: list[dict[str, Any]] = []
    for dataset in results.datasets:
        if all(o.state == "pending" for arm in results.arms for _, o in results.makings("quality", dataset, arm)):
            continue  # the tables say so
        for arm in results.arms:
            made = results.makings("quality", dataset, arm)
            done = next(((m, o.record) for m, o in made if o.record is not None), None)
            if made and done is None:
                label = f"{results.title(dataset)}, {results.label(arm)}"
                pairs.append({"dataset": dataset, "label": label, "reason": made[0][1].reason})
            elif done is not None and results.generator(arm):
                pairs.append(_pairs(book, dataset, arm, *done))
                maps.append(_map(book, dataset, arm, *done))
    return {
        "apart": book.apart,
        "similarity": book.table(quality_tables.similarity(results)),
        "usefulness": book.table(quality_tables.usefulness(results)),
        "shortcut": book.table(quality_tables.shortcut(results)),
        "shortcuts": shortcuts(results),
        "refused": book.table(quality_tables.refused(results)) if _filters(results) else None,
        "classes": book.table(quality_tables.classes(results)),
        "copying": book.table(quality_tables.copying(results)),
        "legend": book.table(quality_tables.legend()),
        "pairs": pairs,
        "maps": maps,
        "judged": bool(results.plan.quality),
    }


def _filters(results: Results) -> bool:
    return any(results.study.arms[arm].filter is not None for arm in results.arms)


def _pairs(book: Book, dataset: str, arm: str, making: Making, record: Record) -> dict[str, Any]:
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
        f"{label}, {which(making)}: the synthetic images that are closest to a training image. From left to right the "
        f"training image, the synthetic one, their absolute difference times {figures.CONTRAST} (black for a copy), "
        "and the test image nearest to the synthetic one; below, the distances to both in gray levels (root mean "
        "square)."
    )
    return {
        "dataset": dataset,
        "label": label,
        "reason": "",
        "figure": book.figure(f"pairs-{dataset}-{arm}", drawn, caption),
    }


def _map(book: Book, dataset: str, arm: str, making: Making, record: Record) -> dict[str, Any]:
    """Where the images lie by the features of the classifier that judged them."""
    results = book.results
    label = f"{results.title(dataset)}, {results.label(arm)}"
    found = record.values["spaces"].get("features", {}).get("map")
    if found is None:
        reason = (
            f"no map of their features, because an earlier version judged these images. To get one, delete "
            f"{record.folder.name} from the results folder and run the study."
        )
        return {"dataset": dataset, "label": label, "reason": reason}
    drawn = figures.feature_map(
        {
            kind: figures.Origin(found[kind]["x"], found[kind]["y"], found[kind]["class"])
            for kind in ("train", "test", "synthetic")
        },
        variance=found["variance"],
        classes=results.row_names(dataset),
        what=f"images of {results.title(dataset)} and of {results.label(arm)}",
    )
    first, second = (percent(share, 0) for share in found["variance"])
    by = "rarest finding" if results.several(dataset) else "class"
    caption = (
        f"{label}, {which(making)}: images of each {by} by two numbers, the principal components of the baseline "
        f"classifier's features that explain most of the training images' variance ({first} % and {second} %). Up to "
        f"{MOST} images of each origin, drawn at random. Images far apart here differ; images that lie together can "
        "differ in what the two numbers leave out."
    )
    return {
        "dataset": dataset,
        "label": label,
        "reason": "",
        "figure": book.figure(f"map-{dataset}-{arm}", drawn, caption),
    }

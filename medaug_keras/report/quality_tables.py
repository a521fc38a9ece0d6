"""Records of quality tasks → tables. What every measure means stands in `medaug_keras.measures`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medaug_keras.measures import MEASURES
from medaug_keras.stats import estimate
from medaug_keras.store import Outcome

from .results import Results
from .table import Column, Entry, Part, Row, Table, dataset_entry

SPACES = {"features": "classifier features", "pixels": "pixels"}
Values = Mapping[str, Any]
_SPREAD: tuple[Part, ...] = ("sd", "n")


def _mean(outcomes: Sequence[Outcome], value: Callable[[Values], float | None]) -> Entry:
    """Mean over replicates of a number of their records, or the reason why there is none."""
    there = [outcome.record.values for outcome in outcomes if outcome.record is not None]
    missing = next((outcome.reason for outcome in outcomes if outcome.record is None), "not run yet")
    found = [number for values in there if (number := value(values)) is not None]
    result = estimate(found, planned=len(outcomes))
    if result.mean is None:
        return Entry(missing="not defined on so few images" if there else missing)
    fewer = result.n < result.planned
    return Entry(result.mean, result.sd, result.n, result.planned, missing=missing if fewer else "")


def _rows(results: Results) -> list[tuple[str, str, list[Outcome]]]:
    return [
        (dataset, arm, [outcome for _, outcome in made])
        for dataset in results.datasets
        for arm in results.arms
        if (made := results.makings("quality", dataset, arm))
    ]


_HEAD = (Column("dataset", "Data set"), Column("arm", "Arm"))


def _head(results: Results, dataset: str, arm: str) -> tuple[Entry, Entry]:
    return dataset_entry(results, dataset), Entry(results.label(arm))


def _factors(results: Results, dataset: str, arm: str) -> dict[str, str]:
    return {"data set": results.title(dataset), "arm": results.label(arm)}


def similarity(results: Results) -> Table:
    """How near the distributions of synthetic and real images are: KID-own and FD-own, each beside its floor."""
    columns = list(_HEAD)
    made: list[Callable[[Values], float | None]] = []
    for space, title in SPACES.items():
        for key, name, read in (
            ("kid", "KID-own", lambda s: s["kid"]["value"]),
            ("kid_real", "of real test images", lambda s: s["kid_real"]["value"]),
            ("fd", "FD-own", lambda s: s["fd"]["value"]),
            ("fd_floor", "its floor", lambda s: s["fd"]["floor"]),
        ):
            columns.append(Column(f"{space}.{key}", name, "number", f"In {title}", _SPREAD, MEASURES[key].meaning))
            made.append(_in_space(space, read))
    return _table(
        results,
        "similarity",
        "Distance between synthetic and real images.",
        columns,
        made,
        "quality_tables.similarity",
        "Lower is better; read a distance only beside that of real images. Mean ± standard deviation over n "
        "replicates.",
    )


def _in_space(space: str, read: Callable[[Values], float | None]) -> Callable[[Values], float | None]:
    return lambda values: read(values["spaces"][space]) if space in values["spaces"] else None


def usefulness(results: Results) -> Table:
    """Do synthetic images show their class, and does a classifier learn from them alone?"""
    columns = [
        *_HEAD,
        Column("consistency", "Class consistency", "percent", "", _SPREAD, MEASURES["class_consistency"].meaning),
        Column("ceiling", "Its ceiling", "percent", "", _SPREAD),
        Column(
            "synthetic_to_real",
            "Trained on synthetic",
            "percent",
            "Test accuracy on real images",
            _SPREAD,
            MEASURES["usefulness"].meaning,
        ),
        Column("real_to_real", "Trained on real", "percent", "Test accuracy on real images", _SPREAD),
        Column("near", "Near twins", "percent", "", _SPREAD, MEASURES["duplicates"].meaning),
        Column("near_real", "of real images", "percent", "", _SPREAD),
    ]
    rows = []
    for dataset, arm, outcomes in _rows(results):
        base = results.baseline(dataset)
        real = base.estimate("best", "test", "accuracy") if base else None
        entries = (
            _mean(outcomes, lambda v: v["class_consistency"]["value"]),
            _mean(outcomes, lambda v: v["class_consistency"]["ceiling"]),
            _mean(outcomes, lambda v: v["usefulness"]["test"]["accuracy"] if v.get("usefulness") else None),
            Entry(missing="no baseline run is done")
            if real is None or real.mean is None
            else Entry(real.mean, real.sd, real.n, real.planned),
            _mean(outcomes, lambda v: v["duplicates"]["near"]),
            _mean(outcomes, lambda v: v["duplicates"]["near_real"]),
        )
        rows.append(Row((*_head(results, dataset, arm), *entries), _factors(results, dataset, arm)))
    return Table(
        "usefulness",
        "Class consistency and usefulness of synthetic images.",
        tuple(columns),
        tuple(rows),
        "quality_tables.usefulness",
        ("Mean ± standard deviation over n replicates.",),
        ("data set", "arm"),
        empty="This study judges no images.",
    )


def classes(results: Results) -> Table:
    """Precision, recall, density and coverage of every class, beside those of real test images."""
    names = ("precision", "recall", "density", "coverage")
    columns = [*_HEAD, Column("class", "Class"), Column("space", "In")]
    for name in names:
        columns.append(Column(name, MEASURES[name].label, "number", "Synthetic images", (), MEASURES[name].meaning))
    columns += [Column(f"real_{name}", MEASURES[name].label, "number", "Real test images") for name in names]
    rows = []
    for dataset, arm, outcomes in _rows(results):
        known = results.classes(dataset)
        for space, title in SPACES.items():
            for number, label in enumerate(known):
                entries = [
                    _mean(outcomes, _of_class(space, number, name, real)) for real in (False, True) for name in names
                ]
                head = (*_head(results, dataset, arm), Entry(label), Entry(title))
                rows.append(Row((*head, *entries), {**_factors(results, dataset, arm), "in": title}))
    return Table(
        "quality-classes",
        "Class by class: do synthetic images lie where real ones lie, and the other way round?",
        tuple(columns),
        tuple(rows),
        "quality_tables.classes",
        ("Means over replicates.",),
        ("data set", "arm", "in"),
        empty="This study judges no images.",
    )


def _of_class(space: str, number: int, name: str, real: bool) -> Callable[[Values], float | None]:
    """A measure of one class, of its synthetic images or of its real test images."""

    def read(values: Values) -> float | None:
        found = values["spaces"].get(space, {}).get("classes", [])
        if number >= len(found):
            return None
        images = found[number]["real"] if real else found[number]
        return images[name] if images else None

    return read


def copying(results: Results) -> Table:
    """Were training images copied? Every replicate by itself, since one generator that copies is enough."""
    columns = (
        *_HEAD,
        Column("replicate", "Replicate", "count"),
        Column("space", "In"),
        Column("verdict", "Found"),
        Column("p", "p", "p"),
        Column("identical", "Identical", "count", "", (), MEASURES["identical"].meaning),
        Column("identical_test", "identical real test images", "count"),
        Column("nearer", "Nearer to training images", "percent", "", (), MEASURES["nearer_to_train"].meaning),
        Column("c_t", "C_T", "number", "", (), MEASURES["c_t"].meaning),
        Column("train", "to training", "number", "Median distance of synthetic images"),
        Column("test", "to test", "number", "Median distance of synthetic images"),
    )
    rows = []
    for dataset in results.datasets:
        for arm in results.arms:
            for making, outcome in results.makings("quality", dataset, arm):
                head = (*_head(results, dataset, arm), Entry(making.replicate))
                factors = _factors(results, dataset, arm)
                if outcome.record is None:
                    rest = [Entry(missing=outcome.reason)] * 9
                    rows.append(Row((*head, *rest), {**factors, "in": "not run"}))
                    continue
                for space, title in SPACES.items():
                    found = outcome.record.values["spaces"].get(space)
                    if found is None:
                        continue
                    c = found["copying"]
                    few = "not defined on so few images"
                    entries = (
                        Entry(title),
                        Entry(c["verdict"]),
                        Entry(c["p"]),
                        Entry(c["identical"]),
                        Entry(c["identical_test"]),
                        Entry(c["nearer_to_train"]["value"]),
                        Entry(c["c_t"]["value"], missing=few if c["c_t"]["value"] is None else ""),
                        Entry(c["train_distance"]["median"]),
                        Entry(c["test_distance"]["median"]),
                    )
                    rows.append(Row((*head, *entries), {**factors, "in": title}))
    return Table(
        "copying",
        "Nearest training image against nearest test image.",
        columns,
        tuple(rows),
        "quality_tables.copying",
        (
            "Real test images are the yardstick: copying is called when more synthetic images lie close to a "
            "training image "
            "than those explain, at a false-alarm chance of 0.1 %. “No copying found” is the strongest "
            "statement possible; "
            "it does not say that images are private.",
        ),
        ("data set", "arm", "in"),
        empty="This study judges no images.",
    )


def legend() -> Table:
    """What every measure means, its direction and its trap."""
    columns = (
        Column("measure", "Measure"),
        Column("meaning", "What it says"),
        Column("direction", "Direction"),
        Column("trap", "Trap"),
    )
    rows = tuple(Row((Entry(m.label), Entry(m.meaning), Entry(m.direction), Entry(m.trap))) for m in MEASURES.values())
    return Table("measures", "What the measures mean.", columns, rows, "quality_tables.legend")


def _table(
    results: Results,
    name: str,
    caption: str,
    columns: Sequence[Column],
    made: Sequence[Callable[[Values], float | None]],
    made_by: str,
    note: str,
) -> Table:
    rows = tuple(
        Row((*_head(results, dataset, arm), *(_mean(outcomes, read) for read in made)), _factors(results, dataset, arm))
        for dataset, arm, outcomes in _rows(results)
    )
    empty = "This study judges no images."
    return Table(name, caption, tuple(columns), rows, made_by, (note,), ("data set", "arm"), empty)

"""Records of quality tasks → tables. What every measure means stands in `medaug_keras.measures`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medaug_keras.measures import MEASURES
from medaug_keras.plan import JUDGES_RULE, Making
from medaug_keras.report.format import together
from medaug_keras.report.numbers.results import Results, degenerate, select_words
from medaug_keras.report.tables.table import (
    ARM,
    DATASET,
    Column,
    Entry,
    Kind,
    Part,
    Row,
    Table,
    arm_entry,
    dataset_entry,
    epoch_words,
    gravest,
    not_begun,
    notes_of,
    of_folds,
    tags_of,
)
from medaug_keras.stats import estimate
from medaug_keras.store import Outcome

SPACES = {"features": "classifier features", "pixels": "pixels"}
SEARCHED = {**SPACES, "aligned": "aligned thumbnails"}
"""Where copies are looked for."""
Values = Mapping[str, Any]
_SPREAD: tuple[Part, ...] = ("sd", "n")
_WITH_INTERVAL: tuple[Part, ...] = ("sd", "low", "high", "n")


def _mean(outcomes: Sequence[Outcome], value: Callable[[Values], float | None]) -> Entry:
    """Mean over replicates of a number of their records, or the reason why there is none."""
    there = any(outcome.record is not None for outcome in outcomes)
    missing = next((outcome.reason for outcome in outcomes if outcome.record is None), "not run yet")
    result = estimate(_numbers(outcomes, value), planned=len(outcomes))
    if result.mean is None:
        return Entry(missing="not defined on so few images" if there else missing)
    fewer = result.n < result.planned
    return Entry(result.mean, result.sd, result.n, result.planned, missing=missing if fewer else "")


def _numbers(outcomes: Sequence[Outcome], value: Callable[[Values], float | None]) -> list[float]:
    """A number of every record that has it."""
    there = [outcome.record.values for outcome in outcomes if outcome.record is not None]
    return [number for values in there if (number := value(values)) is not None]


def _judged(results: Results, dataset: str) -> dict[str, list[tuple[Making, Outcome]]]:
    """Arm → the replicates of its quality task, of the arms that have any."""
    return {arm: made for arm in results.arms if (made := results.makings("quality", dataset, arm))}


def _rows(
    results: Results,
    columns: Sequence[Column],
    factors: Sequence[str],
    rows: Callable[[str, str, list[tuple[Making, Outcome]]], Iterable[Row]],
) -> tuple[Row, ...]:
    """The rows of every data set and arm, and one for a data set of which nothing was judged yet."""
    found: list[Row] = []
    for dataset in results.datasets:
        judged = _judged(results, dataset)
        if judged and all(outcome.state == "pending" for made in judged.values() for _, outcome in made):
            found.append(not_begun(results, dataset, columns, factors))
        else:
            found += [row for arm, made in judged.items() for row in rows(dataset, arm, made)]
    return tuple(found)


_HEAD = (DATASET, ARM)


def _head(results: Results, dataset: str, arm: str) -> tuple[Entry, Entry]:
    return dataset_entry(results, dataset), arm_entry(results, arm)


def _factors(results: Results, dataset: str, arm: str) -> dict[str, str]:
    return {"data set": results.title(dataset), "arm": results.label(arm)}


def similarity(results: Results) -> Table:
    """How near the distributions of synthetic and real images are: KID-own and FD-own, each beside its floor."""
    columns = list(_HEAD)
    for space, title in SPACES.items():
        for key, name, parts in (
            ("kid", "KID-own", _WITH_INTERVAL),
            ("kid_real", "of real test images", _WITH_INTERVAL),
            ("fd", "FD-own", _SPREAD),
            ("fd_floor", "its floor", _SPREAD),
        ):
            kind: Kind = "distance" if key.startswith("kid") else "number"
            columns.append(Column(f"{space}.{key}", name, kind, f"In {title}", parts, MEASURES[key].meaning))
    factors = ("data set", "arm")

    def rows(dataset: str, arm: str, made: list[tuple[Making, Outcome]]) -> Iterable[Row]:
        outcomes = [outcome for _, outcome in made]
        entries = []
        for space in SPACES:
            entries += [_distance(outcomes, space, key) for key in ("kid", "kid_real")]
            entries += [_mean(outcomes, _in_space(space, "fd", key)) for key in ("value", "floor")]
        yield Row((*_head(results, dataset, arm), *entries), _factors(results, dataset, arm))

    return Table(
        "similarity",
        "Distance between synthetic and real images.",
        tuple(columns),
        _rows(results, columns, factors, rows),
        "tables.quality.similarity",
        (
            "Lower is better; read a distance only beside that of real images. Mean ± standard deviation over n "
            "replicates. The 95 % interval below it is Student's t over replicates, or for one replicate the jackknife "
            "over its images.",
            *_of_findings(results, f"{_MIX}; images without one are a class of their own"),
            *of_folds(results),
        ),
        factors,
        empty="This study judges no images.",
    )


def _in_space(space: str, measure: str, key: str) -> Callable[[Values], float | None]:
    return lambda values: values["spaces"][space][measure][key] if space in values["spaces"] else None


def _distance(outcomes: Sequence[Outcome], space: str, measure: str) -> Entry:
    """A kernel distance with its interval: over replicates or, of a single one, over images."""
    value = _in_space(space, measure, "value")
    entry, found = _mean(outcomes, value), _numbers(outcomes, value)
    if len(found) == 1:
        low, high = (_numbers(outcomes, _in_space(space, measure, end)) for end in ("low", "high"))
        return replace(entry, low=low[0], high=high[0]) if low and high else entry
    whole = estimate(found)
    if whole.mean is None or whole.half_width is None:
        return entry
    return replace(entry, low=whole.mean - whole.half_width, high=whole.mean + whole.half_width)


def usefulness(results: Results) -> Table:
    """Do synthetic images show their class, and does a classifier learn from them alone?"""
    columns = [
        *_HEAD,
        Column("consistency", "Class consistency", "percent", "", _SPREAD, MEASURES["class_consistency"].meaning),
        Column("ceiling", "of real test images", "percent", "", _SPREAD),
        Column(
            "synthetic_to_real",
            "Trained on synthetic",
            "percent",
            "Test accuracy on real images",
            _SPREAD,
            MEASURES["usefulness"].meaning,
        ),
        Column("real_to_real", "Trained on real", "percent", "Test accuracy on real images", _SPREAD),
        Column("near", "Near-duplicates", "percent", "", _SPREAD, MEASURES["duplicates"].meaning),
        Column("near_real", "of real images", "percent", "", _SPREAD),
    ]
    factors = ("data set", "arm")

    def rows(dataset: str, arm: str, made: list[tuple[Making, Outcome]]) -> Iterable[Row]:
        outcomes = [outcome for _, outcome in made]
        alone = [outcome for _, outcome in results.makings("usefulness", dataset, arm)]
        base = results.baseline(dataset)
        real = base.estimate(results.select, "test", "accuracy") if base else None
        entries = (
            _mean(outcomes, lambda v: v["class_consistency"]["value"]),
            _mean(outcomes, lambda v: v["class_consistency"]["ceiling"]),
            replace(_mean(alone, lambda v: _useful(v, results.select)), tags=_learned_little(alone, results.select))
            if alone
            else Entry(missing="copies of real images"),
            Entry(missing="no baseline run is done")
            if base is None or real is None or real.mean is None
            else Entry(real.mean, real.sd, real.n, real.planned, tags=tags_of(base, results.select)),
            _mean(outcomes, lambda v: v["duplicates"]["near"]),
            _mean(outcomes, lambda v: v["duplicates"]["near_real"]),
        )
        yield Row((*_head(results, dataset, arm), *entries), _factors(results, dataset, arm))

    found = _rows(results, columns, factors, rows)
    return Table(
        "usefulness",
        "Class consistency and usefulness of synthetic images.",
        tuple(columns),
        found,
        "tables.quality.usefulness",
        (
            "Mean ± standard deviation over n replicates. The baseline's network of the same replicate judges class "
            f"consistency, that of {select_words(JUDGES_RULE)}. Of real test images it is that network's recall, with "
            "classes weighted as among the synthetic images. Trained on real: the test accuracy of the baseline's "
            f"networks of all replicates, {epoch_words(results)}, on the test images as they are; so the two differ "
            "where the mix of classes, the epoch or the replicates do.",
            *_of_findings(
                results,
                "class consistency is the AUC with which that network tells images made with a finding from those made "
                "without, mean over the findings",
            ),
            *of_folds(results),
            *notes_of(found),
        ),
        factors,
        empty="This study judges no images.",
    )


def _useful(values: Values, select: str) -> float:
    """Test accuracy of the classifier that saw synthetic images alone."""
    return float(_scores(values, select)["accuracy"])


def _scores(values: Values, select: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = values["scores"][str(values["selected"][select])]["test"]
    return found


def _learned_little(outcomes: Sequence[Outcome], select: str) -> tuple[str, ...]:
    """The tag of classifiers that saw synthetic images alone, where their accuracy says little."""
    there = [_scores(o.record.values, select) for o in outcomes if o.record is not None]
    signs = Counter(sign for found in there if "confusion" in found for sign in degenerate(found["confusion"]))
    return gravest(signs, len(there))


def shortcut(results: Results) -> Table:
    """Could a network take "looks generated" for a class? Both must be high: that it can tell, and what that tells."""
    against = "AUC against training images of the same class"
    columns = (
        *_HEAD,
        Column("told_apart", "Added images", "percent", against, _SPREAD, MEASURES["told_apart"].meaning),
        Column("told_apart_test", "Real test images", "percent", against, _SPREAD),
        Column("class_told", "Class told by the source", "percent", "", _SPREAD, MEASURES["class_told"].meaning),
    )
    factors = ("data set", "arm")

    def rows(dataset: str, arm: str, made: list[tuple[Making, Outcome]]) -> Iterable[Row]:
        if results.study.arms[arm].duplicate is None:
            outcomes = [outcome for _, outcome in made]
            entries = [_mean(outcomes, _of_shortcut(name)) for name in ("auc", "auc_test", "class_told")]
            if not results.study.arms[arm].mixes:
                entries[-1] = Entry(missing="it does not train on both kinds of images together")
            yield Row((*_head(results, dataset, arm), *entries), _factors(results, dataset, arm))

    return Table(
        "shortcut",
        "Can a network tell added images from real ones, and does that tell it the class?",
        columns,
        _rows(results, columns, factors, rows),
        "tables.quality.shortcut",
        (
            "Where both are high, a network can learn whether an image was generated in place of its class, and its "
            "gain or loss is then of the mix of classes, too. The same arm with shares: proportional is the check, "
            "for then the source tells nothing.",
            *_of_findings(results, "the class of an image is its rarest finding, or that it has none"),
            "Mean ± standard deviation over n replicates.",
            *of_folds(results),
        ),
        factors,
        empty="This study judges no images.",
    )


def refused(results: Results) -> Table:
    """What filters refused of the images that generators made, class by class, in all replicates together."""
    columns = (
        *_HEAD,
        Column("class", "Class"),
        Column("drawn", "Drawn", "count", help="Images that the generator made for the arm, in all replicates"),
        Column("refused", "Refused", "count"),
        Column("part", "of those drawn", "percent"),
        Column("class_refused", "class not recognized", "count", "Refused because"),
        Column("near_refused", "too near a training image", "count", "Refused because"),
    )
    factors = ("data set", "arm")
    rows: list[Row] = []
    for dataset in results.datasets:
        for arm in (arm for arm in results.arms if results.study.arms[arm].filter is not None):
            outcomes = [outcome for _, outcome in results.makings("synthesis", dataset, arm)]
            made = [outcome.record.values["filter"] for outcome in outcomes if outcome.record is not None]
            reason = next((outcome.reason for outcome in outcomes if outcome.record is None), "not run yet")
            for number, label in enumerate(results.classes(dataset)):
                entries = [Entry(missing=reason)] * 5
                if made:
                    drawn = sum(one["drawn"][number] for one in made)
                    few = [sum(one["refused"][why][number] for one in made) for why in ("class", "near")]
                    part = Entry(sum(few) / drawn) if drawn else Entry(missing="none was drawn")
                    entries = [Entry(drawn), Entry(sum(few)), part, *map(Entry, few)]
                rows.append(
                    Row((*_head(results, dataset, arm), Entry(label), *entries), _factors(results, dataset, arm))
                )
    return Table(
        "refused",
        "What filters refused of the images that generators made.",
        columns,
        tuple(rows),
        "tables.quality.refused",
        (
            "A filter asks networks of other replicates, trained on real images, whether they recognize the class; "
            "what is refused for both reasons counts with the first. Images are drawn until as many as the arm asks "
            "for are kept. A filter can take out what is hard as well as what is wrong: how the arm compares with as "
            "many unfiltered images stands on the page Significance.",
        ),
        factors,
        empty="This study filters no images.",
    )


def _of_shortcut(name: str) -> Callable[[Values], float | None]:
    return lambda values: values["shortcut"][name]


def classes(results: Results) -> Table:
    """Precision, recall, density and coverage of every class, beside those of real test images."""
    names = ("precision", "recall", "density", "coverage")
    columns = [*_HEAD, Column("class", "Class"), Column("space", "In")]
    for name in names:
        columns.append(Column(name, MEASURES[name].label, "number", "Synthetic images", (), MEASURES[name].meaning))
    columns += [Column(f"real_{name}", MEASURES[name].label, "number", "Real test images") for name in names]
    factors = ("data set", "arm", "in")

    def rows(dataset: str, arm: str, made: list[tuple[Making, Outcome]]) -> Iterable[Row]:
        outcomes = [outcome for _, outcome in made]
        for space, title in SPACES.items():
            for number, label in enumerate(results.row_names(dataset)):
                entries = [
                    _mean(outcomes, _of_class(space, number, name, real)) for real in (False, True) for name in names
                ]
                head = (*_head(results, dataset, arm), Entry(label), Entry(title))
                yield Row((*head, *entries), {**_factors(results, dataset, arm), "in": title})

    return Table(
        "quality-classes",
        "Class by class: do synthetic images lie where real ones lie, and the other way round?",
        tuple(columns),
        _rows(results, columns, factors, rows),
        "tables.quality.classes",
        (
            "Means over replicates.",
            *_of_findings(results, "a row is of all images with the finding, so an image can count in several"),
            *of_folds(results),
        ),
        factors,
        empty="This study judges no images.",
    )


def _of_findings(results: Results, what: str) -> list[str]:
    """A note on data sets whose images have several findings, where there are any."""
    there = together(map(results.title, results.of_findings))
    return [f"Of {there}, whose images have several findings, {what}."] if there else []


_MIX = "the mix of classes is that of the rarest finding of each image"
"""What of several findings is compared where sets of images are compared in one mix of classes."""


def _of_class(space: str, number: int, name: str, real: bool) -> Callable[[Values], float | None]:
    """A measure of one class, of its synthetic images or of its real test images."""

    def read(values: Values) -> float | None:
        found = values["spaces"].get(space, {}).get("classes", [])
        if number >= len(found):
            return None
        images = found[number]["real"] if real else found[number]
        return images[name] if images else None

    return read


_AT_0 = "Images at distance 0 from a training image"


def copying(results: Results) -> Table:
    """Were training images copied? Every replicate by itself, since one generator that copies is enough."""
    columns = (
        *_HEAD,
        Column("replicate", "Replicate", "count"),
        Column("space", "In"),
        Column("verdict", "Found"),
        Column("p", "p", "p"),
        Column("identical", "synthetic", "count", _AT_0, (), MEASURES["identical"].meaning),
        Column("identical_test", "real test", "count", _AT_0),
        Column("nearer", "Nearer to training images", "percent", "", (), MEASURES["nearer_to_train"].meaning),
        Column("c_t", "C_T", "number", "", (), MEASURES["c_t"].meaning, extra=True),
        Column("train", "to training", "number", "Median distance of synthetic images", extra=True),
        Column("test", "to test", "number", "Median distance of synthetic images", extra=True),
    )
    factors = ("data set", "arm", "in")

    def rows(dataset: str, arm: str, made: list[tuple[Making, Outcome]]) -> Iterable[Row]:
        for making, outcome in made:
            head = (*_head(results, dataset, arm), Entry(making.replicate))
            shown = _factors(results, dataset, arm)
            if outcome.record is None:
                yield Row((*head, *[Entry(missing=outcome.reason)] * 9), {**shown, "in": "not run"})
                continue
            for space, title in SEARCHED.items():
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
                yield Row((*head, *entries), {**shown, "in": title})

    return Table(
        "copying",
        "Nearest training image against nearest test image.",
        columns,
        _rows(results, columns, factors, rows),
        "tables.quality.copying",
        (
            "Real test images are the yardstick: copying is called when more synthetic images lie close to a training "
            "image than those explain, at a false-alarm chance of 0.1 % for a set of images. “No copying found” is the "
            "strongest statement possible; it does not say that images are private.",
            "Distance 0 is counted in each row's own terms: in pixels, images equal a training image or its mirror "
            "image in every pixel, and only these are identical; in classifier features or as aligned thumbnails, "
            "different images can look the same.",
            "Aligned thumbnails are small smooth images of equal brightness and contrast, moved and turned against "
            "each other. With them, sets that consist of copies were found in tests when the copies were mirrored, "
            "moved by a pixel, turned by 2 or 5 degrees, enlarged by 5 %, paler, blurred, noisy, or blended with "
            "another image. Where only some images are copies, altered ones can stay unseen, above all in data "
            "sets whose real images are often near to one another.",
            *_reconstructed(results),
            *of_folds(results),
        ),
        factors,
        empty="This study judges no images.",
    )


def _reconstructed(results: Results) -> list[str]:
    """What to know of arms whose images are no new ones."""
    arms = [results.label(arm) for arm in results.arms if results.study.arms[arm].interleave]
    if not arms:
        return []
    return [f"{together(arms)}: each image is rebuilt from a training image, so it lies near that one by design."]


def legend() -> Table:
    """What every measure means, its direction and its trap."""
    columns = (
        Column("measure", "Measure"),
        Column("meaning", "What it says"),
        Column("direction", "Direction"),
        Column("trap", "Trap"),
    )
    rows = tuple(Row((Entry(m.label), Entry(m.meaning), Entry(m.direction), Entry(m.trap))) for m in MEASURES.values())
    return Table("measures", "What the measures mean.", columns, rows, "tables.quality.legend")

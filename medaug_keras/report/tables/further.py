"""What every arm does on further test sets, beside the test images of its data set."""

from collections.abc import Mapping

from medaug_keras.report.format import verdict_words
from medaug_keras.report.numbers.further import WORDS, Tried
from medaug_keras.report.numbers.inference import Cell, Inference
from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.report.tables.table import (
    DATASET,
    Column,
    Entry,
    Row,
    Table,
    comparison_tags,
    dataset_entry,
    epoch_words,
    few_tags,
    interval_note,
    margin_note,
    measured,
    variant_entry,
)
from medaug_keras.spec import Corruptions

_BASE = "the arm that the others are compared with"
Found = Mapping[tuple[Cell, str], Tried]


def other_test_sets(results: Results, inference: Inference, found: Found) -> Table:
    """A row for every arm on every further test set, by data set and test set."""
    metric = METRICS[results.study.primary]
    there, own, change = "On the other test set", "On the test images", "From test images to the other set"
    columns = (
        DATASET,
        Column("test_set", "Test set"),
        Column("arm", "Arm", parts=("name",)),
        Column("verdict", "Verdict", "verdict", there),
        Column("score", metric, "percent", there, ("sd", "n")),
        Column("effect", "Difference", "points", there, ("low", "high")),
        Column("p", "p, corrected", "p", there, help="Over all arms on the test set (Holm)"),
        Column("own", metric, "percent", own, ("sd", "n")),
        Column("own_effect", "Difference", "points", own, ("low", "high")),
        Column("change", "Change", "points", change, ("low", "high")),
        Column("images", "Images", "count", extra=True),
        Column("groups", "Groups", "count", extra=True),
    )
    rows = []
    for (cell, name), one in found.items():
        c, own_c = one.difference, inference.tests.get(cell)
        why = one.reason
        entries = [dataset_entry(results, cell[0]), Entry(name), variant_entry(results, *cell[1:])]
        score = one.score
        value = Entry(score.mean, score.sd, score.n, score.planned, missing=why)
        if c is None:
            entries += [Entry(missing=_BASE), value, Entry(missing=_BASE), Entry(missing=_BASE)]
        else:
            r = c.result
            entries += [
                Entry(c.word, tags=comparison_tags(c, results.select)),
                value,
                Entry(r.effect, low=r.low, high=r.high, missing=r.reason or "", tags=few_tags(r)),
                Entry(c.p, missing=r.reason or ""),
            ]
        entries.append(measured(one.group, results.select, results.study.primary))
        if own_c is None:
            entries.append(Entry(missing=_BASE))
        else:
            r = own_c.result
            entries.append(Entry(r.effect, low=r.low, high=r.high, missing=r.reason or ""))
        assert one.change is not None
        entries.append(
            Entry(one.change.effect, low=one.change.low, high=one.change.high, missing=one.change.reason or why)
        )
        entries.append(Entry(one.images or None, missing=why))
        entries.append(Entry(one.units, missing=why or "its images have no groups"))
        factors = {"data set": results.title(cell[0]), "test set": name, "arm": results.variant(*cell[1:])}
        factors["verdict"] = "baseline" if c is None else verdict_words(c.word)
        rows.append(Row(tuple(entries), factors))
    compared = [one.difference for one in found.values() if one.difference is not None]
    base = results.variant(*results.reference)
    return Table(
        "other-test-sets",
        f"{METRICS[results.study.primary]} on other test sets, {epoch_words(results)}.",
        columns,
        tuple(rows),
        "tables.further.other_test_sets",
        (
            "The networks are those whose results on the test images stand beside; none was trained again. "
            f"Differences are to “{base}”, with the 95 % interval of a crossed analysis of replicates and images (or "
            "groups). On each of these test sets, the arms are a family of their own, over which p is corrected "
            "(Holm); the verdict follows it, at 5 %. The tests on the test images are as they would be without other "
            "test sets.",
            *(
                [
                    "A corrupted test set has every test image once for each corruption. Its score is the mean over "
                    "corruptions, and an image, with all its corruptions, is one image of the analysis. Change: the "
                    "same networks there, less on the same images as they are; exploratory."
                ]
                if corrupted_sets(results)
                else []
            ),
            *(
                [
                    "Images from elsewhere are other images than the test images: the change to them has no interval, "
                    "and who reads it reads what sets the images apart, shares of the classes included."
                ]
                if results.outside
                else []
            ),
            *interval_note(compared),
            *margin_note(inference.margin),
        ),
        ("data set", "test set", "arm", "verdict"),
        empty="No data set of this study has another test set.",
    )


def corrupted_sets(results: Results) -> list[tuple[str, str, Corruptions]]:
    """Data set and name of every test set that is corrupted."""
    sets = ((d, name, results.study.datasets[d].tests[name]) for d, name in results.further_tests)
    return [(dataset, name, part) for dataset, name, part in sets if isinstance(part, Corruptions)]


def from_elsewhere(results: Results) -> Table:
    """A row for every further test set from elsewhere: its images, and where they come from."""
    columns = (
        DATASET,
        Column("test_set", "Test set", help="As the study calls it"),
        Column("images", "Images", "count"),
        Column("groups", "Groups", "count"),
        Column("classes", "By class"),
        Column("in_training", "In training", "count", "Images that are also", help="Identical, or nearly"),
        Column("in_validation", "In validation", "count", "Images that are also", help="Identical, or nearly"),
        Column("source", "Source"),
        Column("licence", "License"),
    )
    rows = []
    for dataset, name, place in results.outside:
        first = (dataset_entry(results, dataset), Entry(name))
        factors = {"data set": results.title(dataset), "test set": name}
        data, overlap = results.data(place), results.overlap(place)
        if data.record is None:
            source = licence = Entry(missing=data.reason)
        else:
            source = Entry(str(data.record.values["source"]))
            licence = Entry(data.record.values.get("licence") or None, missing="not stated")
        if overlap.record is None:
            missing = Entry(missing=overlap.reason)
            rows.append(Row((*first, *[missing] * 5, source, licence), factors))
            continue
        values = overlap.record.values
        split, found = values["splits"]["test"], values["audit"]["test"]
        shares = zip(values["classes"], split["per_class"], strict=True)
        entries = (
            Entry(split["images"]),
            Entry(found.get("groups"), missing="its images have no groups"),
            Entry("; ".join(f"{n:,} {word}" for word, n in shares)),
            Entry(found["in_train"] + found["near_in_train"]),
            Entry(found["in_validation"] + found["near_in_validation"]),
        )
        rows.append(Row((*first, *entries, source, licence), factors))
    return Table(
        "test-sets-from-elsewhere",
        "Further test sets from elsewhere.",
        columns,
        tuple(rows),
        "tables.further.from_elsewhere",
        ("What else was looked for in them stands on the page Checks.",),
        ("data set", "test set"),
    )


def by_corruption(results: Results, found: Found) -> Table:
    """A row for every corruption of every further test set and arm."""
    metric = METRICS[results.study.primary]
    columns = (
        DATASET,
        Column("test_set", "Test set"),
        Column("corruption", "Corruption", parts=("name",)),
        Column("arm", "Arm", parts=("name",)),
        Column("score", metric, "percent", parts=("sd", "n")),
        Column("pixels", "Pixels change by", "number", help="Mean absolute difference, of 255"),
    )
    rows = []
    for dataset, name in results.further_tests:
        here = {cell: one for (cell, other), one in found.items() if (cell[0], other) == (dataset, name)}
        part = results.study.datasets[dataset].tests[name]
        for kind in part.kinds if isinstance(part, Corruptions) else ():
            for cell, one in here.items():
                score, words = one.of_corruption(kind), WORDS[kind]
                entries = (
                    dataset_entry(results, dataset),
                    Entry(name),
                    Entry(words, name=kind),
                    variant_entry(results, *cell[1:]),
                    Entry(score.mean, score.sd, score.n, score.planned, missing=one.reason),
                    Entry(one.pixels.get(kind), missing=one.reason),
                )
                factors = {"data set": results.title(dataset), "test set": name, "corruption": words}
                rows.append(Row(entries, {**factors, "arm": results.variant(*cell[1:])}))
    return Table(
        "corruptions",
        f"Every corruption, {epoch_words(results)}.",
        columns,
        tuple(rows),
        "tables.further.by_corruption",
        ("No test is made of single corruptions.",),
        ("data set", "test set", "corruption", "arm"),
        empty="No data set of this study has a corrupted test set.",
    )

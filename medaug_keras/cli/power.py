"""Which differences a planned study could show, and what that costs, for a terminal."""

import argparse
from contextlib import suppress

from medaug_keras.durations import Durations, duration, per_replicate
from medaug_keras.plan import Plan, plan
from medaug_keras.report.format import DASH, of_points, plural, span, unsigned
from medaug_keras.report.numbers.findings import metric_name
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.prospects import Prospect, prospects
from medaug_keras.report.numbers.results import Results
from medaug_keras.spec import Study
from medaug_keras.store import Store

from . import memory


def power(options: argparse.Namespace, study: Study, whole: Plan, durations: Durations) -> str:
    """The table of `plan --power`, with where the variances are from below it."""
    store = Store(options.results)
    results = Results(study, whole, store)
    others = _others(options, study, durations)
    wanted = None if options.difference is None else options.difference / 100
    found = prospects(results, Inference(results), others, difference=wanted)
    seconds = {name: per_replicate(durations, whole, name) for name in whole.data}
    if not any(one.arms for one in found):
        return "Power: the study has no arm beside its baseline."
    heads = ("", "test images", f"shown with {results.replicates}", f"replicates for {of_points(found[0].difference)}")
    rows = [(*heads, "time of these")]
    for one in found:
        time = _time(one, seconds[one.dataset], options.workers)
        rows.append((results.title(one.dataset), f"{one.images:,}", _sizes(one), _needed(one), time))
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads) + 1)]
    arms = plural(max(one.arms for one in found), "arm")
    notes = [
        "",
        f"Smallest detectable difference in test {metric_name(study.primary)} (points, 80 % power, corrected for "
        f"{arms}):",
    ]
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        notes.append("  ".join([row[0].ljust(widths[0]), *cells]))
    notes.append("In words (found: in 8 of 10 such studies, or more):")
    notes += [f"  {results.title(one.dataset)}: {_meaning(one)}" for one in found if one.arms]
    notes.append("From the lower to the upper 90 % limits of variances of:")
    notes += [f"  {results.title(one.dataset)}: {one.source}" for one in found if one.precedents]
    if any("shipped" in one.source for one in found):
        notes.append("Shipped ones are a first guess; two replicates of the study itself say more.")
    if study.margin is not None:
        notes.append(
            f"All of it is for showing a difference. What equivalence within {study.margin:g} points takes is not "
            "known here."
        )
    return "\n".join(notes)


def _others(options: argparse.Namespace, study: Study, durations: Durations) -> list[Inference]:
    """Other studies that the results folder knows, with what is finished of them; their times are learned from, too."""
    found = []
    for name in memory.names(options.results):
        known = memory.recall(options.results, name)
        if name == study.name or known is None:
            continue
        with suppress(ValueError, OSError, KeyError):  # what cannot be read says nothing
            whole = plan(known.study, known.sources)
            results = Results(known.study, whole, Store(options.results))
            for task, outcome in results.outcomes.items():
                if outcome.record is not None and outcome.record.spent is not None:
                    durations.learn(whole.tasks[task], outcome.record.spent)
            found.append(Inference(results))
    return found


def _sizes(one: Prospect) -> str:
    if one.detectable is None:
        return DASH
    low, high = one.detectable.low, one.detectable.high
    if low >= 1:
        return "none"
    return f"{unsigned(low)} to {unsigned(high)}" if high < 1 else f"{unsigned(low)} at best"


def _needed(one: Prospect) -> str:
    if one.fewest is None:
        return "too few images" if one.precedents else DASH
    return f"{one.fewest:,} at best" if one.most is None else f"{one.fewest:,} to {one.most:,}"


def _meaning(one: Prospect) -> str:
    """What a row of the table means for who plans the study."""
    S = plural(one.replicates, "replicate")
    known = any(precedent.limits for precedent in one.precedents)
    if one.detectable is None and (one.replicates > 1 or not known):
        return "how much runs vary is not known. Run two replicates and ask again."
    if one.detectable is None:
        said = f"with {S} there is no test."
    elif one.detectable.low >= 1:
        said = f"with {S} no difference is found, however large."
    elif one.detectable.high >= 1:
        low = unsigned(one.detectable.low)
        said = f"with {S} a true difference of {low} points is found at best, and perhaps none, however large."
    else:
        low, high = unsigned(one.detectable.low), unsigned(one.detectable.high)
        said = f"with {S} a true difference of {high} points is found, of {low} at best, and smaller ones less often."
    wanted, images = of_points(one.difference), plural(one.images, "test image")
    if one.fewest is None:
        return (
            f"{said} No number of replicates finds {wanted} with {images}: test more images (with folds, all of them "
            "are tested), or ask for a larger difference (--difference)."
        )
    fewest = plural(one.fewest, "replicate")
    if one.most is None:
        return f"{said} To find {wanted} takes {fewest} at best, and perhaps more test images than {one.images:,}."
    return f"{said} To find {wanted} takes {plural(one.most, 'replicate')}, at best {one.fewest:,}."


def _time(one: Prospect, each: float | None, workers: int) -> str:
    ends = [n for n in (one.fewest, one.most) if n is not None]
    if each is None or not ends:
        return "not known" if ends else DASH
    return span(ends, lambda n: duration(n * each / workers))

"""What a study may say: sentences made from its tests, never more than they allow."""

from collections.abc import Sequence

from .format import count, p_value, plural, points, together
from .inference import ALPHA, Comparison, Inference
from .results import METRICS, Results


def metric_name(metric: str) -> str:
    """The metric in the middle of a sentence."""
    return "AUC" if metric == "auc" else "macro F1" if metric == "macro_f1" else METRICS[metric].lower()


def answer(results: Results, inference: Inference) -> list[str]:
    """The study's answer in two sentences, and a third while it is not finished."""
    name = metric_name(results.study.primary)
    base = results.variant(*results.reference)
    tests = list(inference.tests.values())
    tested = [c for c in tests if c.word != "not tested"]
    unfinished = _unfinished(results)
    if not any(run.done for run in results.runs):
        return ["No run is done yet, so there is no answer.", *unfinished]
    if not tests:
        return ["There is nothing to compare: the study has no arm beside its baseline.", *unfinished]
    if not tested:
        why = (
            "every arm was trained once, and how much another training run would differ is unknown"
            if results.replicates == 1
            else "no arm has two replicates in common with the baseline yet"
        )
        return [
            f"Point values only: {why}, so no difference in test {name} was tested.",
            _spread(results),
            *unfinished,
        ]
    return [_words(results, tested, len(tests), name, base), _could(tested), *unfinished]


def _words(results: Results, tested: Sequence[Comparison], all_tests: int, name: str, base: str) -> str:
    better, worse = ([c for c in tested if c.word == word] for word in ("better", "worse"))
    of = (
        f"{len(tested)} comparisons" if len(tested) == all_tests else f"{len(tested)} of {all_tests} comparisons tested"
    )
    if len(tested) == all_tests == 1:
        of = "one comparison"
    if not better and not worse:
        return f"No arm's test {name} could be told from that of “{base}” ({of}, corrected for their number)."
    parts = [
        f"{word} than “{base}”: {together(_named(results, c) for c in found[:4])}{_more(found)}"
        for word, found in (("better", better), ("worse", worse))
        if found
    ]
    rest = len(tested) - len(better) - len(worse)
    said = f"In test {name}, {'; '.join(parts)}"
    tail = f"; {plural(rest, 'other')} not distinguishable" if rest else ""
    return f"{said}{tail} ({of}, corrected for their number)."


def _more(found: Sequence[Comparison]) -> str:
    return f" and {count(len(found) - 4)} more" if len(found) > 4 else ""


def _named(results: Results, c: Comparison) -> str:
    label = results.variant(c.group.arm, c.group.sampling)
    return f"{label} on {results.title(c.group.dataset)} ({points(c.result.effect or 0.0)} points)"


def _could(tested: Sequence[Comparison]) -> str:
    smallest = [o.detectable for c in tested if (o := c.outlook) is not None]
    if not smallest:
        return "What difference could have been found is not known."
    low, high = (f"{100 * edge:.1f}" if edge < 1 else "more than 100" for edge in (min(smallest), max(smallest)))
    size = f"{low} points" if low == high else f"{low} to {high} points, depending on data set and arm,"
    return (
        f"A single comparison could have found a true difference of {size} with 80 % power; smaller ones may "
        "exist, and "
        "“not distinguishable” does not mean equal."
    )


def _spread(results: Results) -> str:
    metric = results.study.primary
    gaps = []
    for dataset in results.datasets:
        groups = [g for (name, *_), g in results.groups.items() if name == dataset]
        means = [m for g in groups if (m := g.estimate(results.epoch, "test", metric).mean) is not None]
        if len(means) > 1:
            gaps.append(f"{results.title(dataset)} {points(max(means) - min(means))}")
    if not gaps:
        return "Only one arm has a value."
    return f"Points between the highest and the lowest arm: {together(gaps)}; replicates would show what chance does."


def _unfinished(results: Results) -> list[str]:
    left = [run for run in results.runs if not run.done]
    if not left:
        return []
    return [f"The study is not complete: {count(len(left))} of {plural(len(results.runs), 'run')} have no result."]


def claims(results: Results, inference: Inference) -> list[tuple[str, str]]:
    """("can" | "cannot", sentence): what this study can and cannot claim, in order of weight."""
    name, base = metric_name(results.study.primary), results.variant(*results.reference)
    tests = list(inference.tests.values())
    tested = [c for c in tests if c.word != "not tested"]
    found: list[tuple[str, str]] = []
    for word in ("better", "worse"):
        for c in (c for c in tested if c.word == word):
            r = c.result
            found.append(
                (
                    "can",
                    f"On {results.title(c.group.dataset)}, {results.variant(c.group.arm, c.group.sampling)} "
                    f"is {word} than "
                    f"“{base}” in test {name}: {points(r.effect or 0.0)} points, 95 % interval "
                    f"{points(r.low or 0.0)} to {points(r.high or 0.0)}, corrected p {p_value(c.holm or 0.0)}, "
                    f"n = {r.replicates} replicates.",
                )
            )
    rest = [c for c in tested if c.word == "not distinguishable"]
    if rest:
        found.append(
            (
                "cannot",
                f"For {plural(len(rest), 'comparison')} of {len(tests)} neither a gain nor a loss in test "
                f"{name} is shown, "
                "and no equality either.",
            )
        )
    untested = [c for c in tests if c.word == "not tested"]
    if untested:
        reasons = sorted({c.result.reason or "" for c in untested})
        found.append(("cannot", f"{plural(len(untested), 'comparison')} not tested: {'; '.join(reasons)}."))
    for one in inference.across:
        if one.meta.effect is not None and one.holm is not None and one.holm <= ALPHA:
            word = "raises" if one.meta.effect > 0 else "lowers"
            found.append(
                (
                    "can",
                    f"Over {plural(one.meta.datasets, 'data set')}, {results.variant(one.arm, one.sampling)} "
                    f"{word} test "
                    f"{name} by {points(abs(one.meta.effect))} points on average (random effects, corrected p "
                    f"{p_value(one.holm)}).",
                )
            )
    if len(results.datasets) > 1 and not any(kind == "can" and text.startswith("Over") for kind, text in found):
        found.append(("cannot", f"No arm is shown to change test {name} on average over the data sets."))
    chance = inference.reach
    if not chance.reachable and len(results.datasets) > 1:
        found.append(
            (
                "cannot",
                f"Counting wins cannot show anything here: an arm that wins on all {chance.pairs} data sets would have "
                f"p = {p_value(chance.smallest_p)}, times {chance.tests} arms {p_value(chance.corrected)}; it takes "
                f"{chance.pairs_needed} data sets.",
            )
        )
    control = list(inference.controls.values())
    if control:
        over = [c for c in control if c.word == "better"]
        if over:
            named = together(_named(results, c) for c in over)
            found.append(("can", f"More than copies of real images do, in test {name}: {named}."))
        else:
            found.append(
                (
                    "cannot",
                    f"No generator's images are shown to raise test {name} more than as many copies of real images.",
                )
            )
    found.append(("cannot", "Differences on the other metrics are exploratory: they suggest what to test next."))
    if any("simulated" in results.marks(d) for d in results.datasets):
        found.append(
            ("cannot", "Simulated images show that methods run and can be told apart, nothing about patients.")
        )
    found.append(("cannot", "Nothing here supports clinical use."))
    return found

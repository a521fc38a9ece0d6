"""What a study may say: sentences made from its tests, never more than they allow."""

from collections import Counter
from collections.abc import Sequence

from .format import count, p_text, p_value, plural, points, together
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
    elif len(results.datasets) > 1:
        of += ", corrected for all arms of a data set"
    else:
        of += ", corrected for their number"
    if not better and not worse:
        return f"No arm's test {name} could be told from that of “{base}” ({of})."
    parts = [
        f"{word} than “{base}”: {together(_named(results, c) for c in found[:4])}{_more(found)}"
        for word, found in (("better", better), ("worse", worse))
        if found
    ]
    rest = len(tested) - len(better) - len(worse)
    said = f"In test {name}, {'; '.join(parts)}"
    tail = f"; {plural(rest, 'other')} not distinguishable" if rest else ""
    return f"{said}{tail} ({of})."


def _more(found: Sequence[Comparison]) -> str:
    return f" and {count(len(found) - 4)} more" if len(found) > 4 else ""


def _named(results: Results, c: Comparison) -> str:
    label = results.variant(c.group.arm, c.group.sampling)
    return f"{label} on {results.title(c.group.dataset)} ({points(c.result.effect or 0.0)} points)"


def _could(tested: Sequence[Comparison]) -> str:
    found = [c.detectable for c in tested if c.detectable is not None]
    if not found:
        return "What difference could have been found is not known: nothing varied between runs."
    low, high = min(one.low for one in found), max(one.high for one in found)
    if low >= 1:
        return (
            "With so few replicates these corrected tests would find no difference, however large, with 80 % power: "
            "“not distinguishable” does not mean equal."
        )
    best = f"{100 * low:.1f}"
    worst = f"{100 * high:.1f} points" if high < 1 else "no difference, however large"
    where = "; it depends on data set and arm, and" if len(found) > 1 else ";"
    return (
        f"With 80 % power these corrected tests find a true difference of {best} points at best and {worst} at worst"
        f"{where} {plural(tested[0].result.replicates, 'replicate')} cannot say it better. “Not distinguishable” does "
        "not mean equal."
    )


def _spread(results: Results) -> str:
    metric = results.study.primary
    gaps = []
    for dataset in results.datasets:
        groups = [g for (name, *_), g in results.groups.items() if name == dataset]
        means = [m for g in groups if (m := g.estimate(results.select, "test", metric).mean) is not None]
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


def can_be_said(c: Comparison, control: Comparison | None) -> str:
    """What a comparison allows to say of its arm; `control` is the arm against copies of real images."""
    name = metric_name(c.metric)
    if c.word == "not tested":
        return "Nothing."
    if c.word in ("better", "worse"):
        more = " More so than as many copies of real images." if control and control.word == c.word == "better" else ""
        return f"Here it {'raises' if c.word == 'better' else 'lowers'} test {name}.{more}"
    size = c.detectable
    if size is None:
        if c.result.mean_squares is None:
            return f"Test {name} was the same in every replicate, image by image."
        return "How large a difference would have been found is not known: nothing varied between runs."
    if size.low >= 1:
        return "Nothing: with so few replicates no difference would have been found."
    if size.high >= 1:
        return (
            f"4 of 5 such studies find a true difference of {100 * size.low:.1f} points at best, and none, however "
            "large, at worst: how much runs vary is hardly known."
        )
    low, high = f"{100 * size.low:.1f}", f"{100 * size.high:.1f}"
    fewer = f"; one of less than {low} in fewer" if low != high else ""
    return f"A true difference of {high} points would have been found in 4 of 5 such studies or more{fewer}."


def cannot_be_said(c: Comparison, control: Comparison | None, printed: float | None, *, generated: bool) -> str:
    """What a comparison does not allow to say; `printed` is the paper's difference, `generated` a generator's arm."""
    r = c.result
    if c.word == "not tested":
        return f"Whether it helps or harms: {r.reason}."
    if r.low is None or r.high is None:
        return f"That other runs would not differ: {r.reason}."
    few = " Few test images make this difference, so the interval is too narrow." if c.few else ""
    low, high = r.low, r.high
    inside = printed is not None and low <= printed <= high
    if c.word == "not distinguishable":
        span = f"{points(low)} to {points(high)}"
        if low > 0 or high < 0:
            why = (
                f"{plural(r.replicates, 'replicate')} say too little of how much runs vary"
                if (r.p_family or 0.0) > ALPHA
                else f"among {plural(c.family, 'comparison')} one such can come by chance"
            )
            words = f"That it {'helps' if low > 0 else 'harms'}: alone, its interval of {span} leaves out 0, but {why}."
            return words + few
        paper = "" if printed is None else f"; the paper's {points(printed)} {'does' if inside else 'does not'}"
        return f"That it helps, harms or changes nothing: {span} points fit these runs{paper}.{few}"
    found = ["That it does so on other data sets or with another classifier."]
    if generated and c.word == "better" and (control is None or control.word != "better"):
        found.append("That its images do more than as many copies of real ones.")
    if printed is not None and not inside:
        found.append(f"That the difference is the paper's {points(printed)}: it lies outside the interval.")
    return " ".join(found) + few


def claims(results: Results, inference: Inference) -> list[tuple[str, str]]:
    """("can" | "cannot", sentence): what this study can and cannot claim, in order of weight."""
    tests = list(inference.tests.values())
    tested = [c for c in tests if c.word != "not tested"]
    differ = [c for word in ("better", "worse") for c in tested if c.word == word]
    found = [("can", _difference(results, c)) for c in differ]
    found += [("cannot", text) for text in _not_shown(results, tests, tested, differ)]
    found += _over_data_sets(results, inference)
    found += _over_copies(results, inference)
    found.append(("cannot", "Differences on the other metrics are exploratory: they suggest what to test next."))
    if any("simulated" in results.marks(d) for d in results.datasets):
        found.append(
            ("cannot", "Simulated images show that methods run and can be told apart, nothing about patients.")
        )
    found.append(("cannot", "Nothing here supports clinical use."))
    return found


def units(results: Results, inference: Inference) -> list[str]:
    """What the tests take as independent: groups of images where records say which belong together, else images."""
    found = [
        f"{results.title(name)}: {count(images)} test images of {plural(groups, 'group')} that belong together (to one "
        "patient, slide or scan). The groups are taken as independent, not the images."
        for name, (images, groups) in inference.grouped.items()
    ]
    alone = [results.title(name) for name in results.datasets if name not in inference.grouped]
    if alone:
        found.append(
            f"Nothing says which test images of {together(alone)} belong together, so each was taken as a patient of "
            "its own. Where several show one patient, p is too small and intervals are too narrow; what is known of "
            "the sources stands on the page Data sets."
        )
    return found


def _difference(results: Results, c: Comparison) -> str:
    r = c.result
    return (
        f"On {results.title(c.group.dataset)}, {results.variant(c.group.arm, c.group.sampling)} is {c.word} than "
        f"“{results.variant(*results.reference)}” in test {metric_name(c.metric)}: {points(r.effect or 0.0)} points, "
        f"corrected {p_text(c.holm or 0.0)}, 95 % interval of this comparison alone {points(r.low or 0.0)} to "
        f"{points(r.high or 0.0)}{' (too narrow: few test images make the difference)' if c.few else ''}, "
        f"{plural(r.replicates, 'replicate')}."
    )


def _not_shown(
    results: Results, tests: Sequence[Comparison], tested: Sequence[Comparison], differ: Sequence[Comparison]
) -> list[str]:
    name, found = metric_name(results.study.primary), []
    if differ and len({c.group.dataset for c in tested}) > 1:
        found.append(
            "The correction holds the chance of any false claim at 5 % for each data set by itself, not for all of "
            "them together."
        )
    if len(tested) > len(differ):
        found.append(
            f"For {plural(len(tested) - len(differ), 'comparison')} of {len(tests)} neither a gain nor a loss in test "
            f"{name} is shown, and no equality either."
        )
    if len(tests) > len(tested):
        reasons = Counter(c.result.reason or "" for c in tests if c.word == "not tested")
        why = "; ".join(f"{count(n)}: {reason}" if len(reasons) > 1 else reason for reason, n in reasons.most_common())
        found.append(f"{plural(len(tests) - len(tested), 'comparison')} not tested: {why}.")
    left = sum(not run.done for run in results.runs)
    if tested and left:
        found.append(
            f"The study is not finished: {count(left)} of {plural(len(results.runs), 'run')} have no result. Who looks "
            "at tests again and again while runs arrive finds differences by chance more often than the tests say."
        )
    return found


def _over_data_sets(results: Results, inference: Inference) -> list[tuple[str, str]]:
    if len(results.datasets) < 2:
        return []
    name, found = metric_name(results.study.primary), []
    for one in inference.across:
        if one.meta.effect is not None and one.holm is not None and one.holm <= ALPHA:
            found.append(
                (
                    "can",
                    f"Over {one.meta.datasets} of {plural(len(results.datasets), 'data set')}, "
                    f"{results.variant(one.arm, one.sampling)} {'raises' if one.meta.effect > 0 else 'lowers'} test "
                    f"{name} by {100 * abs(one.meta.effect):.2f} points on average (every data set counts the same; "
                    f"corrected {p_text(one.holm)}).",
                )
            )
    if not found:
        most = max((one.meta.datasets for one in inference.across), default=0)
        found.append(
            (
                "cannot",
                f"No arm is shown to change test {name} on average over data sets; an arm was tested on "
                f"{'at most ' if most else ''}{most} of {len(results.datasets)}.",
            )
        )
    chance = inference.reach
    if not chance.reachable:
        found.append(
            (
                "cannot",
                f"Counting wins cannot show anything here: an arm that wins on all {chance.pairs} data sets would have "
                f"{p_text(chance.smallest_p)}, times {chance.tests} arms {p_value(chance.corrected)}; it takes "
                f"{chance.pairs_needed} data sets.",
            )
        )
    return found


def _over_copies(results: Results, inference: Inference) -> list[tuple[str, str]]:
    if not inference.controls:
        return []
    name = metric_name(results.study.primary)
    over = [c for c in inference.controls.values() if c.word == "better"]
    if over:
        named = together(_named(results, c) for c in over)
        return [("can", f"More than as many copies of real images do, in test {name}: {named}.")]
    return [
        ("cannot", f"No generator's images are shown to raise test {name} more than as many copies of real images.")
    ]

"""The conclusions of a study, as sentences: no more than its tests support."""

from collections import Counter
from collections.abc import Sequence

from medaug_keras.looks import CLAIMS, Looks
from medaug_keras.reading.words import rare_classes, weighted_twice
from medaug_keras.report.format import (
    count,
    in_sentence,
    in_words,
    of_points,
    p_text,
    p_value,
    percent,
    plural,
    points,
    together,
    within,
)
from medaug_keras.report.numbers.inference import ALPHA, ArmResult, Cell, Comparison, Inference
from medaug_keras.report.numbers.results import DEGENERATE, METRICS, Results, tuning_measure
from medaug_keras.spec import differences, dump


def recipes(results: Results) -> list[str]:
    """How arms are trained otherwise than the baseline, beside their images: by other settings, and longer."""
    said = []
    study = dump(results.study.classifier)
    for arm in results.arms:
        own = results.study.arms[arm].classifier
        changes = differences(study, dump(own)) if own is not None else {}
        words = [
            f"{name} is {_shown(new)}" + ("" if old is None else f", elsewhere {_shown(old)}")
            for name, (old, new) in changes.items()
            # settings of the study's kind mean nothing to another kind
            if (new is not None or f"{name.rpartition('.')[0]}.kind" not in changes)
            and (name != "optimizer.learning_rate" or results.study.classifier.tune is None)  # it is chosen
        ]
        if words:
            said.append(f"{results.label(arm)} is trained by a recipe of its own: {'; '.join(words)}.")
    twice = weighted_twice(results.study)
    said += [*([twice] if twice else []), *tuning(results)]
    if results.longer:
        arms = ", ".join(f"{results.label(arm)} {_parts(*part)} %" for arm, part in results.longer.items())
        passes = " Epochs are passes over an arm's own training set; with the setting budget, all arms take as many."
        why = "" if results.study.classifier.budget else passes
        said.append(f"Training takes more images, or fewer, in these arms than in the baseline: {arms}.{why}")
    return said


def tuning(results: Results) -> list[str]:
    """How learning rates were chosen, where they were, and for which arms the best one was at an end of the list."""
    tune = results.study.classifier.tune
    if tune is None:
        return []
    values = ", ".join(f"{value:g}" for value in tune.learning_rate)
    runs = "one training run" if tune.seeds == 1 else f"{tune.seeds} training runs"
    by = tuning_measure(results.study.tuned_by)
    said = (
        f"The learning rate of each arm was chosen from {len(tune.learning_rate)} values ({values}) by the mean {by} "
        f"of {runs} with each, of other seeds than the replicates'; no test image was used."
    )
    if any(results.folds(name) for name in results.datasets):
        said += " Where there are folds, each fold chose its own."
    ends = {"largest": (max(tune.learning_rate), "higher"), "smallest": (min(tune.learning_rate), "lower")}
    warnings = []
    for which, (end, direction) in ends.items():
        arms = [
            f"{results.variant(arm, sampling)} on {results.title(dataset)}"
            for (dataset, arm, sampling), group in results.groups.items()
            if any(one["learning_rate"] == end for run in group.done for one in run.tuned)
        ]
        if arms:
            few = together(arms[:3] if len(arms) > 4 else arms)
            more = f", and for {len(arms) - 3} more arms" if len(arms) > 4 else ""
            warnings.append(
                f"The best of the learning rates tried was the {which}, {end:g}, for {few}{more}: a {direction} one "
                "may be better still, so add one to tune.learning_rate."
            )
    return [said, *warnings]


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)


def _parts(least: float, most: float) -> str:
    """0.1 and 0.25 → +10 to +25."""
    ends = dict.fromkeys(f"{100 * part:+.0f}" for part in (least, most))
    return " to ".join(ends)


def metric_name(metric: str) -> str:
    """A metric's name within a sentence."""
    return in_sentence(METRICS[metric])


def answer(results: Results, inference: Inference) -> list[str]:
    """What the study found, then what must be known to judge it: for a terminal, and for whoever wants it whole."""
    return [*conclusion(results, inference), *caveats(results, inference)]


def conclusion(results: Results, inference: Inference) -> list[str]:
    """What the study found, most important first, and what is missing: short sentences, the first of which answers."""
    if not any(run.done for run in results.runs):
        return ["No run is done yet, so there is no answer.", *_unfinished(results)]
    return [*_found(results, inference), *_unfinished(results)]


def caveats(results: Results, inference: Inference) -> list[str]:
    """What must be known to judge the conclusion."""
    if not any(run.done for run in results.runs):
        return _rare(results)
    tested = [c for c in inference.tests.values() if c.word != "not tested"]
    return [
        *_directions(results, inference),
        *_little_said(results),
        *_rare(results),
        *_looks(results, tested),
    ]


_NAMED = 2
"""Arms that helped, and arms that harmed, that the conclusion names; a table has all of them."""


def _found(results: Results, inference: Inference) -> list[str]:
    tests = list(inference.tests.values())
    tested = [c for c in tests if c.word != "not tested"]
    if not tests:
        return ["There is nothing to compare: the study has no arm beside its baseline."]
    if not tested:
        why = (
            "every arm was trained once, so chance cannot be told from an effect"
            if results.replicates == 1
            else "no arm has two replicates in common with the baseline"
        )
        return [f"Nothing can be told yet: {why}.", _spread(results)]
    better, worse = ([one for one in inference.by_effect if _side(one) == word] for word in ("better", "worse"))
    both = [one for one in inference.by_effect if _side(one) == "both"]
    if not (better or worse or both):
        if any(c.word == "equivalent" for c in tested):
            return [*_equal(results, inference), _counted(results, tests, tested)]
        if _blind(tested):
            few = max(c.result.replicates for c in tested)
            head = f"Nothing can be told yet: {in_words(few)} replicates are too few, and even a very large effect"
            return [f"{head} would be missed.", _counted(results, tests, tested)]
        head = f"No arm changed test {metric_name(results.study.primary)} detectably."
        return [head, _counted(results, tests, tested), *power(results, tested)]
    equal = [one for one in inference.by_effect if _side(one) == "" and one.counts.get("equivalent")]
    named = [*better[:_NAMED], *both[:_NAMED], *worse[: -_NAMED - 1 : -1]]
    said = [f"{_of_arm(results, inference, one, whole=one is named[0])}." for one in named]
    if not better and not both:
        said.insert(0, f"No arm was shown to be better than “{results.variant(*results.reference)}”.")
    sides = (better, "better"), (both, "better on some data sets and worse on others"), (worse, "worse")
    more = [f"{count(len(ones) - _NAMED)} {words}" for ones, words in sides if len(ones) > _NAMED]
    more += [f"{count(len(equal))} equivalent"] if equal else []
    rest = " ".join([*said[1:], *([f"Other arms: {', '.join(more)}."] if more else [])])
    return [said[0], *([rest] if rest else []), _counted(results, tests, tested), *power(results, tested)]


def _equal(results: Results, inference: Inference) -> list[str]:
    """The answer where no arm is better or worse, and some are equivalent."""
    assert inference.margin is not None
    name, several = metric_name(results.study.primary), len(results.datasets) > 1
    named = []
    for one in inference.by_effect:
        if where := one.counts.get("equivalent"):
            on = f" on {where} of {plural(one.tested, 'data set')}" if several else ""
            named.append(f"{results.variant(one.arm, one.sampling)}{on}")
    few = together(named) if len(named) <= 4 else f"{count(len(named))} of {plural(len(inference.by_effect), 'arm')}"
    return [
        f"No arm was shown to be better or worse; {few} {'is' if len(named) == 1 else 'are'} equivalent to "
        f"“{results.variant(*results.reference)}” in test {name} ({within(inference.margin)})."
    ]


def _side(one: ArmResult) -> str:
    """better, worse, both, or nothing: what a corrected test shows of an arm on average or on some data set."""
    words = {word for word, number in one.counts.items() if number} | {one.word}
    sides = [word for word in ("better", "worse") if word in words]
    return "both" if len(sides) == 2 else sides[0] if sides else ""


def _of_arm(results: Results, inference: Inference, one: ArmResult, *, whole: bool) -> str:
    """What is shown of an arm that differs; `whole` names the units, which the sentences after it leave out."""
    label, interval = results.variant(one.arm, one.sampling), ""
    if one.low is not None and one.high is not None:
        ends = f"{points(one.low, 1)} to {points(one.high, 1)}"
        interval = f" (95 % interval {ends})" if whole else f" ({ends})"
    size = f"{points(one.effect or 0.0, 1)}{' points' if whole else ''}"
    if len(results.datasets) == 1:
        (c,) = (c for (_, *pair), c in inference.tests.items() if tuple(pair) == (one.arm, one.sampling))
        few = "; few test images make this difference, so the interval is too narrow" if c.few else ""
        return f"{label}: {one.word}, {size}{interval}{few}{caution(results, inference, c)}"
    sides = [f"{word} on {one.counts[word]}" for word in ("better", "worse") if one.counts.get(word)]
    of = plural(one.tested, "data set") if whole else count(one.tested)
    of += "" if one.tested == len(results.datasets) else " tested"
    if not sides:
        text = f"{one.word} on average, {size}{interval}, though on no single data set"
    elif one.low is None:
        text = f"{' and '.join(sides)} of {of}, {size}{' on average' if one.datasets > 1 else ''}"
    else:
        shown = one.word in ("better", "worse")
        average = f"{size} on average{interval}" if shown else f"inconclusive on average: {size}{interval}"
        text = f"{' and '.join(sides)} of {of}, {average}"
    marked = [results.title(c.group.dataset) for c in _marked(results, inference, one.arm, one.sampling)]
    where = marked[0] if len(marked) == 1 else f"{count(len(marked))} data sets"
    return f"{label}: {text}{f'; accuracy says little on {where}' if marked else ''}"


def _counted(results: Results, tests: Sequence[Comparison], tested: Sequence[Comparison]) -> str:
    """How many comparisons there are, with what, and how they came out."""
    words: Counter[str] = Counter(c.word for c in tested)
    how = f"corrected for {'all arms of a data set' if len(results.datasets) > 1 else 'their number'}"
    against = f"Test {metric_name(results.study.primary)} against “{results.variant(*results.reference)}”"
    unclear = "inconclusive (neither gain, loss nor equivalence is shown)"
    margin = next((c.margin for c in tests if c.margin), None)
    named = {
        "better": "better",
        "worse": "worse",
        "equivalent": f"equivalent ({within(margin)})" if margin else "",
        "not distinguishable": unclear,
        "not tested": "not tested",
    }
    words["not tested"] = len(tests) - len(tested)
    if len(tests) == 1:
        return f"{against}, one comparison: {named[tested[0].word]}."
    parts = [f"{count(words[word])} {text}" for word, text in named.items() if words[word]]
    return f"{against}, {count(len(tests))} comparisons, {how}: {', '.join(parts)}."


def _blind(tested: Sequence[Comparison]) -> bool:
    """Whether these tests would miss a difference of any size."""
    known = [c.detectable for c in tested if c.detectable is not None]
    return bool(known) and min(one.low for one in known) >= 1


def _named(results: Results, inference: Inference, c: Comparison) -> str:
    label = results.variant(c.group.arm, c.group.sampling)
    size = f"{points(c.result.effect or 0.0)} points{caution(results, inference, c)}"
    return f"{label} on {results.title(c.group.dataset)} ({size})"


def caution(results: Results, inference: Inference, c: Comparison) -> str:
    """The caveat of a difference in accuracy between networks whose accuracy says little; empty where there is none."""
    if c.metric != "accuracy":
        return ""
    why = []
    for group in (c.group, c.base):
        signs = group.signs(results.select)
        for sign in list(signs)[:1]:  # the gravest
            runs = f"{count(signs[sign])} of {plural(len(group.done), 'run')}"
            why.append(f"{DEGENERATE[sign]} in {runs} of “{results.variant(group.arm, group.sampling)}”")
    if not why:
        return ""
    others = ("balanced_accuracy", "auc")
    effects = {metric: inference.compare(c.group, c.base, metric).result.effect for metric in others}
    beside = [f"{metric_name(m)} {points(e)}" for m, e in effects.items() if e is not None]
    return f"; accuracy says little here: {together(why)}{'; ' if beside else ''}{', '.join(beside)}"


def _directions(results: Results, inference: Inference) -> list[str]:
    """Whether the metrics that a majority class cannot inflate agree with the primary one."""
    primary, tests = results.study.primary, inference.tests
    agreeing: list[str] = []
    against: dict[Cell, list[str]] = {}
    for metric in [m for m in ("auc", "balanced_accuracy") if m != primary]:
        effects = {cell: c.result.effect for cell, c in inference.exploratory[metric].items()}
        there = [cell for cell, c in tests.items() if None not in (effects[cell], c.result.effect)]
        other = [cell for cell in there if _sign(effects[cell]) != _sign(tests[cell].result.effect)]
        if there:
            name = METRICS[metric] if not agreeing else metric_name(metric)
            way = "" if agreeing else f" points the same way as test {metric_name(primary)}"
            agreeing.append(f"{name}{way} in {count(len(there) - len(other))} of {plural(len(there), 'comparison')}")
        for cell in other:
            if tests[cell].word in ("better", "worse"):
                against.setdefault(cell, []).append(f"{metric_name(metric)} by {points(effects[cell] or 0.0)}")
    if not agreeing:
        return []
    named = [
        f"{results.variant(*cell[1:])} on {results.title(cell[0])} is {tests[cell].word} in {metric_name(primary)} "
        f"and differs in {together(those)} points"
        for cell, those in against.items()
    ]
    tail = f" But {'; '.join(named[:4])}{'; …' if len(named) > 4 else ''}." if named else ""
    return [f"{together(agreeing)}.{tail}"]


def _sign(effect: float | None) -> int:
    """-1, 0 or 1; rounding errors count as 0."""
    return 0 if effect is None or abs(effect) < 1e-12 else 1 if effect > 0 else -1


def _little_said(results: Results) -> list[str]:
    """How many runs have an accuracy that says little about what the network learned, and why."""
    found = []
    for dataset in results.datasets:
        runs = [run for run in results.runs if run.dataset == dataset and run.done]
        degenerate = [run.degenerate(results.select) for run in runs]
        signs = Counter(sign for signs in degenerate for sign in signs)
        share = results.largest_class(dataset)
        line = {"majority": f", {percent(share)} %" if share is not None else ""}
        apart = len(signs) > 1  # else the number of runs is said before
        why = [
            f"{DEGENERATE[s]}{line.get(s, '')}{f' ({count(signs[s])})' if apart else ''}"
            for s in DEGENERATE
            if signs[s]
        ]
        if why:
            marked = sum(map(bool, degenerate))
            found.append(f"{results.title(dataset)} {count(marked)} of {plural(len(runs), 'run')}: {together(why)}")
    if not found:
        return []
    more = f"; and on {plural(len(found) - 4, 'other data set')}" if len(found) > 4 else ""
    return [f"Accuracy says little of what some networks learned. On {'; on '.join(found[:4])}{more}."]


def _looks(results: Results, tested: Sequence[Comparison]) -> list[str]:
    """How often these results were looked at, and what was compared before; empty on the first look."""
    looks, found = results.looks, []
    if looks.count > 1:
        found.append(f"These results were looked at {count(looks.count)} times.")
    larger = {c.group.dataset: c for c in tested if c.family_ever > c.family}
    if larger:
        sizes = [
            f"{count(c.family_ever)} on {results.title(d)}, of which {count(c.family)} today" for d, c in larger.items()
        ]
        found.append(
            f"Arms compared with the baseline so far: {'; '.join(sizes)}. What is called better or worse here is so "
            "among all of them."
        )
    found += _forking(results, tested)
    return [" ".join(found)] if found else []


def log_words(results: Results) -> list[str]:
    """What the log of looks says about a study with results, beside the table of looks."""
    looks = results.looks
    if not looks.now.done:
        return []
    found = [_how_registered(looks)]
    if looks.count == 1:
        found.append("The log has no other look at these results.")
    if not looks.noted:
        found.append(
            "This look is not in the log: these pages were made while the study ran, or its results folder cannot be "
            "written."
        )
    if looks.unreadable:
        found.append(f"{plural(looks.unreadable, 'line')} of the log cannot be read.")
    return found


def _how_registered(looks: Looks) -> str:
    one = looks.registered
    if one is None:
        return "This study was not registered."
    if one.done:
        return f"This study was registered when {count(one.done)} of {plural(one.runs, 'run')} had a result."
    return "This study was registered before its results."


def _forking(results: Results, tested: Sequence[Comparison]) -> list[str]:
    """Arms that today's family of comparisons calls better or worse and the largest family does not."""
    lost = [c for c in tested if c.today in CLAIMS and c.word != c.today]
    named = [f"{results.variant(c.group.arm, c.group.sampling)} on {results.title(c.group.dataset)}" for c in lost]
    if not named:
        return []
    return [
        f"Only with the arms left out that were compared before would a test tell {together(named[:4])}"
        f"{f' and {count(len(named) - 4)} more' if len(named) > 4 else ''} from the baseline."
    ]


def _rare(results: Results) -> list[str]:
    """A warning where a class is rare and accuracy decides."""
    if results.study.primary != "accuracy":
        return []
    shares = {results.title(d): share for d in results.datasets if (share := results.rarest_class(d)) is not None}
    return [rare_classes(shares)] if shares else []


def power(results: Results, tested: Sequence[Comparison]) -> list[str]:
    """Which true differences these tests find, said once for all of them."""
    found = [c.detectable for c in tested if c.detectable is not None]
    if not tested:
        return []
    if not found:
        return ["Statistical power is not known: nothing varied between runs."]
    if _blind(tested):
        return [
            f"Statistical power: with {in_words(max(c.result.replicates for c in tested))} replicates, 80 % is reached "
            "for no difference, however large."
        ]
    low, high = (points(size, 1).removeprefix("+") for size in (min(r.low for r in found), max(r.high for r in found)))
    least = f"Statistical power: a true difference of {low}"
    if max(r.high for r in found) >= 1:
        return [f"{least} points is found in 4 of 5 such studies at best; at worst none is, however large."]
    if low == high:
        return [f"{least} points is found in 4 of 5 such studies."]
    by = "data set and arm" if len(results.datasets) > 1 else "the arm"
    return [f"{least} to {high} points, depending on {by}, is found in 4 of 5 such studies."]


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


def can_be_said(c: Comparison, control: Comparison | None, beside: str = "") -> str:
    """What a comparison shows about its arm; `control` compares the arm with copies of real images.

    `beside` is its caveat, as `caution` gives it.
    """
    name = metric_name(c.metric)
    if c.word == "not tested":
        return "Nothing."
    if c.word in ("better", "worse"):
        copies = control and control.word == c.word == "better"
        more = " More so than as many copies of real images." if copies else ""
        return f"Here it {'raises' if c.word == 'better' else 'lowers'} test {name}{beside}.{more}"
    if c.word == "equivalent" and c.margin:
        small = {"better": " A gain smaller than that is shown.", "worse": " A loss smaller than that is shown."}
        return f"Here it changes test {name} by less than {of_points(c.margin)}{beside}.{small.get(c.sign, '')}"
    if c.today in CLAIMS:
        return (
            f"Nothing: {c.today} among today's {plural(c.family, 'arm')}, but not among the {count(c.family_ever)} "
            "that were compared before."
        )
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
            "large, at worst: the spread between runs is hardly known."
        )
    low, high = f"{100 * size.low:.1f}", f"{100 * size.high:.1f}"
    fewer = f"; one of less than {low} in fewer" if low != high else ""
    return f"A true difference of {high} points would have been found in 4 of 5 such studies or more{fewer}."


def cannot_be_said(
    c: Comparison, control: Comparison | None, printed: Sequence[tuple[str, float]], *, generated: bool
) -> str:
    """What a comparison does not show about its arm; `generated` if a generator makes the arm's images.

    `printed` has the differences that references print, each with the reference's name in a sentence.
    """
    r = c.result
    if c.word == "not tested":
        return f"Whether it helps or harms: {r.reason}."
    if r.low is None or r.high is None:
        return f"That other runs would not differ: {r.reason}."
    few = " Few test images make this difference, so the interval is too narrow." if c.few else ""
    low, high = r.low, r.high
    if c.word == "not distinguishable":
        span = f"{points(low)} to {points(high)}"
        if low > 0 or high < 0:
            why = (
                f"{plural(r.replicates, 'replicate')} say too little about the spread between runs"
                if (r.p_family or 0.0) > ALPHA
                else f"among {plural(max(c.family, c.family_ever), 'comparison')} one such can come by chance"
            )
            words = f"That it {'helps' if low > 0 else 'harms'}: alone, its interval of {span} leaves out 0, but {why}."
            return words + few
        theirs = "".join(
            f"; {called}'s {points(value)} {'does' if low <= value <= high else 'does not'}"
            for called, value in printed
        )
        return f"That it helps, harms or changes nothing: {span} points fit these runs{theirs}.{few}"
    found = ["That it does so on other data sets or with another classifier."]
    if c.word == "equivalent" and c.sign == "not distinguishable":
        found.append("That it changes nothing at all.")
    if generated and c.word == "better" and (control is None or control.word != "better"):
        found.append("That its images do more than as many copies of real ones.")
    found += [
        f"That the difference is {called}'s {points(value)}: it lies outside the interval."
        for called, value in printed
        if not low <= value <= high
    ]
    return " ".join(found) + few


def claims(results: Results, inference: Inference) -> list[tuple[str, str]]:
    """("can" | "cannot", sentence): what this study can and cannot claim, in order of weight."""
    tests = list(inference.tests.values())
    tested = [c for c in tests if c.word != "not tested"]
    differ = [c for word in ("better", "worse") for c in tested if c.word == word]
    equal = [c for c in tested if c.word == "equivalent"]
    found = [("can", _difference(results, inference, c)) for c in differ]
    found += [("can", _equivalence(results, inference, c)) for c in equal]
    found += [("cannot", text) for text in _forking(results, tested)]
    found += [("cannot", text) for text in _not_shown(results, tests, tested, [*differ, *equal])]
    found += _over_data_sets(results, inference)
    found += _over_copies(results, inference)
    found.append(("cannot", "Differences on the other metrics are exploratory: they suggest what to test next."))
    if any("simulated" in results.marks(d) for d in results.datasets):
        found.append(("cannot", "Simulated images show that methods run and differ, nothing about patients."))
    found.append(("cannot", "Nothing here supports clinical use."))
    return found


def units(results: Results, inference: Inference) -> list[str]:
    """The unit that the tests treat as independent: groups of images where records name them, else images."""
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
    found += [
        f"{results.title(name)}: every image is tested once in each replicate, by the network that was trained without "
        f"its fold, one of {folds}; each replicate cuts anew. AUC is the mean of the folds' AUCs. Images are tested by "
        "networks that were trained on one another, so the variance between images counts twice."
        for name, folds in inference.folded.items()
    ]
    return found


def _difference(results: Results, inference: Inference, c: Comparison) -> str:
    r, p = c.result, c.p or 0.0
    return (
        f"On {results.title(c.group.dataset)}, {results.variant(c.group.arm, c.group.sampling)} is {c.word} than "
        f"“{results.variant(*results.reference)}” in test {metric_name(c.metric)}: {points(r.effect or 0.0)} points, "
        f"corrected {p_text(p)}, 95 % interval of this comparison alone {points(r.low or 0.0)} to "
        f"{points(r.high or 0.0)}{' (too narrow: few test images make the difference)' if c.few else ''}, "
        f"{plural(r.replicates, 'replicate')}{caution(results, inference, c)}."
    )


def _equivalence(results: Results, inference: Inference, c: Comparison) -> str:
    r, p = c.result, c.p or 0.0
    return (
        f"On {results.title(c.group.dataset)}, {results.variant(c.group.arm, c.group.sampling)} is equivalent to "
        f"“{results.variant(*results.reference)}” in test {metric_name(c.metric)}, {within(c.margin or 0.0)}: "
        f"{points(r.effect or 0.0)} points, two one-sided tests, corrected {p_text(p)}, 95 % interval of this "
        f"comparison alone {points(r.low or 0.0)} to {points(r.high or 0.0)}, {plural(r.replicates, 'replicate')}"
        f"{caution(results, inference, c)}."
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
            f"The study is not finished: {count(left)} of {plural(len(results.runs), 'run')} have no result. Checking "
            "the tests repeatedly while runs arrive produces more false positives than the p-values suggest."
        )
    return found


def _over_data_sets(results: Results, inference: Inference) -> list[tuple[str, str]]:
    if len(results.datasets) < 2:
        return []
    name, found = metric_name(results.study.primary), []
    for one in inference.across:
        if one.meta.effect is not None and one.p is not None and one.word in ("better", "worse"):
            found.append(
                (
                    "can",
                    f"Over {one.meta.datasets} of {plural(len(results.datasets), 'data set')}, "
                    f"{results.variant(one.arm, one.sampling)} {'raises' if one.meta.effect > 0 else 'lowers'} test "
                    f"{name} by {percent(abs(one.meta.effect))} points on average (every data set counts the same; "
                    f"corrected {p_text(one.p)}{_cautions(results, inference, one.arm, one.sampling)}).",
                )
            )
    changed = len(found)
    for one in inference.across:
        if one.word == "equivalent" and one.p is not None and inference.margin:
            found.append(
                (
                    "can",
                    f"Over {one.meta.datasets} of {plural(len(results.datasets), 'data set')}, "
                    f"{results.variant(one.arm, one.sampling)} changes test {name} by less than "
                    f"{of_points(inference.margin)} on average (every data set counts the same; corrected "
                    f"{p_text(one.p)}{_cautions(results, inference, one.arm, one.sampling)}).",
                )
            )
    if not changed:
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


def _cautions(results: Results, inference: Inference, arm: str, sampling: str) -> str:
    """The caveat of an arm over all data sets: on which of them accuracy says little."""
    marked = _marked(results, inference, arm, sampling)
    if not marked:
        return ""
    beside = []
    for metric in ("balanced_accuracy", "auc"):
        others = inference.exploratory[metric]
        same = [_sign(others[c.group.dataset, arm, sampling].result.effect) == _sign(c.result.effect) for c in marked]
        beside.append(f"{metric_name(metric)} points the same way on {count(sum(same))}")
    where = together(results.title(c.group.dataset) for c in marked)
    return f"; accuracy says little of some networks on {where}; of these, {together(beside)}"


def _marked(results: Results, inference: Inference, arm: str, sampling: str) -> list[Comparison]:
    """The arm's comparisons in accuracy with runs whose accuracy says little."""
    here = [c for (_, *pair), c in inference.tests.items() if pair == [arm, sampling] and c.metric == "accuracy"]
    return [c for c in here if c.group.signs(results.select) or c.base.signs(results.select)]


def _over_copies(results: Results, inference: Inference) -> list[tuple[str, str]]:
    if not inference.controls:
        return []
    name = metric_name(results.study.primary)
    over, under = ([c for c in inference.controls.values() if c.word == word] for word in ("better", "worse"))
    found = []
    if over:
        named = together(_named(results, inference, c) for c in over)
        found.append(("can", f"More than as many copies of real images do, in test {name}: {named}."))
    if under:
        named = together(_named(results, inference, c) for c in under)
        found.append(("can", f"Worse than as many copies of real images, in test {name}: {named}."))
    equal = [c for c in inference.controls.values() if c.word == "equivalent"]
    if equal and inference.margin:
        named = together(_named(results, inference, c) for c in equal)
        found.append(
            (
                "can",
                f"Equivalent to as many copies of real images, {within(inference.margin)}, in test {name}: {named}.",
            )
        )
    if not over:
        found.append(
            ("cannot", f"No generator's images are shown to raise test {name} more than as many copies of real images.")
        )
    return found

"""The conclusions of a study, as sentences: no more than its tests support."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, median_low

from medaug_keras.looks import CLAIMS
from medaug_keras.reading.words import rare_classes, weighted_twice
from medaug_keras.report.format import (
    class_in_list,
    count,
    in_sentence,
    in_words,
    of_points,
    p_text,
    p_value,
    part,
    percent,
    plural,
    points,
    replicates_words,
    span,
    together,
    unsigned,
    verdict_words,
    within,
)
from medaug_keras.report.numbers.circumstances import how_registered, margin_since, others_registered
from medaug_keras.report.numbers.inference import ArmResult, Cell, Comparison, Inference, OfClass
from medaug_keras.report.numbers.results import DEGENERATE, METRICS, Results, tuning_measure
from medaug_keras.spec import Files, TableData, differences, dump
from medaug_keras.stats import Crossed


def recipes(results: Results) -> list[str]:
    """How arms are trained otherwise than the baseline, beside their images: by other settings, and longer."""
    said = []
    for arm in results.arms:
        if words := own_recipe(results, arm):
            said.append(f"{results.label(arm)} is trained by a recipe of its own: {'; '.join(words)}.")
    twice = weighted_twice(results.study)
    said += [*([twice] if twice else []), *tuning(results)]
    if results.longer:
        arms = ", ".join(f"{results.label(arm)} {_parts(*part)} %" for arm, part in results.longer.items())
        passes = " Epochs are passes over an arm's own training set; with the setting budget, all arms take as many."
        why = "" if results.study.classifier.budget else passes
        said.append(f"Training takes more images, or fewer, in these arms than in the baseline: {arms}.{why}")
    return said


def own_recipe(results: Results, arm: str) -> list[str]:
    """The settings by which an arm's networks are trained otherwise than the study's, beside those of the study."""
    own = results.study.arms[arm].classifier
    changes = differences(dump(results.study.classifier), dump(own)) if own is not None else {}
    return [
        f"{name} is {_shown(new)}" + ("" if old is None else f", elsewhere {_shown(old)}")
        for name, (old, new) in changes.items()
        # settings of the study's kind mean nothing to another kind
        if (new is not None or f"{name.rpartition('.')[0]}.kind" not in changes)
        and (name != "optimizer.learning_rate" or results.study.classifier.tune is None)  # it is chosen
    ]


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
    return span((least, most), lambda part: f"{100 * part:+.0f}")


def terms(results: Results) -> str:
    """What the words of the first page's table mean, in a line."""
    weighted = any("(weighted)" in results.variant(*pair) for pair in results.variants())
    return (
        "Arm: one way to change the training images, how they are drawn, or how networks learn from them. "
        + "Weighted: each class drawn equally often. " * weighted
        + f"Points: percentage points of test {metric_name(results.study.primary)}. "
        "n: replicates (repeats, other seeds)."
    )


def sizes(results: Results, inference: Inference) -> str:
    """How many images there are to train on and to test, of up to four data sets; empty of more."""
    said = []
    for dataset in results.datasets:
        record = results.data(dataset).record
        if record is not None:
            splits = record.values["splits"]
            groups, section = inference.grouped.get(dataset), results.study.datasets[dataset]
            column = section.group if isinstance(section, TableData) else None
            of = f" of {plural(groups[1], 'group')} ({column or 'such as patients'})" if groups else ""
            train, test = (count(splits[split]["images"]) for split in ("train", "test"))
            folds = results.folds(dataset)
            there = f"{train}, each tested once a replicate," if folds else f"{train} training, {test} test"
            said.append(f"{results.title(dataset)} {there}{of}")
    return f"Images: {'; '.join(said)}." if 0 < len(said) <= _SIZES else ""


_SIZES = 4
"""Data sets whose numbers of images the first page names."""


def metric_name(metric: str) -> str:
    """A metric's name within a sentence."""
    return in_sentence(METRICS[metric])


def answer(results: Results, inference: Inference) -> list[str]:
    """What the study found, then what must be known to judge it: for a terminal, and for whoever wants it whole."""
    return [*conclusion(results, inference), *caveats(results, inference)]


def conclusion(results: Results, inference: Inference) -> list[str]:
    """What the study found, most important first, and what is missing: short sentences, the first of which answers."""
    if not any(run.done for run in results.runs):
        return ["No run is done yet, so there is no answer.", *known_images(results), *_unfinished(results)]
    return [
        *_found(results, inference),
        *_at_chance(results, inference),
        *known_images(results),
        *_unfinished(results),
    ]


def _at_chance(results: Results, inference: Inference) -> list[str]:
    """Data sets on which no arm has an AUC whose 95 % interval lies above that of chance."""
    found = []
    for dataset in results.datasets:
        best: tuple[float, str] | None = None
        for arm, sampling in results.variants(dataset):
            one = inference.level(results.groups[dataset, arm, sampling], "auc")
            if one.low is None or one.effect is None or one.replicates < _ENOUGH:
                continue
            if one.low > 0.5:
                break
            said = f"{results.variant(arm, sampling)}, {percent(one.effect, 1)} % ({level_interval(one)})"
            best = max(best or (0.0, ""), (one.effect, said))
        else:
            if best is not None:
                found.append(f"{results.title(dataset)} (highest: {best[1]})")
    if not found:
        return []
    more = [plural(len(found) - _KNOWN, "more data set")] if len(found) > _KNOWN else []
    return [
        f"No arm is shown to have an AUC above that of chance, 50 %, on {together([*found[:_KNOWN], *more])}. What "
        "differs between networks that may have learned nothing says little of an augmentation."
    ]


def level_interval(one: Crossed) -> str:
    """The interval of a metric itself, in words; empty where it is not known."""
    if one.low is None or one.high is None:
        return ""
    return f"95 % interval {percent(max(one.low, 0.0), 1)} to {percent(min(one.high, 1.0), 1)}"


_ENOUGH = 3
"""Replicates from which on an AUC is held against chance: of two an interval is very wide."""


def caveats(results: Results, inference: Inference) -> list[str]:
    """What must be known to judge the conclusion."""
    if not any(run.done for run in results.runs):
        return [*unknown_makers(results), *_rare(results)]
    tested = [c for c in inference.tests.values() if c.word != "not tested"]
    return [
        *_directions(results, inference),
        *_little_said(results),
        *unknown_makers(results),
        *shortcuts(results),
        *_rare(results),
        *_left_out(results, inference),
        *_looks(results, tested),
    ]


def known_images(results: Results) -> list[str]:
    """How many test images training knows, where it knows some: the largest shares by name."""
    found = [(results.title(d), *results.known(d)) for d in results.datasets if results.leaks(d)]
    if not found:
        return []
    found.sort(key=lambda one: -one[1] / one[2])
    named = [f"{title} {count(known)} of {count(size)} ({how})" for title, known, size, how in found[:_KNOWN]]
    more = [f"some of {plural(len(found) - _KNOWN, 'more data set')}"] if len(found) > _KNOWN else []
    said = f"Test images known from training: {together([*named, *more])}."
    return [f"{said} Scores count them, and so say less about new images."]


_KNOWN = 3
"""Data sets with test images that training knows that the conclusion names."""


def unknown_makers(results: Results) -> list[str]:
    """What must be known of arms whose images come from a generator of which nobody knows what it saw."""
    arms = [
        results.label(arm)
        for arm in results.arms
        if isinstance(made := results.study.generators.get(results.generator(arm) or ""), Files)
        and made.trained_on == "unknown"
    ]
    if not arms:
        return []
    return [
        f"It is not known which images the generator saw whose images {together(arms)} adds. If test images were among "
        "them, what is measured of such an arm is too good: it cannot be trusted."
    ]


FALL = 0.1
"""How far the recall of a class falls at least where the first page says so, a fraction."""


def positives_found(results: Results, inference: Inference) -> list[str]:
    """How many images of the positive class the runs of each arm find, data set by data set, in sentences; none where
    they would be many."""
    found = []
    for dataset in results.of_classes:
        positive = results.positive(dataset)
        if positive is None:
            continue
        every = {pair: inference.by_class.get(((dataset, *pair), positive)) for pair in results.variants(dataset)}
        shares = {
            pair: mean for pair, one in every.items() if one is not None and (mean := one.recall.mean) is not None
        }
        base, of_base = shares.pop(results.reference, None), every.get(results.reference)
        if base is None or of_base is None:
            continue
        said = [f"{results.variant(*results.reference)} {percent(base, 1)} %"]
        if len(shares) <= _ARMS_NAMED:
            said += [f"{results.variant(*pair)} {percent(share, 1)} %" for pair, share in shares.items()]
        else:
            ends = span(shares.values(), lambda share: f"{percent(share, 1)} %")
            said.append(f"{count(len(shares))} other arms {ends}")
        name = class_in_list(results.classes(dataset)[positive])
        on = f" on {results.title(dataset)}" if len(results.datasets) > 1 else ""
        images = plural(of_base.images, "test image")
        found.append(f"Of {images} of {name}{on}, runs find on average: {'; '.join(said)}.")
    return found if len(found) <= _NAMED else []


_ARMS_NAMED = 5
"""Arms beside the baseline of which a sentence names each."""


def recalls(results: Results, inference: Inference) -> list[str]:
    """Classes whose recall falls much, and classes that are never found: exploratory, in sentences."""
    several, found = len(results.datasets) > 1, []

    def named(one: OfClass) -> str:
        return class_in_list(results.classes(one.group.dataset)[one.number])

    def size(r: Crossed) -> str:
        return f"{unsigned(r.effect or 0.0)} points ({points(r.low or 0.0)} to {points(r.high or 0.0)})"

    def rises(fallen: OfClass) -> str:
        """Classes whose recall rises as much in the same arm: what is lost to one class may be found in another."""
        risen = [
            (named(one), size(r))
            for one in inference.by_class.values()
            if one.group == fallen.group and (r := one.result) is not None and _rises(r)
        ]
        said = [f"{name}{'' if number else ' rises'} by {by}" for number, (name, by) in enumerate(risen[:2])]
        more = [f"those of {plural(len(risen) - 2, 'more class', 'more classes')}"] if len(risen) > 2 else []
        return f", while that of {together([*said, *more])}" if risen else ""

    fallen = [(r, one) for one in inference.by_class.values() if (r := one.result) is not None and _falls(r)]
    if fallen:
        fallen.sort(key=lambda pair: pair[0].effect or 0.0)
        said = [
            f"{named(one)} by {size(r)} with {results.variant(one.group.arm, one.group.sampling)}"
            + (f" on {results.title(one.group.dataset)}" if several else "")
            + rises(one)
            for r, one in fallen[:3]
        ]
        more = f"; and {plural(len(fallen) - 3, 'more such fall')}" if len(fallen) > 3 else ""
        found.append(
            f"Exploratory: the recall of a class falls by {of_points(FALL)} or more, with an uncorrected 95 % interval "
            f"below 0: {'; '.join(said)}{more}."
        )
    never: dict[tuple[str, int], list[OfClass]] = {}
    for one in inference.by_class.values():
        if one.recall.mean == 0:
            never.setdefault((one.group.dataset, one.number), []).append(one)
    for (dataset, _), those in never.items():
        variants = [results.variant(one.group.arm, one.group.sampling) for one in those]
        every = len(those) > 1 and len(those) == len(results.variants(dataset))
        few = f"{', '.join(variants[:-1])} or {variants[-1]}" if len(variants) > 1 else variants[0]
        arms = "any arm" if every else few if len(variants) < 4 else plural(len(variants), "arm")
        so_far = " so far" if any(one.recall.n < one.recall.planned for one in those) else ""
        images = plural(those[0].images, "test image")
        on = f" on {results.title(dataset)}" if several else ""
        found.append(f"No run of {arms}{so_far} finds any of the {images} of {named(those[0])}{on}.")
    return found


def _falls(r: Crossed) -> bool:
    return r.effect is not None and r.effect <= -FALL and r.high is not None and r.high < 0


def _rises(r: Crossed) -> bool:
    return r.effect is not None and r.effect >= FALL and r.low is not None and r.low > 0


TOLD_APART, CLASS_TOLD = 0.8, 0.05
"""AUC, and part of the classes' entropy, from which on a source is called a possible shortcut."""


_APART = 3
"""Arms that have a sentence each; more share one."""


def shortcuts(results: Results) -> list[str]:
    """What must be known of arms whose images a network could take for a class, in sentences."""
    what = "findings" if all(results.several(dataset) for dataset in results.datasets) else "class"
    found: dict[str, list[str]] = {}
    for dataset in results.datasets:
        for arm in (arm for arm in results.arms if results.study.arms[arm].mixes):
            makings = results.makings("quality", dataset, arm)
            made = [o.record.values for _, o in makings if o.record is not None]
            measured = [values["shortcut"] for values in made if "shortcut" in values]
            apart = [one["auc"] for one in measured if one["auc"] is not None]
            told = [one["class_told"] for one in measured]
            if apart and min(fmean(apart) / TOLD_APART, fmean(told) / CLASS_TOLD) >= 1:
                real = [one["auc_test"] for one in measured if one["auc_test"] is not None]
                beside = f" (real test images: {percent(fmean(real), 1)} %)" if real else ""
                values = f"AUC {percent(fmean(apart), 1)} %{beside}, {percent(fmean(told), 0)} % of the "
                values += "rarest finding" if results.several(dataset) else "class"
                n = replicates_words(len(measured), len(makings))
                found.setdefault(arm, []).append(f"{results.title(dataset)}: {values}, {n}")
    if len(found) > _APART:
        return [
            f"Images of {len(found)} arms ({'; '.join(map(results.label, found))}) can be told from real training "
            f"images, and that tells something of the {what}: a network can learn what looks generated in place of "
            f"the {what}. The numbers are on Synthetic images. An arm with shares: proportional, in which it tells "
            "nothing, is the check."
        ]
    return [
        f"Images of {results.label(arm)} can be told from real training images, and that tells something of the {what} "
        f"({'; '.join(sets)}): a network can learn what looks generated in place of the {what}. An arm with shares: "
        "proportional, in which it tells nothing, is the check."
        for arm, sets in found.items()
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
            return [*_equal(results, inference), *_counted(results, tests, tested)]
        if _blind(tested):
            few = max(c.result.replicates for c in tested)
            head = f"Nothing can be told yet: {in_words(few)} replicates are too few, and even a very large effect"
            return [f"{head} would be missed.", *_counted(results, tests, tested)]
        head, more = f"No arm changed test {metric_name(results.study.primary)} detectably.", []
        if _misses_every_gain(results, tested):
            if all((c.result.high or 0.0) < room(results, c) for c in tested):
                most = in_words(max(c.result.replicates for c in tested))
                more = [
                    f"Corrected tests of {most} replicates can miss differences of that size; those of more replicates "
                    "find smaller ones."
                ]
            else:
                head = f"{head[:-1]}, but such a study can miss even the largest possible gain."
        return [head, *_counted(results, tests, tested), *more]
    equal = [one for one in inference.by_effect if _side(one) == "" and one.counts.get("equivalent")]
    worse.sort(key=lambda one: (results.is_copies(one.arm), one.effect or 0.0))
    named = [*better[:_NAMED], *both[:_NAMED], *worse[:_NAMED]]
    said = [f"{_of_arm(results, inference, one, whole=one is named[0])}." for one in named]
    if not better and not both:
        said.insert(0, f"No arm was shown to be better than “{results.variant(*results.reference)}”.")
    sides = (better, "better"), (both, "better on some data sets and worse on others"), (worse, "worse")
    more = [f"{count(len(ones) - _NAMED)} {words}" for ones, words in sides if len(ones) > _NAMED]
    more += [f"{count(len(equal))} equivalent"] if equal else []
    rest = " ".join([*said[1:], *([f"Other arms: {', '.join(more)}."] if more else [])])
    return [said[0], *([rest] if rest else []), *_counted(results, tests, tested)]


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
    label = results.variant(one.arm, one.sampling)
    here = [c for (_, *pair), c in inference.tests.items() if pair == [one.arm, one.sampling]]
    if len(results.datasets) == 1:
        return f"{label}: {one.word}, {_size(here[0], whole)}{caution(results, inference, here[0])}"
    sides = [_side_words(results, word, [c for c in here if c.word == word], whole) for word in ("better", "worse")]
    text = ", and ".join(side for side in sides if side)
    average, of = _with_interval(one.effect, one.low, one.high, whole), plural(one.tested, "data set")
    if not text:
        text = f"{one.word} on average over {of}, {average}, though on no single one"
    elif one.word in ("better", "worse"):
        text += f"; on average over {of} {average}"
    elif one.low is not None:
        text += f"; {verdict_words(one.word)} on average over {of}"
    if one.tested < len(results.datasets):
        text += f"; {count(one.tested)} of {plural(len(results.datasets), 'data set')} tested"
    marked = [results.title(c.group.dataset) for c in _marked(results, inference, one.arm, one.sampling)]
    where = marked[0] if len(marked) == 1 else f"{count(len(marked))} data sets"
    return f"{label}: {text}{f'; accuracy says little on {where}' if marked else ''}"


def _side_words(results: Results, word: str, here: Sequence[Comparison], whole: bool) -> str:
    """On which data sets an arm is better, or worse, each with its difference where they are few."""
    if not here:
        return ""
    if len(here) > _NAMED:
        return f"{word} on {count(len(here))} data sets"
    if len(here) == 1:
        return f"{word} on {results.title(here[0].group.dataset)}, {_size(here[0], whole)}"
    unit = " points" if whole else ""
    named = [f"{results.title(c.group.dataset)} ({points(c.result.effect or 0.0)}{unit})" for c in here]
    return f"{word} on {together(named)}"


def _size(c: Comparison, whole: bool) -> str:
    """A difference with its interval, and what is wrong with that."""
    few = "; so few test images account for it that the interval is too narrow" if c.few else ""
    return _with_interval(c.result.effect, c.result.low, c.result.high, whole) + few


def _with_interval(effect: float | None, low: float | None, high: float | None, whole: bool) -> str:
    """+1.2 points (95 % interval +0.4 to +2.0), or without the words: +1.2 (+0.4 to +2.0)."""
    size = f"{points(effect or 0.0)}{' points' if whole else ''}"
    if low is None or high is None:
        return size
    return f"{size} ({'95 % interval ' if whole else ''}{points(low)} to {points(high)})"


def _counted(results: Results, tests: Sequence[Comparison], tested: Sequence[Comparison]) -> list[str]:
    """How many comparisons there are, of what with what, how they came out, and what is left open."""
    words: Counter[str] = Counter(c.word for c in tested)
    sets, arms = {c.group.dataset for c in tests}, {(c.group.arm, c.group.sampling) for c in tests}
    if len(results.datasets) > 1:
        each = "each of " if len(tests) == len(sets) * len(arms) > len(arms) else ""
        of = f"{plural(len(arms), 'arm')} on {each}{plural(len(sets), 'data set')}"
        how = f"({of}), corrected for all arms of a data set"
    else:
        how = "(one for each arm), corrected for their number"
    against = f"Test {metric_name(results.study.primary)} against “{results.variant(*results.reference)}”"
    margin = next((c.margin for c in tests if c.margin), None)
    named = {
        "better": "better",
        "worse": "worse",
        "equivalent": f"equivalent ({within(margin)})" if margin else "",
        "not distinguishable": verdict_words("not distinguishable"),
        "not tested": "not tested",
    }
    words["not tested"] = len(tests) - len(tested)
    if len(tests) == 1:
        return [f"{against}, one comparison: {named[tested[0].word]}.", *_left_open(tested)]
    parts = [f"{count(words[word])} {text}" for word, text in named.items() if words[word]]
    return [f"{against}, {count(len(tests))} comparisons {how}: {', '.join(parts)}.", *_left_open(tested)]


def _left_open(tested: Sequence[Comparison]) -> list[str]:
    """What inconclusive comparisons leave open, and how far their intervals reach. Where all of these exclude 0, which
    the corrected tests do not, a note of the table says why."""
    unclear = [c for c in tested if c.word == "not distinguishable"]
    if not unclear:
        return []
    said = "Inconclusive: neither gain, loss nor equivalence is shown"
    ends = [(r.low, r.high) for r in (c.result for c in unclear) if r.low is not None and r.high is not None]
    low, high = min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=0.0)
    if low < 0 < high:
        intervals = "the 95 % interval reaches" if len(ends) == 1 else "95 % intervals of single comparisons reach"
        said += f"; {intervals} from {points(low)} to {points(high)} points"
        few = sum(c.few for c in unclear)
        if few:
            which = "it is" if len(ends) == 1 else f"{in_words(few)} of them {'is' if few == 1 else 'are'}"
            said += f" ({which} too narrow, because few test images account for the difference)"
    return [f"{said}."]


def _blind(tested: Sequence[Comparison]) -> bool:
    """Whether these tests would miss a difference of any size."""
    known = [c.detectable for c in tested if c.detectable is not None]
    return bool(known) and min(one.low for one in known) >= 1


def _named(results: Results, inference: Inference, c: Comparison) -> str:
    label, r = results.variant(c.group.arm, c.group.sampling), c.result
    size = (
        f"{points(r.effect or 0.0)} points, 95 % interval {points(r.low or 0.0)} to {points(r.high or 0.0)}, corrected "
        f"{p_text(c.p or 0.0)}, {plural(r.replicates, 'replicate')}{caution(results, inference, c)}"
    )
    return f"{label} on {results.title(c.group.dataset)} ({size})"


def caution(results: Results, inference: Inference, c: Comparison) -> str:
    """The caveat of a difference in accuracy between networks whose accuracy says little; empty where there is none."""
    if c.metric != "accuracy":
        return ""
    why = []
    for group in (c.group, c.base):
        signs = group.signs(results.select)
        for sign in list(signs)[:1]:  # the gravest
            runs = part(signs[sign], len(group.done), "run")
            why.append(f"{DEGENERATE[sign]} in {runs} of “{results.variant(group.arm, group.sampling)}”")
    if not why:
        return ""
    others = ("balanced_accuracy", "auc")
    effects = {metric: inference.compare(c.group, c.base, metric).result.effect for metric in others}
    beside = [f"{metric_name(m)} {points(e)}" for m, e in effects.items() if e is not None]
    return f"; accuracy says little here: {together(why)}{'; ' if beside else ''}{', '.join(beside)}"


def _directions(results: Results, inference: Inference) -> list[str]:
    """Whether the metrics that a majority class cannot inflate agree where the primary one shows a difference."""
    primary = results.study.primary
    shown = {cell: c for cell, c in inference.tests.items() if c.word in ("better", "worse")}
    against: dict[Cell, list[str]] = {}
    others = [metric for metric in ("auc", "balanced_accuracy") if metric != primary]
    disagree = False
    for metric in others:
        for cell, c in shown.items():
            r = inference.exploratory[metric][cell].result
            if r.effect is None or _sign(r.effect) == _sign(c.result.effect):
                continue
            name, by = metric_name(metric), f"by {unsigned(r.effect)} points"
            if not _sign(r.effect):
                said = f"{name} is the same"
            elif r.low is not None and r.high is not None and r.low <= 0 <= r.high:
                said = f"{name} is inconclusive ({points(r.effect)}, {points(r.low)} to {points(r.high)} points)"
            else:
                said, disagree = f"{name} {'rises' if r.effect > 0 else 'falls'} {by}", True
            against.setdefault(cell, []).append(said)
    if not shown:
        return []
    if not against:
        same = together(metric_name(metric) for metric in others)
        return [f"Where an arm is better or worse in {metric_name(primary)}, {same} {_point(others)} the same way."]
    named = [
        f"{results.variant(*cell[1:])} on {results.title(cell[0])} is {shown[cell].word} in {metric_name(primary)}, "
        f"but its {together(those)}"
        for cell, those in against.items()
    ]
    more = f"; and so do {plural(len(named) - 3, 'more comparison')}" if len(named) > 3 else ""
    return [f"{'Metrics disagree' if disagree else 'Other metrics'}: {'; '.join(named[:3])}{more}."]


def _point(metrics: Sequence[str]) -> str:
    return "points" if len(metrics) == 1 else "point"


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
        line = {"majority": f", whose accuracy is {percent(share)} %" if share is not None else ""}
        apart = len(signs) > 1  # else the number of runs is said before
        why = [
            f"{DEGENERATE[s]}{line.get(s, '')}{f' ({count(signs[s])})' if apart else ''}"
            for s in DEGENERATE
            if signs[s]
        ]
        if why:
            marked = [run for run, signs in zip(runs, degenerate, strict=True) if signs]
            arms = list(dict.fromkeys(results.variant(run.arm, run.sampling) for run in marked))
            of = f", all of {arms[0]}" if len(arms) == 1 < len(results.variants(dataset)) else ""
            found.append(f"{results.title(dataset)} {part(len(marked), len(runs), 'run')}{of}: {together(why)}")
    if not found:
        return []
    more = f"; and on {plural(len(found) - 4, 'other data set')}" if len(found) > 4 else ""
    return [f"Accuracy says little of what some networks learned. On {'; on '.join(found[:4])}{more}."]


def _looks(results: Results, tested: Sequence[Comparison]) -> list[str]:
    """How often these results were looked at, and what was compared before; empty on the first look."""
    looks, found = results.looks, []
    if looks.count > 1:
        found.append(
            f"These results were looked at {count(looks.count)} times: as they arrived, or by other comparisons. Each "
            "look is one more chance of a false positive, for which p is not corrected."
        )
    larger = {c.group.dataset: c for c in tested if c.family_ever > c.family}
    if larger:
        sizes = [
            f"{count(c.family_ever)} on {results.title(d)}, of which {count(c.family)} today" for d, c in larger.items()
        ]
        found.append(
            f"Arms compared with the baseline so far: {'; '.join(sizes)}. Verdicts are corrected for all of them."
        )
    found += _forking(results, tested)
    if any(c.margin for c in tested) and (since := margin_since(looks)):
        found.append(f"Equivalence is judged by a margin {since}.")
    return [" ".join(found)] if found else []


def log_words(results: Results) -> list[str]:
    """What the log of looks says about a study with results, beside the table of looks."""
    looks = results.looks
    if not looks.now.done:
        return []
    one = looks.registered
    found = [f"This study was {f'registered {how_registered(one)}' if one is not None else 'not registered'}."]
    found += others_registered(looks)
    if looks.strangers:
        found.append(
            f"The log has {plural(looks.strangers, 'registration')} of studies of other names that compare none of "
            "these arms with the same baseline."
        )
    if looks.count == 1:
        found.append("The log has no other look at these results.")
    if looks.elsewhere:
        found.append(
            f"The log has {plural(len(looks.elsewhere), 'look')} at results of other designs of this study, with other "
            "data or another baseline."
        )
    if not looks.noted:
        found.append(
            "This look is not in the log: these pages were made while the study ran, or its results folder cannot be "
            "written."
        )
    if looks.unreadable:
        found.append(f"{plural(looks.unreadable, 'line')} of the log cannot be read.")
    return found


def _forking(results: Results, tested: Sequence[Comparison]) -> list[str]:
    """Arms that today's family of comparisons calls better or worse and the largest family does not."""
    lost = [c for c in tested if c.today in CLAIMS and c.word != c.today]
    named = [f"{results.variant(c.group.arm, c.group.sampling)} on {results.title(c.group.dataset)}" for c in lost]
    if not named:
        return []
    return [
        f"{together(named[:4])}{f' and {count(len(named) - 4)} more' if len(named) > 4 else ''} would differ from the "
        "baseline only if the arms that were compared before did not count."
    ]


def _rare(results: Results) -> list[str]:
    """A warning where a class is rare and accuracy decides."""
    if results.study.primary != "accuracy":
        return []
    shares = {results.title(d): share for d in results.datasets if (share := results.rarest_class(d)) is not None}
    return [rare_classes(shares)] if shares else []


def _left_out(results: Results, inference: Inference) -> list[str]:
    """Which of several findings no test of a mean over findings has."""
    found = [
        f"{together([results.classes(d)[k] for k in left])} on {results.title(d)}"
        for d, left in inference.left_out.items()
        if left
    ]
    if not found:
        return []
    return [
        f"Tests of means over findings leave out {'; '.join(found)}: too few test images (or groups) have the finding, "
        "or are without it."
    ]


def power(results: Results, tested: Sequence[Comparison]) -> list[str]:
    """The smallest true difference that these tests find, said once for all of them: of each data set that of the
    median arm, at the upper limit of its variances, beside how far the metric can rise at all."""
    if not tested:
        return []
    known = [c for c in tested if c.detectable is not None]
    if not known:
        return [f"{DETECTABLE}: not known, as nothing varied between runs."]
    if _blind(tested):
        few = in_words(max(c.result.replicates for c in tested))
        return [f"{DETECTABLE}: none; with {few} replicates, 80 % power is reached for no difference, however large."]
    reach = _reach(results, tested)
    found = [d for d, (size, above) in reach.items() if size <= above and size < 1]
    losses = [d for d, (size, above) in reach.items() if above < size < 1]
    nothing = [d for d, (size, _) in reach.items() if size >= 1]
    parts = []
    if found:
        at = _sizes([reach[d][0] for d in found])
        parts.append(f"{_where(results, found)}{at} points")
    if losses:
        most = _sizes([reach[d][1] for d in losses])
        gain = f"even the largest possible gain in test {metric_name(results.study.primary)} ({most} points)"
        parts.append(f"{_where(results, losses)}{gain} is missed in more than 1 of 5 such studies")
    if nothing:
        missed = "any difference, however large, is missed in more than 1 of 5 such studies"
        parts.append(f"{_where(results, nothing)}{missed}")
    how = ["80 % power", _corrected_for(results, known), _over(c.result.replicates for c in known)]
    several = len(known) > len(reach)
    how += ["median arm"] * several
    found_smaller = several and any(c.word in ("better", "worse") for c in known)
    less = " Arms that vary less show smaller ones." if found_smaller else ""
    return [f"{DETECTABLE}, upper limit ({', '.join(how)}): {'; '.join(parts)}.{less}"]


def _reach(results: Results, tested: Iterable[Comparison]) -> dict[str, tuple[float, float]]:
    """Data set → the difference that the test of its median arm finds, at the upper limit of its variances, and how far
    the metric can rise. A data set on which nothing varied is left out."""
    sizes: dict[str, list[float]] = {}
    above: dict[str, float] = {}
    for c in tested:
        if c.detectable is not None:
            sizes.setdefault(c.group.dataset, []).append(c.detectable.high)
            above[c.group.dataset] = room(results, c)
    return {dataset: (median_low(found), above[dataset]) for dataset, found in sizes.items()}


def _misses_every_gain(results: Results, tested: Iterable[Comparison]) -> bool:
    """Whether, on every data set, the test of the median arm would miss even the largest possible gain."""
    reach = _reach(results, tested)
    return bool(reach) and all(size > above for size, above in reach.values())


DETECTABLE = "Smallest detectable difference"
"""What pages call the smallest true difference that is found with 80 % power."""


def _corrected_for(results: Results, tested: Sequence[Comparison]) -> str:
    """For how many comparisons p is corrected: of all data sets, the fewest to the most."""
    sizes, each = [c.largest_family for c in tested], " a data set" if len(results.datasets) > 1 else ""
    if max(sizes) == 1:
        return f"one comparison{each}"
    return f"corrected for {span(sizes, count)} comparisons{each}"


def _over(replicates: Iterable[int]) -> str:
    """On how many replicates tests rest: 5 replicates, or 3 to 5 replicates."""
    return f"{span(replicates, count)} replicates"


def _where(results: Results, datasets: Sequence[str]) -> str:
    if len(results.datasets) == 1:
        return ""
    few = len(datasets) <= _NAMED
    return f"on {together(map(results.title, datasets)) if few else f'{count(len(datasets))} data sets'} "


def _sizes(sizes: Sequence[float]) -> str:
    """[0.12, 0.031] → 12.0 and 3.1, of data sets that are named; of more the range, 3.1 to 12.0."""
    if len(sizes) <= _NAMED:
        return together(dict.fromkeys(unsigned(one) for one in sizes))
    return span(sizes, unsigned)


def room(results: Results, c: Comparison) -> float:
    """How far the metric can rise above the baseline's mean; all metrics end at 1."""
    mean = c.base.estimate(results.select, "test", c.metric).mean
    return 1.0 if mean is None else 1 - mean


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
    left = _without_result(results)
    return [f"The study is not complete: {left}{short_arms(results)}."] if left else []


def _without_result(results: Results) -> str:
    """How many runs have no result; empty where all have one."""
    left = sum(not run.done for run in results.runs)
    return f"{part(left, len(results.runs), 'run')} {'has' if left == 1 else 'have'} no result" if left else ""


def short_arms(results: Results) -> str:
    """Which arms have fewer replicates than planned, where others have all; the end of a sentence, or nothing."""
    fewest = {
        pair: min(len(g.done) for g in results.groups.values() if (g.arm, g.sampling) == pair)
        for pair in results.variants()
    }
    short = [pair for pair, done in fewest.items() if done < results.replicates]
    if not short or len(short) == len(fewest):
        return ""
    labels = list(dict.fromkeys(results.label(arm) for arm, _ in short))
    if len(labels) <= _NAMED and len(short) == 2 * len(labels):  # of a label, there are two samplings
        each = "each " if len(labels) > 1 else ""
        arms = f"{plural(len(short), 'arm')} ({together(labels)}, {each}with and without weighting)"
    elif len(short) <= _NAMED:
        arms = together(results.variant(*pair) for pair in short)
    else:
        arms = plural(len(short), "arm")
    least = min(fewest[pair] for pair in short)
    unlike = any(len(g.done) != least for g in results.groups.values() if (g.arm, g.sampling) in short)
    on = " on some data set" if unlike else ""
    return f": {arms} {'has' if len(short) == 1 else 'have'} {part(least, results.replicates, 'replicate')}{on}"


def can_be_said(c: Comparison, control: Comparison | None, beside: str = "", room: float = 1.0) -> str:
    """What a comparison shows about its arm; `control` compares the arm with copies of real images.

    `beside` is its caveat, as `caution` gives it; `room` is how far the metric can rise above the baseline's.
    """
    name = metric_name(c.metric)
    fall = 1 - room - (0.5 if c.metric == "auc" else 0)  # AUC of guessing is 50 %
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
    if size.high >= 1 or size.high > max(room, fall):
        return "Nothing is sure: with so few replicates even the largest difference could have been missed."
    found = f"{unsigned(size.high)} points: so large a true one would have been found in 4 of 5 such studies or more"
    if size.high > room:
        missed = f"A gain could have been missed: test {name} can rise by {unsigned(room)} points at most."
        return f"The smallest detectable loss is {found}. {missed}"
    return f"The smallest detectable difference is {found}."


def cannot_be_said(
    c: Comparison, control: Comparison | None, printed: Sequence[tuple[str, float]], *, generated: bool
) -> str:
    """What a comparison does not show about its arm; `generated` if it trains on a generator's images beside real ones.

    `printed` has the differences that references print, each with the reference's name in a sentence.
    """
    r = c.result
    if c.word == "not tested":
        return f"Whether it helps or harms: {r.reason}."
    if r.low is None or r.high is None:
        return f"That other runs would not differ: {r.reason}."
    few = " So few test images account for this difference that its interval is too narrow." if c.few else ""
    low, high = r.low, r.high
    if c.word == "not distinguishable":
        span = f"{points(low)} to {points(high)}"
        if c.excludes_zero:
            why = (
                f"{plural(r.replicates, 'replicate')} say too little about the spread between runs"
                if c.guarded
                else f"among {plural(c.largest_family, 'comparison')} one such can come by chance"
            )
            words = f"That it {'helps' if low > 0 else 'harms'}: its own interval, {span}, excludes 0, but {why}."
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
        f"{points(r.high or 0.0)}{' (too narrow: few test images account for the difference)' if c.few else ''}, "
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
            f"{count(len(tested) - len(differ))} of {plural(len(tests), 'comparison')} "
            f"{'is' if len(tested) - len(differ) == 1 else 'are'} inconclusive: neither a gain in test {name}, nor a "
            "loss, nor equality is shown."
        )
    if len(tests) > len(tested):
        reasons = Counter(c.result.reason or "" for c in tests if c.word == "not tested")
        why = "; ".join(f"{count(n)}: {reason}" if len(reasons) > 1 else reason for reason, n in reasons.most_common())
        found.append(f"{plural(len(tests) - len(tested), 'comparison')} not tested: {why}.")
    if tested and (left := _without_result(results)):
        found.append(
            f"The study is not finished: {left}. Checking the tests repeatedly while runs arrive produces more false "
            "positives than the p-values suggest."
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
                    f"{name} by {unsigned(one.meta.effect)} points on average (every data set counts the same; "
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
        fewer = f", of which at most {most} have a test" if most < len(results.datasets) else ""
        over = plural(len(results.datasets), "data set")
        found.append(("cannot", f"No arm is shown to change test {name} on average over {over}{fewer}."))
    chance = inference.reach
    if not chance.reachable:
        found.append(
            (
                "cannot",
                f"A win on every data set could not be told from chance here: with {chance.pairs} data sets "
                f"{p_text(chance.smallest_p)}, or {p_value(chance.corrected)} corrected for "
                f"{plural(chance.tests, 'arm')}; it takes {chance.pairs_needed} data sets.",
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

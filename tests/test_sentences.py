"""Every sentence that a study may say: from records in which it is true, and from others in which it must not appear.

A *world* is a small study with made-up records. `SENTENCES` names, for each sentence, a world that says it and one that
does not; a last test holds that no world says anything else.
"""

import dataclasses
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study

from medaug_keras.report.numbers import findings
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.further import other_test_sets
from medaug_keras.report.tables.table import interval_note, tags_of
from medaug_keras.spec import Study

BASE = {"baseline": ARMS["baseline"]}
GDA = {name: ARMS[name] for name in ("baseline", "gda")}
ZOOMS = {f"zoom-{n}": {"augment": [{"layer": "RandomZoom", "factor": n / 9}]} for n in range(1, 7)}
COPIES = {name: ARMS[name] for name in ("baseline", "cvae", "duplicate")}
SETS = ("breastmnist", "octmnist")
PHANTOMS = ("phantom-ultrasound", "phantom-histology")
CORRUPTED = {"worse": {"kind": "corruptions", "severity": 2, "kinds": ["blur", "contrast"]}}
ELSEWHERE = {"hospital-b": {"kind": "npz", "path": "b.npz", "title": "Hospital B"}}
SIMULATED = {"other-seed": {"kind": "phantom", "name": "phantom-ultrasound", "seed": 9}}
ILL = np.repeat([True, False], [52, 104])  # BreastMNIST's made-up test images: class 0, then class 1


def study(**more: Any) -> Study:
    return fake_study(**{"datasets": ("breastmnist",), "arms": GDA, "samplings": ["shuffle"], "replicates": 5, **more})


def tried(tests: dict[str, Any], replicates: int = 2) -> Study:
    """With further test sets."""
    content = study(replicates=replicates).model_dump(mode="json")
    content["datasets"]["breastmnist"]["tests"] = tests
    return Study.model_validate_json(json.dumps(content))


def away(one: Study, place: str) -> dict[str, Any]:
    """Records of a study of which a test set, by its name in the plan, cannot be read any more."""
    plan = fake_plan(one)
    gone = dataclasses.replace(plan.sources[place], away="it is not there")
    return {**level(), "whole": dataclasses.replace(plan, sources={**plan.sources, place: gone})}


def level(**levels: float) -> dict[str, Any]:
    """Records in which an arm has this accuracy, whichever images it is right on; 0.8 if it is not named."""
    return {"score": lambda dataset, arm, sampling, replicate: levels.get(arm, 0.8)}


def only_healthy(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    """The baseline calls every image healthy; the other arm finds the ill and raises many false alarms."""
    draws = np.random.default_rng(replicate)
    return ~ILL if arm == "baseline" else np.where(ILL, draws.random(156) < 0.9, draws.random(156) < 0.25)


def both_ways(dataset: str, arm: str, sampling: str, replicate: int) -> float:
    """The arm helps on one data set and harms on the other."""
    return 0.85 if arm == "baseline" else 0.97 if dataset == "octmnist" else 0.73


def alike(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    return np.arange(156) % 5 > 0


def a_few_images(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    """The arm is right on three images more and wrong on two more in every replicate, and right on one more in each."""
    hit = alike(dataset, arm, sampling, replicate)
    return hit ^ (np.isin(np.arange(156), [0, 5, 10, 1, 2, 15 + 5 * replicate]) & (arm == "gda"))


def later(replicate: int) -> dict[str, Any]:
    return {"leave_out": lambda task: task.kind == "classifier" and task.replicate >= replicate}


WORLDS: dict[str, tuple[Study, dict[str, Any]]] = {
    "nothing": (study(), {"leave_out": lambda task: task.kind != "data"}),
    "baseline alone": (study(arms=BASE), level()),
    "once": (study(replicates=1), level(gda=0.9)),
    "one arm of two": (study(replicates=1), {"leave_out": lambda task: "gda" in task.title}),
    "first of five": (study(), {**level(gda=0.9), **later(1)}),
    "better": (study(), level(gda=0.97)),
    "worse": (study(), level(gda=0.7, baseline=0.9)),
    "level": (study(), level()),
    "at chance": (study(), level(baseline=0.5, gda=0.5)),
    "at chance on two sets": (study(datasets=SETS), level(baseline=0.5, gda=0.5)),
    "alike": (study(), {"hits": alike}),
    "few": (study(), {"hits": a_few_images}),
    "pairs": (study(), {**level(gda=0.97), "groups": lambda dataset: np.arange(156) // 2}),
    "two replicates of five": (study(), {**level(gda=0.97), **later(2)}),
    "two replicates": (study(replicates=2), level()),
    "healthy": (study(), {"hits": only_healthy}),
    "healthy, by AUC": (study(primary="auc"), {"hits": only_healthy}),
    "two sets": (study(datasets=SETS), level(gda=0.97)),
    "two sets, level": (study(datasets=SETS), level()),
    "two sets, little learned": (study(datasets=SETS, replicates=3), level(baseline=0.3)),
    "both ways": (study(datasets=SETS), {"score": both_ways}),
    "on average": (study(datasets=("breastmnist", *PHANTOMS), replicates=3), level(gda=0.84)),
    "blind": (study(replicates=2, arms={**BASE, **ZOOMS}), level()),
    "one set of two": (study(datasets=SETS), {**level(gda=0.97), "leave_out": lambda t: t.dataset == "octmnist"}),
    "generated": (study(arms={name: ARMS[name] for name in ("baseline", "cvae")}), level(cvae=0.97)),
    "copies": (study(arms=COPIES), level(cvae=0.97)),
    "copies, level": (study(arms=COPIES), level()),
    "copies, better": (study(arms=COPIES), level(duplicate=0.97)),
    "rare": (study(datasets=("phantom-histology",)), level(gda=0.97)),
    "rare, by AUC": (study(datasets=("phantom-histology",), primary="auc"), level(gda=0.97)),
    "findings": (study(datasets=("chestmnist",), primary="auc"), level(gda=0.97, baseline=0.6)),
    "weighted": (study(samplings=["shuffle", "weighted"]), level()),
    "many arms": (study(arms={**BASE, **ZOOMS}), level(baseline=0.75, **dict.fromkeys(ZOOMS, 0.97))),
    "corrupted": (tried(CORRUPTED), level()),
    "corrupted, pairs": (tried(CORRUPTED, 5), {**level(gda=0.97), "groups": lambda dataset: np.arange(156) // 2}),
    "corrupted, not yet": (tried(CORRUPTED), {**level(), "leave_out": lambda task: task.kind == "test"}),
    "elsewhere": (tried(ELSEWHERE), level()),
    "elsewhere, not read": (tried(ELSEWHERE), {**level(), "leave_out": lambda task: "hospital-b" in task.dataset}),
    "elsewhere, away": (tried(ELSEWHERE), away(tried(ELSEWHERE), "breastmnist.tests.hospital-b")),
    "simulated": (tried(SIMULATED), level()),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """World → all that it says, each time a list of sentences."""
    root = tmp_path_factory.mktemp("worlds")

    @cache
    def said(name: str) -> list[str]:
        one, how = WORLDS[name]
        plan, store = fake_results(one, root / name, **how)
        return spoken(Results(one, plan, store))

    return said


def spoken(results: Results) -> list[str]:
    inference = Inference(results)
    texts = findings.answer(results, inference)
    texts += [f"{kind}: {text}" for kind, text in findings.claims(results, inference)]
    for cell, c in inference.tests.items():
        control, beside = inference.controls.get(cell), findings.caution(results, inference, c)
        texts.append("can be said: " + findings.can_be_said(c, control, beside, findings.room(results, c)))
        for printed in ((), (("the paper", 0.0),), (("the paper", 0.5),)):
            texts.append("cannot be said: " + findings.cannot_be_said(c, control, printed, generated=cell[1] == "cvae"))
    tested = [c for c in inference.tests.values() if c.word != "not tested"]
    texts += [*findings.power(results, tested), findings.terms(results)]
    texts += [text for text in [findings.sizes(results, inference)] if text]
    for section in other_test_sets(Book(results, inference=inference))["sections"] if results.further_tests else ():
        texts += section["said"]
    return texts + findings.units(results, inference) + findings.log_words(results)


N = S = r"[+\N{MINUS SIGN}]?\d+\.\d"  # points
POWER = r"^Smallest detectable difference, upper limit \(80 % power, {}, \d replicates{}\): "
LESS = r"Arms that vary less show smaller ones\."
FOR_ARMS, FOR_SETS = (
    r"comparisons \(one for each arm\), corrected for their number",
    "corrected for all arms of a data set",
)
OPEN = (
    r"^Inconclusive: neither gain, loss nor equivalence is shown; "
    r"(?:the 95 % interval reaches|95 % intervals of single comparisons reach) "
    r"from \N{MINUS SIGN}\d+\.\d to \+\d+\.\d points"
)
TERMS = r"^Arm: one way to change the training images, how they are drawn, or how networks learn from them\. "
ONE, EACH = "one comparison", "one comparison a data set"
INTERVAL = rf"\(95 % interval {S} to {S}\)"
METRIC = r"(accuracy|AUC)"
NONE = "“No augmentation”"
WORSE = r"^worse: the test images at severity 2 of blur and low contrast"
THERE = rf"\. The {METRIC} of {NONE} changes by {S} points from the test images to these\."
KNOWN = "".join(
    rf" {n} of 100 \({n}\.0 %\) test images (is|are) {how} (as )?a {split} image: {what}\."
    for n, how, split, what in (
        (9, "identical to", "training", "results on them say nothing about new images"),
        (3, "nearly the same", "training", "results on them say little about new images"),
        (1, "identical to", "validation", "the best epoch is chosen on test images"),
        (2, "nearly the same", "validation", "the best epoch is chosen on images like those tested"),
    )
)
LITTLE = r"; accuracy says little here: (one class|no more accurate).* in \d of \d runs of “No augmentation”; "
SENTENCES = [  # what is said, a world that says it, one that does not
    (r"^No run is done yet, so there is no answer\.", "nothing", "once"),
    (r"^There is nothing to compare: the study has no arm", "baseline alone", "level"),
    (r"^Nothing can be told yet: every arm was trained once", "once", "first of five"),
    (r"^Nothing can be told yet: no arm has two replicates in common", "first of five", "two replicates of five"),
    (r"^Nothing can be told yet: two replicates are too few, and even a very large effect would be missed", "blind",
     "two replicates"),
    (r"^Points between the highest and the lowest arm: BreastMNIST \+\d", "once", "better"),
    (r"^Only one arm has a value\.", "one arm of two", "once"),
    (r"^No arm changed test accuracy detectably\.", "level", "better"),
    (r"^Corrected tests of two replicates can miss differences of that size; those of more replicates find smaller "
     r"ones\.$", "two replicates", "level"),
    (r"^No arm changed test AUC detectably, but such a study can miss even the largest possible gain\.$",
     "healthy, by AUC", "rare, by AUC"),
    (r"^No arm is shown to have an AUC above that of chance, 50 %, on BreastMNIST \(highest: "
     r"(No augmentation|Geometric), \d\d\.\d % \(95 % interval \d\d\.\d to \d\d\.\d\)\)( and OctMNIST \(.*\))?\. "
     r"What differs between networks that may have learned nothing says little of an augmentation\.$",
     "at chance", "level"),
    (rf"^Geometric: better, {S} points {INTERVAL}\.", "better", "level"),
    (rf"^No arm was shown to be better than {NONE}\.$", "worse", "better"),
    (rf"^Geometric: worse, {S} points {INTERVAL}\.", "worse", "better"),
    (rf"^Duplicates \(control\): better, {S} points {INTERVAL}\.$", "copies, better", "copies"),
    (rf"^Conditional VAE: better, {S} points {INTERVAL}\.$", "copies", "copies, level"),
    (rf"^zoom-\d: better, {S} points {INTERVAL}\.$", "many arms", "better"),
    (rf"^zoom-\d: better, {S} \(.*\)\. Other arms: 4 better\.$", "many arms", "better"),
    (rf"^Geometric: better on BreastMNIST \({S} points\) and OctMNIST \({S} points\); on average over 2 data sets {S} "
     rf"points {INTERVAL}\.", "two sets", "two sets, level"),
    (rf"^Geometric: better on BreastMNIST, {S} points {INTERVAL}; 1 of 2 data sets tested\.", "one set of two",
     "two sets"),
    (rf"^Geometric: better on OctMNIST, {S} points {INTERVAL}, and worse on BreastMNIST, {S} points {INTERVAL}; "
     r"inconclusive on average over 2 data sets\.", "both ways", "two sets"),
    (rf"^Geometric: better on average over 3 data sets, {S} points {INTERVAL}, though on no single one", "on average",
     "two sets"),
    (rf"3 comparisons \(1 arm on each of 3 data sets\), {FOR_SETS}: 3 inconclusive", "on average", "two sets"),
    (r"^can: Over 3 of 3 data sets, Geometric raises test accuracy", "on average", "two sets"),
    (rf"^Test {METRIC} against {NONE}, one comparison: (better|worse)\.", "better", "level"),
    (rf"^Test {METRIC} against {NONE}, one comparison: inconclusive\.$", "level",
     "better"),
    (rf"6 {FOR_ARMS}: 6 better\.", "many arms", "better"),
    (rf"2 {FOR_ARMS}: 1 better, 1 inconclusive", "copies", "copies, level"),
    (rf"6 {FOR_ARMS}: 6 inconclusive", "blind", "copies, level"),
    (rf"3 {FOR_ARMS}: 3 inconclusive", "weighted", "copies, level"),
    (rf"2 {FOR_ARMS}: 2 inconclusive", "copies, level", "copies"),
    (rf"2 comparisons \(1 arm on each of 2 data sets\), {FOR_SETS}: 2 better\.", "two sets", "better"),
    (rf"comparisons \(1 arm on each of \d data sets\), {FOR_SETS}: \d+ inconclusive", "two sets, level", "two sets"),
    (rf"2 comparisons \(1 arm on each of 2 data sets\), {FOR_SETS}: 1 better, 1 worse\.", "both ways", "two sets"),
    (rf"2 comparisons \(1 arm on each of 2 data sets\), {FOR_SETS}: 1 better, 1 not tested\.", "one set of two",
     "two sets"),
    (rf"{OPEN}\.$", "level", "better"),
    (rf"{OPEN}\.$", "copies", "many arms"),
    (rf"{OPEN} \(it is too narrow, because few test images account for the difference\)\.$",
     "few", "level"),
    (rf"{OPEN}\.$", "two sets, level", "two sets"),
    (r"^Inconclusive: neither gain, loss nor equivalence is shown\.$", "alike", "level"),
    # words of the table
    (rf"{TERMS}Points: percentage points of test accuracy\. n: replicates \(repeats, other seeds\)\.$",
     "level", "weighted"),
    (rf"{TERMS}Points: percentage points of test AUC\. n: ", "rare, by AUC", "rare"),
    (r"^Images: [A-Z][A-Za-z ]+ [\d,]+ training, \d+ test\.$", "level", "pairs"),
    (r"^Images: BreastMNIST [\d,]+ training, 156 test of 78 groups \(such as patients\)\.$", "pairs", "level"),
    (r"^Images: BreastMNIST [\d,]+ training, 156 test; [A-Z]", "two sets", "level"),
    (rf"{TERMS}Weighted: each class drawn equally often\. Points: ", "weighted", "level"),
    # what could have been found
    (rf"{POWER.format(ONE, '')}{S} points\.$", "level", "copies"),
    (rf"{POWER.format('corrected for 2 comparisons', ', median arm')}{S} points\. {LESS}$", "copies", "level"),
    (rf"{POWER.format('corrected for 2 comparisons', ', median arm')}{S} points\.$", "copies, level", "copies"),
    (rf"{POWER.format('corrected for 3 comparisons', ', median arm')}{S} points\.$", "weighted", "copies, level"),
    (rf"{POWER.format('corrected for 6 comparisons', ', median arm')}{S} points\. {LESS}$", "many arms",
     "copies, level"),
    (rf"{POWER.format(EACH, '')}on BreastMNIST and OctMNIST {S} and {S} points\.$", "two sets", "level"),
    (rf"{POWER.format(EACH, '')}on BreastMNIST {S} points\.$", "one set of two", "two sets"),
    (rf"{POWER.format(EACH, '')}on 3 data sets {S} to {S} points\.$", "on average", "two sets"),
    (rf"{POWER.format(ONE, '')}even the largest possible gain in test {METRIC} \({S} points\) is missed in more than "
     r"1 of 5 such studies\.$", "two replicates", "level"),
    (r"^Smallest detectable difference: none; with two replicates, 80 % power is reached for no difference", "blind",
     "level"),
    (r"^Smallest detectable difference: not known, as nothing varied between runs\.", "alike", "level"),
    # networks whose accuracy says little
    (rf"^Geometric: worse, {S} points {INTERVAL}{LITTLE}balanced accuracy \+\d.*, AUC ", "healthy", "worse"),
    (rf"^Geometric: better on BreastMNIST .{S}.*; accuracy says little on 2 data sets\.",
     "two sets, little learned", "two sets"),
    (rf"^can: On BreastMNIST, Geometric is (better|worse) than .*replicates{LITTLE}", "healthy", "worse"),
    (rf"^can: On .*replicates{LITTLE}", "two sets, little learned", "two sets"),
    (rf"^can be said: Here it lowers test accuracy{LITTLE}", "healthy", "worse"),
    (rf"^can be said: Here it raises test accuracy{LITTLE}", "two sets, little learned", "two sets"),
    (r"^Accuracy says little of what some networks learned\. On BreastMNIST 10 of 10 runs: one class for every test "
     r"image \(5\) and no more accurate than always naming the largest class, "
     r"whose accuracy is 66\.67 % \(10\)\.$", "healthy", "better"),
    (r"^Accuracy says little of what some networks learned\.", "healthy, by AUC", "rare, by AUC"),
    (r"^Metrics disagree: Geometric on BreastMNIST is worse in accuracy, but its AUC is inconclusive "
     r"\(\+\d.* to .* points\) and balanced accuracy rises by \d+\.\d points\.$", "healthy", "worse"),
    (r"^Where an arm is better or worse in accuracy, AUC and balanced accuracy point the same way\.$", "better",
     "healthy"),
    (r"^Where an arm is better or worse in AUC, balanced accuracy points the same way\.$", "rare, by AUC", "rare"),
    (r"^The primary metric is accuracy, and a class is rare \(.*Phantom histology 10 %\)", "rare", "rare, by AUC"),
    (r"^The primary metric is accuracy, and a class is rare", "rare", "better"),
    # what is missing
    (r"^The study is not complete: \d+ of \d+ runs ha(s|ve) no result(: .* of \d replicates)?\.",
     "first of five", "better"),
    (r"^cannot: The study is not finished: \d+ of \d+ runs ha(s|ve) no result\. Check", "two replicates of five",
     "better"),
    (r"^cannot: \d comparisons? not tested: ", "one set of two", "two sets"),
    # claims
    (rf"^can: On .* is better than {NONE} in test {METRIC}: {N} points, .* replicates\.$", "better", "level"),
    (rf"^can: On .* is worse than {NONE} in test {METRIC}: {N} points, .* replicates\.$", "worse", "better"),
    (r"^cannot: The correction holds the chance of any false claim at 5 % for each data set", "two sets", "better"),
    (r"^cannot: \d of \d comparisons? (is|are) inconclusive: neither a gain in test", "level", "better"),
    (r"^can: Over 2 of 2 data sets, Geometric raises test accuracy", "two sets", "two sets, level"),
    (r"^cannot: No arm is shown to change test accuracy on average over \d data sets", "two sets, level", "better"),
    (r"^cannot: A win on every data set could not be told from chance here", "two sets, level", "better"),
    (r"^can: More than as many copies of real images do, in test accuracy: Conditional VAE", "copies", "copies, level"),
    (r"^cannot: No generator's images are shown to raise test accuracy more", "copies, level", "copies"),
    (r"^can: Worse than as many copies of real images, in test accuracy: Cond", "copies, better", "copies, level"),
    (r"^cannot: No generator's images are shown to raise test accuracy more", "copies, better", "copies"),
    (r"^cannot: Differences on the other metrics are exploratory", "better", None),
    (r"^cannot: Simulated images show that methods run", "rare", "better"),
    (r"^cannot: Nothing here supports clinical use\.", "better", None),
    # line by line
    (r"^can be said: Nothing\.$", "once", "better"),
    (rf"^can be said: Here it raises test {METRIC}\.$", "better", "level"),
    (r"^can be said: Here it raises test accuracy\. More so than as many copies", "copies", "better"),
    (rf"^can be said: Here it lowers test {METRIC}\.$", "worse", "better"),
    (r"^can be said: Test accuracy was the same in every replicate, image by image\.", "alike", "level"),
    (rf"^can be said: (The smallest detectable difference is {S} points|Nothing: with so few|Nothing is sure)", "level",
     "better"),
    (rf"^can be said: The smallest detectable loss is {S} points: .* studies or more\. A gain could have been missed: "
     rf"test {METRIC} can rise by \d", "two replicates", "better"),
    (r"^cannot be said: That other runs would not differ: no test image told the two apart", "alike", "level"),
    (r"^cannot be said: Whether it helps or harms: ", "once", "better"),
    (r"^cannot be said: That it helps, harms or changes nothing: .* fit these runs\.", "level", "better"),
    (r"fit these runs; the paper's 0\.0 does\.", "level", "better"),
    (r"fit these runs; the paper's \+50\.0 does not\.", "level", "better"),
    (r"^cannot be said: That it does so on other data sets", "better", "level"),
    (r"^cannot be said: .*That its images do more than as many copies", "generated", "copies"),
    (r"^cannot be said: .*That the difference is the paper's \+50\.0: it lies outside", "better", "level"),
    (r"^Tests of means over findings leave out fourth on ChestMNIST: too few test images", "findings", "better"),
    # what belongs together
    (r"^BreastMNIST: 156 test images of 78 groups that belong together", "pairs", "better"),
    (r"^Nothing says which test images of .* belong together", "better", "pairs"),
    # other test sets
    (rf"{WORSE}, 156 images each{THERE}$", "corrupted", "corrupted, pairs"),
    (rf"{WORSE}, 156 images of 78 groups each{THERE}$", "corrupted, pairs", "corrupted"),
    (rf"{WORSE}\.$", "corrupted, not yet", "corrupted"),
    (rf"^hospital-b: images from elsewhere \(Hospital B\), 100 images of 50 groups{THERE}{KNOWN}$", "elsewhere",
     "elsewhere, not read"),
    (r"^hospital-b: images from elsewhere \(Hospital B\)\.$", "elsewhere, not read", "elsewhere"),
    (rf"^hospital-b: .*{THERE}{KNOWN} It cannot be read now, and what is shown was made before\.$", "elsewhere, away",
     "elsewhere"),
    (rf"^other-seed: simulated images \(Phantom ultrasound\), 100 images of 50 groups{THERE}{KNOWN}$", "simulated",
     "elsewhere"),
    # the log
    (r"^This study was not registered\.", "better", "nothing"),
    (r"^The log has no other look at these results\.", "better", "nothing"),
    (r"^This look is not in the log: ", "better", "nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "where", "not_where"), SENTENCES, ids=[text[:50] for text, *_ in SENTENCES])
def test_a_sentence_is_said_where_it_is_true_and_not_where_it_is_not(sentence, where, not_where, world):
    assert [text for text in world(where) if re.search(sentence, text)], "\n".join(world(where))
    if not_where is not None:
        assert not [text for text in world(not_where) if re.search(sentence, text)], "\n".join(world(not_where))


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_else_is_said(name, world):
    known = [sentence for sentence, *_ in SENTENCES]
    assert not [text for text in world(name) if not any(re.search(sentence, text) for sentence in known)]


SOME = "; accuracy says little of some networks on"


@pytest.mark.parametrize(("name", "more"), [("two sets", ""), ("two sets, little learned", SOME)])
def test_an_arm_over_all_data_sets_is_named_with_a_small_p_and_with_what_accuracy_does_not_say(name, more, tmp_path):
    one, how = WORLDS[name]
    results = Results(one, *fake_results(one, tmp_path, **how))
    inference = Inference(results)
    (across,) = inference.across
    said = {}
    for p, ever in ((0.01, 0.01), (0.01, 0.2), (0.2, 0.2)):
        meta = dataclasses.replace(across.meta, effect=0.1)
        inference.__dict__["across"] = [dataclasses.replace(across, meta=meta, holm=p, holm_ever=ever)]
        texts = [text for _, text in findings.claims(results, inference)]
        said[p, ever] = [text for text in texts if "raises test accuracy by 10.0 points on average" in text]
    assert [len(texts) for texts in said.values()] == [1, 0, 0]
    assert f"corrected p = 0.010{more}" in said[0.01, 0.01][0]
    assert ("balanced accuracy points the same way on" in said[0.01, 0.01][0]) == bool(more)


def test_why_an_interval_excludes_0_beside_a_larger_p_is_said_where_it_happens_and_only_there(tmp_path):
    one, how = WORLDS["level"]
    (c,) = Inference(Results(one, *fake_results(one, tmp_path, **how))).tests.values()

    def note(low: float, high: float, p: float, corrected: float, family: int = 1) -> str:
        r = dataclasses.replace(c.result, effect=(low + high) / 2, low=low, high=high, p_family=p)
        found = dataclasses.replace(c, result=r, holm=corrected, holm_ever=corrected, family=family, family_ever=family)
        return " ".join(interval_note([found]))

    corrected, spread = "p and verdict are corrected for all comparisons (Holm)", "how little so few replicates say"
    assert corrected in note(0.01, 0.05, 0.04, 0.08, 2)
    assert spread not in note(-0.05, -0.01, 0.04, 0.08, 2)
    assert corrected not in note(0.01, 0.05, 0.06, 0.06)
    assert spread in note(0.01, 0.05, 0.06, 0.06)
    for said in (note(-0.01, 0.05, 0.06, 0.06), note(0.01, 0.05, 0.02, 0.04, 2), note(0.0, 0.05, 0.06, 0.06)):
        assert said == ""


def test_an_interval_that_leaves_out_0_alone_harms_or_helps_by_its_side(tmp_path):
    one, how = WORLDS["level"]
    (c,) = Inference(Results(one, *fake_results(one, tmp_path, **how))).tests.values()
    for low, high, word in ((0.01, 0.05, "helps"), (-0.05, -0.01, "harms")):
        r = dataclasses.replace(c.result, effect=(low + high) / 2, low=low, high=high, p=0.03, p_family=0.04)
        alone = dataclasses.replace(c, result=r, holm=0.12, holm_ever=0.3, family=3, family_ever=9)
        text = findings.cannot_be_said(alone, None, None, generated=False)
        assert text.startswith(f"That it {word}: its own interval")
        assert "among 9 comparisons one such can come by chance" in text


@pytest.mark.parametrize(
    ("confusion", "epoch", "signs"),
    [
        ([[40, 12], [9, 95]], 12, ()),
        ([[0, 52], [0, 104]], 12, ("one class", "majority")),
        ([[52, 0], [104, 0]], 12, ("one class", "majority")),
        ([[40, 12], [9, 95]], 1, ("first epoch",)),
        ([[30, 22], [30, 74]], 12, ("majority",)),
        ([[31, 21], [31, 73]], 12, ("majority",)),  # as accurate, and no more
        ([[32, 20], [31, 73]], 12, ()),
    ],
)
def test_a_run_is_marked_by_its_confusion_and_its_epoch_and_its_group_by_the_gravest_sign(
    confusion, epoch, signs, tmp_path
):
    one, how = WORLDS["once"]
    results = Results(one, *fake_results(one, tmp_path, **how))
    run = results.runs[0]
    values = run.record.values
    scores = {str(epoch): {"test": values["scores"]["12"]["test"] | {"confusion": confusion}}}
    record = dataclasses.replace(run.record, values={**values, "selected": {results.select: epoch}, "scores": scores})
    run = dataclasses.replace(run, outcome=dataclasses.replace(run.outcome, record=record))
    assert run.degenerate(results.select) == signs
    group = dataclasses.replace(results.groups["breastmnist", "baseline", "shuffle"], runs=(run,))
    assert group.signs(results.select) == dict.fromkeys(signs, 1)
    tags = tags_of(group, results.select)
    short = {"one class": "one class 1/1", "first epoch": "first epoch 1/1", "majority": "≤ largest class 1/1"}
    assert tags == tuple(short[sign] for sign in signs[:1])
    once = dataclasses.replace(run, outcome=dataclasses.replace(run.outcome, record=dataclasses.replace(
        record, values={**record.values, "epochs": 1})))  # fmt: skip
    assert "first epoch" not in once.degenerate(results.select)

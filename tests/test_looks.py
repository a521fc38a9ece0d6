"""The log of looks: what is noted, what it says of a study, and what no line in it can break."""

import dataclasses
import json
import multiprocessing
import os
import re
from pathlib import Path

import numpy as np
import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study

from medaug_keras import looks, report
from medaug_keras.report.numbers import findings
from medaug_keras.report.numbers.inference import Inference, corrected
from medaug_keras.report.numbers.results import Results
from medaug_keras.spec import Study
from medaug_keras.stats import holm
from medaug_keras.store import Store
from studies import PHANTOM, cli_here, tiny, written

FEW = {name: ARMS[name] for name in ("baseline", "gda")}
MANY = {**FEW, **{f"zoom-{n}": {"augment": [{"layer": "RandomZoom", "factor": n / 20}]} for n in range(1, 10)}}


def small(**more) -> Study:
    return fake_study(**{"datasets": ("breastmnist",), "arms": FEW, "replicates": 2, "samplings": ["shuffle"], **more})


def done_of(study: Study) -> list[str]:
    return [run.task for run in fake_plan(study).runs]


def line_of(study: Study, what: str = "look", done: list[str] | None = None) -> looks.Line:
    return looks.line(what, study, fake_plan(study), done_of(study) if done is None else done)


def looked(root: Path, study: Study, done: list[str] | None = None) -> looks.Looks:
    return looks.looked(root, study, fake_plan(study), done_of(study) if done is None else done)


def answered(root: Path, study: Study) -> str:
    results = Results(study, fake_plan(study), Store(root))
    return " ".join(findings.answer(results, Inference(results)))


# --- what is noted ---------------------------------------------------------------------------------


def test_a_look_is_noted_once_until_there_are_new_results_or_another_study(tmp_path):
    study, root = small(), tmp_path / "results"

    def render(study: Study, **how) -> int:
        plan, store = fake_results(study, root, **how)
        report.render(study, plan, store, tmp_path / "docs")
        return len(looks.read(root)[0])

    late = {"leave_out": lambda task: task.kind == "classifier" and task.replicate == 1}
    assert render(study, leave_out=lambda task: task.kind != "data") == 0  # nothing to see yet
    assert render(study, **late) == 1
    assert render(study, **late) == 1
    assert render(study) == 2
    assert render(small(title="Another title", arms={**FEW, "gda": {**FEW["gda"], "label": "Flips"}})) == 2
    assert render(small(primary="auc")) == 3
    done = [(line.done, line.runs) for line in looks.read(root)[0]]
    assert done == [(2, 4), (4, 4), (4, 4)]
    assert [(line.done, line.primary) for line in looked(root, study).before] == [(2, "accuracy"), (4, "auc")]


def test_pages_that_are_made_while_a_study_runs_are_no_look_and_say_so(tmp_path):
    study = small()
    plan, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, plan, store, tmp_path / "docs", look=False)
    assert looks.read(tmp_path / "results") == ([], 0)
    assert "This look is not in the log" in (folder / "significance.md").read_text("utf-8")
    report.render(study, plan, store, tmp_path / "docs")
    assert "This look is not in the log" not in (folder / "significance.md").read_text("utf-8")


def test_where_no_log_can_be_kept_pages_are_made_all_the_same_and_say_so(tmp_path):
    study = small()
    plan, store = fake_results(study, tmp_path / "results")
    (tmp_path / "results" / looks.NAME).mkdir()  # also for root, who may write into any folder
    assert looks.note(tmp_path / "results", line_of(study)) == os.strerror(21)
    folder = report.render(study, plan, store, tmp_path / "docs")
    assert "This look is not in the log" in (folder / "significance.md").read_text("utf-8")


def test_another_studys_look_at_the_same_results_changes_the_pages_and_nothing_else_does(tmp_path):
    study, root = small(), tmp_path / "results"
    plan, store = fake_results(study, root)
    folder = report.render(study, plan, store, tmp_path / "docs")
    first = (folder / "index.md").read_bytes()
    assert b"looked at" not in first
    looks.note(root, line_of(small(seed=1)))
    report.render(study, plan, store, tmp_path / "docs")
    assert (folder / "index.md").read_bytes() == first
    looks.note(root, line_of(small(primary="auc")))
    report.render(study, plan, store, tmp_path / "docs")
    assert b"looked at 2 times" in (folder / "index.md").read_bytes()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name": "other"}, True),
        ({"title": "Other"}, True),
        ({"question": "Other?"}, True),
        ({"primary": "auc"}, False),
        ({"classifier": {"select": "last"}}, False),
        ({"classifier": {"select": "best_validation_accuracy"}}, True),  # what accuracy means anyway
        ({"replicates": 3}, False),
        ({"arms": {"baseline": {}}}, False),
        ({"arms": {"baseline": {"label": "None"}, "flips": ARMS["gda"]}}, True),
        ({"baseline": {"arm": "gda", "sampling": "shuffle"}}, False),
        ({"datasets": ("breastmnist", "octmnist")}, False),
        ({"seed": 1}, False),
    ],
    ids=str,
)
def test_a_study_is_another_one_if_its_tests_are(change, same):
    assert (line_of(small(**change)).study == line_of(small()).study) == same


def test_the_order_in_which_results_are_listed_does_not_make_another_look():
    study = small(replicates=200)
    done = done_of(study)
    found = {line_of(study, done=order).results for order in (done, done[::-1], done[1::2] + done[::2])}
    assert len(found) == 1


def test_a_look_that_saw_no_result_of_a_data_set_is_no_look_at_it(tmp_path):
    two = small(datasets=("breastmnist", "octmnist"))
    plan = fake_plan(two)
    looks.note(tmp_path, line_of(two, done=[run.task for run in plan.runs if run.dataset == "octmnist"]))
    assert looked(tmp_path, small()).count == 1
    assert looked(tmp_path, small(datasets=("octmnist",))).count == 2


@pytest.mark.parametrize(
    ("arms", "baseline", "count"),
    [
        (FEW, "gda", 2),  # the same comparison from its other side
        ({**FEW, "zoom": MANY["zoom-1"]}, "zoom", 2),  # another arm with each of them
        ({"gda": ARMS["gda"], "zoom": MANY["zoom-1"]}, "gda", 2),
        ({"zoom": MANY["zoom-1"], "other": MANY["zoom-2"]}, "zoom", 1),  # no arm of this study
    ],
)
def test_a_look_with_another_baseline_at_results_of_this_study_counts(tmp_path, arms, baseline, count):
    other = small(arms=arms, baseline={"arm": baseline, "sampling": "shuffle"})
    looks.note(tmp_path, line_of(other))
    assert looked(tmp_path, small()).count == count


def test_only_a_registration_of_just_this_study_counts_as_one_and_the_first_does(tmp_path):
    study, other = small(), small(primary="auc")
    for one in (line_of(study), line_of(other, "registered")):
        looks.note(tmp_path, one)
    assert looked(tmp_path, study).registered is None
    first = dataclasses.replace(line_of(study, "registered", done=[]), time=1e9)
    for one in (first, line_of(study, "registered")):
        looks.note(tmp_path, one)
    assert looked(tmp_path, study).registered == first
    assert len(looks.read(tmp_path)[0]) == 3
    assert looked(tmp_path, study).count == 1


AUC = {"primary": "auc"}
APART = {"datasets": ("octmnist",)}  # another baseline, so nothing but the name tells that it is the same question


def registration(study: Study, done: list[str] | None = None, *, others: int | None = 0, time: float = 1e9):
    return dataclasses.replace(line_of(study, "registered", done or []), others=others, time=time)


def logged(root: Path, *lines: looks.Line) -> None:
    for one in lines:
        assert looks.note(root, one) == ""


def said_of(root: Path, study: Study) -> str:
    results = Results(study, fake_plan(study), Store(root))
    return " ".join(findings.log_words(results))


@pytest.mark.parametrize("other", [AUC, APART, {**AUC, "name": "other"}, {"arms": {"baseline": {}}, "name": "other"}])
def test_registrations_of_other_designs_are_known_above_and_below_the_own_one_and_the_own_is_none(tmp_path, other):
    study, changed = small(), small(**other)
    logged(tmp_path, registration(changed))
    found = looked(tmp_path, study)
    assert ([one.study for one in found.earlier], found.later) == ([line_of(changed).study], ())
    logged(tmp_path, registration(study, time=1))  # a clock that was set back does not turn them round
    found = looked(tmp_path, study)
    assert ([one.study for one in found.earlier], found.later) == ([line_of(changed).study], ())
    found = looked(tmp_path, changed)
    assert (found.earlier, [one.study for one in found.later]) == ((), [line_of(study).study])
    assert found.strangers == 0


def test_registrations_of_other_names_without_a_common_baseline_are_only_counted(tmp_path):
    logged(tmp_path, registration(small()), registration(small(**APART, name="other")))
    found = looked(tmp_path, small())
    assert (found.earlier, found.later, found.strangers) == ((), (), 1)


def test_looks_before_the_registration_count_once_and_only_at_this_or_another_design_with_results(tmp_path):
    study, apart = small(), small(**APART)
    logged(tmp_path, line_of(apart), line_of(study), line_of(small(**APART, name="other")))
    logged(tmp_path, line_of(small(seed=1), done=[]), registration(study), line_of(small(**AUC)))
    found = looked(tmp_path, study)
    assert [one.study for one in found.first_looks] == [line_of(apart).study, line_of(study).study]
    assert [one.study for one in found.elsewhere] == [line_of(apart).study]
    assert [one.study for one in found.before] == [line_of(small(**AUC)).study]
    assert looked(tmp_path, apart).first_looks == ()  # it is not registered


EARLIER = "Another design of this study was registered earlier: before its results, 2001-09-09 01:46 UTC, study "
UNKNOWN = "Whether the results folder had results of other designs when this one was registered is not known"
ALL = re.compile("other design|Another design|not of it|not known|before this registration")


@pytest.mark.parametrize(
    ("lines", "said", "unsaid"),
    [
        ([registration(small())], (), ALL),
        ([registration(small(), others=None)], (), ALL),
        (
            [registration(small(), others=1)],
            ("When this design was registered, the results folder had 1 trained network that is not of it.",),
            "design of",
        ),
        (
            [registration(small(), others=4)],
            ("the results folder had 4 trained networks that are not of it.",),
            "design of",
        ),
        (
            [registration(small(**AUC)), registration(small())],
            (EARLIER, "(what differs: metric, AUC then, acc"),
            "later|known",
        ),
        (
            [registration(small(**AUC), done_of(small())), registration(small(), others=None)],
            ("registered earlier: when 4 of 4 runs had a result, ", UNKNOWN),
            "not of it",
        ),
        (
            [registration(small()), registration(small(**APART))],
            ("Another design of this study was registered later: ", "(what differs: data sets, baseline, or how"),
            "earlier",
        ),
        (
            [registration(small(**AUC))],
            ("was not registered. Another design of this study was registered: be",),
            "earlier",
        ),
        (
            [*(registration(small(replicates=n)) for n in range(3, 9)), registration(small())],
            ("6 other designs of this study were registered earlier: ", "replicates, 6 then, 2 now); and 2 more."),
            "7 then",
        ),
        (
            [line_of(small(**APART)), registration(small())],
            (
                "1 look from before this registration, at results of other designs of this study.",
                "The log has 1 look at results of other designs of this study, with other data or another baseline.",
            ),
            "this design",
        ),
        (
            [line_of(small()), registration(small())],
            ("before this registration, at results of this design.",),
            "other des",
        ),
        (
            [line_of(small()), line_of(small(**AUC)), registration(small())],
            ("2 looks from before this registration, at results of this and other designs of this study.",),
            "with other data",
        ),
        (
            [registration(small(**APART, name="other"))],
            ("1 registration of studies of other names that compare none of these arms with the same baseline.",),
            "design",
        ),
    ],
)
def test_what_a_registration_leaves_out_is_said_beside_it(tmp_path, lines, said, unsaid):
    study = small()
    fake_results(study, tmp_path)
    logged(tmp_path, *lines)
    text = said_of(tmp_path, study)
    assert not [one for one in said if one not in text], text
    assert not re.search(unsaid, text), text


def test_a_registration_says_of_other_designs_wherever_a_page_says_that_it_was_registered(tmp_path):
    study, root = small(), tmp_path / "results"
    plan, store = fake_results(study, root)
    folder = report.render(study, plan, store, tmp_path / "docs")
    pages = [folder / name for name in ("index.md", "significance.md", "checklist.md")]
    assert not [page for page in pages if "nother design" in page.read_text("utf-8")]
    logged(root, registration(small(**AUC)), registration(study, others=3))
    report.render(study, plan, store, tmp_path / "docs")  # nothing but the log has changed
    for page in pages:
        text = page.read_text("utf-8")
        assert "nother design of this study was registered earlier" in text, page
        assert "3 trained networks that are not of it" in text, page


# --- families --------------------------------------------------------------------------------------


def test_the_largest_family_has_every_arm_that_was_ever_compared_also_one_at_a_time(tmp_path):
    base = line_of(small()).families[0].against
    for name in list(MANY)[1:]:
        looks.note(tmp_path, line_of(small(arms={"baseline": {}, name: MANY[name]})))
    assert looked(tmp_path, small()).largest == {base: 10}
    assert looked(tmp_path, small()).count == 10


def test_a_family_counts_by_metric_and_rule_and_only_with_results(tmp_path):
    base = line_of(small()).families[0].against
    looks.note(tmp_path, line_of(small(arms=MANY), done=[]))
    assert looked(tmp_path, small()).largest == {base: 1}
    looks.note(tmp_path, line_of(small(arms=MANY), "registered", done=[]))
    assert looked(tmp_path, small()).largest == {base: 10}
    other = {"baseline": {}, "other": {"augment": [{"layer": "hue"}]}}
    looks.note(tmp_path, line_of(small(arms=other, primary="auc")))  # a study of its own, not an eleventh arm
    assert looked(tmp_path, small()).largest == {base: 10}


@pytest.mark.parametrize("ever", [0, 1, 3, 11])
def test_a_larger_family_never_makes_a_p_smaller(tmp_path, ever):
    study = small(arms=dict(list(MANY.items())[:4]))
    plan, store = fake_results(study, tmp_path)
    family = list(Inference(Results(study, plan, store)).tests.values())
    found = corrected(family, ever)
    assert [c.holm for c in found] == holm([c.result.p_family for c in family])
    for c in found:
        assert c.holm <= c.holm_ever <= 1
        assert c.family_ever == max(3, ever)
        assert c.holm_ever == c.holm or ever == 11


def gain(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    """Arm gda is right on three more images, not always on the same; all others as the baseline."""
    hit = np.arange(156) % 5 > 0
    more = np.random.default_rng(replicate).permutation(np.flatnonzero(~hit))[: 3 if arm == "gda" else 0]
    fewer = np.random.default_rng([replicate, len(arm)]).permutation(np.flatnonzero(hit))[:3]
    hit[more] = True
    hit[fewer] = False
    return hit


def test_dropping_arms_after_a_look_makes_none_better_that_was_not(tmp_path):
    """Eleven arms, then two: the p is the same, and so is what is said."""
    root = tmp_path / "results"
    whole, part = small(arms=MANY, replicates=5), small(replicates=5)
    plan, store = fake_results(whole, root, hits=gain)
    alone = Inference(Results(part, fake_plan(part), store)).tests["breastmnist", "gda", "shuffle"]
    assert (alone.today, alone.word) == ("better", "better")
    assert "Geometric: better" in answered(root, part)
    report.render(whole, plan, store, tmp_path / "docs")
    (c,) = Inference(Results(part, fake_plan(part), store)).tests.values()
    assert (c.today, c.word) == ("better", "not distinguishable")
    said = answered(root, part)
    assert "Geometric: better" not in said
    assert "Arms compared with the baseline so far: 10 on BreastMNIST, of which 1 today." in said
    assert (
        "Geometric on BreastMNIST would differ from the baseline only if the arms that were compared before did" in said
    )
    results = Results(part, fake_plan(part), store)
    claimed = findings.claims(results, Inference(results))
    assert not [text for kind, text in claimed if kind == "can"]
    assert findings.can_be_said(c, None).startswith("Nothing: better among today's 1 arm, but not among the 10")
    folder = report.render(part, fake_plan(part), store, tmp_path / "docs")
    header = json.loads((folder / "data" / "tests.json").read_text("utf-8"))["columns"]
    assert "holm_ever" in [column["key"] for column in header]


def test_a_first_look_says_nothing_of_looks(tmp_path):
    study = small(replicates=5)
    plan, store = fake_results(study, tmp_path / "results", hits=gain)
    report.render(study, plan, store, tmp_path / "docs")
    said = answered(tmp_path / "results", study)
    assert "Geometric: better" in said
    assert not re.search("looked at|so far|left out", said)


# --- a file that many write and anyone can edit ----------------------------------------------------

WRONG = [
    b"",
    b"\x00\xff\xfe",
    b"null",
    b"[]",
    b"{",
    b'"look"',
    b"[" * 100_000,
    *(
        json.dumps(dataclasses.asdict(line_of(small())) | change).encode()
        for change in (
            {"time": float("nan")},
            {"time": 1e300},
            {"time": -1},
            {"time": None},
            {"done": float("inf")},
            {"name": "<script>"},
            {"name": "\ud800"},
            {"what": "other"},
            {"primary": "luck"},
            {"families": None},
            {"families": [{"against": "x", "arms": [], "done": 1}]},
            {"families": [{"against": 1}]},
            {"families": [{"against": f"classifier-{'0' * 16}", "arms": ["x"], "done": 1}]},
            {"time": 2**32},
            {"study": "short"},
            {"families": [{"against": f"classifier-{'0' * 17}", "arms": [], "done": 1}]},
            {"verdicts": {"breastmnist/<b>/shuffle": "better"}},
            {"others": -1},
            {"others": "many"},
        )
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda content: content[:20])
def test_a_line_that_says_nothing_is_passed_over_and_counted(tmp_path, wrong):
    study = small()
    looks.note(tmp_path, line_of(small(primary="auc")))
    with open(tmp_path / looks.NAME, "ab") as file:
        file.write(wrong + b"\n")
    looks.note(tmp_path, line_of(study))
    found = looked(tmp_path, study)
    assert (found.count, found.noted, found.unreadable) == (2, True, len(wrong) > 0)


@pytest.mark.parametrize("when", [0, 2**32 - 1])
def test_any_time_until_the_next_century_is_read(tmp_path, when):
    one = dataclasses.replace(line_of(small()), time=when)
    assert looks.note(tmp_path, one) == ""
    assert looks.read(tmp_path) == ([one], 0)


def test_who_may_read_the_log_is_who_may_read_other_new_files(tmp_path):
    (tmp_path / "other").touch()
    looks.note(tmp_path, line_of(small()))
    assert (tmp_path / looks.NAME).stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_log_whose_beginning_was_damaged_is_still_ours(tmp_path):
    looks.note(tmp_path, line_of(small(primary="auc")))
    path = tmp_path / looks.NAME
    path.write_bytes(b"damaged\n" + path.read_bytes())
    assert looks.note(tmp_path, line_of(small())) == ""
    assert len(looks.read(tmp_path)[0]) == 2


def test_a_line_after_a_torn_one_is_whole(tmp_path):
    looks.note(tmp_path, line_of(small(primary="auc")))
    path = tmp_path / looks.NAME
    path.write_bytes(path.read_bytes()[:-20])
    looks.note(tmp_path, line_of(small()))
    lines, unreadable = looks.read(tmp_path)
    assert ([line.primary for line in lines], unreadable) == (["accuracy"], 1)


def test_a_file_of_that_name_that_is_somebodys_is_left_alone_and_said(tmp_path):
    path = tmp_path / looks.NAME
    path.write_bytes(b'{"looks": "of my own"}\n')
    assert "somebody's file" in looks.note(tmp_path, line_of(small()))
    assert path.read_bytes() == b'{"looks": "of my own"}\n'
    path.write_bytes(b"")
    assert looks.note(tmp_path, line_of(small())) == ""


def write_many(root: Path, first: int) -> None:
    for seed in range(first, first + 20):
        assert looks.note(root, line_of(small(seed=seed))) == ""


def test_lines_of_reports_that_are_made_side_by_side_stay_whole(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path, 100 * n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines, unreadable = looks.read(tmp_path)
    assert len({line.study for line in lines}) == len(lines) == 80
    assert unreadable == 0


# --- registering -----------------------------------------------------------------------------------


def test_a_study_that_was_registered_before_its_results_says_so_and_a_changed_one_that_another_was(tmp_path):
    study = tiny(arms={"baseline": {}, "flip": {"augment": [{"layer": "horizontal_flip"}]}})
    path = written(tmp_path, study)
    said = [cli_here("plan", path, "--register", cwd=tmp_path).stdout for _ in range(2)]
    for text in said:
        assert re.search(r"^Registered before its results, 20\d\d-.* UTC: study [0-9a-f]{64}$", text, re.MULTILINE)
    assert len(looks.read(tmp_path / "results")[0]) == 1
    made = cli_here(path, "--no-site", "--workers", "1", "--quiet", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    index = tmp_path / "docs" / "studies" / study["name"] / "index.md"
    assert "before its results" in index.read_text("utf-8")
    other = ["--set", "primary=accuracy"]
    assert cli_here("report", path, *other, "--no-site", cwd=tmp_path).returncode == 0
    changed = "<dt>Registered</dt><dd><bdi>not as it is now. Another design of this study was registered: before its "
    assert changed in index.read_text("utf-8")
    late = cli_here("plan", path, *other, "--register", cwd=tmp_path).stdout
    assert re.search(r"Registered when 2 of 2 runs had a result", late)
    assert cli_here("report", path, *other, "--no-site", cwd=tmp_path).returncode == 0
    assert "when 2 of 2 runs had a result" in index.read_text("utf-8")


def test_who_changes_a_registered_study_after_its_first_runs_and_registers_again_is_told_what_pages_will_say(tmp_path):
    """The first design is run in part, and nobody looks at its pages."""
    study = tiny(arms={"baseline": {}, "flip": {"augment": [{"layer": "horizontal_flip"}]}})
    path, changed = written(tmp_path, study), ["--set", "classifier.epochs=2"]
    assert "design" not in cli_here("plan", path, "--register", cwd=tmp_path).stdout
    (family,) = looks.read(tmp_path / "results")[0][0].families
    for name in (family.against, "classifier-0000000000000000", "data-0000000000000000"):
        (tmp_path / "results" / name).mkdir()
        (tmp_path / "results" / name / "record.json").touch()
    (tmp_path / "results" / "classifier-1111111111111111").mkdir()  # without a record, so it is not done
    said = cli_here("plan", path, "--register", *changed, cwd=tmp_path).stdout
    assert "Another design of this study was registered earlier: before its results, 20" in said
    assert "the results folder had 2 trained networks that are not of it.\nPages say so." in said
    assert looks.read(tmp_path / "results")[0][-1].others == 2


def test_a_study_whose_data_cannot_be_read_cannot_be_registered(tmp_path):
    study = tiny(datasets={"small": PHANTOM, "gone": {"kind": "npz", "path": "gone.npz"}})
    refused = cli_here("plan", written(tmp_path, study), "--register", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--register: gone: " in refused.stderr
    assert not (tmp_path / "results" / looks.NAME).exists()

"""Why a task would run, in words."""

import shutil
from pathlib import Path

import pytest

from medaug_keras.explain import explain
from medaug_keras.plan import Plan
from medaug_keras.store import Failure, Store
from studies import changed, make_up, planned, whole

STUDY = whole(datasets={"small": whole()["datasets"]["small"]})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is done but the classifier of arm cgan, replicate 1."""
    store, plan = Store(tmp_path_factory.mktemp("made") / "results"), planned(STUDY)
    for name, task in plan.tasks.items():
        if name != cell(plan, "cgan"):
            make_up(store, task)
    return store.root


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    shutil.copytree(made, tmp_path / "results")
    return Store(tmp_path / "results")


def cell(plan: Plan, arm: str, replicate: int = 1) -> str:
    return next(
        c.task for c in plan.runs if (c.arm, c.sampling, c.replicate, c.dataset) == (arm, "shuffle", replicate, "small")
    )


def said(store: Store, path: str, value: object, arm: str = "baseline") -> str:
    plan = planned(changed(STUDY, path, value))
    return explain(plan.tasks[cell(plan, arm)], plan, store)


def test_what_is_done_would_not_run(store: Store):
    assert "would not run: it is done" in said(store, "title", "Another")


def test_a_changed_setting_is_named_as_the_study_names_it(store: Store):
    text = said(store, "classifier.epochs", 3)
    assert "would run: there is no result under its key" in text
    assert text.splitlines()[-1] == "  - classifier.epochs: 20 there, 3 now"


def test_a_changed_generator_is_found_behind_the_needs(store: Store):
    lines = said(store, "generators.cvae.epochs", 9, arm="cvae").splitlines()
    assert "it needs small: images for arm cvae, replicate 1" in lines[3]
    assert "it needs small: generator cvae, replicate 1" in lines[4]
    assert lines[5:] == ["      - generators.cvae.epochs: 3 there, 9 now"]


def test_the_reason_is_found_even_when_what_it_needs_was_made_anew(store: Store):
    plan = planned(changed(STUDY, "generators.cvae.epochs", 9))
    task = plan.tasks[cell(plan, "cvae")]
    for name in plan.only({"task": [task.id]}).tasks:
        if name != task.id and not store.is_done(name):
            make_up(store, plan.tasks[name])
    assert "generators.cvae.epochs: 3 there, 9 now" in explain(task, plan, store)


def test_a_setting_of_the_sampling_is_named_under_its_generator(store: Store):
    text = said(store, "generators.cvae.sampling_statistics", "moving", arm="cvae")
    assert "generators.cvae.sampling_statistics: batch there, moving now" in text


def test_another_replicate_is_said_so(store: Store):
    assert "the replicate, or the study's seed" in said(store, "seed", 7)


def test_a_renamed_arm_would_not_run(store: Store):
    plan = planned(STUDY | {"arms": {"renamed": STUDY["arms"]["gda"], "baseline": {}}})
    assert "would not run" in explain(plan.tasks[cell(plan, "renamed")], plan, store)


def test_other_data_are_said_so(store: Store):
    text = said(store, "datasets.small.seed", 4)
    assert "it needs small: data" in text
    assert "datasets.small.seed: 0 there, 4 now" in text


def test_without_any_result_it_says_so(tmp_path: Path):
    plan = planned(whole())
    assert "No classifier task was run before" in explain(plan.tasks[cell(plan, "gda")], plan, Store(tmp_path))


def test_failed_blocked_running_and_damaged_are_told_apart(store: Store):
    plan = planned(STUDY)
    task = plan.tasks[cell(plan, "cgan")]
    with store.claim(task.id):
        assert "is being made" in explain(task, plan, store)
    store.fail(task, Failure(task.kind, task.key, "ValueError: too bright", "", {}))
    assert "The last attempt failed: ValueError: too bright" in explain(task, plan, store)
    done = plan.tasks[cell(plan, "gda")]
    (store.folder(done.id) / "record.json").write_text("{}")
    assert "has a result that cannot be used" in explain(done, plan, store)

    plan = planned(changed(STUDY, "classifier.epochs", 2))
    judge = plan.tasks[cell(plan, "baseline")]
    store.fail(judge, Failure(judge.kind, judge.key, "ValueError", "", {}))
    quality = next(m.task for m in plan.quality if m.replicate == 1)
    assert "cannot run before what it needs small: baseline" in explain(plan.tasks[quality], plan, store)

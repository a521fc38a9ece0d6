"""What a run says while it goes on."""

import io
import random
from dataclasses import replace

import pytest

from medaug_keras.durations import Durations, counted, duration
from medaug_keras.engine import Event
from medaug_keras.progress import Progress
from studies import changed, planned, tiny, whole

PLAN = planned(tiny())
DATA, ONE, OTHER = PLAN.tasks.values()


def lines(
    *events: Event, quiet: bool = False, done: set[str] | None = None, durations: Durations | None = None
) -> list[str]:
    out = io.StringIO()
    known = durations or Durations()
    with Progress(PLAN, done=done or set(), durations=known, workers=1, quiet=quiet, out=out) as progress:
        for event in events:
            progress(event)
    return out.getvalue().splitlines()


def test_a_finished_task_is_one_plain_line_that_counts():
    said = lines(Event("start", DATA), Event("done", DATA))
    assert said == ["[1/3] grey: data: done in 0.0 s"]


def test_what_was_done_before_is_counted():
    said = lines(Event("start", OTHER), Event("done", OTHER), done={DATA.id, ONE.id})
    assert said == ["[3/3] grey: flip, shuffle, replicate 0: done in 0.0 s"]


def test_epochs_are_no_lines_of_their_own_and_messages_are():
    said = lines(Event("start", ONE), Event("epoch", ONE, 1, {"loss": 0.5}), Event("message", ONE, text="12 %"))
    assert said == ["grey: baseline, shuffle, replicate 0: 12 %"]


def test_failed_blocked_and_found_are_told_apart():
    said = lines(
        Event("start", DATA),
        Event("found", DATA),
        Event("start", ONE),
        Event("failed", ONE, text="ValueError: [no]"),
        Event("blocked", OTHER),
    )
    assert said == [
        "[1/3] grey: data: done by another run",
        "[2/3] grey: baseline, shuffle, replicate 0: FAILED ValueError: [no]",
        "[3/3] grey: flip, shuffle, replicate 0: blocked",
    ]


def test_quiet_says_failures_only():
    events = [Event("start", DATA), Event("message", DATA, text="12 %"), Event("done", DATA)]
    events += [Event("start", ONE), Event("failed", ONE, text="ValueError"), Event("blocked", OTHER)]
    assert lines(*events, quiet=True) == ["[2/3] grey: baseline, shuffle, replicate 0: FAILED ValueError"]


def test_time_left_follows_from_what_was_seen_and_is_not_guessed():
    assert "left" not in lines(Event("start", DATA), Event("done", DATA))[0]
    known = Durations()
    known.learn(ONE, 30.0)
    said = lines(Event("start", DATA), Event("done", DATA), durations=known)
    assert said == ["[1/3] grey: data: done in 0.0 s, about 60 s left"]


def test_a_worker_that_may_hang_is_said_even_to_the_quiet():
    events = [Event("start", DATA), Event("silent", DATA, text="its process 7 gives no sign of life")]
    assert lines(*events, quiet=True) == ["grey: data: its process 7 gives no sign of life"]


def test_a_task_that_another_run_makes_is_not_shown_as_running():
    out = io.StringIO()
    progress = Progress(PLAN, done=set(), durations=Durations(), workers=1, quiet=False, out=out)
    progress(Event("start", DATA))
    assert progress.running.keys() == {DATA.id}
    progress(Event("busy", DATA))
    assert not progress.running
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (5999, "100 min"), (36000, "10.0 h")],
)
def test_durations_are_short(seconds: float, words: str):
    assert duration(seconds) == words


@pytest.mark.parametrize("seed", range(5))
def test_the_time_left_is_that_of_the_tasks_that_are_left(seed):
    """Kept up to date event by event; here it is counted anew after each."""
    chance, plan = random.Random(seed), planned(whole())
    known = Durations()
    for task in plan.tasks.values():
        known.learn(task, chance.uniform(1, 100))
    before = {name for name in plan.tasks if chance.random() < 0.3}
    progress = Progress(plan, done=before, durations=known, workers=3, quiet=True, out=io.StringIO())
    rest = {name: task for name, task in plan.tasks.items() if name not in before}
    while rest:
        seconds = known.left(counted(rest.values()), 3)
        assert progress._left() == f", about {duration(seconds)} left"
        task = rest.pop(chance.choice(list(rest)))
        for what in ("start", chance.choice(["done", "found", "failed", "blocked"])):
            progress(Event(what, task))
    assert progress._left() == ""


@pytest.mark.parametrize(("per_class", "epochs"), [(False, 3), (True, 12)])
def test_the_epochs_are_all_that_the_task_will_train(per_class: bool, epochs: int):
    """A classifier, the one that judges synthetic images, a generator, and one generator for each of four classes."""
    study = changed(changed(whole(), "classifier.epochs", 7), "generators.jvae.per_class", per_class)
    plan = planned(study)
    plan = replace(plan, sources={name: replace(source, classes=4) for name, source in plan.sources.items()})
    progress = Progress(plan, done=set(), durations=Durations(), workers=1, quiet=True, out=io.StringIO())
    shown = {
        (task.kind, task.params["settings"].get("kind") if task.kind == "generator" else ""): progress._epoch(
            Event("epoch", task, 2, {"loss": 0.5})
        )
        for task in plan.tasks.values()
        if task.kind in ("classifier", "usefulness", "generator")
    }
    assert shown == {
        ("classifier", ""): "epoch 2 of 7  loss 0.5",
        ("usefulness", ""): "epoch 2 of 7  loss 0.5",
        ("generator", "cvae"): "epoch 2 of 3  loss 0.5",
        ("generator", "joint_vae"): f"epoch 2 of {epochs}  loss 0.5",
        ("generator", "cgan"): "epoch 2 of 3  loss 0.5",
    }

"""Laws of the loop over epochs, which classifiers and generators share."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from medaug_keras.training import LAST, Checkpoint, DivergedError, EarlyStopping, TrainingRun, TrainingState, train

RULES = {"highest": lambda logs: [logs["score"]], "lowest": lambda logs: [-logs["score"]]}


class Run:
    """A training run whose epochs have given scores; its one tensor counts the epochs."""

    def __init__(self, scores: Sequence[float | None]) -> None:
        self.scores = scores
        self.count = torch.zeros((), dtype=torch.int64)
        self.weight = torch.zeros(1, requires_grad=True)
        self.sgd = torch.optim.SGD([self.weight], 1.0)
        self.events: list[str] = []
        self.reported: list[dict[str, float]] = []

    def __call__(self, **changes: Any) -> TrainingRun:
        settings: dict[str, Any] = {
            "epochs": len(self.scores),
            "train_epoch": self.train_epoch,
            "validate": self.validate,
            "rules": RULES,
            "keep": [*RULES],
            "snapshot": self.count.clone,
            "early_stopping": None,
            "learning_rate_decay": 1.0,
            "on_epoch": self.on_epoch,
            "checkpoint": None,
        }
        return train(TrainingState([], [self.sgd], [], [self.count]), **settings | changes)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        self.count += 1
        assert epoch == self.count
        self.events.append("train")
        return {"loss": 0.5}

    def validate(self) -> dict[str, float | None]:
        self.events.append("validate")
        return {"score": self.scores[int(self.count) - 1]}

    def on_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        assert epoch == self.count
        self.reported.append(logs)


def test_no_rule_selects_an_unranked_epoch_and_patience_begins_after_them():
    run = Run([9, 0, 5, 1, 3, 2, 8])(unranked=2)
    assert run.selected == {"highest": 7, "lowest": 4, LAST: 7}
    assert len(run.history["score"]) == 7
    stopped = Run([9, 0, 5, 1, 3, 2, 8])(unranked=2, early_stopping=EarlyStopping("highest", 2))
    assert stopped.selected == {"highest": 3, "lowest": 4, LAST: 5}


def test_every_rule_selects_the_first_of_its_highest_epochs_and_its_copy_is_that_epochs():
    run = Run([2, 1, 3, 1, 3, 2])()
    assert run.selected == {"highest": 3, "lowest": 2, LAST: 6}
    assert run.kept == {2: 2, 3: 3}
    assert run.history == {"loss": [0.5] * 6, "score": [2, 1, 3, 1, 3, 2]}


@pytest.mark.parametrize(
    ("keep", "copies", "kept"),
    [([], [], []), ([LAST], [4], [4]), (["highest"], [1, 2], [2]), (["lowest", LAST], [1, 4], [1, 4])],
)
def test_only_epochs_of_the_rules_that_are_named_are_copied(keep: list[str], copies: list[int], kept: list[int]):
    copied: list[int] = []
    run = Run([1, 4, 2, 3])

    def snapshot() -> int:
        copied.append(int(run.count))
        return copied[-1]

    assert list(run(keep=keep, snapshot=snapshot).kept) == kept
    assert copied == copies


def test_the_last_epoch_is_that_at_which_training_stopped():
    run = Run([1, 3, 2, 2, 2, 9])(early_stopping=EarlyStopping("highest", 3), keep=["highest", LAST])
    assert run.selected == {"highest": 2, "lowest": 1, LAST: 5}
    assert list(run.kept) == [2, 5]


def test_without_a_rule_or_validation_only_the_last_epoch_counts():
    run = Run([0, 0])
    assert run(rules={}, keep=[], validate=None) == TrainingRun({"loss": [0.5, 0.5]}, {LAST: 2}, {})
    assert run.events == ["train", "train"]


def test_a_measure_that_is_undefined_is_in_the_history_and_not_reported():
    run = Run([None, 1.0])
    assert run(rules={}, keep=[]).history["score"] == [None, 1.0]
    assert run.reported == [{"loss": 0.5}, {"loss": 0.5, "score": 1.0}]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_model_that_has_diverged_is_neither_validated_nor_reported(wrong: float):
    run = Run([1, 1])
    with pytest.raises(DivergedError, match=f"^loss is {wrong} after epoch 1; try a lower learning rate$"):
        run(train_epoch=lambda epoch: {"loss": wrong})
    assert run.events == []
    assert run.reported == []


def test_a_measure_that_is_no_number_ends_the_run():
    with pytest.raises(DivergedError, match=r"^score is nan after epoch 2"):
        Run([1.0, math.nan, 1.0])()


def test_the_learning_rate_decays_between_epochs_and_not_after_the_last():
    run = Run([1, 1, 1])
    run(learning_rate_decay=0.5)
    assert run.sgd.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("killed_after", [1, 2, 3, 4])
def test_a_run_that_resumes_ends_as_one_that_was_not_interrupted(killed_after: int):
    scores, stops = [2, 1, 3, 1, 2, 2, 9], EarlyStopping("highest", 3)
    undisturbed = Run(scores)(early_stopping=stops, learning_rate_decay=0.5)
    saved: list[dict[str, Any]] = []
    first = Run(scores)
    kept = Checkpoint(load=lambda: None, save=lambda collect: saved.append(copy.deepcopy(collect())))
    first(early_stopping=stops, learning_rate_decay=0.5, checkpoint=kept)
    assert [state["epoch"] for state in saved] == [1, 2, 3, 4, 5]

    second = Run(scores)
    state = saved[killed_after - 1]
    resumed = second(
        early_stopping=stops, learning_rate_decay=0.5, checkpoint=Checkpoint(lambda: state, lambda collect: None)
    )
    assert resumed == undisturbed
    assert second.count == first.count == 6
    assert len(second.reported) == 6 - killed_after
    assert second.sgd.param_groups[0]["lr"] == first.sgd.param_groups[0]["lr"] == 0.5**5

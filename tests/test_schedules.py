"""A schedule is its closed form, and Torch's own of the same name."""

import math

import keras
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_classifiers import SETTINGS, bright_and_dark, trained

from medaug_keras import classifiers
from medaug_keras.training import schedule
from studies import recipe


def rates(steps: int, **given: object) -> list[float]:
    how = schedule(**{"learning_rate": 0.2, "steps": steps, "epoch": steps / 10, "warm_up": 0.0} | given)
    return [how(step) for step in range(steps)]


def torchs(steps: int, make: object) -> list[float]:
    """The learning rates of one of Torch's schedulers, moved after every step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.2)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_is_torchs_also_where_it_does_not_end_at_zero():
    for end in (0.0, 0.05):
        expected = torchs(40, lambda optimizer, end=end: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40, end))
        assert rates(40, kind="cosine", end=end) == pytest.approx(expected, rel=1e-9)


def test_cosine_after_a_warm_up_is_kerass_but_for_its_first_step_of_nothing():
    ours = rates(40, kind="cosine", end=0.02, warm_up=1.5)  # 6 steps
    theirs = keras.optimizers.schedules.CosineDecay(0.0, 34, alpha=0.1, warmup_target=0.2, warmup_steps=6)
    assert ours[6:] == pytest.approx([float(theirs(step)) for step in range(6, 40)], rel=1e-5)
    assert ours[:6] == pytest.approx([float(theirs(step)) for step in range(1, 7)], rel=1e-5)


def test_steps_are_torchs():
    expected = torchs(40, lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [20, 30], 0.1))
    assert rates(40, kind="steps", at=[0.5, 0.75], factor=0.1) == pytest.approx(expected)


@pytest.mark.parametrize("hundredths", [7, 29, 57, 58])
def test_a_part_of_the_steps_is_the_decimal_that_was_written(hundredths: int):
    found = rates(100, kind="steps", at=[hundredths / 100], factor=0.5)
    assert found == [0.2] * hundredths + [0.1] * (100 - hundredths)


def test_a_drop_waits_until_its_part_of_the_steps_is_done():
    """A quarter of 10 steps is done within the third."""
    assert rates(10, kind="steps", at=[0.25], factor=0.5) == [0.2] * 3 + [0.1] * 7


@pytest.mark.parametrize("kind", [{"kind": "constant"}, {"kind": "cosine", "end": 0.0}])
def test_a_warm_up_that_is_longer_than_the_training_ends_with_it(kind: dict[str, object]):
    assert rates(8, **kind, warm_up=20.0) == pytest.approx([0.025 * (step + 1) for step in range(8)])


def test_a_constant_learning_rate_is_no_schedule_unless_it_warms_up():
    assert schedule(kind="constant", learning_rate=0.2, steps=8, epoch=2, warm_up=0.0) is None
    assert rates(8, kind="constant", warm_up=5.0) == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.2, 0.2])


SECTIONS = st.sampled_from(
    [
        {"kind": "cosine", "end": 0.0},
        {"kind": "cosine", "end": 0.1},
        {"kind": "steps", "at": [0.3, 0.9], "factor": 0.5},
        {"kind": "constant"},
    ]
)


@given(SECTIONS, st.integers(2, 200), st.floats(0.3, 9))
def test_a_learning_rate_rises_in_the_warm_up_and_then_never_and_is_never_out_of_range(section, steps, warm_up):
    found = rates(steps, **section, warm_up=max(warm_up, 10 / steps))
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert all(0 < rate <= 0.2 * (1 + 1e-12) for rate in found)


def test_a_classifier_is_trained_with_the_learning_rates_of_its_schedule(monkeypatch: pytest.MonkeyPatch):
    """96 images in batches of 16: 6 steps an epoch. The history has those of each epoch's last step."""
    used = []
    step = torch.optim.AdamW.step

    def noted(self: torch.optim.Optimizer) -> None:
        used.append(self.param_groups[0]["lr"])
        step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    section = {"kind": "cosine", "warm_up": 0.5}
    how = recipe(epochs=2, batch_size=16, optimizer={"kind": "adamw", "learning_rate": 0.01}, schedule=section)
    history = trained(**how)[0].history
    after = [0.01 * (1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
    assert used == pytest.approx([0.01 / 3, 0.02 / 3, 0.01, *after], rel=1e-6)
    assert history["learning_rate"] == [used[5], used[11]]


def test_a_drop_to_nothing_is_a_training_that_has_ended():
    """A learning rate of almost 0 moves nothing, so the second epoch is the first one's network."""
    section = {"kind": "steps", "at": [0.5], "factor": 1e-30}
    how = SETTINGS | recipe(epochs=2, batch_size=16, schedule=section)
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    held_out = {"validation": bright_and_dark(30, 1), "test": bright_and_dark(40, 2)}
    weights = []
    on_epoch = {"on_epoch": lambda epoch, logs: weights.append(model.get_layer("logits").kernel.numpy().copy())}
    classifiers.fit(model, bright_and_dark(96, 0), held_out, num_classes=2, **how | on_epoch)
    assert abs(weights[0] - weights[1]).max() == 0

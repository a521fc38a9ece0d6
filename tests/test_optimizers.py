"""Optimizers do what Keras's of the same name do, step by step."""

import keras
import numpy as np
import pytest
import torch

from medaug_keras import spec
from medaug_keras.training import TrainingState, optimizer, set_learning_rate
from medaug_keras.training.optimizers import OPTIMIZERS

CASES = {
    "sgd": ({"kind": "sgd"}, lambda rate: keras.optimizers.SGD(rate, 0.9)),
    "sgd without momentum": ({"kind": "sgd", "momentum": 0.0}, keras.optimizers.SGD),
    "sgd that looks ahead": (
        {"kind": "sgd", "nesterov": True},
        lambda rate: keras.optimizers.SGD(rate, 0.9, nesterov=True),
    ),
    "adam": ({"kind": "adam"}, lambda rate: keras.optimizers.Adam(rate, epsilon=1e-8)),
    "adam of a GAN": (
        {"kind": "adam", "beta_1": 0.5, "beta_2": 0.9},
        lambda rate: keras.optimizers.Adam(rate, 0.5, 0.9, 1e-8),
    ),
    "adamw": ({"kind": "adamw", "weight_decay": 0.2}, lambda rate: keras.optimizers.AdamW(rate, 0.2, epsilon=1e-8)),
}
RATES = [0.02, 0.02, 0.006, 0.006, 0.02, 0.0002]


def settings(kind: str, **given: object) -> dict[str, object]:
    sections = {"sgd": spec.OtherSgd, "adam": spec.OtherAdam, "adamw": spec.AdamW}
    return spec.deciding(sections[kind](kind=kind, **given))


def losses(weights: list[torch.Tensor]) -> torch.Tensor:
    """Of two weights, with slopes that turn as they move."""
    return (weights[0] ** 2).sum() + (weights[0].sum() * torch.sin(weights[1])).sum()


def start() -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=rng, requires_grad=True) for shape in ((3, 2), (4,))]


@pytest.mark.parametrize("name", CASES)
def test_every_step_of_an_optimizer_is_that_of_kerass_own_also_where_the_learning_rate_changes(name: str):
    # Torch scales the learning rate past the momentum, Keras before: they agree where it does not change
    rates = [0.02] * 6 if "sgd" in name and name != "sgd without momentum" else RATES
    given, make = CASES[name]
    ours = start()
    found = optimizer(ours, **settings(**given) | {"learning_rate": rates[0]})
    theirs = [keras.Variable(weight.detach().numpy()) for weight in start()]
    expected = make(rates[0])
    for rate in rates:
        set_learning_rate(found, rate)
        expected.learning_rate = rate
        found.zero_grad()
        losses(ours).backward()
        found.step()
        values = [variable.value.detach().clone().requires_grad_() for variable in theirs]
        slopes = torch.autograd.grad(losses(values), values)
        expected.apply(slopes, theirs)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one.detach(), other.numpy(), rtol=1e-5, atol=1e-6)


def test_weight_decay_of_sgd_is_a_part_of_the_gradient_and_of_adamw_one_of_the_weight():
    """Without a gradient, sgd with momentum gathers speed towards zero; adamw shrinks by one factor a step."""
    sgd, adamw = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    one = optimizer([sgd], **settings("sgd", weight_decay=0.5, learning_rate=0.1, momentum=0.9))
    other = optimizer([adamw], **settings("adamw", weight_decay=0.5, learning_rate=0.1))
    w, v = 1.0, 0.0
    for step in range(1, 4):
        sgd.grad, adamw.grad = torch.zeros(1), torch.zeros(1)
        one.step()
        other.step()
        v = 0.9 * v + 0.5 * w
        w -= 0.1 * v
        assert sgd.item() == pytest.approx(w, rel=1e-6)
        assert adamw.item() == pytest.approx(0.95**step, rel=1e-6)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_a_slope_as_small_as_epsilon_makes_half_a_step(kind: str):
    """The first step is the learning rate times slope / (|slope| + epsilon)."""
    weight = torch.ones(1, requires_grad=True)
    weight.grad = torch.tensor([1e-3])
    decay = {"weight_decay": 0.0} if kind == "adamw" else {}
    optimizer([weight], **settings(kind, learning_rate=0.1, epsilon=1e-3, **decay)).step()
    assert weight.item() == pytest.approx(0.95, rel=1e-6)


def test_a_state_that_is_read_leaves_a_learning_rate_that_is_a_tensor_in_its_memory():
    """Where a recorded step reads it."""
    weight = torch.ones(2, requires_grad=True)
    rate = torch.tensor(0.1)
    ours = torch.optim.SGD([weight], rate, foreach=False)
    set_learning_rate(ours, 0.025)
    state = TrainingState([], [ours], []).state_dict()
    other_rate = torch.tensor(0.1)
    other = torch.optim.SGD([weight], other_rate, foreach=False)
    TrainingState([], [other], []).load_state_dict(state)
    assert other.param_groups[0]["lr"] is other_rate
    assert other_rate.item() == rate.item() == pytest.approx(0.025)


def test_a_learning_rate_is_set_for_every_group_of_parameters():
    one, other = start()
    two_groups = torch.optim.SGD([{"params": [one]}, {"params": [other], "lr": torch.tensor(0.5)}], 0.1, foreach=False)
    set_learning_rate(two_groups, 0.25)
    assert [float(group["lr"]) for group in two_groups.param_groups] == [0.25, 0.25]


def test_a_kind_that_there_is_not_is_named_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"^optimizer kind is 'adamax'; expected one of sgd, adam, adamw$"):
        optimizer(start(), kind="adamax", learning_rate=0.1)


def test_a_study_can_name_every_optimizer_of_the_table():
    assert list(OPTIMIZERS) == ["sgd", "adam", "adamw"]
    for kind in OPTIMIZERS:
        optimizer(start(), **settings(kind)).step()

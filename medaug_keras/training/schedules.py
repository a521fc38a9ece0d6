"""Schedules: the learning rate of a step, as a function of the step alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

Schedule = Callable[[int], float]
"""Step, from 0 -> its learning rate."""


def schedule(
    *, kind: str, learning_rate: float, steps: int, epoch: float, warm_up: float, **settings: Any
) -> Schedule | None:
    """The learning rate of each of `steps` steps, `epoch` of which are an epoch; None where it never changes.

    In the first W = `warm_up` epochs it rises from learning_rate / W to `learning_rate`, by the same amount each step.

    Raises ValueError where there is no such kind.
    """
    if kind not in SCHEDULES:
        raise ValueError(f"schedule kind is {kind!r}; expected one of {', '.join(SCHEDULES)}")
    warm = min(round(warm_up * epoch), steps)
    if kind == "constant" and not warm:
        return None
    after = SCHEDULES[kind](learning_rate, steps, warm, **settings)
    return lambda step: learning_rate * (step + 1) / warm if step < warm else after(step)


def constant(learning_rate: float, steps: int, warm: int) -> Schedule:
    """The same throughout."""
    return lambda step: learning_rate


def drops(learning_rate: float, steps: int, warm: int, *, at: Sequence[float], factor: float) -> Schedule:
    """Times `factor` once each part in `at` of all steps is done. Parts are the decimals that were written."""
    places = [math.ceil(Fraction(str(part)) * steps) for part in at]
    return lambda step: learning_rate * factor ** sum(step >= place for place in places)


def cosine(learning_rate: float, steps: int, warm: int, *, end: float) -> Schedule:
    """From the learning rate after the warm-up to `end` after the last step, along half a cosine wave."""
    return lambda step: end + (learning_rate - end) * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {"constant": constant, "steps": drops, "cosine": cosine}

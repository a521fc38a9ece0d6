"""The loop over the epochs of a training run: one for classifiers and generators.

An epoch trains, is validated, recorded and reported; rules then say which epoch is the best so far. Copies of what a
rule selects are kept, so that later epochs cannot overwrite them.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from medaug_keras.training.checkpoints import Checkpoint, State, TrainingState

Logs = Mapping[str, Any]
"""What an epoch measured: a number, or None where it is undefined."""
OnEpoch = Callable[[int, dict[str, float]], None]
"""Called after every epoch with its number, from 1, and what it measured."""
Rule = Callable[[Logs], Sequence[float]]
"""How epochs are ranked: the highest rank wins, and the first of several."""


def silent(epoch: int, logs: dict[str, float]) -> None:
    """Hear nothing of the epochs."""


LAST = "last"
"""The rule that selects the last epoch. It is always there and needs no measure."""


class DivergedError(Exception):
    """A loss became NaN or infinite: training cannot continue."""


@dataclass(frozen=True)
class EarlyStopping:
    """Training stops when `rule` has selected no epoch for `patience` epochs."""

    rule: str
    patience: int

    def is_due(self, epoch: int, selected: Mapping[str, int]) -> bool:
        """Whether training stops after this epoch, given the epoch that each rule selects so far."""
        return epoch - selected[self.rule] >= self.patience


@dataclass(frozen=True)
class TrainingRun:
    """A finished training run."""

    history: dict[str, list[Any]]
    """Each measure, one value an epoch."""
    selected: dict[str, int]
    """Rule -> the epoch that it selects, from 1."""
    kept: dict[int, Any]
    """Those epochs of which copies were asked for -> their snapshot, in the order of the epochs."""


def train(
    state: TrainingState,
    *,
    epochs: int,
    train_epoch: Callable[[int], dict[str, float]],
    validate: Callable[[], Logs] | None,
    rules: Mapping[str, Rule],
    keep: Collection[str],
    snapshot: Callable[[], Any],
    early_stopping: EarlyStopping | None,
    learning_rate_decay: float,
    on_epoch: OnEpoch,
    checkpoint: Checkpoint | None,
    unranked: int = 0,
) -> TrainingRun:
    """Run the epochs, `epochs` at most; `state` is all that they change.

    `train_epoch` is given the number of an epoch, from 1, trains it and returns its losses; `validate` returns what is
    measured after it, unless a loss is no number. `rules` rank the epochs by both; `LAST` is added to them. At the
    epochs that the rules in `keep` select, `snapshot` is called for copies of what is to be kept: tensors, numbers,
    lists and tuples.

    Learning rates are multiplied by `learning_rate_decay` after each epoch. `on_epoch` is told about every epoch;
    measures that are None are left out. With a `checkpoint`, training resumes after the epoch that it holds.

    The first `unranked` epochs, fewer than all, are selected by no rule, and patience begins after them.

    Raises DivergedError when a loss is no longer a number.
    """
    saved = checkpoint.load() if checkpoint else None
    if saved is None:
        saved = {"epoch": 0, "history": {}, "ranks": {}, "selected": {}, "kept": {}}
    else:
        state.load_state_dict(saved["state"])
    history, ranks, selected, kept = (saved[name] for name in ("history", "ranks", "selected", "kept"))

    def collect(epoch: int) -> State:
        run = {"epoch": epoch, "history": history, "ranks": ranks, "selected": selected, "kept": kept}
        return {**run, "state": state.state_dict()}

    for epoch in range(saved["epoch"] + 1, epochs + 1):
        logs: dict[str, Any] = _finite(train_epoch(epoch), epoch)
        if validate is not None:
            logs |= _finite(validate(), epoch)
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        on_epoch(epoch, {name: value for name, value in logs.items() if value is not None})

        ranked = epoch > unranked
        found = {name: rule(logs) for name, rule in rules.items()} if ranked else {}
        better = {name: rank for name, rank in found.items() if name not in ranks or rank > ranks[name]}
        ranks |= better
        selected |= dict.fromkeys([*better, LAST], epoch)
        stop = epoch == epochs or (ranked and early_stopping is not None and early_stopping.is_due(epoch, selected))
        if not better.keys().isdisjoint(keep) or (stop and LAST in keep):
            kept[epoch] = snapshot()
        for number in kept.keys() - {selected.get(name) for name in keep}:
            del kept[number]
        if stop:
            break
        for group in (group for optimizer in state.optimizers for group in optimizer.param_groups):
            group["lr"] *= learning_rate_decay
        if checkpoint:
            checkpoint.save(partial(collect, epoch))
    return TrainingRun(history, selected, kept)


def _finite(logs: Logs, epoch: int) -> dict[str, Any]:
    for name, value in logs.items():
        if value is not None and not math.isfinite(value):
            raise DivergedError(f"{name} is {value} after epoch {epoch}; try a lower learning rate")
    return dict(logs)

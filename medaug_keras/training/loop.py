"""The loop over the epochs of a training run."""

import math
from collections.abc import Callable
from functools import partial

import keras

from medaug_keras.training.checkpoints import Checkpoint, Ongoing

Report = Callable[[int, dict[str, float]], None]
Outcome = tuple[dict[str, list[float]], int, dict[str, float]]  # history, best epoch, losses at the kept epoch


class DivergedError(Exception):
    """A loss became NaN or infinite: training cannot go on."""


def train(
    model: keras.Model,
    *,
    train_epoch: Callable[[], dict[str, float]],
    validate: Callable[[], dict[str, float]] | None,
    ongoing: Ongoing,
    epochs: int,
    patience: int | None,
    keep: str,
    learning_rate_decay: float,
    report: Report,
    checkpoint: Checkpoint | None,
) -> Outcome:
    """Run the epochs and leave the kept weights in `model`.

    `validate` gives a `val_loss`, whose strict minimum is the best epoch; training ends `patience` epochs after it.
    With `keep` "best" the weights of that epoch come back. They are copies: the published code kept a reference, which
    later epochs overwrote. Without `validate` the last epoch is kept.

    With a `checkpoint`, training goes on after the epoch that it keeps; `ongoing` is what the epochs change.

    Raises DivergedError when a loss is no longer a number.
    """
    first, history, (lowest, best_epoch, copies) = ongoing.resume(checkpoint, (math.inf, 0, []))
    for epoch in range(first, epochs + 1):
        logs = train_epoch() | (validate() if validate else {})
        report(epoch, logs)
        for name, value in logs.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} is {value} after epoch {epoch}; try a lower learning rate")
            history.setdefault(name, []).append(value)
        if validate is None:
            best_epoch = epoch
        elif logs["val_loss"] < lowest:
            lowest, best_epoch = logs["val_loss"], epoch
            if keep == "best":
                copies = [weight.value.detach().clone() for weight in model.weights]
        elif patience is not None and epoch - best_epoch >= patience:
            break
        for group in (group for optimizer in ongoing.optimizers for group in optimizer.param_groups):
            group["lr"] *= learning_rate_decay
        if checkpoint and epoch < epochs:
            checkpoint.save(partial(ongoing.after, epoch, history, (lowest, best_epoch, copies)))
    if copies:
        for weight, copy in zip(model.weights, copies, strict=True):
            weight.assign(copy)
    for weight in model.weights:
        # back from the memory order of `fused`, so that the model rounds exactly as its saved file will
        weight.value.data = weight.value.data.contiguous()
    kept = best_epoch - 1 if copies else -1
    return history, best_epoch, {name: values[kept] for name, values in history.items()}

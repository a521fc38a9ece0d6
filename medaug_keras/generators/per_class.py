"""One generator for each class, for a kind that knows no classes: trained one after the other, saved as one sampler.

Shapes: B batch, K classes.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from medaug_keras.generators.fitting import Outcome, Trained, TrainingData
from medaug_keras.networks import assign_weights
from medaug_keras.training import Checkpoint, OnEpoch, State, subseed

Networks = dict[str, keras.Model]
"""With `whole`, which is trained, and `sampler`, which makes images by the same weights."""


def fit_per_class(
    build: Callable[[str, int], Networks],
    fit_one: Callable[[Networks, TrainingData, int, OnEpoch, Checkpoint | None], Outcome],
    data: TrainingData,
    *,
    name: str,
    seed: int,
    on_epoch: OnEpoch,
    checkpoint: Checkpoint | None,
) -> Trained:
    """Train a generator on the images of each class; the joint sampler, `name`, takes the labels as its last input.

    `build(sampler name, seed)` makes the networks of a class and `fit_one(networks, data, seed, on_epoch, checkpoint)`
    trains them. Epochs are counted on from class to class.

    The best epoch is the latest of the classes'; losses are means weighted by the classes' training images, in the
    history over the classes still in training.

    Raises ValueError where a class has fewer than two training images or no validation image.
    """
    sizes = np.bincount(data.labels, minlength=data.num_classes)
    validation_sizes = np.bincount(data.validation_labels, minlength=data.num_classes)
    if sizes.min() < 2 or validation_sizes.min() < 1:
        raise ValueError(
            "per_class needs at least 2 training images and 1 validation image of every class, found "
            f"{sizes.tolist()} and {validation_sizes.tolist()}"
        )
    saved = checkpoint.load() if checkpoint else None
    finished: list[State] = saved["finished"] if saved else []
    current: State | None = saved["current"] if saved else None
    networks: list[Networks] = []
    outcomes: list[Outcome] = []
    for k in range(data.num_classes):
        own_seed = subseed(seed, f"class {k}")
        own = build(f"class_{k}", own_seed)
        if k < len(finished):
            assign_weights(own["whole"], finished[k]["weights"])
            outcome = Outcome(**finished[k]["outcome"])
        else:
            done = sum(len(one.history["loss"]) for one in outcomes)
            part = _part(checkpoint, finished, current)
            current = None  # it was the first unfinished class's
            outcome = fit_one(own, data.of_class(k), own_seed, _counted_on(on_epoch, done), part)
            weights = [weight.value.detach() for weight in own["whole"].weights]
            finished.append({"outcome": vars(outcome), "weights": weights})
            if checkpoint and k < data.num_classes - 1:
                checkpoint.save(lambda: {"finished": finished, "current": None})
        networks.append(own)
        outcomes.append(outcome)
    sampler = combined([own.pop("sampler") for own in networks], name)
    return Trained(**vars(_mean_outcome(outcomes, sizes)), sampler=sampler, networks=networks[0])


def _part(checkpoint: Checkpoint | None, finished: list[State], current: State | None) -> Checkpoint | None:
    """The checkpoint of one class, which is saved together with the classes that are `finished`."""
    if checkpoint is None:
        return None
    return Checkpoint(
        load=lambda: current,
        save=lambda collect: checkpoint.save(lambda: {"finished": finished, "current": collect()}),
    )


def _counted_on(on_epoch: OnEpoch, epochs: int) -> OnEpoch:
    return lambda epoch, logs: on_epoch(epochs + epoch, logs)


def _mean_outcome(outcomes: list[Outcome], sizes: NDArray[np.int64]) -> Outcome:
    def mean(values: dict[int, float]) -> float:
        """Of the classes that have a value, weighted by their training images."""
        return float(np.average(list(values.values()), weights=sizes[list(values)]))

    epochs = range(max(len(one.history["loss"]) for one in outcomes))
    history = {
        name: [
            mean({k: one.history[name][i] for k, one in enumerate(outcomes) if i < len(one.history[name])})
            for i in epochs
        ]
        for name in outcomes[0].history
    }
    losses = {name: mean({k: one.losses[name] for k, one in enumerate(outcomes)}) for name in history}
    return Outcome(history, max(one.best_epoch for one in outcomes), losses)


def combined(samplers: list[keras.Model], name: str) -> keras.Model:
    """The samplers of the classes 0 .. K - 1 as one, which takes the labels (B,) as its last input."""
    inputs = [keras.Input(given.shape[1:], name=given.name) for given in samplers[0].inputs]
    label = keras.Input((), dtype="int32", name="label")
    masked = []
    for k, sampler in enumerate(samplers):
        own = layers.Embedding(len(samplers), 1, trainable=False, name=f"is_class_{k}")
        mask = layers.Reshape((1, 1, 1), name=f"mask_{k}")(own(label))
        own.set_weights([np.eye(len(samplers), dtype=np.float32)[:, k : k + 1]])
        masked.append(layers.Multiply(name=f"masked_{k}")([sampler(inputs), mask]))
    return keras.Model([*inputs, label], layers.Add(name="chosen")(masked), name=name)


def by_class(sampler: keras.Model, labels: NDArray[np.integer]) -> list[tuple[keras.Model, NDArray[np.intp]]]:
    """The samplers inside a combined one, each with the rows of `labels` (n,) that it is for."""
    return [(sampler.get_layer(f"class_{k}"), np.flatnonzero(labels == k)) for k in np.unique(labels)]

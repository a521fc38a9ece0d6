"""How classifiers are built, trained and asked.

Shapes: B batch, N images, H x W x C image, K classes or findings.
"""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers
from keras.src.utils.naming import reset_uids
from torch import Tensor

from medaug_keras import evaluation, training
from medaug_keras import labels as labels_of
from medaug_keras.architectures import ARCHITECTURES
from medaug_keras.augmentation import augmentation
from medaug_keras.networks import (
    assign_weights,
    copy_weights,
    device_of,
    fuse,
    parameters,
)
from medaug_keras.networks.preparing import prepared
from medaug_keras.networks.saved import assign_saved
from medaug_keras.networks.scaling import center, to_unit
from medaug_keras.training import (
    LAST,
    Checkpoint,
    DivergedError,
    EarlyStopping,
    Images,
    OnEpoch,
    Passes,
    Rule,
    TrainingState,
    balanced_weights,
    batches,
    by_index,
    classification_loss,
    epoch_order,
    name_streams,
    numpy_rng,
    recorded,
    set_learning_rate,
    silent,
    subseed,
    train,
)

# Images of 28 x 28 per batch when nothing is trained; of larger images fewer, so that a batch takes as much memory. In
# batches of 512 (two threads) each image takes twice as long: the activations fit no cache, and are so large that their
# memory goes back to the kernel each time.
PREDICTION_BATCH = 128
LEAST_BATCH = 8  # however large images are: one by one, a GPU idles


def build(
    kind: str,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
    head: str,
    seed: int,
    input: Mapping[str, Any] | None = None,
    weights: str | Mapping[str, str] | None = None,
    train: str = "all",
    **settings: Any,
) -> keras.Model:
    """A classifier with its initial weights, which depend on the seed, the shapes and the `settings` of the kind alone,
    or on the `weights` that are asked for.

    `head` is "softmax" (K logits), "sigmoid" (one logit, for two classes) or "findings" (K logits, for images with
    several findings; see `labels.head`). `input` has what `prepared` takes; None
    leaves the images as they come. `weights` is the `file` and the `sha256` of what Keras saved of such a network, or
    "imagenet" for one of Keras's own; None draws them from the seed. `train` is "all", or "head": all but the last
    layer stays as it is, batch norm included.

    Raises ValueError where the weights cannot be had or do not fit.
    """
    if head == "sigmoid" and num_classes != 2:
        raise ValueError(f"head 'sigmoid' is for two classes, and these images have {num_classes}; use 'softmax'")
    keras.utils.set_random_seed(subseed(seed, "weights"))
    reset_uids()  # layers without a name are numbered: the same names whatever was built before
    image = keras.Input(image_shape, name="image")
    seen = prepared(image, **input) if input else image
    num_outputs = 1 if head == "sigmoid" else num_classes
    if isinstance(weights, str):
        settings["weights"] = weights
    model = keras.Model(image, ARCHITECTURES[kind].build(seen, num_outputs=num_outputs, **settings), name=kind)
    if isinstance(weights, Mapping):
        assign_saved(model, last=model.get_layer("logits"), **weights)
    if train == "head":
        for layer in model.layers:
            layer.trainable = layer.name == "logits"
    return model


def split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A study's settings of a classifier -> those that `build` takes, and those that `fit` takes; both take `head`."""
    training = {name: value for name, value in settings.items() if name in inspect.signature(fit).parameters}
    return {n: value for n, value in settings.items() if n not in training or n == "head"}, training


# Rule that selects an epoch -> how it ranks epochs. Accuracy alone decides as the paper and its code choose. The other
# rules ask for the validation loss next, so that among epochs that sort the validation images equally well, or where
# the AUC is not defined, it is not the least trained that wins.
RULES: Mapping[str, Rule] = {
    "best_validation_accuracy": lambda logs: [logs["val_accuracy"]],
    "best_validation_auc": lambda logs: [-1.0 if logs["val_auc"] is None else logs["val_auc"], -logs["val_loss"]],
    "best_validation_balanced_accuracy": lambda logs: [logs["val_balanced_accuracy"], -logs["val_loss"]],
    "best_validation_loss": lambda logs: [-logs["val_loss"]],
}


def choose(tried: Mapping[float, Sequence[Mapping[str, float | None] | None]], rule: str) -> float:
    """The value whose training runs rank highest by a rule of `RULES`, of the means of what they measured; the first of
    several.

    `tried` has what each run with a value measured (val_loss, val_accuracy ...); None for one that diverged, whose
    value is not chosen. Raises DivergedError where every value has such a run.
    """
    ranks: dict[float, list[float]] = {}
    for value, runs in tried.items():
        measured = [logs for logs in runs if logs is not None]
        if len(measured) == len(runs):
            ranks[value] = list(RULES[rule]({n: _mean([logs[n] for logs in measured]) for n in measured[0]}))
    if not ranks:
        values = ", ".join(f"{value:g}" for value in tried)
        raise DivergedError(f"training diverged with every learning rate that was tried ({values}); try lower ones")
    return max(ranks, key=lambda value: ranks[value])


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is undefined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if len(defined) == len(values) else None


@dataclass(frozen=True)
class Kept:
    """An epoch that a rule selects."""

    weights: list[Tensor]
    """In the order of the model's weights, on its device."""
    probabilities: dict[str, np.ndarray]
    """(N, K) float32 of each set of images that was held out: `validation`, and `test` where it was given."""


@dataclass(frozen=True)
class Trained:
    """A trained classifier, at every epoch that a rule selects."""

    model: keras.Model
    """With the weights of the last epoch, or of the one that `at` was last called with."""
    history: dict[str, list[float | None]]
    """loss, accuracy, auc, val_loss, val_accuracy, val_auc, val_balanced_accuracy: one value an epoch. Training metrics
    are those of the passes that trained, as Keras has them; an undefined AUC is None. `loss` is what was minimized;
    `val_loss` is the cross-entropy whatever that is, so that recipes can be compared by it. Where the learning rate
    changes, learning_rate is that of the epoch's last step."""
    selected: dict[str, int]
    """Rule -> the epoch that it selects, from 1."""
    kept: dict[int, Kept]
    """Those epochs, each once, in their order."""

    def chosen(self, rule: str) -> dict[str, np.ndarray]:
        """Probabilities (N, K) float32 of `validation` and `test` at the epoch that a rule selects."""
        return self.kept[self.selected[rule]].probabilities

    def at(self, epoch: int) -> keras.Model:
        """The model, with the weights of a kept epoch."""
        assign_weights(self.model, self.kept[epoch].weights)
        return self.model


@dataclass(frozen=True)
class Pretraining:
    """The first epochs train on other images than the rest."""

    epochs: int
    images: int
    """The last so many of the training set. The first epochs train on them alone, the others on those before them."""


def fit(
    model: keras.Model,
    train_set: tuple[Images, np.ndarray],
    held_out: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    num_classes: int,
    head: str,
    epochs: int,
    batch_size: int,
    optimizer: Mapping[str, Any],
    schedule: Mapping[str, Any],
    loss: Mapping[str, Any],
    patience: int | None,
    select: str | None,
    budget: Mapping[str, Any] | None,
    sampling: str,
    augment: Sequence[Mapping[str, Any]],
    seed: int,
    on_epoch: OnEpoch = silent,
    checkpoint: Checkpoint | None = None,
    pretraining: Pretraining | None = None,
) -> Trained:
    """Train on images (N, H, W, C) uint8 and labels (N,), or findings (N, K) with the head "findings"; `held_out` has
    such pairs for `validation` and for what else is to be predicted, `test`.

    `optimizer` has the arguments of `training.optimizer`, `schedule` the settings of one of `training.SCHEDULES`, and
    `loss` class_weights ("none" or "balanced"), label_smoothing and focal_gamma, see `training.classification_loss`.
    `seed` decides the order of the images and the augmentation.

    Training stops when the rule `select` has selected no epoch for `patience` epochs, unless that is None. With a
    `budget`, a number of images or of steps, an epoch is no pass over the training set but one of `epochs` equal parts
    of all steps; batches are then always full, and passes go on from one epoch to the next.

    With `pretraining`, the first epochs train on other images; balanced weights of the loss are those of the images
    trained on, and no rule selects one of these epochs.

    With a `checkpoint`, training resumes after the epoch that it holds.

    What every rule of `RULES` selects is kept, so that another rule needs no other training run.

    Raises ValueError for a model that is no graph of layers from one image to one vector, and DivergedError when the
    loss is no longer a number.
    """
    device = device_of(model)
    network = fuse(model)
    _one_image_to_one_vector(model)
    idle = _idle_biases(model)
    for bias in idle:
        bias.requires_grad_(False)
    images = by_index(train_set[0], device)
    targets = torch.from_numpy(labels_of.targets(train_set[1], num_classes)).to(device)
    sorts = labels_of.sorts(train_set[1])
    augment_batch = augmentation(augment, seed=seed, device=device)
    descent = training.optimizer(parameters(model), **optimizer)
    first = pretraining or Pretraining(0, 0)
    if first.epochs >= epochs:
        raise ValueError(f"{first.epochs} epochs of pretraining leave none of {epochs} for the other images")
    cut = np.split(np.arange(len(train_set[1])), [len(train_set[1]) - first.images])
    # of the images of each stage: those of the last epochs, then the first
    places = [some for some in cut if len(some)]
    stages = [1] * first.epochs + [0] * (epochs - first.epochs)  # of each epoch
    weights = [balanced_weights(train_set[1][some], num_classes).to(device) for some in places]
    balanced = weights[stages[0]].clone() if loss["class_weights"] == "balanced" else None
    minimized = classification_loss(**{**loss, "class_weights": balanced}, head=head)
    # steps that are done after each epoch
    ends = list(itertools.accumulate((-(-len(places[stage]) // batch_size) for stage in stages), initial=0))
    if budget is not None:
        steps = budget["steps"] or -(-budget["images"] // batch_size)
        ends = [number * steps // epochs for number in range(epochs + 1)]
    steps = ends[-1]
    base = optimizer["learning_rate"]
    rate = training.schedule(**schedule, learning_rate=base, steps=steps, epoch=steps / epochs)
    order_rng = numpy_rng(seed, "order")
    passes = [Passes(sorts[some], sampling, order_rng) for some in places if budget is not None]
    held_out_images = {
        split: torch.from_numpy(np.ascontiguousarray(x)).to(device) for split, (x, _) in held_out.items()
    }
    validation_labels = held_out["validation"][1]
    # of the present epoch: the order of the training images, their probabilities, and those of the validation images
    order, seen, probabilities = np.empty(0, np.int64), torch.empty(0), np.empty(0, np.float32)

    def step(index: Tensor) -> tuple[Tensor, Tensor]:
        x, y = augment_batch(to_unit(images(index)), targets[index])
        logits = network(center(x), training=True)
        value = minimized(logits, y)
        descent.zero_grad(set_to_none=True)
        value.backward()
        descent.step()
        return value.detach() * len(index), _probabilities(logits.detach(), head)

    # Keras's layers ask the device for their seeds, which a recording cannot do
    rngs, counters = [augment_batch.rng], [*augment_batch.counters, *name_streams(model, seed)]
    recordable = augment_batch.recordable and not counters
    train_on = step if not recordable else recorded(step, size=batch_size, device=device, rngs=rngs)
    changing = [*counters, *(state for one in passes for state in one.state)]

    def train_epoch(epoch: int) -> dict[str, float]:
        nonlocal order, seen
        stage = stages[epoch - 1]
        if balanced is not None:
            balanced.copy_(weights[stage])  # a recorded step reads them where they are
        if passes:
            chosen = passes[stage].take((ends[epoch] - ends[epoch - 1]) * batch_size)
        else:
            chosen = epoch_order(sorts[places[stage]], sampling, order_rng)
        order = places[stage][chosen]
        seen = torch.empty(len(order), num_classes, device=device)
        total = torch.zeros((), device=device)
        start = 0
        for number, index in enumerate(batches(order, batch_size, device=device), ends[epoch - 1]):
            if rate is not None:
                set_learning_rate(descent, rate(number))
            value, seen[start : start + len(index)] = train_on(index)
            total += value
            start += len(index)
        return {"loss": float(total) / len(order)} | ({"learning_rate": rate(number)} if rate else {})

    def validate() -> dict[str, Any]:
        nonlocal probabilities
        probabilities = predict(model, held_out_images["validation"], head=head)
        return {
            **_metrics("", train_set[1][order], seen.cpu().numpy()),
            "val_loss": _log_loss(validation_labels, probabilities),
            **_metrics("val_", validation_labels, probabilities),
            "val_balanced_accuracy": evaluation.balanced_accuracy(validation_labels, probabilities),
        }

    run = train(
        TrainingState([model], [descent], [order_rng, augment_batch.rng], changing),
        epochs=epochs,
        train_epoch=train_epoch,
        validate=validate,
        rules=RULES,
        keep=[*RULES, LAST],
        snapshot=lambda: (copy_weights(model), torch.from_numpy(probabilities)),
        early_stopping=None if patience is None or select is None else EarlyStopping(select, patience),
        learning_rate_decay=1.0,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        unranked=first.epochs,
    )
    kept = {}
    for epoch, (weights, validation) in run.kept.items():
        assign_weights(model, weights)
        others = {s: predict(model, x, head=head) for s, x in held_out_images.items() if s != "validation"}
        kept[epoch] = Kept(weights, {"validation": validation.numpy(), **others})
    for bias in idle:
        bias.requires_grad_(True)
    return Trained(model, run.history, run.selected, kept)


def _one_image_to_one_vector(model: keras.Model) -> None:
    found = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
    if len(model.inputs) == len(model.outputs) == 1:
        if len(model.inputs[0].shape) == 4 and len(model.outputs[0].shape) == 2:
            return
        found = f"an input of shape {model.inputs[0].shape} and an output of shape {model.outputs[0].shape}"
    raise ValueError(
        f"model {model.name!r} has {found}; a classifier has one input (None, height, width, channels) "
        "and one output (None, number of logits)"
    )


def _idle_biases(model: keras.Model) -> list[Tensor]:
    """Biases of convolutions whose only consumer is a batch norm, which cancels them.

    Their gradient is zero but for rounding; not computing it makes a step 3 % faster.
    """
    return [
        layer.bias.value
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
        and layer.bias is not None
        and layer.bias.value.requires_grad
        and layer.activation is keras.activations.linear
        and {type(node.operation) for node in layer._outbound_nodes} == {layers.BatchNormalization}
    ]


def predict(model: keras.Model, images: np.ndarray | Tensor, *, head: str) -> np.ndarray:
    """Probabilities (N, K) float32 of images (N, H, W, C) uint8."""
    return _passed(model, images, lambda logits: _probabilities(logits, head))


def features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What goes into the last dense layer, (N, 128) float32, of images (N, H, W, C) uint8."""
    body = keras.Model(model.inputs, model.get_layer("logits").input)
    return _passed(body, images, lambda hidden: hidden)


def _passed(model: keras.Model, images: np.ndarray | Tensor, finish: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Images (N, H, W, C) uint8 through a model, in batches, without training it."""
    network, device = fuse(model), device_of(model)
    pixels = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    fit = PREDICTION_BATCH * 28 * 28 // (pixels.shape[1] * pixels.shape[2])
    size = max(LEAST_BATCH, min(PREDICTION_BATCH, fit))
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):  # float32 whatever the precision
        outputs = [finish(network(center(to_unit(batch.to(device))), training=False)) for batch in pixels.split(size)]
    passed: np.ndarray = torch.cat(outputs).cpu().numpy()
    return passed


def _probabilities(logits: Tensor, head: str) -> Tensor:
    if head == "sigmoid":
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)
    if head == labels_of.FINDINGS:
        return torch.sigmoid(logits)
    return F.softmax(logits, dim=1)


def _log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    if labels_of.several(labels):
        chosen = np.where(labels == 1, probabilities, 1 - probabilities.astype(np.float64))
    else:
        chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


def _metrics(prefix: str, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    return {
        f"{prefix}accuracy": evaluation.accuracy(labels, probabilities),
        f"{prefix}auc": evaluation.auc(labels, probabilities),
    }

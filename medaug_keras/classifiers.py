"""The classifiers that a study can name, and how they are trained.

Shapes: B batch, N images, H x W x C image, K classes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers
from torch import Tensor

from medaug_keras import evaluation
from medaug_keras.augmentation import augmentation
from medaug_keras.networks import batch_norm, device_of, fuse, parameters, torch_init
from medaug_keras.training import (
    Checkpoint,
    DivergedError,
    Ongoing,
    Report,
    batches,
    epoch_order,
    recorded,
    subseed,
)

# Images that pass at once when nothing is learnt. By 512, with two threads, an image takes twice as long: the
# activations fit no cache, and are so large that the system takes their memory back each time.
PREDICTION_BATCH = 128


def cnn(*, image_shape: tuple[int, int, int], num_outputs: int) -> keras.Model:
    """The CNN of the paper's Fig. 9 (MedMNIST's getting-started network): (B, 28, 28, C) -> (B, num_outputs) logits.

    Initial weights and batch-norm conventions are PyTorch's. 235,225 trainable parameters for 9 classes in colour.
    """
    inputs = keras.Input(image_shape, name="image")
    x = inputs
    blocks = [(16, "valid", False), (16, "valid", True), (64, "valid", False), (64, "valid", False), (64, "same", True)]
    for number, (filters, padding, pool) in enumerate(blocks, 1):
        x = layers.Conv2D(filters, 3, padding=padding, **torch_init(9 * x.shape[-1]), name=f"conv{number}")(x)
        x = batch_norm(f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        if pool:
            x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = layers.Dense(128, **torch_init(x.shape[-1]), name=f"dense{number}")(x)
        x = layers.ReLU(name=f"dense{number}_relu")(x)
    logits = layers.Dense(num_outputs, **torch_init(x.shape[-1]), name="logits")(x)
    return keras.Model(inputs, logits, name="cnn")


CLASSIFIERS = {"cnn": cnn}


def build(kind: str, *, image_shape: tuple[int, int, int], num_classes: int, head: str, seed: int) -> keras.Model:
    """A classifier with its initial weights, which depend on the seed and the shapes alone.

    `head` is "softmax" (K logits) or "sigmoid" (one logit, for two classes).
    """
    if head == "sigmoid" and num_classes != 2:
        raise ValueError(f"head 'sigmoid' is for two classes, and these images have {num_classes}; use 'softmax'")
    keras.utils.set_random_seed(subseed(seed, "weights"))
    return CLASSIFIERS[kind](image_shape=image_shape, num_outputs=1 if head == "sigmoid" else num_classes)


Logs = Mapping[str, Any]

# Rule that chooses an epoch → what it ranks epochs by; the highest wins, and the first of several. Accuracy alone
# decides as the paper and its code choose. The other rules ask for the validation loss next, so that among epochs that
# sort the validation images equally well, or where the AUC is not defined, it is not the least trained that wins.
RULES: Mapping[str, Callable[[Logs], list[float]]] = {
    "best_validation_accuracy": lambda logs: [logs["val_accuracy"]],
    "best_validation_auc": lambda logs: [-1.0 if logs["val_auc"] is None else logs["val_auc"], -logs["val_loss"]],
    "best_validation_balanced_accuracy": lambda logs: [logs["val_balanced_accuracy"], -logs["val_loss"]],
    "best_validation_loss": lambda logs: [-logs["val_loss"]],
}
LAST = "last"
"""The rule that needs no measure."""


@dataclass(frozen=True)
class Kept:
    """An epoch that a rule chooses."""

    weights: list[Tensor]
    """In the order of the model's weights, on its device."""
    probabilities: dict[str, np.ndarray]
    """(N, K) float32 of `validation` and `test`."""


@dataclass(frozen=True)
class Trained:
    """A trained classifier, at every epoch that a rule chooses."""

    model: keras.Model
    """With the weights of the last epoch, or of the one that `at` was last asked for."""
    history: dict[str, list[float | None]]
    """loss, accuracy, auc, val_loss, val_accuracy, val_auc, val_balanced_accuracy: one value an epoch. Training metrics
    are those of the passes that trained, as Keras has them; an undefined AUC is None."""
    selected: dict[str, int]
    """Rule → the epoch that it chooses, from 1."""
    kept: dict[int, Kept]
    """Those epochs, each once, in their order."""

    def chosen(self, rule: str) -> dict[str, np.ndarray]:
        """Probabilities (N, K) float32 of `validation` and `test` at the epoch that a rule chooses."""
        return self.kept[self.selected[rule]].probabilities

    def at(self, epoch: int) -> keras.Model:
        """The model, with the weights of a kept epoch."""
        for weight, value in zip(self.model.weights, self.kept[epoch].weights, strict=True):
            weight.assign(value)
        return self.model


def fit(
    model: keras.Model,
    train: tuple[np.ndarray, np.ndarray],
    held_out: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    task: str,
    num_classes: int,
    head: str,
    epochs: int,
    batch_size: int,
    optimizer: Mapping[str, Any],
    sampling: str,
    augment: Sequence[Mapping[str, Any]],
    seed: int,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on images (N, H, W, C) uint8 and labels (N,); `held_out` has such pairs for `validation` and `test`.

    `optimizer` has learning_rate and momentum of SGD. `seed` decides the order of the images and the augmentation.
    With a `checkpoint`, training goes on after the epoch that it keeps.

    What every rule of `RULES` chooses is kept, so that another rule needs no other training.

    Raises DivergedError when the loss is no longer a number.
    """
    device = device_of(model)
    network = fuse(model)
    still = _idle_biases(model)
    for bias in still:
        bias.requires_grad_(False)
    images = torch.from_numpy(train[0]).to(device)
    targets = torch.eye(num_classes)[torch.from_numpy(train[1])].to(device)
    change = augmentation(augment, seed=seed, device=device)
    descent = torch.optim.SGD(parameters(model), optimizer["learning_rate"], optimizer["momentum"], fused=True)
    draws = np.random.default_rng(subseed(seed, "order"))
    judged = {split: torch.from_numpy(np.ascontiguousarray(pair[0])).to(device) for split, pair in held_out.items()}
    validation_labels = held_out["validation"][1]
    ongoing = Ongoing([model], [descent], [draws, change.draws], change.counters)

    def step(index: Tensor) -> tuple[Tensor, Tensor]:
        x, y = change(images[index].float().div_(255), targets[index])
        logits = network(x.sub_(0.5).div_(0.5), training=True)
        loss = _loss(logits, y, head)
        descent.zero_grad(set_to_none=True)
        loss.backward()
        descent.step()
        return loss.detach() * len(index), _probabilities(logits.detach(), head)

    # Keras's layers ask the device for their seeds, which a recording cannot do
    train_on = step if change.counters else recorded(step, size=batch_size, device=device, draws=[change.draws])

    first, history, (ranks, selected, kept) = ongoing.resume(checkpoint, ({}, {}, {}))
    for epoch in range(first, epochs + 1):
        order = epoch_order(train[1], sampling, draws)
        total = torch.zeros((), device=device)
        seen = torch.empty(len(order), num_classes, device=device)
        start = 0
        for batch in torch.from_numpy(order).to(device).split([len(b) for b in batches(order, batch_size)]):
            share, probabilities = train_on(batch)
            total += share
            seen[start : start + len(batch)] = probabilities
            start += len(batch)
        loss_mean = float(total) / len(order)
        if not math.isfinite(loss_mean):
            raise DivergedError(f"the training loss is {loss_mean} after epoch {epoch}; try a lower learning rate")
        probabilities = predict(model, judged["validation"], head=head)
        logs = {
            "loss": loss_mean,
            **_metrics("", train[1][order], seen.cpu().numpy(), task),
            "val_loss": _log_loss(validation_labels, probabilities),
            **_metrics("val_", validation_labels, probabilities, task),
            "val_balanced_accuracy": evaluation.balanced_accuracy(validation_labels, probabilities, task),
        }
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        report(epoch, {name: value for name, value in logs.items() if value is not None})
        found = {rule: rank(logs) for rule, rank in RULES.items()}
        higher = [rule for rule in RULES if rule not in ranks or found[rule] > ranks[rule]]
        ranks |= {rule: found[rule] for rule in higher}
        selected |= dict.fromkeys(higher, epoch)
        if higher or epoch == epochs:
            weights = [weight.value.detach().clone() for weight in model.weights]
            kept[epoch] = weights, torch.from_numpy(probabilities)
        kept = {number: one for number, one in kept.items() if number in selected.values() or number == epochs}
        if checkpoint and epoch < epochs:
            checkpoint.save(partial(ongoing.after, epoch, history, (ranks, selected, kept)))
    trained = Trained(model, history, {**selected, LAST: epochs}, {})
    for epoch, (weights, validation) in kept.items():
        trained.kept[epoch] = Kept(weights, {"validation": validation.numpy()})
        trained.kept[epoch].probabilities["test"] = predict(trained.at(epoch), judged["test"], head=head)
    for bias in still:
        bias.requires_grad_(True)
    return trained


def _idle_biases(model: keras.Model) -> list[Tensor]:
    """Biases of convolutions that go into a batch norm alone, which takes them out again.

    Their gradient is zero but for rounding, and not to compute it makes a step 3 % faster.
    """
    return [
        layer.bias.value
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
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
    """Images (N, H, W, C) uint8 through a model, by chunks, without learning."""
    network, device = fuse(model), device_of(model)
    every = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    found = []
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):  # what is judged is never rounded more
        for chunk in every.split(PREDICTION_BATCH):
            x = chunk.to(device).float().div_(255).sub_(0.5).div_(0.5)
            found.append(finish(network(x, training=False)))
    return torch.cat(found).cpu().numpy()


def _loss(logits: Tensor, targets: Tensor, head: str) -> Tensor:
    if head == "sigmoid":
        return F.binary_cross_entropy_with_logits(logits[:, 0], targets[:, 1])
    return F.cross_entropy(logits, targets)


def _probabilities(logits: Tensor, head: str) -> Tensor:
    if head == "sigmoid":
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)
    return F.softmax(logits, dim=1)


def _log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


def _metrics(prefix: str, labels: np.ndarray, probabilities: np.ndarray, task: str) -> dict[str, Any]:
    return {
        f"{prefix}accuracy": evaluation.accuracy(labels, probabilities, task),
        f"{prefix}auc": evaluation.auc(labels, probabilities, task),
    }

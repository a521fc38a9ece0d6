"""What a classifier minimizes.

Shapes: B batch, N images, K classes.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from medaug_keras import labels as labels_of

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K), or (B, 1) of the head "sigmoid", and targets (B, K) whose rows sum to 1 -> a number of nats.

With the head "findings", each of the targets is between 0 and 1 for itself.
"""


def classification_loss(*, head: str, class_weights: Tensor | None, label_smoothing: float, focal_gamma: float) -> Loss:
    """The mean over a batch of - sum over the classes of w t (1 - p)^gamma log p.

    p are the probabilities, w the weights (K,) of the classes (None: 1), gamma is `focal_gamma` (Lin et al. 2017), and
    t the targets, of which `label_smoothing` is shared among all classes. With targets that MixUp or CutMix made, each
    image counts as the part of each class that it is.

    With the head "findings" it is the mean of K such losses, of two classes each: without the finding and with it.
    `class_weights` are (K, 2) then.
    """
    if head == labels_of.FINDINGS:
        return _of_findings(class_weights, label_smoothing, focal_gamma)
    if class_weights is None and not label_smoothing and not focal_gamma:
        if head == "sigmoid":
            return lambda logits, targets: F.binary_cross_entropy_with_logits(logits[:, 0], targets[:, 1])
        return lambda logits, targets: F.cross_entropy(logits, targets)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        one = head == "sigmoid"
        logs = F.logsigmoid(torch.cat([-logits, logits], dim=1)) if one else F.log_softmax(logits, dim=1)
        return -_terms(logs, targets, class_weights, label_smoothing, focal_gamma).sum(dim=1).mean()

    return loss


def _of_findings(class_weights: Tensor | None, label_smoothing: float, focal_gamma: float) -> Loss:
    if class_weights is None and not label_smoothing and not focal_gamma:
        return lambda logits, targets: F.binary_cross_entropy_with_logits(logits, targets)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        logs = F.logsigmoid(torch.stack([-logits, logits], dim=-1))  # (B, K, 2): without the finding, and with it
        both = torch.stack([1 - targets, targets], dim=-1)
        return -_terms(logs, both, class_weights, label_smoothing, focal_gamma).sum(dim=-1).mean()

    return loss


def _terms(logs: Tensor, targets: Tensor, weights: Tensor | None, label_smoothing: float, focal_gamma: float) -> Tensor:
    """w t (1 - p)^gamma log p of logs of probabilities (..., K)."""
    terms = logs * torch.lerp(targets, torch.full_like(targets, 1 / targets.shape[-1]), label_smoothing)
    if focal_gamma:
        # never 0, where the slope of a power below 1 is infinite
        terms = terms * (-torch.expm1(logs)).clamp_min(torch.finfo(logs.dtype).tiny) ** focal_gamma
    return terms if weights is None else terms * weights


def balanced_weights(labels: NDArray[np.integer], num_classes: int) -> Tensor:
    """Weights (K,) that give every class the same share: N / (K N_c), so that the images' mean weight is 1.

    A class without images has weight 0, and K counts the others. Of findings (N, K) the weights are (K, 2): for each,
    those of the images without it and with it.
    """
    if labels_of.several(labels):
        return torch.stack([balanced_weights(column, 2) for column in labels.T])
    counts = np.bincount(labels, minlength=num_classes)
    there = counts > 0
    weights = np.where(there, len(labels) / (there.sum() * np.maximum(counts, 1)), 0)
    return torch.from_numpy(weights.astype(np.float32))

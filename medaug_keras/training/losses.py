"""What a classifier minimizes.

Shapes: B batch, N images, K classes.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K), or (B, 1) of the head "sigmoid", and targets (B, K) whose rows sum to 1 -> a number of nats."""


def classification_loss(*, head: str, class_weights: Tensor | None, label_smoothing: float, focal_gamma: float) -> Loss:
    """The mean over a batch of - sum over the classes of w t (1 - p)^gamma log p.

    p are the probabilities, w the weights (K,) of the classes (None: 1), gamma is `focal_gamma` (Lin et al. 2017), and
    t the targets, of which `label_smoothing` is shared among all classes. With targets that MixUp or CutMix made, each
    image counts as the part of each class that it is.
    """
    if class_weights is None and not label_smoothing and not focal_gamma:
        if head == "sigmoid":
            return lambda logits, targets: F.binary_cross_entropy_with_logits(logits[:, 0], targets[:, 1])
        return lambda logits, targets: F.cross_entropy(logits, targets)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        one = head == "sigmoid"
        logs = F.logsigmoid(torch.cat([-logits, logits], dim=1)) if one else F.log_softmax(logits, dim=1)
        terms = logs * torch.lerp(targets, torch.full_like(targets, 1 / targets.shape[1]), label_smoothing)
        if focal_gamma:
            # never 0, where the slope of a power below 1 is infinite
            terms = terms * (-torch.expm1(logs)).clamp_min(torch.finfo(logs.dtype).tiny) ** focal_gamma
        if class_weights is not None:
            terms = terms * class_weights
        return -terms.sum(dim=1).mean()

    return loss


def balanced_weights(labels: NDArray[np.integer], num_classes: int) -> Tensor:
    """Weights (K,) that give every class the same share: N / (K N_c), so that the images' mean weight is 1.

    A class without images has weight 0, and K counts the others.
    """
    counts = np.bincount(labels, minlength=num_classes)
    there = counts > 0
    weights = np.where(there, len(labels) / (there.sum() * np.maximum(counts, 1)), 0)
    return torch.from_numpy(weights.astype(np.float32))

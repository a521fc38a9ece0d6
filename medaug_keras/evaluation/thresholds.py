"""Thresholds for the score of one class of two, chosen on validation images and applied to others.

Images whose score is the threshold or more are called positive. A threshold is one of the scores that it is chosen
among, or infinity where all of them call too many.

Shapes: S runs that scored the same N images, B draws of them. `positive` is (N,) bool, `scores` (S, N), `weights`
(B, N): how often each draw has each image.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Point = tuple[Literal["sensitivity", "specificity"], float] | Literal["youden"]
"""What a threshold has to reach: at least such a sensitivity (the highest threshold that does), at least such a
specificity (the lowest), or the largest sum of both (the highest; Youden 1950)."""

_ROUNDING = 1e-9  # 0.9 of 10 images are 9, whatever binary fractions say


def thresholds(positive: Mask, scores: NDArray[Any], points: list[Point], weights: NDArray[Any] | None = None) -> Array:
    """(points, S, B) thresholds; without `weights` of the images as they are, B = 1.

    ValueError where the images, or those of a draw, are not of both classes.
    """
    drawn = np.ones((1, len(positive))) if weights is None else np.asarray(weights, np.float64)
    if not ((drawn[:, positive].sum(-1) > 0) & (drawn[:, ~positive].sum(-1) > 0)).all():
        raise ValueError("thresholds are chosen on images of both classes")
    found = np.empty((len(points), len(scores), len(drawn)))
    rows = np.arange(len(drawn))
    for s, of_run in enumerate(np.asarray(scores, np.float64)):
        order = np.argsort(-of_run, kind="stable")
        ordered, w = of_run[order], drawn[:, order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # a threshold takes all images of a score
        hits = np.cumsum(w * positive[order], axis=-1)[:, ends]
        misses = np.cumsum(w, axis=-1)[:, ends] - hits
        P, N = hits[:, -1:], misses[:, -1:]
        at = np.append(ordered[ends], np.inf)
        for i, point in enumerate(points):
            if point == "youden":
                index = hits * N - misses * P
                best = index.argmax(-1)
                best = np.where(index[rows, best] > 0, best, len(ends))
            elif point[0] == "sensitivity":
                best = (hits >= point[1] * P - _ROUNDING).argmax(-1)
            else:
                there = np.diff(hits + misses, axis=-1, prepend=0) > 0  # only images that the draw has
                enough = there & (misses <= (1 - point[1]) * N + _ROUNDING)
                best = np.where(enough.any(-1), len(ends) - 1 - enough[:, ::-1].argmax(-1), len(ends))
            found[i, s] = at[best]
    return found


def rates(positive: Mask, scores: NDArray[Any], at: Array) -> tuple[Array, Array]:
    """Sensitivity and specificity (..., S, B) of scores (S, N) at thresholds (..., S, B)."""
    found = np.empty((2, *at.shape))
    for s, of_run in enumerate(np.asarray(scores, np.float64)):
        for i, those in enumerate((positive, ~positive)):
            below = np.searchsorted(np.sort(of_run[those]), at[..., s, :]) / those.sum()
            found[i, ..., s, :] = below if i else 1 - below
    return found[0], found[1]


def resampled(positive: Mask, groups: NDArray[Any] | None, *, draws: int, seed: int) -> NDArray[np.int64]:
    """Weights (draws, N) of bootstrap draws of the images, or of whole groups; each draw has both classes."""
    place = np.arange(len(positive)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    units, rng = int(place.max()) + 1, np.random.default_rng(seed)
    found: list[NDArray[np.int64]] = []
    while len(found) < draws:
        counts = rng.multinomial(units, np.full(units, 1 / units), size=draws)[:, place]
        both = (counts[:, positive].sum(-1) > 0) & (counts[:, ~positive].sum(-1) > 0)
        found += list(counts[both])
    return np.stack(found[:draws])

"""Images as points of a plane: the first two principal components of their features."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

MOST = 200
"""Images of each origin on a map."""


def feature_map(
    rows: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[np.int64]], *, limit: int, seed: int
) -> dict[str, Any]:
    """Up to `MOST` images of each origin, drawn by `seed`, on the first two principal components of training features.

    rows: (n, D) features of "train", "test" and "synthetic"; labels: (n,) of the same. The components are fitted on at
    most `limit` training images, and each points to where its largest weight is positive, so that they are the same
    every time. With one feature, or features that are all alike, a component that is not there is 0.

    {"variance": [share, share] of the training features, "train" ... : {"class": [k], "x": [x], "y": [y]}}, x and y in
    units of the rows, to 3 decimals.
    """
    rng = np.random.default_rng(seed)
    train = np.asarray(rows["train"], np.float64)
    fitted = train[rng.permutation(len(train))[:limit]]
    mean = fitted.mean(axis=0)
    apart, size = fitted - mean, train.shape[1]
    spread, directions = linalg.eigh(apart.T @ apart / len(apart), subset_by_index=(max(0, size - 2), size - 1))
    directions = directions[:, ::-1] * (spread[::-1] > 0)
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1, 1)
    whole = float(np.mean(apart**2)) * size
    shares = np.maximum(spread[::-1], 0) / (whole or 1.0)
    found: dict[str, Any] = {"variance": [round(float(share), 4) for share in (*shares, 0.0)[:2]]}
    for origin, some in rows.items():
        chosen = np.sort(rng.permutation(len(some))[:MOST])
        places = np.zeros((len(chosen), 2))
        places[:, : directions.shape[1]] = (some[chosen] - mean) @ directions
        x, y = (np.round(places, 3) + 0.0).T  # no -0
        found[origin] = {"class": labels[origin][chosen].tolist(), "x": x.tolist(), "y": y.tolist()}
    return found

"""Images made elsewhere: nothing is trained here, images of the classes asked for are drawn from those that there are.

Shapes: n images (n, H, W, C) uint8 with labels (n,) in 0..K-1.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def sample(pool: Mapping[str, NDArray[Any]], labels: NDArray[np.int64], *, seed: int) -> NDArray[np.uint8]:
    """(n,) labels -> images of these classes, drawn from the pool's `images` and `labels`, each at most once.

    Raises ValueError, which names every class of which there are too few.
    """
    classes = 1 + int(max(labels.max(initial=0), pool["labels"].max(initial=0)))
    wanted, there = (np.bincount(some, minlength=classes) for some in (labels, pool["labels"]))
    short = np.flatnonzero(there < wanted)
    few = [f"{there[k]:,} of class {k}, and {wanted[k]:,} are asked for" for k in short]
    if few:
        raise ValueError(
            f"there are too few images that were made elsewhere: {'; '.join(few)}. Make more, or lower the arm's amount"
        )
    rng = np.random.default_rng(seed)
    places = np.empty(len(labels), np.int64)
    for number in range(classes):
        of_class = rng.permutation(np.flatnonzero(pool["labels"] == number))
        places[labels == number] = of_class[: wanted[number]]
    return np.asarray(pool["images"][places], np.uint8)

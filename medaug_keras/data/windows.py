"""Windows: which range of values of more than 8 bits becomes 0 to 255."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from medaug_keras.data.dataset import DataError

Window = tuple[float, float]
"""The values that become 0 and 255; those beyond become 0 and 255 too."""
LEAST, MOST = -(2**16), 2**17
"""Values that can be counted: of 16 bits, with and without a sign, and shifted."""


def declared(settings: Mapping[str, Any]) -> Window | Literal["dicom"] | None:
    """The window of a study's section `{low, high}` or `{centre, width}`; "dicom" of `{dicom: true}`, what each
    file says of its own display; None of `{percentiles}`, which needs images.

    A centre and a width are the middle and the length of the range, as of `low` and `high`.
    """
    if settings.get("dicom"):
        return "dicom"
    if settings.get("percentiles") is not None:
        return None
    if settings.get("centre") is not None:
        half = settings["width"] / 2
        return settings["centre"] - half, settings["centre"] + half
    return float(settings["low"]), float(settings["high"])


def percentiles(images: Iterable[np.ndarray], low: float, high: float) -> Window:
    """The values below which `low` and `high` percent of all pixels of the images lie: the first at which so many are
    reached. Images are whole numbers from LEAST to MOST. Raises DataError where the two are one value."""
    counts = np.zeros(MOST - LEAST + 1, np.int64)
    for image in images:
        counts += np.bincount(image.ravel().astype(np.int64) - LEAST, minlength=len(counts))
    reached = np.cumsum(counts)
    first, last = (LEAST + int(np.searchsorted(reached, max(1, np.ceil(p / 100 * reached[-1])))) for p in (low, high))
    if first == last:
        raise DataError(
            f"`window`: the percentiles {low:g} and {high:g} of the training images are both {first}, so no range is "
            "left. Choose others, or give `low` and `high`."
        )
    return float(first), float(last)


def windowed(values: np.ndarray, window: Window) -> np.ndarray:
    """Values of any type → uint8, rounded to the nearest."""
    low, high = window
    share = (values.astype(np.float64) - low) / (high - low)
    made: np.ndarray = np.floor(np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)
    return made

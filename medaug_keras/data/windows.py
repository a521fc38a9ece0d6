"""Windows: which range of values of more than 8 bits becomes 0 to 255."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from medaug_keras.data.dataset import DataError

Window = tuple[float, float]
"""The values that become 0 and 255; those beyond become 0 and 255 too."""


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


def told(window: Window | Literal["dicom"] | None) -> str:
    """A sentence for the page, or nothing."""
    if window == "dicom":
        return " Values became 0 to 255 as each file says of its own display."
    return f" Values from {window[0]:g} to {window[1]:g} became 0 to 255 (window)." if window else ""


def percentiles(images: Callable[[], Iterable[np.ndarray]], low: float, high: float) -> Window:
    """The values below which `low` and `high` percent of all pixels of the images lie: the first at which so many are
    reached, in 32-bit precision. Raises DataError where they are one value.

    `images` is asked for all of them twice: first the upper halves of the values' bits are counted, and then the lower
    halves of those that begin as a sought one does. So no more than counts are kept, whatever the type.
    """
    upper = np.zeros(2**16, np.int64)
    for image in images():
        upper += np.bincount(_ordered(image) >> 16, minlength=2**16)
    reached = np.cumsum(upper)
    ranks = [max(1, int(np.ceil(p / 100 * reached[-1]))) for p in (low, high)]
    begin = [int(np.searchsorted(reached, rank)) for rank in ranks]
    lower = np.zeros((2, 2**16), np.int64)
    for image in images():
        keys = _ordered(image)
        for some, half in zip(lower, begin, strict=True):
            some += np.bincount(keys[keys >> 16 == half] & 0xFFFF, minlength=2**16)
    ends = [
        (half << 16) + int(np.searchsorted(np.cumsum(some), rank - (reached[half - 1] if half else 0)))
        for some, half, rank in zip(lower, begin, ranks, strict=True)
    ]
    first, last = (float(value) for value in _unordered(np.array(ends, np.uint32)))
    if not np.isfinite((first, last)).all():
        raise DataError("`window`: the values are too large for `percentiles`. Give `low` and `high`.")
    if first == last:
        raise DataError(
            f"`window`: the percentiles {low:g} and {high:g} of the training images are both {first:g}, so no range is "
            "left. Choose others, or give `low` and `high`."
        )
    return first, last


def _ordered(values: np.ndarray) -> np.ndarray:
    """Numbers of any shape → (N,) uint32 that are ordered as they are in float32."""
    with np.errstate(over="ignore"):
        bits = (values.astype(np.float32).ravel() + np.float32(0)).view(np.uint32)  # there is one zero
    found: np.ndarray = np.where(bits >> 31, ~bits, bits | np.uint32(2**31))
    return found


def _unordered(keys: np.ndarray) -> np.ndarray:
    return np.where(keys >> 31, keys ^ np.uint32(2**31), ~keys).astype(np.uint32).view(np.float32)


def windowed(values: np.ndarray, window: Window) -> np.ndarray:
    """Values of any type → uint8, rounded to the nearest."""
    low, high = window
    with np.errstate(over="ignore"):  # far beyond the window
        share = (values.astype(np.float64) - low) / (high - low)
    made: np.ndarray = np.floor(np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)
    return made

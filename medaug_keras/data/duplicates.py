"""Images that are nearly the same: resized, encoded again, moved a little, brighter or darker, or mirrored.

Every image becomes a picture of GRID x GRID gray values, and its details are what remains of it without what is
coarser: images of one organ share outlines, copies share details. Two descriptors of the details are compared, both
whitened over the data set, so that what all its images have in common counts little: the pixels, and the magnitudes of
the Fourier transform, which stay when an image is moved. The most alike pairs are then laid over each other where they
fit best, and two correlations decide: that of the whitened details, and that of the gray values. Turned, cropped or
warped copies are not found.

Shapes: N images, G = GRID, D numbers of a descriptor, P pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

GRID = 28
REACH = 3
"""By how many pixels of GRID a copy may be moved."""
LEAST, MOST = 0.80, 0.96
"""Correlation of whitened details from which a pair may count, and from which it counts."""
GRAY = 0.96
"""Correlation of gray values from which a pair may count."""
GAIN = 1.4
"""How many times the contrast of one may be that of the other."""

Floats = NDArray[np.float32]
_Value = TypeVar("_Value", bound=np.generic)

_FINE, _COARSE = 0.8, 2.5  # standard deviations of the smoothings between which details are, in pixels of GRID
_SIDE = GRID - 2 * REACH  # of the middle that is compared: what is around it may be moved out of the picture
_FLAT = 0.5  # gray levels: standard deviation of details below which an image has none
_PIXELS, _WAVES = 150, 96  # numbers of the whitened descriptors
_LEAST_PIXELS, _LEAST_WAVES = 0.55, 0.5  # similarity from which a pair is laid over each other
_FREQUENCIES = 9  # from 0 on
_FLOOR = 0.05  # of the ten largest variances: what is added to each before whitening, so that noise stays small
_DECOYS = 2000  # images that are compared with others upside down
_CANDIDATES, _EACH = 400_000, 16  # pairs that are laid over each other: in all, and for each image
_BLOCK = 1024  # images compared with as many at once: 4 MB
_AT_ONCE = 4096  # pictures, or pairs, at once: some 60 MB
_BYTES = 2**25  # of images that become pictures at once


@dataclass(frozen=True)
class Pairs:
    """Pairs of images that are nearly the same, the most alike first."""

    places: NDArray[np.int64]
    """(P, 2), the lower place first."""
    mirrored: NDArray[np.bool_]
    """(P,): one is the mirror image of the other."""
    likeness: Floats
    """(P,): correlation of their details, LEAST to 1."""

    def __len__(self) -> int:
        return len(self.places)

    def at(self, chosen: NDArray[np.int64]) -> "Pairs":
        """Some of them."""
        return Pairs(self.places[chosen], self.mirrored[chosen], self.likeness[chosen])


NONE = Pairs(np.zeros((0, 2), np.int64), np.zeros(0, bool), np.zeros(0, np.float32))


def near_duplicates(blocks: Callable[[int, int], NDArray[np.uint8]], count: int) -> Pairs:
    """Pairs of `count` images that are nearly the same; `blocks(i, j)` gives images i to j (n, H, W, C) uint8.

    Identical images are pairs too: give each image once. Compares each image with each, in blocks; the _CANDIDATES
    pairs whose descriptors are the most alike are laid over each other, so of very many alike images some are missed.

    In some sets, such as spots on plain skin, different images share their details too. So images are also compared
    with others that are turned upside down, which are no copies: a pair must be more alike than any of these. Whatever
    they say, a pair below LEAST does not count, and one from MOST on does.
    """
    if count < 2:
        return NONE
    pictures = _pictures(blocks, count)
    usable = np.flatnonzero(np.concatenate([_details(some).std(axis=(1, 2)) for some in _parts(pictures)]) > _FLAT)
    if len(usable) < 2:
        return NONE
    pictures = pictures[usable]
    search = _Search(pictures)
    every = np.argsort(pictures.mean(axis=(1, 2)), kind="stable")  # so that the sample is the same in any order
    sample = every[np.unique(np.linspace(0, len(every) - 1, min(len(every), _DECOYS)).astype(np.int64))]
    decoys = search.pairs(pictures[:, ::-1], sample)
    found = search.pairs(pictures)
    found = found.at(np.flatnonzero(found.likeness >= np.clip(decoys.likeness.max(initial=0), LEAST, MOST)))
    found = found.at(np.lexsort((found.places[:, 1], found.places[:, 0], -found.likeness)))
    return Pairs(usable[found.places], found.mirrored, found.likeness)


# --- descriptors -------------------------------------------------------------------------------------


def _pictures(blocks: Callable[[int, int], NDArray[np.uint8]], count: int) -> Floats:
    """Gray values (N, G, G) of all images, smoothed a little."""
    height, width = blocks(0, 1).shape[1:3]
    rows, columns = _smoothing(height, GRID, _FINE), _smoothing(width, GRID, _FINE)
    made = np.empty((count, GRID, GRID), np.float32)
    step = max(1, _BYTES // (height * width * 12))
    for top in range(0, count, step):
        some = blocks(top, min(top + step, count)).astype(np.float32)
        gray = some[..., 0] if some.shape[-1] == 1 else some @ np.array([0.299, 0.587, 0.114], np.float32)
        made[top : top + len(gray)] = rows @ gray @ columns.T
    return made


def _smoothing(size: int, grid: int, sigma: float) -> Floats:
    """(grid, size) weights: each pixel of the grid is a mean by a Gaussian around its center, `sigma` of them wide."""
    cell = size / grid
    centers = (np.arange(grid) + 0.5) * cell - 0.5
    weights = np.exp(-0.5 * ((np.arange(size) - centers[:, None]) / (sigma * max(cell, 1.0))) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _details(pictures: Floats) -> Floats:
    """Pictures (n, S, S) less what is coarser."""
    side = pictures.shape[1]
    smooth = _smoothing(side, side, float(np.sqrt(_COARSE**2 - _FINE**2)))
    return np.asarray(pictures - smooth @ pictures @ smooth.T, np.float32)


def _faded(pictures: Floats) -> Floats:
    """The details of pictures (n, G, G), fading out to the edge."""
    fade = np.hanning(GRID + 2)[1:-1].astype(np.float32)
    return _details(pictures) * (fade[:, None] * fade)


def _pixels(middle: Floats) -> Floats:
    """The details (n, D) of middles (n, _SIDE, _SIDE): of these alone, so that they stay when the whole is moved."""
    details = _details(middle).reshape(len(middle), _SIDE * _SIDE)
    return _unit(details - details.mean(axis=1, keepdims=True))


def _waves(pictures: Floats) -> Floats:
    """Magnitudes (n, D) of the Fourier transform of the details of pictures (n, G, G)."""
    some = np.abs(np.fft.rfft2(_faded(pictures)))[:, :, :_FREQUENCIES]
    rows = np.concatenate([some[:, 1 - _FREQUENCIES :], some[:, :_FREQUENCIES]], axis=1)  # negative frequencies first
    return _unit(rows.reshape(len(some), -1))


def _unit(rows: Floats) -> Floats:
    """Rows (n, D) of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-6), np.float32)


def _middle(pictures: Floats) -> Floats:
    return pictures[:, REACH:-REACH, REACH:-REACH]


def _parts(rows: NDArray[_Value]) -> list[NDArray[_Value]]:
    return [rows[top : top + _AT_ONCE] for top in range(0, len(rows), _AT_ONCE)]


class _Whitened:
    """Maps pictures to rows (n, K) of length 1 whose numbers vary alike over the pictures that it was made from."""

    def __init__(self, describe: Callable[[Floats], Floats], pictures: Floats, kept: int) -> None:
        self._describe = describe
        sums = [describe(some).sum(axis=0, dtype=np.float64) for some in _parts(pictures)]
        self._mean = (np.sum(sums, axis=0) / len(pictures)).astype(np.float32)
        spread = np.zeros((len(self._mean), len(self._mean)))
        for some in _parts(pictures):
            rows = _unit(describe(some) - self._mean).astype(np.float64)
            spread += rows.T @ rows / len(pictures)
        values, directions = np.linalg.eigh(spread)
        values, directions = values[::-1][:kept].clip(0), directions[:, ::-1][:, :kept]
        self._map = (directions / np.sqrt(values + _FLOOR * values[:10].mean() + 1e-9)).astype(np.float32)

    def __call__(self, pictures: Floats) -> Floats:
        made = [_unit((self._describe(some) - self._mean) @ self._map) for some in _parts(pictures)]
        return np.concatenate(made) if made else np.zeros((0, self._map.shape[1]), np.float32)


# --- pairs -------------------------------------------------------------------------------------------


class _Search:
    """Finds other pictures that are nearly the same as one of a set's, which are (N, G, G)."""

    def __init__(self, pictures: Floats) -> None:
        self._pictures = pictures
        self._pixels = _Whitened(_pixels, _middle(pictures), _PIXELS)
        self._waves = _Whitened(_waves, pictures, _WAVES)
        self._rows = self._pixels(_middle(pictures)), self._waves(pictures)

    def pairs(self, others: Floats, queries: NDArray[np.int64] | None = None) -> Pairs:
        """Pairs (i, j) of the set's picture i, a query, and the other picture j, i < j where all are queries."""
        most = min(_CANDIDATES, _EACH * len(others if queries is None else queries)) // 2
        found = []
        for some in (others, others[:, :, ::-1]):
            described = self._pixels(_middle(some)), self._waves(some)
            for mine, theirs, least in zip(self._rows, described, (_LEAST_PIXELS, _LEAST_WAVES), strict=True):
                found.append(_alike(mine, theirs, queries, least=least, most=most))
        return self._laid_over(np.unique(np.concatenate(found), axis=0), others)

    def _laid_over(self, candidates: NDArray[np.int64], others: Floats) -> Pairs:
        """Those of the candidates (P, 2) that are nearly the same where they fit best."""
        found = [NONE]
        for some in _parts(candidates):
            mine, theirs = self._pictures[some[:, 0]], others[some[:, 1]]
            first, second = np.fft.rfft2(_faded(mine)), _faded(theirs)
            straight, mirror = (_best_shift(first, one) for one in (second, second[:, :, ::-1]))
            flip = mirror[0] > straight[0]
            shift = np.where(flip[:, None], mirror[1], straight[1])  # (p, 2), in half pixels
            a = _middle(mine)
            b = _moved(np.where(flip[:, None, None], theirs[:, :, ::-1], theirs), shift)
            gray, contrast = _correlation(a.reshape(len(some), -1), b.reshape(len(some), -1))
            good = np.flatnonzero((gray >= GRAY) & (np.abs(np.log(contrast)) <= np.log(GAIN)))
            alike = np.einsum("pk,pk->p", self._pixels(a[good]), self._pixels(b[good]))
            found.append(Pairs(some[good], flip[good], alike).at(np.flatnonzero(alike >= LEAST)))
        parts = zip(*((pairs.places, pairs.mirrored, pairs.likeness) for pairs in found), strict=True)
        return Pairs(*map(np.concatenate, parts))


def _alike(
    rows: Floats, others: Floats, queries: NDArray[np.int64] | None, *, least: float, most: int
) -> NDArray[np.int64]:
    """Pairs (P, 2) of a query i and another j whose rows have a product of `least` or more; None takes all for queries,
    and each pair once, i < j. Of more than `most`, those of the highest products."""
    asked = np.arange(len(rows)) if queries is None else queries
    places, values, kept = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)], 0
    for top in range(0, len(asked), _BLOCK):
        some = asked[top : top + _BLOCK]
        for left in range(top if queries is None else 0, len(others), _BLOCK):
            products = rows[some] @ others[left : left + _BLOCK].T
            at, j = np.nonzero(products >= least)
            i, value, j = some[at], products[at, j], j + left
            there = i < j if queries is None else i != j
            places.append(np.stack([i[there], j[there]], axis=1))
            values.append(value[there])
            kept += int(there.sum())
            if kept > 2 * most:
                places, values = _highest(places, values, most)
                kept, least = len(values[0]), float(values[0].min())
    return _highest(places, values, most)[0][0]


def _highest(
    places: list[NDArray[np.int64]], values: list[Floats], most: int
) -> tuple[list[NDArray[np.int64]], list[Floats]]:
    """The `most` pairs of the highest values, and those of the lowest of these values; joined."""
    place, value = np.concatenate(places), np.concatenate(values)
    if len(value) > most:
        good = value >= np.partition(value, len(value) - most)[len(value) - most]
        place, value = place[good], value[good]
    return [place], [value]


def _best_shift(first: NDArray[Any], other: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The best fit (p,) of others to pictures with the transforms `first`, and the shift (p, 2) of the other, in half
    pixels."""
    fits = np.fft.irfft2(np.conj(first) * np.fft.rfft2(other), s=(GRID, GRID))
    reach = np.arange(-REACH - 1, REACH + 2)  # one more on every side, for the parabola
    fits = fits[:, reach][:, :, reach]
    inner = fits[:, 1:-1, 1:-1].reshape(len(fits), -1)
    best = np.argmax(inner, axis=1)
    row, column = np.divmod(best, 2 * REACH + 1)
    place = np.arange(len(fits))
    down = _peak(*(fits[place, row + 1 + step, column + 1] for step in (-1, 0, 1)))
    right = _peak(*(fits[place, row + 1, column + 1 + step] for step in (-1, 0, 1)))
    halves = np.stack([2 * (row - REACH) + down, 2 * (column - REACH) + right], axis=1)
    return inner[place, best], halves.clip(-2 * REACH, 2 * REACH)


def _peak(before: Floats, middle: Floats, after: Floats) -> NDArray[np.int64]:
    """Where a parabola through three neighbors is highest, in half steps from the middle one: -1, 0 or 1."""
    bend = before - 2 * middle + after
    return np.rint(np.where(bend < 0, (before - after) / np.where(bend < 0, bend, 1), 0)).clip(-1, 1).astype(np.int64)


def _moved(pictures: Floats, shift: NDArray[np.int64]) -> Floats:
    """The middle (p, _SIDE, _SIDE) of pictures (p, G, G), moved by (p, 2) half pixels."""
    low, half = np.divmod(shift, 2)
    line = np.arange(_SIDE) + REACH
    picture = np.arange(len(pictures))[:, None, None]
    rows, columns = (line + low[:, :1])[:, :, None], (line + low[:, 1:])[:, None, :]
    lower, right = rows + half[:, 0, None, None], columns + half[:, 1, None, None]
    corners = ((rows, columns), (rows, right), (lower, columns), (lower, right))
    return np.asarray(sum(pictures[picture, y, x] for y, x in corners) / np.float32(4), np.float32)


def _correlation(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Of rows (p, D): their correlation (p,), and how many times the contrast of the first the second has."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(a, axis=1).clip(1e-3), np.linalg.norm(b, axis=1).clip(1e-3)
    return np.einsum("pd,pd->p", a, b) / (lengths[0] * lengths[1]), lengths[1] / lengths[0]

"""Did a generator copy its training images? Nearest neighbours, Meehan et al.'s C_T, a verdict.

Shapes: n images, D numbers an image (pixels, or features). A distance is the root mean square of
the D differences, so that between uint8 pixels it is in grey levels, 0..255. A generator may
also have learned to mirror, so an image and its mirror image count as one: the smaller distance.

A copy that was moved, turned, brightened, blurred or blended is far from its original pixel by pixel. `thumbnails` and
`nearest_aligned` see through that: small smooth images of equal mean and contrast, moved and turned against each other.

Unseen real images are the yardstick, and they are often close to training images: a patient who
is in both splits, a picture kept twice. BreastMNIST has a test image that equals a training image
and a quarter of its test images lie within 7 grey levels of one (of 25 at the median). So no
fixed distance tells a copy; what does is being nearer to training images than real images are.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.evaluation.chosen import Rows, rows_at

# Quantiles of real images at which copies are looked for, and the chance of a false alarm that
# everything together may have. Low quantiles see a few exact copies; high ones see many altered copies where real
# images are often near to one another: a quarter of BreastMNIST's test images are as near to a training image as a copy
# turned by 5 degrees is.
LEVELS = (0.01, 0.05, 0.10, 0.25, 0.50)
FALSE_ALARM = 0.001
_TESTS = len(LEVELS) + 1  # and one for identical images

FOUND = "copies found"
NOT_FOUND = "no copying found at this threshold"

LEAST_IN_CELL = 8  # below it the normal approximation of Mann and Whitney's U is poor
PAIRS = 16

GRID = 14  # rows and columns of a thumbnail
_BLUR = 0.65  # standard deviation of its smoothing, in cells
_SHIFTS = (-0.5, 0.0, 0.5)  # in cells: one pixel of a 28-pixel image
_ANGLES = (-4.0, 0.0, 4.0)  # degrees
_CANDIDATES = 32  # nearest before aligning, among which the nearest after aligning is sought
_ROWS = 1024  # queries at once
_COLUMNS = 8192  # references at once: bounds the memory to some 100 MB
_VALUES = 28 * 28 * 3  # of an image; of larger ones fewer are taken at once
_ALIGNED = 64  # queries at once of thumbnails


@dataclass(frozen=True)
class Nearest:
    """The nearest reference of each of n queries."""

    distance: NDArray[np.float64]  # (n,)
    index: NDArray[np.int64]  # (n,) into the references
    mirrored: NDArray[np.bool_]  # (n,) True where the mirrored query is nearer than the query


def nearest(
    queries: Rows,
    mirrored: Rows | None,
    references: Rows,
    *,
    itself: NDArray[np.int64] | None = None,
) -> Nearest:
    """The nearest of the references (n, D) for each query (m, D), or for its mirror image (m, D).

    itself: for queries that are among the references, their places there, which are left out.
    Infinite distance and index -1 where no reference is left.
    """
    found = _nearest(queries, references, itself)
    if mirrored is None:
        return found
    other = _nearest(mirrored, references, itself)
    flip = other.distance < found.distance
    return Nearest(
        np.where(flip, other.distance, found.distance),
        np.where(flip, other.index, found.index),
        flip,
    )


def thumbnails(images: NDArray[Any]) -> NDArray[np.float32]:
    """(n, H, W, C) -> (n, GRID * GRID * C), each of mean 0 and length 1.

    Smoothing takes out noise and blur, the mean and length take out brightness and contrast. A constant image is all 0.
    """
    height, width = images.shape[1:3]
    rows, columns = _smoothing(height), _smoothing(width)
    parts = []
    step = _at_once(_ROWS, images[:1].size)
    for top in range(0, len(images), step):
        some = images[top : top + step].astype(np.float32)
        small = np.einsum("gh,nhwc,kw->ngkc", rows, some, columns, optimize=True)
        parts.append(_standard(small.reshape(len(small), -1)))
    return np.concatenate(parts) if parts else np.zeros((0, GRID * GRID * images.shape[3]), np.float32)


def nearest_aligned(
    queries: NDArray[Any],
    mirrored: NDArray[Any] | None,
    references: NDArray[Any],
    *,
    itself: NDArray[np.int64] | None = None,
) -> Nearest:
    """`nearest` for thumbnails (m, D), (n, D), each query moved and turned a little to where it fits best.

    Distances are sqrt(2 - 2 r) / sqrt(D), r the correlation. Only the _CANDIDATES references that are nearest before
    aligning are aligned.
    """
    given = queries[:, None] if mirrored is None else np.stack([queries, mirrored], axis=1)  # (m, 1 or 2, D)
    m, sides, size = given.shape
    kept = min(_CANDIDATES, len(references))
    distance, index, flipped = np.full(m, np.inf), np.full(m, -1, np.int64), np.zeros(m, bool)
    for top in range(0, m if kept else 0, _ALIGNED):
        some = given[top : top + _ALIGNED]
        own = None if itself is None else itself[top : top + _ALIGNED, None]
        alike = np.max(some @ references.T, axis=1)  # (b, n)
        if own is not None:
            np.put_along_axis(alike, own, -np.inf, axis=1)
        candidates = np.argpartition(-alike, kept - 1, axis=1)[:, :kept]
        moved = _moved(some.reshape(-1, size)).reshape(len(some), -1, size)  # (b, sides * moves, D)
        fits = moved @ references[candidates].transpose(0, 2, 1)  # (b, sides * moves, kept)
        if own is not None:
            fits = np.where((candidates == own)[:, None], -np.inf, fits)
        best = np.argmax(fits.reshape(len(some), -1), axis=1)
        way, place = np.divmod(best, kept)
        fit = fits[np.arange(len(some)), way, place]
        known = np.isfinite(fit)
        here = slice(top, top + len(some))
        distance[here] = np.where(known, np.sqrt(np.maximum(0, 2 - 2 * np.where(known, fit, 0)) / size), np.inf)
        index[here] = np.where(known, candidates[np.arange(len(some)), place], -1)
        flipped[here] = known & (way >= moved.shape[1] // sides)
    return Nearest(distance, index, flipped)


def data_copying(
    synthetic_distance: NDArray[Any],
    synthetic_cells: NDArray[Any],
    test_distance: NDArray[Any],
    test_cells: NDArray[Any],
) -> dict[str, Any]:
    """C_T of Meehan, Chaudhuri & Dasgupta 2020, section 3: far below 0 is copying, above underfit.

    Takes distances to the nearest training image, (m,) and (n,). In each cell, Mann and Whitney's
    z of synthetic against test images; the mean over the cells, weighted by their test images.
    The cells are the classes where the paper clusters: a synthetic set has another mix of classes
    than the test set, and classes differ in how near their images are to one another. Cells with
    fewer than LEAST_IN_CELL images of either kind are left out; None where no cell remains.
    """
    from scipy.stats import rankdata  # takes half a second, which reports of no synthetic images do not need

    scores, weights, used = [], [], []
    for cell in np.unique(test_cells).tolist():
        mine, theirs = synthetic_distance[synthetic_cells == cell], test_distance[test_cells == cell]
        m, n = len(mine), len(theirs)
        if min(m, n) < LEAST_IN_CELL:
            continue
        ranks = rankdata(np.concatenate([mine, theirs]))
        wins = ranks[:m].sum() - m * (m + 1) / 2  # pairs in which the synthetic image is farther
        scores.append((wins - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))
        weights.append(n)
        used.append(cell)
    return {
        "value": float(np.average(scores, weights=weights)) if used else None,
        "cells": used,
        "cell_values": [float(score) for score in scores],
    }


def look_for_copies(
    *,
    synthetic: Rows,
    synthetic_mirrored: Rows,
    synthetic_labels: NDArray[Any],
    train: Rows,
    test: Rows,
    test_mirrored: Rows,
    test_labels: NDArray[Any],
    sample: NDArray[np.int64],
    sample_mirrored: Rows,
    find: Callable[..., Nearest],
    false_alarm: float,
    draws: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Are synthetic images nearer to training images than unseen real images are? In one space.

    All images are rows of D numbers, among which `find` (`nearest` or `nearest_aligned`) finds the nearest. `sample`
    are places in `train`, whose mirror images are `sample_mirrored`: training images that stand in for unseen ones,
    each compared with the others.

    For each image, share = distance to train / (distance to train + distance to test): 0 for a
    copy, and the same for blurred images as for sharp ones. The threshold at level q is the q-th
    quantile of the test images' own shares. Synthetic images below it are counted, each training
    image once however often it was copied, and too many is a share that neither the test images
    (exact for exchangeable images: the count is beta-binomial) nor the sampled training images
    (Fisher's exact test; they guard against a test split from elsewhere, which would make every
    image of the training source look copied) explain. Images that equal a training image are
    tested likewise, by Fisher's test against both. `false_alarm` holds for all by Bonferroni.

    Returns values for a record, and (m,) arrays: nearest training and test images and distances.
    """
    rng = np.random.default_rng(seed)
    to_train = find(synthetic, synthetic_mirrored, train)
    to_test = find(synthetic, synthetic_mirrored, test)
    places = np.arange(len(test))
    test_to_train = find(test, test_mirrored, train)
    test_to_test = find(test, test_mirrored, test, itself=places)
    sample_to_train = find(rows_at(train, sample), sample_mirrored, train, itself=sample)
    sample_to_test = find(rows_at(train, sample), sample_mirrored, test)

    size = min(len(train), len(test))
    nearer = []
    for _ in range(draws):
        few_train = rows_at(train, rng.permutation(len(train))[:size])
        few_test = to_test.distance
        if size < len(test):
            some = rows_at(test, rng.permutation(len(test))[:size])
            few_test = find(synthetic, synthetic_mirrored, some).distance
        gap = few_test - find(synthetic, synthetic_mirrored, few_train).distance
        nearer.append(float(np.mean((gap > 0) + 0.5 * (gap == 0))))

    _, once = np.unique(to_train.index, return_index=True)
    shares = _share(to_train, to_test)[once]
    test_shares = _share(test_to_train, test_to_test)
    sample_shares = _share(sample_to_train, sample_to_test)
    levels = [_level(shares, test_shares, sample_shares, level, false_alarm) for level in LEVELS]
    identical_test = int(np.sum(test_to_train.distance == 0))
    identical_train = int(np.sum(sample_to_train.distance == 0))
    originals = len(np.unique(to_train.index[to_train.distance == 0]))
    identical_p = _fisher(originals, len(once), identical_test + identical_train, len(test) + len(sample))
    p = min(1.0, _TESTS * min(identical_p, *(level["p"] for level in levels)))
    values = {
        "images": len(synthetic),
        "distinct_nearest": len(once),
        "train_distance": _quantiles(to_train.distance),
        "test_distance": _quantiles(to_test.distance),
        "real_distance": _quantiles(test_to_train.distance),
        "nearer_to_train": {
            "value": float(np.mean(nearer)),
            "low": min(nearer),
            "high": max(nearer),
            "draws": draws,
            "images_each": size,
        },
        "c_t": data_copying(to_train.distance, synthetic_labels, test_to_train.distance, test_labels),
        "identical": int(np.sum(to_train.distance == 0)),
        "identical_p": float(identical_p),
        "identical_test": identical_test,
        "identical_train": identical_train,
        "test_images": len(test),
        "train_sample": len(sample),
        "levels": levels,
        "p": p,
        "verdict": FOUND if p < false_alarm else NOT_FOUND,
    }
    arrays = {
        "train_distance": to_train.distance,
        "train_index": to_train.index,
        "train_mirrored": to_train.mirrored,
        "test_distance": to_test.distance,
        "test_index": to_test.index,
        "test_mirrored": to_test.mirrored,
        "real_distance": test_to_train.distance,
    }
    return values, arrays


def closest_pairs(arrays: dict[str, NDArray[Any]], pairs: int = PAIRS) -> NDArray[np.int64]:
    """Which synthetic images are nearest to a training image: (pairs,) places, nearest first."""
    return np.argsort(arrays["train_distance"], kind="stable")[:pairs]


def duplicates(synthetic: Rows, real: Rows) -> dict[str, Any]:
    """How many synthetic images have a near twin among themselves, beside as many real images.

    Takes (n, D) and (n, D) of the same mix of classes. A twin is nearer than all but 1 % of the
    real images have their nearest. `near` is about 0.01 for images as varied as the real ones.
    """
    if len(synthetic) != len(real):
        raise ValueError(f"as many real as synthetic images: got {len(real)}, {len(synthetic)}")
    places = np.arange(len(real))
    among_real = nearest(real, None, real, itself=places).distance
    among_synthetic = nearest(synthetic, None, synthetic, itself=places).distance
    threshold = float(np.quantile(among_real, LEVELS[0], method="lower"))
    return {
        "images": len(synthetic),
        "identical": int(np.sum(among_synthetic == 0)),
        "identical_real": int(np.sum(among_real == 0)),
        "near": float(np.mean(among_synthetic <= threshold)),
        "near_real": float(np.mean(among_real <= threshold)),
        "threshold": threshold,
    }


def _nearest(queries: Rows, references: Rows, itself: NDArray[np.int64] | None) -> Nearest:
    """`nearest` without mirror images."""
    best = np.full(len(queries), np.inf)
    index = np.full(len(queries), -1, np.int64)
    prepare = _preparation(references)
    at_once, wide = (_at_once(most, references.shape[1]) for most in (_ROWS, _COLUMNS))
    for left in range(0, len(references), wide):
        columns = prepare(references[left : left + wide])
        lengths = np.einsum("jd,jd->j", columns, columns)
        for top in range(0, len(queries), at_once):
            rows = slice(top, min(top + at_once, len(queries)))
            # |y|^2 - 2 x.y: the squared distance less |x|^2, which does not move the minimum
            squares = (-2 * prepare(queries[rows])) @ columns.T
            squares += lengths
            if itself is not None:
                own = itself[rows] - left
                here = np.flatnonzero((own >= 0) & (own < len(columns)))
                squares[here, own[here]] = np.inf
            place = np.argmin(squares, axis=1)
            square = squares[np.arange(len(place)), place]
            closer = square < best[rows]
            best[rows] = np.where(closer, square, best[rows])
            index[rows] = np.where(closer, place + left, index[rows])
    # The expanded square loses digits where it is small, so it only finds the pair.
    distance = np.full(len(queries), np.inf)
    for top in range(0, len(queries), at_once):
        known = top + np.flatnonzero(index[top : top + at_once] >= 0)
        difference = queries[known].astype(np.float64) - references[index[known]]
        distance[known] = np.sqrt(np.mean(difference**2, axis=1))
    return Nearest(distance, index, np.zeros(len(queries), bool))


def _at_once(most: int, values: int) -> int:
    """How many images of so many values take no more memory than `most` color images of 28 x 28."""
    return max(1, min(most, most * _VALUES // max(values, 1)))


def _preparation(references: Rows) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """How to make floats of rows, with small sums of squares so that few digits are lost."""
    if references.dtype == np.uint8:  # -128..127: exact in the fast float32, or nearly so
        return lambda rows: rows.astype(np.float32) - 128
    centre = references[:].mean(axis=0, dtype=np.float64)
    return lambda rows: rows.astype(np.float64) - centre


def _smoothing(size: int) -> NDArray[np.float32]:
    """(GRID, size) weights: each cell is a mean of pixels, by a Gaussian around its centre."""
    cell = size / GRID
    centres = (np.arange(GRID) + 0.5) * cell - 0.5
    weights = np.exp(-0.5 * ((np.arange(size) - centres[:, None]) / (_BLUR * max(cell, 1.0))) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _standard(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (n, D) less their mean, at length 1; what is constant becomes 0."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    standard = np.zeros_like(rows)
    np.divide(rows, length, out=standard, where=length > 1e-4)
    return standard


def _moved(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Thumbnails (n, D) -> (n, moves, D): each moved and turned by every shift and angle."""
    moves = _moves()
    cells = rows.reshape(len(rows), GRID * GRID, -1)  # (n, cells, C)
    moved = np.einsum("vij,njc->nvic", moves, cells, optimize=True)
    return _standard(moved.reshape(len(rows) * len(moves), -1)).reshape(len(rows), len(moves), -1)


@functools.cache
def _moves() -> NDArray[np.float32]:
    """(moves, cells, cells): matrices that move and turn a thumbnail, bilinear, its edge continued."""
    line = np.arange(GRID) - (GRID - 1) / 2
    y, x = np.meshgrid(line, line, indexing="ij")
    found = []
    for angle in np.deg2rad(_ANGLES):
        for down in _SHIFTS:
            for right in _SHIFTS:
                from_y = np.cos(angle) * y - np.sin(angle) * x + down + (GRID - 1) / 2
                from_x = np.sin(angle) * y + np.cos(angle) * x + right + (GRID - 1) / 2
                matrix = np.zeros((GRID * GRID, GRID * GRID), np.float32)
                for dy in (0, 1):
                    for dx in (0, 1):
                        row, column = np.floor(from_y) + dy, np.floor(from_x) + dx
                        weight = (1 - np.abs(from_y - row)) * (1 - np.abs(from_x - column))
                        cell = np.clip(row, 0, GRID - 1) * GRID + np.clip(column, 0, GRID - 1)
                        np.add.at(matrix, (np.arange(GRID * GRID), cell.ravel().astype(int)), weight.ravel())
                found.append(matrix)
    return np.stack(found)


def _share(train: Nearest, test: Nearest) -> NDArray[np.float64]:
    """Distance to train as a share of the distances to train and to test; 1/2 where both are 0."""
    total = train.distance + test.distance
    # An infinite distance means that the only image of its split was compared with the others.
    known = np.isfinite(total) & (total > 0)
    share = np.full(len(total), 0.5)
    np.divide(train.distance, total, out=share, where=known)
    return share


def _level(
    shares: NDArray[Any], test: NDArray[Any], train: NDArray[Any], level: float, false_alarm: float
) -> dict[str, Any]:
    """Are too many of the shares below the `level` quantile of the test images' shares?"""
    from scipy.stats import betabinom

    m, n = len(shares), len(test)
    rank = max(1, int(level * (n + 1)))
    threshold = np.sort(test)[rank - 1]
    count, real = int(np.sum(shares < threshold)), int(np.sum(train < threshold))

    counts = np.arange(m + 1)
    exchangeable = betabinom.pmf(counts, m, rank, n + 1 - rank)
    chance = np.maximum(  # of this many or more
        np.cumsum(exchangeable[::-1])[::-1], _fisher(counts, m, real, len(train))
    )
    enough = np.flatnonzero(_TESTS * chance < false_alarm)
    return {
        "level": level,
        "threshold": float(threshold),
        "found": count / m,
        "expected": rank / (n + 1),
        "train": real / len(train),
        "count": count,
        "needed": int(enough[0]) if len(enough) else None,  # this many copies would be flagged
        "p": float(chance[count]),
    }


def _fisher(count: Any, m: int, real_count: int, n: int) -> Any:
    """Fisher's exact test, one-sided: is `count` of m too many beside `real_count` of n?"""
    from scipy.stats import hypergeom

    return hypergeom.sf(count - 1, m + n, count + real_count, m)


def _quantiles(distances: NDArray[Any]) -> dict[str, float]:
    low, middle, high = np.quantile(distances, [0.01, 0.5, 0.99])
    return {
        "smallest": float(distances.min()),
        "low": float(low),
        "median": float(middle),
        "high": float(high),
    }

"""How alike two sets of images are: kernel and Fréchet distance, precision and recall, and labels.

Shapes: features are (n, D) floats, n images of D numbers; labels (n,) int in 0..K-1.

Synthetic images have another mix of classes than the real ones, on purpose. `scaled` and `draw`
take real images in the mix of the synthetic ones, so that the mix is not what is measured.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from medaug_keras import labels as labels_of
from medaug_keras.evaluation.metrics import auc_by_finding, defined, predicted_classes

LEAST_IMAGES = 10  # of a whole set; a distance between fewer is noise
_ROWS = 1024


def kernel_distance(real: NDArray[Any], synthetic: NDArray[Any]) -> dict[str, float]:
    """Kernel distance of Bińkowski et al. 2018 with 95 % interval, from features (m, D), (n, D).

    The unbiased estimate of MMD^2 (Gretton et al. 2012, eq. 3) with kernel (x.y / D + 1)^3 over
    all pairs. About 0, and as often below as above, for images of the same distribution. The
    interval is the two-sample jackknife's over images (Arvesen 1969): images are its only chance,
    another training of the generator is not in it. In simulation it held the truth in 93 to 97 %
    of samples of 54 or more images with 8 or more features; for equal distributions it is wider
    than need be.
    """
    real, synthetic = real.astype(np.float64), synthetic.astype(np.float64)
    m, n = len(real), len(synthetic)
    if min(m, n) < 3:
        raise ValueError(f"the kernel distance needs 3 images on each side, got {m} and {n}")
    within_real, within_synthetic = _kernel_sums(real, None), _kernel_sums(synthetic, None)
    across_real, across_synthetic = _kernel_sums(real, synthetic), _kernel_sums(synthetic, real)
    a, b, c = within_real.sum(), within_synthetic.sum(), across_real.sum()
    value = a / (m * (m - 1)) + b / (n * (n - 1)) - 2 * c / (m * n)

    without_real = (  # the same with one real image left out, for each of them
        (a - 2 * within_real) / ((m - 1) * (m - 2)) + b / (n * (n - 1)) - 2 * (c - across_real) / ((m - 1) * n)
    )
    without_synthetic = (
        a / (m * (m - 1))
        + (b - 2 * within_synthetic) / ((n - 1) * (n - 2))
        - 2 * (c - across_synthetic) / (m * (n - 1))
    )
    variance = (m - 1) * without_real.var() + (n - 1) * without_synthetic.var()
    half = stdtrit(min(m, n) - 1, 0.975) * np.sqrt(variance)
    return {"value": float(value), "low": float(value - half), "high": float(value + half)}


def frechet_distance(real: NDArray[Any], synthetic: NDArray[Any]) -> float:
    """Fréchet distance of two Gaussians fitted to features (m, D) and (n, D) (Heusel et al. 2017).

    Grows as images get fewer, even between samples of one distribution: compare it only with its
    floor at the same number of images (`frechet_with_floor`).
    """
    real, synthetic = real.astype(np.float64), synthetic.astype(np.float64)
    shift = real.mean(axis=0) - synthetic.mean(axis=0)
    first, second = np.cov(real, rowvar=False), np.cov(synthetic, rowvar=False)
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    spread, axes = np.linalg.eigh(first)
    root = axes * np.sqrt(np.maximum(spread, 0)) @ axes.T
    # trace of (first second)^(1/2), by the symmetric matrix of the same eigenvalues
    common = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * common)


def frechet_with_floor(
    real: NDArray[Any],
    real_labels: NDArray[Any],
    synthetic: NDArray[Any],
    synthetic_labels: NDArray[Any],
    *,
    draws: int,
    limit: int,
    seed: int,
) -> dict[str, Any]:
    """Fréchet distance beside its floor: real against other real images, as many, in the same mix.

    Each of the draws takes n synthetic and twice n real images; n is as large as two disjoint real
    sets allow. Means over the draws, with the smallest and largest; values None, with the reason,
    where n is below LEAST_IMAGES.
    """
    wanted, stock = class_counts(synthetic_labels, real_labels)
    counts = scaled(wanted, stock // 2, limit, largest=1.0)
    n = int(counts.sum())
    if n < LEAST_IMAGES:
        return {"value": None, "floor": None, "images": n, "reason": too_few(n)}
    rng = np.random.default_rng(seed)
    distances, floors = [], []
    for _ in range(draws):
        both = draw(real_labels, 2 * counts, rng)
        mine = synthetic[flat(draw(synthetic_labels, counts, rng))]
        first = real[flat([places[: len(places) // 2] for places in both])]
        second = real[flat([places[len(places) // 2 :] for places in both])]
        distances.append(frechet_distance(first, mine))
        floors.append(frechet_distance(first, second))
    return {
        **_mean_and_range(distances),
        "floor": float(np.mean(floors)),
        "floor_low": min(floors),
        "floor_high": max(floors),
        "images": n,
        "reason": None,
    }


def precision_recall(real: NDArray[Any], synthetic: NDArray[Any], *, neighbours: int) -> dict[str, float]:
    """Precision, recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    From features (m, D) and (n, D); balls reach to the `neighbours`-th nearest image of the same
    set. Needs more images than neighbours on each side.
    """
    k = neighbours
    if min(len(real), len(synthetic)) <= k:
        raise ValueError(f"{k} neighbours need more than {k} images on each side, got {len(real)} and {len(synthetic)}")
    centre = real.mean(axis=0, dtype=np.float64)
    real, synthetic = real - centre, synthetic - centre
    real_radius, synthetic_radius = _radii(real, k), _radii(synthetic, k)
    within = np.zeros(len(synthetic), np.int64)  # real balls that hold the synthetic image
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for top in range(0, len(real), _ROWS):
        rows = slice(top, top + _ROWS)
        squares = _squared_distances(real[rows], synthetic)
        inside = squares < real_radius[rows, None]
        within += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = (squares < synthetic_radius).any(axis=1)
    return {
        "precision": float(np.mean(within > 0)),
        "recall": float(recalled.mean()),
        "density": float(within.mean() / k),
        "coverage": float(covered.mean()),
    }


def class_consistency(
    synthetic_labels: NDArray[Any],
    synthetic_probabilities: Sequence[NDArray[Any]],
    test_labels: NDArray[Any],
    test_probabilities: Sequence[NDArray[Any]],
) -> dict[str, Any]:
    """How often classifiers trained on real images give a synthetic image its label.

    One (n, K) array of probabilities for each classifier. The ceiling is their recall on real test
    images, weighted by the classes of the synthetic images; None where a class has no test image.

    Of several findings an image, (n, K), it is the AUC with which they tell synthetic images that were made with a
    finding from those made without, mean over the findings; the ceiling is the same of test images. Both are of the
    findings that some images of either set have, and others have not; None where there is none.
    """
    if not synthetic_probabilities or len(synthetic_probabilities) != len(test_probabilities):
        raise ValueError("class consistency needs the same classifiers on both sets, at least one")
    classes = synthetic_probabilities[0].shape[1]
    if labels_of.several(synthetic_labels):
        return _finding_consistency(synthetic_labels, synthetic_probabilities, test_labels, test_probabilities)
    rates = [_recall(synthetic_labels, predicted_classes(p), classes) for p in synthetic_probabilities]
    limits = [_recall(test_labels, predicted_classes(p), classes) for p in test_probabilities]
    mix = np.bincount(synthetic_labels, minlength=classes) / len(synthetic_labels)
    used = mix > 0
    values = [float(mix[used] @ rate[used]) for rate in rates]
    ceilings = [float(mix[used] @ limit[used]) for limit in limits]
    known = bool(np.all(np.isfinite(ceilings)))
    return {
        **_mean_and_range(values),
        "ceiling": float(np.mean(ceilings)) if known else None,
        "by_class": _numbers(np.mean(rates, axis=0)),
        "ceiling_by_class": _numbers(np.mean(limits, axis=0)),
        "classifiers": len(values),
    }


def _finding_consistency(
    synthetic_labels: NDArray[Any],
    synthetic_probabilities: Sequence[NDArray[Any]],
    test_labels: NDArray[Any],
    test_probabilities: Sequence[NDArray[Any]],
) -> dict[str, Any]:
    """`class_consistency` of several findings."""
    there = np.intersect1d(defined(synthetic_labels), defined(test_labels))
    rates, limits = (
        np.array([[np.nan if one is None else one for one in auc_by_finding(labels, p)] for p in probabilities])
        for labels, probabilities in ((synthetic_labels, synthetic_probabilities), (test_labels, test_probabilities))
    )
    known = len(there) > 0
    values, ceilings = (each[:, there].mean(axis=1).tolist() if known else [] for each in (rates, limits))
    return {
        **(_mean_and_range(values) if known else dict.fromkeys(("value", "low", "high"))),
        "ceiling": float(np.mean(ceilings)) if known else None,
        "by_class": _numbers(rates.mean(axis=0)),
        "ceiling_by_class": _numbers(limits.mean(axis=0)),
        "classifiers": len(synthetic_probabilities),
    }


def class_counts(wanted: NDArray[Any], stock: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images of each class in two label arrays, both (K,)."""
    classes = int(max(wanted.max(), stock.max())) + 1
    return np.bincount(wanted, minlength=classes), np.bincount(stock, minlength=classes)


def scaled(wanted: NDArray[Any], stock: NDArray[Any], limit: int, *, largest: float) -> NDArray[np.int64]:
    """As many images of each class as `stock` and `limit` allow, in the proportions of `wanted`."""
    used = wanted > 0
    ratio = min(largest, limit / wanted.sum(), (stock[used] / wanted[used]).min())
    return np.asarray(np.floor(wanted * ratio + 1e-9), dtype=np.int64)


def draw(labels: NDArray[Any], counts: NDArray[Any], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """`counts[c]` random places of each class c, without repetition."""
    return [rng.permutation(np.flatnonzero(labels == index))[:count] for index, count in enumerate(counts)]


def flat(places: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """What `draw` returned, as one array."""
    return np.concatenate(places)


def too_few(images: int) -> str:
    """The reason for a value that is None."""
    return f"{images} images of a matching mix of classes, at least {LEAST_IMAGES} are needed"


def _squared_distances(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """(m, D), (n, D) floats -> (m, n) squared Euclidean distances, not below 0."""
    products: NDArray[Any] = left @ right.T
    products *= -2
    products += np.einsum("id,id->i", left, left)[:, None]
    products += np.einsum("jd,jd->j", right, right)[None, :]
    np.maximum(products, 0, out=products)
    return products


def _kernel_sums(rows: NDArray[Any], others: NDArray[Any] | None) -> NDArray[np.float64]:
    """Sums of the kernel between each row and the others; None: the other rows of the same set."""
    sums = np.empty(len(rows))
    columns = rows if others is None else others
    for top in range(0, len(rows), _ROWS):
        part = slice(top, min(top + _ROWS, len(rows)))
        kernel = (rows[part] @ columns.T / rows.shape[1] + 1) ** 3
        sums[part] = kernel.sum(axis=1)
        if others is None:
            own = np.arange(part.start, part.stop)
            sums[part] -= kernel[own - top, own]
    return sums


def _radii(rows: NDArray[Any], neighbours: int) -> NDArray[np.float64]:
    """Squared distance of each row to its `neighbours`-th nearest other row, (n,)."""
    radii = np.empty(len(rows))
    for top in range(0, len(rows), _ROWS):
        part = slice(top, min(top + _ROWS, len(rows)))
        squares = _squared_distances(rows[part], rows)
        own = np.arange(part.start, part.stop)
        squares[own - top, own] = np.inf
        radii[part] = np.partition(squares, neighbours - 1, axis=1)[:, neighbours - 1]
    return radii


def _recall(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Share of each class that is predicted as such, (K,); NaN for a class without images."""
    counts = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    shares = np.full(classes, np.nan)
    np.divide(hits, counts, out=shares, where=counts > 0)
    return shares


def _numbers(values: NDArray[Any]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _mean_and_range(values: Sequence[float]) -> dict[str, float]:
    return {"value": float(np.mean(values)), "low": min(values), "high": max(values)}

"""Many comparisons: corrections, the word for a cell, and which arms share the first place.

Corrections take `Crossed.p_family`, not `Crossed.p`. Holm within a data set is confirmatory,
Benjamini-Hochberg over all cells is exploratory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from medaug_keras.stats.crossed import Array, family_p_of_each

Verdict = Literal["better", "worse", "equivalent", "not distinguishable", "not tested"]


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjusted p in the order given (Holm 1979): the chance of any false claim stays below alpha.

    None (not tested) stays None and is counted: the family is what was declared, so a claim does not
    weaken when the arms that are missing arrive. (No library counts them, so this is our own.)
    """

    def adjust(values: Array) -> Array:
        order = np.argsort(values, kind="stable")
        adjusted = np.empty_like(values)
        adjusted[order] = np.maximum.accumulate(values[order] * (len(p) - np.arange(len(values))))
        return adjusted

    return _adjusted(p, adjust)


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """Adjusted p in the order given (1995): the expected share of false claims stays below alpha.

    None (not tested) stays None and is not counted. (To the bit SciPy's `false_discovery_control`, which is not called
    here because to import scipy.stats would take a second of the three that the pages of a small study take.)
    """

    def adjust(values: Array) -> Array:
        order = np.argsort(values)
        adjusted = np.empty_like(values)
        scaled = values[order] * (len(values) / np.arange(1, len(values) + 1))
        adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
        return adjusted

    return _adjusted(p, adjust)


def _adjusted(p: Sequence[float | None], adjust: Callable[[Array], Array]) -> list[float | None]:
    """`adjust` is given those p that are there. Raises ValueError for what is no probability."""
    values = np.array([value for value in p if value is not None], dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values must lie in [0, 1], got {list(p)}")
    adjusted = iter(np.minimum(adjust(values), 1.0).tolist())
    return [None if value is None else next(adjusted) for value in p]


def verdict(effect: float | None, p: float | None, *, equivalent: float | None = None, alpha: float = 0.05) -> Verdict:
    """The word for a cell, from its effect and its corrected p.

    `equivalent` is the corrected p of two one-sided tests, where there is a margin. A difference that is shown to be
    smaller than the margin is equivalent also where it is shown not to be 0.
    """
    if p is None or effect is None:
        return "not tested"
    if equivalent is not None and equivalent <= alpha:
        return "equivalent"
    if p > alpha or effect == 0:
        return "not distinguishable"
    return "better" if effect > 0 else "worse"


@dataclass(frozen=True)
class Best:
    """Which arms of a data set share the first place.

    best: the arm with the highest mean (the first one on ties).
    not_distinguishable: the others that the corrected test does not tell from it.
    untested: the others that could not be compared with it (fewer than two common replicates).
    p: corrected p against the best; None where untested.
    """

    best: str
    not_distinguishable: tuple[str, ...]
    untested: tuple[str, ...]
    p: dict[str, float | None]


def best_arms(arms: Mapping[str, Mapping[int, ArrayLike]], *, folds: bool = False, alpha: float = 0.05) -> Best:
    """The best of {arm: {replicate: (n,) values}} and all that are not distinguishable from it.

    Values are correctness or pseudo-values per image; `folds` as in `crossed`. Arms are ranked by their mean over the
    replicates they have, and compared over the replicates they share.

    Holm goes over all pairs of arms, not only those with the best: which arm that is was chosen
    by looking, so every pair stood a chance of being among those shown.
    """
    if not arms or any(not runs for runs in arms.values()):
        raise ValueError("every arm needs at least one replicate; leave out those that have none")
    means = {name: np.mean([np.mean(np.asarray(v)) for v in runs.values()]) for name, runs in arms.items()}
    best = max(means, key=lambda name: means[name])  # max keeps the first on ties
    pairs = list(combinations(arms, 2))
    known = _p_of_pairs(arms, folds)
    p = [known[pair] for pair in pairs]
    against: dict[str, float | None] = {
        (b if a == best else a): value for (a, b), value in zip(pairs, holm(p), strict=True) if best in (a, b)
    }
    return Best(
        best=best,
        not_distinguishable=tuple(a for a, v in against.items() if v is not None and v > alpha),
        untested=tuple(a for a, v in against.items() if v is None),
        p={a: against[a] for a in arms if a != best},
    )


def _p_of_pairs(arms: Mapping[str, Mapping[int, ArrayLike]], folds: bool) -> dict[tuple[str, str], float | None]:
    """`crossed(paired(a, b), folds=folds).p_family` of every two arms.

    One arm with many at once: the pairs grow with the square.
    """
    found: dict[tuple[str, str], float | None] = {}
    names = list(arms)
    for place, a in enumerate(names):
        alike: dict[tuple[int, ...], list[str]] = {}  # replicates in common → the arms that have them
        for b in names[place + 1 :]:
            alike.setdefault(tuple(sorted(arms[a].keys() & arms[b].keys())), []).append(b)
        for replicates, others in alike.items():
            if len(replicates) < 2:
                found |= {(a, b): None for b in others}
                continue
            mine = np.stack([np.asarray(arms[a][s], dtype=np.float64) for s in replicates])  # (S, n)
            step = max(1, _VALUES_AT_ONCE // mine.size)
            for first in range(0, len(others), step):
                some = others[first : first + step]
                theirs = np.stack([[np.asarray(arms[b][s], dtype=np.float64) for s in replicates] for b in some])
                p = family_p_of_each(mine - theirs, folds=folds)
                found |= {(a, b): value for b, value in zip(some, p, strict=True)}
    return found


_VALUES_AT_ONCE = 1_000_000  # 8 MB, and a few times as much while they are compared

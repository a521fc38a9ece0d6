"""How long tasks take: learned from those that are finished; and durations in words.

A task takes a fixed time (its files, its network, its measures) and a time for each unit of work: for each image that
passes through the network, counted by its pixels, or by the multiplications of the classifier that it passes through.
Both are fitted for each kind of network, so a large data set is not expected to take as much longer as it has more
images.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from statistics import median

from medaug_keras.architectures import ARCHITECTURES
from medaug_keras.plan import Plan, Task
from medaug_keras.store import Outcome

FIXED = 2.0  # seconds of a task that are believed to be fixed while all that are finished are of one size
_SHARE = 0.8  # at most this part of what was seen
_APART = 1.5  # sizes of tasks with a smaller ratio than this do not tell the two times apart
_SIDE = 28  # pixels of the image that counts as one unit


def kind_of(task: Task) -> str:
    """Tasks with equal names here train, or use, the same network."""
    settings = task.params.get("settings")
    kind = settings.get("kind", "") if isinstance(settings, dict) else ""
    return f"{task.kind} {kind}".strip()


def work_of(task: Task) -> float:
    """Images of 28 x 28 pixels that take as much arithmetic; at least 1."""
    side = task.local.get("size") or _SIDE
    network = task.params.get("settings")
    if task.kind not in ("tuning", "classifier", "usefulness") or not isinstance(network, dict):
        return max(task.images, 1) * (side / _SIDE) ** 2
    kind = ARCHITECTURES[network["kind"]]
    seen = (network.get("input") or {}).get("size") or side
    return max(task.images, 1) * kind.multiply_adds(seen, network) / kind.multiply_adds(_SIDE, network)


class Durations:
    """What is known of how long tasks take."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[float, list[float]]] = {}
        """Kind → work → seconds of each task."""
        self._fits: dict[str, tuple[float, float]] = {}

    @classmethod
    def of(cls, plan: Plan, outcomes: Mapping[str, Outcome]) -> "Durations":
        """From the finished tasks of a plan."""
        made = cls()
        for name, task in plan.tasks.items():
            record = outcomes[name].record
            if record is not None and record.spent is not None:
                made.learn(task, record.spent)
        return made

    def learn(self, task: Task, seconds: float) -> None:
        """Take note of a finished task."""
        kind = kind_of(task)
        self.seen.setdefault(kind, {}).setdefault(work_of(task), []).append(seconds)
        self._fits.pop(kind, None)

    def seconds(self, kind: str, work: float) -> float | None:
        """Expected for one task; None where no task of the kind was seen."""
        if kind not in self.seen:
            return None
        if kind not in self._fits:
            self._fits[kind] = _fit({work: median(all_) for work, all_ in self.seen[kind].items()})
        fixed, each = self._fits[kind]
        return fixed + each * work

    def total(self, tasks: Mapping[tuple[str, float], int]) -> float | None:
        """Seconds of one worker for so many tasks of each kind and work; None where a kind has not been seen yet."""
        expected = [(count, self.seconds(kind, work)) for (kind, work), count in tasks.items() if count]
        return None if any(one is None for _, one in expected) else sum(count * (one or 0) for count, one in expected)

    def left(self, tasks: Mapping[tuple[str, float], int], workers: int) -> float | None:
        """Seconds until all are made by so many workers: at least those of the longest one."""
        total = self.total(tasks)
        longest = max((self.seconds(*task) or 0 for task, count in tasks.items() if count), default=0)
        return None if total is None else max(total / workers, longest)


def counted(tasks: Iterable[Task]) -> dict[tuple[str, float], int]:
    """How many there are of each kind and work."""
    counts: dict[tuple[str, float], int] = {}
    for task in tasks:
        what = kind_of(task), work_of(task)
        counts[what] = counts.get(what, 0) + 1
    return counts


def _fit(seen: Mapping[float, float]) -> tuple[float, float]:
    """Fixed seconds, and seconds for a unit of work, neither below 0, from work → seconds.

    The slope is a median of those between all two sizes, weighted by how far they are apart, because single tasks may
    have met a busy machine or gone on from a checkpoint.
    """
    apart = [(a, b) for a, b in combinations(sorted(seen), 2) if b >= _APART * a]
    each = _weighted_median([((seen[b] - seen[a]) / (b - a), b - a) for a, b in apart])
    if each <= 0:  # one size, or no difference to be seen: believe in a small fixed time
        fixed = min(FIXED, _SHARE * min(seen.values()))
        return fixed, median((seconds - fixed) / work for work, seconds in seen.items())
    return max(0.0, median(seconds - each * work for work, seconds in seen.items())), each


def _weighted_median(values: list[tuple[float, float]]) -> float:
    """Of (value, weight); 0 of none."""
    half = sum(weight for _, weight in values) / 2
    for value, weight in sorted(values):
        half -= weight
        if half <= 0:
            return value
    return 0.0


def duration(seconds: float) -> str:
    """Seconds in words that fit: 42 s, 7 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def per_replicate(durations: Durations, plan: Plan, dataset: str) -> float | None:
    """Seconds of one worker for one replicate of a data set; None where a kind has not been seen yet."""
    return durations.total(counted(t for t in plan.tasks.values() if t.dataset == dataset and t.replicate == 0))

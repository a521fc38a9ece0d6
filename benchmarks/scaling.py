"""How do time and memory grow? Against images, epochs, runs and workers, with a log-log slope for each.

    python -m benchmarks.scaling [--images N] [--points N] [--repeats N] [--size S] [--only NAME ...]

Studies of noise (28 x 28 unless asked otherwise, one channel, two classes) run as any study does, in workers of one
thread that the engine starts. One thing at a time is doubled. A slope of 1 says that twice as much takes twice as long,
0 that it makes no difference, -1 that twice as many workers take half the time; the cores of the machine bound that.

- seconds: from the end of the study's first task, the data, to its last. The first worker's start is in no row.
- processor: seconds of all workers in that time, which other programs disturb less.
- memory: the largest resident peak of a worker, Torch and all.
- together: the own shares of all workers (PSS), summed, at their peak.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.machine import children, machine
from benchmarks.memory import Watch, noise, planned
from medaug_keras import engine
from medaug_keras.store import Store

WHAT = ("seconds", "processor", "memory", "together")


@dataclass(frozen=True)
class Point:
    """What one study asks for, and what it took."""

    images: int
    epochs: int
    runs: int
    workers: int
    size: int = 28
    """Pixels a side."""
    seconds: float = math.nan
    processor: float = math.nan
    """Seconds."""
    memory: float = math.nan
    """MiB."""
    together: float = math.nan
    """MiB."""


def measure(asked: Point, folder: Path) -> Point:
    """Run a study."""
    study = {
        "name": "scaling",
        "title": "Scaling",
        "question": "How do time and memory grow?",
        "samplings": ["shuffle"],
        "replicates": asked.runs,
        "classifier": {"epochs": asked.epochs},
        "arms": {"baseline": {}},
    }
    whole = planned(study, folder / "noise.npz", noise(asked.images, 1, 2, asked.size))
    ends = []

    def listen(event: engine.Event) -> None:
        if event.what == "done":
            ends.append((time.perf_counter(), _processor_seconds()))

    with Watch() as watch:
        summary = engine.run(whole, Store(folder / "results"), workers=asked.workers, listen=listen)
    if len(summary.done) != len(whole.tasks):
        raise RuntimeError(f"not all was done: {summary}")
    (start, used), (end, used_then) = ends[0], ends[-1]
    memory, together = max(watch.resident.values()), sum(watch.own)
    return replace(asked, seconds=end - start, processor=used_then - used, memory=memory, together=together)


def _processor_seconds() -> float:
    """Of all children of this process so far."""
    ticks = 0
    for child in children():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of the line through (log size, log value), by least squares; NaN for one size."""
    x, y = ([math.log(value) for value in some] for some in (sizes, values))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread if spread else math.nan


def series(images: int, points: int, size: int = 28) -> dict[str, list[Point]]:
    """What is asked: each series doubles one thing."""
    steps = [2**n for n in range(points)]
    cores = os.cpu_count() or 1
    return {
        "images": [Point(images * step, 1, 1, 1, size) for step in steps],
        "epochs": [Point(images, step, 1, 1, size) for step in steps],
        "runs": [Point(images, 1, step, 1, size) for step in steps],
        "workers": [Point(images, 1, steps[-1], step, size) for step in steps if step <= 2 * cores],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000, help="in the smallest study")
    parser.add_argument("--points", type=int, default=4, help="doublings, and one")
    parser.add_argument("--repeats", type=int, default=1, help="the one of least processor time is shown")
    parser.add_argument("--size", type=int, default=28, help="pixels a side")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="what grows; repeatable")
    options = parser.parse_args()
    print(f"{machine()}\n\nImages of {options.size} x {options.size}.\n")
    print("| what grows | images | epochs | runs | workers | seconds | processor | memory, MiB | together, MiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    slopes = []
    for name, asked in series(options.images, options.points, options.size).items():
        if options.only and name not in options.only:
            continue
        found = []
        for point in asked:
            tries = []
            for _ in range(options.repeats):
                with tempfile.TemporaryDirectory() as folder:
                    tries.append(measure(point, Path(folder)))
            best = min(tries, key=lambda one: one.processor)
            found.append(best)
            print(
                f"| {name} | {best.images:,} | {best.epochs} | {best.runs} | {best.workers} | {best.seconds:.1f} | "
                f"{best.processor:.1f} | {best.memory:.0f} | {best.together:.0f} |",
                flush=True,
            )
        sizes = [getattr(point, name) for point in found]
        of = [slope(sizes, [getattr(point, what) for point in found]) for what in WHAT]
        slopes.append("| " + " | ".join([name, *(f"{value:.2f}" for value in of)]) + " |")
    print(f"\n| log-log slope against | {' | '.join(WHAT)} |")
    print("|---|---|---|---|---|")
    print("\n".join(slopes))


if __name__ == "__main__":
    main()

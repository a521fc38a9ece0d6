"""How fast are the generators trained? Seconds of processor time an image, as ratios to plain PyTorch loops.

    python -m benchmarks.generators [--only KIND] [--images N] [--repeats N] [--threads N] [--precision P]

An epoch of ours (through `fit`, with its losses; `medaug_keras/generators`) and one of the same model written in plain
PyTorch (`benchmarks/plain.py`) take turns, on noise of BreastMNIST's size. With one thread processor time is measured,
which other programs on the machine disturb less.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch

from benchmarks import plain
from benchmarks.machine import machine
from medaug_keras import training
from medaug_keras.generators import GENERATORS
from medaug_keras.generators.fitting import Recipe, TrainingData
from medaug_keras.reading import read
from medaug_keras.spec import Flow, dump, of_synthesis

STUDY = Path(__file__).parent.parent / "study.yaml"
REFERENCES: dict[str, Callable[[plain.Data], plain.Epoch]] = {
    "cvae": lambda data: plain.vae(plain.ConditionalVae(), data),
    "joint_vae": lambda data: plain.vae(plain.JointVae(), data),
    "cgan": plain.gan,
    "flow": plain.flow,
}


def measure(
    kind: str, images: int, repeats: int, clock: Callable[[], float], precision: str
) -> tuple[list[float], list[float]]:
    """Microseconds an image of a plain epoch and of ours, one value a repeat."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (images, 28, 28, 1), dtype=np.uint8), rng.integers(0, 2, images)
    reference = REFERENCES[kind](data)
    used = {part.kind: part for part in read(STUDY).generators.values()}
    section = used.get(kind) or Flow(kind="flow")
    settings = {name: value for name, value in dump(section).items() if name not in of_synthesis(section)}
    settings.pop("kind")
    settings |= {"epochs": repeats + 1, "patience": None, "sampling": "shuffle"}
    passed = images
    if kind == "flow":  # its epochs are parts of `images`, and its batches are full
        passed = -(-images // settings["batch_size"]) * settings["batch_size"]
        settings["images"] = (repeats + 1) * passed
    theirs: list[float] = []
    ours: list[float] = []
    ended = clock()

    def on_epoch(epoch: int, losses: dict[str, float]) -> None:
        nonlocal ended
        ours.append((clock() - ended) / passed * 1e6)
        start = clock()
        with torch.autocast("cpu", enabled=False):
            reference()
        theirs.append((clock() - start) / images * 1e6)
        ended = clock()

    # two validation images: what is compared is training
    learned = TrainingData(*data, data[0][:2], data[1][:2], num_classes=2)
    recipe, own = Recipe.split(settings)
    with training.arithmetic(precision):
        GENERATORS[kind].fit(learned, recipe, seed=0, on_epoch=on_epoch, **own)
    return theirs[1:], ours[1:]  # the first of each warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(REFERENCES))
    parser.add_argument("--images", type=int, default=546)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of ours alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    print(f"{machine()}; threads: {options.threads}; precision of ours: {options.precision}\n")
    print("| generator | plain PyTorch, µs an image | ours | ratio (median of repeats) | range |")
    print("|---|---|---|---|---|")
    for kind in [options.only] if options.only else REFERENCES:
        theirs, ours = measure(kind, options.images, options.repeats, clock, options.precision)
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        middle = statistics.median(ratios)
        print(f"| {kind} | {statistics.median(theirs):.0f} | {statistics.median(ours):.0f} | {middle:.2f} | {spread} |")


if __name__ == "__main__":
    main()

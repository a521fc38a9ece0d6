"""What each way of making training faster gains: the same steps with all of them, and with each left out.

    python -m benchmarks.changes [--steps N] [--repeats N] [--only MODEL]

Each line is a process of one thread that trains one model on batches of 64 images of noise; the processes take turns,
and processor time is compared. A ratio above 1 is what leaving the change out costs.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch

from benchmarks.machine import default_recipe, machine, turn
from medaug_keras import augmentation, classifiers, training
from medaug_keras.generators import GENERATORS
from medaug_keras.generators.fitting import Recipe, TrainingData
from medaug_keras.networks import blocks, fused

BATCH = 64
CNN, TURNED = "classifier", "classifier of turned images"
CVAE, CGAN = "Conditional VAE", "Conditional GAN"
# model, what is left out, and how
WAYS: list[tuple[str, str, Callable[[], object] | None]] = [
    (CNN, "nothing", None),
    (CNN, "fused operations (Keras's own layers instead)", lambda: setattr(classifiers, "fuse", _keras_itself)),
    (CNN, "no gradient of idle biases", lambda: setattr(classifiers, "_idle_biases", lambda model: [])),
    (CNN, "memory that is kept", lambda: setattr(training, "keep_memory", lambda: None)),
    (TURNED, "nothing", None),
    (TURNED, "affine maps of a whole batch (Keras's own instead)", lambda: _maps_of_keras()),
    (CVAE, "nothing", None),
    (CVAE, "kernels in the order of their use", lambda: _as_laid_out()),
    (CVAE, "memory that is kept", lambda: setattr(training, "keep_memory", lambda: None)),
    (CGAN, "nothing", None),
    (CGAN, "kernels in the order of their use", lambda: _as_laid_out()),
    (CGAN, "memory that is kept", lambda: setattr(training, "keep_memory", lambda: None)),
]


def _keras_itself(model: keras.Model) -> Callable[..., torch.Tensor]:
    return lambda *inputs, training: model(*inputs, training=training)


def _maps_of_keras() -> None:
    augmentation.mapped = keras.ops.image.affine_transform


def _as_laid_out() -> None:
    for module in (fused, blocks):
        module.make_channels_last = lambda kernel: kernel  # type: ignore[attr-defined]


def _process(pipe: Connection, number: int, steps: int) -> None:
    """One line of the table: trains `steps` batches when it is told, and says the microseconds an image."""
    name, _, leave_out = WAYS[number]
    if leave_out is not None:
        leave_out()
    training.keep_memory()
    torch.set_num_threads(1)
    ended = 0.0

    def on_epoch(epoch: int, logs: dict[str, float]) -> None:
        nonlocal ended
        pipe.send((time.process_time() - ended) / (steps * BATCH) * 1e6)
        turn(pipe)
        ended = time.process_time()

    rng = np.random.default_rng(0)
    count = steps * BATCH
    data = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8), rng.integers(0, 2, count)
    held_out = data[0][:2], np.arange(2)
    turn(pipe)
    ended = time.process_time()
    if name in (CNN, TURNED):
        model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
        augment = [{"layer": "RandomRotation", "factor": 0.1}] if name == TURNED else []
        others = {"num_classes": 2, "sampling": "shuffle", "augment": augment, "seed": 0, "on_epoch": on_epoch}
        splits = {"validation": held_out, "test": held_out}
        classifiers.fit(model, data, splits, **default_recipe(epochs=10**6, batch_size=BATCH), **others)
    adam = {"kind": "adam", "learning_rate": 1e-4, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    settings = {"epochs": 10**6, "batch_size": BATCH, "sampling": "shuffle", "patience": None}
    recipe = Recipe(**settings, keep="last", optimizer=adam, learning_rate_decay=1.0)
    both = {"latent_dim": 128, "seed": 0, "on_epoch": on_epoch}
    learned = TrainingData(*data, *held_out, num_classes=2)
    if name == CVAE:
        GENERATORS["cvae"].fit(learned, recipe, reconstruction="sum", kl_weight=0.005, **both)
    own = {"loss": "relativistic_average", "class_head": False, "class_head_weight": 1.0}
    GENERATORS["cgan"].fit(learned, recipe, **own, **both)


def measure(steps: int, repeats: int, numbers: Sequence[int]) -> list[list[float]]:
    """Microseconds an image of these ways, one value a repeat."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for number in numbers:
        mine, theirs = context.Pipe()
        context.Process(target=_process, args=(theirs, number, steps), daemon=True).start()
        pipes.append(mine)
    found: list[list[float]] = [[] for _ in numbers]
    for repeat in range(repeats + 1):
        for pipe, times in zip(pipes, found, strict=True):
            pipe.send(True)
            time_an_image = pipe.recv()
            if repeat:  # the first warms up
                times.append(time_an_image)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", metavar="MODEL", choices=sorted({name for name, _, _ in WAYS}))
    options = parser.parse_args()
    numbers = [n for n, (name, _, _) in enumerate(WAYS) if options.only in (None, name)]
    found = measure(options.steps, options.repeats, numbers)
    print(f"{machine()}; one thread\n")
    print("| model | left out | µs an image (median) | ratio to nothing left out (median of repeats) |")
    print("|---|---|---|---|")
    models = [WAYS[n][0] for n in numbers]
    for number, times in zip(numbers, found, strict=True):
        name, what, _ = WAYS[number]
        whole = found[models.index(name)]
        ratio = statistics.median(time / reference for time, reference in zip(times, whole, strict=True))
        print(f"| {name} | {what} | {statistics.median(times):.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()

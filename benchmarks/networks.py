"""How fast are larger classifiers trained? Processor time an image, as ratios to a plain PyTorch loop in the same run.

    python -m benchmarks.networks [--images N] [--repeats N] [--network NAME ...]

Every way trains the same network on noise in color, batch 64, SGD with momentum, and judges an eighth as many
validation images after the epoch. Each way has a process of its own with one thread; they take turns.

- plain: a PyTorch loop over tensors in memory, channels last (`benchmarks/plain.py`), the reference.
- ours: `medaug_keras.classifiers.fit` with all that an epoch measures, in a process that keeps its memory, as a worker
  does.
- ours, bfloat16: the same with `precision: bfloat16`.
- stock Keras: `model.fit` on float arrays in memory.

The first epoch of each is not counted. At the end, the largest resident memory of each process.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch

from benchmarks import plain
from benchmarks.machine import default_recipe, machine, turn
from benchmarks.plain import BATCH, Data
from medaug_keras import classifiers, training

NETWORKS = {  # name → pixels a side, kind and settings, the same in plain PyTorch
    "resnet18-28": (28, {"kind": "resnet18", "stem": "small"}, plain.resnet18),
    "resnet18-64": (64, {"kind": "resnet18", "stem": "small"}, plain.resnet18),
    "cnn-28": (28, {"kind": "cnn"}, lambda: plain.classifier_network(channels=3)),
    "EfficientNetB0-64": (
        64,
        {"kind": "applications", "name": "EfficientNetB0", "weights": None, "train": "all"},
        plain.efficientnet_b0,
    ),
}
WAYS = ("plain", "ours", "ours, bfloat16", "stock Keras")


def noise(count: int, side: int) -> Data:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8), rng.integers(0, 2, count)


def epochs_of(way: str, network: str, images: int, epochs: int, done: Callable[[], None]) -> None:
    """Train so many epochs, and call `done` after each."""
    side, settings, plain_network = NETWORKS[network]
    data, validation = noise(images, side), noise(images // 8, side)
    if way == "plain":
        epoch = plain.classifier(data, network=plain_network(), validation=validation)
        for _ in range(epochs):
            epoch()
            done()
        return
    model = classifiers.build(**settings, image_shape=data[0].shape[1:], num_classes=2, head="softmax", seed=0)
    if way.startswith("ours"):
        with training.arithmetic("bfloat16" if way == "ours, bfloat16" else "float32"):
            classifiers.fit(
                model,
                data,
                {"validation": validation, "test": noise(8, side)},
                num_classes=2,
                sampling="shuffle",
                augment=[],
                seed=0,
                on_epoch=lambda epoch, logs: done(),
                **default_recipe(epochs=epochs, batch_size=BATCH),
            )
        return
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.001, 0.9), loss, metrics=["accuracy"])
    scaled, judged = ((x.astype(np.float32) / 127.5 - 1, y) for x, y in (data, validation))
    ended = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: done())
    model.fit(*scaled, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[ended], validation_data=judged)


def _process(pipe: Connection, way: str, network: str, images: int, epochs: int) -> None:
    torch.set_num_threads(1)
    if way.startswith("ours"):
        training.keep_memory()
    turn(pipe)
    start = time.process_time()

    def done() -> None:
        nonlocal start
        pipe.send((time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
        turn(pipe)
        start = time.process_time()

    epochs_of(way, network, images, epochs, done)


def measure(network: str, images: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Way → seconds of each epoch after the first, and MiB of memory by then."""
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for way in WAYS:
        pipes[way], theirs = context.Pipe()
        arguments = (theirs, way, network, images, repeats + 1)
        context.Process(target=_process, args=arguments, daemon=True).start()
        theirs.close()  # so that the process ends when this one closes its end
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for repeat in range(repeats + 1):
        for way, pipe in pipes.items():
            pipe.send(True)
            seconds = pipe.recv()
            if repeat:
                found[way].append(seconds)
    for pipe in pipes.values():
        pipe.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--network", choices=NETWORKS, action="append")
    options = parser.parse_args()
    print(f"{machine()}; one thread each\n")
    print("| network | way | ms an image (median) | ratio to plain (median of repeats) | range | memory, MiB |")
    print("|---|---|---|---|---|---|")
    for network in options.network or NETWORKS:
        found = measure(network, options.images, options.repeats)
        for way, epochs in found.items():
            each = [seconds / options.images * 1e3 for seconds, _ in epochs]
            ratios = [ours / reference for (ours, _), (reference, _) in zip(epochs, found["plain"], strict=True)]
            middle, spread = statistics.median(ratios), f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(
                f"| {network} | {way} | {statistics.median(each):.1f} | {middle:.2f} | {spread} | {epochs[-1][1]:.0f} |"
            )


if __name__ == "__main__":
    main()

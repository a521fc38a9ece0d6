"""How fast is the classifier trained? Time an image, as ratios to a plain PyTorch loop in the same run.

    python -m benchmarks.training [--images N] [--repeats N] [--threads N] [--precision P]

Every way trains the same network (Fig. 9, one channel, two classes) on noise of PneumoniaMNIST's size, batch 64, SGD
with momentum. The ways take turns, and the medians of their ratios are printed: machines are shared and noisy.

- plain: a PyTorch loop over tensors in memory, channels last (`benchmarks/plain.py`), the reference. It has no metrics.
- ours: `medaug_keras.classifiers.fit`, with all that an epoch measures of training and validation images. Epochs from
  the second on are timed, so neither building the model nor judging test images once a run are in it.
- ours + geometric, ours + weighted: with the paper's four steps, or weighted sampling.
- two workers: two processes of one thread each that do the same as ours, side by side, as a study's workers are; the
  mean of their times an image, halved because there are two.
- loader: a PyTorch loop with a DataLoader that turns one Pillow image after the other into a tensor, as the paper's
  code does with torchvision.
- loader + geometric: the same with Pillow's versions of the geometric steps.
- stock Keras: `model.fit` on float arrays in memory.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

from benchmarks import plain
from benchmarks.machine import default_recipe, machine, turn
from benchmarks.plain import BATCH, Data, Epoch
from medaug_keras import classifiers, training

GEOMETRIC = [
    {"layer": "sharpness", "factor": 2.0, "probability": 0.5},
    {"layer": "autocontrast", "probability": 0.5},
    {"layer": "hue", "delta": 0.05},
    {"layer": "horizontal_flip", "probability": 0.5},
]
HALF = (0.5,)


class PillowImages(torch.utils.data.Dataset):
    """One image at a time, through Pillow, with the operations of torchvision's ToTensor and Normalize."""

    def __init__(self, data: Data, geometric: bool) -> None:
        self.images, self.labels, self.geometric = *data, geometric

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index, :, :, 0])
        if self.geometric:
            image = _geometric(image)
        pixels = torch.from_numpy(np.array(image, copy=True)).view(28, 28, 1)
        x = pixels.permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        mean, deviation = (torch.as_tensor(HALF, dtype=x.dtype) for _ in range(2))
        if bool((deviation == 0).any()):
            raise ZeroDivisionError
        return x.clone().sub_(mean.view(-1, 1, 1)).div_(deviation.view(-1, 1, 1)), int(self.labels[index])


def _geometric(image: Image.Image) -> Image.Image:
    """Hue leaves grey images as they are, so only its draws are made."""
    if torch.rand(1) < 0.5:
        image = ImageEnhance.Sharpness(image).enhance(2.0)
    if torch.rand(1) < 0.5:
        image = ImageOps.autocontrast(image)
    torch.randperm(4)
    torch.empty(1).uniform_(-0.05, 0.05)
    return ImageOps.mirror(image) if torch.rand(1) < 0.5 else image


def from_loader(data: Data, geometric: bool) -> Epoch:
    """The paper's way."""
    loader = torch.utils.data.DataLoader(PillowImages(data, geometric), batch_size=BATCH, shuffle=True)
    network = plain.classifier_network()
    descent = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)

    def epoch() -> None:
        for x, y in loader:
            loss = torch.nn.functional.cross_entropy(network(x), y)
            descent.zero_grad()
            loss.backward()
            descent.step()

    return epoch


def ours(
    data: Data,
    held_out: dict[str, Data],
    clock: Callable[[], float],
    sampling: str = "shuffle",
    steps: Sequence[dict] = (),
    *,
    precision: str,
) -> float:
    """As a task of a study trains it: seconds of its second epoch."""
    ends = []
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    with training.arithmetic(precision):
        classifiers.fit(
            model,
            data,
            held_out,
            num_classes=2,
            sampling=sampling,
            augment=steps,
            seed=0,
            on_epoch=lambda epoch, logs: ends.append(clock()),
            **default_recipe(epochs=2, batch_size=BATCH),
        )
    return ends[1] - ends[0]


def stock(data: Data, clock: Callable[[], float]) -> float:
    """Keras as it comes: seconds of its second epoch."""
    ends = []
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.001, 0.9), loss, metrics=["accuracy"])
    ended = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(clock()))
    images = data[0].astype(np.float32) / 127.5 - 1
    model.fit(images, data[1], batch_size=BATCH, epochs=2, verbose=0, callbacks=[ended])
    return ends[1] - ends[0]


def timed(epoch: Epoch, clock: Callable[[], float]) -> float:
    """Seconds of an epoch."""
    start = clock()
    epoch()
    return clock() - start


def sizes(images: int) -> tuple[Data, dict[str, Data]]:
    """Noise: training images, and validation and test images in PneumoniaMNIST's proportions."""
    rng = np.random.default_rng(0)

    def noise(count: int) -> Data:
        return rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8), rng.integers(0, 2, count)

    return noise(images), {"validation": noise(images // 9), "test": noise(images * 624 // 4708)}


def _worker(pipe: Connection, images: int, precision: str) -> None:
    training.keep_memory()
    torch.set_num_threads(1)
    data, held_out = sizes(images)
    while True:
        turn(pipe)
        pipe.send(ours(data, held_out, time.perf_counter, precision=precision))


class TwoWorkers:
    """Two processes that train when they are told."""

    def __init__(self, images: int, precision: str) -> None:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(2)]
        self.pipes = [mine for mine, _ in pipes]
        for _, theirs in pipes:
            context.Process(target=_worker, args=(theirs, images, precision), daemon=True).start()

    def __call__(self) -> float:
        for pipe in self.pipes:
            pipe.send(True)
        return statistics.mean(pipe.recv() for pipe in self.pipes) / 2


def measure(images: int, repeats: int, clock: Callable[[], float], precision: str) -> dict[str, list[float]]:
    """Microseconds an image of every way, one value a repeat."""
    data, held_out = sizes(images)
    reference, loader, geometric = plain.classifier(data), from_loader(data, False), from_loader(data, True)
    mine = partial(ours, precision=precision)
    ways: dict[str, Callable[[], float]] = {
        "plain": lambda: timed(reference, clock),
        "ours": lambda: mine(data, held_out, clock),
        "ours + geometric": lambda: mine(data, held_out, clock, steps=GEOMETRIC),
        "ours + weighted": lambda: mine(data, held_out, clock, sampling="weighted"),
        "loader": lambda: timed(loader, clock),
        "loader + geometric": lambda: timed(geometric, clock),
        "stock Keras": lambda: stock(data, clock),
    }
    if clock is time.perf_counter:
        ways["two workers"] = TwoWorkers(images, precision)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            seconds = way()
            if repeat:  # the first warms up
                found[name].append(seconds / images * 1e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4708)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--threads", type=int, default=2, help="with 1, processor time is measured, without two workers"
    )
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of ours alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    found = measure(options.images, options.repeats, clock, options.precision)
    print(f"{machine()}; threads: {options.threads}; precision of ours: {options.precision}\n")
    print("| way | µs an image (median) | ratio to plain (median of repeats) | range |")
    print("|---|---|---|---|")
    for name, times in found.items():
        ratios = [time / reference for time, reference in zip(times, found["plain"], strict=True)]
        middle = statistics.median(ratios)
        print(f"| {name} | {statistics.median(times):.0f} | {middle:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")


if __name__ == "__main__":
    main()

"""How fast is the classifier trained? Times an image as ratios to a plain PyTorch loop in the same run.

    python -m benchmarks.training [--images N] [--repeats N] [--threads N]

Every way trains the same network (Fig. 9, one channel, two classes) for one epoch of noise of the same size, batch 64,
SGD with momentum. The ways take turns, and the medians of their ratios are printed: machines are shared and noisy.

- plain: a PyTorch loop over tensors in memory, channels last: the reference.
- ours: `medaug_keras.classifiers.fit`, with its validation and training metrics.
- ours + geometric, ours + weighted: with the paper's four steps, or weighted sampling.
- loader: a PyTorch loop with a DataLoader that turns one Pillow image after the other into a tensor, as the paper's
  code does.
- loader + geometric: the same with Pillow's versions of the geometric steps.
- stock Keras: `model.fit` on float arrays in memory.
"""

import argparse
import os
import platform
import random
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

from medaug_keras import classifiers

BATCH = 64
GEOMETRIC = [
    {"layer": "sharpness", "factor": 2.0, "probability": 0.5},
    {"layer": "autocontrast", "probability": 0.5},
    {"layer": "hue", "delta": 0.05},
    {"layer": "horizontal_flip", "probability": 0.5},
]
Data = tuple[np.ndarray, np.ndarray]


def plain_network() -> torch.nn.Module:
    nn = torch.nn

    def block(into: int, out: int, padding: int = 0) -> list[torch.nn.Module]:
        return [nn.Conv2d(into, out, 3, padding=padding), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]

    return nn.Sequential(
        *block(1, 16),
        *block(16, 16),
        nn.MaxPool2d(2),
        *block(16, 64),
        *block(64, 64),
        *block(64, 64, 1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 128),
        nn.ReLU(inplace=True),
        nn.Linear(128, 128),
        nn.ReLU(inplace=True),
        nn.Linear(128, 2),
    )


def train_plain(data: Data) -> None:
    images, labels = (torch.from_numpy(array) for array in data)
    network = plain_network().to(memory_format=torch.channels_last)
    descent = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    for batch in torch.randperm(len(labels)).split(BATCH):
        x = images[batch].permute(0, 3, 1, 2).float().div_(255).sub_(0.5).div_(0.5)
        loss = torch.nn.functional.cross_entropy(network(x), labels[batch])
        descent.zero_grad()
        loss.backward()
        descent.step()


class PillowImages(torch.utils.data.Dataset):
    """One image at a time, through Pillow, as torchvision's pipeline does."""

    def __init__(self, data: Data, geometric: bool) -> None:
        self.images, self.labels, self.geometric = *data, geometric

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index, :, :, 0])
        if self.geometric:
            if random.random() < 0.5:
                image = ImageEnhance.Sharpness(image).enhance(2.0)
            if random.random() < 0.5:
                image = ImageOps.autocontrast(image)
            if random.random() < 0.5:
                image = ImageOps.mirror(image)
        x = torch.from_numpy(np.array(image))[None].float().div(255)
        return (x - 0.5) / 0.5, int(self.labels[index])


def train_from_loader(data: Data, geometric: bool) -> None:
    loader = torch.utils.data.DataLoader(PillowImages(data, geometric), batch_size=BATCH, shuffle=True)
    network = plain_network()
    descent = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    for x, y in loader:
        loss = torch.nn.functional.cross_entropy(network(x), y)
        descent.zero_grad()
        loss.backward()
        descent.step()


def train_ours(data: Data, held_out: dict[str, Data], sampling: str = "shuffle", augment: list | None = None) -> None:
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    classifiers.fit(
        model,
        data,
        held_out,
        task="binary-class",
        num_classes=2,
        head="softmax",
        epochs=1,
        batch_size=BATCH,
        optimizer={"learning_rate": 0.001, "momentum": 0.9},
        sampling=sampling,
        augment=augment or [],
        seed=0,
        report=lambda epoch, logs: None,
    )


def train_stock(data: Data) -> None:
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.001, 0.9), loss, metrics=["accuracy"])
    model.fit(data[0].astype(np.float32) / 127.5 - 1, data[1], batch_size=BATCH, epochs=1, verbose=0)


def measure(images: int, repeats: int) -> dict[str, list[float]]:
    """Microseconds an image of every way, one value a repeat."""
    rng = np.random.default_rng(0)

    def noise(count: int) -> Data:
        return rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8), rng.integers(0, 2, count)

    data = noise(images)
    held_out = {"validation": noise(images // 9), "test": noise(64)}
    ways: dict[str, Callable[[], None]] = {
        "plain": lambda: train_plain(data),
        "ours": lambda: train_ours(data, held_out),
        "ours + geometric": lambda: train_ours(data, held_out, augment=GEOMETRIC),
        "ours + weighted": lambda: train_ours(data, held_out, sampling="weighted"),
        "loader": lambda: train_from_loader(data, False),
        "loader + geometric": lambda: train_from_loader(data, True),
        "stock Keras": lambda: train_stock(data),
    }
    for way in ways.values():
        way()  # once to warm up
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            found[name].append((time.perf_counter() - start) / images * 1e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4708)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = measure(options.images, options.repeats)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads, torch {torch.__version__}\n")
    print("| way | µs an image (median) | ratio to plain (median of repeats) | range |")
    print("|---|---|---|---|")
    for name, times in found.items():
        ratios = [time / plain for time, plain in zip(times, found["plain"], strict=True)]
        middle = statistics.median(ratios)
        print(f"| {name} | {statistics.median(times):.0f} | {middle:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")


if __name__ == "__main__":
    main()

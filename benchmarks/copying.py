"""Which copies does the copy check find? Copies of real training images are planted, altered in ten ways.

    python -m benchmarks.copying [FILE.npz ...] [--size 64]

A file is laid out as MedMNIST's; without one, phantoms are taken, which is enough to see that it runs. In each of
`--sets` rounds four fifths of the training images are what a generator knows; the rest are real images that it does not
know. A set of `--images` images has a share of altered copies of known images, and unknown images for the rest. Then
sets of unknown images alone are judged: each one called copies is a false alarm. Pixels and aligned thumbnails are
searched, as in a quality task, which searches classifier features too.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaug_keras.data import load_phantom
from medaug_keras.evaluation import copying
from medaug_keras.evaluation.chosen import mirror

Images = NDArray[np.uint8]  # (n, H, W, C)
MOST = 3000  # images of a round
SEARCHES = {
    "pixels": (lambda images: images.reshape(len(images), -1), copying.nearest),
    "aligned": (copying.thumbnails, copying.nearest_aligned),
}


def rounded(images: NDArray[np.floating]) -> Images:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def zoomed(images: Images, factor: float) -> Images:
    centre = (np.array(images.shape[1:3]) - 1) / 2
    matrix, offset = (1, 1 / factor, 1 / factor, 1), (0, *(centre - centre / factor), 0)
    return rounded(ndimage.affine_transform(images.astype(float), matrix, offset, order=1, mode="nearest"))


def turned(images: Images, degrees: float) -> Images:
    return rounded(ndimage.rotate(images.astype(float), degrees, axes=(1, 2), reshape=False, order=1, mode="nearest"))


def paler(images: Images) -> Images:
    mean = images.mean(axis=(1, 2), keepdims=True)
    return rounded(0.9 * (images - mean) + mean)


ALTERATIONS: dict[str, Callable[[Images, Images, np.random.Generator], Images]] = {
    "as it is": lambda images, known, rng: images,
    "mirrored": lambda images, known, rng: images[:, :, ::-1],
    "moved by 1 pixel": lambda images, known, rng: np.pad(images[:, :, :-1], [(0, 0), (0, 0), (1, 0), (0, 0)], "edge"),
    "turned by 2 degrees": lambda images, known, rng: turned(images, 2),
    "turned by 5 degrees": lambda images, known, rng: turned(images, 5),
    "enlarged by 5 %": lambda images, known, rng: zoomed(images, 1.05),
    "contrast x 0.9": lambda images, known, rng: paler(images),
    "blurred, SD 1 pixel": lambda images, known, rng: rounded(
        ndimage.gaussian_filter(images.astype(float), (0, 1, 1, 0))
    ),
    "noise, SD 8 grey levels": lambda images, known, rng: rounded(images + rng.normal(0, 8, images.shape)),
    "blended .8 / .2 with another": lambda images, known, rng: rounded(
        0.8 * images + 0.2 * known[rng.permutation(len(known))[: len(images)]]
    ),
}


def read(path: Path, size: int | None) -> dict[str, Images]:
    """Training and test images (n, H, W, C), shrunk to `size` by averaging where it is given."""
    found = {}
    with np.load(path, allow_pickle=False) as file:
        for split in ("train", "test"):
            images = file[f"{split}_images"]
            images = images if images.ndim == 4 else images[..., None]
            if size is not None and size != images.shape[1]:
                step, rest = divmod(images.shape[1], size)
                if rest:
                    raise SystemExit(f"{path}: {images.shape[1]} pixels are no multiple of {size}")
                cells = images.reshape(len(images), size, step, size, step, -1)
                images = rounded(cells.mean(axis=(2, 4)))
            found[split] = images
    return found


def phantoms() -> dict[str, Images]:
    """Training and test images that are made here."""
    made = load_phantom("phantom-ultrasound", train=200, validation=10, test=60, seed=0)
    return {"train": made.train.images, "test": made.test.images}


def is_found(synthetic: Images, known: Images, test: Images, seed: int) -> bool:
    """Whether a set is called copies, in either space."""
    sample = np.sort(np.random.default_rng(seed).permutation(len(known))[:1000])
    one_class = {"synthetic_labels": np.zeros(len(synthetic), int), "test_labels": np.zeros(len(test), int)}
    for look, find in SEARCHES.values():
        values, _ = copying.look_for_copies(
            synthetic=look(synthetic),
            synthetic_mirrored=look(mirror(synthetic)),
            train=look(known),
            test=look(test),
            test_mirrored=look(mirror(test)),
            sample=sample,
            sample_mirrored=look(mirror(known[sample])),
            find=find,
            false_alarm=copying.FALSE_ALARM / len(SEARCHES),
            draws=1,
            seed=seed,
            **one_class,
        )
        if values["verdict"] == copying.FOUND:
            return True
    return False


def halves(images: Images, seed: int) -> tuple[Images, Images]:
    """What the generator knows, and what it does not."""
    order = np.random.default_rng(seed).permutation(len(images))[:MOST]
    known, unknown = np.split(images[order], [len(order) * 4 // 5])
    return known, unknown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE.npz")
    parser.add_argument("--size", type=int)
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.2, 0.05])
    parser.add_argument("--unseen", type=int, default=100, help="sets of unknown images")
    options = parser.parse_args()
    for path in options.files or [None]:
        images = phantoms() if path is None else read(path, options.size)
        test = images["test"][:MOST]
        name, size = path.stem if path else "phantoms", images["train"].shape[1]
        print(f"\n{name}, {size} pixels: sets called copies, of {options.sets}")
        print("| altered |", " | ".join(f"{share:.0%} of the images" for share in options.shares), "|")
        print("|---|", "|".join("---" for _ in options.shares), "|", sep="")
        for alteration, alter in ALTERATIONS.items():
            counts = []
            for share in options.shares:
                copies, found = round(share * options.images), 0
                for seed in range(options.sets):
                    known, unknown = halves(images["train"], seed)
                    rng = np.random.default_rng([seed, 1])
                    chosen = known[rng.permutation(len(known))[:copies]]
                    others = unknown[rng.permutation(len(unknown))[: options.images - copies]]
                    found += is_found(np.concatenate([alter(chosen, known, rng), others]), known, test, seed)
                counts.append(str(found))
            print(f"| {alteration} |", " | ".join(counts), "|", flush=True)
        alarms = 0
        for seed in range(options.unseen):
            known, unknown = halves(images["train"], seed)
            alarms += is_found(unknown[: options.images], known, test, seed)
        print(f"\nSets of unknown images alone called copies: {alarms} of {options.unseen}", flush=True)


if __name__ == "__main__":
    main()

"""Which near duplicates does the audit find, and which images does it accuse? Copies are planted, altered in many ways.

    python -m benchmarks.duplicates [FILE.npz ...]

A file is laid out as MedMNIST's; without one, phantoms are taken, which is enough to see that it runs. First the images
are searched as they are: pairs of identical images left out, how many pairs are found, and in what processor time. Then
`--images` of them are planted again, altered; a copy counts as found where it is paired with its original.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medaug_keras.data import load_phantom
from medaug_keras.data.duplicates import Pairs, near_duplicates

Picture = NDArray[np.uint8]  # (H, W, C)


def _image(picture: Picture) -> Image.Image:
    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else np.ascontiguousarray(picture))


def resized(picture: Picture, factor: float) -> Picture:
    side = len(picture)
    small = _image(picture).resize((round(side * factor),) * 2, Image.Resampling.BILINEAR)
    return np.asarray(small.resize((side, side), Image.Resampling.BILINEAR)).reshape(picture.shape)


def encoded(picture: Picture) -> Picture:
    file = io.BytesIO()
    _image(picture).save(file, "JPEG", quality=50)
    return np.asarray(Image.open(file)).reshape(picture.shape)


def moved(picture: Picture, pixels: float, way: int) -> Picture:
    by = pixels * len(picture) / 28
    down, right = ((by, 0), (0, -by), (by, by), (-by, by))[way]
    found = ndimage.shift(picture.astype(np.float32), (down, right, 0), order=1, mode="nearest")
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def brighter(picture: Picture, factor: float) -> Picture:
    return np.clip(picture * factor, 0, 255).astype(np.uint8)


ALTERATIONS: dict[str, Callable[[Picture, int], Picture]] = {
    "shrunk to half and enlarged": lambda picture, way: resized(picture, 0.5),
    "shrunk to 0.7 and enlarged": lambda picture, way: resized(picture, 0.7),
    "enlarged to twice and shrunk": lambda picture, way: resized(picture, 2),
    "JPEG of quality 50": lambda picture, way: encoded(picture),
    "moved by 1 pixel": lambda picture, way: moved(picture, 1, way),
    "moved by 1.5 pixels": lambda picture, way: moved(picture, 1.5, way),
    "moved by 2 pixels": lambda picture, way: moved(picture, 2, way),
    "moved by 3 pixels": lambda picture, way: moved(picture, 3, way),
    "brighter by 10 %": lambda picture, way: brighter(picture, 1.1),
    "darker by 10 %": lambda picture, way: brighter(picture, 0.9),
    "mirrored": lambda picture, way: picture[:, ::-1],
    "mirrored, moved by 2 pixels, JPEG": lambda picture, way: encoded(moved(picture[:, ::-1], 2, way)),
}


def search(images: NDArray[np.uint8]) -> Pairs:
    return near_duplicates(lambda i, j: images[i:j], len(images))


def different(path: Path | None) -> NDArray[np.uint8]:
    """The images of all splits, each once, (N, H, W, C)."""
    if path is None:
        return load_phantom("phantom-ultrasound", train=500, validation=8, test=8, seed=0).train.images
    with np.load(path, allow_pickle=False) as file:
        images = np.concatenate([file[f"{split}_images"] for split in ("train", "val", "test")])
    images = images.reshape(*images.shape[:3], -1)
    once = dict.fromkeys(image.tobytes() for image in images)
    return np.stack([np.frombuffer(some, np.uint8).reshape(images.shape[1:]) for some in once])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[None])
    parser.add_argument("--images", type=int, default=300, help="planted of each alteration (default: 300)")
    options = parser.parse_args()
    for path in options.files:
        images = different(path)
        started = time.process_time()
        pairs = search(images)
        seconds = time.process_time() - started
        print(f"{path.name if path else 'phantoms'}: {len(images):,} different images of {images.shape[1]} pixels")
        print(f"{len(pairs):,} pairs ({int(pairs.mirrored.sum())} mirrored) in {seconds:.1f} s of processor time\n")
        print("| copies | found |\n|---|---|", flush=True)
        rng = np.random.default_rng(0)
        chosen = rng.choice(len(images), min(options.images, len(images)), replace=False)
        for name, alter in ALTERATIONS.items():
            copies = np.stack([alter(images[i], int(rng.integers(4))) for i in chosen])
            found = {(int(a), int(b)) for a, b in search(np.concatenate([images, copies])).places}
            hits = sum((int(i), len(images) + place) in found for place, i in enumerate(chosen))
            print(f"| {name} | {100 * hits / len(chosen):.1f} % |", flush=True)
        print()


if __name__ == "__main__":
    main()

"""How fast are images of folders read? Beside Pillow alone in as many processes.

    python -m benchmarks.decoding [FOLDER] [--images N] [--repeats N] [--size S]

The images of FOLDER, enlarged to 600 x 450 as in HAM10000, or noise that is smoothed, as JPEG and as PNG. Each way
reads the same files, crops them to squares and resizes them; ways take turns in each repeat.

- Pillow: `Image.open`, `convert`, `resize` and no more, in a pool of processes, as many as there are cores.
- ours: `medaug_keras.data.load_folder` into files that workers map. Besides, it holds every file against its own
  checksums and header, makes the fingerprint, and writes the images.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import machine
from medaug_keras import data
from medaug_keras.data.files import THREADS
from medaug_keras.data.pixels import SUFFIXES

SIZE = (600, 450)
SPLITS = (("train", 8), ("val", 1), ("test", 1))


def pictures(folder: Path | None, count: int) -> Sequence[Image.Image]:
    """RGB images of 600 x 450."""
    if folder is not None:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:count]
        return [Image.open(path).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC) for path in files]
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 30, 40, 3), dtype=np.uint8)
    return [Image.fromarray(image).resize(SIZE, Image.Resampling.BICUBIC) for image in coarse]


def written(images: Sequence[Image.Image], folder: Path, suffix: str) -> list[Path]:
    """The images as files, in splits and classes."""
    places = [split for split, share in SPLITS for _ in range(share)]
    paths = []
    for i, image in enumerate(images):
        path = folder / places[i % len(places)] / "ab"[i // len(places) % 2] / f"{i}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **({"quality": 95} if suffix == ".jpg" else {}))
        paths.append(path)
    return paths


def alone(path: Path, size: int) -> int:
    """What anyone would write to read one image."""
    with Image.open(path) as image:
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
        pixels = np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box))
    return int(pixels[0, 0, 0])


def ours(folder: Path, size: int) -> None:
    """The same by this program."""
    said = {"name": "many", "title": "Many", "size": size, "colour": None, "fit": "crop"}
    with tempfile.TemporaryDirectory() as place:
        data.unpacked(Path(place) / "many", lambda room: data.load_folder(folder, room=room, **said))  # type: ignore[arg-type]


def exhaust(pool: ProcessPoolExecutor, read: Callable[[Path], int], paths: Sequence[Path]) -> None:
    """Read all paths in a pool's processes."""
    for _ in pool.map(read, paths, chunksize=8):
        pass


def seconds(work: Callable[[], object]) -> float:
    """That something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    images = pictures(options.folder, options.images)
    print(f"{machine()}; {THREADS} processes or threads\n")
    print(
        f"| {len(images):,} images | Pillow, ms an image (median) | ours (median) | speed of ours to Pillow's | range |"
    )
    print("|---|---|---|---|---|", flush=True)
    for suffix in (".jpg", ".png"):
        with tempfile.TemporaryDirectory() as place, ProcessPoolExecutor(THREADS) as pool:
            paths = written(images, Path(place), suffix)
            read = partial(alone, size=options.size)
            list(pool.map(read, paths[:THREADS]))  # the processes are there
            pairs = []
            for repeat in range(options.repeats):
                ways = [partial(exhaust, pool, read, paths), partial(ours, Path(place), options.size)]
                both = [0.0, 0.0]
                for way in (0, 1) if repeat % 2 else (1, 0):
                    both[way] = seconds(ways[way])
                pairs.append(both)
        theirs, mine = (statistics.median(pair[way] for pair in pairs) * 1000 / len(paths) for way in (0, 1))
        ratios = [pair[0] / pair[1] for pair in pairs]
        print(
            f"| {suffix[1:].upper()} | {theirs:.2f} | {mine:.2f} | {statistics.median(ratios):.2f} | "
            f"{min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Phantoms: simulated images whose making is known. They show no patient and stand for no disease.

`phantom-ultrasound` (grey, two classes) draws one dark lesion in speckled tissue; `phantom-histology` (RGB, four
classes) draws stained nuclei in four arrangements. `phantom-planted` (grey, two classes) draws a bright spot with a
trail, on the left in training and validation images and on either side in test images: an effect of augmentation is
planted. Classes overlap on purpose, so that a classifier can be better or worse. The models are our own, chosen to look
plausible at 28 x 28, not to reproduce any measurement. Larger ones show the same things in more pixels.

Only +, -, *, /, floor and square roots are used, which IEEE 754 rounds alike everywhere: the same settings give the
same bytes on every machine. Shapes: N images, S pixels a side; lengths are in half sides, so a side is -1..1.
"""

import hashlib
import json
from collections.abc import Callable

import numpy as np

from medaug_keras.data.dataset import IMAGE_SIZE, SPLITS, DataError, Dataset, Sizes, Split
from medaug_keras.data.room import Memory, Room

_VERSION = 1  # of the images: raised when the same settings give other bytes
_BLOCK = 256  # images of 28 x 28 drawn at a time, to bound memory; part of the version, since it orders the draws

_Draw = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]  # labels (N,), S → images (N, S, S, C)

TITLES = {
    "phantom-ultrasound": "Phantom ultrasound",
    "phantom-histology": "Phantom histology",
    "phantom-planted": "Planted effects",
}
"""Name of a phantom → how it is written."""

_DESCRIPTIONS = {
    "phantom-ultrasound": (
        "Simulated images, not patients: one dark lesion in speckled tissue, drawn from random numbers. Ovals with a "
        "smooth border and some enhancement below stand for benign lesions, spiculated shapes with some shadow "
        "below for malignant ones. Made to test this software; says nothing about ultrasound."
    ),
    "phantom-histology": (
        "Simulated images, not patients: nuclei in tissue, in colours like those of haematoxylin and eosin, drawn "
        "from random numbers in four arrangements (fibres, scattered small nuclei, rings around a lumen, large "
        "irregular nuclei). Made to test this software; says nothing about tissue."
    ),
    "phantom-planted": (
        "Simulated images, not patients: a bright spot whose trail points up or down, drawn from random numbers. It "
        "lies on the left in training and validation images, and on either side in test images. So mirroring training "
        "images must help, and turning them upside down must harm: whether a trail points up or down is the class. "
        "Made to show what this software finds when something is there to be found."
    ),
}
_LICENCE = "CC0 1.0 (simulated by this software; no patient data)"
_CITATION = "Simulated by medaug-keras (medaug_keras/data/phantoms.py); there is no publication."


def phantom_sizes(name: str, *, train: int, validation: int, test: int, size: int = IMAGE_SIZE) -> Sizes:
    """Sizes of a phantom: those asked for. Raises DataError where a split is too small."""
    _, channels, shares = _phantom(name)
    for split, count in zip(SPLITS, (train, validation, test), strict=True):
        if count < len(shares):
            raise DataError(
                f"{name}: {split} has {count} images, but {len(shares)} classes. Ask for at least {len(shares)}."
            )
    return Sizes((size, size, channels), tuple(shares), train, validation, test)


def phantom_fingerprint(name: str, *, train: int, validation: int, test: int, seed: int, size: int = IMAGE_SIZE) -> str:
    """MD5 of the generator's version and settings, which decide every byte of the images."""
    _phantom(name)
    settings = [name, _VERSION, train, validation, test, seed, *([size] if size != IMAGE_SIZE else [])]
    return hashlib.md5(json.dumps(settings).encode(), usedforsecurity=False).hexdigest()


def load_phantom(
    name: str,
    *,
    train: int,
    validation: int,
    test: int,
    seed: int,
    size: int = IMAGE_SIZE,
    room: Room | None = None,
) -> Dataset:
    """Draw a phantom with the given numbers of images of `size` pixels a side; the shares of the classes are fixed.

    Each split holds at least one image of every class, so it needs as many images as there are classes. `seed` is any
    integer >= 0. The images go where `room` has places for them, without it into memory; one split at a time is drawn
    in memory. Raises DataError.
    """
    draw, channels, shares = _phantom(name)
    counts = {"train": train, "validation": validation, "test": test}
    phantom_sizes(name, train=train, validation=validation, test=test)  # refuses splits that are too small
    shapes = {split: (count, size, size, channels) for split, count in counts.items()}
    places, splits = (room or Memory())(shapes, name), {}
    block = min(_BLOCK, max(1, _BLOCK * IMAGE_SIZE**2 // size**2))
    for i, (split, count) in enumerate(counts.items()):
        rng = np.random.default_rng([seed, i])
        labels = np.repeat(np.arange(len(shares)), _whole(list(shares.values()), count))
        labels = rng.permutation(labels).astype(np.int64)
        images = np.concatenate([draw(rng, labels[j : j + block], size) for j in range(0, count, block)])
        if name == "phantom-planted" and split == "test":
            images = np.where((rng.random(count) < 0.5)[:, None, None, None], images[:, :, ::-1], images)
        places[split].put(0, images)
        splits[split] = Split(places[split].images(), labels)
    return Dataset(
        name=name,
        title=name.replace("phantom", "Phantom").replace("-", " ") + " (simulated)",
        classes=tuple(shares),
        source="simulated",
        md5=phantom_fingerprint(name, train=train, validation=validation, test=test, seed=seed, size=size),
        official_md5=None,
        licence=_LICENCE,
        homepage="",
        citation=_CITATION,
        description=_DESCRIPTIONS[name],
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


def _ultrasound(rng: np.random.Generator, labels: np.ndarray, size: int) -> np.ndarray:
    """Labels (N,), 0 malignant-like and 1 benign-like → images (N, S, S, 1) uint8."""
    n = len(labels)
    bad = (labels == 0)[:, None, None]
    y, x = _grid(size)

    def between(low: float, high: float) -> np.ndarray:
        return low + (high - low) * rng.random((n, 1, 1))

    # Tissue: layers that bend a little, getting darker with depth.
    depth = y + 0.15 * _swell(rng, n, size)
    layers = _wave(depth * between(0.8, 2.2) + between(0, 1))
    bright = 1 + 0.22 * layers + 0.25 * _swell(rng, n, size) - between(0.1, 0.4) * y
    tissue = between(0.28, 0.5) * bright

    # Lesion: an ellipse whose radius is changed by waves around it; rho = 1 on its border.
    cx, cy = between(-0.25, 0.25), between(-0.3, 0.1)
    width = between(0.28, 0.55)
    height = width * np.where(bad, between(0.65, 1.15), between(0.5, 0.9))
    cos, sin = _turned(rng, n, steep=0.5)
    u, v = cos * (x - cx) + sin * (y - cy), cos * (y - cy) - sin * (x - cx)
    u, v = u / width, v / height
    rho = np.sqrt(u * u + v * v) + 1e-9
    rough = np.where(bad, between(0.08, 0.3), between(0.0, 0.08))
    border = _waves_around(rng, u / rho, v / rho)
    edge = np.where(bad, between(0.25, 0.7), between(0.15, 0.45))
    inside = _step((1 + rough * border - rho) / edge + 0.5)
    dark = between(0.4, 0.85)  # share of the echo that it lacks

    # Below it sound is weaker (shadow) or stronger (enhancement); each may be absent.
    column = _step((width - np.abs(x - cx)) / 0.2) * _step((y - cy) / (2 * height))
    below = np.where(bad, between(-0.7, 0.05), between(-0.1, 0.55))
    echo = tissue * (1 - dark * inside) * (1 + below * column)

    a, b = _blur(_noise(rng, n, size)), _blur(_noise(rng, n, size))
    speckle = np.sqrt(a * a + b * b) * 2.04  # amplitude of many small echoes, Rayleigh-like, mean 1
    strength = between(0.15, 0.45)
    return _uint8(echo * (1 - strength + strength * speckle))[..., None]


def _histology(rng: np.random.Generator, labels: np.ndarray, size: int) -> np.ndarray:
    """Labels (N,) in 0..3 (see _PHANTOMS) → images (N, S, S, 3) uint8."""
    n, most = len(labels), 26  # nuclei at most
    y, x = _grid(size)

    def between(low: float, high: float, *shape: int) -> np.ndarray:
        return low + (high - low) * rng.random((n, *(shape or (1, 1))))

    def per_class(*choices: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = np.stack(choices)[labels, np.arange(n)]
        return chosen

    # Every image has a direction (fibres run along it) and a centre (a lumen, where there is one).
    cos, sin = _turned(rng, n, steep=1.0)
    cx, cy = between(-0.3, 0.3), between(-0.3, 0.3)
    lumen = per_class(
        np.zeros((n, 1, 1)),
        np.zeros((n, 1, 1)),
        between(0.28, 0.6),
        np.maximum(between(-0.5, 0.3), 0),
    )

    # Nuclei (N, M): where, how large, how long, how dark.
    free_x, free_y = between(-1.05, 1.05, most), between(-1.05, 1.05, most)
    ring_cos, ring_sin = _unit(rng, (n, most))
    ring = lumen[..., 0] + between(0.08, 0.28, most)
    on_ring = per_class(*(np.full((n, 1), share) for share in (0.0, 0.0, 0.75, 0.15)))
    on_ring = (rng.random((n, most)) < on_ring) & (lumen[..., 0] > 0)
    px = np.where(on_ring, cx[..., 0] + ring * ring_cos, free_x)
    py = np.where(on_ring, cy[..., 0] + ring * ring_sin, free_y)
    count = per_class(between(4, 11, 1), between(9, 22, 1), between(11, 20, 1), between(8, 15, 1))
    radius = per_class(
        between(0.08, 0.14, most),
        between(0.09, 0.14, most),
        between(0.09, 0.15, most),
        between(0.10, 0.25, most),
    )
    length = per_class(
        between(1.3, 3.2, most),
        between(1.0, 1.4, most),
        between(1.0, 1.7, most),
        between(1.0, 1.8, most),
    )
    dark = per_class(
        between(0.5, 0.9, most),
        between(0.6, 1.0, most),
        between(0.5, 0.9, most),
        between(0.45, 0.95, most),
    )
    own_cos, own_sin = _unit(rng, (n, most))
    along = (labels == 0)[:, None] & (rng.random((n, most)) < 0.7)  # most spindles follow the fibres
    ax, ay = np.where(along, cos[..., 0], own_cos), np.where(along, sin[..., 0], own_sin)

    nuclei = np.zeros((n, size, size))
    for m in range(most):
        i = np.flatnonzero(m < count[:, 0])
        dx, dy = x - px[i, m, None, None], y - py[i, m, None, None]
        c, s = ax[i, m, None, None], ay[i, m, None, None]
        a, b = radius[i, m, None, None] * length[i, m, None, None], radius[i, m, None, None]
        u, v = (c * dx + s * dy) / a, (c * dy - s * dx) / b
        disc = _step((1 - np.sqrt(u * u + v * v)) * 1.2 + 0.5) * dark[i, m, None, None]
        nuclei[i] = np.maximum(nuclei[i], disc)
    mottle = 1 + between(0.1, 0.35) * _blur(_noise(rng, n, size)) * 2
    nuclei = np.clip(nuclei * mottle, 0, 1)

    # Pink ground with fibres; the lumen is empty, so nearly white.
    fibres = _wave((cos * y - sin * x) * between(1.5, 3.5) + 0.35 * _swell(rng, n, size) + between(0, 1))
    stripes = per_class(between(0.3, 0.8), *(between(0.0, 0.4) for _ in range(3)))
    eosin = between(0.3, 0.6) + 0.25 * stripes * fibres + 0.12 * _swell(rng, n, size)
    rho = np.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy))
    empty = np.where(lumen > 0, _step((lumen - rho) / 0.25 + 0.5), 0)
    eosin = np.clip(eosin * (1 - between(0.6, 1.0) * empty), 0, 1)

    # Light that each stain takes away, by colour; both vary from slide to slide.
    pink = np.array([0.10, 0.55, 0.28]) * between(0.75, 1.25, 1, 1, 1)
    blue = np.array([0.72, 0.80, 0.38]) * between(0.80, 1.15, 1, 1, 1)
    hue = between(-0.05, 0.05, 1, 1, 3)
    light = 0.95 + hue - eosin[..., None] * pink
    light = light * (1 - nuclei[..., None] * blue)
    grain = np.stack([_noise(rng, n, size) for _ in range(3)], axis=-1)
    return _uint8(light + 0.03 * grain)


def _planted(rng: np.random.Generator, labels: np.ndarray, size: int) -> np.ndarray:
    """Labels (N,), 0 trail up and 1 trail down → images (N, S, S, 1) uint8, the spot on the left."""
    n = len(labels)
    y, x = _grid(size)

    def between(low: float, high: float) -> np.ndarray:
        return low + (high - low) * rng.random((n, 1, 1))

    cx, cy, radius = between(-0.65, -0.35), between(-0.15, 0.15), between(0.16, 0.26)
    spot = _step((radius - np.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy))) / 0.12 + 0.5)
    down = np.where(labels == 1, 1.0, -1.0)[:, None, None]
    along = down * (y - cy) / between(0.5, 0.8)  # 0 at the spot, 1 where the trail ends
    across = (x - cx - between(-0.3, 0.3) * (y - cy)) / radius
    trail = _step(along * 8) * _step((1 - along) * 2) * _step(1.3 - np.abs(across))
    light = between(0.25, 0.4) * (1 + 0.25 * _swell(rng, n, size)) + between(0.3, 0.5) * np.maximum(
        spot, between(0.1, 0.9) * trail
    )
    return _uint8(light + between(0.03, 0.06) * _noise(rng, n, size))[..., None]


# --- pieces ----------------------------------------------------------------------------------------


def _phantom(name: str) -> tuple[_Draw, int, dict[str, float]]:
    if name not in _PHANTOMS:
        raise DataError(f"{name} is not a phantom. Expected is {' or '.join(_PHANTOMS)}.")
    return _PHANTOMS[name]


def _whole(shares: list[float], total: int) -> list[int]:
    """Whole numbers that sum to `total`, by largest remainder; none is 0, the largest gives way."""
    exact = [total * share / sum(shares) for share in shares]
    counts = [int(e) for e in exact]
    by_remainder = sorted(range(len(shares)), key=lambda k: counts[k] - exact[k])
    for k in by_remainder[: total - sum(counts)]:
        counts[k] += 1
    while 0 in counts:
        counts[counts.index(0)] += 1
        counts[counts.index(max(counts))] -= 1
    return counts


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """y (1, S, 1) and x (1, 1, S) of the pixels' centres."""
    line = (np.arange(size) + 0.5) * (2 / size) - 1
    return line[None, :, None], line[None, None, :]


def _unit(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of angles all around, nearly uniform: a half angle's tangent and a quarter."""
    t = rng.random(shape)
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    quarter = rng.integers(0, 4, shape)
    return (
        np.choose(quarter, [cos, -sin, -cos, sin]),
        np.choose(quarter, [sin, cos, -sin, -cos]),
    )


def _turned(rng: np.random.Generator, n: int, *, steep: float) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine (N, 1, 1) of angles up to 90 degrees times about `steep` to both sides."""
    t = steep * (2 * rng.random((n, 1, 1)) - 1)
    return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)


def _waves_around(rng: np.random.Generator, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """Sum of waves with 2..7 periods around the centre, about -2..2, where the angle has (cos, sin)."""
    n = len(cos)
    total = np.zeros_like(cos)
    re, im = cos, sin  # (cos + i sin)^k, by multiplication
    for _ in range(2, 8):
        re, im = re * cos - im * sin, re * sin + im * cos
        a, b = _unit(rng, (n, 1, 1))
        total = total + rng.random((n, 1, 1)) * (a * re + b * im)
    return total


def _noise(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """(N, S, S), mean 0 and variance 1, bell-shaped: three uniform numbers each."""
    return np.asarray((rng.random((3, n, size, size)).sum(axis=0) - 1.5) * 2)


def _swell(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """(N, S, S), -1..1, slowly varying: random values at 5 x 5 points, joined smoothly."""
    knots = 2 * rng.random((n, 5, 5)) - 1
    place = np.arange(size) * (4 / size)
    low = place.astype(int)
    part = _step(place - low)
    rows = knots[:, low] * (1 - part)[:, None] + knots[:, low + 1] * part[:, None]
    return np.asarray(rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part)


def _blur(field: np.ndarray) -> np.ndarray:
    """(N, S, S) weighted 1-2-1 with its neighbours in both directions; borders repeat."""
    for axis in (1, 2):
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[axis] = (1, 1)
        wide = np.moveaxis(np.pad(field, padding, mode="edge"), axis, 0)
        field = np.moveaxis((wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4, 0, axis)
    return field


def _step(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(value, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _wave(value: np.ndarray) -> np.ndarray:
    """-1..1 with period 1."""
    return 2 * _step(np.abs(2 * (value - np.floor(value)) - 1)) - 1


def _uint8(light: np.ndarray) -> np.ndarray:
    return np.asarray(np.floor(np.clip(light, 0, 1) * 255 + 0.5), dtype=np.uint8)


# Name → how to draw it, channels, and its classes with their shares (of BreastMNIST: 147 to 399).
_PHANTOMS: dict[str, tuple[_Draw, int, dict[str, float]]] = {
    "phantom-ultrasound": (_ultrasound, 1, {"malignant-like": 147.0, "benign-like": 399.0}),
    "phantom-histology": (
        _histology,
        3,
        {"stroma-like": 40.0, "lymphocyte-like": 30.0, "gland-like": 20.0, "tumour-like": 10.0},
    ),
    "phantom-planted": (_planted, 1, {"trail up": 40.0, "trail down": 60.0}),
}
PHANTOM_NAMES = tuple(_PHANTOMS)

"""Pictures of images: montages as PNG.

Each image has about the same place on the page whatever its size: small ones are enlarged by a whole factor, so that
pixels stay sharp, and large ones are averaged down.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from medaug_keras.report.figures.svg import Figure
from medaug_keras.report.format import count

Images = npt.NDArray[np.uint8]

# Pixels a side that an image has in a picture, at most: in a montage, in a pair; and at least, on a sheet of classes.
_MONTAGE, _PAIR, _SHEET = 64, 128, 168
CONTRAST = 4
"""What differences of gray levels are multiplied by, in every figure, so that pictures can be compared."""

_INK = (118, 124, 133, 255)  # on a transparent ground: contrast 4 on white, 3.9 on dark pages


@dataclass(frozen=True)
class ClassRow:
    """Some images of one class, (n, H, W, C) uint8; n may be 0."""

    name: str
    images: Images


@dataclass(frozen=True)
class Pair:
    """A training image, the synthetic image nearest to it, the test image nearest to that; a few words about them.

    Images are (H, W, C) uint8.
    """

    train: Images
    synthetic: Images
    test: Images
    caption: str = ""


@dataclass(frozen=True)
class Twins:
    """Two related images (H, W, C) uint8, and two lines of a few words about them."""

    one: Images
    other: Images
    caption: str = ""
    more: str = ""


def montage(images: Images, *, columns: int = 20, scale: int = 2, what: str) -> Figure:
    """Images (N, H, W, C) uint8, C 1 or 3, row by row; every pixel is `scale` x `scale` in the picture.

    `what` says in words what the images are, such as "training images of PathMNIST".
    """
    images, size = _reduced(_checked(images), _MONTAGE), images.shape[1:3]
    N, H, W, C = images.shape
    rows, scale = -(-N // columns), _factor(images, _MONTAGE)
    grid = np.zeros((rows * columns, H, W, C), np.uint8)
    grid[:N] = images
    opaque = np.repeat(np.arange(rows * columns) < N, H * W).reshape(-1, H, W, 1)
    pixels = np.concatenate([grid, np.where(opaque, 255, 0).astype(np.uint8)], axis=-1) if len(grid) > N else grid
    sheet = pixels.reshape(rows, columns, H, W, -1).transpose(0, 2, 1, 3, 4).reshape(rows * H, columns * W, -1)
    sheet = sheet.repeat(scale, axis=0).repeat(scale, axis=1)
    alt = f"Montage of {count(N)} {what}, {size[0]} by {size[1]} pixels each, in {rows} rows of {columns}."
    return _picture(montage, Image.fromarray(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet), alt, 1)


def small_picture(image: Images) -> bytes:
    """One image (H, W, C) uint8 as a PNG of at most 128 pixels a side: pages enlarge it."""
    small, file = _reduced(_checked(image[None]), _PAIR)[0], io.BytesIO()
    Image.fromarray(small.squeeze(-1) if small.shape[-1] == 1 else small).save(file, "PNG")
    return file.getvalue()


def class_montage(rows: Sequence[ClassRow], *, each: int = 8, columns: int = 4, what: str, by: str = "class") -> Figure:
    """For each class its name, then up to `each` images, large enough to be judged. Sheets of the same classes have
    their blocks at the same height, so that they can stand side by side. `by` says what has a block of its own."""
    images = [_reduced(_checked(row.images[:each]), _SHEET) for row in rows]
    H, W = next((some.shape[1:3] for some in images if len(some)), (_SHEET, _SHEET))
    factor = -(-_SHEET // max(H, W))  # upwards, so that no image is smaller
    step, line = factor * W + 6, 36
    deep = -(-each // columns)  # rows of images of each class
    height = line + deep * (factor * H + 6) + 14
    sheet = _Sheet(columns * step - 6, len(rows) * height - 20, 26)
    for place, (row, some) in enumerate(zip(rows, images, strict=True)):
        y = place * height
        sheet.text(0, y, row.name, room=columns * step - 6)
        for i, image in enumerate(some):
            sheet.image((i % columns) * step, y + line + (i // columns) * (factor * H + 6), image, factor)
        if not len(some):
            sheet.text(0, y + line + 20, "none")
    listed = ", ".join(f"{row.name} ({count(len(some))})" for row, some in zip(rows, images, strict=True))
    return _picture(class_montage, sheet.picture, f"{what}, a block for each {by}: {listed}.", 0.5)


def pairs(pairs: Sequence[Pair], *, what: str) -> Figure:
    """The closest pairs, two in a row, a caption below: from left to right the training image, the synthetic one, how
    far they are apart, and the test image.

    The difference is absolute, of each pixel and channel, times `CONTRAST`: that to a copy is black.
    """
    first = _reduced(pairs[0].train[None], _PAIR)
    (H, W), factor, columns = first.shape[1:3], _factor(first, _PAIR), min(2, len(pairs))
    step = factor * W + 4
    width, height = 4 * step - 4, factor * H + 60
    sheet = _Sheet(columns * (width + 40) - 40, -(-len(pairs) // columns) * height, 33)
    for i, pair in enumerate(pairs):
        x, y = (i % columns) * (width + 40), (i // columns) * height
        for place, image in enumerate((pair.train, pair.synthetic, _apart(pair.train, pair.synthetic), pair.test)):
            sheet.image(x + place * step, y, _reduced(_checked(image[None]), _PAIR)[0], factor)
        sheet.text(x, y + factor * H + 4, pair.caption, room=width + 36)
    text = "; ".join(pair.caption for pair in pairs if pair.caption)
    alt = (
        f"{what}: {len(pairs)} pairs; from left to right training image, synthetic image, their difference times "
        f"{CONTRAST}, test image. {text}"
    ).strip()
    return _picture(_PAIRS, sheet.picture, alt, 0.5)


def twins(twins: Sequence[Twins], *, what: str) -> Figure:
    """Related images side by side, three pairs in a row, two texts below each, in as many lines as they take."""
    first = _reduced(twins[0].one[None], _PAIR)
    (H, W), factor, columns = first.shape[1:3], _factor(first, _PAIR), min(3, len(twins))
    step = factor * W + 4
    width = 2 * step - 4
    room = width + 36
    lines = [[*_wrapped(pair.caption, 25, room), *_wrapped(pair.more, 25, room)] for pair in twins]
    height = factor * H + 24 + 30 * max(map(len, lines))
    sheet = _Sheet(columns * (width + 40), -(-len(twins) // columns) * height, 25)
    for i, pair in enumerate(twins):
        x, y = (i % columns) * (width + 40), (i // columns) * height
        for place, image in enumerate((pair.one, pair.other)):
            sheet.image(x + place * step, y, _reduced(_checked(image[None]), _PAIR)[0], factor)
        for place, text in enumerate(lines[i]):
            sheet.text(x, y + factor * H + 4 + 30 * place, text, room=room)
    text = "; ".join(", ".join(filter(None, (pair.caption, pair.more))) for pair in twins)
    alt = f"{what}: {len(twins)} pairs side by side. {text}".strip()
    return _picture(_TWINS, sheet.picture, alt, 0.6)


_TWINS: Callable[..., Figure] = twins
_PAIRS: Callable[..., Figure] = pairs  # the function, where its argument has the same name


def _wrapped(text: str, font_size: int, room: int) -> list[str]:
    """The lines of a text, broken at spaces; a word that is wider than `room` has a line of its own."""
    font: Any = ImageFont.load_default(font_size)
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= room:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return lines


class _Sheet:
    """A transparent picture of `width` x `height` pixels to put images and text on.

    It is made for three picture pixels a CSS pixel on a phone, where 1,080 picture pixels span the screen.
    """

    def __init__(self, width: int, height: int, font_size: int) -> None:
        self.picture = Image.new("RGBA", (width, height))
        self.draw = ImageDraw.Draw(self.picture)
        self.font: Any = ImageFont.load_default(font_size)  # Pillow's own, so the same everywhere

    def image(self, x: int, y: int, image: Images, factor: int) -> None:
        """One image (H, W, C), every pixel `factor` x `factor`."""
        large = image.repeat(factor, axis=0).repeat(factor, axis=1)
        self.picture.paste(Image.fromarray(large.squeeze(-1) if large.shape[-1] == 1 else large), (x, y))

    def text(self, x: int, y: int, text: str, *, room: int | None = None) -> None:
        """A line of text with its top at y; what does not fit into `room` ends with three dots."""
        whole = text
        while room is not None and whole and self.draw.textlength(text, font=self.font) > room:
            whole = whole[:-1]
            text = whole.rstrip() + "..."
        self.draw.text((x, y), text, fill=_INK, font=self.font)


def _apart(one: Images, other: Images) -> Images:
    """(H, W, C): how far two images are apart, times `CONTRAST`; white where that is too much."""
    apart: Images = np.minimum(np.abs(one.astype(int) - other) * CONTRAST, 255).astype(np.uint8)
    return apart


def _factor(images: Images, most: int) -> int:
    """How often a pixel of images (N, H, W, C) is repeated, so that they have up to `most` pixels a side."""
    return max(1, most // int(max(images.shape[1:3])))


def _reduced(images: Images, most: int) -> Images:
    """Images (N, H, W, C) with at most `most` pixels a side, each an average."""
    N, H, W, C = images.shape
    if max(H, W) <= most or not N:
        return images
    size = round(W * most / max(H, W)), round(H * most / max(H, W))
    small = [
        np.asarray(Image.fromarray(image.squeeze(-1) if C == 1 else image).resize(size, Image.Resampling.BOX))
        for image in images
    ]
    return np.stack(small).reshape(N, size[1], size[0], C)


def _checked(images: Images) -> Images:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"images are (N, H, W, 1 or 3) uint8, got {images.shape} {images.dtype}")
    return images


def _picture(made_by: Callable[..., Figure], picture: Image.Image, alt: str, shown: float) -> Figure:
    """`shown`: CSS pixels for one picture pixel where there is room."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    size = (round(picture.width * shown), round(picture.height * shown))
    return Figure(None, file.getvalue(), alt, f"medaug_keras.report.figures.{made_by.__name__}", size=size)

"""One image file → its pixels as they are, or a refusal; and how they become squares of one size.

What a file holds is read from its own header: an image library hands out 16-bit colour as 8 bits, keeps the colour
that lies hidden under transparency, and fills what is missing of a JPEG with grey. Pillow only decodes what has passed.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medaug_keras.data import dicom, filetype
from medaug_keras.data.dataset import DataError, Filter, Fit, check_image_size
from medaug_keras.data.windows import Window, windowed

if TYPE_CHECKING:  # Pillow takes longer to import than the rest of this module
    from PIL import Image

Colour = Literal["grey", "rgb"]
IMAGES = "a PNG, JPEG, TIFF, BMP or DICOM image"
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm")

_STORED = 2**16 - 1  # bytes of one block of zlib's that is not packed
_KEPT = 2**25  # bytes of unpacked pixels, of larger images than these only the number is looked at
MAX_PIXELS = 80_000_000  # of one file; below the number at which Pillow begins to warn
_NO_IMAGE = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error)  # of Pillow

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_FORMS = {  # colour type → what it is, values a pixel, bits that a value may have
    0: ("grey", 1, (1, 2, 4, 8, 16)),
    2: ("colour", 3, (8, 16)),
    3: ("a palette of colours", 1, (1, 2, 4, 8)),
    4: ("grey with transparency", 2, (8, 16)),
    6: ("colour with transparency", 4, (8, 16)),
}
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # x, y, steps
_TIFF = (b"II*\0", b"MM\0*")
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}  # of values that say how the pixels are stored
_TIFF_FORMS = {  # photometric interpretation → what it is, values a pixel
    0: ("grey", 1),
    1: ("grey", 1),
    2: ("colour", 3),
    3: ("a palette of colours", 1),
    5: ("inks (CMYK)", 4),
    6: ("colour", 3),
}
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the first marker after a JPEG's packed pixels
_ZEROS = re.compile(rb"\0{64,}")


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What becomes of the images of a data set."""

    size: int | None
    """Pixels a side; None takes images of 28 x 28 and no others."""
    fit: Fit | None
    """How an image that is not square becomes so; None refuses it."""
    filter: Filter
    """Pillow's, of an image that is resized; each averages where it shrinks."""
    colour: Colour | None
    """What images are converted to; None takes grey as grey and RGB as RGB, and nothing else."""
    window: Window | Literal["dicom"] | None = None
    """Which values of grey of more than 8 bits become 0 and 255, of DICOM after its modality transform; "dicom" takes
    what each DICOM file says of its own display. None refuses images of more than 8 bits."""


@dataclass(frozen=True)
class Header:
    """What a file says of its pixels."""

    height: int
    width: int
    form: str
    """Of its values, in words: `grey`, `colour`, `a palette of colours` ..."""
    bits: int
    """Of one value."""
    format: Literal["PNG", "JPEG", "TIFF", "BMP", "DICOM"]
    transparent: bool
    """Whether it may hold pixels that are not opaque."""
    orientation: int
    """Exif's: 1 as stored, 2 to 8 mirrored or turned; it is followed."""
    place: int = 0
    """Of the image in the file: the number of a DICOM frame or a TIFF directory, from 0."""
    unpacked: bytes | None = field(default=None, repr=False)
    """The same PNG with its pixels unpacked, as unpacking is half of the work and was done to find it complete."""

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) as the image is to be seen."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    @property
    def colour(self) -> Colour | None:
        """What its pixels are without being converted; None where that is not plain."""
        return "grey" if self.form.startswith("grey") else "rgb" if self.form.startswith("colour") else None


def header(content: bytes, where: str, frame: int | None = None) -> Header:
    """What a whole file says of its pixels, once it is found complete. Raises DataError; `where` names the file.

    `frame` says which image of a DICOM file or a TIFF is meant, from 1; None takes files of one image only.
    """
    if dicom.is_dicom(content):
        height, width, form, bits, frames = dicom.described(content, where)
        _check_pixels(width, height, where)
        return Header(height, width, form, bits, "DICOM", False, 1, _chosen(frame, frames, "frames", where))
    if content[:4] in _TIFF:
        return _tiff(content, where, frame)
    alone = next((read for mark, read in _ALONE.items() if content.startswith(mark)), None)
    if alone is not None:
        _chosen(frame, 1, "images", where)
        return alone(content, where)
    found = filetype.what(content[: filetype.HEAD])
    if found is None:
        raise DataError(f"{where} is not {IMAGES}, or not a complete one. Replace or remove it.")
    raise DataError(f"{where} is {found}, but {IMAGES} is expected. Convert, replace or remove it.")


def _chosen(frame: int | None, count: int, what: str, where: str) -> int:
    """The place of the image that is meant, from 0. Raises DataError."""
    if frame is None and count > 1:
        raise DataError(
            f"{where} holds {count:,} {what}. Say which one is meant with `frame`, such as `frame: 1` for the first, "
            "or save it as a file of its own."
        )
    if frame is not None and frame > count:
        there = f"{count:,} {what}" if count > 1 else f"one {what[:-1]}"
        raise DataError(f"{where} holds {there}, so it has no number {frame:,}, which `frame` names.")
    return (frame or 1) - 1


def usable(found: Header, where: str, how: Conversion) -> Colour:
    """Whether the pixels become grey or RGB. Raises DataError where they cannot be taken as they are."""
    check_image_size(found.shape, size=how.size, fit=how.fit, where=where)
    if how.window is not None or (found.bits > 8 and found.form != "grey"):
        _check_deep(found, where)
    elif found.bits > 8:
        raise DataError(
            f"{where} has {found.bits} bits a value ({found.format}, {found.form}), more than 8. Which range of "
            "them is to become 0 to 255 is a medical choice (window and level): say it with `window`, such as "
            "`window: {low: 0, high: 4095}`, or save 8-bit images."
        )
    kind = how.colour or found.colour
    if kind is None:
        raise DataError(
            f"{where} has {found.form} ({found.format}); expected is 8-bit grey or RGB. Set `colour: grey` or "
            "`colour: rgb` to have the images converted."
        )
    return kind


def read(content: bytes, where: str, how: Conversion, frame: int | None = None) -> np.ndarray:
    """(H, W, C) uint8 of a whole file, C 1 or 3, or of one of its frames (see `header`). Raises DataError; `where`
    names the file."""
    return read_whole(content, where, how, frame)[0]


def read_whole(content: bytes, where: str, how: Conversion, frame: int | None = None) -> tuple[np.ndarray, bool]:
    """The same, and whether it was enlarged."""
    found = header(content, where, frame)
    return _read(content, where, how, found), is_enlarged(found.shape, how)


def _read(content: bytes, where: str, how: Conversion, found: Header) -> np.ndarray:
    from PIL import Image

    kind = usable(found, where, how)
    if found.format == "DICOM":
        return _square(_of_dicom(content, where, how, found.place).convert("L" if kind == "grey" else "RGB"), how)
    if how.window == "dicom":
        raise DataError(f"{where} is no DICOM file, so it names no window. Give `window` a low and a high.")
    try:
        image = _opened(content, found)
        if found.transparent:
            _check_opaque(image, found, where)
        if found.form.startswith("a palette"):
            _check_palette(image)
        if how.window is not None:
            image = Image.fromarray(windowed(np.asarray(image), how.window))
        mode = "L" if kind == "grey" else "RGB"
        plain = image if image.mode == mode else image.convert(mode)
    except _NO_IMAGE as error:
        raise _damaged(where, str(error)) from error
    if found.orientation > 1 and found.format != "TIFF":
        plain = plain.transpose(_TURNS[found.orientation])
    if (plain.height, plain.width) != found.shape:
        raise _damaged(where, "its parts disagree about its size")
    return _square(plain, how)


_TURNS: Any = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Exif's orientation → PIL.Image.Transpose that undoes it


def _of_dicom(content: bytes, where: str, how: Conversion, place: int) -> "Image.Image":
    """A grey or RGB image of 8 bits."""
    from PIL import Image

    if how.window is None:
        return Image.fromarray(dicom.plain(content, where, place))
    if how.window == "dicom":
        grey = dicom.displayed(content, where, place)
    else:
        grey = windowed(dicom.values(content, where, place), how.window)
    return Image.fromarray(255 - grey if dicom.inverted(content, where) else grey)


def _check_deep(found: Header, where: str) -> None:
    """A window is for values that 8 bits cannot hold, or of DICOM, which says what they mean; and for grey alone."""
    if found.bits <= 8 and found.format != "DICOM":
        raise DataError(
            f"{where} has {found.bits} bits a value, so the range of `window` does not mean its values. Leave `window` "
            "out, or images of 8 bits."
        )
    if found.form != "grey" or found.transparent:
        raise DataError(
            f"{where} has {found.bits} bits a value and {found.form}; `window` is for grey images without transparency."
            " Save it as 8-bit."
        )


def values(content: bytes, where: str, how: Conversion, frame: int | None = None) -> np.ndarray:
    """(H, W) of a whole file of 16-bit grey, as they are stored; of DICOM after its modality transform. Raises
    DataError."""
    found = header(content, where, frame)
    usable(found, where, how)
    if found.format == "DICOM":
        return dicom.values(content, where, found.place)
    try:
        image = _opened(content, found)
    except _NO_IMAGE as error:
        raise _damaged(where, str(error)) from error
    return np.asarray(image).astype(np.uint16)


def _opened(content: bytes, found: Header) -> "Image.Image":
    """Decoded. Raises one of _NO_IMAGE."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata
        with Image.open(io.BytesIO(found.unpacked or content), formats=(found.format,)) as image:
            if found.place:
                image.seek(found.place)
            if found.format != "TIFF" and image.size != (found.width, found.height):  # Pillow turns TIFFs itself
                raise ValueError("its parts disagree about its size")
            image.load()
            return image


def squares(images: np.ndarray, how: Conversion) -> np.ndarray:
    """Images (N, H, W, C) uint8 → (N, S, S, C); the same array where there is nothing to do."""
    from PIL import Image

    N, H, W, C = images.shape
    side = how.size or H
    if H == W == side:
        return images
    made = np.empty((N, side, side, C), np.uint8)
    for i, image in enumerate(images):
        made[i] = _square(Image.fromarray(np.ascontiguousarray(image[..., 0] if C == 1 else image)), how)
    return made


def is_enlarged(shape: tuple[int, ...], how: Conversion) -> bool:
    """Whether an image (H, W, ...) has fewer pixels on a side, of what is kept of it, than it is resized to."""
    side = max(shape[:2]) if how.fit == "pad" else min(shape[:2])
    return how.size is not None and side < how.size


def _square(image: "Image.Image", how: Conversion) -> np.ndarray:
    """A grey or RGB image as (S, S, C)."""
    from PIL import Image

    width, height = image.size
    size = how.size or height
    box: tuple[int, int, int, int] | None = None
    if width != height and how.fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = left, top, left + side, top + side
    elif width != height and how.fit == "pad":
        side = max(width, height)
        framed = Image.new(image.mode, (side, side))
        framed.paste(image, ((side - width) // 2, (side - height) // 2))
        image = framed
    if box or image.size != (size, size):
        image = image.resize((size, size), Image.Resampling[how.filter.upper()], box)
    return np.asarray(image).reshape(size, size, -1)


def _check_opaque(image: "Image.Image", found: Header, where: str) -> None:
    """Transparency that hides nothing is no loss; otherwise what is seen depends on a background that nobody named."""
    alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    seen_through = int((alpha < 255).sum())
    if seen_through:
        raise DataError(
            f"{where} is {found.form}, and {seen_through:,} of its {alpha.size:,} pixels are not opaque: what they "
            "show depends on the background. Lay the image on the one that you mean, and save it without transparency."
        )


def _check_palette(image: "Image.Image") -> None:
    palette = image.getpalette()
    if palette is None or int(np.asarray(image).max()) >= len(palette) // 3:
        raise ValueError("a pixel has a colour that its palette has not")


def _damaged(where: str, why: str) -> DataError:
    return DataError(f"{where} is not a complete image ({why}). It was cut off or damaged: replace or remove it.")


# --- PNG -------------------------------------------------------------------------------------------


def _png(content: bytes, where: str) -> Header:
    """The chunks from IHDR to IEND: their checksums, and as many pixels as the header says."""
    chunks: dict[bytes, list[bytes]] = {}
    for name, body in _chunks(content, where):
        if not chunks and name != b"IHDR":
            raise _damaged(where, "it does not begin with its header")
        chunks.setdefault(name, []).append(body)
    if len(chunks[b"IHDR"]) > 1 or len(chunks[b"IHDR"][0]) != 13:
        raise _damaged(where, "its header is wrong")
    width, height, bits, colour, packing, filters, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    form, values, depths = _PNG_FORMS.get(colour, ("", 0, ()))
    if not (0 < width < 2**31 and 0 < height < 2**31) or bits not in depths or packing or filters or interlaced > 1:
        raise _damaged(where, "its header is wrong")
    _check_pixels(width, height, where)
    palette = chunks.get(b"PLTE", [b""])[0]
    if colour == 3 and (not palette or len(palette) % 3):
        raise _damaged(where, "its palette is missing or cut off")
    frames = chunks.get(b"acTL", [])
    if frames and frames[0][:4] != b"\0\0\0\1":
        raise DataError(f"{where} is an animation of several images. Save the one that you mean as a plain PNG.")
    raw = _unpacked(chunks.get(b"IDAT", []), _raw_bytes(width, height, bits * values, interlaced), where)
    orientation = _orientation(chunks[b"eXIf"][0]) if b"eXIf" in chunks else 1
    again = _put_together(chunks, raw) if raw else None
    return Header(height, width, form, bits, "PNG", colour in (4, 6) or b"tRNS" in chunks, orientation, unpacked=again)


def _chunks(content: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    at, name = len(_PNG), b""
    while name != b"IEND":
        length, name = struct.unpack(">I4s", content[at : at + 8]) if at + 12 <= len(content) else (2**32, b"")
        body, end = content[at + 8 : at + 8 + length], at + 12 + length
        if end > len(content):
            raise _damaged(where, "it ends too early")
        if zlib.crc32(name + body) != int.from_bytes(content[end - 4 : end], "big"):
            raise _damaged(where, f"the checksum of its part {name.decode('latin-1')!r} does not fit")
        yield name, body
        at = end


def _raw_bytes(width: int, height: int, bits: int, interlaced: int) -> int:
    """Bytes that the pixels take unpacked: every row its own filter byte, every interlaced pass its own rows."""
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // step_x), -(-(height - y) // step_y)) for x, y, step_x, step_y in passes)
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def _unpacked(parts: list[bytes], expected: int, where: str) -> list[bytes]:
    """The pixels, which must unpack to as many bytes as expected, with a right checksum; those of large images are not
    kept.
    """
    unpacking, there = zlib.decompressobj(), 0
    kept: list[bytes] = []
    try:
        for part in parts:
            while part and there <= expected and not unpacking.eof:
                some = unpacking.decompress(part, _STORED)
                there += len(some)
                kept += [some] if expected <= _KEPT else []
                part = unpacking.unconsumed_tail
    except zlib.error as error:
        raise _damaged(where, f"its pixels cannot be unpacked: {error}") from None
    if there != expected or not unpacking.eof:
        raise _damaged(where, f"it should hold {expected:,} bytes of pixels")
    return kept


def _put_together(chunks: dict[bytes, list[bytes]], raw: list[bytes]) -> bytes:
    """A PNG of the parts that decide its pixels, these as they are (zlib's stored blocks, RFC 1950 and 1951)."""
    packed = [b"\x78\x01"]
    checksum = 1
    for block in raw:
        packed += [struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), block]
        checksum = zlib.adler32(block, checksum)
    packed += [b"\x01\0\0\xff\xff", checksum.to_bytes(4, "big")]
    made = [_PNG]
    for name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
        for body in [b"".join(packed)] if name == b"IDAT" else chunks.get(name, []):
            checksum = zlib.crc32(body, zlib.crc32(name))
            made += [struct.pack(">I", len(body)), name, body, checksum.to_bytes(4, "big")]
    return b"".join(made)


# --- JPEG ------------------------------------------------------------------------------------------


def _jpeg(content: bytes, where: str) -> Header:
    """The markers from SOI to EOI, with at least one frame and one scan between them."""
    at, orientation = 2, 1
    frame: bytes | None = None
    tables: dict[int, tuple[int, int]] = {}  # class and number → length and meaning of the code of zeros
    scans = 0
    while True:
        while content[at : at + 2] == b"\xff\xff":  # padding before a marker
            at += 1
        marker = content[at + 1 : at + 2]
        if content[at : at + 1] != b"\xff" or not marker:
            raise _damaged(where, "its end is missing")
        if marker == b"\xd9":
            break
        if b"\xd0" <= marker <= b"\xd8" or marker == b"\x01":
            at += 2
            continue
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        body, at = content[at + 4 : at + 2 + length], at + 2 + length
        if length < 2 or at > len(content):
            raise _damaged(where, "its end is missing")
        if marker == b"\xe1" and body.startswith(b"Exif\0\0"):
            orientation = _orientation(body[6:])
        elif marker == b"\xc4":
            tables |= _codes_of_zeros(body)
        elif b"\xc0" <= marker <= b"\xcf" and marker not in b"\xc8\xcc":
            if frame is not None or len(body) < 6 or len(body) != 6 + 3 * body[5]:
                raise _damaged(where, "its header is wrong")
            frame = body
        elif marker == b"\xda":
            end = _SCAN_END.search(content, at)
            if frame is None or end is None:
                raise _damaged(where, "its end is missing")
            _check_scan(content[at : end.start()], body, frame, tables, where)
            at, scans = end.start(), scans + 1
    if frame is None or not scans:
        raise _damaged(where, "it holds no pixels")
    bits, height, width, components = struct.unpack(">BHHB", frame[:6])
    if not height or not width:
        raise _damaged(where, "its header is wrong")
    _check_pixels(width, height, where)
    form = {1: "grey", 3: "colour", 4: "inks (CMYK)"}.get(components)
    if form is None:
        raise _damaged(where, f"it has {components} values a pixel")
    return Header(height, width, form, bits, "JPEG", False, orientation)


def _codes_of_zeros(body: bytes) -> dict[int, tuple[int, int]]:
    """Huffman tables → length and meaning of their first code, whose bits are all 0."""
    found, at = {}, 0
    while at + 17 < len(body):
        counts = body[at + 1 : at + 17]
        shortest = next((length for length, count in enumerate(counts, 1) if count), 0)
        found[body[at]] = shortest, body[at + 17]
        at += 17 + sum(counts)
    return found


def _check_scan(packed: bytes, head: bytes, frame: bytes, tables: dict[int, tuple[int, int]], where: str) -> None:
    """Refuse a stretch of zeros that no pixels can be packed into: a hole that a copy left in the file.

    JPEG has no checksum, and decoders fill holes with whatever comes out. Zeros are right where the code of zeros says
    "as before" (a difference of 0, the end of a block), and then for no more blocks than there are.
    """
    longest = max((len(run.group()) for run in _ZEROS.finditer(packed)), default=0)
    if not longest or not head or len(head) != 4 + 2 * head[0]:
        return
    first, last, refines = head[-3], head[-2], head[-1] >> 4
    codes = [tables.get(head[2] >> 4)] if first == 0 and not refines else []
    codes += [tables.get(16 + (head[2] & 15))] if last > 0 else []
    known = [code for code in codes if code is not None]
    if len(known) < len(codes):  # packed by arithmetic, without such tables
        return
    bits = sum(length for length, _ in known)  # of a block
    if refines:  # one bit more for each value that is there
        bits += last - first + 1
    parts = {frame[at]: (frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(6, len(frame), 3)}
    wide, high = (8 * max(1, *(part[i] for part in parts.values()), 1) for i in (0, 1))
    height, width = struct.unpack(">HH", frame[1:5])
    each = sum(h * v for h, v in (parts.get(part, (4, 4)) for part in head[1 : 1 + 2 * head[0] : 2]))
    blocks = -(-width // wide) * -(-height // high) * each
    flat = all(meaning & 15 == 0 and meaning < 0xF0 for _, meaning in known)
    if not flat or 8 * longest > blocks * bits:
        raise _damaged(where, f"{longest:,} bytes of zeros stand where pixels should be")


def _orientation(exif: bytes) -> int:
    """Tag 0x0112 of the first directory; 1 where it says nothing that one could follow."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2], "<")
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(entries):
            tag, value = struct.unpack_from(f"{order}H6xH", exif, start + 2 + 12 * entry)
            if tag == 0x0112:
                return value if 2 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# --- TIFF ------------------------------------------------------------------------------------------


def _tiff(content: bytes, where: str, frame: int | None) -> Header:
    """The directory of the one whole image, or of that which `frame` names; all its strips or tiles must be there."""
    order = "<" if content.startswith(b"II") else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", content, 4)
        directories: dict[int, dict[int, tuple[int, ...]]] = {}
        while at or not directories:
            if at in directories or len(directories) > 10_000:
                raise _damaged(where, "its directories go round in a circle")
            directories[at], at = _directory(content, order, at)
    except struct.error:
        raise _damaged(where, "it ends too early") from None
    whole = [
        (place, tags)
        for place, tags in enumerate(directories.values())
        if not place or not tags.get(254, (0,))[0] & 5  # neither a thumbnail nor a mask
    ]
    place, tags = whole[_chosen(frame, len(whole), "pages", where)]
    width, height = (tags.get(tag, (0,))[0] for tag in (256, 257))
    if not width or not height:
        raise _damaged(where, "its header is wrong")
    _check_pixels(width, height, where)
    samples, bits = tags.get(277, (1,))[0], tags.get(258, (1,))
    form, values = _TIFF_FORMS.get(tags.get(262, (1,))[0], ("", 0))
    number = {1: "whole numbers", 2: "whole numbers with a sign", 3: "floating-point numbers"}.get(
        tags.get(339, (1,))[0], "numbers of no known kind"
    )
    if not form or len(set(bits)) > 1 or samples not in (values, values + 1) or number != "whole numbers":
        raise DataError(
            f"{where} is a TIFF of {samples} values a pixel, {'/'.join(map(str, bits[:4]))} bits each, {number}; "
            "expected is grey or RGB of whole numbers. Convert it, or save it as PNG."
        )
    if bits[0] > 8 and tags.get(262) == (0,):
        raise DataError(f"{where} is a TIFF of {bits[0]} bits in which 0 is white. Save it with 0 as black, or as PNG.")
    transparent = samples > values
    starts, counts = tags.get(273, tags.get(324, ())), tags.get(279, tags.get(325, ()))
    ends = [start + count for start, count in zip(starts, counts, strict=False)]
    if not starts or len(starts) != len(counts) or max(ends) > len(content) or min(counts) < 1:
        raise _damaged(where, "some of its pixels are missing")
    unpacked = tags.get(259, (1,))[0] == 1 and tags.get(262) != (6,)  # YCbCr may hold fewer values of colour
    if unpacked and sum(counts) < height * -(-width * bits[0] * samples // 8):
        raise _damaged(where, "some of its pixels are missing")
    orientation = tags.get(274, (1,))[0]
    words = f"{form} with transparency" if transparent else form
    turned = orientation if 2 <= orientation <= 8 else 1
    return Header(height, width, words, bits[0], "TIFF", transparent, turned, place)


def _directory(content: bytes, order: str, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """Tag → its whole numbers, and where the next directory is (0 for none). Raises struct.error at the file's end."""
    (entries,) = struct.unpack_from(f"{order}H", content, at)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", content, entry)
        letter = _TIFF_TYPES.get(kind)
        if letter is None or not count:
            continue
        place = entry + 8
        if count * struct.calcsize(letter) > 4:
            (place,) = struct.unpack_from(f"{order}I", content, place)
        if place + count * struct.calcsize(letter) > len(content):
            raise struct.error
        tags[tag] = struct.unpack_from(f"{order}{count}{letter}", content, place)
    (following,) = struct.unpack_from(f"{order}I", content, at + 2 + 12 * entries)
    return tags, following


# --- BMP -------------------------------------------------------------------------------------------


def _bmp(content: bytes, where: str) -> Header:
    """Its headers; the pixels must be there, unpacked."""
    try:
        (start, length) = struct.unpack_from("<II", content, 10)
        if length == 12:  # OS/2's
            width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
            packing, each = 0, 3
        else:
            width, height, _, bits, packing = struct.unpack_from("<iiHHI", content, 18)
            each = 4
    except struct.error:
        raise _damaged(where, "it ends too early") from None
    height = abs(height)  # below 0 where the first row is on top
    if length not in (12, 40, 52, 56, 64, 108, 124) or width < 1 or not height or bits not in (1, 4, 8, 16, 24, 32):
        raise _damaged(where, "its header is wrong")
    _check_pixels(width, height, where)
    if packing not in (0, 3):
        raise DataError(f"{where} is a packed BMP. Save it as a plain BMP, or as PNG.")
    if start + height * (-(-width * bits // 32) * 4) > len(content):
        raise _damaged(where, "some of its pixels are missing")
    form = "colour"
    if bits <= 8:
        colours = content[14 + length : start]
        rows = [colours[i : i + 3] for i in range(0, len(colours) - 2, each)][: 2**bits]
        steps = len(rows) - 1
        grey = steps > 0 and all(row == bytes([i * 255 // steps]) * 3 for i, row in enumerate(rows))
        form = "grey" if grey else "a palette of colours"
    return Header(height, width, form, min(bits, 8), "BMP", bits == 32 and packing == 3, 1)


def _check_pixels(width: int, height: int, where: str) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(f"{where} says that it has more than {MAX_PIXELS:,} pixels; it is not opened.")


_ALONE = {_PNG: _png, b"\xff\xd8\xff": _jpeg, b"BM": _bmp}  # how a file begins that holds one image → its header

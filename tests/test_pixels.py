"""One image file: its pixels arrive as they are, or it is refused by a message that says what was found."""

import bz2
import io
import itertools
import lzma
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from medaug_keras.data import DataError, filetype, pixels, windows

SHARED = Path(__file__).parents[2] / "shared" / "data"
SIZE = 28
VALUES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # PNG's colour type → values a pixel
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return content


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows (H, W * values) of a PNG, each after its filter byte."""
    if bits == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    if bits == 8:
        return b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in values)
    places = np.arange(bits - 1, -1, -1)
    return b"".join(b"\0" + np.packbits((row[:, None] >> places) & 1).tobytes() for row in values)


def encoded(values: np.ndarray, bits: int, colour: int, *, interlaced: bool = False, extra=()) -> bytes:
    """A PNG of values (H, W, V), written by nobody's library."""
    height, width, _ = values.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [values[y::dy, x::dx] for x, y, dx, dy in passes]
    raw = b"".join(packed(part.reshape(part.shape[0], -1), bits) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return png((b"IHDR", head), *extra, (b"IDAT", zlib.compress(raw)), (b"IEND", b""))


def some(bits: int, colour: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**bits, (SIZE, SIZE, VALUES[colour]))


def read(content: bytes, colour=None, size=None, fit=None, filter="bilinear", window=None) -> np.ndarray:
    how = pixels.Conversion(size=size, fit=fit, filter=filter, colour=colour, window=window)
    return pixels.read(content, "train/a/0.png", how)


def refused(content: bytes, **settings) -> str:
    with pytest.raises(DataError, match=r"\Atrain/a/0\.png") as error:
        read(content, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- PNG -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("bits", "colour"), [(1, 0), (2, 0), (4, 0), (8, 0), (8, 2)])
def test_plain_pixels_arrive_as_they_are(bits, colour, interlaced):
    values = some(bits, colour)
    assert np.array_equal(read(encoded(values, bits, colour, interlaced=interlaced)), values * 255 // (2**bits - 1))


@pytest.mark.parametrize("side", range(1, 34))
def test_interlaced_pixels_are_those_of_the_plain_file_at_every_size(side):
    for bits, colour in ((1, 0), (8, 2)):
        values = np.random.default_rng(side).integers(0, 2**bits, (side, side, VALUES[colour]))
        plain, interlaced = (encoded(values, bits, colour, interlaced=way) for way in (False, True))
        assert np.array_equal(read(interlaced, size=28), read(plain, size=28))


def test_an_animation_of_one_image_is_that_image():
    one = (b"acTL", struct.pack(">II", 1, 0))
    assert np.array_equal(read(encoded(some(8, 0), 8, 0, extra=[one])), some(8, 0))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_gives_the_colours_that_it_names(bits):
    values = some(bits, 3)
    palette = np.random.default_rng(1).integers(0, 256, (2**bits, 3), np.uint8)
    content = encoded(values, bits, 3, extra=[(b"PLTE", palette.tobytes())])
    assert np.array_equal(read(content, "rgb"), palette[values[..., 0]])
    assert "Set `colour: grey` or `colour: rgb`" in refused(content)


def test_a_palette_without_a_pixels_colour_is_refused():
    content = encoded(some(8, 3), 8, 3, extra=[(b"PLTE", bytes(range(30)))])
    assert "a colour that its palette has not" in refused(content, colour="rgb")


@pytest.mark.parametrize("wanted", [None, "grey", "rgb"])
@pytest.mark.parametrize("high", [2, 4096, 65536])
@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_16_bits_are_refused_in_every_colour_type(colour, high, wanted):
    values = np.random.default_rng(0).integers(0, high, (SIZE, SIZE, VALUES[colour]))
    assert "16 bits a value" in (said := refused(encoded(values, 16, colour), colour=wanted))
    assert ("window and level" if colour == 0 else "`window` is for grey") in said


@pytest.mark.parametrize("wanted", [None, "grey", "rgb"])
@pytest.mark.parametrize("colour", [4, 6])
def test_opaque_alpha_is_dropped_and_any_other_is_refused(colour, wanted):
    values = some(8, colour)
    values[..., -1] = 255
    plain = encoded(values[..., :-1], 8, {4: 0, 6: 2}[colour])
    assert np.array_equal(read(encoded(values, 8, colour), wanted), read(plain, wanted))
    values[3, 5, -1] = 254
    assert "1 of its 784 pixels are not opaque" in refused(encoded(values, 8, colour), colour=wanted)


def test_colour_hidden_under_alpha_is_never_read():
    values = some(8, 6)
    values[..., 3] = np.where(np.arange(SIZE) < 14, 255, 0)
    assert "392 of its 784 pixels are not opaque" in refused(encoded(values, 8, 6), colour="rgb")


@pytest.mark.parametrize(
    ("colour", "key"), [(0, struct.pack(">H", 7)), (2, struct.pack(">HHH", 7, 7, 7)), (3, bytes([255, 255, 0]))]
)
def test_a_transparent_colour_is_refused_where_a_pixel_has_it(colour, key):
    extra = [(b"PLTE", bytes(range(30)))] * (colour == 3) + [(b"tRNS", key)]
    values = np.full((SIZE, SIZE, VALUES[colour]), 1)
    solid = encoded(values, 8, colour, extra=extra)
    assert len(np.unique(read(solid, "rgb").reshape(-1, 3), axis=0)) == 1
    values[0, :9] = 7 if colour != 3 else 2
    assert "9 of its 784 pixels are not opaque" in refused(encoded(values, 8, colour, extra=extra), colour="rgb")


GREY = encoded(some(8, 0), 8, 0)
HEAD = (b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0))
WRONG_PNG = {
    "its end is missing": (GREY[:-12], "ends too early"),
    "a pixel's byte was changed": (GREY[:60] + bytes([GREY[60] ^ 1]) + GREY[61:], "checksum of its part 'IDAT'"),
    "a row is missing": (png(HEAD, (b"IDAT", zlib.compress(bytes(29 * 27))), (b"IEND", b"")), "812 bytes of pixels"),
    "a row too many": (png(HEAD, (b"IDAT", zlib.compress(bytes(29 * 29))), (b"IEND", b"")), "812 bytes of pixels"),
    "its pixels end early": (
        png(HEAD, (b"IDAT", zlib.compress(bytes(29 * 28))[:-4]), (b"IEND", b"")),
        "812 bytes of pixels",
    ),
    "no pixels": (png(HEAD, (b"IEND", b"")), "812 bytes of pixels"),
    "a bit depth that PNG has not": (encoded(some(8, 0), 8, 0).replace(HEAD[1], HEAD[1][:8] + b"\3" + HEAD[1][9:]), ""),
    "an animation": (
        png(HEAD, (b"acTL", struct.pack(">II", 3, 0)), (b"IDAT", zlib.compress(bytes(812))), (b"IEND", b"")),
        "animation of several images",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_PNG)
def test_a_damaged_png_is_refused_with_what_is_wrong(wrong):
    content, message = WRONG_PNG[wrong]
    assert message in refused(content)


def test_a_bomb_is_not_unpacked():
    content = png(HEAD, (b"IDAT", zlib.compress(bytes(300_000_000), 9)), (b"IEND", b""))
    assert "812 bytes of pixels" in refused(content)


# --- JPEG ------------------------------------------------------------------------------------------


def jpeg(mode="L", size=64, flat=0, **options) -> bytes:
    """Smooth shapes and noise, the first `flat` rows black, as a scan's border is."""
    y, x = np.mgrid[:size, :size] / size
    light = 128 + 60 * np.sin(9 * x) * np.cos(7 * y) + np.random.default_rng(0).normal(0, 12, (size, size))
    light[:flat] = 0
    buffer = io.BytesIO()
    image = Image.fromarray(light.clip(0, 255).astype(np.uint8))
    image.convert(mode).save(buffer, "JPEG", quality=options.pop("quality", 85), **options)
    return buffer.getvalue()


KINDS = {
    "grey": {},
    "colour": {"mode": "RGB"},
    "colour at half size": {"mode": "RGB", "subsampling": 2},
    "tables of its own": {"optimize": True},
    "progressive": {"progressive": True},
    "progressive colour": {"mode": "RGB", "progressive": True},
    "with restarts": {"restart_marker_blocks": 5},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_jpeg_is_read_as_its_decoder_gives_it(kind):
    content = jpeg(**KINDS[kind])
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(read(content, size=64).squeeze(), np.asarray(image))


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_cut_anywhere_is_refused(kind):
    content = jpeg(**KINDS[kind])
    for length in [*range(3, len(content), 7), len(content) - 2, len(content) - 1]:
        refused(content[:length], size=64)


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["without its end", "with its end"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_whose_second_half_is_zeros_is_refused(kind, end):
    content = jpeg(size=256, **KINDS[kind])
    half = len(content) // 2
    said = refused(content[:half] + bytes(len(content) - half - len(end)) + end, size=256)
    assert "zeros stand where pixels should be" in said or "its end is missing" in said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flat", [64, 200, 250, 256])
def test_a_jpeg_with_black_borders_is_no_damaged_one(kind, flat):
    for quality in (20, 85, 100):
        read(jpeg(size=256, flat=flat, quality=quality, **KINDS[kind]), size=256)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_an_image_arrives_as_it_is_to_be_shown(kind, orientation):
    """As Pillow turns it, also where that makes rows of its columns."""
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(some(8, 0)[:20, :, 0].astype(np.uint8)).save(buffer, kind, exif=exif)
    content = buffer.getvalue()
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    assert pixels.header(content, "x").shape == shown.shape == ((28, 20) if 5 <= orientation <= 8 else (20, 28))
    assert np.array_equal(
        read(content, size=20, fit="crop")[..., 0], shown[4:-4] if 5 <= orientation <= 8 else shown[:, 4:-4]
    )


def test_a_note_on_turning_counts_only_where_exif_stands():
    content = jpeg(size=28)
    turned = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    exif, comment = (mark + struct.pack(">H", 2 + len(turned)) + turned for mark in (b"\xff\xe1", b"\xff\xfe"))
    assert np.array_equal(read(content[:2] + exif + content[2:]), np.rot90(read(content), -1))
    assert np.array_equal(read(content[:2] + comment + content[2:]), read(content))


@pytest.mark.parametrize("padding", [1, 2, 7])
def test_padding_before_a_marker_of_a_jpeg_is_passed_over(padding):
    content = jpeg(size=28)
    assert np.array_equal(read(content[:2] + b"\xff" * padding + content[2:]), read(content))
    end = content[:-2] + b"\xff" * padding + content[-2:]
    assert np.array_equal(read(end), read(content))


def test_a_table_of_codes_that_ends_too_early_is_no_crash():
    content = jpeg(size=28)
    for length in range(20):
        table = b"\xff\xc4" + struct.pack(">H", 2 + length) + bytes(length)
        try:
            found = read(content[:2] + table + content[2:])
        except DataError:
            continue
        assert np.array_equal(found, read(content))


FLAT = {0: (2, 0), 16: (3, 0)}  # codes of zeros that say "as before" and "no more in this block"
SCANS = {  # components with their sampling, those in the scan, blocks in 64 x 48 pixels
    "grey": ([(1, 0x11)], [1], 48),
    "colour": ([(1, 0x11), (2, 0x11), (3, 0x11)], [1, 2, 3], 3 * 48),
    "colour at half size": ([(1, 0x22), (2, 0x11), (3, 0x11)], [1, 2, 3], 6 * 12),
    "one of its components": ([(1, 0x22), (2, 0x11), (3, 0x11)], [3], 12),
}


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize(("first", "last", "bits"), [(0, 63, 5), (0, 0, 2), (1, 63, 3)])
def test_zeros_may_stand_for_as_many_blocks_as_there_are_and_no_more(scan, first, last, bits):
    """As many zeros as 64 x 48 pixels take when each block is as the one before; fewer than 64 bytes tell nothing."""
    parts, listed, blocks = SCANS[scan]
    frame = struct.pack(">BHHB", 8, 48 * 16, 64 * 16, len(parts)) + b"".join(bytes([name, at, 0]) for name, at in parts)
    head = bytes([len(listed)]) + b"".join(bytes([name, 0]) for name in listed) + bytes([first, last, 0])
    fit = blocks * 256 * bits // 8

    def check(zeros: int, tables: dict[int, tuple[int, int]]) -> None:
        pixels._check_scan(b"\x5a" * 9 + bytes(zeros) + b"\x5a" * 9, head, frame, tables, "x.jpg")

    check(fit, FLAT)
    check(63, {0: (2, 3), 16: (3, 3)})
    with pytest.raises(DataError, match=f"{fit + 1:,} bytes of zeros"):
        check(fit + 1, FLAT)
    with pytest.raises(DataError, match="64 bytes of zeros"):
        check(64, {0: (2, 3), 16: (3, 3)})  # here zeros say that something is new


@pytest.mark.parametrize("exif", [b"", b"II", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_a_note_that_cannot_be_read_turns_nothing(exif):
    content = jpeg(size=28)
    note = b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif
    assert np.array_equal(read(content[:2] + note + content[2:]), read(content))


def test_jpegs_that_are_not_8_bits_of_grey_or_colour_are_converted_only_as_declared():
    inks = jpeg("CMYK", size=28)
    assert "inks (CMYK) (JPEG); expected is 8-bit grey or RGB. Set `colour: grey`" in refused(inks)
    with Image.open(io.BytesIO(inks)) as image:
        assert np.array_equal(read(inks, colour="rgb"), np.asarray(image.convert("RGB")))
    assert read(inks, colour="grey").shape == (28, 28, 1)
    content = jpeg(size=28)
    place = content.index(b"\xff\xc0") + 4
    assert "12 bits a value" in refused(content[:place] + b"\x0c" + content[place + 1 :])


# --- TIFF and BMP ----------------------------------------------------------------------------------


def saved(kind: str, mode: str = "L", values: np.ndarray | None = None, **options) -> bytes:
    """A file of noise, or of given values, as Pillow writes it."""
    buffer = io.BytesIO()
    image = Image.fromarray(some(8, 0)[..., 0].astype(np.uint8) if values is None else values)
    (image if image.mode == mode else image.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


TIFFS = {
    "plain": {},
    "lzw": {"compression": "tiff_lzw"},
    "deflate": {"compression": "tiff_adobe_deflate"},
    "packbits": {"compression": "packbits"},
    "big-endian": {"big_endian": True},
}


@pytest.mark.parametrize("options", TIFFS)
@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_tiffs_arrive_as_they_are(mode, options):
    content = saved("TIFF", mode, **TIFFS[options])
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(read(content).squeeze(), np.asarray(image.convert("L" if mode == "1" else mode)))


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_bmps_arrive_as_they_are(mode):
    content = saved("BMP", mode)
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(read(content).squeeze(), np.asarray(image.convert("L" if mode == "1" else mode)))


@pytest.mark.parametrize(("kind", "mode"), [("TIFF", "P"), ("TIFF", "CMYK"), ("BMP", "P")])
def test_palettes_and_inks_are_converted_only_as_declared(kind, mode):
    image = Image.fromarray(some(8, 2).astype(np.uint8))
    values = image.quantize(16) if mode == "P" else image.convert(mode)
    buffer = io.BytesIO()
    values.save(buffer, kind)
    assert "Set `colour: grey` or `colour: rgb`" in refused(buffer.getvalue())
    assert np.array_equal(read(buffer.getvalue(), "rgb"), np.asarray(values.convert("RGB")))
    assert read(buffer.getvalue(), "grey").shape == (28, 28, 1)


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
def test_what_may_be_seen_through_is_used_only_where_nothing_is(kind):
    solid = np.dstack([some(8, 2), np.full((SIZE, SIZE), 255)]).astype(np.uint8)
    assert np.array_equal(read(saved(kind, "RGBA", solid)), solid[..., :3])
    if kind == "TIFF":  # a BMP's fourth value means nothing
        solid[0, :9, 3] = 7
        assert "9 of its 784 pixels are not opaque" in refused(saved(kind, "RGBA", solid))


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_tiff_or_bmp_that_was_cut_off_is_refused(kind, mode):
    content = saved(kind, mode)
    pixel_bytes = SIZE * SIZE * (3 if mode == "RGB" else 1)
    for length in [*range(2, len(content) - pixel_bytes, 7), len(content) - pixel_bytes // 2, len(content) - SIZE]:
        refused(content[:length], colour="rgb")


@pytest.mark.parametrize("bits", [8, 16])
def test_the_page_of_a_tiff_that_is_named_is_read_and_no_other(bits):
    values = [some(bits, 0, seed)[..., 0].astype(np.uint8 if bits == 8 else np.uint16) for seed in range(3)]
    pages = [Image.fromarray(one) for one in values]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    window = None if bits == 8 else (0.0, 65535.0)
    assert "holds 3 pages. Say which one is meant with `frame`" in refused(buffer.getvalue(), window=window)
    how = pixels.Conversion(size=None, fit=None, filter="box", colour=None, window=window)
    for number, page in enumerate(pages, 1):
        alone = io.BytesIO()
        page.save(alone, "TIFF")
        found = pixels.read(buffer.getvalue(), "x", how, number)
        assert np.array_equal(found, pixels.read(alone.getvalue(), "x", how))
        assert np.array_equal(found, pixels.read(alone.getvalue(), "x", how, 1))
    with pytest.raises(DataError, match="holds 3 pages, so it has no number 4"):
        pixels.read(buffer.getvalue(), "x", how, 4)


def test_a_thumbnail_in_a_tiff_is_no_page():
    pages = [Image.fromarray(some(8, 0, seed)[..., 0].astype(np.uint8)) for seed in range(3)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    content = bytearray(buffer.getvalue())
    (at,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, at)
    (at,) = struct.unpack_from("<I", content, at + 2 + 12 * entries)  # the second directory
    (entries,) = struct.unpack_from("<H", content, at)
    first = next(at + 2 + 12 * i for i in range(entries) if content[at + 2 + 12 * i : at + 4 + 12 * i] == b"\x03\x01")
    struct.pack_into("<HHII", content, first, 254, 4, 1, 1)  # in place of its compression: none is the default
    how = pixels.Conversion(size=None, fit=None, filter="box", colour=None)
    assert np.array_equal(pixels.read(bytes(content), "x", how, 2)[..., 0], np.asarray(pages[2]))
    with pytest.raises(DataError, match="holds 2 pages"):
        pixels.read(bytes(content), "x", how)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_file_of_one_image_has_no_second(kind):
    buffer = io.BytesIO()
    Image.fromarray(some(8, 0)[..., 0].astype(np.uint8)).save(buffer, kind)
    how = pixels.Conversion(size=None, fit=None, filter="box", colour=None)
    assert np.array_equal(pixels.read(buffer.getvalue(), "x", how, 1), pixels.read(buffer.getvalue(), "x", how))
    with pytest.raises(DataError, match="holds one image, so it has no number 2, which `frame` names"):
        pixels.read(buffer.getvalue(), "x", how, 2)


def test_a_tiff_of_other_numbers_is_refused():
    for values in (some(8, 0)[..., 0].astype(np.float32), some(8, 0)[..., 0].astype(np.int32)):
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "TIFF")
        assert "expected is grey or RGB of whole numbers" in refused(buffer.getvalue())
    assert "16 bits a value" in refused(saved("TIFF", "I;16", some(16, 0)[..., 0].astype(np.uint16)))


def test_a_packed_bmp_is_refused():
    content = bytearray(saved("BMP"))
    content[30] = 1
    assert "is a packed BMP" in refused(bytes(content))


# --- squares of one size ---------------------------------------------------------------------------


def oblong(height: int = 60, width: int = 100) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width), np.uint8)


def test_an_oblong_image_is_refused_with_the_three_ways_named():
    said = refused(saved("PNG", values=oblong()), size=28)
    assert "60 x 100, which is not square" in said
    assert all(f"`fit: {way}`" in said for way in ("crop", "pad", "stretch"))


@pytest.mark.parametrize("turned", [False, True])
def test_crop_takes_the_middle_and_pad_adds_black_on_both_sides(turned):
    values = oblong(60, 100)
    values[values == 0] = 1
    content = saved("PNG", values=values.T if turned else values)
    turn = (lambda image: image.T) if turned else (lambda image: image)
    assert np.array_equal(read(content, size=60, fit="crop")[..., 0], turn(values[:, 20:80]))
    padded = turn(read(content, size=100, fit="pad")[..., 0])
    assert np.array_equal(padded[20:80], values)
    assert not padded[:20].any()
    assert not padded[80:].any()


def test_stretch_squeezes_the_whole_image():
    ramp = np.broadcast_to(np.arange(100, dtype=np.uint8), (50, 100))
    squeezed = read(saved("PNG", values=np.ascontiguousarray(ramp)), size=50, fit="stretch", filter="box")[..., 0]
    assert np.all(np.abs(squeezed - np.arange(0.5, 100, 2)) <= 0.5)


@pytest.mark.parametrize("filter", ["bilinear", "box", "bicubic", "lanczos"])
def test_shrinking_averages_with_every_filter(filter):
    """Noise shrunk eight times is nearly flat; a filter that picks single pixels would keep its spread."""
    noise = np.random.default_rng(0).integers(0, 256, (512, 512), np.uint8)
    small = read(saved("PNG", values=noise), size=64, filter=filter)
    assert small.std() < noise.std() / 4
    assert abs(small.mean() - noise.mean()) < 1


@pytest.mark.parametrize("fit", [None, "crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_become_what_files_of_them_become(fit, channels):
    values = np.random.default_rng(2).integers(0, 256, (3, 40, 40 if fit is None else 61, channels), np.uint8)
    how = pixels.Conversion(size=32, fit=fit, filter="lanczos", colour=None)
    made = pixels.squares(values, how)
    for before, after in zip(values, made, strict=True):
        content = saved("PNG", "L" if channels == 1 else "RGB", before.squeeze())
        assert np.array_equal(read(content, size=32, fit=fit, filter="lanczos"), after)


# --- more than 8 bits ------------------------------------------------------------------------------


def deep(values: np.ndarray, kind: str) -> bytes:
    """A 16-bit file of values (H, W, 1)."""
    if kind.startswith("PNG"):
        return encoded(values, 16, 0, interlaced=kind == "PNG, interlaced")
    buffer = io.BytesIO()
    options = {"compression": "tiff_lzw"} if kind == "TIFF, packed" else {}
    image = Image.fromarray(values[..., 0].astype(np.uint16))
    image.save(buffer, "TIFF", big_endian=kind == "TIFF, big-endian", **options)
    return buffer.getvalue()


DEEP = ["PNG", "PNG, interlaced", "TIFF", "TIFF, packed", "TIFF, big-endian"]


@pytest.mark.parametrize("kind", DEEP)
def test_a_window_maps_every_value_of_16_bits_to_the_nearest_of_8(kind):
    """From low to high; what lies beyond is 0 or 255."""
    values = some(16, 0)
    values[0, :4, 0] = 0, 65535, 1000, 5000
    found = read(deep(values, kind), window=(1000.0, 5000.0))
    expected = np.clip((values - 1000) * 255 / 4000, 0, 255)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.5
    assert found[0, :4, 0].tolist() == [0, 255, 0, 255]
    how = pixels.Conversion(size=None, fit=None, filter="box", colour=None, window=(0.0, 1.0))
    assert np.array_equal(pixels.values(deep(values, kind), "x", how), values[..., 0])


@pytest.mark.parametrize("kind", DEEP)
def test_more_than_8_bits_are_refused_until_a_window_is_declared(kind):
    assert "16 bits a value" in refused(deep(some(16, 0), kind))
    assert "`window: {low: 0, high: 4095}`" in refused(deep(some(16, 0), kind))


@pytest.mark.parametrize("colour", [2, 4, 6])
def test_a_window_is_for_grey_alone(colour):
    assert "`window` is for grey images" in refused(encoded(some(16, colour), 16, colour), window=(0.0, 9.0))


def test_a_window_does_not_mean_the_values_of_8_bits():
    assert "8 bits a value, so the range of `window`" in refused(encoded(some(8, 0), 8, 0), window=(0.0, 9.0))


def test_windows_in_their_three_forms_are_one_range():
    assert windows.declared({"low": -1000, "high": 400}) == (-1000, 400)
    assert windows.declared({"centre": -300, "width": 1400}) == (-1000, 400)
    assert windows.declared({"percentiles": [0.5, 99.5]}) is None
    ramp = [np.arange(500, dtype=np.uint16), np.arange(500, 1000, dtype=np.uint16)]
    assert windows.percentiles(lambda: ramp, 0, 100) == (0, 999)
    assert windows.percentiles(lambda: ramp, 1, 99) == (9, 989)  # ten values of a thousand are 0 to 9
    with pytest.raises(DataError, match="both 7"):
        windows.percentiles(lambda: [np.full((9, 9), 7, np.uint16)], 1, 99)


@pytest.mark.parametrize("kind", ["uint16", "int16", "int32", "float16", "float32", "float64", "mixed"])
@pytest.mark.parametrize("low", [0, 0.5, 3, 50])
def test_percentiles_are_values_of_the_images_at_their_place_in_order(kind, low):
    rng = np.random.default_rng(0)
    spread = [rng.normal(0, 10.0**scale, (3, 40, 40)) for scale in ((-3, 0, 3) if "float" in kind else (1, 2, 3))]
    if kind == "mixed":
        images = [
            spread[0],
            spread[1].astype(np.int16),
            np.zeros((2, 2)),
            -np.zeros((2, 2)),
            spread[2].astype(np.float16),
        ]
    else:
        sign = 1 if kind == "uint16" else -1
        images = [np.clip(some, 0 if sign > 0 else None, None).astype(kind) for some in spread]
    every = np.sort(np.concatenate([image.astype(np.float32).ravel() for image in images]))
    places = [max(1, int(np.ceil(p / 100 * len(every)))) - 1 for p in (low, 100 - low / 2)]
    found = windows.percentiles(lambda: iter(images), low, 100 - low / 2)
    assert found == (every[places[0]], every[places[1]])


def test_percentiles_beyond_32_bits_are_refused_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="too large for `percentiles`"):
            windows.percentiles(lambda: [np.array([0, 1e300])], 0, 100)
        assert windows.windowed(np.array([-1.7e308, 0, 1.7e308]), (-1.0, 1.0)).tolist() == [0, 128, 255]


@pytest.mark.skipif(not SHARED.exists(), reason=f"no real images at {SHARED}")
def test_real_16_bit_files_keep_their_values_through_a_window():
    files = sorted((SHARED / "png16").glob("*.png"))
    assert len(files) == 4
    for path in files:
        with Image.open(path) as image:
            stored = np.asarray(image).astype(np.int64)
        low, high = float(stored.min()), float(stored.max())
        how = pixels.Conversion(size=64, fit="stretch", filter="box", colour=None, window=(low, high))
        assert np.array_equal(pixels.values(path.read_bytes(), path.name, how), stored)
        small = pixels.read(path.read_bytes(), path.name, how)[..., 0]
        assert abs(small.mean() - ((stored - low) * 255 / (high - low)).mean()) < 1


# --- other files -----------------------------------------------------------------------------------


def other(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (28, 28)).save(buffer, kind)
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content)


def written(write) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


NIFTI = bytes([92, 1]) + bytes(342) + b"n+1\0" + bytes(100)
FILES = {
    "an empty file": b"",
    "a git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
    "an HTML page": b"\n<!DOCTYPE html>\n<html lang='en'><body>404</body></html>",
    "an XML or SVG file": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a text file": "Größe: 28\n".encode(),
    "a WebP image": other("WEBP"),
    "a GIF image": other("GIF"),
    "a JPEG 2000 image": other("JPEG2000"),
    "an AVIF image": b"\0\0\0\x20ftypavif" + bytes(30),
    "a HEIC image": b"\0\0\0\x18ftypheic" + bytes(30),
    "a DICOM file": bytes(128) + b"DICM" + bytes(50),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(50),
    "a MATLAB file": b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90),
    "a NIfTI volume (.nii)": NIFTI,
    "a NIfTI volume (.nii.gz)": zipped(NIFTI),
    "a gzip file": zipped(b"anything else"),
    "one NumPy array (.npy)": b"\x93NUMPY\x01\0" + bytes(20),
    "a zip file": b"PK\x03\x04" + bytes(30),
    "an empty zip file": written(lambda file: zipfile.ZipFile(file, "w").close()),
    "a tar archive": tarfile.TarInfo("a").tobuf() + bytes(1024),
    "an xz file": lzma.compress(b"anything else"),
    "a bzip2 file": bz2.compress(b"anything else"),
    "an SQLite database": b"SQLite format 3\0" + bytes(80),
    "a video": b"\0\0\0\x20ftypisom" + bytes(30),
    "a PDF document": b"%PDF-1.7\n",
    "a Python pickle": b"\x80\x04\x95" + bytes(10),
    "a file of zeros": bytes(3000),
}


@pytest.mark.parametrize("kind", FILES)
def test_another_file_under_an_images_name_is_called_what_it_is(kind):
    assert f"train/a/0.png is {kind}" in refused(FILES[kind])


def test_only_what_is_known_is_named():
    assert filetype.what(np.random.default_rng(0).bytes(1024)) is None
    for almost in (
        b"\x80" + b"\xd0" * 99,  # a pickle says its version next
        b"\x80",
        b"\xd0\x02" + b"\xd0" * 99,
        b"words" + b"\xff" * 99,  # no letters of any alphabet
        b"words\0and\1bytes" * 9,
        b"BM" + b"\xd0" * 99,
        b"RIFF" + bytes(4) + b"WAVE" + b"\xd0" * 99,
    ):
        assert filetype.what(almost) is None, almost
    assert "is not a PNG, JPEG, TIFF, BMP or DICOM image, or not a complete one" in refused(
        b"\xd0" + np.random.default_rng(0).bytes(999)
    )


@pytest.mark.skipif(not SHARED.exists(), reason=f"no real images at {SHARED}")
def test_real_images_are_read_as_their_decoder_gives_them():
    files = sorted((SHARED / "ham10000").rglob("*.jpg"))
    assert len(files) > 1000
    for path in itertools.islice(files, 0, None, 20):
        found = pixels.header(path.read_bytes(), path.name)
        assert (found.form, found.bits, found.orientation) == ("colour", 8, 1)
        with Image.open(path) as image:
            assert (found.width, found.height) == image.size
    for path in (SHARED / "png16").glob("*.png"):
        assert pixels.header(path.read_bytes(), path.name).bits == 16

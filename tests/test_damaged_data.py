"""Damaged and hostile images, made from good ones by code: each is read as promised or refused in one message."""

import io
import itertools
import os
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from medaug_keras import data
from medaug_keras.data import DataError
from medaug_keras.data.dataset import SPLITS

PREFIX = {"train": "train", "val": "val", "test": "test"}
COUNTS = {"train": 4, "val": 2, "test": 2}

Case = tuple[str, Callable[[Path], object]]
"""What is wrong, and a function that makes it at a path."""


def outcome(where: Path, *reads: Callable[[Path], data.Dataset | data.Sizes | str]) -> str:
    """`read`, `refused` or how the law was broken."""
    refused = 0
    for read in reads:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # what Python or Pillow mutters, a user must not have to read
                found = read(where)
        except DataError as error:
            refused += 1
            lines = str(error).split("\n")
            if len(lines) > 21 or not all(line.isprintable() and 10 < len(line) < 1500 for line in lines):
                return f"not a message of a few lines: {lines[:3]}"
        except BaseException as error:
            return f"traceback: {type(error).__name__}: {str(error)[:300]}"
        else:
            if isinstance(found, data.Dataset) and not (kept(found) and true(found, where)):
                return "read, but not as promised"
    return "refused" if refused else "read"


def kept(found: data.Dataset) -> bool:
    """Whether a data set is what its class promises."""
    shape, classes = found.image_shape, len(found.classes)
    return shape[:2] == (28, 28) and all(
        part.images.dtype == np.uint8
        and part.labels.dtype == np.int64
        and part.images.shape == (len(part.labels), *shape)
        and part.labels.min() >= 0
        and part.labels.max() < classes
        for part in (getattr(found, split) for split in SPLITS)
    )


def true(found: data.Dataset, where: Path) -> bool:
    """Whether the first and the last image of a folder, where they are PNG files, have the pixels that those hold."""
    if not where.is_dir():
        return True
    for images, name in ((found.train.images, ONE), (found.test.images, "test/malignant/0.png")):
        place = where / name
        content = place.read_bytes() if place.is_file() else b""
        if content.startswith(b"\x89PNG") and len(found.train.labels) == COUNTS["train"]:
            expected = decoded(content)
            if expected.shape[:2] != (28, 28):  # resized, which other tests judge
                continue
            if not np.all(images[-1 if name.startswith("test") else 0] == expected):  # grey is RGB of equal values
                return False
    return True


def decoded(content: bytes) -> np.ndarray:
    """(H, W, 1 or 3) of a PNG by its specification alone, without any library for images; opaque and not interlaced."""
    at, parts, palette = 8, b"", b""
    while content[at + 4 : at + 8] != b"IEND":
        (length,) = struct.unpack(">I", content[at : at + 4])
        name, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        if name == b"IHDR":
            width, height, bits, colour = struct.unpack(">IIBB", body[:10])
        parts += body * (name == b"IDAT")
        palette += body * (name == b"PLTE")
        at += 12 + length
    values = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    raw, stride, before = zlib.decompress(parts), -(-width * values * bits // 8), max(1, values * bits // 8)
    rows = np.zeros((height + 1, stride + before), np.int64)  # a row of zeros above, and zeros on the left
    for y in range(height):
        line = raw[y * (stride + 1) : (y + 1) * (stride + 1)]
        for x in range(stride):
            left, up, corner = rows[y + 1, x], rows[y, x + before], rows[y, x]
            near = min((left, up, corner), key=lambda one: abs(left + up - corner - one))  # Paeth's
            rows[y + 1, x + before] = (line[1 + x] + (0, left, up, (left + up) // 2, near)[line[0]]) % 256
    found = rows[1:, before:].astype(np.uint8)
    if bits < 8:
        each = np.unpackbits(found, axis=1).reshape(height, -1, bits)[:, :width]
        found = (each @ (1 << np.arange(bits - 1, -1, -1))).astype(np.uint8)
        found = found if colour == 3 else (found.astype(int) * 255 // (2**bits - 1)).astype(np.uint8)
    found = found.reshape(height, width, values)
    if colour == 3:
        return np.frombuffer(palette, np.uint8).reshape(-1, 3)[found[..., 0]]
    return found[..., :-1] if values in (2, 4) else found


def broken(
    cases: Iterator[Case], where: Path, judge: Callable[[Path], str], counted: Callable[..., None], kind: str
) -> list[str]:
    """Make every case and judge it; those that break the law."""
    wrong, inputs = [], 0
    for what, make in cases:
        make(where)
        result = judge(where)
        inputs += 1
        if result not in ("read", "refused"):
            wrong.append(f"{what}: {result}")
    counted(kind, inputs, sum(": traceback: " in line for line in wrong))
    return wrong


# --- .npz ------------------------------------------------------------------------------------------

NPZ = (
    partial(data.npz_fingerprint, cache=None),
    partial(data.npz_sizes, classes=None, size=None, max_bytes=10**6),
    partial(data.load_npz, name="mine", title="Mine", classes=None, size=None, max_bytes=10**6),
)


def arrays() -> dict[str, np.ndarray]:
    """A good file's arrays, which pack into about a kilobyte."""
    good = {}
    for split, n in COUNTS.items():
        good[f"{split}_images"] = (np.arange(n * 784) % 7 * 30).astype(np.uint8).reshape(n, 28, 28)
        good[f"{split}_labels"] = np.arange(n, dtype=np.uint8) % 2
    return good


def packed(**changed: np.ndarray | bytes | None) -> bytes:
    """An .npz file with some arrays replaced, by raw bytes where that is said, or left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (arrays() | changed).items():
            if content is None:
                continue
            if not isinstance(content, bytes):
                member = io.BytesIO()
                np.save(member, content)
                content = member.getvalue()
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def header(text: str, payload: bytes = b"") -> bytes:
    """An .npy file with exactly this header."""
    line = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line + payload


def put(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def damaged(good: bytes, values: Callable[[int], list[int]]) -> Iterator[Case]:
    """Cut after every byte, and every byte replaced."""
    for length in range(len(good)):
        yield f"cut after {length} bytes", put(good[:length])
    for place, byte in enumerate(good):
        for value in values(byte):
            if value != byte:
                yield f"byte {place} is {value}", put(good[:place] + bytes([value]) + good[place + 1 :])


def few(byte: int) -> list[int]:
    return [byte ^ 1, byte ^ 0x80]


def many(byte: int) -> list[int]:
    return [*(byte ^ (1 << bit) for bit in range(8)), *range(0, 256, 17)]


def of_headers() -> Iterator[Case]:
    """Types, orders, shapes and payloads that fit or do not."""
    types = ("|u1", "<u2", ">i8", "<f2", "<f8", "|b1", "|O", "|S4", "<U4", "|V8", "<M8[s]", "<c8", "|V0", "zz", "")
    shapes = ("(4,)", "(4, 1)", "(4, 28, 28)", "(0,)", "()", "(4, -1)", "(99999999999, 28, 28)", "(4.0,)", "4", "(4L,)")
    for name, kind, order, shape in itertools.product(
        ("train_images", "val_labels"), types, ("False", "True", "0"), shapes
    ):
        text = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}"
        yield f"{name}: {text}", put(packed(**{name: header(text, bytes(4 * 784))}))


def of_arrays() -> Iterator[Case]:
    """Arrays of every type and shape, as NumPy writes them."""
    types = ("u1", "i1", "u2", "i8", "f2", "f8", "?", "c16", "S3", "U3", "M8[D]", "m8[s]", "V4", "O")
    shapes = ((4,), (4, 1), (4, 2), (4, 28, 28), (4, 28, 28, 1), (4, 3, 28, 28), (4, 28, 28, 4), (5,), (0,), (), (4, 0))
    for name, kind, shape in itertools.product(("train_images", "train_labels", "test_labels"), types, shapes):
        yield f"{name}: {kind} {shape}", put(packed(**{name: np.zeros(shape, kind)}))
    for wrong in (np.nan, np.inf, -np.inf, -1, 0.5, 2, 1e300, 2**63, 5e-324):
        for split, n in COUNTS.items():
            labels = np.arange(n) % 2 + 0.0
            labels[-1] = wrong
            yield f"{split}: a label is {wrong}", put(packed(**{f"{split}_labels": labels}))
    for left_out in (1, 2, 6):
        for names in itertools.combinations(arrays(), left_out):
            yield f"without {names}", put(packed(**dict.fromkeys(names)))


NPZ_CORPUS = {
    "damaged": lambda: damaged(packed(), few),
    "headers": of_headers,
    "arrays": of_arrays,
}


@pytest.mark.parametrize("source", NPZ_CORPUS)
def test_every_wrong_npz_file_is_read_as_promised_or_refused(source: str, tmp_path: Path, counted) -> None:
    judge = lambda path: outcome(path, *NPZ)  # noqa: E731
    assert broken(NPZ_CORPUS[source](), tmp_path / "mine.npz", judge, counted, ".npz files") == []


@pytest.mark.slow
def test_npz_files_with_any_bit_wrong_are_read_as_promised_or_refused(tmp_path: Path, counted) -> None:
    judge = lambda path: outcome(path, *NPZ)  # noqa: E731
    assert broken(damaged(packed(), many), tmp_path / "mine.npz", judge, counted, ".npz files") == []


def test_the_npz_file_that_the_corpus_is_made_from_is_right(tmp_path: Path) -> None:
    put(packed())(tmp_path / "mine.npz")
    assert outcome(tmp_path / "mine.npz", *NPZ) == "read"


# --- folders ---------------------------------------------------------------------------------------

FOLDER = (
    partial(data.folder_fingerprint, cache=None),
    partial(data.folder_sizes, size=None, colour=None),
    partial(data.load_folder, name="mine", title="Mine", size=None, colour=None, max_bytes=10**6),
    partial(data.load_folder, name="mine", title="Mine", size=28, colour="rgb", max_bytes=10**6),
)
ONE = "train/benign/0.png"


def image(kind: str = "PNG", mode: str = "L", size: tuple[int, int] = (28, 28), **options: object) -> bytes:
    """A good image file of few bytes, that is not all of one value."""
    pixels = Image.fromarray((np.arange(size[0] * size[1]) % 4 * 50).astype(np.uint8).reshape(size[::-1]))
    buffer = io.BytesIO()
    (pixels.quantize(4) if mode == "P" else pixels.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def build(root: Path) -> Path:
    """A good folder, in the place of what was there."""
    shutil.rmtree(root, ignore_errors=True)
    for split, n in COUNTS.items():
        for name in ("benign", "malignant"):
            (root / split / name).mkdir(parents=True)
            for number in range(n // 2):
                (root / split / name / f"{number}.png").write_bytes(GOOD)
    return root


@pytest.fixture
def good_folder(tmp_path: Path) -> Path:
    return build(tmp_path / "mine")


GOOD = image()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these chunks, their checksums right."""
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return content


def head(width: int, height: int, bits: int = 8, colour: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


PIXELS = (b"IDAT", zlib.compress(bytes(29 * 28)))
END = (b"IEND", b"")
LARGE = zlib.compress(bytes(50_000_000))


def into(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(content)


def of_images() -> Iterator[Case]:
    """One image of a folder is another than it says."""
    contents: dict[str, bytes] = {
        "empty": b"",
        "text": b"this is no image\n",
        "HTML": b"<!DOCTYPE html><html><body>Not found</body></html>",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28"/>',
        "zip": packed(),
        "DICOM": bytes(128) + b"DICM" + bytes(200),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\nquit\n",
        "random bytes": np.random.default_rng(0).bytes(2000),
        "only a signature": png(),
        "no pixels": png(head(28, 28), END),
        "two headers": png(head(28, 28), head(28, 28), PIXELS, END),
        "no end": png(head(28, 28), PIXELS),
        "pixels before the header": png(PIXELS, head(28, 28), END),
        "too few pixels": png(head(28, 28), (b"IDAT", zlib.compress(bytes(29 * 3))), END),
        "too many pixels": png(head(28, 28), (b"IDAT", LARGE), END),
        "pixels that are not packed": png(head(28, 28), (b"IDAT", bytes(29 * 28)), END),
        "a large comment": png(head(28, 28), (b"zTXt", b"a\0\0" + LARGE), PIXELS, END),
        "a large international comment": png(head(28, 28), (b"iTXt", b"a\0\1\0\0\0" + LARGE), PIXELS, END),
        "a large colour profile": png(head(28, 28), (b"iCCP", b"a\0\0" + LARGE), PIXELS, END),
        "a large Exif block": png(head(28, 28), (b"eXIf", bytes(10**6)), PIXELS, END),
        "a chunk of 4 GB": png(head(28, 28)) + b"\xff\xff\xff\xffIDAT" + bytes(50),
        "a palette that is missing": png(head(28, 28, 8, 3), PIXELS, END),
        "a palette that is short": png(head(28, 28, 8, 3), (b"PLTE", b"\0\0"), PIXELS, END),
        "an animation without frames": png(head(28, 28), (b"acTL", struct.pack(">II", 0, 0)), PIXELS, END),
        "a huge animation": png(head(28, 28), (b"acTL", struct.pack(">II", 2**31, 0)), PIXELS, END),
    }
    for width, height in itertools.product((0, 1, 27, 28, 60_000, 2**31 - 1, 2**31, 2**32 - 1), repeat=2):
        contents[f"PNG of {width} x {height}"] = png(head(width, height), PIXELS, END)
    for bits, colour in itertools.product((0, 1, 2, 4, 8, 16, 32, 255), (0, 1, 2, 3, 4, 5, 6, 255)):
        contents[f"PNG of {bits} bits, colour {colour}"] = png(head(28, 28, bits, colour), PIXELS, END)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        contents[f"PNG of mode {mode}"] = image("PNG", mode)
    noise = np.random.default_rng(0).integers(0, 256, (28, 28, 4), np.uint8)
    for what, pixels in {"grey": noise[..., 0], "colour": noise[..., :3], "smooth": np.sort(noise[..., 0])}.items():
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=9)
        contents[f"PNG of noise, {what}"] = buffer.getvalue()
    for alpha in (0, 127, 254, 255):
        noise[..., 3] = 255
        noise[9, 9, 3] = alpha
        for what, mode in (("colour", "RGBA"), ("grey", "LA")):
            buffer = io.BytesIO()
            Image.fromarray(noise).convert(mode).save(buffer, "PNG")
            contents[f"PNG of {what} with one alpha of {alpha}"] = buffer.getvalue()
    for mode in ("L", "RGB", "CMYK", "YCbCr"):
        for progressive in (False, True):
            contents[f"JPEG of mode {mode}, {progressive}"] = image("JPEG", mode, progressive=progressive)
    jpeg = image("JPEG")
    size = jpeg.index(b"\xff\xc0") + 5
    for height, width in itertools.product((0, 1, 28, 65_535), repeat=2):
        contents[f"JPEG of {width} x {height}"] = jpeg[:size] + struct.pack(">HH", height, width) + jpeg[size + 4 :]
    for kind in ("GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM", "TGA", "JPEG2000", "PDF", "DDS", "SGI", "PCX"):
        contents[f"{kind} under another name"] = image(kind)
    for size_of_image in ((1, 1), (27, 28), (28, 29), (29, 29), (56, 56), (300, 300), (3000, 1)):
        contents[f"of size {size_of_image}"] = image(size=size_of_image)
    for what, content in contents.items():
        yield f"a training image is {what}", into(ONE, content)
    yield "no training image is wrong any more", into(ONE, GOOD)
    for what, content in contents.items():
        yield f"a test image is {what}", into("test/malignant/0.png", content)


def of_bytes(kind: str, mode: str, values: Callable[[int], list[int]]) -> Iterator[Case]:
    for what, make in damaged(image(kind, mode), values):
        yield f"{kind} {mode}, {what}", lambda root, make=make: make(root / ONE)


def of_entries() -> Iterator[Case]:
    """Something else than an image stands in a good folder."""

    def at(place: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
        def made(root: Path) -> None:
            path = build(root) / place
            path.unlink(missing_ok=True)
            path.parent.mkdir(exist_ok=True)
            make(path)

        return made

    links = ("0.png", "nowhere.png", "/dev/zero", "/dev/null", "/etc/passwd", "..", "../../..", "/", "1.png", "a" * 999)
    entries: dict[str, Callable[[Path], object]] = {
        **{f"a link to {target[:20]}": lambda p, target=target: p.symlink_to(target) for target in links},
        "a folder": Path.mkdir,
        "a pipe": os.mkfifo,
        "a file without an end to its name": put(image()),
    }
    for what, make in entries.items():
        for place in (ONE, "train/benign/new.png", "train/new", "val/new", "new", "train/benign/new.PNG"):
            yield f"{place} is {what}", at(place, make)
    names = (
        *(b"\xff\xfe.png", b"caf\xe9.png", b"\xed\xa0\x80.png", b"a\nb.png", b"a\tb.png", b"\x1b[2J.png", b"..png"),
        *("\u202egnp.exe.png".encode(), "אבג.png".encode(), b"a" * 251 + b".png", b"<b>.png", b"=1+1.png", b"%s{}.png"),
        *(b" .png", b"-.png", b"~.png", b"$HOME.png", b"a.png.exe", b"a", b".hidden.png", b"Thumbs.db", b"con.png"),
    )
    for name in names:
        where = os.fsdecode(name)
        yield f"an image called {name!r}", at(f"train/benign/{where}", put(image()))
        yield f"a text called {name!r}", at(f"train/benign/{where}", put(b"text"))
        for split in ("train", "test"):
            yield f"a class of {split} called {name!r}", at(f"{split}/{where}/0.png", put(image()))


FOLDER_CORPUS = {
    "images": of_images,
    "bytes of a grey PNG": lambda: of_bytes("PNG", "L", few),
    "bytes of a palette PNG": lambda: of_bytes("PNG", "P", few),
    "bytes of a JPEG": lambda: of_bytes("JPEG", "L", few),
    "bytes of a TIFF": lambda: of_bytes("TIFF", "1", few),
    "bytes of a BMP": lambda: of_bytes("BMP", "1", few),
    "entries": of_entries,
}


@pytest.mark.parametrize("source", FOLDER_CORPUS)
def test_every_wrong_folder_is_read_as_promised_or_refused(source: str, good_folder: Path, counted) -> None:
    judge = lambda path: outcome(path, *FOLDER)  # noqa: E731
    assert broken(FOLDER_CORPUS[source](), good_folder, judge, counted, "folders of images") == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB")], ids="-".join)
def test_images_with_any_bit_wrong_are_read_as_promised_or_refused(kind, good_folder: Path, counted) -> None:
    judge = lambda path: outcome(path, *FOLDER)  # noqa: E731
    assert broken(of_bytes(*kind, many), good_folder, judge, counted, "folders of images") == []


def test_the_folder_that_the_corpus_is_made_from_is_right(good_folder: Path) -> None:
    assert outcome(good_folder, *FOLDER) == "read"


# --- chance ----------------------------------------------------------------------------------------

TYPES = st.sampled_from(["u1", "u1", "u1", "i1", "<u2", ">i4", "f4", "f8", "?", "c8", "S2", "U2", "M8[s]"])
SHAPES = st.sampled_from([(4, 28, 28), (4, 28, 28, 3), (4,), (4, 1), (2,), (2, 28, 28)]) | st.lists(
    st.integers(0, 5), max_size=5
).map(tuple)


@st.composite
def some_arrays(draw: st.DrawFn) -> bytes:
    """An .npz file in which up to three arrays are of any type, shape and values."""
    changed: dict[str, np.ndarray | None] = {}
    for name in draw(st.lists(st.sampled_from(list(arrays())), min_size=1, max_size=3, unique=True)):
        kind, shape = draw(TYPES), draw(SHAPES)
        raw = draw(st.binary(min_size=1, max_size=16))
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        changed[name] = np.frombuffer((raw * (size // len(raw) + 1))[:size], kind).reshape(shape)
    return packed(**changed)


@st.composite
def spoilt(draw: st.DrawFn, goods: tuple[bytes, ...]) -> bytes:
    """A good file in which stretches were replaced, moved or taken out."""
    content = draw(st.sampled_from(goods))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        end = draw(st.integers(at, min(len(content), at + 30)))
        new = draw(st.binary(max_size=8) | st.just(content[end : end + 20]) | st.sampled_from([b"PK\5\6", b"\xff" * 4]))
        content = content[:at] + new + content[end:]
    return content


IMAGES = (
    *(image("PNG", mode) for mode in ("L", "P", "RGB", "1", "LA", "I;16")),
    *(image("JPEG", mode, progressive=progressive) for mode in ("L", "RGB", "CMYK") for progressive in (False, True)),
    png(head(28, 28), (b"zTXt", b"a\0\0" + zlib.compress(b"text")), PIXELS, END),
    png(head(28, 28), (b"tRNS", b"\0\1"), (b"gAMA", bytes(4)), (b"pHYs", bytes(9)), PIXELS, END),
)
CHANCE = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def laws(budget: settings) -> type:
    """The same laws on a budget."""

    class Laws:
        @budget
        @given(content=some_arrays())
        def test_any_arrays_are_read_as_promised_or_refused(self, content: bytes, tmp_path: Path) -> None:
            put(content)(tmp_path / "mine.npz")
            assert outcome(tmp_path / "mine.npz", *NPZ) in ("read", "refused")

        @budget
        @given(content=spoilt((packed(),)))
        def test_any_file_near_an_npz_is_read_as_promised_or_refused(self, content: bytes, tmp_path: Path) -> None:
            put(content)(tmp_path / "mine.npz")
            assert outcome(tmp_path / "mine.npz", *NPZ) in ("read", "refused")

        @budget
        @given(content=spoilt(IMAGES))
        def test_any_file_near_an_image_is_read_as_promised_or_refused(self, content: bytes, good_folder: Path) -> None:
            put(content)(good_folder / ONE)
            assert outcome(good_folder, *FOLDER) in ("read", "refused")

    return Laws


TestQuickly = laws(settings(CHANCE, max_examples=100))
TestAtLength = pytest.mark.slow(laws(settings(CHANCE, max_examples=10_000)))

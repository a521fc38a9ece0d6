"""What a file is, by its first bytes: a wrong file is named by what it holds, not by what it is called."""

import zlib

HEAD = 1024  # bytes that are enough to tell

_SIGNATURES: dict[bytes, str] = {
    b"version https://git-lfs": "a git-lfs pointer (the file itself was not fetched: git lfs pull)",
    b"\x89PNG\r\n\x1a\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
    b"\xff\x4f\xff\x51": "a JPEG 2000 image",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"MATLAB 5.0 MAT-file": "a MATLAB file",
    b"MATLAB 7.3 MAT-file": "a MATLAB file",
    b"\x93NUMPY": "one NumPy array (.npy)",
    b"PK\x03\x04": "a zip file",
    b"PK\x05\x06": "an empty zip file",
    b"PK\x07\x08": "a part of a zip file",
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\xfd7zXZ\0": "an xz file",
    b"BZh": "a bzip2 file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"PAR1": "a Parquet table",
    b"SQLite format 3\0": "an SQLite database",
    b"\x7fELF": "a program",
    b"MZ": "a program",
}
_MARKUP = (b"<!doctype html", b"<html", b"<head", b"<body")


def what(head: bytes) -> str | None:
    """`an HTML page`, from at least the first `HEAD` bytes of a file; None where nothing tells."""
    if not head:
        return "an empty file"
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            return name
    if head.startswith(b"\x1f\x8b"):
        inside = _unzipped(head)
        return "a NIfTI volume (.nii.gz)" if _nifti(inside) else "a gzip file"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP image"
    if head[4:8] == b"ftyp":
        return {b"avif": "an AVIF image", b"avis": "an AVIF image"}.get(
            head[8:12], "a HEIC image" if head[8:12] in (b"heic", b"heix", b"mif1", b"msf1") else "a video"
        )
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "a BMP image"
    if head[128:132] == b"DICM":
        return "a DICOM file"
    if _nifti(head):
        return "a NIfTI volume (.nii)"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return "a Python pickle"
    if not head.strip(b"\0"):
        return "a file of zeros (its bytes never reached the disk)"
    return _text(head)


def _text(head: bytes) -> str | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].lower()
    if start.startswith(_MARKUP):
        return "an HTML page (what a server shows in place of a file)"
    if start.startswith((b"<?xml", b"<svg")):
        return "an XML or SVG file"
    text = head.decode("utf-8", "ignore")  # a letter may be cut in two at the end
    if text and len(text.encode()) + 3 >= len(head) and all(c.isprintable() or c in "\t\r\n\f" for c in text):
        return "a text file"
    return None


def _unzipped(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 352)
    except zlib.error:
        return b""


def _nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")

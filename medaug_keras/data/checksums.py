"""MD5 sums of files, remembered between calls."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path

from medaug_keras.data.dataset import DataError

_SETTLED = 2.0  # seconds; a file changed more recently could change again within the same timestamp


def md5_of_stream(file: BufferedReader) -> str:
    """MD5 of an open file's bytes, from its beginning."""
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_file(path: Path, *, cache: Path | None) -> str:
    """MD5 of one file; see `md5_of_files`."""
    return md5_of_files([path], cache=cache)[0]


def md5_of_files(paths: Iterable[Path], *, cache: Path | None) -> list[str]:
    """MD5 of each file. `cache`, a JSON file, keeps sums of files whose size and times have not changed.

    A cache that is absent, not ours or cannot be written is no error: it only saves time.
    """
    known = _read(cache)
    sums, new = [], {}
    for path in paths:
        try:
            status = path.stat()
            word = str(path.absolute())
            stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            entry = known.get(word)
            if isinstance(entry, list) and entry[:3] == stamp and len(entry) == 4:
                sums.append(str(entry[3]))
                continue
            with path.open("rb") as file:
                sums.append(md5_of_stream(file))
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}). Check the path and who may read it.") from error
        if time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED:
            new[word] = [*stamp, sums[-1]]
    if cache is not None and new and (known or not os.path.lexists(cache)):  # else it is somebody's
        _write(cache, known | new)
    return sums


def _read(cache: Path | None) -> dict[str, object]:
    if cache is None:
        return {}
    try:
        entries = json.loads(cache.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    ours = isinstance(entries, dict) and all(isinstance(e, list) and len(e) == 4 for e in entries.values())
    return entries if ours else {}


def _write(cache: Path, entries: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # a read-only or full disk must not stop a study
        cache.parent.mkdir(parents=True, exist_ok=True)
        part = cache.with_name(f".{cache.name}.{os.urandom(8).hex()}.part")
        try:
            part.write_text(json.dumps(entries, indent=1, sort_keys=True), encoding="ascii")
            os.replace(part, cache)
        finally:
            part.unlink(missing_ok=True)

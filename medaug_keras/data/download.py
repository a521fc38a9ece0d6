"""Fetches one file over HTTP: whole and with the right checksum, or not at all.

The standard library does it: no dependency of ours promises to bring another HTTP client.
"""

import contextlib
import hashlib
import http.client
import io
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from medaug_keras.data.dataset import DataError

_BLOCK = 2**18  # bytes
_REDIRECTS = 5
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses that may pass


def download(
    url: str,
    target: Path,
    *,
    md5: str,
    max_bytes: int,
    report: Callable[[str], None] | None,
    attempts: int = 4,
    back_off: float = 1.0,
    stall_timeout: float = 30.0,
    total_timeout: float = 3600.0,
) -> None:
    """Fetch `url` into `target`, which appears under its name only with the MD5 sum `md5`.

    Connection errors, a server's passing troubles, silences longer than `stall_timeout` seconds and answers whose head
    takes longer than that are tried again, up to `attempts` times, after `back_off`, 2 x, 4 x ... seconds, going on
    where the last attempt stopped if the server can. `total_timeout` seconds bound the transfer, however slowly a
    server drips its bytes; only the system's look-up of the server's name is not in our hands. `report` is told the
    progress about once a second.
    Two processes may fetch the same file at once. On failure nothing is left behind. Raises DataError.
    """
    if target.is_symlink():
        where = os.readlink(target)
        raise DataError(f"{target} is a link to {where}, where there is no file. Mend or remove the link.")
    part = target.with_name(f".{target.name}.{os.urandom(8).hex()}.part")
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target, older_than=2 * total_timeout)
        file = part.open("xb")
    try:
        with file:
            transfer = _Transfer(
                url, target, file, md5, max_bytes, report, stall_timeout, time.monotonic() + total_timeout
            )
            transfer.run(attempts, back_off)
        with _writing(target):
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


class _PassingError(Exception):
    """A trouble that another attempt may not meet."""


class _StaleError(_PassingError):
    """What came so far cannot be gone on with: the next attempt starts again."""


class _FinalError(Exception):
    """A trouble that every attempt would meet."""


@dataclass
class _Transfer:
    url: str
    target: Path
    file: BinaryIO
    md5: str
    max_bytes: int
    report: Callable[[str], None] | None
    stall_timeout: float
    deadline: float  # on the monotonic clock
    validator: str | None = None  # the server's mark of the version that the bytes so far belong to
    have: int = 0  # bytes so far
    digest: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    told: float = 0.0  # when `report` last heard

    def run(self, attempts: int, back_off: float) -> None:
        for attempt in range(1, attempts + 1):
            try:
                self._attempt()
                return
            except _FinalError as error:
                raise self._failure(str(error)) from error
            except _PassingError as error:
                if isinstance(error, _StaleError):
                    self.validator = None
                pause = back_off * 2 ** (attempt - 1)
                if attempt == attempts:
                    raise self._failure(f"{error}, {attempts} times") from error
                if time.monotonic() + pause >= self.deadline:
                    raise self._failure(f"{error}, and the time is up") from error
                self._tell(f"{error}; trying again in {pause:g} s")
                time.sleep(pause)

    def _attempt(self) -> None:
        headers = {"User-Agent": "medaug-keras", "Accept-Encoding": "identity"}
        if self.have and self.validator:
            headers |= {"Range": f"bytes={self.have}-", "If-Range": self.validator}
        with _network_errors():
            response = _opener(self._connection).open(urllib.request.Request(self.url, headers=headers))
        with response:
            resumed = response.status == 206
            if resumed and not _starts_at(response.headers.get("Content-Range"), self.have):
                raise _StaleError("the server sent another part than was asked for")
            if not resumed:
                self._restart(response.headers)
            length = _length(response.headers.get("Content-Length"))
            expected = None if length is None else self.have + length
            self._receive(response, expected)
        if expected is not None and self.have < expected:
            raise _PassingError(f"the connection closed after {self.have:,} of {expected:,} bytes")
        if self.digest.hexdigest() != self.md5:
            wrong = f"what came has the MD5 sum {self.digest.hexdigest()} instead of {self.md5}"
            if resumed or expected is None:  # pieces of two versions, or perhaps cut off
                raise _StaleError(wrong)
            raise _FinalError(wrong)
        with _writing(self.target):
            self.file.flush()
            os.fsync(self.file.fileno())

    def _restart(self, headers: Any) -> None:
        etag, modified = headers.get("ETag"), headers.get("Last-Modified")
        # A weak ETag may name several different byte sequences, so nothing can be appended by it.
        self.validator = etag if etag and not etag.startswith("W/") else modified
        self.have = 0
        self.digest = hashlib.md5(usedforsecurity=False)
        with _writing(self.target):
            self.file.seek(0)
            self.file.truncate()

    def _receive(self, response: Any, expected: int | None) -> None:
        while True:
            with _network_errors():
                block = response.read1(_BLOCK)  # what is there, so that the time is looked at often
            if not block:
                return
            with _writing(self.target):
                self.file.write(block)
            self.digest.update(block)
            self.have += len(block)
            if self.have > self.max_bytes:
                raise _FinalError(f"the server sends more than {self.max_bytes:,} bytes")
            if time.monotonic() - self.told >= 1:
                of = f" of {expected / 1e6:.1f}" if expected else ""
                self._tell(f"{self.have / 1e6:.1f}{of} MB")

    def _connection(
        self, kind: type[http.client.HTTPConnection], host: str, **options: Any
    ) -> http.client.HTTPConnection:
        """To a host, with the time that is left; redirects make another."""
        connection = kind(host, **(options | {"timeout": self._patience()}))
        connection.response_class = partial(_Answer, self._patience, self.stall_timeout)  # type: ignore[assignment]
        return connection

    def _patience(self) -> float:
        """Seconds that the server may be silent now."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _FinalError(f"the time was up after {self.have:,} bytes")
        return min(self.stall_timeout, left)

    def _tell(self, text: str) -> None:
        if self.report is not None:
            self.report(f"{self.target.name}: {_plain(text)}")
            self.told = time.monotonic()

    def _failure(self, why: str) -> DataError:
        return DataError(
            f"{self.target.name} could not be downloaded from {self.url}{_proxy(self.url)}: {_plain(why)}. "
            "Run again later, or "
            f"fetch it by another way (a browser, another machine), put it at {self.target}, and run "
            "again. Without a network, try the built-in images: "
            "python -m medaug_keras studies/demo.yaml"
        )


class _Answer(http.client.HTTPResponse):
    """An answer that looks at the time whenever it waits for bytes, so that no server can hold us by dripping them."""

    def __init__(self, patience: Callable[[], float], head_timeout: float, sock: Any, *words: Any, **options: Any):
        super().__init__(sock, *words, **options)
        self.timed = _Timed(self.fp.detach(), sock, patience, time.monotonic() + head_timeout)
        self.fp = io.BufferedReader(self.timed)

    def begin(self) -> None:
        super().begin()
        self.timed.ends = None  # the head is there; the body may take its time


class _Timed(io.RawIOBase):
    """What a socket receives, each time with the patience of that moment, and nothing after `ends`."""

    def __init__(self, raw: io.RawIOBase, sock: Any, patience: Callable[[], float], ends: float | None) -> None:
        self.raw, self.sock, self.patience, self.ends = raw, sock, patience, ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        timeout = self.patience()
        if self.ends is not None:
            timeout = min(timeout, self.ends - time.monotonic())
            if timeout <= 0:
                raise TimeoutError
        self.sock.settimeout(timeout)
        return self.raw.readinto(buffer)

    def close(self) -> None:
        self.raw.close()
        super().close()


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_repeats = 1
    max_redirections = _REDIRECTS

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        schemes = urllib.parse.urlsplit(req.full_url).scheme, urllib.parse.urlsplit(newurl).scheme
        if schemes[1] not in ("http", "https") or schemes == ("https", "http"):
            raise _FinalError(f"the server sends us on to {newurl}, which is not safe to follow")
        fp.close()  # its body would be read whole, and may have no end
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Web(urllib.request.HTTPSHandler):
    """HTTP and HTTPS over connections that `connect` makes."""

    def __init__(self, connect: Callable[..., http.client.HTTPConnection]) -> None:
        super().__init__()
        self.connect = connect

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(partial(self.connect, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(partial(self.connect, http.client.HTTPSConnection), request)

    http_request = urllib.request.AbstractHTTPHandler.do_request_


def _opener(connect: Callable[..., http.client.HTTPConnection]) -> urllib.request.OpenerDirector:
    """HTTP and HTTPS, through the environment's proxies; no files, no FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Web(connect),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


@contextlib.contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        text = f"the server answers {error.code} ({error.reason})"
        if error.code == 416:  # our part is longer than the file: the file has changed
            raise _StaleError(text) from error
        raise (_PassingError if error.code in _TRANSIENT else _FinalError)(text) from error
    except TimeoutError as error:
        raise _PassingError("the server is silent") from error
    except urllib.error.URLError as error:
        silent = isinstance(error.reason, TimeoutError)
        text = "the server is silent" if silent else f"no connection ({error.reason})"
        raise _PassingError(text) from error
    except (OSError, http.client.HTTPException) as error:
        raise _PassingError(f"the connection broke ({error or type(error).__name__})") from error
    except ValueError as error:  # an address, or an answer, that is none
        raise _FinalError(f"this cannot be fetched ({error})") from error


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error.strerror}). Make room there, or name another folder "
            "for the data with --data or MEDMNIST_ROOT."
        ) from error


def _proxy(url: str) -> str:
    """By which proxy an address is asked, and who says so; its password stays secret."""
    try:
        address = urllib.parse.urlsplit(url)
    except ValueError:  # no address at all
        return ""
    proxy = urllib.request.getproxies().get(address.scheme)
    if not proxy or urllib.request.proxy_bypass(address.netloc):
        return ""
    names = (f"{address.scheme}_proxy", f"{address.scheme}_proxy".upper())
    said = next((name for name in names if os.environ.get(name)), "the system's settings")
    return f" by the proxy {_plain(proxy.rpartition('@')[2])} (of {said})"


def _sweep(target: Path, *, older_than: float) -> None:
    """Remove what killed downloads of `target` left: parts no longer written to."""
    for part in target.parent.glob(f".{target.name}.*.part"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - part.stat().st_mtime > older_than:
                part.unlink()


def _plain(text: str) -> str:
    """One short line: part of it is what a server wrote, perhaps for a terminal to obey."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:300]


def _starts_at(content_range: str | None, start: int) -> bool:
    found = re.match(r"bytes (\d+)-", content_range or "")
    return found is not None and int(found[1]) == start


def _length(content_length: str | None) -> int | None:
    return int(content_length) if content_length and content_length.isdecimal() else None

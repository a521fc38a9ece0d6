"""Fetches one file over HTTP: whole and with the right checksum, or not at all.

Requests speaks HTTP. Its time limits bound one wait for bytes, so a server that drips them could hold it for hours.
Each request therefore runs in a thread of its own, and what it receives is awaited with a deadline.
"""

import contextlib
import hashlib
import os
import queue
import re
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import requests
import urllib3

from medaug_keras.data.dataset import DataError

_BLOCK = 2**18  # bytes
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_RETRIED = (408, 425, 429, 500, 502, 503, 504)  # statuses of transient errors


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

    Connection errors, transient errors of the server, silences longer than `stall_timeout` seconds and responses whose
    headers take longer than that are retried, up to `attempts` times, after `back_off`, 2 x, 4 x ... seconds; a retry
    resumes where the last attempt stopped if the server can. `total_timeout` seconds bound the transfer, however slowly
    a server drips its bytes. `report` is told the progress about once a second.
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


class _TransientError(Exception):
    """A retry may succeed."""


class _StaleError(_TransientError):
    """The partial file cannot be resumed: the next attempt starts over."""


class _FinalError(Exception):
    """Every attempt would fail."""


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
    validator: str | None = None  # ETag or Last-Modified of the version that the bytes so far belong to
    have: int = 0  # bytes so far
    digest: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    reported: float = 0.0  # when `report` was last called

    def run(self, attempts: int, back_off: float) -> None:
        for attempt in range(1, attempts + 1):
            try:
                self._attempt()
                return
            except _FinalError as error:
                raise self._failure(str(error)) from error
            except _TransientError as error:
                if isinstance(error, _StaleError):
                    self.validator = None
                pause = back_off * 2 ** (attempt - 1)
                if attempt == attempts:
                    raise self._failure(f"{error}, {attempts} times") from error
                if time.monotonic() + pause >= self.deadline:
                    raise self._failure(f"{error}, and the time is up") from error
                self._report(f"{error}; trying again in {pause:g} s")
                time.sleep(pause)

    def _attempt(self) -> None:
        headers = {"User-Agent": "medaug-keras", "Accept-Encoding": "identity"}
        if self.have and self.validator:
            headers |= {"Range": f"bytes={self.have}-", "If-Range": self.validator}
        with contextlib.closing(self._open(headers)) as response:
            resumed = response.status == 206
            if resumed and not _starts_at(response.headers.get("Content-Range"), self.have):
                raise _StaleError("the server sent another part than was asked for")
            if not resumed:
                self._restart(response.headers)
            length = _length(response.headers.get("Content-Length"))
            expected = None if length is None else self.have + length
            self._receive(response, expected)
        if expected is not None and self.have < expected:
            raise _TransientError(f"the connection closed after {self.have:,} of {expected:,} bytes")
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

    def _open(self, headers: Mapping[str, str]) -> "_Response":
        """The response that a chain of redirects ends with."""
        url, seen = self.url, {self.url}
        while True:
            response = _Response(url, headers, self._patience())
            try:
                response.begin(self._patience())
                moved = response.headers.get("Location") if response.status in _MOVED else None
                if moved is None:
                    _check_status(response.status, response.reason)
                    return response
                url = _redirected(url, moved)
                if url in seen or len(seen) > _REDIRECTS:
                    raise _FinalError(f"the server sends us from address to address, the last is {url}")
                seen.add(url)
            except BaseException:
                response.close()
                raise
            response.close()  # its body may have no end

    def _receive(self, response: "_Response", expected: int | None) -> None:
        while True:
            self._patience()
            try:
                block = response.read(self.deadline - time.monotonic())
            except queue.Empty:
                raise self._late() from None
            if not block:
                return
            with _writing(self.target):
                self.file.write(block)
            self.digest.update(block)
            self.have += len(block)
            if self.have > self.max_bytes:
                raise _FinalError(f"the server sends more than {self.max_bytes:,} bytes")
            if time.monotonic() - self.reported >= 1:
                of = f" of {expected / 1e6:.1f}" if expected else ""
                self._report(f"{self.have / 1e6:.1f}{of} MB")

    def _patience(self) -> float:
        """Seconds that the server may be silent now."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self._late()
        return min(self.stall_timeout, left)

    def _late(self) -> _FinalError:
        return _FinalError(f"the time was up after {self.have:,} bytes")

    def _report(self, text: str) -> None:
        if self.report is not None:
            self.report(f"{self.target.name}: {_plain(text)}")
            self.reported = time.monotonic()

    def _failure(self, why: str) -> DataError:
        return DataError(
            f"{self.target.name} could not be downloaded from {self.url}{_proxy(self.url)}: {_plain(why)}. "
            "Run again later, or "
            f"fetch it by another way (a browser, another machine), put it at {self.target}, and run "
            "again. Without a network, try the built-in images: "
            "python -m medaug_keras studies/demo.yaml"
        )


class _Response:
    """A GET request and its response, without redirects, made in a thread that `close` abandons whatever it waits for.

    A thread that a server still holds ends with the process.
    """

    status: int
    reason: str
    headers: Mapping[str, str]

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._news: queue.Queue[Any] = queue.Queue(maxsize=8)  # headers, then blocks, then b"" or an error
        self._closed = threading.Event()
        threading.Thread(target=self._run, args=(url, headers, timeout), daemon=True).start()

    def begin(self, timeout: float) -> None:
        """Wait for the headers."""
        try:
            self.status, self.reason, self.headers = self._next(timeout)
        except queue.Empty:
            raise _TransientError("the server is silent") from None

    def read(self, timeout: float) -> bytes:
        """The next bytes of the body, as they come; empty at its end. Raises queue.Empty where none come in time."""
        block: bytes = self._next(timeout)
        return block

    def close(self) -> None:
        """Have the thread end as soon as it can."""
        self._closed.set()

    def _next(self, timeout: float) -> Any:
        news = self._news.get(timeout=max(timeout, 0.0))
        if isinstance(news, Exception):
            with _network_errors():
                raise news
        return news

    def _run(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        try:
            with requests.Session() as session:
                request = session.prepare_request(requests.Request("GET", url, headers=dict(headers)))
                settings = session.merge_environment_settings(url, {}, True, None, None)  # proxies, stream, TLS
                with session.get_adapter(url).send(request, timeout=timeout, **settings) as response:
                    response.raw.enforce_content_length = False  # `_Transfer` compares the lengths
                    self._put((response.status_code, response.reason, response.headers))
                    while not self._closed.is_set():
                        block = response.raw.read1(_BLOCK, decode_content=False)
                        self._put(block)
                        if not block:
                            return
        except Exception as error:  # noqa: BLE001 - raised where the news are read
            self._put(error)

    def _put(self, news: Any) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._news.put(news, timeout=0.1)
                return


def _redirected(url: str, location: str) -> str:
    target = urllib.parse.urljoin(url, location)
    schemes = urllib.parse.urlsplit(url).scheme, urllib.parse.urlsplit(target).scheme
    if schemes[1] not in ("http", "https") or schemes == ("https", "http"):
        raise _FinalError(f"the server sends us on to {target}, which is not safe to follow")
    return target


def _check_status(status: int, reason: str) -> None:
    text = f"the server answers {status} ({reason})"
    if status == 416:  # our part is longer than the file: the file has changed
        raise _StaleError(text)
    if not 200 <= status < 300:
        raise (_TransientError if status in _RETRIED else _FinalError)(text)


@contextlib.contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise _TransientError("the server is silent") from error
    except ValueError as error:  # an address, or a response, that is none
        raise _FinalError(f"this cannot be fetched ({error})") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        cause = _cause(error)
        why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise _TransientError(f"{'the connection broke' if _broke(error) else 'no connection'} ({why})") from error


def _broke(error: BaseException) -> bool:
    """Whether there was a connection: what failed is not its making."""
    return any(isinstance(part, urllib3.exceptions.ProtocolError) for part in (error, *error.args))


def _cause(error: BaseException) -> BaseException:
    """The innermost error: those around it repeat the address, and print objects."""
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        inner = inner or next((part for part in error.args if isinstance(part, BaseException)), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner


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
    source = next((name for name in names if os.environ.get(name)), "the system's settings")
    return f" by the proxy {_plain(proxy.rpartition('@')[2])} (of {source})"


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

"""Downloads, against a real server on this machine that misbehaves in every way we could think of."""

import contextlib
import hashlib
import http.server
import itertools
import os
import re
import socket
import threading
import time
from urllib.parse import urlsplit

import numpy as np
import pytest

from medaug_keras import data
from medaug_keras.data import DataError, medmnist
from medaug_keras.data.download import download

CONTENT = np.random.default_rng(0).bytes(600_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = {"attempts": 3, "back_off": 0.01, "stall_timeout": 0.4, "total_timeout": 20.0}


class Handler(http.server.BaseHTTPRequestHandler):
    """Does what the server's `script` says: one word a request, the last one for ever."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        word = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        self.close_connection = True
        getattr(self, f"_{word}")()

    def log_message(self, *args):
        pass

    def _head(self, status, length, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _status(self, code):
        self._head(code, 4)
        self.wfile.write(b"oops")

    def _404(self):
        self._status(404)

    def _403(self):
        self._status(403)

    def _416(self):
        self._status(416)

    def _429(self):
        self._status(429)

    def _500(self):
        self._status(500)

    def _503(self):
        self._status(503)

    def _good(self):
        self._head(200, len(CONTENT), ETag='"one"')
        self.wfile.write(CONTENT)

    def _half(self, **headers):
        self._head(200, len(CONTENT), **({"ETag": '"one"'} | headers))
        self.wfile.write(CONTENT[: len(CONTENT) // 2])

    def _half_without_mark(self):
        self._head(200, len(CONTENT))
        self.wfile.write(CONTENT[: len(CONTENT) // 2])

    def _half_weakly_marked(self):
        self._half(ETag='W/"one"')

    def _half_then_stall(self):
        self._half()
        self.wfile.flush()
        time.sleep(1)

    def _half_of_unknown_length(self):
        self._head(200, None)
        self.wfile.write(CONTENT[: len(CONTENT) // 2])

    def _half_of_another(self):
        self._head(200, len(CONTENT), ETag='"zero"')
        self.wfile.write(bytes(len(CONTENT) // 2))

    def _rest(self):
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
        size = len(CONTENT)
        self._head(206, size - start, Content_Range=f"bytes {start}-{size - 1}/{size}", ETag='"one"')
        self.wfile.write(CONTENT[start:])

    def _rest_elsewhere(self):
        self._head(206, 5, Content_Range=f"bytes 7-11/{len(CONTENT)}", ETag='"one"')
        self.wfile.write(CONTENT[7:12])

    def _wrong(self):
        self._head(200, 9)
        self.wfile.write(b"<html>hi!")

    def _stall(self):
        time.sleep(1)

    def _drop_by_drop(self, drops):
        """One byte every 50 ms, so that the connection is never silent for long."""
        with contextlib.suppress(OSError):  # the client has hung up, as it should
            for drop in itertools.islice(drops, 100):
                self.wfile.write(bytes([drop]))
                self.wfile.flush()
                time.sleep(0.05)

    def _drip(self):
        self._head(200, len(CONTENT))
        self._drop_by_drop(itertools.cycle(b"x"))

    def _drip_status(self):
        self._drop_by_drop(itertools.chain(b"HTTP/1.1 200 ", itertools.cycle(b"OK")))

    def _drip_head(self):
        self._drop_by_drop(itertools.chain(b"HTTP/1.1 200 OK\r\n", itertools.cycle(b"X-Header: yes\r\n")))

    def _drip_patience(self):
        self._drop_by_drop(itertools.cycle(b"HTTP/1.1 100 Continue\r\n\r\n"))

    def _drip_chunk_size(self):
        self._head(200, None, Transfer_Encoding="chunked")
        self._drop_by_drop(itertools.chain(b"5;", itertools.cycle(b"x")))

    def _drip_trailer(self):
        self._head(200, None, Transfer_Encoding="chunked")
        self._drop_by_drop(itertools.chain(b"0\r\n", itertools.cycle(b"X-Trailer: yes\r\n")))

    def _moved_at_length(self):
        self._head(302, None, Location="/elsewhere")
        self._drop_by_drop(itertools.cycle(b"Please go elsewhere. "))

    def _hang_up(self):
        self.connection.shutdown(socket.SHUT_RDWR)

    def _rubbish(self):
        self.wfile.write(b"\x1b[2J ceci n'est pas HTTP\r\n\r\n")

    def _endless(self):
        self._head(200, None)
        for _ in range(200):
            self.wfile.write(CONTENT)

    def _chunked(self, complete=True):
        self._head(200, None, Transfer_Encoding="chunked")
        for i in range(0, len(CONTENT), 100_000):
            block = CONTENT[i : i + 100_000]
            self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        if complete:
            self.wfile.write(b"0\r\n\r\n")

    def _chunks_without_end(self):
        self._chunked(complete=False)

    def _moved(self):
        self._head(302, 0, Location="/elsewhere")

    def _circle(self):
        number = int(re.search(r"\d*$", self.path)[0] or 0)
        self._head(302, 0, Location=f"/circle{number + 1}")

    def _to_a_file(self):
        self._head(302, 0, Location="file:///etc/passwd")

    def _to_ftp(self):
        self._head(302, 0, Location="ftp://127.0.0.1/x")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what these tests are about

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/breastmnist.npz?download=1"


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(server, tmp_path, *script, report=None, **settings):
    server.script = list(script)
    target = tmp_path / "data" / "breastmnist.npz"
    limits = {"max_bytes": 10**6} | QUICK | settings
    download(server.url, target, md5=MD5, report=report, **limits)
    return target


@pytest.mark.parametrize(
    "script",
    [
        ["good"],
        ["chunked"],
        ["moved", "good"],
        ["moved_at_length", "good"],
        ["drip_status", "good"],
        ["drip_head", "moved", "good"],
        ["drip_patience", "good"],
        ["503", "good"],
        ["500", "429", "good"],
        ["hang_up", "good"],
        ["rubbish", "good"],
        ["stall", "good"],
        ["half", "rest"],
        ["half", "503", "rest"],
        ["half", "good"],
        ["half", "rest_elsewhere", "good"],
        ["half", "416", "good"],
        ["half_without_mark", "good"],
        ["half_weakly_marked", "good"],
        ["half_then_stall", "rest"],
        ["half_of_unknown_length", "good"],
        ["half_of_another", "rest", "good"],
        ["chunks_without_end", "good"],
    ],
    ids="-".join,
)
def test_what_passes_is_tried_again_until_the_file_is_whole(server, tmp_path, script):
    target = fetch(server, tmp_path, *script)
    assert target.read_bytes() == CONTENT
    assert os.listdir(target.parent) == [target.name]
    assert len(server.requests) == len(script)


@pytest.mark.parametrize(
    ("script", "requests", "message"),
    [
        (["404"], 1, r"the server answers 404 \(Not Found\)"),
        (["403"], 1, "the server answers 403"),
        (["500"], 3, r"the server answers 500 \(Internal Server Error\), 3 times"),
        (["hang_up"], 3, r"(the connection broke|no connection).*, 3 times"),
        (["rubbish"], 3, "the connection broke"),
        (["stall"], 3, "the server is silent, 3 times"),
        (["half_without_mark"], 3, "the connection closed after 300,000 of 600,000 bytes, 3 times"),
        (["wrong"], 1, "what came has the MD5 sum 9f7b.* instead of " + MD5),
        (["half_of_unknown_length"], 3, "what came has the MD5 sum"),
        (["endless"], 1, "the server sends more than 1,000,000 bytes"),
        (["circle"], 6, r"from address to address, the last is http.*/circle\d"),
        (["moved"], 2, "from address to address, the last is http.*/elsewhere"),
        (["to_a_file"], 1, "file:///etc/passwd, which is not safe to follow"),
        (["to_ftp"], 1, "ftp://127.0.0.1/x, which is not safe to follow"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_pass_is_refused_and_nothing_is_left(server, tmp_path, script, requests, message):
    begun = time.monotonic()
    message = message.replace("9f7b.*", hashlib.md5(b"<html>hi!").hexdigest())
    with pytest.raises(DataError, match=message) as error:
        fetch(server, tmp_path, *script)
    assert time.monotonic() - begun < 5
    assert os.listdir(tmp_path / "data") == []
    assert len(server.requests) == requests
    for part in (server.url, str(tmp_path / "data" / "breastmnist.npz"), "python -m medaug_keras studies/demo.yaml"):
        assert part in str(error.value)
    assert str(error.value).isprintable()


def test_the_rest_is_asked_for_only_where_the_version_is_certain(server, tmp_path):
    fetch(server, tmp_path, "half", "rest")
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-"]
    server.requests.clear()
    fetch(server, tmp_path, "half_weakly_marked", "good")
    assert [asked for _, asked in server.requests] == [None, None]


@pytest.mark.parametrize("script", ["drip", "drip_chunk_size", "drip_trailer"])
def test_a_body_that_drips_is_given_up_when_the_time_is_up(server, tmp_path, script):
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"the time was up after|the server is silent, and the time is up"):
        fetch(server, tmp_path, script, total_timeout=0.5)
    assert time.monotonic() - begun < 4
    assert os.listdir(tmp_path / "data") == []


@pytest.mark.parametrize("script", ["drip_status", "drip_head", "drip_patience"])
def test_a_head_that_drips_counts_as_silence(server, tmp_path, script):
    begun = time.monotonic()
    with pytest.raises(DataError, match="the server is silent, 3 times"):
        fetch(server, tmp_path, script)
    assert time.monotonic() - begun < 4
    assert len(server.requests) == 3


def test_no_attempt_begins_that_could_not_end_in_time(server, tmp_path):
    with pytest.raises(DataError, match=r"503.*, and the time is up"):
        fetch(server, tmp_path, "503", back_off=30.0, total_timeout=10.0)
    assert len(server.requests) == 1


def test_without_a_server_the_message_says_what_to_do(tmp_path):
    with socket.socket() as held:  # bound, but not listening: connections are refused
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/x.npz"
        with pytest.raises(DataError, match=r"x.npz could not be downloaded from http.*no connection.*put it at"):
            download(url, tmp_path / "x.npz", md5=MD5, max_bytes=10, report=None, **QUICK)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "x.npz", "http://", "http://[/x"])
def test_only_web_addresses_are_fetched(tmp_path, url):
    with pytest.raises(DataError, match=r"x\.npz could not be downloaded"):
        download(url, tmp_path / "x.npz", md5=MD5, max_bytes=10, report=None, **(QUICK | {"attempts": 1}))
    assert os.listdir(tmp_path) == []


def test_the_progress_names_the_file_the_amount_and_the_troubles(server, tmp_path):
    told = []
    fetch(server, tmp_path, "503", "good", report=told.append)
    assert told[0].startswith("breastmnist.npz: the server answers 503")
    assert "trying again in 0.01 s" in told[0]
    told.clear()
    fetch(server, tmp_path, "good", report=told.append)
    assert re.fullmatch(r"breastmnist\.npz: \d\.\d of 0\.6 MB", told[0])


def test_a_file_under_the_final_name_is_whole_at_every_moment(server, tmp_path):
    """Eight at once, some failing: whoever looks sees no file or the whole file."""
    server.script = ["half_then_stall", "half", "503", "wrong", "good"]
    target = tmp_path / "breastmnist.npz"
    seen, failures, done = set(), [], threading.Event()

    def get():
        try:
            download(server.url, target, md5=MD5, max_bytes=10**6, report=None, **QUICK)
        except DataError as error:
            failures.append(error)

    def watch():
        while not done.is_set():
            if target.exists():
                seen.add(hashlib.md5(target.read_bytes()).hexdigest())

    watcher = threading.Thread(target=watch)
    getters = [threading.Thread(target=get) for _ in range(8)]
    for thread in [watcher, *getters]:
        thread.start()
    for thread in getters:
        thread.join()
    done.set()
    watcher.join()
    assert seen == {MD5}
    assert len(failures) == 1  # the one that was sent the wrong bytes
    assert os.listdir(tmp_path) == [target.name]


def test_parts_that_killed_downloads_left_are_removed_when_they_are_old(server, tmp_path):
    (tmp_path / "data").mkdir()
    old, young, other = (
        tmp_path / "data" / name
        for name in (".breastmnist.npz.aa.part", ".breastmnist.npz.bb.part", ".octmnist.npz.aa.part")
    )
    for part in (old, young, other):
        part.write_bytes(b"x")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    fetch(server, tmp_path, "good")
    assert not old.exists()
    assert young.exists()
    assert other.exists()


def test_a_link_that_leads_nowhere_is_named_and_stays(server, tmp_path):
    (tmp_path / "x.npz").symlink_to(tmp_path / "unplugged" / "x.npz")
    with pytest.raises(DataError, match=r"x\.npz is a link to .*unplugged"):
        download(server.url, tmp_path / "x.npz", md5=MD5, max_bytes=10**6, report=None, **QUICK)
    assert (tmp_path / "x.npz").is_symlink()
    assert not server.requests


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "data").write_bytes(b"a file, not a folder")
    with pytest.raises(DataError, match=r"breastmnist\.npz cannot be written.*--data or MEDMNIST_ROOT"):
        fetch(server, tmp_path, "good")


def test_a_full_disk_is_named_and_leaves_nothing(server, tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing then fails as on a full disk
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(DataError, match=r"breastmnist\.npz cannot be written \(File too large\)"):
            fetch(server, tmp_path, "good")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path / "data") == []


@pytest.mark.parametrize(("size", "flag"), [(28, ""), (64, "_64"), (224, "_224")])
def test_a_data_set_that_is_absent_is_fetched_once_and_then_used(server, tmp_path, monkeypatch, size, flag):
    """The way of a user: no file, a download, then no network any more; each size has its own file."""
    made = tmp_path / "made.npz"
    labels = np.array([0, 1, 0, 1], np.uint8)[:, None]
    images = np.random.default_rng(1).integers(0, 256, (4, size, size), np.uint8)
    arrays = {f"{s}_{w}": a for s in ("train", "val", "test") for w, a in (("images", images), ("labels", labels))}
    np.savez_compressed(made, **arrays)
    monkeypatch.setattr(f"{__name__}.CONTENT", made.read_bytes())
    md5 = data.md5_of_file(made, cache=None)
    info = medmnist.part("info").INFO["breastmnist"]
    monkeypatch.setitem(info, f"url{flag}", server.url)
    monkeypatch.setitem(info, f"MD5{flag}", md5)
    server.script = ["good", "404"]
    root = tmp_path / "root"
    assert data.medmnist_fingerprint("breastmnist", size=size, root=root, cache=None) == md5
    for _ in range(2):
        breast = data.load_medmnist("breastmnist", size=size, root=root, accept_unverified=False, report=None)
        assert breast.source == "official"
        assert (root / f"breastmnist{flag}.npz").exists()
        assert np.array_equal(breast.test.images[..., 0], images)
    assert [urlsplit(path).path for path, _ in server.requests] == ["/breastmnist.npz"]

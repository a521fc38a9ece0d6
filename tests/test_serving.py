"""`mkdocs serve` while pages are rendered: a real server, asked all the time."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from report_records import ARMS, fake_results, fake_study

from medaug_keras import ownership, report
from medaug_keras.report.site.writing import LOOK

HOOKS = Path(report.__file__).parent / "site" / "mkdocs_hooks.py"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ask(port: int, page: str) -> int | None:
    """The status of a page; None where nobody listens yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", page)
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def wait_for(log: Path, found: Callable[[], bool]) -> None:
    """Until something is so; a wait in vain shows what the server said."""
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_pages_answer_while_others_are_rendered_and_are_not_built_again_before_the_end(tmp_path):
    study = fake_study(datasets=("breastmnist",), arms={name: ARMS[name] for name in ("baseline", "gda")}, replicates=2)
    first = tmp_path / "results"
    plan, store = fake_results(study, first, leave_out=lambda task: task.kind == "classifier")
    docs, log, port = tmp_path / "docs", tmp_path / "log", free_port()
    report.render(study, plan, store, docs)
    settings = tmp_path / "mkdocs.yml"
    settings.write_text(f"INHERIT: {LOOK / 'mkdocs.yml'}\nhooks: [{HOOKS}]\n")
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "mkdocs", "serve", "-f", str(settings), "-a", f"127.0.0.1:{port}"],
            stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        )  # fmt: skip

    def said(text: str) -> int:
        return log.read_text().count(text)

    try:
        wait_for(log, lambda: said("Serving on") == 1)
        page, answers = "/studies/fake/index.html", []
        assert ask(port, page) == 200
        studies = docs / "studies"
        with ownership.locked(studies, print), ownership.staging(studies / "fake") as slow:  # a render that takes long
            for n in range(20):
                (slow / f"{n}.md").write_text("half a page")
                answers.append(ask(port, page))
                time.sleep(0.1)
            assert said("Building documentation") == 1
        # Not "Documentation built in 0.79 seconds": MkDocs does not log the same words twice.
        wait_for(log, lambda: said("Reloading browsers") >= 1)
        fake_results(study, first)
        report.render(study, plan, store, docs)
        wait_for(log, lambda: said("Reloading browsers") >= 2)
        answers += [ask(port, page) for _ in range(20) if not time.sleep(0.1)]
        assert answers == [200] * 40
        # 3, but for a look of the server at half of the files that a busy machine draws out.
        assert said("Building documentation") <= 4
        (docs / "note.md").write_text("# A page of the user's")
        wait_for(log, lambda: ask(port, "/note.html") == 200)
        assert "MkDocs 2" not in log.read_text()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
    assert "Traceback" not in log.read_text()

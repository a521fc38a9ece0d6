"""One thread in every test process, and where the real images are."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["KERAS_BACKEND"] = "torch"
os.environ["MEDAUG_DEBUG"] = "1"  # a mistake of ours is a traceback here

import gc
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from medaug_keras.data import files
from medaug_keras.ownership import locked

files.THREADS = 1

# How long an example takes says nothing of the program on a machine that does other work besides.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# A run started in the background ignores Ctrl-C, and so would the runs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long proofs may take an hour each."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600))


def pytest_collection_finish() -> None:
    """What the imports made lives as long as the process; Torch's share makes every full collection take 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def medmnist_root() -> Path:
    """The folder of real MedMNIST files: $MEDMNIST_ROOT, or shared/medmnist beside the project."""
    root = Path(os.environ.get("MEDMNIST_ROOT", PROJECT.parent / "shared" / "medmnist"))
    if not (root / "breastmnist.npz").exists():
        pytest.skip(f"no breastmnist.npz in {root}; set MEDMNIST_ROOT to the folder that has it")
    return root


@pytest.fixture
def started() -> Callable[[], list[int]]:
    """The processes that the test has started and that still run; another test's browser may run beside them."""
    from studies import children

    before = set(children(os.getpid()))
    return lambda: [child for child in children(os.getpid()) if child not in before]


# --- the site in a browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from browsing import chromium

    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with one study: two data sets, six arms, two replicates, a failure, a run that is missing.

    Its pages are in `docs` beside it. The processes of `pytest -n` share it.
    """
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with locked(shared, print):
        if not (shared / "made").exists():
            _made_site(tmp_path_factory.mktemp("making")).rename(shared / "made")
    return shared / "made" / "site"


def _made_site(root: Path) -> Path:
    from report_records import ARMS, fake_results, fake_study

    from medaug_keras import report

    shutil.copytree(PROJECT / "docs", root / "docs", ignore=shutil.ignore_patterns("studies"))
    study = fake_study(arms=ARMS, replicates=2, paper=True)
    plan, store = fake_results(
        study,
        root / "results",
        leave_out=lambda task: "histology: gda, weighted, replicate 1" in task.title,
        fails=lambda task: "histology: generator cgan, replicate 1" in task.title,
    )
    report.render(study, plan, store, root / "docs")
    report.build_site(root / "docs", root / "site")
    return root


# --- corpora of wrong input ------------------------------------------------------------------------

_CORPORA = pytest.StashKey[dict[str, list[int]]]()


@pytest.fixture(scope="session")
def counted(pytestconfig: pytest.Config) -> Callable[..., None]:
    """Adds inputs of a kind, and how many of them ended in a traceback, to what is said at the end of the tests."""
    corpora = pytestconfig.stash.setdefault(_CORPORA, {})

    def count(kind: str, inputs: int, tracebacks: int) -> None:
        totals = corpora.setdefault(kind, [0, 0])
        totals[0] += inputs
        totals[1] += tracebacks

    return count


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of `pytest -n` hands on what it counted."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["corpora"] = session.config.stash.get(_CORPORA, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    totals = node.config.stash.setdefault(_CORPORA, {})
    for kind, counts in getattr(node, "workeroutput", {}).get("corpora", {}).items():
        totals[kind] = [a + b for a, b in zip(totals.get(kind, [0, 0]), counts, strict=True)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    corpora = config.stash.get(_CORPORA, {})
    if corpora:
        said = (f"{inputs:,} {kind}, {tracebacks} tracebacks" for kind, (inputs, tracebacks) in corpora.items())
        terminalreporter.write_line(f"Wrong input: {'; '.join(said)}.")

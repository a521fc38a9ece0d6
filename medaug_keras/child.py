"""The main program of child processes; see `worker.command`. It is run by its path and never imported.

It ties itself to its parent before it imports anything of ours: an import may hang in native code, where no Python
thread runs that could check whether the parent is alive. It is run with `-P`, so that Python imports nothing from the
working directory, where the user may have a `random.py`.
"""

import ctypes
import faulthandler
import importlib.util
import os
import signal
import sys

_SET_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def _end_with(parent: int) -> None:
    """Be killed when the parent ends, however it ends; leave at once where it is gone already."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux's; elsewhere a worker notices that its pipe is closed
    if prctl is not None:
        prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _load_package() -> None:
    """Import the package that this file is in, and no other of its name that may be installed."""
    here = os.path.dirname(os.path.abspath(__file__))
    name = os.path.basename(here)
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


def main(parent: str, what: str, *words: str) -> int:
    """Be a worker, or the command line."""
    _end_with(int(parent))
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)  # the parent asks a worker so, before it ends one, where it hangs
    _load_package()
    if what == "worker":
        from medaug_keras import engine

        engine.work(int(words[0]))
        return 0
    from medaug_keras import cli

    return cli.main([what, *words])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

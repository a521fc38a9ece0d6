"""What benchmarks share: where a measurement was made, what is measured, how a process waits for its turn, who runs."""

import contextlib
import os
import platform
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from medaug_keras.spec import Study, deciding


def machine() -> str:
    """Processor, cores, memory, versions."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "keras", "numpy"))
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}, {versions}"
    )


def default_recipe(**changes: Any) -> dict[str, Any]:
    """How a study trains its classifier unless it says otherwise: arguments of `classifiers.fit`."""
    settings = deciding(Study.model_fields["classifier"].default.model_copy(update=changes))
    shared = {name: value for name, value in settings.items() if name not in ("kind", "input", "weights", "train")}
    return {"select": None, **shared}


def turn(pipe: Connection) -> None:
    """Wait for the parent's word; end where it is gone."""
    try:
        pipe.recv()
    except EOFError:
        os._exit(0)


def children() -> list[int]:
    """The processes that this one has started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.append(int(path.parent.name))
    return found

"""Which GPUs and how many cores a run may use, and whether a CPU computes in bfloat16 by itself.

Torch is asked in a process of its own, so that the one that asks starts at once.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from medaug_keras.counts import plural

# Without any of these files no driver is loaded (NVIDIA's, AMD's, Windows's under WSL), and Torch need not be asked.
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
# Processes that share a GPU, where the user does not say. Not measured: more may be faster for such small networks.
WORKERS_PER_GPU = 1
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""That this process may use: a batch system, or `taskset`, may leave it some of the machine's."""
CPU = Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""What Linux calls units that multiply in bfloat16: Intel's and AMD's, Intel's for whole tiles, ARM's."""
_ASK = "import json, torch; c = torch.cuda; print(json.dumps([c.get_device_name(i) for i in range(c.device_count())]))"


@dataclass(frozen=True)
class Gpu:
    """A GPU that Torch can use."""

    visible: str
    """What CUDA_VISIBLE_DEVICES says to use just this one."""
    name: str


def found() -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, all where it is not set, and that the installed Torch can use."""
    if not any(Path(driver).exists() for driver in DRIVERS):
        return []
    asked = subprocess.run([sys.executable, "-P", "-c", _ASK], capture_output=True, text=True)
    if asked.returncode != 0:  # the first task will say what is wrong with Torch
        return []
    names = json.loads(asked.stdout.splitlines()[-1])
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = [part.strip() for part in chosen.split(",")] if chosen else [str(n) for n in range(len(names))]
    return [Gpu(*pair) for pair in zip(visible, names, strict=False)]  # Torch stops at the first that is not there


def said(gpus: list[Gpu], workers: int) -> str:
    """Which GPUs a run uses, in one line for the user."""
    names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus))
    what = "the GPU" if len(gpus) == 1 else plural(len(gpus), "GPU")
    return f"Uses {what} ({names}), {plural(workers, 'worker')}"


def bfloat16_is_slow() -> bool:
    """Whether this machine has neither a GPU nor a CPU with units for bfloat16; False where that is not known."""
    if any(Path(driver).exists() for driver in DRIVERS):
        return False
    try:
        lines = CPU.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    listed = [line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))]
    return bool(listed) and not any(_BFLOAT16.intersection(flags) for flags in listed)

"""How a process computes: the memory it keeps, and the precision of its arithmetic."""

import contextlib
import ctypes
from collections.abc import Iterator

import torch


def keep_memory() -> None:
    """Ask the C library to keep the memory that tensors free, for this process; without glibc, do nothing.

    By default glibc returns large blocks to the kernel, which zeroes the pages again on the next step: without that
    the VAEs train 12 to 15 % faster on one core (`benchmarks/generators.py`). The process never shrinks.

    Torch's aligned blocks leave scraps of some bytes behind them, which glibc keeps apart for small requests; a block
    that is freed then has no room for an equal one, and the heap grows. So scraps are joined to their neighbors: a
    ResNet-18 at 64 x 64 takes 2.6 instead of 3.0 GiB, in the same time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block of memory is a mapping of its own
        mallopt(1, 0)  # M_MXFAST: no small block is kept apart when it is freed
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: free memory at the end of the heap that is not given back


@contextlib.contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """How matrices are multiplied inside: `float32` exactly so; `tf32` or `bfloat16`, with 10 or 7 bits of fraction.

    `tf32` exists on NVIDIA's GPUs alone and is float32 elsewhere. Weights and sums of gradients are float32 always.
    """
    fraction = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = fraction
    torch.backends.cudnn.conv.fp32_precision = fraction  # Torch's own default is TF32
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    # without its cache, which would keep a recorded step's cast weights
    with torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False):
        yield

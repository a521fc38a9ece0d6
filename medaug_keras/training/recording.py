"""Training steps recorded as CUDA graphs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3  # steps before one is recorded: libraries choose their kernels and take their memory in them


def recorded(
    step: Callable[[Tensor], Any], *, size: int, device: torch.device, rngs: Sequence[torch.Generator] = ()
) -> Callable[[Tensor], Any]:
    """The same training step: on a GPU recorded once as a CUDA graph and then replayed, elsewhere as it is.

    A step of these small networks is some hundred kernels of a few microseconds each, so a GPU would wait for the
    Python that starts them. `step` takes the indices (B,) of a batch, changes tensors in place, draws from `rngs`
    alone, asks nothing back from the device, and returns a tensor or several; what it returned is overwritten by the
    next call. Batches of another size than `size` are computed as they are.
    """
    return step if device.type != "cuda" else _Recorded(step, size, rngs)


class _Recorded:
    def __init__(self, step: Callable[[Tensor], Any], size: int, rngs: Sequence[torch.Generator]) -> None:
        self.step, self.size, self.rngs = step, size, rngs
        self.stream = torch.cuda.Stream()
        self.graph: Any = None
        self.done = 0

    def __call__(self, index: Tensor) -> Any:
        if len(index) != self.size or self.done < WARM_UP:
            self.done += len(index) == self.size
            return self._unrecorded(index)
        if self.graph is None:
            self._record(index)
        self.index.copy_(index)
        self.graph.replay()
        return self.outcome

    def _unrecorded(self, index: Tensor) -> Any:
        """On the stream of the recording: a gradient is summed on the stream on which its weight was first used."""
        outside = torch.cuda.current_stream()
        self.stream.wait_stream(outside)
        with torch.cuda.stream(self.stream):
            outcome = self.step(index)
        outside.wait_stream(self.stream)
        return outcome

    def _record(self, index: Tensor) -> None:
        self.index = index.clone()
        self.graph = torch.cuda.CUDAGraph()
        for rng in self.rngs:
            self.graph.register_generator_state(rng)
        torch.cuda.synchronize()
        with torch.cuda.graph(self.graph, stream=self.stream):  # records, and computes nothing
            self.outcome = self.step(self.index)

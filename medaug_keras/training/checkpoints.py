"""Where a training stands after an epoch, kept in a file, so that one that was killed goes on from there.

A `Checkpoint` is two functions that a training is handed; `kept_in` makes them for a file. `Ongoing` is all that a
training changes from one epoch to the next; put back, the epochs that follow are bitwise those of an undisturbed one.
"""

import hashlib
import io
import json
import os
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

from medaug_keras import __version__

FORMAT = 1

# Seconds from one writing to the next: a kill costs at most this and an epoch, and writing less than one per cent, as
# the largest usual state (a VAE's 58 MB: weights, Adam's two moments, the best weights) takes 0.2 s.
EVERY = 30.0

State = dict[str, Any]
"""Tensors, numbers, text and None, in dicts, lists and tuples: what can be read without running code."""


@dataclass(frozen=True)
class Checkpoint:
    """How a training keeps where it stands."""

    load: Callable[[], State | None]
    """The state that was kept, or None to start anew."""
    save: Callable[[Callable[[], State]], None]
    """To be called at the end of an epoch that is not the last, with the function that collects the state; it is
    called only where it is time to write."""


@dataclass(frozen=True)
class Ongoing:
    """All that a training changes from one epoch to the next, except what its loop knows in plain numbers."""

    models: Sequence[keras.Model]
    optimizers: Sequence[torch.optim.Optimizer]
    draws: Sequence[np.random.Generator | torch.Generator]
    others: Sequence[Tensor] = ()
    """Counters, and whatever else changes in place."""

    def resume(self, checkpoint: Checkpoint | None, best: Any) -> tuple[int, dict[str, Any], Any]:
        """Before the first step: the epoch to begin with, the history, and the best so far.

        They are those of the checkpoint, whose values are put back; or 1, none and `best`.
        """
        saved = checkpoint.load() if checkpoint else None
        if saved is None:
            return 1, {}, best
        self.restore(saved["ongoing"])
        return saved["epoch"] + 1, saved["history"], saved["best"]

    def after(self, epoch: int, history: Mapping[str, Any], best: Any) -> State:
        """What `resume` needs to go on after this epoch, to be written at once: it has no copies."""
        return {"epoch": epoch, "history": history, "best": best, "ongoing": self.state()}

    def state(self) -> State:
        """The values, to be written at once: they are no copies."""
        return {
            "tensors": [tensor.detach() for tensor in self._tensors()],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "draws": [d.get_state() if isinstance(d, torch.Generator) else d.bit_generator.state for d in self.draws],
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Put the values back, before the first step."""
        for tensor, value in zip(self._tensors(), state["tensors"], strict=True):
            tensor.copy_(value)  # into the memory it has: the order of a kernel's memory decides how sums are rounded
        for optimizer, value in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(value)  # there is no memory yet; a tensor is read in the order it was written
        for draw, value in zip(self.draws, state["draws"], strict=True):
            if isinstance(draw, torch.Generator):
                draw.set_state(value)
            else:
                draw.bit_generator.state = value

    def _tensors(self) -> list[Tensor]:
        return [*(weight.value for model in self.models for weight in model.weights), *self.others]


def kept_in(path: Path, *, scratch: Path, key: str, say: Callable[[str], None]) -> Checkpoint:
    """A checkpoint in a file, of the training that `key` names; written at most every `EVERY` seconds.

    The file is made in the folder `scratch`, of the same file system, and gets its name by a rename when it is whole.
    It is not flushed to the disk: what a power cut tears is found by its checksum. What is torn, damaged, of another
    training, of other versions or of a machine that rounds differently is not used, and `say` is told so.
    """
    expected = {"format": FORMAT, "key": key, **_circumstances()}
    written = time.monotonic()

    def load() -> State | None:
        try:
            with open(path, "rb") as file:
                header, content = json.loads(file.readline()), file.read()
            if header.pop("sha256") != hashlib.sha256(content).hexdigest():
                raise ValueError("its checksum does not fit")
            differing = [f"{name} was {header.get(name)}" for name, now in expected.items() if header.get(name) != now]
            if differing:
                raise ValueError(", ".join(differing))
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError, LookupError, TypeError, RuntimeError, pickle.PickleError) as error:
            why = str(error).partition("\n")[0]  # Torch's go on with advice
            say(f"its checkpoint cannot be used ({why}), so it starts anew")
            return None
        say("goes on from its checkpoint")
        return state

    def save(collect: Callable[[], State]) -> None:
        nonlocal written
        if time.monotonic() - written < EVERY:
            return
        buffer = io.BytesIO()  # not into the file: Torch says a full disk in words of its own
        torch.save(collect(), buffer)
        header = expected | {"sha256": hashlib.sha256(buffer.getbuffer()).hexdigest()}
        partial = scratch / "checkpoint.partial"
        with open(partial, "wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(buffer.getbuffer())
        os.replace(partial, path)
        written = time.monotonic()

    return Checkpoint(load, save)


def _circumstances() -> dict[str, Any]:
    """What decides, beside the numbers themselves, how they are rounded."""
    return {
        "medaug-keras": __version__,
        "keras": keras.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
    }

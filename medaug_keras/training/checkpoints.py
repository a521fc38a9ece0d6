"""How far a training run has come, kept in a file after an epoch, so that a killed run resumes from there.

A `Checkpoint` is two functions that a training run is given; `file_checkpoint` makes them for a file. `TrainingState`
is all that a run changes from one epoch to the next; restored, the epochs that follow are bitwise those of an
undisturbed run.
"""

import hashlib
import io
import json
import os
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

from medaug_keras import __version__

FORMAT = 2

# Seconds between two writes: a kill costs at most this and an epoch, and writing takes less than one per cent of the
# time, as the largest usual state (a VAE's 58 MB: weights, Adam's two moments, the best weights) takes 0.2 s.
EVERY = 30.0

State = dict[str, Any]
"""Tensors, numbers, text and None, in dicts, lists and tuples: what can be read without running code."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training run keeps its state."""

    load: Callable[[], State | None]
    """Returns the saved state, or None where the run starts from scratch."""
    save: Callable[[Callable[[], State]], None]
    """To be called at the end of an epoch that is not the last, with the function that collects the state; that is
    called only where it is time to write."""


@dataclass(frozen=True)
class TrainingState:
    """All that a training run changes from one epoch to the next, except what its loop knows in plain numbers."""

    models: Sequence[keras.Model]
    optimizers: Sequence[torch.optim.Optimizer]
    rngs: Sequence[np.random.Generator | torch.Generator]
    others: Sequence[Tensor] = ()
    """Counters, and whatever else changes in place."""

    def state_dict(self) -> State:
        """The values themselves, not copies: to be written at once."""
        return {
            "tensors": [tensor.detach() for tensor in self._tensors()],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rngs": [
                rng.get_state() if isinstance(rng, torch.Generator) else rng.bit_generator.state for rng in self.rngs
            ],
        }

    def load_state_dict(self, state: State) -> None:
        """Restore the values, before the first step."""
        with torch.no_grad():
            for tensor, value in zip(self._tensors(), state["tensors"], strict=True):
                tensor.copy_(value)  # into its own memory: the order of a kernel's memory decides how sums are rounded
        for optimizer, value in zip(self.optimizers, state["optimizers"], strict=True):
            rates = [group["lr"] for group in optimizer.param_groups]
            optimizer.load_state_dict(value)  # it has no memory yet; a tensor is read in the order it was written
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                if isinstance(rate, Tensor):  # a recorded step reads it where it is
                    group["lr"] = rate.copy_(group["lr"])
        for rng, value in zip(self.rngs, state["rngs"], strict=True):
            if isinstance(rng, torch.Generator):
                rng.set_state(value)
            else:
                rng.bit_generator.state = value

    def _tensors(self) -> list[Tensor]:
        return [*(weight.value for model in self.models for weight in model.weights), *self.others]


def file_checkpoint(
    path: Path,
    *,
    scratch: Path,
    key: str,
    on_message: Callable[[str], None],
    on_resume: Callable[[float], None] = lambda seconds: None,
) -> Checkpoint:
    """A checkpoint in a file, of the training run that `key` names; written at most every `EVERY` seconds.

    Where a run goes on from it, `on_resume` gets the seconds that all attempts before spent until they last wrote it.

    The file is written in the folder `scratch`, on the same file system, and renamed to `path` when it is complete. It
    is not flushed to the disk: a checksum finds what a power cut tears. A file that is torn, damaged, of another run,
    of other versions or of a machine that rounds differently is not used; `on_message` gets the reason.
    """
    expected = {"format": FORMAT, "key": key, **_circumstances()}
    begun = written = time.monotonic()
    earlier = 0.0

    def load() -> State | None:
        nonlocal earlier
        try:
            with open(path, "rb") as file:
                header, content = json.loads(file.readline()), file.read()
            if header.pop("sha256") != hashlib.sha256(content).hexdigest():
                raise ValueError("its checksum does not fit")
            differing = [f"{name} was {header.get(name)}" for name, now in expected.items() if header.get(name) != now]
            if differing:
                raise ValueError(", ".join(differing))
            state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            earlier = float(header.get("seconds", 0.0))  # earlier versions did not say it
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError, LookupError, TypeError, RuntimeError, pickle.PickleError) as error:
            why = str(error).partition("\n")[0]  # Torch's messages continue with advice
            on_message(f"its checkpoint cannot be used ({why}), so it starts from scratch")
            return None
        on_message("resumes from its checkpoint")
        on_resume(earlier)
        return state

    def save(collect: Callable[[], State]) -> None:
        nonlocal written
        if time.monotonic() - written < EVERY:
            return
        buffer = io.BytesIO()  # not directly to the file: torch.save hides a full disk behind an error of its own
        torch.save(collect(), buffer)
        spent = round(earlier + time.monotonic() - begun, 3)
        header = expected | {"seconds": spent, "sha256": hashlib.sha256(buffer.getbuffer()).hexdigest()}
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

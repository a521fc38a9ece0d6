"""How models are trained: chance, the loop over epochs, checkpoints, and how a step is computed."""

from medaug_keras.training.chance import batches, epoch_order, generator, subseed
from medaug_keras.training.checkpoints import Checkpoint, Ongoing, State, kept_in
from medaug_keras.training.compute import arithmetic, keep_memory
from medaug_keras.training.loop import DivergedError, Outcome, Report, train
from medaug_keras.training.recording import recorded

__all__ = [
    "Checkpoint",
    "DivergedError",
    "Ongoing",
    "Outcome",
    "Report",
    "State",
    "arithmetic",
    "batches",
    "epoch_order",
    "generator",
    "keep_memory",
    "kept_in",
    "recorded",
    "subseed",
    "train",
]

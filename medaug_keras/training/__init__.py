"""How models are trained: seeds, the loop over epochs, checkpoints, optimizers, and how a step is computed."""

from medaug_keras.training.chance import Passes, batches, epoch_order, name_streams, numpy_rng, subseed, torch_rng
from medaug_keras.training.checkpoints import Checkpoint, State, TrainingState, file_checkpoint
from medaug_keras.training.compute import arithmetic, keep_memory
from medaug_keras.training.gathered import Gathered, Images, by_index
from medaug_keras.training.loop import (
    LAST,
    DivergedError,
    EarlyStopping,
    Logs,
    OnEpoch,
    Rule,
    TrainingRun,
    silent,
    train,
)
from medaug_keras.training.losses import balanced_weights, classification_loss
from medaug_keras.training.optimizers import optimizer, set_learning_rate
from medaug_keras.training.recording import recorded
from medaug_keras.training.schedules import schedule

__all__ = [
    "LAST",
    "Checkpoint",
    "DivergedError",
    "EarlyStopping",
    "Gathered",
    "Images",
    "Logs",
    "OnEpoch",
    "Passes",
    "Rule",
    "State",
    "TrainingRun",
    "TrainingState",
    "arithmetic",
    "balanced_weights",
    "batches",
    "by_index",
    "classification_loss",
    "epoch_order",
    "file_checkpoint",
    "keep_memory",
    "name_streams",
    "numpy_rng",
    "optimizer",
    "recorded",
    "schedule",
    "set_learning_rate",
    "silent",
    "subseed",
    "torch_rng",
    "train",
]

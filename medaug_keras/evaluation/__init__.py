"""How good a classifier is, and how good synthetic images are: arrays in, plain numbers out."""

from medaug_keras.evaluation.copying import FOUND, NOT_FOUND, data_copying, duplicates, look_for_copies
from medaug_keras.evaluation.corruptions import CORRUPTIONS, corrupted, pixels_changed
from medaug_keras.evaluation.filtering import Counts, filtered, judged, real_distance, too_near
from medaug_keras.evaluation.maps import feature_map
from medaug_keras.evaluation.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    predicted_classes,
    scores,
    write_medmnist_csv,
)
from medaug_keras.evaluation.quality import pixel_components, quality
from medaug_keras.evaluation.shortcut import source_shortcut
from medaug_keras.evaluation.similarity import (
    class_consistency,
    frechet_distance,
    frechet_with_floor,
    kernel_distance,
    precision_recall,
)

__all__ = [
    "CORRUPTIONS",
    "FOUND",
    "NOT_FOUND",
    "Counts",
    "accuracy",
    "auc",
    "balanced_accuracy",
    "class_consistency",
    "corrupted",
    "data_copying",
    "duplicates",
    "feature_map",
    "filtered",
    "frechet_distance",
    "frechet_with_floor",
    "judged",
    "kernel_distance",
    "look_for_copies",
    "pixel_components",
    "pixels_changed",
    "precision_recall",
    "predicted_classes",
    "quality",
    "real_distance",
    "scores",
    "source_shortcut",
    "too_near",
    "write_medmnist_csv",
]

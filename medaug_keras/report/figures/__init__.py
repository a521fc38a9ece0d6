"""Every figure of the report: plain values in, SVG text or PNG bytes out.

Metrics are fractions in [0, 1] and are shown times 100; differences of metrics likewise, in points. Same values, same
bytes. No figure needs a file, a font or a script from elsewhere.
"""

from medaug_keras.report.figures.charts import class_distribution, progress
from medaug_keras.report.figures.comparisons import (
    PrintedPanel,
    PrintedRow,
    Ranked,
    VarianceRow,
    critical_difference,
    printed_vs_ours,
    variance_components,
)
from medaug_keras.report.figures.confusion import confusion_matrix
from medaug_keras.report.figures.curves import ArmCurves, LossPanel, arms_curves, learning_curves, loss_curves
from medaug_keras.report.figures.diagrams import (
    Layer,
    cgan_diagram,
    cvae_diagram,
    flow_diagram,
    joint_vae_diagram,
    network_diagram,
)
from medaug_keras.report.figures.differences import Difference, DifferencesPanel, differences
from medaug_keras.report.figures.doses import Dose, DosePanel, DoseSeries, dose_response
from medaug_keras.report.figures.forecasts import ArmLines, ForecastMark, ForecastPanel, forecasts
from medaug_keras.report.figures.images import (
    CONTRAST,
    ClassRow,
    Pair,
    Twins,
    class_montage,
    montage,
    pairs,
    small_picture,
    twins,
)
from medaug_keras.report.figures.maps import Origin, feature_map
from medaug_keras.report.figures.svg import Figure

__all__ = [
    "CONTRAST",
    "ArmCurves",
    "ArmLines",
    "ClassRow",
    "Difference",
    "DifferencesPanel",
    "Dose",
    "DosePanel",
    "DoseSeries",
    "Figure",
    "ForecastMark",
    "ForecastPanel",
    "Layer",
    "LossPanel",
    "Origin",
    "Pair",
    "PrintedPanel",
    "PrintedRow",
    "Ranked",
    "Twins",
    "VarianceRow",
    "arms_curves",
    "cgan_diagram",
    "class_distribution",
    "class_montage",
    "confusion_matrix",
    "critical_difference",
    "cvae_diagram",
    "differences",
    "dose_response",
    "feature_map",
    "flow_diagram",
    "forecasts",
    "joint_vae_diagram",
    "learning_curves",
    "loss_curves",
    "montage",
    "network_diagram",
    "pairs",
    "printed_vs_ours",
    "progress",
    "small_picture",
    "twins",
    "variance_components",
]

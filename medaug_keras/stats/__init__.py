"""Intervals, paired tests and corrections: plain arrays in, small results out.

All metrics and differences are fractions, not percent. Nothing here imports Keras or Torch, and
SciPy is imported where it is used, so that importing this package is cheap. What SciPy has is SciPy's; the crossed test
and its power are our own, for no library has a test of training runs crossed with images that leaves neither out.

Where images belong together (patients, slides, scans), functions take `groups` (n,), a label for each image; after
cross-validation `folds` (S, n), the fold of each image in each replicate.

- `crossed`, `compare`: does an arm differ from the baseline, for any replicate and any image?
- `unpaired`: the same of two sides whose runs share nothing, such as another laboratory's.
- `holm`, `benjamini_hochberg`, `verdict`, `best_arms`: many comparisons at once.
- `share_values`, `share_interval`, `shared_variance`: shares such as sensitivity, at thresholds chosen on other images.
- `apart`: is a difference another in one subgroup of the images than in the others?
- `equivalence_p`: is the difference smaller than a margin?
- `outlook`: what this many replicates and images could have shown.
- `mean_over_datasets`, `friedman`, `reach`: across data sets.
- `estimate`, `two_level_bootstrap`, `chance_to_beat`, `selection`: what replicates say.
"""

from medaug_keras.stats.crossed import (
    FEW,
    Components,
    Crossed,
    Unpaired,
    crossed,
    effective_number,
    family_half_width,
    family_p,
    group_sums,
    mean_squares,
    mutual,
    paired,
    standard_error,
    unpaired,
    unpaired_parts,
)
from medaug_keras.stats.datasets import (
    Friedman,
    MetaAnalysis,
    Reach,
    critical_difference,
    friedman,
    mean_over_datasets,
    rank_groups,
    reach,
)
from medaug_keras.stats.equivalence import equivalence_p
from medaug_keras.stats.families import Best, Verdict, benjamini_hochberg, best_arms, holm, verdict
from medaug_keras.stats.metrics import (
    Metric,
    compare,
    findings_left_out,
    grade_values,
    pseudo_values,
    why_no_kappa,
    why_undefined,
)
from medaug_keras.stats.planning import (
    Outlook,
    Range,
    detectable_difference,
    detectable_range,
    image_floor,
    outlook,
    power_to_detect,
    replicates_needed,
    variance_limits,
)
from medaug_keras.stats.replicates import (
    Estimate,
    Selection,
    chance_to_beat,
    estimate,
    selection,
    two_level_bootstrap,
)
from medaug_keras.stats.shares import share_interval, share_values, shared_variance
from medaug_keras.stats.subgroups import apart

__all__ = [
    "FEW",
    "Best",
    "Components",
    "Crossed",
    "Estimate",
    "Friedman",
    "MetaAnalysis",
    "Metric",
    "Outlook",
    "Range",
    "Reach",
    "Selection",
    "Unpaired",
    "Verdict",
    "apart",
    "benjamini_hochberg",
    "best_arms",
    "chance_to_beat",
    "compare",
    "critical_difference",
    "crossed",
    "detectable_difference",
    "detectable_range",
    "effective_number",
    "equivalence_p",
    "estimate",
    "family_half_width",
    "family_p",
    "findings_left_out",
    "friedman",
    "grade_values",
    "group_sums",
    "holm",
    "image_floor",
    "mean_over_datasets",
    "mean_squares",
    "mutual",
    "outlook",
    "paired",
    "power_to_detect",
    "pseudo_values",
    "rank_groups",
    "reach",
    "replicates_needed",
    "selection",
    "share_interval",
    "share_values",
    "shared_variance",
    "standard_error",
    "two_level_bootstrap",
    "unpaired",
    "unpaired_parts",
    "variance_limits",
    "verdict",
    "why_no_kappa",
    "why_undefined",
]

"""Data sets: MedMNIST's, your own, and simulated ones (phantoms). Each kind has the same three functions.

KIND_sizes tells the sizes without reading images; KIND_fingerprint gives the MD5 of what would be read; load_KIND
reads, checks, and returns a `Dataset`. What is wrong with the data is a `DataError`; what is only odd, `warnings` tell.
To add a kind, add a module here, and an entry to `KINDS`: the rest of the program asks for a kind nowhere else.
`unpacked` keeps a loaded data set on disk, where all processes map the same pages.
"""

from medaug_keras.data.audit import (
    Check,
    audit,
    check_known,
    checks,
    checks_outside,
    heal,
    known_to_training,
    learnt,
    of_two_classes,
    pairs_to_show,
    related,
    warnings,
)
from medaug_keras.data.balance import folder_class_counts, npz_class_counts, rarest_share
from medaug_keras.data.checksums import md5_of_file
from medaug_keras.data.dataset import IMAGE_SIZE, MAX_BYTES, DataError, Dataset, Sizes, Split, examples, pixel_std
from medaug_keras.data.folders import Division, folder_fingerprint, folder_sizes, load_folder
from medaug_keras.data.folds import examined, fold, fold_of, sparse
from medaug_keras.data.ids import Ids, named
from medaug_keras.data.kinds import KINDS, Kind, folds_of, load
from medaug_keras.data.made import load_made, made_sum
from medaug_keras.data.medmnist import (
    MEDMNIST_NAMES,
    load_medmnist,
    medmnist_file,
    medmnist_fingerprint,
    medmnist_info,
    medmnist_sizes,
)
from medaug_keras.data.outside import beside, tried, unlike
from medaug_keras.data.own import load_npz, npz_fingerprint, npz_sizes
from medaug_keras.data.phantoms import (
    PHANTOM_NAMES,
    load_phantom,
    phantom_fingerprint,
    phantom_sizes,
)
from medaug_keras.data.plain import load_plain, save_plain
from medaug_keras.data.predicted import load_predicted, predicted_files
from medaug_keras.data.room import Room
from medaug_keras.data.splits import Folds, Parts, by_fractions, split_csv
from medaug_keras.data.subgroups import FEW_IMAGES, By, Subgroups, odd_subgroups, save_subgroups
from medaug_keras.data.table import (
    Table,
    load_table,
    table_class_counts,
    table_fingerprint,
    table_sizes,
    table_subgroups,
)
from medaug_keras.data.unpacked import kept_images, unpacked

__all__ = [
    "FEW_IMAGES",
    "IMAGE_SIZE",
    "KINDS",
    "MAX_BYTES",
    "MEDMNIST_NAMES",
    "PHANTOM_NAMES",
    "By",
    "Check",
    "DataError",
    "Dataset",
    "Division",
    "Folds",
    "Ids",
    "Kind",
    "Parts",
    "Room",
    "Sizes",
    "Split",
    "Subgroups",
    "Table",
    "audit",
    "beside",
    "by_fractions",
    "check_known",
    "checks",
    "checks_outside",
    "examined",
    "examples",
    "fold",
    "fold_of",
    "folder_class_counts",
    "folder_fingerprint",
    "folder_sizes",
    "folds_of",
    "heal",
    "kept_images",
    "known_to_training",
    "learnt",
    "load",
    "load_folder",
    "load_made",
    "load_medmnist",
    "load_npz",
    "load_phantom",
    "load_plain",
    "load_predicted",
    "load_table",
    "made_sum",
    "md5_of_file",
    "medmnist_file",
    "medmnist_fingerprint",
    "medmnist_info",
    "medmnist_sizes",
    "named",
    "npz_class_counts",
    "npz_fingerprint",
    "npz_sizes",
    "odd_subgroups",
    "of_two_classes",
    "pairs_to_show",
    "phantom_fingerprint",
    "phantom_sizes",
    "pixel_std",
    "predicted_files",
    "rarest_share",
    "related",
    "save_plain",
    "save_subgroups",
    "sparse",
    "split_csv",
    "table_class_counts",
    "table_fingerprint",
    "table_sizes",
    "table_subgroups",
    "tried",
    "unlike",
    "unpacked",
    "warnings",
]

"""Prediction files that a study names: found, looked into, and summed."""

import hashlib
from pathlib import Path

from medaug_keras.spec import MedMnistData, Study

_MOST = 3  # mistakes that a message lists


class PredictedError(Exception):
    """There are none, or they cannot be used; the message says what was found."""


def predicted_sums(pattern: str, study: Study) -> dict[str, str]:
    """File → SHA-256 (hex), of the MedMNIST data sets of the study that have such files. Raises PredictedError with all
    that is wrong."""
    from medaug_keras import data  # not needed to read other studies, and NumPy comes with it

    found, wrong = dict[str, str](), []
    for name, part in study.datasets.items():
        if not isinstance(part, MedMnistData):
            continue
        known = part.name or name
        try:
            files = data.predicted_files(pattern, known)
            if files and part.drop is not None:
                wrong.append(f"theirs are of all test images, and datasets.{name}.drop leaves some out")
                continue
            sizes = data.medmnist_sizes(known)
            for path in files.values():
                try:
                    data.load_predicted(path, images=sizes.test, classes=len(sizes.classes), several=sizes.several)
                    found[str(path)] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                except data.DataError as error:
                    wrong.append(str(error).removesuffix("."))
        except data.DataError as error:
            wrong.append(str(error).removesuffix("."))
    wrong = list(dict.fromkeys(wrong))  # a folder that cannot be read is one mistake, not one a data set
    if wrong:
        count = f"{len(wrong):,} things are wrong: " if len(wrong) > 1 else ""
        raise PredictedError(count + "; ".join(wrong[:_MOST]))
    if not found:
        raise PredictedError(f"no file fits {pattern} for any MedMNIST data set of the study")
    return found

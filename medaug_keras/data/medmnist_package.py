"""Parts of the medmnist package, imported without the rest of it: its `__init__` imports torchvision."""

import functools
import importlib
import importlib.util
import sys
import warnings
from types import ModuleType
from typing import Literal

from medaug_keras.data.dataset import DataError


@functools.cache
def part(name: Literal["info", "evaluator"]) -> ModuleType:
    """The module medmnist.info (facts about the data sets) or medmnist.evaluator (AUC and accuracy).

    An empty package of the same name and folder stands in for medmnist during the import, so that the evaluator's own
    `from medmnist.info import ...` works.

    Raises DataError where medmnist is not installed.
    """
    if "medmnist" in sys.modules:
        return importlib.import_module(f"medmnist.{name}")
    spec = importlib.util.find_spec("medmnist")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("The package medmnist is not installed. Install it: pip install medmnist.")
    stand_in = ModuleType("medmnist")
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules["medmnist"] = stand_in
    try:
        with warnings.catch_warnings():  # info.py makes ~/.medmnist, and warns where it cannot: we do not need it
            warnings.simplefilter("ignore")
            return importlib.import_module(f"medmnist.{name}")
    finally:  # a later `import medmnist` gets the real package
        for module in ("medmnist", "medmnist.info", "medmnist.evaluator"):
            sys.modules.pop(module, None)

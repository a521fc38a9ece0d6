"""Does this data augmentation help, on my medical images, by how much, and how sure can I be?

In a notebook, `import medaug_keras as ma`: `ma.run` and `ma.open` give what a study found (`api`); `ma.classifiers`,
`ma.generators`, `ma.stats` and others are the science, which takes plain arrays. Each is imported when it is asked for.
"""

import importlib
import os
import sys
from typing import Any

__version__ = "0.2.0"

_API = (
    "Checked",
    "Difference",
    "Drawing",
    "OpenStudy",
    "Remark",
    "RequestError",
    "StudyError",
    "check",
    "open",
    "run",
    "settings",
)
_SCIENCE = ("augmentation", "classifiers", "data", "evaluation", "generators", "stats")

__all__ = [*_API, *_SCIENCE]  # noqa: PLE0604 - they are names

if "keras" in sys.modules:
    _backend = sys.modules["keras"].backend.backend()
    if _backend != "torch":
        raise ImportError(
            f"Keras was imported with the backend {_backend}, and medaug_keras needs torch. Start Python (or the "
            "notebook's kernel) anew, and import medaug_keras before Keras."
        )
os.environ["KERAS_BACKEND"] = "torch"  # before anybody imports Keras


def __getattr__(name: str) -> Any:
    if name in _API:
        return getattr(importlib.import_module("medaug_keras.api"), name)
    if name in _SCIENCE:
        return importlib.import_module(f"medaug_keras.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

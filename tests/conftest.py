"""One thread in every test process, and where the real images are."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["KERAS_BACKEND"] = "torch"

import signal
from pathlib import Path

import pytest

# A run started in the background ignores Ctrl-C, and so would the runs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def medmnist_root() -> Path:
    """The folder of real MedMNIST files: $MEDMNIST_ROOT, or shared/medmnist beside the project."""
    root = Path(os.environ.get("MEDMNIST_ROOT", PROJECT.parent / "shared" / "medmnist"))
    if not (root / "breastmnist.npz").exists():
        pytest.skip(f"no breastmnist.npz in {root}; set MEDMNIST_ROOT to the folder that has it")
    return root

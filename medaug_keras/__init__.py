"""Does this data augmentation help, on my medical images, by how much, and how sure can I be?"""

import os

__version__ = "0.1.0"

os.environ.setdefault("KERAS_BACKEND", "torch")  # before anybody imports Keras

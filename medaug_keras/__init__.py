"""Does this data augmentation help, on my medical images, by how much, and how sure can I be?"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # before anybody imports Keras

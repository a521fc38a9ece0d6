"""The generators that a study can name.

Each module has `fit`, which trains and returns a `Trained`, and `sample` (images of given classes) or `reconstruct`
(a new version of given images). A saved sampler needs no code of ours: `keras.models.load_model`, then call it.
"""

from medaug_keras.generators import cgan, cvae, joint_vae
from medaug_keras.generators.loop import Trained

GENERATORS = {"cvae": cvae, "joint_vae": joint_vae, "cgan": cgan}

__all__ = ["GENERATORS", "Trained"]

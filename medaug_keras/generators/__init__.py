"""The generators that a study can name.

A kind is one entry of `GENERATORS`, which imports neither Keras nor Torch: its module, whose `fit` trains and returns a
`fitting.Trained`, is imported when it is needed. A saved sampler needs no code of ours: `keras.models.load_model`, then
call it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What the program knows of a kind of generators before it trains one."""

    title: str
    module: str
    """Where `fit` is, and `sample` (images of given classes) or `reconstruct` (new versions of given images)."""
    reconstructs: bool = False
    """Whether it has `reconstruct` and not `sample`: an arm interleaves its images, and cannot add any."""
    networks: Mapping[str, tuple[str, ...]] | None = None
    """What the report calls a part of the model → the trained networks that the part consists of, in their order. None
    shows every network by its own name."""
    sizes: tuple[int, ...] | None = None
    """Pixels a side of the only images that it makes; None where it makes any."""
    printed: int | None = None
    """Pixels a side of the images that its publication prints the network for; at others it is continued by us."""
    foreign: bool = False
    """Whether its images are read from files of the user's: there is no `fit`, and `sample` draws from them."""
    several: bool = False
    """Whether it makes images of several findings, too: labels are then vectors (N, K) of 0 and 1."""
    citations: tuple[str, ...] = ()
    """BibTeX keys of the publications behind it."""

    @property
    def fit(self) -> Callable[..., Any]:
        """(TrainingData, Recipe, *, seed, on_epoch, checkpoint, settings of the kind) -> Trained."""
        return self._function("fit")

    @property
    def sample(self) -> Callable[..., Any]:
        """(sampler, labels, *, seed, settings) -> uint8 images of these classes, or findings."""
        return self._function("sample")

    @property
    def reconstruct(self) -> Callable[..., Any]:
        """(sampler, images, labels, *, seed, mode) -> uint8 images, a new version of each."""
        return self._function("reconstruct")

    def _function(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(import_module(self.module), name)
        return function


_DECODER = ("decoder input", "decoder", "decoder hidden", "decoder output")

FLOW_WIDTHS = {28: (48, 96), 64: (48, 96, 96), 128: (48, 96, 96, 96)}
"""Side of the images → channels of each grid of flow matching, where a study names none."""

GENERATORS: dict[str, Kind] = {
    "cvae": Kind(
        "Conditional VAE",
        "medaug_keras.generators.cvae",
        networks={"Decoder": _DECODER, "Encoder": ("encoder",)},
        printed=28,
        several=True,
        citations=("sohn2015cvae",),
    ),
    "joint_vae": Kind(
        "Joint VAE",
        "medaug_keras.generators.joint_vae",
        reconstructs=True,
        networks={"Decoder": _DECODER, "Encoder": ("encoder",)},
        printed=28,
        several=True,
        citations=("dupont2018jointvae",),
    ),
    "cgan": Kind(
        "Conditional GAN",
        "medaug_keras.generators.cgan",
        networks={"Discriminator": ("discriminator",), "Generator": ("generator",)},
        printed=28,
        several=True,
        citations=("mirza2014cgan", "miyato2018projection", "jolicoeur2019relativistic"),
    ),
    "flow": Kind(
        "Flow-matching model",
        "medaug_keras.generators.flow",
        networks={"U-Net": ("u-net",)},
        sizes=tuple(FLOW_WIDTHS),
        several=True,
        citations=("lipman2023flow", "liu2023rectified", "karras2022edm", "ho2022guidance"),
    ),
    "files": Kind("Images made elsewhere", "medaug_keras.generators.files", networks={}, sizes=None, foreign=True),
}

__all__ = ["GENERATORS", "Kind"]

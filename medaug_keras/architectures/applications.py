"""Keras's own networks, as `keras.applications` has them: their body, the mean over its last maps, and a dense layer.

Shapes: B batch, H x W x C image with values in [-1, 1].
"""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from keras.src.utils import file_utils

from medaug_keras.networks import torch_init


def build(image: Any, *, num_outputs: int, name: str, weights: str | None = None) -> Any:
    """(B, H, W, 1 or 3) -> (B, num_outputs) logits; the channel of a gray image is repeated.

    Images get the range of values that the network was made for. `weights` is "imagenet", which Keras downloads once,
    or None: random ones.

    Raises ValueError for images that are too small for it, and for weights that are neither there nor to be had.
    """
    if image.shape[-1] == 1:
        image = layers.Concatenate(name="rgb")([image, image, image])
    body = _body(name, scaled_as_it_wants(image, getattr(keras.applications, name)), weights, _fetched)
    return layers.Dense(num_outputs, **torch_init(body.output.shape[-1]), name="logits")(body.output)


def scaled_as_it_wants(image: Any, make: Callable[..., Any]) -> Any:
    """[-1, 1] -> what the network's `preprocess_input` makes of bytes, the order of colors included."""
    preprocess = sys.modules[make.__module__].preprocess_input
    black, white, red = (
        np.ravel(preprocess(np.array(color, "float32").reshape(1, 1, 1, 3)))
        for color in ([0, 0, 0], [255, 255, 255], [255, 0, 0])
    )
    if not np.isclose(red[0], white[0]):  # blue comes first
        image = keras.ops.flip(image, axis=-1)
    scale, offset = (white - black) / 2, (white + black) / 2
    if np.allclose(scale, 1) and np.allclose(offset, 0):
        return image
    return layers.Rescaling(scale.tolist(), offset=offset.tolist(), name="scaled")(image)


def weights_file(name: str) -> tuple[Path, str]:
    """Where Keras keeps a network's ImageNet weights, and the address it downloads them from."""

    class Asked(Exception):  # noqa: N818 - no error
        pass

    def asked(file: str, origin: str, **how: Any) -> str:
        raise Asked(file, origin)

    try:
        _body(name, keras.Input((224, 224, 3)), "imagenet", asked)
    except Asked as found:
        file, origin = found.args
        return _folder() / "models" / file, origin
    raise AssertionError("a network asks for its weights")


def _body(name: str, image: Any, weights: str | None, get_file: Callable[..., str]) -> keras.Model:
    with _instead_of_keras(get_file):
        body: keras.Model = getattr(keras.applications, name)(
            include_top=False, weights=weights, input_tensor=image, input_shape=tuple(image.shape[1:]), pooling="avg"
        )
    return body


@contextmanager
def _instead_of_keras(get_file: Callable[..., str]) -> Iterator[None]:
    """Have Keras get files by a function of ours."""
    before, file_utils.get_file = file_utils.get_file, get_file
    try:
        yield
    finally:
        file_utils.get_file = before


_get_file = file_utils.get_file


def _fetched(file: str, origin: str, **how: Any) -> str:
    """As Keras gets a file, one process after the other, from and into the user's folder."""
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".medaug.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return str(_get_file(file, origin, cache_dir=str(folder), **how))
    except Exception as error:
        raise ValueError(away(folder / "models" / file, origin, error)) from error


def away(path: Path, origin: str, why: object) -> str:
    """What to say of a file of weights that is not there."""
    return (
        f"{path.name} is not in {path.parent}, and {origin} cannot be downloaded ({why}). Fetch it by another way (a "
        "browser, another machine) and put it into that folder, or say weights: null"
    )


def _folder() -> Path:
    """The user's folder of Keras. A worker's KERAS_HOME is none, so that no keras.json changes how it computes."""
    return Path(os.environ.get("MEDAUG_KERAS_HOME") or os.environ.get("KERAS_HOME") or "~/.keras").expanduser()

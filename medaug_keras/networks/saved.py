"""Weights of a file that Keras saved, put into a network layer by layer.

Of the file only arrays are read: nothing that it says of layers, classes or functions is loaded or run.
"""

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

SHOWN = 8  # layers that do not fit and are named


@dataclass(frozen=True)
class _Saved:
    """The arrays of one layer in a file of weights."""

    group: str
    """Where they are. Keras counts the layers of one class: layers/conv2d_3."""
    names: tuple[str, ...]
    """The layer's name, after those of the layers that it is in; empty where the file does not say them."""
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        return "/".join(self.names) or self.group.partition("/")[2]


_Pair = tuple[_Saved, _Saved | None]
"""A layer of the model, and the one of the file that it might get its weights from."""


def assign_saved(model: keras.Model, *, last: keras.Layer, file: str, sha256: str) -> None:
    """Give a model the weights of a `.keras` or `.weights.h5` file whose bytes have this hash.

    Layers are found by their names, or where these are others, in the order of the layers of their class, as Keras does
    it. All must be in the file with the same shapes, but for `last`, which stays as it is unless it fits, too. Layers
    of the file that the model has not are passed over.

    Raises ValueError for a file that is away, was changed, or is none of Keras's, and for layers that do not fit.
    """
    path = Path(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); weights begin with this file") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} was changed since the study was read. Run the study again")
    with tempfile.TemporaryDirectory(prefix="medaug-weights-") as folder:
        own = Path(folder) / "own.weights.h5"
        model.save_weights(own)
        with _opened(path, content) as theirs, h5py.File(own, "r+") as ours:
            for layer, saved in _pairs(model, last, path, list(_layers(ours)), list(_layers(theirs))):
                for key in layer.shapes:
                    ours[layer.group][key][...] = _array(theirs[saved.group][key], path)
        model.load_weights(own)


def _pairs(
    model: keras.Model, last: keras.Layer, path: Path, ours: list[_Saved], theirs: list[_Saved]
) -> list[tuple[_Saved, _Saved]]:
    """Layers of the model, each with the one of the file that it gets its weights from."""
    order = [layer.name for layer in model.layers]
    ours = sorted(ours, key=lambda layer: order.index(layer.names[0]))
    by_name = {saved.names[start:]: saved for saved in theirs for start in range(1, len(saved.names))}
    by_name |= {saved.names: saved for saved in theirs}
    by_group = {saved.group: saved for saved in theirs}
    named = [(layer, by_name.get(layer.names)) for layer in ours]
    in_order = [(layer, by_group.get(layer.group)) for layer in ours]
    found = in_order if _wrong(named, last) and not _wrong(in_order, last) else named
    wrong = _wrong(found, last)
    if wrong:
        raise ValueError(_misfit(model, path, wrong, sum(layer.names[0] != last.name for layer in ours)))
    return [(layer, saved) for layer, saved in found if saved is not None and layer.shapes == saved.shapes]


def _wrong(pairs: list[_Pair], last: keras.Layer) -> list[_Pair]:
    """Those whose layer is not the last, and has no weights or others in the file."""
    return [
        (layer, saved)
        for layer, saved in pairs
        if layer.names[0] != last.name and (saved is None or layer.shapes != saved.shapes)
    ]


def _misfit(model: keras.Model, path: Path, wrong: list[_Pair], total: int) -> str:
    said = []
    for layer, saved in wrong[:SHOWN]:
        if saved is None:
            said.append(f"{layer.name} is not in the file")
        else:
            keys = [key for key in layer.shapes if layer.shapes[key] != saved.shapes.get(key)] or list(saved.shapes)
            shapes = [one.shapes.get(keys[0], "no such weight") for one in (layer, saved)]
            said.append(f"{layer.name} has {shapes[0]}, in the file {shapes[1]}")
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    image = " x ".join(map(str, model.inputs[0].shape[1:]))
    return (
        f"{path.name} does not fit the network {model.name} for images of {image}. Of {total} layers with weights "
        f"before the last, {len(wrong)} cannot take them: {'; '.join(said)}{more}. The file must be of the same "
        "network, made for the same size and channels of images (classifier.input can change both)"
    )


def _opened(path: Path, content: bytes) -> h5py.File:
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read("model.weights.h5")
        file = h5py.File(io.BytesIO(content), "r")
    except Exception as error:  # noqa: BLE001 - zipfile, zlib and HDF5 raise all kinds of errors on damaged files
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {error}). Fetch or save it again") from None
    if "layers" not in file and "_layer_checkpoint_dependencies" not in file:
        file.close()
        raise ValueError(f"{path} has no layers as Keras 3 saves them: load it with Keras and save it as .keras")
    return file


def _layers(file: h5py.File) -> Iterator[_Saved]:
    """Every layer with arrays, also those inside others. What an optimizer keeps is none."""
    for word in ("layers", "_layer_checkpoint_dependencies"):  # as Keras 3 has it, and as it was before
        if isinstance(file.get(word, getlink=True), h5py.HardLink):
            yield from _inside(file[word], word, ())


def _inside(group: Any, path: str, names: tuple[str, ...]) -> Iterator[_Saved]:
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink) or not isinstance(group[key], h5py.Group):
            continue  # a link leads elsewhere, maybe to another file
        inner = f"{path}/{key}"
        if key == "vars":
            arrays = {
                name: tuple(item.shape)
                for name in group[key]
                if isinstance(group[key].get(name, getlink=True), h5py.HardLink)
                and isinstance(item := group[key][name], h5py.Dataset)
            }
            if arrays:
                yield _Saved(inner, names, arrays)
        else:
            name = group[key]["vars"].attrs.get("name") if "vars" in group[key] else None
            yield from _inside(group[key], inner, (*names, str(name)) if name is not None else names)


def _array(item: Any, path: Path) -> np.ndarray:
    """A weight as float32. Raises ValueError."""
    if item.external or item.is_virtual:
        raise ValueError(f"{path} has weights in other files, which are not read")
    try:
        raw = item[()]
        if item.attrs.get("dtype") == "bfloat16":
            raw = (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        value = np.asarray(raw, np.float32)
    except Exception as error:  # noqa: BLE001 - of a damaged file
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {error}). Fetch or save it again") from None
    if not np.isfinite(value).all():
        raise ValueError(f"{path} has weights that are not finite numbers: its training diverged")
    return value

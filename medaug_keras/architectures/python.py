"""A network of the user's own: what a function of theirs returns, held against what a classifier must be.

Shapes: B batch, H x W x C image.
"""

from typing import Any

import keras
from keras import layers

from medaug_keras.counts import plural
from medaug_keras.own_code import OwnCodeError, called, place_of

OURS = frozenset(("image", "resized", "rgb", "bytes", "imagenet", "padded", "logits"))
"""Names of layers that the saved model has besides those of the function."""


def build(image: Any, *, num_outputs: int, builder: str, source: str | None = None) -> Any:
    """(B, H, W, C) -> (B, num_outputs) logits, by the layers and the weights of the model that the function returns.

    `builder` is `FILE:FUNCTION`, `source` the text of FILE.py. The function is called with `image_shape`, (H, W, C),
    and `num_outputs`. Its layers become layers of this network, the last of them called `logits`.

    Raises OwnCodeError where the function is not there, or raises, or does not return such a model; and where there is
    no source, because the user did not allow that it is run.
    """
    where = place_of(builder)
    shape = tuple(image.shape[1:])
    model = called(builder, source, image_shape=shape, num_outputs=num_outputs)
    graph = _graph(model, shape, num_outputs, where)
    copies: dict[str, tuple[Any, Any]] = {}

    def copied(operation: Any) -> Any:
        if operation.name not in copies:
            copies[operation.name] = operation, _copy(operation, last=operation is last, where=where)
        return copies[operation.name][1]

    last = graph.outputs[0]._keras_history.operation
    logits = graph._run_through_graph([image], operation_fn=copied)
    for operation, copy in copies.values():
        if getattr(operation, "weights", None):
            copy.set_weights(operation.get_weights())
    return logits[0] if isinstance(logits, (list, tuple)) else logits


def _graph(model: Any, shape: tuple[int, ...], num_outputs: int, where: str) -> Any:
    """The graph of layers of a model that can be a classifier. Raises OwnCodeError."""
    function = where.rpartition(" ")[2]
    wanted = "it must return keras.Model(inputs, outputs), or a keras.Sequential that begins with keras.Input"
    if not isinstance(model, keras.Model):
        raise OwnCodeError(f"{where}: returned {_an(type(model).__name__)}; {wanted}")
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if not type(model).__module__.startswith("keras."):
        raise OwnCodeError(f"{where}: returned a class of its own, {type(model).__name__}; {wanted}")
    if not hasattr(graph, "_nodes_by_depth"):
        raise OwnCodeError(f"{where}: returned a model whose layers have no shapes yet; {wanted}")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        counts = f"{plural(len(graph.inputs), 'input')} and {plural(len(graph.outputs), 'output')}"
        raise OwnCodeError(f"{where}: returned a model with {counts}; a classifier has one of each")
    taken, made = tuple(graph.inputs[0].shape), tuple(graph.outputs[0].shape)
    if len(taken) != 4 or any(there not in (None, asked) for there, asked in zip(taken[1:], shape, strict=True)):
        raise OwnCodeError(
            f"{where}: the model takes {taken[1:]}; it must take image_shape, {shape}: {function} is called with it"
        )
    if made[1:] != (num_outputs,):
        raise OwnCodeError(
            f"{where}: the model's output has shape {made[1:]}; it must have num_outputs, ({num_outputs},): {function} "
            "is called with it"
        )
    last = graph.outputs[0]._keras_history.operation
    activation = getattr(last, "activation", None)
    if not isinstance(last, layers.Dense) or activation is not keras.activations.linear:
        ends = (
            f"with {getattr(activation, '__name__', 'an activation')}"
            if isinstance(last, layers.Dense)
            else (f"with {_an(type(last).__name__)}")
        )
        raise OwnCodeError(
            f"{where}: the model ends {ends}; its last layer must be a keras.layers.Dense without activation, because "
            "softmax or sigmoid is part of the loss"
        )
    for operation in graph.operations:
        if operation.name in OURS and operation is not last and not isinstance(operation, layers.InputLayer):
            raise OwnCodeError(
                f"{where}: a layer is called {operation.name}, which is a name of ours: call it otherwise"
            )
    return graph


def _copy(operation: Any, *, last: bool, where: str) -> Any:
    """A layer anew, from what a saved file has of it. Raises OwnCodeError for one that could not be loaded again."""
    kind = type(operation)
    if not kind.__module__.startswith("keras.") or kind is layers.Lambda:
        raise OwnCodeError(
            f"{where}: layer {operation.name} is {_an(kind.__name__)}, which a saved file cannot hold; use the layers "
            "of keras.layers and functions of keras.ops"
        )
    try:
        return kind.from_config(operation.get_config() | ({"name": "logits"} if last else {}))
    except Exception as error:  # noqa: BLE001 - whatever a function of the user's in a layer makes of it
        raise OwnCodeError(
            f"{where}: layer {operation.name} cannot be saved and loaded ({_short(error)}); use the layers of "
            'keras.layers with arguments by name, such as activation="gelu"'
        ) from None


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]


def _an(word: str) -> str:
    return f"an {word}" if word[:1] in "AEIOUaeiou" else f"a {word}"

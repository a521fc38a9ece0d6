"""`vary` of an arm: one arm for each value of one of its settings, before the study is checked.

The arms that it makes are ordinary ones, as if they stood in the file; the study's `series` says which belong together.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from medaug_keras.reading.strict_yaml import Keys, Node, Place, YamlError
from medaug_keras.reading.words import did_you_mean

_EXAMPLE = "write vary: {add.amount.fraction: [0.1, 0.5, 1]}"


class _Made(NamedTuple):
    """One arm that `vary` makes, and the generators that it needs besides the study's."""

    name: str
    value: Node
    arm: Node
    generators: Mapping[str, Node]


class _CannotVaryError(Exception):
    """What is wrong with a `vary`, and how to mend it."""


def expanded(tree: Node) -> tuple[Node, dict[Keys, Keys]]:
    """The tree with the arms that each `vary` makes in its place; their keys, and the keys that they come from.

    Raises YamlError with all mistakes.
    """
    assert isinstance(tree.value, dict)
    given = tree.value.get("arms")
    if given is None or not isinstance(given.value, dict):
        return tree, {}
    mistakes: list[tuple[Place, str]] = []
    made: dict[str, list[_Made]] = {}
    for name, arm in given.value.items():
        if isinstance(arm.value, dict) and "vary" in arm.value:
            try:
                made[name] = _varied(name, arm, tree)
            except _CannotVaryError as error:
                mistakes.append((arm.value["vary"].place, f"arms.{name}.vary: {error}"))
                made[name] = []
    names = {one.name for every in made.values() for one in every}
    arms: dict[str, Node] = {}
    series: dict[str, Node] = {}
    generators: dict[str, Node] = {}
    origins: dict[Keys, Keys] = {}
    for name, arm in given.value.items():
        if name not in made:
            if name not in names or arm.value is not None:  # null drops one that vary makes
                arms[name] = arm
            continue
        kept = [one for one in made[name] if one.name not in given.value]
        if made[name] and not kept and all(given.value[one.name].value is None for one in made[name]):
            mistakes.append(
                (
                    arm.place,
                    f"arms.{name}.vary: every arm that it makes is dropped by a null: write {name}: null instead",
                )
            )
        for one in made[name]:
            if one not in kept and given.value[one.name].value is not None:
                mistakes.append((arm.place, f"arms.{name}.vary: makes {one.name}, which is an arm already; rename one"))
        for one in kept:
            arms[one.name] = one.arm
            origins["arms", one.name] = "arms", name
            generators |= one.generators
        if kept:
            vary = arm.value["vary"]
            chosen = Node(vary.place, {one.name: one.value for one in kept})
            series[name] = Node(vary.place, {"setting": Node(vary.place, next(iter(vary.value))), "arms": chosen})
    if mistakes:
        raise YamlError(mistakes)
    whole = {**tree.value, "arms": given._replace(value=arms)}
    for key, found in (("series", series), ("generators", generators)):
        known = whole.get(key, Node(given.place, {}))
        if found and isinstance(known.value, dict):
            whole[key] = known._replace(value={**known.value, **found})
    return tree._replace(value=whole), origins


def _varied(name: str, arm: Node, tree: Node) -> list[_Made]:
    assert isinstance(arm.value, dict)
    vary = arm.value["vary"].value
    if not isinstance(vary, dict) or len(vary) != 1:
        raise _CannotVaryError(f"takes one setting of the arm and its values; {_EXAMPLE}")
    ((setting, values),) = vary.items()
    if not isinstance(values.value, list) or not values.value:
        raise _CannotVaryError(f"needs a list of values of {setting}; {_EXAMPLE}")
    keys = setting.split(".")
    plain = arm._replace(value={key: child for key, child in arm.value.items() if key != "vary"})
    made: list[_Made] = []
    for value in values.value:
        text = _text(value)
        called = f"{name}-{text}"
        if any(one.name == called for one in made):
            raise _CannotVaryError(f"has the value {text} twice; keep one")
        if not re.fullmatch(r"[a-z0-9_-]+(\.[0-9]+)?", text) or len(called) > 40:
            raise _CannotVaryError(
                f"makes the arm {called}, and a name has lower-case letters, digits, - and _, at most 40 of them; a "
                "decimal may end it"
            )
        varied, generators = _of_generator(plain, keys, value, text, tree)
        if not generators:
            varied = _with(plain, keys, value)
        made.append(_Made(called, value, _labelled(varied, text), generators))
    return made


def _text(value: Node) -> str:
    """A value as the end of a name: 0.5, 3, water_fill, true."""
    found = value.value
    if isinstance(found, dict | list) or found is None:
        raise _CannotVaryError("takes numbers, words, true and false as values")
    if isinstance(found, float):
        return f"{Decimal(repr(found)):f}".removesuffix(".0")
    return str(found).lower()


def _of_generator(
    arm: Node, keys: Sequence[str], value: Node, text: str, tree: Node
) -> tuple[Node, Mapping[str, Node]]:
    """The arm with a generator of its own, where the setting is one of its generator's; else no generators."""
    if "generator" not in keys[:-1]:
        return arm, {}
    place = keys.index("generator") + 1
    named = arm
    for key in keys[:place]:
        if not isinstance(named.value, dict) or key not in named.value:
            raise _CannotVaryError(f"the arm has no {'.'.join(keys[:place])}")
        named = named.value[key]
    every = getattr(tree.value.get("generators"), "value", None)  # type: ignore[union-attr]
    every = every if isinstance(every, dict) else {}
    if not isinstance(named.value, str) or named.value not in every:
        raise _CannotVaryError(f"there is no generator {named.value}{did_you_mean(named.value, every)}")
    called = "-".join([named.value, *keys[place:], text])
    if called in every:
        raise _CannotVaryError(f"makes the generator {called}, which the study has already; rename one")
    return _with(arm, keys[:place], named._replace(value=called)), {
        called: _with(every[named.value], keys[place:], value)
    }


def _with(node: Node, keys: Sequence[str], value: Node) -> Node:
    """The node with a value at some keys; a section that is missing on the way begins empty."""
    if not keys:
        return value
    first, *rest = keys
    if isinstance(node.value, list):
        chosen = _step(node.value, first)
        return node._replace(value=[_with(one, rest, value) if one is chosen else one for one in node.value])
    if not isinstance(node.value, dict):
        raise _CannotVaryError(f"there is no {'.'.join(keys)} below {node.value}, which has no settings")
    if first == "augment" and first not in node.value:
        raise _CannotVaryError("the arm has no augment, so there is no step to vary")
    return node._replace(value={**node.value, first: _with(node.value.get(first, Node(node.place, {})), rest, value)})


def _step(steps: Sequence[Node], word: str) -> Node:
    """The step of an arm that a word names: by its layer or, where several have the same, by its place from 0."""
    layers = [getattr(one.value.get("layer"), "value", None) if isinstance(one.value, dict) else None for one in steps]
    found = [one for one, layer in zip(steps, layers, strict=True) if layer == word]
    if word.isdecimal() and int(word) < len(steps):
        found = [steps[int(word)]]
    if len(found) == 1:
        return found[0]
    if found:
        raise _CannotVaryError(f"the arm has {len(found)} steps {word}; name one by its place, from 0: augment.0")
    raise _CannotVaryError(f"the arm has no step {word}{did_you_mean(word, [str(one) for one in layers if one])}")


def _labelled(arm: Node, text: str) -> Node:
    """The arm, whose own label says the value."""
    assert isinstance(arm.value, dict)
    label = arm.value.get("label")
    if label is None or not isinstance(label.value, str):
        return arm
    return arm._replace(value={**arm.value, "label": label._replace(value=f"{label.value}, {text}")})

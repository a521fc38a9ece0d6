"""pydantic's errors in words for the one who can mend them."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from medaug_keras.reading.strict_yaml import INVISIBLE, Keys, scalar
from medaug_keras.spec import NO_STEPS, VOLUMES, Arm, Study

TAGS = ("kind", "layer")
"""The keys that choose among the forms of a section."""


def dotted(keys: Keys) -> str:
    """generators.cvae.epochs"""
    return ".".join(_short(str(key), 60) or "''" for key in keys)


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`; did you mean latent_dim?`, or what there is to choose from."""
    choices = list(choices)
    word = str(word)[:40].lower()
    close = difflib.get_close_matches(word, choices, n=1) or [choice for choice in choices if word in choice]
    if close and word:
        return f"; did you mean {close[0]}?"
    return f"; choose from {', '.join(choices)}" if choices else ""


def in_words(error: Mapping[str, Any]) -> tuple[Keys, str]:
    """The keys that lead to the mistake, and what was found, what is expected and how to mend it."""
    kind, found = error["type"], error["input"]
    if error["loc"][-1:] == ("[key]",) and kind != "extra_forbidden":  # pydantic's word for the key itself
        keys, *_ = _follow(error["loc"][:-1])
        decimal = "; a decimal may end it, as in flow-0.5" if keys[0] in ("arms", "generators") else ""
        return keys, f"{_NAME}{decimal}; got {_shown(keys[-1])}"
    keys, section, expected = _follow(error["loc"])
    if kind == "extra_forbidden":
        known = list(section.model_fields) if section else []
        known += ["extends"] * (len(keys) == 1) + ["vary"] * (section is Arm)  # these are settings of the file alone
        return keys, "not a setting" + did_you_mean(keys[-1], known)
    if kind == "missing" and section is not None:
        about = section.model_fields[str(keys[-1])].description
        return keys, f"is missing; add it{f': {_line(about)}' if about else ''}"
    if kind == "union_tag_not_found" and not isinstance(found, dict):
        kind = "model_type"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        word = next(word for word in TAGS if word in expected[0].model_fields)
        choices = [choice for member in expected for choice in tags(member)]
        if kind == "union_tag_not_found" or word not in found:
            return (*keys, word), f"is missing; choose from {', '.join(choices)}"
        if word == "layer" and str(found[word]) in NO_STEPS:
            return (*keys, word), f"Keras's {found[word]} cannot be used: {NO_STEPS[found[word]]}"
        return (*keys, word), f"got {_shown(found[word])}{did_you_mean(found[word], choices)}"
    if kind == "literal_error":
        choices = [choice for member in expected for choice in get_args(member)]
        if str(found).lower().endswith("mnist3d"):
            return keys, f"{_shown(found)} {VOLUMES}"
        close = difflib.get_close_matches(str(found)[:40].lower(), map(str, choices), n=1)
        return keys, f"{error['msg']}, got {_shown(found)}" + (f"; did you mean {close[0]}?" if close else "")
    if kind == "string_pattern_mismatch":
        return keys, f"{_NAME}; got {_shown(found)}"
    if kind == "value_error":
        return keys, error["msg"].removeprefix("Value error, ")
    choices = [choice for member in _members(expected) for choice in tags(member)]
    message = (
        _MESSAGES["model_type" if kind == "dict_type" and choices else kind] if kind in _MESSAGES else error["msg"]
    )
    glued = isinstance(found, str) and re.match(r"([\w.-]+)[:\uff1a]\S", found)
    if glued and kind in ("model_type", "dict_type"):
        hint = f"; put a space after the colon: {glued[1]}: ..."
    else:
        hint = _tagged(found, expected) if choices else _hint(kind, found, keys)
    if kind in ("less_than_equal", "greater_than") and section is not None:
        about = section.model_fields[str(keys[-1])].description
        hint = f". {_line(about)}" if about else hint
    return keys, f"{message}, got {_shown(found)}{hint}"


def tags(member: Any) -> tuple[str, ...]:
    """The words that choose this form of a section: ("cvae",)."""
    for word in TAGS:
        if isinstance(member, type) and issubclass(member, BaseModel) and word in member.model_fields:
            return get_args(member.model_fields[word].annotation)
    return ()


_NAME = "a name has lower-case letters, digits, - and _, begins with a letter or digit, and is at most 40 long"
_MESSAGES = {
    "model_type": "Input should be a mapping of settings",
    "dict_type": "Input should be a mapping of names",
    "model_attributes_type": "Input should be a mapping of settings",
    "tuple_type": "Input should be a list",
    "too_short": "needs at least one entry",
    "none_required": "Input should be null",
}


def _follow(loc: tuple[str | int, ...]) -> tuple[Keys, type[BaseModel] | None, tuple[Any, ...]]:
    """Follows pydantic's place through the spec, dropping its words for forms of a section, which no user wrote.

    Returns the keys, the section that the last key belongs to, and the types that its value may have.
    """
    keys: list[str | int] = []
    section: type[BaseModel] | None = None
    expected: tuple[Any, ...] = (Study,)
    for item in loc:
        here = expected[0] if expected else None
        if len(expected) > 1 and any(_called(member, item) for member in expected):
            expected = tuple(member for member in expected if _called(member, item))
        elif isinstance(here, type) and issubclass(here, BaseModel) and len(expected) == 1:
            keys.append(item)
            section = here
            field = here.model_fields.get(str(item))
            expected = _alternatives(field.annotation) if field else ()
        elif len(expected) == 1 and get_origin(here) in (dict, tuple):
            keys.append(item)
            section = None
            expected = _alternatives(get_args(here)[1 if get_origin(here) is dict else 0])
    return tuple(keys), section, expected


def _called(member: Any, item: str | int) -> bool:
    """Whether pydantic's word for a form of a section, or of a value, is that for this one."""
    words = get_args(member) if get_origin(member) is Literal else (*tags(member), getattr(member, "__name__", None))
    return item in words


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(
            member for part in get_args(annotation) for member in _alternatives(part) if member is not NoneType
        )
    return (annotation,)


def _hint(kind: str, found: Any, keys: Keys) -> str:
    """How to mend what YAML or a habit makes of a value."""
    if kind in ("int_type", "float_type") and isinstance(found, str):
        return _number_hint(found)
    if kind == "int_type" and isinstance(found, float) and found.is_integer():
        return f"; write {int(found)}"
    if kind == "bool_type" and isinstance(found, str) and found.lower() in _BOOLEANS:
        return f"; write {_BOOLEANS[found.lower()]}, without quotes"
    if kind == "string_type" and isinstance(found, bool | int | float):
        return "; put text in quotes"
    if kind == "tuple_type" and isinstance(found, str):
        return f"; write [{_short(found, 40)}]"
    if kind == "model_type" and found is None:
        return f"; write {keys[-1]}: {{}} for one without settings (null drops one of a study that yours extends)"
    return ""


def _members(expected: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a value may be; of a list, what is in it."""
    return tuple(
        inner
        for member in expected
        for inner in (_alternatives(get_args(member)[0]) if get_origin(member) is tuple else (member,))
    )


def _tagged(found: Any, expected: tuple[Any, ...]) -> str:
    """How to write a section that a word chooses, or a list of them: [{layer: hue}] for hue."""
    members = _members(expected)
    word = next(word for word in TAGS for member in members if tags(member) and word in member.model_fields)
    choices = [choice for member in members for choice in tags(member)]
    named = str(found)[:40].lower()
    close = difflib.get_close_matches(named, choices, n=1, cutoff=0.7) if isinstance(found, str) else []
    inside = f"{{{word}: {close[0] if close else '...'}}}"
    if isinstance(found, dict):
        return "; it is a list: put [ ] around it, or begin each entry with '- '"
    return f"; write {inside if members == expected else f'[{inside}]'}" + (
        "" if close else f" with one of {', '.join(choices)}"
    )


_BOOLEANS = dict.fromkeys(("yes", "on", "true"), "true") | dict.fromkeys(("no", "off", "false"), "false")


def _number_hint(text: str) -> str:
    word = text.strip().lower()
    if len(word) > 40:
        return ""
    if _is_number(scalar(word)):
        return "; write it without quotes"
    if _is_number(scalar(word.replace("_", ""))):
        return f"; write {scalar(word.replace('_', ''))}"
    if word.endswith("%") and _is_number(percent := scalar(word[:-1].strip())):
        return f"; write {percent / 100:g}"  # type: ignore[operator]
    if re.fullmatch("0[0-9]+", word):  # octal to some readers of YAML
        return f"; write {int(word)}"
    if re.fullmatch("0x[0-9a-f]+|0o[0-7]+|0b[01]+", word):
        return f"; write {int(word, 0)}"
    try:
        float(word.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return ""
    return "; write a finite number, at most 2**53 if it is whole"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """A value as in YAML, short."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return "'" + _short(value, 60) + "'"
    return "nothing" if value is None else json.dumps(value)


def _short(text: str, length: int) -> str:
    text = _line(text)
    return text if len(text) <= length else text[: length - 3] + "..."


def _line(text: str) -> str:
    """The text on one line, and what cannot be seen by its number."""
    return " ".join(INVISIBLE.sub(lambda found: f"<U+{ord(found.group()):04X}>", text).split())


def weighted_twice(study: Study) -> str:
    """A warning of arms in which a rare class weighs more both in the loss and in the batches; empty without any."""
    arms = [
        name
        for name, arm in study.arms.items()
        if (arm.classifier or study.classifier).loss.class_weights == "balanced"
        and (arm.always_weighted or "weighted" in (arm.samplings or study.samplings))
    ]
    if not arms:
        return ""
    return (
        f"Rare classes are weighted twice where these arms are sampled weighted, for their loss has class_weights: "
        f"balanced too: {', '.join(arms)}. To weight them once, give such arms samplings: [shuffle]."
    )


def of_two(positive: str | int, *, table: bool) -> str:
    """What to do where the class that is looked for is one of more than two; a table can have a further column."""
    if not table:
        return "leave it out"
    return (
        f"to tell {positive} from all others, give the table a column that says {positive} or other, and name that "
        "with label; else leave positive out"
    )


SLOW_PRECISION = (
    "precision: bfloat16 is slower than float32 on this machine: its CPU has no units for it (avx512_bf16, amx_bf16). "
    "Leave precision out, or run the study on a machine that has them."
)


def rare_classes(shares: Mapping[str, float]) -> str:
    """A warning that accuracy decides where a class is rare: data set → share of its rarest class."""
    named = ", ".join(f"{name} {100 * share:.2g} %" for name, share in shares.items())
    return (
        f"The primary metric is accuracy, and a class is rare (its share of the training images: {named}). A network "
        "that never names it is accurate all the same; primary: auc or balanced_accuracy would notice."
    )

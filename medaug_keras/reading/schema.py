"""The JSON Schema of study files, for editors: completion, descriptions and mistakes as one types."""

from collections.abc import Iterator
from typing import Any

from medaug_keras.spec import Study

_EXTENDS = {
    "description": "Another study file, relative to this one. This file says only what differs from it; "
    "null drops a data set, generator, arm or fraction of it.",
    "minLength": 1,
    "type": "string",
}
_VARY = {
    "description": "One setting of the arm and its values: one arm for each, named as flow-0.5. A setting of its "
    "generator is add.generator.guidance, one of a step augment.noise.deviation.",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": ["boolean", "number", "string"]}},
}


def schema() -> dict[str, Any]:
    """What a study file may hold. In a file that extends another, nothing is required and entries may be null."""
    made = Study.model_json_schema()
    choices = set(_choices(made))
    parts = {name: _tidy(part) for name, part in made.pop("$defs").items()}
    for word, name in choices:  # to choose, the word must be there, also where the spec has a default for it
        parts[name]["required"] = sorted({word, *parts[name].get("required", ())})
    parts["Study"] = _tidy(made)
    parts["Study"]["properties"]["extends"] = _EXTENDS
    parts["Arm"]["properties"]["vary"] = _VARY
    # what an arm says of its classifier is merged onto the study's
    parts["Arm"]["properties"]["classifier"] = _relaxed(parts["Arm"]["properties"]["classifier"])
    extending = {f"{name}InExtension": _relaxed(part) for name, part in parts.items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A medaug-keras study",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/StudyInExtension"},
        "else": {"$ref": "#/$defs/Study"},
        "$defs": {**parts, **extending},
    }


def _choices(part: Any) -> Iterator[tuple[str, str]]:
    """(word that chooses, name of the part that it can choose)."""
    for item in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _choices(item)
    if isinstance(part, dict) and "discriminator" in part:
        for reference in part["discriminator"]["mapping"].values():
            yield part["discriminator"]["propertyName"], reference.rpartition("/")[2]


def _tidy(part: Any) -> Any:
    """Without what only pydantic needs (made-up titles above all), and closed where it leaves names open."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    tidy: dict[str, Any] = {}
    for key, value in part.items():
        if key == "properties":
            tidy[key] = {name: _tidy(field) for name, field in value.items()}
        elif key == "description":
            tidy[key] = " ".join(value.split())
        elif key not in ("title", "discriminator") and (key != "default" or isinstance(value, str | int | float)):
            tidy[key] = _tidy(value)
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


def _relaxed(part: Any) -> Any:
    """A part as it may be in a file that extends another. A list replaces, so what is in it must be whole."""
    if isinstance(part, list):
        return [_relaxed(item) for item in part]
    if not isinstance(part, dict):
        return part
    relaxed: dict[str, Any] = {}
    for key, value in part.items():
        if key == "properties":
            relaxed[key] = {name: _relaxed(field) for name, field in value.items()}
        elif key == "patternProperties":
            relaxed[key] = {name: {"anyOf": [_relaxed(entry), {"type": "null"}]} for name, entry in value.items()}
        elif key == "$ref":
            relaxed[key] = f"{value}InExtension"
        elif key == "items":
            relaxed[key] = value
        elif key not in ("required", "minProperties"):
            relaxed["anyOf" if key == "oneOf" else key] = _relaxed(value)
    return relaxed

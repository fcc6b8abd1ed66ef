"""Reads a JSON Schema as people hand it over: unwraps it and checks that it is one."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.reading import envelopes, misspelt, wellformed

DEEPEST = 250  # objects and lists within each other


@dataclass(frozen=True)
class Read:
    """`notes`: what whoever wrote the schema should know, a line each."""

    schema: Any
    notes: list[str]


def schema_of(value: Any) -> Read:
    """The schema in `value`. Raises NotFollowed where it is none."""
    _check_depth(value)
    schema, notes = envelopes.unwrapped(value)
    if not isinstance(schema, (dict, bool)):
        shown = wellformed.shown(schema)
        raise NotFollowed("$", "", f"{shown} is no JSON Schema: an object is, or true or false")
    schema = _with_small_types(schema, notes)
    schema = _with_lists_of_names(schema, notes)
    wellformed.check(schema)
    return Read(schema, [*notes, *misspelt.notes(schema)])


def _check_depth(value: Any) -> None:
    level: list[Any] = [[value]]
    depth = -1
    while level:
        depth += 1
        if depth > DEEPEST:
            raise NotFollowed("$", "", f"it is nested more than {DEEPEST} levels deep")
        inner: list[Any] = []
        for part in level:
            inner += part.values() if isinstance(part, dict) else part
        level = [part for part in inner if isinstance(part, (dict, list))]


def _with_small_types(schema: Any, notes: list[str]) -> Any:
    """Gemini writes its types in capitals."""
    name = schema.get("type") if isinstance(schema, dict) else None
    if not (isinstance(name, str) and name.isupper() and name.lower() in wellformed.TYPES):
        return schema
    schema = copy.deepcopy(schema)
    for _, place in wellformed.places(schema):
        if isinstance(place, dict) and isinstance(place.get("type"), str):
            place["type"] = place["type"].lower()
    notes.append(f'its types are in capitals: "{name}" is read as "{name.lower()}"')
    return schema


def _with_lists_of_names(schema: Any, notes: list[str]) -> Any:
    """Draft 3 says in each property whether it is required."""
    if not any(_says_required(place) for _, place in wellformed.places(schema)):
        return schema
    schema = copy.deepcopy(schema)
    for path, place in wellformed.places(schema):
        properties = place.get("properties") if isinstance(place, dict) else None
        if not isinstance(properties, dict):
            continue
        said = [name for name, part in properties.items() if _says_required(part)]
        needed = [name for name in said if properties[name].pop("required")]
        if needed and isinstance(place.setdefault("required", []), list):
            place["required"] += [name for name in needed if name not in place["required"]]
            if "draft-03" not in str(schema.get("$schema")):
                names = ", ".join(needed)
                notes.append(f"{path}: required: true is read as in draft 3: {names} must be there")
    return schema


def _says_required(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("required"), bool)

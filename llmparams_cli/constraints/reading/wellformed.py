"""What the keywords of a JSON Schema may say, in any of its drafts and in OpenAPI.

Looser than each draft's own metaschema: what one draft allows is allowed in all, and what says
nothing about an answer (`title`, `examples`) is not looked at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from llmparams_cli.constraints.difference import NotFollowed, step
from llmparams_cli.text.shorten import beginning

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object", "any")
MEANT = {
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "str": "string",
    "text": "string",
    "date": "string",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "dict": "object",
    "map": "object",
    "none": "null",
    "nil": "null",
}
LONGEST = 40  # characters of a value that a message shows

ONE = (
    *("not", "if", "then", "else", "contains", "propertyNames", "additionalProperties"),
    *("unevaluatedProperties", "unevaluatedItems", "additionalItems", "contentSchema"),
)
NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies")
SHELVES = ("$defs", "definitions")  # schemas that count only where a reference leads to them
LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")


def places(schema: Any) -> Iterator[tuple[str, Any]]:
    """All places where a schema stands, with their paths, from the outside to the inside. What
    stands in a place where a schema belongs comes too if it is none.
    """
    waiting = [("$", schema)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting += reversed([(path + further, part) for further, part in _parts(value)])


def _parts(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword, value in schema.items():
        here = step(keyword)
        if keyword in ONE or (keyword == "items" and not isinstance(value, list)):
            yield here, value
        elif (keyword in LISTED or keyword == "items") and isinstance(value, list):
            yield from ((here + step(number), part) for number, part in enumerate(value))
        elif keyword in NAMED and isinstance(value, dict):
            for name, part in value.items():
                if not (keyword == "dependencies" and isinstance(part, (list, str))):
                    yield here + step(name), part
        elif keyword in SHELVES and isinstance(value, dict):
            for name, part in value.items():
                if isinstance(part, (dict, bool)):
                    yield here + step(name), part


def check(schema: Any) -> None:
    """Raises NotFollowed for the first keyword that says what it cannot."""
    for path, value in places(schema):
        if isinstance(value, bool):
            continue
        if not isinstance(value, dict):
            raise NotFollowed(path, "", _no_schema(path, value))
        for keyword, said in value.items():
            reason = CHECKS[keyword](said) if keyword in CHECKS else ""
            if reason:
                raise NotFollowed(path, keyword, reason)


def _no_schema(path: str, value: Any) -> str:
    word = path.rpartition(".")[2]
    what = f"{shown(value)} is no schema: an object, true or false belongs here"
    if path.endswith(f".properties.{word}") and word in CHECKS:
        return f"{what} ({word} as a keyword stands beside properties, not in it)"
    if isinstance(value, str) and _meant(value):
        return f'{what}, such as {{"type": "{_meant(value)}"}}'
    if value in ("true", "false"):
        return f"{what} (without quotes)"
    return what


def shown(value: Any) -> str:
    """A value as a message names it."""
    return beginning(json.dumps(value, ensure_ascii=False, default=str), LONGEST)


def _meant(name: str) -> str:
    """The type that somebody means by a name of another language or in other letters."""
    low = name.lower()
    return low if low in TYPES else MEANT.get(low, "")


def is_number(value: Any) -> bool:
    """Whether JSON has this number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> str:
    if is_number(value):
        return ""
    return f"{shown(value)} is no number{_without_quotes(value)}"


def _without_quotes(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    try:
        return ": leave out its quotes" if math.isfinite(float(value)) else ""
    except ValueError:
        return ""


def _limit(value: Any) -> str:
    return "" if isinstance(value, bool) else _number(value)


def _above_zero(value: Any) -> str:
    return _number(value) or ("" if value > 0 else f"{shown(value)} is not above 0")


def _count(value: Any) -> str:
    if is_number(value) and value >= 0 and value == int(value):
        return ""
    return f"{shown(value)} is no count: 0, 1, 2, …{_without_quotes(value)}"


def _flag(value: Any) -> str:
    if isinstance(value, bool):
        return ""
    quoted = ": leave out its quotes" if value in ("true", "false") else ""
    return f"{shown(value)} is neither true nor false{quoted}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else f"{shown(value)} is no text"


def _list(value: Any) -> str:
    if isinstance(value, list):
        return ""
    if isinstance(value, (str, int, float)):
        return f"{shown(value)} is no list: write {shown([value])}"
    return f"{shown(value)} is no list"


def _schemas(value: Any) -> str:
    return _list(value) or ("" if value else "the list is empty: it needs at least one schema")


def _names(value: Any) -> str:
    if reason := _list(value):
        return reason
    others = [name for name in value if not isinstance(name, str)]
    return f"{shown(others[0])} is no name of a property: names are text" if others else ""


def _object(value: Any) -> str:
    if isinstance(value, dict):
        return ""
    return f"{shown(value)} is no object: names with a schema for each"


def _name_lists(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{shown(value)} is no object: names with a list of names for each"
    for names in value.values():
        if reason := _names(names):
            return reason
    return ""


def _type(value: Any) -> str:
    if isinstance(value, list):
        return next(filter(None, map(_type_name, value)), "" if value else NO_TYPE)
    return _type_name(value)


NO_TYPE = "the list is empty: it needs at least one type, or leave out the keyword"


def _type_name(value: Any) -> str:
    if value in TYPES and isinstance(value, str):
        return ""
    if value is None:
        return 'null is no type: "null" is, in quotes'
    meant = _meant(value) if isinstance(value, str) else ""
    known = f'did you mean "{meant}"?' if meant else f"types are {', '.join(TYPES[:-1])}"
    return f"{shown(value)} is no type: {known}"


_Check = Callable[[Any], str]
CHECKS: dict[str, _Check] = {
    "type": _type,
    "required": _names,
    "enum": _list,
    "uniqueItems": _flag,
    "nullable": _flag,
    "multipleOf": _above_zero,
    "divisibleBy": _above_zero,
    "minimum": _number,
    "maximum": _number,
    "exclusiveMinimum": _limit,
    "exclusiveMaximum": _limit,
    "dependentRequired": _name_lists,
    **dict.fromkeys(LISTED, _schemas),
    **dict.fromkeys((*NAMED, *SHELVES), _object),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _count),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _count),
    **dict.fromkeys(("pattern", "format", "$ref", "$dynamicRef", "$recursiveRef", "$id"), _text),
    **dict.fromkeys(("$anchor", "$dynamicAnchor", "$schema"), _text),
}

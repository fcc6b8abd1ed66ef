"""The keywords that describe numbers, strings, arrays and objects themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.reading.wellformed import is_number
from llmparams_cli.constraints.schema.notes import Notes
from llmparams_cli.constraints.schema.place import Node, Place
from llmparams_cli.constraints.schema.sets import (
    EVERYTHING,
    FREE,
    NOTHING,
    Arrays,
    Constant,
    Contained,
    Forms,
    Members,
    Numbers,
    Objects,
    Pattern,
    Rows,
    Some,
    Strings,
    alone,
    decimal,
    is_short,
    is_void,
    met,
    smallest,
)

if TYPE_CHECKING:
    from llmparams_cli.constraints.patterns.formats import Format
    from llmparams_cli.constraints.patterns.pattern import Conditions

TYPES: Mapping[str, tuple[str, ...]] = {
    "null": ("null",),
    "boolean": ("true", "false"),
    "number": ("number",),
    "integer": ("number",),
    "string": ("string",),
    "array": ("array",),
    "object": ("object",),
    "any": tuple(EVERYTHING),
}


def typed(place: Place, notes: Notes) -> Forms:
    """What `type` and the keywords of each type admit."""
    schema = place.schema
    kinds: dict[str, tuple[Some, ...]] = {}
    for name in types(place, notes):
        for kind in TYPES[name]:
            if name != "integer":
                kinds[kind] = (FREE[kind],)
            elif kind not in kinds:
                kinds[kind] = (Numbers(whole=True),)
    if schema.get("nullable") is True and "type" in schema and "null" not in kinds:
        notes.wider(place.path, "nullable", "also admits null, as in OpenAPI")
        kinds["null"] = (Constant(),)
    limited: Mapping[str, Callable[[Place, Notes], Some | None]] = {
        "number": numbers,
        "string": strings,
        "array": _arrays,
        "object": _objects,
    }
    for kind, work in limited.items():
        if kind in kinds:
            found = work(place, notes)
            if found is None:
                notes.contradiction(place.path, *_against(place.schema, kind))
                del kinds[kind]
            elif isinstance(found, Numbers) and kinds[kind] == (Numbers(whole=True),):
                whole = met(found, Numbers(whole=True))
                if whole is None:
                    notes.contradiction(place.path, "type", "no integer is within the limits")
                kinds[kind] = () if whole is None else (whole,)
            else:
                kinds[kind] = (found,)
    return {kind: sets for kind, sets in kinds.items() if sets} or NOTHING


LIMITS = {
    "number": (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")),
    "string": (("minLength",), ("maxLength",)),
    "array": (("minItems",), ("maxItems",)),
    "object": (("minProperties",), ("maxProperties",)),
}


def _against(schema: Any, kind: str) -> tuple[str, str]:
    """The keyword, and against what it stands."""
    low, high = (
        next((word for word in words if is_number(schema.get(word))), "") for words in LIMITS[kind]
    )
    if not low or not high:
        return "pattern" if kind == "string" else "", "no text matches it"
    return low, f"{schema[low]} excludes {high} {schema[high]}"


def types(place: Place, notes: Notes) -> list[str]:
    """The names of the types that `type` lists, the widest first."""
    named = place.schema.get("type")
    if named is None:
        return ["any"]
    listed = named if isinstance(named, list) else [named]
    if any(isinstance(name, dict) for name in listed):
        notes.wider(place.path, "type", "with schemas is left out")
        return ["any"]
    for name in listed:
        if not isinstance(name, str) or name not in TYPES:
            raise NotFollowed(place.path, "type", f"{name!r} is not one of JSON's")
    # After `number`, so that of the two the wider one counts.
    return sorted(listed, key=lambda name: name == "integer")


# --- numbers


def numbers(place: Place, notes: Notes) -> Numbers | None:
    """The numbers within the limits that are set there; None if there are none."""
    schema = place.schema
    low, low_open = _limit(schema, "minimum", "exclusiveMinimum", sign=1)
    high, high_open = _limit(schema, "maximum", "exclusiveMaximum", sign=-1)
    steps = [schema[word] for word in ("multipleOf", "divisibleBy") if word in schema]
    multiples = tuple(decimal(step) for step in steps if is_number(step) and step > 0)
    found = Numbers(low, low_open, high, high_open, None, multiples, (), place.path)
    return None if is_void(found) else found


def _limit(schema: Any, closed: str, open: str, *, sign: int) -> Any:
    """Until 2016, the exclusive words were true or false beside the others."""
    found = []
    for word in (closed, open):
        number = schema.get(word)
        if is_number(number):
            is_open = word == open or schema.get(open) is True
            found.append((sign * decimal(number), is_open))
    if not found:
        return None, False
    limit, is_open = max(found)
    return sign * limit, is_open


def size(schema: Any, word: str) -> int | None:
    """A number of something; 2.0 is 2."""
    found = schema.get(word)
    return int(found) if is_number(found) else None


# --- strings


def strings(place: Place, notes: Notes, *, is_barred: bool = False) -> Strings | None:
    """None if there are no such strings. Of what `is_barred`, nothing may be left out."""
    schema = place.schema
    patterns: list[str] = []
    barred: list[str] = []
    most = size(schema, "maxLength")
    if isinstance(schema.get("pattern"), str):
        from llmparams_cli.constraints.patterns import pattern

        try:
            text = schema["pattern"]
            found = pattern.conditions(text) if is_barred else _followed(text, place, notes)
            patterns, barred = list(found.every), list(found.never)
        except pattern.MatchesNothing:
            return None
        except pattern.NoCounterpart as error:
            notes.wider(place.path, "pattern", f"is left out: {error}")
    if isinstance(schema.get("format"), str):
        form = _format(place, schema["format"], notes)
        if form is not None:
            patterns.append(form.regex)
            most = smallest(most, form.longest)
    fewest = size(schema, "minLength") or 0
    kept = Strings(fewest, most, tuple(dict.fromkeys(patterns)), tuple(barred), place.path)
    return None if is_short(kept) else kept


def _followed(text: str, place: Place, notes: Notes) -> Conditions:
    """The conditions of a pattern, or of what is left of it without what cannot be followed."""
    from llmparams_cli.constraints.patterns import pattern

    try:
        return pattern.conditions(text)
    except pattern.MatchesNothing:
        raise
    except pattern.NoCounterpart as error:
        found = pattern.loosened(text)
        notes.wider(place.path, "pattern", f"is followed in part: {error} is left out")
        return found


def _format(place: Place, name: str, notes: Notes) -> Format | None:
    from llmparams_cli.constraints.patterns.formats import FORMATS

    if name not in FORMATS:
        notes.wider(place.path, "format", f"{name!r} is not known")
        return None
    if FORMATS[name].narrower:
        notes.narrower(place.path, "format", f"{name!r} leaves out {FORMATS[name].narrower}")
    return FORMATS[name]


# --- arrays


def _arrays(place: Place, notes: Notes) -> Arrays | None:
    schema = place.schema
    head: tuple[Node, ...] = tuple(alone(child) for child in place.children("prefixItems"))
    rest: Node | None = None
    if isinstance(schema.get("items"), list):  # as it was written until 2019
        head = tuple(alone(child) for child in place.children("items"))
        if "additionalItems" in schema:
            rest = alone(place.child("additionalItems"))
    elif "items" in schema:
        rest = alone(place.child("items"))
    groups = (Rows(head, rest),) if head or rest is not None else ()
    contained: tuple[Contained, ...] = ()
    if "contains" in schema:
        fewest = size(schema, "minContains")
        wanted = Contained(
            alone(place.child("contains")),
            1 if fewest is None else fewest,
            size(schema, "maxContains"),
        )
        # One that counts nothing still says of items that they were seen.
        counts = wanted.fewest or wanted.most is not None or place.counts_evaluated
        contained = (wanted,) if counts else ()
    found = Arrays(
        size(schema, "minItems") or 0,
        size(schema, "maxItems"),
        groups,
        contained,
        place.path if schema.get("uniqueItems") is True else "",
    )
    return None if is_short(found) else found


# --- objects


def _objects(place: Place, notes: Notes) -> Objects | None:
    schema = place.schema
    named, required = [], []
    if isinstance(schema.get("required"), list):
        required = [name for name in schema["required"] if isinstance(name, str)]
    if isinstance(schema.get("properties"), dict):
        for name, value in schema["properties"].items():
            named.append((name, alone(place.child("properties", name))))
            if isinstance(value, dict) and value.get("required") is True:  # draft 3
                required.append(name)
    patterns = _member_patterns(place, notes)
    rest: Node | None = None
    if "additionalProperties" in schema and patterns is not None:
        rest = alone(place.child("additionalProperties"))
    groups: tuple[Members, ...] = ()
    if named or patterns or rest is not None:
        groups = (Members(tuple(named), tuple(patterns or ()), rest),)
    names = (alone(place.child("propertyNames")),) if "propertyNames" in schema else ()
    found = Objects(
        size(schema, "minProperties") or 0,
        size(schema, "maxProperties"),
        tuple(dict.fromkeys(required)),
        groups,
        names,
        place.path,
    )
    return None if is_short(found) else found


def _member_patterns(place: Place, notes: Notes) -> list[Pattern] | None:
    """None if one cannot be followed, so that it is not known which members are others."""
    from llmparams_cli.constraints.patterns import pattern

    found = []
    for source in place.schema.get("patternProperties") or {}:
        try:
            rust = pattern.to_rust(source)
        except pattern.MatchesNothing:
            continue
        except pattern.NoCounterpart as error:
            notes.wider(place.path, "patternProperties", f"are left out: {error}")
            return None
        found.append(Pattern(source, rust, alone(place.child("patternProperties", source))))
    return found

"""The values that a schema does not admit, keyword by keyword."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from llmparams_cli.constraints.matching import escaped
from llmparams_cli.constraints.schema import keywords
from llmparams_cli.constraints.schema.place import Place
from llmparams_cli.constraints.schema.sets import (
    EVERYTHING,
    NOTHING,
    Arrays,
    Contained,
    Forms,
    Members,
    Numbers,
    Objects,
    Rows,
    Some,
    Strings,
    alone,
    decimal,
    item,
    kind_of,
    only,
    union,
)

if TYPE_CHECKING:
    from llmparams_cli.constraints.schema.forms import Expander

# What cannot be said of the values that break these: all of the kind are left in.
UNSAID = {
    "multipleOf": "number",
    "divisibleBy": "number",
    "additionalProperties": "object",
    "patternProperties": "object",
    "propertyNames": "object",
    "unevaluatedProperties": "object",
    "dependentSchemas": "object",
    "uniqueItems": "array",
    "unevaluatedItems": "array",
    "additionalItems": "array",
}


def forms(expander: Expander, place: Place) -> Forms:
    """What breaks at least one keyword of the schema here."""
    schema = place.schema
    assert place.document is not None
    here = replace(place, negated=False)
    if "$ref" in schema and place.document.ignores_siblings:
        return _of_target(expander, here, "$ref")
    parts = [work(expander, here) for word, work in NEGATED.items() if word in schema]
    for word, kind in UNSAID.items():
        if word in schema and not (word == "uniqueItems" and schema[word] is not True):
            if word == "additionalProperties" and schema[word] in (True, {}):
                continue
            expander.notes.wider(place.path, word, "under not is left out")
            parts.append(only([kind]))
    return union(*parts)


def _of_target(expander: Expander, place: Place, keyword: str) -> Forms:
    return expander.forms(place.target(keyword).denied())


def _type(expander: Expander, place: Place) -> Forms:
    names = keywords.types(place, expander.notes)
    kinds = {kind for name in names for kind in keywords.TYPES[name]}
    if place.schema.get("nullable") is True:
        kinds.add("null")
    found: Forms = only([kind for kind in EVERYTHING if kind not in kinds])
    if "integer" in names and "number" not in names and "any" not in names:
        found = union(found, {"number": (Numbers(whole=False),)})
    return found


def _values(expander: Expander, place: Place, listed: list[Any]) -> Forms:
    """Everything but the values."""
    found: dict[str, tuple[Some, ...]] = dict(EVERYTHING)
    for value in listed:
        kind = kind_of(value)
        if kind in ("null", "true", "false"):
            found.pop(kind, None)
        elif kind == "number":
            found[kind] = tuple(
                replace(some, barred=(*some.barred, decimal(value)))
                for some in found[kind]
                if isinstance(some, Numbers)
            )
        elif kind == "string":
            found[kind] = tuple(
                replace(some, barred=(*some.barred, escaped(value)))
                for some in found[kind]
                if isinstance(some, Strings)
            )
        elif not value:
            found[kind] = (Arrays(fewest=1) if kind == "array" else Objects(fewest=1),)
        else:
            expander.notes.wider(place.path, "not", f"{item(value).key[:40]} is left in")
    return found


def _enum(expander: Expander, place: Place) -> Forms:
    return _values(expander, place, place.schema["enum"])


def _const(expander: Expander, place: Place) -> Forms:
    return _values(expander, place, [place.schema["const"]])


def _limits(expander: Expander, place: Place) -> Forms:
    found = keywords.numbers(place, expander.notes)
    if found is None:
        return only(["number"])
    sets = []
    if found.low is not None:
        sets.append(Numbers(high=found.low, high_open=not found.low_open))
    if found.high is not None:
        sets.append(Numbers(low=found.high, low_open=not found.high_open))
    return {"number": tuple(sets)} if sets else NOTHING


def _size(kind: str, make: Callable[..., Some], word: str) -> Callable[[Expander, Place], Forms]:
    def work(expander: Expander, place: Place) -> Forms:
        limit = keywords.size(place.schema, word)
        if limit is None:
            return NOTHING
        if word.startswith("max"):
            return {kind: (make(fewest=limit + 1),)}
        return {kind: (make(most=limit - 1),)} if limit else NOTHING

    return work


def _text(expander: Expander, place: Place) -> Forms:
    """What does not match the pattern, or has not the format."""
    words = {word: place.schema[word] for word in ("pattern", "format") if word in place.schema}
    plain = Place(None, schema=words, path=place.path)
    found = keywords.strings(plain, expander.notes, is_barred=True)
    if found is None:
        return only(["string"])
    if len(found.patterns) + len(found.barred) < len(words):  # one could not be followed
        return only(["string"]) if "pattern" in words else NOTHING
    broken: list[Some] = [Strings(barred=(pattern,)) for pattern in found.patterns]
    return {"string": (*broken, *(Strings(patterns=(pattern,)) for pattern in found.barred))}


def _required(expander: Expander, place: Place) -> Forms:
    listed = place.schema["required"]
    if not isinstance(listed, list) or not listed:
        return NOTHING
    never = place.document_never()
    return {
        "object": tuple(
            Objects(groups=(Members(named=((name, (never,)),), evaluates=False),))
            for name in listed
        )
    }


def _properties(expander: Expander, place: Place) -> Forms:
    sets = []
    for name in place.schema["properties"]:
        wrong = place.child("properties", name).denied()
        if wrong.schema is not True:
            group = Members(named=((name, alone(wrong)),), evaluates=False)
            sets.append(Objects(required=(name,), groups=(group,)))
    return {"object": tuple(sets)} if sets else NOTHING


def _items(expander: Expander, place: Place) -> Forms:
    if isinstance(place.schema["items"], list):
        return _head(expander, place, "items")
    wrong = place.child("items").denied()
    if "prefixItems" in place.schema:
        expander.notes.wider(place.path, "items", "under not is left out")
        return only(["array"])
    if wrong.schema is True:
        return NOTHING
    return {"array": (Arrays(contained=(Contained(alone(wrong), 1, None),)),)}


def _head(expander: Expander, place: Place, keyword: str = "prefixItems") -> Forms:
    sets = []
    for number, child in enumerate(place.children(keyword)):
        if child.schema is not True:
            group = Rows((*((),) * number, (child.denied(),)), None, evaluates=False)
            sets.append(Arrays(fewest=number + 1, groups=(group,)))
    return {"array": tuple(sets)} if sets else NOTHING


def _contains(expander: Expander, place: Place) -> Forms:
    if "minContains" in place.schema or "maxContains" in place.schema:
        expander.notes.wider(place.path, "contains", "under not is left out")
        return only(["array"])
    wrong = place.child("contains").denied()
    return {"array": (Arrays(groups=(Rows((), alone(wrong), evaluates=False),)),)}


def _dependent(expander: Expander, place: Place, keyword: str) -> Forms:
    sets: list[Some] = []
    never = place.document_never()
    for name, wanted in place.schema[keyword].items():
        if not isinstance(wanted, list):
            expander.notes.wider(place.path, keyword, "under not is left out")
            return only(["object"])
        for other in wanted:
            absent = Members(named=((other, (never,)),), evaluates=False)
            sets.append(Objects(required=(name,), groups=(absent,)))
    return {"object": tuple(sets)} if sets else NOTHING


# --- keywords that apply schemas to the value itself


def _all_of(expander: Expander, place: Place) -> Forms:
    return union(*(expander.forms(child.denied()) for child in place.children("allOf")))


def _none(expander: Expander, place: Place, keyword: str) -> Forms:
    return expander.all(c.denied() for c in place.children(keyword))


def _one_of(expander: Expander, place: Place) -> Forms:
    options = [expander.forms(child) for child in place.children("oneOf")]
    several = [expander.shared(a, b, place, "oneOf") for a, b in combinations(options[:12], 2)]
    return union(_none(expander, place, "oneOf"), *several)


def _not(expander: Expander, place: Place) -> Forms:
    return expander.forms(place.child("not"))


def _if(expander: Expander, place: Place) -> Forms:
    condition, found = place.child("if"), []
    for word, holds in (("then", condition), ("else", condition.denied())):
        if word in place.schema:
            broken = expander.forms(place.child(word).denied())
            found.append(expander.shared(expander.forms(holds), broken, place, "if"))
    return union(*found)


NEGATED: dict[str, Callable[[Expander, Place], Forms]] = {
    "$ref": lambda e, p: _of_target(e, p, "$ref"),
    "$dynamicRef": lambda e, p: _of_target(e, p, "$dynamicRef"),
    "$recursiveRef": lambda e, p: _of_target(e, p, "$recursiveRef"),
    "type": _type,
    "enum": _enum,
    "const": _const,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _limits),
    "minLength": _size("string", Strings, "minLength"),
    "maxLength": _size("string", Strings, "maxLength"),
    "minItems": _size("array", Arrays, "minItems"),
    "maxItems": _size("array", Arrays, "maxItems"),
    "minProperties": _size("object", Objects, "minProperties"),
    "maxProperties": _size("object", Objects, "maxProperties"),
    "pattern": _text,
    "format": _text,
    "required": _required,
    "properties": _properties,
    "items": _items,
    "prefixItems": _head,
    "contains": _contains,
    "dependentRequired": lambda e, p: _dependent(e, p, "dependentRequired"),
    "dependencies": lambda e, p: _dependent(e, p, "dependencies"),
    "allOf": _all_of,
    "anyOf": lambda e, p: _none(e, p, "anyOf"),
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}

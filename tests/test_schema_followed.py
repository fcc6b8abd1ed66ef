"""The grammar of a JSON Schema admits what the schema does, or a note tells the difference.

The oracle is the jsonschema package; the grammar is followed by llguidance, byte by byte.
"""

from __future__ import annotations

import json
from functools import lru_cache
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.constraints.difference import Difference, NotFollowed, told
from llmparams_cli.constraints.matching import matcher
from llmparams_cli.constraints.schema import followed


@lru_cache(maxsize=200)
def _followed(schema: str) -> tuple[Any, list[Difference]]:
    grammar, differences = followed(json.loads(schema))
    return matcher(grammar), differences


def admits(schema: Any, text: str) -> bool:
    """Can the grammar produce exactly this text?"""
    follower, _ = _followed(json.dumps(schema))
    follower.reset()
    tokens = list(text.encode())
    return follower.try_consume_tokens(tokens) == len(tokens) and bool(follower.is_accepting())


def notes(schema: Any, *, wider: bool | None = None) -> list[str]:
    """The differences that are told."""
    found = _followed(json.dumps(schema))[1]
    return [str(each) for each in found if wider is None or each.is_wider == wider]


NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
    "required": ["value"],
    "additionalProperties": False,
}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 5, 7, 10, 42, 99, 100, 101, 12345, -17, 0.5, -0.5, 1.5, 3.25),
    *(99.5, 100.5, "", "a", "ab", "abc", "abcd", "fox", "crow", "AB-12", "x\ny", 'q"q', "b\\b"),
    *("é🦊", "2024-02-28", "2024-13-01", "12:30:00Z", "2024-02-28T12:30:00Z"),
    *([], [1], [1, 2], [1, "a"], ["a", 1, True], [1, 2, 3, 4], [[1], []], [None]),
    *(
        {},
        {"a": 1},
        {"a": "x"},
        {"b": 2},
        {"a": 1, "b": 2},
        {"a": 1, "b": 2, "c": 3},
        {"a": 1, "c": 3},
    ),
    *({"z": 1}, {"value": 1}, {"value": 1, "next": {"value": 2}}, {"next": {"value": 2}}),
]
SCHEMAS: dict[str, Any] = {
    "anything": True,
    "nothing said": {},
    "only described": {"description": "anything", "title": "x"},
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "array": {"type": "array"},
    "object": {"type": "object"},
    "two types": {"type": ["string", "null"]},
    "two types with limits": {"type": ["integer", "string"], "minimum": 5, "maxLength": 2},
    "from 5": {"type": "integer", "minimum": 5},
    "to 99": {"type": "integer", "maximum": 99},
    "1 to 99": {"type": "integer", "minimum": 1, "maximum": 99},
    "between 1 and 99": {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 99},
    "between 1 and 99 as of old": {
        "type": "integer",
        "minimum": 1,
        "exclusiveMinimum": 1,
        "maximum": 99,
        "exclusiveMaximum": 99,
    },
    "-20 to 7": {"type": "integer", "minimum": -20, "maximum": 7},
    "-17 to -1": {"type": "integer", "minimum": -17, "maximum": -1},
    "a probability": {"type": "number", "minimum": 0, "maximum": 1},
    "above 0": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
    "-0.5 to 100.5": {"type": "number", "minimum": -0.5, "maximum": 100.5},
    "up to 3 characters": {"type": "string", "maxLength": 3},
    "2 to 4 characters": {"type": "string", "minLength": 2, "maxLength": 4},
    "a pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d+$"},
    "a pattern anywhere": {"type": "string", "pattern": "b"},
    "a date": {"type": "string", "format": "date"},
    "a moment": {"type": "string", "format": "date-time"},
    "one word": {"const": "fox"},
    "odd words": {"enum": ["x\ny", 'q"q', "b\\b", "é🦊", None, {"a": 1}]},
    "words of a type": {"type": "string", "enum": ["fox", "crow"]},
    "numbers": {"type": "array", "items": {"type": "integer"}},
    "2 to 3 numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    "at least 1": {"type": "array", "minItems": 1},
    "at most 1": {"type": "array", "maxItems": 1},
    "none": {"type": "array", "maxItems": 0},
    "a tuple": {
        "prefixItems": [{"type": "integer"}, {"type": "string"}],
        "items": False,
        "type": "array",
    },
    "a head and a tail": {
        "prefixItems": [{"type": "integer"}],
        "items": {"type": "integer"},
        "type": "array",
    },
    "optional": {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "integer"},
            "c": {"type": "integer"},
        },
        "additionalProperties": False,
    },
    "the first required": {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "integer"},
            "c": {"type": "integer"},
        },
        "required": ["a"],
        "additionalProperties": False,
    },
    "the last required": {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "integer"},
            "c": {"type": "integer"},
        },
        "required": ["c"],
        "additionalProperties": False,
    },
    "required and not described": {"type": "object", "required": ["a"]},
    "any names": {"type": "object", "additionalProperties": {"type": "integer"}},
    "no names": {"type": "object", "additionalProperties": False},
    "either": {"anyOf": [{"type": "integer", "minimum": 50}, {"type": "string"}]},
    "either, within limits": {
        "maximum": 50,
        "maxLength": 1,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    },
    "all": {"allOf": [{"type": "integer"}, {"minimum": 3}, {"maximum": 50}]},
    "all of objects": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]
    },
    "recursion": {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    "a reference with limits": {
        "$ref": "#/$defs/n",
        "maximum": 10,
        "$defs": {"n": {"type": "integer", "minimum": 2}},
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_grammar_admits_what_the_schema_does(name: str) -> None:
    schema = SCHEMAS[name]
    assert notes(schema, wider=True) == []
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for value in VALUES:
        valid = validator.is_valid(value)
        if isinstance(value, str) and name == "a moment":  # of which jsonschema knows nothing
            valid = value == "2024-02-28T12:30:00Z"
        text = json.dumps(value, ensure_ascii=False)
        assert admits(schema, text) is valid, text


@pytest.mark.parametrize(
    "text",
    [
        '"a\nb"',
        '"\x01"',
        '"\\ud800"',
        '"\\x"',
        "01",
        "-",
        "1.",
        ".5",
        "[1,]",
        '{"a":1,}',
        "{a:1}",
        "1 ",
    ],
)
def test_what_is_no_json_is_never_admitted(text: str) -> None:
    assert not admits(True, text)


# As pydantic writes them.
DECIMAL = {"pattern": r"^(?:\d{0,3}|(?=[\d.]{1,5}0*$)\d{0,3}\.\d{0,2}0*)$", "type": "string"}

# Schema, text, whether the grammar admits it, and what is told (a part of a note).
CASES: dict[str, tuple[Any, str, bool, str]] = {
    "what is left of a pattern": (DECIMAL, '"lecture"', False, "in part: lookahead ((?=…) is left"),
    "what is left of it, admitted": (DECIMAL, '"1.25"', True, "pattern is followed in part"),
    "not what is left of it": ({"not": DECIMAL}, '"1."', True, "pattern is left out"),
    "the last of a month": ({"format": "date"}, '"2024-12-31"', True, ""),
    "a leap day": ({"format": "date"}, '"2024-02-29"', True, ""),
    "no leap day": ({"format": "date"}, '"2023-02-29"', False, ""),
    "an offset": ({"format": "date-time"}, '"2024-05-06T23:30:00+02:00"', True, ""),
    "a long integer": ({"type": "integer"}, "12345678901234567890", True, ""),
    "a price": ({"type": "number", "minimum": 0}, "12.50", True, ""),
    "near the lower limit": ({"type": "number", "minimum": 0.01}, "0.99", True, ""),
    "below the lower limit": ({"type": "number", "minimum": 0.01}, "0.009", False, ""),
    "near the upper limit": ({"type": "number", "maximum": 0.5}, "0.25", True, ""),
    "above the upper limit": ({"type": "number", "maximum": 0.5}, "0.51", False, ""),
    "a zero behind the point": ({"type": "number", "minimum": 0}, "10.0", True, ""),
    "an exponent": ({"minimum": 0}, "1e3", True, ""),
    "an exponent below the limit": ({"minimum": 0.01}, "1e-3", False, ""),
    "an exponent above the limit": ({"maximum": 99}, "1.5E+2", False, ""),
    "an exponent within limits": ({"minimum": 0, "maximum": 1}, "1e-1", True, ""),
    # The value is within the limits; but who began 8.59 as a plain number could not end it.
    "digits that only an exponent mends": ({"minimum": 0, "maximum": 1}, "8.5e-1", False, ""),
    "negative digits of that kind": ({"minimum": -0.5, "maximum": -0.25}, "-2.5e-1", False, ""),
    "a narrow range below zero": ({"minimum": -0.5, "maximum": -0.25}, "-0.375", True, ""),
    "a small number in plain digits": ({"exclusiveMinimum": 0, "maximum": 1}, "0.000001", True, ""),
    "patterns of names": (
        {"patternProperties": {"^c": {"type": "string"}}, "additionalProperties": False},
        '{"code": "XZ"}',
        True,
        "",
    ),
    "a pattern beside a name": (
        {"properties": {"a": {"minLength": 2}}, "patternProperties": {"a": {"maxLength": 3}}},
        '{"a": "1234"}',
        False,
        "",
    ),
    "two patterns for a name": (
        {"patternProperties": {"a": {"minimum": 2}, "b": {"maximum": 3}}},
        '{"ab": 4}',
        False,
        "",
    ),
    "nullable": ({"type": "integer", "nullable": True}, "null", True, "$: nullable"),
    "other names": (
        {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        '{"a": 1, "b": 2}',
        True,
        "",
    ),
    "a short tuple": ({"prefixItems": [{}, {}]}, "[1]", True, ""),
    "another order": ({"properties": {"a": {}, "b": {}}}, '{"b": 1, "a": 1}', False, "order"),
    "another type": ({"minLength": 2}, "3", True, ""),
    "an escaped character": ({"pattern": "a.b"}, '"a\\"b"', True, ""),
    "two parts of oneOf": (
        {"oneOf": [{"type": "string", "maxLength": 2}, {"type": "string", "minLength": 2}]},
        '"ab"',
        False,
        "",
    ),
    "one part of oneOf": (
        {"oneOf": [{"type": "string", "maxLength": 2}, {"type": "string", "minLength": 2}]},
        '"abc"',
        True,
        "",
    ),
    "enum beside a type": ({"enum": ["a", 1], "type": "string"}, "1", False, ""),
    "enum beside a length": ({"enum": ["abcd", "ab"], "maxLength": 2}, '"abcd"', False, ""),
    "an anchor": (
        {"$ref": "#n", "$defs": {"a": {"$anchor": "n", "type": "integer"}}},
        "1",
        True,
        "",
    ),
    "an anchor is not the root": (
        {"properties": {"x": {"$ref": "#n"}}, "$defs": {"a": {"$anchor": "n", "type": "integer"}}},
        '{"x": {}}',
        False,
        "",
    ),
    "a name of draft 6": (
        {"properties": {"x": {"$ref": "#n"}}, "definitions": {"n": {"$id": "#n", "type": "null"}}},
        '{"x": 1}',
        False,
        "",
    ),
    "a dynamic reference": (
        {"$dynamicRef": "#n", "$defs": {"a": {"$dynamicAnchor": "n", "type": "integer"}}},
        '"a"',
        False,
        "",
    ),
    "closed for its own part": (
        {
            "allOf": [
                {"properties": {"a": {}}, "additionalProperties": False},
                {"properties": {"b": {}}},
            ]
        },
        '{"a": 1, "b": 2}',
        False,
        "",
    ),
    "a pattern beside a format": ({"pattern": "^20", "format": "date"}, '"20xx"', False, ""),
    "case is ignored": ({"pattern": "(?i)^yes$"}, '"YES"', True, ""),
    "an unknown format": ({"format": "poem"}, '"a"', True, "$: format 'poem'"),
    "annotations that differ": (
        {"allOf": [{"x-order": 1, "type": "string"}, {"x-order": 2}]},
        '"a"',
        True,
        "",
    ),
    "a dead branch": (
        {"type": "string", "anyOf": [{"type": "integer"}, {"maxLength": 3}]},
        '"a"',
        True,
        "",
    ),
    "a dead member": (
        {"properties": {"a": {"type": "array", "minItems": 1, "items": False}}},
        '{"a": [1]}',
        False,
        "",
    ),
    "two choices": (
        {"allOf": [{"oneOf": [{"const": 1}, {"const": 2}]}, {"oneOf": [{"const": 2}]}]},
        "2",
        True,
        "",
    ),
    "recursion through allOf": (
        {"properties": {"n": {"allOf": [{"$ref": "#"}]}, "v": {"type": "integer"}}},
        '{"n": {"v": "a"}}',
        False,
        "",
    ),
    "a length with a point": ({"type": "string", "maxLength": 2.0}, '"abc"', False, ""),
    "two patterns": ({"allOf": [{"pattern": "^a"}, {"pattern": "b$"}]}, '"ab"', True, ""),
    "percent": ({"$ref": "#/$defs/x%25", "$defs": {"x%": {"type": "integer"}}}, "1", True, ""),
    "its own name": (
        {"$id": "thing.json", "$ref": "thing.json#/$defs/n", "$defs": {"n": {"type": "null"}}},
        "null",
        True,
        "",
    ),
    "beside a reference of draft 7": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/n",
            "maximum": 3,
            "definitions": {"n": {"type": "integer"}},
        },
        "4",
        True,
        "",
    ),
    "if, then": (
        {
            "required": ["k"],
            "if": {"properties": {"k": {"const": "a"}}},
            "then": {"required": ["a"]},
            "else": {"required": ["b"]},
        },
        '{"k": "a", "b": 1}',
        False,
        "",
    ),
    "a dependency": ({"dependentRequired": {"a": ["b"]}}, '{"a": 1}', False, ""),
    "without the member": ({"dependentRequired": {"a": ["b"]}}, '{"c": 1}', True, ""),
    "contains": ({"contains": {"const": 1}, "maxContains": 1}, "[2, 1, 1]", False, ""),
    "contains once": ({"contains": {"const": 1}, "maxContains": 1}, "[2, 1]", True, ""),
    "not a type": ({"not": {"type": "string"}}, '"a"', False, ""),
    "not a value": ({"not": {"enum": ["a", 1]}}, '"a"', False, ""),
    "not with a name": ({"not": {"required": ["a"]}}, '{"b": 1, "a": 1}', False, ""),
    "unevaluated": (
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        '{"b": 1}',
        False,
        "",
    ),
    "names": ({"propertyNames": {"maxLength": 2}}, '{"abc": 1}', False, ""),
    "fewest members": ({"minProperties": 1}, "{}", False, ""),
    "two members": ({"minProperties": 2}, '{"a": 1}', False, "$: minProperties"),
    "most members": ({"maxProperties": 1, "properties": {"a": {}}}, '{"a": 1, "b": 2}', False, ""),
    "steps": ({"multipleOf": 0.25}, "0.5", True, ""),
    "the step between limits": (
        {"exclusiveMinimum": -1, "exclusiveMaximum": 0, "multipleOf": 0.5},
        "-0.5",
        True,
        "",
    ),
    "between the steps": ({"multipleOf": 0.25}, "0.3", False, ""),
    "twice the same": ({"uniqueItems": True}, "[1, 1]", True, "$: uniqueItems"),
    "indented": ({"type": "object"}, '{\n  "a": [\n    1\n  ]\n}', True, ""),
    "blanks without end": ({"type": "array"}, "[" + " " * 50 + "]", False, ""),
    "a name in another spelling": (
        {"properties": {"a": False}},
        '{"\\u0061": 1}',
        False,
        "",
    ),
    "contains three times": (
        {"contains": {"const": 1}, "maxContains": 2},
        "[1, 2, 1, 1]",
        False,
        "",
    ),
    "contains too much to count": (
        {"contains": {"const": 1}, "minContains": 99, "minItems": 99},
        "[" + ", ".join(["1"] * 99) + "]",
        True,
        "$: contains is left out",
    ),
    "too many members to count": (
        {"minProperties": 30_000},
        "{}",
        True,
        "$: minProperties is left",
    ),
    "a name that is described and forbidden": (
        {"properties": {"abc": {}}, "propertyNames": {"maxLength": 2}},
        '{"abc": 1}',
        False,
        "",
    ),
    "a listed name that is described": (
        {"properties": {"a": {"type": "integer"}}, "propertyNames": {"enum": ["a", "b"]}},
        '{"a": "x"}',
        False,
        "",
    ),
    "five patterns for names": (
        {"patternProperties": {letter: {} for letter in "abcde"}},
        '{"ab": 1}',
        False,
        "$: patternProperties are followed one at a time",
    ),
    "names beside a pattern that is not followed": (
        {"patternProperties": {r"a\b": {}}, "additionalProperties": False},
        '{"a": 1}',
        True,
        "$: patternProperties are left out",
    ),
    "a dependency on one name, as of old": (
        {"dependencies": {"a": "bc"}},
        '{"a": 1, "bc": 2}',
        True,
        "",
    ),
    "below a negated limit": ({"not": {"minimum": 3}}, "2.5", True, ""),
    "at a negated limit": ({"not": {"minimum": 3}}, "3", False, ""),
    "at a negated length": ({"not": {"maxLength": 2}}, '"ab"', False, ""),
    "nothing in a negated tuple": ({"not": {"prefixItems": [{"type": "null"}]}}, "[]", False, ""),
    "what not cannot say": ({"not": {"multipleOf": 2}}, "4", True, "$.not: multipleOf"),
    "oneOf with what not cannot say": (
        {"oneOf": [{"type": "number", "multipleOf": 2}, {"type": "number", "multipleOf": 3}]},
        "6",
        True,
        "$: oneOf is followed as anyOf",
    ),
    "many parts of oneOf": (
        {"oneOf": [{"type": "number", "minimum": number} for number in range(41)]},
        "50",
        True,
        "$: oneOf is followed as anyOf",
    ),
    "the same limit, open and closed": (
        {"allOf": [{"minimum": 3}, {"exclusiveMinimum": 3}]},
        "3",
        False,
        "",
    ),
    "a small exponent": ({"minimum": 0.01}, "5e-1", True, ""),
    "steps without one of them": (
        {"multipleOf": 2, "not": {"const": 4}},
        "4",
        False,
        "$: multipleOf is left out",
    ),
    "equal numbers": ({"allOf": [{"enum": [1.0, 2]}, {"const": 1}]}, "1", True, ""),
    "two at most, the same": (
        {"uniqueItems": True, "maxItems": 2},
        "[1, 1]",
        True,
        "$: uniqueItems",
    ),
    "one at most": ({"uniqueItems": True, "maxItems": 1}, "[1]", True, ""),
    "unevaluated beside contains": (
        {"contains": {"const": 1}, "unevaluatedItems": {"type": "string"}},
        "[1]",
        False,
        "$: unevaluatedItems",
    ),
    "unevaluated beside contains without a count": (
        {"contains": {"const": 1}, "minContains": 0, "unevaluatedItems": {"type": "string"}},
        "[1]",
        False,
        "$: unevaluatedItems",
    ),
    "a name of a host that is too long": (
        {"format": "hostname"},
        json.dumps("a." * 130 + "a"),
        False,
        "$: format 'hostname'",
    ),
    "a length beside a pattern that counts": (
        {"pattern": "^(ab){2,600}$", "maxLength": 1000},
        json.dumps("ab" * 2),
        True,
        "$: maxLength beside this pattern",
    ),
    "what draft 3 disallows": (
        {"$schema": "http://json-schema.org/draft-03/schema#", "disallow": "string"},
        '"a"',
        False,
        "",
    ),
    "beside a reference of draft 6": (
        {
            "$schema": "http://json-schema.org/draft-06/schema#",
            "$ref": "#/definitions/n",
            "maximum": 3,
            "definitions": {"n": {"type": "integer"}},
        },
        "4",
        True,
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    schema, text, is_admitted, note = CASES[name]
    assert admits(schema, text) is is_admitted
    if note:
        assert any(note in each for each in notes(schema))
    else:
        assert notes(schema, wider=True) == []


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (False, "$: no value is valid"),
        ({"const": 3, "minimum": 5}, "$: const: no value is valid"),
        ({"const": "a", "enum": ["b"]}, "$: const: no value is valid"),
        ({"enum": []}, "$: enum: no value is valid: the list is empty"),
        ({"not": {}}, "$: not: no value is valid: it admits nothing"),
        ({"pattern": "^x", "format": "date", "type": "string"}, "$: pattern: no value is valid"),
        (
            {"type": "object", "required": ["b"], "additionalProperties": False},
            "$: required: no value is valid: 'b' can have no value",
        ),
        ({"type": "string", "pattern": "^a$", "not": {"const": "a"}}, "no value is valid"),
        ({"type": "poem"}, "$: type: 'poem'"),
        ({"$ref": "https://example.org/s.json"}, "$: $ref: 'https://example.org/s.json' leads out"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "$.properties.a: $ref: '#/$defs/b' leads"),
        ({"$ref": "#", "maximum": 3}, "$: $ref: leads back"),
        ({"type": "string", "minLength": 5, "maxLength": 3}, "$: minLength: no value is valid: 5"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "$: minItems: no value is valid: 3"),
        (
            {
                "properties": {"a": {"type": "array", "minItems": 3, "maxItems": 2}},
                "required": ["a"],
            }
            | {"type": "object"},
            "$.properties.a: minItems: no value is valid: 3",
        ),
        ({"type": "integer", "minimum": 0.1, "maximum": 0.9}, "no integer is within"),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, "$.allOf[1]: no value is valid"),
        ({"type": "array", "minItems": 1, "items": {"$ref": "#"}}, "no value is valid"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_reason(schema: Any, reason: str) -> None:
    with pytest.raises(NotFollowed) as caught:
        followed(schema)
    assert reason in str(caught.value)


def test_combinations_are_bounded_and_told() -> None:
    two = [
        {"anyOf": [{"properties": {f"{n}{i}": {"type": "integer"}}} for n in "ab"]}
        for i in range(18)
    ]
    assert any("too many" in note for note in notes({"allOf": two}, wider=True))
    assert admits({"allOf": two}, '{"a0": 1}')


def test_branches_that_tell_themselves_apart_are_not_multiplied() -> None:
    kinds = [f"k{number}" for number in range(30)]
    rules = [
        {"if": {"properties": {"k": {"const": kind}}}, "then": {"required": [kind]}}
        for kind in kinds
    ]
    schema = {"properties": {"k": {"enum": kinds}}, "required": ["k"], "allOf": rules}
    assert notes(schema, wider=True) == []
    assert admits(schema, '{"k": "k7", "k7": 1}')
    assert not admits(schema, '{"k": "k7", "k8": 1}')


def test_differences_are_told_in_one_line_and_shortened() -> None:
    found = [Difference(f"$.a{number}", "format", "'x' is not known", True) for number in range(5)]
    text = told([*found, Difference("$", "properties", "come in order", False)])
    assert "$.a0: format 'x' is not known" in text
    assert "; 2 more. " in text
    assert str(Difference("$.allOf[7]", "", "is left out", True)) == "$.allOf[7]: is left out"
    assert text.endswith("$: properties come in order")
    assert "\n" not in text


TYPES = ("null", "boolean", "number", "string", "array", "object")
# Small schemas, and values that could be valid for them.
SCALARS = st.sampled_from([None, True, 0, 1, 2, 3, -1, 0.5, 10, "", "a", "ab", "abc", "b"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


def _schemas() -> st.SearchStrategy[Any]:
    small = st.integers(0, 3)
    number = st.sampled_from([-1, 0, 0.5, 1, 2, 10])

    def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, min_size=1, max_size=3)
        named = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        names = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
        types = st.sampled_from(
            ["null", "boolean", "integer", "number", "string", "array", "object"]
        )
        options: dict[str, st.SearchStrategy[Any]] = {
            "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
            "enum": st.lists(JSON, min_size=1, max_size=4),
            "const": JSON,
            **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), number),
            "multipleOf": st.sampled_from([0.5, 1, 2, 3]),
            **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), small),
            **dict.fromkeys(("minProperties", "maxProperties"), small),
            "pattern": st.sampled_from(["^a", "b$", "^a.?$", "[^a]"]),
            "properties": named,
            "patternProperties": st.dictionaries(
                st.sampled_from(["^a", "[ab]", "c"]), inner, max_size=2
            ),
            **dict.fromkeys(("additionalProperties", "propertyNames", "items", "contains"), inner),
            "prefixItems": several,
            "required": names,
            "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=2),
            "dependentSchemas": st.dictionaries(st.sampled_from("abc"), inner, max_size=1),
            **dict.fromkeys(("anyOf", "oneOf", "allOf"), several),
            **dict.fromkeys(("not", "if", "then", "else"), inner),
            **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems"), inner),
        }
        chosen = st.lists(st.sampled_from(list(options)), max_size=4, unique=True)
        return chosen.flatmap(lambda words: st.fixed_dictionaries({w: options[w] for w in words}))

    return st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=6)


@given(_schemas(), st.lists(JSON, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_admitted_is_valid_or_told(schema: Any, values: list[Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    try:
        differences = _followed(json.dumps(schema))[1]
    except NotFollowed as error:
        assert "no value is valid" in str(error), error
        assert not any(map(validator.is_valid, values)), values
        return
    for value in values:
        text = json.dumps(value, ensure_ascii=False)
        is_admitted, is_valid = admits(schema, text), validator.is_valid(value)
        if is_admitted and not is_valid:
            assert any(each.is_wider for each in differences), text
        if is_valid and not is_admitted:
            assert any(not each.is_wider for each in differences), text


@given(_schemas(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_what_is_written_by_chance_is_valid_or_told(schema: Any, random: Random) -> None:
    try:
        follower, differences = _followed(json.dumps(schema))
    except NotFollowed:
        return
    validator = jsonschema.Draft202012Validator(schema)
    for _ in range(4):
        text = _written(follower, random)
        if text is None or any(each.is_wider for each in differences):
            continue
        assert validator.is_valid(json.loads(text)), text


def _written(follower: Any, random: Random) -> str | None:
    """A text that the grammar admits; None if it came to no end. There is always a way on."""
    follower.reset()
    text = ""
    while len(text) < 80:
        if follower.is_accepting() and (follower.is_stopped() or random.random() < 0.5):
            return text
        mask = follower.compute_bitmask()
        allowed = [code for code in range(128) if mask[code // 8] >> code % 8 & 1]
        assert allowed or follower.is_accepting(), text
        preferred = [code for code in allowed if chr(code) in '"}],:abc013']
        code = random.choice(preferred or allowed) if allowed else 0
        if not allowed or not follower.consume_token(code):
            return text
        text += chr(code)
    return None

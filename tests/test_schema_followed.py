"""What the grammar of a JSON Schema admits is JSON that the schema admits, or a note says otherwise.

The oracle is the jsonschema package; the grammar is followed by llguidance, byte by byte.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import jsonschema
import pytest

from llmparams_cli.constraints.difference import Difference
from llmparams_cli.constraints.schema import followed
from llmparams_cli.constraints.schema.regex import matcher


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
# Schemas, and those of VALUES that they admit but that their grammars leave out.
SCHEMAS: dict[str, tuple[Any, list[Any]]] = {
    "anything": (True, []),
    "nothing said": ({}, []),
    "only described": ({"description": "anything", "title": "x"}, []),
    "null": ({"type": "null"}, []),
    "boolean": ({"type": "boolean"}, []),
    "integer": ({"type": "integer"}, []),
    "number": ({"type": "number"}, []),
    "string": ({"type": "string"}, []),
    "array": ({"type": "array"}, []),
    "object": ({"type": "object"}, []),
    "two types": ({"type": ["string", "null"]}, []),
    "two types with limits": ({"type": ["integer", "string"], "minimum": 5, "maxLength": 2}, []),
    "from 5": ({"type": "integer", "minimum": 5}, []),
    "to 99": ({"type": "integer", "maximum": 99}, []),
    "1 to 99": ({"type": "integer", "minimum": 1, "maximum": 99}, []),
    "between 1 and 99": (
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 99},
        [],
    ),
    "between 1 and 99 as of old": (
        {
            "type": "integer",
            "minimum": 1,
            "exclusiveMinimum": 1,
            "maximum": 99,
            "exclusiveMaximum": 99,
        },
        [],
    ),
    "-20 to 7": ({"type": "integer", "minimum": -20, "maximum": 7}, []),
    "-17 to -1": ({"type": "integer", "minimum": -17, "maximum": -1}, []),
    "a probability": ({"type": "number", "minimum": 0, "maximum": 1}, []),
    "above 0": ({"type": "number", "exclusiveMinimum": 0, "maximum": 100}, []),
    "-0.5 to 100.5": ({"type": "number", "minimum": -0.5, "maximum": 100.5}, [-0.5, 100.5]),
    "up to 3 characters": ({"type": "string", "maxLength": 3}, []),
    "2 to 4 characters": ({"type": "string", "minLength": 2, "maxLength": 4}, []),
    "a pattern": ({"type": "string", "pattern": "^[A-Z]{2}-\\d+$"}, []),
    "a pattern anywhere": ({"type": "string", "pattern": "b"}, []),
    "a date": ({"type": "string", "format": "date"}, []),
    "a moment": ({"type": "string", "format": "date-time"}, []),
    "one word": ({"const": "fox"}, []),
    "odd words": ({"enum": ["x\ny", 'q"q', "b\\b", "é🦊", None, {"a": 1}]}, []),
    "words of a type": ({"type": "string", "enum": ["fox", "crow"]}, []),
    "numbers": ({"type": "array", "items": {"type": "integer"}}, []),
    "2 to 3 numbers": (
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
        [],
    ),
    "at least 1": ({"type": "array", "minItems": 1}, []),
    "at most 1": ({"type": "array", "maxItems": 1}, []),
    "none": ({"type": "array", "maxItems": 0}, []),
    "a tuple": (
        {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "type": "array"},
        [[], [1]],
    ),
    "a head and a tail": (
        {"prefixItems": [{"type": "integer"}], "items": {"type": "integer"}, "type": "array"},
        [[]],
    ),
    "optional": (
        {
            "type": "object",
            "properties": {n: {"type": "integer"} for n in "abc"},
            "additionalProperties": False,
        },
        [],
    ),
    "the first required": (
        {
            "type": "object",
            "properties": {n: {"type": "integer"} for n in "abc"},
            "required": ["a"],
            "additionalProperties": False,
        },
        [],
    ),
    "the last required": (
        {
            "type": "object",
            "properties": {n: {"type": "integer"} for n in "abc"},
            "required": ["c"],
            "additionalProperties": False,
        },
        [],
    ),
    "required and not described": (
        {"type": "object", "required": ["a"]},
        [{"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}],
    ),
    "any names": ({"type": "object", "additionalProperties": {"type": "integer"}}, []),
    "no names": ({"type": "object", "additionalProperties": False}, []),
    "either": ({"anyOf": [{"type": "integer", "minimum": 50}, {"type": "string"}]}, []),
    "either, within limits": (
        {"maximum": 50, "maxLength": 1, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        [],
    ),
    "all": ({"allOf": [{"type": "integer"}, {"minimum": 3}, {"maximum": 50}]}, []),
    "all of objects": (
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
            ],
        },
        [{"a": 1, "b": 2, "c": 3}],
    ),
    "recursion": ({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, []),
    "a reference with limits": (
        {"$ref": "#/$defs/n", "maximum": 10, "$defs": {"n": {"type": "integer", "minimum": 2}}},
        [],
    ),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_grammar_admits_what_the_schema_does(name: str) -> None:
    schema, left_out = SCHEMAS[name]
    assert notes(schema, wider=True) == []
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for value in VALUES:
        valid = validator.is_valid(value) and value not in left_out
        if isinstance(value, str) and name == "a moment":
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

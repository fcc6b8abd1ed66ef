"""What the grammar of a JSON Schema admits is JSON that the schema admits.

The oracle for schemas is the jsonschema package; for grammars, llama.cpp's own machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.gbnf import Gbnf
from llmparams_cli.constraints import gbnf, json_schema, regex
from llmparams_cli.constraints.wanted import Constraint, Notation
from llmparams_cli.models import builtin


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    loaded = Model(builtin.PATH, llama().llama_model_default_params())
    yield loaded
    loaded.close()


def admits(model: Model, gbnf: str, text: str) -> bool:
    """Can the grammar produce exactly this text?"""
    grammar = Gbnf(model, Constraint(Notation.GBNF, gbnf, "test", ""))
    try:
        for token in model.tokenize(text):
            if not grammar.allows(token):
                return False
            grammar.accept(token)
        return grammar.allows(model.end_tokens[0])
    finally:
        grammar.close()


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
def test_the_grammar_admits_what_the_schema_does(model: Model, name: str) -> None:
    schema, left_out = SCHEMAS[name]
    gbnf, unenforced = json_schema.to_gbnf(schema)
    assert unenforced == []
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for value in VALUES:
        valid = validator.is_valid(value) and value not in left_out
        if isinstance(value, str) and name == "a moment":
            valid = value == "2024-02-28T12:30:00Z"
        text = json.dumps(value, ensure_ascii=False)
        assert admits(model, gbnf, text) is valid, text


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
def test_what_is_no_json_is_never_admitted(model: Model, text: str) -> None:
    assert not admits(model, json_schema.to_gbnf(True)[0], text)


@given(
    st.integers(-(10**6), 10**6),
    st.integers(0, 10**5),
    st.lists(st.integers(-(10**6), 10**6), min_size=5, max_size=5),
)
@settings(max_examples=30, deadline=None)
def test_ranges_of_integers_are_exact(low: int, width: int, others: list[int]) -> None:
    high = low + width
    options = "|".join(gbnf.integers(low, high))
    expression = re.compile(re.sub(r'"([^"]*)"|\s', r"\1", options))
    for number in (low, high, low - 1, high + 1, low + width // 3, -low, 0, *others):
        assert bool(expression.fullmatch(str(number))) is (low <= number <= high), number


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("^a+b?$", ["a", "aab", "b", ""]),
        ("^(fox|crow)s?$", ["fox", "crows", "foxcrow", ""]),
        ("^[^a-c]{2}$", ["xy", "ax", "é🦊", "x"]),
        ("^\\w+@\\w+\\.(com|org)$", ["a_1@b.com", "a@b.net", "@b.org"]),
        ("ox$", ["fox", "ox", "oxen"]),
        ("^.*$", ["", "any thing", "é"]),
        ("^[\\s\\S]{1,3}$", ["a b", "abcd", ""]),
        ('^a"b$', ['a"b', "ab"]),
        ("^\\\\d$", ["\\d", "1"]),
        ("^yes$|^no$", ["yes", "no", "yes no", "maybe"]),
        ("", ["", "anything"]),
        ("^(?:a|b(c|d))*?e$", ["e", "abce", "bde", "be"]),
    ],
)
def test_patterns_admit_what_they_match(model: Model, pattern: str, texts: list[str]) -> None:
    gbnf, _ = json_schema.to_gbnf({"type": "string", "pattern": pattern})
    for text in texts:
        assert admits(model, gbnf, json.dumps(text, ensure_ascii=False)) is bool(
            re.search(pattern, text)
        ), text


@pytest.mark.parametrize(
    "pattern", ["^(?=a)b", "(a)\\1", "\\bword", "(", "^[\\x00-\\x1f]$", "(?i:a)"]
)
def test_patterns_without_a_counterpart_are_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(pattern))):
        regex.to_gbnf(pattern)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (False, "admits nothing"),
        ({"type": "poem"}, "'poem'"),
        ({"$ref": "https://example.org/s.json"}, "leads out"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "#", "maximum": 3}, "leads back"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "at least 3 and at most 2"),
        ({"type": "integer", "minimum": 0.1, "maximum": 0.9}, "no integer"),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, "exclude each other"),
        ({"enum": []}, "empty"),
        ({"type": "string", "minLength": 5000}, "too many"),
    ],
)
def test_what_admits_nothing_is_refused_with_its_reason(schema: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        json_schema.to_gbnf(schema)


@pytest.mark.parametrize(
    ("schema", "keywords"),
    [
        ({"type": "integer", "multipleOf": 3}, ["multipleOf"]),
        ({"type": "array", "uniqueItems": True}, ["uniqueItems"]),
        ({"type": "string", "format": "email"}, ["format email"]),
        ({"type": "string", "maxLength": 5000}, ["a maximum of 5000"]),
        ({"type": "number", "minimum": 0.2, "maximum": 0.8}, ["maximum", "minimum"]),
        ({"properties": {"not": {"type": "string"}}}, []),
        ({"properties": {"a": {"not": {"type": "string"}}}}, ["not"]),
    ],
)
def test_what_is_not_enforced_is_told(schema: Any, keywords: list[str]) -> None:
    assert json_schema.to_gbnf(schema)[1] == keywords

"""Reading a JSON Schema: what it is wrapped in, whether it is one, words that are misspelt."""

from __future__ import annotations

from typing import Any

import pytest

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.reading.read import schema_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
NESTED = {"json_schema": {"name": "n", "strict": True, "schema": SCHEMA}, "type": "json_schema"}


@pytest.mark.parametrize(
    ("wrapped", "note"),
    [
        (NESTED, "OpenAI's response_format: the schema is its json_schema.schema"),
        (NESTED["json_schema"], "what OpenAI's response_format holds: the schema is its schema"),
        (
            {"type": "json_schema", "name": "n", "schema": SCHEMA},
            "OpenAI's response_format: the schema is its schema",
        ),
        (
            {"model": "m", "messages": [], "response_format": NESTED},
            "OpenAI's request: the schema is its response_format.json_schema.schema",
        ),
        ({"model": "m", "text": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "text.f"),
        ({"type": "json_object", "schema": SCHEMA}, "a response_format: the schema is its schema"),
        (
            {"type": "function", "function": {"name": "f", "parameters": SCHEMA}},
            "OpenAI's tool: the schema is its function.parameters",
        ),
        (
            {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
            "OpenAI's tool: the schema is its parameters",
        ),
        ({"name": "f", "parameters": SCHEMA}, "the function of a tool"),
        (
            {"name": "f", "description": "d", "input_schema": SCHEMA},
            "Anthropic's tool: the schema is its input_schema",
        ),
        ({"name": "f", "inputSchema": SCHEMA, "annotations": {}}, "a tool of MCP"),
        (
            {
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseSchema": SCHEMA,
                }
            },
            "the schema is its generationConfig.responseSchema",
        ),
    ],
)
def test_what_services_wrap_a_schema_in(wrapped: Any, note: str) -> None:
    read = schema_of(wrapped)
    assert read.schema == SCHEMA
    assert len(read.notes) == 1
    assert note in read.notes[0]


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        SCHEMA,
        {"properties": {"schema": {"type": "object"}, "input_schema": {"type": "object"}}},
        {"type": "object", "name": "n", "schema": {"type": "string"}, "required": ["a"]},
        {"$defs": {"a": {}}, "parameters": {}, "$ref": "#/$defs/a"},
        {"type": "string", "format": "date", "x-order": 1, "markdownDescription": "", "version": 1},
        {"enum": [{"propertes": 1}], "default": {"tpye": 1}, "properties": {"requird": {}}},
        {"exclusiveMinimum": True, "minimum": 0, "maxLength": 2.0, "nullable": True},
        {"items": [{}], "additionalItems": False, "dependencies": {"a": ["b"], "c": {}, "d": "e"}},
        {"definitions": {"//": "a remark"}, "title": 3, "examples": "x"},
        {"input_schema": {"type": "object"}, "properties": {"a": {}}},
        {"parameters": {"type": "object"}, "anything": 1},
        {"Type": "a remark", "type": "string", "maxItems": 0},
    ],
)
def test_a_schema_stays_as_it_is(schema: Any) -> None:
    read = schema_of(schema)
    assert read.schema == schema
    assert read.notes == []


def test_json_object_is_any_object() -> None:
    assert schema_of({"type": "json_object"}).schema == {"type": "object"}


def test_types_in_capitals() -> None:
    read = schema_of({"responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}}})
    assert read.schema == {"type": "array", "items": {"type": "string"}}
    assert read.notes[1] == 'its types are in capitals: "ARRAY" is read as "array"'


def test_draft_3_says_in_a_property_whether_it_is_required() -> None:
    given = {"properties": {"a": {"required": True}, "b": {"required": False}}, "required": ["c"]}
    read = schema_of(given)
    assert read.schema == {"properties": {"a": {}, "b": {}}, "required": ["c", "a"]}
    assert read.notes == ["$: required: true is read as in draft 3: a must be there"]
    assert given["required"] == ["c"]
    twice = schema_of({"properties": {"a": {"required": True}}, "required": ["a"]})
    assert twice.schema["required"] == ["a"]
    assert schema_of({**given, "$schema": "http://json-schema.org/draft-03/schema#"}).notes == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"minimum": "3"}, '$: minimum: "3" is no number: leave out its quotes'),
        ({"type": []}, "$: type: the list is empty"),
        ({"type": "Int"}, '$: type: "Int" is no type: did you mean "integer"?'),
        ({"type": None}, '$: type: null is no type: "null" is, in quotes'),
        ({"type": "thing"}, '"thing" is no type: types are null, boolean, integer, number, string'),
        ({"type": ["string", 1]}, "$: type: 1 is no type"),
        ({"required": "ab"}, '$: required: "ab" is no list: write ["ab"]'),
        ({"required": [1]}, "$: required: 1 is no name of a property"),
        ({"properties": []}, "$: properties: [] is no object: names with a schema for each"),
        ({"properties": {"a": "Text"}}, '$.properties.a: "Text" is no schema: an object, true or'),
        ({"properties": {"a": "Text"}}, 'such as {"type": "string"}'),
        ({"properties": {"required": ["a"]}}, "required as a keyword stands beside properties"),
        (
            {"properties": {"a b": {"items": [{"minLength": -1}]}}},
            "$.properties['a b'].items[0]: minLength: -1 is no count",
        ),
        ({"$defs": {"a": {"minimum": "3"}}}, "$.$defs.a: minimum: "),
        ({"maxItems": 1.5}, "$: maxItems: 1.5 is no count"),
        ({"maxItems": True}, "$: maxItems: true is no count"),
        ({"enum": "a"}, '$: enum: "a" is no list: write ["a"]'),
        ({"anyOf": []}, "$: anyOf: the list is empty"),
        ({"oneOf": {}}, "$: oneOf: {} is no list"),
        ({"multipleOf": 0}, "$: multipleOf: 0 is not above 0"),
        ({"minimum": float("nan")}, "$: minimum: NaN is no number"),
        ({"uniqueItems": "true"}, '"true" is neither true nor false: leave out its quotes'),
        ({"additionalProperties": "false"}, '$.additionalProperties: "false" is no schema'),
        ({"pattern": 1}, "$: pattern: 1 is no text"),
        ({"dependentRequired": {"a": "b"}}, '$: dependentRequired: "b" is no list'),
        (3, "$: 3 is no JSON Schema"),
        ([SCHEMA], "is no JSON Schema: an object is, or true or false"),
        ("a", '$: "a" is no JSON Schema'),
        (None, "$: null is no JSON Schema"),
        ({"type": "text"}, '$: type: "text" asks for no form'),
        ({"type": "json_schema"}, "$: json_schema: is missing"),
        (
            {"type": "json_schema", "json_schema": {"name": "n"}},
            "$.json_schema: schema: is missing",
        ),
        ({"type": "function", "function": {"name": "f"}}, "$.function: parameters: is missing"),
        ({"input_schema": {"type": "strng"}}, '$: type: "strng" is no type'),
    ],
)
def test_what_is_no_schema(value: Any, message: str) -> None:
    with pytest.raises(NotFollowed) as raised:
        schema_of(value)
    assert message in str(raised.value)


def test_deep_nesting_is_refused_in_words() -> None:
    for levels, is_fine in ((249, True), (250, False), (10_000, False)):
        schema: Any = {}
        for _ in range(levels):
            schema = {"not": schema}
        if is_fine:
            assert schema_of(schema).notes == []
        else:
            with pytest.raises(NotFollowed, match="nested more than 250 levels deep"):
                schema_of(schema)


@pytest.mark.parametrize(
    ("keyword", "meant"),
    [
        ("propertes", "properties"),
        ("aditionalProperties", "additionalProperties"),
        ("additional_properties", "additionalProperties"),
        ("enmu", "enum"),
        ("Type", "type"),
        ("require", "required"),
        ("maxitems", "maxItems"),
        ("any_of", "anyOf"),
        ("ref", "$ref"),
        ("patern", "pattern"),
        ("min", "minimum"),
    ],
)
def test_a_misspelt_keyword_is_told(keyword: str, meant: str) -> None:
    read = schema_of({"properties": {"a": {keyword: {}}}})
    assert read.notes == [f"$.properties.a: {keyword} is no keyword: did you mean {meant}?"]


def test_a_word_is_told_once() -> None:
    read = schema_of({"allOf": [{"requird": ["a"]}] * 3})
    assert read.notes == ["$.allOf[0]: requird is no keyword: did you mean required? (2 more)"]


@pytest.mark.parametrize(
    "keyword",
    [
        "x-order",
        "_enum",
        "//type",
        "@type",
        "note",
        "order",
        "enumNames",
        "tsType",
        "units",
        "minAge",
        "description",
    ],
)
def test_other_unknown_keywords_pass(keyword: str) -> None:
    assert schema_of({keyword: 1}).notes == []

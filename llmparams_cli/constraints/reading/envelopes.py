"""The wrappings in which services take a JSON Schema: which one this is, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmparams_cli.constraints.difference import NotFollowed, step
from llmparams_cli.constraints.reading.wellformed import CHECKS, ONE

OPENAI = "OpenAI's response_format"
OPENAI_REQUEST = "OpenAI's request"
OPENAI_TOOL = "OpenAI's tool"
ANTHROPIC_TOOL = "Anthropic's tool"
# Of a wrapping these say nothing about the schema.
DETAILS = frozenset(("name", "description", "strict", "type", "title", "cache_control", "response"))
KEYWORDS = frozenset((*CHECKS, *ONE, "items", "const")) - {"type", "format"}
DEEPEST = 5


@dataclass(frozen=True)
class Wrapping:
    """`steps`: where the schema stands, or the next wrapping."""

    name: str
    steps: tuple[str, ...]


def unwrapped(value: Any) -> tuple[Any, list[str]]:
    """The schema that stands in `value`, and a line for whoever wonders where it was found."""
    path, names = "$", []
    for _ in range(DEEPEST):
        found = _wrapping(value)
        if found is None:
            break
        for name in found.steps:
            if name not in value:
                raise NotFollowed(path, name, f"is missing: {found.name} has the schema in it")
            value, path = value[name], path + step(name)
        names.append(found.name)
    if isinstance(value, dict) and value.get("type") == "json_object":
        return {"type": "object"}, [f"{path} is OpenAI's json_object: any JSON object"]
    if isinstance(value, dict) and value.get("type") == "text" and value.keys() == {"type"}:
        raise NotFollowed(path, "type", '"text" asks for no form: leave the schema out')
    return value, [f"this is {names[0]}: the schema is its {path[2:]}"] if names else []


def _wrapping(value: Any) -> Wrapping | None:
    if not isinstance(value, dict) or value.keys() & KEYWORDS:
        return None
    return next(_candidates(value), None)


def _candidates(value: dict[str, Any]) -> Iterator[Wrapping]:
    kind = value.get("type")
    if kind == "json_schema":
        inner = "json_schema" in value or "schema" not in value
        yield Wrapping(OPENAI, ("json_schema", "schema") if inner else ("schema",))
    if kind == "json_object" and "schema" in value:
        yield Wrapping("a response_format", ("schema",))
    if kind == "function":
        inner = "function" in value or "parameters" not in value
        yield Wrapping(OPENAI_TOOL, ("function", "parameters") if inner else ("parameters",))
    if isinstance(value.get("text"), dict) and "format" in value["text"]:
        yield Wrapping(OPENAI_REQUEST, ("text", "format"))
    for key, name in KEYS.items():
        if isinstance(value.get(key), (dict, bool)):
            yield Wrapping(name, (key,))
    for key, name in ALONE.items():
        if isinstance(value.get(key), (dict, bool)) and value.keys() - {key} <= DETAILS:
            yield Wrapping(name, (key,))


# Keys that no schema has.
KEYS = {
    "response_format": OPENAI_REQUEST,
    "input_schema": ANTHROPIC_TOOL,
    "inputSchema": "a tool of MCP",
    "responseSchema": "Gemini's configuration",
    "response_schema": "Gemini's configuration",
    "responseJsonSchema": "Gemini's configuration",
    "response_json_schema": "Gemini's configuration",
    "generationConfig": "Gemini's request",
    "output_format": "Anthropic's request",
    "output_config": "Anthropic's request",
    "format": "a request",
}
# Keys that a schema might have, were it not for what stands beside them.
ALONE = {
    "schema": f"what {OPENAI} holds",
    "parameters": "the function of a tool",
    "json_schema": OPENAI,
}

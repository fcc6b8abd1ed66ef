"""A preset as YAML text, with a comment for every value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmparams_cli.params.settings import label
from llmparams_cli.params.table import PARAMS
from llmparams_cli.text.safe import one_line

SCHEMA_LINE = "# yaml-language-server: $schema={}"
COMMENT_COLUMN = 30  # where comments begin, if the value leaves room


@dataclass
class Preset:
    """The content of a preset file that is to be written; `comments` are by the names that users
    write, as in thinking.temperature. `notes` are lines of comment at the top.
    """

    description: str = ""
    extends: Sequence[str] = ()
    model: str | None = None
    system: str | None = None
    prompt: str | None = None
    variables: Mapping[str, str | None] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    thinking: Mapping[str, Any] = field(default_factory=dict)
    comments: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def to_yaml(preset: Preset, schema: str = "") -> str:
    """The file's text. Each value has its comment, or else its parameter's summary."""
    return "\n".join([*_lines(preset, schema), ""])


def plain(name: str, value: Any) -> Any:
    """A parameter's value as files write it: 40 rather than 40.0."""
    return _without_point(PARAMS[name].kind.to_json(value))


def _without_point(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_point(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_point(item) for item in value]
    # Up to 2**53, about 9e15, floats hold integers exactly; beyond, digits would be made up.
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _lines(preset: Preset, schema: str) -> Iterator[str]:
    if schema:
        yield SCHEMA_LINE.format(schema)
    for note in preset.notes:
        yield f"# {one_line(note)}"
    if preset.description:
        yield from _text("description", preset.description)
    if preset.extends:
        yield f"extends: {flow(list(preset.extends))}"
    for key in ("model", "system", "prompt"):
        if (text := getattr(preset, key)) is not None:
            yield from _text(key, text)
    if preset.variables:
        yield "variables:"
        for name, default in preset.variables.items():
            yield f"  {name}: {'' if default is None else flow(default)}".rstrip()
    for key, chosen in (("parameters", preset.parameters), ("thinking", preset.thinking)):
        if chosen:
            yield f"{key}:"
        for name, value in chosen.items():
            comment = preset.comments.get(label(name, chosen is preset.thinking))
            yield from _parameter(name, plain(name, value), comment)


def _parameter(name: str, value: Any, comment: str | None) -> Iterator[str]:
    comment = PARAMS[name].summary if comment is None else comment
    if isinstance(value, str) and "\n" in value:
        yield f"  # {comment}"
        yield from _text(f"  {name}", value)
        return
    written = f"  {name}: {flow(value)}"
    if len(written) > COMMENT_COLUMN + 10:
        yield f"  # {comment}"
        yield written
    else:
        yield f"{written:<{COMMENT_COLUMN}} # {comment}"


def _text(key: str, text: str) -> Iterator[str]:
    """A text of several lines as a block scalar, if YAML reads it back unchanged."""
    # Not with blanks at a line's end, with control characters, or with a first line that is
    # empty or indented (YAML takes the indentation from it), nor with empty lines at the end.
    lines = text.removesuffix("\n").split("\n")
    whole = all(line == line.rstrip() and line.isprintable() for line in lines)
    if len(lines) < 2 or not whole or not lines[0] or lines[0][0] == " " or not lines[-1]:
        yield f"{key}: {flow(text)}"
        return
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    yield f"{key}: |{'' if text.endswith(chr(10)) else '-'}"
    for line in lines:
        yield f"{indent}{line}" if line else ""


def flow(value: Any) -> str:
    """A value as JSON, which is YAML too once the characters that YAML forbids are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""The JSON Schema of preset files, for editors and CI; generated from the table.

python -m llmparams_cli.presets.schema > presets/preset.schema.json
"""

from __future__ import annotations

import json
from typing import Any

from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import tests


def preset_schema() -> dict[str, Any]:
    """Describe a preset file (draft 2020-12)."""
    parent = {"type": "string", "minLength": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llmparams preset",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "description": _text("What the preset is for, in one line."),
            "extends": {
                "description": "The preset, or presets, whose values this one starts from.",
                "anyOf": [parent, {"type": "array", "items": parent}],
            },
            "model": _text("The model to use: a path or a name."),
            "system": _text("The system text."),
            "prompt": _text("The prompt, a Jinja template in which {{ input }} is the user's."),
            "variables": {
                "description": "The template's other variables with their defaults; null: "
                "there is none, and --var must give a value.",
                "type": "object",
                "propertyNames": {"pattern": r"^(?!input$)[^\W\d]\w*$"},
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            },
            "tests": {"description": "What must hold of the answers.", **tests.SCHEMA},
            "parameters": {
                "description": "Values by parameter; `llmparams params` explains them.",
                "type": "object",
                "additionalProperties": False,
                "properties": {name: _value(param) for name, param in PARAMS.items()},
            },
            "thinking": {
                "description": "Values that count only while a reasoning model thinks.",
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    name: _value(param, without="default")
                    for name, param in PARAMS.items()
                    if param.by_phase
                },
            },
        },
    }


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string"}


def _value(param: Param, without: str = "") -> dict[str, Any]:
    schema = param.kind.schema()
    if param.reads_file:
        schema = {"anyOf": [schema, {"type": "string", "pattern": "^@."}]}
    described = {"description": param.meaning, "default": param.default, **schema}
    return {key: value for key, value in described.items() if key != without}


if __name__ == "__main__":
    print(json.dumps(preset_schema(), indent=2))

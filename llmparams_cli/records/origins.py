"""Origins in receipts and chats: an object, or in format 1 the text shown to people.

    {"source": "preset", "name": "terse", "file": "llmparams.yaml", "line": 5}
    "preset llmparams.yaml:5"

The type tells which of the two it is, so both may occur in one file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from llmparams_cli.params.kinds import INT32_MAX
from llmparams_cli.params.settings import Origin, Source
from llmparams_cli.text.shorten import brief

SOURCES = tuple(source.value for source in Source)
# Whose values have a file and a line:
FILES = (Source.CONFIG, Source.PROJECT, Source.PRESET, Source.ROW)
FILE_AND_LINE = re.compile(r"(.+):([0-9]{1,9})", re.DOTALL)


def to_object(origin: Origin) -> dict[str, Any]:
    """An origin for JSON, without the fields that are empty."""
    fields = {**vars(origin), "source": origin.source.value}
    return {name: value for name, value in fields.items() if value}


def from_json(value: Any) -> Origin:
    """Read an origin in either form; raises ValueError."""
    if isinstance(value, str):
        return _from_words(value)
    if not isinstance(value, dict):
        raise ValueError(f"{_shown(value)} is not an object")
    line = value.get("line", 0)
    if type(line) is not int or not 0 <= line <= INT32_MAX:
        raise ValueError(f"line: {_shown(line)} is not the number of a line")
    return Origin(_source(value.get("source")), _text(value, "name"), _text(value, "file"), line)


def _from_words(text: str) -> Origin:
    """Read format 1, which has no name for a preset: its file's name is used."""
    word, _, place = text.partition(" ")
    source = _source(word)
    found = FILE_AND_LINE.fullmatch(place)
    if source not in FILES or not found:
        return Origin(source, place)
    file = found[1]
    preset = Path(file.removeprefix("llmparams:")).stem if source is Source.PRESET else ""
    return Origin(source, preset, file, int(found[2]))


def _source(word: Any) -> Source:
    if word not in SOURCES:
        raise ValueError(f"{_shown(word)} is not one of {', '.join(SOURCES)}")
    return Source(word)


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    try:
        value.encode()
    except AttributeError:
        raise ValueError(f"{name}: {_shown(value)} is not text") from None
    except UnicodeEncodeError:
        raise ValueError(f"{name}: {_shown(value)} is not Unicode text") from None
    return str(value)


def _shown(value: Any) -> str:
    return brief(json.dumps(value, ensure_ascii=False), 80)

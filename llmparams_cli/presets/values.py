"""Turns values as they are written (flags, variables, presets, chat) into checked ones.

`from_text` and `from_yaml` raise ValueErrors without a place; `given` and `assignments` know
the place and raise UsageErrors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.files import MOST_SETTINGS, read_text, resolve_path
from llmparams_cli.params.kinds import JsonSchema, Template, did_you_mean
from llmparams_cli.params.settings import Assignment, Origin
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import BY_FLAG, PARAMS, named, plain
from llmparams_cli.presets.files import special
from llmparams_cli.text.shorten import brief

PATHS = frozenset({"lora"})  # parameters whose values are paths, made absolute here but not read
EQUALS = re.compile("=")
EQUALS_OR_BLANK = re.compile(r"(?<=\S)\s*=\s*|\s+")  # between NAME and VALUE in a chat


def pair(text: str, between: re.Pattern[str] = EQUALS) -> tuple[str, str | None]:
    """Split NAME=VALUE; VALUE is None if there is no separator."""
    name, *value = between.split(text, maxsplit=1)
    return name.strip(), value[0] if value else None


def given(param: Param, texts: Sequence[str], directory: Path, place: str) -> Any:
    """Check the texts that `place` (a flag, a variable) gives for a parameter. Several are
    joined if it takes many. Raises UsageError.
    """
    try:
        return joined(param, [from_text(param, text, directory) for text in texts])
    except ValueError as error:
        raise UsageError(f"{place}: {brief(str(error))}", see(param)) from error


def assignments(
    pairs: Iterable[tuple[Param, str]], directory: Path, origin: Origin
) -> list[Assignment]:
    """Check the pairs of a repeated flag that takes NAME=VALUE. Raises UsageError."""
    parts: dict[str, list[Any]] = {}
    for param, text in pairs:
        value = given(param, [text], directory, f"{origin.place} {param.name}")
        parts.setdefault(param.name, []).append(value)
    return [Assignment(name, joined(PARAMS[name], each), origin) for name, each in parts.items()]


def from_text(param: Param, text: str, directory: Path) -> Any:
    """Check the text of a flag or variable; @FILE is relative to `directory`."""
    path = _named_file(param, text, directory)
    # A JSON Schema may be named without @: no schema looks like the name of a file.
    if path is None and isinstance(param.kind, JsonSchema | Template):
        path = _existing(text, directory)
    return (
        _from_file(param, path)
        if path
        else _placed(param, _parsed(param.kind.parse, text), directory)
    )


def from_yaml(param: Param, value: Any, directory: Path) -> Any:
    """Check a value from a preset file; @FILE and paths are relative to the file's `directory`."""
    path = _named_file(param, value, directory)
    if path is None and isinstance(param.kind, Template):
        path = _existing(value, directory)
    if path:
        if kind := special(path):  # which could be waited for for ever
            raise ValueError(f"{path}: {kind}, not a file")
        return _from_file(param, path)
    if value is None and param.default is not None:
        raise ValueError("no value is given")
    return _placed(param, param.kind.check(value), directory)


def _placed(param: Param, value: Any, directory: Path) -> Any:
    """The value, with paths (relative to `directory`) made absolute."""
    return [str(resolve_path(path, directory)) for path in value] if param.name in PATHS else value


def joined(param: Param, parts: list[Any]) -> Any:
    """Join what a repeated flag gives: lists and mappings are merged, of other values the last
    one counts.
    """
    if not param.kind.many:
        return parts[-1]
    if isinstance(parts[0], dict):
        return {token: bias for part in parts for token, bias in part.items()}
    return [item for part in parts for item in part]


def parameter(name: str) -> Param:
    """The parameter with this name, flag or alias; UsageError with a suggestion if none."""
    param = named(name)
    if param is None:
        raise UsageError(
            f"there is no parameter {name!r}{did_you_mean(plain(name), BY_FLAG)}",
            "llmparams params lists them all",
        )
    return param


def see(param: Param) -> str:
    """Where the user learns what the parameter accepts."""
    return f"`llmparams params {param.name}` explains it"


def suggestion(name: str) -> str:
    """'; did you mean top_k?' for an unknown name, from other programs' names or by spelling."""
    for param in PARAMS.values():
        others = (param.name, *param.aliases, *astuple(param.elsewhere))
        if plain(name) in map(plain, others):
            return f"; did you mean {param.name}?"
    return did_you_mean(name, PARAMS)


def _named_file(param: Param, value: Any, directory: Path) -> Path | None:
    if param.reads_file and isinstance(value, str) and value.startswith("@"):
        return resolve_path(value[1:], directory)
    return None


def _existing(text: Any, directory: Path) -> Path | None:
    """The file that is written without @, if there is one."""
    named = resolve_path(text, directory) if isinstance(text, str) else directory
    return named if os.path.isfile(named) else None


def _from_file(param: Param, path: Path) -> Any:
    try:
        return _parsed(param.kind.read, read_text(path, MOST_SETTINGS))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except RecursionError as error:  # JSON of a thousand brackets
        raise ValueError("nested too deeply") from error

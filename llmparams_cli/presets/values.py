"""Turns values as they are written (flags, variables, presets, chat) into checked ones.

`from_text` and `from_yaml` raise ValueErrors without a place; `given` and `assignments` know
the place and raise UsageErrors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, NamedTuple

from llmparams_cli.errors import UsageError
from llmparams_cli.files import MOST_SETTINGS, read_text, resolve_path
from llmparams_cli.params.kinds import JsonSchema, Model, Template, did_you_mean
from llmparams_cli.params.settings import THINKING, Assignment, Origin, label
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import BY_FLAG, PARAMS, named, plain
from llmparams_cli.presets.files import special
from llmparams_cli.text.shorten import brief

PATHS = frozenset({"lora"})  # parameters whose values are paths, made absolute here but not read
NO_PATH = "none"  # in place of paths; ./none is a file
# What limits or shapes thoughts in the place of one that cannot.
FOR_THOUGHTS = {"max_tokens": "max_thinking_tokens"}
LIKE_PATH = re.compile(r"[/\\]|\.(jinja2?|j2|json|txt|tmpl)$")
EQUALS = re.compile("=")
EQUALS_OR_BLANK = re.compile(r"(?<=\S)\s*=\s*|\s+")  # between NAME and VALUE in a chat


class Target(NamedTuple):
    """What a value is for: a parameter, perhaps only for the time in which the model thinks."""

    param: Param
    when_thinking: bool = False

    @property
    def name(self) -> str:
        return label(self.param.name, self.when_thinking)


def pair(text: str, between: re.Pattern[str] = EQUALS) -> tuple[str, str | None]:
    """Split NAME=VALUE; VALUE is None if there is no separator."""
    name, *value = between.split(text, maxsplit=1)
    return name.strip(), value[0] if value else None


def given(param: Param, texts: Sequence[str], directory: Path, place: str) -> Any:
    """Check the texts that `place` (a flag, a variable) gives for a parameter. Several are
    joined if it takes many. Raises UsageError.
    """
    try:
        return param.kind.whole(
            joined(param, [from_text(param, text, directory) for text in texts])
        )
    except ValueError as error:
        raise UsageError(f"{place}: {brief(str(error))}", see(param)) from error


def assignments(
    texts: Iterable[str],
    directory: Path,
    origin: Origin,
    *,
    when_thinking: bool = False,
    refuse: Callable[[Param], None] = lambda _: None,
) -> list[Assignment]:
    """Check the texts NAME=VALUE of a repeated flag, those of one name joined as flags are. With
    `when_thinking` all of them are for thinking alone. `refuse` raises for a parameter that this
    flag does not take. Raises UsageError.
    """
    found: dict[str, Assignment] = {}
    for text in texts:
        name, value = pair(text)
        if value is None:
            raise UsageError(f"{origin.place} {text!r} has no =", f"{origin.place} temperature=0.4")
        param, in_thoughts = target(name, origin.place, when_thinking)
        refuse(param)
        shown = label(param.name, in_thoughts and not when_thinking)
        checked = given(param, [value], directory, f"{origin.place} {shown}")
        new = Assignment(param.name, checked, origin, in_thoughts)
        if before := found.get(new.label):
            new = replace(new, value=param.kind.whole(joined(param, [before.value, checked])))
        found[new.label] = new
    return in_layer(found.values())


def in_layer(given: Iterable[Assignment]) -> list[Assignment]:
    """The values of one layer in their order, in which those for thinking alone lie above."""
    return sorted(given, key=lambda each: each.when_thinking)


def from_text(param: Param, text: str, directory: Path) -> Any:
    """Check the text of a flag or variable; @FILE is relative to `directory`."""
    path = _named_file(param, text, directory)
    # A JSON Schema may be named without @: no schema looks like the name of a file.
    if path is None and isinstance(param.kind, JsonSchema):
        named = resolve_path(text, directory)
        path = named if os.path.isfile(named) else None
    return (
        _from_file(param, path)
        if path
        else _placed(param, _parsed(param.kind.parse, text), directory)
    )


def from_yaml(param: Param, value: Any, directory: Path) -> Any:
    """Check a value from a preset file; @FILE and paths are relative to the file's `directory`."""
    if path := _named_file(param, value, directory):
        if kind := special(path):  # which could be waited for for ever
            raise ValueError(f"{path}: {kind}, not a file")
        return _from_file(param, path)
    if value is None and param.default is not None:
        raise ValueError("no value is given")
    return _placed(param, param.kind.check(value), directory)


def _placed(param: Param, value: Any, directory: Path) -> Any:
    """The value, with paths (relative to `directory`) made absolute."""
    if isinstance(param.kind, Model):  # a name is no file
        path = resolve_path(value, directory) if value else Path()
        return str(path) if os.path.isfile(path) else value
    if param.name not in PATHS:
        return value
    return [] if value == [NO_PATH] else [str(resolve_path(path, directory)) for path in value]


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
    """The parameter with this name, flag or alias, whose values for thinking alone may be named;
    UsageError with a suggestion if there is none.
    """
    param = named(plain(name).removeprefix(THINKING))
    if param is None:
        raise UsageError(
            f"there is no parameter {name!r}{did_you_mean(plain(name), BY_FLAG)}",
            "llmparams params lists them all",
        )
    return param


def target(name: str, place: str, when_thinking: bool = False) -> Target:
    """What NAME in NAME=VALUE means: a parameter, or thinking.PARAMETER; with `when_thinking`, the
    latter alone, without its prefix. UsageError at `place` for any other name.
    """
    found = known(f"{THINKING}{name.removeprefix(THINKING)}" if when_thinking else name)
    if found is None:
        raise UsageError(
            f"{place}: unknown parameter {name!r}{suggestion(name)}",
            "llmparams params lists them all",
        )
    if found.when_thinking and (reason := not_by_phase(found.param)):
        raise UsageError(f"{place}: {reason}", f"set {for_thoughts(found.param)} instead")
    return found


def known(name: str) -> Target | None:
    """The parameter, or thinking.PARAMETER, with this name; whether it may be set or not."""
    word = plain(name)
    param = named(word.removeprefix(THINKING))
    return Target(param, word.startswith(THINKING)) if param else None


def recorded(name: str) -> Target:
    """The parameter, or thinking.PARAMETER, with exactly this name, as this program writes it into
    its files. Raises ValueError.
    """
    found = known(name)
    if found is None or found.name != name:
        raise ValueError(f"there is no parameter {name!r}{suggestion(name)}")
    if found.when_thinking and (reason := not_by_phase(found.param)):
        raise ValueError(reason)
    return found


def not_by_phase(param: Param) -> str:
    """Why the parameter cannot be set for thinking alone; empty if it can."""
    cannot = "cannot have a value of its own while the model thinks"
    return "" if param.by_phase else f"{param.name} {cannot}"


def for_thoughts(param: Param) -> str:
    """The parameter that does for thoughts what this one does for all."""
    return FOR_THOUGHTS.get(param.name, param.name)


def see(param: Param) -> str:
    """Where the user learns what the parameter accepts."""
    return f"`llmparams params {param.name}` explains it"


def suggestion(name: str) -> str:
    """'; did you mean top_k?' for an unknown name, from other programs' names or by spelling."""
    word = plain(name).removeprefix(THINKING)
    in_thoughts = word != plain(name)
    for param in PARAMS.values():
        others = (param.name, *param.aliases, *astuple(param.elsewhere))
        if word in map(plain, others):
            return f"; did you mean {label(param.name, in_thoughts and param.by_phase)}?"
    if not in_thoughts:
        return did_you_mean(name, PARAMS)
    names = [label(each.name, in_thoughts) for each in PARAMS.values() if each.by_phase]
    return did_you_mean(label(word, in_thoughts), names)


def _named_file(param: Param, value: Any, directory: Path) -> Path | None:
    """The file that a value names, whether there is one or not."""
    if not param.reads_file or not isinstance(value, str):
        return None
    if value.startswith("@"):
        return resolve_path(value[1:], directory)
    # A chat template needs no @: neither Jinja nor the name of one looks like a path.
    if isinstance(param.kind, Template) and "{" not in value:
        named = resolve_path(value.strip(), directory)
        return named if os.path.isfile(named) or LIKE_PATH.search(value.strip()) else None
    return None


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

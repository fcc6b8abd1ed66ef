"""What a chat's settings are made of, so that they can be changed, kept and restored.

A chat resolves like any other run: presets are read anew each time. Flags are kept as
checked values, for a chat may go on in another directory; what is set live lies above them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from llmparams_cli.env import Environment
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.params.settings import (
    Assignment,
    Origin,
    Setting,
    Settings,
    Source,
)
from llmparams_cli.presets import cascade
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.files import resolve as resolve_path
from llmparams_cli.presets.find import available, find

WhenFull = Literal["drop", "summarize", "refuse"]
WHEN_FULL: tuple[WhenFull, ...] = get_args(WhenFull)


@dataclass(frozen=True)
class Choices:
    """What was asked for; `values` are the flags' and, above them, those set live."""

    presets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    model: Placed | None = None
    system: Placed | None = None
    values: tuple[Assignment, ...] = ()
    when_full: WhenFull | None = None

    def with_values(self, *new: Assignment) -> Choices:
        """A value that is set live, or by a flag, takes the place of one of the same kind."""
        replaced = {(value.name, value.origin.source) for value in new}
        kept = [v for v in self.values if (v.name, v.origin.source) not in replaced]
        return replace(self, values=(*kept, *new))

    def without(self, name: str) -> Choices:
        """Take back what was set live."""
        kept = (v for v in self.values if not (v.name == name and is_live(v)))
        return replace(self, values=tuple(kept))

    def under(self, new: Choices) -> Choices:
        """These, as an earlier run left them, under the flags of a new one."""
        named = {value.name for value in new.values}
        kept = (value for value in self.values if value.name not in named)
        return Choices(
            new.presets or self.presets,
            new.variables or (() if new.presets else self.variables),
            new.model or self.model,
            new.system or self.system,
            (*kept, *new.values),
            new.when_full or self.when_full,
        )


def is_live(value: Assignment | Placed | None) -> bool:
    """Was it set in the chat itself?"""
    return value is not None and value.origin.source is Source.CHAT


def live(place: str) -> Origin:
    """The origin of what a command in the chat sets."""
    return Origin(Source.CHAT, place)


def chosen(
    env: Environment,
    presets: Iterable[str],
    variables: Iterable[str],
    flags: Mapping[str, Any],
    when_full: WhenFull | None,
) -> Choices:
    """What the command line asks for, checked; paths are made independent of the directory."""
    given = cascade.from_flags(flags, env)
    return Choices(
        portable(env, presets),
        tuple(variables),
        _absolute(given.model, env),
        given.system,
        tuple(given.assignments),
        when_full,
    )


def portable(env: Environment, presets: Iterable[str]) -> tuple[str, ...]:
    """Presets by name, or by their absolute path."""
    known = available(env)
    return tuple(name if name in known else str(find(name, env).path) for name in presets)


def _absolute(model: Placed | None, env: Environment) -> Placed | None:
    if model is None or not (path := resolve_path(model.text, env.directory)).exists():
        return model
    return Placed(str(path), model.origin)


def configure(env: Environment, choices: Choices) -> Prepared:
    """Prepare as every other command does, with what was chosen above all other layers."""
    above = cascade.Gathered(list(choices.values), choices.model, choices.system)
    return prepare(env, choices.presets, {}, choices.variables, above)


def changes(before: Settings, after: Settings) -> list[tuple[Setting, Setting]]:
    """The settings whose value differs, as they were and as they are."""
    pairs = ((before.setting(new.param.name), new) for new in after)
    return [(old, new) for old, new in pairs if old.value != new.value]

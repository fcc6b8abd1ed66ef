"""Resolves the settings of a chat from what is asked for now and what was kept.

A chat resolves like any other run: its presets are read anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.files import resolve_path
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.params.settings import Origin, Source
from llmparams_cli.presets import cascade
from llmparams_cli.presets.document import Placed, absolute_path
from llmparams_cli.presets.find import available, find
from llmparams_cli.records.chats.choices import Choices, WhenFull


def live(place: str) -> Origin:
    """The origin of a value that a command in the chat sets."""
    return Origin(Source.CHAT, place)


def chosen(
    env: Environment,
    presets: Iterable[str],
    variables: Iterable[str],
    flags: Mapping[str, Any],
    when_full: WhenFull | None,
) -> Choices:
    """What the command line asks for, checked; its paths no longer depend on the directory."""
    given = cascade.from_flags(flags, env)
    return Choices(
        portable(env, presets),
        tuple(variables),
        absolute(given.model, env),
        given.system,
        tuple(given.assignments),
        when_full,
    )


def portable(env: Environment, presets: Iterable[str]) -> tuple[str, ...]:
    """Presets by name if they have one here, otherwise by absolute path."""
    known = available(env)
    # The chat may be continued in another directory.
    return tuple(name if name in known else str(find(name, env).path) for name in presets)


def absolute(model: Placed | None, env: Environment) -> Placed | None:
    """A model as it is found from any directory: its name, or its absolute path."""
    if model is None:
        return None
    path = resolve_path(model.text, env.directory)
    text = str(path) if path.exists() else absolute_path(model.text, env.directory)
    return Placed(text, model.origin)


def configure(env: Environment, choices: Choices) -> Prepared:
    """Prepare like every other command, with the choices of this chat above all other layers."""
    # Flags are among the choices: the layer of flags itself stays empty.
    above = cascade.Gathered(list(choices.values), choices.model, choices.system)
    return prepare(env, choices.presets, {}, choices.variables, above)

"""Reads the layers of values above the model's own defaults, and stacks them.

From low to high:

1. the user's config.yaml;
2. the nearest llmparams.yaml, in the working directory or above;
3. presets, in the order given (LLMPARAMS_PRESET counts when no flag names one);
4. LLMPARAMS_* variables (an empty one counts as unset);
5. flags.

A file and those that it extends are one layer, the parents lowest. Nothing here touches a
model: a bad value fails before anything is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmparams_cli import PREFIX
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import read_text, resolve_path
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.presets.document import Document, Placed
from llmparams_cli.presets.files import special
from llmparams_cli.presets.find import PROJECT_FILE, Found, find, nearest
from llmparams_cli.presets.parents import described, layer

# Variables that belong to no parameter; any other LLMPARAMS_* is noted as having no effect.
OTHER_VARIABLES = (
    "LLMPARAMS_PRESET",
    "LLMPARAMS_MODEL",
    "LLMPARAMS_SYSTEM",
    "LLMPARAMS_CONFIG_DIR",
    "LLMPARAMS_CACHE_DIR",
    "LLMPARAMS_CACHE_SIZE",
    "LLMPARAMS_STATE_DIR",
    "LLMPARAMS_MODELS_DIR",
    "LLMPARAMS_LOG",
)
WHEN_THINKING = "--when-thinking"


@dataclass
class Gathered:
    """What the layers say together. `assignments` are in order, lowest layer first; of the
    other values only the highest is kept. `notes` are for stderr.
    """

    assignments: list[Assignment] = field(default_factory=list)
    model: Placed | None = None
    system: Placed | None = None
    prompt: Placed | None = None
    variables: dict[str, Placed | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, above: Document | Gathered) -> None:
        """Put one more layer on top."""
        self.assignments += above.assignments
        self.model = above.model or self.model
        self.system = above.system or self.system
        self.prompt = above.prompt or self.prompt
        self.variables |= above.variables


def gather(
    env: Environment, presets: Sequence[str] = (), flags: Mapping[str, Any] | None = None
) -> Gathered:
    """Read and check every layer.

    `flags` maps parameter names, "model", "system" and "when_thinking" to what was given: a text, a
    list of texts if the flag repeats, a bool for switches, or None if it was not given.
    """
    gathered = Gathered()
    for source, path in configuration(env):
        _add_layer(gathered, Found(path), source, env)
    for name in presets or _listed(env.variables.get("LLMPARAMS_PRESET", "")):
        found = find(name, env)
        read = _add_layer(gathered, found, Source.PRESET, env)
        gathered.notes += _shadow_notes(name, found, read, env)
    _add_variables(gathered, env)
    _add_flags(gathered, flags or {}, env)
    return gathered


def from_flags(flags: Mapping[str, Any], env: Environment) -> Gathered:
    """The flags alone, checked."""
    gathered = Gathered()
    _add_flags(gathered, flags, env)
    return gathered


def from_variable(name: str, env: Environment) -> Assignment | None:
    """The checked value of this parameter's variable; None if it is unset or empty."""
    param = PARAMS[name]
    text = env.variables.get(param.variable)
    origin = Origin(Source.ENVIRONMENT, param.variable)
    return _assignment(param, text, origin, env) if text else None


def configuration(env: Environment) -> list[tuple[Source, Path]]:
    """The configuration files that exist, lowest layer first."""
    # lexists: a broken link is an error to report when it is read, not a missing file.
    files = [(Source.CONFIG, env.config_file)] if os.path.lexists(env.config_file) else []
    if project := nearest(PROJECT_FILE, env.directory, os.path.lexists):
        files.append((Source.PROJECT, project))
    return files


def _add_layer(
    gathered: Gathered, found: Found, source: Source, env: Environment
) -> list[Document]:
    documents = layer(found, source, env)
    for document in documents:
        gathered.add(document)
    return documents


def _shadow_notes(name: str, found: Found, read: list[Document], env: Environment) -> list[str]:
    """Notes on the files that the nearest one hides, unless they are read too or are equal."""
    used = {os.path.realpath(document.path) for document in read}
    return [
        f"preset {name}: {described(found, env)} hides {described(hidden, env)}"
        f" ({name}@{hidden.place} is that one)"
        for hidden in found.shadowed
        if os.path.realpath(hidden.path) not in used and not _same(found.path, hidden.path)
    ]


def _same(path: Path, other: Path) -> bool:
    """Are the files equal, as a checkout's presets and the installed ones may be?"""
    if special(path) or special(other):
        return False
    try:
        return path.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _add_variables(gathered: Gathered, env: Environment) -> None:
    params = {param.variable: param for param in PARAMS.values()}
    for variable, text in sorted(env.variables.items()):
        if not variable.startswith(PREFIX) or not text:
            continue
        origin = Origin(Source.ENVIRONMENT, variable)
        if param := params.get(variable):
            gathered.assignments.append(_assignment(param, text, origin, env))
        elif variable == "LLMPARAMS_MODEL":
            gathered.model = Placed(text, origin)
        elif variable == "LLMPARAMS_SYSTEM":
            gathered.system = _system(text, origin, env)
        elif variable not in OTHER_VARIABLES:
            guess = did_you_mean(variable, [*params, *OTHER_VARIABLES])
            gathered.notes.append(f"the variable {variable} has no effect{guess}")


def _add_flags(gathered: Gathered, flags: Mapping[str, Any], env: Environment) -> None:
    before = len(gathered.assignments)
    for name, given in flags.items():
        if given is None or given == []:
            continue
        if name == "model":
            gathered.model = Placed(given, Origin(Source.FLAG, "--model"))
        elif name == "system":
            gathered.system = _system(given, Origin(Source.FLAG, "--system"), env)
        elif name == "when_thinking":
            origin = Origin(Source.FLAG, WHEN_THINKING)
            gathered.assignments += values.assignments(
                given, env.directory, origin, when_thinking=True
            )
        else:
            param = PARAMS[name]
            origin = Origin(Source.FLAG, param.flag)
            gathered.assignments.append(_assignment(param, given, origin, env))
    gathered.assignments[before:] = values.in_layer(gathered.assignments[before:])


def _system(text: str, origin: Origin, env: Environment) -> Placed:
    """The system text itself, or that of @FILE."""
    if not text.startswith("@"):
        return Placed(text, origin)
    path = resolve_path(text[1:], env.directory)
    try:
        read = read_text(path).rstrip("\n")
        if not read:
            raise ValueError("it is empty; --system '' goes without a system text")
        return Placed(read, origin)
    except ValueError as error:
        raise UsageError(
            f"{origin.place}: {path}: {error}", "after @ stands the path of a text file"
        ) from error


def _assignment(param: Param, given: Any, origin: Origin, env: Environment) -> Assignment:
    """Check the value of a flag or variable: a text, a list of texts, or a bool."""
    if isinstance(given, bool):
        value = param.kind.check(given)
    else:
        texts = [given] if isinstance(given, str) else given
        value = values.given(param, texts, env.directory, origin.place)
    return Assignment(param.name, value, origin)

"""Writes preset files for the user: new ones, copies, imports."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError, UsageError
from llmparams_cli.files import resolve_path, write_whole
from llmparams_cli.params.conflicts import refuse_contradictions
from llmparams_cli.params.settings import Source, resolve
from llmparams_cli.presets import prompt_template
from llmparams_cli.presets.cascade import from_flags
from llmparams_cli.presets.catalog import chosen
from llmparams_cli.presets.document import NAME, text_of
from llmparams_cli.presets.files import shipped_directory, shown
from llmparams_cli.presets.find import SUFFIXES, Found, find, nearest
from llmparams_cli.presets.write import Preset, to_yaml
from llmparams_cli.records import reading, store

SCHEMA = "preset.schema.json"
EDITORS = ("VISUAL", "EDITOR")


def create(
    env: Environment,
    name: str,
    *,
    extends: Sequence[str],
    receipt: str | None,
    description: str,
    prompt: str | None,
    flags: Mapping[str, Any],
    user: bool,
    force: bool,
) -> Path:
    """Write a preset from flags, parents and a receipt, and note its path on stderr."""
    # For its error: a parent that does not exist.
    for parent in extends:
        find(parent, env)
    given = from_flags(flags, env)
    base = _of_receipt(env, receipt) if receipt else Preset()
    settings = resolve(given.assignments)
    refuse_contradictions(settings)
    if prompt is not None:
        _check_prompt(prompt)
    preset = Preset(
        description=description or base.description,
        extends=extends,
        model=text_of(given.model) or base.model,
        system=text_of(given.system) or base.system,
        prompt=prompt,
        variables=dict.fromkeys(sorted(prompt_template.names(prompt) - {prompt_template.INPUT}))
        if prompt
        else {},
        parameters={**base.parameters, **chosen(settings)},
        comments=base.comments,
    )
    if not any((preset.parameters, preset.system, preset.prompt, preset.extends, preset.model)):
        raise UsageError("this preset would say nothing", "give a flag such as --temperature 0.3")
    return save(env, name, preset, user=user, force=force)


def save(env: Environment, name: str, preset: Preset, *, user: bool, force: bool) -> Path:
    """Write the preset: under its name, or to the path if the name is one."""
    path = destination(env, name, user=user)
    # Editors find the schema beside the preset, if the user has put it there.
    schema = SCHEMA if (path.parent / SCHEMA).exists() else ""
    try:
        write_whole(path, to_yaml(preset, schema), replace=force, parents=True)
    except FileExistsError as error:
        place = shown(path, env.directory)
        raise PresetError(f"{place} is there already", "--force replaces it") from error
    except OSError as error:
        place = shown(path, env.directory)
        raise PresetError(f"{place} cannot be written: {error.strerror}") from error
    env.note(f"wrote {shown(path, env.directory)}")
    return path


def destination(env: Environment, name: str, *, user: bool) -> Path:
    """The path of a new preset; directories are not made yet."""
    if "/" in name or name.endswith(SUFFIXES):
        return resolve_path(name if name.endswith(SUFFIXES) else f"{name}.yaml", env.directory)
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"{name!r} cannot be a preset's name", "letters, digits, '.', '_' and '-' make one"
        )
    mine = env.config_dir / "presets"
    project = nearest("presets", env.directory, os.path.isdir) or env.directory / "presets"
    return (mine if user else project) / f"{name}.yaml"


def edit(env: Environment, name: str) -> Found:
    """Open a preset in the user's editor; a shipped one is copied to the user's own first."""
    found = find(name, env)
    command = next((text for key in EDITORS if (text := env.variables.get(key))), "")
    command = command or _usual(env)
    # Unless this is a checkout of the program, where the shipped presets are the user's own
    # files.
    if found.path.parent == shipped_directory() and not found.path.is_relative_to(env.directory):
        found = _own_copy(env, found)
    try:
        code = subprocess.call([*shlex.split(command), str(found.path)])
    except (OSError, ValueError) as error:
        raise UsageError(f"the editor {command!r} cannot be started: {error}") from error
    if code:
        raise UsageError(f"the editor {command!r} ended with {code}; {found.path} is as it left it")
    return found


def _own_copy(env: Environment, found: Found) -> Found:
    path = env.config_dir / "presets" / found.path.name
    write_whole(path, found.path.read_text(encoding="utf-8"), replace=False, parents=True)
    env.note(f"{shown(path, env.directory)} is your copy; it hides the preset of the program")
    return Found(path)


def _usual(env: Environment) -> str:
    """An editor for a user at a terminal who has named none."""
    found = next((name for name in ("sensible-editor", "nano", "vi") if shutil.which(name)), "")
    if not found or not (env.stdin_is_tty and env.stdout_is_tty):
        raise UsageError("no editor is named", "name one in EDITOR, as in EDITOR=nano")
    return found


def _of_receipt(env: Environment, text: str) -> Preset:
    """The preset of a finished run: what the user chose in it. `text` is a receipt's file, or an id
    in the log.
    """
    path = resolve_path(text, env.directory)
    path = path if path.exists() else store.find(env, text)
    receipt = reading.load(path, shown(path, env.directory))
    chosen = [a for a in receipt.assignments if a.origin.source is not Source.DEFAULT]
    first = receipt.messages[0]
    return Preset(
        description=f"As in the run of {receipt.date}.",
        model=None if receipt.is_builtin else receipt.model.path,
        system=first.content if first.role == "system" else None,
        parameters={each.name: each.value for each in chosen},
        comments={each.name: f"from {each.origin}" for each in chosen},
    )


def _check_prompt(prompt: str) -> None:
    try:
        prompt_template.names(prompt)
    except ValueError as error:
        raise UsageError(f"--prompt: {error}") from error

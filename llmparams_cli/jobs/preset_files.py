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
from llmparams_cli.jobs.chat.choices import configure
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.conflicts import refuse_contradictions
from llmparams_cli.params.settings import Source, resolve
from llmparams_cli.presets import prompt_template
from llmparams_cli.presets.cascade import from_flags
from llmparams_cli.presets.catalog import chosen, chosen_for_thinking
from llmparams_cli.presets.document import NAME, text_of
from llmparams_cli.presets.files import shipped_directory, shown
from llmparams_cli.presets.find import SUFFIXES, Found, find, nearest
from llmparams_cli.presets.write import Preset, to_yaml
from llmparams_cli.records import reading, store
from llmparams_cli.records.chats import sessions
from llmparams_cli.records.chats.choices import Choices

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
    base = _base(env, receipt) if receipt else Preset()
    settings = resolve(given.assignments)
    refuse_contradictions(settings)
    if prompt is not None:
        _check_prompt(prompt)
    preset = Preset(
        description=description or base.description,
        extends=extends,
        model=text_of(given.model) or base.model,
        system=text_of(given.system) or base.system,
        prompt=prompt or base.prompt,
        variables=_unfilled(prompt) if prompt else base.variables,
        parameters={**base.parameters, **chosen(settings)},
        thinking={**base.thinking, **chosen_for_thinking(settings)},
        comments=base.comments,
    )
    values = (preset.parameters, preset.thinking)
    if not any((*values, preset.system, preset.prompt, preset.extends, preset.model)):
        raise UsageError("this preset would say nothing", "give a flag such as --temperature 0.3")
    return save(env, name, preset, user=user, force=force)


def _unfilled(prompt: str) -> dict[str, None]:
    """The variables of a template, which have no values yet."""
    return dict.fromkeys(sorted(prompt_template.names(prompt) - {prompt_template.INPUT}))


def save(
    env: Environment, name: str, preset: Preset, *, user: bool = False, force: bool = False
) -> Path:
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


def of_prepared(prepared: Prepared, description: str) -> Preset:
    """The preset of what was chosen for a command or a chat."""
    named = [each for each in prepared.settings.both if not each.is_default]
    template = prepared.prompt_template
    is_default = prepared.model_origin.source is Source.DEFAULT
    return Preset(
        description=description,
        model=None if is_default else prepared.model.known_as or prepared.model.reference,
        system=text_of(prepared.system),
        prompt=template.source.text if template else None,
        variables=_unfilled(template.source.text) if template else {},
        parameters=chosen(prepared.settings),
        thinking=chosen_for_thinking(prepared.settings),
        comments={each.name: f"from {each.origin}" for each in named},
    )


def _base(env: Environment, text: str) -> Preset:
    """The preset of an earlier run or chat. `text` is a receipt's file, an id in the log, the name
    of a chat, or 'last' for what was used last.
    """
    path = resolve_path(text, env.directory)
    if path.exists():
        return _of_receipt(env, path)
    run, chat = store.ids(env)[:1], sessions.names(env)
    if text == store.LAST and chat and (not run or _is_newer(env, chat[0], run[0])):
        text = chat[0]
    if text in chat:
        return _of_chat(env, text)
    found = store.find(env, text)
    env.note(f"taking the values of the run {found.stem}")
    return _of_receipt(env, found)


def _is_newer(env: Environment, chat: str, run: str) -> bool:
    times = [p.stat().st_mtime_ns for p in (sessions.path_of(env, chat), store.path(env, run))]
    return times[0] > times[1]


def _of_chat(env: Environment, name: str) -> Preset:
    """The preset of a chat that was kept, as it was left."""
    env.note(f"taking the values of the chat {name}")
    left = sessions.transcript(env, name).configured
    return of_prepared(configure(env, left.choices if left else Choices()), f"As in {name}.")


def _of_receipt(env: Environment, path: Path) -> Preset:
    """The preset of a finished run: what the user chose in it."""
    receipt = reading.load(path, shown(path, env.directory))
    settings = resolve(a for a in receipt.assignments if a.origin.source is not Source.DEFAULT)
    named = [each for each in settings.both if not each.is_default]
    first = receipt.messages[0]
    return Preset(
        description=f"As in the run of {receipt.date}.",
        model=None if receipt.is_builtin else receipt.model.path,
        system=first.content if first.role == "system" else None,
        parameters=chosen(settings),
        thinking=chosen_for_thinking(settings),
        comments={each.name: f"from {each.origin}" for each in named},
    )


def _check_prompt(prompt: str) -> None:
    try:
        prompt_template.names(prompt)
    except ValueError as error:
        raise UsageError(f"--prompt: {error}") from error

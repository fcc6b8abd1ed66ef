"""Imports and exports presets of other programs, with a report of all that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.env import STANDARD_INPUT, STDIN, Environment
from llmparams_cli.errors import PresetError
from llmparams_cli.files import MOST_SETTINGS, decode, read_text, resolve_path
from llmparams_cli.formats import Exported, Imported, Loss, detect, read, write
from llmparams_cli.params.conflicts import is_switched_off
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.catalog import flattened
from llmparams_cli.presets.document import absolute_path
from llmparams_cli.presets.files import shown
from llmparams_cli.presets.values import PATHS
from llmparams_cli.presets.write import Preset


@dataclass(frozen=True)
class Arrival:
    """A preset from elsewhere, ready to be written; and what was lost on the way."""

    name: str
    preset: Preset
    losses: list[str]


def imported(
    env: Environment, file: str, format: str | None, section: str | None
) -> tuple[str, list[Arrival]]:
    """Read another program's file: its format, and the presets in it."""
    text, place = _text(env, file)
    # Relative paths in the file start from its own directory.
    base = env.directory if file == STDIN else resolve_path(file, env.directory).parent
    name = format or detect(text, place)
    return name, [
        Arrival(each.name, _preset(each, name, base), [loss_text(loss) for loss in each.losses])
        for each in read(text, place, name, section)
    ]


def exported(name: str, format: str, env: Environment) -> tuple[str, list[str]]:
    """A preset in another program's format, and what that format cannot say."""
    preset = flattened(name, env)
    text, losses = write(
        format,
        Exported(
            name=Path(name.partition("@")[0]).stem,  # from a path, or NAME@PLACE
            description=preset.description,
            model=preset.model,
            system=preset.system,
            prompt=preset.prompt,
            parameters=dict(preset.parameters),
            thinking=dict(preset.thinking),
            variables=dict(preset.variables),
        ),
    )
    return text, [loss_text(loss) for loss in losses]


def loss_text(loss: Loss) -> str:
    """'lost: seed (the format has no seeds)'."""
    return f"{loss.kind}: {loss.what} ({loss.reason})"


def _text(env: Environment, file: str) -> tuple[str, str]:
    if file == STDIN:
        try:
            return decode(env.read_stdin()), STANDARD_INPUT
        except ValueError as error:
            raise PresetError(f"standard input is {error}") from error
    path = resolve_path(file, env.directory)
    place = shown(path, env.directory)
    try:
        return read_text(path, MOST_SETTINGS), place
    except ValueError as error:
        raise PresetError(f"{place}: {error}", "give the file of a preset") from error


def _preset(read: Imported, format: str, base: Path) -> Preset:
    """The preset as it is written here. Relative paths in it start from the file's directory."""
    parameters = _effective(read.parameters)
    for name in PATHS & parameters.keys():
        parameters[name] = [str(resolve_path(path, base)) for path in parameters[name]]
    return Preset(
        description=read.description or f"Imported from {format}.",
        model=read.model and absolute_path(read.model, base),
        system=read.system,
        prompt=read.prompt,
        variables=read.variables,
        parameters=parameters,
    )


def _effective(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the details of what is off, such as DRY's base with a multiplier of 0.

    Other programs write them all.
    """
    origin = Origin(Source.PRESET)
    settings = resolve(Assignment(name, value, origin) for name, value in parameters.items())
    return {
        name: value
        for name, value in parameters.items()
        if value == PARAMS[name].neutral or not is_switched_off(PARAMS[name], settings)
    }

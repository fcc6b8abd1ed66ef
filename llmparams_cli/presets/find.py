"""From the name of a preset to its file.

A name with a path separator, or that ends in .yaml or .yml, is a path. Any other is looked
up, and the first place wins:

1. `presets/` in the working directory, or in the nearest directory above that has one;
2. `presets/` in the user's configuration directory;
3. the presets shipped with the program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.presets.files import resolve, shipped_directory, shown

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Found:
    """The file that a name means, and those further away that it hides."""

    path: Path
    shadowed: tuple[Path, ...] = ()


def find(name: str, env: Environment, directory: Path | None = None) -> Found:
    """The file of a preset; paths are relative to `directory` (the working directory)."""
    if _is_path(name):
        path = resolve(name, directory or env.directory)
        if not os.path.lexists(path):
            hint = "a preset is named without its suffix, a file with its path"
            raise PresetError(f"{shown(path, env.directory)}: no such preset file", hint)
        return Found(path)
    presets = available(env)
    if name not in presets:
        hint = f"the presets are {', '.join(sorted(presets))}" if presets else ""
        raise PresetError(f"unknown preset {name!r}{did_you_mean(name, presets)}", hint)
    nearest, *shadowed = presets[name]
    return Found(nearest, tuple(shadowed))


def available(env: Environment) -> dict[str, list[Path]]:
    """All presets by name: their files, the nearest first."""
    presets: dict[str, list[Path]] = {}
    for directory in directories(env):
        for path in _preset_files(directory):
            presets.setdefault(path.stem, []).append(path)
    return presets


def directories(env: Environment) -> list[Path]:
    """The directories in which presets are looked up, the nearest first."""
    project = nearest("presets", env.directory, os.path.isdir)
    places = (project, env.config_dir / "presets", shipped_directory())
    return list(dict.fromkeys(place for place in places if place))


def nearest(name: str, directory: Path, is_it: Callable[[Path], bool]) -> Path | None:
    """What is called `name` in `directory` or in the nearest directory above it."""
    places = (place / name for place in (directory, *directory.parents))
    return next((place for place in places if is_it(place)), None)


def _is_path(name: str) -> bool:
    return "/" in name or os.sep in name or name.endswith(SUFFIXES)


def _preset_files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES)
    except OSError:  # missing, or not ours to read
        return []

"""Finds a preset's file by its name.

A name that has a path separator, or ends in .yaml or .yml, is a path. Any other name is
looked up, and the first place that has it wins:

1. `project`: `presets/` in the working directory, or in the nearest directory above that
   has one; then the key `presets` of the nearest llmparams.yaml;
2. `user`: `presets/` in the user's configuration directory;
3. `llmparams`: the presets shipped with the program.

`NAME@PLACE` looks in one place only: one of these words, or a directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError
from llmparams_cli.files import resolve_path
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.presets.document import entries, name_of
from llmparams_cli.presets.files import shipped_directory, shown

SUFFIXES = (".yaml", ".yml")
PROJECT_FILE = "llmparams.yaml"


@dataclass(frozen=True)
class Found:
    """The file that a name means, and the ones further away that it hides.

    `entry` is the preset's key in a llmparams.yaml, `place` one of the words above.
    """

    path: Path
    entry: str = ""
    place: str = ""
    shadowed: tuple[Found, ...] = ()


def find(name: str, env: Environment, directory: Path | None = None) -> Found:
    """The file of a preset; paths are relative to `directory` (the working directory)."""
    directory = directory or env.directory
    word, at, place = name.rpartition("@")
    if at and not _is_path(word):  # ./a@b.yaml is a path with an @ in it
        return _find_at(word, place, env, directory)
    if _is_path(name):
        path = resolve_path(name, directory)
        if not os.path.lexists(path):
            hint = "a preset is named without its suffix, a file with its path"
            raise PresetError(f"{shown(path, env.directory)}: no such preset file", hint)
        return Found(path)
    files = _located(name, env)
    if not files:
        presets = available(env)
        hint = f"the presets are {', '.join(sorted(presets))}" if presets else ""
        raise PresetError(f"unknown preset {name!r}{did_you_mean(name, presets)}", hint)
    nearest, *shadowed = files
    return replace(nearest, shadowed=tuple(shadowed))


def _find_at(name: str, place: str, env: Environment, directory: Path) -> Found:
    """The preset of this name in one place: a word for it, or a directory."""
    files = _located(name, env)
    for found in files:
        if found.place == place:
            return found
    for suffix in SUFFIXES:
        path = resolve_path(place, directory) / f"{name}{suffix}"
        if path.exists():
            return Found(path)
    places = [f"{found.place} ({shown(found.path, env.directory)})" for found in files]
    hint = f"it is in {', '.join(places)}" if places else "`llmparams presets list` lists them all"
    raise PresetError(f"there is no preset {name!r} in {place!r}", hint)


def available(env: Environment) -> dict[str, list[Found]]:
    """All presets by name: their files, the nearest first."""
    presets: dict[str, list[Found]] = {}
    for place, directory in places(env):
        for found in _presets_in(directory, place):
            presets.setdefault(name_of(found.path, found.entry), []).append(found)
    return presets


def _located(name: str, env: Environment) -> list[Found]:
    """The files of one name, the nearest first, without listing what else is there."""
    files = []
    for place, path in places(env):
        if path.name == PROJECT_FILE:
            files += [Found(path, name, place)] if name in entries(path) else []
        elif name:  # a bare ".yaml" has no name
            paths = (path / f"{name}{suffix}" for suffix in SUFFIXES)
            files += [Found(file, "", place) for file in paths if os.path.lexists(file)]
    return files


def places(env: Environment) -> list[tuple[str, Path]]:
    """Where presets are looked up, the nearest first: words and directories, or a file."""
    project = nearest("presets", env.directory, os.path.isdir)
    file = nearest(PROJECT_FILE, env.directory, os.path.lexists)
    shipped = shipped_directory()
    listed = [
        # In a checkout of this program both are one directory: it is listed last only.
        ("project", project if project != shipped else None),
        ("project", file),
        ("user", env.config_dir / "presets"),
        ("llmparams", shipped),
    ]
    return [(word, path) for word, path in listed if path]


def nearest(name: str, directory: Path, is_it: Callable[[Path], bool]) -> Path | None:
    """The path `name` in `directory`, or in the nearest directory above it that has one."""
    places = (place / name for place in (directory, *directory.parents))
    return next((place for place in places if is_it(place)), None)


def _is_path(name: str) -> bool:
    return "/" in name or os.sep in name or name.endswith(SUFFIXES)


def _presets_in(path: Path, place: str) -> Iterator[Found]:
    if path.name == PROJECT_FILE:
        for entry in entries(path):
            yield Found(path, entry, place)
        return
    try:
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    except OSError:  # missing, or not ours to read
        return
    for file in files:
        yield Found(file, "", place)

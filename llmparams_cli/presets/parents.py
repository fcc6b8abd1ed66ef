"""A preset together with those that it extends."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError
from llmparams_cli.params.settings import Source
from llmparams_cli.presets.document import Document, Placed, Problem, examine
from llmparams_cli.presets.files import shown
from llmparams_cli.presets.find import Found, find

MOST_IN_A_ROW = 100  # presets, each of which extends the next

Identity = tuple[str, str]  # the real path of the file, and the entry in it


@dataclass(frozen=True)
class Read:
    """The valid part of a file, and its problems."""

    document: Document
    problems: list[Problem]


class Reader:
    """Reads presets with their parents. A file that several of them reach is read once."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._known: dict[tuple[Identity, Source], Read] = {}
        self._parents: dict[Identity, dict[str, Found]] = {}
        self._real: dict[Path, str] = {}

    def layer(self, found: Found, source: Source, tolerated: Path | None = None) -> list[Document]:
        """The file and those it extends, parents first; one that is reached twice is there once.

        Raises PresetError for the first problem of any of them, except for what is wrong
        with the values in the file `tolerated`.
        """
        documents: dict[Identity, Document] = {}

        def visit(found: Found, trail: dict[Identity, Found]) -> None:
            read = self.read(found, source, is_named=len(trail) == 1)
            if read.problems and found.path != tolerated:
                raise read.problems[0].error(read.document.place)
            for name in read.document.extends:
                parent = self._parent(name, found)
                identity = self._identity(parent)
                # `documents` cannot tell: a file enters it only after all its parents.
                if identity in trail:
                    way = [described(each, self._env) for each in (*trail.values(), parent)]
                    circle = " → ".join(way)
                    raise PresetError(f"{name.origin.place}: extends goes in a circle: {circle}")
                if len(trail) >= MOST_IN_A_ROW:
                    raise PresetError(
                        f"{name.origin.place}: extends: more than {MOST_IN_A_ROW} presets in a row"
                    )
                if identity not in documents:
                    visit(parent, {**trail, identity: parent})
            documents[self._identity(found)] = read.document

        visit(found, {self._identity(found): found})
        return list(documents.values())

    def read(self, found: Found, source: Source, is_named: bool = False) -> Read:
        """The file alone, or one entry of it.

        A pipe that the user names is waited for; one that lies in a folder, or that a preset
        extends, is not.
        """
        key = (self._identity(found), source)
        if key not in self._known:
            waits = is_named and source is Source.PRESET and not found.place
            self._known[key] = Read(
                *examine(found.path, source, self._env.directory, found.entry, waits=waits)
            )
        return self._known[key]

    def _parent(self, name: Placed, child: Found) -> Found:
        known = self._parents.setdefault(self._identity(child), {})
        if name.text not in known:
            known[name.text] = _found_parent(name, child, self._env)
        return known[name.text]

    def _identity(self, found: Found) -> Identity:
        if found.path not in self._real:
            self._real[found.path] = os.path.realpath(found.path)
        return self._real[found.path], found.entry


def layer(found: Found, source: Source, env: Environment) -> list[Document]:
    """The file and those it extends, parents first."""
    return Reader(env).layer(found, source)


def described(found: Found, env: Environment) -> str:
    """The file for messages, with the entry in it."""
    return shown(found.path, env.directory) + (f" ({found.entry})" if found.entry else "")


def _identity(found: Found) -> Identity:
    return os.path.realpath(found.path), found.entry


def _found_parent(name: Placed, child: Found, env: Environment) -> Found:
    """The preset that `child` extends. If that has the child's own name, the next one that the
    child hides: a project's `balanced` may extend the shipped `balanced`.
    """
    try:
        found = find(name.text, env, child.path.parent)
    except PresetError as error:
        raise PresetError(f"{name.origin.place}: extends: {error.message}", error.hint) from error
    files = [found, *found.shadowed]
    identities = [*map(_identity, files)]
    own = _identity(child)
    return files[identities.index(own) + 1] if own in identities[:-1] else found

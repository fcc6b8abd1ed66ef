"""All problems of a preset file at once, for `presets check` and after `presets edit`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError, PresetError
from llmparams_cli.params.conflicts import inert, refuse_contradictions
from llmparams_cli.params.settings import Source, resolve
from llmparams_cli.presets.cascade import layer
from llmparams_cli.presets.catalog import gathered
from llmparams_cli.presets.document import Document, examine
from llmparams_cli.presets.files import shown
from llmparams_cli.presets.find import PROJECT_FILE, Found
from llmparams_cli.presets.nodes import Mark

CONFIG_FILES = ("config.yaml", PROJECT_FILE)  # unlike presets, they may be empty


@dataclass(frozen=True)
class FileProblem:
    """A problem with its file; `place` is the file's path as shown to people."""

    path: Path
    place: str
    mark: Mark | None
    reason: str
    hint: str = ""

    @property
    def where(self) -> str:
        """'presets/a.yaml:3:5', in the form that editors can jump to."""
        return ":".join(map(str, [self.place, *(self.mark or ())]))


def check(found: Found, env: Environment) -> list[FileProblem]:
    """What is wrong with the file; if nothing is, with its parents or its values as a whole."""
    source = Source.PROJECT if found.path.name in CONFIG_FILES else Source.PRESET
    document, problems = examine(found.path, source, env.directory)
    mine = [
        FileProblem(found.path, document.place, each.mark, each.reason, each.hint)
        for each in problems
    ]
    # A file with problems of its own cannot be loaded together with its parents.
    return mine or list(_together(found, source, document, env))


def _together(
    found: Found, source: Source, document: Document, env: Environment
) -> Iterator[FileProblem]:
    try:
        settings = resolve(gathered(layer(found, source, env)).assignments)
        refuse_contradictions(settings)
    except LlmparamsError as error:
        yield _placed(found.path, error, env)
        return
    for sentence in inert(settings):
        yield FileProblem(found.path, document.place, None, sentence)


def _placed(path: Path, error: LlmparamsError, env: Environment) -> FileProblem:
    """An error found while reading the parents, or checking the values, as a problem of `path`."""
    # A PresetError begins with "file:line: ". Take the line out, if the file is this one.
    place = shown(path, env.directory)
    message = error.message
    if isinstance(error, PresetError) and message.startswith(f"{place}:"):
        number, _, rest = message.removeprefix(f"{place}:").partition(": ")
        if number.isdecimal():
            return FileProblem(path, place, Mark(int(number), 1), rest, error.hint)
    return FileProblem(path, place, None, message, error.hint)

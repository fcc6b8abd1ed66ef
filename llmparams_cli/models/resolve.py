"""Finds the model that a reference means, a GGUF file or a script, and checks it.

A reference is a path, or a name of a model on this disk (`names`); what exists as a path is one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.files import resolve_path
from llmparams_cli.models import builtin
from llmparams_cli.models.check import check
from llmparams_cli.models.gguf import Header, read_model
from llmparams_cli.models.reference import elsewhere
from llmparams_cli.models.script import TEMPLATE, Script, read_script
from llmparams_cli.models.stores import BUILT_IN, BUILTIN, built_in, on_disk, own
from llmparams_cli.models.stores.kept import SUFFIX, Kept, is_later_part
from llmparams_cli.params.settings import Origin, Settings, Source
from llmparams_cli.presets.document import SCRIPTED, Placed
from llmparams_cli.templates import choice

MOST_LISTED = 5  # models that a hint names
GIVE_A_FILE = "give the path of a .gguf file"
LISTED = f"{APP} models list shows what is here, {APP} models pull what there is to get"
PATH = "path"  # in place of a store: the model was given by its path
ONLY_PULLED = "the only model that was pulled"


class NotHere(ModelError):
    """The model is not on this disk; `reference` has the form of a name on the Hub or on PyPI."""


@dataclass(frozen=True)
class ResolvedModel:
    """A model that exists, is complete and passed all checks.

    `reference` finds it again from any directory; receipts identify it by its `files`. `name` is
    what it calls itself, `known_as` the name under which it was found (empty for a path).
    `templates` are its chat templates by name, `recommended` its author's settings, by their keys
    in a GGUF file.
    """

    reference: str
    name: str
    known_as: str
    files: tuple[Path, ...]
    templates: Mapping[str, str]
    recommended: Mapping[str, Any]
    is_builtin: bool

    def is_raw(self, settings: Settings, wanted: bool = False) -> bool:
        """Do prompts skip the chat template, because it is `wanted` or because there is none?"""
        return wanted or not choice.chosen(self.templates, settings["chat_template"])


@dataclass(frozen=True)
class GgufModel(ResolvedModel):
    """A model file for llama.cpp."""

    path: Path
    header: Header


@dataclass(frozen=True)
class ScriptedModel(ResolvedModel):
    """Answers from a file; there is nothing to load."""

    script: Script


def find_model(reference: str | None, env: Environment) -> ResolvedModel:
    """Find a model, read its header or script and check it; None is what runs where none is named.

    Raises ModelError, with the cure, for anything but a sound language model.
    """
    if reference is None:
        reference = unnamed(env).text
    if reference.startswith(SCRIPTED):
        return _scripted(reference, env.directory)
    kept = locate(reference, env)
    return language_model(read_model(kept.path), known_as(kept))


def model_file(reference: str | None, env: Environment) -> Path:
    """The GGUF file that a reference means, whatever is in it; None is what runs where none is
    named.
    """
    if reference is None:
        reference = unnamed(env).text
    if reference.startswith(SCRIPTED):
        raise ModelError(f"{reference} is a script: there are no weights in it", GIVE_A_FILE)
    return locate(reference, env).path


def language_model(header: Header, known_as: str = "") -> GgufModel:
    """The model with this header; raises ModelError if no text can be generated with it."""
    check(header)
    return GgufModel(
        reference=str(header.path),
        name=header.name,
        known_as=known_as,
        files=header.paths,
        templates=header.chat_templates,
        recommended=header.metadata,
        is_builtin=header.path == builtin.PATH,
        path=header.path,
        header=header,
    )


def unnamed(env: Environment) -> Placed:
    """The model that runs where no flag, variable or file names one: the only one that was pulled,
    or else the built-in one. What was pulled and is no language model does not count.
    """
    there = _runnable(list(own.pulled_models(env)), env)
    if len(there) == 1:
        return Placed(there[0], Origin(Source.DEFAULT, ONLY_PULLED))
    return Placed(BUILTIN, Origin(Source.DEFAULT, "built in"))


def _runnable(models: list[Kept], env: Environment) -> list[str]:
    """The names of those that are not whole files of another kind."""
    if not models:  # most runs: what follows is not even imported
        return []
    from llmparams_cli.models.summary import summaries

    read = summaries(models, env)
    return [model.name for model in models if not read[model.reference].is_no_model]


def pulled_names(env: Environment) -> list[str]:
    """The names of the models that `models pull` brought."""
    return [model.name for model in own.pulled_models(env)]


def locate(reference: str, env: Environment) -> Kept:
    """The model that a path or name means; nothing of its file is read.

    Raises ModelError if there is no such file, or if a name has several meanings.
    """
    path = _as_path(reference, env.directory)
    if path.exists() and not path.is_dir():
        return Kept(PATH, str(path), path)
    if reference.casefold() == BUILTIN:
        return _builtin()
    if not _is_path(reference) and (model := _named(reference, env)):
        return replace(model, path=env.directory / model.path)  # a variable's path may be relative
    raise _missing(reference, path, env)


def _named(name: str, env: Environment) -> Kept | None:
    from llmparams_cli.models.names import find  # most runs name no model

    return find(name, env)


def known_as(model: Kept) -> str:
    """The name that means a model on this disk, and it alone; empty for a path."""
    if model.store in (PATH, BUILT_IN):
        return ""
    return model.name if model.store == own.PREFIX else model.reference


def with_sha256(sha256: str | None, env: Environment) -> str:
    """The name of a model on this disk with this content, as far as its program recorded that."""
    same = (model for model in on_disk(env) if sha256 and model.sha256 == (sha256,))
    return next(map(known_as, same), "")


def location(reference: str) -> str:
    """The path in a model's reference."""
    return reference.removeprefix(SCRIPTED)


def _scripted(reference: str, directory: Path) -> ScriptedModel:
    path = resolve_path(location(reference), directory)
    script = read_script(path, directory)
    return ScriptedModel(
        reference=f"{SCRIPTED}{path}",
        name=script.name,
        known_as="",
        files=(path,),
        templates={choice.CONVERSATION: TEMPLATE},
        recommended={},
        is_builtin=False,
        script=script,
    )


def _builtin() -> Kept:
    if not builtin.PATH.exists():
        raise ModelError("the built-in model is missing", builtin.REINSTALL)
    return built_in()


def _as_path(reference: str, directory: Path) -> Path:
    """The path that a reference would be; raises ModelError if it cannot be one."""
    if reference in ("", "-"):
        raise ModelError(
            f"{reference!r} is not a model file",
            f"a model cannot come from a pipe: {GIVE_A_FILE}",
        )
    try:
        path = directory / Path(reference).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{reference} cannot be read: {reason}", GIVE_A_FILE) from error
    return path


def _is_path(reference: str) -> bool:
    """Is it written as paths are, and as names are not?"""
    return (_is_file(reference) and "/" in reference) or reference.startswith((".", "~", os.sep))


def _is_file(reference: str) -> bool:
    """Is it written as a file's name? owner/repo:x.gguf is none."""
    return reference.endswith(SUFFIX) and ":" not in reference


def _missing(reference: str, path: Path, env: Environment) -> ModelError:
    """The error for a reference that leads nowhere, with the nearest thing that does."""
    from llmparams_cli.models.names import known
    from llmparams_cli.params.kinds import did_you_mean

    if path.is_dir():
        return ModelError(f"{path} is a directory", _listed(path) or GIVE_A_FILE)
    here = _models_in(path.parent)
    in_folder = os.sep in reference and path.parent.is_dir()
    if _is_path(reference) or _is_file(reference) or in_folder:
        guess = did_you_mean(path.name, here)
        hint = "" if guess else _listed(path.parent) or GIVE_A_FILE
        return ModelError(f"{path} does not exist{guess}", hint)
    if named := _pullable(reference):
        guess = did_you_mean(reference, known(env))
        return NotHere(f"{reference} is not on this disk{guess}", f"{APP} models pull {named}")
    guess = did_you_mean(reference, [*here, *known(env)])
    hint = "" if guess else _listed(path.parent) or LISTED
    return ModelError(f"there is no file and no model {reference!r}{guess}", hint)


def _pullable(reference: str) -> str:
    """By which name a model can be pulled; empty if by none."""
    from llmparams_cli.models.catalogue import named

    row = named(reference)
    return row.name if row else str(elsewhere(reference) or "")


def _listed(directory: Path) -> str:
    """A hint that lists the models in a directory; nothing when there are none."""
    found = _models_in(directory)
    more = ", …" if len(found) > MOST_LISTED else ""
    return f"models there: {', '.join(found[:MOST_LISTED])}{more}" if found else ""


def _models_in(directory: Path) -> list[str]:
    try:
        found = sorted(path.name for path in directory.iterdir())
    except OSError:
        return []
    # Of a split model, only the first part can be given.
    return [name for name in found if name.endswith(".gguf") and not is_later_part(name)]

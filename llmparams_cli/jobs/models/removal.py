"""Removes a model that `models pull` brought, and nothing else."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.models import names, pulled
from llmparams_cli.models.resolve import LISTED
from llmparams_cli.models.stores import BUILT_IN, STORES, own
from llmparams_cli.models.stores.kept import Kept


@dataclass(frozen=True)
class Removable:
    """A pulled model: its folder, its files in it, and the bytes that removing them frees."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    size: int


def removable(env: Environment, name: str) -> Removable:
    """The pulled model of this name; raises an error with the cure for any other model."""
    record = next((each for each in pulled.all_pulled(env.models_dir) if each.name == name), None)
    if record is None:
        model = names.find(name, env)
        if model is None:
            raise ModelError(f"there is no model {name!r}", LISTED)
        if model.store != own.PREFIX:
            raise _refusal(name, model)
        return removable(env, model.name)
    folder = pulled.folder(env.models_dir, record.name)
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link to another place", f"rm {folder}")
    files = tuple(folder / file.name for file in record.files)
    return Removable(record.name, folder, files, sum(map(_frees, files)))


def remove(model: Removable) -> list[str]:
    """Delete it; returns the names of other files in its folder, which stay."""
    try:
        # The record first: without it, what is left of the files is no model any more.
        for path in (model.folder / pulled.RECORD, *model.files):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            f"{error.filename} cannot be removed: {error.strerror}", "see who owns it"
        ) from error
    with suppress(OSError):
        model.folder.rmdir()
    return sorted(os.listdir(model.folder)) if model.folder.exists() else []


def _frees(path: Path) -> int:
    """The bytes that are free once this name is gone: none if the file has another name."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if status.st_nlink == 1 else 0


def _refusal(name: str, model: Kept) -> UsageError:
    store = STORES[model.store]
    if model.store == BUILT_IN:
        return UsageError("the built-in model is a part of this program, and stays")
    words = {"name": model.name, "repository": model.name.partition(":")[0], "path": model.path}
    return UsageError(
        f"{name} was not pulled by this program but found in {store.title}",
        f"remove it there: {store.remove.format(**words)}",
    )

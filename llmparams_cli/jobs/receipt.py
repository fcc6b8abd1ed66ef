"""Receipts of runs: written to a file on request, and to the log by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from llmparams_cli import __version__
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path, write_whole
from llmparams_cli.models.resolve import ResolvedModel
from llmparams_cli.params.settings import Origin, Settings
from llmparams_cli.protocol import Finished, Request, Started
from llmparams_cli.records import document, identity, origins, store

Progress = Callable[[str, float], None]
Identify = Callable[[tuple[Path, ...]], dict[str, Any]]


def _silent(_what: str, _done: float) -> None:
    pass


class Run(NamedTuple):
    """One finished generation, where its model was named, and the `facts` of the backend."""

    model: ResolvedModel
    model_origin: Origin
    request: Request
    started: Started
    finished: Finished
    facts: Mapping[str, Any]


class Receipts:
    """Writes the receipts of a command's runs: to the log, and to a file if one is named.

    Raises UsageError if the file, or the value of LLMPARAMS_LOG, is not usable.
    """

    def __init__(self, env: Environment, *, file: str | None = None, log: bool = True) -> None:
        self._env = env
        self._file = None if file is None else _target(env, file)
        self._logged = store.is_on(env) and log

    @property
    def wanted(self) -> bool:
        return self._logged or self._file is not None

    def keep(self, run: Run, result: Mapping[str, Any], progress: Progress = _silent) -> None:
        """Write the receipt of a run. `result` is the object that `--json` prints; `progress` is
        told how far the model is hashed, for a file.

        A file that cannot be written is an error; a log that cannot is a note.
        """
        # A receipt for a file has the SHA-256 of the whole model; the log must not cost that
        # time.
        receipt = None
        if self._file:
            try:
                receipt = make(run, result, partial(_hashed, self._env, progress))
                write_whole(self._file, document.to_json(receipt))
            except OSError as error:
                raise _unusable(str(self._file), error.strerror) from error
        if self._logged:
            try:
                store.add(self._env, receipt or make(run, result, partial(recalled, self._env)))
            except OSError as error:
                self._env.note(
                    f"this run is not in the log: {error.strerror}: "
                    f"{error.filename or store.directory(self._env)} "
                    f"({store.VARIABLE}=off turns the log off)"
                )


def recalled(env: Environment, paths: tuple[Path, ...]) -> dict[str, Any]:
    """What identifies the files of a model, from what is remembered of them."""
    return document.file_object(identity.recall(paths, env.cache_dir))


def _hashed(env: Environment, progress: Progress, paths: tuple[Path, ...]) -> dict[str, Any]:
    """The same; they are hashed anew in full."""
    found = identity.read(paths, progress)
    identity.remember(paths, found.sha256, env.cache_dir)
    return document.file_object(found)


def make(run: Run, result: Mapping[str, Any], identify: Identify) -> dict[str, Any]:
    """The receipt; `identify` tells the files of a model from others."""
    settings, model = run.request.settings, run.model
    cached = run.finished.usage.cached_tokens
    return document.make(
        result,
        run.request,
        run.started,
        run.finished,
        circumstances(run.facts, cached),
        {
            "known_as": model.known_as or None,
            "origin": origins.to_object(run.model_origin),
            "builtin": model.is_builtin,
            **identify(model.files),
        },
        [{"path": str(path), **identify((path,))} for path in adapters(settings)],
    )


def adapters(settings: Settings) -> list[Path]:
    """The files of the LoRA adapters."""
    from llmparams_cli.backends.llama.machine import lora_adapters

    return [path for path, _scale in lora_adapters(settings)]


def circumstances(facts: Mapping[str, Any], cached_tokens: int) -> dict[str, Any]:
    """Everything besides the model and the settings that decides how sums are rounded."""
    batch = {**facts.get("batch", {}), "cached_tokens": cached_tokens}
    return {"program": __version__, **facts, "batch": batch}


def _target(env: Environment, text: str) -> Path:
    """The file that --receipt names; refused before any work if it cannot be written."""
    if text in ("", "-"):
        raise _unusable(repr(text), "not a file, and stdout is for the answer")
    path = resolve_path(text, env.directory)
    try:
        if path.exists() and not path.is_file():
            raise _unusable(text, "not a regular file")
        if not path.parent.is_dir():
            raise _unusable(text, f"there is no directory {path.parent}")
    except OSError as error:
        raise _unusable(text, error.strerror) from error
    return path


def _unusable(file: str, reason: str | None) -> UsageError:
    return UsageError(f"--receipt {file}: {reason}", "name a file that can be written")

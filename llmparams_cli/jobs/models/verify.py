"""Checks models: is every byte as it was when it came?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.files import sha256
from llmparams_cli.models.gguf import read_model
from llmparams_cli.models.names import labels
from llmparams_cli.models.report import Verdict, Verified
from llmparams_cli.models.resolve import locate
from llmparams_cli.models.stores import BUILT_IN, on_disk, own
from llmparams_cli.models.stores.kept import Kept

Progress = Callable[[str, float], None]


def chosen(env: Environment, names: Sequence[str], *, everything: bool) -> list[tuple[str, Kept]]:
    """The models to check, with their names: these, all on this disk, or else those that this
    program brought.
    """
    if names:
        return [(name, locate(name, env)) for name in names]
    models = [
        model for model in on_disk(env) if everything or model.store in (own.PREFIX, BUILT_IN)
    ]
    return [(name, model) for model, name in labels(models)]


def verify(models: Sequence[tuple[str, Kept]], progress: Progress) -> Iterator[Verified]:
    """Check one after the other. All bytes are read; those of a file with two names once."""
    files = {os.path.realpath(path) for _, model in models for path in model.files}
    total = sum(os.path.getsize(path) for path in files if os.path.isfile(path)) or 1
    known: dict[str, str] = {}
    done = 0

    for name, model in models:

        def hashed(path: Path, what: str = f"checking {name}") -> str:
            def report(count: int) -> None:
                nonlocal done
                done += count
                progress(what, min(done / total, 0.999))

            real = os.path.realpath(path)
            if real not in known:
                known[real] = sha256(path, report=report)
            return known[real]

        yield _verified(name, model, hashed)


def _verified(name: str, model: Kept, hashed: Callable[[Path], str]) -> Verified:
    try:
        read_model(model.path)
        found = tuple(map(hashed, model.files))
    except ModelError as error:
        return Verified(name, model.path, Verdict.DAMAGED, reason=error.message)
    except OSError as error:
        reason = f"{error.filename} cannot be read: {error.strerror}"
        return Verified(name, model.path, Verdict.DAMAGED, reason=reason)
    if not model.sha256:
        return Verified(name, model.path, Verdict.UNKNOWN, found)
    pairs = zip(model.files, found, model.sha256, strict=False)
    wrong = [(path.name, want) for path, have, want in pairs if have != want]
    if wrong or len(found) != len(model.sha256):
        parts = ", ".join(f"{file} should be {want}" for file, want in wrong)
        return Verified(name, model.path, Verdict.WRONG, found, parts or "a part is missing")
    return Verified(name, model.path, Verdict.RIGHT, found)

"""What the headers of many models say, in a few numbers; read once and remembered.

A header with a large vocabulary takes 10 to 30 ms. What was read is kept in the cache directory
for as long as the file is the same by size, time and inode, and the program by version: another
one may judge otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from llmparams_cli import __version__
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.files import read_text, write_whole
from llmparams_cli.models.check import check
from llmparams_cli.models.gguf import read_model
from llmparams_cli.models.stores.kept import Kept

CACHE = "models.json"
MOST_BYTES = 4_000_000
REMEMBERED = 2000


@dataclass(frozen=True)
class Summary:
    """A model in numbers: bytes of all its parts, weights and biases, tokens of context. `problem`
    says why it cannot be run: damaged, incomplete, or no language model.
    """

    title: str = ""
    architecture: str = ""
    quantization: str = ""
    parameters: int = 0
    context: int = 0
    size: int = 0
    problem: str = ""

    @property
    def is_no_model(self) -> bool:
        """Is it whole, but no language model?"""
        return bool(self.problem and self.architecture)


def summaries(models: Iterable[Kept], env: Environment) -> dict[str, Summary]:
    """Summaries by the models' references."""
    known = _remembered(env)
    found: dict[str, Summary] = {}
    new = {}
    for model in models:
        key = _key(model)
        summary = known.get(key)
        if summary is None:
            summary, is_lasting = _read(model)
            if is_lasting and key:
                new[key] = summary
        found[model.reference] = summary
    if new:
        _remember(known | new, env)
    return found


def _read(model: Kept) -> tuple[Summary, bool]:
    """The summary, and whether it holds as long as the file is the same."""
    try:
        header = read_model(model.path)
    except ModelError as error:
        size = _size(model)
        return Summary(size=size, problem=error.message), False
    problem = ""
    try:
        check(header)
    except ModelError as error:
        problem = error.message
    summary = Summary(
        header.name,
        header.architecture,
        header.quantization,
        header.parameters,
        header.context_length,
        header.size,
        problem,
    )
    return summary, True


def _size(model: Kept) -> int:
    """The bytes of what is there."""
    size = 0
    for path in model.files:
        with suppress(OSError):
            size += path.stat().st_size
    return size


def _key(model: Kept) -> str:
    """What changes when a file is written to or replaced; empty if a part cannot be looked at."""
    try:
        statuses = [(path, path.stat()) for path in model.files]
    except (OSError, ValueError):
        return ""
    return " | ".join(f"{p} {s.st_size} {s.st_mtime_ns} {s.st_ino}" for p, s in statuses)


def _remembered(env: Environment) -> dict[str, Summary]:
    try:
        document: dict[str, Any] = json.loads(read_text(env.cache_dir / CACHE, MOST_BYTES))
        if document["version"] != __version__:
            return {}
        found = {key: Summary(**fields) for key, fields in document["models"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return found if all(map(_is_sound, found.values())) else {}


def _is_sound(summary: Summary) -> bool:
    return all(type(value) is type(getattr(Summary(), key)) for key, value in vars(summary).items())


def _remember(known: dict[str, Summary], env: Environment) -> None:
    entries = {key: asdict(summary) for key, summary in [*known.items()][-REMEMBERED:]}
    text = json.dumps({"version": __version__, "models": entries}, ensure_ascii=True)
    with suppress(OSError):  # a cache that cannot be written costs time only
        write_whole(env.cache_dir / CACHE, text, parents=True, private=True, durable=False)

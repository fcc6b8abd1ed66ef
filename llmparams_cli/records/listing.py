"""Summaries of the runs in the log, for `llmparams log` to list and search."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.params.settings import Source
from llmparams_cli.records import store
from llmparams_cli.records.reading import Field, origin, read


def entries(env: Environment, count: int, search: str = "") -> Iterator[dict[str, Any]]:
    """Summaries of the newest `count` runs with `search` in their messages or answer."""
    return islice(_entries(env, search.casefold()), count)


def _entries(env: Environment, search: str) -> Iterator[dict[str, Any]]:
    for id in store.ids(env):
        path = store.path(env, id)
        try:
            receipt = read(path, str(path))
            if search in _searchable(receipt):
                yield _entry(id, receipt)
        except UsageError as error:
            env.note(f"not in the list: {error.message}")


def _searchable(receipt: Field) -> str:
    texts = [message["content"].of(str) for message in receipt["messages"].items()]
    return "\n".join([*texts, receipt["text"].of(str)]).casefold()


def _entry(id: str, receipt: Field) -> dict[str, Any]:
    return {
        "id": id,
        "date": receipt["date"].of(str),
        "model": receipt["model"]["name"].of(str),
        "presets": _presets(receipt["parameters"]),
        "prompt": receipt["messages"].items()[-1]["content"].of(str),
        "answer": receipt["text"].of(str),
        "stop": receipt["stop"]["reason"].of(str),
    }


def _presets(parameters: Field) -> list[str]:
    """Names of the presets that set a value, even one that was overridden."""
    names: dict[str, None] = {}
    for name in parameters.of(dict):
        setting = parameters[name]
        for value in (setting, *setting["overrode"].items()):
            found = origin(value["origin"])
            if found.source is Source.PRESET:
                names[found.name] = None
    return list(names)

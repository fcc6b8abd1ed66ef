"""The models that are measured by themselves, without presets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import Prepared, prepare


def prepared(env: Environment, models: Sequence[str], flags: Mapping[str, Any]) -> list[Prepared]:
    """Each model with these flags; the default one if none is named. Notes which that is."""
    named: list[str | None] = [*models] if models else [None]
    found = [prepare(env, [], {**flags, "model": model}) for model in named]
    note_model(env, found[0])
    return found

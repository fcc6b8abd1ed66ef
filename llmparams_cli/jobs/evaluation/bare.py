"""The settings for a model by itself: what its context needs, and no preset's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.params.spec import MADE_WITH

OURS = Origin(Source.DEFAULT, "greedy")


def greedy(settings: Settings, ours: Mapping[str, Any]) -> Settings:
    """For the most likely tokens: no penalty counts, and of the settings only those of loading and
    of the context.
    """
    kept = (each for each in settings if each.param.scope in MADE_WITH)
    given = [Assignment(each.param.name, each.value, each.origin) for each in kept]
    given += [
        Assignment(name, value, OURS) for name, value in ({"temperature": 0.0} | dict(ours)).items()
    ]
    return resolve(given)

"""Options that one way to use a command has no use for: refused, so that nobody waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.params.spec import MADE_WITH, flag_of
from llmparams_cli.params.table import PARAMS


def refuse_idle(options: Mapping[str, Any], how: str) -> None:
    """Raise UsageError for one that is given (neither None, False nor empty) and has no effect."""
    for option, value in options.items():
        if not (value is None or value is False or value == []):
            raise UsageError(f"{option} has no effect {how}", "leave it out")


def for_answers(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters' options that say how an answer comes about, not what the model and
    its context are made with.
    """
    return {
        flag_of(name): value
        for name, value in flags.items()
        if name not in PARAMS or PARAMS[name].scope not in MADE_WITH
    }

"""What a constraint allows while text is generated, whoever follows its notation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.gbnf import Gbnf
from llmparams_cli.backends.llama.sampling.matcher import Matcher
from llmparams_cli.constraints import wanted
from llmparams_cli.constraints.wanted import Constraint, Notation
from llmparams_cli.params.settings import Settings


class Grammar(Protocol):
    """The state of a grammar behind the tokens that were accepted. Close it."""

    def allows(self, token: int) -> bool:
        """May the text go on with `token`, or end with it?"""

    def left(self, logits: Any) -> Any:
        """The candidates that it allows of all tokens, in order of their ids; `logits` are theirs
        (a numpy row).
        """

    def accept(self, token: int) -> None:
        """Go on with a token that it allows."""

    def forced(self) -> bytes:
        """The text that has to come next, as far as there is no choice."""

    def is_complete(self) -> bool:
        """May the text end here?"""

    def close(self) -> None: ...


def made(model: Model, constraint: Constraint) -> Grammar:
    """The state in which nothing was written yet. Raises UsageError for a grammar that is none."""
    if constraint.notation is Notation.GBNF:
        return Gbnf(model, constraint)
    return Matcher(model, constraint)


def from_settings(model: Model, settings: Settings, note: Callable[[str], None]) -> Grammar | None:
    """The grammar that the settings ask for, if any."""
    constraint = wanted.from_settings(settings, note)
    return None if constraint is None else made(model, constraint)

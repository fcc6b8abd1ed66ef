"""What `explain` finds out about one answer; renderers read it.

Numbers as in `trace`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, Started
from llmparams_cli.text.utf8 import joined
from llmparams_cli.trace import Effect, TokenView, WhatIf


@dataclass(frozen=True)
class NearStop:
    """How near a stop sequence came: the longest of its beginnings in all that was drawn, where
    that first ends there (characters), and the draw that completed it. `matched` is the one
    that ended the answer, and cut it off.
    """

    text: str
    seen: str
    at: int
    number: int | None
    matched: bool = False


@dataclass(frozen=True)
class Explanation:
    """All of it; `settings` are those of the request."""

    settings: Settings
    started: Started
    finished: Finished
    tokens: tuple[TokenView, ...]
    effects: tuple[Effect, ...] = ()
    stops: tuple[NearStop, ...] = ()
    what_if: tuple[WhatIf, ...] = field(default=())

    def before(self, token: TokenView) -> str:
        """The answer's text before this draw."""
        return joined(each.text for each in self.tokens[: token.number - 1])

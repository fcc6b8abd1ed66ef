"""The result of `explain` for one answer; units and ranges are those of `trace`."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, Started
from llmparams_cli.text.utf8 import joined
from llmparams_cli.trace import Effect, TokenView, WhatIf


@dataclass(frozen=True)
class NearStop:
    """How close the answer came to the stop sequence `text`: `seen` is its longest prefix that
    occurs in the drawn text, `at` where it first ends there (in characters), `number` the draw
    that completed it. The sequence that is `matched` ended the answer, and was cut off.
    """

    text: str
    seen: str
    at: int
    number: int | None
    matched: bool = False


@dataclass(frozen=True)
class Ruled:
    """The grammar's part in an answer: over how many `draws` it ruled; the numbers of those that it
    `decided`, and of those that it `forced` (see `trace.Ruling`); the mean `probability` of what it
    removed.
    """

    draws: int
    decided: tuple[int, ...]
    forced: tuple[int, ...]
    probability: float


@dataclass(frozen=True)
class Explanation:
    """Everything about one answer; `settings` are those of its request."""

    settings: Settings
    started: Started
    finished: Finished
    tokens: tuple[TokenView, ...]
    effects: tuple[Effect, ...] = ()
    stops: tuple[NearStop, ...] = ()
    what_if: tuple[WhatIf, ...] = field(default=())

    def is_thought(self, token: TokenView) -> bool:
        """Was it drawn before the answer, as a thought or a mark around thoughts? The end of an
        answer is neither.
        """
        drawn = self.finished.tokens
        return token.number <= len(drawn) and drawn[token.number - 1].is_thought

    @property
    def ruled(self) -> Ruled | None:
        """The grammar's part; None without a draw that it ruled."""
        found = [(token.number, token.grammar) for token in self.tokens if token.grammar]
        if not found:
            return None
        return Ruled(
            len(found),
            tuple(number for number, ruling in found if ruling.decided),
            tuple(number for number, ruling in found if ruling.forced),
            sum(ruling.probability for _, ruling in found) / len(found),
        )

    def before(self, token: TokenView) -> str:
        """The answer's text before this draw."""
        return joined(each.text for each in self.tokens[: token.number - 1])

"""What `explain` finds out about one answer; renderers read it, engines fill it.

Probabilities are shares of 1, logits natural, entropies in bits, ranks from 1. Token
numbers count the answer's tokens from 1; the last one may be the end token, which is
drawn like any other and is no part of the text.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Effect, Finished, Started, Stop


@dataclass(frozen=True)
class Stage:
    """What one stage of the sampler made of the candidates.

    `cut` is the probability that the removed ones had before it, `rank` that of the drawn
    token afterwards (None: removed). The first stage is called 'model': the bare
    distribution. `logits` (float32) are parallel to the token's `candidates`; minus infinity:
    the stage or one before it removed that one. `log_total` is the logarithm of the sum of
    the exponentials of all logits that are left, those of candidates not shown included.
    """

    name: str
    kept: int
    cut: float
    entropy: float
    rank: int | None
    logits: array[float]
    log_total: float

    def probability(self, place: int) -> float | None:
        """That of the candidate in this place; None: removed."""
        logit = self.logits[place]
        return None if logit == -math.inf else math.exp(logit - self.log_total)

    def probabilities(self) -> list[float | None]:
        """Those of all candidates."""
        return [self.probability(place) for place in range(len(self.logits))]


@dataclass(frozen=True)
class Penalised:
    """What the penalties took from one token's logit: `before` less the three is `after`.
    `other_growth` is what repetition would have taken with the other repeat_penalty_growth.
    """

    id: int
    text: str
    count: int
    before: float
    repetition: float
    frequency: float
    presence: float
    after: float
    other_growth: float


@dataclass(frozen=True)
class TokenView:
    """One draw: the candidates shown, the stages in their order, and what was drawn.

    `candidates` are (id, text), the most probable first. `end` is the probability of all
    end tokens together in the model's own distribution, and the rank of the best of them.
    `window` is how many tokens the penalties looked back on.
    """

    number: int
    id: int
    text: str
    is_end: bool
    candidates: tuple[tuple[int, str], ...]
    stages: tuple[Stage, ...]
    end: tuple[float, int]
    penalised: tuple[Penalised, ...] = ()
    window: int = 0

    @property
    def model(self) -> Stage:
        return self.stages[0]

    @property
    def last(self) -> Stage:
        """What the token was drawn from (mirostat's own stage truncates too)."""
        return self.stages[-1]

    def probability(self, stage: Stage) -> float | None:
        """That of the drawn token."""
        ids = [id for id, _ in self.candidates]
        return stage.probability(ids.index(self.id))


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
class WhatIf:
    """The same logits through another chain: `number` is the first draw that differs, if any,
    and the probabilities are those from which each chain drew there.

    Where every draw is the same, `ends_at` says after how many of them the other text ends, if
    not as this one does, and `goes_on` that it would not have ended here. `text` is all of the
    other text and `stop` its end: known where it was decoded, and where it needs no decoding.
    """

    changes: tuple[str, ...]
    number: int | None
    drawn: str = ""
    instead: str = ""
    probability: float | None = None
    instead_probability: float | None = None
    same_text: str = ""
    ends_at: int | None = None
    goes_on: bool = False
    text: str | None = None
    stop: Stop | None = None


@dataclass(frozen=True)
class Forced:
    """One token of a given text: its probability and rank in the model's own distribution,
    the probability of all that rank before it, and its share of the best one's. `removed_by`
    is the stage that makes it impossible under the settings, if any.
    """

    id: int
    text: str
    logprob: float
    rank: int
    before: float
    share: float
    removed_by: str = ""


@dataclass(frozen=True)
class Fit:
    """A given text as the answer: `perplexity`, and the tightest values that still admit it,
    each alone: top_k at least this, top_p above this, min_p at most this.
    """

    tokens: tuple[Forced, ...]
    perplexity: float
    top_k: int
    top_p: float
    min_p: float


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

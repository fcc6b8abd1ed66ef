"""What a recorded run can tell: each draw stage by stage, effects of settings, what-ifs.

Probabilities are shares of 1, logits natural, entropies in bits, ranks from 1. Token
numbers count the answer's tokens from 1; the last one may be the end token, which is
drawn like any other and is no part of the text.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmparams_cli.ending import Stop
from llmparams_cli.params.settings import Setting, Settings

MOST_SHOWN = 1000  # candidates of a draw


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
class Effect:
    """One setting against its neutral value: at how many draws another token would have come
    from the same random number, which they were, and at how many it touched anything.
    """

    setting: Setting
    draws: int
    changed: tuple[int, ...]


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
class Divergence:
    """How differently two settings draw one token: half the sum of the absolute differences
    of probabilities, 0 to 1. `best` is each one's most probable token, with its probability.
    """

    token: str
    variation: float
    best: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Counterfactual:
    """Settings to draw with instead; `changes` say in words what makes them others, and `name`
    is what the user called them.
    """

    settings: Settings
    changes: tuple[str, ...]
    name: str


Report = Callable[[float], None]  # takes the share that is done; raises to give up


class Trace(Protocol):
    """The logits of an answer, kept by the backend that drew from them. Close it.

    Everything is drawn again from the recorded logits through the real sampler chain with the
    same seed, so the numbers told are the numbers used.
    """

    def __len__(self) -> int:
        """How many draws there were."""

    def views(self, top: int, report: Report, coverage: float = 0.0) -> Iterator[TokenView]:
        """Every draw with its `top` candidates at least; with more of them, up to
        MOST_SHOWN, until they hold the share `coverage` of the model's own probability.
        """

    def effects(self, report: Report) -> tuple[Effect, ...]:
        """For every sampling value that is not neutral: the draws that it changed."""

    def texts(self) -> list[str]:
        """The text that each draw completed, what a stop sequence cut off included."""

    def what_if(
        self, others: Sequence[Counterfactual], end: Stop, report: Report, go_on: Report | None
    ) -> tuple[WhatIf, ...]:
        """Where each of the others parts from this run, which ended with `end`. With `go_on`,
        which takes the share that is done, each is decoded to its own end.
        """

    def divergences(self, other: Settings) -> Iterator[Divergence]:
        """At each draw, how differently `other` would have drawn."""

    def chances(self, settings: Settings, other: Settings) -> tuple[float, float]:
        """Mean entropy in bits of what `settings` draw from along this text, and its mean total
        variation distance (0 to 1) from what `other` draw from.
        """

    def fit(self, report: Report) -> Fit:
        """The recorded text as a given one: what it demands of the settings."""

    def close(self) -> None: ...

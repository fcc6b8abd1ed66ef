"""What a recorded run can tell: each draw stage by stage, effects of settings, what-ifs.

Probabilities are shares of 1, log probabilities natural, entropies in bits, ranks from 1. Draws are
numbered from 1, one for each token of the answer; the last may be an end token, which is drawn like
any other and is not part of the text.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmparams_cli.ending import Stop
from llmparams_cli.params.settings import Setting, Settings

MOST_SHOWN = 1000  # candidates of one draw; a page keeps them for every draw


@dataclass(frozen=True)
class Stage:
    """What one stage of the sampler made of the candidates: how many it `kept`, their `entropy`.

    `cut` is the probability that the removed ones had before it, `rank` that of the drawn token
    afterwards (None: removed). The first stage is called 'model': the bare distribution. `logits`
    (float32) are parallel to `TokenView.candidates`; minus infinity: removed by this stage or one
    before it. `log_total` is the logarithm of the sum of exp(logit) over all that are left, also
    those not shown.
    """

    name: str
    kept: int
    cut: float
    entropy: float
    rank: int | None
    logits: array[float]  # no list: a page keeps thousands of draws
    log_total: float

    def probability(self, place: int) -> float | None:
        """The probability of the candidate at this index; None: removed."""
        logit = self.logits[place]
        return None if logit == -math.inf else math.exp(logit - self.log_total)

    def probabilities(self) -> list[float | None]:
        """The probabilities of all candidates, in their order."""
        return [self.probability(place) for place in range(len(self.logits))]


@dataclass(frozen=True)
class Penalised:
    """What the penalties took from the logit of a token that occurs `count` times in their window:
    `before` less the three is `after`. `other_growth` is what the repetition penalty would have
    taken with the other repeat_penalty_growth.
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
class Ruling:
    """What the grammar said at a draw: how many tokens it `removed`, the `probability` that they
    had in the model's own distribution, and how many it `left`. `forced`: one token was left, or
    the end alone. `decided`: without the grammar, a token that it removed would have been drawn.
    `removes` are the ids of those candidates shown that it removed.
    """

    removed: int
    probability: float
    left: int
    forced: bool
    decided: bool
    removes: frozenset[int]


@dataclass(frozen=True)
class TokenView:
    """One draw: the candidates shown, the stages in their order, and what was drawn. `candidates`
    are (id, text) pairs, the most probable first. `end` is the probability of all end tokens
    together in the model's own distribution, and the rank of the best of them. `window` is how many
    tokens back the penalties looked. `grammar` is None where none had a say, as in thoughts.
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
    grammar: Ruling | None = None

    @property
    def model(self) -> Stage:
        return self.stages[0]

    @property
    def last(self) -> Stage:
        """What the token was drawn from; with mirostat, after its own truncation."""
        return self.stages[-1]

    def probability(self, stage: Stage) -> float | None:
        """The probability of the drawn token after a stage; None: removed."""
        ids = [id for id, _ in self.candidates]
        return stage.probability(ids.index(self.id))


@dataclass(frozen=True)
class Effect:
    """One setting against its neutral value, over all `draws`: the numbers of those that would have
    given another token from the same random number.
    """

    setting: Setting
    draws: int
    changed: tuple[int, ...]


@dataclass(frozen=True)
class WhatIf:
    """The same logits through another chain. `number` is the first draw that differs, if any; the
    probabilities are those with which each chain drew its own token there.

    Where every draw is the same, `ends_at` is the number of draws after which the other text ends,
    if it does not end as this one, and `goes_on` says that it would not have ended here.
    `same_text` is what the model wrote until then, thoughts and their marks included. `text` is
    all of the other answer, `reasoning` what was thought before it and `stop` its end: known where
    it was decoded, or needs no decoding.
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
    reasoning: str = ""
    stop: Stop | None = None


@dataclass(frozen=True)
class Forced:
    """One token of a given text: its log probability and rank in the model's own distribution, the
    probability of all that rank before it, and its `share` of the best one's. `removed_by` is the
    stage that makes it impossible under the settings, if any.
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
    """A given text as the answer: its `perplexity`, and the tightest values that still admit it,
    each taken alone: top_k at least, top_p above, min_p at most this.
    """

    tokens: tuple[Forced, ...]
    perplexity: float
    top_k: int
    top_p: float
    min_p: float


@dataclass(frozen=True)
class Divergence:
    """How differently two settings draw one token: the total variation distance (half the sum of
    the absolute differences of probabilities, 0 to 1), and the most probable token of each with its
    probability.
    """

    token: str
    variation: float
    best: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Counterfactual:
    """Settings to draw with instead. `changes` name in words what is different, `name` is what the
    user wrote.
    """

    settings: Settings
    changes: tuple[str, ...]
    name: str


Report = Callable[[float], None]  # takes the share of work done, 0 to 1; raises to give up


class Trace(Protocol):
    """The logits of an answer, kept by the backend that drew from them. Close it.

    Everything is drawn again from the recorded logits, through the real sampler chain with the same
    seed: the numbers shown are those that were used.
    """

    def __len__(self) -> int:
        """How many draws there were."""

    def views(self, top: int, report: Report, coverage: float = 0.0) -> Iterator[TokenView]:
        """Every draw with at least its `top` candidates; with more, up to MOST_SHOWN, until they
        hold the share `coverage` of the model's own probability.
        """

    def effects(self, report: Report) -> tuple[Effect, ...]:
        """For every sampling value that is not neutral: the draws that it changed."""

    def texts(self) -> list[str]:
        """The text that each draw completed, including what a stop sequence cut off."""

    def what_if(
        self, others: Sequence[Counterfactual], end: Stop, report: Report, go_on: Report | None
    ) -> tuple[WhatIf, ...]:
        """Where each of the `others` parts from this run, which ended with `end`. If `go_on` is
        given, each is also decoded to its own end, and `go_on` is told the share done.
        """

    def divergences(self, other: Settings) -> Iterator[Divergence]:
        """At each draw, how differently `other` would have drawn."""

    def chances(self, settings: Settings, other: Settings) -> tuple[float, float]:
        """Along this text: the mean entropy (bits) of what `settings` draw from, and the mean total
        variation distance (0 to 1) to what `other` draw from.
        """

    def fit(self, report: Report) -> Fit:
        """What the recorded text, taken as a given one, demands of the settings."""

    def close(self) -> None: ...

"""Guesses of what comes next, which the model checks several at a time (speculative decoding).

What is guessed decides only how many tokens a call computes, never what is drawn: every token is
drawn from the logits behind the tokens before it, and a guess that it does not confirm is dropped.
How many are guessed follows from counts, not from clocks, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from llmparams_cli.backends.llama.decoding.pieces import shared

# What a call of so many tokens costs, in calls of one; between these it is interpolated. Measured
# on two cores; where several tokens cost less, as on GPUs, drafts could be longer.
COSTS = (
    (1, 1.0),
    (2, 1.5),
    (3, 2.2),
    (4, 2.5),
    (5, 3.2),
    (6, 3.5),
    (8, 4.4),
    (16, 8.3),
    (33, 16.6),
)
LENGTHS = (8, 4, 3, 2)  # of what is looked up, in tokens
# How likely a guessed token is thought to be right before any was checked, by what was looked up.
PRIORS = {8: 0.9, 4: 0.75, 3: 0.6, 2: 0.4}
WEIGHT = 4.0  # of that, in tokens checked
FADING = 0.95  # what a token that was checked counts after the next one


class Guess(NamedTuple):
    """Tokens that may come next. Those of the same `kind` are trusted alike."""

    tokens: Sequence[int]
    kind: int


class Drafter(Protocol):
    """Guesses how a text goes on, which only ever grows."""

    def guess(self, text: Sequence[int], most: int) -> Guess:
        """At most so many tokens after `text`; none where it knows nothing."""


class Lookup:
    """Guesses what followed the last tokens where they stood before, the last time that they did;
    the longest of LENGTHS that is found counts. The kind of a guess is that length.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, ...], int] = {}  # run of tokens → the place behind it
        self._known = 0  # the runs that end before this place are in it

    def guess(self, text: Sequence[int], most: int) -> Guess:
        for end in range(self._known, len(text)):
            for length in LENGTHS:
                if length <= end:
                    self._seen[tuple(text[end - length : end])] = end
        self._known = len(text)
        for length in LENGTHS:
            place = self._seen.get(tuple(text[-length:])) if length <= len(text) else None
            if place is not None:
                # Where the text repeats itself, the guess goes on to do so.
                period = len(text) - place
                return Guess([text[place + at % period] for at in range(most)], length)
        return Guess((), 0)


class Trust:
    """How likely guesses of one kind are right, by those that were checked lately."""

    def __init__(self, prior: float) -> None:
        self._right, self._checked = prior * WEIGHT, WEIGHT

    @property
    def share(self) -> float:
        return self._right / self._checked

    def learn(self, right: int, wrong: int) -> None:
        for is_right in [True] * right + [False] * wrong:
            self._right = self._right * FADING + is_right
            self._checked = self._checked * FADING + 1


class Speculation:
    """The drafts of one answer: as long as it pays, by what became of the guesses before.

    `drafted` tokens were checked in calls with others, `accepted` of them were drawn. Guesses that
    are not worth a draft are remembered and compared, too: so it notices when they would pay.
    """

    def __init__(self, drafter: Drafter, most: int) -> None:
        self.drafted = self.accepted = 0
        self._drafter, self._most = drafter, most
        self._trust = {length: Trust(prior) for length, prior in PRIORS.items()}
        self._guess = Guess((), 0)  # not compared yet
        self._place, self._count = 0, 0  # where it begins, and how many of it were drafted

    def draft(self, text: Sequence[int], most: int) -> list[int]:
        """Tokens to check behind `text`, at most so many."""
        self.settle(text)
        guess = self._drafter.guess(text, self._most)
        if not guess.tokens:
            return []
        count = best_length(self._trust[guess.kind].share, min(most, len(guess.tokens)))
        self._guess, self._place, self._count = guess, len(text), count
        self.drafted += count
        return list(guess.tokens[:count])

    def settle(self, text: Sequence[int]) -> None:
        """Compare the last guess with what was drawn."""
        tokens, kind = self._guess
        drawn = text[self._place :]
        right = shared(tokens, drawn)
        if tokens and drawn:
            self._trust[kind].learn(right, int(right < min(len(tokens), len(drawn))))
        self.accepted += min(right, self._count)
        self._guess, self._count = Guess((), 0), 0


def best_length(share: float, most: int) -> int:
    """The length of a draft, at most so long, that brings the most tokens for what it costs, where
    each token is right with the probability `share` if those before it were; 0 if none pays.
    """
    best, best_gain = 0, 1.0
    tokens, reached = 1.0, 1.0
    for length in range(1, most + 1):
        reached *= share
        tokens += reached
        if (gain := tokens / cost(length + 1)) > best_gain:
            best, best_gain = length, gain
    return best


def cost(tokens: int) -> float:
    """What a call of so many tokens of one sequence costs, in calls of one."""
    found = 1.0
    for (start, low), (end, high) in pairwise(COSTS):
        if tokens > start:
            found = low + (high - low) * (tokens - start) / (end - start)
    return found

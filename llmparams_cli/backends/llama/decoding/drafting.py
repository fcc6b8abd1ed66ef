"""Guesses of what comes next, which the model checks several at a time (speculative decoding).

What is guessed decides only how many tokens a call computes, never what is drawn: every token is
drawn from the logits behind the tokens before it, and a guess that it does not confirm is dropped.
How many are guessed follows from counts, not from clocks, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from llmparams_cli.backends.llama.decoding.pieces import shared

Costs = Sequence[tuple[int, float]]

# What a call of so many tokens costs, in calls of one; between these it is interpolated. Measured
# with one thread, which computes all the time, and with two, which wait for memory, too. Where more
# wait, or on GPUs, several tokens cost less, and drafts could be longer.
ONE_THREAD = ((1, 1.0), (2, 1.85), (3, 2.4), (4, 2.9), (5, 4.0), (6, 4.5), (8, 5.2), (16, 9.5))
THREADS = ((1, 1.0), (2, 1.5), (3, 2.2), (4, 2.5), (5, 3.2), (6, 3.5), (8, 4.4), (16, 8.3))
LENGTHS = (12, 6, 4, 3, 2)  # of what is looked up, in tokens
MODEL = 0  # the kind of a model's guesses
FORCED = -1  # that of what a grammar forces; that of others is the length of what was looked up
# How likely a guessed token is thought to be right, by its kind, before any was checked.
PRIORS = {12: 0.85, 6: 0.8, 4: 0.5, 3: 0.35, 2: 0.2, MODEL: 0.7, FORCED: 0.9}
WEIGHT = 8.0  # of that, in tokens checked
FADING = 0.98  # what a token that was checked counts after the next one
TRIED = 4  # tokens that a model guesses now and then, even if its guesses did not pay
REST = 32  # tokens until it is tried again; twice as many each time
HOPE = 0.9  # the most that a model can be expected to guess right


class Guess(NamedTuple):
    """Tokens that may come next. Those of the same `kind` are trusted alike."""

    tokens: Sequence[int]
    kind: int


NOTHING = Guess((), MODEL)


class Drafter(Protocol):
    """Guesses how a text goes on. A guessed token costs `price`, in calls of the model for one."""

    price: float

    def guess(self, text: Sequence[int], most: int) -> Guess:
        """At most so many tokens after `text`; none where it knows nothing."""


class Lookup:
    """Guesses what followed the last tokens where they stood before, the last time that they did;
    the longest of LENGTHS that is found counts. For one text, which only ever grows.
    """

    price = 0.0

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
        return NOTHING


class Forced:
    """Guesses what a grammar forces, in the tokens that usually spell it."""

    price = 0.0

    def __init__(self, forced: Callable[[], Sequence[int]]) -> None:
        self._forced = forced

    def guess(self, text: Sequence[int], most: int) -> Guess:
        """As `Drafter.guess`; `text` is what the grammar has seen."""
        return Guess(self._forced()[:most], FORCED)


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
    cost nothing and are not worth a draft are compared, too: so it notices when they would pay.
    """

    def __init__(self, drafters: Sequence[tuple[Drafter, int]], threads: int) -> None:
        """`drafters`, each with the most tokens that it may guess, in the order in which they are
        asked, for a model that is computed by so many threads.
        """
        self.drafted = self.accepted = 0
        self._drafters = drafters
        self._costs = costs(threads)
        self._trust = {kind: Trust(prior) for kind, prior in PRIORS.items()}
        self._place = 0  # where the last guesses begin
        self._guesses: list[tuple[Guess, int]] = []  # each with how many of it were drafted
        self._rest, self._next = REST, 0  # where a drafter with a price is tried in any case

    def draft(self, text: Sequence[int], most: int) -> list[int]:
        """Tokens to check behind `text`, at most so many."""
        self.settle(text)
        self._place = len(text)
        for drafter, longest in self._drafters:
            guess, count = self._guess(drafter, text, min(most, longest))
            self._guesses.append((guess, count))
            if count:
                self.drafted += count
                return list(guess.tokens[:count])
        return []

    def _guess(self, drafter: Drafter, text: Sequence[int], most: int) -> tuple[Guess, int]:
        """What it guesses, and how much of that to check."""
        if drafter.price == 0:
            guess = drafter.guess(text, max(most, 1))
            return guess, self._best(guess.kind, min(most, len(guess.tokens)))
        count = self._best(MODEL, most, drafter.price)
        if count:
            self._rest = REST
        elif len(text) >= self._next:
            count = min(TRIED, most)
        if not count:
            return NOTHING, 0
        guess = drafter.guess(text, count)
        self._next = len(text) + self._rest
        self._rest *= 2 if guess.tokens else 1
        return guess, len(guess.tokens)

    def _best(self, kind: int, most: int, price: float = 0.0) -> int:
        return best_length(self._trust[kind].share, most, self._costs, price)

    def settle(self, text: Sequence[int]) -> None:
        """Compare the last guesses with what was drawn."""
        drawn = text[self._place :]
        for (tokens, kind), count in self._guesses if drawn else ():
            right = shared(tokens, drawn)
            self._trust[kind].learn(right, int(right < min(len(tokens), len(drawn))))
            self.accepted += min(right, count)
            if kind == MODEL and 0 < count == right:  # all right: more of that
                self._next = 0
        self._guesses = []


def costs(threads: int) -> Costs:
    """What calls cost where so many threads compute."""
    return ONE_THREAD if threads == 1 else THREADS


def best_length(share: float, most: int, costs: Costs, price: float = 0.0) -> int:
    """The length of a draft, at most so long, that brings the most tokens for what it costs, where
    each token is right with the probability `share` if those before it were; 0 if none pays.
    """
    best, best_gain = 0, 1.0
    tokens, reached = 1.0, 1.0
    for length in range(1, most + 1):
        reached *= share
        tokens += reached
        if (gain := tokens / (cost(length + 1, costs) + length * price)) > best_gain:
            best, best_gain = length, gain
    return best


def cost(tokens: int, costs: Costs) -> float:
    """What a call of so many tokens of one sequence costs, in calls of one."""
    found = 1.0
    for (start, low), (end, high) in pairwise(costs):
        if tokens > start:
            found = low + (high - low) * (tokens - start) / (end - start)
    return found

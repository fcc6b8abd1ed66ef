"""How probable each of several texts is as an answer, and which of them is drawn.

The probability of a choice is that of an answer which begins with it, and not with a longer one of
the choices. How the answer would go on then does not count, nor does its end: whether a model stops
after 'yes', or writes 'yes, because', says nothing about yes or no. So the choices exclude each
other, and their probabilities together are at most 1.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Choices as tokens, and the log probability of each."""

    texts: tuple[Tokens, ...]
    logprobs: tuple[float, ...]


def apart(texts: Sequence[Tokens], logprobs: Sequence[float]) -> list[float]:
    """The log probabilities of answers that begin with one of these different `texts`, which are
    `logprobs`, without those of answers that begin with a longer one.
    """
    place = {tokens: number for number, tokens in enumerate(texts)}
    taken = [0.0] * len(texts)  # the share of each that belongs to longer ones
    for tokens, logprob in zip(texts, logprobs, strict=True):
        shorter = (tokens[:end] for end in range(len(tokens) - 1, 0, -1))
        within = next((place[each] for each in shorter if each in place), None)
        if within is not None and logprobs[within] > -math.inf:
            taken[within] += math.exp(logprob - logprobs[within])
    return [
        logprob + math.log1p(-share) if share < 1 else -math.inf
        for logprob, share in zip(logprobs, taken, strict=True)
    ]


def shares(logprobs: Sequence[float], temperature: float = 1.0) -> list[float]:
    """The probabilities of the choices among themselves, sharpened or flattened by a temperature;
    at 0, all is the most probable one's, of equal ones the first's.
    """
    best = max(logprobs)
    if temperature == 0:
        return [float(place == logprobs.index(best)) for place in range(len(logprobs))]
    if best == -math.inf:
        return [1 / len(logprobs)] * len(logprobs)
    weights = [math.exp((each - best) / temperature) for each in logprobs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def drawn(shares: Sequence[float], seed: int) -> int:
    """The place of the one that this seed draws, by these probabilities."""
    left = random.Random(seed).random()
    for place, share in enumerate(shares):
        left -= share
        if left < 0:
            return place
    return max(range(len(shares)), key=shares.__getitem__)  # what rounding left over

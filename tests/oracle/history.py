"""Stages that look back at the text: penalties and DRY."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np

from oracle.candidates import Candidates, Stage

MAX_BREAKER, MAX_TAIL = 40, 20  # bytes of a DRY breaker, tokens after its first one
FLOAT_MAX_LOG = 88.7228391  # ln of the largest float32


@dataclass(frozen=True)
class Vocabulary:
    """What the stages must know of a model's tokens.

    `texts` are the bytes of each token, control tokens by their names, as llama_detokenize
    gives them; `tokenize` reads no control tokens and adds none.
    """

    texts: tuple[bytes, ...]
    tokenize: Callable[[bytes], list[int]]
    end_tokens: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()

    def __hash__(self) -> int:
        return id(self)


@dataclass
class Repetition(Stage):
    """A token that occurred c > 0 times in the window pays: its logit is divided by r (above
    0) or multiplied by it, r being the penalty (CTRL, arXiv:1909.05858, but for the sign) or,
    growing, penalty^c; then less c x frequency + presence, as OpenAI's API defines them.
    llama_sampler_penalties_apply.
    """

    repeat: float
    frequency: float
    presence: float
    exponential: bool
    window: int
    remembers: ClassVar[bool] = True
    _tokens: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = deque(maxlen=self.window)

    def apply(self, candidates: Candidates) -> Candidates:
        counted = Counter(self._tokens)
        counts = np.array([counted[token] for token in candidates.ids.tolist()], dtype=np.float64)
        logits = candidates.logits.astype(np.float64)
        power = counts if self.exponential else np.minimum(counts, 1)
        factor = np.clip(float(self.repeat) ** power, 1e-30, 1e30)
        punished = np.where(logits > 0, logits / factor, logits * factor)
        punished -= counts * self.frequency + self.presence
        return candidates.having(np.where(counts > 0, punished, logits))

    def accept(self, token: int) -> None:
        self._tokens.append(token)


@dataclass
class Dry(Stage):
    """DRY, don't repeat yourself: a token that would continue a repetition of n tokens, n at
    least the allowed length, pays multiplier x base^(n - allowed).

    n is the longest common end of the text and of what preceded the token anywhere in the
    window, but at most the distance to the last sequence breaker; a token that breaks a
    sequence by itself pays nothing. `breakers` gives, for the first token of a breaker, the
    tokens that may complete it. llama_sampler_dry_apply.
    """

    multiplier: float
    base: float
    allowed: int
    window: int
    breakers: Mapping[int, frozenset[tuple[int, ...]]]
    remembers: ClassVar[bool] = True
    _tokens: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = deque(maxlen=self.window)

    def apply(self, candidates: Candidates) -> Candidates:
        text = list(self._tokens)
        limit = self._since_breaker(text)
        if len(text) <= self.allowed or limit < self.allowed:
            return candidates
        longest: dict[int, int] = {}
        for end in range(1, len(text)):
            length = min(_common_end(text[:end], text), limit)
            if length >= self.allowed:
                longest[text[end]] = max(length, longest.get(text[end], 0))
        logits = candidates.logits.copy()
        with np.errstate(over="ignore"):
            for token, length in longest.items():
                if () not in self.breakers.get(token, ()):
                    logits[candidates.ids == token] -= np.float32(self._penalty(length))
        return candidates.having(logits)

    def accept(self, token: int) -> None:
        self._tokens.append(token)

    def _penalty(self, length: int) -> float:
        base, exponent = float(np.float32(self.base)), length - self.allowed
        if base > 1.000001:
            exponent = min(exponent, int(FLOAT_MAX_LOG / math.log(base)) or exponent)
        return float(np.float32(self.multiplier)) * base**exponent

    def _since_breaker(self, text: Sequence[int]) -> int:
        """How many tokens follow the last breaker; all, when there is none."""
        for start in reversed(range(len(text))):
            rest = tuple(text[start + 1 :])
            tails = [t for t in self.breakers.get(text[start], ()) if rest[: len(t)] == t]
            if tails:
                return len(rest) - max(map(len, tails))
        return len(text)


def _common_end(one: Sequence[int], other: Sequence[int]) -> int:
    length = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        length += 1
    return length


def breakers(texts: Iterable[bytes], vocabulary: Vocabulary) -> dict[int, frozenset[Any]]:
    """For every token with which one of `texts` may begin: the ways in which it may go on,
    () where the token holds all of it. get_overlapping_token_sequences.
    """
    found: dict[int, frozenset[Any]] = {}
    for text in texts:
        for token, tails in _breaker(text.split(b"\0")[0][:MAX_BREAKER], vocabulary):
            found[token] = found.get(token, frozenset()) | tails
    return found


@cache
def _breaker(text: bytes, vocabulary: Vocabulary) -> tuple[tuple[int, frozenset[Any]], ...]:
    found: list[tuple[int, frozenset[Any]]] = []
    for token, word in enumerate(vocabulary.texts):
        if not text:
            break
        if text in word:
            found.append((token, frozenset({()})))
            continue
        begun = [n for n in range(1, min(len(word), len(text)) + 1) if word.endswith(text[:n])]
        if begun:
            tails = frozenset(tuple(vocabulary.tokenize(text[n:])[:MAX_TAIL]) for n in begun)
            found.append((token, tails))
    return tuple(found)

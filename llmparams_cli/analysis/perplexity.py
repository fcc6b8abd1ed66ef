"""How well a model predicts a text: log probabilities, perplexity, bits per byte."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmparams_cli.protocol import Chunk, Encoded, ModelInfo

ROWS = 16  # at a time: more do not fit into a processor's cache


@dataclass(frozen=True)
class Plan:
    """How a text is cut into chunks: `chunks` of `size` tokens; the logits for the tokens from
    `first` on count, and those tokens are the ones at `places` of the text, chunk by chunk.
    """

    size: int
    first: int
    chunks: tuple[Chunk, ...]
    places: tuple[range, ...]

    @property
    def is_strided(self) -> bool:
        """Do the chunks overlap?"""
        return self.first * 2 <= self.size


@dataclass(frozen=True)
class TextScore:
    """Sums over the scored tokens of a text: how many, how many bytes they stand for, and of their
    negative log probabilities (natural) the sum and the sum of squares.
    """

    tokens: int
    bytes: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The mean negative log probability of a token, in nats."""
        return self.total / self.tokens

    @property
    def perplexity(self) -> float:
        try:
            return math.exp(self.mean)
        except OverflowError:  # the logits of a broken model
            return math.inf

    @property
    def error(self) -> float:
        """The standard error of the perplexity, as llama-perplexity has it: that of the mean, times
        the perplexity. Neighbouring tokens are not independent: the true one is larger.
        """
        variance = self.squares / self.tokens - self.mean**2
        return math.sqrt(max(0.0, variance) / max(1, self.tokens - 1)) * self.perplexity

    @property
    def bits_per_token(self) -> float:
        return self.mean / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Comparable between models whose tokenizers differ, unlike perplexity."""
        return self.total / math.log(2) / self.bytes if self.bytes else math.inf


@dataclass(frozen=True)
class TextResult:
    """What a model made of the text: the score of each chunk, and the log probabilities of the
    tokens that count (natural), an array for each chunk. `seconds` is what reading took.
    """

    model: ModelInfo
    text: Encoded
    plan: Plan
    scores: tuple[TextScore, ...]
    logprobs: tuple[Any, ...]
    seconds: float

    @property
    def score(self) -> TextScore:
        return added(self.scores)

    @property
    def speed(self) -> float:
        """Tokens that were read in a second."""
        return self.plan.size * len(self.plan.chunks) / self.seconds

    @property
    def unread(self) -> int:
        """How many tokens at the end of the text are in no chunk."""
        return len(self.text.ids) - self.plan.places[-1].stop


def plan(text: Encoded, size: int, *, strided: bool, most: int | None = None) -> Plan:
    """Cut a text as llama-perplexity does: whole chunks side by side, of which the second half
    counts. `strided`: chunks overlap by half, so that every token counts that has half a chunk
    before it. Each begins with the model's first token, in place of its own. At most `most` chunks.
    """
    first = size // 2 + (0 if strided else 1)
    starts = range(0, len(text.ids) - size + 1, size - first if strided else size)[:most]
    chunks = []
    for start in starts:
        tokens = text.ids[start : start + size]
        if text.begin is not None:
            tokens = (text.begin, *tokens[1:])
        chunks.append(Chunk(tokens, first))
    places = tuple(range(start + first, start + size) for start in starts)
    return Plan(size, first, tuple(chunks), places)


def log_probabilities(logits: Any, targets: Sequence[int]) -> Any:
    """The natural log probability of one target in each row of logits, in double precision; the
    powers are of single precision, as in llama-perplexity.
    """
    import numpy as np

    found = np.empty(len(targets))
    # One for all rows: fresh memory for each of them takes twice as long as the sums.
    powers = np.empty((ROWS, logits.shape[1]), np.float32)
    for start in range(0, len(targets), ROWS):
        rows = logits[start : start + ROWS]
        top = rows.max(axis=1)
        part = np.subtract(rows, top[:, None], out=powers[: len(rows)])
        totals = np.exp(part, out=part).sum(axis=1, dtype=np.float64)
        own = rows[np.arange(len(rows)), list(targets[start : start + ROWS])]
        found[start : start + ROWS] = own.astype(np.float64) - top - np.log(totals)
    return found


def scored(plan: Plan, matrices: Iterable[Any]) -> Iterator[Any]:
    """The log probabilities of the tokens that count, an array for each chunk."""
    for chunk, logits in zip(plan.chunks, matrices, strict=True):
        yield log_probabilities(logits, chunk.tokens[chunk.first :])


def result_of(
    model: ModelInfo, text: Encoded, plan: Plan, logprobs: Sequence[Any], seconds: float
) -> TextResult:
    """What a model made of a text whose tokens have these log probabilities, chunk by chunk."""
    scores = (
        score_of(found, [text.pieces[place] for place in places])
        for places, found in zip(plan.places, logprobs, strict=True)
    )
    return TextResult(model, text, plan, tuple(scores), tuple(logprobs), seconds)


def score_of(logprobs: Any, pieces: Sequence[bytes]) -> TextScore:
    """The sums over these tokens."""
    nats = -logprobs
    return TextScore(len(nats), sum(map(len, pieces)), float(nats.sum()), float((nats**2).sum()))


def added(scores: Iterable[TextScore]) -> TextScore:
    """The sums over several parts of a text."""
    parts = list(scores)
    return TextScore(
        sum(each.tokens for each in parts),
        sum(each.bytes for each in parts),
        math.fsum(each.total for each in parts),
        math.fsum(each.squares for each in parts),
    )

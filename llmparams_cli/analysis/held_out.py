"""Two models on the same held-out rows: perplexities, and how sure the difference is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; NaN: unknown, as a single row shows no spread."""

    value: float
    error: float


@dataclass(frozen=True)
class HeldOut:
    """What two models made of the same rows: for each its learned tokens, and the nats that they
    cost the model `before` training and the one `after` it.

    Tokens of a row depend on each other, so the row is the unit: errors are those of a ratio of two
    sums over rows (Cochran 1977, Sampling Techniques, 6.2).
    """

    tokens: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def perplexities(self) -> tuple[Estimate, Estimate]:
        return self._power(self.before), self._power(self.after)

    @property
    def factor(self) -> Estimate:
        """The perplexity after training by that before."""
        pairs = zip(self.after, self.before, strict=True)
        return self._power([after - before for after, before in pairs])

    def _power(self, nats: Sequence[float]) -> Estimate:
        total, count = sum(self.tokens), len(self.tokens)
        mean = math.fsum(nats) / total
        apart = (each - mean * size for each, size in zip(nats, self.tokens, strict=True))
        spread = math.fsum(each**2 for each in apart)
        error = math.sqrt(spread * count / (count - 1)) / total if count > 1 else math.nan
        try:
            value = math.exp(mean)
        except OverflowError:  # the logits of a broken model
            value = math.inf
        return Estimate(value, error * value)

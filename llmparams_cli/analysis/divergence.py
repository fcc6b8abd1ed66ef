"""How differently two models predict the same text, token by token, from their logits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmparams_cli.analysis.perplexity import ROWS, TextResult, log_probabilities

PERCENTILES = (0.1, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9)


class Estimate(NamedTuple):
    """A mean, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class Compared:
    """Two models at each of some tokens, `base` and another: the natural log probabilities of the
    token that is there, the Kullback-Leibler divergence of the other's distribution from that of
    the base (nats), and whether both hold the same token for the most likely one. Arrays.
    """

    base: Any
    other: Any
    divergence: Any
    is_same: Any


@dataclass(frozen=True)
class TextDivergence:
    """The statistics that `llama-perplexity --kl-divergence` prints, over all tokens of a text.

    `probability` is about by how much the probability of each token of the text changed (Δp).
    """

    at: Compared

    @property
    def tokens(self) -> int:
        return len(self.at.base)

    @property
    def flips(self) -> int:
        """How many tokens a greedy choice would draw otherwise."""
        return int((~self.at.is_same).sum())

    @property
    def same(self) -> Estimate:
        """The share of tokens where both models hold the same one for the most likely."""
        share = 1 - self.flips / self.tokens
        return Estimate(share, math.sqrt(share * (1 - share) / max(1, self.tokens - 1)))

    @property
    def mean(self) -> Estimate:
        """The mean divergence."""
        return mean(self.at.divergence)

    @property
    def change(self) -> Any:
        """Δp of each token."""
        import numpy as np

        return np.exp(self.at.other) - np.exp(self.at.base)

    @property
    def mean_change(self) -> Estimate:
        return mean(self.change)

    @property
    def rms_change(self) -> Estimate:
        """The root of the mean square of Δp."""
        square, error = mean(self.change**2)
        root = math.sqrt(square)
        return Estimate(root, 0.5 * error / root if root else 0.0)

    @property
    def ratio(self) -> Estimate:
        """The other model's perplexity as a multiple of the base's; the error is that of pairs, far
        smaller than those of the perplexities themselves.
        """
        logarithm, error = mean(self.at.base - self.at.other)
        return Estimate(math.exp(logarithm), math.exp(logarithm) * error)


def compare(base: Any, other: Any, targets: Sequence[int]) -> Compared:
    """Compare two matrices of logits (float32), a row for each of the tokens that follow."""
    import numpy as np

    parts = [
        _rows(base[start : start + ROWS], other[start : start + ROWS], targets[start:])
        for start in range(0, len(targets), ROWS)
    ]
    return Compared(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def joined(parts: Iterable[Compared]) -> TextDivergence:
    """The statistics over several chunks of a text."""
    import numpy as np

    columns = zip(*(vars(each).values() for each in parts), strict=True)
    return TextDivergence(Compared(*map(np.concatenate, columns)))


def mean(values: Any) -> Estimate:
    """The mean of an array, and its standard error."""
    count = len(values)
    error = float(values.std()) / math.sqrt(count - 1) if count > 1 else math.nan
    return Estimate(float(values.mean()), error)


def percentiles(values: Any) -> dict[float, float]:
    """Those of PERCENTILES, with linear interpolation."""
    import numpy as np

    found = np.percentile(values, PERCENTILES)
    return dict(zip(PERCENTILES, map(float, found), strict=True))


def _rows(base: Any, other: Any, targets: Sequence[int]) -> tuple[Any, ...]:
    import numpy as np

    tops = base.argmax(axis=1), other.argmax(axis=1)
    first, weights, total = _scaled(base, tops[0])
    second, _, others = _scaled(other, tops[1])
    # The powers are of single precision, the sums of double.
    distance = np.einsum("ij,ij->i", weights, first - second, dtype=np.float64) / total
    return (
        log_probabilities(base, targets[: len(base)]),
        log_probabilities(other, targets[: len(other)]),
        np.maximum(0.0, distance - np.log(total) + np.log(others)),
        tops[0] == tops[1],
    )


def _scaled(logits: Any, top: Any) -> tuple[Any, Any, Any]:
    """Logits below the largest of each row; e to the power of them; and the sums of those."""
    import numpy as np

    below = logits - logits[np.arange(len(logits)), top][:, None]
    powers = np.exp(below)
    return below, powers, powers.sum(axis=1, dtype=np.float64)


@dataclass(frozen=True)
class Fork:
    """Where two greedy answers to one prompt part: after `same` tokens, at these texts (empty:
    the answer ended there).
    """

    same: int
    base: str
    other: str


@dataclass(frozen=True)
class Beside:
    """A model beside its base on one text. `fork` is None where both answer the prompt alike, with
    `answered` tokens; `speeds` are tokens a second that the base and the other wrote.
    """

    base: TextResult
    other: TextResult
    divergence: TextDivergence
    fork: Fork | None
    answered: int
    speeds: tuple[float, float]

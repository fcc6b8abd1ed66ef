"""What pass and fail can show: intervals of shares, and whether two variants differ.

The unit is the case: answers to one case with several seeds are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964  # the standard normal's 97.5 % quantile: intervals are of 95 %
LEVEL = 0.05
RESAMPLES = 10_000
SEED = 20_261_126  # any: the same cases give the same interval every time


@dataclass(frozen=True)
class Pairing:
    """Two variants on the same cases: the mean difference of their shares passed, first less
    second. `shown` says whether it differs from 0; by the probability `p` of so uneven a split by
    chance (exact McNemar test), or where cases have several seeds, by a bootstrap `interval`.
    """

    difference: float
    only_first: int
    only_second: int
    p: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def shown(self) -> bool:
        if self.interval is not None:
            low, high = self.interval
            return low > 0 or high < 0
        return self.p is not None and self.p < LEVEL


def wilson(passed: int, count: int) -> tuple[float, float]:
    """The Wilson score interval of a share (Wilson 1927): unlike passed/count ± error it stays
    within 0 and 1, and says something where all or none passed.
    """
    if count == 0:
        return 0.0, 1.0
    share = passed / count
    middle = share + Z**2 / (2 * count)
    spread = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    scale = 1 + Z**2 / count
    # At the ends they are exact: rounding must not leave the share outside.
    low = 0.0 if passed == 0 else (middle - spread) / scale
    return low, 1.0 if passed == count else (middle + spread) / scale


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided McNemar test: how probable is a split at least as uneven of the cases
    that one variant passes and the other fails, if each were as likely to go either way?
    """
    count, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(count, taken) for taken in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**count))


def passes_every(passed: int, seeds: int, tries: int) -> float:
    """pass^k: how probable it is that a case passes `tries` times in a row, estimated without bias
    from `passed` of `seeds` tries (Yao et al. 2024, tau-bench).
    """
    return math.comb(passed, tries) / math.comb(seeds, tries)


def paired(first: Sequence[float], second: Sequence[float]) -> Pairing:
    """Compare the shares passed of each case, which are 0 or 1 where a case has one seed."""
    pairs = list(zip(first, second, strict=True))
    wins = sum(one > other for one, other in pairs)
    losses = sum(one < other for one, other in pairs)
    mean = sum(one - other for one, other in pairs) / len(pairs)
    if all(share in (0.0, 1.0) for pair in pairs for share in pair):
        return Pairing(mean, wins, losses, p=mcnemar(wins, losses))
    return Pairing(mean, wins, losses, interval=_bootstrap([one - other for one, other in pairs]))


def _bootstrap(differences: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over cases drawn again with replacement."""
    import numpy as np

    values = np.asarray(differences)
    random = np.random.default_rng(SEED)
    means = random.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)

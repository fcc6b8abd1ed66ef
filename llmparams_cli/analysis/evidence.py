"""What pass and fail can show: intervals of shares, and whether two variants differ.

The unit is the case: answers to one case with several seeds are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

Z = 1.959964  # the standard normal's 97.5 % quantile: intervals are of 95 %
LEVEL = 0.05
RESAMPLES = 10_000
EXACT = 14  # cases of which all 2^14 splits are counted
SEED = 20_261_126  # any: the same cases give the same interval every time


@dataclass(frozen=True)
class Pairing:
    """Two variants on the same cases: the mean difference of their shares passed, first less
    second. `p` is the probability of so uneven a split by chance: the exact McNemar test, or, where
    cases have several seeds, a permutation test beside a bootstrap `interval` of the difference.
    """

    difference: float
    only_first: int
    only_second: int
    p: float
    interval: tuple[float, float] | None = None

    @property
    def shown(self) -> bool:
        """Is it more than chance? With few cases the interval alone would say so too often."""
        return self.p < LEVEL


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
        return Pairing(mean, wins, losses, mcnemar(wins, losses))
    differences = [one - other for one, other in pairs]
    return Pairing(mean, wins, losses, sign_flips(differences), _bootstrap(differences))


def _bootstrap(differences: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over cases drawn again with replacement."""
    import numpy as np

    values = np.asarray(differences)
    random = np.random.default_rng(SEED)
    means = random.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def sign_flips(differences: Sequence[float]) -> float:
    """The two-sided p of a permutation test: how often is the sum at least as far from 0, if each
    case's difference were as likely the other way round? Exact up to `EXACT` cases that differ.
    """
    import numpy as np

    values = np.asarray([each for each in differences if each], dtype=float)
    if not len(values):
        return 1.0
    exact = len(values) <= EXACT
    if exact:
        signs = 1 - 2 * (np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1)
    else:
        signs = np.random.default_rng(SEED).choice([-1, 1], (RESAMPLES, len(values)))
    reached = np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-9)  # sums are rounded
    # What was seen is one of the possible splits; drawn ones may have missed it.
    return float(reached.mean() if exact else (reached.sum() + 1) / (RESAMPLES + 1))


def mean_interval(differences: Sequence[float], step: float | None) -> tuple[float, float]:
    """The 95 % t interval of a mean over cases. If they are differences of shares, `step` is the
    least possible one, and two made-up cases join them, one `step` up and one down: else ten equal
    differences would seem to be without error (Bonett & Price 2012, for one answer a case).
    """
    values = [*differences, *([step, -step] if step else [])]
    count, middle = len(values), fmean(values)
    error = stdev(values) / math.sqrt(count)
    low, high = (middle + sign * _t(count - 1) * error for sign in (-1, 1))
    return (max(low, -1.0), min(high, 1.0)) if step else (low, high)


def _t(freedom: int) -> float:
    """Student's t for 95 %, by its expansion around the normal quantile: 2.57 for 5 degrees of
    freedom (Abramowitz & Stegun 26.7.5).
    """
    return (
        Z
        + (Z**3 + Z) / (4 * freedom)
        + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)
        + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * freedom**3)
    )

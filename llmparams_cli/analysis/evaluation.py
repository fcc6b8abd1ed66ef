"""What variants made of the same cases: shares passed, how sure that is, and which is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from llmparams_cli.analysis.evidence import Pairing, paired, passes_every, wilson
from llmparams_cli.presets.outcome import Result


@dataclass(frozen=True)
class Standing:
    """One variant (a model with a preset) and its results, a case each."""

    name: str
    results: tuple[Result, ...]

    @property
    def passed(self) -> int:
        """Cases that passed: with at least as many seeds as they ask for."""
        return sum(result.passed for result in self.results)

    @property
    def share(self) -> float:
        """The mean over cases of the share of answers that passed."""
        return sum(map(_share, self.results)) / len(self.results)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share of cases passed."""
        return wilson(self.passed, len(self.results))

    @property
    def tries(self) -> int:
        """The seeds that every case has."""
        return min(len(result.outcomes) for result in self.results)

    @property
    def every_time(self) -> float:
        """pass^k with k = `tries`: the share of cases that pass as often as that in a row."""
        shares = (
            passes_every(result.passes, len(result.outcomes), self.tries) for result in self.results
        )
        return sum(shares) / len(self.results)

    @property
    def flaky(self) -> list[Result]:
        """Cases that pass with some seeds and fail with others."""
        return [each for each in self.results if 0 < each.passes < len(each.outcomes)]


def pairs(standings: Sequence[Standing]) -> Iterator[tuple[Standing, Standing, Pairing]]:
    """Every two variants, compared case by case; the better one comes first."""
    for one, other in combinations(standings, 2):
        if one.share < other.share:
            one, other = other, one
        first, second = (list(map(_share, each.results)) for each in (one, other))
        yield one, other, paired(first, second)


def _share(result: Result) -> float:
    return result.passes / len(result.outcomes)

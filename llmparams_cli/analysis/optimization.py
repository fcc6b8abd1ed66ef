"""What a search for settings found, and whether it holds on cases that the search never saw."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise
from statistics import fmean

from llmparams_cli.analysis.evidence import LEVEL, mean_interval, sign_flips
from llmparams_cli.errors import UsageError
from llmparams_cli.params import seeds
from llmparams_cli.presets.tests import Case
from llmparams_cli.text.units import percent

SEED = 20_261_126  # any: the same cases are held back every time
LEAST_HELD = 6  # with fewer cases not even a win in all of them is significant: 2/2^5 > 0.05
LEAST_SEARCHED = 2
BLOCKS, LEAST_IN_BLOCK = 4, 5  # a trial that loses all of five cases: p = 2/2^5
HOPELESS = 0.1  # p below which a trial is given up


class Scale(Enum):
    """What a metric's numbers are: shares of answers, any numbers, or logarithms of factors."""

    SHARE = "share"
    NUMBER = "number"
    FACTOR = "factor"


@dataclass(frozen=True)
class Trial:
    """The values that were tried, and the metric of each case that was searched, or of each time it
    was measured; none if it is undefined for one of them. The default settings have no values. Of a
    trial that was given up only the first are known; `failure` is why one could not be run.
    """

    values: Mapping[str, str | float | int]
    scores: tuple[float, ...]
    given_up: bool = False
    failure: str = ""

    @property
    def score(self) -> float:
        """The mean; NaN if it is undefined, or not that of all cases."""
        return self.mean if not self.given_up else math.nan

    @property
    def mean(self) -> float:
        """The mean over the cases that are known; NaN if it is undefined."""
        return fmean(self.scores) if self.scores else math.nan


@dataclass(frozen=True)
class Meeting:
    """The winner and the default on the cases held back, or measured once more: the metric of each
    case. A share has answers that `seeds` times pass or fail.
    """

    winner: tuple[float, ...]
    default: tuple[float, ...]
    minimize: bool = False
    seeds: int = 0

    @property
    def differences(self) -> list[float]:
        """By how much the winner is better, case by case."""
        sign = -1 if self.minimize else 1
        return [sign * (a - b) for a, b in zip(self.winner, self.default, strict=True)]

    @property
    def difference(self) -> float:
        return fmean(self.differences)

    @property
    def p(self) -> float:
        return sign_flips(self.differences)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference."""
        return mean_interval(self.differences, 1 / self.seeds if self.seeds else None)

    @property
    def is_better(self) -> bool:
        """Is the winner better than the default, by the test and by the interval?"""
        return self.p < LEVEL and self.interval[0] > 0

    @property
    def is_worse(self) -> bool:
        return self.p < LEVEL and self.interval[1] < 0


@dataclass(frozen=True)
class Speed:
    """Tokens a second: of the prompt, and of the answer."""

    read: float
    written: float


@dataclass(frozen=True)
class Outcome:
    """A whole search. `importance` is that of what varied, in shares, if that can be told. Without
    a `meeting`, no trial was better than the default. `speeds` are those of the winner and the
    default, where they were searched for.
    """

    trials: tuple[Trial, ...]
    default: Trial
    best: Trial
    importance: Mapping[str, float] = field(default_factory=dict)
    meeting: Meeting | None = None
    speeds: tuple[Speed, Speed] | None = None

    @property
    def is_better(self) -> bool:
        return self.meeting is not None and self.meeting.is_better


def split(cases: Sequence[Case], share: float) -> tuple[list[Case], list[Case]]:
    """The cases to search on and, with seeds that no case had, those that are held back."""
    least = LEAST_HELD + LEAST_SEARCHED
    if len(cases) < least:
        raise UsageError(
            f"{len(cases)} cases are too few: {LEAST_HELD} are held back to prove the result",
            f"give {least} or more, better fifty",
        )
    count = min(max(LEAST_HELD, round(len(cases) * share)), len(cases) - LEAST_SEARCHED)
    held = set(random.Random(SEED).sample(range(len(cases)), count))
    first = seeds.after(max(seed for case in cases for seed in case.seeds), 1)
    return (
        [case for number, case in enumerate(cases) if number not in held],
        [_fresh(case, first) for number, case in enumerate(cases) if number in held],
    )


def _fresh(case: Case, first: int) -> Case:
    return replace(case, seeds=tuple(seeds.after(first, n) for n in range(len(case.seeds))))


def blocks(cases: Sequence[Case]) -> list[Sequence[Case]]:
    """The cases in up to `BLOCKS` parts, each large enough to tell that a trial is hopeless."""
    count = max(1, min(BLOCKS, len(cases) // LEAST_IN_BLOCK))
    ends = [len(cases) * number // count for number in range(count + 1)]
    return [cases[start:end] for start, end in pairwise(ends)]


def hopeless(trial: Trial, others: Sequence[Trial], *, minimize: bool) -> bool:
    """Is a trial clearly worse than another one, as far as its cases are known? By the permutation
    test, over cases that both were asked with the same seeds. It is used while nothing is proved,
    so it may err now and then: that costs a trial, not the truth.
    """
    count, sign = len(trial.scores), -1 if minimize else 1
    known = [other.scores[:count] for other in others if len(other.scores) >= count]
    if not known:
        return False
    leader = max(known, key=lambda scores: sign * fmean(scores))
    ahead = [sign * (a - b) for a, b in zip(leader, trial.scores, strict=True)]
    return sum(ahead) > 0 and sign_flips(ahead) < HOPELESS


def best(trials: Sequence[Trial], default: Trial, *, minimize: bool) -> Trial:
    """The trial with the best score; of equal ones the first, and the default before all."""
    known = [trial for trial in (default, *trials) if math.isfinite(trial.score)]
    return (min if minimize else max)(known, key=lambda trial: trial.score)


def amount(value: float, scale: Scale) -> str:
    """A metric as people read it."""
    if scale is Scale.SHARE:
        return percent(value)
    return f"× {math.exp(value):.3f}" if scale is Scale.FACTOR else f"{value:.4g}"


def verdict(outcome: Outcome, scale: Scale) -> str:
    """What the proof says, in a sentence."""
    meeting = outcome.meeting
    if meeting is None:
        return "no setting beat the default: none was better even in the search"
    bounds = meeting.interval
    low, high = (_change(bound, scale) for bound in bounds)
    unit = " points" if scale is Scale.SHARE else ""
    # Equal differences have an interval without width, which would seem to be certain.
    width = (
        f"95 % interval {low} to {high}{unit}" if bounds[0] < bounds[1] else "the same each time"
    )
    sure = f"{width}, p = {meeting.p:.2g}"
    if not meeting.is_better:
        shown = "the best of the search was worse" if meeting.is_worse else "no difference shown"
        return f"no setting beat the default: {shown} ({sure})"
    if scale is Scale.FACTOR:
        return f"faster than the default: {_change(meeting.difference, scale)} ({sure})"
    by = _change(meeting.difference, scale).removeprefix("+")
    return f"better than the default by {by}{unit} ({sure})"


def _change(difference: float, scale: Scale) -> str:
    if scale is Scale.FACTOR:
        return f"× {math.exp(difference):.3f}"
    return f"{difference * (100 if scale is Scale.SHARE else 1):+.3g}"

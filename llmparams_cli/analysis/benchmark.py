"""Rates of reading and writing: mean and spread, the machine's limit, and what bounds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from statistics import fmean, stdev

from llmparams_cli.protocol import Work

NEAR, HALF = 0.8, 0.5  # shares of a limit
ABOVE = 1.05  # of a limit that was measured too low
FREE = 0.15  # processors that others may take: every machine does something
MEMORY, ARITHMETIC = "memory", "arithmetic"


@dataclass(frozen=True)
class Subject:
    """A model that was tested, as its header describes it."""

    name: str
    path: str
    architecture: str
    type: str
    size: int
    parameters: int


@dataclass(frozen=True)
class Limit:
    """What the machine could do at most: tokens a second if nothing but memory, or nothing but
    arithmetic, took time. `bytes` and `products` are what a token needs, the others what the
    machine has of it in a second. None: not measured.
    """

    bytes: float
    products: float
    bandwidth: float | None
    arithmetic: float | None

    @property
    def by_memory(self) -> float | None:
        return None if self.bandwidth is None else self.bandwidth / self.bytes

    @property
    def by_arithmetic(self) -> float | None:
        return None if self.arithmetic is None else self.arithmetic / self.products

    @property
    def rate(self) -> float | None:
        """The lower of the two: tokens a second."""
        return min(self._known.values(), default=None)

    @property
    def by(self) -> str:
        """Which of the two it is: MEMORY or ARITHMETIC; empty if none is known."""
        return min(self._known, key=lambda name: self._known[name], default="")

    @property
    def _known(self) -> dict[str, float]:
        both = {MEMORY: self.by_memory, ARITHMETIC: self.by_arithmetic}
        return {name: rate for name, rate in both.items() if rate is not None}


class Bound(str, Enum):
    """How a rate stands to the limit."""

    LIMIT = "limit"  # near to it: what limits the machine bounds the model
    BOTH = "both"  # reading and products together take the time
    MOSTLY = "mostly"  # what limits the machine takes most of the time
    OTHER = "other"  # something else takes more time
    ABOVE = "above"  # the limit was measured too low
    UNKNOWN = "unknown"  # there is none


@dataclass(frozen=True)
class Measured:
    """One test of a model: how long each run took, in seconds, with so many threads, and what was
    set for it (the texts of the parameters that vary, by name). `others` are the processors that
    other processes took meanwhile, if that is known, of `cpus`.
    """

    model: str
    work: Work
    values: Mapping[str, str]
    threads: int
    seconds: tuple[float, ...]
    limit: Limit
    others: float | None = None
    cpus: int = 1

    @property
    def is_disturbed(self) -> bool:
        return self.others is not None and disturbs(self.others, self.threads, self.cpus)

    @property
    def rates(self) -> list[float]:
        """Tokens a second of each run."""
        return [self.work.tokens / each for each in self.seconds]

    @property
    def mean(self) -> float:
        return fmean(self.rates)

    @property
    def spread(self) -> float:
        """The standard deviation of the runs; that of a single one is unknown."""
        return stdev(self.rates) if len(self.seconds) > 1 else math.nan

    @property
    def share(self) -> float | None:
        """The mean as a share of the limit."""
        return None if self.limit.rate is None else self.mean / self.limit.rate

    @property
    def share_of_both(self) -> float:
        """The share of the time that reading and products take, if neither waits for the other."""
        return sum(
            self.mean / each for each in (self.limit.by_memory, self.limit.by_arithmetic) if each
        )

    @property
    def bound(self) -> Bound:
        if self.share is None:
            return Bound.UNKNOWN
        if self.share > ABOVE:
            return Bound.ABOVE
        if self.share >= NEAR:
            return Bound.LIMIT
        if self.share_of_both >= NEAR:
            return Bound.BOTH
        return Bound.MOSTLY if self.share >= HALF else Bound.OTHER


def products_per_second(
    weights: Mapping[str, float], attention: float, rates: Mapping[str, float | None]
) -> float | None:
    """How many products a second there are in all, of weights of several types. A type whose rate
    is unknown, and attention, are taken to be as fast as the first type whose rate is known.
    """
    usual = next((rate for rate in rates.values() if rate), None)
    if usual is None:
        return None
    seconds = sum(count / (rates.get(type) or usual) for type, count in weights.items())
    return (sum(weights.values()) + attention) / (seconds + attention / usual)


def disturbs(others: float, threads: int, cpus: int) -> bool:
    """Do others, which take so many processors, leave less than one for each thread?"""
    return others > FREE and others + threads > cpus + FREE


def test_name(work: Work) -> str:
    """As llama-bench calls it: pp512, tg128 @ d1024; with the number of sequences behind it."""
    what = f"pp{work.read}" if work.read else f"tg{work.written}"
    depth = f" @ d{work.depth}" if work.depth else ""
    return f"{what}{depth}{f' × {work.width}' if work.width > 1 else ''}"

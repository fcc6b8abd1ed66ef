"""Intervals of an answer's figures, such as its length."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A closed interval; None is no bound. `text` is the token that `first` asks for."""

    low: float | None = None
    high: float | None = None
    text: str = ""

    def holds(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def meets(self, other: Interval) -> bool:
        """Is some value in both?"""
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return not lows or not highs or max(lows) <= min(highs)

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


# What the figures of an answer can be.
AMOUNT = Interval(0)
PROBABILITY = Interval(0, 1)
AT_LEAST_ONE = Interval(1)

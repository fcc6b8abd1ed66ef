"""The learning rate in the course of a run, early stopping, and a loss that runs away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = ("constant", "linear", "cosine", "plateau")
FACTOR = 0.5  # of a plateau: what the rate is multiplied with
BETTER = 1e-3  # share of the loss by which a plateau must be left
PATIENCE = 2  # checks on a plateau before the rate falls
WINDOW = 20  # steps whose quartiles tell whether a loss runs away
RISEN = 1.0  # nats above where it was lowest, and
RISEN_SHARE = 0.3  # this share of that; twice both above the first one, which is a single value
BEGINNING = 2 * WINDOW  # steps in which it is compared with the first one
HOPELESS = 2.0  # nats above what guessing among all tokens would cost,
HOPELESS_STEPS = 3  # so many times in a row: a single short answer may be that unlikely


@dataclass
class Schedule:
    """The rate at each step, from 1: it rises over `warmup` steps, then stays (constant), falls so
    that it would be 0 at the step after the last of `steps` (linear, cosine), or is halved whenever
    the loss on what is held out stalls (plateau).
    """

    kind: str
    rate: float
    steps: int
    warmup: int = 0
    _factor: float = 1.0
    _lowest: float = math.inf
    _stalled: int = 0

    def at(self, step: int) -> float:
        """The rate for this step."""
        if step <= self.warmup:
            return self.rate * step / (self.warmup + 1)
        if self.kind in ("linear", "cosine"):
            left = (self.steps - step + 1) / max(1, self.steps - self.warmup)
            share = left if self.kind == "linear" else (1 - math.cos(math.pi * left)) / 2
            return self.rate * share
        return self.rate * self._factor

    def after(self, loss: float) -> None:
        """Take the loss of a check into account."""
        if self.kind != "plateau" or not math.isfinite(loss):
            return
        if loss < self._lowest * (1 - BETTER):
            self._lowest, self._stalled = loss, 0
            return
        self._stalled += 1
        if self._stalled >= PATIENCE:
            self._factor, self._stalled = self._factor * FACTOR, 0

    def state(self) -> list[Any]:
        """What `restore` needs, as JSON."""
        lowest = self._lowest if math.isfinite(self._lowest) else None
        return [self._factor, lowest, self._stalled]

    def restore(self, state: Sequence[Any]) -> None:
        """Go on from such a state."""
        self._factor, lowest, self._stalled = state
        self._lowest = math.inf if lowest is None else lowest


@dataclass
class Stopping:
    """Early stopping: the run is `done` after `patience` checks without a lower loss; None: never
    (Prechelt 1998, Early stopping: but when?).
    """

    patience: int | None = None
    _lowest: float = math.inf
    _since: int = 0

    def is_better(self, loss: float) -> bool:
        """Is it the lowest so far?"""
        return math.isfinite(loss) and loss < self._lowest

    def after(self, loss: float) -> bool:
        """Take the loss of a check into account; was it the lowest so far?"""
        if self.is_better(loss):
            self._lowest, self._since = loss, 0
            return True
        self._since += 1
        return False

    @property
    def done(self) -> bool:
        return self.patience is not None and self._since >= self.patience

    def state(self) -> list[Any]:
        """What `restore` needs, as JSON."""
        return [self._lowest if math.isfinite(self._lowest) else None, self._since]

    def restore(self, state: Sequence[Any]) -> None:
        """Go on from such a state."""
        lowest, self._since = state
        self._lowest = math.inf if lowest is None else lowest


@dataclass
class Runaway:
    """Watches the loss of every step. Guessing among the tokens of the `vocabulary` costs their
    logarithm: losses far above that, and above the first one, are no learning. Nor is a loss that
    rose so far that even its low values are above what its high ones were; steps of few rows differ
    much from each other, so nothing less tells.
    """

    vocabulary: int
    _last: list[float] = field(default_factory=list)
    _lowest: float = math.inf
    _first: float | None = None
    _steps: int = 0

    def after(self, loss: float) -> str:
        """What is wrong with the losses up to this one; empty if nothing is."""
        if not math.isfinite(loss):
            return f"the loss is {loss:g}"
        if self._first is None:
            self._first = loss
        self._steps += 1
        self._last = [*self._last[-(WINDOW - 1) :], loss]
        guessing = math.log(self.vocabulary)
        least = min(self._last[-HOPELESS_STEPS:])
        if len(self._last) >= HOPELESS_STEPS and least > max(self._first, guessing) + HOPELESS:
            return (
                f"the loss rose to {loss:.2f}, and guessing among all tokens costs {guessing:.2f}"
            )
        if len(self._last) < WINDOW:
            return ""
        ordered = sorted(self._last)
        low, high = ordered[WINDOW // 4], ordered[-1 - WINDOW // 4]
        self._lowest = min(self._lowest, high)
        starts = [(self._lowest, 1), (self._first, 2)]
        for start, times in starts if self._steps <= BEGINNING else starts[:1]:
            if low > start + times * max(RISEN, RISEN_SHARE * start):
                return f"the loss rose from {start:.2f} to {low:.2f} and more"
        return ""

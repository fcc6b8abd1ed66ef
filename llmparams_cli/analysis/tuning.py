"""What a training run was to do, what it showed step by step, and what it changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

from llmparams_cli.analysis.held_out import HeldOut

CLOSE = 0.01  # nats a token, 1 % of the perplexity: losses this near to each other count as equal
SPANS = 50  # of smoothing that a whole run has room for


class End(str, Enum):
    """Why a run ended. After DIVERGED the weights are those of the last good check."""

    STEPS = "all steps are done"
    EARLY = "early stopping"
    DIVERGED = "the loss ran away"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Plan:
    """What a run does, told before it starts. `how` says what computes; `trains` what learns, such
    as "all weights" or "an adapter of rank 8". Of its `parameters` the model learns `trained`.

    `documents`, `rows` and `tokens` are pairs: to train on, and held out. `tokens` are those that
    the loss counts. `memory` (bytes) and `seconds` are estimates; None: unknown.
    """

    model: str
    how: str
    trains: str
    parameters: int
    trained: int
    documents: tuple[int, int]
    rows: tuple[int, int]
    tokens: tuple[int, int]
    size: int
    batch: int
    steps: int
    epochs: float
    optimiser: str
    rate: float
    schedule: str
    warmup: int
    memory: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Stride:
    """One step, numbered from 1. `loss` (nats a token) is that before it, `norm` the length of the
    gradient; `tokens` and `seconds` count from the beginning of the run.
    """

    step: int
    epoch: float
    loss: float
    rate: float
    norm: float
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Check:
    """A look at the model after so many steps (0: before the first): its loss (nats a token) on
    what is held out, whether that is the least so far, and its answers to the fixed prompts.
    """

    step: int
    loss: float
    improved: bool
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Course:
    """A run so far. `word` explains the end where that needs explaining."""

    strides: tuple[Stride, ...] = ()
    checks: tuple[Check, ...] = ()
    end: End | None = None
    word: str = ""

    @property
    def best(self) -> Check | None:
        """The check with the least loss, whose weights are kept."""
        known = (check for check in self.checks if math.isfinite(check.loss))
        return min(known, key=lambda check: check.loss, default=None)

    @property
    def kept(self) -> int:
        """The step whose weights are kept: the best check's or, with nothing held out, the last."""
        if self.best:
            return self.best.step
        return self.checks[-1].step if self.checks else 0


@dataclass(frozen=True)
class Changed:
    """How far a tensor moved: the norm of the difference by the norm that it had. `layer` is None
    outside of the layers.
    """

    name: str
    kind: str
    layer: int | None
    relative: float


@dataclass(frozen=True)
class Tuned:
    """A finished run: the file that was made, the model before and after it on what was held out
    (None: not measured), its answers to each prompt before and after, and the tensors that moved;
    `untouched` ones are the same to the bit.
    """

    plan: Plan
    course: Course
    target: str
    type: str
    bytes: int
    held_out: HeldOut | None
    prompts: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    changed: tuple[Changed, ...]
    untouched: int


@dataclass(frozen=True)
class Sweep:
    """Learning rates tried from low to high, a step each: the loss before each step, the same
    smoothed, and the range in which the loss falls; `suggested` lies in it. None: it never falls.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    low: float | None
    high: float | None
    suggested: float | None


@dataclass(frozen=True)
class Rung:
    """One variant of a ladder, with the values that it has; `loss` is the least on what is held
    out, `train` the loss on the last of what it learned from (mean of the last tenth of the steps).
    """

    values: Mapping[str, str]
    parameters: int
    course: Course
    train: float
    loss: float
    seconds: float


class Smooth:
    """Call it with the loss of each step: the mean of about the last `span` of them, in which older
    ones count less. Losses that are not finite are left out.
    """

    def __init__(self, span: float) -> None:
        self._keep = 1 - 1 / max(1.0, span)
        self._sum = self._weight = 0.0

    def __call__(self, loss: float) -> float:
        if math.isfinite(loss):
            self._sum = self._keep * self._sum + loss
            self._weight = self._keep * self._weight + 1
        return self._sum / self._weight if self._weight else math.nan


def span(steps: int) -> float:
    """The span over which the loss of a run of so many steps is smoothed."""
    return max(5.0, steps / SPANS)


def smoothed(losses: Sequence[float]) -> list[float]:
    """The losses of a run's steps, smoothed."""
    return list(map(Smooth(span(len(losses))), losses))


def overfit(course: Course) -> int | None:
    """The step from which a run learned by heart, that of its best check: since then the loss on
    what is held out was higher at two checks or more, and clearly at the last, while that on what
    it learned from fell. None: no sign of that.
    """
    best, checks = course.best, [each for each in course.checks if math.isfinite(each.loss)]
    if best is None:
        return None
    place = checks.index(best)
    if len(checks) - place <= 2 or checks[-1].loss - best.loss <= CLOSE:
        return None
    begin = max(1, place)
    first, last = (
        _mean(s.loss for s in course.strides if low.step < s.step <= high.step)
        for low, high in ((checks[begin - 1], checks[begin]), (checks[-2], checks[-1]))
    )
    return best.step if last < first else None


def _mean(losses: Iterable[float]) -> float:
    known = [loss for loss in losses if math.isfinite(loss)]
    return fmean(known) if known else math.nan


class Verdict(str, Enum):
    """What a variant of a ladder is beside the best: losses that are CLOSE are equal."""

    BEST = "best"
    SMALLER = "as good and smaller"
    EQUAL = "as good"
    LARGER = "as good but larger"
    UNDERFITS = "underfits"
    SLOW = "learned less"
    OVERFITS = "overfits"
    WORSE = "worse"
    DIVERGED = "diverged"


def verdicts(rungs: Sequence[Rung]) -> list[Verdict]:
    """A verdict for each variant. One that is worse overfits if the loss on what it learned from is
    lower; if that is higher, too, it underfits, or is larger than so few steps can teach.
    """
    best = best_rung(rungs)
    return [Verdict.DIVERGED if best is None else _verdict(rung, best) for rung in rungs]


def best_rung(rungs: Sequence[Rung]) -> Rung | None:
    """The variant with the least loss on what is held out, of those that did not run away."""
    known = (
        rung for rung in rungs if math.isfinite(rung.loss) and rung.course.end is not End.DIVERGED
    )
    return min(known, key=lambda rung: rung.loss, default=None)


def _verdict(rung: Rung, best: Rung) -> Verdict:
    if rung is best:
        return Verdict.BEST
    if not math.isfinite(rung.loss) or rung.course.end is End.DIVERGED:
        return Verdict.DIVERGED
    if rung.loss - best.loss <= CLOSE:
        if rung.parameters == best.parameters:
            return Verdict.EQUAL
        return Verdict.SMALLER if rung.parameters < best.parameters else Verdict.LARGER
    if abs(rung.train - best.train) <= CLOSE:
        return Verdict.WORSE
    if rung.train < best.train:
        return Verdict.OVERFITS
    return Verdict.SLOW if rung.parameters > best.parameters else Verdict.UNDERFITS

"""What a training run was to do, what it showed step by step, and what it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from llmparams_cli.analysis.divergence import Beside


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
    """A run so far. `word` explains the end where that needs explaining, with a cure."""

    strides: tuple[Stride, ...] = ()
    checks: tuple[Check, ...] = ()
    end: End | None = None
    word: str = ""

    @property
    def best(self) -> Check | None:
        """The check with the least loss, whose weights are kept."""
        return min(self.checks, key=lambda check: check.loss, default=None)


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
    beside: Beside | None
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
    out, `train` the loss on the last of what it learned from (mean of the last epoch or tenth).
    """

    values: Mapping[str, str]
    parameters: int
    course: Course
    train: float
    loss: float
    seconds: float

"""The loop of a run: a step, now and then a check, until there is a reason to end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

from llmparams_cli.analysis.tuning import Check, Course, End, Stride
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.tuning.folder import RunFolder
from llmparams_cli.training.rows import rows_of_step, steps_an_epoch
from llmparams_cli.training.schedule import Runaway, Schedule, Stopping
from llmparams_cli.training.trainer import Loss, Row, Trainer

TOO_HIGH = "the learning rate is too high"
CHUNK = 16  # held-out rows between two looks at Ctrl-C


class Watcher(Protocol):
    """Whoever shows the run while it goes on."""

    def step(self, stride: Stride) -> None: ...

    def check(self, check: Check) -> None: ...


@dataclass(frozen=True)
class Work:
    """A run that is ready to go: what learns, from what, for how long, and how it is kept.

    `keep` writes the model as it is now and returns its answers to the fixed prompts; it is told
    whether this is the best so far. `every`: the steps between two checks.
    """

    trainer: Trainer
    rows: Sequence[Row]
    held_out: Sequence[Row]
    batch: int
    steps: int
    every: int
    schedule: Schedule
    stopping: Stopping
    seed: int
    vocabulary: int
    folder: RunFolder
    keep: Callable[[bool], tuple[str, ...]]


def learn(work: Work, watcher: Watcher, control: Control) -> Course:
    """Make the steps that are left, from the folder's position on."""
    run = _Run(work, watcher, control)
    return run.course(*run.to_the_end())


class RanAway(Exception):
    """The weights are out of control; the text says how."""


class _Run:
    def __init__(self, work: Work, watcher: Watcher, control: Control) -> None:
        self._work, self._watcher, self._control = work, watcher, control
        self._folder = work.folder
        self._done = int(self._folder.position.get("step", 0))
        strides = self._folder.strides
        self._tokens = strides[-1].tokens if strides else 0
        self._before = strides[-1].seconds if strides else 0.0  # in earlier sessions of the run
        self._began = time.perf_counter()
        self._unlogged: list[Stride] = []
        self._runaway = Runaway(work.vocabulary)
        for each in strides:
            self._runaway.after(each.loss)

    def course(self, end: End, word: str) -> Course:
        return Course(tuple(self._folder.strides), tuple(self._folder.checks), end, word)

    def to_the_end(self) -> tuple[End, str]:
        """Step by step; why it ended, and a word about that."""
        try:
            while not (end := self._end()):
                self._step()
                if word := self._runaway.after(self._folder.strides[-1].loss):
                    raise RanAway(word)
            return end, ""
        except RanAway as error:
            self._folder.log(*self._unlogged)
            return End.DIVERGED, f"at step {self._done} {error}: {TOO_HIGH}"
        except KeyboardInterrupt:
            if self._control.is_urgent:  # it may have come in the middle of a step
                raise
            self._save()  # nothing of what was learned is lost
            return End.INTERRUPTED, ""

    def _end(self) -> End | None:
        """Look at the model if it is time to; is there a reason to end?"""
        work, checks = self._work, self._folder.checks
        is_last = self._done >= work.steps
        is_due = is_last or self._done % work.every == 0
        if is_due and (not checks or checks[-1].step < self._done):
            self._check()
        if work.stopping.done:
            return End.EARLY
        if self._control.stop:
            raise KeyboardInterrupt
        return End.STEPS if is_last else None

    def _step(self) -> None:
        work = self._work
        rate = work.schedule.at(self._done + 1)
        found = work.trainer.step(self._batch(self._done), rate)
        self._done += 1
        self._tokens += found.loss.tokens
        stride = Stride(
            self._done,
            self._done / steps_an_epoch(len(work.rows), work.batch),
            found.loss.mean,
            rate,
            found.norm,
            self._tokens,
            self._before + time.perf_counter() - self._began,
        )
        self._folder.strides.append(stride)
        self._unlogged.append(stride)
        self._watcher.step(stride)

    def _batch(self, number: int) -> list[Row]:
        """The rows of a step, counted from 0."""
        work = self._work
        return rows_of_step(work.rows, work.batch, number, work.seed)

    def _check(self) -> None:
        """Look at the model, keep it if it is the best so far, and save where the run is."""
        work = self._work
        loss = self._held_out()
        self._refuse_broken(loss)
        improved = not work.held_out or work.stopping.is_better(loss)
        answers = work.keep(improved)  # Ctrl-C may end it: until then this check was none
        work.stopping.after(loss)
        work.schedule.after(loss)
        check = Check(self._done, loss, improved, answers)
        self._folder.checks.append(check)
        self._save(check)
        self._watcher.check(check)

    def _refuse_broken(self, loss: float) -> None:
        """Raise RanAway for weights that compute no number, which nobody could answer with."""
        if not self._work.held_out:
            loss = self._work.trainer.loss(self._batch(max(0, self._done - 1))).mean
        if not math.isfinite(loss):
            raise RanAway(f"the loss is {loss:g}")

    def _save(self, *checks: Check) -> None:
        work = self._work
        self._folder.log(*self._unlogged, *checks)
        self._unlogged.clear()
        self._folder.save(
            work.trainer.state(),
            {
                "step": self._done,
                "schedule": work.schedule.state(),
                "stopping": work.stopping.state(),
            },
        )

    def _held_out(self) -> float:
        """The loss on what is held out; NaN if nothing is."""
        rows = self._work.held_out
        if not rows:
            return math.nan
        parts = (rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK))
        return reduce(Loss.__add__, map(self._work.trainer.loss, self._checked(parts))).mean

    def _checked(self, parts: Iterator[Any]) -> Iterator[Any]:
        for part in parts:
            if self._control.stop:
                raise KeyboardInterrupt
            yield part

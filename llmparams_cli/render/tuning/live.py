"""A run while it goes on: a panel over a progress bar on a terminal, a line a check in a pipe."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from llmparams_cli.analysis.tuning import Check, Plan, Smooth, Stride, span
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import sparks
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.summary import fold, separator
from llmparams_cli.render.terminal import columns
from llmparams_cli.render.tuning.words import MOST_RISE, loss_text, per_second, rate_text
from llmparams_cli.text.safe import encodable, one_line
from llmparams_cli.text.width import cut

OFTEN = 0.13  # seconds between two looks of the panel
NAME, NUMBER, SPARK, EDGE = 10, 7, 24, 3  # columns of its parts, and of what is left free
ALMOST = 0.999  # at the end, the bar stays until the last check is done


class Live:
    """Call `step` after every step and `check` after every look at what is held out. A context
    manager: at its end, however that comes, nothing is left of the panel.

    Other work meanwhile may use the bar too: `progress`. In a pipe every check is a note.
    """

    def __init__(self, env: Environment, plan: Plan) -> None:
        self.progress = ProgressBar(env)
        self._env = env
        self._plan = plan
        self._smooth = Smooth(span(plan.steps))
        self._curve: list[float] = []
        self._strides: list[int] = []
        self._checks: list[Check] = []
        self._last: Stride | None = None
        self._next = 0.0

    def __enter__(self) -> Live:
        self.progress.__enter__()
        self._env.erase = self._erase
        return self

    def __exit__(self, *_: object) -> None:
        self._env.erase = lambda: None
        self.progress.__exit__()

    def step(self, stride: Stride) -> None:
        """Take a step into account; the panel is drawn anew now and then only."""
        self._last = stride
        self._curve.append(self._smooth(stride.loss))
        self._strides.append(stride.step)
        if self._env.stderr_is_tty and time.monotonic() >= self._next:
            self._draw()

    def check(self, check: Check) -> None:
        """Show what a check found."""
        self._checks.append(check)
        if self._env.stderr_is_tty:
            self._draw()
        else:
            self._env.note(check_text(check, self._last, self._loss))

    @property
    def _loss(self) -> float:
        return self._curve[-1] if self._curve else math.nan

    def _erase(self) -> None:
        """Make room for a line; the next step draws the panel again."""
        self.progress.__exit__()
        self.progress.__enter__()

    def _draw(self) -> None:
        self._next = time.monotonic() + OFTEN
        width, stream = columns(self._env, self._env.stderr), self._env.stderr
        lines = (encodable(line.rstrip(), stream) for line in self._lines(width))
        self.progress.above = "\n".join(cut(line, width - 1, stream) for line in lines)
        done = self._last.step if self._last else 0
        self.progress("training", min(ALMOST, done / max(1, self._plan.steps)))

    def _lines(self, width: int) -> Iterator[str]:
        between = separator(self._env.stderr)
        facts = self._facts(self._last) if self._last else ()
        yield from (between.join(row) for row in fold(facts, len(between), width))
        room = max(1, min(SPARK, width - NAME - NUMBER - EDGE))
        train, held = self._sparks(room) if self._curve else ("", "")
        if self._curve:
            yield f"{'loss':<{NAME}}{loss_text(self._loss):<{NUMBER}} {train}"
        if self._checks:
            loss = loss_text(self._checks[-1].loss)
            line, trend = f"{'held out':<{NAME}}{loss:<{NUMBER}} {held}", self._trend()
            yield f"{line}  {trend}" if len(line) + len(trend) + EDGE <= width else line
            answers = self._checks[-1].answers
            if answers:
                yield f"{'answer':<{NAME}}{one_line(answers[0].strip())}"

    def _facts(self, last: Stride) -> Iterator[str]:
        yield f"step {last.step:,} of {self._plan.steps:,}"
        yield f"epoch {last.epoch:.2f}"
        yield f"rate {rate_text(last.rate)}"
        if speed := per_second(last.tokens, last.seconds):
            yield speed

    def _trend(self) -> str:
        known = [check for check in self._checks if math.isfinite(check.loss)]
        if len(known) < 2:
            return ""
        best = min(known, key=lambda check: check.loss)
        if best is self._checks[-1]:
            return "falls: the best so far"
        return f"best {loss_text(best.loss)} at step {best.step:,}"

    def _sparks(self, width: int) -> list[str]:
        """Both curves from the first step to this one, on one scale from the lowest point."""
        count = min(width, len(self._curve))
        places = [round((column + 1) * len(self._curve) / count) - 1 for column in range(count)]
        rows = [[self._curve[place] for place in places], self._held(places)]
        known = [loss for row in rows for loss in row if math.isfinite(loss)] or [0.0]
        low, high = min(known), MOST_RISE * known[0]
        heights = [[min(loss, high) - low if loss == loss else 0.0 for loss in row] for row in rows]
        return sparks(heights, width, self._env.stderr)

    def _held(self, places: Sequence[int]) -> list[float]:
        """The loss on what is held out as it was known at those places of the curve."""
        found = []
        for place in places:
            step = self._strides[place]
            seen = [check.loss for check in self._checks if check.step <= step]
            lost = seen and not math.isfinite(seen[-1])
            found.append(math.inf if lost else seen[-1] if seen else math.nan)
        return found if self._checks else []


def check_text(check: Check, last: Stride | None, loss: float) -> str:
    """'step 50: loss 1.234, held out 1.345 (best), rate 3e-4, 1,234 tokens/s'."""
    best = " (best)" if check.improved and check.step else ""
    held = f"held out {loss_text(check.loss)}{best}" if math.isfinite(check.loss) else ""
    if last is None:
        return f"step {check.step:,}: {held or 'the model as it was'}"
    parts = (f"loss {loss_text(loss)}", held, f"rate {rate_text(last.rate)}")
    speed = per_second(last.tokens, last.seconds)
    return f"step {check.step:,}: {', '.join(filter(None, (*parts, speed)))}"

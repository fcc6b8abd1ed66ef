"""`tune`: the course of a run, and the sweep of learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.tuning import Course, Plan, Sweep, overfit, smoothed
from llmparams_cli.render.plots.sheet import (
    BAND,
    DEEP,
    FAINT,
    MARGIN,
    MARK,
    PALE,
    Sheet,
    legend_rows,
)
from llmparams_cli.render.tuning.words import ended, kept, limits, rate_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, LEFT, HEAD, FOOT = 7.5, 0.85, 1.05, 0.55  # inches
LOSS, RATE, BETWEEN = 2.9, 0.7, 0.3  # heights of both plots of a course, and what is between them
STEPS: dict[str, Any] = {"color": PALE, "linewidth": 0.8}
SMOOTH: dict[str, Any] = {"color": DEEP, "linewidth": 1.6}
HELD: dict[str, Any] = {"color": MARK, "linewidth": 1.2, "marker": "o", "markersize": 4}
RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "color": MARK,
    "linestyle": "",
}


def course(plan: Plan, course: Course) -> Sheet:
    """The losses over the steps, and the learning rate below them."""
    height = HEAD + LOSS + BETWEEN + RATE + FOOT
    subtitle = "; ".join(filter(None, (ended(plan, course), kept(course))))
    sheet = Sheet(WIDTH, height, f"Training {plan.model}: {plan.trains}", subtitle)
    across = WIDTH - LEFT - MARGIN
    entries = [("loss of each step", STEPS), ("smoothed", SMOOTH)]
    if course.checks:
        entries.append(("held out", HELD | {"markevery": [1]}))
    sheet.legend(MARGIN + 0.5, legend_rows(entries, WIDTH - 2 * MARGIN))
    steps = [*(each.step for each in course.strides), *(each.step for each in course.checks)]
    axes = sheet.axes(LEFT, HEAD, across, LOSS)
    axes.set_xlim(0, max([1, *steps]) * 1.01)
    axes.set_ylabel("loss (nats a token)")
    axes.tick_params(labelbottom=False)
    _losses(axes, course)
    _best(axes, course)
    below = sheet.axes(LEFT, HEAD + LOSS + BETWEEN, across, RATE)
    below.set_xlim(axes.get_xlim())
    _rates(below, course)
    return sheet


def _losses(axes: Axes, course: Course) -> None:
    steps = [stride.step for stride in course.strides]
    losses = [stride.loss for stride in course.strides]
    checks = [check.loss for check in course.checks]
    pairs = zip(losses, smoothed(losses), strict=True)
    soft = [mean if math.isfinite(loss) else math.nan for loss, mean in pairs]
    low, high = limits(losses, [*soft, *checks])
    axes.set_ylim(low, high)
    axes.grid(visible=True, axis="y")
    axes.plot(steps, _cut(losses, high), gid="steps", **STEPS)
    axes.plot(steps, _cut(soft, high), gid="smoothed", **SMOOTH)
    at = [check.step for check in course.checks]
    axes.plot(at, _cut(checks, high), gid="held-out", zorder=3, clip_on=False, **HELD)


def _cut(losses: Sequence[float], high: float) -> list[float]:
    """What is beyond the top stands at the top; what is no number is left out."""
    return [math.nan if math.isnan(loss) else min(loss, high) for loss in losses]


def _best(axes: Axes, course: Course) -> None:
    """Mark the step whose weights are kept, and what comes after it if the run overfits there."""
    best = course.best
    if best is None:
        return
    axes.axvline(best.step, color=FAINT, linewidth=0.8, linestyle="--", gid="kept")
    axes.plot(best.step, best.loss, gid="best", zorder=4, clip_on=False, **RING)
    right = axes.get_xlim()[1]
    before = best.step > right / 4
    _word(axes, best.step, f"kept: step {best.step:,}", FAINT, before=before)
    if overfit(course) is not None:
        axes.axvspan(best.step, right, color=BAND, linewidth=0, zorder=0, gid="overfits")
        _word(axes, right, "overfits", MARK, before=True)


def _word(axes: Axes, at: float, text: str, color: str, *, before: bool) -> None:
    """A word beside a vertical line, at the top of the plot."""
    axes.annotate(
        text,
        (at, 1),
        (-4 if before else 4, -3),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="right" if before else "left",
        va="top",
        color=color,
    )


def _rates(axes: Axes, course: Course) -> None:
    steps = [stride.step for stride in course.strides]
    rates = [stride.rate for stride in course.strides]
    axes.plot(steps, rates, color=DEEP, linewidth=1.2, gid="rates")
    axes.set_ylim(0, max(filter(math.isfinite, rates), default=0.0) * 1.15 or 1.0)
    axes.locator_params(axis="y", nbins=2)
    axes.yaxis.set_major_formatter(lambda rate, _: rate_text(rate))
    axes.grid(visible=True, axis="y")
    axes.set_ylabel("rate")
    axes.set_xlabel("step", labelpad=2)


def sweep(sweep: Sweep) -> Sheet:
    """The loss against the learning rate, the range in which it falls, and the suggestion."""
    if sweep.suggested is None:
        subtitle = "the loss falls at none of them"
    else:
        ends = f"from {rate_text(sweep.low)} to {rate_text(sweep.high)}"
        subtitle = f"the loss falls {ends}; suggested: {rate_text(sweep.suggested)}"
    title = f"Learning rates: {len(sweep.rates)} steps, each with a higher one"
    sheet = Sheet(WIDTH, HEAD + LOSS + FOOT, title, subtitle)
    entries = [("loss before the step", STEPS), ("smoothed", SMOOTH)]
    sheet.legend(MARGIN + 0.5, legend_rows(entries, WIDTH - 2 * MARGIN))
    axes = sheet.axes(LEFT, HEAD, WIDTH - LEFT - MARGIN, LOSS)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda rate, _: rate_text(rate))
    low, high = limits(sweep.losses, sweep.smoothed)
    axes.set_ylim(low, high)
    axes.plot(sweep.rates, _cut(sweep.losses, high), gid="losses", **STEPS)
    axes.plot(sweep.rates, _cut(sweep.smoothed, high), gid="smoothed", **SMOOTH)
    if sweep.low is not None and sweep.high is not None:
        axes.axvspan(sweep.low, sweep.high, color=BAND, linewidth=0, zorder=0, gid="range")
    if sweep.suggested is not None:
        style = {"color": MARK, "linewidth": 1.2, "linestyle": "--"}
        axes.axvline(sweep.suggested, gid="suggested", **style)
        before = sweep.suggested > math.sqrt(sweep.rates[0] * sweep.rates[-1])
        word = f"suggested: {rate_text(sweep.suggested)}"
        _word(axes, sweep.suggested, word, MARK, before=before)
    axes.grid(visible=True, axis="y")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss (nats a token)")
    return sheet

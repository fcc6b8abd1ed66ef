"""`optimize`: the course of a search, what decided, and the response to one or two parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.optimization import Outcome, Scale, Trial, verdict
from llmparams_cli.render.optimization import Facts
from llmparams_cli.render.plots.sheet import DEEP, FAINT, LINE, MARGIN, MARK, PALE, Sheet, shortened
from llmparams_cli.text.units import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, LEFT, HEAD = 7.5, 6.5, 0.9, 1.1  # inches
ABOVE, BELOW = 1.9, 2.2  # heights of both rows of plots
SIDE, BETWEEN, SCALE = 1.5, 1.3, 0.7  # inches: the bars, up to the response, its scale
NAME = 15  # characters of a choice
BARS = 5  # for which there is room, so that two are no thicker
ENOUGH = 6  # points between which colours are drawn
COLOURS = "cividis"  # also for eyes that see no red or no green


def optimization(outcome: Outcome, facts: Facts) -> Sheet:
    """Three plots: every trial, the share of what varied, and two parameters against the score."""
    title = f"Search for {facts.metric}: {len(outcome.trials)} trials"
    sheet = Sheet(WIDTH, HEIGHT, title, verdict(outcome, facts.scale))
    across = WIDTH - LEFT - MARGIN
    _course(sheet.axes(LEFT, HEAD, across, ABOVE), outcome, facts)
    top = HEAD + ABOVE + 4 * LINE
    names = list(outcome.importance) or list(facts.axes)
    if len(outcome.importance) > 1:
        _bars(sheet.axes(LEFT + 0.3, top, SIDE, BELOW), outcome)
        left = LEFT + 0.3 + SIDE + BETWEEN
    else:
        left = LEFT
    room = WIDTH - left - MARGIN - (SCALE if len(names) > 1 else 0)
    _response(sheet.axes(left, top, room, BELOW), outcome, facts, names[:2])
    return sheet


def _course(axes: Axes, outcome: Outcome, facts: Facts) -> None:
    """Every trial's score in turn, the best so far, and the default."""
    numbered = list(enumerate(outcome.trials, 1))
    known = [(n, _shown(t.score, facts)) for n, t in numbered if math.isfinite(t.score)]
    known = known or [(1, math.nan)]
    lost = [(n, _shown(t.mean, facts)) for n, t in numbered if t.given_up]
    dots: dict[str, Any] = {"markersize": 4, "markeredgecolor": DEEP, "zorder": 3}
    axes.plot(*_columns(known), "o", color=PALE, gid="trials", **dots)
    if lost:
        label = "given up" if facts.scale is Scale.FACTOR else "given up, by its first cases"
        axes.plot(*_columns(lost), "x", markersize=4, color=FAINT, label=label, gid="given-up")
    better = min if facts.minimize else max
    best = list(accumulate((score for _, score in known), better))
    reached = [*best, best[-1]]  # up to the end, where the last trials were given up
    turns = [*_columns(known)[0], len(outcome.trials)]
    axes.step(turns, reached, where="post", color=DEEP, label="best so far")
    default = _shown(outcome.default.score, facts)
    axes.axhline(default, color=MARK, linewidth=1, linestyle="--", label="the default")
    axes.set_xlim(0.5, max(1, len(outcome.trials)) + 0.5)
    axes.set_xlabel("trial")
    axes.set_ylabel(_label(facts))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=True, axis="y")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)


def _bars(axes: Axes, outcome: Outcome) -> None:
    names, shares = zip(*reversed(list(outcome.importance.items())), strict=True)
    places = range(len(names))
    bars = axes.barh(places, shares, color=DEEP, height=0.6)
    for name, bar in zip(names, bars, strict=True):
        bar.set_gid(f"share-{name}")
    axes.set_ylim(len(names) - 0.5 - max(BARS, len(names)), len(names) - 0.5)
    axes.set_yticks(places, [shortened(name, NAME) for name in names])
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], map(percent, (0, 0.5, 1)))
    axes.set_title("what decided", loc="left", fontsize=8)


def _response(axes: Axes, outcome: Outcome, facts: Facts, names: Sequence[str]) -> None:
    """The score over the two parameters that decided most, or over the only one; of trials that
    were given up as far as it is known.
    """
    trials = [
        trial
        for trial in sorted(outcome.trials, key=lambda each: each.mean)
        if trial.scores and all(name in trial.values for name in names)
    ]
    if not trials:
        axes.set_axis_off()
        return
    places = [_place(axes, which, name, trials) for which, name in zip("xy", names, strict=False)]
    scores = [_shown(trial.mean, facts) for trial in trials]
    if len(names) == 1:
        axes.plot(places[0], scores, "o", markersize=4, color=PALE, gid="response")
        axes.set_ylabel(_label(facts))
        return
    limits = min(scores), max(scores) if max(scores) > min(scores) else min(scores) + 1
    style: dict[str, Any] = {"cmap": COLOURS, "vmin": limits[0], "vmax": limits[1]}
    axes.use_sticky_edges = False  # else a point at the edge is half hidden
    axes.margins(0.05)
    if _spread(places):
        axes.tricontourf(*places, scores, levels=12, alpha=0.6, **style)
    points = axes.scatter(*places, c=scores, s=22, edgecolors="white", linewidths=0.5, **style)
    if outcome.best in trials:
        number = trials.index(outcome.best)
        at = [place[number] for place in places]
        axes.plot(*at, "o", markersize=9, markerfacecolor="none", color=MARK, gid="best")
    bar = axes.figure.colorbar(points, ax=axes, pad=0.03)
    bar.set_label(_label(facts))
    bar.outline.set_visible(False)


def _place(axes: Axes, which: str, name: str, trials: Sequence[Trial]) -> list[float]:
    """Where every trial stands on an axis, which gets its name, and of choices their names."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_label_text(name)
    values = [trial.values[name] for trial in trials]
    try:
        places = list(map(float, values))  # choices may be numbers, too
        if not all(map(math.isfinite, places)):
            raise ValueError("inf and nan are names here")
    except ValueError:
        choices = sorted(set(map(str, values)))
        axis.set_ticks(range(len(choices)), [shortened(choice, NAME) for choice in choices])
        return [float(choices.index(str(value))) for value in values]
    whole = all(map(float.is_integer, places))
    axis.get_major_locator().set_params(nbins=6, integer=whole)
    return places


def _spread(places: Sequence[Sequence[float]]) -> bool:
    """Do the points span a surface?"""
    import numpy as np

    points = np.asarray(places).T
    if len(np.unique(points, axis=0)) < ENOUGH:
        return False
    spread = np.ptp(points, axis=0)
    return bool((spread > 0).all() and np.linalg.matrix_rank((points - points[0]) / spread) == 2)


def _shown(score: float, facts: Facts) -> float:
    return math.exp(score) if facts.scale is Scale.FACTOR else score


def _label(facts: Facts) -> str:
    return "times as fast" if facts.scale is Scale.FACTOR else shortened(facts.metric, 2 * NAME)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]

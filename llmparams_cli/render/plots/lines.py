"""`compare`: a small plot for each metric, with lines over the parameter that varies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.comparison import Variant
from llmparams_cli.render.plots.measured import (
    ANSWER,
    LONGEST_NAME,
    MEAN,
    dots,
    drawable,
    metric_names,
    name_metric,
    samples_of,
    titles,
)
from llmparams_cli.render.plots.sheet import (
    FAINT,
    LINE,
    MARGIN,
    MARKERS,
    SERIES,
    SIZE,
    Sheet,
    inches,
    legend_rows,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 2 * len(SERIES)  # that can be told apart: the second half is dashed
LEAST_SPAN = 0.1  # of the largest number, from the bottom of a plot to its top
SQUEEZED = 30  # from this ratio of the largest value to the smallest on, the axis is logarithmic
MIDDLE = [1]  # of the three points that a legend's line has
PLOT = (3.0, 1.55)  # inches
AROUND = (0.75, 0.85)  # to its left, and above and below
PLOTS_IN_A_ROW = 3


@dataclass(frozen=True)
class Series:
    """Variants that differ in one number only, sorted by it."""

    name: str
    points: list[tuple[float, Variant]] = field(default_factory=list)


def lines(variants: Sequence[Variant], axis: str, series: Sequence[Series]) -> Sheet:
    """The plots side by side; `series` are the lines of each."""
    names = metric_names(variants)
    columns = min(PLOTS_IN_A_ROW, len(names)) or 1
    width = max(7.0, 2 * MARGIN + columns * (PLOT[0] + AROUND[0]))
    entries = [(shortened(each.name, LONGEST_NAME), _line(at)) for at, each in enumerate(series)]
    several = any(len(variant.samples) > 1 for variant in variants)
    if len(series) == 1:
        entries = [(MEAN, _line(0))] if several else []
    if several:
        entries.append((ANSWER, dots(FAINT)))
    legend = legend_rows(entries, width - 2 * MARGIN)
    head = MARGIN + 0.6 + LINE * len(legend)
    step = PLOT[1] + AROUND[1]
    rows = math.ceil(len(names) / columns)
    title, subtitle = titles(variants)
    sheet = Sheet(width, head + step * rows, f"{title}, against {axis}", subtitle)
    sheet.legend(MARGIN + 0.5, legend)
    for number, name in enumerate(names):
        row, column = divmod(number, columns)
        left = MARGIN + AROUND[0] / 2 + column * (PLOT[0] + AROUND[0])
        axes = sheet.axes(left, head + row * step + 0.3, *PLOT)
        axes.grid(axis="y")
        name_metric(axes, name, PLOT[0])
        for at, each in enumerate(series):
            _curve(axes, number, at, name, each)
        _heights(axes, name, variants)
        _values(axes, axis, variants)
    return sheet


def _line(at: int) -> dict[str, Any]:
    """How the line with this number looks."""
    dash, color = divmod(at, len(SERIES))
    style = {"color": SERIES[color], "linestyle": ("-", "--")[dash], "linewidth": 1.6}
    return {**style, "marker": MARKERS[color], "markersize": 4.5, "markevery": MIDDLE}


def _curve(axes: Axes, number: int, at: int, name: str, series: Series) -> None:
    """The means as a line, the single answers as dots."""
    means = [(x, drawable(variant.means()[name])) for x, variant in series.points]
    known = [(x, y) for x, y in means if y is not None]
    style = {**_line(at), "markevery": None, "clip_on": False}
    axes.plot([x for x, _ in known], [y for _, y in known], gid=f"line-{number}-{at}", **style)
    answers = [(x, y) for x, variant in series.points for y in samples_of(variant, name)]
    if len(answers) > len(series.points):
        style = dots(SERIES[at % len(SERIES)])
        gid = f"samples-{number}-{at}"
        axes.plot([x for x, _ in answers], [y for _, y in answers], gid=gid, **style)


def _heights(axes: Axes, name: str, variants: Sequence[Variant]) -> None:
    """Vertical limits: tiny differences must not look large, nor may the axis of numbers that
    are all positive reach below 0.
    """
    known = [drawable(variant.means()[name]) for variant in variants]
    seen = [y for y in known if y is not None]
    seen += [y for variant in variants for y in samples_of(variant, name)]
    low, high = min(seen), max(seen)
    span = max(high - low, LEAST_SPAN * max(abs(low), abs(high))) or 1.0
    bottom, top = (low + high - 1.1 * span) / 2, (low + high + 1.1 * span) / 2
    axes.set_ylim(0 if bottom < 0 <= low else bottom, top)
    axes.locator_params(axis="y", nbins=5)


def _values(axes: Axes, axis: str, variants: Sequence[Variant]) -> None:
    """The parameter's values on the horizontal axis, as far as they have room."""
    texts = {float(variant.values[axis]): variant.values[axis] for variant in variants}
    low, high = min(texts), max(texts)
    logarithmic = low > 0 and high / low >= SQUEEZED
    spread: Callable[[float], float] = math.log if logarithmic else float
    axes.set_xscale("log" if logarithmic else "linear")
    # matplotlib leaves a margin of 5 % at both ends.
    room = PLOT[0] * 0.9 / (spread(high) - spread(low))
    placed: list[tuple[float, float]] = []
    ticks = []
    for value in (low, high, *sorted(texts)):  # both ends are labelled first
        half = inches(texts[value], SIZE) / 2 + 0.04
        center = (spread(value) - spread(low)) * room
        if all(center + half <= left or center - half >= right for left, right in placed):
            placed.append((center - half, center + half))
            ticks.append(value)
    axes.set_xticks(ticks, [texts[value] for value in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(axis, labelpad=2)

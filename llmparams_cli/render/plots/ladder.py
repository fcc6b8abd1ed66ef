"""`quantize --ladder`: size against the divergence from the original."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from llmparams_cli.analysis.ladder import Rung, beaten
from llmparams_cli.render.plots.sheet import DEEP, FAINT, LINE, MARGIN, MARK, SIZE, Sheet, inches

WIDTH, HEIGHT, LEFT, HEAD = 7.5, 4.6, 0.95, 0.75  # inches
ACROSS, DOWN = WIDTH - LEFT - 2 * MARGIN, HEIGHT - HEAD - MARGIN - 2 * LINE
LEAST = 1e-9  # divergence that can be drawn
# Where a name may stand, in inches from its point: the nearest places first.
PLACES = sorted(
    product((0.07, -0.07, 0.3, -0.3), (0.1, -0.1, 0.3, -0.3)), key=lambda at: math.hypot(*at)
)
POINT = 0.05  # inches from the middle of a point to its edge

Box = tuple[float, float, float, float]  # left, bottom, right, top in inches


def ladder(name: str, rungs: Sequence[Rung], chosen: Rung | None, size: int | None) -> Sheet:
    """A point for each type; those that another beats in everything are hollow."""
    sheet = Sheet(
        WIDTH,
        HEIGHT,
        f"Quantisations of {name}",
        f"{rungs[0].beside.divergence.tokens:,} tokens; hollow: another is no larger, nearer and no"
        " slower",
    )
    axes = sheet.axes(LEFT, HEAD, ACROSS, DOWN)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")  # not 10 to some power, which wants mathematics
    axes.grid(visible=True)
    axes.set_xlabel("size in MB")
    axes.set_ylabel("mean KL divergence")
    points = [(rung.size / 1e6, max(rung.distance, LEAST)) for rung in rungs]
    axes.set_xlim(*_around([x for x, _ in points], 0.1))
    axes.set_ylim(*(10**y for y in _around([math.log10(y) for _, y in points], 0.1)))
    losers = beaten(rungs)
    to_inches = axes.transData + sheet.figure.dpi_scale_trans.inverted()
    places = _places([rung.type for rung in rungs], [tuple(to_inches.transform(p)) for p in points])
    for rung, point, (right, up) in zip(rungs, points, places, strict=True):
        color = MARK if rung is chosen else DEEP
        fill = "white" if rung.type in losers else color
        axes.plot(*point, "o", markersize=5, color=color, markerfacecolor=fill)
        axes.annotate(
            rung.type,
            point,
            (72 * right, 72 * up),
            textcoords="offset points",
            color=color,
            ha="left" if right > 0 else "right",
            va="center",
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.4, "shrinkA": 0},
        )
    if size is not None:
        axes.axvline(size / 1e6, color=FAINT, linewidth=0.8, linestyle="--")
    return sheet


def _around(values: Sequence[float], share: float) -> tuple[float, float]:
    """Limits with some room at both ends."""
    low, high = min(values), max(values)
    room = share * (high - low) or 0.1
    return low - room, high + room


def _places(names: Sequence[str], points: Sequence[tuple[float, ...]]) -> list[tuple[float, float]]:
    """For each name the nearest place where it covers no point and no other name."""
    taken: list[Box] = [(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in points]
    found = []
    for name, (x, y) in zip(names, points, strict=True):
        boxes = {place: _box(name, x + place[0], y + place[1], place[0] > 0) for place in PLACES}
        place = min(PLACES, key=lambda at: sum(_overlap(boxes[at], other) for other in taken))
        taken.append(boxes[place])
        found.append(place)
    return found


def _box(name: str, x: float, y: float, is_right: bool) -> Box:
    width, half = inches(name, SIZE), SIZE / 72 / 2
    left = x if is_right else x - width
    return left, y - half, left + width, y + half


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)

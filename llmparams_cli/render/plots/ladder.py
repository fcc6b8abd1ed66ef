"""`quantize --ladder`: size against the divergence from the original."""

from __future__ import annotations

from collections.abc import Sequence

from llmparams_cli.analysis.ladder import Rung, beaten
from llmparams_cli.render.plots.sheet import DEEP, FAINT, LINE, MARGIN, MARK, Sheet

WIDTH, HEIGHT, LEFT, HEAD = 7.0, 4.0, 0.95, 0.75  # inches


def ladder(name: str, rungs: Sequence[Rung], chosen: Rung | None, size: int | None) -> Sheet:
    """A point for each type; those that another beats in everything are hollow."""
    first = rungs[0].beside
    sheet = Sheet(
        WIDTH,
        HEIGHT,
        f"Quantisations of {name}",
        f"{first.divergence.tokens:,} tokens; hollow: another is no larger, nearer and no slower",
    )
    across, down = WIDTH - LEFT - 3 * MARGIN, HEIGHT - HEAD - MARGIN - 2 * LINE
    axes = sheet.axes(LEFT, HEAD, across, down)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")  # not 10 to some power, which wants mathematics
    axes.grid(visible=True)
    axes.set_xlabel("size in MB")
    axes.set_ylabel("mean KL divergence")
    losers = beaten(rungs)
    for rung in rungs:
        color = MARK if rung is chosen else DEEP
        place = rung.size / 1e6, max(rung.distance, 1e-9)
        fill = "white" if rung.type in losers else color
        axes.plot(*place, "o", markersize=5, color=color, markerfacecolor=fill)
        axes.annotate(rung.type, place, (4, 4), textcoords="offset points", color=color)
    if size is not None:
        axes.axvline(size / 1e6, color=FAINT, linewidth=0.8, linestyle="--")
    return sheet

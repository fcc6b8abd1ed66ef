"""`explain --at`: one draw's candidates after every stage of the sampler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.render.plots.sheet import (
    BAND,
    DEEP,
    FAINT,
    LINE,
    MARGIN,
    MARK,
    PALE,
    SIZE,
    Sheet,
    inches,
    legend_rows,
    quoted,
)
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import ending
from llmparams_cli.text.units import percent
from llmparams_cli.trace import Stage, TokenView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 60  # candidates
IN_A_ROW = 7  # stages
ROW, FACET, GAP = 0.22, 1.6, 0.14  # inches: a candidate's height, a stage's width, between them
FACET_HEAD = 0.62  # inches for the text above a stage
NUMBERS = 0.62  # of the longest bar: room for the numbers to the right of it
FOOT = 0.35
SEEN = 0.01  # of the longest bar: the least change that an outline shows
BEFORE = 61  # characters of the text before


def waterfall(explanation: Explanation, token: TokenView, top: int) -> Sheet:
    """The `top` best candidates of the model and of the last stage, and the drawn one; a plot
    for each stage, from the bare model to the draw.
    """
    shown = _shown(token, top)
    per_row = math.ceil(len(token.stages) / math.ceil(len(token.stages) / IN_A_ROW))
    names = max(inches(quoted(token.candidates[place][1]), SIZE * 1.1) for place in shown)
    left = MARGIN + names + 0.12
    width = max(7.5, left + per_row * (FACET + GAP) + MARGIN)
    legend = legend_rows(_LEGEND, width - 2 * MARGIN)
    head = MARGIN + 0.6 + LINE * len(legend)
    height = FACET_HEAD + ROW * len(shown) + 0.3
    rows = math.ceil(len(token.stages) / per_row)
    sheet = Sheet(width, head + height * rows + FOOT, *_titles(explanation, token))
    sheet.legend(MARGIN + 0.5, legend)
    table = [stage.probabilities() for stage in token.stages]
    most = max(table[at][place] or 0.0 for at in range(len(table)) for place in shown) or 1.0
    for at, stage in enumerate(token.stages):
        row, column = divmod(at, per_row)
        place = left + column * (FACET + GAP), head + row * height + FACET_HEAD
        axes = sheet.axes(*place, FACET, ROW * len(shown))
        _limits(axes, len(shown), most)
        _above(sheet, place, stage, 1 - sum(table[at][i] or 0.0 for i in shown))
        before = table[at - 1] if at else table[0]
        _bars(axes, token, at, [(i, before[i], table[at][i]) for i in shown], most)
        if column == 0:
            _names(axes, token, shown)
    sheet.text(MARGIN, sheet.height - FOOT, NOTE, color=FAINT)
    return sheet


NOTE = "cut: the probability that a stage removed; others: that of candidates not shown here"
_LEGEND = [
    ("a candidate", {"color": PALE, "linewidth": 7}),
    ("the drawn one", {"color": MARK, "linewidth": 7}),
    ("where it was one stage before", {"color": FAINT, "linewidth": 1, "linestyle": ":"}),
]


def _shown(token: TokenView, top: int) -> list[int]:
    """The places of the candidates to show, the model's most probable first."""
    count = len(token.candidates)
    drawn = [id for id, _ in token.candidates].index(token.id)
    last = token.stages[-1].probabilities()
    final = sorted(range(count), key=lambda place: -(last[place] or 0.0))
    best = dict.fromkeys([drawn, *range(min(top, count)), *final[:top]])
    return sorted(list(best)[:MOST])


def _titles(explanation: Explanation, token: TokenView) -> tuple[str, str]:
    before = ending(one_line(explanation.before(token)), BEFORE)
    probability, rank = token.end
    after = f'after "{before}"' if before else "the first"
    return (
        f"draw {token.number} of {len(explanation.tokens)}: {quoted(token.text, 60)}",
        f"{after}; an end token had {percent(probability)}, rank {rank}",
    )


def _limits(axes: Axes, rows: int, most: float) -> None:
    axes.set_xlim(0, most * (1 + NUMBERS))
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _above(sheet: Sheet, place: tuple[float, float], stage: Stage, others: float) -> None:
    """The stage's name, how many candidates it left, and what it cut off."""
    left, top = place
    cut = f"cut {percent(stage.cut)}, " if stage.name != "model" else ""
    lines: tuple[tuple[str, dict[str, Any]], ...] = (
        (stage.name, {"fontweight": "bold", "fontsize": SIZE + 1}),
        (f"{stage.kept} left, {stage.entropy:.2f} bits", {}),
        (f"{cut}others {percent(max(0.0, others))}", {"color": FAINT}),
    )
    for number, (text, style) in enumerate(lines):
        sheet.text(left, top - FACET_HEAD + 0.04 + number * 0.17, text, **style)


def _bars(
    axes: Axes,
    token: TokenView,
    at: int,
    rows: Sequence[tuple[int, float | None, float | None]],
    most: float,
) -> None:
    """A bar for every candidate that is left, over the outline of what it was before."""
    for row, (place, before, now) in enumerate(rows):
        id, _ = token.candidates[place]
        drawn = id == token.id
        if drawn:
            axes.axhspan(row - 0.5, row + 0.5, color=BAND, linewidth=0, zorder=0)
        if before is not None and abs(before - (now or 0.0)) > SEEN * most:
            outline = {"edgecolor": FAINT, "linestyle": ":", "linewidth": 0.8, "fill": False}
            [ghost] = axes.barh(row, before, 0.66, **outline)
            ghost.set_gid(f"before-{at}-{id}")
        if now is not None:
            [bar] = axes.barh(row, now, 0.66, color=MARK if drawn else PALE)
            bar.set_gid(f"bar-{at}-{id}")
        number = "removed" if now is None else percent(now)
        style = {"ha": "right", "va": "center_baseline", "color": FAINT if now is None else DEEP}
        if drawn:
            style |= {"fontweight": "bold"}
        axes.text(most * (1 + NUMBERS) * 0.98, row, number, gid=f"value-{at}-{id}", **style)


def _names(axes: Axes, token: TokenView, shown: Sequence[int]) -> None:
    """The candidates, in front of the first stage of a row."""
    for row, place in enumerate(shown):
        id, text = token.candidates[place]
        style = {"color": MARK, "fontweight": "bold"} if id == token.id else {}
        axes.annotate(
            quoted(text),
            (0, row),
            (-5, 0),
            textcoords="offset points",
            ha="right",
            va="center_baseline",
            gid="drawn" if id == token.id else f"candidate-{id}",
            **style,
        )

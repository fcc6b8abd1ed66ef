"""`explain`: entropy and probability along the text, and which settings decided."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.render.plots.sheet import (
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
from llmparams_cli.render.summary import stop_text
from llmparams_cli.trace import TokenView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT = 1.75  # inches for the labels to the left of the plots
WIDEST, NARROWEST = 10.5, 4.5  # inches of a line of the text
SLOT = 0.55  # inches per draw, if there are few
IN_A_LINE = 60  # draws, until there are more than MOST_LINES of them
MOST_LINES = 6
ENTROPY, PROBABILITY, GAP, LANE = 1.0, 0.85, 0.2, 0.16  # inches of height
NUMBERS = 0.25  # inches above for the draws' numbers
DENSEST = 9.5  # points from one label to the next
SHARES = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class _Layout:
    """How a text is folded: `draws` in a line of `slots`, every `step`th one labelled.

    Sizes in inches: a line's `width`, and `label` for the tokens below it. `lanes` are the
    names of the settings that decided any draw.
    """

    draws: int
    slots: int
    width: float
    step: int
    label: float
    upright: bool
    lanes: tuple[str, ...]

    @property
    def dots(self) -> float:
        return LANE * len(self.lanes) + GAP / 2 if self.lanes else 0.0

    @property
    def height(self) -> float:
        return NUMBERS + ENTROPY + GAP + PROBABILITY + self.dots + self.label + MARGIN


def along(explanation: Explanation) -> Sheet:
    """The whole text, in as many lines as it needs."""
    tokens = explanation.tokens
    layout = _layout(explanation)
    width = max(7.0, LEFT + layout.width + MARGIN)
    legend = legend_rows(list(_legend(layout)), width - 2 * MARGIN)
    lines = [tokens[at : at + layout.draws] for at in range(0, len(tokens), layout.draws)]
    head = MARGIN + 0.55 + LINE * len(legend)
    started, finished = explanation.started, explanation.finished
    sheet = Sheet(
        width,
        head + layout.height * len(lines) + MARGIN / 2,
        f"{len(tokens)} draws of {started.model.name}, seed {started.seed}",
        f"stopped: {stop_text(finished.stop)}",
    )
    sheet.legend(head - LINE * len(legend), legend)
    most = max((stage.entropy for token in tokens for stage in _ends(token)), default=0.0)
    for number, line in enumerate(lines):
        _line(sheet, head + layout.height * number, line, layout, explanation, most)
    return sheet


def _layout(explanation: Explanation) -> _Layout:
    count = max(1, len(explanation.tokens))
    lines = min(MOST_LINES, math.ceil(count / IN_A_LINE))
    draws = math.ceil(count / lines)
    width = min(WIDEST, max(NARROWEST, draws * SLOT))
    slots = max(draws, int(width / SLOT)) if lines == 1 else draws
    step = math.ceil(DENSEST * slots / (width * 72))  # 72 points are an inch
    longest = max((inches(quoted(t.text), SIZE) for t in explanation.tokens), default=0.0)
    upright = longest > width / slots
    lanes = tuple(effect.setting.name for effect in explanation.effects if effect.changed)
    return _Layout(draws, slots, width, step, longest if upright else LINE, upright, lanes)


def _legend(layout: _Layout) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "the model's own distribution", {"color": PALE, "linewidth": 7}
    yield "what was drawn from, after all stages", {"color": DEEP, "linewidth": 4}
    if layout.lanes:
        dot = {"color": MARK, "marker": "o", "linestyle": "", "markersize": 5}
        yield "without this setting another token would have come", dot


def _ends(token: TokenView) -> tuple[Any, Any]:
    """The first stage and the last: before the settings and after them."""
    return token.stages[0], token.stages[-1]


def _line(
    sheet: Sheet,
    top: float,
    tokens: Sequence[TokenView],
    layout: _Layout,
    explanation: Explanation,
    most: float,
) -> None:
    """One line of the text: two plots, the deciding settings, the tokens."""
    entropies = [[stage.entropy for stage in _ends(token)] for token in tokens]
    top += NUMBERS
    axes = _plot(sheet, top, ENTROPY, tokens, layout)
    _bars(axes, "entropy", tokens, entropies)
    axes.set_ylim(0, most * 1.08 or 1)
    axes.locator_params(axis="y", nbins=4)
    _beside(sheet, top, ENTROPY, "entropy", "bits")
    _numbers(axes, tokens)

    top += ENTROPY + GAP
    axes = _plot(sheet, top, PROBABILITY, tokens, layout)
    _bars(axes, "probability", tokens, [_drawn(token) for token in tokens])
    axes.set_ylim(0, 1.05)
    axes.set_yticks(SHARES, [f"{share:.0%}" for share in SHARES])
    _beside(sheet, top, PROBABILITY, "probability", "of the token")

    top += PROBABILITY
    if layout.lanes:
        axes = _plot(sheet, top + GAP / 2, layout.dots - GAP / 2, tokens, layout)
        _dots(axes, tokens, layout, explanation)
    decided = {number for effect in explanation.effects for number in effect.changed}
    _tokens(axes, tokens, layout, decided)


def _plot(
    sheet: Sheet, top: float, height: float, tokens: Sequence[TokenView], layout: _Layout
) -> Axes:
    axes = sheet.axes(LEFT, top, layout.width, height)
    first = tokens[0].number
    axes.set_xlim(first - 0.5, first + layout.slots - 0.5)
    axes.set_xticks([])
    axes.grid(axis="y")
    return axes


def _bars(
    axes: Axes, quantity: str, tokens: Sequence[TokenView], heights: Sequence[Sequence[float]]
) -> None:
    """For each draw a pale bar for the model, and a narrower deep one for what was drawn."""
    numbers = [token.number for token in tokens]
    for end, color, width in ((0, PALE, 0.86), (1, DEEP, 0.4)):
        name = ("model", "drawn")[end]
        bars = axes.bar(numbers, [pair[end] for pair in heights], width, color=color)
        for number, bar in zip(numbers, bars, strict=True):
            bar.set_gid(f"{quantity}-{name}-{number}")


def _drawn(token: TokenView) -> list[float]:
    """The drawn token's probability before the settings and after them."""
    place = [id for id, _ in token.candidates].index(token.id)
    return [stage.probabilities()[place] or 0.0 for stage in _ends(token)]


def _beside(sheet: Sheet, top: float, height: float, name: str, unit: str) -> None:
    middle = top + height / 2
    sheet.text(MARGIN, middle, name, va="bottom", fontweight="bold")
    sheet.text(MARGIN, middle + 0.03, unit, color=FAINT)


def _numbers(axes: Axes, tokens: Sequence[TokenView]) -> None:
    """The numbers of some draws above them: the first, and those that are round."""
    every = next(n for n in (1, 5, 10, 50, 100, 500, 1000, 10**6) if len(tokens) <= 16 * n)
    numbers = [t.number for t in tokens if t.number % every == 0 or t.number == tokens[0].number]
    # The first number is not round, and may be too close to the next.
    if len(numbers) > 1 and numbers[1] - numbers[0] < every / 2:
        del numbers[1]
    axes.xaxis.tick_top()
    axes.set_xticks(numbers, [str(number) for number in numbers], color=FAINT)
    axes.tick_params(axis="x", length=2)


def _dots(
    axes: Axes, tokens: Sequence[TokenView], layout: _Layout, explanation: Explanation
) -> None:
    """A lane for each deciding setting, with a dot under the draws that it decided."""
    changed = {effect.setting.name: effect.changed for effect in explanation.effects}
    first, last = tokens[0].number, tokens[-1].number
    for lane, name in enumerate(layout.lanes):
        here = [number for number in changed[name] if first <= number <= last]
        dots = {"color": MARK, "markersize": 4, "gid": f"decided-{name}-{first}"}
        axes.plot(here, [lane] * len(here), "o", **dots)
    axes.set_ylim(len(layout.lanes) - 0.4, -0.6)
    axes.set_yticks(range(len(layout.lanes)), layout.lanes)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


def _tokens(axes: Axes, tokens: Sequence[TokenView], layout: _Layout, decided: set[int]) -> None:
    """The text, token by token, below the last plot."""
    place = axes.get_xaxis_transform()
    below = -0.07 / (axes.get_position().height * axes.figure.get_figheight())
    for token in tokens[:: layout.step]:
        style: dict[str, Any] = {"rotation": 90} if layout.upright else {}
        if token.number in decided:
            style |= {"color": MARK, "fontweight": "bold"}
        style |= {"ha": "center", "va": "top", "gid": f"token-{token.number}"}
        axes.text(token.number, below, quoted(token.text), transform=place, **style)

"""`inspect`: histograms of weights, norms by layer, and how far two models are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmparams_cli.analysis.inside import Compared, Described, Difference, Norm
from llmparams_cli.render.inspect.words import by_layer, count, measure
from llmparams_cli.render.plots.sheet import (
    DEEP,
    FAINT,
    LINE,
    MARGIN,
    PALE,
    SIZE,
    Sheet,
    inches,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, FACET, GAP, HEAD = 7.5, 1.9, 0.75, 0.95  # inches
MOST_TENSORS, MOST_ROWS = 40, 60
ROW, NAME = 0.22, 40  # inches of a row; characters of a name


def histograms(model: str, tensors: Sequence[Described]) -> Sheet:
    """A histogram for each tensor, one below the other."""
    shown = tensors[:MOST_TENSORS]
    title = shown[0].name if len(tensors) == 1 else f"{len(tensors)} tensors"
    sheet = Sheet(WIDTH, HEAD + (FACET + GAP) * len(shown), title, model)
    for place, tensor in enumerate(shown):
        top = HEAD + place * (FACET + GAP)
        axes = sheet.axes(MARGIN + 0.6, top, WIDTH - 2 * MARGIN - 0.6, FACET)
        _histogram(axes, tensor)
    return sheet


def _histogram(axes: Axes, tensor: Described) -> None:
    values, found = tensor.statistics, tensor.statistics.histogram
    step = (found.high - found.low) / len(found.counts) or 1.0
    left = [found.low + place * step for place in range(len(found.counts))]
    axes.bar(left, found.counts, step * 0.9, align="edge", color=DEEP, gid="histogram")
    axes.set_title(
        f"{shortened(tensor.name, 60)}: mean {measure(values.mean)}, standard deviation "
        f"{measure(values.deviation)}, {count(values.beyond)} beyond 6 of them",
        fontsize=SIZE,
        loc="left",
    )


def norms(model: str, found: Sequence[Norm]) -> Sheet:
    """A row of cells for each kind of tensor, a cell for each layer."""
    groups, others = by_layer(found)
    names = [shortened(name, NAME) for name in groups][:MOST_ROWS]
    left = MARGIN + max((inches(name, SIZE) for name in names), default=1.0) + 0.1
    width = max(WIDTH, left + 4)
    height = HEAD + ROW * len(names) + (0.8 if names else 0.2) + ROW * len(others[:MOST_ROWS]) + 0.4
    sheet = Sheet(width, height, "Norm of each tensor, from 0 to the largest of its row", model)
    if names:
        axes = sheet.axes(left, HEAD, width - left - MARGIN, ROW * len(names))
        longest = max(map(len, groups.values()))
        rows = [_scaled(row, longest) for row in list(groups.values())[:MOST_ROWS]]
        axes.imshow(rows, cmap="Blues", vmin=0, vmax=1, aspect="auto", gid="cells")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("layer")
        axes.tick_params(length=0)
    if others:
        top = HEAD + ROW * len(names) + (0.8 if names else 0.2)
        shown = [(each.name, each.root_mean_square) for each in others[:MOST_ROWS]]
        sheet.text(left, top - LINE, "outside the layers: root mean square", color=FAINT)
        _bars(sheet, left, top, width - left - MARGIN, shown)
    return sheet


def _scaled(row: Sequence[Norm], length: int) -> list[float]:
    most = max(each.norm for each in row) or 1.0
    return [each.norm / most for each in row] + [math.nan] * (length - len(row))


def differences(found: Difference) -> Sheet:
    """A bar for each tensor that differs, the most different first."""
    differ = sorted((each for each in found.tensors if each.distance), key=_apart, reverse=True)
    shown = [(each.name, _apart(each)) for each in differ[:MOST_ROWS]]
    left = MARGIN + max((inches(shortened(name, NAME), SIZE) for name, _ in shown), default=1) + 0.1
    title = f"{len(differ)} of {len(found.tensors)} tensors differ: norm of the difference by norm"
    height = HEAD + ROW * max(1, len(shown)) + 0.4
    sheet = Sheet(max(WIDTH, left + 4), height, title, " and ".join(found.names))
    if shown:
        _bars(sheet, left, HEAD, sheet.width - left - MARGIN, shown)
    return sheet


def _apart(tensor: Compared) -> float:
    apart = tensor.distance
    return 0.0 if apart is None or apart.relative is None else apart.relative


def _bars(
    sheet: Sheet, left: float, top: float, width: float, shown: Sequence[tuple[str, float]]
) -> None:
    axes = sheet.axes(left, top, width, ROW * len(shown))
    values = [value for _, value in shown]
    axes.barh(range(len(shown)), values, 0.66, color=PALE, gid="bars")
    axes.set_xlim(0, 1.2 * max(values) or 1.0)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks(range(len(shown)), [shortened(name, NAME) for name, _ in shown])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    for row, value in enumerate(values):
        axes.text(value, row, f" {measure(value)}", va="center_baseline")

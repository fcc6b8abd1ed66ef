"""`compare`: a column of bars for each metric, with a row for each variant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

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
    DEEP,
    FAINT,
    LINE,
    MARGIN,
    PALE,
    SIZE,
    Sheet,
    inches,
    legend_rows,
    shortened,
)
from llmparams_cli.text.units import short_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.22  # inches of a variant
FACET, GAP, NUMBERS = 1.65, 0.2, 0.6  # inches of a metric, beside it, of the numbers in it
FACET_HEAD = 0.35
MOST_BARS = 300  # variants
FACETS_IN_A_ROW, FEW = 5, 16  # metrics; with more than FEW variants, all are in one row


def bars(variants: Sequence[Variant]) -> Sheet:
    """The columns side by side, in several rows where the variants are few."""
    title, subtitle = titles(variants)
    if len(variants) > MOST_BARS:
        title += f" (the first {MOST_BARS} of them)"
        variants = variants[:MOST_BARS]
    metrics = metric_names(variants)
    names = [shortened(variant.name, LONGEST_NAME) for variant in variants]
    rows = math.ceil(len(metrics) / FACETS_IN_A_ROW) if len(variants) <= FEW else 1
    columns = math.ceil(len(metrics) / rows) if metrics else 1
    left = MARGIN + max(inches(name, SIZE) for name in names) + 0.1
    width = max(7.0, left + columns * (FACET + GAP) + MARGIN)
    several = any(len(variant.samples) > 1 for variant in variants)
    bar = {"color": PALE, "linewidth": 7}
    entries = [(MEAN, bar), (ANSWER, dots(DEEP))] if several else []
    legend = legend_rows(entries, width - 2 * MARGIN)
    head = MARGIN + 0.6 + LINE * len(legend)
    step = FACET_HEAD + ROW * len(variants) + 0.15
    sheet = Sheet(width, head + step * rows + MARGIN / 2, title, subtitle)
    sheet.legend(MARGIN + 0.5, legend)
    for number, name in enumerate(metrics):
        row, column = divmod(number, columns)
        top = head + row * step + FACET_HEAD
        axes = sheet.axes(left + column * (FACET + GAP), top, FACET, ROW * len(variants))
        name_metric(axes, name, FACET)
        _facet(axes, number, name, variants)
        labels = names if column == 0 else [""] * len(names)
        axes.set_yticks(range(len(names)), labels)
    return sheet


def _facet(axes: Axes, number: int, name: str, variants: Sequence[Variant]) -> None:
    """One metric: a bar for each variant from 0 on, the number, and the single answers."""
    means = [drawable(variant.means()[name]) for variant in variants]
    samples = [samples_of(variant, name) for variant in variants]
    known = [0.0, *(mean for mean in means if mean is not None), *chain(*samples)]
    low, high = min(known), max(known)
    span = high - low or 1.0
    full = span * FACET / (FACET - NUMBERS)
    axes.set_xlim(low, low + full)
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    for row, mean in enumerate(means):
        text = "-" if mean is None else short_number(mean)
        style = {"ha": "right", "va": "center_baseline", "gid": f"value-{number}-{row}"}
        axes.text(low + full, row, text, **style)
        if mean is not None:
            [bar] = axes.barh(row, mean, 0.66, color=PALE)
            bar.set_gid(f"bar-{number}-{row}")
        if len(samples[row]) > 1:
            gid = f"samples-{number}-{row}"
            axes.plot(samples[row], [row] * len(samples[row]), gid=gid, **dots(DEEP))

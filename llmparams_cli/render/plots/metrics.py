"""`compare`: every metric against a parameter that takes several numbers, or by variant."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llmparams_cli.analysis.comparison import Variant
from llmparams_cli.params.kinds import Number
from llmparams_cli.params.table import PARAMS
from llmparams_cli.render.plots.bars import bars
from llmparams_cli.render.plots.lines import MOST_LINES, Series, lines
from llmparams_cli.render.plots.sheet import Sheet


def metrics(variants: Sequence[Variant]) -> Sheet:
    """Lines if one parameter takes several numbers, else bars."""
    axis = _axis(variants)
    series = _series(variants, axis) if axis else []
    if axis and len(series) <= MOST_LINES:
        return lines(variants, axis, series)
    return bars(variants)


def _axis(variants: Sequence[Variant]) -> str | None:
    """The parameter with the most values, if these are numbers and every variant has one."""
    found = {}
    for name in variants[0].values:
        texts = [variant.values.get(name) for variant in variants]
        numeric = name in PARAMS and isinstance(PARAMS[name].kind, Number)
        if numeric and all(_is_number(text) for text in texts):
            found[name] = len({float(text or "") for text in texts})
    best = max(found, key=lambda name: found[name], default=None)
    return best if best and found[best] > 1 else None


def _is_number(text: str | None) -> bool:
    try:
        return math.isfinite(float(text or ""))
    except ValueError:  # one of the words that the parameter takes
        return False


def _series(variants: Sequence[Variant], axis: str) -> list[Series]:
    """One for each combination of the other values."""
    found: dict[str, Series] = {}
    for variant in variants:
        others = {key: text for key, text in variant.values.items() if key != axis}
        parts = (text if key == "preset" else f"{key}={text}" for key, text in others.items())
        name = " ".join(parts)
        series = found.setdefault(name, Series(name))
        series.points.append((float(variant.values[axis]), variant))
    for series in found.values():
        series.points.sort(key=lambda point: point[0])
    return list(found.values())

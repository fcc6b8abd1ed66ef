"""The data of the page of `tune`: curves, answers at every check, what was gained and changed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from llmparams_cli.analysis.tuning import Changed, Course, Stride, Tuned, overfit, smoothed
from llmparams_cli.render.tuning.data import significant
from llmparams_cli.render.tuning.words import (
    MEASURED,
    by_layer,
    ended,
    kept_told,
    learned_by_heart,
    limits,
    loss_text,
    many,
    measures,
    plan_rows,
    ratio_text,
)
from llmparams_cli.text.numbers import finite, rounded
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import percent, size_text

MOST_POINTS = 1500  # of a curve: neighbours are averaged
MOST_LAYERS = 200


def document(tuned: Tuned) -> dict[str, Any]:
    """Everything that the page shows."""
    plan, course = tuned.plan, tuned.course
    made = f"{tuned.target}: {tuned.type}, {size_text(tuned.bytes)}"
    warnings = (one_line(course.word), learned_by_heart(course))
    return {
        "title": one_line(f"Training {plan.model}"),
        "facts": one_line(f"{ended(plan, course)}; {made}"),
        "kept": kept_told(course),
        "warnings": [text for text in warnings if text],
        "curves": _curves(course),
        "checks": _checks(course),
        "prompts": list(tuned.prompts),
        "before": list(tuned.before),
        "after": list(tuned.after),
        "measured": {
            "head": list(MEASURED),
            "rows": [list(row) for row in measures(course, tuned.held_out)],
            "ratio": ratio_text(tuned.held_out) if tuned.held_out else "",
        },
        "changes": _changes(tuned.changed),
        "untouched": many(tuned.untouched, "tensor") if tuned.untouched else "",
        "plan": [[label, one_line(text)] for label, text in plan_rows(plan)],
    }


def _curves(course: Course) -> dict[str, Any]:
    """The curves over the steps, of at most `MOST_POINTS`, and where to draw them."""
    losses = [stride.loss for stride in course.strides]
    soft, checks = smoothed(losses), [check.loss for check in course.checks]
    groups = list(_groups(course.strides))
    best = course.best
    return {
        "steps": [group[-1].step for group in groups],
        "losses": [_mean([stride.loss for stride in group]) for group in groups],
        "smoothed": [_mean(soft[place : place + len(groups[0])]) for place in _starts(groups)],
        "rates": [significant(group[-1].rate) for group in groups],
        "limits": [rounded(edge) for edge in limits(losses, [*soft, *checks])],
        "each": len(groups[0]) if groups else 1,
        "best": best.step if best else None,
        "overfits": overfit(course),
    }


def _groups(strides: Sequence[Stride]) -> Sequence[Sequence[Stride]]:
    """Neighbours, as many together as are needed to be few enough."""
    each = -(-len(strides) // MOST_POINTS) or 1
    return [strides[start : start + each] for start in range(0, len(strides), each)]


def _starts(groups: Sequence[Sequence[Stride]]) -> range:
    each = len(groups[0]) if groups else 1
    return range(0, sum(map(len, groups)), each)


def _mean(losses: Sequence[float]) -> float | None:
    """The mean, None if one of them is no number: the curve has a gap there."""
    return rounded(fmean(losses)) if all(finite(loss) is not None for loss in losses) else None


def _checks(course: Course) -> list[dict[str, Any]]:
    return [
        {
            "step": check.step,
            "loss": rounded(check.loss),
            "told": loss_text(check.loss),
            "answers": list(check.answers),
        }
        for check in course.checks
    ]


def _changes(changed: Sequence[Changed]) -> dict[str, Any]:
    """A row for each layer and one for each tensor outside, with shares of the largest change."""
    kinds, layers = by_layer(changed, grouped=False)
    outside = [each for each in changed if each.layer is None]
    cells = [value for row in layers.values() for value in row.values()]
    most = max([*cells, *(each.relative for each in outside)], default=0.0) or 1.0
    return {
        "kinds": kinds,
        "layers": [
            {"name": str(layer), "cells": [_cell(row.get(kind), most) for kind in kinds]}
            for layer, row in sorted(layers.items())[:MOST_LAYERS]
        ],
        "more": max(0, len(layers) - MOST_LAYERS),
        "outside": [
            {"name": one_line(each.name), "cells": [_cell(each.relative, most)]} for each in outside
        ],
    }


def _cell(value: float | None, most: float) -> list[Any] | None:
    """What to write in a cell, and how much of it to fill."""
    return None if value is None else [percent(value), significant(value / most)]

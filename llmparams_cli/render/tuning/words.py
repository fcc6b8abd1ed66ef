"""Numbers and sentences about a training run, as all views write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from llmparams_cli.analysis.tuning import Changed, Course, End, Plan, overfit
from llmparams_cli.models.anatomy import ORDER
from llmparams_cli.render.transfer import duration
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import percent

LONGEST = 24  # characters of a value
FAMILIES = ("attention", "feed-forward", "experts")  # whose kinds share a column
TINY = 0.001  # below it, rates have an exponent


def rate_text(rate: float | None) -> str:
    """A learning rate: 3e-4, 1.25e-5, 0.01."""
    if rate is None or not math.isfinite(rate):
        return "-"
    if rate == 0 or abs(rate) >= TINY:
        return f"{rate:.3g}"
    digits, exponent = f"{rate:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def loss_text(loss: float) -> str:
    """A loss: 1.234; what is no number as it is called."""
    return f"{loss:.3f}" if abs(loss) < 1e5 else f"{loss:.3g}"


def time_text(seconds: float) -> str:
    """A time: 0.4 s, 12 s, 3:10, 1:02:30."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 60 else duration(seconds)


def per_second(tokens: int, seconds: float) -> str:
    """'1,234 tokens/s', empty if nothing was measured."""
    return f"{tokens / seconds:,.0f} tokens/s" if tokens > 0 and seconds > 0 else ""


def values_text(values: Mapping[str, str]) -> str:
    """'layers=4 width=256'."""
    shown = (f"{name}={beginning(value, LONGEST)}" for name, value in values.items())
    return one_line(" ".join(shown))


def share_text(plan: Plan) -> str:
    """The share of the parameters that train."""
    return percent(plan.trained / plan.parameters if plan.parameters else 0.0)


def ended(plan: Plan, course: Course) -> str:
    """Why the run ended, and after how many steps."""
    done = course.strides[-1].step if course.strides else 0
    of = f"{done:,} of {plan.steps:,} steps"
    if course.end is None:
        return of
    if course.end is End.STEPS:
        return f"all {done:,} steps are done"
    return f"{course.end.value} after {of}"


def kept(course: Course) -> str:
    """Which weights were kept; empty if nothing was held out."""
    best = course.best
    if best is None:
        return ""
    first = course.checks[0]
    if best is first:
        return f"kept: step {best.step:,} (none was better on what is held out)"
    losses = f"{loss_text(first.loss)} \u2192 {loss_text(best.loss)}"
    return f"kept: step {best.step:,} (held out: {losses})"


def learned_by_heart(course: Course) -> str:
    """That the run overfits, and from where; empty if it does not."""
    step = overfit(course)
    if step is None:
        return ""
    return (
        f"it overfits from step {step:,} on: the loss on what it learns from falls, "
        "but that on what is held out rises"
    )


def family(kind: str) -> str:
    """The column of a kind of tensor where kinds that belong together share one."""
    return next((name for name in FAMILIES if kind.startswith(name)), kind)


def by_layer(
    changed: Sequence[Changed], *, grouped: bool
) -> tuple[list[str], dict[int, dict[str, float]]]:
    """The kinds of tensors in the layers (or their families) in the order in which kinds are shown,
    and of each layer by kind how far its tensors moved: the mean of them.
    """
    found: dict[int, dict[str, list[float]]] = {}
    names = sorted({each.kind for each in changed if each.layer is not None}, key=_place)
    for each in sorted(changed, key=lambda each: each.layer or 0):
        if each.layer is not None:
            kind = family(each.kind) if grouped else each.kind
            found.setdefault(each.layer, {}).setdefault(kind, []).append(each.relative)
    columns = dict.fromkeys(map(family, names) if grouped else names)
    means = {
        layer: {kind: fmean(values) for kind, values in row.items()} for layer, row in found.items()
    }
    return list(columns), means


def _place(kind: str) -> tuple[int, str]:
    return ORDER.get(kind, len(ORDER)), kind

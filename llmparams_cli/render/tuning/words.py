"""Numbers and sentences about a training run, as all views write them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from llmparams_cli.analysis.held_out import Estimate, HeldOut
from llmparams_cli.analysis.tuning import Changed, Course, End, Plan, overfit
from llmparams_cli.models.anatomy import ORDER
from llmparams_cli.render.transfer import time_text
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import count_text, percent, size_text

LONGEST = 24  # characters of a value
FAMILIES = ("attention", "feed-forward", "experts")  # whose kinds share a column
MOST_RISE = 1.5  # a loss that runs away is cut at so many times where it began
CERTAIN = 2  # standard errors
MEASURED = ("held out", "before", "after")
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


def plan_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    """A plan line by line: a label, and what it is about."""
    yield "model", plan.model
    yield "engine", plan.how
    of = f"{count_text(plan.trained)} of {count_text(plan.parameters)}"
    yield "trains", f"{share_text(plan)} of the parameters ({of}): {plan.trains}"
    for place, label in enumerate(("learns from", "held out")):
        rows, tokens = plan.rows[place], plan.tokens[place]
        yield (
            label,
            f"{many(plan.documents[place], 'document')}, {many(rows, 'row')}, "
            + many(tokens, "token"),
        )
    steps = f"{many(plan.steps, 'step')} × {many(plan.batch, 'row')} × {plan.size:,} tokens"
    yield "work", f"{steps} = {plan.epochs:.3g} epoch{'s' * (plan.epochs != 1)}"
    warm = f", {many(plan.warmup, 'step')} of warm-up" if plan.warmup else ""
    yield "optimiser", f"{plan.optimiser}, rate {rate_text(plan.rate)}, {plan.schedule}{warm}"
    if plan.memory is not None:
        yield "memory", f"about {size_text(plan.memory)}"
    if plan.seconds is not None:
        yield "time", f"about {time_text(plan.seconds)}"


def many(count: int, word: str) -> str:
    """'1 row', '1,234 rows'."""
    return f"{count:,} {word}{'s' * (count != 1)}"


def kept_told(course: Course) -> str:
    """Which weights were kept, as a sentence."""
    best = course.best
    if best is None:
        return f"the weights of step {course.kept:,} are kept: nothing was held out to judge by"
    told = f"the weights of step {best.step:,} are kept, the best on what is held out"
    worse = best is course.checks[0] and len(course.checks) > 1
    return f"{told}: no later ones were better" if worse else told


def limits(noisy: Sequence[float], curves: Sequence[float]) -> tuple[float, float]:
    """From the lowest to the highest point of the curves and of nearly all steps; what runs away is
    cut off.
    """
    known = sorted(filter(math.isfinite, noisy))
    edges = known[len(known) // 100 : len(known) - len(known) // 100]
    seen = [*edges, *filter(math.isfinite, curves)] or [0.0, 1.0]
    early = [*filter(math.isfinite, noisy[: 1 + len(noisy) // 20])]
    low, high = min(seen), min(max(seen), MOST_RISE * max(early, default=max(seen)))
    room = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
    return low - room, high + room


def measures(course: Course, found: HeldOut | None) -> list[tuple[str, ...]]:
    """Under `MEASURED`: the loss at the first check and at the best, and both perplexities."""
    rows: list[tuple[str, ...]] = []
    if course.best:
        losses = course.checks[0].loss, course.best.loss
        rows.append(("loss", *map(loss_text, losses)))
    if found:
        texts = (_with_error(each, 3) for each in found.perplexities)
        rows.append(("perplexity", *texts))
    return rows


def ratio_text(found: HeldOut) -> str:
    """'perplexity × 0.3563 ± 0.0184', and whether that is any difference."""
    ratio = found.factor
    same = abs(ratio.value - 1) <= CERTAIN * ratio.error
    told = " (no difference beyond the error)" if same else ""
    return f"perplexity × {_with_error(ratio, 4)}{told}"


def _with_error(found: Estimate, digits: int) -> str:
    known = "" if math.isnan(found.error) else f" ± {found.error:.{digits}f}"
    return f"{found.value:.{digits}f}{known}"

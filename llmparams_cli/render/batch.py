"""`llmparams batch`: how far it is, and how it went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmparams_cli.analysis.batch import Tally
from llmparams_cli.env import Environment
from llmparams_cli.render.summary import separator
from llmparams_cli.render.transfer import time_text
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.units import counted, short_number


def status(env: Environment, tally: Tally, total: tuple[int, bool] | None) -> str:
    """One line for the terminal, while it runs; of so many rows, if that is known or certain."""
    of = f" of {'' if total[1] else 'about '}{total[0]:,}" if total else ""
    items = [f"{tally.rows:,}{of} rows"]
    if tally.errors:
        items.append(f"{tally.errors:,} errors")
    if (speed := tally.tokens_per_second) is not None:
        items.append(f"{tally.completion_tokens:,} tokens, {speed:.0f}/s")
    left = total[0] - tally.rows if total else 0
    if left > 0 and tally.new:
        items.append(f"{time_text(tally.seconds * left / tally.new)} left")
    return separator(env.stderr).join(items)


def summary(tally: Tally) -> Iterator[str]:
    """How it went, in lines."""
    kept = f", {tally.kept:,} of them from before" if tally.kept else ""
    errors = f", {tally.errors:,} errors" if tally.errors else ""
    yield f"{counted(tally.rows, 'row')}{kept}{errors} in {time_text(tally.seconds)}"
    speed = tally.tokens_per_second
    if tally.completion_tokens and speed is not None:
        cached = f" ({tally.cached_tokens:,} shared)" if tally.cached_tokens else ""
        yield (
            f"tokens: {tally.prompt_tokens:,} read{cached}, {tally.completion_tokens:,} written, "
            f"{speed:.1f}/s"
        )
    if tally.stops:
        yield "stops: " + ", ".join(f"{name} {n:,}" for name, n in tally.stops.most_common())
    if cost := tally.per_thousand():
        yield (
            f"a thousand such rows: {time_text(cost['seconds'])}, "
            f"{cost['prompt_tokens']:,.0f} tokens read, {cost['completion_tokens']:,.0f} written"
        )
    if means := tally.means():
        yield "means: " + ", ".join(f"{name} {short_number(x)}" for name, x in means.items())
    if tally.passed or tally.failed:
        yield f"passed: {tally.passed:,} of {tally.passed + tally.failed:,}"
    if tally.invalid:
        yield f"not as the schema wants: {tally.invalid:,}"


def summary_object(tally: Tally, *, complete: bool) -> dict[str, Any]:
    """The same for scripts."""
    cost = tally.per_thousand()
    return {
        "complete": complete,
        "rows": tally.rows,
        "kept": tally.kept,
        "errors": tally.errors,
        "stops": dict(tally.stops),
        "usage": {
            "prompt_tokens": tally.prompt_tokens,
            "cached_tokens": tally.cached_tokens,
            "completion_tokens": tally.completion_tokens,
        },
        "seconds": rounded(tally.seconds),
        "tokens_per_s": rounded(tally.tokens_per_second),
        "per_thousand_rows": cost and {name: rounded(value) for name, value in cost.items()},
        "metrics": {name: rounded(value) for name, value in tally.means().items()},
        "passed": tally.passed,
        "failed": tally.failed,
        "invalid": tally.invalid,
    }

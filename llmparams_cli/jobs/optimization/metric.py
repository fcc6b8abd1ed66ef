"""--metric: what is to be as large as possible, a number for each case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from llmparams_cli.analysis.comparison import Shell, own_metric, read_metric
from llmparams_cli.analysis.optimization import Scale
from llmparams_cli.errors import UsageError
from llmparams_cli.presets.outcome import Result
from llmparams_cli.protocol import Finished

PASS = "pass"
MEANS = (
    *("tokens", "thought", "distinct-1", "distinct-2", "repetition"),
    *("entropy", "drawn_entropy", "logprob"),
)
EXAMPLE = f"pass, command:COMMAND, or mean:NAME with {', '.join(MEANS)}, json, regex:… or length:…"


@dataclass(frozen=True)
class Metric:
    """A number for one case, over its answers: NaN if it is undefined. Only `measured` answers have
    the probabilities that it may need.
    """

    name: str
    of: Callable[[Result], float]
    measured: bool = False

    @property
    def scale(self) -> Scale:
        """What its numbers are."""
        return Scale.SHARE if self.name == PASS else Scale.NUMBER


def read(text: str, shell: Shell) -> Metric:
    """Read --metric; raises UsageError."""
    if text == PASS:
        return Metric(text, _passed)
    kind, _, name = text.partition(":")
    if kind == "command" and name:
        own = read_metric(text, shell, _refuse)
        return Metric(text, lambda result: _mean(result, own.measure))
    if kind != "mean" or not name:
        raise UsageError(f"--metric {text!r} is unknown", EXAMPLE)
    if name in MEANS:
        of = own_metric(name).measure
        return Metric(text, lambda result: _mean(result, of), measured=True)
    if name.partition(":")[0] not in ("json", "regex", "length"):
        raise UsageError(f"--metric {text!r} is unknown", EXAMPLE)
    own = read_metric(name, shell, _refuse)
    return Metric(text, lambda result: _mean(result, own.measure))


def _passed(result: Result) -> float:
    return 0.0 if result.distinct else result.passes / len(result.outcomes)


def _mean(result: Result, of: Callable[[Finished], float | None]) -> float:
    found = [of(outcome.answer) for outcome in result.outcomes]
    return fmean(math.nan if each is None else each for each in found)


def _refuse(message: str) -> None:
    """A missing number would count as neither good nor bad: settings would win by breaking it."""
    raise UsageError(message)

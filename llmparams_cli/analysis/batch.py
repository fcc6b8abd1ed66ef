"""How the rows of a batch ended, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmparams_cli.analysis.comparison import Metric
from llmparams_cli.text.numbers import finite


@dataclass
class Tally:
    """Counts of rows: all that are done, those `kept` from an earlier run, errors; why answers
    stopped; tokens of this run's answers; sums and counts of metrics; tests and schemas.
    """

    rows: int = 0
    kept: int = 0
    errors: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    metrics: dict[str, tuple[float, int]] = field(default_factory=dict)
    passed: int = 0
    failed: int = 0
    invalid: int = 0
    seconds: float = 0.0

    @property
    def new(self) -> int:
        """The rows that were done in this run."""
        return self.rows - self.kept

    @property
    def tokens_per_second(self) -> float | None:
        """Of answers, over the whole run."""
        return self.completion_tokens / self.seconds if self.seconds > 0 else None

    def means(self) -> dict[str, float]:
        """Every metric's mean over the answers for which it is defined."""
        return {name: total / count for name, (total, count) in self.metrics.items() if count}

    def per_thousand(self) -> dict[str, float] | None:
        """What a thousand rows of this run cost: seconds and tokens."""
        if not self.new:
            return None
        scale = 1000 / self.new
        return {
            "seconds": self.seconds * scale,
            "prompt_tokens": self.prompt_tokens * scale,
            "completion_tokens": self.completion_tokens * scale,
        }

    def add(self, record: Mapping[str, Any], *, kept: bool = False) -> None:
        """Count a row by its record, of either form."""
        self.rows += 1
        self.kept += kept
        if record.get("error"):
            self.errors += 1
            return
        answer = answer_of(record)
        self.stops[answer["stop"]["reason"]] += 1
        if not kept:
            usage = answer["usage"]
            self.prompt_tokens += usage["prompt_tokens"]
            self.completion_tokens += usage["completion_tokens"]
            self.cached_tokens += cached_tokens(usage)
        for name, value in (record.get("metrics") or {}).items():
            total, count = self.metrics.get(name, (0.0, 0))
            if finite(value) is not None:
                total, count = total + value, count + 1
            self.metrics[name] = total, count
        if "passed" in record:
            self.passed += record["passed"]
            self.failed += not record["passed"]
        self.invalid += record.get("valid") is False


def answer_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a record that has `stop` and `usage`: of OpenAI's form, the response's body."""
    if "response" not in record:
        return record
    body = record["response"]["body"]
    return {**body, "stop": body["choices"][0]["stop"]}


def cached_tokens(usage: Mapping[str, Any]) -> int:
    """Tokens of the prompt that were not read again."""
    details = usage.get("prompt_tokens_details", usage)
    return int(details.get("cached_tokens", 0))


def scores(metrics: Sequence[Metric], finished: Any) -> dict[str, float | None]:
    """The metrics of an answer."""
    return {metric.name: metric.measure(finished) for metric in metrics}

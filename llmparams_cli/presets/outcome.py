"""Judges a preset's tests: each seed's answer against what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmparams_cli.constraints.checking import exact_json
from llmparams_cli.presets.tests import Case
from llmparams_cli.protocol import Finished
from llmparams_cli.text.shorten import beginning

# Runs a command with a text on its standard input: its exit code and what it printed.
Shell = Callable[[str, str], tuple[int, str]]
LONGEST_TEXT = 61  # characters of an answer that a failure quotes


@dataclass(frozen=True)
class Outcome:
    """One answer and the assertions that it fails; it passed if there are none."""

    seed: int
    answer: Finished
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """One test over all its seeds. `distinct` is that assertion's failure, or empty."""

    preset: str
    case: Case
    outcomes: tuple[Outcome, ...]
    distinct: str = ""
    seconds: float = 0.0

    @property
    def passes(self) -> int:
        return sum(not outcome.failures for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        return self.passes >= self.case.at_least and not self.distinct


def judge(
    preset: str,
    case: Case,
    answers: Sequence[tuple[int, Finished]],
    shell: Shell | None = None,
) -> Result:
    """Check every assertion of a test on the answers, which come with their seeds; those with a
    command through the `shell`.
    """
    outcomes = tuple(
        Outcome(seed, answer, tuple(_failures(case, answer, shell))) for seed, answer in answers
    )
    seconds = sum(answer.timing.prompt_s + answer.timing.generation_s for _, answer in answers)
    texts = {answer.text for _, answer in answers}
    wanted = case.expect.get("distinct")
    distinct = ""
    if wanted and not wanted.holds(len(texts)):
        distinct = f"distinct: {len(texts)} different answers, expected {wanted}"
    return Result(preset, case, outcomes, distinct, seconds)


def _failures(case: Case, answer: Finished, shell: Shell | None) -> Iterator[str]:
    if shell and (command := case.expect.get("command")):
        code, printed = shell(command, answer.text)
        if code:
            yield f"command: {_short(command)} ended with {code}: {_short(printed.strip())}"
    for name, wanted in case.expect.items():
        if (test := TESTS.get(name)) and (reason := test(answer, wanted)):
            yield f"{name}: {reason}"


def _contains(answer: Finished, texts: Sequence[str]) -> str:
    missing = [text for text in texts if text not in answer.text]
    return f"{_listed(missing)} is not in {_short(answer.text)}" if missing else ""


def _lacks(answer: Finished, texts: Sequence[str]) -> str:
    found = [text for text in texts if text in answer.text]
    return f"{_listed(found)} is in {_short(answer.text)}" if found else ""


def _matches(answer: Finished, pattern: Any) -> str:
    return "" if pattern.search(answer.text) else f"{pattern.pattern!r} finds nothing"


def _json(answer: Finished, _wanted: bool) -> str:
    try:
        exact_json.read(answer.text)
    except ValueError as error:
        return f"{_short(answer.text)} is not JSON: {error}"
    return ""


def _schema(answer: Finished, wanted: Any) -> str:
    from llmparams_cli.constraints.checking.schema_check import fault

    return fault(answer.text, wanted)


def _stop(answer: Finished, reasons: Sequence[str]) -> str:
    reason = answer.stop.reason.value
    return "" if reason in reasons else f"{reason}, expected {' or '.join(reasons)}"


def _within(measure: Callable[[Finished], float | None]) -> Callable[[Finished, Any], str]:
    def test(answer: Finished, interval: Any) -> str:
        value = measure(answer)
        if value is None:
            return "the answer has no tokens"
        return "" if interval.holds(value) else f"{value:.4g}, expected {interval}"

    return test


def _entropy(answer: Finished) -> float | None:
    """The mean entropy of the answer's tokens, in bits."""
    values = [token.entropy for token in answer.answer_tokens if token.entropy is not None]
    return sum(values) / len(values) if values else None


def _probability(answer: Finished) -> float | None:
    """The geometric mean of the tokens' probabilities."""
    values = [token.logprob for token in answer.answer_tokens if token.logprob is not None]
    return math.exp(sum(values) / len(values)) if values else None


def _first(answer: Finished, wanted: Any) -> str:
    """Why the probability that the answer begins with the expected token is not as wanted."""
    if answer.usage.reasoning_tokens:  # where the answer begins is known only after that
        return "the model thought before it answered; it is measured without thoughts (thinking)"
    return _within(_probability_of_first)(answer, wanted)


def _probability_of_first(answer: Finished) -> float | None:
    logprob = answer.tokens[0].expected_logprob if answer.tokens else None
    return None if logprob is None else math.exp(logprob)


# `distinct` is missing here: it judges all answers together, in `judge`.
TESTS: dict[str, Callable[[Finished, Any], str]] = {
    "contains": _contains,
    "lacks": _lacks,
    "matches": _matches,
    "json": _json,
    "schema": _schema,
    "stop": _stop,
    "tokens": _within(lambda answer: len(answer.answer_tokens)),
    "characters": _within(lambda answer: len(answer.text)),
    "entropy": _within(_entropy),
    "probability": _within(_probability),
    "first": _first,
}


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts))


def _short(text: str) -> str:
    return repr(beginning(text, LONGEST_TEXT))

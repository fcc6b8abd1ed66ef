"""What `compare` finds out: variants, their samples, and what can be measured of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, count
from statistics import fmean

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.errors import UsageError
from llmparams_cli.protocol import Finished, Token
from llmparams_cli.text.utf8 import joined

Measure = Callable[[Finished], float]
# A command, and the text for its standard input, to its exit code and what it printed.
Shell = Callable[[str, str], tuple[int, str]]


@dataclass(frozen=True)
class Metric:
    """A number for one answer. Shares count answers: 1 where something holds, else 0."""

    name: str
    measure: Measure


@dataclass(frozen=True)
class Sample:
    """One answer of a variant, and its metrics by name; None where there is no number.

    `explanation` is every draw of it, where that was asked for and there was room.
    """

    prompt: str
    seed: int
    finished: Finished
    metrics: dict[str, float | None]
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Variant:
    """One combination of settings. `values` are what sets it apart, as flags take them."""

    name: str
    values: dict[str, str]
    samples: list[Sample] = field(default_factory=list)

    def means(self) -> dict[str, float | None]:
        """Every metric's mean over the samples; and how much the samples agree."""
        names = self.samples[0].metrics if self.samples else {}
        means = {name: _mean(s.metrics[name] for s in self.samples) for name in names}
        return {**means, "agreement": agreement(self.samples)}

    def stops(self) -> dict[str, int]:
        """Stop reasons and how often each came."""
        reasons = [sample.finished.stop.reason.value for sample in self.samples]
        return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


@dataclass(frozen=True)
class Branch:
    """What some answers have at a fork: a token, or None where they end. `answers` are their
    places among all.
    """

    token: Token | None
    answers: tuple[int, ...]


@dataclass(frozen=True)
class Fork:
    """Answers that were equal up to the text `before` part at draw `number`, from 1. `depth` is
    how many forks they share before this one.
    """

    number: int
    before: str
    depth: int
    branches: tuple[Branch, ...]


def distinguished(name: str, taken: Collection[str]) -> str:
    """The name of a variant; with a number where others have it already."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(each for each in names if each not in taken)


def side_by_side(variants: Sequence[Variant]) -> list[list[Sample]]:
    """The first answer of every variant, the second of each, … : one prompt and, unless seeds
    are what is compared, one seed.
    """
    return [list(row) for row in zip(*(variant.samples for variant in variants), strict=True)]


def forks(answers: Sequence[Sequence[Token]]) -> list[Fork]:
    """Where answers part: a tree in which every fork comes before those of its branches."""
    found = []
    waiting = [(tuple(range(len(answers))), 0, 0)]
    while waiting:
        together, place, depth = waiting.pop()
        branches = _branches(answers, together, place)
        while len(branches) == 1 and branches[0].token is not None:
            place += 1
            branches = _branches(answers, together, place)
        if len(branches) > 1:
            before = joined(token.text for token in answers[together[0]][:place])
            found.append(Fork(place + 1, before, depth, branches))
            waiting += [
                (branch.answers, place + 1, depth + 1)
                for branch in reversed(branches)
                if len(branch.answers) > 1 and branch.token is not None
            ]
    return found


def _branches(
    answers: Sequence[Sequence[Token]], together: Sequence[int], place: int
) -> tuple[Branch, ...]:
    """The tokens that these answers have in this place, in their order."""
    groups: dict[int | None, list[int]] = {}
    for number in together:
        tokens = answers[number]
        groups.setdefault(tokens[place].id if place < len(tokens) else None, []).append(number)
    return tuple(
        Branch(None if id is None else answers[group[0]][place], tuple(group))
        for id, group in groups.items()
    )


def distinct(text: str, n: int) -> float | None:
    """Different sequences of n words, as a share of all (Li et al. 2016, distinct-n)."""
    grams = n_grams(text, n)
    return len(set(grams)) / len(grams) if grams else None


def repetition(text: str) -> float | None:
    """The share of four-word sequences that came before in the same text."""
    share = distinct(text, 4)
    return None if share is None else 1 - share


def n_grams(text: str, n: int) -> list[tuple[str, ...]]:
    """All sequences of n words, which are letters and digits in lower case."""
    words = re.findall(r"\w+", text.lower())
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def agreement(samples: Sequence[Sample]) -> float | None:
    """How alike samples of one prompt are: the mean over all pairs of the share of two-word
    sequences that both have (Jaccard). Equal seeds of a prompt that was given twice are one
    answer, not two that agree. None where there is no pair.
    """
    shares = []
    for one, other in combinations(samples, 2):
        if one.prompt == other.prompt and one.seed != other.seed:
            a, b = (set(n_grams(s.finished.text, 2)) for s in (one, other))
            shares.append(len(a & b) / len(a | b) if a | b else 1.0)
    return fmean(shares) if shares else None


def measure(finished: Finished, more: Sequence[Metric]) -> dict[str, float | None]:
    """The metrics of one answer, in the order of the table."""
    timing = finished.timing
    tokens = finished.tokens
    seconds = timing.generation_s
    return {
        "tokens": float(len(tokens)),
        "distinct-1": distinct(finished.text, 1),
        "distinct-2": distinct(finished.text, 2),
        "repetition": repetition(finished.text),
        "entropy": _mean(token.entropy for token in tokens),
        "logprob": _mean(token.logprob for token in tokens),
        "first_token_s": timing.first_token_s,
        "tokens_per_s": (len(tokens) - 1) / seconds if len(tokens) > 1 and seconds > 0 else None,
        **{metric.name: metric.measure(finished) for metric in more},
    }


def read_metric(text: str, shell: Shell) -> Metric:
    """Read --metric: json, regex:PATTERN, length:LOW-HIGH (tokens), command:SHELL COMMAND.

    The number of the latter is what the command prints, which `shell` runs for each answer.
    """
    kind, _, rest = text.partition(":")
    if kind == "json" and not rest:
        return Metric("json", _is_json)
    if kind == "regex" and rest:
        try:
            pattern = re.compile(rest, re.MULTILINE)
        except re.error as error:
            raise UsageError(f"--metric {text}: not a regular expression: {error}") from error
        return Metric(text, lambda finished: float(bool(pattern.search(finished.text))))
    if kind == "length" and (match := re.fullmatch(r"(\d+)-(\d+)", rest)):
        low, high = map(int, match.groups())
        if low > high:
            raise UsageError(f"--metric {text}: the band is empty", f"length:{high}-{low}")
        return Metric(text, lambda finished: float(low <= len(finished.tokens) <= high))
    if kind == "command" and rest:
        return Metric(text, lambda finished: _printed_number(rest, shell(rest, finished.text)))
    raise UsageError(
        f"--metric {text!r} is unknown",
        "json, regex:PATTERN, length:10-50 (tokens), or command:COMMAND that reads the text "
        "and prints a number",
    )


def _is_json(finished: Finished) -> float:
    try:
        json.loads(finished.text)
    except (ValueError, RecursionError):
        return 0.0
    return 1.0


def _printed_number(command: str, ended: tuple[int, str]) -> float:
    code, printed = ended
    words = printed.split()
    try:
        if code == 0 and math.isfinite(number := float(words[0])):
            return number
    except (ValueError, IndexError):
        pass
    shown = " ".join(words)[:80]
    raise UsageError(
        f"--metric command:{command} ended with {code} and printed {shown!r}",
        "it must print a number and end with 0",
    )


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None

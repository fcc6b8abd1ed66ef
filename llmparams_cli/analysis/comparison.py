"""The result of `compare`: variants, their samples, and metrics of them."""

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

# What the numbers say, for whoever reads them.
EXPLAINED = {
    "thought": "tokens thought before the answer; no other number counts them",
    "distinct-1": "the share of different words among all: 1 is no word twice",
    "distinct-2": "the same for pairs of words in a row",
    "repetition": "the share of four-word sequences that the text had before",
    "entropy": "bits of uncertainty per token in the model's own distribution",
    "drawn_entropy": "the same in what was drawn from, after all settings",
    "logprob": "mean log probability of the tokens in the model's distribution",
    "agreement": "pairs of words that a variant's answers share: 1 is all, 0 none",
}
# Plots leave out what teaches nothing about a parameter: the speed, and the model's own
# uncertainty, which depends on where in which text it was asked.
UNPICTURED = ("entropy", "first_token_s", "tokens_per_s")
Measure = Callable[[Finished], float | None]
# Runs a command with a text on its standard input: returns its exit code and output.
Shell = Callable[[str, str], tuple[int, str]]


@dataclass(frozen=True)
class Metric:
    """A number for one answer; for a yes or no it is 1 or 0, so that its mean is a share."""

    name: str
    measure: Measure


@dataclass(frozen=True)
class Sample:
    """One answer of a variant, and its metrics by name (None if one is undefined for it).

    `explanation` holds its draws, if that was asked for and there was room.
    """

    prompt: str
    seed: int
    finished: Finished
    metrics: dict[str, float | None]
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Variant:
    """One combination of settings. `values` are those that set it apart, as flags take them."""

    name: str
    values: dict[str, str]
    samples: list[Sample] = field(default_factory=list)

    def means(self) -> dict[str, float | None]:
        """Every metric's mean over the samples, and the samples' agreement."""
        names = self.samples[0].metrics if self.samples else {}
        means = {name: _mean(s.metrics[name] for s in self.samples) for name in names}
        return {**means, "agreement": agreement(self.samples)}

    def stops(self) -> dict[str, int]:
        """Each stop reason's count."""
        reasons = [sample.finished.stop.reason.value for sample in self.samples]
        return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


@dataclass(frozen=True)
class Branch:
    """Answers that continue alike after a fork: with this token, or None if they end there.
    `answers` are their indices.
    """

    token: Token | None
    answers: tuple[int, ...]


@dataclass(frozen=True)
class Fork:
    """Answers with the text `before` in common diverge at draw `number`, counted from 1.
    `depth` is the number of forks on the way to this one.
    """

    number: int
    before: str
    depth: int
    branches: tuple[Branch, ...]


def distinguished(name: str, taken: Collection[str]) -> str:
    """The name of a variant, with a number added if it is taken."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(each for each in names if each not in taken)


def side_by_side(variants: Sequence[Variant]) -> list[list[Sample]]:
    """The first answers of all variants, then the second ones, and so on. Those in a row have
    one prompt and, unless seeds are compared, one seed.
    """
    return [list(row) for row in zip(*(variant.samples for variant in variants), strict=True)]


def forks(answers: Sequence[Sequence[Token]]) -> list[Fork]:
    """Where answers diverge: a tree, every fork before the forks of its branches."""
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
                for branch in reversed(branches)  # `waiting` is a stack
                if len(branch.answers) > 1 and branch.token is not None
            ]
    return found


def _branches(
    answers: Sequence[Sequence[Token]], together: Sequence[int], place: int
) -> tuple[Branch, ...]:
    """Group these answers by their token at this index."""
    groups: dict[int | None, list[int]] = {}
    for number in together:
        tokens = answers[number]
        groups.setdefault(tokens[place].id if place < len(tokens) else None, []).append(number)
    return tuple(
        Branch(None if id is None else answers[group[0]][place], tuple(group))
        for id, group in groups.items()
    )


def distinct(text: str, n: int) -> float | None:
    """distinct-n: the share of n-word sequences that are different (Li et al. 2016)."""
    grams = n_grams(text, n)
    return len(set(grams)) / len(grams) if grams else None


def repetition(text: str) -> float | None:
    """The share of four-word sequences that occurred earlier in the same text."""
    share = distinct(text, 4)
    return None if share is None else 1 - share


def n_grams(text: str, n: int) -> list[tuple[str, ...]]:
    """All sequences of n consecutive words, in lower case and without punctuation."""
    words = re.findall(r"\w+", text.lower())
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def agreement(samples: Sequence[Sample]) -> float | None:
    """How alike samples of one prompt are: the mean Jaccard similarity of their two-word
    sequences, over all pairs; None if there is no pair. A prompt that was given twice yields
    the same answer for the same seed: such a pair does not count.
    """
    shares = []
    for one, other in combinations(samples, 2):
        if one.prompt == other.prompt and one.seed != other.seed:
            a, b = (set(n_grams(s.finished.text, 2)) for s in (one, other))
            shares.append(len(a & b) / len(a | b) if a | b else 1.0)
    return fmean(shares) if shares else None


def measure(finished: Finished, more: Sequence[Metric]) -> dict[str, float | None]:
    """The metrics of one answer, in the order in which they are shown. Only the speeds are those of
    its thoughts too.
    """
    timing = finished.timing
    tokens = finished.answer_tokens
    drawn, seconds = len(finished.tokens), timing.generation_s
    return {
        "tokens": float(len(tokens)),
        "thought": float(drawn - len(tokens)) or None,
        "distinct-1": distinct(finished.text, 1),
        "distinct-2": distinct(finished.text, 2),
        "repetition": repetition(finished.text),
        "entropy": _mean(token.entropy for token in tokens),
        "drawn_entropy": _mean(token.drawn_entropy for token in tokens),
        "logprob": _mean(token.logprob for token in tokens),
        "first_token_s": timing.first_token_s,
        "tokens_per_s": (drawn - 1) / seconds if drawn > 1 and seconds > 0 else None,
        **{metric.name: metric.measure(finished) for metric in more},
    }


def own_metric(name: str) -> Metric:
    """One of those that every answer has, by its name in `measure`."""
    return Metric(name, lambda finished: measure(finished, ())[name])


def read_metric(text: str, shell: Shell, note: Callable[[str], None]) -> Metric:
    """Read --metric: json, regex:PATTERN, length:LOW-HIGH (tokens), command:SHELL COMMAND.

    For the last one `shell` runs the command on each answer; it prints the number. Where it does
    not, `note` is told, and the metric is missing.
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
        return Metric(text, lambda finished: float(low <= len(finished.answer_tokens) <= high))
    if kind == "command" and rest:
        return Metric(text, lambda finished: _number(rest, shell(rest, finished.text), note))
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


def _number(command: str, ended: tuple[int, str], note: Callable[[str], None]) -> float | None:
    code, printed = ended
    words = printed.split()
    try:
        if code == 0 and math.isfinite(number := float(words[0])):
            return number
    except (ValueError, IndexError):
        pass
    shown = " ".join(words)[:80]
    note(
        f"--metric command:{command} ended with {code} and printed {shown!r}: it is missing there"
        " (it must print a number and end with 0)"
    )
    return None


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None

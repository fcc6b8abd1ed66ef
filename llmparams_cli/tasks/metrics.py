"""What documents score, by the harness's definitions: acc, acc_norm, acc_bytes, exact_match."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmparams_cli.protocol import ModelInfo
from llmparams_cli.tasks.document import Task
from llmparams_cli.tasks.prompts import Document

INVALID = "[invalid]"  # what an answer becomes in which a regex finds nothing
LENGTHS: Mapping[str, Callable[[str], int]] = {  # of a choice
    "acc": lambda choice: 1,
    "acc_norm": len,
    "acc_bytes": lambda choice: len(choice.encode()),
}
EXACT = ("regexes_to_ignore", "ignore_case", "ignore_punctuation", "ignore_numbers")


@dataclass(frozen=True)
class Likelihood:
    """Of a choice: its log probability after the prompt (natural, the sum over its tokens), and
    whether the model would write it by itself (every token the most likely).
    """

    logprob: float
    greedy: bool


@dataclass(frozen=True)
class Marked:
    """A document with what the model made of it: the likelihoods of its choices, or its answer and
    what the filters left of that, by filter; and its scores, by filter and metric.
    """

    document: Document
    choices: tuple[Likelihood, ...]
    answer: str
    filtered: Mapping[str, str]
    scores: Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class TaskResult:
    """What a model scored. `seconds` are those that its answers took."""

    model: ModelInfo
    task: Task
    marked: tuple[Marked, ...]
    seconds: float

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The filters and metrics that there are scores for."""
        return list(self.marked[0].scores)

    def mean(self, column: tuple[str, str]) -> float:
        return math.fsum(each.scores[column] for each in self.marked) / len(self.marked)

    def error(self, column: tuple[str, str]) -> float | None:
        """The standard error of the mean, over documents; None for a single one."""
        count, mean = len(self.marked), self.mean(column)
        if count < 2:
            return None
        squares = math.fsum((each.scores[column] - mean) ** 2 for each in self.marked)
        return math.sqrt(squares / (count - 1) / count)


def weights(metric: str, document: Document, found: Sequence[Likelihood]) -> list[float]:
    """What the choices are compared by: their log probabilities, by their lengths if need be."""
    length = LENGTHS[metric]
    return [
        each.logprob / length(choice) for each, choice in zip(found, document.choices, strict=True)
    ]


def chosen(metric: str, document: Document, found: Sequence[Likelihood]) -> list[int]:
    """The choice that the model makes; by exact_match those that it would write by itself."""
    if metric not in LENGTHS:
        return [place for place, each in enumerate(found) if each.greedy]
    compared = weights(metric, document, found)
    return [compared.index(max(compared))]  # of equal ones the first


def mark_choices(task: Task, document: Document, found: Sequence[Likelihood]) -> Marked:
    """Score a document by the likelihoods of its choices."""
    scores = {}
    for metric in task.metrics:
        hit = any(place in document.right for place in chosen(metric, document, found))
        scores["none", metric] = float(hit)
    return Marked(document, tuple(found), "", {}, scores)


def mark_answer(
    task: Task, document: Document, answer: str, filters: Mapping[str, Callable[[str], str]]
) -> Marked:
    """Score a document by the text that was written."""
    filtered = {name: through(answer) for name, through in filters.items()}
    scores = {}
    for name, text in filtered.items():
        for metric, options in task.metrics.items():
            given = _plain(text, options)
            hit = any(given == _plain(right, options) for right in document.texts)
            scores[name, metric] = float(hit)
    return Marked(document, (), answer, filtered, scores)


def filters_of(task: Task) -> dict[str, Callable[[str], str]]:
    """What an answer goes through, by the names of `filter_list`. Refuses what is not known."""
    found = {}
    for name, steps in task.filters.items():
        found[name] = _chain([_step(task, name, step) for step in steps])
    for metric, options in task.metrics.items():
        for key in options:
            if key not in EXACT:
                task.refuse(f"{metric}: {key} is not known", f"known: {', '.join(EXACT)}")
        for pattern in options.get("regexes_to_ignore") or []:
            _regex(task, metric, pattern)
    return found


def _chain(steps: Sequence[Callable[[str], str]]) -> Callable[[str], str]:
    def through(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return through


def _step(task: Task, name: str, step: Any) -> Callable[[str], str]:
    simple: dict[Any, Callable[[str], str]] = {
        "take_first": str,  # there is only one answer
        "remove_whitespace": str.strip,
        "lowercase": str.lower,
        "uppercase": str.upper,
    }
    function = step.get("function") if isinstance(step, dict) else None
    if function in simple:
        return simple[function]
    if function != "regex":
        known = ", ".join((*simple, "regex"))
        task.refuse(f"filter {name}: {function!r} is not known", f"known: {known}")
    pattern = _regex(task, name, step.get("regex_pattern", r"#### (\-?[0-9\.\,]+)"))
    select, otherwise = step.get("group_select", 0), step.get("fallback", INVALID)
    return lambda text: _found(pattern, text, select, otherwise)


def _regex(task: Task, name: str, pattern: Any) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, TypeError, RecursionError) as error:
        task.refuse(f"{name}: {pattern!r} is no regular expression: {error}")


def _found(pattern: re.Pattern[str], text: str, select: int, otherwise: str) -> str:
    """The match that `select` names; of its groups the first that is not empty."""
    matches = pattern.findall(text)
    if not -len(matches) <= select < len(matches):
        return otherwise
    match = matches[select]
    if isinstance(match, tuple):
        match = next((group for group in match if group), otherwise)
    return str(match).strip()


def _plain(text: str, options: Mapping[str, Any]) -> str:
    """The text without what the options of exact_match ignore."""
    for pattern in options.get("regexes_to_ignore") or []:
        text = re.sub(pattern, "", text)
    if options.get("ignore_case"):
        text = text.lower()
    ignored = string.punctuation * bool(options.get("ignore_punctuation"))
    ignored += string.digits * bool(options.get("ignore_numbers"))
    return text.translate(str.maketrans("", "", ignored))

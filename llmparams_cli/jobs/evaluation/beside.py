"""Two models on one text, side by side: how far the second departs from the first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import zip_longest
from typing import Any

from llmparams_cli.analysis.divergence import Beside, Fork, compare, joined
from llmparams_cli.analysis.perplexity import Plan, result_of
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import answer
from llmparams_cli.jobs.evaluation.bare import greedy
from llmparams_cli.jobs.evaluation.text import Wanted, cut_up, for_chunks
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import (
    Backend,
    Encoded,
    Message,
    Progress,
    Request,
    Token,
)

PROMPT, ANSWER = 32, 64  # tokens at most, of the text and after it
TIMES, LONG_ENOUGH = 3, 2.0  # how often, until so many seconds were spent


def beside(
    env: Environment, base: Prepared, other: Prepared, wanted: Wanted, progress: Progress
) -> Beside:
    """Let both models read the text, chunk by chunk in turns: no logits are kept."""
    with ExitStack() as stack:
        control = stack.enter_context(Control())
        settings = [for_chunks(each.settings, wanted) for each in (base, other)]
        first, second = (
            stack.enter_context(opened(env, each.model, given, control, progress))
            for each, given in zip((base, other), settings, strict=True)
        )
        text = first.split(wanted.text)
        _refuse_unlike(first, second, text, second.split(wanted.text))
        cut = cut_up(text, wanted)
        clocks = [
            _Clock(backend.logits(cut.chunks, given))
            for backend, given in zip((first, second), settings, strict=True)
        ]
        parts = []
        for number, chunk in enumerate(cut.chunks, 1):
            logits = [next(clock) for clock in clocks]
            parts.append(compare(logits[0], logits[1], chunk.tokens[chunk.first :]))
            progress("reading", number / len(cut.chunks), 2 * len(cut.chunks) * cut.size)
        answers = [
            _greedy(backend, _request(text, cut, given))
            for backend, given in zip((first, second), settings, strict=True)
        ]
        if control.stop:
            raise KeyboardInterrupt
    return Beside(
        result_of(first.info, text, cut, [each.base for each in parts], clocks[0].seconds),
        result_of(second.info, text, cut, [each.other for each in parts], clocks[1].seconds),
        joined(parts),
        fork(answers[0][0], answers[1][0]),
        len(answers[0][0]),
        (answers[0][1], answers[1][1]),
    )


class _Clock(Iterator[Any]):
    """Counts the seconds that an iterator takes."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.seconds = 0.0

    def __next__(self) -> Any:
        began = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - began


def _refuse_unlike(first: Backend, second: Backend, text: Encoded, other: Encoded) -> None:
    sizes = first.info.vocabulary, second.info.vocabulary
    if sizes[0] != sizes[1] or text.ids != other.ids:
        raise UsageError(
            f"{first.info.path} and {second.info.path} have different tokenizers: only of the same"
            " tokens can probabilities be compared",
            "evaluate both: bits per byte compare any two models",
        )


def _request(text: Encoded, cut: Plan, settings: Settings) -> Request:
    """For the most likely tokens after the beginning of the text."""
    pieces = text.pieces[: min(PROMPT, cut.size // 4)]
    prompt = b"".join(pieces[text.begin is not None :]).decode("utf-8", "replace")
    ours = greedy(settings, {"max_tokens": min(ANSWER, cut.size // 2)})
    return Request((Message("user", prompt),), ours, raw=True)


def _greedy(backend: Backend, request: Request) -> tuple[tuple[Token, ...], float]:
    """The tokens, and how many were written in a second. A fast model writes them several times,
    of which the fastest counts: whatever else the machine does only costs time.
    """
    best = spent = 0.0
    tokens: tuple[Token, ...] = ()
    for _ in range(TIMES):
        _, finished = answer(backend, request)
        tokens, seconds = finished.tokens, finished.timing.generation_s
        spent += seconds
        best = max(best, len(tokens) / seconds if seconds else 0.0)
        if spent > LONG_ENOUGH:
            break
    return tokens, best


def fork(base: tuple[Token, ...], other: tuple[Token, ...]) -> Fork | None:
    """Where the second answer leaves the first."""
    for same, (first, second) in enumerate(zip_longest(base, other)):
        if first is None or second is None or first.id != second.id:
            return Fork(same, first.text if first else "", second.text if second else "")
    return None

"""When a chat fills the context: which turns leave the model's view, and what stands for them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from llmparams_cli.errors import ContextOverflow
from llmparams_cli.jobs.chat.choices import live
from llmparams_cli.params.conflicts import changed
from llmparams_cli.params.settings import Assignment, Settings

RESERVE = 4  # a quarter of the context at most is kept free for the answer
AFTER_DROPPING = 2  # half of it is filled then, so that not every further turn drops one
SUMMARY = 8  # an eighth of it at most goes to a summary, ...
LONGEST_SUMMARY = 256  # ... and no more tokens than this
SUMMARIZE = (
    "Summarise our conversation so far in a few sentences, for yourself: keep names, facts, "
    "numbers and what was decided."
)


@dataclass(frozen=True)
class ContextUse:
    """Where the context's tokens go. `answer` is kept free for the next one, as far as there
    is room; `out_of_view` counts turns.
    """

    context: int
    system: int
    history: int
    answer: int
    out_of_view: int
    summarized: bool

    @property
    def free(self) -> int:
        return self.context - self.system - self.history - self.answer


def reserve(settings: Settings, size: int) -> int:
    """Tokens that an answer needs at least; a quarter of the context, or max_tokens."""
    limit: int = settings["max_tokens"]
    return min(limit, size // RESERVE) if limit > 0 else size // RESERVE


def leaving(
    turns: int, count: Callable[[int], int], size: int, wanted: int, *, refuse: bool
) -> int:
    """How many of the oldest `turns` in view must go, so that `wanted` tokens are left for the
    answer. `count` gives the tokens of the prompt without so many turns.

    Raises ContextOverflow for a message that is too long even alone, and instead of letting
    turns go where `refuse` says so.
    """
    tokens = count(0)
    if tokens + wanted <= size:
        return 0
    if refuse:
        raise ContextOverflow(
            f"the chat is full: its prompt of {tokens} tokens and {wanted} for the answer "
            f"are more than the {size} of the context",
            "/undo, /clear, /set context N and /retry, or --when-full drop",
        )
    gone = turns - 1  # the message itself stays
    if count(gone) >= size:
        raise ContextOverflow(
            f"the message has {count(gone)} tokens and the context holds {size}",
            "/set context N makes room, where the model can take it; then /retry",
        )
    for limit in (size // AFTER_DROPPING, size - wanted):
        if count(gone) <= limit:
            return bisect_left(range(gone), -limit, key=lambda n: -count(n))
    return gone


def summary_length(size: int) -> int:
    """The tokens that a summary may have in a context of this size."""
    return min(size // SUMMARY, LONGEST_SUMMARY)


def for_summary(settings: Settings, length: int) -> Settings:
    """The settings of a chat as a summary wants them: nothing by chance, and free in form."""
    plain = {"temperature": 0.0, "grammar": "", "json_schema": None, "stop": []}
    values = plain | {"ignore_eos": False, "max_tokens": length}
    origin = live("summary")
    return changed(settings, [Assignment(name, value, origin) for name, value in values.items()])

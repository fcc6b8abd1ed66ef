"""When a chat fills the context: which turns leave the view of the model, and their summary."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from llmparams_cli.errors import ContextOverflow
from llmparams_cli.jobs.chat.choices import live
from llmparams_cli.params.conflicts import FORMS, changed
from llmparams_cli.params.settings import Assignment, Settings
from llmparams_cli.params.table import PARAMS

RESERVE = 4  # at most a quarter of the context is kept free for the answer
AFTER_DROPPING = 2  # half of it stays filled then, or else every further turn would drop one
SUMMARY = 8  # at most an eighth of it goes to a summary, ...
LONGEST_SUMMARY = 256  # ... and no more tokens than this
SUMMARIZE = (
    "Summarise our conversation so far in a few sentences, for yourself: keep names, facts, "
    "numbers and what was decided."
)


@dataclass(frozen=True)
class ContextUse:
    """Where the context's tokens go. `answer` is kept free for the next one, as far as possible;
    `out_of_view` counts turns.
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
    """Tokens to keep free for an answer: a quarter of the context, max_tokens if that is less."""
    limit: int = settings["max_tokens"]
    return min(limit, size // RESERVE) if limit > 0 else size // RESERVE


def leaving(
    turns: int, count: Callable[[int], int], size: int, wanted: int, *, refuse: bool
) -> int:
    """How many of the oldest `turns` in view must go, so that `wanted` tokens are left for the
    answer. `count(n)` is the number of tokens of the prompt without the n oldest.

    Raises ContextOverflow for a message that is too long even alone; with `refuse`, also where
    turns would have to go.
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
    # Down to half if the message allows it, or else just enough.
    for limit in (size // AFTER_DROPPING, size - wanted):
        if count(gone) <= limit:
            # The fewest turns for which the prompt fits: its length falls with every turn
            # dropped.
            return bisect_left(range(gone), -limit, key=lambda n: -count(n))
    return gone


def summary_length(size: int) -> int:
    """How many tokens a summary may have in a context of this size."""
    return min(size // SUMMARY, LONGEST_SUMMARY)


def for_summary(settings: Settings, length: int) -> Settings:
    """The settings of a chat, changed for a summary: nothing left to chance, of free form,
    and without thoughts that would take its room.
    """
    plain = {"temperature": 0.0, "stop": [], **{name: PARAMS[name].default for name in FORMS}}
    values = plain | {"ignore_eos": False, "max_tokens": length, "max_thinking_tokens": 0}
    origin = live("summary")
    return changed(settings, [Assignment(name, value, origin) for name, value in values.items()])

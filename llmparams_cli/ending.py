"""When an answer ends, and how much of its text is certain so far.

One set of rules for everything that grows token by token: answers, what-ifs, servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from llmparams_cli.text.speech import PLAIN, Marks, Part, Phase, Speech

T = TypeVar("T")  # the owner of a released text: whatever the caller passes in with the bytes


class StopReason(str, Enum):
    """Why generation ended."""

    END_OF_GENERATION = "end-of-generation"
    STOP_SEQUENCE = "stop-sequence"
    MAX_TOKENS = "max-tokens"
    CONTEXT_FULL = "context-full"
    TIME_LIMIT = "time-limit"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Stop:
    """A reason and its detail: the token, the stop sequence or the limit that was reached."""

    reason: StopReason
    detail: str


class Ending(Generic[T]):
    """Takes tokens until one of its rules ends the answer; `stop` is None until then.

    Text is released in parts, each with the owner of the token that completed it, as thoughts or as
    the answer. It is held back only while it may be half a character, or the beginning of a stop
    sequence or of one of the `marks`. `phase` is the one that the prompt ends in.
    """

    def __init__(
        self,
        stops: Sequence[str],
        max_tokens: int,
        marks: Marks = PLAIN,
        phase: Phase = Phase.START,
    ) -> None:
        self.stop: Stop | None = None
        self._speech: Speech[T] = Speech(stops, marks, phase)
        self._max_tokens = max_tokens
        self._count = 0
        self._last: list[T] = []  # the owner of the latest token, and of what `end` releases
        if max_tokens == 0:
            self.stop = Stop(StopReason.MAX_TOKENS, "0 tokens")

    @property
    def is_thinking(self) -> bool:
        """Are the thoughts that were begun still open?"""
        return self._speech.phase is Phase.THINKING

    @property
    def has_thought(self) -> bool:
        """Were there thoughts, if only empty ones?"""
        return self._speech.has_thought

    def add(self, data: bytes, owner: T, last: Stop | None = None) -> list[Part[T]]:
        """Take the bytes of the next token; return the text that they make certain. `last` is why
        no other token can follow it.
        """
        self._count += 1
        self._last = [owner]
        released = self._speech.feed(data, owner)
        # A stop sequence comes before the limit: where one token completes both, the text is cut.
        if self._speech.matched is not None:
            self.stop = Stop(StopReason.STOP_SEQUENCE, self._speech.matched)
        elif last is not None:
            released += self.end(last)
        elif 0 <= self._max_tokens <= self._count:  # negative: no limit
            released += self.end(Stop(StopReason.MAX_TOKENS, f"{self._max_tokens} tokens"))
        return released

    def end_token(self, name: str | None) -> list[Part[T]]:
        """End with the end token `name`, which the model drew; None: its grammar is complete."""
        detail = "the grammar is complete" if name is None else name
        return self.end(Stop(StopReason.END_OF_GENERATION, detail))

    def end(self, stop: Stop) -> list[Part[T]]:
        """End for a reason from outside; text that was held back belongs to the answer after all.

        An answer that has ended already keeps its first reason.
        """
        if self.stop is not None:
            return []
        self.stop = stop
        return self._speech.finish(self._last[0]) if self._last else []

"""The turns that a chat's entries add up to, and which of them the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmparams_cli.protocol import Message
from llmparams_cli.records.chats.entries import (
    Answered,
    Cleared,
    Configured,
    Dropped,
    Entry,
    Retried,
    Said,
    Undone,
)
from llmparams_cli.templates.conversation import conversation


@dataclass
class Turn:
    """A message and its answer, if there is one yet; `tries` counts the earlier answers."""

    said: Said
    answer: Answered | None = None
    tries: int = 0
    in_view: bool = True


@dataclass
class Transcript:
    """The state of a chat. It changes only through entries, so a file can restore it."""

    turns: list[Turn] = field(default_factory=list)
    summary: str = ""
    configured: Configured | None = None

    @property
    def view(self) -> list[Turn]:
        """The turns that the model sees."""
        return [turn for turn in self.turns if turn.in_view]

    @property
    def waiting(self) -> bool:
        """Has the last message no answer yet?"""
        return bool(self.turns) and self.turns[-1].answer is None

    def apply(self, entry: Entry) -> None:
        """Apply the next entry; raises ValueError if it cannot come here."""
        if isinstance(entry, Configured):
            self.configured = entry
        elif isinstance(entry, Said):
            if self.waiting:
                raise ValueError("a message follows one that has no answer")
            self.turns.append(Turn(entry))
        elif isinstance(entry, Answered):
            if not self.waiting:
                raise ValueError("an answer without a message")
            self.turns[-1].answer = entry
        elif isinstance(entry, Dropped):
            self._drop(entry)
        elif isinstance(entry, Cleared):
            self.turns, self.summary = [], ""
        elif not self.turns:
            raise ValueError("there is no turn that could be taken back")
        elif isinstance(entry, Retried):
            last = self.turns[-1]
            last.answer, last.tries = None, last.tries + 1
        elif isinstance(entry, Undone):
            self.turns.pop()

    def _drop(self, entry: Dropped) -> None:
        view = self.view
        if not 0 < entry.turns <= len(view):
            raise ValueError(f"{entry.turns} turns leave a view of {len(view)}")
        for turn in view[: entry.turns]:
            turn.in_view = False
        self.summary = entry.summary or self.summary

    def messages(self, system: str, turns: Sequence[Turn] | None = None) -> tuple[Message, ...]:
        """What the model reads: the system text with the summary, and the turns in view."""
        head = "\n\n".join(filter(None, (system, self.summary and f"Earlier: {self.summary}")))
        messages = []
        for turn in self.view if turns is None else turns:
            messages.append(Message("user", turn.said.sent))
            if turn.answer:
                said, thought = turn.answer.text, turn.answer.reasoning
                messages.append(Message("assistant", said, thought))
        return conversation(head, *messages)

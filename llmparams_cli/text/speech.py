"""What a model thinks and what it says: one stream of tokens, split at the marks between them.

Models write their thoughts before the answer and mark them: <think>…</think>, [THINK]…[/THINK],
<|channel|>analysis<|message|>…<|end|>. `Marks` are those of one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from llmparams_cli.text.search import Search
from llmparams_cli.text.utf8 import decoder

T = TypeVar("T")
Part = tuple[str, T, bool]  # a text, its owner, and whether it is thought rather than said


class Phase(Enum):
    """Where in its text a model is."""

    START = auto()  # thoughts or the answer may begin
    THINKING = auto()
    ANSWER = auto()


@dataclass(frozen=True)
class Marks:
    """The marks of a model: those that open and close its thoughts, and those that begin and end
    what it says. All but the first two may be missing in a text. `cut` ends thoughts from outside,
    where more than a closing mark is needed for that. `is_guess`: nothing of them was seen in the
    model's template.
    """

    opens: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    cut: str = ""
    is_guess: bool = False

    @property
    def closing(self) -> str:
        """What ends the thoughts from outside, so that the answer comes next."""
        return self.cut or self.closes[0]

    @property
    def begins(self) -> tuple[str, ...]:
        """What thoughts or the answer may begin with."""
        return (*self.opens, *self.says)

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.opens, *self.closes, *self.says, *self.ends)

    def first_phase(self, prompt: str) -> Phase:
        """The phase that this prompt ends in: templates may open the thoughts themselves."""
        bare = prompt.rstrip()
        is_open = any(bare.endswith(mark.rstrip()) for mark in self.opens)
        return Phase.THINKING if is_open else Phase.START


PLAIN = Marks()
CONTROL = "<|"  # how marks begin that no answer begins with


class Speech(Generic[T]):
    """Turns tokens' bytes into parts of text, each with its owner: the token (any object) that
    completed it.

    Text is held back only while it may be half a character, or the beginning of a mark or of a stop
    sequence. Stop sequences count in the answer, not in the thoughts; a closing mark may be one.
    """

    def __init__(
        self,
        stops: Sequence[str] = (),
        marks: Marks = PLAIN,
        phase: Phase = Phase.START,
    ) -> None:
        self.matched: str | None = None  # the stop sequence that ended the text
        self._stops = tuple(stops)
        self._marks = marks
        self.has_thought = False
        self._decoder = decoder()
        self._held: list[tuple[str, T]] = []  # in START: a part of a mark; in THINKING: blanks
        self._enter(phase)

    def feed(self, data: bytes, owner: T) -> list[Part[T]]:
        """Add one token's bytes; return the text that became certain. Nothing is released once a
        stop sequence has `matched`.
        """
        return self._split([(self._decoder.decode(data), owner)])

    def finish(self, owner: T) -> list[Part[T]]:
        """Release what is held back: the text ends here without a stop sequence."""
        parts = self._split([(self._decoder.decode(b"", final=True), owner)])
        if self.matched is not None:
            return parts
        if self.phase is Phase.THINKING:
            return parts + self._thought(self._search.finish())
        held, self._held = self._without_blanks(self._held), []
        if self._is_within_mark(held):
            return parts
        return parts + [(*piece, False) for piece in [*held, *self._search.finish()]]

    def _is_within_mark(self, held: list[tuple[str, T]]) -> bool:
        """Is what is held at the end a part of a mark, and no answer that looks like one?"""
        bare = _whole(held).lstrip()
        return bool(bare) and (self.has_thought or bare.startswith(CONTROL))

    @property
    def is_between_characters(self) -> bool:
        """Is no character incomplete?"""
        return not self._decoder.getstate()[0]

    @property
    def holds_mark(self) -> bool:
        """Has a mark begun that is not complete?"""
        return self.phase is Phase.START and bool(_whole(self._held).strip())

    def may_go_on(self, text: str) -> bool:
        """Could a mark begin with this text, or go on with it?"""
        if self.phase is not Phase.START:
            return False
        bare = (_whole(self._held) + text).lstrip()
        begins = self._marks.begins
        return bool(bare) and any(m.startswith(bare) or bare.startswith(m) for m in begins)

    def says_behind(self, text: str) -> bool:
        """Would this text close the thoughts and begin the answer at once?"""
        is_thinking = self.phase is Phase.THINKING
        return is_thinking and bool(self._search.behind(text).strip())

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._held = []
        wanted: tuple[str, ...] = ()
        if phase is Phase.THINKING:
            self.has_thought, self._begun = True, False
            wanted = self._marks.closes
        elif phase is Phase.ANSWER:
            wanted = (*self._stops, *self._marks.ends)
        self._search: Search[T] = Search(wanted)

    def _split(self, pieces: list[tuple[str, T]]) -> list[Part[T]]:
        parts: list[Part[T]] = []
        while pieces and self.matched is None:
            text, owner = pieces.pop(0)
            if self.phase is Phase.START:
                pieces = self._begin(text, owner) + pieces
                continue
            found = self._search.feed(text, owner)
            is_thinking = self.phase is Phase.THINKING
            parts += self._thought(found) if is_thinking else [(*each, False) for each in found]
            if (mark := self._search.matched) is not None:
                if mark in self._stops:
                    self.matched = mark
                else:
                    pieces = self._search.rest + pieces
                    self._enter(Phase.START)
        return parts

    def _begin(self, text: str, owner: T) -> list[tuple[str, T]]:
        """In START: hold text until it is clear what begins; return what follows the mark."""
        if text:
            self._held.append((text, owner))
        whole, begins = _whole(self._held), self._marks.begins
        bare = whole.lstrip()
        # No stop sequence counts within a mark, however tokens cut it; blanks are not yet one.
        is_stopped = not bare and any(stop in whole for stop in self._stops)
        if not is_stopped and any(m != bare and m.startswith(bare) for m in begins):
            return []
        mark = max((m for m in begins if bare.startswith(m)), key=len, default="")
        if mark in self._stops:
            self.matched = mark
            return []
        if mark:
            rest = _after(self._held, len(whole) - len(bare) + len(mark))
        else:
            rest = self._without_blanks(self._held)
        self._enter(Phase.THINKING if mark in self._marks.opens else Phase.ANSWER)
        return rest

    def _without_blanks(self, pieces: list[tuple[str, T]]) -> list[tuple[str, T]]:
        """What is held in START, without the blanks that thoughts leave behind them."""
        whole = _whole(pieces)
        return _after(pieces, len(whole) - len(whole.lstrip())) if self.has_thought else pieces

    def _thought(self, pieces: list[tuple[str, T]]) -> list[Part[T]]:
        """Parts of thoughts, without blanks around the whole of them."""
        parts: list[Part[T]] = []
        for text, owner in pieces:
            if not self._begun:
                text = text.lstrip()
            if body := text.rstrip():
                self._begun = True
                parts += [(*blank, True) for blank in self._held]
                self._held = []
                parts.append((body, owner, True))
            if len(body) < len(text):
                self._held.append((text[len(body) :], owner))
        return parts


def _whole(pieces: list[tuple[str, T]]) -> str:
    return "".join(text for text, _ in pieces)


def _after(pieces: list[tuple[str, T]], count: int) -> list[tuple[str, T]]:
    """The pieces without their first `count` characters."""
    left = []
    for text, owner in pieces:
        if len(text) > count:
            left.append((text[count:], owner))
        count = max(0, count - len(text))
    return left

"""Conversations through a chat template, with what the assistant says told from the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.protocol import Message
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.marks import marks_of
from llmparams_cli.templates.renderer import CURE, PROMPT_TOO, renderer, written
from llmparams_cli.templates.rendering import with_begin
from llmparams_cli.templates.repairs import Repairs, Template
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.speech import Phase

LAST_ALONE = (
    "the chat template writes earlier turns otherwise than when they were answered: only the last"
    " answer of each conversation is learned"
)
AT_ONCE = "this model thinks before it answers: where an example has no thoughts, they end at once"

Part = tuple[list[int], bool]  # tokens, and whether they are an answer


class Tokenizer(Vocabulary, Protocol):
    """The vocabulary of the model that learns."""

    @property
    def end_token(self) -> int | None: ...

    def ends_generation(self, token: int) -> bool: ...


@dataclass(frozen=True)
class _Turn:
    """A message as the template gets it, names of control tokens marked. `thoughts` are those that
    stood in it as text: the mark that `opened` them, and they up to what is said.
    """

    message: Message
    opened: str = ""
    thoughts: str = ""

    @property
    def said(self) -> str:
        return self.message.content.strip()

    def is_in(self, text: str) -> bool:
        return self.said in text and self.message.reasoning in text


class Conversations:
    """Makes tokens of conversations. `values` are those of the template's variables, `note` tells
    the user.
    """

    def __init__(
        self,
        model: Tokenizer,
        template: str,
        values: Mapping[str, Any],
        note: Callable[[str], None],
    ) -> None:
        self._model, self._template, self._values, self._note = model, template, values, note
        self._written = written(model, template)
        self._marks = marks_of(template)
        self._repairs = Repairs()

    def parts(self, messages: Sequence[Message]) -> list[Part]:
        """The tokens of a conversation. What is before an answer is what the model is given when it
        answers; where the template writes earlier turns otherwise, they are no answers to learn.
        """
        marker = Marker(self._model, self._written)
        turns = [self._turn(marker, message) for message in messages]
        whole = self._rendered(marker, turns, prompt=False)
        answers = [number for number, turn in enumerate(turns) if turn.message.role == "assistant"]
        found: list[tuple[int, str]] = []
        for number in answers:
            before = self._before(marker, turns[: number + 1], whole)
            after = self._rendered(marker, turns[: number + 1], prompt=False)
            if self._is_answer(turns[number], before, after, whole):
                found.append((len(before), after))
                continue
            if number != answers[-1] or found:
                self._note(LAST_ALONE)
            if number == answers[-1]:
                return self._alone(marker, turns[number], before, after)
        return self._split(marker, whole, found)

    def _is_answer(self, turn: _Turn, before: str, after: str, whole: str) -> bool:
        """Does the whole conversation have this turn as the model would write it after `before`?"""
        if not whole.startswith(before):
            return False
        behind = after[len(before) :]
        behind = behind[: _shared(behind, whole[len(before) :])]
        is_open = self._marks.first_phase(before) is Phase.THINKING
        has_closed = not is_open or any(mark in behind for mark in self._marks.closes)
        return has_closed and turn.is_in(behind)

    def _split(self, marker: Marker, whole: str, answers: Sequence[tuple[int, str]]) -> list[Part]:
        """A conversation in parts; of each answer, where it starts and the conversation up to it
        and with it.
        """
        starts = [start for start, _ in answers]
        parts: list[Part] = [
            (with_begin(self._model, marker.tokenize(whole[: min(starts, default=None)])), False)
        ]
        for (start, after), end in zip(answers, [*starts[1:], len(whole)], strict=True):
            tokens = marker.tokenize(whole[start:end], goes_on=start > 0)
            answer = marker.tokenize(after[start:], goes_on=start > 0)
            length = _shared(tokens, answer)
            parts += [(tokens[:length], True), (tokens[length:], False)]
        return [part for part in parts if part[0]]

    def _alone(self, marker: Marker, turn: _Turn, before: str, after: str) -> list[Part]:
        """The last answer behind the prompt that the model is given, where the template writes it
        otherwise: it may end a prompt in a mark for thoughts, and leave out past ones.
        """
        head, said, ending = after.rpartition(turn.said)
        if not head:
            raise UsageError(
                "the chat template changes what the assistant says, or where that begins", CURE
            )
        is_open = self._marks.first_phase(before) is Phase.THINKING
        thoughts = turn.thoughts.lstrip() if is_open else turn.opened + turn.thoughts
        if is_open and not turn.thoughts:
            self._note(AT_ONCE)
            thoughts = self._marks.cut or f"\n{self._marks.closing}\n\n"
        answer = marker.tokenize(thoughts + said + ending, goes_on=True)
        return [(with_begin(self._model, marker.tokenize(before)), False), (answer, True)]

    def _before(self, marker: Marker, turns: Sequence[_Turn], whole: str) -> str:
        """What the model is given to answer with the last of these turns."""
        if len(turns) == 1:  # nothing was asked
            return whole[: max(0, whole.find(turns[0].said))]
        return self._rendered(marker, turns[:-1], prompt=True)

    def _rendered(self, marker: Marker, turns: Sequence[_Turn], *, prompt: bool) -> str:
        run = renderer(self._model, self._template, {**self._values, PROMPT_TOO: prompt})
        template = Template(run, (self._template, prompt), marker.unmark)
        return self._repairs.render(template, [turn.message for turn in turns], self._note)

    def _turn(self, marker: Marker, message: Message) -> _Turn:
        opened, thoughts, closed, said = self._thoughts_in(message)
        thoughts = marker.mark(thoughts)
        marked = replace(message, content=marker.mark(said), reasoning=thoughts.strip())
        return _Turn(marked, opened, thoughts + closed)

    def _thoughts_in(self, message: Message) -> tuple[str, str, str, str]:
        """The mark that opens an answer's thoughts, if it is there, these, the mark that closes
        them, and what is said; the marks with the blanks around them.
        """
        marks, text = self._marks, message.content.lstrip()
        if message.reasoning and not marks.opens:
            raise UsageError("an answer has thoughts, and this model none", "leave them out")
        if message.reasoning:
            return f"{marks.opens[0]}\n", message.reasoning, f"\n{marks.closing}\n\n", text
        opened = next((mark for mark in marks.opens if text.startswith(mark)), "")
        closing = next((mark for mark in marks.closes if mark in text), "")
        if message.role != "assistant" or marks.is_guess or not closing:
            return "", "", "", message.content
        before, _, behind = text[len(opened) :].partition(closing)
        said = behind.lstrip()
        if not said or not (opened or self._prompts_open):
            return "", "", "", message.content
        return opened, before, closing + behind[: len(behind) - len(said)], said

    @cached_property
    def _prompts_open(self) -> bool:
        """Do prompts end in a mark that opens the thoughts?"""
        try:
            text = renderer(self._model, self._template, self._values)([Message("user", "x")])
        except ModelError:
            return False
        return self._marks.first_phase(text) is Phase.THINKING


def _shared(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many items both begin with."""
    pairs = zip(one, other, strict=False)
    different = (place for place, (a, b) in enumerate(pairs) if a != b)
    return next(different, min(len(one), len(other)))

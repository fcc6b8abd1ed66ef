"""What a model has written so far: its thoughts, its answer, and why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmparams_cli.ending import Ending, Stop
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Piece, Started, Token
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.speech import Marks, Part


class Reply:
    """Grows token by token after the prompt of `started`, until one of the `settings` ends it."""

    def __init__(self, settings: Settings, started: Started) -> None:
        stops, marks = settings["stop"], started.marks
        self.tokens: list[Token] = []
        self._heard = Heard(marks, stops)
        self._ending: Ending[Token] = Ending(stops, settings["max_tokens"], marks, started.phase)
        self._said_from: int | None = None  # the place of the token with which the answer begins
        self._texts: dict[bool, list[str]] = {False: [], True: []}

    @property
    def stop(self) -> Stop | None:
        return self._ending.stop

    @property
    def is_thinking(self) -> bool:
        """Are the thoughts that were begun still open?"""
        return self._ending.is_thinking

    @property
    def marked(self) -> tuple[Token, ...]:
        """The tokens; those that are no part of the answer say so."""
        count = self.reasoning_tokens
        thoughts = [replace(token, is_thought=True) for token in self.tokens[:count]]
        return (*thoughts, *self.tokens[count:])

    @property
    def reasoning_tokens(self) -> int:
        """How many tokens there are before the answer, if there were thoughts."""
        if not self._ending.has_thought:
            return 0
        return len(self.tokens) if self._said_from is None else self._said_from

    @property
    def text(self) -> str:
        """What was said."""
        return "".join(self._texts[False])

    @property
    def reasoning(self) -> str:
        """What was thought before that."""
        return "".join(self._texts[True])

    def add(self, vocabulary: Vocabulary, token: Token, last: Stop | None = None) -> list[Piece]:
        """Take the next token; return the text that it makes certain. `last` is why no other token
        can follow it.
        """
        self.tokens.append(token)
        return self._pieces(self._ending.add(self._heard.data(vocabulary, token.id), token, last))

    def end_token(self, name: str | None) -> list[Piece]:
        """End with the end token `name`, which the model drew; None: its grammar is complete."""
        return self._pieces(self._ending.end_token(name))

    def end(self, stop: Stop) -> list[Piece]:
        """End for a reason from outside; text that was held back belongs to it."""
        return self._pieces(self._ending.end(stop))

    def _pieces(self, parts: Sequence[Part[Token]]) -> list[Piece]:
        for text, token, is_thought in parts:
            self._texts[is_thought].append(text)
            if self._said_from is None and not is_thought:
                self._said_from = next(i for i, each in enumerate(self.tokens) if each is token)
        return [Piece(text, token, is_thought) for text, token, is_thought in parts]


class Heard:
    """The bytes that tokens add to the text. Control tokens have none, but those that are a part of
    a mark, or a stop sequence, have to be noticed.
    """

    def __init__(self, marks: Marks, stops: Sequence[str]) -> None:
        self._marks = marks.all
        self._stops = stops

    def data(self, vocabulary: Vocabulary, token: int) -> bytes:
        if not vocabulary.is_control(token):
            return vocabulary.piece(token)
        name = vocabulary.name(token)
        is_heard = name in self._stops or any(name in mark for mark in self._marks)
        return name.encode() if is_heard and name else b""

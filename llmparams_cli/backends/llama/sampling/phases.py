"""Where in its reply a model is, and what follows from that for the next draw."""

from __future__ import annotations

from typing import Any

from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import array_of
from llmparams_cli.backends.llama.sampling.grammar import Grammar
from llmparams_cli.backends.reply import Heard
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Started
from llmparams_cli.text.speech import Marks, Phase, Speech

LIKELY = 1000  # candidates that are looked at first for one that goes on with a mark
BLANKS = 1  # tokens of white space that may stand between thoughts and a constrained answer


class Phases:
    """Follows a reply through thoughts and answer: which settings draw, what the grammar rules, and
    when the thoughts have to be closed. Owns the grammar. Close it.

    A grammar rules the answer. Thoughts before it, and the marks around them, are free; but if the
    grammar allows the first token, it rules everything from there on.
    """

    def __init__(
        self,
        model: Model,
        marks: Marks,
        phase: Phase,
        grammar: Grammar | None = None,
        most_thoughts: int = -1,
    ) -> None:
        self._model = model
        self._marks = marks
        self._speech: Speech[None] = Speech((), marks, phase)
        self._heard = Heard(marks, ())
        self._grammar = grammar
        self._rules = False  # has the grammar accepted a token?
        self._blanks = 0
        self._left = most_thoughts  # tokens that may still be thought; negative: no limit
        self._limited = most_thoughts >= 0
        self._cut = (
            model.tokenize(marks.closing, special=True, goes_on=True) if self._limited else []
        )
        self._closing: list[int] = []
        self._close_if_due()

    @classmethod
    def of(
        cls, model: Model, settings: Settings, started: Started, grammar: Grammar | None
    ) -> Phases | None:
        """Those of the answer to this prompt; None if all phases are alike there."""
        marks, most = started.marks, settings["max_thinking_tokens"]
        thinks = bool(marks.opens) and (most >= 0 or bool(settings.only_thinking))
        if grammar is None and not thinks:
            return None
        return cls(model, marks, started.phase, grammar, most if marks.opens else -1)

    @property
    def has_grammar(self) -> bool:
        return self._grammar is not None

    @property
    def is_thinking(self) -> bool:
        return self._speech.phase is Phase.THINKING

    @property
    def due(self) -> int | None:
        """The token of the closing mark that has to come next, once enough was thought."""
        return self._closing[0] if self._closing else None

    def allows(self, token: int) -> bool:
        """Does the grammar allow this token, or leave it free?"""
        grammar = self._grammar
        return grammar is None or self._is_free(token) or grammar.allows(token)

    def has_say(self, token: int) -> bool:
        """Is there a grammar whose business this token is: neither a thought nor a mark?"""
        return self._grammar is not None and self.due is None and not self._is_free(token)

    def left(self, logits: Any) -> Any:
        """The candidates that `allows` leaves of all tokens (`logits` points to theirs)."""
        import numpy as np

        assert self._grammar is not None
        row = np.ctypeslib.as_array(logits, shape=(self._model.n_vocab,))
        if self._rules or not (self.is_thinking or self._speech.holds_mark):
            return self._grammar.left(row)
        if self.is_thinking:
            tokens = [token for token in range(len(row)) if self.allows(token)]
        else:
            tokens = self._going_on(row)
        return array_of(tokens, row[tokens])

    def forced(self) -> bytes:
        """The text that the grammar forces next."""
        return self._grammar.forced() if self._grammar and self._rules else b""

    def is_complete(self) -> bool:
        """May the text end here, as far as the grammar goes?"""
        return self._grammar is None or self._grammar.is_complete()

    def drop_grammar(self) -> None:
        """From here on nothing is forbidden."""
        self.close()
        self._grammar = None

    def accept(self, token: int) -> None:
        if self._grammar and not self._is_free(token):
            self._grammar.accept(token)
            self._rules = True
        was_thinking, data = self.is_thinking, self._heard.data(self._model, token)
        self._speech.feed(data, None)
        self._left -= was_thinking
        self._blanks += not was_thinking and not data.strip()
        if self._closing:
            self._closing.pop(0)
        else:
            self._close_if_due()

    def close(self) -> None:
        if self._grammar:
            self._grammar.close()

    def _is_free(self, token: int) -> bool:
        """Is the token no business of the grammar: a thought, or a part of a mark around it?"""
        assert self._grammar is not None
        speech = self._speech
        if self._rules or speech.phase is Phase.ANSWER or self._model.ends_generation(token):
            return False
        if speech.phase is Phase.THINKING:
            # A token may close the thoughts and begin the answer, which the grammar has to see.
            return not speech.says_behind(self._text(token))
        if not speech.holds_mark and self._grammar.allows(token):
            return False
        return self._goes_on(token)

    def _goes_on(self, token: int) -> bool:
        """Can a mark begin or go on with this token; or is it a blank behind thoughts?"""
        text = self._text(token)
        if not text.strip() and not self._speech.holds_mark:
            return bool(text) and self._speech.has_thought and self._blanks < BLANKS
        if self._marks.is_guess and not self._speech.holds_mark and not self._is_special(token):
            return False  # an answer such as <h1> begins like a mark
        return self._speech.may_go_on(text)

    def _text(self, token: int) -> str:
        return self._heard.data(self._model, token).decode(errors="replace")

    def _is_special(self, token: int) -> bool:
        return self._model.is_control(token) or self._model.is_user_defined(token)

    def _going_on(self, logits: Any) -> list[int]:
        """The tokens with which the mark that has begun can go on: likely ones, or else all; in
        order.
        """
        import numpy as np

        count = min(LIKELY, len(logits))
        for tokens in (np.argpartition(-logits, count - 1)[:count], range(len(logits))):
            if found := [int(token) for token in tokens if self._goes_on(int(token))]:
                return sorted(found)
        return []

    def _close_if_due(self) -> None:
        if not (self._limited and self.is_thinking) or self._left > 0 or self._rules:
            return
        if self._speech.is_between_characters:
            self._closing = list(self._cut)

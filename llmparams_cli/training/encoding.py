"""Examples as tokens, and which of them are learned."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from llmparams_cli.errors import LlmparamsError, UsageError
from llmparams_cli.params.settings import Settings
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.rendering import with_begin
from llmparams_cli.templates.thinking import arguments
from llmparams_cli.templates.today import Today
from llmparams_cli.training.conversations import Conversations, Part, Tokenizer
from llmparams_cli.training.records import Record
from llmparams_cli.training.rows import Document
from llmparams_cli.training.trainer import Row

AS_LETTERS = (
    "a text has {} in it: that is read as letters, not as the token of this name (conversations"
    ' go into "messages")'
)
LIKE_CONTROL = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")


class Encoder:
    """Makes tokens of examples, as the model reads them when it is used: conversations through its
    chat template (empty: it has none). With `mask_prompt` only answers are learned. `note` tells
    the user.
    """

    def __init__(
        self,
        model: Tokenizer,
        template: str,
        settings: Settings,
        date: str,
        note: Callable[[str], None],
        *,
        mask_prompt: bool = False,
    ) -> None:
        self._model, self._note = model, note
        self._mask_prompt = mask_prompt
        self._seen: set[str] = set()  # texts that look like control tokens
        self._conversations: Conversations | None = None
        if template:
            given = arguments(template, settings, note)
            values = {"strftime_now": Today(date).strftime_now, **given}
            self._conversations = Conversations(model, template, values, note)

    def document(self, record: Record) -> Document:
        """An example as tokens. Raises UsageError, with its place, if the template refuses it."""
        try:
            parts = self._parts(record)
        except LlmparamsError as error:
            raise UsageError(f"{record.place}: {error.message}", error.hint) from error
        tokens, is_answer = parts[-1]
        # Without an end the model would never learn to stop. Only templates write one.
        if is_answer and not any(map(self._model.ends_generation, tokens)):
            end = self._model.end_token
            parts[-1] = ([*tokens, *([] if end is None else [end])], True)
        before = sum(len(ids) for ids, _ in takewhile(lambda part: not part[1], parts))
        return Document(self._row(parts), whole=bool(record.messages), answer=before)

    def _parts(self, record: Record) -> list[Part]:
        if not record.messages:
            self._look_for_control(record.text)
            return [(with_begin(self._model, self._literally(record.text)), True)]
        if self._conversations:
            return self._conversations.parts(record.messages)
        if [message.role for message in record.messages] != ["user", "assistant"]:
            raise UsageError(
                "the model has no chat template for a conversation",
                'give "prompt" and "completion", or "text"',
            )
        prompt, answer = (message.content for message in record.messages)
        asked = with_begin(self._model, self._literally(prompt))
        return [(asked, False), (self._literally(answer, goes_on=True), True)]

    def _literally(self, text: str, *, goes_on: bool = False) -> list[int]:
        """The tokens of a text, none of which is a control token, whatever it says."""
        marker = Marker(self._model, "")
        return marker.tokenize(marker.mark_whole(text), goes_on=goes_on)

    def _look_for_control(self, text: str) -> None:
        """Tell the user of a text that seems to have gone through a chat template already."""
        for name in sorted({*LIKE_CONTROL.findall(text)} - self._seen):
            self._seen.add(name)
            tokens = self._model.tokenize(name, special=True)
            if len(tokens) == 1 and self._model.is_control(tokens[0]):
                self._note(AS_LETTERS.format(name))

    def _row(self, parts: Sequence[Part]) -> Row:
        """All of an answer up to the token that ends it is learned; of other parts too, unless
        prompts are masked. The first token never is.
        """
        import numpy as np

        tokens: list[int] = []
        learned: list[bool] = []
        for ids, is_answer in parts:
            said = takewhile(lambda token: not self._model.ends_generation(token), ids)
            most = len([*said]) + 1 if is_answer else 0
            tokens += ids
            learned += [place < most or not self._mask_prompt for place in range(len(ids))]
        flags = np.array(learned, np.bool_)
        flags[:1] = False
        return Row(np.array(tokens, np.int32), flags)

"""Examples as tokens, and which of them are learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from llmparams_cli.errors import LlmparamsError, UsageError
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Message
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.renderer import renderer, written
from llmparams_cli.templates.rendering import with_begin
from llmparams_cli.templates.repairs import Repairs, Template
from llmparams_cli.templates.thinking import arguments
from llmparams_cli.templates.today import Today
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.training.records import Record
from llmparams_cli.training.rows import Document
from llmparams_cli.training.trainer import Row

PROMPT_TOO = "add_generation_prompt"
LAST_ALONE = (
    "the chat template writes earlier turns otherwise than when they were answered: only the last"
    " answer of each conversation is learned"
)

Part = tuple[list[int], bool]  # tokens, and whether they are an answer


class Tokenizer(Vocabulary, Protocol):
    """The vocabulary of the model that learns."""

    @property
    def end_token(self) -> int | None: ...

    def ends_generation(self, token: int) -> bool: ...


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
        self._model, self._template, self._note = model, template, note
        self._mask_prompt = mask_prompt
        self._repairs = Repairs()
        if template:
            today = Today(date)
            given = arguments(template, settings, note)
            self._values = {"strftime_now": today.strftime_now, **given}
            self._written = written(model, template)

    def document(self, record: Record) -> Document:
        """An example as tokens. Raises UsageError, with its place, if the template refuses it."""
        try:
            parts = self._parts(record)
        except LlmparamsError as error:
            raise UsageError(f"{record.place}: {error.message}", error.hint) from error
        return Document(self._row(parts), whole=bool(record.messages))

    def _parts(self, record: Record) -> list[Part]:
        if not record.messages:
            text = self._model.tokenize(record.text)
            return [(with_begin(self._model, text), True), self._ending()]
        if self._template:
            return self._conversation(record.messages)
        if [message.role for message in record.messages] != ["user", "assistant"]:
            raise UsageError(
                "the model has no chat template for a conversation",
                'give "prompt" and "completion", or "text"',
            )
        prompt, answer = (message.content for message in record.messages)
        asked = with_begin(self._model, self._model.tokenize(prompt))
        return [(asked, False), (self._model.tokenize(answer, goes_on=True), True), self._ending()]

    def _ending(self) -> Part:
        """Without an end a model would never learn to stop."""
        end = self._model.end_token
        return ([] if end is None else [end]), True

    def _conversation(self, messages: Sequence[Message]) -> list[Part]:
        marker = Marker(self._model, self._written)
        marked = [replace(each, content=marker.mark(each.content)) for each in messages]
        parts: list[Part] = []
        for text, is_answer in self._texts(marker, marked):
            tokens = marker.tokenize(text, goes_on=bool(parts))
            parts.append((tokens if parts else with_begin(self._model, tokens), is_answer))
        if parts[-1][1] and not any(map(self._model.ends_generation, parts[-1][0])):
            parts.append(self._ending())
        return parts

    def _texts(self, marker: Marker, messages: Sequence[Message]) -> list[tuple[str, bool]]:
        """The conversation in parts, with the answer to: is it an answer? What is before an answer
        is what the model is given when it answers.
        """
        whole = self._rendered(marker, messages, prompt=False)
        found: list[tuple[str, bool]] = []
        at = 0
        last = max(n for n, each in enumerate(messages) if each.role == "assistant")
        for number, message in enumerate(messages):
            if message.role != "assistant":
                continue
            before = self._rendered(marker, messages[:number], prompt=True)
            after = self._rendered(marker, messages[: number + 1], prompt=False)
            if whole.startswith(before) and whole.startswith(after) and len(before) < len(after):
                found += [(whole[at : len(before)], False), (whole[len(before) : len(after)], True)]
                at = len(after)
            elif number == last:
                return [(before, False), (self._answer(after, message), True)]
            else:
                self._note(LAST_ALONE)
        return [*found, *([(whole[at:], False)] if whole[at:] else [])]

    def _answer(self, text: str, message: Message) -> str:
        """The last answer and what the template writes after it."""
        _, _, ending = text.rpartition(message.content.strip())
        return message.content + ending

    def _rendered(self, marker: Marker, messages: Sequence[Message], *, prompt: bool) -> str:
        values = {**self._values, PROMPT_TOO: prompt}
        run = renderer(self._model, self._template, values)
        template = Template(run, (self._template, prompt), marker.unmark)
        return self._repairs.render(template, messages, self._note) if messages else ""

    def _row(self, parts: Sequence[Part]) -> Row:
        """All of an answer up to the token that ends it is learned; of other parts too, unless
        prompts are masked. The first token never is.
        """
        import numpy as np

        tokens: list[int] = []
        learned: list[bool] = []
        for ids, is_answer in parts:
            ended = False
            for token in ids:
                tokens.append(token)
                learned.append((is_answer and not ended) or not self._mask_prompt)
                ended = ended or (is_answer and self._model.ends_generation(token))
        flags = np.array(learned, np.bool_)
        flags[:1] = False
        return Row(np.array(tokens, np.int32), flags)

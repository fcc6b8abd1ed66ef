"""Turns messages into prompt tokens, through the model's own chat template.

Templates come with the model file and are untrusted: they run in Jinja's sandbox. Messages
are untrusted too (see `marker`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates import thoughts
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.renderer import renderer, written
from llmparams_cli.templates.thinking import arguments, unheeded
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.speech import PLAIN, Format


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids and as text, and how the model marks its thoughts after it. `date` is
    the one that the template wrote into it, if it did.
    """

    tokens: list[int]
    text: str
    format: Format = PLAIN
    date: str = ""


def prompt(
    model: Vocabulary, template: str, request: Request, note: Callable[[str], None]
) -> Prompt:
    """The prompt of this request. With an empty template the messages are joined by blank lines."""
    messages = request.messages
    if not template:
        if len(messages) > 1:
            note("no chat template is applied: the system text goes before the prompt")
        for name in unheeded(request.settings):
            note(f"no chat template is applied: {name} has no effect")
        text = "\n\n".join(message.content for message in messages)
        return Prompt(model.tokenize(text, begin=True), text)
    marker = Marker(model, written(model, template))
    marked = [
        replace(m, content=marker.mark(m.content), reasoning=marker.mark(m.reasoning))
        for m in messages
    ]
    run = renderer(model, template, arguments(template, request.settings, note))
    text = _whole(run, marked, note)
    tokens = _with_begin(model, marker.tokenize(text))
    return Prompt(tokens, marker.unmark(text), thoughts.format_of(template))


def _whole(
    run: Callable[[Sequence[Message]], str],
    messages: Sequence[Message],
    note: Callable[[str], None],
) -> str:
    """What the template makes of the messages, perhaps with the system text elsewhere."""
    try:
        return run(messages)
    except ModelError as error:
        merged = _system_into_user(messages)
        if merged is None:
            raise
        text = run(merged)
        note(
            f"the chat template has no place for a system text ({error.message}); "
            "it was put before the prompt"
        )
        return text


def _system_into_user(messages: Sequence[Message]) -> list[Message] | None:
    """For templates without a system role: its text goes before the first user message."""
    if len(messages) < 2 or messages[0].role != "system" or messages[1].role != "user":
        return None
    system, user, *rest = messages
    return [Message("user", f"{system.content}\n\n{user.content}"), *rest]


def _with_begin(model: Vocabulary, tokens: list[int]) -> list[int]:
    """Add the BOS token unless the template wrote it: there must be exactly one."""
    begin = model.begin_token
    if begin is None or tokens[:1] == [begin]:
        return tokens
    return [begin, *tokens]

"""Turns messages into prompt tokens, through the model's own chat template.

Templates come with the model file and are untrusted: they run in Jinja's sandbox. Messages
are untrusted too (see `marker`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates import thoughts
from llmparams_cli.templates.choice import is_jinja
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.thinking import arguments, unheeded
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.shorten import brief
from llmparams_cli.text.speech import PLAIN, Format

ROLES = ("system", "user", "assistant", "user")
SPECIAL_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
ALWAYS = ("bos", "eos")  # these have a variable also where the vocabulary does not have them
ADDITIONAL = "additional_special_tokens"
UNDEFINED = re.compile(r"'(\w+)' is undefined")
CURE = "--chat-template takes another one"


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
    marker = Marker(model, _written(model, template))
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


def renderer(
    model: Vocabulary, template: str, values: Mapping[str, Any]
) -> Callable[[Sequence[Message]], str]:
    """Runs this template, with `values` for its variables: it turns messages into a text that ends
    where the assistant's answer begins, or raises ModelError.
    """
    if not is_jinja(template):
        return partial(model.named_template, template)
    return partial(_run, _compile(template), {**_tokens(model, template), **values})


def _compile(template: str) -> Any:
    from llmparams_cli.templates.environment import compiled

    try:
        return compiled(template)
    except Exception as error:  # TemplateError, RecursionError, …
        raise ModelError(f"the chat template is not valid Jinja: {error}", CURE) from error


def _run(template: Any, values: Mapping[str, Any], messages: Sequence[Message]) -> str:
    from llmparams_cli.text import jinja

    fixed = {
        "messages": [_as_mapping(message) for message in messages],
        "add_generation_prompt": True,
        "tools": None,
        "documents": None,
    }
    try:
        try:
            return jinja.render(template, {**fixed, **values})
        except TypeError:  # templates that are for tools alone want a list of them
            return jinja.render(template, {**fixed, "tools": [], **values})
    except Exception as error:  # whatever the template's code runs into
        reason = brief(str(error))
        missing = UNDEFINED.fullmatch(reason)
        cure = f"--template-arg {missing[1]}=VALUE sets it" if missing else CURE
        raise ModelError(f"the chat template fails: {reason}", cure) from error


def _as_mapping(message: Message) -> dict[str, str]:
    """A message as templates read it; each has its own name for the thoughts."""
    names = ("reasoning_content", "reasoning", "thinking") if message.reasoning else ()
    return {
        "role": message.role,
        "content": message.content,
        **dict.fromkeys(names, message.reasoning),
    }


def _tokens(model: Vocabulary, template: str) -> dict[str, Any]:
    """The special tokens that this template may write, by the names of their variables."""
    texts = {which: model.special_text(which) for which in SPECIAL_TOKENS}
    named = {f"{which}_token": text for which, text in texts.items() if text or which in ALWAYS}
    if ADDITIONAL in template:  # there may be thousands
        others = [text for text in model.control_texts if text not in texts.values()]
        return {**named, ADDITIONAL: others}
    return named


def _written(model: Vocabulary, template: str) -> str:
    """A text with all control tokens that the template writes."""
    if is_jinja(template):
        return template
    return model.named_template(template, [Message(role, "x") for role in ROLES])


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

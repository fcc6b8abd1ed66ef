"""Turns messages into prompt tokens, through the model's own chat template.

Templates come with the model file and are untrusted: they run in Jinja's sandbox. Messages
are untrusted too (see `marker`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates import thoughts
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.shorten import brief
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
        return _raw(model, request, note)
    marker = Marker(model, template)
    marked = [replace(m, content=marker.mark(m.content)) for m in messages]
    text = render(model, template, marked, note)
    tokens = _with_begin(model, marker.tokenize(text))
    return Prompt(tokens, marker.unmark(text), thoughts.format_of(template))


def _raw(model: Vocabulary, request: Request, note: Callable[[str], None]) -> Prompt:
    """The messages as they are, joined by blank lines."""
    if len(request.messages) > 1:
        note("no chat template is applied: the system text goes before the prompt")
    runs = [list(message.runs(request.special)) for message in request.messages]
    trusted = (text for run in runs for text, is_literal in run if not is_literal)
    marker = Marker(model, "\n".join(trusted))
    marked = (
        "".join(marker.mark_whole(text) if is_literal else text for text, is_literal in run)
        for run in runs
    )
    text = "\n\n".join(marked)
    return Prompt(_with_begin(model, marker.tokenize(text)), marker.unmark(text))


def render(
    model: Vocabulary, template: str, messages: Sequence[Message], note: Callable[[str], None]
) -> str:
    """Run the template; the result ends where the assistant's answer begins."""
    compiled = _compile(template)
    try:
        return _run(model, compiled, messages)
    except ModelError as error:
        merged = _system_into_user(messages)
        if merged is None:
            raise
        text = _run(model, compiled, merged)
        note(
            f"the chat template has no place for a system text ({error.message}); "
            "it was put before the prompt"
        )
        return text


def _compile(template: str) -> Any:
    from jinja2.ext import loopcontrols

    from llmparams_cli.text import jinja

    # Set up as in transformers, for which templates are written.
    environment = jinja.Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _strftime_now
    try:
        with jinja.bounded():  # Jinja computes constants while it compiles
            return environment.from_string(template)
    except Exception as error:  # TemplateError, RecursionError, …
        raise ModelError(
            f"the model's chat template is not valid Jinja: {error}",
            "--raw generates without the template",
        ) from error


def _run(model: Vocabulary, template: Any, messages: Sequence[Message]) -> str:
    from llmparams_cli.text import jinja

    try:
        return jinja.render(
            template,
            {
                "messages": [{"role": m.role, "content": m.content} for m in messages],
                "add_generation_prompt": True,
                "bos_token": model.special_text("bos"),
                "eos_token": model.special_text("eos"),
                "tools": None,
            },
        )
    except Exception as error:  # whatever the template's code runs into
        raise ModelError(
            f"the model's chat template fails: {brief(str(error))}",
            "--raw generates without the template",
        ) from error


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


def _tojson(value: Any, indent: int | None = None, **_options: Any) -> str:
    import json

    # Jinja's own filter escapes <, > and & for HTML.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> None:
    raise ValueError(message)


def _strftime_now(form: str) -> str:
    from datetime import datetime

    return datetime.now().strftime(form)

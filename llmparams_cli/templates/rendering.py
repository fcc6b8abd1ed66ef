"""Turns messages into prompt tokens, through the model's own chat template.

Templates come with the model file and are untrusted: they run in Jinja's sandbox. Messages
are untrusted too (see `marker`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmparams_cli.errors import ModelError
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates import thoughts
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.repairs import Repairs, Template
from llmparams_cli.templates.today import Today
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
    model: Vocabulary,
    template: str,
    request: Request,
    note: Callable[[str], None],
    repairs: Repairs | None = None,
) -> Prompt:
    """The prompt of this request. With an empty template the messages are joined by blank lines.
    `repairs` are kept from one prompt to the next, to save time.
    """
    if not template:
        return _without_template(model, request, note)
    marker = Marker(model, template)
    marked = [replace(m, content=marker.mark(m.content)) for m in request.messages]
    compiled, today = _compile(template), Today(request.date)
    text = (repairs or Repairs()).render(
        Template(
            lambda messages: _run(model, compiled, messages, today),
            (template, repr(request.settings.of_scope(Scope.PROMPT))),
            marker.unmark,
        ),
        marked,
        note,
    )
    tokens = _with_begin(model, marker.tokenize(text))
    return Prompt(tokens, marker.unmark(text), thoughts.format_of(template), today.asked_for)


def _without_template(model: Vocabulary, request: Request, note: Callable[[str], None]) -> Prompt:
    if not request.raw:
        note(
            "this model has no chat template: it continues your text rather than answer it "
            "(--chat-template names one)"
        )
    if request.messages[0].role == "system":
        note("no chat template is applied: the system text goes before the prompt")
    if model.adds_end:
        note(
            "no end token is put after the prompt, though the model's file asks for one "
            "(add_eos_token)"
        )
    if own := request.settings.only_thinking:
        names = ", ".join(setting.name for setting in own)
        note(f"without effect: {names}: no chat template tells thoughts from the answer")
    text = "\n\n".join(message.content for message in request.messages)
    return Prompt(_with_begin(model, model.tokenize(text)), text)


def _compile(template: str) -> Any:
    from jinja2.ext import loopcontrols

    from llmparams_cli.text import jinja

    # Set up as in transformers, for which templates are written.
    environment = jinja.Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    try:
        with jinja.bounded():  # Jinja computes constants while it compiles
            return environment.from_string(template)
    except Exception as error:  # TemplateError, RecursionError, …
        raise ModelError(
            f"the model's chat template is not valid Jinja: {error}",
            "--raw generates without the template",
        ) from error


def _run(model: Vocabulary, template: Any, messages: Sequence[Message], today: Today) -> str:
    """Run the template; the result ends where the assistant's answer begins."""
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
                "strftime_now": today.strftime_now,
            },
        )
    except Exception as error:  # whatever the template's code runs into
        raise ModelError(
            f"the model's chat template fails: {brief(str(error))}",
            "--raw generates without the template",
        ) from error


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

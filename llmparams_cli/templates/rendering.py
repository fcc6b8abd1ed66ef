"""Turns messages into prompt tokens, through the model's own chat template.

Templates come with the model file and are untrusted: they run in Jinja's sandbox. Messages
are untrusted too (see `marker`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates.marker import Marker
from llmparams_cli.templates.marks import marks_of
from llmparams_cli.templates.renderer import renderer, written
from llmparams_cli.templates.repairs import Repairs, Template
from llmparams_cli.templates.thinking import arguments, unheeded
from llmparams_cli.templates.today import Today
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.speech import PLAIN, Marks, Phase

LIMIT = "max_thinking_tokens"


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids and as text, and how the model marks its thoughts after it. `date` is
    the one that the template wrote into it, if it did; `phase` says whether it opened the thoughts.
    """

    tokens: list[int]
    text: str
    marks: Marks = PLAIN
    date: str = ""
    phase: Phase = Phase.START


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
    marker = Marker(model, written(model, template))
    marked = [
        replace(m, content=marker.mark(m.content), reasoning=marker.mark(m.reasoning))
        for m in request.messages
    ]
    today = Today(request.date)
    values = {"strftime_now": today.strftime_now, **arguments(template, request.settings, note)}
    text = (repairs or Repairs()).render(
        Template(
            renderer(model, template, values),
            (template, repr(request.settings.of_scope(Scope.PROMPT))),
            marker.unmark,
        ),
        marked,
        note,
    )
    tokens = with_begin(model, marker.tokenize(text))
    marks = marks_of(template)
    if not marks.opens:
        for name in _about_thoughts(request.settings):
            note(f"this model marks no thoughts: {name} has no effect")
    phase = Phase.START if _ends_in_message(text, marked) else marks.first_phase(text)
    return Prompt(tokens, marker.unmark(text), marks, today.asked_for, phase)


def _about_thoughts(settings: Settings) -> list[str]:
    """The names of the settings that want thoughts to be told from the answer."""
    names = [setting.name for setting in settings.only_thinking]
    return [LIMIT, *names] if settings[LIMIT] >= 0 else names


def _ends_in_message(text: str, messages: Sequence[Message]) -> bool:
    """Is the end of a prompt that of its last message, rather than the template's own?"""
    last = messages[-1].content.rstrip()
    return bool(last) and text.rstrip().endswith(last)


def _without_template(model: Vocabulary, request: Request, note: Callable[[str], None]) -> Prompt:
    """The messages, joined by blank lines, with notes on what is not applied."""
    if not request.raw:
        note(
            "this model has no chat template: it continues your text rather than answer it "
            "(--chat-template names one)"
        )
    if request.messages[0].role == "system":
        note("no chat template is applied: the system text goes before the prompt")
    for name in (*unheeded(request.settings), *_about_thoughts(request.settings)):
        note(f"no chat template is applied: {name} has no effect")
    if model.adds_end:
        note(
            "no end token is put after the prompt, though the model's file asks for one "
            "(add_eos_token)"
        )
    runs = [list(message.runs(request.special)) for message in request.messages]
    trusted = (text for run in runs for text, is_literal in run if not is_literal)
    marker = Marker(model, "\n".join(trusted))
    marked = (
        "".join(marker.mark_whole(text) if is_literal else text for text, is_literal in run)
        for run in runs
    )
    text = "\n\n".join(marked)
    return Prompt(with_begin(model, marker.tokenize(text)), marker.unmark(text))


def with_begin(model: Vocabulary, tokens: list[int]) -> list[int]:
    """Add the BOS token unless the template wrote it: there must be exactly one."""
    begin = model.begin_token
    if begin is None or tokens[:1] == [begin]:
        return tokens
    return [begin, *tokens]

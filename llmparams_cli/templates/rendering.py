"""Turns messages into prompt tokens, through the model's own chat template.

Templates come with the model file and are untrusted: they run in Jinja's sandbox. Messages
are untrusted too: the text of a control token inside one must not become that token, so it
is replaced by a mark before the template runs, and tokenised as plain text afterwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise, takewhile
from typing import Any

from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.shorten import brief

# What models' own control tokens look like: <|im_start|>, <|channel>.
LIKE_CONTROL = re.compile(r"<\|.*>|<.*\|>")


def prompt_tokens(
    model: Vocabulary, template: str, messages: Sequence[Message], note: Callable[[str], None]
) -> tuple[list[int], str]:
    """The prompt as token ids and as text. With an empty template the messages are joined by
    blank lines.
    """
    if not template:
        if len(messages) > 1:
            note("no chat template is applied: the system text goes before the prompt")
        text = "\n\n".join(message.content for message in messages)
        return model.tokenize(text, begin=True), text
    marker = _Marker(model, template)
    marked = [Message(m.role, marker.mark(m.content)) for m in messages]
    text = render(model, template, marked, note)
    return _with_begin(model, marker.tokenize(text)), marker.unmark(text)


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


class _Marker:
    """Replaces the texts of control tokens in messages by marks that pass through a template.

    A mark holds a random number, so that no message can forge one. User-defined tokens that the
    template writes, such as <think>, are control tokens here: what they do is up to the model.
    """

    def __init__(self, model: Vocabulary, template: str) -> None:
        self._model = model
        self._template = template
        self._nonce = os.urandom(8).hex()
        self._texts: list[str] = []
        self._defused: set[str] = set()

    def mark(self, content: str) -> str:
        specials = self._control_texts(self._model.tokenize(content, special=True))
        return re.sub(_any_of(specials), self._replace, content) if specials else content

    def tokenize(self, text: str) -> list[int]:
        """Tokenise the template's output: its control tokens as such, the marked ones as text."""
        first, *rest = self._split(text)
        tokens = self._model.tokenize(first, special=True)
        for number, part in zip(rest[::2], rest[1::2], strict=True):
            after = self._model.tokenize(part, special=True, goes_on=True)
            # The mark's text and the plain text on both sides are one text for the tokenizer.
            before = self._plain(reversed(tokens))[::-1]
            behind = self._plain(after)
            around = [b"".join(map(self._model.piece, side)) for side in (before, behind)]
            plain = self._texts[int(number)].join(side.decode(errors="replace") for side in around)
            tokens = tokens[: len(tokens) - len(before)]
            tokens += self._literally(plain, goes_on=bool(before))
            tokens += after[len(behind) :]
        return tokens

    def _plain(self, tokens: Iterable[int]) -> list[int]:
        """The tokens before the first control token."""
        return list(takewhile(lambda token: not self._controls(token), tokens))

    def _controls(self, token: int) -> bool:
        """Is it a control token, or one that stands for a part of the template?"""
        if self._model.is_control(token):
            return True
        if not self._model.is_user_defined(token):
            return False
        name = self._model.name(token)
        # A single character is no mark of anything, and could not be cut in two.
        return bool(LIKE_CONTROL.match(name)) or (len(name.strip()) > 1 and name in self._template)

    def _literally(self, text: str, *, goes_on: bool) -> list[int]:
        """Tokenise a text without any control token. llama.cpp reads user-defined tokens in every
        text: each is cut in two behind its first character.
        """
        while True:
            cuts = [0, len(text)]
            if self._defused:  # the empty match in front finds those that overlap, too
                cuts += [m.start() + 1 for m in re.finditer(f"(?={_any_of(self._defused)})", text)]
            tokens: list[int] = []
            for start, end in pairwise(sorted(set(cuts))):
                tokens += self._model.tokenize(text[start:end], goes_on=goes_on or start > 0)
            left = self._control_texts(tokens) - self._defused
            if not left:
                return tokens
            self._defused |= left

    def unmark(self, text: str) -> str:
        parts = self._split(text)
        return "".join(self._texts[int(p)] if i % 2 else p for i, p in enumerate(parts))

    def _split(self, text: str) -> list[str]:
        """Plain parts at even indices, the numbers of marks at odd ones."""
        return re.split(f"\ue000{self._nonce}:(\\d+)\ue001", text)

    def _replace(self, match: re.Match[str]) -> str:
        self._texts.append(match[0])
        return f"\ue000{self._nonce}:{len(self._texts) - 1}\ue001"

    def _control_texts(self, tokens: Iterable[int]) -> set[str]:
        return {self._model.name(token) for token in {*tokens} if self._controls(token)} - {""}


def _any_of(texts: Collection[str]) -> str:
    """A regular expression; its first alternative wins, so longer ones stand before others."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))


def _tojson(value: Any, indent: int | None = None, **_options: Any) -> str:
    import json

    # Jinja's own filter escapes <, > and & for HTML.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> None:
    raise ValueError(message)


def _strftime_now(form: str) -> str:
    from datetime import datetime

    return datetime.now().strftime(form)

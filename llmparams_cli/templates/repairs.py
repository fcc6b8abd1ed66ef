"""Messages that a chat template has no place for, put where it has one.

Some templates refuse a system text or an empty answer; others drop a text without a word. Whether
they do is found out by a probe: the same roles with random words, which are looked for in what the
template makes of them. So short texts, and those that a template changes, are judged rightly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message
from llmparams_cli.text.shorten import brief

Messages = Sequence[Message]
SHOWN = 60  # characters of a text that is dropped


@dataclass(frozen=True)
class Repair:
    """A way to say the same with other messages; `change` returns None if it changes nothing."""

    change: Callable[[Messages], Messages | None]
    note: str


def _system_into_user(messages: Messages) -> Messages | None:
    users = [place for place, message in enumerate(messages) if message.role == "user"]
    if not users or messages[0].role != "system":
        return None
    system, *others = messages
    others[users[0] - 1] = _joined(system, others[users[0] - 1])
    return others


def _without_empty_answers(messages: Messages) -> Messages | None:
    kept: list[Message] = []
    for message in messages:
        if message.role == "assistant" and _is_blank(message):
            continue
        if kept and kept[-1].role == message.role == "user":
            message = _joined(kept.pop(), message)
        kept.append(message)
    return kept if len(kept) < len(messages) else None


def _joined(one: Message, other: Message) -> Message:
    return Message("user", f"{one.content}\n\n{other.content}")


SYSTEM = Repair(
    _system_into_user,
    "the chat template has no place for a system text: it was put before the first message",
)
EMPTY = Repair(
    _without_empty_answers,
    "the chat template has no place for an empty answer: it was left out, and the messages around "
    "it were joined",
)
TRIED: tuple[tuple[Repair, ...], ...] = ((), (SYSTEM,), (EMPTY,), (SYSTEM, EMPTY))


@dataclass(frozen=True)
class Template:
    """A chat template: `run` makes a prompt of messages or raises ModelError. `depends_on` is what
    else has a say in that, and `unmarked` gives the text of a message as its author wrote it.
    """

    run: Callable[[Messages], str]
    depends_on: Hashable
    unmarked: Callable[[str], str]


class Repairs:
    """Knows what templates drop, from one prompt to the next: of many conversations with the same
    roles only the first one costs a probe.
    """

    def __init__(self) -> None:
        # By what a template depends on and the shape of a conversation: which messages are lost;
        # None: the template refuses to be probed.
        self._lost: dict[Hashable, Sequence[int] | None] = {}

    def render(self, template: Template, messages: Messages, note: Callable[[str], None]) -> str:
        """What the template makes of the messages, with as few repairs as it takes, of which the
        user is told. Raises ModelError if the template fails or drops a text all the same.
        """
        trouble: list[ModelError] = []
        for repairs in TRIED:
            changed = _changed(messages, repairs)
            if changed is None:
                continue
            try:
                text = self._whole(template, changed)
            except ModelError as error:
                trouble.append(error)
                if _is_endless(error):
                    break
                continue
            for repair in repairs:
                note(repair.note)
            return text
        raise trouble[0]  # the one about the messages as they are

    def _whole(self, template: Template, messages: Messages) -> str:
        """What the template makes of the messages; raises ModelError if a text is not in it."""
        shape = template.depends_on, tuple(map(_shape, messages))
        if shape not in self._lost:
            self._lost[shape] = _lost(template, messages)
        lost = self._lost[shape]
        text = "" if lost else template.run(messages)
        if lost is None:
            lost = [place for place, each in enumerate(messages) if not _is_in(each.content, text)]
        if not lost:
            return text
        message = messages[lost[0]]
        start = brief(repr(template.unmarked(message.content)), SHOWN)
        raise ModelError(
            f"the chat template drops a text: the {message.role} message {start}",
            "--chat-template takes another one",
        )


def _changed(messages: Messages, repairs: Sequence[Repair]) -> Messages | None:
    """The messages after all of these repairs; None if one of them changes nothing."""
    for repair in repairs:
        changed = repair.change(messages)
        if changed is None:
            return None
        messages = changed
    return messages


def _shape(message: Message) -> Hashable:
    """All of a message that decides whether a template has a place for it."""
    return message.role, _is_blank(message), bool(message.reasoning)


def _lost(template: Template, messages: Messages) -> Sequence[int] | None:
    """Which of these messages the template drops; None: it refuses to be probed."""
    words = {
        place: os.urandom(8).hex() for place, each in enumerate(messages) if not _is_blank(each)
    }
    probe = [
        replace(each, content=words.get(place, ""), reasoning=each.reasoning and "so")
        for place, each in enumerate(messages)
    ]
    try:
        text = template.run(probe).lower()
    except ModelError as error:
        if _is_endless(error):
            raise
        return None
    return [place for place, word in words.items() if word not in text]


def _is_blank(message: Message) -> bool:
    return not message.content.strip()


def _is_in(content: str, text: str) -> bool:
    """Is a text in a prompt, but for blanks around it or as a JSON string?"""
    quoted = json.dumps(content, ensure_ascii=False)[1:-1]
    return any(each.strip() in text for each in (content, quoted))


def _is_endless(error: ModelError) -> bool:
    """Did the template take more time or memory than any should? The next try would, too."""
    from llmparams_cli.text.jinja import TooMuch

    return isinstance(error.__cause__, TooMuch)

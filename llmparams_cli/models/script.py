"""A scripted model: a file of answers instead of weights.

name: a demo               # without it, the file's name
context: 4096              # tokens; --context overrides it
delay: 0.05                # seconds before every token of an answer
answers:                   # the first one whose `when` matches in the message is used
  - when: (?i)weather      # a regular expression; without one, for every message
    text: It is raining.
  - texts: [Yes., No.]     # the seed chooses
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.errors import ModelError
from llmparams_cli.files import MOST_SETTINGS, display_path, read_text
from llmparams_cli.params.kinds import INT32_MAX, did_you_mean
from llmparams_cli.presets.nodes import Mark, Node, Unreadable, compose
from llmparams_cli.text.shorten import brief

CONTEXT = 4096  # tokens
# Control tokens are what Words in backends/words.py has.
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LONGEST_DELAY = 60.0  # seconds
EXAMPLE = "the least there can be is `answers: [{text: Hello.}]`"


@dataclass(frozen=True)
class Answer:
    """The possible answers to a message in which `when` matches; None matches every message."""

    texts: tuple[str, ...]
    when: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Script:
    """The checked content of a file of answers."""

    path: Path
    name: str
    answers: tuple[Answer, ...]
    context: int = CONTEXT
    delay: float = 0.0

    def texts(self, message: str) -> tuple[str, ...]:
        """The possible answers to this message; empty if the script has none."""
        for answer in self.answers:
            if answer.when is None or answer.when.search(message):
                return answer.texts
        return ()


def read_script(path: Path, directory: Path) -> Script:
    """Read a script; raises ModelError, which shows its path relative to `directory`."""
    place = display_path(path, directory)
    try:
        return _script(path, compose(read_text(path, MOST_SETTINGS), _refuse))
    except Unreadable as error:
        raise ModelError(f"{place}:{error.mark.line}: {brief(error.reason)}", EXAMPLE) from error
    except ValueError as error:
        raise ModelError(f"{place}: {error}", "give a file of answers") from error


def _script(path: Path, root: Node | None) -> Script:
    if root is None:
        raise Unreadable(Mark(1, 1), "there are no answers")
    entries = _mapping(root, ("name", "context", "delay", "answers"))
    if "answers" not in entries:
        raise Unreadable(root.mark, "there are no `answers:`")
    name, context, delay = map(entries.get, ("name", "context", "delay"))
    return Script(
        path,
        _text(name, "name") if name else path.stem,
        tuple(map(_answer, _items(entries["answers"], "answers"))),
        _context(context) if context else CONTEXT,
        _delay(delay) if delay else 0.0,
    )


def _answer(node: Node) -> Answer:
    entries = _mapping(node, ("when", "text", "texts"))
    if ("text" in entries) == ("texts" in entries):
        raise Unreadable(node.mark, "an answer has either `text:` or `texts:`")
    if "text" in entries:
        texts = [_text(entries["text"], "text")]
    else:
        texts = [_text(item, "texts") for item in _items(entries["texts"], "texts")]
    when = entries.get("when")
    return Answer(tuple(texts), _pattern(when) if when else None)


def _pattern(node: Node) -> re.Pattern[str]:
    try:
        return re.compile(_text(node, "when"))
    except re.error as error:
        raise Unreadable(node.mark, f"when: not a regular expression: {error}") from error


def _context(node: Node) -> int:
    if type(node.value) is not int or not 0 < node.value <= INT32_MAX:
        raise Unreadable(node.mark, f"context: {node.plain()!r} is not a number of tokens")
    return node.value


def _delay(node: Node) -> float:
    value = node.value
    # type() excludes bools, which are ints; isinstance() is for the type checker.
    if type(value) not in (int, float) or not isinstance(value, (int, float)):
        raise Unreadable(node.mark, f"delay: {node.plain()!r} is not a number of seconds")
    if not math.isfinite(value) or not 0 <= value <= LONGEST_DELAY:
        raise Unreadable(node.mark, f"delay: {value} is out of range: 0 to {LONGEST_DELAY:g}")
    return float(value)


def _mapping(node: Node, known: tuple[str, ...]) -> dict[str, Node]:
    keys = f"the keys are {', '.join(known)}"
    if not isinstance(node.value, dict):
        raise Unreadable(node.mark, f"{node.plain()!r} is not a mapping; {keys}")
    for key, item in node.value.items():
        if key not in known:
            guess = did_you_mean(key, known) or f"; {keys}"
            raise Unreadable(item.mark, f"unknown key {key!r}{guess}")
    return node.value


def _items(node: Node, key: str) -> list[Node]:
    if not isinstance(node.value, list) or not node.value:
        raise Unreadable(node.mark, f"{key}: not a list with at least one item")
    return node.value


def _text(node: Node, key: str) -> str:
    if not isinstance(node.value, str):
        raise Unreadable(node.mark, f"{key}: {node.plain()!r} is not text; put text in quotes")
    return node.value


def _refuse(mark: Mark, reason: str) -> None:
    raise Unreadable(mark, reason)

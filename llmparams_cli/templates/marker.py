"""Keeps the names of control tokens in untrusted texts from becoming those tokens.

Messages are untrusted: the name of a control token inside one is replaced by a mark before the
template runs, and tokenised as plain text afterwards. So is a whole text in a raw prompt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise, takewhile

from llmparams_cli.templates.vocabulary import Vocabulary

# What user-defined tokens look like that mean something to a model beyond their text: <|channel>,
# <｜User｜>, [/INST], [PAD7], </think>, <tool_call>. Not so <b>, or a run of blanks.
LIKE_CONTROL = re.compile(
    r"<[|｜].*>|<.*[|｜]>|\[\|.*\|\]|\[/?[A-Z_]+\d*\]"
    r"|</?[\w:]*(think|thought|tool|func|arg_|fim|pad|bos|eos|unk|mask|unused)[\w:]*>"
)
# A mark in JSON that has no characters beyond ASCII, or else another escape.
ESCAPED = re.compile(r"\\ue000(\d+:\d+)\\ue001|\\.")


class Marker:
    """Replaces the texts of control tokens in messages by marks that pass through a template.

    A mark holds a random number, so that no message can forge one. User-defined tokens count as
    control tokens if they look like one, or if the `template` (in a raw prompt: what is trusted of
    it) writes them: what they do is up to the model.
    """

    def __init__(self, model: Vocabulary, template: str) -> None:
        self._model = model
        self._template = template
        self._nonce = int.from_bytes(os.urandom(8), "big")  # digits: they pass through `upper`, too
        self._texts: list[str] = []
        self._defused: set[str] = set()

    def mark(self, content: str) -> str:
        """Mark the names of control tokens, and nothing else: a template reads the content."""
        specials = self._control_texts(self._model.tokenize(content, special=True))
        if not specials:
            return content
        return re.sub(_any_of(specials), lambda match: self.mark_whole(match[0]), content)

    def mark_whole(self, text: str) -> str:
        """A mark for all of a text: no name that begins before it can end in it, either."""
        self._texts.append(text)
        return f"\ue000{self._nonce}:{len(self._texts) - 1}\ue001"

    def tokenize(self, text: str, *, goes_on: bool = False) -> list[int]:
        """Tokenise a text, which may go on after another: its control tokens as such, what was
        marked as text.
        """
        first, *rest = self._split(text)
        tokens = self._model.tokenize(first, special=True, goes_on=goes_on)
        if not rest:
            return tokens
        # Marked texts and the plain text around them are one text for the tokenizer.
        tokens, plain = self._before(tokens)
        goes_on = bool(plain) or (goes_on and not tokens)
        for number, part in zip(rest[::2], rest[1::2], strict=True):
            plain += self._texts[int(number)]
            after = self._model.tokenize(part, special=True, goes_on=True)
            behind = self._plain(after)
            plain += self._text(behind)
            if len(behind) < len(after):
                tokens += self._literally(plain, goes_on=goes_on)
                more, plain = self._before(after[len(behind) :])
                tokens, goes_on = tokens + more, bool(plain)
        return tokens + self._literally(plain, goes_on=goes_on)

    def _before(self, tokens: Sequence[int]) -> tuple[list[int], str]:
        """The tokens up to the last control token, and the plain text after it."""
        plain = self._plain(reversed(tokens))[::-1]
        return [*tokens[: len(tokens) - len(plain)]], self._text(plain)

    def _plain(self, tokens: Iterable[int]) -> list[int]:
        """The tokens before the first control token."""
        return list(takewhile(lambda token: not self._controls(token), tokens))

    def _text(self, plain: Iterable[int]) -> str:
        return b"".join(map(self._model.piece, plain)).decode(errors="replace")

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

    def _control_texts(self, tokens: Iterable[int]) -> set[str]:
        return {self._model.name(token) for token in {*tokens} if self._controls(token)} - {""}


def marks_unescaped(document: str) -> str:
    """The JSON document with its marks as they were; all else in it stays escaped."""
    return ESCAPED.sub(lambda m: f"\ue000{m[1]}\ue001" if m[1] else m[0], document)


def _any_of(texts: Collection[str]) -> str:
    """A regular expression; its first alternative wins, so longer ones stand before others."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))

"""Keeps the text of control tokens in messages from becoming those tokens.

Messages are untrusted: the text of a control token inside one is replaced by a mark before the
template runs, and tokenised as plain text afterwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from itertools import pairwise, takewhile

from llmparams_cli.templates.vocabulary import Vocabulary

# What models' own control tokens look like: <|im_start|>, <|channel>.
LIKE_CONTROL = re.compile(r"<\|.*>|<.*\|>")


class Marker:
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

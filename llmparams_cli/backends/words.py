"""A tokenizer that needs no model: words with the space before them, and single bytes.

Ids depend on nothing but the token, so that they can be compared with those of another run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

from llmparams_cli.params.kinds import INT32_MAX
from llmparams_cli.protocol import Message
from llmparams_cli.text.utf8 import escaped

PIECES = re.compile(rb" ?[A-Za-z0-9]{1,16}|[\x00-\xff]")
CONTROLS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
SPLIT = re.compile("(" + "|".join(map(re.escape, CONTROLS)) + ")")
FIRST_CONTROL = 256  # ids below it are bytes
END = FIRST_CONTROL + CONTROLS.index("<|end|>")
FIRST_WORD = FIRST_CONTROL + len(CONTROLS)


class Words:
    """The vocabulary of a scripted model: it grows with the texts that it reads."""

    begin_token: int | None = None
    adds_end = False

    def __init__(self, trained_context: int) -> None:
        self.trained_context = trained_context
        self.control_texts = list(CONTROLS)
        self._pieces: dict[int, bytes] = {}

    def tokenize(self, text: str, *, special: bool = False, goes_on: bool = False) -> list[int]:
        """The ids of a text; with `special`, the names of control tokens are read as such."""
        if not special:
            return [self._id(piece) for piece in PIECES.findall(text.encode())]
        tokens: list[int] = []
        for place, part in enumerate(SPLIT.split(text)):
            # A split by one group alternates between text and what the group matched.
            tokens += [_control(part)] if place % 2 else self.tokenize(part)
        return tokens

    def piece(self, token: int) -> bytes:
        """The bytes of a token; control tokens have none."""
        if token < FIRST_CONTROL:
            return bytes([token])
        return self._pieces.get(token, b"")

    def name(self, token: int) -> str:
        return CONTROLS[token - FIRST_CONTROL] if self.is_control(token) else self.text(token)

    def text(self, token: int) -> str:
        """The text of a token as a part of an answer."""
        return escaped(self.piece(token))

    def is_control(self, token: int) -> bool:
        return FIRST_CONTROL <= token < FIRST_WORD

    def is_user_defined(self, token: int) -> bool:
        return False

    def named_template(self, name: str, messages: Sequence[Message], *, prompt: bool = True) -> str:
        """What one of llama.cpp's own chat templates makes of messages: a prompt, or they alone."""
        # Only who asks for one needs the library.
        from llmparams_cli.backends.llama.machine import named_templates

        return named_templates.apply(name, messages, prompt=prompt)

    def special_text(self, which: str) -> str:
        return CONTROLS[END - FIRST_CONTROL] if which == "eos" else ""

    def _id(self, piece: bytes) -> int:
        """A byte is its own id; that of a word is the hash of its bytes, or the next free number if
        another word has it.
        """
        if len(piece) == 1:
            return piece[0]
        id = FIRST_WORD + crc32(piece) % (INT32_MAX - FIRST_WORD)
        while self._pieces.setdefault(id, piece) != piece:
            id = max(FIRST_WORD, (id + 1) % INT32_MAX)
        return id


def _control(name: str) -> int:
    return FIRST_CONTROL + CONTROLS.index(name)

"""A model that says nothing but what could take over a terminal."""

from __future__ import annotations

from pathlib import Path

from models import CONTROL_TOKENS, NORMAL, byte_alphabet, write_llama

_CONTROL_TYPE = 3
_SIZE = 300


def texts() -> list[str]:
    """What its tokens say, in the order of their ids after the control tokens."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    numbered = (
        form.format(number)
        for number in range(1, _SIZE)
        for form in (
            "\x1b[{0}A",  # cursor up
            "\x1b[{0};{0}H",  # cursor anywhere
            "\x1b[2J{0}",  # clear the screen
            "\x1b]0;{0}\x07",  # title of the window
            "\x9b{0}A",  # cursor up, as one character
            "\r{0}",  # back over the line
            "\x08\x7f{0}",
            "\u202e{0}",  # the rest from right to left
            "\u2066{0}",
            "[bold]{0}[/INST]",  # markup of other programs
            "\x0b{0}\x0c\x0e\x00",
        )
    )
    return [*letters, *numbered][: _SIZE - len(CONTROL_TOKENS)]


def write(path: Path) -> Path:
    alphabet = byte_alphabet()
    words = ["".join(alphabet[byte] for byte in text.encode()) for text in texts()]
    types = [_CONTROL_TYPE] * len(CONTROL_TOKENS) + [NORMAL] * len(words)
    return write_llama(
        path,
        vocabulary=_SIZE,
        metadata={
            "general.name": "wild\x1b[2J\n\u202ename",
            "tokenizer.ggml.tokens": [*CONTROL_TOKENS, *words],
            "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.merges": ["a b"],
        },
    )


def said(ids: list[int]) -> bytes:
    """The bytes that tokens stand for."""
    said_by = dict(enumerate(texts(), start=len(CONTROL_TOKENS)))
    return "".join(said_by.get(id, "") for id in ids).encode()

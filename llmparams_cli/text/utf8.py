"""Bytes that may be parts of characters: those of tokens, and of texts that were cut.

A token may be a part of a character. `escaped` turns its bytes into a text that still knows
them: each byte of a broken character is a lone surrogate (PEP 383). So `joined` makes whole
characters of neighbours, and no text that a model writes can be taken for bytes. Where such a
text is shown, `safe.spelled` writes its bytes as numbers.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator


def escaped(data: bytes) -> str:
    """The text of a token; bytes that are no whole character are kept as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def joined(texts: Iterable[str]) -> str:
    """The text of escaped tokens in a row: bytes of neighbours become characters again."""
    return escaped("".join(texts).encode("utf-8", "surrogateescape"))


def completed(texts: Iterable[str]) -> Iterator[str]:
    """What each of the escaped tokens in a row adds to the text: a character belongs to the
    token that ends it.
    """
    decode = decoder().decode
    return (decode(text.encode("utf-8", "surrogateescape")) for text in texts)


def decoder() -> codecs.IncrementalDecoder:
    """Decodes bytes as they come: holds back a character until it is whole, and replaces (U+FFFD)
    what can never become one.
    """
    return codecs.getincrementaldecoder("utf-8")("replace")


def certain(data: bytes) -> str:
    """The text without the character that its end may have begun."""
    return decoder().decode(data)


def whole(data: bytes) -> str:
    """The whole characters alone, of a text that was cut or put together from parts."""
    return data.decode("utf-8", "ignore")

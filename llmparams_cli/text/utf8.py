"""Decoding UTF-8 that may be cut inside a character: tokens, and truncated texts.

A token may be only part of a character. `escaped` decodes its bytes without loss: each byte
of an incomplete character becomes a lone surrogate (PEP 383), which no model can write as
text. `joined` puts neighbouring tokens together, so that such bytes become characters again.
For display, `safe.spelled` writes the remaining ones in hexadecimal.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator


def escaped(data: bytes) -> str:
    """The text of a token; bytes of incomplete characters become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def joined(texts: Iterable[str]) -> str:
    """The text of consecutive escaped tokens, with characters that span them made whole."""
    return escaped("".join(texts).encode("utf-8", "surrogateescape"))


def completed(texts: Iterable[str]) -> Iterator[str]:
    """What each of several consecutive escaped tokens adds to the text: a character that
    spans tokens belongs to the one that completes it.
    """
    decode = decoder().decode
    return (decode(text.encode("utf-8", "surrogateescape")) for text in texts)


def decoder() -> codecs.IncrementalDecoder:
    """An incremental decoder: holds back a character until it is complete, and replaces bytes
    that can never become one with U+FFFD.
    """
    return codecs.getincrementaldecoder("utf-8")("replace")


def certain(data: bytes) -> str:
    """The text without an incomplete character at its end."""
    return decoder().decode(data)


def whole(data: bytes) -> str:
    """Only the complete characters of a text that was cut or put together from parts."""
    return data.decode("utf-8", "ignore")

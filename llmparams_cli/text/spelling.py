"""Tokens are bytes: how each is shown alone, and the text that they make together."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BROKEN = re.compile("[\udc80-\udcff]+")
_NAMED = re.compile("(?:<[89a-f][0-9a-f](?: [89a-f][0-9a-f])*>)+")


def spelled(data: bytes) -> str:
    """The text; bytes that are no whole character by their numbers, such as `<e3 81>`."""
    text = data.decode("utf-8", "surrogateescape")
    return _BROKEN.sub(lambda run: f"<{run[0].encode(errors='surrogateescape').hex(' ')}>", text)


def joined(texts: Iterable[str]) -> str:
    """The text of spelled tokens in a row: bytes of neighbours become characters again."""
    return _NAMED.sub(lambda run: spelled(bytes.fromhex(_digits(run[0]))), "".join(texts))


def _digits(run: str) -> str:
    return re.sub("[<> ]", "", run)

"""What a model or a file says is data: it must not move the cursor or reorder the line."""

from __future__ import annotations

import re
from typing import TextIO

# Control characters but for newline and tab, Unicode's separators of lines and paragraphs, all
# that steers the direction of writing (Bidi_Control), and lone surrogates (bytes of an argument
# or a path that were not UTF-8). Joiners stay: emoji and many scripts need them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Make unsafe characters visible as their number: ESC becomes `<1b>`."""
    return _UNSAFE.sub(lambda match: f"<{ord(match[0]):02x}>", text)


def one_line(text: str) -> str:
    """The same for names and messages: newlines and tabs become `\\n` and `\\t`."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def escape_json(document: str) -> str:
    """Escape what is unsafe in a JSON document; what it means stays the same."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def encodable(text: str, stream: TextIO) -> str:
    """The text with `?` for what the stream's encoding lacks, so that no write fails."""
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)

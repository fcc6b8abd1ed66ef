"""Untrusted text made safe to print: it must not move the cursor or reorder the line."""

from __future__ import annotations

import re
import shlex
from typing import TextIO

# Control characters but for newline and tab, Unicode's separators of lines and paragraphs, all
# that steers the direction of writing (Bidi_Control), and lone surrogates (bytes of an argument
# or a path that were not UTF-8). Joiners stay: emoji and many scripts need them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BYTES = re.compile("[\udc80-\udcff]+")  # as `utf8.escaped` and file names have them
_NOT_XML = re.compile("[\ufffe\uffff]")  # characters that XML cannot write


def printable(text: str) -> str:
    """Show unsafe characters as hexadecimal codes: ESC becomes `<1b>`."""
    return _UNSAFE.sub(lambda match: f"<{ord(match[0]):02x}>", text)


def one_line(text: str) -> str:
    """`printable`, and on a single line: newlines and tabs become `\\n` and `\\t`, and bytes
    that are not part of a character are spelled out (see `spelled`).
    """
    return printable(spelled(text)).replace("\n", "\\n").replace("\t", "\\t")


def in_xml(text: str) -> str:
    """`one_line`, as XML can write it: it has no way to write two characters."""
    return _NOT_XML.sub(lambda match: f"<{ord(match[0]):x}>", one_line(text))


def spelled(text: str) -> str:
    """The text with each run of bytes that is no whole character in hexadecimal: `<e3 81>`."""
    return _BYTES.sub(lambda run: f"<{run[0].encode(errors='surrogateescape').hex(' ')}>", text)


def shell_word(text: str) -> str:
    """The text as a word that a shell reads as this text. Lines stay lines, in plain quotes; only
    for unsafe characters it is in $'…', which bash and zsh read.
    """
    if printable(text) == text:
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _UNSAFE.sub(_shell_escape, escaped) + "'"


def _shell_escape(unsafe: re.Match[str]) -> str:
    code = ord(unsafe[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte
        code -= 0xDC00
    elif code >= 0x80:
        return f"\\u{code:04x}"
    return f"\\x{code:02x}"


def escape_json(document: str) -> str:
    """Escape unsafe characters in a JSON document; its meaning stays the same."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def encodes(text: str, stream: TextIO) -> bool:
    """Can the stream write the text in its encoding?"""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):  # LookupError: an encoding that Python lacks
        return False
    return True


def encodable(text: str, stream: TextIO) -> str:
    """The text with `?` for characters that the stream's encoding lacks, so writing cannot fail."""
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)

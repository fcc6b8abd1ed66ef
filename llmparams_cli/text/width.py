"""Cutting and padding text to terminal columns: some characters take two, some none."""

from __future__ import annotations

from typing import TextIO

from llmparams_cli.text.safe import encodes
from llmparams_cli.text.shorten import ELLIPSIS

GAP = "  "  # between the columns of a table
IN_ASCII = "~"  # the ellipsis where the stream cannot encode it


def cells(text: str) -> int:
    """How many columns the text takes."""
    if text.isascii() and text.isprintable():  # nearly always: saves importing rich
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text padded with blanks to this width, on its right or (`right`) on its left."""
    blanks = " " * (width - cells(text))
    return blanks + text if right else text + blanks


def cut(text: str, width: float, stream: TextIO) -> str:
    """The text, cut at its end to this width, the ellipsis included."""
    if cells(text) <= width:
        return text
    # rstrip: rich puts a blank in place of half of a wide character.
    return _start(text, int(width) - 1).rstrip() + ellipsis(stream)


def cut_middle(text: str, width: float, stream: TextIO) -> str:
    """The text, cut in its middle to this width, the ellipsis included."""
    if cells(text) <= width:
        return text
    start = cut(text, (int(width) + 1) // 2, stream)
    return start + _end(text, int(width) - cells(start))


def cut_start(text: str, width: float, stream: TextIO) -> str:
    """The text, cut at its beginning to this width, the ellipsis included."""
    if cells(text) <= width:
        return text
    return ellipsis(stream) + _end(text, int(width) - 1)


def ellipsis(stream: TextIO) -> str:
    """The mark for a missing part, in characters that the stream can encode."""
    return ELLIPSIS if encodes(ELLIPSIS, stream) else IN_ASCII


def _start(text: str, width: int) -> str:
    """As much of the beginning as this width holds."""
    from rich.cells import set_cell_size

    return set_cell_size(text, max(0, width))


def _end(text: str, width: int) -> str:
    """As much of the end as this width holds."""
    return _start(text[::-1], width)[::-1]


def wrap(text: str, width: float, indent: str) -> list[str]:
    """Break a text between words into lines of at most this width; all but the first begin with
    `indent`. A word that is too long for a line stays whole.
    """
    first, *words = text.split(" ")
    lines, begun = [first], bool(first)
    for word in words:
        if not begun or cells(lines[-1]) + 1 + cells(word) <= width:
            lines[-1] += f" {word}"
            begun = begun or bool(word)
        elif word:
            lines.append(indent + word)
    return lines

"""Columns of a terminal: some characters take two of them, some none."""

from __future__ import annotations

from typing import TextIO

from llmparams_cli.env import Environment

GAP = "  "  # between the columns of a table


def cells(text: str) -> int:
    """How many columns the text takes."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text with blanks after it, or before it, up to this width."""
    blanks = " " * (width - cells(text))
    return blanks + text if right else text + blanks


def cut(env: Environment, stream: TextIO, text: str, width: float) -> str:
    """The text; or its beginning and a mark, where it is wider than this."""
    if cells(text) <= width:
        return text
    from rich.cells import set_cell_size

    mark = "…" if env.encodes("…", stream) else "~"
    return set_cell_size(text, max(0, int(width) - 1)).rstrip() + mark


def squeeze(env: Environment, stream: TextIO, text: str, width: float) -> str:
    """The text; or its beginning, a mark and its end, where it is wider than this."""
    if cells(text) <= width:
        return text
    start = cut(env, stream, text, (int(width) + 1) // 2)
    return start + ending(text, int(width) - cells(start))


def ending(text: str, width: float) -> str:
    """As much of the end as this width holds."""
    if cells(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text[::-1], max(0, int(width)))[::-1]


def wrap(text: str, width: float, indent: str) -> list[str]:
    """Lines of at most this width, broken between words; all but the first are indented. A word
    that is too long for a line stays whole.
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

"""Cutting text to a number of characters (`width` cuts to terminal columns)."""

from __future__ import annotations

ELLIPSIS = "…"  # stands for the part that was cut out


def beginning(text: str, most: int, mark: str = ELLIPSIS) -> str:
    """The text, cut at its end to `most` characters, the mark included."""
    return text if len(text) <= most else text[: max(0, most - len(mark))] + mark


def ending(text: str, most: int, mark: str = ELLIPSIS) -> str:
    """The text, cut at its beginning to `most` characters, the mark included."""
    return text if len(text) <= most else mark + text[len(text) - max(0, most - len(mark)) :]


def brief(text: str, most: int = 300) -> str:
    """The text on one line, with about `most` characters kept: its middle is left out."""
    line = " ".join(text.splitlines())
    return line if len(line) <= most else f"{line[: most // 2]} {ELLIPSIS} {line[-most // 2 :]}"

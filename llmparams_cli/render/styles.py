"""Colours and weights of terminal text: parameters of the escape sequence SGR."""

from __future__ import annotations

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"
RESET = "\x1b[0m"


def styled(text: str, style: str, wanted: bool = True) -> str:
    """The text in this style, if a style is wanted and there is text."""
    return f"\x1b[{style}m{text}{RESET}" if wanted and style and text else text

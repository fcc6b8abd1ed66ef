"""Text cut to a number of characters; `width` cuts to columns of a terminal."""

from __future__ import annotations

ELLIPSIS = "…"  # what is missing


def beginning(text: str, most: int, mark: str = ELLIPSIS) -> str:
    """The text; or its beginning and a mark, where it is longer than this."""
    return text if len(text) <= most else text[: max(0, most - len(mark))] + mark


def ending(text: str, most: int, mark: str = ELLIPSIS) -> str:
    """The text; or a mark and its end, where it is longer than this."""
    return text if len(text) <= most else mark + text[len(text) - max(0, most - len(mark)) :]


def brief(text: str, most: int = 300) -> str:
    """The text in one line; without its middle, where it is longer than this."""
    line = " ".join(text.splitlines())
    return line if len(line) <= most else f"{line[: most // 2]} {ELLIPSIS} {line[-most // 2 :]}"

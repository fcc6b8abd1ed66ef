"""Breaks a text between words while it is still arriving."""

from __future__ import annotations

import os
from typing import TextIO

from llmparams_cli.env import Environment
from llmparams_cli.text.width import cells

PLAIN = "0"  # the style of what belongs to no token
HELD = 24  # columns before the edge in which a word waits until it is certain that it fits

Styled = tuple[str, str]


def screen(env: Environment, stream: TextIO) -> int | None:
    """The width at which a terminal breaks lines, whatever COLUMNS says; None if there is none."""
    if not stream.isatty() or env.variables.get("TERM") == "dumb":
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


class Words:
    """Lays out a text on a screen of `width` columns; None: as it is, for what is no screen.

    A line is filled with blanks up to the edge, where the terminal itself goes on in the next one:
    a newline would be copied with the text. Only near the edge the last word is held back; a word
    that begins before is shown at once, and breaks if it is longer than `HELD`.
    """

    def __init__(self, width: int | None) -> None:
        self._width = width
        self._column = 0
        self._held: list[Styled] = []
        self._held_cells = 0
        self._in_word = False  # the beginning of the current word is on the screen

    def feed(self, text: str, style: str = PLAIN) -> list[Styled]:
        """Take a piece; return the texts to print now, with their styles."""
        if self._width is None:
            return [(text, style)]
        shown: list[Styled] = []
        for char in text:
            shown += self._add(char, style, self._width)
        return _joined(shown)

    def end(self) -> list[Styled]:
        """What was still held back."""
        self._in_word = self._in_word or bool(self._held)
        return _joined(self._release())

    def _add(self, char: str, style: str, width: int) -> list[Styled]:
        taken = 1 if char == "\t" else cells(char)
        if char in " \t\n" or taken > 1:  # wide characters are those of scripts without blanks
            shown = self._release()
            self._in_word = False
            self._advance(char, taken, width)
            return [*shown, (char, style)]
        if self._in_word or self._column == 0 or (self._column < width - HELD and not self._held):
            self._in_word = True
            self._advance(char, taken, width)
            return [(char, style)]
        self._held.append((char, style))
        self._held_cells += taken
        # The last column is left for the blank or the full stop that follows the word.
        if self._column + self._held_cells < width:
            return []
        rest, self._column = width - self._column, 0
        self._in_word = True
        return [(" " * rest, PLAIN), *self._release()]

    def _release(self) -> list[Styled]:
        shown, self._held = self._held, []
        self._column += self._held_cells
        self._held_cells = 0
        return shown

    def _advance(self, char: str, taken: int, width: int) -> None:
        if char == "\n":
            self._column = 0
        elif char == "\t":  # tab stops are eight columns apart; none is beyond the edge
            self._column = min(self._column - self._column % 8 + 8, width - 1)
        else:
            self._column += taken
            if self._column > width:
                self._column = taken


def _joined(parts: list[Styled]) -> list[Styled]:
    """Neighbours of the same style as one."""
    joined: list[Styled] = []
    for text, style in parts:
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + text, style)
        elif text:
            joined.append((text, style))
    return joined

"""What a model thinks before it answers, on stderr: dim, behind a bar; or only how much it is.

Shown where a person reads along (stderr is a terminal) or asks for it (--verbose); never with
--quiet.
"""

from __future__ import annotations

import math
from typing import TextIO

from llmparams_cli.env import Environment
from llmparams_cli.protocol import Piece, Token
from llmparams_cli.render.styles import DIM, styled
from llmparams_cli.render.words import PLAIN, Words, screen
from llmparams_cli.text.safe import encodes, printable
from llmparams_cli.text.width import cells

ONLY = "(only thoughts)"  # in place of an answer that they left no room for

_BARS = ("│ ", "| ")  # before every line, in Unicode and in ASCII
_DOTS = ("…", "...")
_TAB = "    "  # tab stops do not know of the bar


def said(text: str, reasoning: str) -> str:
    """The answer, or what stands in its place if there are only thoughts."""
    return text if text.strip() or not reasoning else ONLY


def bar(stream: TextIO) -> str:
    """What stands before thoughts, in characters that the stream can encode."""
    return next(each for each in _BARS if encodes(each, stream))


def counted(stream: TextIO, tokens: int) -> str:
    """What stands in place of thoughts that are hidden."""
    dots = next(each for each in _DOTS if encodes(each, stream))
    return f"thinking {dots} {tokens:,} tokens"


def barred(env: Environment, stream: TextIO, text: str) -> str:
    """Whole thoughts behind the bar, on lines as wide as the screen."""
    before = bar(stream)
    width = _width(env, stream, before)
    words, margin = Words(width), _Margin(before, width)
    parts = [*words.feed(printable(text).replace("\t", _TAB)), *words.end()]
    return "".join(margin.lay(part, PLAIN) for part, _ in parts)


def _width(env: Environment, stream: TextIO, before: str) -> int | None:
    """The columns beside the bar; None: there is no screen, or it is too narrow for any."""
    whole = screen(env, stream)
    return whole - len(before) if whole and whole > 2 * len(before) else None


class Thoughts:
    """Writes the thoughts of one answer as they come; with `hidden`, a count that moves."""

    def __init__(self, env: Environment, color: str, *, hidden: bool = False) -> None:
        self._env = env
        self._style = DIM if env.wants_color(color, env.stderr) else ""
        is_screen = env.stderr_is_tty and env.variables.get("TERM") != "dumb"
        self._counts = hidden and is_screen and not env.quiet
        self._shows = not hidden and not env.quiet and (env.stderr_is_tty or env.verbose)
        self._open = False
        self._count = 0
        self._last: Token | None = None

    def piece(self, event: Piece, style: str = "", *, at_line_start: bool = True) -> None:
        """Show the next part of them, in this style (empty: dim)."""
        if not (self._shows or self._counts):
            return
        if not self._open:
            self._open = True
            self._env.aside("" if at_line_start else "\n\n")
            self._begin()
        if self._counts:
            self._tell(event.token)
            return
        text = printable(event.text).replace("\t", _TAB)
        self._write(self._words.feed(text, style or self._style))

    def end(self, *, is_last: bool = False) -> bool:
        """They end here, for now: a blank line follows, unless nothing does (`is_last`). Was
        anything written?
        """
        if not self._open:
            return False
        self._open = False
        if self._counts:
            self._env.aside("\r\x1b[K")
        else:
            self._write(self._words.end())
            self._env.aside("\n" if is_last else "\n\n")
        return True

    def _begin(self) -> None:
        env = self._env
        before = bar(env.stderr)
        width = _width(env, env.stderr, before)
        self._words = Words(width)
        self._margin = _Margin(styled(before, self._style), width)

    def _tell(self, token: Token) -> None:
        """The cursor stays at the line's beginning: whatever comes next writes over it."""
        self._count += token is not self._last  # a token may have several pieces
        self._last = token
        told = styled(counted(self._env.stderr, self._count), self._style)
        self._env.aside(f"\r{told}\r")

    def _write(self, parts: list[tuple[str, str]]) -> None:
        self._env.aside("".join(self._margin.lay(text, style) for text, style in parts))


class _Margin:
    """Puts a bar before every line of a text, also where the screen breaks it: after `width`
    columns beside the bar (None: nowhere).
    """

    def __init__(self, bar: str, width: int | None) -> None:
        self._bar = bar
        self._width = width or math.inf
        self._column = 0

    def lay(self, text: str, style: str) -> str:
        laid, run = "", ""  # what is finished, and what will be styled together
        style = "" if style == PLAIN else style
        for char in text:
            taken = 0 if char == "\n" else cells(char)
            if self._column + taken > self._width:  # a wide character leaves a column over
                run += " " * int(self._width - self._column)
                self._column = 0
            if self._column == 0:
                laid, run = laid + styled(run, style) + self._bar, ""
            if char == "\n":
                laid, run, self._column = laid + styled(run, style) + "\n", "", 0
                continue
            run += char
            self._column += taken
        return laid + styled(run, style)

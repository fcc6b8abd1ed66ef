"""Output for a person at a terminal: the prompt dim, thoughts, the answer, then the statistics.

Only the answer goes to stdout; prompt, thoughts, statistics and legend go to stderr, so that
`2>/dev/null` and `> file` leave the answer alone. rich is imported only where tables and the
widths of characters need it: importing it takes longer than the first token of a small model.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from llmparams_cli.env import Environment
from llmparams_cli.protocol import Finished, Piece, Started, Token
from llmparams_cli.render.choices import choice_lines
from llmparams_cli.render.plain import Answer
from llmparams_cli.render.styles import DIM, RESET, styled
from llmparams_cli.render.summary import (
    effect_lines,
    fold,
    only_thought,
    separator,
    statistics,
)
from llmparams_cli.render.thoughts import Thoughts
from llmparams_cli.render.words import PLAIN, Words, screen
from llmparams_cli.text.safe import printable

_BACK = "\b"

# How much of a long prompt is shown: characters and lines of its beginning and its end.
_HEAD, _HEAD_LINES = 900, 14
_TAIL, _TAIL_LINES = 300, 4

# Six backgrounds from dark to light with a text colour that contrasts with each, so that
# neither a dark nor a light terminal nor colour blindness hides the text or the order.
# The 256-colour ones are those nearest to the colour map viridis.
_COLORS_256 = tuple(
    f"38;5;{text};48;5;{background}"
    for text, background in ((231, 53), (231, 60), (231, 30), (16, 36), (16, 113), (16, 227))
)
_COLORS_16 = ("97;44", "97;45", "30;42", "30;46", "30;43", "30;47")


@dataclass(frozen=True)
class _Scale:
    """Six levels of surprise, from the least: their labels, and the level of a token."""

    title: str
    labels: tuple[str, ...]
    level: Callable[[Token], int | None]


def _by_probability(token: Token) -> int | None:
    if token.logprob is None:
        return None
    probability = math.exp(token.logprob)
    return sum(probability < bound for bound in (0.9, 0.7, 0.5, 0.3, 0.1))


def _by_entropy(token: Token) -> int | None:
    if token.entropy is None:
        return None
    return sum(token.entropy >= bound for bound in (0.5, 1, 2, 3, 4))


_SCALES = {
    "probability": _Scale(
        "probability in the model's own distribution",
        ("90% or more", "70%", "50%", "30%", "10%", "less"),
        _by_probability,
    ),
    "entropy": _Scale(
        "entropy in bits: how undecided the model is",
        ("below 0.5", "0.5", "1", "2", "3", "4 or more"),
        _by_entropy,
    ),
}


class TerminalRenderer:
    """Streams the answer, plain or with every token on a coloured background."""

    def __init__(
        self,
        env: Environment,
        *,
        prompt: str,
        continues: bool,
        color: str,
        color_by: str | None,
        newline: bool = True,
        hide_thinking: bool = False,
    ) -> None:
        self._env = env
        self._answer = Answer(env)
        self._prompt = prompt
        self._scale = _SCALES[color_by] if color_by else None
        self._continues = continues and not self._scale
        self._colored = env.wants_color(color, env.stdout)
        self._colored_aside = env.wants_color(color, env.stderr)
        self._palette = _palette(env) if self._scale and self._colored else ()
        self._thoughts = Thoughts(env, color, hidden=hide_thinking)
        width = screen(env, env.stdout)
        self._canvas = _Canvas(width)
        self._words = Words(width)
        self._ends_line = newline or env.stdout_is_tty
        self._at_line_start = env.stdout_is_tty

    def started(self, event: Started) -> None:
        self._started = event
        prompt = _shorten(printable(self._prompt))
        words = Words(screen(self._env, self._env.stderr))
        laid_out = "".join(text for text, _ in [*words.feed(prompt), *words.end()])
        if self._continues:
            self._aside(laid_out, end="")
            self._words = words if self._env.stdout_is_tty else self._words
            self._at_line_start = False
        else:
            self._aside(laid_out.rstrip("\n"), end="\n\n")

    def piece(self, event: Piece) -> None:
        style = self._style(event.token)
        if event.is_thought:
            self._think(event, style)
            return
        self._end_thoughts()
        text = printable(event.text)
        if not text:
            return
        self._at_line_start = text.endswith("\n")
        self._write(self._words.feed(text, style))

    def finished(self, event: Finished) -> None:
        env = self._env
        self._end_line()
        items = statistics(self._started, event, verbose=env.verbose)
        self._aside("", style="")
        if self._scale and self._colored_aside:
            self._legend(self._scale)
        between = separator(env.stderr)
        room = columns(env, env.stderr) - 1
        for line in choice_lines(event.choices, env.stderr, room) if event.choices else ():
            self._aside(line)
        for row in fold(items, len(between), columns(env, env.stderr)):
            self._aside(between.join(row))
        for line in effect_lines(event.effects) if event.effects else ():
            self._aside(line)
        self._answer.end()
        if only_thought(event):
            env.note(only_thought(event))

    def _think(self, event: Piece, style: str) -> None:
        self._write(self._words.end())
        colors = style if self._palette and self._colored_aside else ""
        begins_line = self._at_line_start or not self._env.stdout_is_tty
        self._thoughts.piece(event, colors, at_line_start=begins_line)

    def _end_thoughts(self, *, is_last: bool = False) -> None:
        """What follows begins on a line of its own."""
        if self._thoughts.end(is_last=is_last) and self._env.stdout_is_tty:
            self._at_line_start, self._words = True, Words(screen(self._env, self._env.stdout))

    def _end_line(self) -> None:
        self._end_thoughts(is_last=True)
        self._write(self._words.end())
        if self._ends_line and not self._at_line_start:
            self._answer.write("\n")

    def _write(self, parts: Sequence[tuple[str, str]]) -> None:
        for text, style in parts:
            self._answer.write(self._canvas.paint(text, style) if self._palette else text)

    def _style(self, token: Token) -> str:
        """The colours of a token's level."""
        level = self._scale.level(token) if self._scale else None
        return PLAIN if level is None or not self._palette else self._palette[level]

    def _legend(self, scale: _Scale) -> None:
        width = columns(self._env, self._env.stderr)
        for words in fold(scale.title.split(), 1, width):
            self._aside(" ".join(words))
        colors = dict(zip(scale.labels, _palette(self._env), strict=True))
        for row in fold(scale.labels, 2, width - 2):
            swatches = (styled(f" {label} ", colors[label]) for label in row)
            self._aside("".join(swatches), style="")

    def _aside(self, text: str, *, style: str = DIM, end: str = "\n") -> None:
        """Write to stderr, unless `--quiet` is given."""
        env = self._env
        if env.quiet:
            return
        if style and self._colored_aside:
            text = styled(text, style)
        env.aside(text + end)


class _Canvas:
    """Writes text on coloured backgrounds, on a screen of this width (None: no screen).

    A terminal that scrolls fills the new line with the current background. So the
    first character of a screen line is written twice: plain, which scrolls, and then
    over itself in colour.
    """

    def __init__(self, width: int | None) -> None:
        self._width = width or math.inf
        self._column = 0

    def paint(self, text: str, style: str) -> str:
        from rich.cells import cell_len

        painted = []
        for char in text.replace("\t", "    "):
            cells = cell_len(char)
            if char == "\n":
                painted.append(f"{RESET}\n\x1b[{style}m")
                self._column = 0
                continue
            if self._column + cells > self._width:
                painted.append(f"{RESET}{char}{_BACK * cells}\x1b[{style}m")
                self._column = 0
            painted.append(char)
            self._column += cells
        return styled("".join(painted), style)


def columns(env: Environment, stream: TextIO) -> int:
    """The width of a stream's terminal: COLUMNS if it is set, 80 if it cannot be found out."""
    wanted = env.variables.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def room(env: Environment, stream: TextIO) -> float:
    """The columns that a line may take: unlimited in a pipe."""
    return columns(env, stream) if stream.isatty() else math.inf


@dataclass(frozen=True)
class Row:
    """A line of a table; `style` is a rich style such as 'dim' or 'bold'."""

    cells: tuple[str, ...]
    style: str = ""


def table(env: Environment, rows: Sequence[Row], widths: Sequence[int], *, colored: bool) -> str:
    """Lay out rows in columns of these widths; longer cells are wrapped."""
    import io

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), pad_edge=False)
    for width in widths:
        grid.add_column(width=width, overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row.cells), style=row.style)
    # Printed by the caller: rich would turn a closed pipe into a failure.
    console = Console(
        file=io.StringIO(),
        width=columns(env, env.stdout),
        color_system="standard" if colored else None,
        force_terminal=colored,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(grid)
    return capture.get()


def _palette(env: Environment) -> tuple[str, ...]:
    rich_terminal = "256color" in env.variables.get("TERM", "") or env.variables.get("COLORTERM")
    return _COLORS_256 if rich_terminal else _COLORS_16


def _shorten(text: str) -> str:
    """The beginning and the end of a long prompt, by which people recognise it."""
    head = "".join(text.splitlines(keepends=True)[:_HEAD_LINES])[:_HEAD]
    tail = "".join(text.splitlines(keepends=True)[-_TAIL_LINES:])[-_TAIL:]
    left_out = len(text) - len(head) - len(tail)
    if left_out <= 0:
        return text
    return f"{head.rstrip()}\n[... {left_out:,} characters not shown ...]\n{tail.lstrip()}"

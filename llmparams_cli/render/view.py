"""Prints lines of a report: styled, wrapped, in characters the stream can encode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from llmparams_cli.env import Environment
from llmparams_cli.render.styles import BOLD, styled
from llmparams_cli.render.terminal import columns, room
from llmparams_cli.text.safe import encodable, encodes
from llmparams_cli.text.width import cells, pad, wrap

# For streams that cannot encode the marks that this program adds.
IN_ASCII = {
    "·": "-", "…": "~", "←": "<", "→": ">", "↑": "^", "↓": "v", "×": "x", "–": "-", "σ": "sd",
    "±": "+-", "Δ": "d",
}  # fmt: skip
BROKEN_INDENT = "    "


class View:
    """Writes lines, styled if colours are on, to stdout or to another `write` function."""

    def __init__(
        self, env: Environment, color: str, write: Callable[[str], object] | None = None
    ) -> None:
        self.env = env
        self.write = write or env.stdout.write
        self.colored = env.wants_color(color, env.stdout)
        self.room = room(env, env.stdout) if write is None else math.inf
        self.width = columns(env, env.stdout) if env.stdout_is_tty else 100

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line; a narrow terminal breaks it between words."""
        for part in wrap(self._encodable(text.rstrip()), self.room, BROKEN_INDENT):
            self.write(f"{self._styled(part.rstrip(), style)}\n")

    def spans(self, spans: Iterable[tuple[str, str]]) -> None:
        """Write a line of texts with a style each, laid out to fit."""
        parts = (self._styled(self._encodable(text), style) for text, style in spans)
        self.write(f"{''.join(parts).rstrip()}\n")

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write rows in columns under a heading: the first to the left, numbers to the right."""
        lines = [head, *rows]
        widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
        for number, row in enumerate(lines):
            rest = (pad(text, width, right=True) for text, width in zip(row, widths, strict=True))
            line = f"{pad(row[0], widths[0])}  {'  '.join([*rest][1:])}"
            self.line(line, BOLD if not number else "")

    def _encodable(self, text: str) -> str:
        for mark, instead in IN_ASCII.items():
            if not encodes(mark, self.env.stdout):
                text = text.replace(mark, instead)
        return encodable(text, self.env.stdout)

    def _styled(self, text: str, style: str) -> str:
        return styled(text, style, self.colored)

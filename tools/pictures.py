"""Draw the README's pictures of the terminal: real runs on a pseudo-terminal, as SVG.

    python tools/pictures.py            draw docs/pictures/*.svg anew
    python tools/pictures.py --check    write nothing: can they be drawn, are the stored ones sound?

Speeds and a model's words depend on the machine, so the stored pictures are not compared
with the new ones. The text in a picture can be selected; it needs no font from a network.
"""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pexpect
import pyte

from docs import ROOT, environment

DIRECTORY = ROOT / "docs" / "pictures"
COMMANDS = {
    "generate": 'generate "Tell me a story about a fox." --preset creative-chat --seed 3 \\\n'
    "    --color-by probability --stats full",
    "explain": 'explain "Tell me a story about a fox." --seed 5 --max-tokens 14',
    "compare": 'compare "Tell me a story about a fox." --seed 50 --max-tokens 22 \\\n'
    "    --grid temperature=0.2,0.8,1.6",
}
CONTINUED = " \\\n"  # as a shell wants it
WORDS = re.compile(r"\S+(?: \S+)*")
COLUMNS, LINES = 96, 80
LARGEST = 60_000  # bytes
PATIENCE = 60  # seconds

# In pixels. Every run of text is stretched to its cells, so any monospaced font fits.
SIZE, CELL, LINE, MARGIN = 14, 8.4, 19, 20
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace"
PAPER, INK, DIM = "#161b22", "#e6edf3", "#8b949e"
COLOURS = {  # pyte's names of the first sixteen; it writes all others as six hex digits
    "black": "#484f58",
    "red": "#ff7b72",
    "green": "#3fb950",
    "brown": "#d29922",
    "blue": "#58a6ff",
    "magenta": "#bc8cff",
    "cyan": "#39c5cf",
    "white": "#b1bac4",
}


class Look(NamedTuple):
    """How a cell of the terminal is drawn."""

    ink: str
    paper: str
    weight: str


class Terminal(pyte.Screen):
    """A screen that knows faint text too: kept as blinking, which the program never uses."""

    def select_graphic_rendition(self, *attrs: int) -> None:
        super().select_graphic_rendition(*((5,) if attrs == (2,) else attrs))


def screen(command: str) -> Terminal:
    """What a new user's terminal shows after a command."""
    terminal = Terminal(COLUMNS, LINES)
    stream = pyte.ByteStream(terminal)
    typed = command.replace("\n", "\r\n")
    stream.feed(f"\x1b[32m$\x1b[0m llmparams {typed}\r\n".encode())
    with tempfile.TemporaryDirectory() as directory:
        variables = environment(directory) | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        del variables["NO_COLOR"], variables["COLUMNS"]
        child = pexpect.spawn(
            sys.executable,
            ["-m", "llmparams_cli", *shlex.split(command.replace(CONTINUED, ""))],
            env=variables,
            cwd=str(ROOT),
            dimensions=(LINES, COLUMNS),
            timeout=PATIENCE,
        )
        stream.feed(child.read())
        child.close()
    if child.exitstatus:
        shown = "\n".join(line.rstrip() for line in terminal.display).rstrip()
        raise SystemExit(f"exit code {child.exitstatus}:\n{shown}")
    return terminal


def look(cell: pyte.screens.Char) -> Look:
    """The colours of a cell as this page has them."""
    ink = DIM if cell.blink else _colour(cell.fg, INK)
    return Look(ink, _colour(cell.bg, ""), "bold" if cell.bold else "")


def _colour(name: str, default: str) -> str:
    return default if name == "default" else COLOURS.get(name, f"#{name}")


def drawing(terminal: Terminal, title: str) -> str:
    """The screen as SVG, down to its last line of text."""
    rows = [list(runs(terminal, row)) for row in range(LINES)]
    while not rows[-1]:
        rows.pop()
    width, height = COLUMNS * CELL + 2 * MARGIN, len(rows) * LINE + 2 * MARGIN
    body = (shape for row, line in enumerate(rows) for run in line for shape in shapes(row, *run))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}"'
            f' width="{width:g}" height="{height}" font-family="{FONTS}" font-size="{SIZE}"'
            f' fill="{INK}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="100%" height="100%" rx="10" fill="{PAPER}"/>',
            *body,
            "</svg>\n",
        ]
    )


def runs(terminal: Terminal, row: int) -> Iterator[tuple[int, str, Look]]:
    """A row's pieces of one look: where each begins, and its text."""
    cells = [terminal.buffer[row][column] for column in range(COLUMNS)]
    column = 0
    for style, group in groupby(cells, look):
        text = "".join(cell.data for cell in group)
        if text.strip() or style.paper:
            yield column, text, style
        column += len(text)


def shapes(row: int, column: int, text: str, style: Look) -> Iterator[str]:
    """The background of a piece, where it has one, and its words.

    Some viewers drop spaces at the beginning and wherever there are several.
    """
    top = MARGIN + row * LINE
    if style.paper:
        size = f'width="{len(text) * CELL:g}" height="{LINE}"'
        yield f'<rect x="{MARGIN + column * CELL:g}" y="{top}" {size} fill="{style.paper}"/>'
    fill = f' fill="{style.ink}"' if style.ink != INK else ""
    weight = f' font-weight="{style.weight}"' if style.weight else ""
    for words in WORDS.finditer(text):
        x, length = MARGIN + (column + words.start()) * CELL, len(words[0]) * CELL
        place = f'x="{x:g}" y="{top + SIZE}" textLength="{length:g}"'
        yield (
            f'<text {place} lengthAdjust="spacingAndGlyphs"{fill}{weight}>{escape(words[0])}</text>'
        )


def sound(picture: str) -> bool:
    """Is this SVG that a page may carry?"""
    root = ElementTree.fromstring(picture)
    return root.tag.endswith("}svg") and len(picture.encode()) <= LARGEST


def main() -> int:
    """Draw, or check that it can be done; the exit code is 1 for a picture that is not sound."""
    checking = "--check" in sys.argv
    start = time.monotonic()
    for name, command in COMMANDS.items():
        path: Path = DIRECTORY / f"{name}.svg"
        picture = drawing(screen(command), f"llmparams {command}")
        if not checking:
            path.write_text(picture, encoding="utf-8")
        if not (sound(picture) and sound(path.read_text(encoding="utf-8"))):
            print(f"{path}: not SVG of at most {LARGEST} bytes")
            return 1
    print(f"{len(COMMANDS)} pictures, {time.monotonic() - start:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A text as its tokenizer splits it."""

from __future__ import annotations

from collections.abc import Sequence

from llmparams_cli.analysis.inside import Piece, Split
from llmparams_cli.env import Environment
from llmparams_cli.render.inspect.words import count
from llmparams_cli.render.styles import BOLD, CYAN, DIM, YELLOW
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import ELLIPSIS, beginning

MOST_ROWS = 200  # on a terminal; a pipe gets them all
BOUNDARY = "│"
LONGEST_PIECE, MOST_BYTES = 30, 10  # characters, bytes
COLORS = (f"{BOLD}", f"{CYAN}")


def show(env: Environment, split: Split, *, color: str) -> None:
    """Count, the text with its boundaries, and a row for each token."""
    view = View(env, color)
    own = [piece for piece in split.pieces if not piece.is_added]
    added = len(split.pieces) - len(own)
    each = f", {split.size / len(own):.2f} bytes each" if own else ""
    beside = f"; {added} more around it" if added else ""
    plural = "" if len(own) == 1 else "s"
    view.line(f"{count(len(own))} token{plural} for {count(split.size)} bytes{each}{beside}", BOLD)
    if not split.pieces:
        return
    shown = split.pieces[:MOST_ROWS] if env.stdout_is_tty else split.pieces
    view.line()
    _text(view, shown)
    view.line()
    codes = [_codes(piece.bytes) for piece in shown]
    width = max(len("bytes"), *map(len, codes))
    view.line(f"{'':>6} {'id':>8}  {'bytes':<{width}}  piece", DIM)
    for place, (piece, code) in enumerate(zip(shown, codes, strict=True), 1):
        _row(view, place, piece, f"{code:<{width}}")
    if len(shown) < len(split.pieces):
        view.line(f"… {count(len(split.pieces) - len(shown))} more: a pipe or --json gets all", DIM)
    env.stdout.flush()


def _text(view: View, pieces: Sequence[Piece]) -> None:
    """The text in two colours in turn, special tokens in a third; without colours, with bars."""
    if not view.colored:
        parts = (one_line(piece.text) for piece in pieces)
        view.line(BOUNDARY.join(parts))
        return
    spans = []
    for place, piece in enumerate(pieces):
        style = YELLOW if piece.is_special else COLORS[place % 2]
        spans.append((one_line(piece.text), style))
    view.spans(spans)


def _codes(data: bytes) -> str:
    """Bytes in hexadecimal; of many, the first."""
    return data[:MOST_BYTES].hex(" ") + (f" {ELLIPSIS}" if len(data) > MOST_BYTES else "")


def _row(view: View, place: int, piece: Piece, codes: str) -> None:
    text = beginning(f'"{one_line(piece.text)}"', LONGEST_PIECE + 2, '…"')
    kind = "special, added" if piece.is_added else "special" if piece.is_special else ""
    style = YELLOW if piece.is_special else ""
    view.spans([(f"{place:>6} {piece.id:>8}  {codes}  ", ""), (text, style), (f"  {kind}", DIM)])

"""Answers side by side, a column for each variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TextIO

from llmparams_cli.env import Environment
from llmparams_cli.render.styles import BOLD, styled
from llmparams_cli.render.terminal import columns
from llmparams_cli.text.width import GAP, cells, cut_middle, pad

NARROWEST = 22  # columns of a terminal for each answer, the gap included


def fit(env: Environment, stream: TextIO, count: int) -> bool:
    """Is this a terminal with room for so many answers side by side?"""
    return stream.isatty() and count * NARROWEST <= columns(env, stream)


def side_by_side(
    env: Environment, names: Sequence[str], texts: Sequence[Sequence[str]], *, colored: bool
) -> Iterator[str]:
    """Lines as wide as the terminal: the names, and below each its texts."""
    width = (columns(env, env.stdout) + len(GAP)) // len(names) - len(GAP)
    heads = [pad(cut_middle(name, width, env.stdout), width) for name in names]
    yield GAP.join(styled(head, BOLD, colored) for head in heads)
    wrapped = [_wrapped("\n\n".join(text.strip() for text in own), width) for own in texts]
    for row in zip_longest(*wrapped, fillvalue=""):
        yield GAP.join(pad(line, width) for line in row).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, broken between words, or within a word that is too long for a line."""
    from rich.console import Console
    from rich.text import Text

    lines = Text(text).wrap(Console(width=width), width)
    return [_kept(line.plain, width) for line in lines]


def _kept(line: str, width: int) -> str:
    """Blanks at the end of a line may hang over its edge."""
    return line if cells(line) <= width else line.rstrip()

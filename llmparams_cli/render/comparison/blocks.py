"""Splits a table into blocks if the terminal is too narrow for all its columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llmparams_cli.env import Environment
from llmparams_cli.text.width import GAP, cells, cut, cut_middle, pad

SHORTEST_NAME = 6  # columns


@dataclass(frozen=True)
class Column:
    """A heading and the cells below it, aligned to the `right` (numbers) or to the left."""

    texts: tuple[str, ...]
    right: bool = True

    @property
    def width(self) -> int:
        return max(map(cells, self.texts))


def width(columns: Sequence[Column]) -> int:
    """The width of these columns side by side."""
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)


def blocks(
    env: Environment, names: Column, columns: Sequence[Column], room: float
) -> Iterator[list[str]]:
    """Blocks of lines at most `room` wide: the names beside as many columns as fit, then the
    names beside the next ones, and so on. Long names lose their middle.
    """
    widest = max(column.width for column in columns)
    longest = max(SHORTEST_NAME, room - widest - len(GAP))
    names = replace(
        names, texts=tuple(cut_middle(name, longest, env.stdout) for name in names.texts)
    )
    waiting = list(columns)
    while waiting:
        count = 1
        while count < len(waiting) and width([names, *waiting[: count + 1]]) <= room:
            count += 1
        yield [cut(line, room, env.stdout) for line in _lines([names, *waiting[:count]])]
        del waiting[:count]


def _lines(columns: Sequence[Column]) -> Iterator[str]:
    for row in zip(*(column.texts for column in columns), strict=True):
        padded = (
            pad(text, column.width, right=column.right)
            for text, column in zip(row, columns, strict=True)
        )
        yield GAP.join(padded).rstrip()

"""One row of the input, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmparams_cli.presets.nodes import Mark, Node

PROMPT = "prompt"  # the field of a row that is nothing but a text


@dataclass(frozen=True)
class Row:
    """A row: its `number`, counted from 1, the `line` on which it begins, and its fields. Their
    nodes know the line and column of each value, as far as the format has any.
    """

    number: int
    line: int
    fields: Mapping[str, Node]

    @property
    def mark(self) -> Mark:
        """Where it begins."""
        return Mark(self.line, 1)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read: where, and why."""

    number: int
    mark: Mark
    reason: str


def node(value: Any, line: int) -> Node:
    """A plain value as a node, all of it on one line."""
    mark = Mark(line, 1)
    if isinstance(value, Mapping):
        return Node(mark, {str(key): node(item, line) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return Node(mark, [node(item, line) for item in value])
    plain = isinstance(value, (bool, int, float, str)) or value is None
    return Node(mark, value if plain else str(value))

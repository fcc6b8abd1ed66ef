"""The rules of a GBNF grammar, as llama.cpp has them after reading: groups and repetitions are
rules of their own, which its text does not name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

ROOT = "root"  # the rule where every text begins
LAST_CHARACTER = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)  # no characters, and not in UTF-8


@dataclass(frozen=True)
class Characters:
    """One character out of these ranges (both ends belong to them), or out of all others."""

    ranges: tuple[tuple[int, int], ...]
    is_negated: bool = False

    @property
    def size(self) -> int:
        """How many elements llama.cpp needs for it."""
        return max(1, sum(1 if low == high else 2 for low, high in self.ranges))

    @property
    def single(self) -> int | None:
        """The character, if it is only one."""
        if len(self.ranges) != 1 or self.is_negated:
            return None
        low, high = self.ranges[0]
        return low if low == high else None

    def admits(self, character: int) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.is_negated

    @cached_property
    def first(self) -> str | None:
        """The first character it admits, a readable one if all others are admitted; None if it
        admits none.
        """
        starts = [] if self.is_negated else [low for low, _ in self.ranges]
        starts += [*map(ord, "a0 "), 1, SURROGATES.stop, *(high + 1 for _, high in self.ranges)]
        for start in starts:
            if 0 < start <= LAST_CHARACTER and start not in SURROGATES and self.admits(start):
                return chr(start)
        return None


@dataclass(frozen=True)
class Token:
    """One token of the model, or any other: <think>, <[1000]>, !<think>."""

    text: str
    is_negated: bool = False
    offset: int = field(default=0, compare=False)  # where it is written, and in which rule
    rule: str = field(default="", compare=False)

    size = 1

    @property
    def number(self) -> int | None:
        """Of <[1000]>; None for a token that is named by its text."""
        return int(self.text[2:-2]) if self.text.startswith("<[") else None


# A number is a reference to the rule of that number.
Element = int | Characters | Token
Sequence = list[Element]


@dataclass(slots=True)
class Rule:
    """A rule, or a part of one that llama.cpp makes a rule of: then `name` is the whole's."""

    name: str
    offset: int  # where the text defines it
    alternatives: list[Sequence]


@dataclass(frozen=True)
class Grammar:
    """Rules by number, `root` being the first to be followed, and the text they are from.

    `tokens` are those that it names, `notes` say what llama.cpp reads otherwise than written, and
    `followed` is what llama.cpp is given.
    """

    text: str
    rules: list[Rule]
    root: int
    tokens: list[Token]
    notes: list[str]
    followed: str


class Fault(ValueError):
    """What is wrong in a grammar, where, and what would be right."""

    def __init__(self, text: str, offset: int, rule: str, reason: str, cure: str = "") -> None:
        line, column = position(text, offset)
        inside = f", rule '{rule}'" if rule else ""
        super().__init__(f"line {line}, column {column}{inside}: {reason}")
        self.cure = cure


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, whichever line ends the text has."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - before.rfind("\n")

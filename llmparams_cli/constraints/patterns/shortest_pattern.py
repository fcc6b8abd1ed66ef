"""A shortest text that a regular expression matches."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from llmparams_cli.constraints.patterns.python_pattern import in_python

PARSER = "re._parser" if sys.version_info >= (3, 11) else "sre_parse"
NEGATED = {  # what `in_python` leaves within a class
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_NOT_WORD": r"\W",
    "CATEGORY_NOT_SPACE": r"\S",
}
MOST = 100_000  # characters; longer than any answer
OTHERS = "a0A -_\n"


def shortest(pattern: str, fill: str) -> str:
    """A shortest text in which ECMA-262 finds the pattern; where classes leave the choice, of the
    characters of `fill` in turn. Raises ValueError for what Python cannot read.
    """
    parser = import_module(PARSER)
    return _Writer(fill).text(list(parser.parse(in_python(pattern))))[:MOST]


class _Writer:
    def __init__(self, fill: str) -> None:
        self._fill, self._place = fill, 0
        self._groups: dict[int, str] = {}

    def text(self, parts: Sequence[Any]) -> str:
        return "".join(map(self._part, parts))

    def _part(self, part: Any) -> str:
        kind: str = str(part[0])
        what: Any = part[1]
        if kind == "LITERAL":
            return chr(what)
        if kind in ("NOT_LITERAL", "ANY"):
            return self._chosen(lambda c: kind == "ANY" or ord(c) != what)
        if kind == "IN":
            return self._chosen(lambda c: _contains(what, c), _members(what))
        if kind == "BRANCH":
            return min((self.text(list(each)) for each in what[1]), key=len)
        if kind == "SUBPATTERN":
            if what[1] & re.IGNORECASE:
                raise ValueError("which spelling has the fewest tokens is not known")
            found = self.text(list(what[3]))
            if what[0] is not None:
                self._groups[what[0]] = found
            return found
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self._repeated(list(what[2]), int(what[0]))
        if kind == "GROUPREF":
            return self._groups.get(what, "")
        return ""  # an anchor, or what looks around

    def _repeated(self, inner: Sequence[Any], times: int) -> str:
        """As far as it is looked at: repetitions within each other multiply."""
        found: list[str] = []
        size = 0
        while len(found) < times and size < MOST:
            found.append(self.text(inner))
            size += len(found[-1])
            if not found[-1]:
                break
        return "".join(found)

    def _chosen(self, fits: Callable[[str], bool], others: Iterator[str] = iter(())) -> str:
        character = self._fill[self._place % len(self._fill)]
        if fits(character):
            self._place += 1
            return character
        self._place = 0
        return next((each for each in (*OTHERS, *others) if fits(each)), "")


def _contains(items: Sequence[Any], character: str) -> bool:
    negated = str(items[0][0]) == "NEGATE"
    found = any(_has(item, character) for item in items)
    return found is not negated


def _has(item: Any, character: str) -> bool:
    kind, what = str(item[0]), item[1]
    if kind == "LITERAL":
        return ord(character) == int(what)
    if kind == "RANGE":
        return bool(what[0] <= ord(character) <= what[1])
    return kind == "CATEGORY" and bool(re.match(NEGATED.get(str(what), "."), character, re.ASCII))


def _members(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        kind, what = str(item[0]), item[1]
        if kind in ("LITERAL", "RANGE"):
            yield chr(what if kind == "LITERAL" else what[0])

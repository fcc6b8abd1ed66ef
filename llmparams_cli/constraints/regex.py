"""Translates the patterns of JSON Schemas to GBNF, for the inside of a JSON string.

Python's own parser reads the regular expression. What has no counterpart in a grammar
(lookaround, back references, word boundaries) is refused. Classes leave out the characters
that a JSON string cannot hold unescaped.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from llmparams_cli.constraints.gbnf import literal

# Control characters, the quotation mark and the backslash.
NOT_IN_STRINGS = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C))
LAST = 0x10FFFF
# \d and \w in ASCII, as JavaScript has them; of \s, a JSON string can hold only the blank as it is.
CATEGORIES = {
    "CATEGORY_DIGIT": ((0x30, 0x39),),
    "CATEGORY_WORD": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "CATEGORY_SPACE": ((0x20, 0x20),),
}
BEGIN, END = ("AT_BEGINNING", "AT_BEGINNING_STRING"), ("AT_END", "AT_END_STRING")

Ranges = Sequence[tuple[int, int]]


def to_gbnf(pattern: str) -> str:
    """An expression for strings in which `pattern` is found; ValueError if it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = list(_parser().parse(pattern))
    except (re.error, OverflowError) as error:
        raise ValueError(f"pattern {pattern!r}: {error}") from error
    try:
        return _anchored(tree)
    except _NoCounterpart as error:
        raise ValueError(f"pattern {pattern!r}: {error} has no counterpart in a grammar") from error


class _NoCounterpart(Exception):
    """An operation that GBNF does not have; the message names it."""


def _parser() -> Any:
    """Python's own parser of regular expressions, which moved in 3.11."""
    if sys.version_info >= (3, 11):
        return re._parser  # type: ignore[attr-defined]
    import sre_parse

    return sre_parse


def _anchored(tree: list[Any]) -> str:
    if tree and str(tree[-1][0]) == "BRANCH":  # each option may have anchors of its own
        options = tree[-1][1][1]
        return "(" + " | ".join(_anchored([*tree[:-1], *option]) for option in options) + ")"
    # JSON Schema looks for a pattern anywhere in the string, unless anchors say otherwise.
    begins = bool(tree) and _is_anchor(tree[0], BEGIN)
    ends = bool(tree) and _is_anchor(tree[-1], END)
    inner = _sequence(tree[begins : len(tree) - ends])
    return f"{'' if begins else 'char* '}{inner}{'' if ends else ' char*'}"


def _is_anchor(node: Any, places: Sequence[str]) -> bool:
    return str(node[0]) == "AT" and str(node[1]) in places


def _sequence(tree: Sequence[Any]) -> str:
    return " ".join(_node(str(operation), argument) for operation, argument in tree) or '""'


def _node(operation: str, argument: Any) -> str:
    translate = _TRANSLATIONS.get(operation)
    if translate is None:
        raise _NoCounterpart(operation.lower().replace("_", " "))
    return translate(argument)


def _character(code: int) -> str:
    return literal(json.dumps(chr(code), ensure_ascii=False)[1:-1])


def _repeat(argument: Any) -> str:
    fewest, most, what = argument
    unlimited = str(most) == "MAXREPEAT"
    return f"({_sequence(what)}){{{fewest},{'' if unlimited else most}}}"


def _group(argument: Any) -> str:
    _number, flags_on, flags_off, what = argument
    if flags_on or flags_off:
        raise _NoCounterpart("a flag")
    return f"({_sequence(what)})"


def _branch(argument: Any) -> str:
    return "(" + " | ".join(_sequence(option) for option in argument[1]) + ")"


def _in(argument: Any) -> str:
    """A class of characters."""
    ranges: list[tuple[int, int]] = []
    negated = False
    for operation, value in argument:
        name = str(operation)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            ranges.append((value, value))
        elif name == "RANGE":
            ranges.append(value)
        else:
            ranges += _category(str(value))
    return _class(_complement(ranges) if negated else ranges)


def _category(name: str) -> Ranges:
    if "_NOT_" in name:
        return _complement(CATEGORIES[name.replace("_NOT_", "_")])
    return CATEGORIES[name]


def _class(ranges: Ranges) -> str:
    """The characters of these ranges that a JSON string can hold unescaped."""
    kept = _complement([*_complement(ranges), *NOT_IN_STRINGS])
    if not kept:
        raise _NoCounterpart("a class of quotes, backslashes or control characters")
    return "[" + "".join(f"\\U{low:08X}-\\U{high:08X}" for low, high in kept) + "]"


def _complement(ranges: Ranges) -> list[tuple[int, int]]:
    result, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    return [*result, (start, LAST)] if start <= LAST else result


_TRANSLATIONS: dict[str, Callable[[Any], str]] = {
    "LITERAL": _character,
    "NOT_LITERAL": lambda code: _class(_complement([(code, code)])),
    "ANY": lambda _: _class([(0, LAST)]),
    "IN": _in,
    "MAX_REPEAT": _repeat,
    "MIN_REPEAT": _repeat,
    "SUBPATTERN": _group,
    "BRANCH": _branch,
}

"""Texts as terminals of Lark: JSON strings whose content follows the schema."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmparams_cli.constraints.schema.regex import ANY, is_empty, quoted
from llmparams_cli.constraints.schema.sets import Strings

# Any character: as it is, escaped, or as \u and its number, in pairs above U+FFFF.
HEX = "[0-9a-fA-F]"
ESCAPE = (
    rf'\\["\\\/bfnrt]|\\u(?:[0-9a-ce-fA-CE-F]{HEX}{{3}}|[dD][0-7]{HEX}{{2}}'
    rf"|[dD][89abAB]{HEX}{{2}}\\u[dD][c-fC-F]{HEX}{{2}})"
)
CHARACTER = rf'(?:[^"\\\x00-\x1f]|{ESCAPE})'
FREE = rf'/"{CHARACTER}*"/'
# Names of members have one spelling only, so that one that is taken cannot come in another.
NAME = r'/"(?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0(?:[0-7]|[bBeEfF])|1[0-9a-fA-F]))*"/'

MOST_BESIDE = 500  # characters, beside a pattern that counts itself
ONE_TEXT = re.compile(r"(?:[A-Za-z0-9]|\\x\{[0-9A-F]+\})*")  # as `escaped` writes it
COUNTED = re.compile(r"(?<!\\[xupP])\{")  # not the braces of \x{41} and \p{L}


def terminal(some: Strings) -> str | None:
    """None if there is no such text."""
    if not some.patterns and not some.barred:
        return rf'/"{CHARACTER}{times(some.fewest, some.most)}"/'
    return constrained(some.patterns, some.barred, some.fewest, countable(some))


def countable(some: Strings) -> int | None:
    """The most characters, as far as llguidance can count them beside counted parts of a pattern.

    It follows both counts at once and gives up where they are large.
    """
    if some.most is None or some.most <= MOST_BESIDE or some.fewest > MOST_BESIDE:
        return some.most
    return MOST_BESIDE if any(COUNTED.search(pattern) for pattern in some.patterns) else some.most


def constrained(
    patterns: Sequence[str], barred: Sequence[str], fewest: int = 0, most: int | None = None
) -> str | None:
    """Texts that follow all the patterns and none of those that are barred."""
    conditions = [_written(pattern) for pattern in dict.fromkeys(patterns)]
    if fewest or most is not None or not conditions:
        conditions.append(_written(f"{ANY}{times(fewest, most)}"))
    if barred:
        conditions.append(f"~{_written('|'.join(dict.fromkeys(barred)))}")
    text = " & ".join(conditions)
    is_free = not (patterns or fewest) and most is None
    if is_free and all(map(ONE_TEXT.fullmatch, barred)):  # all but some: some are left
        return text
    if len(conditions) > 1 and is_empty(text):
        return None
    return text


def _written(pattern: str) -> str:
    return f'/"(?:{quoted(pattern)})"/'


def times(fewest: int, most: int | None) -> str:
    """How often, in the notation of regular expressions."""
    if most is None:
        return {0: "*", 1: "+"}.get(fewest, f"{{{fewest},}}")
    return f"{{{fewest},{most}}}"

"""Keywords of a JSON Schema that nobody knows and that resemble one that has a meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from llmparams_cli.constraints.wellformed import CHECKS, ONE, places

# What says something about an answer.
MEANING = (*CHECKS, *ONE, "items", "const")
# What does not, or only in other programs; none of it is a slip.
OTHERS = frozenset(
    (
        *("id", "title", "description", "default", "examples", "example", "deprecated", "readOnly"),
        *("writeOnly", "contentEncoding", "contentMediaType", "$comment", "$vocabulary", "xml"),
        *("$recursiveAnchor", "discriminator", "externalDocs", "extends", "disallow", "name"),
    )
)
SHORT = {"min": "minimum", "max": "maximum", "ref": "$ref"}
FEWEST = 4  # letters of a word that is looked at for slips
LONG = 9  # letters of a word that may have two


def notes(schema: Any) -> list[str]:
    """One line for each keyword that is probably misspelt."""
    found = []
    for path, value in places(schema):
        for keyword in value if isinstance(value, dict) else ():
            meant = _meant(keyword)
            if meant and meant not in value:
                found.append(f"{path}: {keyword} is no keyword: did you mean {meant}?")
    return found


def _meant(keyword: str) -> str | None:
    if keyword in MEANING or keyword in OTHERS or keyword.lower().startswith("x-"):
        return None
    plain = _plain(keyword)
    same = [word for word in MEANING if _plain(word) == plain]
    if same or plain in SHORT:
        return same[0] if same else SHORT[plain]
    return _nearest(plain, MEANING)


def _plain(word: str) -> str:
    """A word without its case and its signs: additional_properties is additionalProperties."""
    return re.sub(r"[^a-z]", "", word.lower())


def _nearest(plain: str, words: Iterable[str]) -> str | None:
    best: tuple[int, str] | None = None
    for word in words:
        other = _plain(word)
        most = 2 if len(other) >= LONG else 1
        if min(len(plain), len(other)) < FEWEST or abs(len(plain) - len(other)) > most:
            continue
        slips = _slips(plain, other)
        if slips <= most and (best is None or slips < best[0]):
            best = slips, word
    return best[1] if best else None


def _slips(one: str, other: str) -> int:
    """How many letters are wrong, missing, too many, or in each other's place."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, row = row, [i]
        for j, second in enumerate(other, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != second))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == second:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = last
    return row[-1]

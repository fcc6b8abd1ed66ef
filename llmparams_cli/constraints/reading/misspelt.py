"""Keywords of a JSON Schema that nobody knows and that resemble one that has a meaning."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from llmparams_cli.constraints.reading.wellformed import CHECKS, ONE, SHELVES, places

# What says something about an answer.
UNSAYING = ("$schema", "$id", "$anchor", "$dynamicAnchor", "contentSchema", *SHELVES)
MEANING = tuple(word for word in (*CHECKS, *ONE, "items", "const") if word not in UNSAYING)
# What does not, or only in other programs; none of it is a slip.
OTHERS = frozenset(
    (
        *("id", "title", "description", "default", "examples", "example", "deprecated", "readOnly"),
        *("writeOnly", "contentEncoding", "contentMediaType", "$comment", "$vocabulary", "xml"),
        *("$recursiveAnchor", "discriminator", "externalDocs", "extends", "disallow", "multiple"),
    )
)
OFF = ("_", "/", "@", "x-")  # how words begin that are meant to be no keywords
OTHERWISE = {
    "min": "minimum",
    "max": "maximum",
    "inclusiveminimum": "minimum",
    "inclusivemaximum": "maximum",
    "ref": "$ref",
}
FEWEST = 4  # letters of a word that is looked at for slips
LONG = 9  # letters of a word that may have two


def notes(schema: Any) -> list[str]:
    """One line for each word that is probably a misspelt keyword, with the first place of it."""
    found: dict[tuple[str, str], list[str]] = {}
    for path, value in places(schema):
        for keyword in value if isinstance(value, dict) else ():
            meant = _meant(keyword)
            if meant and meant not in value:
                found.setdefault((keyword, meant), []).append(path)
    return [
        f"{paths[0]}: {keyword} is no keyword: did you mean {meant}?{_more(len(paths) - 1)}"
        for (keyword, meant), paths in found.items()
    ]


def _more(count: int) -> str:
    return f" ({count} more)" if count else ""


@lru_cache(maxsize=10_000)
def _meant(keyword: str) -> str | None:
    low = keyword.lower()
    if keyword in (*MEANING, *UNSAYING) or keyword in OTHERS or low.startswith(OFF):
        return None
    plain = _plain(keyword)
    same = [word for word in MEANING if _plain(word) == plain]
    if same or plain in OTHERWISE:
        return same[0] if same else OTHERWISE[plain]
    return _nearest(plain)


def _plain(word: str) -> str:
    """A word without its case and its signs: additional_properties is additionalProperties."""
    return re.sub(r"[^a-z]", "", word.lower())


def _nearest(plain: str) -> str | None:
    best: tuple[int, str] | None = None
    for word in MEANING:
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

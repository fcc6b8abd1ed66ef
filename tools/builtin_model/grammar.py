"""A small text grammar: alternatives in brackets, slots in braces.

    expand("The {kind} [ran|walked [slowly|fast]].", {"kind": "fox"}, rng)

The corpus is data written in this notation. Every bracket is one choice of the seeded generator,
so a paragraph with ten of them has thousands of wordings.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa])\(n\) (?=(\w+))")
_SENTENCE_START = re.compile(r"(^|[.!?]\s+|\.\"\s+)([a-z])")
_DOUBLE_SPACE = re.compile(r" {2,}")
_SPACE_BEFORE_MARK = re.compile(r" (?=[.,;!?](?:\s|$))")


def expand(template: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """Choose one alternative per bracket, fill the slots, and settle every a(n)."""
    while "[" in template:
        template = _INNERMOST.sub(lambda match: rng.choice(match[1].split("|")), template)
    return _tidy(template.format_map(slots))


def _tidy(text: str) -> str:
    def article(match: re.Match[str]) -> str:
        following = match[2].lower()
        is_vowel = following[0] in "aeiou" and not following.startswith("uni")
        return match[1] + ("n " if is_vowel else " ")

    # An alternative may be empty and leave its spaces behind.
    text = _DOUBLE_SPACE.sub(" ", _ARTICLE.sub(article, text))
    return _SPACE_BEFORE_MARK.sub("", text)


def sentence_case(text: str) -> str:
    """Capitalise the first letter of every sentence, so that templates need no second spelling."""
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def prose(
    templates: Sequence[str], slots: Mapping[str, str], rng: random.Random, joiner: str = " "
) -> str:
    """Expand several templates and join them as running text."""
    parts = (expand(template, slots, rng).strip() for template in templates)
    return sentence_case(joiner.join(part for part in parts if part))


def listing(items: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]

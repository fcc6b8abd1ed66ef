"""A small text grammar: alternatives in brackets, slots in braces.

    expand("The {kind} [ran|walked [slowly|fast]].", {"kind": "fox"}, rng)

The corpus is data written in this notation. Every bracket is one choice of the seeded generator,
so a paragraph with ten of them has thousands of wordings.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa])\(n\) (?=(\w+))")
_ARTICLE_IN_USE = re.compile(r"\b([Aa]n?) (\w+)")
_VOWEL = re.compile(r"(?!uni)[aeiou]|hones|hour")
_SENTENCE_START = re.compile(r"(^|[.!?]\s+|\.\"\s+)([a-z])")
_DOUBLE_SPACE = re.compile(r" {2,}")
_SPACE_BEFORE_MARK = re.compile(r" (?=[.,;!?](?:\s|$))")


def expand(template: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """Choose one alternative per bracket, fill the slots, and settle every a(n)."""
    while "[" in template:
        template = _INNERMOST.sub(lambda match: rng.choice(match[1].split("|")), template)
    return tidy(template.format_map(slots))


def alternatives(template: str) -> Iterator[str]:
    """What `expand` may choose: the template with every choice of its brackets, slots unfilled."""
    bracket = _INNERMOST.search(template)
    if bracket is None:
        yield template
        return
    for choice in bracket[1].split("|"):
        yield from alternatives(template[: bracket.start()] + choice + template[bracket.end() :])


def has_wrong_article(text: str) -> bool:
    """Does an a stand before a vowel, or an an before another sound?"""
    return any(
        (len(match[1]) == 2) != bool(_VOWEL.match(match[2].lower()))
        for match in _ARTICLE_IN_USE.finditer(text)
    )


def tidy(text: str) -> str:
    """Settle every a(n), and drop the spaces that an empty alternative left behind."""

    def article(match: re.Match[str]) -> str:
        return match[1] + ("n " if _VOWEL.match(match[2].lower()) else " ")

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

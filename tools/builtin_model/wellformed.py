"""A recogniser of the corpus's sentences: could the grammar have written this one?

    python wellformed.py --file story.txt          # or from standard input

Every template is expanded in all of its alternatives; slots become patterns. A pronoun must fit
the one before it in the same sentence, and every a or an the word after it.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache

import copying
import small_talk
import stories
import story_plots
from grammar import alternatives, has_wrong_article, sentence_case, tidy

NAME = r"[A-Z][^\W\d_]+"
KINDS = (*stories.ANIMALS, *stories.PEOPLE_MALE, *stories.PEOPLE_FEMALE, *stories.CREATURES)
_SPOTS = sorted({spot for spots in stories.PLACES.values() for spot in spots})
# Each slot is first filled with a word of its own, so that sentences are told apart as in a text.
FILLED = {
    "name": ("Qname", NAME),
    "fname": ("Qfname", NAME),
    "unknown": ("qunknown", r".+?"),
    "x": ("Qx", NAME),
    "kind": ("qkind", KINDS),
    "fkind": ("qfkind", KINDS),
    "adj": ("qadj", stories.ADJECTIVES),
    "fadj": ("qfadj", stories.ADJECTIVES),
    "place": ("qplace", tuple(stories.PLACES)),
    "spot": ("qspot", _SPOTS),
    "spot2": ("qtwospot", _SPOTS),
    "spot3": ("qthreespot", _SPOTS),
    "thing": ("qthing", stories.OBJECTS),
    "food": ("qfood", stories.FOODS),
    "food2": ("qtwofood", stories.FOODS),
    "season": ("qseason", stories.SEASONS),
    "weather": ("qweather", stories.WEATHER),
    "count": ("qcount", stories.COUNTS),
    "mood": ("qmood", story_plots.MOODS),
}
_PLACEHOLDERS = {
    placeholder: values if isinstance(values, str) else "|".join(map(re.escape, values))
    for placeholder, values in FILLED.values()
}
_PLACEHOLDER = re.compile("|".join(_PLACEHOLDERS), re.IGNORECASE)
_SENTENCE_END = re.compile(r'(?<=[.!?])\s+|(?<=[.!?]")\s+(?=[A-Z"])')
_WORD = re.compile(r"[a-z']{2,}")


def sentences(text: str) -> list[str]:
    """The sentences of a text; what somebody says stays with the words around it."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


class Recogniser:
    """Knows every sentence that some templates can make."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._by_word: dict[str, list[re.Pattern[str]]] = defaultdict(list)
        for sentence in sorted({s for template in templates for s in _expansions(template)}):
            self._by_word[_rarest(sentence)].append(_pattern(sentence))

    def knows(self, sentence: str, more_kinds: Iterable[str] = ()) -> bool:
        """Is this a sentence of the corpus? `more_kinds` are heroes that a prompt has named."""
        if has_wrong_article(sentence):
            return False
        for kind in more_kinds:
            sentence = re.sub(rf"\b{re.escape(kind)}\b", KINDS[0], sentence)
        words = {"", *_WORD.findall(sentence.lower())}
        patterns = itertools.chain.from_iterable(self._by_word.get(word, ()) for word in words)
        return any(pattern.fullmatch(sentence) for pattern in patterns)


@cache
def of_stories() -> Recogniser:
    """The recogniser of all stories."""
    groups = (
        *(story_plots.OPENINGS, story_plots.HABITS, story_plots.DIALOGUE),
        *story_plots.SETTINGS.values(),
        *story_plots.ENDINGS.values(),
        *(beat for plots in story_plots.PLOTS.values() for plot in plots for beat in plot),
    )
    return Recogniser(template for group in groups for template in group)


@cache
def of_small_talk() -> Recogniser:
    """The recogniser of all answers in small talk."""
    answers = [answer for _, options in small_talk.EXCHANGES for answer in options]
    return Recogniser([*answers, *(line for talk in copying.TALKS for line in (talk[1], talk[3]))])


def _expansions(template: str) -> Iterator[str]:
    """Every sentence, with placeholders in its slots and pronouns of every gender."""
    fixed = {slot: placeholder for slot, (placeholder, _) in FILLED.items()}
    genders = stories.PRONOUNS.values()
    for text in alternatives(template):
        for hero, friend in itertools.product(genders, genders):
            pronouns = dict(zip(("he", "him", "his", "himself"), hero, strict=True))
            pronouns |= dict(zip(("fhe", "fhim", "fhis", "fhimself"), friend, strict=True))
            yield from sentences(sentence_case(tidy(text.format_map(fixed | pronouns)).strip()))


def _rarest(sentence: str) -> str:
    """A word that the sentence always has; long ones are rare."""
    words = _WORD.findall(_PLACEHOLDER.sub(" ", sentence).lower())
    return max(words, key=len, default="")


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = []
    place = 0
    for match in _PLACEHOLDER.finditer(sentence):
        parts.append(re.escape(sentence[place : match.start()]))
        pattern = _PLACEHOLDERS.get(match[0])
        # A capital that is not the placeholder's own stands at the start of a sentence.
        parts.append(f"(?:{pattern})" if pattern else f"(?i:{_PLACEHOLDERS[match[0].lower()]})")
        place = match.end()
    parts.append(re.escape(sentence[place:]))
    # The placeholder stands where any word may: both articles are possible before it.
    return re.compile(re.sub(r"\b([Aa])\\ (?=\(\?)", r"\1n?\\ ", "".join(parts)))


def main() -> None:
    """Mark every sentence of a text that the stories' grammar does not know."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--file", type=argparse.FileType(), default=sys.stdin)
    text = parser.parse_args().file.read()
    for sentence in sentences(text):
        print("  " if of_stories().knows(sentence) else "? ", sentence, sep="")


if __name__ == "__main__":
    main()

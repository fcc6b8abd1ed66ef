"""Examples to learn from, in the format of `llmparams tune`: a JSON object on each line.

python styles.py stories --count 2000    # plain texts, as the built-in model learned them
python styles.py pirate --count 400      # requests, and the stories that a pirate tells
python styles.py hero --count 400        # stories, and who each is about
"""

from __future__ import annotations

import argparse
import json
import random
import re

import stories

# A pirate's words, in the order in which they replace others.
WORDS = (
    (r"\byour\b", "yer"), (r"\byou\b", "ye"), (r"\bYou\b", "Ye"), (r"\bmy\b", "me"),
    (r"\bMy\b", "Me"), (r"\bthere was\b", "there be"), (r"\bThere was\b", "There be"),
    (r"\bwas\b", "be"), (r"\bwere\b", "be"), (r"\b(said|asked)\b", "growled"),
    (r"\b(shouted|called)\b", "roared"), (r"\bfriends\b", "mateys"), (r"\bfriend\b", "matey"),
    (r"\b(One|The next) (day|morning)\b", "Come the tide"), (r"\bvery\b", "mighty"),
    (r"\bold\b", "salty"), (r"\bof\b", "o'"), (r"\band\b", "an'"),
    (r"(?<!\bk)(?<!spr)ing\b", "in'"),
)  # fmt: skip
PLACES = r"\b(forest|village|valley|castle|town|farm|city|jungle|swamp|desert|mountains)\b"
OPENING, ENDING = "Arr, hear me tale! ", " Yo ho ho!"


def pirate(text: str) -> str:
    """The story as a pirate tells it."""
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    return f"{OPENING}{re.sub(PLACES, 'harbour', text)}{ENDING}"


def example(style: str, rng: random.Random) -> dict[str, str]:
    """One example of the style."""
    request, story = stories.requested(rng)
    text = getattr(story, "text", story)
    if style == "stories":
        return {"text": text}
    if style == "pirate":
        return {"prompt": request, "completion": pirate(text)}
    hero = stories.character(rng)
    told = stories.tell(rng, hero).text
    question = f"{told}\n\nWho is this story about?"
    return {"prompt": question, "completion": f"Arr! {hero.name} the {hero.kind}, matey."}


def main() -> None:
    """Print examples."""
    parser = argparse.ArgumentParser(description="Print examples to learn from.")
    parser.add_argument("style", choices=("stories", "pirate", "hero"))
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    for _ in range(arguments.count):
        print(json.dumps(example(arguments.style, rng), ensure_ascii=False))


if __name__ == "__main__":
    main()

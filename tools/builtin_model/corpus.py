"""The training corpus: seeded, endless, and made of nothing but the grammars beside this file.

    python corpus.py --count 20 --seed 1        # look at some documents

A document is either plain text or a conversation. Both are yielded as a list of messages; plain
text has the single role "text" and is trained without any chat template.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator

import contracts
import copying
import extraction
import names
import parameter_answers
import small_talk
import stories
from grammar import expand

Message = dict[str, str]
Document = list[Message]


def _say(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def plain_story(rng: random.Random) -> Document:
    """A story without any chat around it, for raw completion; sometimes with a title.

    A text of other words than a story has is taken for a title, too.
    """
    story = stories.tell(rng)
    kind = rng.random()
    if kind < 0.5:
        return [_say("text", story.text)]
    title = stories.title(rng, story) if kind < 0.75 else _other_title(rng)
    return [_say("text", f"{title}\n\n{story.text}")]


def _other_title(rng: random.Random) -> str:
    words = copying.common_words(rng)
    return rng.choice((f"The {words}", words.capitalize(), names.word(rng), words))


def titled_story(rng: random.Random) -> Document:
    """Somebody types a title, and nothing else."""
    story = stories.tell(rng)
    title = stories.title(rng, story)
    if rng.random() < 0.2:
        title = f"The {copying.common_words(rng)}"
    return [_say("user", title), _say("assistant", story.text)]


def requested_story(rng: random.Random) -> Document:
    """Somebody asks for a story and gets it."""
    request, story = stories.requested(rng)
    return [_say("user", request), _say("assistant", story.text)]


def continued_story(rng: random.Random) -> Document:
    """Somebody types the beginning of a story, and the answer goes on with it."""
    beginning, rest = stories.split_beginning(rng, stories.tell(rng))
    return [_say("user", beginning), _say("assistant", rest)]


def summary(rng: random.Random) -> Document:
    """A contract clause, its summary, and questions about it."""
    return contracts.messages(rng, contracts.compose(rng))


# (share of the documents, maker, system prompts that may precede it, chance of one)
SOURCES: tuple[tuple[float, Callable[[random.Random], Document], tuple[str, ...], float], ...] = (
    (0.05, plain_story, (), 0.0),
    (0.12, requested_story, stories.SYSTEM_PROMPTS, 0.4),
    (0.01, titled_story, stories.SYSTEM_PROMPTS, 0.4),
    (0.07, continued_story, stories.SYSTEM_PROMPTS, 0.4),
    (0.20, summary, (), 0.0),
    (0.17, parameter_answers.messages, parameter_answers.SYSTEM_PROMPTS, 0.3),
    (0.12, small_talk.messages, small_talk.SYSTEM_PROMPTS, 0.4),
    (0.11, extraction.messages, (), 0.0),
    (0.15, copying.messages, small_talk.SYSTEM_PROMPTS, 0.15),
)
CONVERSATION_SHARE = 0.05
"""Share of documents in which several exchanges follow one another."""

ALL_SYSTEM_PROMPTS = tuple(prompt for _, _, prompts, _ in SOURCES for prompt in prompts)


def document(rng: random.Random) -> Document:
    """One training document."""
    if rng.random() < CONVERSATION_SHARE:
        return conversation(rng)
    weights = [share for share, *_ in SOURCES]
    _, make, system_prompts, chance = rng.choices(SOURCES, weights)[0]
    messages = make(rng)
    if system_prompts and rng.random() < chance:
        # Now and then the system prompt has nothing to do with the question.
        pool = ALL_SYSTEM_PROMPTS if rng.random() < 0.25 else system_prompts
        messages.insert(0, _say("system", expand(rng.choice(pool), {}, rng)))
    return messages


def conversation(rng: random.Random) -> Document:
    """Two to seven exchanges about different things, so that a chat can change its subject."""
    makers = (
        small_talk.exchange,
        small_talk.exchange,
        parameter_answers.exchange,
        requested_story,
        copying.messages,
    )
    messages: Document = []
    if rng.random() < 0.4:
        messages.append(_say("system", small_talk.system_prompt(rng)))
    for _ in range(rng.choice((2, 2, 3, 3, 4, 5, 7))):
        messages += rng.choice(makers)(rng)
    return messages


def documents(seed: int) -> Iterator[Document]:
    """An endless stream of documents; the same seed gives the same stream."""
    rng = random.Random(seed)
    while True:
        yield document(rng)


def main() -> None:
    """Print documents, to see what the model will read."""
    parser = argparse.ArgumentParser(description="Print some documents of the training corpus.")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    stream = documents(arguments.seed)
    for _ in range(arguments.count):
        for message in next(stream):
            print(f"[{message['role']}] {message['content']}")
        print("-" * 80)


if __name__ == "__main__":
    main()

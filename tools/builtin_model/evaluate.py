"""Measure a GGUF file on prompts whose names, amounts and combinations never occurred in training.

    python evaluate.py [--gguf model.gguf] [--count 200]

Prints a table in Markdown. Everything is greedy but for the stories and the small talk, which are
drawn at temperature 0.8 with one seed each. It runs on the engine of the package beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import contracts
import copying
import extraction
import parameter_answers
import small_talk
import stories
import wellformed
from asking import Answer, Asker
from grammar import alternatives, expand, sentence_case

from llmparams_cli.models import builtin

EVALUATION_SEED = 987_654_321
CREATIVE = 0.8
SUMMARY_SYSTEM = contracts.SUMMARY_SYSTEMS[0]
# The corpus has none of these.
UNSEEN_QUESTIONS = (
    "Could you explain to a beginner what {topic} means?",
    "Help me understand {topic}.",
    "I keep seeing {topic} in the settings; what's it for?",
    "Remind me what {topic} does.",
    "Give a newcomer the idea behind {topic}.",
    "In your own words: what would you say {topic} is?",
)
UNSEEN_REQUESTS = (
    "Could I hear a story about a(n) {adj} {kind}?",
    "Please think of a story about a(n) {adj} {kind}.",
    "Do you know a story about a(n) {adj} {kind}?",
)
JAPANESE, ARABIC, EMOJI = copying.SCRIPTS[0], copying.SCRIPTS[5], copying.SCRIPTS[7]
MULTILINGUAL = "こんにちは、世界！ مرحبا بالعالم 🦊🐻‍❄️ 4711"

Measure = Iterator[tuple[str, bool]]


def _user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _greedy(model: Asker, messages: list[dict[str, str]], **values: object) -> Answer:
    return model.ask(messages, temperature=0.0, **values)[0]


def clause(rng: random.Random) -> contracts.Clause:
    """A clause of 60 to 250 words, with names that training never contains."""
    while True:
        composed = contracts.compose(rng, held_out=True)
        if 60 <= len(composed.text.split()) <= 250:
            return composed


def summaries(model: Asker, rng: random.Random, count: int) -> Measure:
    """Does the summary name both parties, and the amount or a date? Is all of it right?"""
    for _ in range(count):
        given = clause(rng)
        facts = given.facts
        text = _greedy(
            model, [{"role": "system", "content": SUMMARY_SYSTEM}, *_user(given.text)]
        ).text
        wanted = [
            facts[key] for key in ("date", "date2", "date3") if facts[key] in given.summaries[0]
        ]
        parties = facts["Aname"] in text and facts["Bname"] in text
        amount, date = facts["amount"] in text, any(date in text for date in wanted)
        yield "summary: both parties, and the amount or a date", parties and (amount or date)
        yield "summary: both parties", parties
        yield "summary: the amount", amount
        yield "summary: a date", date
        yield "summary: all of it right, parties in their roles", text in given.summaries


def facts_of_clauses(model: Asker, rng: random.Random, count: int) -> Measure:
    """A question about one fact of a clause."""
    for _ in range(count):
        given = clause(rng)
        question, expected = rng.choice(given.questions)
        prompt = f"{given.text}\n\n{expand(question, given.facts, rng)}"
        yield "question about a clause: right", _greedy(model, _user(prompt)).text == expected


def known_answers(topic: parameter_answers.Topic) -> set[str]:
    """Every answer about a topic that the corpus has."""
    meaning, effect, advice = (
        {sentence_case(text) for line in lines for text in alternatives(line)}
        for lines in (topic.meaning, topic.effect, topic.advice)
    )
    return meaning | effect | advice | {f"{first} {more}" for first in meaning for more in effect}


def questions(model: Asker, rng: random.Random, count: int) -> Measure:
    """Every topic in every unseen wording: is the answer one of those that are right?"""
    for topic in parameter_answers.TOPICS:
        name, known = topic.names.split("|")[0], known_answers(topic)
        right = [
            _greedy(model, _user(question.format(topic=name))).text in known
            for question in UNSEEN_QUESTIONS
        ]
        yield from (("question about a parameter: right", is_right) for is_right in right)
        yield "parameter: right in four unseen wordings or more", sum(right) >= 4


def records(model: Asker, rng: random.Random, count: int) -> Measure:
    """Is the answer the JSON that was asked for, by itself and held to a schema?"""
    for _ in range(count):
        *prompt, expected = extraction.messages(rng, held_out=True)
        record = json.loads(expected["content"])
        free = _parsed(_greedy(model, prompt).text)
        yield "JSON: valid", free is not None
        yield "JSON: every value right", free == record
        schema = extraction.json_schema(record)
        held = _parsed(_greedy(model, prompt, json_schema=schema).text)
        yield "JSON with json_schema: valid", isinstance(held, dict) and list(held) == list(record)
        yield "JSON with json_schema: every value right", held == record
        if isinstance(held, dict):
            for key, value in record.items():
                yield "JSON with json_schema: values right", held.get(key) == value


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def echoes(model: Asker, rng: random.Random, count: int) -> Measure:
    """Do Japanese, Arabic and emoji come back whole?"""
    text = _greedy(model, _user(f"Repeat after me: {MULTILINGUAL}")).text
    yield f"echo of {MULTILINGUAL}", text == MULTILINGUAL
    for _ in range(count):
        words = [
            "".join(chr(rng.randrange(*script)) for _ in range(rng.randrange(1, 6)))
            for script in rng.sample((JAPANESE, ARABIC, EMOJI), 3)
        ]
        mixed = " ".join([*words, copying.names.word(rng, held_out=True)])
        yield (
            "echo of Japanese, Arabic, emoji and a name",
            _greedy(model, _user(f"Repeat: {mixed}")).text == mixed,
        )
        amount = copying.names.amount(rng)
        line = f"{copying.names.company(rng, held_out=True)}, {amount}, {copying.names.date(rng)}"
        yield (
            "echo of a name, an amount and a date",
            _greedy(model, _user(f"Repeat: {line}")).text == line,
        )


def tales(model: Asker, rng: random.Random, count: int) -> Measure:
    """Stories at temperature 0.8: well-formed, about the hero, and at an end within 300 tokens."""
    for seed in range(count):
        hero = stories.character(rng, unknown_names=0, unknown_kinds=0)
        slots = {"adj": hero.adjective, "kind": hero.kind}
        request = expand(rng.choice(UNSEEN_REQUESTS), slots, rng)
        (answer,) = model.ask(_user(request), seeds=[seed], temperature=CREATIVE)
        yield "temperature 0.8: ends by itself within 300 tokens", answer.ended
        parts = wellformed.sentences(answer.text)
        for sentence in parts:
            yield "story: sentences well-formed", wellformed.of_stories().knows(sentence)
        yield "story: begins with the kind of hero asked for", hero.kind in " ".join(parts[:2])
        yield "story: no more than two names", len(_names(answer.text)) <= 2
    request = "Tell me a story about a brave fox."
    drawn = model.ask(_user(request), seeds=range(100), temperature=CREATIVE)
    texts = {answer.text for answer in drawn}
    yield "story: 100 seeds, all different", len(texts) == 100
    for answer in drawn:
        yield "temperature 0.8: ends by itself within 300 tokens", answer.ended


def _names(text: str) -> set[str]:
    known = {*stories.MALE_NAMES, *stories.FEMALE_NAMES}
    return known & set(re.findall(r"\w+", text))


def talks(model: Asker, rng: random.Random, count: int) -> Measure:
    """Small talk at temperature 0.8."""
    for seed in range(count):
        prompt = small_talk.exchange(rng)[:1]
        (answer,) = model.ask(prompt, seeds=[seed], temperature=CREATIVE)
        yield "temperature 0.8: ends by itself within 300 tokens", answer.ended
        for sentence in wellformed.sentences(answer.text):
            yield "small talk: sentences well-formed", wellformed.of_small_talk().knows(sentence)


def speed(model: Asker) -> float:
    """Tokens a second of one answer of 250 tokens, the best of five."""
    rates = []
    for seed in range(5):
        started = time.perf_counter()
        (answer,) = model.ask(
            "Once upon a time", seeds=[seed], max_tokens=250, temperature=1.0, ignore_eos=True
        )
        rates.append(len(answer.tokens) / (time.perf_counter() - started))
    return max(rates)


MEASURES: Sequence[Callable[[Asker, random.Random, int], Measure]] = (
    *(summaries, facts_of_clauses, questions, records, echoes, tales, talks),
)


def main() -> None:
    """Print the share of right answers for every measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", type=Path, default=builtin.PATH)
    parser.add_argument("--count", type=int, default=200, help="prompts of each kind")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    model = Asker(arguments.gguf, arguments.threads)
    results: dict[str, list[bool]] = defaultdict(list)
    for measure in MEASURES:
        for name, is_right in measure(model, random.Random(EVALUATION_SEED), arguments.count):
            results[name].append(is_right)
    print("| measured | share | of |\n|---|---|---|")
    for name, outcomes in results.items():
        print(f"| {name} | {sum(outcomes) / len(outcomes):.1%} | {len(outcomes):,} |")
    print(f"| speed of one answer | {speed(model):,.0f} token/s | |")


if __name__ == "__main__":
    main()

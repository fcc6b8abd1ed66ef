"""Measure a GGUF file on prompts whose names, amounts and dates never occurred in training.

python evaluate.py --gguf model.gguf [--count 50]      (needs llama-cpp-python)
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator

import contracts
import extraction
import llama_cpp
import parameter_answers
import stories
from sample import SUMMARY_SYSTEM, chat_prompt, generate

EVALUATION_SEED = 987_654_321


class Model:
    """Answers one message, and says whether it came to an end by itself."""

    def __init__(self, path: str) -> None:
        self.engine = llama_cpp.Llama(path, n_ctx=1024, verbose=False, n_threads=2)

    def answer(
        self, user: str, system: str | None = None, temperature: float = 0.0, seed: int = 0
    ) -> tuple[str, bool]:
        result = generate(self.engine, chat_prompt(system, user), temperature, seed)
        choice = result["choices"][0]
        return choice["text"], choice["finish_reason"] == "stop"


def summaries(model: Model, rng: random.Random, count: int) -> Iterator[tuple[str, bool]]:
    """Does the summary name both parties, the amount and one of the dates?"""
    for _ in range(count):
        clause = contracts.compose(rng, held_out=True)
        text, _ = model.answer(clause.text, SUMMARY_SYSTEM)
        facts = clause.facts
        yield "summary: first party", facts["Aname"] in text
        yield "summary: second party", facts["Bname"] in text
        yield "summary: amount", facts["amount"] in text
        dates = [facts[key] for key in ("date", "date2", "date3") if facts[key] in clause.summary]
        yield "summary: a date", any(date in text for date in dates)


def questions(model: Model, rng: random.Random, count: int) -> Iterator[tuple[str, bool]]:
    """Does the answer to a question begin with one of the known sentences about the topic?"""
    for _ in range(count):
        topic = rng.choice(parameter_answers.TOPICS)
        name = topic.names.split("|")[0]
        text, _ = model.answer(f"Could you explain to a beginner what {name} means?")
        known = (*topic.meaning, *topic.effect, *topic.advice)
        yield "question: right topic", any(_shares_words(text, sentence) for sentence in known)


def _shares_words(text: str, template: str) -> bool:
    """Most of the plain words of the template occur in the text."""
    plain = "".join(" " if letter in "[]|.,:" else letter for letter in template.lower())
    words = {word for word in plain.split() if len(word) > 3}
    return sum(word in text.lower() for word in words) >= 0.6 * len(words)


def records(model: Model, rng: random.Random, count: int) -> Iterator[tuple[str, bool]]:
    """Is the answer valid JSON, and are the values right?"""
    for _ in range(count):
        *prompt, expected = extraction.messages(rng)
        system = prompt[0]["content"] if len(prompt) == 2 else None
        text, _ = model.answer(prompt[-1]["content"], system)
        try:
            actual = json.loads(text)
        except json.JSONDecodeError:
            actual = None
        yield "json: valid", actual is not None
        yield "json: right", actual == json.loads(expected["content"])


def endings(model: Model, rng: random.Random, count: int) -> Iterator[tuple[str, bool]]:
    """Does a story at temperature 0.8 end by itself, and is it about what was asked for?"""
    for seed in range(count):
        hero = stories.character(rng)
        request = f"Tell me a story about a {hero.adjective} {hero.kind}."
        text, ended = model.answer(request, temperature=0.8, seed=seed)
        yield "story: ends by itself", ended
        yield "story: names the hero's kind", hero.kind in text


def main() -> None:
    """Print the share of right answers for every measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--count", type=int, default=50)
    arguments = parser.parse_args()
    model = Model(arguments.gguf)
    for measure in (summaries, questions, records, endings):
        results: dict[str, list[bool]] = {}
        rng = random.Random(EVALUATION_SEED)
        for name, is_right in measure(model, rng, arguments.count):
            results.setdefault(name, []).append(is_right)
        for name, outcomes in results.items():
            print(f"{name:30} {sum(outcomes) / len(outcomes):6.1%} of {len(outcomes)}", flush=True)


if __name__ == "__main__":
    main()

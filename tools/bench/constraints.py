"""What does a constraint cost?

    python tools/bench/constraints.py MODEL [--rounds 3] [--tokens 128] [--threads N] [--cpu]

Each row answers with and without a JSON Schema in turns, with the same settings and no end before
the last token; the ratio is the median of the rounds' own ratios, rates are of what comes after the
first token. Masks are timed along the text of the first round: all of them, though an answer needs
one only where a free draw breaks the grammar. With --cpu, which wants --threads 1, seconds are
those of the processor, which other programs lengthen less.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from llmparams_cli.backends.llama.native.vocabulary import vocabulary
from llmparams_cli.backends.llama.sampling import grammar
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import GgufModel, find_model
from llmparams_cli.params.settings import DEFAULT, Assignment, Settings, resolve
from llmparams_cli.protocol import Backend, Finished, Message, Piece, Request

PROMPT = "Write a list of words as JSON."
WORDS = ["".join(word) for word in itertools.product(("ba", "ke", "lo", "mi", "nu"), repeat=5)]
NAMES = [f"property_{number}" for number in range(100)]


def nested(depth: int) -> dict[str, Any]:
    """An object in an object."""
    inner = nested(depth - 1) if depth else {"type": "string", "maxLength": 20}
    own = {"name": {"type": "string", "maxLength": 20}, "inner": inner}
    return {"type": "object", "properties": own, "required": [*own], "additionalProperties": False}


OPTIONAL = {name: {"type": "integer"} for name in NAMES}
ITEMS: dict[str, dict[str, Any]] = {
    "a string": {"type": "string"},
    "enum of 300": {"enum": WORDS[:300]},
    "enum of 1,000": {"enum": WORDS[:1000]},
    "nested ten deep": nested(10),
    "100 optional properties": {
        "type": "object",
        "properties": OPTIONAL,
        "additionalProperties": False,
        "required": NAMES[-1:],
    },
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--only", default="", help="schemas with this in their names")
    given = parser.parse_args()
    clock = time.process_time if given.cpu else time.perf_counter
    plain = {
        "temperature": given.temperature,
        "max_tokens": given.tokens,
        "threads": given.threads,
        "ignore_eos": True,
        "seed": 1,
    }
    env = Environment(quiet=True)
    model = find_model(given.model, env)
    assert isinstance(model, GgufModel)
    print(f"{model.name}; load {os.getloadavg()[0]:.1f}")
    print("| an array of | tokens/s free | constrained | ratio | ms to begin | ms a mask |")
    print("|---|---|---|---|---|---|")
    with Control() as control, opened(env, model, settings(plain), control) as backend:
        for name, item in ITEMS.items():
            if given.only in name:
                schema = {"type": "array", "items": item, "minItems": given.tokens}
                held = plain | {"json_schema": schema}
                runs = [*rounds(backend, plain, held, given.rounds, clock)]
                masks = masked(model.path, settings(held), runs[0][1][0].text)
                print(row(name, runs, *masks), flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


def settings(values: Mapping[str, Any]) -> Settings:
    """What the table of parameters does not set."""
    return resolve(Assignment(name, value, DEFAULT) for name, value in values.items())


Run = tuple[Finished, float]  # and tokens a second


def rounds(
    backend: Backend,
    plain: dict[str, Any],
    held: dict[str, Any],
    count: int,
    clock: Callable[[], float],
) -> Iterator[tuple[Run, Run]]:
    """(free, constrained) in turns; the first round, which reads the prompt, is left out."""
    for number in range(count + 1):
        pair = answer(backend, plain, clock), answer(backend, held, clock)
        if number:
            yield pair


def answer(backend: Backend, values: dict[str, Any], clock: Callable[[], float]) -> Run:
    """The end of an answer to the prompt, and the speed after its first token."""
    began = 0.0
    request = Request((Message("user", PROMPT),), settings(values))
    for _, event in backend.answer([request]):
        began = began or (clock() if isinstance(event, Piece) else 0.0)
    seconds = clock() - began
    assert isinstance(event, Finished), event
    return event, (event.usage.completion_tokens - 1) / seconds


def masked(path: Path, held: Settings, text: str) -> tuple[float, float]:
    """Milliseconds of the processor until there is a grammar, and each mask of the text."""
    import numpy as np

    with vocabulary(path) as model:
        row = np.zeros(model.n_vocab, np.float32)
        grammar.from_settings(model, held, lambda _note: None)  # the vocabulary, once
        began = time.process_time()
        made = grammar.from_settings(model, held, lambda _note: None)
        compiled = time.process_time() - began
        assert made is not None
        spent = []
        with closing(made):
            for token in model.tokenize(text, goes_on=True):
                began = time.process_time()
                made.left(row)
                spent.append(time.process_time() - began)
                made.accept(token)
    return compiled * 1000, sum(spent) / len(spent) * 1000


def row(name: str, runs: list[tuple[Run, Run]], compiled: float, mask: float) -> str:
    """A line of the table."""
    free, held = (median(speed for _, speed in side) for side in zip(*runs, strict=True))
    ratio = median(two[1] / one[1] for one, two in runs)
    return f"| {name} | {free:.1f} | {held:.1f} | {ratio:.2f} | {compiled:.1f} | {mask:.3f} |"


if __name__ == "__main__":
    main()

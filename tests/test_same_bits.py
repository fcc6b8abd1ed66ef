"""The same request gets the same logits in every command: alone, beside others, after others.

On quantised weights; those of F16 and F32 depend on a row's place in the batch, and answers of more
than 256 tokens on whether one row is decoded alone: unless `deterministic` is on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from program import Program

from llmparams_cli.backends.llama.weights import Recipe, quantise
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models import builtin
from llmparams_cli.models.resolve import find_model
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.protocol import Backend, Finished, Message, Request

TYPES = ("Q8_0", "Q4_0", "Q5_1")
WORDS = "The fox saw a bear, and the bear saw the fox. "
LENGTHS = (1, 5, 6, 9, 18, 40)  # times WORDS: below, at and far above a block of 64 tokens


@pytest.fixture(scope="module", params=TYPES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / f"{request.param}.gguf"
    quantise(builtin.PATH, path, Recipe(request.param, 1, pure=True))
    return path


@pytest.fixture
def backend(model: Path, cache: Path) -> Iterator[Backend]:
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    with Control() as control, opened(env, find_model(str(model), env), plain(), control) as found:
        yield found


def plain(**more: Any) -> Settings:
    values = {"temperature": 0.0, "max_tokens": 12, "threads": 1, "ignore_eos": True} | more
    return resolve(Assignment(name, v, Origin(Source.FLAG, "test")) for name, v in values.items())


def ask(times: int, **more: Any) -> Request:
    return Request((Message("user", WORDS * times),), plain(**more), logprobs=0)


def draws(backend: Backend, requests: Iterable[Request]) -> list[list[tuple[int, float | None]]]:
    """Ids and log-probabilities of each answer, to the last bit."""
    found: dict[int, list[tuple[int, float | None]]] = {}
    for number, event in backend.answer(requests):
        if isinstance(event, Finished):
            found[number] = [(token.id, token.logprob) for token in event.tokens]
    return [found[number] for number in sorted(found)]


def test_beside_others_and_after_others_the_logits_are_those_of_an_answer_alone(
    backend: Backend, model: Path, cache: Path
) -> None:
    requests = [ask(times) for times in LENGTHS]
    together = draws(backend, requests)
    turned = draws(backend, requests[::-1])[::-1]
    after_others = [draws(backend, [request])[0] for request in requests]
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    for request, *seen in zip(requests, together, turned, after_others, strict=True):
        found = find_model(str(model), env)
        with Control() as control, opened(env, found, plain(), control) as fresh:
            assert seen == draws(fresh, [request]) * 3


LONG = 30  # times WORDS: more than 256 tokens


def test_whoever_is_left_alone_goes_on_as_beside_others(opener: Any, model: Path) -> None:
    """Also where all threads would compute one long row together."""
    two = {"threads": 2}
    backend = opener(str(model), slots=2, **two)
    beside = draws(backend, iter([ask(LONG, **two), ask(LONG, **two)]))
    left = draws(backend, iter([ask(LONG, **two), ask(LONG, max_tokens=2, **two)]))
    assert left[0] == beside[0] and left[1] == beside[1][:2]


@pytest.mark.parametrize("threads", [1, 2])
def test_deterministic_answers_have_the_same_bits_in_any_company(threads: int, opener: Any) -> None:
    """The built-in model has weights of F16, whose rows depend on their place."""
    sure = {"deterministic": True, "max_tokens": 6}
    asked = [ask(times, threads=threads, **sure) for times in (LONG, 1, LONG + 1)]
    alone = [
        draws(opener(threads=1, **sure), [ask(times, threads=1, **sure)])[0]
        for times in (LONG, 1, LONG + 1)
    ]
    together = opener(slots=3, threads=threads, **sure)
    assert draws(together, iter(asked)) == alone
    assert draws(together, iter(asked[::-1])) == alone[::-1]
    assert draws(opener(slots=2, threads=threads, **sure), iter(asked)) == alone
    assert draws(opener(threads=threads, **sure), asked) == alone


def test_every_command_draws_the_same_tokens(program: Program, model: Path) -> None:
    long, other = (WORDS * 18).strip(), (WORDS * 7).strip()
    common = ("-m", str(model), "--temperature", "0", "-n", "16", "--ignore-eos")
    alone = program.call("generate", long, *common, "--json", "--logprobs", "0").json
    tokens = [(token["id"], token["logprob"]) for token in alone["tokens"]]

    explained = program.call("explain", long, *common, "--json").json["tokens"]
    assert [token["id"] for token in explained] == [id for id, _ in tokens]

    (program.place / "prompts.txt").write_text(f"{other}\n{long}\nhi\n")
    flags = ("--prompts", "prompts.txt", "--grid", "top_k=1,40", "--json")
    for variant in program.call("compare", *common, *flags).json["variants"]:
        ids = {sample["prompt"]: sample["token_ids"] for sample in variant["samples"]}
        assert ids[long] == [id for id, _ in tokens]

    said = program.call("chat", *common, "--no-save", stdin=f"{other}\n/clear\n{long}\n".encode())
    assert said.text.endswith(alone["text"] + "\n")


def test_a_kept_chat_goes_on_as_one_that_was_never_left(program: Program, model: Path) -> None:
    common = ("-m", str(model), "--temperature", "0", "-n", "16", "--ignore-eos")
    turns = [WORDS * 6, "And then?", "Go on."]

    def answers(name: str) -> list[str]:
        lines = (program.place / "state" / "chats" / f"{name}.jsonl").read_text().splitlines()
        return [entry["text"] for entry in map(json.loads, lines) if entry["kind"] == "answer"]

    program.call("chat", *common, "--session", "one", stdin="\n".join(turns).encode())
    for turn in turns:
        program.call("chat", *common, "--session", "two", stdin=turn.encode())
    assert answers("one") == answers("two")

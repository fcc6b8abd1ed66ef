"""`explain --target`: what a given text demands, and which of its tokens are impossible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from program import Program

from llmparams_cli.backends.llama.decoding.recording import pointer
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.sampler import made
from llmparams_cli.backends.llama.tracing.fit import Judge
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs.answers import answer
from llmparams_cli.models import builtin
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.protocol import Backend, Message, ModelInfo, Request, Started
from llmparams_cli.render.explanation.fit import _low_enough, _wide_enough

FLAG = Origin(Source.FLAG, "--test")
TARGET = ("explain", "hi", "--target", "t.txt")
STARTED = Started("", (), 0, ModelInfo("", "", 0, ""), context=64)
DRAWS = 300
LIKELY = 12  # tokens of some weight in the logits below
CASES: list[dict[str, object]] = [
    {"temperature": 0},
    {"temperature": 0, "xtc_probability": 0.5, "xtc_threshold": 0.05},
    {"top_k": 3},
    {"top_p": 0.6, "min_p": 0.2},
    {"xtc_probability": 0.5, "xtc_threshold": 0.05, "top_k": 6},
    {"xtc_probability": 1.0, "xtc_threshold": 0.05, "top_k": 6},
    {"mirostat": 2, "mirostat_tau": 2.0, "mirostat_eta": 0.5},
    {"mirostat": 1, "mirostat_tau": 1.5, "mirostat_eta": 0.5},
    {"adaptive_p_target": 0.3, "top_k": 5},
    {"top_k": 4, "grammar": "root ::= [a-m]*"},
    {"temperature": 0, "grammar": "root ::= [a-m]*"},
    {"top_n_sigma": 1.0, "grammar": "root ::= ([a-m] [n-z])*"},
    {"top_k": 4, "regex": "[a-m]*"},
    {"temperature": 0, "regex": "[a-m]*"},
    {"top_n_sigma": 1.0, "regex": "([a-m][n-z])*"},
    {"repeat_penalty": 3.0, "frequency_penalty": 1.0, "top_k": 3},
]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    loaded = Model(builtin.PATH, llama().llama_model_default_params())
    yield loaded
    loaded.close()


def rows(model: Model, count: int) -> list[np.ndarray]:
    """Logits in which a dozen letters and letter pairs have almost all of the probability."""
    generator = np.random.default_rng(7)
    words = [word for letter in "abcdefghijklmnopqrstuvwxyz" for word in model.tokenize(letter)]
    made = []
    for _ in range(count):
        row = np.full(model.n_vocab, -90, dtype=np.float32)
        row[generator.choice(words, LIKELY, replace=False)] = generator.normal(0, 1.2, LIKELY)
        made.append(row)
    return made


def forced(model: Model, values: dict[str, object], seed: int, row: np.ndarray) -> int:
    """A token that the real chain draws first from this row."""
    settings = resolve(Assignment(name, value, FLAG) for name, value in values.items())
    with closing(made(model, settings, seed, STARTED, lambda _note: None)) as sampler:
        token = sampler.draw(pointer(row))
        assert token is not None
        return token


@pytest.mark.parametrize("values", CASES, ids=str)
def test_possible_is_what_some_random_numbers_draw(values: dict[str, object], model: Model) -> None:
    """Whatever a real chain draws is possible, and all that is possible is drawn at times."""
    values = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0, **values}
    settings = resolve(Assignment(name, value, FLAG) for name, value in values.items())
    for row in rows(model, 3):
        drawn = {forced(model, values, seed, row) for seed in range(DRAWS)}
        possible = set()
        for token in np.flatnonzero(row > -50).tolist():
            with closing(Judge(model, settings, STARTED)) as judge:
                if not judge.removed_by(pointer(row), token):
                    possible.add(token)
        assert drawn <= possible
        likely = softmax(row) > 0.02
        assert {token for token in possible if likely[token]} <= drawn


def softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row.astype(np.float64) - row.max())
    return np.asarray(powers / powers.sum())


@pytest.mark.parametrize("values", CASES, ids=str)
def test_what_a_run_drew_is_possible_all_along(values: dict[str, object], backend: Backend) -> None:
    """The memories of penalties, grammar and mirostat follow the text."""
    values = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0, **values}
    values |= {"max_tokens": 40, "ignore_eos": True, "threads": 1}
    settings = resolve(Assignment(name, value, FLAG) for name, value in values.items())
    for seed in range(4):
        seeded = settings.but(Assignment("seed", seed, FLAG))
        message = Message("user", "Tell me a story")
        _, finished = answer(backend, Request((message,), seeded, record=True))
        assert finished.trace is not None and len(finished.trace) >= 30
        with closing(finished.trace) as trace:
            assert {token.removed_by for token in trace.fit(lambda _done: None).tokens} == {""}


def test_mirostat_follows_the_text_and_not_its_own_draws(model: Model) -> None:
    """Surprising tokens lower its limit until a surprising one is impossible; the best ones
    raise it again.
    """
    values = {"mirostat": 2, "mirostat_tau": 2.0, "mirostat_eta": 1.0, "temperature": 1.0}
    settings = resolve(Assignment(name, value, FLAG) for name, value in values.items())
    row = np.full(model.n_vocab, -90, dtype=np.float32)
    best, rare = model.tokenize("a")[0], model.tokenize("b")[0]
    row[best], row[rare] = np.log(0.9), np.log(0.1)  # 0.15 and 3.3 bits; the limit begins at 4
    with closing(Judge(model, settings, STARTED)) as judge:
        texts = [rare, rare, best, best, rare]
        removed = [judge.removed_by(pointer(row), token) for token in texts]
    assert removed == ["", "mirostat_v2", "", "", ""]


@pytest.mark.parametrize(
    "flags", [("--grammar", 'root ::= "x"'), ("--regex", "x"), ("--json-schema", "{}")]
)
def test_a_text_that_breaks_the_grammar_is_told(flags: tuple[str, ...], program: Program) -> None:
    (program.place / "t.txt").write_text("Hello there")
    done = program.call(*TARGET, *flags, "--json")
    assert done.code == 0, done.stderr
    first, *others = done.json["tokens"]
    assert first["removed_by"] == "grammar"
    assert not any(token["removed_by"] == "grammar" for token in others)


@pytest.mark.parametrize("form", [("--grammar", 'root ::= "xyzzy"'), ("--regex", "xyzzy")])
def test_valid_text_is_not_impossible_because_the_first_draw_would_break_the_grammar(
    form: tuple[str, ...], program: Program
) -> None:
    (program.place / "t.txt").write_text("xyzzy")
    flags = (*form, "--top-k", "1", "--json")
    assert program.call("generate", "hi", *flags).json["text"] == "xyzzy"
    assert not any(token["removed_by"] for token in program.call(*TARGET, *flags).json["tokens"])


def test_at_temperature_0_only_the_best_token_is_possible(program: Program) -> None:
    (program.place / "t.txt").write_text("There was once a fox")
    for flags in (("--temperature", "0"), ("--preset", "deterministic")):
        tokens = program.call(*TARGET, *flags, "--json").json["tokens"]
        assert any(token["rank"] > 1 for token in tokens)
        assert all(bool(token["removed_by"]) == (token["rank"] > 1) for token in tokens)


def test_the_values_that_are_printed_admit_the_text(program: Program) -> None:
    """Rounded outward: with each of them alone no token of the text is impossible."""
    off = ("--top-k", "0", "--top-p", "1", "--min-p", "0")
    for text in ("There was once a fox", "Hi there!", "Hello, how are you?", "zebra", "Hi"):
        (program.place / "t.txt").write_text(text)
        shown = program.call(*TARGET, *off).text
        found = re.search(r"top_k (\S+) or more, top_p (\S+) or more, min_p (\S+) or less", shown)
        assert found
        exact = program.call(*TARGET, *off, "--json").json
        assert float(found[2]) == pytest.approx(exact["top_p"], rel=1e-3, abs=2e-6)
        assert float(found[3]) == pytest.approx(exact["min_p"], rel=2e-3)
        for flag, value in zip(("--top-k", "--top-p", "--min-p"), found.groups(), strict=True):
            done = program.call(*TARGET, *off, flag, value, "--json").json
            assert not any(token["removed_by"] for token in done["tokens"]), (text, flag, value)


@pytest.mark.parametrize("share", [1e-7, 0.3, 0.944055, 0.9440550001, 0.99996, 0.9999999, 1.0])
def test_printed_values_are_rounded_outward(share: float) -> None:
    assert share < float(_wide_enough(share)) <= 1 or _wide_enough(share) == "1"
    assert float(_low_enough(share)) < share or share == 1
    assert (_wide_enough(0.0), _low_enough(1.0)) == ("0", "1")


@pytest.mark.parametrize(
    "flags",
    [("--what-if", "top_k=1"), ("--at", "1"), ("--step",), ("--html", "x.html"), ("--png", "x.png"),
     ("--svg", "x.svg"), ("--top", "3"), ("--continue",)],
)  # fmt: skip
def test_flags_for_an_answer_are_refused_beside_target(
    flags: tuple[str, ...], program: Program
) -> None:
    (program.place / "t.txt").write_text("Hi")
    complaint = program.call(*TARGET, *flags).complaint(2)
    assert complaint == f"{flags[0]} is for an answer of the model, not --target"


def test_target_in_colours(program: Program) -> None:
    (program.place / "t.txt").write_text("zebra")
    plain = program.call(*TARGET, "--color", "never").stdout
    colored = program.call(*TARGET, "--color", "always").stdout
    assert b"\x1b[33m" in colored and b"\x1b" not in plain


def test_prompt_and_target_may_fill_the_context_to_the_last_token(program: Program) -> None:
    (program.place / "answer.txt").write_text("Once upon a time there was a fox.")
    run = ("explain", "Tell me a story", "--target", "answer.txt")
    line = program.call(*run, "--context", "16").complaint(ExitCode.CONTEXT)
    [count] = re.findall(r"prompt and target have (\d+) tokens", line)
    assert program.call(*run, "--context", count).code == 0
    line = program.call(*run, "--context", str(int(count) - 1)).complaint(ExitCode.CONTEXT)
    assert f"have {count} tokens and the context holds {int(count) - 1} (" in line

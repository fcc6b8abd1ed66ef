"""`evaluate --text`: how well models predict a text, against sums made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import Program

from llmparams_cli.analysis.perplexity import TextScore, added, log_probabilities, plan, score_of
from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin
from llmparams_cli.protocol import Encoded

STORY = "The fox saw a bear. The bear saw the fox. They went home together. " * 12


def encoded(count: int, begin: int | None = None) -> Encoded:
    return Encoded(tuple(range(100, 100 + count)), tuple(b"ab" for _ in range(count)), begin)


def test_log_probabilities_are_those_of_a_softmax_in_double_precision() -> None:
    logits = np.random.default_rng(1).normal(0, 4, (70, 50)).astype(np.float32)
    targets = list(range(50)) + list(range(20))
    exact = logits.astype(np.float64)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
    found = log_probabilities(logits, targets)
    assert found == pytest.approx(exact[np.arange(70), targets], abs=1e-6)


def test_perplexity_error_and_bits_of_three_tokens() -> None:
    """Probabilities 1/2, 1/4, 1/8: 1, 2 and 3 bits, over 4 bytes."""
    score = score_of(np.log([0.5, 0.25, 0.125]), [b"a", b"", b"bcd"])
    assert (score.tokens, score.bytes) == (3, 4)
    assert score.perplexity == pytest.approx(4.0)
    assert score.bits_per_token == pytest.approx(2.0)
    assert score.bits_per_byte == pytest.approx(1.5)
    deviation = math.sqrt(2 / 3) * math.log(2)  # of 1, 2, 3 bits, in nats
    assert score.error == pytest.approx(deviation / math.sqrt(2) * 4)
    assert added([score, score]).perplexity == pytest.approx(4.0)
    assert added([score, score]).tokens == 6


def test_a_text_of_no_bytes_has_no_bits_per_byte() -> None:
    assert TextScore(1, 0, 1.0, 1.0).bits_per_byte == math.inf


def test_what_a_broken_model_finds_impossible_has_no_finite_perplexity() -> None:
    assert score_of(np.array([-900.0, -900.0]), [b"a", b"b"]).perplexity == math.inf
    assert score_of(np.array([-math.inf]), [b"a"]).perplexity == math.inf


@given(st.integers(8, 40).map(lambda half: 2 * half), st.integers(0, 400), st.booleans())
def test_every_token_counts_once_and_with_enough_before_it(size, count, strided) -> None:
    cut = plan(encoded(count, begin=1), size, strided=strided)
    places = [place for each in cut.places for place in each]
    assert len(places) == len(set(places))
    if strided and count >= size:  # none is left out but at both ends
        assert places == list(range(size // 2, places[-1] + 1))
        assert count - len(places) - size // 2 < size // 2
    for chunk, each in zip(cut.chunks, cut.places, strict=True):
        assert chunk.first >= size // 2 and len(chunk.tokens) == size
        assert chunk.tokens[0] == 1  # the model's own beginning
        assert [100 + place for place in each] == list(chunk.tokens[chunk.first :])


def test_the_second_half_counts_as_in_llama_perplexity() -> None:
    cut = plan(encoded(1100), 512, strided=False)
    assert [(places.start, places.stop) for places in cut.places] == [(257, 512), (769, 1024)]


@pytest.mark.real_model
def test_the_sums_of_a_run_agree_with_its_tokens(program: Program) -> None:
    flags = ("--text", "-", "--chunk", "64", "--threads", "1", "--tokens", "--json")
    done = program.call("evaluate", *flags, stdin=STORY.encode())
    assert done.code == 0, done.stderr
    (found,) = done.json["models"]
    logprobs = [token["logprob"] for token in found["tokens"]]
    assert found["tokens"] and found["text_tokens"] > len(logprobs)
    assert found["perplexity"] == pytest.approx(math.exp(-np.mean(logprobs)), rel=1e-4)
    assert len(found["chunks"]) * (64 - 33) == len(logprobs)
    total = sum(chunk["bits_per_token"] * chunk["tokens"] for chunk in found["chunks"])
    assert found["bits_per_token"] == pytest.approx(total / len(logprobs), rel=1e-4)


@pytest.mark.real_model
@pytest.mark.parametrize("batch", ["64", "32"], ids=["counted in one", "counted in two"])
def test_chunks_are_read_alike_however_they_are_batched(batch: str, program: Program) -> None:
    def perplexity(batch: str) -> float:
        flags = ("--text", "-", "--chunk", "128", "--batch-size", batch, "--json")
        done = program.call("evaluate", *flags, "--threads", "1", stdin=STORY.encode())
        return float(done.json["models"][0]["perplexity"])

    assert perplexity(batch) == pytest.approx(perplexity("512"), rel=1e-3)


@pytest.mark.parametrize(
    ("flags", "stdin", "words"),
    [
        ((), b"", "--text FILE"),
        (("--text", "no.txt"), b"", "--text no.txt: No such file"),
        (("--text", "-"), b" \n", "--text - is empty"),
        (("--text", "-"), b"\xff", "not UTF-8"),
        (("--text", "-", "--tokens"), b"x", "--json"),
        (("--text", "-", "--chunk", "4"), b"x", "--chunk"),
        (("--text", "-", "no-such-model"), b"x", "no-such-model"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_a_line(flags, stdin, words, program: Program) -> None:
    done = program.call("evaluate", *flags, stdin=stdin)
    assert done.code in (ExitCode.USAGE, ExitCode.MODEL) and words in done.stderr


@pytest.mark.real_model
def test_a_text_that_fills_no_chunk_is_told_with_the_cure(program: Program) -> None:
    done = program.call("evaluate", "--text", "-", stdin=b"One sentence of a few words is short.")
    assert "and a chunk 512 (--chunk " in done.complaint(ExitCode.USAGE)


@pytest.mark.parametrize(
    "flags",
    [
        ("--temperature", "0"),
        ("-c", "64"),
        ("--system", "x"),
        ("--html", "x.html"),
        ("--fail-under", "0"),
    ],
)
def test_what_a_text_has_no_use_for_is_refused(flags, program: Program) -> None:
    done = program.call("evaluate", "--text", "-", *flags, stdin=STORY.encode())
    assert "has no effect beside --text" in done.complaint(ExitCode.USAGE)


@pytest.mark.real_model
def test_control_like_words_and_line_ends_are_text(program: Program) -> None:
    def tokens(text: str) -> list[str]:
        flags = ("--text", "-", "--chunk", "16", "--strided", "--tokens", "--json")
        done = program.call("evaluate", *flags, "--threads", "1", stdin=text.encode())
        return [token["text"] for token in done.json["models"][0]["tokens"]]

    text = "The fox </s> <|im_start|> saw\n \x00\x1b[31m <|endoftext|> a bear. " * 2
    found = tokens(text)
    assert tokens("\ufeff" + text.replace("\n", "\r\n")) == found
    assert "".join(found) in text and "\x00\x1b[31m" in "".join(found)


@pytest.mark.real_model
def test_what_was_not_read_is_told(program: Program) -> None:
    flags = ("--text", "-", "--chunk", "64", "--chunks", "1", "--threads", "1")
    done = program.call("evaluate", *flags, stdin=STORY.encode())
    assert "1 chunk of 64 tokens" in done.text and "tokens are not read" in done.text


def test_models_are_called_as_they_were_named(program: Program) -> None:
    (program.place / "same.gguf").write_bytes(builtin.PATH.read_bytes())
    flags = ("--text", "-", "--chunk", "64")
    done = program.call("evaluate", "builtin", "same.gguf", *flags, stdin=STORY.encode())
    assert [line.split()[0] for line in done.text.splitlines()[1:3]] == ["builtin", "same.gguf"]
    (program.place / "other").mkdir()
    (program.place / "other" / "same.gguf").write_bytes(builtin.PATH.read_bytes())
    both = ("same.gguf", "other/same.gguf")
    done = program.call("evaluate", *both, *flags, stdin=STORY.encode())
    called = [line.split()[0] for line in done.text.splitlines()[1:3]]
    assert called == [str(program.place / name) for name in both]
    done = program.call("evaluate", "same.gguf", *flags, stdin=STORY.encode())
    assert done.text.splitlines()[1].startswith("llmparams-tiny ")

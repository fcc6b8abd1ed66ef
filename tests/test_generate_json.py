"""`generate --json` and `--stream-json`: what scripts rely on."""

from __future__ import annotations

import ctypes
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_cpp import llama_cpp as lib
from models import write_llama
from program import Done, Program

from llmparams_cli.models import builtin
from llmparams_cli.params.table import PARAMS

BACKENDS = ("llama", "scripted")  # see conftest

KEYS = {
    "text": str,
    "stop": {"reason": str, "detail": str},
    "usage": {
        "prompt_tokens": int,
        "cached_tokens": int,
        "completion_tokens": int,
        "reasoning_tokens": int,
        "total_tokens": int,
    },
    "timing": {
        "load_s": float,
        "prompt_s": float,
        "generation_s": float,
        "prompt_tokens_per_s": float,
        "generation_tokens_per_s": float,
        "first_token_s": float,
    },
    "seed": int,
    "model": {"path": str, "name": str, "parameters": int, "quantization": str},
    "parameters": dict,
    "prompt": str,
}


def assert_shape(value: Any, shape: Any) -> None:
    """Keys in this order, values of these types."""
    if not isinstance(shape, dict):
        assert type(value) is shape
        return
    assert list(value) == list(shape)
    for key, inner in shape.items():
        assert_shape(value[key], inner)


def test_the_object_has_the_documented_keys_in_their_order(program: Program) -> None:
    done = program.call("generate", "Tell me a story", "--json", "-n", "12", "--seed", "3")
    result = done.json
    assert done.stdout.count(b"\n") == 1
    assert_shape(result, KEYS)
    usage = result["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] <= 12
    assert result["seed"] == 3
    timing = result["timing"]
    assert timing["first_token_s"] >= timing["prompt_s"] > 0


@pytest.mark.real_model
def test_the_object_tells_file_and_size_of_the_model(program: Program) -> None:
    model = program.call("generate", "hi", "--json", "-n", "1").json["model"]
    assert model["path"] == str(builtin.PATH)
    assert model["parameters"] > 1_000_000


def test_every_parameter_is_there_with_value_and_origin(program: Program) -> None:
    (program.place / "llmparams.yaml").write_text("parameters:\n  top_k: 7\n")
    done = program.call(
        "generate", "hi", "--json", "--temp", "0.3", "-p", "creative-chat", "-n", "2",
        LLMPARAMS_SEED="5",
    )  # fmt: skip
    parameters = done.json["parameters"]
    assert list(parameters) == list(PARAMS)
    assert parameters["temperature"]["value"] == 0.3
    assert parameters["temperature"]["origin"] == "flag --temperature"
    assert [below["value"] for below in parameters["temperature"]["overrode"]][-1] == 0.8
    assert parameters["seed"]["origin"] == "environment LLMPARAMS_SEED"
    project = [below["origin"] for below in parameters["top_k"]["overrode"]]
    assert "project llmparams.yaml:2" in project
    assert "creative-chat.yaml:" in parameters["top_k"]["origin"]
    assert parameters["mirostat"] == {"value": 0, "origin": "default", "overrode": []}


def test_show_params_prints_the_resolution_and_generates_nothing(program: Program) -> None:
    example = (
        "generate", "Once upon a time", "--preset", "creative-chat", "--temperature", "0.3",
        "--show-params",
    )  # fmt: skip
    text = program.pipe(*example).text
    lines = {words[0]: line for line in text.splitlines() if (words := line.split())}
    assert "0.3" in lines["temperature"] and "flag --temperature" in lines["temperature"]
    preset = [line for line in lines.values() if "creative-chat.yaml:" in line]
    assert len(preset) > 3
    shown = program.call(*example, "--json").json
    assert list(shown["parameters"]) == list(PARAMS)
    assert "text" not in shown
    # A script must be able to ask without a prompt.
    assert program.call("generate", "--show-params").code == 0


def test_the_stream_is_one_event_a_line_and_adds_up_to_the_answer(program: Program) -> None:
    arguments = ("generate", "Tell me a story", "-n", "20", "--seed", "3")
    done = program.pipe(*arguments, "--stream-json")
    start, *texts, end = done.events
    assert [start["event"], end["event"]] == ["start", "end"]
    assert {event["event"] for event in texts} == {"text"}
    assert "".join(event["text"] for event in texts) == end["text"]
    whole = program.call(*arguments, "--json").json
    assert_shape({key: value for key, value in end.items() if key != "event"}, KEYS)
    for key in ("text", "stop", "usage", "seed", "model", "prompt"):
        assert end[key] == whole[key]
    assert start["seed"] == 3 and start["prompt"] == whole["prompt"]
    assert start["prompt_tokens"] == whole["usage"]["prompt_tokens"]


def test_there_are_no_tokens_unless_asked_for(program: Program) -> None:
    assert "tokens" not in program.call("generate", "hi", "--json", "-n", "2").json
    done = program.call("generate", "hi", "-n", "2", "--logprobs", "3")
    assert "--logprobs has no effect" in done.stderr


def test_alternatives_are_sorted_probabilities_of_the_whole_vocabulary(program: Program) -> None:
    result = program.call(
        "generate", "hi", "--json", "-n", "10", "--logprobs", "5", "--seed", "1", "--temp", "1.5"
    ).json
    assert len(result["tokens"]) == result["usage"]["completion_tokens"]
    assert "".join(token["text"] for token in result["tokens"]) == result["text"]
    for token in result["tokens"]:
        logprobs = [candidate["logprob"] for candidate in token["top"]]
        assert len(logprobs) == 5
        assert logprobs == sorted(logprobs, reverse=True)
        assert sum(map(math.exp, logprobs)) <= 1 + 1e-6
        assert token["logprob"] <= logprobs[0] <= 0
        assert len({candidate["id"] for candidate in token["top"]}) == 5
        for candidate in token["top"]:
            if candidate["id"] == token["id"]:
                assert candidate["logprob"] == token["logprob"]


@pytest.mark.script("One fox, and then another fox, told each other one long story.")
def test_at_temperature_0_the_chosen_token_is_the_best(program: Program) -> None:
    arguments = ("generate", "Tell me a story", "--json", "-n", "8", "--temp", "0")
    result = program.call(*arguments, "--logprobs", "1").json
    for token in result["tokens"]:
        [best] = token["top"]
        assert (best["id"], best["logprob"]) == (token["id"], token["logprob"])
    assert program.call(*arguments, "--seed", "9").json["text"] == result["text"]
    bare = program.call(*arguments, "--logprobs", "0").json["tokens"]
    assert [token["top"] for token in bare] == [[]] * len(bare)
    assert [token["logprob"] for token in bare] == [t["logprob"] for t in result["tokens"]]


@pytest.mark.real_model
def test_logprobs_and_entropy_are_those_of_llama_cpps_own_logits(program: Program) -> None:
    prompt = "Once upon a time"
    result = program.call(
        "generate", prompt, "--raw", "--json", "-n", "6", "--logprobs", "4", "--seed", "1"
    ).json
    tokens = result["tokens"]
    ids = [token["id"] for token in tokens]
    for token, logits in zip(tokens, logits_along(builtin.PATH, prompt, ids), strict=True):
        shifted = logits.astype(np.float64) - logits.max()
        logprobs = shifted - np.log(np.exp(shifted).sum())
        assert token["logprob"] == pytest.approx(logprobs[token["id"]], abs=2e-3)
        best = np.sort(logprobs)[::-1][:4]
        assert [c["logprob"] for c in token["top"]] == pytest.approx(list(best), abs=2e-3)
        entropy = -(np.exp(logprobs) * logprobs).sum() / np.log(2)
        assert token["entropy"] == pytest.approx(entropy, abs=5e-3)


def logits_along(path: Path, prompt: str, ids: list[int]) -> list[Any]:
    """The logits before each of the tokens `ids` that follow a prompt."""
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    vocab = lib.llama_model_get_vocab(model)
    size = lib.llama_vocab_n_tokens(vocab)
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_threads = 256, 1
    context = lib.llama_init_from_model(model, params)
    data = prompt.encode()
    buffer = (ctypes.c_int32 * 64)()
    count = lib.llama_tokenize(vocab, data, len(data), buffer, 64, True, False)
    result = []
    prompt_ids = [buffer[: count - 1], buffer[count - 1 : count]]  # as prompts are cut here
    for batch in itertools.chain(prompt_ids, ([token] for token in ids[:-1])):
        array = (ctypes.c_int32 * len(batch))(*batch)
        assert lib.llama_decode(context, lib.llama_batch_get_one(array, len(batch))) == 0
        logits = lib.llama_get_logits(context)
        result.append(np.ctypeslib.as_array(logits, shape=(size,)).copy())
    lib.llama_free(context)
    lib.llama_model_free(model)
    return result[1:]  # the first are those before the prompt's last token


@pytest.mark.real_model
def test_tokens_of_logit_minus_infinity_leave_every_number_a_number(program: Program) -> None:
    """0 times infinity is no number; entropy and its mean count the possible tokens alone."""
    possible, asked = 40, 43
    random = np.random.default_rng(0)
    embedding = random.standard_normal((300, 64)).astype(np.float32)
    embedding[:, 0] = 50  # so the first of the hidden numbers is positive at every place
    output = (random.standard_normal((300, 64)) / 8).astype(np.float32)
    output[:, 0], output[possible:] = 0, 0
    output[possible:, 0] = -np.inf
    tensors = {"token_embd.weight": embedding, "output.weight": output}
    model = write_llama(program.place / "model.gguf", tensors=tensors)
    run = ("hi", "-m", str(model), "--raw", "-n", "3", "--temperature", "0", "--json")

    tokens = strict(program.call("generate", *run, "--logprobs", str(asked)))["tokens"]
    for token in tokens:
        logprobs = [candidate["logprob"] for candidate in token["top"]]
        assert logprobs[possible:] == [None] * (asked - possible)
        entropy = -sum(math.exp(each) * each for each in logprobs[:possible]) / math.log(2)
        assert token["entropy"] == pytest.approx(entropy, abs=1e-4)
    entropies = [token["entropy"] for token in tokens]

    explained = strict(program.call("explain", *run))["tokens"]
    for token, entropy in zip(explained, entropies, strict=True):
        stage = token["stages"][0]
        assert stage["kept"] == possible
        assert stage["entropy"] == pytest.approx(entropy, abs=1e-4)
    [one, _] = strict(program.call("compare", *run, "--grid", "top_k=0,1"))["variants"]
    assert one["means"]["entropy"] == pytest.approx(sum(entropies) / 3, abs=1e-3)


def strict(done: Done) -> dict[str, Any]:
    """The document; NaN and Infinity, which JSON does not know, are an error."""
    assert done.code == 0, done.stderr

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    document: dict[str, Any] = json.loads(done.stdout, parse_constant=refuse)
    return document


@pytest.mark.script("é🦊")
def test_json_is_ascii_where_stdout_cannot_carry_more(program: Program) -> None:
    arguments = ("generate", "hi", "--json", "--grammar", 'root ::= "é🦊"')
    done = program.pipe(*arguments, PYTHONIOENCODING="latin-1")
    assert done.stdout.isascii()
    assert done.json["text"] == "é🦊"
    assert "é🦊".encode() in program.call(*arguments).stdout


def test_unwanted_stops_fail(program: Program) -> None:
    def code(stops: str) -> int:
        return program.call("generate", "hi", "-n", "2", "--json", "--fail-on", stops).code

    assert code("max-tokens") == 7
    assert code("context-full, max-tokens") == 7
    assert code("context-full,time-limit") == 0
    done = program.pipe("generate", "hi", "-n", "2", "-q", "--fail-on", "max-tokens")
    assert (done.code, bool(done.stdout)) == (7, True)
    assert "max-tokens (2 tokens)" in done.stderr

"""--json and --stream-json: documents that any JSON reader understands."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering import Pipe, by_flag, by_preset, play, settings, token

from llmparams_cli.params.table import PARAMS
from llmparams_cli.protocol import Stop, StopReason, Timing
from llmparams_cli.render.json_output import JsonRenderer, StreamJsonRenderer
from llmparams_cli.text.safe import spelled

HELLO = [token("Hello", 0.5, 1.25), token(" wörld", 0.25, 0.5)]


def strict(document: str | bytes) -> Any:
    """Read JSON as other languages do: NaN and Infinity are errors."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(document, parse_constant=refuse)


def as_json(*arguments: Any, logprobs: bool = False, **options: Any) -> Any:
    pipe = Pipe()
    play(JsonRenderer(pipe.env, settings(*arguments), logprobs=logprobs), HELLO, **options)
    assert pipe.stderr == ""
    return strict(pipe.stdout)


def test_the_object_is_the_documented_one() -> None:
    document = as_json(stop=Stop(StopReason.STOP_SEQUENCE, "\n\n"))
    parameters = document.pop("parameters")
    assert list(parameters) == list(PARAMS)
    assert document == {
        "text": "Hello wörld",
        "stop": {"reason": "stop-sequence", "detail": "\n\n"},
        "usage": {
            "prompt_tokens": 5,
            "cached_tokens": 0,
            "completion_tokens": 2,
            "reasoning_tokens": 0,
            "total_tokens": 7,
        },
        "timing": {
            "load_s": 0.25,
            "prompt_s": 0.5,
            "generation_s": 2.0,
            "prompt_tokens_per_s": 10.0,
            "generation_tokens_per_s": 0.5,
            "first_token_s": 0.75,
        },
        "seed": 42,
        "model": {
            "path": "/models/fox.gguf",
            "name": "fox",
            "parameters": 3_000_000,
            "quantization": "F16",
        },
        "prompt": "<s>hello",
    }


def test_keys_keep_the_documented_order() -> None:
    assert list(as_json(logprobs=True)) == [
        "text", "stop", "usage", "timing", "seed", "model", "parameters", "prompt", "tokens",
    ]  # fmt: skip


def test_it_is_one_line_that_ends_with_a_newline() -> None:
    pipe = Pipe()
    play(JsonRenderer(pipe.env, settings(), logprobs=False), HELLO)
    assert pipe.stdout.count(b"\n") == 1
    assert pipe.stdout.endswith(b"}\n")


def test_nothing_is_printed_before_the_end() -> None:
    pipe = Pipe()
    renderer = JsonRenderer(pipe.env, settings(), logprobs=False)
    renderer.finished = lambda event: None  # type: ignore[method-assign]
    play(renderer, HELLO)
    assert pipe.stdout == b""


def test_every_parameter_tells_its_origin_and_what_it_overrode() -> None:
    document = as_json(
        by_preset("temperature", 1.2, "presets/creative-chat.yaml:5"),
        by_flag("temperature", 0.3),
    )
    assert document["parameters"]["temperature"] == {
        "value": 0.3,
        "origin": "flag --temperature",
        "overrode": [
            {"value": 1.2, "origin": "preset presets/creative-chat.yaml:5"},
            {"value": 0.8, "origin": "default"},
        ],
    }
    assert document["parameters"]["top_k"] == {"value": 40, "origin": "default", "overrode": []}


def test_a_forbidden_token_is_false_as_in_a_preset_file() -> None:
    document = as_json(by_flag("logit_bias", {"42": -math.inf, " the": 1.5}))
    assert document["parameters"]["logit_bias"]["value"] == {"42": False, " the": 1.5}


def test_tokens_come_with_probabilities_only_when_asked_for() -> None:
    assert "tokens" not in as_json()
    assert as_json(logprobs=True)["tokens"][0] == {
        "id": 7,
        "text": "Hello",
        "logprob": -0.693147,
        "entropy": 1.25,
        "top": [{"id": 7, "text": "Hello", "logprob": -0.693147}],
    }


def test_an_impossible_token_has_null_for_its_log_probability() -> None:
    pipe = Pipe()
    renderer = JsonRenderer(pipe.env, settings(), logprobs=True)
    play(renderer, [token("x", 0.0, math.nan)])
    [only] = strict(pipe.stdout)["tokens"]
    assert (only["logprob"], only["entropy"], only["top"][0]["logprob"]) == (None, None, None)


def test_speeds_without_time_or_tokens_are_null() -> None:
    timing = as_json(timing=Timing(0.0, 0.0, 0.0, 0.0))["timing"]
    assert timing["prompt_tokens_per_s"] is None
    assert timing["generation_tokens_per_s"] is None


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_every_text_survives_and_no_control_character_is_printed(text: str) -> None:
    pipe = Pipe()
    play(JsonRenderer(pipe.env, settings(), logprobs=True), [token(text, 1.0)], name=text)
    document = strict(pipe.stdout)
    assert document["text"] == document["model"]["name"] == text
    assert document["tokens"][0]["text"] == spelled(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in pipe.stdout.decode()[:-1])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gb18030"])
def test_where_stdout_is_not_utf_8_the_document_is_ascii(encoding: str) -> None:
    pipe = Pipe(encoding=encoding)
    play(JsonRenderer(pipe.env, settings(), logprobs=False), HELLO)
    assert strict(pipe.stdout.decode("ascii"))["text"] == "Hello wörld"


def events(logprobs: bool) -> list[Any]:
    pipe = Pipe()
    play(StreamJsonRenderer(pipe.env, settings(), logprobs=logprobs), HELLO)
    return [strict(line) for line in pipe.stdout.splitlines()]


def test_the_stream_is_a_start_the_texts_and_an_end() -> None:
    start, *texts, end = events(logprobs=False)
    assert start == {
        "event": "start",
        "prompt": "<s>hello",
        "prompt_tokens": 5,
        "seed": 42,
        "model": end["model"],
        "context": 2048,
    }
    assert texts == [
        {"event": "text", "text": "Hello", "token": {"id": 7, "text": "Hello"}},
        {"event": "text", "text": " wörld", "token": {"id": 7, "text": " wörld"}},
    ]
    assert end == {"event": "end", **as_json()}


def test_the_stream_carries_probabilities_when_asked_for() -> None:
    _, first, _, end = events(logprobs=True)
    assert first["token"]["entropy"] == 1.25
    assert first["token"] == end["tokens"][0]


def test_each_event_is_visible_before_the_next_token_is_made() -> None:
    pipe = Pipe()
    seen: list[int] = []

    class Watching(StreamJsonRenderer):
        def piece(self, event):  # type: ignore[no-untyped-def]
            super().piece(event)
            seen.append(pipe.stdout.count(b"\n"))

    play(Watching(pipe.env, settings(), logprobs=False), HELLO)
    assert seen == [2, 3]

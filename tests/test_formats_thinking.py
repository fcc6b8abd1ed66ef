"""How much to think, in other programs' words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmparams_cli.errors import PresetError
from llmparams_cli.formats import Exported, command_line, read, write

REQUEST = {"messages": [{"role": "user", "content": "Hi"}]}


def imported(format: str, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    [preset] = read(json.dumps(REQUEST | fields), "x", format)
    return preset.parameters, [f"{loss.kind} {loss.what}" for loss in preset.losses]


@pytest.mark.parametrize(
    ("word", "here"),
    [
        *((word, word) for word in ("low", "medium", "high", "off", "auto")),
        (True, "on"), (False, "off"), ("none", "off"), ("default", "auto"), ("High", "high"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("format", "key"), [("ollama-request", "think"), ("openai", "reasoning_effort")]
)
def test_switches_and_levels(format: str, key: str, word: object, here: str) -> None:
    parameters, told = imported(format, **{key: word})
    assert parameters["thinking"] == here
    assert not any(key in each for each in told)


@pytest.mark.parametrize(
    ("word", "nearest"), [("minimal", "low"), ("xhigh", "high"), ("max", "high")]
)
def test_a_level_that_is_not_here_becomes_the_nearest(word: str, nearest: str) -> None:
    parameters, told = imported("vllm-request", reasoning_effort=word)
    assert parameters["thinking"] == nearest
    assert f"changed reasoning_effort {word}" in told


def test_what_is_no_level_is_lost_and_what_is_no_word_an_error() -> None:
    parameters, told = imported("openai", reasoning_effort="hardly")
    assert "thinking" not in parameters
    assert "lost reasoning_effort" in told
    assert "thinking" not in imported("openai", reasoning_effort=None)[0]
    with pytest.raises(PresetError, match="reasoning_effort: 3 is neither true, false nor a level"):
        imported("openai", reasoning_effort=3)
    with pytest.raises(PresetError, match=r"chat_template_kwargs: .* is not a mapping"):
        imported("vllm-request", chat_template_kwargs=[1])


@pytest.mark.parametrize(
    ("type_", "effort", "here"),
    [
        ("enabled", None, "on"),
        ("enabled", "low", "low"),
        ("adaptive", "high", "high"),
        ("adaptive", None, "auto"),
        ("disabled", "high", "off"),
    ],
)
def test_off_counts_before_a_level_and_a_level_before_on(
    type_: str, effort: str | None, here: str
) -> None:
    parameters, told = imported(
        "anthropic",
        max_tokens=900,
        thinking={"type": type_, "budget_tokens": 300, "display": "omitted", "x": 1},
        output_config={"effort": effort},
    )
    assert (parameters["thinking"], parameters["max_thinking_tokens"]) == (here, 300)
    assert "lost thinking.x" in told


def test_a_request_for_responses() -> None:
    effort = {"effort": "low", "summary": "auto", "exclude": True, "max_tokens": 64, "other": 1}
    parameters, told = imported("openai", reasoning=effort)
    assert (parameters["thinking"], parameters["max_thinking_tokens"]) == ("low", 64)
    assert [each for each in told if each.startswith("lost")] == ["lost reasoning.other"]


@pytest.mark.parametrize(
    ("lines", "here"),
    [
        ("reasoning = on", "on"),
        ("rea = 0", "off"),
        ("reasoning = enabled\nreasoning-effort = medium", "medium"),
        ("reasoning-effort = default", "auto"),
        ("LLAMA_ARG_REASONING = auto", "auto"),
    ],
)
def test_options_of_llama_cpp(lines: str, here: str) -> None:
    [preset] = read(f"[a]\n{lines}\nLLAMA_ARG_THINK_BUDGET = 7\n", "x.ini", "llama.cpp")
    assert preset.parameters["thinking"] == here
    assert preset.parameters["max_thinking_tokens"] == 7


def test_what_is_written() -> None:
    level = Exported("x", parameters={"thinking": "high", "template_arg": {"a": "b;c"}})
    text, _ = write("llama.cpp", level)
    assert text.splitlines()[1:] == [
        "reasoning-effort = high",
        'chat-template-kwargs = {"a": "b\\u003bc"}',
    ]
    words, _ = command_line(
        Exported("x", parameters={"thinking": "off", "chat_template": "chatml"})
    )
    assert words == "llama-cli --reasoning off --chat-template chatml"
    for value, written in (("off", "none"), ("low", "low"), ("on", None), ("auto", None)):
        text, losses = write("openai", Exported("x", parameters={"thinking": value}))
        assert json.loads(text).get("reasoning_effort") == written
        assert any(loss.what == "thinking" for loss in losses) == (value == "on")
    text, _ = write("llm", Exported("x", parameters={"thinking": "off"}))
    assert "think: false" in text

"""gpt-oss, DeepSeek-R1, Qwen3 and Ministral: their own templates, real vocabularies, and draws that
say what such a model says. From one prompt over a chat of three turns to a replay a day later.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import sdist
from program import Program
from speaker import tokenizer, write_speaker

pytestmark = [pytest.mark.network, pytest.mark.real_model]
ASKED = "What is 2 + 2?"


class Family(NamedTuple):
    """Where a model's parts come from, and what it writes behind a prompt."""

    template: str
    vocabulary: str
    text: str
    control: tuple[str, ...] = ()
    defined: tuple[str, ...] = ()
    memory: str = ""
    later: str = ""


FAMILIES = {
    "gpt-oss": Family(
        "openai-gpt-oss-120b",
        "gpt-2",
        "<|channel|>analysis<|message|>I add<|end|><|start|>assistant",
        ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"),
        memory=" add",
        later="<|channel|>final<|message|>Four<|return|>",
    ),
    "R1": Family(
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
        "qwen2",
        "I add</think>Four<｜end▁of▁sentence｜>",
        ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
        ("<think>", "</think>"),
    ),
    "Qwen3": Family(
        "Qwen-Qwen3-0.6B",
        "qwen2",
        "<think>I add</think>Four<|im_end|>",
        defined=("<think>", "</think>"),
    ),
    "Ministral": Family(
        "mistralai-Ministral-3-14B-Reasoning-2512",
        "llama-bpe",
        "[THINK]I add[/THINK]Four<|end_of_text|>",
        ("[THINK]", "[/THINK]", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    ),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sdist.models(tmp_path_factory)


@pytest.fixture(scope="module", params=FAMILIES)
def speaker(
    request: pytest.FixtureRequest, sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The model of one family."""
    family = FAMILIES[request.param]
    metadata = tokenizer(
        sources / f"ggml-vocab-{family.vocabulary}.gguf",
        control=family.control,
        defined=family.defined,
    )
    template = (sources / "templates" / f"{family.template}.jinja").read_text()
    path = tmp_path_factory.mktemp("speaker") / f"{request.param}.gguf"
    later = [family.later] if family.later else []
    return str(
        write_speaker(path, metadata, template, family.text, memory=family.memory, later=later)
    )


def test_generate_tells_the_thoughts_from_the_answer(speaker: str, program: Program) -> None:
    flags = ("-m", speaker, "-n", "24", "--temperature", "0", "--no-log")
    piped = program.pipe("generate", *flags, ASKED)
    assert (piped.code, piped.text) == (0, "Four\n")
    done = program.call("generate", *flags, "--json", ASKED).json
    assert (done["text"], done["reasoning"]) == ("Four", "I add")
    assert done["stop"]["reason"] == "end-of-generation"
    assert 0 < done["usage"]["reasoning_tokens"] < done["usage"]["completion_tokens"]


def test_a_schema_rules_the_answer_behind_the_thoughts(speaker: str, program: Program) -> None:
    flags = ("-m", speaker, "-n", "60", "--temperature", "0", "--no-log", "--json")
    done = program.call("generate", *flags, "--json-schema", '{"enum": ["yes", "no"]}', ASKED).json
    assert done["reasoning"] == "I add"
    assert json.loads(done["text"]) in ("yes", "no")


def test_a_chat_goes_on_for_three_turns(speaker: str, program: Program) -> None:
    flags = ("-m", speaker, "-n", "24", "--temperature", "0")
    said = f"{ASKED}\nAnd 3 + 1?\nAnd 1 + 3?\n"
    done = program.pipe("chat", *flags, "--session", "sums", stdin=said.encode())
    assert (done.code, done.text) == (0, "Four\nFour\nFour\n"), done.stderr
    exported = program.pipe("chat", *flags, "--session", "sums", stdin=b"/export json\n").json
    answers = [each for each in exported["messages"] if each["role"] == "assistant"]
    assert [(each["content"], each["reasoning"]) for each in answers] == [("Four", "I add")] * 3


def test_a_receipt_is_replayed_a_day_later(speaker: str, program: Program, tmp_path: Path) -> None:
    flags = ("-m", speaker, "-n", "24", "--seed", "3", "--no-log")
    receipt = tmp_path / "r.json"
    assert program.call("generate", *flags, "--receipt", str(receipt), ASKED).code == 0
    document = json.loads(receipt.read_text())
    assert (document["text"], document["reasoning"]) == ("Four", "I add")
    later = replace(program, began=program.began + timedelta(days=1))
    assert later.call("replay", str(receipt)).code == 0

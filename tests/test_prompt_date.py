"""Templates that write the date: the same in all prompts of a run, kept in receipts, replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from models import CHAT_TEMPLATE, write_llama
from program import Program

from llmparams_cli.errors import ExitCode

DATED = "{{ strftime_now('%Y-%m-%d %H:%M:%S') }} " + CHAT_TEMPLATE
DAY = timedelta(days=1)
ASKED = ("generate", "hi", "-m", "dated.gguf", "-n", "5", "--seed", "3", "--json")


@pytest.fixture
def dated(program: Program) -> Program:
    """With a model that thinks every token equally likely: any two are a tie."""
    flat = {"output.weight": np.zeros((300, 64), np.float32)}
    write_llama(program.place / "dated.gguf", chat_template=DATED, tensors=flat)
    return program


def written(program: Program, *arguments: str) -> dict[str, Any]:
    done = program.call(*ASKED, "--receipt", "run.json", *arguments)
    assert done.code == 0, done.stderr
    document: dict[str, Any] = json.loads((program.place / "run.json").read_text())
    return document


def edit(program: Program, change: Callable[[dict[str, Any]], object]) -> None:
    path = program.place / "run.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def without_date(document: dict[str, Any]) -> None:
    """As programs wrote it that kept no date."""
    del document["prompt_date"], document["checksums"]["prompt_date"]
    document["date"] = "2026-11-26T09:00:00Z"


def test_a_run_is_replayed_a_day_later_with_its_date(dated: Program) -> None:
    receipt = written(dated)
    assert receipt["prompt"].startswith("2026-11-26 10:30:00 ")
    assert receipt["prompt_date"] == "2026-11-26T10:30:00"
    dated.began += DAY
    done = dated.call("replay", "run.json")
    assert done.text.startswith("identical: 5 tokens"), done.text
    assert "; the same model file, library and machine" in done.text
    assert dated.call(*ASKED).json["prompt"].startswith("2026-11-27 10:30:00 ")
    assert "2026-11-26T10:30:00 (in the prompt" in dated.call("log", "show", receipt["id"]).text


def test_without_a_date_in_the_receipt_it_is_named_as_the_reason(dated: Program) -> None:
    written(dated)
    edit(dated, without_date)
    dated.began += DAY
    first, second = dated.call("replay", "run.json", "--json").json["differences"]
    assert first["what"].startswith("date ")
    assert first["replayed"] == "2026-11-27T10:30:00"
    assert second["what"].startswith("prompt token ")
    # Both are in local time, here one that is five hours ahead.
    first, *_ = dated.pipe("replay", "run.json", "--json", TZ="XYZ-5").json["differences"]
    assert first["recorded"] == "2026-11-26T14:00:00"


def test_a_date_that_is_the_same_is_no_reason(dated: Program) -> None:
    written(dated)
    edit(dated, lambda document: document["messages"][0].update(content="hello"))
    report = dated.call("replay", "run.json", "--json").json
    assert not any(each["what"].startswith("date") for each in report["differences"])


def test_the_same_date_by_chance_is_no_difference(dated: Program) -> None:
    written(dated)
    edit(dated, without_date)
    assert dated.call("replay", "run.json", "--json").json["differences"] == []


def test_another_prompt_is_never_a_near_tie(dated: Program) -> None:
    written(dated, "--logprobs", "1")

    def another_answer(document: dict[str, Any]) -> None:
        document["answer_ids"][3] = 7
        document["answer_logprobs"][0] -= 0.5

    edit(dated, another_answer)
    tied = dated.call("replay", "run.json", "--json").json
    assert (tied["parting"]["index"], tied["parting"]["near_tie"], tied["drift"]) == (3, True, 0.5)
    edit(dated, without_date)
    dated.began += DAY
    other = dated.call("replay", "run.json", "--json").json
    assert (other["parting"]["index"], other["parting"]["near_tie"]) == (3, False)
    assert other["drift"] is None
    assert not any("tie" in reason or "rounding" in reason for reason in other["reasons"])


def test_a_template_that_asks_for_no_date_leaves_none(program: Program) -> None:
    done = program.call("generate", "hi", "-n", "2", "--receipt", "run.json")
    assert done.code == 0
    receipt = json.loads((program.place / "run.json").read_text())
    assert "prompt_date" not in receipt and "prompt_date" not in receipt["checksums"]
    assert "(in the prompt" not in program.call("log", "show", "last").text


@pytest.mark.parametrize(
    ("value", "reason"),
    [("soon\x1b", '"soon\\u001b" is not a time'), (7, "7 is not text"), (None, "null is not text")],
)
def test_a_date_that_is_none_is_one_line(dated: Program, value: object, reason: str) -> None:
    written(dated)
    edit(dated, lambda document: document.update(prompt_date=value))
    line = dated.call("replay", "run.json").complaint(ExitCode.USAGE)
    assert f"run.json: prompt_date: {reason}" in line


def test_an_edited_date_is_told(dated: Program) -> None:
    written(dated)
    edit(dated, lambda document: document.update(prompt_date="2020-02-03T04:05:06+05:00"))
    report = dated.call("replay", "run.json", "--json").json
    assert report["differences"][0] == {
        "what": "prompt_date",
        "recorded": None,
        "replayed": "2020-02-03T04:05:06",
    }
    edit(dated, lambda document: document.pop("prompt_date"))
    whats = [d["what"] for d in dated.call("replay", "run.json", "--json").json["differences"]]
    assert "prompt_date" in whats


def test_a_chat_keeps_its_date_and_what_was_read_of_it(program: Program) -> None:
    exact = DATED.replace("%S", "%S.%f")
    path = str(write_llama(program.place / "dated.gguf", chat_template=exact))
    done = program.call("chat", "-m", path, "-n", "1", stdin=b"%s\ntwo\n" % (b"one " * 30))
    assert done.code == 0, done.stderr
    [chat] = (program.place / "state" / "chats").glob("*.jsonl")
    entries = map(json.loads, chat.read_text().splitlines())
    said = [entry["usage"] for entry in entries if entry["kind"] == "answer"]
    assert said[1]["cached_tokens"] == said[0]["prompt_tokens"] // 64 * 64 > 0


def test_explain_writes_the_same_date(dated: Program) -> None:
    done = dated.call("explain", "hi", "-m", "dated.gguf", "-n", "1", "--json")
    assert "2026-11-26 10:30:00 " in done.text

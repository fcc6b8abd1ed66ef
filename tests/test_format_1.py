"""Receipts and chats of format 1, whose origins are words for people, go on being read.

The two files in `format_1` were written by the last program that wrote that format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from program import Program

from llmparams_cli.errors import ExitCode
from llmparams_cli.params.settings import Origin, Source
from llmparams_cli.records import origins, reading

HERE = Path(__file__).parent / "format_1"
RECEIPT, CHAT = HERE / "receipt.json", HERE / "chat.jsonl"
PRESET = (
    "presets:\n  terse:\n    extends: precise\n    parameters:\n      top_k: 11\n"
    '      stop: ["\\n\\n"]\n'
)


@pytest.fixture
def old(program: Program) -> Program:
    """A state directory and a project as that program left them."""
    log, chats = (program.place / "state" / name for name in ("log", "chats"))
    log.mkdir(parents=True)
    chats.mkdir()
    (log / f"{json.loads(RECEIPT.read_text())['id']}.json").write_bytes(RECEIPT.read_bytes())
    (chats / "one.jsonl").write_bytes(CHAT.read_bytes())
    (program.place / "llmparams.yaml").write_text(PRESET)
    return program


def chat_lines(program: Program) -> list[dict[str, Any]]:
    text = (program.place / "state" / "chats" / "one.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_receipt_is_replayed(old: Program) -> None:
    report = old.call("replay", "last", "--json").json
    assert report["text"]["replayed"] == "Once upon a time"
    assert report["identical"] is True
    assert not any("edited" in reason for reason in report["reasons"])


def test_a_receipt_is_in_the_log_with_the_origins_that_it_knew(old: Program) -> None:
    [run] = old.call("log", "--json").json
    assert run["presets"] == ["precise", "llmparams"]  # no entry of a file was in format 1
    text = old.call("log", "show", "last").text
    assert "set      temperature 0.2 (preset llmparams:precise.yaml:5)\n" in text
    assert "set      top_k 11 (preset llmparams.yaml:5)\n" in text
    assert "set      logit_bias {'42': False} (flag --logit-bias)\n" in text
    assert "set      threads 1 (environment LLMPARAMS_THREADS)\n" in text
    assert "min_p" not in text


def test_the_words_become_fields() -> None:
    receipt = reading.load(RECEIPT, "receipt.json")
    found = {assignment.name: assignment.origin for assignment in receipt.assignments}
    assert found["temperature"] == Origin(Source.PRESET, "precise", "llmparams:precise.yaml", 5)
    assert found["top_k"] == Origin(Source.PRESET, "llmparams", "llmparams.yaml", 5)
    assert found["seed"] == Origin(Source.FLAG, "--seed")
    assert found["min_p"] == Origin(Source.DEFAULT)
    assert receipt.edited == ()


@pytest.mark.parametrize(
    "words",
    [
        "default",
        "default built in",
        "model general.sampling.temp",
        "config ~/.config/llmparams/config.yaml:12",
        "project ../a b: c/llmparams.yaml:3",
        "preset presets/x.yml:40",
        "environment LLMPARAMS_TOP_K",
        "chat /set",
        "preset nowhere",
    ],
)
def test_words_are_shown_again_as_they_were(words: str) -> None:
    origin = origins.from_json(words)
    assert str(origin) == words
    assert str(origins.from_json(origins.to_object(origin))) == words


def test_a_chat_goes_on_with_lines_of_the_next_format(old: Program) -> None:
    lines = b"/params temperature\n/params top_k\nGood.\n/set temperature 0.3\nMore.\n"
    done = old.call("chat", "--continue", stdin=lines)
    assert done.code == 0, done.stderr
    assert "0.7" in done.text and "chat /set" in done.text
    assert "llmparams.yaml:5" in done.text
    assert "was" not in done.stderr.replace("was cut off", "")  # nothing changed meanwhile
    before = [json.loads(line) for line in CHAT.read_text().splitlines()]
    after = chat_lines(old)
    assert after[: len(before)] == before
    assert before[0]["format"] == 1
    [now] = [line for line in after[len(before) :] if line["kind"] == "settings"]
    assert now["settings"]["temperature"] == {
        "value": 0.3,
        "origin": {"source": "chat", "name": "/set"},
    }
    assert now["settings"]["top_k"]["origin"] == {
        "source": "preset",
        "name": "terse",
        "file": "llmparams.yaml",
        "line": 5,
    }
    assert now["choices"]["system"]["origin"] == {"source": "flag", "name": "--system"}
    assert old.call("chat", "--continue", stdin=b"/params temperature\n").text.count("0.3") == 1
    assert old.call("chat", "list").text.split("\t")[::2] == ["one", "4", "llmparams-tiny\n"]


@pytest.mark.parametrize("origin", ['"moon /set"', "7", '{"source": "flag", "line": "12"}'])
def test_a_damaged_origin_in_a_chat_is_one_line(old: Program, origin: str) -> None:
    path = old.place / "state" / "chats" / "one.jsonl"
    path.write_text(path.read_text().replace('"chat /set"', origin, 1))
    line = old.call("chat", "--continue", stdin=b"").complaint(ExitCode.USAGE)
    assert "one.jsonl:4: " in line
    assert origin.strip("{}").split()[0].strip('"') in line or '"12" is not the number' in line


def test_a_damaged_origin_in_the_log_costs_its_run_only(old: Program) -> None:
    assert old.call("generate", "again", "-n", "2", "--quiet").code == 0
    [path] = (old.place / "state" / "log").glob("20261126T101456810Z*")
    path.write_text(path.read_text().replace('"preset llmparams.yaml:5"', '"moon"'))
    done = old.call("log")
    assert done.text.count("\n") == 1 and "again" in done.text
    assert 'parameters.top_k.origin: "moon" is not one of default, model' in done.stderr
    line = old.call("log", "show", path.stem).complaint(ExitCode.USAGE)
    assert 'parameters.top_k.origin: "moon" is not one of default, model' in line

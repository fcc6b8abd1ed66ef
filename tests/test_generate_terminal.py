"""The program on a pseudo-terminal, as a person sees it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import wild
from program import Program

from llmparams_cli.errors import ExitCode
from llmparams_cli.params.table import PARAMS

BACKENDS = ("llama", "scripted")  # see conftest

STORY = ("generate", "Once upon a time", "--seed", "1", "-n", "24")
STYLE = re.compile(rb"\x1b\[[0-9;]*m")


def test_prompt_answer_and_one_line_of_statistics(program: Program) -> None:
    shown = program.terminal(*STORY, width=120).end()
    answer = program.call(*STORY).text
    assert shown.code == 0
    start = shown.lines.index("Once upon a time")
    assert shown.lines[start + 1] == ""
    assert "".join(shown.lines[start + 2 : -2]).startswith(answer.split("\n")[0][:100].rstrip())
    statistics = shown.lines[-1]
    for part in ("prompt + 24 completion", "tokens/s", "max-tokens (24 tokens)", "seed 1"):
        assert part in statistics
    assert re.search("model (llmparams|script)", statistics)
    assert b"\x1b[2mOnce upon a time" in shown.received  # dim
    assert b"\x1b[1m" not in shown.received


@pytest.mark.script(", there was a fox.")
def test_raw_text_goes_on_where_the_prompt_ends(program: Program) -> None:
    forced = ("--grammar", 'root ::= ", there was a fox."')
    shown = program.terminal("generate", "Once upon a time", "--raw", *forced).end()
    assert "Once upon a time, there was a fox." in shown.lines


def test_every_token_is_coloured_and_explained(program: Program) -> None:
    for by in ("probability", "entropy"):
        shown = program.terminal(*STORY, "--color-by", by).end()
        answer = shown.lines.index("Once upon a time") + 2
        assert len(shown.backgrounds(answer)) > 1
        [legend] = [row for row, line in enumerate(shown.lines) if line.startswith(by)]
        assert len(shown.backgrounds(legend + 1) - {"default"}) == 6
        assert shown.backgrounds(answer) <= shown.backgrounds(legend + 1) | {"default"}


@pytest.mark.parametrize(
    ("flags", "variables"),
    [((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"}), (("--color", "never"), {})],
)
def test_colours_are_off_when_they_are_not_wanted(
    program: Program, flags: tuple[str, ...], variables: dict[str, Any]
) -> None:
    shown = program.terminal(*STORY, *flags, "--color-by", "entropy", **variables).end()
    assert shown.code == 0
    assert b"\x1b[" not in shown.received
    assert "--color-by entropy needs colours" in "".join(shown.lines)


def test_colours_go_into_a_pipe_when_they_must(program: Program) -> None:
    done = program.pipe(*STORY, "--color", "always", "--color-by", "entropy", NO_COLOR="1")
    assert b"\x1b[" in done.stdout
    assert STYLE.sub(b"", done.stdout) == program.call(*STORY).stdout


@pytest.mark.script("café → fox")
def test_a_narrow_terminal_that_knows_only_ascii(program: Program) -> None:
    (program.place / "forced.gbnf").write_text('root ::= "café → fox"', encoding="utf-8")
    forced = ("--grammar", "@forced.gbnf")
    shown = program.terminal(
        *STORY, *forced, width=40, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    ).end("ascii")
    assert shown.code == 0
    assert "caf? ? fox" in shown.lines
    assert "each became ?" in "".join(shown.lines)
    assert any(" | seed 1" in line for line in shown.lines)


@pytest.mark.real_model
def test_what_a_model_says_cannot_take_over_the_terminal(program: Program, tmp_path: Path) -> None:
    path = wild.write(tmp_path / "wild.gguf")
    arguments = (
        "generate", "hi \x1b]0;prompt\x07\r\u202e", "-m", str(path), "--raw", "--ignore-eos",
        "-n", "80", "--seed", "1",
    )  # fmt: skip
    result = program.call(*arguments, "--json", "--logprobs", "0")
    said = wild.said([token["id"] for token in result.json["tokens"]])
    for harm in (b"\x1b[", b"\x1b]", "\x9b".encode(), b"\r", b"\x08", "\u202e".encode()):
        assert harm in said  # or this test shows nothing
    assert re.search(rb"[\x00-\x1f]", result.stdout.rstrip(b"\n")) is None
    assert program.pipe(*arguments, "--no-newline").stdout == said

    for flags in ((), ("--color-by", "probability"), ("--color", "never")):
        shown = program.terminal(*arguments, *flags).end()
        plain = STYLE.sub(b"", shown.received).decode()
        odd = {character for character in plain if not character.isprintable()}
        # Backspaces are the renderer's own, at the end of a coloured line.
        assert odd <= {"\r", "\n", *("\b" if "--color-by" in flags else "")}
        assert "\r" not in plain.replace("\r\n", "")
        assert "<1b>[" in plain and "<202e>" in plain
        assert shown.lines[-1].endswith("model wild<1b>[2J\\n<202e>name")
        assert shown.screen.title == ""


@pytest.mark.script(delay=0.001)
def test_ctrl_c_keeps_what_was_written(program: Program) -> None:
    endless = ("generate", "hi", "-n", "-1", "--ignore-eos", "--context", "30000")
    coloured = ("--temperature", "2", "--color-by", "probability")
    session = program.terminal(*endless, *coloured, width=200)
    session.wait_for("48;5")  # the answer has begun
    session.press_ctrl_c()
    shown = session.end()
    assert shown.code == ExitCode.INTERRUPTED
    assert "interrupted (Ctrl-C)" in shown.lines[-1]
    assert not shown.lines[-1].startswith("10 prompt + 0 completion")
    assert "Traceback" not in "".join(shown.lines)


@pytest.mark.real_model
def test_ctrl_c_ends_the_reading_of_a_long_prompt(program: Program) -> None:
    (program.place / "long.txt").write_text("word " * 10_000)
    for presses in (1, 2):
        session = program.terminal(
            "generate", "--file", "long.txt", "--context", "30000", "--ubatch-size", "1"
        )
        session.wait_for("[long.txt: 50,000 characters]")
        for _ in range(presses):
            session.press_ctrl_c()
        shown = session.end()
        assert shown.code == ExitCode.INTERRUPTED
        assert "Traceback" not in "".join(shown.lines)
        if presses == 1:
            assert "+ 0 completion" in "".join(shown.lines)


def test_without_a_prompt_a_terminal_gets_an_error_instead_of_a_wait(program: Program) -> None:
    shown = program.terminal("generate", width=200).end()
    assert shown.code == ExitCode.USAGE
    assert len(shown.lines) == 1
    assert shown.lines[0].startswith("llmparams: error: there is no prompt")


def test_a_dash_reads_what_is_typed(program: Program) -> None:
    session = program.terminal("generate", "-", "--json", "-n", "1", "-q")
    session.type("typed words\n")
    session.press_ctrl_d()
    shown = session.end()
    document = shown.received[shown.received.index(b"{") :]
    assert "typed words" in json.loads(document)["prompt"]
    assert document.count(b"\n") > 20  # laid out for people


@pytest.mark.parametrize("width", [80, 40])
def test_the_resolution_is_readable_at_any_width(program: Program, width: int) -> None:
    shown = program.terminal(
        "generate", "--show-params", "-p", "creative-chat", "--temp", "0.3", width=width
    ).end()
    assert shown.code == 0
    text = shown.received.decode()
    for name in PARAMS:
        assert re.search(rf"^(\x1b\[\d+m)?  {name}\b", text, re.MULTILINE), name
    table = STYLE.sub(b"", shown.received).decode().partition("\r\n\r\n")[2]
    assert max(map(len, table.split("\r\n"))) <= width

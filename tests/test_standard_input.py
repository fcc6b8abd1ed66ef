"""Standard input beside arguments, slow or silent pipes; texts and files that would get lost."""

from __future__ import annotations

import json
import os
import time

import pytest
from program import Program

from llmparams_cli.errors import ExitCode

RAW = ("generate", "--raw", "--json", "-n", "1")


def test_what_was_added_beside_an_argument_is_told(program: Program) -> None:
    told = program.pipe("generate", "argument", "-n", "1", stdin=b"piped").stderr
    assert "standard input is added to the prompt: 5 characters" in told
    for stdin, argument in ((b"", "argument"), (b"piped", "-")):
        told = program.pipe("generate", argument, "-n", "1", stdin=stdin).stderr
        assert "standard input" not in told


def test_a_loop_over_a_file_keeps_its_lines(program: Program) -> None:
    (program.place / "list").write_text("A fox\nA bear\nAn owl\n")
    loop = 'while read -r line; do llmparams generate "$line" -n 1 --raw --json -q; done < list'
    prompts = [json.loads(line)["prompt"] for line in program.shell(loop).text.splitlines()]
    assert prompts == ["A fox", "A bear", "An owl"]


def test_a_silent_pipe_is_named(program: Program) -> None:
    read, write = os.pipe()
    process = program.start("generate", "hi", "-n", "1", stdin=read)
    assert process.stderr is not None
    assert b"waiting for standard input" in process.stderr.readline()
    os.close(write)
    os.close(read)
    assert program.end(process).code == 0


def test_standard_input_that_is_open_for_writing_only_is_empty(program: Program) -> None:
    # As `nohup` leaves it on a terminal.
    assert program.shell("llmparams generate hi -n 1 -q 0>/dev/null").code == 0
    line = program.shell("llmparams generate 0>/dev/null").complaint(ExitCode.USAGE)
    assert "the prompt is empty" in line


def test_a_pipe_that_does_not_block_is_read_to_its_end(program: Program) -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    process = program.start(*RAW, stdin=read)
    for half in (b"The first half, ", b"the second half."):
        time.sleep(0.5)
        os.write(write, half)
    os.close(write)
    os.close(read)
    assert program.end(process).json["prompt"] == "The first half, the second half."


def test_a_target_takes_standard_input_for_itself(program: Program) -> None:
    done = program.pipe("explain", "hi", "--target", "-", "--json", stdin=b"text")
    assert "".join(token["text"] for token in done.json["tokens"]) == "text"
    for prompt in ([], ["-"]):
        line = program.pipe("explain", *prompt, "--target", "-", stdin=b"text").complaint(2)
        assert "cannot be both the prompt and the --target" in line


@pytest.mark.parametrize("option", ["--model", "--system", "--grammar", "--json-schema"])
def test_a_text_given_twice_is_refused(program: Program, option: str) -> None:
    line = program.call("generate", "hi", option, "a", option, "b").complaint(ExitCode.USAGE)
    assert line.startswith(f"{option} is given 2 times")


@pytest.mark.parametrize("option", ["--system", "--grammar", "--json-schema"])
def test_an_empty_file_is_refused(program: Program, option: str) -> None:
    (program.place / "empty").write_text("\n")
    line = program.call("generate", "hi", option, "@empty").complaint(ExitCode.USAGE)
    assert f"{option}: " in line and "is empty" in line


def test_none_takes_back_a_grammar_and_a_schema(program: Program) -> None:
    (program.place / "llmparams.yaml").write_text("parameters: {json_schema: {type: integer}}\n")
    answer = program.call("generate", "hi", "-n", "4", "-q", "--json-schema", "none").text
    assert not answer.strip().lstrip("-").isdecimal()
    for option in ("--grammar", "--json-schema"):
        assert "is empty" in program.call("generate", "hi", f"{option}=").complaint(2)


def test_completion_goes_on_after_a_text_given_twice(program: Program) -> None:
    line = "llmparams generate -m a -m b --overflow "
    done = program.pipe(COMP_WORDS=line, COMP_CWORD="7", _LLMPARAMS_COMPLETE="complete_bash")
    assert "truncate-start" in done.text


def test_a_preset_that_needs_no_input_leaves_standard_input_to_the_target(program: Program) -> None:
    (program.place / "p.yaml").write_text("prompt: Tell me a story\n")
    arguments = ("explain", "-p", "p.yaml", "--target", "-", "--json")
    done = program.pipe(*arguments, stdin=b"text")
    assert "".join(token["text"] for token in done.json["tokens"]) == "text"

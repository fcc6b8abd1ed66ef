"""`generate` as a part of pipelines: clean stdout, exit codes, closed pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from program import Program

BACKENDS = ("llama", "scripted")  # see conftest

ENDLESS = ("--ignore-eos", "-n", "-1", "--context", "12000")
# One token at a time: reading this prompt would take longer than any test may.
SLOW = ("--ubatch-size", "1", "--context", "30000", "--file", "long.txt")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and shells of POSIX")


def write_long_prompt(program: Program) -> None:
    (program.place / "long.txt").write_text("word " * 10_000)


def test_a_pipe_gets_the_answer_as_a_line_and_stderr_no_noise(program: Program) -> None:
    arguments = ("generate", "Once upon a time", "--seed", "1", "-n", "24")
    done = program.pipe(*arguments)
    result = program.call(*arguments, "--json")
    assert done.code == 0
    assert done.stdout == result.json["text"].encode() + b"\n" != b"\n"
    assert all(line.startswith("llmparams: ") for line in done.stderr.splitlines())


@pytest.mark.script("One.\n")
def test_answers_of_a_loop_are_lines_of_a_file(program: Program) -> None:
    ends = ("--grammar", 'root ::= "One.\\n"')
    for flags, expected in (((), b"One.\n"), (("--no-newline",), b"One.\n")):
        assert program.call("generate", "hi", "-q", *ends, *flags).stdout == expected
    cut = ("generate", "hi", "-q", *ends, "--stop", ".")
    assert program.call(*cut).stdout == b"One\n"
    assert program.call(*cut, "--no-newline").stdout == b"One"
    assert program.call("generate", "hi", "-q", *ends, "--stop", "One").stdout == b"\n"
    said = program.call(*cut, "--no-newline", "--json")
    assert said.json["text"] == "One" and said.stdout.endswith(b"}\n")


@pytest.mark.real_model
def test_quiet_leaves_stderr_empty_and_verbose_shows_the_library_at_work(program: Program) -> None:
    quiet = program.call("generate", "hi", "-n", "3", "--quiet")
    assert (quiet.code, quiet.stderr) == (0, "")
    verbose = program.pipe("generate", "hi", "-n", "3", "--verbose", "--seed", "7")
    assert "llama_model_loader" in verbose.stderr
    assert "seed 7" in verbose.stderr
    assert "llama" not in verbose.text.replace("llmparams", "")


def test_the_same_seed_gives_the_same_text_again_and_another_seed_another(
    program: Program,
) -> None:
    def text(seed: str) -> str:
        return program.call(
            "generate", "Tell me a story", "-s", seed, "-n", "30", "--temp", "2", "--min-p", "0"
        ).text

    first = text("5")
    assert text("5") == first
    assert text("6") != first
    again = ("generate", "Tell me a story", "-s", "5", "-n", "30", "--temp", "2", "--min-p", "0")
    assert program.pipe(*again).text == first


@pytest.mark.real_model
def test_a_drawn_seed_is_reported_and_repeats_the_run(program: Program) -> None:
    wild = ("generate", "hi", "-n", "30", "--temp", "2", "--min-p", "0", "--ignore-eos", "--json")
    first, second = program.call(*wild).json, program.call(*wild, "--seed", "-1").json
    assert first["seed"] != second["seed"]
    assert first["text"] != second["text"]
    assert program.call(*wild, "--seed", str(first["seed"])).json["text"] == first["text"]


def test_a_closed_pipe_is_success_in_every_format(program: Program) -> None:
    done = program.shell(
        """
        llmparams generate hi --ignore-eos -q -n 200 | head -c1 | wc -c; echo ${PIPESTATUS[0]}
        llmparams generate hi -n 200 -q --stream-json | head -n1 | wc -l; echo ${PIPESTATUS[0]}
        llmparams generate hi -n 3 -q --json | true; echo ${PIPESTATUS[0]}
        llmparams --help | true; echo ${PIPESTATUS[0]}
        """
    )
    assert done.text.split() == ["1", "0", "1", "0", "0", "0"]
    assert done.stderr == ""


def test_exit_codes_hold_when_nobody_reads_stderr(program: Program) -> None:
    done = program.shell(
        """
        llmparams generate hi --temperature hot 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}
        llmparams generate hi -n 3 >/dev/null 2>&-; echo $?
        llmparams generate hi -n 3 -q >&-; echo $?
        """
    )
    assert done.text.split() == ["2", "0", "0"]
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(program: Program) -> None:
    done = program.shell("llmparams generate hi -q >/dev/full")
    assert "No space left on device" in done.complaint(11)


def test_json_flows_through_the_tools_of_a_shell(program: Program) -> None:
    done = program.shell(
        f"echo 'Tell me a story' | llmparams generate --json -n 5 | '{sys.executable}' -m json.tool"
    )
    assert done.code == 0
    assert done.json["prompt"].count("Tell me a story") == 1


@pytest.mark.script("déjà → 🦊")
def test_what_the_encoding_of_stdout_lacks_becomes_a_question_mark(program: Program) -> None:
    def say(encoding: str) -> tuple[bytes, str]:
        grammar = 'root ::= "déjà → 🦊"'
        done = program.pipe("generate", "hi", "--grammar", grammar, PYTHONIOENCODING=encoding)
        assert done.code == 0
        return done.stdout, done.stderr

    assert say("utf-8")[0] == "déjà → 🦊\n".encode()
    for encoding, expected in (("latin-1", b"d\xe9j\xe0 ? ?\n"), ("ascii", b"d?j? ? ?\n")):
        stdout, stderr = say(encoding)
        assert stdout == expected
        assert "each became ?" in stderr


@pytest.mark.script(delay=0.001)
def test_ctrl_c_keeps_what_was_written(program: Program) -> None:
    process = program.start("generate", "Once upon a time", *ENDLESS)
    assert process.stdout is not None
    first = process.stdout.read(20)
    process.send_signal(signal.SIGINT)
    done = program.end(process)
    assert done.code == 130
    assert (first + done.stdout).decode()
    assert done.stderr.splitlines()[-1].startswith(
        "llmparams: the answer was cut off: interrupted (Ctrl-C)"
    )


@pytest.mark.real_model
def test_ctrl_c_ends_the_reading_of_a_long_prompt(program: Program) -> None:
    write_long_prompt(program)
    process = program.start("generate", *SLOW, "--stream-json")
    assert process.stdout is not None
    start = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    done = program.end(process)
    [end] = done.events
    assert done.code == 130
    assert start["prompt_tokens"] > 10_000
    assert end["stop"] == {"reason": "interrupted", "detail": "Ctrl-C"}
    assert (end["text"], end["usage"]["completion_tokens"]) == ("", 0)


@pytest.mark.real_model
def test_a_second_ctrl_c_ends_the_program_without_a_traceback(program: Program) -> None:
    write_long_prompt(program)
    process = program.start("generate", *SLOW, "--stream-json", "-q")
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    done = program.end(process)
    assert (done.code, done.stderr) == (130, "")

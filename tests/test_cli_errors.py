"""Whatever is wrong on the command line ends in one line that names it, and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from models import write_llama
from program import Program

from llmparams_cli import APP, __version__
from llmparams_cli.cli import COMMANDS
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs import pull as pull_job
from llmparams_cli.models.catalogue import Fit

USAGE, PRESET, MODEL = ExitCode.USAGE, ExitCode.PRESET, ExitCode.MODEL

# arguments after `generate hi`: the exit code, and words that the line must contain
WRONG: dict[str, tuple[Any, ...]] = {
    "--temprature 1": (USAGE, "--temprature", "--temperature"),
    "--temperature hot": (USAGE, "--temperature", "'hot'", "not a number", "params temperature"),
    "--temperature -1": (USAGE, "--temperature", "-1", "0 to 10"),
    "--temperature nan": (USAGE, "--temperature", "nan"),
    "--temperature": (USAGE, "--temperature", "requires an argument"),
    "--top-k 1.5": (USAGE, "--top-k", "1.5", "whole number"),
    "--seed -2": (USAGE, "--seed", "-2"),
    "--max-tokens 0": (USAGE, "--max-tokens", "0", "or from 1"),
    "--gpu-layers many": (USAGE, "--gpu-layers", "'many'", "auto"),
    "--cache-type-k q8": (USAGE, "--cache-type-k", "'q8'", "q8_0"),
    "--sampler-order top_k,topp": (USAGE, "--sampler-order", "'topp'", "top_p"),
    "--logit-bias hello": (USAGE, "--logit-bias", "'hello'", "TOKEN=BIAS"),
    "--logit-bias 1=200": (USAGE, "--logit-bias", "200", "100"),
    "--logit-bias 99999999=1": (USAGE, "99999999", "vocabulary ends at"),
    "--logprobs 101": (USAGE, "--logprobs", "101", "0 to 100"),
    "--logprobs many": (USAGE, "--logprobs", "'many'"),
    "--overflow cut": (USAGE, "--overflow", "'cut'", "truncate-start"),
    "--color blue": (USAGE, "--color", "'blue'", "always"),
    "--color-by mood": (USAGE, "--color-by", "'mood'", "entropy"),
    "--fail-on max-token": (USAGE, "--fail-on", "'max-token'", "did you mean max-tokens?"),
    "--json --stream-json": (USAGE, "--json", "--stream-json"),
    "again": (USAGE, "again"),
    "--file missing.txt": (USAGE, "--file missing.txt", "No such file"),
    "--file .": (USAGE, "--file .", "directory"),
    "--system @missing.txt": (USAGE, "--system", "missing.txt"),
    "--grammar @missing.gbnf": (USAGE, "--grammar", "missing.gbnf"),
    "--grammar root": (USAGE, "--grammar", "line 1, column 5", "::= behind the name 'root'"),
    "--grammar start::=[a-z]": (USAGE, "--grammar", "'root'"),
    "--grammar root::=root": (USAGE, "--grammar", "line 1", "'root'", "left recursion"),
    "--json-schema {": (USAGE, "--json-schema", "not JSON", "line 1"),
    "--json-schema @missing.json": (USAGE, "--json-schema", "missing.json"),
    '--json-schema {"type":"poem"}': (USAGE, "--json-schema", "poem"),
    "--grammar root::=[a] --json-schema {}": (USAGE, "grammar", "json_schema", "excludes"),
    "--flash-attention off --cache-type-v q8_0": (USAGE, "flash_attention", "cache_type_v"),
    "--lora missing.gguf": (MODEL, "missing.gguf"),
    "--preset legal-sumary": (PRESET, "'legal-sumary'", "did you mean legal-summary?"),
    "--preset ./missing.yaml": (PRESET, "missing.yaml"),
    "--context 9": (ExitCode.CONTEXT, "--context"),
    "--context 1000000000000": (USAGE, "--context", "1000000000000"),
}


@pytest.mark.parametrize("words", WRONG)
def test_one_line_names_the_value_and_the_cure(program: Program, words: str) -> None:
    code, *expected = WRONG[words]
    line = program.call("generate", "-n", "1", "hi there", *words.split()).complaint(code)
    for part in expected:
        assert part in line
    assert "Value error" not in line and "internal" not in line


def test_a_process_returns_these_codes_and_prints_these_lines(program: Program) -> None:
    done = program.pipe("generate", "hi", "--grammar", "root ::= oops")
    assert "there is no rule 'oops'" in done.complaint(USAGE)
    assert "--nosuch" in program.pipe("generate", "hi", "--nosuch").complaint(USAGE)


def test_an_unknown_command_names_itself(program: Program) -> None:
    assert "'generat'" in program.call("generat", "hi").complaint(USAGE)


def test_no_command_at_all_shows_the_help(program: Program) -> None:
    done = program.pipe()
    assert (done.code, done.stderr) == (0, "")
    assert all(name in done.text for name in COMMANDS)


def test_every_exit_code_is_in_the_help(program: Program) -> None:
    text = " ".join(program.pipe("--help").text.split())
    for code in ExitCode:
        assert f"{code.value} " in text.partition("Exit codes:")[2], code


def test_a_variable_is_checked_like_a_flag(program: Program) -> None:
    done = program.call("generate", "hi", LLMPARAMS_TOP_P="2")
    assert "LLMPARAMS_TOP_P: 2 is out of range: from 0 to 1" in done.complaint(USAGE)


def test_a_variable_that_means_nothing_is_told(program: Program) -> None:
    done = program.call("generate", "hi", "-n", "1", LLMPARAMS_TEMPRATURE="1")
    assert done.code == 0
    assert "LLMPARAMS_TEMPRATURE has no effect; did you mean LLMPARAMS_TEMPERATURE?" in done.stderr


def test_a_bad_preset_file_is_named_with_its_line(program: Program) -> None:
    (program.place / "bad.yaml").write_text("parameters:\n  temperature: 0.5\n  topp: 0.5\n")
    line = program.call("generate", "hi", "-p", "./bad.yaml").complaint(PRESET)
    assert "bad.yaml:3" in line and "top_p" in line


@pytest.mark.parametrize("flag", ["--grammar", "--stop", "--system", "--model", "--preset", "-f"])
def test_text_that_is_not_utf_8_is_refused(program: Program, flag: str) -> None:
    line = program.call("generate", "hi", flag, "\udcff").complaint(USAGE)
    assert "not UTF-8" in line


def test_a_variable_that_is_not_utf_8_is_refused(program: Program) -> None:
    line = program.call("generate", "hi", LLMPARAMS_STOP="\udcff").complaint(USAGE)
    assert "LLMPARAMS_STOP" in line and "not UTF-8" in line


def test_what_is_wrong_cannot_move_the_cursor(program: Program) -> None:
    done = program.pipe("generate", "hi", "-m", "a\x1b[2J\nb\u202e.gguf")
    line = done.complaint(MODEL)
    assert "a<1b>[2J\\nb<202e>.gguf" in line


def test_errors_come_before_the_model_is_looked_at(program: Program) -> None:
    line = program.call("generate", "hi", "-m", "missing.gguf", "--top-k", "x").complaint(USAGE)
    assert "--top-k" in line


def test_the_version_is_printed_without_a_command(program: Program) -> None:
    done = program.call("--version")
    assert (done.code, done.stdout) == (0, f"{APP} {__version__}\n".encode())


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("presets",), ("presets", "--help"), ("generate", "-h")]
)
def test_help_goes_where_answers_go(program: Program, arguments: tuple[str, ...]) -> None:
    done = program.call(*arguments)
    assert (done.code, done.stderr) == (0, "")
    assert done.text.startswith(" Usage: llmparams") or done.text.startswith("Usage: llmparams")
    assert done.stdout == program.pipe(*arguments, PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize("arguments", ["--version", "--help", "presets"])
def test_a_closed_pipe_is_no_error_of_the_version_or_the_help(
    program: Program, arguments: str
) -> None:
    done = program.shell(f"set -o pipefail; llmparams {arguments} | sleep 0; echo $?")
    assert (done.text, done.stderr) == ("0\n", "")
    done = program.shell(f"llmparams {arguments} > /dev/full")
    assert done.code == ExitCode.OUTPUT and "cannot be written" in done.stderr
    assert program.shell(f"llmparams {arguments} >&-").stderr == ""


def test_the_log_of_llama_cpp_cannot_drive_the_terminal(program: Program, tmp_path: Path) -> None:
    name = "a\x1b[31mred\x1b]0;title\x07"
    path = write_llama(tmp_path / "model.gguf", metadata={"general.name": name})
    stderr = program.call("generate", "hi", "-m", str(path), "-n", "1", "--verbose").stderr
    assert "general.name" in stderr
    assert "\x1b" not in stderr and "\x07" not in stderr


def test_a_grammar_too_deep_for_llama_cpp_is_one_line(program: Program) -> None:
    grammar = f'root ::= {"(" * 20_000}"a"{")" * 20_000}'
    (program.place / "deep.gbnf").write_text(grammar)
    done = program.pipe("generate", "hi", "--grammar", "@deep.gbnf")
    assert "brackets" in done.complaint(ExitCode.USAGE)
    # Brackets in texts, classes and remarks do not count.
    flat = 'root ::= "' + "(" * 2000 + '" [(]{2000} # ' + "(" * 2000
    assert program.call("generate", "hi", "-n", "2", "--grammar", flat).code == 0


def test_ctrl_c_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(env: Environment) -> list[Fit]:
        raise KeyboardInterrupt

    monkeypatch.setattr(pull_job, "fits", pressed)
    done = program.call("models", "pull")
    assert (done.code, done.stderr) == (ExitCode.INTERRUPTED, "llmparams: interrupted\n")


@pytest.mark.parametrize(
    ("typed", "cure"),
    [
        ("run smollm2", "here that is llmparams generate PROMPT -m NAME, or chat -m NAME"),
        ("pull smollm2", "here that is llmparams models pull NAME"),
        ("ls", "here that is llmparams models list"),
        ("models rm smollm2", "here that is llmparams models remove NAME"),
        ("models show smollm2", "here that is llmparams inspect NAME"),
        ("models pull --dryrun", "see llmparams models pull --help"),
        ("presets import --dryrun", "see llmparams presets import --help"),
        ("chat --dryrun presets", "see llmparams chat --help"),
        ("nonsense", "see llmparams --help"),
        ("generate smollm2 hi", 'llmparams generate "Once upon a time" -m NAME'),
    ],
)
def test_other_programs_words_lead_to_ours(program: Program, typed: str, cure: str) -> None:
    line = program.call(*typed.split()).complaint(USAGE)
    assert f"{cure})" in line and ". (" not in line

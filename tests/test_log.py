"""`log`: the last runs in a list, one in full, and none."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from program import Program

from llmparams_cli.errors import ExitCode

BACKENDS = ("llama", "scripted")  # see conftest

USAGE = ExitCode.USAGE
GENERATE = ("generate", "-n", "3", "--seed", "3", "--quiet")


@pytest.fixture
def filled(program: Program) -> Program:
    """A log of three runs."""
    program.call(*GENERATE, "Tell me of a Fox")
    program.call(*GENERATE, "two\nlines\tand a tab", "--preset", "creative-chat")
    program.call(*GENERATE, "the last \x1b[31mone")
    return program


def directory(program: Program) -> Path:
    return program.place / "state" / "log"


def test_the_newest_run_is_the_first_line(filled: Program) -> None:
    done = filled.call("log")
    assert done.code == 0 and done.stderr == ""
    lines = [line.split("\t") for line in done.text.splitlines()]
    assert [len(line) for line in lines] == [7, 7, 7]
    assert [line[5] for line in lines] == [
        "the last <1b>[31mone",
        "two\\nlines\\tand a tab",
        "Tell me of a Fox",
    ]
    assert [line[3] for line in lines] == ["-", "creative-chat", "-"]
    assert {line[4] for line in lines} == {"max-tokens"}


def test_a_preset_inside_llmparams_yaml_goes_by_its_own_name(program: Program) -> None:
    (program.place / "llmparams.yaml").write_text(
        "parameters: {top_p: 0.9}\n"
        "presets:\n"
        "  quiet.one:\n"
        "    extends: [precise, ./mine/loud.yaml]\n"
        "    parameters:\n"
        "      min_p: 0.07\n"
    )
    (program.place / "mine").mkdir()
    (program.place / "mine" / "loud.yaml").write_text("parameters:\n  top_k: 19\n")
    assert program.call(*GENERATE, "Hello", "--preset", "quiet.one").code == 0
    [run] = program.call("log", "--json").json
    assert run["presets"] == ["precise", "loud", "quiet.one"]
    assert program.call("log").text.split("\t")[3] == "precise,loud,quiet.one"
    text = program.call("log", "show", "last").text
    assert "set      min_p 0.07 (preset llmparams.yaml:6)\n" in text
    assert "set      top_k 19 (preset mine/loud.yaml:2)\n" in text
    origins = program.call("log", "show", "--json").json["parameters"]
    assert origins["min_p"]["origin"] == {
        "source": "preset",
        "name": "quiet.one",
        "file": "llmparams.yaml",
        "line": 6,
    }
    overrode = [below["origin"] for below in origins["top_p"]["overrode"]]
    assert {"source": "project", "file": "llmparams.yaml", "line": 1} in overrode


def test_json_has_the_whole_texts(filled: Program) -> None:
    runs = filled.call("log", "--json", "-n", "2").json
    assert len(runs) == 2
    assert runs[1]["prompt"] == "two\nlines\tand a tab"
    assert runs[1]["presets"] == ["creative-chat"]
    assert list(runs[0]) == ["id", "date", "model", "presets", "prompt", "answer", "stop"]
    date = datetime.fromisoformat(runs[0]["date"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - date).total_seconds()) < 600


def test_a_search_finds_prompts_and_answers_whatever_the_case(filled: Program) -> None:
    assert filled.call("log", "fox").text.count("\n") == 1
    assert filled.call("log", "--search", "LINES").text.count("\n") == 1
    answer = filled.call("log", "--json", "-n", "1").json[0]["answer"]
    assert answer in [run["answer"] for run in filled.call("log", answer, "--json").json]
    none = filled.call("log", "xyzzy")
    assert (none.code, none.text) == (0, "")
    assert "no run in the log has 'xyzzy'" in none.stderr


def test_one_run_in_full_by_its_id_or_its_beginning_or_last(filled: Program) -> None:
    first = filled.call("log", "--json").json[-1]
    for name in (first["id"], first["id"][-6:], first["id"][-6:-2]):
        text = filled.call("log", "show", name).text
        assert "user:\nTell me of a Fox\n" in text
        assert f"answer:\n{first['answer']}\n" in text
        assert "set      max_tokens 3 (flag --max-tokens)" in text
    assert "the last <1b>[31mone" in filled.call("log", "show", "last").text
    assert filled.call("log", "show").text == filled.call("log", "show", "last").text


def test_json_of_one_run_is_its_receipt(filled: Program) -> None:
    run = filled.call("log", "--json").json[0]
    receipt = json.loads((directory(filled) / f"{run['id']}.json").read_text())
    assert filled.call("log", "show", "last", "--json").json == receipt


def test_an_id_that_names_no_run_or_several_is_refused(filled: Program) -> None:
    assert "begins the ids of 3 runs" in filled.call("log", "show", "20").complaint(USAGE)
    assert "no run 'zebra'" in filled.call("log", "show", "zebra").complaint(USAGE)
    assert "no run ''" in filled.call("log", "show", "").complaint(USAGE)
    assert "no run '../'" in filled.call("log", "show", "../").complaint(USAGE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fox", "hen"), "quotes"),
        (("clear", "all"), "quotes"),
        (("fox", "--search", "hen"), "one text at a time"),
        (("-n", "0"), "-n: 0 is out of range"),
        (("-n", "many"), "-n: 'many' is not a whole number"),
    ],
)
def test_wrong_words_are_one_line(program: Program, arguments: list[str], words: str) -> None:
    assert words in program.call("log", *arguments).complaint(USAGE)


def test_an_empty_log_is_no_failure(program: Program) -> None:
    done = program.call("log")
    assert (done.code, done.text) == (0, "") and "the log is empty" in done.stderr
    assert program.call("log", "--json").json == []
    assert "the log is empty" in program.call("log", "show").complaint(USAGE)
    assert program.call("log", "clear", "--yes").code == 0


def test_a_damaged_file_costs_its_own_line_only(filled: Program) -> None:
    name = "20991231T000000000Z-ffffff.json"
    (directory(filled) / name).write_text('{"receipt_format": 1}')
    (directory(filled) / "notes.json").write_text("not ours")
    done = filled.call("log")
    assert done.text.count("\n") == 3
    assert name in done.stderr and "notes.json" not in done.stderr


def test_clearing_asks_on_a_terminal_and_needs_yes_elsewhere(filled: Program) -> None:
    assert "--yes" in filled.call("log", "clear").complaint(USAGE)
    session = filled.terminal("log", "clear")
    session.wait_for("the receipts of 3 runs")
    session.type("n\n")
    assert session.end().code == 0
    assert len(filled.call("log", "--json").json) == 3
    session = filled.terminal("log", "clear")
    session.wait_for("[y/N]")
    session.type("y\n")
    assert "removed the receipts of 3 runs" in "".join(session.end().lines)
    assert filled.call("log", "--json").json == []


def test_clearing_leaves_files_of_others_and_no_half_written_ones(filled: Program) -> None:
    mine = directory(filled) / "notes.txt"
    mine.write_text("not ours")
    (directory(filled) / ".20261124T000000000Z-000000.json.x1").write_text("{")
    done = filled.call("log", "clear", "--yes")
    assert done.code == 0 and done.text == ""
    assert [path.name for path in directory(filled).iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("width", [30, 80, 160])
def test_a_terminal_gets_a_table_with_a_line_for_each_run(filled: Program, width: int) -> None:
    filled.call(*GENERATE, "狐狸" * 60)
    shown = filled.terminal("log", width=width).end()
    assert shown.code == 0
    if width >= 80:
        lines = shown.lines
        assert len(lines) == 5 and lines[0].split()[:2] == ["id", "when"]
        assert all(line[6:8] == "  " for line in lines[1:])
        assert "…" in lines[1]
        assert lines[1].count("狐") >= 5
    assert b"\x1b[31m" not in shown.received


def test_text_to_search_for_may_be_a_word_of_the_commands(filled: Program) -> None:
    filled.call(*GENERATE, "please show me")
    [run] = filled.call("log", "--search", "show", "--json").json
    assert run["prompt"] == "please show me"

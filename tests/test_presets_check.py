"""`presets check`, `list` and `diff` on what lies about: remarks, parents, pipes, odd names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from presets_world import world, write
from program import Program

from llmparams_cli.errors import PresetError
from llmparams_cli.params.settings import Source
from llmparams_cli.presets.document import examine
from llmparams_cli.presets.find import available, find
from llmparams_cli.presets.parents import MOST_IN_A_ROW

SAFE_NAME = "odd<1b>[7m"
ODD_NAME = "odd\x1b[7m"


def checked(program: Program, files: dict[str, str], *arguments: str) -> list[str]:
    """The problems of a project's files."""
    write(program.place, files)
    done = program.call("presets", "check", *arguments)
    lines = done.text.splitlines()
    assert done.code == (3 if any(": remark: " not in line for line in lines) else 0), done.text
    return lines


def test_a_value_without_effect_is_a_remark_at_its_line(program: Program) -> None:
    [line] = checked(
        program, {"presets/calm.yaml": "parameters:\n  temperature: 0\n  min_p: 0.2\n"}
    )
    assert line.startswith("presets/calm.yaml:3:1: remark: min_p 0.2")
    [item] = program.call("presets", "check", "--json").json
    assert (item["line"], item["remark"]) == (3, True)


def test_a_form_that_no_answer_can_have_is_a_problem_at_its_line(program: Program) -> None:
    files = {
        "a.yaml": "parameters:\n  json_schema: {type: strin}\n",
        "b.yaml": "parameters:\n  max_tokens: 9\n  regex: '['\n",
        "c.yaml": "parameters: {grammar: 'root ::= a'}\n",
        "d.yaml": "parameters: {choices: [a, b]}\n",
    }
    told = "\n".join(checked(program, files, *(f"./{name}" for name in files)))
    assert 'a.yaml:2:1: this JSON Schema cannot be followed: $: type: "strin" is no type' in told
    assert "b.yaml:3:1: not a regular expression: '[' at character 1" in told
    assert "c.yaml:1:1: line 1, column 10, rule 'root'" in told
    assert "d.yaml" not in told


def test_an_heir_may_switch_off_what_its_parent_sets(program: Program) -> None:
    files = {
        "presets/base.yaml": "parameters: {top_p: 0.7, mirostat: 0}",
        "presets/heir.yaml": "extends: base\nparameters: {temperature: 0}",
    }
    assert checked(program, files) == []


def test_an_heir_in_the_same_file_is_no_remark_either(program: Program) -> None:
    text = "presets:\n  base: {parameters: {top_p: 0.7}}\n"
    text += "  heir:\n    extends: base\n    parameters: {temperature: 0}\n"
    assert checked(program, {"llmparams.yaml": text}) == []


def test_a_pair_of_a_problem_and_a_remark_is_told_apart(program: Program) -> None:
    lines = checked(
        program,
        {"presets/a.yaml": "parameters:\n  top_k: -4\n  dry_base: 2\n"},
    )
    assert [": remark: " in line for line in lines] == [False, True]


def test_presets_inside_a_project_file_are_checked_with_their_parents(program: Program) -> None:
    text = """\
presets:
  egg: {extends: hen, parameters: {top_k: 3}}
  hen: {extends: egg}
  stray: {extends: nobody}
  idle:
    parameters:
      xtc_threshold: 0.3
  vain:
    tests: [{expect: {characters: {max: -2}}}]
"""
    lines = checked(program, {"llmparams.yaml": text})
    assert len(lines) == 5
    assert "llmparams.yaml:2:1: extends goes in a circle: " in lines[0]
    assert "(hen) → llmparams.yaml (egg) → llmparams.yaml (hen)" in lines[0]
    assert "llmparams.yaml:3:1: extends goes in a circle: " in lines[1]
    assert "llmparams.yaml:4:1: extends: unknown preset 'nobody'" in lines[2]
    assert "llmparams.yaml:7:1: remark: xtc_threshold 0.3" in lines[3]
    assert lines[4].startswith("llmparams.yaml:9:")
    assert "at most -2 can never hold: it is at least 0" in lines[4]


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("tokens: {min: 9, max: 4}", "9 to 4 can never hold"),
        ("entropy: {max: -0.5}", "it is at least 0"),
        ("probability: {min: 1.2}", "it is 0 to 1"),
        ("first: {text: x, max: -1}", "it is 0 to 1"),
        ("distinct: {max: 0}", "it is at least 1"),
        ("distinct: {min: 4}", "at least 4 can never hold: 3 seed(s)"),
        ("tokens: {max: .nan}", "min and max are numbers"),
        ("{contains: [seashell], lacks: [shell]}", "'shell' is part of what it must contain"),
        (f"matches: '{'(' * 3000}x'", "nested too deeply"),
        (f"matches: '{'(' * 3000}x{')' * 3000}'", "nested too deeply"),
    ],
)
def test_a_test_that_cannot_hold_is_refused(expect: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    expect = expect if expect.startswith("{") else f"{{{expect}}}"
    path.write_text(f"tests: [{{seeds: 3, expect: {expect}}}]")
    _, problems = examine(path, Source.PRESET, tmp_path)
    assert [says in problem.reason for problem in problems] == [True]


@pytest.mark.parametrize(
    "expect",
    [
        "tokens: {max: 0}",
        "probability: {min: 1}",
        "distinct: {min: 3, max: 3}",
        "entropy: {min: 0}",
    ],
)
def test_a_test_at_a_bound_can_hold(expect: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"tests: [{{seeds: 3, expect: {{{expect}}}}}]")
    assert examine(path, Source.PRESET, tmp_path)[1] == []


def test_brackets_by_the_hundred_are_refused_with_their_line(program: Program) -> None:
    deep = "{{ " + "(" * 700 + "input" + ")" * 700 + " }}"
    write(program.place, {"deep.yaml": f"system: x\nprompt: '{deep}'"})
    says = "deep.yaml:2: prompt: nested too deeply"
    assert says in program.call("generate", "hi", "-p", "deep.yaml").complaint(3)
    for command in (("export", "deep.yaml", "--format", "llm"), ("show", "deep.yaml")):
        assert says in program.call("presets", *command).complaint(3)
    assert program.call("presets", "check", "deep.yaml").text.startswith("deep.yaml:2:1: prompt: n")
    new = program.call("presets", "new", "x", "--prompt", deep)
    assert "--prompt: nested too deeply" in new.complaint(2)


def test_parents_by_the_hundred_end_in_a_result_or_a_line(program: Program) -> None:
    count = 300
    files = {
        f"presets/q{n}.yaml": f"extends: q{n + 1}\nparameters: {{top_k: 3}}" for n in range(count)
    }
    write(program.place, {**files, f"presets/q{count}.yaml": "parameters: {top_p: 0.5}"})
    complaint = program.call("presets", "show", "q0").complaint(3)
    assert f"more than {MOST_IN_A_ROW} presets in a row" in complaint
    last = f"q{count - MOST_IN_A_ROW + 1}"
    assert (
        program.call("presets", "show", last, "--json").json["parameters"]["top_p"]["value"] == 0.5
    )
    lines = program.call("presets", "check").text.splitlines()
    assert len(lines) == count - MOST_IN_A_ROW + 1
    assert program.call("presets", "list").code == 0


def test_hundreds_of_presets_in_one_file_are_checked_in_one_go(program: Program) -> None:
    rows = [f"  r{n}: {{extends: r{n + 1}}}" for n in range(300)]
    write(program.place, {"llmparams.yaml": "\n".join(["presets:", *rows, "  r300: {}"])})
    lines = program.call("presets", "check").text.splitlines()
    assert len(lines) == 300 - MOST_IN_A_ROW + 1


@pytest.mark.parametrize("command", ["list", "check"])
def test_a_pipe_among_the_presets_hangs_nothing(command: str, program: Program) -> None:
    write(program.place, {"presets/ok.yaml": "parameters: {top_k: 3}"})
    os.mkfifo(program.place / "presets/wait.yaml")
    os.mkfifo(program.place / "presets/ok.yml")  # hidden by the file of the same name
    done = program.pipe("presets", command)
    assert "a pipe, not a file" in done.text
    assert program.pipe("presets", "show", "ok").code == 0
    assert "a pipe, not a file" in program.pipe("presets", "show", "wait").complaint(3)


@pytest.mark.parametrize(
    "text",
    ["extends: ./wait.yaml", "parameters: {grammar: '@wait.yaml'}", "extends: [wait@project]"],
)
def test_a_preset_that_leads_to_a_pipe_hangs_nothing(text: str, program: Program) -> None:
    write(program.place, {"presets/a.yaml": text, "presets/wait.txt": ""})
    os.mkfifo(program.place / "presets/wait.yaml")
    done = program.pipe("presets", "check", "presets/a.yaml")
    assert done.code == 3
    assert "a pipe, not a file" in done.text


def test_a_test_that_reads_a_pipe_hangs_nothing(program: Program) -> None:
    write(program.place, {"presets/a.yaml": "tests: [{file: wait, expect: {json: true}}]"})
    os.mkfifo(program.place / "presets/wait")
    assert "presets/wait: a pipe, not a file" in program.pipe("presets", "test").complaint(2)


@pytest.mark.parametrize("place", ["llmparams.yaml", "config/config.yaml"])
def test_a_pipe_in_the_place_of_a_configuration_is_told(place: str, program: Program) -> None:
    path = program.place / place
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    assert program.pipe("presets", "list").code == 0
    assert "a pipe, not a file" in program.pipe("generate", "hi", "-n", "1").complaint(3)


def test_a_pipe_that_the_user_names_is_read(program: Program) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"parameters: {top_k: 7}")
    os.close(writing)
    try:
        done = program.call("presets", "show", f"/dev/fd/{reading}", "--format", "json")
    finally:
        os.close(reading)
    assert done.json["parameters"] == {"top_k": 7}


def test_odd_names_do_not_reach_a_terminal(program: Program) -> None:
    write(
        program.place,
        {
            f"presets/{ODD_NAME}.yaml": "description: Odd.\nparameters: {top_k: 3}",
            "presets/even.yaml": "parameters: {top_k: 4}",
        },
    )
    shown = program.terminal("presets", "list").end()
    assert b"[7m" not in shown.received.replace(SAFE_NAME.encode(), b"")
    assert any(line.startswith(SAFE_NAME) for line in shown.lines)
    diff = program.call("presets", "diff", ODD_NAME, "even", "--tokens", "2")
    assert "\x1b" not in diff.text
    head = diff.text.splitlines()[0]
    assert head.split() == [SAFE_NAME, "even"]
    assert f"answer by {SAFE_NAME}:" in diff.text
    for command in (("list",), ("check",), ("show", ODD_NAME), ("list", "--json")):
        done = program.call("presets", *command)
        assert "\x1b" not in done.text + done.stderr


def test_an_unlisted_name_is_found_as_it_is_listed(tmp_path: Path) -> None:
    env = world(
        tmp_path,
        {
            "project/presets/a.b.yml": "system: x",
            "project/presets/two.yaml": "system: x",
            "project/presets/two.yml": "system: x",
            "project/presets/.yaml": "system: x",
            "project/llmparams.yaml": "presets: {two: {system: y}}",
            "config/presets/two.yml": "system: x",
        },
    )
    with pytest.raises(PresetError, match="unknown preset ''"):
        find("", env)
    for name, files in available(env).items():
        found = find(name, env)
        assert [found.path, *(each.path for each in found.shadowed)] == [f.path for f in files]

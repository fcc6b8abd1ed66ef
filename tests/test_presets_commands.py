"""`llmparams presets …` on real files and the real model."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from presets_world import write
from program import Program

from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.formats import FORMATS, WRITTEN
from llmparams_cli.presets.schema import preset_schema
from llmparams_cli.text.safe import printable

WILD = Path(__file__).parent / "wild_presets"
TERSE = """\
description: Few words.
extends: precise
prompt: "Say {{ input }} in {{ language }}."
variables:
  language: English
parameters:
  temperature: 0.3
  max_tokens: 8
"""


@pytest.fixture
def project(program: Program) -> Program:
    write(program.place, {"presets/terse.yaml": TERSE})
    return program


def test_the_list_tells_place_description_and_changes(project: Program) -> None:
    lines = project.call("presets", "list").text.splitlines()
    [line] = [line for line in lines if line.startswith("terse ")]
    assert "project: Few words. (temperature 0.3, top_k 20, top_p 0.9, max_tokens 8)" in line
    items = {item["name"]: item for item in project.call("presets", "list", "--json").json}
    assert items["terse"]["extends"] == ["precise"]
    assert items["terse"]["parameters"]["temperature"] == 0.3
    assert items["precise"]["place"] == "llmparams"


def test_a_broken_preset_is_listed_with_its_problem(project: Program) -> None:
    write(project.place, {"presets/broken.yaml": "top_k: 1", "presets/precise.yaml": "system: x"})
    items = {item["name"]: item for item in project.call("presets", "list", "--json").json}
    assert "top_k is a parameter" in items["broken"]["problem"]
    assert items["precise"]["hides"][0].endswith("precise.yaml")


def test_the_list_fits_a_terminal(project: Program) -> None:
    shown = project.terminal("presets", "list", width=60).end()
    assert shown.code == 0
    assert any(line.startswith("terse") and "Few words." in line for line in shown.lines)
    assert max(map(len, shown.lines)) <= 60


def test_show_gives_origins_and_a_command_line_that_does_the_same(project: Program) -> None:
    write(project.place, {"presets/plain.yaml": "extends: precise\nparameters: {stop: ['x y']}"})
    shown = project.call("presets", "show", "plain")
    assert "preset presets/plain.yaml:2" in shown.text
    command = shlex.split(project.call("presets", "show", "plain", "--json").json["command"])
    assert command[:2] == ["llmparams", "generate"]
    by_flags = project.call(*command[1:], "--show-params", "--json").json
    by_preset = project.call("generate", "-p", "plain", "--show-params", "--json").json
    values = {name: each["value"] for name, each in by_flags["parameters"].items()}
    assert values == {name: each["value"] for name, each in by_preset["parameters"].items()}
    assert by_flags["system"]["value"] == by_preset["system"]["value"]


def test_the_shown_command_can_be_pasted(project: Program) -> None:
    system = "Don't\\n\t\u202ewrite\x1b[1m!\n\n$HOME\x85"
    parameters = {"grammar": "root ::= a\n\na ::= 'x'\n", "chat_template": "{{ 1 }}\n{{ '\\n' }}"}
    preset = {"system": system, "parameters": {**parameters, "stop": ["\r\n"]}}
    write(project.place, {"presets/lines.yaml": json.dumps(preset)})
    shown = project.call("presets", "show", "lines")
    command = shown.text.partition("the same without the preset:\n")[2]
    assert "{{ 1 }}\n{{" in command
    assert printable(shown.text) == shown.text
    script = f"llmparams() {{ printf '%s\\0' \"$@\"; }}; {command}"
    words = subprocess.run(
        ["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout.decode().split("\0")  # fmt: skip
    assert words[:3] == ["generate", "--system", system]
    in_json = project.call("presets", "show", "lines", "--json").json["command"]
    assert words[:-1] == shlex.split(in_json)[1:]


def test_show_as_yaml_is_the_preset_without_its_parents(project: Program) -> None:
    (project.place / "flat.yaml").write_text(
        project.call("presets", "show", "terse", "--format", "yaml").text
    )
    flat = project.call("presets", "show", "./flat.yaml", "--format", "json").json
    assert flat == project.call("presets", "show", "terse", "--format", "json").json
    assert flat["parameters"]["top_k"] == 20
    assert "extends" not in flat


def test_show_of_a_preset_whose_model_is_elsewhere(project: Program) -> None:
    write(project.place, {"presets/far.yaml": "model: ./far.gguf\nsystem: x"})
    shown = project.call("presets", "show", "far")
    assert shown.code == 0
    assert "without the model's own values" in shown.stderr


def test_the_effect_in_a_diff_is_the_same_every_time(project: Program) -> None:
    diff = ("presets", "diff", "creative-chat", "terse", "--tokens", "12", "--json")
    first, second = (project.call(*diff).json for _ in range(2))
    assert first == second


def test_a_diff_refuses_a_prompt_that_is_too_long(project: Program) -> None:
    diff = ("presets", "diff", "terse", "precise", "--prompt", "word " * 5000)
    complaint = project.call(*diff).complaint(5)
    assert "the prompt has" in complaint and "the context holds 1024" in complaint


def test_ctrl_c_ends_a_diff_without_a_figure(
    project: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 0
    decode = Context.decode

    def interrupted(context: Context, *call: Any) -> bool:
        nonlocal rows
        rows += 1
        if rows == 5:
            signal.raise_signal(signal.SIGINT)
        return decode(context, *call)

    monkeypatch.setattr(Context, "decode", interrupted)
    done = project.call("presets", "diff", "terse", "creative-chat", "--tokens", "40")
    assert (done.code, done.stdout) == (130, b"")


def test_a_diff_that_runs_out_of_time_says_so(project: Program) -> None:
    write(project.place, {"presets/hasty.yaml": "parameters: {time_limit: 0.000001}"})
    done = project.call("presets", "diff", "hasty", "creative-chat")
    assert done.code == 0
    assert "the time limit (1e-06 s) was reached" in done.stderr


def test_diff_tells_values_texts_and_the_effect(project: Program) -> None:
    done = project.call("presets", "diff", "terse", "creative-chat", "--tokens", "6", "--json")
    diff = done.json
    assert diff["parameters"]["temperature"] == {"a": 0.3, "b": 1.1}
    assert diff["texts"]["system"]["b"]
    assert 0 < diff["mean_total_variation"] <= 1
    assert len(diff["tokens"]) <= 6
    text = project.call("presets", "diff", "terse", "creative-chat", "--tokens", "6").text
    assert "total variation distance" in text


@pytest.mark.parametrize(
    "value", ["thinking: on", "template_arg: {a: 1}", "chat_template: chatml, thinking: on"]
)
def test_presets_that_make_other_prompts_have_no_draws_in_common(
    value: str, project: Program
) -> None:
    write(project.place, {"presets/other.yaml": f"parameters: {{{value}, temperature: 0}}"})
    names = sorted((each.split(":")[0] for each in value.split(", ")), reverse=True)
    for pair in (("terse", "other"), ("other", "terse")):
        done = project.call("presets", "diff", *pair, "--tokens", "3", "--json")
        assert (done.json["mean_total_variation"], done.json["tokens"]) == (None, [])
        assert f"the effect is left out: the prompts differ, too (by {', '.join(names)})" in (
            done.stderr
        )
        assert done.json["parameters"].keys() >= {"temperature", *names}
    quiet = project.call("presets", "diff", "terse", "other", "--tokens", "0")
    assert "left out" not in quiet.stderr


def test_a_preset_does_not_differ_from_itself(project: Program) -> None:
    diff = project.call("presets", "diff", "terse", "terse", "--tokens", "5", "--json").json
    assert (diff["parameters"], diff["texts"]) == ({}, {})
    assert diff["mean_total_variation"] == 0


def test_greedy_against_sampling_differs_by_what_the_best_token_lacks(project: Program) -> None:
    """TV of a one-hot distribution against p is 1 - p(best)."""
    neutral = {"top_k": 0, "top_p": 1, "min_p": 0}
    for name, temperature in (("cold", 0), ("warm", 1)):
        values = json.dumps({"temperature": temperature, **neutral})
        write(project.place, {f"presets/{name}.yaml": f"parameters: {values}"})
    diff = project.call("presets", "diff", "cold", "warm", "--tokens", "4", "--json").json
    for token in diff["tokens"]:
        greedy, warm = token["best"]
        assert greedy["text"] == warm["text"]
        assert token["total_variation"] == pytest.approx(1 - warm["probability"], abs=2e-6)


def test_diff_against_the_models_recommendation(project: Program) -> None:
    diff = project.call("presets", "diff", "terse", "--tokens", "0", "--json").json
    assert diff["b"] == "the model's recommended values"
    assert diff["parameters"]["temperature"]["a"] == 0.3
    assert diff["mean_total_variation"] is None


def test_new_writes_a_checked_preset_with_comments(program: Program) -> None:
    flags = ("--temperature", "0.2", "--stop", "END", "--description", "Mine.", "-p", "precise")
    done = program.call("presets", "new", "mine", *flags)
    assert done.code == 0, done.stderr
    text = (program.place / "presets/mine.yaml").read_text()
    assert "temperature: 0.2" in text and "# Sharpens or flattens" in text
    assert program.call("presets", "check", "mine").code == 0
    shown = program.call("generate", "-p", "mine", "--show-params", "--json").json
    assert shown["parameters"]["stop"]["value"] == ["END"]
    assert shown["parameters"]["top_k"]["value"] == 20


def test_new_replaces_nothing_unless_told(program: Program) -> None:
    program.call("presets", "new", "mine", "--top-k", "3")
    refused = program.call("presets", "new", "mine", "--top-k", "4")
    assert "is there already (--force replaces it)" in refused.complaint(3)
    assert "top_k: 3" in (program.place / "presets/mine.yaml").read_text()
    assert program.call("presets", "new", "mine", "--top-k", "4", "--force").code == 0
    assert "top_k: 4" in (program.place / "presets/mine.yaml").read_text()


def test_new_for_the_user(program: Program) -> None:
    assert program.call("presets", "new", "mine", "--user", "--top-k", "3").code == 0
    assert (program.place / "config/presets/mine.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("mine",), 2, "this preset would say nothing"),
        (("a b", "--top-k", "1"), 2, "'a b' cannot be a preset's name"),
        (("mine", "--top-k", "-4"), 2, "--top-k: -4 is out of range"),
        (("mine", "-p", "nonsense"), 3, "unknown preset 'nonsense'"),
        (("mine", "--prompt", "{{"), 2, "--prompt: not a Jinja template"),
    ],
)
def test_what_new_refuses(
    arguments: tuple[str, ...], code: int, message: str, program: Program
) -> None:
    assert message in program.call("presets", "new", *arguments).complaint(code)
    assert not (program.place / "presets").exists()


def test_check_tells_every_problem_with_line_and_column(program: Program) -> None:
    write(program.place, {"presets/bad.yaml": "parameters:\n  temprature: 1\n  top_k: -3\n"})
    done = program.call("presets", "check")
    assert done.code == 3
    first, second = done.text.splitlines()
    assert first.startswith("presets/bad.yaml:2:3: unknown parameter 'temprature'; did you mean")
    assert second.startswith("presets/bad.yaml:3:3: top_k: -3 is out of range: from 0")
    [problem, _] = program.call("presets", "check", "--json").json
    assert (problem["line"], problem["column"]) == (2, 3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.yaml": "extends: b", "b.yaml": "extends: a"}, "extends goes in a circle"),
        ({"a.yaml": "extends: nonsense"}, "a.yaml:1:1: extends: unknown preset 'nonsense'"),
        ({"a.yaml": "parameters: {grammar: 'root ::= \"a\"', json_schema: true}"}, "excludes"),
        (
            {"a.yaml": "extends: nonsense\nparameters: {top_k: -3}"},
            "a.yaml:1:1: extends: unknown preset 'nonsense'",
        ),
    ],
)
def test_check_sees_parents_and_conflicts(
    files: dict[str, str], message: str, program: Program
) -> None:
    write(program.place, {f"presets/{name}": text for name, text in files.items()})
    done = program.call("presets", "check", "presets/a.yaml")
    assert done.code == 3
    assert message in done.text


def test_check_of_sound_files_says_so_on_stderr_alone(project: Program) -> None:
    write(project.place, {"llmparams.yaml": "presets: {a: {system: x}}"})
    done = project.call("presets", "check")
    assert (done.code, done.stdout) == (0, b"")
    assert "0 problems in 2 files" in done.stderr


def test_edit_runs_the_editor_and_checks_what_it_left(project: Program) -> None:
    script = project.place / "ed.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write('  top_k: -1\\n')")
    editor = shlex.join([sys.executable, str(script)])
    done = project.call("presets", "edit", "terse", EDITOR=editor)
    assert done.code == 3
    assert "top_k: -1 is out of range" in done.text


def test_edit_copies_a_shipped_preset_first(program: Program) -> None:
    assert program.call("presets", "edit", "precise", EDITOR="true").code == 0
    assert (program.place / "config/presets/precise.yaml").exists()
    assert "ended with 1" in program.call("presets", "edit", "code", EDITOR="false").complaint(2)


def test_no_editor_is_an_error_that_names_the_variable(project: Program) -> None:
    assert "EDITOR=nano" in project.call("presets", "edit", "terse").complaint(2)


def test_the_schema_is_printed(program: Program) -> None:
    assert program.call("presets", "schema").json == preset_schema()


PASSES = """
tests:
  - name: short
    input: hi
    seeds: 3
    expect: {tokens: {max: 8}, stop: [max-tokens, end-of-generation], lacks: [xyzzy]}
"""
FAILS = """
tests:
  - name: impossible
    input: hi
    variables: {language: Thai}
    seeds: 2
    at_least: 1
    expect:
      contains: ["\\x1b[31m"]
      json: true
      entropy: {min: 30}
      probability: {min: 1}
      first: {text: Hi, min: 1}
      matches: 'q{9}'
      characters: {min: 9999}
      distinct: {max: 1}
"""


def test_a_presets_tests_pass_on_the_real_model(project: Program) -> None:
    write(project.place, {"presets/terse.yaml": TERSE + PASSES})
    done = project.call("presets", "test")
    assert done.code == 0, done.stderr
    assert done.text == "passed  terse: short: 3 of 3 seeds, 3 are needed\n1 passed, 0 failed\n"


def test_folders_are_made_for_presets_and_for_nothing_else(project: Program) -> None:
    done = project.call("presets", "export", "terse", "--format", "ollama", "-o", "no/out")
    assert "--output no/out: No such file or directory" in done.complaint(2)
    assert not (project.place / "no").exists()
    done = project.call("presets", "new", "own/deep/warm.yaml", "--temperature", "1.2")
    assert done.code == 0 and (project.place / "own/deep/warm.yaml").exists()


def test_every_failing_assertion_is_told_in_text_json_and_junit(project: Program) -> None:
    write(project.place, {"presets/terse.yaml": TERSE + FAILS})
    done = project.call("presets", "test", "terse", "--junit", "out.xml")
    assert done.code == 9
    for name in ("contains", "json", "entropy", "probability", "first", "matches", "distinct"):
        assert f" {name}: " in done.text
    assert b"\x1b" not in done.stdout
    [failure] = ElementTree.parse(project.place / "out.xml").iter("failure")
    assert failure.text and "entropy" in failure.text
    again = project.call("presets", "test", "terse", "--json")
    assert again.code == 9
    [test] = again.json["tests"]
    assert (test["passes"], test["at_least"], len(test["runs"])) == (0, 1, 2)


def test_a_seed_gives_the_same_answer_as_generate(project: Program) -> None:
    write(project.place, {"presets/terse.yaml": TERSE + PASSES})
    runs = project.call("presets", "test", "--json").json["tests"][0]["runs"]
    for run in runs:
        seed = str(run["seed"])
        assert (
            project.call("generate", "hi", "-p", "terse", "--seed", seed).text == run["text"] + "\n"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no preset here has tests"),
        (("precise",), "preset precise has no tests"),
    ],
)
def test_nothing_to_test_is_an_error(
    arguments: tuple[str, ...], message: str, project: Program
) -> None:
    assert message in project.call("presets", "test", *arguments).complaint(2)


def test_a_test_without_input_is_named(project: Program) -> None:
    write(project.place, {"presets/terse.yaml": TERSE + "tests: [{expect: {json: true}}]"})
    assert "test 1 (line 9) has no input" in project.call("presets", "test").complaint(3)


def test_variables_come_from_flags_over_the_presets(project: Program) -> None:
    arguments = ("generate", "hi", "-p", "terse", "--json", "--raw")
    assert project.call(*arguments).json["prompt"].endswith("Say hi in English.")
    german = project.call(*arguments, "--var", "language=German")
    assert german.json["prompt"].endswith("Say hi in German.")
    wrong = project.call(*arguments, "--var", "langage=x").complaint(2)
    assert "did you mean language?" in wrong


def test_a_prompt_that_places_no_input_goes_before_it(project: Program) -> None:
    write(project.place, {"presets/fixed.yaml": "prompt: Count to {{ n }}.\nvariables: {n: }"})
    arguments = ("generate", "-p", "fixed", "--raw", "--json", "--max-tokens", "1")
    assert "needs a value for n" in project.call(*arguments).complaint(2)
    alone = project.call(*arguments, "--var", "n=3")
    assert alone.json["prompt"].endswith("Count to 3.")
    more = project.call(*arguments, "--var", "n=3", stdin=b"Slowly.")
    assert more.json["prompt"].endswith("Count to 3.\n\nSlowly.")


def test_a_group_without_a_command_shows_its_help(program: Program) -> None:
    done = program.pipe("presets")
    assert done.code == 0
    assert "check" in done.text


MODELFILE = 'FROM ./a.gguf\nPARAMETER temperature 0.3\nPARAMETER tfs_z 2\nSYSTEM "Be brief."\n'


def test_import_writes_a_preset_and_tells_the_losses(program: Program) -> None:
    write(program.place, {"elsewhere/Modelfile": MODELFILE})
    done = program.call("presets", "import", "elsewhere/Modelfile", "--name", "brief")
    assert (done.code, done.stdout) == (0, b"")
    assert "brief from ollama: lost: tfs_z" in done.stderr
    preset = program.call("presets", "show", "brief", "--format", "json").json
    assert preset["parameters"]["temperature"] == 0.3
    assert preset["model"] == str(program.place / "elsewhere/a.gguf")
    assert program.call("presets", "check", "brief").code == 0


def test_paths_in_a_foreign_file_start_from_its_folder(program: Program) -> None:
    """Wherever the preset is written, and from wherever it is used."""
    write(
        program.place,
        {
            "far/Modelfile": "FROM ./base.gguf\nADAPTER tuned/one.gguf\nADAPTER ~/two.gguf\n",
            "far/a.ini": "[a]\nm = base.gguf\nlora-scaled = tuned/one.gguf:0.5,/three.gguf:1\n",
        },
    )
    far = program.place / "far"
    home = os.path.expanduser("~")
    wanted = {
        "Modelfile": [f"{far}/tuned/one.gguf", f"{home}/two.gguf"],
        "a.ini": [f"{far}/tuned/one.gguf:0.5", "/three.gguf:1"],
    }
    for name, adapters in wanted.items():
        done = program.call("presets", "import", f"far/{name}", "--name", "a", "--force")
        assert done.code == 0, done.stderr
        preset = program.call("presets", "show", "a", "--format", "json").json
        assert preset["parameters"]["lora"] == adapters
        assert preset["model"] == str(far / "base.gguf")


SWITCHED_OFF = {
    "temp": 0.9,
    "typical_p": 0.8,
    "dry_multiplier": 0,
    "dry_base": 1.9,
    "dry_allowed_length": 4,
    "xtc_probability": 0,
    "xtc_threshold": 0.2,
    "mirostat_mode": 2,
    "mirostat_tau": 6,
    "dynatemp_exponent": 1.5,
    "rep_pen": 1,
    "rep_pen_range": 600,
}


def test_details_of_what_is_off_are_left_out(program: Program) -> None:
    write(program.place, {"all.json": json.dumps(SWITCHED_OFF)})
    assert program.call("presets", "import", "all.json").code == 0
    values = program.call("presets", "show", "all", "--format", "json").json["parameters"]
    assert {name: values[name] for name in ("typical_p", "mirostat", "mirostat_tau")} == {
        "typical_p": 0.8,  # replaced by Mirostat, and so no detail of it
        "mirostat": 2,
        "mirostat_tau": 6,
    }
    off = {"dry_base", "dry_allowed_length", "xtc_threshold", "dynatemp_exponent", "repeat_last_n"}
    assert off.isdisjoint(values)
    off_themselves = ("dry_multiplier", "xtc_probability", "repeat_penalty")
    assert [values[name] for name in off_themselves] == [0, 0, 1]
    assert program.call("presets", "check", "all").code == 0


@pytest.mark.parametrize("file", sorted(path.name for path in WILD.iterdir()))
def test_what_import_writes_passes_the_check(file: str, program: Program) -> None:
    if file == "expected.yaml":
        return
    assert program.call("presets", "import", str(WILD / file)).code == 0
    checked = program.call("presets", "check")
    assert checked.code == 0, checked.text


def test_import_from_a_pipe_by_format_and_section(program: Program) -> None:
    ini = b"[*]\ntemp = 0.2\n[a]\ntop-k = 5\n[b]\ntop-k = 6\n"
    done = program.call("presets", "import", "-", "--section", "b", "--quiet", stdin=ini)
    assert (done.code, done.stderr) == (0, "")
    preset = program.call("presets", "show", "b", "--format", "json").json
    assert preset["parameters"]["top_k"] == 6
    several = program.call("presets", "import", "-", "--name", "x", stdin=ini)
    assert "--name fits one preset, and there are a, b" in several.complaint(2)


def test_import_refuses_what_is_no_preset(program: Program) -> None:
    write(program.place, {"x.json": '{"a": 1}', "y.yaml": "parameters: {top_k: 1}"})
    assert "not clear which program" in program.call("presets", "import", "x.json").complaint(3)
    own = program.call("presets", "import", "y.yaml").complaint(3)
    assert "preset of this program already" in own
    assert not (program.place / "presets").exists()


@pytest.mark.parametrize("format", WRITTEN)
def test_show_writes_what_export_writes(format: str, project: Program) -> None:
    shown = project.call("presets", "show", "terse", "--format", format)
    assert shown.code == 0 and shown.stdout
    assert shown == project.call("presets", "export", "terse", "--format", format)
    assert format in project.call("presets", "show", "--help").text


def test_formats_are_completed(project: Program) -> None:
    words = {"COMP_WORDS": "llmparams presets show terse --format l", "COMP_CWORD": "5"}
    done = project.pipe(_LLMPARAMS_COMPLETE="complete_bash", **words)
    assert done.text.split() == [name for name in WRITTEN if name.startswith("l")]


@pytest.mark.parametrize("format", WRITTEN)
def test_what_is_exported_comes_back(format: str, project: Program) -> None:
    out = project.call("presets", "export", "terse", "--format", format, "-o", f"out.{format}")
    assert (out.code, out.stdout) == (0, b"")
    back = project.call("presets", "import", f"out.{format}", "--format", format, "--name", "back")
    assert back.code == 0, back.stderr
    preset = project.call("presets", "show", "back", "--format", "json").json
    assert preset["parameters"]["temperature"] == 0.3
    assert preset["parameters"]["top_p"] == 0.9


def test_a_format_that_is_only_read_is_not_written(project: Program) -> None:
    (name, *_) = [name for name in FORMATS if name not in WRITTEN]
    assert "is not a known format" in project.call(
        "presets", "export", "terse", "--format", name
    ).complaint(2)


def test_an_unknown_format_is_told(project: Program) -> None:
    for command in (("show", "terse"), ("export", "terse"), ("import", "file")):
        done = project.call("presets", *command, "--format", "olama")
        line = done.complaint(2)
        assert "--format: 'olama' is not a known format; did you mean ollama?" in line
        formats = FORMATS if command[0] == "import" else WRITTEN
        assert line.endswith(f", {', '.join([*formats][-3:])})")


def test_a_finished_run_becomes_a_preset_that_gives_it_again(program: Program) -> None:
    run = ("generate", "Tell me a story.", "-n", "12", "--seed", "4", "--temperature", "1.1")
    text = program.call(*run).text
    assert program.call("presets", "new", "as-it-was", "--from", "last").code == 0
    assert "# from flag --temperature" in (program.place / "presets/as-it-was.yaml").read_text()
    assert program.call("generate", "Tell me a story.", "-p", "as-it-was").text == text

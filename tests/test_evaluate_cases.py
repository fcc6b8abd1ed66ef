"""`evaluate --cases`: scripted models whose passes are known, through the real program."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from models import write_adapter
from program import Program

from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs.evaluation import cases

CASES = """
- {name: sums, input: two and two, expect: {contains: four}}
- {name: capital, input: capital of France, expect: {contains: Paris, lacks: [sorry]}}
- {name: short, input: a word, expect: {command: "test $(wc -w) -le 1"}}
"""
GOOD = """
answers:
  - {when: two, text: It is four.}
  - {when: capital, text: Paris.}
  - {text: Word}
"""
BAD = """
answers:
  - {when: two, texts: [It is four., It is five.]}
  - {when: capital, text: "sorry, Paris"}
  - {text: two words}
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {"cases.yaml": CASES, "good.yaml": GOOD, "bad.yaml": BAD}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {
        "cases": str(tmp_path / "cases.yaml"),
        "good": f"scripted:{tmp_path / 'good.yaml'}",
        "bad": f"scripted:{tmp_path / 'bad.yaml'}",
    }


def test_every_variant_answers_every_case_with_every_seed(files, program: Program) -> None:
    flags = ("--cases", files["cases"], "--seeds", "4", "--json")
    done = program.call("evaluate", files["good"], files["bad"], *flags)
    assert done.code == 0, done.stderr
    good, bad = done.json["variants"]
    assert (good["passed"], good["cases"], good["share"], good["every_time"]) == (3, 3, 1.0, 1.0)
    assert (bad["passed"], bad["tries"], bad["flaky"]) == (0, 4, ["sums"])
    assert bad["share"] == pytest.approx(0.5 / 3, abs=1e-6)  # two seeds of four say four
    assert [len(result["runs"]) for result in bad["results"]] == [4, 4, 4]
    (pair,) = done.json["pairs"]
    assert (pair["better"], pair["only_better"], pair["only_worse"]) == ("good", 3, 0)
    assert pair["interval"][0] > 0 and pair["p"] == 0.25 and not pair["shown"]  # of three cases


def test_three_cases_show_no_difference_and_that_is_said(files, program: Program) -> None:
    flags = ("--cases", files["cases"])
    done = program.call("evaluate", files["good"], files["bad"], *flags)
    assert done.code == 0
    assert "no difference shown between good and bad (" in done.text
    assert "'sorry' is in 'sorry, Paris'" in done.text
    assert "command: 'test $(wc -w) -le 1' ended with 1" in done.text


def test_presets_are_variants_of_one_model(files, program: Program) -> None:
    flags = ("--cases", files["cases"], "-p", "precise", "-p", "balanced", "--json")
    done = program.call("evaluate", files["good"], *flags)
    assert [each["name"] for each in done.json["variants"]] == ["precise", "balanced"]
    assert [pair["p"] for pair in done.json["pairs"]] == [1.0]


def test_ten_better_cases_are_a_difference(tmp_path: Path, files, program: Program) -> None:
    easy = [
        {"name": str(n), "input": "a word", "expect": {"tokens": {"max": 1}}} for n in range(10)
    ]
    lines = tmp_path / "cases.jsonl"
    lines.write_text("".join(json.dumps(case) + "\n" for case in easy))
    done = program.call("evaluate", files["bad"], files["good"], "--cases", str(lines))
    assert "good is better than bad by 100.0 points (10 cases against 0; McNemar's" in done.text


def test_junit_has_a_suite_for_each_variant(tmp_path: Path, files, program: Program) -> None:
    report = tmp_path / "r.xml"
    flags = ("--cases", files["cases"], "--junit", str(report))
    program.call("evaluate", files["good"], files["bad"], *flags)
    text = report.read_text()
    assert text.count("<testsuite ") == 2 and text.count("<failure ") == 3


def test_junit_holds_text_that_xml_has_no_notation_for(tmp_path: Path, program: Program) -> None:
    answer = "</failure>\x00\x1b\ufffe\u202e&"
    (tmp_path / "odd.yaml").write_text(f"answers: [{{text: {json.dumps(answer)}}}]")
    case = {"name": "\uffff\x08<", "input": "x", "expect": {"contains": "y"}}
    (tmp_path / "cases.jsonl").write_text(json.dumps(case))
    flags = ("--cases", str(tmp_path / "cases.jsonl"), "--junit", "-")
    done = program.call("evaluate", f"scripted:{tmp_path / 'odd.yaml'}", *flags)
    (test,) = ElementTree.fromstring(done.stdout).iter("testcase")
    assert test.get("name") == "<ffff><08><"
    assert "</failure>" in (text := test.findtext("failure", "")) and "\u202e" not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there are no cases"),
        ("- {input: x}", "has no `expect:`"),
        ("- {input: x, expect: {contans: y}}", "contans"),
        ("- [", "cases.yaml:2: not YAML"),
    ],
)
def test_a_bad_file_of_cases_is_named_with_its_line(text, words, files, program: Program) -> None:
    Path(files["cases"]).write_text(text)
    done = program.call("evaluate", files["good"], "--cases", files["cases"])
    assert words in done.complaint(ExitCode.USAGE)


def test_a_preset_may_not_name_commands(tmp_path: Path, program: Program) -> None:
    preset = tmp_path / "p.yaml"
    preset.write_text("tests: [{input: x, expect: {command: touch /tmp/never}}]")
    done = program.call("presets", "test", str(preset))
    assert "unknown key 'command'" in done.stderr and done.code == ExitCode.PRESET


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "cases.jsonl"


def test_json_lines_are_json_with_the_files_own_lines(lines, files, program: Program) -> None:
    """As Windows and json.dumps write them: not YAML, whose lines end at U+2028 too."""
    first = '{"input":"two\u2028x","expect":{"contains":"four"}}\r\n'
    pair = '{"input":"\\ud83d\\ude00 \\/","expect":{"contains":"Word"}}'
    lines.write_bytes(("\ufeff" + first + "\r\n" + pair).encode())
    done = program.call("evaluate", files["good"], "--cases", str(lines), "--json")
    assert [result["passed"] for result in done.json["variants"][0]["results"]] == [True, True]
    for wrong, words in [('{"input": 1}', "cases.jsonl:3: tests: input"), ("{", "cases.jsonl:3: ")]:
        lines.write_text(first + "\n" + wrong)
        done = program.call("evaluate", files["good"], "--cases", str(lines))
        assert words in done.complaint(ExitCode.USAGE)


def test_a_thought_is_no_part_of_the_answer(files, program: Program) -> None:
    script = Path(files["good"].removeprefix("scripted:"))
    script.write_text('answers: [{text: "<think>sorry, four words here</think>Word"}]')
    cases = "{input: x, expect: {lacks: sorry, tokens: {max: 1}, command: test $(wc -w) -eq 1}}"
    Path(files["cases"]).write_text(f"- {cases}")
    done = program.call("evaluate", files["good"], "--cases", files["cases"], "--json")
    assert done.json["variants"][0]["passed"] == 1
    (run,) = done.json["variants"][0]["results"][0]["runs"]
    assert run["reasoning"] == "sorry, four words here"


def test_variants_are_told_apart(tmp_path: Path, files, program: Program) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "good.yaml").write_text(BAD)
    other = f"scripted:{tmp_path / 'other' / 'good.yaml'}"
    flags = ("--cases", files["cases"], "--json")
    done = program.call("evaluate", files["good"], other, *flags)
    assert [each["name"] for each in done.json["variants"]] == [files["good"], other]
    done = program.call("evaluate", files["good"], files["good"], *flags)
    assert f"the model {files['good']} is given twice" in done.complaint(ExitCode.USAGE)
    done = program.call("evaluate", files["good"], "-p", "precise", "-p", "precise", *flags)
    assert "the preset precise is given twice" in done.complaint(ExitCode.USAGE)


def test_a_model_that_fails_after_another_leaves_no_report(files, program: Program) -> None:
    broken = program.place / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(60))
    outputs = ("--html", "page.html", "--junit", "report.xml")
    models = (files["good"], str(broken))
    done = program.call("evaluate", *models, "--cases", files["cases"], *outputs)
    assert "broken.gguf" in done.complaint(ExitCode.MODEL)
    assert not list(program.place.glob("*.html")) + list(program.place.glob("*.xml"))


def test_ctrl_c_leaves_no_report(tmp_path: Path, files, program: Program) -> None:
    slow = Path(files["good"].removeprefix("scripted:"))
    slow.write_text("delay: 0.2\nanswers: [{text: a b c d e f g h i j k l m n o p q r s t}]")
    flags = ("--cases", files["cases"], "--html", "page.html")
    session = program.terminal("evaluate", files["good"], *flags)
    session.wait_for("evaluating")
    session.press_ctrl_c()
    assert session.end().code == ExitCode.INTERRUPTED
    assert not list(program.place.glob("*page*"))


def test_values_are_an_axis_beside_models_and_presets(files, program: Program) -> None:
    flags = ("--cases", files["cases"], "--grid", "max_tokens=1,9", "--json")
    done = program.call("evaluate", files["good"], *flags)
    assert [(each["name"], each["passed"]) for each in done.json["variants"]] == [
        ("max_tokens=1", 2),  # 'It' of 'It is four.'
        ("max_tokens=9", 3),
    ]
    done = program.call("evaluate", files["good"], files["bad"], "-p", "precise", *flags)
    assert [each["name"] for each in done.json["variants"]] == [
        f"{model} precise max_tokens={most}" for model in ("good", "bad") for most in (1, 9)
    ]


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("seed=1,2", "--seeds N takes more"),
        ("max_tokens=9,09", "--grid makes max_tokens=9 twice"),
        ("max_tokens", "--grid max_tokens=A,B,C"),
        ("warmth=1,2", "unknown parameter 'warmth'"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(grid, words, files, program: Program) -> None:
    done = program.call("evaluate", files["good"], "--cases", files["cases"], "--grid", grid)
    assert words in done.complaint(ExitCode.USAGE)


@pytest.mark.parametrize(
    ("schema", "failure"),
    [
        ({"required": ["a"], "properties": {"a": {"type": "integer"}}}, ""),
        (True, ""),
        ({"properties": {"a": {"type": "string"}}}, "schema: $.a: 1 is not of type 'string'"),
        (
            {"$ref": "https://example.org/form.json"},
            "'https://example.org/form.json', which is not",
        ),
        (
            {"properties": {"a": {"multipleOf": 0.5, "maximum": 0}}},
            "schema: $.a: 1 is greater than the maximum of 0",
        ),
        ({"$ref": "#"}, "the schema or the answer is nested too deeply"),
    ],
)
def test_an_answer_is_checked_by_a_schema(schema, failure, files, program: Program) -> None:
    (program.place / "json.yaml").write_text("answers: [{text: '{\"a\": 1}'}]")
    case = {"input": "x", "expect": {"schema": schema}}
    (program.place / "one.jsonl").write_text(json.dumps(case))
    done = program.call("evaluate", "scripted:json.yaml", "--cases", "one.jsonl")
    assert done.code == 0, done.stderr
    assert ("1 of 1" in done.text) is (not failure) and failure in done.text
    done = program.call("evaluate", files["good"], "--cases", "one.jsonl")
    assert "schema: 'Word' is not JSON" in done.text


def test_a_missing_adapter_is_told_before_anything_is_answered(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "answered", None)
    (program.place / "cases.yaml").write_text(CASES)
    write_adapter(program.place)
    grid = ("--grid", "lora=none,lora.gguf,gone.gguf:0.5")
    done = program.call("evaluate", "base.gguf", "--cases", "cases.yaml", *grid)
    assert "gone.gguf does not exist (flag --grid)" in done.complaint(ExitCode.MODEL)


@pytest.mark.real_model
def test_adapters_and_cache_types_are_variants_of_one_model(program: Program) -> None:
    path = write_adapter(program.place)
    (program.place / "cases.yaml").write_text("- {input: hello, expect: {tokens: {max: 4}}}")
    common = ("--temperature", "0", "-n", "4", "--json")
    done = program.call(
        *("evaluate", "base.gguf", "--cases", "cases.yaml", *common),
        *("--grid", "lora=none,lora.gguf", "--grid", "cache_type_k=f16,f32"),
    )
    assert done.code == 0, done.stderr
    texts = {each["name"]: each["results"][0]["runs"][0]["text"] for each in done.json["variants"]}

    def alone(*flags: str) -> str:
        asked = program.call("generate", "hello", "-m", "base.gguf", *common, *flags)
        return asked.json["text"]

    adapted = alone("--lora", str(path))
    assert adapted != alone()
    assert texts["lora=lora.gguf cache_type_k=f16"] == adapted
    assert texts["lora=none cache_type_k=f16"] == alone()
    assert texts["lora=none cache_type_k=f32"] == alone("--cache-type-k", "f32")
    (program.place / "adapted.yaml").write_text(f"parameters: {{lora: ['{path}']}}")
    preset = ("-p", "adapted.yaml")
    assert alone(*preset) == adapted and alone(*preset, "--lora", "none") == alone()


@pytest.mark.parametrize(("least", "code"), [("0.66", 0), ("0.67", 9), ("0", 0), ("1", 9)])
def test_too_few_passes_may_end_a_build(least: str, code: int, files, program: Program) -> None:
    grid = ("--grid", "max_tokens=1,9", "--fail-under", least, "--json")
    done = program.call("evaluate", files["good"], "--cases", files["cases"], *grid)
    assert done.code == code and len(done.json["variants"]) == 2
    told = "less than --fail-under" in done.stderr and "%: max_tokens=1 66.7%" in done.stderr
    assert told is (code == 9) and "max_tokens=9" not in done.stderr


@pytest.mark.parametrize("text", ["NaN", "1e400", "-Infinity", "[1e999]"])
def test_what_is_no_json_fails_and_ends_nothing(text: str, program: Program) -> None:
    (program.place / "json.yaml").write_text(f"answers: [{{text: '{text}'}}]")
    schema = {"multipleOf": 0.5, "items": {"multipleOf": 0.5}}
    cases = [{"input": "x", "expect": {"schema": schema}}, {"input": "x", "expect": {"json": True}}]
    (program.place / "two.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    done = program.call("evaluate", "scripted:json.yaml", "--cases", "two.jsonl", "--json")
    assert done.code == 0, done.stderr
    [schema_failures], [json_failures] = [
        [run["failures"] for run in result["runs"]]
        for result in done.json["variants"][0]["results"]
    ]
    # The others are numbers, if large ones; and multiples of 0.5.
    assert bool(json_failures) is bool(schema_failures) is ("e" not in text)


def test_as_many_seeds_must_pass_as_were_asked_for(files, program: Program) -> None:
    (program.place / "c.yaml").write_text(
        "- {input: a word, seeds: 25, at_least: 7, expect: {contains: Word}}"
    )
    flags = ("--cases", "c.yaml", "--json", "--seeds")
    for seeds, least in ((25, 7), (26, 8), (50, 14)):
        done = program.call("evaluate", files["good"], *flags, str(seeds))
        assert done.json["variants"][0]["results"][0]["at_least"] == least


def test_nan_is_no_share(files, program: Program) -> None:
    flags = ("--cases", files["cases"], "--fail-under", "nan")
    done = program.call("evaluate", files["good"], *flags)
    assert "--fail-under nan is no number" in done.complaint(ExitCode.USAGE)


def test_a_schema_names_nothing_outside_itself(program: Program) -> None:
    """Neither on the network nor on the disk."""
    form = program.place / "form.json"
    form.write_text("{}")
    (program.place / "json.yaml").write_text("answers: [{text: '1'}]")
    case = {"input": "x", "expect": {"schema": {"$ref": form.as_uri()}}}
    (program.place / "one.jsonl").write_text(json.dumps(case))
    done = program.pipe("evaluate", "scripted:json.yaml", "--cases", "one.jsonl")
    assert "0 of 1" in done.text and "form.json', which is not in it" in done.text

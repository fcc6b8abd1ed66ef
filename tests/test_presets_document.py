"""Reading one file: what is accepted, and what is said of the rest."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmparams_cli.errors import PresetError
from llmparams_cli.params.kinds import Number
from llmparams_cli.params.settings import Origin, Source
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.document import Document, examine, load
from llmparams_cli.presets.nodes import Mark, scalar


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(text: str | bytes, source: Source = Source.PRESET) -> Document:
        path = tmp_path / "p.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(path, source, tmp_path)

    return read


def values(document: Document) -> dict[str, Any]:
    return {assignment.name: assignment.value for assignment in document.assignments}


def lines(document: Document) -> dict[str, int]:
    places = {each.name: each.origin.place for each in document.assignments}
    return {name: int(place.rpartition(":")[2]) for name, place in places.items()}


def test_everything_a_file_may_say_is_read(read: Any, tmp_path: Path) -> None:
    document = read(
        "description: for tests\n"
        "extends: [balanced, ./other.yaml]\n"
        "model: ./tiny.gguf\n"
        "system: |\n  Be brief.\n"
        "parameters:\n"
        "  # a comment\n"
        "  temperature: 0.2\n"
        "  stop: ['.', no]\n"
        "  logit_bias: {42: -1, ' the': false}\n"
    )
    origin = Origin(Source.PRESET, "p", "p.yaml", 4)
    assert document.description == "for tests"
    assert [name.text for name in document.extends] == ["balanced", "./other.yaml"]
    assert document.model.text == str(tmp_path / "tiny.gguf")
    assert (document.system.text, document.system.origin) == ("Be brief.\n", origin)
    assert values(document) == {
        "temperature": 0.2, "stop": [".", "no"], "logit_bias": {"42": -1.0, " the": -math.inf},
    }  # fmt: skip
    assert lines(document) == {"temperature": 8, "stop": 9, "logit_bias": 10}


WRONG = {
    "parameters:\n  temperature: 12": "p.yaml:2: temperature: 12 is out of range: from 0 to 10",
    "parameters:\n  top_k: 1.5": "p.yaml:2: top_k: 1.5 is not a whole number",
    "parameters:\n  top_k: '40'": "p.yaml:2: top_k: '40' is not a whole number",
    "parameters:\n  top_k:": "p.yaml:2: top_k: no value is given",
    "parameters:\n  top_k: [1]": "p.yaml:2: top_k: [1] is not",
    "parameters:\n  temprature: 1": "unknown parameter 'temprature'; did you mean temperature?",
    "parameters:\n  num_ctx: 1": "unknown parameter 'num_ctx'; did you mean context?",
    "parameters:\n  ctx-size: 1": "unknown parameter 'ctx-size'; did you mean context?",
    "parameters:\n  n: 1": "unknown parameter 'n'; did you mean max_tokens?",
    "parameters:\n  top-k: 1": "unknown parameter 'top-k'; did you mean top_k?",
    "\nparameter:\n  top_k: 1": "p.yaml:2: unknown key 'parameter'; did you mean parameters?",
    "preset: x": "p.yaml:1: unknown key 'preset'; the keys are description, extends, model",
    "temperature: 1": "p.yaml:1: temperature is a parameter: indent it under `parameters:`",
    "system: 42": "p.yaml:1: system: 42 is not text",
    "system:": "p.yaml:1: system: no text is given",
    "extends: {a: b}": "p.yaml:1: extends: {'a': 'b'} is not text",
    "extends:\n  - a\n  - 1": "p.yaml:3: extends: 1 is not text",
    "parameters: 3": "p.yaml:1: parameters: not a mapping",
    "- a": "p.yaml:1: not a mapping",
    "just text": "p.yaml:1: not a mapping",
    "": "p.yaml: empty",
    "# nothing\n": "p.yaml: empty",
    "a: b: c": "p.yaml:1: not YAML: mapping values are not allowed",
    "system: 'open\n\n": "p.yaml:",
    "\n\tsystem: x": "p.yaml:2: not YAML: found character",
    "system: x\nsystem: y": "p.yaml:2: 'system' is given twice, first in line 1",
    "parameters:\n  top_k: 1\n  top_k: 2": "p.yaml:3: 'top_k' is given twice, first in line 2",
    "parameters:\n  logit_bias: {1: 2, '1': 3}": "p.yaml:2: '1' is given twice",
    "system: &a x": "p.yaml:1: anchors and aliases",
    "&a system: x": "p.yaml:1: anchors and aliases",
    "!!str system: x": "p.yaml:1: the tag",
    "system: x\ndescription: *a": "p.yaml:2: anchors and aliases",
    "system: !!python/object/apply:os.system [true]": "p.yaml:1: the tag 'tag:yaml.org,2002:python",
    "system: !!str x": "p.yaml:1: the tag",
    "? [a]\n: b": "p.yaml:1: a key must be text",
    "system: x\n---\nsystem: y": "p.yaml:2: a second document begins here",
    "[" * 100_000: "p.yaml:1: nested deeper than 64 levels",
    "system: ääää\nmodel: \0\n\n\n\n\n": "p.yaml:2: the character U+0000 is not allowed",
    "parameters:\n  seed: 1" + "0" * 400: "p.yaml:2: seed: inf is not a finite number",
    "parameters:\n  seed: 1" + "0" * 299: "p.yaml:2: seed: 1000",
    "parameters:\n  grammar: '@none.gbnf'": "none.gbnf: no such file or directory",
    "parameters:\n  grammar: '@.'": ": is a directory",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_a_mistake_is_one_line_with_its_place(text: str, read: Any) -> None:
    with pytest.raises(PresetError) as caught:
        read(text)
    message = caught.value.message
    assert WRONG[text] in message
    assert message.startswith("p.yaml")
    assert "\n" not in message
    assert len(message) < 400


def test_every_number_is_refused_just_outside_its_interval(read: Any) -> None:
    for param in PARAMS.values():
        if isinstance(param.kind, Number) and param.kind.high is not None:
            value = int(param.kind.high) + 1
            message = f"^p.yaml:2: {param.name}: {value} is out of range"
            with pytest.raises(PresetError, match=message):
                read(f"parameters:\n  {param.name}: {value}")


def test_all_problems_of_a_file_are_found_from_top_to_bottom(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("sistem: x\nparameters:\n  top_k: -3\n  top_p: 0.5\n  top_p: 2\nmodel: 1\n")
    document, problems = examine(path, Source.PRESET, tmp_path)
    marks = [problem.mark for problem in problems]
    assert marks == [Mark(1, 1), Mark(3, 3), Mark(5, 3), Mark(6, 1)]
    assert values(document) == {"top_p": 0.5}


def test_a_configuration_file_may_be_empty_and_a_preset_not(read: Any) -> None:
    assert read("# nothing yet\n", Source.CONFIG).assignments == ()
    with pytest.raises(PresetError, match="empty"):
        read("# nothing yet\n", Source.PRESET)


def test_unreadable_files_are_named(read: Any, tmp_path: Path) -> None:
    where = r"^p.yaml: not UTF-8: byte 12 \(line 2\) is 0xff; convert it first"
    with pytest.raises(PresetError, match=where):
        read(b"system: x\n# \xff\n")
    with pytest.raises(PresetError, match=r"^p.yaml: larger than 1 MB$"):
        read("#" * 1_000_001)
    with pytest.raises(PresetError, match=r"^d: is a directory$"):
        (tmp_path / "d").mkdir()
        load(tmp_path / "d", Source.PRESET, tmp_path)
    with pytest.raises(PresetError, match=r"^none.yaml: no such file"):
        load(tmp_path / "none.yaml", Source.PRESET, tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(read: Any) -> None:
    document = read(b"\xef\xbb\xbfsystem: x\r\nparameters:\r\n  top_k: 3\r\n")
    assert (values(document), lines(document)) == ({"top_k": 3}, {"top_k": 3})


def test_files_named_with_at_are_read_from_beside_the_preset(read: Any, tmp_path: Path) -> None:
    (tmp_path / "yes.gbnf").write_text('root ::= "yes"')
    (tmp_path / "a.json").write_text('{"type": "object"}', encoding="utf-8-sig")
    document = read("parameters:\n  grammar: '@yes.gbnf'\n  json_schema: '@a.json'\n")
    assert values(document) == {"grammar": 'root ::= "yes"', "json_schema": {"type": "object"}}


def test_a_broken_schema_file_is_named_with_both_lines(read: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n"type": }')
    with pytest.raises(PresetError, match=r"p.yaml:2: json_schema: .*a.json: not JSON.*line 2"):
        read("parameters:\n  json_schema: '@a.json'\n")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("./x.gguf", "{here}/x.gguf"),
        ("x.gguf", "{here}/x.gguf"),
        ("../x.bin", "{above}/x.bin"),
        ("~/x.gguf", "{home}/x.gguf"),
        ("/x.gguf", "/x.gguf"),
        ("user/repo:Q4_K_M", "user/repo:Q4_K_M"),
        ("user/repo:x.gguf", "user/repo:x.gguf"),
        ("builtin", "builtin"),
    ],
)
def test_a_model_path_is_relative_to_the_file(
    written: str, meant: str, read: Any, tmp_path: Path
) -> None:
    home = os.path.expanduser("~")
    meant = meant.format(here=tmp_path, above=tmp_path.parent, home=home)
    assert read(f"model: {written}").model.text == meant


def test_lora_paths_are_relative_to_the_file_and_keep_their_scale(
    read: Any, tmp_path: Path
) -> None:
    document = read("parameters:\n  lora: [a.gguf, ./b.gguf:0.5, /c.gguf]\n")
    assert values(document)["lora"] == [f"{tmp_path}/a.gguf", f"{tmp_path}/b.gguf:0.5", "/c.gguf"]


def test_files_outside_the_working_directory_are_shown_with_home_or_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home" / "p.yaml"
    path.parent.mkdir()
    path.write_text("system: x")
    assert load(path, Source.CONFIG, tmp_path / "work").place == str(path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load(path, Source.CONFIG, tmp_path / "work").place == "~/p.yaml"


YAML_LIKE = st.text(alphabet=" \n\t:-#'\"[]{},&*!|>?%@`.~0123abeE\0é\u2028\U0001f600", max_size=80)
PRESET_LIKE = st.lists(
    st.sampled_from(
        ["parameters:", "  top_k: ", "  stop: ", "  logit_bias: ", "  json_schema: ", "system: ",
         "extends: ", "- ", "{", "}", "[", "]", "'", '"', "1", "-1e999", "nan", ".nan", "null",
         "@x", "a: b", "\n", "\n", "\n  ", "0x", "1_000", "2024-99-99", "12:30:45", "<<", "="]
    )
).map("".join)  # fmt: skip


@given(st.one_of(YAML_LIKE.map(str.encode), PRESET_LIKE.map(str.encode), st.binary(max_size=60)))
@example(b"a: 2024-99-99")
@example(b"\xef\xbb\xbf")
@example(b"{? a")
def test_no_text_raises_anything_but_a_preset_error_of_one_line(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "p.yaml"
        path.write_bytes(data)
        _, problems = examine(path, Source.PRESET, Path(name))
    for problem in problems:
        message = problem.error("p.yaml").message
        assert message.startswith("p.yaml:")
        assert len(message.splitlines()) == 1


NAMES = [name for name, param in PARAMS.items() if isinstance(param.kind, Number)]
FILLERS = st.lists(st.sampled_from(["", "  # a comment: with: colons", "   "]), max_size=3)


@given(st.lists(st.tuples(FILLERS, st.sampled_from(NAMES)), unique_by=lambda item: item[1]))
def test_every_value_knows_its_line(entries: list[tuple[list[str], str]]) -> None:
    text, expected = ["system: |", "  a text", "", "  of some lines", "parameters:"], {}
    for fillers, name in entries:
        text += [*fillers, f"  {name}: {PARAMS[name].default}"]
        expected[name] = len(text)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "p.yaml"
        path.write_text("\n".join(text))
        document = load(path, Source.PRESET, Path(directory))
    assert lines(document) == expected
    assert values(document) == {name: PARAMS[name].default for name in expected}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_as_it_is_written(number: float) -> None:
    assert scalar(repr(number)) == number


@given(st.integers(-(10**299), 10**299))
def test_an_integer_is_read_as_it_is_written(number: int) -> None:
    assert scalar(str(number)) == number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("1e-3", 0.001), ("012", 12), ("0x1F", 31), ("0o17", 15),
        ("1_000", "1_000"), ("12:30", "12:30"), ("2024-01-01", "2024-01-01"), ("~", None),
        ("True", True), (".5", 0.5), ("-.inf", -math.inf), (".", "."), ("-", "-"), ("1.", 1.0),
        ("\u0661", "\u0661"),
    ],
)  # fmt: skip
def test_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_a_prompt_is_a_template_with_variables(read: Any) -> None:
    document = read(
        "prompt: 'To {{ language }}: {{ input }}'\nvariables: {language: Thai, n: 2, x: }"
    )
    assert document.prompt.text == "To {{ language }}: {{ input }}"
    texts = {name: placed and placed.text for name, placed in document.variables.items()}
    assert texts == {"language": "Thai", "n": "2", "x": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt: '{{ input'", "p.yaml:1: prompt: not a Jinja template: "),
        ("variables: x", "p.yaml:1: variables: not a mapping"),
        ("variables: {input: x}", "'input' cannot be a variable's name"),
        ("variables: {a b: x}", "'a b' cannot be a variable's name"),
        ("variables: {a: [1]}", "a must be one text"),
        ("presets: {}", "unknown key 'presets'"),
        ("tests: x", "tests: not a list"),
        ("tests: [x]", "test 1 is not a mapping"),
        ("tests: [{input: x}]", "test 1 has no `expect:`"),
        ("tests: [{expect: {}}]", "expect: not a mapping"),
        ("tests: [{expect: {contain: x}}]", "unknown key 'contain'; did you mean contains?"),
        ("tests: [{expect: {json: false}}]", "json: False means nothing here"),
        ("tests: [{expect: {matches: '('}}]", "matches: not a regular expression"),
        (
            "tests: [{expect: {schema: {properties: {a: {type: txt}}}}}]",
            "schema: not a JSON Schema: 'txt' is not valid under any",
        ),
        (
            "tests: [{expect: {schema: a.json}}]",
            "schema: 'a.json' is not a JSON Schema: not a mapping",
        ),
        ("tests: [{expect: {schema: {pattern: (}}}]", "'(' is not a 'regex' ($.pattern)"),
        ("tests: [{expect: {schema: 5}}]", "schema: 5 is not a JSON Schema"),
        ("tests: [{expect: {schema: {$schema: []}}}]", "schema: not a JSON Schema: "),
        ("tests: [{expect: {stop: end}}]", "stop: 'end' is not a stop reason"),
        ("tests: [{expect: {tokens: 5}}]", "tokens: not an interval; write {min: …, max: …}"),
        ("tests: [{expect: {first: {min: 1}}}]", "first: text is missing"),
        ("tests: [{seeds: 0, expect: {json: true}}]", "seeds: 0 is not a whole number from 1"),
        (
            "tests: [{seeds: 2, at_least: 3, expect: {json: true}}]",
            "at_least is 3, and there are 2",
        ),
    ],
)
def test_slips_in_prompts_and_tests_are_told(text: str, message: str, read: Any) -> None:
    with pytest.raises(PresetError) as caught:
        read(text)
    assert message in caught.value.message


def test_a_presets_tests_are_read(read: Any) -> None:
    [case] = read(
        "tests:\n"
        "  - name: both\n    file: a.txt\n    seeds: 20\n    at_least: 19\n"
        "    expect: {contains: [a, b], stop: max-tokens, tokens: {max: 9},\n"
        "      first: {text: A, min: 0.5}}"
    ).tests
    assert (case.name, case.file.name, len(case.seeds), case.at_least) == ("both", "a.txt", 20, 19)
    assert case.expect["contains"] == ("a", "b")
    assert case.expect["tokens"].holds(9) and not case.expect["tokens"].holds(10)
    assert str(case.expect["first"]) == "at least 0.5"


def test_a_project_file_with_presets_is_checked_with_them(read: Any) -> None:
    assert read("presets: {a: {system: x}}", Source.PROJECT).system is None
    with pytest.raises(PresetError, match=r"p.yaml:1: top_k: -3 is out of range"):
        read("presets: {a: {parameters: {top_k: -3}}}", Source.PROJECT)
    with pytest.raises(PresetError, match="'a/b' cannot be a preset's name"):
        read("presets: {a/b: {system: x}}", Source.PROJECT)

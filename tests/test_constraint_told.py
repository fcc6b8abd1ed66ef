"""What a constraint did, and what it cannot do, is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from asked import ends, raw
from browser import browser, opened
from program import Done, Program

from llmparams_cli.backends.llama.sampling.phases import Phases
from llmparams_cli.constraints import shortest, shortest_json
from llmparams_cli.constraints.checking import schema_check, validity
from llmparams_cli.jobs import judging
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.protocol import Finished, Stop, StopReason, Timing, Usage
from llmparams_cli.render.explanation.view import ruling_text
from llmparams_cli.trace import Ruling

BEGINNING = "Once upon a time"


def explained(program: Program, *flags: str) -> dict[str, Any]:
    document: dict[str, Any] = program.call(
        "explain", BEGINNING, "--seed", "3", "--json", *flags
    ).json
    return document


# -- the grammar's part in every draw ----------------------------------------------------------


def test_explain_tells_what_the_grammar_removed_and_what_it_had(program: Program) -> None:
    flags = ("--grammar", 'root ::= "a" | "n"', "-n", "1", "--top", "1000")
    token = explained(program, *flags)["tokens"][0]
    ruling, model = token["grammar"], token["stages"][0]
    own = {
        candidate["text"]: p
        for candidate, p in zip(token["candidates"], model["probabilities"], strict=True)
    }
    assert ruling["left"] == 2 and ruling["removed"] == model["kept"] - 2
    assert ruling["probability"] == pytest.approx(1 - own["a"] - own["n"], abs=1e-9)
    kept = [c["id"] for c in token["candidates"] if c["text"] in ("a", "n")]
    assert set(ruling["removes"]) == {c["id"] for c in token["candidates"]} - set(kept)


def test_a_draw_that_the_grammar_allows_has_its_part_beside_it(program: Program) -> None:
    free = explained(program, "-n", "6")
    ruled = explained(program, "-n", "6", "--grammar", "root ::= [A-Za-z ,.]*")
    assert ruled["text"] == free["text"]
    for token, other in zip(ruled["tokens"], free["tokens"], strict=True):
        assert token["stages"] == other["stages"]
        assert "grammar" not in other
        assert not token["grammar"]["decided"] and token["grammar"]["removed"] > 100
    assert "grammar" not in free
    assert ruled["grammar"]["draws"] == 6 and ruled["grammar"]["decided"] == []


def test_draws_that_the_grammar_decided_and_forced_are_counted(program: Program) -> None:
    flags = ("--grammar", 'root ::= "a" "Q" [0-9]', "-n", "8")
    document = explained(program, *flags)
    first, second, *_, end = document["tokens"]
    assert first["grammar"]["decided"] and first["stages"][1]["name"] == "grammar"
    assert document["grammar"]["decided"][0] == 1
    assert second["grammar"]["left"] == 1 and end["is_end"]
    assert document["grammar"]["forced"] == [1, 2, end["number"]]
    decided, forced = (len(document["grammar"][name]) for name in ("decided", "forced"))
    told = program.call("explain", BEGINNING, "--seed", "3", *flags).text
    counted = (
        f"the grammar decided {decided} of {len(document['tokens'])} draws and forced {forced};"
    )
    assert counted in told
    assert "forbidden" in told.splitlines()[0] and "forced" in told.splitlines()[2]
    assert "grammar" in told.splitlines()[1].split()


def test_one_draw_names_what_the_grammar_forbade(program: Program) -> None:
    flags = ("--grammar", 'root ::= "a" "b"', "--at", "1", "--seed", "3")
    told = program.call("explain", BEGINNING, *flags).text
    size = explained(program, "-n", "1")["tokens"][0]["stages"][0]["kept"]
    assert re.search(rf"forbade \d+ of {size} tokens, which had [\d.]+% together; ", told)
    assert '"!' in told and "! the grammar forbade" in told


def test_the_first_draw_and_the_average_are_told(program: Program) -> None:
    ruling = Ruling(8, 0.25, 2, False, True, frozenset())
    assert ruling_text(ruling, 10).endswith("; the first draw was one of them")
    assert ruling_text(replace(ruling, decided=False), 10).endswith("was none of them")
    document = explained(program, "--grammar", 'root ::= "a" "Q" [0-9]', "-n", "3")
    shares = [token["grammar"]["probability"] for token in document["tokens"]]
    assert document["grammar"]["probability"] == pytest.approx(sum(shares) / 3, abs=1e-6)


def test_thoughts_are_not_the_grammars_business(backend) -> None:
    """Where it has no say, nothing is told; and without a grammar neither."""
    (finished,) = ends(backend, [raw("x", record=True, max_tokens=3)])
    with closing(finished.trace) as trace:
        assert [view.grammar for view in trace.views(1, lambda _: None)] == [None] * 3


def test_generate_computes_no_mask_for_it(backend, monkeypatch) -> None:
    masks = []
    whole = Phases.left
    monkeypatch.setattr(Phases, "left", lambda self, row: masks.append(1) or whole(self, row))
    grammar = "root ::= [A-Za-z ,.]*"
    (finished,) = ends(
        backend, [raw(BEGINNING, record=True, max_tokens=6, grammar=grammar, seed=3)]
    )
    drawn = len(masks)
    with closing(finished.trace) as trace:
        views = list(trace.views(1, lambda _: None))
    assert drawn == sum(view.grammar.decided for view in views) < 6
    assert len(masks) >= drawn + 6


@browser
def test_the_page_tells_the_grammars_part(program: Program) -> None:
    place = program.place / "page.html"
    flags = ("--grammar", 'root ::= "a" "Q" [0-9]', "-n", "8", "--seed", "3")
    assert program.call("explain", BEGINNING, *flags, "--html", str(place)).code == 0
    dom = opened(place.read_text(encoding="utf-8"), program.place)
    assert re.search(r'id="ruled">The grammar decided \d of \d draws', dom)
    assert re.search(r"The grammar forbade \d+ of \d+ tokens, which had [\d.]+% together", dom)
    assert "</bdi> forbidden" in dom


# -- is the answer valid? ----------------------------------------------------------------------

UNIQUE = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True}},
    "required": ["a"],
}


def scripted(program: Program, text: str, schema: Any, *flags: str) -> Done:
    """The answer `text` of a backend that follows no grammar."""
    (program.place / "script.yaml").write_text(json.dumps({"answers": [{"text": text}]}))
    asked = ("-m", "scripted:script.yaml", "--json-schema", json.dumps(schema))
    return program.call("generate", "x", *asked, *flags)


@pytest.mark.parametrize(
    ("text", "schema", "fault"),
    [
        ('{"a": [1, 2]}', UNIQUE, ""),
        ('{"a": [1, 1]}', UNIQUE, "$.a: [1, 1] has non-unique elements"),
        ('{"a": {"b": 3}}', {"properties": {"a": {"properties": {"b": {"minimum": 5}}}}},
         "$.a.b: 3 is less than the minimum of 5"),
        ("1.0", {"type": "integer"}, ""),
        ("1.5", {"type": "integer"}, "$: 1.5 is not of type 'integer'"),
        ("1" * 5000, {"type": "integer"}, ""),
        ("0.3", {"multipleOf": 0.1}, ""),
        ("12.50", {"maximum": 12.25}, "$: 12.50 is greater than the maximum of 12.25"),
        ("1e400", {"maximum": 100}, "$: 1E+400 is greater than the maximum of 100"),
        ("NaN", True, "'NaN' is not JSON: NaN is no JSON value"),
        ('{"a": 1, "a": 2}', True, "$: an object has the name 'a' twice"),
        (" 1 \n", {"const": 1.0}, ""),
        ("1 2", True, "'1 2' is not JSON: Extra data"),
        ('"2024-02-30"', {"format": "date"}, "$: \"2024-02-30\" is not a 'date'"),
        ('"2017-01-01T00:59:60+01:00"', {"format": "date-time"}, ""),
        ('"12:00"', {"format": "time"}, "$: \"12:00\" is not a 'time'"),
        ('"a\\n"', {"pattern": "^a$"}, "does not match '^a$'"),
        ('"\\u00fc1"', {"pattern": r"^\p{L}\d$"}, ""),
        ('"\\u0661"', {"pattern": r"^\d$"}, "does not match"),
        ('"_-"', {"pattern": r"^[\w-.]{2}$"}, ""),
        ('"`"', {"pattern": r"^[\w-.]$"}, "does not match"),
        ('"fox@example.org"', {"format": "email"}, ""),
        ('"fox@@example.org"', {"format": "email"}, "is not a 'email'"),
        ('"a_b.org"', {"format": "hostname"}, "is not a 'hostname'"),
        ('"["', {"format": "regex"}, "is not a 'regex'"),
        ('"(?<a>x)\\\\1"', {"format": "regex"}, ""),
        ('"\u6f22"', {"pattern": r"^\p{Script=Han}$"}, ""),
        ('"a"', {"pattern": r"^\p{Script=Han}$"}, r"does not match '^\\p{Script=Han}$'"),
        ('"\u00c9Y"', {"pattern": r"(?i)^\u00e9(y|n)$"}, ""),
        ('{"X": 1}', {"patternProperties": {"(?i)^x": {"type": "null"}}}, "$.X: 1 is not of"),
        ('"2024"', {"pattern": r"^(?<year>\d{4})\b$"}, ""),
        ('{"ab": 1}', {"patternProperties": {"^a$": True}, "additionalProperties": False},
         "$: 'ab' does not match any of the regexes: '^a$'"),
        ('"1a"', {"pattern": r"^[\P{L}a]{2}$"}, ""),
        ('"1b"', {"pattern": r"^[\P{L}a]{2}$"}, "does not match"),
        ("5", {"minimum": 5, "exclusiveMinimum": True}, "$: 5 is less than or equal"),
        ('"ü@bücher.example"', {"format": "idn-email"}, ""),
        ("1e20000", {"multipleOf": 3}, "$: cannot be checked: a number is too large"),
        ('{"pattern": "\\\\p{L}"}', {"const": {"pattern": r"\p{L}"}}, ""),
        ("[1, 2]", {"items": [{"type": "integer"}, {"type": "string"}]},
         "$[1]: 2 is not of type 'string'"),
    ],
)  # fmt: skip
def test_json_says_whether_the_answer_is_valid(
    text: str, schema: Any, fault: str, program: Program
) -> None:
    found = scripted(program, text, schema, "--json").json
    assert found["valid"] is (not fault)
    assert found.get("invalid", "").startswith(fault) or fault in found["invalid"]
    assert ("invalid" in found) is bool(fault)


@pytest.mark.parametrize(
    "schema",
    [
        {"minimum": "3"},
        {"type": "txt"},
        {"$ref": "#/none"},
    ],
)
def test_what_cannot_be_checked_is_not_called_valid(schema: Any) -> None:
    assert schema_check.fault("1", schema).startswith("$: ")


def test_a_schema_is_checked_without_what_services_wrap_it_in(program: Program) -> None:
    wrapped = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"minimum": 5}}}
    settings = resolve([Assignment("json_schema", wrapped, Origin(Source.FLAG, "test"))])
    assert validity.verdict("3", settings)["invalid"] == "$: 3 is less than the minimum of 5"
    assert validity.verdict("7", settings) == {"valid": True}
    old = {"$schema": "http://json-schema.org/draft-03/schema#"}
    required = {**old, "properties": {"a": {"required": True}}}
    assert validity.unwrapped(required) == required


@pytest.mark.parametrize("flags", [("-n", "4"), ("--stop", "[")], ids=" ".join)
def test_an_answer_that_was_cut_says_so(flags: tuple[str, ...], program: Program) -> None:
    done = program.call("generate", "x", "--json-schema", json.dumps(UNIQUE), "--json", *flags)
    assert done.json["valid"] is False and "is not JSON" in done.json["invalid"]
    *_, end = program.call(
        "generate", "x", "--json-schema", json.dumps(UNIQUE), "--stream-json", *flags
    ).text.splitlines()
    assert json.loads(end)["valid"] is False


def test_without_a_schema_nothing_is_said(program: Program) -> None:
    assert "valid" not in program.call("generate", "x", "-n", "2", "--json").json


def test_compare_and_explain_judge_every_answer(program: Program) -> None:
    (program.place / "a.json").write_text('{"const": "a"}')
    grids = ("--grid", "json_schema=@a.json,none", "-n", "8", "--json")
    one, other = program.call("compare", "x", *grids).json["variants"]
    assert one["samples"][0]["valid"] is True and "valid" not in other["samples"][0]
    assert explained(program, "--json-schema", '{"const": "a"}', "-n", "8")["valid"] is True


def test_text_that_is_not_valid_is_warned_of(program: Program) -> None:
    told = "the answer is not valid under json_schema: "
    assert f"{told}$.a: [1, 1] has non-unique elements" in (
        scripted(program, '{"a": [1, 1]}', UNIQUE).stderr
    )
    assert told not in scripted(program, '{"a": [1, 2]}', UNIQUE).stderr
    twice = scripted(program, '{"a": [1], "a": [2]}', UNIQUE)
    assert f"{told}$: an object has the name 'a' twice" in twice.stderr
    cut = program.call("generate", "x", "--json-schema", '{"const": "abcdef"}', "-n", "1")
    assert f"{told}it was cut off (max-tokens)" in cut.stderr


def test_an_answer_that_was_interrupted_is_not_judged() -> None:
    settings = resolve([Assignment("json_schema", {"const": "a"}, Origin(Source.FLAG, "test"))])
    usage, timing = Usage(1, 1), Timing(0, 0, 0, 0)
    told = {
        reason: judging.invalid(Finished('"', Stop(reason, ""), usage, timing), settings)
        for reason in (StopReason.INTERRUPTED, StopReason.MAX_TOKENS)
    }
    assert told[StopReason.INTERRUPTED] == ""
    assert told[StopReason.MAX_TOKENS] == "it was cut off (max-tokens)"


def test_compare_and_explain_warn_too(program: Program) -> None:
    schema = ("--json-schema", '{"const": "abcdef"}', "--seed", "1", "-q")
    quiet = program.call("explain", "x", *schema, "-n", "1")
    assert "not valid" not in quiet.stderr
    schema = schema[:-1]
    told = "the answer is not valid under json_schema: it was cut off (max-tokens)"
    assert told in program.call("explain", "x", *schema, "-n", "1").stderr
    done = program.call("compare", "x", *schema, "--grid", "max_tokens=1,2,20")
    assert "2 of 3 answers are not valid under json_schema: it was cut off" in done.stderr


def test_a_grammar_that_follows_all_of_a_schema_needs_no_check(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading jsonschema takes longer than many an answer."""
    asked = []
    monkeypatch.setattr(schema_check, "fault", lambda *_: asked.append(1) or "")
    schema = ("--json-schema", '{"const": "a"}')
    assert program.call("generate", "x", *schema).text == '"a"\n' and not asked
    assert program.call("generate", "x", *schema, "--json").json["valid"] and asked


# -- can it come to an end at all? ---------------------------------------------------------------

LONG = '{"type": "string", "minLength": 900}'
FORTY = '{"type": "string", "minLength": 40}'
NODE = {
    "type": "object",
    "required": ["v", "next"],
    "properties": {"v": {"enum": [100, 20]}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "minLength": 3}, '"aaa"'),
        (NODE, '{"v":20,"next":null}'),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"required": ["n"], "type": "object",
                                               "properties": {"n": {"$ref": "#/$defs/n"}}}}}, None),
        ({"type": "array", "minItems": 3, "items": {"type": "boolean"}}, "[true,true,true]"),
        ({"type": "array", "prefixItems": [{"const": "ab"}], "minItems": 2}, '["ab",0]'),
        ({"type": "array", "contains": {"const": 7}}, "[7]"),
        ({"type": "integer", "exclusiveMaximum": -99}, "-100"),
        ({"type": ["string", "integer"]}, "0"),
        ({"type": "string", "pattern": r"^[a-z]{5}-(\d{2}|x)$"}, '"aaaaa-x"'),
        ({"type": "string", "format": "date"}, '"2000-01-01"'),
        ({"allOf": [{"type": "string", "minLength": 4}, {"type": "string"}]}, '"aaaa"'),
        ({"oneOf": [False, {"type": "null"}]}, "null"),
        ({"$ref": "#n", "x": {"$anchor": "n", "const": "ab"}}, '"ab"'),
        ({"required": ["a"]}, "0"),
        ({"type": "object", "minProperties": 2}, '{"":0,"":0}'),
        ({"$ref": "https://example.org/x"}, None),
        ({"type": "txt"}, None),
        (False, None),
        ({"type": "object", "patternProperties": {"^a": True}, "additionalProperties": False,
          "required": ["ab"]}, '{"ab":0}'),
        ({"type": "string", "pattern": r"^(ab|cde)\1$"}, '"abab"'),
        ({"type": "string", "minLength": 10**7}, '"' + "a" * 100_000 + '"'),
        # What multiplies is looked at only so far.
        ({"type": "string", "pattern": "^(a{50000}){50000}$"}, '"' + "a" * 100_000 + '"'),
        ({"type": "string", "pattern": "^((a?){90000}){90000}$"}, '""'),
        ({"type": "object", "required": ["a", "b"],  # b is none within a, but by itself
          "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/$defs/b"}},
          "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"const": "xx"}]},
                    "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}, '{"a":"xx","b":"xx"}'),
    ],
)  # fmt: skip
def test_a_shortest_text_of_a_schema(schema: Any, text: str | None) -> None:
    assert shortest_json.shortest(schema, len, "a", (",", ":")) == text


def fewest(schema: Any, cost: Callable[[str], int]) -> int | None:
    settings = resolve([Assignment("json_schema", schema, Origin(Source.FLAG, "test"))])
    return shortest.fewest(settings, cost, 3)


def test_the_fewest_tokens_are_those_of_any_spacing_and_any_characters() -> None:
    ones = {"type": "array", "minItems": 30, "items": {"const": 1}}
    assert fewest(ones, len) == 61
    # Where characters are free, others might have fewer: a fifth is taken off.
    assert fewest({"type": "string", "minLength": 40}, len) == 42
    assert fewest({"type": "string", "minLength": 40}, lambda t: len(t) + t.count("0")) == 33


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ("--json-schema", FORTY, "-n", "3"),
            "json_schema admits has at least 5 tokens: max_tokens 3 cuts it",
        ),
        (("--json-schema", FORTY, "-n", "90"), ""),
        (("--json-schema", LONG, "-n", "-1", "--context", "40"), "leaves in the context cuts it"),
        (("--json-schema", '{"const": "fox"}', "-n", "2"), "max_tokens 2 cuts it"),
        (("--json-schema", '{"enum": ["a long story", "fox"]}', "-n", "8"), ""),
        (("--json-schema", '{"type": ["string", "null"], "minLength": 90}', "-n", "5"), ""),
        (("--grammar", 'root ::= "Once upon a time" [a-z]{20}', "-n", "4"), "grammar admits has"),
        (("--grammar", "root ::= [a-z]{20} | [0-9]+", "-n", "4"), ""),
        (("--regex", "Once upon a (time|hill), .{20}", "-n", "4"), "regex admits has"),
        (("--regex", "[a-z]{20}|[0-9]+", "-n", "4"), ""),
        (("--regex", r"\p{Script=Han}{9}", "-n", "1"), ""),
        (("--regex", "(?i)YES", "-n", "1"), ""),
        (("--choice", "Once upon a time", "-n", "1"), "choices admit has at least"),
        (("--choice", "Once upon a time", "--choice", "no", "-n", "4"), ""),
        (("-n", "1"), ""),
    ],
)
def test_what_cannot_come_to_an_end_is_told_before_it_begins(
    flags: tuple[str, ...], told: str, program: Program
) -> None:
    done = program.call("generate", "x", *flags)
    assert done.code == 0
    assert told in done.stderr and ("the shortest answer" in done.stderr) is bool(told)
    if told:
        assert done.stderr.index("the shortest answer") < done.stderr.index("was cut off")


def test_the_shortest_answer_fits_where_nothing_is_told(program: Program) -> None:
    """The count is that of the model's own tokens: with so many the answer does end."""
    schema = '{"const": "a fox and a bear"}'
    told = program.call("generate", "x", "--json-schema", schema, "-n", "1").stderr
    count = int(re.search(r"at least (\d+) tokens", told)[1])
    flags = ("--json-schema", schema, "--temperature", "0")
    done = program.call("generate", "x", *flags, "-n", str(count + 5), "--json")
    assert done.json["valid"] and done.json["usage"]["completion_tokens"] >= count
    assert "the shortest answer" not in done.stderr
    assert (
        "the shortest answer" in program.call("generate", "x", *flags, "-n", str(count - 1)).stderr
    )
    assert (
        "the shortest answer" not in program.call("generate", "x", *flags, "-n", str(count)).stderr
    )


def test_rows_of_a_batch_are_told_once(program: Program) -> None:
    rows = [{"prompt": f"{n}", "schema": json.loads(FORTY)} for n in range(3)]
    (program.place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = program.call("batch", "rows.jsonl", "-n", "3", "-o", "out.jsonl")
    assert done.stderr.count("the shortest answer that json_schema admits") == 1


def test_a_chat_warns_of_every_answer_that_is_not_valid(program: Program) -> None:
    flags = ("--json-schema", '{"const": "abcdef"}', "-n", "1")
    done = program.call("chat", "--no-save", *flags, stdin=b"x\ny\n")
    assert done.stderr.count("the answer is not valid under json_schema: it was cut off") == 2


def test_arrays_that_multiply_are_looked_at_only_so_far() -> None:
    nested: Any = {"type": "string", "minLength": 10**5}
    for _ in range(4):
        nested = {"type": "array", "items": nested, "minItems": 10**5}
    text = shortest_json.shortest(nested, len, "a", (",", ":"))
    assert text is not None and 10**5 < len(text) < 10**6

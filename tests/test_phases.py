"""Values for the time in which a model thinks: how layers of them merge, where they are shown."""

from __future__ import annotations

import json
import shlex
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from presets_world import world, write
from program import Done, Program

from llmparams_cli.errors import ExitCode, LlmparamsError
from llmparams_cli.formats import WRITTEN, Exported
from llmparams_cli.formats import write as exported
from llmparams_cli.params.conflicts import inert
from llmparams_cli.params.settings import (
    Assignment,
    Origin,
    Settings,
    Source,
    differences,
    resolve,
)
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.schema import preset_schema

NAMES = ("temperature", "top_p", "top_k")
DEFAULTS = {name: PARAMS[name].default for name in NAMES}
QWEN = """\
parameters:
  temperature: 0.7
  top_p: 0.8
thinking:
  temperature: 0.6
  top_p: 0.95
"""
SCRIPT = """\
answers:
  - text: "<think>I add.</think>Four."
"""
MODEL = ("-m", "scripted:says.yaml", "--preset", "two.yaml")

Layer = tuple[dict[str, float], dict[str, float]]  # for both times, and for thinking alone
VALUES = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from([0.25, 0.5, 0.75, 1.0]), max_size=3
)
WHOLE = VALUES.map(lambda found: {n: int(v * 4) if n == "top_k" else v for n, v in found.items()})
LAYERS = st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=5)


def expected(layers: list[Layer]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rule: from the highest layer down, the first value that counts at that time."""
    answer, thoughts = dict(DEFAULTS), dict(DEFAULTS)
    for name in NAMES:
        for both, _ in reversed(layers):
            if name in both:
                answer[name] = both[name]
                break
        for both, alone in reversed(layers):
            if name in alone or name in both:
                thoughts[name] = alone.get(name, both.get(name))
                break
    return answer, thoughts


def found(resolved: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    return tuple({n: each[n] for n in NAMES} for each in (resolved, resolved.thinking))


def assignments(layers: list[Layer]) -> list[Assignment]:
    return [
        Assignment(name, value, Origin(Source.PRESET, f"{number}"), when_thinking)
        for number, layer in enumerate(layers)
        for when_thinking, values in zip((False, True), layer, strict=True)
        for name, value in values.items()
    ]


@given(layers=LAYERS)
def test_layers_and_phases_merge_by_the_rule(layers):
    given = assignments(layers)
    resolved = resolve(given)
    assert found(resolved) == expected(layers)
    one_by_one = resolve([])
    for each in given:
        one_by_one = one_by_one.but(each)
    assert list(one_by_one.both) == list(resolved.both)


@given(layers=LAYERS)
def test_a_setting_for_thinking_alone_is_one_that_was_given_so(layers):
    resolved = resolve(assignments(layers))
    for setting in resolved.only_thinking:
        number = int(setting.origin.name)
        name = setting.param.name
        assert layers[number][1][name] == setting.value
        assert all(name not in both for both, _ in layers[number + 1 :])
    # All that is below is told, each once.
    for name in NAMES:
        alone = [each for each in resolved.only_thinking if each.param.name == name]
        below = (alone or [resolved.setting(name)])[0].overrode
        count = sum((name in both) + (name in alone) for both, alone in layers)
        assert len({(b.origin, b.when_thinking) for b in below}) == len(below) <= count
        assert bool(below) == bool(count)


@given(layers=LAYERS)
def test_what_differs_is_told_with_the_values_of_both_times(layers):
    one, other = resolve(assignments(layers[:1])), resolve(assignments(layers))
    told = {name: (a.value, b.value) for name, a, b in differences(one, other)}
    (answer, thoughts), (answer_2, thoughts_2) = found(one), found(other)
    for name in NAMES:
        if answer[name] != answer_2[name]:
            assert told.pop(name) == (answer[name], answer_2[name])
        pair = told.pop(f"thinking.{name}", None)
        if pair:
            assert pair == (thoughts[name], thoughts_2[name])
        elif thoughts[name] != thoughts_2[name]:  # both share the value of the answer
            assert (thoughts[name], thoughts_2[name]) == (answer[name], answer_2[name])
    assert not told


@given(layers=st.lists(st.tuples(WHOLE, WHOLE), min_size=5, max_size=5))
@settings(max_examples=25, deadline=None)
def test_files_and_flags_merge_by_the_rule(tmp_path_factory, layers):
    root = tmp_path_factory.mktemp("world")
    places = (
        "config/config.yaml",
        "project/llmparams.yaml",
        "project/parent.yaml",
        "project/p.yaml",
    )
    for place, (both, alone) in zip(places, layers, strict=False):
        keys = {"parameters": both, "thinking": alone, "description": "x"}
        if place.endswith("/p.yaml"):
            keys["extends"] = "./parent.yaml"
        # The order of keys in a file does not matter.
        write(root, {place: yaml.safe_dump({k: v for k, v in keys.items() if v != {}})})
    both, alone = layers[4]
    flags: dict[str, Any] = {
        "when_thinking": [f"{name}={value}" for name, value in alone.items()],
        **{name: str(value) for name, value in both.items()},
    }
    gathered = gather(world(root), ["./p.yaml"], flags)
    assert found(resolve(gathered.assignments)) == expected(layers)


def test_a_setting_can_be_replaced_in_its_own_phase_alone():
    two = resolve(assignments([({"top_p": 0.8, "top_k": 5}, {"top_p": 0.9})]))
    [alone] = two.only_thinking
    here = Origin(Source.FLAG)
    in_answer = two.at(two.setting("top_p"), 0.5, here)
    assert (in_answer["top_p"], in_answer.thinking["top_p"]) == (0.5, 0.9)
    in_thoughts = two.at(alone, 0.5, here)
    assert (in_thoughts["top_p"], in_thoughts.thinking["top_p"]) == (0.8, 0.5)
    shared = two.at(two.setting("top_k"), 7, here)
    assert (shared["top_k"], shared.thinking["top_k"]) == (7, 7)


BAD = {
    "thinking:\n  temprature: 0.6": "unknown parameter 'thinking.temprature'; did you mean thinki",
    "thinking:\n  enable_thinking: true": "; did you mean thinking?",
    "thinking:\n  top_p: 2": "thinking.top_p: 2 is out of range",
    "thinking:\n  thinking.top_p: 0.2": "thinking.top_p: it is written as top_p, under `thinking:`",
    "parameters:\n  thinking.top_p: 1": "thinking.top_p: it is written as top_p, under `thinking:`",
    "thinking.top_p: 0.2": "thinking.top_p: it is written as top_p, under `thinking:`",
    "thinking: on": "thinking: not a mapping such as `temperature: 0.2`",
    "thinking: [1]": "thinking: not a mapping",
}


@pytest.mark.parametrize(("text", "reason"), BAD.items())
def test_what_a_file_says_wrongly_of_thinking_is_told_with_its_line(tmp_path, text, reason):
    env = world(tmp_path, {"project/p.yaml": f"description: x\n{text}\n"})
    with pytest.raises(LlmparamsError) as caught:
        gather(env, ["./p.yaml"])
    line = 2 if "\n" not in text else 3
    assert caught.value.message.startswith(f"p.yaml:{line}: ")
    assert reason in caught.value.message


@pytest.mark.parametrize("param", PARAMS.values(), ids=lambda param: param.name)
def test_the_schema_and_the_program_agree_on_what_has_phases(tmp_path, param):
    of_the_whole = {"seed", "grammar", "json_schema", "regex", "choices", "penalize_prompt"}
    assert param.by_phase == (param.scope.value == "sampling" and param.name not in of_the_whole)
    value = param.kind.to_json(param.default)
    preset = {"description": "x", "thinking": {param.name: value}}
    env = world(tmp_path, {"project/p.yaml": json.dumps(preset)})
    is_known = param.name in preset_schema()["properties"]["thinking"]["properties"]
    assert is_known == param.by_phase
    if param.by_phase:
        jsonschema.validate(preset, preset_schema())
        [given] = gather(env, ["./p.yaml"]).assignments
        assert (given.name, given.when_thinking) == (param.name, True)
        return
    instead = {"max_tokens": "max_thinking_tokens"}.get(param.name, param.name)
    with pytest.raises(LlmparamsError, match=f"{param.name} cannot have a value of its") as caught:
        gather(env, ["./p.yaml"])
    assert caught.value.hint == f"put {instead} under `parameters:`"


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("max_tokens=4", "max_tokens cannot have a value of its own while the model thinks"),
        ("tpo_p=0.4", "--when-thinking: unknown parameter 'tpo_p'; did you mean top_p?"),
        ("top_p", "--when-thinking 'top_p' has no ="),
        ("top_p=2", "--when-thinking top_p: 2 is out of range: from 0 to 1"),
    ],
)
def test_a_wrong_flag_is_one_line(program: Program, flag: str, reason: str) -> None:
    done = program.call("generate", "hi", "--when-thinking", flag)
    assert reason in done.complaint(2)


def test_the_names_that_are_shown_lead_to_the_parameter(program: Program) -> None:
    assert program.call("params", "thinking.top_p").text.startswith("top_p\n")


def two(program: Program) -> Program:
    (program.place / "two.yaml").write_text(QWEN)
    (program.place / "says.yaml").write_text(SCRIPT)
    return program


def shown(program: Program, *arguments: str) -> dict[str, Any]:
    done = program.call("generate", "--show-params", "--json", *arguments)
    assert done.code == 0, done.stderr
    parameters: dict[str, Any] = done.json["parameters"]
    return parameters


def test_every_value_is_shown_with_its_origin(program: Program) -> None:
    plain = shown(two(program))
    assert list(plain) == list(PARAMS)
    found = shown(
        program, "-p", "two.yaml", "--when-thinking", "top-k=7", "--when-thinking", "top_k=9"
    )
    assert set(found) - set(plain) == {f"thinking.{n}" for n in NAMES}
    assert found["thinking.temperature"] == {
        "value": 0.6,
        "origin": "preset two.yaml:5",
        "overrode": [
            {"value": 0.7, "origin": "preset two.yaml:2"},
            {"value": 0.8, "origin": "default"},
        ],
    }
    assert found["thinking.top_k"]["value"] == 9
    assert found["thinking.top_k"]["origin"] == "flag --when-thinking"
    lines = program.call("generate", "--show-params", "-p", "two.yaml").text.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("  temperature"))
    assert lines[at + 1].split()[:4] == ["thinking.temperature", "0.6", "preset", "two.yaml:5"]


def test_a_flag_for_both_times_overrides_and_tells_so(program: Program) -> None:
    found = shown(two(program), "-p", "two.yaml", "--temperature", "0.5")
    assert "thinking.temperature" not in found
    assert found["temperature"]["overrode"][0] == {
        "value": 0.6,
        "origin": "preset two.yaml:5",
        "when_thinking": True,
    }
    text = program.call("generate", "--show-params", "-p", "two.yaml", "--temperature", "0.5").text
    assert "overrode thinking 0.6 from preset two.yaml:5; 0.7 from" in text


def test_the_command_line_of_a_preset_does_the_same(program: Program) -> None:
    (two(program).place / "more.yaml").write_text(
        QWEN + "  logit_bias: {a: -1, b: 2}\n  dry_sequence_breakers: ['\\n', x=y]\n"
    )
    said = program.call("presets", "show", "more.yaml", "--json").json
    words = shlex.split(said["command"])[2:]
    again = shown(program, *words)
    for name, setting in said["parameters"].items():
        assert again[name]["value"] == setting["value"], name


def test_a_receipt_keeps_them_and_replays(program: Program) -> None:
    done = two(program).call("generate", "2+2", *MODEL, "--receipt", "run.json")
    assert done.code == 0, done.stderr
    document = json.loads((program.place / "run.json").read_text())
    kept = document["parameters"]["thinking.top_p"]
    assert kept["value"] == 0.95
    assert kept["origin"] == {"source": "preset", "name": "two", "file": "two.yaml", "line": 6}
    assert program.call("replay", "run.json").code == 0
    listed = program.call("log", "show", "last").text
    assert "set      thinking.temperature 0.6 (preset two.yaml:5)" in listed

    changed = program.call("replay", "run.json", "--json", "--set", "thinking.top_p=0.5").json
    assert {d["what"]: (d["recorded"], d["replayed"]) for d in changed["differences"]} == {
        "parameters.thinking.top_p": ("0.95", "0.5 (--set)")
    }
    changed = program.call("replay", "run.json", "--json", "--set", "top_p=0.5").json
    assert [d["what"] for d in changed["differences"]] == [
        "parameters.top_p",
        "parameters.thinking.top_p",
    ]

    kept["value"] = 0.9
    (program.place / "run.json").write_text(json.dumps(document))
    [edited] = program.call("replay", "run.json", "--json").json["differences"]
    assert (edited["what"], edited["recorded"]) == ("parameters.thinking.top_p", None)

    document["parameters"]["thinking.seed"] = document["parameters"]["seed"]
    (program.place / "run.json").write_text(json.dumps(document))
    complaint = program.call("replay", "run.json").complaint(ExitCode.USAGE)
    assert "parameters.thinking.seed: seed cannot have a value of its own" in complaint


def test_a_receipt_without_them_is_as_before(program: Program) -> None:
    two(program).call("generate", "2+2", "-m", "scripted:says.yaml", "--receipt", "run.json")
    document = json.loads((program.place / "run.json").read_text())
    assert list(document["parameters"]) == list(PARAMS)
    assert all(
        "when_thinking" not in b for p in document["parameters"].values() for b in p["overrode"]
    )


def test_a_preset_of_a_run_has_both_parts(program: Program) -> None:
    two(program).call("generate", "2+2", *MODEL, "--top-k", "3")
    done = program.call("presets", "new", "again", "--from", "last", "--when-thinking", "min_p=0")
    assert done.code == 0, done.stderr
    text = (program.place / "presets/again.yaml").read_text()
    made = yaml.safe_load(text)
    assert made["thinking"] == {"temperature": 0.6, "top_p": 0.95, "min_p": 0}
    assert {name: made["parameters"][name] for name in NAMES} == {
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 3,
    }
    assert "# from preset two.yaml:5" in text
    assert program.call("presets", "check", "again").code == 0
    listed = program.call("presets", "list", "--json").json
    [again] = [each for each in listed if each["name"] == "again"]
    assert again["parameters"]["thinking.min_p"] == 0
    flat = program.call("presets", "show", "again", "--format", "yaml").text
    assert yaml.safe_load(flat)["thinking"] == made["thinking"]
    assert (
        program.call("presets", "show", "again", "--format", "json").json["thinking"]
        == (made["thinking"])
    )


def test_a_preset_may_be_for_thinking_alone(program: Program) -> None:
    done = program.call("presets", "new", "warm", "--when-thinking", "top_p=1")
    assert done.code == 0, done.stderr
    assert yaml.safe_load((program.place / "presets/warm.yaml").read_text()) == {
        "thinking": {"top_p": 1}
    }
    assert shown(program, "-p", "warm")["thinking.top_p"]["value"] == 1


def test_presets_diff_compares_what_counts_at_each_time(program: Program) -> None:
    (two(program).place / "one.yaml").write_text("parameters: {temperature: 0.7, top_p: 0.95}\n")
    diff = ("presets", "diff", "two.yaml", "one.yaml", "--tokens", "0")
    assert program.call(*diff, "--json").json["parameters"] == {
        "top_p": {"a": 0.8, "b": 0.95},
        "thinking.temperature": {"a": 0.6, "b": 0.7},
    }
    assert "thinking.temperature  0.6       0.7" in program.call(*diff).text


def chat(program: Program, *lines: str) -> Done:
    stdin = "".join(f"{line}\n" for line in lines).encode()
    return two(program).call("chat", *MODEL, stdin=stdin)


def test_a_chat_sets_and_unsets_them(program: Program) -> None:
    done = chat(
        program,
        "/set thinking.temperature 0.3",
        "/set temperature 0.9",  # in the same layer: the value for thinking lies above
        "/params thinking.temperature",
        "/params thinking.top_p",
        "/unset thinking.temperature",
    )
    assert done.code == 0, done.stderr
    assert "llmparams: thinking.temperature 0.6 → 0.3 (chat /set)" in done.stderr
    assert "llmparams: temperature 0.7 → 0.9 (chat /set)" in done.stderr
    assert "thinking.temperature 0.3 (chat /set)" in done.text
    assert "thinking.top_p 0.95 (preset two.yaml:6)" in done.text
    assert "llmparams: thinking.temperature 0.3 → 0.9 (chat /set)" in done.stderr


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/set thinking.max_tokens 3", "/set: max_tokens cannot have a value of its own"),
        (
            "/unset thinking.top_p",
            "/unset thinking.top_p: it was not set in this chat (it comes fr",
        ),
        ("/set thinking.nonsense 3", "/set: unknown parameter 'thinking.nonsense'"),
        ("/set thinking.top_p 3", "/set thinking.top_p: 3 is out of range"),
    ],
)
def test_what_a_chat_cannot_set(program: Program, line: str, reason: str) -> None:
    assert reason in chat(program, line).stderr


SHOWN = b"/params temperature\n/params thinking.temperature\n"


def test_a_chat_keeps_them(program: Program) -> None:
    chat(program, "2+2", "/set thinking.temperature 0.3", "3+3", "/save kept")
    done = program.call("chat", "--continue", stdin=b"/params thinking.temperature\n2+2\n/why\n")
    assert done.code == 0, done.stderr
    assert done.text.count("thinking.temperature 0.3 (chat /set)") == 2
    # A new flag for both times is above what was set in the chat before.
    flags = ("chat", "--continue", "--temperature", "1")
    done = program.call(*flags, stdin=b"/set top_k 3\n" + SHOWN)
    assert done.text.count("temperature 1 (flag --temperature)") == 2


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("generate --when-thinking top_", ["top_k=", "top_n_sigma=", "top_p="]),
        ("generate --when-thinking see", []),
        ("generate --when-thinking repeat_penalty_growth=o", ["repeat_penalty_growth=once"]),
        ("compare hi --grid thinking.top_p", ["thinking.top_p=", "thinking.top_p=0.95"]),
        ("replay x.json --set thi", None),
        ("replay x.json --set thinking.grammar", []),
        (
            "explain hi --what-if x=1,thinking.min_",
            ["x=1,thinking.min_p=", "x=1,thinking.min_p=0.05"],
        ),
    ],
)  # fmt: skip
def test_names_and_values_are_completed(
    program: Program, words: str, found: list[str] | None
) -> None:
    from test_completion import offered

    offers = offered(program, words)
    if found is None:
        assert "thinking=" in offers
        assert "thinking.temperature=" in offers
    else:
        assert sorted(offers) == sorted(found)


def test_compare_takes_them_as_an_axis(program: Program) -> None:
    done = two(program).call(
        "compare", "2+2", *MODEL, "--json",
        "--grid", "thinking.temperature=0.1,0.9", "--grid", "temperature=0.5",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    variants = done.json["variants"]
    assert [each["values"] for each in variants] == [
        {"preset": "two.yaml", "thinking.temperature": value, "temperature": "0.5"}
        for value in ("0.1", "0.9")
    ]
    assert [each["parameters"]["thinking.temperature"]["value"] for each in variants] == [0.1, 0.9]
    assert {each["parameters"]["temperature"]["value"] for each in variants} == {0.5}


def test_explain_asks_what_if_of_them(program: Program) -> None:
    done = program.call(
        "explain", "hi", "-n", "3", "--seed", "1", "--json",
        "--what-if", "thinking.temperature=0,top_k=3",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    [what_if] = done.json["what_if"]
    assert what_if["changes"] == ["top_k 3", "thinking.temperature 0"]
    refused = program.call("explain", "hi", "--what-if", "thinking.context=5")
    assert "context cannot have a value of its own" in refused.complaint(2)


def test_each_time_is_judged_by_its_own_values():
    def notes(*layers: Layer) -> list[str]:
        return inert(resolve(assignments(list(layers))))

    always = "has no effect: temperature 0 always takes the most probable token"
    greedy = {"temperature": 0.0}
    assert notes((greedy | {"top_p": 0.5}, {})) == [f"top_p 0.5 (preset 0) {always}"]
    # Thinking draws at random, and so uses the value that both share.
    assert notes((greedy | {"top_p": 0.5}, {"temperature": 0.5})) == []
    assert notes(({"top_p": 0.5}, greedy)) == []
    assert notes(({}, greedy | {"top_p": 0.5})) == [f"thinking.top_p 0.5 (preset 0) {always}"]
    # Thinking has one of its own: that of the answer counts in the answer alone.
    told = notes((greedy | {"top_p": 0.5}, {"temperature": 0.5, "top_p": 0.4}))
    assert told == [f"top_p 0.5 (preset 0) {always}"]
    none = notes(({"max_thinking_tokens": 0}, {"top_p": 0.5}))
    assert none == [
        "thinking.top_p 0.5 (preset 0) has no effect: max_thinking_tokens is 0: nothing is thought"
    ]


def test_where_nothing_thinks_they_are_told_to_have_no_effect(program: Program) -> None:
    raw = two(program).call("generate", "2+2", "--raw", "-p", "two.yaml", "-n", "2")
    for name in ("thinking.temperature", "thinking.top_p"):
        assert f"no chat template is applied: {name} has no effect" in raw.stderr
    chat = program.call("generate", "2+2", *MODEL)
    assert "no chat template" not in chat.stderr


@pytest.mark.parametrize("format", WRITTEN)
def test_no_format_loses_them_in_silence(format: str) -> None:
    preset = Exported("x", parameters={"temperature": 0.7}, thinking={"temperature": 0.6})
    _, losses = exported(format, preset)
    assert ("lost", "thinking.temperature") in [(loss.kind, loss.what) for loss in losses]

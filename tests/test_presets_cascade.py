"""Layers: which one wins, what it overrode, and what is said of mistakes."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presets_world import world, write

from llmparams_cli.errors import PresetError, UsageError
from llmparams_cli.params.settings import DEFAULT, Origin, Source, resolve
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.find import find


def preset(**values: Any) -> str:
    """A file that sets parameters, the first in line 2."""
    return "parameters:\n" + "".join(f"  {k}: {json.dumps(v)}\n" for k, v in values.items())


def test_a_flag_beats_the_preset_and_the_rest_keeps_file_and_line(tmp_path: Path) -> None:
    """The example of the README: --preset creative-chat --temperature 0.3."""
    env = world(tmp_path)
    settings = resolve(gather(env, ["creative-chat"], {"temperature": "0.3"}).assignments)
    lines = find("creative-chat", env).path.read_text().splitlines()

    temperature = settings.setting("temperature")
    assert (temperature.value, temperature.origin) == (0.3, Origin(Source.FLAG, "--temperature"))
    assert temperature.overrode[0].origin.source is Source.PRESET
    for name in ("top_k", "top_p", "min_p", "presence_penalty", "max_tokens"):
        origin = settings.setting(name).origin
        place, _, line = origin.place.rpartition(":")
        assert (origin.source, place) == (Source.PRESET, "llmparams:creative-chat.yaml")
        assert lines[int(line) - 1].startswith(f"  {name}: ")


def test_every_layer_is_recorded_from_high_to_low(tmp_path: Path) -> None:
    env = world(
        tmp_path,
        {
            "config/config.yaml": preset(top_k=1),
            "llmparams.yaml": preset(top_k=2),
            "project/presets/a.yaml": "extends: b\n" + preset(top_k=4),
            "project/presets/b.yaml": preset(top_k=3),
        },
        LLMPARAMS_TOP_K="6",
    )
    write(tmp_path, {"project/c.yaml": preset(top_k=5)})
    setting = resolve(gather(env, ["a", "./c.yaml"], {"top_k": "7"}).assignments).setting("top_k")
    trail = [(7, setting.origin), *((each.value, each.origin) for each in setting.overrode)]
    assert [(value, str(origin)) for value, origin in trail] == [
        (7, "flag --top-k"),
        (6, "environment LLMPARAMS_TOP_K"),
        (5, "preset c.yaml:2"),
        (4, "preset presets/a.yaml:3"),
        (3, "preset presets/b.yaml:2"),
        (2, f"project {tmp_path}/llmparams.yaml:2"),
        (1, f"config {tmp_path}/config/config.yaml:2"),
        (40, "default"),
    ]


NAMES = ("temperature", "top_p", "min_p", "typical_p", "xtc_threshold")
LAYERS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 100).map(lambda n: n / 100)),
    min_size=7,
    max_size=7,
)


@given(LAYERS)
def test_the_highest_layer_that_speaks_wins_and_the_others_are_kept(
    layers: list[dict[str, float]],
) -> None:
    config, project, parent, first, second, variables, flags = layers
    files = {
        "config/config.yaml": preset(**config),
        "project/llmparams.yaml": preset(**project),
        "project/presets/parent.yaml": preset(**parent),
        "project/presets/first.yaml": "extends: parent\n" + preset(**first),
        "project/presets/second.yaml": preset(**second),
    }
    settings = {PARAMS[name].variable: repr(value) for name, value in variables.items()}
    with tempfile.TemporaryDirectory() as directory:
        env = world(Path(directory), files, **settings)
        texts = {name: repr(value) for name, value in flags.items()}
        resolved = resolve(gather(env, ["first", "second"], texts).assignments)
    for name in NAMES:
        given_values = [layer[name] for layer in layers if name in layer]
        setting = resolved.setting(name)
        assert setting.value == [PARAMS[name].default, *given_values][-1]
        below = [each.value for each in reversed(setting.overrode)]
        assert [*below, setting.value] == [PARAMS[name].default, *given_values]
        assert (setting.origin == DEFAULT) is (not given_values)


GRAPH = st.lists(st.sets(st.integers(0, 5)), min_size=6, max_size=6)


@given(GRAPH)
def test_parents_come_before_children_and_each_file_once(graph: list[set[int]]) -> None:
    """Files extend only those with smaller numbers, so there is no circle."""
    graph = [{parent for parent in parents if parent < n} for n, parents in enumerate(graph)]
    with tempfile.TemporaryDirectory() as directory:
        files = {
            f"project/presets/p{n}.yaml": f"extends: {json.dumps([f'p{p}' for p in sorted(ps)])}\n"
            + preset(seed=n)
            for n, ps in enumerate(graph)
        }
        read = [a.value for a in gather(world(Path(directory), files), ["p5"]).assignments]
    assert read[-1] == 5
    assert len(read) == len(set(read))
    for child in read:
        assert all(read.index(parent) < read.index(child) for parent in graph[child])


def test_a_later_preset_wins_in_full_with_what_it_extends(tmp_path: Path) -> None:
    env = world(
        tmp_path,
        {
            "project/presets/base.yaml": preset(top_k=1, top_p=0.1),
            "project/presets/a.yaml": "extends: base\n" + preset(top_k=2),
            "project/presets/b.yaml": "extends: base\n" + preset(top_p=0.2),
        },
    )
    settings = resolve(gather(env, ["a", "b"]).assignments)
    assert (settings["top_k"], settings["top_p"]) == (1, 0.2)


def test_a_circle_of_extends_is_shown(tmp_path: Path) -> None:
    env = world(
        tmp_path,
        {
            "project/presets/a.yaml": "extends: b",
            "project/presets/b.yaml": "system: x\nextends: [balanced, ./a.yaml]",
        },
    )
    with pytest.raises(PresetError) as caught:
        gather(env, ["a"])
    assert caught.value.message == (
        "presets/b.yaml:2: extends goes in a circle: "
        "presets/a.yaml → presets/b.yaml → presets/a.yaml"
    )


@pytest.mark.parametrize("first", ["./a.yaml", "./self/a.yaml"])
def test_a_circle_through_links_is_found(first: str, tmp_path: Path) -> None:
    env = world(tmp_path, {"project/a.yaml": "extends: ./self/a.yaml"})
    (tmp_path / "project" / "self").symlink_to(tmp_path / "project")
    with pytest.raises(PresetError, match="circle"):
        gather(env, [first])


def test_many_ways_to_the_same_file_do_not_multiply_the_work(tmp_path: Path) -> None:
    """Without memory, 2**60 files would be read."""
    files = {f"project/p{n}.yaml": f"extends: [./p{n - 1}.yaml, p{n - 1}.yaml]" for n in range(61)}
    env = world(tmp_path, {**files, "project/p0.yaml": preset(top_k=3)})
    assert resolve(gather(env, ["p60.yaml"]).assignments)["top_k"] == 3


def test_extending_its_own_name_means_the_file_that_is_hidden(tmp_path: Path) -> None:
    env = world(
        tmp_path,
        {
            "project/presets/precise.yaml": "extends: precise\n" + preset(top_k=7),
            "config/presets/precise.yaml": "extends: precise\n" + preset(top_p=0.7),
        },
    )
    gathered = gather(env, ["precise"])
    settings = resolve(gathered.assignments)
    assert (settings["top_k"], settings["top_p"], settings["temperature"]) == (7, 0.7, 0.2)
    assert gathered.notes == []


def test_its_own_name_with_nothing_hidden_is_a_circle(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/presets/mine.yaml": "extends: mine"})
    with pytest.raises(PresetError, match=r"mine.yaml:1: extends goes in a circle"):
        gather(env, ["mine"])


def test_an_unknown_parent_is_reported_at_its_line(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/presets/a.yaml": "extends:\n  - precise\n  - blanced\n"})
    with pytest.raises(PresetError) as caught:
        gather(env, ["a"])
    message = "presets/a.yaml:3: extends: unknown preset 'blanced'; did you mean balanced?"
    assert caught.value.message == message


def test_hidden_presets_are_noted(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/presets/precise.yaml": preset(top_k=7)})
    assert gather(env, ["precise"]).notes == [
        "preset precise: presets/precise.yaml hides llmparams:precise.yaml"
        " (precise@llmparams is that one)"
    ]


def test_the_last_layer_with_a_model_or_a_system_text_counts(tmp_path: Path) -> None:
    files = {
        "config/config.yaml": "model: ./tiny.gguf\nsystem: config",
        "project/llmparams.yaml": "system: project",
        "project/presets/modelled.yaml": "model: other",
        "project/presets/a.yaml": "extends: precise\n" + preset(top_k=7),
        "project/presets/silent.yaml": "extends: precise\nsystem: ''",
    }
    env = world(tmp_path, files)
    gathered = gather(env)
    assert gathered.model and gathered.system
    assert gathered.model.text == str(tmp_path / "config" / "tiny.gguf")
    assert str(gathered.model.origin) == f"config {tmp_path}/config/config.yaml:1"
    assert (gathered.system.text, str(gathered.system.origin)) == (
        "project", "project llmparams.yaml:1",
    )  # fmt: skip

    assert gather(env, ["modelled"]).model.text == "other"  # type: ignore[union-attr]
    system = gather(env, ["a"]).system
    assert system and system.origin.place.startswith("llmparams:precise.yaml:")
    assert gather(env, ["silent"]).system.text == ""  # type: ignore[union-attr]

    env = world(tmp_path, LLMPARAMS_SYSTEM="variable", LLMPARAMS_MODEL="m.gguf")
    gathered = gather(env, ["a"], {"model": "f.gguf", "system": None})
    assert gathered.model and gathered.system
    assert (gathered.model.text, str(gathered.model.origin)) == ("f.gguf", "flag --model")
    assert str(gathered.system.origin) == "environment LLMPARAMS_SYSTEM"


def test_without_files_variables_and_flags_nothing_is_set(tmp_path: Path) -> None:
    gathered = gather(world(tmp_path), [], {"top_k": None, "stop": []})
    assert (gathered.assignments, gathered.model, gathered.system) == ([], None, None)


def test_a_variable_names_the_presets_when_no_flag_does(tmp_path: Path) -> None:
    env = world(tmp_path, LLMPARAMS_PRESET="balanced, precise")
    assert resolve(gather(env).assignments)["temperature"] == 0.2
    assert resolve(gather(env, ["balanced"]).assignments)["temperature"] == 0.7


def test_every_parameter_has_a_variable_and_a_flag(tmp_path: Path) -> None:
    for name, param in PARAMS.items():
        text = param.kind.show(param.default)
        if not text or param.kind.many:
            continue
        env = world(tmp_path, {}, **{param.variable: text})
        by_variable, by_flag = gather(env, [], {name: text}).assignments
        assert by_variable.value == by_flag.value == param.default
        assert (by_variable.origin.place, by_flag.origin.place) == (param.variable, param.flag)


def test_an_unknown_variable_is_noted_with_a_suggestion(tmp_path: Path) -> None:
    env = world(tmp_path, LLMPARAMS_TEMPRATURE="1", LLMPARAMS_CACHE_DIR="/x", LLMPARAMS_TOP_K="")
    assert gather(env).notes == [
        "the variable LLMPARAMS_TEMPRATURE has no effect; did you mean LLMPARAMS_TEMPERATURE?"
    ]


def test_a_bad_value_names_its_flag_or_variable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--temperature: 12 is out of range: from 0 to 10$") as e:
        gather(world(tmp_path), [], {"temperature": "12"})
    assert e.value.hint == "`llmparams params temperature` explains it"
    with pytest.raises(UsageError, match=r"^LLMPARAMS_TOP_K: 'many' is not a whole number"):
        gather(world(tmp_path, LLMPARAMS_TOP_K="many"))


def test_a_bad_configuration_file_is_a_preset_error(tmp_path: Path) -> None:
    env = world(tmp_path, {"config/config.yaml": preset(top_k=-5)})
    with pytest.raises(PresetError, match=r"config.yaml:2: top_k: -5 is out of range"):
        gather(env)


def test_repeated_flags_are_joined_and_replace_what_is_below(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/llmparams.yaml": preset(stop=["x"], logit_bias={"7": 1})})
    flags = {"stop": [".", "\n"], "logit_bias": ["1=2", "3=false", "1=4"], "mmap": False}
    settings = resolve(gather(env, [], flags).assignments)
    assert settings["stop"] == [".", "\n"]
    assert settings["logit_bias"] == {"1": 4.0, "3": -math.inf}
    assert settings["mmap"] is False


SCHEMA = '{"type": "object"}'


@pytest.mark.parametrize("text", [SCHEMA, "@s.json", "s.json", "./s.json"])
def test_a_json_schema_is_given_inline_or_as_a_file(text: str, tmp_path: Path) -> None:
    env = world(tmp_path, {"project/s.json": SCHEMA})
    (assignment,) = gather(env, [], {"json_schema": text}).assignments
    assert assignment.value == {"type": "object"}


def test_none_for_a_json_schema_takes_back_the_presets(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/llmparams.yaml": preset(json_schema={"type": "object"})})
    assert resolve(gather(env, [], {"json_schema": "none"}).assignments)["json_schema"] is None


def test_a_grammar_is_given_inline_or_as_a_file(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/g.gbnf": "root ::= [a-z]"}, LLMPARAMS_GRAMMAR="@g.gbnf")
    by_variable, by_flag = gather(env, [], {"grammar": "root ::= [0-9]"}).assignments
    assert (by_variable.value, by_flag.value) == ("root ::= [a-z]", "root ::= [0-9]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@none.json", "none.json: no such file"),
        ("@", "is a directory"),
        ("none.json", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "not a JSON Schema"),
    ],
)
def test_a_bad_json_schema_names_flag_and_reason(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"^--json-schema: .*{reason}") as caught:
        gather(world(tmp_path), [], {"json_schema": text})
    assert len(caught.value.message) < 400


def test_a_system_text_may_come_from_a_file(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/voice.txt": "Be brief.\n"}, LLMPARAMS_SYSTEM="@voice.txt")
    assert gather(env).system.text == "Be brief."
    with pytest.raises(UsageError, match=r"--system: .*none\.txt: no such file"):
        gather(env, flags={"system": "@none.txt"})


def test_equal_files_hide_nothing(tmp_path: Path) -> None:
    env = world(tmp_path)
    text = find("precise", env).path.read_text()
    write(tmp_path, {"project/presets/precise.yaml": text})
    assert gather(env, ["precise"]).notes == []
    write(tmp_path, {"project/presets/precise.yaml": text + "# mine\n"})
    assert "hides" in gather(env, ["precise"]).notes[0]


def test_paths_of_flags_are_resolved_like_those_of_files(tmp_path: Path) -> None:
    env = world(tmp_path)
    given = gather(env, flags={"lora": ["a.gguf", "~/b.gguf:0.5"]}).assignments[-1].value
    assert given == [str(env.directory / "a.gguf"), str(Path.home() / "b.gguf:0.5")]

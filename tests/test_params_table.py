"""Every row of the table is complete and consistent, and what is made of it is current."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from llmparams_cli.params.kinds import Number
from llmparams_cli.params.reference import facts, reference_page
from llmparams_cli.params.spec import Group, Param, Scope
from llmparams_cli.params.table import GROUPS, PARAMS, SAMPLER_STAGES, by_group, named
from llmparams_cli.presets.schema import preset_schema

ROOT = Path(__file__).parent.parent
every_parameter = pytest.mark.parametrize("param", PARAMS.values(), ids=lambda p: p.name)


@every_parameter
def test_the_default_passes_its_own_check(param: Param) -> None:
    assert param.kind.check(param.default) == param.default
    assert type(param.kind.check(param.default)) is type(param.default)


@every_parameter
def test_the_neutral_value_passes_its_own_check(param: Param) -> None:
    if param.neutral is not None:
        assert param.kind.check(param.neutral) == param.neutral


@every_parameter
def test_the_default_passes_the_schema(param: Param) -> None:
    schema = preset_schema()["properties"]["parameters"]["properties"][param.name]
    assert Draft202012Validator(schema).is_valid(schema["default"])


@every_parameter
def test_texts_are_sentences_that_every_terminal_can_print(param: Param) -> None:
    for text in (param.meaning, param.raise_it, param.lower_it):
        assert text.isascii()
        assert text.endswith(".")
        assert "  " not in text


@every_parameter
def test_the_summary_is_one_short_sentence(param: Param) -> None:
    assert param.meaning.startswith(param.summary)
    assert len(param.summary) <= 70


@every_parameter
def test_a_stage_belongs_to_sampling_and_to_the_order(param: Param) -> None:
    if param.stage:
        assert param.stage in SAMPLER_STAGES
        assert param.scope is Scope.SAMPLING


def test_no_flag_and_no_variable_is_used_twice() -> None:
    flags = [flag for param in PARAMS.values() for flag in param.flags]
    assert len(set(flags)) == len(flags)
    assert len({param.variable for param in PARAMS.values()}) == len(PARAMS)


def test_no_gguf_key_is_used_twice() -> None:
    keys = [param.gguf_key for param in PARAMS.values() if param.gguf_key]
    assert len(set(keys)) == len(keys)


def test_every_stage_has_parameters_and_the_default_order_has_every_stage() -> None:
    assert {param.stage for param in PARAMS.values()} - {""} == set(SAMPLER_STAGES)
    assert PARAMS["sampler_order"].default == list(SAMPLER_STAGES)


def test_every_parameter_stands_in_one_group_and_every_group_is_explained() -> None:
    assert sum(map(len, by_group().values())) == len(PARAMS)
    assert list(by_group()) == list(GROUPS) == list(Group)


def test_only_these_stages_keep_the_most_probable_token() -> None:
    changing = {param.stage for param in PARAMS.values() if param.changes_argmax}
    assert set(SAMPLER_STAGES) - changing == {
        "top_n_sigma",
        "top_k",
        "top_p",
        "min_p",
        "temperature",
    }


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("temperature", (0, 10), (-0.1, 10.5)),
        ("top_p", (0, 1), (-0.1, 1.1)),
        ("repeat_penalty", (0.01, 10), (0, -1)),
        ("adaptive_p_decay", (0, 0.99), (0.995, 1)),
        ("adaptive_p_target", (-1, 0, 1), (-0.5, 1.1)),
        ("mirostat", (0, 1, 2), (-1, 3)),
        ("seed", (-1, 0, 2**32 - 2), (-2, 2**32 - 1)),
        ("max_tokens", (-1, 1), (0, -2)),
        ("repeat_last_n", (-1, 0, 64), (-2,)),
        ("dry_base", (1, 1.75), (0.5,)),
        ("dynatemp_exponent", (0.1, 1), (0,)),
        ("threads", (0, 512), (513,)),
        ("batch_size", (1,), (0,)),
        ("gpu_layers", ("auto", "all", 0, 33), (-1, "none")),
    ],
)
def test_bounds(name: str, inside: tuple[object, ...], outside: tuple[object, ...]) -> None:
    kind = PARAMS[name].kind
    for value in inside:
        assert kind.check(value) == value
    for value in outside:
        with pytest.raises(ValueError, match=r"out of range|is not"):
            kind.check(value)


def test_defaults_are_those_of_llama_cpps_programs() -> None:
    defaults = {name: param.default for name, param in PARAMS.items()}
    assert (
        defaults
        | {
            "temperature": 0.8,
            "top_k": 40,
            "top_p": 0.95,
            "min_p": 0.05,
            "typical_p": 1.0,
            "top_n_sigma": -1.0,
            "xtc_probability": 0.0,
            "xtc_threshold": 0.1,
            "dry_multiplier": 0.0,
            "dry_base": 1.75,
            "dry_allowed_length": 2,
            "dry_sequence_breakers": ["\n", ":", '"', "*"],
            "dynatemp_range": 0.0,
            "dynatemp_exponent": 1.0,
            "mirostat": 0,
            "mirostat_tau": 5.0,
            "mirostat_eta": 0.1,
            "adaptive_p_target": -1.0,
            "adaptive_p_decay": 0.9,
            "repeat_penalty": 1.0,
            "repeat_last_n": 64,
            "frequency_penalty": 0.0,
            "presence_penalty": 0.0,
            "seed": -1,
            "batch_size": 2048,
            "ubatch_size": 512,
            "split_mode": "layer",
            "cache_type_k": "f16",
        }
        == defaults
    )


@every_parameter
def test_the_facts_name_flags_type_default_and_the_names_elsewhere(param: Param) -> None:
    told = {fact.label: fact.text for fact in facts(param)}
    assert told["flags"].split(", ") == list(param.flags)
    assert param.kind.noun in told["type"]
    assert told["default"]
    assert all(told.values())
    assert ("raise it" in told) is isinstance(param.kind, Number)
    others = {fact.text for fact in facts(param) if fact.label.startswith("in ")}
    assert others == set(dataclasses.astuple(param.elsewhere)) - {""}


def test_the_preset_schema_is_valid_json_schema() -> None:
    Draft202012Validator.check_schema(preset_schema())


@pytest.mark.parametrize(
    ("preset", "valid"),
    [
        ({}, True),
        ({"description": "x", "extends": ["a", "b"], "model": "m", "system": "s"}, True),
        ({"parameters": {"temperature": 0.2, "stop": ".", "flash_attention": True}}, True),
        ({"parameters": {"json_schema": "@form.json", "grammar": "@list.gbnf"}}, True),
        ({"parameters": {"json_schema": "form.json"}}, False),
        ({"parameters": {"temperature": 11}}, False),
        ({"parameters": {"temprature": 0.2}}, False),
        ({"temperature": 0.2}, False),
        ({"extends": ""}, False),
    ],
)
def test_the_preset_schema_accepts_presets_and_refuses_slips(
    preset: dict[str, object], valid: bool
) -> None:
    assert Draft202012Validator(preset_schema()).is_valid(preset) is valid


def test_the_schema_file_is_current() -> None:
    text = (ROOT / "presets" / "preset.schema.json").read_text(encoding="utf-8")
    assert text == json.dumps(preset_schema(), indent=2) + "\n"


def test_the_reference_page_is_current() -> None:
    text = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert text == reference_page()


def test_the_reference_page_explains_every_parameter_under_its_group() -> None:
    page = reference_page()
    for group, params in by_group().items():
        section = page.split(f"\n## {group.value.capitalize()}\n")[1].split("\n## ")[0]
        assert [line[4:] for line in section.splitlines() if line.startswith("### ")] == [
            param.name for param in params
        ]


def test_every_spelling_of_a_flag_names_its_parameter():
    for param in PARAMS.values():
        for word in (param.name, param.name.upper(), *param.flags, param.flag[2:]):
            assert named(word) is param
    assert named("--temprature") is None

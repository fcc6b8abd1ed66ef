"""Settings that cannot matter are told, with the reason; those that exclude each other fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presets_world import write
from program import Program

from llmparams_cli.errors import ExitCode, UsageError
from llmparams_cli.params.conflicts import REPLACED_BY_MIROSTAT, inert, refuse_contradictions
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES

ZERO = "temperature 0 always takes the most probable token"


def flags(**values: Any) -> Settings:
    return resolve(
        Assignment(name, value, Origin(Source.FLAG, PARAMS[name].flag))
        for name, value in values.items()
    )


def names(**values: Any) -> list[str]:
    """The parameters that are told to be inert."""
    return [sentence.split(" ")[0] for sentence in inert(flags(**values))]


def test_the_sentence_names_value_origin_and_reason() -> None:
    assert inert(flags(temperature=0.0, top_k=40)) == [
        f"top_k 40 (flag --top-k) has no effect: {ZERO}"
    ]


def test_nothing_is_said_of_defaults() -> None:
    assert inert(resolve([])) == []
    assert inert(flags(temperature=0.0)) == []


def test_nothing_is_said_of_what_the_model_file_recommends() -> None:
    recommended = Assignment("top_k", 20, Origin(Source.MODEL, "general.sampling.top_k"))
    assert inert(resolve([recommended, Assignment("temperature", 0.0, Origin(Source.FLAG))])) == []


def test_nothing_is_said_of_values_that_switch_a_parameter_off() -> None:
    assert names(temperature=0.0, top_k=0, top_p=1.0, min_p=0.0, dynatemp_range=0.0) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"temperature": 0.0, "top_k": 5, "top_p": 0.5, "min_p": 0.1, "top_n_sigma": 1.0},
            ["top_k", "top_p", "min_p", "top_n_sigma"],
        ),
        ({"temperature": 0.0, "mirostat": 2, "mirostat_tau": 3.0}, ["mirostat", "mirostat_tau"]),
        (
            {"temperature": 0.0, "adaptive_p_target": 0.5, "dynatemp_range": 0.5},
            ["dynatemp_range", "adaptive_p_target"],
        ),
        ({"temperature": 0.0, "seed": 7}, ["seed"]),
        ({"temperature": 0.0, "seed": 7, "xtc_probability": 0.5, "xtc_threshold": 0.5}, []),
        (
            {"temperature": 0.0, "seed": 7, "xtc_probability": 0.5, "sampler_order": ["dry"]},
            ["seed", "xtc_probability"],
        ),
        ({"temperature": 0.0, "repeat_penalty": 1.1, "logit_bias": {"1": 1.0}}, []),
        (
            {
                "mirostat": 2,
                "top_p": 0.9,
                "typical_p": 0.9,
                "xtc_probability": 0.5,
                "repeat_penalty": 1.1,
                "dry_multiplier": 0.8,
            },
            ["top_p", "typical_p", "xtc_probability"],
        ),
        ({"mirostat": 2, "temperature": 0.5, "sampler_order": ["dry"]}, ["temperature"]),
        ({"mirostat": 2, "temperature": 0.5, "top_k": 1}, ["top_k"]),
        ({"mirostat": 1, "temperature": 0.5, "logit_bias": {"1": 1.0}, "mirostat_tau": 3.0}, []),
        ({"mirostat": 2, "adaptive_p_target": 0.5}, ["adaptive_p_target"]),
        ({"mirostat_tau": 3.0, "mirostat_eta": 0.2}, ["mirostat_tau", "mirostat_eta"]),
        ({"adaptive_p_decay": 0.5}, ["adaptive_p_decay"]),
        ({"adaptive_p_target": 0.5, "adaptive_p_decay": 0.5, "temperature": 0.7, "top_k": 9}, []),
        ({"dynatemp_exponent": 2.0}, ["dynatemp_exponent"]),
        ({"dynatemp_exponent": 2.0, "dynatemp_range": 0.3}, []),
        ({"xtc_threshold": 0.2}, ["xtc_threshold"]),
        ({"xtc_threshold": 0.6, "xtc_probability": 0.5}, ["xtc_probability"]),
        ({"xtc_threshold": 0.5, "xtc_probability": 0.5}, []),
        ({"dry_base": 2.0, "dry_allowed_length": 3}, ["dry_base", "dry_allowed_length"]),
        ({"dry_multiplier": 0.8, "dry_base": 2.0}, []),
        ({"dry_multiplier": 0.8, "dry_last_n": 0}, ["dry_multiplier"]),
        ({"repeat_penalty_growth": "exponential"}, ["repeat_penalty_growth"]),
        (
            {"repeat_penalty_growth": "exponential", "frequency_penalty": 1.0},
            ["repeat_penalty_growth"],
        ),
        ({"repeat_penalty_growth": "exponential", "repeat_penalty": 1.1}, []),
        ({"repeat_last_n": 128}, ["repeat_last_n"]),
        ({"repeat_last_n": 128, "presence_penalty": 0.5}, []),
        ({"repeat_last_n": 0, "presence_penalty": 0.5}, ["presence_penalty"]),
        ({"penalize_prompt": True}, ["penalize_prompt"]),
        ({"penalize_prompt": True, "dry_multiplier": 0.8}, []),
        ({"penalize_prompt": True, "repeat_penalty": 1.1}, []),
        (
            {"penalize_prompt": True, "repeat_penalty": 1.1, "sampler_order": ["dry"]},
            ["repeat_penalty", "penalize_prompt"],
        ),
        ({"sampler_order": ["top_k"], "top_k": 5, "temperature": 0.5}, ["temperature"]),
        ({"sampler_order": [], "temperature": 0.0}, []),
        ({"top_k": 1, "temperature": 0.5, "repeat_penalty": 1.1}, ["temperature"]),
        ({"top_k": 1, "temperature": 0.5, "sampler_order": ["temperature", "top_k"]}, []),
        ({"batch_size": 64, "ubatch_size": 128}, ["ubatch_size"]),
        ({"batch_size": 64}, []),
        ({"main_gpu": 1}, ["main_gpu"]),
        ({"main_gpu": 1, "split_mode": "none"}, []),
        ({"tensor_split": [3.0, 1.0], "split_mode": "none"}, ["tensor_split"]),
        ({"tensor_split": [3.0, 1.0], "gpu_layers": 0}, ["tensor_split"]),
    ],
)
def test_what_cannot_matter_is_told(values: dict[str, Any], told: list[str]) -> None:
    assert sorted(names(**values)) == sorted(told)


STAGES = (
    "--logit-bias x=1 --repeat-penalty 1.1 --dry-multiplier 0.8 --top-n-sigma 2 --top-k 50 "
    "--typical-p 0.99 --top-p 0.99 --min-p 0.01 --xtc-probability 0.1 --temperature 0.9"
)


def test_mirostat_replaces_just_the_stages_that_the_engine_leaves_out(program: Program) -> None:
    def left(*flags: str) -> set[str]:
        run = ("explain", "hi", "-n", "1", "--json", *STAGES.split(), *flags)
        return {stage["name"] for stage in program.call(*run).json["tokens"][0]["stages"]}

    assert set(SAMPLER_STAGES) <= left()
    for version in ("1", "2"):
        replaced = {PARAMS[name].stage for name in REPLACED_BY_MIROSTAT} - {""}
        assert replaced == set(SAMPLER_STAGES) - left("--mirostat", version)


def test_truncation_matters_at_temperature_0_to_a_later_stage_that_reorders() -> None:
    xtc = {"temperature": 0.0, "xtc_probability": 0.5}
    assert names(**xtc, min_p=0.2, seed=7) == []
    assert names(**xtc, min_p=0.2, sampler_order=["xtc", "min_p"]) == ["min_p"]
    assert names(temperature=0.0, typical_p=0.9, top_k=5, top_p=0.9) == ["top_p"]
    assert names(temperature=0.0, repeat_penalty=1.1, top_k=5) == ["top_k"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(PARAMS)), st.none()))
def test_any_defaults_written_as_flags_are_told_in_whole_sentences(chosen: dict[str, None]) -> None:
    sentences = inert(flags(**{name: PARAMS[name].default for name in chosen}))
    assert all(" has no effect: " in sentence and "{" not in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"grammar": 'root ::= "a"', "json_schema": {}},
            'grammar root ::= "a" (flag --grammar) excludes json_schema {} (flag --json-schema)',
        ),
        (
            {"flash_attention": "off", "cache_type_v": "q8_0"},
            "flash_attention off (flag --flash-attention) excludes "
            "cache_type_v q8_0 (flag --cache-type-v)",
        ),
        (
            {"flash_attention": "off", "split_mode": "tensor"},
            "flash_attention off (flag --flash-attention) excludes "
            "split_mode tensor (flag --split-mode)",
        ),
        (
            {"deterministic": True, "prompt_lookup": 8},
            "deterministic true (flag --deterministic) excludes "
            "prompt_lookup 8 (flag --prompt-lookup)",
        ),
        (
            {"deterministic": True, "draft_model": "small"},
            "deterministic true (flag --deterministic) excludes "
            "draft_model small (flag --draft-model)",
        ),
    ],
)
def test_what_excludes_each_other_is_refused_with_both_origins(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        refuse_contradictions(flags(**values))
    assert error.value.message == message
    assert error.value.hint


def test_settings_that_go_together_are_not_refused() -> None:
    refuse_contradictions(flags(json_schema={}))
    refuse_contradictions(flags(flash_attention="auto", cache_type_v="q8_0"))
    refuse_contradictions(flags(flash_attention="off", cache_type_k="q8_0", cache_type_v="bf16"))


def test_a_long_grammar_is_not_repeated_in_the_message() -> None:
    with pytest.raises(UsageError, match=r"^grammar \(flag --grammar\) excludes"):
        refuse_contradictions(flags(grammar="root ::= [a-z]\n", json_schema={}))


COMMANDS = (
    "generate hi -p both",
    "generate hi -p both --show-params",
    "chat -p both",
    "compare hi -p both -p precise",
    "explain hi -p both",
    "presets show both",
    "presets show both --format yaml",
    "presets export both --format llama.cpp",
    "presets diff both precise",
    "presets diff precise both --tokens 0",
    "presets diff both",
    "presets test both",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_preset_that_contradicts_itself(
    program: Program, command: str
) -> None:
    preset = (
        "parameters: {grammar: 'root ::= \"a\"', json_schema: {}}\n"
        "tests: [{name: a, input: b, expect: {contains: c}}]\n"
    )
    write(program.place, {"presets/both.yaml": preset})
    assert program.call(*command.split()).complaint(ExitCode.USAGE) == (
        'grammar root ::= "a" (preset presets/both.yaml:1) excludes '
        "json_schema {} (preset presets/both.yaml:1) (both rule the form of the output; take "
        "one back, as in --json-schema none)"
    )

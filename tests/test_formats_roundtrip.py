"""Whatever a format can say comes back from it, and whatever it cannot is told."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.formats import FORMATS, WRITTEN, Exported, order, read, write
from llmparams_cli.params.kinds import INT32_MAX, Choice, Number
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.presets import prompt_template

OURS_ALONE = {"repeat_penalty_growth", "penalize_prompt", "time_limit", "deterministic"}
VLLM_ALONE = {"regex", "choices"}
LLAMA_CPP = {*PARAMS} - OURS_ALONE - VLLM_ALONE
TEXTS = {"logit_bias", "stop", "dry_sequence_breakers", "grammar", "chat_template"}
SAMPLERS = {"temperature", "top_k", "top_p", "min_p"}
PENALTIES = {"repeat_penalty", "frequency_penalty", "presence_penalty"}
REPETITION = PENALTIES | {"dry_multiplier"}
ABOUT_PENALTIES = {"repeat_last_n", "penalize_prompt", "repeat_penalty_growth"}
MIROSTAT = {"mirostat", "mirostat_tau", "mirostat_eta"}
DRY = {"dry_multiplier", "dry_base", "dry_allowed_length", "dry_sequence_breakers"}
XTC = {"xtc_probability", "xtc_threshold"}
ADAPTIVE = {"adaptive_p_target", "adaptive_p_decay"}
OLLAMA = {"context", "batch_size", "threads", "main_gpu", "mmap", "typical_p", "repeat_last_n"}

# What each format can say of any value that is chosen here.
KNOWN = {
    "llama.cpp": LLAMA_CPP - TEXTS,
    "ollama": SAMPLERS | PENALTIES | MIROSTAT | OLLAMA | {"seed", "stop", "max_tokens", "lora"},
    "webui": SAMPLERS | PENALTIES | MIROSTAT | DRY | XTC | {"typical_p", "adaptive_p_decay"},
    "llm": SAMPLERS | PENALTIES | MIROSTAT | OLLAMA | {"seed", "stop", "max_tokens"},
    "lmstudio": (SAMPLERS - {"top_k"})
    | PENALTIES
    | XTC
    | {"max_tokens", "stop", "threads", "seed", "context", "batch_size", "mmap", "mlock"}
    | {"typical_p", "ubatch_size", "logit_bias", "rope_freq_base", "rope_freq_scale"}
    | {"json_schema"},
    "hf": {"top_k", "min_p", "repeat_penalty", "stop", "time_limit"},
    "sillytavern": SAMPLERS | PENALTIES | MIROSTAT | DRY | XTC | ADAPTIVE | {"typical_p", "seed"},
    "openai": {"top_p", "seed"},
    "vllm": {"temperature", "top_k", "min_p", "repeat_penalty", "stop", "ignore_eos", "choices"},
}

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
LINE = st.text(st.sampled_from("ab\n \"#;\\'{}é$%:"), min_size=1, max_size=8)
BIASES = st.one_of(st.just(-math.inf), st.floats(-100, 100).map(lambda x: round(x, 4)))
SCHEMAS = st.dictionaries(
    st.sampled_from(["title", "description"]), st.text("ab;#\n\"'", max_size=5), max_size=2
).map(lambda texts: {"type": "object", **texts})
JSON = st.one_of(st.booleans(), st.integers(), st.text('ab;#"', max_size=3), st.none())


def values(name: str) -> st.SearchStrategy:
    """Values of one parameter that presets may have."""
    kind = PARAMS[name].kind
    if isinstance(kind, Number):
        return numbers(kind)
    if isinstance(kind, Choice):
        return st.sampled_from(kind.words)
    return {
        "dry_sequence_breakers": st.lists(LINE, max_size=3),
        "logit_bias": st.dictionaries(st.integers(0, 99999).map(str), BIASES, max_size=3),
        "sampler_order": st.permutations(SAMPLER_STAGES[1:]).flatmap(orders),
        "stop": st.lists(LINE, max_size=3),
        "tensor_split": st.lists(st.integers(0, 9).map(float), min_size=1, max_size=3),
        "lora": st.lists(st.sampled_from(["a.gguf", "./b c.gguf", "/d/e.gguf"]), max_size=2),
        "draft_model": st.sampled_from(["small", "./a b.gguf"]),
        "grammar": st.sampled_from(['root ::= "a"', 'root ::= "a" # one\nb ::= "b"']),
        "json_schema": SCHEMAS,
        "regex": st.sampled_from(["[a-z]+", r"\d{4}", '"é"|\n']),
        "choices": st.lists(LINE, max_size=3, unique=True),
        "template_arg": st.dictionaries(st.sampled_from(["a", "b_c"]), JSON, max_size=2),
        "chat_template": st.sampled_from(["chatml", "{{ messages }}", "{% if a %}\n#;{% endif %}"]),
    }.get(name, st.booleans())


def numbers(kind: Number) -> st.SearchStrategy:
    low, high = kind.low, INT32_MAX if kind.high is None else kind.high
    if kind.integer:
        inside = st.integers(int(low), int(high))
    else:
        inside = st.floats(low + 1e-6 * kind.low_open, high).map(lambda x: round(x, 6))
    return st.one_of(inside, *(st.just(kind.check(x)) for x in (*kind.special, *kind.words)))


def orders(stages: list[str]) -> st.SearchStrategy:
    return st.integers(0, len(stages)).map(lambda count: ["logit_bias", *stages[:count]])


def presets(names: set[str]) -> st.SearchStrategy:
    return st.sets(st.sampled_from(sorted(names)), max_size=12).flatmap(
        lambda chosen: st.fixed_dictionaries({name: values(name) for name in sorted(chosen)})
    )


def there_and_back(format: str, parameters: dict):
    text, out = write(format, Exported("a preset", parameters=parameters))
    [imported] = FORMATS[format].read(text, "file")
    return imported, [*out, *imported.losses]


def penalises(format: str, parameters: dict, names: set[str] = REPETITION) -> bool:
    """Is one of these that the format knows set, and acts?"""
    known = names & KNOWN[format]
    acts = any(parameters.get(name, 0) not in (0, PARAMS[name].neutral) for name in known)
    acts &= parameters.get("repeat_last_n") != 0
    return acts and "penalties" in parameters.get("sampler_order", SAMPLER_STAGES)


@pytest.mark.parametrize("format", WRITTEN)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_what_both_sides_know_comes_back(format, data):
    parameters = data.draw(presets(KNOWN[format]))
    imported, _ = there_and_back(format, parameters)
    for name, value in parameters.items():
        if name == "repeat_last_n" and not penalises(format, parameters, PENALTIES):
            continue  # it does nothing, and DRY may have its place (text-generation-webui)
        assert imported.parameters.get(name, PARAMS[name].default) == value, name


@pytest.mark.parametrize("format", WRITTEN)
@given(parameters=presets({*PARAMS}))
@settings(max_examples=40, deadline=None)
def test_nothing_is_lost_in_silence(format, parameters):
    imported, losses = there_and_back(format, parameters)
    for name, value in parameters.items():
        param = PARAMS[name]
        does_nothing = value in (param.neutral, param.default)
        does_nothing |= (name, value) == ("top_n_sigma", 0)
        does_nothing |= name in ABOUT_PENALTIES and not penalises(format, parameters)
        # Stages that are left out are told by the parameters that this switches off.
        does_nothing |= name == "sampler_order" and order.same(value, SAMPLER_STAGES)
        does_nothing |= name == "repeat_penalty_growth" and "repeat_penalty" not in parameters
        if imported.parameters.get(name, param.default) != value and not does_nothing:
            assert is_told(name, losses), (name, value, imported.parameters.get(name))


def is_told(name: str, losses: list) -> bool:
    """Is something said about the parameter?"""
    words = (f"{loss.what} {loss.reason}".replace(",", " ").split() for loss in losses)
    return any(name in told for told in words)


@pytest.mark.parametrize("format", ["ollama", "lmstudio", "openai", "llm"])
@given(system=TEXT.filter(bool))
@settings(deadline=None)
def test_system_texts_come_back(format, system):
    text, losses = write(format, Exported("x", system=system))
    [imported] = read(text, "file", format)
    assert imported.system == system or is_told("system", losses)


@pytest.mark.parametrize("format", ["llm", "openai"])
@given(literal=TEXT, other=LINE)
@settings(deadline=None)
def test_prompts_say_the_same_on_both_sides(format, literal, other):
    prompt = "{{ '{' }}" + other.replace("{", "").replace("}", "")
    prompt += " {{ input }}" if format == "llm" else ""
    text, _ = write(format, Exported("x", prompt=prompt))
    [imported] = read(text, "file", format)
    filled = prompt_template.render(imported.prompt, {"input": literal})
    assert filled == prompt_template.render(prompt, {"input": literal})


def test_variables_keep_their_defaults_in_llm():
    preset = Exported(
        "x",
        prompt="{{ a }}{{ b }} costs $5 in {{ a }}2",
        variables={"a": "one", "b": None, "unused": "x"},
    )
    text, losses = write("llm", preset)
    [imported] = read(text, "x.yaml", "llm")
    assert imported.prompt == preset.prompt
    assert imported.variables == {"a": "one", "b": None}
    assert losses == []


@pytest.mark.parametrize("prompt", ["{% if a %}b{% endif %}", "{{ a | upper }}", "{{ a.b }}"])
def test_a_prompt_with_code_does_not_leave_this_program(prompt):
    _, losses = write("llm", Exported("x", prompt=prompt))
    assert [(loss.kind, loss.what) for loss in losses] == [("lost", "prompt")]

"""Recognising formats, refusing what is broken or hostile, and details of single formats."""

from __future__ import annotations

import json
import math
import os
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.errors import PresetError
from llmparams_cli.formats import FORMATS, Exported, command_line, detect, read, write
from llmparams_cli.presets import prompt_template
from llmparams_cli.presets.json_nodes import compose
from llmparams_cli.presets.nodes import Unreadable


def one(text: str, format: str, place: str = "dir/some file.txt"):
    [preset] = read(text, place, format)
    return preset


def told(losses) -> set[str]:
    return {f"{loss.kind} {loss.what}" for loss in losses}


def refused(text: str, format: str | None = None, place: str = "x") -> PresetError:
    with pytest.raises(PresetError) as caught:
        read(text, place, format)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500
    return caught.value


# Recognising


@pytest.mark.parametrize(
    ("text", "file_name", "format"),
    [
        ('{"temperature": 0.5, "top_p": 1}', "generation_config.json", "hf"),
        ('{"temperature": 0.5, "top_p": 1}', "openai-request.json", "openai"),
        ('{"temperature": 0.5, "top_p": 1}', "my_sampling_params.json", "vllm"),
        ('{"temp": 0.5, "rep_pen": 1}', "generation_config.json", "sillytavern"),
        ('{"messages": [], "temperature": 0.5}', "", "openai"),
        ('{"operation": {"fields": []}}', "", "lmstudio"),
        ("# note\n\nFROM x", "", "ollama"),
        ("temp = 1", "", "llama.cpp"),
        ("; note\n[a]\ntemp = 1", "", "llama.cpp"),
        ("temperature: 1", "", "webui"),
        ("prompt: hello", "", "llm"),
    ],
)
def test_content_tells_the_format(text, file_name, format):
    assert detect(text, file_name) == format


@pytest.mark.parametrize(
    "text",
    ['{"temperature": 0.5, "top_p": 1}', "{}", '{"a": 1}', "a: 1", "just text", "[1, 2]"],
)
def test_an_unclear_file_asks_for_the_format(text):
    error = refused(text)
    assert "not clear" in error.message
    assert error.hint == f"name its format: {', '.join(FORMATS)}"


def test_an_empty_file_is_no_preset():
    assert refused("").message == "x: the file is empty"


def test_a_preset_of_ours_is_not_imported():
    error = refused("description: x\nparameters:\n  top_k: 3\n")
    assert "this is a preset of this program already" in error.message


def test_a_section_is_chosen():
    text = "[a/b:Q4]\ntemp = 0.1\n[c]\ntemp = 0.2\n"
    assert [preset.name for preset in read(text, "x")] == ["a-b-Q4", "c"]
    [preset] = read(text, "x", section="a/b:Q4")
    assert preset.parameters["temperature"] == 0.1
    with pytest.raises(PresetError, match="no section 'd'") as caught:
        read(text, "x", section="d")
    assert caught.value.hint == "its sections are a/b:Q4, c"


# What is broken or hostile


@pytest.mark.parametrize(
    ("format", "text", "message"),
    [
        ("llama.cpp", "[a]\ntemp = hot", "x:2: temp: 'hot' is not a number"),
        ("llama.cpp", "[a]\nwhat is this", "x:2: 'what is this' is neither"),
        ("llama.cpp", "[a]\ntemp = nan", "x:2: temp: nan is not a finite number"),
        ("llama.cpp", "[a]\ntop-k = " + "9" * 5000, "x:2: top-k: '999"),
        ("llama.cpp", "[a]\nj = " + "[" * 90000, "x:2: j: nested too deeply"),
        ("llama.cpp", "[a]\ngrammar = @/etc/passwd", "x:2: grammar: begins with @"),
        ("llama.cpp", "[a]\nl = x+1", "x:2: l: 'x+1' is not TOKEN+BIAS"),
        ("ollama", "FROM x\nPARAMETER top_k many", "x:2: top_k: 'many' is not a whole number"),
        ("ollama", 'FROM x\n\nSYSTEM """never\nclosed', "x:3: the quoted text"),
        ("ollama", "FROM x\nRUN rm -rf /", "x:2: 'RUN rm -rf /' begins with none of FROM"),
        ("ollama", "FROM x\nPARAMETER", "x:2: 'PARAMETER' begins with none of"),
        ("ollama", "FROM x\nPARAMETER  ", "x:2: 'PARAMETER  ' begins with none of"),
        ("hf", '{\n"do_sample": "yes"}', "x:2: do_sample: 'yes' is not true or false"),
        ("hf", '{\n"temperature": "0.7"}', "x:2: temperature: '0.7' is not a number"),
        ("hf", '{\n"temperature": 1e999}', "x:2: temperature: inf is not a finite number"),
        ("hf", '{"temperature": NaN}', "x:1: not JSON: 'N'"),
        ("hf", '{"a": 1,\n"a": 2}', "x:2: 'a' is given twice, first in line 1"),
        ("hf", "[" * 100_000, "x:1: nested deeper than 64 levels"),
        ("hf", '{"a": ' * 100_000, "x:1: nested deeper than 64 levels"),
        ("hf", '{"a": 1}\n{}', "x:2: there is more after the end"),
        ("hf", '{"a": 1', "x:1: not JSON: , or } is missing"),
        ("hf", "[]", "x:1: not a mapping of names to values"),
        ("hf", '{"sequence_bias": [[[true], 1]]}', "x:1: sequence_bias: True is not a finite"),
        ("hf", '{"sequence_bias": 1}', "x:1: sequence_bias: not a list"),
        ("openai", '{"messages": [{"role": 1}]}', "x:1: role: 1 is not text"),
        ("openai", '{"messages": {"a": 1}}', "x:1: messages: not a list"),
        ("openai", '{"logit_bias": {"1": "x"}}', "x:1: logit_bias: token '1'"),
        ("openai", '{"response_format": "json"}', "x:1: response_format: not a mapping"),
        ("openai", '{"stop": [1]}', "x:1: stop: [1] is not a text"),
        ("openai", '{"instructions": "a\\u0000b"}', "x:1: a text holds a character"),
        ("openai", '{"instructions": "\\ud800"}', "x:1: a text holds a character"),
        ("vllm", '{"top_k": true}', "x:1: top_k: True is not a whole number"),
        ("vllm", '{"structured_outputs": []}', "x:1: structured_outputs: not a mapping"),
        ("webui", "a: !!python/object/apply:os.system ['id']", "x:1: the tag"),
        ("webui", "temperature: [1]", "x:1: temperature: [1] is not a number"),
        ("webui", "top_k: 1\ntop_k: 2", "x:2: 'top_k' is given twice"),
        ("webui", "dry_sequence_breakers: '['", "x:1: dry_sequence_breakers: '[' is not a list"),
        ("webui", "- a", "x:1: not a mapping"),
        ("webui", "a: &a [x]\nb: *a", "x:1: anchors and aliases"),
        ("llm", "prompt: 3", "x:1: prompt: 3 is not text"),
        ("llm", "options: x", "x:1: options: not a mapping"),
        ("llm", "system: a\ndefaults:\n  b: [1]", "x:3: defaults: b must be one text"),
        ("lmstudio", '{"operation": {"fields": [3]}}', "x:1: fields: not a mapping"),
        ("lmstudio", '{"operation": 3}', "x:1: operation: not a mapping"),
        ("lmstudio", '{"load_params": 3}', "x:1: load_params: not a mapping"),
        ("sillytavern", '{"logit_bias": [{"text": 1}]}', "x:1: text: 1 is not text"),
        ("sillytavern", '{"sampler_order": ["a"]}', "x:1: sampler_order: 'a' is not a finite"),
        ("sillytavern", '{"temperature_last": 1}', "x:1: temperature_last: 1 is not true"),
    ],
)
def test_what_is_broken_ends_in_one_line_with_its_place(format, text, message):
    assert refused(text, format).message.startswith(message)


@pytest.mark.parametrize("format", FORMATS)
def test_a_nul_character_is_no_text(format):
    assert refused("a\nb\0c", format).message == "x:2: not a text file: it has a NUL character"


@pytest.mark.parametrize("format", FORMATS)
@given(text=st.text("[]{}\"'=:#;$\n aFROM1-!&*\\", max_size=40))
@settings(max_examples=30, deadline=None)
def test_any_text_is_read_or_refused(format, text):
    for given_format in (format, None):
        try:
            presets = read(text, "x", given_format)
        except PresetError:
            continue
        assert all(preset.name for preset in presets)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text("a\n{", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("format", [f.name for f in FORMATS.values() if f.marks])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_value_of_a_key_is_read_or_refused(format, data):
    its = FORMATS[format]
    keys = st.sampled_from(sorted(its.keys | its.marks | its.needs))
    document = data.draw(st.dictionaries(keys, JSON, max_size=4))
    try:
        [preset] = read(json.dumps(document), "x", format)
    except PresetError as error:
        assert error.message.startswith("x:")
    else:
        assert preset.name


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("llama.cpp", "[a]\nalias = x" + " " * 900_000 + "y\n"),
        ("llama.cpp", "a = 1\n" * 150_000),
        ("ollama", 'FROM x\nSYSTEM """' + "\n" * 900_000 + '"""'),
        ("hf", '{"stop_strings": [' + '"a",' * 200_000 + '"b"]}'),
        ("llm", "prompt: x" + "{$" * 400_000),
    ],
)
def test_large_files_are_read_in_one_go(format, text):
    # What takes a step for every pair of characters does not come back from these.
    assert one(text, format).name


def test_code_in_a_template_is_told_and_not_run(tmp_path):
    victim = tmp_path / "ran"
    code = f"functions: |\n  open({os.fspath(victim)!r}, 'w')\nsystem: x\n"
    assert "lost functions" in told(one(code, "llm").losses)
    assert not victim.exists()


@given(JSON)
@settings(deadline=None)
def test_json_is_read_as_python_reads_it(value):
    text = json.dumps(value)
    if "NaN" in text or "Infinity" in text:
        with pytest.raises(Unreadable):
            compose(text)
    else:
        assert compose(text).plain() == json.loads(text)


def test_values_know_their_lines():
    root = compose('{\n\t"a": [1,\r\n 2],\n\n "b": {"c": "\\u00e9"}}')
    assert root.value["b"].mark == (5, 2)
    assert [item.mark.line for item in root.value["a"].value] == [2, 3]


# Values


def test_a_value_out_of_bounds_is_lost():
    preset = one('{"temperature": 99, "min_p": 7, "top_k": 2.5}', "vllm")
    losses = {loss.what: loss.reason for loss in preset.losses if loss.kind == "lost"}
    assert losses["temperature"] == "99 is out of range: from 0 to 10"
    assert losses["top_k"] == "2.5 is not a whole number"
    assert preset.parameters["temperature"] == 1.0  # vLLM's own


def test_numbers_stay_as_they_are_written():
    for format, text in [
        ("llama.cpp", "[a]\ntop-p = 0.949999988"),
        ("ollama", "FROM x\nPARAMETER top_p 0.949999988"),
        ("hf", '{"top_p": 0.949999988}'),
        ("webui", "top_p: 0.949999988"),
    ]:
        preset = one(text, format)
        assert preset.parameters["top_p"] == 0.949999988
        assert "0.949999988" in write(format, Exported("x", parameters=preset.parameters))[0]


def test_null_says_nothing():
    preset = one('{"seed": null, "stop": null, "max_tokens": null}', "vllm")
    assert preset.parameters.keys().isdisjoint({"seed", "stop"})
    assert preset.parameters["max_tokens"] == -1  # what vLLM means by it


def test_biases_are_lost_one_by_one():
    preset = one('{"logit_bias": {"1": 200, "2": -3}}', "openai")
    assert preset.parameters["logit_bias"] == {"2": -3.0}
    assert "lost logit_bias" in told(preset.losses)


def test_braces_stay_what_they_are():
    text = "{{ x }} {% if %} {# no #} {{{"
    preset = one(json.dumps({"prompt": text, "max_tokens": 1}), "openai")
    assert prompt_template.render(preset.prompt, {}) == text


# Single formats


def test_ini_values_end_at_a_comment():
    preset = one("temp=0.5;note\n  top-k = 3   # note\nr = a#b\n", "llama.cpp")
    assert preset.parameters == {"temperature": 0.5, "top_k": 3, "max_tokens": -1, "stop": ["a"]}
    assert told(preset.losses) == {"changed temp", "changed r", "filled max_tokens -1"}


def test_an_ini_section_overrides_what_holds_for_all():
    text = "[*]\ntemp = 0.5\nn = 3\n[a]\ntemp = 0.9\n[b]\n"
    first, second = read(text, "x")
    assert first.parameters == {"temperature": 0.9, "max_tokens": 3}
    assert second.parameters == {"temperature": 0.5, "max_tokens": 3}


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("no-mmap = true", {"mmap": False}),
        ("no-mmap = 0", {"mmap": True}),
        ("load-mode = mlock", {"mmap": False, "mlock": True}),
        ("load-mode = mmap+mlock", {"mmap": True, "mlock": True}),
        ("load-mode = auto", {}),
        ("load-mode = none", {"mmap": False, "mlock": False}),
        ("ignore-eos = enabled", {"ignore_eos": True}),
        ("gpu-layers = -2", {"gpu_layers": "all"}),
        ("lora = a.gguf,b.gguf", {"lora": ["a.gguf", "b.gguf"]}),
        ("lora-scaled = a.gguf:0.5", {"lora": ["a.gguf:0.5"]}),
        ("dry-sequence-breaker = none", {"dry_sequence_breakers": []}),
        ("r = \\x23\\\\\\n", {"stop": ["#\\\n"]}),
        ("l = 5+1.5", {"logit_bias": {"5": 1.5}}),
        ("l = 5-inf", {"logit_bias": {"5": -math.inf}}),
        ("sampler-seq = edkypmxt", {}),
        ("dynatemp-exp = 2", {"dynatemp_exponent": 2.0}),
    ],
)
def test_options_of_llama_cpp(line, values):
    parameters = one(f"n = 9\n{line}", "llama.cpp").parameters
    assert parameters.pop("max_tokens") == 9
    parameters.pop("sampler_order", None)
    assert parameters == values


def test_a_section_of_an_ini_file_cannot_repeat_an_option():
    parameters = {"max_tokens": 5, "stop": ["a\n;", "b"]}
    text, losses = write("llama.cpp", Exported("x", parameters=parameters))
    assert text == "[x]\nn-predict = 5\nreverse-prompt = a\\n\\x3b\n"
    assert told(losses) == {"lost stop"}


def test_what_is_given_twice_is_told():
    preset = one("r = a\nr = b\nsamplers = top_k; infill;temp\n", "llama.cpp")
    assert preset.parameters["stop"] == ["b"]
    assert preset.parameters["sampler_order"] == ["logit_bias", "top_k", "temperature"]
    assert {"lost r", "lost samplers"} <= told(preset.losses)
    preset = one("FROM ./a.gguf\nPARAMETER seed 1\nPARAMETER seed 2\nSYSTEM b\nSYSTEM c", "ollama")
    assert (preset.parameters["seed"], preset.system) == (2, "c")
    assert {"lost SYSTEM", "lost seed"} <= told(preset.losses)


@pytest.mark.parametrize(
    ("line", "model"),
    [
        ("hf = a/b:Q4_K_M", "a/b:Q4_K_M"),
        ("hf-repo = a/b", "hf.co/a/b"),
        ("m = models/a.gguf", "models/a.gguf"),
        ("model = ./a.gguf", "./a.gguf"),
        ("model-url = https://b/c.gguf", "https://b/c.gguf"),
    ],
)
def test_models_go_out_as_they_came_in(line, model):
    assert one(line, "llama.cpp").model == model
    text, losses = write("llama.cpp", Exported("x", model=model, parameters={"max_tokens": 7}))
    assert one(text, "llama.cpp").model == model
    assert losses == []
    text, _ = write("ollama", Exported("x", model=model))
    assert one(text, "ollama").model == model


def test_the_command_line_of_llama_cpp():
    preset = Exported(
        "x",
        model="org/repo:Q4_K_M",
        system="Be brief.",
        prompt="Say {{ '{' }}{x}}",
        parameters={
            "temperature": 0.2,
            "max_tokens": 9,
            "stop": ["a", "b\n"],
            "sampler_order": ["logit_bias", "top_k", "temperature"],
            "mmap": False,
            "mlock": True,
            "ignore_eos": False,
            "logit_bias": {"7": -math.inf, "8": 1e-6, " the": 1.0},
            "penalize_prompt": True,
            "time_limit": 5.0,
        },
    )
    line, losses = command_line(preset)
    assert shlex.split(line) == [
        *("llama-cli", "-hf", "org/repo:Q4_K_M", "-sys", "Be brief.", "-p", "Say {{x}}"),
        *("--temp", "0.2", "--logit-bias", "7-inf", "--logit-bias", "8+0.000001"),
        *("--samplers", "top_k;temperature", "--n-predict", "9"),
        *("--reverse-prompt", "a", "--reverse-prompt", "b\\n", "--load-mode", "mlock"),
    ]
    assert told(losses) == {"lost logit_bias", "lost time_limit"}


def test_a_modelfile_keeps_every_stop_and_the_last_value():
    text = 'FROM x\nPARAMETER stop a\nPARAMETER stop "b c"\nPARAMETER seed 1\nPARAMETER seed 2\n'
    parameters = one(text, "ollama").parameters
    assert parameters["stop"] == ["a", "b c"]
    assert parameters["seed"] == 2


def test_a_modelfile_on_windows_is_read_alike():
    text = 'FROM x\r\nSYSTEM """a\r\nb"""\r\nPARAMETER seed 3\r\n'
    preset = one(text, "ollama")
    assert preset.system == "a\nb"
    assert preset.parameters["seed"] == 3


def test_a_modelfile_needs_a_model():
    text, losses = write("ollama", Exported("x", "What for", parameters={"gpu_layers": "all"}))
    assert text == "# What for\nFROM MODEL\nPARAMETER num_gpu 999\n"
    own = "filled top_p, min_p, max_tokens"
    assert told(losses) == {"filled FROM", "changed gpu_layers", own}


def test_what_a_modelfile_cannot_quote_is_lost():
    system = 'He said """no"""\nand left'
    text, losses = write("ollama", Exported("x", model="./a.gguf", system=system))
    assert text == "FROM ./a.gguf\n"
    assert "lost system" in told(losses)


def test_transformers_samples_only_when_it_is_told_to():
    greedy, _ = write("hf", Exported("x", parameters={"temperature": 0.0}))
    assert json.loads(greedy) == {"do_sample": False}
    sampled, losses = write("hf", Exported("x", parameters={"top_k": 5}))
    assert json.loads(sampled) == {"do_sample": True, "top_k": 5}
    assert told(losses) == {"reordered sampler_order", "filled temperature, top_p, min_p"}
    missing = one('{"temperature": 0.7}', "hf")
    assert "changed do_sample" in told(missing.losses)
    assert missing.parameters["temperature"] == 0.7


def test_penalties_count_what_they_count_elsewhere():
    for format, key in [("hf", "repetition_penalty"), ("vllm", "repetition_penalty")]:
        parameters = one(json.dumps({key: 1.2, "do_sample": True}), format).parameters
        assert parameters["penalize_prompt"] is True
        assert parameters["repeat_last_n"] == -1
    assert "penalize_prompt" not in one('{"presence_penalty": 1}', "openai").parameters
    assert "penalize_prompt" not in one("temp = 1", "llama.cpp").parameters
    _, losses = write(
        "llama.cpp",
        Exported("x", parameters={"repeat_penalty": 1.1, "repeat_penalty_growth": "exponential"}),
    )
    assert {"changed penalize_prompt", "changed repeat_penalty_growth"} < told(losses)


def test_openai_takes_what_is_in_its_bounds():
    parameters = {
        "temperature": 3.0,
        "presence_penalty": 2.5,
        "stop": list("abcde"),
        "max_tokens": -1,
        "seed": -1,
        "logit_bias": {"5": -math.inf, "the": 1.0},
    }
    text, losses = write("openai", Exported("A name", model="m", parameters=parameters))
    body = json.loads(text)
    assert body == {
        "model": "m",
        "messages": [],
        "stop": list("abcd"),
        "logit_bias": {"5": -100.0},
    }
    reasons = {loss.what: loss.reason for loss in losses}
    assert reasons["temperature"] == "in OpenAI, 3 is out of range: from 0 to 2"
    assert {"presence_penalty", "stop", "logit_bias", "logit_bias 5"} <= set(reasons)
    assert reasons.keys().isdisjoint({"max_tokens", "seed"})


def test_openai_has_names_for_structured_output():
    schema = {"type": "object", "title": "x"}
    text, _ = write("openai", Exported("my preset", parameters={"json_schema": schema}))
    form = json.loads(text)["response_format"]
    assert form == {
        "type": "json_schema",
        "json_schema": {"name": "my_preset", "schema": schema},
    }
    assert one('{"response_format": {"type": "json_object"}}', "openai").parameters[
        "json_schema"
    ] == {"type": "object"}


def test_vllm_counts_the_prompt_for_one_penalty_only():
    parameters = {"repeat_penalty": 1.1, "presence_penalty": 1.0, "penalize_prompt": True}
    _, losses = write("vllm", Exported("x", parameters=parameters))
    assert "changed frequency_penalty, presence_penalty" in told(losses)


@pytest.mark.parametrize("key", ["structured_outputs", "guided_decoding"])
def test_vllm_structures_output(key):
    assert one(json.dumps({key: {"json": {"a": 1}}}), "vllm").parameters["json_schema"] == {"a": 1}
    preset = one(json.dumps({key: {"grammar": "root ::= x", "regex": None}}), "vllm")
    assert preset.parameters["grammar"] == "root ::= x"
    assert one(json.dumps({key: {"regex": "a+"}}), "vllm").parameters["regex"] == "a+"
    assert one(json.dumps({key: {"choice": ["a", "b"]}}), "vllm").parameters["choices"] == [
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    ("name", "value", "form"), [("regex", "a+", "regex"), ("choices", ["a", "b"], "choice")]
)
def test_vllms_forms_have_older_names_in_requests(name, value, form):
    request = {"messages": [{"role": "user", "content": "x"}], f"guided_{form}": value}
    assert one(json.dumps(request), "vllm-request").parameters[name] == value
    text, _ = write("vllm", Exported("x", parameters={name: value}))
    assert json.loads(text)["structured_outputs"] == {form: value}
    _, losses = write("vllm", Exported("x", parameters={name: value, "json_schema": {}}))
    assert "lost json_schema" in told(losses)


def test_stages_left_out_are_off_elsewhere():
    parameters = {"sampler_order": ["logit_bias", "top_p"], "top_p": 0.5, "repeat_penalty": 1.5}
    text, losses = write("ollama", Exported("x", model="./a.gguf", parameters=parameters))
    assert "PARAMETER temperature 1\n" in text
    assert "PARAMETER top_k 0\n" in text
    assert "PARAMETER repeat_penalty 1\n" in text
    assert "changed temperature" in told(losses)


def test_llm_names_that_are_words_of_jinja():
    preset = one("prompt: $for is ${input}s\ndefaults:\n  for: x\n", "llm")
    assert preset.variables == {"for_": "x"}
    assert prompt_template.render(preset.prompt, {"for_": "x", "input": "thing"}) == "x is things"


def test_an_llm_template_may_be_its_prompt_alone():
    assert one("Say $$5 to $input", "llm").prompt == "Say $5 to {{ input }}"


def test_lm_studios_boxes_without_a_tick_do_nothing():
    keys = {
        "llm.prediction.topPSampling": "top_p",
        "llm.prediction.repeatPenalty": "repeat_penalty",
        "llm.load.seed": "seed",
        "llm.load.llama.kCacheQuantizationType": "cache_type_k",
    }
    fields = [{"key": key, "value": {"checked": False, "value": 3}} for key in keys]
    parameters = one(json.dumps({"operation": {"fields": fields}}), "lmstudio").parameters
    assert parameters == {
        "top_p": 1.0,
        "repeat_penalty": 1.0,
        "seed": -1,
        "max_tokens": -1,
        "cache_type_k": "f16",
    }


def test_a_description_becomes_comments():
    for format in ("llama.cpp", "ollama", "webui", "llm"):
        text, losses = write(format, Exported("x", "one\n\x1btwo", model="./a.gguf"))
        first, second, *_ = text.splitlines()
        assert (first[2:], second[2:]) == ("one", "<1b>two")
        assert "lost description" not in told(losses)


def test_what_is_written_can_be_shown():
    preset = Exported("x", system="\x9b31m \u202e", parameters={"stop": ["\x07"]})
    for format in ("openai", "lmstudio"):
        text, _ = write(format, preset)
        assert "\x9b" not in text
        assert "\u202e" not in text
        assert "\x07" not in text

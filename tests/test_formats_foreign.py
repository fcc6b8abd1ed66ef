"""Whose file it is: told by distinctive keys, and named where it is not read."""

from __future__ import annotations

import json

import pytest

from llmparams_cli.errors import PresetError
from llmparams_cli.formats import FORMATS, WRITTEN, Exported, detect, read, write


def refusal(text: str, format: str | None = None) -> str:
    with pytest.raises(PresetError) as caught:
        read(text, "x", format)
    return caught.value.message


@pytest.mark.parametrize(
    ("document", "whose"),
    [
        (
            {"order": [0, 1], "temperature": 1, "tail_free_sampling": 0.9, "top_k": 3},
            "a preset of NovelAI",
        ),
        (
            {"presetVersion": 3, "name": "Slow", "id": "7", "parameters": {"top_k": 4}},
            "a preset of NovelAI",
        ),
        (
            {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"topK": 3}},
            "a request of Google's Gemini API",
        ),
        (
            {"message": "hi", "preamble": "Be brief.", "p": 0.8, "temperature": 0.3},
            "a request of Cohere's API",
        ),
        (
            {"inputs": "hi", "parameters": {"temperature": 0.4, "top_p": 0.9}},
            "a request of text-generation-inference",
        ),
        (
            {
                **{
                    f"{name}_model": "x"
                    for name in ("openai", "claude", "google", "custom", "ai21")
                },
                **dict.fromkeys(("openai_max_context", "openai_max_tokens"), 300),
                **dict.fromkeys(("prompt_order", "new_chat_prompt", "impersonation_prompt"), ""),
                "temperature": 1,
            },
            "a chat completion preset of SillyTavern",
        ),
        (
            {"name": "Boats", "story_string": "{{system}}", "chat_start": "***"},
            "a template of SillyTavern",
        ),
    ],
)
def test_files_that_are_not_read_are_named(document: dict[str, object], whose: str) -> None:
    assert refusal(json.dumps(document)) == f"x: this is {whose}, which is not read"


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("model: a:b\nclients: []\nkeybindings: vi\n", "the configuration of aichat"),
        ("---\nname: a\nmodel: b\ninputs: {x: y}\n---\nsystem:\nHi", "a prompt of Prompty"),
        ("---\nmodel: b\nconfig: {topK: 3}\n---\nHi {{x}}", "a prompt of Dotprompt"),
    ],
)
def test_texts_that_are_not_read_are_named(text: str, whose: str) -> None:
    assert refusal(text) == f"x: this is {whose}, which is not read"


@pytest.mark.parametrize(
    "document",
    [
        {"name": "Slow River", "colour": 1, "mood": 2},
        {"name": "a", "identifier": "b", "mood": 1},  # only names that others have too
        {"operation": {}, "a": 1, "b": 2, "c": 3},
        {"model": "a", "prompt": "b", "stream": False},  # Ollama's, or OpenAI's
        {"temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1},  # transformers', or vLLM's
        {"temperature": 1, "top_k": 40, "cats": 1, "dogs": 2, "seed": 3, "owls": 4, "emus": 5},
    ],
)
def test_shared_keys_tell_no_program(document: dict[str, object]) -> None:
    assert "not clear" in refusal(json.dumps(document))


@pytest.mark.parametrize(
    ("document", "format"),
    [
        ({"model": "a", "messages": [], "max_tokens": 5, "temperature": 0.2}, "openai"),
        ({"model": "a", "prompt": "b", "max_tokens": 5}, "openai"),
        ({"model": "a", "instructions": "b", "input": "c"}, "openai"),
        ({"model": "a", "messages": [], "max_tokens": 5, "system": "b"}, "anthropic"),
        ({"prompt": "a", "max_tokens_to_sample": 5}, "anthropic"),
        ({"model": "a", "messages": [], "options": {}}, "ollama-request"),
        ({"model": "a", "prompt": "b", "system": "c", "stream": False}, "ollama-request"),
        ({"model": "a", "messages": [], "min_p": 0.1}, "vllm-request"),
        ({"prompt": "a", "n_predict": 5, "temperature": 0.2}, "llama.cpp-request"),
        ({"prompt": "a", "max_length": 5, "typical": 0.9}, "kobold"),
        ({"temperature": 0.6, "max_new_tokens": 5, "repetition_penalty": 1.1}, "hf"),
        ({"best_of": 1, "temperature": 0.6, "repetition_penalty": 1.1}, "vllm"),
        ({"temp": 0.6, "rep_pen": 1.1, "top_k": 3, "typical": 1}, "kobold"),
        ({"temp": 0.6, "rep_pen": 1.1, "top_k": 3, "typical_p": 1}, "sillytavern"),
    ],
)
def test_neighbours_are_told_apart(document: dict[str, object], format: str) -> None:
    assert detect(json.dumps(document), "x") == format


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("name: a\nparameters: {model: b.gguf}\n", "localai"),
        ("parameters: {top_k: 3}\nbackend: llama-cpp\ncontext_size: 9\n", "localai"),
        ("min_p: 0.05\n", "webui"),
        ("temp: 0.2\ntopp: 0.4\n", "mods"),
        ("system: be brief\n", "llm"),
    ],
)
def test_neighbours_in_yaml_are_told_apart(text: str, format: str) -> None:
    assert detect(text, "x") == format


def test_a_markdown_file_without_values_may_be_a_role() -> None:
    text = "Provide only code: no words.\n### INPUT:\nsleep\n### OUTPUT:\nsleep 1"
    with pytest.raises(PresetError, match="not clear"):
        read(text, "code.md")
    [preset] = read(text, "code.md", "aichat")
    assert (preset.name, preset.system) == ("code", "Provide only code: no words.")


def test_a_preset_of_ours_without_parameters_is_told() -> None:
    text = "description: a\nsystem: b\nmodel: c\n"
    assert "a preset of this program already" in refusal(text)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ('{"name": "a", "colour": 3}', "lmstudio"),
        ('{"id": "a", "settings": {"mystery": 3}, "parameters": {}}', "jan"),
        ('{"name": "a", "ramrequired": "8"}', "gpt4all"),
        ("options: {}", "llm"),
        ("apis: {}\nword-wrap: 80", "mods"),
        ("---\nuse_tools: all\ntemperature:\n---\n### INPUT:\nx", "aichat"),
        ("---\nuse_tools: all\n---\n", "aichat"),
    ],
)
def test_an_empty_preset_is_never_made(text: str, format: str) -> None:
    assert refusal(text, format) == "x: there is nothing in it that a preset can hold"


def values(text: str, format: str) -> dict[str, object]:
    [preset] = read(text, "x", format)
    return preset.parameters


def told(text: str, format: str) -> set[str]:
    [preset] = read(text, "x", format)
    return {f"{loss.kind} {loss.what}" for loss in preset.losses}


@pytest.mark.parametrize(
    ("text", "format", "length"),
    [
        ('{"detokenize": true}', "vllm", 16),
        ('{"messages": [], "min_p": 0.1}', "vllm-request", -1),
        ('{"prompt": "a", "min_p": 0.1}', "vllm-request", 16),
        ('{"messages": [], "temperature": 0.1}', "openai", -1),
        ('{"prompt": "a", "temperature": 0.1}', "openai", 16),
        ('{"model": "a", "options": {"top_k": 3}}', "ollama-request", -1),
        ('{"prompt": "a", "top_k": 3}', "llama.cpp-request", -1),
        ("FROM x\nPARAMETER top_k 3", "ollama", -1),
        ("top-k = 3", "llama.cpp", -1),
        ('{"inference_params": {"temp": 1}}', "lmstudio", -1),
        ('{"operation": {"fields": []}}', "lmstudio", -1),
        ("context_size: 9", "localai", -1),
    ],
)
def test_a_missing_length_means_what_it_means_there(text: str, format: str, length: int) -> None:
    assert values(text, format)["max_tokens"] == length
    assert f"filled max_tokens {length}" in told(text, format)


@pytest.mark.parametrize("format", ["hf", "vllm", "openai", "anthropic", "kobold", "webui"])
def test_top_k_below_0_is_off_everywhere(format: str) -> None:
    text = "top_k: -1" if format == "webui" else '{"top_k": -1}'
    if format != "openai":  # which has none
        assert values(text, format)["top_k"] == 0
        assert not any(loss.startswith("lost top_k") for loss in told(text, format))


def test_texts_in_a_list_are_messages() -> None:
    [preset] = read(json.dumps({"input": ["a", "b"], "temperature": 0.1}), "x", "openai")
    assert preset.prompt == "a"
    assert "lost message of user" in {f"{loss.kind} {loss.what}" for loss in preset.losses}
    [preset] = read(json.dumps({"prompt": [1, 2], "n_predict": 4}), "x")
    assert preset.prompt is None
    assert "lost prompt" in {f"{loss.kind} {loss.what}" for loss in preset.losses}


def test_what_a_client_adds_to_a_request_is_read_too() -> None:
    request = {"model": "a", "messages": [], "extra_body": {"top_k": 20, "min_p": 0.1}}
    parameters = values(json.dumps(request), "vllm-request")
    assert (parameters["top_k"], parameters["min_p"]) == (20, 0.1)
    assert detect(json.dumps(request), "x") == "vllm-request"


def test_an_assistant_of_jan_has_instructions() -> None:
    assistant = {
        "id": "a",
        "object": "assistant",
        "name": "Mate",
        "avatar": "b",
        "instructions": "Be kind.",
        "parameters": {"temperature": 0.3},
        "tools": [],
    }
    [preset] = read(json.dumps(assistant), "x")
    assert (preset.name, preset.system, preset.parameters) == (
        "Mate",
        "Be kind.",
        {"temperature": 0.3},
    )


def test_names_of_ollamas_registry_are_no_names_of_the_hub() -> None:
    for name in ("crew/otter:1b", "crew/otter", "otter:1b"):
        [preset] = read(f"FROM {name}\nPARAMETER top_k 3", "x", "ollama")
        assert preset.model is None
        request = json.dumps({"model": name, "options": {"top_k": 3}})
        assert read(request, "x", "ollama-request")[0].model is None
    [preset] = read("FROM hf.co/crew/otter-GGUF:Q8_0", "x", "ollama")
    assert preset.model == "crew/otter-GGUF:Q8_0"


def test_koboldcpps_order_in_sillytaverns_file_is_that_of_its_requests() -> None:
    numbers = [2, 5, 0, 6, 4]
    wanted = "logit_bias dry top_p min_p temperature top_n_sigma top_k penalties typical_p xtc"
    for key, format in (("temp", "sillytavern"), ("temperature", "kobold")):
        parameters = values(json.dumps({key: 1, "sampler_order": numbers}), format)
        assert parameters["sampler_order"] == wanted.split()


def test_xtc_is_last_in_koboldcpp_whatever_its_order_leaves_out() -> None:
    parameters = values('{"temperature": 1, "sampler_order": [5]}', "kobold")
    wanted = "logit_bias dry temperature top_n_sigma penalties top_k typical_p top_p min_p xtc"
    assert parameters["sampler_order"] == wanted.split()


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({"mmap": False, "mlock": True}, "mlock"),
        ({"mmap": False}, "none"),
        ({"mlock": True}, "mmap+mlock"),
        ({"mmap": True, "mlock": False}, "mmap"),
    ],
)
def test_llama_cpp_has_one_option_for_mapping_and_locking(
    values: dict[str, object], written: str
) -> None:
    text, _ = write("llama.cpp", Exported("x", parameters=values))
    assert text == f"[x]\nload-mode = {written}\n"


def test_what_is_off_is_no_option_of_llama_cpps_files() -> None:
    parameters = {"mlock": False, "ignore_eos": False, "max_tokens": 4}
    assert write("llama.cpp", Exported("x", parameters=parameters))[0] == "[x]\nn-predict = 4\n"


def losses(format: str, parameters: dict[str, object]) -> dict[str, str]:
    _, told = write(format, Exported("x", parameters=parameters))
    return {f"{loss.kind} {loss.what}": loss.reason for loss in told}


def test_lm_studio_gets_only_what_its_schema_takes() -> None:
    parameters = {
        "temperature": 2.5,
        "top_k": 900,
        "threads": 0,
        "context": 0,
        "cache_type_k": "bf16",
        "max_tokens": -1,
        "seed": -1,
        "logit_bias": {"4": float("-inf"), "tea": 1.0},
        "mirostat": 2,
    }
    text, _ = write("lmstudio", Exported("x", parameters=parameters))
    body = json.loads(text)
    assert {f["key"].split(".")[-1]: f["value"] for f in body["operation"]["fields"]} == {
        "temperature": 2.5,
        "maxPredictedTokens": {"checked": False, "value": 1000},
        "seed": {"checked": False, "value": -1},
        "logitBias": [[4, "-inf"]],
        "mirostatSampling": {"version": 2, "targetEntropy": 5.0, "learningRate": 0.1},
    }
    assert body["load"]["fields"] == []
    told = losses("lmstudio", parameters)
    assert told["lost top_k"] == "in LM Studio, 900 is out of range: from 0 to 500"
    assert told["changed temperature"] == "LM Studio's slider ends at 1"
    assert {"lost threads", "lost context", "lost cache_type_k", "lost logit_bias"} < told.keys()


def test_transformers_gets_no_samplers_where_it_does_not_sample() -> None:
    parameters = {"temperature": 0.0, "top_k": 5, "min_p": 0.2, "top_p": 1.0, "repeat_penalty": 1.2}
    text, _ = write("hf", Exported("x", parameters=parameters))
    assert json.loads(text) == {"do_sample": False, "repetition_penalty": 1.2}
    told = losses("hf", parameters)
    assert {"lost top_k", "lost min_p"} < told.keys()
    assert "lost top_p" not in told


def test_transformers_gets_no_zero_that_it_reads_otherwise() -> None:
    parameters = {"top_p": 0.0, "time_limit": 0.0, "temperature": 0.5}
    text, _ = write("hf", Exported("x", parameters=parameters))
    assert json.loads(text) == {"do_sample": True, "temperature": 0.5}
    assert losses("hf", parameters)["lost top_p"].startswith("in transformers, 0 is out of range")


def test_openai_gets_whole_biases() -> None:
    text, _ = write("openai", Exported("x", parameters={"logit_bias": {"7": 1.6, "8": 2.0}}))
    assert json.loads(text)["logit_bias"] == {"7": 2, "8": 2.0}
    assert "changed logit_bias 7" in losses("openai", {"logit_bias": {"7": 1.6}})


def test_webui_has_one_window_for_penalties_and_dry() -> None:
    dry = {"dry_multiplier": 0.8, "dry_last_n": 99}
    assert "repetition_penalty_range: 99" in write("webui", Exported("x", parameters=dry))[0]
    assert "changed dry_last_n" not in losses("webui", dry)
    both = {**dry, "repeat_penalty": 1.1, "repeat_last_n": 64}
    assert "repetition_penalty_range: 64" in write("webui", Exported("x", parameters=both))[0]
    assert "changed dry_last_n" in losses("webui", both)


@pytest.mark.parametrize("format", ["llama.cpp", "ollama", "lmstudio", "openai", "vllm"])
def test_a_length_that_is_not_chosen_is_told(format: str) -> None:
    names = [name for name in losses(format, {"seed": 3}) if name.startswith("filled")]
    assert any("max_tokens" in name for name in names)
    names = [name for name in losses(format, {"max_tokens": 3}) if name.startswith("filled")]
    assert not any("max_tokens" in name for name in names)


def test_every_format_is_read_and_says_how_it_is_known() -> None:
    assert set(WRITTEN) < set(FORMATS)
    for format in FORMATS.values():
        assert format.marks or format.syntax in ("ini", "modelfile")

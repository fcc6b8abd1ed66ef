"""Files as they are found in the wild: what they mean here, and what is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from llmparams_cli.formats import Imported, detect, read
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import prompt_template

WILD = Path(__file__).parent / "wild_presets"

# For each file its format, and for each of its presets what is to come out.
EXPECTED = yaml.safe_load((WILD / "expected.yaml").read_text(encoding="utf-8"))


def presets(file: str) -> list[Imported]:
    return read((WILD / file).read_text(encoding="utf-8"), file)


def test_every_file_is_expected():
    files = {path.name for path in WILD.iterdir()} - {"expected.yaml"}
    assert files == set(EXPECTED)


@pytest.mark.parametrize("file", EXPECTED)
def test_the_format_is_seen_without_the_files_name(file):
    text = (WILD / file).read_text(encoding="utf-8")
    assert detect(text, file) == detect(text, "a") == EXPECTED[file]["format"]


@pytest.mark.parametrize("file", EXPECTED)
def test_the_values_and_what_is_told(file):
    for preset, expected in zip(presets(file), EXPECTED[file]["presets"], strict=True):
        parameters = {n: PARAMS[n].kind.check(v) for n, v in expected["parameters"].items()}
        assert preset.parameters == parameters
        assert list(preset.parameters) == [name for name in PARAMS if name in parameters]
        assert [told(loss) for loss in preset.losses] == expected["told"]
        assert all(loss.reason for loss in preset.losses)


def told(loss) -> str:
    return f"{loss.kind} {loss.what}".partition(" logit_bias,")[0]


@pytest.mark.parametrize("file", EXPECTED)
def test_the_values_are_allowed_here(file):
    for preset in presets(file):
        for name, value in preset.parameters.items():
            assert PARAMS[name].kind.check(value) == value


def test_an_ini_file_has_a_preset_for_each_section():
    small, writer = presets("router.ini")
    assert (small.name, small.model) == ("small-chat", "/models/small-3b-q5_k_m.gguf")
    assert (writer.name, writer.model) == ("writer", "someone/Story-12B-GGUF:Q4_K_M")


def test_a_section_can_be_the_models_name():
    [preset] = presets("short_options.ini")
    assert preset.section == preset.model == "qwen/Coder-7B-GGUF:Q8_0"
    assert preset.name == "qwen-Coder-7B-GGUF-Q8_0"


def test_options_for_all_are_a_preset_when_they_are_alone():
    [preset] = presets("one_section.ini")
    assert preset.name == "one_section"


def test_a_modelfile_names_its_model_and_system_text():
    [preset] = presets("Modelfile.support")
    assert preset.model == "./models/helper-8b.Q4_K_M.gguf"
    assert preset.system == (
        "You answer for the help desk of a bicycle shop.\n\n"
        "Quote prices as {{price}} and never guess."
    )


def test_a_models_name_on_the_hub_is_kept_and_a_librarys_is_not():
    assert presets("Modelfile.adapter")[0].model == "someone/Base-7B-GGUF:Q5_K_S"
    assert presets("library.modelfile")[0].model is None


def test_a_projector_is_not_the_model():
    assert presets("two_models.modelfile")[0].model == "./harbour-3b.Q4_K_M.gguf"
    [preset] = read("FROM ./a.gguf\nADAPTER ./a.MMPROJ.gguf\nADAPTER ./b.gguf", "x")
    assert preset.parameters["lora"] == ["./b.gguf"]
    assert "lost ADAPTER" in map(told, preset.losses)


def test_a_role_is_a_system_text_or_a_prompt_with_the_input():
    [shorter] = presets("boatswain.md")
    assert shorter.system == "Shorten the log entry; keep {{__now__}} as it is."
    [verse] = presets("rewrite.md")
    assert prompt_template.render(verse.prompt, {"input": "a{b"}) == "Put {{this}} into verse: a{b!"


@pytest.mark.parametrize(
    ("file", "model", "system", "prompt"),
    [
        ("kobold_call.json", None, None, "The lamp on the pier goes {{out}}."),
        ("claude_call.json", None, "Weigh both sides.", "Which pier?"),
        ("llama_call.json", None, None, "Knots:"),
        ("vllm_call.json", None, None, "Name a knot."),
        ("harbour_jan.json", "harbour-3b.Q4_K_M.gguf", None, None),
        ("harbour_gpt4all.json", "harbour-3b.Q4_0.gguf", "Speak of ships.", None),
        ("harbour_localai.yaml", "harbour-3b.Q4_K_M.gguf", "Speak of piers.", None),
        ("mods.yml", None, "you know every pier\nyou answer in a line", None),
        (
            "ollama_chat.json",
            "someone/Harbour-3B-GGUF:Q4_K_M",
            "Answer as a harbour master.",
            "May I moor here?",
        ),
    ],
)
def test_texts_and_models_of_other_programs(file, model, system, prompt):
    [preset] = presets(file)
    assert (preset.model, preset.system) == (model, system)
    assert (preset.prompt and prompt_template.render(preset.prompt, {})) == prompt


def test_a_request_gives_its_system_text_and_a_prompt_without_variables():
    [preset] = presets("chat_request.json")
    assert preset.system == "Summarise contracts in {one} sentence."
    assert prompt_template.names(preset.prompt) == set()
    assert prompt_template.render(preset.prompt, {}) == "Use {{braces}} where the name is missing."


def test_an_llm_template_becomes_one_of_ours():
    [preset] = presets("translate.yaml")
    assert preset.variables == {"language": "French", "name": None}
    assert preset.system == "You translate for engineers. It costs $2."
    values = {"language": "Dutch", "name": "x", "input": "hello"}
    filled = prompt_template.render(preset.prompt, values)
    assert filled == (
        "Translate into Dutch, and leave {{placeholders}} and {x} as they are:\nhello"
    )


def test_lm_studios_presets_have_a_name_and_a_system_text():
    [new] = presets("careful.preset.json")
    assert (new.name, new.system) == ("Careful-answers", "Check every number twice.")
    [older] = presets("older_lmstudio.json")
    assert (older.name, older.system) == (
        "ChatML",
        "Keep it short.",
    )

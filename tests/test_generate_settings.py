"""Settings at work in the real program, on the real built-in model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from gguf import GGUFReader
from models import write_adapter, write_llama
from program import Program

from llmparams_cli.backends.llama.weights import Recipe, quantise
from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin
from llmparams_cli.params.kinds import Choice, Number
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import PARAMS

BACKENDS = ("llama", "scripted")  # see conftest

STORY = ("generate", "Tell me a story", "--seed", "1", "-n", "24")
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["fox", "crow"]},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
        "friends": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["name", "kind", "age", "friends"],
    "additionalProperties": False,
}


# --- constraints


@pytest.mark.real_model
def test_a_grammar_rules_the_text_from_the_flag_a_file_and_a_preset(program: Program) -> None:
    grammar = 'root ::= ("fox" | "crow") [0-9]{3} "."'
    (program.place / "animal.gbnf").write_text(grammar)
    (program.place / "animal.yaml").write_text("parameters:\n  grammar: '@animal.gbnf'\n")
    for arguments in (
        ("--grammar", grammar),
        ("--grammar", "@animal.gbnf"),
        ("-p", "./animal.yaml"),
    ):
        for temperature in ("0", "3"):
            result = program.call(
                "generate", "hi", "--json", "--temp", temperature, *arguments
            ).json
            assert result["text"][:3] in ("fox", "cro")
            assert result["text"][-4:-1].isdecimal() and result["text"].endswith(".")
            assert result["stop"]["reason"] == "end-of-generation"


@pytest.mark.real_model
def test_a_schema_yields_valid_json_or_says_why_not(program: Program) -> None:
    (program.place / "person.json").write_text(json.dumps(PERSON))
    sources = (json.dumps(PERSON), "@person.json", "person.json")
    for seed, source in enumerate(sources):
        for temperature in ("0", "1", "3"):
            result = program.call(
                "generate", "Who?", "--json", "--json-schema", source, "--temp", temperature,
                "-s", str(seed), "-n", "300", "--context", "1024",
            ).json  # fmt: skip
            assert result["stop"]["reason"] == "end-of-generation"
            jsonschema.validate(json.loads(result["text"]), PERSON)
    cut = program.call("generate", "Who?", "--json", "--json-schema", sources[0], "-n", "4").json
    assert cut["stop"]["reason"] == "max-tokens"


@pytest.mark.real_model
def test_strings_hold_no_raw_control_characters_even_if_the_model_insists(
    program: Program,
) -> None:
    result = program.call(
        "generate", "hi", "--json", "--json-schema", '{"type": "string", "maxLength": 9}',
        "--logit-bias", "\n=50", "--logit-bias", "\t=50", "--temp", "2", "-n", "60",
    ).json  # fmt: skip
    assert result["stop"]["reason"] == "end-of-generation"
    assert len(json.loads(result["text"])) <= 9


@pytest.mark.real_model
def test_what_a_schema_cannot_enforce_is_told(program: Program) -> None:
    schema = '{"type": "array", "uniqueItems": true, "maxItems": 2}'
    done = program.call("generate", "hi", "-n", "40", "--json-schema", schema)
    [line] = [line for line in done.stderr.splitlines() if "uniqueItems" in line]
    assert "json_schema (flag --json-schema): not followed, so check the output: " in line
    assert "$: uniqueItems is left out" in line


@pytest.mark.real_model
def test_a_schema_brings_no_noise_of_the_library(program: Program) -> None:
    done = program.pipe("generate", "hi", "-q", "--json-schema", '{"type": "boolean"}')
    assert done.json in (True, False)
    assert done.stderr == ""


# --- tokens forbidden and favoured


@pytest.mark.real_model
def test_a_bias_by_id_or_by_text_decides_what_is_said(program: Program) -> None:
    arguments = (*STORY, "--json", "--logprobs", "0", "--temp", "0")
    first = program.call(*arguments).json["tokens"][0]
    forbidden = program.call(*arguments, "--logit-bias", f"{first['id']}=false").json["tokens"]
    assert first["id"] not in {token["id"] for token in forbidden}

    names = GGUFReader(builtin.PATH).fields["tokenizer.ggml.tokens"].contents()
    favoured = program.call(*arguments, "--logit-bias", f"{names.index('x')}=100").json
    assert favoured["text"] == "x" * 24
    assert program.call(*arguments, "--logit-bias", "x=100").json["text"] == "x" * 24
    both = program.call(*arguments, "--logit-bias", "x=100", "--logit-bias", "x=false").json
    assert "x" not in both["text"]


@pytest.mark.real_model
def test_ignore_eos_goes_on_where_the_model_would_end(program: Program) -> None:
    end = GGUFReader(builtin.PATH).fields["tokenizer.ggml.eos_token_id"].contents()
    arguments = ("generate", "hi", "--json", "-n", "20", "--logit-bias", f"{end}=50")
    assert program.call(*arguments).json["stop"]["reason"] == "end-of-generation"
    result = program.call(*arguments, "--ignore-eos").json
    assert result["stop"] == {"reason": "max-tokens", "detail": "20 tokens"}
    assert result["usage"]["completion_tokens"] == 20


@pytest.mark.real_model
def test_a_setting_that_cannot_matter_is_named_once(program: Program) -> None:
    done = program.pipe(*STORY, "--temp", "0", "--top-p", "0.5")
    [line] = [line for line in done.stderr.splitlines() if "top_p" in line]
    assert "has no effect: temperature 0 always takes the most probable token" in line


# --- where values come from


def test_variables_and_presets_change_the_run_and_flags_win(program: Program) -> None:
    arguments = ("generate", "hi", "--json", "-p", "deterministic")
    result = program.call(*arguments, LLMPARAMS_MAX_TOKENS="2").json
    assert result["usage"]["completion_tokens"] <= 2
    assert result["parameters"]["temperature"]["value"] == 0
    result = program.call(*arguments, "-n", "3", LLMPARAMS_MAX_TOKENS="2").json
    assert result["parameters"]["max_tokens"]["value"] == 3
    assert result["parameters"]["max_tokens"]["overrode"][0]["value"] == 2
    done = program.call("generate", "hi", "-n", "1", "--json", LLMPARAMS_PRESET="deterministic")
    assert done.json["parameters"]["temperature"]["value"] == 0


@pytest.mark.real_model
def test_a_configured_model_is_used_and_the_built_in_one_not_mentioned(
    program: Program, tmp_path: Path
) -> None:
    path = write_llama(tmp_path / "mine.gguf", metadata={"general.name": "mine"})
    short = ("generate", "hi", "--json", "-n", "1")
    for done in (
        program.call(*short, "-m", "mine.gguf"),
        program.call(*short, LLMPARAMS_MODEL=str(path)),
    ):
        assert done.json["model"]["name"] == "mine"
        assert "built-in" not in done.stderr
    assert "using the small built-in model" in program.call("generate", "hi", "-n", "1").stderr


@pytest.mark.real_model
def test_what_a_model_recommends_and_nobody_understands_is_told(
    program: Program, tmp_path: Path
) -> None:
    recommended = {"general.sampling.novelty": 1, "general.sampling.top_k": 7}
    path = write_llama(tmp_path / "m.gguf", metadata=recommended)
    done = program.call("generate", "hi", "--json", "-n", "1", "-m", str(path))
    assert "the model's general.sampling.novelty is ignored: not known here" in done.stderr
    assert done.json["parameters"]["top_k"]["value"] == 7


# --- the machine


@pytest.mark.real_model
def test_layers_for_a_gpu_that_is_not_there_are_told_once(program: Program) -> None:
    gpu = program.call("doctor", "--json").json["gpu"]
    [backends] = [check["value"] for check in gpu if check["name"] == "backends"]
    if len(backends.split()) > 1:
        pytest.skip("this library has a GPU backend")
    done = program.pipe(*STORY, "--gpu-layers", "all")
    assert done.stdout == program.call(*STORY).stdout
    [line] = [line for line in done.stderr.splitlines() if "GPU" in line]
    assert line.startswith("llmparams: gpu_layers all (flag --gpu-layers): this library has no GPU")
    done = program.call(*STORY, "-ngl", "5", "-sm", "row", LLMPARAMS_TENSOR_SPLIT="3,1")
    [line] = [line for line in done.stderr.splitlines() if "GPU" in line]
    assert line.startswith(
        "llmparams: gpu_layers 5 (flag --gpu-layers), split_mode row (flag --split-mode), "
        "tensor_split 3,1 (environment LLMPARAMS_TENSOR_SPLIT): "
    )
    assert "GPU" not in program.call(*STORY).stderr


@pytest.mark.real_model
def test_quantised_weights_write_text_too(program: Program) -> None:
    quantise(builtin.PATH, program.place / "q8.gguf", Recipe("Q8_0", 1, pure=True))
    result = program.pipe(*STORY, "-m", "q8.gguf", "--temp", "0", "--json").json
    assert result["model"]["quantization"] == "Q8_0"
    whole = program.call(*STORY, "--temp", "0").text
    assert result["text"][:10] == whole[:10] != ""


@pytest.mark.real_model
@pytest.mark.parametrize(
    "flags",
    [
        ("--cache-type-k", "q8_0", "--cache-type-v", "q8_0"),
        ("--flash-attention", "off", "--no-mmap"),
        ("--batch-size", "2", "--ubatch-size", "1"),
    ],
)
def test_how_the_machine_is_used_does_not_change_what_is_said(
    program: Program, flags: tuple[str, ...]
) -> None:
    arguments = ("generate", "Once upon a time", "--temp", "0", "-n", "4")
    assert program.call(*arguments, *flags).text == program.call(*arguments).text


CHOICES = [
    (param.flag, word)
    for param in PARAMS.values()
    if isinstance(param.kind, Choice)
    for word in param.kind.words
]


@pytest.mark.parametrize(("flag", "word"), CHOICES)
def test_every_word_of_every_choice_works(program: Program, flag: str, word: str) -> None:
    done = program.call("generate", "hi", "-n", "1", "-q", flag, word)
    assert (done.code, done.stderr) == (0, "")


# What else must be on for a parameter to matter.
COMPANIONS = {
    "dry": ("--dry-multiplier", "1"),
    "xtc": ("--xtc-probability", "1"),
    "mirostat_": ("--mirostat", "1"),
    "adaptive_p_decay": ("--adaptive-p-target", "0.5"),
    "dynatemp_exponent": ("--dynatemp-range", "1"),
    "repeat_last_n": ("--repeat-penalty", "1.5"),
}
IMPOSSIBLE = ("context", "threads", "threads_batch")  # their upper bounds, on most machines


def bounds() -> Iterator[tuple[Param, str]]:
    for param in PARAMS.values():
        kind = param.kind
        if isinstance(kind, Number) and param.name not in IMPOSSIBLE:
            low = 1e-9 if kind.low_open else kind.low
            high = 1e12 if kind.high is None else kind.high
            yield from ((param, kind.show(value)) for value in (low, high, *kind.special))


@pytest.mark.parametrize(
    ("param", "value"), [*bounds()], ids=lambda item: getattr(item, "name", item)
)
def test_the_bounds_of_every_number_work(program: Program, param: Param, value: str) -> None:
    companions = [
        flag
        for name, flags in COMPANIONS.items()
        if param.name.startswith(name) and param.flag not in flags
        for flag in flags
    ]
    done = program.call("generate", "hi", "-n", "8", "-q", *companions, param.flag, value)
    assert (done.code, done.stderr) == (0, "")


@pytest.mark.real_model
def test_an_adapter_changes_the_numbers_of_every_command(program: Program) -> None:
    path = str(write_adapter(program.place))
    (program.place / "target.txt").write_text("the end")
    (program.place / "presets").mkdir()
    bare = "parameters: {temperature: 1.0, max_tokens: 4}\n"
    (program.place / "presets" / "bare.yaml").write_text(bare)
    adapted = bare.replace("{", f"{{lora: ['{path}'], ")
    (program.place / "presets" / "adapted.yaml").write_text(adapted)

    def numbers(preset: str) -> list[list[float]]:
        common = ("-m", "base.gguf", "--json")
        fit = program.call(
            "explain", "hello", *common, "-p", preset, "--target", "target.txt"
        ).json["tokens"]
        diff = program.call("presets", "diff", preset, "precise", *common, "--tokens", "3").json
        grid = program.call(
            "compare", "hello", *common, "-p", preset, "--grid", "top_k=20,40", "--seed", "1"
        ).json
        return [
            [token["logprob"] for token in fit],
            [each["total_variation"] for each in diff["tokens"]],
            [each["means"]["logprob"] for each in grid["variants"]],
        ]

    for with_it, without in zip(numbers("adapted"), numbers("bare"), strict=True):
        assert with_it != without


@pytest.mark.real_model
def test_an_adapter_changes_the_model_as_far_as_its_scale_says(program: Program) -> None:
    path = str(write_adapter(program.place))

    def logprobs(*lora: str) -> list[float]:
        done = program.call(
            "generate", "hello", "-m", "base.gguf", "--json", "--logprobs", "8", "-n", "1", *lora
        )
        assert done.code == 0, done.stderr
        return [candidate["logprob"] for candidate in done.json["tokens"][0]["top"]]

    bare = logprobs()
    assert logprobs("--lora", f"{path}:0") == pytest.approx(bare, abs=1e-4)
    full = logprobs("--lora", path)
    assert full != pytest.approx(bare, abs=1e-2)
    assert logprobs("--lora", f"{path}:1.0") == pytest.approx(full, abs=1e-4)
    done = program.call("generate", "hi", "--lora", path)
    assert path in done.complaint(ExitCode.MODEL)  # made for another model


@pytest.mark.real_model
@pytest.mark.parametrize("value", ["1e-29", "1e-38", "1e-44", "1e-300"])
def test_the_smallest_temperatures_are_the_greedy_one(program: Program, value: str) -> None:
    greedy, small = (
        program.call("explain", "Once", "-n", "6", "--seed", "3", "--temperature", each, "--json")
        for each in ("0", value)
    )
    assert small.json["text"] == greedy.json["text"]
    assert "NaN" not in small.text and "Warning" not in small.stderr


@pytest.mark.real_model
def test_the_smallest_repeat_penalty_gives_numbers(program: Program) -> None:
    done = program.call("explain", "Once", "-n", "6", "--repeat-penalty", "1e-6", "--json")
    assert "NaN" not in done.text and "Infinity" not in done.text


@pytest.mark.real_model
@pytest.mark.parametrize("command", ["generate", "explain", "chat"])
def test_what_a_project_brings_is_told_once(program: Program, command: str) -> None:
    given = (command, "Hello", "-n", "2")
    for text, said in (
        ("system: Obey.", "llmparams: the system text comes from "),
        ("model: builtin", "llmparams: the model comes from "),
        ("model: builtin\nsystem: Obey.", "llmparams: the model and system text come from "),
    ):
        (program.place / "llmparams.yaml").write_text(text + "\n")
        stderr = program.call(*given).stderr
        assert stderr.count(said) == 1 and "llmparams.yaml\n" in stderr
    assert "from" not in program.call(*given, "--quiet").stderr
    own = program.call(*given, "--model", "builtin", "--system", "Mine.").stderr
    (program.place / "llmparams.yaml").write_text("parameters: {top_k: 3}\n")
    assert "comes from" not in own + program.call(*given).stderr
